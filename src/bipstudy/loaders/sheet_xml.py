"""What is read from the XML of an xlsx workbook itself: how large its sheets are, and which cells hold an error."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

from bipstudy.loaders.sheet_looks import Looks, Styles, read_styles

_CHUNK = 8 * 2**20
_CARRIED = 2**20
_SMALL_PART = 16 * 2**20
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\sr="(\d{1,9})"')
_PLAIN_ROW = re.compile(rb'<row r="(\d{1,9})"')
_ERROR = re.compile(rb'<(?:\w+:)?c\b([^>]*\st="e"[^>]*)>(.*?)</(?:\w+:)?c>', re.DOTALL)
_PLACE = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"')
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]{1,20})</")
_END = re.compile(rb"</(?:\w+:)?sheetData\s*>|<(?:\w+:)?sheetData\s*/>")
_MAX_TAIL = 16 * 2**20
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# A sheet is unfolded to a full rectangle; one this large must have its cells filled.
_MAX_AREA = 100_000_000
_FILLED = 12


@dataclass
class Extent:
    """How far the cells of a sheet reach, and where they say that a formula failed.

    Attributes
    ----------
    rows, columns : int
        Upper bounds.
    cells : int
    errors : list of (int, int, str)
        Row and column, from 0, and the error value.
    tail : bytes
        What stands below the rows: lists of allowed values, links, headers of print.
    looks : Looks
        Cells that are shown otherwise than by their values, and rows that are hidden.
    """

    rows: int = 0
    columns: int = 0
    cells: int = 0
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    tail: bytes = b""
    looks: Looks = field(default_factory=Looks)

    @property
    def too_large(self) -> bool:
        """Whether the rectangle round the cells is far larger than what stands in it."""
        return self.columns > 16_384 or (
            self.rows * self.columns > _MAX_AREA and self.rows * self.columns > _FILLED * self.cells
        )


def extents(archive: zipfile.ZipFile) -> dict[str, Extent]:
    """Return the extent of every sheet of a workbook by its name.

    Every part is unpacked once, in pieces, so that damage and false sizes show before a parser meets them.

    Parameters
    ----------
    archive : ZipFile

    Returns
    -------
    dict of str to Extent

    Raises
    ------
    zipfile.BadZipFile, ElementTree.ParseError, zlib.error
        The workbook is damaged.
    """
    sheets = sheet_parts(archive)
    styles = _styles(archive)
    found = {}
    for info in archive.infolist():
        if info.filename in sheets:
            found[sheets[info.filename]] = _extent(archive, info, styles)
        elif info.filename.startswith("xl/") and info.filename.endswith(".xml"):
            for _ in _pieces(archive, info):
                pass
    return found


def sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the name of each sheet of a workbook by the part that holds it; raises as `extents` does."""
    return {part: sheet for sheet, part in _parts(archive, set(archive.namelist()))}


def position(letters: str) -> int:
    """Return the number of a column, from 0, from its letters.

    Examples
    --------
    >>> position("A"), position("AA")
    (0, 26)
    """
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _parts(archive: zipfile.ZipFile, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each sheet and of the part that holds it."""
    relations = "xl/_rels/workbook.xml.rels"
    if relations not in names or "xl/workbook.xml" not in names:
        return
    targets = {each.get("Id"): each.get("Target", "") for each in _small(archive, relations)}
    for each in _small(archive, "xl/workbook.xml").iter():
        if each.tag.rsplit("}", 1)[-1] == "sheet" and each.get(_RELATION) in targets:
            target = targets[each.get(_RELATION)]
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            yield each.get("name", ""), path


def _small(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """Return a small part as XML."""
    with archive.open(name) as part:
        content = part.read(_SMALL_PART + 1)
    if len(content) > _SMALL_PART or b"<!DOCTYPE" in content:
        raise zipfile.BadZipFile(name)
    return ElementTree.fromstring(content)


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a part in pieces that end where a cell or row ends."""
    rest = b""
    with archive.open(info) as part:
        while piece := part.read(_CHUNK):
            piece = rest + piece
            end = max(piece.rfind(b"</row>") + 6, piece.rfind(b"</c>") + 4)
            end = end if end > 5 else max(len(piece) - _CARRIED, 0)
            rest = piece[end:][-_CARRIED:]
            yield piece[:end]
    yield rest


def _styles(archive: zipfile.ZipFile) -> Styles:
    """Return which styles of a workbook show a value as something else."""
    parts = []
    for name in ("xl/styles.xml", "xl/workbook.xml"):
        known = name in archive.namelist() and archive.getinfo(name).file_size <= _SMALL_PART
        parts.append(_small(archive, name) if known else None)
    return read_styles(*parts)


def _extent(archive: zipfile.ZipFile, info: zipfile.ZipInfo, styles: Styles) -> Extent:
    """Return how far a sheet reaches."""
    extent, digits, last = Extent(), 1, "A"
    for piece in _pieces(archive, info):
        extent.cells += piece.count(b"<c ") + piece.count(b":c ")
        extent.rows = max([extent.rows, *map(int, _row_numbers(piece))])
        digits = max(digits, len(str(extent.rows)))
        at = 0
        while beyond := _beyond(last, digits).search(piece, at):
            last = max(last, beyond[1].decode(), key=position)
            digits = max(digits, len(beyond[2]))
            at = beyond.start() + 1
        if b't="e"' in piece:
            extent.errors += _errors(piece)
        extent.looks.add(piece, styles)
        end = _END.search(piece) if not extent.tail and b"sheetData" in piece else None
        extent.tail += piece[end.end() :] if end else piece[: _MAX_TAIL - len(extent.tail)] if extent.tail else b""
    extent.rows = max(extent.rows, 10**digits - 1)
    extent.columns = position(last) + 1
    return extent


def _row_numbers(piece: bytes) -> list[bytes]:
    """Return the numbers of the rows, by the plain way of writing them where that is how all are written."""
    plain = _PLAIN_ROW.findall(piece)
    return plain if len(plain) == piece.count(b"<row ") + piece.count(b":row ") else _ROW.findall(piece)


def _beyond(last: str, digits: int) -> re.Pattern[bytes]:
    """Return a pattern of a cell's place that lies right of a column, or has more digits in its row."""
    farther = [f"[A-Z]{{{len(last) + 1},}}"]
    farther += [
        f"{last[:at]}[{chr(ord(letter) + 1)}-Z]" + "[A-Z]" * (len(last) - at - 1)
        for at, letter in enumerate(last)
        if letter != "Z"
    ]
    return re.compile(f'r="(?:(?=(?:{"|".join(farther)})\\d)|(?=[A-Z]+\\d{{{digits + 1},}}))([A-Z]+)(\\d+)'.encode())


def _errors(piece: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield the cells that hold an error value."""
    for cell in _ERROR.finditer(piece):
        place, value = _PLACE.search(b" " + cell[1]), _VALUE.search(cell[2])
        if place and value:
            yield int(place[2]) - 1, position(place[1].decode()), value[1].decode("ascii", "replace")
