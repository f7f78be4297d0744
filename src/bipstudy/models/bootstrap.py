"""Cluster bootstrap: full refits by weights, and one Newton step from cluster scores.

A resample draws as many clusters as there are, with replacement; the number of times a cluster was drawn is the weight
of its rows. Each replicate has its own seed, spawned from one, and draws over clusters in the order of their labels, so
that the numbers depend neither on the order of rows nor on how many processes share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.binary import climb
from bipstudy.models.covariance import ModelError, one_thread
from bipstudy.models.cox_fit import CoxFit
from bipstudy.models.cox_refit import cox_resampler
from bipstudy.models.estimates import Fit
from bipstudy.models.hazard import HazardFit
from bipstudy.models.links import Link
from bipstudy.models.readings import Levels, find_levels
from bipstudy.models.steps import draw_counts, draws, score_steps
from bipstudy.models.tidy import tidy_frame

__all__ = ["BootstrapResult", "bootstrap", "score_bootstrap"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Interval = Literal["percentile", "basic", "normal"]
Estimator: TypeAlias = Callable[[pd.DataFrame, FloatArray], Any] | Fit

REPLICATES_PER_TASK = 25
LEVEL_ROWS = 8_192


@dataclass(frozen=True)
class BootstrapResult:
    """Estimates with bootstrap errors.

    Attributes
    ----------
    terms : tuple of str, length k
    estimates : array of shape (k,)
        From the data as they are.
    replicates : array of shape (replications, k)
        NaN where a replicate failed or a term was left out, infinite where it had no finite estimate.
    cluster : str
    clusters : int
    method : str
        How replicates were made, in words.
    notes : tuple of str
    """

    terms: tuple[str, ...]
    estimates: FloatArray
    replicates: FloatArray
    cluster: str
    clusters: int
    method: str
    notes: tuple[str, ...] = ()

    @property
    def coef(self) -> pd.Series:
        """Estimates by term."""
        return pd.Series(self.estimates, index=list(self.terms), name="estimate")

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the replicates in which every term is finite, shape (k, k)."""
        finite = self.replicates[np.isfinite(self.replicates).all(axis=1)]
        return np.atleast_2d(np.cov(finite, rowvar=False))

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance of the replicates, terms in rows and columns."""
        return pd.DataFrame(self.covariance, index=list(self.terms), columns=list(self.terms))

    def tidy(self, level: float = 0.95, interval: Interval = "percentile") -> pd.DataFrame:
        """Estimates with bootstrap errors and intervals.

        Parameters
        ----------
        level : float, default 0.95
        interval : {"percentile", "basic", "normal"}
            Quantiles of the replicates; twice the estimate minus those quantiles; estimate and error with the normal.
            For the first two the p-value is twice the smaller share of replicates on either side of zero (for
            ``basic`` of replicates mirrored at the estimate), counting one more than there are, so never zero.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        finite = np.where(np.isfinite(self.replicates), self.replicates, np.nan)
        errors = np.array([np.std(column[~np.isnan(column)], ddof=1) for column in finite.T])
        table = tidy_frame(self.terms, self.estimates, errors, np.inf, level)
        if interval == "normal":
            return table
        if interval not in ("percentile", "basic"):
            raise ModelError(f"interval must be 'percentile', 'basic' or 'normal', got {interval!r}")
        draws = self.replicates if interval == "percentile" else 2.0 * self.estimates - self.replicates
        for place, column in enumerate(draws.T):
            known = column[~np.isnan(column)]
            low, high = np.quantile(known, [0.5 - level / 2.0, 0.5 + level / 2.0], method="median_unbiased")
            beyond = min(int((known <= 0.0).sum()), int((known >= 0.0).sum()))
            share = min(1.0, 2.0 * (beyond + 1) / (len(known) + 1))
            table.loc[place, ["p_value", "conf_low", "conf_high"]] = [share, low, high]
        return table

    def glance(self) -> pd.DataFrame:
        """One row: replications, how many failed, clusters and the convention of the errors."""
        failed = int(np.isnan(self.replicates).any(axis=1).sum())
        return pd.DataFrame(
            {
                "model": ["cluster bootstrap"],
                "replications": [len(self.replicates)],
                "failed": [failed],
                "clusters": [self.clusters],
                "convention": [f"{self.method}, clusters {self.cluster} ({self.clusters})"],
            }
        )


