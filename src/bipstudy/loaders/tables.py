"""From recognised sheets to typed tables: values, the place each row came from, and what could not be read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.cells import MISSING, Cells, Parsed, for_each, parse
from bipstudy.loaders.labels import meanings
from bipstudy.loaders.mapping import Mapping
from bipstudy.loaders.recognition import is_error_value
from bipstudy.loaders.source import Sheet
from bipstudy.schema import Finding, fold
from bipstudy.texts import LANGUAGES

_PERCENT = re.compile(r"([+-]?\d{1,9}(?:[.,]\d{1,12})?) ?%", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\d,\d", re.ASCII)
_PRECISIONS = {
    **{name: name for name in schema.PRECISIONS},
    "dag": "day",
    "månad": "month",
    "kvartal": "quarter",
}


@dataclass(frozen=True)
class Part:
    """The rows of one sheet as values.

    Attributes
    ----------
    sheet : Sheet
    frame : DataFrame
        Canonical columns that the sheet has, in canonical types; rows in the order of the sheet.
    reasons : DataFrame
        For each item of which the sheet says it, why its answer is missing, ``""`` where nothing is said.
    """

    sheet: Sheet
    frame: pd.DataFrame
    reasons: pd.DataFrame


def read_sheet(sheet: Sheet, mapping: Mapping, findings: list[Finding]) -> Part:
    """Read the text of a sheet as values.

    Parameters
    ----------
    sheet : Sheet
    mapping : Mapping
        The organisation's own values.
    findings : list of Finding
        A finding for each cell that could not be read is added here; the cell itself is never repeated.

    Returns
    -------
    Part
    """
    values: dict[str, pd.Series] = {}
    reasons: dict[str, pd.Series] = {}
    # Dates before precisions.
    names = sorted(sheet.columns, key=lambda name: name.endswith("_precision"))
    read = for_each(lambda name: _read(sheet, name, mapping), names, len(sheet.rows))
    for name, (failed, parsed) in zip(names, read, strict=True):
        kind, codes = _kind(sheet.table, name)
        findings += [sheet.finding("spreadsheet-error", name, row=int(row)) for row in sheet.rows[failed]]
        findings += [sheet.finding(code, name, count=count) for code, count in parsed.notes.items()]
        for code, rows in parsed.problems.items():
            findings += _findings(sheet, name, code, rows, codes)
        # A column of precisions is more telling than the way a date is written, where it says something.
        written = values.get(name)
        values[name] = parsed.values if written is None else parsed.values.where(parsed.values.notna(), written)
        if parsed.precision is not None:
            values[f"{name}_precision"] = parsed.precision
        if kind == "item":
            values[name], why_not = _without_dont_know(name, parsed)
            reasons |= {} if why_not is None else {name: why_not}
    index = pd.RangeIndex(len(sheet.rows))
    frame, why = pd.DataFrame(values, index=index, copy=False), pd.DataFrame(reasons, index=index, copy=False)
    if not sheet.entry.distinct:
        return Part(sheet, frame, why)
    kept = ~frame.duplicated().to_numpy()
    rest = replace(sheet, rows=sheet.rows[kept])
    return Part(rest, frame[kept].reset_index(drop=True), why[kept].reset_index(drop=True))


def _read(sheet: Sheet, name: str, mapping: Mapping) -> tuple[npt.NDArray[np.intp], Parsed]:
    """Return the positions of the rows that hold the error of a formula, and the column as values."""
    kind, codes = _kind(sheet.table, name)
    cells, failed = without_errors(sheet.columns[name])
    cells = _translated(sheet, name, kind, codes, cells, mapping)
    return failed, _parse(kind, codes, cells, {**mapping.missing, **sheet.entry.missing})


def without_errors(cells: Cells) -> tuple[Cells, npt.NDArray[np.intp]]:
    """Return a column with the errors of formulas taken out, and the positions of the rows that had one."""
    wrong = [is_error_value(text) for text in cells.distinct]
    if not any(wrong):
        return cells, np.array([], dtype=np.intp)
    blank = ["" if error else text for text, error in zip(cells.distinct, wrong, strict=True)]
    return Cells(blank, cells.position), cells.rows_of(wrong)


def lacking(sheets: list[Sheet]) -> list[Finding]:
    """Return the findings on columns that the sheets of one table lack.

    Parameters
    ----------
    sheets : list of Sheet
        All sheets of one table.

    Returns
    -------
    list of Finding
        Per sheet for columns; once for an item of the questionnaire, which may stand in one of several sheets.
    """
    table = schema.table(sheets[0].table)
    found = [
        sheet.finding("missing-column", column.name, count=len(sheet.rows), values=_labels(table, column.label))
        for sheet in sheets
        for column in table.columns
        if column.name not in sheet.columns and not (column.optional or column.assigned)
    ]
    if any(sheet.entry.wide for sheet in sheets):
        # One line per file: what each form of it lacks.
        found = list({(each.file, each.sheet, each.column): each for each in found}.values())
    if not table.has_items:
        return found
    present = {name for sheet in sheets for name in sheet.columns}
    rows = sum(len(sheet.rows) for sheet in sheets)
    found += [
        sheets[0].finding("missing-item-column", item.id, count=rows, values=_labels(table, item.label))
        for item in schema.instrument(best_instrument(present)).items
        if item.id not in present
    ]
    return found


def best_instrument(present: set[str]) -> str:
    """Return the questionnaire that has most of the items present, the default one among equals."""
    return max(
        schema.instruments().values(),
        key=lambda instrument: (
            sum(item.id in present for item in instrument.items),
            -sum(item.id not in present for item in instrument.items),
        ),
    ).name


def _labels(table: schema.Table, label: dict[str, str]) -> dict[str, object]:
    """Return what the texts of a finding call a table and a column, each in both languages."""
    return {"table_label": table.label, "column_label": label}


def _kind(table: str, name: str) -> tuple[str, str | None]:
    """Return the kind of a canonical column and its code list."""
    if name.endswith("_precision"):
        return "precision", None
    if name in schema.items():
        return "item", None
    column = schema.table(table).column(name)
    return column.kind, column.codes


def _parse(kind: str, codes: str | None, cells: Cells, missing: dict[str, str]) -> Parsed:
    """Read a column by its kind; the organisation's own markers hold for answers and codes, not for ids and numbers."""
    if kind == "precision":
        parsed = parse("code", cells, _PRECISIONS)
        unknown = parsed.problems.get("unknown-code")
        return Parsed(parsed.values, problems={} if unknown is None else {"unknown-precision": unknown})
    markers = {**MISSING, **missing} if kind in {"item", "code"} else MISSING
    return parse(kind, cells, schema.code_list(codes).spellings if codes else None, markers)


