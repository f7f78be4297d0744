"""Commands on replications: plan, replicate, verify, compare."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bipstudy.cli.console import (
    DATA_FALL_SHORT,
    DEFAULT_LANGUAGE,
    Json,
    Language,
    checked_language,
    command,
    helped,
    progress,
    say,
    say_json,
    writing,
)
from bipstudy.cli.pooling import PoolPath
from bipstudy.texts import text

PlanPath = Annotated[Path, typer.Argument(help=helped("plan_argument"))]
RunPath = Annotated[Path, typer.Argument(help=helped("run_argument"))]
# So many numbers that differ are shown; the others are counted, and --json has them all.
SHOWN = 20
# More processes than this gain little: a study is answered by a dozen analyses of unlike length.
JOBS = min(2, os.cpu_count() or 1)


@command
def plan_init(
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))] = Path("plan.yaml"),
    language: Language = DEFAULT_LANGUAGE,
) -> None:
    """Write the default plan with comments."""
    from bipstudy.replication import init_plan

    checked_language(language)
    with writing(out):
        init_plan(out, language)
    say(text("cli.written", language, path=out))


@command
def plan_check(path: PlanPath, language: Language = DEFAULT_LANGUAGE, as_json: Json = False) -> None:
    """Read a plan and say whether it can be carried out."""
    from bipstudy.replication import read_plan, read_registration

    checked_language(language)
    plan = read_plan(path)
    registered = read_registration(path)
    kept = None if registered is None else registered.plan_hash == plan.hash
    if as_json:
        say_json({"plan": plan.as_dict(), "hash": plan.hash, "registered": kept})
        return
    say(text("cli.plan_ok", language, questions=", ".join(plan.questions), hash=plan.hash))
    if registered is not None:
        key = "cli.plan_as_registered" if kept else "cli.plan_not_as_registered"
        say(text(key, language, date=registered.registered_at[:10]))


@command
def plan_register(path: PlanPath, language: Language = DEFAULT_LANGUAGE, as_json: Json = False) -> None:
    """Fix content and date of a plan."""
    from bipstudy.replication import register_plan
    from bipstudy.replication.registration import sidecar

    checked_language(language)
    with writing(sidecar(path)):
        fixed = register_plan(path)
    if as_json:
        say_json({"hash": fixed.plan_hash, "registered_at": fixed.registered_at, "file": str(sidecar(path))})
        return
    say(text("cli.plan_registered", language, date=fixed.registered_at, hash=fixed.plan_hash, path=sidecar(path)))


@command
def replicate(
    pool: PoolPath,
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))],
    plan: Annotated[Path | None, typer.Option("--plan", help=helped("plan_option"))] = None,
    release: Annotated[int | None, typer.Option("--release", help=helped("release_option"))] = None,
    seed: Annotated[int | None, typer.Option("--seed", help=helped("seed_option"))] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help=helped("pdf_option"))] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help=helped("run_jobs_option"))] = JOBS,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Rerun the Danish analyses and write the report."""
    from bipstudy.pool import load_study
    from bipstudy.replication import Plan, read_plan

    checked_language(language)
    chosen = Plan() if plan is None else read_plan(plan)
    study = load_study(pool, release=chosen.release if release is None else release)
    run = run_with_progress(study, chosen, out, language, seed=seed, pdf=pdf, quiet=as_json, jobs=jobs)
    report = out / "report.html"
    if as_json:
        say_json(
            {
                "report": str(report),
                "release": study.release,
                "hash": study.hash,
                "plan": run.plan.hash,
                "registered": run.registration is not None,
                "deviations": len(run.deviations),
                "skipped": {name: error.code for name, error in run.skipped.items()},
            }
        )
        return
    for name, error in run.skipped.items():
        title = text(f"analyses.{name}.title", language)
        say(text("cli.question_skipped", language, title=title, why=error.message(language)))
    if len(run.deviations):
        say(text("cli.deviations", language, count=len(run.deviations), path=out / "deviations.csv"))
    say(text("cli.report_is_here", language, path=report))


def run_with_progress(
    study: Any,
    plan: Any,
    out: Path,
    language: str,
    *,
    seed: int | None = None,
    pdf: bool = False,
    quiet: bool = False,
    jobs: int = 1,
) -> Any:
    """Run a plan with progress and return the run."""
    from bipstudy import replication

    chosen = replace(plan, seed=seed) if seed is not None else plan
    with progress(len(plan.questions) + plan.multiverse + 1, quiet=quiet) as shown:
        return replication.replicate(
            study,
            chosen,
            out,
            language=language,
            progress=lambda name: shown.step(text("cli.analysing", language, name=name)),
            pdf=pdf,
            n_jobs=jobs,
        )


@command
def verify(
    run: RunPath,
    pool: Annotated[Path, typer.Option("--pool", help=helped("pool_argument"))],
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help=helped("run_jobs_option"))] = JOBS,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Make a run again and compare every number."""
    from bipstudy import replication
    from bipstudy.replication.comparing import read_run

    checked_language(language)
    manifest, _ = read_run(run)
    with progress(len(manifest["settings"]) + 1, quiet=as_json) as shown:
        found = replication.verify(
            run,
            pool,
            progress=lambda name: shown.step(text("cli.analysing", language, name=name)),
            n_jobs=jobs,
        )
    _show(found, language, as_json=as_json)
    if not found.same:
        raise typer.Exit(DATA_FALL_SHORT)


@command
def compare(
    before: RunPath,
    after: Annotated[Path, typer.Argument(help=helped("other_run_argument"))],
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Say what changed between two runs."""
    from bipstudy.replication import compare_runs

    checked_language(language)
    _show(compare_runs(before, after), language, as_json=as_json)


def _show(found: Any, language: str, *, as_json: bool) -> None:
    """Write a comparison."""
    if as_json:
        say_json(found.as_dict())
        return
    for part, what in found.changed.items():
        name = text(f"cli.part_{part}", language)
        say(text("cli.part_changed", language, name=name, what=", ".join(what)) if what else
            text("cli.part_same", language, name=name))  # fmt: skip
    if found.erased:
        say(text("cli.changed_by_erasure", language, count=found.erased))
    if found.altered:
        say(text("cli.files_altered", language, files=", ".join(found.altered)))
    _show_cells(found.cells, language)
    say(text("cli.compared", language, **found.counts))
    if found.unexplained:
        say(text("cli.documents_unexplained", language, files=", ".join(found.unexplained)))
    elif found.documents:
        say(text("cli.documents_differ", language, count=len(found.documents)))
    numbers = found.counts["different"] == 0
    key = "runs_same" if found.same else "numbers_same_only" if numbers else "runs_differ"
    say(text(f"cli.{key}", language))


def _show_cells(cells: Any, language: str) -> None:
    """Write the cells that differ, the largest relative difference first."""
    different = cells[cells["verdict"] == "different"]
    order = different.sort_values("relative", ascending=False, kind="stable", na_position="last")
    for row in order.head(SHOWN).to_dict("records"):
        before, after = ("–" if value is None or value == "" else value for value in (row["before"], row["after"]))
        say(f"  {row['file']}  {row['row']}  {row['column']}: {before} → {after}")
    if len(different) > SHOWN:
        say(text("cli.more_cells", language, count=len(different) - SHOWN))
