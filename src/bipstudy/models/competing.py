"""Competing hazards in discrete time: a multinomial logit on one row per person and period at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import IntArray, ModelError, SmallSample, one_thread
from bipstudy.models.design import DesignSpec, Weights, build_design
from bipstudy.models.estimates import Fit
from bipstudy.models.multinomial import BlockScores, fit_multinomial, multinomial_hazards
from bipstudy.models.solving import cross_product, independent_columns, name_terms

__all__ = ["CompetingFit", "competing_hazards"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CompetingFit(Fit):
    """Competing discrete hazards.

    Attributes
    ----------
    causes : tuple
        Values of the response that are events, in the order of the blocks of `estimates`.
    design : DesignSpec
    excluded : boolean array of shape (m, k)
        Terms that rule a cause out where they are not zero: levels in which it never came.
    """

    causes: tuple[Any, ...]
    design: DesignSpec
    excluded: BoolArray

    def hazards_of(self, matrix: FloatArray) -> FloatArray:
        """Hazards of the causes for rows of the design matrix, shape (rows, m)."""
        allowed = (np.abs(matrix) @ self.excluded.T.astype(np.float64)) == 0.0
        return multinomial_hazards(matrix, self.estimates.reshape(len(self.causes), -1), allowed)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Hazard of each cause for the rows of `frame`, one column per cause, fresh index."""
        return pd.DataFrame(self.hazards_of(self.design.matrix(frame)), columns=list(self.causes))


def competing_hazards(
    frame: pd.DataFrame,
    formula: str,
    reference: Any = 0,
    weights: Weights = None,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    *,
    person: str | None = None,
) -> CompetingFit:
    r"""Cause-specific discrete hazards by maximum likelihood.

    Each row is one person in one period at risk; the response says which cause ended it, or `reference` if none did.
    The hazard of cause a is :math:`e^{x'\beta_a} / (1 + \sum_b e^{x'\beta_b})`; with one cause this is
    `discrete_hazard` with the logit link. Terms are named ``"cause: term"``.

    A level of a factor in which a cause never came has no finite coefficient for that cause: it is reported as minus
    infinity, the hazard there is zero, and the rest is as if the rows could not have that cause.

    Parameters
    ----------
    frame : DataFrame
    formula : str
        ``"cause ~ x1 + C(period)"``; the response may be numbers or text.
    reference : Any, default 0
        Value of the response that means no event.
    weights : str or array of shape (rows,), optional
    cluster : str or list of up to two str, optional
    small_sample : {"stata", "none", "fixest", "sandwich"}
        See `bipstudy.models.covariance.clustered_covariance`.
    person : str, optional
        Column that tells persons apart, counted in `glance`.

    Returns
    -------
    CompetingFit

    Raises
    ------
    ModelError
        If the reference does not occur, there is no event, or a cause is separated otherwise than by a level.

    References
    ----------
    Allison, P. D. (1982). Discrete-time methods for the analysis of event histories. Sociological Methodology 13,
    61-98. Tutz, G., Schmid, M. (2016). Modeling Discrete Time-to-Event Data, chapter 8.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"cause": [0, 0, 1, 2, 0, 1, 0, 2, 0, 0], "x": [0, 1, 0, 1, 0, 1, 1, 0, 0, 1]})
    >>> fit = competing_hazards(frame, "cause ~ x")
    >>> fit.terms
    ('1: Intercept', '1: x', '2: Intercept', '2: x')
    """
    side, _, terms = formula.partition("~")
    if not terms:
        raise ModelError("the formula needs a left side: 'cause ~ terms'")
    name = side.strip()
    design = build_design(frame, terms.strip(), weights=weights, cluster=cluster, needs=[name, person])
    codes, causes = _causes(design.frame[name], reference)
    kept = independent_columns(cross_product(design.matrix))
    matrix = design.matrix
    dropped = [term for place, term in enumerate(design.terms) if place not in kept]
    if dropped:
        matrix = np.ascontiguousarray(matrix[:, kept])
    excluded = _levels_without(matrix, codes, len(causes))
    free = ~excluded.ravel()
    allowed = (np.abs(matrix) @ excluded.T.astype(np.float64)) == 0.0
    with one_thread():
        solution = fit_multinomial(
            matrix=matrix, cause=codes, causes=len(causes), weights=design.weights, allowed=allowed, free=free
        )
    names = tuple(f"{cause}: {term}" for cause in causes for term in (design.terms[place] for place in kept))
    fit = CompetingFit(
        model="competing hazards (multinomial logit)",
        family="ml",
        terms=names,
        estimates=solution.beta.ravel(),
        covariance=solution.covariance,
        naive=solution.covariance,
        bread=solution.covariance,
        scores=BlockScores(matrix, solution.factors, free),
        source=design.source,
        parameters=int(free.sum()),
        log_likelihood=solution.log_likelihood,
        events=int((codes > 0).sum()),
        persons=None if person is None else int(design.frame[person].nunique()),
        unbounded={term: -1.0 for term, is_free in zip(names, free, strict=True) if not is_free},
        statistics={f"events_{cause}": int((codes == place + 1).sum()) for place, cause in enumerate(causes)},
        notes=_notes(dropped, [term for term, is_free in zip(names, free, strict=True) if not is_free]),
        design=design.spec.keeping(kept),
        causes=causes,
        excluded=excluded,
    )
    return fit.with_errors(cluster=cluster, small_sample=small_sample)


def _causes(response: pd.Series, reference: Any) -> tuple[IntArray, tuple[Any, ...]]:
    """Code 0 for the reference and 1, 2, ... for the causes in sorted order, and the causes."""
    numbers, labels = pd.factorize(response, sort=True)
    values = [label.item() if hasattr(label, "item") else label for label in labels]
    if reference not in values:
        raise ModelError(f"the response never has the reference {reference!r}")
    causes = tuple(value for value in values if value != reference)
    if not causes:
        raise ModelError("no row has an event of any cause")
    order = {value: place for place, value in enumerate((reference, *causes))}
    return np.array([order[value] for value in values], dtype=np.int64)[numbers], causes


def _levels_without(matrix: FloatArray, codes: IntArray, causes: int) -> BoolArray:
    """Columns, never negative, that are zero in every event of a cause but not everywhere; shape (m, k)."""
    level = (matrix.min(axis=0) >= 0.0) & matrix.any(axis=0)
    return np.array([level & ~matrix[codes == cause].any(axis=0) for cause in range(1, causes + 1)])


def _notes(dropped: Sequence[str], unbounded: Sequence[str]) -> tuple[str, ...]:
    """Say what was left out."""
    notes = []
    if dropped:
        notes.append(f"collinear with terms before them, left out: {name_terms(dropped)}")
    if unbounded:
        notes.append(f"separation: a cause never came in the level, no finite estimate for {name_terms(unbounded)}")
    return tuple(notes)
