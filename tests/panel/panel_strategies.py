"""Small random studies: a handful of people in two organisations that use the same local ids."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st
from panel_studies import make_study

from bipstudy import Study

FIRST = dt.date(2020, 1, 1)


@st.composite
def date(draw: st.DrawFn, low: int, high: int) -> str:
    """A date as sent, mostly to the day."""
    day = FIRST + dt.timedelta(draw(st.integers(low, high)))
    kind = draw(st.sampled_from(["day", "day", "day", "day", "month", "quarter"]))
    if kind == "day":
        return day.isoformat()
    return f"{day:%Y-%m}" if kind == "month" else f"{day.year}-Q{(day.month + 2) // 3}"


def _later(start: str, days: int) -> str:
    """The first day of what a date may be, some days on, to the day: never before the start's last day."""
    first = (
        dt.date(int(start[:4]), 3 * int(start[-1]) - 2, 1)
        if "Q" in start
        else dt.date.fromisoformat(start if len(start) == 10 else f"{start}-01")
    )
    beyond = 0 if len(start) == 10 else 31 if "Q" not in start else 92
    return (first + dt.timedelta(days + beyond)).isoformat()


@st.composite
def participants(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(1, 7))):
        entered = draw(st.integers(0, 60))
        row: dict[str, Any] = {
            "organisation_id": draw(st.sampled_from(["a", "b"])),
            "participant_id": str(number // 2),
            "entered_on": (FIRST + dt.timedelta(entered)).isoformat(),
            "observed_until": draw(date(60, 700)),
            "observed_until_reason": draw(st.sampled_from(["extract_end", "extract_end", "moved", "died", "lost"])),
            "outcome_follow_up": draw(st.sampled_from(["register", "register", "programme_only"])),
            "sex": draw(st.sampled_from(["woman", "man"])),
        }
        if draw(st.booleans()):
            row["left_on"] = draw(date(70, 500))
        found.append(row)
    unique = {(row["organisation_id"], row["participant_id"]): row for row in found}
    return list(unique.values())


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """A study with everything in it."""
    people = draw(participants())
    keys = [{name: row[name] for name in ("organisation_id", "participant_id")} for row in people]
    forms, outcomes, activities, assignments = [], [], [], []
    answer = st.one_of(st.none(), st.integers(1, 5))
    for key in keys:
        for occasion in range(1, draw(st.integers(0, 3)) + 1):
            for respondent in draw(st.sampled_from([["participant"], ["caseworker"], ["participant", "caseworker"]])):
                form = {
                    **key,
                    "occasion": occasion,
                    "respondent": respondent,
                    "caseworker_id": draw(st.sampled_from(["1", "2", None])),
                    "answered_on": draw(date(60 + occasion * 60, 130 + occasion * 60)),
                    "job_search": draw(answer),
                }
                if respondent == "caseworker":
                    form["caseworker_belief"] = draw(st.integers(1, 5))
                forms.append(form)
        for number in range(draw(st.integers(0, 3))):
            start = draw(date(-30, 600))
            kind = draw(st.sampled_from(["dated", "dated", "ongoing", "open"]))
            outcomes.append(
                {
                    **key,
                    "outcome_id": str(number),
                    "status": draw(
                        st.sampled_from(["work_unsubsidised", "study_qualifying", "study_other", "work_training"])
                    ),
                    "start": start,
                    "end": _later(start, draw(st.integers(0, 60))) if kind == "dated" else None,
                    "ongoing": kind == "ongoing",
                    "lasted_a_month": draw(st.sampled_from(["yes", "no", "unknown", None])),
                    "source": draw(st.sampled_from(["register", "follow_up_system", "caseworker", "self_report"])),
                }
            )
        for number in range(draw(st.integers(0, 3))):
            start = draw(date(0, 300))
            activities.append(
                {
                    **key,
                    "activity_id": str(number),
                    "focus": draw(st.sampled_from(["job", "study", "health"])),
                    "second_focus": draw(st.sampled_from([None, "job", "social"])),
                    "start": start,
                    "end": draw(st.one_of(st.none(), st.integers(0, 90).map(lambda days, s=start: _later(s, days)))),
                    "planned_end": draw(st.one_of(st.none(), st.just(_later(start, 40)))),
                    "ongoing": draw(st.booleans()),
                    "end_reason": draw(st.sampled_from([None, "completed", "misregistered"])),
                }
            )
        starts = draw(st.lists(st.integers(0, 400), max_size=4, unique=True).map(sorted))
        for start in starts:
            begun = (FIRST + dt.timedelta(start)).isoformat()
            assignments.append(
                {
                    **key,
                    "caseworker_id": draw(st.sampled_from(["1", "2", "3"])),
                    "start": begun,
                    "end": draw(st.one_of(st.none(), st.integers(0, 120).map(lambda days, s=begun: _later(s, days)))),
                    "responsibility": draw(st.sampled_from(["main", "main", "other"])),
                }
            )
    return make_study(
        participants=people, measurements=forms, outcomes=outcomes, activities=activities, assignments=assignments
    )
