"""The primary estimands of the analyses, as rows of the certificate: truth, bias, coverage, size and power.

Each is tried as the analysis gives it, on whole simulated studies: in ``danish_twin`` against its truth there (see
`bipstudy.certification.truths`), and in ``null``, where nothing acts on anything, against no association. The design of
optimism is tried in ``null`` and in ``selection_only``, where belief predicts and does not act. What hangs most on the
assumptions of these scenarios is tried once more where they are others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.certification.assumptions import world, worlds
from bipstudy.certification.design import Design, Interval, interval_of
from bipstudy.certification.truths import read
from bipstudy.study import Study

__all__ = ["PARTICIPANTS", "Estimand", "answer", "estimand_designs", "estimands", "varied_designs"]

PARTICIPANTS = 3000
TWIN, NULL, SELECTION = "danish_twin", "null", "selection_only"
# What is tried where an assumption is another one, by the scenario that the world is built on.
VARIED = {
    TWIN: (
        "belief.belief_top_vs_bottom",
        "continuity.first_change",
        "insights.same_caseworker",
        "insights.belief",
        "caseworkers.sd_true_effects",
    ),
    SELECTION: ("belief.optimism_any", "belief.optimism_work", "belief.anderson_rubin"),
}
LEVEL = 0.05
_NOTHING: Interval = (float("nan"),) * 4


@dataclass(frozen=True, kw_only=True)
class Estimand:
    """A primary estimand, and where it is found among the estimates of its analysis.

    Attributes
    ----------
    name : str
        Analysis and what is estimated, as in `truths.yaml`.
    where : mapping of str to str
        Columns of the estimates and their values.
    log : bool
        A ratio, tried as a logarithm.
    scenarios : tuple of str
        In which it is tried.
    test : {"interval", "upper", "edge", "p_value", "holm"}
        What the row is about: the interval; that a gain is claimed (its lower end above nothing); the same at the edge
        of what is possible; a p-value, where the interval may have no ends; any of several after Holm's correction.
    """

    name: str
    where: Mapping[str, str]
    log: bool = False
    scenarios: tuple[str, ...] = (TWIN, NULL)
    test: Literal["interval", "upper", "edge", "p_value", "holm"] = "interval"

    @property
    def analysis(self) -> str:
        """Name of the analysis."""
        return self.name.partition(".")[0]


def _at(**where: str) -> Mapping[str, str]:
    """Return where an estimate is found."""
    return MappingProxyType(where)


SHARES = (
    "no_vocational_qualification", "mental_ill_health", "musculoskeletal_disorder", "work_or_study_share_5y",
    "share_with_change", "share_without_activity",
)  # fmt: skip
INSIGHTS = ("focus", "no_gaps", "parallel", "same_caseworker", "belief")


def estimands() -> tuple[Estimand, ...]:
    """Return every primary estimand, and what is tried of the design of optimism beside them.

    Returns
    -------
    tuple of Estimand

    Examples
    --------
    >>> import bipstudy as bip
    >>> {each.analysis for each in estimands()} == set(bip.analyses.list())
    True
    """
    optimism = partial(Estimand, log=True, scenarios=(NULL, SELECTION))
    above = "optimism_above_vs_below_median"
    return (
        *(Estimand(name=f"participants.{name}", where=_at(contrast=name), scenarios=(TWIN,)) for name in SHARES),
        Estimand(name="transitions.everyone", where=_at(contrast="everyone"), scenarios=(TWIN,)),
        *(Estimand(name=f"indicators.{item}", where=_at(term=item)) for item in schema.items()),
        Estimand(name="indicators.any_by_holm", where=_at(), scenarios=(NULL,), test="holm"),
        Estimand(name="readiness.gain", where=_at(contrast="prediction_over_background"), test="upper"),
        Estimand(name="belief.belief_top_vs_bottom", where=_at(contrast="belief_top_vs_bottom"), log=True),
        optimism(name="belief.optimism_any", where=_at(contrast=above, outcome="work_or_study")),
        optimism(name="belief.optimism_work", where=_at(contrast=above, outcome="work")),
        Estimand(
            name="belief.anderson_rubin",
            where=_at(contrast="belief_iv_anderson_rubin"),
            scenarios=(NULL, SELECTION),
            test="p_value",
        ),
        Estimand(name="continuity.first_change", where=_at(term="first_change"), log=True),
        Estimand(name="activities.progression", where=_at(scale="sd")),
        Estimand(name="activities.transition", where=_at(scale="risk_ratio"), log=True),
        Estimand(name="progression.change_per_sd", where=_at(contrast="change_per_sd"), log=True),
        *(Estimand(name=f"insights.{name}", where=_at(term=name), log=True) for name in INSIGHTS),
        Estimand(name="caseworkers.sd_true_effects", where=_at(contrast="sd_true_effects"), scenarios=(TWIN,)),
        Estimand(name="caseworkers.none", where=_at(contrast="sd_true_effects"), scenarios=(NULL,), test="edge"),
        *(
            Estimand(name=f"measurement.{name}", where=_at(contrast=name), scenarios=(TWIN,))
            for name in ("omega_participant", "omega_caseworker", "icc_between")
        ),
        Estimand(name="training.change_after_refresher", where=_at(contrast="change_after_refresher")),
    )


def answer(estimand: Estimand, table: pd.DataFrame) -> Interval:
    """Return what an analysis answers.

    Parameters
    ----------
    estimand : Estimand
    table : DataFrame
        Of `bipstudy.analyses.headlines.headlines`, or the estimates of the whole analysis.

    Returns
    -------
    tuple of four floats
        As `bipstudy.certification.Design` asks for; everything NaN where there is no answer. Of a test by p-value the
        interval is everything, or nothing of it, and the estimate 0.

    Examples
    --------
    >>> import bipstudy as bip
    >>> estimand = {each.name: each for each in estimands()}["transitions.everyone"]
    >>> estimate, error, low, high = answer(estimand, bip.analyses.transitions(bip.load_example()).estimates)
    >>> low < estimate < high
    True
    """
    rows = table[table["analysis"] == estimand.analysis]
    if estimand.test == "holm":
        p_value = rows.loc[rows["role"] == "primary", "p_value"].to_numpy(dtype=np.float64)
        # The smallest one decides whether any holds.
        return _of_p_value(float(p_value.min() * len(p_value)) if len(p_value) else np.nan)
    for column, value in estimand.where.items():
        rows = rows[rows[column] == value]
    if rows.empty:
        return _NOTHING
    if estimand.test == "p_value":
        return _of_p_value(float(rows["p_value"].iloc[0]))
    estimate, error, low, high = interval_of(rows[:1], log=estimand.log)
    return (estimate, error, low, np.inf if estimand.test == "upper" else high)


def _of_p_value(p_value: float) -> Interval:
    """Return an interval that holds everything, or nothing where the test rejects."""
    if np.isnan(p_value):
        return _NOTHING
    return (0.0, np.nan, -np.inf, np.inf) if p_value >= LEVEL else (0.0, np.nan, np.inf, np.inf)


def estimand_designs() -> tuple[Design, ...]:
    """Return the rows of the certificate that are about whole analyses, scenario by scenario.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> {design.scenario for design in estimand_designs()} == {"danish_twin", "null", "selection_only"}
    True
    """
    return tuple(
        _design(each, scenario)
        for scenario in (TWIN, NULL, SELECTION)
        for each in estimands()
        if scenario in each.scenarios
    )


def varied_designs() -> tuple[Design, ...]:
    """Return the rows of the worlds in which an assumption is another one, world by world.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> {design.scenario for design in varied_designs()} == set(worlds())
    True
    """
    known = {each.name: each for each in estimands()}
    return tuple(
        replace(_design(known[name], scenario), kind="assumption")
        for scenario in worlds()
        for name in VARIED[built_on(scenario)]
    )


def built_on(scenario: str) -> str:
    """Return the scenario that a world is built on.

    Parameters
    ----------
    scenario : str

    Returns
    -------
    str

    Examples
    --------
    >>> built_on("twin_much_private")
    'danish_twin'
    """
    return TWIN if scenario.startswith("twin_") else SELECTION


@cache
def _truths(scenario: str) -> Mapping[str, Any]:
    """Return the stored truths of a scenario; where none are stored nothing acts."""
    found: Mapping[str, Any] = read(scenario)["truths"] if scenario == TWIN or scenario.startswith("twin_") else {}
    return found


def _design(estimand: Estimand, scenario: str) -> Design:
    """Return one row."""
    tested = any(name != TWIN for name in estimand.scenarios) or estimand.name == "caseworkers.sd_true_effects"
    truth, error = 0.0, 0.0
    if estimand.name in _truths(scenario):
        truth, error = _truths(scenario)[estimand.name].value, _truths(scenario)[estimand.name].error
    one_sided = estimand.test != "interval"
    # No truth: the gain of a prediction made from a sample depends on the sample.
    unknown = scenario == TWIN and estimand.test == "upper"
    return Design(
        name=f"{scenario}.{estimand.name}",
        estimator=f"analyses.{estimand.analysis}",
        draw=partial(draw, scenario),
        estimate=partial(_estimate, estimand),
        truth=truth,
        truth_error=error,
        coverage=1.0 - LEVEL / 2.0 if estimand.test == "upper" else 1.0 - LEVEL,
        kind="analysis",
        scenario=scenario,
        no_effect=0.0 if tested else None,
        judged="nothing" if unknown else "coverage" if one_sided else "both",
        at_least=one_sided and estimand.test != "p_value",
    )


def draw(scenario: str, rng: np.random.Generator) -> Study:
    """Draw one study of a scenario.

    Parameters
    ----------
    scenario : str
    rng : Generator
        Fresh: its seed is that of the study.

    Returns
    -------
    Study

    Examples
    --------
    >>> len(draw("null", np.random.default_rng(1)).participants)
    3000
    """
    from bipstudy.simulation import simulate_study

    seed = rng.bit_generator.seed_seq
    if not isinstance(seed, np.random.SeedSequence):
        raise TypeError("the generator was not made from a seed")
    return simulate_study(PARTICIPANTS, seed, world(scenario))[0]


def _estimate(estimand: Estimand, study: Study) -> Interval:
    """Return what the analysis alone answers."""
    from bipstudy.analyses.headlines import headlines

    return answer(estimand, headlines(study, [estimand.analysis]))
