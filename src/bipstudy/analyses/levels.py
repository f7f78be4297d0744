"""The level of a respondent's answers, in standard deviations, all items turned so that more is readier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.common import standardised
from bipstudy.panel import answer_columns


def turned(frame: pd.DataFrame, column: str, item: str) -> npt.NDArray[np.float64] | None:
    """Return an answer in standard deviations of the frame, more being readier; None where it does not vary."""
    if column not in frame:
        return None
    z = standardised(frame[column].to_numpy(dtype=np.float64))
    if z is None:
        return None
    return z if schema.items()[item].direction == "higher_is_readier" else -z


def level(frame: pd.DataFrame, respondent: str = "participant") -> npt.NDArray[np.float64]:
    """Return the mean of a respondent's answers, each in standard deviations of the frame.

    Parameters
    ----------
    frame : DataFrame
        With the columns ``p_<item>`` and ``c_<item>``.
    respondent : {"participant", "caseworker"}

    Returns
    -------
    array of shape (n,)
        NaN where no item is answered.
    """
    scores = [
        z
        for column, who, item in answer_columns()
        if who == respondent and (z := turned(frame, column, item)) is not None
    ]
    return mean_of(scores, len(frame))


def mean_of(scores: list[npt.NDArray[np.float64]], rows: int) -> npt.NDArray[np.float64]:
    """Return the mean of what is not missing in each row, NaN where all is."""
    if not scores:
        return np.full(rows, np.nan)
    stacked = np.stack(scores)
    count = (~np.isnan(stacked)).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    mean: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(rows, np.nan), where=count > 0)
    return mean
