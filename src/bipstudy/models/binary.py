r"""Maximum likelihood for a binary response with logit or complementary log-log link, on arrays.

With :math:`\eta_i = x_i'\beta`, hazard :math:`h_i = 1 - \exp(-e^{\eta_i})` (cloglog) or
:math:`1/(1+e^{-\eta_i})` (logit), the weighted log-likelihood is
:math:`\sum_i w_i [y_i \log h_i + (1-y_i)\log(1-h_i)]`. Newton's method on the observed information, which is positive
definite for both links, with step-halving. Rows are read in blocks that fit the cache, so that one pass gives
likelihood, gradient and information and no second matrix is ever made.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError
from bipstudy.models.links import Link, row_derivatives
from bipstudy.models.solving import BLOCK, independent_columns, inverse

__all__ = ["BinaryFit", "CollinearError", "climb", "fit_binary"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
Information = Literal["expected", "observed"]

# Squared length of the next step, in standard errors, at which it is the last: 1e-9 standard errors, which the
# information does not notice.
CONVERGED = 1e-18
# The same at which a pass is worth keeping: Newton's method squares it, so the next pass is usually the last.
NEAR = 1e-4
MAX_ITERATIONS = 80
# From this number of rows on, every sixteenth row gives the starting values: three full passes are saved for one
# sixteenth of each.
WARM_START_ROWS = 100_000
# Newton needs fewer passes than this unless a term runs away.
WARM_START_PASSES = 12
# Rows that one thread reads at a time: many blocks, so that handing them out costs nothing.
PIECE = 65_536


class CollinearError(ModelError):
    """Some columns are combinations of columns before them; `kept` has the positions of the others."""

    def __init__(self, kept: list[int]) -> None:
        super().__init__("some terms are combinations of the others")
        self.kept = kept


@dataclass(frozen=True)
class BinaryFit:
    """Maximum of the likelihood.

    Attributes
    ----------
    beta : array of shape (k,)
    information : array of shape (k, k)
        Expected or observed, as asked.
    slope : array of shape (n,)
        Weight times derivative of the log-likelihood by the linear predictor: row i of the score is slope[i] x[i].
    eta : array of shape (n,)
        Linear predictor.
    log_likelihood : float
    iterations : int
        Passes over all rows.
    direction : array of shape (k,) or None
        Not None if the maximum lies at infinity: the direction in which it lies, other elements exactly zero.
    """

    beta: FloatArray
    information: FloatArray
    slope: FloatArray
    eta: FloatArray
    log_likelihood: float
    iterations: int
    direction: FloatArray | None = None


@dataclass(frozen=True)
class _Pass:
    """One pass over the rows."""

    value: float
    gradient: FloatArray
    information: FloatArray
    slope: FloatArray | None = None
    eta: FloatArray | None = None


def _read(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    beta: FloatArray,
    link: Link,
    information: Information,
    *,
    keep: bool = False,
) -> _Pass:
    """Likelihood, gradient and information at `beta`, block by block; with `keep`, also what each row adds."""
    rows = len(matrix)
    kept = (np.empty(rows), np.empty(rows)) if keep else None

    def read(start: int, stop: int) -> _Pass:
        part = slice(start, stop)
        return _read_rows(
            matrix[part],
            response[part],
            None if weights is None else weights[part],
            beta,
            link,
            information,
            None if kept is None else (kept[0][part], kept[1][part]),
        )

    # The same pieces are added in the same order, however many threads read them.
    pieces = [(start, min(start + PIECE, rows)) for start in range(0, rows, PIECE)] or [(0, 0)]
    if len(pieces) == 1:
        found = [read(*pieces[0])]
    else:
        with ThreadPoolExecutor(max_workers=min(len(pieces), os.cpu_count() or 1)) as pool:
            found = list(pool.map(lambda piece: read(*piece), pieces))
    value, gradient, total = found[0].value, found[0].gradient, found[0].information
    for piece in found[1:]:
        value, gradient, total = value + piece.value, gradient + piece.gradient, total + piece.information
    return _Pass(value, gradient, total, *(kept or (None, None)))


def _read_rows(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    beta: FloatArray,
    link: Link,
    information: Information,
    kept: tuple[FloatArray, FloatArray] | None,
) -> _Pass:
    """Likelihood, gradient and information of some rows; fills slopes and linear predictors where they are kept."""
    rows, k = matrix.shape
    value, gradient, total = 0.0, np.zeros(k), np.zeros((k, k))
    buffer = np.empty((min(BLOCK, rows), k))
    for start in range(0, rows, BLOCK):
        stop = start + BLOCK
        part = matrix[start:stop]
        eta = part @ beta
        row = row_derivatives(eta, response[start:stop], link)
        curvature = row.expected if information == "expected" else row.observed
        slope = row.slope
        if weights is None:
            value += float(row.value.sum())
        else:
            weight = weights[start:stop]
            value += float(weight @ row.value)
            slope, curvature = slope * weight, curvature * weight
        gradient += slope @ part
        scaled = buffer[: len(part)]
        # Faster than a product with broadcasting, and the same numbers.
        np.einsum("ij,i->ij", part, np.sqrt(curvature), out=scaled)
        total += scaled.T @ scaled
        if kept is not None:
            kept[0][start:stop], kept[1][start:stop] = slope, eta
    return _Pass(value, gradient, total)


def fit_binary(
    *,
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None = None,
    link: Link = "cloglog",
    start: FloatArray | None = None,
    information: Information = "expected",
) -> BinaryFit:
    """Maximise the likelihood of a binary response.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
        Columns must not be collinear.
    response : array of shape (n,)
        Zero or one.
    weights : array of shape (n,), optional
        Case weights.
    link : {"cloglog", "logit"}
    start : array of shape (k,), optional
        Starting values.
    information : {"expected", "observed"}
        Which information to return; the two differ for the complementary log-log link.

    Returns
    -------
    BinaryFit
        With `direction` set if the likelihood has no finite maximum.

    Raises
    ------
    CollinearError
        If columns are collinear.
    ModelError
        If the iterations do not converge.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones((4, 1))
    >>> fit = fit_binary(matrix=x, response=np.array([1.0, 0.0, 0.0, 0.0]), link="logit")
    >>> round(fit.beta.item(), 6)
    -1.098612
    """
    if start is None and len(matrix) >= WARM_START_ROWS:
        start = _warm_start(matrix, response, weights, link)
        if start is not None:
            try:
                return _maximise(matrix, response, weights, link, start, information)
            except CollinearError:
                raise
            except ModelError:
                # Some of the thinned rows misled; from the constant start nothing does.
                start = None
    return _maximise(matrix, response, weights, link, start, information)


def _maximise(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    link: Link,
    start: FloatArray | None,
    information: Information,
) -> BinaryFit:
    """Newton's method from a start, that of the constant if there is none."""
    beta = _constant_start(matrix, response, weights, link) if start is None else start
    now = _read(matrix, response, weights, beta, link, "observed")
    kept = independent_columns(now.information)
    if len(kept) < matrix.shape[1]:
        raise CollinearError(kept)
    passes, before = 1, np.inf
    for _ in range(MAX_ITERATIONS):
        step, decrement = _newton_step(now)
        # Rounding can keep a step of extreme columns from falling further; small as it is, it is then the last.
        if now.slope is not None and (decrement < CONVERGED or before > decrement > 0.5 * before):
            return _polish(matrix, response, weights, link, beta + step, now, passes)
        direction = _infinite_direction(matrix, response, step, decrement)
        if direction is not None:
            last = _read(matrix, response, weights, beta, link, information, keep=True)
            return _finish(beta, last, passes + 1, direction)
        # Near the maximum the pass keeps what the result needs, so that no further pass is made for it.
        near = decrement < NEAR
        beta, now, used = _advance(matrix, response, weights, link, beta, now, step, information if near else None)
        passes += used
        before = decrement if near else np.inf
    raise ModelError("the likelihood could not be maximised; look for terms that almost separate the events")


