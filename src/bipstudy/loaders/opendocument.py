"""OpenDocument spreadsheets, read cell by cell, so that repeated cells, merged cells and error values are told."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from bipstudy.loaders.sheet_looks import Looks

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_NUMBER = "{urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_MAX_COLUMNS = 16_384
_MAX_CELLS = 50_000_000
# Cells that are shown otherwise than by their value; each is noted by itself, those of repeated rows too.
_MAX_LOOKS = 5_000_000
# Kind, sheet, row and text of what stands beside the cells.
Written = tuple[str, str | None, int | None, str]
Sheet = tuple[str, bool, list[list[object]], list[tuple[int, int, int, int]], Looks]


class TooLargeError(Exception):
    """A sheet unfolds to more cells than are read at once."""


def read_sheets(content: Any, written: list[Written], styles: Any = None) -> Iterator[Sheet]:
    """Yield the sheets of an OpenDocument spreadsheet.

    Parameters
    ----------
    content : file object
        The part ``content.xml``.
    written : list
        Comments, lists of allowed values and names are added here, each with kind, sheet, row and text.
    styles : file object, optional
        The part ``styles.xml``.

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
    months = _Months.of(styles)
    name, style, rows, merged, total, looks = "", "", [], [], 0, Looks()
    for event, element in ElementTree.iterparse(content, events=("start", "end")):
        if event == "start":
            if element.tag == f"{_TABLE}table":
                name, style = element.get(f"{_TABLE}name", ""), element.get(f"{_TABLE}style-name", "")
                rows, merged, looks = list[list[object]](), list[tuple[int, int, int, int]](), Looks()
                months.columns.clear()
            continue
        months.add(element)
        written += _beside(element, name, len(rows) + 1)
        if element.tag.endswith("}style"):
            if any(each.get(f"{_TABLE}display") == "false" for each in element):
                hidden.add(next((value for key, value in element.attrib.items() if key.endswith("}name")), ""))
        elif element.tag == f"{_TABLE}table-row":
            total += _add_row(element, rows, merged, looks, months)
            if total > _MAX_CELLS:
                raise TooLargeError
            element.clear()
        elif element.tag == f"{_TABLE}table":
            while rows and not any(cell != "" for cell in rows[-1]):
                rows.pop()
            yield name, style in hidden, rows, merged, looks
            element.clear()


@dataclass
class _Months:
    """The ways of showing a day by its year and month alone, and the styles of cells that do so.

    Attributes
    ----------
    formats, styles : set of str
    columns : list of str
        For each column of the sheet the style of the cells that name none.
    """

    formats: set[str] = field(default_factory=set)
    styles: set[str] = field(default_factory=set)
    columns: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, styles: Any) -> _Months:
        """Return those of a part of a file, or none."""
        found = cls()
        for _, element in ElementTree.iterparse(styles) if styles is not None else ():
            found.add(element)
        return found

    def add(self, element: ElementTree.Element) -> None:
        """Add a format, a style or columns; what one of them names stands before it."""
        if element.tag == f"{_NUMBER}date-style":
            parts = {each.tag.removeprefix(_NUMBER) for each in element}
            if {"year", "month"} <= parts <= {"year", "month", "text", "era"}:
                self.formats.add(element.get(f"{_STYLE}name", ""))
        elif element.tag == f"{_STYLE}style":
            own, above = element.get(f"{_STYLE}data-style-name"), element.get(f"{_STYLE}parent-style-name")
            if own in self.formats or (own is None and above in self.styles):
                self.styles.add(element.get(f"{_STYLE}name", ""))
        elif element.tag == f"{_TABLE}table-column":
            times = min(_times(element, "number-columns-repeated"), _MAX_COLUMNS - len(self.columns))
            self.columns += [element.get(f"{_TABLE}default-cell-style-name", "")] * times

    def shown(self, cell: ElementTree.Element, row: ElementTree.Element, column: int) -> bool:
        """Say whether a cell shows a month."""
        style = cell.get(f"{_TABLE}style-name") or row.get(f"{_TABLE}default-cell-style-name")
        return (style or "".join(self.columns[column : column + 1])) in self.styles


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
    months: _Months,
) -> int:
    """Add a row as often as it is repeated; return the number of cells added. Empty rows are repeated only in name."""
    row = Looks()
    cells = _cells(element, len(rows), merged, row, months)
    while cells and cells[-1] == "":
        cells.pop()
    times = _times(element, "number-rows-repeated")
    if (cells and times * len(cells) > _MAX_CELLS) or (not cells and times > 1_048_576):
        raise TooLargeError
    if looks.styled + times * row.styled > _MAX_LOOKS:
        raise TooLargeError
    if cells and element.get(f"{_TABLE}visibility") in {"collapse", "filter"}:
        looks.hidden |= set(range(len(rows), len(rows) + times))
    for again in range(len(rows), len(rows) + times) if cells else ():
        looks.percent |= {(again, column) for _, column in row.percent}
        looks.month |= {(again, column) for _, column in row.month}
        looks.zeros |= {(again, column): digits for (_, column), digits in row.zeros.items()}
    rows += [list(cells) for _ in range(times)]
    return times * max(len(cells), 1)


def _cells(
    element: ElementTree.Element, row: int, merged: list[tuple[int, int, int, int]], looks: Looks, months: _Months
) -> list[object]:
    """Return the cells of a row; those that are merged, or show another thing than their value, are noted."""
    cells: list[object] = []
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
        places = [(row, place) for place in range(at, at + times)]
        if cell.get(f"{_OFFICE}value-type") == "percentage":
            looks.percent.update(places)
        elif isinstance(value, float) and (said := _said(cell)).startswith("0") and len(said) > 1 and said.isdecimal():
            looks.zeros |= dict.fromkeys(places, len(said))
        elif isinstance(value, dt.datetime):
            looks.month.update(place for place in places if months.shown(cell, element, place[1]))
    return cells


def _said(cell: ElementTree.Element) -> str:
    """Return the text that a cell shows."""
    return "\n".join("".join(paragraph.itertext()) for paragraph in cell.findall(f"{_TEXT}p"))


def _times(element: ElementTree.Element, attribute: str) -> int:
    """Return a count, 1 where there is none."""
    text = element.get(f"{_TABLE}{attribute}", "1")
    return max(int(text), 1) if text.isdigit() and len(text) < 10 else 1


def _value(cell: ElementTree.Element) -> object:
    """Return the content of a cell as number, date, yes or no, or text."""
    kind = cell.get(f"{_OFFICE}value-type")
    said = _said(cell)
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
