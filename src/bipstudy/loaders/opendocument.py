"""OpenDocument spreadsheets, read cell by cell, so that repeated cells, merged cells and error values are told."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar
from xml.etree import ElementTree

from bipstudy.loaders.sheet_looks import Looks, Styles

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_NUMBER = "{urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
# Numbers of what is told apart: so many digits at least by themselves, then percent and month.
_DIGITS = range(2, 31)
_PERCENT, _MONTH = 31, 32
_MAX_COLUMNS = 16_384
_MAX_CELLS = 50_000_000
# Kind, sheet, row and text of what stands beside the cells.
Written = tuple[str, str | None, int | None, str]
Sheet = tuple[str, bool, list[list[object]], list[tuple[int, int, int, int]], Looks]


class TooLargeError(Exception):
    """A sheet unfolds to more cells than are read at once."""


def read_sheets(content: Any, written: list[Written]) -> Iterator[Sheet]:
    """Yield the sheets of an OpenDocument spreadsheet.

    Parameters
    ----------
    content : file object
        The part ``content.xml``.
    written : list
        Comments, lists of allowed values and names are added here, each with kind, sheet, row and text.

    Yields
    ------
    (str, bool, list of list, list of (int, int, int, int), Looks)
        Name, whether hidden, rows of cells, first row, first column, last row and last column of merged cells, and what
        is hidden or shown otherwise than by its value.

    Raises
    ------
    TooLargeError
        Repeated cells unfold to more than is read at once.
    xml.etree.ElementTree.ParseError
        The part is damaged.
    """
    hidden: set[str] = set()
    shown = _Shown()
    name, style, rows, merged, total, looks = "", "", [], [], 0, Looks()
    for event, element in ElementTree.iterparse(content, events=("start", "end")):
        if event == "start":
            if element.tag == f"{_TABLE}table":
                name, style = element.get(f"{_TABLE}name", ""), element.get(f"{_TABLE}style-name", "")
                rows, merged, looks = list[list[object]](), list[tuple[int, int, int, int]](), Looks()
                shown.columns.clear()
            continue
        written += _beside(element, name, len(rows) + 1)
        shown.add(element)
        if element.tag.endswith("}style"):
            if any(each.get(f"{_TABLE}display") == "false" for each in element):
                hidden.add(next((value for key, value in element.attrib.items() if key.endswith("}name")), ""))
        elif element.tag == f"{_TABLE}table-row":
            total += _add_row(element, rows, merged, looks, shown)
            if total > _MAX_CELLS:
                raise TooLargeError
            element.clear()
        elif element.tag == f"{_TABLE}table":
            while rows and not any(cell != "" for cell in rows[-1]):
                rows.pop()
            yield name, style in hidden, rows, merged, looks
            element.clear()


@dataclass
class _Shown:
    """How cells are shown: formats and styles by name, those that are told apart by number, as in a workbook of Excel.

    Attributes
    ----------
    formats, styles : dict of str to int
        Name of a format, and of a style of cells, to the number of what it shows; 0 where that is not told apart.
    columns : list of str
        For each column of the sheet the style of the cells that name none.
    """

    formats: dict[str, int] = field(default_factory=dict)
    styles: dict[str, int] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    told_apart: ClassVar[Styles] = Styles(
        percent=frozenset({_PERCENT}), month=frozenset({_MONTH}), zeros={digits: digits for digits in _DIGITS}
    )

    def add(self, element: ElementTree.Element) -> None:
        """Add a format, a style or columns; what one of them names stands before it."""
        if element.tag in {f"{_NUMBER}date-style", f"{_NUMBER}number-style"}:
            self._add_format(element)
        elif element.tag == f"{_STYLE}style":
            own, above = element.get(f"{_STYLE}data-style-name"), element.get(f"{_STYLE}parent-style-name", "")
            shown = self.styles.get(above, 0) if own is None else self.formats.get(own, 0)
            self.styles[element.get(f"{_STYLE}name", "")] = shown
        elif element.tag == f"{_TABLE}table-column":
            times = min(_times(element, "number-columns-repeated"), _MAX_COLUMNS - len(self.columns))
            self.columns += [element.get(f"{_TABLE}default-cell-style-name", "")] * times

    def _add_format(self, element: ElementTree.Element) -> None:
        """Add a way of showing a number or a date."""
        parts = {each.tag.removeprefix(_NUMBER): each for each in element}
        number, shown = parts.get("number"), 0
        if element.tag == f"{_NUMBER}date-style":
            is_month = {"month", "year"} <= parts.keys() and not parts.keys() & {"day", "day-of-week", "hours"}
            shown = _MONTH if is_month else 0
        elif number is not None and number.get(f"{_NUMBER}decimal-places", "0") == "0":
            digits = number.get(f"{_NUMBER}min-integer-digits", "1")
            shown = int(digits) if digits.isdecimal() and int(digits[:3]) in _DIGITS else 0
        self.formats[element.get(f"{_STYLE}name", "")] = shown

    def of(self, cell: ElementTree.Element, row: ElementTree.Element, column: int) -> int:
        """Return the number of what a cell shows."""
        if cell.get(f"{_OFFICE}value-type") == "percentage":
            return _PERCENT
        style = cell.get(f"{_TABLE}style-name") or row.get(f"{_TABLE}default-cell-style-name")
        if not style and column < len(self.columns):
            style = self.columns[column]
        return self.styles.get(style or "", 0)


def _beside(element: ElementTree.Element, sheet: str, row: int) -> Iterator[Written]:
    """Yield what an element says that is no cell; a row that is repeated in name only counts as one."""
    tag = element.tag.rsplit("}", 1)[-1]
    if tag == "annotation":
        paragraphs = ("".join(each.itertext()) for each in element.findall(f"{_TEXT}p"))
        yield "comment", sheet, row, "\n".join(paragraphs)
    elif tag in {"content-validation", "named-range", "named-expression", "database-range", "filter-condition"}:
        for attribute, value in element.attrib.items():
            if attribute.rsplit("}", 1)[-1] in {"name", "condition", "expression", "value"}:
                yield "name" if tag.startswith("named") else "list", None, None, value
        for paragraph in element.iter(f"{_TEXT}p"):
            yield "list", None, None, "".join(paragraph.itertext())
    elif tag in {"frame", "custom-shape"}:
        yield "drawing", sheet, None, " ".join(element.itertext())


def archive_is_locked(archive: zipfile.ZipFile) -> bool:
    """Say whether the file asks for a password."""
    with archive.open("META-INF/manifest.xml") as manifest:
        return b"encryption-data" in manifest.read(2**20)


def _add_row(
    element: ElementTree.Element,
    rows: list[list[object]],
    merged: list[tuple[int, int, int, int]],
    looks: Looks,
    shown: _Shown,
) -> int:
    """Add a row as often as it is repeated; return the number of cells added. Empty rows are repeated only in name."""
    cells, styles = _cells(element, len(rows), merged, shown)
    while cells and cells[-1] == "":
        cells.pop()
    times = _times(element, "number-rows-repeated")
    if (cells and times * len(cells) > _MAX_CELLS) or (not cells and times > 1_048_576):
        raise TooLargeError
    if cells and element.get(f"{_TABLE}visibility") in {"collapse", "filter"}:
        looks.hidden |= set(range(len(rows), len(rows) + times))
    for row in range(len(rows), len(rows) + times) if styles else ():
        for column, style in styles.items():
            looks.note((row, column), style, shown.told_apart)
    rows += [list(cells) for _ in range(times)]
    return times * max(len(cells), 1)


def _cells(
    element: ElementTree.Element, row: int, merged: list[tuple[int, int, int, int]], shown: _Shown
) -> tuple[list[object], dict[int, int]]:
    """Return the cells of a row, and what those show that is told apart; merged cells are added to the others."""
    cells: list[object] = []
    styles: dict[int, int] = {}
    for cell in element:
        if cell.tag not in {f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"}:
            continue
        at, times = len(cells), _times(cell, "number-columns-repeated")
        value = _value(cell)
        if value == "":
            cells += [""] * min(times, _MAX_COLUMNS - at)
            continue
        if at + times > _MAX_COLUMNS:
            raise TooLargeError
        across, down = _times(cell, "number-columns-spanned"), _times(cell, "number-rows-spanned")
        if across * down > 1:
            merged.append((row, at, row + min(down, 2**20) - 1, min(at + across - 1, _MAX_COLUMNS)))
        cells += [value] * times
        styles |= {place: style for place in range(at, at + times) if (style := shown.of(cell, element, place))}
    return cells, styles


def _times(element: ElementTree.Element, attribute: str) -> int:
    """Return a count, 1 where there is none."""
    text = element.get(f"{_TABLE}{attribute}", "1")
    return max(int(text), 1) if text.isdigit() and len(text) < 10 else 1


def _value(cell: ElementTree.Element) -> object:
    """Return the content of a cell as number, date, yes or no, or text."""
    kind = cell.get(f"{_OFFICE}value-type")
    said = "\n".join("".join(paragraph.itertext()) for paragraph in cell.findall(f"{_TEXT}p"))
    if kind is None or cell.get(f"{_CALC}value-type") == "error":
        return said
    if kind in {"float", "percentage", "currency"}:
        return _number(cell.get(f"{_OFFICE}value", ""), said)
    if kind == "date":
        return _date(cell.get(f"{_OFFICE}date-value", ""), said)
    if kind == "boolean":
        return cell.get(f"{_OFFICE}boolean-value") == "true"
    return said


def _number(value: str, said: str) -> object:
    """Return a number, or the text of the cell where it is none."""
    try:
        return float(value)
    except ValueError:
        return said


def _date(value: str, said: str) -> object:
    """Return a date, or the text of the cell where it is none."""
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError:
        return said
