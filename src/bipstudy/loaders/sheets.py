"""From a raw sheet to a table: which table it is, where its header stands, and which column is which of ours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.cells import Cells, cell_text, tidied
from bipstudy.loaders.grids import Grid, Unread
from bipstudy.loaders.mapping import Mapping, TableMapping
from bipstudy.loaders.names import all_column_names, column_names, key, table_by_name
from bipstudy.schema import Finding

# Title rows above the header: more than these are not looked through.
_HEADER_WITHIN = 40


@dataclass(frozen=True)
class Sheet:
    """A sheet whose table and columns are known.

    Attributes
    ----------
    file, sheet : str, str or None
    table : str
        Name of the table.
    rows : array of int, shape (rows,)
        Number of each row of data as a person sees it; blank rows are left out.
    columns : dict of str to Cells
        Text of the columns by canonical name.
    names : dict of str to str
        Canonical name to the name in the file.
    header_row : int
        Row on which the header stands.
    """

    file: str
    sheet: str | None
    table: str
    rows: npt.NDArray[np.int64]
    columns: dict[str, Cells]
    names: dict[str, str]
    header_row: int

    def finding(self, code: str, column: str | None = None, **rest: object) -> Finding:
        """Return a finding at this sheet; `column` is a canonical name."""
        name = None if column is None else self.names.get(column, column)
        return Finding(code, table=self.table, file=self.file, sheet=self.sheet, column=name, **rest)  # type: ignore[arg-type]


@dataclass
class _Body:
    """The rows below a header, column by column."""

    header: list[str]
    columns: list[Cells]
    rows: npt.NDArray[np.int64]
    short: list[int] = field(default_factory=list)
    cut_off: int | None = None


def recognise(grid: Grid, mapping: Mapping, alone: bool, findings: list[Finding], unread: list[Unread]) -> Sheet | None:
    """Say which table a raw sheet holds and which columns.

    Parameters
    ----------
    grid : Grid
    mapping : Mapping
        The organisation's own names.
    alone : bool
        Whether the sheet is the only one with data in its file, so that the name of the file may name the table.
    findings : list of Finding
        What is wrong is added here.
    unread : list of Unread
        What becomes no part of a table is added here.

    Returns
    -------
    Sheet or None
        None where the sheet holds no table that is known.
    """
    if grid.helper or mapping.leaves_out(grid.file, grid.sheet):
        unread += _loose(grid, len(grid.rows))
        return None
    own = {spelling for table in mapping.tables.values() for spelling in table.columns}
    at, known = _header_at(grid, own)
    if at is None:
        findings.append(Finding("empty-file", file=grid.file, sheet=grid.sheet))
        return None
    header = [tidied(cell_text(cell)) for cell in grid.rows[at]]
    table = mapping.table_of(grid.file, grid.sheet) or _table_of(grid, header, alone, mapping)
    if table is None or known == 0:
        code = "no-header" if table else "unclear-table" if known > 1 else "unknown-sheet"
        row = grid.numbers[at] if known else None
        findings.append(Finding(code, table=table, file=grid.file, sheet=grid.sheet, row=row))
        unread += _loose(grid, len(grid.rows))
        return None
    unread += _loose(grid, at)
    body = _body(grid, at)
    return _bind(grid, grid.numbers[at], table, body, mapping.table(table), findings, unread)


def _loose(grid: Grid, end: int) -> list[Unread]:
    """Return the cells of the first rows of a sheet, column by column."""
    rows = np.asarray(grid.numbers[:end], dtype=np.int64)
    columns = zip_longest(*grid.rows[:end], fillvalue="")
    return [
        Unread(grid.file, grid.sheet, None, _letters(position), rows, _texts(Cells.of(values)))
        for position, values in enumerate(columns)
    ]


def _texts(cells: Cells) -> pd.Series:
    """Return the text of every cell of a column."""
    return pd.Series(cells.distinct, dtype=schema.STRING).take(cells.position).reset_index(drop=True)


def _header_at(grid: Grid, own: set[str]) -> tuple[int | None, int]:
    """Return which row is the header, the one with most known names, and how many of its names are known."""
    known = all_column_names() | own
    best, most = None, -1
    for at, row in enumerate(grid.rows[:_HEADER_WITHIN]):
        cells = [tidied(cell_text(cell)) for cell in row]
        if any(cells) and (count := sum(key(cell) in known for cell in cells if cell)) > most:
            best, most = at, count
    return best, max(most, 0)


def _table_of(grid: Grid, header: list[str], alone: bool, mapping: Mapping) -> str | None:
    """Return the table by the name of the sheet, by that of the file, or by the columns."""
    named = table_by_name(grid.sheet) if grid.sheet is not None else None
    if named is None and alone:
        named = table_by_name(grid.file.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    return named or _table_by_columns(header, mapping)


def _table_by_columns(header: list[str], mapping: Mapping) -> str | None:
    """Return the one table that the columns fit best, or None if none does or two fit as well."""
    scores = {}
    for name, table in schema.tables().items():
        known = {**column_names(name), **mapping.table(name).columns}
        found = {known[key(cell)] for cell in header if key(cell) in known}
        wanted = {column.name for column in table.columns if not (column.optional or column.assigned)}
        lacking = wanted - found - {"organisation_id"}
        if len(lacking) <= len(wanted) / 2:
            scores[name] = len(found) - len(lacking)
    best = [name for name, score in scores.items() if score == max(scores.values()) and score > 1]
    return best[0] if len(best) == 1 else None


def _body(grid: Grid, at: int) -> _Body:
    """Return what stands below the header, column by column and without blank rows."""
    header = [tidied(cell_text(cell)) for cell in grid.rows[at]]
    while header and not header[-1]:
        header.pop()
    below = grid.rows[at + 1 :]
    numbers = np.asarray(grid.numbers[at + 1 :], dtype=np.int64)
    columns = [Cells.of(values) for values in zip_longest(*below, fillvalue="")]
    columns += [Cells.of([""] * len(below)) for _ in range(len(header) - len(columns))]
    filled = np.flatnonzero(~np.logical_and.reduce([cells.blank for cells in columns])) if below else np.array([], int)
    body = _Body(
        header=header + [""] * (len(columns) - len(header)),
        columns=[Cells(cells.distinct, cells.position[filled]) for cells in columns],
        rows=numbers[filled],
    )
    if grid.ragged:
        _note_length(body, [below[row] for row in filled], len(header))
    return body


def _note_length(body: _Body, rows: list[list[object]], width: int) -> None:
    """Note the rows that have fewer or more cells than the header."""
    for position, row in enumerate(rows):
        short = len(row) < width
        if short and position == len(rows) - 1:
            body.cut_off = int(body.rows[position])
        elif short or any(tidied(cell_text(cell)) for cell in row[width:]):
            body.short.append(int(body.rows[position]))


def _bind(
    grid: Grid,
    header_row: int,
    table: str,
    body: _Body,
    mapping: TableMapping,
    findings: list[Finding],
    unread: list[Unread],
) -> Sheet:
    """Give each column its canonical name, and say which could not be given one."""
    known = {**column_names(table), **mapping.columns}
    sheet = Sheet(grid.file, grid.sheet, table, body.rows, {}, {}, header_row)
    for position, (name, cells) in enumerate(zip(body.header, body.columns, strict=True)):
        canonical = known.get(key(name))
        shown = name if canonical or (name and _may_be_shown(name)) else _letters(position)
        filled = int((~cells.blank).sum())
        if (canonical is None or canonical in sheet.columns) and (name or filled):
            values = pd.concat([pd.Series([name], dtype=schema.STRING), _texts(cells)], ignore_index=True)
            unread.append(Unread(grid.file, grid.sheet, table, shown, np.append(header_row, body.rows), values))
        if canonical in sheet.columns:
            first: dict[str, object] = {"column": sheet.names[str(canonical)]}
            twice = sheet.finding("duplicate-column", count=len(body.rows), values=first)
            findings.append(replace(twice, column=name))
        elif canonical:
            sheet.columns[canonical] = cells
            sheet.names[canonical] = name
        elif not name and filled and position < len(body.header):
            if not grid.ragged or position < _width(body.header):
                findings.append(sheet.finding("unnamed-column", _letters(position), count=filled))
        elif name and key(name) not in mapping.ignore:
            findings.append(sheet.finding("unknown-column", shown, count=filled))
    findings += [sheet.finding("row-length", row=row) for row in body.short]
    if body.cut_off is not None:
        findings.append(sheet.finding("truncated-file", row=body.cut_off))
    _note_unused(sheet, mapping, findings)
    return sheet


def _note_unused(sheet: Sheet, mapping: TableMapping, findings: list[Finding]) -> None:
    """Say which columns the mapping names and the sheet has not."""
    present = {key(name) for name in sheet.names.values()}
    for theirs, ours in mapping.columns.items():
        if theirs not in present and ours not in sheet.columns:
            findings.append(sheet.finding("mapping-unused", ours))


def _width(header: list[str]) -> int:
    """Return the number of columns up to the last that has a name."""
    return max((position + 1 for position, name in enumerate(header) if name), default=0)


def _may_be_shown(name: str) -> bool:
    """Say whether the name of an unknown column may stand in a message: it may be somebody's number."""
    return sum(character.isdigit() for character in name) < 6 and "@" not in name


def _letters(position: int) -> str:
    """Return the letters by which a spreadsheet calls a column."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
