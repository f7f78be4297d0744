"""A valid study with one thing wrong gives exactly the finding of that rule, at that place, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_study import ORGANISATION, sampled, study, tables

import bipstudy as bip
from bipstudy import schema
from bipstudy.schema import folder, read_yaml
from bipstudy.validation.rules import CHECKS

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """One change, and the code, table, column and rows (as in a file) of what it gives."""

    name: str
    change: Callable[[Tables], None]
    code: str
    table: str
    column: str | None
    rows: tuple[int, ...]
    status: str = "invalid"


def put(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    """Return a change of some cells of one row, counted from 0."""

    def change(frames: Tables) -> None:
        for column, value in values.items():
            frames[table].loc[row, column] = value

    return change


def both(*changes: Callable[[Tables], None]) -> Callable[[Tables], None]:
    """Return several changes as one."""

    def change(frames: Tables) -> None:
        for each in changes:
            each(frames)

    return change


def repeat(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    """Return a change that adds a row once more, with some cells changed."""

    def change(frames: Tables) -> None:
        again = frames[table].iloc[[row]].copy()
        frames[table] = pd.concat([frames[table], again], ignore_index=True)
        put(table, len(frames[table]) - 1, **values)(frames)

    return change


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


# Row 2 of a file is row 0 of its table.
CASES = [
    Case("no entry", put("participants", 0, entered_on=pd.NaT), "missing-value", "participants", "entered_on", (2,)),
    Case("no focus", put("activities", 2, focus=None), "missing-value", "activities", "focus", (4,)),
    Case("strange sex", put("participants", 1, sex="girl"), "unknown-code", "participants", "sex", (3,)),
    Case(
        "strange precision",
        put("trainings", 0, held_on_precision="about"),
        "unknown-code",
        "trainings",
        "held_on_precision",
        (2,),
    ),
    Case(
        "too many hours",
        put("activities", 1, hours_per_week=120.0),
        "out-of-bounds",
        "activities",
        "hours_per_week",
        (3,),
    ),
    Case(
        "negative share",
        put("participants", 2, work_or_study_share_5y=-0.1),
        "out-of-bounds",
        "participants",
        "work_or_study_share_5y",
        (4,),
    ),
    Case("participant twice", repeat("participants", 1), "duplicate-key", "participants", None, (5,)),
    Case(
        "form twice", repeat("measurements", 4, job_search=2), "two-answers-for-one-form", "measurements", None, (20,)
    ),
    Case(
        "organisation of a caseworker",
        repeat("caseworkers", 0, organisation_id="forbund-b"),
        "unknown-organisation",
        "caseworkers",
        "organisation_id",
        (4,),
    ),
    Case(
        "activity of nobody",
        repeat("activities", 0, participant_id="0101"),
        "unknown-participant",
        "activities",
        "participant_id",
        (5,),
    ),
    Case(
        "training of nobody",
        put("trainings", 0, caseworker_id="9"),
        "unknown-caseworker",
        "trainings",
        "caseworker_id",
        (2,),
    ),
    Case(
        "caseworker of a form",
        put("measurements", 3, caseworker_id="07"),
        "unknown-caseworker",
        "measurements",
        "caseworker_id",
        (5,),
    ),
    Case("reason on no form", repeat("missing_answers", 0, occasion=9), "unknown-form", "missing_answers", None, (4,)),
    Case(
        "unknown instrument",
        put("measurements", 7, instrument="bip-defualt"),
        "unknown-instrument",
        "measurements",
        "instrument",
        (9,),
    ),
    Case(
        "unknown item", repeat("missing_answers", 0, item="question 3"), "unknown-item", "missing_answers", "item", (4,)
    ),
    Case(
        "item of the other respondent",
        repeat("missing_answers", 0, item="caseworker_belief"),
        "unknown-item",
        "missing_answers",
        "item",
        (4,),
    ),
    Case(
        "activity ends early",
        put("activities", 1, end=day("2024-02-29")),
        "end-before-start",
        "activities",
        "end",
        (3,),
    ),
    Case("outcome ends early", put("outcomes", 2, end=day("2024-02-01")), "end-before-start", "outcomes", "end", (4,)),
    Case(
        "assignment ends early",
        put("assignments", 3, end=day("2024-01-31")),
        "end-before-start",
        "assignments",
        "end",
        (5,),
    ),
    Case(
        "ends in the month it starts",
        put("activities", 1, end=day("2024-03-01"), end_precision="month", start=day("2024-03-10")),
        "end-before-start",
        "activities",
        "end",
        (3,),
        "unchecked",
    ),
    Case(
        "planned end early",
        put("activities", 0, planned_end=day("2024-01-31")),
        "planned-end-before-start",
        "activities",
        "planned_end",
        (2,),
    ),
    Case("ongoing with end", put("activities", 2, ongoing=True), "ongoing-with-end", "activities", "ongoing", (4,)),
    Case(
        "left early",
        put("participants", 1, left_on=day("2024-01-14")),
        "left-before-entered",
        "participants",
        "left_on",
        (3,),
    ),
    Case(
        "observed early",
        put("participants", 0, observed_until=day("2024-01-09")),
        "observed-until-before-entry",
        "participants",
        "observed_until",
        (2,),
    ),
    Case(
        "answered before entry",
        put("participants", 2, entered_on=day("2024-02-16")),
        "answer-before-entry",
        "measurements",
        "answered_on",
        (14,),
    ),
    Case(
        "entered in the month of the answers",
        put("participants", 2, entered_on=day("2024-02-01"), entered_on_precision="month"),
        "answer-before-entry",
        "measurements",
        "answered_on",
        (14, 15),
        "unchecked",
    ),
    Case(
        "two main caseworkers",
        put("assignments", 3, responsibility="main"),
        "two-main-assignments",
        "assignments",
        "start",
        (5,),
    ),
    Case(
        "handover in a month",
        put("assignments", 1, start=day("2024-05-01"), start_precision="quarter"),
        "two-main-assignments",
        "assignments",
        "start",
        (3,),
        "unchecked",
    ),
    Case(
        "off the scale",
        put("measurements", 5, cooperation=6),
        "answer-outside-scale",
        "measurements",
        "cooperation",
        (7,),
    ),
    Case("zero", put("measurements", 8, self_belief=0), "answer-outside-scale", "measurements", "self_belief", (10,)),
    Case(
        "belief of the participant",
        put("measurements", 2, caseworker_belief=4),
        "item-of-wrong-respondent",
        "measurements",
        "caseworker_belief",
        (4,),
    ),
    Case(
        "answered without date",
        put("measurements", 9, answered_on=pd.NaT, answered_on_precision=None),
        "answered-without-date",
        "measurements",
        "answered_on",
        (11,),
    ),
    Case(
        "declined without date",
        put("measurements", 17, answered_on=pd.NaT, answered_on_precision=None),
        "answered-without-date",
        "measurements",
        "answered_on",
        (19,),
    ),
    Case(
        "answered without answers",
        put("measurements", 10, **dict.fromkeys(schema.items(), pd.NA)),
        "answered-without-answer",
        "measurements",
        "form_status",
        (12,),
    ),
    Case(
        "answers on a declined form",
        put("measurements", 17, job_search=3),
        "answers-on-unanswered-form",
        "measurements",
        "form_status",
        (19,),
    ),
    Case(
        "date on a form not reached",
        put("measurements", 16, answered_on=day("2024-08-14"), answered_on_precision="day"),
        "date-on-form-not-done",
        "measurements",
        "answered_on",
        (18,),
    ),
    Case(
        "caseworker's form of nobody",
        put("measurements", 1, caseworker_id=None),
        "caseworker-form-without-caseworker",
        "measurements",
        "caseworker_id",
        (3,),
    ),
    Case(
        "missing answer that is there",
        put("measurements", 0, job_search=3),
        "missing-answer-has-answer",
        "missing_answers",
        "item",
        (2,),
    ),
    Case(
        "occasions 44 days apart",
        both(
            put("measurements", 14, answered_on=day("2024-03-25")),
            put("measurements", 15, answered_on=day("2024-04-04")),
        ),
        "interval-far-from-three-months",
        "measurements",
        "answered_on",
        (17,),
    ),
    Case(
        "occasion known to the month",
        both(
            put("measurements", 14, answered_on=day("2024-04-01"), answered_on_precision="month"),
            put("measurements", 15, answered_on=day("2024-04-01"), answered_on_precision="month"),
        ),
        "interval-far-from-three-months",
        "measurements",
        "answered_on",
        (16,),
        "unchecked",
    ),
    Case(
        "forms 46 days apart",
        put("measurements", 3, answered_on=day("2024-06-30")),
        "forms-far-apart",
        "measurements",
        "answered_on",
        (5,),
    ),
    Case(
        "work before the last answers",
        put("outcomes", 0, start=day("2024-08-14")),
        "answer-after-transition",
        "measurements",
        "answered_on",
        (13,),
    ),
    Case(
        "extent as a share of full time",
        put("outcomes", 0, extent_percent=1.0),
        "extent-as-share",
        "outcomes",
        "extent_percent",
        (2,),
    ),
    Case(
        "personal identity number",
        both(put("caseworkers", 0, unit_id="701063-2391")),
        "personal-identity-number",
        "caseworkers",
        "unit_id",
        (2,),
    ),
    Case(
        "number inside a text",
        put("organisations", 0, name="Samordningsförbundet, kontakt 19701063 2391"),
        "personal-identity-number",
        "organisations",
        "name",
        (2,),
    ),
]


@pytest.mark.parametrize("case", sampled(CASES), ids=lambda case: case.name)
def test_one_change_gives_one_finding_at_its_place(case: Case) -> None:
    frames = tables()
    case.change(frames)
    report = bip.validate(study(frames), language="en")
    findings = report.findings
    found = list(findings[["code", "status", "table", "row"]].itertuples(index=False, name=None))
    assert found == [(case.code, case.status, case.table, row) for row in case.rows]
    columns = findings["column"].tolist()
    assert columns == [case.column] * len(columns) if case.column else findings["column"].isna().all()
    assert findings["count"].eq(1).all()
    severity = schema.rules()[case.code].severity
    assert findings["severity"].eq(severity).all()
    assert report.ok == (severity != "error" or case.status == "unchecked")


def test_the_study_itself_has_nothing_to_remark_on() -> None:
    report = bip.validate(study())
    assert report.findings.empty
    assert report.ok
    # Nobody died, no code has dates, one source each, and shares of so few rows say nothing.
    assert {rule.code for rule in report.not_applicable} == {
        "date-after-extraction",
        "event-after-death",
        "code-outside-its-dates",
        "sources-disagree",
        "caseworker-with-one-client",
        "second-focus-repeats",
        "length-contradicts-dates",
        "item-never-answered",
        "few-pairs",
        "many-declined",
        "many-not-reached",
        "late-register-months",
        "seasonal-hole",
        "dates-on-the-first",
    }


def test_an_outcome_that_began_before_entry_gives_no_finding() -> None:
    frames = tables()
    put("outcomes", 1, start=day("2010-01-01"), end=day("2030-12-31"), ongoing=False)(frames)
    assert bip.validate(study(frames)).findings.empty


def test_work_shorter_than_the_minimum_is_no_transition() -> None:
    frames = tables()
    put("participants", 1, left_reason="completed")(frames)
    put("outcomes", 0, start=day("2024-06-01"), end=day("2024-06-27"), ongoing=False)(frames)
    assert bip.validate(study(frames)).findings.empty
    put("outcomes", 0, end=day("2024-06-28"))(frames)
    assert bip.validate(study(frames)).findings["row"].tolist() == [12, 13]


def test_spells_that_touch_count_as_one() -> None:
    frames = tables()
    put("participants", 1, left_reason="completed")(frames)
    put("outcomes", 0, start=day("2024-06-01"), end=day("2024-06-14"), ongoing=False)(frames)
    repeat("outcomes", 0, outcome_id="2", start=day("2024-06-15"), end=day("2024-06-30"))(frames)
    assert bip.validate(study(frames)).findings["code"].tolist() == ["answer-after-transition"] * 2


def test_a_handover_on_one_day_is_no_overlap() -> None:
    frames = tables()
    put("assignments", 0, end=day("2024-06-02"))(frames)
    assert bip.validate(study(frames)).findings["code"].tolist() == ["two-main-assignments"]


def test_a_period_of_unknown_end_leaves_the_overlap_unchecked() -> None:
    frames = tables()
    put("assignments", 0, end=pd.NaT, end_precision=None, ongoing=False)(frames)
    assert bip.validate(study(frames)).findings["status"].tolist() == ["unchecked"]
    put("assignments", 0, ongoing=True)(frames)
    assert bip.validate(study(frames)).findings["status"].tolist() == ["invalid"]


def test_a_skipped_occasion_makes_the_plan_longer() -> None:
    frames = tables()
    for row in (2, 3):
        put("measurements", row, form_status="not_done", answered_on=pd.NaT, answered_on_precision=None)(frames)
        put("measurements", row, **dict.fromkeys(schema.items(), pd.NA))(frames)
    assert bip.validate(study(frames)).findings.empty


def test_dates_after_the_extraction_date() -> None:
    class Submission:
        tables = study().tables
        sent = study().sent
        extracted_on = "2024-10-15"

    findings = bip.validate(Submission(), language="en").findings
    found = set(findings[["code", "table", "column", "row"]].itertuples(index=False, name=None))
    # Everybody is followed to the end of the year; a planned end may lie ahead.
    assert found == {("date-after-extraction", "participants", "observed_until", row) for row in (2, 3, 4)}


@pytest.mark.parametrize("name", ["participants", "measurements"])
def test_a_required_table_that_is_not_sent(name: str) -> None:
    frames = {other: frame for other, frame in tables().items() if other != name}
    report = bip.validate(bip.Study(tables=frames, sent=frozenset(frames)))
    assert report.findings["code"].tolist() == ["missing-table"]
    assert report.findings["table"].tolist() == [name]
    assert not report.ok
    assert "unknown-participant" in {rule.code for rule in report.not_applicable} or name == "measurements"


def test_a_required_table_without_rows() -> None:
    frames = tables() | {
        "measurements": schema.empty("measurements"),
        "missing_answers": schema.empty("missing_answers"),
    }
    report = bip.validate(study(frames))
    assert report.findings["code"].tolist() == ["empty-table"]
    assert not report.ok


def test_a_required_column_that_is_missing_is_one_finding_with_the_rows_it_concerns() -> None:
    frames = tables()
    frames["participants"] = frames["participants"].drop(columns=["age_group"])
    findings = bip.validate(study(frames), language="en").findings
    assert findings["code"].tolist() == ["missing-column"]
    assert findings["count"].tolist() == [3]
    assert findings["row"].isna().all()
    assert "Age group" in findings["message"].iloc[0]


def test_a_column_of_the_wrong_kind() -> None:
    frames = tables()
    frames["caseworkers"]["in_role_since"] = pd.Series(["since long", "2019"], dtype=object)
    findings = bip.validate(study(frames), language="en").findings
    assert findings["code"].tolist() == ["wrong-type"]
    assert "whole" not in findings["message"].iloc[0]
    assert "years" in findings["message"].iloc[0]


def test_every_optional_table_may_be_left_out_and_its_rules_are_listed() -> None:
    kept = {name: frame for name, frame in tables().items() if schema.table(name).required}
    put("measurements", 0, job_search=3, cooperation=3)(kept)
    report = bip.validate(bip.Study(tables=kept, sent=frozenset(kept)))
    assert report.findings.empty
    assert report.ok
    listed = {rule.code for rule in report.not_applicable}
    assert {"two-main-assignments", "unknown-caseworker", "end-before-start", "answer-after-transition"} <= listed
    assert all(rule.message(language) for rule in report.not_applicable for language in ("sv", "en"))
    assert len(listed) + len(report.statuses) == len(CHECKS)


def test_an_optional_column_that_was_not_sent_makes_its_rule_not_apply() -> None:
    frames = tables()
    frames["participants"]["left_on"] = pd.Series(pd.NaT, index=frames["participants"].index, dtype="datetime64[s]")
    frames["participants"]["left_on_precision"] = pd.Series(
        None, index=frames["participants"].index, dtype=schema.STRING
    )
    report = bip.validate(study(frames), language="sv")
    reasons = {rule.code: rule.message("sv") for rule in report.not_applicable}
    assert reasons["left-before-entered"] == "Avslutade (Deltagare) skickades inte."


def test_the_same_local_id_in_two_organisations_is_two_people() -> None:
    frames = tables()
    doubled = {}
    for name, frame in frames.items():
        other = frame.assign(organisation_id="forbund-b").astype(frame.dtypes.to_dict())
        doubled[name] = pd.concat([frame, other], ignore_index=True)
    assert bip.validate(study(doubled)).findings.empty
    doubled["participants"] = doubled["participants"].iloc[:5]
    codes = bip.validate(study(doubled)).findings["code"]
    assert set(codes) == {"unknown-participant"}
    assert ORGANISATION not in "".join(bip.validate(study(doubled)).findings["message"])


def test_an_answer_to_an_item_that_the_instrument_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = read_yaml(folder() / "instruments" / "bip-default.yaml")
    short = full | {"name": "short", "items": [item for item in full["items"] if item["id"] == "job_search"]}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(short), encoding="utf-8")
    monkeypatch.setenv("BIPSTUDY_INSTRUMENTS", str(tmp_path))
    schema.instruments.cache_clear()
    try:
        frames = tables()
        others = dict.fromkeys(set(schema.items()) - {"job_search", "cooperation"}, pd.NA)
        put("measurements", 5, instrument="short", **others)(frames)
        findings = bip.validate(study(frames)).findings
        found = list(findings[["code", "column", "row"]].itertuples(index=False, name=None))
        assert found == [("item-not-in-instrument", "cooperation", 7)]
    finally:
        monkeypatch.undo()
        schema.instruments.cache_clear()


def test_a_chance_hit_among_long_running_numbers_is_a_warning() -> None:
    frames = tables()
    unit = frames["caseworkers"].iloc[[0]]
    grown = pd.concat([frames["caseworkers"], *[unit] * 40], ignore_index=True)
    grown["caseworker_id"] = pd.Series([str(number) for number in range(7, 7 + len(grown))], dtype=schema.STRING)
    grown["unit_id"] = pd.Series([f"99{number:08d}" for number in range(len(grown))], dtype=schema.STRING)
    frames["caseworkers"] = grown
    assert bip.validate(study(frames)).findings.empty
    put("caseworkers", 11, unit_id="7010632391")(frames)
    report = bip.validate(study(frames))
    assert report.findings[["code", "row"]].to_numpy().tolist() == [["possible-identity-number", 13]]
    assert report.ok
    for row in range(12, 20):
        put("caseworkers", row, unit_id="7010632391")(frames)
    report = bip.validate(study(frames))
    assert report.findings["code"].unique().tolist() == ["personal-identity-number"]
    assert report.findings["row"].tolist() == list(range(13, 22))
    assert not report.ok


def test_every_rule_is_broken_by_some_test_of_this_folder() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py")))
    assert [code for code in CHECKS if f'"{code}"' not in source] == []
