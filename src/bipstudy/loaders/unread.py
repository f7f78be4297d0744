"""What of a sheet becomes no table, kept so that what must never be sent is found there too."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.grids import Grid, Unread
from bipstudy.loaders.headers import Body


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


def texts(cells: Cells) -> pd.Series:
    """Return the text of every cell of a column."""
    return pd.Series(cells.distinct, dtype=schema.STRING).take(cells.position).reset_index(drop=True)
