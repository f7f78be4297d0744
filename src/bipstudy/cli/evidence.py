"""The command that shows whether the estimators are right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from bipstudy.cli.studies import Seed
from bipstudy.texts import text


def _help(key: str) -> str:
    """Return a help text of the certificate in the language of the session."""
    return helped(key, "certification")


HELP = _help("help")


@command
def certify(
    full: Annotated[bool, typer.Option("--full", help=_help("full_option"))] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=_help("out_option"))] = None,
    seed: Seed = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help=_help("jobs_option"))] = 1,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Try the estimators on known truth and say what fails."""
    from bipstudy.certification import certify as run
    from bipstudy.certification import steps

    checked_language(language)
    with progress(steps(full=full), quiet=as_json) as shown:
        certificate = run(full=full, seed=seed, n_jobs=jobs, out=out, language=language, progress=shown.step)
    if as_json:
        say_json(certificate.as_dict())
    else:
        names = ", ".join(certificate.failing())
        key = "certification.all_well" if certificate.ok else "certification.not_well"
        say(text(key, language, names=names))
        if certificate.evidence.state != "run":
            say(text("certification.tests_not_run", language))
        if out is not None:
            say(text("cli.report_is_here", language, path=(out / "certificate.html").resolve()))
    if not certificate.ok:
        raise typer.Exit(DATA_FALL_SHORT)
