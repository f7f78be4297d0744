"""Rules on single tables: what pandera finds in the typed tables, and keys; each failure with its place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.submission import NOT_READ
from bipstudy.schema.pandera_schema import pandera_schema
from bipstudy.texts import LANGUAGES
from bipstudy.validation.bounds import Mask
from bipstudy.validation.data import Data, distinct_values, plain
from bipstudy.validation.rules import Hits, Outcome, check, in_both

Rows = npt.NDArray[np.int64]


@check
def missing_table(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for the tables that a submission must have."""
    required = [table for table in schema.tables().values() if table.required]
    # What is missing may stand in a file that could not be read.
    status = "unchecked" if any(finding.code in NOT_READ for finding in data.loaded) else "invalid"
    hits = [
        Hits(each.name, None, status=status, values={"table_label": each.label})
        for each in required
        if each.name not in data.sent
    ]
    return Outcome(len(required), tuple(hits))


@check
def empty_table(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for rows in the tables that a submission must have."""
    sent = [table for table in schema.tables().values() if table.required and table.name in data.sent]
    hits = [Hits(each.name, None, values={"table_label": each.label}) for each in sent if each.name not in data.tables]
    return Outcome(len(sent), tuple(hits))


@check
def missing_column(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for the columns that a table must have."""
    hits = [
        Hits(name, None, column.name, values=_labels(name, column.name), count=len(data.tables[name]))
        for name, absent in data.absent.items()
        for column in schema.table(name).columns
        if column.name in absent
    ]
    return Outcome(_rows(data), tuple(hits))


@check
def wrong_type(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for columns that hold something else than they should."""
    hits = [
        Hits(
            name,
            None,
            column,
            values=_labels(name, column) | {"kind": _kind(name, column)},
            count=len(data.tables[name]),
        )
        for name, mistyped in data.mistyped.items()
        for column in sorted(mistyped)
    ]
    return Outcome(_rows(data), tuple(hits))


@check
def missing_value(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for required cells that are empty."""
    hits = [
        Hits(name, rows, column, values=_labels(name, column)) for name, column, rows in _failed(data, "missing-value")
    ]
    return Outcome(_rows(data), tuple(hits))


@check
def unknown_code(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for values that are not in their code list."""
    hits = [
        Hits(name, rows, column, values=_labels(name, column) | {"known": _known(name, column)})
        for name, column, rows in _failed(data, "unknown-code")
    ]
    return Outcome(_rows(data), tuple(hits))


@check
def out_of_bounds(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for numbers outside the bounds of their column."""
    hits = []
    for name, column, rows in _failed(data, "out-of-bounds"):
        about = schema.table(name).column(column)
        bounds = {"minimum": _bound(about.minimum), "maximum": _bound(about.maximum)}
        hits.append(Hits(name, rows, column, values=_labels(name, column) | bounds))
    return Outcome(_rows(data), tuple(hits))


@check
def duplicate_key(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for rows of one table with the same key; forms have a rule of their own."""
    hits = [_duplicates(data, name, rows) for name, _, rows in _failed(data, "duplicate-key") if name != "measurements"]
    return Outcome(_rows(data), tuple(hits))


@check
def two_answers_for_one_form(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for forms with the same participant, occasion, respondent and instrument."""
    hits = [_duplicates(data, name, rows) for name, _, rows in _failed(data, "duplicate-key") if name == "measurements"]
    return Outcome(len(data.tables["measurements"]), tuple(hits))


def _rows(data: Data) -> int:
    """Return the number of rows of all tables."""
    return sum(map(len, data.tables.values()))


def _failed(data: Data, code: str) -> list[tuple[str, str, Rows]]:
    """Return table, column and rows of the failures of one rule; pandera runs once for all rules."""
    if "structure" not in data.memory:
        data.memory["structure"] = [failure for name in data.tables for failure in _failures(data, name)]
    return [(name, column, rows) for found, name, column, rows in data.memory["structure"] if found == code]


def _failures(data: Data, name: str) -> Iterator[tuple[str, str, str, Rows]]:
    """Yield rule, table, column and rows of what breaks a rule on structure in a table."""
    first = data.lookup(name, name, schema.table(name).key)
    again = np.flatnonzero((first >= 0) & (first != np.arange(len(first))))
    if len(again):
        yield "duplicate-key", name, "", again
    described = None
    for column, suspect in _suspect_cells(data, name):
        values = data.tables[name][column]
        if column in data.absent[name] or column in data.mistyped[name]:
            continue
        empty = suspect & values.isna().to_numpy(dtype=bool)
        if empty.any():
            yield "missing-value", name, column, np.flatnonzero(empty)
        rows = np.flatnonzero(suspect & ~empty)
        if not len(rows):
            continue
        # Pandera writes out each failing cell by itself, so it is asked of each different value once.
        described = described or pandera_schema(name)
        codes, different = distinct_values(values.iloc[rows])
        for code, wrong in _refused(described.columns[column], pd.Series(different, dtype=values.dtype)):
            yield code, name, column, rows[wrong[codes]]


def _refused(described: Any, values: pd.Series) -> Iterator[tuple[str, Mask]]:
    """Yield the rules that some values of a column break, and which of the values do."""
    import pandera.pandas as pa

    found: dict[str, Mask] = {}
    try:
        with warnings.catch_warnings():
            # Pandera joins its failure cases in a way that pandas warns of; the joined table is not used.
            warnings.simplefilter("ignore", FutureWarning)
            pa.DataFrameSchema({described.name: described}).validate(values.to_frame(described.name), lazy=True)
    except pa.errors.SchemaErrors as failed:
        for error in failed.schema_errors:
            code = "out-of-bounds" if error.check.name == "bounds" else "unknown-code"
            wrong = found.setdefault(code, np.zeros(len(values), dtype=bool))
            wrong[error.failure_cases["index"].to_numpy(dtype=np.int64)] = True
    yield from found.items()


def _suspect_cells(data: Data, name: str) -> Iterator[tuple[str, Mask]]:
    """Yield the columns in which a cell is empty, or has a code or a number that it may not have, and which cells."""
    marked = {
        column: _unlisted(data, name, column, schema.PRECISIONS)
        for column in data.tables[name]
        if column.endswith("_precision")
    }
    marked |= {column.name: _suspect(data, name, column) for column in schema.table(name).columns}
    yield from ((column, cells) for column, cells in marked.items() if cells.any())


def _suspect(data: Data, name: str, column: schema.Column) -> Mask:
    """Say of each cell whether it is empty, or has a code or a number that it may not have."""
    values = data.tables[name][column.name]
    suspect: Mask = np.zeros(len(values), dtype=bool)
    if not column.nullable:
        suspect |= values.isna().to_numpy(dtype=bool)
    if column.codes is not None:
        suspect |= _unlisted(data, name, column.name, schema.code_list(column.codes).values)
    if column.minimum is not None:
        suspect |= (values < column.minimum).to_numpy(dtype=bool, na_value=False)
    if column.maximum is not None:
        suspect |= (values > column.maximum).to_numpy(dtype=bool, na_value=False)
    return suspect


def _unlisted(data: Data, name: str, column: str, listed: Sequence[object]) -> Mask:
    """Say of each cell whether it holds something that is not in a list."""
    codes, values = data.distinct(name, column)
    unlisted = ~np.asarray(values.isin(listed), dtype=bool)
    # Most columns hold nothing of the kind, and need not be gone through; the last place is that of an empty cell.
    return np.append(unlisted, False)[codes] if unlisted.any() else np.zeros(len(codes), dtype=bool)


def _duplicates(data: Data, name: str, rows: Rows) -> Hits:
    """Return the rows whose key stands on an earlier row, and which row that is."""
    description = schema.table(name)
    first = data.lookup(name, name, description.key)[rows]
    key_labels = {
        language: ", ".join(description.column(part).label[language].lower() for part in description.key)
        for language in LANGUAGES
    }
    values = {"table_label": description.label, "key_labels": key_labels}
    return Hits(name, rows, None, values=values, each={"first_row": row_and_file(data.provenance[name], rows, first)})


def row_and_file(places: pd.DataFrame, rows: Rows, first: Rows) -> list[object]:
    """Return the row that each first row has, with its file and sheet where they are other than those of the row."""
    here, there = places.iloc[rows], places.iloc[first]
    own, other = (list(zip(plain(each["file"]), plain(each["sheet"]), strict=True)) for each in (here, there))
    numbers = there["row"].tolist()
    return [
        int(row) if mine == its else f"{row}, {', '.join(str(name) for name in its if name)}".removesuffix(", ")
        for mine, its, row in zip(own, other, numbers, strict=True)
    ]


def _labels(name: str, column: str) -> dict[str, object]:
    """Return the labels of a table and a column."""
    return {"table_label": schema.table(name).label, "column_label": column_label(name, column)}


def column_label(name: str, column: str) -> dict[str, str]:
    """Return the label of a column of a table, a precision or an item, in both languages."""
    described = {each.name: each.label for each in schema.table(name).columns}
    described |= {each.id: each.label for each in schema.items().values()}
    return described.get(column.removesuffix("_precision"), dict.fromkeys(LANGUAGES, column))


def _kind(name: str, column: str) -> dict[str, str]:
    """Return what a column should hold, in both languages."""
    kinds = {each.name: each.kind for each in schema.table(name).columns}
    kind = "precision" if column.endswith("_precision") else kinds.get(column, "integer")
    return in_both(f"validation.kind_{kind}")


def _known(name: str, column: str) -> dict[str, str]:
    """Return the values of the code list of a column as a sentence, in both languages."""
    if column.endswith("_precision"):
        return dict.fromkeys(LANGUAGES, ", ".join(schema.PRECISIONS))
    codes = schema.code_list(str(schema.table(name).column(column).codes))
    return {language: ", ".join(codes.labels(language).values()) for language in LANGUAGES}


def _bound(number: float | None) -> object:
    """Return a bound as a person writes it."""
    if number is None:
        return in_both("validation.unlimited")
    return int(number) if float(number).is_integer() else number
