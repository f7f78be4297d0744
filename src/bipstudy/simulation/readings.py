"""Population values of a scenario: the readings of the published numbers, from a large draw or many studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bipstudy.simulation import tables
from bipstudy.simulation.answers import latent_belief, ordinal
from bipstudy.simulation.cohort import Bools, Floats, Ints
from bipstudy.simulation.events import Intervention, Paths, expected_risks
from bipstudy.simulation.occasions import ANSWERED, draw_forms
from bipstudy.simulation.scenario import Scenario
from bipstudy.simulation.streams import streams
from bipstudy.simulation.study import Draw, draw
from bipstudy.simulation.truth import HORIZON, optimism_contrast

PARTICIPANTS = 120_000
SEED = 20130101
_FEWEST_CLIENTS = 5
_SPREAD_QUARTERS = 8


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


@dataclass(frozen=True)
class Halves:
    """How far halves of caseworkers, by the observed share of their clients, lie apart.

    Attributes
    ----------
    upper, lower : float
        Share of first clients in work or study within 24 months, of caseworkers with at least five, in the half with
        the higher and the lower observed shares.
    chance_upper, chance_lower : float
        The same after clients are shuffled between caseworkers of their organisation: what chance alone makes.
    """

    upper: float
    lower: float
    chance_upper: float
    chance_lower: float


def caseworker_halves(drawn: Draw, rng: np.random.Generator) -> Halves:
    """Return how far halves of caseworkers lie apart in one drawn study.

    Parameters
    ----------
    drawn : Draw
        At least eight quarters.
    rng : Generator
        Shuffles clients.

    Returns
    -------
    Halves
    """
    within = drawn.transitions.time < _SPREAD_QUARTERS
    caseworker, organisation = drawn.cohort.first_caseworker, drawn.cohort.organisation
    shuffled = np.empty_like(within)
    shuffled[np.argsort(organisation, kind="stable")] = within[np.lexsort((rng.random(len(within)), organisation))]
    return Halves(*_halves(within, caseworker), *_halves(shuffled, caseworker))


def _halves(within: Bools, caseworker: Ints) -> tuple[float, float]:
    """Return the shares of clients with a transition in the upper and lower half of caseworkers."""
    clients = np.bincount(caseworker)
    reached = np.bincount(caseworker, weights=within, minlength=len(clients))
    enough = clients >= _FEWEST_CLIENTS
    clients, reached = clients[enough], reached[enough]
    order = np.argsort(reached / clients, kind="stable")
    low, high = order[: len(order) // 2], order[len(order) // 2 :]
    return float(reached[high].sum() / clients[high].sum()), float(reached[low].sum() / clients[low].sum())


def mean_halves(given: Scenario, studies: int = 200, seed: int = SEED) -> Halves:
    """Return the mean of `caseworker_halves` over studies of the scenario's own size.

    Parameters
    ----------
    given : Scenario
    studies : int
    seed : int

    Returns
    -------
    Halves
    """
    found = []
    for child in np.random.SeedSequence(seed).spawn(studies):
        rng = streams(child)
        drawn = draw(given, given.design.participants, rng, quarters=_SPREAD_QUARTERS)
        found.append(list(vars(caseworker_halves(drawn, rng["contrasts"])).values()))
    return Halves(*map(float, np.mean(found, axis=0)))
