r"""Effects of something that begins at different times for different units: group-time effects, then aggregated.

With staggered beginnings, a regression on unit and period effects compares units that have just begun with units that
began long ago, whose own effects then enter with the wrong sign. Here each group (units that begin in period g) is
compared in each period t with units that have not begun by then only:

.. math::
   ATT(g, t) = (\bar Y_{g,t} - \bar Y_{g,g-1}) - (\bar Y_{C,t} - \bar Y_{C,g-1}),\qquad C = \{i: g_i > \max(t, g-1)\}

and the results are averaged. Rows are repeated cross-sections: a unit may have any number of rows in a period, or none.
The error is that of the jackknife: everything is computed again without each unit. Groups are often of a few units;
sums of influences within units then give too small an error, and none at all for a group of one unit, which does not
differ from its own mean.

References
----------
Callaway, B. and Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time periods. Journal of
Econometrics 225, 200-230. Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing.
Journal of Econometrics 225, 254-277. MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023). Fast and reliable
jackknife and bootstrap methods for cluster-robust inference. Journal of Applied Econometrics 38, 671-694.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError

__all__ = ["Change", "GroupTimeEffects", "group_time_effects"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Z = 1.959963984540054


@dataclass(frozen=True)
class Change:
    """An average of group-time effects with its error, NaN where there is none, and by unit how far it moves that.

    The squares of `influence` sum to that of the error; nought for units that take no part.
    """

    estimate: float
    std_error: float
    influence: Floats = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of 95 per cent, by the normal distribution."""
        return self.estimate - _Z * self.std_error, self.estimate + _Z * self.std_error

    @property
    def p_value(self) -> float:
        """Two-sided p-value."""
        return math.erfc(abs(self.estimate) / self.std_error / math.sqrt(2)) if self.std_error > 0 else math.nan


@dataclass(frozen=True)
class GroupTimeEffects:
    """Effects by group and period.

    Attributes
    ----------
    group, period : array of int, shape (c,)
        Period in which the group's units begin, and the period of the effect.
    estimate : array of shape (c,)
    weight : array of shape (c,)
        Rows (or their weights) of the group in the period.
    estimate_without, weight_without : array of shape (c, units)
        Effect and weight without each unit; the weight is nought where nothing is left to compare.
    involved : array of bool, shape (units,)
        Units that took part in any comparison.
    rows, units : int
        That took part in any comparison.
    """

    group: Ints
    period: Ints
    estimate: Floats
    weight: Floats
    estimate_without: Floats
    weight_without: Floats
    involved: npt.NDArray[np.bool_]
    rows: int
    units: int

    def average(self, first: int, last: int) -> Change:
        """Average over the periods since the beginning from `first` to `last`, weighted by the group's rows.

        Parameters
        ----------
        first, last : int
            0 is the period of the beginning, -1 the one before (what all is measured from).

        Returns
        -------
        Change
        """
        since = self.period - self.group
        chosen = (since >= first) & (since <= last)
        if not chosen.any():
            return Change(math.nan, math.nan)
        estimate = float(np.average(self.estimate[chosen], weights=self.weight[chosen]))
        weight = self.weight_without[chosen]
        total = weight.sum(axis=0)
        without = np.divide((weight * self.estimate_without[chosen]).sum(axis=0), total, where=total > 0, out=total * 0)
        influence = np.zeros(len(self.involved))
        if self.units < 2 or (total[self.involved] == 0).any():
            # Without some unit there is nothing to average: it alone began.
            return Change(estimate, math.nan, influence)
        without = without[self.involved]
        influence[self.involved] = (without.mean() - without) * math.sqrt((self.units - 1) / self.units)
        return Change(estimate, float(np.linalg.norm(influence)), influence)

    def event_study(self, before: int = 4, after: int = 4) -> pd.DataFrame:
        """Averages by period since the beginning.

        Parameters
        ----------
        before, after : int
            Periods shown on either side.

        Returns
        -------
        DataFrame
            ``since, estimate, std_error, conf_low, conf_high, groups``; the period before the beginning is nought.
        """
        rows = []
        for since in range(-before, after + 1):
            change = Change(0.0, 0.0) if since == -1 else self.average(since, since)
            groups = int(((self.period - self.group) == since).sum())
            rows.append((since, change.estimate, change.std_error, *change.interval, groups))
        return pd.DataFrame(rows, columns=["since", "estimate", "std_error", "conf_low", "conf_high", "groups"])


