"""Tables whose rows stand on their own: groups, estimates and facts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bipstudy.disclosure.complement import complemented, with_totals
from bipstudy.disclosure.found import SHARE_SCALES, BoolArray, FloatArray, Found, counted, end_of, numbers, spread
from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rules import Rules

__all__ = ["estimates", "facts", "groups", "own_reasons"]

_SLACK = 1e-6
_MOST = 1e8


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
    for of in sorted(set(output.parts.values())):
        # Of what work and study leave over, few may be left.
        rest = numbers(frame, of) - sum(numbers(frame, column) for column in output.parts if output.parts[column] == of)
        yield "rest", (rest > 0) & (rest < least)
    for column in output.shares:
        if not end_of(column, output):
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
    yield "events", _few_events(frame, output, rules)


def _few_events(frame: pd.DataFrame, output: Output, rules: Rules) -> BoolArray:
    """Return the ratios whose interval is so wide that few on one side had the event.

    The variance of the logarithm of a ratio is at least about one over the events of its smaller side: from 1.0 that
    one person had it is read as easily as from a table.
    """
    wide = np.zeros(len(frame), dtype=bool)
    most = 2 * 1.959964 / np.sqrt(rules.threshold)
    for low in output.numbers:
        of, high = low.removesuffix("low"), low.removesuffix("low") + "high"
        if not low.endswith("low") or high not in output.numbers:
            continue
        ratio = np.full(len(frame), "ratio" in of or (of in ("", "conf_", "ci_") and "ratio" in output.numbers))
        if output.share_by and of in ("conf_", "ci_"):
            ratio = frame[output.share_by].astype(str).str.endswith("_ratio").to_numpy(dtype=bool)
        ends = numbers(frame, low), numbers(frame, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            # One that could not be estimated is hidden as well, where it is no reference: nobody on one side had it.
            missing = np.isnan(ends[0]) & (not output.share_by)
            wide |= ratio & ~(np.log(ends[1]) - np.log(ends[0]) <= most) & ~missing
    return wide


def _few(values: FloatArray, least: int) -> Iterator[tuple[str, BoolArray]]:
    """Yield which counts are small, and which are none at all."""
    yield "count", (values != 0) & (np.abs(values) < least)
    yield "nobody", values == 0
    # So many people there are not: infinity, or an identity number.
    whole = np.abs(np.where(np.isinf(values), 0.5, values) % 1 - 0.5) >= 0.5 - _SLACK
    yield "unknown", (values < 0) | (values > _MOST) | ~(whole | np.isnan(values))


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
    """Return the large groups to hide beside small ones, one in each division that has none hidden yet.

    Groups by several labels without `within` are cells of a table: of each label the totals are taken as known.
    """
    lines = [_keys(frame, output.within)]
    if not output.within and len(output.labels) > 1:
        lines = [_keys(frame, [name for name in output.labels if name != each]) for each in output.labels] + lines
    size, large = numbers(frame, output.counts[0]), _large(frame, output, rules)
    words = _keys(frame, output.labels)
    beside = _boxed(frame, output, rules, hidden) if len(lines) > 1 else np.zeros(len(frame), dtype=bool)
    while True:
        gone = hidden | beside
        # Where lines with hidden groups cross, one group does for several.
        crossed = sum(pd.Series(gone).groupby(keys).transform("any").to_numpy(dtype=np.int64) for keys in lines)
        order = np.lexsort([words, size, -crossed])
        more = next((rows for keys in lines if (rows := _beside_in(keys, gone, large, order)).any()), None)
        if more is None:
            return beside
        beside |= more


def _boxed(frame: pd.DataFrame, output: Output, rules: Rules, hidden: BoolArray) -> BoolArray:
    """Return the groups to hide beside small ones where groups by several labels are every cell of a table."""
    codes = [pd.factorize(frame[name].astype(str), sort=True) for name in output.labels]
    shape, places = tuple(len(words) for _, words in codes), tuple(code for code, _ in codes)
    size = numbers(frame, output.counts[0])
    whole = math.prod(shape) == len(frame) == len(set(zip(*places, strict=True))) and not (np.isnan(size)).any()
    if not (whole and hidden.any()):
        return np.zeros(len(frame), dtype=bool)
    cells = np.zeros(shape, dtype=np.int64)
    cells[places] = np.clip(size, 0, 1e8)
    table = with_totals(cells)
    primary = table < rules.threshold
    primary[places] |= hidden
    boxed = complemented(table, primary, rules.threshold)
    return ~hidden if boxed is None else boxed[places] & ~hidden


def _keys(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Return the words of some columns as one; shape (rows,)."""
    joined = frame[[*names]].astype(str).agg("\x1f".join, axis=1) if names else pd.Series("", index=frame.index)
    return np.asarray(joined.to_numpy(), dtype=object)


def _beside_in(keys: np.ndarray, hidden: BoolArray, large: BoolArray, order: np.ndarray) -> BoolArray:
    """Return the first large group in each division that has a small one hidden and no large one."""
    beside = np.zeros(len(keys), dtype=bool)
    for key in sorted(set(keys[hidden])):
        part = keys == key
        if (hidden & part).sum() > 1 and (hidden & part & large).any():
            continue
        first = next((row for row in order if part[row] and large[row] and not hidden[row]), None)
        if first is None:
            beside |= part & ~hidden
        else:
            beside[first] = True
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
        if end_of(column, output) or output.shares[column] == "*":
            continue
        whole = counted(frame, output, column)
        count = numbers(frame, column) * whole
        least = rules.threshold - _SLACK
        large &= np.isnan(count) | ((count >= least) & (whole - count >= least))
    return large
