"""Population values of a scenario, and the search for the parameters that meet published numbers.

Run as ``python -m bipstudy.simulation.calibration danish_twin``: it prints the calibrated parameters and what they
give. The values in the scenario files were found this way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bipstudy.simulation import tables
from bipstudy.simulation.answers import latent_belief, ordinal
from bipstudy.simulation.cohort import Bools, Floats, Ints
from bipstudy.simulation.events import Intervention, Paths, expected_risks
from bipstudy.simulation.occasions import ANSWERED, draw_forms
from bipstudy.simulation.scenario import Scenario, scenario
from bipstudy.simulation.streams import streams
from bipstudy.simulation.study import Draw, draw
from bipstudy.simulation.truth import HORIZON, optimism_contrast

PARTICIPANTS = 120_000
SEED = 20130101


@dataclass(frozen=True)
class Readings:
    """What a scenario gives in a large draw: the readings of the published numbers.

    Risks are expected ones, within 12 months of the first measurement, of those at risk then.

    Attributes
    ----------
    risk_work, risk_any : float
        Risk of work, and of work or study.
    by_answer : (5,) float
        Risk of work by the belief answer at the first measurement; every participant has one here.
    answer_shares : (5,) float
    bottom_two, top_two : float
        Risk of work for answers 1 and 2, and 4 and 5.
    optimism_work, optimism_any : float
        Ratio of risks under a first caseworker above against below the median of optimism.
    answer_contrast : float
        Raw ratio of risks of work, answers 4 and 5 against 1 to 3.
    change_any : float
        Ratio of risks of work or study had a change acted from the start against had changes not acted.
    ever_changed : float
        Share with a change of main caseworker in the assignment table.
    no_activity : float
        Share without an activity from the first measurement to the transition or end.
    occasions : float
        Mean number of occasions with an answered form.
    only_one : float
        Share with one occasion.
    paired : float
        Share of occasions with both forms.
    """

    risk_work: float
    risk_any: float
    by_answer: Floats
    answer_shares: Floats
    bottom_two: float
    top_two: float
    optimism_work: float
    optimism_any: float
    answer_contrast: float
    change_any: float
    ever_changed: float
    no_activity: float
    occasions: float
    only_one: float
    paired: float


@dataclass(frozen=True)
class Target:
    """One number that a parameter is to meet."""

    parameter: str
    reading: Callable[[Readings], float]
    value: float


BASE = (
    Target("events.work_rate", lambda r: r.risk_work, 0.060),
    Target("events.study_rate", lambda r: r.risk_any, 0.090),
)
BELIEF = (
    Target("events.readiness_work", lambda r: float(r.by_answer[4]), 0.27),
    Target("events.concavity", lambda r: r.bottom_two, 0.013),
)
OPTIMISM = (
    Target("events.optimism_work", lambda r: r.optimism_work, 1.32),
    Target("events.optimism_study", lambda r: r.optimism_any, 1.33),
)
PROCESS = (
    Target("caseworkers.change_rate", lambda r: r.ever_changed, 0.40),
    Target("activities.start_rate", lambda r: r.no_activity, 0.25),
    Target("occasions.stop_rate", lambda r: r.occasions, 2.90),
)
WIDE = (
    Target("events.work_rate", lambda r: r.risk_work, 0.088),
    Target("events.study_rate", lambda r: r.risk_any, 0.118),
    Target("events.readiness_work", lambda r: r.top_two, 0.27),
    Target("events.concavity", lambda r: r.bottom_two, 0.010),
)
TARGETS: Mapping[str, tuple[Target, ...]] = {
    "danish_twin": (*BASE, *BELIEF, *OPTIMISM, *PROCESS),
    "danish_twin_wide": (*WIDE, *OPTIMISM),
    "null": BASE,
    "selection_only": (*BASE, *BELIEF),
}


def read_scenario(given: Scenario, participants: int = PARTICIPANTS, seed: int = SEED) -> Readings:
    """Return the population values of a scenario, from one large draw.

    Parameters
    ----------
    given : Scenario
    participants : int
        Size of the draw.
    seed : int

    Returns
    -------
    Readings
    """
    rng = streams(seed)
    drawn = draw(given, participants, rng)
    forms = draw_forms(given, drawn.cohort, drawn.changes, drawn.follow_up, rng)
    answered = forms.status == ANSWERED
    rounds = forms.person * len(drawn.changes.moment[0]) + forms.quarter
    _, filled = np.unique(rounds[answered], return_counts=True)
    each = np.bincount(np.unique(rounds[answered]) // len(drawn.changes.moment[0]), minlength=participants)
    changer, _, _ = tables.change_days(drawn.cohort, drawn.changes, drawn.follow_up)
    _, taken = tables.activities_taken(drawn.cohort, drawn.activities, drawn.follow_up)
    active = np.unique(drawn.activities.person[taken])
    return Readings(
        **_risks(drawn, rng),
        ever_changed=len(np.unique(changer)) / participants,
        no_activity=1 - len(active) / participants,
        occasions=float(each.mean()),
        only_one=float((each == 1).mean()),
        paired=float((filled == 2).mean()),
    )


def first_answers(paths: Paths, rng: np.random.Generator) -> Ints:
    """Return everybody's belief answer at the first measurement, had every first caseworker answered."""
    cohort = paths.cohort
    everybody = np.arange(cohort.size)
    none = np.zeros(cohort.size)
    latent = latent_belief(paths.scenario, cohort, everybody, cohort.first_caseworker, none, rng)
    return ordinal(latent, paths.scenario.answers.belief_cuts).astype(np.int64)