def group_time_effects(
    frame: pd.DataFrame, *, outcome: str, unit: str, period: str, first: str, weights: str | None = None
) -> GroupTimeEffects:
    """Effects by group and period, against units that have not begun yet.

    Parameters
    ----------
    frame : DataFrame
        Rows with a missing outcome, unit or period are left out.
    outcome : str
    unit : str
        Column of the units, within which rows go together.
    period : str
        Column of whole numbers that count periods.
    first : str
        Period in which the unit begins; missing if it never does. The same in all rows of a unit.
    weights : str, optional

    Returns
    -------
    GroupTimeEffects

    Raises
    ------
    ModelError
        No group can be compared: nobody begins, all begin at once, or before the first period.

    Notes
    -----
    Units that begin in the first period or before have no time before and take no part. Parallel trends are assumed
    between each group and the units that begin later or never.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 1.0, 6.0], "who": ["a", "a", "b", "b"], "t": [1, 2, 1, 2],
    ...                       "begins": [None, None, 2, 2]})
    >>> group_time_effects(frame, outcome="y", unit="who", period="t", first="begins").average(0, 0).estimate
    4.0
    """
    used = frame[[outcome, unit, period, first, *([weights] if weights else [])]]
    used = used[used[[outcome, unit, period]].notna().all(axis=1)]
    codes, _ = pd.factorize(used[unit], sort=True)
    times = used[period].to_numpy(dtype=np.int64)
    if not len(used):
        raise ModelError("there is no row to compare")
    value = used[outcome].to_numpy(dtype=np.float64)
    weight = used[weights].to_numpy(dtype=np.float64) if weights else np.ones(len(used))
    start = np.full(codes.max() + 1, np.inf)
    start[codes] = used[first].to_numpy(dtype=np.float64, na_value=np.inf)
    start[np.isnan(start)] = np.inf
    lowest, span = int(times.min()), int(np.ptp(times)) + 1
    place = codes * span + (times - lowest)
    size = np.bincount(place, weights=weight, minlength=len(start) * span).reshape(-1, span)
    total = np.bincount(place, weights=weight * value, minlength=len(start) * span).reshape(-1, span)
    return _compare(np.asarray(size), np.asarray(total), start - lowest, lowest, codes)


def _compare(size: Floats, total: Floats, start: Floats, lowest: int, codes: npt.NDArray[np.intp]) -> GroupTimeEffects:
    """Compare each group in each period with units that begin later."""
    span = size.shape[1]
    found: list[tuple[int, int, float, float, Floats, Floats]] = []
    involved = np.zeros(len(start), dtype=bool)
    for group in sorted({int(value) for value in start[np.isfinite(start)] if 1 <= value < span}):
        base = group - 1
        treated = start == group
        for period in range(span):
            waiting = (start > max(period, base)) & ~treated
            cells = [_cell(size, total, units, time) for units in (treated, waiting) for time in (period, base)]
            if period == base or any(cell is None for cell in cells):
                continue
            (after, before, later, earlier) = [cell for cell in cells if cell is not None]
            estimate = (after.mean - before.mean) - (later.mean - earlier.mean)
            without = (after.without - before.without) - (later.without - earlier.without)
            known = np.isfinite(without)
            weight = float(size[treated, period].sum())
            left = np.where(known, weight - np.where(treated, size[:, period], 0.0), 0.0)
            involved |= (size[:, [period, base]] > 0).any(axis=1) & (treated | waiting)
            found.append((group, period, estimate, weight, np.where(known, without, 0.0), left))
    if not found:
        raise ModelError("no group can be compared before and after with units that have not begun")
    return GroupTimeEffects(
        group=np.array([entry[0] for entry in found]) + lowest,
        period=np.array([entry[1] for entry in found]) + lowest,
        estimate=np.array([entry[2] for entry in found]),
        weight=np.array([entry[3] for entry in found]),
        estimate_without=np.vstack([entry[4] for entry in found]),
        weight_without=np.vstack([entry[5] for entry in found]),
        involved=involved,
        rows=int(involved[codes].sum()),
        units=int(involved.sum()),
    )


@dataclass(frozen=True)
class _Cell:
    """Mean of a cell, and without each unit; NaN where the unit is alone in it."""

    mean: float
    without: Floats


def _cell(size: Floats, total: Floats, units: npt.NDArray[np.bool_], period: int) -> _Cell | None:
    """Return the means of a cell; None for an empty one."""
    rows, sums = np.where(units, size[:, period], 0.0), np.where(units, total[:, period], 0.0)
    count = float(rows.sum())
    if count <= 0:
        return None
    left = count - rows
    alone = left <= count * 1e-12
    without = np.divide(sums.sum() - sums, left, where=~alone, out=np.full(len(rows), np.nan))
    return _Cell(float(sums.sum()) / count, without)
