"""From a frame and a formula to arrays, and back for new data.

Additive formulas of plain columns and ``C(column)`` are written straight into one matrix; everything else goes through
formulaic. Both give the same names and numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, cluster_names, combine_codes, encode_groups
from bipstudy.models.estimates import RowSource
from bipstudy.models.formula import FormulaParts, names_in, parsed, split_formula
from bipstudy.models.solving import BLOCK

__all__ = ["Design", "DesignSpec", "build_design", "group_codes"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Weights: TypeAlias = str | npt.ArrayLike | None
INTERCEPT = "Intercept"


@dataclass(frozen=True)
class _Factor:
    """A plain column of the matrix, or the dummies of one; `levels` is None for a number."""

    label: str
    column: str
    levels: pd.Index | None = None
    full: bool = False

    @property
    def names(self) -> list[str]:
        """Names of its columns in the matrix."""
        if self.levels is None:
            return [self.label]
        if self.full:
            return [f"{self.label}[{level}]" for level in self.levels]
        return [f"{self.label}[T.{level}]" for level in self.levels[1:]]


@dataclass(frozen=True)
class DesignSpec:
    """How to build the matrix of a fit again for other rows.

    Attributes
    ----------
    formula : str
        Right side.
    variables : tuple of str
        Columns of the frame that the formula reads.
    names : tuple of str
        Every column the formula makes, before any was left out.
    kept : array of int
        Positions in `names` of the terms in the fit.
    """

    formula: str
    variables: tuple[str, ...]
    names: tuple[str, ...]
    kept: IntArray
    factors: tuple[_Factor, ...] | None
    model_spec: Any

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms in the fit."""
        return tuple(self.names[place] for place in self.kept)

    def keeping(self, places: Iterable[int]) -> DesignSpec:
        """Keep only the terms at `places` of the present ones."""
        return replace(self, kept=self.kept[np.asarray(list(places), dtype=np.int64)])

    def matrix(self, frame: pd.DataFrame) -> FloatArray:
        """Design matrix of `frame`, one column per term of the fit.

        Raises
        ------
        ModelError
            If a column is absent, a value is missing or a level was not seen when the model was fitted.
        """
        present = _used_columns(frame, self.variables)
        missing = [name for name in present.columns if present[name].isna().any()]
        if missing:
            raise ModelError(f"missing values in {', '.join(missing)}; drop or impute them first")
        whole = self._whole(_plain_dtypes(present))
        if len(self.kept) == len(self.names):
            return whole
        return np.ascontiguousarray(whole[:, self.kept])

    def _whole(self, frame: pd.DataFrame) -> FloatArray:
        """Matrix with every column the formula makes."""
        if self.factors is not None:
            return _fill(frame, self.factors, len(self.names))
        return _materialise(self.model_spec, frame, self.formula)


@dataclass(frozen=True)
class Design:
    """Arrays for an estimator.

    Attributes
    ----------
    matrix : array of shape (n, k), C order
    terms : tuple of str, length k
    response : array of shape (n,) or None
    weights : array of shape (n,) or None
    source : RowSource
        Frame and rows used.
    spec : DesignSpec
    parts : FormulaParts
    frame : DataFrame of n rows
        The rows used, columns that were asked for, fresh index.
    """

    matrix: FloatArray
    terms: tuple[str, ...]
    response: FloatArray | None
    weights: FloatArray | None
    source: RowSource
    spec: DesignSpec
    parts: FormulaParts
    frame: pd.DataFrame

    def column(self, name: str) -> FloatArray:
        """Column `name` of the rows used, as floats."""
        return np.asarray(self.frame[name].to_numpy(dtype=np.float64, na_value=np.nan))


