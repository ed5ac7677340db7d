"""Notebooks run, and what they show is what today's code prints."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


def printed(cell):
    """Text that a cell printed, trailing blanks aside."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the notebook client and the kernel, not of this package
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error:::multipliers,error:::surrogate,error:::catalog")
    monkeypatch.setitem(os.environ, "MPLBACKEND", "agg")
    shown = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for before, after in zip(shown.cells, fresh.cells, strict=True):
        if before.cell_type == "code" and "varies" not in before.metadata.get("tags", ()):
            assert printed(after) == printed(before), f"cell {before.id} shows what it does not print any more"


def test_there_are_notebooks():
    assert NOTEBOOKS
