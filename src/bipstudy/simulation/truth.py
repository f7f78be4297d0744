"""The truth of a simulated study: the numbers that analyses can be held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bipstudy.simulation.answers import OTHER_ITEMS, READY_ITEMS, Answers
from bipstudy.simulation.cohort import QUARTER_DAYS, Bools, Floats, Ints, day_number
from bipstudy.simulation.events import Intervention, Paths, Risks, Transitions, expected_risks, pieces
from bipstudy.simulation.occasions import ANSWERED, CASEWORKER, FollowUp, Forms

HORIZON = 12
WASHOUT_DAYS = 30
_GRID = np.array([-3.0, -1.5, 0.0, 1.5, 3.0])
_SAMPLE = 1000


@dataclass(frozen=True)
class Truth:
    """What is true of a simulated study.

    Risks are expected ones, computed from everybody's hazards without drawing an event: the probability that the first
    transition within 12 months of the first measurement is into work (or into work or study), before death, retirement
    or permanent sickness benefit. They are means over those at risk at the first measurement. Transitions are those of
    the definition *primary*. Arrays by participant follow the rows of ``study.participants``, arrays by caseworker
    those of ``study.caseworkers``. What follows from the hazards is computed when it is first asked for: whoever needs
    one number of many studies does not wait for the others.

    Attributes
    ----------
    scenario, scenario_hash : str
        Name of the scenario and SHA-256 of its parameters.
    parameters : mapping of str to object
        Every parameter as ``part.name``.
    risk_work, risk_any : float
        12-month risk of work, and of work or study.
    risk_work_by_belief, risk_any_by_belief : (5,) float
        The same by the caseworker's belief at the first measurement, answers 1 to 5; NaN without such an answer.
    belief_shares : (5,) float
        Share of each answer, among answers at the first measurement.
    optimism_ratio_work, optimism_ratio_any : float
        Ratio of the 12-month risks of the same participants with a first caseworker above against below the median of
        optimism, skill and everything else as drawn.
    optimism_log_hazard_work, optimism_log_hazard_study : float
        Log hazard ratio per standard deviation of optimism.
    change_hazard_ratio : float
        Hazard ratio after a first change against before, for the same participant and equal caseworkers: conditional.
    change_hazard_ratio_marginal : float
        The same among those still there, quarter by quarter since the first measurement over the whole follow-up, with
        nothing adjusted for: what a model estimates that knows neither readiness nor caseworkers.
    change_hazard_ratio_lagged, change_hazard_ratio_lagged_work : float
        The same as an analysis by quarters dates it: changed is who had a change by 30 days before the quarter began;
        of work or study, and of work, on which readiness weighs more. This is what
        `bipstudy.analyses.continuity` estimates.
    change_risk_ratio_any : float
        Ratio of the 12-month risks of the same participants had a change acted from the first measurement on against
        had changes not acted.
    skill_sd : float
        Standard deviation of caseworkers' other lasting effect, on the log hazard.
    caseworker_optimism, caseworker_skill : (C,) float
        Standard normal traits; the effect on the log hazard is the trait times its coefficient.
    caseworker_risk_any : (C,) float
        12-month risk of work or study of the participants had this caseworker been everybody's first one.
    caseworker_risk_sd : float
        Standard deviation of `caseworker_risk_any` over caseworkers.
    readiness, private : (N,) float
        Latent readiness and the private part, at the first measurement.
    first_optimism : (N,) float
        Optimism of the first caseworker.
    risk_work_each, risk_any_each : (N,) float
        Everybody's own 12-month risks.
    at_risk : (N,) bool
        Not in a spell of work or study at the first measurement.
    transition_months : (N,) float
        Months from the first measurement to the transition as the model drew it, also where it lies after the end of
        follow-up; infinite if none.
    transition_cause : (N,) int
        0 none, 1 work, 2 study.
    associated_items, unassociated_items : tuple of str
        Items that load on readiness or are the belief, and items that have nothing to do with work.
    """

    scenario: str
    belief_shares: Floats
    optimism_log_hazard_work: float
    optimism_log_hazard_study: float
    change_hazard_ratio: float
    skill_sd: float
    caseworker_optimism: Floats
    caseworker_skill: Floats
    readiness: Floats
    private: Floats
    first_optimism: Floats
    at_risk: Bools
    transition_months: Floats
    transition_cause: Ints
    associated_items: tuple[str, ...]
    unassociated_items: tuple[str, ...]
    _paths: Paths = field(repr=False)
    _belief: Ints = field(repr=False)
    _distance: Floats = field(repr=False)

    @cached_property
    def scenario_hash(self) -> str:
        """SHA-256 of the parameters."""
        return self._paths.scenario.hash

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """Every parameter as ``part.name``."""
        return self._paths.scenario.parameters()

    @cached_property
    def _risks(self) -> Risks:
        return expected_risks(self._paths, HORIZON)

    @property
    def risk_work_each(self) -> Floats:
        """Everybody's own 12-month risk of work."""
        return self._risks.work

    @property
    def risk_any_each(self) -> Floats:
        """Everybody's own 12-month risk of work or study."""
        return self._risks.any

    @property
    def risk_work(self) -> float:
        """12-month risk of work."""
        return _mean(self._risks.work, self.at_risk)

    @property
    def risk_any(self) -> float:
        """12-month risk of work or study."""
        return _mean(self._risks.any, self.at_risk)

    @property
    def risk_work_by_belief(self) -> Floats:
        """12-month risk of work by the caseworker's answer."""
        return self._by_belief(self._risks.work)

    @property
    def risk_any_by_belief(self) -> Floats:
        """12-month risk of work or study by the caseworker's answer."""
        return self._by_belief(self._risks.any)

    def _by_belief(self, risk: Floats) -> Floats:
        """Return the mean risk by answer."""
        return np.array([_mean(risk, self.at_risk & (self._belief == answer)) for answer in range(1, 6)])

    @cached_property
    def _contrast(self) -> tuple[Risks, Risks]:
        return _above_and_below(self._paths, self._distance, HORIZON)

    @property
    def optimism_ratio_work(self) -> float:
        """Ratio of the risks of work, a caseworker above against below the median of optimism."""
        above, below = self._contrast
        return _mean(above.work, self.at_risk) / _mean(below.work, self.at_risk)

    @property
    def optimism_ratio_any(self) -> float:
        """Ratio of the risks of work or study, a caseworker above against below the median of optimism."""
        above, below = self._contrast
        return _mean(above.any, self.at_risk) / _mean(below.any, self.at_risk)

    @cached_property
    def change_hazard_ratio_marginal(self) -> float:
        """Hazard ratio after a first change among those still there."""
        return marginal_change_ratio(self._paths)

    @cached_property
    def change_hazard_ratio_lagged(self) -> float:
        """The same, dated by quarters and with the wash-out."""
        return marginal_change_ratio(self._paths, washout_days=WASHOUT_DAYS)

    @cached_property
    def change_hazard_ratio_lagged_work(self) -> float:
        """The same, of work."""
        return marginal_change_ratio(self._paths, washout_days=WASHOUT_DAYS, work_only=True)

    @cached_property
    def change_risk_ratio_any(self) -> float:
        """Ratio of the risks had a change acted against had changes not acted."""
        acting, idle = (expected_risks(self._paths, HORIZON, Intervention(changed=acts)) for acts in (True, False))
        return _mean(acting.any, self.at_risk) / _mean(idle.any, self.at_risk)

    @cached_property
    def caseworker_risk_any(self) -> Floats:
        """12-month risk had this caseworker been everybody's first one."""
        return _caseworker_risks(self._paths, self.at_risk, self._risks.any)

    @property
    def caseworker_risk_sd(self) -> float:
        """Standard deviation of these risks over caseworkers."""
        return float(np.std(self.caseworker_risk_any))


