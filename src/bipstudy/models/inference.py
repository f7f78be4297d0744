"""Multiple testing, sensitivity to unmeasured confounding, and tests by flipping signs and permuting."""

from __future__ import annotations

from itertools import product
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.binary import fit_binary
from bipstudy.models.covariance import ModelError, ProductScores, group_sums
from bipstudy.models.estimates import Fit
from bipstudy.models.hazard import HazardFit
from bipstudy.models.linear import LinearFit
from bipstudy.models.links import row_derivatives
from bipstudy.models.solving import cross_product, inverse

__all__ = [
    "adjust_p_values",
    "e_value",
    "freedman_lane",
    "oster_delta",
    "sign_flip_test",
]

FloatArray: TypeAlias = npt.NDArray[np.float64]

# All sign patterns are used up to this number of clusters.
ENUMERATED = 14
# The sample is one of the patterns; a hair of tolerance keeps it on the right side of itself.
TIE = 1.0 - 1e-9


def adjust_p_values(p_values: npt.ArrayLike, method: Literal["holm", "bh"] = "holm") -> FloatArray:
    """Adjust p-values for their number.

    Parameters
    ----------
    p_values : array of shape (m,)
        Missing values stay missing and are not counted.
    method : {"holm", "bh"}
        Holm's step-down (family-wise error) or Benjamini and Hochberg's step-up (false discovery rate).

    Returns
    -------
    array of shape (m,)

    References
    ----------
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6,
    65-70. Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57, 289-300.

    Examples
    --------
    >>> adjust_p_values([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if np.any((values[known] < 0.0) | (values[known] > 1.0)):
        raise ModelError("p-values must lie between 0 and 1")
    order = known[np.argsort(values[known], kind="stable")]
    count, ranks = len(order), np.arange(1, len(order) + 1)
    result = np.full(values.shape, np.nan)
    if method == "holm":
        result[order] = np.minimum(np.maximum.accumulate((count + 1 - ranks) * values[order]), 1.0)
    elif method == "bh":
        raised = (count / ranks) * values[order]
        result[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    else:
        raise ModelError(f"method must be 'holm' or 'bh', got {method!r}")
    return result


def e_value(
    ratio: float,
    conf_low: float | None = None,
    conf_high: float | None = None,
    *,
    measure: Literal["risk_ratio", "odds_ratio", "hazard_ratio"] = "risk_ratio",
    rare: bool = False,
) -> pd.DataFrame:
    r"""Strength of confounding that would explain an association away.

    :math:`RR + \sqrt{RR(RR-1)}` for a risk ratio above one (its inverse below one): both associations of an
    unmeasured confounder, with exposure and outcome, would have to be risk ratios at least this large. Odds ratios of
    common outcomes are taken as :math:`\sqrt{OR}`, hazard ratios as
    :math:`(1 - 0.5^{\sqrt{HR}})/(1 - 0.5^{\sqrt{1/HR}})`; of rare outcomes as risk ratios.

    Parameters
    ----------
    ratio : float
    conf_low, conf_high : float, optional
        Confidence limits; the one nearer to one counts, and if the interval holds one its E-value is 1.
    measure : {"risk_ratio", "odds_ratio", "hazard_ratio"}
    rare : bool, default False
        True if the outcome is rare (below some 15 %) at the end of follow-up.

    Returns
    -------
    DataFrame
        One row: ``estimate, limit``; the latter missing without limits.

    References
    ----------
    VanderWeele, T. J., Ding, P. (2017). Sensitivity analysis in observational research: introducing the E-value.
    Annals of Internal Medicine 167, 268-274.

    Examples
    --------
    >>> e_value(3.9, 1.8, 8.7).round(2).values.tolist()
    [[7.26, 3.0]]
    """

    def as_risk(value: float) -> float:
        if not value > 0.0:
            raise ModelError("a ratio must be above zero")
        if rare or measure == "risk_ratio":
            return value
        if measure == "odds_ratio":
            return float(np.sqrt(value))
        return float((1.0 - 0.5 ** np.sqrt(value)) / (1.0 - 0.5 ** np.sqrt(1.0 / value)))

    def value_of(risk: float) -> float:
        above = max(risk, 1.0 / risk)
        return float(above + np.sqrt(above * (above - 1.0)))

    limit = np.nan
    nearer = conf_low if ratio >= 1.0 else conf_high
    if nearer is not None:
        crosses = nearer <= 1.0 if ratio >= 1.0 else nearer >= 1.0
        limit = 1.0 if crosses else value_of(as_risk(nearer))
    return pd.DataFrame({"estimate": [value_of(as_risk(ratio))], "limit": [limit]})


def oster_delta(
    *,
    short: float,
    short_r_squared: float,
    long: float,
    long_r_squared: float,
    max_r_squared: float,
    outcome_variance: float,
    exposure_variance: float,
    exposure_residual_variance: float,
    target: float = 0.0,
) -> float:
    """How strong selection on unobservables would have to be, relative to observables, for the coefficient `target`.

    Parameters
    ----------
    short, short_r_squared : float
        Coefficient and R squared without the controls.
    long, long_r_squared : float
        The same with the controls.
    max_r_squared : float
        R squared if the unobservables were in the model too; Oster suggests 1.3 times `long_r_squared`.
    outcome_variance, exposure_variance : float
    exposure_residual_variance : float
        Variance of the exposure that the controls leave.
    target : float, default 0

    Returns
    -------
    float
        Above one in size: unobservables would have to matter more than observables.

    References
    ----------
    Oster, E. (2019). Unobservable selection and coefficient stability. Journal of Business & Economic Statistics 37,
    187-204, proposition 3.

    Examples
    --------
    >>> round(oster_delta(short=1.0, short_r_squared=0.2, long=0.8, long_r_squared=0.4, max_r_squared=0.52,
    ...     outcome_variance=2.0, exposure_variance=1.0, exposure_residual_variance=0.9), 3)
    2.597
    """
    if not long_r_squared < max_r_squared <= 1.0:
        raise ModelError("max_r_squared must lie above the R squared with controls and at most 1")
    gap, moved = long - target, short - long
    gained = (long_r_squared - short_r_squared) * outcome_variance
    unexplained = (max_r_squared - long_r_squared) * outcome_variance
    left, whole = exposure_residual_variance, exposure_variance
    cubic = gap**3 * (left * whole - left**2)
    numerator = gap * gained * left + gap * whole * left * moved**2 + 2.0 * gap**2 * left * moved * whole + cubic
    denominator = (
        unexplained * moved * whole + gap * unexplained * (whole - left) + gap**2 * left * moved * whole + cubic
    )
    return float(numerator / denominator)


def sign_flip_test(fit: Fit, term: str, cluster: str, replications: int = 9999, seed: int = 0) -> pd.DataFrame:
    r"""Score test of one term by flipping the signs of whole clusters.

    The model is fitted without the term; the effective score of cluster g, what its score in the term is beyond what
    its scores in the other terms explain, has mean zero under the null hypothesis whatever the dependence within the
    cluster. Its sum is compared with sums under random signs. Needs no covariance, and holds up with unequal clusters.

    Parameters
    ----------
    fit : HazardFit or LinearFit
    term : str
    cluster : str
    replications : int, default 9999
        With up to 14 clusters all sign patterns are used instead.
    seed : int, default 0

    Returns
    -------
    DataFrame
        One row: ``term, statistic`` (the effective score over its standard error), ``p_value, clusters, patterns``.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"g": np.repeat(np.arange(10), 8), "x": rng.normal(size=80)})
    >>> frame["y"] = frame["x"] + rng.normal(size=80)
    >>> fit = models.linear_probability(frame, "y ~ x", cluster="g")
    >>> test = models.sign_flip_test(fit, "x", "g")
    >>> int(test["patterns"].iloc[0]), bool(test["p_value"].iloc[0] < 0.05)
    (1024, True)

    References
    ----------
    Hemerik, J., Goeman, J. J., Finos, L. (2020). Robust testing in generalized linear models by sign flipping score
    contributions. Journal of the Royal Statistical Society B 82, 841-864.
    """
    place = fit._position(term)
    codes, groups = fit.source.codes(cluster)
    if groups < 2:
        raise ModelError("the test needs at least two clusters")
    score, weight, matrix = _null_scores(fit, place)
    rest = np.ascontiguousarray(np.delete(matrix, place, axis=1))
    column = matrix[:, place]
    if rest.shape[1]:
        column = column - rest @ (inverse(cross_product(rest, weight)) @ (rest.T @ (weight * column)))
    sums = group_sums(column[:, None], codes, groups, score)[:, 0]
    signs = _signs(groups, replications, seed)
    totals = np.abs(signs @ sums)
    observed = abs(float(sums.sum()))
    return pd.DataFrame(
        {
            "term": [term],
            "statistic": [float(sums.sum() / np.sqrt(sums @ sums))],
            "p_value": [float(np.mean(totals >= observed * TIE))],
            "clusters": [groups],
            "patterns": [len(signs)],
        }
    )


def _null_scores(fit: Fit, place: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take derivative by linear predictor and working weight of each row without the term, and the design matrix."""
    if not isinstance(fit.scores, ProductScores) or fit.unbounded:
        raise ModelError("the test needs a discrete hazard or a linear model with finite estimates")
    matrix = fit.scores.matrix
    rest = np.ascontiguousarray(np.delete(matrix, place, axis=1))
    if isinstance(fit, HazardFit):
        null = fit_binary(matrix=rest, response=fit.response, weights=fit.weights, link=fit.link)
        expected = row_derivatives(null.eta, fit.response, fit.link).expected
        return null.slope, expected if fit.weights is None else expected * fit.weights, matrix
    if isinstance(fit, LinearFit):
        weight = np.ones(len(matrix)) if fit.weights is None else fit.weights
        response = fit.residuals + matrix @ fit.estimates
        if rest.shape[1]:
            response = response - rest @ (inverse(cross_product(rest, weight)) @ (rest.T @ (weight * response)))
        return weight * response, weight, matrix
    raise ModelError("the test needs a discrete hazard or a linear model")


