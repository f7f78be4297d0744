"""The five insights of the Swedish material on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.common import (
    BOTTOM,
    CLUSTER,
    TOP,
    WORK,
    FlowBook,
    formula,
    outcome_name,
    ready,
    single_threaded,
    weight_column,
    whole_months,
    with_answers,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy
from bipstudy.analyses.insights_risks import COLUMNS, INSIGHTS, QUARTER, standardised_risks
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import answer_columns, build_episodes
from bipstudy.panel.assembly import read_parts
from bipstudy.panel.checks import check_definition
from bipstudy.panel.days import DAYS_PER_MONTH, key, latest
from bipstudy.panel.exposures import read_activities
from bipstudy.panel.occasions import BELIEF, PREFIX
from bipstudy.study import Study

NAME = "insights"
CLUSTERS = [CLUSTER, "participant"]
STEP_MONTHS = 3
WASHOUT_DAYS = 30
ENOUGH_EVENTS = 5
FOCUSES = ("job", "study")
Floats = npt.NDArray[np.float64]


@single_threaded
def insights(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer how much each of the five insights goes with reaching work or study, and which weighs most.

    The insights: a job or study focus throughout (share of the days so far with an activity of that focus), no gaps
    (share of the days of the quarter before with an activity), parallel activities (two or more for at least 14 days of
    the quarter before), the same caseworker (no change of main caseworker so far) and the caseworker's belief (latest
    answer given, also where a later form is without it). Estimand: ratio of the standardised risks of a transition
    within the horizon with each insight fully present against absent (belief: the two highest against the two lowest
    answers), the others as they were; adjusted for quarter, background and the participant's answers at the latest
    occasion. Population: quarters of everybody followed from the wash-out after the first measurement in which all five
    are known. Danish finding: belief is called by far the most important; no size is published, so that there is no
    benchmark. Models: one joint discrete hazard (complementary log-log) with exposures as of the wash-out before each
    quarter, errors clustered by caseworker and participant; standardised; general dominance for the shares of the fit.
    Cannot show: what would happen if an insight were followed: who gets activities, keeps a caseworker or is believed
    in is no accident.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float
        Rounded to whole quarters.
    washout_days : int

    Returns
    -------
    Result
        Table ``insights``; figures ``ratios`` and ``shares``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.insights(bip.load_example()).primary()["contrast"].tolist()
    ['insight_focus', 'insight_no_gaps', 'insight_parallel', 'insight_same_caseworker', 'insight_belief']
    """
    episodes = build_episodes(study, outcome=outcome, step_months=STEP_MONTHS, washout_days=washout_days)
    so_far = _so_far(study, outcome, episodes, washout_days)
    book = FlowBook(NAME, episodes.attrs["flow"], _with_insights(ready(episodes), so_far, washout_days))
    book.keep("changes_unknown", episodes["caseworker_gap_days"].notna())
    book.keep_missing("activity_before_unknown", "ins_no_gaps")
    sample = book.keep_missing("no_belief_yet", "ins_belief_top")
    frame, adjustment = _prepared(sample)
    quarters = max(1, round(horizon_months / STEP_MONTHS))
    months, named = whole_months(horizon_months), outcome_name(outcome)
    work = "work" if outcome == "primary" else f"{named}:work"
    rows: list[tuple[Label, Number]] = []
    fits = {}
    for response, called, role in (("event", named, "primary"), ("event_work", work, "secondary")):
        fits[response] = _fit(frame, response, adjustment, quarters)
        rows += _contrasts(fits[response], frame, quarters, (called, months, role))
    weights, kept = _dominance(fits["event"], named, len(frame))
    rows += weights
    found = estimates(rows)
    return Result(
        name=NAME,
        estimates=found,
        tables={"insights": _table(frame, found, named)},
        figures=_figures(found, named),
        flow=book.finish("episodes"),
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.insights.note_association"),
            Sentence("analyses.insights.note_together"),
            Sentence("analyses.insights.note_shares"),
            Sentence("analyses.insights.note_danish"),
            *kept,
            Sentence("analyses.note_missing_answers"),
        ),
    )


def primaries(study: Study, episodes: pd.DataFrame | None = None) -> list[tuple[Label, Number]]:
    """Return the primary estimates and nothing else, for whoever needs them of many studies.

    Parameters
    ----------
    study : Study
    episodes : DataFrame, optional
        The study's episodes, if there are some already.

    Returns
    -------
    list of (Label, Number)
    """
    episodes = build_episodes(study) if episodes is None else episodes
    frame, adjustment = primary_sample(study, episodes)
    quarters = 12 // STEP_MONTHS
    fit = _fit(frame, "event", adjustment, quarters)
    rows = _contrasts(fit, frame, quarters, (outcome_name("primary"), 12, "primary"))
    return [(label, number) for label, number in rows if label.role == "primary"]


