"""A figure of shares over named periods."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bipstudy.report import style
from bipstudy.report.figures import new_figure, share_axis, styled


@styled
def course(frame: pd.DataFrame, *, language: str, y_label: str) -> Any:
    """Draw one line per label over named periods, such as quarters.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, period, y``: text, text and a share (0-1, may be missing); periods in the order of the rows.
    language : {"sv", "en"}
    y_label : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(6.4, 3.6)
    periods = list(dict.fromkeys(frame["period"]))
    marks = ("o", "s", "D", "^")
    colours = (style.PRIMARY, style.SECOND, style.THIRD, style.INK)
    for label, colour, mark in zip(dict.fromkeys(frame["label"]), colours, marks, strict=False):
        own = frame[frame["label"] == label].set_index("period")["y"].reindex(periods)
        axes.plot(range(len(periods)), own, color=colour, linewidth=1.6, marker=mark, markersize=4.5, label=label)
    axes.set_ylim(-0.03, 1.03)
    share_axis(axes.yaxis, language)
    step = -(-len(periods) // 12)
    axes.set_xticks(range(0, len(periods), step), periods[::step], rotation=45 if len(periods) > 6 else 0)
    axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    axes.set_ylabel(y_label)
    figure.legend(frameon=False, fontsize=8.5, loc="outside upper left", ncols=4)
    return figure