def bootstrap(
    estimator: Estimator,
    frame: pd.DataFrame,
    cluster: str,
    replications: int = 999,
    seed: int = 0,
    n_jobs: int = 1,
    *,
    scheduler: str | None = None,
) -> BootstrapResult:
    """Cluster bootstrap by weights, every replicate a full fit.

    Parameters
    ----------
    estimator : callable or Fit
        A function of the frame and one weight per row that gives a fit, a result with ``tidy()``, a Series or a
        mapping of term to number; for example
        ``lambda frame, weights: models.cox(frame, "x", stop="t", event="d", weights=weights)``. Weights equal
        duplicated rows for likelihoods that add over rows; for Cox models with Efron's ties they need not. A
        discrete hazard already fitted to `frame` may be given instead: its replicates start from its estimates and
        build no frame, which is some ten times faster.
    frame : DataFrame
    cluster : str
        Column that says what is drawn.
    replications : int, default 999
    seed : int, default 0
    n_jobs : int, default 1
        Processes; the numbers are the same for any. The estimator must then be importable, not a lambda, or the
        processes fork a copy by cloudpickle.
    scheduler : str, optional
        Address of a Dask scheduler to run on (needs the extra ``distributed``).

    Returns
    -------
    BootstrapResult

    Raises
    ------
    ModelError
        If the cluster column has gaps or fewer than two values, or no replicate could be fitted.

    References
    ----------
    Efron, B., Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Field, C. A., Welsh, A. H. (2007).
    Bootstrapping clustered data. Journal of the Royal Statistical Society B 69, 369-390.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2, 4, 3, 6, 5, 9, 7], "g": list("aabbccdd")})
    >>> mean = lambda frame, weights: {"mean": (weights * frame["y"]).sum() / weights.sum()}
    >>> result = bootstrap(mean, frame, "g", replications=20, seed=1)
    >>> result.tidy()[["term", "estimate"]].values.tolist()
    [['mean', 4.625]]
    """
    task: Any
    if isinstance(estimator, HazardFit):
        task = _refits(estimator, frame, cluster)
    elif isinstance(estimator, CoxFit):
        task = cox_resampler(estimator, _sorted_codes(frame, cluster)[0])
    elif isinstance(estimator, Fit):
        raise ModelError(
            "give a function of the frame and weights; only a discrete hazard or a Cox regression can be given as a fit"
        )
    else:
        task = _callable(estimator, frame, *_sorted_codes(frame, cluster))
    seeds = np.random.SeedSequence(seed).spawn(replications)
    chunks = [seeds[start : start + REPLICATES_PER_TASK] for start in range(0, replications, REPLICATES_PER_TASK)]
    results = _spread(task, chunks, n_jobs, scheduler)
    replicates = np.vstack([rows for rows, _ in results])
    reasons = sorted({reason for _, found in results for reason in found})
    if np.isnan(replicates).all():
        raise ModelError(f"no replicate could be fitted: {'; '.join(reasons[:3])}")
    return BootstrapResult(
        terms=task.terms,
        estimates=task.estimates,
        replicates=replicates,
        cluster=cluster,
        clusters=task.groups,
        method=f"{replications} resamples of clusters, each a full fit",
        notes=_failure_notes(replicates, reasons),
    )


