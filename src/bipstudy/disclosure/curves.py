"""Kaplan-Meier and Aalen-Johansen curves: thinned until each step holds enough people."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from bipstudy.disclosure.found import BoolArray, FloatArray, Found, numbers, spread
from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rules import Rules

__all__ = ["curve"]

_CLOSE = 1e-9
# With more curves than this it is not looked for which add up: all are thinned alike.
_MOST = 7


def curve(frame: pd.DataFrame, output: Output, rules: Rules, extra: BoolArray) -> Found:
    """Keep the points between which at least the threshold had the event, while as many are at risk.

    Curves that add up to another, such as work and study, are thinned at the same times: a point that one of them lacks
    could be worked out from the others. Where the numbers of events are not given, the fewest are assumed that the
    curve allows: its change, of those still at risk after it.
    """
    time, at_risk = numbers(frame, output.time), numbers(frame, output.at_risk)
    estimate = numbers(frame, output.estimate)
    wrong = np.isnan(time) | np.isnan(at_risk) | np.isnan(estimate) | (estimate < 0) | (estimate > 1)
    keys = _keys(frame, output)
    if not len(frame) or wrong.any() or pd.DataFrame({"key": keys, "time": time}).duplicated().any():
        return Found(frame, spread(frame, output, np.ones(len(frame), dtype=bool)), {}, "not_a_curve")
    events = numbers(frame, output.events) if output.events else None
    kept = np.zeros(len(frame), dtype=bool)
    few = (at_risk < rules.threshold) | extra
    for together in _together(keys, time, estimate):
        # Where the parts are too small at every time, their sum may be shown alone: no part of it can be taken away.
        for shown in (together, {max(sorted(together), key=lambda name: estimate[keys == name].max())}):
            points = _thinned(shown, keys, time, at_risk, estimate, events, few, rules.threshold)
            if points.any():
                kept |= points
                break
    why = {"at_risk": at_risk < rules.threshold, "step": ~kept & ~(at_risk < rules.threshold) & ~extra}
    why = {reason: mask for reason, mask in {**why, "linked": extra}.items() if mask.any()}
    cells = spread(frame, output, ~kept)
    if events is not None:
        cells[output.events] = ~kept | ~_since(keys, time, events, kept, rules.threshold)
    return Found(frame, cells, why, "" if kept.any() else "nothing_left")


def _since(keys: np.ndarray, time: FloatArray, events: FloatArray, kept: BoolArray, threshold: int) -> BoolArray:
    """Say at which points the events are enough and all of those since the last point: the rest would be few."""
    enough = np.zeros(len(keys), dtype=bool)
    for key in set(keys):
        before = 0.0
        for row in sorted(np.flatnonzero(keys == key), key=lambda row: time[row]):
            enough[row] = before == 0 and (events[row] >= threshold or (events[row] == 0 and time[row] == 0))
            before = 0.0 if kept[row] else before + events[row]
    return enough


def _keys(frame: pd.DataFrame, output: Output) -> np.ndarray:
    """Return which curve each row is of; shape (rows,)."""
    if not output.labels:
        return np.full(len(frame), "")
    return np.asarray(frame[[*output.labels]].astype(str).agg("\x1f".join, axis=1).to_numpy(), dtype=object)


def _together(keys: np.ndarray, time: FloatArray, estimate: FloatArray) -> list[set[str]]:
    """Return the curves in groups that are thinned alike: those of which one is the sum of others."""
    names = sorted(set(keys))
    if len(names) > _MOST:
        return [set(names)]
    levels = {name: pd.Series(estimate[keys == name], index=time[keys == name]).sort_index() for name in names}
    parts = [{name} for name in names]
    for whole in names:
        others = [name for name in names if name != whole and levels[name].index.equals(levels[whole].index)]
        for size in range(2, len(others) + 1):
            for some in combinations(others, size):
                if np.allclose(sum(levels[name] for name in some), levels[whole], rtol=0, atol=_CLOSE):
                    alike = {whole, *some}
                    joined = set().union(alike, *(part for part in parts if part & alike))
                    parts = [part for part in parts if not part & alike] + [joined]
    return parts


def _thinned(
    together: set[str],
    keys: np.ndarray,
    time: FloatArray,
    at_risk: FloatArray,
    estimate: FloatArray,
    events: FloatArray | None,
    few: BoolArray,
    threshold: int,
) -> BoolArray:
    """Return the rows of some curves that are kept: times at which every one of them has moved far enough."""
    mine = np.isin(keys, sorted(together))
    kept = np.zeros(len(keys), dtype=bool)
    # A survival curve starts at one, a cumulative incidence at nought: each at the end that it leaves.
    start = {name: 1.0 if _falls(keys == name, time, estimate) else 0.0 for name in together}
    level, seen = dict(start), dict.fromkeys(together, 0.0)
    fewest = dict.fromkeys(together, np.inf)
    for now in np.unique(time[mine]):
        rows = np.flatnonzero(mine & (time == now))
        if events is not None:
            for row in rows:
                seen[keys[row]] += events[row]
        enough = len(rows) == len(together) and not few[rows].any()
        if enough and now == 0 and all(estimate[row] == start[keys[row]] for row in rows):
            # That nobody has had it before the beginning says nothing of anybody.
            kept[rows] = True
            continue
        for row in rows:
            # Who comes in later makes the number at risk grow: the fewest since the last point were there throughout.
            fewest[keys[row]] = min(fewest[keys[row]], at_risk[row])
            fell = abs(estimate[row] - level[keys[row]]) * fewest[keys[row]]
            had = seen[keys[row]] if events is not None else fell
            enough = enough and had >= threshold
        if enough:
            kept[rows] = True
            for row in rows:
                level[keys[row]], seen[keys[row]] = float(estimate[row]), 0.0
                fewest[keys[row]] = at_risk[row]
    return kept


def _falls(own: BoolArray, time: FloatArray, estimate: FloatArray) -> bool:
    """Say whether a curve is one of survival; a single point over a half is taken for one."""
    ordered = estimate[own][np.argsort(time[own], kind="stable")]
    return bool(ordered[-1] < ordered[0] - _CLOSE) or bool(len(set(ordered)) == 1 and ordered[0] > 0.5)
