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
    axes.set_xlim(0, float(limits["x"].max()))
    top = float(max(frame["y"].max(), limits["outer_high"].iloc[len(limits) // 4 :].max()))
    axes.set_ylim(0, min(1.0, 1.15 * top))
    axes.xaxis.set_major_formatter(lambda value, _: count(round(value), language))
    share_axis(axes.yaxis, language)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8.5)
    _write_labels(figure, axes, frame)
    return figure


def _write_labels(figure: Any, axes: Any, frame: pd.DataFrame) -> None:
    """Write the label of each unit beside its mark, where it covers neither another label nor a mark.

    Of the places around a mark, nearest first, the first that is free is taken; those in the thick of it stand further
    off, with a line to their mark. Units alike would otherwise be written on top of each other.
    """
    # The layout decides how far apart marks are in points, and so must be known.
    figure.draw_without_rendering()
    points = axes.transData.transform(frame[["x", "y"]].to_numpy(dtype=float)) * 72.0 / figure.dpi
    left, bottom, right, top = (side * 72.0 / figure.dpi for side in axes.bbox.extents)
    taken = [(x - 4.0, y - 4.0, x + 4.0, y + 4.0) for x, y in points]
    for place, label in enumerate(frame["label"].astype(str)):
        x, y = points[place]
        width, height = 5.3 * len(label) + 2.0, 10.0
        best: tuple[float, float] | None = None
        for right_of, up in _places(width, height):
            box = (x + right_of, y + up, x + right_of + width, y + up + height)
            inside = left <= box[0] and box[2] <= right and bottom <= box[1] and box[3] <= top
            if inside and not any(_overlap(box, other) for other in taken):
                best = (right_of, up)
                break
        right_of, up = best or (6.0, 4.0)
        taken.append((x + right_of, y + up, x + right_of + width, y + up + height))
        far = max(abs(right_of + width / 2) - width / 2, abs(up + height / 2) - height / 2) > 12.0
        axes.annotate(
            label,
            (frame["x"].iloc[place], frame["y"].iloc[place]),
            xytext=(right_of, up),
            textcoords="offset points",
            fontsize=8.5,
            arrowprops={"arrowstyle": "-", "color": style.QUIET, "linewidth": 0.6, "shrinkB": 4} if far else None,
        )


def _places(width: float, height: float) -> list[tuple[float, float]]:
    """Return where a label may begin, in points from its mark: beside it, then in wider and wider rings."""
    found = [(6.0, 4.0), (6.0, -4.0 - height), (-6.0 - width, 4.0), (-6.0 - width, -4.0 - height)]
    for ring in range(1, 9):
        away = 6.0 + 11.0 * ring
        for up in (away, -away - height, away / 2, -away / 2 - height, -height / 2):
            found += [(6.0, up), (-width / 2, up), (-6.0 - width, up)] if abs(up + height / 2) > 10.0 else []
            found += [(away, up), (-away - width, up)]
    return found


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Say whether two boxes (left, bottom, right, top) cover each other."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
