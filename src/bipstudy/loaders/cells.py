"""From the text of a column to values of its kind: each distinct text is read once."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.dates import day_of_serial, is_moved, read_date
from bipstudy.schema import fold

T = TypeVar("T")
R = TypeVar("R")

# What a cell may say instead of a value, and the reason it gives; "" where it gives none.
MISSING = {
    "": "",
    "-": "",
    ".": "",
    "n/a": "",
    "na": "",
    "nan": "",
    "null": "",
    "uppgift saknas": "",
    "saknas": "",
    "missing": "",
    "inget svar": "",
    "ej svar": "",
    "ej besvarad": "",
    "ej besvarat": "",
    "no answer": "",
    "(tomt)": "",
    "(tom)": "",
    "vet ej": "dont_know",
    "vet inte": "dont_know",
    "don't know": "dont_know",
    "dont know": "dont_know",
    "vill ej svara": "declined",
    "vill inte svara": "declined",
    "vill inte uppge": "declined",
    "ville ej svara": "declined",
    "declined": "declined",
    "ej aktuellt": "not_asked",
    "ej tillämpligt": "not_asked",
    "frågan ställdes inte": "not_asked",
    "ej ställd": "not_asked",
    "not asked": "not_asked",
    "oläsligt": "unreadable",
    "unreadable": "unreadable",
}
# Said outright, as opposed to an empty cell: `unknown` where the code list has that code.
_UNKNOWN = ("okänd", "okänt", "unknown", "uppgift saknas", "saknas", "vet ej", "vet inte", "missing")
_YES = ("ja", "j", "yes", "y", "1", "x", "true", "sant")
_NO = ("nej", "n", "no", "0", "false", "falskt")
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u202f\u200b\ufeff\u00ad"), " ")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_MANGLED = re.compile(r"\d+(?:[.,]\d+)?e\+?\d+|\d+[.,]0+", re.ASCII | re.IGNORECASE)
_MAX_INTEGER = 2**53
_MANY = 50_000
_HASHED = {bool, int, float, dt.datetime, dt.date, dt.time, dt.timedelta, type(None)}
_DTYPES = {
    "id": schema.STRING,
    "text": schema.STRING,
    "code": schema.STRING,
    "date": "datetime64[s]",
    "integer": "Int64",
    "item": "Int64",
    "year": "Int64",
    "number": "float64",
    "boolean": "boolean",
}


@dataclass(frozen=True)
class Cells:
    """The text of one column: its distinct texts, and for each row the position of its own.

    Attributes
    ----------
    distinct : list of str
        Trimmed, in one normal form of accents.
    position : array of int, shape (rows,)
    """

    distinct: list[str]
    position: npt.NDArray[np.intp]

    @classmethod
    def of(cls, values: Sequence[object]) -> Cells:
        """Read the raw cells of a column as text."""
        typed = set(map(type, values)) - {str}
        raw = np.empty(len(values), dtype=object)
        if typed <= _HASHED and len(typed & {bool, int, float}) < 2:
            # Each different cell is written once; true, 1 and 1.0 are one to a table of cells, and not to a reader.
            raw[:] = values
            position, different = pd.factorize(raw, use_na_sentinel=False)
            uniques = [cell_text(value) for value in different] if typed else different
        else:
            raw[:] = [cell_text(value) for value in values]
            position, uniques = pd.factorize(raw)
        return cls.merged(uniques, position)

    @classmethod
    def merged(cls, texts: Iterable[str], position: npt.NDArray[np.intp]) -> Cells:
        """Return a column from its different raw texts, of which several may be one when they are tidied."""
        tidy = [tidied(text) for text in texts]
        if len(set(tidy)) == len(tidy):
            return cls(tidy, position)
        merged, distinct = pd.factorize(np.array(tidy, dtype=object))
        return cls(list(distinct), merged[position])

    @property
    def blank(self) -> npt.NDArray[np.bool_]:
        """Which rows are empty."""
        return np.array([not text for text in self.distinct], dtype=bool)[self.position]

    @property
    def present(self) -> list[str]:
        """The different texts that stand on some row."""
        there = np.zeros(len(self.distinct), dtype=bool)
        there[self.position] = True
        return list(compress(self.distinct, there))

    def rows_of(self, chosen: Sequence[bool]) -> npt.NDArray[np.intp]:
        """Return the positions of the rows whose distinct text is chosen."""
        return np.flatnonzero(np.asarray(chosen, dtype=bool)[self.position])


@dataclass(frozen=True)
class Parsed:
    """A column as values.

    Attributes
    ----------
    values : Series
        Of the canonical type, missing where a cell is empty or could not be read.
    precision : Series or None
        For dates.
    problems : dict of str to array of int
        Code of the finding to the rows concerned.
    reasons : array of object or None
        For items: why the answer is missing, ``""`` where nothing is said; None where no cell says anything.
    notes : dict of str to int
        Code of a finding on the whole column to the rows concerned; their values have been read.
    """

    values: pd.Series
    precision: pd.Series | None = None
    problems: dict[str, npt.NDArray[np.intp]] = field(default_factory=dict)
    reasons: npt.NDArray[np.object_] | None = None
    notes: dict[str, int] = field(default_factory=dict)


def for_each(work: Callable[[T], R], columns: Sequence[T], rows: int) -> list[R]:
    """Do the same with each column: with many rows on two threads, since Arrow and numpy let others work meanwhile.

    Parameters
    ----------
    work : callable
    columns : sequence
    rows : int
        Rows of each.

    Returns
    -------
    list
        In the order of the columns.
    """
    if rows < _MANY:
        return [work(column) for column in columns]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, columns))


def cell_text(value: object) -> str:
    """Return a raw cell as text; a number or date of a typed format as it would be written by hand.

    Examples
    --------
    >>> cell_text(17.0), cell_text(0.35), cell_text(None), cell_text(dt.datetime(2024, 3, 5))
    ('17', '0.35', '', '2024-03-05')
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_INTEGER:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    return str(value)


