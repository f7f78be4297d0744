"""Defects of whole columns, sheets and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bipstudy import schema
from bipstudy.simulation.defects import Defect, Plant, Planting, finding
from bipstudy.simulation.raw import Delivery
from bipstudy.texts import default_language

# Columns whose loss gives findings in other tables are left out here.
_COLUMNS = {
    "participants": ("entered_on", "sex", "age_group", "outcome_follow_up", "observed_until", "observed_until_reason"),
    "trainings": ("kind", "held_on"),
    "activities": ("focus", "start"),
    "outcomes": ("source",),
    "missing_answers": ("reason",),
}


def catalogue() -> Iterator[Defect]:
    """Yield the defects of columns and files."""
    for table, columns in _COLUMNS.items():
        for column in columns:
            name = f"{table}.{column}: column missing"
            yield Defect(name, table, "column", _missing(name, table, column))
    for item in schema.instrument().items:
        name = f"{item.id}: column missing"
        yield Defect(name, "measurements", "column", _missing(name, "measurements", item.id, "missing-item-column"))
    for name, heading, code in (
        ("column that nobody knows", "Skostorlek", "unknown-column"),
        ("identity numbers in a column that nobody knows", "Nyckel", "personal-identity-number"),
        ("e-mail in a column that nobody knows", "Kontaktväg", "contact-details"),
    ):
        yield Defect(name, "participants", "column", _widened(name, heading, code))
    yield Defect("column twice", "participants", "column", _twice)
    for table in ("trainings", "missing_answers", "activities", "outcomes", "caseworkers"):
        name = f"{table}: headings only"
        if table in ("trainings", "missing_answers"):
            yield Defect(name, table, "file", _headings(name, table, "header-only"))
    yield Defect("no forms at all", "measurements", "file", _lost("no forms at all", "measurements"))
    yield Defect("no participants at all", "participants", "file", _lost("no participants at all", "participants"))
    yield Defect(
        "trainings: empty file", "trainings", "file", _bytes("trainings: empty file", "trainings", b"", "empty-file")
    )
    name = "trainings: a picture in place of a table"
    yield Defect(name, "trainings", "file", _bytes(name, "trainings", b"\x89PNG\r\n\x1a\n" + bytes(64), "not-text"))


def _missing(name: str, table: str, column: str, code: str = "missing-column") -> Plant:
    """Return how a column is taken out."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        grid = delivery.grids.get(table)
        if grid is None or column not in grid.columns:
            return None
        changed = grid.renamed(column, "")
        told = finding(name, grid, code, None)
        # The file has no heading for it any more: a report shows the template's.
        label = schema.items()[column].label if column in schema.items() else schema.table(table).column(column).label
        return delivery.with_grid(changed), (replace(told, column=label[default_language()]),)

    return plant


def _widened(name: str, heading: str, code: str) -> Plant:
    """Return how a column is added that no table has."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        grid = delivery.grids["participants"]
        row = int(rng.integers(len(grid.rows)))
        text = {"personal-identity-number": "19701063-2391", "contact-details": "namn@example.se"}.get(code, "42")
        changed = grid.widened(heading, {row: text})
        told = [finding(name, changed, "unknown-column", None, heading)]
        if code != "unknown-column":
            told.append(finding(name, changed, code, row, heading))
        return delivery.with_grid(changed), tuple(told)

    return plant


def _twice(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
    """Give a second column the heading of the first."""
    grid = delivery.grids["participants"]
    heading = grid.named("sex")
    changed = grid.widened(heading, dict(enumerate(grid.column("sex"))))
    return delivery.with_grid(changed), (finding("column twice", grid, "duplicate-column", None, "sex"),)


def _headings(name: str, table: str, code: str) -> Plant:
    """Return how all rows are taken out."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        grid = delivery.grids.get(table)
        if grid is None or grid.sheet is not None:
            return None
        return delivery.with_grid(replace(grid, rows=())), (finding(name, grid, code, None),)

    return plant


def _lost(name: str, table: str) -> Plant:
    """Return how a file that must be there is left out."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        grid = delivery.grids[table]
        if grid.sheet is not None:
            return None
        told = replace(finding(name, grid, "missing-table", None), file=None)
        return delivery.without(table), (told,)

    return plant


def _bytes(name: str, table: str, content: bytes, code: str) -> Plant:
    """Return how the content of a file becomes something else."""

    def plant(delivery: Delivery, rng: np.random.Generator) -> Planting | None:
        grid = delivery.grids[table]
        if grid.sheet is not None:
            return None
        told = replace(finding(name, grid, code, None), table=None)
        return delivery.with_bytes(table, lambda old: content), (told,)

    return plant
