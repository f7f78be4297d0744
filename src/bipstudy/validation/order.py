"""Rules on the order of events: enter, assign, measure, act, leave, observe."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Days, Mask
from bipstudy.validation.data import Data, in_order
from bipstudy.validation.rules import NOTHING, Outcome, at, check
from bipstudy.validation.structure import column_label

_PERSON = ("organisation_id", "participant_id")
# Dates that may lie ahead of the extraction date.
_PLANNED = {"planned_end", "due_on"}
_NEVER = 10**8


@check
def end_before_start(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the end of each spell with its start, in every table that has both."""
    return _ends(data, "end", ["assignments", "activities", "outcomes"])


@check
def planned_end_before_start(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the planned end of each activity with its start."""
    return _ends(data, "planned_end", ["activities"])


@check
def ongoing_with_end(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for spells that are ongoing and have an end."""
    outcome = NOTHING
    for name in ("assignments", "activities", "outcomes"):
        if not data.has(name, "ongoing", "end"):
            outcome += Outcome(0, columns=((name, "ongoing"), (name, "end")) if name in data.tables else ())
            continue
        frame = data.tables[name]
        ongoing = frame["ongoing"].fillna(False).to_numpy(dtype=bool)
        both = ongoing & frame["end"].notna().to_numpy(dtype=bool)
        outcome += Outcome(int(frame["ongoing"].notna().sum()), at(name, "ongoing", both))
    return outcome


@check
def left_before_entered(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the day a participant left with the day of entry."""
    return _after("participants", "left_on", "entered_on", data)


@check
def observed_until_before_entry(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the last day of follow-up with the day of entry."""
    return _after("participants", "observed_until", "entered_on", data)


@check
def answer_before_entry(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the day of each answer with the day its participant entered."""
    entered = data.bounds("participants", "entered_on").take(data.lookup("measurements", "participants", _PERSON))
    both, certain, unsure = data.bounds("measurements", "answered_on").before(entered)
    return Outcome(int(both.sum()), at("measurements", "answered_on", certain, unsure))


@check
def date_after_extraction(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare every date that is not a plan with the extraction date."""
    if data.extracted_on is None:
        return Outcome(0, reason="reason_extraction")
    last = int(np.datetime64(data.extracted_on, "D").astype(np.int64))
    outcome = NOTHING
    for name, frame in data.tables.items():
        for column in schema.table(name).columns:
            if column.kind != "date" or column.name in _PLANNED:
                continue
            bounds = data.bounds(name, column.name)
            values = {"column_label": column_label(name, column.name), "extracted_on": data.extracted_on.isoformat()}
            late = bounds.known & (bounds.low > last)
            outcome += Outcome(int(frame[column.name].notna().sum()), at(name, column.name, late, values=values))
    return outcome


@check
def two_main_assignments(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for periods of main caseworkers of one participant that share more days than a handover takes."""
    if not data.has("assignments", "end"):
        return Outcome(0, columns=(("assignments", "end"),))
    frame = data.tables["assignments"]
    person = data.groups("assignments", _PERSON)
    start, end = data.bounds("assignments", "start"), data.bounds("assignments", "end")
    main = (frame["responsibility"] == "main").to_numpy(dtype=bool) & start.known & (person >= 0)
    # Without an end the period is ongoing, unless it is said not to be: then it ends on some day that nobody knows.
    stopped = (frame["ongoing"] == False).fillna(False).to_numpy(dtype=bool)  # noqa: E712 - missing is not False here
    end_low = np.where(end.known, end.low, np.where(stopped, start.high, _NEVER))
    end_high = np.where(end.known, end.high, _NEVER)
    shared = int(threshold["shared_days"])
    certain = _overlaps(person, start.high, end_low, main, shared)
    possible = _overlaps(person, start.low, end_high, main, shared)
    settled = np.isin(person, person[certain])
    values = {"shared_days": shared}
    return Outcome(int(main.sum()), at("assignments", "start", certain, possible & ~settled, values))


def _ends(data: Data, column: str, names: list[str]) -> Outcome:
    """Compare an end with the start in each of some tables."""
    outcome = NOTHING
    for name in names:
        if data.has(name, column):
            outcome += _after(name, column, "start", data)
        elif name in data.tables:
            outcome += Outcome(0, columns=((name, column),))
    return outcome


def _after(name: str, later: str, earlier: str, data: Data) -> Outcome:
    """Look for rows whose later date is before the earlier one; the later date is the place."""
    if not data.has(name, later):
        return Outcome(0, columns=((name, later),))
    both, certain, unsure = data.bounds(name, later).before(data.bounds(name, earlier))
    return Outcome(int(both.sum()), at(name, later, certain, unsure))


def _overlaps(person: Days, start: Days, end: Days, take: Mask, shared: int) -> Mask:
    """Return the rows that share more than some days with an earlier row of the same person."""
    rows = np.flatnonzero(take)
    order = rows[in_order(person[rows], start[rows])]
    latest = pd.Series(end[order]).groupby(person[order]).agg("cummax").groupby(person[order]).shift()
    common = np.minimum(latest.fillna(-_NEVER).to_numpy(dtype=np.int64), end[order]) - start[order] + 1
    found = np.zeros(len(person), dtype=bool)
    found[order[common > shared]] = True
    return found
