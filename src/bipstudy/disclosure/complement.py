"""Which further cells of a table must be hidden, so that no hidden cell can be worked out from the others.

Every hidden cell becomes the corner of a box of hidden cells. Adding to one corner and taking away from its neighbours,
in turn around the box, changes no total; where each corner that loses holds at least the threshold, the true value of
the hidden cell may for all that a reader can tell be larger by the threshold. So nobody can say that it is small.

References
----------
Fischetti, M., and Salazar, J. J. (2001). Solving the cell suppression problem on tabular data with linear constraints.
Management Science 47, 1008-1027: what a reader can work out is the range of a cell over all tables with the same
published cells. The box is the simplest change that keeps them, as in the hypercube method of Repsilber (1994).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

__all__ = ["complemented", "with_totals"]


def with_totals(cells: IntArray) -> IntArray:
    """Return a table with its totals, as the last place of every dimension.

    Parameters
    ----------
    cells : array of shape (a, b, ...)

    Returns
    -------
    array of shape (a + 1, b + 1, ...)

    Examples
    --------
    >>> with_totals(np.array([[1, 2], [3, 4]])).tolist()
    [[1, 2, 3], [3, 4, 7], [4, 6, 10]]
    """
    for axis in range(cells.ndim):
        cells = np.concatenate([cells, cells.sum(axis=axis, keepdims=True)], axis=axis)
    return cells


def complemented(table: IntArray, primary: BoolArray, threshold: int) -> BoolArray | None:
    """Return which cells are hidden, so that each of the first hidden may be larger by the threshold.

    Parameters
    ----------
    table : array of shape (a + 1, b + 1, ...)
        Counts of people with their totals, see `with_totals`. All totals are taken as known to the reader, whether they
        are published here or not.
    primary : array of bool, same shape
        Cells that must be hidden for what they say themselves.
    threshold : int

    Returns
    -------
    array of bool, same shape, or None
        None where no choice of further cells protects them: then the whole table must stay.

    Examples
    --------
    >>> table = with_totals(np.array([[3, 40], [30, 50], [60, 70]]))
    >>> complemented(table, table < 10, 10).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    hidden = primary.copy()
    last = tuple(size - 1 for size in table.shape)
    if hidden[last]:
        return None
    level = _level(table.shape)
    # Totals first: a hidden total may serve as a corner for the cells that it is the sum of.
    order = sorted(zip(*np.nonzero(primary), strict=True), key=lambda own: (-level[own], table[own], own))
    for own in order:
        box = _cheapest_box(table, hidden, level, own, threshold)
        if box is None:
            return None
        for corner in product(*zip(own, box, strict=True)):
            hidden[corner] = True
    return hidden


def _level(shape: tuple[int, ...]) -> IntArray:
    """Return of how many dimensions each cell is a total."""
    level = np.zeros(shape, dtype=np.int64)
    for axis, size in enumerate(shape):
        here = np.zeros(size, dtype=np.int64)
        here[-1] = 1
        level += here.reshape([-1 if axis == place else 1 for place in range(len(shape))])
    return level


def _cheapest_box(
    table: IntArray, hidden: BoolArray, level: IntArray, own: tuple[int, ...], threshold: int
) -> tuple[int, ...] | None:
    """Return the corner opposite to a cell, of the box that protects it and hides the fewest further cells."""
    shape = table.shape
    new, people = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    allowed, rises, falls = np.ones(shape, dtype=bool), np.ones(shape, dtype=bool), np.ones(shape, dtype=bool)
    for turned in product((False, True), repeat=table.ndim):
        corner = tuple(slice(None) if turn else slice(at, at + 1) for turn, at in zip(turned, own, strict=True))
        against = _sign(shape, own, turned) < 0
        value, fresh = table[corner], ~hidden[corner]
        # A total is known from elsewhere, unless it is itself one of the cells to protect; the grand total always is.
        known = fresh & (level[corner] > level[own]) | (level[corner] == table.ndim)
        allowed = allowed & ~known
        rises = rises & ~(against & (value < threshold))
        falls = falls & (against | (value >= threshold))
        new, people = new + fresh, people + fresh * value
    # A large cell, hidden for what stands elsewhere, is protected as well if it may be smaller by the threshold.
    allowed &= rises | falls if table[own] >= threshold else rises
    for axis, at in enumerate(own):
        allowed[(slice(None),) * axis + (at,)] = False
    if not allowed.any():
        return None
    places = np.argwhere(allowed)
    found = tuple(places.T)
    best = places[np.lexsort([people[found], new[found]])[0]]
    return tuple(int(place) for place in best)


def _sign(shape: tuple[int, ...], own: tuple[int, ...], turned: tuple[bool, ...]) -> IntArray:
    """Return whether a corner gains or loses when the cell gains; a total moves with its part."""
    sign = np.ones((1,) * len(shape), dtype=np.int64)
    for axis, (size, at, turn) in enumerate(zip(shape, own, turned, strict=True)):
        if turn:
            along = np.full(size, 1 if at == size - 1 else -1, dtype=np.int64)
            along[-1] = 1
            sign = sign * along.reshape([-1 if axis == place else 1 for place in range(len(shape))])
    return sign
