"""Transitions into work and study: hazards, expected risks under interventions, and the drawn event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bipstudy.simulation.cohort import QUARTER_DAYS, Bools, Cohort, Floats, Ints, day_number, overall
from bipstudy.simulation.course import Changes
from bipstudy.simulation.scenario import Scenario

WORK, STUDY = 1, 2
OLDEST = 4


@dataclass(frozen=True)
class Intervention:
    """What is set, for everybody, in place of what the model would draw.

    Attributes
    ----------
    first_optimism, first_skill : (N,) float or None
        Traits of the first caseworker, for as long as he or she stays.
    changed : bool or None
        True: a change has acted from the first measurement on; False: changes do not act.
    progress : (N, Q + 1) float or None
        Progression.
    """

    first_optimism: Floats | None = None
    first_skill: Floats | None = None
    changed: bool | None = None
    progress: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Paths:
    """All that the hazards of a study depend on.

    Attributes
    ----------
    scenario : Scenario
    cohort : Cohort
    changes : Changes
    progress : (N, Q + 1) float
    running_until : (N,) float
        Quarters from the first measurement to the end of a spell of work or study that runs then; 0 without.
    """

    scenario: Scenario
    cohort: Cohort
    changes: Changes
    progress: npt.NDArray[np.float32]
    running_until: Floats

    def take(self, rows: Ints) -> Paths:
        """Return the paths of some participants; the caseworkers stay."""
        return Paths(
            self.scenario,
            self.cohort.take(rows),
            self.changes.take(rows),
            self.progress[rows],
            self.running_until[rows],
        )


@dataclass(frozen=True)
class Piece:
    """Hazards of N participants over a part of a quarter in which they do not change.

    Attributes
    ----------
    quarter : int
        Quarter since the first measurement, from 0.
    begins, length : (N,) float
        As shares of the quarter.
    work, study : (N,) float
        Hazard a quarter.
    """

    quarter: int
    begins: Floats
    length: Floats
    work: Floats
    study: Floats


@dataclass(frozen=True)
class Transitions:
    """Drawn transitions of N participants.

    Attributes
    ----------
    time : (N,) float
        Quarters from the first measurement; infinite if none.
    cause : (N,) int
        0 none, 1 work, 2 study.
    """

    time: Floats
    cause: Ints


@dataclass(frozen=True)
class Risks:
    """Expected risks of N participants: probabilities of the model, no event drawn.

    Attributes
    ----------
    work, study : (N,) float
        Probability that the first transition, before any competing end of follow-up, is into work or into study.
    any : (N,) float
        Their sum.
    """

    work: Floats
    study: Floats
    any: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "any", self.work + self.study)


def concave(x: Floats, concavity: float) -> Floats:
    """Return g(x) = (1 - exp(-c x)) / c, which is x for c = 0: its slope is 1 at 0 and falls with x."""
    return x if concavity == 0 else -np.expm1(-concavity * x) / concavity


def pieces(paths: Paths, quarters: int, do: Intervention | None = None) -> Iterator[Piece]:
    """Yield the hazards quarter by quarter, before and after a change of caseworker within it.

    Parameters
    ----------
    paths : Paths
    quarters : int
        How many quarters since the first measurement.
    do : Intervention, optional

    Yields
    ------
    Piece
    """
    do = do or Intervention()
    ever = np.zeros(paths.cohort.size, dtype=bool)
    for quarter in range(quarters):
        work, study = _without_caseworker(paths, quarter, do)
        moment = paths.changes.moment[:, quarter].astype(np.float64)
        for part in (0, 1):
            caseworker_work, caseworker_study = _of_caseworker(paths, quarter + part, ever, do)
            yield Piece(
                quarter=quarter,
                begins=moment if part else np.zeros(len(moment)),
                length=1.0 - moment if part else moment,
                work=work * caseworker_work,
                study=study * caseworker_study,
            )
            ever = ever | (moment < 1)


def _without_caseworker(paths: Paths, quarter: int, do: Intervention) -> tuple[Floats, Floats]:
    """Return what the hazards of a quarter are apart from the caseworker's factor."""
    given, cohort = paths.scenario.events, paths.cohort
    progress = paths.progress if do.progress is None else do.progress
    readiness = concave(overall(paths.scenario, cohort, progress[:, quarter].astype(np.float64)), given.concavity)
    years = (cohort.first + (quarter + 0.5) * QUARTER_DAYS - day_number(paths.scenario.design.starts_on)) / 365.25
    effects = np.asarray(given.entry_quarter_effects)
    common = np.exp(
        cohort.organisation_effect[cohort.organisation]
        + effects[cohort.entry_quarter % len(effects)]
        + given.calendar_per_year * years
    )
    common = common * (paths.running_until <= quarter)
    return (
        given.work_rate * common * np.exp(given.readiness_work * readiness),
        given.study_rate * common * np.exp(given.readiness_study * readiness),
    )


