"""A funnel: shares by how much they rest on, between the limits that chance alone keeps to."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bipstudy.report import style
from bipstudy.report.figures import new_figure, share_axis, styled
from bipstudy.report.numbers import count

_LINES = {"inner": (0, (5, 2)), "outer": (0, (1, 2))}


@styled
def funnel(
    frame: pd.DataFrame,
    *,
    language: str,
    limits: pd.DataFrame,
    centre: float,
    x_label: str,
    y_label: str,
    inner_label: str,
    outer_label: str,
    centre_label: str,
) -> Any:
    """Draw shares against size with control limits around a common share.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label, x, y``: size and share of each unit.
    language : {"sv", "en"}
    limits : DataFrame
        Columns ``x, inner_low, inner_high, outer_low, outer_high``, in the order of `x`.
    centre : float
        The common share.
    x_label, y_label, inner_label, outer_label, centre_label : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(7.0, 4.2)
    axes.axhline(centre, color=style.QUIET, linewidth=1.0, zorder=1, label=centre_label)
    for name, label in (("inner", inner_label), ("outer", outer_label)):
        for end in ("low", "high"):
            axes.plot(
                limits["x"],
                limits[f"{name}_{end}"],
                color=style.SECOND,
                linewidth=1.2,
                linestyle=_LINES[name],
                zorder=2,
                label=label if end == "low" else None,
            )
    axes.plot(frame["x"], frame["y"], "o", color=style.PRIMARY, markersize=7, linestyle="", zorder=3)
    for row in frame.itertuples():
        axes.annotate(str(row.label), (row.x, row.y), xytext=(6, 4), textcoords="offset points", fontsize=8.5)
    axes.set_xlim(0, float(limits["x"].max()))
    top = float(max(frame["y"].max(), limits["outer_high"].iloc[len(limits) // 4 :].max()))
    axes.set_ylim(0, min(1.0, 1.15 * top))
    axes.xaxis.set_major_formatter(lambda value, _: count(round(value), language))
    share_axis(axes.yaxis, language)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8.5)
    return figure
