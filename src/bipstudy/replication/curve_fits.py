"""Fits of one exposure on arrays: coefficient, what it is as a risk, and the effective scores under no association."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.binary import fit_binary
from bipstudy.models.covariance import ModelError, ProductScores, RowScores, clustered_covariance
from bipstudy.models.links import hazard
from bipstudy.models.solving import independent_columns, inverse

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# A 0/1 covariate needs so many rows with and without it among the events and the others; fewer cannot be estimated.
FEWEST = 3


@dataclass(frozen=True)
class Data:
    """What an estimator is given; n rows.

    Attributes
    ----------
    exposure : array of shape (n,)
    nuisance : array of shape (n, q)
        Covariates without a constant; the first `kinds` are exposures beside the one compared, such as the middle
        answers, which nobody has when risks are standardised.
    response : array of shape (n,)
        0 or 1.
    weights : array of shape (n,)
    caseworker : array of int, shape (n,)
        Code in the whole study.
    participant : array of int, shape (n,) or None
        Second way of clustering, where participants have several rows.
    group : array of int, shape (n,) or None
        What is absorbed, or the stratum.
    start, stop : arrays of shape (n,) or None
        Time at risk, for Cox models.
    binary : bool
        Whether the exposure is 0 or 1; else it is in standard deviations.
    kinds : int
    """

    exposure: FloatArray
    nuisance: FloatArray
    response: FloatArray
    weights: FloatArray
    caseworker: IntArray
    participant: IntArray | None
    group: IntArray | None
    start: FloatArray | None
    stop: FloatArray | None
    binary: bool
    kinds: int = 0


@dataclass(frozen=True)
class Fitted:
    """Answer of one specification.

    Attributes
    ----------
    coefficient, std_error : float
        On the scale of the estimator.
    low_risk, high_risk : float
        Standardised risk without and with the exposure, or from half of one standard deviation below to half of one
        above.
    slope_difference, slope_ratio : float
        Derivative of the risk difference and of the logarithm of the risk ratio by the coefficient, all else fixed.
    scores : array of shape (G,)
        Effective score under no association, summed by caseworker.
    """

    coefficient: float
    std_error: float
    low_risk: float
    high_risk: float
    slope_difference: float
    slope_ratio: float
    scores: FloatArray


def estimable(nuisance: FloatArray, response: FloatArray) -> FloatArray:
    """Return the covariates that can be estimated: not collinear, and rare levels met by events and by others.

    Parameters
    ----------
    nuisance : array of shape (n, q)
    response : array of shape (n,)

    Returns
    -------
    array of shape (n, r)
    """
    if not nuisance.shape[1]:
        return nuisance
    events = response > 0
    sums, among = nuisance.sum(axis=0), nuisance[events].sum(axis=0)
    low, high = nuisance.min(axis=0), nuisance.max(axis=0)
    # Of whole numbers from 0 to 1 the sum of squares is the sum.
    marks = (low == 0) & (high == 1) & (np.einsum("ij,ij->j", nuisance, nuisance) == sums)
    without = sums - among
    cells = np.array([among, without, events.sum() - among, (~events).sum() - without])
    kept = np.flatnonzero((high > low) & (~marks | (cells.min(axis=0) >= FEWEST)))
    used = nuisance[:, kept]
    centred = used - used.mean(axis=0)
    return np.ascontiguousarray(used[:, independent_columns(centred.T @ centred)])


def fit(estimator: str, data: Data, groups: int) -> Fitted | None:
    """Fit one exposure.

    Parameters
    ----------
    estimator : {"linear", "logit", "cloglog", "cox"}
    data : Data
    groups : int
        Caseworkers in the study.

    Returns
    -------
    Fitted or None
        None where the data cannot give an answer.
    """
    if data.response.sum() < 2 * FEWEST or not np.ptp(data.exposure) > 0:
        return None
    try:
        if estimator == "linear":
            return _linear(data, groups)
        return _cox(data, groups) if estimator == "cox" else _binary(estimator, data, groups)
    except (ModelError, np.linalg.LinAlgError):
        return None


def _codes(data: Data) -> list[IntArray]:
    """Return the ways of clustering."""
    return [data.caseworker] if data.participant is None else [data.caseworker, data.participant]


def _sums(values: FloatArray, data: Data, groups: int) -> FloatArray:
    """Return sums by caseworker of the whole study."""
    return np.bincount(data.caseworker, weights=values, minlength=groups).astype(np.float64)


def _moves(data: Data) -> tuple[FloatArray, FloatArray]:
    """Return how far each row's exposure is moved, down and up."""
    if data.binary:
        return -data.exposure, 1.0 - data.exposure
    return np.full(len(data.exposure), -0.5), np.full(len(data.exposure), 0.5)


def _binary(link: str, data: Data, groups: int) -> Fitted | None:
    """Maximum likelihood with a logit or complementary log-log link."""
    rows = len(data.response)
    constant = np.ones((rows, 1))
    nuisance = np.ascontiguousarray(np.column_stack([constant, data.nuisance]))
    given = {"response": data.response, "weights": data.weights, "link": link}
    null = fit_binary(matrix=nuisance, **given)  # type: ignore[arg-type]
    if null.direction is not None:
        return None
    curvature = _curvature(null.eta, data, link)
    projection = inverse((nuisance * curvature[:, None]).T @ nuisance) @ (nuisance.T @ (curvature * data.exposure))
    scores = (data.exposure - nuisance @ projection) * null.slope
    matrix = np.ascontiguousarray(np.column_stack([nuisance, data.exposure]))
    found = fit_binary(matrix=matrix, start=np.append(null.beta, 0.0), **given)  # type: ignore[arg-type]
    if found.direction is not None:
        return None
    covariance = clustered_covariance(
        bread=inverse(found.information), scores=ProductScores(matrix, found.slope), codes=_codes(data)
    ).covariance
    beta = float(found.beta[-1])
    eta = found.eta - data.nuisance[:, : data.kinds] @ found.beta[1 : 1 + data.kinds]
    low, high = (_moved(eta + beta * move, move, link, data.weights) for move in _moves(data))
    return _fitted(beta, covariance[-1, -1], low, high, _sums(scores, data, groups))


def _curvature(eta: FloatArray, data: Data, link: str) -> FloatArray:
    """Return the expected information of each row by its linear predictor."""
    from bipstudy.models.links import row_derivatives

    expected: FloatArray = row_derivatives(eta, data.response, link).expected  # type: ignore[arg-type]
    return np.asarray(data.weights * expected)


def _moved(eta: FloatArray, move: FloatArray, link: str, weights: FloatArray) -> tuple[float, float]:
    """Return the mean risk when exposures are moved, and its derivative by the coefficient."""
    risk = hazard(eta, link)  # type: ignore[arg-type]
    slope = np.asarray(risk * (1.0 - risk) if link == "logit" else (1.0 - risk) * np.exp(np.minimum(eta, 30.0)))
    return float(np.average(risk, weights=weights)), float(np.average(slope * move, weights=weights))


def _fitted(
    beta: float, variance: float, low: tuple[float, float], high: tuple[float, float], scores: FloatArray
) -> Fitted | None:
    """Return coefficient and risks; nothing where a risk is not positive."""
    if not (variance > 0 and low[0] > 0 and high[0] > 0):
        return None
    return Fitted(
        beta, float(np.sqrt(variance)), low[0], high[0], high[1] - low[1], high[1] / high[0] - low[1] / low[0], scores
    )


