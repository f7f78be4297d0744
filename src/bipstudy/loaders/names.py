"""The names by which files call our tables and columns, and how two spellings are compared."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from bipstudy import schema

_DIGITS = re.compile(r"(?<=\D)(?=\d)|(?<=\d)(?=\D)")
# The number that survey tools put before a question.
_NUMBER_BEFORE = re.compile(
    r"^(?:(?:fråga|fr|question|q|f|nr)\.?\s*)?\d{1,2}[a-z]?\s*[.:)\-–]+\s*(?=[^\W\d_])", re.IGNORECASE
)
_OTHER = re.compile(r"[\W_]+")


def key(name: str) -> str:
    """Return a name without case, accents, punctuation and outer spaces, for comparison.

    Examples
    --------
    >>> key(" Handläggare_ID* ")
    'handlaggare id'
    """
    return loose(name).strip()


def loose(name: str) -> str:
    """Return `key` with the outer spaces kept, for parts of a name.

    Examples
    --------
    >>> loose("_Mät")
    ' mat'
    """
    plain = name
    if not name.isascii():
        plain = "".join(mark for mark in unicodedata.normalize("NFKD", name) if not unicodedata.combining(mark))
    return _OTHER.sub(" ", plain.casefold())


def words(name: str) -> str:
    """Return `key` with digits cut from letters and a space at both ends, so that whole words can be sought in it.

    Examples
    --------
    >>> words("deltagare2024-03")
    ' deltagare 2024 03 '
    """
    return f" {_OTHER.sub(' ', _DIGITS.sub(' ', key(name)))} "


def unnumbered(name: str) -> str:
    """Return a name without the number that a survey tool put before it; empty where there is none.

    Examples
    --------
    >>> unnumbered("3. Samarbetsförmåga"), unnumbered("Fråga 3: Samarbetsförmåga"), unnumbered("3 Samarbetsförmåga")
    ('Samarbetsförmåga', 'Samarbetsförmåga', '')
    """
    rest = _NUMBER_BEFORE.sub("", name)
    return "" if rest == name else rest


@cache
def table_names() -> dict[str, str]:
    """Return key to table: canonical names and labels of both languages."""
    found: dict[str, str] = {}
    for name, table in schema.tables().items():
        for spelling in (name, *table.label.values()):
            found.setdefault(key(spelling), name)
    return found


@cache
def column_names(table: str) -> dict[str, str]:
    """Return key to canonical column of one table: names, labels of both languages, precisions and items."""
    found: dict[str, str] = {}
    description = schema.table(table)
    for column in description.columns:
        for spelling in (column.name, *column.label.values()):
            found.setdefault(key(spelling), column.name)
        if column.precision_column:
            found.setdefault(key(column.precision_column), column.precision_column)
    if description.has_items:
        for item in (item for instrument in schema.instruments().values() for item in instrument.items):
            for spelling in (item.id, *item.label.values(), *filter(None, item.wording.values())):
                found.setdefault(key(spelling), item.id)
    return found


@cache
def all_column_names() -> frozenset[str]:
    """Return the keys of every column of every table."""
    return frozenset(spelling for table in schema.TABLE_NAMES for spelling in column_names(table))


def table_by_name(name: str) -> str | None:
    """Return the table that the name of a file or sheet means, or None if it names none or several.

    Examples
    --------
    >>> table_by_name("Deltagare"), table_by_name("forbund_participants_2025"), table_by_name("Blad1")
    ('participants', 'participants', None)
    """
    known = table_names()
    if key(name) in known:
        return known[key(name)]
    sought = words(name)
    found = {table for spelling, table in known.items() if f" {spelling} " in sought}
    return found.pop() if len(found) == 1 else None
