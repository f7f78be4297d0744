"""A command that is written wrongly is answered in the language asked for, with a cure."""

import sys

import pytest

import bipstudy
from bipstudy import cli


def said(monkeypatch, capsys, *words):
    """Return what the program says on both streams, and its exit code."""
    monkeypatch.setattr(sys, "argv", ["bipstudy", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    return told.out, told.err, ended.value.code


@pytest.mark.parametrize(
    ("words", "swedish", "english"),
    [
        (["validate"], "Något saknas: path.", "Something is missing: path."),
        (["validate", "--htm", "hemligt"], "Menade du --html?", "Did you mean --html?"),
        (["validate", "hemligt", "hemligt"], "fler ord", "more words"),
        (["vaildate", "hemligt"], "Menade du simulate, validate?", "Did you mean simulate, validate?"),
        (["pool", "hemligt"], "Kommandon: add, list", "Commands: add, list"),
        (["certify", "--jobs", "hemligt"], "Värdet för --jobs", "The value of --jobs"),
        (["certify", "--jobs", "0"], "Värdet för --jobs", "The value of --jobs"),
        (["validate", "x", "--json=hemligt"], "Valet --json", "The option --json"),
    ],
)
def test_a_misspelt_command(monkeypatch, capsys, words, swedish, english):
    for language, expected in (("sv", swedish), ("en", english)):
        out, err, code = said(monkeypatch, capsys, *words, "--language", language)
        assert (out, code) == ("", 2)
        assert expected in err
        assert "--help" in err
        assert "hemligt" not in err
        assert err.count("\n") == 1


def test_the_version(monkeypatch, capsys):
    assert said(monkeypatch, capsys, "--version") == (bipstudy.__version__ + "\n", "", 0)


def test_the_group_alone_shows_its_help(monkeypatch, capsys):
    out, err, code = said(monkeypatch, capsys, "pool")
    assert "withdraw" in out
    assert (err, code) == ("", 2)


def test_the_codes_of_a_command_reach_the_shell(monkeypatch, capsys, tmp_path):
    assert said(monkeypatch, capsys, "validate", str(tmp_path / "finns inte"))[2] == 2
    assert said(monkeypatch, capsys, "codebook", "--out", str(tmp_path / "kodbok.html"))[2] == 0
    (tmp_path / "tom").mkdir()
    assert said(monkeypatch, capsys, "validate", str(tmp_path / "tom"))[2] == 1
