"""The plan of a replication: what is asked, how it is defined, and what counts as primary."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bipstudy import analyses
from bipstudy.disclosure import THRESHOLD
from bipstudy.replication.agreement import SMALLEST_EFFECT

# Definitions that several questions share; each question takes those it has a parameter for.
SHARED = ("outcome", "horizon_months", "washout_days")
# Parameters that are not definitions: the run sets them.
NOT_DEFINITIONS = ("study", "replications", "seed", "language", "n_jobs", "progress")
REPLICATIONS = 999
MISSING_DATA = "indicator"
AS_DESIGNED = "as_designed"


@dataclass(frozen=True, order=True)
class Estimand:
    """What a primary estimate is of, in the codes of the estimates; empty where any will do.

    Attributes
    ----------
    contrast, scale, outcome, adjustment : str
    """

    contrast: str
    scale: str = ""
    outcome: str = ""
    adjustment: str = ""

    def meets(self, row: Mapping[str, Any]) -> bool:
        """Say whether a row of the estimates is of this."""
        return all(not wanted or str(row[name]) == wanted for name, wanted in vars(self).items())


@dataclass(frozen=True)
class Plan:
    """What a replication does. Everything here takes effect.

    Attributes
    ----------
    questions : tuple of str
        Names of the analyses, in the order of a report.
    definitions : mapping of str to object
        Definitions for all questions that have them: ``outcome, horizon_months, washout_days``.
    settings : mapping of str to mapping
        Further or other settings of single questions.
    primary : mapping of str to tuple of Estimand
        Primary estimates of questions whose own are not wanted.
    leave_out : tuple of str
        Background variables that are not adjusted for.
    smallest_effect : mapping of str to float
        By scale; ratios as ratios.
    replications : int
        Bootstrap resamples of caseworkers, 0 for none.
    multiverse : bool
    by_group : bool
        Whether the primary estimates are also made by sex, age, birth region and mental ill-health.
    disclosure_threshold : int
        Least number of people that a cell may rest on and leave; smaller ones are listed by every run.
    seed : int
    release : int or None
        Release the plan is for, None for the newest.
    missing_data : {"indicator"}
    path : Path or None
        Where it was read from; no part of what it says.

    Examples
    --------
    >>> Plan(questions=("belief",)).arguments("belief")["horizon_months"]
    12
    >>> Plan().hash == Plan(path=Path("plan.yaml")).hash
    True
    """

    questions: tuple[str, ...] = field(default_factory=lambda: tuple(analyses.list()))
    definitions: Mapping[str, Any] = field(default_factory=lambda: shared_defaults())
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    primary: Mapping[str, tuple[Estimand, ...]] = field(default_factory=lambda: MappingProxyType({}))
    leave_out: tuple[str, ...] = ()
    smallest_effect: Mapping[str, float] = field(default_factory=lambda: dict(SMALLEST_EFFECT))
    replications: int = REPLICATIONS
    multiverse: bool = False
    by_group: bool = False
    disclosure_threshold: int = THRESHOLD
    seed: int = 1
    release: int | None = None
    missing_data: str = MISSING_DATA
    path: Path | None = field(default=None, compare=False)

    def arguments(self, question: str) -> dict[str, Any]:
        """Return what an analysis is called with, in the order of its parameters."""
        own = self.settings.get(question, {})
        given = {**self.definitions, **own}
        return {name: given[name] for name in parameters(question) if name in given}

    def used_definitions(self) -> dict[str, Any]:
        """Return the shared definitions that a question of the plan takes; the others have no effect."""
        taken = {name for question in self.questions for name in parameters(question)}
        return {name: value for name, value in self.definitions.items() if name in taken}

    def as_dict(self) -> dict[str, Any]:
        """Return what the plan says, as JSON holds it and in an order of its own."""
        content: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "path"}
        content["questions"] = list(self.questions)
        content["definitions"] = dict(sorted(self.used_definitions().items()))
        content["settings"] = {name: dict(sorted(own.items())) for name, own in sorted(self.settings.items()) if own}
        content["primary"] = {
            name: [{key: value for key, value in vars(each).items() if value} for each in sorted(wanted)]
            for name, wanted in sorted(self.primary.items())
        }
        content["leave_out"] = sorted(self.leave_out)
        content["smallest_effect"] = {name: float(value) for name, value in sorted(self.smallest_effect.items())}
        return content

    @property
    def hash(self) -> str:
        """SHA-256 of what the plan says, independent of comments, order and layout."""
        words = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(words.encode("utf-8")).hexdigest()


def parameters(question: str) -> dict[str, Any]:
    """Return the definitions that an analysis takes, with their defaults.

    Parameters
    ----------
    question : str
        Name of an analysis.

    Returns
    -------
    dict of str to object
        Only those that a plan can hold: text, numbers, yes or no.

    Examples
    --------
    >>> parameters("belief")["washout_days"]
    30
    """
    signature = inspect.signature(getattr(analyses, question))
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in NOT_DEFINITIONS and isinstance(parameter.default, (str, int, float, bool))
    }


def takes(question: str, name: str) -> bool:
    """Say whether an analysis has a parameter."""
    return name in inspect.signature(getattr(analyses, question)).parameters


def shared_defaults() -> dict[str, Any]:
    """Return the defaults of the shared definitions, from the first analysis that has each."""
    found: dict[str, Any] = {}
    for question in analyses.list():
        for name, default in parameters(question).items():
            if name in SHARED:
                found.setdefault(name, default)
    return {name: found[name] for name in SHARED if name in found}
