"""Answers: the belief of the caseworker and the ordinal items of both respondents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.simulation.cohort import Bools, Cohort, Floats, Ints, overall
from bipstudy.simulation.occasions import ANSWERED, CASEWORKER, PARTICIPANT, Forms
from bipstudy.simulation.scenario import Scenario

BELIEF = "caseworker_belief"
READY_ITEMS = (
    "job_search",
    "labour_market_knowledge",
    "health_coping",
    "cooperation",
    "goal_orientation",
    "self_belief",
)
"""Indicators that load on readiness; with the belief they are the seven with a real association."""
OTHER_ITEMS = ("everyday_coping", "unpublished_1", "unpublished_2", "unpublished_3")
ITEMS = (*READY_ITEMS, *OTHER_ITEMS, BELIEF)
CASEWORKER_ONLY = ("unpublished_3", BELIEF)


@dataclass(frozen=True)
class Answers:
    """Answers on F forms.

    Attributes
    ----------
    values : dict of str to (F,) int8
        1 to 5; 0 where the item was not asked of the respondent or the form not answered.
    missing : dict of str to (F,) int8
        0 answered or not asked, 1 missing without reason, 2 and more missing with a reason, in the order of the codes.
    belief : (F,) float
        Latent belief, standard normal at the first measurement.
    """

    values: dict[str, npt.NDArray[np.int8]]
    missing: dict[str, npt.NDArray[np.int8]]
    belief: Floats


def draw_answers(
    scenario: Scenario,
    cohort: Cohort,
    progress: npt.NDArray[np.float32],
    forms: Forms,
    rng: dict[str, np.random.Generator],
) -> Answers:
    """Draw every answer.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    progress : (N, Q + 1) float
    forms : Forms
    rng : dict of str to Generator

    Returns
    -------
    Answers
    """
    gained = progress[forms.person, forms.quarter].astype(np.float64)
    answered = forms.status == ANSWERED
    count = len(forms.person)
    values = {item: np.zeros(count, dtype=np.int8) for item in ITEMS}
    belief = np.zeros(count)
    for respondent, stream in ((PARTICIPANT, "participant_items"), (CASEWORKER, "caseworker_items")):
        rows = np.flatnonzero(answered & (forms.respondent == respondent))
        signal = _signals(scenario, cohort, forms, rows, gained[rows], respondent)
        cuts = scenario.answers.item_cuts if respondent == PARTICIPANT else scenario.answers.caseworker_cuts
        for item in ITEMS:
            if item == BELIEF or (respondent == PARTICIPANT and item in CASEWORKER_ONLY):
                continue
            latent = _with_error(scenario, cohort.size, forms.person[rows], *signal[item], rng[stream])
            values[item][rows] = ordinal(latent, cuts)
        if respondent == CASEWORKER:
            belief[rows] = latent_belief(
                scenario, cohort, forms.person[rows], forms.caseworker[rows], gained[rows], rng["belief"]
            )
            values[BELIEF][rows] = ordinal(belief[rows], scenario.answers.belief_cuts)
    missing = {item: _missing(scenario, values[item] > 0, rng["missing"]) for item in ITEMS}
    for item in ITEMS:
        values[item][missing[item] > 0] = 0
    return Answers(values, missing, belief)


def ordinal(latent: Floats, cuts: tuple[float, ...]) -> npt.NDArray[np.int8]:
    """Return the answer, 1 to 5, whose range of a standard normal variable a latent value falls into."""
    from scipy.special import ndtri

    return (np.searchsorted(ndtri(np.asarray(cuts)), latent, side="right") + 1).astype(np.int8)


def _signals(
    scenario: Scenario, cohort: Cohort, forms: Forms, rows: Ints, gained: Floats, respondent: int
) -> dict[str, tuple[Floats, float]]:
    """Return for every item what its answers show, and its variance at the first measurement."""
    given = scenario.answers
    person = forms.person[rows]
    readiness = cohort.readiness[person] + gained
    wellbeing = cohort.wellbeing[person]
    if respondent == CASEWORKER:
        # The caseworker sees the private part too, and colours what is seen by optimism.
        seen = overall(scenario, cohort)[person] + np.sqrt(1 - scenario.people.private_share) * gained
        tint = given.halo * cohort.optimism[forms.caseworker[rows]]
        loading, variance = given.caseworker_loading, given.caseworker_loading**2 + given.halo**2
    else:
        seen, tint = readiness, np.zeros(len(rows))
        loading, variance = given.item_loading, given.item_loading**2
    signals = {item: (loading * seen + tint, variance) for item in READY_ITEMS}
    signals |= {item: (loading * wellbeing + tint, variance) for item in OTHER_ITEMS}
    split, rest = np.sqrt(given.health_item), np.sqrt(1 - given.health_item)
    # Health and what is seen of readiness are correlated, so their weighted sum is scaled back to unit variance.
    link = scenario.people.health_correlation
    link *= np.sqrt(1 - scenario.people.private_share) if respondent == CASEWORKER else 1.0
    mixed = (rest * seen + split * cohort.health[person]) / np.sqrt(1 + 2 * split * rest * link)
    signals["health_coping"] = (loading * mixed + tint, variance)
    return signals


def _with_error(
    scenario: Scenario, people: int, person: Ints, signal: Floats, variance: float, rng: np.random.Generator
) -> Floats:
    """Add an error, part of which stays with the person, so that the variance at the first measurement is 1."""
    stable = scenario.answers.item_stability
    lasting, passing = rng.standard_normal(people), rng.standard_normal(len(person))
    error = np.sqrt(stable) * lasting[person] + np.sqrt(1 - stable) * passing
    latent: Floats = signal + np.sqrt(max(1 - variance, 0.0)) * error
    return latent


def latent_belief(
    scenario: Scenario, cohort: Cohort, person: Ints, caseworker: Ints, gained: Floats, rng: np.random.Generator
) -> Floats:
    """Return the latent belief on forms: optimism of who answers, what the caseworker sees, and noise.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    person, caseworker : (F,) int
    gained : (F,) float
        Progression so far.
    rng : Generator

    Returns
    -------
    (F,) float
        Standard normal where nothing is gained.
    """
    given = scenario.answers
    seen = overall(scenario, cohort)[person] + np.sqrt(1 - scenario.people.private_share) * gained
    signal = np.sqrt(given.optimism_icc) * cohort.optimism[caseworker] + given.belief_readiness * seen
    noise = np.sqrt(max(1 - given.optimism_icc - given.belief_readiness**2, 0.0))
    lasting, passing = rng.standard_normal(cohort.size), rng.standard_normal(len(person))
    stable = given.belief_stability
    latent: Floats = signal + noise * (np.sqrt(stable) * lasting[person] + np.sqrt(1 - stable) * passing)
    return latent


def _missing(scenario: Scenario, given: Bools, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Draw which answers are missing, and why."""
    count = int(given.sum())
    lacks, reason = rng.random((2, count))
    found = np.zeros(len(given), dtype=np.int8)
    known = scenario.answers.missing_with_reason
    why = 2 + np.searchsorted([0.45 * known, 0.75 * known, 0.95 * known], reason, side="right")
    found[given] = np.where(lacks < scenario.answers.missing, np.where(reason < known, why, 1), 0)
    return found
