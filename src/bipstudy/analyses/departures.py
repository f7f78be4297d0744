"""What goes before and after a caseworker's departure: answers, belief and progression of those who stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.changes import Changes
from bipstudy.analyses.common import CLUSTER, FlowBook, formula, ready, standardised, with_background
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy
from bipstudy.analyses.levels import level
from bipstudy.panel import build_panel
from bipstudy.panel.assembly import Parts
from bipstudy.panel.days import FAR, Bools, Floats, Ints, days_of_months, first_days
from bipstudy.study import Study

CLUSTERS = [CLUSTER, "participant"]
QUARTER_DAYS = days_of_months(3)
# Quarters around a departure: the first and the last stand for all before and after; the one before it is compared to.
FIRST_QUARTER, LAST_QUARTER, REFERENCE = -4, 3, -1
QUARTERS = tuple(quarter for quarter in range(FIRST_QUARTER, LAST_QUARTER + 1) if quarter != REFERENCE)
# Errors that allow for caseworkers are far too small where few of them, or few participants, carry a coefficient
# (MacKinnon and Webb 2017, Wild bootstrap inference for wildly different cluster sizes, Journal of Applied Econometrics
# 32, 233-254): such a quarter is not estimated.
FEWEST_PARTICIPANTS, FEWEST_CASEWORKERS = 10, 5
# Outcome in the estimates -> column.
OUTCOMES = {"progression_earlier": "progression_before", "belief": "belief_z", "answers": "level"}
UPCOMING = ("upcoming_departure", "upcoming_other_change")


def around(
    study: Study, parts: Parts, changes: Changes, analysis: str, outcome: str
) -> tuple[list[tuple[Label, Number]], pd.DataFrame]:
    """Return the event study around departures, the placebo of upcoming changes, and the flow of both.

    Parameters
    ----------
    study : Study
    parts : Parts
        Of the same study and definition.
    changes : Changes
    analysis : str
        Name of the analysis in the estimates.
    outcome : {"primary", "narrow", "broad"}

    Returns
    -------
    rows : list of (Label, Number)
    flow : DataFrame

    Notes
    -----
    Event study: least squares with participant and calendar-quarter effects, which is allowed since answers recur;
    those without a departure are the comparison. Placebo: least squares on background, among those who a quarter later
    are still in the programme and without a transition.
    """
    panel = build_panel(study, outcome=outcome, horizon_months=3, washout_days=0)
    book = FlowBook("occasions", panel.attrs["flow"], ready(panel))
    known = book.keep("changes_unknown", panel["caseworker_gap_days"].notna())
    person = pd.Index(parts.coded.labels).get_indexer(known["participant"]).astype(np.int64)
    day = known["answered_on"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    belief = standardised(known["belief"].to_numpy(dtype=np.float64))
    frame = known.assign(
        belief_z=np.full(len(known), np.nan) if belief is None else belief,
        level=level(known),
        **_quarters(changes, parts, person, day),
        **_upcoming(changes, person, day),
    )
    rows = _event_study(frame, analysis)
    flows = [book.finish("occasions")]
    further = FlowBook("placebo", (), frame)
    further.begin("occasions")
    there = further.keep("gone_a_quarter_later", _still_there(parts, person, day + QUARTER_DAYS))
    flows.append(further.finish("occasions_still_there"))
    rows += _placebo(there, analysis)
    return rows, pd.concat(flows, ignore_index=True)


def _quarters(changes: Changes, parts: Parts, person: Ints, day: Ints) -> dict[str, Floats]:
    """Return indicators of the quarter around each participant's first departure."""
    left = changes.first_day(changes.departure, parts.coded.count)[person]
    quarter = np.clip((day - left) // QUARTER_DAYS, FIRST_QUARTER, LAST_QUARTER)
    return {quarter_name(each): ((left < FAR) & (quarter == each)).astype(float) for each in QUARTERS}


def quarter_name(quarter: int) -> str:
    """Return what a quarter around a departure is called."""
    return f"departure_{'before' if quarter < 0 else 'after'}_{abs(quarter)}"


def _upcoming(changes: Changes, person: Ints, day: Ints) -> dict[str, Floats]:
    """Say which occasions have a departure, or another change, in the quarter after them."""
    found = {}
    for name, chosen in zip(UPCOMING, (changes.departure, ~changes.departure), strict=True):
        then, now = (changes.so_far(chosen, person, when) for when in (day + QUARTER_DAYS, day))
        found[name] = (then > now).astype(float)
    return found


def _still_there(parts: Parts, person: Ints, day: Ints) -> Bools:
    """Say who on a day is followed, without a transition so far, and has not left the programme."""
    left = first_days(parts.coded.participants, "left_on")[person]
    follow_up = parts.follow_up
    there: Bools = (follow_up.transition[person] > day) & (follow_up.end[person] >= day) & (left > day)
    return there


def _event_study(frame: pd.DataFrame, analysis: str) -> list[tuple[Label, Number]]:
    """Return the quarters around a departure, and the means before and after it, against the quarter before it."""
    from bipstudy import models

    terms = [quarter_name(quarter) for quarter in QUARTERS]
    sides = {
        "departure_placebo": [quarter_name(quarter) for quarter in QUARTERS if quarter < 0],
        "departure_after": [quarter_name(quarter) for quarter in QUARTERS if quarter >= 0],
    }
    rows = []
    for outcome, column in OUTCOMES.items():
        used = frame[[column, *terms, "participant", "quarter", CLUSTER]].dropna(subset=[column])
        fit = attempt(
            lambda used=used, column=column: models.linear_probability(  # type: ignore[misc]
                used, f"{formula(column, terms)} | participant + quarter", cluster=CLUSTERS
            )
        )
        nothing = Number(n=len(used))
        rows += [
            (_label(analysis, term, outcome), _term(fit if _carried(used, [term]) else None, term, nothing))
            for term in terms
        ]
        rows += [
            (_label(analysis, name, outcome), _mean_of(fit if _carried(used, side) else None, side, name, nothing))
            for name, side in sides.items()
        ]
    return rows


def _carried(frame: pd.DataFrame, terms: list[str]) -> bool:
    """Say whether enough participants, with enough caseworkers, have one of some indicators."""
    own = frame.loc[frame[terms].max(axis=1) > 0, CLUSTERS]
    fewest = {CLUSTER: FEWEST_CASEWORKERS, "participant": FEWEST_PARTICIPANTS}
    return all(own[name].nunique() >= fewest[name] for name in CLUSTERS)


def _term(fit: Any, term: str, nothing: Number) -> Number:
    """Return a coefficient, if there is one."""
    return nothing if fit is None or term not in fit.terms else from_tidy(fit.tidy(), term, fit)


def _mean_of(fit: Any, terms: list[str], name: str, nothing: Number) -> Number:
    """Return the mean of several quarters."""
    if fit is None or not set(terms) <= set(fit.terms):
        return nothing
    mean = fit.contrast(dict.fromkeys(terms, 1 / len(terms)), name=name)
    return from_tidy(mean.tidy(), name, fit)


def _label(analysis: str, contrast: str, outcome: str) -> Label:
    """Return the label of a part of the event study."""
    return Label(analysis, contrast, "sd", outcome, contrast, None, "participant_quarter")


def _placebo(frame: pd.DataFrame, analysis: str) -> list[tuple[Label, Number]]:
    """Return what goes before an upcoming change, among those still there a quarter later."""
    from bipstudy import models

    frame, background = with_background(frame)
    rows = []
    for outcome, column in OUTCOMES.items():
        used = frame[[column, *UPCOMING, "months_since_entry", *background, *CLUSTERS]].dropna(subset=[column])
        fit = attempt(
            lambda used=used, column=column: models.linear_probability(  # type: ignore[misc]
                used, formula(column, UPCOMING, "months_since_entry", background), cluster=CLUSTERS
            )
        )
        for term in UPCOMING:
            label = Label(analysis, term, "sd", outcome, term, None, "background")
            rows.append((label, _term(fit if _carried(used, [term]) else None, term, Number(n=len(used)))))
    return rows
