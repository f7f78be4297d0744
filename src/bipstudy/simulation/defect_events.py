"""Defects of what happens to people: wrong references, and events in an order or with a content that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bipstudy import schema
from bipstudy.simulation.defect_tools import (
    STATUS,
    Change,
    added,
    answered,
    by_caseworker,
    coded,
    ended,
    later,
    records,
    silent,
    write,
)
from bipstudy.simulation.defects import Defect, Planted, Planting, Record, finding, pick, record, rows_of
from bipstudy.simulation.raw import Delivery

_LEFT = schema.code_list("left_reason").spellings
_KIND = schema.code_list("outcome_status").spellings
_SOURCE = schema.code_list("outcome_source").spellings


def catalogue() -> Iterator[Defect]:
    """Yield the defects of events."""
    yield from _references()
    yield from _order()
    yield from _people()
    yield from _spells()


def _references() -> Iterator[Defect]:
    """Yield rows that name what is not there."""
    nobody: Change = lambda row: {"participant_id": "D9999"}  # noqa: E731 - a value among others
    yield added("activity of nobody", "activities", "unknown-participant", "participant_id", nobody)
    yield added("outcome of nobody", "outcomes", "unknown-participant", "participant_id", nobody)
    yield added("assignment of nobody", "assignments", "unknown-participant", "participant_id", nobody)
    yield added(
        "form of nobody",
        "measurements",
        "unknown-participant",
        "participant_id",
        lambda row: {"participant_id": "D9999", "occasion": "1"},
        silent,
    )
    for table in ("assignments", "trainings"):
        yield write(
            f"{table}: caseworker of nobody",
            table,
            "unknown-caseworker",
            "caseworker_id",
            lambda row: {"caseworker_id": "H999"},
        )
    yield write(
        "form by a caseworker of nobody",
        "measurements",
        "unknown-caseworker",
        "caseworker_id",
        lambda row: {"caseworker_id": "H999"},
        by_caseworker,
    )
    yield write(
        "form by no caseworker",
        "measurements",
        "caseworker-form-without-caseworker",
        "caseworker_id",
        lambda row: {"caseworker_id": ""},
        lambda row: by_caseworker(row) and answered(row),
    )
    yield added("reason on no form", "missing_answers", "unknown-form", None, lambda row: {"occasion": "99"})
    yield added(
        "reason on an item that is none", "missing_answers", "unknown-item", "item", lambda row: {"item": "question 3"}
    )
    yield write(
        "instrument that is none",
        "measurements",
        "unknown-instrument",
        "instrument",
        lambda row: {"instrument": "bip-defualt"},
        silent,
    )
    yield added(
        "caseworker of no organisation",
        "caseworkers",
        "unknown-organisation",
        "organisation_id",
        lambda row: {"organisation_id": "ORG99"},
    )


def _order() -> Iterator[Defect]:
    """Yield events in an order that cannot be."""
    for table in ("activities", "outcomes", "assignments"):
        rest = {"lasted_a_month": ""} if table == "outcomes" else {}
        yield write(
            f"{table}: end before start",
            table,
            "end-before-start",
            "end",
            lambda row, rest=rest: {"end": later(row["start"], -1), **rest},  # type: ignore[misc]
            ended,
        )
        yield write(
            f"{table}: end in the month before",
            table,
            "end-before-start",
            "end",
            lambda row, rest=rest: {"end": later(row["start"][:8] + "01", -1)[:7], **rest},  # type: ignore[misc]
            ended,
        )
        yield write(
            f"{table}: ongoing and ended", table, "ongoing-with-end", "ongoing", lambda row: {"ongoing": "Ja"}, ended
        )
    yield write(
        "activity that ends after the extract",
        "activities",
        "date-after-extraction",
        "end",
        lambda row: {"end": "2099-01-15"},
        ended,
    )
    yield write(
        "training after the extract",
        "trainings",
        "date-after-extraction",
        "held_on",
        lambda row: {"held_on": "2099-01-15"},
    )
    yield write(
        "activity planned to end before it starts",
        "activities",
        "planned-end-before-start",
        "planned_end",
        lambda row: {"planned_end": later(row["start"], -3)},
    )
    yield write("training long ago", "trainings", "date-long-ago", "held_on", lambda row: {"held_on": "1924-03-05"})
    yield write(
        "reason for leaving without a day",
        "participants",
        "left-reason-without-date",
        "left_on",
        lambda row: {"left_reason": "moved"},
        lambda row: row["left_on"] == "",
    )
    yield write(
        "role after the first participant",
        "caseworkers",
        "role-after-assignment",
        "in_role_since",
        lambda row: {"in_role_since": "2026"},
    )


def _moved(
    name: str,
    table: str,
    code: str,
    column: str,
    day: Callable[[Record, Record], str],
    fits: Callable[[Record, Record], bool],
) -> Defect:
    """Return the defect of a date that is moved to where it cannot be, seen from the participant."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        people = {row["participant_id"]: row for row in records(delivery, "participants")}
        row = pick(delivery, table, rng, lambda row: fits(row, people[row["participant_id"]]))
        if row is None:
            return None
        grid = delivery.grids[table]
        here = record(grid, row)
        changed = grid.changed(row, **{column: day(here, people[here["participant_id"]])})
        return delivery.with_grid(changed), (finding(name, grid, code, row, column),)

    return Defect(name, table, "cell", plant)