def optimism_contrast(paths: Paths, rng: np.random.Generator, months: int = HORIZON) -> tuple[Risks, Risks]:
    """Return everybody's risks with a first caseworker above, and below, the median of optimism.

    Parameters
    ----------
    paths : Paths
    rng : Generator
        Draws the trait of the caseworker that everybody is given: the same distance from the median up and down.
    months : int

    Returns
    -------
    above, below : Risks
    """
    return _above_and_below(paths, _distances(paths, rng), months)


def _distances(paths: Paths, rng: np.random.Generator) -> Floats:
    """Draw how far from the median the caseworker's optimism is that everybody is given."""
    return np.abs(rng.standard_normal(paths.cohort.size))


def _above_and_below(paths: Paths, distance: Floats, months: int) -> tuple[Risks, Risks]:
    """Return everybody's risks with a first caseworker so far above, and below, the median of optimism."""
    above = expected_risks(paths, months, Intervention(first_optimism=distance))
    return above, expected_risks(paths, months, Intervention(first_optimism=-distance))


def marginal_change_ratio(paths: Paths, *, washout_days: int | None = None, work_only: bool = False) -> float:
    """Return the hazard ratio of a first change among those still there, with nothing adjusted for.

    Those with high hazards leave, and sooner where no change holds them back: who is still there without a change has
    lower hazards than who is there after one. So the ratio lies nearer to 1 than the one that acts on each participant.

    Parameters
    ----------
    paths : Paths
    washout_days : int, optional
        A change counts in the quarters that begin so many days after it or later, and time at risk begins so many days
        after the first measurement; from the change itself if left out.
    work_only : bool
        Whether only the events of work are counted; study then ends the time at risk.

    Returns
    -------
    float
        Mantel-Haenszel ratio over quarters since the first measurement, of expected events to expected time at risk
        until the end of the study.

    Notes
    -----
    With expected events E and time T, changed (1) or not (0), in quarter q:
    sum_q E1 T0 / (T0 + T1) divided by sum_q E0 T1 / (T0 + T1).
    """
    cohort, quarters = paths.cohort, paths.changes.moment.shape[1]
    end = (day_number(paths.scenario.design.ends_on) - cohort.first) / QUARTER_DAYS
    there, ever = np.ones(cohort.size), np.zeros(cohort.size, dtype=bool)
    lag = 0.0 if washout_days is None else washout_days / QUARTER_DAYS
    first = np.full(cohort.size, np.inf)
    events, time = np.zeros((2, quarters)), np.zeros((2, quarters))
    for piece in pieces(paths, quarters):
        happens = (piece.begins > 0) & (piece.begins < 1)
        first = np.minimum(first, np.where(happens, piece.quarter + piece.begins, np.inf))
        ever = ever | happens if washout_days is None else first <= piece.quarter - lag
        total = piece.work + piece.study
        wait = np.clip(lag - piece.quarter - piece.begins, 0, piece.length)
        known = np.clip(end - piece.quarter - piece.begins, wait, piece.length) - wait
        left = there * np.exp(-total * wait) * -np.expm1(-total * known)
        spent = np.divide(left, total, out=np.zeros(cohort.size), where=total > 0)
        expected = spent * (piece.work if work_only else total)
        events[:, piece.quarter] += np.bincount(ever, weights=expected, minlength=2)
        time[:, piece.quarter] += np.bincount(ever, weights=spent, minlength=2)
        there = there * np.exp(-total * piece.length)
    weight = np.divide(1.0, time.sum(axis=0), out=np.zeros(quarters), where=time.sum(axis=0) > 0)
    unchanged = float((events[0] * time[1] * weight).sum())
    return float((events[1] * time[0] * weight).sum()) / unchanged if unchanged > 0 else float("nan")