def _translated(sheet: Sheet, name: str, kind: str, codes: str | None, cells: Cells, mapping: Mapping) -> Cells:
    """Return a column with the organisation's values and dates, and the labels of the file, replaced by ours."""
    own = sheet.entry.values.get(name, {})
    labels, declared = sheet.value_labels.get(name, {}), sheet.user_missing.get(name, frozenset())
    dates = (sheet.entry.date_format or mapping.date_format) if kind == "date" else None
    if kind == "number" and any("%" in text for text in cells.distinct):
        whole = schema.table(sheet.table).column(name).maximum
        mark = "," if any(map(_DECIMAL_COMMA.search, cells.distinct)) else "."
        cells = Cells([_without_percent(text, whole, mark) for text in cells.distinct], cells.position)
    if not (own or labels or declared or dates):
        return cells
    markers = {**MISSING, **mapping.missing, **sheet.entry.missing}
    spellings = schema.code_list(codes).spellings if codes else {}
    gone = {text for text, label in labels.items() if fold(label) in markers} | declared | {""}
    present = [text for text in cells.present if text not in gone]
    labelled = meanings(name, kind, present, labels, spellings)

    def meant(text: str) -> str:
        label = labels.get(text)
        for said in (text, label):
            if said is not None and fold(said) in own:
                return own[fold(said)]
        if dates is not None:
            return dates.iso(labelled.get(text, text))
        if label is not None and fold(label) in markers:
            return label
        if text in declared:
            return text if fold(text) in markers else ""
        return labelled.get(text, text)

    return Cells([meant(text) for text in cells.distinct], cells.position)


def _without_percent(text: str, whole: float | None, mark: str) -> str:
    """Return a percentage as the number of a column whose whole is 1 or 100, and all else as it is.

    What has no decimals may have some as a share: they are written with the mark of the column.

    Examples
    --------
    >>> _without_percent("62,5 %", 100, ","), _without_percent("62,5 %", 1, ","), _without_percent("62,5 %", 168, ",")
    ('62,5', '0,625', '62,5 %')
    >>> _without_percent("25 %", 1, ","), _without_percent("2.5 %", 1, ",")
    ('0,25', '0.025')
    """
    found = _PERCENT.fullmatch(text)
    if found is None or whole not in {1, 100}:
        return text
    share = Decimal(found[1].replace(",", ".")) / (100 // int(whole))
    own = next((each for each in ",." if each in found[1]), mark)
    return f"{share.normalize():f}".replace(".", own)


def _without_dont_know(name: str, parsed: Parsed) -> tuple[pd.Series, pd.Series | None]:
    """Return the answers and reasons of an item with the questionnaire's own code for "don't know" taken out."""
    reasons = None if parsed.reasons is None else pd.Series(parsed.reasons, dtype=object)
    code = schema.items()[name].dont_know
    said = None if code is None else (parsed.values == code).fillna(False).astype(bool)
    if said is None or not said.any():
        return parsed.values, reasons
    if reasons is None:
        reasons = pd.Series("", index=parsed.values.index, dtype=object)
    return parsed.values.mask(said), reasons.mask(said, "dont_know")


def _findings(sheet: Sheet, name: str, code: str, rows: npt.NDArray[np.intp], codes: str | None) -> list[Finding]:
    """Return a finding for each cell that could not be read, or one for a column that mixes its marks."""
    if code == "mixed-decimal-marks":
        return [sheet.finding(code, name, count=len(rows))]
    values: dict[str, object] = {}
    if code == "unknown-code" and codes:
        table, allowed = schema.table(sheet.table), schema.code_list(codes)
        known = {language: ", ".join(allowed.labels(language).values()) for language in LANGUAGES}
        values = {**_labels(table, table.column(name).label), "known": known}
    return [sheet.finding(code, name, row=int(row), values=values) for row in sheet.rows[rows]]
