"""Confirmatory factor models by maximum likelihood, in one or several groups.

The numbers are made in `bipstudy.models.confirmatory`; here a model written as factors and their items becomes a
structure, and its fit gets errors and the usual measures.

References
----------
Steiger, J. H. (1998). A note on multiple sample extensions of the RMSEA fit index. Structural Equation Modeling 5,
411-419. Bentler, P. M. (1990). Comparative fit indexes in structural models. Psychological Bulletin 107, 238-246.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.confirmatory import (
    FactorStructure,
    GroupData,
    StructureFit,
    fit_structure,
    group_data,
    matrices,
    scaling,
    scores_of,
)
from bipstudy.models.covariance import ModelError, group_sums
from bipstudy.models.estimates import Errors, Estimates

__all__ = ["Equal", "FactorModel", "factor_model"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Equal = Literal["loadings", "intercepts", "residuals"]


@dataclass(frozen=True, kw_only=True)
class FactorModel(Estimates):
    """A fitted factor model.

    `tidy` gives the free parameters: ``factor=~item`` (loading), ``item~~item`` (residual variance),
    ``factor~~factor``, ``item~1`` and ``factor~1``, with the group in brackets where it has its own.

    Attributes
    ----------
    measures : mapping of str to float
        ``chisq, df, p_value, scaling_factor, chisq_scaled, p_value_scaled, cfi, tli, rmsea, srmr, log_likelihood,
        bic``.
    rows, rows_dropped : int
        Complete cases, and cases left out because an answer is missing.
    groups : tuple of str
    sizes : tuple of int
    influence : array of shape (rows, parameters), or None
        What each complete case adds to each estimate, cases in the order of the groups; None where errors rest on
        normal answers.
    """

    measures: Mapping[str, float] = field(default_factory=dict)
    rows: int = 0
    rows_dropped: int = 0
    groups: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    influence: Floats | None = None

    def glance(self) -> pd.DataFrame:
        """One row about the fit.

        Returns
        -------
        DataFrame
        """
        row: dict[str, Any] = {
            "model": "confirmatory factor analysis, ML",
            "rows": self.rows,
            "groups": len(self.groups),
            "smallest_group": min(self.sizes),
            "rows_dropped": self.rows_dropped,
            "parameters": len(self.terms),
            **self.measures,
            "convention": self.errors.text,
        }
        return pd.DataFrame({name: [value] for name, value in row.items()})


def factor_model(
    frame: pd.DataFrame,
    factors: Mapping[str, Sequence[str]],
    *,
    group: str | None = None,
    equal: Sequence[Equal] = (),
    robust: bool = True,
    cluster: str | None = None,
    small_sample: Literal["stata", "none"] = "stata",
) -> FactorModel:
    """Fit a confirmatory factor model by maximum likelihood, in one or several groups.

    Parameters
    ----------
    frame : DataFrame
        One row per case; rows with a missing answer are left out and counted.
    factors : mapping of factor to items
        Each item belongs to one factor. Factors may be related.
    group : str, optional
        Column of the groups.
    equal : sequence of {"loadings", "intercepts", "residuals"}
        What is the same in all groups.
    robust : bool, default True
        Errors that hold for answers of any distribution (sandwich with observed information); else from the expected
        information under normality.
    cluster : str, optional
        Column of clusters for robust errors and the scaled statistic.
    small_sample : {"stata", "none"}
        Factor of clustered errors: G / (G - 1), as in lavaan, or none. The scaled statistic has none.

    Returns
    -------
    FactorModel

    Raises
    ------
    ModelError
        If the model is not identified, an item does not vary in a group, a group has too few cases, or there is no
        minimum.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(3)
    >>> f = rng.normal(size=500)
    >>> frame = pd.DataFrame({name: 0.8 * f + 0.6 * rng.normal(size=500) for name in "abcd"})
    >>> fit = factor_model(frame, {"f": list("abcd")})
    >>> fit.glance()[["rows", "df"]].values.tolist()
    [[500.0, 2.0]]
    >>> bool(abs(fit.tidy()["estimate"].iloc[0] - 0.8) < 0.1)
    True
    """
    items = [item for members in factors.values() for item in members]
    if len(set(items)) != len(items):
        raise ModelError("an item belongs to one factor only")
    used = frame[[*items, *(name for name in (group, cluster) if name)]].dropna()
    codes, labels = (
        (np.zeros(len(used), dtype=np.int64), [""]) if group is None else pd.factorize(used[group], sort=True)
    )
    values = used[items].to_numpy(dtype=np.float64)
    data = group_data([values[codes == g] for g in range(len(labels))])
    structure, terms = _structure(factors, items, [str(label) for label in labels], equal)
    fit = fit_structure(structure, data, _start(structure, data))
    clusters = None
    if cluster is not None:
        whole = np.asarray(pd.factorize(used[cluster], sort=True)[0], dtype=np.int64)
        clusters = [whole[codes == g] for g in range(len(labels))]
    covariance, errors, influence = _covariance(structure, data, fit, robust, cluster, clusters, small_sample)
    total = scaling(structure, data, fit, clusters)
    return FactorModel(
        terms=terms,
        estimates=fit.estimates,
        covariance=covariance,
        errors=errors,
        measures=_measures(structure, data, fit.estimates, fit.discrepancy, total),
        rows=len(used),
        rows_dropped=len(frame) - len(used),
        groups=tuple(str(label) for label in labels),
        sizes=tuple(int(size) for size in data.sizes),
        influence=influence,
    )


class _Layout:
    """Collects free elements, giving those that are equal one number."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.groups = groups
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.terms: list[str] = []

    def free(self, kind: int, row: int, column: int, term: str, equal: bool, only: Sequence[int] | None = None) -> None:
        """Add an element of every group (or of those in `only`)."""
        chosen = range(len(self.groups)) if only is None else only
        for place, g in enumerate(chosen):
            if place == 0 or not equal:
                own = f"{term} [{self.groups[g]}]" if not equal and len(self.groups) > 1 else term
                self.terms.append(own)
            self.rows.append((kind, g, row, column, len(self.terms) - 1))


