"""Least squares with absorbed effects: linear probability models and any other numeric response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.absorb import absorb, is_nested, singletons
from bipstudy.models.covariance import ModelError, ProductScores, SmallSample, encode_groups
from bipstudy.models.design import INTERCEPT, Design, DesignSpec, Weights, build_design, group_codes
from bipstudy.models.estimates import Fit, RowSource
from bipstudy.models.solving import inverse, name_terms

__all__ = ["LeastSquares", "LinearFit", "least_squares", "linear_probability"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# A column of which absorbing leaves less than this share of its squared deviations is explained by the effects.
ABSORBED = 1e-12
# Up to this condition number of the scaled cross-product, one refinement step gives what an orthogonal factor gives.
WELL_CONDITIONED = 1e8


@dataclass(frozen=True)
class LeastSquares:
    """Solution of a least-squares problem.

    Attributes
    ----------
    kept : list of int, length k
        Columns that are not collinear with those before them.
    beta : array of shape (k,) or (k, r)
    bread : array of shape (k, k)
        Inverse of X'WX.
    residuals : array of shape (n,) or (n, r)
    """

    kept: list[int]
    beta: FloatArray
    bread: FloatArray
    residuals: FloatArray


def least_squares(*, matrix: FloatArray, response: FloatArray, weights: FloatArray | None = None) -> LeastSquares:
    """Weighted least squares, columns that are collinear with those before them left out.

    Well-conditioned problems are solved by the cross-product with one step of refinement, others by an orthogonal
    factor.

    Parameters
    ----------
    matrix : array of shape (n, k)
    response : array of shape (n,) or (n, r)
        One or several; coefficients and residuals then have a column for each.
    weights : array of shape (n,), optional

    Returns
    -------
    LeastSquares

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> least_squares(matrix=x, response=np.array([1.0, 3.0, 5.0])).beta.round(9).tolist()
    [1.0, 2.0]
    """
    root = None if weights is None else np.sqrt(weights)
    scaled = matrix if root is None else matrix * root[:, None]
    target = response if root is None else (response.T * root).T
    gram = scaled.T @ scaled
    length = np.sqrt(np.diag(gram))
    unit = gram / np.outer(np.where(length > 0.0, length, 1.0), np.where(length > 0.0, length, 1.0))
    values = np.linalg.eigvalsh(unit) if len(unit) else np.ones(1)
    if values[0] > values[-1] / WELL_CONDITIONED:
        bread = inverse(gram)
        beta = bread @ (scaled.T @ target)
        beta = beta + bread @ (scaled.T @ (target - scaled @ beta))
        kept = list(range(matrix.shape[1]))
    else:
        kept, beta, bread = _by_orthogonal_factor(scaled, target, length)
    return LeastSquares(kept, beta, bread, response - matrix[:, kept] @ beta)


def _by_orthogonal_factor(
    scaled: FloatArray, target: FloatArray, length: FloatArray
) -> tuple[list[int], FloatArray, FloatArray]:
    """Least squares by a QR factor of columns scaled to unit length."""
    unit = scaled / np.where(length > 0.0, length, 1.0)
    found = _independent(np.asarray(np.linalg.qr(unit, mode="r")))
    if not found:
        raise ModelError("no term varies")
    orthogonal, upper = np.linalg.qr(unit[:, found])
    root = np.linalg.inv(upper) / length[found][:, None]
    beta = root @ (orthogonal.T @ target)
    beta = beta + root @ (orthogonal.T @ (target - scaled[:, found] @ beta))
    return found, beta, root @ root.T


def _independent(upper: FloatArray, tolerance: float = 1e-11) -> list[int]:
    """Columns of a triangular factor that are no combination of those before them, by Gram and Schmidt, twice."""
    basis = np.zeros((len(upper), 0))
    found: list[int] = []
    for column in range(upper.shape[1]):
        left = upper[:, column]
        for _ in range(2):
            left = left - basis @ (basis.T @ left)
        size = float(np.linalg.norm(left))
        if size > tolerance:
            basis = np.column_stack([basis, left / size])
            found.append(column)
    return found


@dataclass(frozen=True, kw_only=True)
class LinearFit(Fit):
    """A linear model.

    Attributes
    ----------
    residuals : array of shape (n,)
    effects : tuple of integer arrays of shape (n,)
        Levels of the absorbed effects.
    design : DesignSpec or None
        None if effects were absorbed: the levels then have no prediction.
    """

    residuals: FloatArray
    effects: tuple[IntArray, ...] = ()
    design: DesignSpec | None = None
    weights: FloatArray | None = None

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Fitted values for the rows of `frame`, shape (rows,).

        Raises
        ------
        ModelError
            If effects were absorbed, a column is absent, a value is missing or a level is new.
        """
        if self.design is None:
            raise ModelError("a model with absorbed effects predicts differences, not levels")
        return np.asarray(self.design.matrix(frame) @ self.estimates)

    def _parameters_counted(self, codes: Sequence[IntArray], convention: SmallSample) -> int:
        """K of the small-sample factor; see `linear_probability`."""
        if not self.effects or convention in ("sandwich", "none"):
            return self.parameters
        levels = [int(effect.max()) + 1 for effect in self.effects]
        nested = [any(is_nested(effect, cluster) for cluster in codes) for effect in self.effects]
        inside = sum(level - 1 for level, is_inside in zip(levels, nested, strict=True) if is_inside)
        return len(self.terms) + sum(levels) - (len(levels) - 1) - inside

    def _naive_text(self) -> str:
        """Words for errors without clusters."""
        weighted = "; weights taken as inverse variances" if self.weights is not None else ""
        return f"independent rows of equal variance assumed{weighted}"


