"""Binary likelihoods whose maximum may lie at infinity, or whose terms may be collinear.

A maximum at infinity has a finite part: along the direction some rows reach probability 0 or 1 and drop out, and the
other rows determine the rest (Albert and Anderson 1984; Correia, Guimaraes and Zylkin 2019). The direction is kept, so
that predictions are right for every row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.binary import CollinearError, fit_binary
from bipstudy.models.covariance import ModelError, one_thread
from bipstudy.models.links import Link
from bipstudy.models.readings import Information
from bipstudy.models.solving import cross_product, independent_columns, inverse, offsets, shift_matrix

__all__ = ["BinarySolution", "limit_eta", "solve_binary"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

# Movement along a direction below this share of the largest is rounding.
STILL = 1e-2


@dataclass(frozen=True)
class BinarySolution:
    """Estimates with what had to be left out.

    Attributes
    ----------
    kept : list of int, length k
        Columns of the matrix that are not collinear with those before them; what follows is about them.
    beta : array of shape (k,)
        The finite part; zero for columns that only appear in `directions`.
    covariance : array of shape (k, k)
        Inverse information; zero rows and columns for the same.
    matrix : array of shape (n, k)
        Columns that the scores belong to: those kept, means taken out where they lie far from zero.
    bread : array of shape (k, k)
        What turns scores into estimates: ``covariance``, times the change from centred to given columns.
    slope : array of shape (n,)
        Row i of the score is ``slope[i] * matrix[i]``; zero for rows without information.
    eta : array of shape (n,)
        Linear predictor, infinite where the probability is 0 or 1.
    log_likelihood : float
    directions : array of shape (m, k)
        Directions to infinity, the first that moves a row decides; m is 0 if the maximum is finite.
    uninformative : int
        Rows without information.
    change : array of shape (k, k) or None
        What turns coefficients of `matrix` into those of the given columns; None if they are the same.
    """

    kept: list[int]
    beta: FloatArray
    covariance: FloatArray
    matrix: FloatArray
    bread: FloatArray
    slope: FloatArray
    eta: FloatArray
    log_likelihood: float
    directions: FloatArray
    uninformative: int
    change: FloatArray | None = None


def limit_eta(matrix: FloatArray, beta: FloatArray, directions: FloatArray) -> FloatArray:
    """Linear predictor of rows when the maximum may lie at infinity, shape (n,)."""
    eta = matrix @ beta
    settled = np.zeros(len(matrix), dtype=bool)
    for direction in directions:
        movement = matrix @ direction
        moved = ~settled & (np.abs(movement) > STILL * np.abs(direction).max())
        eta[moved] = np.inf * np.sign(movement[moved])
        settled |= moved
    return np.asarray(eta)


def solve_binary(
    *,
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None = None,
    link: Link = "cloglog",
    intercept: int | None = None,
    information: Information = "expected",
) -> BinarySolution:
    """Maximise a binary likelihood, leaving out collinear columns and following the maximum to infinity.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
    response : array of shape (n,)
        Zero or one, both present.
    weights : array of shape (n,), optional
    link : {"cloglog", "logit"}
    intercept : int, optional
        Position of the intercept, which lets columns far from zero be centred.
    information : {"expected", "observed"}

    Returns
    -------
    BinarySolution

    Raises
    ------
    ModelError
        If the events are separated completely, or the iterations do not converge.
    """
    means = offsets(matrix[:: max(len(matrix) // 4_000, 1)], intercept)
    working = matrix if means is None else matrix - means
    kept = list(range(matrix.shape[1]))
    while True:
        try:
            with one_thread():
                result = _follow(working, response, weights, link, information)
            break
        except CollinearError as error:
            kept = [kept[place] for place in error.kept]
            working = np.ascontiguousarray(working[:, error.kept])
    if means is None or intercept is None:
        return replace(result, kept=kept)
    transform = shift_matrix(means[kept], kept.index(intercept))
    return replace(
        result,
        kept=kept,
        beta=transform @ result.beta,
        covariance=transform @ result.covariance @ transform.T,
        bread=transform @ result.bread,
        change=transform,
        directions=result.directions @ transform.T,
    )


def _follow(
    matrix: FloatArray, response: FloatArray, weights: FloatArray | None, link: Link, information: Information
) -> BinarySolution:
    """Maximise; while the maximum lies at infinity, take out the rows it settles and go on with the rest."""
    rows, k = matrix.shape
    active = np.ones(rows, dtype=bool)
    columns = np.ones(k, dtype=bool)
    directions: list[FloatArray] = []
    fit = None
    while fit is None:
        whole = bool(active.all())
        part, outcome = (matrix, response) if whole else (matrix[active], response[active])
        direction = _plain_direction(part, outcome, columns)
        if direction is None:
            weight = weights if weights is None or whole else weights[active]
            sub = part if columns.all() else np.ascontiguousarray(part[:, columns])
            try:
                fit = fit_binary(matrix=sub, response=outcome, weights=weight, link=link, information=information)
            except CollinearError as error:
                if whole:
                    raise
                columns[np.setdiff1d(np.flatnonzero(columns), np.flatnonzero(columns)[error.kept])] = False
                continue
            if fit.direction is None:
                break
            direction = np.zeros(k)
            direction[columns] = fit.direction
            fit = None
        if whole:
            # What is collinear on all rows is left out for good, before rows are taken away.
            independent = independent_columns(cross_product(matrix))
            if len(independent) < k:
                raise CollinearError(independent)
        movement = matrix @ direction
        active &= np.abs(movement) <= STILL * np.abs(movement[active]).max()
        directions.append(direction)
        if not active.any() or response[active].min() == response[active].max():
            raise ModelError("the terms separate the rows with the event from those without it completely")
    beta, bread, slope, eta = np.zeros(k), np.zeros((k, k)), np.zeros(rows), np.zeros(rows)
    beta[columns] = fit.beta
    bread[np.ix_(columns, columns)] = inverse(fit.information)
    slope[active] = fit.slope
    stack = np.array(directions).reshape(len(directions), k)
    eta = limit_eta(matrix, beta, stack) if directions else fit.eta
    return BinarySolution(
        kept=list(range(k)),
        beta=beta,
        covariance=bread,
        matrix=matrix,
        bread=bread,
        slope=slope,
        eta=eta,
        log_likelihood=fit.log_likelihood,
        directions=stack,
        uninformative=rows - int(active.sum()),
    )


def _some(rows: BoolArray) -> npt.NDArray[np.int64]:
    """Positions of some of the rows, evenly spread."""
    places = np.flatnonzero(rows)
    return places[:: max(len(places) // 200, 1)]


def _plain_direction(matrix: FloatArray, response: FloatArray, columns: BoolArray) -> FloatArray | None:
    """Direction of the first column that is never negative, and zero in all events or in all other rows; else None.

    Levels without events are the usual case; to see them beforehand saves some twenty iterations.
    """
    # A few rows from everywhere rule out nearly every column; only the rest is looked at in full.
    events = response > 0.0
    few = _some(events)
    for column in np.flatnonzero(columns & ~matrix[few].any(axis=0)):
        values = np.ascontiguousarray(matrix[:, column])
        if values.any() and values.min() >= 0.0 and not values[events].any():
            direction = np.zeros(matrix.shape[1])
            direction[column] = -1.0
            return direction
    others = response <= 0.0
    few = _some(others)
    for column in np.flatnonzero(columns & ~matrix[few].any(axis=0)):
        values = np.ascontiguousarray(matrix[:, column])
        if values.any() and values.min() >= 0.0 and not values[others].any():
            direction = np.zeros(matrix.shape[1])
            direction[column] = 1.0
            return direction
    return None
