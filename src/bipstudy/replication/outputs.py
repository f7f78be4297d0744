"""The tables of a run by the paths of their files, and which of their cells are not to leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bipstudy.disclosure import small_cells
from bipstudy.replication import groups

if TYPE_CHECKING:
    from bipstudy.replication.run import Run

__all__ = ["disclosure", "results"]


def results(run: Run) -> dict[str, pd.DataFrame]:
    """Return the estimates, tables and flows of a run, by path inside its folder.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict of str to DataFrame
    """
    frames = {"estimates.csv": run.estimates}
    for name, result in run.results.items():
        frames[f"flow/{name}.csv"] = result.flow
        frames |= {f"tables/{name}_{table}.csv": result.table(table, run.language) for table in result.tables}
    return frames | groups.frames(run)


def disclosure(run: Run) -> pd.DataFrame:
    """Return the cells of a run that rest on fewer people than its plan lets leave.

    Parameters
    ----------
    run : Run

    Returns
    -------
    DataFrame
        Columns ``file, row, column, reason``; what the reasons are: `bipstudy.disclosure.small_cells`. That nobody was
        left out at a step of a flow says nothing of anybody and is not among them.
    """
    parts = []
    for path, frame in sorted(results(run).items()):
        curve = ("cause",) if "at_risk" in frame and "cause" in frame else ()
        cells = small_cells(frame, threshold=run.plan.disclosure_threshold, curve=curve)
        if path.startswith("flow/"):
            cells = cells[cells["reason"] != "nobody"]
        parts.append(cells.assign(file=path)[["file", "row", "column", "reason"]])
    return pd.concat(parts, ignore_index=True)
