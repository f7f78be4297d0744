"""What can be planned for: the estimate a question is decided by, and how an effect enters the simulated world."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from bipstudy.analyses.estimating import Number
from bipstudy.replication.benchmarks import read_benchmarks
from bipstudy.simulation.scenario import Scenario, scenario
from bipstudy.simulation.truth import Truth
from bipstudy.study import Study
from bipstudy.texts import BipstudyError


@dataclass(frozen=True)
class Reply:
    """What one simulated study answers, on an additive scale: ratios as logarithms.

    Attributes
    ----------
    estimate, low, high : float
        NaN where the study could not answer.
    truth : float
        The value that the estimate is of in the simulated world, NaN where it is not computed.
    """

    estimate: float
    low: float
    high: float
    truth: float


@dataclass(frozen=True)
class Question:
    """A question that a study can be planned for.

    Attributes
    ----------
    name : str
    benchmark : str
        Danish finding that the estimate is held against: a ratio.
    apply : callable
        Scenario and effect (as a ratio, 1 for none) to scenario.
    truth : callable
        Truth of a simulated study to the value of the estimand.
    estimate : callable
        Study to the estimate alone, without the rest of its analysis.
    """

    name: str
    benchmark: str
    apply: Callable[[Scenario, float], Scenario]
    truth: Callable[[Truth], float]
    estimate: Callable[[Study], Number]

    @property
    def danish(self) -> float:
        """The Danish value as a ratio: 1.33 for an increase of 33 per cent."""
        return float(_benchmark(self.benchmark).reference)

    def reply(self, study: Study, truth: Truth) -> Reply:
        """Return what a simulated study answers."""
        found, true = self.estimate(study), math.log(self.truth(truth))
        if not (math.isfinite(found.conf_low) and math.isfinite(found.conf_high)):
            return Reply(math.nan, math.nan, math.nan, true)
        return Reply(math.log(found.estimate), math.log(found.conf_low), math.log(found.conf_high), true)


@cache
def _benchmark(name: str) -> Any:
    """Return one published finding."""
    return next(benchmark for benchmark in read_benchmarks() if benchmark.id == name)


def _headline(name: str, study: Study) -> Number:
    """Return the estimate that the Danish finding is held against, from the module of an analysis."""
    number: Number = importlib.import_module(f"bipstudy.analyses.{name}").headline(study)
    return number


def _believing(given: Scenario, effect: float) -> Scenario:
    """Let optimism act so that the ratio above against below its median is about `effect`.

    The twin's coefficients are calibrated to the published ratios; logarithms are near enough proportional, and the
    table of power shows the true ratio that came of it.
    """
    twin = scenario("danish_twin").events
    factor = math.log(effect) / math.log(1.33)
    return given.replace(
        events__optimism_work=twin.optimism_work * factor, events__optimism_study=twin.optimism_study * factor
    )


def _changing(given: Scenario, effect: float) -> Scenario:
    """Let every quarter after a change have this hazard ratio."""
    return given.replace(events__change_hazard_ratio=effect)


_QUESTIONS = {
    "belief": Question(
        name="belief",
        benchmark="R2a",
        apply=_believing,
        truth=lambda truth: truth.optimism_ratio_any,
        estimate=lambda study: _headline("belief", study),
    ),
    "continuity": Question(
        name="continuity",
        benchmark="R3",
        apply=_changing,
        truth=lambda truth: truth.change_hazard_ratio_lagged_work,
        estimate=lambda study: _headline("continuity", study),
    ),
}


def question_names() -> list[str]:
    """Return the questions that a study can be planned for.

    Returns
    -------
    list of str

    Examples
    --------
    >>> question_names()
    ['belief', 'continuity']
    """
    return [*_QUESTIONS]


def question(name: str) -> Question:
    """Return a question.

    Parameters
    ----------
    name : str

    Returns
    -------
    Question

    Raises
    ------
    BipstudyError
        No such question.

    Examples
    --------
    >>> question("continuity").danish
    0.78
    """
    if name not in _QUESTIONS:
        raise BipstudyError("planning.unknown_question", name=name, known=", ".join(_QUESTIONS))
    return _QUESTIONS[name]
