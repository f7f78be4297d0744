"""The log of a pool: what was done, by whom and when. What stands in it has happened; what does not has not.

What cannot be done by one renamed file, such as an erasure, is first written down whole in ``pending.json``. From that
moment on it has happened: readers see it as done, and whoever writes next finishes what was left of it.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bipstudy import schema
from bipstudy.pool.files import as_json, clear_aside, flush_folder, refused, write_whole
from bipstudy.texts import BipstudyError, DataError

LOG = "log.jsonl"
PENDING = "pending.json"
_LOCK = "lock"


@dataclass(frozen=True)
class State:
    """What a pool holds now, as its log says.

    Attributes
    ----------
    current : dict of str to str
        Organisation to the hash of the submission that holds.
    known : frozenset of str
        Hashes of all submissions, superseded ones too.
    withdrawn : frozenset of (str, str)
        Organisation and participant of those who are left out of releases.
    releases : dict of int to str
        Number of each release to the SHA-256 of its file.
    extracted_on : dict of str to (str or None)
        Organisation to the day of the extract that holds.
    erased : dict of str to frozenset of str
        Organisation to the marks of those who were erased: keyed hashes, from which nobody can be read back.
    erasure_key : str
        Fingerprint of the key of the marks; empty where nobody was erased.
    """

    current: dict[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    withdrawn: frozenset[tuple[str, str]] = frozenset()
    releases: dict[int, str] = field(default_factory=dict)
    extracted_on: dict[str, str | None] = field(default_factory=dict)
    erased: dict[str, frozenset[str]] = field(default_factory=dict)
    erasure_key: str = ""


@dataclass(frozen=True)
class Journal:
    """The log of the pool in a folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file of the log."""
        return self.folder / LOG

    def events(self) -> list[dict[str, Any]]:
        """Return what was done, the first first.

        Raises
        ------
        BipstudyError
            The log cannot be read.
        """
        content = self._log()
        if content is None:
            if any((self.folder / "releases").glob("*.json")):
                raise DataError("pool.tampered", name=LOG)
            return []
        try:
            return [json.loads(line) for line in content.splitlines()]
        except ValueError as error:
            raise DataError("pool.tampered", name=LOG) from error

    def read(self, name: str) -> bytes:
        """Return the content of a file of the pool as it is, or is about to be; nothing if there is none."""
        pending = self.pending()
        if pending and name in pending["files"]:
            return str(pending["files"][name]).encode("utf-8")
        return self._bytes(name) or b""

    def pending(self) -> dict[str, Any] | None:
        """Return the change that has happened but is not carried out to its end, if there is one."""
        stored = self._bytes(PENDING)
        try:
            content: dict[str, Any] | None = None if stored is None else json.loads(stored)
        except ValueError as error:
            raise DataError("pool.tampered", name=PENDING) from error
        return content

    def stamp(self) -> bytes | None:
        """Return what differs as soon as anything in the pool does."""
        return self._log()

    def check(self) -> None:
        """Refuse a folder that holds something else than a pool.

        Raises
        ------
        BipstudyError
            It does.
        """
        with refused("pool.cannot_read", self.folder):
            foreign = self.folder.is_dir() and not self.path.exists() and any(map(_is_foreign, self.folder.iterdir()))
        if foreign:
            raise BipstudyError("pool.not_a_pool", path=self.folder)

    def check_there(self) -> None:
        """Refuse a path where there is no pool: only adding a submission makes one.

        Raises
        ------
        BipstudyError
            There is no such folder, or it holds something else.
        """
        self.check()
        if not self.folder.is_dir():
            raise BipstudyError("pool.no_pool", path=self.folder)

    def check_held(self) -> None:
        """Refuse a path where there is no pool, or one to which nothing was ever added.

        Raises
        ------
        BipstudyError
            It is one.
        """
        self.check_there()
        if not self.events():
            raise BipstudyError("pool.empty", path=self.folder)

    def state(self) -> State:
        """Return what the pool holds now.

        Raises
        ------
        BipstudyError
            The log cannot be read, or the pool is of another version of the tables.
        """
        current: dict[str, str] = {}
        days: dict[str, str | None] = {}
        known, withdrawn, releases = set(), set(), {}
        erased: dict[str, frozenset[str]] = {}
        erasure_key = ""
        for event in self.events():
            if event["event"] == "add":
                self._check_version(int(event["schema_version"]))
                current.update(dict.fromkeys(event["organisations"], event["hash"]))
                days.update(dict.fromkeys(event["organisations"], event["extracted_on"]))
                known.add(event["hash"])
            elif event["event"] == "leave":
                current.pop(event["organisation"], None)
            elif event["event"] == "withdraw" and event["participant"]:
                withdrawn.add((event["organisation"], event["participant"]))
            elif event["event"] == "release":
                releases[int(event["release"])] = event["sha256"]
            elif event["event"] == "erase":
                marks = erased.get(event["organisation"], frozenset())
                erased[event["organisation"]] = marks | {event["mark"]}
                erasure_key = event["key"]
        return State(
            current,
            frozenset(known),
            frozenset(withdrawn),
            releases,
            {code: days[code] for code in current},
            erased,
            erasure_key,
        )

    def write(self, event: str, **content: object) -> None:
        """Add a line to the log. With this line in place the event has happened.

        Parameters
        ----------
        event : {"add", "withdraw", "leave", "release"}
        **content
            What was done. Time and user are added.
        """
        former = self._bytes(LOG) or b""
        # The whole log is written anew and renamed: appending in place could leave half a line.
        write_whole(self.path, former + as_lines([new_event(len(former.splitlines()) + 1, event, **content)]))

    def change(self, events: Sequence[Mapping[str, Any]], files: Mapping[str, bytes], remove: Sequence[str]) -> None:
        """Change several files so that all of it has happened or none.

        Parameters
        ----------
        events : sequence of mapping
            The whole log as it is to be.
        files : mapping of str to bytes
            Name inside the pool and content of the files to write.
        remove : sequence of str
            Names inside the pool of the folders to remove.
        """
        content = {
            "log": as_lines(events).decode("utf-8"),
            "files": {name: file.decode("utf-8") for name, file in files.items()},
            "remove": list(remove),
        }
        write_whole(self.folder / PENDING, as_json(content))
        self._finish()

    def _finish(self) -> None:
        """Carry out a pending change; each step may be done again."""
        pending = self.pending()
        if pending is None:
            return
        for name, content in sorted(pending["files"].items()):
            write_whole(self.folder / name, content.encode("utf-8"))
        write_whole(self.path, pending["log"].encode("utf-8"))
        try:
            for name in pending["remove"]:
                if (self.folder / name).exists():
                    shutil.rmtree(self.folder / name)
        except OSError as error:
            raise BipstudyError("pool.unfinished", path=self.folder) from error
        flush_folder(self.folder / "submissions")
        (self.folder / PENDING).unlink()
        flush_folder(self.folder)

    def _log(self) -> bytes | None:
        """Return the content of the log, as a pending change has it if there is one; None without a log."""
        pending = self.pending()
        if pending:
            return str(pending["log"]).encode("utf-8")
        return self._bytes(LOG)

    def _bytes(self, name: str) -> bytes | None:
        """Return the content of a file of the pool as it is; None if there is none."""
        path = self.folder / name
        with refused("pool.cannot_read", path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _check_version(self, version: int) -> None:
        """Refuse a pool of another version of the tables."""
        if version < schema.SCHEMA_VERSION:
            raise BipstudyError("pool.older_version", path=self.folder, version=version, current=schema.SCHEMA_VERSION)
        if version > schema.SCHEMA_VERSION:
            raise BipstudyError("pool.newer_version", path=self.folder, version=version, current=schema.SCHEMA_VERSION)

    @contextmanager
    def writing(self, timeout: float) -> Iterator[None]:
        """Hold the lock of the pool; nobody else writes meanwhile.

        Parameters
        ----------
        timeout : float
            Seconds to wait for another writer.

        Raises
        ------
        BipstudyError
            Another writer held the lock all that time, the folder holds something else than a pool, or the system lets
            nobody write there.
        """
        from filelock import FileLock, Timeout

        self.check()
        submissions = self.folder / "submissions"
        with refused("pool.cannot_write", self.folder):
            submissions.mkdir(parents=True, exist_ok=True)
            (self.folder / "releases").mkdir(exist_ok=True)
            try:
                with FileLock(self.folder / _LOCK, timeout=timeout):
                    clear_aside(self.folder, self.folder / "releases", submissions, *submissions.iterdir())
                    self._finish()
                    yield
            except Timeout as error:
                raise BipstudyError("pool.busy", path=self.folder) from error


def new_event(sequence: int, event: str, **content: object) -> dict[str, Any]:
    """Return a line of the log, with time and user."""
    time = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"sequence": sequence, "event": event, "time": time, "user": _user(), **content}


def as_lines(events: Sequence[Mapping[str, Any]]) -> bytes:
    """Return events as lines of JSON."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode("utf-8")


def _is_foreign(path: Path) -> bool:
    """Say whether a file or folder is none that a pool has before its first submission."""
    return path.name not in {"submissions", "releases", _LOCK} and not path.name.startswith(".")


def _user() -> str:
    """Return the name of the user, for the log alone."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
