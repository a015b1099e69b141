"""The notebook of the documentation runs from its first cell to its last, and shows what it is stored with."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / ".github" / "docs" / "tour.ipynb"


def shown(notebook):
    """Of each cell, the kinds of its outputs; text that is printed as it is."""
    return [
        [output.get("text") or sorted(output["data"]) for output in cell.get("outputs", [])] for cell in notebook.cells
    ]


def test_the_notebook_runs_and_shows_what_it_is_stored_with(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[2]))
    stored, run = (nbformat.read(NOTEBOOK, as_version=4) for _ in range(2))
    NotebookClient(run, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert shown(run) == shown(stored)
    assert {path.name for path in tmp_path.iterdir()} == {"morph.gif", "nine.png"}
