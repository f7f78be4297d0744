"""What goes wrong in raw files: a catalogue of defects, each a pure function, and a way to sprinkle them in."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bipstudy.simulation.raw import Delivery, Grid, read_delivery
from bipstudy.texts import BipstudyError

Record = Mapping[str, str]
LIST = "planted.csv"


@dataclass(frozen=True)
class Planted:
    """A finding that a defect gives, and where.

    Attributes
    ----------
    defect : str
        Name of the defect.
    code, status : str
        Of the finding.
    table, file : str
    sheet : str or None
    row : int or None
        As a person sees it, the first line of a file being 1; None for a whole column, table or file.
    column : str or None
        Name in the file.
    """

    defect: str
    code: str
    status: str
    table: str | None
    file: str | None
    sheet: str | None
    row: int | None
    column: str | None


Planting = tuple[Delivery, tuple[Planted, ...]]
Plant = Callable[[Delivery, np.random.Generator], Planting | None]


@dataclass(frozen=True)
class Defect:
    """One thing that goes wrong.

    Attributes
    ----------
    name : str
    table : str
        Where it is planted.
    level : {"cell", "row", "column", "file"}
        What it spoils; only cells and rows are sprinkled.
    plant : callable
        From a delivery and a generator to the delivery with the defect and what was planted; None where it does not
        fit. Nothing that is given is changed.
    """

    name: str
    table: str
    level: str
    plant: Plant


@cache
def defects() -> dict[str, Defect]:
    """Return every defect of the catalogue by its name.

    Returns
    -------
    dict of str to Defect

    Examples
    --------
    >>> len(defects()) >= 120
    True
    """
    from bipstudy.simulation import defect_answers, defect_cells, defect_events, defect_files

    found: dict[str, Defect] = {}
    for part in (defect_cells, defect_events, defect_answers, defect_files):
        for each in part.catalogue():
            if each.name in found:
                raise ValueError(f"two defects with the name {each.name}")
            found[each.name] = each
    return found


def plant(name: str, delivery: Delivery, seed: int = 1) -> Planting | None:
    """Plant one defect.

    Parameters
    ----------
    name : str
        Of the catalogue.
    delivery : Delivery
        From `bipstudy.simulation.raw.read_delivery`.
    seed : int
        Of the choice of the row.

    Returns
    -------
    (Delivery, tuple of Planted) or None
        None where no row fits.

    Raises
    ------
    BipstudyError
        No such defect.
    """
    if name not in defects():
        raise BipstudyError("simulation.unknown_defect", name=name)
    return defects()[name].plant(delivery, np.random.default_rng(seed))


def sprinkle(folder: str | Path, rate: float, seed: int = 1) -> list[Planted]:
    """Plant defects of cells and rows in the raw files of a folder, and list them in ``planted.csv`` beside them.

    Each participant has at most one, so that the findings of one do not hide those of another.

    Parameters
    ----------
    folder : str or Path
        As `write_raw` wrote it: one folder for each organisation.
    rate : float
        Defects for each row of data, from 0 to 1.
    seed : int

    Returns
    -------
    list of Planted

    Raises
    ------
    BipstudyError
        The rate is none.
    """
    if not 0 <= rate <= 1:
        raise BipstudyError("simulation.bad_rate")
    folder = Path(folder)
    organisations = sorted(path for path in folder.iterdir() if path.is_dir())
    planted: list[Planted] = []
    for path, stream in zip(organisations, np.random.SeedSequence(seed).spawn(len(organisations)), strict=True):
        origin = read_delivery(path)
        delivery, found = _sprinkled(origin, rate, np.random.default_rng(stream))
        for name, content in delivery.content(origin).items():
            if content is not None:
                (path / name).write_bytes(content)
        planted += [dataclasses.replace(each, file=f"{path.name}/{each.file}") for each in found]
    _write_list(folder / LIST, planted)
    return planted


def _sprinkled(origin: Delivery, rate: float, rng: np.random.Generator) -> Planting:
    """Plant as many defects as the rate asks for, each about another participant."""
    rows = sum(len(grid.rows) for grid in origin.grids.values())
    fitting = [each for each in defects().values() if each.level in ("cell", "row") and each.table in origin.grids]
    delivery, planted, touched = origin, list[Planted](), set[str]()
    for _ in range(int(rng.binomial(rows, rate))):
        chosen = fitting[int(rng.integers(len(fitting)))]
        result = chosen.plant(delivery, rng)
        if result is None:
            continue
        about = _people(delivery, result)
        if about is None or about & touched:
            continue
        touched |= about
        delivery = result[0]
        planted += result[1]
    return delivery, tuple(planted)


def _people(before: Delivery, result: Planting) -> set[str] | None:
    """Return the participants whose rows a planting has changed; None where it concerns none alone."""
    people: set[str] = set()
    for table, grid in result[0].grids.items():
        old = before.grids[table]
        if old is grid:
            continue
        if "participant_id" not in grid.columns:
            return None
        ids = [grid.column("participant_id"), old.column("participant_id")]
        for position, row in enumerate(grid.rows):
            if position >= len(old.rows) or old.rows[position] != row:
                people |= {each[position] for each in ids if position < len(each)}
    return people or None


def _write_list(path: Path, planted: Sequence[Planted]) -> None:
    """Write what was planted, in the order of the organisations."""
    names = [each.name for each in dataclasses.fields(Planted)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if value is None else value for value in dataclasses.astuple(each)] for each in planted])
    path.write_bytes(buffer.getvalue().encode("utf-8"))


def record(grid: Grid, row: int) -> dict[str, str]:
    """Return the cells of a row by canonical name."""
    return dict(zip(grid.columns, grid.rows[row], strict=True))


def pick(
    delivery: Delivery, table: str, rng: np.random.Generator, fits: Callable[[Record], bool] = lambda row: True
) -> int | None:
    """Return a row, from 0, that fits, at random; None where none does."""
    grid = delivery.grids.get(table)
    if grid is None:
        return None
    for row in rng.permutation(len(grid.rows)).tolist():
        if fits(record(grid, row)):
            return int(row)
    return None


def rows_of(delivery: Delivery, table: str, **cells: str) -> list[int]:
    """Return the rows, from 0, that have some cells."""
    grid = delivery.grids.get(table)
    if grid is None:
        return []
    columns = [grid.column(column) for column in cells]
    wanted = tuple(cells.values())
    return [row for row, found in enumerate(zip(*columns, strict=True)) if found == wanted]


def finding(
    name: str,
    grid: Grid,
    code: str,
    row: int | None,
    column: str | None = None,
    status: str = "invalid",
) -> Planted:
    """Return a finding at a row, from 0, and a canonical column of a table."""
    place = None if row is None else row + 2
    shown = None if column is None else grid.named(column)
    return Planted(name, code, status, grid.table, grid.file, grid.sheet, place, shown)


def all_of(parts: Iterable[Planted | None]) -> tuple[Planted, ...]:
    """Return what was planted, without what was not."""
    return tuple(part for part in parts if part is not None)
