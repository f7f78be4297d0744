"""Tools of the defects: which rows fit, and the defect of some cells or of one more row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np

from bipstudy import schema
from bipstudy.simulation.defects import Defect, Planting, Record, finding, pick, record
from bipstudy.simulation.raw import Delivery

STATUS = schema.code_list("form_status").spellings
WHO = schema.code_list("respondent").spellings
Fits = Callable[[Record], bool]
Change = Callable[[Record], dict[str, str]]


def write(
    name: str, table: str, code: str, column: str | None, change: Change, fits: Fits = lambda row: True
) -> Defect:
    """Return the defect of some cells of one row, where the finding stands."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        row = pick(delivery, table, rng, fits)
        if row is None:
            return None
        grid = delivery.grids[table]
        cells = change(record(grid, row))
        if not set(cells) <= set(grid.columns):
            return None
        return delivery.with_grid(grid.changed(row, **cells)), (finding(name, grid, code, row, column),)

    return Defect(name, table, "cell", plant)


def added(
    name: str, table: str, code: str, column: str | None, change: Change, fits: Fits = lambda row: True
) -> Defect:
    """Return the defect of a row that is added, made from another."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        row = pick(delivery, table, rng, fits)
        if row is None:
            return None
        grid = delivery.grids[table]
        grown = grid.repeated(row, **change(record(grid, row)))
        return delivery.with_grid(grown), (finding(name, grid, code, len(grid.rows), column),)

    return Defect(name, table, "row", plant)


def later(day: str, days: int) -> str:
    """Return a day some days later."""
    return (dt.date.fromisoformat(day[:10]) + dt.timedelta(days=days)).isoformat()


def coded(spellings: dict[str, str], text: str, *codes: str) -> bool:
    """Say whether a cell holds one of some codes, however it is spelt."""
    return spellings.get(schema.fold(text)) in codes


def answered(row: Record) -> bool:
    """Say whether a form is answered."""
    return coded(STATUS, row["form_status"], "answered")


def by_caseworker(row: Record) -> bool:
    """Say whether a form is the caseworker's."""
    return coded(WHO, row["respondent"], "caseworker")


def silent(row: Record) -> bool:
    """Say whether a form was not reached or not done."""
    return coded(STATUS, row["form_status"], "not_reached", "not_done")


def ended(row: Record) -> bool:
    """Say whether a spell has an end."""
    return row["end"] != ""


def records(delivery: Delivery, table: str) -> list[dict[str, str]]:
    """Return the rows of a table by canonical name."""
    grid = delivery.grids[table]
    return [dict(zip(grid.columns, row, strict=True)) for row in grid.rows]