def first_belief(count: int, forms: Forms, answers: Answers) -> Ints:
    """Return everybody's belief answer at the first measurement, 1 to 5; 0 without one."""
    rows = np.flatnonzero((forms.quarter == 0) & (forms.respondent == CASEWORKER) & (forms.status == ANSWERED))
    belief = np.zeros(count, dtype=np.int64)
    belief[forms.person[rows]] = answers.values["caseworker_belief"][rows]
    return belief


def read_truth(
    paths: Paths,
    transitions: Transitions,
    follow_up: FollowUp,
    forms: Forms,
    answers: Answers,
    rng: np.random.Generator,
) -> Truth:
    """Compute the truth of a drawn study.

    Parameters
    ----------
    paths : Paths
    transitions : Transitions
    follow_up : FollowUp
    forms : Forms
    answers : Answers
    rng : Generator

    Returns
    -------
    Truth
    """
    given, cohort = paths.scenario, paths.cohort
    belief = first_belief(cohort.size, forms, answers)
    seen = max(int(np.isin(belief, range(1, 6)).sum()), 1)
    return Truth(
        scenario=given.name,
        belief_shares=np.array([(belief == answer).sum() / seen for answer in range(1, 6)]),
        optimism_log_hazard_work=given.events.optimism_work,
        optimism_log_hazard_study=given.events.optimism_study,
        change_hazard_ratio=given.events.change_hazard_ratio,
        skill_sd=given.caseworkers.skill_sd,
        caseworker_optimism=cohort.optimism,
        caseworker_skill=cohort.skill,
        readiness=cohort.readiness,
        private=cohort.private,
        first_optimism=cohort.optimism[cohort.first_caseworker],
        at_risk=paths.running_until == 0,
        transition_months=transitions.time * 3,
        transition_cause=transitions.cause,
        associated_items=(*READY_ITEMS, "caseworker_belief"),
        unassociated_items=OTHER_ITEMS,
        _paths=paths,
        _belief=belief,
        _distance=_distances(paths, rng),
    )


