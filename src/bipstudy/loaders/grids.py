"""What every format is read into: rows of raw cells that remember where they stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.loaders.beside import Beside
from bipstudy.schema import Finding


@dataclass(frozen=True)
class Grid:
    """One sheet or text file as it stands, title rows and blank rows included.

    Attributes
    ----------
    file : str
        Name of the file, with its place inside a folder or archive.
    sheet : str or None
        Name of the sheet; None for a format without sheets.
    rows : sequence of list
        Cells as the format gives them: text, or numbers and dates where it has types. Rows may differ in length.
    numbers : sequence of int
        For each row, its number as a person sees it.
    helper : bool
        Whether the sheet is hidden or one of the template's own, so that it may be passed over in silence.
    hidden : bool
        Whether it is hidden and none of the template's own, so that who sends it may not know of it.
    ragged : bool
        Whether rows of unequal length are a sign of damage, as in text files.
    spoilt : bool
        Whether it was read or saved in a wrong encoding, so that neither its names nor its words are what they were.
    labels : sequence of str
        Labels of the columns, for formats that have them beside the names; by position.
    value_labels : mapping of int to dict
        Position of a column to the labels of its codes.
    user_missing : mapping of int to frozenset
        Position of a column to the codes that the file itself declares as missing.
    merged : sequence of (int, int, int, int)
        First row, first column, last row and last column, as positions, of merged cells that hold something. The rows
        hold the content in each row that a cell covers downwards.
    percent, month : mapping of int to frozenset
        Position of a column to the rows, as positions, in which a share is shown as percent, or a day as its month.
    zeros : mapping of (int, int) to int
        Row and column, as positions, of cells that are shown with so many digits at least.
    unseen : frozenset of int
        Positions of the rows that are hidden or filtered away.
    beside : sequence of Beside
        What the file holds beside its cells; a grid that has it has no rows.
    """

    file: str
    sheet: str | None
    rows: Sequence[list[object]]
    numbers: Sequence[int]
    helper: bool = False
    hidden: bool = False
    ragged: bool = False
    spoilt: bool = False
    labels: Sequence[str] = ()
    value_labels: Mapping[int, dict[str, str]] = field(default_factory=dict)
    user_missing: Mapping[int, frozenset[str]] = field(default_factory=dict)
    merged: Sequence[tuple[int, int, int, int]] = ()
    percent: Mapping[int, frozenset[int]] = field(default_factory=dict)
    month: Mapping[int, frozenset[int]] = field(default_factory=dict)
    zeros: Mapping[tuple[int, int], int] = field(default_factory=dict)
    unseen: frozenset[int] = frozenset()
    beside: Sequence[Beside] = ()


def grid_beside(name: str, found: Sequence[Beside]) -> list[Grid]:
    """Return what a file holds beside its cells as a sheet that becomes no table; none where it holds nothing."""
    return [Grid(name, None, [], range(0), helper=True, beside=found)] if found else []


@dataclass(frozen=True)
class Unread:
    """A column that becomes no table, kept so that what must never be sent is found there too.

    Attributes
    ----------
    file, sheet, table : str or None
        Where it stands; the table is None where the sheet belongs to none.
    column : str
        Its name or letter, as it may be shown.
    rows : array of int, shape (cells,)
        Number of each cell's row as a person sees it.
    values : Series of text, shape (cells,)
    """

    file: str
    sheet: str | None
    table: str | None
    column: str
    rows: npt.NDArray[np.int64]
    values: pd.Series


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: its name, the SHA-256 of its bytes, and its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass
class Reading:
    """Everything that was read from a path."""

    grids: list[Grid] = field(default_factory=list)
    files: list[SourceFile] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