def build_design(
    frame: pd.DataFrame,
    formula: str | FormulaParts,
    *,
    weights: Weights = None,
    cluster: str | Sequence[str] | None = None,
    needs: Sequence[str | None] = (),
    intercept: bool = True,
    also: Sequence[str] = (),
) -> Design:
    """Arrays of a formula, from the rows where nothing that is used is missing.

    Parameters
    ----------
    frame : DataFrame
        Its index plays no part.
    formula : str or FormulaParts
        Absorbed columns count as used. Instruments do not; give them in `also`.
    weights : str or array of shape (rows of frame,), optional
        Column name or numbers. Rows of weight zero are dropped.
    cluster : str or list of str, optional
        Columns that must not be missing.
    needs : sequence of str
        Further columns that must not be missing; None is passed over.
    intercept : bool, default True
        False: code factors as if there were an intercept, then leave it out (Cox models, absorbed effects).
    also : sequence of str
        Further right sides whose variables must not be missing.

    Returns
    -------
    Design

    Raises
    ------
    ModelError
        If a column is absent, no row is complete, or a number is not finite.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1, 0, 1], "x": [0.5, None, 2.0], "g": ["a", "b", "b"]})
    >>> design = build_design(frame, "y ~ x + g")
    >>> design.terms, design.source.used
    (('Intercept', 'x', 'g[T.b]'), 2)
    """
    parts = split_formula(formula) if isinstance(formula, str) else formula
    right = parsed(parts.terms)
    variables = names_in(right, frame)
    wanted = [*variables, *names_in(parts.response, frame), *cluster_names(cluster), *(name for name in needs if name)]
    wanted += [name.strip() for term in parts.absorbed for name in term.split(":")]
    for side in also:
        wanted += names_in(side, frame)
    columns = _used_columns(frame, wanted)
    weight = _weight_values(frame, weights)
    positions = _complete_rows(columns, weight)
    if positions is not None:
        columns = columns.iloc[positions]
        weight = None if weight is None else weight[positions]
    # A new index on the same data: the rows are not copied again.
    columns = columns.copy(deep=False)
    columns.index = pd.RangeIndex(len(columns))
    columns = _plain_dtypes(columns)
    spec = _make_spec(columns, right, parts.terms, tuple(variables))
    whole = spec._whole(columns)
    if not intercept and INTERCEPT in spec.names:
        kept = [place for place, name in enumerate(spec.names) if name != INTERCEPT]
        spec = replace(spec, kept=np.asarray(kept, dtype=np.int64))
        whole = np.ascontiguousarray(whole[:, kept])
    _check_finite(whole, spec.terms)
    return Design(
        matrix=whole,
        terms=spec.terms,
        response=_response(columns, parts.response),
        weights=weight,
        source=RowSource(frame, positions, len(frame)),
        spec=spec,
        parts=parts,
        frame=columns,
    )


def group_codes(frame: pd.DataFrame, term: str) -> tuple[IntArray, int]:
    """Group numbers of a column, or of the pairs of two columns written ``a:b``, and the number of groups."""
    names = [name.strip() for name in term.split(":")]
    codes, groups = encode_groups(frame[names[0]], names[0])
    for name in names[1:]:
        more, _ = encode_groups(frame[name], name)
        codes, groups = combine_codes(codes, more)
    return codes, groups


