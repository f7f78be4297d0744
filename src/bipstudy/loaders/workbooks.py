"""Typed formats: workbooks of Excel and OpenDocument, and Parquet files."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

from bipstudy.loaders import beside, biff, opendocument, sheet_xml
from bipstudy.loaders.grids import Grid, grid_beside
from bipstudy.loaders.names import key, table_by_name
from bipstudy.loaders.sheet_looks import NOT_COUNTED, Looks, by_column
from bipstudy.loaders.sheet_xml import Extent
from bipstudy.schema import Finding, fold
from bipstudy.schema.template import helper_sheets
from bipstudy.texts import text_forms

# What a workbook may hold when unpacked; a million rows of 40 columns take about half of it.
MAX_UNPACKED = 4 * 2**30
MAX_CELLS = 400_000_000
_MAX_MERGED_ROWS = 100_000
_MAX_STYLES = 16 * 2**20
_HELPERS = frozenset({"instruktion", "instruktioner", "instructions", "las mig", "readme", "koder", "codes"})
# Names of the zone of moments that say no place.
_UTC = frozenset({"UTC", "Etc/UTC", "GMT", "Z", "+00:00"})
Merged = list[tuple[int, int, int, int]]


def read_workbook(name: str, content: bytes, findings: list[Finding]) -> list[Grid]:
    """Read every sheet of an xlsx workbook.

    Parameters
    ----------
    name : str
        Name of the file, for findings.
    content : bytes
    findings : list of Finding
        What is wrong with the file is added here.

    Returns
    -------
    list of Grid
        One per sheet that has content, in the order of the workbook.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED:
                findings.append(Finding("too-large", file=name))
                return []
            known = sheet_xml.extents(archive)
            tails = {sheet: extent.tail for sheet, extent in known.items()}
            others = beside.of_workbook(name, archive, tails, sheet_xml.sheet_parts(archive))
    except Exception:
        # zipfile, zlib and the XML parser each have their own errors for damaged content.
        findings.append(Finding("unreadable-file", file=name))
        return []
    return _read_excel(name, content, known, findings) + grid_beside(name, others)


def read_xls(name: str, content: bytes, findings: list[Finding]) -> list[Grid]:
    """Read every sheet of an xls workbook, as Excel wrote until 2003; parameters as for `read_workbook`."""
    if biff.is_encrypted(content):
        findings.append(Finding("locked-file", file=name))
        return []
    try:
        workbook = biff.stream(content)
        known, locked = biff.extents(workbook) if workbook is not None else ({}, False)
    except Exception:
        # Damaged records give errors of many kinds.
        workbook, known, locked = None, {}, False
    if workbook is None or locked:
        findings.append(Finding("locked-file" if locked else "unreadable-file", file=name))
        return []
    others = beside.of_texts(name, "workbook", biff.beside(content, workbook))
    return _read_excel(name, content, known, findings) + grid_beside(name, others)


def read_ods(name: str, archive: zipfile.ZipFile, findings: list[Finding]) -> list[Grid]:
    """Read every sheet of an OpenDocument spreadsheet; parameters as for `read_workbook`, the archive already open."""
    info = archive.getinfo("content.xml")
    if info.file_size > MAX_UNPACKED:
        findings.append(Finding("too-large", file=name))
        return []
    grids: list[Grid] = []
    others: list[beside.Beside] = []
    written: list[opendocument.Written] = []
    try:
        if "META-INF/manifest.xml" in archive.namelist() and opendocument.archive_is_locked(archive):
            findings.append(Finding("locked-file", file=name))
            return []
        with archive.open(info) as part, _styles(archive) as styles:
            for sheet, hidden, rows, merged, looks in opendocument.read_sheets(part, written, styles):
                if rows:
                    grid = _grid(name, sheet, rows, merged, hidden)
                    grids.append(_as_shown(grid, looks))
        others = beside.of_opendocument(name, archive, written)
    except opendocument.TooLargeError:
        findings.append(Finding("too-large", file=name))
        return []
    except Exception:
        # zipfile, zlib and the XML parser each have their own errors for damaged content.
        findings.append(Finding("unreadable-file", file=name))
        return []
    if not grids:
        findings.append(Finding("empty-file", file=name))
    return grids + grid_beside(name, others)


@contextmanager
def _styles(archive: zipfile.ZipFile) -> Iterator[IO[bytes] | None]:
    """Open the part of an OpenDocument spreadsheet that holds its styles; None where there is none, or a huge one."""
    name = "styles.xml"
    if name not in archive.namelist() or archive.getinfo(name).file_size > _MAX_STYLES:
        yield None
        return
    with archive.open(name) as part:
        yield part


