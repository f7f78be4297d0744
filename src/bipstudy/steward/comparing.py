"""What a check found beside what the one before found: which findings are gone, left, new, or were not tried again."""

from __future__ import annotations

import hashlib
import pickle
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.submission import NOT_READ, Submission
from bipstudy.validation import Report
from bipstudy.validation.grouping import grouped
from bipstudy.validation.identifiers import redact

CHANGES = ("new", "left", "gone", "untried")
Found = dict[str, Any]
# File and sheet, as they may be shown.
_Sheet = tuple[str | None, str | None]


@dataclass(frozen=True)
class Kept:
    """What is kept of a check to hold the next one against; no value of a person.

    Attributes
    ----------
    report : Report
    whose : tuple of str
        For each finding on a row, a keyed hash of the key of that row, so that it is known again when rows have moved;
        empty where there is none.
    columns : dict of str to dict
        For each table that was sent, by file and sheet the canonical columns by their names there.
    """

    report: Report
    whose: tuple[str, ...]
    columns: dict[str, dict[_Sheet, dict[str, str]]]

    def write(self, path: Path) -> None:
        """Write what is kept to a file of the session's own folder."""
        path.write_bytes(pickle.dumps(self))

    @staticmethod
    def read(path: Path) -> Kept:
        """Read what `write` has written there."""
        kept = pickle.loads(path.read_bytes())
        assert isinstance(kept, Kept)
        return kept


def keep(submission: Submission, report: Report, secret: bytes) -> Kept:
    """Return what the next check is held against.

    Parameters
    ----------
    submission : Submission
    report : Report
        What validation found in it.
    secret : bytes
        Known to this page alone, so that nobody can look a person up among the hashes.

    Returns
    -------
    Kept
    """
    columns = {table: _names(submission, table) for table in submission.sent}
    return Kept(report, tuple(_whose(submission, report.places, secret)), columns)


def _names(submission: Submission, table: str) -> dict[_Sheet, dict[str, str]]:
    """Return for each file and sheet of a table the canonical columns by their names there."""
    origin = submission.provenance[table][["file", "sheet"]]
    headings = submission.headings.get(table)
    known = (submission.source_columns.get(table, {}),) if headings is None else headings.names
    origin = origin.assign(part=0 if headings is None else headings.part).drop_duplicates()
    found: dict[_Sheet, dict[str, str]] = defaultdict(dict)
    for file, sheet, part in zip(*(origin[name] for name in origin), strict=True):
        place = redact(str(file)), None if pd.isna(sheet) else redact(str(sheet))
        found[place] |= {redact(theirs): ours for ours, theirs in known[part].items()}
    return dict(found)


def _whose(submission: Submission, places: pd.DataFrame, secret: bytes) -> Iterator[str]:
    """Yield for each finding the hash of the key of its row."""
    keys: dict[tuple[object, ...], str] = {}
    on_rows = places[places["row"].notna() & places["table"].notna()]
    for table, here in on_rows.groupby("table", sort=False):
        keys |= _keys(submission, str(table), {int(row) for row in here["row"]}, secret)
    for place in zip(*(places[name] for name in ("table", "file", "sheet", "row")), strict=True):
        yield keys.get(place, "")


def _keys(submission: Submission, table: str, rows: set[int], secret: bytes) -> dict[tuple[object, ...], str]:
    """Return the hashes of the keys of some rows of a table, by table, file, sheet and row."""
    origin = submission.provenance[table]
    wanted = origin.index[np.isin(origin["row"].to_numpy(dtype="int64"), list(rows))]
    frame = submission.tables[table].loc[wanted, list(schema.table(table).key)]
    said = frame.astype(object).where(frame.notna(), "").astype(str).to_numpy(dtype=object)
    found: dict[tuple[object, ...], str] = {}
    there = origin.loc[wanted]
    for file, sheet, row, key in zip(there["file"], there["sheet"], there["row"], map(tuple, said), strict=True):
        place = (table, redact(str(file)), None if pd.isna(sheet) else redact(str(sheet)), int(row))
        # A row that holds several forms is known by the first of them.
        found[place] = min(found.get(place, "\uffff"), "\x1f".join(key))
    return {place: _hashed(key, secret) if key.strip("\x1f") else "" for place, key in found.items()}


def _hashed(words: str, secret: bytes) -> str:
    """Return words as a hash that nobody can make without the secret."""
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), key=secret, digest_size=12).hexdigest()


