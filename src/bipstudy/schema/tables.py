"""The tables of a study: their keys, columns and references."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from bipstudy.schema.sources import folder, read_yaml
from bipstudy.texts import BipstudyError

TABLE_NAMES = (
    "organisations",
    "participants",
    "caseworkers",
    "trainings",
    "assignments",
    "measurements",
    "missing_answers",
    "activities",
    "outcomes",
)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Name in the canonical table.
    kind : {"id", "text", "code", "date", "integer", "number", "boolean", "year"}
        What a cell holds.
    label, description : dict of str to str
        ``{"sv": ..., "en": ...}``.
    codes : str or None
        Name of the code list, for ``code``.
    optional : bool
        Whether the column may be left out.
    nullable : bool
        Whether a cell may be empty; always so in an optional column.
    assigned : bool
        Whether the loader fills the column in where a file has none.
    minimum, maximum : float or None
        Bounds, for numbers.
    without : dict of str to str or None
        What is not possible when the column is left out.
    """

    name: str
    kind: str
    label: dict[str, str]
    description: dict[str, str]
    codes: str | None = None
    optional: bool = False
    nullable: bool = False
    assigned: bool = False
    minimum: float | None = None
    maximum: float | None = None
    without: dict[str, str] | None = None

    @property
    def precision_column(self) -> str | None:
        """Name of the column beside a date that says how exactly it is known."""
        return f"{self.name}_precision" if self.kind == "date" else None


@dataclass(frozen=True)
class Reference:
    """Columns whose values must exist as a key in another table, if that table was sent."""

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True)
class Table:
    """One table of a study.

    Attributes
    ----------
    name : str
    label, description : dict of str to str
    required : bool
        Whether a submission must have it.
    key : tuple of str
        Columns that together name a row.
    columns : tuple of Column
        In the order of the canonical table. The items of the questionnaires follow them where `has_items`.
    references : tuple of Reference
    has_items : bool
        Whether the table has a column per item of the questionnaires.
    without : dict of str to str or None
        What is not possible when the table is left out.
    """

    name: str
    label: dict[str, str]
    description: dict[str, str]
    required: bool
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]
    has_items: bool
    without: dict[str, str] | None

    def column(self, name: str) -> Column:
        """Return a column by its name; KeyError if there is none."""
        return {column.name: column for column in self.columns}[name]

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, without precisions and items."""
        return [column.name for column in self.columns]


@cache
def table(name: str) -> Table:
    """Return the description of a table.

    Parameters
    ----------
    name : str
        One of `TABLE_NAMES`.

    Returns
    -------
    Table

    Raises
    ------
    BipstudyError
        No such table.

    Examples
    --------
    >>> table("participants").key
    ('organisation_id', 'participant_id')
    """
    if name not in TABLE_NAMES:
        raise BipstudyError("schema.unknown_table", name=name, known=", ".join(TABLE_NAMES))
    content = read_yaml(folder() / "tables" / f"{name}.yaml")
    references = content.get("references", ())
    return Table(
        name=content["name"],
        label=content["label"],
        description=content["description"],
        required=content["required"],
        key=tuple(content["key"]),
        columns=tuple(map(_column, content["columns"])),
        references=tuple(Reference(tuple(entry["columns"]), entry["table"]) for entry in references),
        has_items=bool(content.get("items", False)),
        without=content.get("without"),
    )


def tables() -> dict[str, Table]:
    """Return every table by name, in the order in which they refer to each other."""
    return {name: table(name) for name in TABLE_NAMES}


def _column(entry: dict[str, Any]) -> Column:
    """Build a column from its YAML entry."""
    optional = bool(entry.get("optional", False))
    return Column(
        name=entry["name"],
        kind=entry["kind"],
        label=entry["label"],
        description=entry["description"],
        codes=entry.get("codes"),
        optional=optional,
        nullable=optional or bool(entry.get("nullable", False)),
        assigned=bool(entry.get("assigned", False)),
        minimum=entry.get("minimum"),
        maximum=entry.get("maximum"),
        without=entry.get("without"),
    )
