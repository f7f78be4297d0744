"""What is said of a command that is written in a way that cannot be understood."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from bipstudy.texts import LANGUAGES, default_language, text

__all__ = ["asked_language", "asks_language", "usage_message"]

_LONG, _SHORT = "--language", "-l"


def asked_language(arguments: Sequence[str]) -> str:
    """Return the language that the words of a command ask for, or that of the session.

    Parameters
    ----------
    arguments : sequence of str
        The words after the name of the program.

    Returns
    -------
    str

    Examples
    --------
    >>> asked_language(["validate", "--language", "en"]), asked_language(["validate", "--language=en"])
    ('en', 'en')
    """
    given = default_language()
    for at, word in enumerate(arguments):
        taken = asks_language(arguments[at:])
        if taken:
            asked = "".join(arguments[at + 1 : at + 2]) if taken > 1 else word.removeprefix(_LONG + "=")
            asked = asked if word.startswith("--") else asked.removeprefix(_SHORT)
            given = asked if asked in LANGUAGES else given
    return given


def asks_language(arguments: Sequence[str]) -> int:
    """Return how many of the first words are the option for the language and its value; 0 if none is.

    Parameters
    ----------
    arguments : sequence of str

    Returns
    -------
    int

    Examples
    --------
    >>> asks_language(["-l", "en", "pool"]), asks_language(["-len"]), asks_language(["--html", "en"])
    (2, 1, 0)
    """
    word = arguments[0] if arguments else ""
    if word in {_LONG, _SHORT}:
        return 2
    return int(word.startswith(_LONG + "=") or (word.startswith(_SHORT) and not word.startswith("--")))


def usage_message(error: Any, language: str) -> str:
    """Return what is wrong with a command and where its help is.

    Parameters
    ----------
    error : TyperException
        Raised by the command line's parser.
    language : {"sv", "en"}

    Returns
    -------
    str
        One line, without the values that were given.
    """
    context = getattr(error, "ctx", None)
    command = context.command if context is not None else None
    known = list(getattr(command, "commands", {}))
    parameter = getattr(error, "param", None)
    kind = type(error).__name__
    if kind == "NoSuchOption":
        like = error.possibilities or _like(error.option_name, _options(command))
        said = _said("no_such_option", language, given=error.option_name) + _suggested(like, language)
    elif kind == "BadOptionUsage":
        said = _said("bad_option_usage", language, given=error.option_name)
    elif kind == "MissingParameter" and parameter is not None:
        said = _said("missing_parameter", language, given=_called(parameter))
    elif kind == "BadParameter" and parameter is not None:
        said = _said("bad_parameter", language, given=_called(parameter))
    elif known:
        like = _like(str(error.message).partition("'")[2].partition("'")[0], known)
        said = _said("no_such_command", language, known=", ".join(known)) + _suggested(like, language)
    else:
        said = _said("bad_usage", language)
    path = context.command_path if context is not None else "bipstudy"
    return f"{said} {_said('see_help', language, command=path)}"


def _said(key: str, language: str, **values: object) -> str:
    """Return a text on usage."""
    return text(f"cli.usage_{key}", language, **values)


def _suggested(like: Sequence[str], language: str) -> str:
    """Return what was perhaps meant, as a sentence to follow another."""
    return " " + _said("meant", language, like=", ".join(sorted(like))) if like else ""


def _like(given: str, known: Sequence[str]) -> list[str]:
    """Return the names that a misspelt one is like."""
    return get_close_matches(given, known, n=2)


def _options(command: Any) -> list[str]:
    """Return the names of all options of a command."""
    return [name for parameter in getattr(command, "params", ()) for name in parameter.opts if name.startswith("--")]


def _called(parameter: Any) -> str:
    """Return what a parameter is called on the command line."""
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else str(parameter.name)
