"""Upgrade of a pool: one of an older version of the tables is written anew, and the original stays as it is.

A new version of the tables brings a `Migration` from the one before it, registered in `MIGRATIONS`; an older pool goes
through all that follow.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy import schema
from bipstudy.pool.contents import Contents, Tables, release_file
from bipstudy.pool.erasure import KEY_FILE
from bipstudy.pool.files import ASIDE, as_json, flush_folder, refused, sha256, write_tables, write_whole
from bipstudy.pool.journal import LOG, Journal, as_lines, new_event
from bipstudy.texts import BipstudyError, DataError, text

Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Migration:
    """How tables of one version become those of the next.

    Attributes
    ----------
    version : int
        The version from which it leads to the next.
    tables : callable
        From a mapping of name to DataFrame, as they stand in the Parquet files, to the same of the next version.
    content_hash : callable
        The hash of tables as the version had it, by which a damaged pool is told before it is upgraded.
    """

    version: int
    tables: Callable[[Mapping[str, pd.DataFrame]], Tables]
    content_hash: Callable[[Mapping[str, pd.DataFrame]], str]


# Version 1 is the first; a later one puts the migration from the version before it here.
MIGRATIONS: tuple[Migration, ...] = ()


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade wrote.

    Attributes
    ----------
    path : Path
        Folder of the new pool.
    former, current : int
        Versions of the tables.
    submissions, releases : int
    """

    path: Path
    former: int
    current: int
    submissions: int
    releases: int

    def as_dict(self) -> dict[str, Any]:
        """Return the upgrade as plain values."""
        return {**vars(self), "path": str(self.path)}

    def text(self, language: str = "sv") -> str:
        """Return the upgrade as a person reads it."""
        return text("pool.upgraded", language, **{k: v for k, v in vars(self).items() if k != "path"})


def upgrade_pool(
    path: str | Path,
    out: str | Path,
    migrations: tuple[Migration, ...] | None = None,
    timeout: float = 60.0,
) -> Upgrade:
    """Write a pool of an older version of the tables anew, as one of the version of this package.

    Every submission, release, receipt and line of the log is carried over. Hashes are those of the new tables; the log
    of the new pool says from which hash each submission came, and ends with the SHA-256 of the original's log.

    Parameters
    ----------
    path : str or Path
        The pool, which stays as it is.
    out : str or Path
        Folder of the new pool; must not exist. It is there whole or not at all.
    migrations : tuple of Migration, optional
        By default those of the package.
    timeout : float
        Seconds to wait while somebody else writes in the original.

    Returns
    -------
    Upgrade

    Raises
    ------
    BipstudyError
        The pool is current, newer, damaged, or of a version without a migration; or the new folder exists.
    """
    source, target = Path(path), Path(out)
    if target.exists():
        raise BipstudyError("pool.target_exists", path=target)
    journal = Journal(source)
    journal.check_there()
    version = _version(journal)
    steps = _steps(source, version, MIGRATIONS if migrations is None else migrations)
    with journal.writing(timeout), refused("pool.cannot_write", target):
        aside = target.with_name(f"{ASIDE}{secrets.token_hex(8)}")
        try:
            renamed, releases = _write(journal, aside, steps)
            flush_folder(aside)
            aside.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    flush_folder(target.parent)
    return Upgrade(target, version, schema.SCHEMA_VERSION, len(renamed), releases)


def _version(journal: Journal) -> int:
    """Return the version of the tables that a pool holds."""
    versions = {int(event["schema_version"]) for event in journal.events() if event["event"] == "add"}
    if not versions:
        raise BipstudyError("pool.empty", path=journal.folder)
    return min(versions)


def _steps(path: Path, version: int, migrations: tuple[Migration, ...]) -> list[Migration]:
    """Return the migrations from a version to the current one."""
    current = schema.SCHEMA_VERSION
    if version == current:
        raise BipstudyError("pool.is_current", path=path, current=current)
    if version > current:
        raise BipstudyError("pool.newer_version", path=path, version=version, current=current)
    known = {step.version: step for step in migrations}
    if any(each not in known for each in range(version, current)):
        raise BipstudyError("pool.no_migration", path=path, version=version)
    return [known[each] for each in range(version, current)]


