"""Defects of single cells and rows, drawn from the schema: what each kind of column can hold wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bipstudy import schema
from bipstudy.simulation.defects import Defect, Plant, Planted, Planting, Record, finding, pick, record, rows_of
from bipstudy.simulation.raw import Delivery

_TABLES = (
    "organisations",
    "participants",
    "caseworkers",
    "trainings",
    "assignments",
    "measurements",
    "missing_answers",
)
_EVENTS = ("activities", "outcomes")
_PERSONAL = {
    "personnummer": ("personal-identity-number", "701063-2391"),
    "personnummer of twelve digits": ("personal-identity-number", "197010632391"),
    "personnummer with a plus sign": ("personal-identity-number", "701063+2391"),
    "personnummer with an en-dash in a text": ("personal-identity-number", "se 701063\u20132391"),
    "personnummer with a space": ("personal-identity-number", "701063 2391"),
    "protected identity": ("personal-identity-number", "19850709-TF29"),
    "e-mail": ("contact-details", "namn@example.se"),
    "mobile number": ("contact-details", "070-174 06 05"),
    "foreign phone number": ("contact-details", "+46 70 174 06 05"),
    "street": ("contact-details", "Storgatan 12"),
    "postcode and place": ("contact-details", "123 45 Umeå"),
    "IP address": ("contact-details", "192.0.2.17"),
}


def catalogue() -> Iterator[Defect]:
    """Yield the defects of cells and of repeated rows."""
    for table in schema.TABLE_NAMES:
        for column in schema.table(table).columns:
            yield from _of_column(table, column)
    for item in schema.instrument().items:
        yield from _of_item(item)
    for name, (code, text) in _PERSONAL.items():
        yield _cell(f"{name} as unit", "participants", "unit_id", text, code)
    yield _cell("e-mail as unit of a caseworker", "caseworkers", "unit_id", "namn@example.se", "contact-details")
    for table in ("participants", "caseworkers", "trainings", "missing_answers", "activities", "outcomes"):
        yield Defect(f"{table}: row twice", table, "row", _again(f"{table}: row twice", table, "duplicate-key"))
    name = "measurements: row twice"
    yield Defect(name, "measurements", "row", _again(name, "measurements", "two-answers-for-one-form"))


def _of_column(table: str, column: schema.Column) -> Iterator[Defect]:
    """Yield what a column can hold wrongly by its kind."""
    name = f"{table}.{column.name}"
    keyed = column.name in schema.table(table).key or (table, column.name) in _CARRIES_MORE
    if not (column.optional or column.nullable or column.assigned or column.kind == "id" or keyed):
        yield _cell(f"{name}: empty", table, column.name, "", "missing-value")
    if column.kind == "code" and not keyed:
        yield _cell(f"{name}: unknown value", table, column.name, "Zebra", "unknown-code")
    if column.kind == "date" and not keyed:
        yield _cell(f"{name}: no date", table, column.name, "i våras", "not-a-date")
        yield _cell(f"{name}: 30 February", table, column.name, "2024-02-30", "not-a-date")
    if column.kind == "boolean":
        yield _cell(f"{name}: neither yes nor no", table, column.name, "kanske", "not-yes-or-no")
    if column.kind in ("integer", "number", "year") and not keyed:
        code = "not-a-number" if column.kind == "number" else "not-a-whole-number"
        yield _cell(f"{name}: words for a number", table, column.name, "länge", code)
        if column.maximum is not None and column.kind != "year":
            yield _cell(f"{name}: too large", table, column.name, str(int(column.maximum) + 1), "out-of-bounds")
        if column.minimum is not None and column.minimum >= 0:
            yield _cell(f"{name}: negative", table, column.name, "-1", "out-of-bounds")


# Columns on which so much else hangs that a defect there gives findings at other rows.
_CARRIES_MORE = {("assignments", "responsibility"), ("measurements", "respondent"), ("outcomes", "start")}


def _of_item(item: schema.Item) -> Iterator[Defect]:
    """Yield what the answer to an item can be wrongly."""

    def answered(row: Record) -> bool:
        return row["form_status"] in _ANSWERED and row[item.id] != ""

    yield _cell(
        f"{item.id}: above the scale", "measurements", item.id, str(item.maximum + 1), "answer-outside-scale", answered
    )
    yield _cell(f"{item.id}: zero", "measurements", item.id, str(item.minimum - 1), "answer-outside-scale", answered)
    yield _cell(f"{item.id}: a half", "measurements", item.id, "2,5", "not-a-whole-number", answered)
    if item.respondents == ("caseworker",):

        def of_participant(row: Record) -> bool:
            return row["form_status"] in _ANSWERED and row["respondent"] in _THEIRS

        yield _cell(
            f"{item.id}: answered by the participant",
            "measurements",
            item.id,
            "3",
            "item-of-wrong-respondent",
            of_participant,
        )


_ANSWERED = {"answered", "Besvarat", "Answered"}
_THEIRS = {"participant", "Deltagaren", "Participant", "The participant"}


def _cell(
    name: str, table: str, column: str, text: str, code: str, fits: Callable[[Record], bool] | None = None
) -> Defect:
    """Return the defect of one cell that is written over."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        grid = delivery.grids.get(table)
        if grid is None or column not in grid.columns:
            return None
        row = pick(delivery, table, rng, fits or _usable(table, column, delivery))
        if row is None:
            return None
        extra = _orphans(name, delivery, row) if (table, column) == ("outcomes", "status") else ()
        return delivery.with_grid(grid.changed(row, **{column: text})), (finding(name, grid, code, row, column), *extra)

    return Defect(name, table, "cell", plant)


def _usable(table: str, column: str, delivery: Delivery) -> Callable[[Record], bool]:
    """Return which rows hold a cell whose loss gives no other finding."""
    if (table, column) == ("participants", "left_on"):
        return lambda row: row["left_on"] == "" and row["left_reason"] == ""
    if (table, column) == ("measurements", "answered_on"):
        return lambda row: row["form_status"] in _ANSWERED
    if (table, column) in (("assignments", "start"), ("assignments", "end"), ("assignments", "ongoing")):
        return lambda row: len(rows_of(delivery, "assignments", participant_id=row["participant_id"])) == 1
    return lambda row: True


def _orphans(name: str, delivery: Delivery, row: int) -> tuple[Planted, ...]:
    """Return what is said of the participant whose outcome is no longer known."""
    person = record(delivery.grids["outcomes"], row)["participant_id"]
    grid = delivery.grids["participants"]
    left = [
        each
        for each in rows_of(delivery, "participants", participant_id=person)
        if record(grid, each)["left_reason"] not in ("", "completed", "Genomförd", "Completed")
    ]
    return tuple(finding(name, grid, "left-to-work-without-outcome", each, "left_reason") for each in left)


def _again(name: str, table: str, code: str) -> Plant:
    """Return how a row is written once more at the end."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        row = pick(delivery, table, rng)
        if row is None:
            return None
        grid = delivery.grids[table]
        return delivery.with_grid(grid.repeated(row)), (finding(name, grid, code, len(grid.rows)),)

    return plant
