"""Linear models with endogenous terms: two-stage least squares, LIML and UJIVE, with what weak instruments allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.absorb import absorb
from bipstudy.models.covariance import (
    ModelError,
    ProductScores,
    SmallSample,
    encode_groups,
)
from bipstudy.models.design import Design, Weights, build_design
from bipstudy.models.formula import split_formula
from bipstudy.models.instrumental_fit import InstrumentalFit, PartialColumns
from bipstudy.models.instruments import (
    Instrumented,
    cells_alone,
    independent_columns,
    instrument_cells,
    instrument_kclass,
    liml_kappa,
)
from bipstudy.models.linear import _without_singletons
from bipstudy.models.solving import name_terms

__all__ = ["instrumental"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Method = Literal["2sls", "liml", "ujive"]

# Numbers in the dense matrix of dummies that UJIVE with absorbed effects needs: 400 megabytes.
_DENSE = 50_000_000


def instrumental(
    frame: pd.DataFrame,
    formula: str,
    method: Method = "2sls",
    weights: Weights = None,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    *,
    cell: str | None = None,
    person: str | None = None,
) -> InstrumentalFit:
    r"""Linear model with endogenous terms, by instruments.

    Absorbed effects are taken out of outcome, terms and instruments alike (Frisch and Waugh), so the result is that of
    dummies. Collinear instruments and terms are left out and named.

    Parameters
    ----------
    frame : DataFrame
    formula : str
        ``"y ~ x1 | quarter | belief ~ optimism"``: exogenous terms, absorbed effects (may be left out, up to three),
        then ``endogenous ~ instruments``. Without absorbed effects: ``"y ~ x1 | belief ~ optimism"``.
    method : {"2sls", "liml", "ujive"}
        UJIVE leaves each row, or each `cell`, out of its own first stage: for many instruments (dummies of
        caseworkers).
    weights : str or array of shape (rows,), optional
        Inverse variances.
    cluster : str or list of up to two str, optional
    small_sample : {"stata", "none", "fixest", "sandwich"}
        See `bipstudy.models.covariance.clustered_covariance`; ``stata`` is ``ivregress, small``.
    cell : str, optional
        Column of cells left out together, for UJIVE; rows by default.
    person : str, optional
        Column that tells persons apart, counted in `glance`.

    Returns
    -------
    InstrumentalFit

    Raises
    ------
    ModelError
        If there are fewer instruments than endogenous terms, the method is unknown, or no row can be left out.

    Notes
    -----
    Without clusters the covariance is :math:`s^2` times that of independent rows of equal variance, N - K degrees of
    freedom. Errors of UJIVE take its instrument as given. Where exogenous terms are not all dummies, adding a
    combination of them to an endogenous term moves UJIVE a little. Rows (cells) that alone determine a coefficient of
    the first stage cannot be left out of it and are dropped and counted.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> z, u = rng.normal(size=(2, 2000))
    >>> d = z + u + rng.normal(size=2000)
    >>> frame = pd.DataFrame({"y": 0.5 * d + u + rng.normal(size=2000), "d": d, "z": z})
    >>> fit = instrumental(frame, "y ~ 1 | d ~ z")
    >>> fit.tidy()[["term", "estimate"]].round(2).values.tolist()[0]
    ['d', 0.45]
    >>> bool(fit.first_stage()["effective_f"].item() > 100)
    True
    """
    if method not in ("2sls", "liml", "ujive"):
        raise ModelError(f"method must be 2sls, liml or ujive, got {method!r}")
    design, effects, endogenous, instruments, alone = _design(frame, formula, weights, cluster, cell, person, method)
    fit = _fit(design, effects, endogenous, instruments, method, cell, alone)
    if person is not None:
        fit = replace(fit, persons=int(design.frame[person].nunique()))
    changed = fit.with_errors(cluster=cluster, small_sample=small_sample)
    assert isinstance(changed, InstrumentalFit)
    return changed


def _design(
    frame: pd.DataFrame,
    formula: str,
    weights: Weights,
    cluster: str | Sequence[str] | None,
    cell: str | None,
    person: str | None,
    method: Method,
) -> tuple[Design, list[IntArray], Design, Design, int]:
    """Exogenous design, absorbed levels, endogenous terms, instruments, and rows alone in an absorbed level."""
    parts = split_formula(formula)
    if not parts.instruments or not parts.response:
        raise ModelError(f"the formula reads 'y ~ exogenous | absorbed | endogenous ~ instruments', got {formula!r}")
    if len(parts.absorbed) > 3:
        raise ModelError(f"up to three effects can be absorbed, got {len(parts.absorbed)}")
    if cell is not None and method != "ujive":
        raise ModelError("cells are left out by UJIVE only")
    design = build_design(
        frame,
        parts,
        weights=weights,
        cluster=cluster,
        needs=[cell, person],
        intercept=not parts.absorbed,
        also=[parts.endogenous, parts.instruments],
    )
    design, effects, alone = _without_singletons(design)
    rows = design.frame
    endogenous = build_design(rows, f"{parts.endogenous}", intercept=False)
    instruments = build_design(rows, f"{parts.instruments}", intercept=False)
    return design, effects, endogenous, instruments, alone


def _fit(
    design: Design,
    effects: list[IntArray],
    endogenous: Design,
    instruments: Design,
    method: Method,
    cell: str | None,
    alone: int,
) -> InstrumentalFit:
    """Fit with errors of independent rows."""
    assert design.response is not None
    n = len(design.response)
    root = np.ones(n) if design.weights is None else np.sqrt(design.weights)
    blocks = [design.response[:, None], endogenous.matrix, design.matrix, instruments.matrix]
    columns, absorbed = np.hstack(blocks), 0
    if effects:
        taken = absorb(columns - np.average(columns, axis=0, weights=design.weights), effects, design.weights)
        # What absorbing leaves of a column it explains is rounding.
        left = np.einsum("ij,ij->j", taken.columns, taken.columns)
        spread = np.maximum(np.einsum("ij,ij->j", columns, columns), 1e-300)
        columns, absorbed = np.where(left > 1e-16 * spread, taken.columns, 0.0), taken.parameters
    columns = columns * root[:, None]
    edges = np.cumsum([block.shape[1] for block in blocks])[:-1]
    outcome, treatments, exogenous, raw = np.split(columns, edges, axis=1)
    kept_w, basis_w = independent_columns(exogenous, np.zeros((n, 0)))
    kept_z, basis_z = independent_columns(raw, basis_w)
    exogenous = np.ascontiguousarray(exogenous[:, kept_w])
    names_w, names_z = [design.terms[k] for k in kept_w], [instruments.terms[k] for k in kept_z]
    dropped = [t for t in design.terms if t not in names_w] + [t for t in instruments.terms if t not in names_z]
    if len(names_z) < treatments.shape[1]:
        raise ModelError(f"{treatments.shape[1]} endogenous terms need as many instruments that add something")
    c = PartialColumns(outcome[:, 0], treatments, exogenous, basis_w, basis_z)
    if method == "ujive":
        solution, rows = _ujive(c, endogenous.matrix * root[:, None], effects, root, design, cell)
        if rows is not None:
            return _again(design, effects, rows, method, cell, alone, endogenous, instruments)
    else:
        kappa = liml_kappa(c.outcome, treatments, basis_w, basis_z) if method == "liml" else 1.0
        solution = instrument_kclass(
            outcome=c.outcome, treatments=treatments, exogenous=exogenous, basis_w=basis_w, basis_z=basis_z, kappa=kappa
        )
    notes: tuple[str, ...] = (f"collinear with terms before them, left out: {name_terms(dropped)}",) if dropped else ()
    if alone:
        notes += (f"{alone} rows are alone in a level of an absorbed effect or of an instrument and were dropped",)
    return _assemble(design, effects, endogenous.terms, names_w, names_z, c, solution, method, absorbed, notes)


def _again(
    design: Design,
    effects: list[IntArray],
    rows: npt.NDArray[np.bool_],
    method: Method,
    cell: str | None,
    alone: int,
    endogenous: Design,
    instruments: Design,
) -> InstrumentalFit:
    """Fit again without the rows that cannot be left out."""
    from bipstudy.models.estimates import RowSource

    kept = np.flatnonzero(~rows)
    if kept.size == 0:
        raise ModelError("no row can be left out of its own first stage: there are as many coefficients as cells")
    positions = kept if design.source.positions is None else design.source.positions[kept]

    def smaller(part: Design) -> Design:
        return replace(part, matrix=part.matrix[kept], frame=part.frame.iloc[kept].reset_index(drop=True))

    assert design.response is not None
    less = replace(
        smaller(design),
        response=design.response[kept],
        weights=None if design.weights is None else design.weights[kept],
        source=RowSource(design.source.frame, positions, design.source.given),
    )
    levels = [encode_groups(effect[kept], "effect")[0] for effect in effects]
    gone = alone + int(rows.sum())
    return _fit(less, levels, smaller(endogenous), smaller(instruments), method, cell, gone)


def _ujive(
    c: PartialColumns, raw: FloatArray, effects: list[IntArray], root: FloatArray, design: Design, cell: str | None
) -> tuple[Instrumented, npt.NDArray[np.bool_] | None]:
    """UJIVE, or the rows that must go before it can be made."""
    n = len(c.outcome)
    cells = np.arange(n) if cell is None else encode_groups(design.frame[cell], cell)[0]
    basis = c.basis_w
    if effects:
        width = sum(int(effect.max()) + 1 for effect in effects)
        if n * width > _DENSE:
            raise ModelError(f"UJIVE lays absorbed effects out as dummies: {n} rows by {width} levels are too many")
        dummies = np.hstack([(effect[:, None] == np.arange(int(effect.max()) + 1)) * 1.0 for effect in effects])
        _, absorbed = independent_columns(dummies * root[:, None], np.zeros((n, 0)))
        basis = np.hstack([absorbed, c.basis_w])
    alone = cells_alone(np.hstack([basis, c.basis_z]), cells)
    solution = Instrumented(np.empty(0), np.empty((0, 0)), np.empty(0), np.empty((0, 0)), np.nan)
    if alone.any():
        return solution, alone
    solution = instrument_cells(
        raw=raw,
        outcome=c.outcome,
        treatments=c.treatments,
        exogenous=c.exogenous,
        basis_w=basis,
        basis_z=c.basis_z,
        cells=cells,
    )
    return solution, None


def _assemble(
    design: Design,
    effects: list[IntArray],
    endogenous: tuple[str, ...],
    exogenous: list[str],
    instruments: list[str],
    c: PartialColumns,
    solution: Instrumented,
    method: Method,
    absorbed: int,
    notes: tuple[str, ...],
) -> InstrumentalFit:
    """Put the fit together; residuals are those of the structural equation."""
    terms = (*endogenous, *exogenous)
    rows, parameters = len(c.outcome), len(terms) + absorbed
    if rows <= parameters:
        raise ModelError(f"{rows} rows cannot carry {parameters} parameters")
    squares = float(solution.residuals @ solution.residuals)
    naive = squares / (rows - parameters) * solution.bread
    statistics = {"instruments": float(len(instruments)), "kappa": solution.kappa}
    over = len(instruments) - len(endogenous)
    if over > 0 and method != "ujive":
        from scipy.special import chdtrc

        explained = c.basis_z.T @ solution.residuals
        statistics["sargan"] = float(explained @ explained) / (squares / rows)
        statistics["sargan_p_value"] = float(chdtrc(over, statistics["sargan"]))
    left = f" with absorbed {' + '.join(design.parts.absorbed)}" if effects else ""
    words = {"2sls": "two-stage least squares", "liml": "LIML", "ujive": "UJIVE"}
    root = np.ones(rows) if design.weights is None else np.sqrt(design.weights)
    return InstrumentalFit(
        model=words[method] + left,
        family="linear",
        terms=terms,
        estimates=solution.beta,
        covariance=naive,
        naive=naive,
        # The influence of each row is kept as such, so that the bread is the unit matrix.
        bread=np.eye(len(terms)),
        scores=ProductScores(solution.influence, solution.residuals),
        source=design.source,
        parameters=parameters,
        degrees_naive=float(rows - parameters),
        statistics=statistics,
        notes=notes,
        residuals=solution.residuals / root,
        effects=tuple(effects),
        endogenous=endogenous,
        instruments=tuple(instruments),
        columns=c,
    )
