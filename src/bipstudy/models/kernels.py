"""Compiled loops that numpy cannot express without large temporaries.

Every kernel has an explicit signature, so that it is compiled once and kept in numba's cache (beside the package, or in
the user's cache folder when the package is read-only). Import this module where a kernel is used, not at the top: the
import costs about a second.

Risk sets are described by *slots*: the distinct event times of each stratum, ascending, one stratum after the other. A
row is at risk in the slots ``below + 1 .. top``; ``-1`` stands for "before the first slot of the stratum".
"""

import numpy as np
from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit("void(f8[:,::1], f8[::1], i8[::1], i8[::1], b1[::1], f8[::1], f8[:,::1])", **_OPTIONS)
def risk_set_sums(x, risk, top, below, last, s0, s1):  # type: ignore[no-untyped-def]
    """Fill `s0` (slots) and `s1` (slots, k) with the sums of `risk` and `risk * x` over the rows at risk.

    Sums run from late to early times, where risk sets are small first, so that what is subtracted for rows that have
    not yet entered is never much larger than what remains.
    """
    slots, k = s1.shape
    s0[:] = 0.0
    s1[:, :] = 0.0
    for i in range(risk.shape[0]):
        r = risk[i]
        if r == 0.0:
            continue
        t = top[i]
        b = below[i]
        if t >= 0:
            s0[t] += r
            for j in range(k):
                s1[t, j] += r * x[i, j]
        if b >= 0:
            s0[b] -= r
            for j in range(k):
                s1[b, j] -= r * x[i, j]
    for g in range(slots - 2, -1, -1):
        if not last[g]:
            s0[g] += s0[g + 1]
            for j in range(k):
                s1[g, j] += s1[g + 1, j]


@njit("void(f8[:,::1], f8[::1], i8[::1], i8[::1], f8[::1], f8[:,::1])", **_OPTIONS)
def event_sums(x, risk, rows, top, s0, s1):  # type: ignore[no-untyped-def]
    """Fill `s0` (slots) and `s1` (slots, k) with the sums of `risk` and `risk * x` over the events of each slot."""
    k = s1.shape[1]
    s0[:] = 0.0
    s1[:, :] = 0.0
    for i in rows:
        r = risk[i]
        t = top[i]
        s0[t] += r
        for j in range(k):
            s1[t, j] += r * x[i, j]


@njit("f8(f8[::1], f8[::1], i8[::1], f8[::1], b1, f8[:,::1])", **_OPTIONS)
def tie_terms(s0, s0_events, count, weight, efron, out):  # type: ignore[no-untyped-def]
    """Sum over the tied events of each slot; return the sum of `weight / count * log(risk set)`.

    With ``d`` events of total weight ``w`` in a slot, the m-th of them (m = 0 .. d-1) meets the risk set
    ``s0 - f * s0_events`` with ``f = m / d`` under Efron's and ``f = 0`` under Breslow's approximation. The columns of
    `out` (slots, 5) become ``w/d`` times the sums of 1/risk, f/risk, 1/risk^2, f/risk^2 and f^2/risk^2.
    """
    log_sum = 0.0
    for g in range(s0.shape[0]):
        d = count[g]
        for c in range(5):
            out[g, c] = 0.0
        if d == 0:
            continue
        mean = weight[g] / d
        # Events are always in their own risk set: rounding must not make it smaller than they are.
        whole = max(s0[g], s0_events[g])
        if not efron:
            log_sum += weight[g] * np.log(whole)
            out[g, 0] = weight[g] / whole
            out[g, 2] = weight[g] / whole / whole
            continue
        for m in range(d):
            f = m / d
            inverse = 1.0 / (whole - f * s0_events[g])
            log_sum -= mean * np.log(inverse)
            out[g, 0] += mean * inverse
            out[g, 1] += mean * inverse * f
            out[g, 2] += mean * inverse * inverse
            out[g, 3] += mean * inverse * inverse * f
            out[g, 4] += mean * inverse * inverse * f * f
    return log_sum


