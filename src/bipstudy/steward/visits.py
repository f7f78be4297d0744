"""The pages that are open, what each has been told, and the folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

PREFIX = "bipstudy-steward-"
_LOCK = "in-use.lock"
# A page that is read again, or asked for in the other language, is away for a moment; a closed one stays away.
AWAY_SECONDS = 15.0
# Without script a page cannot say that it is open, but while it waits for a check it is read again every other second.
WAITING_SECONDS = 60.0
SILENT_SECONDS = 2 * 3600.0
MAX_VISITS = 20


@dataclass
class Run:
    """One check: where it is and how far it has come.

    Attributes
    ----------
    number : int
    folder, target : Path
        Its folder, and what is checked in it.
    state : str
        queued, working, done, failed or stopped.
    step : str
        What the worker does: reading, checking or writing.
    answer : dict
        What it answered when done.
    problem : dict or None
        Why it failed, by language.
    """

    number: int
    folder: Path
    target: Path
    state: str = "queued"
    step: str = ""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, str] | None = None

    @property
    def open(self) -> bool:
        """Whether it is not yet over."""
        return self.state in {"queued", "working"}


@dataclass
class Visit:
    """One open page."""

    id: str
    folder: Path
    mapping: Path | None = None
    organisation: str = ""
    extracted_on: str = ""
    run: Run | None = None
    runs: int = 0
    base: Path | None = None
    streams: int = 0
    had_stream: bool = False
    using: int = 0
    taking: bool = False
    closed: bool = False
    seen: float = field(default_factory=time.monotonic)
    secret: str = field(default_factory=lambda: secrets.token_hex(32))

    def touch(self) -> None:
        """Note that the page has just asked for something."""
        self.seen = time.monotonic()

    @contextlib.contextmanager
    def in_use(self, *, stream: bool = False) -> Iterator[None]:
        """Hold the visit while files arrive, or for as long as the page says that it is open."""
        self.using += 1
        self.streams += stream
        self.had_stream |= stream
        try:
            yield
        finally:
            self.using -= 1
            self.streams -= stream
            self.touch()

    def is_over(self, now: float) -> bool:
        """Say whether the page must be taken for closed."""
        if self.using:
            return False
        silent = now - self.seen
        if self.had_stream:
            return silent > AWAY_SECONDS
        waiting = self.run is not None and self.run.open
        return silent > (WAITING_SECONDS if waiting else SILENT_SECONDS)

    def next_folder(self) -> Path:
        """Return the folder of the next run, which does not exist."""
        self.runs += 1
        return self.folder / f"{self.runs}"

    def forget_run(self, kept: str) -> None:
        """Delete the files of the run before, but for what the next one is held against."""
        if self.run is None:
            return
        if self.run.state == "done":
            base = self.folder / f"base-{kept}"
            os.replace(self.run.folder / kept, base)
            self.base = base
        remove(self.run.folder)
        self.run = None


class Visits:
    """Every open page, in a folder of this process that others cannot read.

    Parameters
    ----------
    root : Path
        From `new_root`.
    mapping : Path, optional
        Mapping with which every page begins.
    """

    def __init__(self, root: Path, mapping: Path | None = None) -> None:
        self.root = root
        self._mapping = mapping
        self._open: dict[str, Visit] = {}

    def new(self) -> Visit | None:
        """Return a new visit, or None where there are too many; one on which nothing was ever sent makes room."""
        if len(self._open) >= MAX_VISITS:
            unused = [each for each in self._open.values() if not (each.runs or each.using)]
            if not unused:
                return None
            self.close(min(unused, key=lambda each: each.seen))
        made = Visit(id=secrets.token_urlsafe(24), folder=Path(tempfile.mkdtemp(dir=self.root)), mapping=self._mapping)
        self._open[made.id] = made
        return made

    def find(self, name: str) -> Visit | None:
        """Return the visit of an address, or None if it is closed or never was."""
        found = None
        # Each is looked at, so that the time tells nothing of how much of the name is right.
        for each in self._open.values():
            if compare_digest(each.id.encode(), name.encode("utf-8", "replace")):
                found = each
        return found

    def over(self) -> list[Visit]:
        """Return the visits whose page is closed."""
        now = time.monotonic()
        return [each for each in self._open.values() if each.is_over(now)]

    def close(self, visit: Visit) -> None:
        """Forget a visit and delete its files."""
        visit.closed = True
        self._open.pop(visit.id, None)
        remove(visit.folder)

    @property
    def count(self) -> int:
        """How many pages are open."""
        return len(self._open)


class Root:
    """The folder of this process, marked as in use for as long as it lives.

    Attributes
    ----------
    path : Path
    """

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = FileLock(str(self.path / _LOCK))
        self._lock.acquire(timeout=0)

    def remove(self) -> None:
        """Delete the folder and everything in it."""
        self._lock.release()
        remove(self.path)


def sweep(minimum_age: float = 60.0) -> None:
    """Delete what a process that was ended by force, or by a power cut, has left behind."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            about = path.lstat()
            is_ours = not hasattr(os, "getuid") or about.st_uid == os.getuid()
            if not stat.S_ISDIR(about.st_mode) or not is_ours or time.time() - about.st_mtime < minimum_age:
                continue
            with FileLock(str(path / _LOCK), timeout=0):
                pass
            remove(path)


def remove(path: Path, patience: float = 5.0) -> None:
    """Delete a folder; on Windows a file that is just being let go of may need another try."""
    until = time.monotonic() + patience
    while path.exists():
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists() or time.monotonic() > until:
            return
        time.sleep(0.1)
