"""After a Cox regression: proportional hazards, baseline, prediction, residuals and concordance, as functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bipstudy.models.covariance import ModelError
from bipstudy.models.partial_likelihood import Evaluation, event_means, scores, slot_weighted_information
from bipstudy.models.risk_sets import Booleans, Floats, Integers, RiskSets, cumulate, risk_sets

if TYPE_CHECKING:
    from bipstudy.models.cox_fit import CoxData

__all__ = [
    "Concordance",
    "Prediction",
    "ScoreTests",
    "concordance",
    "predict_hazard",
    "proportionality",
    "residuals",
    "schoenfeld",
]

Transform = Literal["km", "identity", "rank", "log"]
Kind = Literal["martingale", "deviance", "score", "dfbeta", "dfbetas"]


@dataclass(frozen=True)
class ScoreTests:
    """Score tests of a coefficient that changes with a function of time.

    Attributes
    ----------
    chi_square : (k,) float64
        One degree of freedom each.
    overall : float
        All terms together, k degrees of freedom.
    """

    chi_square: Floats
    overall: float


def time_scale(data: CoxData, transform: Transform) -> Floats:
    """Give the function of time for each slot, less its mean over events, shape (slots,)."""
    sets = data.sets
    events = data.stop[sets.event_rows]
    if transform == "identity":
        value = sets.time
    elif transform == "log":
        if (sets.time <= 0).any():
            raise ModelError("the logarithm of time needs times above zero")
        value = np.log(sets.time)
    elif transform == "rank":
        ordered = np.sort(events)
        value = (np.searchsorted(ordered, sets.time, "left") + np.searchsorted(ordered, sets.time, "right") + 1) / 2
    elif transform == "km":
        pooled = risk_sets(start=data.start, stop=data.stop, event=data.event)
        counts = np.bincount(pooled.top[pooled.event_rows], minlength=pooled.time.shape[0])
        inside = np.searchsorted(np.sort(data.stop), pooled.time, "left")
        entered = (
            np.searchsorted(np.sort(data.start), pooled.time, "left") if data.start is not None else len(data.stop)
        )
        alive = np.cumprod(1 - counts / (entered - inside))
        before = np.concatenate([[1.0], alive[:-1]])
        value = 1 - before[np.searchsorted(pooled.time, sets.time)]
    else:
        raise ModelError(f"transform must be 'km', 'identity', 'rank' or 'log', got {transform!r}")
    slot = sets.top[sets.event_rows]
    return np.asarray(value - value[slot].mean(), dtype=np.float64)


def proportionality(*, data: CoxData, at: Evaluation, transform: Transform) -> ScoreTests:
    """Score tests that each coefficient, and all of them, do not change with a function of time.

    Parameters
    ----------
    data : CoxData
    at : Evaluation
        At the maximum.
    transform : {"km", "identity", "rank", "log"}
        Ranks are among events, so that cutting an episode changes nothing (R's ranks count censored times too).

    Returns
    -------
    ScoreTests

    References
    ----------
    Grambsch, P. M. & Therneau, T. M. (1994). Proportional hazards tests and diagnostics based on weighted residuals.
    Biometrika 81, 515-526. (The exact score test, not their approximation by a constant variance.)
    """
    g = time_scale(data, transform)
    slot, weight = data.sets.top[data.sets.event_rows], data.weight[data.sets.event_rows]
    score = (g[slot] * weight) @ schoenfeld(data=data, at=at)
    cross = slot_weighted_information(x=data.x, at=at, sets=data.sets, factor=g)
    square = slot_weighted_information(x=data.x, at=at, sets=data.sets, factor=g**2)
    left = square - cross @ np.linalg.solve(at.information, cross)
    return ScoreTests(score**2 / np.diag(left), float(score @ np.linalg.solve(left, score)))


def schoenfeld(*, data: CoxData, at: Evaluation) -> Floats:
    """Covariates of each event less their mean in its risk set (averaged over ties), shape (events, k)."""
    rows = data.sets.event_rows
    return np.asarray(data.x[rows] - event_means(at)[data.sets.top[rows]])


def residuals(*, data: CoxData, at: Evaluation, inverse: Floats, kind: Kind) -> Floats:
    """Residuals by row.

    Parameters
    ----------
    data : CoxData
    at : Evaluation
        At the maximum.
    inverse : (k, k) float64
        Inverse of the information.
    kind : {"martingale", "deviance", "score", "dfbeta", "dfbetas"}
        `dfbeta` is what a row with its case weight adds to the estimates, to first order; `dfbetas` is that in
        standard errors. The others are per unit of weight.

    Returns
    -------
    (n,) or (n, k) float64
    """
    if kind in ("martingale", "deviance"):
        expected = at.risk / data.weight * at.hazard
        martingale = data.event - expected
        if kind == "martingale":
            return np.asarray(martingale)
        log = np.log(np.where(data.event & (expected > 0), expected, 1.0))
        inner = martingale + np.where(data.event, log, 0.0)
        return np.asarray(np.sign(martingale) * np.sqrt(np.maximum(-2 * inner, 0.0)))
    score = scores(x=data.x, weight=data.weight, sets=data.sets, at=at)
    if kind == "score":
        return np.asarray(score / data.weight[:, None])
    change = score @ inverse
    if kind == "dfbeta":
        return np.asarray(change)
    if kind == "dfbetas":
        return np.asarray(change / np.sqrt(np.diag(inverse)))
    raise ModelError(f"residuals are 'martingale', 'deviance', 'score', 'dfbeta' or 'dfbetas', got {kind!r}")


@dataclass(frozen=True)
class Prediction:
    """Cumulative hazards of m rows at t times.

    Attributes
    ----------
    cumulative_hazard, std_error : (m, t) float64
        NaN where a stratum has no follow-up left.
    """

    cumulative_hazard: Floats
    std_error: Floats


def baseline(*, at: Evaluation) -> Floats:
    """Hazard jump of each slot at the mean covariates, shape (slots,): Breslow's, or Efron's for tied events."""
    return np.asarray(at.terms[:, 0] * np.exp(-at.shift))


def predict_hazard(
    *, data: CoxData, at: Evaluation, covariance: Floats, x: Floats, stratum: Integers, times: Floats
) -> Prediction:
    r"""Cumulative hazard of covariates that stay as they are, with its standard error.

    The variance is :math:`e^{2\eta} (\sum_g v_g + d' V d)`, with :math:`v_g` the variance of the baseline's jumps and
    :math:`d = \sum_g (x - \bar x_g) d\Lambda_g` what the estimated coefficients add.

    Parameters
    ----------
    data : CoxData
    at : Evaluation
    covariance : (k, k) float64
    x : (m, k) float64
        Less ``data.centre``.
    stratum : (m,) int64
    times : (t,) float64

    Returns
    -------
    Prediction

    References
    ----------
    Tsiatis, A. A. (1981). A large sample study of Cox's regression model. Annals of Statistics 9, 93-108.
    """
    sets, scale = data.sets, np.exp(-at.shift)
    hazard = cumulate(at.terms[:, 0] * scale, sets.last)
    jumps = cumulate(at.terms[:, 2] * scale**2, sets.last)
    drift = cumulate((at.terms[:, [2]] * at.s1 - at.terms[:, [3]] * at.s1_events) * scale, sets.last)
    ratio = np.exp(x @ at.beta)
    value, error = np.empty((len(x), len(times))), np.empty((len(x), len(times)))
    for s in np.unique(stratum):
        mine = stratum == s
        begin, end = np.searchsorted(sets.stratum, [s, s + 1])
        place = np.searchsorted(sets.time[begin:end], times, side="right")
        slot = np.where(place > 0, begin + place - 1, -1)
        value[mine] = ratio[mine, None] * hazard[slot]
        distance = hazard[slot][None, :, None] * x[mine][:, None, :] - drift[slot][None, :, :]
        spread = np.einsum("mtk,kl,mtl->mt", distance, covariance, distance)
        error[mine] = ratio[mine, None] * np.sqrt(jumps[slot][None, :] + np.maximum(spread, 0.0))
        followed = data.stop if data.stratum is None else data.stop[data.stratum == s]
        beyond = times > followed.max(initial=-np.inf)
        value[np.ix_(mine, beyond)] = error[np.ix_(mine, beyond)] = np.nan
    return Prediction(value, error)


@dataclass(frozen=True)
class Concordance:
    """How often the one with the higher risk has the event first.

    Attributes
    ----------
    estimate, std_error : float
        Share of comparable pairs, ties in risk counted half; infinitesimal jackknife.
    concordant, discordant, tied : float
        Weighted pairs.
    influence : (n,) float64
        Case weight times the derivative of the estimate by it.
    """

    estimate: float
    std_error: float
    concordant: float
    discordant: float
    tied: float
    influence: Floats


def concordance(*, predictor: Floats, weight: Floats, sets: RiskSets, event: Booleans) -> Concordance:
    """Harrell's concordance for intervals and strata.

    A pair is comparable if one has an event while the other is at risk, in the same stratum, and the other does not
    have an event at that very time.

    Parameters
    ----------
    predictor, weight : (n,) float64
    sets : RiskSets
    event : (n,) bool

    Returns
    -------
    Concordance

    References
    ----------
    Harrell, F. E., Califf, R. M., Pryor, D. B., Lee, K. L. & Rosati, R. A. (1982). Evaluating the yield of medical
    tests. JAMA 247, 2543-2546.
    """
    from bipstudy.models import pair_kernels

    rank = _ranks(predictor)
    slots = sets.time.shape[0]
    order_top, first_top = _by_slot(sets.top, slots)
    order_below, first_below = _by_slot(sets.below, slots)
    as_event, as_other = np.zeros((len(rank), 3)), np.zeros((len(rank), 3))
    pair_kernels.pair_weights(
        rank, weight, event, sets.last, order_top, first_top, order_below, first_below, as_event, as_other
    )  # fmt: skip
    # Columns: weight of the partners with lower, equal and higher risk.
    concordant = as_event[:, 0] + as_other[:, 2]
    discordant = as_event[:, 2] + as_other[:, 0]
    tied = as_event[:, 1] + as_other[:, 1]
    agree, differ, even = (float(weight @ part) / 2 for part in (concordant, discordant, tied))
    total = agree + differ + even
    if total == 0:
        raise ModelError("no two rows can be compared, so concordance is not defined")
    estimate = (agree + even / 2) / total
    influence = weight * (concordant + tied / 2 - estimate * (concordant + discordant + tied)) / total
    return Concordance(estimate, float(np.sqrt(influence @ influence)), agree, differ, even, influence)


def _ranks(predictor: Floats) -> Integers:
    """Ranks 0, 1, ... of the predictor; what differs by rounding is tied."""
    order = np.argsort(predictor, kind="stable")
    ordered = predictor[order]
    new = np.concatenate([[False], np.diff(ordered) > 1e-11 * (1 + np.abs(ordered[1:]))])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(new)
    return rank


def _by_slot(slot: Integers, slots: int) -> tuple[Integers, Integers]:
    """Rows in the order of their slot, and where each slot begins; rows without a slot are left out."""
    order = np.argsort(slot, kind="stable")
    order = order[np.searchsorted(slot[order], 0) :]
    return order, np.searchsorted(slot[order], np.arange(slots + 1)).astype(np.int64)