def _write(journal: Journal, target: Path, steps: list[Migration]) -> tuple[dict[str, str], int]:
    """Write the new pool; return former hash of each submission to new, and the number of releases."""
    (target / "submissions").mkdir(parents=True)
    (target / "releases").mkdir()
    events = journal.events()
    renamed: dict[str, str] = {}
    for content in dict.fromkeys(event["hash"] for event in events if event["event"] == "add"):
        folder = journal.folder / "submissions" / content
        tables = _migrated(folder, steps)
        renamed[content] = schema.content_hash(tables)
        if not (target / "submissions" / renamed[content]).exists():
            write_tables(target / "submissions" / renamed[content], tables, b"{}\n")
    moved = [_moved(journal, target, event, renamed) for event in events]
    write_whole(target / LOG, as_lines(moved))
    moved = [_released(journal, target, event, renamed) for event in moved]
    if (journal.folder / KEY_FILE).is_file():
        write_whole(target / KEY_FILE, (journal.folder / KEY_FILE).read_bytes())
        (target / KEY_FILE).chmod(0o600)
    original = sha256((journal.folder / LOG).read_bytes())
    versions = {"former": steps[0].version, "current": schema.SCHEMA_VERSION}
    write_whole(target / LOG, as_lines([*moved, new_event(len(moved) + 1, "upgrade", log_sha256=original, **versions)]))
    return renamed, sum(event["event"] == "release" for event in moved)


def _migrated(folder: Path, steps: list[Migration]) -> Tables:
    """Return the tables of a submission as the current version has them."""
    try:
        tables: Mapping[str, pd.DataFrame] = {
            path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))
        }
        intact = steps[0].content_hash(tables) == folder.name
    except PermissionError as error:
        raise BipstudyError("pool.cannot_read", path=folder) from error
    except Exception as error:
        # Damaged Parquet raises whatever the damage hits; to the reader it is all one.
        raise DataError("pool.tampered", name=f"submissions/{folder.name}") from error
    if not intact:
        raise DataError("pool.tampered", name=f"submissions/{folder.name}")
    for step in steps:
        tables = step.tables(tables)
    return {name: schema.conform(name, frame) for name, frame in tables.items() if len(frame)}


def _moved(journal: Journal, target: Path, event: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a line of the log as the new pool has it, and carry its receipt over."""
    if event["event"] != "add":
        return event
    former, content = event["hash"], renamed[event["hash"]]
    stored = journal.folder / "submissions" / former / event["receipt"]
    name, folder = event["receipt"], target / "submissions" / content
    if (folder / name).is_file() and (folder / name).read_bytes() != b"{}\n":
        name = f"receipt-{event['sequence']}.json"
    receipt = json.loads(stored.read_bytes())
    supersedes = {code: renamed.get(each, each) for code, each in event["supersedes"].items()}
    new = {"hash": content, "supersedes": supersedes, "schema_version": schema.SCHEMA_VERSION}
    write_whole(folder / name, as_json({**receipt, **new, "upgraded_from": former}))
    return {**event, **new, "receipt": name, "upgraded_from": former}


def _released(journal: Journal, target: Path, event: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a line of the log with the release as it is written for the new pool."""
    if event["event"] != "release":
        return event
    stored = journal.read(release_file(event["release"]))
    if sha256(stored) != event["sha256"]:
        raise DataError("pool.tampered", name=release_file(event["release"]))
    content = json.loads(stored)
    content["submissions"] = {code: renamed[each] for code, each in content["submissions"].items()}
    content["schema_version"] = schema.SCHEMA_VERSION
    content["upgraded_from"] = content["hash"]
    content["hash"] = schema.content_hash(Contents(Journal(target)).released(content))
    file = as_json(content)
    write_whole(target / release_file(event["release"]), file)
    return {**event, "sha256": sha256(file)}
