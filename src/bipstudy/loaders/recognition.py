"""Words by which a total, an error value, a column that must not be sent and another questionnaire are known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from bipstudy import schema
from bipstudy.loaders.names import column_names, key, unnumbered, words

_SEVERAL_WORDS = 3
_SEVERAL_ITEMS = 3
# Words before the number of an occasion, and beginnings of words that say who answers.
OCCASION_WORDS = frozenset({"mat", "matning", "mattillfalle", "tid", "tillfalle", "omgang", "vag", "wave", "time"})
RESPONDENT_WORDS = {
    "participant": ("deltagar", "klient", "individ", "participant", "client"),
    "caseworker": ("handlagg", "personal", "coach", "caseworker", "staff"),
}
# Shorter words, or beginnings of words, may be somebody's name as well, as Tom and Staffan are.
_NO_NAME = 6
_WORD = re.compile(r"[^\W_]+")
# UTF-8 read as Windows-1252 turns å, ä, ö, Å, Ä, Ö and é into these pairs, which no Swedish word has.
_MOJIBAKE = re.compile("Ã[¥¤¶…„–©]|â€[“”™]")
# What å, ä and ö of the one and the other become, between or beside letters.
_OLD_ENCODING = re.compile("[a-zA-Z][†„”ŒŠ][a-z]|(?<![A-Za-zÀ-ÿ])[†ŒŠ][a-z]{2}|[a-z]š[a-z]")


@dataclass(frozen=True)
class Forbidden:
    """A kind of column that must not be sent: what it is called, and whether its content must be several words."""

    kind: dict[str, str]
    free_text: bool


@cache
def _content() -> dict[str, Any]:
    """Return the file of words."""
    return schema.read_yaml(schema.folder() / "recognition.yaml")


@cache
def error_values() -> frozenset[str]:
    """Return, folded, what spreadsheets write into a cell whose formula failed."""
    return frozenset(schema.fold(str(value)) for value in _content()["error_values"])


def is_error_value(text: str) -> bool:
    """Say whether the text of a cell is the error of a formula, or a number that did not fit into its column.

    Examples
    --------
    >>> is_error_value("#DIV/0!"), is_error_value("########"), is_error_value("#1")
    (True, True, False)
    """
    if not text.startswith(("#", "Err:")):
        return False
    return schema.fold(text) in error_values() or (len(text) > 3 and not text.strip("#"))


@cache
def _totals() -> frozenset[str]:
    """Return the words that begin a total."""
    return frozenset(map(key, _content()["total_rows"]))


def is_total(text: str) -> bool:
    """Say whether the first cell of a row says that the row is a total.

    Examples
    --------
    >>> is_total("Summa:"), is_total("Totalt antal deltagare"), is_total("Summarum 3")
    (True, True, False)
    """
    return key(text).split(" ")[0] in _totals()


def may_be_subtotal(text: str) -> bool:
    """Say whether the first cell of a row among the data says that the row is a total of those above it.

    Examples
    --------
    >>> may_be_subtotal("Delsumma"), may_be_subtotal("Enhet Norr Summa"), may_be_subtotal("Summarum")
    (True, True, False)
    """
    said = key(text).split(" ")
    return said[0] in _totals() or said[-1] in _totals()


def speak_of_totals(texts: Iterable[str]) -> bool:
    """Say whether some texts may hold a word of a total, which is asked of many texts at once."""
    all_of_them = "\n".join(texts).casefold()
    return any(word in all_of_them for word in _totals())


@cache
def forbidden(name: str) -> Forbidden | None:
    """Return what a column holds that must not be sent, by its name alone, or None.

    Parameters
    ----------
    name : str

    Returns
    -------
    Forbidden or None

    Examples
    --------
    >>> forbidden("E-postadress").kind["en"], forbidden("Deltagarens namn").kind["en"], forbidden("Insatsens namn")
    ('an e-mail address', 'a name', None)
    """
    sought, whole = words(name), key(name)
    person = any(f" {key(word)} " in sought for word in _content()["person_words"])
    for entry in _content()["forbidden_columns"]:
        named = whole in map(key, entry.get("names", ()))
        holds = any(f" {key(word)} " in sought for word in entry.get("words", ()))
        of_person = person and any(f" {key(word)} " in sought for word in entry.get("with_person", ()))
        if named or holds or of_person:
            return Forbidden(entry["kind"], bool(entry.get("free_text")))
    return None


def is_mojibake(said: str) -> bool:
    """Say whether text is UTF-8 that was read as Windows-1252, as where a text file is opened in Excel by its name.

    Examples
    --------
    >>> is_mojibake("KÃ¶n"), is_mojibake("Kön")
    (True, False)
    """
    # To look for one letter first is many times faster.
    return ("Ã" in said or "â€" in said) and _MOJIBAKE.search(said) is not None


def is_old_encoding(said: str) -> bool:
    """Say whether text holds what MacRoman and code page 850 leave where they are read as Windows-1252.

    Examples
    --------
    >>> is_old_encoding("Handl„ggare"), is_old_encoding("Handläggare")
    (True, False)
    """
    return _OLD_ENCODING.search(said) is not None


def is_free_text(texts: Iterable[str]) -> bool:
    """Say whether a column holds a cell of several words."""
    return any(len(text.split()) >= _SEVERAL_WORDS for text in texts)


def names_items(texts: Iterable[str]) -> bool:
    """Say whether the different texts of a column are questions, as where each answer has a row of its own.

    Examples
    --------
    >>> names_items(["1. Samarbetsförmåga", "Målmedvetenhet", "Hantering av vardagen", ""])
    True
    """
    known = column_names("measurements")
    said = {each for text in texts if (each := text.strip())}
    items = {known.get(key(each)) or known.get(key(unnumbered(each))) for each in said} & set(schema.items())
    return len(items) >= _SEVERAL_ITEMS and 2 * len(items) >= len(said)


def other_questionnaire(titles: Iterable[str], header: Iterable[str]) -> dict[str, str] | None:
    """Return the name of a questionnaire that is not BIP, by titles and column names, or None.

    Parameters
    ----------
    titles : iterable of str
        Names of file and sheet and the rows above the header.
    header : iterable of str

    Returns
    -------
    dict of str to str, or None

    Examples
    --------
    >>> other_questionnaire(["Brukarenkät 2024"], [])["en"]
    'a satisfaction survey'
    """
    said = [words(title) for title in titles]
    named = [words(name) for name in header if name]
    for entry in _content()["other_questionnaires"]:
        if any(f" {key(phrase)} " in title for phrase in entry["phrases"] for title in said):
            return dict(entry["name"])
        hits = sum(any(f" {key(phrase)} " in name for phrase in entry["headings"]) for name in named)
        if hits > 1:
            return dict(entry["name"])
    return None


@cache
def column_synonyms() -> dict[str, tuple[str, ...]]:
    """Return what local systems call each canonical column, as keys."""
    return {name: tuple(map(key, spellings)) for name, spellings in _content()["column_synonyms"].items()}


@cache
def vague_names() -> frozenset[str]:
    """Return, as keys, names that many things have and that are therefore a guess."""
    return frozenset(map(key, _content()["vague_names"]))


@cache
def value_synonyms() -> dict[str, dict[str, str]]:
    """Return for each canonical column what local systems write for a code, folded."""
    return {
        column: {schema.fold(str(said)): code for said, code in meanings.items()}
        for column, meanings in _content()["value_synonyms"].items()
    }


@cache
def _known_words() -> frozenset[tuple[str, ...]]:
    """Return the words of our columns and items, of what local systems call them, and of occasions."""
    said = {spelt for table in schema.TABLE_NAMES for spelt in column_names(table)}
    said |= {spelt for spellings in column_synonyms().values() for spelt in spellings} - vague_names()
    said |= {*OCCASION_WORDS, *(key(word) for word in value_synonyms()["respondent"])}
    kept = {each for each in said if len(each) >= _NO_NAME}.union(*RESPONDENT_WORDS.values())
    return frozenset(tuple(each.split()) for each in kept)


def without_known_words(name: str) -> str:
    """Return a heading with a bar in place of the words that are ours, to see whether the rest may be somebody's name.

    Examples
    --------
    >>> without_known_words("Klient Kunskap om arbetsmarknaden 1"), without_known_words("Handläggare Kim Ek")
    ('| | 1', '| Kim Ek')
    """
    found = list(_WORD.finditer(name))
    said, whole = [key(word[0]) for word in found], _known_words()
    begin = tuple(word for word in chain.from_iterable(RESPONDENT_WORDS.values()) if len(word) >= _NO_NAME)
    longest = max(map(len, whole))
    spans, at = [], 0
    while at < len(found):
        sizes = range(min(longest, len(said) - at), 0, -1)
        size = next((size for size in sizes if tuple(said[at : at + size]) in whole), 0)
        size = size or said[at].startswith(begin)
        if size:
            spans.append((found[at].start(), found[at + size - 1].end()))
        at += size or 1
    for start, end in reversed(spans):
        name = f"{name[:start]}|{name[end:]}"
    return name
