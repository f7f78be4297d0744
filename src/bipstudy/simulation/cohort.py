"""People, caseworkers, and who gets whom: everything that is fixed when a participant enters."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bipstudy.simulation.scenario import Scenario
from bipstudy.texts import BipstudyError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Arrays = dict[str, Any]

QUARTER_DAYS = 365.25 / 4
FIRST_DELAY_LIMIT = 40
_SMALLEST_UNIT = 3


@dataclass(frozen=True)
class Cohort:
    """N participants and C caseworkers, ordered by organisation.

    Days are counted from 1970-01-01. Organisations and units are numbered from 0, units over the whole study.

    Attributes
    ----------
    organisation, unit : (N,) int
    entry_quarter : (N,) int
        Quarter of entry, from 0.
    entered, first : (N,) int
        Day of entry, and day of the first measurement, the origin of the participant's clock.
    readiness, private, health, wellbeing : (N,) float
        Standard normal: readiness shows in the items, the private part only to the caseworker, health in health_coping
        and the health columns, wellbeing in the items that have nothing to do with work.
    age, sex, birth, education : (N,) int
        Codes in the order of the scenario's shares.
    vocational, mental, musculoskeletal : (N,) bool
    history : (N,) float
        Share of the last five years in work or study.
    months_since_work : (N,) int
    support : (N,) int
    first_caseworker : (N,) int
    caseworker_organisation, caseworker_unit : (C,) int
    optimism, skill : (C,) float
        Standard normal traits.
    departure : (C,) float
        Day on which the caseworker leaves; infinite for those who stay.
    rank : (C,) int
        Place within the unit, the longest-staying first.
    unit_start : (U + 1,) int
        First caseworker of each unit.
    boost : (C,) float
        Day of the refresher; infinite without.
    organisation_effect : (J,) float
        On the log hazard.
    """

    organisation: Ints
    unit: Ints
    entry_quarter: Ints
    entered: Ints
    first: Ints
    readiness: Floats
    private: Floats
    health: Floats
    wellbeing: Floats
    age: Ints
    sex: Ints
    birth: Ints
    education: Ints
    vocational: Bools
    mental: Bools
    musculoskeletal: Bools
    history: Floats
    months_since_work: Ints
    support: Ints
    first_caseworker: Ints
    caseworker_organisation: Ints
    caseworker_unit: Ints
    optimism: Floats
    skill: Floats
    departure: Floats
    rank: Ints
    unit_start: Ints
    boost: Floats
    organisation_effect: Floats

    @property
    def size(self) -> int:
        """Participants."""
        return len(self.organisation)

    def take(self, rows: Ints) -> Cohort:
        """Return some participants; the caseworkers stay."""
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in _OF_PERSON})

    def active(self, unit: Ints, day: npt.NDArray[Any]) -> Ints:
        """Return how many caseworkers of each unit are still there after a day."""
        # Within a unit departures fall with rank, so that those still there are the first ones.
        span = 1e7
        key = self.caseworker_unit * span - np.minimum(self.departure, span / 2)
        there: Ints = np.searchsorted(key, unit * span - day, side="left") - self.unit_start[unit]
        return there


_OF_CASEWORKER = {
    "caseworker_organisation", "caseworker_unit", "optimism", "skill", "departure", "rank", "unit_start", "boost",
}  # fmt: skip
_OF_PERSON = tuple(
    field.name
    for field in dataclasses.fields(Cohort)
    if field.name not in _OF_CASEWORKER and field.name != "organisation_effect"
)


def day_number(date: object) -> int:
    """Return a date as days since 1970-01-01."""
    return int(np.datetime64(date, "D").astype(np.int64))  # type: ignore[call-overload]


def draw_cohort(scenario: Scenario, participants: int, rng: dict[str, np.random.Generator]) -> Cohort:
    """Draw participants, caseworkers and first assignments.

    Parameters
    ----------
    scenario : Scenario
    participants : int
    rng : dict of str to Generator
        From `streams`.

    Returns
    -------
    Cohort

    Raises
    ------
    BipstudyError
        Fewer participants than the organisations can share.
    """
    design = scenario.design
    if participants < design.organisations:
        raise BipstudyError(
            "simulation.too_few_participants",
            organisations=design.organisations,
            smallest=design.organisations,
            participants=participants,
        )
    sizes = organisation_sizes(participants, design.organisations, design.size_spread)
    people = _people(scenario, sizes, rng["people"])
    background = _background(scenario, people, rng["background"])
    staff = _caseworkers(scenario, sizes, rng)
    effects = _organisation_effects(scenario, sizes, rng["organisations"])
    partial = Cohort(
        **people,
        **background,
        **staff,
        first_caseworker=np.zeros(participants, dtype=np.int64),
        organisation_effect=effects,
    )
    chosen = _first_caseworker(scenario, partial, rng["assignment"])
    return dataclasses.replace(partial, first_caseworker=chosen)


def _organisation_effects(scenario: Scenario, sizes: Ints, rng: np.random.Generator) -> Floats:
    """Return effects of organisations on the log hazard: normal scores in random order, with mean zero over people.

    Freely drawn effects of ten organisations would move the risk of the whole study by several per cent from one seed
    to the next, and no scenario would have a truth of its own.
    """
    from scipy.special import ndtri

    scores: Floats = scenario.events.organisation_sd * ndtri((rng.permutation(len(sizes)) + 0.5) / len(sizes))
    return scores - float(np.average(scores, weights=sizes))


def organisation_sizes(participants: int, organisations: int, spread: float) -> Ints:
    """Share participants out to organisations, the first the largest; the sizes sum to the whole."""
    weights = np.linspace(1 + spread, 1 - spread, organisations) if organisations > 1 else np.ones(1)
    edges = np.round(np.cumsum(weights) / weights.sum() * participants).astype(np.int64)
    sizes: Ints = np.diff(edges, prepend=0)
    return sizes


def _people(scenario: Scenario, sizes: Ints, rng: np.random.Generator) -> Arrays:
    """Draw where and when participants enter, and what cannot be seen."""
    design = scenario.design
    count = int(sizes.sum())
    organisation = np.repeat(np.arange(len(sizes)), sizes)
    unit = organisation * design.units_per_organisation + rng.integers(design.units_per_organisation, size=count)
    quarter = rng.integers(design.entry_quarters, size=count)
    start = day_number(design.starts_on)
    entered = to_weekday(start + np.floor((quarter + rng.random(count)) * QUARTER_DAYS - 2).clip(0).astype(np.int64))
    delay = np.minimum(rng.exponential(design.first_delay_days, count), FIRST_DELAY_LIMIT - 3)
    readiness, private, health, wellbeing = rng.standard_normal((4, count))
    link = scenario.people.health_correlation
    return {
        "organisation": organisation,
        "unit": unit,
        "entry_quarter": quarter,
        "entered": entered,
        "first": to_weekday(entered + np.floor(delay).astype(np.int64)),
        "readiness": readiness,
        "private": private,
        "health": link * readiness + np.sqrt(1 - link**2) * health,
        "wellbeing": wellbeing,
    }


def _background(scenario: Scenario, people: Arrays, rng: np.random.Generator) -> Arrays:
    """Draw background columns with given marginals, correlated with readiness or health through a latent normal."""
    from scipy.special import ndtr

    given = scenario.people
    readiness, health = people["readiness"], people["health"]
    count = len(readiness)
    noise = rng.standard_normal((5, count))
    uniform = rng.random((5, count))

    def latent(loading: float, on: Floats, which: int) -> Floats:
        return np.asarray(loading * on + np.sqrt(1 - loading**2) * noise[which], dtype=np.float64)

    # The square of a Kumaraswamy law: a closed quantile, mean 2 / ((b + 1)(b + 2)).
    past = ndtr(latent(given.history_loading, readiness, 2))
    history = np.round((1 - (1 - past) ** (1 / given.history_shape)) ** 2, 3)
    return {
        "age": cut(uniform[0], given.age_shares),
        "sex": (uniform[1] >= given.women).astype(np.int64),
        "birth": cut(uniform[2], given.birth_shares),
        "education": cut(ndtr(latent(given.education_loading, readiness, 0)), given.education_shares),
        "vocational": ndtr(latent(given.vocational_loading, readiness, 1)) >= 1 - given.vocational,
        "mental": ndtr(latent(given.health_loading, health, 3)) < given.mental_ill_health,
        "musculoskeletal": ndtr(latent(given.health_loading, health, 4)) < given.musculoskeletal,
        "history": history,
        "months_since_work": np.floor(60 * (1 - history) ** 2 * (0.2 + 2.3 * uniform[3])).astype(np.int64),
        "support": cut(uniform[4], (0.70, 0.06, 0.05, 0.04, 0.08, 0.03, 0.01, 0.01, 0.01, 0.01)),
    }


def _caseworkers(scenario: Scenario, sizes: Ints, rng: dict[str, np.random.Generator]) -> Arrays:
    """Draw caseworkers, so many that each has the asked-for number of first clients."""
    design, given = scenario.design, scenario.caseworkers
    units = design.units_per_organisation
    wanted = np.round(np.repeat(sizes, units) / units / design.clients_per_caseworker).astype(np.int64)
    per_unit = np.maximum(wanted, _SMALLEST_UNIT)
    unit = np.repeat(np.arange(len(per_unit)), per_unit)
    unit_start = np.concatenate([[0], np.cumsum(per_unit)])
    rank = np.arange(len(unit)) - unit_start[unit]
    draw = rng["caseworkers"]
    optimism, skill = draw.standard_normal((2, len(unit)))
    rate = -np.log1p(-given.departure_rate) / QUARTER_DAYS
    stay = draw.standard_exponential(len(unit)) / max(rate, 1e-12)
    departure = day_number(design.starts_on) + stay
    departure = departure[np.lexsort((-departure, unit))]
    # Two remain in every unit, so that there is always somebody to change to.
    departure[rank < _SMALLEST_UNIT - 1] = np.inf
    boosted = draw.random(len(unit)) < given.boost_share
    middle = day_number(design.starts_on) + 120 + np.floor(draw.random(len(unit)) * 0.6 * _days(scenario))
    return {
        "caseworker_organisation": unit // units,
        "caseworker_unit": unit,
        "optimism": optimism,
        "skill": skill,
        "departure": departure,
        "rank": rank,
        "unit_start": unit_start,
        "boost": np.where(boosted & (middle < departure), to_weekday(middle.astype(np.int64)), np.inf),
    }


def _first_caseworker(scenario: Scenario, cohort: Cohort, rng: np.random.Generator) -> Ints:
    """Assign within unit and quarter of entry: at random, or with optimism sorted to what the participant is like."""
    count = cohort.size
    ends = day_number(scenario.design.starts_on) + (cohort.entry_quarter + 1) * QUARTER_DAYS + FIRST_DELAY_LIMIT
    there = cohort.active(cohort.unit, ends)
    slot = cohort.unit_start[cohort.unit] + np.floor(rng.random(count) * there).astype(np.int64)
    noise = rng.standard_normal(count)
    sorting = scenario.caseworkers.sorting
    if sorting == 0:
        return slot
    cell = cohort.unit * scenario.design.entry_quarters + cohort.entry_quarter
    score = sorting * overall(scenario, cohort) + np.sqrt(1 - sorting**2) * noise
    chosen = np.empty(count, dtype=np.int64)
    chosen[np.lexsort((score, cell))] = slot[np.lexsort((cohort.optimism[slot], cell))]
    return chosen


def overall(scenario: Scenario, cohort: Cohort, progress: Floats | float = 0.0) -> Floats:
    """Return x, what matters for work: readiness and progression so far, and the private part."""
    share = scenario.people.private_share
    x: Floats = np.sqrt(1 - share) * (cohort.readiness + progress) + np.sqrt(share) * cohort.private
    return x


def cut(uniform: Floats, shares: tuple[float, ...]) -> Ints:
    """Return the class that a number between 0 and 1 falls into."""
    return np.searchsorted(np.cumsum(shares)[:-1], uniform, side="right").astype(np.int64)


def to_weekday(day: Ints) -> Ints:
    """Move Saturdays and Sundays to the Monday after."""
    # 1970-01-01 was a Thursday.
    weekday = (day + 3) % 7
    return day + np.where(weekday >= 5, 7 - weekday, 0)


def _days(scenario: Scenario) -> int:
    """Return the days of the study."""
    return day_number(scenario.design.ends_on) - day_number(scenario.design.starts_on) + 1