def _of_caseworker(paths: Paths, column: int, ever: Bools, do: Intervention) -> tuple[Floats, Floats]:
    """Return the factors that the caseworker of a moment, and a change before it, put on the hazards."""
    given, cohort = paths.scenario.events, paths.cohort
    skill_sd = paths.scenario.caseworkers.skill_sd
    caseworker = paths.changes.caseworker[:, column]
    optimism, skill = cohort.optimism[caseworker], cohort.skill[caseworker]
    # A set trait belongs to the first caseworker and leaves with him or her.
    if do.first_optimism is not None:
        optimism = np.where(ever, optimism, do.first_optimism)
    if do.first_skill is not None:
        skill = np.where(ever, skill, do.first_skill)
    acts = ever if do.changed is None else np.full(len(ever), do.changed)
    common = np.exp(skill_sd * skill + np.log(given.change_hazard_ratio) * acts)
    return common * np.exp(given.optimism_work * optimism), common * np.exp(given.optimism_study * optimism)


def competing_rate(scenario: Scenario, cohort: Cohort) -> Floats:
    """Return the hazard a quarter of death, retirement and permanent sickness benefit together; (N,)."""
    given = scenario.exits
    rate: Floats = given.died_rate + given.sickness_benefit_rate + given.retired_rate * (cohort.age == OLDEST)
    return rate


def expected_risks(paths: Paths, months: int, do: Intervention | None = None) -> Risks:
    """Return everybody's risk of a transition within some months, from the hazards alone.

    Parameters
    ----------
    paths : Paths
    months : int
        Horizon in months since the first measurement, a multiple of three.
    do : Intervention, optional
        What is set in place of what the model would draw.

    Returns
    -------
    Risks

    Notes
    -----
    Over a piece of length l with hazards w, s and c (work, study, competing), who is still there with probability S
    starts work with probability S w / (w + s + c) (1 - exp(-l (w + s + c))).
    """
    competing = competing_rate(paths.scenario, paths.cohort)
    there = np.ones(paths.cohort.size)
    work, study = np.zeros(paths.cohort.size), np.zeros(paths.cohort.size)
    for piece in pieces(paths, months // 3, do):
        total = piece.work + piece.study + competing
        leaves = there * -np.expm1(-total * piece.length) / np.where(total > 0, total, 1.0)
        work += leaves * piece.work
        study += leaves * piece.study
        there = there * np.exp(-total * piece.length)
    return Risks(work=work, study=study)


def draw_transitions(
    paths: Paths, quarters: int, rng: np.random.Generator, do: Intervention | None = None
) -> Transitions:
    """Draw the time and cause of everybody's transition.

    One exponential and one uniform number per participant decide: two interventions with the same generator give
    potential outcomes of the same people.

    Parameters
    ----------
    paths : Paths
    quarters : int
    rng : Generator
    do : Intervention, optional

    Returns
    -------
    Transitions
    """
    count = paths.cohort.size
    threshold, which = rng.standard_exponential(count), rng.random(count)
    time = np.full(count, np.inf)
    cause = np.zeros(count, dtype=np.int64)
    for piece in pieces(paths, quarters, do):
        total = piece.work + piece.study
        crossed = (threshold < total * piece.length) & ~np.isfinite(time)
        when = piece.quarter + piece.begins + threshold / np.where(total > 0, total, 1.0)
        time = np.where(crossed, when, time)
        cause = np.where(crossed, np.where(which * total < piece.work, WORK, STUDY), cause)
        threshold = threshold - total * piece.length
    return Transitions(time, cause)
