"""Tables whose rows stand on their own: groups, estimates and facts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bipstudy.disclosure.found import SHARE_SCALES, BoolArray, FloatArray, Found, counted, end_of, numbers, spread
from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rules import Rules

__all__ = ["estimates", "facts", "groups", "own_reasons"]

_SLACK = 1e-6


def own_reasons(frame: pd.DataFrame, output: Output, rules: Rules) -> dict[str, BoolArray]:
    """Return the rows that say too much themselves, by reason; each of shape (rows,)."""
    why: dict[str, BoolArray] = {}
    for reason, mask in _reasons(frame, output, rules):
        why[reason] = why.get(reason, np.zeros(len(frame), dtype=bool)) | mask
    return {reason: mask for reason, mask in why.items() if mask.any()}


def groups(frame: pd.DataFrame, output: Output, rules: Rules, extra: BoolArray) -> Found:
    """Hide groups that rest on too few, and beside them a large one: the total of all is taken as known."""
    why = own_reasons(frame, output, rules)
    if extra.any():
        why["linked"] = extra
    hidden = _any(why, len(frame))
    if output.divides:
        beside = _beside(frame, output, rules, hidden)
        if beside.any():
            why["complement"] = beside
            hidden = hidden | beside
    return _found(frame, output, rules, hidden, why)


def estimates(frame: pd.DataFrame, output: Output, rules: Rules, extra: BoolArray) -> Found:
    """Hide estimates that rest on too few people, events, caseworkers or degrees of freedom."""
    why = own_reasons(frame, output, rules)
    if extra.any():
        why["linked"] = extra
    return _found(frame, output, rules, _any(why, len(frame)), why)


def facts(frame: pd.DataFrame, output: Output, rules: Rules, extra: BoolArray) -> Found:
    """Hide whole numbers under the threshold, since a fact does not say whether it counts people."""
    why = own_reasons(frame, output, rules)
    for column in output.numbers:
        values = numbers(frame, column)
        small = (values == np.floor(values)) & (np.abs(values) < rules.threshold)
        if small.any():
            why["count"] = why.get("count", np.zeros(len(frame), dtype=bool)) | small
    if extra.any():
        why["linked"] = extra
    return _found(frame, output, rules, _any(why, len(frame)), why)


def _any(why: dict[str, BoolArray], size: int) -> BoolArray:
    """Return the rows that are hidden for any reason."""
    return np.asarray(np.logical_or.reduce([np.zeros(size, dtype=bool), *why.values()]), dtype=bool)


def _found(frame: pd.DataFrame, output: Output, rules: Rules, hidden: BoolArray, why: dict[str, BoolArray]) -> Found:
    """Return what was found, with the quantiles that have too few on one side."""
    cells = spread(frame, output, hidden)
    for column, level in output.quantiles.items():
        side = numbers(frame, output.counts[0]) * min(level, 1 - level)
        few = ~(side >= rules.threshold) & ~hidden
        cells[column] = cells[column] | few
        if few.any():
            why["quantile"] = why.get("quantile", np.zeros(len(frame), dtype=bool)) | few
    empty = len(frame) > 0 and bool(hidden.all())
    return Found(frame, cells, why, "nothing_left" if empty else "")


def _reasons(frame: pd.DataFrame, output: Output, rules: Rules) -> Iterator[tuple[str, BoolArray]]:
    """Yield each reason with the rows that it holds of."""
    least = rules.threshold
    if output.people is not None and output.people < least:
        yield "count", np.ones(len(frame), dtype=bool)
    for place, column in enumerate(output.counts):
        values = numbers(frame, column)
        yield from _few(values, least)
        if place == 0 and output.people is None:
            yield "unknown", np.isnan(values)
    for column, of in output.parts.items():
        values, whole = numbers(frame, column), numbers(frame, of)
        yield from _few(values, least)
        yield "rest", (whole - values > 0) & (whole - values < least)
        yield "everybody", whole == values
        # More of them than there are: the description is wrong, and nothing of the row is understood.
        yield "unknown", values > whole
    for column in output.shares:
        if not end_of(column):
            yield from _shares(numbers(frame, column), counted(frame, output, column), least)
    yield from _shares_by(frame, output, least)
    for column in output.caseworkers:
        values = numbers(frame, column)
        yield "caseworkers", values < rules.caseworkers
        yield "unknown", np.isnan(values) & (column not in output.optional)
    for column in output.largest:
        values = numbers(frame, column)
        yield "dominance", values > rules.dominance
        yield "unknown", ~(values >= 0)
    yield from _degrees(frame, output, rules)


def _few(values: FloatArray, least: int) -> Iterator[tuple[str, BoolArray]]:
    """Yield which counts are small, and which are none at all."""
    yield "count", (values != 0) & (np.abs(values) < least)
    yield "nobody", values == 0
    yield "unknown", (values < 0) | (np.abs(values - np.round(values)) > _SLACK)


def _shares(share: FloatArray, whole: FloatArray, least: int) -> Iterator[tuple[str, BoolArray]]:
    """Yield which shares give away a small count, or that all have or nobody has."""
    count = share * whole
    yield "share", (count < least - _SLACK) | (whole - count < least - _SLACK)
    yield "unknown", (~np.isnan(share)) & ~((share >= 0) & (share <= 1) & (whole >= 0))


def _shares_by(frame: pd.DataFrame, output: Output, least: int) -> Iterator[tuple[str, BoolArray]]:
    """Yield which estimates are shares of too few."""
    if not output.share_by:
        return
    of_people = frame[output.share_by].astype(str).isin(SHARE_SCALES).to_numpy(dtype=bool)
    for reason, mask in _shares(numbers(frame, output.estimate), numbers(frame, output.counts[0]), least):
        yield reason, mask & of_people


def _degrees(frame: pd.DataFrame, output: Output, rules: Rules) -> Iterator[tuple[str, BoolArray]]:
    """Yield which models are so close to saturated that their estimates show single people."""
    if output.degrees:
        left = numbers(frame, output.degrees)
        yield "degrees", left < rules.degrees
        yield "unknown", np.isnan(left)
    elif output.parameters is not None and output.counts:
        few = numbers(frame, output.counts[0]) - output.parameters < rules.degrees
        if output.share_by:
            few &= ~frame[output.share_by].astype(str).isin(SHARE_SCALES).to_numpy(dtype=bool)
        yield "degrees", few


def _beside(frame: pd.DataFrame, output: Output, rules: Rules, hidden: BoolArray) -> BoolArray:
    """Return the large groups to hide beside small ones, one in each division that has none hidden yet."""
    size = numbers(frame, output.counts[0])
    large = _large(frame, output, rules)
    words = frame[[*output.labels]].astype(str).agg("\x1f".join, axis=1).to_numpy()
    keys = frame[[*output.within]].astype(str).agg("\x1f".join, axis=1).to_numpy() if output.within else None
    beside = np.zeros(len(frame), dtype=bool)
    for part in [np.ones(len(frame), dtype=bool)] if keys is None else [keys == key for key in sorted(set(keys))]:
        several = (hidden & part).sum() > 1
        if not (hidden & part).any() or (several and (hidden & part & large).any()):
            continue
        open_rows = np.flatnonzero(part & large & ~hidden)
        if len(open_rows):
            beside[open_rows[np.lexsort([words[open_rows], size[open_rows]])[0]]] = True
        else:
            beside |= part & ~hidden
    return beside


def _large(frame: pd.DataFrame, output: Output, rules: Rules) -> BoolArray:
    """Say which groups have as many as the threshold in every count, part and rest."""
    large = np.ones(len(frame), dtype=bool)
    for column in output.counts:
        large &= numbers(frame, column) >= rules.threshold
    for column, of in output.parts.items():
        values, whole = numbers(frame, column), numbers(frame, of)
        large &= np.isnan(values) | ((values >= rules.threshold) & (whole - values >= rules.threshold))
    for column in output.shares:
        if end_of(column) or output.shares[column] == "*":
            continue
        whole = counted(frame, output, column)
        count = numbers(frame, column) * whole
        least = rules.threshold - _SLACK
        large &= np.isnan(count) | ((count >= least) & (whole - count >= least))
    return large
