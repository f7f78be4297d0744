r"""Fine and Gray's model of the subdistribution hazard, without an expanded data set.

Who has a competing event at :math:`T_i` stays in later risk sets with weight :math:`\hat G(t-) / \hat G(T_i-)`, where
:math:`\hat G` is the Kaplan-Meier estimate of not being censored. The weight is a product of a number of the row and a
number of the time, so the sums over risk sets are one scan back over the rows still followed and one scan forward over
the competing events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, RowScores, SmallSample
from bipstudy.models.cox import interval_columns, left_out_notes
from bipstudy.models.design import Design, Weights, build_design
from bipstudy.models.estimates import Fit
from bipstudy.models.incidence import cause_codes
from bipstudy.models.partial_likelihood import (
    Evaluation,
    Maximum,
    Tail,
    dependent_columns,
    evaluate,
    inverse_information,
    maximise,
    scores,
)
from bipstudy.models.risk_sets import Booleans, Floats, Integers, RiskSets, risk_sets, slot_sums

__all__ = ["FineGrayFit", "FineGrayRows", "fine_gray", "fine_gray_rows"]

Ties = Literal["breslow", "efron"]
TiedCensoring = Literal["together", "events_first"]


@dataclass(frozen=True)
class FineGrayRows:
    """Risk sets of a subdistribution hazard, and the censoring they are weighted by.

    Attributes
    ----------
    sets : RiskSets
        Slots are the times of the events of interest.
    tail : Tail
        The competing events.
    time, at_risk, jump : (u,) float64
        Distinct censoring times, the weight at risk of censoring and the share of it that is censored.
    competing, censored : (n,) bool
    last_time : (n,) int64
        How many censoring times a row was at risk at.
    tied : {"together", "events_first"}
    """

    sets: RiskSets
    tail: Tail
    time: Floats
    at_risk: Floats
    jump: Floats
    competing: Booleans
    censored: Booleans
    last_time: Integers
    tied: TiedCensoring


def fine_gray_rows(
    *, stop: Floats, cause: Integers, of: int, weight: Floats, tied: TiedCensoring = "together"
) -> FineGrayRows:
    """Arrange rows for the two scans.

    Parameters
    ----------
    stop : (n,) float64
    cause : (n,) int64
        0 censored, `of` the event of interest, others compete.
    of : int
    weight : (n,) float64
    tied : {"together", "events_first"}
        Whether those with an event at a time are at risk of censoring at it.

    Returns
    -------
    FineGrayRows
    """
    censored, competing = cause == 0, (cause != 0) & (cause != of)
    sets = risk_sets(start=None, stop=stop, event=cause == of)
    time = np.unique(stop[censored])
    reach = np.searchsorted(time, stop, side="right")
    if tied == "events_first":
        # Their event comes first, so at a censoring time of the same value they are no longer there.
        hit = ~censored & (reach > 0)
        hit[hit] = time[reach[hit] - 1] == stop[hit]
        reach = reach - hit
    at_risk = np.cumsum(slot_sums(reach, weight, time.size + 1)[::-1])[::-1][1:]
    left = slot_sums(np.searchsorted(time, stop[censored]), weight[censored], time.size)
    jump = np.divide(left, at_risk, out=np.zeros_like(left), where=at_risk > 0)
    # free[j]: probability of not being censored at the first j censoring times.
    free = np.concatenate([[1.0], np.cumprod(1.0 - jump)])
    rows = np.flatnonzero(competing).astype(np.int64)
    tail = Tail(
        rows=rows,
        begin=sets.top[rows] + 1,
        inverse=1.0 / free[np.searchsorted(time, stop[rows], side="left")],
        factor=free[np.searchsorted(time, sets.time, side="left")],
    )
    return FineGrayRows(sets, tail, time, at_risk, jump, competing, censored, reach.astype(np.int64), tied)


def censoring_scores(*, x: Floats, stop: Floats, weight: Floats, rows: FineGrayRows, at: Evaluation) -> Floats:
    r"""Find what the estimation of the censoring distribution adds to the score of each row.

    :math:`\psi_i = \int q(u) \pi(u)^{-1} dM^c_i(u)`, with :math:`q(u)` the part of the score that a change of the
    weights from :math:`u` on would move (Fine and Gray 1999, section 3.2).

    Parameters
    ----------
    x : (n, k) float64
    stop, weight : (n,) float64
    rows : FineGrayRows
    at : Evaluation

    Returns
    -------
    (n, k) float64
    """
    tail, time = rows.tail, rows.time
    mean = at.terms[:, [2]] * at.s1 - at.terms[:, [3]] * at.s1_events
    columns = np.column_stack([at.terms[:, 0], mean]) * tail.factor[:, None]
    ahead = np.zeros((columns.shape[0] + 1, columns.shape[1]))
    ahead[:-1] = np.cumsum(columns[::-1], axis=0)[::-1]
    # Where an event and a censoring fall on one time, Fine and Gray's formula counts the event as later and a competing
    # event as not earlier; if events come first it is the other way round.
    side: Literal["left", "right"] = "left" if rows.tied == "together" else "right"
    later = ahead[np.searchsorted(rows.sets.time, time, side=side)]
    order = np.argsort(stop[tail.rows], kind="stable")
    lasting = (at.risk[tail.rows] * tail.inverse)[order]
    so_far = np.zeros((len(order) + 1, x.shape[1] + 1))
    np.cumsum(np.column_stack([lasting, lasting[:, None] * x[tail.rows[order]]]), axis=0, out=so_far[1:])
    gone = so_far[np.searchsorted(stop[tail.rows][order], time, side=side)]
    moved = gone[:, 1:] * later[:, :1] - gone[:, :1] * later[:, 1:]
    moved /= rows.at_risk[:, None]
    cumulated = np.zeros((time.size + 1, x.shape[1]))
    np.cumsum(moved * rows.jump[:, None], axis=0, out=cumulated[1:])
    out = -cumulated[rows.last_time]
    out[rows.censored] += moved[np.searchsorted(time, stop[rows.censored])]
    return np.asarray(weight[:, None] * out)


@dataclass(frozen=True, kw_only=True)
class FineGrayFit(Fit):
    """A fitted subdistribution hazard; estimates are log subdistribution hazard ratios.

    Attributes
    ----------
    x : (n, k) float64
        Covariates less `centre`.
    centre : (k,) float64
    scale : (k,) float64
        Standard deviations of the covariates.
    stop, weight : (n,) float64
    cause : (n,) int64
        0 censored, 1 of interest, 2 competing.
    rows : FineGrayRows
    maximum : Maximum
    of : Any
        The cause of interest.
    efron : bool
    """

    x: Floats
    centre: Floats
    scale: Floats
    stop: Floats
    weight: Floats
    cause: Integers
    rows: FineGrayRows
    maximum: Maximum
    of: Any
    efron: bool

    def subdistribution_hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Ratios with intervals, in the columns of `tidy`; standard errors stay on the log scale."""
        return self.tidy(level, exponentiate=True)

    def baseline_hazard(self) -> pd.DataFrame:
        """Subdistribution hazard at the mean of the covariates: ``time, hazard, cumulative_hazard``."""
        at = self.maximum.at
        hazard = at.terms[:, 0] * np.exp(-at.shift)
        columns = {"time": self.rows.sets.time, "hazard": hazard, "cumulative_hazard": np.cumsum(hazard)}
        return pd.DataFrame(columns)

    def incidence(self, frame: pd.DataFrame, times: npt.ArrayLike) -> Floats:
        """Cumulative incidence of the cause of interest for each row of `frame`, shape (rows, times).

        NaN after the last follow-up.
        """
        moments = np.atleast_1d(np.asarray(times, dtype=np.float64))
        base = self.baseline_hazard()
        total = np.append(0.0, base["cumulative_hazard"])[np.searchsorted(base["time"], moments, side="right")]
        ratio = np.exp((self.design.matrix(frame) - self.centre) @ self.estimates)
        value = -np.expm1(-ratio[:, None] * total)
        value[:, moments > self.stop.max()] = np.nan
        return np.asarray(value)

    def reweighted(self, weights: npt.ArrayLike) -> FineGrayFit:
        """Return the fit under case weights multiplied by others, such as the counts of a bootstrap draw.

        Estimates and baseline are those of a fit to the drawn rows; the errors stay those of the first fit.

        Parameters
        ----------
        weights : (n,) float64
            One for each row used, not negative.
        """
        weight = self.weight * np.asarray(weights, dtype=np.float64)
        if not (weight[self.cause == 1] > 0).any():
            raise ModelError("no event of the cause of interest was drawn")
        rows = fine_gray_rows(stop=self.stop, cause=self.cause, of=1, weight=weight, tied=self.rows.tied)
        found = maximise(
            x=self.x,
            weight=weight,
            sets=rows.sets,
            scale=self.scale,
            efron=self.efron,
            frequency=bool((self.weight == 1.0).all() and np.array_equal(weight, np.rint(weight))),
            tail=rows.tail,
            initial=self.estimates,
        )
        return replace(self, estimates=found.at.beta, weight=weight, rows=rows, maximum=found)

    def _naive_text(self) -> str:
        return "robust, independent rows assumed, with the estimated censoring (Fine and Gray 1999)"


