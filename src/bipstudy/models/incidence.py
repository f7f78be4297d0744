"""Kaplan-Meier and Aalen-Johansen curves with intervals, for delayed entry, weights and clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, encode_groups
from bipstudy.models.curves import ALL, Curves
from bipstudy.models.design import Weights
from bipstudy.models.risk_sets import Floats, Integers
from bipstudy.models.state_curves import state_curves

__all__ = ["Curves", "cumulative_incidence", "kaplan_meier"]

# What a text column may say for "no event".
_NO_EVENT = frozenset({"0", "", "censored", "none"})


def kaplan_meier(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    start: str | None = None,
    group: str | None = None,
    weights: Weights = None,
    cluster: str | None = None,
    errors: Literal["greenwood", "robust"] | None = None,
) -> Curves:
    r"""Kaplan-Meier estimate of the probability of no event so far.

    Standard errors are Greenwood's,
    :math:`\hat S(t)^2 \sum_{s \le t} dN(s) / (Y(s) (Y(s) - dN(s)))`, unless there are weights or clusters: then they
    are the infinitesimal jackknife, as in R's ``survfit`` with ``robust = TRUE``. Without weights, ties to clusters or
    delayed entry the two are the same.

    Parameters
    ----------
    frame : DataFrame
    duration : str
        Time of the event or of the end of follow-up (with `start`: the end of the interval).
    event : str
        True/false or 1/0.
    start : str, optional
        Delayed entry: the row is at risk in ``(start, duration]``.
    group : str, optional
        A curve for each value.
    weights : str or array, optional
        Rows of weight zero are dropped.
    cluster : str, optional
        Column of persons or other clusters whose rows belong together; give it if a person has several rows.
    errors : {"greenwood", "robust"}, optional

    Returns
    -------
    Curves
        With ``.at(times)``, ``.curve`` and ``.glance()``; `cause` is ``"survival"``.

    Raises
    ------
    ModelError
        If a column is absent, a time is not finite or an interval does not end after it starts.

    References
    ----------
    Kaplan, E. L. & Meier, P. (1958). Nonparametric estimation from incomplete observations. JASA 53, 457-481.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"days": [1, 2, 2, 4, 5], "event": [1, 1, 0, 1, 0]})
    >>> kaplan_meier(frame, duration="days", event="event").at([2, 4])[["estimate", "at_risk"]].round(3).values.tolist()
    [[0.6, 4.0], [0.3, 2.0]]
    """
    if errors not in (None, "greenwood", "robust"):
        raise ModelError(f"errors must be 'greenwood' or 'robust', got {errors!r}")
    if errors == "greenwood" and cluster is not None:
        raise ModelError("Greenwood's formula knows no clusters; use errors='robust'")
    rows = _Rows.read(frame, duration, event, start, group, weights, cluster)
    mark = rows.columns[event].to_numpy(dtype=np.float64)
    if not np.isin(mark, (0.0, 1.0)).all():
        raise ModelError(f"{event!r} must be true/false or 1/0")
    greenwood = errors == "greenwood" or (errors is None and cluster is None and weights is None)
    text = "Greenwood" if greenwood else rows.words(cluster)
    return rows.curves("survival", mark.astype(np.int64), ("event",), text, greenwood=greenwood)


def cumulative_incidence(
    frame: pd.DataFrame,
    *,
    duration: str,
    cause: str,
    start: str | None = None,
    group: str | None = None,
    weights: Weights = None,
    cluster: str | None = None,
    causes: Sequence[Any] | None = None,
) -> Curves:
    r"""Aalen-Johansen estimate of the probability of an event of each cause so far, with competing causes.

    Standard errors are the infinitesimal jackknife, as in R's ``survfit`` for several states: the sum, over rows (or
    clusters), of the square of weight times the derivative of the estimate by that weight. Without weights and delayed
    entry this is the estimator of Aalen with binomial increments (Greenwood's type). Ties are handled as they are;
    times are not jittered.

    Parameters
    ----------
    frame : DataFrame
    duration : str
        Time of the event or of the end of follow-up (with `start`: the end of the interval).
    cause : str
        0 where there was no event, other whole numbers or text for the causes. In a text column ``"0"``, ``""``,
        ``"censored"`` and ``"none"`` mean no event. Missing values are an error, because they might mean either.
    start : str, optional
        Delayed entry: the row is at risk in ``(start, duration]``.
    group : str, optional
        Curves for each value.
    weights : str or array, optional
        Rows of weight zero are dropped.
    cluster : str, optional
        Column of persons or other clusters whose rows belong together; give it if a person has several rows.
    causes : sequence, optional
        The causes there are, in the order wanted; by default those that occur, sorted. A cause without events gets a
        curve that stays at zero.

    Returns
    -------
    Curves
        With ``.at(times)``, ``.curve`` and ``.glance()``.

    Raises
    ------
    ModelError
        If a column is absent, a cause is missing, a time is not finite or an interval does not end after it starts.

    References
    ----------
    Aalen, O. O. & Johansen, S. (1978). An empirical transition matrix for non-homogeneous Markov chains based on
    censored observations. Scand. J. Statist. 5, 141-150.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"days": [1, 2, 2, 4, 5], "cause": ["work", "study", "0", "work", "0"]})
    >>> table = cumulative_incidence(frame, duration="days", cause="cause").at(4)
    >>> table[["cause", "estimate"]].round(3).values.tolist()
    [['study', 0.2], ['work', 0.5]]
    """
    rows = _Rows.read(frame, duration, cause, start, group, weights, cluster)
    codes, labels = cause_codes(rows.columns[cause], cause, causes)
    return rows.curves("incidence", codes, labels, rows.words(cluster), greenwood=False)


def cause_codes(column: pd.Series, name: str, causes: Sequence[Any] | None = None) -> tuple[Integers, tuple[Any, ...]]:
    """Codes 0 (no event), 1, ... and the labels of the causes in order."""
    values, inverse = np.unique(_plain_causes(column, name), return_inverse=True)
    found = [value for value in values.tolist() if value != 0 and str(value).lower() not in _NO_EVENT]
    labels = tuple(found) if causes is None else tuple(causes)
    unknown = [value for value in found if value not in labels]
    if unknown:
        raise ModelError(f"{name!r} holds {len(unknown)} causes that are not among {labels!r}")
    code_of = np.array([labels.index(value) + 1 if value in found else 0 for value in values.tolist()], dtype=np.int64)
    return code_of[inverse.ravel()], labels


def _plain_causes(column: pd.Series, name: str) -> npt.NDArray[Any]:
    """Causes as whole numbers or text."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
        return np.asarray(column.astype(object).astype(str).to_numpy(dtype=object).astype(str))
    values = column.to_numpy(dtype=np.float64)
    if not (values == np.rint(values)).all():
        raise ModelError(f"causes in {name!r} must be whole numbers or text, 0 for no event")
    return np.asarray(values.astype(np.int64))


