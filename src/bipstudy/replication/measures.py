"""Measures of agreement between two estimates on one scale; ratios come as logarithms.

An estimate without a published standard error (NaN) gives NaN wherever that error is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054  # 97.5 per cent point of the standard normal distribution


@dataclass(frozen=True)
class Pooled:
    """A pooled estimate with its 95 per cent interval."""

    estimate: float
    low: float
    high: float


def normal_tail(z: float) -> float:
    """Upper tail of the standard normal distribution."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def smallest_error(*, ours: float, error: float, danish: float) -> float:
    r"""Smallest standard error of the Danish estimate at which the two would agree.

    They agree when the 95 per cent interval of their difference holds zero, that is when the Danish error is at least
    :math:`\sqrt{(d / 1.96)^2 - s^2}` for the difference :math:`d` and our error :math:`s`.

    Parameters
    ----------
    ours, error : float
        Our estimate and its standard error.
    danish : float
        The Danish estimate.

    Returns
    -------
    float
        0 where they agree even if the Danish number had no error at all.

    Examples
    --------
    >>> round(smallest_error(ours=0.5, error=0.1, danish=0.0), 4)
    0.2347
    >>> smallest_error(ours=0.1, error=0.1, danish=0.0)
    0.0
    """
    return math.sqrt(max(((ours - danish) / Z) ** 2 - error**2, 0.0))


def difference_p(*, ours: float, error: float, danish: float, danish_error: float) -> float:
    """Two-sided p-value of the difference between two independent estimates.

    Examples
    --------
    >>> round(difference_p(ours=0.5, error=0.3, danish=0.0, danish_error=0.4), 4)
    0.3173
    """
    return 2.0 * normal_tail(abs(ours - danish) / math.hypot(error, danish_error))


def prediction_interval(*, error: float, danish: float, danish_error: float, apart: float = 0.0) -> tuple[float, float]:
    r"""Where 95 of 100 replications of our size would lie.

    Without heterogeneity nothing but chance differs: Patil, Peng and Leek (2016), "What should researchers expect when
    they replicate studies?". With it the true values of the two studies differ too, by a variance of :math:`2\tau^2`:
    Pawel and Held (2020), "Probabilistic forecasting of replication studies", PLoS ONE 15(4), e0231416. Two studies
    cannot tell :math:`\tau`: estimated from them, the interval would hold every replication. It is therefore assumed,
    by how far apart the true values may lie.

    Parameters
    ----------
    error : float
        Our standard error.
    danish, danish_error : float
        The Danish estimate and its standard error.
    apart : float, default 0
        Within which distance the true values of the two studies lie in 95 of 100 such pairs:
        :math:`1.96\sqrt{2}\,\tau`.

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> [round(limit, 3) for limit in prediction_interval(error=0.3, danish=1.0, danish_error=0.4)]
    [0.02, 1.98]
    >>> [round(limit, 3) for limit in prediction_interval(error=0.3, danish=1.0, danish_error=0.4, apart=0.5)]
    [-0.1, 2.1]
    """
    half = math.hypot(Z * error, Z * danish_error, apart)
    return danish - half, danish + half


def pooled_fixed(*, ours: float, error: float, danish: float, danish_error: float) -> Pooled:
    """Inverse-variance mean of the two estimates.

    Examples
    --------
    >>> pooled_fixed(ours=1.0, error=0.5, danish=0.0, danish_error=0.5).estimate
    0.5
    """
    return _pooled(ours, error**2, danish, danish_error**2)


def pooled_random(*, ours: float, error: float, danish: float, danish_error: float) -> Pooled:
    """Random-effects mean of the two estimates, with the moment estimate of DerSimonian and Laird (1986).

    Examples
    --------
    >>> round(pooled_random(ours=1.0, error=0.1, danish=0.0, danish_error=0.2).estimate, 3)
    0.515
    """
    first, second = 1.0 / error**2, 1.0 / danish_error**2
    total = first + second
    mean = (first * ours + second * danish) / total
    q = first * (ours - mean) ** 2 + second * (danish - mean) ** 2
    between = max((q - 1.0) / (total - (first**2 + second**2) / total), 0.0)
    return _pooled(ours, error**2 + between, danish, danish_error**2 + between)


def sceptical_p(*, ours: float, error: float, danish: float, danish_error: float) -> float:
    r"""One-sided sceptical p-value of a replication, in the direction of the original.

    The squared sceptical z solves :math:`(z_o^2/z_S^2 - 1)(z_r^2/z_S^2 - 1) = c` with the ratio of variances
    :math:`c = \sigma_o^2/\sigma_r^2`: Held (2020), "A new standard for the analysis and design of replication
    studies", JRSS A 183, equations 8 to 10. The original is the Danish study.

    Examples
    --------
    >>> round(sceptical_p(ours=0.2, error=0.1, danish=0.2, danish_error=0.1), 4)
    0.0786
    """
    original, replication = (danish / danish_error) ** 2, (ours / error) ** 2
    ratio = danish_error**2 / error**2
    arithmetic = (original + replication) / 2.0
    harmonic = 2.0 / (1.0 / original + 1.0 / replication) if original > 0 and replication > 0 else 0.0
    if abs(ratio - 1.0) < 1e-12:
        squared = harmonic / 2.0
    else:
        squared = (math.sqrt(arithmetic * (arithmetic + (ratio - 1.0) * harmonic)) - arithmetic) / (ratio - 1.0)
    tail = normal_tail(math.sqrt(max(squared, 0.0)))
    return tail if ours * danish > 0 else 1.0 - tail


def equivalence_p(*, ours: float, error: float, danish: float, danish_error: float, smallest: float) -> float:
    """P-value of the two one-sided tests that the estimates differ by less than the smallest effect of interest.

    Schuirmann (1987).

    Examples
    --------
    >>> round(equivalence_p(ours=0.0, error=0.3, danish=0.0, danish_error=0.4, smallest=1.0), 4)
    0.0228
    """
    spread = math.hypot(error, danish_error)
    return normal_tail((smallest - abs(ours - danish)) / spread)


def _pooled(first: float, first_variance: float, second: float, second_variance: float) -> Pooled:
    """Inverse-variance mean of two numbers with its interval."""
    weights = 1.0 / first_variance, 1.0 / second_variance
    mean = (weights[0] * first + weights[1] * second) / sum(weights)
    half = Z / math.sqrt(sum(weights))
    return Pooled(mean, mean - half, mean + half)
