"""Scenarios: every parameter of a simulated study, read from a YAML file."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import itertools
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bipstudy.schema import read_yaml
from bipstudy.texts import BipstudyError

FOLDER = Path(__file__).with_name("scenarios")

Shares = tuple[float, ...]


@dataclass(frozen=True)
class Design:
    """How large the study is, and when it runs."""

    participants: int
    organisations: int
    organisation_kind: str
    size_spread: float
    units_per_organisation: int
    clients_per_caseworker: float
    starts_on: dt.date
    entry_quarters: int
    ends_on: dt.date
    first_delay_days: float
    programme_only_share: float


@dataclass(frozen=True)
class People:
    """Who takes part: marginal shares, and loadings on readiness."""

    private_share: float
    health_correlation: float
    women: float
    age_shares: Shares
    birth_shares: Shares
    education_shares: Shares
    vocational: float
    mental_ill_health: float
    musculoskeletal: float
    history_shape: float
    education_loading: float
    vocational_loading: float
    history_loading: float
    health_loading: float
    unknown_share: float


@dataclass(frozen=True)
class Caseworkers:
    """Caseworkers: sorting, change, gaps, training."""

    departure_rate: float
    skill_sd: float
    sorting: float
    change_rate: float
    gap_share: float
    gap_days: float
    second_share: float
    basic_training_share: float
    boost_share: float
    boost_log_odds: float


@dataclass(frozen=True)
class Events:
    """Cause-specific hazards of work and study."""

    work_rate: float
    study_rate: float
    readiness_work: float
    readiness_study: float
    concavity: float
    optimism_work: float
    optimism_study: float
    change_hazard_ratio: float
    organisation_sd: float
    entry_quarter_effects: Shares
    calendar_per_year: float
    running_share: float


@dataclass(frozen=True)
class Activities:
    """How often activities start, with which focus, for whom."""

    start_rate: float
    parallel_share: float
    optimism_log_odds: float
    job_share: float
    study_share: float
    skills_share: float
    health_share: float
    social_share: float
    job_readiness: float
    job_optimism: float
    health_need: float
    mean_days: float


@dataclass(frozen=True)
class Progression:
    """What a quarter does to readiness, in standard deviations."""

    drift: float
    job: float
    job_parallel: float
    study: float
    other: float
    noise_sd: float


@dataclass(frozen=True)
class Occasions:
    """When measurements are taken, and which forms are filled in."""

    stop_rate: float
    stop_readiness: float
    response: float
    paired: float
    caseworker_only: float
    recorded: float
    declined_share: float
    jitter_days: float
    after_transition: float
    colleague_share: float


@dataclass(frozen=True)
class Answers:
    """How readiness and optimism become ordinal answers."""

    optimism_icc: float
    belief_readiness: float
    belief_stability: float
    belief_cuts: Shares
    item_loading: float
    caseworker_loading: float
    health_item: float
    halo: float
    item_stability: float
    item_cuts: Shares
    caseworker_cuts: Shares
    missing: float
    missing_with_reason: float


@dataclass(frozen=True)
class Outcomes:
    """Spells of work and study, and how registers hold them."""

    work_shares: Shares
    mean_days: float
    return_share: float
    short_rate: float
    unknown_length_rate: float
    other_study_rate: float
    reserved_rate: float
    training_rate: float
    source_shares: Shares
    duplicate_share: float
    month_share: float
    quarter_share: float
    imprecision_per_year: float
    late_days: float


@dataclass(frozen=True)
class Exits:
    """Quarterly rates of leaving without a transition, and of ways in which follow-up ends."""

    left_rate: float
    moved_rate: float
    lost_rate: float
    died_rate: float
    retired_rate: float
    sickness_benefit_rate: float


@dataclass(frozen=True)
class Scenario:
    """Every parameter of a simulated study.

    Attributes
    ----------
    name : str
    label : dict of str to str
        ``{"sv": ..., "en": ...}``.
    design, people, caseworkers, events, activities, progression, occasions, answers, outcomes, exits
        The parameters by part of the model. What each means, and whether it is published, calibrated or assumed,
        stands in the file ``danish_twin.yaml`` and in the documentation of the model.

    Examples
    --------
    >>> scenario("danish_twin").events.change_hazard_ratio
    0.78
    """

    name: str
    label: dict[str, str]
    design: Design
    people: People
    caseworkers: Caseworkers
    events: Events
    activities: Activities
    progression: Progression
    occasions: Occasions
    answers: Answers
    outcomes: Outcomes
    exits: Exits

    @property
    def hash(self) -> str:
        """SHA-256 of all parameters; independent of name, label, comments and order."""
        content = {part: value for part, value in dataclasses.asdict(self).items() if part not in ("name", "label")}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def quarters(self) -> int:
        """Quarters from the first entry to the end of follow-up, begun ones counted."""
        return -(-((self.design.ends_on - self.design.starts_on).days + 1) * 16 // 1461)

    def parameters(self) -> dict[str, Any]:
        """Return every parameter as ``part.name``."""
        return {
            f"{part.name}.{name}": value
            for part in _PARTS
            for name, value in dataclasses.asdict(getattr(self, part.name)).items()
        }

    def replace(self, **changes: Any) -> Scenario:
        """Return the scenario with some parameters changed.

        Parameters
        ----------
        **changes
            ``part__name=value``, as in ``events__optimism_work=0.0``.

        Returns
        -------
        Scenario

        Examples
        --------
        >>> scenario("danish_twin").replace(events__optimism_work=0.0).events.optimism_work
        0.0
        """
        content = {part.name: dataclasses.asdict(getattr(self, part.name)) for part in _PARTS}
        for key, value in changes.items():
            part, _, name = key.partition("__")
            content.setdefault(part, {})[name] = value
        return _build({"name": self.name, "label": self.label, **content}, self.name)


_PART_TYPES: dict[str, type] = {
    "design": Design,
    "people": People,
    "caseworkers": Caseworkers,
    "events": Events,
    "activities": Activities,
    "progression": Progression,
    "occasions": Occasions,
    "answers": Answers,
    "outcomes": Outcomes,
    "exits": Exits,
}
_PARTS = tuple(field for field in dataclasses.fields(Scenario) if field.name in _PART_TYPES)


def scenario_names() -> list[str]:
    """Return the names of the scenarios that come with the package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def scenario(source: str | Path | Scenario = "danish_twin") -> Scenario:
    """Return a scenario.

    Parameters
    ----------
    source : str, Path or Scenario
        Name of a scenario of the package, or the path of a YAML file. A file may hold every parameter, or name a
        ``base`` (a scenario of the package or a file beside it) and only what differs from it.

    Returns
    -------
    Scenario

    Raises
    ------
    BipstudyError
        No such scenario, or a parameter that is unknown, missing or out of range.

    Examples
    --------
    >>> scenario("demo").design.organisations
    6
    """
    if isinstance(source, Scenario):
        return source
    path = _path(source, Path())
    return _of_package(path) if path.parent == FOLDER else _build(_merged(path, ()), path.stem)


