"""How many reach work or study, when, and by which path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import organisations, resampling
from bipstudy.analyses.common import (
    CLUSTER,
    STUDY,
    WORK,
    FlowBook,
    outcome_name,
    ready,
    single_threaded,
    weight_column,
    whole_months,
)
from bipstudy.analyses.danish_shares import danish_weights
from bipstudy.analyses.estimating import Label, Number, attempt, estimates
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import CAUSES, build_episodes
from bipstudy.panel.days import DAYS_PER_MONTH, days_of_months
from bipstudy.study import Study

NAME = "transitions"
LOST = "lost"
# One step that nobody's follow-up reaches gives one row per participant.
_WHOLE_TIME = 1200
SHOWN_MONTHS = (3, 6, 12, 18, 24, 36)


@single_threaded
def transitions(study: Study, *, outcome: str = "primary", horizon_months: float = 12) -> Result:
    """Answer how many reach work or study, when, and by which path.

    Estimand: cumulative incidence of the first transition at the horizon after the first measurement, with death,
    retirement and permanent sickness benefit as competing events. Population: everybody with a first measurement who is
    not in work or study already, from the day of the measurement (no wash-out: there is no exposure). Danish finding:
    R7 and D5, as context. Models: Aalen-Johansen, errors clustered by caseworker; bounds in which nobody, or
    everybody, with whom contact was lost makes the transition on that day. Cannot show: what those moved or lost would
    have done; the bounds say how much it could matter.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float

    Returns
    -------
    Result
        Tables ``bounds``, ``by_month``, ``by_path``, ``by_organisation`` and ``organisations``; figures ``incidence``,
        ``organisations`` and ``funnel``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.transitions(bip.load_example())
    >>> result.primary()["contrast"].tolist()
    ['everyone']
    """
    episodes = build_episodes(study, outcome=outcome, step_months=_WHOLE_TIME, washout_days=0)
    book = FlowBook(NAME, episodes.attrs["flow"], episodes)
    frame = book.keep("first_risk_only", ~episodes["participant"].duplicated())
    frame = _causes(ready(frame))
    horizon = days_of_months(horizon_months)
    curves = {name: _curves(each) for name, each in _variants(frame, horizon).items()}
    months = whole_months(horizon_months)
    rows = []
    for contrast, variant, cause, named, role, benchmark in _wanted(outcome):
        label = Label(NAME, contrast, "risk", named, cause, months, "raw", role, benchmark)
        rows.append((label, _number(curves[variant], cause, horizon, frame)))
    apart = {
        str(name): _number(_curves(each), "any", horizon, each)
        for name, each in frame.groupby(frame["organisation_id"].astype(object), sort=True)
    }
    label = Label(NAME, "everyone_danish_shares", "risk", outcome_name(outcome), "danish_shares", months)
    rows.append((label, _with_danish_shares(frame, horizon)))
    label = Label(NAME, "organisations_mean", "risk", outcome_name(outcome), "organisations", months)
    rows.append((label, organisations.mean_number(apart)))
    found = estimates(rows)
    by_month = _by_month(curves["observed"], frame)
    return Result(
        name=NAME,
        estimates=found,
        tables={
            "bounds": _bounds(found),
            "by_month": by_month,
            "by_path": _by_path(study, frame, horizon, outcome),
            "by_organisation": organisations.side_by_side(apart),
            "organisations": organisations.summary({f"analyses.outcome.{outcome_name(outcome)}": apart}),
        },
        figures={
            **_figures(curves["observed"], frame),
            **organisations.figure(apart, "analyses.transitions.figure_organisations", "analyses.axis.incidence"),
            **organisations.funnel(apart, "analyses.transitions.figure_funnel", "analyses.axis.incidence"),
        },
        flow=book.finish("at_risk"),
        settings={"months": horizon_months},
        remarks=(
            Sentence("analyses.transitions.note_bounds", {"lost": int((frame["end_reason"] == LOST).sum())}),
            Sentence("analyses.transitions.note_competing"),
            Sentence("analyses.transitions.note_danish_shares"),
            Sentence("analyses.note_organisations", {"fewest": organisations.FEWEST_PARTICIPANTS}),
        ),
    )


def primaries(study: Study) -> list[tuple[Label, Number]]:
    """Return the primary estimate and nothing else, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of (Label, Number)
    """
    episodes = build_episodes(study, step_months=_WHOLE_TIME, washout_days=0)
    frame = _causes(ready(episodes[~episodes["participant"].duplicated()].reset_index(drop=True)))
    contrast, _, cause, named, role, benchmark = _wanted("primary")[0]
    label = Label(NAME, contrast, "risk", named, cause, 12, "raw", role, benchmark)
    return [(label, _number(_curves(frame, *weight_column(frame)), cause, days_of_months(12), frame))]


def _wanted(outcome: str) -> list[tuple[str, str, str, str, str, str]]:
    """Return contrast, variant of the data, cause, outcome, role and benchmark of each estimate."""
    anything = outcome_name(outcome)
    work, study = ("work", "study") if outcome == "primary" else (f"{anything}:work", f"{anything}:study")
    published = {"work": ("R7", "D5")} if outcome == "primary" else {}
    return [
        ("everyone", "observed", "any", anything, "primary", ""),
        ("lost_never", "lost_never", "any", anything, "secondary", ""),
        ("lost_always", "lost_always", "any", anything, "secondary", ""),
        *(("everyone", "observed", "work", work, "secondary", name) for name in published.get("work", ("",))),
        ("everyone", "observed", "study", study, "secondary", ""),
        ("everyone", "observed", "competing", "competing", "secondary", ""),
    ]


def _causes(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the cause in words, by kind of transition and for any."""
    names = {number: name for name, number in CAUSES.items()}
    kind = frame["cause"].map(names)
    merged = kind.where(~frame["cause"].isin([WORK, STUDY]), "any")
    return frame.assign(kind=kind.astype(object), merged=merged.astype(object))


