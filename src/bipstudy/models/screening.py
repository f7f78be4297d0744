r"""Many binary regressions that differ in a column or two: standardised risk differences and their influences.

The numbers are those of `bipstudy.models.discrete_hazard` and `bipstudy.models.standardised_risk` with a logit link,
censoring weights and errors clustered one way; what is left out is what makes one fit comfortable and eighty slow. Each
result keeps what every cluster adds to it, so that results share their bootstrap draws and their correlation is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError
from bipstudy.models.separation import limit_eta, solve_binary

__all__ = ["LogitScreen", "StepRisk", "fit_screen"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StepRisk:
    """Standardised risks at several settings, and the last less the first.

    Attributes
    ----------
    risks : array of shape (m,)
    estimate, std_error : float
    influence : array of shape (groups,)
        What each cluster adds to `estimate`; zero for clusters without rows.
    rows, events, clusters : int
        Of the regression; clusters of the rows standardised over.
    """

    risks: FloatArray
    estimate: float
    std_error: float
    influence: FloatArray
    rows: int
    events: int
    clusters: int


@dataclass(frozen=True)
class LogitScreen:
    """A weighted logit with the influence of each cluster on its coefficients.

    Attributes
    ----------
    kept : list of int, length k
        Columns of the matrix that are no combination of those before them.
    beta : array of shape (k,)
    directions : array of shape (m, k)
        Directions to infinity.
    influence : array of shape (groups, k)
    rows, events : int
    """

    kept: list[int]
    beta: FloatArray
    directions: FloatArray
    influence: FloatArray
    rows: int
    events: int

    def has(self, column: int) -> bool:
        """Say whether a column has a finite coefficient."""
        if column not in self.kept:
            return False
        return not self.directions[:, self.kept.index(column)].any()

    def step(
        self,
        matrix: FloatArray,
        codes: IntArray,
        columns: list[int],
        values: FloatArray,
        weights: FloatArray | None = None,
    ) -> StepRisk:
        """Standardise over rows with some columns set.

        Parameters
        ----------
        matrix : array of shape (n, all columns)
            Rows to standardise over.
        codes : integer array of shape (n,)
            Their clusters.
        columns : list of int, length c
        values : array of shape (m, c)
            Settings; the first is the reference.
        weights : array of shape (n,), optional
            Of the rows, above 0; all alike if left out.

        Returns
        -------
        StepRisk
        """
        from scipy.special import expit

        groups = len(self.influence)
        individual, gradient = [], []
        weight = np.ones(len(matrix)) if weights is None else weights / weights.mean()
        for setting in values:
            rows = matrix.copy()
            rows[:, columns] = setting
            rows = rows[:, self.kept]
            risk = expit(np.minimum(limit_eta(rows, self.beta, self.directions), 30.0))
            individual.append(risk)
            gradient.append((weight * risk * (1.0 - risk)) @ rows / len(rows))
        moved = individual[-1] - individual[0]
        estimate = float((weight * moved).mean())
        influence = self.influence @ (gradient[-1] - gradient[0])
        influence = influence + np.bincount(codes, weights=weight * (moved - estimate), minlength=groups) / len(matrix)
        present = int((np.bincount(codes, minlength=groups) > 0).sum())
        return StepRisk(
            np.array([(weight * risk).mean() for risk in individual]),
            estimate,
            _error(influence[:, None], present).item(),
            influence,
            self.rows,
            self.events,
            present,
        )

    def wald(self, columns: list[int]) -> tuple[float, int]:
        """Chi-square statistic of coefficients against zero, and how many of them can be tested.

        Parameters
        ----------
        columns : list of int

        Returns
        -------
        statistic : float
        degrees : int
        """
        places = [self.kept.index(column) for column in columns if self.has(column)]
        own = self.influence[:, places]
        present = int(own.any(axis=1).sum())
        if not places or present <= len(places):
            return float("nan"), 0
        covariance = own.T @ own * present / (present - 1.0)
        return float(self.beta[places] @ np.linalg.solve(covariance, self.beta[places])), len(places)


def _error(influence: FloatArray, clusters: int) -> FloatArray:
    """Clustered standard errors with the factor G/(G-1), shape (k,); NaN with one cluster, which has none."""
    if clusters < 2:
        return np.full(influence.shape[1], np.nan)
    return np.asarray(np.sqrt((influence**2).sum(axis=0) * clusters / (clusters - 1.0)))


def fit_screen(
    *, matrix: FloatArray, response: FloatArray, weights: FloatArray, codes: IntArray, groups: int
) -> LogitScreen:
    """Fit one weighted logit.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
        The first column is the intercept.
    response : array of shape (n,)
        Zero or one.
    weights : array of shape (n,)
    codes : integer array of shape (n,)
        Clusters, from 0.
    groups : int
        Clusters in all, those without rows included.

    Returns
    -------
    LogitScreen

    Raises
    ------
    ModelError
        If both outcomes do not occur, or the maximum is not found.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = np.column_stack([np.ones(8), [0, 1, 0, 0, 0, 1, 1, 1]])
    >>> y = np.array([0.0, 1, 0, 0, 1, 0, 1, 1])
    >>> fit = fit_screen(matrix=matrix, response=y, weights=np.ones(8), codes=np.arange(8), groups=8)
    >>> fit.step(matrix, np.arange(8), [1], np.array([[0.0], [1.0]])).risks.round(4).tolist()
    [0.25, 0.75]
    """
    if len(response) == 0 or response.min() == response.max():
        raise ModelError("both outcomes must occur")
    found = solve_binary(matrix=matrix, response=response, weights=weights, link="logit", intercept=0)
    scores = np.zeros((groups, found.matrix.shape[1]))
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    scores[codes[order][starts]] = np.add.reduceat((found.matrix * found.slope[:, None])[order], starts, axis=0)
    return LogitScreen(
        found.kept, found.beta, found.directions, scores @ found.bread.T, len(response), int(response.sum())
    )
