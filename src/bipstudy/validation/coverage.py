"""Rules on what is there and what is not: pairs of forms, the three-month plan, forms not done, empty months."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Bounds, Days, Mask
from bipstudy.validation.data import Data, in_order
from bipstudy.validation.forms import form_status, misnumbered
from bipstudy.validation.rules import NOTHING, Hits, Outcome, at, check
from bipstudy.validation.structure import column_label

_ORGANISATION = ("organisation_id",)
_PERSON = ("organisation_id", "participant_id")
_OCCASION = (*_PERSON, "occasion")
# Dates that others set, or that are often set to the first of a month.
_SET_DATES = {"due_on", "planned_end", "joined_on", "observed_until"}


@check
def form_without_partner(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for occasions that one respondent answered and on which the other has no form at all."""
    group = data.groups("measurements", _OCCASION)
    both_asked = data.holds("measurements", "instrument", *_two_sided())
    taken = (group >= 0) & (data.distinct("measurements", "respondent")[0] >= 0)
    theirs = data.holds("measurements", "respondent", "participant")
    number = pd.factorize(group)[0]
    sides = [np.bincount(number[taken & side], minlength=len(number))[number] > 0 for side in (theirs, ~theirs)]
    answered = taken & both_asked & form_status(data, "answered")
    alone = answered & ~(sides[0] & sides[1])
    return Outcome(int(answered.sum()), at("measurements", "respondent", alone))


