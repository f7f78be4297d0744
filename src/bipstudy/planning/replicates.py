"""Simulated studies and their answers: spread over processes or a Dask cluster, kept, and gone on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.planning.sizes import Size
from bipstudy.simulation.scenario import Scenario
from bipstudy.texts import BipstudyError

# Replicates of one task: a worker that dies takes no more than these with it, and they are made again.
TASK = 5
FIELDS = ("estimate", "low", "high", "truth")


@dataclass(frozen=True)
class Point:
    """One size under one effect.

    Attributes
    ----------
    question : str
    effect : str
        What it is called: danish, none or a number.
    assumed : float
        As a ratio.
    size : Size
    scenario : Scenario
        With size and effect in it.
    """

    question: str
    effect: str
    assumed: float
    size: Size
    scenario: Scenario

    @property
    def key(self) -> str:
        """Hash of the question and of everything about the simulated world."""
        words = f"{self.question} {self.scenario.hash} {self.size.participants}"
        return hashlib.sha256(words.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Task:
    """Some replicates of a point, from `first` on."""

    point: Point
    first: int
    count: int
    seed: int


def run(task: Task) -> list[list[float]]:
    """Simulate studies and return what each answers.

    Parameters
    ----------
    task : Task

    Returns
    -------
    list of list of float
        `FIELDS` of each replicate.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from bipstudy.planning.questions import question
    from bipstudy.simulation import simulate_study

    chosen = question(task.point.question)
    rows = []
    with threadpool_limits(limits=1):
        for number in range(task.first, task.first + task.count):
            # Every replicate has a seed of its own, whoever makes it and whatever else is planned.
            seed = np.random.SeedSequence(task.seed, spawn_key=(int(task.point.key, 16), number))
            study, truth = simulate_study(task.point.size.participants, seed, task.point.scenario)
            reply = chosen.reply(study, truth)
            rows.append([getattr(reply, field) for field in FIELDS])
    return rows


