"""Where the header of a sheet stands, which rows belong to it, and which rows below it are no data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from bipstudy import schema
from bipstudy.loaders.cells import Cells, cell_text, tidied
from bipstudy.loaders.columns import Lines
from bipstudy.loaders.grids import Grid
from bipstudy.loaders.names import all_column_names, column_names, key, unnumbered
from bipstudy.loaders.recognition import is_total, may_be_subtotal, speak_of_totals

# Title rows above the header: more than these are not looked through.
_HEADER_WITHIN = 40
_HEADER_ROWS = 3
# A sheet is turned where so many names at least stand below each other, within so many rows, beside as many people.
_TURNED, _TURNED_WITHIN, _LOOKED_AT = 3, 400, 50
# Rows after a blank one of which so many are looked at for the header of another table.
_BLANKS_WITHIN = 200
_WIDE_ENOUGH = 3
# In one of so many columns a row of totals says that it is one.
_FIRST_CELLS = 4
_IMPORT_ID = re.compile(r"""^\{\s*['"]ImportId['"]""")


@dataclass(frozen=True)
class Header:
    """The rows that name the columns.

    Attributes
    ----------
    first, last : int
        Positions of the first and the last of them.
    names : list of str
        What each column is called: the first row.
    others : list of tuple of str
        What else each column is called: further rows, labels of the format.
    known : int
        How many columns have a name that is known.
    """

    first: int
    last: int
    names: list[str]
    others: list[tuple[str, ...]]
    known: int


@dataclass
class Body:
    """The rows below a header, column by column.

    Attributes
    ----------
    columns : list of Cells
    rows : array of int, shape (rows,)
        Number of each row as a person sees it; blank rows and totals are left out.
    at : array of int, shape (rows,)
        Position of each row in the sheet.
    short : list of int
        Rows that have fewer or more cells than the header.
    cut_off : int or None
        The last row, where it has fewer.
    totals, footers : list of int
        Rows that are totals, and those below a blank row that say something in one cell.
    words : list of int
        Rows among the data that say something in one cell, as at the turn of a page.
    left_out : list of (int, list of str)
        Number and cells of all of these.
    again : list of int
        Rows that say the header once more, as where files were joined end to end.
    other_header : int or None
        Row on which the header of another table stands, above or below.
    """

    columns: list[Cells]
    rows: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    short: list[int]
    cut_off: int | None
    totals: list[int]
    footers: list[int]
    words: list[int]
    left_out: list[tuple[int, list[str]]]
    again: list[int]
    other_header: int | None


def find_header(grid: Grid, own: set[str]) -> Header | None:
    """Return the header of a sheet: the row with most known names, and the rows of names or labels beside it.

    Parameters
    ----------
    grid : Grid
    own : set of str
        Names, by `key`, that the mapping of the organisation knows.

    Returns
    -------
    Header or None
        None where the sheet is empty.
    """
    known = all_column_names() | own
    rows = [_texts(row) for row in grid.rows[:_HEADER_WITHIN]]
    first, last = _block(_by_labels(rows, grid.labels, known), known)
    if first is None:
        return None
    names = rows[first]
    width = max(len(row) for row in rows[first : last + 1])
    names = names + [""] * (width - len(names))
    further = [row + [""] * (width - len(row)) for row in rows[first + 1 : last + 1]]
    labels = [*grid.labels, *[""] * width][:width]
    others = [tuple(filter(None, column)) for column in zip(*further, labels, strict=True)]
    others = _unnumbered(names, others, known)
    count = sum(
        any(key(each) in known for each in (name, *other) if each) for name, other in zip(names, others, strict=True)
    )
    return Header(first, last, names, others, count)


def is_turned(grid: Grid, header: Header) -> bool:
    """Say whether the columns of a sheet stand as rows: their names below each other, that of participants among them.

    A code book names columns below each other too, but has a header of its own, and few columns.

    Parameters
    ----------
    grid : Grid
    header : Header
        As `find_header` takes it.

    Returns
    -------
    bool
    """
    if isinstance(grid.rows, Lines):
        return False
    known, persons = all_column_names(), _names_of_participants()
    rows = [row for row in grid.rows[:_TURNED_WITHIN] if sum(cell not in (None, "") for cell in row[:_LOOKED_AT]) > 1]
    first = min((next(at for at, cell in enumerate(row) if cell not in (None, "")) for row in rows), default=0)
    said = [key(tidied(cell_text(row[first]))) for row in rows]
    names = {each for each in said if each in known}
    across = {key(name) for name in header.names if key(name) in known}
    if len(names) < _TURNED or 2 * len(names) <= len(said) or said[0] not in names or len(names) <= len(across):
        return False
    people = next((row for row, name in zip(rows, said, strict=True) if name in persons), [])
    return sum(cell not in (None, "") for cell in people[first + 1 : _LOOKED_AT]) >= _TURNED


@cache
def _names_of_participants() -> frozenset[str]:
    """Return every spelling of the column of participants."""
    return frozenset(
        spelt
        for table in schema.TABLE_NAMES
        for spelt, column in column_names(table).items()
        if column == "participant_id"
    )


def _unnumbered(names: list[str], others: list[tuple[str, ...]], known: frozenset[str]) -> list[tuple[str, ...]]:
    """Return the other names of columns, and the name without its number where that is known and that of one column."""
    columns = [tuple(filter(None, (name, *other))) for name, other in zip(names, others, strict=True)]
    found = []
    for spellings in columns:
        bare = [unnumbered(one) for one in spellings if not any(key(each) in known for each in spellings)]
        found.append(next((one for one in bare if one and key(one) in known), ""))
    said = Counter(key(one) for spellings in [*columns, found] for one in spellings if one)
    return [(*other, one) if one and said[key(one)] == 1 else other for other, one in zip(others, found, strict=True)]


def read_body(grid: Grid, header: Header) -> Body:
    """Return what stands below the header, column by column and without blank rows and totals."""
    width = max((at + 1 for at, name in enumerate(header.names) if name or header.others[at]), default=0)
    numbers = _numbers(grid.numbers[header.last + 1 :])
    even = grid.rows.below(header.last + 1, width) if isinstance(grid.rows, Lines) else None
    below = None if even is not None else grid.rows[header.last + 1 :]
    columns = even or [Cells.of(values) for values in zip_longest(*(below or ()), fillvalue="")]
    columns += [Cells.of([""] * len(numbers)) for _ in range(len(header.names) - len(columns))]
    filled = _filled(columns, len(numbers))
    end = _end_of_data(header, columns, filled, numbers)
    totals = _subtotals(header, columns, filled[:end])
    # A last row of fewer cells may have been cut off.
    is_cut = end > 0 and grid.ragged and below is not None and len(below[int(filled[end - 1])]) < width
    lone = _lone_words(header, columns, filled[: end - is_cut], totals)
    within = sorted([*totals, *lone])
    left_out = [(int(numbers[at]), _row(columns, at)) for at in [*within, *filled[end:]]]
    ends = [(int(numbers[at]), is_total(next(filter(None, _row(columns, at)), ""))) for at in filled[end:]]
    filled = np.setdiff1d(filled[:end], within) if within else filled[:end]
    other_header = _other_header(grid, header, columns, filled, numbers)
    repeated = [
        place
        for place in filled[_like_header(header, columns, filled)]
        if _is_repeated(header, _row(columns, place) if below is None else _texts(below[int(place)]))
    ]
    if repeated:
        filled = np.setdiff1d(filled, repeated)
    if len(filled) < len(numbers):
        columns = [Cells(cells.distinct, cells.position[filled]) for cells in columns]
    body = Body(
        columns=columns,
        rows=numbers if len(filled) == len(numbers) else numbers[filled],
        at=filled + header.last + 1,
        short=[],
        cut_off=None,
        totals=[*numbers[totals].tolist(), *(row for row, total in ends if total)],
        footers=[row for row, total in ends if not total],
        words=numbers[lone].tolist(),
        left_out=left_out,
        again=numbers[repeated].tolist(),
        other_header=other_header,
    )
    if grid.ragged and below is not None:
        _note_length(body, [below[row] for row in filled.tolist()], width)
    return body


def _numbers(numbers: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the numbers of rows as an array; a range is not gone through one by one."""
    if isinstance(numbers, range):
        return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)
    return np.asarray(numbers, dtype=np.int64)


def _filled(columns: list[Cells], rows: int) -> npt.NDArray[np.intp]:
    """Return the positions of the rows that are not blank."""
    if any("" not in cells.distinct for cells in columns):
        return np.arange(rows)
    return np.flatnonzero(~np.logical_and.reduce([cells.blank for cells in columns]))


def _end_of_data(
    header: Header, columns: list[Cells], filled: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
) -> int:
    """Return how many of the filled rows are data: below them are totals, and notes after a blank row."""
    named = sum(map(bool, header.names))
    wide = named >= _WIDE_ENOUGH
    start = len(filled)
    # An organisation may be called Total: a row as full as the others is data.
    full = max(sum(map(bool, _row(columns, filled[0]))), named - named // 4) if start else 0
    while start and (_is_total(row := _row(columns, filled[start - 1]), full) or (wide and _is_note(row))):
        start -= 1
    # Formats differ in whether a blank row is there at all; its number is always.
    end, after_blank = start, False
    for place in range(start, len(filled)):
        after_blank |= bool(place and numbers[filled[place]] - numbers[filled[place - 1]] > 1)
        # Without a blank row above it, a row of one cell may be data that were cut off.
        if not (after_blank or _is_total(_row(columns, filled[place]), full)):
            end = place + 1
    return end


def _subtotals(header: Header, columns: list[Cells], filled: npt.NDArray[np.int64]) -> list[int]:
    """Return the rows among the data that are totals of those above: called so, and blank in half of the columns."""
    found: set[int] = set()
    for cells in columns[:_FIRST_CELLS]:
        if speak_of_totals(cells.distinct):
            found.update(cells.rows_of([may_be_subtotal(text) for text in cells.distinct]).tolist())
    named = [at for at, name in enumerate(header.names) if name]
    said = {at: [*filter(None, _row(columns, at))] for at in sorted(found & set(filled.tolist()))} if found else {}
    return [at for at, cells in said.items() if may_be_subtotal(cells[0]) and 2 * len(cells) <= len(named)]


def _lone_words(header: Header, columns: list[Cells], filled: npt.NDArray[np.int64], totals: list[int]) -> list[int]:
    """Return the rows among the data that have words in a single cell, where a row has many."""
    first = [columns[at] for at, name in enumerate(header.names) if name][:_WIDE_ENOUGH]
    # Columns that begin a row are seldom blank, and what is seldom blank is looked at row by row.
    if sum(map(bool, header.names)) < 2 * _WIDE_ENOUGH or sum("" in cells.distinct for cells in first) < len(first) - 1:
        return []
    few = sum(cells.blank[filled].astype(int) for cells in first) >= len(first) - 1
    return [at for at in filled[few].tolist() if at not in totals and _is_note(_row(columns, at))]


def _is_total(cells: list[str], full: int) -> bool:
    """Say whether a row is a total: it says so, and is not as full as a row of data."""
    return is_total(next(filter(None, cells), "")) and sum(map(bool, cells)) < full


def _is_note(cells: list[str]) -> bool:
    """Say whether a row is words about the table: one cell that is neither a number nor an id."""
    said = [cell for cell in cells if cell]
    return len(said) == 1 and (" " in said[0].strip() or ":" in said[0])


def _other_header(
    grid: Grid,
    header: Header,
    columns: list[Cells],
    filled: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
) -> int | None:
    """Return the row of the header of another table in the same sheet: above with rows of its own, below, or beside."""
    known = all_column_names()
    if _stands_beside(header, columns, known):
        return int(grid.numbers[header.first])
    own = [*filter(None, header.names)]
    above = [_texts(row) for row in grid.rows[: header.first]]
    for at, row in enumerate(above):
        if _is_header(row, known) and any(any(each) and not _is_header(each, known) for each in above[at + 1 :]):
            return int(grid.numbers[at])
    for at in filled[_after_blank(numbers, filled)].tolist():
        row = [tidied(str(cell)) for cell in _row(columns, at)]
        if [*filter(None, row)] != own and _is_header(row, known):
            return int(numbers[at])
    return None


def _after_blank(numbers: npt.NDArray[np.int64], filled: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return the places of the filled rows that stand below a blank one, not of all if there are very many."""
    if not len(filled) or numbers[filled[-1]] - numbers[filled[0]] == len(filled) - 1:
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(np.diff(numbers[filled]) > 1)[:_BLANKS_WITHIN] + 1


def _stands_beside(header: Header, columns: list[Cells], known: frozenset[str]) -> bool:
    """Say whether names on both sides of an empty column are those of tables, of which one name is in both."""
    names = [key(name) for name in header.names]
    gaps = [at for at, name in enumerate(names) if not name and not header.others[at] and columns[at].blank.all()]
    for gap in gaps:
        left, right = ({name for name in part if name in known} for part in (names[:gap], names[gap + 1 :]))
        if len(left) > 1 and len(right) > 1 and left & right:
            return True
    return False


def _row(columns: list[Cells], at: int) -> list[str]:
    """Return the text of a row."""
    return [cells.distinct[cells.position[at]] for cells in columns]


def _like_header(header: Header, columns: list[Cells], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Say which rows hold the name of the first named column in that column."""
    at = next((at for at, name in enumerate(header.names) if name), None)
    if at is None:
        return np.zeros(len(rows), dtype=bool)
    same = np.array([tidied(str(text)) == header.names[at] for text in columns[at].distinct], dtype=bool)
    if not same.any():
        return np.zeros(len(rows), dtype=bool)
    return np.asarray(same[columns[at].position[rows]])


def _is_repeated(header: Header, texts: list[str]) -> bool:
    """Say whether a row is the header once more."""
    return [*filter(None, texts)] == [*filter(None, header.names)] and len(texts) > 1


def _texts(row: list[object]) -> list[str]:
    """Return the cells of a row as text."""
    return [tidied(cell_text(cell)) for cell in row]


def _by_labels(rows: list[list[str]], labels: Sequence[str], known: frozenset[str]) -> list[list[str]]:
    """Return the rows with the names of the columns, which stand first, replaced by their labels where these are known.

    Else a row on which caseworkers answer is more of a header than names as v1 and v2.
    """
    if not labels or not rows:
        return rows
    names = [label if key(label) in known else name for name, label in zip(rows[0], labels, strict=False)]
    return [names + rows[0][len(names) :], *rows[1:]]


def _block(rows: list[list[str]], known: frozenset[str]) -> tuple[int | None, int]:
    """Return the positions of the first and last row of the header."""
    for at, row in enumerate(rows):
        filled = [cell for cell in row if cell]
        if filled and sum(bool(_IMPORT_ID.match(cell)) for cell in filled) * 2 > len(filled):
            above = max(at - _HEADER_ROWS + 1, 0)
            while above < at and sum(map(bool, rows[above])) * 2 <= len(filled):
                above += 1
            return above, at
    best, most = None, -1
    for at, row in enumerate(rows):
        if any(row) and (count := _count(row, known)) > most:
            best, most = at, count
    if best is None:
        return None, 0
    last = best
    while best and last - best + 1 < _HEADER_ROWS and _completes(rows[best - 1], rows[best], known):
        best -= 1
    while last + 1 < len(rows) and last + 1 < best + _HEADER_ROWS and _is_header(rows[last + 1], known):
        last += 1
    if 0 < last - best < _HEADER_ROWS - 1 and last + 1 < len(rows) and _is_caption(rows[last + 1]):
        last += 1
    return best, last


def _completes(above: list[str], row: list[str], known: frozenset[str]) -> bool:
    """Say whether a row names columns that the row of a header below it leaves blank."""
    blank = [name for at, name in enumerate(above) if name and not (at < len(row) and row[at])]
    return sum(key(name) in known for name in blank) > 1


def _is_caption(row: list[str]) -> bool:
    """Say whether a row below a header says one and the same word of some columns, such as how a question is told."""
    said = [cell for cell in row if cell]
    return 1 < len(said) < len(row) and len(set(said)) == 1 and said[0].isalpha()


def _count(row: list[str], known: frozenset[str]) -> int:
    """Return how many cells of a row are known names."""
    return sum(key(cell) in known or key(unnumbered(cell)) in known for cell in row if cell)


def _is_header(row: list[str], known: frozenset[str]) -> bool:
    """Say whether a row below a header names columns as well."""
    count = _count(row, known)
    return count > 2 and count * 2 > sum(map(bool, row))


def _note_length(body: Body, rows: list[list[object]], width: int) -> None:
    """Note the rows that have fewer or more cells than the header."""
    for position, row in enumerate(rows):
        short = len(row) < width
        if short and position == len(rows) - 1:
            body.cut_off = int(body.rows[position])
        elif short or any(_texts(row[width:])):
            body.short.append(int(body.rows[position]))
