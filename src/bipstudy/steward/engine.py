"""The page's end of the worker: starts it, speaks to it, stops it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Stopped(Exception):
    """The worker was stopped, or ended by itself, before it had answered."""


class Engine:
    """One worker at a time; a stopped one is replaced by the next.

    Parameters
    ----------
    root : Path
        Folder of the session, which the worker deletes if the page ends without a word.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self._closed = False

    def start(self) -> subprocess.Popen[bytes]:
        """Return the worker, started if there is none."""
        with self._changing:
            if self._closed:
                raise Stopped
            if self._process is not None and self._process.poll() is not None:
                _let_go(self._process)
                self._process = None
            if self._process is None:
                self._process = _started(self._root)
            return self._process

    def ask(self, job: dict[str, Any], step: Callable[[str], None]) -> dict[str, Any]:
        """Have a job done; to be called by one thread at a time.

        Parameters
        ----------
        job : dict
            What `worker` does, see there.
        step : callable
            Called with the name of each step as it begins.

        Returns
        -------
        dict
            ``done``, ``failed`` or ``unexpected``.

        Raises
        ------
        Stopped
            The worker ended before it had answered.
        """
        process = self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job).encode("ascii") + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                answer: dict[str, Any] = json.loads(line)
                if "step" not in answer:
                    return answer
                step(answer["step"])
        except (OSError, ValueError) as error:
            raise Stopped from error
        finally:
            if process is not self._process:
                _let_go(process)
        raise Stopped

    def stop(self) -> None:
        """End what the worker does, at once; the next job gets a new one."""
        with self._changing:
            process, self._process = self._process, None
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the worker for good."""
        with self._changing:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            _let_go(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a worker that was stopped, and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        # What was not yet written has nobody to read it.
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def _started(root: Path) -> subprocess.Popen[bytes]:
    """Start a worker whose errors are seen by nobody, since a library's words may hold a value from a file."""
    return subprocess.Popen(
        # The folder in which somebody stands must not be where modules are looked for.
        [sys.executable, "-P", "-m", "bipstudy.steward.worker", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("BIPSTUDY_DEBUG") else subprocess.DEVNULL,
        # On Windows a console that is closed takes every program in it along, and nobody would clean up.
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
