"""Rotation of factor loadings by gradient projection.

References
----------
Bernaards, C. A. and Jennrich, R. I. (2005). Gradient projection algorithms and software for arbitrary rotation
criteria in factor analysis. Educational and Psychological Measurement 65, 676-696.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Rotation", "positive", "rotate"]

Floats = npt.NDArray[np.float64]
Rotation = Literal["none", "varimax", "oblimin"]


def positive(loadings: Floats) -> Floats:
    """Turn each factor so that its loadings have a positive sum."""
    signs = np.where(loadings.sum(axis=0) < 0.0, -1.0, 1.0)
    return np.asarray(loadings * signs, dtype=np.float64)


def _varimax(loadings: Floats) -> tuple[float, Floats]:
    """Varimax criterion (to be minimised) and its gradient in the loadings."""
    squares = loadings**2
    centred = squares - squares.mean(axis=0)
    return -0.25 * float((centred**2).sum()), -loadings * centred


def _quartimin(loadings: Floats) -> tuple[float, Floats]:
    """Oblimin criterion with gamma zero, and its gradient in the loadings."""
    squares = loadings**2
    others = squares.sum(axis=1, keepdims=True) - squares
    return 0.25 * float((squares * others).sum()), loadings * others


def rotate(loadings: Floats, rotation: Rotation) -> tuple[Floats, Floats]:
    """Rotate loadings by gradient projection (Bernaards and Jennrich 2005).

    Parameters
    ----------
    loadings : array, shape (p, m)
    rotation : {"none", "varimax", "oblimin"}
        Varimax without row normalisation, and direct quartimin (oblimin with gamma zero).

    Returns
    -------
    loadings : array, shape (p, m)
        Pattern, factors by falling sum of squares, each with a positive sum.
    correlation : array, shape (m, m)
        Of the factors.
    """
    m = loadings.shape[1]
    if rotation == "none" or m == 1:
        return positive(loadings), np.eye(m)
    if rotation == "varimax":
        turn = _project(loadings, _varimax, oblique=False)
        pattern, correlation = loadings @ turn, np.eye(m)
    else:
        # The orthogonal solution is a better start than none, and the same from any order of the factors.
        start = _project(loadings, _varimax, oblique=False)
        turn = _project(loadings, _quartimin, oblique=True, start=start)
        pattern, correlation = loadings @ np.linalg.inv(turn).T, turn.T @ turn
    order = np.argsort(-(pattern**2).sum(axis=0), kind="stable")
    pattern, correlation = pattern[:, order], correlation[np.ix_(order, order)]
    signs = np.where(pattern.sum(axis=0) < 0.0, -1.0, 1.0)
    return pattern * signs, correlation * np.outer(signs, signs)


def _project(
    loadings: Floats, criterion: Callable[[Floats], tuple[float, Floats]], *, oblique: bool, start: Floats | None = None
) -> Floats:
    """Minimise a rotation criterion over orthogonal matrices, or over those with columns of length one."""
    turn = np.eye(loadings.shape[1]) if start is None else start

    def at(matrix: Floats) -> tuple[float, Floats, Floats]:
        rotated = loadings @ (np.linalg.inv(matrix).T if oblique else matrix)
        value, slope = criterion(rotated)
        whole = -(rotated.T @ slope @ np.linalg.inv(matrix)).T if oblique else loadings.T @ slope
        if oblique:
            tangent = whole - matrix * (matrix * whole).sum(axis=0)
        else:
            inner = matrix.T @ whole
            tangent = whole - matrix @ (0.5 * (inner + inner.T))
        return value, whole, tangent

    step = 1.0
    value, _, tangent = at(turn)
    for _ in range(5000):
        size = float((tangent**2).sum())
        if size < 1e-22:
            break
        step *= 2.0
        for _ in range(60):
            trial = turn - step * tangent
            if oblique:
                trial = trial / np.sqrt((trial**2).sum(axis=0))
            else:
                left, _, right = np.linalg.svd(trial)
                trial = left @ right
            new, _, new_tangent = at(trial)
            if new < value - 0.5 * size * step:
                break
            step *= 0.5
        else:
            break
        turn, value, tangent = trial, new, new_tangent
    return turn