def _structure(
    factors: Mapping[str, Sequence[str]], items: Sequence[str], groups: Sequence[str], equal: Sequence[Equal]
) -> tuple[FactorStructure, tuple[str, ...]]:
    """Structure and names of the free parameters."""
    layout = _Layout(groups)
    names, later = list(factors), list(range(1, len(groups)))
    place = 0
    for column, members in enumerate(factors.values()):
        for _ in members:
            layout.free(0, place, column, f"{names[column]}=~{items[place]}", "loadings" in equal)
            place += 1
    for row, item in enumerate(items):
        layout.free(1, row, row, f"{item}~~{item}", "residuals" in equal)
    for row, first in enumerate(names):
        for column in range(row + 1, len(names)):
            layout.free(2, row, column, f"{first}~~{names[column]}", False)
    for row, item in enumerate(items):
        layout.free(3, row, row, f"{item}~1", "intercepts" in equal)
    # What equality across groups identifies is free in every group but the first.
    for kind, mark, equality in ((2, "~~{0}", "loadings"), (4, "~1", "intercepts")):
        if equality in equal and later:
            for row, name in enumerate(names):
                layout.free(kind, row, row, name + mark.format(name), False, later)
    ones = [0] if "loadings" in equal else range(len(groups))
    table = np.array(layout.rows, dtype=np.int64)
    fixed = np.array([(g, factor) for g in ones for factor in range(len(names))], dtype=np.int64)
    structure = FactorStructure(
        kind=table[:, 0],
        group=table[:, 1],
        row=table[:, 2],
        column=table[:, 3],
        parameter=table[:, 4],
        fixed_ones=fixed,
        items=len(items),
        factors=len(names),
        groups=len(groups),
        parameters=len(layout.terms),
    )
    return structure, tuple(layout.terms)


def _start(structure: FactorStructure, data: GroupData) -> Floats:
    """Give starting values: half of each variance common, loadings signed as the first item of the factor."""
    start = np.zeros(structure.parameters)
    pooled = sum(w * s for w, s in zip(data.sizes / data.sizes.sum(), data.covariances, strict=True))
    center = sum(w * m for w, m in zip(data.sizes / data.sizes.sum(), data.means, strict=True))
    leader: dict[int, int] = {}
    for kind, row, column, number in zip(
        structure.kind, structure.row, structure.column, structure.parameter, strict=True
    ):
        variance = pooled[row, row]
        if kind == 0:
            first = leader.setdefault(int(column), int(row))
            sign = 1.0 if pooled[row, first] >= 0 else -1.0
            start[number] = sign * np.sqrt(0.5 * variance)
        elif kind == 1:
            start[number] = 0.5 * variance
        elif kind == 2 and row == column:
            start[number] = 1.0
        elif kind == 3:
            start[number] = center[row]
    return start


