"""One case per sentence on transitions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from panel_studies import make_study

from bipstudy import build_episodes, build_panel, schema, simulate_study
from bipstudy.panel.coding import code_study
from bipstudy.panel.outcomes import join_spells, read_records

FIRST = {"answered_on": "2020-02-01", "job_search": 3}


def person(outcomes: list[dict[str, Any]], outcome: str = "primary", **participant: Any) -> pd.DataFrame:
    """Episodes without a wash-out of one person measured on 2020-02-01 and observed until 2022-12-31."""
    study = make_study(
        participants=[{"participant_id": "1", "observed_until": "2022-12-31", **participant}],
        measurements=[FIRST],
        outcomes=outcomes,
    )
    return build_episodes(study, outcome=outcome, washout_days=0)


def end(frame: pd.DataFrame) -> tuple[str, int, str | None]:
    """Day of the end, cause there, and reason."""
    last = frame.iloc[-1]
    day = pd.Timestamp("2020-02-01") + pd.Timedelta(days=int(last["stop"]))
    reason = None if pd.isna(last["end_reason"]) else last["end_reason"]
    return f"{day:%Y-%m-%d}", int(last["cause"]), reason


def left_out(frame: pd.DataFrame) -> list[str]:
    return [e["step"] for e in frame.attrs["flow"] if e["kind"] == "left_out" and e["rows"]]


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("work_unsubsidised", {"narrow": 1, "primary": 1, "broad": 1}),
        ("self_employment", {"narrow": 1, "primary": 1, "broad": 1}),
        ("work_subsidised", {"narrow": 0, "primary": 1, "broad": 1}),
        ("work_unknown", {"narrow": 0, "primary": 1, "broad": 1}),
        ("study_qualifying", {"narrow": 0, "primary": 2, "broad": 2}),
        ("study_other", {"narrow": 0, "primary": 0, "broad": 2}),
        ("reserved_employment", {"narrow": 0, "primary": 0, "broad": 1}),
        ("work_training", {"narrow": 0, "primary": 0, "broad": 0}),
    ],
)
def test_each_definition_has_its_statuses_and_causes(status: str, cause: dict[str, int]) -> None:
    spell = {"status": status, "start": "2020-05-01", "end": "2020-08-31"}
    assert {name: end(person([spell], name))[1] for name in cause} == cause


@pytest.mark.parametrize(("last", "counts"), [("2020-05-27", False), ("2020-05-28", True)])
def test_twenty_eight_days_are_needed_except_in_broad(last: str, counts: bool) -> None:
    spell = {"start": "2020-05-01", "end": last}
    assert (end(person([spell], "narrow"))[1] == 1) is counts
    assert (end(person([spell], "primary"))[1] == 1) is counts
    assert end(person([spell], "broad"))[:2] == ("2020-05-01", 1)


@pytest.mark.parametrize(("second", "counts"), [("2020-05-15", True), ("2020-05-10", True), ("2020-05-16", False)])
def test_spells_that_touch_or_overlap_are_one(second: str, counts: bool) -> None:
    spells = [
        {"start": "2020-05-01", "end": "2020-05-14", "status": "study_qualifying"},
        {"start": second, "end": "2020-05-28", "status": "work_subsidised"},
    ]
    result = end(person(spells))
    # Two weeks and two weeks make a month only without a day between; the cause is that of the first.
    assert result[:2] == (("2020-05-01", 2) if counts else ("2022-12-03", 0))


def test_a_spell_of_another_definition_does_not_join() -> None:
    spells = [
        {"start": "2020-05-01", "end": "2020-05-14", "status": "work_unsubsidised"},
        {"start": "2020-05-15", "end": "2020-09-30", "status": "study_other"},
    ]
    assert end(person(spells, "primary"))[1] == 0
    assert end(person(spells, "broad"))[:2] == ("2020-05-01", 1)


@pytest.mark.parametrize(
    ("start", "last", "lasted", "verdict"),
    [
        ("2020-05", "2020-07", None, "yes"),  # at least 2020-05-31 to 2020-07-01
        ("2020-05", "2020-06", None, "unknown"),  # two days or two months
        ("2020-05", "2020-05-20", None, "no"),
        ("2020-05", "2020-06", "yes", "yes"),
        ("2020-05", "2020-06", "no", "no"),
        ("2020-05", "2020-07", "no", "yes"),  # the dates know better
        ("2020-05", "2020-05-20", "yes", "no"),
        ("2020-05-01", None, None, "unknown"),
        ("2020-05-01", None, "yes", "yes"),
        ("2020-05-01", None, "no", "no"),
        ("2020-05-01", None, "unknown", "unknown"),
    ],
)
def test_length_is_known_if_every_reading_agrees_else_as_reported(
    start: str, last: str | None, lasted: str | None, verdict: str
) -> None:
    spell = {"start": start, "end": last, "lasted_a_month": lasted}
    result = end(person([spell]))
    expected = {
        "yes": ("2020-05-01", 1, None),
        "no": ("2022-12-03", 0, "extract_end"),
        "unknown": ("2020-04-30", 0, "unknown_length"),
    }
    assert result == expected[verdict]
    assert end(person([spell], "broad"))[:2] == ("2020-05-01", 1)


@pytest.mark.parametrize("start", ["2020-05-01", "2020-05", "2020-Q2"])
@pytest.mark.parametrize("last", ["2020-05-05", "2020-06-20", "2020-05", "2020-06", "2020-08", "2020-Q2"])
@pytest.mark.parametrize("lasted", ["yes", "no", None])
def test_length_of_one_spell_against_every_reading(start: str, last: str, lasted: str | None) -> None:
    study = make_study(outcomes=[{"start": start, "end": last, "lasted_a_month": lasted}])
    row = study.outcomes.iloc[0]
    lengths = {(e - s).days + 1 for s, e in itertools.product(_readings(row, "start"), _readings(row, "end")) if e >= s}
    records = read_records(study, code_study(study), 28)
    if not lengths:
        assert not len(records.person)
        return
    every = {length >= 28 for length in lengths}
    expected = 2 * every.pop() if len(every) == 1 else {"yes": 2, "no": 0, None: 1}[lasted]
    assert records.length.tolist() == [expected]


def _readings(row: pd.Series, name: str) -> pd.DatetimeIndex:
    months = {"day": 0, "month": 1, "quarter": 3}[row[f"{name}_precision"]]
    last = row[name] + pd.DateOffset(months=months) - pd.Timedelta(days=1) if months else row[name]
    return pd.date_range(row[name], last)


@pytest.mark.parametrize(
    ("later", "status"),
    [("2020-05-20", "work_unsubsidised"), ("2021-02-01", "work_unsubsidised"), ("2021-02-01", "study_qualifying")],
)
def test_a_later_spell_does_not_tell_how_long_one_without_an_end_was(later: str, status: str) -> None:
    # By one reading the first lasted a day, by another it ran into the second: its length is unknown.
    spells = [{"start": "2020-05-01"}, {"start": later, "end": "2022-01-31", "status": status}]
    assert end(person(spells)) == ("2020-04-30", 0, "unknown_length")
    assert end(person([{"start": "2020-05-01", "lasted_a_month": "yes"}, spells[1]])) == ("2020-05-01", 1, None)
    assert end(person(spells, "broad")) == ("2020-05-01", 1, None)
    # Where the second begins the day after, they touch by every reading.
    assert end(person([{"start": "2020-05-01"}, {**spells[1], "start": "2020-05-02"}]))[:2] == ("2020-05-01", 1)


@pytest.mark.parametrize("seed", range(40))
def test_joined_imprecise_spells_are_only_judged_where_every_reading_agrees(seed: int) -> None:
    random = np.random.default_rng(seed)
    spells = []
    for number in range(2):
        first = pd.Timestamp("2020-05-01") + pd.Timedelta(days=int(random.integers(0, 40)))
        last = first + pd.Timedelta(days=int(random.integers(0, 30)))
        imprecise = random.integers(0, 3) == number
        spells.append({"start": f"{first:%Y-%m-%d}", "end": f"{last:%Y-%m}" if imprecise else f"{last:%Y-%m-%d}"})
    study = make_study(outcomes=spells)
    definition = schema.transition("primary")
    joined = join_spells(read_records(study, code_study(study), 28), definition)
    dates = [
        [(s, e) for s in _readings(row, "start") for e in _readings(row, "end") if e >= s]
        for _, row in study.outcomes.iterrows()
    ]
    every = {_longest(reading) >= 28 for reading in itertools.product(*dates)}
    if joined.counts.any():
        assert every == {True}
    elif not joined.unknown.any():
        assert every == {False}


def _longest(spells: tuple[tuple[pd.Timestamp, pd.Timestamp], ...]) -> int:
    days = sorted({day for first, last in spells for day in pd.date_range(first, last)})
    longest = run = 1
    for before, after in itertools.pairwise(days):
        run = run + 1 if (after - before).days == 1 else 1
        longest = max(longest, run)
    return longest


def test_a_day_that_may_lie_anywhere_in_a_month_joins_nothing_surely() -> None:
    # Only if the day in the middle was 2020-05-16 is this a month.
    spells = [
        {"start": "2020-05-01", "end": "2020-05-15"},
        {"start": "2020-05", "end": "2020-05"},
        {"start": "2020-05-17", "end": "2020-05-30"},
    ]
    assert end(person(spells)) == ("2020-04-30", 0, "unknown_length")


@pytest.mark.parametrize("reason", ["extract_end", "moved", "lost"])
def test_follow_up_ends_twenty_eight_days_before_observation_for_everybody(reason: str) -> None:
    assert end(person([], observed_until_reason=reason)) == ("2022-12-03", 0, reason)
    assert end(person([], "narrow", observed_until_reason=reason))[0] == "2022-12-03"
    # Without a minimum length there is no reason to stop early.
    assert end(person([], "broad", observed_until_reason=reason)) == ("2022-12-31", 0, reason)


@pytest.mark.parametrize(("start", "cause"), [("2022-12-03", 1), ("2022-12-04", 0)])
def test_what_begins_in_the_last_twenty_eight_days_is_not_counted(start: str, cause: int) -> None:
    assert end(person([{"start": start, "ongoing": True}])) == ("2022-12-03", cause, None if cause else "extract_end")


@pytest.mark.parametrize("reason", ["died", "retired", "permanent_sickness_benefit"])
def test_competing_events(reason: str) -> None:
    assert end(person([], observed_until_reason=reason)) == ("2022-12-31", 3, None)
    spell = {"start": "2022-11-01", "end": "2022-12-31"}
    assert end(person([spell], observed_until_reason=reason)) == ("2022-11-01", 1, None)


def test_programme_only_ends_at_left_on_if_earlier() -> None:
    assert end(person([], outcome_follow_up="programme_only", left_on="2021-06-01")) == (
        "2021-06-01",
        0,
        "left_programme",
    )
    # After leaving nobody would know of a death either.
    gone = person([], outcome_follow_up="programme_only", left_on="2021-06-01", observed_until_reason="died")
    assert end(gone) == ("2021-06-01", 0, "left_programme")
    later = person([], outcome_follow_up="programme_only", left_on="2022-12-20")
    assert end(later) == ("2022-12-03", 0, "extract_end")
    assert end(person([], outcome_follow_up="programme_only"))[0] == "2022-12-03"
    assert end(person([], outcome_follow_up="register", left_on="2021-06-01"))[0] == "2022-12-03"


def test_who_is_in_work_at_the_first_measurement_is_not_at_risk_while_it_runs() -> None:
    spells = [{"start": "2020-01-15", "end": "2020-06-30"}, {"start": "2021-01-01", "end": "2021-03-31"}]
    episodes = person(spells)
    assert episodes["start"].iloc[0] == (pd.Timestamp("2020-06-30") - pd.Timestamp("2020-02-01")).days
    assert end(episodes) == ("2021-01-01", 1, None)
    counts = {entry["step"]: (entry["kind"], entry["participants"], entry["rows"]) for entry in episodes.attrs["flow"]}
    assert counts["in_status_at_start"] == ("left_out", 1, 1)
    assert counts["after_status"] == ("late", 1, 1)
    assert counts["at_risk"] == ("kept", 1, 1)
    still = person([{"start": "2020-01-15", "ongoing": True}])
    assert still.empty
    assert left_out(still) == ["in_status_at_start"]


@pytest.mark.parametrize("washout", [0, 30])
def test_everybody_who_comes_in_late_is_in_the_flow(washout: int) -> None:
    study, _ = simulate_study(participants=600, seed=4, scenario="danish_twin")
    episodes = build_episodes(study, washout_days=washout)
    late = int((episodes.groupby("participant")["start"].min() > washout).sum())
    assert late > 3
    lines = [entry for entry in episodes.attrs["flow"] if entry["kind"] == "late"]
    assert [(line["participants"], line["rows"]) for line in lines] == [(late, late)]
    started, *between, kept = episodes.attrs["flow"]
    for count in ("participants", "rows"):
        gone = sum(entry[count] * (-1 if entry["kind"] == "late" else 1) for entry in between)
        assert started[count] - gone == kept[count]


def test_a_spell_that_begins_on_the_day_of_the_first_measurement_already_runs() -> None:
    assert left_out(person([{"start": "2020-02-01", "ongoing": True}])) == ["in_status_at_start"]
    spells = [{"start": "2020-02-01", "end": "2020-06-30"}, {"start": "2021-01-01", "end": "2021-03-31"}]
    assert end(person(spells)) == ("2021-01-01", 1, None)


def test_a_spell_of_the_month_of_the_first_measurement_has_no_order_and_is_not_later() -> None:
    assert left_out(person([{"start": "2020-02", "ongoing": True}])) == ["in_status_at_start"]


def test_a_spell_that_is_over_at_the_first_measurement_changes_nothing() -> None:
    pd.testing.assert_frame_equal(person([{"start": "2019-01-01", "end": "2020-01-31"}]), person([]))


def test_a_short_job_at_the_first_measurement_is_no_such_status() -> None:
    pd.testing.assert_frame_equal(person([{"start": "2020-01-25", "end": "2020-02-10"}]), person([]))


def test_a_spell_of_unknown_length_that_may_run_at_the_first_measurement_leaves_nobody_at_risk() -> None:
    assert left_out(person([{"start": "2020-01-15"}])) == ["after_follow_up"]


SAME_DAYS = {"start": "2020-05-01", "end": "2020-08-31"}


def test_the_higher_source_holds_for_what_both_know() -> None:
    short = {"start": "2020-05-01", "end": "2020-05-20", "source": "register"}
    assert end(person([short, {**SAME_DAYS, "source": "caseworker"}]))[1] == 0
    later = {"start": "2020-05-10", "end": "2020-08-31", "source": "follow_up_system"}
    assert end(person([later, {**SAME_DAYS, "source": "self_report"}]))[0] == "2020-05-10"
    training = {**SAME_DAYS, "status": "work_training", "source": "register"}
    assert end(person([training, {**SAME_DAYS, "source": "self_report"}]))[1] == 0


def test_what_only_a_lower_source_knows_counts() -> None:
    register = {"start": "2021-05-01", "end": "2021-08-31", "source": "register"}
    assert end(person([register, {**SAME_DAYS, "source": "self_report"}]))[0] == "2020-05-01"
    study = {**SAME_DAYS, "status": "study_qualifying", "source": "register"}
    # Work beside studies: the register knows of the studies only.
    assert end(person([study, {**SAME_DAYS, "source": "caseworker"}], "narrow"))[:2] == ("2020-05-01", 1)


def test_sources_are_ranked_from_the_top_down() -> None:
    spells = [
        {"start": "2020-05-01", "end": "2020-05-10", "source": "register"},
        {"start": "2020-05-05", "end": "2020-06-10", "source": "follow_up_system"},
        {"start": "2020-06-01", "end": "2020-09-10", "source": "caseworker"},
    ]
    # The middle one is the register's spell; the last meets nothing that holds.
    assert end(person(spells))[0] == "2020-06-01"


def test_lost_contact_is_never_no_transition() -> None:
    study = make_study(
        participants=[{"participant_id": "1", "observed_until": "2020-09-01", "observed_until_reason": "lost"}],
        measurements=[FIRST],
    )
    row = build_panel(study).iloc[0]
    assert np.isnan(row["y"])
    assert not row["y_known"]
    assert row["end_reason"] == "lost"


@pytest.mark.parametrize(
    ("spell", "participant", "y", "cause", "stop"),
    [
        ({"start": "2020-03-02", "end": "2020-06-01"}, {}, None, None, None),  # day 30: in the wash-out
        ({"start": "2020-03-03", "end": "2020-06-01"}, {}, 1, 1, 31),
        ({"start": "2021-01-31", "end": "2021-06-01"}, {}, 1, 1, 365),
        ({"start": "2021-02-01", "end": "2021-06-01"}, {}, 0, 0, 365),
        (None, {"observed_until": "2021-02-28"}, 0, 0, 365),  # 28 days less is day 365
        (None, {"observed_until": "2021-02-27"}, np.nan, 0, 364),
        (None, {"observed_until": "2021-01-31", "observed_until_reason": "died"}, 0, 3, 365),
        (None, {"observed_until": "2021-02-01", "observed_until_reason": "died"}, 0, 0, 365),
        (None, {"observed_until": "2020-03-02", "observed_until_reason": "died"}, None, None, None),
        ({"start": "2020-06-01"}, {}, np.nan, 0, 120),  # unknown length, known up to the day before
        ({"start": "2021-02-01"}, {}, 0, 0, 365),
        ({"start": "2021-01-31"}, {}, np.nan, 0, 364),
    ],
)
def test_y_within_the_horizon(
    spell: dict[str, Any] | None, participant: dict[str, Any], y: float | None, cause: int, stop: int
) -> None:
    study = make_study(
        participants=[{"participant_id": "1", **participant}],
        measurements=[FIRST],
        outcomes=[spell] if spell else [],
    )
    panel = build_panel(study)
    if y is None:
        assert panel.empty
        assert sum(e["rows"] for e in panel.attrs["flow"] if e["step"].endswith("_in_washout")) == 1
        return
    row = panel.iloc[0]
    assert np.array_equal([row["y"]], [y], equal_nan=True)
    assert (row["cause"], row["start"], row["stop"]) == (cause, 30, stop)


def test_rows_are_never_deleted_by_looking_back_from_a_transition() -> None:
    forms = [{**FIRST, "occasion": k, "answered_on": f"2020-0{k + 1}-01"} for k in range(1, 6)]
    study = make_study(measurements=forms, outcomes=[{"start": "2020-06-20", "end": "2020-12-31"}])
    panel = build_panel(study)
    # The occasion of 2020-06-01 lies within the wash-out; all before it stay.
    assert panel["occasion"].tolist() == [1, 2, 3, 4]
    assert panel["y"].tolist() == [1, 1, 1, 1]


def test_without_outcomes_nothing_is_known_of_transitions() -> None:
    study = make_study(measurements=[FIRST])
    study = type(study)(tables=study.tables, sent=study.sent - {"outcomes"})
    assert build_panel(study)["y"].isna().all()
