"""The frame of `--help` in the language of the session: the parser's own words are English only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from bipstudy.cli.console import DEFAULT_LANGUAGE
from bipstudy.texts import text

__all__ = ["Program"]


def _word(key: str, **values: str) -> str:
    """Return a word of the frame."""
    return text(f"help.{key}", DEFAULT_LANGUAGE, **values)


class _Framed:
    """What commands and groups of commands share: their help with the frame in one language."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the line on usage."""
        words = {"[OPTIONS]": _word("options_word"), "COMMAND [ARGS]...": _word("command_word")}
        pieces = [words.get(piece, piece) for piece in self.collect_usage_pieces(ctx)]  # type: ignore[attr-defined]
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=_word("usage"))

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows the help."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = _word("this")
        return option

    def format_help(self, ctx: Any, formatter: Any) -> Any:
        """Write the help."""
        from typer import rich_utils

        rich_utils.OPTIONS_PANEL_TITLE = _word("options")
        rich_utils.ARGUMENTS_PANEL_TITLE = _word("arguments")
        rich_utils.COMMANDS_PANEL_TITLE = _word("commands")
        rich_utils.REQUIRED_LONG_STRING = _word("required")
        rich_utils.DEFAULT_STRING = _word("default", value="{}")
        return super().format_help(ctx, formatter)  # type: ignore[misc]


class _Command(_Framed, TyperCommand):
    """A command whose help speaks one language."""


class _Group(_Framed, TyperGroup):
    """A group of commands whose help speaks one language."""


class Program(typer.Typer):
    """A program, or a group of its commands, whose help speaks one language throughout.

    Parameters
    ----------
    **options
        Those of `typer.Typer`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_Group, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command; the parameters are those of `typer.Typer.command`."""
        return super().command(name, cls=_Command, **options)
