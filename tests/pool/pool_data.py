"""Small submissions for the pool, and a report that lets them pass or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bipstudy import schema
from bipstudy.loaders import Submission, load_submission


@dataclass(frozen=True)
class Verdict:
    """What the pool asks of a report."""

    ok: bool = True
    findings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"severity": ["warning", "note", "note"]}))


def tables(organisation: str = "A", people: int = 3) -> dict[str, pd.DataFrame]:
    """Return canonical tables of an organisation."""
    persons = [f"{number:03d}" for number in range(people)]
    participants = pd.DataFrame(
        {
            "organisation_id": organisation,
            "participant_id": persons,
            "entered_on": pd.Timestamp("2024-01-10"),
            "sex": "woman",
            "age_group": "25-34",
            "work_or_study_share_5y": 0.25,
            "outcome_follow_up": "register",
            "observed_until": pd.Timestamp("2024-12-31"),
            "observed_until_reason": "extract_end",
        }
    )
    forms = participants[["organisation_id", "participant_id"]].merge(
        pd.DataFrame({"respondent": ["participant", "caseworker"]}), how="cross"
    )
    forms = forms.assign(
        occasion=1,
        instrument="bip-default",
        caseworker_id="7",
        answered_on=pd.Timestamp("2024-02-01"),
        form_status="answered",
    )
    for name, item in schema.items().items():
        forms[name] = pd.array([3 if who in item.respondents else None for who in forms["respondent"]], dtype="Int64")
    assignments = participants[["organisation_id", "participant_id"]].assign(
        caseworker_id="7", start=pd.Timestamp("2024-01-10"), responsibility="main"
    )
    caseworkers = pd.DataFrame({"organisation_id": [organisation], "caseworker_id": ["7"]})
    built = {
        "participants": participants,
        "caseworkers": caseworkers,
        "measurements": forms,
        "assignments": assignments,
    }
    return {name: schema.conform(name, frame) for name, frame in built.items()}


def write(folder: Path, frames: dict[str, pd.DataFrame]) -> Path:
    """Write tables as a canonical folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def submission(folder: Path, frames: dict[str, pd.DataFrame]) -> Submission:
    """Return tables as they come from files."""
    loaded = load_submission(write(folder, frames))
    assert loaded.findings == []
    return loaded
