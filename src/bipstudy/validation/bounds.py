"""Dates that are known to a day, a month or a quarter: the first and the last day that each can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Days = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Earlier and later than any day, and far enough from the ends of int64 that differences stay exact.
_LONG_AGO, _FAR_AHEAD = -(10**9), 10**9
_MONTHS = {"month": 1, "quarter": 3}


@dataclass(frozen=True)
class Bounds:
    """The first and the last day that a date can be.

    Attributes
    ----------
    low, high : (n,) int64 arrays
        Days since 1970-01-01; equal where the day is known.
    known : (n,) bool array
        False where there is no date; `low` and `high` are then meaningless but far apart.
    """

    low: Days
    high: Days
    known: Mask

    def take(self, rows: Days) -> Bounds:
        """Return the bounds of some rows; a row of -1 has no date."""
        if not len(self.known):
            nothing = np.zeros(len(rows), dtype=bool)
            return Bounds(np.full(len(rows), _LONG_AGO), np.full(len(rows), _FAR_AHEAD), nothing)
        return Bounds(self.low[rows], self.high[rows], self.known[rows] & (rows >= 0))

    def shifted(self, days: int) -> Bounds:
        """Return the bounds some days later."""
        return Bounds(self.low + days, self.high + days, self.known)

    def before(self, other: Bounds) -> tuple[Mask, Mask, Mask]:
        """Say where each date is before the other.

        Returns
        -------
        both, certain, open : (n,) bool arrays
            Where there are two dates; where the first is before the second whatever the exact days are; where that
            depends on the exact days.
        """
        both = self.known & other.known
        certain = both & (self.high < other.low)
        return both, certain, both & (self.low < other.high) & ~certain


def date_bounds(dates: pd.Series, precision: pd.Series | None) -> Bounds:
    """Return the first and last day that each date can be.

    Parameters
    ----------
    dates : Series of datetime64
        First day of what is known.
    precision : Series of {"day", "month", "quarter"} or None
        How exactly each date is known; day where it is missing.

    Returns
    -------
    Bounds

    Examples
    --------
    >>> bounds = date_bounds(pd.Series(pd.to_datetime(["2024-02-01"])), pd.Series(["month"]))
    >>> int(bounds.high[0] - bounds.low[0])
    28
    """
    known = dates.notna().to_numpy(dtype=bool)
    days = dates.to_numpy(dtype="datetime64[D]")
    low = np.where(known, days.astype(np.int64), _LONG_AGO)
    high = np.where(known, low, _FAR_AHEAD)
    if precision is not None:
        for word, months in _MONTHS.items():
            coarse = known & (precision == word).to_numpy(dtype=bool, na_value=False)
            if coarse.any():
                month = days[coarse].astype("datetime64[M]")
                low[coarse] = month.astype("datetime64[D]").astype(np.int64)
                high[coarse] = (month + months).astype("datetime64[D]").astype(np.int64) - 1
    return Bounds(low, high, known)
