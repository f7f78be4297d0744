"""What every page of the house looks like; below the rooms that write pages, and knows none of them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["house_css"]


def house_css() -> str:
    """Return the style that every page shares: colours by daylight, in the dark and on paper, type, links and focus.

    Returns
    -------
    str

    Examples
    --------
    >>> "--primary: #1b5e8c" in house_css()
    True
    """
    return Path(__file__).with_name("house.css").read_text(encoding="utf-8")
