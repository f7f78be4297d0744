"""Rules on what different columns, tables and sources say of the same thing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Bounds, Days, Mask
from bipstudy.validation.data import Data, in_order
from bipstudy.validation.forms import form_status
from bipstudy.validation.rules import NOTHING, Outcome, at, check
from bipstudy.validation.structure import column_label

_PERSON = ("organisation_id", "participant_id")
_FORM = (*_PERSON, "occasion", "respondent", "instrument")
# The day on which a code was used.
_USED_ON = {
    "participants": "entered_on",
    "assignments": "start",
    "trainings": "held_on",
    "measurements": "answered_on",
    "activities": "start",
    "outcomes": "start",
}
_USED_AT_END = {"left_reason": "left_on", "end_reason": "end", "change_reason": "end"}
_FOREVER = 10**8
_LEFT_TO = {"to_work": "work", "to_study": "study"}


@check
def code_outside_its_dates(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the day on which each code was used with the days on which it is used."""
    outcome = NOTHING
    for name in data.tables:
        for column in schema.table(name).columns:
            if column.codes is None or name not in _USED_ON:
                continue
            used = data.bounds(name, _USED_AT_END.get(column.name, _USED_ON[name]))
            for code in schema.code_list(column.codes).codes:
                if code.valid_from is None and code.valid_to is None:
                    continue
                first, last = _day(code.valid_from, -_FOREVER), _day(code.valid_to, _FOREVER)
                here = used.known & data.holds(name, column.name, code.value)
                certain = here & ((used.high < first) | (used.low > last))
                unsure = here & ~certain & ((used.low < first) | (used.high > last))
                values = {"column_label": column_label(name, column.name)}
                outcome += Outcome(int(here.sum()), at(name, column.name, certain, unsure, values))
    return outcome