def _covariance(
    structure: FactorStructure,
    data: GroupData,
    fit: StructureFit,
    robust: bool,
    cluster: str | None,
    clusters: Sequence[Ints] | None,
    small_sample: Literal["stata", "none"],
) -> tuple[Floats, Errors, Floats | None]:
    """Covariance of the estimates, the convention in words, and what each case adds to the estimates."""
    total = data.sizes.sum()
    if not robust and cluster is None:
        words = "expected information, normal answers, independent rows"
        return np.linalg.inv(fit.information) / total, Errors(text=words), None
    scores, observed = scores_of(structure, data, fit.estimates)
    bread = np.linalg.inv(observed) / total
    influence = scores @ bread
    if cluster is None or clusters is None:
        return bread @ (scores.T @ scores) @ bread, Errors(text="sandwich, independent rows assumed"), influence
    codes = np.unique(np.concatenate(clusters), return_inverse=True)[1].astype(np.int64)
    count = int(codes.max()) + 1
    if count < 2:
        raise ModelError("clustered errors need at least two clusters")
    sums = group_sums(scores, codes, count)
    factor, words = (
        (1.0, "no small-sample factor") if small_sample == "none" else (count / (count - 1.0), "factor G/(G-1)")
    )
    errors = Errors((cluster,), small_sample, (count,), text=f"clustered by {cluster} ({count}); {words}")
    return factor * bread @ (sums.T @ sums) @ bread, errors, influence


def _measures(
    structure: FactorStructure, data: GroupData, estimates: Floats, discrepancy: float, scaled_total: float
) -> dict[str, float]:
    """Fit measures, as defined in the references."""
    from scipy.special import chdtrc

    p, groups, total = structure.items, structure.groups, float(data.sizes.sum())
    chisq, df = total * discrepancy, groups * (p + p * (p + 1) / 2) - structure.parameters
    logdets = np.array([np.linalg.slogdet(s)[1] for s in data.covariances])
    own = np.array([np.log(np.diag(s)).sum() for s in data.covariances])
    base, base_df = float(data.sizes @ (own - logdets)), groups * p * (p - 1) / 2
    saturated = -0.5 * float(data.sizes @ (p * np.log(2 * np.pi) + logdets + p))
    log_likelihood = saturated - 0.5 * chisq
    excess, base_excess = max(chisq - df, 0.0), max(base - base_df, chisq - df, 0.0)
    factor = scaled_total / df if df > 0 else np.nan
    return {
        "chisq": chisq,
        "df": df,
        "p_value": float(chdtrc(df, max(chisq, 0.0))) if df > 0 else np.nan,
        "scaling_factor": factor,
        "chisq_scaled": chisq / factor if df > 0 else np.nan,
        "p_value_scaled": float(chdtrc(df, max(chisq / factor, 0.0))) if df > 0 else np.nan,
        "cfi": 1.0 - excess / base_excess if base_excess > 0 else 1.0,
        "tli": ((base / base_df) - (chisq / df)) / ((base / base_df) - 1.0) if df > 0 else np.nan,
        "rmsea": float(np.sqrt(groups * excess / (df * total))) if df > 0 else 0.0,
        "srmr": _srmr(structure, data, estimates),
        "log_likelihood": log_likelihood,
        "bic": -2.0 * log_likelihood + structure.parameters * np.log(total),
    }


def _srmr(structure: FactorStructure, data: GroupData, estimates: Floats) -> float:
    """Standardised root mean squared residual of covariances and means, averaged over groups."""
    p, value = structure.items, 0.0
    lower = np.tril_indices(p)
    for g, part in enumerate(matrices(structure, estimates)):
        size = np.sqrt(np.diag(data.covariances[g]))
        gap = ((data.covariances[g] - part.covariance) / np.outer(size, size))[lower]
        means = (data.means[g] - part.expectation) / size
        value += data.sizes[g] / data.sizes.sum() * np.sqrt((gap @ gap + means @ means) / (gap.size + p))
    return float(value)
