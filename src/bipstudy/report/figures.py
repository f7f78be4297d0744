"""Figures from plain frames. Each function returns a matplotlib figure that nothing else holds on to."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
import pandas as pd

from bipstudy.report import style
from bipstudy.report.numbers import count, interval, number, percent
from bipstudy.report.pictures import to_png, to_svg
from bipstudy.texts import text

__all__ = [
    "forest", "incidence", "lines", "log_ticks", "new_figure", "share_axis", "shares", "styled", "to_png", "to_svg",
    "wrapped",
]  # fmt: skip

P = ParamSpec("P")


def styled(draw: Callable[P, Any]) -> Callable[P, Any]:
    """Draw under the package's style, whatever the session's own is."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Any:
        with style.own():
            figure: Any = draw(*args, **kwargs)
            # Laid out once: otherwise each saving moves things a little, and the second file is not the first.
            figure.get_layout_engine().execute(figure)
            figure.set_layout_engine(None)
            return figure

    return inner


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Return a new figure and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


@styled
def forest(
    frame: pd.DataFrame,
    *,
    language: str,
    reference: float = 1.0,
    log: bool = True,
    axis_label: str = "",
    benchmark_label: str | None = None,
) -> Any:
    """Draw estimates with their intervals, one row each, beside a reference line and published values.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, estimate, conf_low, conf_high`` and, if wanted, ``drawn_low`` (where an interval that begins
        beyond the axis is cut, with an arrow head; NaN elsewhere), ``benchmark`` (a published value, NaN where
        there is none), ``direction`` (1, -1 or 0 where only a direction was published; it is drawn at the edge, or on
        the reference line for 0, and never as a value), ``note`` (words in place of the numbers, empty where there are
        none) and ``group`` (rows of one group stand together under its name).
    language : {"sv", "en"}
    reference : float
        Where "no association" is.
    log : bool
        Whether the axis is logarithmic, as for ratios.
    axis_label : str
    benchmark_label : str, optional
        What the published value is called in the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    frame = frame.assign(label=[wrapped(label) for label in frame["label"]])
    rows, headings, height = _forest_rows(frame)
    figure, axes = new_figure(7.6, 0.9 + 0.34 * height)
    positions = np.array([position for position, _ in rows])
    shown = frame.loc[[index for _, index in rows]]
    axes.axvline(reference, color=style.QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    cut = shown["drawn_low"].to_numpy(dtype=float) if "drawn_low" in shown else np.full(len(shown), np.nan)
    low = np.where(np.isnan(cut), shown["conf_low"].to_numpy(dtype=float), cut)
    axes.hlines(positions, low, shown["conf_high"], color=style.PRIMARY, linewidth=2, zorder=2)
    axes.plot(cut, positions, "<", color=style.PRIMARY, markersize=6, zorder=3)
    axes.plot(shown["estimate"], positions, "o", color=style.PRIMARY, markersize=6, zorder=3)
    handles = _draw_benchmarks(axes, shown, positions, benchmark_label)
    handles += _draw_directions(axes, shown, positions, reference, benchmark_label)
    for position, name in headings:
        axes.text(-0.02, position, name, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
    written = [
        getattr(row, "note", "")
        or f"{number(row.estimate, language)}  ({interval(row.conf_low, row.conf_high, language)})"
        for row in shown.itertuples()
    ]
    for position, words in zip(positions, written, strict=True):
        axes.text(1.02, position, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.set_yticks(positions, shown["label"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(max(height - 0.3, 0.7), -0.7)
    if log:
        axes.set_xscale("log")
        log_ticks(axes, language)
    else:
        axes.xaxis.set_major_formatter(lambda value, _: number(value, language, 2))
    axes.set_xlabel(axis_label)
    if handles:
        figure.legend(handles=handles, loc="outside lower right", fontsize=8.5)
    return figure


def wrapped(label: str, longest: int = 46) -> str:
    """Return a label on as many lines as it needs to leave room for what is drawn."""
    return "\n".join(line for part in str(label).split("\n") for line in textwrap.wrap(part, longest) or [""])


def _forest_rows(frame: pd.DataFrame) -> tuple[list[tuple[float, Any]], list[tuple[float, str]], float]:
    """Return the height of each row and of each group's heading, counted downwards, and of all of them."""
    rows: list[tuple[float, Any]] = []
    headings: list[tuple[float, str]] = []
    height = 0.0
    previous = None
    for index in frame.index:
        group = frame["group"].loc[index] if "group" in frame else None
        if group is not None and group != previous:
            headings.append((height, str(group)))
            height += 1
            previous = group
        # Each further line of a label needs more room than the row has.
        more = 0.35 * frame["label"].loc[index].count("\n")
        rows.append((height + more / 2, index))
        height += 1 + more
    return rows, headings, height


