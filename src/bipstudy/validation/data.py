"""What validation looks at: the tables that were sent, where each row stands, and the different values of columns."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bipstudy import schema
from bipstudy.validation.bounds import Bounds, Days, Mask, date_bounds

# A column whose first rows say the same at least so many times in a row is read run by run.
_SAMPLE, _IN_RUNS = 10_000, 4
# Bits of a whole number beside its sign.
_WIDEST = 63
# More combinations of values than this are not numbered by multiplying.
_MOST = 2**_WIDEST


@dataclass(frozen=True)
class Data:
    """The tables of a submission or a study, as the rules see them.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        Canonical tables that were sent and have rows, with an index from 0.
    sent : frozenset of str
        Tables that were sent, with or without rows.
    provenance : mapping of str to DataFrame
        Columns file, sheet and row for each row of each table.
    source_columns : mapping of str to mapping
        Canonical column to its name in the file.
    headings : mapping of str to Headings
        What columns are called row by row, for tables in which that differs.
    extracted_on : date or None
    loaded : sequence of Finding
        What the loader found.
    absent : mapping of str to frozenset
        Required columns that a table lacks altogether; they stand in `tables` without values.
    mistyped : mapping of str to frozenset
        Columns that cannot be read as what they should hold; they stand in `tables` without values.
    """

    tables: Mapping[str, pd.DataFrame]
    sent: frozenset[str]
    provenance: Mapping[str, pd.DataFrame]
    source_columns: Mapping[str, Mapping[str, str]]
    extracted_on: dt.date | None = None
    loaded: Sequence[schema.Finding] = ()
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mistyped: Mapping[str, frozenset[str]] = field(default_factory=dict)
    headings: Mapping[str, Any] = field(default_factory=dict)
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, submission: Any) -> Data:
        """Read a submission or a study.

        Parameters
        ----------
        submission : Submission or Study
            Anything with `tables` and `sent`; `provenance`, `source_columns`, `headings`, `findings` and `extracted_on`
            are used where it has them.

        Returns
        -------
        Data
        """
        sent = frozenset(submission.sent)
        given = {name: submission.tables[name] for name in schema.TABLE_NAMES if name in submission.tables}
        filled = {name: _from_zero(frame) for name, frame in given.items() if name in sent and len(frame)}
        known = getattr(submission, "provenance", None) or {}
        source_columns = getattr(submission, "source_columns", None) or {}
        absent = {name: _absent(name, frame, source_columns.get(name)) for name, frame in filled.items()}
        typed = {name: _typed(name, frame) for name, frame in filled.items()}
        tables = {name: frame for name, (frame, _) in typed.items()}
        return cls(
            tables=tables,
            sent=sent,
            provenance={name: _provenance(known.get(name), len(frame)) for name, frame in tables.items()},
            source_columns=source_columns,
            extracted_on=_as_date(getattr(submission, "extracted_on", None)),
            loaded=tuple(getattr(submission, "findings", ())),
            absent=absent,
            mistyped={name: mistyped for name, (_, mistyped) in typed.items()},
            headings=getattr(submission, "headings", None) or {},
        )

    def has(self, table: str, *columns: str) -> bool:
        """Say whether a table has rows and these columns were sent."""
        if table not in self.tables:
            return False
        frame = self.tables[table]
        return all(self._has_column(table, frame, column) for column in columns)

    def bounds(self, table: str, column: str) -> Bounds:
        """Return the first and last day that each date of a column can be."""
        if (table, column) not in self.memory:
            frame = self.tables[table]
            self.memory[table, column] = date_bounds(frame[column], frame.get(f"{column}_precision"))
        bounds: Bounds = self.memory[table, column]
        return bounds

    def groups(self, table: str, columns: Sequence[str]) -> Days:
        """Give each combination of values of some columns a number.

        Parameters
        ----------
        table : str
        columns : sequence of str

        Returns
        -------
        (n,) int64 array
            Equal for rows with the same values, in this table and in any other asked for the same columns; -1 where a
            value is missing. The numbers have no order.
        """
        key = ("groups", table, *columns)
        if key not in self.memory:
            sizes = [self._numbered(column)[1] for column in columns]
            # Where numbers of combinations would not fit, only those that occur are numbered, in all tables at once.
            having = [table] if math.prod(sizes) < _MOST else [name for name in self.tables if self._has(name, columns)]
            for name, total in zip(having, self._combined(having, columns), strict=True):
                self.memory["groups", name, *columns] = total
        found: Days = self.memory[key]
        return found

    def distinct(self, table: str, column: str) -> tuple[Days, pd.Index]:
        """Return the different values of a column, each read once however many rows it has.

        Parameters
        ----------
        table, column : str

        Returns
        -------
        codes : (n,) int64 array
            Position of the value of each row among `values`, -1 where it is missing.
        values : Index
            In the order in which they first appear.
        """
        key = ("distinct", table, column)
        if key not in self.memory:
            self.memory[key] = distinct_values(self.tables[table][column])
        found: tuple[Days, pd.Index] = self.memory[key]
        return found

    def holds(self, table: str, column: str, *wanted: object) -> Mask:
        """Say of each row whether a column holds one of some values."""
        codes, values = self.distinct(table, column)
        # The last place is that of a missing value, whose code is -1.
        return np.append(np.asarray(values.isin(wanted), dtype=bool), False)[codes]

    def lookup(self, table: str, other: str, columns: Sequence[str]) -> Days:
        """Return for each row of a table the first row of another with the same values, -1 where there is none."""
        key = (table, other, *columns)
        if key not in self.memory:
            self.memory[key] = _first_rows(self.groups(other, columns), self.groups(table, columns))
        found: Days = self.memory[key]
        return found

    def source_column(self, table: str, column: str) -> str:
        """Return the name of a column in the submitted file; the canonical name where it is not known."""
        return str(self.source_columns.get(table, {}).get(column, column))

    def headings_of(self, table: str, column: str, rows: npt.NDArray[np.integer[Any]]) -> list[str]:
        """Return the name of a column in the submitted file of each of some rows."""
        if table not in self.headings:
            return [self.source_column(table, column)] * len(rows)
        found: list[str] = self.headings[table].of(column, rows)
        return found

    def every_heading(self, table: str, column: str) -> set[str]:
        """Return where findings at one of our columns are told in any file, where that differs."""
        if table not in self.headings or column not in schema.dtypes(table):
            return set()
        return set(self.headings[table].each(column))

    def told(self, table: str, code: str) -> Mask:
        """Say of which rows of a table the loader has found something of a kind, in a column that is theirs."""
        columns: dict[tuple[object, ...], set[str | None]] = {}
        for one in self.loaded:
            if one.code == code and one.table == table:
                columns.setdefault((one.file, one.sheet, one.row), set()).add(one.column)
        found = np.zeros(len(self.tables[table]), dtype=bool)
        if not columns:
            return found
        parts = self.headings.get(table)
        known = [set(names.values()) for names in parts.names] if parts is not None else []
        place = self.provenance[table]
        for row, each in enumerate(zip(*(plain(place[name]) for name in ("file", "sheet", "row")), strict=True)):
            if each in columns:
                # A row of a file with many forms is told of the form whose column it is.
                found[row] = parts is None or bool(columns[each] & known[parts.part[row]])
        return found

    def _has(self, table: str, columns: Sequence[str]) -> bool:
        """Say whether a table has all of some columns."""
        return set(columns) <= set(self.tables[table])

    def _combined(self, tables: Sequence[str], columns: Sequence[str]) -> list[Days]:
        """Return the numbers of the combinations of some columns, table by table."""
        totals = [np.zeros(len(self.tables[name]), dtype=np.int64) for name in tables]
        missing = [np.zeros(len(total), dtype=bool) for total in totals]
        reached = 1
        for column in columns:
            numbers, size = self._numbered(column)
            if reached * max(size, 1) >= _MOST:
                codes, values = pd.factorize(np.concatenate(totals))
                totals = np.split(codes.astype(np.int64), np.cumsum([len(total) for total in totals])[:-1])
                reached = len(values)
            for name, total, unknown in zip(tables, totals, missing, strict=True):
                unknown |= numbers[name] < 0
                if size > 1:
                    total *= size
                    total += numbers[name]
            reached *= max(size, 1)
        for total, unknown in zip(totals, missing, strict=True):
            total[unknown] = -1
        return totals

    def _numbered(self, column: str) -> tuple[dict[str, Days], int]:
        """Return the values of a column as numbers from 0, the same in every table, and how many there are."""
        if ("numbered", column) not in self.memory:
            having = [name for name, frame in self.tables.items() if column in frame]
            found = [self.distinct(name, column) for name in having]
            codes, values = pd.factorize(pd.concat([pd.Series(own) for _, own in found], ignore_index=True))
            parts = np.split(codes.astype(np.int64), np.cumsum([len(own) for _, own in found])[:-1])
            numbers = {name: _renumbered(part, own) for name, part, (own, _) in zip(having, parts, found, strict=True)}
            self.memory["numbered", column] = numbers, len(values)
        numbers, size = self.memory["numbered", column]
        return numbers, size

    def _has_column(self, table: str, frame: pd.DataFrame, column: str) -> bool:
        """Say whether a column was sent."""
        if column not in frame:
            return False
        return column in self.source_columns.get(table, {}) or bool(frame[column].notna().any())


def distinct_values(values: pd.Series) -> tuple[Days, pd.Index]:
    """Return the different values of a column and which of them each row has.

    Parameters
    ----------
    values : Series of shape (n,)

    Returns
    -------
    codes : (n,) int64 array
        Position of the value of each row, -1 where it is missing.
    values : Index
        In the order in which they first appear.

    Examples
    --------
    >>> codes, values = distinct_values(pd.Series(["b", "a", None, "b"], dtype=schema.STRING))
    >>> codes.tolist(), values.tolist()
    ([0, 1, -1, 0], ['b', 'a'])
    """
    if values.dtype != schema.STRING:
        codes, found = pd.factorize(values)
        return codes.astype(np.int64, copy=False), pd.Index(found)
    texts = pa.array(values.array)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    # Sorted tables say the same many times in a row: to compare with the row above is faster than to look up a text.
    if _IN_RUNS * len(pc.run_end_encode(texts.slice(0, _SAMPLE)).values) < min(len(texts), _SAMPLE):
        runs = pc.run_end_encode(texts)
        lengths = np.diff(runs.run_ends.to_numpy(), prepend=0)
        encoded = runs.values.dictionary_encode()
        codes = np.repeat(_indices(encoded), lengths)
    else:
        encoded = texts.dictionary_encode()
        codes = _indices(encoded)
    return codes, pd.Index(schema.STRING.__from_arrow__(encoded.dictionary))


def plain(values: pd.Series) -> list[Any]:
    """Return a column as plain values, None where there is none."""
    found: list[Any] = values.to_numpy(dtype=object, na_value=None).tolist()
    return found


def in_order(*keys: Days) -> Days:
    """Return the rows sorted by some whole numbers, the first of them first, and by their place among equals.

    Parameters
    ----------
    *keys : (n,) int64 arrays

    Returns
    -------
    (n,) int64 array

    Examples
    --------
    >>> in_order(np.array([1, 0, 1]), np.array([5, 9, 4])).tolist()
    [1, 2, 0]
    """
    count = len(keys[0])
    if not count:
        return np.zeros(0, dtype=np.int64)
    lows = [int(key.min()) for key in keys]
    bits = [(int(key.max()) - low).bit_length() for key, low in zip(keys, lows, strict=True)]
    place = (count - 1).bit_length()
    if sum(bits) + place > _WIDEST:
        return np.lexsort(keys[::-1])
    # In one number with their place, rows are sorted several times as fast.
    packed = np.zeros(count, dtype=np.int64)
    for key, low, size in zip(keys, lows, bits, strict=True):
        packed <<= size
        packed |= key - low
    packed <<= place
    packed |= np.arange(count)
    packed.sort()
    packed &= (1 << place) - 1
    return packed


def _indices(encoded: pa.DictionaryArray) -> Days:
    """Return the position of the value of each row, -1 where it is missing."""
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    codes: Days = indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _renumbered(part: Days, own: Days) -> Days:
    """Return numbers that stand for others, below 0 where there is none."""
    return own if np.array_equal(part, np.arange(len(part))) else np.append(part, -1)[own]


def _from_zero(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with an index from 0, the same table where it has one."""
    every = pd.RangeIndex(len(frame))
    return frame if frame.index.equals(every) else frame.reset_index(drop=True)