def linear_probability(
    frame: pd.DataFrame,
    formula: str,
    weights: Weights = None,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    *,
    person: str | None = None,
) -> LinearFit:
    r"""Linear model by least squares, with up to three absorbed effects.

    :math:`y = x'\beta + \alpha_{a(i)} + \gamma_{b(i)} + \dots`; for a response of 0 and 1 the coefficients are
    differences in probability. Any numeric response will do. Absorbed effects may be pairs of columns, ``a:b``. Rows
    that are alone in a level of an absorbed effect say nothing about :math:`\beta` and would make clustered errors
    too small; they are dropped, again until none is left, and counted (``rows_alone`` of `glance`).

    Without clusters the covariance is :math:`s^2 (X'WX)^{-1}` with N - K degrees of freedom, K counting every
    parameter that the absorbed effects use. Clustered errors use t with G - 1 degrees of freedom (the smallest G)
    under ``stata`` and ``fixest``, N - K under ``sandwich`` and the normal under ``none``. Under ``stata`` and
    ``fixest`` K counts the terms plus the levels of the absorbed effects, less one for every effect but the first; an
    effect nested in a cluster counts once.

    Parameters
    ----------
    frame : DataFrame
    formula : str
        ``"y ~ x1 + x2 | person + quarter"``.
    weights : str or array of shape (rows,), optional
        Inverse variances (or any weights, with clustered errors).
    cluster : str or list of up to two str, optional
    small_sample : {"stata", "none", "fixest", "sandwich"}
        See `bipstudy.models.covariance.clustered_covariance`.
    person : str, optional
        Column that tells persons apart, counted in `glance`.

    Returns
    -------
    LinearFit

    Raises
    ------
    ModelError
        If no term is left, rows are fewer than parameters, or a column is absent.

    References
    ----------
    Correia, S. (2015). Singletons, cluster-robust standard errors and fixed effects: a bad mix.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2, 4, 9, 11, 12], "x": [0, 1, 2, 0, 1, 2], "g": list("aaabbb")})
    >>> fit = linear_probability(frame, "y ~ x | g")
    >>> fit.tidy()[["term", "estimate"]].round(6).values.tolist()
    [['x', 1.5]]
    """
    design = build_design(
        frame, formula, weights=weights, cluster=cluster, needs=[person], intercept="|" not in formula
    )
    if design.response is None:
        raise ModelError("the formula needs a left side: 'y ~ terms'")
    if design.parts.instruments:
        raise ModelError("a part 'endogenous ~ instruments' belongs to instrumental()")
    if len(design.parts.absorbed) > 3:
        raise ModelError(f"up to three effects can be absorbed, got {len(design.parts.absorbed)}")
    design, effects, alone = _without_singletons(design)
    fit = _absorbed_fit(design, effects, alone) if effects else _plain_fit(design)
    if person is not None:
        fit = replace(fit, persons=int(design.frame[person].nunique()))
    return fit.with_errors(cluster=cluster, small_sample=small_sample)


def _without_singletons(design: Design) -> tuple[Design, list[IntArray], int]:
    """Take from the design rows that are alone in a level; also the levels and how many went."""
    effects = [group_codes(design.frame, term)[0] for term in design.parts.absorbed]
    if not effects:
        return design, [], 0
    alone = singletons(effects)
    if not alone.any():
        return design, effects, 0
    if alone.all():
        raise ModelError("every row is alone in a level of an absorbed effect")
    kept = np.flatnonzero(~alone)
    positions = kept if design.source.positions is None else design.source.positions[kept]
    smaller = replace(
        design,
        matrix=design.matrix[kept],
        response=None if design.response is None else design.response[kept],
        weights=None if design.weights is None else design.weights[kept],
        source=RowSource(design.source.frame, positions, design.source.given),
        frame=design.frame.iloc[kept].reset_index(drop=True),
    )
    return smaller, [encode_groups(effect[kept], "effect")[0] for effect in effects], int(alone.sum())


