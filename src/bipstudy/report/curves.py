"""Figures of many answers at once: chances over a size, and specification curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.report import style
from bipstudy.report.figures import log_ticks, new_figure, share_axis, styled
from bipstudy.report.numbers import count


@styled
def chances(frame: pd.DataFrame, *, language: str, reference: float, x_label: str, y_label: str) -> Any:
    """Draw chances over a size, one line per label, with their Monte Carlo intervals.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, x, estimate, conf_low, conf_high`` (0-1), sorted by `x` within a label.
    language : {"sv", "en"}
    reference : float
        Chance that is usually asked for, drawn across.
    x_label, y_label : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(7.6, 4.0)
    axes.axhline(reference, color=style.QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    labels = list(dict.fromkeys(frame["label"]))
    colours = (style.PRIMARY, style.SECOND, style.THIRD, style.INK)
    for place, label in enumerate(labels):
        line, colour = frame[frame["label"] == label], colours[place % len(colours)]
        axes.fill_between(line["x"], line["conf_low"], line["conf_high"], color=colour, alpha=0.15, linewidth=0)
        dashes = ("-", "--", ":")[place // len(colours) % 3]
        axes.plot(line["x"], line["estimate"], marker="o", color=colour, linewidth=1.8, linestyle=dashes, label=label)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: count(value, language))
    share_axis(axes.yaxis, language)
    axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.legend(loc="outside lower left", fontsize=8.5)
    return figure


@styled
def curve(
    frame: pd.DataFrame,
    marks: Sequence[tuple[str, str, npt.NDArray[np.int64]]],
    *,
    language: str,
    axis_label: str,
) -> Any:
    """Draw ratios in order with their intervals, and below them the choices behind each.

    Parameters
    ----------
    frame : DataFrame
        Columns ``estimate, conf_low, conf_high, marked``, in the order of the drawing; marked ones are in colour.
    marks : sequence of (choice, level, places)
        Places in the frame at which a choice was at a level; levels of one choice follow each other.
    language : {"sv", "en"}
    axis_label : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    choices = list(dict.fromkeys(choice for choice, _, _ in marks))
    below = 0.17 * (len(marks) + 1.2 * len(choices))
    figure = Figure(figsize=(7.6, 3.0 + below), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3.0, max(below, 0.1)])
    place = np.arange(len(frame))
    for marked, colour in ((False, style.QUIET), (True, style.PRIMARY)):
        rows = place[frame["marked"].to_numpy(dtype=bool) == marked]
        part = frame.iloc[rows]
        top.vlines(rows, part["conf_low"], part["conf_high"], color=colour, linewidth=0.5, alpha=0.5)
        top.plot(rows, part["estimate"], ".", color=colour, markersize=2.6)
    top.axhline(1.0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    top.set_yscale("log")
    if len(frame):
        # A few unbounded intervals must not flatten the rest.
        low, high = frame["estimate"].min(), frame["estimate"].max()
        top.set_ylim(min(low / 2, 0.5), max(high * 2, 2.0))
    log_ticks(top, language, axis="y")
    top.set_ylabel(axis_label)
    top.tick_params(axis="x", length=0, labelbottom=False)
    height, names, heights = 0.0, [], []
    for choice in choices:
        bottom.text(-0.015, height, choice, transform=bottom.get_yaxis_transform(), ha="right", va="center",
                    weight="bold", fontsize=8)  # fmt: skip
        height += 1.0
        for _, level, places in (mark for mark in marks if mark[0] == choice):
            bottom.plot(places, np.full(len(places), height), "|", color=style.INK, markersize=4, markeredgewidth=0.5)
            names.append(level)
            heights.append(height)
            height += 1.0
        height += 0.2
    bottom.set_yticks(heights, names, fontsize=8)
    bottom.tick_params(axis="both", length=0, labelbottom=False)
    bottom.set_ylim(height, -0.8)
    for side in ("left", "bottom"):
        bottom.spines[side].set_visible(False)
    return figure
