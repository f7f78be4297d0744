"""The search for the parameters that meet published numbers.

Run as ``python -m bipstudy.simulation.calibration danish_twin``, or with the file of a scenario: it prints the
calibrated parameters and what they give. The values in the scenario files were found this way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bipstudy.simulation.cohort import Floats
from bipstudy.simulation.readings import PARTICIPANTS, SEED, Readings, read_scenario
from bipstudy.simulation.scenario import Scenario, scenario


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


def calibrate(
    given: Scenario, targets: tuple[Target, ...], participants: int = PARTICIPANTS, seed: int = SEED, steps: int = 5
) -> Scenario:
    """Return the scenario with the parameters that meet the targets, by Newton's method on one fixed draw.

    Parameters but the concavity are changed on the log scale, one step for all at once; every evaluation uses the same
    random numbers, so that differences are those of the parameters.

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
    """Return the scenario with one parameter multiplied by exp(`by`); the concavity has a sign and gets `by` added."""
    value = given.parameters()[parameter]
    value = value + by if parameter == "events.concavity" else value * np.exp(by)
    return given.replace(**{parameter.replace(".", "__"): float(value)})


def main(name: str, *fixed: str, participants: int = PARTICIPANTS) -> None:
    """Calibrate a scenario and print the parameters and readings.

    Parameters
    ----------
    name : str
        One of `TARGETS`, or the file of a scenario that is to meet the outcomes of the Danish twin.
    *fixed : str
        Parameters that stay as they are; what they would have met is not aimed at.
    participants : int
    """
    targets = [each for each in TARGETS.get(name, (*BASE, *BELIEF, *OPTIMISM)) if each.parameter not in fixed]
    found = calibrate(scenario(name), tuple(targets), participants)
    for target in targets:
        print(f"{target.parameter}: {found.parameters()[target.parameter]:.5g}")
    print(read_scenario(found, participants, SEED + 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
