"""Change between occasions: of each answer per quarter, and of the participant's answers together."""

from __future__ import annotations

import numpy as np

from bipstudy import schema
from bipstudy.panel.days import Bools, Floats, Ints
from bipstudy.panel.occasions import DAYS_PER_QUARTER, PREFIX, Occasions


def changes(occasions: Occasions, transition: Ints) -> tuple[dict[str, Floats], Floats]:
    """Return the change from each occasion to the participant's next.

    An occasion on or after the transition is left out, as everywhere in the panel.

    Parameters
    ----------
    occasions : Occasions
    transition : ndarray of int64, shape (participants,)
        Day of the transition, far in the future if there is none.

    Returns
    -------
    change : dict of str to ndarray of float64, shape (n,)
        Change of each answer on the scale 0-100, per quarter; NaN where there is no next answer.
    progression : ndarray of float64, shape (n,)
        Mean change of the participant's answers per quarter, each in standard deviations of the first measurements
        and turned so that more is readier.
    """
    following = _next(occasions, transition)
    has_next = following >= 0
    days = np.where(has_next, occasions.answered[following] - occasions.answered, 0)
    quarters = np.where(days > 0, days / DAYS_PER_QUARTER, np.nan)
    change = {
        column: np.where(has_next, score[following] - score, np.nan) / quarters
        for column, score in occasions.scores.items()
    }
    return change, _progression(occasions, change)


def _next(occasions: Occasions, transition: Ints) -> Ints:
    """Return the position of each participant's next occasion before the transition, -1 if there is none."""
    count = len(occasions.person)
    following = np.arange(1, count + 1)
    exists = np.zeros(count, dtype=bool)
    exists[:-1] = occasions.person[1:] == occasions.person[:-1]
    exists[:-1] &= occasions.answered[1:] < transition[occasions.person[1:]]
    return np.where(exists, following, -1)


def _progression(occasions: Occasions, change: dict[str, Floats]) -> Floats:
    """Return the mean change of the participant's answers in standard deviations."""
    total = np.zeros(len(occasions.person))
    answers = np.zeros(len(occasions.person))
    items = schema.items()
    for column, values in change.items():
        if not column.startswith(PREFIX["participant"]):
            continue
        deviation = _deviation(occasions.scores[column], occasions.first)
        if not deviation > 0:
            continue
        sign = 1 if items[column.removeprefix(PREFIX["participant"])].direction == "higher_is_readier" else -1
        given = ~np.isnan(values)
        total[given] += sign * values[given] / deviation
        answers[given] += 1
    mean: Floats = np.divide(total, answers, out=np.full(len(total), np.nan), where=answers > 0)
    return mean


def _deviation(score: Floats, first: Bools) -> float:
    """Return the standard deviation of an answer over the first measurements, NaN if fewer than two answered."""
    given = score[first & ~np.isnan(score)]
    return float(np.std(given, ddof=1)) if len(given) > 1 else np.nan


def before(values: Floats, person: Ints) -> Floats:
    """Return, for each occasion, the value of the participant's occasion before: a change that has ended."""
    shifted = np.full(len(values), np.nan)
    if len(values):
        shifted[1:] = np.where(person[1:] == person[:-1], values[:-1], np.nan)
    return shifted
