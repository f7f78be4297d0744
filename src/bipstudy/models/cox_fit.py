"""A fitted Cox model: its rows as arrays, its errors, and everything that is asked of it after the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, RowScores, SmallSample, clustered_covariance
from bipstudy.models.cox_diagnostics import (
    Kind,
    Prediction,
    Transform,
    baseline,
    concordance,
    predict_hazard,
    proportionality,
    residuals,
    schoenfeld,
)
from bipstudy.models.estimates import KEEP, Fit
from bipstudy.models.partial_likelihood import Evaluation, Maximum, inverse_information, maximise, scores
from bipstudy.models.risk_sets import Booleans, Floats, Integers, RiskSets, cumulate

__all__ = ["CoxData", "CoxFit", "CoxScores"]


@dataclass(frozen=True)
class CoxData:
    """The rows of a Cox model as arrays.

    Attributes
    ----------
    x : (n, k) float64
        Covariates less `centre`.
    centre, scale : (k,) float64
        Weighted means and standard deviations of the covariates.
    start : (n,) float64 or None
    stop, weight : (n,) float64
    event : (n,) bool
    stratum : (n,) int64 or None
    strata : tuple
        Labels of the strata; one empty label without strata.
    strata_columns : tuple of str
    sets : RiskSets
    efron : bool
    """

    x: Floats
    centre: Floats
    scale: Floats
    start: Floats | None
    stop: Floats
    weight: Floats
    event: Booleans
    stratum: Integers | None
    strata: tuple[Any, ...]
    strata_columns: tuple[str, ...]
    sets: RiskSets
    efron: bool


@dataclass(frozen=True)
class CoxScores:
    """Score residuals of a Cox fit, summed as they are made rather than kept as a matrix."""

    data: CoxData
    at: Evaluation

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""
        return self.data.x.shape[0], self.data.x.shape[1]

    def by_group(self, codes: Integers, groups: int) -> Floats:
        """Sum within groups, shape (groups, k)."""
        data = self.data
        return scores(x=data.x, weight=data.weight, sets=data.sets, at=self.at, code=codes, groups=groups)

    def dense(self) -> Floats:
        """All rows, shape (n, k)."""
        data = self.data
        return scores(x=data.x, weight=data.weight, sets=data.sets, at=self.at)


@dataclass(frozen=True, kw_only=True)
class CoxFit(Fit):
    """A fitted Cox model; estimates are log hazard ratios.

    Attributes
    ----------
    data : CoxData
    maximum : Maximum
        The partial likelihood at the start and at the end.
    """

    data: CoxData
    maximum: Maximum

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Hazard ratios with intervals; standard errors are those of the log hazard ratios.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        return self.tidy(level, exponentiate=True)

    def proportionality(self, transform: Transform = "km") -> pd.DataFrame:
        """Test that hazards are proportional, term by term and together.

        Parameters
        ----------
        transform : {"km", "identity", "rank", "log"}
            The function of time with which a coefficient might change; "km" is one less the Kaplan-Meier curve.

        Returns
        -------
        DataFrame
            ``term, statistic, degrees, p_value``, the last row for all terms together. Rows are taken as independent.
        """
        from scipy.special import chdtrc

        tests = proportionality(data=self.data, at=self.maximum.at, transform=transform)
        statistic = np.append(tests.chi_square, tests.overall)
        degrees = np.append(np.ones(len(self.terms)), len(self.terms))
        columns = {"term": [*self.terms, "all terms"], "statistic": statistic, "degrees": degrees.astype(np.int64)}
        return pd.DataFrame({**columns, "p_value": chdtrc(degrees, statistic)})

    def schoenfeld(self, *, scaled: bool = False) -> pd.DataFrame:
        """Schoenfeld residuals, one row per event.

        Parameters
        ----------
        scaled : bool
            Multiplied by the number of events and the covariance, and added to the estimates: their smooth over time
            shows how a coefficient changes.

        Returns
        -------
        DataFrame
            ``time``, then one column per term.
        """
        value = schoenfeld(data=self.data, at=self.maximum.at)
        if scaled:
            value = self.estimates + len(value) * value @ self.naive
        time = self.data.stop[self.data.sets.event_rows]
        return pd.DataFrame({"time": time, **dict(zip(self.terms, value.T, strict=True))})

    def residuals(self, kind: Kind = "martingale") -> pd.DataFrame:
        """Residuals of the rows used.

        Parameters
        ----------
        kind : {"martingale", "deviance", "score", "dfbeta", "dfbetas"}
            See `bipstudy.models.cox_diagnostics.residuals`.

        Returns
        -------
        DataFrame
            Index: positions in the frame. One column named after the kind, or one per term.
        """
        value = residuals(data=self.data, at=self.maximum.at, inverse=self.naive, kind=kind)
        positions = np.arange(self.source.given) if self.source.positions is None else self.source.positions
        names = [kind] if value.ndim == 1 else list(self.terms)
        return pd.DataFrame(value.reshape(len(positions), -1), index=positions, columns=names)

    def baseline_hazard(self, *, centred: bool = True) -> pd.DataFrame:
        """Baseline hazard by stratum: Breslow's estimate, with Efron ties Efron's.

        Parameters
        ----------
        centred : bool
            At the mean of the covariates; else where all of them are zero.

        Returns
        -------
        DataFrame
            ``stratum, time, hazard, cumulative_hazard``.
        """
        sets = self.data.sets
        hazard = baseline(at=self.maximum.at)
        if not centred:
            hazard = hazard * np.exp(-self.data.centre @ self.estimates)
        label = [self.data.strata[s] for s in sets.stratum]
        columns = {"stratum": label, "time": sets.time, "hazard": hazard}
        return pd.DataFrame({**columns, "cumulative_hazard": cumulate(hazard, sets.last)[:-1]})

    def predict_survival(self, frame: pd.DataFrame, times: npt.ArrayLike, level: float = 0.95) -> pd.DataFrame:
        """Probability of no event by each time for covariates that stay as they are in each row.

        Parameters
        ----------
        frame : DataFrame
            The columns of the formula, and of the strata if there are any.
        times : number or sequence of numbers
        level : float, default 0.95
            Of intervals on the log(-log) scale.

        Returns
        -------
        DataFrame
            ``row`` (position in `frame`), ``time, estimate, std_error, conf_low, conf_high, cumulative_hazard``; NaN
            after the last follow-up of the stratum.
        """
        from bipstudy.models.curves import log_log_interval

        moments = np.atleast_1d(np.asarray(times, dtype=np.float64))
        hazard = self.predict_hazard(frame, moments)
        value = np.exp(-hazard.cumulative_hazard).ravel()
        error = value * hazard.std_error.ravel()
        low, high = log_log_interval(value, error, level)
        return pd.DataFrame(
            {
                "row": np.repeat(np.arange(len(frame)), len(moments)),
                "time": np.tile(moments, len(frame)),
                "estimate": value,
                "std_error": error,
                "conf_low": low,
                "conf_high": high,
                "cumulative_hazard": hazard.cumulative_hazard.ravel(),
            }
        )

    def predict_hazard(self, frame: pd.DataFrame, times: Floats) -> Prediction:
        """Cumulative hazards of the rows of `frame` with their standard errors, shape (rows, times)."""
        return predict_hazard(
            data=self.data,
            at=self.maximum.at,
            covariance=self.covariance,
            x=self.design.matrix(frame) - self.data.centre,
            stratum=self.strata_of(frame),
            times=times,
        )

    def concordance(self) -> pd.DataFrame:
        """How often the one with the higher risk has the event first (Harrell's C), ties in risk counted half.

        Returns
        -------
        DataFrame
            One row: ``estimate, std_error, concordant, discordant, tied``. The error allows for the clusters of the
            fit.
        """
        data = self.data
        found = concordance(predictor=data.x @ self.estimates, weight=data.weight, sets=data.sets, event=data.event)
        error = found.std_error
        if self.errors.cluster:
            codes = [self.source.codes(name)[0] for name in self.errors.cluster]
            sums = RowScores(found.influence[:, None])
            robust = clustered_covariance(bread=np.eye(1), scores=sums, codes=codes, small_sample="none")
            error = float(np.sqrt(robust.covariance[0, 0]))
        row = (found.estimate, error, found.concordant, found.discordant, found.tied)
        return pd.DataFrame([row], columns=["estimate", "std_error", "concordant", "discordant", "tied"])

    def refit(self, weights: npt.ArrayLike) -> Floats:
        """Estimates with the case weights multiplied by others, such as the counts of a bootstrap draw.

        Parameters
        ----------
        weights : (n,) float64
            One for each row used. If they are whole and the case weights one, they count rows, among ties too.

        Returns
        -------
        (k,) float64
        """
        from bipstudy.models.cox_refit import refit

        data = self.data
        weight, whole = self._multiplied(weights)
        return refit(
            x=data.x,
            sets=data.sets,
            weight=weight,
            beta=self.estimates,
            scale=data.scale,
            efron=data.efron,
            frequency=whole,
        )

    def reweighted(self, weights: npt.ArrayLike) -> CoxFit:
        """Return the whole fit under other weights, with baseline and errors; `weights` as for `refit`."""
        data = self.data
        weight, whole = self._multiplied(weights)
        maximum = maximise(
            x=data.x,
            weight=weight,
            sets=data.sets,
            scale=data.scale,
            efron=data.efron,
            frequency=whole,
            initial=self.estimates,
        )
        inverse = inverse_information(maximum)
        data = replace(data, weight=weight)
        fit = replace(
            self,
            estimates=maximum.at.beta,
            covariance=inverse,
            naive=inverse,
            bread=inverse,
            scores=CoxScores(data, maximum.at),
            log_likelihood=maximum.at.log_likelihood,
            unbounded={self.terms[j]: float(np.sign(maximum.at.beta[j])) for j in np.flatnonzero(maximum.monotone)},
            data=data,
            maximum=maximum,
        )
        return fit.with_errors()

    def _multiplied(self, weights: npt.ArrayLike) -> tuple[Floats, bool]:
        """Case weights times others, and whether they count rows."""
        factor = np.asarray(weights, dtype=np.float64)
        if factor.shape != self.data.weight.shape or not (np.isfinite(factor).all() and (factor >= 0).all()):
            raise ModelError(f"weights must be {len(self.data.weight)} finite numbers that are not negative")
        weight = self.data.weight * factor
        return weight, bool((self.data.weight == 1.0).all() and np.array_equal(weight, np.rint(weight)))

    def strata_of(self, frame: pd.DataFrame) -> Integers:
        """Codes of the strata of new rows, shape (m,)."""
        columns = self.data.strata_columns
        if not columns:
            return np.zeros(len(frame), dtype=np.int64)
        absent = [name for name in columns if name not in frame.columns]
        if absent:
            raise ModelError(f"the frame has no column {', '.join(map(repr, absent))} of strata")
        values = frame[columns[0]] if len(columns) == 1 else frame[list(columns)].itertuples(index=False, name=None)
        place = {label: code for code, label in enumerate(self.data.strata)}
        codes = np.array([place.get(value, -1) for value in values], dtype=np.int64)
        if (codes < 0).any():
            raise ModelError("a row belongs to a stratum that was not seen when the model was fitted")
        return codes

    def with_errors(self, cluster: str | Sequence[str] | None = KEEP, small_sample: SmallSample = KEEP) -> CoxFit:  # noqa: D102 - described by the base class
        fit = super().with_errors(cluster, small_sample)
        assert isinstance(fit, CoxFit)
        return fit