def fine_gray(
    frame: pd.DataFrame,
    formula: str,
    *,
    duration: str,
    cause: str,
    of: Any = 1,
    weights: Weights = None,
    cluster: str | Sequence[str] | None = None,
    small_sample: SmallSample = "stata",
    ties: Ties = "breslow",
    tied_censoring: TiedCensoring = "together",
) -> FineGrayFit:
    r"""Fine and Gray's regression for the cumulative incidence of one cause.

    .. math:: F_1(t \mid x) = 1 - \exp\{-\Lambda_0(t) \exp(x'\beta)\}

    A ratio above one means that more reach the event of interest by any given time, counting what the competing events
    take away; it is not a ratio of rates among those still without an event, which `cox` by cause estimates.

    Parameters
    ----------
    frame : DataFrame
        One row per person, followed from time zero (no delayed entry).
    formula : str
        Right side, such as ``"age + C(unit)"``.
    duration : str
        Time of the event or of the end of follow-up.
    cause : str
        0 for no event, as for `cumulative_incidence`.
    of : int or str, default 1
        The cause of interest.
    weights : str or array, optional
        Case weights, in the censoring distribution too.
    cluster : str or list of up to two str, optional
        Without it the variance of Fine and Gray, which allows for the estimated censoring; with it that, summed within
        clusters.
    small_sample : {"stata", "none", "fixest", "sandwich"}
        Factor of clustered errors.
    ties : {"breslow", "efron"}
    tied_censoring : {"together", "events_first"}
        Whether those with an event at a time count as at risk of censoring at that time: ``"together"`` is what R's
        ``cmprsk::crr`` does, ``"events_first"`` what ``survival::finegray`` does. Without ties they are the same.

    Returns
    -------
    FineGrayFit
        With `tidy`, `glance`, `with_errors`, `baseline_hazard` and `incidence`.

    Raises
    ------
    ModelError
        If there is no event of the cause, or no information on any term.

    References
    ----------
    Fine, J. P. & Gray, R. J. (1999). A proportional hazards model for the subdistribution of a competing risk. JASA
    94, 496-509. Geskus, R. B. (2011). Cause-specific cumulative incidence estimation and the Fine and Gray model under
    both left truncation and right censoring. Biometrics 67, 39-49.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"days": [1, 2, 3, 4, 5, 6], "cause": [1, 2, 1, 0, 1, 2], "x": [1, 0, 0, 1, 1, 0]})
    >>> fine_gray(frame, "x", duration="days", cause="cause").tidy()["estimate"].round(3).tolist()
    [1.007]
    """
    if ties not in ("breslow", "efron") or tied_censoring not in ("together", "events_first"):
        raise ModelError("ties are 'breslow' or 'efron', tied_censoring 'together' or 'events_first'")
    if cause not in frame.columns:
        raise ModelError(f"the frame has no column {cause!r}")
    design = build_design(frame, formula, weights=weights, cluster=cluster, needs=[duration, cause], intercept=False)
    if not design.terms:
        raise ModelError("the formula needs at least one term")
    _, stop = interval_columns(design, None, duration)
    codes, labels = cause_codes(design.frame[cause], cause)
    if of not in labels:
        raise ModelError(f"no row has an event of the cause {of!r} ({cause!r})")
    weight = np.ones(len(stop)) if design.weights is None else design.weights
    kind = np.where(codes == 0, 0, np.where(codes == labels.index(of) + 1, 1, 2))
    rows = fine_gray_rows(stop=stop, cause=kind, of=1, weight=weight, tied=tied_censoring)
    fit = _fit(design, stop, weight, kind, rows, of, ties).with_errors(cluster, small_sample)
    assert isinstance(fit, FineGrayFit)
    return fit


