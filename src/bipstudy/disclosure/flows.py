"""Who was left out at each step: small steps are hidden, and beside each a large one between the same totals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bipstudy.disclosure.found import BoolArray, FloatArray, Found, numbers, spread
from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rules import Rules

__all__ = ["flow"]

_LEFT_OUT = "left_out"
# Steps after which it is said how many there are.
_TOTALS = ("start", "kept")


def flow(frame: pd.DataFrame, output: Output, rules: Rules, extra: BoolArray) -> Found:
    """Hide the steps at which few were left out. That nobody was says nothing of anybody and stays."""
    people = np.abs(numbers(frame, output.counts[0]))
    total = frame[output.step].astype(str).isin(_TOTALS).to_numpy(dtype=bool)
    small = np.zeros(len(frame), dtype=bool)
    for column in output.counts:
        values = np.abs(numbers(frame, column))
        small |= (values > 0) & (values < rules.threshold) | np.isnan(values)
    # At a total nobody is a finding of its own: the study has nobody left.
    hidden = small | extra | (total & (people == 0))
    why = {"count": small, "nobody": total & (people == 0), "linked": extra}
    beside = np.zeros(len(frame), dtype=bool)
    while True:
        # Between totals that are shown: one that is hidden is worked out from the steps on either side of it.
        known = total & ~hidden & ~beside
        more = [_instead(part, known, total, hidden | beside, people, rules) for part in _parts(frame, output, known)]
        if not any(row is not None for row in more):
            break
        beside[[row for row in more if row is not None]] = True
    why["complement"] = beside & ~hidden
    hidden = hidden | beside
    why = {reason: mask for reason, mask in why.items() if mask.any()}
    return Found(frame, spread(frame, output, hidden), why, "nothing_left" if len(frame) and hidden.all() else "")


def _instead(
    part: list[int], known: BoolArray, total: BoolArray, hidden: BoolArray, people: FloatArray, rules: Rules
) -> int | None:
    """Return the row to hide beside small ones between two totals that are shown, None if none is needed."""
    gone = [row for row in part if hidden[row]]
    if not gone or any(people[row] >= rules.threshold and not total[row] for row in gone):
        return None
    large = [row for row in part if people[row] >= rules.threshold and not hidden[row] and not total[row]]
    # Without a large step the total after it is hidden in its place.
    return min(large, key=lambda row: (people[row], row)) if large else next((row for row in part if known[row]), None)


def _parts(frame: pd.DataFrame, output: Output, total: BoolArray) -> list[list[int]]:
    """Return the rows between one total and the next, with the next as the last, flow by flow."""
    parts: list[list[int]] = []
    names = frame[output.labels[0]].astype(str).to_numpy()
    now: list[int] = []
    for row in range(len(frame)):
        if row and names[row] != names[row - 1]:
            parts.append(now)
            now = []
        now.append(row)
        if total[row]:
            parts.append(now)
            now = []
    return [part for part in [*parts, now] if part]
