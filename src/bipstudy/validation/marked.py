"""The steward's own file again, with the cells of the findings marked and a comment in each.

It holds the data that were sent, and is therefore made only on request, beside what was submitted. The loader knows it
by its first sheet and refuses it, so that it never becomes part of a submission.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy import schema
from bipstudy.loaders.formats import read_path
from bipstudy.loaders.grids import Grid
from bipstudy.texts import BipstudyError, text, text_forms
from bipstudy.validation.identifiers import find_in, redact

if TYPE_CHECKING:
    from bipstudy.validation.findings import Report

_MAX_ROWS, _MAX_COLUMNS, _MAX_TEXT = 1_048_576, 16_384, 32_000
# A header stands among the first rows of a sheet.
_HEADER_ROWS = 30
_COLOURS = {"error": "#F7C6C5", "warning": "#FCE4B6", "note": "#D5E7EE", "unchecked": "#E1E4E8"}
_ORDER = list(_COLOURS)
Cell = tuple[int, int]


def marked_path(path: Path, language: str) -> Path:
    """Return where the marked copy of a file or folder is put: beside it.

    Examples
    --------
    >>> marked_path(Path("data/export.csv"), "sv").name
    'export-markerad.xlsx'
    """
    stem = path.resolve().name if path.is_dir() else path.stem
    return path.resolve().parent / f"{stem}-{text('marked.ending', language)}.xlsx"


def write_marked(report: Report, path: str | Path, out: str | Path, encoding: str | None = None) -> Path:
    """Write what was submitted as a workbook with the cells of the findings marked.

    Cells with personal data are left empty, and nothing in a cell becomes a formula or a link.

    Parameters
    ----------
    report : Report
        What validation found in the file.
    path : str or Path
        The file, folder or zip archive that was validated.
    out : str or Path
        Workbook to write; must not exist.
    encoding : str, optional
        Encoding of text files, as the mapping says.

    Returns
    -------
    Path

    Raises
    ------
    BipstudyError
        The workbook exists, or a sheet is larger than Excel can show.
    """
    import xlsxwriter

    source, target = Path(path), Path(out)
    if target.exists():
        raise BipstudyError("marked.exists", path=target)
    grids = [grid for grid in read_path(source, encoding).grids if not grid.helper]
    for grid in grids:
        if len(grid.rows) and (_index(grid, len(grid.rows) - 1) >= _MAX_ROWS or _width(grid) > _MAX_COLUMNS):
            raise BipstudyError("marked.too_large", name=redact(grid.file))
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(target), options) as book:
        # Made first so that it stands first; filled last, with what belongs to no cell.
        front = book.add_worksheet(text("marked.sheet", report.language))
        names = _sheet_names(grids, taken={text("marked.sheet", report.language)})
        left = _Findings(report)
        for grid, name in zip(grids, names, strict=True):
            _Copy(book, book.add_worksheet(name), grid, left).write()
        _front(book, front, left, report.language)
    return target


def is_marked(sheets: Iterable[str]) -> bool:
    """Say whether a workbook is a marked copy, by the names of its sheets.

    Examples
    --------
    >>> is_marked(["Markerad kopia", "Deltagare"]), is_marked(["Deltagare"])
    (True, False)
    """
    return bool(set(sheets) & set(text_forms("marked.sheet").values()))


class _Findings:
    """The findings of a report by file and sheet; those that found their cell are taken out."""

    def __init__(self, report: Report) -> None:
        from bipstudy.validation.findings import is_personal

        frame = report.findings.astype(object).where(report.findings.notna(), None)
        self.language = report.language
        self.rows = frame.to_dict("records")
        self.placed = [False] * len(self.rows)
        self._by_place: dict[tuple[object, object], list[int]] = defaultdict(list)
        for number, finding in enumerate(self.rows):
            finding["personal"] = is_personal(str(finding["code"]))
            self._by_place[finding["file"], finding["sheet"]].append(number)

    def of(self, grid: Grid) -> list[int]:
        """Return the numbers of the findings in a sheet."""
        sheet = None if grid.sheet is None else redact(grid.sheet)
        return self._by_place.get((redact(grid.file), sheet), [])

    def comment(self, number: int) -> str:
        """Return what a finding says."""
        finding = self.rows[number]
        kind = text(f"validation.{self.kind(number)}_one", self.language)
        cure = text("validation.cure_label", self.language)
        return f"{kind.upper()}: {finding['message']}\n{cure}: {finding['cure']} [{finding['code']}]"

    def kind(self, number: int) -> str:
        """Return how serious a finding is."""
        finding = self.rows[number]
        return "unchecked" if finding["status"] == "unchecked" else str(finding["severity"])


class _Copy:
    """One sheet as it was sent, and the marks in it."""

    def __init__(self, book: Any, sheet: Any, grid: Grid, findings: _Findings) -> None:
        self.book, self.sheet, self.grid, self.findings = book, sheet, grid, findings
        self.row_at = {int(number): position for position, number in enumerate(grid.numbers)}
        self.columns = _columns(grid)
        self.marks: dict[Cell, list[int]] = defaultdict(list)
        self.blank: set[Cell] = set()

    def write(self) -> None:
        """Write the cells, then the comments."""
        for number in self.findings.of(self.grid):
            self._place(number)
        self._blank_identifiers()
        formats = {kind: self._formats(colour) for kind, colour in _COLOURS.items()} | {"": self._formats(None)}
        for position, row in enumerate(self.grid.rows):
            at = _index(self.grid, position)
            for column, value in enumerate(row):
                numbers = self.marks.get((position, column), ())
                kind = min(map(self.findings.kind, numbers), key=_ORDER.index) if numbers else ""
                shown = None if (position, column) in self.blank else value
                _write_cell(self.sheet, at, column, shown, formats[kind])
        for (position, column), numbers in sorted(self.marks.items()):
            if column >= len(self.grid.rows[position]):
                kind = min(map(self.findings.kind, numbers), key=_ORDER.index)
                self.sheet.write_blank(_index(self.grid, position), column, None, formats[kind]["text"])
            words = "\n\n".join(self.findings.comment(number) for number in numbers)[:_MAX_TEXT]
            size = {"author": "bipstudy", "x_scale": 3, "y_scale": min(6, 1 + len(words) / 150)}
            self.sheet.write_comment(_index(self.grid, position), column, words, size)

    def _place(self, number: int) -> None:
        """Mark the cell of a finding, or the header of its column where the whole column is meant."""
        finding = self.findings.rows[number]
        header, column = self.columns.get(str(finding["column"]), (None, None))
        position = header if finding["row"] is None else self.row_at.get(int(finding["row"]))
        if position is None:
            return
        self.marks[position, 0 if column is None else column].append(number)
        self.findings.placed[number] = True
        if finding["personal"]:
            self._blank(position if finding["row"] is not None else None, column)

    def _blank(self, position: int | None, column: int | None) -> None:
        """Leave a cell empty; the whole row without a column, the whole column below its header without a row."""
        if position is not None:
            width = range(len(self.grid.rows[position])) if column is None else [column]
            self.blank |= {(position, each) for each in width}
        elif column is not None:
            header = next(place for place, at in self.columns.values() if at == column)
            self.blank |= {(each, column) for each in range(header + 1, len(self.grid.rows))}

    def _blank_identifiers(self) -> None:
        """Leave every cell empty that holds an identity number, also where no table reads it, as above a header."""
        for column in range(_width(self.grid)):
            cells = pd.Series(
                [_words(row[column]) if column < len(row) else "" for row in self.grid.rows], dtype=object
            )
            self.blank |= {(int(position), column) for position in find_in(cells)["row"]}

    def _formats(self, colour: str | None) -> dict[str, Any]:
        """Return the formats of a colour, for text and for dates."""
        look = {} if colour is None else {"bg_color": colour, "border": 1, "border_color": "#8A9499"}
        return {
            "text": self.book.add_format(look) if look else None,
            "date": self.book.add_format({**look, "num_format": "yyyy-mm-dd"}),
            "time": self.book.add_format({**look, "num_format": "yyyy-mm-dd hh:mm:ss"}),
        }


def _columns(grid: Grid) -> dict[str, Cell]:
    """Return row and column of every name that stands among the first rows, as names are shown in findings."""
    found: dict[str, Cell] = {}
    for position, row in enumerate(grid.rows[:_HEADER_ROWS]):
        for column, value in enumerate(row):
            if isinstance(value, str) and value.strip():
                found.setdefault(redact(value), (position, column))
                found.setdefault(redact(" ".join(value.split())), (position, column))
    return found


def _index(grid: Grid, position: int) -> int:
    """Return the row of the workbook for a row of a sheet, so that both have the same number."""
    # Formats with names beside the rows number their first row of data 1; the names then take the row above.
    shift = 0 if len(grid.numbers) and grid.numbers[0] == 0 else 1
    return int(grid.numbers[position]) - shift


def _width(grid: Grid) -> int:
    """Return the cells of the longest row."""
    return max(map(len, grid.rows), default=0)


def _words(value: object) -> str:
    """Return a cell as text, a whole number without decimals."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _write_cell(sheet: Any, row: int, column: int, value: object, formats: dict[str, Any]) -> None:
    """Write a cell as what it is; text stays text, whatever it begins with."""
    look = formats["text"]
    if value is None or value == "" or value is pd.NaT:
        if look is not None:
            sheet.write_blank(row, column, None, look)
    elif isinstance(value, bool):
        sheet.write_boolean(row, column, value, look)
    elif isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 10**15:
        sheet.write_number(row, column, value, look)
    elif isinstance(value, (dt.datetime, dt.date)) and value.year >= 1900:
        midnight = not isinstance(value, dt.datetime) or value.time() == dt.time()
        plain = value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value
        sheet.write_datetime(row, column, plain, formats["date" if midnight else "time"])
    else:
        sheet.write_string(row, column, str(value)[:_MAX_TEXT], look)


