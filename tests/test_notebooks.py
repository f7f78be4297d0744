"""Each notebook is the same as the text it is paired with.

That it runs, `make docs` shows: it runs them all, and an error is fatal.
"""

from pathlib import Path

import jupytext
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_the_text_it_is_paired_with_and_carries_no_output(path):
    notebook = nbformat.read(path, as_version=4)
    assert cells(notebook) == cells(jupytext.read(path.with_suffix(".py")))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
