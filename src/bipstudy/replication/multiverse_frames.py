"""Panels and episodes that many specifications share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses.activities import KINDS, kinds_of_intervals
from bipstudy.analyses.activity_kinds import with_kinds
from bipstudy.analyses.common import CATEGORIES, ready, with_background
from bipstudy.analyses.continuity import period_indicators
from bipstudy.models.binary import fit_binary
from bipstudy.models.covariance import ModelError
from bipstudy.panel import answer_columns, build_episodes, build_panel, first_measurements
from bipstudy.panel.assembly import read_parts
from bipstudy.panel.days import days_of_months
from bipstudy.replication.curve_fits import estimable
from bipstudy.replication.specifications import WHOLE
from bipstudy.study import Study

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Columns of the episodes that are used: answers are left behind.
_EPISODES = (
    "participant", "caseworker", "organisation_id", "unit_id", "quarter", "months_since_entry", "changes_so_far",
    "caseworker_gap_days", "start", "stop", "event", "cause", "period", "months_since_work", "work_or_study_share_5y",
    *(name for name in CATEGORIES if name != "organisation_id"),
)  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """What every specification of a study uses.

    Attributes
    ----------
    study : Study
    clusters : Index
        Labels of all caseworkers, and of participants without one, in the order of their codes.
    first : DataFrame
        First measurements with optimism and cell, by participant.
    kept : dict
        Episodes that the horizons of one outcome share, once they are made.
    """

    study: Study
    clusters: pd.Index
    first: pd.DataFrame
    kept: dict[tuple[object, ...], pd.DataFrame] = field(default_factory=dict)


def share(study: Study) -> Shared:
    """Return what every specification of a study uses.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Shared
    """
    people, workers = study.participants, study.caseworkers
    own = "none/" + people["organisation_id"].astype(object) + "/" + people["participant_id"].astype(object)
    forms, assigned = study.measurements, study.assignments
    known = [
        (table["organisation_id"].astype(object) + "/" + table["caseworker_id"].astype(object)).dropna()
        for table in (workers, forms, assigned)
    ]
    labels = pd.Index(sorted({*own, *(label for column in known for label in column)}), dtype=object)
    first = design.with_optimism(first_measurements(study, "primary"))
    names = ["participant", "cell", design.EARLIER]
    return Shared(study, labels, first[names].set_index("participant"))


@dataclass(frozen=True)
class Frame:
    """Rows that specifications of one outcome, horizon and wash-out share, with columns as the models take them.

    Attributes
    ----------
    rows : DataFrame
    background, own, others : list of str
        Columns: background; the participant's answers; the caseworker's other answers. Of episodes: the score of the
        background; what time is adjusted for.
    samples : dict
        Rows as arrays, once they are made.
    latest : dict
        What the models were given last.
    """

    rows: pd.DataFrame
    background: list[str]
    own: list[str]
    others: list[str]
    samples: dict[tuple[object, ...], Any] = field(default_factory=dict)
    latest: dict[tuple[object, ...], Any] = field(default_factory=dict)


def from_panel(shared: Shared, outcome: str, horizon: int, washout: int) -> Frame:
    """Return the panel of an outcome, horizon and wash-out, with the time at risk of each participant beside it.

    Parameters
    ----------
    shared : Shared
    outcome : str
    horizon, washout : int

    Returns
    -------
    Frame
    """
    rows = ready(build_panel(shared.study, outcome=outcome, horizon_months=horizon, washout_days=washout))
    rows = rows.join(_kinds(rows[rows["activity"].notna()], shared.study, outcome))
    asked = [(column, who) for column, who, _ in answer_columns() if column in rows]
    own = [column for column, who in asked if who == "participant"]
    others = [column for column, who in asked if who == "caseworker" and column != "c_caseworker_belief"]
    rows = rows.drop(columns=["optimism"]).join(shared.first, on="participant")
    rows = rows.join(_at_risk(shared, outcome, washout), on="participant", rsuffix="_at_risk")
    rows, background = with_background(rows)
    return Frame(rows.assign(unit=_units(rows)), background, own, others)


def _at_risk(shared: Shared, outcome: str, washout: int) -> pd.DataFrame:
    """Return the time at risk of each participant, made once for all horizons."""
    key = ("risk", outcome, washout)
    if key not in shared.kept:
        risk = build_episodes(shared.study, outcome=outcome, step_months=1200, washout_days=washout)
        shared.kept[key] = risk[~risk["participant"].duplicated()].set_index("participant")[["start", "stop", "event"]]
    return shared.kept[key]


def _kinds(rows: pd.DataFrame, study: Study, outcome: str) -> pd.DataFrame:
    """Return the kind of each interval whose activities are known."""
    parts = read_parts(study, schema.transition(outcome), "first_measurement")
    return kinds_of_intervals(with_kinds(rows, study, parts))[[f"act_{kind}" for kind in KINDS]]


def from_episodes(shared: Shared, outcome: str, horizon: int, washout: int) -> Frame:
    """Return the quarters at risk of an outcome and wash-out up to a horizon, with the background as one score.

    Parameters
    ----------
    shared : Shared
    outcome : str
    horizon : int
        Months, 0 for all.
    washout : int

    Returns
    -------
    Frame
    """
    rows = _quarters(shared, outcome, washout)
    if horizon != WHOLE:
        end = days_of_months(horizon)
        rows = rows[rows["start"] < end]
        late = rows["stop"] > end
        rows = rows.assign(stop=rows["stop"].clip(upper=end), event=rows["event"].where(~late, 0))
    rows = rows.reset_index(drop=True)
    rows, background = with_background(rows.assign(event=rows["event"].astype(float)))
    periods = period_indicators(rows, "event")
    rows = pd.concat([rows, periods], axis=1).assign(unit=_units(rows))
    time = [*periods.columns, "months_since_entry"]
    return Frame(rows.assign(score=_score(rows, time, background)), ["score"], time, [])


def _quarters(shared: Shared, outcome: str, washout: int) -> pd.DataFrame:
    """Return the quarters at risk whose caseworkers are known, made once for all horizons."""
    key = ("quarters", outcome, washout)
    if key not in shared.kept:
        rows = ready(build_episodes(shared.study, outcome=outcome, washout_days=washout)[list(_EPISODES)])
        shared.kept[key] = rows[rows["caseworker_gap_days"].notna()]
    return shared.kept[key]


def _score(rows: pd.DataFrame, time: Sequence[str], background: Sequence[str]) -> FloatArray:
    """Return the background's part of the linear predictor of a hazard without the exposure."""
    response = rows["event"].to_numpy(dtype=np.float64)
    before = np.column_stack([np.ones(len(rows)), rows[list(time)].to_numpy(dtype=np.float64)])
    own = estimable(rows[list(background)].to_numpy(dtype=np.float64), response)
    try:
        found = fit_binary(matrix=np.ascontiguousarray(np.column_stack([before, own])), response=response)
    except ModelError:
        return np.zeros(len(rows))
    return np.asarray(own @ found.beta[before.shape[1] :])


def _units(rows: pd.DataFrame) -> IntArray:
    """Return codes of units; who has none stands with the organisation's others without."""
    labels = rows["organisation_id"].astype(object) + "/" + rows["unit_id"].astype(object).fillna("")
    return numbers(labels)


def numbers(labels: pd.Series) -> IntArray:
    """Return labels as codes from zero."""
    codes: IntArray = pd.factorize(labels, sort=True)[0].astype(np.int64)
    return codes
