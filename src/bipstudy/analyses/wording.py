"""Answers in a sentence, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from bipstudy import schema
from bipstudy.report.numbers import count, interval, number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.analyses.result import Result

# Analysis -> placeholder of its sentence -> which estimate fills it.
_FILLED: Mapping[str, Mapping[str, Mapping[str, str]]] = {
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
    "belief": {
        "ratio": {"role": "primary"},
        "raw": {"contrast": "belief_top_vs_bottom", "scale": "risk_ratio", "adjustment": "raw"},
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
}


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
    if scale in ("risk", "share"):
        decimals = 1
        ends = interval(low, high, language, decimals, as_percent=True)
        return f"{percent(estimate, language, decimals)} ({ends})"
    if scale == "risk_difference":
        value = text("analyses.number.points", language, value=number(100 * estimate, language, 1))
        return f"{value} ({interval(100 * low, 100 * high, language, 1)})"
    if scale == "other":
        return count(estimate, language)
    # Progression comes in hundredths of a standard deviation.
    decimals = 3 if scale == "sd" else 2
    return f"{number(estimate, language, decimals)} ({interval(low, high, language, decimals)})"


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
    else:
        chosen = {name: _pick(found, wanted) for name, wanted in _FILLED[result.name].items()}
        values = {
            name: written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], language)
            for name, row in chosen.items()
            if row is not None
        }
        if any(row is None for row in chosen.values()):
            values = {}
    return (
        result.words(f"analyses.{result.name}.answer", language, **values)
        if values
        else text("analyses.no_answer", language)
    )


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
    label = schema.items()[best["term"]].label[language]
    return {
        "count": count(counted["estimate"].iloc[0], language),
        "items": count(counted["n"].iloc[0], language),
        "strongest": f"”{label}”" if language == "sv" else f"“{label}”",
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
    label = text(f"analyses.contrast.{best['contrast']}", language)
    return {
        "first": f"”{label}”" if language == "sv" else f"“{label}”",
        "share": written("share", best["estimate"], best["conf_low"], best["conf_high"], language),
        "ratio": written("risk_ratio", ratio["estimate"], ratio["conf_low"], ratio["conf_high"], language),
    }


# Sentences that need more than picking estimates.
_COMPOSED = {"indicators": _indicators, "insights": _insights}
