"""Figures as they are saved: SVG for pages and print, PNG beside them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from html import escape
from typing import Any

from bipstudy.report import style

__all__ = ["Picture", "labelled", "picture", "to_png", "to_svg"]


@dataclass(frozen=True)
class Picture:
    """A figure in all forms in which it is saved, light enough to come from another process.

    Attributes
    ----------
    svg : str
        One ``<svg>`` element in the palette's colours, not yet labelled.
    png : bytes
    """

    svg: str
    png: bytes


def picture(figure: Any) -> Picture:
    """Save a figure in all forms."""
    return Picture(_svg(figure), to_png(figure))


def to_svg(figure: Any, *, title: str, description: str = "", themed: bool = True) -> str:
    """Return a figure as SVG that follows the page's colours and can be read out.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or Picture
    title, description : str
        Read by screen readers in place of the picture.
    themed : bool
        Whether colours are the variables of a page; otherwise they are the palette's own.

    Returns
    -------
    str
        One ``<svg>`` element. The same figure gives the same bytes.
    """
    svg = labelled(figure.svg if isinstance(figure, Picture) else _svg(figure), title, description)
    return style.themed(svg) if themed else svg


def labelled(svg: str, title: str, description: str = "") -> str:
    """Return an SVG with what screen readers read in place of the picture."""
    head = f'<svg role="img" aria-label="{escape(" ".join([title, description]).strip(), quote=True)}"'
    return svg.replace("<svg", head, 1)


def _svg(figure: Any) -> str:
    """Return a figure as one ``<svg>`` element."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer, canvas = io.StringIO(), figure.canvas
    with style.own():
        # The canvas's own printing draws once; that of the figure draws twice, to find a box that is not asked for.
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    figure.set_canvas(canvas)
    svg = buffer.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)


def to_png(figure: Any, *, dots_per_inch: int = 150) -> bytes:
    """Return a figure as PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer, canvas, before = io.BytesIO(), figure.canvas, figure.dpi
    with style.own():
        # Text is a little wider in pixels than where the figure was laid out; a tight box keeps all of it. Found here,
        # since matplotlib would draw the whole figure once more for it.
        figure.dpi = dots_per_inch
        box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer()).padded(0.08)
        figure.savefig(
            buffer, format="png", dpi=dots_per_inch, facecolor="white", bbox_inches=box, metadata={"Software": None}
        )
    figure.dpi = before
    figure.set_canvas(canvas)
    return buffer.getvalue()
