"""The examples, run as their readers would."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from hosts import ROOT


@pytest.mark.libraries
def test_estimators_are_tracked_without_their_authors_doing(tmp_path: Path) -> None:
    script = ROOT / "examples/scikit_learn/track_estimators.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        env={"HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 (3 succeeded, 1 failed; 75.0% success)" in done.stdout
    assert "X: DataFrame 331×10, y: Series 331" in done.stdout  # noqa: RUF001
    assert "RandomForestRegressor" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("default")  # of Jupyter's own
def test_the_notebook_shows_its_summary_as_a_table(tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "examples/rxinfer_py/nile.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    summary = next(html for html in shown if "Session" in html)
    assert "<td" in summary
    assert "local_level" in summary
    assert all(output.output_type != "error" for output in outputs)