def _finish(beta: FloatArray, last: _Pass, passes: int, direction: FloatArray | None) -> BinaryFit:
    """Make the result from the last pass."""
    assert last.slope is not None
    assert last.eta is not None
    return BinaryFit(beta, last.information, last.slope, last.eta, last.value, passes, direction)


def climb(
    *, matrix: FloatArray, response: FloatArray, weights: FloatArray | None, link: Link, start: FloatArray
) -> FloatArray | None:
    """Maximum of the likelihood from a start nearby, and nothing else; None if there is none or it is not found.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
    response : array of shape (n,)
    weights : array of shape (n,) or None
    link : {"cloglog", "logit"}
    start : array of shape (k,)

    Returns
    -------
    array of shape (k,) or None
        Within 1e-8 standard errors of the maximum.
    """
    if not response.any() or response.all():
        return None
    beta = start
    for _ in range(12):
        try:
            step, decrement = _newton_step(_read(matrix, response, weights, beta, link, "observed"))
        except ModelError:
            return None
        # A far step from a good start is a sign of separation, which has its own way.
        if not np.isfinite(decrement) or decrement > 1e3 * len(beta):
            return None
        beta = beta + step
        # Newton's method squares what is left.
        if decrement < 1e-8:
            return beta
    return None


def _polish(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    link: Link,
    beta: FloatArray,
    now: _Pass,
    passes: int,
) -> BinaryFit:
    """Take a last small step: scores and likelihood at the new place, information of the place before."""
    eta = matrix @ beta
    row = row_derivatives(eta, response, link)
    slope = row.slope if weights is None else row.slope * weights
    value = float(row.value.sum() if weights is None else weights @ row.value)
    return BinaryFit(beta, now.information, slope, eta, value, passes)


