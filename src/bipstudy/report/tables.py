"""Plain frames as HTML tables that are read well on screen, on paper and aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.report.numbers import number
from bipstudy.texts import text


def to_html(
    frame: pd.DataFrame,
    *,
    language: str,
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | int = 2,
    group: str | None = None,
    note: str = "",
) -> str:
    """Return a frame as an HTML table.

    Numbers are written in the language's way and set right; cells that are text already stand as they are. A first
    column heads its row.

    Parameters
    ----------
    frame : DataFrame
        What to show, one column of the table each, in order. The index is not shown.
    language : {"sv", "en"}
    caption : str
    labels : mapping of str to str, optional
        Column to heading; a column without one is headed by its name.
    decimals : int or mapping of str to int
        Decimals of numeric columns; whole-number columns have none.
    group : str, optional
        Column whose value heads the rows that share it.
    note : str
        Written below the table.

    Returns
    -------
    str
    """
    shown = [str(column) for column in frame.columns if column != group]
    numeric = {column: pd.api.types.is_numeric_dtype(frame[column].dtype) for column in shown}
    heads = [
        f'<th scope="col"{_numeric(numeric[column])}>{escape((labels or {}).get(column, column))}</th>'
        for column in shown
    ]
    body: list[str] = []
    previous = None
    for position in range(len(frame)):
        if group is not None and frame[group].iloc[position] != previous:
            previous = frame[group].iloc[position]
            body.append(
                f'<tr class="group"><th colspan="{len(shown)}" scope="colgroup">{escape(str(previous))}</th></tr>'
            )
        cells = [_cell(frame[column].iloc[position], _decimals(frame[column], decimals), language) for column in shown]
        body.append(_row(cells, [numeric[column] for column in shown]))
    parts = [
        "<table>",
        f"<caption>{escape(caption)}</caption>" if caption else "",
        f"<thead><tr>{''.join(heads)}</tr></thead>",
        f"<tbody>{''.join(body)}</tbody>",
        f'<tfoot><tr><td colspan="{len(shown)}">{escape(note)}</td></tr></tfoot>' if note else "",
        "</table>",
    ]
    return "".join(parts)


def _numeric(is_number: bool) -> str:
    """Return the class of a numeric cell."""
    return ' class="number"' if is_number else ""


def _decimals(values: pd.Series, decimals: Mapping[str, int] | int) -> int:
    """Return how many decimals a column is written with."""
    if pd.api.types.is_integer_dtype(values.dtype):
        return 0
    return decimals if isinstance(decimals, int) else decimals.get(str(values.name), 2)


def to_cells(
    frame: pd.DataFrame,
    *,
    language: str,
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | int = 2,
    group: str | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Return a frame as plain cells, for documents that are no web page; the parameters are those of `to_html`.

    Returns
    -------
    dict
        ``caption, note, heads, numeric`` (whether a column holds numbers) and ``rows``, each with ``cells``, or with
        ``group`` where it heads the rows below it.
    """
    shown = [str(column) for column in frame.columns if column != group]
    rows: list[dict[str, Any]] = []
    previous = None
    for position in range(len(frame)):
        if group is not None and frame[group].iloc[position] != previous:
            previous = frame[group].iloc[position]
            rows.append({"group": str(previous)})
        cells = [_written(frame[name].iloc[position], _decimals(frame[name], decimals), language) for name in shown]
        rows.append({"cells": cells})
    return {
        "caption": caption,
        "note": note,
        "heads": [(labels or {}).get(name, name) for name in shown],
        "numeric": [bool(pd.api.types.is_numeric_dtype(frame[name].dtype)) for name in shown],
        "rows": rows,
    }


def _cell(value: Any, decimals: int, language: str) -> str:
    """Return one cell as markup."""
    return escape(_written(value, decimals, language))


def _written(value: Any, decimals: int, language: str) -> str:
    """Return one cell as text."""
    if isinstance(value, (bool, np.bool_)):
        return text("texts.yes" if value else "texts.no", language)
    if isinstance(value, Real):
        return number(float(value), language, decimals)
    return "\u2013" if value is None or pd.isna(value) else str(value)


def _row(cells: Sequence[str], numeric: Sequence[bool]) -> str:
    """Return one row; its first cell heads it."""
    first = f'<th scope="row">{cells[0]}</th>'
    rest = "".join(f"<td{_numeric(flag)}>{cell}</td>" for cell, flag in zip(cells[1:], numeric[1:], strict=True))
    return f"<tr>{first}{rest}</tr>"
