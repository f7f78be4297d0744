"""Spells of work and study: the transition, what follows, what is no transition, and how registers hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipstudy.simulation.cohort import QUARTER_DAYS, Bools, Cohort, Floats, Ints, cut, day_number
from bipstudy.simulation.events import WORK, Transitions
from bipstudy.simulation.occasions import FollowUp
from bipstudy.simulation.scenario import Scenario

STATUSES = (
    "work_unsubsidised", "work_subsidised", "work_unknown", "self_employment", "study_qualifying", "study_other",
    "reserved_employment", "work_training",
)  # fmt: skip
STUDY_QUALIFYING, STUDY_OTHER, RESERVED, TRAINING = 4, 5, 6, 7
WORK_UNKNOWN = 2
DAY, MONTH, QUARTER = range(3)
_SHORTEST = 30
_RETURNS = 2


@dataclass(frozen=True)
class Spells:
    """S spells.

    Attributes
    ----------
    person, status, source : (S,) int
    start, end : (S,) int
        First and last day as registered.
    ongoing, known_end : (S,) bool
        A spell that is neither ongoing nor has a known end is of unknown length.
    precision : (S,) int
        In the order day, month, quarter.
    long : (S,) bool
        Whether the spell lasted at least 28 days, by its true dates.
    """

    person: Ints
    status: Ints
    source: Ints
    start: Ints
    end: Ints
    ongoing: Bools
    known_end: Bools
    precision: Ints
    long: Bools


def draw_running(scenario: Scenario, count: int, rng: np.random.Generator) -> Floats:
    """Return how many quarters a spell lasts that runs at the first measurement; 0 for most, who have none."""
    runs, length = rng.random(count), rng.random(count)
    return np.where(runs < scenario.events.running_share, 0.3 + 2.5 * length, 0.0)


def draw_spells(
    scenario: Scenario,
    cohort: Cohort,
    transitions: Transitions,
    follow_up: FollowUp,
    running_until: Floats,
    rng: dict[str, np.random.Generator],
) -> Spells:
    """Draw every spell and its registration.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    transitions : Transitions
    follow_up : FollowUp
    running_until : (N,) float
    rng : dict of str to Generator

    Returns
    -------
    Spells
    """
    draw = rng["spells"]
    parts = _after_transition(scenario, transitions, follow_up, draw)
    parts += _beside(scenario, cohort, follow_up, draw)
    parts.append(_running(cohort, running_until, follow_up))
    person, status, start, end, known = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Where outcomes are followed only within the programme, nobody hears of what begins later.
    within = programme_only(scenario, cohort.organisation)
    heard = np.where(within, follow_up.programme_end, follow_up.observed_until)
    seen = start <= heard[person]
    person, status, start, end, known = person[seen], status[seen], start[seen], end[seen], known[seen]
    order = np.lexsort((status, start, person))
    return _register(
        scenario,
        follow_up,
        heard,
        person[order],
        status[order],
        start[order],
        end[order],
        known[order],
        rng["registers"],
    )


def programme_only(scenario: Scenario, organisation: Ints) -> Bools:
    """Return which organisations follow outcomes only within the programme: the last ones."""
    design = scenario.design
    return organisation >= design.organisations - round(design.programme_only_share * design.organisations)


Part = tuple[Ints, Ints, Ints, Ints, Bools]


def _lengths(scenario: Scenario, count: int, rng: np.random.Generator) -> Ints:
    """Draw lengths in days of spells that count."""
    return _SHORTEST + np.floor(rng.exponential(scenario.outcomes.mean_days - _SHORTEST, count)).astype(np.int64)


def _status(scenario: Scenario, work: Bools, rng: np.random.Generator) -> Ints:
    """Draw the kind of work of spells that count; studies are those that give student aid."""
    kind = cut(rng.random(len(work)), scenario.outcomes.work_shares)
    return np.where(work, kind, STUDY_QUALIFYING)


def _after_transition(
    scenario: Scenario, transitions: Transitions, follow_up: FollowUp, rng: np.random.Generator
) -> list[Part]:
    """Return the spell that is the transition, and those that follow it."""
    count = len(transitions.cause)
    happens = follow_up.transition <= follow_up.observed_until
    start, work = follow_up.transition, transitions.cause == WORK
    parts = []
    for _ in range(1 + _RETURNS):
        status = _status(scenario, work, rng)
        end = start + _lengths(scenario, count, rng) - 1
        again, gap = rng.random(count), 31 + np.floor(rng.exponential(180, count)).astype(np.int64)
        person = np.flatnonzero(happens)
        parts.append((person, status[person], start[person], end[person], np.ones(len(person), dtype=bool)))
        happens = happens & (again < scenario.outcomes.return_share)
        start = end + gap
    return parts


def _beside(scenario: Scenario, cohort: Cohort, follow_up: FollowUp, rng: np.random.Generator) -> list[Part]:
    """Return spells that no definition with a minimum length counts, which come independently of everything."""
    given = scenario.outcomes
    kinds = (
        (given.short_rate, 0, 3, 24),
        (given.unknown_length_rate, WORK_UNKNOWN, 1, 1),
        (given.other_study_rate, STUDY_OTHER, 20, 200),
        (given.reserved_rate, RESERVED, 60, 300),
        (given.training_rate, TRAINING, 20, 120),
    )
    parts = []
    for rate, status, shortest, spread in kinds:
        wait = rng.standard_exponential(cohort.size) / max(rate, 1e-12)
        start = cohort.first + np.minimum(np.ceil(wait * QUARTER_DAYS), 10**6).astype(np.int64)
        end = start + shortest - 1 + np.floor(rng.random(cohort.size) * spread).astype(np.int64)
        # Over before the transition, or else it would be one spell with it.
        person = np.flatnonzero((end + 2 < follow_up.transition) & (start <= follow_up.observed_until))
        known = np.full(len(person), status != WORK_UNKNOWN)
        parts.append((person, np.full(len(person), status), start[person], end[person], known))
    return parts


def _running(cohort: Cohort, running_until: Floats, follow_up: FollowUp) -> Part:
    """Return spells that run at the first measurement."""
    end = cohort.first + np.floor(running_until * QUARTER_DAYS).astype(np.int64)
    person = np.flatnonzero((running_until > 0) & (end + 2 < follow_up.transition))
    start = cohort.entered[person] - 45
    return person, np.ones(len(person), dtype=np.int64), start, end[person], np.ones(len(person), dtype=bool)


def _register(
    scenario: Scenario,
    follow_up: FollowUp,
    heard: Ints,
    person: Ints,
    status: Ints,
    start: Ints,
    end: Ints,
    known: Bools,
    rng: np.random.Generator,
) -> Spells:
    """Return spells as the sources hold them: late, coarse, some twice; `heard` is the last day anybody hears of."""
    given = scenario.outcomes
    count = len(person)
    which, coarse, late, twice, lower, shift = rng.random((6, count))
    last = follow_up.observed_until[person]
    ongoing = known & (end > last)
    years = (start - day_number(scenario.design.starts_on)) / 365.25
    month = np.clip(given.month_share + given.imprecision_per_year * years, 0, 1 - given.quarter_share)
    precision = np.where(
        coarse < given.quarter_share, QUARTER, np.where(coarse < given.quarter_share + month, MONTH, DAY)
    )
    # A spell within one month or quarter keeps its days: its dates would have no order without them.
    within = known & ~ongoing & (_first_day(start, precision) == _first_day(end, precision))
    precision = np.where(within, DAY, precision)
    source = cut(which, given.source_shares)
    arrives = (day_number(scenario.design.ends_on) - start >= given.late_days) | (late < 0.5)
    # A lower source knows some spells too, inside the dates of the better one.
    again = arrives & (twice < given.duplicate_share) & (source < 3) & known & (end - start > 60)
    moved = np.floor(shift * 10).astype(np.int64)
    again &= start + moved <= heard[person]
    below = np.minimum(source + 1 + np.floor(lower * (3 - source)).astype(np.int64), 3)
    rows = np.concatenate([np.flatnonzero(arrives), np.flatnonzero(again)])
    copy = np.arange(len(rows)) >= arrives.sum()
    start = np.where(copy, (start + moved)[rows], start[rows])
    precision = np.where(copy, DAY, precision[rows])
    end = np.where(copy, (end - moved)[rows], end[rows])
    ongoing = np.where(copy, end > last[rows], ongoing[rows])
    source = np.where(copy, below[rows], source[rows])
    order = np.lexsort((source, start, person[rows]))
    rows = rows[order]
    return Spells(
        person=person[rows],
        status=status[rows],
        source=source[order],
        start=_first_day(start[order], precision[order]),
        end=_first_day(end[order], precision[order]),
        ongoing=ongoing[order],
        known_end=known[rows] & ~ongoing[order],
        precision=precision[order],
        long=(end - start + 1 >= 28)[order] | ongoing[order],
    )


def _first_day(day: Ints, precision: Ints) -> Ints:
    """Return the first day of the month or quarter of a date that is known no better."""
    months = day.astype("datetime64[D]").astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    number = months.astype(np.int64)
    quarter = (number - number % 3).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return np.select([precision == MONTH, precision == QUARTER], [first, quarter], day)
