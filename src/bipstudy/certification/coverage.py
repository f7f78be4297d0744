"""Run the designs and judge them: bias, coverage, and errors beside the spread that was seen."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from bipstudy.certification.design import Design, Floats
from bipstudy.certification.kept import Kept, Row, replicated

__all__ = ["Run", "bands", "judge", "run_designs", "simulate"]

FAMILY_WISE = 0.01
CHUNK = 25
LEVEL = 0.95


@dataclass(frozen=True)
class Run:
    """What the replicates of one design gave.

    Attributes
    ----------
    design : Design
    intervals : array of shape (replicates, 4)
        Estimate, standard error and ends; NaN where the estimator gave none or failed.
    failures : tuple of str
        Kinds of errors, one per replicate that failed.
    """

    design: Design
    intervals: Floats
    failures: tuple[str, ...]


def bands(replicates: int, rows: int, coverage: float = LEVEL) -> tuple[float, float]:
    """Return the shares of covering intervals that are no surprise.

    Exact binomial: when every one of `rows` estimators covers as it should, the chance that any of them falls
    outside is at most one per cent (Bonferroni over rows and both sides).

    Parameters
    ----------
    replicates : int
        Simulated data sets per row.
    rows : int
        Rows judged together.
    coverage : float, default 0.95
        What theory says.

    Returns
    -------
    tuple of two floats
        Smallest and largest share.

    Examples
    --------
    >>> bands(1000, 30)
    (0.924, 0.973)
    """
    from scipy.stats import binom

    tail = FAMILY_WISE / (2 * rows)
    low, high = binom.ppf([tail, 1.0 - tail], replicates, coverage)
    return float(low / replicates), float(high / replicates)


def simulate(design: Design, seeds: Sequence[np.random.SeedSequence]) -> tuple[Floats, tuple[str, ...]]:
    """Draw and estimate once per seed.

    Parameters
    ----------
    design : Design
    seeds : sequence of SeedSequence

    Returns
    -------
    array of shape (seeds, 4), tuple of str
        Intervals, and the kinds of errors of the replicates that failed.

    Examples
    --------
    >>> from bipstudy.certification import designs
    >>> intervals, failures = simulate(designs()[0], np.random.SeedSequence(1).spawn(2))
    >>> intervals.shape, failures
    ((2, 4), ())
    """
    return _unrolled(_rows(design, seeds))


def _rows(design: Design, seeds: Sequence[np.random.SeedSequence]) -> list[Row]:
    """Return the interval of each seed and, behind it, the kind of error, None where there was none."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows: list[Row] = []
    # Sums in the same order whatever the machine allows, and no processes that fight over the processors.
    with threadpool_limits(1):
        for seed in seeds:
            try:
                found = design.estimate(design.draw(np.random.default_rng(seed)))
                rows.append([*map(float, found), None])
            except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
                rows.append([np.nan, np.nan, np.nan, np.nan, type(error).__name__])
    return rows


def _unrolled(rows: list[Row]) -> tuple[Floats, tuple[str, ...]]:
    """Return rows as intervals, shape (rows, 4), and kinds of errors."""
    intervals = np.array([row[:4] for row in rows], dtype=np.float64).reshape(len(rows), 4)
    return intervals, tuple(row[4] for row in rows if row[4] is not None)


def run_designs(
    chosen: Sequence[Design],
    *,
    replicates: int,
    seed: int = 1,
    n_jobs: int = 1,
    progress: Callable[[str], None] | None = None,
    kept: Kept | None = None,
) -> tuple[Run, ...]:
    """Run every design.

    The random numbers of a replicate hang on the seed, the name of its design and its number only: the first 200 of
    1,000 replicates are those of a run of 200, whatever else is run and on how many processes.

    Parameters
    ----------
    chosen : sequence of Design
    replicates : int
    seed : int, default 1
    n_jobs : int, default 1
        Processes.
    progress : callable of str, optional
        Called with the name of each design when it begins.
    kept : Kept, optional
        Where replicates are kept; those that are there already are not made again.

    Returns
    -------
    tuple of Run

    Examples
    --------
    >>> from bipstudy.certification import designs
    >>> run, = run_designs(designs()[:1], replicates=3)
    >>> run.intervals.shape
    (3, 4)
    """
    from joblib import Parallel

    runs, kept = [], Kept() if kept is None else kept
    with Parallel(n_jobs=n_jobs, return_as="generator_unordered") as pool:
        for design in chosen:
            if progress is not None:
                progress(design.name)
            root = np.random.SeedSequence([seed, zlib.crc32(design.name.encode())])
            seeds, make = root.spawn(replicates), partial(_rows, design)
            rows = replicated(kept, design.name, (seed, design.name), seeds, make, chunk=CHUNK, pool=pool)
            runs.append(Run(design, *_unrolled(rows)))
    return tuple(runs)


