"""Activities, progression and the transition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import resampling
from bipstudy.analyses.activities_beside import beside, by_indicator, next_quarter, sensitivity, within_health
from bipstudy.analyses.activity_kinds import pair_names, with_kinds
from bipstudy.analyses.common import (
    CLUSTER,
    FlowBook,
    binary,
    formula,
    outcome_name,
    ready,
    single_threaded,
    standardise,
    standardised,
    weight_column,
    whole_months,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy, share
from bipstudy.analyses.history import history
from bipstudy.analyses.quarters import item_columns, scores
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import answer_columns, build_panel
from bipstudy.panel.assembly import read_parts
from bipstudy.panel.days import DAYS_PER_MONTH
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

NAME = "activities"
CLUSTERS = [CLUSTER, "participant"]
# Shorter intervals, as from entry to the first measurement, say little of what the participant took part in.
SHORTEST_DAYS = 28
HEALTH = "p_health_coping"
# What an interval held besides nothing; no activity is the reference.
KINDS = ("job", "job_parallel", "job_in_turn", "study", "other", "mixed")
OTHERS = {"skills", "health", "social"}
CONTRASTS = {
    "job": "job_alone_vs_none",
    "job_parallel": "job_parallel_vs_none",
    "job_in_turn": "job_in_turn_vs_none",
    "study": "study_alone_vs_none",
    "other": "other_alone_vs_none",
    "mixed": "mixed_vs_none",
}
PUBLISHED = {"job": "R11", "other": "R13"}
QUARTER_MONTHS = 3


@single_threaded
def activities(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer whether activities go with progression, and with reaching work or study.

    Estimands: (1) difference in progression in the next interval, in standard deviations per quarter, and (2) ratio of
    the standardised risks of a transition within the horizon, both a job-focused activity in parallel with another
    activity of another focus (both on the same days, at least 14 of them) against no activity in the interval that has
    ended; adjusted for background, time in the programme, the level of the participant's answers (the mean of those
    given, each in standard deviations over these occasions) and, as categories, of the health answer. Population:
    occasions at least four weeks after the one before (or entry), followed from the wash-out on; for (1) those with a
    next answer. Danish findings: R9 (share without any activity), R10 (progression without activity), R11 (job alone),
    R12 (job in parallel against alone), R13 (skills, social or health alone). Models: least squares; logit with
    censoring weights, standardised; errors clustered by caseworker and participant.

    Beside it, for progression and as hazard ratios of the transition in the quarter that follows the wash-out: each
    focus alone; each pair of focuses side by side (two activities, at least 14 days); several side by side against one
    after the other; days without activity; a job or study focus constantly or now and then. Each indicator by itself;
    progression among those with a low, middle and high health answer; E-values, the strength of unmeasured confounding
    that would explain a contrast away. Cannot show: what activities bring about: who gets one, and which, is selective;
    and progression is seen only among those who answer again. Without outcomes only progression is answered.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float
    washout_days : int

    Returns
    -------
    Result
        Tables ``by_activity``, ``focuses``, ``sensitivity``; figures ``progression``, ``transition``, ``focuses``.

    Raises
    ------
    BipstudyError
        There is no such definition of a transition.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.activities(bip.load_example()).primary()["scale"].tolist()
    ['sd', 'risk_ratio']
    """
    panel = build_panel(study, outcome=outcome, horizon_months=horizon_months, washout_days=washout_days)
    days = _interval_days(panel)
    book = FlowBook(
        NAME, panel.attrs["flow"], _with_next(ready(panel).assign(interval_days=days), study, outcome, washout_days)
    )
    book.keep_missing("activity_unknown", "activity")
    frame = book.keep_at_least("short_interval", "interval_days", SHORTEST_DAYS)
    frame, background = with_background(frame)
    frame, level = _with_level(frame)
    parts = read_parts(study, schema.transition(outcome), "first_measurement")
    frame = kinds_of_intervals(with_kinds(frame, study, parts))
    frame = frame.assign(**item_columns(frame, parts, scores(parts)))
    adjustment = [*background, "months_since_entry", *level]
    months, named = whole_months(horizon_months), outcome_name(outcome)
    moved = frame[frame["progression"].notna()].reset_index(drop=True)
    rows = _progression(moved, adjustment)
    rows += _transition(frame, adjustment, named, months)
    rows.append(_share_without(study, outcome))
    rows += next_quarter(frame, CONTRASTS, adjustment, NAME, named)
    rows += beside(frame, adjustment, NAME, named)
    rows += by_indicator(frame, CONTRASTS, adjustment, NAME)
    rows += within_health(moved, ("job", "job_parallel"), adjustment, NAME)
    found = estimates(rows)
    spread = float(moved["progression"].std()) if len(moved) > 1 else 0.0
    return Result(
        name=NAME,
        estimates=found,
        tables={
            "by_activity": _by_activity(frame, found),
            "focuses": _focuses(found),
            "sensitivity": sensitivity(found, CONTRASTS, spread),
        },
        figures=_figures(found),
        flow=pd.concat([book.finish("intervals"), *_further_flows(frame)], ignore_index=True),
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.activities.note_selection"),
            Sentence("analyses.activities.note_answer_again", {"share": len(moved) / max(len(frame), 1)}),
            Sentence("analyses.activities.note_next"),
            Sentence("analyses.activities.note_confounding"),
            Sentence("analyses.activities.note_pairs"),
        ),
    )


