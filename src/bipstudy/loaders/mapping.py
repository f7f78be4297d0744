"""The mapping of an organisation: what its files call tables, columns and values, where the names are not ours."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bipstudy import schema
from bipstudy.loaders.names import key
from bipstudy.schema import fold
from bipstudy.texts import BipstudyError

_KEYS = {"schema_version", "organisation", "encoding", "missing", "ignore", "tables"}
_TABLE_KEYS = {"file", "sheet", "columns", "values", "ignore"}


@dataclass(frozen=True)
class TableMapping:
    """How one table is written by an organisation.

    Attributes
    ----------
    file, sheet : str or None
        Name of the file or sheet that holds the table.
    columns : dict of str to str
        Name in the file, by `key`, to canonical column.
    values : dict of str to dict
        Canonical column to what its cells say, folded, and the code or number that is meant.
    ignore : frozenset of str
        Columns of the file, by `key`, that are left out on purpose.
    """

    file: str | None = None
    sheet: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Mapping:
    """One organisation's names and values, and ours.

    Attributes
    ----------
    organisation : str or None
        Code of the organisation, for files that do not say it.
    encoding : str or None
        Encoding of its text files, where the usual ladder is wrong.
    missing : dict of str to str
        What a cell says, folded, where the answer is missing, to the reason or ``""``.
    ignore : frozenset of str
        Sheets and files, by `key`, that are left out on purpose.
    tables : dict of str to TableMapping
    """

    organisation: str | None = None
    encoding: str | None = None
    missing: dict[str, str] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    tables: dict[str, TableMapping] = field(default_factory=dict)

    def table(self, name: str) -> TableMapping:
        """Return the mapping of one table, an empty one if there is none."""
        return self.tables.get(name, TableMapping())

    def table_of(self, file: str, sheet: str | None) -> str | None:
        """Return the table that the mapping says a file or sheet holds, or None."""
        stem = Path(file).name
        for name, table in self.tables.items():
            names_file = table.file is not None and key(table.file) in {key(stem), key(Path(stem).stem), key(file)}
            names_sheet = table.sheet is not None and sheet is not None and key(table.sheet) == key(sheet)
            if (
                (names_file or table.file is None)
                and (names_sheet or table.sheet is None)
                and (names_file or names_sheet)
            ):
                return name
        return None

    def leaves_out(self, file: str, sheet: str | None) -> bool:
        """Say whether a file or sheet is left out on purpose."""
        return bool({key(file), key(Path(file).name), key(sheet or "")} & self.ignore)


def read_mapping(path: str | Path) -> Mapping:
    """Read the mapping of an organisation from its YAML file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Mapping

    Raises
    ------
    BipstudyError
        There is no such file, it is no YAML, or it names a table, column or value that does not exist.
    """
    path = Path(path)
    if not path.is_file():
        raise BipstudyError("loaders.no_mapping", path=path.name)
    try:
        content = schema.read_yaml(path)
    except Exception as error:
        raise BipstudyError("loaders.mapping_not_yaml", path=path.name) from error
    if not isinstance(content, dict):
        raise BipstudyError("loaders.mapping_not_yaml", path=path.name)
    try:
        return _mapping(content, path.name)
    except (AttributeError, TypeError, ValueError) as error:
        raise BipstudyError("loaders.mapping_not_yaml", path=path.name) from error


def _mapping(content: dict[str, Any], path: str) -> Mapping:
    """Build and check a mapping from the content of its file."""
    _check(path, "", content, _KEYS)
    encoding = content.get("encoding")
    if encoding is not None:
        try:
            codecs.lookup(str(encoding))
        except LookupError as error:
            raise BipstudyError("loaders.mapping_entry", path=path, entry=f"encoding: {encoding}") from error
    missing = {fold(str(said)): str(reason or "") for said, reason in (content.get("missing") or {}).items()}
    _check(
        path, "missing: ", dict.fromkeys(filter(None, missing.values())), set(schema.code_list("missing_reason").values)
    )
    tables = content.get("tables") or {}
    _check(path, "tables: ", tables, set(schema.TABLE_NAMES))
    organisation = content.get("organisation")
    return Mapping(
        organisation=None if organisation is None else str(organisation),
        encoding=encoding,
        missing=missing,
        ignore=frozenset(key(str(name)) for name in content.get("ignore") or ()),
        tables={name: _table(name, entry or {}, path) for name, entry in tables.items()},
    )


def _table(name: str, entry: dict[str, Any], path: str) -> TableMapping:
    """Build and check the mapping of one table."""
    _check(path, f"{name}: ", entry, _TABLE_KEYS)
    known = set(schema.dtypes(name))
    columns = {key(str(theirs)): str(ours) for theirs, ours in (entry.get("columns") or {}).items()}
    _check(path, f"{name}: columns: ", dict.fromkeys(columns.values()), known)
    values = entry.get("values") or {}
    _check(path, f"{name}: values: ", values, known)
    return TableMapping(
        file=entry.get("file"),
        sheet=entry.get("sheet"),
        columns=columns,
        values={
            column: {fold(str(said)): str(meant) for said, meant in (meanings or {}).items()}
            for column, meanings in values.items()
        },
        ignore=frozenset(key(str(column)) for column in entry.get("ignore") or ()),
    )


def _check(path: str, place: str, found: dict[Any, Any], known: set[str]) -> None:
    """Refuse an entry that means nothing."""
    for name in found:
        if name not in known:
            raise BipstudyError("loaders.mapping_entry", path=path, entry=f"{place}{name}")
