"""Quarters around a departure that few participants or caseworkers carry are not estimated."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses.common import CLUSTER

departures = sys.modules["bipstudy.analyses.departures"]


@pytest.mark.parametrize(
    ("participants", "caseworkers", "carried"), [(10, 5, True), (9, 5, False), (30, 4, False), (40, 8, True)]
)
def test_a_quarter_needs_participants_and_caseworkers(participants: int, caseworkers: int, carried: bool) -> None:
    # Each participant answers twice in the quarter: occasions are not participants.
    person = np.repeat(np.arange(participants), 2)
    there = pd.DataFrame({"participant": person, CLUSTER: person % caseworkers, "after": 1.0})
    others = pd.DataFrame({"participant": np.arange(100, 300), CLUSTER: np.arange(200) % 50, "after": 0.0})
    assert departures._carried(pd.concat([there, others], ignore_index=True), ["after"]) == carried


def test_a_small_study_says_nothing_that_a_handful_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the example study no quarter has enough; the fit itself would give intervals for some."""
    study = bip.load_example()
    found = bip.analyses.continuity(study).estimates
    own = found[found["contrast"].str.startswith("departure_") & ~found["contrast"].isin(["departure_after"])]
    assert own["estimate"].isna().sum() > 0
    monkeypatch.setattr(departures, "FEWEST_PARTICIPANTS", 1)
    monkeypatch.setattr(departures, "FEWEST_CASEWORKERS", 1)
    unguarded = bip.analyses.continuity(study).estimates
    lost = found["estimate"].isna() & unguarded["estimate"].notna()
    assert lost.any()
    assert set(found.loc[lost, "adjustment"]) <= {"participant_quarter", "background"}
    assert set(found.loc[lost, "scale"]) == {"sd"}
    # What is estimated is what it was.
    pd.testing.assert_frame_equal(found[~lost], unguarded[~lost])
