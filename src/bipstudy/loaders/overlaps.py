"""Entries of a mapping that read the same rows of a sheet as the same table, so that every row would come twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from bipstudy import schema
from bipstudy.loaders.mapping import TableMapping
from bipstudy.loaders.source import Sheet
from bipstudy.schema import fold

# Canonical column and the name in the file of what an entry takes.
_Taken = set[tuple[str, str]]
# Of which form an answer is, as far as a mapping may set it.
_OF = ("respondent", "occasion", "instrument")


def read_twice(sheets: Sequence[Sheet]) -> list[tuple[int, str, dict[str, object]]]:
    """Return what is wrong with entries that take the same columns of one sheet for the same table.

    Several entries may divide the columns of a sheet among them, as where both respondents or two activities stand on
    a row: each then takes columns that the other does not, or the mapping says whose form, of which occasion, each is.
    An answer belongs to one form, so no two entries may share a column of answers.

    Parameters
    ----------
    sheets : sequence of Sheet
        All sheets of a submission whose table and columns are known.

    Returns
    -------
    list of (int, str, dict)
        Line of the later entry, key of the sentence, and its values.
    """
    places: dict[tuple[str, str | None, str], dict[int, list[Sheet]]] = defaultdict(dict)
    for sheet in sheets:
        if len(sheet.rows):
            places[sheet.file, sheet.sheet, sheet.table].setdefault(sheet.entry.line, []).append(sheet)
    found: dict[tuple[int, int], dict[str, object]] = {}
    for entries in places.values():
        for (first, ones), (second, others) in combinations(sorted(entries.items()), 2):
            entry = others[0].entry
            if _same(_taken(ones), _taken(others)) and not _told_apart(
                ones[0].entry, entry, ones[0].table, _taken(ones) & _taken(others)
            ):
                named = ", ".join(filter(None, (entry.file, entry.sheet)))
                found[second, first] = {"name": named, "other": first}
    return [(line, "loaders.mapping_read_twice", values) for (line, _), values in found.items()]


def _taken(sheets: Sequence[Sheet]) -> _Taken:
    """Return the columns that one entry takes of a sheet, on all its forms."""
    return {pair for sheet in sheets for pair in sheet.names.items()}


def _same(one: _Taken, other: _Taken) -> bool:
    """Say whether two entries share an answer, or one takes nothing that the other does not."""
    shared = one & other
    return shared in (one, other) or _has_answers(shared)


def _has_answers(taken: _Taken) -> bool:
    """Say whether there are answers among some columns."""
    return any(canonical in schema.items() for canonical, _ in taken)


def _told_apart(one: TableMapping, other: TableMapping, table: str, shared: _Taken) -> bool:
    """Say whether the mapping itself says that a row is two.

    So it is where both kinds of training were held on one day, or where one answered and the other declined.
    """
    described = schema.table(table)
    if described.has_items:
        differ = (_said(one, name) and _said(other, name) and not _said(one, name) & _said(other, name) for name in _OF)
        return not _has_answers(shared) and any(differ)
    coded = {column.name for column in described.columns if column.codes} & set(described.key)
    return any(one.constants.get(name) != other.constants.get(name) for name in coded)


def _said(entry: TableMapping, name: str) -> set[str]:
    """Return what an entry sets a column to, on any of its forms; nothing where a column of the file may say it."""
    if name in entry.columns.values():
        return set()
    of_all = {fold(entry.constants.get(name, ""))}
    blocks = [
        set(block.respondents.values())
        if name == "respondent" and "{respondent}" in block.pattern.text
        else {""}
        if f"{{{name}}}" in block.pattern.text or name in block.columns.values()
        else {fold(block.constants[name])}
        if name in block.constants
        else of_all
        for block in entry.wide
    ]
    found = set().union(*blocks) if blocks else of_all
    spellings = schema.code_list("respondent").spellings if name == "respondent" else {}
    return set() if "" in found else {spellings.get(each, each) for each in found}
