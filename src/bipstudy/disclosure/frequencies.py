"""Tables of counts in any number of dimensions: small cells, zeros, and the cells by which they could be worked out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.disclosure.complement import complemented, with_totals
from bipstudy.disclosure.found import BoolArray, Found, Named, numbers, spread
from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rows import own_reasons
from bipstudy.disclosure.rules import Rules

__all__ = ["frequency", "long_form", "wide_form"]

# A table with more cells than this is no table that a person checks.
_MOST = 10_000
_LARGEST = 1e8
_OTHER, _COUNT = "category", "count"


def frequency(
    frame: pd.DataFrame, output: Output, rules: Rules, extra: BoolArray, secret: frozenset[Named] = frozenset()
) -> Found:
    """Hide the cells of a table of counts that are small or empty, and those by which they could be worked out.

    What is in `secret`, since another table hides it, is hidden here too, as a cell or as a total.
    """
    asked = len(frame)
    axes = [_categories(frame[name], output.margin) for name in output.labels]
    places = _places(frame, output, axes)
    size = math.prod(len(axis) + 1 for axis in axes)
    counts = numbers(frame, output.counts[0])
    wrong = ~((counts >= 0) & (counts <= _LARGEST)) | (counts != np.floor(counts))
    if size > _MOST or not asked or any(not axis for axis in axes):
        return _refused(frame, output, "too_large" if asked else "no_rows")
    if len({tuple(place) for place in places}) < asked:
        return _refused(frame, output, "repeated")
    table = None if wrong.any() else _table(places, counts, axes)
    if table is None:
        return _refused(frame, output, "not_counts" if wrong.any() else "totals_differ")
    why = own_reasons(frame, output, rules)
    if extra.any():
        why["linked"] = extra
    own = np.logical_or.reduce([np.zeros(asked, dtype=bool), *why.values()])
    primary = table < rules.threshold
    primary[tuple(places.T)] |= own
    names = _names(axes)
    for at in np.ndindex(table.shape):
        primary[at] |= bool(names[at]) and _named(names[at], table[at]) in secret
    hidden = complemented(table, primary, rules.threshold)
    if hidden is None:
        return Found(frame, spread(frame, output, np.ones(asked, dtype=bool)), why, "no_complement")
    full, places = _with_empty(frame, output, axes, places)
    rows = hidden[tuple(places.T)]
    added = len(full) - asked
    why = {reason: np.append(mask, np.zeros(added, dtype=bool)) for reason, mask in why.items()}
    if added:
        why["nobody"] = why.get("nobody", np.zeros(len(full), dtype=bool)) | (np.arange(len(full)) >= asked)
    beside = rows & ~np.logical_or.reduce([np.zeros(len(full), dtype=bool), *why.values()])
    if beside.any():
        why["complement"] = beside
    inner = (places < np.array([len(axis) for axis in axes])).all(axis=1)
    empty = bool(rows[inner].all())
    known = frozenset(_named(names[at], table[at]) for at in zip(*np.nonzero(hidden), strict=True))
    return Found(full, spread(full, output, rows), why, "nothing_left" if empty else "", known)


def long_form(frame: pd.DataFrame, output: Output) -> tuple[pd.DataFrame, Output]:
    """Return a crosstab as one row per cell, with the description of that form."""
    rows, columns = list(output.labels), list(output.counts)
    melted = frame[rows + columns].melt(rows, columns, var_name=_OTHER, value_name=_COUNT)
    return melted, Output(
        "frequency", labels=(*rows, _OTHER), counts=(_COUNT,), margin=output.margin, title=output.title
    )


def wide_form(frame: pd.DataFrame, output: Output) -> pd.DataFrame:
    """Return the cells of a crosstab as the table that they came from."""
    rows = list(output.labels)
    wide = frame.pivot(index=rows, columns=_OTHER, values=_COUNT)[list(output.counts)]
    order = frame[rows].drop_duplicates()
    return (
        wide.reindex(pd.MultiIndex.from_frame(order) if len(rows) > 1 else order[rows[0]])
        .reset_index()
        .rename_axis(columns=None)
    )


def _categories(values: pd.Series, margin: str) -> list[str]:
    """Return the categories of a dimension in an order that does not depend on that of the rows; no totals."""
    return sorted({str(value) for value in values} - ({margin} if margin else set()))


def _named(categories: Any, count: Any) -> Named:
    """Return a count as it is known again elsewhere."""
    return categories, float(count)


def _names(axes: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the categories of each cell; a total has none in the dimension that it sums over. Shape of the table."""
    names = np.empty([len(axis) + 1 for axis in axes], dtype=object)
    for at in np.ndindex(names.shape):
        names[at] = frozenset(axis[place] for axis, place in zip(axes, at, strict=True) if place < len(axis))
    return names


def _places(frame: pd.DataFrame, output: Output, axes: Sequence[Sequence[str]]) -> np.ndarray:
    """Return where each row stands in the table; a total stands last. Shape (rows, dimensions)."""
    columns = []
    for name, axis in zip(output.labels, axes, strict=True):
        at = {value: place for place, value in enumerate(axis)}
        columns.append([at.get(str(value), len(axis)) for value in frame[name]])
    return np.array(columns, dtype=np.int64).T.reshape(len(frame), len(axes))


def _table(places: np.ndarray, counts: np.ndarray, axes: Sequence[Sequence[str]]) -> np.ndarray | None:
    """Return the counts with their totals; None where totals that were given are others."""
    inner = (places < np.array([len(axis) for axis in axes])).all(axis=1)
    cells = np.zeros([len(axis) for axis in axes], dtype=np.int64)
    cells[tuple(places[inner].T)] = counts[inner].astype(np.int64)
    table = with_totals(cells)
    return table if np.array_equal(table[tuple(places.T)], counts) else None


def _with_empty(
    frame: pd.DataFrame, output: Output, axes: Sequence[Sequence[str]], places: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows with those of cells that were left out: that a cell is missing says that nobody is in it."""
    there = {tuple(place) for place in places}
    absent = [place for place in np.ndindex(*(len(axis) for axis in axes)) if place not in there]
    if not absent:
        return frame, places
    rows = pd.DataFrame(
        {
            name: [axis[place[at]] for place in absent]
            for at, (name, axis) in enumerate(zip(output.labels, axes, strict=True))
        }
    )
    full = pd.concat([frame.astype({name: "object" for name in output.labels}), rows], ignore_index=True)
    return full, np.vstack([places, np.array(absent, dtype=np.int64)])


def _refused(frame: pd.DataFrame, output: Output, why: str) -> Found:
    """Return that nothing of a table leaves."""
    return Found(frame, spread(frame, output, np.ones(len(frame), dtype=bool)), {}, why)
