"""A simulated study with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bipstudy.simulation import tables
from bipstudy.simulation.answers import Answers, draw_answers
from bipstudy.simulation.cohort import Cohort, draw_cohort
from bipstudy.simulation.course import Activities, Changes, draw_activities, draw_changes, draw_progression
from bipstudy.simulation.events import Paths, Transitions, draw_transitions
from bipstudy.simulation.occasions import FollowUp, Forms, draw_follow_up, draw_forms
from bipstudy.simulation.scenario import Scenario, scenario
from bipstudy.simulation.spells import Spells, draw_running, draw_spells
from bipstudy.simulation.streams import streams
from bipstudy.simulation.truth import Truth, read_truth
from bipstudy.study import Study


@dataclass(frozen=True)
class Draw:
    """Everything drawn for one study, as arrays."""

    scenario: Scenario
    cohort: Cohort
    changes: Changes
    activities: Activities
    paths: Paths
    transitions: Transitions
    follow_up: FollowUp


def draw(given: Scenario, participants: int, rng: dict[str, np.random.Generator], quarters: int | None = None) -> Draw:
    """Draw participants and what happens to them, without answers and tables.

    Parameters
    ----------
    given : Scenario
    participants : int
    rng : dict of str to Generator
        From `bipstudy.simulation.streams.streams`.
    quarters : int, optional
        How many quarters since the first measurement; those of the whole study by default.

    Returns
    -------
    Draw
    """
    length = given.quarters if quarters is None else quarters
    cohort = draw_cohort(given, participants, rng)
    changes = draw_changes(given, cohort, length, rng["changes"])
    activities = draw_activities(given, cohort, changes, length, rng["activities"])
    progress = draw_progression(given, cohort, activities, length, rng["progression"])
    running = draw_running(given, cohort.size, rng["spells"])
    paths = Paths(given, cohort, changes, progress, running)
    transitions = draw_transitions(paths, length, rng["transitions"])
    follow_up = draw_follow_up(given, cohort, transitions, rng["exits"])
    return Draw(given, cohort, changes, activities, paths, transitions, follow_up)


def simulate_study(
    participants: int | None = None,
    seed: int | np.random.SeedSequence = 1,
    scenario: str | Path | Scenario = "danish_twin",
) -> tuple[Study, Truth]:
    """Draw a whole study with known truth.

    Parameters
    ----------
    participants : int, optional
        How many; those of the scenario by default. Caseworkers follow in number, organisations do not.
    seed : int or SeedSequence
        The same seed gives the same study.
    scenario : str, Path or Scenario
        Name of a scenario of the package, path of a YAML file, or a scenario.

    Returns
    -------
    study : Study
        All nine tables.
    truth : Truth
        The numbers that analyses of the study can be held against.

    Raises
    ------
    BipstudyError
        No such scenario, a parameter that is unknown, missing or out of range, or too few participants.

    Notes
    -----
    It is a device to test pipelines and says nothing about Denmark or Sweden. The model is described in the
    documentation of the simulation.

    Examples
    --------
    >>> study, truth = simulate_study(participants=300, seed=7)
    >>> len(study.participants)
    300
    >>> truth.change_hazard_ratio
    0.78
    """
    given = _scenario(scenario)
    count = given.design.participants if participants is None else int(participants)
    rng = streams(seed)
    drawn = draw(given, count, rng)
    forms = draw_forms(given, drawn.cohort, drawn.changes, drawn.follow_up, rng)
    answers = draw_answers(given, drawn.cohort, drawn.paths.progress, forms, rng)
    spells = draw_spells(given, drawn.cohort, drawn.transitions, drawn.follow_up, drawn.paths.running_until, rng)
    study = _study(drawn, forms, answers, spells, rng)
    return study, read_truth(drawn.paths, drawn.transitions, drawn.follow_up, forms, answers, rng["contrasts"])


# The argument `scenario` of the public function hides the reader of the same name.
_scenario = scenario


def load_example() -> Study:
    """Return the example study: the scenario ``tiny``, always the same.

    Returns
    -------
    Study

    Examples
    --------
    >>> load_example().organisations["organisation_id"].tolist()
    ['ORG01', 'ORG02']
    """
    return simulate_study(scenario="tiny", seed=1)[0]


def _study(drawn: Draw, forms: Forms, answers: Answers, spells: Spells, rng: dict[str, np.random.Generator]) -> Study:
    """Build the canonical tables."""
    given, cohort, follow_up = drawn.scenario, drawn.cohort, drawn.follow_up
    keys = tables.Keys(cohort, given.design.organisations, given.design.units_per_organisation)
    built = {
        "organisations": tables.organisations_table(given, keys),
        "participants": tables.participants_table(given, cohort, follow_up, keys, rng["background"]),
        "caseworkers": tables.caseworkers_table(given, cohort, keys, rng["trainings"]),
        "trainings": tables.trainings_table(given, cohort, keys, rng["trainings"]),
        "assignments": tables.assignments_table(
            given, cohort, drawn.changes, follow_up, keys, rng["second_caseworkers"]
        ),
        "measurements": tables.measurements_table(cohort, forms, answers, keys, rng["missing"]),
        "missing_answers": tables.missing_answers_table(forms, answers, keys),
        "activities": tables.activities_table(given, cohort, drawn.activities, follow_up, keys, rng["activities"]),
        "outcomes": tables.outcomes_table(spells, keys, rng["registers"]),
    }
    # The tables are canonical and sorted as they are built, so that conforming them again would only cost time.
    return Study(tables=MappingProxyType(built), sent=frozenset(built))
