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
from bipstudy.analyses.subgroups import every_grouping
from bipstudy.replication import checkpoints
from bipstudy.replication.birth import key_of, key_of_multiverse
from bipstudy.replication.plan import Plan
from bipstudy.replication.processes import tidy
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, text

_BY_GROUP = "by_group_"
# Questions whose primary estimates are few and are of persons: the others by group would be pages of numbers.
GROUPED = ("transitions", "belief", "continuity", "activities", "progression")
# What takes longest begins first, so that no process is left with a long one at the end.
LONGEST = ("readiness", "belief", "progression", "continuity", "activities", "insights", "caseworkers", "indicators")


@dataclass(frozen=True)
class Task:
    """One analysis as another process is told of it: what it is called with, and what it depends on.

    `file` is what it is kept as; `grouped` says that its primary estimates are made by group.
    """

    name: str
    file: str
    grouped: bool
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
    tasks = _tasks(study, plan, _made_by(facts))
    with _place(folder) as place:
        kept = {task.file: checkpoints.fetch(place, task.file, task.key) for task in tasks}
        made = {file: outcome for file, outcome in kept.items() if outcome is not None}
        for task in tasks:
            if task.file in made and not task.grouped:
                say(text(f"analyses.{task.name}.title", language))
        waiting = [task for task in tasks if task.file not in made]
        for task, outcome in _spread(study, waiting, place, n_jobs, lambda name: say(text(name, language))):
            made[task.file] = outcome
    return {task.file: made[task.file] for task in tasks}


def grouped(made: Mapping[str, checkpoints.Outcome]) -> dict[str, Result]:
    """Return what was made by group, by question, from what `answered` gives."""
    return {
        file.removeprefix(_BY_GROUP): each
        for file, each in made.items()
        if file.startswith(_BY_GROUP) and isinstance(each, Result)
    }


def whole(made: Mapping[str, checkpoints.Outcome]) -> dict[str, checkpoints.Outcome]:
    """Return what was made of the whole study, by question, from what `answered` gives."""
    return {file: each for file, each in made.items() if not file.startswith(_BY_GROUP)}


def _tasks(study: Study, plan: Plan, made_by: Mapping[str, Any]) -> list[Task]:
    """Return the analyses of a plan, and after them those by group."""
    tasks = []
    for by_group in (False, True) if plan.by_group else (False,):
        for name in plan.questions:
            if by_group and name not in GROUPED:
                continue
            file = f"{_BY_GROUP}{name}" if by_group else name
            key = key_of(study.hash, plan, name, {**made_by, **({"grouped": True} if by_group else {})})
            own = plan.arguments(name)
            tasks.append(Task(name, file, by_group, key, own, plan.leave_out, plan.replications, plan.seed))
    return tasks


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
    # The published shares that participants are weighted to stand among the findings.
    data = {name: facts[name] for name in ("instruments", "benchmarks")}
    return {**facts["versions"], "source": facts["code"]["source"], **data}


def _spread(
    study: Study, tasks: Sequence[Task], place: Path, n_jobs: int, say: Callable[[str], None]
) -> Iterator[tuple[Task, checkpoints.Outcome]]:
    """Make analyses here or in processes, and give each when it is made."""
    if n_jobs == 1 or len(tasks) < 2:
        for task in tasks:
            if not task.grouped:
                say(f"analyses.{task.name}.title")
            yield task, checkpoints.store(place, task.file, task.key, _answer(study, task))
        return
    from joblib import Parallel, delayed

    rank = {name: number for number, name in enumerate(LONGEST)}
    order = sorted(tasks, key=lambda task: rank.get(task.name, len(rank)))
    # Plain dictionaries: a view of one cannot be sent to another process.
    sent = replace(study, tables=dict(study.tables), erased=dict(study.erased))
    # Tables are copied: what is mapped from a file cannot be written to, and an analysis may do so with its own.
    pool = Parallel(n_jobs=min(n_jobs, len(order)), return_as="generator", pre_dispatch="n_jobs", max_nbytes=None)
    finished = pool(delayed(tidy)(_keep, sent, task, place) for task in order)
    for task in order:
        if not task.grouped:
            say(f"analyses.{task.name}.title")
        next(finished)
        kept = checkpoints.fetch(place, task.file, task.key)
        yield task, _answer(study, task) if kept is None else kept


def _keep(study: Study, task: Task, place: Path) -> None:
    """Make an analysis and keep it, in a process of its own."""
    checkpoints.store(place, task.file, task.key, _answer(study, task))


def _answer(study: Study, task: Task) -> checkpoints.Outcome:
    """Return what one analysis gives, or why it gives nothing."""
    try:
        if task.grouped:
            with background_without(task.leave_out):
                return every_grouping(task.name, study, **task.arguments)
        with background_without(task.leave_out), resampling(task.replications, task.seed) as drawn:
            result: Result = getattr(analyses, task.name)(study, **task.arguments)
        return replace(result, replicates=drawn.found)
    except BipstudyError as error:
        # One question that the data cannot answer does not stop the others; the report says why.
        return error