@check
def few_pairs(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the share of occasions that both respondents answered with the least that is useful."""
    group = data.groups("measurements", _OCCASION)
    two_sided = data.holds("measurements", "instrument", *_two_sided())
    taken = np.flatnonzero(form_status(data, "answered") & (group >= 0) & two_sided)
    theirs = data.holds("measurements", "respondent", "participant")[taken]
    forms = pd.DataFrame({"group": group[taken], "row": taken, "mine": theirs, "other": ~theirs})
    occasions = forms.groupby("group", sort=False).agg({"row": "first", "mine": "any", "other": "any"})
    paired = (occasions["mine"] & occasions["other"]).to_numpy(dtype=bool)
    return _shares(data, occasions["row"].to_numpy(dtype=np.int64), ~paired, "respondent", threshold)


@check
def many_declined(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the share of forms that were declined with the largest that is usual."""
    declined = form_status(data, "declined")
    return _shares(data, np.arange(len(declined)), declined, "form_status", threshold)


@check
def many_not_reached(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the share of forms that were not reached or not done with the largest that is usual."""
    silent = form_status(data, "not_reached", "not_done")
    return _shares(data, np.arange(len(silent)), silent, "form_status", threshold)


@check
def occasion_skipped(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for numbers of occasions that a participant's forms leave out."""
    occasion = data.tables["measurements"]["occasion"]
    person = data.groups("measurements", _PERSON)
    number = occasion.to_numpy(dtype=np.int64, na_value=0)
    # Of a participant who is not there, another rule tells.
    here = data.lookup("measurements", "participants", _PERSON) >= 0 if "participants" in data.tables else person >= 0
    taken = np.flatnonzero(occasion.notna().to_numpy(dtype=bool) & here & ~misnumbered(data))
    order = taken[in_order(person[taken], number[taken])]
    first = np.diff(person[order], prepend=-2) != 0
    step = np.where(first, number[order], np.diff(number[order], prepend=0))
    found = np.zeros(len(person), dtype=bool)
    found[order[step > 1]] = True
    return Outcome(len(taken), at("measurements", "occasion", found))


@check
def no_recent_occasion(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the last occasion of each participant with the end of the time in the programme."""
    if not data.has("participants", "left_on"):
        return Outcome(0, columns=(("participants", "left_on"),))
    forms = _last_form(data)
    until = _in_programme_until(data)
    # Nobody is measured after the first day in work or study.
    moved = _first_outcome(data)
    last = forms.shifted(int(threshold["longest_days"]))
    both, certain, unsure = last.before(
        Bounds(np.minimum(until.low, moved), np.minimum(until.high, moved), until.known)
    )
    values: dict[str, object] = {"longest_days": int(threshold["longest_days"])}
    return Outcome(int(both.sum()), at("participants", "participant_id", certain, unsure, values))


@check
def participant_without_form(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for participants who were in the programme for long and have no form, of whatever status."""
    person = data.groups("participants", _PERSON)
    has_form = np.isin(person, data.groups("measurements", _PERSON))
    entered = data.bounds("participants", "entered_on").shifted(int(threshold["longest_days"]))
    both, long, maybe_long = entered.before(_in_programme_until(data))
    values: dict[str, object] = {"longest_days": int(threshold["longest_days"])}
    taken = both & (person >= 0) & ~has_form
    return Outcome(int(both.sum()), at("participants", "participant_id", taken & long, taken & maybe_long, values))


@check
def participant_without_caseworker(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for participants who never have a main caseworker."""
    person = data.groups("participants", _PERSON)
    main = (data.tables["assignments"]["responsibility"] == "main").to_numpy(dtype=bool)
    has = np.isin(person, data.groups("assignments", _PERSON)[main])
    return Outcome(int((person >= 0).sum()), at("participants", "participant_id", (person >= 0) & ~has))


@check
def late_register_months(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the outcomes that begin in the last months before the end of the register with the months before."""
    start, owner = data.bounds("outcomes", "start"), data.lookup("outcomes", "participants", _PERSON)
    register = (data.tables["outcomes"]["source"] == "register").to_numpy(dtype=bool) & start.known & (owner >= 0)
    followed = (data.tables["participants"]["outcome_follow_up"] == "register").to_numpy(dtype=bool)
    entered, until = (data.bounds("participants", name) for name in ("entered_on", "observed_until"))
    late, compared = int(threshold["late_days"]), int(threshold["compared_days"])
    outcome = NOTHING
    for _, rows in _by_organisation(data, "participants", np.flatnonzero(followed & entered.known & until.known)):
        end = int(until.high[rows].max())
        mine = register & np.isin(owner, rows)
        begins = (start.low[mine] + start.high[mine]) // 2
        found, days = _in_window(begins, entered.low[rows], until.high[rows], end - late, end)
        before, days_before = _in_window(begins, entered.low[rows], until.high[rows], end - late - compared, end - late)
        expected = before * days / days_before if days_before else 0.0
        if expected < threshold["expected"]:
            continue
        values = {"months": round(late / 30.4), "found": found, "expected": round(expected)}
        hit = Hits("outcomes", None, "start", values=values, count=int(mine.sum()))
        outcome += Outcome(int(mine.sum()), (hit,) if _so_few(found, expected) < threshold["chance"] else ())
    return outcome if outcome.checked else Outcome(0, reason="reason_few")


@check
def seasonal_hole(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the answers of each month with those of the months around it."""
    answered = data.bounds("measurements", "answered_on")
    months = pd.Series((answered.low.astype("datetime64[D]")).astype("datetime64[M]").astype(np.int64))
    exact = answered.known & (months.to_numpy() == _month(answered.high)) & form_status(data, "answered")
    outcome = NOTHING
    for _, rows in _by_organisation(data, "measurements", np.flatnonzero(exact)):
        counts = months.iloc[rows].value_counts().sort_index()
        every = counts.reindex(range(int(counts.index[0]), int(counts.index[-1]) + 1), fill_value=0)
        around = _around(every.to_numpy(dtype=np.float64))
        judged = around >= threshold["expected"]
        holes = [
            month
            for month, found, expected, is_judged in zip(every.index, every, around, judged, strict=True)
            if is_judged and found <= threshold["share"] * expected
        ]
        values = {"months": ", ".join(str(np.datetime64(int(month), "M")) for month in holes)}
        hits = (Hits("measurements", None, "answered_on", values=values, count=len(rows)),) if holes else ()
        outcome += Outcome(len(rows) if judged.any() else 0, hits)
    return outcome if outcome.checked else Outcome(0, reason="reason_few")


@check
def dates_on_the_first(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for columns of dates to the day that mostly fall on the first of a month."""
    outcome = NOTHING
    for name, frame in data.tables.items():
        for column in schema.table(name).columns:
            if column.kind != "date" or column.name in _SET_DATES:
                continue
            bounds = data.bounds(name, column.name)
            days = bounds.low[bounds.known & (bounds.low == bounds.high)].astype("datetime64[D]")
            if len(days) < threshold["dates"]:
                continue
            first = days == days.astype("datetime64[M]")
            values = {"column_label": column_label(name, column.name), "per_cent": round(100 * first.mean())}
            many = first.mean() > threshold["share"]
            hits = (Hits(name, None, column.name, values=values, count=int(first.sum())),) if many else ()
            outcome += Outcome(len(frame), hits)
    return outcome if outcome.checked else Outcome(0, reason="reason_few")


def _two_sided() -> list[str]:
    """Return the questionnaires that ask both respondents."""
    both = schema.code_list("respondent").values
    return [name for name, each in schema.instruments().items() if all(each.asked_of(one) for one in both)]


def _by_organisation(data: Data, table: str, rows: Days) -> Iterator[tuple[int, Days]]:
    """Yield the number of each organisation and its rows, in the order in which the organisations first appear."""
    organisation = data.groups(table, _ORGANISATION)[rows]
    for number in pd.unique(organisation[organisation >= 0]):
        yield int(number), rows[organisation == number]


def _shares(data: Data, rows: Days, marked: Mask, column: str, threshold: Mapping[str, float]) -> Outcome:
    """Compare the share of marked rows in each organisation with a threshold; too few rows are not judged."""
    flags, outcome = np.zeros(len(data.tables["measurements"]), dtype=bool), NOTHING
    flags[rows[marked]] = True
    for _, here in _by_organisation(data, "measurements", rows):
        if len(here) < threshold["at_least"]:
            continue
        share = float(flags[here].mean())
        values = {"per_cent": round(100 * share), "limit": round(100 * threshold["share"])}
        hit = Hits("measurements", None, column, values=values, count=int(flags[here].sum()))
        outcome += Outcome(len(here), (hit,) if share > threshold["share"] else ())
    return outcome if outcome.checked else Outcome(0, reason="reason_few")


def _last_form(data: Data) -> Bounds:
    """Return the last day on which each participant had a form, done or due."""
    answered = data.bounds("measurements", "answered_on")
    parts = [answered]
    if data.has("measurements", "due_on"):
        parts.append(data.bounds("measurements", "due_on"))
    low = np.maximum.reduce([np.where(part.known, part.low, np.iinfo(np.int64).min) for part in parts])
    high = np.maximum.reduce([np.where(part.known, part.high, np.iinfo(np.int64).min) for part in parts])
    taken = np.logical_or.reduce([part.known for part in parts])
    person = data.groups("measurements", _PERSON)
    last = pd.DataFrame({"low": low, "high": high})[taken].groupby(person[taken]).max()
    found = last.reindex(data.groups("participants", _PERSON))
    known = found["low"].notna().to_numpy(dtype=bool)
    low, high = (found[side].fillna(0).to_numpy(dtype=np.int64) for side in ("low", "high"))
    return Bounds(low, high, known)


def _in_programme_until(data: Data) -> Bounds:
    """Return the last day on which each participant was known to be in the programme."""
    until, left = data.bounds("participants", "observed_until"), data.bounds("participants", "left_on")
    low = np.where(left.known, np.minimum(left.low, until.low), until.low)
    high = np.where(left.known, np.minimum(left.high, until.high), until.high)
    return Bounds(low, high, until.known)


def _first_outcome(data: Data) -> Days:
    """Return the first day of work or study of each participant after entry, far ahead where there is none."""
    count, never = len(data.tables["participants"]), 10**8
    if "outcomes" not in data.tables:
        return np.full(count, never)
    start, owner = data.bounds("outcomes", "start"), data.lookup("outcomes", "participants", _PERSON)
    entered = data.bounds("participants", "entered_on")
    counts = [code.value for code in schema.code_list("outcome_status").codes if code.cause is not None]
    work_or_study = data.tables["outcomes"]["status"].isin(counts).to_numpy(dtype=bool)
    taken = np.flatnonzero(start.known & (owner >= 0) & work_or_study)
    taken = taken[start.high[taken] >= entered.low[owner[taken]]]
    found = np.full(count, never, dtype=np.int64)
    np.minimum.at(found, owner[taken], start.low[taken])
    return found


def _in_window(begins: Days, entered: Days, until: Days, first: int, last: int) -> tuple[int, int]:
    """Return the spells that begin after one day and until another, and the days of people followed between them."""
    days = np.clip(np.minimum(until, last) - np.maximum(entered, first), 0, None)
    return int(((begins > first) & (begins <= last)).sum()), int(days.sum())


def _so_few(found: int, expected: float) -> float:
    """Return the probability of so few events where so many are expected, by the Poisson distribution."""
    from scipy.special import pdtr

    return float(pdtr(found, expected))


def _month(days: Days) -> Days:
    """Return the month of each day as a number."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _around(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean of the month before and after each; the first and last month have none."""
    around = np.zeros(len(counts))
    around[1:-1] = (counts[:-2] + counts[2:]) / 2
    return around
