"""Days as people and systems write them: what day a text means, and how exactly it is known."""

from __future__ import annotations

import datetime as dt
import re

from bipstudy.schema import fold

_DAY = re.compile(
    r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?:[ T](?:KL\.? ?)?\d{1,2}[:.]\d{2}(?::\d{2}(?:\.\d+)?)?)?", re.ASCII
)
# A moment with its distance from the clock of Greenwich.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)? ?(?:(Z|[+-]00(?::?00)?)|[+-]\d\d(?::?\d\d)?)", re.ASCII
)
_SWEDISH_DAY = re.compile(r"(\d{1,2})/(\d{1,2}) (\d{4})", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{1,2})", re.ASCII)
_NAMED_MONTH = re.compile(
    r"(?:(?:den )?(\d{1,2})(?:\.|:e)? )?"
    r"(?:(jan)(?:uari|uary)?|(feb)(?:ruari|ruary)?|(mar)(?:s|ch)?|(apr)(?:il)?|(maj|may)|(jun)[ie]?|(jul)[iy]?|"
    r"(aug)(?:usti|ust)?|(sept?)(?:ember)?|(okt|oct)(?:ober)?|(nov)(?:ember)?|(dec)(?:ember)?)"
    r"\.? (\d{4})",
    re.ASCII,
)
_QUARTER = re.compile(
    r"(\d{4})[ -]*(?:q|k|kv|kvartal|quarter) ?([1-4])|(?:q|k|kv|kvartal|quarter) ?([1-4])[ -]*(\d{4})",
    re.ASCII,
)
_YEARS = range(1900, 2101)
# Days since 1899-12-30, as Excel counts them: 1970 to 2069, so that no other way of writing a date has such a number.
_SERIAL = re.compile(r"(\d{5})(?:[.,]\d+)?", re.ASCII)
_SERIALS = range(25569, 62093)
_EXCEL_EPOCH = dt.date(1899, 12, 30)


def read_date(text: str) -> tuple[dt.date, str] | None:
    """Return the first day that a text means and how exactly it is known, or None if it is no date.

    Examples
    --------
    >>> read_date("20240305"), read_date("2024-03"), read_date("Kvartal 2 2024")
    ((datetime.date(2024, 3, 5), 'day'), (datetime.date(2024, 3, 1), 'month'), (datetime.date(2024, 4, 1), 'quarter'))
    """
    folded = fold(text)
    year, month, day, precision = 0, 1, 1, "day"
    if found := _MOMENT.fullmatch(folded.upper()):
        return _day_of(found)
    if found := _DAY.fullmatch(folded.upper()):
        if not found[2] and len(found[3]) + len(found[4]) < 4:
            return None
        year, month, day = int(found[1]), int(found[3]), int(found[4])
    elif found := _SWEDISH_DAY.fullmatch(folded):
        year, month, day = int(found[3]), int(found[2]), int(found[1])
    elif found := _NAMED_MONTH.fullmatch(folded):
        month = next(at for at in range(1, 13) if found[at + 1])
        year, day, precision = int(found[14]), int(found[1] or 1), "day" if found[1] else "month"
    elif found := _MONTH.fullmatch(folded):
        year, month, precision = int(found[1]), int(found[2]), "month"
    elif found := _QUARTER.fullmatch(folded):
        year, quarter = int(found[1] or found[4]), int(found[2] or found[3])
        month, precision = 3 * quarter - 2, "quarter"
    if year not in _YEARS:
        return None
    try:
        return dt.date(year, month, day), precision
    except ValueError:
        return None


def _day_of(moment: re.Match[str]) -> tuple[dt.date, str] | None:
    """Return the day of a moment as a Swedish calendar has it: a clock of Greenwich is one or two hours behind."""
    try:
        at = dt.datetime.fromisoformat(f"{moment[1]} {moment[2]}:{moment[3]}")
    except ValueError:
        return None
    if at.year not in _YEARS:
        return None
    if moment[4]:
        # Summer time: from the last Sunday of March to that of October, at one o'clock there.
        turns = [dt.datetime(at.year, month, 31, 1) for month in (3, 10)]
        first, last = (turn - dt.timedelta(turn.isoweekday() % 7) for turn in turns)
        at += dt.timedelta(hours=2 if first <= at < last else 1)
    return at.date(), "day"


def is_moved(text: str, day: dt.date) -> bool:
    """Say whether a text is a moment whose day in Sweden is another than the one that is written.

    Examples
    --------
    >>> is_moved("2024-03-04T23:00:00Z", dt.date(2024, 3, 5)), is_moved("2024-03-05", dt.date(2024, 3, 5))
    (True, False)
    """
    return _MOMENT.fullmatch(text) is not None and not text.startswith(str(day))


def day_of_serial(text: str) -> dt.date | None:
    """Return the day that Excel means by a number, or None.

    Examples
    --------
    >>> day_of_serial("45356"), day_of_serial("4535")
    (datetime.date(2024, 3, 5), None)
    """
    found = _SERIAL.fullmatch(text)
    return _EXCEL_EPOCH + dt.timedelta(int(found[1])) if found and int(found[1]) in _SERIALS else None
