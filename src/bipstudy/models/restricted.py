"""Areas under Kaplan-Meier and Aalen-Johansen curves up to a horizon, with their influence functions."""

from dataclasses import dataclass

import numpy as np

from bipstudy.models.risk_sets import Floats, Integers
from bipstudy.models.state_curves import StateCurves, exit_constants, lookup

__all__ = ["RestrictedAreas", "restricted_areas"]


@dataclass(frozen=True)
class RestrictedAreas:
    """Areas by group, and what each row adds to them.

    Attributes
    ----------
    survival, greenwood : (groups,) float64
        Area under survival, and its variance of Greenwood's type.
    incidence : (groups, k) float64
    survival_influence : (n,) float64
        Weight times derivative by weight.
    incidence_influence : (n, k) float64
    """

    survival: Floats
    greenwood: Floats
    incidence: Floats
    survival_influence: Floats
    incidence_influence: Floats


def restricted_areas(curves: StateCurves, group: Integers, origin: Floats, horizon: float) -> RestrictedAreas:
    """Integrate the curves of every group from its origin to the horizon.

    The influence of a row is linear in the curves between its entry, its exit and the horizon, so integrals cumulated
    over the slots give it at once for all rows.

    Parameters
    ----------
    curves : StateCurves
    group : (n,) int64
    origin : (groups,) float64
    horizon : float

    Returns
    -------
    RestrictedAreas
    """
    sets, causes = curves.sets, curves.incidence.shape[1]
    groups = len(origin)
    final = np.array([lookup(curves, g, [horizon])[0] for g in range(groups)], dtype=np.int64)
    width = _widths(curves, origin, final, horizon)
    lead = np.array([_lead(curves, g, origin[g], horizon) for g in range(groups)])
    alpha = curves.alpha[:-1]
    under = width * curves.survival
    under_each = width[:, None] * curves.incidence
    s, a = _integral(under), _integral(alpha * under)
    f, u = _integral(under_each), _integral(width[:, None] * (curves.gamma[:-1] + alpha[:, None] * curves.incidence))
    time = _integral(width)
    begin = np.searchsorted(sets.stratum, np.arange(groups))
    stop = np.where(final >= 0, final + 1, begin)
    # A row stays in its last constants from the slot of its exit, but not from beyond the horizon.
    limit = stop[group]
    exit_ = np.minimum(np.where(sets.top >= 0, sets.top, limit), limit)
    entry = np.minimum(np.where(sets.below >= 0, sets.below + 1, begin[group]), exit_)
    level, slope = exit_constants(curves)
    b, g_entry = curves.alpha[sets.below], curves.gamma[sets.below]
    inside = a[exit_] - a[entry] - b * (s[exit_] - s[entry])
    on_survival = inside + slope * (s[limit] - s[exit_])
    inside_each = (
        u[exit_] - u[entry] - g_entry * (time[exit_] - time[entry])[:, None] - b[:, None] * (f[exit_] - f[entry])
    )
    after = level * (time[limit] - time[exit_])[:, None] + slope[:, None] * (f[limit] - f[exit_])
    seen = sets.top >= 0
    weight = np.where(seen, curves.weight, 0.0)
    rest = s[stop][sets.stratum] - s[:-1]
    jumps = np.diff(np.concatenate([[0.0], alpha]), axis=0)
    jumps[begin[begin < len(alpha)]] = alpha[begin[begin < len(alpha)]]
    spread = np.where(width > 0, rest**2 * jumps, 0.0)
    return RestrictedAreas(
        survival=lead + s[stop] - s[begin],
        greenwood=np.bincount(sets.stratum, weights=spread, minlength=groups).astype(np.float64),
        incidence=(f[stop] - f[begin]).reshape(groups, causes),
        survival_influence=weight * on_survival,
        incidence_influence=weight[:, None] * (inside_each + after),
    )


def _integral(values: Floats) -> Floats:
    """Cumulate from zero: entry i holds the sum of the values before slot i."""
    total = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=total[1:])
    return total


def _widths(curves: StateCurves, origin: Floats, final: Integers, horizon: float) -> Floats:
    """Time for which each slot's values hold before the next slot or the horizon; zero beyond it."""
    sets = curves.sets
    following = np.append(sets.time[1:], np.inf)
    following[sets.last] = np.inf
    begin = np.maximum(sets.time, origin[sets.stratum])
    width = np.minimum(following, horizon) - begin
    return np.where(np.arange(len(width)) <= final[sets.stratum], np.maximum(width, 0.0), 0.0)


def _lead(curves: StateCurves, g: int, origin: float, horizon: float) -> float:
    """Time before the first event of a group, when survival is one."""
    begin, end = np.searchsorted(curves.sets.stratum, [g, g + 1])
    first = curves.sets.time[begin] if end > begin else np.inf
    return float(max(min(first, horizon) - origin, 0.0))
