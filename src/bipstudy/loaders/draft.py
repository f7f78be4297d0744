"""A draft of an organisation's mapping, from names, labels and values; what is a guess is marked and not applied."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bipstudy import schema
from bipstudy.loaders.cells import MISSING
from bipstudy.loaders.draft_blocks import answer_columns, block_of_both, occasion_values, side_by_side, wide_block
from bipstudy.loaders.draft_hints import (
    both_on_a_row,
    date_format,
    fits,
    lines_on_missing,
    lines_on_what_lacks,
    off_scale,
    quoted,
    whose,
    worded_answers,
)
from bipstudy.loaders.draft_wide import worded_occasions
from bipstudy.loaders.formats import read_path
from bipstudy.loaders.grids import Grid
from bipstudy.loaders.headers import find_header, is_turned, read_body
from bipstudy.loaders.mapping import within
from bipstudy.loaders.mapping_file import UNSURE
from bipstudy.loaders.names import all_column_names, column_names, key, table_by_name, words
from bipstudy.loaders.recognition import column_synonyms, forbidden, is_mojibake, vague_names, value_synonyms
from bipstudy.loaders.sheets import has_answers_on_rows
from bipstudy.loaders.source import Source, heading_may_be_shown, may_be_shown
from bipstudy.schema import fold
from bipstudy.texts import BipstudyError, text

_ALIKE = 0.84
# How well a name says a column that is vague, or a sentence that speaks of it in a word of at least so many letters.
_VAGUE, _SPOKEN_OF, _LONG = 0.3, 0.4, 7
_READABLE = 0.95
_FEW_VALUES = 15


@dataclass(frozen=True)
class _Guess:
    """Which of our columns one of theirs may be, and whether names and content both say so."""

    position: int
    name: str
    canonical: str
    sure: bool


def draft_mapping(path: str | Path, language: str = "sv") -> str:
    r"""Return the draft of a mapping for a file, a folder or an archive.

    Names, labels and values are compared without case and accents. A line that is a guess is a comment marked OSÄKERT
    (in English UNSURE): `load_submission` refuses a mapping as long as a mark is left.

    Parameters
    ----------
    path : str or Path
    language : {"sv", "en"}

    Returns
    -------
    str
        YAML.

    Raises
    ------
    BipstudyError
        There is no such file, or nothing in it can be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "klienter.csv")
    ...     _ = file.write_text("Klientnr;Kön;Startdatum\n1;K;2024-01-01\n2;Tjej;2024-02-01\n", "utf-8")
    ...     print("\n".join(draft_mapping(file).splitlines()[8:15]))
          columns:
            "Klientnr": participant_id
            "Kön": sex
            "Startdatum": entered_on
          values:
            sex:
              # OSÄKERT "Tjej": ?
    """
    path = Path(path)
    if not path.exists():
        raise BipstudyError("loaders.no_path", path=path)
    grids = [grid for grid in read_path(path).grids if not grid.helper]
    if not grids:
        raise BipstudyError("loaders.nothing_to_map", path=path.name)
    tables: dict[str, list[str]] = defaultdict(list)
    comments: list[str] = []
    for grid in grids:
        header = find_header(grid, set())
        if header is None:
            continue
        source = Source(grid, header, read_body(grid, header))
        table, sure = _table(source)
        if (why_not := _left_out(source, table)) is not None:
            comments.append(text(why_not, language, place=_place(grid)))
        elif table is not None:
            where = _where(grid, grids)
            tables[table] += where + _entry(source, table, sure, language)
            if table != "measurements" and wide_block(source, set()):
                tables["measurements"] += where + _wide_entry(source, language)
    lines = [
        *_wrapped(text("loaders.draft_head", language, path=path.name, mark=UNSURE[language])),
        "schema_version: 1",
    ]
    lines += [f"# {comment}" for comment in comments] + ["tables:"]
    for name in schema.TABLE_NAMES:
        lines += [f"  {name}:", *tables[name]] if tables[name] else []
    return "\n".join(lines) + "\n"


def _left_out(source: Source, table: str | None) -> str | None:
    """Return the text that says why there is nothing to draft for a sheet, None where there is."""
    grid, header = source.grid, source.header
    if grid.spoilt or any(map(is_mojibake, header.names)):
        return "loaders.draft_spoilt"
    if is_turned(grid, header):
        return "loaders.draft_turned"
    if table is None:
        return "loaders.draft_no_table"
    return "loaders.draft_answers_on_rows" if has_answers_on_rows(source, [table]) else None


def _wrapped(words: str) -> list[str]:
    """Return words as lines of a comment."""
    import textwrap

    return textwrap.wrap(words, 118, initial_indent="# ", subsequent_indent="# ")


def _place(grid: Grid) -> str:
    """Return what file and sheet are called."""
    return ", ".join(filter(None, (grid.file, grid.sheet)))


def _where(grid: Grid, grids: Sequence[Grid]) -> list[str]:
    """Return the lines by which an entry names a sheet: a file by its path where another has the same name.

    The path within an archive is the one that the files have outside it, and that does not change with its name.
    """
    alike = {each.file for each in grids if key(Path(each.file).name) == key(Path(grid.file).name)}
    paths = [key(within(file)) for file in alike]
    path = within(grid.file) if paths.count(key(within(grid.file))) == 1 else grid.file
    named = {"sheet": grid.sheet, "file": path if len(alike) > 1 else Path(grid.file).name}
    lines = [f"{what}: {quoted(name)}" for what, name in named.items() if name]
    return [f"    {'  ' if at else '- '}{line}" for at, line in enumerate(lines)]


def _table(source: Source) -> tuple[str | None, bool]:
    """Return the table that a sheet is most like, and whether its name says so as well."""
    grid = source.grid
    named = table_by_name(grid.sheet or "") or table_by_name(Path(grid.file).stem)
    scores = {}
    for name, table in schema.tables().items():
        wanted = {column.name for column in table.columns if not (column.optional or column.assigned)}
        # That there is a name does not tell organisations from persons.
        told = (each for each in _guesses(source, name) if not any(map(forbidden, source.spellings(each.position))))
        found = {guess.canonical for guess in told}
        items = len(found & set(schema.items())) + bool(name == "measurements" and wide_block(source, set()))
        scores[name] = len(found & wanted) - 0.5 * len(wanted - found) + 0.4 * len(found - wanted) + items
    best = max(scores, key=lambda name: (scores[name], -list(scores).index(name)))
    if named is not None and scores[named] >= scores[best] - 2:
        return named, True
    if scores[best] <= 0 and named is None and wide_block(source, set()):
        # Little but answers side by side.
        return "measurements", False
    return (best, False) if scores[best] > 0 else (named, False)


def _entry(source: Source, table: str, sure: bool, language: str) -> list[str]:
    """Return the lines of one entry of a table, below those that name its sheet."""
    grid, mark = source.grid, UNSURE[language]
    lines = []
    if not sure:
        question = text("loaders.draft_table", language, table=schema.table(table).label[language])
        lines.append(f"      # {mark} {question}")
    who, both = both_on_a_row(source.header.names) if table == "measurements" else ({}, set())
    guesses = [guess for guess in _guesses(source, table) if source.header.names[guess.position] not in both]
    dates = _dates(source)
    if dates is not None and not all(_plain_dates(source, guess, table) for guess in guesses):
        lines.append(f"      {'' if dates[1] else f'# {mark} '}date_format: {dates[0]}")
    lines += _columns(guesses, language)
    # Several columns may be one of ours, and what they say is the same values.
    values = {guess.canonical: dict[str, None]() for guess in guesses}
    for guess in guesses:
        values[guess.canonical] |= dict.fromkeys(_values(source, table, guess, mark))
    told = {guess.position for guess in guesses}
    taken = {key(guess.name) for guess in guesses} | {key(name) for name in both}
    if table == "measurements" and not both:
        values.setdefault("occasion", {}).update(dict.fromkeys(occasion_values(source, taken, language, mark)))
    lines += ["      values:"] if any(values.values()) else []
    lines += [line for each in values.values() for line in each]
    found = {guess.canonical for guess in guesses} | ({"respondent", "form_status"} if both else set())
    wide = wide_block(source, taken, language) if table == "measurements" and not both else []
    wide += block_of_both(who) if both else []
    found |= {"answered_on"} if any("answered_on" in line for line in wide) else set()
    lines += [f"      # {mark} {line}" for line in wide]
    if table == "measurements":
        lines += lines_on_missing(off_scale(answer_columns(source, found, taken)), language, mark)
    lines += lines_on_what_lacks(
        table, found, whose(grid.file, grid.sheet), language, mark, wide=bool(wide and not both)
    )
    taken |= side_by_side(source, taken)
    for position in range(len(source.header.names)):
        name = source.shown(position)
        if key(source.header.names[position]) in taken or position in told or not source.spellings(position):
            continue
        refused = next(filter(None, map(forbidden, source.spellings(position))), None)
        said = "loaders.draft_forbidden" if refused else "loaders.draft_unknown"
        kind = refused.kind[language] if refused else ""
        lines.append(f"      # {text(said, language, name=quoted(name), kind=kind)}")
    return lines


def _columns(guesses: Sequence[_Guess], language: str) -> list[str]:
    """Return the lines on what columns are called; where several may be one of ours, a person says which it is."""
    lines, told = ["      columns:"], set[str]()
    for guess in guesses:
        alike = [each for each in guesses if each.canonical == guess.canonical]
        if guess.canonical in told:
            continue
        told.add(guess.canonical)
        if len(alike) > 1:
            lines.append(f"        # {text('loaders.draft_several', language, column=guess.canonical)}")
        for each in alike:
            mark = "" if each.sure else f"# {UNSURE[language]} "
            lines.append(f"        {mark}{quoted(each.name)}: {each.canonical}")
    return lines


def _guesses(source: Source, table: str) -> Iterator[_Guess]:
    """Yield the columns of a sheet that may be columns of a table; one of ours twice only where two fit as well."""
    found: dict[str, dict[int, tuple[float, _Guess]]] = defaultdict(dict)
    known = column_names(table)
    beside = side_by_side(source, set(known))
    for position in range(len(source.header.names)):
        if key(source.header.names[position]) in beside:
            continue
        spellings = source.spellings(position)
        own = any(key(name) in known for name in spellings)
        # A name that the mapping does not accept is no guess, and our own names say nothing of anybody.
        if not spellings or not (own or _is_named(source, position)) or (not own and any(map(forbidden, spellings))):
            continue
        for canonical, score in _candidates(spellings, table):
            fit = fits(source.body.columns[position], table, canonical)
            guess = _Guess(position, spellings[0], canonical, score == 2 or (score == 1 and fit))
            if position not in found[canonical] or score + fit > found[canonical][position][0]:
                found[canonical][position] = score + fit, guess
    chosen: dict[int, tuple[float, _Guess]] = {}
    for places in found.values():
        at = max(places, key=lambda position: (places[position][0], -position))
        if at not in chosen or places[at][0] > chosen[at][0]:
            chosen[at] = places[at]
    _add_alike(chosen, found)
    yield from (chosen[position][1] for position in sorted(chosen))


def _add_alike(chosen: dict[int, tuple[float, _Guess]], found: dict[str, dict[int, tuple[float, _Guess]]]) -> None:
    """Add the columns that fit as well as those chosen, so that a person says which it is."""
    names = {guess.name for _, guess in chosen.values()}
    for at, (score, guess) in list(chosen.items()):
        for position, (other, alike) in found[guess.canonical].items():
            # Two columns of one name are told by the loader, and no mapping can tell them apart.
            if other == score and position not in chosen and alike.name not in names:
                chosen[position] = other, replace(alike, sure=False)
                chosen[at] = score, replace(guess, sure=False)


def _is_named(source: Source, position: int) -> bool:
    """Say whether a column may be called by what the file calls it."""
    name = source.spellings(position)[0]
    # Where one heading may be an answer, those that are known are headings all the same.
    return heading_may_be_shown(name) and (not source.holds_values or key(name) in all_column_names())


def _candidates(spellings: Sequence[str], table: str) -> Iterator[tuple[str, float]]:
    """Yield columns of ours and how well a name says them: 2 our own name, 1 a known synonym, below 1 a guess."""
    known = column_names(table)
    items = [spelt for spelt, column in column_names("measurements").items() if column in schema.items()]
    for name in spellings:
        said, sought = key(name), words(name)
        if said in known:
            yield known[said], 2
            continue
        of_item = any(f" {each} " in sought for each in items)
        for canonical, synonyms in column_synonyms().items():
            if canonical not in schema.dtypes(table):
                continue
            if said in synonyms:
                yield canonical, _VAGUE if said in vague_names() else 1
            elif not of_item and any(len(each) >= _LONG and f" {each} " in sought for each in synonyms):
                # A whole sentence that speaks of it, as where the heading is the question of a form.
                yield canonical, _SPOKEN_OF
        for spelling in difflib.get_close_matches(said, list(known), 1, _ALIKE):
            yield known[spelling], difflib.SequenceMatcher(None, said, spelling).ratio() / 2


def _values(source: Source, table: str, guess: _Guess, mark: str) -> list[str]:
    """Return the lines on the values of a column of codes that are not ours."""
    if guess.canonical.endswith("_precision"):
        return []
    position = guess.position
    if guess.canonical in schema.items() or guess.canonical == "occasion":
        cells = source.body.columns[position]
        worded = worded_occasions(cells.distinct) if guess.canonical == "occasion" else worded_answers(cells)
        lines = [f"          # {mark} {quoted(said)}: {meant}" for said, meant in worded if may_be_shown(said)]
        return [f"        {guess.canonical}:", *lines] if lines and len(lines) <= _FEW_VALUES else []
    codes = schema.table(table).column(guess.canonical).codes
    if not codes:
        return []
    allowed, synonyms = schema.code_list(codes), value_synonyms().get(guess.canonical, {})
    labels = source.grid.value_labels.get(position, {})
    lines = []
    for said in sorted(source.body.columns[position].distinct)[: 4 * _FEW_VALUES]:
        meant = [fold(each) for each in (said, labels.get(said, ""))]
        if not said or any(each and (each in allowed.spellings or each in MISSING) for each in meant):
            continue
        near = difflib.get_close_matches(meant[0], list(allowed.spellings), 1, _ALIKE)
        code = synonyms.get(meant[0]) or (allowed.spellings[near[0]] if near else "?")
        if may_be_shown(said):
            lines.append(f"          # {mark} {quoted(said)}: {code}")
    return [f"        {guess.canonical}:", *lines] if lines and len(lines) <= _FEW_VALUES else []


def _dates(source: Source) -> tuple[str, bool] | None:
    """Return how a file writes dates with the year last, and whether that is certain."""
    return date_format(source.body.columns)


def _plain_dates(source: Source, guess: _Guess, table: str) -> bool:
    """Say whether a column is none of dates, or of dates that are read as they are."""
    if f"{guess.canonical}_precision" not in schema.dtypes(table):
        return True
    return date_format([source.body.columns[guess.position]]) is None


def _wide_entry(source: Source, language: str) -> list[str]:
    """Return the lines of an entry of forms in a file that holds another table as well, below those that name it."""
    mark = UNSURE[language]
    ids = [guess for guess in _guesses(source, "measurements") if guess.canonical.endswith("_id")]
    lines = _columns(ids, language)
    dates = _dates(source)
    if dates is not None:
        lines.insert(0, f"      {'' if dates[1] else f'# {mark} '}date_format: {dates[0]}")
    values = occasion_values(source, set(), language, mark)
    lines += ["      values:", *values] if values else []
    lines += [f"      # {mark} {line}" for line in wide_block(source, set(), language)]
    return lines + lines_on_missing(off_scale(answer_columns(source, set(), set())), language, mark)
