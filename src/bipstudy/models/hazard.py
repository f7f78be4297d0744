"""Discrete-time hazard: a binary regression on one row per person and period at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, ProductScores, SmallSample
from bipstudy.models.design import INTERCEPT, Design, DesignSpec, Weights, build_design
from bipstudy.models.estimates import Fit
from bipstudy.models.links import Link, hazard
from bipstudy.models.readings import Information
from bipstudy.models.separation import BinarySolution, limit_eta, solve_binary
from bipstudy.models.solving import name_terms

__all__ = ["HazardFit", "discrete_hazard"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HazardFit(Fit):
    """A discrete hazard, or any binary regression with the same links.

    Attributes
    ----------
    link : {"cloglog", "logit"}
    directions : array of shape (m, k)
        Directions to infinity of terms without finite estimate; m is 0 as a rule.
    design : DesignSpec
    response : array of shape (n,)
        Zero or one, of the rows used.
    eta : array of shape (n,)
        Linear predictor of the rows used.
    weights : array of shape (n,) or None
        Case weights of the rows used.
    change : array of shape (k, k) or None
        What turns coefficients of the scores' columns into the estimates; None if they are the same.
    """

    link: Link
    design: DesignSpec
    response: FloatArray
    eta: FloatArray
    directions: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    weights: FloatArray | None = None
    change: FloatArray | None = None

    def linear_predictor(self, frame: pd.DataFrame) -> FloatArray:
        """Linear predictor for the rows of `frame`, shape (rows,); infinite where the hazard is 0 or 1."""
        return limit_eta(self.design.matrix(frame), self.estimates, self.directions)

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Hazard for the rows of `frame`, shape (rows,), between 0 and 1.

        Raises
        ------
        ModelError
            If a column is absent, a value is missing or a level is new.
        """
        return hazard(self.linear_predictor(frame), self.link)

    def _naive_text(self) -> str:
        """Words for errors without clusters."""
        counted = "; weights taken as counts of rows" if self.weights is not None else ""
        return f"independent rows assumed{counted}"


def discrete_hazard(
    frame: pd.DataFrame,
    formula: str,
    link: Literal["cloglog", "logit"] = "cloglog",
    weights: Weights = None,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    *,
    person: str | None = None,
    information: Information = "expected",
) -> HazardFit:
    r"""Discrete-time hazard by maximum likelihood.

    Each row is one person in one period at risk; the response says whether the event came in it. With
    :math:`\eta = x'\beta`, the hazard is :math:`1 - \exp(-e^{\eta})` (``cloglog``: coefficients are log hazard ratios
    of an underlying proportional-hazards model, Prentice and Gloeckler 1978) or :math:`1/(1 + e^{-\eta})`
    (``logit``: log odds ratios). One row per person and no period gives an ordinary binary regression.

    Errors without clusters are from the inverse expected information, which is what R's ``glm`` reports; ``observed``
    gives what Stata's ``cloglog`` reports. For the logit link they are the same. The bread of clustered errors follows
    the same choice. Tests and intervals use the normal distribution.

    A term that separates events from other rows has no finite estimate: it is reported as infinite without errors, the
    rows it settles carry no information (``rows_uninformative`` of `glance`) and the other estimates are those of the
    remaining rows. Terms that are combinations of those before them are left out. Both are said in ``.notes``.

    Parameters
    ----------
    frame : DataFrame
        One row per person and period at risk.
    formula : str
        ``"event ~ x1 + C(period)"``; the response is 0 or 1.
    link : {"cloglog", "logit"}
    weights : str or array of shape (rows,), optional
        Case weights; without clusters they are taken as counts of rows.
    cluster : str or list of up to two str, optional
        Columns to cluster the errors by.
    small_sample : {"stata", "none", "fixest", "sandwich"}
        See `bipstudy.models.covariance.clustered_covariance`.
    person : str, optional
        Column that tells persons apart, counted in `glance`.
    information : {"expected", "observed"}

    Returns
    -------
    HazardFit

    Raises
    ------
    ModelError
        If the response is not 0 or 1, does not vary, is separated completely, or a column is absent.

    References
    ----------
    Prentice, R. L., Gloeckler, L. A. (1978). Regression analysis of grouped survival data with application to breast
    cancer data. Biometrics 34, 57-67.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"event": [0, 1, 0, 0, 1, 0, 1, 0], "x": [0, 1, 0, 0, 0, 1, 1, 1]})
    >>> fit = discrete_hazard(frame, "event ~ x", link="logit")
    >>> fit.tidy()[["term", "estimate"]].round(4).values.tolist()
    [['Intercept', -1.0986], ['x', 1.0986]]
    """
    if link not in ("cloglog", "logit"):
        raise ModelError(f"link must be 'cloglog' or 'logit', got {link!r}")
    if information not in ("expected", "observed"):
        raise ModelError(f"information must be 'expected' or 'observed', got {information!r}")
    design = build_design(frame, formula, weights=weights, cluster=cluster, needs=[person])
    response = _binary_response(design)
    intercept = design.terms.index(INTERCEPT) if INTERCEPT in design.terms else None
    solution = solve_binary(
        matrix=design.matrix,
        response=response,
        weights=design.weights,
        link=link,
        intercept=intercept,
        information=information,
    )
    fit = _assemble(design, solution, response, link, person)
    return fit.with_errors(cluster=cluster, small_sample=small_sample)


