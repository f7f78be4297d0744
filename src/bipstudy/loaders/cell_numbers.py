"""The different texts of each column of a text file, and for each cell the number of its own.

Most columns of a large file say a few things over and over. Every text is looked up by the sixteen bytes that tell
nearly all of them apart, eight bytes at a time (Lamport 1975, "Multiple byte processing with full-word instructions",
CACM 18:471), and is made a string once. Import this module where it is used, not at the top: numba takes half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types

_Bytes = npt.NDArray[np.uint8]
_Numbers = npt.NDArray[np.int64]

_EACH, _TOP = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_ONE, _SEVEN, _TO_COUNT = np.uint64(1), np.uint64(7), np.uint64(56)
# Odd numbers with bits all over, of the golden ratio and a prime, and the prime of Fowler, Noll and Vo.
_MIX, _STIR, _PRIME = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x100000001B3)
_HALF, _POSITIVE = np.uint64(32), np.uint64(2**63 - 1)
_LINE, _RETURN, _QUOTE, _SPACE = 10, 13, 34, 32
# Bytes by which cells are told apart, which are read beyond the end of the last one too.
_BEYOND = 16
# Slots of a column and texts of all columns to begin with, slots for each text, and bytes that are counted at once.
_SLOTS, _TEXTS, _CROWDED, _CLOSE = 256, 2**14, 8, 2**18
# A column with more texts than this repeats the one above more often than not, as ids do.
_MANY = 32
_DONE, _FULL, _UNEVEN = 0, 1, -1

_u1, _u8, _i4, _i8 = types.uint8, types.uint64, types.int32, types.int64
_ROW = types.Array(_u1, 1, "C", readonly=True)
_i4s, _i8s, _u8s = _i4[::1], _i8[::1], _u8[::1]


def _compiled(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for one signature, from the cache where there is one."""

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        options = {"nogil": True, "error_model": "numpy"}
        try:
            return njit(signature, cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:
            # Neither the package's folder nor the user's cache can be written to: compile every time.
            return njit(signature, **options)(function)  # type: ignore[no-any-return]

    return compile_


@_compiled(_u8(_ROW, _u8))
def _word(data, at):  # type: ignore[no-untyped-def]
    """Return eight bytes as one number, the first one lowest; compiled to a single load."""
    word = np.uint64(0)
    for byte in range(8):
        word |= np.uint64(data[at + np.uint64(byte)]) << np.uint64(8 * byte)
    return word


@_compiled(_u8(_u8, _u8))
def _before_stop(word, delimiters):  # type: ignore[no-untyped-def]
    """Return ones in all bytes before the first that ends a cell: a delimiter or one below 14; all ones if none does.

    A byte is 0 exactly where what it is compared with stands, and ``x - 1`` borrows its top bit only there or above.
    """
    same = word ^ delimiters
    stops = (((same - _EACH) & ~same) | ((word - _EACH * np.uint64(_RETURN + 1)) & ~word)) & _TOP
    return ((stops & (~stops + _ONE)) >> _SEVEN) - _ONE


@_compiled(_i8(_u8, _u8))
def _hash(low, high):  # type: ignore[no-untyped-def]
    """Return a number below 2**63 that differs for most pairs."""
    mixed = (low ^ (high * _STIR)) * _MIX
    return np.int64((mixed ^ (mixed >> _HALF)) & _POSITIVE)


@_compiled(types.Tuple((_u8, _i8))(_ROW, _i8, _u1, _u8))
def _fold(data, at, delimiter, number):  # type: ignore[no-untyped-def]
    """Return a number made of another and the rest of a long cell, and where the cell stops."""
    while data[at] != delimiter and data[at] > _RETURN:
        number = (number ^ np.uint64(data[at])) * _PRIME
        at += 1
    return number | _ONE, at


@_compiled(types.boolean(_ROW, _i8, _i8, _i8, _i8))
def _same(data, start, stop, other, end):  # type: ignore[no-untyped-def]
    """Say whether two cells are the same bytes."""
    if stop - start != end - other:
        return False
    for at in range(stop - start):  # noqa: SIM110
        if data[start + at] != data[other + at]:
            return False
    return True


@_compiled(types.boolean(_ROW, _i8, _i8))
def _is_plain(data, start, stop):  # type: ignore[no-untyped-def]
    """Say whether a cell has neither a quote nor a control character."""
    for at in range(start, stop):  # noqa: SIM110
        if data[at] == _QUOTE or data[at] < _SPACE:
            return False
    return True


@_compiled(
    types.void(
        _ROW, _i8, _u1, _i8s, _i8[:, ::1], _i4s, _i4s, _i8s, _i8s, _i8s, _u8s, _u8s, _i8s, _i8s, _i8s, _i8s, _i8s
    )
)
def _number(  # type: ignore[no-untyped-def]  # noqa: C901
    data, end, delimiter, place, numbers, single, slots, base, mask,
    count, low, high, starts, stops, column_of, number_of, last,
):  # fmt: skip
    """Go through the rows and number their cells, until the end, a full table, or a row that is not plain.

    `place` holds the byte and the row to go on at, the texts known so far, and how it ended. `single` says for each
    column and byte the number of the cell that is this byte alone, as most answers are, or -1. `slots` are the tables
    of all columns, from ``base`` on and as long as ``mask + 1`` each, with the text that stands there or -1. Of a text
    is known: two numbers that tell it from others, surely one of at most sixteen bytes; where it first stood and
    stopped; its column and its number there. Written as one loop over plain arrays: to hand an array to a function that
    is not small enough to vanish takes as long as all the rest.
    """
    width = len(base)
    at, row, known = place[0], place[1], place[2]
    delimiters = np.uint64(delimiter) * _EACH
    full = False
    place[3] = _UNEVEN
    while at < end and not full:
        for column in range(width):
            line_end = column == width - 1
            number = single[256 * column + data[at]]
            if number >= 0 and data[at + 1] == (_LINE if line_end else delimiter):
                numbers[column, row] = number
                at += 2
                continue
            start = at
            word = _word(data, np.uint64(at))
            before = _before_stop(word, delimiters)
            first, second = word & before, np.uint64(0)
            at += np.int64(((before & _EACH) * _EACH) >> _TO_COUNT)
            if at - start == 8:
                word = _word(data, np.uint64(at))
                before = _before_stop(word, delimiters)
                second = word & before
                at += np.int64(((before & _EACH) * _EACH) >> _TO_COUNT)
                if at - start == _BEYOND and data[at] != delimiter and data[at] > _RETURN:
                    # No shorter cell begins with a zero byte, but the empty one, whose second number is zero.
                    second, at = _fold(data, at, delimiter, second)
                    first <<= np.uint64(8)
            stop = at
            at += line_end & (data[at] == _RETURN)
            if data[at] != (_LINE if line_end else delimiter):
                return
            at += 1
            short = stop - start <= _BEYOND
            text = last[column] if count[column] > _MANY else -1
            if not (
                text >= 0
                and low[text] == first
                and high[text] == second
                and (short or _same(data, start, stop, starts[text], stops[text]))
            ):
                slot = _hash(first, second) & mask[column]
                text = np.int64(slots[base[column] + slot])
                while text >= 0 and not (
                    low[text] == first
                    and high[text] == second
                    and (short or _same(data, start, stop, starts[text], stops[text]))
                ):
                    slot = (slot + 1) & mask[column]
                    text = np.int64(slots[base[column] + slot])
                if text < 0:
                    if not _is_plain(data, start, stop):
                        return
                    text = known
                    low[text], high[text], starts[text], stops[text] = first, second, start, stop
                    column_of[text], number_of[text] = column, count[column]
                    slots[base[column] + slot] = text
                    if stop - start == 1:
                        single[256 * column + data[start]] = count[column]
                    known += 1
                    count[column] += 1
                    full |= _CROWDED * count[column] > mask[column] or known + width > len(low)
                last[column] = text
            numbers[column, row] = number_of[text]
        row += 1
    place[0], place[1], place[2], place[3] = at, row, known, _DONE if at >= end else _FULL


@_compiled(types.void(_i4s, _i8s, _i8s, _u8s, _u8s, _i8s, _i8))
def _enter(slots, base, mask, low, high, column_of, known):  # type: ignore[no-untyped-def]
    """Fill empty tables with the texts known so far."""
    for text in range(known):
        column = column_of[text]
        slot = _hash(low[text], high[text]) & mask[column]
        while slots[base[column] + slot] >= 0:
            slot = (slot + 1) & mask[column]
        slots[base[column] + slot] = text


@dataclass
class _Stretch:
    """Some rows of a file, and the different texts of each column in them.

    Attributes
    ----------
    data : array of bytes
        With at least 16 bytes behind the rows.
    begin, end : int
        First byte of the rows, and the one behind their last line end.
    row, rows : int
        Number of the first row, and how many there are.
    texts : list of list of bytes
        By column, in the order in which they first stand there.
    """

    data: _Bytes
    begin: int
    end: int
    row: int
    rows: int
    texts: list[list[bytes]] = field(default_factory=list)

    def number(self, delimiter: str, numbers: _Numbers) -> bool:
        """Give each cell its number, and say whether all rows are plain and have as many cells as there are columns."""
        width = len(numbers)
        place = np.array([self.begin, self.row, 0, _FULL])
        count, last, mask = np.zeros(width, np.int64), np.full(width, -1), np.full(width, _SLOTS - 1)
        single = np.full(256 * width, -1, np.int32)
        low, high, starts, stops, column_of, number_of = (np.empty(0, each) for each in (*2 * ["u8"], *4 * ["i8"]))
        while place[3] == _FULL:
            if place[2] + width > len(low):
                # numpy.resize repeats what it has; what is beyond the texts known so far is never read.
                more = max(4 * len(low), _TEXTS) + width
                low, high, starts, stops, column_of, number_of = (
                    np.resize(each, more) for each in (low, high, starts, stops, column_of, number_of)
                )
            mask = np.where(_CROWDED * count > mask, _CROWDED * (mask + 1) - 1, mask)
            base = np.cumsum(mask + 1) - (mask + 1)
            slots = np.full(int((mask + 1).sum()), -1, np.int32)
            _enter(slots, base, mask, low, high, column_of, place[2])
            _number(
                self.data, self.end, ord(delimiter), place, numbers, single, slots, base, mask, count,
                low, high, starts, stops, column_of, number_of, last,
            )  # fmt: skip
        if place[3] == _UNEVEN or place[1] != self.row + self.rows:
            return False
        self.texts = [[] for _ in range(width)]
        cut = self.data.data
        for text in zip(*(each[: place[2]].tolist() for each in (column_of, starts, stops)), strict=True):
            self.texts[text[0]].append(cut[text[1] : text[2]].tobytes())
        return True


def number_cells(
    encoded: bytes | memoryview, begin: int, delimiter: str, width: int, spare: int
) -> tuple[_Numbers, list[list[bytes]]] | None:
    """Return the number of the text of each cell, and the texts of each column.

    Parameters
    ----------
    encoded : bytes or memoryview
        Text in an encoding in which a byte below 128 is always that character of ASCII.
    begin : int
        First byte of the first row.
    delimiter : str
        One character of ASCII.
    width : int
        Cells of a row.
    spare : int
        Rows to leave free before the first one.

    Returns
    -------
    numbers : array of int, shape (width, spare + rows)
    texts : list of list of bytes
        By column, in the order in which they first stand there.

    None where a row has another number of cells, or one of them a quote or a control character.
    """
    data = np.frombuffer(encoded, dtype=np.uint8)
    rest = _row_start(data, begin, max(len(data) - _BEYOND, begin))
    half = _row_start(data, begin, (begin + rest) // 2)
    # Behind the last rows there is nothing to read, so they are copied.
    tail = bytes(encoded[rest:]) + (b"" if encoded[-1:] == b"\n" else b"\n")
    ends = [(data, begin, half), (data, half, rest), (np.frombuffer(tail + bytes(_BEYOND), np.uint8), 0, len(tail))]
    with ThreadPoolExecutor(2) as pool:
        stretches, row = [], spare
        for (part, start, end), rows in zip(ends, pool.map(_lines, ends), strict=True):
            stretches.append(_Stretch(part, start, end, row, rows))
            row += rows
        numbers: _Numbers = np.empty((width, row), dtype=np.int64)
        if not all(pool.map(lambda stretch: stretch.number(delimiter, numbers), stretches)):
            return None
        return numbers, list(pool.map(lambda column: _joined(column, stretches, numbers[column]), range(width)))


def _row_start(data: _Bytes, begin: int, at: int) -> int:
    """Return where the row begins that a byte is part of."""
    while at > begin:
        start = max(at - _CLOSE, begin)
        ends = np.flatnonzero(data[start:at] == _LINE)
        if len(ends):
            return start + int(ends[-1]) + 1
        at = start
    return begin


def _lines(stretch: tuple[_Bytes, int, int]) -> int:
    """Return how many lines end between two bytes, counted a part at a time that stays close at hand."""
    data, begin, end = stretch
    parts = (data[at : min(at + _CLOSE, end)] for at in range(begin, end, _CLOSE))
    return sum(int(np.count_nonzero(part == _LINE)) for part in parts)


def _joined(column: int, stretches: list[_Stretch], numbers: _Numbers) -> list[bytes]:
    """Return the different texts of a column in all stretches, and number the cells of the later ones by them."""
    known = {text: number for number, text in enumerate(stretches[0].texts[column])}
    for stretch in stretches[1:]:
        own = np.array([known.setdefault(text, len(known)) for text in stretch.texts[column]], dtype=np.int64)
        if not np.array_equal(own, np.arange(len(own))):
            part = slice(stretch.row, stretch.row + stretch.rows)
            numbers[part] = own[numbers[part]]
    return list(known)
