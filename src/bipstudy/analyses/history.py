"""What happened to each participant from entry to the transition or the end of follow-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bipstudy.panel.assembly import read_parts
from bipstudy.panel.checks import check_definition
from bipstudy.panel.coding import take
from bipstudy.panel.exposures import caseworker_exposures
from bipstudy.study import Study


@dataclass(frozen=True)
class History:
    """Changes and activities until the transition or the end of follow-up; arrays follow the table of participants.

    Attributes
    ----------
    with_change : array of shape (participants,)
        1 with at least one change of main caseworker, NaN where no assignments were sent.
    without_activity : array of shape (participants,)
        1 without a single day of activity, NaN where no activities were sent.
    first_caseworker : array of shape (participants,)
        ``organisation/local id`` of the first main caseworker, missing without one.
    days : array of shape (participants,)
        Days from entry to the transition or the end of follow-up.
    """

    with_change: npt.NDArray[np.float64]
    without_activity: npt.NDArray[np.float64]
    first_caseworker: npt.NDArray[Any]
    days: npt.NDArray[np.int64]


def history(study: Study, outcome: str = "primary") -> History:
    """Return what happened to each participant until the transition or the end of follow-up.

    These are descriptions over times of different length, not exposures: who stays longer changes more often.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}

    Returns
    -------
    History

    Raises
    ------
    BipstudyError
        No outcomes were sent.
    """
    parts = read_parts(study, check_definition(study, outcome), "entry")
    everyone = np.arange(parts.coded.count)
    until = np.maximum(np.minimum(parts.follow_up.transition, parts.follow_up.end), parts.entered)
    changes = caseworker_exposures(parts.periods, everyone, until, parts.entered)["changes_so_far"]
    active = parts.activities.any.days(everyone, parts.entered, until + 1)
    first = np.full(parts.coded.count, -1, dtype=np.int64)
    # Backwards, so that the first period of each participant is written last.
    first[parts.periods.person[::-1]] = parts.periods.caseworker[::-1]
    recorded = parts.periods.recorded & bool(len(study.assignments))
    return History(
        with_change=np.where(recorded, (changes > 0).astype(np.float64), np.nan),
        without_activity=np.where(parts.activities.recorded, (active == 0).astype(np.float64), np.nan),
        first_caseworker=np.asarray(take(parts.coded.caseworker_labels, first).astype(object)),
        days=(until - parts.entered).astype(np.int64),
    )
