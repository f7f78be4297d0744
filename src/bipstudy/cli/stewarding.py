"""The command that opens the local web page for data stewards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bipstudy.cli.console import DEFAULT_LANGUAGE, Language, checked_language, command, helped, say


def _help(key: str) -> str:
    """Return a help text of the page in the language of the session."""
    return helped(key, "steward")


HELP = _help("help")


@command
def steward(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help=_help("port_option"))] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help=_help("no_browser_option"))] = False,
    mapping: Annotated[Path | None, typer.Option("--mapping", help=_help("mapping_option"))] = None,
    language: Language = DEFAULT_LANGUAGE,
) -> None:
    """Serve the page until it is ended."""
    from bipstudy.steward import serve

    checked_language(language)
    serve(port=port, browser=not no_browser, mapping=mapping, language=language, say=_say_now)


def _say_now(words: str) -> None:
    """Write a line at once, also where it goes to a file: the address is needed while the command runs."""
    say(words)
    sys.stdout.flush()
