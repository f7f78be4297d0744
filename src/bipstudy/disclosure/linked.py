"""What one output says of another: numbers that stand in both, and tables that differ by few people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bipstudy.disclosure.found import SHARE_SCALES, BoolArray, Found, Named, counted, end_of, numbers
from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rules import Rules

__all__ = ["changed_little", "differing", "hidden_counts", "repeated", "same_counts", "telling"]

# A number with as many digits stands in two places only if it is the same number.
_DIGITS = 6
_TABLES = ("frequency", "groups")


def repeated(found: Mapping[str, Found], outputs: Mapping[str, Output]) -> dict[str, BoolArray]:
    """Return the rows of each output that show a number which is hidden in another.

    Parameters
    ----------
    found : mapping of str to Found
    outputs : mapping of str to Output

    Returns
    -------
    dict of str to array of bool of shape (rows,)
    """
    secret: set[float] = set()
    steps: set[tuple[str, float]] = set()
    for name, one in found.items():
        if one.refused in ("", "nothing_left", "no_complement"):
            for column in _telling_columns(outputs[name]):
                # A number that a copy has not found elsewhere is not hidden for what it says.
                if column not in outputs[name].copied:
                    hidden = one.cells[column].to_numpy(dtype=bool)
                    secret |= {value for value in numbers(one.frame, column)[hidden].tolist() if telling(value)}
        if outputs[name].kind == "flow":
            steps |= {step for step, hidden in zip(_steps(one, outputs[name]), one.rows, strict=True) if hidden}
    shown = _shares_again(found, outputs)
    for name, one in found.items():
        rows = shown[name]
        for column in _telling_columns(outputs[name]):
            rows |= np.array([value in secret for value in numbers(one.frame, column).tolist()], dtype=bool)
        if outputs[name].kind == "flow":
            rows |= np.array([step in steps for step in _steps(one, outputs[name])], dtype=bool)
        shown[name] = rows & ~one.rows
    return shown


def differing(found: Mapping[str, Found], outputs: Mapping[str, Output], rules: Rules) -> dict[str, BoolArray]:
    """Return the rows of each table that differ by fewer people than the threshold from the same row of another.

    Tables are the same where they have the same label columns; their first counts are compared, and all counts and
    parts of the same name. The table with fewer people gives way, the later by name where both have as many.

    Parameters
    ----------
    found : mapping of str to Found
    outputs : mapping of str to Output
    rules : Rules

    Returns
    -------
    dict of str to array of bool of shape (rows,)
    """
    shown = {name: np.zeros(len(one.frame), dtype=bool) for name, one in found.items()}
    tables = [name for name in found if outputs[name].kind in _TABLES and not found[name].refused]
    people = {name: np.nansum(numbers(found[name].frame, outputs[name].counts[0])) for name in tables}
    ordered = sorted(tables, key=lambda name: (-people[name], name))
    for place, larger in enumerate(ordered):
        for smaller in ordered[place + 1 :]:
            if set(outputs[larger].labels) != set(outputs[smaller].labels):
                continue
            labels = outputs[larger].labels
            first = outputs[larger].counts[0], outputs[smaller].counts[0]
            both = [{*outputs[each].counts, *outputs[each].parts} for each in (larger, smaller)]
            for theirs, ours in {first} | {(column, column) for column in both[0] & both[1]}:
                there = dict(zip(_labels(found[larger], labels), _shown(found[larger], theirs), strict=True))
                here = _shown(found[smaller], ours)
                for row, label in enumerate(_labels(found[smaller], labels)):
                    difference = abs(here[row] - there.get(label, np.nan))
                    shown[smaller][row] |= bool(0 < difference < rules.threshold)
    return shown


def hidden_counts(found: Mapping[str, Found], outputs: Mapping[str, Output]) -> frozenset[Named]:
    """Return the counts that tables hide, each by its categories and its number.

    Parameters
    ----------
    found : mapping of str to Found
    outputs : mapping of str to Output

    Returns
    -------
    frozenset
    """
    secret: set[Named] = set()
    for name, one in found.items():
        # A table that stays whole for what stands elsewhere, and not for what it says itself, has nothing to keep.
        if one.refused and set(one.why) <= {"linked", "complement"}:
            continue
        secret |= one.hidden
        if outputs[name].kind == "groups":
            named = _counts(one, outputs[name])
            secret |= {each for each, hidden in zip(named, one.rows, strict=True) if hidden}
    return frozenset(secret)


def same_counts(
    found: Mapping[str, Found], outputs: Mapping[str, Output], secret: frozenset[Named]
) -> dict[str, BoolArray]:
    """Return the rows of each table that show a count which is hidden in another, such as a total of it.

    Parameters
    ----------
    found : mapping of str to Found
    outputs : mapping of str to Output
    secret : frozenset

    Returns
    -------
    dict of str to array of bool of shape (rows,)
    """
    shown = {name: np.zeros(len(one.frame), dtype=bool) for name, one in found.items()}
    for name, one in found.items():
        if outputs[name].kind in _TABLES and not one.refused:
            rows = np.array([named in secret for named in _counts(one, outputs[name])], dtype=bool)
            shown[name] = rows & ~one.rows
    return shown


def _counts(one: Found, output: Output) -> list[Named]:
    """Return the first count of each row with its categories."""
    counts = numbers(one.frame, output.counts[0]).tolist()
    labels = [frozenset(label) - {output.margin} for label in _labels(one, output.labels)]
    return [(label, count) if label else (label, -1.0) for label, count in zip(labels, counts, strict=True)]


def changed_little(frame: pd.DataFrame, before: pd.DataFrame, output: Output, rules: Rules) -> BoolArray:
    """Return the rows of which a count differs by fewer people than the threshold from an earlier release.

    Parameters
    ----------
    frame, before : DataFrame
        The same output now and then.
    output : Output
    rules : Rules

    Returns
    -------
    array of bool of shape (rows,)
    """
    columns = [
        name for name in (*output.counts, *output.parts, output.at_risk) if name and name in before and name in frame
    ]
    keys = [name for name in (*output.labels, output.time) if name and name in before]
    now, then = (list(map(tuple, each[keys].astype(str).to_numpy())) for each in (frame, before))
    shown = np.zeros(len(frame), dtype=bool)
    for column in columns:
        known = dict(zip(then, numbers(before, column).tolist(), strict=True))
        difference = np.abs(numbers(frame, column) - np.array([known.get(key, np.nan) for key in now]))
        shown |= (difference > 0) & (difference < rules.threshold)
    return shown


def telling(value: float) -> bool:
    """Say whether a number has so many digits that it is known again."""
    if value != value or value in (float("inf"), float("-inf")) or float(value).is_integer():
        return False
    digits = repr(abs(float(value))).split("e")[0].replace(".", "").strip("0")
    return len(digits) >= _DIGITS


def _telling_columns(output: Output) -> list[str]:
    """Return the columns whose numbers may be known again."""
    named = [*output.shares, *output.numbers, *output.errors, *output.copied, output.estimate]
    return [name for name in dict.fromkeys(named) if name]


def _shares_again(found: Mapping[str, Found], outputs: Mapping[str, Output]) -> dict[str, BoolArray]:
    """Return the rows of each output with a share of which the same people, of as many, are hidden in another."""
    shares = {name: _people_of_shares(one, outputs[name]) for name, one in found.items()}
    secret: dict[str, set[Named]] = {}
    for name, one in found.items():
        known = one.refused in ("", "nothing_left", "no_complement")
        flags = [(own, one.cells[column].to_numpy(dtype=bool)) for column, own in shares[name] if known]
        secret[name] = {each for own, gone in flags for each, no in zip(own, gone, strict=True) if no and each}
    shown = {}
    for name, one in found.items():
        others = set().union(*(own for other, own in secret.items() if other != name))
        masks = [np.array([own in others for own in column], dtype=bool) for _, column in shares[name]]
        shown[name] = np.logical_or.reduce([np.zeros(len(one.frame), dtype=bool), *masks])
    return shown


def _people_of_shares(one: Found, output: Output) -> list[tuple[str, list[Named | None]]]:
    """Return each share as people and of how many: a share such as 0.25 is not told apart by its digits."""
    shares = {column: counted(one.frame, output, column) for column in output.shares if not end_of(column, output)}
    asked = dict.fromkeys(shares, np.ones(len(one.frame), dtype=bool))
    if output.share_by:
        shares[output.estimate] = numbers(one.frame, output.counts[0])
        asked[output.estimate] = one.frame[output.share_by].astype(str).isin(SHARE_SCALES).to_numpy(dtype=bool)
    found: list[tuple[str, list[Named | None]]] = []
    for column, whole in shares.items():
        count = np.round(numbers(one.frame, column) * whole, 3)
        known = asked[column] & ~np.isnan(count)
        rows = zip(count.tolist(), whole.tolist(), known.tolist(), strict=True)
        found.append((column, [(frozenset([str(of)]), own) if told else None for own, of, told in rows]))
    return found


def _steps(one: Found, output: Output) -> list[tuple[str, float]]:
    """Return each step of a flow with the number of people; none but a small one is told apart by it."""
    words = one.frame[[*output.labels[1:], output.step]].astype(str).agg("\x1f".join, axis=1)
    return list(zip(words, numbers(one.frame, output.counts[0]).tolist(), strict=True))


def _labels(one: Found, labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the labels of each row."""
    return [tuple(map(str, row)) for row in one.frame[[*labels]].itertuples(index=False)]


def _shown(one: Found, column: str) -> list[float]:
    """Return the counts of a column that are not hidden, NaN for the others."""
    hidden = one.cells[column].to_numpy(dtype=bool)
    return [float(value) for value in np.where(hidden, np.nan, numbers(one.frame, column))]
