"""Columns of whole numbers and days that are read as such, and told by their text all the same."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from bipstudy.loaders.cells import Cells

# One way of writing each: no zero before a number, no plus, no space.
_NUMBER = re.compile(r"(?:0|-?[1-9]\d{0,3})?", re.ASCII)
_DAY = re.compile(r"(?:\d{4}-\d\d-\d\d)?", re.ASCII)
_PLACES, _LINES, _REACH = 64, 12, 2**13
# Rows of a header.
_NAMES = 3


def kinds_of(encoded: bytes, delimiter: str, width: int) -> list[Any]:
    """Say which columns seem to hold whole numbers or days, from lines here and there.

    Parameters
    ----------
    encoded : bytes
        A text in UTF-8.
    delimiter : str
    width : int
        Cells of a row.

    Returns
    -------
    list of DataType or None
        None for a column of text, and where the lines say nothing.
    """
    import pyarrow as pa

    rows = [cells for line in _sample(encoded) if len(cells := line.decode().split(delimiter)) == width]
    kinds: list[Any] = []
    for column in zip(*rows, strict=True):
        said = set(column)
        if said <= {""}:
            kinds.append(None)
        elif all(map(_NUMBER.fullmatch, said)):
            kinds.append(pa.int16())
        else:
            kinds.append(pa.date32() if all(map(_DAY.fullmatch, said)) else None)
    return kinds or [None] * width


def _sample(encoded: bytes) -> list[bytes]:
    """Return some lines from many places, without the first ones, which may name the columns."""
    found: list[bytes] = []
    apart = len(encoded) // _PLACES
    for at in range(1, _PLACES):
        lines = encoded[at * apart : at * apart + min(apart, _REACH)].split(b"\n")[1:-1]
        found += [line.removesuffix(b"\r") for line in lines[:_LINES]]
    return found


def below_names(head: list[list[object]], start: int, kinds: list[Any]) -> int | None:
    """Return the first row from which all are of their kinds, below at most three that name the columns.

    Parameters
    ----------
    head : list of list of str
        The first rows.
    start : int
        Above it is nothing but titles.
    kinds : list of DataType or None

    Returns
    -------
    int or None
        None where no column has a kind, or other rows are not of it.
    """
    import pyarrow as pa

    ways = [(at, _DAY if pa.types.is_date(kind) else _NUMBER) for at, kind in enumerate(kinds) if kind is not None]
    other = [
        at for at in range(start, len(head)) if not all(way.fullmatch(str(head[at][place])) for place, way in ways)
    ]
    first = max(other, default=start - 1) + 1
    return first if ways and first <= start + _NAMES else None


def texts_of(column: Any) -> tuple[Cells, int]:
    """Return a column that Arrow read as its different texts and their places.

    Parameters
    ----------
    column : ChunkedArray
        Of a dictionary of text, one for all chunks, or of whole numbers or days.

    Returns
    -------
    cells : Cells
    length : int
        Bytes of all cells together, each written as shortly as it can be.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        position = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks]).astype(np.intp)
        texts = column.chunk(0).dictionary.to_pylist()
        return Cells.merged(texts, position), _length(texts, np.bincount(position, minlength=len(texts)))
    import pyarrow.compute as pc

    days = pa.types.is_date(column.type)
    numbers = column.cast(pa.int32()) if days else column
    # One below the least number stands for an empty cell.
    empty = (pc.min(numbers).as_py() or 0) - 1
    filled = pc.fill_null(numbers, pa.scalar(empty, numbers.type))
    from_empty = np.concatenate([chunk.to_numpy() for chunk in filled.chunks]).astype(np.intp)
    from_empty -= empty
    counts = np.bincount(from_empty)
    there = np.flatnonzero(counts)
    place = np.zeros(int(there[-1]) + 1, dtype=np.intp)
    place[there] = np.arange(len(there))
    texts = ["" if number == 0 else _written(number + empty, days) for number in there.tolist()]
    return Cells(texts, place[from_empty]), _length(texts, counts[there])


def _written(number: int, day: bool) -> str:
    """Return the text of a number, or of a day by its number since 1970."""
    return str(np.datetime64(number, "D")) if day else str(number)


def _length(texts: list[str], counts: npt.NDArray[np.intp]) -> int:
    """Return the bytes of all cells of a column, of each text as many as there are."""
    return sum(len(text.encode()) * count for text, count in zip(texts, counts.tolist(), strict=True))
