"""What the incidence could be at least and at most when follow-up is lost for reasons unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.design import Weights
from bipstudy.models.incidence import cumulative_incidence

__all__ = ["incidence_bounds"]


def incidence_bounds(
    frame: pd.DataFrame,
    *,
    duration: str,
    cause: str,
    lost: str,
    times: npt.ArrayLike,
    start: str | None = None,
    group: str | None = None,
    weights: Weights = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Worst-case bounds of the cumulative incidence of each cause.

    Who is lost may have any future. The lower bound lets none of them ever have an event; the upper bound for a cause
    lets all of them have it the moment they are lost. Other ends of follow-up censor as usual. No assumption about
    who is lost is made; between the bounds the data cannot tell.

    Parameters
    ----------
    frame : DataFrame
    duration, cause, start, group, weights, cluster
        As for `bipstudy.models.cumulative_incidence`.
    lost : str
        True/false or 1/0: follow-up ended because contact was lost.
    times : number or sequence of numbers
    level : float, default 0.95

    Returns
    -------
    DataFrame
        ``time, group, cause, lower, upper, estimate, conf_low, conf_high, lost``: the bounds; the estimate if those
        lost were like those followed; the lower confidence limit of the lower bound and the upper of the upper; and
        how many were lost by then.

    Raises
    ------
    ModelError
        If a row is both lost and has an event.

    References
    ----------
    Manski, C. F. (2003). Partial Identification of Probability Distributions. Springer.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"days": [1, 2, 3, 4], "cause": [1, 0, 0, 0], "lost": [0, 1, 0, 0]})
    >>> bounds = incidence_bounds(frame, duration="days", cause="cause", lost="lost", times=3)
    >>> bounds[["lower", "estimate", "upper"]].values.tolist()
    [[0.25, 0.25, 0.5]]
    """
    absent = [name for name in (lost, cause, duration) if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(map(repr, absent))}")
    gone = frame[lost].to_numpy(dtype=np.float64)
    if not np.isin(gone, (0.0, 1.0)).all():
        raise ModelError(f"{lost!r} must be true/false or 1/0")
    mark = gone == 1.0
    options: dict[str, Any] = {
        "duration": duration, "cause": cause, "start": start, "group": group, "weights": weights, "cluster": cluster,
    }  # fmt: skip
    plain = cumulative_incidence(frame, **options)
    happened = _event_rows(frame, cause)
    if (mark & happened).any():
        raise ModelError(f"{int((mark & happened).sum())} rows are lost ({lost!r}) and have an event; only one can be")
    options["causes"] = plain.causes
    stay = frame.assign(**{duration: frame[duration].where(~mark, frame[duration].max())})
    table = plain.at(times, level)
    lower = cumulative_incidence(stay, **options).at(times, level)
    table["lower"], table["conf_low"] = lower["estimate"], lower["conf_low"]
    table["upper"] = table["conf_high"] = np.nan
    for label in plain.causes:
        have = frame.assign(**{cause: frame[cause].astype(object).where(~mark, label).infer_objects()})
        upper = cumulative_incidence(have, **options).at(times, level)
        mine = table["cause"] == label
        table.loc[mine, ["upper", "conf_high"]] = upper.loc[mine, ["estimate", "conf_high"]].to_numpy()
    table["lost"] = _lost_so_far(table, frame, mark, duration, group)
    return table[["time", "group", "cause", "lower", "upper", "estimate", "conf_low", "conf_high", "lost"]]


def _event_rows(frame: pd.DataFrame, cause: str) -> npt.NDArray[np.bool_]:
    """Which rows have an event of any cause."""
    from bipstudy.models.incidence import cause_codes

    return np.asarray(cause_codes(frame[cause], cause)[0] > 0)


def _lost_so_far(
    table: pd.DataFrame, frame: pd.DataFrame, mark: npt.NDArray[np.bool_], duration: str, group: str | None
) -> npt.NDArray[np.int64]:
    """How many of a group were lost by each time of the table."""
    counts = np.zeros(len(table), dtype=np.int64)
    for label in table["group"].unique():
        mine = mark if group is None else mark & (frame[group] == label).to_numpy()
        rows = (table["group"] == label).to_numpy()
        left = np.sort(frame.loc[mine, duration].to_numpy(dtype=np.float64))
        counts[rows] = np.searchsorted(left, table.loc[rows, "time"], side="right")
    return counts