def judge(runs: Sequence[Run]) -> pd.DataFrame:
    """Judge runs together.

    A row holds when no replicate failed, the bias is below three Monte Carlo errors (that of the truth counted in) or a
    tenth of the standard error (of the spread of the estimates, where there is no error), and coverage lies within
    `bands`. Studies are few and rows many: there it takes as many Monte Carlo errors as right analyses exceed in any
    row with a chance of one per cent (quantile of t, Bonferroni).

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    DataFrame
        ``name, estimator, kind, scenario, truth, replicates, failed, mean, bias, bias_limit, std_error, spread,
        error_ratio, coverage, expected, band_low, band_high, rejects, reason, bias_ok, coverage_ok, ok``; `bias` is
        against what theory expects, `error_ratio` the mean standard error over the standard deviation of the estimates,
        `rejects` the share of intervals that exclude no effect. Without an interval coverage and its bands are missing.

    Examples
    --------
    >>> from bipstudy.certification import designs
    >>> judge(run_designs(designs()[:1], replicates=10))[["name", "replicates", "failed"]].values.tolist()
    [['cox', 10, 0]]
    """
    counted = sum(run.design.judged != "nothing" and not np.isnan(run.intervals[:, 2]).all() for run in runs)
    return pd.DataFrame([_row(run, max(counted, 1)) for run in runs])


def _row(run: Run, rows: int) -> dict[str, object]:
    """Judge one run."""
    design = run.design
    known = run.intervals[np.isfinite(run.intervals[:, 0])]
    estimate, error, low, high = known.T if len(known) else np.full((4, 1), np.nan)
    spread = float(estimate.std(ddof=1)) if len(known) > 1 else np.nan
    size = float(error.mean())
    # An error that was not given once is an error that is not given: a mean over the rest would hide it.
    yardstick = spread if np.isnan(error).all() else size
    bias = float(estimate.mean() - design.truth - design.bias)
    monte_carlo = float(np.hypot(spread / np.sqrt(max(len(known), 1)), design.truth_error))
    limit = max(_multiple(design, len(known), rows) * monte_carlo, 0.1 * yardstick)
    has_interval = not np.isnan(low).all()
    share = float(((low <= design.truth) & (design.truth <= high)).mean()) if has_interval else np.nan
    band = bands(len(run.intervals), rows, design.coverage) if has_interval else (np.nan, np.nan)
    if design.at_least:
        band = band[0], 1.0
    if design.judged != "both":
        bias = limit = np.nan
    if design.judged == "nothing":
        share, band = np.nan, (np.nan, np.nan)
    bias_ok = design.judged != "both" or bool(abs(bias) <= limit)
    coverage_ok = np.isnan(share) or bool(band[0] <= share <= band[1])
    return {
        "name": design.name,
        "estimator": design.estimator,
        "kind": design.kind,
        "scenario": design.scenario,
        "truth": np.nan if design.judged == "nothing" else design.truth,
        "replicates": len(run.intervals),
        "failed": len(run.failures),
        "mean": np.nan if design.judged != "both" and np.isnan(size) else float(estimate.mean()),
        "bias": bias,
        "bias_limit": float(limit),
        "std_error": size,
        "spread": spread,
        "error_ratio": size / spread if spread > 0 else np.nan,
        "coverage": share,
        "expected": np.nan if np.isnan(share) else design.coverage,
        "band_low": band[0],
        "band_high": band[1],
        "rejects": _rejects(design, low, high) if has_interval else np.nan,
        "reason": design.reason,
        "bias_ok": bias_ok,
        "coverage_ok": coverage_ok,
        "ok": bias_ok and coverage_ok and not run.failures,
    }


def _rejects(design: Design, low: Floats, high: Floats) -> float:
    """Return the share of intervals that exclude no effect."""
    if design.no_effect is None:
        return float("nan")
    return float(((low > design.no_effect) | (high < design.no_effect)).mean())


def _multiple(design: Design, replicates: int, rows: int) -> float:
    """Return how many Monte Carlo errors a bias may be."""
    from scipy.stats import t

    if design.kind == "estimator":
        return 3.0
    return float(t.ppf(1.0 - FAMILY_WISE / (2 * rows), max(replicates - 1, 1)))