def _draw_benchmarks(axes: Any, shown: pd.DataFrame, positions: Any, label: str | None) -> list[Any]:
    """Draw published values as diamonds; return what the legend shows."""
    if "benchmark" not in shown or shown["benchmark"].isna().all():
        return []
    drawn = axes.plot(shown["benchmark"], positions, "D", color=style.SECOND, markersize=6, zorder=4, label=label)
    return list(drawn) if label else []


def _draw_directions(axes: Any, shown: pd.DataFrame, positions: Any, reference: float, label: str | None) -> list[Any]:
    """Draw published directions as arrow heads at the edge, none as a ring on the line; return the legend's."""
    if "direction" not in shown or shown["direction"].isna().all():
        return []
    # Room at both edges, so that an arrow head covers neither an interval nor words.
    axes.margins(x=0.12)
    drawn = []
    for position, direction in zip(positions, shown["direction"], strict=True):
        if direction != direction:
            continue
        marker = ">" if direction > 0 else "<" if direction < 0 else "o"
        look = {"color": style.SECOND, "markersize": 7, "linestyle": "", "zorder": 4}
        if direction == 0:
            drawn += axes.plot([reference], [position], marker, **look, markerfacecolor="none")
        else:
            edge = 0.975 if direction > 0 else 0.025
            drawn += axes.plot([edge], [position], marker, **look, transform=axes.get_yaxis_transform())
    drawn[0].set_label(label)
    return drawn[:1] if label else []


def log_ticks(axes: Any, language: str, axis: str = "x") -> None:
    """Put the ticks of a logarithmic axis where readers expect them."""
    low, high = axes.get_xlim() if axis == "x" else axes.get_ylim()
    wanted = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200]
    inside = [tick for tick in wanted if low <= tick <= high]
    if len(inside) > 7:
        inside = [tick for tick in inside if tick not in (0.75, 1.5, 3)]
    words = [number(tick, language, 2).rstrip("0").rstrip(",.") or "0" for tick in inside]
    (axes.set_xticks if axis == "x" else axes.set_yticks)(inside, words)
    axes.minorticks_off()


@styled
def incidence(
    curves: pd.DataFrame, *, language: str, axis_label: str, at_risk: pd.DataFrame | None = None, months: bool = True
) -> Any:
    """Draw cumulative incidence curves with their intervals and the number at risk below.

    Parameters
    ----------
    curves : DataFrame
        Columns ``label, time, estimate, conf_low, conf_high``: right-continuous steps, `time` in days.
    language : {"sv", "en"}
    axis_label : str
        What the curve shows.
    at_risk : DataFrame, optional
        Columns ``time, at_risk``.
    months : bool
        Whether the time axis is given in months of 365.25 / 12 days.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(7.0, 3.7)
    unit = 365.25 / 12 if months else 1.0
    labels = list(dict.fromkeys(curves["label"]))
    for label, colour in zip(labels, (style.PRIMARY, style.SECOND, style.THIRD, style.INK), strict=False):
        curve = curves[curves["label"] == label]
        time = curve["time"].to_numpy(dtype=float) / unit
        axes.fill_between(
            time, curve["conf_low"], curve["conf_high"], step="post", color=colour, alpha=0.16, linewidth=0
        )
        axes.step(time, curve["estimate"], where="post", color=colour, linewidth=1.8)
        axes.annotate(
            label, (time[-1], curve["estimate"].iloc[-1]), xytext=(5, 0), textcoords="offset points", color=colour
        ).set_va("center")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    ticks = np.arange(0, axes.get_xlim()[1] + 1e-9, 6 if axes.get_xlim()[1] > 15 else 3)
    axes.set_xticks(ticks, [count(tick, language) for tick in ticks])
    share_axis(axes.yaxis, language)
    axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    axes.set_xlabel(text("report.months_since_first_measurement", language) if months else "")
    axes.set_ylabel(axis_label)
    if at_risk is not None:
        _write_at_risk(axes, at_risk, unit, language)
    return figure


def share_axis(axis: Any, language: str, ticks: int = 7) -> None:
    """Give an axis of shares at most so many ticks, round in per cent."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 5, 10]))
    span = abs(float(np.diff(axis.get_view_interval())[0]))
    axis.set_major_formatter(lambda value, _: percent(value, language, 0 if span > 0.05 else 1))


