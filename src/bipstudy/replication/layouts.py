"""Tables of the analyses as people read them: an estimate and its interval in one cell, headings in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from bipstudy.analyses.result import worded
from bipstudy.replication.layout_cells import Cell
from bipstudy.replication.layouts_answers import ANSWERS
from bipstudy.replication.layouts_courses import COURSES
from bipstudy.report.numbers import count, interval, number, percent
from bipstudy.texts import text

LAYOUTS: Mapping[str, tuple[Cell, ...]] = {**ANSWERS, **COURSES}
# Column whose value heads the rows that share it.
GROUPS = {
    "participants.characteristics": "variable",
    "transitions.by_month": "cause",
    "belief.ladder": "outcome",
    "belief.contrasts": "outcome",
    "belief.optimism": "outcome",
    "continuity.models": "outcome",
    "continuity.departures": "outcome",
    "readiness.performance": "folds",
    "readiness.score_weights": "respondent",
    "measurement.items": "respondent",
    "measurement.factors": "respondent",
    "measurement.correlations": "item",
    "measurement.invariance": "respondent",
    "measurement.response": "respondent",
    "measurement.reasons": "respondent",
    "activities.sensitivity": "outcome",
}
# Headings that mean something else in one table.
HEADINGS = {("indicators.items", "adjustment"): "analyses.adjustment.background"}


def printed(name: str, frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Return a table of an analysis as it is printed.

    Parameters
    ----------
    name : str
        ``analysis.table``.
    frame : DataFrame
        As in `Result.tables`.
    language : {"sv", "en"}

    Returns
    -------
    DataFrame
        Columns headed in words, cells as text or whole numbers.
    """
    if name in GROUPS:
        # Rows of one group stand together, the groups in the order in which they first come.
        column = f"{GROUPS[name]}_key"
        order = {key: place for place, key in enumerate(dict.fromkeys(frame[column]))}
        frame = frame.sort_values(column, key=lambda keys: keys.map(order), kind="stable", ignore_index=True)
    words = worded(frame, language)
    columns = {heading(name, cell, language): _values(words, cell, language) for cell in LAYOUTS[name]}
    return pd.DataFrame(columns)


def heading(name: str, cell: Cell, language: str) -> str:
    """Return the heading of a column."""
    return text(HEADINGS.get((name, cell.heading), f"analyses.column.{cell.heading}"), language)


def group_heading(name: str, language: str) -> str | None:
    """Return the heading of the column that groups the rows of a table, None without one."""
    grouped = GROUPS.get(name)
    return None if grouped is None else text(f"analyses.column.{grouped}", language)


def _values(words: pd.DataFrame, cell: Cell, language: str) -> list[object] | pd.Series:
    """Return the printed cells of a column."""
    if cell.kind == "text":
        return [str(value) for value in words[cell.column]]
    if cell.kind == "count":
        return words[cell.column].astype("Int64")
    found: list[object] = []
    for row in words.to_dict("records"):
        if cell.kind == "range":
            low, high = (float(row[end]) for end in cell.ends)
            found.append(unbroken(interval(low, high, language, 1, as_percent=True)))
            continue
        value = float(row[cell.column])
        shown = _shown(value, cell.kind, language)
        if cell.ends and row.get("note"):
            shown = str(row["note"])
        elif cell.ends and not math.isnan(value):
            low, high = (float(row[end]) for end in cell.ends)
            shown += f" ({_ends(low, high, cell.kind, language)})"
        found.append(unbroken(shown))
    return found


def unbroken(words: str) -> str:
    """Return words that stay on one line: an estimate is read together with its interval."""
    return words.replace(" ", "\u00a0")


def _shown(value: float, kind: str, language: str) -> str:
    """Return a number as printed."""
    if kind == "percent":
        return percent(value, language, 1)
    if kind == "points":
        return number(100 * value, language, 1)
    if kind == "one":
        return number(value, language, 0 if float(value).is_integer() else 1)
    if kind == "size_points":
        return number(100 * value, language, 2)
    if kind == "p":
        return small(value, language)
    if kind == "measure":
        return count(value, language) if float(value).is_integer() else number(value, language, 2)
    if kind == "size":
        if value < 1:
            return percent(value, language, 0)
        return count(value, language) if float(value).is_integer() else number(value, language, 2)
    return number(value, language, {"fine": 3, "mean_count": 1}.get(kind, 2))


def _ends(low: float, high: float, kind: str, language: str) -> str:
    """Return an interval as printed."""
    if kind == "percent":
        return interval(low, high, language, 1, as_percent=True)
    scale, decimals = (100.0, 1) if kind == "points" else (1.0, {"fine": 3, "one": 0, "mean_count": 0}.get(kind, 2))
    return interval(scale * low, scale * high, language, decimals)


def small(value: float, language: str) -> str:
    """Return a p-value as printed.

    Examples
    --------
    >>> small(0.00001, "sv")
    '< 0,001'
    """
    return f"< {number(0.001, language, 3)}" if value < 0.001 else number(value, language, 3)
