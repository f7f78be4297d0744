"""Occasions with the level and change of every answer, and what followed in work and study month by month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.levels import mean_of
from bipstudy.panel import answer_columns, build_states
from bipstudy.panel.assembly import Parts
from bipstudy.panel.days import Floats, Ints
from bipstudy.panel.exposures import caseworker_exposures
from bipstudy.panel.progression import before
from bipstudy.study import Study

# Months of work or study are counted over so many whole calendar months after an occasion.
MONTHS_AFTER = 3


@dataclass(frozen=True)
class Indicator:
    """An item with the respondent whose answer stands for it, and the column that holds the answer."""

    item: str
    respondent: str
    column: str


def indicators_asked() -> list[Indicator]:
    """Return every item: the participant's answer, the caseworker's where only caseworkers are asked."""
    found = []
    for item in schema.items().values():
        who = "participant" if "participant" in item.respondents else "caseworker"
        found.append(Indicator(item.id, who, f"{who[0]}_{item.id}"))
    return found


def units(parts: Parts) -> dict[str, float]:
    """Return by column what turns a change of the answer into standard deviations of first measurements, readier up.

    Parameters
    ----------
    parts : Parts

    Returns
    -------
    dict of str to float
        NaN where an answer does not vary at the first measurements.
    """
    occasions, items, found = parts.occasions, schema.items(), {}
    for column, _, item in answer_columns():
        first = occasions.scores[column][occasions.first]
        first = first[~np.isnan(first)]
        deviation = float(np.std(first, ddof=1)) if len(first) > 1 else 0.0
        sign = 1.0 if items[item].direction == "higher_is_readier" else -1.0
        found[column] = sign / deviation if deviation > 0 else np.nan
    return found


def scores(parts: Parts) -> dict[str, Floats]:
    """Return every answer at every occasion in standard deviations of the first measurements, more being readier.

    Parameters
    ----------
    parts : Parts

    Returns
    -------
    dict of str to ndarray of float64, shape (occasions,)
        By column; besides, ``level_p`` and ``level_c``, the mean of each respondent's answers. What does not vary at
        the first measurements is missing everywhere.
    """
    occasions, found = parts.occasions, {}
    for column, unit in units(parts).items():
        score = occasions.scores[column]
        first = score[occasions.first]
        given = first[~np.isnan(first)]
        found[column] = unit * (score - (given.mean() if len(given) else np.nan))
    for letter in "pc":
        own = [values for column, values in found.items() if column.startswith(f"{letter}_")]
        found[f"level_{letter}"] = mean_of(own, len(occasions.person))
    return found


def at_rows(frame: pd.DataFrame, parts: Parts) -> Ints:
    """Return the position of each row of a panel among the occasions.

    Parameters
    ----------
    frame : DataFrame
        With `participant` and `occasion`.
    parts : Parts

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    person = pd.Index(parts.coded.labels).get_indexer(frame["participant"]).astype(np.int64)
    own = parts.occasions.person * 1000 + parts.occasions.number
    order = np.argsort(own, kind="stable")
    wanted = person * 1000 + frame["occasion"].to_numpy(dtype=np.int64)
    found: Ints = order[np.searchsorted(own[order], wanted)]
    return found


def item_columns(frame: pd.DataFrame, parts: Parts, values: dict[str, Floats]) -> dict[str, Floats]:
    """Return each indicator's answer now and at the occasion before, the change between, and that to the next.

    Parameters
    ----------
    frame : DataFrame
        Rows of a panel.
    parts : Parts
    values : dict
        From `scores`.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        ``now_<item>``, ``start_<item>``, ``moved_<item>`` and ``next_<item>``; changes are per quarter.
    """
    place, unit, found = at_rows(frame, parts), units(parts), {}
    for each in indicators_asked():
        now = values[each.column]
        found[f"now_{each.item}"], found[f"start_{each.item}"] = now[place], earlier(now, parts)[place]
        for name, suffix in (("moved", "change_before"), ("next", "change")):
            change = frame[f"{each.column}_{suffix}"].to_numpy(dtype=np.float64)
            found[f"{name}_{each.item}"] = unit[each.column] * change
    return found


