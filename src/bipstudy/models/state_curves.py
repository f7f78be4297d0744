r"""Kaplan-Meier and Aalen-Johansen estimates with their influence functions, as functions on arrays.

With :math:`Y(t)` the weight at risk just before :math:`t` and :math:`dN_h(t)` the weight of events of cause :math:`h`,

.. math::

    \hat S(t) = \prod_{s \le t} \Bigl(1 - \frac{dN(s)}{Y(s)}\Bigr), \qquad
    \hat F_h(t) = \sum_{s \le t} \hat S(s-) \frac{dN_h(s)}{Y(s)}.

Let :math:`\alpha(t) = \sum_{s \le t} dN / (Y (Y - dN))`, the sum in Greenwood's formula, and
:math:`d\gamma_h(t) = -\hat S(t-) dN_h / Y^2 - d\alpha(t) \hat F_h(t)`. The derivative of :math:`\hat F_h(t)` by the
weight of a row that enters at :math:`b` is, while the row is at risk,
:math:`u_h(t) - \gamma_h(b) - \alpha(b) \hat F_h(t)` with :math:`u_h = \gamma_h + \alpha \hat F_h`; once it has left it
is :math:`A_h + B \hat F_h(t)` with constants that follow from its last moment at risk. The sum of the squares of
weight times derivative is the infinitesimal jackknife variance, here found for all times from cumulated sums, without a
table of rows by times.

References
----------
Aalen, O. O. & Johansen, S. (1978). An empirical transition matrix for non-homogeneous Markov chains based on censored
observations. Scand. J. Statist. 5, 141-150.
Therneau, T. M., Crowson, C. & Atkinson, E. (2024). Methods and formulae, vignette of the R package survival
(infinitesimal jackknife).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bipstudy.models.risk_sets import Booleans, Floats, Integers, RiskSets, cumulate, risk_sets, slot_sums

__all__ = ["StateCurves", "cluster_variance", "row_influence", "state_curves"]


@dataclass(frozen=True)
class StateCurves:
    """Estimates at the distinct event times of each group.

    Attributes
    ----------
    sets : RiskSets
        Slots are the event times; strata are the groups.
    weight : (n,) float64
    cause : (n,) int64
        0 for no event, else 1 .. k.
    at_risk : (g,) float64
        Weight at risk just before the time.
    events : (g, k) float64
        Weight of the events of each cause.
    survival, survival_before : (g,) float64
        Probability of no event up to and including the time, and before it.
    greenwood : (g,) float64
        Greenwood's variance of `survival`.
    incidence : (g, k) float64
        Probability of an event of each cause so far.
    survival_variance : (g,) float64
    incidence_variance : (g, k) float64
        Infinitesimal jackknife, rows independent.
    alpha : (g + 1,) float64
    gamma : (g + 1, k) float64
        As in the module's notes; the last row is zero and stands for the time before the first event.
    """

    sets: RiskSets
    weight: Floats
    cause: Integers
    at_risk: Floats
    events: Floats
    survival: Floats
    survival_before: Floats
    greenwood: Floats
    incidence: Floats
    survival_variance: Floats
    incidence_variance: Floats
    alpha: Floats
    gamma: Floats


def state_curves(
    *,
    stop: Floats,
    cause: Integers,
    causes: int,
    start: Floats | None = None,
    group: Integers | None = None,
    weight: Floats | None = None,
) -> StateCurves:
    """Kaplan-Meier and Aalen-Johansen estimates of every group, with infinitesimal jackknife variances.

    Parameters
    ----------
    stop : (n,) float64
    cause : (n,) int64
        0 for no event, else 1 .. `causes`.
    causes : int
    start : (n,) float64, optional
        The row is at risk in ``(start, stop]``.
    group : (n,) int64, optional
        Codes 0, 1, ...
    weight : (n,) float64, optional

    Returns
    -------
    StateCurves
    """
    weight = np.ones(stop.shape[0]) if weight is None else weight
    sets = risk_sets(start=start, stop=stop, event=(cause > 0) & (weight > 0), stratum=group)
    slots = sets.time.shape[0]
    rows = sets.event_rows
    cell = sets.top[rows] * causes + cause[rows] - 1
    events = slot_sums(cell, weight[rows], slots * causes).reshape(slots, causes)
    total = events.sum(axis=1)
    # Those with an event are at risk: rounding must not make the risk set smaller.
    at_risk = np.maximum(_sum_at_risk(sets, weight), total)
    hazard = total / at_risk
    # Where everybody at risk has an event, survival is exactly zero from there on.
    ended = at_risk - total <= 1e-12 * at_risk
    hazard[ended] = 1.0
    survival, before = _products(sets.last, hazard)
    incidence = cumulate(before[:, None] * events / at_risk[:, None], sets.last)
    step = np.divide(hazard, at_risk * (1.0 - hazard), out=np.zeros(slots), where=~ended)
    alpha = cumulate(step, sets.last)
    gamma = cumulate(-before[:, None] * events / at_risk[:, None] ** 2 - step[:, None] * incidence[:-1], sets.last)
    curves = StateCurves(
        sets=sets,
        weight=weight,
        cause=cause,
        at_risk=at_risk,
        events=events,
        survival=survival,
        survival_before=before,
        greenwood=survival**2 * alpha[:-1],
        incidence=incidence[:-1],
        survival_variance=np.zeros(slots),
        incidence_variance=np.zeros((slots, causes)),
        alpha=alpha,
        gamma=gamma,
    )
    on_survival, on_incidence = _variances(curves)
    return replace(curves, survival_variance=on_survival, incidence_variance=on_incidence)


def _products(last: Booleans, hazard: Floats) -> tuple[Floats, Floats]:
    """Survival after and before each slot, group by group."""
    after, before = np.ones(hazard.shape[0]), np.ones(hazard.shape[0])
    begin = 0
    for end in (np.flatnonzero(last) + 1).tolist():
        after[begin:end] = np.cumprod(1.0 - hazard[begin:end])
        before[begin + 1 : end] = after[begin : end - 1]
        begin = end
    return after, before


def _sum_at_risk(sets: RiskSets, values: Floats) -> Floats:
    """Sum of `values` over the rows at risk in each slot."""
    slots = sets.time.shape[0]
    change = slot_sums(sets.top + 1, values, slots + 1)[1:] - slot_sums(sets.below + 1, values, slots + 1)[1:]
    first = np.ones(slots, dtype=np.bool_)
    first[1:] = sets.last[:-1]
    return cumulate(change[::-1], first[::-1])[:-1][::-1]


def exit_constants(curves: StateCurves) -> tuple[Floats, Floats]:
    """Constants A (n, k) and B (n,) of the influence of a row after it has left the risk set."""
    sets, top = curves.sets, curves.sets.top
    rows, at = sets.event_rows, top[sets.event_rows]
    slope = curves.alpha[top] - curves.alpha[sets.below]
    level = curves.gamma[top] - curves.gamma[sets.below]
    if not rows.size:
        return level, slope
    survival, before = curves.survival[at], curves.survival_before[at]
    jump = before / curves.at_risk[at]
    alive = survival > 0
    ratio = np.divide(jump, survival, out=np.zeros_like(jump), where=alive)
    slope[rows] -= ratio
    level[rows] += ratio[:, None] * curves.incidence[at]
    level[rows, curves.cause[rows] - 1] += jump
    ended = ~alive
    if ended.any():
        level[rows[ended]], slope[rows[ended]] = _at_the_end(curves, rows[ended], before[ended], jump[ended]), 0.0
    return level, slope


def _previous(values: Floats, sets: RiskSets) -> Floats:
    """Values of the slot before, zero before the first of a group."""
    shifted = np.zeros_like(values)
    shifted[1:] = np.where(sets.last[:-1, None], 0.0, values[:-1])
    return shifted


def _at_the_end(curves: StateCurves, rows: Integers, before: Floats, jump: Floats) -> Floats:
    """Influence on the incidences of the rows whose common event brings survival to zero; it stays thereafter."""
    sets = curves.sets
    at, below = sets.top[rows], sets.below[rows]
    earlier = _previous(curves.incidence, sets)[at]
    # alpha and gamma do not move where survival ends, so their values at the slot serve for the moment before; only
    # the part of gamma that belongs to the slot itself must be put back.
    own = jump[:, None] * curves.events[at] / curves.at_risk[at][:, None]
    level = curves.gamma[at] + own - curves.gamma[below] + (curves.alpha[at] - curves.alpha[below])[:, None] * earlier
    slope = (curves.alpha[at] - curves.alpha[below]) * before
    level += (slope - jump)[:, None] * curves.events[at] / curves.at_risk[at][:, None]
    level[np.arange(rows.size), curves.cause[rows] - 1] += jump
    return np.asarray(level)


def _variances(curves: StateCurves) -> tuple[Floats, Floats]:
    """Sum the squares of weight times influence over rows, for all slots."""
    sets, square = curves.sets, curves.weight**2
    slots, causes = curves.incidence.shape
    seen = sets.top >= 0
    level, slope = exit_constants(curves)
    entry_alpha, entry_gamma = curves.alpha[sets.below], curves.gamma[sets.below]

    def gone(values: Floats) -> Floats:
        return cumulate(slot_sums(sets.top[seen], (square * values)[seen], slots), sets.last)[:-1]

    def staying(values: Floats) -> Floats:
        own = slot_sums(sets.top[seen], (square * values)[seen], slots)
        return _sum_at_risk(sets, square * values) - own

    late = bool((sets.below >= 0).any())
    n0, gone_bb = staying(np.ones_like(slope)), gone(slope**2)
    a1, a2 = (staying(entry_alpha), staying(entry_alpha**2)) if late else (np.zeros(slots), np.zeros(slots))
    alpha, survival = curves.alpha[:-1], curves.survival
    on_survival = survival**2 * (gone_bb + alpha**2 * n0 - 2 * alpha * a1 + a2)
    on_incidence = np.zeros((slots, causes))
    for h in range(causes):
        f, gamma = curves.incidence[:, h], entry_gamma[:, h]
        u = curves.gamma[:-1, h] + alpha * f
        value = gone(level[:, h] ** 2) + 2 * f * gone(level[:, h] * slope) + f**2 * gone_bb + u**2 * n0
        if late:
            value += -2 * u * (staying(gamma) + f * a1)
            value += staying(gamma**2) + 2 * f * staying(gamma * entry_alpha) + f**2 * a2
        # Before the first event of a cause its influences are exactly zero; the cumulated sums leave rounding.
        on_incidence[:, h] = np.where(f > 0, np.maximum(value, 0.0), 0.0)
    return np.maximum(on_survival, 0.0), on_incidence


def row_influence(curves: StateCurves, slots: Integers) -> tuple[Floats, Floats]:
    """Weight times derivative by weight of each row, each row in the slot given for its group.

    Parameters
    ----------
    curves : StateCurves
    slots : (n,) int64
        For every row a slot of its own group; -1 is before the first event.

    Returns
    -------
    survival : (n,) float64
    incidence : (n, k) float64
    """
    sets = curves.sets
    level, slope = exit_constants(curves)
    incidence = np.where(slots[:, None] >= 0, curves.incidence[slots], 0.0)
    survival = np.where(slots >= 0, curves.survival[slots], 1.0)
    alpha = curves.alpha[slots]
    u = curves.gamma[slots] + alpha[:, None] * incidence
    entry_alpha, entry_gamma = curves.alpha[sets.below], curves.gamma[sets.below]
    out = (slots >= sets.top) & (sets.top >= 0)
    inside = (slots > sets.below) & (slots < sets.top)
    on_survival = np.where(out, slope, np.where(inside, alpha - entry_alpha, 0.0)) * survival
    while_in = u - entry_gamma - entry_alpha[:, None] * incidence
    on_incidence = np.where(inside[:, None], while_in, 0.0)
    on_incidence = np.where(out[:, None], level + slope[:, None] * incidence, on_incidence)
    return curves.weight * on_survival, curves.weight[:, None] * on_incidence


def cluster_variance(
    curves: StateCurves, slots: Integers, group: Integers, groups: int, cluster: Integers
) -> tuple[Floats, Floats]:
    """Infinitesimal jackknife variances with rows summed within clusters before they are squared.

    Parameters
    ----------
    curves : StateCurves
    slots : (groups,) int64
        A slot for each group; -1 is before the first event.
    group, cluster : (n,) int64
    groups : int

    Returns
    -------
    survival : (groups,) float64
    incidence : (groups, k) float64
        NaN for a group that is one cluster, whose influences add to nought.
    """
    survival, incidence = row_influence(curves, slots[group])
    pair = group * (int(cluster.max(initial=0)) + 1) + cluster
    cells, code = np.unique(pair, return_inverse=True)
    owner = cells // (int(cluster.max(initial=0)) + 1)
    sums = [slot_sums(code, column, cells.size) for column in (survival, *incidence.T)]
    alone = np.bincount(owner, minlength=groups) == 1
    squares = [np.where(alone, np.nan, slot_sums(owner, total**2, groups)) for total in sums]
    return squares[0], np.column_stack(squares[1:]) if len(squares) > 1 else np.zeros((groups, 0))


def lookup(curves: StateCurves, group: int, times: npt.ArrayLike) -> Integers:
    """Slot of `group` in force at each time; -1 before the first event."""
    begin, end = np.searchsorted(curves.sets.stratum, [group, group + 1])
    found = np.searchsorted(curves.sets.time[begin:end], np.asarray(times, dtype=np.float64), side="right")
    return np.where(found > 0, begin + found - 1, -1).astype(np.int64)
