r"""Exploratory factor analysis by minimum residuals, rotation, and how many factors there are.

With uniquenesses :math:`\Psi`, the best loadings of m factors come from the m largest eigenvalues of :math:`R -
\Psi`, and what is left is :math:`\frac12 \sum_{k > m} \gamma_k^2` over the other eigenvalues :math:`\gamma_k`. It is
minimised over :math:`\Psi` with its exact gradient :math:`-\sum_{k > m} \gamma_k u_{ik}^2`.

References
----------
Harman, H. H. and Jones, W. H. (1966). Factor analysis by minimizing residuals (minres). Psychometrika 31, 351-368.
Horn, J. L. (1965). A rationale
and test for the number of factors in factor analysis. Psychometrika 30, 179-185.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.rotation import Rotation, positive, rotate

if TYPE_CHECKING:
    from bipstudy.models.polychorics import Polychorics

__all__ = [
    "FactorSolution",
    "MinresFit",
    "ParallelAnalysis",
    "factor_analysis",
    "fit_minres",
    "parallel_analysis",
    "rotate",
]

Floats = npt.NDArray[np.float64]

_LEAST = 0.005  # smallest variance of its own that an item is given, as in psych


@dataclass(frozen=True)
class MinresFit:
    """Unrotated solution.

    Attributes
    ----------
    loadings : array, shape (p, m)
        Columns by falling eigenvalue, each with a positive sum.
    uniqueness : array, shape (p,)
    objective : float
        Half the sum of squared residuals off and on the diagonal.
    gradient : array, shape (p,)
        In the uniquenesses; positive where one is held at its lower bound.
    """

    loadings: Floats
    uniqueness: Floats
    objective: float
    gradient: Floats


@dataclass(frozen=True, kw_only=True)
class FactorSolution:
    """A factor solution.

    Attributes
    ----------
    items : tuple of str, length p
    loadings : array, shape (p, m)
        Pattern loadings, factors by falling sum of squares, each with a positive sum.
    factor_correlation : array, shape (m, m)
    uniqueness : array, shape (p,)
    objective : float
    rows : int
        Complete cases (the fewest of a pair for polychoric correlations).
    rows_dropped : int
    correlation : {"pearson", "polychoric"}
    rotation : {"none", "varimax", "oblimin"}
    notes : tuple of str
    """

    items: tuple[str, ...]
    loadings: Floats
    factor_correlation: Floats
    uniqueness: Floats
    objective: float
    residual: float
    rows: int
    rows_dropped: int
    correlation: str
    rotation: Rotation
    notes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """Give loadings, one row per item and factor.

        Returns
        -------
        DataFrame
            ``term, item, factor, estimate, communality``.
        """
        count = self.loadings.shape[1]
        names = [f"factor{k + 1}" for k in range(count)]
        rows = [
            (f"{name}=~{item}", item, name, self.loadings[i, k], 1.0 - self.uniqueness[i])
            for i, item in enumerate(self.items)
            for k, name in enumerate(names)
        ]
        return pd.DataFrame(rows, columns=["term", "item", "factor", "estimate", "communality"])

    def glance(self) -> pd.DataFrame:
        """One row: factors, rows, share of variance and size of the residual correlations.

        Returns
        -------
        DataFrame
            `residual` is the root mean square of the residual correlations off the diagonal.
        """
        row = {
            "model": f"minres, {self.correlation} correlations, rotation {self.rotation}",
            "items": len(self.items),
            "factors": self.loadings.shape[1],
            "rows": self.rows,
            "rows_dropped": self.rows_dropped,
            "variance_share": float(1.0 - self.uniqueness.mean()),
            "residual": self.residual,
        }
        return pd.DataFrame([row])


@dataclass(frozen=True, kw_only=True)
class ParallelAnalysis:
    """Eigenvalues beside those of unrelated items.

    Attributes
    ----------
    components, factors : arrays, shape (p,)
        Eigenvalues of the correlation matrix, and of the same with the communalities of one factor on the diagonal.
    components_chance, factors_chance : arrays, shape (p,)
        Quantile of the same over the draws.
    rows : int
    """

    components: Floats
    factors: Floats
    components_chance: Floats
    factors_chance: Floats
    rows: int

    @property
    def number_of_components(self) -> int:
        """Leading components above chance."""
        return _leading(self.components > self.components_chance)

    @property
    def number_of_factors(self) -> int:
        """Leading factors above chance."""
        return _leading(self.factors > self.factors_chance)

    def tidy(self) -> pd.DataFrame:
        """Eigenvalues by rank.

        Returns
        -------
        DataFrame
            ``rank, component, component_chance, factor, factor_chance``.
        """
        return pd.DataFrame(
            {
                "rank": np.arange(1, self.components.size + 1),
                "component": self.components,
                "component_chance": self.components_chance,
                "factor": self.factors,
                "factor_chance": self.factors_chance,
            }
        )


def _leading(above: npt.NDArray[np.bool_]) -> int:
    """Count the leading trues."""
    return int(np.argmin(above)) if not above.all() else int(above.size)


def _uniqueness(correlation: Floats, factors: int) -> tuple[Floats, float, Floats]:
    """Minimise the residuals over the uniquenesses: solution, objective and gradient."""
    from scipy.optimize import minimize

    p = correlation.shape[0]

    def objective(uniqueness: Floats) -> tuple[float, Floats]:
        values, vectors = np.linalg.eigh(correlation - np.diag(uniqueness))
        # A negative eigenvalue gives no loading, whatever its rank.
        left = values.copy()
        left[p - factors :] = np.minimum(left[p - factors :], 0.0)
        return 0.5 * float(left @ left), -(vectors**2) @ left

    found = minimize(
        objective,
        np.clip(0.5 / np.maximum(np.diag(np.linalg.pinv(correlation)), 1e-3), _LEAST, 1.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(_LEAST, 1.0)] * p,
        options={"maxiter": 5000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 30},
    )
    solution = np.asarray(found.x, dtype=np.float64)
    return solution, *objective(solution)


def fit_minres(correlation: Floats, factors: int) -> MinresFit:
    """Fit factors by minimum residuals.

    Parameters
    ----------
    correlation : array, shape (p, p)
    factors : int

    Returns
    -------
    MinresFit

    Raises
    ------
    ModelError
        If there are too many factors for the items, or the minimum is not found.

    Examples
    --------
    >>> import numpy as np
    >>> true = np.array([0.9, 0.8, 0.7, 0.6])
    >>> matrix = np.outer(true, true)
    >>> np.fill_diagonal(matrix, 1.0)
    >>> fit_minres(matrix, 1).loadings.ravel().round(6).tolist()
    [0.9, 0.8, 0.7, 0.6]
    """
    p = correlation.shape[0]
    if factors < 1 or (p - factors) ** 2 < p + factors:
        raise ModelError(f"{p} items do not determine {factors} factors")
    uniqueness, value, gradient = _uniqueness(correlation, factors)
    inside = uniqueness > _LEAST + 1e-9
    if np.max(np.abs(gradient[inside]), initial=0.0) > 1e-5:
        raise ModelError("the factor solution did not converge; try fewer factors")
    values, vectors = np.linalg.eigh(correlation - np.diag(uniqueness))
    order = np.arange(p - 1, p - 1 - factors, -1)
    loadings = vectors[:, order] * np.sqrt(np.maximum(values[order], 0.0))
    return MinresFit(positive(loadings), uniqueness, value, gradient)


def factor_analysis(
    frame: pd.DataFrame,
    items: Sequence[str],
    *,
    factors: int,
    rotation: Rotation = "oblimin",
    correlation: Literal["pearson", "polychoric"] | Polychorics = "pearson",
) -> FactorSolution:
    """Explore the factors behind items, by minimum residuals.

    Parameters
    ----------
    frame : DataFrame
        One row per case.
    items : sequence of str
    factors : int
    rotation : {"none", "varimax", "oblimin"}
    correlation : {"pearson", "polychoric"} or Polychorics
        Pearson correlations of complete cases, or polychoric correlations pair by pair (made already, if given).

    Returns
    -------
    FactorSolution

    Raises
    ------
    ModelError
        If there are too many factors, or an item does not vary.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> f = rng.normal(size=(2000, 2))
    >>> frame = pd.DataFrame({f"x{i}": f[:, i // 3] + rng.normal(size=2000) for i in range(6)})
    >>> solution = factor_analysis(frame, list(frame.columns), factors=2)
    >>> int((np.abs(solution.loadings) > 0.5).sum())
    6
    """
    names = list(items)
    notes: tuple[str, ...] = ()
    matrix, rows = _correlations(frame, names, correlation)
    fit = fit_minres(matrix, factors)
    if np.any(fit.uniqueness < _LEAST + 1e-5):
        guilty = ", ".join(name for name, value in zip(names, fit.uniqueness, strict=True) if value < _LEAST + 1e-5)
        notes = (f"{guilty}: no variance of its own is left (Heywood case); try fewer factors",)
    pattern, between = rotate(fit.loadings, rotation)
    gap = (matrix - fit.loadings @ fit.loadings.T)[np.tril_indices(len(names), -1)]
    return FactorSolution(
        items=tuple(names),
        loadings=pattern,
        factor_correlation=between,
        uniqueness=fit.uniqueness,
        objective=fit.objective,
        residual=float(np.sqrt((gap**2).mean())),
        rows=rows,
        rows_dropped=len(frame) - rows,
        correlation=correlation if isinstance(correlation, str) else "polychoric",
        rotation=rotation,
        notes=notes,
    )


def _correlations(frame: pd.DataFrame, names: list[str], correlation: str | Polychorics) -> tuple[Floats, int]:
    """Correlation matrix and number of cases."""
    if not isinstance(correlation, str):
        return correlation.matrix.loc[names, names].to_numpy(dtype=np.float64), int(correlation.rows.min())
    if correlation == "polychoric":
        from bipstudy.models.polychorics import polychoric

        result = polychoric(frame, names)
        return result.matrix.to_numpy(dtype=np.float64), int(result.rows.min())
    used = frame[names].dropna().to_numpy(dtype=np.float64)
    if len(used) <= len(names) or np.any(used.std(axis=0) == 0.0):
        raise ModelError("there are not more complete cases than items, or an item does not vary")
    return np.corrcoef(used, rowvar=False), len(used)


def parallel_analysis(
    frame: pd.DataFrame, items: Sequence[str], *, draws: int = 200, quantile: float = 0.95, seed: int = 0
) -> ParallelAnalysis:
    """Compare eigenvalues with those of unrelated items of the same distribution.

    Parameters
    ----------
    frame : DataFrame
        One row per case; rows with a missing answer are left out.
    items : sequence of str
    draws : int, default 200
        Each deals the answers to every item out anew among the cases, so that their distributions stay.
    quantile : float, default 0.95
    seed : int

    Returns
    -------
    ParallelAnalysis

    Raises
    ------
    ModelError
        If an item does not vary.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> f = rng.normal(size=(500, 2))
    >>> frame = pd.DataFrame({f"x{i}": f[:, i // 3] + rng.normal(size=500) for i in range(6)})
    >>> parallel_analysis(frame, list(frame.columns), draws=50).number_of_factors
    2
    """
    names = list(items)
    matrix, rows = _correlations(frame, names, "pearson")
    # Sorted columns: the draws then do not depend on the order of the rows.
    values = np.sort(frame[names].dropna().to_numpy(dtype=np.float64), axis=0)
    generator = np.random.default_rng(np.random.SeedSequence(seed))
    components, factors = np.empty((draws, len(names))), np.empty((draws, len(names)))
    for draw in range(draws):
        dealt = generator.permuted(values, axis=0)
        components[draw], factors[draw] = _eigenvalues(np.corrcoef(dealt, rowvar=False))
    observed = _eigenvalues(matrix)
    return ParallelAnalysis(
        components=observed[0],
        factors=observed[1],
        components_chance=np.quantile(components, quantile, axis=0),
        factors_chance=np.quantile(factors, quantile, axis=0),
        rows=rows,
    )


def _eigenvalues(matrix: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues, falling, of a correlation matrix, and of the same with the communalities of one factor in it."""
    reduced = matrix - np.diag(1.0 - _communality(matrix))
    whole, shared = np.linalg.eigvalsh(matrix)[::-1], np.linalg.eigvalsh(reduced)[::-1]
    return np.asarray(whole, dtype=np.float64), np.asarray(shared, dtype=np.float64)


def _communality(matrix: Floats, sweeps: int = 50) -> Floats:
    """Communalities of one factor by repeated principal axes: near minres, and cheap."""
    common = 1.0 - 1.0 / np.diag(np.linalg.pinv(matrix))
    for _ in range(sweeps):
        values, vectors = np.linalg.eigh(matrix - np.diag(1.0 - common))
        common = np.minimum(max(values[-1], 0.0) * vectors[:, -1] ** 2, 1.0 - _LEAST)
    return np.asarray(common, dtype=np.float64)
