"""Commands that cannot be carried out are refused with a cure and leave nothing behind."""

import pytest
from typer.testing import CliRunner

from bipstudy.cli import app


def refused(*arguments, says, language="sv"):
    """Run a command that must be refused as a wrong one."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--language", language])
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["list", "release"])
def test_a_folder_of_something_else_is_no_pool(tmp_path, command):
    (tmp_path / "brev.docx").write_text("x")
    refused("pool", command, tmp_path, says="är inte en pool")
    refused("pool", command, tmp_path, says="is not a pool", language="en")
    assert [entry.name for entry in tmp_path.iterdir()] == ["brev.docx"]


def test_a_pool_that_is_not_there_is_not_made_by_looking_for_it(tmp_path):
    refused("pool", "list", tmp_path / "pool", says="[pool.no_pool]")
    refused("pool", "release", tmp_path / "pool", says="[pool.no_pool]")
    assert not (tmp_path / "pool").exists()


def test_an_empty_pool_says_so(tmp_path):
    result = CliRunner().invoke(app, ["pool", "list", str(tmp_path)])
    assert (result.exit_code, "inga leveranser" in result.stdout) == (0, True)


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "data").mkdir()
    for option, name in (("--html", "r.html"), ("--xlsx", "r.xlsx")):
        path = tmp_path / "finns inte" / name
        refused("validate", tmp_path / "data", option, path, says="[cli.cannot_write]")
    refused("template", "--out", tmp_path / "finns inte" / "mall.xlsx", says="[cli.cannot_write]")
    refused("codebook", "--out", tmp_path / "finns inte" / "kodbok.html", says="[cli.cannot_write]")


def test_an_ending_that_says_something_else(tmp_path):
    (tmp_path / "data").mkdir()
    refused("validate", tmp_path / "data", "--html", tmp_path / "r.xlsx", says=".html")
    refused("validate", tmp_path / "data", "--xlsx", tmp_path / "r.csv", says=".xlsx")
    refused("template", "--out", tmp_path / "mall.docx", says=".xlsx")
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]
