"""One case per sentence on the order of time, and what must not change when the future does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panel_strategies import studies
from panel_studies import big_study, make_study

from bipstudy import Study, build_episodes, build_panel, build_states
from bipstudy.texts import BipstudyError

# What a row may know of its own past and present; outcomes and changes to come are not among them.
EXPOSURES = [
    "caseworker",
    "answering_caseworker",
    "belief",
    "optimism",
    "caseload",
    "changes_so_far",
    "first_change",
    "months_with_caseworker",
    "caseworker_gap_days",
    "activity",
    "focus_job",
    "focus_health",
    "focus_social",
    "gap_days",
    "p_job_search",
    "c_job_search_raw",
    "p_job_search_change_before",
    "months_since_entry",
]


def forms(*dates: str, respondent: str = "participant", **answers: Any) -> list[dict[str, Any]]:
    return [
        {"occasion": number, "answered_on": date, "respondent": respondent, **answers}
        for number, date in enumerate(dates, 1)
    ]


@pytest.mark.parametrize(("second", "day"), [("2020-03-16", "2020-03-16"), ("2020-03-18", "2020-02-01")])
def test_an_occasion_is_of_the_later_of_forms_within_forty_five_days(second: str, day: str) -> None:
    study = make_study(
        measurements=[
            *forms("2020-02-01", job_search=2),
            *forms(second, respondent="caseworker", job_search=4, caseworker_id="c"),
        ]
    )
    panel = build_panel(study)
    assert panel["answered_on"].tolist() == [pd.Timestamp(day)]
    paired = day == second
    assert panel["p_job_search"].tolist() == [25.0]
    assert np.array_equal(panel["c_job_search"], [75.0 if paired else np.nan], equal_nan=True)
    assert panel.attrs["settings"]["forms_unpaired"] == (not paired)


def test_the_first_measurement_is_the_first_occasion_with_an_answered_form() -> None:
    study = make_study(
        measurements=[
            {"occasion": 1, "form_status": "declined", "answered_on": "2020-02-01"},
            {"occasion": 2, "answered_on": "2020-05-01"},
            {"occasion": 3, "answered_on": "2020-08-01"},
        ]
    )
    panel = build_panel(study)
    assert panel["occasion"].tolist() == [2, 3]
    assert panel["first_measurement"].tolist() == [True, False]
    assert build_episodes(study)["start"].iloc[0] == 30


def test_an_answer_known_to_the_month_counts_from_its_last_day() -> None:
    panel = build_panel(make_study(measurements=forms("2020-02")))
    assert panel["answered_on"].tolist() == [pd.Timestamp("2020-02-29")]
    spell = {"start": "2020-03-25", "end": "2020-12-31"}
    # From 2020-02-01 on this would be after the wash-out; from the last day it may be, it is not.
    assert build_panel(make_study(measurements=forms("2020-02"), outcomes=[spell])).empty


def test_a_change_counts_in_the_panel_if_it_came_before_the_answer() -> None:
    assignments = [
        {"caseworker_id": "c", "start": "2020-01-01", "end": "2020-04-30"},
        {"caseworker_id": "d", "start": "2020-05-01"},
    ]
    study = make_study(measurements=forms("2020-04-30", "2020-05-01"), assignments=assignments)
    panel = build_panel(study)
    assert panel["changes_so_far"].tolist() == [0, 1]
    assert panel["caseworker"].tolist() == ["a/c", "a/d"]
    assert panel["months_with_caseworker"].iloc[1] == 0


def test_in_episodes_a_change_counts_from_the_wash_out_after_it() -> None:
    # Cuts lie at days 91 and 183 after 2020-02-01.
    for day, counts in ((91 - 30, True), (91 - 29, False)):
        start = dt.date(2020, 2, 1) + dt.timedelta(day)
        assignments = [
            {"caseworker_id": "c", "start": "2020-01-01", "end": (start - dt.timedelta(1)).isoformat()},
            {"caseworker_id": "d", "start": start.isoformat()},
        ]
        episodes = build_episodes(make_study(measurements=forms("2020-02-01"), assignments=assignments))
        assert episodes["start"].tolist()[:3] == [30, 91, 183]
        assert episodes["first_change"].tolist()[:3] == [0, float(counts), 1]


def test_in_episodes_an_answer_counts_from_the_wash_out_after_it() -> None:
    later = [(dt.date(2020, 2, 1) + dt.timedelta(day)).isoformat() for day in (0, 61, 154)]
    episodes = build_episodes(make_study(measurements=forms(*later, job_search=3)))
    assert episodes["occasion"].tolist()[:4] == [1, 2, 2, 3]
    entry = build_episodes(make_study(measurements=forms(later[0], job_search=3)), origin="entry")
    # Measured 31 days after entry, known from day 61 on: not to the row that begins on day 0, but to that of day 91.
    assert entry["occasion"].isna().tolist()[:2] == [True, False]


def test_activity_is_that_of_the_interval_that_has_ended() -> None:
    activities = [
        {"start": "2020-01-11", "end": "2020-01-20", "focus": "health"},
        {"start": "2020-02-01", "end": "2020-02-15", "focus": "job", "second_focus": "social"},
        {"start": "2020-02-02", "end": "2020-02-15", "focus": "study"},
        {"start": "2020-05-01", "end": "2020-12-31", "focus": "skills"},
    ]
    panel = build_panel(make_study(measurements=forms("2020-02-01", "2020-05-01"), activities=activities))
    assert panel["activity"].tolist() == ["single", "parallel"]
    assert panel["gap_days"].tolist() == [31 - 10, 90 - 15]
    # Ten days of January are 10 of 31; in the interval from February 1 to May 1 there are 90 days.
    for focus, days in {
        "health": [10, 0],
        "job": [0, 15],
        "social": [0, 15],
        "study": [0, 14],
        "skills": [0, 0],
    }.items():
        assert panel[f"focus_{focus}"].tolist() == pytest.approx([days[0] / 31, days[1] / 90])


@pytest.mark.parametrize(("last", "kind"), [("2020-02-14", "single"), ("2020-02-15", "parallel")])
def test_parallel_takes_fourteen_days_side_by_side(last: str, kind: str) -> None:
    activities = [{"start": "2020-01-15", "end": "2020-03-31"}, {"start": "2020-02-02", "end": last}]
    panel = build_panel(make_study(measurements=forms("2020-02-01", "2020-05-01"), activities=activities))
    assert panel["activity"].iloc[1] == kind


def test_activities_registered_by_mistake_do_not_count() -> None:
    activities = [{"start": "2020-01-02", "end": "2020-01-31", "end_reason": "misregistered"}]
    panel = build_panel(make_study(measurements=forms("2020-02-01"), activities=activities))
    assert panel["activity"].tolist() == ["none"]


def test_nothing_is_said_of_tables_that_an_organisation_did_not_send() -> None:
    study = make_study(
        participants=[{"participant_id": "1"}, {"participant_id": "1", "organisation_id": "b"}],
        measurements=[
            *forms("2020-02-01", "2020-05-01", respondent="caseworker", caseworker_id="c"),
            {"organisation_id": "b", "respondent": "caseworker", "caseworker_id": "c", "answered_on": "2020-02-01"},
            {
                "organisation_id": "b",
                "occasion": 2,
                "respondent": "caseworker",
                "caseworker_id": "d",
                "answered_on": "2020-05-01",
            },
        ],
        activities=[{"start": "2020-01-02", "end": "2020-01-20"}],
        assignments=[{"caseworker_id": "c", "start": "2020-01-01"}],
    )
    panel = build_panel(study)
    own, other = panel[panel["organisation_id"] == "a"], panel[panel["organisation_id"] == "b"]
    assert own["activity"].tolist() == ["single", "none"]
    assert other[["activity", "gap_days", "focus_job", "caseload", "caseworker_gap_days"]].isna().all(axis=None)
    # Without assignments a change is read off the forms, roughly.
    assert other["changes_so_far"].tolist() == [0, 1]
    assert own["changes_so_far"].tolist() == [0, 0]


def test_caseworker_is_the_main_one_that_day_else_the_one_on_the_form() -> None:
    assignments = [
        {"caseworker_id": "main", "start": "2020-03-01", "end": "2020-03-31"},
        {"caseworker_id": "helper", "start": "2020-01-01", "responsibility": "other"},
    ]
    dates = ("2020-02-01", "2020-03-15", "2020-05-01")
    measurements = [
        *forms(*dates, caseworker_id="receiver"),
        *forms(*dates[:2], respondent="caseworker", caseworker_id="answers", caseworker_belief=5),
    ]
    panel = build_panel(make_study(measurements=measurements, assignments=assignments))
    assert panel["caseworker"].tolist() == ["a/answers", "a/main", "a/receiver"]
    assert panel["answering_caseworker"].tolist()[:2] == ["a/answers", "a/answers"]
    assert panel["answering_caseworker"].isna().tolist() == [False, False, True]
    assert panel["belief"].tolist()[:2] == [100, 100]


def test_the_same_caseworker_after_a_gap_is_no_change() -> None:
    assignments = [
        {"caseworker_id": "c", "start": "2020-01-01", "end": "2020-01-10"},
        {"caseworker_id": "c", "start": "2020-01-21", "end": "2020-02-29"},
        {"caseworker_id": "d", "start": "2020-03-01", "end": "2020-03-31"},
        {"caseworker_id": "c", "start": "2020-04-01"},
    ]
    dates = ("2020-02-01", "2020-03-15", "2020-04-11")
    panel = build_panel(make_study(measurements=forms(*dates), assignments=assignments))
    assert panel["changes_so_far"].tolist() == [0, 1, 2]
    assert panel["caseworker_gap_days"].tolist() == [10, 10, 10]
    month = 365.25 / 12
    assert panel["months_with_caseworker"].tolist() == pytest.approx([31 / month, 14 / month, 10 / month])


def test_caseload_counts_those_with_the_same_main_caseworker_that_day() -> None:
    people = [{"participant_id": str(number)} for number in range(4)] + [
        {"participant_id": "0", "organisation_id": "b"}
    ]
    assignments = [
        {"participant_id": "0", "caseworker_id": "c", "start": "2020-01-01"},
        {"participant_id": "1", "caseworker_id": "c", "start": "2020-01-01", "end": "2020-01-31"},
        {"participant_id": "2", "caseworker_id": "c", "start": "2020-01-01", "end": "2020-02-01"},
        {"participant_id": "3", "caseworker_id": "c", "start": "2020-02-02"},
        {"participant_id": "0", "organisation_id": "b", "caseworker_id": "c", "start": "2020-01-01"},
    ]
    study = make_study(
        participants=people,
        assignments=assignments,
        measurements=[
            {"participant_id": "0", "answered_on": "2020-02-01"},
            {"participant_id": "0", "answered_on": "2020-02-01", "organisation_id": "b"},
        ],
    )
    assert build_panel(study)["caseload"].tolist() == [2, 1]


def test_optimism_is_of_five_others_measured_earlier() -> None:
    def drawn(others: int, day: str = "2020-02-01", **index: Any) -> float:
        people = [{"participant_id": str(number)} for number in range(others + 1)]
        given = [
            {"participant_id": str(number), "answered_on": day, "caseworker_belief": 1 + number % 5}
            for number in range(1, others + 1)
        ]
        mine = {"participant_id": "0", "answered_on": "2020-02-02", "caseworker_belief": 5, **index}
        measurements = [{"respondent": "caseworker", "caseworker_id": "c", **form} for form in [mine, *given]]
        panel = build_panel(make_study(participants=people, measurements=measurements))
        return float(panel.loc[panel["participant"] == "a/0", "optimism"].iloc[0])

    assert drawn(5) == np.mean([25, 50, 75, 100, 0])
    assert np.isnan(drawn(4))
    assert np.isnan(drawn(5, day="2020-02-02"))  # not earlier
    assert np.isnan(drawn(5, caseworker_id="d"))  # another caseworker
    assert np.isnan(drawn(5, answered_on="2020-02"))  # may have been on the same day
    assert drawn(6) == np.mean([25, 50, 75, 100, 0, 25])


def test_change_is_per_quarter_and_stops_at_the_transition() -> None:
    measurements = [
        {"occasion": number, "answered_on": date, "job_search": answer}
        for number, date, answer in ((1, "2020-02-01", 1), (2, "2020-08-01", 3), (3, "2020-11-01", 4))
    ]
    spread = {"participant_id": "2", "answered_on": "2020-02-01", "job_search": 5}
    people = [{"participant_id": "1"}, {"participant_id": "2"}]
    study = make_study(participants=people, measurements=[*measurements, spread])
    panel = build_panel(study)
    mine = panel[panel["participant"] == "a/1"]
    quarters = 182 / (365.25 / 4), 92 / (365.25 / 4)
    expected = [50 / quarters[0], 25 / quarters[1], np.nan]
    assert mine["p_job_search_change"].tolist() == pytest.approx(expected, nan_ok=True)
    assert mine["p_job_search_change_before"].tolist() == pytest.approx([np.nan, *expected[:2]], nan_ok=True)
    # Two first answers, 0 and 100, have a standard deviation of 100 over the root of two.
    assert mine["progression"].tolist()[:2] == pytest.approx([each / (100 / np.sqrt(2)) for each in expected[:2]])
    worked = make_study(
        participants=people,
        measurements=[*measurements, spread],
        outcomes=[{"start": "2020-10-01", "end": "2021-01-01"}],
    )
    after = build_panel(worked)
    assert after[after["participant"] == "a/1"]["p_job_search_change"].tolist() == pytest.approx(
        [expected[0], np.nan], nan_ok=True
    )


def _cut(study: Study, day: pd.Timestamp) -> Study:
    """The study as it would be had nothing after a day been written down, except how long people were followed."""
    tables = dict(study.tables)
    began = {"measurements": "answered_on", "assignments": "start", "activities": "start", "outcomes": "start"}
    people = tables["participants"].copy()
    gone = people[people["left_on"] <= day]
    for name, column in began.items():
        frame = tables[name]
        frame = frame[frame[column] <= day].copy()
        if "end" in frame:
            # What ended later was still running; of who had left the programme, it would be taken to end with that.
            running = (frame["end"] > day).to_numpy(dtype=bool) & ~_of(frame, gone)
            frame.loc[running, ["end", "end_precision"]] = None
            frame.loc[running, "ongoing"] = True
        tables[name] = frame.reset_index(drop=True)
    left = (people["left_on"] > day).to_numpy(dtype=bool)
    people.loc[left, ["left_on", "left_on_precision"]] = None
    tables["participants"] = people
    return Study(tables=tables, sent=study.sent)


def _of(frame: pd.DataFrame, people: pd.DataFrame) -> Any:
    """Say which rows belong to the people named."""
    keys = ["organisation_id", "participant_id"]
    return pd.MultiIndex.from_frame(frame[keys]).isin(pd.MultiIndex.from_frame(people[keys]))


def _halfway(study: Study, day: pd.Timestamp) -> set[str]:
    """Participants with an occasion of which one form came by the day and another after it."""
    keys = ["organisation_id", "participant_id", "occasion"]
    dates = study.measurements.groupby(keys)["answered_on"].agg(["min", "max"]).reset_index()
    rows = dates[(dates["min"] <= day) & (dates["max"] > day)]
    return set(rows["organisation_id"] + "/" + rows["participant_id"])


def _exposures(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return frame.set_index(keys)[[column for column in EXPOSURES if column in frame]]


def _sending(study: Study) -> set[str]:
    """Organisations that have sent assignments and activities; before, nobody can tell that they will."""
    return set(study.assignments["organisation_id"]) & set(study.activities["organisation_id"])


def _assert_known_then(now: pd.DataFrame, then: pd.DataFrame) -> None:
    shared = now.index.intersection(then.index)
    pd.testing.assert_frame_equal(now.loc[shared], then.loc[shared])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(study=studies(), days=st.integers(60, 400), outcome=st.sampled_from(["primary", "broad"]))
def test_what_comes_after_a_day_changes_no_exposure_before_it(study: Study, days: int, outcome: str) -> None:
    day = pd.Timestamp("2020-01-01") + pd.Timedelta(days=days)
    past = _cut(study, day)
    sending = _sending(past)
    now, then = build_panel(study, outcome=outcome), build_panel(past, outcome=outcome)
    now, then = (each[each["organisation_id"].isin(sending)] for each in (now, then))
    keys = ["participant", "occasion"]
    # A form of the occasion that came later moves the occasion itself; what was complete by the day stays.
    complete = now["answered_on"] <= day
    _assert_known_then(_exposures(now[complete], keys), _exposures(then, keys))
    now, then = (build_episodes(each, outcome=outcome, origin="entry", step_months=1) for each in (study, past))
    now, then = (each[each["organisation_id"].isin(sending)] for each in (now, then))
    # An occasion is dated by its later form: it becomes known later, never earlier, when another form comes.
    now = now[~now["participant"].isin(_halfway(study, day))]
    begins = now["entered_on"] + pd.to_timedelta(now["start"], unit="D")
    keys = ["participant", "start"]
    _assert_known_then(_exposures(now[begins - pd.Timedelta(days=30) <= day], keys), _exposures(then, keys))


def test_shifting_what_comes_later_changes_nothing_in_earlier_rows() -> None:
    study = big_study(900, seed=3)
    day = pd.Timestamp("2020-10-01")
    tables = {name: study.tables[name].copy() for name in study.sent}
    for name, column in (("measurements", "answered_on"), ("assignments", "start"), ("activities", "start")):
        later = (tables[name][column] > day).to_numpy(dtype=bool)
        for each in {column, "end"} & set(tables[name].columns):
            tables[name].loc[later, each] += pd.Timedelta(days=17)
    shifted = build_panel(Study.from_tables(tables))
    panel = build_panel(study)
    earlier = panel["answered_on"] <= day
    assert 200 < earlier.sum() < len(panel)
    columns = [column for column in panel if not column.endswith("_change") and column != "progression"]
    assert len(columns) > 80
    # Weights and standard deviations are of the whole study, and so is who is at risk to stand for others.
    columns = [column for column in columns if column not in ("ipcw", "progression_before")]
    keys = ["participant", "occasion"]
    _assert_known_then(panel.loc[earlier, columns].set_index(keys), shifted[columns].set_index(keys))
    assert earlier.sum() == (shifted["answered_on"] <= day).sum()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"outcome": "wide"}, "schema.unknown_definition"),
        ({"horizon_months": 0}, "panel.bad_number"),
        ({"horizon_months": float("nan")}, "panel.bad_number"),
        ({"horizon_months": "12"}, "panel.bad_number"),
        ({"washout_days": -1}, "panel.bad_days"),
        ({"washout_days": 30.5}, "panel.bad_days"),
        ({"washout_days": True}, "panel.bad_days"),
        ({"horizon_months": 1, "washout_days": 30}, "panel.washout_beyond_horizon"),
    ],
)
def test_the_panel_refuses_what_it_cannot_do(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(BipstudyError) as raised:
        build_panel(make_study(), **arguments)
    assert raised.value.code == code
    assert raised.value.message("sv") != raised.value.message("en")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"outcome": "wide"}, "schema.unknown_definition"),
        ({"origin": "birth"}, "panel.bad_origin"),
        ({"step_months": 0}, "panel.bad_number"),
        ({"washout_days": -1}, "panel.bad_days"),
    ],
)
def test_episodes_refuse_what_they_cannot_do(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(BipstudyError) as raised:
        build_episodes(make_study(), **arguments)
    assert raised.value.code == code


def test_transitions_need_outcomes() -> None:
    study = make_study()
    study = Study(tables=study.tables, sent=study.sent - {"outcomes"})
    for build in (build_episodes, build_states):
        with pytest.raises(BipstudyError) as raised:
            build(study)
        assert raised.value.code == "panel.no_outcomes"


def test_a_study_without_forms_has_empty_frames_with_all_columns() -> None:
    empty, full = make_study(), make_study(measurements=forms("2020-02-01"))
    assert build_panel(empty).empty
    assert list(build_panel(empty).columns) == list(build_panel(full).columns)
    assert build_episodes(empty).empty
    assert dict(build_episodes(empty).dtypes) == dict(build_episodes(full).dtypes)
    assert dict(build_panel(empty).dtypes) == dict(build_panel(full).dtypes)
