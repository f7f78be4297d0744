"""Risk differences of answers at the first measurement: one at a time, together, changed, compared, by category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import resampling
from bipstudy.analyses.common import CLUSTER, POPULATION, standardised
from bipstudy.analyses.estimating import Number, Z, attempt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
# Everybody's answer half a standard deviation below and above the mean: one standard deviation apart.
HALF = (-0.5, 0.5)
# Answers with fewer rows stand with the next one.
LEAST_ANSWERS = 20
MOST_CATEGORIES = 7


@dataclass(frozen=True)
class Indicator:
    """One answer at the first measurement: item, who gave it, and the column that holds it."""

    item: str
    respondent: str
    column: str


@dataclass(frozen=True)
class Sample:
    """The first measurements as the models take them.

    Attributes
    ----------
    frame : DataFrame
    background : array of shape (n, k)
    codes : integer array of shape (n,)
        Caseworkers, as places in `labels`.
    labels : list of str
    weights : array of shape (n,)
        Censoring weights.
    known : bool array of shape (n,)
    """

    frame: pd.DataFrame
    background: FloatArray
    codes: IntArray
    labels: list[str]
    weights: FloatArray
    known: npt.NDArray[np.bool_]

    def column(self, name: str) -> FloatArray:
        """Return a column as numbers."""
        values: FloatArray = self.frame[name].to_numpy(dtype=np.float64)
        return values


def sample_of(frame: pd.DataFrame, background: Sequence[str]) -> Sample:
    """Return first measurements, or later ones, as the models take them."""
    codes, labels = pd.factorize(frame[CLUSTER].astype(str), sort=True)
    return Sample(
        frame,
        frame[list(background)].to_numpy(dtype=np.float64),
        np.asarray(codes, dtype=np.int64),
        [str(label) for label in labels],
        frame["ipcw"].to_numpy(dtype=np.float64),
        frame["y_known"].to_numpy(dtype=bool),
    )


def asked() -> list[Indicator]:
    """Return each item with the respondent whose answer the primary estimand takes."""
    found = []
    for item in schema.items().values():
        who = "participant" if "participant" in item.respondents else "caseworker"
        found.append(Indicator(item.id, who, f"{who[0]}_{item.id}"))
    return found


def of_caseworkers(asked: list[Indicator]) -> list[Indicator]:
    """Return the caseworker's answers to the items that both were asked."""
    both = {item.id for item in schema.items().values() if len(item.respondents) > 1}
    return [Indicator(each.item, "caseworker", f"c_{each.item}") for each in asked if each.item in both]


def turned(values: FloatArray, item: str) -> FloatArray:
    """Return answers in standard deviations, turned so that more is readier; all missing where they do not vary."""
    z = deviations(values)
    return z if schema.items()[item].direction == "higher_is_readier" else -z


def deviations(values: FloatArray) -> FloatArray:
    """Return numbers in standard deviations; all missing where they do not vary."""
    z = standardised(values)
    return np.full(len(values), np.nan) if z is None else z


@dataclass(frozen=True)
class Fitted:
    """A screen with the rows that it is standardised over."""

    screen: Any
    matrix: FloatArray
    codes: IntArray
    weights: FloatArray | None = None


def fitted(sample: Sample, response: str, columns: Sequence[FloatArray], *, background: bool = True) -> Fitted | None:
    """Fit a logit of some columns, beside background or not, among the rows that have all of them."""
    from bipstudy.models.screening import fit_screen

    parts = np.column_stack([np.ones(len(sample.frame)), *columns, *([sample.background] if background else [])])
    given = ~np.isnan(parts[:, 1 : 1 + len(columns)]).any(axis=1)
    used = given & sample.known
    screen = attempt(
        lambda: fit_screen(
            matrix=np.ascontiguousarray(parts[used]),
            response=sample.column(response)[used],
            weights=sample.weights[used],
            codes=sample.codes[used],
            groups=len(sample.labels),
        )
    )
    weights = sample.column(POPULATION)[given] if POPULATION in sample.frame else None
    return None if screen is None else Fitted(screen, parts[given], sample.codes[given], weights)


@dataclass(frozen=True)
class Difference:
    """A risk difference as a number, and what each caseworker adds to it."""

    number: Number
    influence: FloatArray


def difference(sample: Sample, fit: Fitted | None, column: int, values: tuple[float, float] = HALF) -> Difference:
    """Return the standardised risk difference of one column of a fit."""
    nothing = np.full(len(sample.labels), np.nan)
    if fit is None or not fit.screen.has(column):
        return Difference(Number(n=0), nothing)
    step = fit.screen.step(fit.matrix, fit.codes, [column], np.array(values)[:, None], fit.weights)
    low, high = step.estimate - Z * step.std_error, step.estimate + Z * step.std_error
    p_value = math.erfc(abs(step.estimate) / step.std_error / math.sqrt(2)) if step.std_error > 0 else math.nan
    resample = resampling.of_influence(step.estimate, step.influence, sample.labels)
    return Difference(
        Number(step.estimate, step.std_error, low, high, p_value, step.rows, step.events, step.clusters, resample),
        step.influence,
    )


