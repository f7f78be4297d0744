"""Changes of caseworker and the transition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.changes import DEPARTURE_DAYS, DEPARTURE_LEAST, Changes, read_changes
from bipstudy.analyses.common import (
    CATEGORIES,
    CLUSTER,
    WORK,
    FlowBook,
    formula,
    outcome_name,
    ready,
    single_threaded,
    weight_column,
    with_background,
)
from bipstudy.analyses.continuity_tables import (
    BESIDE,
    NUMBERS,
    SCORE,
    departures_table,
    exposure_table,
    figures_of,
    models_table,
)
from bipstudy.analyses.departures import FEWEST_CASEWORKERS, FEWEST_PARTICIPANTS, around
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy, share
from bipstudy.analyses.history import history
from bipstudy.analyses.result import Result, Sentence
from bipstudy.panel import build_episodes
from bipstudy.panel.assembly import Parts, read_parts
from bipstudy.panel.checks import check_definition
from bipstudy.panel.days import first_days
from bipstudy.panel.episodes import episodes_by_caseworker
from bipstudy.study import Study

NAME = "continuity"
CLUSTERS = [CLUSTER, "participant"]
# Periods with fewer events stand with the last one that has enough.
ENOUGH_EVENTS = 5
WASHOUTS = (30, 60, 90)
# Columns of the episodes that are used; the answers are not.
USED = (
    "participant", "caseworker", "quarter", "months_since_entry", "changes_so_far", "first_change",
    "months_with_caseworker", "caseworker_gap_days", "start", "stop", "event", "cause", "period",
    "months_since_work", "work_or_study_share_5y", *CATEGORIES,
)  # fmt: skip
GAP_UNIT = 30.0
MAIN = "quarters_after_first_change"


@single_threaded
def continuity(study: Study, *, outcome: str = "primary", washout_days: int = 30, step_months: float = 3) -> Result:
    """Answer whether a change of caseworker goes with reaching work or study.

    Estimand: hazard ratio of the transition in the quarters after a first change of main caseworker against quarters
    without any change so far; a change counts from the wash-out after it; adjusted for quarter since the first
    measurement, time in the programme and background. Population: everybody followed from the wash-out after the first
    measurement, in organisations that sent assignments (a change read off the forms is dated late, and is known only
    of those who answer again). Danish findings: R3, met by the hazard ratio of work, and R4, the share with at least
    one change. Models: discrete hazard (complementary log-log), errors clustered by caseworker and participant.

    Beside it: without background; the first change and later ones apart, and their number; days and days on end without
    a caseworker; the wash-out at 30, 60 and 90 days; changes by the reported reason. These adjust for the background
    as one score, the linear predictor of the model above. *Departures*: a change after which the former caseworker's
    whole caseload (at least five) was gone within 30 days was not chosen for the participant; the hazard after one, and
    answers, belief and progression by quarter around one, with participant and calendar-quarter effects. Placebo: what
    goes *before* an upcoming departure or other change, among those still there a quarter later. There is none for the
    transition itself: who has it is gone before the change can come.

    Cannot show: what a change brings about; a departure comes closer, but a new caseworker is also another one. Ever
    against never changed is not shown at all: who stays longer has more time to change.

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
        Tables ``exposure``, ``models`` and ``departures``; figures ``hazard_ratios``, ``beside`` and ``departures``.

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
    flow = episodes.attrs["flow"]
    book = FlowBook(NAME, flow, ready(episodes[list(USED)]))
    kept = book.keep("changes_unknown", episodes["caseworker_gap_days"].notna())
    parts = read_parts(study, check_definition(study, outcome), "first_measurement")
    changes = read_changes(study, parts)
    frame, background = with_background(_prepared(kept, parts, changes, washout_days))
    named = outcome_name(outcome)
    work = "work" if outcome == "primary" else f"{named}:work"
    rows: list[tuple[Label, Number]] = []
    for response, called, benchmark in (
        ("event", named, ""),
        ("event_work", work, "R3" if outcome == "primary" else ""),
    ):
        rows += _of_response(frame, response, called, benchmark, background, washout_days)
    rows.append(_share_with_change(study, outcome))
    around_rows, around_flow = around(study, parts, changes, NAME, outcome)
    found = estimates(rows + around_rows)
    return Result(
        name=NAME,
        estimates=found,
        tables={
            "exposure": exposure_table(frame),
            "models": models_table(found),
            "departures": departures_table(found),
        },
        figures=figures_of(found),
        flow=pd.concat([book.finish("episodes"), around_flow], ignore_index=True),
        settings={"days": washout_days},
        remarks=(
            Sentence("analyses.continuity.note_association"),
            Sentence("analyses.continuity.note_ever_never"),
            Sentence("analyses.continuity.note_lag", {"days": washout_days}),
            Sentence("analyses.continuity.note_frailty"),
            Sentence("analyses.continuity.note_score"),
            Sentence("analyses.continuity.note_reasons"),
            Sentence(
                "analyses.continuity.note_departures",
                {
                    "least": DEPARTURE_LEAST,
                    "days": DEPARTURE_DAYS,
                    "changes": int(changes.departure.sum()),
                    "people": FEWEST_PARTICIPANTS,
                    "caseworkers": FEWEST_CASEWORKERS,
                },
            ),
            Sentence("analyses.continuity.note_placebo"),
        ),
    )


