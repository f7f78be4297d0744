"""Which rows are at risk at which event times, found once and used for every sum over risk sets.

The distinct event times of each stratum, ascending, one stratum after the other, are called *slots*.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RiskSets:
    """Which rows are at risk when: everything about times and strata, nothing about covariates or weights.

    Attributes
    ----------
    top, below : (n,) int64
        Row i is at risk in the slots ``below[i] + 1 .. top[i]``; -1 is before the first slot of its stratum.
    event_rows : (d,) int64
        The rows that end with an event; their slot is ``top``.
    last : (g,) bool
        The slot is the latest of its stratum.
    time : (g,) float64
        Time of the slot.
    stratum : (g,) int64
        Stratum of the slot.
    """

    top: Integers
    below: Integers
    event_rows: Integers
    last: Booleans
    time: Floats
    stratum: Integers

    @property
    def event(self) -> Booleans:
        """Whether a row ends with an event, shape (n,)."""
        mark = np.zeros(self.top.shape[0], dtype=np.bool_)
        mark[self.event_rows] = True
        return mark


def risk_sets(*, start: Floats | None, stop: Floats, event: Booleans, stratum: Integers | None = None) -> RiskSets:
    """Locate every row among the event times of its stratum.

    Parameters
    ----------
    start, stop : (n,) float64
        The row is under observation in ``(start, stop]``; without `start`, from before every time.
    event : (n,) bool
    stratum : (n,) int64, optional
        Codes 0, 1, ...

    Returns
    -------
    RiskSets
    """
    times = np.unique(stop[event])
    until = _count_upto(times, stop)
    since = np.zeros_like(until) if start is None else _count_upto(times, start)
    if stratum is None:
        top, below = until - 1, since - 1
        slot_time, slot_stratum = times, np.zeros(times.shape[0], dtype=np.int64)
    else:
        width = times.shape[0] + 1
        base = stratum * width
        keys = np.unique(base[event] + until[event] - 1)
        slot_time, slot_stratum = times[keys % width], keys // width
        # first[s] counts the slots of the strata before s.
        first = np.searchsorted(keys, np.arange(int(stratum.max(initial=0)) + 1) * width)
        before = first[stratum]
        top, below = (_count_below(keys, base + until) - 1, _count_below(keys, base + since) - 1)
        top[top < before], below[below < before] = -1, -1
    idle = top == below
    top[idle], below[idle] = -1, -1
    last = np.ones(slot_time.shape[0], dtype=np.bool_)
    last[:-1] = slot_stratum[1:] != slot_stratum[:-1]
    return RiskSets(
        top=np.ascontiguousarray(top, dtype=np.int64),
        below=np.ascontiguousarray(below, dtype=np.int64),
        event_rows=np.flatnonzero(event).astype(np.int64),
        last=last,
        time=slot_time,
        stratum=slot_stratum.astype(np.int64),
    )


def _count_upto(times: Floats, values: Floats) -> Integers:
    """Count how many of the sorted `times` are at or before each value: by table for whole numbers such as days."""
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if high - low <= 4.0 * values.shape[0] and abs(low) < 2.0**53:
        place = (values - low).astype(np.int64)
        if np.array_equal(place + low, values):
            table = np.searchsorted(times, low + np.arange(int(high - low) + 1), side="right")
            return np.asarray(table[place], dtype=np.int64)
    return np.asarray(np.searchsorted(times, values, side="right"), dtype=np.int64)


def _count_below(keys: Integers, values: Integers) -> Integers:
    """Count how many of the sorted `keys` are below each value: by table where that is smaller than the data."""
    size = int(values.max(initial=0)) + 1
    if size <= 4 * values.shape[0]:
        table = np.searchsorted(keys, np.arange(size), side="left")
        return np.asarray(table[values], dtype=np.int64)
    return np.asarray(np.searchsorted(keys, values, side="left"), dtype=np.int64)


def slot_sums(slot: Integers, values: Floats, slots: int) -> Floats:
    """Sum `values` by slot, shape (slots,)."""
    return np.asarray(np.bincount(slot, weights=values, minlength=slots), dtype=np.float64)


def cumulate(values: Floats, last: Booleans) -> Floats:
    """Cumulate over the slots of each stratum, with a final row of zeros that the index -1 finds."""
    total = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=total[:-1])
    ends = np.flatnonzero(last)[:-1]
    if ends.size:
        counts = np.diff(np.append(ends, values.shape[0] - 1))
        total[ends[0] + 1 : -1] -= np.repeat(total[ends], counts, axis=0)
    return total