def _write_at_risk(axes: Any, at_risk: pd.DataFrame, unit: float, language: str) -> None:
    """Write the number at risk under the time axis."""
    heading = text("report.at_risk", language)
    axes.text(0, -0.25, heading, transform=axes.transAxes, fontsize=8.5, color=style.QUIET)
    for row in at_risk.itertuples():
        axes.text(
            row.time / unit,
            -0.32,
            count(row.at_risk, language),
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8.5,
        )


@styled
def shares(
    frame: pd.DataFrame, *, language: str, axis_label: str, benchmark_label: str | None = None, decimals: int = 1
) -> Any:
    """Draw shares as horizontal bars with intervals, and published values beside them.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, estimate, conf_low, conf_high`` (0-1) and, if wanted, ``benchmark`` and ``n``.
    language : {"sv", "en"}
    axis_label : str
    benchmark_label : str, optional
        What the published value is called in the legend.
    decimals : int
        Decimals of the written per cent.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(7.6, 0.9 + 0.42 * len(frame))
    positions = np.arange(len(frame))
    axes.barh(positions, frame["estimate"], height=0.62, color=style.BAND, zorder=1)
    axes.hlines(positions, frame["conf_low"], frame["conf_high"], color=style.PRIMARY, linewidth=2, zorder=2)
    axes.plot(frame["estimate"], positions, "o", color=style.PRIMARY, markersize=5, zorder=3)
    handles = _draw_benchmarks(axes, frame, positions, benchmark_label)
    for position, row in zip(positions, frame.itertuples(), strict=True):
        ends = interval(row.conf_low, row.conf_high, language, max(decimals, 0), as_percent=True)
        words = f"{percent(row.estimate, language, decimals)}  ({ends})"
        if "n" in frame:
            words += f"   n = {count(row.n, language)}"
        axes.text(1.02, position, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.set_yticks(positions, [wrapped(label) for label in frame["label"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.set_xlim(left=0)
    # A long label leaves the bars little room.
    share_axis(axes.xaxis, language, ticks=5)
    axes.set_xlabel(axis_label)
    if handles:
        figure.legend(handles=handles, loc="outside lower right", fontsize=8.5)
    return figure


@styled
def lines(
    frame: pd.DataFrame,
    *,
    language: str,
    x_label: str,
    y_label: str,
    diagonal: bool = False,
    floor: float | None = None,
    shares: bool = True,
) -> Any:
    """Draw one line per label through points, with intervals where there are any.

    Parameters
    ----------
    frame : DataFrame
        Columns ``x, y`` and, if wanted, ``label`` and ``conf_low, conf_high``; rows of a label in the order of `x`.
    language : {"sv", "en"}
    x_label, y_label : str
    diagonal : bool
        Whether to draw the line on which both are equal.
    floor : float, optional
        Where the vertical axis ends; what lies below is cut off.
    shares : bool
        Whether both axes are shares; else plain numbers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(6.4, 4.2)
    labels = list(dict.fromkeys(frame["label"])) if "label" in frame else [""]
    if diagonal:
        end = float(max(frame["x"].max(), frame["y"].max()))
        axes.plot([0, end], [0, end], color=style.QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for label, colour in zip(labels, (style.PRIMARY, style.SECOND, style.THIRD, style.INK), strict=False):
        own = frame[frame["label"] == label] if "label" in frame else frame
        if "conf_low" in own:
            axes.vlines(own["x"], own["conf_low"], own["conf_high"], color=colour, linewidth=1.4, alpha=0.6)
        axes.plot(own["x"], own["y"], color=colour, linewidth=1.6, marker="o", markersize=4.5, label=label or None)
    if floor is not None:
        axes.set_ylim(bottom=floor)
    for axis in (axes.xaxis, axes.yaxis):
        if shares:
            share_axis(axis, language)
        else:
            axis.set_major_formatter(lambda value, _: number(value, language, 0 if float(value).is_integer() else 1))
    axes.grid(axis="y", color=style.RULE, linewidth=0.6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if "label" in frame:
        axes.legend(frameon=False, fontsize=8.5)
    return figure