def _people() -> Iterator[Defect]:
    """Yield dates that do not fit those of the participant."""
    yield _moved(
        "activity long before entry",
        "activities",
        "activity-before-entry",
        "start",
        lambda row, person: later(person["entered_on"], -40),
        lambda row, person: True,
    )
    yield _moved(
        "caseworker long before entry",
        "assignments",
        "assignment-before-entry",
        "start",
        lambda row, person: later(person["entered_on"], -40),
        lambda row, person: row["start"] == person["entered_on"],
    )
    yield _moved(
        "activity after leaving",
        "activities",
        "activity-after-leaving",
        "start",
        lambda row, person: later(person["left_on"], 5),
        lambda row, person: (
            person["left_on"] != "" and not ended(row) and row["planned_end"] > later(person["left_on"], 5)
        ),
    )
    yield write(
        "observed until a day before entry",
        "participants",
        "observed-until-before-entry",
        "observed_until",
        lambda row: {"observed_until": later(row["entered_on"], -1)},
        lambda row: row["left_on"] == "",
    )
    yield _moved(
        "answer before entry",
        "measurements",
        "answer-before-entry",
        "answered_on",
        lambda row, person: later(person["entered_on"], -1),
        lambda row, person: coded(STATUS, row["form_status"], "answered") and row["occasion"] == "1",
    )
    yield Defect("same participant under two numbers", "participants", "file", _twin)
    yield Defect("participant without a form", "participants", "row", _newcomer)
    yield Defect("caseworker with one participant", "caseworkers", "file", _lonely)
    yield Defect("main caseworker made another one", "assignments", "cell", _demoted)


