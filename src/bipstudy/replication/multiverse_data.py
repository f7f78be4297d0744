"""Arrays of each specification, from panels and episodes that many specifications share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses.activities import KINDS, kinds_of_intervals
from bipstudy.analyses.activity_kinds import with_kinds
from bipstudy.analyses.common import (
    BOTTOM,
    CATEGORIES,
    CLUSTER,
    TOP,
    ready,
    standardised,
    with_answers,
    with_background,
)
from bipstudy.analyses.continuity import period_indicators
from bipstudy.models.binary import fit_binary
from bipstudy.models.covariance import ModelError
from bipstudy.panel import answer_columns, build_episodes, build_panel, first_measurements
from bipstudy.panel.assembly import read_parts
from bipstudy.panel.days import days_of_months
from bipstudy.replication.curve_fits import Data, estimable
from bipstudy.replication.specifications import ANSWERS, OPTIMISM, WHOLE, Specification
from bipstudy.study import Study

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

IMPUTATIONS = 5
_SEED = 20130101
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
    """

    study: Study
    clusters: pd.Index
    first: pd.DataFrame


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
    """

    rows: pd.DataFrame
    background: list[str]
    own: list[str]
    others: list[str]
    samples: dict[tuple[object, ...], list[_Sample]] = field(default_factory=dict)


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
    risk = build_episodes(shared.study, outcome=outcome, step_months=1200, washout_days=washout)
    risk = risk[~risk["participant"].duplicated()].set_index("participant")[["start", "stop", "event"]]
    rows = rows.join(risk, on="participant", rsuffix="_at_risk")
    rows, background = with_background(rows)
    return Frame(rows.assign(unit=_units(rows)), background, own, others)


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
    rows = ready(build_episodes(shared.study, outcome=outcome, washout_days=washout)[list(_EPISODES)])
    rows = rows[rows["caseworker_gap_days"].notna()]
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
    return _numbers(labels)


@dataclass(frozen=True)
class _Sample:
    """Rows that are used together, as arrays that many specifications share.

    `nuisance` keeps the covariates of each adjustment once they are made.
    """

    rows: pd.DataFrame
    response: FloatArray
    weights: FloatArray
    caseworker: IntArray
    participant: IntArray | None
    start: FloatArray | None
    stop: FloatArray | None
    nuisance: dict[str, FloatArray]


def data_of(given: Specification, frame: Frame, shared: Shared) -> Iterator[Data]:
    """Return the arrays of a specification; several where missing answers are imputed.

    Parameters
    ----------
    given : Specification
    frame : Frame
    shared : Shared

    Yields
    ------
    Data
    """
    for sample in _samples(given, frame, shared):
        if given.question == "continuity":
            exposure, beside, binary = _changes(given, sample.rows)
        else:
            exposure, beside, binary = _exposure(given, sample.rows)
        group = _group(given, sample.rows)
        usable = ~np.isnan(exposure) & (group >= 0)
        covariates = _nuisance(given, frame, sample)
        whole = bool(usable.all())
        rows = slice(None) if whole else np.flatnonzero(usable)
        response = sample.response[rows]
        kinds = estimable(beside[rows], response)
        nuisance = covariates
        if kinds.shape[1] or not whole:
            nuisance = estimable(np.column_stack([kinds, covariates[rows]]), response)
        yield Data(
            exposure=np.asarray(exposure[rows], dtype=np.float64),
            nuisance=nuisance,
            response=response,
            weights=sample.weights[rows],
            caseworker=sample.caseworker[rows],
            participant=None if sample.participant is None else sample.participant[rows],
            group=None if given.absorbed == "none" else group[rows],
            start=None if sample.start is None else sample.start[rows],
            stop=None if sample.stop is None else sample.stop[rows],
            binary=binary,
            kinds=kinds.shape[1],
        )


def _samples(given: Specification, frame: Frame, shared: Shared) -> list[_Sample]:
    """Return the sample of a specification, made once for all that share it; several where answers are imputed."""
    all_answers = given.missing == "complete" and given.adjustment == "background_all_answers"
    answered = given.question == "belief" and given.contrast in ANSWERS
    key = (
        given.question in ("continuity", "activities"),
        given.contrast in OPTIMISM,
        given.occasions,
        answered,
        given.missing,
        all_answers,
        given.estimator == "cox",
    )
    if key not in frame.samples:
        kept = frame.rows if given.question == "continuity" else _kept(given, frame)
        completed = _completed(frame, kept) if given.missing == "imputed" else [kept]
        frame.samples[key] = [_sample(given, rows, shared) for rows in completed]
    return frame.samples[key]


def _sample(given: Specification, rows: pd.DataFrame, shared: Shared) -> _Sample:
    """Return rows as arrays."""
    cox, quarters = given.estimator == "cox", given.question == "continuity"
    start = stop = None
    if cox:
        end = np.inf if quarters else days_of_months(given.horizon_months)
        rows = rows[(np.minimum(rows["stop"], end) > rows["start"]).to_numpy()]
        start = rows["start"].to_numpy(dtype=np.float64)
        stop = np.minimum(rows["stop"].to_numpy(dtype=np.float64), end)
        event = (rows["event"].to_numpy(dtype=np.float64) > 0) & (rows["stop"].to_numpy(dtype=np.float64) <= end)
    else:
        event = rows["event" if quarters else "y"].to_numpy(dtype=np.float64) > 0
    even = cox or quarters
    # Optimism is that of the caseworker who answered.
    cluster = "answering_caseworker" if given.contrast in OPTIMISM else CLUSTER
    if given.contrast in OPTIMISM:
        known = rows[cluster].notna().to_numpy()
        rows, event = rows[known], event[known]
        start, stop = (None if each is None else each[known] for each in (start, stop))
    return _Sample(
        rows=rows,
        response=event.astype(np.float64),
        weights=np.ones(len(rows)) if even else rows["ipcw"].to_numpy(dtype=np.float64),
        caseworker=shared.clusters.get_indexer(rows[cluster].to_numpy(dtype=object)).astype(np.int64),
        participant=None if given.occasions == "first" else _numbers(rows["participant"]),
        start=start,
        stop=stop,
        nuisance={},
    )


def _numbers(labels: pd.Series) -> IntArray:
    """Return labels as codes from zero."""
    codes: IntArray = pd.factorize(labels, sort=True)[0].astype(np.int64)
    return codes


def _group(given: Specification, rows: pd.DataFrame) -> IntArray:
    """Return what is absorbed, -1 where it is not known."""
    if given.absorbed == "none":
        return np.zeros(len(rows), dtype=np.int64)
    column = "unit" if given.absorbed == "unit" else "cell"
    codes: IntArray = rows[column].fillna(-1).to_numpy(dtype=np.int64)
    return codes


def _kept(given: Specification, frame: Frame) -> pd.DataFrame:
    """Return the rows of a specification."""
    rows = frame.rows
    keep = np.ones(len(rows), dtype=bool)
    if given.occasions == "first":
        keep &= rows["first_measurement"].to_numpy(dtype=bool)
    if given.question == "belief" and given.contrast in ANSWERS:
        keep &= rows["belief"].notna().to_numpy() & rows[frame.own].notna().any(axis=1).to_numpy()
    if given.missing == "complete":
        wanted = [*frame.own, *(frame.others if given.adjustment == "background_all_answers" else [])]
        keep &= rows[wanted].notna().all(axis=1).to_numpy()
    if given.estimator == "cox":
        keep &= rows["stop"].notna().to_numpy()
    else:
        keep &= rows["y_known"].to_numpy(dtype=bool)
    return rows[keep]


def _exposure(given: Specification, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray, bool]:
    """Return the exposure, what is not compared beside it, and whether it is 0 or 1."""
    nothing = np.zeros((len(rows), 0))
    belief = rows["belief"].to_numpy(dtype=np.float64)
    missing = np.full(len(rows), np.nan)
    if given.contrast == "belief_top_vs_bottom":
        middle = ((belief > BOTTOM) & (belief < TOP)).astype(np.float64)
        return np.where(np.isnan(belief), np.nan, belief >= TOP), middle[:, None], True
    if given.contrast == "belief_optimistic_vs_pessimistic":
        return np.where(np.isnan(belief), np.nan, belief >= TOP), nothing, True
    if given.contrast == "optimism_above_vs_below_median":
        optimism = rows[design.EARLIER].to_numpy(dtype=np.float64)
        known = optimism[~np.isnan(optimism)]
        above = optimism > (np.median(known) if len(known) else np.nan)
        return np.where(np.isnan(optimism), np.nan, above), nothing, True
    if given.question == "activities":
        return _activity(given, rows)
    column = {"belief_per_sd": "belief", "optimism_per_sd": design.EARLIER}.get(given.contrast)
    if column is None:
        item = given.contrast.removeprefix("indicator_")
        column = f"p_{item}" if f"p_{item}" in rows and rows[f"p_{item}"].notna().any() else f"c_{item}"
    values = standardised(rows[column].to_numpy(dtype=np.float64))
    return (missing if values is None else values), nothing, False


def _activity(given: Specification, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray, bool]:
    """Return the interval's activity against none, other kinds beside it; kinds as the analysis has them."""
    asked = {"job_parallel_vs_none": "act_job_parallel", "job_alone_vs_none": "act_job"}[given.contrast]
    others = [f"act_{kind}" for kind in KINDS if f"act_{kind}" != asked]
    return rows[asked].to_numpy(dtype=np.float64), rows[others].fillna(0.0).to_numpy(dtype=np.float64), True


