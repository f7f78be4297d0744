"""Numbers as people read them: decimal comma in Swedish, a true minus sign, thin spaces between thousands."""

from __future__ import annotations

import math

_MINUS = "\u2212"
_THIN = "\u202f"
_NBSP = "\u00a0"
_MISSING = "\u2013"


def number(value: float | None, language: str, decimals: int = 2) -> str:
    """Return a number with a fixed count of decimals.

    Parameters
    ----------
    value : float or None
        None and NaN give an en dash.
    language : {"sv", "en"}
    decimals : int

    Returns
    -------
    str

    Examples
    --------
    >>> number(-1234.5, "sv", 1)
    '−1\u202f234,5'
    """
    if value is None or math.isnan(value):
        return _MISSING
    if math.isinf(value):
        return (_MINUS if value < 0 else "") + "\u221e"
    text = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(digit in text for digit in "123456789")
    point = "," if language == "sv" else "."
    return (_MINUS if negative else "") + text.replace(".", "\0").replace(",", _THIN).replace("\0", point)


def count(value: float | None, language: str) -> str:
    """Return a whole number with thin spaces between thousands."""
    return number(value, language, 0)


def percent(share: float | None, language: str, decimals: int = 1) -> str:
    """Return a share as per cent.

    Examples
    --------
    >>> percent(0.0612, "sv")
    '6,1\u00a0%'
    """
    if share is None or math.isnan(share):
        return _MISSING
    return number(100 * share, language, decimals) + (_NBSP + "%" if language == "sv" else "%")


def interval(
    low: float | None, high: float | None, language: str, decimals: int = 2, *, as_percent: bool = False
) -> str:
    """Return the two ends of an interval.

    Examples
    --------
    >>> interval(1.04, 1.61, "en")
    '1.04 to 1.61'
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return _MISSING
    word = "till" if language == "sv" else "to"
    if as_percent:
        unit = _NBSP + "%" if language == "sv" else "%"
        return f"{number(100 * low, language, decimals)} {word} {number(100 * high, language, decimals)}{unit}"
    return f"{number(low, language, decimals)} {word} {number(high, language, decimals)}"
