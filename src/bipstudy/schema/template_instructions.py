"""The first sheet of the Excel template: what to fill in, how, and what must never be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bipstudy.schema.codes import code_list
from bipstudy.schema.instrument import items
from bipstudy.schema.sources import SCHEMA_VERSION
from bipstudy.schema.tables import table
from bipstudy.texts import text

_WIDTHS = (30, 58, 18, 58)


def write_instructions(
    book: Any, language: str, names: Sequence[str], organisation: str | None, formats: dict[str, Any]
) -> None:
    """Write the instruction sheet into a workbook.

    Parameters
    ----------
    book : xlsxwriter.Workbook
    language : {"sv", "en"}
    names : sequence of str
        Tables that get a sheet.
    organisation : str or None
        Code of the organisation that the template is for.
    formats : dict
        Formats of the template by name, for the legend of colours.
    """
    sheet = book.add_worksheet(text("template.instructions_sheet", language))
    sheet.hide_gridlines(2)
    sheet.set_portrait()
    sheet.fit_to_pages(1, 0)
    for position, width in enumerate(_WIDTHS):
        sheet.set_column(position, position, width)
    styles = {
        "title": book.add_format({"bold": True, "font_size": 18, "font_color": "#1F4E5F"}),
        "heading": book.add_format({"bold": True, "font_size": 13, "font_color": "#1F4E5F", "valign": "bottom"}),
        "body": book.add_format({"text_wrap": True, "valign": "top"}),
        "strong": book.add_format({"text_wrap": True, "valign": "top", "bold": True}),
        "warning": book.add_format({"text_wrap": True, "valign": "top", "bg_color": "#FDECEA", "left": 5}),
        "head": book.add_format({"bold": True, "bottom": 1}),
    }
    row = _paragraphs(sheet, styles, language, organisation)
    row = _table_rows(sheet, styles, row, language, "sheets_heading", *_sheet_list(language, names))
    row = _table_rows(sheet, styles, row, language, "items_heading", *_item_list(language))
    row = _legend(sheet, styles, row, language, formats)
    sheet.write_string(row + 1, 0, text("template.version", language, version=SCHEMA_VERSION), styles["body"])


def _paragraphs(sheet: Any, styles: dict[str, Any], language: str, organisation: str | None) -> int:
    """Write title, how to fill in and what must never be sent; return the next free row."""
    values = {"organisation": organisation, "missing_answers": table("missing_answers").label[language]}
    plan = [("title", "title"), ("body", "intro")]
    if organisation is not None:
        plan.append(("strong", "organisation"))
    plan += [("heading", "how_heading"), *(("body", f"how_{number}") for number in range(1, 7))]
    plan += [("heading", "never_heading"), *(("warning", f"never_{number}") for number in range(1, 5))]
    for row, (style, key) in enumerate(plan):
        sentence = text(f"template.{key}", language, **values)
        heights = {"title": 28.0, "heading": 30.0}
        sheet.set_row(row, heights.get(style, 16.0 * (1 + len(sentence) // 150) + 3))
        if style in heights:
            sheet.write_string(row, 0, sentence, styles[style])
        else:
            sheet.merge_range(row, 0, row, len(_WIDTHS) - 1, sentence, styles[style])
    return len(plan)


def _table_rows(
    sheet: Any, styles: dict[str, Any], row: int, language: str, heading: str, head: list[str], body: list[list[str]]
) -> int:
    """Write a heading and a small table under it; return the next free row."""
    sheet.set_row(row, 30)
    sheet.write_string(row, 0, text(f"template.{heading}", language), styles["heading"])
    for position, key in enumerate(head):
        sheet.write_string(row + 1, position, text(f"template.{key}", language), styles["head"])
    for offset, cells in enumerate(body, start=row + 2):
        lines = max(1 + len(cell) // (width - 2) for cell, width in zip(cells, _WIDTHS, strict=True))
        sheet.set_row(offset, 16.0 * lines)
        for position, cell in enumerate(cells):
            sheet.write_string(offset, position, cell, styles["body"])
    return row + 2 + len(body)


def _sheet_list(language: str, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the list of sheets."""
    rows = []
    for name in names:
        description = table(name)
        if description.required:
            without = text("template.without_required", language)
        elif description.without:
            without = description.without[language]
        else:
            without = text("template.without_organisations", language)
        needed = text("template.needed" if description.required else "template.not_needed", language)
        rows.append([description.label[language], description.description[language], needed, without])
    return ["sheet_column", "content_column", "needed_column", "without_column"], rows


def _item_list(language: str) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the list of items."""
    who = code_list("respondent").labels(language)
    rows = [
        [
            item.id,
            item.label[language],
            text("template.scale", language, minimum=item.minimum, maximum=item.maximum),
            ", ".join(who[each] for each in item.respondents),
        ]
        for item in items().values()
    ]
    return ["item_column", "item_label_column", "item_scale_column", "item_asked_column"], rows


def _legend(sheet: Any, styles: dict[str, Any], row: int, language: str, formats: dict[str, Any]) -> int:
    """Write what the colours mean; return the next free row."""
    sheet.set_row(row, 30)
    sheet.write_string(row, 0, text("template.colours_heading", language), styles["heading"])
    legend = ("required", "optional", "missing", "order")
    for offset, name in enumerate(legend, start=row + 1):
        sheet.write_string(offset, 0, text(f"template.colour_{name}", language), formats[name])
    return row + 1 + len(legend)
