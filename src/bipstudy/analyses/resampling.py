"""Bootstrap replicates of estimates, drawn while an analysis runs and only where somebody asked for them.

A resample draws as many caseworkers as there are, with replacement; all estimates of one run that rest on the same
caseworkers share the draws. Nothing is fitted anew from the start: shares and curves are recomputed with the weights of
the resample, regressions take one Newton step from their estimates with the scores of the resample and the Hessian of
the fit (Kline and Santos 2012: the Hessian of a resample with few events may be singular), and standardised risks are
then averaged again over the resampled rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Resample = Callable[[], FloatArray | None]

CASEWORKER = "cluster_caseworker"
# Where a table of risks carries what draws its replicates; a function is copied with the table at no cost.
ATTRIBUTE = "resample"
# Numbers held at a time while risks are averaged over rows and resamples.
_AT_A_TIME = 4_000_000


@dataclass
class Request:
    """Replicates that were asked for, and those made so far.

    Attributes
    ----------
    replications, seed : int
    found : dict of str to array of shape (replications,)
        By key of the estimate, see `key_of`; NaN where a resample has no estimate.
    """

    replications: int
    seed: int
    found: dict[str, FloatArray] = field(default_factory=dict)
    _counts: dict[bytes, FloatArray] = field(default_factory=dict)

    def counts(self, labels: Sequence[Any]) -> FloatArray:
        """Return how often each cluster is drawn, shape (replications, clusters)."""
        from bipstudy.models.steps import draw_counts

        name = "\0".join(map(str, labels)).encode()
        if name not in self._counts:
            self._counts[name] = draw_counts(len(labels), self.replications, self.seed)
        return self._counts[name]


_REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)


@contextmanager
def resampling(replications: int, seed: int) -> Iterator[Request]:
    """Ask for replicates of the estimates that are made while it is open.

    Parameters
    ----------
    replications : int
        None are drawn for 0.
    seed : int
    """
    request = Request(replications, seed)
    token = _REQUEST.set(request if replications else None)
    try:
        yield request
    finally:
        _REQUEST.reset(token)


def wanted() -> bool:
    """Say whether replicates were asked for."""
    return _REQUEST.get() is not None


def key_of(row: Mapping[str, Any]) -> str:
    """Return what an estimate is called among the replicates of its analysis."""
    return "/".join(str(row[name]) for name in ("contrast", "scale", "outcome", "adjustment", "term"))


def keep(row: Mapping[str, Any], resample: Resample | None) -> None:
    """Draw the replicates of an estimate that is primary or has a Danish counterpart."""
    from bipstudy.models import ModelError

    request = _REQUEST.get()
    if request is None or resample is None or not (row["role"] == "primary" or row["benchmark"]):
        return
    try:
        with np.errstate(all="ignore"):
            drawn = resample()
    except (ModelError, np.linalg.LinAlgError):
        return
    if drawn is not None:
        request.found[key_of(row)] = np.where(np.isfinite(drawn), drawn, np.nan)


def of_ratio(numerators: FloatArray, denominators: FloatArray, clusters: npt.NDArray[Any] | None) -> Resample | None:
    """Return what resamples a ratio of sums over rows, such as a weighted share or mean."""
    request = _REQUEST.get()
    if request is None or clusters is None or not len(clusters):
        return None

    def resample() -> FloatArray:
        labels, codes = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
        counts = request.counts(labels.tolist())
        above = np.bincount(codes, weights=numerators, minlength=len(labels))
        below = np.bincount(codes, weights=denominators, minlength=len(labels))
        return np.asarray((counts @ above) / (counts @ below))

    return resample


def of_term(fit: Any, term: str, *, ratio: bool) -> Resample | None:
    """Return what resamples a coefficient of a fit, or its exponential."""
    return of_contrast(fit, {term: 1.0}, ratio=ratio)


def of_contrast(fit: Any, weights: Mapping[str, float], *, ratio: bool = False) -> Resample | None:
    """Return what resamples a weighted sum of the coefficients of a fit, or its exponential.

    Parameters
    ----------
    fit : Fit
    weights : mapping of str to float
        Terms and what they count.
    ratio : bool
    """
    request = _REQUEST.get()
    known = set(weights) <= set(getattr(fit, "terms", ())) - set(getattr(fit, "unbounded", ()))
    if request is None or not known or CASEWORKER not in fit.source.frame:
        return None

    def resample() -> FloatArray | None:
        drawn = _coefficients(fit, _used_labels(fit), request)
        if drawn is None:
            return None
        values: FloatArray = drawn[0][:, [fit.terms.index(term) for term in weights]] @ np.array([*weights.values()])
        return np.exp(values) if ratio else values

    return resample


def of_risks(fit: Any, frame: pd.DataFrame, exposure: str | None, values: Any) -> Callable[[str], Resample] | None:
    """Return what gives, for each risk, difference or ratio, the function that resamples it.

    Parameters
    ----------
    fit : Fit
        A binary regression or a linear model, one row per person.
    frame : DataFrame
        The rows standardised over, with ``cluster_caseworker``.
    exposure, values
        As for `bipstudy.models.standardised_risk`.
    """
    request = _REQUEST.get()
    if request is None or CASEWORKER not in frame or CASEWORKER not in fit.source.frame:
        return None
    made: dict[str, FloatArray | None] = {}

    def of(term: str) -> Resample:
        def resample() -> FloatArray | None:
            if not made:
                made.update(_risks(fit, frame, exposure, values, request))
            return made.get(term)

        return resample

    return of


class Risks:
    """Standardised risks whose table carries what draws their replicates; all else is as in the risks."""

    def __init__(self, risks: Any, of: Callable[[str], Resample]) -> None:
        self._risks = risks
        self._of = of

    def tidy(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Return the table of the risks."""
        table: pd.DataFrame = self._risks.tidy(*args, **kwargs)
        table.attrs[ATTRIBUTE] = self._of
        return table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._risks, name)