def read_parquet(name: str, content: bytes, findings: list[Finding]) -> list[Grid]:
    """Read a Parquet file; the names of its columns stand as row 0, so that the first row of data is 1."""
    import pyarrow.parquet

    try:
        description = pyarrow.parquet.read_metadata(io.BytesIO(content))
        if description.num_rows * description.num_columns > MAX_CELLS:
            findings.append(Finding("too-large", file=name))
            return []
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        columns = [_plain(column).to_pylist() for column in table.columns]
    except Exception:
        findings.append(Finding("unreadable-file", file=name))
        return []
    rows: list[list[object]] = [list(table.column_names), *map(list, zip(*columns, strict=True))]
    described = [table.schema.metadata or {}, *(each.metadata or {} for each in table.schema)]
    said = [
        f"{key.decode('utf-8', 'replace')} {value.decode('utf-8', 'replace')}"
        for one in described
        for key, value in one.items()
    ]
    others = beside.of_texts(name, "metadata", [each for each in said if not each.startswith("ARROW:")])
    return [Grid(name, None, rows, range(len(rows))), *grid_beside(name, others)]


def _plain(column: Any) -> Any:
    """Return a column of a Parquet file with text for bytes that are text, and the clock of its zone for moments."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind != column.type:
        column = column.cast(kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        # Some programs write text without saying that it is text.
        try:
            return column.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowInvalid:
            return column
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        clock = pc.strftime(column, format="%Y-%m-%d %H:%M:%S") if kind.tz in _UTC else pc.local_timestamp(column)
        return pc.binary_join_element_wise(clock, "Z", "") if kind.tz in _UTC else clock
    return column


def _read_excel(name: str, content: bytes, known: dict[str, Extent], findings: list[Finding]) -> list[Grid]:
    """Read the sheets of a workbook of Excel whose extents are known."""
    import python_calamine

    try:
        with _unheard():
            book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError:
        findings.append(Finding("locked-file", file=name))
        return []
    except BaseException as error:
        _let_through(error)
        findings.append(Finding("unreadable-file", file=name))
        return []
    if set(book.sheet_names) & set(text_forms("marked.sheet").values()):
        # What validation wrote for the steward to look at holds the mistakes that are to be mended.
        findings.append(Finding("marked-copy", file=name))
        return []
    grids = []
    for sheet in book.sheets_metadata:
        if sheet.typ == python_calamine.SheetTypeEnum.WorkSheet:
            hidden = sheet.visible != python_calamine.SheetVisibleEnum.Visible
            grids += _read_sheet(name, book, sheet.name, hidden, known.get(sheet.name, Extent()), findings)
    if not grids and not any(finding.file == name for finding in findings):
        findings.append(Finding("empty-file", file=name))
    return grids


def _read_sheet(name: str, book: Any, sheet: str, hidden: bool, extent: Extent, findings: list[Finding]) -> list[Grid]:
    """Read one sheet of a workbook of Excel; none where it is empty, damaged or too large."""
    if extent.too_large:
        findings.append(Finding("too-large", file=name, sheet=sheet))
        return []
    try:
        with _unheard():
            raw = book.get_sheet_by_name(sheet)
            rows = raw.to_python(skip_empty_area=False)
        ranges: Any = raw.merged_cell_ranges or []
    except BaseException as error:
        _let_through(error)
        findings.append(Finding("unreadable-file", file=name, sheet=sheet))
        return []
    for row, column, value in [*extent.errors, *((*at, NOT_COUNTED) for at in extent.looks.uncounted)]:
        if row < len(rows):
            # Cells without a value at the end of a row are not there.
            rows[row] += [""] * (column + 1 - len(rows[row]))
            rows[row][column] = value
    if not rows:
        return []
    return [_as_shown(_grid(name, sheet, rows, [(*first, *last) for first, last in ranges], hidden), extent.looks)]


def _as_shown(grid: Grid, looks: Looks) -> Grid:
    """Return a sheet with how its cells are shown."""
    percent, month = by_column(looks.percent), by_column(looks.month)
    return replace(grid, percent=percent, month=month, zeros=looks.zeros, unseen=frozenset(looks.hidden))


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep what the reader writes to the error stream away: a panic writes its stack there before it can be caught."""
    try:
        kept = os.dup(2)
    except OSError:
        # No such stream, as in a program without a console.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _let_through(error: BaseException) -> None:
    """Raise again what stops a program; a panic of the reader is no Exception, but only says that a file is damaged."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        raise error


def _grid(name: str, sheet: str, rows: list[list[Any]], merged: Merged, hidden: bool) -> Grid:
    """Return a sheet with the content of merged cells in each row that they cover."""
    own = _is_helper(sheet)
    hidden = hidden and not own and table_by_name(sheet) is None
    filled: Merged = []
    for first, left, last, right in merged:
        last = min(last, len(rows) - 1, first + _MAX_MERGED_ROWS)
        if first > last or left >= len(rows[first]) or rows[first][left] in ("", None):
            continue
        filled.append((first, left, last, right))
        for row in rows[first + 1 : last + 1]:
            row += [""] * (left + 1 - len(row))
            row[left] = rows[first][left]
    return Grid(name, sheet, rows, range(1, len(rows) + 1), helper=own or hidden, hidden=hidden, merged=filled)


def _is_helper(sheet: str) -> bool:
    """Say whether a sheet is one that explains, not one that holds data."""
    return fold(sheet) in helper_sheets() or key(sheet) in _HELPERS
