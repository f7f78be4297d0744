"""Probabilities of transitions without drawing any, and models fitted to them.

Written apart from `bipstudy.models` on purpose: the truths that the estimators are held against must not rest on them.
"""

from __future__ import annotations

import numpy as np

from bipstudy.certification.design import Floats
from bipstudy.simulation.events import Intervention, Paths, competing_rate, pieces

__all__ = ["expected_between", "fractional_fit"]

_STEPS = 50


def expected_between(
    paths: Paths, begin: Floats, end: Floats, do: Intervention | None = None, *, competing: bool = True
) -> Floats:
    """Return the probability of a transition between two moments, given that nothing had happened by the first.

    Parameters
    ----------
    paths : Paths
        Of N participants.
    begin, end : array of shape (N,)
        In quarters since the first measurement.
    do : Intervention, optional
    competing : bool
        Whether death, retirement and permanent sickness benefit come between.

    Returns
    -------
    array of shape (N,)

    Examples
    --------
    >>> from bipstudy.simulation import scenario
    >>> from bipstudy.simulation.streams import streams
    >>> from bipstudy.simulation.study import draw
    >>> drawn = draw(scenario("tiny"), 50, streams(1))
    >>> risk = expected_between(drawn.paths, np.zeros(50), np.full(50, 4.0))
    >>> from bipstudy.simulation.events import expected_risks
    >>> bool(np.allclose(risk, expected_risks(drawn.paths, 12).any))
    True
    """
    other = competing_rate(paths.scenario, paths.cohort) if competing else np.zeros(paths.cohort.size)
    there, risk = np.ones(paths.cohort.size), np.zeros(paths.cohort.size)
    last = min(int(np.ceil(end.max(initial=0.0))), paths.changes.moment.shape[1])
    for piece in pieces(paths, last, do):
        starts = piece.quarter + piece.begins
        spent = np.clip(end - starts, 0, piece.length) - np.clip(begin - starts, 0, piece.length)
        total = piece.work + piece.study + other
        leaves = there * -np.expm1(-total * spent)
        risk += leaves * np.divide(piece.work + piece.study, total, out=np.zeros(len(total)), where=total > 0)
        there = there - leaves
    return risk


def fractional_fit(matrix: Floats, response: Floats, link: str = "logit") -> Floats:
    """Return the coefficients of a model for probabilities, by iterated weighted least squares.

    Parameters
    ----------
    matrix : array of shape (rows, columns)
        The constant included.
    response : array of shape (rows,)
        Probabilities, 0 and 1 among them.
    link : {"logit", "cloglog"}

    Returns
    -------
    array of shape (columns,)

    Raises
    ------
    ValueError
        If it does not converge.

    Examples
    --------
    >>> fractional_fit(np.ones((3, 1)), np.array([0.2, 0.5, 0.8])).round(6).tolist()
    [0.0]
    """
    mean = float(response.mean())
    start = np.log(mean / (1 - mean)) if link == "logit" else np.log(-np.log1p(-mean))
    # Columns that say nothing beyond those before them get no coefficient.
    slopes = np.zeros(matrix.shape[1])
    slopes[int(np.argmax(np.ptp(matrix, axis=0) == 0))] = start
    for _ in range(_STEPS):
        eta = np.clip(matrix @ slopes, -30, 5)
        if link == "logit":
            risk = 1 / (1 + np.exp(-eta))
            slope = risk * (1 - risk)
        else:
            risk = -np.expm1(-np.exp(eta))
            slope = np.exp(eta - np.exp(eta))
        weight = slope**2 / np.maximum(risk * (1 - risk), 1e-12)
        score = matrix.T @ ((response - risk) * weight / np.maximum(slope, 1e-12))
        step = np.linalg.lstsq((matrix * weight[:, None]).T @ matrix, score, rcond=1e-12)[0]
        slopes = slopes + step
        if float(np.abs(step).max()) < 1e-9:
            return slopes
    raise ValueError("the model of expected risks did not converge")
