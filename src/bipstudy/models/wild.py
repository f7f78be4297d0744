r"""Wild cluster bootstrap of a linear coefficient, for few clusters.

The null hypothesis is imposed, residuals of each cluster are multiplied by a random sign, and the t statistic of the
sample is compared with those of the replicates (Cameron, Gelbach and Miller 2008). With :math:`A = (X'WX)^{-1}`,
:math:`a` its row of the coefficient, :math:`\tilde S_g = X_g'W\tilde u_g` the restricted cluster scores and signs
:math:`v`, the numerator of a replicate is :math:`a'\tilde S v` and its cluster contributions are
:math:`v_g a'\tilde S_g - a'X_g'WX_g A \tilde S v`; no replicate touches the rows (Roodman, MacKinnon, Nielsen and Webb
2019). :math:`\tilde S` is linear in the value of the null, so the confidence set costs little more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.absorb import is_nested
from bipstudy.models.covariance import ModelError, ProductScores, group_sums, one_thread
from bipstudy.models.linear import LinearFit
from bipstudy.models.solving import cross_product

__all__ = ["WildBootstrap", "wild_cluster_bootstrap"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
Signs = Literal["rademacher", "webb"]

# All sign patterns are used up to this number of clusters; there are then no random numbers at all.
ENUMERATED = 12


@dataclass(frozen=True)
class WildBootstrap:
    """Wild bootstrap test of one coefficient.

    Attributes
    ----------
    term : str
    estimate, std_error, statistic, p_value, conf_low, conf_high : float
        Error and statistic by clusters; p-value and interval by the bootstrap.
    clusters : int
    text : str
        What was done, in words.
    """

    term: str
    estimate: float
    std_error: float
    statistic: float
    p_value: float
    conf_low: float
    conf_high: float
    clusters: int
    text: str

    def tidy(self) -> pd.DataFrame:
        """One row with the columns that every fit shares."""
        names = ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
        return pd.DataFrame({name: [getattr(self, name)] for name in names})

    def glance(self) -> pd.DataFrame:
        """One row: clusters and the convention in words."""
        return pd.DataFrame(
            {"model": ["wild cluster bootstrap"], "clusters": [self.clusters], "convention": [self.text]}
        )


@dataclass(frozen=True)
class _Parts:
    """Cluster sums: `own` and `slope` give a'S(b) = own - b slope; `spread` is a'X_g'WX_g A S for both."""

    own: FloatArray
    slope: FloatArray
    spread_own: FloatArray
    spread_slope: FloatArray


def wild_cluster_bootstrap(
    fit: LinearFit,
    term: str,
    cluster: str | None = None,
    replications: int = 9999,
    seed: int = 0,
    *,
    signs: Signs = "rademacher",
    level: float = 0.95,
) -> WildBootstrap:
    """Test that a coefficient is zero, and its confidence interval, by the restricted wild cluster bootstrap.

    Parameters
    ----------
    fit : LinearFit
        Absorbed effects must be nested in the clusters; write others as ``C(column)``.
    term : str
    cluster : str, optional
        By default the single cluster column of the fit.
    replications : int, default 9999
        Not used where all sign patterns are (up to 12 clusters with Rademacher signs).
    seed : int, default 0
    signs : {"rademacher", "webb"}
        Plus or minus one; or Webb's six points, for fewer than about ten clusters.
    level : float, default 0.95

    Returns
    -------
    WildBootstrap
        The p-value is the share of replicates at least as far from zero as the sample.

    Raises
    ------
    ModelError
        If the term is unknown or an absorbed effect crosses clusters.

    References
    ----------
    Cameron, A. C., Gelbach, J. B., Miller, D. L. (2008). Bootstrap-based improvements for inference with clustered
    errors. Review of Economics and Statistics 90, 414-427. Roodman, D., MacKinnon, J. G., Nielsen, M. O., Webb, M. D.
    (2019). Fast and wild: bootstrap inference in Stata using boottest. Stata Journal 19, 4-60.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> frame = pd.DataFrame({"g": np.repeat(np.arange(6), 5), "x": np.arange(30) % 7})
    >>> frame["y"] = frame.x * 0.1 + frame.g % 2
    >>> fit = models.linear_probability(frame, "y ~ x", cluster="g")
    >>> wild_cluster_bootstrap(fit, "x").glance().convention.item()
    'restricted wild cluster bootstrap by g (6), all 64 sign patterns'
    """
    name = cluster or (fit.errors.cluster[0] if len(fit.errors.cluster) == 1 else "")
    if not name:
        raise ModelError("name one cluster column")
    place = fit._position(term)
    codes, groups = fit.source.codes(name)
    if not all(is_nested(effect, codes) for effect in fit.effects):
        raise ModelError("an absorbed effect crosses the clusters; write it as C(column) instead")
    parts = _parts(fit, place, codes, groups)
    patterns, text = _patterns(signs, groups, replications, seed)
    estimate = float(fit.estimates[place])
    clustered = fit.with_errors(cluster=name, small_sample="none")
    error = float(clustered.std_errors[place])
    factor = float(fit.with_errors(cluster=name, small_sample="stata").std_errors[place]) / error

    def p_value(null: float) -> float:
        with one_thread():
            return _share_beyond(parts, patterns, null, (estimate - null) / error)

    low, high = _confidence_set(p_value, estimate, error * factor, 1.0 - level)
    return WildBootstrap(
        term=term,
        estimate=estimate,
        std_error=error * factor,
        statistic=estimate / (error * factor),
        p_value=p_value(0.0),
        conf_low=low,
        conf_high=high,
        clusters=groups,
        text=f"restricted wild cluster bootstrap by {name} ({groups}), {text}",
    )