@dataclass(frozen=True)
class _Rows:
    """The complete rows of the columns asked for."""

    columns: pd.DataFrame
    start: Floats | None
    stop: Floats
    weight: Floats
    group: Integers
    groups: tuple[Any, ...]
    cluster: Integers | None
    dropped: int

    @classmethod
    def read(
        cls,
        frame: pd.DataFrame,
        duration: str,
        outcome: str,
        start: str | None,
        group: str | None,
        weights: Weights,
        cluster: str | None,
    ) -> _Rows:
        """Take the columns, drop incomplete rows, and check times."""
        names = [name for name in (duration, outcome, start, group, cluster) if name is not None]
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise ModelError(f"the frame has no column {', '.join(repr(name) for name in absent)}")
        columns = frame[list(dict.fromkeys(names))].reset_index(drop=True)
        if columns[outcome].isna().any():
            count = int(columns[outcome].isna().sum())
            raise ModelError(f"{count} rows have no value in {outcome!r}; write 0 for no event, or drop the rows")
        weight = _weights(frame, weights)
        complete = columns.notna().all(axis=1).to_numpy() & (weight > 0)
        if not complete.any():
            raise ModelError("no row of the frame is complete in the columns that are used")
        columns, weight = columns[complete].reset_index(drop=True), weight[complete]
        stop = columns[duration].to_numpy(dtype=np.float64)
        begin = None if start is None else columns[start].to_numpy(dtype=np.float64)
        if not np.isfinite(stop).all():
            raise ModelError(f"times in {duration!r} must be finite")
        if begin is not None and (begin >= stop).any():
            count = int((begin >= stop).sum())
            raise ModelError(f"{count} rows end at or before their start ({start!r}, {duration!r})")
        codes, labels = np.zeros(len(stop), dtype=np.int64), (ALL,)
        if group is not None:
            grouped = columns.groupby(group, sort=True, observed=True)
            codes, labels = grouped.ngroup().to_numpy(dtype=np.int64), tuple(grouped.groups)
        bundle = None if cluster is None else encode_groups(columns[cluster], cluster)[0]
        return cls(columns, begin, stop, weight, codes, labels, bundle, int((~complete).sum()))

    def words(self, cluster: str | None) -> str:
        """Name the robust variance in words."""
        if self.cluster is None:
            return "infinitesimal jackknife, independent rows assumed"
        return f"infinitesimal jackknife, clustered by {cluster} ({int(self.cluster.max()) + 1})"

    def curves(
        self,
        kind: Literal["survival", "incidence"],
        cause: Integers,
        causes: tuple[Any, ...],
        text: str,
        *,
        greenwood: bool,
    ) -> Curves:
        """Estimate, and put the labels to the numbers."""
        estimates = state_curves(
            stop=self.stop,
            cause=cause,
            causes=len(causes),
            start=self.start,
            group=None if len(self.groups) == 1 else self.group,
            weight=self.weight,
        )
        notes = (f"{self.dropped} rows with missing values or weight zero were dropped",) if self.dropped else ()
        return Curves(
            kind=kind,
            groups=self.groups,
            causes=causes,
            estimates=estimates,
            start=self.start,
            stop=self.stop,
            group=self.group,
            cluster=self.cluster,
            errors=text,
            greenwood=greenwood,
            rows_dropped=self.dropped,
            notes=notes,
        )


def _weights(frame: pd.DataFrame, weights: Weights) -> Floats:
    """Weights as floats; missing ones count as incomplete rows."""
    if weights is None:
        return np.ones(len(frame))
    if isinstance(weights, str) and weights not in frame.columns:
        raise ModelError(f"the frame has no column {weights!r} of weights")
    values = frame[weights].to_numpy(dtype=np.float64, na_value=np.nan) if isinstance(weights, str) else weights
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(frame),):
        raise ModelError(f"weights must be one number per row of the frame ({len(frame)}), got {values.shape}")
    if np.any(values < 0) or np.isinf(values).any():
        raise ModelError("weights must be finite and not negative")
    return np.asarray(np.nan_to_num(values, nan=0.0))
