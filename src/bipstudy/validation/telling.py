"""Ids that name a person or can be led back to one: names, initials with years of birth, hashes. No value is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.texts import LANGUAGES, text
from bipstudy.validation.data import Data
from bipstudy.validation.rules import Hits, Outcome, check

_IDS = ("participant_id", "caseworker_id")
_WORD = r"[^\W\d_]{2,}(?:[-'][^\W\d_]{2,})*"
_WORDS = re.compile(rf"{_WORD}(?:,? +(?:{_WORD}|[^\W\d_]\.?))*")
# What organisations call units and roles; with such a word it is no name of a person.
_ROLES = frozenset(
    {
        *("team", "grupp", "gruppen", "enhet", "enheten", "handläggare", "handläggaren", "deltagare", "deltagaren"),
        *("klient", "coach", "person", "kommun", "kommunen", "okänd", "okänt", "ingen", "saknas", "vakant", "vikarie"),
        *("nord", "norr", "syd", "söder", "öst", "öster", "väst", "väster", "centrum", "mitt", "ny", "gammal", "test"),
        *("caseworker", "participant", "client", "unit", "group", "unknown", "none", "north", "south", "east", "west"),
        *("alfa", "alpha", "beta", "gamma", "delta", "arbetsförmedlingen", "försäkringskassan", "region", "regionen"),
    }
)
_INITIALS = re.compile(r"(?P<letters>[^\W\d_]{2,3})[ -]?(?:19[4-9]\d|200\d|[4-9]\d|0\d)")
_HASH = re.compile(r"[0-9a-fA-F]{32}(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{24}|[0-9a-fA-F]{32}|[0-9a-fA-F]{96})?")


def name_kind(cell: str) -> str | None:
    """Return whether an id is a full name, may be a name, or is none.

    Parameters
    ----------
    cell : str

    Returns
    -------
    {"full", "possible"} or None

    Examples
    --------
    >>> name_kind("Anna Andersson"), name_kind("Andersson, Anna"), name_kind("Anna"), name_kind("H1")
    ('full', 'full', 'possible', None)
    >>> name_kind("Team Nord"), name_kind("AB")
    (None, None)
    """
    if not _WORDS.fullmatch(cell):
        return None
    words = re.split(r"[ ,.]+", cell.strip(" ."))
    if _ROLES & {word.lower() for word in words}:
        return None
    titled = [word == word.title() or word.isupper() for word in words]
    long = [word for word in words if len(word) > 1]
    if len(long) > 1:
        return "full" if all(titled) else "possible"
    return "possible" if len(long[0]) > 2 and (len(words) > 1 or long[0] == long[0].title()) else None


@check
def name_in_id(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for first and last names in the columns of ids."""
    return _named(data, "full")


@check
def possible_name_in_id(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for words that may be a name in the columns of ids."""
    return _named(data, "possible")


@check
def telling_id(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for columns of ids that are made of initials and years of birth, or are hashes."""
    checked, hits = 0, []
    for table, column, codes, cells in _ids(data):
        # Where the ids are explained, not each table that refers to them.
        if table != {"participant_id": "participants", "caseworker_id": "caseworkers"}[column]:
            continue
        checked += int((codes >= 0).sum())
        how = _how(cells, threshold)
        if how is not None:
            words = {language: text(f"validation.telling_{how}", language) for language in LANGUAGES}
            hits.append(Hits(table, None, column, values={"how": words}, count=int((codes >= 0).sum())))
    return Outcome(checked, tuple(hits))


def _ids(data: Data) -> Iterator[tuple[str, str, npt.NDArray[np.int64], pd.Index]]:
    """Yield every column of ids of persons with the position of each row's id among the different ones."""
    for table, frame in data.tables.items():
        for column in _IDS:
            if column in frame and len(frame):
                yield (table, column, *data.distinct(table, column))


def _named(data: Data, kind: str) -> Outcome:
    """Return the rows whose ids are names of a kind."""
    checked, hits = 0, []
    for table, column, codes, cells in _ids(data):
        checked += int((codes >= 0).sum())
        texts = pd.Series(cells, dtype="object")
        # Few ids have no digit; the rest are looked at one by one.
        wordy = np.flatnonzero(~texts.astype(str).str.contains(r"\d", regex=True).to_numpy(dtype=bool))
        named = [at for at in wordy.tolist() if name_kind(str(texts.iloc[at]).strip()) == kind]
        if named:
            hits.append(Hits(table, np.flatnonzero(np.isin(codes, named)), column))
    return Outcome(checked, tuple(hits))


def _how(cells: pd.Index, threshold: Mapping[str, float]) -> str | None:
    """Return the key of how most of the different ids of a column can be led back to persons, or None."""
    texts = [str(cell).strip() for cell in cells]
    if len(texts) < threshold["least"]:
        return None
    if sum(_HASH.fullmatch(each) is not None for each in texts) > threshold["share"] * len(texts):
        return "hash"
    found = [match["letters"].upper() for match in map(_INITIALS.fullmatch, texts) if match]
    # Running numbers behind letters that say the unit have few different letters.
    many = len(found) > threshold["share"] * len(texts) and len(set(found)) > threshold["different"] * len(found)
    return "initials" if many else None
