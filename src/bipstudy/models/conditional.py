r"""Effects within groups: conditional logit, and the within-between form.

The conditional likelihood of a group with m events among n rows is
:math:`\prod_{events} e^{x_i'\beta} / \sum_{|D|=m} \prod_{i \in D} e^{x_i'\beta}`, the sum over all ways to choose m
rows (Chamberlain 1980). It and its derivatives follow from the recursion of Gail, Lubin and Rubinstein (1981),
:math:`F_m(n) = F_m(n-1) + e^{x_n'\beta} F_{m-1}(n-1)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import IntArray, ModelError, RowScores, SmallSample, encode_groups
from bipstudy.models.design import build_design
from bipstudy.models.estimates import Fit
from bipstudy.models.solving import cross_product, independent_columns, inverse, name_terms

__all__ = ["conditional_logit", "within_between"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

# Numbers in the largest array of the recursion; groups are taken in batches below it.
BATCH_NUMBERS = 4_000_000
CONVERGED = 1e-10


def within_between(frame: pd.DataFrame, columns: Sequence[str], group: str) -> pd.DataFrame:
    """Add ``<column>_between`` (group mean) and ``<column>_within`` (deviation from it) to a frame.

    With both in a model the coefficient of the deviation compares rows of the same group, and that of the mean
    compares groups (Mundlak 1978); in a linear model the former is that with absorbed group effects.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str
        Numeric columns.
    group : str

    Returns
    -------
    DataFrame
        A copy with two more columns for each of `columns`; rows with a missing value do not enter the means.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, 3.0, 5.0]})
    >>> within_between(frame, ["x"], "g")[["x_between", "x_within"]].values.tolist()
    [[2.0, -1.0], [2.0, 1.0], [5.0, 0.0]]
    """
    added = {}
    for name in columns:
        values = frame[name].astype(float)
        between = values.groupby(frame[group]).transform("mean")
        added[f"{name}_between"] = between
        added[f"{name}_within"] = values - between
    return frame.assign(**added)


def conditional_logit(
    frame: pd.DataFrame,
    formula: str,
    group: str,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
) -> Fit:
    """Logit with an effect for every group, conditioned away.

    Groups without an event, or with nothing but events, say nothing and are counted in `glance`
    (``groups_uninformative``, ``rows_uninformative``).

    Parameters
    ----------
    frame : DataFrame
    formula : str
        ``"event ~ x1 + x2"``; what does not vary within any group is left out and said.
    group : str
    cluster : str or list of up to two str, optional
        Groups must lie within clusters.
    small_sample : {"stata", "none", "fixest", "sandwich"}

    Returns
    -------
    Fit

    Raises
    ------
    ModelError
        If no group has both, a cluster cuts a group, or the likelihood has no finite maximum.

    References
    ----------
    Chamberlain, G. (1980). Analysis of covariance with qualitative data. Review of Economic Studies 47, 225-238.
    Gail, M. H., Lubin, J. H., Rubinstein, L. V. (1981). Likelihood calculations for matched case-control studies and
    survival studies with tied death times. Biometrika 68, 703-707.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1, 0, 1, 0, 0, 1], "x": [1.0, 0, 1, 0, 1, 0], "g": [1, 1, 2, 2, 3, 3]})
    >>> round(conditional_logit(frame, "y ~ x", "g").estimates.item(), 4)
    0.6931
    """
    design = build_design(frame, formula, cluster=cluster, needs=[group], intercept=False)
    response = design.response
    if response is None or not np.all((response == 0.0) | (response == 1.0)):
        raise ModelError("the response must be 0 or 1")
    codes, groups = encode_groups(design.frame[group], group)
    sizes = np.bincount(codes, minlength=groups)
    events = np.bincount(codes, weights=response, minlength=groups).astype(np.int64)
    informative = (events > 0) & (events < sizes)
    rows = np.flatnonzero(informative[codes])
    if not len(rows):
        raise ModelError("no group has both an event and a row without one")
    means = _group_means(design.matrix, codes, groups)
    centred = design.matrix - means[codes]
    spread = np.einsum("ij,ij->j", centred[rows], centred[rows])
    moving = spread > 1e-12 * np.einsum("ij,ij->j", design.matrix, design.matrix)
    candidates = np.flatnonzero(moving)
    kept = candidates[independent_columns(cross_product(np.ascontiguousarray(centred[np.ix_(rows, candidates)])))]
    batches = _batches(codes[rows], centred[np.ix_(rows, kept)], response[rows], rows)
    beta, information, value, group_scores = _maximise(batches, len(kept))
    scores = np.zeros((len(codes), len(kept)))
    for first, score in group_scores:
        scores[first] = score
    terms = tuple(design.terms[place] for place in kept)
    dropped = [term for term in design.terms if term not in terms]
    bread = inverse(information)
    fit = _ConditionalFit(
        model="conditional logit",
        family="ml",
        terms=terms,
        estimates=beta,
        covariance=bread,
        naive=bread,
        bread=bread,
        scores=RowScores(scores),
        source=design.source,
        parameters=len(terms),
        log_likelihood=value,
        events=int(response.sum()),
        persons=groups,
        statistics={
            "groups_uninformative": int((~informative).sum()),
            "rows_uninformative": len(codes) - len(rows),
        },
        notes=(f"no variation within groups, left out: {name_terms(dropped)}",) if dropped else (),
        groups=codes,
    )
    return fit.with_errors(cluster=cluster, small_sample=small_sample)


@dataclass(frozen=True, kw_only=True)
class _ConditionalFit(Fit):
    """A fit whose scores belong to groups, kept on the first row of each."""

    groups: IntArray

    def _parameters_counted(self, codes: Sequence[IntArray], convention: SmallSample) -> int:
        """Check that no cluster cuts a group."""
        from bipstudy.models.absorb import is_nested

        if not all(is_nested(self.groups, code) for code in codes):
            raise ModelError("a cluster cuts a group; the scores of a group cannot be divided")
        return self.parameters


def _group_means(matrix: FloatArray, codes: IntArray, groups: int) -> FloatArray:
    """Means within groups, shape (groups, k)."""
    from bipstudy.models.covariance import group_sums

    return group_sums(matrix, codes, groups) / np.bincount(codes, minlength=groups)[:, None]


@dataclass(frozen=True)
class _Batch:
    """Groups of one size and one number of events: x (groups, n, k), sum of x over events (groups, k), first rows."""

    x: FloatArray
    chosen: FloatArray
    events: int
    first: IntArray


def _batches(codes: IntArray, matrix: FloatArray, response: FloatArray, rows: IntArray) -> list[_Batch]:
    """Sort groups into batches that the recursion can take together."""
    order = np.argsort(codes, kind="stable")
    codes, matrix, response, rows = codes[order], matrix[order], response[order], rows[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    sizes = np.diff(np.r_[starts, len(codes)])
    events = np.add.reduceat(response, starts).astype(np.int64)
    k = matrix.shape[1]
    batches = []
    for size, count in sorted(set(zip(sizes.tolist(), events.tolist(), strict=True))):
        places = starts[(sizes == size) & (events == count)]
        width = max(1, BATCH_NUMBERS // ((min(count, size - count) + 1) * k * k))
        for begin in range(0, len(places), width):
            index = places[begin : begin + width, None] + np.arange(size)
            x, y = matrix[index], response[index]
            chosen = np.einsum("gn,gnk->gk", y, x)
            # Choosing the rows without events is the same likelihood with the sign turned; take the fewer.
            flipped = count > size - count
            batches.append(
                _Batch(
                    -x if flipped else x,
                    chosen,
                    size - count if flipped else count,
                    rows[places[begin : begin + width]],
                )
            )
    return batches


def _evaluate(batch: _Batch, beta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log of the sum over choices, its gradient (groups, k) and Hessian summed over groups (k, k)."""
    groups, size, k = batch.x.shape
    eta = batch.x @ beta
    # The centre keeps the products near one whatever the size of the coefficients.
    centre = eta.mean(axis=1)
    odds = np.exp(eta - centre[:, None])
    value = np.zeros((batch.events + 1, groups))
    value[0] = 1.0
    slope = np.zeros((batch.events + 1, groups, k))
    bend = np.zeros((batch.events + 1, groups, k, k))
    for row in range(size):
        x, odd = batch.x[:, row], odds[:, row]
        for m in range(min(row + 1, batch.events), 0, -1):
            outer = np.einsum("ga,gb->gab", x, slope[m - 1])
            square = np.einsum("ga,gb->gab", x, x) * value[m - 1][:, None, None]
            bend[m] += odd[:, None, None] * (bend[m - 1] + outer + outer.transpose(0, 2, 1) + square)
            slope[m] += odd[:, None] * (slope[m - 1] + x * value[m - 1][:, None])
            value[m] += odd * value[m - 1]
    total = value[-1]
    gradient = slope[-1] / total[:, None]
    hessian = np.einsum("gab,g->ab", bend[-1], 1.0 / total) - gradient.T @ gradient
    return np.log(total) + batch.events * centre, gradient, hessian


