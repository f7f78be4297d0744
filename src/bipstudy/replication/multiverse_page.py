"""The specification curve: every answer in order, and the choices behind each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.replication.multiverse import Multiverse
from bipstudy.replication.specifications import FACTORS, WHOLE
from bipstudy.report.curves import curve
from bipstudy.texts import text

# Choices are shown below the curve in this order; what has one level only is left out.
_SHOWN = tuple(name for name in FACTORS if name != "contrast")


def draw(found: Multiverse, question: str, language: str) -> Any:
    """Return the specification curve of a question.

    Parameters
    ----------
    found : Multiverse
    question : str
    language : {"sv", "en"}

    Returns
    -------
    matplotlib.figure.Figure
        Above the risk ratios in order with their intervals, those that differ from 1 at 5 per cent in colour; below a
        mark for each choice that a specification makes.
    """
    table = found.table[found.table["question"] == question].dropna(subset=["ratio"])
    table = table.sort_values(["ratio", *FACTORS], kind="stable").reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "estimate": table["ratio"],
            "conf_low": table["ratio_low"],
            "conf_high": table["ratio_high"],
            "marked": table["p_value"] < 0.05,
        }
    )
    marks = []
    for name in ("contrast", *_SHOWN):
        # Eleven indicators would fill the figure; they are told apart in the table.
        levels = _levels(table[name])
        if not 1 < len(levels) <= 6:
            continue
        for level in levels:
            chosen = np.flatnonzero((table[name] == level).to_numpy())
            marks.append((_say(f"choice.{name}", language), word(name, level, language), chosen))
    return curve(frame, marks, language=language, axis_label=_say("axis", language))


def _levels(values: pd.Series) -> list[Any]:
    """Return the levels of a choice; the whole follow-up after all horizons."""
    return sorted(values.drop_duplicates(), key=lambda level: (level == WHOLE, level))


def word(name: str, level: Any, language: str) -> str:
    """Return what a level of a choice is called.

    Parameters
    ----------
    name : str
        The choice.
    level : object
    language : {"sv", "en"}

    Returns
    -------
    str
    """
    if name == "contrast":
        return text(f"analyses.contrast.{level}", language)
    if name == "horizon_months":
        return _say("whole_follow_up", language) if level == WHOLE else _say("months", language, number=level)
    if name == "washout_days":
        return _say("days", language, number=level)
    return _say(f"level.{name}.{level}", language)


def _say(key: str, language: str, **values: object) -> str:
    """Return a sentence of the catalogue."""
    return text(f"replication.multiverse.{key}", language, **values)