def _sheet_names(grids: list[Grid], taken: set[str]) -> list[str]:
    """Return a name for each sheet that Excel allows and no other sheet has."""
    many = len({grid.file for grid in grids}) > 1
    used = {name.casefold() for name in taken}
    names = []
    for grid in grids:
        stem = Path(grid.file).stem
        given = stem if grid.sheet is None else f"{stem} {grid.sheet}" if many else grid.sheet
        plain = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", redact(given)).strip(" '") or "-"
        name, number = plain[:31], 1
        while name.casefold() in used or name.casefold() == "history":
            number += 1
            name = f"{plain[:26]} ({number})"
        used.add(name.casefold())
        names.append(name)
    return names


def _front(book: Any, sheet: Any, findings: _Findings, language: str) -> None:
    """Write what the workbook is, what the colours mean, and the findings that belong to no cell."""
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    title = book.add_format({"bold": True, "font_size": 16, "font_color": "#1F4E5F"})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 110)
    sheet.write_string(0, 0, text("marked.sheet", language), title)
    sheet.write_string(1, 0, text("marked.about", language))
    row = 3
    for kind, colour in _COLOURS.items():
        sheet.write_string(row, 0, text(f"validation.{kind}_one", language), book.add_format({"bg_color": colour}))
        row += 1
    left = [number for number, placed in enumerate(findings.placed) if not placed]
    if left:
        row += 1
        sheet.write_string(row, 0, text("marked.elsewhere", language), book.add_format({"bold": True}))
        for line, number in enumerate(left, start=row + 1):
            finding = findings.rows[number]
            label = schema.table(finding["table"]).label[language] if finding["table"] else None
            place = [finding["file"], finding["sheet"] or label, finding["column"]]
            sheet.write_string(line, 0, ", ".join(str(part) for part in place if part), wrap)
            sheet.write_string(line, 1, findings.comment(number), wrap)