def _signs(groups: int, replications: int, seed: int) -> FloatArray:
    """All sign patterns, or the sample's own and random ones, shape (patterns, groups)."""
    if groups <= ENUMERATED:
        return np.array(list(product((1.0, -1.0), repeat=groups)))
    drawn = np.random.default_rng(seed).choice([-1.0, 1.0], size=(replications, groups))
    return np.vstack([np.ones(groups), drawn])


def freedman_lane(fit: LinearFit, term: str, replications: int = 9999, seed: int = 0) -> pd.DataFrame:
    """Permutation test of one term in a linear model with one row per independent unit.

    Residuals of the model without the term are permuted and added to its fitted values; the t statistic of the term
    in the full model is compared with those of the permuted responses.

    Parameters
    ----------
    fit : LinearFit
        Without weights or absorbed effects; rows must be independent and exchangeable under the null.
    term : str
    replications : int, default 9999
    seed : int, default 0

    Returns
    -------
    DataFrame
        One row: ``term, statistic, p_value, replications``; the sample counts as one of the permutations.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=50), "z": rng.normal(size=50)})
    >>> frame["y"] = 2 * frame["x"] + frame["z"] + rng.normal(size=50)
    >>> test = models.freedman_lane(models.linear_probability(frame, "y ~ x + z"), "x", replications=199)
    >>> float(test["p_value"].iloc[0])
    0.005

    References
    ----------
    Freedman, D., Lane, D. (1983). A nonstochastic interpretation of reported significance levels. Journal of Business
    & Economic Statistics 1, 292-298. Winkler, A. M. et al. (2014). Permutation inference for the general linear model.
    NeuroImage 92, 381-397.
    """
    if fit.weights is not None or fit.effects:
        raise ModelError("the permutation test takes a linear model without weights or absorbed effects")
    assert isinstance(fit.scores, ProductScores)
    place = fit._position(term)
    matrix = fit.scores.matrix
    rest = np.delete(matrix, place, axis=1)
    basis = np.linalg.qr(rest)[0] if rest.shape[1] else np.zeros((len(matrix), 0))

    def leave(values: FloatArray) -> FloatArray:
        return values - (values @ basis) @ basis.T

    column = leave(matrix[:, place])
    residual = leave(fit.residuals + matrix @ fit.estimates)
    degrees = len(matrix) - matrix.shape[1]

    def t_of(values: FloatArray) -> FloatArray:
        left = leave(values)
        along = left @ column / np.sqrt(column @ column)
        return np.asarray(along / np.sqrt((np.einsum("ij,ij->i", left, left) - along**2) / degrees))

    observed = float(t_of(residual[None, :])[0])
    rng = np.random.default_rng(seed)
    beyond = 1
    width = max(1, 4_000_000 // len(residual))
    for start in range(0, replications, width):
        rows = min(width, replications - start)
        permuted = rng.permuted(np.broadcast_to(residual, (rows, len(residual))), axis=1)
        beyond += int((np.abs(t_of(permuted)) >= abs(observed) * TIE).sum())
    result: dict[str, list[Any]] = {
        "term": [term],
        "statistic": [observed],
        "p_value": [beyond / (replications + 1)],
        "replications": [replications],
    }
    return pd.DataFrame(result)
