"""One row with the answers of many occasions becomes one form per occasion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from bipstudy import schema
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.mapping import Wide
from bipstudy.loaders.names import column_names, key
from bipstudy.loaders.sheets import Sheet, Source, constant

# Columns of one form: which columns of the file hold which of ours.
_Form = dict[str, int]


def unfold(source: Source, sheet: Sheet, used: set[int]) -> list[Sheet]:
    """Return one sheet per occasion and respondent, with the rows on which something was answered.

    Parameters
    ----------
    source : Source
        The raw sheet.
    sheet : Sheet
        What stands once per row: ids and the like.
    used : set of int
        Positions of the columns that became part of a table; those used here are added.

    Returns
    -------
    list of Sheet
        In the order of the blocks of the mapping, of occasions and of respondents. Without rows where no column fits.
    """
    sheets = []
    taken = frozenset(used)
    for block in sheet.entry.wide:
        for (occasion, respondent), form in sorted(_forms(source, block, taken, used).items()):
            sheets.append(_form_sheet(source, sheet, block, form, occasion, respondent))
    return sheets or [replace(sheet, rows=sheet.rows[:0], columns={name: _none() for name in sheet.columns})]


def _none() -> Cells:
    """Return a column without rows."""
    return Cells([], np.zeros(0, dtype=np.intp))


def _forms(source: Source, block: Wide, taken: frozenset[int], used: set[int]) -> dict[tuple[int, str], _Form]:
    """Return for each occasion and respondent the positions of its columns.

    A date may be that of the forms of several blocks, where participant and caseworker answered on the same day.
    """
    known = column_names("measurements")
    items = schema.items()
    forms: dict[tuple[int, str], _Form] = defaultdict(dict)
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
            # Without a number in the names, the rows are occasions, and -1 stands for that of the row.
            said = parts.get("occasion", "-1")
            forms[int(said) if len(said) < 4 else 0, who].setdefault(canonical, position)
            used.add(position)
            break
    return {form: columns for form, columns in forms.items() if set(columns) & set(items)}


def _form_sheet(source: Source, sheet: Sheet, block: Wide, form: _Form, occasion: int, respondent: str) -> Sheet:
    """Return the rows on which one form was answered."""
    blank = np.logical_and.reduce([source.body.columns[position].blank for position in form.values()])
    kept = np.flatnonzero(~blank)
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
    constants |= {"occasion": str(occasion)} if occasion >= 0 else {}
    for canonical, value in constants.items():
        if canonical not in done.columns or canonical in {"occasion", "respondent"}:
            done.columns[canonical] = constant(value, len(kept))
    return done


def _taken(cells: Cells, rows: np.ndarray) -> Cells:
    """Return some rows of a column."""
    return Cells(cells.distinct, cells.position[rows])
