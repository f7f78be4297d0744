"""Columns of canonical tables from arrays, without a detour over Python objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.simulation.cohort import Bools, Ints

Values = npt.NDArray[np.generic]


def text(words: Sequence[str], which: Values, present: Bools | None = None) -> object:
    """Return a text column: for each row one of some words, or missing.

    Parameters
    ----------
    words : sequence of str
    which : (n,) int
        Index into `words`; any value where not present.
    present : (n,) bool, optional
        False where missing.

    Returns
    -------
    pandas extension array of the canonical text type
    """
    import pyarrow as pa

    mask = None if present is None else ~present
    index = which if mask is None else np.where(mask, 0, which)
    taken = pa.array(list(words), type=pa.large_string()).take(pa.array(index, mask=mask))
    return schema.STRING.__from_arrow__(taken)


def date(day: Ints, present: Bools | None = None) -> object:
    """Return a date column from days since 1970-01-01; missing where not present."""
    values = day.astype("datetime64[D]").astype("datetime64[s]")
    if present is not None:
        values[~present] = np.datetime64("NaT")
    return values


def integer(values: Values, present: Bools | None = None) -> object:
    """Return a whole-number column; missing where not present."""
    mask = np.zeros(len(values), dtype=bool) if present is None else ~present
    return pd.arrays.IntegerArray(values.astype(np.int64), mask)


def boolean(values: Bools, present: Bools | None = None) -> object:
    """Return a yes-or-no column; missing where not present."""
    mask = np.zeros(len(values), dtype=bool) if present is None else ~present
    return pd.arrays.BooleanArray(values.astype(bool), mask)


def number(values: npt.NDArray[np.float64], present: Bools | None = None) -> object:
    """Return a number column; missing where not present."""
    return values if present is None else np.where(present, values, np.nan)


def frame(name: str, columns: Mapping[str, object], rows: int) -> pd.DataFrame:
    """Return a canonical table from its columns.

    Columns that are not given are empty; a date whose precision is not given is known to the day. Rows must be sorted
    by the key of the table already.

    Parameters
    ----------
    name : str
        Name of the table.
    columns : mapping of str to array
    rows : int

    Returns
    -------
    DataFrame
    """
    built: dict[str, object] = {}
    for column, dtype in schema.dtypes(name).items():
        dated = columns.get(column.removesuffix("_precision"))
        if column in columns:
            built[column] = columns[column]
        elif column.endswith("_precision") and dated is not None:
            built[column] = text(("day",), np.zeros(rows, dtype=np.int64), ~np.isnat(np.asarray(dated)))
        else:
            built[column] = (
                pd.array([None], dtype=dtype).take(np.zeros(rows, dtype=np.int64))
                if _extension(dtype)
                else (np.full(rows, np.nan if dtype == "float64" else np.datetime64("NaT", "s")))
            )
    return pd.DataFrame(built, copy=False)


def _extension(dtype: object) -> bool:
    """Return whether a type is one of pandas' own."""
    return dtype not in ("float64", "datetime64[s]")