def _maximise(
    batches: Sequence[_Batch], k: int
) -> tuple[FloatArray, FloatArray, float, list[tuple[IntArray, FloatArray]]]:
    """Newton's method with step-halving: estimates, information, log-likelihood and the score of each group."""
    beta, step, value = np.zeros(k), np.zeros(k), -np.inf
    last = False
    for _ in range(60):
        for _ in range(40):
            results = [_evaluate(batch, beta + step) for batch in batches]
            # The rows that were chosen are events, or (signs turned) the rows without; x sums to zero in a group.
            fresh = sum(
                float((batch.chosen @ (beta + step)).sum() - logs.sum())
                for batch, (logs, _, _) in zip(batches, results, strict=True)
            )
            if fresh >= value - 1e-12 * (1.0 + abs(value)):
                break
            step = 0.5 * step
        beta, value = beta + step, fresh
        information = np.sum([hessian for _, _, hessian in results], axis=0)
        scores = [
            (batch.first, batch.chosen - gradient) for batch, (_, gradient, _) in zip(batches, results, strict=True)
        ]
        if last:
            return beta, information, value, scores
        total = np.sum([score.sum(axis=0) for _, score in scores], axis=0)
        step = inverse(information) @ total
        last = float(step @ total) < CONVERGED
    raise ModelError("the conditional likelihood has no finite maximum: a term separates the events within groups")