def primaries(study: Study, panel: pd.DataFrame | None = None) -> list[tuple[Label, Number]]:
    """Return the primary estimates and nothing else, for whoever needs them of many studies.

    Parameters
    ----------
    study : Study
    panel : DataFrame, optional
        The study's panel, if there is one already.

    Returns
    -------
    list of (Label, Number)
    """
    frame, adjustment = primary_sample(study, build_panel(study) if panel is None else panel)
    moved = frame[frame["progression"].notna()].reset_index(drop=True)
    rows = _progression(moved, adjustment) + _transition(frame, adjustment, outcome_name("primary"), 12)
    return [(label, number) for label, number in rows if label.role == "primary"]


def primary_sample(study: Study, panel: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the primary estimands with the kinds of interval, and what is adjusted for."""
    frame = ready(panel).assign(interval_days=_interval_days(panel))
    kept = frame["activity"].notna() & (frame["interval_days"] >= SHORTEST_DAYS)
    frame, background = with_background(frame[kept].reset_index(drop=True))
    frame, level = _with_level(frame)
    parts = read_parts(study, schema.transition("primary"), "first_measurement")
    frame = kinds_of_intervals(with_kinds(frame, study, parts))
    return frame, [*background, "months_since_entry", *level]


def _with_next(frame: pd.DataFrame, study: Study, outcome: str, washout_days: int) -> pd.DataFrame:
    """Add the transition in the quarter that follows the wash-out: whether it is known, and its censoring weight."""
    horizon = QUARTER_MONTHS + washout_days / DAYS_PER_MONTH
    # The rows of a panel do not depend on its horizon.
    near = build_panel(study, outcome=outcome, horizon_months=horizon, washout_days=washout_days)
    return frame.assign(
        y_next=near["y"].to_numpy(), known_next=near["y_known"].to_numpy(), weight_next=near["ipcw"].to_numpy()
    )


def _interval_days(panel: pd.DataFrame) -> pd.Series:
    """Return the days from the occasion before, or from entry, to each occasion."""
    # Occasions that have no row of their own still end an interval: what is covered or not adds up to its length.
    focus = [f"focus_{name}" for name in schema.code_list("focus").values]
    busy = panel[focus].max(axis=1)
    since_entry = (panel["answered_on"] - panel["entered_on"]).dt.days.astype(float)
    since_last = panel.groupby("participant", sort=False)["answered_on"].diff().dt.days.astype(float)
    length = since_last.where(since_last.notna(), since_entry)
    return length.where(busy.notna() & panel["gap_days"].notna())


def kinds_of_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Add an indicator for each kind of interval; that something ran side by side is not enough, the job must have."""
    focuses = {name: (frame[f"focus_{name}"] > 0).to_numpy() for name in schema.code_list("focus").values}
    count = np.sum(list(focuses.values()), axis=0)
    job, study = focuses["job"], focuses["study"]
    others = np.any([focuses[name] for name in sorted(OTHERS)], axis=0)
    parallel = frame[[name for name, *pair in pair_names() if "job" in pair]].max(axis=1).to_numpy(dtype=bool)
    kinds = {
        "job": job & (count == 1),
        "job_parallel": parallel,
        "job_in_turn": job & (count > 1) & ~parallel,
        "study": study & (count == 1),
        "other": others & (count == 1),
        "mixed": ~job & (count > 1),
    }
    either = np.clip(frame["focus_job"] + frame["focus_study"], 0.0, 1.0)
    added = {f"act_{name}": values.astype(float) for name, values in kinds.items()}
    return pd.concat(
        [frame, pd.DataFrame(added, index=frame.index).assign(job_or_study_share=either, act_none=count == 0)], axis=1
    )


def _with_level(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add the level of the participant's answers, and the health answer as categories."""
    items = schema.items()
    scores = []
    for column, respondent, item in answer_columns():
        z = standardised(frame[column].to_numpy(dtype=np.float64)) if respondent == "participant" else None
        if z is not None:
            scores.append(z if items[item].direction == "higher_is_readier" else -z)
    added: dict[str, Any] = {}
    if scores:
        stacked = np.stack(scores)
        answered = ~np.isnan(stacked)
        count = answered.sum(axis=0)
        added["level"] = np.where(answered, stacked, 0.0).sum(axis=0) / np.maximum(count, 1)
        added["level_missing"] = (count == 0).astype(float)
    health = frame[HEALTH].fillna(-1.0).to_numpy() if HEALTH in frame else np.zeros(len(frame))
    for number, value in enumerate(sorted(set(health))[1:], start=1):
        added[f"health_{number}"] = (health == value).astype(float)
    varying = {name: values for name, values in added.items() if len(values) and np.ptp(values) > 0}
    return pd.concat([frame, pd.DataFrame(varying, index=frame.index)], axis=1), [*varying]


def _progression(frame: pd.DataFrame, adjustment: list[str]) -> list[tuple[Label, Number]]:
    """Return the contrasts in progression."""
    from bipstudy import models

    exposures = [f"act_{name}" for name in KINDS]
    weights = weight_column(frame)
    used = frame[["progression", *exposures, "act_none", "job_or_study_share", *adjustment, *CLUSTERS, *weights]]
    words, weight = formula("progression", exposures, adjustment), weights[0] if weights else None
    fit = attempt(lambda: models.linear_probability(used, words, weights=weight, cluster=CLUSTERS))
    nothing = Number(n=len(frame))
    rows: list[tuple[Label, Number]] = []
    for name, contrast in CONTRASTS.items():
        role = "primary" if name == "job_parallel" else "secondary"
        label = _label(contrast, name, role, PUBLISHED.get(name, ""))
        rows.append((label, _term(fit, f"act_{name}", used, nothing)))
    rows.append(
        (_label("job_parallel_vs_job_alone", "job_parallel", "secondary", "R12"), _difference(fit, used, nothing))
    )
    idle = used[used["act_none"]]
    level = attempt(lambda: models.linear_probability(idle, "progression ~ 1", cluster=CLUSTERS))
    label = Label(NAME, "none_level", "sd", "progression", "none", benchmark="R10")
    rows.append((label, Number(n=len(idle)) if level is None else from_tidy(level.tidy(), "Intercept", level)))
    whole = attempt(
        lambda: models.linear_probability(
            used, formula("progression", "job_or_study_share", adjustment), cluster=CLUSTERS
        )
    )
    label = _label("job_or_study_throughout", "job_or_study_share", "secondary", "")
    rows.append((label, _term(whole, "job_or_study_share", used, nothing)))
    return rows


def _label(contrast: str, term: str, role: str, benchmark: str) -> Label:
    """Return the label of an adjusted contrast in progression."""
    return Label(NAME, contrast, "sd", "progression", term, None, "background_level", role, benchmark)


def _term(fit: Any, term: str, frame: pd.DataFrame, nothing: Number) -> Number:
    """Return a coefficient, if any interval was of its kind."""
    if fit is None or term not in fit.terms:
        return nothing
    return from_tidy(fit.tidy(), term, fit)


def _difference(fit: Any, frame: pd.DataFrame, nothing: Number) -> Number:
    """Return a job focus in parallel with another against a job focus alone."""
    if fit is None or not {"act_job", "act_job_parallel"} <= set(fit.terms):
        return nothing
    weights = {"act_job_parallel": 1.0, "act_job": -1.0}
    number = from_tidy(fit.contrast(weights, name="difference").tidy(), "difference", fit)
    return replace(number, resample=resampling.of_contrast(fit, weights))


def _transition(
    frame: pd.DataFrame, adjustment: list[str], outcome: str, months: int | None
) -> list[tuple[Label, Number]]:
    """Return the ratio of standardised risks of each kind of interval against none."""
    exposures = [f"act_{name}" for name in KINDS]
    fit = attempt(lambda: binary(frame, "y", exposures, adjustment, cluster=CLUSTERS))
    none = dict.fromkeys(exposures, 0.0)
    values = {"none": none, **{name: {**none, f"act_{name}": 1.0} for name in KINDS}}
    risks = None if fit is None else attempt(lambda: standardise(fit, frame, None, values, cluster=CLUSTERS))
    rows = []
    for name, contrast in CONTRASTS.items():
        role = "primary" if name == "job_parallel" else "secondary"
        label = Label(NAME, contrast, "risk_ratio", outcome, name, months, "background_level", role)
        if fit is None or risks is None or f"act_{name}" not in fit.terms:
            rows.append((label, Number(n=len(frame))))
        else:
            rows.append((label, from_tidy(risks.tidy(), f"ratio[{name} / none]", fit)))
    return rows


def _share_without(study: Study, outcome: str) -> tuple[Label, Number]:
    """Return the share without any activity until the transition or the end of follow-up."""
    label = Label(NAME, "share_without_activity", "share", "activity", "none", benchmark="R9")
    try:
        followed = history(study, outcome)
    except BipstudyError:
        return label, Number(n=len(study.participants))
    table = study.participants
    own = (table["organisation_id"] + "/" + table["participant_id"]).to_numpy(dtype=object)
    clusters = np.where(pd.isna(followed.first_caseworker), own, followed.first_caseworker)
    return label, share(values=followed.without_activity, clusters=clusters)


def _by_activity(frame: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return intervals, unadjusted progression and adjusted contrasts of each kind."""
    rows = []
    for name in ("none", *KINDS):
        part = frame[frame[f"act_{name}"].astype(bool)]
        cells: dict[str, Any] = {
            "kind_key": f"analyses.activity.{name}",
            "intervals": len(part),
            "participants": int(part["participant"].nunique()),
            "progression": float(part["progression"].mean()) if part["progression"].notna().any() else np.nan,
        }
        for prefix, scale in (("difference", "sd"), ("ratio", "risk_ratio")):
            own = found[(found["contrast"] == CONTRASTS.get(name)) & (found["scale"] == scale)]
            own = own[own["outcome"] != "indicator_change"]
            for suffix, column in (("", "estimate"), ("_low", "conf_low"), ("_high", "conf_high")):
                cells[prefix + suffix] = float(own[column].iloc[0]) if len(own) else np.nan
        rows.append(cells)
    return pd.DataFrame(rows)


def _focuses(found: pd.DataFrame) -> pd.DataFrame:
    """Return what stands beside the primary contrasts: progression and the transition in the next quarter."""
    after = found[found["outcome"].str.endswith(":next")].set_index("contrast")
    rows = []
    for row in found[(found["scale"] == "sd") & found["contrast"].isin(after.index)].to_dict("records"):
        if row["outcome"] != "progression":
            continue
        ratio = after.loc[row["contrast"]]
        cells = {"contrast_key": f"analyses.contrast.{row['contrast']}"}
        for name, source in (("difference", row), ("ratio", ratio)):
            for suffix, column in (("", "estimate"), ("_low", "conf_low"), ("_high", "conf_high")):
                cells[name + suffix] = source[column]
        rows.append(cells)
    return pd.DataFrame(rows)


def _further_flows(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the further flows of the estimates of progression, and of work or study."""
    flows = []
    for name, step, kept, rows in (
        ("progression", "no_next_answer", frame["progression"].notna(), "intervals_with_next"),
        ("transition", "outcome_unknown", frame["y_known"], "known_intervals"),
    ):
        further = FlowBook(name, (), frame)
        further.begin("intervals")
        further.keep(step, kept)
        flows.append(further.finish(rows))
    return flows


def _figures(found: pd.DataFrame) -> dict[str, FigureSpec]:
    """Return the contrasts against no activity in progression and in the transition."""
    figures = {}
    for name, scale, options in (
        ("progression", "sd", {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.progression"}),
        ("transition", "risk_ratio", {"axis_label_key": "analyses.axis.risk_ratio"}),
    ):
        shown = found[(found["scale"] == scale) & found["contrast"].isin(list(CONTRASTS.values()))]
        shown = shown[shown["outcome"] != "indicator_change"]
        shown = shown.dropna(subset=["estimate", "conf_low"])
        if len(shown):
            frame = shown[["estimate", "conf_low", "conf_high"]].copy()
            frame.insert(0, "label_key", "analyses.contrast." + shown["contrast"])
            caption = f"analyses.activities.figure_{name}"
            figures[name] = FigureSpec("forest", frame.reset_index(drop=True), caption, options)
    beside_names = set(found.loc[found["outcome"].str.endswith(":next"), "contrast"]) - set(CONTRASTS.values())
    shown = found[(found["outcome"] == "progression") & found["contrast"].isin(beside_names)]
    shown = shown.dropna(subset=["estimate", "conf_low"])
    if len(shown):
        frame = shown[["estimate", "conf_low", "conf_high"]].copy()
        frame.insert(0, "label_key", "analyses.contrast." + shown["contrast"])
        options = {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.progression"}
        figures["focuses"] = FigureSpec(
            "forest", frame.reset_index(drop=True), "analyses.activities.figure_focuses", options
        )
    return figures
