"""From a raw sheet to tables: which tables it holds, and which column is which of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.cells import Cells, cell_text, tidied
from bipstudy.loaders.columns import Lines
from bipstudy.loaders.grids import Grid, Unread
from bipstudy.loaders.headers import Header, find_header, is_turned, read_body
from bipstudy.loaders.mapping import Mapping, TableMapping
from bipstudy.loaders.names import column_names, key, table_by_name
from bipstudy.loaders.recognition import (
    forbidden,
    is_free_text,
    is_mojibake,
    is_old_encoding,
    names_items,
    other_questionnaire,
)
from bipstudy.loaders.sheet_notes import note_merged, note_rows, note_unused
from bipstudy.loaders.source import Sheet, Source, constant
from bipstudy.loaders.unread import left_out, letters, loose, texts, untyped
from bipstudy.schema import Finding

MAX_COLUMNS = 16_384
# So many rows may stand above the header of a sheet of which no column is known.
_TITLE_ROWS = 10
# A sheet named after the caseworkers with so many more columns of another table belongs to that.
_MORE_COLUMNS = 3


def recognise(grid: Grid, mapping: Mapping, alone: bool, findings: list[Finding], unread: list[Unread]) -> list[Sheet]:
    """Say which tables a raw sheet holds and which columns.

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
    list of Sheet
        Empty where the sheet holds no table that is known.
    """
    width = grid.rows.width if isinstance(grid.rows, Lines) else max(map(len, grid.rows), default=0)
    if width > MAX_COLUMNS:
        findings.append(Finding("too-large", file=grid.file, sheet=grid.sheet))
        return []
    own = {spelling for name in mapping.tables for spelling in mapping.columns(name)}
    header = find_header(grid, own)
    if _is_unfit(grid, header, mapping, findings):
        # One cause, which is told: whatever else would be said of its columns and codes follows from it.
        return _refuse(grid, header, findings, unread)
    entries = mapping.entries(grid.file, grid.sheet)
    if grid.helper or mapping.leaves_out(grid.file, grid.sheet) or header is None:
        if header is None and not grid.helper:
            findings.append(Finding("empty-file", file=grid.file, sheet=grid.sheet))
        return _refuse(grid, header, findings, unread)
    if not entries:
        entries = [(table, mapping.entry(table)) for table in _tables_of(grid, header, alone, mapping, findings)]
    elif any(entry.wide for _, entry in entries):
        header = replace(header, known=max(header.known, 1))
    if not entries or header.known == 0:
        return _unrecognised(grid, header, entries[0][0] if entries else None, findings, unread)
    unread += loose(grid, header.first)
    source = Source(grid, header, read_body(grid, header))
    if source.body.other_header is not None:
        findings.append(Finding("several-tables", None, grid.file, grid.sheet, source.body.other_header))
        return _refuse(grid, header, findings, unread)
    if has_answers_on_rows(source, [table for table, _ in entries]):
        findings.append(Finding("answers-on-rows", "measurements", grid.file, grid.sheet, count=len(source.body.rows)))
        return _refuse(grid, header, findings, unread)
    unread += left_out(source.grid, source.body)
    note_rows(source, entries[0][0], findings)
    return _bind(source, entries, findings, unread)


def _is_unfit(grid: Grid, header: Header | None, mapping: Mapping, findings: list[Finding]) -> bool:
    """Say whether nothing of a sheet can be read, in a wrong encoding or with columns as rows, which is a finding."""
    if grid.spoilt or grid.helper or header is None:
        return grid.spoilt
    if any(is_mojibake(name) or is_old_encoding(name) for name in header.names):
        findings.append(Finding("wrong-encoding", file=grid.file, sheet=grid.sheet))
    elif not mapping.leaves_out(grid.file, grid.sheet) and is_turned(grid, header):
        findings.append(Finding("turned-table", file=grid.file, sheet=grid.sheet))
    else:
        return False
    return True


def _tables_of(grid: Grid, header: Header, alone: bool, mapping: Mapping, findings: list[Finding]) -> list[str]:
    """Return the table by the name of the sheet, by that of the file, or by the columns."""
    named = table_by_name(grid.sheet) if grid.sheet is not None else None
    if named is None and alone:
        named = table_by_name(grid.file.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    fits = {name: _fit(name, header, mapping) for name in schema.TABLE_NAMES}
    best = max(score for score, _ in fits.values())
    fitting = [name for name, (score, close) in fits.items() if close and score == best and score > 1]
    by_columns = fitting[0] if len(fitting) == 1 else None
    # The one column that caseworkers must have is in nearly every sheet, as in that of their answers.
    few = named == "caseworkers" and best >= fits[named][0] + _MORE_COLUMNS
    if named and by_columns and named != by_columns and (few or not fits[named][1]):
        labels: dict[str, object] = {
            "named_label": schema.table(named).label,
            "table_label": schema.table(by_columns).label,
        }
        findings.append(Finding("wrong-table-name", table=by_columns, file=grid.file, sheet=grid.sheet, values=labels))
        return [by_columns]
    table = named or by_columns
    return [table] if table else []


def _fit(name: str, header: Header, mapping: Mapping) -> tuple[int, bool]:
    """Return how many columns of a table a header has, less those it lacks, and whether it has at least half."""
    table = schema.table(name)
    known = {**column_names(name), **mapping.columns(name)}
    spellings = [(each, *others) for each, others in zip(header.names, header.others, strict=True)]
    found = {known[key(cell)] for each in spellings for cell in each if key(cell) in known}
    wanted = {column.name for column in table.columns if not (column.optional or column.assigned)}
    lacking = wanted - found - {"organisation_id"} - set(mapping.entry(name).constants)
    # A sheet with most of the questions is one of forms, whatever else it lacks.
    asked = table.has_items and 2 * len(found & set(schema.items())) > len(schema.items())
    return len(found) - len(lacking), asked or len(lacking) <= len(wanted) / 2


def has_answers_on_rows(source: Source, tables: list[str]) -> bool:
    """Say whether a sheet of forms has a row for each answer, with the question in a column of its own."""
    known, items = column_names("measurements"), schema.items()
    spelt = [[known.get(key(name)) for name in source.spellings(at)] for at in range(len(source.header.names))]
    if tables != ["measurements"] or any(name in items for each in spelt for name in each):
        return False
    return any(names_items(source.body.columns[at].distinct) for at, each in enumerate(spelt) if not any(each))


def _unrecognised(
    grid: Grid, header: Header, table: str | None, findings: list[Finding], unread: list[Unread]
) -> list[Sheet]:
    """Say of a sheet that becomes no table what it is, as far as that is known."""
    titles = [grid.file, grid.sheet or ""]
    titles += [tidied(cell_text(cell)) for row in grid.rows[: header.first] for cell in row]
    names = [name for each in zip(header.names, header.others, strict=True) for name in (each[0], *each[1])]
    # Our own headings speak of indicators too, alone or behind the word for who answers.
    own = [spelt for spelt, column in column_names("measurements").items() if column in schema.items()]
    foreign = [name for name in names if not any(spelt in key(name) for spelt in own)]
    other = other_questionnaire([*titles, *names[:1]], foreign)
    if other is not None:
        findings.append(
            Finding("other-questionnaire", file=grid.file, sheet=grid.sheet, values={"questionnaire": other})
        )
    else:
        code = "no-header" if table else "unclear-table" if header.known > 1 else "unknown-sheet"
        row = grid.numbers[header.first] if header.known else None
        findings.append(Finding(code, table=table, file=grid.file, sheet=grid.sheet, row=row))
    return _refuse(grid, header, findings, unread)


def _refuse(grid: Grid, header: Header | None, findings: list[Finding], unread: list[Unread]) -> list[Sheet]:
    """Keep the cells of a sheet that becomes no table, and refuse what must not be sent in it."""
    named: dict[int, str] = {}
    if grid.hidden:
        findings.append(Finding("hidden-sheet", file=grid.file, sheet=grid.sheet))
    if header is not None and (grid.hidden or not grid.helper):
        header = header if header.known else _refusable(grid, header)
        source = Source(grid, header, read_body(grid, header))
        for position in range(len(source.header.names)):
            refused = _forbidden(source, position, None)
            if refused is not None and refused.column is not None:
                findings.append(refused)
                named[position] = refused.column
    # By its name a column that is refused is known again where its content is looked through.
    start = header.first if header is not None and named else 0
    unread += [*loose(grid, start), *loose(grid, len(grid.rows), start, named)]
    return []


def _refusable(grid: Grid, header: Header) -> Header:
    """Return the row with most names of columns that must not be sent, below titles too, where no name is known."""
    rows = [[tidied(cell_text(cell)) for cell in row] for row in grid.rows[:_TITLE_ROWS]]
    counts = [sum(forbidden(name) is not None for name in row) for row in rows]
    if not any(counts):
        return header
    at = counts.index(max(counts))
    return Header(at, at, rows[at], [()] * len(rows[at]), 0)


def _bind(
    source: Source, entries: Sequence[tuple[str, TableMapping]], findings: list[Finding], unread: list[Unread]
) -> list[Sheet]:
    """Give each column its canonical name in each table, and say which could not be given one."""
    from bipstudy.loaders.wide import unfold

    bound: list[tuple[Sheet, set[int]]] = []
    for table, entry in entries:
        own: set[int] = set()
        sheet = _bind_table(source, table, entry, own, findings)
        bound.append((_told(sheet) if len(entries) > 1 and not entry.wide else sheet, own))
        note_unused(sheet, entry, findings)
    # Forms of several entries may share a date, as those of several blocks.
    forms = iter(unfold(source, [(sheet, own) for sheet, own in bound if sheet.entry.wide], findings))
    sheets = [each for sheet, _ in bound for each in (next(forms) if sheet.entry.wide else [sheet])]
    used = set[int]().union(*(own for _, own in bound))
    first = sheets[0] if sheets else source.empty(*entries[0])
    ignored = frozenset[str]().union(*(entry.ignore for _, entry in entries))
    for position, cells in enumerate(source.body.columns):
        if position in used:
            continue
        filled = int((~cells.blank).sum())
        name = source.header.names[position] if position < len(source.header.names) else ""
        if not (name or filled):
            continue
        values = pd.concat([pd.Series([name], dtype=schema.STRING), texts(cells)], ignore_index=True)
        rows = np.append(source.header_row, source.body.rows)
        shown = source.shown(position) if name else letters(position)
        unread.append(Unread(first.file, first.sheet, first.table, shown, rows, values))
        if position >= len(source.header.names):
            continue
        findings += _unbound(source, position, filled, first, ignored)
    unread += untyped(sheets)
    findings += [first.finding("row-length", row=row) for row in source.body.short]
    if source.body.cut_off is not None:
        findings.append(first.finding("truncated-file", row=source.body.cut_off))
    note_merged(source, sheets, findings)
    return sheets


def _bind_table(source: Source, table: str, entry: TableMapping, used: set[int], findings: list[Finding]) -> Sheet:
    """Give a table its columns."""
    known = {**column_names(table), **entry.columns}
    sheet = source.empty(table, entry)
    for position in range(len(source.header.names)):
        spellings = source.spellings(position)
        canonical = next((known[key(name)] for name in spellings if key(name) in known), None)
        own = any(key(name) in column_names(table) for name in spellings)
        if canonical is None or key(spellings[0]) in entry.ignore or (not own and _forbidden(source, position, table)):
            continue
        if canonical in sheet.columns:
            used.add(position)
            first: dict[str, object] = {"column": sheet.names[canonical]}
            twice = sheet.finding("duplicate-column", count=len(sheet.rows), values=first)
            findings.append(replace(twice, column=source.shown(position)))
            continue
        used.add(position)
        source.add(sheet, position, canonical)
        if position in source.grid.month and sheet.columns[canonical] is not source.body.columns[position]:
            shown = source.grid.month[position].intersection(source.body.at[~sheet.columns[canonical].blank].tolist())
            findings.append(sheet.finding("shown-as-month", canonical, count=len(shown)))
    for canonical, value in entry.constants.items():
        if canonical not in sheet.columns:
            sheet.columns[canonical] = constant(value, len(sheet.rows))
    return sheet


def _told(sheet: Sheet) -> Sheet:
    """Return the rows of a file of several tables that say something for one of them."""
    of_all = {"organisation_id", "participant_id", *sheet.entry.constants}
    # A training is of a caseworker, as an activity is of a participant.
    of_all |= {"caseworker_id"} if sheet.table == "trainings" else set()
    own = [cells.blank for name, cells in sheet.columns.items() if name not in of_all]
    if sheet.table == "caseworkers":
        own = [cells.blank for name, cells in sheet.columns.items() if name == "caseworker_id"]
    if sheet.table == "participants" or not own:
        return sheet
    kept = np.flatnonzero(~np.logical_and.reduce(own))
    columns = {name: Cells(cells.distinct, cells.position[kept]) for name, cells in sheet.columns.items()}
    return replace(sheet, rows=sheet.rows[kept], columns=columns)


def _unbound(source: Source, position: int, filled: int, sheet: Sheet, ignored: frozenset[str]) -> list[Finding]:
    """Return what is to be said of a column that no table has."""
    refused = _forbidden(source, position, sheet.table)
    if refused is not None:
        return [refused]
    name = source.header.names[position]
    if not name:
        width = max((at + 1 for at, each in enumerate(source.header.names) if each), default=0)
        named = filled and (not source.grid.ragged or position < width)
        return [sheet.finding("unnamed-column", letters(position), count=filled)] if named else []
    if key(name) in ignored:
        return []
    return [sheet.finding("unknown-column", source.shown(position), count=filled)]


def _forbidden(source: Source, position: int, table: str | None) -> Finding | None:
    """Return the finding on a column that must not be sent, None where it may or is empty."""
    cells = source.body.columns[position]
    filled = int((~cells.blank).sum())
    found = next(filter(None, map(forbidden, source.spellings(position))), None)
    if found is None or not filled or (found.free_text and not is_free_text(cells.distinct)):
        return None
    grid = source.grid
    values: dict[str, object] = {"kind": found.kind}
    shown = source.shown(position)
    return Finding("forbidden-column", table, grid.file, grid.sheet, column=shown, count=filled, values=values)
