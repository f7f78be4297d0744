"""What is read from the records of an xls workbook itself: its size, error values, and how cells are shown.

The compound file and the records are those of the open specifications MS-CFB and MS-XLS.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bipstudy.loaders.sheet_looks import KNOWN_FORMATS, Styles, styles_of
from bipstudy.loaders.sheet_xml import Extent

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FREE = 0xFFFFFFFA
_BOF, _EOF, _SHEET, _LOCKED, _BOOLERR, _FORMULA = 0x0809, 0x000A, 0x0085, 0x002F, 0x0205, 0x0006
_FORMAT, _STYLE, _ROW, _BLANKS, _NUMBERS = 0x041E, 0x00E0, 0x0208, 0x00BE, 0x00BD
_EXCEL_97, _HIDDEN = 0x0600, 0x20
# Records of one cell or of a row of cells; all begin with row and first column.
_CELLS = frozenset({0x0201, 0x0203, 0x0204, 0x0205, 0x0006, 0x027E, 0x00FD, 0x00BD, 0x00BE, 0x00D6})
_MAX_COLUMNS = 256
_WORKBOOK = frozenset({"workbook", "book"})
# Header and footer of print, names, notes, the text of comments and shapes with what goes on from it, lists, links.
_TEXTS = frozenset({0x0014, 0x0015, 0x0018, 0x001C, 0x003C, 0x01B6, 0x01BE, 0x01B8})
ERROR_VALUES = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
}


def beside(content: bytes, workbook: bytes) -> list[str]:
    """Return what an xls workbook holds beside its cells: comments, headers of print, names, lists, properties.

    Letters are kept in one byte or in two; without the bytes of nought both read alike, as far as digits go.
    """
    found = [body for _, kind, body in _records(workbook, 0) if kind in _TEXTS]
    for name in ("\x05summaryinformation", "\x05documentsummaryinformation"):
        try:
            found.append(stream(content, frozenset({name})) or b"")
        except (struct.error, ValueError, IndexError):
            continue
    return [each.replace(b"\0", b"").decode("cp1252", "replace") for each in found if each]


def stream(content: bytes, names: frozenset[str] = _WORKBOOK) -> bytes | None:
    """Return the stream of a compound file that holds the workbook, or None if it has none.

    Parameters
    ----------
    content : bytes
    names : frozenset of str
        What the stream may be called.

    Returns
    -------
    bytes or None

    Raises
    ------
    struct.error, ValueError
        The file is damaged.
    """
    shift, small_shift = struct.unpack_from("<HH", content, 30)
    if shift not in {9, 12} or small_shift != 6:
        raise ValueError("sector size")
    size = 1 << shift
    table = _table(content, size)
    directory = _chain(content, table, struct.unpack_from("<I", content, 48)[0], size)
    entries = [directory[at : at + 128] for at in range(0, len(directory) - 127, 128)]
    for entry in entries:
        length = struct.unpack_from("<H", entry, 64)[0]
        name = entry[: max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace").lower()
        if name in names and entry[66] == 2:
            start, total = struct.unpack_from("<IQ", entry, 116)
            if total >= struct.unpack_from("<I", content, 56)[0]:
                return _whole(_chain(content, table, start, size), total)
            root = struct.unpack_from("<I", entries[0], 116)[0]
            small = _chain(content, table, struct.unpack_from("<I", content, 60)[0], size)
            links = list(struct.unpack(f"<{len(small) // 4}I", small))
            return _whole(_chain(_chain(content, table, root, size), links, start, 64, header=0), total)
    return None


def _whole(found: bytes, total: int) -> bytes:
    """Return a stream, which must have the length that the directory says."""
    if len(found) < total:
        raise ValueError("cut off")
    return found[:total]


def is_encrypted(content: bytes) -> bool:
    """Say whether a compound file is a workbook locked by a password in the newer way."""
    return "EncryptedPackage".encode("utf-16-le") in content


def extents(workbook: bytes) -> tuple[dict[str, Extent], bool]:
    """Return the extent of every sheet of a workbook by its name, and whether the workbook is locked.

    Parameters
    ----------
    workbook : bytes
        As `stream` returns it.

    Returns
    -------
    dict of str to Extent, bool

    Raises
    ------
    struct.error
        The workbook is damaged.
    """
    starts: dict[int, str] = {}
    locked, version = False, 0
    formats, used = dict(KNOWN_FORMATS), []
    for _, kind, body in _records(workbook, 0):
        if kind == _BOF and not version:
            version = struct.unpack_from("<H", body)[0]
        elif kind == _SHEET and len(body) > 8:
            starts[struct.unpack_from("<I", body)[0]] = _name(body)
        elif kind == _FORMAT and len(body) > 4:
            formats[struct.unpack_from("<H", body)[0]] = _format(body, version)
        elif kind == _STYLE and len(body) > 4:
            used.append(struct.unpack_from("<H", body, 2)[0])
        locked = locked or kind == _LOCKED
        if kind == _EOF:
            break
    styles = styles_of([formats.get(each, "") for each in used])
    return {name: _extent(workbook, start, styles) for start, name in starts.items()}, locked


def _table(content: bytes, size: int) -> list[int]:
    """Return for each sector the one that follows it."""
    sectors = [each for each in struct.unpack_from("<109I", content, 76) if each < _FREE]
    following, left = struct.unpack_from("<II", content, 68)
    while following < _FREE and left and len(sectors) * size <= len(content):
        block = struct.unpack_from(f"<{size // 4}I", content, (following + 1) * size)
        sectors += [each for each in block[:-1] if each < _FREE]
        following, left = block[-1], left - 1
    table: list[int] = []
    for sector in sectors[: len(content) // size + 1]:
        block_bytes = content[(sector + 1) * size : (sector + 2) * size]
        table += struct.unpack(f"<{len(block_bytes) // 4}I", block_bytes[: len(block_bytes) // 4 * 4])
    return table


def _chain(content: bytes, table: list[int], start: int, size: int, header: int = 1) -> bytes:
    """Return the content of the sectors that follow each other from one."""
    parts, sector, left = [], start, len(content) // size + 1
    while sector < len(table) and left:
        parts.append(content[(sector + header) * size : (sector + header + 1) * size])
        sector, left = table[sector], left - 1
    return b"".join(parts)


def _records(workbook: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield place, kind and content of each record."""
    at = start
    while at + 4 <= len(workbook):
        kind, length = struct.unpack_from("<HH", workbook, at)
        yield at, kind, workbook[at + 4 : at + 4 + length]
        at += 4 + length


