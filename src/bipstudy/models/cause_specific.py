"""Cause-specific Cox regressions of competing events, and the cumulative incidence they imply together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, SmallSample
from bipstudy.models.cox import CoxFit, Ties, cox
from bipstudy.models.cox_diagnostics import baseline
from bipstudy.models.design import Weights
from bipstudy.models.estimates import KEEP
from bipstudy.models.incidence import cause_codes
from bipstudy.models.risk_sets import Floats

__all__ = ["CauseSpecificFit", "cause_specific_cox"]

# Rows are predicted in pieces of at most this many row-times.
_CELLS = 4_000_000


@dataclass(frozen=True)
class CauseSpecificFit:
    """One Cox regression per cause; events of the other causes censor.

    Attributes
    ----------
    causes : tuple
    fits : tuple of CoxFit
        In the order of `causes`.
    """

    causes: tuple[Any, ...]
    fits: tuple[CoxFit, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of all regressions, each with its cause."""
        return tuple(
            f"{cause}: {note}" for cause, fit in zip(self.causes, self.fits, strict=True) for note in fit.notes
        )

    def tidy(self, level: float = 0.95, *, exponentiate: bool = False) -> pd.DataFrame:
        """Estimates of all regressions: ``cause``, then the columns of a single one."""
        return self._stack([fit.tidy(level, exponentiate=exponentiate) for fit in self.fits])

    def glance(self) -> pd.DataFrame:
        """One row per cause."""
        return self._stack([fit.glance() for fit in self.fits])

    def with_errors(
        self, cluster: str | Sequence[str] | None = KEEP, small_sample: SmallSample = KEEP
    ) -> CauseSpecificFit:
        """Return the same fits with other standard errors."""
        return replace(self, fits=tuple(fit.with_errors(cluster, small_sample) for fit in self.fits))

    def reweighted(self, weights: npt.ArrayLike) -> CauseSpecificFit:
        """Return the fits under case weights multiplied by others; see `CoxFit.reweighted`."""
        return replace(self, fits=tuple(fit.reweighted(weights) for fit in self.fits))

    def incidence(self, frame: pd.DataFrame, times: npt.ArrayLike) -> Floats:
        r"""Cumulative incidence of each cause for covariates that stay as they are.

        Between two event times nothing happens; at one, survival falls by the factor
        :math:`\exp(-\sum_h d\Lambda_h)` and what falls is shared in proportion to the hazards, so that incidences and
        survival add up to one.

        Parameters
        ----------
        frame : DataFrame
            The columns of the formula, and of the strata if there are any.
        times : number or sequence of numbers

        Returns
        -------
        (rows, times, causes) float64
            NaN after the last follow-up of the stratum.
        """
        moments = np.atleast_1d(np.asarray(times, dtype=np.float64))
        out = np.empty((len(frame), len(moments), len(self.causes)))
        ratio = np.column_stack(
            [np.exp((fit.design.matrix(frame) - fit.data.centre) @ fit.estimates) for fit in self.fits]
        )
        stratum = self.fits[0].strata_of(frame)
        for s in np.unique(stratum):
            mine = np.flatnonzero(stratum == s)
            grid, jumps = self._jumps(int(s))
            place = np.searchsorted(grid, moments, side="right")
            data = self.fits[0].data
            final = data.stop.max() if data.stratum is None else data.stop[data.stratum == s].max()
            pieces = np.array_split(mine, max(1, -(-mine.size * len(grid) // _CELLS)))
            for rows in pieces:
                out[rows] = _incidence_paths(ratio[rows], jumps)[:, place]
            out[np.ix_(mine, moments > final)] = np.nan
        return out

    def _jumps(self, stratum: int) -> tuple[Floats, Floats]:
        """Event times of any cause in a stratum, and the hazard of each cause there, shape (times, causes)."""
        found = []
        for fit in self.fits:
            sets = fit.data.sets
            begin, end = np.searchsorted(sets.stratum, [stratum, stratum + 1])
            found.append((sets.time[begin:end], baseline(at=fit.maximum.at)[begin:end]))
        grid = np.unique(np.concatenate([time for time, _ in found]))
        jumps = np.zeros((len(grid), len(found)))
        for h, (time, hazard) in enumerate(found):
            jumps[np.searchsorted(grid, time), h] = hazard
        return grid, jumps

    def _stack(self, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Tables of the causes one below the other."""
        labelled = [table.assign(cause=cause) for cause, table in zip(self.causes, tables, strict=True)]
        whole = pd.concat(labelled, ignore_index=True)
        return whole[["cause", *(name for name in whole.columns if name != "cause")]]


def _incidence_paths(ratio: Floats, jumps: Floats) -> Floats:
    """Incidence of each cause after 0, 1, ... event times, shape (rows, times + 1, causes)."""
    hazard = ratio[:, None, :] * jumps
    total = hazard.sum(axis=2)
    before = np.exp(total - np.cumsum(total, axis=1))
    share = np.divide(-np.expm1(-total), total, out=np.ones_like(total), where=total > 0)
    paths = np.zeros((hazard.shape[0], hazard.shape[1] + 1, hazard.shape[2]))
    np.cumsum((before * share)[:, :, None] * hazard, axis=1, out=paths[:, 1:])
    return paths


def cause_specific_cox(
    frame: pd.DataFrame,
    formula: str,
    *,
    stop: str,
    cause: str,
    start: str | None = None,
    strata: str | Sequence[str] | None = None,
    weights: Weights = None,
    ties: Ties = "efron",
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    person: str | None = None,
) -> CauseSpecificFit:
    """Cox regressions for each of several competing causes.

    Parameters
    ----------
    frame, formula, stop, start, strata, weights, ties, cluster, small_sample, person
        As for `bipstudy.models.cox`.
    cause : str
        0 where there was no event, as for `bipstudy.models.cumulative_incidence`.

    Returns
    -------
    CauseSpecificFit
        With `tidy`, `glance`, `with_errors` and `incidence`.

    Raises
    ------
    ModelError
        If no row has an event, or as for `bipstudy.models.cox`.

    References
    ----------
    Prentice, R. L. et al. (1978). The analysis of failure times in the presence of competing risks. Biometrics 34,
    541-554. Putter, H., Fiocco, M. & Geskus, R. B. (2007). Tutorial in biostatistics: competing risks and multi-state
    models. Statistics in Medicine 26, 2389-2430.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"days": [1, 2, 3, 4, 5, 6], "cause": [1, 2, 1, 0, 2, 1], "x": [1, 0, 0, 1, 1, 0]})
    >>> cause_specific_cox(frame, "x", stop="days", cause="cause").tidy()[["cause", "term"]].values.tolist()
    [[1, 'x'], [2, 'x']]
    """
    if cause not in frame.columns:
        raise ModelError(f"the frame has no column {cause!r}")
    known = frame[cause].notna().to_numpy()
    codes, labels = cause_codes(frame.loc[known, cause], cause)
    if not labels:
        raise ModelError(f"no row has an event ({cause!r}); there is nothing to estimate")
    name = f"{cause}: event"
    options: dict[str, Any] = {
        "start": start, "stop": stop, "strata": strata, "weights": weights, "ties": ties, "cluster": cluster,
        "small_sample": small_sample, "person": person,
    }  # fmt: skip
    fits = []
    for code in range(1, len(labels) + 1):
        # Rows whose cause is unknown are left out of every regression.
        mark = np.full(len(frame), np.nan)
        mark[known] = codes == code
        fits.append(cox(frame.assign(**{name: mark}), formula, event=name, **options))
    return CauseSpecificFit(labels, tuple(fits))
