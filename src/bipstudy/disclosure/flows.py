"""Who was left out at each step: small steps are hidden, and beside each a large one between the same totals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bipstudy.disclosure.found import BoolArray, Found, numbers, spread
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
    for part in _parts(frame, output, total):
        steps = [row for row in part if not total[row]]
        chosen = [row for row in steps if hidden[row]]
        if not chosen or any(people[row] >= rules.threshold for row in chosen):
            continue
        large = [row for row in steps if people[row] >= rules.threshold and not hidden[row]]
        # Without a large step the total after it is hidden in its place.
        instead = min(large, key=lambda row: (people[row], row)) if large else part[-1]
        beside[instead] = True
    why["complement"] = beside & ~hidden
    hidden = hidden | beside
    why = {reason: mask for reason, mask in why.items() if mask.any()}
    return Found(frame, spread(frame, output, hidden), why, "nothing_left" if len(frame) and hidden.all() else "")


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
