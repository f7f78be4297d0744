"""Arrays of each specification, from panels and episodes that many specifications share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses.activities import KINDS
from bipstudy.analyses.common import BOTTOM, CLUSTER, TOP, standardised, with_answers
from bipstudy.panel.days import days_of_months
from bipstudy.replication.curve_fits import Data, Known, estimable
from bipstudy.replication.multiverse_frames import Frame, Shared, numbers
from bipstudy.replication.specifications import ANSWERS, OPTIMISM, Specification

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

IMPUTATIONS = 5
_SEED = 20130101


@dataclass(frozen=True)
class _Sample:
    """Rows that are used together, as arrays that many specifications share.

    `nuisance` keeps the covariates of each adjustment once they are made, `known` what fits of them found.
    """

    rows: pd.DataFrame
    response: FloatArray
    weights: FloatArray
    caseworker: IntArray
    participant: IntArray | None
    start: FloatArray | None
    stop: FloatArray | None
    nuisance: dict[str, FloatArray] = field(default_factory=dict)
    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    near: Known = field(default_factory=dict)


def neighbours_first(given: Specification) -> tuple[object, ...]:
    """Return a key by which specifications stand beside those that they share most with."""
    order = (given.contrast in OPTIMISM, given.adjustment, given.contrast, given.absorbed)
    return given.question, given.missing, given.occasions, given.estimator == "cox", *order, given.estimator


def data_of(given: Specification, frame: Frame, shared: Shared) -> list[Data]:
    """Return the arrays of a specification; several where missing answers are imputed.

    Those of the last one are kept: an estimator often differs from the one before in nothing else.

    Parameters
    ----------
    given : Specification
    frame : Frame
    shared : Shared

    Returns
    -------
    list of Data
    """
    key = (*_rows_of(given), given.question, given.contrast, given.adjustment, given.absorbed)
    if key not in frame.latest:
        found = [_data(given, frame, sample) for sample in _samples(given, frame, shared)]
        frame.latest.clear()
        frame.latest[key] = found
    latest: list[Data] = frame.latest[key]
    return latest


def _data(given: Specification, frame: Frame, sample: _Sample) -> Data:
    """Return the arrays of a specification from those of its sample."""
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
    shares = whole and not kinds.shape[1]
    return Data(
        exposure=np.asarray(exposure[rows], dtype=np.float64),
        nuisance=covariates if shares else estimable(np.column_stack([kinds, covariates[rows]]), response),
        response=response,
        weights=sample.weights[rows],
        caseworker=sample.caseworker[rows],
        participant=None if sample.participant is None else sample.participant[rows],
        group=None if given.absorbed == "none" else group[rows],
        start=None if sample.start is None else sample.start[rows],
        stop=None if sample.stop is None else sample.stop[rows],
        binary=binary,
        kinds=kinds.shape[1],
        known=sample.known.setdefault((given.adjustment, given.absorbed), {}) if shares else {},
        near=sample.near if whole else {},
    )


def _rows_of(given: Specification) -> tuple[object, ...]:
    """Return what decides which rows a specification has."""
    return (
        given.question in ("continuity", "activities"),
        given.contrast in OPTIMISM,
        given.occasions,
        given.question == "belief" and given.contrast in ANSWERS,
        given.missing,
        given.missing == "complete" and given.adjustment == "background_all_answers",
        given.estimator == "cox",
    )


def _samples(given: Specification, frame: Frame, shared: Shared) -> list[_Sample]:
    """Return the sample of a specification, made once for all that share it; several where answers are imputed."""
    key = _rows_of(given)
    if key not in frame.samples:
        kept = frame.rows if given.question == "continuity" else _kept(given, frame)
        completed = _completed(frame, kept) if given.missing == "imputed" else [kept]
        frame.samples[key] = [_sample(given, rows, shared) for rows in completed]
    samples: list[_Sample] = frame.samples[key]
    return samples


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
        participant=None if given.occasions == "first" else numbers(rows["participant"]),
        start=start,
        stop=stop,
    )


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
