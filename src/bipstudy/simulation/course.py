"""What would happen to everybody, quarter by quarter, without a transition: changes, activities, progression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bipstudy.simulation.cohort import QUARTER_DAYS, Bools, Cohort, Floats, Ints
from bipstudy.simulation.scenario import Scenario

JOB, STUDY, SKILLS, HEALTH, SOCIAL = range(5)
_LONGEST = 365.0


@dataclass(frozen=True)
class Changes:
    """Main caseworkers of N participants over Q quarters since the first measurement.

    Attributes
    ----------
    caseworker : (N, Q + 1) int
        Main caseworker at the start of each quarter.
    moment : (N, Q) float
        When in the quarter the caseworker changes, as a share of it; 1 where there is no change.
    departed : (N, Q) bool
        Whether the change is because the caseworker left.
    """

    caseworker: npt.NDArray[np.int32]
    moment: npt.NDArray[np.float32]
    departed: Bools

    def take(self, rows: Ints) -> Changes:
        """Return the changes of some participants."""
        return Changes(self.caseworker[rows], self.moment[rows], self.departed[rows])


@dataclass(frozen=True)
class Activities:
    """K activities, ordered by participant and start.

    Attributes
    ----------
    person, focus : (K,) int
    start, length : (K,) float
        In quarters since the first measurement.
    """

    person: Ints
    focus: Ints
    start: Floats
    length: Floats


def draw_changes(scenario: Scenario, cohort: Cohort, quarters: int, rng: np.random.Generator) -> Changes:
    """Draw changes of main caseworker: at random, and when the caseworker leaves.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    quarters : int
    rng : Generator

    Returns
    -------
    Changes
    """
    count = cohort.size
    caseworker = np.empty((count, quarters + 1), dtype=np.int32)
    moment = np.ones((count, quarters), dtype=np.float32)
    departed = np.zeros((count, quarters), dtype=bool)
    caseworker[:, 0] = cohort.first_caseworker
    for quarter in range(quarters):
        current = caseworker[:, quarter].astype(np.int64)
        happens, when, pick = rng.random((3, count))
        start = cohort.first + quarter * QUARTER_DAYS
        leaves = cohort.departure[current] <= start + QUARTER_DAYS
        gone = ((cohort.departure[current] - start) / QUARTER_DAYS).clip(0.01, 0.99, where=leaves, out=np.ones(count))
        changes = leaves | (happens < scenario.caseworkers.change_rate)
        moment[:, quarter] = np.where(leaves, gone, np.where(changes, 0.01 + 0.98 * when, 1.0))
        departed[:, quarter] = leaves
        caseworker[:, quarter + 1] = np.where(changes, _another(cohort, current, start + QUARTER_DAYS, pick), current)
    return Changes(caseworker, moment, departed)


def _another(cohort: Cohort, current: Ints, day: npt.NDArray[Any], pick: Floats) -> Ints:
    """Return a caseworker of the same unit, another one, who is still there on a day."""
    unit = cohort.caseworker_unit[current]
    there = cohort.active(unit, day)
    present = cohort.rank[current] < there
    place = np.floor(pick * (there - present)).astype(np.int64)
    place += present & (place >= cohort.rank[current])
    chosen: Ints = cohort.unit_start[unit] + place
    return chosen


def draw_activities(
    scenario: Scenario, cohort: Cohort, changes: Changes, quarters: int, rng: np.random.Generator
) -> Activities:
    """Draw activities by what the participant needs and who the caseworker is.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    changes : Changes
    quarters : int
    rng : Generator

    Returns
    -------
    Activities
    """
    given = scenario.activities
    base = logit(given.start_rate)
    people, starts = [], []
    for quarter in range(quarters):
        optimism = cohort.optimism[changes.caseworker[:, quarter]]
        begins, when = rng.random((2, cohort.size))
        chance = 1 / (1 + np.exp(-(base + given.optimism_log_odds * optimism)))
        person = np.flatnonzero(begins < chance)
        people.append(person)
        starts.append(quarter + when[person])
    person, start = np.concatenate(people), np.concatenate(starts)
    order = np.lexsort((start, person))
    person, start = person[order], start[order]
    focus = _focus(scenario, cohort, person, rng)
    length = _lengths(given.mean_days, len(person), rng)
    second = rng.random(len(person)) < given.parallel_share
    # The other one has another focus and starts while the first runs.
    shift = 1 + rng.integers(4, size=len(person))
    later = start + rng.random(len(person)) * 0.5 * length
    other = _lengths(given.mean_days, len(person), rng)
    person, focus, start, length = (
        np.concatenate([person, person[second]]),
        np.concatenate([focus, (focus[second] + shift[second]) % 5]),
        np.concatenate([start, later[second]]),
        np.concatenate([length, other[second]]),
    )
    order = np.lexsort((start, person))
    return Activities(person[order], focus[order], start[order], length[order])


def _focus(scenario: Scenario, cohort: Cohort, person: Ints, rng: np.random.Generator) -> Ints:
    """Draw the focus of activities: job for the ready and by optimistic caseworkers, health for poor health."""
    given = scenario.activities
    shares = np.array([given.job_share, given.study_share, given.skills_share, given.health_share, given.social_share])
    weights = np.tile(shares / shares.sum(), (len(person), 1))
    optimism = cohort.optimism[cohort.first_caseworker[person]]
    weights[:, JOB] *= np.exp(given.job_readiness * cohort.readiness[person] + given.job_optimism * optimism)
    weights[:, HEALTH] *= np.exp(-given.health_need * cohort.health[person])
    bounds = np.cumsum(weights, axis=1)
    uniform = rng.random(len(person)) * bounds[:, -1]
    focus: Ints = (uniform[:, None] >= bounds[:, :-1]).sum(axis=1)
    return focus


def _lengths(mean_days: float, count: int, rng: np.random.Generator) -> Floats:
    """Draw lengths of activities, in quarters: from two weeks to a year."""
    days = 14 + rng.exponential(max(mean_days - 14, 1.0), count)
    return np.minimum(days, _LONGEST) / QUARTER_DAYS


def draw_progression(
    scenario: Scenario, cohort: Cohort, activities: Activities, quarters: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draw progression: the change in readiness since the first measurement at the start of each quarter.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    activities : Activities
    quarters : int
    rng : Generator

    Returns
    -------
    (N, Q + 1) float32
        In standard deviations of readiness; 0 at the first measurement.
    """
    given = scenario.progression
    job, other, study = (
        _shares(activities, np.isin(activities.focus, focuses), cohort.size, quarters)
        for focuses in ((JOB,), (SKILLS, HEALTH, SOCIAL, STUDY), (STUDY,))
    )
    progress = np.zeros((cohort.size, quarters + 1), dtype=np.float32)
    for quarter in range(quarters):
        alone_other = other[:, quarter] - study[:, quarter]
        beside = np.minimum(job[:, quarter], other[:, quarter])
        step = (
            given.drift
            + given.job * (job[:, quarter] - beside)
            + given.job_parallel * beside
            + given.study * study[:, quarter]
            + given.other * np.maximum(alone_other, 0)
            + given.noise_sd * rng.standard_normal(cohort.size)
        )
        progress[:, quarter + 1] = progress[:, quarter] + step
    return progress


def _shares(activities: Activities, which: Bools, count: int, quarters: int) -> npt.NDArray[np.float32]:
    """Return the share of each quarter that activities of some kind fill, at most 1; (N, Q)."""
    person, start = activities.person[which], activities.start[which]
    end = start + activities.length[which]
    shares = np.zeros(count * quarters)
    first = start.astype(np.int64)
    # An activity lasts at most a year, and so touches at most six quarters.
    for offset in range(6):
        quarter = first + offset
        filled = np.minimum(end, quarter + 1) - np.maximum(start, quarter)
        inside = (filled > 0) & (quarter < quarters)
        cell = person[inside] * quarters + quarter[inside]
        shares += np.bincount(cell, weights=filled[inside], minlength=count * quarters)
    return np.minimum(shares, 1).astype(np.float32).reshape(count, quarters)


def logit(share: float) -> float:
    """Return the log odds of a share, bounded away from 0 and 1."""
    bounded = min(max(share, 1e-12), 1 - 1e-12)
    return float(np.log(bounded / (1 - bounded)))
