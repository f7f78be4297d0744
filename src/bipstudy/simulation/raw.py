"""Raw files as they were written, open to changes of single cells, rows and columns: what defects are planted in."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

from bipstudy import schema
from bipstudy.schema.template import sheet_fields
from bipstudy.simulation.exports import CANONICAL, WINDOWS, Dialect

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_FIXED = (2026, 1, 1, 0, 0, 0)
Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Grid:
    """The cells of one table as a file has them.

    Attributes
    ----------
    table, file : str
        `file` as a finding names it.
    sheet : str or None
        Of a workbook.
    header : tuple of str
    columns : tuple of str
        Canonical name of each column, the header itself where there is none.
    rows : tuple of tuple of str
    dialect : Dialect or None
        How a text file is written; None for a sheet.
    """

    table: str
    file: str
    sheet: str | None
    header: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Rows
    dialect: Dialect | None = None

    def named(self, column: str) -> str:
        """Return the name of a column in the file; the canonical one where the file does not have it."""
        return self.header[self.columns.index(column)] if column in self.columns else column

    def column(self, column: str) -> list[str]:
        """Return the cells of a column, empty where the file does not have it."""
        if column not in self.columns:
            return [""] * len(self.rows)
        position = self.columns.index(column)
        return [row[position] for row in self.rows]

    def changed(self, row: int, **cells: str) -> Grid:
        """Return the grid with other cells on one row, counted from 0."""
        written = list(self.rows[row])
        for column, text in cells.items():
            written[self.columns.index(column)] = text
        return replace(self, rows=(*self.rows[:row], tuple(written), *self.rows[row + 1 :]))

    def repeated(self, row: int, **cells: str) -> Grid:
        """Return the grid with a row once more at the end, some of its cells changed."""
        grown = replace(self, rows=(*self.rows, self.rows[row]))
        return grown.changed(len(self.rows), **cells)

    def renamed(self, column: str, name: str) -> Grid:
        """Return the grid with another heading over a column; with an empty one its cells are emptied too."""
        position = self.columns.index(column)
        header = (*self.header[:position], name, *self.header[position + 1 :])
        rows = self.rows
        if not name:
            rows = tuple((*row[:position], "", *row[position + 1 :]) for row in rows)
        return replace(self, header=header, rows=rows)

    def widened(self, name: str, cells: Mapping[int, str]) -> Grid:
        """Return the grid with one more column, empty but for some rows."""
        rows = tuple((*row, cells.get(position, "")) for position, row in enumerate(self.rows))
        return replace(self, header=(*self.header, name), columns=(*self.columns, name), rows=rows)


@dataclass(frozen=True)
class Delivery:
    """The raw files of one organisation.

    Attributes
    ----------
    files : mapping of str to bytes
        Content by name, as it was read.
    grids : mapping of str to Grid
        The tables in them.
    lost : frozenset of str
        Tables whose file is left out.
    bytes_changes : mapping of str to callable
        What is done to the bytes of a table's file at the very end.
    """

    files: Mapping[str, bytes]
    grids: Mapping[str, Grid]
    lost: frozenset[str] = frozenset()
    bytes_changes: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)

    def with_grid(self, grid: Grid) -> Delivery:
        """Return the delivery with one table changed."""
        return replace(self, grids={**self.grids, grid.table: grid})

    def without(self, table: str) -> Delivery:
        """Return the delivery without the file of a table."""
        return replace(self, lost=self.lost | {table})

    def with_bytes(self, table: str, change: Callable[[bytes], bytes]) -> Delivery:
        """Return the delivery with the bytes of a table's file changed."""
        return replace(self, bytes_changes={**self.bytes_changes, table: change})

    def content(self, origin: Delivery) -> dict[str, bytes | None]:
        """Return the files that differ from those of another state, by name; None for one that is left out."""
        found: dict[str, bytes | None] = {}
        for table, grid in self.grids.items():
            if grid == origin.grids.get(table) and table not in self.lost and table not in self.bytes_changes:
                continue
            name, inner = _parts(grid.file)
            before = found.get(name) or self.files[name]
            if table in self.lost and inner is None:
                found[name] = None
            elif grid.sheet is not None:
                found[name] = _patched(before, origin.grids[table], grid)
            else:
                change = self.bytes_changes.get(table)
                plain = _csv(grid)
                written = None if table in self.lost else plain if change is None else change(plain)
                found[name] = written if inner is None else _rezipped(before, inner, written)
        return found


def read_delivery(folder: Path) -> Delivery:
    """Read the files of one organisation as `write_raw` wrote them.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Delivery
    """
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    grids: dict[str, Grid] = {}
    for name, content in files.items():
        if name.endswith(".csv"):
            found = [_read_csv(name, content)]
        elif name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                found = [_read_csv(f"{name}/{inner}", archive.read(inner)) for inner in archive.namelist()]
        elif name.endswith(".xlsx"):
            found = _read_workbook(name, content)
        else:
            continue
        grids |= {grid.table: grid for grid in found}
    return Delivery(files, grids)


def _parts(file: str) -> tuple[str, str | None]:
    """Return the name of a file, and the name inside it where it is an archive."""
    name, _, inner = file.partition("/")
    return name, inner or None