def _linear(data: Data, groups: int) -> Fitted | None:
    """Least squares, groups absorbed."""
    from bipstudy.models.absorb import absorb
    from bipstudy.models.linear import least_squares

    rows = len(data.response)
    columns = np.column_stack([data.response, data.exposure, data.nuisance])
    effect = np.zeros(rows, dtype=np.int64) if data.group is None else data.group
    within = absorb(columns, [np.unique(effect, return_inverse=True)[1].astype(np.int64)], data.weights).columns
    y, x, beside = within[:, 0], within[:, 1], np.zeros((2, 0))
    if within.shape[1] > 2:
        # The exposure last: what is left of it, and of the outcome, after all else (Frisch and Waugh).
        z = np.ascontiguousarray(within[:, 2:])
        of_y = least_squares(matrix=z, response=y, weights=data.weights)
        of_x = least_squares(matrix=z, response=x, weights=data.weights)
        y, x = of_y.residuals, of_x.residuals
        kept = [place for place, column in enumerate(of_y.kept) if column < data.kinds]
        beside = np.array([of_y.beta[kept], of_x.beta[kept]])
        kinds = data.nuisance[:, [of_y.kept[place] for place in kept]]
    weighted = data.weights * x
    length = float(weighted @ x)
    if not length > 1e-9 * rows:
        return None
    beta = float(weighted @ y) / length
    scores = RowScores((weighted * (y - beta * x))[:, None])
    parameters = within.shape[1] - 1 + len(np.unique(effect))
    covariance = clustered_covariance(
        bread=np.array([[1.0 / length]]), scores=scores, codes=_codes(data), family="linear", parameters=parameters
    ).covariance
    mean = float(np.average(data.response, weights=data.weights))
    if beside.shape[1]:
        # What other kinds add to the mean, by their coefficients beside the exposure.
        mean -= float(np.average(kinds, axis=0, weights=data.weights) @ (beside[0] - beta * beside[1]))
    low, high = ((mean + beta * float(np.average(move, weights=data.weights)),
                  float(np.average(move, weights=data.weights))) for move in _moves(data))  # fmt: skip
    return _fitted(beta, covariance[0, 0], low, high, _sums(weighted * y, data, groups))


def _cox(data: Data, groups: int) -> Fitted | None:
    """Cox regression with strata; risks from the mean hazard of everybody over the time at risk."""
    from bipstudy.models.partial_likelihood import evaluate, maximise, scores
    from bipstudy.models.risk_sets import risk_sets

    assert data.stop is not None
    sets = risk_sets(start=data.start, stop=data.stop, event=data.response > 0, stratum=data.group)
    nuisance, kinds = _within_strata(data)
    whole = np.ascontiguousarray(np.column_stack([nuisance, data.exposure - data.exposure.mean()]))
    weight = np.ones(len(whole))
    before = np.zeros(0)
    if nuisance.shape[1]:
        null = maximise(x=np.ascontiguousarray(nuisance), weight=weight, sets=sets, scale=_scale(nuisance))
        if null.monotone.any():
            return None
        before = null.at.beta
    at = evaluate(x=whole, beta=np.append(before, 0.0), weight=weight, sets=sets)
    rows = scores(x=whole, weight=weight, sets=sets, at=at)
    effective = rows[:, -1]
    if nuisance.shape[1]:
        effective = effective - rows[:, :-1] @ (inverse(at.information[:-1, :-1]) @ at.information[:-1, -1])
    found = maximise(x=whole, weight=weight, sets=sets, scale=_scale(whole), initial=np.append(before, 0.0))
    if found.monotone.any():
        return None
    bread = inverse(found.at.information)
    robust = clustered_covariance(
        bread=bread, scores=RowScores(scores(x=whole, weight=weight, sets=sets, at=found.at)), codes=_codes(data)
    ).covariance
    beta = float(found.at.beta[-1])
    by_row = data.participant is not None
    # Expected events; with the exposure moved they change by exp(beta times the move). Of a participant they are those
    # of the whole horizon, whether followed to its end or not; of a quarter those of the row.
    hazards = found.at.hazard if by_row else _whole_hazard(found.at.hazard, data.group)
    others = np.exp(-(data.nuisance[:, kinds] @ found.at.beta[: len(kinds)]))
    low, high = (_survived(found.at.risk * others * hazards, beta, move, by_row) for move in _moves(data))
    return _fitted(beta, robust[-1, -1], low, high, _sums(effective, data, groups))


def _whole_hazard(hazard_of_row: FloatArray, group: IntArray | None) -> FloatArray:
    """Return the hazard cumulated over the longest time at risk in the stratum of each row; all begin on one day."""
    codes = np.zeros(len(hazard_of_row), dtype=np.int64) if group is None else np.unique(group, return_inverse=True)[1]
    longest = np.zeros(int(codes.max()) + 1)
    np.maximum.at(longest, codes, hazard_of_row)
    of_row: FloatArray = longest[codes]
    return of_row


