"""Defects of forms and answers: parts that do not fit, answers that stand still, are copied or jump."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bipstudy import schema
from bipstudy.simulation.defect_tools import STATUS, answered, by_caseworker, coded, later, records, silent, write
from bipstudy.simulation.defects import Defect, Plant, Planting, Record, finding, pick, record, rows_of
from bipstudy.simulation.raw import Delivery


def catalogue() -> Iterator[Defect]:
    """Yield the defects of forms and answers."""
    yield from _forms()
    yield from _sequences()


def _emptied(row: Record) -> dict[str, str]:
    """Return the answers of a form, emptied."""
    return {item: "" for item in schema.items() if item in row}


def _forms() -> Iterator[Defect]:
    """Yield forms whose parts do not fit each other."""
    yield write(
        "answered without a day",
        "measurements",
        "answered-without-date",
        "answered_on",
        lambda row: {"answered_on": ""},
        answered,
    )
    yield write(
        "declined without a day",
        "measurements",
        "answered-without-date",
        "answered_on",
        lambda row: {"answered_on": ""},
        lambda row: coded(STATUS, row["form_status"], "declined"),
    )
    yield write(
        "answers on a form that was not reached",
        "measurements",
        "answers-on-unanswered-form",
        "form_status",
        lambda row: {schema.instrument().asked_of("participant")[0]: "3"},
        lambda row: silent(row) and not by_caseworker(row),
    )
    yield write(
        "answers on a declined form",
        "measurements",
        "answers-on-unanswered-form",
        "form_status",
        lambda row: {schema.instrument().asked_of("caseworker")[0]: "3"},
        lambda row: coded(STATUS, row["form_status"], "declined") and by_caseworker(row),
    )
    yield write(
        "day on a form that was not done",
        "measurements",
        "date-on-form-not-done",
        "answered_on",
        lambda row: {"answered_on": row["due_on"]},
        silent,
    )
    yield Defect("answered without an answer", "measurements", "cell", _blank)
    yield Defect("form without its partner", "measurements", "file", _partnerless)
    yield Defect(
        "reason where there is an answer", "missing_answers", "row", _reason("missing-answer-has-answer", "item")
    )
    yield Defect(
        "reason on an unanswered form", "missing_answers", "row", _reason("missing-answer-on-unanswered-form", "reason")
    )
    yield write(
        "answered two months after it was due",
        "measurements",
        "answered-far-from-due",
        "answered_on",
        lambda row: {"due_on": later(row["answered_on"], -70)},
        answered,
    )


def _blank(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Empty every answer of a form of which no reason is given for any."""
    grid = delivery.grids["measurements"]
    explained = {
        (row["participant_id"], row["occasion"], row["respondent"]) for row in records(delivery, "missing_answers")
    }
    row = pick(
        delivery,
        "measurements",
        rng,
        lambda row: answered(row) and (row["participant_id"], row["occasion"], row["respondent"]) not in explained,
    )
    if row is None:
        return None
    changed = grid.changed(row, **_emptied(record(grid, row)))
    name = "answered without an answer"
    return delivery.with_grid(changed), (finding(name, grid, "answered-without-answer", row, "form_status"),)


