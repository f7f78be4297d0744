"""Compiled loops that numpy cannot express without large temporaries.

Every kernel has an explicit signature, so that it is compiled once and kept in numba's cache (beside the package, or in
the user's cache folder when the package is read-only). Import this module where a kernel is used, not at the top: the
import costs about a second.

Risk sets are described by *slots*: the distinct event times of each stratum, ascending, one stratum after the other. A
row is at risk in the slots ``below + 1 .. top``; ``-1`` stands for "before the first slot of the stratum".
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for one signature, from the cache where there is one."""

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        options = {"nogil": True, "error_model": "numpy"}
        try:
            return njit(signature, cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:
            # Neither the package's folder nor the user's cache can be written to: compile every time.
            return njit(signature, **options)(function)  # type: ignore[no-any-return]

    return compile_


@compiled("void(f8[:,::1], f8[::1], i8[::1], i8[::1], b1[::1], f8[::1], f8[:,::1])")
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


@compiled("void(f8[:,::1], f8[::1], i8[::1], i8[::1], f8[::1], f8[:,::1])")
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


@compiled("f8(f8[::1], f8[::1], i8[::1], f8[::1], b1, f8[:,::1])")
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


@compiled(
    "void(f8[:,::1], f8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[:,::1], f8[:,::1], f8[:,::1], i8[::1], f8[:,::1])",
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
