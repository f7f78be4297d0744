"""Reliability of a scale.

Every coefficient here is a smooth function of means and products, so its error comes from the influence of each case
on it: the sum of squared influences (of clusters, where cases are clustered). No normality of the answers is assumed.

References
----------
Cronbach, L. J. (1951). Coefficient alpha and the internal structure of tests. Psychometrika 16, 297-334.
Maydeu-Olivares, A., Coffman, D. L. and Hartmann, W. M. (2007). Asymptotically distribution-free interval estimation for
coefficient alpha. Psychological Methods 12, 157-176. McDonald, R. P. (1999). Test Theory, chapter 6 (omega).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, encode_groups
from bipstudy.models.factor_models import factor_model
from bipstudy.models.polychorics import influence_error
from bipstudy.models.tidy import tidy_frame

__all__ = ["Reliability", "complete_rows", "reliability"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Reliability of a sum of items.

    Attributes
    ----------
    terms : tuple of str
        ``alpha, alpha_standardised, omega``.
    estimates, std_errors : arrays
    item_table : DataFrame
        By item: ``item, mean, sd, missing, item_rest, item_rest_error, alpha_without, loading``; `loading` is
        standardised.
    rows, rows_dropped : int
        Complete cases, and the rest.
    clusters : int or None
    notes : tuple of str
    influence : mapping of str to array of shape (rows,)
        By term, what each complete case adds to it.
    """

    terms: tuple[str, ...]
    estimates: Floats
    std_errors: Floats
    item_table: pd.DataFrame
    rows: int
    rows_dropped: int
    clusters: int | None
    notes: tuple[str, ...] = ()
    influence: Mapping[str, Floats] = field(default_factory=dict)

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Coefficients with intervals, made on the scale of ``log(1 - coefficient)``.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        table = tidy_frame(self.terms, self.estimates, self.std_errors, level=level)
        gap = 1.0 - self.estimates
        ends = tidy_frame(self.terms, np.log(gap), self.std_errors / gap, level=level)
        return table.assign(conf_low=1.0 - np.exp(ends["conf_high"]), conf_high=1.0 - np.exp(ends["conf_low"]))

    def glance(self) -> pd.DataFrame:
        """One row about the scale.

        Returns
        -------
        DataFrame
        """
        convention = (
            "independent rows assumed" if self.clusters is None else f"clustered ({self.clusters}); factor G/(G-1)"
        )
        row = {
            "model": "reliability",
            "items": len(self.item_table),
            "rows": self.rows,
            "rows_dropped": self.rows_dropped,
        }
        return pd.DataFrame([row | {"convention": convention}])


def reliability(frame: pd.DataFrame, items: Sequence[str], *, cluster: str | None = None) -> Reliability:
    """Estimate the reliability of a sum of items: alpha, omega, and what each item adds.

    Parameters
    ----------
    frame : DataFrame
        One row per case; rows with a missing answer are left out and counted.
    items : sequence of str
        Three or more columns, all in the same direction.
    cluster : str, optional
        Column of clusters for the errors.

    Returns
    -------
    Reliability
        Omega is total omega of one common factor, ``(sum of loadings)^2 / ((sum of loadings)^2 + sum of residual
        variances)``, fitted by maximum likelihood.

    Raises
    ------
    ModelError
        If there are fewer than three items or an item does not vary.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(3)
    >>> f = rng.normal(size=800)
    >>> frame = pd.DataFrame({name: f + rng.normal(size=800) for name in "abcd"})
    >>> reliability(frame, list("abcd")).tidy()[["term", "estimate"]].round(1).values.tolist()
    [['alpha', 0.8], ['alpha_standardised', 0.8], ['omega', 0.8]]
    """
    names = list(items)
    if len(names) < 3:
        raise ModelError("reliability needs at least three items")
    used, groups = complete_rows(frame, names, cluster)
    values = used[names].to_numpy(dtype=np.float64)
    if np.any(values.std(axis=0) == 0.0):
        raise ModelError(f"{names[int(np.argmin(values.std(axis=0)))]} does not vary")
    deviations = values - values.mean(axis=0)
    standard = deviations / deviations.std(axis=0)
    alpha, by_case = _alpha(deviations)
    standardised, by_case_standardised = _alpha_standardised(standard)
    omega, omega_error, loadings, by_case_omega = _omega(used, names, cluster)
    errors = [influence_error(by_case, groups), influence_error(by_case_standardised, groups), omega_error]
    table, notes = _item_table(frame, used, names, deviations, groups)
    return Reliability(
        terms=("alpha", "alpha_standardised", "omega"),
        estimates=np.array([alpha, standardised, omega]),
        std_errors=np.array(errors),
        item_table=table.assign(loading=loadings / values.std(axis=0)),
        rows=len(used),
        rows_dropped=len(frame) - len(used),
        clusters=None if groups is None else int(groups.max()) + 1,
        notes=notes,
        influence={
            "alpha": by_case / len(used),
            "alpha_standardised": by_case_standardised / len(used),
            "omega": by_case_omega,
        },
    )