def _first_rows(there: Days, wanted: Days) -> Days:
    """Return for each number the first row that has it, -1 where there is none and for numbers below 0."""
    size = int(max(there.max(initial=-1), wanted.max(initial=-1))) + 1
    if size > 8 * (len(there) + len(wanted)) + 1000:
        # Too far apart for a table of all numbers.
        codes = pd.factorize(np.concatenate([there, wanted]))[0].astype(np.int64)
        numbers = np.where(np.concatenate([there, wanted]) < 0, -1, codes)
        return _first_rows(numbers[: len(there)], numbers[len(there) :])
    first = np.full(size + 1, -1, dtype=np.int64)
    # Written from the last to the first, so that the first stays.
    rows = np.flatnonzero(there >= 0)[::-1]
    first[there[rows]] = rows
    return first[wanted]


def _absent(name: str, frame: pd.DataFrame, source_columns: Mapping[str, str] | None) -> frozenset[str]:
    """Return the required columns that a table lacks altogether."""
    required = [column for column in schema.table(name).columns if not column.optional]
    if name == "measurements" and "respondent" in frame and bool((frame["respondent"] == "participant").all()):
        # Participants' forms need not say who the caseworker is.
        required = [column for column in required if column.name != "caseworker_id"]
    return frozenset(
        column.name
        for column in required
        if column.name not in frame
        or (
            source_columns
            and not column.assigned
            and column.name not in source_columns
            and bool(frame[column.name].isna().all())
        )
    )


