"""The help of every command speaks one language, the frame around our words included."""

import os
import re
import subprocess
import sys

import pytest

from bipstudy.texts import LANGUAGES, text

COMMANDS = ([], ["validate"], ["pool"], ["pool", "add"], ["simulate"], ["plan", "init"], ["power"])
KEYS = ("usage", "options", "arguments", "commands", "options_word", "command_word", "required", "this")


def shown(language: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from bipstudy.cli import main; main()", *words, "--help"],
        capture_output=True,
        env={**os.environ, "BIPSTUDY_LANGUAGE": language, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8")


def words_in(help_text: str, language: str) -> set[str]:
    """Return which words of the frame a help holds: titles of boxes in their border, the rest anywhere."""
    found = set()
    for key in KEYS:
        word = text(f"help.{key}", language).strip()
        pattern = rf"─ {re.escape(word)} ─" if key in {"options", "arguments", "commands"} else re.escape(word)
        found |= {key} if re.search(pattern, help_text) else set()
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_the_frame_is_in_another_language(language: str) -> None:
    other = next(one for one in LANGUAGES if one != language)
    told: set[str] = set()
    for words in COMMANDS[:4]:
        help_text = shown(language, *words)
        told |= words_in(help_text, language)
        same = {key for key in KEYS if text(f"help.{key}", language) == text(f"help.{key}", other)}
        assert words_in(help_text, other) <= same, help_text
    assert told == set(KEYS)