def _variants(frame: pd.DataFrame, horizon: int) -> dict[str, pd.DataFrame]:
    """Return the data as observed, and with everybody lost before the horizon followed to it, or in transition."""
    lost = ((frame["end_reason"] == LOST) & (frame["stop"] < horizon)).to_numpy(dtype=bool)
    followed = np.where(lost, np.maximum(horizon + 1, frame["stop"]), frame["stop"])
    return {
        "observed": frame,
        "lost_never": frame.assign(stop=followed),
        "lost_always": frame.assign(merged=frame["merged"].mask(lost, "any")),
    }


def _with_danish_shares(frame: pd.DataFrame, horizon: int) -> Number:
    """Return the incidence of any transition were the participants as the Danish ones in what is published."""
    weights = danish_weights(frame)
    if weights is None:
        return Number(n=len(frame))
    return _number(_curves(frame.assign(danish=weights), "danish"), "any", horizon, frame)


def _curves(frame: pd.DataFrame, weights: str | None = None) -> dict[str, Any]:
    """Return the incidence of any transition and of each kind; None where it cannot be estimated."""
    from bipstudy import models

    found: dict[str, Any] = {}
    for column, causes in (("merged", ("any", "competing")), ("kind", ("work", "study", "competing"))):
        curve = attempt(
            lambda column=column, causes=causes: models.cumulative_incidence(  # type: ignore[misc]
                frame, duration="stop", cause=column, start="start", cluster=CLUSTER, causes=causes, weights=weights
            )
        )
        found |= dict.fromkeys(causes, curve) if column == "kind" else {"any": curve}
    return found


def _number(curves: dict[str, Any], cause: str, horizon: int, frame: pd.DataFrame) -> Number:
    """Return the incidence of a cause at the horizon."""
    named = {"any": frame["merged"] == "any"}.get(cause, frame["kind"] == cause)
    events = int((named & (frame["stop"] <= horizon)).sum())
    counts: dict[str, Any] = {"n": len(frame), "events": events, "clusters": int(frame[CLUSTER].nunique())}
    if curves[cause] is None:
        return Number(**counts)
    table = curves[cause].at(horizon)
    row = table[table["cause"] == cause].iloc[0]
    return Number(
        estimate=float(row["estimate"]),
        std_error=float(row["std_error"]),
        conf_low=float(row["conf_low"]),
        conf_high=float(row["conf_high"]),
        resample=resampling.of_incidence(
            start=frame["start"].to_numpy(dtype=np.float64),
            stop=frame["stop"].to_numpy(dtype=np.float64),
            cause=frame["merged" if cause == "any" else "kind"].to_numpy(dtype=object),
            causes=("any", "work", "study", "competing"),
            of=cause,
            at=horizon,
            clusters=frame[CLUSTER].to_numpy(dtype=object),
        ),
        **counts,
    )