def _constant_start(matrix: FloatArray, response: FloatArray, weights: FloatArray | None, link: Link) -> FloatArray:
    """Zero, but for an intercept in the first column, which is that of the mean response."""
    beta = np.zeros(matrix.shape[1])
    mean = float(np.average(response, weights=weights))
    if matrix.shape[1] and 0.0 < mean < 1.0 and np.all(matrix[:, 0] == 1.0):
        beta[0] = np.log(mean / (1.0 - mean)) if link == "logit" else np.log(-np.log1p(-mean))
    return beta


def _warm_start(matrix: FloatArray, response: FloatArray, weights: FloatArray | None, link: Link) -> FloatArray | None:
    """Maximum over every sixteenth row; None if those rows do not have one."""
    part = slice(None, None, 16)
    thin = np.ascontiguousarray(matrix[part])
    kept = independent_columns(thin.T @ thin)
    beta = np.zeros(matrix.shape[1])
    try:
        fit = fit_binary(
            matrix=np.ascontiguousarray(thin[:, kept]) if len(kept) < len(beta) else thin,
            response=response[part],
            weights=None if weights is None else weights[part],
            link=link,
        )
    except ModelError:
        return None
    beta[kept] = fit.beta
    # A term that separates the events among these rows creeps away without end: its value says nothing of all rows.
    return beta if fit.direction is None and fit.iterations <= WARM_START_PASSES else None


def _newton_step(now: _Pass) -> tuple[FloatArray, float]:
    """Newton step and its squared length in standard errors."""
    step = inverse(now.information) @ now.gradient
    return step, float(step @ now.gradient)


def _advance(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    link: Link,
    beta: FloatArray,
    now: _Pass,
    step: FloatArray,
    last: Information | None,
) -> tuple[FloatArray, _Pass, int]:
    """Take the step, halved until the likelihood does not fall; `last` names the information of a pass to keep."""
    # The likelihood itself is rounded: a fall below that is none.
    slack = 1e-12 * (1.0 + abs(now.value))
    for tries in range(1, 40):
        candidate = beta + step
        after = _read(matrix, response, weights, candidate, link, last or "observed", keep=last is not None)
        if np.isfinite(after.value) and after.value >= now.value - slack:
            return candidate, after, tries
        step = 0.5 * step
    raise ModelError("the likelihood could not be increased; look for terms of extreme size")


def _infinite_direction(
    matrix: FloatArray, response: FloatArray, step: FloatArray, decrement: float
) -> FloatArray | None:
    """Direction along which the likelihood rises for ever, or None.

    Under separation the steps keep their size while they are worth ever less; the proof is that along the direction no
    event row falls and no other row rises.
    """
    if decrement > 1e-4:
        return None
    some = matrix[:: max(len(matrix) // 4096, 1)]
    reach = np.abs(step) * np.sqrt(np.einsum("ij,ij->j", some, some) / len(some))
    if reach.max() < 1e-1:
        return None
    direction = np.where(reach > 1e-2 * reach.max(), step, 0.0)
    movement = matrix @ direction
    signed = np.where(response > 0.0, movement, -movement)
    tolerance = 1e-2 * np.abs(movement).max()
    return direction if signed.min() >= -tolerance and signed.max() > tolerance else None
