"""The codebook as DDI-Codebook 2.5, the form in which data archives describe studies; in both languages at once."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from bipstudy.schema.canonical import PRECISIONS
from bipstudy.schema.codes import code_list
from bipstudy.schema.instrument import Instrument, Item, instruments
from bipstudy.schema.sources import SCHEMA_VERSION
from bipstudy.schema.tables import Column, Table, tables
from bipstudy.texts import LANGUAGES, text, text_forms

__all__ = ["ddi_codebook", "write_ddi"]

NAMESPACE = "ddi:codebook:2_5"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_NUMBERS = {"integer", "year", "number"}


def ddi_codebook(language: str = "sv") -> str:
    """Return the codebook as XML.

    Each table is a file description, each column and item a variable with labels, values and question in Swedish and
    English. An item whose wording is not public has no question; what of the questionnaire is assumed stands in a note.

    Parameters
    ----------
    language : {"sv", "en"}
        Of the title and of what stands once: what each file holds.

    Returns
    -------
    str

    References
    ----------
    DDI Alliance (2014). DDI-Codebook 2.5, XML schema.

    Examples
    --------
    >>> ddi_codebook("en").splitlines()[0]
    "<?xml version='1.0' encoding='utf-8'?>"
    """
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(_tag("codeBook"), {"version": "2.5", _LANG: language})
    study = _add(root, "stdyDscr")
    title = _add(_add(study, "citation"), "titlStmt")
    _add(title, "titl", text("codebook.title", language), {_LANG: language})
    for other in (each for each in LANGUAGES if each != language):
        _add(title, "parTitl", text("codebook.title", other), {_LANG: other})
    info = _add(study, "stdyInfo")
    for each in LANGUAGES:
        _add(info, "abstract", text("codebook.intro", each), {_LANG: each})
    for table in tables().values():
        _file(root, table, language)
    data = _add(root, "dataDscr")
    for table in tables().values():
        _variables(data, table)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written.decode() + "\n"


def write_ddi(path: str | Path, language: str = "sv") -> Path:
    """Write the codebook as XML.

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
    ...     write_ddi(f"{folder}/kodbok.xml").name
    'kodbok.xml'
    """
    path = Path(path)
    path.write_text(ddi_codebook(language), encoding="utf-8", newline="\n")
    return path


def _tag(name: str) -> str:
    """Return the name of an element in the namespace of the standard."""
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: ET.Element, name: str, said: str | None = None, given: Mapping[str, str] | None = None) -> ET.Element:
    """Add an element."""
    child = ET.SubElement(parent, _tag(name), dict(given or {}))
    child.text = said
    return child


def _in_both(parent: ET.Element, name: str, forms: Mapping[str, str | None]) -> None:
    """Add an element per language in which something is said."""
    for language in LANGUAGES:
        if forms.get(language):
            _add(parent, name, forms[language], {_LANG: language})


def _file(root: ET.Element, table: Table, language: str) -> None:
    """Describe the file of a table; the standard has room for one description."""
    said = _add(_add(root, "fileDscr", None, {"ID": f"F.{table.name}"}), "fileTxt")
    _add(said, "fileName", f"{table.name}.csv")
    _add(said, "fileCont", table.description[language], {_LANG: language})
    _add(said, "fileType", "csv")
    version = _add(said, "verStmt")
    _add(version, "version", str(SCHEMA_VERSION))


def _variables(data: ET.Element, table: Table) -> None:
    """Describe the columns of a table, then the items of the questionnaires."""
    for column in table.columns:
        _column(data, table, column)
        if column.precision_column:
            precisions = {each: text_forms(f"codebook.precision_{each}") for each in PRECISIONS}
            label = {each: text("codebook.precision", each, column=column.label[each]) for each in LANGUAGES}
            _variable(data, table, column.precision_column, label, categories=precisions)
    if table.has_items:
        for instrument in instruments().values():
            for item in instrument.items:
                _item(data, table, instrument, item)


def _column(data: ET.Element, table: Table, column: Column) -> None:
    """Describe a column."""
    categories = {}
    if column.codes is not None:
        categories = {code.value: code.label for code in code_list(column.codes).codes}
    _variable(
        data,
        table,
        column.name,
        column.label,
        said=column.description,
        bounds=(column.minimum, column.maximum),
        categories=categories,
        kind=column.kind,
    )


def _item(data: ET.Element, table: Table, instrument: Instrument, item: Item) -> None:
    """Describe an item of a questionnaire; one that several have is described once for each."""
    notes = {}
    for language in LANGUAGES:
        parts = [text(f"codebook.confirmed_{part}", language) for part, known in item.confirmed.items() if not known]
        if parts:
            notes[language] = f"{text('codebook.head_assumed', language)}: {', '.join(parts)}."
    _variable(
        data,
        table,
        item.id,
        item.label,
        place=f"{table.name}.{instrument.name}",
        question=item.wording,
        bounds=(item.minimum, item.maximum),
        notes=notes,
        kind="integer",
    )


def _variable(
    data: ET.Element,
    table: Table,
    name: str,
    label: Mapping[str, str],
    *,
    place: str | None = None,
    question: Mapping[str, str | None] | None = None,
    said: Mapping[str, str] | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    categories: Mapping[str, Mapping[str, str]] | None = None,
    notes: Mapping[str, str] | None = None,
    kind: str = "code",
) -> None:
    """Add a variable; the standard fixes the order of its parts."""
    given = {"ID": f"V.{place or table.name}.{name}", "name": name, "files": f"F.{table.name}"}
    variable = _add(data, "var", None, {**given, "intrvl": "contin" if kind == "number" else "discrete"})
    _in_both(variable, "labl", label)
    if question and any(question.values()):
        _in_both(_add(variable, "qstn"), "qstnLit", question)
    if any(bound is not None for bound in bounds):
        ends = {key: f"{bound:g}" for key, bound in zip(("min", "max"), bounds, strict=True) if bound is not None}
        _add(_add(variable, "valrng"), "range", None, ends)
    _in_both(variable, "txt", said or {})
    for value, words in (categories or {}).items():
        category = _add(variable, "catgry")
        _add(category, "catValu", value)
        _in_both(category, "labl", words)
    _add(variable, "varFormat", None, {"type": "numeric" if kind in _NUMBERS else "character", "schema": "other"})
    _in_both(variable, "notes", notes or {})