@cache
def _of_package(path: Path) -> Scenario:
    """Return a scenario that comes with the package; its file does not change while the program runs."""
    return _build(_merged(path, ()), path.stem)


def _path(source: str | Path, beside: Path) -> Path:
    """Return the file that a name or path means."""
    candidates = [FOLDER / f"{source}.yaml"] if str(source) in scenario_names() else []
    candidates += [beside / source, beside / f"{source}.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise BipstudyError("simulation.unknown_scenario", name=str(source), known=", ".join(scenario_names()))


def _merged(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Return the content of a file on top of its base."""
    if path in seen:
        raise BipstudyError("simulation.circular_base", name=path.name)
    content = read_yaml(path)
    if "base" not in content:
        return content
    merged = _merged(_path(str(content.pop("base")), path.parent), (*seen, path))
    for part, value in content.items():
        merged[part] = {**merged.get(part, {}), **value} if isinstance(value, dict) else value
    return merged


def _build(content: dict[str, Any], fallback: str) -> Scenario:
    """Build a scenario, refusing parameters that do not belong, lack or lie."""
    foreign = sorted(set(content) - set(_PART_TYPES) - {"name", "label"})
    if foreign:
        raise BipstudyError("simulation.unknown_parameter", parameter=foreign[0], scenario=fallback)
    parts = {name: _part(name, kind, content.get(name, {}), fallback) for name, kind in _PART_TYPES.items()}
    name = str(content.get("name", fallback))
    built = Scenario(name=name, label=content.get("label", {"sv": name, "en": name}), **parts)
    if built.design.starts_on >= built.design.ends_on or built.quarters > 60:
        raise BipstudyError("simulation.bad_parameter", parameter="design.ends_on", scenario=name)
    # Optimism and what the caseworker sees cannot be more than all of the belief.
    if built.answers.optimism_icc + built.answers.belief_readiness**2 > 1:
        raise BipstudyError("simulation.bad_parameter", parameter="answers.belief_readiness", scenario=name)
    return built


def _part(part: str, kind: type, values: dict[str, Any], name: str) -> Any:
    """Build one part of a scenario."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise BipstudyError("simulation.unknown_parameter", parameter=f"{part}.{key}", scenario=name)
    converted = {}
    for key, wanted in fields.items():
        if key not in values:
            raise BipstudyError("simulation.missing_parameter", parameter=f"{part}.{key}", scenario=name)
        try:
            converted[key] = _convert(key, wanted, values[key])
        except (TypeError, ValueError) as error:
            raise BipstudyError("simulation.bad_parameter", parameter=f"{part}.{key}", scenario=name) from error
    return kind(**converted)


def _convert(key: str, wanted: str, value: Any) -> Any:
    """Return a value of the type and in the range that a parameter asks for; ValueError or TypeError otherwise."""
    if wanted == "dt.date":
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
    if wanted == "str":
        return str(value)
    if isinstance(value, bool | str):
        raise TypeError(key)
    if wanted == "Shares":
        numbers = tuple(float(number) for number in value)
        _check_shares(key, numbers)
        return numbers
    number = int(value) if wanted == "int" else float(value)
    if number != value or (key in _UNIT_INTERVAL and not 0 <= number <= 1) or (key in _POSITIVE and number <= 0):
        raise ValueError(key)
    return number


def _check_shares(key: str, numbers: Shares) -> None:
    """Refuse shares that do not sum to one and cut points that do not rise between zero and one."""
    if len(numbers) != _LENGTHS.get(key, len(numbers)) or not numbers:
        raise ValueError(key)
    if key.endswith("_shares") and not (min(numbers) >= 0 and abs(sum(numbers) - 1) < 1e-9):
        raise ValueError(key)
    if key.endswith("_cuts"):
        edges = (0.0, *numbers, 1.0)
        if any(low >= high for low, high in itertools.pairwise(edges)):
            raise ValueError(key)


_LENGTHS = {
    "age_shares": 5, "birth_shares": 4, "education_shares": 4, "work_shares": 4, "source_shares": 4, "item_cuts": 4,
    "caseworker_cuts": 4, "belief_cuts": 4,
}  # fmt: skip
_POSITIVE = {
    "participants", "organisations", "units_per_organisation", "clients_per_caseworker", "entry_quarters", "mean_days",
    "history_shape", "change_hazard_ratio", "work_rate", "study_rate",
}  # fmt: skip
_UNIT_INTERVAL = {
    "size_spread", "programme_only_share", "private_share", "health_correlation", "women", "vocational",
    "mental_ill_health", "musculoskeletal", "unknown_share", "departure_rate", "change_rate", "gap_share",
    "second_share", "basic_training_share", "boost_share", "running_share", "start_rate", "parallel_share",
    "job_share", "study_share", "skills_share", "health_share", "social_share", "stop_rate", "response", "paired",
    "caseworker_only", "recorded", "declined_share", "after_transition", "colleague_share", "optimism_icc",
    "belief_readiness", "belief_stability", "item_loading", "caseworker_loading", "health_item", "halo",
    "item_stability", "missing", "missing_with_reason", "return_share", "duplicate_share", "month_share",
    "quarter_share",
}  # fmt: skip
