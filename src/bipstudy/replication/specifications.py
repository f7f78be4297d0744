"""The sensible ways in which each question could be answered, and those that do not go together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from bipstudy import schema

# What stands for "the whole follow-up" among horizons.
WHOLE = 0
OUTCOMES = ("primary", "narrow", "broad")
ESTIMATORS = ("linear", "logit", "cloglog", "cox")
ANSWERS = ("belief_top_vs_bottom", "belief_optimistic_vs_pessimistic", "belief_per_sd")
OPTIMISM = ("optimism_above_vs_below_median", "optimism_per_sd")
CHANGES = ("quarters_after_first_change", "per_change")
ACTIVITIES = ("job_parallel_vs_none", "job_alone_vs_none")
ADJUSTMENTS = ("raw", "background", "background_answers", "background_all_answers")
CELLS = ("unit", "unit_quarter")


@dataclass(frozen=True, order=True)
class Specification:
    """One way to answer a question.

    Attributes
    ----------
    question : {"belief", "continuity", "indicators", "activities"}
    contrast : str
        What is compared with what.
    estimator : {"linear", "logit", "cloglog", "cox"}
    outcome : {"primary", "narrow", "broad"}
    horizon_months : int
        0 for the whole follow-up.
    adjustment : {"raw", "background", "background_answers", "background_all_answers"}
        The third adds the participant's own answers, the fourth also the caseworker's other ones.
    occasions : {"first", "all", "quarters"}
    absorbed : {"none", "unit", "unit_quarter"}
        Groups within which is compared.
    washout_days : int
    missing : {"indicator", "complete", "imputed"}
        Missing answers: mean and indicator, left out, imputed.
    """

    question: str
    contrast: str
    estimator: str
    outcome: str
    horizon_months: int
    adjustment: str
    occasions: str = "first"
    absorbed: str = "none"
    washout_days: int = 30
    missing: str = "indicator"


FACTORS = tuple(field.name for field in fields(Specification) if field.name != "question")

# Each block is the product of its lists; what a block does not name is as in `Specification`.
Block = Mapping[str, Sequence[object]]
_MAIN: Block = {"outcome": ["primary"], "horizon_months": [12]}


def blocks() -> dict[str, list[Block]]:
    """Return the declared blocks of every question.

    Returns
    -------
    dict of str to list of mapping
    """
    indicators = [f"indicator_{name}" for name in schema.items()]
    every: Block = {"outcome": OUTCOMES, "horizon_months": [6, 12, 24]}
    plain: Block = {"outcome": ["primary"], "estimator": ["linear", "logit"]}
    taken: Block = {"contrast": ACTIVITIES, "estimator": ESTIMATORS, "occasions": ["all"]}
    follow_up: Block = {"outcome": OUTCOMES, "horizon_months": [12, 24, WHOLE]}
    answers: Block = {"contrast": ANSWERS, "estimator": ESTIMATORS}
    changes: Block = {"contrast": CHANGES, "estimator": ESTIMATORS, "occasions": ["quarters"]}
    with_background: Block = {"adjustment": ADJUSTMENTS[:2]}
    return {
        "belief": [
            {**answers, **every, "adjustment": ADJUSTMENTS},
            {**answers, **every, "outcome": ["primary"], "adjustment": ADJUSTMENTS, "occasions": ["all"]},
            {**answers, **_MAIN, "adjustment": ADJUSTMENTS, "washout_days": [60, 90]},
            {**answers, **every, "outcome": ["primary"], "adjustment": ADJUSTMENTS[1:3], "absorbed": CELLS},
            {"contrast": OPTIMISM, "estimator": ESTIMATORS, **every, "adjustment": [ADJUSTMENTS[0], ADJUSTMENTS[2]],
             "absorbed": ["none", *CELLS]},
            {**answers, **_MAIN, "adjustment": ADJUSTMENTS[2:], "missing": ["complete", "imputed"]},
        ],
        "continuity": [
            {**changes, **follow_up, **with_background},
            {**changes, "outcome": ["primary"], "horizon_months": [WHOLE], **with_background, "washout_days": [60, 90]},
            {**changes, **follow_up, "outcome": ["primary"], **with_background, "absorbed": ["unit"]},
        ],
        "indicators": [
            {"contrast": indicators, **every, **plain, **with_background},
        ],
        "activities": [
            {**taken, **every, "adjustment": ADJUSTMENTS[:3]},
        ],
    }  # fmt: skip


def specifications(questions: Sequence[str] | None = None) -> list[Specification]:
    """Return every declared combination, those that do not go together among them, sorted.

    Parameters
    ----------
    questions : sequence of str, optional
        All by default.

    Returns
    -------
    list of Specification

    Examples
    --------
    >>> len(specifications()) > 1000
    True
    """
    declared = blocks()
    found = {
        specification
        for question in questions or declared
        for block in declared[question]
        for specification in _product(question, block)
    }
    return sorted(found)


def _product(question: str, block: Block) -> Iterator[Specification]:
    """Return the product of a block's lists."""
    for values in itertools.product(*block.values()):
        yield Specification(question, **dict(zip(block, values, strict=True)))  # type: ignore[arg-type]


def incompatible(given: Specification) -> str:
    """Say why the choices of a specification do not go together.

    Parameters
    ----------
    given : Specification

    Returns
    -------
    str
        Name of the reason, empty if they do.

    Examples
    --------
    >>> incompatible(Specification("belief", "belief_per_sd", "logit", "primary", 12, "raw", absorbed="unit"))
    'many_groups'
    """
    if given.absorbed != "none" and given.estimator in ("logit", "cloglog"):
        # An effect for each of many small groups biases these two; linear models and strata have no such effect.
        return "many_groups"
    if given.contrast in OPTIMISM and given.absorbed == "none":
        return "optimism_within"
    if given.estimator == "cox" and given.occasions == "all":
        return "cox_once"
    if given.missing == "imputed" and given.estimator != "logit":
        return "imputed_subset"
    return ""
