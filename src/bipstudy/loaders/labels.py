"""What the codes of a column of SPSS or Stata stand for: themselves, or their labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from bipstudy.schema import fold

_NUMERIC = frozenset({"item", "integer", "number", "year"})
# A number, alone or before words; neither a percentage nor a range.
_LEADING = re.compile(r"([+-]?\d+(?:[.,]\d+)?) ?(?:$|[-–=:.)]? ?[^\W\d_])", re.ASCII)
_ALONE = re.compile(r"[+-]?\d+(?:[.,]\d+)?", re.ASCII)


def meanings(
    name: str, kind: str, texts: Sequence[str], labels: Mapping[str, str], spellings: Collection[str]
) -> dict[str, str]:
    """Return what stands for the codes of a column that mean something else than they say.

    A number that a program gave to text in the order of the alphabet (AUTORECODE of SPSS, ``encode`` of Stata) is not
    the text, neither as an id nor as a date or an answer. Every text has its own number then: ids and dates of which
    only some have a label, or two the same one, are what they say.

    An answer may have its label in words, and so may single numbers, as 0 for who works; where all have one, the
    numbers are classes, and the words are returned, which are no numbers. A label that begins with another number than
    its code contradicts it, and is returned. Occasions have names, and stay what they are.

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
    >>> meanings("cooperation", "item", ["1", "2"], {"1": "2", "2": "Stämmer"}, ())
    {'1': '2'}
    >>> meanings("months_since_work", "integer", ["0", "5"], {"0": "Arbetar nu"}, ())
    {}
    >>> meanings("months_since_work", "integer", ["1", "2"], {"1": "0-2 månader", "2": "Mer"}, ())
    {'1': '0-2 månader', '2': 'Mer'}
    """
    said = {text: labels[text].strip() for text in texts if text in labels}
    if kind in {"code", "boolean"}:
        return {text: label for text, label in said.items() if fold(text) not in spellings or fold(label) in spellings}
    every = len(said) == len(texts)
    if kind in {"id", "date"}:
        own = len({fold(label) for label in said.values()}) == len(said)
        return said if every and (own or kind == "date") else {}
    if kind not in _NUMERIC:
        return {}
    if name == "occasion":
        return {text: label for text, label in said.items() if _ALONE.fullmatch(label)}
    leading = {text: found[1] for text, label in said.items() if (found := _LEADING.match(label))}
    contradicted = {text for text, number in leading.items() if number.replace(",", ".") != text.replace(",", ".")}
    classes = set(said) - set(leading) if every and kind != "item" else set()
    return {text: label for text, label in said.items() if text in contradicted | classes}
