r"""Halves of units formed by their own result, and how far apart chance alone puts them.

Units (caseworkers, schools, surgeons) are sorted by the share of their cases with an outcome and cut in an upper and a
lower half. Because the halves are formed by the result that is then compared, they differ even if all units are alike:
with 14 cases each and an outcome in 14 per cent, 21 against 7 per cent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError

__all__ = ["Halves", "HalvesByChance", "chance_halves", "halves_by_chance", "sorted_halves"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Shares of units closer than this are equal: sums of weights do not end on the same last digit.
_TIE = 1e-9


@dataclass(frozen=True)
class Halves:
    """Mean outcome of the cases of the upper and the lower half of units."""

    upper: float
    lower: float


@dataclass(frozen=True)
class HalvesByChance:
    """Halves as observed, and with the cases dealt out anew.

    Attributes
    ----------
    observed : Halves
    drawn : array of shape (draws, 2)
        Upper and lower half when chance deals out the cases, caseloads as they are.
    resampled : array of shape (draws, 2)
        Upper and lower half of units drawn anew with replacement.
    grid : array of shape (g,)
        Places among the units sorted by their means, 0 the lowest to 1 the highest.
    curve : array of shape (g,)
        Observed means at those places.
    drawn_curve : array of shape (draws, g)
    units : int
    """

    observed: Halves
    drawn: Floats
    resampled: Floats
    grid: Floats
    curve: Floats
    drawn_curve: Floats
    units: int

    @property
    def p_value(self) -> float:
        """Share of draws with a gap as wide as the observed, that counted as one of them."""
        gap = self.observed.upper - self.observed.lower
        reached = self.drawn[:, 0] - self.drawn[:, 1] >= gap - 1e-12
        return float((1 + reached.sum()) / (1 + len(self.drawn)))

    @property
    def beyond_chance(self) -> tuple[float, float]:
        """How much wider the observed gap is than chance makes it on average, and the standard error of that.

        The error is that of units drawn anew, not of cases dealt out anew: where units differ, which of them there are
        adds to the gap. In each resample the gap of chance follows the spread of a single outcome at the share there.
        """
        gaps = self.resampled[:, 0] - self.resampled[:, 1]
        middle = 0.5 * (self.observed.upper + self.observed.lower)
        shares = self.resampled.mean(axis=1)
        chance = float((self.drawn[:, 0] - self.drawn[:, 1]).mean())
        follows = np.ones(len(gaps))
        # A mean outcome that is no share has no such spread.
        if 0.0 < middle < 1.0 and shares.min() >= 0.0 and shares.max() <= 1.0:
            follows = np.sqrt(shares * (1.0 - shares) / (middle * (1.0 - middle)))
        error = float(np.std(gaps - chance * follows, ddof=1))
        return self.observed.upper - self.observed.lower - chance, error


def sorted_halves(*, total: Floats, size: Floats) -> Halves:
    """Cut units in halves by their means and return the mean of each half's cases.

    Units that tie at the cut count in both halves, each with the same fraction, so that neither order nor names matter.

    Parameters
    ----------
    total : array of shape (units,)
        Sum of the outcome over a unit's cases (or of weights times outcome).
    size : array of shape (units,)
        Cases (or their weights), above 0.

    Returns
    -------
    Halves

    Raises
    ------
    ModelError
        There are fewer than two units.

    Examples
    --------
    >>> import numpy as np
    >>> sorted_halves(total=np.array([1.0, 3.0, 0.0, 4.0]), size=np.full(4, 10.0))
    Halves(upper=0.35, lower=0.05)
    """
    if len(size) < 2:
        raise ModelError("halves need at least two units")
    mean = total / size
    order = np.argsort(mean, kind="stable")
    half = len(size) / 2.0
    ranked = mean[order]
    at_cut = ranked[int(half)] if len(size) % 2 else None
    below = mean < ranked[int(np.ceil(half)) - 1] - _TIE
    edge = np.abs(mean - ranked[int(np.ceil(half)) - 1]) <= _TIE
    if at_cut is None and ranked[len(size) // 2] > ranked[len(size) // 2 - 1] + _TIE:
        lower = (mean <= ranked[len(size) // 2 - 1] + _TIE).astype(np.float64)
    else:
        lower = below + edge * (half - below.sum()) / edge.sum()
    upper = 1.0 - lower
    return Halves(float(upper @ total / (upper @ size)), float(lower @ total / (lower @ size)))


def chance_halves(cases: int, share: float) -> Halves:
    """Halves that chance alone makes of very many units alike, each with so many cases.

    Parameters
    ----------
    cases : int
        Cases of each unit.
    share : float
        Probability of the outcome, the same for all.

    Returns
    -------
    Halves
        Expected shares of the upper and the lower half, exact by the binomial distribution.

    Raises
    ------
    ModelError
        There are no cases, or the share does not lie between 0 and 1.

    Examples
    --------
    >>> halves = chance_halves(14, 0.14)
    >>> round(halves.upper, 2), round(halves.lower, 2)
    (0.21, 0.07)
    """
    if cases < 1 or not 0.0 < share < 1.0:
        raise ModelError("chance halves need at least one case, and a share between 0 and 1")
    from scipy.stats import binom

    reached = np.arange(cases + 1)
    mass = binom.pmf(reached, cases, share)
    before = np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    lower = np.clip(0.5 - before, 0.0, mass)
    low = float(lower @ reached) / 0.5 / cases
    return Halves(2.0 * share - low, low)


def halves_by_chance(
    *,
    value: Floats,
    weight: Floats,
    unit: Ints,
    minimum_cases: int = 5,
    draws: int = 499,
    seed: int = 0,
    points: int = 19,
) -> HalvesByChance:
    """Cut units in halves by their means, as observed and with the cases dealt out anew.

    Parameters
    ----------
    value : array of shape (cases,)
    weight : array of shape (cases,)
        Above 0.
    unit : array of int, shape (cases,)
    minimum_cases : int
        Units with fewer cases are left out, with their cases.
    draws, seed : int
    points : int
        Places of the curve of sorted means.

    Returns
    -------
    HalvesByChance

    Raises
    ------
    ModelError
        Fewer than two units have enough cases.

    Examples
    --------
    >>> import numpy as np
    >>> unit = np.repeat(np.arange(50), 14)
    >>> value = (np.random.default_rng(1).random(700) < 0.14).astype(float)
    >>> found = halves_by_chance(value=value, weight=np.ones(700), unit=unit, draws=99)
    >>> found.drawn.mean(axis=0).round(2)
    array([0.2 , 0.06])
    """
    cases = np.bincount(unit)
    kept = cases[unit] >= minimum_cases
    value, weight = value[kept], weight[kept]
    _, codes, counts = np.unique(unit[kept], return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise ModelError(f"fewer than two units have {minimum_cases} cases or more")
    # The very lowest and highest are single units: the curve shows neither.
    grid = np.linspace(0.05, 0.95, points)
    places = (np.arange(len(counts)) + 0.5) / len(counts)

    def statistics(codes: Ints, weight: Floats, value: Floats) -> tuple[Halves, Floats]:
        size, total = _sums(codes, weight), _sums(codes, weight * value)
        return sorted_halves(total=total, size=size), np.interp(grid, places, np.sort(total / size))

    observed, curve = statistics(codes, weight, value)
    sizes, totals = _sums(codes, weight), _sums(codes, weight * value)
    # Cases by what they are and units by their size: the draws depend on neither order nor names.
    order = np.lexsort((weight, value))
    value, weight = value[order], weight[order]
    slots = np.repeat(np.arange(len(counts)), np.sort(counts))
    generator = np.random.default_rng(np.random.SeedSequence(seed))
    drawn, curves = np.empty((draws, 2)), np.empty((draws, points))
    for draw in range(draws):
        dealt = generator.permutation(len(value))
        halves, curves[draw] = statistics(slots, weight[dealt], value[dealt])
        drawn[draw] = halves.upper, halves.lower
    resampled = _resampled(sizes, totals, generator, draws)
    return HalvesByChance(observed, drawn, resampled, grid, curve, curves, len(counts))


def _sums(codes: Ints, values: Floats) -> Floats:
    """Sum of the values of each unit."""
    return np.asarray(np.bincount(codes, weights=values), dtype=np.float64)


def _resampled(size: Floats, total: Floats, generator: np.random.Generator, draws: int) -> Floats:
    """Halves of units drawn anew with replacement; units by what they are, so that names do not matter."""
    order = np.lexsort((total, size))
    size, total = size[order], total[order]
    found = np.empty((draws, 2))
    for draw in range(draws):
        chosen = generator.integers(len(size), size=len(size))
        halves = sorted_halves(total=total[chosen], size=size[chosen])
        found[draw] = halves.upper, halves.lower
    return found
