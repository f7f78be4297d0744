"""Answers of several occasions side by side, as a draft sees them: numbered or named items by occasions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bipstudy import schema
from bipstudy.loaders.draft_hints import whose
from bipstudy.loaders.names import column_names, key
from bipstudy.loaders.recognition import OCCASION_WORDS, column_synonyms, value_synonyms

_NUMBERED = re.compile(
    r"^(?P<before>(?:[^\W\d_]+[_\-. ]*)?)(?P<first>\d{1,6})(?P<between>[_\-. ]*[^\W\d_]*[_\-. ]*)(?P<second>\d{1,6})$"
)
_LAST_NUMBER = re.compile(r"^(?P<rest>.*\D)(?P<at>\d{1,6})(?P<after>\)?)$")
_LAST_WORD = re.compile(r"[^\W\d_]+\.?[\s_.]*$")
_LONG = 100
_SEPARATED = re.compile(r"[\s_.,:;(\-–]+$")
_FIRST_NUMBER = re.compile(
    r"^(?P<before>(?:[^\W\d_]+[\s_.]*)?)(?P<at>\d{1,6})(?P<between>[\s_.,:;)\-–]+)(?P<item>\D.*)$"
)
# The first word of a name, which may say who answers.
_FIRST_WORD = re.compile(r"^(?P<word>[^\W\d_]+)(?P<between>[\s_.:\-–]+)(?P<item>.+)$")
# Words and letters before the number of an occasion.
_OCCASION = OCCASION_WORDS | {"m", "t"}
# Words and letters before the number of an item.
_ITEM = frozenset({"f", "fr", "fraga", "q", "question", "i", "item", "p", "pastaende", "indikator", "ind", "var", "v"})


@dataclass
class Shape:
    """Columns that hold the items of several occasions under names of one shape.

    Attributes
    ----------
    pattern : str
        As a mapping has it.
    items : dict of str to str or None
        What the names call an item, and the item it may be; empty where they call it as we do.
    occasions : dict of str to int
        Name of each column to its occasion.
    known : set of str
        The items, as far as their names say them.
    word : str
        The word before the items that says who answers, empty where there is none.
    """

    pattern: str
    items: dict[str, str | None] = field(default_factory=dict)
    occasions: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    word: str = ""


def shapes(names: Sequence[str], taken: set[str]) -> list[Shape]:
    """Return the shapes of names that hold two or more items, and numbers that are not those of the items.

    Parameters
    ----------
    names : sequence of str
        Headings of a file.
    taken : set of str
        Names, by `key`, that are another column.

    Examples
    --------
    >>> [found.pattern for found in shapes(["F1_M1", "F2_M1"], set())]
    ['F{item}_M{occasion}']
    >>> [found.pattern for found in shapes(["M1_F1", "M1_F2"], set())]
    ['M{occasion}_F{item}']
    >>> shapes(["1. Samarbetsförmåga", "2. Målmedvetenhet"], set())
    []
    >>> names = ["Samarbetsförmåga (mätning 1)", "Målmedvetenhet (mätning 1)"]
    >>> shapes(names, set())[0].pattern, sorted(shapes(names, set())[0].known)
    ('{item} (mätning {occasion})', ['cooperation', 'goal_orientation'])
    """
    open_names = [name for name in names if name and key(name) not in taken]
    named = list(_named(open_names))
    told = {name for shape in named for name in shape.occasions}
    return [*_numbered([name for name in open_names if name not in told]), *named]


def dates_of_shapes(patterns: Sequence[str], dates: Sequence[str]) -> list[list[str]]:
    """Return for each shape of answers the patterns of dates that may be when its forms were answered.

    A date that is alone belongs to all shapes, as where both respondents answer on one day. Of several, one that bears
    the mark of a shape belongs to that shape, and the others to the shapes that have none of their own.

    Parameters
    ----------
    patterns, dates : sequence of str
        As a mapping has them.

    Examples
    --------
    >>> dates_of_shapes(["F{item}_M{occasion}", "H{item}_M{occasion}"], ["Datum_M{occasion}", "HDatum_M{occasion}"])
    [['Datum_M{occasion}'], ['HDatum_M{occasion}']]
    >>> dates_of_shapes(["F{item}_M{occasion}"], ["Datum_M{occasion}", "Planerat_M{occasion}"])
    [['Datum_M{occasion}', 'Planerat_M{occasion}']]
    """
    if len(dates) < 2:
        return [list(dates) for _ in patterns]
    said = [set(literal(pattern).split()) for pattern in patterns]
    marks = [each.difference(*said[:at], *said[at + 1 :]) if said[1:] else set() for at, each in enumerate(said)]
    own = [[date for date in dates if any(_bears(date, mark) for mark in each)] for each in marks]
    free = [date for date in dates if not any(date in each for each in own)]
    return [each or free for each in own]


def literal(pattern: str) -> str:
    """Return what a pattern says beside its places, as `key`."""
    return key(re.sub(r"\{\w+\}", " ", pattern))


def _bears(date: str, mark: str) -> bool:
    """Say whether the pattern of a date has the mark of a shape, as a word or put before the word for a date."""
    said = literal(date).split()
    return mark in said or any(f"{mark}{word}" in said for word in column_synonyms()["answered_on"])


def worded_occasions(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return what a column of occasions says in words, and the number that it names or a question mark.

    Examples
    --------
    >>> worded_occasions(["2", "M1", "Mätning 2", "3 mån"])
    [('M1', '1'), ('Mätning 2', '2'), ('3 mån', '?')]
    """
    said = [text for text in texts if text and not text.isdecimal()]
    found = [re.fullmatch(r"([^\W\d_]*)[\W_]*(\d{1,3})", text) for text in said]
    return [
        (text, match[2] if match and key(match[1]) in _OCCASION else "?")
        for text, match in zip(said, found, strict=True)
    ]


