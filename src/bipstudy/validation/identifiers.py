"""Personal identity numbers and coordination numbers, in all written forms, alone in a cell and inside a text.

Forms and check digit are those of the Swedish Tax Agency: YYMMDD-NNNC or YYYYMMDD-NNNC, a plus sign from the year of
the hundredth birthday, 60 added to the day in a coordination number, check digit modulo 10 with the weights 2 and 1.
A value is judged by its form alone and is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.texts import LANGUAGES, text
from bipstudy.validation.data import Data
from bipstudy.validation.rules import Hits, Outcome, check

CODES = ("personal-identity-number", "possible-identity-number")
# How a written form is judged: certain alone, or by the share of the column.
CERTAIN = ("twelve", "separated", "letters")
BY_SHARE = ("ten", "shortened", "mangled", "timestamp")

_DASHES = "-‐‑‒–—−"
_GAP = r"[ \t\u00a0\u2007\u2009\u202f]"
_SEPARATOR = rf"{_GAP}*[{_DASHES}+]{_GAP}*|{_GAP}+"
# Digits may be parted inside the date too, as in 1985-07-09-9805.
_INNER = rf"(?:{_GAP}*[{_DASHES}./]{_GAP}*|{_GAP})?"
_NUMBER = re.compile(
    rf"(?<![\d])(?P<century>1[89]|20)?(?P<year>\d\d){_INNER}(?P<month>\d\d){_INNER}(?P<day>\d\d)"
    rf"(?P<separator>{_SEPARATOR})?(?P<last>\d{{4}})(?!\d)(?![.,]\d*[1-9])"
)
_LETTERS = re.compile(
    rf"(?<![\w])(?P<century>1[89]|20)?(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<separator>[{_DASHES}+])?"
    r"(?P<last>(?=[^\W_]*[^\W\d_])(?=[^\W_]*\d)[^\W_]{4}|[xX*]{4})(?![\w])"
)
_SHORTENED = re.compile(r"^(?P<year>\d)(?P<month>\d\d)(?P<day>\d\d)(?P<last>\d{4})(?:[.,]0+)?$")
_MANGLED = re.compile(r"^(?:1[.,][89]|2[.,]0)\d{2}(?P<month>\d\d)\d*E\+?11$", re.IGNORECASE)
# A day from 2013 on, and an hour and minute: what systems write into the names of their files.
_MADE_AT = re.compile(r"^(?:20)?(?:1[3-9]|[23]\d)\D?(?:0\d|1[0-2])\D?[0-3]\d\D?(?:[01]\d|2[0-3])[0-5]\d$")
# Six digits, perhaps parted, or a number that Excel has rounded: what any of the forms has.
_WORTH_A_LOOK = re.compile(r"\d\D{0,3}\d\D{0,3}\d\D{0,3}\d\D{0,3}\d\D{0,3}\d|[eE]\+?11")
# Below this many different cells a plain loop is faster than Arrow.
FEW = 500
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LATEST_BIRTH = 2012


@dataclass(frozen=True)
class Match:
    """One written form found in a cell.

    Attributes
    ----------
    kind : str
        One of `CERTAIN` or `BY_SHARE`.
    inside : bool
        Whether the cell holds other text as well.
    start, end : int
        Where in the cell.
    """

    kind: str
    inside: bool
    start: int
    end: int


def find(cell: str) -> list[Match]:
    """Return the identity numbers that a cell holds.

    Parameters
    ----------
    cell : str

    Returns
    -------
    list of Match

    Examples
    --------
    >>> [match.kind for match in find("701063-2391")]
    ['separated']
    >>> find("212000-0175")
    []
    """
    found = [*_numbers(cell), *_with_letters(cell)]
    stripped = cell.strip()
    if not found:
        found = [*_whole_cell(stripped)]
    return found


def redact(name: str) -> str:
    """Return a name of a file, sheet or column with every identity number in it blotted out.

    Examples
    --------
    >>> redact("701063-2391.xlsx")
    '███████████.xlsx'
    """
    for match in reversed(find(name)):
        name = name[: match.start] + "█" * (match.end - match.start) + name[match.end :]
    return name


def find_in(values: pd.Series, distinct: tuple[npt.NDArray[np.int64], pd.Index] | None = None) -> pd.DataFrame:
    """Return the rows of a column of text that hold an identity number.

    Parameters
    ----------
    values : Series of text
    distinct : (codes, cells), optional
        What `pandas.factorize` gives of the values, where it is known already.

    Returns
    -------
    DataFrame
        Columns row (position), kind and inside; one row per cell, with the most certain form in it.
    """
    codes, cells = pd.factorize(values) if distinct is None else distinct
    best: dict[int, Match] = {}
    rank = {kind: place for place, kind in enumerate(CERTAIN + BY_SHARE)}
    for position, cell in _worth_a_look(cells):
        matches = find(cell)
        if matches:
            best[position] = min(matches, key=lambda match: rank[match.kind])
    if not best:
        return pd.DataFrame({"row": np.zeros(0, dtype=np.int64), "kind": [], "inside": []})
    rows = np.flatnonzero(np.isin(codes, list(best)))
    matched = [best[code] for code in codes[rows].tolist()]
    return pd.DataFrame(
        {"row": rows, "kind": [match.kind for match in matched], "inside": [match.inside for match in matched]}
    )


@check
def personal_identity_number(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for identity numbers that are certain by their form or by how many the column has."""
    return _judged(data, threshold, blocking=True)


