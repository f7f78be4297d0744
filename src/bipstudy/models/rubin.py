"""Rubin's rules: several estimates from completed data as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.estimates import Errors, Estimates

__all__ = ["PooledEstimates", "pool_estimates"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PooledEstimates(Estimates):
    """Estimates pooled over imputations by Rubin's rules.

    Attributes
    ----------
    degrees : array of shape (k,)
        Barnard and Rubin's degrees of freedom.
    missing_information : array of shape (k,)
        Fraction of information lost to missing values.
    imputations : int
    """

    degrees: FloatArray
    missing_information: FloatArray
    imputations: int

    def tidy(self, level: float = 0.95, *, exponentiate: bool = False) -> pd.DataFrame:
        """Pooled estimates; tests and intervals use t with the degrees of freedom of each term.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default False

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        from bipstudy.models.tidy import tidy_frame

        return tidy_frame(self.terms, self.estimates, self.std_errors, self.degrees, level, exponentiate=exponentiate)

    def glance(self) -> pd.DataFrame:
        """One row: imputations, largest fraction of missing information, convention."""
        return pd.DataFrame(
            {
                "model": ["pooled over imputations"],
                "imputations": [self.imputations],
                "missing_information": [float(self.missing_information.max())],
                "convention": [self.errors.text],
            }
        )


def pool_estimates(results: Sequence[Any], degrees: float | None = None) -> PooledEstimates:
    r"""Rubin's rules for anything that has ``tidy()``.

    With m results, mean variance :math:`\bar U` and variance between them B, the total is
    :math:`T = \bar U + (1 + 1/m) B`. Degrees of freedom are those of Barnard and Rubin (1999): with
    :math:`\lambda = (1 + 1/m) B / T`, :math:`\nu_{old} = (m-1)/\lambda^2` and
    :math:`\nu_{obs} = \frac{\nu_{com} + 1}{\nu_{com} + 3} \nu_{com} (1 - \lambda)`,
    :math:`\nu = \nu_{old} \nu_{obs} / (\nu_{old} + \nu_{obs})`.

    Parameters
    ----------
    results : sequence
        Fits of the same model to completed frames. A covariance is pooled if every result has ``covariance`` of the
        size of its table, else the pooled one is diagonal.
    degrees : float, optional
        Degrees of freedom of the complete data, :math:`\nu_{com}`; by default those of the results' errors, infinite
        if they say nothing.

    Returns
    -------
    PooledEstimates

    Raises
    ------
    ModelError
        If there are fewer than two results, or their terms differ.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=60)})
    >>> completed = [frame.assign(y=frame["x"] + rng.normal(size=60)) for _ in range(5)]
    >>> pooled = models.pool_estimates([models.linear_probability(each, "y ~ x") for each in completed])
    >>> pooled.tidy()["term"].tolist()
    ['Intercept', 'x']

    References
    ----------
    Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Barnard, J., Rubin, D. B. (1999).
    Small-sample degrees of freedom with multiple imputation. Biometrika 86, 948-955.
    """
    if len(results) < 2:
        raise ModelError("pooling needs at least two imputations")
    tables = [result.tidy() for result in results]
    terms = tuple(tables[0]["term"])
    if any(tuple(table["term"]) != terms for table in tables):
        raise ModelError("the imputations give different terms; a level or column varies in some of them only")
    estimates = np.array([table["estimate"].to_numpy(dtype=np.float64) for table in tables])
    errors = np.array([table["std_error"].to_numpy(dtype=np.float64) for table in tables])
    count = len(tables)
    within = _within(results, errors)
    between = np.atleast_2d(np.cov(estimates, rowvar=False))
    total = within + (1.0 + 1.0 / count) * between
    share = (1.0 + 1.0 / count) * np.diag(between) / np.diag(total)
    share = np.where(share > 1e-14, share, 0.0)  # less is rounding
    complete = _complete_degrees(results) if degrees is None else degrees
    freedom = _barnard_rubin(share, count, complete)
    growth = share / np.maximum(1.0 - share, 1e-300)
    information = (growth + 2.0 / (freedom + 3.0)) / (growth + 1.0)
    text = getattr(getattr(results[0], "errors", None), "text", "errors as in each fit")
    return PooledEstimates(
        terms=terms,
        estimates=estimates.mean(axis=0),
        covariance=total,
        errors=Errors(text=f"Rubin's rules over {count} imputations, Barnard-Rubin degrees of freedom; each: {text}"),
        degrees=freedom,
        missing_information=np.where(share > 0.0, information, 0.0),
        imputations=count,
    )


def _within(results: Sequence[Any], errors: FloatArray) -> FloatArray:
    """Mean covariance, full where every result has one."""
    k = errors.shape[1]
    covariances = [getattr(result, "covariance", None) for result in results]
    whole = [value for value in covariances if isinstance(value, np.ndarray) and value.shape == (k, k)]
    if len(whole) == len(results):
        return np.asarray(np.mean(np.array(whole), axis=0))
    return np.diag((errors**2).mean(axis=0))


def _complete_degrees(results: Sequence[Any]) -> float:
    """Smallest degrees of freedom that the results' errors name."""
    return min(float(getattr(getattr(result, "errors", None), "degrees", np.inf)) for result in results)


def _barnard_rubin(share: FloatArray, count: int, complete: float) -> FloatArray:
    """Degrees of freedom for the share of variance due to missing values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        old = (count - 1.0) / share**2
        if not np.isfinite(complete):
            return np.where(share > 0.0, old, np.inf)
        observed = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
        return np.where(share > 0.0, old * observed / (old + observed), observed)
