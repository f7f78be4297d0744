"""Episodes: each participant's time at risk cut into steps, with what was known at the beginning of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.panel.assembly import (
    Flow,
    Parts,
    at,
    background,
    calendar,
    censoring,
    exposures,
    identity,
    main_caseworker,
    read_parts,
    reasons,
)
from bipstudy.panel.checks import check_definition, check_number, check_origin
from bipstudy.panel.days import DAYS_PER_MONTH, FAR, Bools, Floats, Ints, dates_of, key, latest
from bipstudy.panel.outcomes import CAUSES
from bipstudy.panel.progression import before, changes
from bipstudy.panel.weights import inverse
from bipstudy.study import Study


@dataclass(frozen=True)
class AtRisk:
    """Time at risk of the participants who have any; arrays of shape (n,), days since the origin.

    Attributes
    ----------
    person, start, stop, cause : ndarray of int64
        `cause` is that of the event at `stop`, 0 if censored there.
    """

    person: Ints
    start: Ints
    stop: Ints
    cause: Ints


@dataclass(frozen=True)
class Rows:
    """Episodes; arrays of shape (n,). `of` is the position in `AtRisk`, `period` counts steps from 1."""

    of: Ints
    period: Ints
    start: Ints
    stop: Ints
    last: Bools


def build_episodes(
    study: Study,
    outcome: str = "primary",
    origin: str = "first_measurement",
    step_months: float = 3,
    washout_days: int = 30,
) -> pd.DataFrame:
    """Build start-stop rows: each participant's time at risk, cut every `step_months` from the origin.

    The exposures of a row are those of `washout_days` before its start, so that an answer, a change of caseworker or
    an activity counts only from `washout_days` after it; what concerns an interval is of the `step_months` up to that
    day. From the first measurement, risk begins for everyone alike `washout_days` after it; from entry, at entry. The
    cumulative incidence of the whole group takes ``washout_days=0``.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    origin : {"first_measurement", "entry"}
        Day 0.
    step_months : float
        Length of a step in months of 365.25 / 12 days; the cuts are rounded to whole days.
    washout_days : int
        Days before something counts.

    Returns
    -------
    DataFrame
        Sorted by participant and start; at risk in (`start`, `stop`], days since the origin. `event` is 1 for a
        transition at `stop`; `cause` is 0 none, 1 work, 2 study, 3 competing event; `period` counts the steps from 1;
        `ipcw` is the inverse probability of being followed to the start of the row; `end_reason` says why a
        participant's last row ends without event. Answers are those of the latest occasion by then (`occasion`,
        `answered_on`), missing before the first. ``attrs["settings"]`` and ``attrs["flow"]`` as in the panel; the rows
        of the flow are participants' time at risk before it is cut.

    Raises
    ------
    BipstudyError
        An argument is not allowed, or no outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> episodes = bip.build_episodes(bip.load_example())
    >>> bool((episodes["stop"] > episodes["start"]).all())
    True
    """
    return _build(study, outcome, origin, step_months, washout_days, whole=True)


def episodes_by_caseworker(study: Study) -> pd.DataFrame:
    """Build the rows of `build_episodes` with caseworkers and background, without answers and activities.

    For whoever builds the episodes of many studies: to take those along to every row takes as long as the rest.
    """
    return _build(study, "primary", "first_measurement", 3, 30, whole=False)


def _build(
    study: Study, outcome: str, origin: str, step_months: float, washout_days: int, *, whole: bool
) -> pd.DataFrame:
    """Build the rows, with or without answers and activities."""
    definition = check_definition(study, outcome)
    check_origin(origin)
    check_number("step_months", step_months, least=0.1, whole=False)
    check_number("washout_days", washout_days, least=0, whole=True)
    parts = read_parts(study, definition, origin)
    risk, flow = _at_risk(parts, origin, washout_days)
    rows = _cut(risk, step_months * DAYS_PER_MONTH)
    columns = _columns(parts, risk, rows, step_months * DAYS_PER_MONTH, washout_days, whole=whole)
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs["settings"] = {
        "outcome": outcome,
        "origin": origin,
        "step_months": step_months,
        "washout_days": washout_days,
        "forms_unpaired": parts.occasions.unpaired,
        "forms_undated": parts.occasions.undated,
    }
    frame.attrs["flow"] = flow
    return frame


def _at_risk(parts: Parts, origin: str, washout: int) -> tuple[AtRisk, list[dict[str, str | int]]]:
    """Return each participant's time at risk, and the flow."""
    follow_up, everyone = parts.follow_up, np.arange(parts.coded.count)
    flow = Flow("in_study", len(everyone), len(everyone))
    has_origin = parts.origin < FAR
    person = everyone[flow.leave_out_rows([("no_answered_form", ~has_origin)], everyone)]
    zero, end, transition = parts.origin[person], follow_up.end[person], follow_up.transition[person]
    begin = zero + (washout if origin == "first_measurement" else 0)
    # Who is in such a status already is at risk once it has ended.
    start = np.maximum(begin, np.minimum(follow_up.in_status_until[person], FAR))
    competing = follow_up.competing[person]
    busy = start > begin
    late = busy & (end > start) & (transition > start)
    kept = flow.leave_out_rows([("after_follow_up", end <= zero), ("in_status_at_start", busy)], person) | late
    flow.take_in("after_status", int(late.sum()))
    kept[kept] = flow.leave_out_rows(
        [
            ("transition_in_washout", (transition <= start)[kept]),
            ("competing_in_washout", ((end <= start) & competing)[kept]),
            ("censored_in_washout", (end <= start)[kept]),
        ],
        person[kept],
    )
    stop = np.minimum(transition, end)
    cause = np.where(
        transition < FAR, follow_up.cause[person], np.where(competing, CAUSES["competing"], CAUSES["none"])
    )
    risk = AtRisk(
        person=person[kept],
        start=(start - zero)[kept],
        stop=(stop - zero)[kept],
        cause=cause[kept].astype(np.int64),
    )
    return risk, flow.finish("at_risk", len(risk.person))