def _within_strata(data: Data) -> tuple[FloatArray, IntArray]:
    """Return covariates centred, and which of them are kinds of exposure.

    Covariates that do not vary within strata, or follow from others there, are left out.
    """
    from bipstudy.models.absorb import absorb

    centred = data.nuisance - (data.nuisance.mean(axis=0) if data.nuisance.shape[1] else 0.0)
    kept = np.arange(data.nuisance.shape[1])
    if data.group is not None and len(kept):
        within = absorb(centred, [np.unique(data.group, return_inverse=True)[1].astype(np.int64)]).columns
        kept = np.flatnonzero((within**2).sum(axis=0) > 1e-9 * (centred**2).sum(axis=0))
        part = within[:, kept]
        kept = kept[independent_columns(part.T @ part)]
    return np.ascontiguousarray(centred[:, kept]), kept[kept < data.kinds].astype(np.int64)


def _survived(expected: FloatArray, beta: float, move: FloatArray, by_row: bool) -> tuple[float, float]:
    """Return the mean risk when exposures are moved, and its derivative; rare events by row are taken as they are."""
    moved = expected * np.exp(beta * move)
    if by_row:
        return float(moved.mean()), float((moved * move).mean())
    return float(-np.expm1(-moved).mean()), float((np.exp(-moved) * moved * move).mean())


def _scale(columns: FloatArray) -> FloatArray:
    """Return standard deviations, one where a column does not vary."""
    spread = columns.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def wald(found: Fitted) -> float:
    """Return the two-sided p-value of the coefficient."""
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(found.coefficient / found.std_error)))


def flipped(scores: FloatArray, *, flips: int, seed: int) -> tuple[FloatArray, FloatArray]:
    r"""Statistics of all specifications under the same random signs of caseworkers.

    With :math:`s_{mg}` the effective score of specification m summed over caseworker g, and signs :math:`\epsilon_g`,
    :math:`t_m = \sum_g \epsilon_g s_{mg} / \sqrt{\sum_g s_{mg}^2}`.

    Parameters
    ----------
    scores : array of shape (M, G)
    flips : int
    seed : int

    Returns
    -------
    observed : array of shape (M,)
        All signs plus.
    drawn : array of shape (flips, M)

    References
    ----------
    Hemerik, J., Goeman, J. J., Finos, L. (2020). Robust testing in generalized linear models by sign flipping score
    contributions. Journal of the Royal Statistical Society B 82, 841-864. Girardi, P., Vesely, A., Lakens, D., Altoe,
    G., Pastore, M., Calcagni, A., Finos, L. (2024). Post-selection inference in multiverse analysis. Psychometrika 89,
    542-568.
    """
    length = np.sqrt((scores**2).sum(axis=1))
    unit = scores / np.where(length > 0, length, 1.0)[:, None]
    signs = np.random.default_rng(seed).integers(0, 2, (flips, scores.shape[1])) * 2.0 - 1.0
    return unit.sum(axis=1), signs @ unit.T


def joint_p(observed: FloatArray, drawn: FloatArray, places: Sequence[int]) -> tuple[float, float]:
    """Return p-values of "no association in any specification", by the largest and by the mean statistic.

    Parameters
    ----------
    observed : array of shape (M,)
    drawn : array of shape (flips, M)
    places : sequence of int
        The specifications that are tested together.

    Returns
    -------
    largest, mean : float
        NaN without specifications. The largest is of absolute values; the mean keeps signs and is then two-sided.
    """
    own, others = observed[list(places)], drawn[:, list(places)]
    if not own.size:
        return float("nan"), float("nan")
    largest = (1 + int((np.abs(others).max(axis=1) >= np.abs(own).max() - 1e-12).sum())) / (1 + len(others))
    mean = (1 + int((np.abs(others.mean(axis=1)) >= abs(own.mean()) - 1e-12).sum())) / (1 + len(others))
    return largest, mean