def _demoted(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Take the responsibility from the only caseworker of a participant."""
    grid, people = delivery.grids["assignments"], delivery.grids["participants"]

    def alone(row: Record) -> bool:
        return len(rows_of(delivery, "assignments", participant_id=row["participant_id"])) == 1

    row = pick(delivery, "assignments", rng, alone)
    if row is None:
        return None
    at = rows_of(delivery, "participants", participant_id=record(grid, row)["participant_id"])[0]
    told = finding("main caseworker made another one", people, "participant-without-caseworker", at, "participant_id")
    return delivery.with_grid(grid.changed(row, responsibility="other")), (told,)


def _twin(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Enter a participant once more under another number, with every row."""
    row = pick(delivery, "participants", rng)
    if row is None:
        return None
    person = record(delivery.grids["participants"], row)["participant_id"]
    for table, grid in delivery.grids.items():
        if "participant_id" in grid.columns:
            for each in rows_of(delivery, table, participant_id=person):
                grid = grid.repeated(each, participant_id="D9998")
            delivery = delivery.with_grid(grid)
    grid = delivery.grids["participants"]
    told = finding(
        "same participant under two numbers",
        grid,
        "possible-duplicate-participant",
        len(grid.rows) - 1,
        "participant_id",
    )
    return delivery, (told,)


def _newcomer(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Enter a participant who has a caseworker and no form."""
    row = pick(delivery, "participants", rng, lambda row: row["left_on"] == "")
    if row is None:
        return None
    grid, assignments = delivery.grids["participants"], delivery.grids["assignments"]
    person = record(grid, row)["participant_id"]
    first = rows_of(delivery, "assignments", participant_id=person)[0]
    delivery = delivery.with_grid(grid.repeated(row, participant_id="D9997"))
    delivery = delivery.with_grid(assignments.repeated(first, participant_id="D9997"))
    told = finding("participant without a form", grid, "participant-without-form", len(grid.rows), "participant_id")
    return delivery, (told,)


def _lonely(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Give one training-less caseworker one participant of another's."""
    row = pick(delivery, "assignments", rng, ended)
    if row is None:
        return None
    workers, assignments = delivery.grids["caseworkers"], delivery.grids["assignments"]
    delivery = delivery.with_grid(workers.repeated(0, caseworker_id="H998"))
    delivery = delivery.with_grid(assignments.changed(row, caseworker_id="H998"))
    told = finding(
        "caseworker with one participant", workers, "caseworker-with-one-client", len(workers.rows), "caseworker_id"
    )
    return delivery, (told,)


def _spells() -> Iterator[Defect]:
    """Yield spells that contradict themselves or each other."""
    yield added(
        "activity twice under two numbers", "activities", "same-spell-twice", None, lambda row: {"activity_id": "A99"}
    )
    yield added(
        "outcome twice under two numbers", "outcomes", "same-spell-twice", None, lambda row: {"outcome_id": "U99"}
    )
    yield write(
        "second focus as the first",
        "activities",
        "second-focus-repeats",
        "second_focus",
        lambda row: {"second_focus": row["focus"]},
    )
    yield write(
        "a month that was a day",
        "outcomes",
        "length-contradicts-dates",
        "lasted_a_month",
        lambda row: {"lasted_a_month": "yes", "end": row["start"]},
        ended,
    )
    yield write(
        "left to work without an outcome",
        "participants",
        "left-to-work-without-outcome",
        "left_reason",
        lambda row: {"left_reason": "to_work"},
        lambda row: row["left_on"] != "" and coded(_LEFT, row["left_reason"], "to_study"),
    )
    yield added(
        "another kind by a lower source",
        "outcomes",
        "sources-disagree",
        "source",
        lambda row: {
            "outcome_id": "U98",
            "source": "self_report",
            "status": "self_employment" if coded(_KIND, row["status"], "work_subsidised") else "work_subsidised",
        },
        lambda row: (
            (row["end"] or "2025-06-30") > later(row["start"], 20)
            and _works(row)
            and not coded(_SOURCE, row["source"], "self_report")
        ),
    )
    yield Defect("second main caseworker", "assignments", "row", _second_main)


def _works(row: Record) -> bool:
    """Say whether an outcome is work."""
    causes = {code.value: code.cause for code in schema.code_list("outcome_status").codes}
    return causes.get(str(_KIND.get(schema.fold(row["status"])))) == "work"


def _second_main(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Give a participant a second main caseworker for some weeks."""
    name = "second main caseworker"
    row = pick(delivery, "assignments", rng, lambda row: not ended(row) and row["change_reason"] == "")
    if row is None:
        return None
    grid = delivery.grids["assignments"]
    start = later(record(grid, row)["start"], 10)
    grown = grid.repeated(row, start=start, end=later(start, 20), ongoing="Nej")
    told: tuple[Planted, ...] = (finding(name, grid, "two-main-assignments", len(grid.rows), "start"),)
    return delivery.with_grid(grown), told
