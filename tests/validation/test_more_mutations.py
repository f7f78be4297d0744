"""Rules on order, coverage, plausibility and sources: a valid study with one thing wrong gives that finding alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_study import sampled, study, tables

import bipstudy as bip
from bipstudy import schema
from bipstudy.validation.data import Data
from bipstudy.validation.rules import CHECKS

Tables = dict[str, pd.DataFrame]
Change = Callable[[Tables], None]
ITEMS = list(schema.items())


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def put(table: str, row: int, **values: object) -> Change:
    def change(frames: Tables) -> None:
        for column, value in values.items():
            frames[table].loc[row, column] = value

    return change


def repeat(table: str, row: int, **values: object) -> Change:
    def change(frames: Tables) -> None:
        again = frames[table].iloc[[row]].copy()
        frames[table] = pd.concat([frames[table], again], ignore_index=True)
        put(table, len(frames[table]) - 1, **values)(frames)

    return change


def drop(table: str, *rows: int) -> Change:
    def change(frames: Tables) -> None:
        frames[table] = frames[table].drop(index=list(rows)).reset_index(drop=True)

    return change


def both(*changes: Change) -> Change:
    def change(frames: Tables) -> None:
        for each in changes:
            each(frames)

    return change


def answers(row: int, value: int | None = None, like: int | None = None) -> Change:
    """Return a change of all the answers that a form has: to one value, or to those of another form."""

    def change(frames: Tables) -> None:
        forms = frames["measurements"]
        for item in ITEMS:
            if pd.notna(forms.loc[row, item]):
                forms.loc[row, item] = value if like is None else forms.loc[like, item]

    return change


# Rows are those of a file: row 2 is row 0 of its table.
CASES: dict[str, tuple[Change, str, str, str | None, tuple[int, ...], str]] = {
    "caseworker long before": (
        put("assignments", 4, start=day("2023-12-01")),
        *("assignment-before-entry", "assignments", "start", (6,), "invalid"),
    ),
    "caseworker in the quarter before": (
        put("assignments", 4, start=day("2023-10-01"), start_precision="quarter"),
        *("assignment-before-entry", "assignments", "start", (6,), "invalid"),
    ),
    "caseworker perhaps long before": (
        both(
            put("assignments", 4, start=day("2023-12-01"), start_precision="month"),
            put("participants", 2, entered_on=day("2024-01-20")),
        ),
        *("assignment-before-entry", "assignments", "start", (6,), "unchecked"),
    ),
    "activity long before": (
        put("activities", 1, start=day("2023-12-01")),
        *("activity-before-entry", "activities", "start", (3,), "invalid"),
    ),
    "first caseworker late": (
        put("assignments", 4, start=day("2024-04-01")),
        *("answer-before-assignment", "measurements", "answered_on", (14, 15), "invalid"),
    ),
    "occasions the wrong way": (
        both(
            put("measurements", 2, answered_on=day("2024-02-10"), due_on=day("2024-02-10")),
            put("measurements", 3, answered_on=day("2024-02-10"), due_on=day("2024-02-10")),
            put("measurements", 4, answered_on=day("2024-05-25"), due_on=day("2024-05-25")),
            put("measurements", 5, answered_on=day("2024-05-25"), due_on=day("2024-05-25")),
        ),
        *("occasions-out-of-order", "measurements", "answered_on", (4,), "invalid"),
    ),
    "answered long after leaving": (
        both(
            put("participants", 1, left_on=day("2024-05-01"), left_reason="moved"),
            put("assignments", 2, end=day("2024-05-01")),
        ),
        *("answer-after-leaving", "measurements", "answered_on", (12, 13), "invalid"),
    ),
    "activity after leaving": (
        put("activities", 2, start=day("2024-10-02"), end=day("2024-10-03")),
        *("activity-after-leaving", "activities", "start", (4,), "invalid"),
    ),
    "caseworker after leaving": (
        put("assignments", 3, start=day("2024-10-02"), end=day("2024-10-03")),
        *("assignment-after-leaving", "assignments", "start", (5,), "invalid"),
    ),
    "outcome after the end": (
        put("outcomes", 2, start=day("2025-01-02"), end=day("2025-02-02")),
        *("outcome-after-observed-until", "outcomes", "start", (4,), "invalid"),
    ),
    "outcome after death": (
        both(
            put("participants", 0, observed_until_reason="died"),
            put("outcomes", 2, start=day("2025-01-02"), end=day("2025-02-02")),
        ),
        *("event-after-death", "outcomes", "start", (4,), "invalid"),
    ),
    "role after the first participant": (
        put("caseworkers", 0, in_role_since=2025),
        *("role-after-assignment", "caseworkers", "in_role_since", (2,), "invalid"),
    ),
    "reason without a day": (
        put("participants", 0, left_reason="moved"),
        *("left-reason-without-date", "participants", "left_on", (2,), "invalid"),
    ),
    "a century early": (
        put("trainings", 0, held_on=day("1924-11-01")),
        *("date-long-ago", "trainings", "held_on", (2,), "invalid"),
    ),
    "straight lines": (
        both(answers(2, 3), answers(4, 4)),
        *("straight-lining", "measurements", None, (6,), "invalid"),
    ),
    "copies": (
        both(answers(9, like=7), answers(11, like=7)),
        *("copied-answers", "measurements", None, (13,), "invalid"),
    ),
    "a jump": (
        both(answers(2, 1), put("measurements", 2, cooperation=2), answers(4, 5)),
        *("answers-jump", "measurements", None, (6,), "invalid"),
    ),
    "late by 61 days": (
        put("measurements", 5, due_on=day("2024-06-18")),
        *("answered-far-from-due", "measurements", "answered_on", (7,), "invalid"),
    ),
    "early by 61 days": (
        put("measurements", 5, due_on=day("2024-10-20")),
        *("answered-far-from-due", "measurements", "answered_on", (7,), "invalid"),
    ),
    "partner missing": (
        drop("measurements", 9),
        *("form-without-partner", "measurements", "respondent", (10,), "invalid"),
    ),
    "number skipped": (
        both(put("measurements", 10, occasion=4), put("measurements", 11, occasion=4)),
        *("occasion-skipped", "measurements", "occasion", (12,), "invalid"),
    ),
    "begins with occasion 2": (
        drop("measurements", 6, 7),
        *("occasion-skipped", "measurements", "occasion", (8,), "invalid"),
    ),
    "long since": (
        put("participants", 0, observed_until=day("2025-02-28")),
        *("no-recent-occasion", "participants", "participant_id", (2,), "invalid"),
    ),
    "perhaps long since": (
        put("participants", 0, observed_until=day("2025-01-01"), observed_until_precision="month"),
        *("no-recent-occasion", "participants", "participant_id", (2,), "unchecked"),
    ),
    "no form": (
        drop("measurements", 12, 13, 14, 15, 16, 17),
        *("participant-without-form", "participants", "participant_id", (4,), "invalid"),
    ),
    "no main caseworker": (
        put("assignments", 4, responsibility="other"),
        *("participant-without-caseworker", "participants", "participant_id", (4,), "invalid"),
    ),
    "another kind in another source": (
        repeat("outcomes", 0, outcome_id="2", status="self_employment", source="caseworker"),
        *("sources-disagree", "outcomes", "source", (5,), "invalid"),
    ),
    "another start in another source": (
        repeat("outcomes", 0, outcome_id="2", start=day("2024-11-15"), source="self_report"),
        *("sources-disagree", "outcomes", "source", (5,), "invalid"),
    ),
    "activity twice": (
        repeat("activities", 1, activity_id="9"),
        *("same-spell-twice", "activities", None, (5,), "invalid"),
    ),
    "a month that was none": (
        put("outcomes", 1, end=day("2023-11-20"), lasted_a_month="yes"),
        *("length-contradicts-dates", "outcomes", "lasted_a_month", (3,), "invalid"),
    ),
    "a month denied": (
        put("outcomes", 1, lasted_a_month="no"),
        *("length-contradicts-dates", "outcomes", "lasted_a_month", (3,), "invalid"),
    ),
    "focus twice": (
        put("activities", 0, second_focus="job"),
        *("second-focus-repeats", "activities", "second_focus", (2,), "invalid"),
    ),
    "no outcome": (
        put("participants", 1, left_reason="to_study"),
        *("left-to-work-without-outcome", "participants", "left_reason", (3,), "invalid"),
    ),
    "reason on a declined form": (
        repeat("missing_answers", 0, participant_id="103", occasion=3, respondent="caseworker"),
        *("missing-answer-on-unanswered-form", "missing_answers", "reason", (4,), "invalid"),
    ),
}


@pytest.mark.parametrize("name", sampled(CASES))
def test_one_change_gives_one_finding_at_its_place(name: str) -> None:
    change, code, table, column, rows, status = CASES[name]
    frames = tables()
    change(frames)
    findings = bip.validate(study(frames), language="en").findings
    found = list(findings[["code", "status", "table", "row"]].itertuples(index=False, name=None))
    assert found == [(code, status, table, row) for row in rows]
    assert findings["column"].dropna().unique().tolist() == ([column] if column else [])


def asked(code: str, frames: Tables, **threshold: float) -> list[tuple[int | None, str]]:
    """Return row (as in a file) and status of what one rule finds, with some thresholds changed."""
    data = Data.of(study(frames))
    hits = CHECKS[code](data, {**schema.rules()[code].threshold, **threshold}).hits
    return [(None if row is None else int(row) + 2, hit.status) for hit in hits for row in _rows(hit.rows)]


def _rows(rows: np.ndarray | None) -> list[int | None]:
    return [None] if rows is None else rows.tolist()


def grown(times: int) -> Tables:
    """Return the small study with its participants several times over, under other numbers and other answers."""
    frames = tables()
    copies = {name: [frame] for name, frame in frames.items()}
    for number in range(1, times):
        for name, frame in frames.items():
            if "participant_id" in frame:
                copies[name].append(frame.assign(participant_id=frame["participant_id"] + f"-{number}"))
    return {name: pd.concat(parts, ignore_index=True).astype(frames[name].dtypes) for name, parts in copies.items()}


def test_the_same_background_entry_and_answers() -> None:
    found = bip.validate(study(grown(2)), language="sv").findings
    told = found[found["code"] == "possible-duplicate-participant"]
    assert told["row"].tolist() == [5, 6, 7]
    assert [f"rad {row}" in message for row, message in zip((2, 3, 4), told["message"], strict=True)] == [True] * 3
    other = grown(2)
    put("participants", 4, age_group="16-24")(other)
    put("measurements", 18, job_search=5)(other)
    # 101-1 answered otherwise at first, 102-1 has another age; 103-1 is left.
    assert asked("possible-duplicate-participant", other) == [(7, "invalid")]


def test_a_caseworker_with_one_participant_among_others_with_many() -> None:
    frames = grown(4)
    repeat("caseworkers", 0, caseworker_id="08")(frames)
    repeat("caseworkers", 0, caseworker_id="9")(frames)
    assert asked("caseworker-with-one-client", frames) == []
    put("assignments", 3, caseworker_id="08")(frames)
    assert asked("caseworker-with-one-client", frames) == [(4, "invalid")]


def test_participants_of_a_caseworker_on_one_day() -> None:
    frames = grown(10)
    # From 15 January to 1 June caseworker 7 has 101 and 102, ten times each; 8 has 103 and later 101.
    assert asked("caseworker-with-many-clients", frames, clients=19) == [(2, "invalid"), (3, "invalid")]
    assert asked("caseworker-with-many-clients", frames, clients=20) == []
    frames["assignments"].loc[0, ["end", "end_precision"]] = [day("2024-04-01"), "quarter"]
    assert asked("caseworker-with-many-clients", frames, clients=19)[0] == (2, "invalid")
    coarse = frames["assignments"]
    coarse.loc[coarse["caseworker_id"] == "7", "start"] = day("2024-02-01")
    coarse.loc[coarse["caseworker_id"] == "7", ["end", "end_precision"]] = [day("2024-01-01"), "quarter"]
    assert asked("caseworker-with-many-clients", frames, clients=19)[1] == (2, "unchecked")


def test_the_same_answers_about_many() -> None:
    frames = grown(4)
    forms = frames["measurements"]
    assert asked("same-answers-for-many", frames, participants=13) == []
    theirs = forms.index[(forms["respondent"] == "caseworker") & (forms["occasion"] == 1)]
    assert asked("same-answers-for-many", frames, participants=12)[0] == (int(theirs[0]) + 2, "invalid")
    for row in theirs:
        put("measurements", int(row), job_search=1 + int(row) % 5, cooperation=1 + int(row) // 5 % 5)(frames)
    assert not {row for row, _ in asked("same-answers-for-many", frames)} & {int(row) + 2 for row in theirs}


def test_an_item_that_nobody_answers() -> None:
    frames = grown(4)
    frames["measurements"]["caseworker_belief"] = pd.NA

    names = {name: name for name in frames["measurements"]}
    data = replace(Data.of(study(frames)), source_columns={"measurements": names})
    hits = CHECKS["item-never-answered"](data, {"forms": 20}).hits
    assert [(hit.column, hit.count) for hit in hits] == [("caseworker_belief", 32)]
    assert CHECKS["item-never-answered"](data, {"forms": 100}).checked == 0
    # Without the column there is nothing to say here: the loader has said it.
    assert CHECKS["item-never-answered"](replace(data, source_columns={}), {"forms": 20}).hits == ()


@pytest.mark.parametrize(("code", "status"), [("many-declined", "declined"), ("many-not-reached", "not_done")])
def test_shares_of_forms(code: str, status: str) -> None:
    frames = grown(4)
    forms = frames["measurements"]
    forms["form_status"] = "answered"
    forms.loc[:21, "form_status"] = status
    assert asked(code, frames, share=0.3) == [(None, "invalid")]
    forms.loc[:0, "form_status"] = "answered"
    # 21 of 72 is 29.2 per cent; fewer rows than the least are not judged at all.
    assert asked(code, frames, share=0.3) == []
    assert CHECKS[code](Data.of(study(frames)), {"share": 0.0, "at_least": 73}).checked == 0


def test_the_share_of_pairs() -> None:
    frames = grown(4)
    forms = frames["measurements"]
    frames["measurements"] = forms[(forms["respondent"] == "participant") | (forms.index < 24)].reset_index(drop=True)
    found = CHECKS["few-pairs"](Data.of(study(frames)), schema.rules()["few-pairs"].threshold).hits
    # 33 answered occasions of the participants, one of 103 not reached each time; 12 caseworkers' forms are left.
    assert [hit.values["per_cent"] for hit in found] == [66]


def spread(frames: Tables, table: str, column: str, days: list[str]) -> None:
    frames[table][column] = pd.Series(pd.to_datetime(days).astype("datetime64[s]"), index=frames[table].index)


def test_months_almost_without_answers() -> None:
    frames = grown(10)
    count = len(frames["measurements"])
    frames["measurements"]["form_status"] = "answered"
    frames["measurements"]["answered_on_precision"] = "day"
    spread(frames, "measurements", "answered_on", [f"2024-{6 if row % 2 else 8:02d}-10" for row in range(count)])
    assert asked("seasonal-hole", frames) == [(None, "invalid")]
    hits = CHECKS["seasonal-hole"](Data.of(study(frames)), schema.rules()["seasonal-hole"].threshold).hits
    assert hits[0].values["months"] == "2024-07"
    spread(frames, "measurements", "answered_on", [f"2024-{6 + row % 3:02d}-10" for row in range(count)])
    assert asked("seasonal-hole", frames) == []


def test_dates_that_are_all_the_first_of_a_month() -> None:
    frames = grown(10)
    count = len(frames["activities"])
    spread(frames, "activities", "start", [f"2024-0{2 + row % 5}-01" for row in range(count)])
    data = Data.of(study(frames))
    hits = CHECKS["dates-on-the-first"](data, schema.rules()["dates-on-the-first"].threshold).hits
    assert {(hit.table, hit.column, hit.count) for hit in hits if hit.column == "start"} >= {
        ("activities", "start", 30)
    }
    # The same dates known to the month say what they are.
    frames["activities"]["start_precision"] = "month"
    hits = CHECKS["dates-on-the-first"](Data.of(study(frames)), schema.rules()["dates-on-the-first"].threshold).hits
    assert "activities" not in {hit.table for hit in hits}


def test_the_last_months_of_a_register() -> None:
    frames = grown(40)
    outcomes = frames["outcomes"]
    outcomes["source"] = "register"
    every = pd.date_range("2024-02-01", "2024-12-30", periods=len(outcomes)).normalize()
    spread(frames, "outcomes", "start", [str(one) for one in every])
    outcomes["start_precision"] = "day"
    assert asked("late-register-months", frames) == []
    cut = pd.date_range("2024-02-01", "2024-09-25", periods=len(outcomes)).normalize()
    spread(frames, "outcomes", "start", [str(one) for one in cut])
    assert asked("late-register-months", frames) == [(None, "invalid")]
    assert asked("late-register-months", frames, expected=1000) == []


def test_a_code_outside_the_dates_of_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    known = schema.code_list("outcome_status")
    dated = tuple(
        replace(code, valid_to=day("2024-10-15").date()) if code.value == "work_subsidised" else code
        for code in known.codes
    )
    real = schema.code_list
    monkeypatch.setattr(
        schema, "code_list", lambda name: replace(known, codes=dated) if name == "outcome_status" else real(name)
    )
    frames = tables()
    assert asked("code-outside-its-dates", frames) == []
    put("outcomes", 0, start=day("2024-10-16"))(frames)
    assert asked("code-outside-its-dates", frames) == [(2, "invalid")]
    put("outcomes", 0, start=day("2024-10-01"), start_precision="quarter")(frames)
    assert asked("code-outside-its-dates", frames) == [(2, "unchecked")]