def _partnerless(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Give the form of one respondent the number of an occasion that the other never had."""
    return _renumbered(delivery, rng, "form without its partner")


def _renumbered(delivery: Delivery, rng: np.random.Generator, name: str) -> Planting | None:
    """Move the silent last form of a respondent to the next number, so that the one beside it stands alone."""
    grid = delivery.grids["measurements"]
    last: dict[str, int] = {}
    for form in records(delivery, "measurements"):
        last[form["participant_id"]] = max(last.get(form["participant_id"], 0), int(form["occasion"]))

    def fits(row: Record) -> bool:
        return silent(row) and int(row["occasion"]) == last[row["participant_id"]]

    row = pick(delivery, "measurements", rng, fits)
    if row is None:
        return None
    here = record(grid, row)
    partner = [
        each
        for each in rows_of(delivery, "measurements", participant_id=here["participant_id"], occasion=here["occasion"])
        if each != row
    ]
    if not partner or not answered(record(grid, partner[0])):
        return None
    changed = grid.changed(row, occasion=str(int(here["occasion"]) + 1))
    return delivery.with_grid(changed), (finding(name, grid, "form-without-partner", partner[0], "respondent"),)


def _reason(code: str, column: str) -> Plant:
    """Return how a reason for a missing answer is added to a form where there is none to give."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        forms, grid = delivery.grids["measurements"], delivery.grids["missing_answers"]
        item = schema.instrument().asked_of("participant")[0]
        with_answer = code == "missing-answer-has-answer"
        row = pick(
            delivery,
            "measurements",
            rng,
            lambda row: (answered(row) and row[item] != "") if with_answer else silent(row),
        )
        if row is None or not grid.rows:
            return None
        form = record(forms, row)
        key = {name: form[name] for name in ("participant_id", "occasion", "respondent", "instrument")}
        grown = grid.repeated(0, **key, item=item)
        name = "reason where there is an answer" if with_answer else "reason on an unanswered form"
        return delivery.with_grid(grown), (finding(name, grid, code, len(grid.rows), column),)

    return plant


def _series(delivery: Delivery, rng: np.random.Generator, length: int) -> list[int] | None:
    """Return the rows of a participant's answered forms on occasions in a row, as many as asked for."""
    person = pick(delivery, "participants", rng)
    if person is None:
        return None
    rows = {}
    wanted = record(delivery.grids["participants"], person)["participant_id"]
    for row in rows_of(delivery, "measurements", participant_id=wanted):
        here = record(delivery.grids["measurements"], row)
        if not by_caseworker(here) and answered(here):
            rows[int(here["occasion"])] = row
    for first in sorted(rows):
        if all(first + step in rows for step in range(length)):
            return [rows[first + step] for step in range(length)]
    return None


def _sequences() -> Iterator[Defect]:
    """Yield answers that stand still, are copied, or jump."""
    for name, code, values in (
        ("only threes twice", "straight-lining", ("3", "3")),
        ("all ones, then all fives", "answers-jump", ("1", "5")),
        ("the same answers three times", "copied-answers", ("", "", "")),
    ):
        yield Defect(name, "measurements", "row", _answers(name, code, values))
    yield Defect("occasions the wrong way round", "measurements", "row", _reversed)
    yield Defect("occasion four weeks after the last", "measurements", "row", _hasty)


def _answers(name: str, code: str, values: tuple[str, ...]) -> Plant:
    """Return how the answers of a participant's forms are written over."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        rows = _series(delivery, rng, len(values))
        if rows is None:
            return None
        grid = delivery.grids["measurements"]
        asked = schema.instrument().asked_of("participant")
        first = record(grid, rows[0])
        given = [item for item in asked if all(record(grid, row)[item] != "" for row in rows)]
        if len(given) < len(asked):
            return None
        for row, value in zip(rows, values, strict=True):
            cells = {item: value or first[item] for item in given}
            if code == "answers-jump":
                # One answer apart, so that neither form is a straight line.
                cells[given[0]] = "2" if value == "1" else "4"
            grid = grid.changed(row, **cells)
        return delivery.with_grid(grid), (finding(name, grid, code, rows[-1]),)

    return plant


def _pair(delivery: Delivery, row: int) -> list[int]:
    """Return the answered forms of the occasion of a form."""
    here = record(delivery.grids["measurements"], row)
    found = rows_of(delivery, "measurements", participant_id=here["participant_id"], occasion=here["occasion"])
    return [each for each in found if answered(record(delivery.grids["measurements"], each))]


def _reversed(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Exchange the numbers of a participant's last two occasions."""
    rows = _series(delivery, rng, 2)
    if rows is None:
        return None
    grid = delivery.grids["measurements"]
    first, second = (record(grid, row) for row in rows)
    later = rows_of(
        delivery, "measurements", participant_id=first["participant_id"], occasion=str(int(second["occasion"]) + 1)
    )
    if later or first["occasion"] != "1":
        return None
    for here, number in ((first, second["occasion"]), (second, first["occasion"])):
        key = {"participant_id": here["participant_id"], "occasion": here["occasion"]}
        for row in rows_of(delivery, "measurements", **key):
            grid = grid.changed(row, occasion=number)
        for row in rows_of(delivery, "missing_answers", **key):
            delivery = delivery.with_grid(delivery.grids["missing_answers"].changed(row, occasion="9" + number))
    reasons = delivery.grids["missing_answers"]
    for row, cells in enumerate(records(delivery, "missing_answers")):
        if cells["occasion"] in ("91", "92"):
            reasons = reasons.changed(row, occasion=cells["occasion"][1:])
    delivery = delivery.with_grid(grid).with_grid(reasons)
    at = _pair(delivery, rows[0])
    row = max(at, key=lambda each: (record(grid, each)["answered_on"], -each))
    return delivery, (finding("occasions the wrong way round", grid, "occasions-out-of-order", row, "answered_on"),)


def _hasty(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Move the last occasion of a participant to four weeks after the one before it."""
    rows = _series(delivery, rng, 2)
    if rows is None:
        return None
    grid = delivery.grids["measurements"]
    first, second = (record(grid, row) for row in rows)
    if rows_of(
        delivery, "measurements", participant_id=first["participant_id"], occasion=str(int(second["occasion"]) + 1)
    ):
        return None
    day = later(first["answered_on"], 28)
    pair = _pair(delivery, rows[1])
    for row in pair:
        grid = grid.changed(row, answered_on=day, due_on=day)
    told = finding(
        "occasion four weeks after the last", grid, "interval-far-from-three-months", min(pair), "answered_on"
    )
    return delivery.with_grid(grid), (told,)
