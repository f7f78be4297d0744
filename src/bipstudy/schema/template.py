"""The Excel template: a sheet per table that catches what a spreadsheet can catch, empty or filled with rows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.schema.codes import code_list, code_list_names, fold
from bipstudy.schema.instrument import Item, items
from bipstudy.schema.sources import SCHEMA_VERSION
from bipstudy.schema.tables import Column, Table, table, tables
from bipstudy.schema.template_instructions import write_instructions
from bipstudy.texts import LANGUAGES, text

# Rows that drop-downs and colours reach at least; a longer table gets more.
_ROWS = 10_000
_SPARE_ROWS = 1_000
_EPOCH = pd.Timestamp("1899-12-30")
# A fixed date, so that the same input gives the same bytes.
_CREATED = dt.datetime(2026, 1, 1)
_SCALE_OF = {"integer": (0, 100_000), "number": (0, 1_000_000), "year": (1900, 2100)}
# Dates that come after another date of the same row, beside start and end.
_LATER = {"participants": (("entered_on", "left_on"), ("entered_on", "observed_until"))}

FORMATS: dict[str, dict[str, Any]] = {
    "required": {"bold": True, "bg_color": "#1F4E5F", "font_color": "#FFFFFF", "border": 1, "border_color": "#FFFFFF"},
    "optional": {"bg_color": "#DCE9ED", "font_color": "#1F2A30", "border": 1, "border_color": "#FFFFFF"},
    "missing": {"bg_color": "#F4B6B0"},
    "order": {"bg_color": "#FBD38D"},
    "text": {"num_format": "@"},
    "date": {"num_format": "yyyy-mm-dd"},
    "whole": {"num_format": "0"},
    "plain": {},
}


@dataclass(frozen=True)
class Field:
    """One column of a sheet: a column of a table or an item of a questionnaire."""

    name: str
    kind: str
    label: str
    comment: str
    required: bool
    codes: str | None = None
    minimum: float | None = None
    maximum: float | None = None


def write_template(
    path: str | Path,
    language: str = "sv",
    tables: Mapping[str, pd.DataFrame] | None = None,
    organisation: str | None = None,
) -> Path:
    """Write the Excel template, empty or filled with rows.

    The first sheet says what to fill in and what must never be sent. Each table has a sheet named by its label, with
    the labels of the columns in row 1. Lists of codes are drop-downs, required cells that are empty on a row with
    content turn red, dates in the wrong order turn orange.

    Parameters
    ----------
    path : str or Path
        File to write, ending in ``.xlsx``.
    language : {"sv", "en"}
        Language of labels and instructions.
    tables : mapping of str to DataFrame, optional
        Canonical tables whose rows are filled in; with it, only these tables get a sheet. Codes are written as
        labels, dates as dates where the day is known and else as ``YYYY-MM`` or ``YYYY-Qn``.
    organisation : str, optional
        Code of the organisation that the template is for; it becomes the only choice in its column.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_template(f"{folder}/mall.xlsx", "sv").name
    'mall.xlsx'
    """
    import xlsxwriter

    path = Path(path)
    names = [name for name in _all_tables() if tables is None or name in tables]
    frames = {name: tables[name] for name in names} if tables is not None else {}
    # Row after row goes straight to disk: every sheet is written from top to bottom.
    with xlsxwriter.Workbook(str(path), {"constant_memory": bool(frames), "strings_to_formulas": False}) as book:
        book.set_properties({"title": text("template.title", language), "created": _CREATED})
        book.set_custom_property("schema_version", SCHEMA_VERSION, "number")
        formats = {name: book.add_format(properties) for name, properties in FORMATS.items()}
        write_instructions(book, language, names, organisation, formats)
        sheets = {name: book.add_worksheet(table(name).label[language]) for name in names}
        lists = _write_lists(book, language, organisation)
        last = {name: max(_ROWS, len(frames.get(name, ())) + _SPARE_ROWS) for name in names}
        if "participants" in names:
            _name_participant_columns(book, language, last["participants"])
        for name in names:
            fields = sheet_fields(table(name), language)
            _write_sheet(sheets[name], fields, formats)
            if name in frames:
                _write_rows(sheets[name], fields, frames[name], language)
            _add_validation(sheets[name], fields, lists, last[name], language)
            _add_colours(sheets[name], name, fields, formats, last[name], language, with_entry="participants" in names)
    return path


def helper_sheets() -> set[str]:
    """Return the folded names, in every language, of the sheets of the template that hold no data.

    Examples
    --------
    >>> sorted(helper_sheets())
    ['listor', 'lists', 'läs först', 'read first']
    """
    keys = ("template.instructions_sheet", "template.lists_sheet")
    return {fold(text(key, language)) for key in keys for language in LANGUAGES}


def sheet_fields(description: Table, language: str) -> list[Field]:
    """Return the columns of the sheet of a table, in order.

    Parameters
    ----------
    description : Table
    language : {"sv", "en"}

    Returns
    -------
    list of Field
    """
    fields = [_field(column, language) for column in description.columns]
    if description.has_items:
        fields += [_item_field(item, language) for item in items().values()]
    return fields


def _all_tables() -> dict[str, Table]:
    """Return every table by name (the keyword `tables` of `write_template` hides the function)."""
    return tables()


def _field(column: Column, language: str) -> Field:
    """Describe a column of a table as a column of a sheet."""
    if column.optional:
        mark = "optional_mark"
    elif column.assigned:
        mark = "assigned_mark"
    else:
        mark = "nullable_mark" if column.nullable else "required_mark"
    sentences = [column.description[language], text(f"template.{mark}", language)]
    if column.without:
        sentences.append(column.without[language])
    return Field(
        name=column.name,
        kind="item" if column.name == "item" else column.kind,
        label=column.label[language],
        comment="\n".join(sentences),
        required=not (column.nullable or column.assigned),
        codes=column.codes,
        minimum=column.minimum,
        maximum=column.maximum,
    )


def _item_field(item: Item, language: str) -> Field:
    """Describe an item as a column of a sheet."""
    asked = ", ".join(code_list("respondent").labels(language)[who].lower() for who in item.respondents)
    mark = text("template.item_mark", language, minimum=item.minimum, maximum=item.maximum, asked=asked)
    return Field(
        name=item.id,
        kind="integer",
        label=item.label[language],
        comment="\n".join(filter(None, [item.wording.get(language), mark])),
        required=False,
        minimum=item.minimum,
        maximum=item.maximum,
    )


def _write_lists(book: Any, language: str, organisation: str | None) -> dict[str, str]:
    """Write the hidden sheet with the choices of every drop-down; return list to the name of its range."""
    title = text("template.lists_sheet", language)
    choices = {name: list(code_list(name).labels(language).values()) for name in code_list_names()}
    choices["boolean"] = [text("texts.yes", language), text("texts.no", language)]
    choices["item"] = list(items())
    if organisation is not None:
        choices["organisation"] = [organisation]
    sheet = book.add_worksheet(title)
    sheet.hide()
    for row in range(max(map(len, choices.values())) + 1):
        for position, (name, values) in enumerate(choices.items()):
            if row == 0:
                sheet.write_string(0, position, name)
            elif row <= len(values):
                sheet.write_string(row, position, values[row - 1])
    named = {}
    for position, (name, values) in enumerate(choices.items()):
        letters = _letters(position)
        named[name] = f"lista_{name}"
        # A named range is understood by every version of Excel; a direct reference to another sheet is not.
        book.define_name(f"lista_{name}", f"='{title}'!${letters}$2:${letters}${len(values) + 1}")
    return named


def _name_participant_columns(book: Any, language: str, last: int) -> None:
    """Name the ranges in which other sheets look up the day a participant entered."""
    fields = [field.name for field in sheet_fields(table("participants"), language)]
    title = table("participants").label[language]
    for name in ("organisation_id", "participant_id", "entered_on"):
        letters = _letters(fields.index(name))
        book.define_name(f"deltagare_{name}", f"='{title}'!${letters}$2:${letters}${last + 1}")


def _write_sheet(sheet: Any, fields: list[Field], formats: dict[str, Any]) -> None:
    """Write the header, the comments and the format of each column."""
    sheet.freeze_panes(1, 0)
    sheet.set_row(0, 30)
    for position, field in enumerate(fields):
        style = {"id": "text", "item": "text", "text": "text", "date": "date", "integer": "whole", "year": "whole"}
        sheet.set_column(position, position, max(12, len(field.label) + 3), formats[style.get(field.kind, "plain")])
    for position, field in enumerate(fields):
        sheet.write_string(0, position, field.label, formats["required" if field.required else "optional"])
        lines = sum(1 + len(line) // 38 for line in field.comment.splitlines())
        sheet.write_comment(0, position, field.comment, {"x_scale": 1.9, "height": 22 + 17 * lines, "author": ""})


def _write_rows(sheet: Any, fields: list[Field], frame: pd.DataFrame, language: str) -> None:
    """Write the rows of a canonical table."""
    columns = [_cells(field, frame, language) for field in fields]
    write_string, write_number = sheet.write_string, sheet.write_number
    for row, values in enumerate(zip(*columns, strict=True), start=1):
        for position, value in enumerate(values):
            if value is None:
                continue
            if isinstance(value, str):
                write_string(row, position, value)
            else:
                write_number(row, position, value)


def _cells(field: Field, frame: pd.DataFrame, language: str) -> list[str | float | None]:
    """Return the cells of one column: text, number, or None where empty."""
    if field.name not in frame:
        return [None] * len(frame)
    values = frame[field.name]
    if field.kind == "date":
        return _date_cells(values, frame.get(f"{field.name}_precision"))
    if field.kind == "boolean":
        words = {True: text("texts.yes", language), False: text("texts.no", language)}
        values = values.astype(object).map(words, na_action="ignore")
    elif field.codes is not None:
        labels = code_list(field.codes).labels(language)
        values = values.astype(object).map(lambda value: labels.get(value, value), na_action="ignore")
    return [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]


def _date_cells(values: pd.Series, precision: pd.Series | None) -> list[str | float | None]:
    """Return dates as Excel day numbers, and as text where only the month or quarter is known."""
    days = (values - _EPOCH).dt.days
    cells: list[str | float | None] = [None if pd.isna(day) else int(day) for day in days.tolist()]
    if precision is None:
        return cells
    for position, known in enumerate(precision.tolist()):
        if known in ("month", "quarter") and cells[position] is not None:
            cells[position] = imprecise(values.iloc[position], known)
    return cells


def imprecise(date: pd.Timestamp, precision: str) -> str:
    """Return a date as files write it when only its month or quarter is known.

    Examples
    --------
    >>> imprecise(pd.Timestamp("2024-04-01"), "month"), imprecise(pd.Timestamp("2024-04-01"), "quarter")
    ('2024-04', '2024-Q2')
    """
    return f"{date.year}-Q{date.quarter}" if precision == "quarter" else f"{date.year}-{date.month:02d}"


def _add_validation(sheet: Any, fields: list[Field], lists: dict[str, str], last: int, language: str) -> None:
    """Let each column accept only what it can hold."""
    for position, field in enumerate(fields):
        options = _validation(field, position, lists, language)
        if options is None:
            continue
        options |= {"error_title": text("template.invalid_title", language), "ignore_blank": True}
        sheet.data_validation(1, position, last, position, options)


def _validation(field: Field, position: int, lists: dict[str, str], language: str) -> dict[str, Any] | None:
    """Return what a column accepts, as xlsxwriter wants it."""
    named = field.codes or ("organisation" if field.name == "organisation_id" else field.kind)
    if named in lists:
        return {
            "validate": "list",
            "source": f"={lists[named]}",
            "error_message": text("template.invalid_code", language),
        }
    if field.kind == "date":
        cell = f"{_letters(position)}2"
        year = f"ISNUMBER(VALUE(LEFT({cell},4)))"
        # 32874 is 1990-01-01 and 73051 is 2100-01-01; a month, a quarter and a day in text have 7 or 10 characters.
        known = f"AND(ISNUMBER({cell}),{cell}>=32874,{cell}<73051)"
        written = f'AND(ISTEXT({cell}),OR(LEN({cell})=7,LEN({cell})=10),MID({cell},5,1)="-",{year})'
        message = text("template.invalid_date", language)
        return {"validate": "custom", "value": f"=IF(ISNUMBER({cell}),{known},{written})", "error_message": message}
    if field.kind not in _SCALE_OF:
        return None
    lowest, highest = _SCALE_OF[field.kind]
    minimum = lowest if field.minimum is None else field.minimum
    maximum = highest if field.maximum is None else field.maximum
    kind = "number" if field.kind == "number" else "integer"
    return {
        "validate": "decimal" if kind == "number" else "integer",
        "criteria": "between",
        "minimum": minimum,
        "maximum": maximum,
        "error_message": text(f"template.invalid_{kind}", language, minimum=minimum, maximum=maximum),
    }


def _add_colours(
    sheet: Any,
    name: str,
    fields: list[Field],
    formats: dict[str, Any],
    last: int,
    language: str,
    *,
    with_entry: bool,
) -> None:
    """Colour required cells that are empty and dates in the wrong order."""
    letters = {field.name: _letters(position) for position, field in enumerate(fields)}
    width = _letters(len(fields) - 1)
    rules = [
        (field.name, "missing", f'=AND({letters[field.name]}2="",COUNTA($A2:${width}2)>0)')
        for field in fields
        if field.required
    ]
    rules += [
        (later, "order", f"=AND(ISNUMBER(${b}2),ISNUMBER(${a}2),${b}2<${a}2)")
        for earlier, later in ordered_dates(name)
        for a, b in [(letters[earlier], letters[later])]
    ]
    if name == "measurements":
        rules += _form_rules(letters, language, with_entry=with_entry)
    for field, style, formula in rules:
        area = f"{letters[field]}2:{letters[field]}{last + 1}"
        sheet.conditional_format(area, {"type": "formula", "criteria": formula, "format": formats[style]})


def ordered_dates(name: str) -> list[tuple[str, str]]:
    """Return the pairs of date columns of a table of which the second is not before the first.

    Examples
    --------
    >>> ordered_dates("participants")
    [('entered_on', 'left_on'), ('entered_on', 'observed_until')]
    """
    columns = table(name).column_names
    spell = [("start", end) for end in ("end", "planned_end") if {"start", end} <= set(columns)]
    return [*spell, *_LATER.get(name, ())]


def _form_rules(letters: dict[str, str], language: str, *, with_entry: bool) -> list[tuple[str, str, str]]:
    """Return the colours of a form: a date where it is needed, and not before the participant entered."""
    status, answered = f"${letters['form_status']}2", f"${letters['answered_on']}2"
    labels = code_list("form_status").labels(language)
    dated = ",".join(f'{status}="{labels[value]}"' for value in ("answered", "declined"))
    rules = [("answered_on", "missing", f'=AND({answered}="",OR({dated}))')]
    if with_entry:
        organisation, participant = f"${letters['organisation_id']}2", f"${letters['participant_id']}2"
        matching = f"(deltagare_organisation_id={organisation})*(deltagare_participant_id={participant})"
        entered = f"N(INDEX(deltagare_entered_on,MATCH(1,INDEX({matching},0),0)))"
        rules.append(("answered_on", "order", f"=IFERROR(AND(ISNUMBER({answered}),{answered}<{entered}),FALSE)"))
    return rules


def _letters(position: int) -> str:
    """Return the letters of a column of a sheet, counted from 0."""
    from xlsxwriter.utility import xl_col_to_name

    return re.sub(r"\d", "", str(xl_col_to_name(position)))
