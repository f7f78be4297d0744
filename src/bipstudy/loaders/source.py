"""A raw sheet with its header and its rows, and what becomes of it: a table with columns of ours."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.grids import Grid
from bipstudy.loaders.headers import Body, Header
from bipstudy.loaders.mapping import TableMapping
from bipstudy.loaders.recognition import without_known_words
from bipstudy.loaders.sheet_looks import as_months, as_numbers, with_zeros
from bipstudy.loaders.unread import letters
from bipstudy.schema import Finding

# First name and surname, in either order. No Swedish heading is written so, and a letter names the column as well.
_TWO_NAMES = re.compile("[A-ZÅÄÖÉ][a-zåäöéü]+(?:,? +)[A-ZÅÄÖÉ][a-zåäöéü]+")
# A month or day from 2015 on, when nobody was born who takes part, unless it begins a longer number.
_WHEN = re.compile(
    r"(?<!\d)20(?:1[5-9]|[2-9]\d)[-/. ]?(?:0[1-9]|1[0-2])(?:[-/. ]?(?:0[1-9]|[12]\d|3[01]))?(?!\d|[-+ ]?\d{4}(?!\d))"
)
# What stands in a row of answers, and in no header: a number with a decimal, a date, a month.
_LIKE_VALUE = re.compile(r"-?\d+([.,]\d+)?|\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?")


@dataclass(frozen=True)
class Sheet:
    """A sheet whose table and columns are known.

    Attributes
    ----------
    file, sheet : str, str or None
    table : str
        Name of the table.
    rows : array of int, shape (rows,)
        Number of each row of data as a person sees it; blank rows are left out.
    columns : dict of str to Cells
        Text of the columns by canonical name.
    names : dict of str to str
        Canonical name to the name in the file.
    header_row : int
        Row on which the header stands.
    entry : TableMapping
        What the organisation's mapping says of it.
    value_labels : dict of str to dict
        Canonical name to the labels that the file gives its codes.
    user_missing : dict of str to frozenset
        Canonical name to the codes that the file itself declares as missing.
    shown : dict of str to str
        Canonical name to the name by which all sheets of its kind are shown together, where it is another.
    told_at : str or None
        Column of the file that tells which of the forms of a row is meant, where the file has no column of what is
        said: the mapping sets it, or it is missing.
    lacks : dict of str to str
        Item to the name that its column would have, where the file has the item of other occasions of the respondent.
    """

    file: str
    sheet: str | None
    table: str
    rows: npt.NDArray[np.int64]
    columns: dict[str, Cells]
    names: dict[str, str]
    header_row: int
    entry: TableMapping = field(default_factory=TableMapping)
    value_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    user_missing: dict[str, frozenset[str]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    told_at: str | None = None
    lacks: dict[str, str] = field(default_factory=dict)

    def finding(self, code: str, column: str | None = None, **rest: object) -> Finding:
        """Return a finding at this sheet; `column` is a canonical name."""
        known = None if column is None else self.names.get(column)
        name = known or (self.told_at if column and rest.get("row") is not None else None) or column
        return Finding(code, table=self.table, file=self.file, sheet=self.sheet, column=name, **rest)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Source:
    """A raw sheet with its header found and its rows cut out."""

    grid: Grid
    header: Header
    body: Body

    @property
    def header_row(self) -> int:
        """Row on which the header stands."""
        return self.grid.numbers[self.header.first]

    def spellings(self, position: int) -> list[str]:
        """Return everything that a column is called, its name first."""
        return [name for name in (self.header.names[position], *self.header.others[position]) if name]

    @cached_property
    def holds_values(self) -> bool:
        """Whether the header may hold answers: nothing stands below it, or a date or a number stands in it.

        So it is where a file has no header, or where a line break was lost and the first row went into it.
        """
        return not len(self.body.rows) or any(map(_LIKE_VALUE.fullmatch, self.header.names))

    def shown(self, position: int) -> str:
        """Return what a column may be called in a message: its name, unless that may be what somebody answered."""
        name = self.header.names[position]
        return name if name and heading_may_be_shown(name) and not self.holds_values else letters(position)

    def named(self, position: int) -> str:
        """Return what a column that is one of ours is called in a message."""
        return self.header.names[position] or self.shown(position)

    def empty(self, table: str, entry: TableMapping) -> Sheet:
        """Return a sheet of these rows without columns."""
        return Sheet(self.grid.file, self.grid.sheet, table, self.body.rows, {}, {}, self.header_row, entry)

    def add(self, sheet: Sheet, position: int, canonical: str, cells: Cells | None = None) -> None:
        """Give a sheet one of the columns."""
        sheet.columns[canonical] = self.as_shown(sheet.table, position, canonical) if cells is None else cells
        sheet.names[canonical] = self.named(position)
        if position in self.grid.value_labels:
            sheet.value_labels[canonical] = self.grid.value_labels[position]
        if position in self.grid.user_missing:
            sheet.user_missing[canonical] = self.grid.user_missing[position]

    def as_shown(self, table: str, position: int, canonical: str) -> Cells:
        """Return a column as a person sees it, where a date or number is shown as something else than it is."""
        cells = self.body.columns[position]
        kind = next((column.kind for column in schema.table(table).columns if column.name == canonical), None)
        if kind == "id" and self.grid.zeros:
            digits = [self.grid.zeros.get((row, position), 0) for row in self.body.at.tolist()]
            return with_zeros(cells, digits) if any(digits) else cells
        if kind == "date" and position in self.grid.month:
            return as_months(cells, self._among(self.grid.month[position]))
        percent = self.grid.percent.get(position, frozenset())
        typed = self.grid.sheet is not None
        if kind == "number" and typed and (percent or any("," in text for text in cells.distinct)):
            return as_numbers(self._raw(position), self._among(percent))
        return cells

    def _among(self, chosen: Collection[int]) -> list[bool]:
        """Say of each row of data whether it is one of some rows of the grid."""
        return [row in chosen for row in self.body.at.tolist()]

    def _raw(self, position: int) -> list[object]:
        """Return the cells of a column as the format gives them."""
        rows = map(self.grid.rows.__getitem__, self.body.at.tolist())
        return [row[position] if position < len(row) else "" for row in rows]


def may_be_shown(name: str) -> bool:
    """Say whether the name of an unknown column may stand in a message: it may be somebody's number or name.

    Examples
    --------
    >>> may_be_shown("Andel i arbete"), may_be_shown("Kim Ek"), may_be_shown("Ek, Kim"), may_be_shown("850709")
    (True, False, False, False)
    """
    return sum(character.isdigit() for character in name) < 6 and "@" not in name and not _TWO_NAMES.search(name)


def heading_may_be_shown(name: str) -> bool:
    """Say whether a heading may stand in a message: as `may_be_shown`, but for our own words and for when it was.

    "Klient Kunskap" is written as a first name and a surname are, and 202401 has as many digits as a date of birth. So
    what is left without them decides.

    Examples
    --------
    >>> [heading_may_be_shown(name) for name in ("Klient Kunskap om arbetsmarknaden", "Tilltro (mätning 202401)")]
    [True, True]
    >>> [heading_may_be_shown(name) for name in ("Klient Kim Ek", "Klient 850709", "Klient 202401-1234")]
    [False, False, False]
    """
    return may_be_shown(name) or may_be_shown(_WHEN.sub("|", without_known_words(name)))


def constant(value: str, count: int) -> Cells:
    """Return a column that says the same on every row."""
    return Cells([value], np.zeros(count, dtype=np.intp))
