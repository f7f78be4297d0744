"""Commands for data stewards, from the outside: files appear, words are in the language asked for, exit codes hold."""

import json

import openpyxl
import pytest
from typer.testing import CliRunner

from bipstudy import schema
from bipstudy.cli import app
from bipstudy.texts import catalogue


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")
def test_the_template_has_a_sheet_per_table_in_the_language(tmp_path, language):
    path = tmp_path / "åäö mall.xlsx"
    invoke("template", "--out", path, "--language", language)
    sheets = openpyxl.load_workbook(path).sheetnames
    assert {table.label[language] for table in schema.tables().values()} <= set(sheets)


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("kodbok.xlsx", b"PK"),
        ("kodbok.html", b"<!doctype html"),
        ("kodbok.xml", b"<?xml"),
        ("datapackage.json", b'{\n  "profile"'),
    ],
)
def test_the_codebook_is_written_as_its_name_says(tmp_path, name, begins):
    path = tmp_path / name
    invoke("codebook", "--out", path)
    assert path.read_bytes().lower().startswith(begins.lower())


def test_a_codebook_of_unknown_kind_is_a_wrong_command(tmp_path):
    result = invoke("codebook", "--out", tmp_path / "kodbok.docx", code=2)
    assert ".xlsx" in result.stderr


@pytest.mark.parametrize("command", ["validate", "pool", "replicate", "demo", "simulate", "template", "codebook"])
def test_every_command_has_help(command):
    assert invoke(command, "--help").stdout.strip()


def test_an_unknown_language_is_a_wrong_command(tmp_path):
    assert "sv" in invoke("template", "--out", tmp_path / "x.xlsx", "--language", "fi", code=2).stderr


def test_the_demo_never_touches_a_folder_that_is_not_its_own(tmp_path):
    kept = tmp_path / "mine.txt"
    kept.write_text("kept", encoding="utf-8")
    invoke("demo", "--out", tmp_path, code=2)
    assert kept.read_text(encoding="utf-8") == "kept"


def test_a_submission_with_errors_is_told_in_either_language(tmp_path):
    (tmp_path / "deltagare.csv").write_text("Organisation;Deltagare\nO1;1\n", encoding="utf-8")
    swedish = invoke("validate", tmp_path, code=1).stdout
    english = invoke("validate", tmp_path, "--language", "en", code=1).stdout
    assert catalogue("cli")["refused"]["sv"] in swedish
    assert catalogue("cli")["refused"]["en"] in english
    told = json.loads(invoke("validate", tmp_path, "--json", code=1).stdout)
    assert told["ok"] is False
    assert {"missing-column", "missing-table"} <= {finding["code"] for finding in told["findings"]}


def test_an_unexpected_error_names_its_kind_and_nothing_else(tmp_path, monkeypatch):
    import bipstudy.schema.template

    def fail(*_, **__):
        raise RuntimeError("19121212-1212")

    monkeypatch.setattr(bipstudy.schema.template, "write_template", fail)
    result = invoke("template", "--out", tmp_path / "x.xlsx", code=1)
    assert "RuntimeError" in result.stderr
    assert "1212" not in result.output


def test_json_is_all_that_goes_to_the_output(tmp_path):
    result = invoke("simulate", "--raw", tmp_path / "raw", "-n", 60, "--json")
    assert json.loads(result.stdout)["participants"] == 60
