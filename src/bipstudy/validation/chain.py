"""Rules on the chain of events: enter, be assigned, be measured, act, reach an outcome, leave, be observed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Bounds, Mask
from bipstudy.validation.data import Data
from bipstudy.validation.rules import NOTHING, Outcome, at, check
from bipstudy.validation.structure import column_label

_PERSON = ("organisation_id", "participant_id")
_WORKER = ("organisation_id", "caseworker_id")
# What may lie long before the study: earlier jobs, and the day an organisation joined something.
_MAY_BE_OLD = {("outcomes", "start"), ("outcomes", "end"), ("organisations", "joined_on")}
_EVENTS = (("assignments", "start"), ("measurements", "answered_on"), ("activities", "start"), ("outcomes", "start"))


@check
def assignment_before_entry(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the start of each assignment with the day its participant entered."""
    return _before_entry("assignments", data, threshold)


@check
def activity_before_entry(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the start of each activity with the day its participant entered."""
    return _before_entry("activities", data, threshold)


@check
def answer_before_assignment(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare each answer with the first day that its participant had a caseworker."""
    start, owner = data.bounds("assignments", "start"), data.groups("assignments", _PERSON)
    taken = start.known & (owner >= 0)
    earliest = pd.DataFrame({"low": start.low, "high": start.high})[taken].groupby(owner[taken]).min()
    day = earliest.reindex(data.groups("measurements", _PERSON))
    known = day["low"].notna().to_numpy(dtype=bool)
    low, high = (day[side].fillna(0).to_numpy(dtype=np.int64) for side in ("low", "high"))
    answered = data.bounds("measurements", "answered_on").shifted(int(threshold["longest_days"]))
    # An answer before entry is said by the rule on entry.
    entered = _of_person(data, "measurements", "entered_on")
    _, early, unsure_entry = data.bounds("measurements", "answered_on").before(entered)
    both, certain, unsure = answered.before(Bounds(low, high, known))
    told = early | unsure_entry
    values = _whole(threshold)
    return Outcome(int(both.sum()), at("measurements", "answered_on", certain & ~told, unsure & ~told, values))


@check
def answer_after_leaving(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare each answer with the day its participant left."""
    return _after_leaving("measurements", "answered_on", data, threshold)


@check
def activity_after_leaving(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the start of each activity with the day its participant left."""
    return _after_leaving("activities", "start", data, threshold)


@check
def assignment_after_leaving(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the start of each assignment with the day its participant left."""
    return _after_leaving("assignments", "start", data, threshold)


@check
def outcome_after_observed_until(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the start of each outcome with the last day for which its participant's outcomes are known."""
    until = _sound(data, "outcomes", "observed_until")
    dead = _reason_is(data, "outcomes", "died")
    both, certain, unsure = until.before(data.bounds("outcomes", "start"))
    return Outcome(int(both.sum()), at("outcomes", "start", certain & ~dead, unsure & ~dead))


@check
def event_after_death(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare everything that happens to a participant with the day of death, where the follow-up ended with it."""
    outcome = NOTHING
    for name, column in _EVENTS:
        if name not in data.tables:
            continue
        dead = _reason_is(data, name, "died")
        both, certain, unsure = _sound(data, name, "observed_until").before(data.bounds(name, column))
        values = {"column_label": column_label(name, column), "table_label": schema.table(name).label}
        outcome += Outcome(int((both & dead).sum()), at(name, column, certain & dead, unsure & dead, values))
    return outcome


@check
def role_after_assignment(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the year in which a caseworker took the role with the year of the first participant."""
    if not data.has("caseworkers", "in_role_since"):
        return Outcome(0, columns=(("caseworkers", "in_role_since"),))
    start, owner = data.bounds("assignments", "start"), data.groups("assignments", _WORKER)
    taken = start.known & (owner >= 0)
    first = pd.Series(start.high[taken]).groupby(owner[taken]).min()
    days = first.reindex(data.groups("caseworkers", _WORKER)).to_numpy(dtype=np.float64)
    since = data.tables["caseworkers"]["in_role_since"].to_numpy(dtype="float64", na_value=np.nan)
    both = ~np.isnan(days) & ~np.isnan(since)
    years = np.where(both, days, 0).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return Outcome(int(both.sum()), at("caseworkers", "in_role_since", both & (np.where(both, since, 0) > years)))


@check
def left_reason_without_date(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for participants with a reason for leaving and no day on which they left."""
    if not data.has("participants", "left_on", "left_reason"):
        return Outcome(0, columns=(("participants", "left_on"), ("participants", "left_reason")))
    said = data.tables["participants"]["left_reason"].notna().to_numpy(dtype=bool)
    return Outcome(int(said.sum()), at("participants", "left_on", said & ~data.bounds("participants", "left_on").known))


@check
def date_long_ago(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for dates before the year in which the earliest data can have been collected."""
    first = int(np.datetime64(f"{int(threshold['earliest_year'])}-01-01", "D").astype(np.int64))
    outcome = NOTHING
    for name in data.tables:
        for column in schema.table(name).columns:
            if column.kind != "date" or (name, column.name) in _MAY_BE_OLD:
                continue
            bounds = data.bounds(name, column.name)
            values = {"column_label": column_label(name, column.name), **_whole(threshold)}
            early = bounds.known & (bounds.high < first)
            outcome += Outcome(int(bounds.known.sum()), at(name, column.name, early, values=values))
    return outcome


def _whole(threshold: Mapping[str, float]) -> dict[str, object]:
    """Return thresholds as whole numbers for a message."""
    return {name: int(number) for name, number in threshold.items()}


def _of_person(data: Data, table: str, column: str) -> Bounds:
    """Return a date of the participant of each row of a table."""
    return data.bounds("participants", column).take(data.lookup(table, "participants", _PERSON))


def _sound(data: Data, table: str, column: str) -> Bounds:
    """Return a date of the participant of each row, unknown where it lies before entry, which another rule says."""
    late = data.bounds("participants", column)
    _, wrong, _ = late.before(data.bounds("participants", "entered_on"))
    sound = Bounds(late.low, late.high, late.known & ~wrong)
    return sound.take(data.lookup(table, "participants", _PERSON))


def _reason_is(data: Data, table: str, reason: str) -> Mask:
    """Say of each row whether the follow-up of its participant ended for a reason."""
    holds = (data.tables["participants"]["observed_until_reason"] == reason).to_numpy(dtype=bool)
    rows = data.lookup(table, "participants", _PERSON)
    found: Mask = holds[rows] & (rows >= 0)
    return found


def _before_entry(name: str, data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for spells that start more than some days before their participant entered."""
    start = data.bounds(name, "start").shifted(int(threshold["longest_days"]))
    both, certain, unsure = start.before(_of_person(data, name, "entered_on"))
    return Outcome(int(both.sum()), at(name, "start", certain, unsure, _whole(threshold)))


def _after_leaving(name: str, column: str, data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for events more than some days after their participant left; after a death another rule speaks."""
    if not data.has("participants", "left_on"):
        return Outcome(0, columns=(("participants", "left_on"),))
    left = _sound(data, name, "left_on").shifted(int(threshold["longest_days"]))
    dead = _reason_is(data, name, "died")
    both, certain, unsure = left.before(data.bounds(name, column))
    return Outcome(int(both.sum()), at(name, column, certain & ~dead, unsure & ~dead, _whole(threshold)))