@check
def sources_disagree(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for spells of two sources that share time and differ in kind or in start; the lower source is the place."""
    if data.tables["outcomes"]["source"].nunique() < 2:
        return Outcome(0, reason="reason_one_source")
    spells = _ranked_spells(data)
    pairs = spells.merge(spells, on=["person", "cause"], suffixes=("", "_other"))
    pairs = pairs[pairs["rank"] > pairs["rank_other"]]
    shared, longest = int(threshold["shared_days"]), int(threshold["longest_days"])
    common = np.minimum(pairs["end"], pairs["end_other"]) - np.maximum(pairs["high"], pairs["high_other"]) + 1
    apart = np.maximum(pairs["low"] - pairs["high_other"], pairs["low_other"] - pairs["high"])
    differ = (pairs["status"] != pairs["status_other"]) | (apart > longest)
    bad = pairs[(common > shared) & differ]
    # A spell that agrees with one of the higher source is in order, whatever the others say.
    agrees = pairs[(common > shared) & ~differ]
    rows = np.setdiff1d(bad["row"].to_numpy(dtype=np.int64), agrees["row"].to_numpy(dtype=np.int64))
    found = np.zeros(len(data.tables["outcomes"]), dtype=bool)
    found[rows] = True
    values: dict[str, object] = {"longest_days": longest}
    reason = None if len(pairs) else "reason_one_source"
    return Outcome(int(pairs["row"].nunique()), at("outcomes", "source", found, values=values), reason=reason)


@check
def same_spell_twice(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for activities and outcomes that stand twice under different numbers."""
    outcome = NOTHING
    for name, own in (("activities", "activity_id"), ("outcomes", "outcome_id")):
        if name not in data.tables:
            continue
        frame = data.tables[name]
        person = data.groups(name, _PERSON)
        known = (person >= 0) & data.bounds(name, "start").known
        rest = [column for column in frame if column != own]
        # Only rows that begin together can be the same; the whole row is compared for those few alone.
        start = pd.DataFrame({"person": person, "start": data.bounds(name, "start").low})
        rows = np.flatnonzero(known & start.duplicated(keep=False).to_numpy())
        few = frame.iloc[rows]
        again = few.duplicated(subset=rest).to_numpy() & ~few.duplicated(subset=[*_PERSON, own]).to_numpy()
        found = np.zeros(len(frame), dtype=bool)
        found[rows[again]] = True
        values = {"table_label": schema.table(name).label}
        outcome += Outcome(int(known.sum()), at(name, None, found, values=values))
    return outcome


@check
def length_contradicts_dates(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare what is said of the length of each outcome with its dates."""
    if not data.has("outcomes", "lasted_a_month", "end"):
        return Outcome(0, columns=(("outcomes", "lasted_a_month"), ("outcomes", "end")))
    said = data.tables["outcomes"]["lasted_a_month"]
    start, end = data.bounds("outcomes", "start"), data.bounds("outcomes", "end")
    _, reversed_, _ = end.before(start)
    both = start.known & end.known & said.isin(["yes", "no"]).to_numpy(dtype=bool) & ~reversed_
    days = schema.transition("primary").minimum_days
    too_short = (said == "yes").to_numpy(dtype=bool) & (end.high - start.low + 1 < days)
    too_long = (said == "no").to_numpy(dtype=bool) & (end.low - start.high + 1 >= days)
    values: dict[str, object] = {"days": days}
    return Outcome(int(both.sum()), at("outcomes", "lasted_a_month", both & (too_short | too_long), values=values))


@check
def extent_as_share(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for extents that were written as shares of full time and not in percent."""
    if not data.has("outcomes", "extent_percent"):
        return Outcome(0, columns=(("outcomes", "extent_percent"),))
    said = data.tables["outcomes"]["extent_percent"]
    share = ((said > 0) & (said <= 1)).to_numpy(dtype=bool)
    return Outcome(int(said.notna().sum()), at("outcomes", "extent_percent", share))


@check
def second_focus_repeats(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for activities whose second focus is the first again."""
    if not data.has("activities", "second_focus"):
        return Outcome(0, columns=(("activities", "second_focus"),))
    frame = data.tables["activities"]
    has = frame["second_focus"].notna().to_numpy(dtype=bool)
    same = has & (frame["second_focus"] == frame["focus"]).to_numpy(dtype=bool)
    return Outcome(int(has.sum()), at("activities", "second_focus", same))


@check
def left_to_work_without_outcome(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for participants who left to work or study, of which no outcome around that day tells.

    Where that depends on days that nobody knows, as the end of a spell that is not said to be ongoing, it is unchecked.
    """
    if not data.has("participants", "left_on", "left_reason"):
        return Outcome(0, columns=(("participants", "left_on"), ("participants", "left_reason")))
    left, reason = data.bounds("participants", "left_on"), data.tables["participants"]["left_reason"]
    _, reversed_, _ = left.before(data.bounds("participants", "entered_on"))
    taken = reason.isin(list(_LEFT_TO)).to_numpy(dtype=bool) & left.known & ~reversed_
    person, owner = data.groups("participants", _PERSON), data.lookup("outcomes", "participants", _PERSON)
    cause = data.tables["outcomes"]["status"].map(_causes()).to_numpy(dtype=object)
    known = (owner >= 0) & data.bounds("outcomes", "start").known
    margin = int(threshold["longest_days"])
    whole, part = (Bounds(each.low - margin, each.high + margin, known) for each in _spans(data))
    missed, unsure = np.zeros(len(reason), dtype=bool), np.zeros(len(reason), dtype=bool)
    for said, kind in _LEFT_TO.items():
        own = np.flatnonzero(known & (cause == kind))
        who = owner[own]
        possible = who[(part.low[own] <= left.high[who]) & (part.high[own] >= left.low[who])]
        certain = _covering(who, whole.take(own), left)
        here = taken & (reason == said).to_numpy(dtype=bool)
        missed |= here & ~np.isin(person, person[possible])
        unsure |= here & np.isin(person, person[possible]) & ~np.isin(person, person[certain])
    values: dict[str, object] = {"longest_days": margin}
    return Outcome(int(taken.sum()), at("participants", "left_reason", missed, unsure, values))


@check
def missing_answer_on_unanswered_form(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for reasons for a missing answer on forms that were not answered at all."""
    form = data.lookup("missing_answers", "measurements", _FORM)
    unanswered = form_status(data, "declined", "not_reached", "not_done")[form] & (form >= 0)
    return Outcome(int((form >= 0).sum()), at("missing_answers", "reason", unanswered))


def _day(date: object, otherwise: int) -> int:
    """Return a date as days since 1970."""
    return otherwise if date is None else int(np.datetime64(str(date), "D").astype(np.int64))


def _causes() -> dict[str, str]:
    """Return what each kind of outcome is, work or study; others are left out."""
    return {code.value: code.cause for code in schema.code_list("outcome_status").codes if code.cause is not None}


def _end(data: Data, start: Bounds) -> Days:
    """Return the last day that each outcome surely has, far ahead for one that is ongoing."""
    end = data.bounds("outcomes", "end")
    ongoing: Mask = data.tables["outcomes"]["ongoing"].fillna(False).to_numpy(dtype=bool)
    return np.where(end.known, end.low, np.where(ongoing, _FOREVER, start.high))


def _spans(data: Data) -> tuple[Bounds, Bounds]:
    """Return the days on which each outcome surely runs, last before first where none is; and those on which it may."""
    start, end = data.bounds("outcomes", "start"), data.bounds("outcomes", "end")
    ongoing: Mask = data.tables["outcomes"]["ongoing"].fillna(False).to_numpy(dtype=bool)
    # Without an end, and not said to be ongoing, a spell may have ended at once or run still.
    least = np.where(end.known, np.maximum(end.low, start.low), np.where(ongoing, _FOREVER, start.low))
    most = np.where(end.known, end.high, _FOREVER)
    return Bounds(start.high, least, start.known), Bounds(start.low, most, start.known)


def _covering(owner: Days, spells: Bounds, left: Bounds) -> Days:
    """Return the participants whose spells, one or several that meet, hold every day on which they may have left."""
    some = spells.low <= spells.high
    order = in_order(owner[some], spells.low[some])
    frame = pd.DataFrame({"owner": owner[some], "low": spells.low[some], "high": spells.high[some]}).iloc[order]
    reached = frame.groupby("owner")["high"].cummax().groupby(frame["owner"]).shift()
    begins = reached.isna() | (frame["low"] > reached + 1)
    blocks = frame.groupby(begins.cumsum()).agg({"owner": "first", "low": "min", "high": "max"})
    who = blocks["owner"].to_numpy(dtype=np.int64)
    holds = (blocks["low"].to_numpy() <= left.low[who]) & (blocks["high"].to_numpy() >= left.high[who])
    found: Days = who[holds]
    return found


def _ranked_spells(data: Data) -> pd.DataFrame:
    """Return the outcomes of participants whom several sources know, with their source's rank from 0."""
    frame, start = data.tables["outcomes"], data.bounds("outcomes", "start")
    ranks = {source: rank for rank, source in enumerate(schema.code_list("outcome_source").values)}
    person = data.groups("outcomes", _PERSON)
    spells = pd.DataFrame(
        {
            "row": np.arange(len(frame)),
            "person": person,
            "cause": frame["status"].map(_causes()).astype(object),
            "status": frame["status"].astype(object),
            "rank": frame["source"].map(ranks).astype("float64"),
            "low": start.low,
            "high": start.high,
            "end": _end(data, start),
        }
    )
    taken = start.known & (person >= 0) & spells["cause"].notna() & spells["rank"].notna()
    spells = spells[taken]
    sources = spells.groupby(["person", "cause"], sort=False)["rank"].transform("nunique")
    return spells[sources > 1]