@njit(
    "void(f8[:,::1], f8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[:,::1], f8[:,::1], f8[:,::1], i8[::1], f8[:,::1])",
    **_OPTIONS,
)
def add_scores(x, risk, hazard, event_weight, top, below, drift, event_mean, event_drift, code, out):  # type: ignore[no-untyped-def]
    """Add each row's score residual to row `code[i]` of `out`.

    `hazard` is the row's cumulated hazard (ties allowed for), `drift` (slots, k) the cumulated hazard-weighted mean
    covariates, `event_mean` (slots, k) the mean met by the events of a slot and `event_drift` what Efron's rule takes
    off the drift of an event row.
    """
    k = x.shape[1]
    for i in range(x.shape[0]):
        t = top[i]
        b = below[i]
        c = code[i]
        r = risk[i]
        own = event_weight[i] - r * hazard[i]
        for j in range(k):
            out[c, j] += own * x[i, j]
        if t >= 0:
            for j in range(k):
                out[c, j] += r * drift[t, j]
        if b >= 0:
            for j in range(k):
                out[c, j] -= r * drift[b, j]
        if event_weight[i] > 0.0:
            for j in range(k):
                out[c, j] -= event_weight[i] * event_mean[t, j] + r * event_drift[t, j]


@njit("f8(f8[::1], i8)", **_OPTIONS)
def _tree_sum(tree, places):  # type: ignore[no-untyped-def]
    """Sum over the first `places` places of a binary indexed tree."""
    total = 0.0
    while places > 0:
        total += tree[places]
        places -= places & -places
    return total


@njit("f8(f8[::1], i8[::1], f8[::1], b1[::1], i8[::1], i8, i8, i8, f8)", **_OPTIONS)
def _tree_move(tree, rank, weight, event, rows, begin, end, wanted, sign):  # type: ignore[no-untyped-def]
    """Add `sign` times the weights of some rows to the tree; return their sum. `wanted`: 1 events, 0 others, -1 all."""
    total = 0.0
    for k in range(begin, end):
        i = rows[k]
        if wanted >= 0 and event[i] != wanted:
            continue
        total += sign * weight[i]
        place = rank[i] + 1
        while place < tree.shape[0]:
            tree[place] += sign * weight[i]
            place += place & -place
    return total


@njit("void(f8[::1], i8[::1], b1[::1], i8[::1], i8, i8, i8, f8, f8, f8[:,::1])", **_OPTIONS)
def _tree_split(tree, rank, event, rows, begin, end, wanted, total, sign, out):  # type: ignore[no-untyped-def]
    """Add to the rows of `out` `sign` times the weights of lower, equal and higher rank in the tree."""
    for k in range(begin, end):
        i = rows[k]
        if wanted >= 0 and event[i] != wanted:
            continue
        below = _tree_sum(tree, rank[i])
        upto = _tree_sum(tree, rank[i] + 1)
        out[i, 0] += sign * below
        out[i, 1] += sign * (upto - below)
        out[i, 2] += sign * (total - upto)


@njit(
    "void(i8[::1], f8[::1], b1[::1], b1[::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[:,::1], f8[:,::1])",
    **_OPTIONS,
)
def pair_weights(rank, weight, event, last, ends, first_end, begins, first_begin, as_event, as_other):  # type: ignore[no-untyped-def]
    """Weight of the partners of lower, equal and higher rank that each row can be compared with.

    `as_event` counts those at risk when the row has its event, `as_other` the events of others while the row is at
    risk; events tied in time are not compared. `ends` and `begins` are the rows in the order of their last slot and of
    the slot before their first, with the place where each slot starts.
    """
    tree = np.zeros(rank.max() + 2)
    total = 0.0
    for g in range(last.shape[0] - 1, -1, -1):
        if last[g]:
            tree[:] = 0.0
            total = 0.0
        a, b = first_end[g], first_end[g + 1]
        total += _tree_move(tree, rank, weight, event, begins, first_begin[g], first_begin[g + 1], -1, -1.0)
        total += _tree_move(tree, rank, weight, event, ends, a, b, 0, 1.0)
        _tree_split(tree, rank, event, ends, a, b, 1, total, 1.0, as_event)
        total += _tree_move(tree, rank, weight, event, ends, a, b, 1, 1.0)
    tree[:] = 0.0
    total = 0.0
    for g in range(last.shape[0]):
        a, b = first_end[g], first_end[g + 1]
        _tree_split(tree, rank, event, ends, a, b, 1, total, 1.0, as_other)
        total += _tree_move(tree, rank, weight, event, ends, a, b, 1, 1.0)
        _tree_split(tree, rank, event, ends, a, b, 0, total, 1.0, as_other)
        _tree_split(tree, rank, event, begins, first_begin[g], first_begin[g + 1], -1, total, -1.0, as_other)
        if last[g]:
            tree[:] = 0.0
            total = 0.0