def _parts(fit: LinearFit, place: int, codes: npt.NDArray[np.int64], groups: int) -> _Parts:
    """Cluster sums for residuals restricted at zero and for the part of the regressor that the others leave."""
    assert isinstance(fit.scores, ProductScores)
    matrix = fit.scores.matrix
    weights = np.ones(len(matrix)) if fit.weights is None else fit.weights
    others = [column for column in range(matrix.shape[1]) if column != place]
    regressor = matrix[:, place]
    alone = regressor
    if others:
        rest = matrix[:, others]
        alone = regressor - rest @ np.linalg.solve(cross_product(rest, weights), rest.T @ (weights * regressor))
    # Restricting the coefficient to b gives residuals u + (estimate - b) times what the others leave of the regressor.
    restricted = fit.residuals + fit.estimates[place] * alone
    row = fit.bread[place]
    projection = matrix @ row * weights
    own = np.bincount(codes, weights=projection * restricted, minlength=groups).astype(np.float64)
    slope = np.bincount(codes, weights=projection * alone, minlength=groups).astype(np.float64)
    lever = group_sums(matrix, codes, groups, projection) @ fit.bread
    return _Parts(
        own,
        slope,
        lever @ group_sums(matrix, codes, groups, weights * restricted).T,
        lever @ group_sums(matrix, codes, groups, weights * alone).T,
    )


def _patterns(signs: Signs, groups: int, replications: int, seed: int) -> tuple[FloatArray, str]:
    """Signs of every replicate, shape (replicates, groups), and words for them."""
    if signs == "rademacher" and groups <= ENUMERATED:
        return np.array(list(product((1.0, -1.0), repeat=groups))), f"all {2**groups} sign patterns"
    points = {"rademacher": [-1.0, 1.0], "webb": [s * np.sqrt(v) for v in (1.5, 1.0, 0.5) for s in (-1.0, 1.0)]}
    if signs not in points:
        raise ModelError(f"signs must be 'rademacher' or 'webb', got {signs!r}")
    rng = np.random.default_rng(seed)
    return rng.choice(points[signs], size=(replications, groups)), f"{replications} draws of {signs} signs"


def _share_beyond(parts: _Parts, patterns: FloatArray, null: float, statistic: float) -> float:
    """Share of replicates whose t statistic is at least as far from zero as that of the sample."""
    own = parts.own - null * parts.slope
    spread = parts.spread_own - null * parts.spread_slope
    contributions = patterns * own - patterns @ spread.T
    numerator = patterns @ own
    size = np.einsum("ij,ij->i", contributions, contributions)
    with np.errstate(divide="ignore", invalid="ignore"):
        replicated = np.abs(numerator) / np.sqrt(size)
    # The pattern of equal signs is the sample itself; a hair of tolerance keeps it on the right side.
    return float(np.mean(replicated >= abs(statistic) * (1.0 - 1e-9)))


def _confidence_set(
    p_value: Callable[[float], float], estimate: float, error: float, alpha: float
) -> tuple[float, float]:
    """Find the ends of the interval of nulls that are not rejected; infinite where there is none."""
    ends = []
    for side in (-1.0, 1.0):
        inside, width = estimate, error
        for _ in range(12):
            if p_value(estimate + side * width) <= alpha:
                break
            inside, width = estimate + side * width, 2.0 * width
        else:
            ends.append(side * np.inf)
            continue
        outside = estimate + side * width
        for _ in range(50):
            middle = 0.5 * (inside + outside)
            if p_value(middle) > alpha:
                inside = middle
            else:
                outside = middle
        ends.append(0.5 * (inside + outside))
    return ends[0], ends[1]