def _binary_response(design: Design) -> FloatArray:
    """Response of zeros and ones, or an error."""
    response = design.response
    if response is None:
        raise ModelError("the formula needs a left side: 'event ~ terms'")
    if design.parts.absorbed or design.parts.instruments:
        raise ModelError("a discrete hazard takes no part after |; write groups as C(group) or condition on them")
    if not np.all((response == 0.0) | (response == 1.0)):
        raise ModelError(f"the response {design.parts.response!r} must be 0 or 1")
    if response.min() == response.max():
        what = "no row has" if response.max() == 0.0 else "every row has"
        raise ModelError(f"{what} the event {design.parts.response!r}; a hazard cannot be estimated")
    return response


def _assemble(
    design: Design, solution: BinarySolution, response: FloatArray, link: Link, person: str | None
) -> HazardFit:
    """Fit with errors of independent rows."""
    terms = tuple(design.terms[place] for place in solution.kept)
    dropped = [term for term in design.terms if term not in terms]
    unbounded = _unbounded(terms, solution)
    return HazardFit(
        model=f"discrete hazard ({link})",
        family="ml",
        terms=terms,
        estimates=solution.beta,
        covariance=solution.covariance,
        naive=solution.covariance,
        bread=solution.bread,
        scores=ProductScores(solution.matrix, solution.slope),
        source=design.source,
        parameters=len(terms) - len(unbounded),
        log_likelihood=solution.log_likelihood,
        events=int(response.sum()),
        persons=None if person is None else int(design.frame[person].nunique()),
        statistics={"rows_uninformative": solution.uninformative},
        unbounded=unbounded,
        notes=_notes(dropped, unbounded, solution.uninformative),
        design=design.spec.keeping(solution.kept),
        link=link,
        response=response,
        eta=solution.eta,
        change=solution.change,
        directions=solution.directions,
        weights=design.weights,
    )


def _unbounded(terms: Sequence[str], solution: BinarySolution) -> dict[str, float]:
    """Terms that run to infinity, with the sign of the first direction that moves them.

    The sign is missing for a term that varies only in rows without information: nothing is known about it.
    """
    signs: dict[str, float] = {}
    for direction in solution.directions:
        for term, value in zip(terms, direction, strict=True):
            if value != 0.0:
                signs.setdefault(term, float(np.sign(value)))
    for term, variance in zip(terms, np.diag(solution.covariance), strict=True):
        if variance == 0.0:
            signs.setdefault(term, np.nan)
    return signs


def _notes(dropped: Sequence[str], unbounded: dict[str, float], uninformative: int) -> tuple[str, ...]:
    """Say what was left out."""
    notes = []
    if dropped:
        notes.append(f"collinear with terms before them, left out: {name_terms(dropped)}")
    if unbounded:
        notes.append(
            f"separation: no finite estimate for {name_terms(list(unbounded))}; "
            f"{uninformative} rows are predicted perfectly and carry no information"
        )
    return tuple(notes)
