"""Each bench runs to its end, at a small size, in a copy of what it reads, where it writes its part
of the page."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/reference/performance.md"
WRITING = ("scale", "deletion", "purging", "ingest")
"""The benches that write their part of the page at a small size, too."""

pytestmark = [pytest.mark.once, pytest.mark.linux]


@pytest.mark.parametrize(
    ("bench", "options", "says"),
    [
        ("invoke", [], "invoke, a described list"),
        (
            "scale",
            [
                "--per-day=3000",
                "--days=3",
                "--kept-days=9",
                "--sizes",
                "1000",
                "9000",
                "--databases=sqlite",
            ],
            "9,000 imports: page of 365 days",
        ),
        ("flood", [], "honest imports that went with it"),
        pytest.param(
            "deletion",
            ["--rows", "20000"],
            "PostgreSQL",
            marks=[pytest.mark.postgres, pytest.mark.long],
        ),
        pytest.param(
            "purging",
            ["--rows=3000", "--ids=9000", "--seconds=3"],
            "PostgreSQL, beside the dropping of ids",
            marks=[pytest.mark.postgres, pytest.mark.long],
        ),
        pytest.param(
            "ingest",
            ["--seconds", "2", "--rounds", "1"],
            "round 1",
            marks=[pytest.mark.postgres, pytest.mark.long],
        ),
        pytest.param(
            "growth", ["--quick"], "page of 365 days, no day rolled up", marks=pytest.mark.long
        ),
        (
            "attacks",
            [
                "--quick",
                "masked PATCH",
                "invented versions",
                "huge mask, with a token",
                "805 slow heads",
            ],
            "masked PATCH of a session",
        ),
        pytest.param("host", ["--quick"], "imports, unanswered name", marks=pytest.mark.long),
        pytest.param("many", ["--quick"], "processes left after 10 s", marks=pytest.mark.long),
    ],
)
def test_a_bench_runs_to_its_end(tmp_path: Path, bench: str, options: list[str], says: str) -> None:
    for folder in ("bench", "sdk", "docs/reference", "docs/explanation", "tests/support"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    done = subprocess.run(
        [sys.executable, "-m", bench, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "bench"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert says in done.stdout
    assert ((tmp_path / PAGE).read_text() != (ROOT / PAGE).read_text()) is (bench in WRITING)
