"""An estimate and its Danish number on one additive scale: where they lie, and how far apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.replication import measures
from bipstudy.replication.benchmarks import Benchmark

RATIOS = ("risk_ratio", "hazard_ratio")


@dataclass(frozen=True)
class Pair:
    """Our estimate and the Danish one on one additive scale; ratios as logarithms."""

    ours: float
    low: float
    high: float
    error: float
    danish: float
    danish_error: float


def direction(*, low: float, high: float, danish_sign: int, smallest: float) -> str:
    """Say where an interval lies, in the words of a verdict without "in direction".

    Parameters
    ----------
    low, high : float
        Our interval on an additive scale, 0 being no effect.
    danish_sign : {1, 0, -1}
        Direction of the Danish finding.
    smallest : float
        Smallest effect of interest, above 0; used where the Danish finding is zero.

    Returns
    -------
    {"consistent", "inconclusive", "inconsistent"}

    Examples
    --------
    >>> direction(low=0.1, high=0.4, danish_sign=1, smallest=0.1)
    'consistent'
    >>> direction(low=-0.05, high=0.05, danish_sign=0, smallest=0.1)
    'consistent'
    """
    if math.isnan(low) or math.isnan(high):
        return "inconclusive"
    if danish_sign == 0:
        if -smallest < low and high < smallest:
            return "consistent"
        return "inconsistent" if low >= smallest or high <= -smallest else "inconclusive"
    if danish_sign < 0:
        low, high = -high, -low
    if low > 0:
        return "consistent"
    return "inconsistent" if high < 0 else "inconclusive"


def pair_of(benchmark: Benchmark, ours: pd.Series) -> Pair:
    """Bring both numbers on one additive scale."""
    scale = str(ours["scale"])
    low, high = additive(float(ours["conf_low"]), scale), additive(float(ours["conf_high"]), scale)
    error = float(ours["std_error"])
    if math.isnan(error):
        error = (high - low) / (2.0 * measures.Z)
    danish = benchmark.reference
    if benchmark.unit == "relative":
        danish = additive(danish, scale)
    return Pair(additive(float(ours["estimate"]), scale), low, high, error, danish, benchmark.reference_error)


def additive(number: float, scale: str) -> float:
    """Return a ratio as its logarithm, anything else unchanged."""
    if scale not in RATIOS or math.isnan(number):
        return number
    return math.log(number) if number > 0 else -math.inf


def verdict(benchmark: Benchmark, pair: Pair, smallest: float) -> tuple[str, str]:
    """Return verdict and reason for a pair that may be compared."""
    if benchmark.use == "context":
        return "no verdict", "context"
    if benchmark.unit in ("share", "count"):
        return "no verdict", benchmark.unit
    sign = int(np.sign(pair.danish))
    word = direction(low=pair.low, high=pair.high, danish_sign=sign, smallest=smallest)
    if not math.isnan(pair.danish_error) and benchmark.unit != "sign":
        apart = abs(pair.ours - pair.danish) > measures.Z * math.hypot(pair.error, pair.danish_error)
        return ("inconsistent" if apart else word), "difference"
    if math.isnan(pair.low) or math.isnan(pair.high):
        return "inconclusive", "no_interval"
    if sign == 0:
        # What is published to be nothing has no direction that ours could have too.
        return word, "smallest_effect"
    return (word if word == "inconclusive" else f"{word} in direction"), "interval"


def compared(benchmark: Benchmark, pair: Pair, smallest: float, scale: str) -> dict[str, Any]:
    """Return the measures of agreement of a pair; a direction has none."""
    if benchmark.unit == "sign" or math.isnan(pair.danish):
        return {}
    exact = math.isnan(pair.danish_error)
    spread = math.nan if exact else measures.Z * math.hypot(pair.error, pair.danish_error)
    low, high = (pair.low, pair.high) if exact else (pair.ours - spread, pair.ours + spread)
    show = math.exp if scale in RATIOS else float
    row: dict[str, Any] = {
        "danish_inside": pd.NA if math.isnan(pair.low) else bool(pair.low <= pair.danish <= pair.high),
        "difference": show(pair.ours - pair.danish),
        "difference_low": show(low - pair.danish),
        "difference_high": show(high - pair.danish),
    }
    if math.isfinite(pair.error) and pair.error > 0:
        row["smallest_danish_error"] = measures.smallest_error(ours=pair.ours, error=pair.error, danish=pair.danish)
        if not exact:
            row |= _with_danish_error(pair, smallest, tested=benchmark.unit not in ("share", "count"), scale=scale)
    return row


def _with_danish_error(pair: Pair, smallest: float, *, tested: bool, scale: str) -> dict[str, Any]:
    """Return the measures that need a Danish standard error; `tested` where nought means no association."""
    show = math.exp if scale in RATIOS else float
    both = {"ours": pair.ours, "error": pair.error, "danish": pair.danish, "danish_error": pair.danish_error}
    low, high = measures.prediction_interval(error=pair.error, danish=pair.danish, danish_error=pair.danish_error)
    fixed, random = measures.pooled_fixed(**both), measures.pooled_random(**both)
    row: dict[str, Any] = {
        "difference_p": measures.difference_p(**both),
        "prediction_low": show(low),
        "prediction_high": show(high),
        "pooled_fixed": show(fixed.estimate),
        "pooled_fixed_low": show(fixed.low),
        "pooled_fixed_high": show(fixed.high),
        "pooled_random": show(random.estimate),
        "pooled_random_low": show(random.low),
        "pooled_random_high": show(random.high),
    }
    if tested:
        row["sceptical_p"] = measures.sceptical_p(**both)
    if not math.isnan(smallest):
        wide = measures.prediction_interval(
            error=pair.error, danish=pair.danish, danish_error=pair.danish_error, apart=smallest
        )
        row |= {"prediction_apart_low": show(wide[0]), "prediction_apart_high": show(wide[1])}
        row["equivalence_p"] = measures.equivalence_p(**both, smallest=smallest)
    return row
