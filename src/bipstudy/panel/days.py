"""Days as whole numbers, and stretches of days per participant: the arithmetic on which the panel stands.

A day is the number of days since 1970-01-01. A stretch runs from its first day up to, not including, its stop. A date
known to the month or quarter is any of its days: `first_days` and `last_days` give the two ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAYS_PER_MONTH = 365.25 / 12
# Later than every date; a missing date and an open end.
FAR = 1_000_000
# Room for every day of one participant in a composite key, and what makes days before 1970 positive in it.
_SPAN = 4_000_000
_SHIFT = 1_500_000


def days_of_months(months: float) -> int:
    """Return the days of a number of months of average length, rounded.

    Examples
    --------
    >>> days_of_months(3), days_of_months(12)
    (91, 365)
    """
    return round(months * DAYS_PER_MONTH)


def first_days(frame: pd.DataFrame, name: str) -> Ints:
    """Return the first day that each date may be, `FAR` where it is missing."""
    dates = frame[name].to_numpy(dtype="datetime64[D]")
    days: Ints = np.where(np.isnat(dates), FAR, dates.astype(np.int64))
    return days


def last_days(frame: pd.DataFrame, name: str) -> Ints:
    """Return the last day that each date may be, `FAR` where it is missing."""
    days = first_days(frame, name)
    codes, labels = pd.factorize(frame[f"{name}_precision"])
    for label, months in (("month", 1), ("quarter", 3)):
        # Nearly every date is known to the day.
        chosen = (codes == labels.get_loc(label)) & (days != FAR) if label in labels else np.zeros(0, dtype=bool)
        if chosen.any():
            month = days[chosen].astype("datetime64[D]").astype("datetime64[M]")
            days[chosen] = (month + months).astype("datetime64[D]").astype(np.int64) - 1
    return days


def dates_of(days: Ints) -> npt.NDArray[np.datetime64]:
    """Return days as dates, NaT for `FAR` and beyond."""
    dates = days.astype("datetime64[D]").astype("datetime64[s]")
    dates[np.abs(days) >= FAR] = np.datetime64("NaT")
    return dates


def key(person: Ints, day: Ints) -> Ints:
    """Return one number per participant and day that sorts by participant, then day."""
    return person * _SPAN + np.clip(day, -FAR, FAR) + _SHIFT


def latest(keys: Ints, person: Ints, day: Ints) -> Ints:
    """Return the position of the participant's last entry on or before a day, -1 if there is none.

    `keys` is sorted, made by `key`.
    """
    if not len(keys):
        return np.full(len(person), -1, dtype=np.int64)
    position = np.searchsorted(keys, key(person, day), side="right") - 1
    found = (position >= 0) & (keys[np.maximum(position, 0)] // _SPAN == person)
    return np.where(found, position, -1)


@dataclass(frozen=True)
class Cover:
    """Disjoint stretches of days of all participants, sorted.

    Attributes
    ----------
    start, stop : ndarray of int64, shape (n,)
        Keys of first day and stop.
    before : ndarray of int64, shape (n + 1,)
        Days in the stretches before each.
    """

    start: Ints
    stop: Ints
    before: Ints

    def days(self, person: Ints, start: Ints, stop: Ints) -> Ints:
        """Return how many days from `start` up to `stop` are covered, for each participant named."""
        days: Ints = np.maximum(self._days_before(key(person, stop)) - self._days_before(key(person, start)), 0)
        return days

    def _days_before(self, keys: Ints) -> Ints:
        """Return the covered days before a key, those of participants before included."""
        if not len(self.start):
            return np.zeros(len(keys), dtype=np.int64)
        position = np.searchsorted(self.start, keys, side="left")
        last = np.maximum(position - 1, 0)
        beyond = np.where(position > 0, np.maximum(self.stop[last] - keys, 0), 0)
        days: Ints = self.before[position] - beyond
        return days


def cover(person: Ints, start: Ints, stop: Ints, depth: int = 1) -> Cover:
    """Return the days on which at least `depth` of a participant's stretches run.

    Parameters
    ----------
    person, start, stop : ndarray of int64, shape (n,)
        One stretch each; those that stop before they start are nothing.
    depth : int
        How many must run at once.

    Returns
    -------
    Cover

    Examples
    --------
    >>> one = np.zeros(2, dtype=np.int64)
    >>> both = cover(one, np.array([0, 5]), np.array([10, 20]), depth=2)
    >>> both.days(one[:1], np.array([0]), np.array([100]))
    array([5])
    """
    real = stop > start
    moments = np.concatenate([key(person[real], start[real]), key(person[real], stop[real])])
    moments, place = np.unique(moments, return_inverse=True)
    sign = np.repeat([1.0, -1.0], int(real.sum()))
    running = np.cumsum(np.bincount(place, weights=sign, minlength=len(moments))).round().astype(np.int64)
    deep = np.concatenate([[False], running >= depth])
    begins = moments[~deep[:-1] & deep[1:]]
    ends = moments[deep[:-1] & ~deep[1:]]
    return Cover(begins, ends, np.concatenate([[0], np.cumsum(ends - begins)]).astype(np.int64))
