"""A Cox model estimated again with other weights, for resampling: sort orders and risk sets are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bipstudy.models.partial_likelihood import evaluate, maximise, newton_step
from bipstudy.models.risk_sets import Floats, RiskSets

__all__ = ["refit"]


def refit(
    *,
    x: Floats,
    sets: RiskSets,
    weight: Floats,
    beta: Floats,
    scale: Floats,
    efron: bool = True,
    frequency: bool = False,
) -> Floats:
    """Coefficients under other weights, from coefficients that are not far away.

    Parameters
    ----------
    x : (n, k) float64, C-contiguous
    sets : RiskSets
        Of all rows, made once by `bipstudy.models.risk_sets.risk_sets`.
    weight : (n,) float64
        Not negative; rows of weight zero are passed over.
    beta : (k,) float64
        Where to begin, best the estimates with the first weights.
    scale : (k,) float64
        Standard deviations of the columns.
    efron, frequency : bool
        As for `bipstudy.models.partial_likelihood.evaluate`. A bootstrap that draws rows or clusters with replacement
        has whole weights and sets `frequency`: it is then the same as a fit to the drawn rows, also with Efron's ties.

    Returns
    -------
    (k,) float64
    """
    drawn = np.flatnonzero(weight > 0)
    if drawn.size < weight.size:
        event = sets.event[drawn]
        x, weight = x[drawn], weight[drawn]
        sets = replace(sets, top=sets.top[drawn], below=sets.below[drawn], event_rows=np.flatnonzero(event))
    current, best = beta, -np.inf
    for _ in range(20):
        at = evaluate(x=x, beta=current, weight=weight, sets=sets, efron=efron, frequency=frequency)
        if not at.log_likelihood >= best - 1e-9 * (1 + abs(best)):
            break
        best = at.log_likelihood
        step = newton_step(at)
        current = current + step
        # At this decrement what is left after the step is of the order of 1e-10 standard errors.
        if float(at.gradient @ step) < 1e-10:
            return current
    # Full steps overshoot: begin again with step-halving.
    found = maximise(x=x, weight=weight, sets=sets, scale=scale, efron=efron, frequency=frequency, initial=beta)
    return found.at.beta
