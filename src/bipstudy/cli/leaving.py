"""The command that writes what may leave."""

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
    say,
    say_json,
)
from bipstudy.texts import text


def _help(key: str) -> str:
    """Return a help text of the disclosure rules in the language of the session."""
    return helped(key, "disclosure")


HELP = _help("help")


@command
def check_outputs(
    folder: Annotated[Path, typer.Argument(help=_help("folder_argument"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=_help("out_option"))],
    threshold: Annotated[int, typer.Option("--threshold", help=_help("threshold_option"))] = 10,
    owner: Annotated[str, typer.Option("--owner", help=_help("owner_option"))] = "",
    reason: Annotated[list[str] | None, typer.Option("--reason", help=_help("reason_option"))] = None,
    reviewer: Annotated[str, typer.Option("--reviewer", help=_help("reviewer_option"))] = "",
    date: Annotated[str | None, typer.Option("--date", help=_help("date_option"))] = None,
    earlier: Annotated[Path | None, typer.Option("--earlier", help=_help("earlier_option"))] = None,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Check outputs and write what may leave."""
    from bipstudy.disclosure import FAIL, Rules
    from bipstudy.replication import leaving

    checked_language(language)
    rules = Rules(threshold=threshold, owner=owner)
    reasons = [leaving.reason(words, reviewer, date, number=place) for place, words in enumerate(reason or [], 1)]
    found = leaving.check_outputs(folder, out, rules=rules, reasons=reasons, earlier=earlier, language=language)
    if as_json:
        say_json(found.as_dict())
    else:
        leaves = sum(name in found.files for name in found.outputs)
        place = out / leaving.LEAVES
        say(text("disclosure.said_leaves", language, leaves=leaves, total=len(found.outputs), path=place))
        for name in found.named(FAIL):
            say(text("disclosure.said_held", language, name=name, why=found.outputs[name].why(language)))
        if found.waiting:
            say(text("disclosure.said_review", language, names=", ".join(found.waiting)))
        say(text("disclosure.said_record", language, path=out / leaving.RECORD / "record.html"))
    if not found.ok:
        raise typer.Exit(DATA_FALL_SHORT)
