"""`--help` in the language that is asked for, frame and types included: the parser's own words are English only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from bipstudy.cli.console import DEFAULT_LANGUAGE, said_in
from bipstudy.cli.usage import asked_language, asks_language
from bipstudy.texts import text

__all__ = ["Program"]

_ASKED = "bipstudy.language"


def _language(ctx: Any) -> str:
    """Return the language that the words of the whole command ask for."""
    return str(ctx.meta.get(_ASKED, DEFAULT_LANGUAGE))


def _word(key: str, ctx: Any, **values: str) -> str:
    """Return a word of the frame."""
    return text(f"help.{key}", _language(ctx), **values)


def _type(parameter: Any, ctx: Any) -> str:
    """Return what a parameter takes, in a word; a flag takes nothing."""
    if getattr(parameter, "is_flag", False) or parameter.name == "help":
        return ""
    described = parameter.type_descriptor
    kind = described.ranged_type_name if described.is_ranged else parameter.bare_type()
    return f"<{_word('type_path' if described.is_path else f'type_{kind}', ctx)}>"


def _said(word: str, _: Any) -> str:
    """Return a word whatever is asked."""
    return word


class _Framed:
    """What commands and groups of commands share: their help in one language."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a command, and note in what language it wants to be answered."""
        ctx.meta.setdefault(_ASKED, asked_language(args))
        return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the line on usage."""
        words = {"[OPTIONS]": _word("options_word", ctx), "COMMAND [ARGS]...": _word("command_word", ctx)}
        pieces = [words.get(piece, piece) for piece in self.collect_usage_pieces(ctx)]  # type: ignore[attr-defined]
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=_word("usage", ctx))

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows the help."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = _word("this", ctx)
        return option

    def format_help(self, ctx: Any, formatter: Any) -> Any:
        """Write the help."""
        from typer import rich_utils

        language = _language(ctx)
        rich_utils.OPTIONS_PANEL_TITLE = _word("options", ctx)
        rich_utils.ARGUMENTS_PANEL_TITLE = _word("arguments", ctx)
        rich_utils.COMMANDS_PANEL_TITLE = _word("commands", ctx)
        rich_utils.REQUIRED_LONG_STRING = _word("required", ctx)
        rich_utils.DEFAULT_STRING = _word("default", ctx, value="{}")
        for each in (self, *getattr(self, "commands", {}).values()):
            each.help = said_in(language, each.help)
        for parameter in self.get_params(ctx):  # type: ignore[attr-defined]
            parameter.help = said_in(language, parameter.help)
            # The parser would name the type of Python.
            parameter.display_type = partial(_said, _type(parameter, ctx))
        return super().format_help(ctx, formatter)  # type: ignore[misc]


class _Command(_Framed, TyperCommand):
    """A command whose help speaks one language."""


class _Group(_Framed, TyperGroup):
    """A group of commands whose help speaks one language."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a command; a language that stands before the command holds for the command."""
        ctx.meta.setdefault(_ASKED, asked_language(args))
        return super().parse_args(ctx, _language_last(args))


def _language_last(words: Sequence[str]) -> list[str]:
    """Return the words with the option for the language behind the name of the command, if there is one.

    Examples
    --------
    >>> _language_last(["-l", "en", "pool", "list"]), _language_last(["--help", "--language=en"])
    (['pool', '-l', 'en', 'list'], ['--help'])
    """
    before: list[str] = []
    asked: list[str] = []
    left = list(words)
    while left and left[0].startswith("-"):
        taken = asks_language(left)
        if taken > len(left):
            break
        (asked if taken else before).extend(left[: taken or 1])
        del left[: taken or 1]
    return [*before, left[0], *asked, *left[1:]] if left and not left[0].startswith("-") else [*before, *left]


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
