"""A Cox model estimated again with other weights, for resampling: sort orders and risk sets are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bipstudy.models.covariance import ModelError
from bipstudy.models.partial_likelihood import evaluate, maximise, newton_step
from bipstudy.models.risk_sets import Floats, Integers, RiskSets

if TYPE_CHECKING:
    from bipstudy.models.cox_fit import CoxFit

__all__ = ["CoxResampler", "cox_resampler", "refit"]


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
        Infinite where the likelihood is monotone.

    Raises
    ------
    ModelError
        If no event has a positive weight.
    """
    if not (weight[sets.event_rows] > 0).any():
        raise ModelError("no event was drawn")
    drawn = np.flatnonzero(weight > 0)
    if drawn.size < weight.size:
        event = sets.event[drawn]
        x, weight = x[drawn], weight[drawn]
        sets = replace(sets, top=sets.top[drawn], below=sets.below[drawn], event_rows=np.flatnonzero(event))
    current, best = beta, -np.inf
    for _ in range(20):
        with np.errstate(invalid="ignore", over="ignore"):
            at = evaluate(x=x, beta=current, weight=weight, sets=sets, efron=efron, frequency=frequency)
        if not at.log_likelihood >= best - 1e-9 * (1 + abs(best)):
            break
        best = at.log_likelihood
        try:
            step = newton_step(at)
        except ModelError:
            break
        current = current + step
        # At this decrement what is left after the step is of the order of 1e-10 standard errors.
        if float(at.gradient @ step) < 1e-10:
            return np.where(np.abs(step) * scale > 0.05, np.inf * np.sign(current), current)
    # Full steps overshoot: begin again with step-halving.
    found = maximise(x=x, weight=weight, sets=sets, scale=scale, efron=efron, frequency=frequency, initial=beta)
    return np.where(found.monotone, np.inf * np.sign(found.at.beta), found.at.beta)


@dataclass(frozen=True)
class CoxResampler:
    """Estimates of a Cox regression for any draw of clusters: no more than the arrays that a worker needs.

    Attributes
    ----------
    terms : tuple of str, length k
    estimates : (k,) float64
        From the data as they are.
    x, sets, weight, scale, efron
        As for `refit`.
    codes : (n,) int64
        Cluster of each row used.
    groups : int
    counting : bool
        Draws count rows, because the case weights are one.
    """

    terms: tuple[str, ...]
    estimates: Floats
    x: Floats
    sets: RiskSets
    weight: Floats
    scale: Floats
    efron: bool
    codes: Integers
    groups: int
    counting: bool

    def replicate(self, counts: Floats) -> Floats:
        """Estimates when cluster g is drawn ``counts[g]`` times, shape (k,)."""
        return refit(
            x=self.x,
            sets=self.sets,
            weight=self.weight * counts[self.codes],
            beta=self.estimates,
            scale=self.scale,
            efron=self.efron,
            frequency=self.counting,
        )


def cox_resampler(fit: CoxFit, codes: Integers) -> CoxResampler:
    """Resampler over the clusters that occur in the rows used; `codes` are those of all rows of the frame."""
    if len(codes) != fit.source.given:
        raise ModelError("the fit does not belong to this frame: the numbers of rows differ")
    if fit.unbounded:
        raise ModelError("the fit has terms without finite estimate; leave them out first")
    if fit.source.positions is not None:
        codes = codes[fit.source.positions]
    kept, codes = np.unique(codes, return_inverse=True)
    data = fit.data
    return CoxResampler(
        terms=fit.terms,
        estimates=fit.estimates,
        x=data.x,
        sets=data.sets,
        weight=data.weight,
        scale=data.scale,
        efron=data.efron,
        codes=codes.astype(np.int64),
        groups=len(kept),
        counting=bool((data.weight == 1.0).all()),
    )