def _mean(values: Floats, rows: Bools) -> float:
    """Return the mean over some rows; NaN without any."""
    return float(values[rows].mean()) if rows.any() else float("nan")


def _caseworker_risks(paths: Paths, at_risk: Bools, each: Floats) -> Floats:
    """Return the 12-month risk of the participants under each caseworker.

    The risk depends on optimism and skill smoothly: its logarithm is computed on a grid of both, for at most a thousand
    participants evenly spread over the rows, and interpolated linearly.
    """
    some = np.flatnonzero(at_risk)
    rows = some[:: -(-len(some) // _SAMPLE)] if len(some) else some
    points = len(_GRID)
    part = paths.take(np.tile(rows, points**2))
    do = Intervention(
        first_optimism=np.repeat(_GRID, points * len(rows)), first_skill=np.tile(np.repeat(_GRID, len(rows)), points)
    )
    risk = expected_risks(part, HORIZON, do).any.reshape(points, points, len(rows)).mean(axis=2)
    # The sample gives the ratios, everybody the level.
    level = np.log(risk / each[rows].mean() * each[at_risk].mean())
    (low, weight), (left, share) = _place(paths.cohort.optimism), _place(paths.cohort.skill)
    lower = (1 - share) * level[low, left] + share * level[low, left + 1]
    upper = (1 - share) * level[low + 1, left] + share * level[low + 1, left + 1]
    risk_under: Floats = np.exp((1 - weight) * lower + weight * upper)
    return risk_under


def _place(trait: Floats) -> tuple[Ints, Floats]:
    """Return the grid cell of each trait and the place within it, from 0 to 1; beyond the grid the end is continued."""
    step = _GRID[1] - _GRID[0]
    cell = np.clip(np.floor((trait - _GRID[0]) / step), 0, len(_GRID) - 2).astype(np.int64)
    return cell, (trait - _GRID[cell]) / step
