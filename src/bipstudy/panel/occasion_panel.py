"""The panel: one row per participant and occasion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.panel.assembly import (
    Flow,
    Parts,
    background,
    calendar,
    censoring,
    exposures,
    identity,
    read_parts,
    reasons,
)
from bipstudy.panel.checks import check_number
from bipstudy.panel.days import DAYS_PER_MONTH, FAR, Bools, Floats, Ints, dates_of, days_of_months
from bipstudy.panel.outcomes import CAUSES
from bipstudy.panel.progression import before, changes
from bipstudy.panel.weights import inverse
from bipstudy.study import Study
from bipstudy.texts import BipstudyError


@dataclass(frozen=True)
class Risk:
    """What follows each occasion; arrays of shape (n,), days since the occasion.

    Attributes
    ----------
    stop : ndarray of int64
        End of the row: transition, end of follow-up or horizon.
    y : ndarray of float64
        1 for a transition within the horizon, 0 for none, NaN if not known.
    cause : ndarray of int64
        See `outcomes.CAUSES`; 3 for a competing event within the horizon.
    censored : ndarray of bool
        Whether follow-up ends before the horizon without an event.
    """

    stop: Ints
    y: Floats
    cause: Ints
    censored: Bools


def build_panel(
    study: Study, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30
) -> pd.DataFrame:
    """Build the panel: one row per participant and occasion that is followed from `washout_days` after it.

    Time order holds by construction. An occasion's exposures are those of its day: its answers, the caseworker and the
    changes by then, and activities in the interval since the occasion before (or entry), which has ended. Risk begins
    `washout_days` later and runs to `horizon_months` after the occasion. Who by then has made the transition, is in
    such a status since the first measurement or is no longer followed has no row; ``frame.attrs["flow"]`` counts them.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float
        Horizon after the occasion, in months of 365.25 / 12 days, rounded to whole days.
    washout_days : int
        Days after the occasion before risk begins.

    Returns
    -------
    DataFrame
        Sorted by participant and day. Besides answers and exposures: `start` (= `washout_days`) and `stop`, days since
        the occasion between which the row is at risk; `y` (1 a transition in (start, stop], 0 followed to the horizon
        or a competing event, NaN not known), `y_known`, `cause` (0 none, 1 work, 2 study, 3 competing event),
        `end_reason` (why a row without known `y` ends, else missing), `ipcw` (0 where `y` is not known). Changes
        (`*_change`, `progression`) run to the next occasion: outcomes, not exposures; `*_change_before` and
        `progression_before` are those of the interval that ended with the occasion. ``attrs["settings"]`` holds the
        arguments, ``attrs["flow"]`` who was left out at which step.

    Raises
    ------
    BipstudyError
        An argument is not allowed.

    Notes
    -----
    If no outcomes were sent, `y` is nowhere known and nobody is left out for a transition.

    Examples
    --------
    >>> import bipstudy as bip
    >>> panel = bip.build_panel(bip.load_example())
    >>> bool((panel["y_known"] == panel["y"].notna()).all())
    True
    """
    definition = schema.transition(outcome)
    check_number("horizon_months", horizon_months, least=0.1, whole=False)
    check_number("washout_days", washout_days, least=0, whole=True)
    horizon = days_of_months(horizon_months)
    if washout_days >= horizon:
        raise BipstudyError("panel.washout_beyond_horizon", days=horizon)
    parts = read_parts(study, definition, "first_measurement")
    flow = _start(study, parts)
    kept = flow.leave_out_rows(_reasons(parts, washout_days), parts.occasions.person)
    rows = np.flatnonzero(kept)
    risk = _risk(parts, rows, horizon, known="outcomes" in study.sent)
    columns = _columns(parts, rows, risk, washout_days, horizon)
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs["settings"] = {
        "outcome": outcome,
        "horizon_months": horizon_months,
        "horizon_days": horizon,
        "washout_days": washout_days,
        "forms_unpaired": parts.occasions.unpaired,
        "forms_undated": parts.occasions.undated,
    }
    frame.attrs["flow"] = flow.finish("panel", len(frame))
    return frame


def _start(study: Study, parts: Parts) -> Flow:
    """Begin the flow: everybody, then those without an answered form."""
    forms, coded, occasions = study.measurements, parts.coded, parts.occasions
    person = coded.person["measurements"]
    known = person >= 0
    every = np.unique(person[known] * 1000 + forms["occasion"].to_numpy(dtype=np.int64, na_value=0)[known])
    flow = Flow("in_study", coded.count, len(every))
    flow.leave_out("no_answered_form", len(every) - len(occasions.person), int(occasions.first.sum()))
    return flow


def _reasons(parts: Parts, washout: int) -> list[tuple[str, Bools]]:
    """Return why an occasion is not the beginning of a row, in order."""
    person, answered = parts.occasions.person, parts.occasions.answered
    follow_up, start = parts.follow_up, parts.occasions.answered + washout
    transition, end, competing = follow_up.transition[person], follow_up.end[person], follow_up.competing[person]
    return [
        ("after_transition", transition <= answered),
        ("in_status", follow_up.in_status_until[person] >= start),
        ("after_follow_up", end <= answered),
        ("transition_in_washout", transition <= start),
        ("competing_in_washout", (end <= start) & competing),
        ("censored_in_washout", end <= start),
    ]


def _risk(parts: Parts, rows: Ints, horizon: int, *, known: bool) -> Risk:
    """Say what follows each occasion that begins a row; nothing is known if no outcomes were sent."""
    person, answered = parts.occasions.person[rows], parts.occasions.answered[rows]
    follow_up = parts.follow_up
    transition = follow_up.transition[person] - answered
    end = follow_up.end[person] - answered
    event = transition <= horizon
    competing = ~event & follow_up.competing[person] & (end <= horizon)
    censored = (~event & ~competing & (end < horizon)) | (not known)
    cause = np.where(event, follow_up.cause[person], np.where(competing, CAUSES["competing"], CAUSES["none"]))
    return Risk(
        stop=np.minimum(np.minimum(transition, end), horizon),
        y=np.where(event, 1.0, np.where(censored, np.nan, 0.0)),
        cause=cause.astype(np.int64),
        censored=censored,
    )


def _columns(
    parts: Parts, rows: Ints, risk: Risk, washout: int, horizon: int
) -> dict[str, pd.api.extensions.ExtensionArray | Floats]:
    """Return the columns of the panel."""
    occasions = parts.occasions
    person, answered = occasions.person[rows], occasions.answered[rows]
    change, progression = changes(occasions, parts.follow_up.transition)
    window = _previous_day(occasions.person, occasions.answered)[rows]
    return {
        **identity(parts, person),
        "occasion": occasions.number[rows],
        "first_measurement": occasions.first[rows],
        "answered_on": dates_of(answered),
        **calendar(parts, person, answered),
        **{column: values[rows] for column, values in occasions.scores.items()},
        **{f"{column}_raw": values[rows] for column, values in occasions.raw.items()},
        **{f"{column}_change": values[rows] for column, values in change.items()},
        **{f"{column}_change_before": before(values, occasions.person)[rows] for column, values in change.items()},
        "progression": progression[rows],
        "progression_before": before(progression, occasions.person)[rows],
        **exposures(parts, person, answered, window, rows),
        "start": np.full(len(rows), washout, dtype=np.int64),
        "stop": risk.stop,
        "event": ((risk.cause == CAUSES["work"]) | (risk.cause == CAUSES["study"])).astype(np.int64),
        "y": risk.y,
        "y_known": ~np.isnan(risk.y),
        "cause": risk.cause,
        "end_reason": reasons(parts, person, risk.censored),
        "ipcw": _weights(parts, person, risk, washout, horizon),
        **background(parts, person),
    }


def _previous_day(person: Ints, answered: Ints) -> Ints:
    """Return the day of the participant's occasion before, far in the past for the first."""
    previous = np.full(len(person), -FAR, dtype=np.int64)
    if len(person):
        previous[1:] = np.where(person[1:] == person[:-1], answered[:-1], -FAR)
    return previous


def _weights(parts: Parts, person: Ints, risk: Risk, washout: int, horizon: int) -> Floats:
    """Return the inverse probability of having been followed to the event or the horizon; 0 where `y` is unknown."""
    if not len(person):
        return np.zeros(0)
    intervals = max(1, round((horizon - washout) / DAYS_PER_MONTH))
    step = (horizon - washout) / intervals
    days = risk.stop - washout
    model, group = censoring(parts, person, days, risk.censored, step, intervals)
    weights: Floats = np.where(risk.censored, 0.0, inverse(model.observed(group, days)))
    return weights