def primary_sample(study: Study, episodes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the primary estimands with the five insights, and what is adjusted for."""
    so_far = _so_far(study, "primary", episodes, WASHOUT_DAYS)
    whole = _with_insights(ready(episodes), so_far, WASHOUT_DAYS)
    kept = episodes["caseworker_gap_days"].notna() & whole[["ins_no_gaps", "ins_belief_top"]].notna().all(axis=1)
    return _prepared(whole[kept].reset_index(drop=True))


def _so_far(study: Study, outcome: str, episodes: pd.DataFrame, washout: int) -> tuple[Floats, Floats]:
    """Return what is known up to the wash-out before each row: the share of focused days, and the belief last given."""
    parts = read_parts(study, check_definition(study, outcome), "first_measurement")
    table = study.activities
    focused = (table["focus"].isin(FOCUSES) | table["second_focus"].isin(FOCUSES)).to_numpy(dtype=bool)
    coded = replace(parts.coded, person={**parts.coded.person, "activities": parts.coded.person["activities"][focused]})
    cover = read_activities(replace(study, tables={**study.tables, "activities": table[focused]}), coded).any
    person = pd.Index(parts.coded.labels).get_indexer(episodes["participant"].array)
    entered = parts.entered[person]
    day = parts.origin[person] + episodes["start"].to_numpy(dtype=np.int64) - washout
    days = cover.days(person, entered, np.maximum(day, entered))
    length = (day - entered).astype(np.float64)
    known = (length > 0) & parts.activities.recorded[person]
    share: Floats = np.divide(days, length, out=np.full(len(days), np.nan), where=known)
    # An answer that the caseworker did not renew still stands.
    occasions = parts.occasions
    belief = occasions.scores.get(PREFIX["caseworker"] + BELIEF, np.full(len(occasions.person), np.nan))
    given = ~np.isnan(belief)
    last = latest(key(occasions.person[given], occasions.answered[given]), person, day)
    return share, np.append(belief[given], np.nan)[last]


def _with_insights(frame: pd.DataFrame, so_far: tuple[Floats, Floats], washout: int) -> pd.DataFrame:
    """Add the five insights, 0 absent to 1 fully present, NaN where unknown."""
    since_entry = frame["months_since_entry"] * DAYS_PER_MONTH - washout
    length = np.minimum(since_entry.round(), round(STEP_MONTHS * DAYS_PER_MONTH))
    focus, belief = so_far[0], pd.Series(so_far[1], index=frame.index)
    known = belief.notna()
    unknown = frame["activity"].isna() | np.isnan(focus)
    return frame.assign(
        event=frame["event"].astype(float),
        event_work=(frame["cause"] == WORK).astype(float),
        ins_focus=np.where(unknown, np.nan, focus),
        ins_no_gaps=np.where(unknown, np.nan, 1.0 - frame["gap_days"] / length.where(length > 0)),
        ins_parallel=(frame["activity"] == "parallel").astype(float),
        ins_same_caseworker=(frame["changes_so_far"] == 0).astype(float),
        ins_belief_top=(belief >= TOP).astype(float).where(known),
        ins_belief_middle=((belief > BOTTOM) & (belief < TOP)).astype(float).where(known),
    )


def _prepared(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add background and the participant's answers, and return what is adjusted for."""
    frame, background = with_background(frame)
    own = [column for column, respondent, _ in answer_columns() if respondent == "participant" and column in frame]
    frame, answers = with_answers(frame, own, "own")
    return frame, [*background, *answers]


def _fit(frame: pd.DataFrame, response: str, adjustment: Sequence[str], quarters: int) -> Any:
    """Return the joint hazard, None where it cannot be estimated; late quarters with few events stand together."""
    from bipstudy import models

    period = frame["period"].to_numpy(dtype=np.int64)
    events = np.bincount(period, weights=frame[response].to_numpy(dtype=np.float64)) if len(frame) else np.zeros(1)
    late = np.cumsum(events[::-1])[::-1]
    last = max(int(np.flatnonzero(late >= ENOUGH_EVENTS).max(initial=1)), quarters)
    varying = [column for column in COLUMNS if len(frame) and np.ptp(frame[column].to_numpy(dtype=np.float64)) > 0]
    grouped = np.minimum(period, last)
    quarter = {f"{QUARTER}{number}": (grouped == number).astype(float) for number in range(2, last + 1)}
    weights = weight_column(frame)
    used = frame[[response, *COLUMNS, *adjustment, *CLUSTERS, *weights]]
    used = pd.concat([used, pd.DataFrame(quarter, index=frame.index)], axis=1)
    written, weight = formula(response, varying, adjustment, quarter), weights[0] if weights else None
    return attempt(
        lambda: models.discrete_hazard(used, written, weights=weight, cluster=CLUSTERS, person="participant")
    )


def _contrasts(
    fit: Any, frame: pd.DataFrame, quarters: int, named: tuple[str, int | None, str]
) -> list[tuple[Label, Number]]:
    """Return ratio and difference of each insight, and of all five together."""
    outcome, months, role = named
    risks = None if fit is None else standardised_risks(fit, frame, quarters)
    counts: dict[str, Any] = {"n": len(frame)}
    if fit is not None:
        counts = {name: vars(from_tidy(fit.tidy(), fit.terms[0], fit))[name] for name in ("n", "events", "clusters")}
    rows = []
    for scale, own_role in (("risk_ratio", role), ("risk_difference", "secondary")):
        for name in (*INSIGHTS, "all"):
            main = own_role if name != "all" else "secondary"
            label = Label(NAME, f"insight_{name}", scale, outcome, name, months, "background_answers", main)
            made = risks is not None and (name == "all" or INSIGHTS[name][0] in fit.terms)
            number = Number(**counts)
            if made and risks is not None:
                number = risks.contrast(f"{name}_present", f"{name}_absent", scale, counts)
            rows.append((label, number))
    return rows


def _dominance(fit: Any, outcome: str, count: int) -> tuple[list[tuple[Label, Number]], list[Sentence]]:
    """Return the shares of the fit, and the first less the second; and a remark where the shares say little."""
    from bipstudy import models

    found = None if fit is None else attempt(lambda: models.dominance(fit, INSIGHTS))
    if found is None:
        nothing = Number(n=count)
        rows = [
            (Label(NAME, f"insight_{name}", "share", "fit", name, None, "background_answers"), nothing)
            for name in INSIGHTS
        ]
        label = Label(NAME, "insight_first_less_second", "other", "fit", "", None, "background_answers")
        return [*rows, (label, nothing)], []
    counts = {"n": int(fit.source.used), "events": fit.events, "clusters": None}
    rows = [
        (
            Label(NAME, f"insight_{row.term}", "share", "fit", row.term, None, "background_answers"),
            Number(row.estimate, np.nan, row.conf_low, row.conf_high, np.nan, **counts),
        )
        for row in found.tidy().itertuples()
    ]
    order = sorted(INSIGHTS, key=lambda name: -found.share[found.names.index(name)])
    first, second = order[:2]
    estimate, low, high = found.difference(first, second)
    label = Label(NAME, "insight_first_less_second", "other", "fit", f"{first}:{second}", None, "background_answers")
    rows.append((label, Number(estimate, np.nan, low, high, np.nan, **counts)))
    joint = float(fit.wald_test([column for column in COLUMNS if column in fit.terms])["p_value"].iloc[0])
    return rows, [Sentence("analyses.insights.note_nothing")] if not joint < 0.05 else []


def _table(frame: pd.DataFrame, found: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Return each insight with how present it is, its contrasts and its share of the fit."""
    rows = []
    for name, columns in INSIGHTS.items():
        cells: dict[str, Any] = {
            "insight_key": f"analyses.contrast.insight_{name}",
            "present": float(frame[columns[0]].mean()) if len(frame) else np.nan,
        }
        for prefix, scale, called in (
            ("ratio", "risk_ratio", outcome),
            ("difference", "risk_difference", outcome),
            ("share", "share", "fit"),
        ):
            own = found[(found["term"] == name) & (found["scale"] == scale) & (found["outcome"] == called)].iloc[0]
            cells |= {prefix: own["estimate"], f"{prefix}_low": own["conf_low"], f"{prefix}_high": own["conf_high"]}
        rows.append(cells)
    return pd.DataFrame(rows)


def _figures(found: pd.DataFrame, outcome: str) -> dict[str, FigureSpec]:
    """Return the ratios of the insights, and their shares of the fit."""
    figures = {}
    for name, kind, scale, called, axis in (
        ("ratios", "forest", "risk_ratio", outcome, "analyses.axis.risk_ratio"),
        ("shares", "shares", "share", "fit", "analyses.axis.share_of_fit"),
    ):
        chosen = found[(found["scale"] == scale) & (found["outcome"] == called) & (found["term"] != "all")]
        chosen = chosen.dropna(subset=["estimate"])
        if len(chosen):
            frame = chosen[["estimate", "conf_low", "conf_high"]].copy()
            frame.insert(0, "label_key", "analyses.contrast." + chosen["contrast"])
            caption = f"analyses.insights.figure_{name}"
            figures[name] = FigureSpec(kind, frame.reset_index(drop=True), caption, {"axis_label_key": axis})
    return figures