def compare(before: Kept, now: Kept) -> dict[str, Report]:
    """Return the findings of two checks by what became of them.

    Parameters
    ----------
    before, now : Kept

    Returns
    -------
    dict of str to Report
        ``new`` and ``left`` hold findings of this check, ``gone`` and ``untried`` of the one before: a finding is
        untried where its table, column, file or rule was not looked at this time, and counts as neither.
    """
    old, fresh = _records(before), _records(now)
    open_old, open_new = list(range(len(old))), list(range(len(fresh)))
    for same in _SAME:
        open_old, open_new = _unmatched(old, open_old, fresh, open_new, same)
    tried = _tried(before, now)
    gone = [number for number in open_old if tried(old[number])]
    chosen = {
        "new": (now.report, open_new),
        "left": (now.report, sorted(set(range(len(fresh))) - set(open_new))),
        "gone": (before.report, gone),
        "untried": (before.report, sorted(set(open_old) - set(gone))),
    }
    return {
        name: replace(report, places=report.places.iloc[numbers].reset_index(drop=True))
        for name, (report, numbers) in chosen.items()
    }


def _records(kept: Kept) -> list[Found]:
    """Return the findings as dictionaries."""
    frame = kept.report.places.drop(columns="values").assign(whose=list(kept.whose))
    return list(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def _of_person(found: Found) -> Hashable:
    """Return what names a finding by the key of its row; None where it cannot."""
    return (found["code"], found["status"], found["table"], found["column"], found["whose"]) if found["whose"] else None


def _of_row(found: Found) -> Hashable:
    """Return what names a finding by its place."""
    return tuple(found[name] for name in ("code", "status", "table", "file", "sheet", "column", "row"))


def _of_row_anywhere(found: Found) -> Hashable:
    """Return what names a finding by its place, whatever the file is called now."""
    return tuple(found[name] for name in ("code", "status", "table", "column", "row"))


def _of_file(found: Found) -> Hashable:
    """Return what names a finding on a file, wherever in it; None for one on a row of a table."""
    if found["table"] is not None:
        return None
    return tuple(found[name] for name in ("code", "status", "file", "sheet", "column"))


# From the surest to the least sure way of knowing a finding again.
_SAME: tuple[Callable[[Found], Hashable], ...] = (_of_person, _of_row, _of_row_anywhere, _of_file)


def _unmatched(
    old: Sequence[Found],
    open_old: list[int],
    fresh: Sequence[Found],
    open_new: list[int],
    same: Callable[[Found], Hashable],
) -> tuple[list[int], list[int]]:
    """Return which findings have no counterpart, each counterpart taken once."""
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for number in open_new:
        name = same(fresh[number])
        if name is not None:
            waiting[name].append(number)
    left, taken = [], set()
    for number in open_old:
        name = same(old[number])
        if name is not None and waiting.get(name):
            taken.add(waiting[name].popleft())
        else:
            left.append(number)
    return left, [number for number in open_new if number not in taken]


def _tried(before: Kept, now: Kept) -> Callable[[Found], bool]:
    """Return what says whether a finding of the check before was looked for again."""
    silent = {rule.code for rule in now.report.not_applicable}
    places = now.report.places
    unread = set(places["file"][places["code"].isin(NOT_READ)])

    def tried(found: Found) -> bool:
        table, column = found["table"], found["column"]
        if found["code"] in silent or (found["file"] in unread and found["code"] not in NOT_READ):
            return False
        if table is None or table not in before.columns:
            return True
        if table not in now.columns:
            return False
        place = found["file"], found["sheet"]
        had, has = (_of_sheet(kept.columns[table], place) for kept in (before, now))
        canonical = had.get(column) if column else None
        # Of columns side by side, each is looked for by itself; one that is alone may have another name now.
        alone = list(had.values()).count(str(canonical)) == 1
        return canonical is None or (canonical in has.values() if alone else column in has)

    return tried


def _of_sheet(columns: dict[_Sheet, dict[str, str]], place: _Sheet) -> dict[str, str]:
    """Return the columns of a sheet by their names; those of all sheets where it is not there, as under a new name."""
    if place in columns:
        return columns[place]
    return {theirs: ours for each in columns.values() for theirs, ours in each.items()}


def told(changes: dict[str, Report], language: str) -> dict[str, Any]:
    """Return the changes as a page tells them: for each kind the number, and the findings by rule.

    Parameters
    ----------
    changes : dict of str to Report
        From `compare`.
    language : {"sv", "en"}

    Returns
    -------
    dict
        Name of the change to ``{"count", "groups"}``; a group has kind, title, count, and places with file, sheet,
        table, column, rows and count.
    """
    said = {}
    for name, report in changes.items():
        groups = [
            {
                "kind": section.kind,
                "title": group.title,
                "count": group.count,
                "places": [
                    {
                        "file": place.file,
                        "sheet": place.sheet,
                        "table": place.table,
                        "column": place.column,
                        "rows": place.rows,
                        "count": place.count,
                    }
                    for place in group.places
                ],
            }
            for section in grouped(report.in_language(language))
            for group in section.groups
        ]
        said[name] = {"count": len(report.places), "groups": groups}
    return said