def _cut(risk: AtRisk, step: float) -> Rows:
    """Cut time at risk at every step from the origin."""
    longest = int(risk.stop.max(initial=0) / step) + 2
    cuts = np.round(np.arange(longest + 1) * step).astype(np.int64)
    # Risk is open at its start, so that who begins on a cut begins with the step after it.
    low = np.searchsorted(cuts, risk.start, side="right") - 1
    high = np.searchsorted(cuts, risk.stop, side="left")
    count = high - low
    of = np.repeat(np.arange(len(risk.person)), count)
    index = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count) + low[of]
    return Rows(
        of=of,
        period=index + 1,
        start=np.maximum(cuts[index], risk.start[of]),
        stop=np.minimum(cuts[index + 1], risk.stop[of]),
        last=index + 1 == high[of],
    )


def _columns(
    parts: Parts, risk: AtRisk, rows: Rows, step: float, washout: int, *, whole: bool
) -> dict[str, pd.api.extensions.ExtensionArray | Floats]:
    """Return the columns of the episodes."""
    occasions, person = parts.occasions, risk.person[rows.of]
    begins = parts.origin[person] + rows.start
    day = begins - washout
    occasion = latest(key(occasions.person, occasions.answered), person, day)
    cause = np.where(rows.last, risk.cause[rows.of], CAUSES["none"])
    censored = rows.last & (cause == CAUSES["none"])
    return {
        **identity(parts, person),
        "occasion": at(occasions.number.astype(np.float64), occasion, np.nan),
        "answered_on": dates_of(at(occasions.answered, occasion, FAR)),
        **calendar(parts, person, begins),
        **(_answers(parts, occasion) if whole else {}),
        **(
            exposures(parts, person, day, day - round(step), occasion)
            if whole
            else _caseworkers(parts, person, day, occasion)
        ),
        "start": rows.start,
        "stop": rows.stop,
        "event": ((cause == CAUSES["work"]) | (cause == CAUSES["study"])).astype(np.int64),
        "cause": cause,
        "period": rows.period,
        "end_reason": reasons(parts, person, censored),
        "ipcw": _weights(parts, risk, rows),
        **background(parts, person),
    }


def _caseworkers(parts: Parts, person: Ints, day: Ints, occasion: Ints) -> dict[str, Any]:
    """Return the main caseworker and what is known of him or her."""
    caseworker, known = main_caseworker(parts, person, day, occasion)
    return {"caseworker": caseworker, **known}


def _answers(parts: Parts, occasion: Ints) -> dict[str, Floats]:
    """Return answers of the latest occasion, and their changes up to it."""
    occasions = parts.occasions
    change, progression = changes(occasions, parts.follow_up.transition)
    return {
        **{column: at(values, occasion, np.nan) for column, values in occasions.scores.items()},
        **{f"{column}_raw": at(values, occasion, np.nan) for column, values in occasions.raw.items()},
        **{
            f"{column}_change_before": at(before(values, occasions.person), occasion, np.nan)
            for column, values in change.items()
        },
        "progression_before": at(before(progression, occasions.person), occasion, np.nan),
    }


def _weights(parts: Parts, risk: AtRisk, rows: Rows) -> Floats:
    """Return the inverse probability of being followed from the beginning of risk to the start of each row."""
    if not len(risk.person):
        return np.zeros(0)
    days = risk.stop - risk.start
    intervals = int(days.max() / DAYS_PER_MONTH) + 1
    model, group = censoring(parts, risk.person, days, risk.cause == CAUSES["none"], DAYS_PER_MONTH, intervals)
    return inverse(model.observed(group[rows.of], rows.start - risk.start[rows.of]))
