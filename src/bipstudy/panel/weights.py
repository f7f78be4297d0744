"""Weights that stand in for those who were censored: the inverse probability of still being observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipstudy.panel.days import Bools, Floats, Ints

# No one stands for more than fifty.
SMALLEST_PROBABILITY = 0.02
# A trace of shrinkage lets a group without any censoring have an estimate.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Censoring:
    """Hazard of censoring by interval for each group of people.

    Attributes
    ----------
    hazard : ndarray of float64, shape (groups, intervals)
        Probability of being censored in an interval for those still observed at its beginning.
    step : float
        Length of an interval in days.
    """

    hazard: Floats
    step: float

    def observed(self, group: Ints, days: Ints) -> Floats:
        """Return the probability of not being censored within a number of days.

        Parameters
        ----------
        group, days : ndarray of int64, shape (n,)
            Group of each person, and days since risk began.

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        intervals = self.hazard.shape[1]
        through = np.clip(days / self.step, 0, intervals)
        whole = np.minimum(through.astype(np.int64), intervals - 1)
        logs = np.log1p(-self.hazard)
        cumulative = np.concatenate([np.zeros((len(logs), 1)), np.cumsum(logs, axis=1)], axis=1)
        result: Floats = np.exp(cumulative[group, whole] + (through - whole) * logs[group, whole])
        return result


def fit_censoring(
    *, days: Ints, censored: Bools, group: Ints, covariates: Floats, step: float, intervals: int
) -> Censoring:
    """Fit a pooled logit of being censored in an interval, on interval and covariates.

    People are counted by group and interval, so that time grows with the people and the fit with the groups alone. Who
    has an event within an interval counts half in it, as in a life table.

    Parameters
    ----------
    days : ndarray of int64, shape (n,)
        Days from the beginning of risk to event, censoring or end.
    censored : ndarray of bool, shape (n,)
        Whether that is a censoring; one at the very end of the last interval is none.
    group : ndarray of int64, shape (n,)
        Group of each person.
    covariates : ndarray of float64, shape (groups, k)
        What sets the groups apart.
    step : float
        Length of an interval in days.
    intervals : int
        How many.

    Returns
    -------
    Censoring
    """
    groups = len(covariates)
    last = np.clip(np.ceil(days / step).astype(np.int64) - 1, 0, intervals - 1)
    finished = days >= intervals * step
    cell = group * intervals + last
    size = groups * intervals
    ends = np.bincount(cell, minlength=size).reshape(groups, intervals)
    lost = np.bincount(cell[censored], minlength=size).reshape(groups, intervals).astype(np.float64)
    halves = np.bincount(cell[~censored & ~finished], minlength=size).reshape(groups, intervals)
    at_risk = np.cumsum(ends[:, ::-1], axis=1)[:, ::-1] - halves / 2
    return Censoring(_pooled_logit(lost, at_risk, covariates), step)


def _pooled_logit(events: Floats, trials: Floats, covariates: Floats) -> Floats:
    """Return fitted probabilities, shape (groups, intervals), of a logit on interval dummies and covariates."""
    groups = len(events)
    share = events.sum(axis=0) / np.maximum(trials.sum(axis=0), 1e-9)
    # An interval that takes nobody, or everybody, has no finite logit and needs none.
    fitted = np.tile(np.where(share < 1, 0.0, 1.0), (groups, 1))
    inner = np.flatnonzero((share > 0) & (share < 1))
    if len(inner):
        dummies = np.tile(np.eye(len(inner)), (groups, 1))
        design = np.concatenate([dummies, np.repeat(covariates, len(inner), axis=0)], axis=1)
        start = np.concatenate([np.log(share[inner] / (1 - share[inner])), np.zeros(covariates.shape[1])])
        penalty = np.repeat([0.0, _RIDGE], [len(inner), covariates.shape[1]])
        beta = _newton(design, events[:, inner].ravel(), trials[:, inner].ravel(), penalty, start)
        fitted[:, inner] = _expit(design @ beta).reshape(groups, len(inner))
    hazard: Floats = np.clip(fitted, 0.0, 1 - 1e-9)
    return hazard


def _newton(design: Floats, events: Floats, trials: Floats, penalty: Floats, beta: Floats) -> Floats:
    """Return the coefficients of a logit by Newton's method."""
    used = trials > 0
    design, events, trials = design[used], events[used], trials[used]
    for _ in range(50):
        p = _expit(design @ beta)
        gradient = design.T @ (events - trials * p) - penalty * beta
        information = (design * (trials * p * (1 - p))[:, None]).T @ design + np.diag(penalty + 1e-12)
        change = np.linalg.solve(information, gradient)
        # A step of more than two on the logit scale overshoots where almost everybody is censored.
        beta = beta + change / max(1.0, float(np.abs(change).max()) / 2)
        if np.abs(change).max() < 1e-8:
            break
    return beta


def _expit(x: Floats) -> Floats:
    """Return probabilities of logits."""
    probability: Floats = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return probability


def inverse(probability: Floats) -> Floats:
    """Return weights from probabilities, none above the inverse of `SMALLEST_PROBABILITY`."""
    return 1 / np.maximum(probability, SMALLEST_PROBABILITY)
