"""Large text files of plain shape, read column by column; whatever is not plain is left to the csv reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from bipstudy.loaders.cells import Cells, for_each

# Smaller files are read as fast row by row; so many rows at the top, within so many bytes, are in any case.
SMALL, HEAD, _TOP = 4 * 2**20, 64, 4 * 2**20
_WIDE = 1_000
_NOT_PLAIN = re.compile('[\x00-\x1f"]')


class Text:
    """What a text file says, as characters and as bytes; either is made from the other when it is asked for.

    Parameters
    ----------
    said : str, bytes or memoryview
        Characters, or bytes.
    encoding : str
        Of the bytes; one in which a byte below 128 is always that character of ASCII.
    """

    def __init__(self, said: str | bytes | memoryview, encoding: str = "utf-8") -> None:
        self._said, self.encoding = said, encoding

    @cached_property
    def decoded(self) -> str:
        """All characters."""
        return self._said if isinstance(self._said, str) else str(self._said, self.encoding)

    @cached_property
    def encoded(self) -> bytes | memoryview:
        """All bytes."""
        return self._said.encode(self.encoding) if isinstance(self._said, str) else self._said

    def head(self, count: int) -> str:
        """Return the first characters, at most so many; of bytes at most so many bytes."""
        # A character cut in two at the end is left out.
        start = self._said[:count]
        return start if isinstance(start, str) else str(start, self.encoding, "ignore")


class Lines(Sequence[list[object]]):
    """The rows of a text file: the first ones at hand, columns for the rest, and all of them only where asked for.

    Parameters
    ----------
    head : list of list of str
        The first rows.
    start : int
        The first row from which all have as many cells; at most the number of rows in `head`.
    numbers : array of int, shape (columns, rows)
        For each cell the number of its text, of the rows from `start` on; those of the head are filled in here.
    texts : list of list of str
        The different texts of each column below the head.
    read : callable
        Reads all rows, for who needs them one by one.
    """

    def __init__(
        self,
        head: list[list[str]],
        start: int,
        numbers: npt.NDArray[np.int64],
        texts: list[list[str]],
        read: Callable[[], list[list[object]]],
    ) -> None:
        self._head, self._start, self._numbers, self._texts, self._read = head, start, numbers, texts, read
        self._all: list[list[object]] | None = None
        # From below, so that what stands from some row on is numbered alike whether or not more is read above it.
        self._known = [[len(each) for each in texts]]
        places = [{text: at for at, text in enumerate(each)} for each in texts]
        for row in reversed(range(start, len(head))):
            for column, text in enumerate(head[row]):
                numbers[column, row - start] = places[column].setdefault(text, len(places[column]))
            self._known.insert(0, [len(each) for each in places])
        self._texts = [list(each) for each in places]

    @property
    def width(self) -> int:
        """The most cells of a row."""
        return max(len(self._texts), *map(len, self._head))

    @property
    def said(self) -> list[str]:
        """Every different cell."""
        return [*chain.from_iterable(self._head), *chain.from_iterable(self._texts)]

    def __len__(self) -> int:
        return self._start + int(self._numbers.shape[1])

    def __iter__(self) -> Iterator[list[object]]:
        return iter(self._every())

    @overload
    def __getitem__(self, at: int) -> list[object]: ...
    @overload
    def __getitem__(self, at: slice) -> list[list[object]]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice) and at.start in (None, 0) and at.step is None and at.stop is not None:
            if 0 <= at.stop <= len(self._head):
                return self._head[at]
        elif isinstance(at, int) and 0 <= at < len(self._head):
            return self._head[at]
        return self._every()[at]

    def below(self, first: int, width: int) -> list[Cells] | None:
        """Return the columns of the rows from a place on, None where they are not those of so many columns."""
        if not self._start <= first <= len(self._head) or width != len(self._texts):
            return None
        known, at = self._known[first - self._start], first - self._start
        return for_each(
            lambda column: Cells.merged(self._texts[column][: known[column]], self._numbers[column, at:]),
            range(width),
            len(self),
        )

    def _every(self) -> list[list[object]]:
        """Return all rows."""
        if self._all is None:
            self._all = self._read()
        return self._all


def is_large(content: bytes | memoryview) -> bool:
    """Say whether a file is so large that it is worth reading by column."""
    return len(content) >= SMALL


def read_lines(text: Text, delimiter: str, skipped: int, read: Callable[[], list[list[object]]]) -> Lines | None:
    """Read a text of rows that all have as many cells, without quotes, broken or blank lines and control characters.

    Parameters
    ----------
    text : Text
    delimiter : str
    skipped : int
        Lines at the top that are no rows.
    read : callable
        Reads all rows one by one.

    Returns
    -------
    Lines or None
        None where the text is small or not of that shape.
    """
    encoded = text.encoded
    if not is_large(encoded) or not (delimiter == "\t" or (delimiter.isascii() and delimiter.isprintable())):
        return None
    lines, begin = _first_lines(bytes(encoded[:_TOP]), skipped + HEAD)
    head = [line.decode(text.encoding).split(delimiter) for line in lines[skipped:]]
    plain = len(head) == HEAD and [""] not in head and not any(map(_NOT_PLAIN.search, chain.from_iterable(head)))
    if not plain or not 2 <= len(head[-1]) <= _WIDE:
        return None
    width = len(head[-1])
    start = next((at + 1 for at in reversed(range(HEAD)) if len(head[at]) != width), 0)
    from bipstudy.loaders.cell_numbers import number_cells

    found = number_cells(encoded, begin, delimiter, width, spare=HEAD - start)
    if found is None:
        return None
    numbers, texts = found
    return Lines(head, start, numbers, [[each.decode(text.encoding) for each in column] for column in texts], read)


def _first_lines(encoded: bytes, count: int) -> tuple[list[bytes], int]:
    """Return the first lines without their ends, fewer where there are no more, and where the next one begins."""
    lines: list[bytes] = []
    at = 0
    while len(lines) < count and (end := encoded.find(b"\n", at)) >= 0:
        lines.append(encoded[at:end].removesuffix(b"\r"))
        at = end + 1
    return lines, at
