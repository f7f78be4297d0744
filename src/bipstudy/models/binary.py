r"""Maximum likelihood for a binary response with logit or complementary log-log link, on arrays.

With :math:`\eta_i = x_i'\beta`, hazard :math:`h_i = 1 - \exp(-e^{\eta_i})` (cloglog) or
:math:`1/(1+e^{-\eta_i})` (logit), the weighted log-likelihood is
:math:`\sum_i w_i [y_i \log h_i + (1-y_i)\log(1-h_i)]`. Newton's method on the observed information, which is positive
definite for both links, with step-halving. Near the maximum the information hardly changes: there the last one is
kept, and rows are read for the gradient alone until one reading at the end gives everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError
from bipstudy.models.links import Link
from bipstudy.models.readings import Information, Levels, Reading, find_levels, read
from bipstudy.models.solving import independent_columns, inverse

__all__ = ["BinaryFit", "CollinearError", "climb", "fit_binary"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

# Squared length of the step after the next, in standard errors, at which the next is the last: 1e-9 standard errors,
# which the information does not notice.
CONVERGED = 1e-18
# The same from which the information may be kept, when the step before was this much longer.
NEAR = 1e-4
FALLS = 1e-2
MAX_ITERATIONS = 80
# From this number of rows on, every sixteenth row gives the starting values: three full passes are saved for one
# sixteenth of each.
WARM_START_ROWS = 100_000
# Newton needs fewer passes than this unless a term runs away.
WARM_START_PASSES = 12


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
    large = len(matrix) >= WARM_START_ROWS
    levels = find_levels(matrix) if large else None
    if start is None and large:
        start = _warm_start(matrix, response, weights, link, levels)
        if start is not None:
            try:
                return _maximise(matrix, response, weights, link, start, information, levels)
            except CollinearError:
                raise
            except ModelError:
                # Some of the thinned rows misled; from the constant start nothing does.
                start = None
    return _maximise(matrix, response, weights, link, start, information, levels)


def _maximise(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    link: Link,
    start: FloatArray | None,
    information: Information,
    levels: Levels | None,
) -> BinaryFit:
    """Newton's method from a start, that of the constant if there is none."""
    beta = _constant_start(matrix, response, weights, link) if start is None else start
    now = read(matrix, response, weights, beta, link, "observed", levels=levels)
    assert now.information is not None
    kept = independent_columns(now.information)
    if len(kept) < matrix.shape[1]:
        raise CollinearError(kept)
    bread, passes, before = inverse(now.information), 1, 1.0
    for _ in range(MAX_ITERATIONS):
        step = bread @ now.gradient
        decrement = float(step @ now.gradient)
        # Rounding can keep a step of extreme columns from falling further; small as it is, it is then the last.
        stalled = NEAR > before > decrement > 0.5 * before
        direction = None
        if not (_ends(decrement, before) or stalled):
            direction = _infinite_direction(matrix, response, step, decrement)
        if _ends(decrement, before) or stalled or direction is not None:
            beta = beta + step if direction is None else beta
            last = read(matrix, response, weights, beta, link, information, levels=levels, keep=True)
            return _finish(beta, last, passes + 1, direction)
        light = decrement < NEAR and decrement < FALLS * before
        beta, now, used = _advance(matrix, response, weights, link, beta, now, step, levels, light)
        bread = bread if now.information is None else inverse(now.information)
        passes += used
        before = decrement
    raise ModelError("the likelihood could not be maximised; look for terms that almost separate the events")


def _ends(decrement: float, before: float, small: float = CONVERGED) -> bool:
    """Whether the step after this one would be too small to matter: each is to this as this is to the one before."""
    return decrement < small or (decrement < NEAR and 10.0 * decrement * (decrement / before) < small)


def _finish(beta: FloatArray, last: Reading, passes: int, direction: FloatArray | None) -> BinaryFit:
    """Make the result from the last reading."""
    assert last.information is not None
    assert last.slope is not None
    assert last.eta is not None
    return BinaryFit(beta, last.information, last.slope, last.eta, last.value, passes, direction)


def climb(
    *,
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    link: Link,
    start: FloatArray,
    levels: Levels | None = None,
) -> FloatArray | None:
    """Maximum of the likelihood from a start nearby, and nothing else; None if there is none or it is not found.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
    response : array of shape (n,)
    weights : array of shape (n,) or None
    link : {"cloglog", "logit"}
    start : array of shape (k,)
    levels : Levels, optional
        Indicator columns of the matrix.

    Returns
    -------
    array of shape (k,) or None
        Within 1e-8 standard errors of the maximum.
    """
    if not response.any() or response.all():
        return None
    beta, before, light, bread = start, 1.0, False, np.zeros((0, 0))
    for _ in range(20):
        now = read(matrix, response, weights, beta, link, None if light else "observed", levels=levels)
        try:
            bread = bread if now.information is None else inverse(now.information)
        except ModelError:
            return None
        step = bread @ now.gradient
        decrement = float(step @ now.gradient)
        # A far step from a good start is a sign of separation, which has its own way.
        if not np.isfinite(decrement) or decrement > 1e3 * len(beta):
            return None
        beta = beta + step
        if _ends(decrement, before, 1e-16):
            return beta
        light = decrement < FALLS * min(before, 1.0)
        before = decrement
    return None


def _constant_start(matrix: FloatArray, response: FloatArray, weights: FloatArray | None, link: Link) -> FloatArray:
    """Zero, but for an intercept in the first column, which is that of the mean response."""
    beta = np.zeros(matrix.shape[1])
    mean = float(np.average(response, weights=weights))
    if matrix.shape[1] and 0.0 < mean < 1.0 and np.all(matrix[:, 0] == 1.0):
        beta[0] = np.log(mean / (1.0 - mean)) if link == "logit" else np.log(-np.log1p(-mean))
    return beta


def _warm_start(
    matrix: FloatArray, response: FloatArray, weights: FloatArray | None, link: Link, levels: Levels | None
) -> FloatArray | None:
    """Maximum over every sixteenth row; None if those rows do not have one."""
    part = slice(None, None, 16)
    thin = np.ascontiguousarray(matrix[part])
    thinned = np.ascontiguousarray(response[part])
    weight = None if weights is None else np.ascontiguousarray(weights[part])
    some = None if levels is None else levels.take(part)
    try:
        fit = _maximise(thin, thinned, weight, link, None, "observed", some)
    except CollinearError as error:
        # Some level does not occur among these rows; its term starts from nought.
        thin = np.ascontiguousarray(thin[:, error.kept])
        try:
            fit = _maximise(thin, thinned, weight, link, None, "observed", None)
        except ModelError:
            return None
        kept = error.kept
    except ModelError:
        return None
    else:
        kept = list(range(matrix.shape[1]))
    beta = np.zeros(matrix.shape[1])
    beta[kept] = fit.beta
    # A term that separates the events among these rows creeps away without end: its value says nothing of all rows.
    return beta if fit.direction is None and fit.iterations <= WARM_START_PASSES else None


def _advance(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    link: Link,
    beta: FloatArray,
    now: Reading,
    step: FloatArray,
    levels: Levels | None,
    light: bool,
) -> tuple[FloatArray, Reading, int]:
    """Take the step, halved until the likelihood does not fall; a light reading gives no information."""
    # The likelihood itself is rounded: a fall below that is none.
    slack = 1e-12 * (1.0 + abs(now.value))
    for tries in range(1, 40):
        candidate = beta + step
        after = read(matrix, response, weights, candidate, link, None if light else "observed", levels=levels)
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
