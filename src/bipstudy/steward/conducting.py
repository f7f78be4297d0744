"""One check at a time: who waits, who is served, and what becomes of a check that nobody waits for any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

from bipstudy.steward.engine import Engine, Stopped
from bipstudy.steward.visits import Run, Visit, Visits
from bipstudy.texts import LANGUAGES, text

_SWEEP_SECONDS = 1.0


class Conductor:
    """Hands the jobs of every page to the worker, first come, first served.

    Parameters
    ----------
    visits : Visits
    engine : Engine
    """

    def __init__(self, visits: Visits, engine: Engine) -> None:
        self.visits = visits
        self.engine = engine
        self._turn = asyncio.Lock()
        self._served: Visit | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, visit: Visit, run: Run) -> None:
        """Put a check in line."""
        visit.run = run
        task = asyncio.create_task(self._check(visit, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, visit: Visit, run: Run) -> None:
        """Wait for the turn of a check, and have it made."""
        job = {
            "job": "check",
            "folder": str(run.folder),
            "target": str(run.target),
            "mapping": _path(visit.mapping),
            "organisation": visit.organisation,
            "extracted_on": visit.extracted_on,
            "before": _path(visit.base),
            "secret": visit.secret,
        }
        async with self._turn:
            if visit.closed or run.state == "stopped":
                return
            run.state, run.began, self._served = "working", time.monotonic(), visit
            try:
                answer = await asyncio.to_thread(self.engine.ask, job, lambda step: setattr(run, "step", step))
            except Stopped:
                answer = {"failed": {language: text("steward.worker_ended", language) for language in LANGUAGES}}
            finally:
                self._served = None
        if run.state != "stopped":
            run.seconds = time.monotonic() - run.began
            run.answer, run.problem = answer.get("done", {}), _problem(answer)
            run.state = "failed" if run.problem else "done"

    async def make(self, visit: Visit, out: Path, job: dict[str, Any]) -> dict[str, str] | None:
        """Have a file written, unless it is there already.

        Returns
        -------
        dict or None
            Why it could not be made, by language.
        """
        async with self._turn:
            if out.exists():
                return None
            if visit.closed:
                return _problem({"unexpected": "closed"})
            out.parent.mkdir(parents=True, exist_ok=True)
            # A file that was begun and not finished must not be taken for one.
            part = out.with_name(f"part-{out.name}")
            part.unlink(missing_ok=True)
            self._served = visit
            try:
                job = {"job": "make", "out": str(part), **job}
                answer = await asyncio.to_thread(self.engine.ask, job, lambda _: None)
                problem = _problem(answer)
            except Stopped:
                problem = {language: text("steward.worker_ended", language) for language in LANGUAGES}
            finally:
                self._served = None
            if problem is None:
                part.replace(out)
            return problem

    async def stop(self, visit: Visit) -> None:
        """End the check of a page, whether it is under way or in line."""
        if visit.run is not None and visit.run.open:
            visit.run.state = "stopped"
        if self._served is visit:
            # Not in a thread: nobody else can be served before it is done.
            self.engine.stop()
            await asyncio.to_thread(self._warm)

    async def close(self, visit: Visit) -> None:
        """End a page and delete what it was given."""
        visit.closed = True
        await self.stop(visit)
        await asyncio.to_thread(self.visits.close, visit)

    async def sweep(self) -> None:
        """Close again and again the visits whose page is closed."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for visit in self.visits.over():
                with contextlib.suppress(OSError):
                    await self.close(visit)

    def _warm(self) -> None:
        """Start the worker, so that the next check need not wait for it."""
        with contextlib.suppress(Stopped, OSError):
            self.engine.start()


def _path(path: Path | None) -> str | None:
    """Return a path as text."""
    return None if path is None else str(path)


def _problem(answer: dict[str, Any]) -> dict[str, str] | None:
    """Return why a job was not done, by language."""
    if "unexpected" in answer:
        return {language: text("steward.unexpected", language, kind=answer["unexpected"]) for language in LANGUAGES}
    return answer.get("failed")