def complete_rows(frame: pd.DataFrame, names: Sequence[str], cluster: str | None) -> tuple[pd.DataFrame, Ints | None]:
    """Complete rows and the number of each row's cluster."""
    wanted = [*names, *([cluster] if cluster else [])]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(repr(name) for name in absent)}")
    used = frame[wanted].dropna()
    if len(used) < 3:
        raise ModelError("fewer than three rows are complete")
    return used, None if cluster is None else encode_groups(used[cluster], cluster)[0]


def _alpha(deviations: Floats) -> tuple[float, Floats]:
    """Alpha, and the influence of each case on it."""
    p = deviations.shape[1]
    own, total = (deviations**2).sum(axis=1), deviations.sum(axis=1) ** 2
    parts, whole = own.mean(), total.mean()
    factor = p / (p - 1.0)
    return float(factor * (1.0 - parts / whole)), factor / whole * (total * parts / whole - own)


def _alpha_standardised(standard: Floats) -> tuple[float, Floats]:
    """Alpha of the standardised items, and the influence of each case on it (standard deviations estimated)."""
    n, p = standard.shape
    correlation = standard.T @ standard / n
    total = correlation.sum()
    # d r_ij = z_i z_j - r_ij (z_i^2 + z_j^2) / 2, added over all pairs.
    by_case = standard.sum(axis=1) ** 2 - standard**2 @ correlation.sum(axis=1)
    return float(p / (p - 1.0) * (1.0 - p / total)), p**2 / (p - 1.0) / total**2 * by_case


def _omega(used: pd.DataFrame, names: list[str], cluster: str | None) -> tuple[float, float, Floats, Floats]:
    """Omega, its error by the delta method, the loadings, and what each case adds to omega."""
    fit = factor_model(used, {"common": names}, cluster=cluster)
    p = len(names)
    loadings, residuals = fit.estimates[:p], fit.estimates[p : 2 * p]
    common, unique = loadings.sum() ** 2, residuals.sum()
    slope = (
        np.concatenate(
            [np.full(p, 2.0 * loadings.sum() * unique), np.full(p, -common), np.zeros(len(fit.estimates) - 2 * p)]
        )
        / (common + unique) ** 2
    )
    error = np.sqrt(slope @ fit.covariance @ slope)
    assert fit.influence is not None
    return float(common / (common + unique)), float(error), loadings, fit.influence @ slope


def _item_table(
    frame: pd.DataFrame, used: pd.DataFrame, names: list[str], deviations: Floats, groups: Ints | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Tell what each item adds."""
    rows = []
    for place, name in enumerate(names):
        others = np.delete(deviations, place, axis=1)
        rest = others.sum(axis=1)
        x, t = deviations[:, place] / deviations[:, place].std(), rest / rest.std()
        r = float((x * t).mean())
        influence = x * t - 0.5 * r * (x**2 + t**2)
        rows.append(
            {
                "item": name,
                "mean": float(used[name].mean()),
                "sd": float(used[name].std()),
                "missing": float(frame[name].isna().mean()),
                "item_rest": r,
                "item_rest_error": influence_error(influence, groups),
                "alpha_without": _alpha(others)[0],
            }
        )
    table = pd.DataFrame(rows)
    against = table.loc[table["item_rest"] < 0, "item"]
    notes = tuple(f"{item} runs against the other items: turn it round, or leave it out" for item in against)
    return table, notes
