"""Cox regression for counting-process data, with clustered errors that can be changed after the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from bipstudy.models.covariance import ModelError, SmallSample, encode_groups
from bipstudy.models.cox_fit import CoxData, CoxFit, CoxScores
from bipstudy.models.design import Design, Weights, build_design
from bipstudy.models.partial_likelihood import (
    Evaluation,
    dependent_columns,
    evaluate,
    inverse_information,
    maximise,
)
from bipstudy.models.risk_sets import Floats, Integers, risk_sets

__all__ = ["CoxFit", "cox"]

Ties = Literal["efron", "breslow"]


def cox(
    frame: pd.DataFrame,
    formula: str,
    *,
    stop: str,
    event: str,
    start: str | None = None,
    strata: str | Sequence[str] | None = None,
    weights: Weights = None,
    ties: Ties = "efron",
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    person: str | None = None,
) -> CoxFit:
    r"""Cox regression, also with delayed entry and covariates that change with time.

    The hazard of row i of stratum s is :math:`\lambda_s(t) \exp(x_i' \beta)` for :math:`t` in ``(start, stop]``. A
    person may have several rows: cutting a row in two at any time changes nothing. Clustered errors are the sandwich
    of Lin and Wei (1989) with score residuals, case weights included, summed within clusters.

    Parameters
    ----------
    frame : DataFrame
        One row per interval.
    formula : str
        Right side, such as ``"age + C(unit)"``. There is no intercept.
    stop, event : str
        End of the interval, and whether it ends with an event (true/false or 1/0).
    start : str, optional
        Beginning of the interval, which itself is not part of it. Without it everybody is at risk from before the
        first event.
    strata : str or list of str, optional
        Columns; each combination of their values has its own baseline hazard.
    weights : str or array, optional
        Case weights; rows of weight zero are dropped. With Breslow's ties a weight of two is two rows; with Efron's
        it is, as in R, one event of that weight, which is not the same where times are tied.
    ties : {"efron", "breslow"}
    cluster : str or list of up to two str, optional
        Columns for clustered errors. Without it rows are taken as independent given the model.
    small_sample : {"stata", "none", "fixest", "sandwich"}
        Factor of the clustered errors; ``"none"`` is what R's ``coxph`` prints.
    person : str, optional
        Column that says which rows are one person, for the count in `glance` and a check that a person's intervals do
        not overlap.

    Returns
    -------
    CoxFit
        With `tidy`, `glance`, `hazard_ratios` and `with_errors`. A covariate that is constant or a combination
        of others within the risk sets is left out, and one whose likelihood is monotone is infinite; `notes` says so.

    Raises
    ------
    ModelError
        If there is no event, no information on any term, an interval that does not end after it starts, or no
        convergence.

    References
    ----------
    Lin, D. Y. & Wei, L. J. (1989). The robust inference for the Cox proportional hazards model. JASA 84, 1074-1078.
    Therneau, T. M. & Grambsch, P. M. (2000). Modeling Survival Data: Extending the Cox Model. Springer.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"stop": [1, 1, 6, 6, 8, 9], "event": [1, 0, 1, 1, 0, 1], "x": [1, 1, 1, 0, 0, 0]})
    >>> fit = cox(frame, "x", stop="stop", event="event", ties="breslow")
    >>> fit.tidy()[["term", "estimate"]].round(4).values.tolist()
    [['x', 1.4753]]
    """
    if ties not in ("efron", "breslow"):
        raise ModelError(f"ties must be 'efron' or 'breslow', got {ties!r}")
    stratum_columns = (strata,) if isinstance(strata, str) else tuple(strata or ())
    design = build_design(
        frame,
        formula,
        weights=weights,
        cluster=cluster,
        needs=[start, stop, event, *stratum_columns, person],
        intercept=False,
    )
    if not design.terms:
        raise ModelError("the formula of a Cox model needs at least one term")
    data = _cox_data(design, start, stop, event, stratum_columns, efron=ties == "efron")
    persons = None if person is None else _count_persons(design.frame[person], person, data)
    # The columns are in the arrays now; held twice they would be a quarter of the memory of a large fit.
    design = replace(design, frame=design.frame.iloc[:0].copy())
    data, spec, begin, notes = _without_dependent(data, design)
    maximum = maximise(x=data.x, weight=data.weight, sets=data.sets, scale=data.scale, efron=data.efron, start=begin)
    inverse = inverse_information(maximum)
    terms = spec.terms
    unbounded = {terms[j]: float(np.sign(maximum.at.beta[j])) for j in np.flatnonzero(maximum.monotone)}
    if unbounded:
        notes.append(
            f"monotone likelihood: {', '.join(unbounded)} has no finite estimate, because the events can be told from "
            "those at risk by it; the other terms are what they become in the limit"
        )
    whole = np.all(data.weight == np.rint(data.weight))
    if not whole and cluster is None:
        notes.append("weights are not whole numbers: errors without clusters take them as case counts")
    fit = CoxFit(
        terms=terms,
        estimates=maximum.at.beta,
        covariance=inverse,
        notes=tuple(notes),
        model=f"Cox regression, {ties.capitalize()} ties" + (f", {len(data.strata)} strata" if strata else ""),
        family="ml",
        naive=inverse,
        bread=inverse,
        scores=CoxScores(data, maximum.at),
        source=design.source,
        parameters=len(terms),
        log_likelihood=maximum.at.log_likelihood,
        events=int(data.event.sum()),
        persons=persons,
        statistics={"log_likelihood_null": maximum.start.log_likelihood, "iterations": maximum.iterations},
        unbounded=unbounded,
        design=spec,
        data=data,
        maximum=maximum,
    )
    return fit.with_errors(cluster, small_sample)


def interval_columns(design: Design, start: str | None, stop: str) -> tuple[Floats | None, Floats]:
    """Take the ends of the intervals as floats; every interval must end after it starts."""
    # Copies: a view of one column would keep the whole frame in memory for as long as the fit lives.
    end = design.column(stop).copy()
    begin = None if start is None else design.column(start).copy()
    if not np.isfinite(end).all() or (begin is not None and np.isnan(begin).any()):
        raise ModelError(f"times in {stop!r}{'' if start is None else f' and {start!r}'} must be finite")
    if begin is not None and (begin >= end).any():
        count = int((begin >= end).sum())
        raise ModelError(f"{count} rows end at or before their start ({start!r}, {stop!r}); mend or drop them first")
    return begin, end


def _cox_data(
    design: Design, start: str | None, stop: str, event: str, stratum_columns: Sequence[str], *, efron: bool
) -> CoxData:
    """Check and arrange the rows of a design."""
    begin, end = interval_columns(design, start, stop)
    mark = design.column(event)
    if not np.isin(mark, (0.0, 1.0)).all():
        raise ModelError(f"{event!r} must be true/false or 1/0")
    happened = mark == 1.0
    if not happened.any():
        raise ModelError(f"no row has an event ({event!r}); there is nothing to estimate")
    weight = np.ones(len(end)) if design.weights is None else design.weights
    codes, labels = _strata(design.frame, stratum_columns)
    centre = np.average(design.matrix, axis=0, weights=weight)
    # The matrix was made for this fit alone, so it may be overwritten.
    x = design.matrix
    x -= centre
    scale = np.sqrt(np.einsum("ij,ij,i->j", x, x, weight) / weight.sum())
    sets = risk_sets(start=begin, stop=end, event=happened, stratum=codes)
    return CoxData(x, centre, scale, begin, end, weight, happened, codes, labels, tuple(stratum_columns), sets, efron)


def _strata(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[Integers | None, tuple[Any, ...]]:
    """Codes and labels of the strata, in the order of the labels."""
    if not columns:
        return None, ("",)
    groups = frame.groupby(list(columns), sort=True, observed=True)
    labels = tuple(groups.groups) if len(columns) > 1 else tuple(key for key, _ in groups.groups.items())
    return groups.ngroup().to_numpy(dtype=np.int64), labels


def _count_persons(column: pd.Series, name: str, data: CoxData) -> int:
    """How many persons there are; their intervals must not overlap."""
    codes, count = encode_groups(column, name)
    begin = np.full(len(codes), -np.inf) if data.start is None else data.start
    order = np.lexsort((begin, codes))
    same = codes[order][1:] == codes[order][:-1]
    clash = same & (begin[order][1:] < data.stop[order][:-1])
    if clash.any():
        raise ModelError(f"intervals of one {name!r} overlap in {int(clash.sum())} places; a person is at risk once")
    return count


def _without_dependent(data: CoxData, design: Design) -> tuple[CoxData, Any, Evaluation | None, list[str]]:
    """Leave out columns without information of their own, and say which; hand on the likelihood at zero."""
    k = data.x.shape[1]
    at = evaluate(x=data.x, beta=np.zeros(k), weight=data.weight, sets=data.sets, efron=data.efron)
    total = float(data.weight[data.event].sum())
    found = dependent_columns(at.information, total, data.scale)
    if not found:
        return data, design.spec, at, []
    notes = left_out_notes(found, design.terms)
    left_out = {j for j, _ in found}
    kept = [j for j in range(k) if j not in left_out]
    if not kept:
        raise ModelError("no term carries information: " + "; ".join(notes))
    x = np.ascontiguousarray(data.x[:, kept])
    data = replace(data, x=x, centre=data.centre[kept], scale=data.scale[kept])
    return data, design.spec.keeping(kept), None, notes


def left_out_notes(found: Sequence[tuple[int, Sequence[int]]], terms: Sequence[str]) -> list[str]:
    """Say which terms were left out, and what they are the same as."""
    notes = []
    for j, partners in found:
        why = (
            "a combination of " + ", ".join(terms[i] for i in partners)
            if partners
            else "the same for everybody at risk at every event"
        )
        notes.append(f"{terms[j]} was left out: it is {why}")
    return notes
