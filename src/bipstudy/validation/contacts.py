"""Other ways of naming a person: e-mail, phone, address, IP address, full dates of birth. No value is ever shown."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.texts import LANGUAGES, text
from bipstudy.validation.data import Data
from bipstudy.validation.identifiers import FEW, find, find_in
from bipstudy.validation.rules import Hits, Outcome, check

CODES = ("contact-details", "date-of-birth")
_DASH = r"[-‐‑‒–—−]"
_GAP = r"[ \u00a0]"
_PATTERNS = {
    "email": re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+\.[A-Za-z]{2,}"),
    # A mobile or area number with its leading zero parted from the rest, or any number with a country code.
    "phone": re.compile(
        rf"(?<![\d\w])(?:(?:\+|00)46{_GAP}?{_DASH}?(?:\(0\))?{_GAP}?[1-9]|07[02369](?={_DASH}|{_GAP}|\d)"
        rf"|0[1-9]\d{{0,2}}(?={_GAP}?{_DASH}))"
        rf"(?:{_GAP}?{_DASH}?{_GAP}?\d){{5,9}}(?!\w)(?!{_DASH}\d)"
    ),
    "address": re.compile(
        r"[A-ZÅÄÖa-zåäö]{2,}(?:gatan|vägen|gränd|stigen|torget|allén|backen|gata|väg)\s+\d{1,4}\b"
        rf"|(?<!\d)[1-9]\d{{2}}{_GAP}?\d{{2}}{_GAP}+[A-ZÅÄÖ][a-zåäöA-ZÅÄÖ]{{2,}}"
    ),
    "ip": re.compile(
        r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"
        r"|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
    ),
}
_BARE = re.compile(r"\d{10}")
_BARE_SHARE = 0.05
# One pass that rules out almost every cell before the patterns are tried one by one.
_LIKELY = re.compile(r"@|\d.*\.\d+\.\d|\d\D?\d\D?\d\D?\d\D?\d|[a-zåäö]\s+\d|:.*:.*:")
_PHONE = re.compile(r"^(?:0046[1-9]|07[02369])")
_BIRTH = re.compile(r"^(?:(?:19|20)\d\d[-/. ]?(?:0[1-9]|1[0-2])[-/. ]?(?:0[1-9]|[12]\d|3[01]))(?:[ T]00:00(?::00)?)?$")
# A date that a text itself says is one of birth: of digits, or with the month in words.
_MONTHS = r"(?:jan|feb|mar|apr|ma[jy]|jun|jul|aug|sep|o[ck]t|nov|dec)[a-zåäö]*\.?"
_SAID_BORN = re.compile(
    r"(?<![^\W\d_])(?:född|fodd|föddes|födelsedatum|födelsedag|f\.|born|date of birth|birthday)[^\d\n]{0,15}"
    rf"(?:(?P<year>(?:19|20)\d\d)[-/. ]?\d\d[-/. ]?\d\d(?!\d)"
    rf"|\d{{1,2}}[-/. ]{{1,2}}(?:\d{{1,2}}|{_MONTHS})[-/. ]{{1,2}}(?P<last>(?:19|20)\d\d)(?!\d)|\d{{6}}(?!\d))",
    re.IGNORECASE,
)
# What a column is called that holds a date of birth.
_BIRTH_NAMES = re.compile(
    r"f(?:ö|oe|o)d(?:else)?(?:s)?(?:dag|datum|dat|d)\b|birth.?da|date.?of.?birth|\bdob\b", re.IGNORECASE
)


def kinds_in(cell: str) -> list[str]:
    """Return the kinds of contact details that a cell holds.

    Parameters
    ----------
    cell : str

    Returns
    -------
    list of str
        Of email, phone, address and ip.

    Examples
    --------
    >>> kinds_in("Ring 070-174 06 05 eller skriv till namn@example.se")
    ['email', 'phone']
    >>> kinds_in("2024-03-05"), kinds_in("212000-0175")
    ([], [])
    """
    found = [kind for kind, pattern in _PATTERNS.items() if pattern.search(cell)]
    # Ten digits that are an identity number are told as such.
    if found == ["phone"] and find(cell):
        return []
    return found


def is_birth_date(cell: str, latest: int) -> bool:
    """Say whether a cell is a full date of a day on which a participant can have been born.

    Parameters
    ----------
    cell : str
    latest : int
        Last year in which one can have been born.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_birth_date("1985-07-09", 2012), is_birth_date("2024-03-05", 2012), is_birth_date("1985", 2012)
    (True, False, False)
    """
    if not _BIRTH.match(cell.strip()):
        return False
    digits = re.sub(r"\D", "", cell)[:8]
    try:
        day = dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return 1900 <= day.year <= latest


def says_born(cell: str, latest: int) -> bool:
    """Say whether a text says of a full date that somebody was born then.

    Examples
    --------
    >>> says_born("Kim, född 9 juli 1985", 2012), says_born("f. 850709", 2012), says_born("född utomlands 2024", 2012)
    (True, True, False)
    """
    found = _SAID_BORN.search(cell)
    return found is not None and int(found["year"] or found["last"] or latest) <= latest


@check
def contact_details(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for e-mail, phone, address and IP address in every column of text."""
    checked, hits = 0, []
    for table, column, values in _texts(data):
        checked += int(values.notna().sum())
        for kind, rows in _contacts(*data.distinct(table, column)).items():
            hits.append(Hits(table, rows, column, values={"kind": _word(kind)}))
    return Outcome(checked, tuple(hits))