def _name(body: bytes) -> str:
    """Return the name of a sheet."""
    count, flags = body[6], body[7]
    if flags & 1:
        return body[8 : 8 + 2 * count].decode("utf-16-le", "replace")
    return body[8 : 8 + count].decode("latin-1")


def _format(body: bytes, version: int) -> str:
    """Return a way of showing a number; before Excel 97 its length stands in one byte and each letter in another."""
    if version < _EXCEL_97:
        return body[3 : 3 + body[2]].decode("latin-1")
    count = struct.unpack_from("<H", body, 2)[0]
    wide = body[4] & 1
    return body[5 : 5 + count * (1 + wide)].decode("utf-16-le" if wide else "latin-1", "replace")


def _extent(workbook: bytes, start: int, styles: Styles) -> Extent:
    """Return how far a sheet reaches, which of its cells hold an error value, and how they are shown."""
    extent, depth = Extent(), 0
    for _, kind, body in _records(workbook, start):
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            break
        if kind == _ROW and len(body) >= 14 and depth == 1 and body[12] & _HIDDEN:
            extent.looks.hidden.add(struct.unpack_from("<H", body)[0])
        if kind not in _CELLS or len(body) < 6 or depth > 1:
            continue
        row, column = struct.unpack_from("<HH", body)
        last = column
        if kind in {_NUMBERS, _BLANKS} and len(body) >= 8:
            last = max(column, struct.unpack_from("<H", body, len(body) - 2)[0])
        extent.rows, extent.columns = max(extent.rows, row + 1), max(extent.columns, last + 1)
        extent.cells += last - column + 1
        if kind != _BLANKS:
            # A record of several numbers has six bytes for each, and begins each with its style.
            for at in range(last - column + 1):
                extent.looks.note((row, column + at), struct.unpack_from("<H", body, 4 + 6 * at)[0], styles)
        code = _error(kind, body)
        if code in ERROR_VALUES:
            extent.errors.append((row, column, ERROR_VALUES[code]))
    if extent.columns > _MAX_COLUMNS:
        raise ValueError("columns")
    return extent


def _error(kind: int, body: bytes) -> int | None:
    """Return the error value of a cell, None if it holds another."""
    if kind == _BOOLERR and len(body) >= 8 and body[7]:
        return body[6]
    if kind == _FORMULA and len(body) >= 14 and body[6] == 2 and body[12:14] == b"\xff\xff":
        return body[8]
    return None
