"""The id of who was erased goes from what people wrote; dates and counts with the same digits stay."""

from __future__ import annotations

import re

from bipstudy.pool.files import blotted

# Ids of so few digits are also what people count with.
_SHORT = 2
_MONTH = (
    "(?:(?i:januari|februari|mars|april|maj|juni|juli|augusti|september|oktober|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sept?|okt|nov|dec)"
    # In English a small letter may begin another word: “17 may return”.
    "|January|February|March|May|June|July|August|October|Oct)"
)
_DAY, _NUMBER, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_TO = r"\s*(?:[-–/]|och|and|till|to)\s*"
_DATES = (
    rf"{_YEAR}([-/._]){_NUMBER}(?:\1{_DAY})?",
    rf"{_DAY}/{_NUMBER}(?:[-/ ](?:{_YEAR}|\d\d))?",
    rf"{_DAY}([-.]){_NUMBER}\1{_YEAR}",
    rf"(?:{_DAY}{_TO})?{_DAY}(?::?[ae]|st|nd|rd|th|\.)?\s+{_MONTH}(?:\.?\s+{_YEAR})?",
    rf"{_MONTH}\s+(?:{_YEAR}|{_DAY}(?:st|nd|rd|th)|{_DAY},?\s+{_YEAR})",
)
_COUNTED = (
    "rader?|personer|person|deltagare|formulär|dagar|dag|veckor|vecka|månader|månad|år|kvartal|gånger|gång|svar|fel"
    "|filer|fil|leveranser|leverans|handläggare|procent|st|stycken|timmar|timme"
    "|rows?|people|persons?|participants|days?|weeks?|months?|years?|quarters?|files|submissions|caseworkers|percent"
)
_NUMBERED = "rad|vecka|kvartal|utgåva|version|mättillfälle|tillfälle|kl|row|week|quarter|release|occasion"
_COUNTS = (
    rf"\d+(?:[.,]\d+)?\s*(?:%|(?i:{_COUNTED})(?![^\W_]))",
    r"\d+\s+(?:av|of)\s+\d+",
    rf"(?i:{_NUMBERED})\.?\s+\d+",
)
_WHO = r"(?i:deltagar\w*|person\w*|individ\w*|klient\w*|löpn\w*|id|nr|nummer|participants?|clients?|number|no)"
_LISTED = r"[\s.:#\"'”(]*(?:\d+\s*(?:,|och|and|&|/|-)\s*)*$"


def without_id(words: str, organisation: str, participant: str) -> str:
    """Return words in which the id of a participant is blotted out, and identity numbers.

    The id is blotted wherever it stands as a word of its own, whoever wrote it. What stays is digits that are part of a
    date, such as 1 April or 2024-01-01, and, for an id of one or two digits, a number that is said to count or number
    something else: 1 form, 3 of 10, week 1. Neither stays behind the organisation's code or a word such as participant,
    number or id. Anything in doubt is blotted.

    Parameters
    ----------
    words : str
    organisation, participant : str

    Returns
    -------
    str

    Examples
    --------
    >>> without_id("1 left on 1 April with 1 week to go, as did A/1", "A", "1")
    '█ left on 1 April with 1 week to go, as did A/█'
    """
    alone = rf"(?<![^\W_]){re.escape(participant)}(?![^\W_])"
    kept = _kept(words, participant)
    said = re.compile(rf"(?<![^\W_])(?:{_WHO}{_LISTED}|{re.escape(organisation)}[\s/:,._-]+$)")

    def blot(found: re.Match[str]) -> str:
        start, end = found.span()
        inside = any(first <= start and end <= last and last - first > end - start for first, last in kept)
        return found[0] if inside and not said.search(words[:start]) else "█" * len(found[0])

    # A long id is known again however it is spelt; a letter or two are mostly a word.
    return blotted(re.sub(alone, blot, words, flags=re.IGNORECASE if len(participant) > _SHORT else 0))


def _kept(words: str, participant: str) -> list[tuple[int, int]]:
    """Return where dates stand, and counts if the id is short, in which the digits of an id say nothing of anybody."""
    if not participant.isdecimal():
        return []
    patterns = _DATES + (_COUNTS if len(participant) <= _SHORT else ())
    return [
        found.span() for pattern in patterns for found in re.finditer(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", words)
    ]