def score_bootstrap(
    fit: Fit, cluster: str, replications: int = 999, seed: int = 0, *, hessian: Literal["cluster", "fixed"] = "cluster"
) -> BootstrapResult:
    r"""Cluster bootstrap by one Newton step from the fit.

    With cluster scores :math:`s_g`, cluster Hessians :math:`H_g` and the number of draws :math:`w_g` of a cluster,
    :math:`\beta^* = \hat\beta + (\sum_g w_g H_g)^{-1} \sum_g w_g s_g` (Kline and Santos 2012). For least squares
    this is the full refit. The draws are those of `bootstrap` with the same seed.

    Parameters
    ----------
    fit : Fit
    cluster : str
    replications : int, default 999
    seed : int, default 0
    hessian : {"cluster", "fixed"}
        ``fixed`` keeps the Hessian of the fit; it is used where the fit has no Hessian by rows (Cox models) or the
        cluster Hessians would not fit in memory, and `glance` says so.

    Returns
    -------
    BootstrapResult

    Raises
    ------
    ModelError
        If the fit keeps no scores.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"g": np.repeat(np.arange(30), 4), "x": rng.normal(size=120), "y": rng.normal(size=120)})
    >>> fit = models.linear_probability(frame, "y ~ x", cluster="g")
    >>> models.score_bootstrap(fit, "g", replications=99).tidy()["term"].tolist()
    ['Intercept', 'x']

    References
    ----------
    Kline, P., Santos, A. (2012). A score based approach to wild bootstrap inference. Journal of Econometric Methods
    1, 23-41.
    """
    if fit.scores is None:
        raise ModelError(f"{fit.model} keeps no scores")
    if len(fit.source.frame) != fit.source.given:
        raise ModelError("the frame has changed its length since the model was fitted; fit again")
    column = fit.source.frame if fit.source.positions is None else fit.source.frame.iloc[fit.source.positions]
    codes, groups = _sorted_codes(column, cluster)
    counts = draw_counts(groups, replications, seed)
    steps, by_cluster = score_steps(fit, codes, counts, hessian=hessian)
    return BootstrapResult(
        terms=fit.terms,
        estimates=fit.estimates,
        replicates=fit.estimates + steps,
        cluster=cluster,
        clusters=groups,
        method=f"{replications} resamples of clusters, one Newton step, Hessian "
        + ("of the resample" if by_cluster else "of the fit"),
        notes=fit.notes,
    )


def _sorted_codes(frame: pd.DataFrame, cluster: str) -> tuple[IntArray, int]:
    """Cluster numbers in the order of the labels, and their number."""
    if cluster not in frame.columns:
        raise ModelError(f"the frame has no column {cluster!r} to cluster by")
    codes, labels = pd.factorize(frame[cluster], sort=True)
    if codes.min(initial=0) < 0:
        raise ModelError(f"column {cluster!r} has missing values; drop those rows first")
    if len(labels) < 2:
        raise ModelError("the bootstrap needs at least two clusters")
    return np.asarray(codes, dtype=np.int64), len(labels)


def _spread(task: Any, chunks: list[Any], n_jobs: int, scheduler: str | None) -> list[tuple[FloatArray, list[str]]]:
    """Run the chunks here, in processes or on a Dask cluster; the order of results is that of the chunks."""
    if n_jobs == 1 and scheduler is None:
        return [_run(task, chunk) for chunk in chunks]
    from joblib import Parallel, delayed, parallel_config

    context: Any = nullcontext()
    client: Any = nullcontext()
    if scheduler is not None:
        from distributed import Client

        client, context = Client(scheduler), parallel_config(backend="dask")
    with client, context:
        results = Parallel(n_jobs=n_jobs)(delayed(_run)(task, chunk) for chunk in chunks)
    return list(results)


def _run(task: Any, seeds: list[np.random.SeedSequence]) -> tuple[FloatArray, list[str]]:
    """Replicates of one chunk, with one thread, so that sums are made the same way everywhere."""
    reasons: list[str] = []
    rows = np.full((len(seeds), len(task.terms)), np.nan)
    with one_thread():
        for place, count in enumerate(draws(seeds, task.groups)):
            try:
                rows[place] = task.replicate(count)
            except ModelError as error:
                reasons.append(str(error))
    return rows, reasons


