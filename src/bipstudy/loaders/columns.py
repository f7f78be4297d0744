"""Large text files of plain shape, read column by column by Arrow; whatever is not plain is left to the csv reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, overload

import numpy as np

from bipstudy.loaders.cells import Cells

# Fewer lines are read as fast row by row; so many at the top are read row by row in any case.
_FEW, HEAD = 2_000, 64
_BLOCK, _WIDE = 2 * 2**20, 1_000


@dataclass(frozen=True)
class Text:
    """What a text file says.

    Attributes
    ----------
    decoded : str
    encoded : bytes or None
        The same in UTF-8, where the file is written so.
    """

    decoded: str
    encoded: bytes | None = None

    def utf8(self) -> bytes:
        """Return the text in UTF-8."""
        return self.decoded.encode() if self.encoded is None else self.encoded


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
    decoded = text.decoded
    if '"' in decoded or ("\r" in decoded and decoded.count("\r") != decoded.count("\r\n")):
        return None
    count = decoded.count("\n") - decoded.endswith("\n") + 1
    if count < max(_FEW, HEAD + skipped + 1):
        return None
    head: list[list[object]] = []
    at = 0
    for number in range(HEAD + skipped):
        end = decoded.index("\n", at)
        if number >= skipped:
            head.append(list(decoded[at:end].removesuffix("\r").split(delimiter)))
        at = end + 1
    width = len(head[-1])
    start = next((at + 1 for at in reversed(range(HEAD)) if len(head[at]) != width), 0)
    if not 2 <= width <= _WIDE or [""] in head:
        return None
    columns = _columns(text, delimiter, skipped + start, width)
    if columns is None or len(columns[0].position) != count - skipped - start:
        return None
    return Lines(head, columns, start, read)


def _columns(text: Text, delimiter: str, skip: int, width: int) -> list[Cells] | None:
    """Return the columns below some lines, None where rows differ in length."""
    import pyarrow as pa
    import pyarrow.csv

    different = pa.dictionary(pa.int32(), pa.string())
    names = [str(at) for at in range(width)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text.utf8()),
            read_options=pyarrow.csv.ReadOptions(skip_rows=skip, column_names=names, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, different),
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    table = table.unify_dictionaries()
    found = []
    for column in table.columns:
        position = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks]).astype(np.intp)
        found.append(Cells.merged(column.chunk(0).dictionary.to_pylist(), position))
    return found


def _from(cells: Cells, first: int) -> Cells:
    """Return a column from a row on, with the texts that stand there."""
    position = cells.position[first:]
    # Only a text of the rows above can be missing below.
    gone = [at for at in np.unique(cells.position[:first]).tolist() if not (position == at).any()]
    if not gone:
        return Cells(cells.distinct, position)
    kept = np.ones(len(cells.distinct), dtype=bool)
    kept[gone] = False
    number = np.cumsum(kept) - 1
    return Cells(list(compress(cells.distinct, kept)), number[position])
