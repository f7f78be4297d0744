"""Changes of main caseworker one by one: when, why, and whether the caseworker left everybody at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bipstudy.panel.assembly import Parts
from bipstudy.panel.days import FAR, Bools, Ints, cover, first_days, key, last_days
from bipstudy.study import Study

# A caseload that ends within so many days has ended at once ...
DEPARTURE_DAYS = 30
# ... if it held at least so many participants; a smaller one may end so by chance.
DEPARTURE_LEAST = 5
# Reasons that lie with the organisation or the caseworker, not with the participant.
STAFF_REASONS = ("caseworker_left", "caseworker_absent", "reorganisation")
OTHER_REASONS = ("programme_step", "participant_asked", "other")


@dataclass(frozen=True)
class Changes:
    """Changes to another main caseworker, sorted by participant and day; arrays of shape (n,).

    Attributes
    ----------
    person, day : ndarray of int64
        Whose, and the first day with the next caseworker.
    departure : ndarray of bool
        Whether the former caseworker's whole main caseload ended at once, see `departures`.
    staff, other : ndarray of bool
        Whether the reported reason is one of `STAFF_REASONS`, or of `OTHER_REASONS`; neither where none is known.
    """

    person: Ints
    day: Ints
    departure: Bools
    staff: Bools
    other: Bools

    def so_far(self, chosen: Bools, person: Ints, day: Ints) -> Ints:
        """Count the chosen changes of each participant up to and with a day.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n,)
        person, day : ndarray of int64, shape (m,)

        Returns
        -------
        ndarray of int64, shape (m,)
        """
        keys = key(self.person[chosen], self.day[chosen])
        before = np.searchsorted(keys, key(person, np.full(len(person), -FAR)), side="left")
        return (np.searchsorted(keys, key(person, day), side="right") - before).astype(np.int64)

    def first_day(self, chosen: Bools, persons: int) -> Ints:
        """Return the day of each participant's first chosen change, `FAR` without one; shape (persons,)."""
        day = np.full(persons, FAR, dtype=np.int64)
        np.minimum.at(day, self.person[chosen], self.day[chosen])
        return day


def departures(*, caseworker: Ints, start: Ints, stop: Ints, observed: Ints) -> tuple[Ints, Ints]:
    """Return the caseworkers whose whole caseload ended within `DEPARTURE_DAYS`, and the day from which it is gone.

    A day counts if nobody is left from it on, while `DEPARTURE_DAYS` earlier there were at least `DEPARTURE_LEAST`
    whose periods have ended since. A period that only observation cuts off has not ended: it is no part of the caseload
    afterwards, and where it is the last to go nothing is known. The caseworker may return later.

    Parameters
    ----------
    caseworker, start, stop : ndarray of int64, shape (n,)
        Periods of participants with their main caseworker, from `start` up to, not including, `stop`.
    observed : ndarray of int64, shape (n,)
        Last day on which that participant is observed.

    Returns
    -------
    caseworker, day : ndarray of int64, shape (departures,)
        Sorted by caseworker and day.

    Examples
    --------
    >>> never = np.full(5, 1000)
    >>> five = {"caseworker": np.zeros(5, dtype=int), "start": np.zeros(5, dtype=int), "stop": np.arange(90, 95)}
    >>> who, day = departures(**five, observed=never)
    >>> who.tolist(), day.tolist()
    ([0], [94])
    """
    cut = stop > observed
    stop = np.where(cut, observed + 1, stop)
    busy = cover(caseworker, start, stop)
    people = int(caseworker.max(initial=-1)) + 1
    earliest = key(np.arange(people), np.full(people, -FAR))
    who = np.searchsorted(earliest, busy.stop, side="right") - 1
    day = busy.stop - key(who, np.zeros(len(who), dtype=np.int64))
    begun, over = (np.sort(key(caseworker[~cut], days[~cut])) for days in (start, stop))
    earlier = key(who, day - DEPARTURE_DAYS)
    load = np.searchsorted(begun, earlier, side="right") - np.searchsorted(over, earlier, side="right")
    gone = (load >= DEPARTURE_LEAST) & ~np.isin(busy.stop, key(caseworker[cut], stop[cut]))
    return who[gone].astype(np.int64), day[gone]


def read_changes(study: Study, parts: Parts) -> Changes:
    """Return the changes of main caseworker in organisations that sent assignments.

    The reason of a change is that of the period which it ends.

    Parameters
    ----------
    study : Study
    parts : Parts

    Returns
    -------
    Changes
    """
    periods = parts.periods
    recorded = periods.recorded[periods.person]
    person, caseworker = periods.person[recorded], periods.caseworker[recorded]
    start, stop = periods.start[recorded], periods.stop[recorded]
    observed = first_days(parts.coded.participants, "observed_until")[person]
    gone_who, gone_day = departures(caseworker=caseworker, start=start, stop=stop, observed=observed)
    after = np.flatnonzero((person[1:] == person[:-1]) & (caseworker[1:] != caseworker[:-1])) + 1
    before = after - 1
    # The first departure of that caseworker on or after the end of the period, within the window.
    place = np.searchsorted(key(gone_who, gone_day), key(caseworker[before], stop[before]), side="left")
    found = np.minimum(place, max(len(gone_who) - 1, 0))
    left = np.zeros(len(after), dtype=bool)
    if len(gone_who):
        left = (place < len(gone_who)) & (gone_who[found] == caseworker[before])
        left &= gone_day[found] - stop[before] < DEPARTURE_DAYS
    reason = _reasons(study, parts, person[before], caseworker[before], start[before])
    return Changes(
        person=person[after],
        day=start[after],
        departure=left,
        staff=np.isin(reason, STAFF_REASONS),
        other=np.isin(reason, OTHER_REASONS),
    )


def _reasons(study: Study, parts: Parts, person: Ints, caseworker: Ints, start: Ints) -> npt.NDArray[Any]:
    """Return the reported reason for the end of each period, empty without one."""
    table = study.assignments
    whose, who = parts.coded.person["assignments"], parts.coded.caseworker["assignments"]
    told = (table["responsibility"] == "main").to_numpy(dtype=bool) & (whose >= 0) & (who >= 0)
    told &= table["change_reason"].notna().to_numpy(dtype=bool)
    keys = key(whose[told], last_days(table, "start")[told])
    words = table["change_reason"].to_numpy(dtype=object)[told].astype(str)
    order = np.lexsort((words, who[told], keys))
    keys, who, words = keys[order], who[told][order], words[order]
    wanted = key(person, start)
    found = np.full(len(person), "", dtype=object)
    place = np.searchsorted(keys, wanted, side="left")
    inside = np.minimum(place, max(len(keys) - 1, 0))
    if len(keys):
        # Two main caseworkers from one day on are an error that the validation reports; the one named here counts.
        for step in (1, 0):
            at = np.minimum(inside + step, len(keys) - 1)
            same = (keys[at] == wanted) & (who[at] == caseworker)
            found[same] = words[at[same]]
    return found.astype(str)
