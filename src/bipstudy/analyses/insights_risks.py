"""Standardised risks of the five insights absent and present, from one joint hazard, with their resamples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import resampling
from bipstudy.analyses.common import CLUSTER, POPULATION
from bipstudy.analyses.estimating import Number, Z

QUARTER = "quarter_"
# Insight -> its columns, the first being what is set to one or nought.
INSIGHTS = {
    "focus": ("ins_focus",),
    "no_gaps": ("ins_no_gaps",),
    "parallel": ("ins_parallel",),
    "same_caseworker": ("ins_same_caseworker",),
    "belief": ("ins_belief_top", "ins_belief_middle"),
}
COLUMNS = [column for columns in INSIGHTS.values() for column in columns]
Floats = npt.NDArray[np.float64]
# Numbers held at a time while risks are averaged over rows and resamples.
_AT_A_TIME = 2_000_000
Resampled = Callable[[], "dict[str, Floats] | None"]


@dataclass(frozen=True)
class Risks:
    """Standardised risks with each insight absent and present: labels, risks and their covariance."""

    labels: tuple[str, ...]
    risks: Floats
    covariance: Floats
    resampled: Resampled | None = None

    def contrast(self, present: str, absent: str, scale: str, counts: dict[str, Any]) -> Number:
        """Return the ratio or difference of two risks; without a value where one of them is nought."""
        one, other = self.labels.index(present), self.labels.index(absent)
        if not min(self.risks[one], self.risks[other]) > 0:
            return Number(**counts)
        slope = np.zeros(len(self.labels))
        if scale == "risk_ratio":
            slope[one], slope[other] = 1.0 / self.risks[one], -1.0 / self.risks[other]
            value = float(np.log(self.risks[one] / self.risks[other]))
        else:
            slope[one], slope[other] = 1.0, -1.0
            value = float(self.risks[one] - self.risks[other])
        error = float(np.sqrt(max(float(slope @ self.covariance @ slope), 0.0)))
        number = _normal(value, error, scale == "risk_ratio", counts)
        if self.resampled is None:
            return number
        return replace(number, resample=lambda: self._of_draws(present, absent, scale))

    def _of_draws(self, present: str, absent: str, scale: str) -> Floats | None:
        """Return the contrast in every resample."""
        assert self.resampled is not None
        drawn = self.resampled()
        if drawn is None:
            return None
        one, other = drawn[present], drawn[absent]
        return one / other if scale == "risk_ratio" else one - other


def _normal(value: float, error: float, ratio: bool, counts: dict[str, Any]) -> Number:
    """Return a number with a normal interval, of a logarithm if it is a ratio."""
    from math import erfc, exp, nan, sqrt

    shown: Callable[[float], float] = exp if ratio else float
    p_value = erfc(abs(value) / error / sqrt(2)) if error > 0 else nan
    return Number(shown(value), error, shown(value - Z * error), shown(value + Z * error), p_value, **counts)


def settings() -> dict[str, dict[str, float]]:
    """Return the values of each insight absent and present, then of all together."""
    absent = {name: dict.fromkeys(columns, 0.0) for name, columns in INSIGHTS.items()}
    present = {name: {**absent[name], columns[0]: 1.0} for name, columns in INSIGHTS.items()}
    settings: dict[str, dict[str, float]] = {}
    for name in INSIGHTS:
        settings |= {f"{name}_absent": absent[name], f"{name}_present": present[name]}
    settings["all_absent"] = {column: value for each in absent.values() for column, value in each.items()}
    settings["all_present"] = {column: value for each in present.values() for column, value in each.items()}
    return settings


def standardised_risks(fit: Any, frame: pd.DataFrame, quarters: int) -> Risks:
    """Return the risks at the horizon of everybody's first row under each setting.

    What `bipstudy.models.standardised_risk` gives, with one matrix for all settings and quarters: they differ in few
    columns only.
    """
    from bipstudy.models.standardised import risk_covariance

    first = frame.drop_duplicates("participant").reset_index(drop=True)
    absent = {name: 0.0 for name in fit.design.variables if name.startswith(QUARTER)}
    matrix = np.asarray(fit.design.matrix(first.assign(**absent)), dtype=np.float64)
    place = {term: number for number, term in enumerate(fit.terms)}
    later = [place.get(f"{QUARTER}{number}") for number in range(2, quarters + 1)]
    weight = np.ones(len(first)) if POPULATION not in first else first[POPULATION].to_numpy(dtype=np.float64)
    weight = weight / weight.sum()
    risks: list[float] = []
    slopes, spreads = [], []
    for setting in settings().values():
        for column, value in setting.items():
            if column in place:
                matrix[:, place[column]] = value
        risk, slope, each = _at_horizon(fit, matrix, later, weight)
        risks.append(risk)
        slopes.append(slope)
        spreads.append((each - risk) * weight)
        matrix[:, [place[column] for column in setting if column in place]] = first[
            [column for column in setting if column in place]
        ].to_numpy(dtype=np.float64)
    covariance = risk_covariance(fit, first, np.vstack(slopes), np.column_stack(spreads), "sampled")
    resampled = _resampled(fit, first, matrix, later) if resampling.wanted() and POPULATION not in first else None
    return Risks(tuple(settings()), np.array(risks), covariance, resampled)


def _resampled(fit: Any, first: pd.DataFrame, matrix: Floats, later: list[int | None]) -> Resampled:
    """Return what gives the risks of each setting in every resample, made when first asked for."""
    made: list[dict[str, Floats] | None] = []
    kept = matrix.copy()

    def resample() -> dict[str, Floats] | None:
        if not made:
            drawn = resampling.coefficients(fit, first[CLUSTER].to_numpy(dtype=object))
            # Where a combination of the terms decides the outcome, it does so in every resample.
            decided = len(getattr(fit, "directions", ())) > 0
            draw = _decided_risks_of_draws if decided else _risks_of_draws
            made.append(None if drawn is None else draw(fit, kept, later, *drawn))
        return made[0]

    return resample


def _risks_of_draws(
    fit: Any, matrix: Floats, later: list[int | None], coefficients: Floats, weights: Floats
) -> dict[str, Floats]:
    """Return the risks of each setting, averaged over the resampled rows.

    The quarters add to the linear predictor what is the same for everybody, so that the cumulated hazard is that of the
    first quarter times one number for each resample; and what a setting changes is a few columns.
    """
    place = {term: number for number, term in enumerate(fit.terms)}
    wanted = {name: setting for name, setting in settings().items() if not name.startswith("all_")}
    step = max(1, _AT_A_TIME // max(1, len(matrix)))
    found: dict[str, list[Floats]] = {name: [] for name in wanted}
    for begin in range(0, len(coefficients), step):
        beta, weight = coefficients[begin : begin + step], weights[begin : begin + step]
        weight = weight / weight.sum(axis=1, keepdims=True)
        quarters = 1.0 + sum((np.exp(beta[:, [column]]) for column in later if column is not None), start=0.0)
        absent_quarters = sum(column is None for column in later)
        quarters = quarters + absent_quarters
        whole = beta @ matrix.T
        for name, setting in wanted.items():
            own = [column for column in setting if column in place]
            columns = [place[column] for column in own]
            if name.endswith("_absent"):
                absent = np.exp(np.minimum(whole - beta[:, columns] @ matrix[:, columns].T, 30.0)) * quarters
                cumulated = absent
            else:
                values = np.array([setting[column] for column in own], dtype=np.float64)
                cumulated = absent * np.exp(beta[:, columns] @ values[:, None])
            found[name].append(1.0 - (weight * np.exp(-cumulated)).sum(axis=1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _decided_risks_of_draws(
    fit: Any, matrix: Floats, later: list[int | None], coefficients: Floats, weights: Floats
) -> dict[str, Floats]:
    """Return the same where separation gives some rows a hazard of nought or one in some quarter: they keep it."""
    from bipstudy.models.separation import limit_eta

    place = {term: number for number, term in enumerate(fit.terms)}
    weights = weights / weights.sum(axis=1, keepdims=True)
    step = max(1, _AT_A_TIME // max(1, len(matrix)))
    found: dict[str, Floats] = {}
    for name, setting in settings().items():
        if name.startswith("all_"):
            continue
        rows = matrix.copy()
        for column, value in setting.items():
            if column in place:
                rows[:, place[column]] = value
        cumulated = np.zeros((len(coefficients), len(matrix)))
        for quarter in [None, *later]:
            if quarter is not None:
                rows[:, quarter] = 1.0
            limits = limit_eta(rows, fit.estimates, fit.directions)
            for begin in range(0, len(coefficients), step):
                part = slice(begin, begin + step)
                linear = np.where(np.isinf(limits), limits, coefficients[part] @ rows.T)
                cumulated[part] += np.exp(np.minimum(linear, 30.0))
            if quarter is not None:
                rows[:, quarter] = 0.0
        found[name] = 1.0 - (weights * np.exp(-cumulated)).sum(axis=1)
    return found


def _at_horizon(fit: Any, matrix: Floats, later: list[int | None], weight: Floats) -> tuple[float, Floats, Floats]:
    """Return the mean risk at the horizon, its derivative by the coefficients, and everybody's own risk."""
    from bipstudy.models.separation import limit_eta

    cumulated = np.zeros(len(matrix))
    amounts = []
    for column in [None, *later]:
        if column is not None:
            matrix[:, column] = 1.0
        # Where the hazard is 1 nobody survives, and the derivative is multiplied by nought.
        amounts.append(np.exp(np.minimum(limit_eta(matrix, fit.estimates, fit.directions), 30.0)))
        cumulated = cumulated + amounts[-1]
        if column is not None:
            matrix[:, column] = 0.0
    left = np.exp(-cumulated) * weight
    slope = (left * cumulated) @ matrix
    for column, amount in zip(later, amounts[1:], strict=True):
        if column is not None:
            slope[column] = left @ amount
    each = -np.expm1(-cumulated)
    return float(weight @ each), slope, each
