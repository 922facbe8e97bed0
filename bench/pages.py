"""Write what a bench found into its part of a documentation page, between two marks."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PERFORMANCE = ROOT / "docs" / "reference" / "performance.md"


def write_part(bench: str, text: str, *, page: Path = PERFORMANCE) -> None:
    """Replace a bench's part of the page, or add it at the end.

    Args:
        bench: the bench's name, which stands in the marks.
        text: Markdown, from its heading of the second level on.
        page: the page, which exists.
    """
    begin = f"<!-- {bench}: written by scripts/bench {bench} -->"
    end = f"<!-- {bench}: end -->"
    whole = page.read_text()
    before, found, rest = whole.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    page.write_text(f"{before.rstrip()}\n\n{begin}\n\n{text.strip()}\n\n{end}{after}")


def write_picture(name: str, svg: str, *, page: Path = PERFORMANCE) -> str:
    """Write a picture beside the page; the address by which the page can show it."""
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(svg)
    return f"{folder.name}/{name}"


def tell(values_ms: Sequence[float]) -> list[str]:
    """The median, the 99th of a hundred, and the most."""
    percentile = statistics.quantiles(values_ms, n=100)[98]
    return [f"{value:.1f}" for value in (statistics.median(values_ms), percentile, max(values_ms))]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown: the first column to the left, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
