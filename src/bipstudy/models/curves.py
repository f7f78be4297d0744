"""Estimated curves as tables: at chosen times, as steps, as restricted means and as numbers at risk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.restricted import restricted_areas
from bipstudy.models.risk_sets import Floats, Integers, slot_sums
from bipstudy.models.state_curves import StateCurves, cluster_variance, lookup
from bipstudy.models.tidy import critical_value

__all__ = ["ALL", "COLUMNS", "Curves", "log_log_interval"]

ALL = "all"
COLUMNS = ("time", "group", "cause", "estimate", "std_error", "conf_low", "conf_high", "at_risk")


@dataclass(frozen=True)
class Curves:
    """Step functions of time with their errors.

    Attributes
    ----------
    kind : {"survival", "incidence"}
        Kaplan-Meier or Aalen-Johansen.
    groups : tuple
        Labels of the groups; ``("all",)`` without groups.
    causes : tuple
        Labels of the causes of events.
    estimates : StateCurves
        The numbers behind the curves, at the event times of every group.
    start : (n,) float64 or None
    stop : (n,) float64
    group, cluster : (n,) int64
        Codes of the rows used; `cluster` is None if rows are independent.
    errors : str
        Which variance the standard errors come from, in words.
    greenwood : bool
    persons : int
    rows_dropped : int
    notes : tuple of str
    """

    kind: Literal["survival", "incidence"]
    groups: tuple[Any, ...]
    causes: tuple[Any, ...]
    estimates: StateCurves
    start: Floats | None
    stop: Floats
    group: Integers
    cluster: Integers | None
    errors: str
    greenwood: bool
    rows_dropped: int
    notes: tuple[str, ...] = ()

    def at(self, times: npt.ArrayLike, level: float = 0.95) -> pd.DataFrame:
        """Estimates at chosen times.

        Intervals are on the log(-log) scale, so they stay within 0 and 1; they are not defined (NaN) where the
        estimate is 0 or 1. After the last time a group is followed, everything is NaN, unless no one is left without
        an event.

        Parameters
        ----------
        times : number or sequence of numbers
        level : float, default 0.95

        Returns
        -------
        DataFrame
            Columns ``time, group, cause, estimate, std_error, conf_low, conf_high, at_risk``; `at_risk` counts rows
            under observation just before the time (at the very start: those who start then).
        """
        moments = np.atleast_1d(np.asarray(times, dtype=np.float64))
        if moments.ndim != 1 or np.isnan(moments).any():
            raise ModelError("times must be numbers")
        slots = np.array([lookup(self.estimates, g, moments) for g in range(len(self.groups))])
        variance = self._variance(slots)
        pieces = [self._table(g, moments, slots[g], variance[g], level) for g in range(len(self.groups))]
        return pd.concat(pieces, ignore_index=True)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Every step of every curve, from the origin to the last follow-up, in the columns of `at`, for plots."""
        pieces = []
        for g in range(len(self.groups)):
            begin, end = np.searchsorted(self.estimates.sets.stratum, [g, g + 1])
            first, final = self._span(g)
            times = np.unique(np.concatenate([[first], self.estimates.sets.time[begin:end], [final]]))
            slots = np.full((len(self.groups), times.size), -1, dtype=np.int64)
            slots[g] = lookup(self.estimates, g, times)
            pieces.append(self._table(g, times, slots[g], self._variance(slots)[g], 0.95))
        return pd.concat(pieces, ignore_index=True)

    def restricted_mean(self, horizon: float, level: float = 0.95) -> pd.DataFrame:
        r"""Mean time until the horizon without an event (Kaplan-Meier), or lost to each cause (Aalen-Johansen).

        The area under the curve, :math:`\int_0^\tau \hat S(t) dt` or :math:`\int_0^\tau \hat F_h(t) dt`. Standard
        errors follow those of the curve; intervals are normal.

        Parameters
        ----------
        horizon : float
            Not after the last follow-up of any group.
        level : float, default 0.95

        Returns
        -------
        DataFrame
            Columns ``time, group, cause, estimate, std_error, conf_low, conf_high, at_risk``.

        References
        ----------
        Royston, P. & Parmar, M. (2013). Restricted mean survival time. BMC Medical Research Methodology 13, 152.
        Andersen, P. K. (2013). Decomposition of number of life years lost according to causes of death. Statistics in
        Medicine 32, 5278-5285.
        """
        for g, label in enumerate(self.groups):
            first, final = self._span(g)
            alive = (
                self.estimates.survival[lookup(self.estimates, g, [final])][0] if self.estimates.survival.size else 1
            )
            if horizon <= first or (horizon > final and alive > 0):
                raise ModelError(f"the horizon must lie within follow-up; group {label!r} is followed to {final:g}")
        origin = np.array([self._span(g)[0] for g in range(len(self.groups))])
        area = restricted_areas(self.estimates, self.group, origin, horizon)
        survival = self.kind == "survival"
        value = area.survival[:, None] if survival else area.incidence
        if survival and self.greenwood:
            error = np.sqrt(area.greenwood)[:, None]
        else:
            influence = area.survival_influence[:, None] if survival else area.incidence_influence
            error = np.sqrt(self._sum_of_squares(influence))
        half = critical_value(level, np.inf) * error
        pieces = []
        for g, label in enumerate(self.groups):
            for c, cause in enumerate(("survival",) if survival else self.causes):
                number = int(self._number_at_risk(g, np.array([horizon]))[0])
                low, high = value[g, c] - half[g, c], value[g, c] + half[g, c]
                pieces.append((float(horizon), label, cause, value[g, c], error[g, c], low, high, number))
        return pd.DataFrame(pieces, columns=list(COLUMNS))

    def at_risk_table(self, times: npt.ArrayLike) -> pd.DataFrame:
        """Numbers at risk, with events and ends of follow-up so far, for the foot of a figure.

        Parameters
        ----------
        times : number or sequence of numbers

        Returns
        -------
        DataFrame
            ``time, group, at_risk, events, censored``: rows under observation just before the time, and those that
            have had an event, or have left without one, up to and including it (with delayed entry and several rows a
            person, leaving counts every row that ends).
        """
        moments = np.atleast_1d(np.asarray(times, dtype=np.float64))
        pieces = []
        for g, label in enumerate(self.groups):
            mine, event = self.group == g, self.estimates.cause > 0
            counts = {"time": moments, "group": label, "at_risk": self._number_at_risk(g, moments)}
            for name, rows in (("events", mine & event), ("censored", mine & ~event)):
                counts[name] = np.searchsorted(np.sort(self.stop[rows]), moments, side="right")
            pieces.append(pd.DataFrame(counts))
        return pd.concat(pieces, ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: ``model, rows, groups, clusters, events, rows_dropped, convention``."""
        name = "Kaplan-Meier" if self.kind == "survival" else "Aalen-Johansen"
        row = {
            "model": name,
            "rows": len(self.stop),
            "groups": len(self.groups),
            "clusters": pd.NA if self.cluster is None else int(np.unique(self.cluster).size),
            "events": int((self.estimates.cause > 0).sum()),
            "rows_dropped": self.rows_dropped,
            "convention": self.errors,
        }
        return pd.DataFrame({key: [value] for key, value in row.items()})

    def _span(self, g: int) -> tuple[float, float]:
        """Origin and last follow-up of a group."""
        mine = self.group == g
        first = 0.0 if self.start is None else float(self.start[mine].min())
        return min(first, float(self.stop[mine].min())), float(self.stop[mine].max())

    def _variance(self, slots: Integers) -> Floats:
        """Variances, shape (groups, times, curves), at a slot for each group and time."""
        found = slots >= 0
        if self.cluster is not None:
            return self._clustered(slots)
        if self.kind == "survival":
            source = self.estimates.greenwood if self.greenwood else self.estimates.survival_variance
            return np.where(found, source[slots], 0.0)[:, :, None] if source.size else np.zeros((*slots.shape, 1))
        if not self.estimates.incidence.size:
            return np.zeros((*slots.shape, len(self.causes)))
        return np.where(found[:, :, None], self.estimates.incidence_variance[slots], 0.0)

    def _sum_of_squares(self, influence: Floats) -> Floats:
        """Sum influences (n, c) within clusters and groups, square, and sum by group: (groups, c)."""
        unit = np.arange(len(self.group)) if self.cluster is None else self.cluster
        cells, code = np.unique(self.group * (int(unit.max()) + 1) + unit, return_inverse=True)
        owner = cells // (int(unit.max()) + 1)
        sums = [slot_sums(code, column, cells.size) for column in influence.T]
        return np.column_stack([slot_sums(owner, total**2, len(self.groups)) for total in sums])

    def _clustered(self, slots: Integers) -> Floats:
        """Variances with rows summed within clusters."""
        assert self.cluster is not None
        count = 1 if self.kind == "survival" else len(self.causes)
        out = np.zeros((*slots.shape, count))
        for t in range(slots.shape[1]):
            if (slots[:, t] < 0).all():
                continue
            on_survival, on_incidence = cluster_variance(
                self.estimates, slots[:, t], self.group, len(self.groups), self.cluster
            )
            out[:, t, :] = on_survival[:, None] if self.kind == "survival" else on_incidence
        return out

    def _table(self, g: int, times: Floats, slots: Integers, variance: Floats, level: float) -> pd.DataFrame:
        """Rows of one group in the columns of `at`."""
        number = self._number_at_risk(g, times)
        _, final = self._span(g)
        found = slots >= 0
        source = self.estimates
        survival = np.where(found, source.survival[slots], 1.0) if source.survival.size else np.ones(times.size)
        beyond = (times > final) & (survival > 0)
        pieces = []
        for c, cause in enumerate(("survival",) if self.kind == "survival" else self.causes):
            if self.kind == "survival":
                value = survival
            else:
                value = (
                    np.where(found, source.incidence[slots, c], 0.0) if source.survival.size else np.zeros(times.size)
                )
            value = np.where(beyond, np.nan, value)
            error = np.where(beyond, np.nan, np.sqrt(variance[:, c]))
            low, high = log_log_interval(value, error, level)
            columns = (times, self.groups[g], cause, value, error, low, high, number)
            pieces.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
        return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=list(COLUMNS))

    def _number_at_risk(self, g: int, times: Floats) -> Integers:
        """Rows of a group under observation just before each time."""
        mine = self.group == g
        left = np.searchsorted(np.sort(self.stop[mine]), times, side="left")
        if self.start is None:
            return (int(mine.sum()) - left).astype(np.int64)
        begin = np.sort(self.start[mine])
        entered = np.searchsorted(begin, times, side="left")
        # Nobody is at risk just before the origin; who starts there is what a reader of a table of numbers expects.
        entered = np.where(times == begin[0], np.searchsorted(begin, begin[0], side="right"), entered)
        return (entered - left).astype(np.int64)


def log_log_interval(estimate: Floats, std_error: Floats, level: float) -> tuple[Floats, Floats]:
    """Interval for a probability on the log(-log) scale; NaN where the estimate is 0 or 1.

    Examples
    --------
    >>> low, high = log_log_interval(np.array([0.5]), np.array([0.1]), 0.95)
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.2952, 0.6745)
    """
    inside = (estimate > 0) & (estimate < 1)
    value = np.where(inside, estimate, 0.5)
    log = np.log(value)
    half = critical_value(level, np.inf) * std_error / (value * np.abs(log))
    low = np.exp(log * np.exp(half))
    high = np.exp(log * np.exp(-half))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)
