"""One row with the answers of many occasions becomes one form per occasion."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.mapping import Wide
from bipstudy.loaders.names import column_names, key
from bipstudy.loaders.source import Sheet, Source, constant
from bipstudy.schema import Finding

# Columns of one form: which columns of the file hold which of ours.
_Form = dict[str, int]
# Occasion as it is numbered, "" where the names have none, and respondent.
_Key = tuple[str, str]
# A form with its block, its occasion and its respondent.
_Placed = tuple[Wide, str, str, _Form]


def unfold(source: Source, sheet: Sheet, used: set[int], findings: list[Finding]) -> list[Sheet]:
    """Return one sheet per occasion and respondent, with the rows on which something was answered.

    Parameters
    ----------
    source : Source
        The raw sheet.
    sheet : Sheet
        What stands once per row: ids and the like.
    used : set of int
        Positions of the columns that became part of the table; those used here are added.
    findings : list of Finding
        A finding for each column that says once more what another says of the same form is added here.

    Returns
    -------
    list of Sheet
        In the order of the blocks of the mapping, of occasions and of respondents. Without rows where no column fits.
    """
    taken = frozenset(used)
    twice: dict[int, int] = {}
    forms = [
        (block, *each, form) for block in sheet.entry.wide for each, form in _forms(source, block, taken, used, twice)
    ]
    rows = _filled_in(source, sheet, forms)
    sheets = [
        replace(_form_sheet(source, sheet, *each, kept), told_at=told_at, lacks=lacks)
        for each, kept, told_at, lacks in zip(
            forms, rows, _told_at(source, forms), _lacking(source, sheet, forms), strict=True
        )
    ]
    for position, first in sorted(twice.items()):
        values: dict[str, object] = {"column": source.shown(first)}
        finding = sheet.finding("duplicate-column", count=len(sheet.rows), values=values)
        findings.append(replace(finding, column=source.shown(position)))
    return sheets or [replace(sheet, rows=sheet.rows[:0], columns={name: _none() for name in sheet.columns})]


def _none() -> Cells:
    """Return a column without rows."""
    return Cells([], np.zeros(0, dtype=np.intp))


def _forms(
    source: Source, block: Wide, taken: frozenset[int], used: set[int], twice: dict[int, int]
) -> list[tuple[_Key, _Form]]:
    """Return for each occasion and respondent the positions of its columns, and note which say the same once more.

    A date may be that of the forms of several blocks, where participant and caseworker answered on the same day.
    """
    known = column_names("measurements")
    items = schema.items()
    forms: dict[_Key, _Form] = defaultdict(dict)
    again: list[tuple[_Key, str, int]] = []
    for position in range(len(source.header.names)):
        if position in taken:
            continue
        for name in source.spellings(position):
            canonical, parts = None, block.pattern.match(name)
            if parts is not None:
                said = key(parts["item"])
                canonical = block.items.get(said, known.get(said) if known.get(said) in items else None)
            if canonical is None:
                found = [(pattern.match(name), ours) for pattern, ours in block.columns.items()]
                parts, canonical = next(((each, ours) for each, ours in found if each is not None), (None, None))
            if canonical is None or parts is None or (canonical in items and position in used):
                continue
            who = block.respondents.get(key(parts.get("respondent", "")), "")
            if "respondent" in parts and not who:
                continue
            # Without a number in the names, the rows are occasions. A number may be long, as a year and month is.
            said = (parts["occasion"].lstrip("0") or "0") if "occasion" in parts else ""
            if forms[said, who].setdefault(canonical, position) != position:
                again.append(((said, who), canonical, position))
            used.add(position)
            break
    kept = {form: columns for form, columns in forms.items() if set(columns) & set(items)}
    twice |= {position: kept[form][canonical] for form, canonical, position in again if form in kept}
    return sorted(kept.items(), key=lambda each: (len(each[0][0]), *each[0]))


def _lacking(source: Source, sheet: Sheet, forms: list[_Placed]) -> Iterator[dict[str, str]]:
    """Yield for each form the items that other forms of its respondent have, and what the columns would be called."""
    items = schema.items()
    own = [who or {**sheet.entry.constants, **block.constants}.get("respondent", "") for block, _, who, _ in forms]
    asked: dict[str, set[str]] = defaultdict(set)
    for who, (*_, form) in zip(own, forms, strict=True):
        asked[who] |= set(form) & set(items)
    for who, (block, occasion, respondent, form) in zip(own, forms, strict=True):
        beside = [other for each, _, whose, other in forms if each is block and whose == respondent]
        written = _as_written(source, block, occasion, form)
        names: dict[str, str] = {}
        for item in asked[who] - set(form):
            said = (source.header.names[other[item]] for other in beside if item in other)
            found = (block.pattern.with_occasion(name, written) for name in said)
            names[item] = next(filter(None, found), None) or _name(block, item, written, respondent)
        yield names


def _told_at(source: Source, forms: list[_Placed]) -> Iterator[str]:
    """Yield for each form a column that is its own: its date, or else the first of its answers."""
    used = Counter(position for *_, form in forms for position in form.values())
    for *_, form in forms:
        date = form.get("answered_on")
        first = min(position for name, position in form.items() if name in schema.items())
        yield source.named(first if date is None or used[date] > 1 else date)


def _as_written(source: Source, block: Wide, occasion: str, form: _Form) -> str:
    """Return the occasion of a form as the names of its columns write it, with zeros in front."""
    parts = [block.pattern.match(source.header.names[position]) or {} for position in form.values()]
    return next((each["occasion"] for each in parts if "occasion" in each), occasion)


def _name(block: Wide, item: str, occasion: str, respondent: str) -> str:
    """Return the name of a column after its pattern."""
    words = {
        "{item}": next((said for said, ours in block.items.items() if ours == item), item),
        "{respondent}": next((said for said, code in block.respondents.items() if code == respondent), respondent),
        "{occasion}": occasion,
    }
    name = block.pattern.text
    for placeholder, word in words.items():
        name = name.replace(placeholder, word)
    return name


def _filled_in(source: Source, sheet: Sheet, forms: list[_Placed]) -> list[npt.NDArray[np.intp]]:
    """Return for each form the rows on which something was filled in for it.

    A date or a caseworker that two forms of an occasion share is that of the other, where that one alone has more.
    """
    sharing: dict[tuple[str, int], list[int]] = defaultdict(list)
    places: list[list[tuple[str, int]]] = []
    for number, (block, said, _, form) in enumerate(forms):
        occasion = said or {**sheet.entry.constants, **block.constants}.get("occasion", "")
        places.append([(occasion, position) for position in form.values()])
        for place in places[-1]:
            sharing[place].append(number)
    nothing = np.zeros(len(sheet.rows), dtype=bool)

    def filled(place: tuple[str, int]) -> npt.NDArray[np.bool_]:
        return ~source.body.columns[place[1]].blank

    own = [_any(nothing, (filled(place) for place in each if len(sharing[place]) == 1)) for each in places]
    return [
        np.flatnonzero(
            _any(
                own[number],
                (
                    filled(place) & ~_any(nothing, (own[other] for other in sharing[place] if other != number))
                    for place in each
                    if len(sharing[place]) > 1
                ),
            )
        )
        for number, each in enumerate(places)
    ]


def _any(first: npt.NDArray[np.bool_], others: Iterable[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """Return where one of several is true."""
    found: npt.NDArray[np.bool_] = np.logical_or.reduce([first, *others])
    return found


def _form_sheet(
    source: Source,
    sheet: Sheet,
    block: Wide,
    occasion: str,
    respondent: str,
    form: _Form,
    kept: npt.NDArray[np.intp],
) -> Sheet:
    """Return the rows on which one form was filled in."""
    done = replace(
        sheet,
        rows=sheet.rows[kept],
        columns={name: _taken(cells, kept) for name, cells in sheet.columns.items()},
        names=dict(sheet.names),
        value_labels=dict(sheet.value_labels),
        user_missing=dict(sheet.user_missing),
        shown={},
    )
    for canonical, position in form.items():
        source.add(done, position, canonical, _taken(source.as_shown(sheet.table, position, canonical), kept))
        done.shown[canonical] = block.pattern.text.replace("{item}", canonical)
    constants = {**block.constants, **({"respondent": respondent} if respondent else {})}
    constants |= {"occasion": occasion} if occasion else {}
    for canonical, value in constants.items():
        if canonical not in done.columns or canonical in {"occasion", "respondent"}:
            done.columns[canonical] = constant(value, len(kept))
    return done


def _taken(cells: Cells, rows: np.ndarray) -> Cells:
    """Return some rows of a column."""
    return Cells(cells.distinct, cells.position[rows])
