"""What every estimator hands back: estimates, their covariance, and errors that can be changed after the fit.

A fit keeps its bread (the inverse of the information) and what each row adds to the score, so that clustering and
small-sample convention are choices of reporting and not of estimation. The conventions are defined in
`bipstudy.models.covariance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import (
    ClusteredCovariance,
    ModelError,
    Scores,
    SmallSample,
    cluster_names,
    clustered_covariance,
    encode_groups,
)
from bipstudy.models.tidy import tidy_frame

__all__ = ["INDEPENDENT", "KEEP", "Errors", "Estimates", "Fit", "ModelError", "RowSource"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# Told apart from None, which means "no clusters".
KEEP: Final[Any] = type("Keep", (), {"__repr__": lambda self: "KEEP", "__doc__": "Leave the setting as it is."})()


@dataclass(frozen=True)
class Errors:
    """How the standard errors of a fit were made.

    Attributes
    ----------
    cluster : tuple of str
        Names of the columns that define the clusters; empty for independent rows.
    small_sample : {"stata", "none", "fixest", "sandwich"}
    clusters : tuple of int
        Number of clusters in each of `cluster`.
    degrees : float
        Degrees of freedom of the t distribution for tests and intervals; infinite means the normal.
    repaired : bool
        True if a two-way covariance had negative eigenvalues, which were set to zero.
    text : str
        The convention in words.
    """

    cluster: tuple[str, ...] = ()
    small_sample: SmallSample = "stata"
    clusters: tuple[int, ...] = ()
    degrees: float = np.inf
    repaired: bool = False
    text: str = "independent rows assumed"


INDEPENDENT: Final = Errors()


@dataclass(frozen=True)
class RowSource:
    """The frame a fit came from and the rows of it that were used.

    Attributes
    ----------
    frame : DataFrame
        The frame given by the caller (a reference, not a copy); its index plays no part.
    positions : array of shape (n,) or None
        Positions of the rows used, None if all were.
    given : int
        Rows of the frame when the model was fitted.
    """

    frame: pd.DataFrame
    positions: IntArray | None
    given: int

    @property
    def used(self) -> int:
        """Number of rows used."""
        return self.given if self.positions is None else len(self.positions)

    def codes(self, name: str) -> tuple[IntArray, int]:
        """Group numbers of column `name` for the rows used, and the number of groups."""
        if name not in self.frame.columns:
            raise ModelError(f"the frame has no column {name!r} to cluster by")
        if len(self.frame) != self.given:
            raise ModelError("the frame has changed its length since the model was fitted; fit again")
        column = self.frame[name]
        if self.positions is not None:
            column = column.iloc[self.positions]
        return encode_groups(column, name)


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Estimates with a joint covariance.

    Attributes
    ----------
    terms : tuple of str, length k
    estimates : array of shape (k,)
    covariance : array of shape (k, k)
    errors : Errors
        How `covariance` was made.
    notes : tuple of str
        What the reader must know: separation, collinearity, repairs.
    """

    terms: tuple[str, ...]
    estimates: FloatArray
    covariance: FloatArray
    errors: Errors = INDEPENDENT
    notes: tuple[str, ...] = ()

    @property
    def std_errors(self) -> FloatArray:
        """Standard errors, shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def coef(self) -> pd.Series:
        """Estimates by term."""
        return pd.Series(self.estimates, index=list(self.terms), name="estimate")

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance of the estimates, terms in rows and columns."""
        return pd.DataFrame(self.covariance, index=list(self.terms), columns=list(self.terms))

    def tidy(self, level: float = 0.95, *, exponentiate: bool = False) -> pd.DataFrame:
        """Estimates, standard errors, tests against zero and confidence intervals.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default False
            Give estimates and intervals as ratios; standard errors stay on the log scale.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        return tidy_frame(
            self.terms, self.estimates, self.std_errors, self.errors.degrees, level, exponentiate=exponentiate
        )

    def contrast(self, weights: Mapping[str, float], name: str | None = None) -> Estimates:
        """Linear combination of the estimates, with its standard error.

        Parameters
        ----------
        weights : mapping of term to weight
        name : str, optional
            Term of the result; the combination in words by default.

        Returns
        -------
        Estimates
            One term.

        Raises
        ------
        ModelError
            If a term is unknown.
        """
        vector = np.zeros(len(self.terms))
        for term, weight in weights.items():
            vector[self._position(term)] = weight
        label = name or " + ".join(f"{weight:g}*{term}" for term, weight in weights.items())
        return Estimates(
            terms=(label,),
            estimates=np.array([vector @ self.estimates]),
            covariance=np.array([[vector @ self.covariance @ vector]]),
            errors=self.errors,
        )

    def wald_test(self, terms: Sequence[str]) -> pd.DataFrame:
        """Test that all of `terms` are zero.

        Returns
        -------
        DataFrame
            One row: ``statistic, degrees, degrees_denominator, p_value``. With infinite denominator degrees the
            statistic is chi-square, else it is F.
        """
        from scipy.special import chdtrc, fdtrc

        at = [self._position(term) for term in terms]
        value = self.estimates[at]
        statistic = float(value @ np.linalg.solve(self.covariance[np.ix_(at, at)], value))
        degrees, denominator = len(at), self.errors.degrees
        if np.isfinite(denominator):
            statistic /= degrees
            p_value = float(fdtrc(degrees, denominator, statistic))
        else:
            p_value = float(chdtrc(degrees, statistic))
        return pd.DataFrame(
            {
                "statistic": [statistic],
                "degrees": [degrees],
                "degrees_denominator": [denominator],
                "p_value": [p_value],
            }
        )

    def _position(self, term: str) -> int:
        """Position of `term`, or an error that lists what there is."""
        if term not in self.terms:
            raise ModelError(f"no term {term!r}; the terms are {', '.join(self.terms)}")
        return self.terms.index(term)


@dataclass(frozen=True, kw_only=True)
class Fit(Estimates):
    r"""A fitted model whose errors can be changed.

    With bread :math:`B` (the inverse of the information, for least squares :math:`(X'WX)^{-1}`) and scores
    :math:`s_i`, clustered errors are :math:`B (\sum_g c_g s_g s_g') B` with :math:`s_g` the sum of the scores of
    cluster :math:`g` and the factor :math:`c_g` of the convention.

    Attributes
    ----------
    model : str
        The model in words.
    family : {"ml", "linear"}
        Decides the small-sample factor and the reference distribution.
    naive : array of shape (k, k)
        Covariance if rows are independent and the model holds.
    bread : array of shape (k, k)
    scores : Scores or None
        What each row adds to the score; None if errors cannot be clustered.
    source : RowSource
        Frame and rows used, to find cluster columns later.
    parameters : int
        Parameters counted, absorbed ones among them.
    degrees_naive : float, default inf
        Degrees of freedom for tests under independent rows.
    log_likelihood : float
        NaN where the model has none.
    events, persons : int or None
    statistics : mapping of str to float
        Further columns of `glance`, such as ``r_squared``.
    unbounded : mapping of str to float
        Terms without a finite estimate and the sign of the infinity they run to. `estimates` holds the finite part.
    design : Any
        What the model needs to build its matrix for new data; None if it cannot predict.
    """

    model: str
    family: Literal["ml", "linear"]
    naive: FloatArray
    bread: FloatArray
    scores: Scores | None
    source: RowSource
    parameters: int
    degrees_naive: float = np.inf
    log_likelihood: float = np.nan
    events: int | None = None
    persons: int | None = None
    statistics: Mapping[str, float] = field(default_factory=dict)
    unbounded: Mapping[str, float] = field(default_factory=dict)
    design: Any = None

    @property
    def coef(self) -> pd.Series:
        """Estimates by term; infinite where the data give no finite estimate."""
        return super().coef.where(~self._unbounded_mask(), self._unbounded_values())

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance of the estimates; missing for terms without a finite estimate."""
        covariance = self.covariance.copy()
        mask = self._unbounded_mask()
        covariance[mask, :] = np.nan
        covariance[:, mask] = np.nan
        return pd.DataFrame(covariance, index=list(self.terms), columns=list(self.terms))

    def tidy(self, level: float = 0.95, *, exponentiate: bool = False) -> pd.DataFrame:
        """Estimates, standard errors, tests against zero and confidence intervals.

        Tests and intervals use t with the degrees of freedom named in `glance` for linear models, else the normal.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default False
            Give estimates and intervals as ratios; standard errors stay on the log scale.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``. A term without a finite
            estimate has an infinite one and no error.
        """
        mask = self._unbounded_mask()
        return tidy_frame(
            self.terms,
            np.where(mask, self._unbounded_values(), self.estimates),
            np.where(mask, np.nan, self.std_errors),
            self.errors.degrees,
            level,
            exponentiate=exponentiate,
        )

    def glance(self) -> pd.DataFrame:
        """One row about the fit.

        Returns
        -------
        DataFrame
            ``model, rows, persons, clusters`` (the smaller number where there are two), ``events, rows_dropped,
            parameters, log_likelihood, aic``, what the model adds, ``degrees`` and ``convention``.
        """
        clusters = min(self.errors.clusters) if self.errors.clusters else pd.NA
        row: dict[str, Any] = {
            "model": self.model,
            "rows": self.source.used,
            "persons": pd.NA if self.persons is None else self.persons,
            "clusters": clusters,
            "events": pd.NA if self.events is None else self.events,
            "rows_dropped": self.source.given - self.source.used,
            "parameters": self.parameters,
            "log_likelihood": self.log_likelihood,
            "aic": 2.0 * self.parameters - 2.0 * self.log_likelihood,
            **self.statistics,
            "degrees": self.errors.degrees,
            "convention": self.errors.text,
        }
        return pd.DataFrame({name: [value] for name, value in row.items()})

    def with_errors(self, cluster: str | Sequence[str] | None = KEEP, small_sample: SmallSample = KEEP) -> Self:
        """Give the same fit other standard errors.

        Parameters
        ----------
        cluster : str, list of up to two str, or None
            Columns of the frame the model was fitted to. None: independent rows. Left out: as it is.
        small_sample : {"stata", "none", "fixest", "sandwich"}
            See `bipstudy.models.covariance.clustered_covariance`. Left out: as it is.

        Returns
        -------
        Fit
            Of the same class.

        Raises
        ------
        ModelError
            If a column is absent or has missing values in the rows used, or if the fit keeps no scores.
        """
        names = self.errors.cluster if cluster is KEEP else cluster_names(cluster)
        convention: SmallSample = self.errors.small_sample if small_sample is KEEP else small_sample
        notes = tuple(note for note in self.notes if not note.startswith("two-way covariance"))
        if not names:
            errors = Errors(small_sample=convention, degrees=self.degrees_naive, text=self._naive_text())
            return replace(self, covariance=self.naive, errors=errors, notes=notes)
        if self.scores is None:
            raise ModelError(f"{self.model} keeps no scores, so its errors cannot be clustered")
        groups = [self.source.codes(name) for name in names]
        result = clustered_covariance(
            bread=self.bread,
            scores=self.scores,
            codes=[codes for codes, _ in groups],
            small_sample=convention,
            family=self.family,
            parameters=self._parameters_counted([codes for codes, _ in groups], convention),
        )
        text = result.describe(names)
        if result.repaired:
            notes += ("two-way covariance had negative eigenvalues, set to zero",)
        errors = Errors(names, convention, result.clusters, self._degrees(result, convention), result.repaired, text)
        return replace(self, covariance=result.covariance, errors=errors, notes=notes)

    def influence(self) -> FloatArray:
        """Return what each row adds to the estimates, bread times score, shape (n, k).

        Their sum is zero, and the sum of their outer products within clusters is the clustered covariance without
        small-sample factor.
        """
        if self.scores is None:
            raise ModelError(f"{self.model} keeps no scores")
        return np.asarray(self.scores.dense() @ self.bread.T)

    def _degrees(self, result: ClusteredCovariance, convention: SmallSample) -> float:
        """Degrees of freedom of tests under clustered errors."""
        if self.family == "ml" or convention == "none":
            return np.inf
        if convention == "sandwich":
            return self.degrees_naive
        return float(min(result.clusters) - 1)

    def _parameters_counted(self, codes: Sequence[IntArray], convention: SmallSample) -> int:
        """Parameters that the small-sample factor counts; models with absorbed effects refine it."""
        return self.parameters

    def _naive_text(self) -> str:
        """Words for errors without clusters."""
        return INDEPENDENT.text

    def _unbounded_mask(self) -> npt.NDArray[np.bool_]:
        """Which terms have no finite estimate, shape (k,)."""
        return np.array([term in self.unbounded for term in self.terms], dtype=bool)

    def _unbounded_values(self) -> FloatArray:
        """Infinity of the right sign for terms without a finite estimate, NaN for the others, shape (k,)."""
        return np.array([np.inf * self.unbounded.get(term, np.nan) for term in self.terms], dtype=np.float64)
