"""Answers in a sentence, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.report.numbers import count, interval, number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.analyses.result import Result

# Analysis -> placeholder of its sentence -> which estimate fills it.
_FILLED: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "training": {"change": {"role": "primary"}, "answered": {"contrast": "share_answered"}},
    "caseworkers": {
        "sd": {"role": "primary"},
        "observed": {"contrast": "sd_observed_means"},
        "chance": {"contrast": "sd_chance_means"},
    },
    "participants": {
        "no_vocational": {"contrast": "no_vocational_qualification"},
        "mental": {"contrast": "mental_ill_health"},
        "idle": {"contrast": "share_without_activity"},
    },
    "transitions": {
        "any": {"contrast": "everyone", "role": "primary"},
        "work": {"contrast": "everyone", "term": "work"},
        "study": {"contrast": "everyone", "term": "study"},
    },
    "readiness": {
        "all": {"contrast": "auc_all", "adjustment": "folds_caseworker"},
        "background": {"contrast": "auc_background", "adjustment": "folds_caseworker"},
        "gain": {"role": "primary"},
        "abroad": {"contrast": "prediction_over_background", "adjustment": "folds_organisation"},
    },
    "measurement": {
        "participant": {"contrast": "omega_participant"},
        "caseworker": {"contrast": "omega_caseworker"},
        "between": {"contrast": "icc_between"},
        "paired": {"contrast": "paired"},
        "missing": {"contrast": "missing_participant"},
    },
    "continuity": {
        "ratio": {"role": "primary"},
        "work": {"contrast": "quarters_after_first_change", "role": "secondary", "adjustment": "background"},
        "changed": {"contrast": "share_with_change"},
    },
    "activities": {
        "progression": {"role": "primary", "scale": "sd"},
        "ratio": {"role": "primary", "scale": "risk_ratio"},
        "idle": {"contrast": "share_without_activity"},
    },
    "progression": {
        "ratio": {"role": "primary"},
        "count": {"contrast": "valid_intermediate_outcomes", "adjustment": "background_level"},
    },
}

# Analysis -> sentence for when not all can be said -> what it needs, in the order in which they are said.
_PARTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "training": {"change": ("change",), "answered": ("answered",)},
    "caseworkers": {"sd": ("sd",), "observed": ("observed", "chance")},
    "participants": {name: (name,) for name in ("no_vocational", "mental", "idle")},
    "transitions": {"any": ("any",), "kinds": ("work", "study")},
    "readiness": {"gain": ("all", "background", "gain"), "abroad": ("abroad",)},
    "measurement": {name: (name,) for name in ("participant", "caseworker", "between", "paired", "missing")},
    "continuity": {name: (name,) for name in ("ratio", "work", "changed")},
    "activities": {name: (name,) for name in ("progression", "ratio", "idle")},
    "progression": {name: (name,) for name in ("ratio", "count")},
    "belief": {"raw": ("raw",), "others": ("by_optimism", "warning")},
}
# Analysis whose sentence is composed -> what of it must be there for the whole sentence.
_NEEDED: Mapping[str, tuple[str, ...]] = {"belief": ("ratio", "raw")}


def written(scale: str, estimate: float, low: float, high: float, language: str) -> str:
    """Return an estimate with its interval as people read it.

    Parameters
    ----------
    scale : str
        As in the column of the estimates.
    estimate, low, high : float
    language : {"sv", "en"}

    Returns
    -------
    str

    Examples
    --------
    >>> written("risk_ratio", 1.32, 1.1, 1.58, "sv")
    '1,32 (1,10 till 1,58)'
    """
    whole = scale == "other" and float(estimate).is_integer()
    # Progression comes in hundredths of a standard deviation, and so do gains in the area under a curve.
    decimals = 0 if whole else {"risk": 1, "share": 1, "risk_difference": 1, "sd": 3, "auc": 3}.get(scale, 2)
    if scale in ("risk", "share"):
        value, ends = percent(estimate, language, decimals), interval(low, high, language, decimals, as_percent=True)
    elif scale == "risk_difference":
        value = text("analyses.number.points", language, value=number(100 * estimate, language, decimals))
        ends = interval(100 * low, 100 * high, language, decimals)
    else:
        value, ends = number(estimate, language, decimals), interval(low, high, language, decimals)
    return value if math.isnan(low) else f"{value} ({ends})"


def answer(result: Result, language: str) -> str:
    """Return the answer of an analysis in a sentence.

    Parameters
    ----------
    result : Result
    language : {"sv", "en"}

    Returns
    -------
    str
        Says so where there are too few data to answer.
    """
    found = result.estimates
    if result.name in _COMPOSED:
        values = _COMPOSED[result.name](found, language)
        complete = set(_NEEDED.get(result.name, ())) <= set(values) and bool(values)
    else:
        chosen = {name: _pick(found, wanted) for name, wanted in _FILLED[result.name].items()}
        values = {name: _written(row, language) for name, row in chosen.items() if row is not None}
        complete = len(values) == len(chosen)
    if complete:
        return result.words(f"analyses.{result.name}.answer", language, **values)
    return _in_part(result, values, language)


def _in_part(result: Result, values: Mapping[str, str], language: str) -> str:
    """Return what can be said where some of the estimates could not be made, and that the rest cannot."""
    parts = _PARTS.get(result.name, {})
    said = [
        result.words(f"analyses.{result.name}.answer_{part}", language, **values)
        for part, needed in parts.items()
        if all(name in values for name in needed)
    ]
    main = {name for name, wanted in _FILLED.get(result.name, {}).items() if _is_main(result, wanted)}
    if not said or not main & set(values):
        return " ".join([text("analyses.no_answer", language), *said])
    return " ".join([*said, text("analyses.answer_rest", language)])


def _is_main(result: Result, wanted: Mapping[str, str]) -> bool:
    """Say whether conditions are met by a primary estimate, made or not."""
    rows = result.primary()
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return len(rows) > 0


def _pick(found: pd.DataFrame, wanted: Mapping[str, str]) -> pd.Series | None:
    """Return the first estimate that meets the conditions and could be made."""
    rows = found
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    rows = rows.dropna(subset=["estimate"])
    return rows.iloc[0] if len(rows) else None


def _indicators(found: pd.DataFrame, language: str) -> dict[str, str]:
    """Return what the sentence about indicators holds: the count, and the strongest of them."""
    main = found[(found["role"] == "primary")].dropna(subset=["estimate"])
    counted = found[found["contrast"] == "holding_after_correction"].dropna(subset=["estimate"])
    if main.empty or counted.empty:
        return {}
    best = main.sort_values("estimate", ascending=False, kind="stable").iloc[0]
    return {
        "count": count(counted["estimate"].iloc[0], language),
        "items": count(counted["n"].iloc[0], language),
        "strongest": _quoted(schema.items()[best["term"]].label[language], language),
        "difference": written(best["scale"], best["estimate"], best["conf_low"], best["conf_high"], language),
    }


def _insights(found: pd.DataFrame, language: str) -> dict[str, str]:
    """Return what the sentence about the insights holds: the one with the largest share, and its ratio."""
    shares = found[(found["outcome"] == "fit") & (found["scale"] == "share")].dropna(subset=["estimate"])
    if shares.empty:
        return {}
    best = shares.sort_values("estimate", ascending=False, kind="stable").iloc[0]
    ratio = _pick(found, {"contrast": best["contrast"], "role": "primary"})
    if ratio is None:
        return {}
    apart = _pick(found, {"contrast": "insight_first_less_second"})
    if apart is None:
        return {}
    second = text(f"analyses.contrast.insight_{apart['term'].split(':')[1]}", language)
    return {
        "first": _quoted(text(f"analyses.contrast.{best['contrast']}", language), language),
        "second": _quoted(second, language),
        "apart": written("risk_difference", apart["estimate"], apart["conf_low"], apart["conf_high"], language),
        "share": written("share", best["estimate"], best["conf_low"], best["conf_high"], language),
        "ratio": written("risk_ratio", ratio["estimate"], ratio["conf_low"], ratio["conf_high"], language),
    }


def _belief(found: pd.DataFrame, language: str) -> dict[str, str]:
    """Return what the sentence about belief holds: the ratio of the answers, and that of optimism where it was made."""
    values = {"optimism": ""}
    main = _pick(found, {"role": "primary"})
    raw = _pick(found, {"contrast": "belief_top_vs_bottom", "scale": "risk_ratio", "adjustment": "raw"})
    values |= {name: _written(row, language) for name, row in (("ratio", main), ("raw", raw)) if row is not None}
    goal = found.loc[found["role"] == "primary", "outcome"].iloc[0]
    wanted = {"contrast": "optimism_above_vs_below_median", "scale": "risk_ratio", "outcome": goal}
    optimism = _pick(found, {**wanted, "term": "optimism", "adjustment": "unit_quarter_answers"})
    if optimism is not None:
        joint = found.loc[found["contrast"] == "optimism_balance", "p_value"]
        fails = len(joint) and joint.iloc[0] < 0.05
        values["warning"] = text("analyses.belief.answer_warning", language) if fails else ""
        values["by_optimism"] = _written(optimism, language)
        said = text("analyses.belief.answer_optimism", language, ratio=values["by_optimism"])
        values["optimism"] = said + values["warning"]
    return values


def _quoted(label: str, language: str) -> str:
    """Return a label in the quotation marks of the language."""
    return f"”{label}”" if language == "sv" else f"“{label}”"


def _written(row: pd.Series, language: str) -> str:
    """Return one estimate as people read it."""
    return written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], language)


def _by_group(found: pd.DataFrame, language: str) -> dict[str, str]:
    """Return how many primary estimates were compared between groups, and how many differ."""
    tests = found[found["scale"] == "other"]["p_value"].dropna().sort_values().to_numpy()
    if not len(tests):
        return {}
    adjusted = np.maximum.accumulate(tests * np.arange(len(tests), 0, -1))
    return {"tested": count(len(tests), language), "differing": count(int((adjusted < 0.05).sum()), language)}


# Sentences that need more than picking estimates.
def _composition(found: pd.DataFrame, language: str) -> dict[str, str]:
    """Return the first primary estimate in both populations."""
    values = {}
    for name, population in (("own", "population=own"), ("danish", "population=danish_shares")):
        rows = found[found["term"].str.endswith(population)].dropna(subset=["estimate"])
        if rows.empty:
            return {}
        row = rows.iloc[0]
        values[name] = written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], language)
    return values


_COMPOSED = {
    "composition": _composition,
    "by_group": _by_group,
    "belief": _belief,
    "indicators": _indicators,
    "insights": _insights,
}
