"""Random intercepts: linear by restricted maximum likelihood, logit by adaptive quadrature, with shrunken effects.

The numbers are made in `bipstudy.models.mixed_linear` and `bipstudy.models.mixed_logit`; here they become a fit with
terms, errors that can be clustered after the fit, variance components with intervals, and the effects of the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ProductScores, RowScores, Scores, SmallSample
from bipstudy.models.design import Design, build_design
from bipstudy.models.estimates import Errors, Fit, ModelError
from bipstudy.models.mixed_intervals import deviation_errors, profile_intervals, satterthwaite
from bipstudy.models.mixed_linear import (
    GroupMoments,
    LinearIntercept,
    fit_linear_intercept,
    group_moments,
    profile,
)
from bipstudy.models.mixed_logit import LogitIntercept, fit_logit_intercept
from bipstudy.models.quadrature import binomial_groups
from bipstudy.models.tidy import tidy_frame

__all__ = ["RandomIntercept", "random_intercept"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RandomIntercept(Fit):
    """A fitted model with one random intercept.

    Besides `tidy` (the coefficients) and `glance`, there are `group_effects` and `variance_components`.

    Attributes
    ----------
    group : str
        Column of the groups.
    labels : Index, length groups
        Their values, sorted.
    sizes : array, shape (groups,)
        Rows in each group.
    numbers : LinearIntercept or LogitIntercept
        The numerical result.
    moments : GroupMoments or None
        What the profile intervals need (linear model only).
    """

    group: str
    labels: pd.Index
    sizes: Ints
    numbers: LinearIntercept | LogitIntercept
    moments: GroupMoments | None = None

    def tidy(
        self, level: float = 0.95, *, exponentiate: bool = False, degrees: Literal["normal", "satterthwaite"] = "normal"
    ) -> pd.DataFrame:
        """Coefficients with errors, tests and intervals.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default False
            Give odds ratios (logit).
        degrees : {"normal", "satterthwaite"}
            Reference distribution: normal, or t with degrees of freedom by Satterthwaite's method, for few groups
            (linear model with model-based errors).

        Returns
        -------
        DataFrame
            ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.

        Raises
        ------
        ModelError
            If Satterthwaite's degrees are asked for and there are none.
        """
        if degrees == "normal":
            return super().tidy(level, exponentiate=exponentiate)
        if self.moments is None or not isinstance(self.numbers, LinearIntercept) or self.errors.cluster:
            raise ModelError("Satterthwaite's degrees of freedom belong to the linear model with model-based errors")
        freedom = satterthwaite(self.moments, self.numbers)
        return tidy_frame(self.terms, self.estimates, self.std_errors, freedom, level, exponentiate=exponentiate)

    def group_effects(self, level: float = 0.95) -> pd.DataFrame:
        """Shrunken effects of the groups.

        They are predictions of random quantities: pulled towards zero by the factor in `reliability`, right on
        average over groups, not for a group picked out because its effect is large or small. An interval covers the
        group's true effect with the stated probability over groups drawn from the population.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            One row per group, sorted: ``group, rows, estimate, std_error, conditional_error, conf_low, conf_high``
            and, for the linear model, ``reliability``. `conditional_error` takes the coefficients as known (what lme4
            prints); `std_error` is the root mean squared error of the prediction, coefficients estimated (for the
            logit the two are the same).
        """
        from scipy.special import ndtri

        numbers = self.numbers
        error = numbers.prediction_error if isinstance(numbers, LinearIntercept) else numbers.conditional_error
        half = float(ndtri(0.5 + level / 2.0)) * error
        table = pd.DataFrame(
            {
                "group": self.labels,
                "rows": self.sizes,
                "estimate": numbers.effects,
                "std_error": error,
                "conditional_error": numbers.conditional_error,
                "conf_low": numbers.effects - half,
                "conf_high": numbers.effects + half,
            }
        )
        return table.assign(reliability=numbers.reliability) if isinstance(numbers, LinearIntercept) else table

    def variance_components(self, level: float = 0.95) -> pd.DataFrame:
        """Give standard deviations of the random parts and the share of the variance between groups.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``component, estimate, std_error, conf_low, conf_high``; components ``sd_<group>``, ``sd_residual``
            (linear only) and ``intraclass_correlation`` (logit: on the latent scale, residual variance pi^2 / 3).
            Intervals are by profile likelihood for the linear model (an end of 0 is the boundary), by the normal
            approximation of ``log(sd)`` for the logit.
        """
        numbers = self.numbers
        names = [f"sd_{self.group}", "sd_residual", "intraclass_correlation"]
        if isinstance(numbers, LinearIntercept):
            if self.moments is None:
                raise ModelError("the fit keeps no moments, so its intervals cannot be made")
            ends = profile_intervals(self.moments, numbers, level=level)
            share = numbers.ratio / (1.0 + numbers.ratio)
            errors = deviation_errors(self.moments, numbers)
            return _components(names, [numbers.tau, numbers.sigma, share], errors, ends)
        from scipy.special import ndtri

        tau = numbers.tau
        error = float(np.sqrt(numbers.covariance[-1, -1]))
        half = float(ndtri(0.5 + level / 2.0)) * error
        ends = np.full(2, np.nan) if tau == 0.0 else tau * np.exp(np.array([-half, half]) / tau)
        latent = np.pi**2 / 3.0
        slope = 2.0 * tau * latent / (tau**2 + latent) ** 2
        return _components(
            [names[0], names[2]],
            [tau, tau**2 / (tau**2 + latent)],
            np.array([error, slope * error]),
            np.vstack([ends, ends**2 / (ends**2 + latent)]),
        )

    def _naive_text(self) -> str:
        """Words for errors without clusters."""
        return f"model-based: rows independent given the intercept of {self.group}"


def _components(names: Sequence[str], values: Sequence[float], errors: Floats, ends: Floats) -> pd.DataFrame:
    """Frame of variance components."""
    return pd.DataFrame(
        {
            "component": list(names),
            "estimate": list(values),
            "std_error": errors,
            "conf_low": ends[:, 0],
            "conf_high": ends[:, 1],
        }
    )


def random_intercept(
    frame: pd.DataFrame,
    formula: str,
    *,
    group: str,
    family: Literal["gaussian", "binomial"] = "gaussian",
    weights: str | npt.ArrayLike | None = None,
    frequencies: bool = False,
    reml: bool = True,
    quadrature: int = 15,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
) -> RandomIntercept:
    """Fit a linear or logit model with a random intercept by group.

    Parameters
    ----------
    frame : DataFrame
        Rows with a missing value in anything used are dropped and counted.
    formula : str
        For example ``"y ~ x1 + C(period)"``.
    group : str
        Column of the groups.
    family : {"gaussian", "binomial"}
        Linear (restricted maximum likelihood), or logit (adaptive Gauss-Hermite quadrature). The outcome of the logit
        is 0 or 1, or a share of successes with the number of trials as `weights`.
    weights : str or array, optional
        Linear: inverse variances up to a factor, as in lme4, or numbers of identical rows if `frequencies`. Logit:
        numbers of trials or of identical rows.
    frequencies : bool, default False
        Linear: whether a weight of two means two rows.
    reml : bool, default True
        Linear: restricted likelihood, or full.
    quadrature : int, default 15
        Logit: nodes per group; 1 is Laplace.
    cluster : str or list of str, optional
        Clusters of the sandwich errors, normally the groups or what the groups are nested in. Without it errors are
        model-based.
    small_sample : {"stata", "none", "fixest", "sandwich"}

    Returns
    -------
    RandomIntercept

    Raises
    ------
    ModelError
        If regressors are collinear, every group has one row (linear), the outcome is separated or not 0 to 1 (logit),
        or there are fewer than two groups.

    Notes
    -----
    The test of no spread between groups in `glance` halves the p-value of the chi-square with one degree of freedom,
    because the null lies on the boundary (Self and Liang 1987). The coefficients assume that intercepts and
    regressors are unrelated; add group means of the regressors (Mundlak 1978) if they may not be.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2, 4, 6, 5, 8], "x": [0, 1, 0, 1, 0, 1], "g": list("aabbcc")})
    >>> fit = random_intercept(frame, "y ~ x", group="g")
    >>> fit.tidy()[["term", "estimate"]].round(3).values.tolist()
    [['Intercept', 3.333], ['x', 2.0]]
    >>> fit.variance_components()["estimate"].round(3).tolist()
    [2.517, 0.707, 0.927]
    """
    design = build_design(frame, formula, weights=weights, cluster=cluster, needs=(group,))
    if design.response is None:
        raise ModelError(f"the formula has no left side: {formula!r}")
    codes, labels = pd.factorize(design.frame[group], sort=True)
    codes = np.asarray(codes, dtype=np.int64)
    _check_rank(design)
    if family == "gaussian":
        fit = _linear(design, codes, labels, group, reml, frequencies)
    elif family == "binomial":
        fit = _logit(design, codes, labels, group, quadrature)
    else:
        raise ModelError(f"family must be gaussian or binomial, got {family!r}")
    if cluster is None and small_sample == "stata":
        return fit
    changed = fit.with_errors(cluster, small_sample)
    return changed if isinstance(changed, RandomIntercept) else fit


def _check_rank(design: Design) -> None:
    """Name the first regressor that the ones before it explain."""
    cross = design.matrix.T @ design.matrix
    size = np.sqrt(np.diag(cross))
    if np.any(size == 0.0):
        raise ModelError(f"{design.terms[int(np.argmin(size))]} is zero in every row; leave it out")
    cross = cross / np.outer(size, size)
    try:
        if np.min(np.diag(np.linalg.cholesky(cross))) > 1e-6:
            return
    except np.linalg.LinAlgError:
        pass
    # Only the suspicious case pays for a decomposition that squares nothing.
    corner = np.abs(np.diag(np.linalg.qr(design.matrix / size, mode="r")))
    if np.min(corner) < 1e-10:
        guilty = design.terms[int(np.flatnonzero(corner < 1e-10)[0])]
        raise ModelError(f"{guilty} is a combination of the terms before it; leave one of them out")


def _linear(design: Design, codes: Ints, labels: Any, group: str, reml: bool, frequencies: bool) -> RandomIntercept:
    """Linear model, as a fit."""
    assert design.response is not None
    moments = group_moments(
        design=design.matrix,
        outcome=design.response,
        group=codes,
        groups=len(labels),
        weights=design.weights,
        frequencies=frequencies,
    )
    numbers = fit_linear_intercept(moments, reml=reml)
    without = profile(moments, 0.0, reml=reml).criterion
    notes = () if numbers.ratio > 0 else (f"no spread between groups of {group} beyond chance: the estimate is zero",)
    return RandomIntercept(
        **_common(design, labels, codes, group, numbers.coefficients, numbers.covariance, notes),
        model=f"linear, random intercept by {group}, {'REML' if reml else 'ML'}",
        scores=_linear_scores(design, codes, moments, numbers),
        parameters=len(design.terms) + 2,
        log_likelihood=-0.5 * numbers.criterion,
        statistics={
            "groups": float(len(labels)),
            "sd_group": numbers.tau,
            "sd_residual": numbers.sigma,
            **_no_spread_test(without - numbers.criterion),
        },
        numbers=numbers,
        moments=moments,
    )


def _linear_scores(design: Design, codes: Ints, moments: GroupMoments, numbers: LinearIntercept) -> Scores:
    """Scores of the coefficients: row i of X times element i of ``V^-1 (y - X beta)``."""
    assert design.response is not None
    residual = design.response - design.matrix @ numbers.coefficients
    weight = 1.0 if design.weights is None else design.weights
    factor = weight * (residual - numbers.effects[codes]) / numbers.sigma**2
    return ProductScores(design.matrix, np.asarray(factor, dtype=np.float64))


def _logit(design: Design, codes: Ints, labels: Any, group: str, quadrature: int) -> RandomIntercept:
    """Logit, as a fit."""
    assert design.response is not None
    if np.any((design.response < 0.0) | (design.response > 1.0)):
        raise ModelError("the outcome of the logit must lie between 0 and 1")
    data = binomial_groups(
        design=design.matrix, outcome=design.response, group=codes, trials=design.weights, nodes=quadrature
    )
    numbers = fit_logit_intercept(data)
    size = len(design.terms)
    notes = () if numbers.tau > 0 else (f"no spread between groups of {group} beyond chance: the estimate is zero",)
    by_row = data.design * numbers.row_scores[:, None]
    if numbers.tau > 0:
        # With tau profiled out, the block of the joint inverse is the bread and this is the score that goes with it.
        information = np.linalg.inv(numbers.covariance)
        pull = information[:size, size] / information[size, size]
        by_row[data.starts] -= np.outer(numbers.tau_scores, pull)
    scores = np.empty_like(by_row)
    scores[data.order] = by_row
    trials = 1.0 if design.weights is None else design.weights
    return RandomIntercept(
        **_common(design, labels, codes, group, numbers.coefficients, numbers.covariance[:size, :size], notes),
        model=f"logit, random intercept by {group}, {'Laplace' if quadrature == 1 else f'{quadrature} nodes'}",
        scores=RowScores(scores),
        parameters=size + 1,
        log_likelihood=-0.5 * numbers.criterion,
        events=round(float((trials * design.response).sum())),
        statistics={
            "groups": float(len(labels)),
            "sd_group": numbers.tau,
            "groups_all_alike": float(_all_alike(design.response, codes)),
            **_no_spread_test(numbers.without - numbers.criterion),
        },
        numbers=numbers,
    )


def _all_alike(outcome: Floats, codes: Ints) -> int:
    """Count groups whose outcomes are all zero or all one: they inform the spread but not a within-group comparison."""
    mean = np.bincount(codes, weights=outcome) / np.bincount(codes)
    return int(((mean == 0.0) | (mean == 1.0)).sum())


def _no_spread_test(statistic: float) -> dict[str, float]:
    """Likelihood-ratio test of no spread between groups, half its mass at zero."""
    from scipy.special import chdtrc

    statistic = max(float(statistic), 0.0)
    return {"lr_statistic": statistic, "lr_p_value": 0.5 * float(chdtrc(1, statistic)) if statistic > 0 else 1.0}


def _common(
    design: Design, labels: Any, codes: Ints, group: str, estimates: Floats, covariance: Floats, notes: tuple[str, ...]
) -> dict[str, Any]:
    """Fields that both families fill alike."""
    return {
        "terms": design.terms,
        "estimates": estimates,
        "covariance": covariance,
        "naive": covariance,
        "bread": covariance,
        "errors": Errors(text=f"model-based: rows independent given the intercept of {group}"),
        "family": "ml",
        "source": design.source,
        "notes": notes,
        "design": design.spec,
        "group": group,
        "labels": pd.Index(np.asarray(labels)),
        "sizes": np.bincount(codes, minlength=len(labels)).astype(np.int64),
    }
