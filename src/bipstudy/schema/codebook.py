"""The codebook: every table, variable, item, value and definition, as frames, as a workbook and as one page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.schema.codes import code_list, code_list_names
from bipstudy.schema.instrument import Item, instruments
from bipstudy.schema.sources import SCHEMA_VERSION
from bipstudy.schema.tables import Column, table, tables
from bipstudy.schema.transitions import transition, transition_names
from bipstudy.texts import text

_WIDTHS = {"description": 60, "wording": 50, "values": 40, "without": 50, "label": 36, "causes": 70, "table_label": 22}


def codebook(language: str = "sv") -> dict[str, pd.DataFrame]:
    """Return the codebook as frames.

    Parameters
    ----------
    language : {"sv", "en"}

    Returns
    -------
    dict of str to DataFrame
        ``tables``, ``variables`` (one row per table and variable), ``items`` (one row per questionnaire and item, with
        what is confirmed and what is assumed), ``values`` (one row per code) and ``transitions``. Cells are text in the
        language asked for; names of columns are the same in both.

    Examples
    --------
    >>> sorted(codebook("en"))
    ['items', 'tables', 'transitions', 'values', 'variables']
    """
    return {
        "tables": pd.DataFrame(_tables(language)),
        "variables": pd.DataFrame(_variables(language)),
        "items": pd.DataFrame(_items(language)),
        "values": pd.DataFrame(_values(language)),
        "transitions": pd.DataFrame(_transitions(language)),
    }


def write_html(path: str | Path, language: str = "sv") -> Path:
    """Write the codebook as one self-contained page.

    Parameters
    ----------
    path : str or Path
    language : {"sv", "en"}

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_html(f"{folder}/codebook.html", "en").name
    'codebook.html'
    """
    path = Path(path)
    path.write_text(codebook_html(language), encoding="utf-8", newline="\n")
    return path


def write_xlsx(path: str | Path, language: str = "sv") -> Path:
    """Write the codebook as a workbook, a sheet per frame.

    Parameters
    ----------
    path : str or Path
    language : {"sv", "en"}

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_xlsx(f"{folder}/kodbok.xlsx").name
    'kodbok.xlsx'
    """
    import xlsxwriter

    path = Path(path)
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        # A fixed date, so that the same codebook gives the same bytes.
        title = text("codebook.title", language)
        book.set_properties({"title": title, "created": dt.datetime(2026, 1, 1)})
        book.set_custom_property("schema_version", SCHEMA_VERSION, "number")
        head = book.add_format({"bold": True, "bg_color": "#1F4E5F", "font_color": "#FFFFFF", "valign": "top"})
        body = book.add_format({"text_wrap": True, "valign": "top"})
        for name, frame in codebook(language).items():
            _write_sheet(book.add_worksheet(text(f"codebook.sheet_{name}", language)), frame, language, head, body)
    return path


def codebook_html(language: str = "sv") -> str:
    """Return the codebook as one self-contained page.

    Parameters
    ----------
    language : {"sv", "en"}

    Returns
    -------
    str
    """
    import jinja2

    from bipstudy.house import house_css

    source = Path(__file__).with_name("codebook.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    frames = codebook(language)
    variables = frames["variables"]
    return environment.from_string(source).render(
        language=language,
        house=house_css(),
        say=lambda key, **values: text(f"codebook.{key}", language, **values),
        version=SCHEMA_VERSION,
        heads=lambda frame: [column for column in frame.columns if column not in ("table", "table_label", "codes")],
        rows=lambda frame: frame.to_dict("records"),
        frames=frames,
        by_table=[
            (name, label, rows) for (name, label), rows in variables.groupby(["table", "table_label"], sort=False)
        ],
    )


def _tables(language: str) -> Iterator[dict[str, str]]:
    """Yield a row per table."""
    for each in tables().values():
        yield {
            "table": each.name,
            "label": each.label[language],
            "description": each.description[language],
            "required": text(f"codebook.required_{'yes' if each.required else 'no'}", language),
            "key": ", ".join(each.key),
            "references": ", ".join(dict.fromkeys(reference.table for reference in each.references)),
            "without": each.without[language] if each.without else "",
        }


def _variables(language: str) -> Iterator[dict[str, str]]:
    """Yield a row per table and variable; the items of the questionnaires have rows of their own."""
    for each in tables().values():
        for column in each.columns:
            yield {
                "table": each.name,
                "table_label": each.label[language],
                "variable": column.name,
                "label": column.label[language],
                "description": column.description[language],
                "type": text(f"codebook.kind_{column.kind}", language),
                "required": text(f"codebook.required_{_required(column)}", language),
                "codes": column.codes or "",
                "values": _allowed(column, language),
                "missing": _missing(column, language),
                "without": column.without[language] if column.without else "",
            }


def _required(column: Column) -> str:
    """Return whether a column is required, as the end of a key of the catalogue."""
    if column.optional:
        return "no"
    if column.assigned:
        return "assigned"
    return "column" if column.nullable else "yes"


def _allowed(column: Column, language: str) -> str:
    """Return what a column may hold."""
    if column.codes is not None:
        return "; ".join(f"{value} = {label}" for value, label in code_list(column.codes).labels(language).items())
    if column.kind == "date":
        return text("codebook.date_values", language)
    if column.minimum is not None and column.maximum is not None:
        return text("codebook.between", language, minimum=column.minimum, maximum=column.maximum)
    return ""


def _missing(column: Column, language: str) -> str:
    """Return how a missing value is written: an empty cell, a code for it, or not at all."""
    ways = [text("codebook.empty_cell", language)] if column.nullable else []
    if column.codes is not None:
        ways += [value for value in code_list(column.codes).values if value == "unknown"]
    return ", ".join(ways)


def _items(language: str) -> Iterator[dict[str, object]]:
    """Yield a row per questionnaire and item."""
    for instrument in instruments().values():
        for item in instrument.items:
            yield {"instrument": instrument.name, **_item(item, language)}


def _item(item: Item, language: str) -> dict[str, object]:
    """Return one item as a row."""
    who = code_list("respondent").labels(language)
    parts = {part: text(f"codebook.confirmed_{part}", language) for part in item.confirmed}
    said = {known: [parts[part] for part in parts if item.confirmed[part] is known] for known in (True, False)}
    nothing = text("codebook.nothing", language)
    return {
        "item": item.id,
        "label": item.label[language],
        "wording": item.wording.get(language) or text("codebook.not_public", language),
        "respondents": ", ".join(who[each] for each in item.respondents),
        "scale": text("codebook.between", language, minimum=item.minimum, maximum=item.maximum),
        "dont_know": "" if item.dont_know is None else str(item.dont_know),
        "missing": text("codebook.item_missing", language, table=table("missing_answers").label[language]),
        "direction": text(f"codebook.{item.direction}", language),
        "placeholder": text("texts.yes" if item.placeholder else "texts.no", language),
        "confirmed": ", ".join(said[True]) or nothing,
        "assumed": ", ".join(said[False]) or nothing,
    }


def _values(language: str) -> Iterator[dict[str, str]]:
    """Yield a row per code of every list."""
    for name in code_list_names():
        for code in code_list(name).codes:
            yield {
                "codes": name,
                "code": code.value,
                "label": code.label[language],
                "also": ", ".join(code.also),
                "valid_from": "" if code.valid_from is None else code.valid_from.isoformat(),
                "valid_to": "" if code.valid_to is None else code.valid_to.isoformat(),
            }


def _transitions(language: str) -> Iterator[dict[str, object]]:
    """Yield a row per definition of a transition."""
    labels = code_list("outcome_status").labels(language)
    for name in transition_names():
        definition = transition(name)
        unknown = "counted" if definition.counts_unknown_length else "censored_at_start"
        yield {
            "definition": name,
            "label": definition.label[language],
            "causes": "; ".join(labels[status] for status in definition.causes),
            "minimum_days": str(definition.minimum_days),
            "unknown_length": text(f"codebook.{unknown}", language),
        }


def _write_sheet(sheet: Any, frame: pd.DataFrame, language: str, head: Any, body: Any) -> None:
    """Write one frame with its heads in the language."""
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(frame), len(frame.columns) - 1)
    for position, column in enumerate(frame.columns):
        sheet.set_column(position, position, _WIDTHS.get(column, 22))
        sheet.write_string(0, position, text(f"codebook.head_{column}", language), head)
        for row, value in enumerate(frame[column], start=1):
            sheet.write_string(row, position, str(value), body)
