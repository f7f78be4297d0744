"""The tables as a Frictionless Data Package: what programs elsewhere need to read and check canonical files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bipstudy.schema.canonical import PRECISIONS
from bipstudy.schema.codes import code_list
from bipstudy.schema.instrument import Item, items
from bipstudy.schema.sources import SCHEMA_VERSION
from bipstudy.schema.tables import Column, Table, tables
from bipstudy.texts import text

__all__ = ["data_package", "write_data_package"]

_TYPES = {
    "id": "string",
    "text": "string",
    "code": "string",
    "date": "date",
    "integer": "integer",
    "year": "integer",
    "number": "number",
    "boolean": "boolean",
}
# As pandas writes them to text, and as the loader reads them.
_BOOLEANS = {"trueValues": ["True"], "falseValues": ["False"]}


def data_package(language: str = "sv") -> dict[str, Any]:
    """Return the descriptor of a canonical folder of CSV files.

    Parameters
    ----------
    language : {"sv", "en"}
        Of titles and descriptions.

    Returns
    -------
    dict
        A Tabular Data Package: one resource per table with types, codes, bounds, key and references.

    References
    ----------
    Walsh, P., Pollock, R., Keegan, M. Tabular Data Package and Table Schema, version 1. Frictionless Data.

    Examples
    --------
    >>> package = data_package("en")
    >>> [resource["name"] for resource in package["resources"]][:2]
    ['organisations', 'participants']
    >>> package["resources"][1]["schema"]["primaryKey"]
    ['organisation_id', 'participant_id']
    """
    return {
        "profile": "tabular-data-package",
        "name": "bipstudy",
        "title": text("codebook.title", language),
        "description": text("codebook.intro", language),
        "version": f"{SCHEMA_VERSION}",
        "resources": [_resource(each, language) for each in tables().values()],
    }


def write_data_package(path: str | Path, language: str = "sv") -> Path:
    """Write the descriptor as JSON.

    Parameters
    ----------
    path : str or Path
        ``datapackage.json`` beside the files, where other programs look for it.
    language : {"sv", "en"}

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_data_package(f"{folder}/datapackage.json").name
    'datapackage.json'
    """
    path = Path(path)
    content = json.dumps(data_package(language), ensure_ascii=False, indent=2)
    path.write_text(content + "\n", encoding="utf-8", newline="\n")
    return path


def _resource(each: Table, language: str) -> dict[str, Any]:
    """Return one table."""
    fields: list[dict[str, Any]] = []
    for column in each.columns:
        fields.append(_field(column, language))
        if column.precision_column:
            fields.append(_precision(column, language))
    if each.has_items:
        fields += [_item(item, language) for item in items().values()]
    schema: dict[str, Any] = {"fields": fields, "primaryKey": [*each.key], "missingValues": [""]}
    # A reference that a row may leave empty cannot be said: it would have to be found all the same.
    keys = [one for one in each.references if not any(each.column(name).nullable for name in one.columns)]
    if keys:
        schema["foreignKeys"] = [
            {"fields": [*one.columns], "reference": {"resource": one.table, "fields": [*one.columns]}} for one in keys
        ]
    return {
        "profile": "tabular-data-resource",
        "name": each.name,
        "title": each.label[language],
        "description": each.description[language],
        "path": f"{each.name}.csv",
        "encoding": "utf-8",
        "format": "csv",
        "mediatype": "text/csv",
        "schema": schema,
    }


def _field(column: Column, language: str) -> dict[str, Any]:
    """Return one column."""
    limits: dict[str, Any] = {} if column.nullable else {"required": True}
    if column.codes is not None:
        limits["enum"] = code_list(column.codes).values
    limits |= {} if column.minimum is None else {"minimum": column.minimum}
    limits |= {} if column.maximum is None else {"maximum": column.maximum}
    kind = _TYPES[column.kind]
    return {
        "name": column.name,
        "title": column.label[language],
        "description": column.description[language],
        "type": kind,
        **(_BOOLEANS if kind == "boolean" else {}),
        **({"constraints": limits} if limits else {}),
    }


def _precision(column: Column, language: str) -> dict[str, Any]:
    """Return the column that says how exactly a date is known."""
    return {
        "name": column.precision_column,
        "title": text("codebook.precision", language, column=column.label[language]),
        "type": "string",
        "constraints": {"enum": [*PRECISIONS]},
    }


def _item(item: Item, language: str) -> dict[str, Any]:
    """Return the column of one item, whose scale may differ between questionnaires."""
    return {"name": item.id, "title": item.label[language], "type": "integer"}
