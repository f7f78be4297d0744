"""The log of a pool: what was done, by whom and when. What stands in it has happened; what does not has not."""

from __future__ import annotations

import datetime as dt
import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bipstudy.pool.files import clear_aside, write_whole
from bipstudy.texts import BipstudyError, DataError

LOG = "log.jsonl"
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
    """

    current: dict[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    withdrawn: frozenset[tuple[str, str]] = frozenset()
    releases: dict[int, str] = field(default_factory=dict)


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
        if not self.path.is_file():
            if any((self.folder / "releases").glob("*.json")):
                raise DataError("pool.tampered", name=LOG)
            return []
        try:
            return [json.loads(line) for line in self.path.read_bytes().splitlines()]
        except ValueError as error:
            raise DataError("pool.tampered", name=LOG) from error

    def check(self) -> None:
        """Refuse a folder that holds something else than a pool.

        Raises
        ------
        BipstudyError
            It does.
        """
        if self.folder.is_dir() and not self.path.exists() and any(map(_is_foreign, self.folder.iterdir())):
            raise BipstudyError("pool.not_a_pool", path=self.folder)

    def state(self) -> State:
        """Return what the pool holds now."""
        current: dict[str, str] = {}
        known, withdrawn, releases = set(), set(), {}
        for event in self.events():
            if event["event"] == "add":
                current.update(dict.fromkeys(event["organisations"], event["hash"]))
                known.add(event["hash"])
            elif event["event"] == "withdraw":
                withdrawn.add((event["organisation"], event["participant"]))
            elif event["event"] == "release":
                releases[int(event["release"])] = event["sha256"]
        return State(current, frozenset(known), frozenset(withdrawn), releases)

    def write(self, event: str, **content: object) -> None:
        """Add a line to the log. With this line in place the event has happened.

        Parameters
        ----------
        event : {"add", "withdraw", "release"}
        **content
            What was done. Time and user are added.
        """
        former = self.path.read_bytes() if self.path.is_file() else b""
        line = {
            "sequence": len(former.splitlines()) + 1,
            "event": event,
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "user": _user(),
            **content,
        }
        # The whole log is written anew and renamed: appending in place could leave half a line.
        write_whole(self.path, former + json.dumps(line, ensure_ascii=False).encode("utf-8") + b"\n")

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
            Another writer held the lock all that time, or the folder holds something else than a pool.
        """
        from filelock import FileLock, Timeout

        self.check()
        (self.folder / "submissions").mkdir(parents=True, exist_ok=True)
        (self.folder / "releases").mkdir(exist_ok=True)
        try:
            with FileLock(self.folder / _LOCK, timeout=timeout):
                clear_aside(self.folder, self.folder / "submissions", self.folder / "releases")
                yield
        except Timeout as error:
            raise BipstudyError("pool.busy", path=self.folder) from error


def _is_foreign(path: Path) -> bool:
    """Say whether a file or folder is none that a pool has before its first submission."""
    return path.name not in {"submissions", "releases", _LOCK} and not path.name.startswith(".")


def _user() -> str:
    """Return the name of the user, for the log alone."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