def _changes(given: Specification, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray, bool]:
    """Return changes of caseworker so far: any, or their number up to three."""
    changes = rows["changes_so_far"].to_numpy(dtype=np.float64)
    binary = given.contrast == "quarters_after_first_change"
    return (changes > 0).astype(np.float64) if binary else np.minimum(changes, 3.0), np.zeros((len(rows), 0)), binary


def _nuisance(given: Specification, frame: Frame, sample: _Sample) -> FloatArray:
    """Return the covariates of an adjustment that can be estimated, made once for a sample."""
    if given.adjustment not in sample.nuisance:
        columns = [np.zeros((len(sample.rows), 0)), *_covariates(given, frame, sample.rows)]
        sample.nuisance[given.adjustment] = estimable(np.column_stack(columns), sample.response)
    return sample.nuisance[given.adjustment]


def _covariates(given: Specification, frame: Frame, rows: pd.DataFrame) -> list[FloatArray]:
    """Return the covariates of an adjustment."""
    adjusted = given.adjustment != "raw"
    if given.question == "continuity":
        # A Cox model has time in itself.
        columns = [*([] if given.estimator == "cox" else frame.own), *(frame.background if adjusted else [])]
        return [rows[columns].to_numpy(dtype=np.float64)]
    found = [rows[frame.background].to_numpy(dtype=np.float64)] if adjusted else []
    if given.question == "activities":
        # Who has been in the programme for longer has had more time for an activity.
        found.insert(0, rows[["months_since_entry"]].to_numpy(dtype=np.float64))
    for wanted, columns, name in (
        (("background_answers", "background_all_answers"), frame.own, "own"),
        (("background_all_answers",), frame.others, "other"),
    ):
        if given.adjustment in wanted:
            answered, terms = with_answers(rows[columns], columns, name)
            found.append(answered[terms].to_numpy(dtype=np.float64))
    return found


def _completed(frame: Frame, rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows with missing answers imputed from each other, the belief and the outcome."""
    from bipstudy import models

    answers = [column for column in (*frame.own, *frame.others) if rows[column].notna().sum() > 1]
    used = rows[[*answers, "belief", "y"]].astype(float)
    varying = [column for column in used if used[column].max() > used[column].min()]
    done = models.impute(used[varying].reset_index(drop=True), imputations=IMPUTATIONS, iterations=5, seed=_SEED)
    return [rows.assign(**{name: each[name].to_numpy() for name in answers if name in each}) for each in done.frames]