def _plain_fit(design: Design) -> LinearFit:
    """Fit without absorbed effects."""
    assert design.response is not None
    solution = least_squares(matrix=design.matrix, response=design.response, weights=design.weights)
    matrix = design.matrix if len(solution.kept) == design.matrix.shape[1] else design.matrix[:, solution.kept]
    has_intercept = INTERCEPT in design.terms
    return _assemble(design, solution, matrix, design.response, has_intercept, (), 0, 0)


def _absorbed_fit(design: Design, effects: Sequence[IntArray], alone: int) -> LinearFit:
    """Fit on columns from which the effects were taken."""
    assert design.response is not None
    if not design.terms:
        raise ModelError("the formula has no term beside the absorbed effects")
    # Deviations from the mean first: rounding is then relative to the spread, not to the level.
    centre = np.average(design.matrix, axis=0, weights=design.weights)
    columns = np.column_stack(
        [design.response - np.average(design.response, weights=design.weights), design.matrix - centre]
    )
    before = np.einsum("ij,ij->j", columns, columns)[1:]
    taken = absorb(columns, effects, design.weights)
    response, matrix = taken.columns[:, 0], taken.columns[:, 1:]
    left = np.einsum("ij,ij->j", matrix, matrix)
    varying = np.flatnonzero(left > ABSORBED * before)
    if len(varying) == 0:
        raise ModelError("the absorbed effects explain every term")
    inner = least_squares(matrix=np.ascontiguousarray(matrix[:, varying]), response=response, weights=design.weights)
    solution = replace(inner, kept=[int(varying[place]) for place in inner.kept])
    matrix = np.ascontiguousarray(matrix[:, solution.kept])
    return _assemble(design, solution, matrix, response, True, tuple(effects), taken.parameters, alone)


def _assemble(
    design: Design,
    solution: LeastSquares,
    matrix: FloatArray,
    response: FloatArray,
    has_mean: bool,
    effects: tuple[IntArray, ...],
    absorbed: int,
    alone: int,
) -> LinearFit:
    """Fit with errors of independent rows."""
    rows, parameters = len(response), len(solution.kept) + absorbed
    if rows <= parameters:
        raise ModelError(f"{rows} rows cannot carry {parameters} parameters")
    assert design.response is not None
    weights = np.ones(rows) if design.weights is None else design.weights
    squares = float(weights @ solution.residuals**2)
    terms = tuple(design.terms[place] for place in solution.kept)
    dropped = [term for term in design.terms if term not in terms]
    notes: tuple[str, ...] = (f"collinear with terms before them, left out: {name_terms(dropped)}",) if dropped else ()
    if alone:
        notes += (f"{alone} rows are alone in a level of an absorbed effect and were dropped",)
    centre = float(weights @ design.response) / float(weights.sum()) if has_mean else 0.0
    total = float(weights @ (design.response - centre) ** 2)
    statistics = {"r_squared": 1.0 - squares / total if total > 0.0 else np.nan, "rows_alone": alone}
    if effects:
        within = float(weights @ response**2)
        statistics["r_squared_within"] = 1.0 - squares / within if within > 0.0 else np.nan
    naive = squares / (rows - parameters) * solution.bread
    return LinearFit(
        model="linear" + (f" with absorbed {' + '.join(design.parts.absorbed)}" if effects else ""),
        family="linear",
        terms=terms,
        estimates=solution.beta,
        covariance=naive,
        naive=naive,
        bread=solution.bread,
        scores=ProductScores(matrix, weights * solution.residuals),
        source=design.source,
        parameters=parameters,
        degrees_naive=float(rows - parameters),
        log_likelihood=_log_likelihood(squares, weights),
        statistics=statistics,
        notes=notes,
        residuals=solution.residuals,
        effects=effects,
        design=None if effects else design.spec.keeping(solution.kept),
        weights=design.weights,
    )


def _log_likelihood(squares: float, weights: FloatArray) -> float:
    """Gaussian log-likelihood with the variance at its maximum."""
    rows = len(weights)
    if squares <= 0.0:
        return np.inf
    return float(0.5 * np.log(weights).sum() - 0.5 * rows * (np.log(2.0 * np.pi * squares / rows) + 1.0))