@check
def date_of_birth(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for columns of text of which many cells are days on which a participant can have been born."""
    checked, hits = 0, []
    for table, column, values in _texts(data):
        checked += int(values.notna().sum())
        rows = _births(values, data.distinct(table, column), "", threshold)
        if len(rows):
            hits.append(Hits(table, rows, column))
    return Outcome(checked, tuple(hits))


def in_unread(submission: Any) -> list[schema.Finding]:
    """Return a finding for each contact detail or date of birth in what the files hold and no table has.

    Parameters
    ----------
    submission : Submission or Study
        A study has nothing of the kind.

    Returns
    -------
    list of Finding
    """
    findings = []
    threshold = schema.rules()["date-of-birth"].threshold
    # A column that the loader has refused by its name is told already.
    refused = {
        (one.file, one.sheet, one.column)
        for one in getattr(submission, "findings", ())
        if one.code == "forbidden-column"
    }
    for part in getattr(submission, "unread", ()):
        if (part.file, part.sheet, part.column) in refused:
            continue
        distinct = pd.factorize(part.values)
        found = [("contact-details", {"kind": _word(kind)}, rows) for kind, rows in _contacts(*distinct).items()]
        head = str(part.values.iloc[0]) if len(part.values) and pd.notna(part.values.iloc[0]) else ""
        found.append(("date-of-birth", {}, _births(part.values, distinct, head, threshold)))
        for code, values, rows in found:
            findings += [
                schema.Finding(
                    code, part.table, part.file, part.sheet, int(part.rows[row]), part.column, values=dict(values)
                )
                for row in rows
            ]
    return findings


def _texts(data: Data) -> Iterator[tuple[str, str, pd.Series]]:
    """Yield every column of text that is no code and no precision."""
    for name, frame in data.tables.items():
        coded = {column.name for column in schema.table(name).columns if column.codes is not None}
        for column in frame.columns:
            plain = isinstance(frame[column].dtype, pd.StringDtype) and not column.endswith("_precision")
            if plain and column not in coded:
                yield name, column, frame[column]


def _contacts(codes: npt.NDArray[np.int64], cells: pd.Index) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rows of each kind of contact details in a column; a cell with an identity number is told as one."""
    kinds: dict[str, list[int]] = {}
    bare: list[int] = []
    for position, cell in _worth_a_look(cells):
        for kind in kinds_in(cell)[:1]:
            (bare if _BARE.fullmatch(cell) else kinds.setdefault(kind, [])).append(position)
    # Ten digits alone may be a running number: one in two hundred random ones begins as a mobile number does.
    if bare and len(bare) > _BARE_SHARE * int(pd.Series(cells).str.fullmatch(r"\d{10}").sum()):
        kinds["phone"] = kinds.get("phone", []) + bare
    return {kind: _rows_of(codes, positions, len(cells)) for kind, positions in kinds.items()}


def _worth_a_look(cells: pd.Index) -> list[tuple[int, str]]:
    """Return position and stripped content of the cells that may hold contact details."""
    if len(cells) < FEW:
        found = [(at, str(cell)) for at, cell in enumerate(cells) if _LIKELY.search(str(cell))]
        return [(at, cell.strip()) for at, cell in found if not cell.isdecimal() or _PHONE.match(cell)]
    texts = pd.Series(cells, dtype=schema.STRING)
    likely = texts.str.contains(_LIKELY.pattern, regex=True).to_numpy(dtype=bool, na_value=False)
    # Digits alone can be a phone number and nothing else.
    likely &= ~texts.str.fullmatch(r"\d+").to_numpy(dtype=bool) | texts.str.match(_PHONE.pattern).to_numpy(dtype=bool)
    worth = np.flatnonzero(likely)
    return list(zip(worth.tolist(), texts.iloc[worth].str.strip().tolist(), strict=True))


def _rows_of(codes: npt.NDArray[np.int64], positions: list[int], count: int) -> npt.NDArray[np.int64]:
    """Return the rows that have one of some values; a missing value has the code -1."""
    wanted = np.zeros(count + 1, dtype=bool)
    wanted[positions] = True
    return np.flatnonzero(wanted[codes])


def _births(
    values: pd.Series, distinct: tuple[npt.NDArray[np.int64], pd.Index], head: str, threshold: Mapping[str, float]
) -> npt.NDArray[np.int64]:
    """Return the rows of dates of birth, if the column is called so or is mostly such dates."""
    codes, cells = distinct
    written = int((codes >= 0).sum())
    latest = int(threshold["latest_year"])
    texts = cells.astype(str).tolist()
    # Identity numbers have a rule of their own.
    says = [at for at, cell in enumerate(texts) if " " in cell and says_born(cell, latest) and not find(cell)]
    told = _rows_of(codes, says, len(cells))
    likely = [at for at, cell in enumerate(texts) if len(cell) >= 8 and is_birth_date(cell, latest)]
    rows = _rows_of(codes, likely, len(cells))
    named = bool(_BIRTH_NAMES.search(head))
    many = len(rows) >= threshold["dates"] and len(rows) > threshold["share"] * max(written, 1)
    if len(rows) and (named or many) and find_in(values).empty:
        return np.union1d(rows, told)
    return told


def _word(kind: str) -> dict[str, str]:
    """Return a kind of contact details in both languages."""
    return {language: text(f"validation.contact_{kind}", language) for language in LANGUAGES}