def tidied(text: str) -> str:
    """Return text in one normal form, without the spaces around it and without invisible characters."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text).translate(_SPACES)).strip()


def parse(
    kind: str, cells: Cells, spellings: dict[str, str] | None = None, missing: dict[str, str] | None = None
) -> Parsed:
    """Read the text of a column as values of a kind.

    Parameters
    ----------
    kind : str
        Kind of a column of a table, or ``item``.
    cells : Cells
    spellings : dict of str to str, optional
        For codes: folded spelling to code.
    missing : dict of str to str, optional
        Folded marker of a missing value to its reason; `MISSING` unless said otherwise.

    Returns
    -------
    Parsed
    """
    markers = MISSING if missing is None else missing
    if kind == "date":
        return _dates(cells, markers)
    if kind in {"number", "integer", "item", "year"}:
        return _numbers(kind, cells, markers)
    reader: Callable[[str], tuple[object, str]]
    if kind == "boolean":
        reader = _boolean
    elif kind == "code":
        reader = _code_reader(spellings or {})
    else:
        reader = _identifier if kind == "id" else _text
        markers = {"": "", **{marker: reason for marker, reason in markers.items() if marker in "-."}}
    read = [_read(reader, kind, text, markers) for text in cells.distinct]
    return Parsed(
        _take(kind, cells, [value for value, _ in read]), problems=_problems(cells, [code for _, code in read])
    )


def _read(
    reader: Callable[[str], tuple[object, str]], kind: str, text: str, markers: dict[str, str]
) -> tuple[object, str]:
    """Return the value of a text, or None and the code of the finding; a marker of a missing value is neither."""
    # The markers that hold for ids and text have no letter and no digit, and no code is one but where it says so.
    if kind in {"id", "text"} and text[:1].isalnum():
        return reader(text)
    missed = fold(text) in markers
    if missed and kind != "code":
        return None, ""
    value, problem = reader(text)
    return (None, "") if problem and missed else (value, problem)


def _dates(cells: Cells, markers: dict[str, str]) -> Parsed:
    """Read a column of dates."""
    serial = [day_of_serial(text) for text in cells.distinct]
    read = [
        None if fold(text) in markers else read_date(text) if day is None else (day, "day")
        for text, day in zip(cells.distinct, serial, strict=True)
    ]
    numbers = len(cells.rows_of([day is not None for day in serial]))
    moved = [found is not None and is_moved(text, found[0]) for text, found in zip(cells.distinct, read, strict=True)]
    counts = {"excel-day-number": numbers, "time-of-greenwich": len(cells.rows_of(moved))}
    problems = [
        "" if found or fold(text) in markers else "not-a-date" for text, found in zip(cells.distinct, read, strict=True)
    ]
    days = pd.Series(pd.to_datetime([found[0] if found else None for found in read])).astype("datetime64[s]")
    precision = pd.Series([found[1] if found else None for found in read], dtype=schema.STRING)
    return Parsed(
        values=_spread(days, cells),
        precision=_spread(precision, cells),
        problems=_problems(cells, problems),
        notes={code: count for code, count in counts.items() if count},
    )


def _numbers(kind: str, cells: Cells, markers: dict[str, str]) -> Parsed:
    """Read a column of numbers; a column that mixes decimal comma and decimal point is refused."""
    whole = kind != "number"
    texts = [re.sub(r"(?<=\d) (?=\d{3}(?!\d))", "", text).replace("−", "-") for text in cells.distinct]
    said = [markers.get(fold(text)) for text in texts]
    read = [
        (None, "") if reason is not None else _number(text, whole) for text, reason in zip(texts, said, strict=True)
    ]
    values, problems = [value for value, _ in read], [problem for _, problem in read]
    comma = [value is not None and "," in text for text, value in zip(texts, values, strict=True)]
    point = [value is not None and "." in text for text, value in zip(texts, values, strict=True)]
    if any(comma) and any(point):
        for at in range(len(texts)):
            if comma[at] or point[at]:
                values[at], problems[at] = None, "mixed-decimal-marks"
    reasons = None
    if kind == "item" and any(said):
        reasons = np.array([reason or "" for reason in said], dtype=object)[cells.position]
    return Parsed(_take(kind, cells, list(values)), problems=_problems(cells, problems), reasons=reasons)


def _number(text: str, whole: bool) -> tuple[float | int | None, str]:
    """Return a number, or None and the code of the finding."""
    problem = "not-a-whole-number" if whole else "not-a-number"
    if not _NUMBER.fullmatch(text):
        return None, problem
    number = float(text.replace(",", "."))
    if abs(number) >= _MAX_INTEGER or (whole and not number.is_integer()):
        return None, problem
    return (int(number) if whole else number), ""


def _boolean(text: str) -> tuple[object, str]:
    """Return yes or no."""
    folded = fold(text)
    if folded in _YES or folded in _NO:
        return folded in _YES, ""
    return None, "not-yes-or-no"


def _identifier(text: str) -> tuple[object, str]:
    """Return an id, which stays the text it is; a spreadsheet that took it for a number has spoilt it."""
    return text, "spoilt-id" if not text.isdecimal() and _MANGLED.fullmatch(text) else ""


def _text(text: str) -> tuple[object, str]:
    """Return free text as it is."""
    return text, ""


def _code_reader(spellings: dict[str, str]) -> Callable[[str], tuple[object, str]]:
    """Return a reader of one code list."""
    known = dict(spellings)
    if "unknown" in spellings.values():
        known = {**dict.fromkeys(_UNKNOWN, "unknown"), **known}

    def read(text: str) -> tuple[object, str]:
        code = known.get(fold(text))
        return code, "" if code is not None else "unknown-code"

    return read


def _take(kind: str, cells: Cells, values: list[object]) -> pd.Series:
    """Return the value of every row from those of the distinct texts."""
    return _spread(pd.Series(values, dtype=_DTYPES[kind]), cells)


def _spread(values: pd.Series, cells: Cells) -> pd.Series:
    """Return the value of every row from those of the distinct texts, one by one."""
    if len(values) == 1 and values.dtype == schema.STRING:
        return pd.Series(repeated(None if values.isna()[0] else str(values[0]), len(cells.position)), copy=False)
    return pd.Series(values.array.take(cells.position), copy=False)


def repeated(text: str | None, rows: int) -> pd.api.extensions.ExtensionArray:
    """Return a column that says the same on every row, or nothing, several times as fast as row by row."""
    import pyarrow as pa

    if text is None:
        return pd.array(pa.nulls(rows, pa.large_string()), dtype=schema.STRING)
    encoded = text.encode()
    ends = np.arange(rows + 1, dtype=np.int64) * len(encoded)
    said = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(encoded * rows))
    return pd.array(said, dtype=schema.STRING)


def _problems(cells: Cells, codes: list[str]) -> dict[str, npt.NDArray[np.intp]]:
    """Return the rows of each kind of problem."""
    return {code: cells.rows_of([other == code for other in codes]) for code in sorted(set(codes)) if code}
