"""Commands on whole studies: simulate, and the demo that walks the whole road."""

from __future__ import annotations

import shutil
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
)
from bipstudy.cli.files import show_report
from bipstudy.cli.replicating import JOBS, run_with_progress
from bipstudy.texts import BipstudyError, text

Seed = Annotated[int, typer.Option("--seed", help=helped("seed_option"))]
Participants = Annotated[int | None, typer.Option("--participants", "-n", min=1, help=helped("participants_option"))]
_DEMO_MARK = ".bipstudy-demo"


@command
def simulate(
    raw: Annotated[Path, typer.Option("--raw", help=helped("raw_option"))],
    participants: Participants = None,
    seed: Seed = 1,
    scenario: Annotated[str, typer.Option("--scenario", help=helped("scenario_option"))] = "demo",
    dummy: Annotated[bool, typer.Option("--dummy", help=helped("dummy_option"))] = False,
    defects: Annotated[float | None, typer.Option("--defects", help=helped("defects_option"))] = None,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Draw a study and write it as organisations would send it."""
    from bipstudy.simulation import dummy_data, simulate_study, sprinkle, write_raw

    checked_language(language)
    with progress(2, quiet=as_json) as shown:
        shown.step(text("cli.simulating", language))
        if dummy:
            study = dummy_data(participants=participants or 40, seed=seed)
        else:
            study, _ = simulate_study(participants=participants, seed=seed, scenario=scenario)
        shown.step(text("cli.writing_raw", language))
        folders = write_raw(study, raw, seed=seed)
        planted = [] if defects is None else sprinkle(raw, defects, seed=seed)
    size = _size(study)
    if as_json:
        say_json({**size, "folders": [str(folder) for folder in folders], "planted": len(planted)})
    else:
        say(text("cli.simulated", language, **size))
        say(text("cli.written", language, path=raw))
        if defects is not None:
            say(text("cli.planted", language, number=len(planted), path=raw / "planted.csv"))


@command
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))] = Path("demo"),
    participants: Participants = None,
    seed: Seed = 1,
    language: Language = DEFAULT_LANGUAGE,
) -> None:
    """Walk the whole road on simulated data."""
    from bipstudy.pool import Pool, load_study
    from bipstudy.replication import Plan
    from bipstudy.simulation import simulate_study, write_raw

    _clear(out, checked_language(language))
    with progress(2) as shown:
        shown.step(text("cli.simulating", language))
        study, _ = simulate_study(participants=participants, seed=seed, scenario="demo")
        shown.step(text("cli.writing_raw", language))
        folders = write_raw(study, out / "raw", seed=seed)
    say(text("cli.simulated", language, **_size(study)))
    pool = Pool(out / "pool")
    with progress(len(folders) + 1) as shown:
        for folder in folders:
            shown.step(text("cli.validating", language, name=folder.name))
            _add(pool, folder, language)
        shown.step(text("cli.releasing", language))
        number = pool.release(note="demo")
    say(text("cli.released", language, number=number))
    run_with_progress(load_study(out / "pool"), Plan(), out / "report", language, seed=seed, jobs=JOBS)
    say(text("cli.demo_is_simulated", language))
    say(text("cli.report_is_here", language, path=(out / "report" / "report.html").resolve()))


def _add(pool: Any, folder: Path, language: str) -> None:
    """Validate and store one organisation's files."""
    from bipstudy.loaders import load_submission
    from bipstudy.validation import validate

    submission = load_submission(folder)
    report = validate(submission, language=language)
    if not report.ok:
        show_report(report, language)
        raise typer.Exit(DATA_FALL_SHORT)
    pool.add(submission, report)


def _size(study: Any) -> dict[str, int]:
    """Return how large a study is."""
    forms = study.measurements
    answered = forms[forms["form_status"] == "answered"]
    occasions = answered[["organisation_id", "participant_id", "occasion"]].drop_duplicates()
    return {
        "participants": len(study.participants),
        "occasions": len(occasions),
        "forms": len(answered),
        "organisations": len(study.organisations),
    }


def _clear(out: Path, language: str) -> None:
    """Make an empty folder for the demo; a folder that is not an earlier demo is never touched."""
    if out.exists():
        if not (out / _DEMO_MARK).is_file():
            raise BipstudyError("cli.out_exists", path=out)
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / _DEMO_MARK).write_text(text("cli.demo_is_simulated", language) + "\n", encoding="utf-8")