def _labels(name: str) -> dict[str, str]:
    """Return the headings of a table, in either language or canonical, to the canonical names."""
    table = schema.table(name)
    found = {each.name: each.name for each in sheet_fields(table, "en")}
    for language in ("en", "sv"):
        found |= {each.label: each.name for each in sheet_fields(table, language)}
    return found


def _table_called(name: str) -> str | None:
    """Return the table whose label or name a file or sheet bears."""
    for each in schema.tables().values():
        if name.casefold().split("_org")[0] in {each.name, *(label.casefold() for label in each.label.values())}:
            return each.name
    return None


def _read_csv(file: str, content: bytes) -> Grid:
    """Read a text file of ours."""
    table = str(_table_called(file.rsplit("/", 1)[-1].removesuffix(".csv")))
    first = content.split(b"\n", 1)[0]
    dialect = WINDOWS if b";" in first else CANONICAL
    if content.startswith(b"\xef\xbb\xbf"):
        dialect = replace(WINDOWS, encoding="utf-8-sig")
    lines = csv.reader(io.StringIO(content.decode(dialect.encoding), newline=""), delimiter=dialect.delimiter)
    header, *rows = (tuple(line) for line in lines)
    labels = _labels(table)
    return Grid(table, file, None, header, tuple(labels.get(each, each) for each in header), tuple(rows), dialect)


def _csv(grid: Grid) -> bytes:
    """Write a text file as it was written before."""
    assert grid.dialect is not None
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=grid.dialect.delimiter, lineterminator=grid.dialect.line_end)
    writer.writerow(grid.header)
    writer.writerows(grid.rows)
    return buffer.getvalue().encode(grid.dialect.encoding)


def _rezipped(content: bytes, inner: str, written: bytes | None) -> bytes:
    """Return an archive with one file replaced or left out."""
    return _rewritten(content, lambda name, old: written if name == inner else old)


def _rewritten(content: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return an archive with the content of its files changed; None leaves one out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            changed = change(name, old.read(name))
            if changed is not None:
                entry = zipfile.ZipInfo(name, date_time=_FIXED)
                entry.compress_type = zipfile.ZIP_DEFLATED
                new.writestr(entry, changed)
    return buffer.getvalue()


def _read_workbook(file: str, content: bytes) -> list[Grid]:
    """Read the sheets of a workbook that are tables of ours."""
    import python_calamine

    grids = []
    with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
        for sheet in book.sheet_names:
            table = _table_called(sheet)
            if table is None:
                continue
            header, *rows = (tuple(map(_text, line)) for line in book.get_sheet_by_name(sheet).to_python())
            labels = _labels(table)
            columns = tuple(labels.get(each, each) for each in header)
            grids.append(Grid(table, file, sheet, header, columns, tuple(rows)))
    return grids


def _text(cell: object) -> str:
    """Return a cell as text."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


def _patched(content: bytes, before: Grid, after: Grid) -> bytes:
    """Return a workbook with the cells of one sheet that differ written as text; all else stays as it was."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        part = _sheet_part(archive, str(after.sheet))
    lines_before, lines_after = (before.header, *before.rows), (after.header, *after.rows)

    def change(name: str, old: bytes) -> bytes:
        if name != part:
            return old
        for prefix, address in re.findall(rb'xmlns:?(\w*)="([^"]+)"', old[:2000]):
            ElementTree.register_namespace(prefix.decode(), address.decode())
        root = ElementTree.fromstring(old)
        data = root.find(f"{{{_MAIN}}}sheetData")
        assert data is not None
        for number, line in enumerate(lines_after):
            former = lines_before[number] if number < len(lines_before) else ()
            for position, text in enumerate(line):
                if position >= len(former) or former[position] != text:
                    _write_cell(data, number + 1, position, text)
        written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return written

    return _rewritten(content, change)


def _sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return where in a workbook a sheet is stored."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    link = next(each.get(f"{{{_LINKS}}}id") for each in book.iter(f"{{{_MAIN}}}sheet") if each.get("name") == sheet)
    targets = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    return "xl/" + next(str(each.get("Target")) for each in targets if each.get("Id") == link)


def _write_cell(data: ElementTree.Element, number: int, position: int, text: str) -> None:
    """Write one cell as text, in its place among the others of its row."""
    row = next((each for each in data if each.get("r") == str(number)), None)
    if row is None:
        row = ElementTree.SubElement(data, f"{{{_MAIN}}}row", {"r": str(number)})
    address = f"{_letters(position)}{number}"
    places = [_place(str(each.get("r"))) for each in row]
    at = next((index for index, place in enumerate(places) if place >= position), len(places))
    if at < len(places) and places[at] == position:
        row.remove(row[at])
    cell = ElementTree.Element(f"{{{_MAIN}}}c", {"r": address, "t": "inlineStr"})
    inner = ElementTree.SubElement(ElementTree.SubElement(cell, f"{{{_MAIN}}}is"), f"{{{_MAIN}}}t")
    inner.text = text
    if text:
        row.insert(at, cell)


def _place(address: str) -> int:
    """Return the position of a column from an address such as B7."""
    place = 0
    for letter in address.rstrip("0123456789"):
        place = place * 26 + ord(letter) - 64
    return place - 1


def _letters(position: int) -> str:
    """Return the letters by which a spreadsheet calls a column."""
    letters, rest = "", position + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters
