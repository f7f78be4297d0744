"""The cells of a table that rest on so few people that somebody could be recognised in them.

Plain frames in, plain frames out. Nothing is changed or hidden here; whoever lets results out decides with the list.

References
----------
Griffiths, E., and others (2019). Handbook on statistical disclosure control for outputs. Safe Data Access
Professionals Working Group. Thresholds for counts, for the rest that a count and its total give away, and for the steps
of a survival curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.texts import BipstudyError

__all__ = ["FLOOR", "REASONS", "THRESHOLD", "small_cells"]

# Ten for whatever leaves; less only where the owner of the data has said so, and never under three.
THRESHOLD, FLOOR = 10, 3
REASONS = ("count", "nobody", "rest", "everybody", "share", "step")

# Columns by what they hold, as the analyses name them.
_PEOPLE = ("n", "participants", "caseworkers", "clusters", "forms", "at_risk", "events")
_PARTS = ("events", "missing")
_SHARES = ("share", "any", "work", "observed", "floor", "ceiling", "estimate")
_SHARE_SCALE = "share"
_SLACK = 1e-6

_Mask = npt.NDArray[np.bool_]


def small_cells(frame: pd.DataFrame, *, threshold: int = THRESHOLD, curve: Sequence[str] = ()) -> pd.DataFrame:
    """Find the cells of a table that are not to leave as they are.

    Parameters
    ----------
    frame : DataFrame
        A table or estimates of an analysis. Counts of people are known by their columns (``n, participants,
        caseworkers, clusters, forms, at_risk, events``), parts of ``n`` too (``events, missing``), and shares of ``n``
        (``share, any, work, observed, floor, ceiling``, and ``estimate`` where ``scale`` says share).
    threshold : int, default 10
        Least number of people that a cell rests on, at least 3.
    curve : sequence of str
        Columns that tell one curve from another, where the rows are the points of curves in the order of time.

    Returns
    -------
    DataFrame
        One row per cell and reason, in the order of the table: ``row`` (int, from 1), ``column`` and ``reason``:

        - ``count``, fewer people than the threshold; ``nobody``, a zero, which says of everybody that they have not;
        - ``rest``, so few remain when a part is taken from ``n``; ``everybody``, none do;
        - ``share``, a share that gives away such a count;
        - ``step``, fewer people than the threshold between two points of a curve.

    Raises
    ------
    BipstudyError
        If the threshold is under 3.

    Examples
    --------
    >>> table = pd.DataFrame({"answer": ["no", "yes"], "n": [200, 40], "events": [12, 38]})
    >>> small_cells(table)
       row  column reason
    0    2  events   rest
    """
    if threshold < FLOOR:
        raise BipstudyError("report.low_threshold", given=threshold, least=FLOOR)
    found = [
        (int(row) + 1, place, column, reason)
        for place, (column, reason, mask) in enumerate(_masks(frame, threshold, curve))
        for row in np.flatnonzero(mask)
    ]
    found.sort(key=lambda each: (each[0], list(frame).index(each[2]), each[1]))
    return pd.DataFrame(
        [(row, column, reason) for row, _, column, reason in found], columns=["row", "column", "reason"]
    ).astype({"row": "int64", "column": "object", "reason": "object"})


def _masks(frame: pd.DataFrame, threshold: int, curve: Sequence[str]) -> Iterator[tuple[str, str, _Mask]]:
    """Yield column, reason and which of its cells are small."""
    total = _numbers(frame, "n")
    for column in frame:
        values = _numbers(frame, str(column))
        if column in _PEOPLE:
            yield str(column), "count", (values > 0) & (values < threshold)
            yield str(column), "nobody", values == 0
        if column in _PARTS:
            yield str(column), "rest", (total - values > 0) & (total - values < threshold)
            yield str(column), "everybody", (values == total) & (total > 0)
        if column in _SHARES and (column != "estimate" or "scale" in frame):
            share = values if column != "estimate" else np.where(frame["scale"] == _SHARE_SCALE, values, np.nan)
            # A share gives away a count only where the number of people stands beside it.
            count = np.where((share >= 0) & (share <= 1), share * total, np.nan)
            few = ((count > _SLACK) & (count < threshold - _SLACK)) | (
                (total - count > _SLACK) & (total - count < threshold - _SLACK)
            )
            yield str(column), "share", few & (total >= 0)
        if column == "at_risk" and curve:
            left = pd.Series(values).groupby([frame[name].to_numpy() for name in curve]).diff().to_numpy()
            yield "at_risk", "step", (left < 0) & (left > -threshold)


def _numbers(frame: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """Return a column as numbers; NaN where it holds something else or is not there."""
    if column not in frame:
        return np.full(len(frame), np.nan)
    values = pd.to_numeric(frame[column], errors="coerce")
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