def _risks(drawn: Draw, rng: dict[str, np.random.Generator]) -> dict[str, Any]:
    """Return the readings that are risks."""
    paths = drawn.paths
    at_risk = paths.running_until == 0
    answers = first_answers(paths, rng["belief"])
    risks = expected_risks(paths, HORIZON)
    above, below = optimism_contrast(paths, rng["contrasts"])
    acting = expected_risks(paths, HORIZON, Intervention(changed=True))
    idle = expected_risks(paths, HORIZON, Intervention(changed=False))

    def work(rows: Bools) -> float:
        return float(risks.work[at_risk & rows].mean())

    return {
        "risk_work": work(at_risk),
        "risk_any": float(risks.any[at_risk].mean()),
        "by_answer": np.array([work(answers == answer) for answer in range(1, 6)]),
        "answer_shares": np.bincount(answers, minlength=6)[1:] / len(answers),
        "bottom_two": work(answers <= 2),
        "top_two": work(answers >= 4),
        "optimism_work": float(above.work[at_risk].mean() / below.work[at_risk].mean()),
        "optimism_any": float(above.any[at_risk].mean() / below.any[at_risk].mean()),
        "answer_contrast": work(answers >= 4) / work(answers <= 3),
        "change_any": float(acting.any[at_risk].mean() / idle.any[at_risk].mean()),
    }


def calibrate(
    given: Scenario, targets: tuple[Target, ...], participants: int = PARTICIPANTS, seed: int = SEED, steps: int = 5
) -> Scenario:
    """Return the scenario with the parameters that meet the targets, by Newton's method on one fixed draw.

    Parameters are changed on the log scale, one step for all at once; every evaluation uses the same random numbers,
    so that differences are those of the parameters.

    Parameters
    ----------
    given : Scenario
        Where to start.
    targets : tuple of Target
    participants : int
    seed : int
    steps : int
        Newton steps.

    Returns
    -------
    Scenario
    """
    for _ in range(steps):
        missing = _distance(given, targets, participants, seed)
        jacobian = np.empty((len(targets), len(targets)))
        for column, target in enumerate(targets):
            # Wide enough for shares that are counted, narrow enough for the slope.
            nudged = _moved(given, target.parameter, 0.05)
            jacobian[:, column] = (_distance(nudged, targets, participants, seed) - missing) / 0.05
        for target, move in zip(targets, np.linalg.solve(jacobian, -missing), strict=True):
            given = _moved(given, target.parameter, float(np.clip(move, -0.5, 0.5)))
    return given


def _distance(given: Scenario, targets: tuple[Target, ...], participants: int, seed: int) -> Floats:
    """Return how far the readings are from the targets, on the log scale."""
    readings = read_scenario(given, participants, seed)
    return np.array([np.log(target.reading(readings) / target.value) for target in targets])


def _moved(given: Scenario, parameter: str, by: float) -> Scenario:
    """Return the scenario with one parameter multiplied by exp(`by`)."""
    value = given.parameters()[parameter] * np.exp(by)
    return given.replace(**{parameter.replace(".", "__"): float(value)})


def main(name: str, participants: int = PARTICIPANTS) -> None:
    """Calibrate a scenario of the package and print the parameters and readings.

    Parameters
    ----------
    name : str
        One of `TARGETS`.
    participants : int
    """
    found = calibrate(scenario(name), TARGETS[name], participants)
    for target in TARGETS[name]:
        print(f"{target.parameter}: {found.parameters()[target.parameter]:.5g}")
    print(read_scenario(found, participants, SEED + 1))


if __name__ == "__main__":
    main(sys.argv[1])