def _used_columns(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Take the named columns once each, in order of first mention."""
    ordered = list(dict.fromkeys(names))
    absent = [name for name in ordered if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(repr(name) for name in absent)}")
    return frame[ordered]


def _weight_values(frame: pd.DataFrame, weights: Weights) -> FloatArray | None:
    """Weights as floats, one per row of the frame; missing stays NaN."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if weights not in frame.columns:
            raise ModelError(f"the frame has no column {weights!r} of weights")
        values = frame[weights].to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = np.asarray(weights, dtype=np.float64)
        if values.shape != (len(frame),):
            raise ModelError(f"weights must be one number per row of the frame ({len(frame)}), got {values.shape}")
    if np.any(values < 0.0) or np.any(np.isinf(values)):
        raise ModelError("weights must be finite and not negative")
    return np.asarray(values)


def _complete_rows(columns: pd.DataFrame, weights: FloatArray | None) -> IntArray | None:
    """Positions of rows with nothing missing and positive weight; None if that is all rows."""
    complete = np.ones(len(columns), dtype=bool)
    for name in columns.columns:
        column = columns[name]
        if column.dtype.kind in "iub" and isinstance(column.dtype, np.dtype):
            continue
        absent = np.isnan(column.to_numpy()) if column.dtype == np.float64 else column.isna().to_numpy()
        if absent.any():
            complete &= ~absent
    if weights is not None:
        complete &= weights > 0.0
    if not complete.any():
        raise ModelError("no row of the frame is complete in the columns that the model uses")
    return None if complete.all() else np.flatnonzero(complete)


def _plain_dtypes(columns: pd.DataFrame) -> pd.DataFrame:
    """Nullable and text dtypes as plain ones, categories that do not occur left out."""
    changed: dict[str, Any] = {}
    for name in columns.columns:
        column = columns[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            changed[name] = column.cat.remove_unused_categories()
        elif pd.api.types.is_bool_dtype(column.dtype):
            changed[name] = column.astype(bool)
        elif pd.api.types.is_extension_array_dtype(column.dtype) and pd.api.types.is_integer_dtype(column.dtype):
            changed[name] = column.astype(np.int64)
        elif pd.api.types.is_extension_array_dtype(column.dtype) and pd.api.types.is_float_dtype(column.dtype):
            changed[name] = column.astype(np.float64)
        elif isinstance(column.dtype, pd.StringDtype):
            codes, levels = pd.factorize(column, sort=True)
            changed[name] = pd.Categorical.from_codes(codes, levels.astype(object))
        elif pd.api.types.is_string_dtype(column.dtype):
            changed[name] = pd.Categorical(column.astype(object))
    if not changed:
        return columns
    # The other columns are shared and not copied: nobody writes to them.
    return pd.DataFrame({name: changed.get(name, columns[name]) for name in columns.columns}, columns.index, copy=False)


def _make_spec(columns: pd.DataFrame, right: Any, text: str, variables: tuple[str, ...]) -> DesignSpec:
    """Specification of the matrix, by the short way if the formula allows it."""
    factors = _plain_factors(columns, right)
    if factors is not None:
        names = tuple(name for factor in factors for name in factor.names)
        return DesignSpec(text, variables, names, np.arange(len(names)), factors, None)
    model_spec = _evaluate(right, columns, text).model_spec
    names = tuple(str(name) for name in model_spec.column_names)
    return DesignSpec(text, variables, names, np.arange(len(names)), None, model_spec)


def _plain_factors(columns: pd.DataFrame, right: Any) -> tuple[_Factor, ...] | None:
    """Factors of an additive formula of plain columns and ``C(column)``; None if it is anything else."""
    factors: list[_Factor] = []
    has_intercept = any(str(term) == "1" for term in right)
    spanned = has_intercept
    for term in right:
        if str(term) == "1":
            continue
        if term.degree != 1 or len(term.factors) != 1:
            return None
        label = term.factors[0].expr
        name = label[2:-1].strip() if label.startswith("C(") and label.endswith(")") else label
        if name not in columns.columns or (name != label and label != f"C({name})"):
            return None
        column = columns[name]
        if name == label and not isinstance(column.dtype, pd.CategoricalDtype):
            if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
                return None
            factors.append(_Factor(label, name))
            continue
        levels = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else pd.Index(column.unique())
        if not isinstance(column.dtype, pd.CategoricalDtype):
            levels = levels.sort_values()
        factors.append(_Factor(label, name, levels, full=not spanned))
        spanned = True
    return (_Factor(INTERCEPT, ""), *factors) if has_intercept else tuple(factors)


def _fill(frame: pd.DataFrame, factors: Sequence[_Factor], width: int) -> FloatArray:
    """Matrix of an additive formula, written in place."""
    matrix = np.zeros((len(frame), width))
    start, numbers = 0, dict[int, FloatArray]()
    for factor in factors:
        if factor.label == INTERCEPT and not factor.column:
            matrix[:, start] = 1.0
        elif factor.levels is None:
            numbers[start] = frame[factor.column].to_numpy(dtype=np.float64)
        else:
            codes = factor.levels.get_indexer(pd.Index(frame[factor.column].astype(factor.levels.dtype)))
            if len(codes) and codes.min() < 0:
                raise ModelError(f"{factor.label} has levels that were not seen when the model was fitted")
            shift = codes if factor.full else codes - 1
            rows = np.flatnonzero(shift >= 0)
            matrix[rows, start + shift[rows]] = 1.0
        start += len(factor.names)
    # Some rows of all columns at a time: a column down the whole matrix fetches every row of it anew.
    for top in range(0, len(frame), BLOCK):
        part = slice(top, top + BLOCK)
        for place, values in numbers.items():
            matrix[part, place] = values[part]
    return matrix


def _materialise(model_spec: Any, frame: pd.DataFrame, text: str) -> FloatArray:
    """Matrix by formulaic, as floats in C order."""
    return np.ascontiguousarray(np.asarray(_evaluate(model_spec, frame, text), dtype=np.float64))


def _evaluate(formula: Any, frame: pd.DataFrame, text: str) -> Any:
    """Model matrix of a formula or its specification; what formulaic cannot evaluate, or a new level, is an error."""
    from formulaic.errors import DataMismatchWarning, FactorEvaluationError

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", DataMismatchWarning)
        try:
            return formula.get_model_matrix(frame, output="numpy", na_action="ignore")
        except DataMismatchWarning:
            raise ModelError(f"a factor in {text!r} has levels that were not seen when the model was fitted") from None
        except FactorEvaluationError as error:
            raise ModelError(f"the formula {text!r} cannot be evaluated: {error}") from None


def _response(columns: pd.DataFrame, side: str) -> FloatArray | None:
    """Left side as floats."""
    if not side:
        return None
    if side in columns.columns and not isinstance(columns[side].dtype, pd.CategoricalDtype):
        values = columns[side].to_numpy(dtype=np.float64)
    else:
        matrix = _evaluate(parsed(f"0 + {side}"), columns, side)
        if matrix.shape[1] != 1:
            raise ModelError(f"the left side {side!r} must be one number per row")
        values = np.asarray(matrix, dtype=np.float64)[:, 0]
    if not np.isfinite(values).all():
        raise ModelError(f"the left side {side!r} has values that are not finite")
    return np.asarray(values)


def _check_finite(matrix: FloatArray, terms: Sequence[str]) -> None:
    """Refuse infinite or undefined numbers, naming the terms."""
    # One sum sees any infinity or NaN without a matrix of flags; only then look for the columns.
    if np.isfinite(matrix.sum()):
        return
    wrong = [terms[int(place)] for place in np.flatnonzero(~np.isfinite(matrix).all(axis=0))]
    if wrong:
        raise ModelError(f"{', '.join(wrong)}: values that are not finite (a logarithm of zero, a division by zero?)")
