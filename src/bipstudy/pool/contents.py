"""What a pool's submissions and releases say, read from its files and checked against their hashes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy import schema
from bipstudy.pool.files import read_tables, sha256
from bipstudy.pool.journal import Journal
from bipstudy.texts import BipstudyError, DataError

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Contents:
    """The submissions and releases of a pool."""

    journal: Journal

    def submission(self, content: str) -> Path:
        """Return the folder of a submission."""
        return self.journal.folder / "submissions" / content

    def release(self, number: int) -> dict[str, Any]:
        """Return the content of a release's file, which must be the one the log knows."""
        releases = self.journal.state().releases
        if number not in releases:
            known = ", ".join(map(str, sorted(releases)))
            raise BipstudyError("pool.unknown_release", release=number, known=known or "-")
        file = self.journal.read(release_file(number))
        if sha256(file) != releases[number]:
            raise DataError("pool.tampered", name=release_file(number))
        content: dict[str, Any] = json.loads(file)
        return content

    def released(self, content: Mapping[str, Any]) -> Tables:
        """Return the tables of a release."""
        return self.tables(content["submissions"], {(code, person) for code, person in content["withdrawn"]})

    def tables(self, submissions: Mapping[str, str], withdrawn: Iterable[tuple[str, str]]) -> Tables:
        """Return the tables of several organisations without the participants who are withdrawn."""
        slices = [self.slice(submissions[code], code) for code in sorted(submissions)]
        found = {}
        for name in schema.TABLE_NAMES:
            parts = [tables[name] for tables in slices if name in tables and len(tables[name])]
            if parts:
                found[name] = without(pd.concat(parts, ignore_index=True), withdrawn)
        return {name: frame for name, frame in found.items() if len(frame)}

    def slice(self, content: str, organisation: str) -> Tables:
        """Return the rows of one organisation in a submission."""
        tables = read_tables(self.submission(content))
        return {name: frame[frame["organisation_id"] == organisation] for name, frame in tables.items()}


def release_file(number: int) -> str:
    """Return the name of a release's file inside the pool."""
    return f"releases/{number}.json"


def without(frame: pd.DataFrame, people: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return the rows that are about none of some participants.

    Parameters
    ----------
    frame : DataFrame
        A canonical table.
    people : iterable of (str, str)
        Organisation and participant.

    Returns
    -------
    DataFrame
    """
    left_out = set(people)
    if not left_out or "participant_id" not in frame:
        return frame
    # Few rows have an id that is also that of somebody left out; only those are looked at one by one.
    kept = ~frame["participant_id"].isin({person for _, person in left_out}).to_numpy(dtype=bool)
    alike = frame.loc[~kept, ["organisation_id", "participant_id"]]
    kept[~kept] = [person not in left_out for person in alike.itertuples(index=False, name=None)]
    return frame[kept]