def of_incidence(
    *,
    stop: FloatArray,
    start: FloatArray,
    cause: npt.NDArray[Any],
    causes: Sequence[str],
    of: str,
    at: float,
    clusters: npt.NDArray[Any],
) -> Resample | None:
    """Return what resamples a cumulative incidence (Aalen and Johansen) at one time.

    Parameters
    ----------
    stop, start : array of shape (n,)
    cause : array of shape (n,)
        Name of the event; whatever is none of `causes` is no event.
    causes : sequence of str
        Events that end the time at risk.
    of : str
        The cause whose incidence it is.
    at : float
    clusters : array of shape (n,)
    """
    request = _REQUEST.get()
    if request is None or not len(stop):
        return None

    def resample() -> FloatArray:
        labels, codes = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
        happened = np.isin(cause.astype(str), list(causes)) & (stop <= at)
        times, place = np.unique(stop[happened], return_inverse=True)
        shape = (len(labels), len(times))
        own, every = np.zeros(shape), np.zeros(shape)
        np.add.at(every, (codes[happened], place), 1.0)
        np.add.at(own, (codes[happened], place), (cause[happened] == of).astype(np.float64))
        # At risk at a time: began before it, and still there when it comes.
        entered = np.searchsorted(times, start, side="right")
        left = np.searchsorted(times, stop, side="right")
        change = np.zeros((len(labels), len(times) + 1))
        np.add.at(change, (codes, entered), 1.0)
        np.add.at(change, (codes, np.maximum(left, entered)), -1.0)
        at_risk = np.cumsum(change, axis=1)[:, :-1]
        counts = request.counts(labels.tolist())
        risk = counts @ at_risk
        present = risk > 0
        hazard = np.divide(counts @ every, risk, out=np.zeros_like(risk), where=present)
        share = np.divide(counts @ own, risk, out=np.zeros_like(risk), where=present)
        survival = np.cumprod(1.0 - hazard, axis=1)
        before = np.column_stack([np.ones(len(risk)), survival[:, :-1]]) if times.size else survival
        return np.asarray((before * share).sum(axis=1))

    return resample


def _used_labels(fit: Any) -> npt.NDArray[Any]:
    """Return the caseworker of each row of a fit."""
    column = fit.source.frame[CASEWORKER]
    if fit.source.positions is not None:
        column = column.iloc[fit.source.positions]
    labels: npt.NDArray[Any] = column.to_numpy(dtype=object).astype(str)
    return labels


def _coefficients(
    fit: Any, among: npt.NDArray[Any], request: Request
) -> tuple[FloatArray, FloatArray, npt.NDArray[Any]] | None:
    """Return resampled coefficients, the draws, and the labels they are of; None where a fit has no finite one."""
    from bipstudy.models.steps import score_steps

    used = _used_labels(fit)
    if fit.scores is None or len(fit.source.frame) != fit.source.given or not np.all(np.isfinite(fit.estimates)):
        return None
    labels = np.unique(np.concatenate([used, among]))
    counts = request.counts(labels.tolist())
    steps, _ = score_steps(fit, np.searchsorted(labels, used), counts, hessian="fixed")
    return fit.estimates + steps, counts, labels


