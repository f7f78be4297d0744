"""The block of a draft for answers of several occasions or respondents that stand side by side."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.draft_hints import dates_of_occasions, fits, quoted, whose
from bipstudy.loaders.draft_wide import Shape, dates_of_shapes, literal, shapes
from bipstudy.loaders.names import column_names, key
from bipstudy.loaders.recognition import value_synonyms
from bipstudy.loaders.source import Source
from bipstudy.texts import text

# Pattern, what it calls the items and the respondents, patterns of dates, and what is the same on every form.
_Block = tuple[str, dict[str, str | None], dict[str, str], list[str], dict[str, str]]


def answer_columns(source: Source, found: set[str], taken: set[str]) -> list[Cells]:
    """Return the columns of answers of a sheet, by their names or as items by occasions."""
    known = column_names("measurements")
    beside = side_by_side(source, taken)
    return [
        source.body.columns[position]
        for position in range(len(source.header.names))
        if any(
            key(name) in beside or known.get(key(name)) in found & set(schema.items())
            for name in source.spellings(position)
        )
    ]


def side_by_side(source: Source, taken: set[str]) -> set[str]:
    """Return the names, by `key`, of the columns that are items by occasions, and of their dates."""
    found = shapes(source.header.names, taken)
    named = {key(name) for shape in found for name in shape.occasions}
    return named | {key(name) for names in _dates(source, found).values() for name in names}


def wide_block(source: Source, taken: set[str], language: str = "sv") -> list[str]:
    """Return the lines of a block for columns that are items by occasions."""
    found = shapes(source.header.names, taken)
    if not found:
        return []
    dates = dates_of_shapes([shape.pattern for shape in found], list(_dates(source, found)))
    lines = ["wide:"]
    for pattern, items, respondents, own, same in _blocks(found, dates, whose(source.grid.file, source.grid.sheet)):
        lines.append(f"  - pattern: {quoted(pattern)}")
        lines += ["    items:"] if items else []
        lines += [f'      "{said}": {meant or "?"}' for said, meant in items.items()]
        lines += [f"    respondents: {_flow(respondents)}"] if respondents else []
        if len(own) == 1:
            lines.append(f"    columns: {{{quoted(own[0])}: answered_on}}")
        elif own:
            lines += ["    columns:", f"      # {text('loaders.draft_dates', language)}"]
            lines += [f"      {quoted(each)}: ?" for each in own]
        lines.append(f"    set: {{{', '.join(f'{column}: {value}' for column, value in same.items())}}}")
    return lines


def block_of_both(who: Mapping[str, str]) -> list[str]:
    """Return the lines of a block for columns that are items of two respondents, by the words for them."""
    lines = ["wide:", '  - pattern: "{respondent} {item}"', f"    respondents: {_flow(who)}"]
    return [*lines, "    set: {form_status: answered}"]


def occasion_values(source: Source, taken: set[str], language: str, mark: str) -> list[str]:
    """Return the lines on numbers in names that no occasion has, such as 202401 and 0, with numbers in their order."""
    numbers = sorted({at for shape in shapes(source.header.names, taken) for at in shape.occasions.values()})
    column = schema.table("measurements").column("occasion")
    low, high = column.minimum, column.maximum
    if not numbers or (low is not None and high is not None and low <= numbers[0] and numbers[-1] <= high):
        return []
    lines = [f'          # {mark} "{number}": {at}' for at, number in enumerate(numbers, 1)]
    return ["        occasion:", f"          # {text('loaders.draft_occasions', language)}", *lines]


def _flow(entries: Mapping[str, str]) -> str:
    """Return entries as YAML writes them on one line."""
    return f"{{{', '.join(f'{quoted(said)}: {meant}' for said, meant in entries.items())}}}"


def _dates(source: Source, found: Sequence[Shape]) -> dict[str, list[str]]:
    """Return the patterns of the columns of dates that go with items by occasions, and their names."""
    if not found:
        return {}
    occasions = {at for shape in found for at in shape.occasions.values()}
    is_date = [fits(cells, "measurements", "answered_on") for cells in source.body.columns[: len(source.header.names)]]
    return dates_of_occasions(source.header.names, is_date, occasions)


def _blocks(found: Sequence[Shape], dates: Sequence[list[str]], of_file: str | None) -> Iterator[_Block]:
    """Yield the blocks for shapes, one for the two respondents where only the word for them is another.

    A date that names no respondent is one of both, which needs a block for each.
    """
    alike: dict[tuple[str, ...], list[tuple[Shape, list[str]]]] = defaultdict(list)
    for shape, own in zip(found, dates, strict=True):
        general = [_general(each, shape.word) for each in (shape.pattern, *own)] if shape.word else []
        together = general and all("{respondent}" in each for each in general)
        alike[tuple(general) if together else (shape.pattern,)].append((shape, own))
    for patterns, group in alike.items():
        who = {shape.word: _respondent(shape, of_file) for shape, _ in group}
        if len(set(who.values())) == len(group) > 1:
            yield patterns[0], {}, who, list(patterns[1:]), {"form_status": "answered"}
            continue
        for shape, own in group:
            same = {"respondent": _respondent(shape, of_file), "form_status": "answered"}
            yield shape.pattern, shape.items, {}, own, same


def _general(pattern: str, word: str) -> str:
    """Return a pattern with the place of the respondent instead of a word."""
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "{respondent}", pattern, count=1, flags=re.IGNORECASE)


def _respondent(shape: Shape, of_file: str | None) -> str:
    """Return whose answers the columns of a shape hold."""
    before = shape.pattern.split("{")[0]
    known = value_synonyms()["respondent"]
    said = known.get(key(before)) or known.get(key(shape.word)) or whose(before) or whose(literal(shape.pattern))
    return said or of_file or "participant"
