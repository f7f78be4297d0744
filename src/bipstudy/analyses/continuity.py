"""Changes of caseworker and the transition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import (
    CLUSTER,
    WORK,
    FlowBook,
    formula,
    outcome_name,
    ready,
    single_threaded,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy, share
from bipstudy.analyses.history import history
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import build_episodes
from bipstudy.study import Study

NAME = "continuity"
CLUSTERS = [CLUSTER, "participant"]
# Periods with fewer events stand with the last one that has enough.
ENOUGH_EVENTS = 5


@single_threaded
def continuity(study: Study, *, outcome: str = "primary", washout_days: int = 30, step_months: float = 3) -> Result:
    """Answer whether a change of caseworker goes with reaching work or study.

    Estimand: hazard ratio of the transition in the quarters after a first change of main caseworker against quarters
    without any change so far; a change counts from the wash-out after it; adjusted for quarter since the first
    measurement, time in the programme and background. Population: everybody followed from the wash-out after the first
    measurement, in organisations that sent assignments (a change read off the forms is dated late, and is known only
    of those who answer again). Danish findings: R3, met by the hazard ratio of work, and R4, the share with at least
    one change. Models: discrete hazard (complementary log-log), errors clustered by caseworker
    and participant. Beside it: the first change and later ones apart, and without background. Cannot show: what a
    change brings about. Ever against never changed is not shown at all: who stays longer has more time to change.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    washout_days : int
    step_months : float
        Length of a period.

    Returns
    -------
    Result
        Table ``exposure``; figure ``hazard_ratios``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.continuity(bip.load_example()).primary()["scale"].tolist()
    ['hazard_ratio']
    """
    episodes = build_episodes(study, outcome=outcome, step_months=step_months, washout_days=washout_days)
    book = FlowBook(NAME, episodes.attrs["flow"], ready(episodes))
    frame = _prepared(book.keep("changes_unknown", episodes["caseworker_gap_days"].notna()))
    frame, background = with_background(frame)
    named = outcome_name(outcome)
    work = "work" if outcome == "primary" else f"{named}:work"
    rows: list[tuple[Label, Number]] = []
    for response, called, benchmark in (
        ("event", named, ""),
        ("event_work", work, "R3" if outcome == "primary" else ""),
    ):
        periods = _periods(frame, response)
        timed = pd.concat([frame, periods], axis=1)
        adjusted = [*periods.columns, "months_since_entry", *background]
        for rung, terms in (("background", adjusted), ("raw", [*periods.columns, "months_since_entry"])):
            main = "primary" if (response, rung) == ("event", "background") else "secondary"
            label = Label(
                NAME, "quarters_after_first_change", "hazard_ratio", called, "first_change", None, rung, main,
                benchmark if rung == "background" else "",
            )  # fmt: skip
            rows.append((label, _ratios(timed, response, ["first_change"], terms)["first_change"]))
        several = _ratios(timed, response, ["one_change", "more_changes"], adjusted)
        for term, number in several.items():
            rows.append((Label(NAME, term, "hazard_ratio", called, term, None, "background"), number))
    rows.append(_share_with_change(study, outcome))
    found = estimates(rows)
    return Result(
        name=NAME,
        estimates=found,
        tables={"exposure": _exposure(frame)},
        figures=_figures(found, named, work),
        flow=book.finish("episodes"),
        settings={"days": washout_days},
        remarks=(
            Sentence("analyses.continuity.note_association"),
            Sentence("analyses.continuity.note_ever_never"),
            Sentence("analyses.continuity.note_lag", {"days": washout_days}),
            Sentence("analyses.continuity.note_frailty"),
        ),
    )


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the event of work, and the first and later changes apart."""
    changes = frame["changes_so_far"]
    return frame.assign(
        event=frame["event"].astype(float),
        event_work=(frame["cause"] == WORK).astype(float),
        one_change=(changes == 1).astype(float),
        more_changes=(changes > 1).astype(float),
    )


def _periods(frame: pd.DataFrame, response: str) -> pd.DataFrame:
    """Return indicators of the period, the first as reference; late periods with few events stand together."""
    period = frame["period"].to_numpy(dtype=np.int64)
    events = np.bincount(period, weights=frame[response].to_numpy(dtype=np.float64)) if len(frame) else np.zeros(1)
    # From the end, until the last group has enough events.
    late = np.cumsum(events[::-1])[::-1]
    last = int(np.flatnonzero(late >= ENOUGH_EVENTS).max(initial=1))
    grouped = np.minimum(period, max(last, 1))
    first = int(grouped.min(initial=1))
    return pd.DataFrame(
        {f"period_{number}": (grouped == number).astype(float) for number in sorted(set(grouped)) if number != first},
        index=frame.index,
    )


def _ratios(frame: pd.DataFrame, response: str, exposures: list[str], terms: list[str]) -> dict[str, Number]:
    """Return the hazard ratio of each exposure."""
    from bipstudy import models

    used = frame[[response, *exposures, *terms, *CLUSTERS]]
    fit = attempt(
        lambda: models.discrete_hazard(
            used, formula(response, exposures, terms), cluster=CLUSTERS, person="participant"
        )
    )
    if fit is None:
        return dict.fromkeys(exposures, Number(n=len(frame), events=int(frame[response].sum())))
    tidy = fit.tidy()
    return {
        each: from_tidy(tidy, each, fit, ratio=True) if each in fit.terms else Number(n=len(frame))
        for each in exposures
    }


def _share_with_change(study: Study, outcome: str) -> tuple[Label, Number]:
    """Return the share with at least one change until the transition or the end of follow-up."""
    label = Label(NAME, "share_with_change", "share", "caseworker_change", "first_change", benchmark="R4")
    followed = history(study, outcome)
    table = study.participants
    own = (table["organisation_id"] + "/" + table["participant_id"]).to_numpy(dtype=object)
    clusters = np.where(pd.isna(followed.first_caseworker), own, followed.first_caseworker)
    return label, share(values=followed.with_change, clusters=clusters)


def _exposure(frame: pd.DataFrame) -> pd.DataFrame:
    """Return quarters, participants and events before and after changes."""
    rows: list[dict[str, Any]] = []
    for key, chosen in (
        ("no_change", frame["changes_so_far"] == 0),
        ("one_change", frame["changes_so_far"] == 1),
        ("more_changes", frame["changes_so_far"] > 1),
    ):
        part = frame[chosen]
        days = float((part["stop"] - part["start"]).sum())
        rows.append(
            {
                "exposure_key": f"analyses.contrast.{key}",
                "participants": int(part["participant"].nunique()),
                "quarters": len(part),
                "any": int(part["event"].sum()),
                "work": int(part["event_work"].sum()),
                "per_year": 365.25 * float(part["event"].sum()) / days if days else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _figures(found: pd.DataFrame, named: str, work: str) -> dict[str, FigureSpec]:
    """Return the adjusted hazard ratios by outcome."""
    shown = found[(found["scale"] == "hazard_ratio") & (found["adjustment"] == "background")]
    shown = shown.dropna(subset=["estimate"])
    if shown.empty:
        return {}
    frame = shown[["estimate", "conf_low", "conf_high"]].copy()
    frame.insert(0, "label_key", "analyses.contrast." + shown["contrast"])
    frame.insert(1, "group_key", "analyses.outcome." + shown["outcome"])
    frame.insert(2, "benchmark_id", shown["benchmark"])
    spec = FigureSpec(
        "forest",
        frame.reset_index(drop=True),
        "analyses.continuity.figure",
        {"axis_label_key": "analyses.axis.hazard_ratio"},
    )
    return {"hazard_ratios": spec}
