"""Writers of old and open spreadsheets, as small as can be: xls in the records of Excel 97, and ods."""

from __future__ import annotations

import datetime as dt
import struct
import zipfile
from xml.sax.saxutils import escape

SECTOR = 512
_ERRORS = {"#DIV/0!": 0x07, "#REF!": 0x17, "#N/A": 0x2A}


def _record(kind, body=b""):
    return struct.pack("<HH", kind, len(body)) + body


def _text(text, size):
    return struct.pack("<B" if size == 1 else "<H", len(text)) + b"\x01" + text.encode("utf-16-le")


def _cell(row, column, value):
    place = struct.pack("<HHH", row, column, 16 if isinstance(value, dt.date) else 15)
    if value is None or value == "":
        return b""
    if isinstance(value, bool):
        return _record(0x0205, place + bytes([value, 0]))
    if value in _ERRORS:
        return _record(0x0205, place + bytes([_ERRORS[value], 1]))
    if isinstance(value, dt.date):
        value = (value - dt.date(1899, 12, 30)).days
    if isinstance(value, (int, float)):
        return _record(0x0203, place + struct.pack("<d", value))
    return _record(0x0204, place + _text(value, 2))


def xls(sheets, merged=()):
    """Return a workbook of sheets (name to rows of cells); merged cells stand in the first sheet."""
    formats = b"".join(_record(0x00E0, struct.pack("<HH", 0, 14 if at == 16 else 0) + b"\0" * 16) for at in range(17))
    head = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 1997, 0, 6)) + _record(0x0042, b"\xb0\x04")
    head += _record(0x0022, b"\0\0") + formats
    bodies = []
    for at, rows in enumerate(sheets.values()):
        body = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 1997, 0, 6))
        body += b"".join(_cell(r, c, value) for r, row in enumerate(rows) for c, value in enumerate(row))
        if merged and at == 0:
            places = [struct.pack("<HHHH", top, bottom, left, right) for top, left, bottom, right in merged]
            body += _record(0x00E5, struct.pack("<H", len(places)) + b"".join(places))
        bodies.append(body + _record(0x000A))
    names = [_text(name, 1) for name in sheets]
    start = len(head) + sum(10 + len(name) for name in names) + 4
    for name, body in zip(names, bodies, strict=True):
        head += _record(0x0085, struct.pack("<IBB", start, 0, 0) + name)
        start += len(body)
    return _compound(head + _record(0x000A) + b"".join(bodies))


def _compound(stream):
    """Return a compound file that holds one stream."""
    stream = stream.ljust(max(4096, -(-len(stream) // SECTOR) * SECTOR), b"\0")
    sectors = len(stream) // SECTOR
    tables = -(-(sectors + 2) // (SECTOR // 4 - 1)) + 1
    links = [0xFFFFFFFD] * tables + [0xFFFFFFFE] + [tables + 2 + at for at in range(sectors)]
    links[-1] = 0xFFFFFFFE
    links += [0xFFFFFFFF] * (tables * SECTOR // 4 - len(links))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    header += struct.pack("<IIIIIIIII", 0, tables, tables, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", *range(tables), *[0xFFFFFFFF] * (109 - tables))
    directory = _entry("Root Entry", 5, 0xFFFFFFFE, 0, 1) + _entry("Workbook", 2, tables + 1, len(stream), 0xFFFFFFFF)
    directory += _entry("", 0, 0, 0, 0xFFFFFFFF) * 2
    return header + struct.pack(f"<{len(links)}I", *links) + directory + stream


def _entry(name, kind, start, size, child):
    written = (name + "\0").encode("utf-16-le") if name else b""
    none = 0xFFFFFFFF
    return (
        written.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(written), kind, 1, none, none, child)
        + b"\0" * 36
        + struct.pack("<IQ", start, size)
    )


def ods(path, sheets, spans=None):
    """Write an OpenDocument spreadsheet; `spans` gives (row, column) of the first sheet the rows it covers."""
    spans = spans or {}
    parts = []
    for at, (name, rows) in enumerate(sheets.items()):
        lines = []
        for r, row in enumerate(rows):
            cells = "".join(_ods_cell(value, spans.get((r, c)) if at == 0 else None) for c, value in enumerate(row))
            tail = '<table:table-cell table:number-columns-repeated="1000"/>'
            lines.append(f"<table:table-row>{cells}{tail}</table:table-row>")
        empty = '<table:table-row table:number-rows-repeated="100000"><table:table-cell/></table:table-row>'
        parts.append(f'<table:table table:name="{escape(name)}">{"".join(lines)}{empty}</table:table>')
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"' for short in ("office", "table", "text")
    )
    calc = 'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    content = f"<office:document-content {spaces} {calc}><office:body><office:spreadsheet>{''.join(parts)}"
    content += "</office:spreadsheet></office:body></office:document-content>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)
    return path


def _ods_cell(value, span):
    more = f' table:number-rows-spanned="{span}"' if span else ""
    if value is None or value == "":
        return f"<table:table-cell{more}/>"
    if isinstance(value, bool):
        kind = f'office:value-type="boolean" office:boolean-value="{str(value).lower()}"'
    elif isinstance(value, (int, float)):
        kind = f'office:value-type="float" office:value="{value}"'
    elif isinstance(value, dt.date):
        kind = f'office:value-type="date" office:date-value="{value.isoformat()}"'
    elif value in _ERRORS:
        kind = 'office:value-type="string" calcext:value-type="error"'
    else:
        kind = 'office:value-type="string"'
    return f"<table:table-cell {kind}{more}><text:p>{escape(str(value))}</text:p></table:table-cell>"
