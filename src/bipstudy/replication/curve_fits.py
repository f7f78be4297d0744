"""Fits of one exposure on arrays: coefficient, what it is as a risk, and the effective scores under no association."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.binary import BinaryFit, fit_binary
from bipstudy.models.covariance import ModelError, ProductScores, RowScores, clustered_covariance
from bipstudy.models.links import hazard, row_derivatives
from bipstudy.models.solving import cross_product, independent_columns, inverse

if TYPE_CHECKING:
    from bipstudy.models.risk_sets import RiskSets

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Known: TypeAlias = dict[str, Any]

# A 0/1 covariate needs so many rows with and without it among the events and the others; fewer cannot be estimated.
FEWEST = 3
# A first step of more standard errors than this is not taken blindly.
FAR = 6.0


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
    known : dict
        What was found without the exposure, by estimator; shared by all with the same rows, covariates and groups.
    near : dict
        Linear predictors of the latest fits to the same rows, by link: a start for the next.
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
    known: Known = field(default_factory=dict)
    near: Known = field(default_factory=dict)


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


def _levels(data: Data) -> tuple[int, IntArray]:
    """Return how many groups there are, and the group of each row as a code from zero."""
    if data.group is None:
        return 1, np.zeros(len(data.response), dtype=np.int64)
    names, codes = np.unique(data.group, return_inverse=True)
    return len(names), codes.astype(np.int64)


def _sums(values: FloatArray, data: Data, groups: int) -> FloatArray:
    """Return sums by caseworker of the whole study."""
    return np.bincount(data.caseworker, weights=values, minlength=groups).astype(np.float64)


def _moves(data: Data) -> tuple[FloatArray, FloatArray]:
    """Return how far each row's exposure is moved, down and up."""
    if data.binary:
        return -data.exposure, 1.0 - data.exposure
    return np.full(len(data.exposure), -0.5), np.full(len(data.exposure), 0.5)


@dataclass(frozen=True)
class _Without:
    """Fit without the exposure: coefficients begin with the constant, `curvature` is the information of each row."""

    fit: BinaryFit
    bread: FloatArray
    curvature: FloatArray


def _binary(link: str, data: Data, groups: int) -> Fitted | None:
    """Maximum likelihood with a logit or complementary log-log link."""
    if link not in data.known:
        data.known[link] = _without(link, data)
    null = data.known[link]
    if null is None:
        return None
    weighted = null.curvature * data.exposure
    projection = null.bread @ np.append(weighted.sum(), weighted @ data.nuisance)
    left = data.exposure - projection[0] - data.nuisance @ projection[1:]
    scores = left * null.fit.slope
    matrix = np.column_stack([np.ones(len(left)), data.nuisance, data.exposure])
    # What is left of the exposure gives the first step from the fit without it.
    length = float(weighted @ left)
    step = float(scores.sum()) / length if length > 0 else 0.0
    start = np.append(null.fit.beta, 0.0)
    if step * step * length < FAR**2:
        start += step * np.append(-projection, 1.0)
    found = _maximum(link, data, matrix, start)
    if found.direction is not None:
        return None
    covariance = clustered_covariance(
        bread=inverse(found.information), scores=ProductScores(matrix, found.slope), codes=_codes(data)
    ).covariance
    beta = float(found.beta[-1])
    eta = found.eta - data.nuisance[:, : data.kinds] @ found.beta[1 : 1 + data.kinds]
    low, high = (_moved(eta + beta * move, move, link, data.weights) for move in _moves(data))
    return _fitted(beta, covariance[-1, -1], low, high, _sums(scores, data, groups))


def _without(link: str, data: Data) -> _Without | None:
    """Return the fit without the exposure, None if its maximum lies at infinity."""
    matrix = np.column_stack([np.ones(len(data.response)), data.nuisance])
    found = _maximum(link, data, matrix, _near(link, data, matrix))
    if found.direction is not None:
        return None
    data.near[link] = found.eta
    expected = row_derivatives(found.eta, data.response, link).expected  # type: ignore[arg-type]
    return _Without(found, inverse(found.information), data.weights * expected)


