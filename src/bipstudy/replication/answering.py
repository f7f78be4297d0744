"""Makes the analyses of a plan, here or in processes, and keeps each that is finished."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bipstudy import analyses
from bipstudy.analyses import Result
from bipstudy.analyses.common import background_without
from bipstudy.analyses.resampling import resampling
from bipstudy.replication import checkpoints
from bipstudy.replication.birth import key_of, key_of_multiverse
from bipstudy.replication.plan import Plan
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, text

# What takes longest begins first, so that no process is left with a long one at the end.
LONGEST = ("readiness", "belief", "progression", "continuity", "activities", "insights", "caseworkers", "indicators")


@dataclass(frozen=True)
class Task:
    """One analysis as another process is told of it: what it is called with, and what it depends on."""

    name: str
    key: str
    arguments: dict[str, Any]
    leave_out: tuple[str, ...]
    replications: int
    seed: int


def answered(
    study: Study,
    plan: Plan,
    language: str,
    facts: Mapping[str, Any],
    folder: Path | None,
    say: Callable[[str], None],
    n_jobs: int = 1,
) -> dict[str, checkpoints.Outcome]:
    """Return what each analysis of a plan gives, from the folder where it was finished before.

    Parameters
    ----------
    study : Study
    plan : Plan
    language : {"sv", "en"}
        Of what is said.
    facts : mapping
        Birth certificate of the run.
    folder : Path or None
        Where finished analyses are kept; they are not if there is none.
    say : callable
        Called with the title of each analysis.
    n_jobs : int, default 1
        Processes; each analysis runs in one of them, and the numbers are the same for any.

    Returns
    -------
    dict of str to Result or BipstudyError
        In the order of the plan.
    """
    made_by = _made_by(facts)
    tasks = [
        Task(
            name,
            key_of(study.hash, plan, name, made_by),
            plan.arguments(name),
            plan.leave_out,
            plan.replications,
            plan.seed,
        )
        for name in plan.questions
    ]
    with _place(folder) as place:
        kept = {task.name: checkpoints.fetch(place, task.name, task.key) for task in tasks}
        made = {name: outcome for name, outcome in kept.items() if outcome is not None}
        for name in made:
            say(text(f"analyses.{name}.title", language))
        waiting = [task for task in tasks if task.name not in made]
        for task, outcome in _spread(study, waiting, place, n_jobs, lambda name: say(text(name, language))):
            made[task.name] = outcome
    return {name: made[name] for name in plan.questions}


def universe_of(study: Study, plan: Plan, facts: Mapping[str, Any], folder: Path | None, n_jobs: int = 1) -> Any:
    """Return the multiverse of a plan, from the folder where it was finished before; parameters as for `answered`."""
    from bipstudy.replication import worlds

    made_by = {**_made_by(facts), "questions": plan.questions}
    with _place(folder) as place:
        return worlds.made(study, plan, place, key_of_multiverse(study.hash, plan, made_by), n_jobs=n_jobs)


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """Give the folder of finished work, or one that is gone afterwards."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as aside:
        yield Path(aside)


def _made_by(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a birth certificate decides the numbers of an analysis, beside study and plan."""
    return {**facts["versions"], "source": facts["code"]["source"], "instruments": facts["instruments"]}


def _spread(
    study: Study, tasks: Sequence[Task], place: Path, n_jobs: int, say: Callable[[str], None]
) -> Iterator[tuple[Task, checkpoints.Outcome]]:
    """Make analyses here or in processes, and give each when it is made."""
    if n_jobs == 1 or len(tasks) < 2:
        for task in tasks:
            say(f"analyses.{task.name}.title")
            yield task, checkpoints.store(place, task.name, task.key, _answer(study, task))
        return
    from joblib import Parallel, delayed

    rank = {name: number for number, name in enumerate(LONGEST)}
    order = sorted(tasks, key=lambda task: rank.get(task.name, len(rank)))
    # Plain dictionaries: a view of one cannot be sent to another process.
    sent = replace(study, tables=dict(study.tables), erased=dict(study.erased))
    # Tables are copied: what is mapped from a file cannot be written to, and an analysis may do so with its own.
    pool = Parallel(n_jobs=min(n_jobs, len(order)), return_as="generator", pre_dispatch="n_jobs", max_nbytes=None)
    finished = pool(delayed(_keep)(sent, task, place) for task in order)
    for task in order:
        say(f"analyses.{task.name}.title")
        next(finished)
        kept = checkpoints.fetch(place, task.name, task.key)
        yield task, _answer(study, task) if kept is None else kept


def _keep(study: Study, task: Task, place: Path) -> None:
    """Make an analysis and keep it, in a process of its own."""
    checkpoints.store(place, task.name, task.key, _answer(study, task))


def _answer(study: Study, task: Task) -> checkpoints.Outcome:
    """Return what one analysis gives, or why it gives nothing."""
    try:
        with background_without(task.leave_out), resampling(task.replications, task.seed) as drawn:
            result: Result = getattr(analyses, task.name)(study, **task.arguments)
        return replace(result, replicates=drawn.found)
    except BipstudyError as error:
        # One question that the data cannot answer does not stop the others; the report says why.
        return error
