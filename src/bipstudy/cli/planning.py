"""The command that says how large a study must be."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bipstudy.cli.console import DEFAULT_LANGUAGE, Json, Language, checked_language, command, helped, say, say_json
from bipstudy.cli.studies import Seed
from bipstudy.texts import BipstudyError, text


def _help(key: str) -> str:
    """Return a help text of planning in the language of the session."""
    return helped(key, "planning")


HELP = _help("help")


@command
def power(
    question: Annotated[str, typer.Argument(help=_help("question_argument"), show_default=False)],
    effect: Annotated[str, typer.Option("--effect", help=_help("effect_option"))] = "danish,none",
    organisations: Annotated[str, typer.Option("--organisations", help=_help("organisations_option"))] = "6",
    caseworkers: Annotated[str, typer.Option("--caseworkers", help=_help("caseworkers_option"))] = "300",
    participants_per_caseworker: Annotated[
        str, typer.Option("--participants-per-caseworker", help=_help("participants_per_caseworker_option"))
    ] = "8",
    occasions: Annotated[str, typer.Option("--occasions", help=_help("occasions_option"))] = "",
    response: Annotated[str, typer.Option("--response", help=_help("response_option"))] = "",
    dropout: Annotated[str, typer.Option("--dropout", help=_help("dropout_option"))] = "",
    follow_up: Annotated[str, typer.Option("--follow-up", help=_help("follow_up_option"))] = "",
    scenario: Annotated[str, typer.Option("--scenario", help=_help("base_option"))] = "swedish_pilot",
    replicates: Annotated[int, typer.Option("--replicates", min=1, help=_help("replicates_option"))] = 1000,
    error: Annotated[float, typer.Option("--error", help=_help("error_option"))] = 0.02,
    seed: Seed = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help=_help("jobs_option"))] = 1,
    dask: Annotated[str | None, typer.Option("--dask", help=_help("dask_option"))] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=_help("out_option"))] = None,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Simulate planned studies and say how often each would settle the question."""
    from bipstudy.planning import power as run
    from bipstudy.planning.page import sentences

    checked_language(language)
    result = run(
        question,
        effects=[each.strip() for each in effect.split(",")],
        organisations=_numbers("--organisations", organisations),
        caseworkers=_numbers("--caseworkers", caseworkers),
        participants_per_caseworker=_numbers("--participants-per-caseworker", participants_per_caseworker),
        occasions=_numbers("--occasions", occasions),
        response=_numbers("--response", response),
        dropout=_numbers("--dropout", dropout),
        follow_up_months=_numbers("--follow-up", follow_up),
        base=scenario,
        replicates=replicates,
        monte_carlo_error=error,
        seed=seed,
        n_jobs=jobs,
        scheduler=dask,
        out=out,
        progress=None if as_json else _progress(language),
    )
    if as_json:
        say_json({**result.facts, "rows": result.table.to_dict("records")})
        return
    shown = result.table[["effect", "participants", "replicates", "true", "width", "power", "excludes_danish"]]
    say(shown.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    for words in sentences(result, language):
        say(words)
    if out is not None:
        say(text("cli.report_is_here", language, path=(out / "power.html").resolve()))


def _numbers(option: str, given: str) -> list[float] | None:
    """Return numbers with commas between them, None where nothing was given."""
    if not given.strip():
        return None
    try:
        return [float(part) for part in given.split(",")]
    except ValueError:
        raise BipstudyError("planning.bad_list", option=option, given=given) from None


def _progress(language: str) -> Callable[[int, int], None]:
    """Return what tells how far it has come and how long is left."""
    begun = time.monotonic()
    before: list[int] = []
    told = [0.0]

    def tell(done: int, planned: int) -> None:
        if not before:
            # What an earlier call had made does not tell how fast this one is.
            before.append(done)
            return
        now = time.monotonic()
        if now - told[0] < 1 and done < planned:
            return
        told[0] = now
        seconds = (now - begun) / max(done - before[0], 1) * (planned - done)
        left = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
        words = text("planning.progress", language, done=done, planned=planned, left=left)
        end = "\r" if sys.stderr.isatty() and done < planned else "\n"
        sys.stderr.write(f"{words}   {end}")
        sys.stderr.flush()

    return tell
