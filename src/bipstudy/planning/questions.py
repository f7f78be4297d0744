"""What can be planned for: the estimate a question is decided by, and how an effect enters the simulated world."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from bipstudy import analyses
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
    """

    name: str
    benchmark: str
    apply: Callable[[Scenario, float], Scenario]
    truth: Callable[[Truth], float]

    @property
    def danish(self) -> float:
        """The Danish value as a ratio: 1.33 for an increase of 33 per cent."""
        return float(_benchmark(self.benchmark).reference)

    def reply(self, study: Study, truth: Truth) -> Reply:
        """Return what a simulated study answers."""
        found = getattr(analyses, self.name)(study).estimates
        rows = found[found["benchmark"] == self.benchmark]
        row = rows.iloc[0] if len(rows) else None
        true = self.truth(truth)
        if row is None or not math.isfinite(row["conf_low"]) or not math.isfinite(row["conf_high"]):
            return Reply(math.nan, math.nan, math.nan, math.log(true))
        low, middle, high = (math.log(float(row[name])) for name in ("conf_low", "estimate", "conf_high"))
        return Reply(middle, low, high, math.log(true))


@cache
def _benchmark(name: str) -> Any:
    """Return one published finding."""
    return next(benchmark for benchmark in read_benchmarks() if benchmark.id == name)


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
    ),
    "continuity": Question(
        name="continuity",
        benchmark="R3",
        apply=_changing,
        truth=lambda truth: truth.change_hazard_ratio_lagged_work,
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
