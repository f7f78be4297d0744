"""Rules on forms and answers: scales, respondents, states of a form, and the time between occasions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Days, Mask
from bipstudy.validation.data import Data, in_order
from bipstudy.validation.rules import NOTHING, Hits, Outcome, at, check

_PERSON = ("organisation_id", "participant_id")
_OCCASION = (*_PERSON, "occasion")
_FORM = (*_OCCASION, "respondent", "instrument")
# Answers below this are kept as numbers of 16 bits, with room to add to them.
_NARROW = 30_000


@check
def answer_outside_scale(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare each answer with the scale of its item in the questionnaire of its form."""
    outcome = NOTHING
    for name, instrument, here in _by_instrument(data):
        for item in instrument.items:
            values, given = form_answers(data, item.id)
            outside = here & given & ((values < item.minimum) | (values > item.maximum))
            about = {"item_label": item.label, "minimum": item.minimum, "maximum": item.maximum, "instrument": name}
            outcome += Outcome(int((here & given).sum()), at("measurements", item.id, outside, values=about))
    return outcome


@check
def item_not_in_instrument(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for answers to items that the questionnaire of the form does not have."""
    outcome = NOTHING
    for name, instrument, here in _by_instrument(data):
        own = {item.id for item in instrument.items}
        for item in schema.items().values():
            _, given = form_answers(data, item.id)
            foreign = here & given & (item.id not in own)
            about = {"item_label": item.label, "instrument": name}
            outcome += Outcome(int((here & given).sum()), at("measurements", item.id, foreign, values=about))
    return outcome


@check
def item_of_wrong_respondent(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for answers to items that the respondent of the form is not asked."""
    somebody = data.holds("measurements", "respondent", *schema.code_list("respondent").values)
    outcome = NOTHING
    for _, instrument, here in _by_instrument(data):
        for item in instrument.items:
            _, given = form_answers(data, item.id)
            asked = data.holds("measurements", "respondent", *item.respondents)
            known = here & given & somebody
            outcome += Outcome(
                int(known.sum()), at("measurements", item.id, known & ~asked, values={"item_label": item.label})
            )
    return outcome


@check
def answered_without_date(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for answered or declined forms without a date."""
    dated = form_status(data, "answered", "declined")
    return Outcome(int(dated.sum()), at("measurements", "answered_on", dated & ~_has_date(data)))


@check
def answered_without_answer(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for answered forms with neither an answer nor a reason for a missing one."""
    answered = form_status(data, "answered")
    explained = np.zeros(len(answered), dtype=bool)
    if "missing_answers" in data.tables:
        forms = data.lookup("missing_answers", "measurements", _FORM)
        explained[forms[forms >= 0]] = True
    # Of answers that could not be read, that is said.
    missing = answered & ~_any_answer(data) & ~explained & ~data.told("measurements", "not-a-whole-number")
    return Outcome(int(answered.sum()), at("measurements", "form_status", missing))


@check
def answers_on_unanswered_form(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for answers on forms that are declined, not reached or not done."""
    unanswered = form_status(data, "declined", "not_reached", "not_done")
    return Outcome(int(unanswered.sum()), at("measurements", "form_status", unanswered & _any_answer(data)))


@check
def date_on_form_not_done(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for dates of answers on forms that are not reached or not done."""
    unanswered = form_status(data, "not_reached", "not_done")
    return Outcome(int(unanswered.sum()), at("measurements", "answered_on", unanswered & _has_date(data)))


@check
def caseworker_form_without_caseworker(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for forms that a caseworker answered, but which one is not said."""
    frame = data.tables["measurements"]
    if "caseworker_id" in data.absent["measurements"]:
        return Outcome(0, columns=(("measurements", "caseworker_id"),))
    theirs = form_status(data, "answered") & data.holds("measurements", "respondent", "caseworker")
    nameless = theirs & frame["caseworker_id"].isna().to_numpy(dtype=bool)
    return Outcome(int(theirs.sum()), at("measurements", "caseworker_id", nameless))


@check
def missing_answer_has_answer(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for reasons for a missing answer where the answer is there."""
    frame = data.tables["missing_answers"]
    form = data.lookup("missing_answers", "measurements", _FORM)
    found = np.zeros(len(frame), dtype=bool)
    for item in schema.items():
        here = data.holds("missing_answers", "item", item) & (form >= 0)
        found[here] = form_answers(data, item)[1][form[here]]
    return Outcome(int((form >= 0).sum()), at("missing_answers", "item", found))


@check
def interval_far_from_three_months(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the days since the participant's last answered occasion with the plan of three months a step."""
    occasions = _occasions(data)
    same, steps, least, most = _since_last(occasions)
    shortest, longest = threshold["shortest_days"] * steps, threshold["longest_days"] * steps
    # Occasions whose dates run, or may run, against their numbers are told by a rule of their own, as are numbers that
    # are none.
    same &= (most >= 0) & ~misnumbered(data)[occasions["row"].to_numpy(dtype=np.int64)]
    certain = same & (least >= 0) & ((most < shortest) | (least > longest))
    unsure = same & ~certain & ((least < shortest) | (most > longest))
    values = {name: int(days) for name, days in threshold.items()}
    return Outcome(int(same.sum()), _at_occasions(occasions, certain, unsure, values))


@check
def occasions_out_of_order(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the date of each answered occasion with that of the occasion before it by number."""
    occasions = _occasions(data)
    same, _, least, most = _since_last(occasions)
    certain = same & (most < 0)
    return Outcome(int(same.sum()), _at_occasions(occasions, certain, same & (least < 0) & ~certain, {}))


@check
def forms_far_apart(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the days between the forms of one occasion with the longest that still makes a pair."""
    occasions = _occasions(data)
    several = (occasions["forms"] > 1).to_numpy(dtype=bool)
    certain = several & (occasions["low"] - occasions["first_high"] > threshold["longest_days"]).to_numpy(dtype=bool)
    unsure = several & ~certain & (occasions["widest"] > threshold["longest_days"]).to_numpy(dtype=bool)
    values = {"longest_days": int(threshold["longest_days"])}
    return Outcome(int(several.sum()), _at_occasions(occasions, certain, unsure, values))


def _by_instrument(data: Data) -> Iterator[tuple[str, schema.Instrument, Mask]]:
    """Yield each known questionnaire with the forms that use it."""
    for name, instrument in schema.instruments().items():
        yield name, instrument, data.holds("measurements", "instrument", name)


def form_answers(data: Data, item: str) -> tuple[npt.NDArray[np.signedinteger], Mask]:
    """Return the answers to an item as numbers, short ones where they fit, and whether each is there."""
    key = ("answers", item)
    if key not in data.memory:
        column = data.tables["measurements"][item]
        answers = column.to_numpy(dtype=np.int64, na_value=0)
        if len(answers) and answers.min() > -_NARROW and answers.max() < _NARROW:
            answers = answers.astype(np.int16)
        data.memory[key] = answers, column.notna().to_numpy(dtype=bool)
    values, given = data.memory[key]
    return values, given


def _any_answer(data: Data) -> Mask:
    """Return the forms that have at least one answer."""
    some: Mask = np.logical_or.reduce([form_answers(data, item)[1] for item in schema.items()])
    return some


def form_status(data: Data, *statuses: str) -> Mask:
    """Return the forms with one of some statuses."""
    return data.holds("measurements", "form_status", *statuses)


def _has_date(data: Data) -> Mask:
    """Return the forms with a date of answer."""
    return data.bounds("measurements", "answered_on").known


def _occasions(data: Data) -> pd.DataFrame:
    """Return the answered and dated occasions, by person and number.

    Columns: person, occasion, forms (number of), low and high (bounds of the last answer), first_high (last day that
    the first can be), widest (most days that two forms can be apart, 0 where all days are known), row (of the form that
    was answered last, the first in the file among equals).
    """
    if "occasions" not in data.memory:
        frame, answered = data.tables["measurements"], data.bounds("measurements", "answered_on")
        group, person = data.groups("measurements", _OCCASION), data.groups("measurements", _PERSON)
        taken = np.flatnonzero(form_status(data, "answered") & answered.known & (group >= 0))
        occasion = frame["occasion"].to_numpy(dtype=np.int64, na_value=0)
        low, high = answered.low, answered.high
        keys = [person[taken], occasion[taken], -low[taken]]
        if not np.array_equal(low[taken], high[taken]):
            keys.append(-high[taken])
        order = taken[in_order(*keys)]
        starts = np.flatnonzero(np.diff(group[order], prepend=-2))
        latest = order[starts]
        occasions = pd.DataFrame({"person": person[latest], "occasion": occasion[latest], "row": latest})
        occasions["forms"] = np.diff(starts, append=len(order))
        if len(order):
            occasions["low"], occasions["high"] = (np.maximum.reduceat(side[order], starts) for side in (low, high))
            occasions["first_high"] = np.minimum.reduceat(high[order], starts)
        else:
            occasions[["low", "high", "first_high"]] = 0
        forms = pd.DataFrame({"group": group[order], "low": low[order], "high": high[order], "row": order})
        occasions["widest"] = _widest(forms).reindex(group[latest]).fillna(0).to_numpy()
        data.memory["occasions"] = occasions
    found: pd.DataFrame = data.memory["occasions"]
    return found


def misnumbered(data: Data) -> Mask:
    """Say of each form whether an occasion of its participant has a number out of bounds, so that no step is known."""
    column, person = schema.table("measurements").column("occasion"), data.groups("measurements", _PERSON)
    number = data.tables["measurements"]["occasion"]
    wrong = ((number < column.minimum) | (number > column.maximum)).fillna(False).to_numpy(dtype=bool)
    return np.isin(person, person[wrong])


def _since_last(occasions: pd.DataFrame) -> tuple[Mask, Days, Days, Days]:
    """Return which occasions follow one of the same person, how many numbers later, and the least and most days."""
    person, number, low, high = (occasions[name].to_numpy() for name in ("person", "occasion", "low", "high"))
    same = np.diff(person, prepend=-2) == 0
    return same, np.diff(number, prepend=0), low - np.roll(high, 1), high - np.roll(low, 1)


def _widest(forms: pd.DataFrame) -> pd.Series:
    """Return the most days that two forms of an occasion can be apart, for those with a date that is not exact."""
    coarse = forms[forms["group"].isin(forms.loc[forms["low"] != forms["high"], "group"])]
    pairs = coarse.merge(coarse, on="group", suffixes=("", "_other"))
    pairs = pairs[pairs["row"] != pairs["row_other"]]
    return (pairs["high"] - pairs["low_other"]).groupby(pairs["group"]).max()


def _at_occasions(
    occasions: pd.DataFrame, certain: Mask, unsure: Mask, values: Mapping[str, object]
) -> tuple[Hits, ...]:
    """Return the hits at the last answered form of each occasion."""
    rows = occasions["row"].to_numpy(dtype=np.int64)
    return tuple(
        Hits("measurements", np.sort(rows[mask]), "answered_on", status, values)
        for status, mask in (("invalid", certain), ("unchecked", unsure))
        if mask.any()
    )