class Store:
    """Keeps finished tasks in a folder, so that an interrupted plan goes on where it was.

    Parameters
    ----------
    folder : Path or None
        Nothing is kept if None.
    facts : dict
        The plan. Another plan's folder is refused, so that results of two are never mixed.
    """

    def __init__(self, folder: Path | None, facts: dict[str, Any]) -> None:
        self._folder = None if folder is None else folder / "replicates"
        if folder is None or self._folder is None:
            return
        # More replicates or a smaller error go on with the same ones.
        plan = {name: facts[name] for name in ("question", "scenario_hash", "seed")} | {"code": _code()}
        mark = folder / "plan.json"
        if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) != plan:
            raise BipstudyError("planning.other_plan", path=folder)
        if not mark.is_file() and folder.exists() and any(folder.iterdir()):
            raise BipstudyError("planning.folder_not_empty", path=folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        _write_aside(mark, json.dumps(plan, indent=1))

    def read(self, task: Task) -> list[list[float]] | None:
        """Return the answers of a finished task, None if it is not finished."""
        path = self._path(task)
        if path is None or not path.is_file():
            return None
        rows: list[list[float]] = json.loads(path.read_text(encoding="utf-8"))
        return rows

    def keep(self, task: Task, rows: list[list[float]]) -> None:
        """Keep the answers of a task, all or none of them."""
        path = self._path(task)
        if path is not None:
            _write_aside(path, json.dumps(rows))

    def _path(self, task: Task) -> Path | None:
        """Return where a task is kept."""
        if self._folder is None:
            return None
        return self._folder / f"{task.point.key}-{task.first:06d}-{task.count}.json"


def replicate_points(
    points: list[Point],
    store: Store,
    *,
    most: int,
    batch: int,
    seed: int,
    n_jobs: int,
    scheduler: str | None,
    enough: Callable[[pd.DataFrame], bool],
    progress: Callable[[int, int], None] | None = None,
) -> list[pd.DataFrame]:
    """Make replicates of every point until there are enough.

    Parameters
    ----------
    points : list of Point
    store : Store
    most : int
        Replicates of a point at most.
    batch : int
        After so many replicates of a point `enough` is asked, with all of them in their order.
    seed, n_jobs, scheduler
        See `bipstudy.planning.power`.
    enough : callable
    progress : callable of (done, planned), optional

    Returns
    -------
    list of DataFrame
        Columns `FIELDS`, one row per replicate in their order.
    """
    made: list[list[list[float]]] = [[] for _ in points]
    open_points = list(range(len(points)))
    with _workers(n_jobs, scheduler) as spread:
        while open_points:
            tasks: dict[int, list[Task]] = {
                place: _tasks(points[place], len(made[place]), min(batch, most - len(made[place])), seed)
                for place in open_points
            }
            planned = sum(map(len, made)) + sum(task.count for group in tasks.values() for task in group)
            answers = _answers([task for group in tasks.values() for task in group], store, spread, planned, progress)
            for place, group in tasks.items():
                for task in group:
                    made[place] += answers[task.point.key, task.first]
            open_points = [
                place for place in open_points if len(made[place]) < most and not enough(_frame(made[place]))
            ]
    return [_frame(rows) for rows in made]


def _frame(rows: list[list[float]]) -> pd.DataFrame:
    """Return replicates as a frame."""
    return pd.DataFrame(rows, columns=list(FIELDS), dtype=float)


def _tasks(point: Point, first: int, count: int, seed: int) -> list[Task]:
    """Return the tasks of a batch."""
    return [Task(point, first + start, min(TASK, count - start), seed) for start in range(0, count, TASK)]


def _answers(
    tasks: list[Task],
    store: Store,
    spread: Callable[[list[Task]], Iterator[tuple[Task, list[list[float]]]]],
    planned: int,
    progress: Callable[[int, int], None] | None,
) -> dict[tuple[str, int], list[list[float]]]:
    """Return the answers of all tasks, those kept from before and those made now."""
    found = {(task.point.key, task.first): rows for task in tasks if (rows := store.read(task)) is not None}
    missing = [task for task in tasks if (task.point.key, task.first) not in found]
    done = planned - sum(task.count for task in missing)
    for task, rows in spread(missing):
        store.keep(task, rows)
        found[task.point.key, task.first] = rows
        done += task.count
        if progress is not None:
            progress(done, planned)
    return found


@contextmanager
def _workers(n_jobs: int, scheduler: str | None) -> Iterator[Callable[[list[Task]], Iterator[tuple[Task, Any]]]]:
    """Give a function that spreads tasks and yields each when it is done."""
    if scheduler is not None:
        try:
            from distributed import Client
        except ImportError:
            raise BipstudyError("planning.no_distributed") from None
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, TimeoutError, ValueError):
            raise BipstudyError("planning.no_scheduler", address=scheduler) from None
        with client:
            yield lambda tasks: _on_cluster(client, tasks)
    elif n_jobs == 1:
        yield lambda tasks: ((task, run(task)) for task in tasks)
    else:
        from joblib import Parallel, delayed

        with Parallel(n_jobs=n_jobs, return_as="generator_unordered") as parallel:
            yield lambda tasks: parallel(delayed(_numbered)(task) for task in tasks)


def _numbered(task: Task) -> tuple[Task, list[list[float]]]:
    """Return a task with its answers."""
    return task, run(task)


def _on_cluster(client: Any, tasks: list[Task]) -> Iterator[tuple[Task, list[list[float]]]]:
    """Run tasks on a Dask cluster; what a lost worker had is made again by another."""
    from distributed import as_completed

    futures = client.map(_numbered, tasks, pure=False, retries=3)
    for future in as_completed(futures):
        yield future.result()


def _write_aside(path: Path, words: str) -> None:
    """Write a file whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(words, encoding="utf-8")
    aside.replace(path)


def _code() -> str:
    """Return a hash of the code that decides the numbers."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for room in ("simulation", "panel", "models", "analyses", "planning"):
        for path in sorted((package / room).rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
