"""Panel and episodes against the definitions walked day by day, on random small studies."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import panel_reference as reference
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panel_strategies import studies

from bipstudy import Study, build_episodes, build_panel
from bipstudy.panel import exposures

slow = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def _few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "OTHERS", 1)
    monkeypatch.setattr(exposures, "OPTIMISM_OTHERS", 1)


def same(ours: Any, theirs: Any, what: str) -> None:
    if theirs is None or (isinstance(theirs, float) and math.isnan(theirs)):
        assert pd.isna(ours), what
    elif isinstance(theirs, float):
        # Both sum the same few numbers in another order.
        assert math.isclose(ours, theirs, abs_tol=1e-9), (what, ours, theirs)
    else:
        assert ours == theirs, (what, ours, theirs)


def label(key: tuple[str, str], who: str | None) -> str | None:
    return f"{key[0]}/{who}" if who else None


CONTINUITY = ["changes_so_far", "first_change", "months_with_caseworker", "caseworker_gap_days", "caseload"]
ACTIVITY = ["activity", "gap_days", "focus_job", "focus_study", "focus_skills", "focus_health", "focus_social"]


@slow
@given(
    study=studies(),
    outcome=st.sampled_from(["narrow", "primary", "broad"]),
    horizon=st.sampled_from([(6, 183), (12, 365)]),
    washout=st.sampled_from([0, 30, 60]),
)
def test_panel_is_as_defined(study: Study, outcome: str, horizon: tuple[int, int], washout: int) -> None:
    ours = build_panel(study, outcome=outcome, horizon_months=horizon[0], washout_days=washout)
    theirs, flow = reference.panel(study, outcome, horizon[1], washout)
    assert len(ours) == len(theirs)
    for mine, row in zip(ours.to_dict("records"), theirs, strict=True):
        key = row["key"]
        same(mine["participant"], f"{key[0]}/{key[1]}", "participant")
        same(mine["occasion"], row["occasion"], "occasion")
        same((mine["answered_on"].date() - reference.ZERO).days, row["answered"], "answered_on")
        same(mine["caseworker"], label(key, row["who"]), "caseworker")
        same(mine["answering_caseworker"], label(key, row["answering"]), "answering_caseworker")
        for column in ("p_job_search", "c_job_search"):
            same(mine[column], row.get(column, math.nan), column)
        same(mine["belief"], row.get("c_caseworker_belief", math.nan), "belief")
        for column in [*CONTINUITY, *ACTIVITY, "optimism", "y", "cause", "stop", "end_reason"]:
            same(mine[column], row[column], column)
        assert mine["y_known"] == (not math.isnan(row["y"]))
        assert mine["event"] == (row["y"] == 1)
    left_out = {e["step"]: e["rows"] for e in ours.attrs["flow"] if e["kind"] == "left_out" and e["rows"]}
    left_out.pop("no_answered_form", None)
    assert left_out == flow


@slow
@given(
    study=studies(),
    outcome=st.sampled_from(["narrow", "primary", "broad"]),
    origin=st.sampled_from(["first_measurement", "entry"]),
    step=st.sampled_from([1, 3, 6]),
    washout=st.sampled_from([0, 30, 60]),
)
def test_episodes_are_as_defined(study: Study, outcome: str, origin: str, step: int, washout: int) -> None:
    ours = build_episodes(study, outcome=outcome, origin=origin, step_months=step, washout_days=washout)
    theirs = reference.episodes(study, outcome, origin, step * 365.25 / 12, washout)
    assert len(ours) == len(theirs)
    for mine, row in zip(ours.to_dict("records"), theirs, strict=True):
        key = row["key"]
        same(mine["participant"], f"{key[0]}/{key[1]}", "participant")
        same(mine["caseworker"], label(key, row["who"]), "caseworker")
        for column in ["period", "start", "stop", "cause", "occasion", "belief", "p_job_search", "optimism"]:
            same(mine[column], row[column], column)
        for column in [*CONTINUITY, *ACTIVITY]:
            same(mine[column], row[column], column)
        assert mine["event"] == (row["cause"] in (1, 2))


@slow
@given(study=studies(), outcome=st.sampled_from(["narrow", "primary", "broad"]))
def test_flows_add_up(study: Study, outcome: str) -> None:
    for frame in (build_panel(study, outcome=outcome), build_episodes(study, outcome=outcome)):
        flow = frame.attrs["flow"]
        for count in ("participants", "rows"):
            start, *between, kept = ((entry["kind"], entry[count]) for entry in flow)
            assert {kind for kind, _ in between} <= {"left_out", "late"}
            assert start[1] - sum(-size if kind == "late" else size for kind, size in between) == kept[1]
            assert min(size for _, size in between) >= 0
        assert flow[0]["participants"] == len(study.participants)
        assert flow[-1]["participants"] == frame["participant"].nunique()
    assert build_panel(study, outcome=outcome).attrs["flow"][-1]["rows"] == len(build_panel(study, outcome=outcome))
