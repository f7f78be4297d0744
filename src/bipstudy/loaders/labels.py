"""What the codes of a column of SPSS or Stata stand for: themselves, or their labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from bipstudy import schema
from bipstudy.loaders.dates import read_date
from bipstudy.loaders.source import may_be_shown
from bipstudy.schema import fold

_NUMERIC = frozenset({"item", "integer", "number", "year"})
_ALONE = re.compile(r"[+-]?\d+(?:[.,]\d+)?", re.ASCII)
# A step of a scale, alone or before words.
_STEP = re.compile(r"(\d+) ?(?:$|[-–=:.)]? ?[^\W\d_])", re.ASCII)
_RANGE = re.compile(r"(\d+) ?[-–] ?(\d+)(?!\d)", re.ASCII)


def meanings(
    name: str, kind: str, texts: Sequence[str], labels: Mapping[str, str], spellings: Collection[str]
) -> dict[str, str]:
    """Return what stands for the codes of a column that mean something else than they say.

    A number that a program gave to each text in the order of the alphabet (AUTORECODE of SPSS, ``encode`` of Stata) is
    not the text, neither as an id nor as a date, an answer or a number. It is known by that order, from 1 on without a
    gap, and by labels that are what such a column holds. Other labels in words leave ids, answers and numbers as they
    are; so do labels of ids that may be names of persons.

    Two kinds of labels are returned although the column cannot hold them, so that they are told: steps of the scale
    that are other ones than their codes, and ranges in which the code does not lie, for it numbers classes then.

    Parameters
    ----------
    name, kind : str
        Of the canonical column.
    texts : sequence of str
        The different codes, without those that are missing.
    labels : mapping of str to str
    spellings : collection of str
        Folded spellings of the codes of ours.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> meanings("participant_id", "id", ["1", "2"], {"1": "K03", "2": "K07"}, ())
    {'1': 'K03', '2': 'K07'}
    >>> meanings("caseworker_id", "id", ["1", "2"], {"1": "Enhet Norr", "2": "Enhet Norr"}, ())
    {}
    >>> meanings("cooperation", "item", ["1", "2"], {"1": "2", "2": "3"}, ())
    {'1': '2', '2': '3'}
    >>> meanings("cooperation", "item", ["1", "5"], {"1": "5 Stämmer helt", "5": "1 Stämmer inte"}, ())
    {'1': '5 Stämmer helt', '5': '1 Stämmer inte'}
    >>> meanings("cooperation", "item", ["1", "5"], {"1": "0 gånger", "5": "Stämmer helt"}, ())
    {}
    >>> meanings("months_since_work", "integer", ["0", "12"], {"0": "Arbetar nu", "12": "1 år"}, ())
    {}
    >>> meanings("months_since_work", "integer", ["1", "2"], {"1": "0-2 månader", "2": "3-6 månader"}, ())
    {'1': '0-2 månader', '2': '3-6 månader'}
    """
    said = {text: labels[text].strip() for text in texts if text in labels}
    if kind in {"code", "boolean"}:
        return {text: label for text, label in said.items() if fold(text) not in spellings or fold(label) in spellings}
    if said and len(said) == len(texts) and _is_numbering(labels) and _fits(name, kind, said.values()):
        return said
    if kind == "item":
        return _other_steps(name, said)
    return _classes(said) if kind in _NUMERIC and name != "occasion" else {}


def _is_numbering(labels: Mapping[str, str]) -> bool:
    """Say whether codes number their labels in the order of the alphabet, from 1 on."""
    if not all(code.isdecimal() for code in labels):
        return False
    ordered = [labels[code].strip() for code in sorted(labels, key=int)]
    folded = [fold(label) for label in ordered]
    in_order = ordered == sorted(ordered) or folded == sorted(folded)
    return sorted(map(int, labels)) == list(range(1, len(labels) + 1)) and in_order and len(set(folded)) == len(folded)


def _fits(name: str, kind: str, labels: Collection[str]) -> bool:
    """Say whether labels are what a column holds."""
    if kind == "id":
        return name != "organisation_id" and all(map(may_be_shown, labels))
    if kind == "date":
        return all(read_date(label) is not None for label in labels)
    return kind in _NUMERIC and all(map(_ALONE.fullmatch, labels))


def _other_steps(name: str, said: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that are other steps of the scale than their codes, where all are steps of it."""
    item = schema.items()[name]
    steps = {text: int(found[1]) for text, label in said.items() if (found := _STEP.match(label))}
    if len(steps) < len(said) or not all(item.minimum <= step <= item.maximum for step in steps.values()):
        return {}
    return {text: said[text] for text, step in steps.items() if text != str(step)}


def _classes(said: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that are ranges, where a code does not lie in its own."""
    ranges = {text: found for text, label in said.items() if (found := _RANGE.search(label))}
    outside = any(not float(found[1]) <= _number(text) <= float(found[2]) for text, found in ranges.items())
    return {text: said[text] for text in ranges} if outside else {}


def _number(text: str) -> float:
    """Return a code as a number; not a number where it is none."""
    return float(text.replace(",", ".")) if _ALONE.fullmatch(text) else float("nan")
