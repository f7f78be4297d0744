"""Questionnaires as data: which items there are, who is asked, and on what scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from bipstudy.schema.sources import instrument_folders, read_yaml
from bipstudy.texts import BipstudyError

DEFAULT_INSTRUMENT = "bip-default"


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes
    ----------
    id : str
        Name of the column that holds the answers.
    label : dict of str to str
        Name of the indicator, ``{"sv": ..., "en": ...}``.
    respondents : tuple of str
        Who is asked: ``participant``, ``caseworker`` or both.
    minimum, maximum : int
        Ends of the answer scale.
    dont_know : int or None
        Number that means "don't know" in the files of this questionnaire.
    direction : str
        ``higher_is_readier`` or ``lower_is_readier``.
    placeholder : bool
        Whether the indicator's name is not public.
    wording : dict of str to (str or None)
        The question as asked, None where not public.
    confirmed : dict of str to bool
        Whether name, respondents, scale and wording have been read in a public source.
    """

    id: str
    label: dict[str, str]
    respondents: tuple[str, ...]
    minimum: int
    maximum: int
    dont_know: int | None
    direction: str
    placeholder: bool
    wording: dict[str, str | None]
    confirmed: dict[str, bool]


@dataclass(frozen=True)
class Instrument:
    """A questionnaire: its name and its items in the order in which they are asked."""

    name: str
    label: dict[str, str]
    items: tuple[Item, ...]

    def item(self, item_id: str) -> Item:
        """Return an item by its id; KeyError if there is none."""
        return {item.id: item for item in self.items}[item_id]

    def asked_of(self, respondent: str) -> list[str]:
        """Return the ids of the items that a respondent is asked."""
        return [item.id for item in self.items if respondent in item.respondents]


@cache
def instruments() -> dict[str, Instrument]:
    """Return every known questionnaire by name, the default one first.

    Raises
    ------
    BipstudyError
        An item id differs in meaning, direction or respondents between two questionnaires.
    """
    paths = [path for folder in instrument_folders() for path in sorted(folder.glob("*.yaml"))]
    found = {instrument.name: instrument for instrument in map(_instrument, map(read_yaml, paths))}
    ordered = {DEFAULT_INSTRUMENT: found[DEFAULT_INSTRUMENT], **found}
    _check_one_meaning(ordered.values())
    return ordered


def instrument(name: str = DEFAULT_INSTRUMENT) -> Instrument:
    """Return a questionnaire by its name.

    Parameters
    ----------
    name : str
        Name in the questionnaire's own file.

    Returns
    -------
    Instrument

    Raises
    ------
    BipstudyError
        No such questionnaire.

    Examples
    --------
    >>> len(instrument().asked_of("participant")), len(instrument().asked_of("caseworker"))
    (9, 11)
    """
    known = instruments()
    if name not in known:
        raise BipstudyError("schema.unknown_instrument", name=name, known=", ".join(known))
    return known[name]


def items() -> dict[str, Item]:
    """Return every item of every questionnaire by its id; the scale is that of the first that has it."""
    found: dict[str, Item] = {}
    for each in instruments().values():
        for item in each.items:
            found.setdefault(item.id, item)
    return found


def _check_one_meaning(known: Iterable[Instrument]) -> None:
    """Refuse an item id with two meanings; scales may differ."""
    first: dict[str, tuple[Item, str]] = {}
    for each in known:
        for item in each.items:
            other, owner = first.setdefault(item.id, (item, each.name))
            if (other.label, other.direction, other.respondents) != (item.label, item.direction, item.respondents):
                raise BipstudyError("schema.conflicting_item", item=item.id, first=owner, second=each.name)


def _instrument(content: dict[str, Any]) -> Instrument:
    """Build a questionnaire from its file."""
    return Instrument(name=content["name"], label=content["label"], items=tuple(map(_item, content["items"])))


def _item(entry: dict[str, Any]) -> Item:
    """Build an item from its YAML entry."""
    scale = entry["scale"]
    return Item(
        id=entry["id"],
        label=entry["label"],
        respondents=tuple(entry["respondents"]),
        minimum=int(scale["minimum"]),
        maximum=int(scale["maximum"]),
        dont_know=scale.get("dont_know"),
        direction=entry["direction"],
        placeholder=bool(entry.get("placeholder", False)),
        wording=entry["wording"],
        confirmed=entry["confirmed"],
    )
