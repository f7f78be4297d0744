"""What differs between two states of the same tables, row by row of the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bipstudy import schema
from bipstudy.texts import text

Key = tuple[str, ...]
# A person reads these many keys; the rest are counted there and complete in the receipt's file.
_SHOWN = 20


@dataclass(frozen=True)
class TableChange:
    """What differs in one table.

    Attributes
    ----------
    table : str
    added : int
        Rows whose key is new.
    removed, changed : tuple of tuple of str
        Keys of the rows that are gone, and of those that say something else now; sorted.
    """

    table: str
    added: int
    removed: tuple[Key, ...]
    changed: tuple[Key, ...]


@dataclass(frozen=True)
class Changes:
    """What differs between two states of the tables.

    Attributes
    ----------
    tables : tuple of TableChange
        The tables in which something differs.
    participants_gone, participants_new : tuple of (str, str)
        Organisation and participant, sorted.
    """

    tables: tuple[TableChange, ...]
    participants_gone: tuple[Key, ...]
    participants_new: tuple[Key, ...]

    def __bool__(self) -> bool:
        return bool(self.tables)

    def as_dict(self) -> dict[str, Any]:
        """Return the changes as plain lists, complete."""
        return {
            "participants_gone": [list(key) for key in self.participants_gone],
            "participants_new": [list(key) for key in self.participants_new],
            "tables": {
                change.table: {
                    "added": change.added,
                    "removed": [list(key) for key in change.removed],
                    "changed": [list(key) for key in change.changed],
                }
                for change in self.tables
            },
        }

    def lines(self, language: str) -> list[str]:
        """Return the changes as sentences."""
        if not self:
            return [text("pool.no_changes", language)]
        found = [
            text(
                "pool.participants_changed", language, new=len(self.participants_new), gone=len(self.participants_gone)
            )
        ]
        found += _keys("pool.participants_gone", self.participants_gone, language)
        for change in self.tables:
            counts = {"added": change.added, "removed": len(change.removed), "changed": len(change.changed)}
            label = schema.table(change.table).label[language]
            found.append(text("pool.table_changed", language, table=label, **counts))
            found += _keys("pool.rows_removed", change.removed, language)
            found += _keys("pool.rows_changed", change.changed, language)
        return found


def compare(former: Mapping[str, pd.DataFrame], new: Mapping[str, pd.DataFrame]) -> Changes:
    """Return what differs between two states of canonical tables.

    Parameters
    ----------
    former, new : mapping of str to DataFrame
        Canonical tables by name; one that is left out has no rows.

    Returns
    -------
    Changes
    """
    found = []
    for name in schema.TABLE_NAMES:
        change = _compare(name, former.get(name, schema.empty(name)), new.get(name, schema.empty(name)))
        if change.added or change.removed or change.changed:
            found.append(change)
    before, after = _keys_of("participants", former), _keys_of("participants", new)
    return Changes(tuple(found), tuple(sorted(before - after)), tuple(sorted(after - before)))


def _compare(name: str, former: pd.DataFrame, new: pd.DataFrame) -> TableChange:
    """Return what differs in one table."""
    key = list(schema.table(name).key)
    old, now = former.set_index(_index(former, key)), new.set_index(_index(new, key))
    common = old.index.intersection(now.index)
    different = pd.Series(False, index=common)
    for column in [column for column in schema.dtypes(name) if column not in key]:
        before, after = old.loc[common, column], now.loc[common, column]
        same = (before == after).fillna(False).astype(bool) | (before.isna() & after.isna())
        different |= ~same.to_numpy()
    return TableChange(
        table=name,
        added=len(now.index.difference(common)),
        removed=tuple(sorted(old.index.difference(common))),
        changed=tuple(sorted(common[different.to_numpy(dtype=bool)])),
    )


def _index(frame: pd.DataFrame, key: list[str]) -> pd.Index:
    """Return the key of each row as a tuple of text."""
    columns = [
        frame[column].dt.strftime("%Y-%m-%d")
        if pd.api.types.is_datetime64_any_dtype(frame[column].dtype)
        else frame[column].astype(object)
        for column in key
    ]
    return pd.Index([tuple(map(str, row)) for row in zip(*columns, strict=True)], dtype=object, tupleize_cols=False)


def _keys_of(name: str, tables: Mapping[str, pd.DataFrame]) -> set[Key]:
    """Return the keys of a table."""
    frame = tables.get(name, schema.empty(name))
    return set(_index(frame, list(schema.table(name).key)))


def _keys(sentence: str, keys: tuple[Key, ...], language: str) -> list[str]:
    """Return the first keys of a list as an indented sentence, and how many more there are."""
    if not keys:
        return []
    shown = ", ".join("/".join(key) for key in keys[:_SHOWN])
    more = text("pool.and_more", language, count=len(keys) - _SHOWN) if len(keys) > _SHOWN else ""
    return [f"  {text(sentence, language)} {shown}{more}"]
