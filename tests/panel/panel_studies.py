"""Small studies for the panel's tests: tables written row by row, with what does not matter filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import Study

DEFAULTS: dict[str, dict[str, Any]] = {
    "organisations": {"name": "A", "kind": "municipality"},
    "participants": {
        "organisation_id": "a",
        "entered_on": "2020-01-01",
        "sex": "woman",
        "age_group": "25-34",
        "outcome_follow_up": "register",
        "observed_until": "2023-01-01",
        "observed_until_reason": "extract_end",
    },
    "caseworkers": {"organisation_id": "a"},
    "trainings": {"organisation_id": "a"},
    "assignments": {"organisation_id": "a", "participant_id": "1", "responsibility": "main"},
    "measurements": {
        "organisation_id": "a",
        "participant_id": "1",
        "occasion": 1,
        "respondent": "participant",
        "instrument": "bip-default",
        "caseworker_id": None,
        "form_status": "answered",
    },
    "missing_answers": {"organisation_id": "a", "participant_id": "1", "instrument": "bip-default"},
    "activities": {"organisation_id": "a", "participant_id": "1", "focus": "job"},
    "outcomes": {"organisation_id": "a", "participant_id": "1", "status": "work_unsubsidised", "source": "register"},
}
COUNTED = {"activities": "activity_id", "outcomes": "outcome_id"}


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table from rows; a date such as 2020-03 or 2020-Q1 gets its precision, an id its running number."""
    filled = []
    for number, row in enumerate(rows):
        full = {**DEFAULTS[name], **({COUNTED[name]: str(number)} if name in COUNTED else {}), **row}
        for column, value in list(full.items()):
            if isinstance(value, str) and column in DATES:
                full[column], full[f"{column}_precision"] = parse(value)
        filled.append(full)
    frame = pd.DataFrame(filled)
    for column in DATES & set(frame.columns):
        frame[column] = frame[column].astype("datetime64[s]")
    return frame


DATES = {"entered_on", "left_on", "observed_until", "start", "end", "planned_end", "answered_on", "due_on", "held_on"}


def parse(value: str) -> tuple[pd.Timestamp, str]:
    if "Q" in value:
        year, quarter = value.split("-Q")
        return pd.Timestamp(int(year), 3 * int(quarter) - 2, 1), "quarter"
    return pd.Timestamp(value), "month" if len(value) == 7 else "day"


def make_study(**tables: Sequence[Mapping[str, Any]]) -> Study:
    """A study from rows by table; one participant and no outcomes unless said otherwise."""
    rows = {"participants": [{"participant_id": "1"}], "measurements": [], "outcomes": [], **tables}
    organisations = sorted({row.get("organisation_id", "a") for row in rows["participants"]})
    rows.setdefault("organisations", [{"organisation_id": each} for each in organisations])
    frames = {name: table(name, each) for name, each in rows.items() if each}
    study = Study.from_tables(frames)
    return Study(tables=study.tables, sent=frozenset(rows))


def big_study(participants: int, seed: int = 1) -> Study:
    """A study of any size with everything in it, drawn without a model."""
    random = np.random.default_rng(seed)
    day = np.datetime64("2020-01-01", "s")
    one = np.timedelta64(86400, "s")
    ids = np.arange(participants)
    organisation = np.char.add("o", (ids % 6).astype(str))
    entered = random.integers(0, 500, participants)
    people = {
        "organisation_id": organisation,
        "participant_id": ids.astype(str),
        "entered_on": day + entered * one,
        "sex": random.choice(["woman", "man"], participants),
        "age_group": random.choice(["16-24", "25-34", "35-44"], participants),
        "outcome_follow_up": "register",
        "observed_until": day + np.minimum(entered + random.integers(200, 2000, participants), 1400) * one,
        "observed_until_reason": random.choice(["extract_end", "moved", "lost", "died"], participants),
    }
    who = np.repeat(ids, 5)
    occasion = np.tile(np.arange(1, 6), participants)
    keep = random.random(len(who)) < 0.5
    who, occasion = who[keep], occasion[keep]
    forms = []
    for respondent in ("participant", "caseworker"):
        answers = {item: random.integers(1, 6, len(who)) for item in ITEMS[respondent]}
        forms.append(
            pd.DataFrame(
                {
                    "organisation_id": organisation[who],
                    "participant_id": who.astype(str),
                    "occasion": occasion,
                    "respondent": respondent,
                    "instrument": "bip-default",
                    "caseworker_id": (who % 300 // 6 + random.integers(0, 2, len(who))).astype(str),
                    "answered_on": day + (entered[who] + occasion * 91 + random.integers(0, 9, len(who))) * one,
                    "form_status": "answered",
                    **answers,
                }
            )
        )
    twice = np.repeat(ids, 2)
    second = np.tile([0, 1], participants)
    start = entered[twice] + second * 200
    assigned = {
        "organisation_id": organisation[twice],
        "participant_id": twice.astype(str),
        "caseworker_id": (twice % 300 // 6 + second).astype(str),
        "start": day + start * one,
        "end": day + (start + 190) * one,
        "responsibility": "main",
    }
    active = random.integers(0, participants, participants * 2)
    begins = entered[active] + random.integers(0, 400, len(active))
    activity = {
        "organisation_id": organisation[active],
        "participant_id": active.astype(str),
        "activity_id": np.arange(len(active)).astype(str),
        "focus": random.choice(["job", "study", "skills", "health", "social"], len(active)),
        "start": day + begins * one,
        "end": day + (begins + random.integers(1, 120, len(active))) * one,
    }
    works = random.integers(0, participants, participants // 3)
    begins = entered[works] + random.integers(0, 1000, len(works))
    outcome = {
        "organisation_id": organisation[works],
        "participant_id": works.astype(str),
        "outcome_id": np.arange(len(works)).astype(str),
        "status": random.choice(["work_unsubsidised", "study_qualifying", "work_training"], len(works)),
        "start": day + begins * one,
        "end": day + (begins + random.integers(1, 300, len(works))) * one,
        "source": random.choice(["register", "caseworker"], len(works)),
    }
    return Study.from_tables(
        {
            "participants": pd.DataFrame(people),
            "measurements": pd.concat(forms, ignore_index=True),
            "assignments": pd.DataFrame(assigned),
            "activities": pd.DataFrame(activity),
            "outcomes": pd.DataFrame(outcome),
        }
    )


def _items() -> dict[str, list[str]]:
    from bipstudy import schema

    return {who: schema.instrument().asked_of(who) for who in ("participant", "caseworker")}


ITEMS = _items()
