"""Rules on how plausible answers are across items, occasions and people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Days, Mask
from bipstudy.validation.data import Data, in_order
from bipstudy.validation.forms import form_answers, form_status
from bipstudy.validation.rules import NOTHING, Hits, Outcome, at, check

_RESPONDENT = ("organisation_id", "participant_id", "respondent", "instrument")
_WORKER = ("organisation_id", "caseworker_id")
_PERSON = ("organisation_id", "participant_id")
_PRIME = np.uint64(1_000_003)


@dataclass(frozen=True)
class Pattern:
    """What the answers of each form look like.

    Attributes
    ----------
    given : (n,) int array
        Items with an answer.
    straight : (n,) bool array
        Whether all answers are the same.
    number : (n,) uint64 array
        Equal for forms with the same answers to the same items.
    """

    given: Days
    straight: Mask
    number: npt.NDArray[np.uint64]


@check
def straight_lining(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for the same answer to every item, on several occasions in a row."""
    pattern, order, follows = _sequences(data, threshold)
    straight = pattern.straight[order]
    runs = _runs(straight, follows)
    found = _rows(order, straight & (runs >= threshold["occasions"]), len(pattern.given))
    return Outcome(len(order), at("measurements", None, found, values=_whole(threshold)))


@check
def copied_answers(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for forms with the same answers as on the occasion before, several times in a row."""
    pattern, order, follows = _sequences(data, threshold)
    number, straight = pattern.number[order], pattern.straight[order]
    same = follows & (number == np.roll(number, 1)) & ~straight
    runs = _runs(same, follows)
    found = _rows(order, same & (runs >= threshold["times"]), len(pattern.given))
    return Outcome(int(follows.sum()), at("measurements", None, found, values=_whole(threshold)))


@check
def answers_jump(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for forms whose answers all moved far since the occasion before."""
    pattern, order, follows = _sequences(data, threshold)
    moved, common = np.zeros(len(order)), np.zeros(len(order), dtype=np.int64)
    for where, steps, both in _steps(data, order, follows):
        moved[where], common[where] = steps, both
    enough = follows & (common >= threshold["items"])
    far = enough & (np.abs(moved) >= threshold["share_of_scale"] * np.maximum(common, 1) - 1e-9)
    values: dict[str, object] = {"per_cent": round(100 * threshold["share_of_scale"])}
    found = _rows(order, far, len(pattern.given))
    return Outcome(int(enough.sum()), at("measurements", None, found, values=values))


@check
def same_answers_for_many(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for the same answers by one caseworker about several participants on one day."""
    if "caseworker_id" in data.absent["measurements"]:
        return Outcome(0, columns=(("measurements", "caseworker_id"),))
    pattern, answered = _pattern(data), data.bounds("measurements", "answered_on")
    worker = data.groups("measurements", _WORKER)
    theirs = data.holds("measurements", "respondent", "caseworker")
    exact = answered.known & (answered.low == answered.high)
    taken = np.flatnonzero(
        theirs & exact & (worker >= 0) & form_status(data, "answered") & (pattern.given >= threshold["items"])
    )
    key = {"worker": worker[taken], "day": answered.low[taken], "number": pattern.number[taken]}
    # Forms whose mixed numbers stand on fewer rows than that are not counted by participant.
    mixed = (key["worker"].astype(np.uint64) * _PRIME + key["day"].astype(np.uint64)) * _PRIME + key["number"]
    alike = pd.factorize(mixed)[0]
    several = np.flatnonzero(np.bincount(alike)[alike] >= threshold["participants"])
    frame = pd.DataFrame({name: values[several] for name, values in key.items()})
    frame["person"] = data.groups("measurements", _PERSON)[taken[several]]
    people = np.zeros(len(taken), dtype=np.int64)
    people[several] = frame.groupby(list(key), sort=False)["person"].transform("nunique").to_numpy(dtype=np.int64)
    found = _rows(taken, people >= threshold["participants"], len(worker))
    return Outcome(len(taken), at("measurements", None, found, values=_whole(threshold)))


@check
def answered_far_from_due(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the day of each answer with the day on which it was due."""
    if not data.has("measurements", "due_on"):
        return Outcome(0, columns=(("measurements", "due_on"),))
    days = int(threshold["longest_days"])
    answered, due = data.bounds("measurements", "answered_on"), data.bounds("measurements", "due_on")
    both, late, maybe_late = due.shifted(days).before(answered)
    _, early, maybe_early = answered.shifted(days).before(due)
    unsure = (maybe_late | maybe_early) & ~late & ~early
    return Outcome(int(both.sum()), at("measurements", "answered_on", late | early, unsure, _whole(threshold)))


@check
def item_never_answered(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for items that nobody answers on the forms that ask them."""
    outcome, answered = NOTHING, form_status(data, "answered")
    for name, instrument in schema.instruments().items():
        here = answered & data.holds("measurements", "instrument", name)
        for item in instrument.items:
            asked = here & data.holds("measurements", "respondent", *item.respondents)
            count = int(asked.sum())
            # A column that did not come with the files is told by the loader.
            if count < threshold["forms"] or not data.has("measurements", item.id):
                continue
            values = {"item_label": item.label, "instrument": name}
            silent = not (form_answers(data, item.id)[1] & asked).any()
            hits = (Hits("measurements", None, item.id, values=values, count=count),) if silent else ()
            outcome += Outcome(count, hits)
    return outcome if outcome.checked else Outcome(0, reason="reason_few")


def _whole(threshold: Mapping[str, float]) -> dict[str, object]:
    """Return thresholds as whole numbers for a message."""
    return {name: int(number) for name, number in threshold.items()}


def _rows(order: Days, marked: Mask, count: int) -> Mask:
    """Return marks on sorted rows as marks on the rows of the table."""
    found = np.zeros(count, dtype=bool)
    found[order[marked]] = True
    return found


def _pattern(data: Data) -> Pattern:
    """Return what the answers of each form look like."""
    if "pattern" not in data.memory:
        count = len(data.tables["measurements"])
        given = np.zeros(count, dtype=np.int64)
        answers = [form_answers(data, item) for item in schema.items()]
        ends = np.iinfo(np.result_type(*(values.dtype for values, _ in answers)))
        low, high = np.full(count, ends.max, dtype=ends.dtype), np.full(count, ends.min, dtype=ends.dtype)
        number = np.zeros(count, dtype=np.uint64)
        for values, there in answers:
            given += there
            np.minimum(low, values, out=low, where=there)
            np.maximum(high, values, out=high, where=there)
            number *= _PRIME
            number += np.where(there, values + 1, 0).astype(np.uint64)
        data.memory["pattern"] = Pattern(given, (given > 0) & (low == high), number)
    pattern: Pattern = data.memory["pattern"]
    return pattern


def _sequences(data: Data, threshold: Mapping[str, float]) -> tuple[Pattern, Days, Mask]:
    """Return the patterns, the answered forms by respondent and occasion, and which follow one of the same."""
    key = ("sequences", threshold["items"])
    if key not in data.memory:
        pattern, group = _pattern(data), data.groups("measurements", _RESPONDENT)
        occasion = data.tables["measurements"]["occasion"]
        taken = form_status(data, "answered") & (group >= 0) & occasion.notna().to_numpy(dtype=bool)
        rows = np.flatnonzero(taken & (pattern.given >= threshold["items"]))
        number = occasion.to_numpy(dtype=np.int64, na_value=0)
        order = rows[in_order(group[rows], number[rows])]
        same = np.diff(group[order], prepend=-2) == 0
        # The same occasion twice is told by the rule on keys.
        data.memory[key] = pattern, order, same & (np.diff(number[order], prepend=0) > 0)
    found: tuple[Pattern, Days, Mask] = data.memory[key]
    return found


def _runs(holds: Mask, follows: Mask) -> Days:
    """Return how many rows up to and with each hold without a break, within one respondent's sequence."""
    place = np.arange(len(holds))
    last_break = np.maximum.accumulate(np.where(~holds, place, np.where(follows, -1, place - 1)))
    return place - last_break


def _steps(data: Data, order: Days, follows: Mask) -> Iterator[tuple[Days, npt.NDArray[np.float64], Days]]:
    """Yield for each questionnaire where it follows itself, the sum of its steps in shares of a scale, and how many."""
    for name, instrument in schema.instruments().items():
        where = np.flatnonzero(follows & data.holds("measurements", "instrument", name)[order])
        if not len(where):
            continue
        now, before = order[where], order[where - 1]
        moved, common = np.zeros(len(where)), np.zeros(len(where), dtype=np.int64)
        for item in instrument.items:
            values, there = form_answers(data, item.id)
            inside = there & (values >= item.minimum) & (values <= item.maximum) & (values != item.dont_know)
            # What is no answer on the scale is set to a number below it, so that each answer is looked up once.
            answers = np.where(inside, values, np.int64(item.minimum - 1))
            last, first = answers[now], answers[before]
            both = (last >= item.minimum) & (first >= item.minimum)
            moved += np.where(both, (last - first) / (item.maximum - item.minimum), 0.0)
            common += both
        yield where, moved, common
