"""Large text files of plain shape, read column by column by Arrow; whatever is not plain is left to the csv reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from typing import Any, overload

import numpy as np

from bipstudy.loaders.cells import Cells, for_each

# Fewer lines are read as fast row by row; so many at the top are read row by row in any case.
_FEW, HEAD = 2_000, 64
_BLOCK, _CHUNK, _WIDE = 2 * 2**20, 2**20, 1_000


class Text:
    """What a text file says, as characters and in UTF-8; either is made from the other when it is asked for.

    Parameters
    ----------
    said : str or bytes
        Characters, or UTF-8.
    """

    def __init__(self, said: str | bytes) -> None:
        self._said = said

    @cached_property
    def decoded(self) -> str:
        """All characters."""
        return self._said if isinstance(self._said, str) else self._said.decode()

    @cached_property
    def encoded(self) -> bytes:
        """All of it in UTF-8."""
        return self._said if isinstance(self._said, bytes) else self._said.encode()

    def __contains__(self, part: str) -> bool:
        """Say whether a part stands in the text."""
        if isinstance(self._said, str):
            return part in self._said
        sought = part.encode()
        # All of å, ä and ö begin with the same byte, which makes the last one much faster to look for.
        return sought[-1:] in self._said and sought in self._said

    def head(self, count: int) -> str:
        """Return the first characters, at most so many; of UTF-8 at most so many bytes."""
        # A character cut in two at the end is left out.
        return self._said[:count] if isinstance(self._said, str) else self._said[:count].decode(errors="ignore")


class Lines(Sequence[list[object]]):
    """The rows of a text file: the first ones at hand, columns for the rest, and all of them only where asked for.

    Parameters
    ----------
    head : list of list
        The first rows.
    columns : list of Cells
        Columns of the rows from `start` on.
    start : int
        At most the number of rows in `head`.
    read : callable
        Reads all rows, for who needs them one by one.
    """

    def __init__(
        self, head: list[list[object]], columns: list[Cells], start: int, read: Callable[[], list[list[object]]]
    ) -> None:
        self._head, self._columns, self._start, self._read = head, columns, start, read
        self._all: list[list[object]] | None = None

    @property
    def width(self) -> int:
        """The most cells of a row."""
        return max(len(self._columns), *map(len, self._head))

    def __len__(self) -> int:
        return self._start + len(self._columns[0].position)

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
        if first < self._start or width != len(self._columns):
            return None
        return [_from(cells, first - self._start) for cells in self._columns]

    def _every(self) -> list[list[object]]:
        """Return all rows."""
        if self._all is None:
            self._all = self._read()
        return self._all


def read_lines(text: Text, delimiter: str, skipped: int, read: Callable[[], list[list[object]]]) -> Lines | None:
    """Read a text of rows that all have as many cells, without quotes, broken lines and blank lines.

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
    if b'"' in encoded or (b"\r" in encoded and encoded.count(b"\r") != encoded.count(b"\r\n")):
        return None
    count = count_of(encoded, b"\n") - encoded.endswith(b"\n") + 1
    if count < max(_FEW, HEAD + skipped + 1):
        return None
    head: list[list[object]] = []
    at = 0
    for number in range(HEAD + skipped):
        end = encoded.index(b"\n", at)
        if number >= skipped:
            head.append(list(encoded[at:end].removesuffix(b"\r").decode().split(delimiter)))
        at = end + 1
    width = len(head[-1])
    start = next((at + 1 for at in reversed(range(HEAD)) if len(head[at]) != width), 0)
    if not 2 <= width <= _WIDE or [""] in head:
        return None
    start, columns = _columns(encoded, delimiter, head, start, skipped)
    if columns is None or len(columns[0].position) != count - skipped - start:
        return None
    return Lines(head, columns, start, read)


def count_of(encoded: bytes, byte: bytes) -> int:
    """Return how often a byte stands in a text, many times faster than `bytes.count` where it often does."""
    every = np.frombuffer(encoded, dtype=np.uint8)
    return sum(int(np.count_nonzero(every[at : at + _CHUNK] == byte[0])) for at in range(0, len(every), _CHUNK))


def _columns(
    encoded: bytes, delimiter: str, head: list[list[object]], start: int, skipped: int
) -> tuple[int, list[Cells] | None]:
    """Return the columns of the rows from some row on, and that row; None where rows differ in length.

    To read a number or a day is several times faster than to look up its text, and tells as much where it is written in
    the one way that is shortest: without a zero before it or a space beside it. Whoever reads a number passes over
    what is longer than need be and over nothing that is shorter, so that none was longer if all cells together are as
    long as the text.
    """
    from bipstudy.loaders.typed_columns import below_names, kinds_of, texts_of

    width = len(head[-1])
    kinds = kinds_of(encoded, delimiter, width)
    first = below_names(head, start, kinds)
    if first is not None:
        table = _table(encoded, delimiter, skipped + first, kinds)
        if table is not None:
            found = for_each(texts_of, table.columns, table.num_rows)
            if sum(length for _, length in found) == _length(encoded, skipped + first, table.num_rows, width):
                return first, [cells for cells, _ in found]
    table = _table(encoded, delimiter, skipped + start, [None] * width)
    if table is None:
        return start, None
    return start, [cells for cells, _ in for_each(texts_of, table.columns, table.num_rows)]


def _length(encoded: bytes, skip: int, rows: int, width: int) -> int:
    """Return the bytes of all cells below some lines: what is neither the end of a line nor between two cells."""
    begin = 0
    for _ in range(skip):
        begin = encoded.index(b"\n", begin) + 1
    ends = rows - (not encoded.endswith(b"\n")) + (encoded.count(b"\r", begin) if b"\r" in encoded else 0)
    return len(encoded) - begin - ends - rows * (width - 1)


def _table(encoded: bytes, delimiter: str, skip: int, kinds: Sequence[Any]) -> Any:
    """Return what Arrow reads below some lines: columns of a kind, and dictionaries of text for the others.

    None where rows differ in length, or where a text is not of its column's kind.
    """
    import pyarrow as pa
    import pyarrow.csv

    different = pa.dictionary(pa.int32(), pa.string())
    names = [str(at) for at in range(len(kinds))]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(encoded),
            read_options=pyarrow.csv.ReadOptions(skip_rows=skip, column_names=names, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                check_utf8=False,
                column_types={name: kind or different for name, kind in zip(names, kinds, strict=True)},
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    return table.unify_dictionaries()


def _from(cells: Cells, first: int) -> Cells:
    """Return a column from a row on, with the texts that stand there."""
    if not first:
        return cells
    position = cells.position[first:]
    # Only a text of the rows above can be missing below.
    gone = [at for at in np.unique(cells.position[:first]).tolist() if not (position == at).any()]
    if not gone:
        return Cells(cells.distinct, position)
    kept = np.ones(len(cells.distinct), dtype=bool)
    kept[gone] = False
    number = np.cumsum(kept) - 1
    return Cells(list(compress(cells.distinct, kept)), number[position])