def _bounds(found: pd.DataFrame) -> pd.DataFrame:
    """Return the share at the horizon as observed, and if none or all of those lost had made the transition."""
    rows = found[(found["term"] == "any")]
    numbers = rows[["estimate", "conf_low", "conf_high"]].reset_index(drop=True)
    numbers.insert(0, "contrast_key", [f"analyses.contrast.{name}" for name in rows["contrast"]])
    return numbers


def _by_month(curves: dict[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    """Return the incidence of each kind at the months shown, as far as anybody is followed."""
    longest = float(frame["stop"].max()) if len(frame) else 0.0
    months = [month for month in SHOWN_MONTHS if days_of_months(month) <= longest]
    columns = ["months", "cause_key", "estimate", "conf_low", "conf_high", "at_risk"]
    pieces = []
    for cause in ("any", "work", "study", "competing"):
        if curves[cause] is None or not months:
            continue
        table = curves[cause].at([days_of_months(month) for month in months])
        table = table[table["cause"] == cause].assign(months=months, cause_key=f"analyses.cause.{cause}")
        pieces.append(table[columns])
    joined = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)
    return joined.sort_values("months", kind="stable", ignore_index=True)


def _by_path(study: Study, frame: pd.DataFrame, horizon: int, outcome: str) -> pd.DataFrame:
    """Return by which status the transitions within the horizon came about."""
    reached = frame[(frame["event"] == 1) & (frame["stop"] <= horizon)]
    zero = _first_days(study, reached["participant"])
    began = zero + pd.to_timedelta(reached["stop"].to_numpy(), unit="D")
    keys = pd.DataFrame({"participant": reached["participant"].to_numpy(dtype=object), "start": began.to_numpy()})
    spells = study.outcomes
    known = pd.DataFrame(
        {
            "participant": (spells["organisation_id"] + "/" + spells["participant_id"]).to_numpy(dtype=object),
            "start": spells["start"].to_numpy(dtype="datetime64[s]"),
            "status": spells["status"].to_numpy(dtype=object),
        }
    )
    possible = known[known["status"].isin(list(schema.transition(outcome).causes))].drop_duplicates(
        ["participant", "start"]
    )
    joined = keys.astype({"start": "datetime64[s]"}).merge(possible, on=["participant", "start"], how="left")
    counts = joined["status"].fillna("unknown").value_counts()
    rows = [
        {
            "path_key": "analyses.unknown" if status == "unknown" else f"code:outcome_status:{status}",
            "n": int(counts[status]),
            "share": counts[status] / len(reached),
        }
        for status in sorted(counts.index, key=lambda status: (-int(counts[status]), str(status)))
    ]
    return pd.DataFrame(rows, columns=["path_key", "n", "share"])


def _first_days(study: Study, participants: pd.Series) -> pd.Series:
    """Return the day of the first measurement of each participant named."""
    from bipstudy.panel.coding import code_study
    from bipstudy.panel.days import dates_of
    from bipstudy.panel.occasions import pair_forms

    coded = code_study(study)
    days = pd.Series(dates_of(pair_forms(study, coded).first_day(coded.count)), index=coded.labels.astype(object))
    return days.loc[participants.astype(object)].reset_index(drop=True)


def _figures(curves: dict[str, Any], frame: pd.DataFrame) -> dict[str, FigureSpec]:
    """Return the curves of any transition, work and study by month, with the number at risk."""
    if curves["any"] is None or curves["work"] is None:
        return {}
    # Nine in ten are still followed or have had their event: beyond, the curves rest on few.
    months = range(int(frame["stop"].quantile(0.9) / DAYS_PER_MONTH) + 1)
    times = [days_of_months(month) for month in months]
    pieces = []
    for cause in ("any", "work", "study"):
        steps = curves[cause].at(times)
        pieces.append(steps[steps["cause"] == cause].assign(label_key=f"analyses.cause.{cause}"))
    shown = pd.concat(pieces, ignore_index=True)[["label_key", "time", "estimate", "conf_low", "conf_high"]]
    at_risk = pieces[0][["time", "at_risk"]].iloc[::6].reset_index(drop=True)
    spec = FigureSpec(
        kind="incidence",
        frame=shown.fillna({"estimate": 0.0, "conf_low": 0.0, "conf_high": 0.0}),
        caption="analyses.transitions.figure",
        options={"axis_label_key": "analyses.axis.incidence", "at_risk": at_risk},
    )
    return {"incidence": spec}
