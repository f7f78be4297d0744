"""What a draft of a mapping says beside names: dates, codes outside the scale, what is missing and may be the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import numpy as np

from bipstudy import schema
from bipstudy.loaders.cells import MISSING, Cells, parse
from bipstudy.loaders.mapping import TIME, DateFormat
from bipstudy.loaders.names import column_names, key, words
from bipstudy.loaders.recognition import RESPONDENT_WORDS, value_synonyms
from bipstudy.schema import fold
from bipstudy.texts import text

_DAY_OR_MONTH_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})" + TIME, re.ASCII)
_OF_AN_OCCASION = re.compile(r"^(?P<before>\D*)(?P<at>\d{1,6})(?P<after>\D*)$")
_WHOLE = re.compile(r"-?\d{1,3}")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
# An answer with its words after it, as survey tools write them.
_NUMBERED = re.compile(r"(\d{1,2})\s*[-–=:.)(]\s*[^\W\d_]")
_READABLE = 0.95
_FEW_CODES = 6
_SEVERAL_ITEMS = 3
# Kinds of columns that may well be the same on every row.
_CONSTANT = {"code", "date", "boolean"}


def date_format(columns: Iterable[Cells]) -> tuple[str, bool] | None:
    """Return how the columns of a file write dates with the year last, and whether that is certain.

    Parameters
    ----------
    columns : iterable of Cells

    Returns
    -------
    (str, bool) or None
        None where no column does, or where they do so in several ways.

    Examples
    --------
    >>> date_format([Cells.of(["13.1.2024", "5.2.2024"])]), date_format([Cells.of(["5/3/2024"])])
    (('D.M.ÅÅÅÅ', True), ('D/M/ÅÅÅÅ', False))
    >>> date_format([Cells.of(["13/1/2024 14:30", "5/2/2024 9.05"])])
    ('D/M/ÅÅÅÅ', True)
    """
    parted: set[str] = set()
    first: list[int] = []
    second: list[int] = []
    for cells in columns:
        filled = [one for one in cells.distinct if one]
        found = [match for match in map(_DAY_OR_MONTH_FIRST.fullmatch, filled) if match]
        if not filled or len(found) < _READABLE * len(filled):
            continue
        parted |= {match[2] for match in found}
        first += [int(match[1]) for match in found]
        second += [int(match[3]) for match in found]
    if len(parted) != 1 or max(first) > 31 or max(second) > 31 or (max(first) > 12 and max(second) > 12):
        return None
    (mark,) = parted
    order = "MD" if max(second) > 12 else "DM"
    return f"{order[0]}{mark}{order[1]}{mark}ÅÅÅÅ", max(*first, *second) > 12


def as_dates(cells: Cells, said: tuple[str, bool] | None) -> Cells:
    """Return a column with its dates written as YYYY-MM-DD, if the file writes them in a way of its own."""
    if said is None:
        return cells
    known = DateFormat.of(said[0])
    return Cells([known.iso(each) for each in cells.distinct], cells.position)


def dates_of_occasions(names: Sequence[str], is_date: Sequence[bool], occasions: set[int]) -> dict[str, list[str]]:
    """Return the patterns of columns of dates that come once for each occasion, and the names of the columns.

    Parameters
    ----------
    names : sequence of str
    is_date : sequence of bool
        Whether each column holds dates.
    occasions : set of int
        Numbers of the occasions that the answers have.

    Examples
    --------
    >>> dates_of_occasions(["Klientnr", "Datum_M1", "Datum_M2"], [False, True, True], {1, 2})
    {'Datum_M{occasion}': ['Datum_M1', 'Datum_M2']}
    """
    found: dict[str, dict[int, str]] = {}
    for name, dates in zip(names, is_date, strict=True):
        match = _OF_AN_OCCASION.match(name)
        worded = match is not None and any(map(str.isalpha, match["before"] + match["after"]))
        if match and worded and dates and int(match["at"]) in occasions:
            found.setdefault(f"{match['before']}{{occasion}}{match['after']}", {})[int(match["at"])] = name
    return {pattern: list(at.values()) for pattern, at in found.items() if len(at) * 2 >= len(occasions)}


def off_scale(columns: Iterable[Cells]) -> list[str]:
    """Return the whole numbers that columns of answers hold and no item of the questionnaire has, such as 9 and 99.

    Examples
    --------
    >>> off_scale([Cells.of(["1", "5", "9", "99", "Vet ej", ""])])
    ['9', '99']
    """
    items = schema.instrument().items
    low, high = min(item.minimum for item in items), max(item.maximum for item in items)
    said = {one for cells in columns for one in cells.distinct if _WHOLE.fullmatch(one) and fold(one) not in MISSING}
    found = sorted((one for one in said if not low <= int(one) <= high), key=int)
    return found if len(found) <= _FEW_CODES else []


def both_on_a_row(names: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """Return the words before the items by which a file tells its two respondents apart, and the columns so called.

    Parameters
    ----------
    names : sequence of str
        Headings of a file.

    Returns
    -------
    dict of str to str, set of str
        Word to respondent, and headings; both empty where the file does not have items of both.

    Examples
    --------
    >>> items = ["Samarbetsförmåga", "Målmedvetenhet", "Hantering av vardagen"]
    >>> both_on_a_row([f"{who} {item}" for who in ("Klient", "Coach") for item in items])[0]
    {'Klient': 'participant', 'Coach': 'caseworker'}
    """
    known = {spelt for spelt, column in column_names("measurements").items() if column in schema.items()}
    before: dict[str, set[str]] = {}
    for name in names:
        first, _, rest = name.strip().partition(" ")
        if key(rest) in known and whose(first):
            before.setdefault(first, set()).add(name)
    who = {word: str(whose(word)) for word, columns in before.items() if len(columns) >= _SEVERAL_ITEMS}
    if sorted(who.values()) != ["caseworker", "participant"]:
        return {}, set()
    return who, set().union(*(before[word] for word in who))


def worded_answers(cells: Cells) -> list[tuple[str, str]]:
    """Return what a column of answers says in words, and the number that each begins with or a question mark.

    Examples
    --------
    >>> worded_answers(Cells.of(["3 - Stämmer delvis", "Instämmer helt", "4", "Vet ej"]))
    [('3 - Stämmer delvis', '3'), ('Instämmer helt', '?')]
    """
    said = sorted(one for one in cells.distinct if one and fold(one) not in MISSING and not _NUMBER.fullmatch(one))
    numbered = [(one, _NUMBERED.match(one)) for one in said]
    return [(one, found[1] if found else "?") for one, found in numbered]


def whose(*names: str | None) -> str | None:
    """Return the respondent whose answers a file or sheet holds by its name, None where it names none or both.

    Examples
    --------
    >>> whose("svar handläggare.csv"), whose("svar.csv")
    ('caseworker', None)
    """
    said = "".join(words(name) for name in names if name)
    found = [who for who, parts in RESPONDENT_WORDS.items() if any(f" {part}" in said for part in parts)]
    return found[0] if len(found) == 1 else None


def lines_on_what_lacks(
    table: str, found: set[str], respondent: str | None, language: str, mark: str, *, wide: bool
) -> list[str]:
    """Return the lines on required columns that a file lacks: what may be the same on every row, and what cannot.

    Parameters
    ----------
    table : str
    found : set of str
        Canonical columns that the file has.
    respondent : str or None
        Whose answers it holds, where its name says so.
    language, mark : str
    wide : bool
        Whether forms stand side by side, in a block that says respondent and status itself.
    """
    told = {"respondent", "form_status"} if wide else set()
    alone = {"caseworker_id"} if respondent == "participant" else set()
    columns = [
        column
        for column in schema.table(table).columns
        if not (column.optional or column.assigned)
        and column.name not in found | told | alone | {"organisation_id", "participant_id"}
    ]
    guesses = {"respondent": respondent, "form_status": "answered" if "answered_on" in found else None}
    same, other = [], []
    for column in columns:
        label = column.label[language]
        if column.kind not in _CONSTANT or column.name == "answered_on":
            other.append(f"      # {text('loaders.draft_lacks', language, name=label, column=column.name)}")
            continue
        known = ", ".join(schema.code_list(column.codes).values) if column.codes else ""
        shown = f"  # {label}{': ' if known else ''}{known}"
        same.append(f"      # {mark}   {column.name}: {guesses.get(column.name) or '?'}{shown}")
    head = [f"      # {text('loaders.draft_same', language)}", f"      # {mark} set:"]
    return [*other, *(head if same else []), *same]


def lines_on_missing(found: Sequence[str], language: str, mark: str) -> list[str]:
    """Return the lines on numbers outside the scale."""
    if not found:
        return []
    reasons = ", ".join(schema.code_list("missing_reason").values)
    lines = [f"      # {text('loaders.draft_missing', language, reasons=reasons)}", f"      # {mark} missing:"]
    return [*lines, *(f'      # {mark}   "{one}": ?' for one in found)]


def quoted(words: str) -> str:
    """Return words as YAML writes them."""
    return json.dumps(words, ensure_ascii=False)


def fits(cells: Cells, table: str, canonical: str) -> bool:
    """Say whether the cells of a column can be read as one of ours."""
    filled = [text for text in cells.distinct if text]
    if not filled:
        return False
    if canonical in schema.items():
        kind, codes = "item", None
    elif canonical.endswith("_precision"):
        return False
    else:
        column = schema.table(table).column(canonical)
        kind, codes = column.kind, column.codes
    if kind == "id":
        whole = schema.table(table).key[-1] != canonical or len(filled) == len(cells.position)
        return whole and not any(len(each.split()) > 2 for each in filled)
    if codes:
        spellings = {*schema.code_list(codes).spellings, *value_synonyms().get(canonical, {}), *MISSING}
        return bool(np.mean([fold(each) in spellings for each in filled]) >= _READABLE)
    cells = Cells(filled, np.arange(len(filled)))
    parsed = parse(kind, as_dates(cells, date_format([cells])) if kind == "date" else cells, None, MISSING)
    return sum(map(len, parsed.problems.values())) <= (1 - _READABLE) * len(filled)