def one(sample: Sample, values: FloatArray, response: str, *, background: bool = True) -> Difference:
    """Return the risk difference per standard deviation of one answer among those who gave it."""
    found = difference(sample, fitted(sample, response, [values], background=background), 1)
    return found if found.number.n else Difference(Number(n=int((~np.isnan(values)).sum())), found.influence)


def together(sample: Sample, values: Sequence[FloatArray], response: str) -> list[Number]:
    """Return the risk differences of all answers in one model, among those who gave every one."""
    varying = [place for place, column in enumerate(values) if not np.isnan(column).all()]
    if not varying:
        return [Number(n=len(sample.frame)) for _ in values]
    columns = [values[place] for place in varying]
    fit = fitted(sample, response, columns)
    complete = Number(n=int((~np.isnan(np.column_stack(columns)).any(axis=1)).sum()))
    found = {place: difference(sample, fit, number).number for number, place in enumerate(varying, start=1)}
    return [found[place] if place in found and found[place].n else complete for place in range(len(values))]


def beside(sample: Sample, values: FloatArray, other: FloatArray, response: str) -> Number:
    """Return the risk difference per standard deviation of one column, the other held."""
    found = difference(sample, fitted(sample, response, [values, other]), 1).number
    return found if found.n else Number(n=int((~np.isnan(values + other)).sum()))


@dataclass(frozen=True)
class Linearity:
    """Risks at the lowest and the highest answer, and the test of a straight line.

    Attributes
    ----------
    bottom, top : float
        Standardised risks at the lowest and the highest category.
    number : Number
        Their difference.
    p_value : float
        That categories depart from a straight line in the log odds.
    """

    bottom: float
    top: float
    number: Number
    p_value: float


def linearity(sample: Sample, answers: FloatArray, response: str) -> Linearity:
    """Return what ordered categories tell beside a straight line.

    Parameters
    ----------
    sample : Sample
    answers : array of shape (n,)
        0-100, turned so that more is readier.
    response : str

    Returns
    -------
    Linearity
    """
    from scipy.special import chdtrc

    given = ~np.isnan(answers)
    nothing = Linearity(math.nan, math.nan, Number(n=int(given.sum())), math.nan)
    categories = _categories(answers[given])
    if len(categories) < 2:
        return nothing
    nearest = np.abs(answers[:, None] - np.array(categories)[None, :])
    level = np.where(given, np.argmin(np.where(np.isnan(nearest), 0.0, nearest), axis=1), np.nan)
    line = np.where(given, np.array(categories)[np.nan_to_num(level).astype(int)], np.nan)
    # Besides the line, an indicator for all but the two ends: a straight line is where these are zero.
    inner = [np.where(given, (level == place).astype(float), np.nan) for place in range(1, len(categories) - 1)]
    fit = fitted(sample, response, [line / 100.0, *inner])
    if fit is None or not fit.screen.has(1):
        return nothing
    columns = list(range(1, 2 + len(inner)))
    ends = np.zeros((2, len(columns)))
    ends[:, 0] = np.array([categories[0], categories[-1]]) / 100.0
    step = fit.screen.step(fit.matrix, fit.codes, columns, ends)
    statistic, degrees = fit.screen.wald(columns[1:]) if inner else (math.nan, 0)
    half = Z * step.std_error
    p_value = math.erfc(abs(step.estimate) / step.std_error / math.sqrt(2)) if step.std_error > 0 else math.nan
    number = Number(
        step.estimate, step.std_error, step.estimate - half, step.estimate + half, p_value, step.rows, step.events,
        step.clusters,
    )  # fmt: skip
    departs = float(chdtrc(degrees, statistic)) if degrees else math.nan
    return Linearity(float(step.risks[0]), float(step.risks[-1]), number, departs)


def _categories(answers: FloatArray) -> list[float]:
    """Return the answers that stand for themselves; rare ones, and those of long scales, stand with the nearest."""
    values, counts = np.unique(answers, return_counts=True)
    kept = [float(value) for value, count in zip(values, counts, strict=True) if count >= LEAST_ANSWERS]
    if len(kept) <= MOST_CATEGORIES:
        return kept
    places = np.unique(np.round(np.linspace(0, len(kept) - 1, MOST_CATEGORIES)).astype(int))
    return [kept[place] for place in places]
