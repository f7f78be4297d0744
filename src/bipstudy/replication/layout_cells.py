"""What a column of a printed table is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One column of a printed table.

    Attributes
    ----------
    heading : str
        Key under ``analyses.column``.
    kind : str
        text, count, number, fine (a number with three decimals), percent, points (of a difference in proportions), p,
        size, one (a count), mean_count (a mean of counts), range (an interval of shares alone) or measure (a count, or
        a number with two decimals).
    column : str
        Column of the estimate.
    ends : tuple of str
        Columns of its interval; empty where there is none.
    """

    heading: str
    kind: str
    column: str
    ends: tuple[str, str] | tuple[()] = ()


def cell(heading: str, kind: str, column: str = "", ends: str = "") -> Cell:
    """Return a column; `ends` is what the names of its interval begin with."""
    return Cell(heading, kind, column or heading, (f"{ends}_low", f"{ends}_high") if ends else ())
