"""Text files: encoding, delimiter, quotes, and rows with the number of the line each begins on."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from itertools import islice
from typing import Any

import numpy as np

from bipstudy.loaders.columns import Text, is_large, read_lines
from bipstudy.loaders.grids import Grid
from bipstudy.loaders.names import all_column_names, key
from bipstudy.loaders.recognition import is_mojibake, is_old_encoding
from bipstudy.schema import Finding

DELIMITERS = (";", ",", "\t")
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?[;,\t]*\r?\n?$', re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")
_NOT_IN_CP1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CHUNK = 2**20
_SAMPLE_LINES = 20
_SAMPLE_CHARACTERS = 200_000


def read_delimited(
    name: str, content: bytes | memoryview, encoding: str | None, findings: list[Finding]
) -> Grid | None:
    """Read a text file of rows and cells.

    The encoding is that of the byte order mark, else strict UTF-8, else Windows-1252; never a guess.

    Parameters
    ----------
    name : str
        Name of the file, for findings.
    content : bytes or memoryview
    encoding : str or None
        Encoding that the mapping asks for.
    findings : list of Finding
        What is wrong with the file is added here.

    Returns
    -------
    Grid or None
        None where the file is no text.
    """
    begun = not encoding and content[:2] not in _UTF16 and is_large(content)
    plain = content[len(BOM_UTF8) :] if content[: len(BOM_UTF8)] == BOM_UTF8 else content
    grid = _by_column(name, Text(plain), encoding, findings) if begun else None
    if grid is not None:
        return grid
    content = bytes(content)
    ladder: list[Finding] = []
    text = decode(name, content, encoding, ladder)
    blank = text is not None and _is_blank(text)
    other = not begun or (text is not None and text.encoding != "utf-8") or bool(ladder)
    if text is not None and not blank and other:
        grid = _by_column(name, text, encoding, ladder)
    # What can be read by column has no control character.
    if grid is None and _has_control(content, text, encoding):
        findings.append(Finding("not-text", file=name))
        return None
    findings += ladder
    if text is None:
        return None
    if blank:
        findings.append(Finding("empty-file", file=name))
        return None
    return grid or _by_row(name, text, encoding, findings)


def _by_column(name: str, text: Text, encoding: str | None, findings: list[Finding]) -> Grid | None:
    """Read a large file column by column, None where it is not plain or not in that encoding."""
    start = text.head(_SAMPLE_CHARACTERS)
    if not start or not is_large(text.encoded):
        return None
    delimiter, skipped = _delimiter(start)
    try:
        lines = read_lines(text, delimiter, skipped, lambda: _parse(text.decoded, delimiter, strict=True)[0][skipped:])
    except UnicodeDecodeError:
        return None
    if lines is None:
        return None
    # A text that stands on many rows is looked at once.
    spoilt = _is_spoilt(name, text, "\n".join(lines.said), encoding, findings)
    last = skipped + len(lines)
    if text.encoded[-1:] not in (b"\n", b"\r"):
        findings.append(Finding("unfinished-last-line", file=name, row=last))
    return Grid(file=name, sheet=None, rows=lines, numbers=range(skipped + 1, last + 1), ragged=True, spoilt=spoilt)


def _by_row(name: str, text: Text, encoding: str | None, findings: list[Finding]) -> Grid:
    """Read a file row by row."""
    spoilt = _is_spoilt(name, text, text.decoded, encoding, findings)
    delimiter, skipped = _delimiter(text.head(_SAMPLE_CHARACTERS))
    rows, numbers = _rows(name, text.decoded, delimiter, findings)
    if len(rows) > 1 and not text.decoded.endswith(("\n", "\r")):
        findings.append(Finding("unfinished-last-line", file=name, row=numbers[-1]))
    return Grid(file=name, sheet=None, rows=rows[skipped:], numbers=numbers[skipped:], ragged=True, spoilt=spoilt)


def _is_spoilt(name: str, text: Text, said: str, encoding: str | None, findings: list[Finding]) -> bool:
    """Say whether a file was saved in another encoding than the one it is read in, which is a finding."""
    # What is not UTF-8 may be older than Windows-1252; what is UTF-8 may hold names from anywhere.
    old = not encoding and text.encoding == "cp1252" and is_old_encoding(text.head(_SAMPLE_CHARACTERS))
    if not (old or is_mojibake(said)):
        return False
    findings.append(Finding("wrong-encoding", file=name))
    return True


def decode(name: str, content: bytes, encoding: str | None, findings: list[Finding]) -> Text | None:
    """Return the text of a file, or None and a finding if it is in no encoding of the ladder."""
    try:
        return _decode(name, content, encoding, findings)
    except UnicodeDecodeError:
        findings.append(Finding("unknown-encoding", file=name))
        return None


def _has_control(content: bytes, text: Text | None, encoding: str | None) -> bool:
    """Say whether a file has a control character that is neither a tab nor the end of a line or page."""
    if encoding or content.startswith(_UTF16):
        return text is not None and _CONTROL.search(text.decoded) is not None
    # What is no control byte becomes no control character.
    every = np.frombuffer(content, dtype=np.uint8)
    for start in range(0, len(every), _CHUNK):
        part = every[start : start + _CHUNK]
        low = np.count_nonzero(part < 32)
        # As a rule all of them are ends of lines.
        if low == np.count_nonzero(part == 10):
            continue
        if low > np.count_nonzero(part < 14) or (part < 9).any():
            return True
    return False


def _decode(name: str, content: bytes, encoding: str | None, findings: list[Finding]) -> Text:
    """Go down the ladder: as asked, byte order mark, strict UTF-8, Windows-1252."""
    if encoding:
        return Text(content.decode(encoding))
    if content.startswith(_UTF16):
        return Text(content.decode("utf-16"))
    plain = content.removeprefix(BOM_UTF8)
    try:
        return Text(plain.decode())
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not plain[: error.start].isascii():
            # Valid UTF-8 with letters beyond ASCII up to its last bytes: cut in the middle of a letter.
            findings.append(Finding("truncated-file", file=name))
            return Text(plain[: error.start])
    # To look for the bytes that are no letter is many times faster than to read all.
    if any(byte in content for byte in _NOT_IN_CP1252):
        content.decode("cp1252")
    return Text(content, "cp1252")


def _is_blank(text: Text) -> bool:
    """Say whether text is nothing but spaces."""
    start = text.head(_SAMPLE_CHARACTERS)
    return (not start or start.isspace()) and (not text.decoded or text.decoded.isspace())


def _delimiter(decoded: str) -> tuple[str, int]:
    """Return the delimiter and the number of lines to skip, 1 where the first line names it, from the first lines."""
    sample = list(islice(io.StringIO(decoded, newline=""), _SAMPLE_LINES))
    named = _SEPARATOR_LINE.match(sample[0])
    if named:
        return ("\t" if named[1] == "t" else named[1]), 1
    return max(DELIMITERS, key=lambda delimiter: _fit(sample, delimiter)), 0


def _fit(sample: list[str], delimiter: str) -> tuple[int, int]:
    """Return how well a delimiter cuts the first lines: known names on the best line, then cells in all of them."""
    try:
        lines = list(csv.reader(sample, delimiter=delimiter))
    except csv.Error:
        return 0, 0
    known = all_column_names()
    names = max((sum(key(cell) in known for cell in line) for line in lines), default=0)
    return names, sum(map(len, lines))


def _rows(name: str, decoded: str, delimiter: str, findings: list[Finding]) -> tuple[list[list[object]], list[int]]:
    """Cut text into rows of cells; broken quotes are a finding, and what can still be read is read."""
    rows, numbers, broken = _parse(decoded, delimiter, strict=True)
    if broken is not None:
        findings.append(Finding("broken-quotes", file=name, row=broken))
        rows, numbers, _ = _parse(decoded, delimiter, strict=False)
    return rows, numbers


def _parse(decoded: str, delimiter: str, strict: bool) -> tuple[list[list[object]], list[int], int | None]:
    """Return rows, the line each begins on, and the line on which the quotes break or None."""
    reader = csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter, strict=strict)
    rows: list[Any] = []
    numbers: list[int] = []
    begins = 1
    try:
        for row in reader:
            rows.append(row)
            numbers.append(begins)
            begins = reader.line_num + 1
    except csv.Error:
        return rows, numbers, begins
    return rows, numbers, None
