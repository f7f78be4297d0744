"""Forms paired into occasions, and the answers on them: raw and as 0-100 of their scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.panel.coding import Coded
from bipstudy.panel.days import DAYS_PER_MONTH, FAR, Bools, Floats, Ints, first_days, last_days
from bipstudy.study import Study, as_percentage

# Two forms of one occasion that lie further apart are no pair.
PAIRED_WITHIN_DAYS = 45
BELIEF = "caseworker_belief"
DAYS_PER_QUARTER = 3 * DAYS_PER_MONTH
PREFIX = {"participant": "p_", "caseworker": "c_"}


@dataclass(frozen=True)
class Occasions:
    """The occasions with an answered form, sorted by participant, day and number; one entry each.

    Attributes
    ----------
    person, number : ndarray of int64, shape (n,)
        Code of the participant and number of the occasion as sent.
    answered : ndarray of int64, shape (n,)
        Day of the later form; the last day it may be where the date is imprecise.
    answered_first : ndarray of int64, shape (n,)
        The first day it may be.
    form_caseworker, answering_caseworker : ndarray of int64, shape (n,)
        Code of the caseworker on the forms, and of the one who gave the belief; -1 where none is named.
    first : ndarray of bool, shape (n,)
        Whether it is the participant's first measurement.
    scores, raw : dict of str to ndarray of float64, shape (n,)
        Answers by ``p_<item>`` and ``c_<item>``; NaN where there is none.
    unpaired, undated : int
        Answered forms left out: too far from the first of their occasion, or without a date.
    """

    person: Ints
    number: Ints
    answered: Ints
    answered_first: Ints
    form_caseworker: Ints
    answering_caseworker: Ints
    first: Bools
    scores: dict[str, Floats]
    raw: dict[str, Floats]
    unpaired: int
    undated: int

    def first_day(self, persons: int) -> Ints:
        """Return the day of each participant's first measurement, `FAR` without one; shape (persons,)."""
        day = np.full(persons, FAR, dtype=np.int64)
        day[self.person[self.first]] = self.answered[self.first]
        return day


def answer_columns() -> list[tuple[str, str, str]]:
    """Return ``(column, respondent, item)`` for every answer the questionnaires ask for, participants' first."""
    return [
        (PREFIX[respondent] + item.id, respondent, item.id)
        for respondent in PREFIX
        for item in schema.items().values()
        if respondent in item.respondents
    ]


def pair_forms(study: Study, coded: Coded) -> Occasions:
    """Pair the answered forms of a study into occasions.

    Parameters
    ----------
    study : Study
    coded : Coded

    Returns
    -------
    Occasions
    """
    table = study.measurements
    chosen, undated = _answered(table, coded)
    person, caseworker = coded.person["measurements"][chosen], coded.caseworker["measurements"][chosen]
    early, late = first_days(table, "answered_on")[chosen], last_days(table, "answered_on")[chosen]
    number = table["occasion"].to_numpy(dtype=np.int64, na_value=0)[chosen]
    _, group = np.unique(person * 1000 + number, return_inverse=True)
    earliest = np.full(len(chosen), FAR, dtype=np.int64)
    np.minimum.at(earliest, group, late)
    paired = early - earliest[group] <= PAIRED_WITHIN_DAYS
    # In the order of their days, so that the later of two answers to one question stands.
    order = np.flatnonzero(paired)[np.argsort(late[paired], kind="stable")]
    chosen, person, caseworker, number = chosen[order], person[order], caseworker[order], number[order]
    early, late = early[order], late[order]

    codes, head, group = np.unique(person * 1000 + number, return_index=True, return_inverse=True)
    answered, answered_first = np.full(len(codes), -FAR), np.full(len(codes), -FAR)
    np.maximum.at(answered, group, late)
    np.maximum.at(answered_first, group, early)
    raw, scores = _answers(table, chosen, group, len(codes))
    respondent = (table["respondent"] == "caseworker").to_numpy(dtype=bool)[chosen]
    given = table[BELIEF].notna().to_numpy(dtype=bool) if BELIEF in table else np.zeros(len(table), dtype=bool)
    has_belief = given[chosen]
    sequence = np.lexsort((number[head], answered, person[head]))
    first = np.concatenate([[True], np.diff(person[head][sequence]) != 0])[: len(codes)]
    return Occasions(
        person=person[head][sequence],
        number=number[head][sequence],
        answered=answered[sequence],
        answered_first=answered_first[sequence],
        form_caseworker=_named(caseworker, group, len(codes), ~respondent, respondent)[sequence],
        answering_caseworker=_named(caseworker, group, len(codes), respondent, respondent & has_belief)[sequence],
        first=first,
        scores={column: values[sequence] for column, values in scores.items()},
        raw={column: values[sequence] for column, values in raw.items()},
        unpaired=int((~paired).sum()),
        undated=undated,
    )


def _answered(table: pd.DataFrame, coded: Coded) -> tuple[Ints, int]:
    """Return the rows of the answered forms that have a date, and how many have none."""
    answered = (table["form_status"] == "answered").to_numpy(dtype=bool) & (coded.person["measurements"] >= 0)
    dated = table["answered_on"].notna().to_numpy(dtype=bool)
    return np.flatnonzero(answered & dated), int((answered & ~dated).sum())


def _named(caseworker: Ints, group: Ints, groups: int, lesser: Bools, better: Bools) -> Ints:
    """Return the caseworker of each occasion: of the last better form, else of the last lesser one, else -1."""
    named = np.full(groups, -1, dtype=np.int64)
    for chosen in (lesser, better):
        forms = chosen & (caseworker >= 0)
        named[group[forms]] = caseworker[forms]
    return named


def _answers(table: pd.DataFrame, rows: Ints, group: Ints, groups: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return raw answers and answers as 0-100 of the scale of their form's questionnaire, per occasion.

    Parameters
    ----------
    table : DataFrame
        The forms.
    rows : ndarray of int64, shape (n,)
        Those that are read, in the order in which a later answer replaces an earlier one.
    group : ndarray of int64, shape (n,)
        Occasion of each.
    groups : int
        How many occasions.
    """
    instrument = table["instrument"].array[rows]
    uses = {name: np.asarray(instrument == name, dtype=bool) for name in sorted(instrument.unique())}
    known = {name: {item.id: item for item in schema.instrument(name).items} for name in uses}
    respondent = table["respondent"]
    asked = {who: (respondent == who).to_numpy(dtype=bool)[rows] for who in PREFIX}
    raw, scores, read = {}, {}, {}
    for column, who, item_id in answer_columns():
        raw[column], scores[column] = np.full(groups, np.nan), np.full(groups, np.nan)
        if item_id not in read:
            # Items that both are asked are read once.
            values = table[item_id].to_numpy(dtype=np.float64, na_value=np.nan)[rows]
            read[item_id] = (
                values,
                {name: as_percentage(values, known[name][item_id]) for name in uses if item_id in known[name]},
            )
        values, of_item = read[item_id]
        for name, score in of_item.items():
            chosen = asked[who] & uses[name] & ~np.isnan(score)
            raw[column][group[chosen]] = values[chosen]
            scores[column][group[chosen]] = score[chosen]
    return raw, scores
