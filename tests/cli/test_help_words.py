"""The help of every command speaks one language, the frame around our words included."""

import os
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from bipstudy.cli import app, console
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


def helped(*words: str) -> str:
    """Return the help that a command shows in this process, whatever was shown before."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})
    assert done.exit_code in {0, 2}, done.output
    return re.sub(r"[│╭╮╰╯─*\s]+", " ", done.output)


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "-l", "LANGUAGE", "--help"],
        ["validate", "--help", "-l", "LANGUAGE"],
        ["-l", "LANGUAGE", "validate", "--help"],
        ["--language=LANGUAGE", "pool", "--help"],
        ["pool", "-lLANGUAGE", "add", "--help"],
        ["--help", "--language", "LANGUAGE"],
        ["power", "--help", "-l", "LANGUAGE"],
        ["certify", "--help", "-l", "LANGUAGE"],
    ],
)
def test_the_option_decides_wherever_it_stands(words: list[str]) -> None:
    # Each language after the other and back: what was shown once must not stay.
    for language in ("en", "sv", "en"):
        other = next(one for one in LANGUAGES if one != language)
        shown_now = helped(*(word.replace("LANGUAGE", language) for word in words))
        assert text("help.this", language) in shown_now
        assert text("help.this", other) not in shown_now
        told = [
            key for key in set(console._KEYS.values()) if spoken(key, language) and spoken(key, language) in shown_now
        ]
        foreign = [key for key in set(console._KEYS.values()) if spoken(key, other) and spoken(key, other) in shown_now]
        assert len(told) >= 2
        assert foreign == []


def spoken(key: str, language: str) -> str | None:
    """Return a help text that the languages do not share, on one line; None for one too short to be looked for."""
    words = {each: " ".join(text(key, each).split()) for each in LANGUAGES}
    return words[language] if len(set(words.values())) > 1 and len(words[language]) > 12 else None


def test_no_two_helps_are_alike_in_one_language_and_differ_in_the_other() -> None:
    for key in set(console._KEYS.values()):
        for language in LANGUAGES:
            assert all(console.said_in(other, text(key, language)) == text(key, other) for other in LANGUAGES)


@pytest.mark.parametrize(
    ("language", "path", "whole", "number"),
    [("sv", "<fil/mapp>", "<heltal>", "<tal>"), ("en", "<file/folder>", "<whole number>", "<number>")],
)
def test_types_are_told_in_plain_words_and_flags_have_none(language: str, path: str, whole: str, number: str) -> None:
    for words in (["power"], ["validate"], ["pool", "diff"], ["replicate"]):
        assert not re.search(
            r"<(?:path|str|int|float|bool|int range|float range)>", helped(*words, "--help", "-l", language)
        )
    power = helped("power", "--help", "-l", language)
    assert f"--out -o {path}" in power
    assert f"--replicates {whole} [x>=1]" in power
    assert f"--error {number}" in power
    flag = " ".join(text("cli.json_option", language).split()[:2])
    assert f"--json {flag}" in helped("validate", "--help", "-l", language)


def test_each_type_of_each_parameter_has_a_word() -> None:
    context = typer.main.get_command(app)
    for name, command in walked("", context):
        for parameter in command.params:
            described = getattr(parameter, "type_descriptor", None)
            if described is None or getattr(parameter, "is_flag", False) or described.is_path:
                continue
            kind = described.ranged_type_name if described.is_ranged else parameter.bare_type()
            assert all(text(f"help.type_{kind}", language) for language in LANGUAGES), (name, parameter.name)


def walked(name: str, command: object) -> list[tuple[str, object]]:
    """Return every command with its name, groups included."""
    inner = getattr(command, "commands", {})
    return [(name, command)] + [each for key, one in inner.items() for each in walked(f"{name} {key}".strip(), one)]


def test_a_language_before_the_command_is_the_language_of_what_it_says(tmp_path) -> None:
    for words in (["-l", "en", "pool", "list"], ["pool", "--language=en", "list"], ["pool", "list", "-len"]):
        done = CliRunner().invoke(app, [*words, str(tmp_path / "none")])
        assert done.exit_code == 2
        assert "There is no" in done.output
    both = CliRunner().invoke(app, ["-l", "en", "pool", "list", str(tmp_path / "none"), "-l", "sv"])
    assert "finns ingen" in both.output
