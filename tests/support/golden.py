"""Texts that tests compare with files: in the folder `golden` beside a test, and rewritten with
`--update-golden`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """The golden files of one test module."""

    folder: Path
    is_updating: bool

    def check(
        self,
        name: str,
        text: str,
        varying: Mapping[str, str] = {},
        *,
        part: str = "",
        by_words: bool = False,
    ) -> None:
        """Compare a text with a file, or write the file.

        Args:
            name: the name of the file.
            text: what a program printed.
            varying: regular expressions of what differs from run to run, and what the file has in
                its place.
            part: the heading of the text in a file that has several, such as the errors of a
                command.
            by_words: whether the widths of columns may differ, as between versions of Python.
        """
        for pattern, place in varying.items():
            text = re.sub(pattern, place, text)
        path = self.folder / name
        if part:
            text = f"== {part}\n{text.rstrip()}\n"
        if self.is_updating:
            self.folder.mkdir(exist_ok=True)
            others = [one for one in _parts(path) if part and _heading(one) != _heading(text)]
            path.write_text("\n".join(sorted([*others, text])))
        expected = path.read_text()
        if part:
            [expected] = [one for one in _parts(path) if _heading(one) == _heading(text)]
        if by_words:
            assert text.split() == expected.split()
        else:
            assert text == expected


def _parts(path: Path) -> list[str]:
    """Return the parts of a file, each with its heading."""
    if not path.exists():
        return []
    return [f"== {one.rstrip()}\n" for one in f"\n{path.read_text()}".split("\n== ")[1:]]


def _heading(part: str) -> str:
    return part.partition("\n")[0]