def _numbered(names: Sequence[str]) -> Iterator[Shape]:
    """Yield the shapes in which items have numbers."""
    places: dict[tuple[str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    for name in names:
        found = _NUMBERED.match(name)
        if found and found["between"]:
            places[found["before"], found["between"]][name] = int(found["first"]), int(found["second"])
    items = list(schema.instrument().items)
    for (before, between), numbers in sorted(places.items()):
        turned = _is_turned(before, between)
        item, occasion = (between, before) if turned else (before, between)
        marked = key(item) in _ITEM or key(occasion) in _OCCASION
        # A long number is that of an occasion only where the letters say which number is which.
        numbers = {name: at for name, at in numbers.items() if at[turned] < _LONG and (marked or max(at) < _LONG)}
        of_item = {name: pair[turned] for name, pair in numbers.items()}
        at_item = [(of_item[name], pair[not turned]) for name, pair in numbers.items()]
        if len(set(of_item.values())) < 2 or not _tell_occasions(at_item):
            continue
        parts = ("{occasion}", "{item}") if turned else ("{item}", "{occasion}")
        meant = {
            str(one): items[one - 1].id if 0 < one <= len(items) else None for one in sorted(set(of_item.values()))
        }
        occasions = {name: pair[not turned] for name, pair in numbers.items()}
        yield Shape(f"{before}{parts[0]}{between}{parts[1]}", dict(meant), occasions)


def _is_turned(before: str, between: str) -> bool:
    """Say whether the number of the occasion stands before that of the item."""
    first, second = key(before), key(between)
    return (first in _OCCASION and second not in _OCCASION) or (second in _ITEM and first not in _ITEM)


def _tell_occasions(pairs: Sequence[tuple[object, int]]) -> bool:
    """Say whether items with numbers stand for occasions: numbers that are all different are those of the items."""
    numbers = [number for _, number in set(pairs)]
    return len({item for item, _ in pairs}) < len(numbers) or len(set(numbers)) < len(numbers)


def _named(names: Sequence[str]) -> Iterator[Shape]:
    """Yield the shapes in which items have our names and a number of the occasion before or after them."""
    known = {spelt: column for spelt, column in column_names("measurements").items() if column in schema.items()}
    found: dict[str, Shape] = {}
    pairs: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name in names:
        if key(name) in known:
            continue
        for pattern, word, item, occasion in _of_respondents(name):
            if key(item) in known:
                shape = found.setdefault(pattern, Shape(pattern, word=word))
                shape.occasions[name] = occasion
                shape.known.add(known[key(item)])
                pairs[pattern].append((known[key(item)], occasion))
                break
    yield from (shape for shape in found.values() if len(shape.known) > 1 and _tell_occasions(pairs[shape.pattern]))


def _of_respondents(name: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield pattern, word for the respondent, item and occasion of each way to read a name."""
    for pattern, item, occasion in _readings(name):
        yield pattern, "", item, occasion
        first = _FIRST_WORD.match(item)
        if first and (key(first["word"]) in value_synonyms()["respondent"] or whose(first["word"])):
            said = f"{first['word']}{first['between']}{{item}}"
            yield pattern.replace("{item}", said), first["word"], first["item"], occasion


def _readings(name: str) -> Iterator[tuple[str, str, int]]:
    """Yield pattern, item and occasion of each way to read a name as an item with a number after or before it."""
    last = _LAST_NUMBER.match(name)
    if last:
        rest = last["rest"]
        bare = _LAST_WORD.sub("", rest)
        # The longest first: our names of items may begin with one another.
        for stem in (_SEPARATED.sub("", rest), _SEPARATED.sub("", bare)):
            yield f"{{item}}{rest[len(stem) :]}{{occasion}}{last['after']}", stem, int(last["at"])
    first = _FIRST_NUMBER.match(name)
    if first:
        yield f"{first['before']}{{occasion}}{first['between']}{{item}}", first["item"], int(first["at"])