def _maximum(link: str, data: Data, matrix: FloatArray, start: FloatArray | None) -> BinaryFit:
    """Maximise the likelihood from a start, from the constant if that leads nowhere."""
    given = {"matrix": matrix, "response": data.response, "weights": data.weights, "link": link}
    try:
        return fit_binary(start=start, **given)  # type: ignore[arg-type]
    except ModelError:
        if start is None:
            raise
        return fit_binary(**given)  # type: ignore[arg-type]


def _near(link: str, data: Data, matrix: FloatArray) -> FloatArray | None:
    """Return a start from what was fitted to these rows last, with this link or the other, None if nothing was."""
    eta = data.near.get(link)
    if eta is None and data.near:
        ((other, found),) = data.near.items()
        risk = np.clip(hazard(found, other), 1e-12, 1.0 - 1e-9)  # type: ignore[arg-type]
        eta = np.log(risk / (1.0 - risk)) if link == "logit" else np.log(-np.log1p(-risk))
    if eta is None:
        return None
    # One step of scoring from the predictor, which need not be one of these covariates.
    row = row_derivatives(eta, data.response, link)  # type: ignore[arg-type]
    curvature = data.weights * row.expected
    try:
        bread = inverse(cross_product(matrix, curvature))
    except ModelError:
        return None
    return np.asarray(bread @ ((curvature * eta + data.weights * row.slope) @ matrix))


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
    levels, effect = _levels(data)
    within = absorb(columns, [effect], data.weights).columns
    y, x, beside = within[:, 0], within[:, 1], np.zeros((2, 0))
    if within.shape[1] > 2:
        # The exposure last: what is left of it, and of the outcome, after all else (Frisch and Waugh).
        found = least_squares(matrix=within[:, 2:], response=within[:, :2], weights=data.weights)
        y, x = np.ascontiguousarray(found.residuals.T)
        kept = [place for place, column in enumerate(found.kept) if column < data.kinds]
        beside = found.beta[kept].T
        kinds = data.nuisance[:, [found.kept[place] for place in kept]]
    weighted = data.weights * x
    length = float(weighted @ x)
    if not length > 1e-9 * rows:
        return None
    beta = float(weighted @ y) / length
    scores = RowScores((weighted * (y - beta * x))[:, None])
    parameters = within.shape[1] - 1 + levels
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

    if "cox" not in data.known:
        data.known["cox"] = _strata(data)
    sets, nuisance, kinds, before = data.known["cox"]
    if before is None:
        return None
    whole = np.column_stack([nuisance, data.exposure - data.exposure.mean()])
    weight = np.ones(len(whole))
    at = evaluate(x=whole, beta=np.append(before, 0.0), weight=weight, sets=sets)
    rows = scores(x=whole, weight=weight, sets=sets, at=at)
    effective = rows[:, -1]
    if nuisance.shape[1]:
        effective = effective - rows[:, :-1] @ (inverse(at.information[:-1, :-1]) @ at.information[:-1, -1])
    found = maximise(x=whole, weight=weight, sets=sets, scale=_scale(whole), start=at)
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


def _strata(data: Data) -> tuple[RiskSets, FloatArray, IntArray, FloatArray | None]:
    """Return risk sets, covariates, which are kinds of exposure, and their coefficients without the exposure.

    The last are None if some have no finite maximum.
    """
    from bipstudy.models.partial_likelihood import maximise
    from bipstudy.models.risk_sets import risk_sets

    assert data.stop is not None
    sets = risk_sets(start=data.start, stop=data.stop, event=data.response > 0, stratum=data.group)
    nuisance, kinds = _within_strata(data)
    if not nuisance.shape[1]:
        return sets, nuisance, kinds, np.zeros(0)
    null = maximise(x=nuisance, weight=np.ones(len(nuisance)), sets=sets, scale=_scale(nuisance))
    return sets, nuisance, kinds, None if null.monotone.any() else null.at.beta


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
        within = absorb(centred, [_levels(data)[1]]).columns
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