def headline(study: Study) -> Number:
    """Return the hazard ratio of work after a first change, adjusted for background, and nothing else.

    It is the estimate that R3 is held against, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Number
    """
    frame, background = primary_sample(episodes_by_caseworker(study))
    return _adjusted(frame, "event_work", background)


def primaries(study: Study, episodes: pd.DataFrame | None = None) -> list[tuple[Label, Number]]:
    """Return the primary estimate and nothing else, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study
    episodes : DataFrame, optional
        The study's episodes, if there are some already.

    Returns
    -------
    list of (Label, Number)
    """
    frame, background = primary_sample(build_episodes(study) if episodes is None else episodes)
    return [(_main("event", outcome_name("primary"), ""), _adjusted(frame, "event", background))]


def primary_sample(episodes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the primary estimand, and the background that is adjusted for."""
    used = episodes.loc[episodes["caseworker_gap_days"].notna().to_numpy(), list(USED)].reset_index(drop=True)
    used.attrs = {}
    frame = ready(used)
    return with_background(
        frame.assign(event=frame["event"].astype(float), event_work=(frame["cause"] == WORK).astype(float))
    )


def _adjusted(frame: pd.DataFrame, response: str, background: list[str]) -> Number:
    """Return the hazard ratio after a first change, adjusted for quarter, time in programme and background."""
    periods = period_indicators(frame, response)
    # The other columns are shared and not copied: nobody writes to them.
    timed = frame.copy(deep=False)
    timed[[*periods.columns]] = periods
    fit = _fit(timed, response, ["first_change"], [*periods.columns, "months_since_entry", *background])
    return _ratio(fit, "first_change", timed, response)


def _main(response: str, called: str, benchmark: str) -> Label:
    """Return the label of the hazard ratio after a first change, adjusted for background."""
    role = "primary" if response == "event" else "secondary"
    return Label(NAME, MAIN, "hazard_ratio", called, "first_change", None, "background", role, benchmark)


def _prepared(frame: pd.DataFrame, parts: Parts, changes: Changes, washout: int) -> pd.DataFrame:
    """Add the event of work and every exposure, as of the wash-out before each row; clusters become numbers."""
    person = pd.Index(parts.coded.labels).get_indexer(frame["participant"]).astype(np.int64)
    origin = parts.origin[person]
    begins = origin + frame["start"].to_numpy(dtype=np.int64)
    day = begins - washout
    number = frame["changes_so_far"]
    left = first_days(parts.coded.participants, "left_on")[person]
    entered = parts.entered[person]
    # Whoever has left the programme needs no caseworker.
    there = np.minimum(day, left + 1)
    waits = np.maximum(there - entered, 0) - parts.periods.days.days(person, entered, there)
    every = np.ones(len(changes.person), dtype=bool)
    exposures = {
        **dict(zip(NUMBERS, (number == 1, number == 2, number > 2), strict=True)),
        "left_programme": left < day,
        "without_caseworker": frame["months_with_caseworker"].isna() & (left >= day),
        "per_30_days_without": waits / GAP_UNIT,
        "after_departure": changes.so_far(changes.departure, person, day) > 0,
        "after_other_change": changes.so_far(~changes.departure, person, day) > 0,
        "change_for_staff_reason": changes.so_far(changes.staff, person, day) > 0,
        "change_for_other_reason": changes.so_far(changes.other, person, day) > 0,
        "change_without_reason": changes.so_far(~changes.staff & ~changes.other, person, day) > 0,
    }
    for days in WASHOUTS:
        exposures[f"first_change_{days}"] = changes.so_far(every, person, np.maximum(begins, origin + days) - days) > 0
    return frame.assign(
        event=frame["event"].astype(float),
        event_work=(frame["cause"] == WORK).astype(float),
        participant=person,
        **{CLUSTER: pd.factorize(frame[CLUSTER], sort=True)[0]},
        **{name: np.asarray(values, dtype=np.float64) for name, values in exposures.items()},
    )


def _of_response(
    frame: pd.DataFrame, response: str, called: str, benchmark: str, background: list[str], washout: int
) -> list[tuple[Label, Number]]:
    """Return every hazard ratio of one kind of transition."""
    periods = period_indicators(frame, response)
    timed = pd.concat([frame, periods], axis=1)
    time = [*periods.columns, "months_since_entry"]
    fit = _fit(timed, response, ["first_change"], [*time, *background])
    rows = [(_main(response, called, benchmark), _ratio(fit, "first_change", timed, response))]
    raw = _fit(timed, response, ["first_change"], time)
    rows.append(
        (
            Label(NAME, MAIN, "hazard_ratio", called, "first_change"),
            _ratio(raw, "first_change", timed, response),
        )
    )
    timed[SCORE] = _score(fit, timed, background)
    adjusted = [*time, SCORE]
    rows += _by_number(timed, response, called, adjusted)
    beside = BESIDE if response == "event" else {"departures": BESIDE["departures"]}
    for name, exposures in beside.items():
        fitted = _fit(timed, response, [*exposures], adjusted)
        # The first change, and having left the programme, stand in that model only beside the gaps.
        shown = exposures if name != "gaps" else exposures[1:3]
        rows += [(_beside(each, called, each), _ratio(fitted, each, timed, response)) for each in shown]
    return rows + (_washouts(timed, response, called, adjusted, washout, fit) if response == "event" else [])


def _beside(contrast: str, called: str, term: str) -> Label:
    """Return the label of a hazard ratio adjusted for the score."""
    return Label(NAME, contrast, "hazard_ratio", called, term, None, SCORE)


def _by_number(frame: pd.DataFrame, response: str, called: str, terms: list[str]) -> list[tuple[Label, Number]]:
    """Return one, two and more changes against none, and a second one against the first."""
    fit = _fit(frame, response, [*NUMBERS], terms)
    rows = [(_beside(each, called, each), _ratio(fit, each, frame, response)) for each in NUMBERS]
    name = "second_against_first_change"
    if fit is not None and {*NUMBERS[:2]} <= set(fit.terms):
        contrast = fit.contrast({NUMBERS[1]: 1.0, NUMBERS[0]: -1.0}, name=name)
        number = from_tidy(contrast.tidy(), name, fit, ratio=True)
    else:
        number = Number(n=len(frame))
    return [*rows, (_beside(name, called, name), number)]


def _washouts(
    frame: pd.DataFrame, response: str, called: str, terms: list[str], washout: int, main: Any
) -> list[tuple[Label, Number]]:
    """Return the first change with other wash-outs; shorter ones than that of the episodes cannot be had from them."""
    rows = []
    for days in WASHOUTS:
        name = f"first_change_{days}"
        # Risk begins later for everyone alike: so many days after the first measurement.
        at_risk = frame[frame["stop"] > days]
        if days == washout:
            number = _ratio(main, "first_change", frame, response)
        else:
            fit = _fit(at_risk, response, [name], terms) if days > washout else None
            number = _ratio(fit, name, at_risk, response)
        rows.append((_beside(name, called, name), number))
    return rows


def period_indicators(frame: pd.DataFrame, response: str) -> pd.DataFrame:
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


def _fit(frame: pd.DataFrame, response: str, exposures: list[str], terms: list[str]) -> Any:
    """Fit a discrete hazard, None where the data cannot give one."""
    from bipstudy import models

    weights = weight_column(frame)
    used = frame[[response, *exposures, *terms, *CLUSTERS, *weights]]
    words = formula(response, exposures, terms)
    return attempt(
        lambda: models.discrete_hazard(
            used, words, weights=weights[0] if weights else None, cluster=CLUSTERS, person="participant"
        )
    )


def _ratio(fit: Any, term: str, frame: pd.DataFrame, response: str) -> Number:
    """Return the hazard ratio of an exposure, if it varies."""
    if fit is None:
        return Number(n=len(frame), events=int(frame[response].sum()))
    return from_tidy(fit.tidy(), term, fit, ratio=True) if term in fit.terms else Number(n=len(frame))


def _score(fit: Any, frame: pd.DataFrame, background: list[str]) -> Any:
    """Return the part of the linear predictor that is the background's; what has no finite coefficient adds nothing."""
    if fit is None:
        return np.zeros(len(frame))
    weights = fit.coef.reindex(background).to_numpy(dtype=np.float64)
    return frame[background].to_numpy(dtype=np.float64) @ np.where(np.isfinite(weights), weights, 0.0)


def _share_with_change(study: Study, outcome: str) -> tuple[Label, Number]:
    """Return the share with at least one change until the transition or the end of follow-up."""
    label = Label(NAME, "share_with_change", "share", "caseworker_change", "first_change", benchmark="R4")
    followed = history(study, outcome)
    table = study.participants
    own = (table["organisation_id"] + "/" + table["participant_id"]).to_numpy(dtype=object)
    clusters = np.where(pd.isna(followed.first_caseworker), own, followed.first_caseworker)
    return label, share(values=followed.with_change, clusters=clusters)
