"""What every command shares: language, progress, and errors that a person can act on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer

from bipstudy.texts import LANGUAGES, BipstudyError, DataError, default_language, text

P = ParamSpec("P")

FINE, DATA_FALL_SHORT, WRONG_COMMAND = 0, 1, 2
DEFAULT_LANGUAGE = default_language()


# The key of each help text, by its words in each language: the parser has the texts before a language is asked for.
_KEYS: dict[str, str] = {}


def helped(key: str, part: str = "cli") -> str:
    """Return a help text in the language of the session."""
    _KEYS.update({_one_line(text(f"{part}.{key}", language)): f"{part}.{key}" for language in LANGUAGES})
    return text(f"{part}.{key}", DEFAULT_LANGUAGE)


def said_in(language: str, words: str | None) -> str | None:
    """Return a help text in a language; what is none of ours as it is."""
    key = _KEYS.get(_one_line(words or ""))
    return words if key is None else text(key, language)


def _one_line(words: str) -> str:
    """Return words without breaks of lines, which the parser may change."""
    return " ".join(words.split())


def checked_language(given: str) -> str:
    """Return a language, or refuse it as a wrong command."""
    if given not in LANGUAGES:
        raise BipstudyError("cli.bad_language", given=given)
    return given


Language = Annotated[str, typer.Option("--language", "-l", help=helped("language_option"), show_default=True)]
Json = Annotated[bool, typer.Option("--json", help=helped("json_option"))]


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Run a command so that no traceback reaches a person.

    Errors of ours are told in the chosen language; anything else is named by its kind alone, since its words may
    hold a value from a file. ``BIPSTUDY_DEBUG=1`` lets the traceback through.
    """

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        language = str(kwargs.get("language", DEFAULT_LANGUAGE))
        try:
            function(*args, **kwargs)
        except BipstudyError as error:
            say_error(f"[{error.code}] {error.message(language if language in LANGUAGES else 'sv')}")
            raise typer.Exit(DATA_FALL_SHORT if isinstance(error, DataError) else WRONG_COMMAND) from None
        except (typer.Exit, typer.Abort, KeyboardInterrupt):
            raise
        except BrokenPipeError:
            # Whoever reads our output has read enough, as `head` does.
            sys.stdout = None
            raise typer.Exit(FINE) from None
        except Exception as error:
            if os.environ.get("BIPSTUDY_DEBUG"):
                raise
            say_error(text("cli.unexpected", language, kind=type(error).__name__))
            raise typer.Exit(DATA_FALL_SHORT) from None

    return guarded


def say(words: str) -> None:
    """Write a line for a person."""
    sys.stdout.write(words + "\n")


def say_error(words: str) -> None:
    """Write a line about what went wrong."""
    sys.stderr.write(words + "\n")


def sure(question: str, language: str) -> bool:
    """Ask for a yes on the error stream; whatever is no yes, nothing at all included, is a no."""
    sys.stderr.write(f"{question} [{text('cli.yes_or_no', language)}] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        # Nobody sits there, or the line was ended by closing it: what comes next begins a line of its own.
        sys.stderr.write("\n")
    return answer.strip().lower() in {"j", "ja", "y", "yes"}


def say_json(content: Any) -> None:
    """Write a result for a program."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2, default=str) + "\n")


@contextmanager
def writing(path: Any) -> Iterator[None]:
    """Refuse as a wrong command what cannot be written, such as a file that is open in Excel."""
    try:
        yield
    except Exception as error:
        # xlsxwriter wraps what the system says in an error of its own.
        if isinstance(error, OSError) or type(error).__name__ == "FileCreateError":
            raise BipstudyError("cli.cannot_write", path=path) from None
        raise


class Progress:
    """A bar on a terminal, plain lines elsewhere; always on the error stream, so that results can be piped."""

    def __init__(self, bar: Any, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total) if bar else None
        self._done = 0
        self._total = total

    def step(self, words: str) -> None:
        """Say what begins now; what was said before is done."""
        if self._bar:
            self._bar.update(self._task, description=words, completed=self._done)
        else:
            sys.stderr.write(f"[{self._done + 1}/{self._total}] {words}\n")
        self._done += 1

    def finish(self) -> None:
        """Fill the bar."""
        if self._bar:
            self._bar.update(self._task, completed=self._total)


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Progress]:
    """Show how far a long command has come; `total` is the number of steps."""
    if quiet or not sys.stderr.isatty():
        shown = Progress(None, total)
        if quiet:
            shown.step = lambda words: None  # type: ignore[method-assign]
        yield shown
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True)) as bar:
        shown = Progress(bar, total)
        yield shown
        shown.finish()
