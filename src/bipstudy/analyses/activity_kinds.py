"""What an interval between occasions held: each focus alone, pairs side by side, one after the other, gaps."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.quarters import at_rows, earlier
from bipstudy.panel.assembly import Parts
from bipstudy.panel.days import Cover, Ints, cover, key
from bipstudy.panel.exposures import PARALLEL_DAYS, activity_stretches
from bipstudy.study import Study

# A job or study focus on so large a share of the days is constant.
CONSTANT = 0.9
GAP_UNIT = 30.0


def pair_names() -> list[tuple[str, str, str]]:
    """Return name and focuses of every pair, in the order of the codes.

    Examples
    --------
    >>> pair_names()[0]
    ('pair_job_study', 'job', 'study')
    """
    return [(f"pair_{one}_{other}", one, other) for one, other in combinations(schema.code_list("focus").values, 2)]


def with_kinds(frame: pd.DataFrame, study: Study, parts: Parts) -> pd.DataFrame:
    """Add what the interval that ended with each row held.

    Parameters
    ----------
    frame : DataFrame
        Rows of a panel whose activities are known.
    study : Study
    parts : Parts

    Returns
    -------
    DataFrame
        With ``alone_<focus>`` (no other focus), ``pair_<focus>_<focus>`` (two different activities, one with each
        focus, side by side on at least 14 days), ``one_focus``, ``parallel`` (some pair side by side), ``in_turn``
        (several focuses in several activities, no pair side by side so long), ``two_in_one`` (several focuses, but in
        one activity: neither side by side nor one after the other), ``job_or_study_constant`` (nine days in ten or
        more) and ``job_or_study_intermittent`` (fewer, but some), ``per_30_gap_days`` and ``length`` (days).
    """
    place = at_rows(frame, parts)
    person, stop = parts.occasions.person[place], parts.occasions.answered[place]
    previous = earlier(parts.occasions.answered.astype(np.float64), parts)[place]
    entered = parts.entered[person]
    start = np.where(np.isnan(previous), entered, np.maximum(np.nan_to_num(previous), entered)).astype(np.int64)
    return _assembled(frame, study, parts, person, start, stop)


def _assembled(frame: pd.DataFrame, study: Study, parts: Parts, person: Ints, start: Ints, stop: Ints) -> pd.DataFrame:
    """Add the kinds of the intervals named."""
    table, whose, begins, ends = activity_stretches(study, parts.coded)
    has = {
        focus: ((table["focus"] == focus) | (table["second_focus"] == focus)).to_numpy(dtype=bool)
        for focus in schema.code_list("focus").values
    }
    some = {focus: (frame[f"focus_{focus}"] > 0).to_numpy(dtype=bool) for focus in has}
    count = np.sum(list(some.values()), axis=0)
    added: dict[str, Any] = {f"alone_{focus}": there & (count == 1) for focus, there in some.items()}
    pairs = {
        name: days.days(person, start, stop) >= PARALLEL_DAYS for name, days in _pairs(whose, begins, ends, has).items()
    }
    together = np.any(list(pairs.values()), axis=0)
    number = _running(whose, begins, ends, person, start, stop)
    either = has["job"] | has["study"]
    days = cover(whose[either], begins[either], ends[either]).days(person, start, stop)
    length = np.maximum(stop - start, 1)
    added |= pairs
    added |= {
        "one_focus": count == 1,
        "parallel": together,
        "in_turn": (count > 1) & ~together & (number > 1),
        "two_in_one": (count > 1) & ~together & (number <= 1),
        "job_or_study_constant": days >= CONSTANT * length,
        "job_or_study_intermittent": (days > 0) & (days < CONSTANT * length),
        "per_30_gap_days": frame["gap_days"] / GAP_UNIT,
        "length": length,
    }
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in added.items()}
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)


def _running(whose: Ints, begins: Ints, ends: Ints, person: Ints, start: Ints, stop: Ints) -> Ints:
    """Return how many activities each participant named has on some day of the interval."""
    real = ends > begins
    begun, over = (np.sort(key(whose[real], days[real])) for days in (begins, ends))
    # All of the participants before have begun and ended alike often, so that they cancel.
    before = np.searchsorted(over, key(person, start), side="right")
    return (np.searchsorted(begun, key(person, stop), side="left") - before).astype(np.int64)


def _pairs(person: Ints, start: Ints, stop: Ints, has: dict[str, Any]) -> dict[str, Cover]:
    """Return the days on which two different activities, one with each focus, run side by side."""
    order = np.lexsort((stop, start, person))
    person, start, stop = person[order], start[order], stop[order]
    has = {focus: values[order] for focus, values in has.items()}
    one, other = _neighbours(person)
    begins, ends = np.maximum(start[one], start[other]), np.minimum(stop[one], stop[other])
    found = {}
    for name, first, second in pair_names():
        both = (has[first][one] & has[second][other]) | (has[second][one] & has[first][other])
        found[name] = cover(person[one[both]], begins[both], ends[both])
    return found


def _neighbours(person: Ints) -> tuple[Ints, Ints]:
    """Return every pair of positions of the same participant, each pair once; `person` is sorted."""
    last = np.searchsorted(person, person, side="right")
    after = last - np.arange(len(person)) - 1
    one = np.repeat(np.arange(len(person)), after)
    step = np.arange(len(one)) - np.repeat(np.cumsum(after) - after, after)
    other: Ints = one + step + 1
    return one, other
