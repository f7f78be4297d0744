"""One row with the answers of many occasions becomes one form per occasion."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.mapping import Wide
from bipstudy.loaders.names import column_names, key
from bipstudy.loaders.source import Sheet, Source, constant
from bipstudy.schema import Finding, fold

# Columns of one form: which columns of the file hold which of ours.
_Form = dict[str, int]
# Occasion as it is numbered, "" where the names have none, and respondent.
_Key = tuple[str, str]
# What two who both answered share, and what alone is no form of the one who did not.
_OF_WHO_ANSWERED = {"answered_on", "caseworker_id", "mode", "instrument"}


@dataclass(frozen=True)
class _Placed:
    """A form: where the mapping has it, its occasion and respondent as the names have them, and its columns."""

    sheet: Sheet
    block: Wide
    occasion: str
    respondent: str
    form: _Form

    def says(self, name: str) -> str:
        """Return the occasion or respondent, also where the mapping sets it."""
        said = self.occasion if name == "occasion" else self.respondent
        return said or {**self.sheet.entry.constants, **self.block.constants}.get(name, "")

    @property
    def may_be_answered(self) -> bool:
        """Whether the mapping does not say that nobody answered the form."""
        said = "" if "form_status" in {*self.form, *self.sheet.names} else self.says("form_status")
        return not said or schema.code_list("form_status").spellings.get(fold(said), "answered") == "answered"

    @property
    def items(self) -> set[str]:
        """Items that the form has a column for."""
        return set(self.form) & set(schema.items())


def unfold(source: Source, bound: Sequence[tuple[Sheet, set[int]]], findings: list[Finding]) -> list[list[Sheet]]:
    """Return one sheet per occasion and respondent, with the rows on which something was answered.

    Parameters
    ----------
    source : Source
        The raw sheet.
    bound : sequence of (Sheet, set of int)
        For each entry of the mapping that has blocks what stands once per row, ids and the like, and the positions of
        the columns that became part of the table; those used here are added.
    findings : list of Finding
        A finding for each column that says once more what another says of the same form is added here.

    Returns
    -------
    list of list of Sheet
        For each entry in the order of its blocks, of occasions and of respondents. Without rows where no column fits.
    """
    placed: list[_Placed] = []
    for sheet, used in bound:
        taken, twice = frozenset(used), dict[int, int]()
        for block in sheet.entry.wide:
            placed += [_Placed(sheet, block, *each, form) for each, form in _forms(source, block, taken, used, twice)]
        for position, first in sorted(twice.items()):
            values: dict[str, object] = {"column": source.shown(first)}
            finding = sheet.finding("duplicate-column", count=len(sheet.rows), values=values)
            findings.append(replace(finding, column=source.shown(position)))
    told = zip(placed, _filled_in(source, placed), _told_at(source, placed), _lacking(source, placed), strict=True)
    done = [
        (each.sheet, replace(_form_sheet(source, each, kept), told_at=told_at, lacks=lacks))
        for each, kept, told_at, lacks in told
    ]
    return [[form for of, form in done if of is sheet] or [_without_rows(sheet)] for sheet, _ in bound]


def _without_rows(sheet: Sheet) -> Sheet:
    """Return a sheet of which nothing is a form."""
    return replace(sheet, rows=sheet.rows[:0], columns={name: _none() for name in sheet.columns})


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
    shared = {said: columns for (said, who), columns in forms.items() if not who and not set(columns) & set(items)}
    # What names an occasion and no respondent is that of both.
    forms = {(said, who): {**(shared.get(said, {}) if who else {}), **own} for (said, who), own in forms.items()}
    kept = {form: columns for form, columns in forms.items() if set(columns) & set(items)}
    twice |= {position: kept[form][canonical] for form, canonical, position in again if form in kept}
    return sorted(kept.items(), key=lambda each: (len(each[0][0]), *each[0]))


def _lacking(source: Source, placed: list[_Placed]) -> Iterator[dict[str, str]]:
    """Yield for each form the items that other forms of its respondent have, and what the columns would be called."""
    asked: dict[str, set[str]] = defaultdict(set)
    for each in placed:
        asked[each.says("respondent")] |= each.items
    for each in placed:
        block, written = each.block, _as_written(source, each)
        beside = [other.form for other in placed if other.block is block and other.respondent == each.respondent]
        names: dict[str, str] = {}
        for item in asked[each.says("respondent")] - each.items:
            said = (source.header.names[other[item]] for other in beside if item in other)
            found = (block.pattern.with_occasion(name, written) for name in said)
            names[item] = next(filter(None, found), None) or _name(block, item, written, each.respondent)
        yield names


def _told_at(source: Source, placed: list[_Placed]) -> Iterator[str]:
    """Yield for each form a column that is its own: its date, or else the first of its answers."""
    used = Counter(position for each in placed for position in each.form.values())
    for each in placed:
        date = each.form.get("answered_on")
        first = min(each.form[item] for item in each.items)
        yield source.named(first if date is None or used[date] > 1 else date)


def _as_written(source: Source, each: _Placed) -> str:
    """Return the occasion of a form as the names of its columns write it, with zeros in front."""
    parts = [each.block.pattern.match(source.header.names[position]) or {} for position in each.form.values()]
    return next((part["occasion"] for part in parts if "occasion" in part), each.occasion)


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


def _filled_in(source: Source, placed: list[_Placed]) -> list[npt.NDArray[np.intp]]:
    """Return for each form the rows on which something was filled in for it.

    What says that somebody answered, and two forms of an occasion share, is the other's where that one alone has more.
    A day that a form was due on is its own, and so is all that one has which the mapping says was never answered.
    """
    sharing: dict[tuple[str, int], list[int]] = defaultdict(list)
    places: list[list[tuple[str, int]]] = []
    of_itself: list[set[int]] = []
    for number, each in enumerate(placed):
        places.append([(each.says("occasion"), position) for position in each.form.values()])
        told = _OF_WHO_ANSWERED if each.may_be_answered else set()
        of_itself.append({position for canonical, position in each.form.items() if canonical not in told})
        for place in places[-1]:
            sharing[place].append(number)
    nothing = np.zeros(len(source.body.rows), dtype=bool)

    def filled(place: tuple[str, int]) -> npt.NDArray[np.bool_]:
        return ~source.body.columns[place[1]].blank

    def is_own(number: int, place: tuple[str, int]) -> bool:
        return len(sharing[place]) == 1 or place[1] in of_itself[number]

    own = [
        _any(nothing, (filled(place) for place in group if is_own(number, place)))
        for number, group in enumerate(places)
    ]
    return [
        np.flatnonzero(
            _any(
                own[number],
                (
                    filled(place) & ~_any(nothing, (own[other] for other in sharing[place] if other != number))
                    for place in group
                    if not is_own(number, place)
                ),
            )
        )
        for number, group in enumerate(places)
    ]


def _any(first: npt.NDArray[np.bool_], others: Iterable[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """Return where one of several is true."""
    found: npt.NDArray[np.bool_] = np.logical_or.reduce([first, *others])
    return found


def _form_sheet(source: Source, placed: _Placed, kept: npt.NDArray[np.intp]) -> Sheet:
    """Return the rows on which one form was filled in."""
    sheet, block, occasion, respondent = placed.sheet, placed.block, placed.occasion, placed.respondent
    done = replace(
        sheet,
        rows=sheet.rows[kept],
        columns={name: _taken(cells, kept) for name, cells in sheet.columns.items()},
        names=dict(sheet.names),
        value_labels=dict(sheet.value_labels),
        user_missing=dict(sheet.user_missing),
        shown={},
    )
    for canonical, position in placed.form.items():
        source.add(done, position, canonical, _taken(source.as_shown(sheet.table, position, canonical), kept))
        done.shown[canonical] = block.pattern.text.replace("{item}", canonical)
    constants = {**block.constants, **({"respondent": respondent} if respondent else {})}
    constants |= {"occasion": occasion} if occasion else {}
    # What a block sets is meant before what the entry sets for all, and what a column says before both.
    again = {"occasion", "respondent"} | (set(sheet.entry.constants) - set(placed.form))
    for canonical, value in constants.items():
        if canonical not in done.columns or canonical in again:
            done.columns[canonical] = constant(value, len(kept))
    return done


def _taken(cells: Cells, rows: np.ndarray) -> Cells:
    """Return some rows of a column."""
    return Cells(cells.distinct, cells.position[rows])
