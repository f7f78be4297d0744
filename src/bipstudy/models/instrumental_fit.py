"""The fit of a linear model with endogenous terms, and what weak instruments allow to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.absorb import is_nested
from bipstudy.models.covariance import ModelError, RowScores, SmallSample, clustered_covariance
from bipstudy.models.estimates import Fit
from bipstudy.models.instruments import residual_maker
from bipstudy.models.weak_instruments import (
    ReducedForms,
    anderson_rubin,
    anderson_rubin_set,
    effective_f,
    effective_f_critical,
)

__all__ = ["InstrumentalFit", "PartialColumns"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PartialColumns:
    """Everything with absorbed effects and weights taken out; bases orthonormal, that of Z free of W."""

    outcome: FloatArray
    treatments: FloatArray
    exogenous: FloatArray
    basis_w: FloatArray
    basis_z: FloatArray


@dataclass(frozen=True, kw_only=True)
class InstrumentalFit(Fit):
    """A linear model with endogenous terms.

    Besides `tidy` and `glance` there are `first_stage`, `anderson_rubin_test` and `anderson_rubin_interval`; all use
    the clusters and the convention of the fit, also after `with_errors`.

    Attributes
    ----------
    endogenous : tuple of str
        Terms that are instrumented; they stand first.
    instruments : tuple of str
        Instruments that add to the exogenous terms.
    residuals : array, shape (n,)
        Of the structural equation.
    effects : tuple of int arrays, shape (n,)
        Levels of the absorbed effects.
    columns : PartialColumns
        Arrays that the diagnostics need.
    """

    endogenous: tuple[str, ...]
    instruments: tuple[str, ...]
    residuals: FloatArray
    effects: tuple[IntArray, ...] = ()
    columns: PartialColumns

    def first_stage(self) -> pd.DataFrame:
        """Strength of the instruments, one row per endogenous term.

        Returns
        -------
        DataFrame
            ``term, instruments, f_statistic`` (Wald over the number of instruments, with the errors of the fit),
            ``p_value, effective_f, critical_10, critical_5`` (worst-case bias of two-stage least squares of at most
            10 and 5 % of that of least squares, with 95 % confidence; for one endogenous term),
            ``partial_r_squared``, and ``conditional_f, conditional_p_value``: whether the instruments can tell the
            term from the other endogenous terms (Sanderson and Windmeijer 2016, with the errors of the fit). Several
            terms may each have a high F that comes from the same variation; the smallest conditional F says how weak
            they are together. With one endogenous term it is the F.

        References
        ----------
        Sanderson, E., Windmeijer, F. (2016). A weak instrument F-test in linear IV models with multiple endogenous
        variables. Journal of Econometrics 190, 212-221 (equation 12).
        """
        from scipy.special import chdtrc, fdtrc

        rows = []
        for place, term in enumerate(self.endogenous):
            forms = self._forms(place)
            k = forms.treatment.size
            v = forms.covariance[k:, k:]
            statistic = float(forms.treatment @ np.linalg.solve(v, forms.treatment)) / k
            apart = self._forms(place, apart=True)
            free = k - len(self.endogenous) + 1
            conditional = float(apart.treatment @ np.linalg.solve(apart.covariance[k:, k:], apart.treatment)) / free
            p_value, p_conditional = (
                fdtrc(count, forms.degrees, value) if np.isfinite(forms.degrees) else chdtrc(count, count * value)
                for count, value in ((k, statistic), (free, conditional))
            )
            alone = len(self.endogenous) == 1
            judged = alone and bool(np.isfinite(v).all())
            left = residual_maker(self.columns.treatments[:, place], self.columns.basis_w)
            rows.append(
                {
                    "term": term,
                    "instruments": k,
                    "f_statistic": statistic,
                    "p_value": float(p_value),
                    "effective_f": effective_f(forms) if alone else np.nan,
                    "critical_10": effective_f_critical(v, 0.10) if judged else np.nan,
                    "critical_5": effective_f_critical(v, 0.05) if judged else np.nan,
                    "partial_r_squared": float(forms.treatment @ forms.treatment / (left @ left)),
                    "conditional_f": conditional,
                    "conditional_p_value": float(p_conditional),
                }
            )
        return pd.DataFrame(rows)

    def anderson_rubin_test(self, value: float = 0.0) -> pd.DataFrame:
        """Test the coefficient of the endogenous term in a way that holds however weak the instruments are.

        Parameters
        ----------
        value : float, default 0

        Returns
        -------
        DataFrame
            One row: ``term, value, statistic, degrees, degrees_denominator, p_value``.

        Raises
        ------
        ModelError
            If there is more than one endogenous term.
        """
        forms = self._forms(self._only_one())
        _check_clusters(forms)
        statistic, p_value = anderson_rubin(forms, value)
        row = {
            "term": self.endogenous[0],
            "value": value,
            "statistic": statistic,
            "degrees": forms.outcome.size,
            "degrees_denominator": forms.degrees,
            "p_value": p_value,
        }
        return pd.DataFrame([row])

    def anderson_rubin_interval(self, level: float = 0.95) -> pd.DataFrame:
        """Give the values that Anderson and Rubin's test does not reject.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``term, part, conf_low, conf_high``: one row for an interval; infinite ends where the instruments are too
            weak to bound it; two rows for a line with a hole; no row if every value is rejected.

        Raises
        ------
        ModelError
            If there is more than one endogenous term.
        """
        forms = self._forms(self._only_one())
        _check_clusters(forms)
        centre, scale = float(self.estimates[0]), float(self.std_errors[0])
        parts = anderson_rubin_set(forms, centre=centre, scale=scale, level=level)
        rows = [(self.endogenous[0], part, low, high) for part, (low, high) in enumerate(parts, start=1)]
        return pd.DataFrame(rows, columns=["term", "part", "conf_low", "conf_high"])

    def _only_one(self) -> int:
        """Position of the endogenous term, of which there must be one."""
        if len(self.endogenous) != 1:
            raise ModelError("the Anderson-Rubin test is given for one endogenous term")
        return 0

    def _parameters_counted(self, codes: Sequence[IntArray], convention: SmallSample) -> int:
        """K of the small-sample factor, as for least squares with absorbed effects."""
        if not self.effects or convention in ("sandwich", "none"):
            return self.parameters
        levels = [int(effect.max()) + 1 for effect in self.effects]
        nested = [any(is_nested(effect, cluster) for cluster in codes) for effect in self.effects]
        inside = sum(level - 1 for level, is_inside in zip(levels, nested, strict=True) if is_inside)
        return len(self.terms) + sum(levels) - (len(levels) - 1) - inside

    def _naive_text(self) -> str:
        """Words for errors without clusters."""
        return "independent rows of equal variance assumed"

    def _forms(self, place: int, *, apart: bool = False) -> ReducedForms:
        """Reduced form and first stage with the errors of the fit; `apart`, of what the other terms leave of one.

        What they leave is the residual of two-stage least squares of the term on the others.
        """
        c = self.columns
        partial = residual_maker(np.column_stack([c.outcome, c.treatments[:, place]]), c.basis_w)
        if apart and len(self.endogenous) > 1:
            others = residual_maker(np.delete(c.treatments, place, axis=1), c.basis_w)
            slopes = np.linalg.lstsq(c.basis_z.T @ others, c.basis_z.T @ partial[:, 1], rcond=None)[0]
            partial[:, 1] -= others @ slopes
        coefficients = c.basis_z.T @ partial
        residuals = partial - c.basis_z @ coefficients
        k, rows = c.basis_z.shape[1], len(c.outcome)
        parameters = self.parameters - len(self.endogenous) + k
        if not self.errors.cluster:
            spread = residuals.T @ residuals / (rows - parameters)
            covariance = np.kron(spread, np.eye(k))
            return ReducedForms(coefficients[:, 0], coefficients[:, 1], covariance, float(rows - parameters))
        scores = np.hstack([c.basis_z * residuals[:, [0]], c.basis_z * residuals[:, [1]]])
        codes = [self.source.codes(name)[0] for name in self.errors.cluster]
        convention = self.errors.small_sample
        counted = self._parameters_counted(codes, convention) - len(self.endogenous) + k
        result = clustered_covariance(
            bread=np.eye(2 * k),
            scores=RowScores(scores),
            codes=codes,
            small_sample=convention,
            family="linear",
            parameters=counted,
        )
        covariance = result.covariance
        # Dummies of the clusters themselves: residuals add to nothing in every cluster, and what is left is rounding.
        sizes = _sizes(residuals, k)
        if not sizes.all() or np.linalg.eigvalsh(covariance / np.outer(sizes, sizes))[0] < 1e-10:
            covariance = np.full_like(covariance, np.nan)
        return ReducedForms(coefficients[:, 0], coefficients[:, 1], covariance, self.errors.degrees)


def _sizes(residuals: FloatArray, k: int) -> FloatArray:
    """Give the errors that coefficients of orthonormal instruments would have with independent rows."""
    return np.asarray(np.repeat(np.sqrt((residuals**2).mean(axis=0)), k), dtype=np.float64)


def _check_clusters(forms: ReducedForms) -> None:
    """Refuse a covariance that the clusters cannot give."""
    if not np.isfinite(forms.covariance).all():
        raise ModelError("the instruments leave no variation between clusters: choose other clusters, or none")