def _typed(name: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, frozenset[str]]:
    """Return a table with every canonical column in its type, and the columns that do not fit their type."""
    columns, mistyped, types = {}, set(), schema.dtypes(name)
    if list(frame) == list(types) and all(frame[column].dtype == dtype for column, dtype in types.items()):
        return frame, frozenset()
    for column, dtype in types.items():
        values = frame.get(column)
        if values is not None and values.dtype != dtype:
            try:
                values = values.astype(dtype)
            except (TypeError, ValueError):
                mistyped.add(column)
                values = None
        columns[column] = _nothing(frame.index, dtype) if values is None else values
    return pd.DataFrame(columns, index=frame.index, copy=False), frozenset(mistyped)


def _nothing(index: pd.Index, dtype: Any) -> pd.Series:
    """Return a column without values."""
    return pd.Series(pd.NA, index=index, dtype=object).astype(dtype)


def _provenance(known: pd.DataFrame | None, rows: int) -> pd.DataFrame:
    """Return file, sheet and row of each row; without them the row that the table would have in a file of its own."""
    if known is not None:
        return _from_zero(known[["file", "sheet", "row"]])
    nowhere = schema.STRING.__from_arrow__(pa.nulls(rows, pa.large_string()))
    return pd.DataFrame({"file": nowhere, "sheet": nowhere, "row": np.arange(2, rows + 2)}, copy=False)


def _as_date(value: Any) -> dt.date | None:
    """Return a date from a date, a timestamp, ISO text or nothing."""
    return None if value is None or pd.isna(value) else pd.Timestamp(value).date()
