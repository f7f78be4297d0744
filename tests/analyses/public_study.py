"""A study made from data that nobody here made: mgus2 of R's survival package in the tables of a study.

1,384 people with a benign blood disorder, followed to a malignancy, to death or to the end. Nothing in it is about
work; it has what matters here, two competing ways to leave, at known times. In our tables the malignancy is a
transition into unsubsidised work, death is death, a month is 30 days, and the diagnosis is the first measurement:

- ``participants``: `sex`; `age_group` 55+ from the age of 70, else 45-54; `observed_until` is the day of death, or 28
  days after the last one known, since a transition counts only if it can be seen to last 28 days;
- ``measurements``: one form on the first day, its answer made of the haemoglobin, which no analysis here uses;
- ``outcomes``: the malignancy as a spell that goes on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bipstudy.study import Study

REFERENCE = Path(__file__).parents[1] / "reference"
FIRST_DAY = pd.Timestamp("1960-01-01")
LASTS = 28


def read_public_study() -> Study:
    """Return mgus2 as a study."""
    data = pd.read_csv(REFERENCE / "mgus2.csv")
    day = 30 * np.where(data["pstat"] == 1, data["ptime"], data["futime"])
    data = data.assign(day=day)[day > 0].reset_index(drop=True)
    person = data["id"].astype(str)
    died = (data["pstat"] == 0) & (data["death"] == 1)
    malignant = data["pstat"] == 1
    # Who has the transition is followed well beyond it.
    until = data["day"].where(died, data["day"] + LASTS).where(~malignant, data["day"] + 400)
    keys = {"organisation_id": "mayo", "participant_id": person}
    participants = pd.DataFrame(
        {
            **keys,
            **_date("entered_on", FIRST_DAY, len(data)),
            "sex": data["sex"].map({"F": "woman", "M": "man"}),
            "age_group": np.where(data["age"] >= 70, "55+", "45-54"),
            "outcome_follow_up": "register",
            **_date("observed_until", FIRST_DAY + pd.to_timedelta(until, unit="D"), len(data)),
            "observed_until_reason": np.where(died, "died", "extract_end"),
        }
    )
    measurements = pd.DataFrame(
        {
            **keys,
            "occasion": 1,
            "respondent": "participant",
            "instrument": "bip-default",
            "caseworker_id": None,
            **_date("answered_on", FIRST_DAY, len(data)),
            "form_status": "answered",
            "health_coping": data["hgb"].fillna(13).clip(9, 16).sub(8).floordiv(2).add(1).astype(int),
        }
    )
    events = data[malignant]
    outcomes = pd.DataFrame(
        {
            "organisation_id": "mayo",
            "participant_id": events["id"].astype(str),
            "outcome_id": events["id"].astype(str),
            "status": "work_unsubsidised",
            **_date("start", FIRST_DAY + pd.to_timedelta(events["day"], unit="D"), len(events)),
            "ongoing": True,
            "source": "register",
        }
    )
    organisations = pd.DataFrame({"organisation_id": ["mayo"], "name": ["Mayo"], "kind": ["agency"]})
    tables = {"participants": participants, "measurements": measurements, "outcomes": outcomes}
    return Study.from_tables({"organisations": organisations, **tables})


def _date(name: str, days: object, count: int) -> dict[str, object]:
    """Return a date column with its precision."""
    values = pd.Series(days if isinstance(days, pd.Series) else [days] * count)
    return {name: values.astype("datetime64[s]").to_numpy(), f"{name}_precision": "day"}
