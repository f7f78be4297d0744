"""The multiverse as a part of a run: made once, kept while a run is under way, written and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bipstudy.analyses import Result
from bipstudy.replication import checkpoints
from bipstudy.replication.beside import Words
from bipstudy.report import Document
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, text

if TYPE_CHECKING:
    from bipstudy.replication.plan import Plan
    from bipstudy.replication.run import Run

NAME = "multiverse"
QUESTIONS = ("belief", "continuity", "indicators", "activities")
TABLES = ("excluded", "summary", "variance")


def made(study: Study, plan: Plan, folder: Path, key: str, *, n_jobs: int = 1) -> Any:
    """Return the multiverse of the questions that a plan asks, or why there is none.

    Parameters
    ----------
    study : Study
    plan : Plan
    folder : Path
        Where finished work is kept.
    key : str
        What the multiverse depends on.
    n_jobs : int, default 1
        Processes.

    Returns
    -------
    Multiverse or BipstudyError or None
        None where the plan asks none of the questions that have one.
    """
    asked = [name for name in QUESTIONS if name in plan.questions]
    if not asked:
        return None
    kept = checkpoints.fetch(folder, NAME, key)
    kept = checkpoints.store(folder, NAME, key, _run(study, asked, plan.seed, n_jobs)) if kept is None else kept
    if isinstance(kept, BipstudyError):
        return kept
    from bipstudy.replication.multiverse import Multiverse

    return Multiverse(table=kept.estimates, **{name: kept.tables[name] for name in TABLES}, facts=kept.settings)


def _run(study: Study, asked: list[str], seed: int, n_jobs: int) -> checkpoints.Outcome:
    """Return all specifications in the form in which results are kept."""
    from bipstudy.replication.multiverse import multiverse

    try:
        found = multiverse(study, asked, seed=seed, n_jobs=n_jobs)
    except BipstudyError as error:
        return error
    return Result(NAME, found.table, {name: getattr(found, name) for name in TABLES}, settings=dict(found.facts))


def frames(run: Run) -> dict[str, Any]:
    """Return the tables of a run's multiverse, by path in its folder; none if there is none."""
    if run.multiverse is None or isinstance(run.multiverse, BipstudyError):
        return {}
    found = {f"{NAME}/specifications.csv": run.multiverse.table}
    return found | {f"{NAME}/{name}.csv": getattr(run.multiverse, name) for name in TABLES}


def section(page: Document, run: Run, say: Words, drawn: Mapping[str, Any]) -> None:
    """Write what all sensible specifications say, question by question."""
    if run.multiverse is None:
        return
    page.section(say("section_multiverse"))
    if isinstance(run.multiverse, BipstudyError):
        page.callout(say("skipped", why=run.multiverse.message(run.language)), tone="warning")
        return
    from bipstudy.replication.multiverse import sentence

    page.paragraph(say("multiverse_intro"))
    for name in _questions(run):
        page.section(text(f"analyses.{name}.title", run.language), level=3)
        page.callout(sentence(run.multiverse, name, run.language))
        caption = "figure_multiverse_indicators" if name == "indicators" else "figure_multiverse"
        page.figure(drawn[f"{NAME}_{name}"], say(caption))


def drawings(run: Run) -> dict[str, Callable[[], Any]]:
    """Return what draws each specification curve."""
    if run.multiverse is None or isinstance(run.multiverse, BipstudyError):
        return {}
    return {f"{NAME}_{name}": partial(run.multiverse.figure, name, run.language) for name in _questions(run)}


def _questions(run: Run) -> list[str]:
    """Return the questions of a multiverse in the order in which the report answers them."""
    found = set(run.multiverse.summary["question"])
    return [name for name in run.plan.questions if name in found]
