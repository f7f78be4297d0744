"""Measurement invariance: factor models in several groups, from loose to strict.

Configural: the same items belong to the same factors. Metric: equal loadings, so that a difference in the factor
means the same in answers everywhere. Scalar: equal intercepts as well, so that factor means can be compared. Strict:
equal residual variances as well. Identification is by factor variances of one and means of zero, in the first group
once loadings (intercepts) are equal.

References
----------
Chen, F. F. (2007). Sensitivity of goodness of fit indexes to lack of measurement invariance. Structural Equation
Modeling 14, 464-504. Satorra, A. and Bentler, P. M. (2001). A scaled difference chi-square test statistic for moment
structure analysis. Psychometrika 66, 507-514.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.factor_models import Equal, FactorModel, factor_model

__all__ = ["STEPS", "Invariance", "measurement_invariance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEPS: dict[str, tuple[Equal, ...]] = {
    "configural": (),
    "metric": ("loadings",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
}


@dataclass(frozen=True)
class Invariance:
    """Steps of measurement invariance.

    Attributes
    ----------
    fits : dict of str to FactorModel
        By step, from loose to strict.
    """

    fits: dict[str, FactorModel]

    def tidy(self) -> pd.DataFrame:
        """Fit of each step and what it loses against the one before.

        Returns
        -------
        DataFrame
            ``step``, the fit measures, and ``chisq_difference, df_difference, p_difference`` (likelihood ratio),
            ``chisq_difference_scaled, p_difference_scaled`` (Satorra and Bentler 2001), ``cfi_change, rmsea_change``
            and ``holds``: the step loses no more than 0.010 of CFI and 0.015 of RMSEA (Chen 2007). The first step has
            no comparison; whether it fits is read from its own measures.
        """
        rows: list[dict[str, Any]] = []
        before: Mapping[str, float] | None = None
        for step, fit in self.fits.items():
            row: dict[str, Any] = {"step": step, **fit.measures}
            if before is not None:
                row |= _comparison(before, fit.measures)
            rows.append(row)
            before = fit.measures
        return pd.DataFrame(rows)

    def glance(self) -> pd.DataFrame:
        """One row: cases, groups, and the strictest step that holds with all before it.

        Returns
        -------
        DataFrame
        """
        table = self.tidy()
        reached = table["step"].iloc[0]
        for step, holds in zip(table["step"].iloc[1:], table["holds"].iloc[1:], strict=True):
            if not holds:
                break
            reached = step
        first = next(iter(self.fits.values())).glance()
        return first[["rows", "groups", "smallest_group", "rows_dropped", "convention"]].assign(reached=reached)


def _comparison(loose: Mapping[str, float], strict: Mapping[str, float]) -> dict[str, Any]:
    """Loss of fit of a step."""
    from scipy.special import chdtrc

    statistic, df = strict["chisq"] - loose["chisq"], strict["df"] - loose["df"]
    factor = (strict["df"] * strict["scaling_factor"] - loose["df"] * loose["scaling_factor"]) / df
    scaled = statistic / factor if factor > 0 else np.nan
    cfi, rmsea = strict["cfi"] - loose["cfi"], strict["rmsea"] - loose["rmsea"]
    return {
        "chisq_difference": statistic,
        "df_difference": df,
        "p_difference": float(chdtrc(df, max(statistic, 0.0))),
        "chisq_difference_scaled": scaled,
        "p_difference_scaled": float(chdtrc(df, max(scaled, 0.0))) if np.isfinite(scaled) else np.nan,
        "cfi_change": cfi,
        "rmsea_change": rmsea,
        "holds": bool(cfi >= -0.010 and rmsea <= 0.015),
    }


def measurement_invariance(
    frame: pd.DataFrame,
    factors: Mapping[str, Sequence[str]],
    *,
    group: str,
    steps: Sequence[str] = ("configural", "metric", "scalar", "strict"),
    cluster: str | None = None,
    robust: bool = True,
) -> Invariance:
    """Test, step by step, whether items measure the same in all groups.

    Parameters
    ----------
    frame : DataFrame
        One row per case.
    factors : mapping of factor to items
    group : str
        Column of the groups (two or more).
    steps : sequence of {"configural", "metric", "scalar", "strict"}
    cluster : str, optional
    robust : bool, default True
        As for `factor_model`: concerns the errors of the estimates only. False is many times faster with many groups;
        the scaled statistics are the same.

    Returns
    -------
    Invariance

    Raises
    ------
    ModelError
        As `factor_model`; also if there is one group only or a step is unknown.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(3)
    >>> f = rng.normal(size=900)
    >>> frame = pd.DataFrame({name: 0.8 * f + 0.6 * rng.normal(size=900) for name in "abcd"})
    >>> result = measurement_invariance(frame.assign(g=np.arange(900) % 3), {"f": list("abcd")}, group="g")
    >>> result.glance()["reached"].item()
    'strict'
    """
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise ModelError(f"unknown step {unknown[0]!r}; the steps are {', '.join(STEPS)}")
    if frame[group].nunique() < 2:
        raise ModelError(f"column {group!r} has one group only")
    fits = {
        step: factor_model(frame, factors, group=group, equal=STEPS[step], cluster=cluster, robust=robust)
        for step in steps
    }
    return Invariance(fits)
