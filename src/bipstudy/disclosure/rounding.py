"""How numbers that leave are rounded: coarsely enough that no single person can be counted in or out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

__all__ = ["rounded_counts", "rounded_shares", "significant"]

# A multiple is met although the last binary digit is not.
_SLACK = 1e-9


def rounded_counts(values: FloatArray, base: int) -> FloatArray:
    """Round counts to the nearest multiple, upwards from the middle; what is negative mirrors what is positive.

    Parameters
    ----------
    values : array of shape (n,)
        NaN stays.
    base : int

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> rounded_counts(np.array([10.0, 12.0, 13.0, -28.0]), 5).tolist()
    [10.0, 10.0, 15.0, -30.0]
    """
    return np.asarray(np.sign(values) * np.floor(np.abs(values) / base + 0.5) * base + 0.0)


def rounded_shares(values: FloatArray, counts: FloatArray, base: int, end: str = "") -> FloatArray:
    """Round shares to steps of `base` people, so that a share says no more than a rounded count does.

    Parameters
    ----------
    values : array of shape (n,)
        Shares, 0 to 1.
    counts : array of shape (n,)
        People that each is a share of, not yet rounded.
    base : int
    end : {"", "low", "high"}
        Ends of intervals are rounded outwards.

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> rounded_shares(np.array([0.247]), np.array([290.0]), 5).round(4).tolist()
    [0.2414]
    """
    whole = np.maximum(rounded_counts(counts, base), base)
    steps = values * whole / base
    turn = {"low": lambda x: np.floor(x + _SLACK), "high": lambda x: np.ceil(x - _SLACK)}
    near = turn.get(end, lambda x: np.floor(x + 0.5))(steps)
    return np.asarray(np.round(np.clip(near * base / whole, 0.0, 1.0), 6))


def significant(values: FloatArray, digits: int) -> FloatArray:
    """Round to so many significant digits; NaN and infinity stay.

    Parameters
    ----------
    values : array of shape (n,)
    digits : int

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> significant(np.array([0.0123456, -1234.5, 0.0]), 3).tolist()
    [0.0123, -1230.0, 0.0]
    """
    return np.array([_significant(float(value), digits) for value in values], dtype=np.float64)


def _significant(value: float, digits: int) -> float:
    """Round one number."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