@check
def possible_identity_number(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for digits that may be an identity number by chance."""
    return _judged(data, schema.rules()["personal-identity-number"].threshold, blocking=False)


def in_unread(submission: Any) -> list[schema.Finding]:
    """Return a finding for each identity number in what the files hold and no table has.

    Parameters
    ----------
    submission : Submission or Study
        A study has nothing of the kind.

    Returns
    -------
    list of Finding
    """
    threshold = schema.rules()["personal-identity-number"].threshold
    findings = []
    for part in getattr(submission, "unread", ()):
        found = find_in(part.values)
        by_chance = _by_chance(part.values, found, threshold)
        for row, kind, inside, chance in zip(found["row"], found["kind"], found["inside"], by_chance, strict=True):
            code = CODES[bool(chance)]
            values: dict[str, object] = {"kind": _described(str(kind), inside=bool(inside))}
            at = int(part.rows[row])
            findings.append(schema.Finding(code, part.table, part.file, part.sheet, at, part.column, values=values))
    return findings


def in_names(submission: Any) -> list[schema.Finding]:
    """Return a finding for each file and sheet whose name holds an identity number; reports show the name blotted.

    Parameters
    ----------
    submission : Submission or Study
        A study has no files.

    Returns
    -------
    list of Finding
    """
    names: dict[tuple[str, str | None], None] = {(file.name, None): None for file in getattr(submission, "files", ())}
    for frame in (getattr(submission, "provenance", None) or {}).values():
        names |= {(str(file), None): None for file in frame["file"].dropna().unique()}
        # Text files have no sheets, and may be long.
        if frame["sheet"].notna().any():
            places = frame[["file", "sheet"]].dropna().drop_duplicates().itertuples(index=False, name=None)
            names |= dict.fromkeys(places)
    names |= {(part.file, part.sheet): None for part in getattr(submission, "unread", ())}
    # Files of an archive that were not read are named where that is said.
    names |= {(one.file, None): None for one in getattr(submission, "findings", ()) if one.file is not None}
    telling = [(file, sheet) for file, sheet in names if _is_telling(file if sheet is None else sheet)]
    return [schema.Finding("identity-number-in-name", file=file, sheet=sheet) for file, sheet in telling]


def _is_telling(name: str) -> bool:
    """Say whether a name holds an identity number; the day and hour at which a file was made are none."""
    found = [match for match in find(name) if match.kind in CERTAIN]
    return any(not _MADE_AT.search(name[match.start : match.end]) for match in found)


def _by_chance(values: pd.Series, found: pd.DataFrame, threshold: Mapping[str, float]) -> pd.Series:
    """Say which of the matches in a column may be chance."""
    by_chance: pd.Series = found["kind"].isin(BY_SHARE) & ~found["inside"].astype(bool)
    if by_chance.any() and (found["kind"].isin(CERTAIN) & ~found["inside"].astype(bool)).any():
        # Beside numbers that are certain, the others of the column are no chance.
        return by_chance & False
    if by_chance.any() and too_many(int(by_chance.sum()), _candidates(values), threshold):
        by_chance &= False
    return by_chance


def _judged(data: Data, threshold: Mapping[str, float], *, blocking: bool) -> Outcome:
    """Return the hits that block, or those that do not."""
    hits: list[Hits] = []
    checked = 0
    for table, column, values, found in _scanned(data):
        checked += int(values.notna().sum())
        if found.empty:
            continue
        by_chance = _by_chance(values, found, threshold)
        for (kind, inside), group in found[by_chance != blocking].groupby(["kind", "inside"]):
            described = _described(str(kind), inside=bool(inside))
            rows = group["row"].to_numpy(dtype=np.int64)
            hits.append(Hits(table, rows, column, values={"kind": described}))
    return Outcome(checked, tuple(hits))


def too_many(hits: int, candidates: int, threshold: Mapping[str, float]) -> bool:
    """Say whether a column has more hits than chance gives.

    Parameters
    ----------
    hits : int
        Cells that pass for an identity number by date and check digit alone.
    candidates : int
        Cells of that many digits.
    threshold : mapping
        chance_share, the share that chance gives; column_share and chance, the share above which a column is judged
        to hold identity numbers if so many are also as unlikely as that; certain, the probability that suffices alone.

    Returns
    -------
    bool

    Examples
    --------
    >>> limits = {"chance_share": 0.007, "column_share": 0.05, "chance": 0.01, "certain": 1e-6}
    >>> too_many(7, 1000, limits), too_many(900, 1000, limits), too_many(1, 10, limits)
    (False, True, False)
    """
    from scipy.stats import binom

    candidates = max(candidates, hits)
    tail = float(binom.sf(hits - 1, candidates, threshold["chance_share"]))
    return tail < threshold["certain"] or (hits / candidates > threshold["column_share"] and tail < threshold["chance"])


def _scanned(data: Data) -> list[tuple[str, str, pd.Series, pd.DataFrame]]:
    """Return every column of text with what was found in it; each is read once."""
    if "identifiers" not in data.memory:
        data.memory["identifiers"] = [
            (name, column, frame[column], find_in(frame[column], data.distinct(name, column)))
            for name, frame in data.tables.items()
            for column in frame.columns
            if isinstance(frame[column].dtype, pd.StringDtype) and not column.endswith("_precision")
        ]
    scanned: list[tuple[str, str, pd.Series, pd.DataFrame]] = data.memory["identifiers"]
    return scanned


def _worth_a_look(cells: pd.Index) -> list[tuple[int, str]]:
    """Return position and content of the cells that may hold an identity number."""
    if len(cells) < FEW:
        return [(position, cell) for position, cell in enumerate(cells) if _WORTH_A_LOOK.search(cell)]
    texts = pd.Series(cells, dtype=schema.STRING)
    looked_at = texts.str.contains(_WORTH_A_LOOK.pattern, regex=True).to_numpy(dtype=bool) & _possible(texts)
    rows = np.flatnonzero(looked_at)
    return list(zip(rows.tolist(), texts.iloc[rows].tolist(), strict=True))


def _possible(cells: pd.Series) -> npt.NDArray[np.bool_]:
    """Rule out the cells of digits alone that cannot be an identity number, without a loop over them."""
    digits_only = cells.str.fullmatch(r"\d+").to_numpy(dtype=bool)
    length = cells.str.len().to_numpy(dtype=np.int64)
    possible: npt.NDArray[np.bool_] = ~digits_only
    for size in (9, 10, 12):
        rows = np.flatnonzero(digits_only & (length == size))
        if not len(rows):
            continue
        number = cells.iloc[rows].astype("int64").to_numpy() % 10**10
        digits = number[:, None] // 10 ** np.arange(9, -1, -1) % 10
        doubled = 2 * digits[:, ::2]
        total = (doubled // 10 + doubled % 10).sum(axis=1) + digits[:, 1::2].sum(axis=1)
        month, day = number // 10**6 % 100, number // 10**4 % 100
        dated = (month >= 1) & (month <= 12) & (day % 60 >= 1) & (day % 60 <= 31)
        possible[rows] = dated & (total % 10 == 0)
    return possible


def _candidates(values: pd.Series) -> int:
    """Return the number of cells that have the digits of a bare identity number."""
    return int(values.str.fullmatch(r"\s*(?:\d{9,10}|\d{12})(?:[.,]0+)?\s*|.*[eE]\+?11\s*").sum())


def _described(kind: str, *, inside: bool) -> dict[str, str]:
    """Return a written form in words, in both languages."""
    words = {language: text(f"validation.identifier_{kind}", language) for language in LANGUAGES}
    if inside:
        words = {language: text("validation.inside_text", language, kind=word) for language, word in words.items()}
    return words


def _numbers(cell: str) -> Iterator[Match]:
    """Yield the forms of digits only, anywhere in a cell."""
    at = 0
    while match := _NUMBER.search(cell, at):
        digits = match["year"] + match["month"] + match["day"] + match["last"]
        if not (_is_date(match) and match["last"][:3] != "000" and luhn(digits)):
            # What is none may hold the beginning of one: a date with a number behind it.
            at = match.start() + 1
            continue
        at = match.end()
        # What is left around the number: a decimal part is Excel's doing, not text.
        rest = cell[: match.start()] + re.sub(r"^[.,]0+", "", cell[match.end() :])
        yield Match(_digit_kind(match, cell), bool(rest.strip(" \t\u00a0'\"")), match.start(), match.end())


def _digit_kind(match: re.Match[str], cell: str) -> str:
    """Return how certain a form of digits only is."""
    if match["century"]:
        parted = match.end() - match.start() > 12
        hour, minute = int(match["last"][:2]), int(match["last"][2:])
        recent = int(match["century"] + match["year"]) > _LATEST_BIRTH
        return "timestamp" if recent and not parted and hour < 24 and minute < 60 else "twelve"
    return "separated" if match["separator"] else "ten"


def _with_letters(cell: str) -> Iterator[Match]:
    """Yield the forms with letters in the last four, for protected identities and reserve numbers."""
    for match in _LETTERS.finditer(cell):
        # Six digits that run into letters are the shape of many case numbers.
        if _is_date(match) and (match["century"] or match["separator"]):
            rest = cell[: match.start()] + cell[match.end() :]
            yield Match("letters", bool(rest.strip()), match.start(), match.end())


def _whole_cell(cell: str) -> Iterator[Match]:
    """Yield the forms that Excel has mangled, which are looked for only where they are the whole cell."""
    match = _SHORTENED.match(cell)
    if match and match["last"][:3] != "000":
        digits = "0" + "".join(match.group("year", "month", "day", "last"))
        if _is_day(int("20" + digits[:2]), int(match["month"]), int(match["day"])) and luhn(digits):
            yield Match("shortened", False, 0, len(cell))
    match = _MANGLED.match(cell)
    if match and 1 <= int(match["month"]) <= 12:
        yield Match("mangled", False, 0, len(cell))


def _is_date(match: re.Match[str]) -> bool:
    """Say whether year, month and day make a date, 60 added to the day or not, in any century that is possible."""
    centuries = [match["century"]] if match["century"] else ["19", "20"]
    month, day = int(match["month"]), int(match["day"])
    return any(_is_day(int(century + match["year"]), month, day) for century in centuries)


def _is_day(year: int, month: int, day: int) -> bool:
    """Say whether a day exists, 60 added to it or not."""
    if not 1 <= month <= 12:
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = 28 if month == 2 and not leap else _MONTH_DAYS[month - 1]
    return 1 <= day <= last or 61 <= day <= 60 + last


def luhn(digits: str) -> bool:
    """Say whether the last of ten digits is the check digit of the others (modulo 10, weights 2 and 1).

    Examples
    --------
    >>> luhn("7010632391")
    True
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[::2])
    return (doubled + sum(map(int, digits[1::2]))) % 10 == 0