def _risks(fit: Any, frame: pd.DataFrame, exposure: str | None, values: Any, request: Request) -> dict[str, Any]:
    """Return replicates of each risk, difference and ratio, by its term."""
    from bipstudy.models.standardised import exposure_settings, set_exposure

    rows = frame[CASEWORKER].to_numpy(dtype=object).astype(str)
    drawn = _coefficients(fit, rows, request)
    if drawn is None:
        return {"": None}
    coefficients, counts, labels = drawn
    weights = counts[:, np.searchsorted(labels, rows)]
    settings = exposure_settings(exposure, values)
    means = {
        name: _averaged(fit, fit.design.matrix(set_exposure(frame, setting)), coefficients, weights)
        for name, setting in settings.items()
    }
    first, *others = means
    found: dict[str, Any] = {f"risk[{name}]": value for name, value in means.items()}
    for name in others:
        found[f"difference[{name} - {first}]"] = means[name] - means[first]
        found[f"ratio[{name} / {first}]"] = means[name] / means[first]
    return found


def _averaged(fit: Any, matrix: FloatArray, coefficients: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mean prediction of each resample, some resamples at a time."""
    from bipstudy.models.links import hazard
    from bipstudy.models.separation import limit_eta

    directions = np.asarray(getattr(fit, "directions", ()), dtype=np.float64)
    # Whom separation gives a risk of 0 or 1 keeps it in every resample.
    settled = np.isinf(limit_eta(matrix, fit.estimates, directions)) if len(directions) else None
    limits = limit_eta(matrix, fit.estimates, directions)[settled] if settled is not None else None
    step = max(1, _AT_A_TIME // max(1, len(matrix)))
    link = getattr(fit, "link", None)
    parts = []
    for begin in range(0, len(coefficients), step):
        part = slice(begin, begin + step)
        linear = coefficients[part] @ matrix.T
        if settled is not None:
            linear[:, settled] = limits
        predicted = linear if link is None else hazard(linear, link)
        parts.append((weights[part] * predicted).sum(axis=1) / weights[part].sum(axis=1))
    return np.concatenate(parts)


def of_draws(estimator: Callable[[FloatArray], FloatArray], labels: Sequence[str]) -> Resample | None:
    """Return what resamples an estimate that is a function of how often each caseworker is drawn.

    Parameters
    ----------
    estimator : callable
        Takes draws, shape (replications, caseworkers), in the order of `labels`.
    labels : sequence of str
        Caseworkers, sorted.
    """
    request = _REQUEST.get()
    return None if request is None else lambda: estimator(request.counts(list(labels)))


def of_influence(estimate: float, influence: FloatArray, labels: Sequence[str]) -> Resample | None:
    """Return what resamples an estimate by what each caseworker adds to it: one Newton step."""
    return of_draws(lambda draws: estimate + (draws - 1.0) @ influence, labels)


def of_rows(estimate: float, influence: FloatArray, clusters: npt.NDArray[Any]) -> Resample | None:
    """Return what resamples an estimate by what each row adds to it, added up within caseworkers.

    Parameters
    ----------
    estimate : float
    influence : array of shape (n,)
        Sums to nothing.
    clusters : array of shape (n,)
    """
    if not wanted():
        return None
    labels, codes = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(codes, weights=influence, minlength=len(labels)).astype(np.float64)
    return of_influence(estimate, sums, labels.tolist())


def coefficients(fit: Any, among: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray] | None:
    """Return resampled coefficients of a fit and the weights of further rows; None where there are none.

    Parameters
    ----------
    fit : Fit
        With ``cluster_caseworker`` in its frame.
    among : array of shape (n,)
        Caseworkers of rows that are averaged over.

    Returns
    -------
    coefficients : array of shape (replications, k)
    weights : array of shape (replications, n)
    """
    request = _REQUEST.get()
    rows = np.asarray(among, dtype=object).astype(str)
    drawn = None if request is None else _coefficients(fit, rows, request)
    if drawn is None:
        return None
    coefficient, counts, labels = drawn
    return coefficient, counts[:, np.searchsorted(labels, rows)]


def influence_of(fit: Any, term: str) -> dict[str, float] | None:
    """Return what each caseworker adds to a coefficient, by label; None where the fit tells nothing of it."""
    if term not in getattr(fit, "terms", ()) or fit.scores is None or CASEWORKER not in fit.source.frame:
        return None
    labels, codes = np.unique(_used_labels(fit), return_inverse=True)
    sums = fit.scores.by_group(codes, len(labels)) @ fit.bread[fit.terms.index(term)]
    return dict(zip(labels.tolist(), sums.tolist(), strict=True))
