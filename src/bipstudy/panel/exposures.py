"""Caseworkers and activities as of a day: what had happened by then, never what came after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.panel.coding import Coded
from bipstudy.panel.days import (
    DAYS_PER_MONTH,
    FAR,
    Bools,
    Cover,
    Floats,
    Ints,
    cover,
    first_days,
    key,
    last_days,
    latest,
)
from bipstudy.panel.occasions import BELIEF, PREFIX, Occasions
from bipstudy.study import Study

# Two activities are parallel when they run side by side for at least so many days of an interval.
PARALLEL_DAYS = 14
# Optimism is the mean over at least so many other participants.
OPTIMISM_OTHERS = 5


@dataclass(frozen=True)
class MainPeriods:
    """Periods with a main caseworker, sorted by participant and day; no two of a participant overlap.

    Attributes
    ----------
    keys : ndarray of int64, shape (n,)
        Participant and first day, see `days.key`.
    person, caseworker, start, stop : ndarray of int64, shape (n,)
        From `start` up to, not including, `stop`. An imprecise date is the last day it may be.
    changes : ndarray of int64, shape (n,)
        Changes to another caseworker up to and with this period's beginning.
    since : ndarray of int64, shape (n,)
        First day of the unbroken sequence of periods with this caseworker.
    days : Cover
    recorded : ndarray of bool, shape (participants,)
        Whether the participant's organisation sent assignments; elsewhere periods are read off the forms.
    """

    keys: Ints
    person: Ints
    caseworker: Ints
    start: Ints
    stop: Ints
    changes: Ints
    since: Ints
    days: Cover
    recorded: Bools


def main_periods(study: Study, coded: Coded, occasions: Occasions) -> MainPeriods:
    """Read the periods with a main caseworker; where none were sent, roughly, from who is named on the forms.

    Parameters
    ----------
    study : Study
    coded : Coded
    occasions : Occasions

    Returns
    -------
    MainPeriods
    """
    table, person, caseworker = study.assignments, coded.person["assignments"], coded.caseworker["assignments"]
    recorded = _organisations_that_sent(coded, person)
    main = (table["responsibility"] == "main").to_numpy(dtype=bool) & (person >= 0) & (caseworker >= 0)
    left = first_days(coded.participants, "left_on")
    start, stop = last_days(table, "start")[main], np.minimum(last_days(table, "end")[main] + 1, FAR)
    named = (occasions.form_caseworker >= 0) & ~recorded[occasions.person]
    person = np.concatenate([person[main], occasions.person[named]])
    caseworker = np.concatenate([caseworker[main], occasions.form_caseworker[named]])
    start = np.concatenate([start, occasions.answered[named]])
    stop = _close(np.concatenate([stop, np.full(named.sum(), FAR)]), start, left[person])

    order = np.lexsort((caseworker, stop, start, person))
    person, caseworker, start, stop = person[order], caseworker[order], start[order], stop[order]
    # Main caseworkers do not overlap; should two, the one who began later has taken over.
    same = person[1:] == person[:-1]
    stop[:-1] = np.where(same, np.minimum(stop[:-1], start[1:]), stop[:-1])
    real = stop > start
    person, caseworker, start, stop = person[real], caseworker[real], start[real], stop[real]
    changes, since = _sequences(person, caseworker, start)
    return MainPeriods(
        keys=key(person, start),
        person=person,
        caseworker=caseworker,
        start=start,
        stop=stop,
        changes=changes,
        since=since,
        days=cover(person, start, stop),
        recorded=recorded,
    )


def _organisations_that_sent(coded: Coded, person: Ints) -> Bools:
    """Say of each participant whether the organisation has any row in a table; without, nothing is known."""
    organisations = np.unique(coded.organisation[person[person >= 0]])
    return np.isin(coded.organisation, organisations)


def _close(stop: Ints, start: Ints, left: Ints) -> Ints:
    """Let what has no end stop when the participant leaves, if it had begun."""
    return np.where((stop >= FAR) & (left >= start), np.minimum(left + 1, FAR), stop)


def _sequences(person: Ints, caseworker: Ints, start: Ints) -> tuple[Ints, Ints]:
    """Return the changes of caseworker so far, and when the sequence with the present one began."""
    if not len(person):
        return start, start
    new_person = np.concatenate([[True], person[1:] != person[:-1]])
    new_caseworker = np.concatenate([[False], caseworker[1:] != caseworker[:-1]]) & ~new_person
    total = np.cumsum(new_caseworker)
    changes = total - np.maximum.accumulate(np.where(new_person, total, 0))
    begins = np.flatnonzero(new_person | new_caseworker)
    since = start[begins][np.cumsum(new_person | new_caseworker) - 1]
    return changes.astype(np.int64), since


def caseworker_exposures(periods: MainPeriods, person: Ints, day: Ints, entered: Ints) -> dict[str, Floats | Ints]:
    """Return what is known of the main caseworker on a day.

    Parameters
    ----------
    periods : MainPeriods
    person, day : ndarray of int64, shape (n,)
        Whom and when.
    entered : ndarray of int64, shape (n,)
        Day on which that participant entered.

    Returns
    -------
    dict
        ``main`` (code, -1 if none that day); ``changes_so_far``, ``first_change`` (1 after the first change);
        ``months_with_caseworker`` (NaN if none that day); ``caseworker_gap_days`` (days from entry up to that day
        without a main caseworker, NaN where no assignments were sent); ``caseload`` (participants of that main
        caseworker that day).
    """
    position = latest(periods.keys, person, day)
    place = np.maximum(position, 0)
    if not len(periods.keys):
        runs, main, changes = np.zeros(len(person), dtype=bool), np.full(len(person), -1), np.zeros(len(person))
        months = np.full(len(person), np.nan)
    else:
        runs = (position >= 0) & (day < periods.stop[place])
        main = np.where(runs, periods.caseworker[place], -1)
        changes = np.where(position >= 0, periods.changes[place], 0).astype(np.float64)
        months = np.where(runs, (day - periods.since[place]) / DAYS_PER_MONTH, np.nan)
    recorded = periods.recorded[person]
    waiting = np.maximum(day - entered, 0) - periods.days.days(person, entered, day)
    # Without assignments, nothing is known before the first form that names a caseworker.
    changes = np.where(recorded | (position >= 0), changes, np.nan)
    return {
        "main": main,
        "changes_so_far": changes,
        "first_change": np.where(np.isnan(changes), np.nan, (changes > 0).astype(np.float64)),
        "months_with_caseworker": months,
        "caseworker_gap_days": np.where(recorded, waiting, np.nan),
        "caseload": np.where(recorded & (main >= 0), _caseload(periods, main, day), np.nan),
    }


def _caseload(periods: MainPeriods, caseworker: Ints, day: Ints) -> Floats:
    """Return how many participants a caseworker is the main one of on a day."""
    begun = np.sort(key(periods.caseworker, periods.start))
    over = np.sort(key(periods.caseworker, periods.stop))
    wanted = key(caseworker, day)
    # All of the caseworkers before have begun and ended alike often, so that they cancel.
    running = np.searchsorted(begun, wanted, side="right") - np.searchsorted(over, wanted, side="right")
    return running.astype(np.float64)


@dataclass(frozen=True)
class Activities:
    """Days with at least one activity, with two or more, and with each focus."""

    any: Cover
    parallel: Cover
    focus: dict[str, Cover]
    recorded: Bools


def activity_stretches(study: Study, coded: Coded) -> tuple[pd.DataFrame, Ints, Ints, Ints]:
    """Return the activities of a study, those registered by mistake left out, with the days on which each runs.

    An activity without an end that is not ongoing runs to its planned end; else it runs until the participant leaves.

    Parameters
    ----------
    study : Study
    coded : Coded

    Returns
    -------
    table : DataFrame
        Rows of ``study.activities``.
    person, start, stop : ndarray of int64, shape (n,)
        From `start` up to, not including, `stop`.
    """
    table, person = study.activities, coded.person["activities"]
    mistakes = schema.code_list("activity_end_reason").with_role("dropped")
    chosen = (person >= 0) & ~table["end_reason"].isin(mistakes).to_numpy(dtype=bool)
    table, person = table[chosen], person[chosen]
    start, end, planned = last_days(table, "start"), last_days(table, "end"), last_days(table, "planned_end")
    ongoing = table["ongoing"].fillna(False).to_numpy(dtype=bool)
    end = np.where((end == FAR) & ~ongoing, planned, end)
    left = first_days(coded.participants, "left_on")
    stop = _close(np.minimum(end + 1, FAR), start, left[person]) if len(person) else end
    return table, person, start, stop


def read_activities(study: Study, coded: Coded) -> Activities:
    """Read the days with activities, see `activity_stretches`.

    Parameters
    ----------
    study : Study
    coded : Coded

    Returns
    -------
    Activities
    """
    recorded = _organisations_that_sent(coded, coded.person["activities"])
    table, person, start, stop = activity_stretches(study, coded)
    focus = {}
    for code in schema.code_list("focus").values:
        has = ((table["focus"] == code) | (table["second_focus"] == code)).to_numpy(dtype=bool)
        focus[code] = cover(person[has], start[has], stop[has])
    return Activities(cover(person, start, stop), cover(person, start, stop, depth=2), focus, recorded)


def activity_exposures(activities: Activities, person: Ints, start: Ints, stop: Ints) -> dict[str, pd.Series | Floats]:
    """Return the activity in an interval that has ended.

    Parameters
    ----------
    activities : Activities
    person, start, stop : ndarray of int64, shape (n,)
        Interval of each participant named, from `start` up to, not including, `stop`.

    Returns
    -------
    dict
        ``activity`` (none, single, parallel: at least `PARALLEL_DAYS` days with two or more), ``focus_<focus>`` (share
        of the days), ``gap_days`` (days without any). Missing where the interval is empty or nothing was sent.
    """
    days = stop - start
    known = (days > 0) & activities.recorded[person]
    length = np.where(known, days, np.nan)
    some = activities.any.days(person, start, stop)
    side_by_side = activities.parallel.days(person, start, stop)
    kind = np.where(side_by_side >= PARALLEL_DAYS, 2, np.where(some > 0, 1, 0))
    kinds = pd.array(["none", "single", "parallel"], dtype=schema.STRING)
    return {
        "activity": kinds.take(np.where(known, kind, -1), allow_fill=True),
        **{f"focus_{focus}": each.days(person, start, stop) / length for focus, each in activities.focus.items()},
        "gap_days": length - some,
    }


def optimism(occasions: Occasions, person: Ints, caseworker: Ints, day: Ints) -> Floats:
    """Return how much a caseworker believed in others measured earlier.

    The mean of the belief that the caseworker gave at the first measurement of at least `OPTIMISM_OTHERS` other
    participants, all on earlier days; raw, not adjusted for those participants.

    Parameters
    ----------
    occasions : Occasions
    person, caseworker, day : ndarray of int64, shape (n,)
        Index participant, caseworker (-1 for none) and first day that the answer may be of.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where there are too few others.
    """
    belief = occasions.scores.get(PREFIX["caseworker"] + BELIEF, np.full(len(occasions.person), np.nan))
    given = occasions.first & (occasions.answering_caseworker >= 0) & ~np.isnan(belief)
    whom, who, when = occasions.person[given], occasions.answering_caseworker[given], occasions.answered[given]
    value = belief[given]
    keys = key(who, when)
    order = np.argsort(keys, kind="stable")
    keys, total = keys[order], np.concatenate([[0.0], np.cumsum(value[order])])
    low = np.searchsorted(keys, key(caseworker, np.full(len(day), -FAR)), side="left")
    high = np.searchsorted(keys, key(caseworker, day), side="left")
    count, total = high - low, total[high] - total[low]

    own = np.full(int(max(person.max(initial=-1), whom.max(initial=-1))) + 1, -1, dtype=np.int64)
    own[whom] = np.arange(len(whom))
    mine = own[person]
    place = np.maximum(mine, 0)
    if len(whom):
        counted = (mine >= 0) & (who[place] == caseworker) & (when[place] < day)
        count, total = count - counted, total - np.where(counted, value[place], 0.0)
    enough = (caseworker >= 0) & (count >= OPTIMISM_OTHERS)
    mean: Floats = np.divide(total, count, out=np.full(len(day), np.nan), where=enough)
    return mean
