"""Canonical tables: columns in order, one type per kind of column, rows sorted by key, and a hash of the content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.schema.instrument import items
from bipstudy.schema.sources import SCHEMA_VERSION
from bipstudy.schema.tables import Table, table
from bipstudy.texts import BipstudyError

# The type that text has by default from pandas 3 on: Arrow storage, NaN where missing, plain booleans from comparisons.
STRING = pd.StringDtype("pyarrow", na_value=np.nan)
PRECISIONS = ("day", "month", "quarter")

_DTYPES = {
    "id": STRING,
    "text": STRING,
    "code": STRING,
    "date": "datetime64[s]",
    "integer": "Int64",
    "year": "Int64",
    "number": "float64",
    "boolean": "boolean",
}


def dtypes(name: str) -> dict[str, object]:
    """Return the type of every column of a canonical table, in order.

    Parameters
    ----------
    name : str
        Name of the table.

    Returns
    -------
    dict
        Column to pandas type: the columns of the table, each date followed by its precision, then the items.
    """
    found: dict[str, object] = {}
    for column in table(name).columns:
        found[column.name] = _DTYPES[column.kind]
        if column.precision_column:
            found[column.precision_column] = STRING
    if table(name).has_items:
        found.update(dict.fromkeys(items(), "Int64"))
    return found


def conform(name: str, frame: pd.DataFrame, *, sort: bool = True) -> pd.DataFrame:
    """Return a table in canonical form.

    Columns that may be left out are added empty, a missing precision is ``day`` where there is a date, types are set
    and rows are sorted by key. Values are not judged: that is the work of validation.

    Parameters
    ----------
    name : str
        Name of the table.
    frame : DataFrame
        Rows of the table, with at least the columns that may not be left out.
    sort : bool
        Whether to sort the rows by key and number them anew; otherwise order and index stay, and the table may share
        its memory with the frame.

    Returns
    -------
    DataFrame

    Raises
    ------
    BipstudyError
        A required column is missing, or a column does not belong to the table.
    """
    description = table(name)
    wanted = dtypes(name)
    _check_columns(description, frame, set(wanted))
    columns = {}
    for column, dtype in wanted.items():
        if column in frame:
            values = frame[column]
        elif column.endswith("_precision"):
            dated = frame.get(column.removesuffix("_precision"))
            values = (
                pd.Series("day", index=frame.index) if dated is None else dated.notna().map({True: "day", False: None})
            )
        else:
            values = pd.Series(pd.NA, index=frame.index, dtype="object")
        columns[column] = _cast(values, dtype, copy=sort)
    # What was cast need not be copied once more.
    canonical = pd.DataFrame(columns, index=frame.index, copy=False)
    for column in (column for column in wanted if column.endswith("_precision")):
        # Without a date there is nothing to be precise about.
        dated = canonical[column.removesuffix("_precision")].notna()
        if not dated.all():
            canonical[column] = canonical[column].where(dated)
    if not sort:
        return canonical
    return canonical.sort_values(list(description.key), kind="stable", ignore_index=True)


def empty(name: str) -> pd.DataFrame:
    """Return a canonical table without rows."""
    return _empty(name).copy()


@cache
def _empty(name: str) -> pd.DataFrame:
    """Return a table without rows, made once: to make one column by column takes many times as long as to copy it."""
    return pd.DataFrame({column: pd.Series(dtype=dtype) for column, dtype in dtypes(name).items()})


def content_hash(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the SHA-256 of the content of canonical tables.

    The hash depends on the values alone: not on the order of rows or tables, on empty columns or on their storage.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Canonical tables by name.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(f"schema_version={SCHEMA_VERSION}\n".encode())
    for name in sorted(tables):
        frame = tables[name].dropna(axis="columns", how="all")
        if frame.empty:
            continue
        digest.update(f"table={name} rows={len(frame)}\n".encode())
        order = np.lexsort([_ranks(*_as_text(tables[name][column])) for column in reversed(table(name).key)])
        for column in sorted(frame.columns):
            digest.update(f"column={column}\n".encode())
            position, texts = _as_text(frame[column])
            # The length in front keeps ("ab", "c") apart from ("a", "bc").
            cells = np.array([f"{len(cell)}:{cell}".encode() for cell in texts], dtype=object)
            digest.update(b"".join(cells[position[order]].tolist()))
    return digest.hexdigest()


def _as_text(values: pd.Series) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return the different values of a column as text and, per row, the place of its own; a missing one is NUL."""
    if pd.api.types.is_float_dtype(values.dtype):
        values = values + 0.0  # 0 and -0 are one number
    position, different = pd.factorize(values)
    unique = pd.Series(different)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        rendered = unique.dt.strftime("%Y-%m-%d").tolist()
    elif pd.api.types.is_float_dtype(values.dtype):
        rendered = [repr(float(number)) for number in unique]
    else:
        rendered = [str(value) for value in unique.astype(object)]
    # Position -1, a missing value, becomes 0; no value can equal a NUL.
    return position + 1, ["\0", *rendered]


def _ranks(position: npt.NDArray[np.intp], texts: list[str]) -> npt.NDArray[np.intp]:
    """Return numbers that sort as the texts do."""
    ranks = np.empty(len(texts), dtype=np.intp)
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    return ranks[position]


def _cast(values: pd.Series, dtype: Any, *, copy: bool) -> pd.Series:
    """Return a column as its canonical type; one that is of it already is copied if so asked."""
    return (pd.to_numeric(values) if dtype == "float64" else values).astype(dtype, copy=copy)


def _check_columns(description: Table, frame: pd.DataFrame, wanted: set[str]) -> None:
    """Refuse a frame that lacks a required column or has one that does not belong."""
    foreign = [str(column) for column in frame.columns if column not in wanted]
    if foreign:
        raise BipstudyError("schema.unknown_column", table=description.name, columns=", ".join(foreign))
    missing = [column.name for column in description.columns if not column.optional and column.name not in frame]
    if missing:
        raise BipstudyError("schema.missing_column", table=description.name, columns=", ".join(missing))