def _failure_notes(replicates: FloatArray, reasons: list[str]) -> tuple[str, ...]:
    """Say how many replicates failed, and why."""
    failed = int(np.isnan(replicates).all(axis=1).sum())
    unbounded = int(np.isinf(replicates).any(axis=1).sum())
    notes = []
    if failed:
        notes.append(f"{failed} of {len(replicates)} replicates could not be fitted: {'; '.join(reasons[:3])}")
    if unbounded:
        notes.append(f"{unbounded} of {len(replicates)} replicates have a term without finite estimate")
    return tuple(notes)


@dataclass(frozen=True)
class _Callable:
    """Replicates by a function of frame and weights."""

    estimator: Callable[[pd.DataFrame, FloatArray], Any]
    frame: pd.DataFrame
    codes: IntArray
    groups: int
    terms: tuple[str, ...]
    estimates: FloatArray

    def replicate(self, counts: FloatArray) -> FloatArray:
        """Estimates for one set of draws, NaN for a term that is not there."""
        weights = counts[self.codes]
        rows = np.flatnonzero(weights > 0.0)
        found = _named_numbers(self.estimator(self.frame.iloc[rows].reset_index(drop=True), weights[rows]))
        return np.array([found.get(term, np.nan) for term in self.terms])


def _callable(
    estimator: Callable[[pd.DataFrame, FloatArray], Any], frame: pd.DataFrame, codes: IntArray, groups: int
) -> _Callable:
    """Fit once to the data as they are, to learn the terms."""
    whole = _named_numbers(estimator(frame, np.ones(len(frame))))
    return _Callable(estimator, frame, codes, groups, tuple(whole), np.array(list(whole.values()), dtype=np.float64))


def _named_numbers(result: Any) -> dict[str, float]:
    """Term and estimate of whatever an estimator gives."""
    if hasattr(result, "tidy"):
        table = result.tidy()
        return dict(zip(table["term"], table["estimate"].astype(float), strict=True))
    if hasattr(result, "items"):
        return {str(term): float(value) for term, value in result.items()}
    raise ModelError("the estimator must give a fit, a Series or a mapping of term to number")


@dataclass(frozen=True)
class _Refits:
    """Replicates of a binary regression on its arrays, starting from its estimates."""

    matrix: FloatArray
    response: FloatArray
    weights: FloatArray | None
    link: Link
    codes: IntArray
    groups: int
    terms: tuple[str, ...]
    estimates: FloatArray
    levels: Levels | None

    def replicate(self, counts: FloatArray) -> FloatArray:
        """Estimates for one set of draws; infinite where they have no maximum."""
        drawn = counts[self.codes]
        rows = np.flatnonzero(drawn)
        weights = drawn[rows] if self.weights is None else drawn[rows] * self.weights[rows]
        part, response = self.matrix[rows], self.response[rows]
        found = climb(
            matrix=part,
            response=response,
            weights=weights,
            link=self.link,
            start=self.estimates,
            levels=None if self.levels is None else self.levels.take(rows),
        )
        if found is not None:
            return found
        from bipstudy.models.separation import solve_binary

        solution = solve_binary(matrix=part, response=response, weights=weights, link=self.link)
        result = np.full(len(self.terms), np.nan)
        values = solution.beta.copy()
        for direction in reversed(solution.directions):
            values = np.where(direction != 0.0, np.inf * np.sign(direction), values)
        result[solution.kept] = values
        return result


def _refits(fit: HazardFit, frame: pd.DataFrame, cluster: str) -> _Refits:
    """Arrays of the fit, and the clusters of its rows."""
    if fit.unbounded:
        raise ModelError("the fit has terms without finite estimate; leave them out, or give a function")
    if len(frame) != fit.source.given:
        raise ModelError("the fit does not belong to this frame: the numbers of rows differ")
    if fit.source.positions is not None:
        frame = frame.iloc[fit.source.positions]
    codes, groups = _sorted_codes(frame, cluster)
    matrix = fit.design.matrix(frame)
    # Sums by level are compiled and take a second to load, which refits of few rows never give back.
    levels = find_levels(matrix) if len(matrix) >= LEVEL_ROWS else None
    return _Refits(matrix, fit.response, fit.weights, fit.link, codes, groups, fit.terms, fit.estimates, levels)
