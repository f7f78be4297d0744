r"""Reading the rows of a binary regression once: likelihood, gradient and information at given coefficients.

Rows are read in blocks that fit the cache, so that no second matrix is ever made, and large designs by every core.
Indicator columns of which a row has at most one (periods, organisations) are few numbers per row rather than many
columns: their part of :math:`X'WX` is a sum by level, which costs next to nothing beside the product of the others.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.links import Link, row_derivatives
from bipstudy.models.solving import BLOCK

__all__ = ["Information", "Levels", "Reading", "find_levels", "read"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
Information = Literal["expected", "observed"]

# Rows that one thread reads at a time: many blocks, so that handing them out costs nothing.
PIECE = 16_384
# With fewer indicators of one factor than this, sums by level save nothing.
LEAST_LEVELS = 8
# Rows looked at first to find them.
LOOKED_AT = 2_048
ROUNDS = 20


@dataclass(frozen=True)
class Levels:
    """Indicator columns of which every row has at most one.

    Attributes
    ----------
    columns : array of shape (m,)
        Their positions.
    others : array of shape (k - m,)
        Positions of the other columns.
    codes : array of shape (n,)
        Which of `columns` is one in a row; m if none.
    """

    columns: npt.NDArray[np.uint64]
    others: npt.NDArray[np.uint64]
    codes: npt.NDArray[np.uint32]

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Levels:
        """Levels of some of the rows."""
        return Levels(self.columns, self.others, np.ascontiguousarray(self.codes[rows]))


@dataclass(frozen=True)
class Reading:
    """What one reading gives.

    Attributes
    ----------
    value : float
        Log-likelihood.
    gradient : array of shape (k,)
    information : array of shape (k, k) or None
        None if it was not asked for.
    slope, eta : arrays of shape (n,) or None
        What each row adds to the score, and its linear predictor, where they were to be kept.
    """

    value: float
    gradient: FloatArray
    information: FloatArray | None
    slope: FloatArray | None = None
    eta: FloatArray | None = None


def find_levels(matrix: FloatArray) -> Levels | None:
    """Find the indicator columns of the largest factor, or None if there are too few to be worth it.

    Parameters
    ----------
    matrix : array of shape (n, k)

    Returns
    -------
    Levels or None

    Examples
    --------
    >>> import numpy as np
    >>> period = np.arange(40) % 10
    >>> found = find_levels(np.column_stack([np.ones(40), period[:, None] == np.arange(1, 10)]))
    >>> found.others.tolist(), found.codes[:3].tolist()
    ([0], [9, 0, 1])
    """
    rows, k = matrix.shape
    seen = matrix[:: max(rows // LOOKED_AT, 1)]
    for _ in range(ROUNDS):
        columns = _exclusive(seen)
        if len(columns) < LEAST_LEVELS:
            return None
        codes, clash = _code(matrix, columns)
        if clash is None:
            others = np.setdiff1d(np.arange(k), columns)
            return Levels(columns.astype(np.uint64), others.astype(np.uint64), codes)
        # A row that the first look missed: with it some column is left out.
        seen = np.vstack([seen, clash])
    return None


def _exclusive(seen: FloatArray) -> npt.NDArray[np.int64]:
    """Columns of zeros and ones of which no row has two, leaving out those that meet the most others."""
    columns = np.flatnonzero(((seen == 0.0) | (seen == 1.0)).all(axis=0))
    ones = seen[:, columns]
    meets = ones.T @ ones > 0.0
    np.fill_diagonal(meets, val=False)
    while meets.any():
        keep = np.arange(len(columns)) != int(meets.sum(axis=0).argmax())
        columns, meets = columns[keep], meets[np.ix_(keep, keep)]
    return columns


def _code(matrix: FloatArray, columns: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint32], FloatArray | None]:
    """Level of each row, and the first row that is no indicator of one level, if there is any."""
    from bipstudy.models.level_kernels import code_rows

    codes = np.empty(len(matrix), dtype=np.uint32)
    done = code_rows(matrix, columns.astype(np.uint64), codes)
    return codes, None if done == len(matrix) else matrix[done : done + 1]


def read(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    beta: FloatArray,
    link: Link,
    information: Information | None,
    *,
    levels: Levels | None = None,
    keep: bool = False,
) -> Reading:
    """Read all rows once.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
    response : array of shape (n,)
    weights : array of shape (n,) or None
    beta : array of shape (k,)
    link : {"cloglog", "logit"}
    information : {"expected", "observed"} or None
        Without it a reading costs a third.
    levels : Levels, optional
        Of this matrix.
    keep : bool
        Whether slopes and linear predictors are kept.

    Returns
    -------
    Reading
    """
    rows = len(matrix)
    kept = (np.empty(rows), np.empty(rows)) if keep else None

    def some(start: int, stop: int) -> Reading:
        part = slice(start, stop)
        return _read_rows(
            matrix[part],
            response[part],
            None if weights is None else weights[part],
            beta,
            link,
            information,
            None if levels is None or information is None else levels.take(part),
            None if kept is None else (kept[0][part], kept[1][part]),
        )

    # The same pieces are added in the same order, however many threads read them.
    pieces = [(start, min(start + PIECE, rows)) for start in range(0, rows, PIECE)] or [(0, 0)]
    if len(pieces) < 4:
        found = [some(*piece) for piece in pieces]
    else:
        with ThreadPoolExecutor(max_workers=min(len(pieces), os.cpu_count() or 1)) as pool:
            found = list(pool.map(lambda piece: some(*piece), pieces))
    value, gradient, total = found[0].value, found[0].gradient, found[0].information
    for piece in found[1:]:
        value, gradient = value + piece.value, gradient + piece.gradient
        total = None if total is None or piece.information is None else total + piece.information
    return Reading(value, gradient, total, *(kept or (None, None)))


def _read_rows(
    matrix: FloatArray,
    response: FloatArray,
    weights: FloatArray | None,
    beta: FloatArray,
    link: Link,
    information: Information | None,
    levels: Levels | None,
    kept: tuple[FloatArray, FloatArray] | None,
) -> Reading:
    """Read some rows; fills slopes and linear predictors where they are kept."""
    rows, k = matrix.shape
    value, gradient = 0.0, np.zeros(k)
    sums = None if information is None else _Plain(k, rows) if levels is None else _ByLevel(levels)
    for start in range(0, rows, BLOCK):
        stop = start + BLOCK
        part = matrix[start:stop]
        eta = part @ beta
        row = row_derivatives(eta, response[start:stop], link)
        slope = row.slope
        if weights is None:
            value += float(row.value.sum())
        else:
            value += float(weights[start:stop] @ row.value)
            slope = slope * weights[start:stop]
        gradient += slope @ part
        if sums is not None:
            curvature = row.expected if information == "expected" else row.observed
            sums.add(part, curvature if weights is None else curvature * weights[start:stop], start)
        if kept is not None:
            kept[0][start:stop], kept[1][start:stop] = slope, eta
    return Reading(value, gradient, None if sums is None else sums.total())


class _Plain:
    """X'WX as one product."""

    def __init__(self, k: int, rows: int) -> None:
        self.sum, self.buffer = np.zeros((k, k)), np.empty((min(BLOCK, rows), k))

    def add(self, part: FloatArray, curvature: FloatArray, start: int) -> None:
        """Add some rows."""
        scaled = self.buffer[: len(part)]
        # Faster than a product with broadcasting, and the same numbers.
        np.einsum("ij,i->ij", part, np.sqrt(curvature), out=scaled)
        self.sum += scaled.T @ scaled

    def total(self) -> FloatArray:
        """All rows so far."""
        return self.sum


class _ByLevel:
    """X'WX as a product of the other columns, and sums by level."""

    def __init__(self, levels: Levels) -> None:
        from bipstudy.models.level_kernels import add_information, padded

        self.levels, self.kernel = levels, add_information
        m, width = len(levels.columns), padded(len(levels.others))
        self.plain, self.cross, self.alone = np.zeros((width, width)), np.zeros((m + 1, width)), np.zeros(m + 1)

    def add(self, part: FloatArray, curvature: FloatArray, start: int) -> None:
        """Add some rows."""
        codes = self.levels.codes[start : start + len(part)]
        self.kernel(part, curvature, codes, self.levels.others, self.plain, self.cross, self.alone)

    def total(self) -> FloatArray:
        """All rows so far."""
        columns, others = (places.astype(np.int64) for places in (self.levels.columns, self.levels.others))
        m, p = len(columns), len(others)
        total = np.zeros((m + p, m + p))
        total[np.ix_(others, others)] = 0.5 * (self.plain + self.plain.T)[:p, :p]
        total[np.ix_(columns, others)] = self.cross[:m, :p]
        total[np.ix_(others, columns)] = self.cross[:m, :p].T
        total[columns, columns] = self.alone[:m]
        return total
