"""What of a sheet becomes no table, kept so that what must never be sent is found there too."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.grids import Grid, Unread
from bipstudy.loaders.headers import Body
from bipstudy.schema import fold

if TYPE_CHECKING:
    from bipstudy.loaders.source import Sheet


# A date or a number as such columns hold them; anything else that is long enough is looked at.
_USUAL = re.compile(r"(?:19|20)\d\d-?(?:\d\d-?\d\d|\d\d|Q[1-4])(?:[ T][\d:.]*)?|-?\d{1,8}(?:[.,]\d*)?")
_ODD = 6
# Columns of these kinds are looked through once they are tables.
_READ_AS_TEXT = frozenset({"id", "text"})


def letters(position: int) -> str:
    """Return the letters by which a spreadsheet calls a column.

    Examples
    --------
    >>> letters(0), letters(27)
    ('A', 'AB')
    """
    found = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        found = chr(ord("A") + rest) + found
    return found


def loose(grid: Grid, end: int, start: int = 0, names: Mapping[int, str] | None = None) -> list[Unread]:
    """Return the cells of some rows of a sheet, column by column, by the letters of the columns or their names."""
    rows = np.asarray(grid.numbers[start:end], dtype=np.int64)
    columns = zip_longest(*grid.rows[start:end], fillvalue="")
    return [
        Unread(grid.file, grid.sheet, None, (names or {}).get(at, letters(at)), rows, texts(Cells.of(values)))
        for at, values in enumerate(columns)
    ]


def left_out(grid: Grid, body: Body) -> list[Unread]:
    """Return the cells of totals and notes below the data, which are no data but may hold what must not be sent."""
    rows = np.asarray([row for row, _ in body.left_out], dtype=np.int64)
    columns = zip_longest(*(cells for _, cells in body.left_out), fillvalue="")
    return [
        Unread(grid.file, grid.sheet, None, letters(position), rows, texts(Cells.of(values)))
        for position, values in enumerate(columns)
    ]


def untyped(sheets: Sequence[Sheet]) -> list[Unread]:
    """Return what stands in columns of dates, numbers and codes and may be none, but a name or number of a person."""
    found: dict[str, Unread] = {}
    for sheet in sheets:
        columns = {column.name: column for column in schema.table(sheet.table).columns}
        for name, cells in sheet.columns.items():
            shown = sheet.names.get(name)
            column = columns.get(name)
            if shown is None or shown in found or (column is not None and column.kind in _READ_AS_TEXT):
                continue
            at = _odd(cells, schema.code_list(column.codes).spellings if column is not None and column.codes else {})
            if len(at):
                values = texts(Cells(cells.distinct, cells.position[at]))
                found[shown] = Unread(sheet.file, sheet.sheet, sheet.table, shown, sheet.rows[at], values)
    return list(found.values())


def _odd(cells: Cells, known: Mapping[str, str]) -> npt.NDArray[np.intp]:
    """Return the rows of a column of dates, numbers or codes whose cells may be something else, such as a name."""
    odd = [len(text) >= _ODD and not _USUAL.fullmatch(text) and fold(text) not in known for text in cells.distinct]
    return cells.rows_of(odd) if any(odd) else np.zeros(0, dtype=np.intp)


def texts(cells: Cells) -> pd.Series:
    """Return the text of every cell of a column."""
    return pd.Series(cells.distinct, dtype=schema.STRING).take(cells.position).reset_index(drop=True)