def _fit(
    design: Design, stop: Floats, weight: Floats, cause: Integers, rows: FineGrayRows, of: Any, ties: Ties
) -> FineGrayFit:
    """Estimate, with the variance for independent rows."""
    centre = np.average(design.matrix, axis=0, weights=weight)
    x = design.matrix - centre
    scale = np.sqrt(np.average(x**2, axis=0, weights=weight))
    options: dict[str, Any] = {"weight": weight, "sets": rows.sets, "efron": ties == "efron", "tail": rows.tail}
    start: Evaluation | None = evaluate(x=x, beta=np.zeros(x.shape[1]), **options)
    assert start is not None
    found = dependent_columns(start.information, float(weight[rows.sets.event_rows].sum()), scale)
    spec, notes = design.spec, left_out_notes(found, design.terms)
    if found:
        kept = [j for j in range(x.shape[1]) if j not in {j for j, _ in found}]
        if not kept:
            raise ModelError("no term carries information: " + "; ".join(notes))
        x, spec, start = np.ascontiguousarray(x[:, kept]), spec.keeping(kept), None
        centre, scale = centre[kept], scale[kept]
    maximum = maximise(x=x, scale=scale, start=start, **options)
    inverse = inverse_information(maximum)
    score = scores(x=x, weight=weight, sets=rows.sets, at=maximum.at, tail=rows.tail)
    score += censoring_scores(x=x, stop=stop, weight=weight, rows=rows, at=maximum.at)
    covariance = inverse @ (score.T @ score) @ inverse
    unbounded = {spec.terms[j]: float(np.sign(maximum.at.beta[j])) for j in np.flatnonzero(maximum.monotone)}
    if unbounded:
        notes.append(f"monotone likelihood: {', '.join(unbounded)} has no finite estimate")
    return FineGrayFit(
        terms=spec.terms,
        estimates=maximum.at.beta,
        covariance=covariance,
        notes=tuple(notes),
        model=f"Fine-Gray regression for {of}, {ties.capitalize()} ties",
        family="ml",
        naive=covariance,
        bread=inverse,
        scores=RowScores(score),
        source=design.source,
        parameters=len(spec.terms),
        log_likelihood=maximum.at.log_likelihood,
        events=len(rows.sets.event_rows),
        statistics={
            "competing_events": int(rows.competing.sum()),
            "log_likelihood_null": maximum.start.log_likelihood,
            "iterations": maximum.iterations,
        },
        unbounded=unbounded,
        design=spec,
        x=x,
        centre=centre,
        scale=scale,
        stop=stop,
        weight=weight,
        cause=cause,
        rows=rows,
        maximum=maximum,
        of=of,
        efron=ties == "efron",
    )
