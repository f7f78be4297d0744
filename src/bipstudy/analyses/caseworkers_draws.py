"""Resamples of whole caseworkers: their true spread, and the halves that are formed by their own result."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import resampling
from bipstudy.analyses.common import CLUSTER

Floats = npt.NDArray[np.float64]
# Ratios of variances at which the criterion is looked at, between the first and the last of these, and nought.
_RATIOS = (1e-3, 1e3)
_POINTS = 600


def of_spread(effects: Any, frame: pd.DataFrame) -> resampling.Resample | None:
    """Return what resamples the standard deviation of true effects.

    In each resample the restricted likelihood is maximised anew over both variances. The coefficients of the background
    and what their estimation takes off the likelihood stay as they are: that they vary moves the variances by terms of
    second order only.

    Parameters
    ----------
    effects : CaseworkerEffects
    frame : DataFrame
        The rows it is of, with ``weighted`` and ``cluster_caseworker``.
    """
    fit = effects.fit
    if not resampling.wanted() or fit.moments is None or len(frame) != fit.source.used:
        return None
    residual = frame["weighted"].to_numpy(dtype=np.float64) - np.asarray(fit.design.matrix(frame)) @ fit.estimates
    labels, codes = np.unique(frame[CLUSTER].to_numpy(dtype=object).astype(str), return_inverse=True)
    size = np.bincount(codes).astype(np.float64)
    mean = np.bincount(codes, weights=residual) / size
    within = np.bincount(codes, weights=(residual - mean[codes]) ** 2).astype(np.float64)
    return resampling.of_draws(lambda draws: _spreads(fit, size, mean, within, draws), labels.tolist())


def _spreads(fit: Any, size: Floats, mean: Floats, within: Floats, draws: Floats) -> Floats:
    """Return the standard deviation of true effects in each resample; `size`, `mean`, `within` by caseworker."""
    from bipstudy.models.mixed_linear import profile

    parameters = len(fit.estimates)
    middle = fit.numbers.ratio if fit.numbers.ratio > 0 else 1.0 / float(np.median(size))
    grid = np.concatenate([[0.0], middle * np.geomspace(*_RATIOS, _POINTS)])
    # What the estimation of the coefficients takes off, as in the fit: its part of the slope, by the ratio.
    taken = np.array([_taken(profile(fit.moments, float(ratio)), fit.moments, float(ratio)) for ratio in grid])
    scale = 1.0 + np.outer(size, grid)
    weight = size[:, None] / scale
    free = (draws @ size - parameters)[:, None]
    squares = draws @ (within[:, None] + weight * mean[:, None] ** 2)
    slope = draws @ weight - free * (draws @ (weight**2 * mean[:, None] ** 2)) / squares - taken
    steps = np.diff(grid)
    # The criterion itself, by its slope: the profile may have two minima.
    criterion = np.cumsum(np.column_stack([np.zeros(len(draws)), 0.5 * (slope[:, 1:] + slope[:, :-1]) * steps]), axis=1)
    best = np.argmin(criterion, axis=1)
    rows = np.arange(len(draws))
    low = np.where(slope[rows, best] < 0, best, best - 1)
    high = np.minimum(low + 1, len(grid) - 1)
    low = np.maximum(low, 0)
    at_low, at_high = slope[rows, low], slope[rows, high]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip(at_low / (at_low - at_high), 0.0, 1.0)
    ratio = np.where(best == 0, np.where(slope[:, 0] < 0, grid[0] + part * steps[0], 0.0), 0.0)
    ratio = np.where(best > 0, grid[low] + np.nan_to_num(part) * (grid[high] - grid[low]), ratio)
    residual = np.array([np.interp(each, grid, own) for each, own in zip(ratio, squares, strict=True)]) / free[:, 0]
    return np.asarray(np.sqrt(ratio * residual), dtype=np.float64)


def _taken(point: Any, moments: Any, ratio: float) -> float:
    """Return the slope that the restricted likelihood adds to the full one for estimated coefficients."""
    weight = moments.block_mass / (1.0 + ratio * moments.block_mass)
    curve = moments.between(weight * weight)
    return float((point.inverse * curve[:-1, :-1]).sum())


def of_halves(frame: pd.DataFrame, fewest: int) -> list[resampling.Resample | None]:
    """Return what resamples the share of the upper and of the lower half of caseworkers, sorted anew in each.

    Parameters
    ----------
    frame : DataFrame
        With ``y, ipcw, cluster_caseworker``.
    fewest : int
        Caseworkers with fewer participants are left out.
    """
    if not resampling.wanted() or not len(frame):
        return [None, None]
    labels, codes = np.unique(frame[CLUSTER].to_numpy(dtype=object).astype(str), return_inverse=True)
    kept = np.bincount(codes) >= fewest
    weight = frame["ipcw"].to_numpy(dtype=np.float64)
    size = np.bincount(codes, weights=weight)[kept].astype(np.float64)
    total = np.bincount(codes, weights=weight * frame["y"].to_numpy(dtype=np.float64))[kept].astype(np.float64)
    names = labels[kept].tolist()
    return [
        resampling.of_draws(lambda draws, place=place: _halves(size, total, draws)[:, place], names)  # type: ignore[misc]
        for place in (0, 1)
    ]


def _halves(size: Floats, total: Floats, draws: Floats) -> Floats:
    """Return the shares of both halves in each resample, shape (replications, 2)."""
    from bipstudy.models.halves import sorted_halves

    found = np.full((len(draws), 2), np.nan)
    for row, counts in enumerate(draws.astype(np.int64)):
        halves = sorted_halves(total=np.repeat(total, counts), size=np.repeat(size, counts))
        found[row] = halves.upper, halves.lower
    return found