def earlier(values: Floats, parts: Parts) -> Floats:
    """Return, for each occasion, the value at the participant's occasion before."""
    return before(values, parts.occasions.person)


def months_after(study: Study, parts: Parts, outcome: str) -> Floats:
    """Return the share of the months after each occasion in work or study, NaN where one of them is not followed.

    Occasions after the first transition count like all others: work and study can recur.

    Parameters
    ----------
    study : Study
    parts : Parts
    outcome : {"primary", "narrow", "broad"}

    Returns
    -------
    ndarray of float64, shape (occasions,)
    """
    states = build_states(study, outcome)
    active = np.fmax(states["in_work"].to_numpy(dtype=np.float64), states["in_study"].to_numpy(dtype=np.float64))
    person = pd.Index(parts.coded.labels).get_indexer(states["participant"]).astype(np.int64)
    first = np.full(parts.coded.count, len(active), dtype=np.int64)
    np.minimum.at(first, person, np.arange(len(active)))
    count = np.bincount(person, minlength=parts.coded.count)
    whose = parts.occasions.person
    number = _month(parts.occasions.answered) - _month(parts.entered[whose])
    inside = (number >= 0) & (number + MONTHS_AFTER < count[whose])
    total = np.zeros(len(whose))
    for month in range(1, MONTHS_AFTER + 1):
        place = np.where(inside, first[whose] + number + month, 0)
        total += active[place] if len(active) else np.nan
    return np.where(inside, total / MONTHS_AFTER, np.nan)


def _month(day: Ints) -> Ints:
    """Return the number of the calendar month of a day."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def every_occasion(study: Study, parts: Parts, outcome: str, values: dict[str, Floats]) -> pd.DataFrame:
    """Return all occasions, those after the transition too, with levels and the months that follow.

    Parameters
    ----------
    study : Study
    parts : Parts
    outcome : {"primary", "narrow", "broad"}
    values : dict
        From `scores`.

    Returns
    -------
    DataFrame
        ``participant`` as a number, ``cluster_caseworker`` named as `ready` names it (who has no caseworker is a
        cluster alone), ``quarter``, ``months_in_work_or_study`` and the columns of `values`; sorted by participant and
        day.
    """
    occasions = parts.occasions
    person, day = occasions.person, occasions.answered
    main = caseworker_exposures(parts.periods, person, day, parts.entered[person])["main"]
    main = np.where(main >= 0, main, occasions.form_caseworker)
    labels = np.asarray(parts.coded.caseworker_labels, dtype=object)
    people = np.asarray(parts.coded.labels, dtype=object)
    cluster = np.array([*labels, None], dtype=object)[np.where(main >= 0, main, -1)]
    cluster[main < 0] = "none/" + people[person[main < 0]]
    return pd.DataFrame(
        {
            "participant": person,
            "cluster_caseworker": cluster,
            "quarter": _month(day) // 3,
            "months_in_work_or_study": months_after(study, parts, outcome),
            **values,
        }
    )


def observed_again(
    *, observed: npt.NDArray[np.bool_], probability: Floats, smallest: float = 0.05
) -> npt.NDArray[np.float64]:
    """Return weights by which those observed again stand for all: the inverse probability, times its mean.

    Parameters
    ----------
    observed : array of shape (n,)
    probability : array of shape (n,)
        Of being observed again; NaN gives weight 1.
    smallest : float
        No probability counts as smaller.

    Returns
    -------
    array of shape (n,)
        1 where not observed.

    Examples
    --------
    >>> import numpy as np
    >>> found = observed_again(observed=np.array([True, True, False]), probability=np.array([0.8, 0.4, 0.6]))
    >>> found.round(9).tolist()
    [0.75, 1.5, 1.0]
    """
    given = observed & ~np.isnan(probability)
    if not given.any():
        return np.ones(len(observed))
    centre = float(probability[~np.isnan(probability)].mean())
    return np.where(given, centre / np.maximum(np.nan_to_num(probability, nan=1.0), smallest), 1.0)
