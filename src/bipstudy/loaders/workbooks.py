"""Typed formats: Excel workbooks and Parquet files."""

from __future__ import annotations

import io
import zipfile

from bipstudy.loaders.grids import Grid
from bipstudy.loaders.names import key, table_by_name
from bipstudy.schema import Finding, fold
from bipstudy.schema.template import helper_sheets

# What a workbook may hold when unpacked; a million rows of 40 columns take about half of it.
MAX_UNPACKED = 4 * 2**30
_HELPERS = frozenset({"instruktion", "instruktioner", "instructions", "las mig", "readme", "koder", "codes"})


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
    import python_calamine

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED:
            findings.append(Finding("too-large", file=name))
            return []
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError:
        findings.append(Finding("locked-file", file=name))
        return []
    except Exception:
        findings.append(Finding("unreadable-file", file=name))
        return []
    grids = []
    for sheet in book.sheets_metadata:
        if sheet.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        hidden = sheet.visible != python_calamine.SheetVisibleEnum.Visible
        helper = (hidden and table_by_name(sheet.name) is None) or _is_helper(sheet.name)
        try:
            rows = book.get_sheet_by_name(sheet.name).to_python(skip_empty_area=False)
        except Exception:
            findings.append(Finding("unreadable-file", file=name, sheet=sheet.name))
            continue
        if rows:
            grids.append(Grid(name, sheet.name, rows, range(1, len(rows) + 1), helper=helper))
    if not grids:
        findings.append(Finding("empty-file", file=name))
    return grids


def read_parquet(name: str, content: bytes, findings: list[Finding]) -> list[Grid]:
    """Read a Parquet file; the names of its columns stand as row 0, so that the first row of data is 1."""
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        columns = [column.to_pylist() for column in table.columns]
    except Exception:
        findings.append(Finding("unreadable-file", file=name))
        return []
    rows: list[list[object]] = [list(table.column_names), *map(list, zip(*columns, strict=True))]
    return [Grid(name, None, rows, range(len(rows)))]


def _is_helper(sheet: str) -> bool:
    """Say whether a sheet is one that explains, not one that holds data."""
    return fold(sheet) in helper_sheets() or key(sheet) in _HELPERS
