"""A small valid study, made by hand so that each rule has something to look at and nothing to find."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest

from bipstudy import schema
from bipstudy.study import Study

ORGANISATION = "forbund-a"
PERSONS = ("101", "102", "103")
# Every case and every example, however long it takes.
WHOLE = os.environ.get("BIPSTUDY_WHOLE") == "1"


def sampled(cases: Iterable[Any], step: int = 3) -> list[Any]:
    """Return some cases for the normal suite and as many for certification; the others only when all are asked for."""
    return [
        case if number % step == 0 else pytest.param(case, marks=pytest.mark.certify)
        for number, case in enumerate(cases)
        if WHOLE or number % step < 2
    ]


def _day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def tables() -> dict[str, pd.DataFrame]:
    """Return the canonical tables, in the order of the lists below."""
    built = {
        "organisations": _organisations(),
        "participants": _participants(),
        "caseworkers": _caseworkers(),
        "trainings": _trainings(),
        "assignments": _assignments(),
        "measurements": _measurements(),
        "missing_answers": _missing_answers(),
        "activities": _activities(),
        "outcomes": _outcomes(),
    }
    return {name: schema.conform(name, frame, sort=False) for name, frame in built.items()}


def study(changed: dict[str, pd.DataFrame] | None = None) -> Study:
    """Return the tables as a study, some of them changed, in the order given (not sorted by key)."""
    every = tables() | (changed or {})
    return Study(tables=every, sent=frozenset(every))


def _organisations() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organisation_id": [ORGANISATION],
            "name": ["Samordningsförbundet A"],
            "kind": ["coordination_association"],
            "joined_on": [_day("2023-01-01")],
        }
    )


def _participants() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organisation_id": ORGANISATION,
            "participant_id": list(PERSONS),
            "unit_id": ["norr", "norr", "syd"],
            "entered_on": [_day("2024-01-10"), _day("2024-01-15"), _day("2024-02-01")],
            "sex": ["woman", "man", "unknown"],
            "age_group": ["16-24", "25-34", "55+"],
            "months_since_work": [3, None, 48],
            "work_or_study_share_5y": [0.5, 0.0, None],
            "left_on": [None, _day("2024-10-01"), None],
            "left_reason": [None, "to_work", None],
            "outcome_follow_up": "register",
            "observed_until": _day("2024-12-31"),
            "observed_until_reason": "extract_end",
        }
    )


def _caseworkers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organisation_id": ORGANISATION,
            "caseworker_id": ["7", "8"],
            "role": ["municipal", "employment_service"],
            "in_role_since": [2015, 2019],
        }
    )


def _trainings() -> pd.DataFrame:
    return pd.DataFrame(
        {"organisation_id": ORGANISATION, "caseworker_id": ["7"], "kind": ["basic"], "held_on": [_day("2023-11-01")]}
    )


def _assignments() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organisation_id": ORGANISATION,
            "participant_id": ["101", "101", "102", "102", "103"],
            "caseworker_id": ["7", "8", "7", "8", "8"],
            "start": list(map(_day, ["2024-01-10", "2024-06-01", "2024-01-15", "2024-02-01", "2024-02-01"])),
            "end": [_day("2024-06-01"), None, _day("2024-10-01"), _day("2024-03-01"), None],
            "ongoing": [False, True, False, False, None],
            "responsibility": ["main", "main", "main", "other", "main"],
            "change_reason": ["caseworker_left", None, None, None, None],
        }
    )


def _measurements() -> pd.DataFrame:
    asked = {who: schema.instrument().asked_of(who) for who in ("participant", "caseworker")}
    rows = []
    for person in PERSONS:
        for occasion, day in enumerate(["2024-02-15", "2024-05-15", "2024-08-14"], start=1):
            for respondent, after in (("participant", 0), ("caseworker", 5)):
                row = {
                    "organisation_id": ORGANISATION,
                    "participant_id": person,
                    "occasion": occasion,
                    "respondent": respondent,
                    "instrument": schema.DEFAULT_INSTRUMENT,
                    "caseworker_id": "7" if respondent == "caseworker" else None,
                    "answered_on": _day(day) + pd.Timedelta(days=after),
                    "due_on": _day(day),
                    "form_status": "answered",
                    "mode": "alone",
                    **{item: 2 + (place + occasion) % 3 for place, item in enumerate(asked[respondent])},
                }
                rows.append(row)
    frame = pd.DataFrame(rows)
    answers = list(schema.items())
    # One declined form with its date, one that was never done, one without two of its answers.
    frame.loc[frame.index[-1], "form_status"] = "declined"
    frame.loc[frame.index[-2], ["form_status", "answered_on"]] = ["not_reached", None]
    frame.loc[frame.index[-2:], answers] = None
    frame.loc[frame.index[0], ["job_search", "cooperation"]] = None
    return frame


def _missing_answers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organisation_id": ORGANISATION,
            "participant_id": "101",
            "occasion": 1,
            "respondent": "participant",
            "instrument": schema.DEFAULT_INSTRUMENT,
            "item": ["job_search", "cooperation"],
            "reason": ["dont_know", "declined"],
        }
    )


def _activities() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organisation_id": ORGANISATION,
            "participant_id": ["101", "101", "102"],
            "activity_id": ["1", "2", "1"],
            "focus": ["job", "health", "skills"],
            "start": list(map(_day, ["2024-02-01", "2024-03-01", "2024-02-01"])),
            "planned_end": [_day("2025-06-01"), None, None],
            "end": [None, _day("2024-05-31"), _day("2024-05-01")],
            "ongoing": [True, False, False],
            "hours_per_week": [10, 7.5, 40],
        }
    )


def _outcomes() -> pd.DataFrame:
    # 102 begins work after the last answer; 103 was in work already at entry, which is nothing to remark on.
    return pd.DataFrame(
        {
            "organisation_id": ORGANISATION,
            "participant_id": ["102", "103", "101"],
            "outcome_id": ["1", "1", "1"],
            "status": ["work_subsidised", "work_unsubsidised", "work_training"],
            "start": list(map(_day, ["2024-10-01", "2023-11-01", "2024-03-01"])),
            "end": [None, _day("2024-03-31"), _day("2024-04-30")],
            "ongoing": [True, False, False],
            "extent_percent": [75, 100, None],
            "source": ["register", "register", "caseworker"],
        }
    )
