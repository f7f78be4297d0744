"""One palette for figures and pages, told apart by colour-blind readers and on grey paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Drawn in these and named as CSS variables in a page, so that a figure follows a page's light or dark colours.
INK = "#1c2430"
QUIET = "#66707d"
RULE = "#d5dae1"
PRIMARY = "#1b5e8c"
SECOND = "#b8541a"
THIRD = "#4f7d3a"
BAND = "#c9dcea"

_VARIABLES = {
    INK: "--ink",
    QUIET: "--quiet",
    RULE: "--rule",
    PRIMARY: "--primary",
    SECOND: "--second",
    THIRD: "--third",
    BAND: "--band",
}

MATPLOTLIB: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "svg.fonttype": "path",
    # Text is laid out as wide as it is drawn: with hinting a label is measured narrower, and its first letter cut off.
    "text.hinting": "none",
    # The ids inside an SVG come from this salt instead of a random number: same input, same bytes.
    "svg.hashsalt": "bipstudy",
}


def themed(svg: str) -> str:
    """Return an SVG whose palette colours are the variables of the page it stands in."""
    pattern = re.compile("|".join(map(re.escape, _VARIABLES)), flags=re.IGNORECASE)
    return pattern.sub(lambda match: f"var({_VARIABLES[match.group().lower()]})", svg)


@contextmanager
def own() -> Iterator[None]:
    """Draw and save under the package's style, whatever the session's own is."""
    import matplotlib as mpl

    with mpl.rc_context({**mpl.rcParamsDefault, "backend": mpl.rcParams["backend"], **MATPLOTLIB}):
        yield
