"""The whole road: raw files of six organisations become a replication report, and wrong files change nothing."""

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.simulation import simulate_study, write_raw


def run(*arguments, code=0):
    """Run the command line and return what it wrote; a traceback is never an answer."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result.stdout


def tree(folder):
    """Return the content of every file of a folder but the lock."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture(scope="module")
def simulated():
    study, _ = simulate_study(participants=420, seed=11, scenario="demo")
    return study


@pytest.fixture(scope="module")
def raw(simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return folder, write_raw(simulated, folder, seed=11)


@pytest.fixture(scope="module")
def pool(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "pool"
    for organisation in raw[1]:
        run("pool", "add", folder, organisation)
    run("pool", "release", folder)
    return folder


def test_what_is_loaded_is_what_was_written(simulated, raw):
    for folder in raw[1]:
        submission = bip.load_submission(folder)
        report = bip.validate(submission)
        assert report.ok, report.findings
        (organisation,) = submission.tables["participants"]["organisation_id"].unique()
        for name, table in simulated.tables.items():
            expected = table[table["organisation_id"] == organisation].reset_index(drop=True)
            if len(expected):
                loaded = schema.conform(name, submission.tables[name])
                pd.testing.assert_frame_equal(loaded, expected, obj=f"{organisation} {name}")


def test_every_cell_is_traced_to_its_row(raw):
    for folder in raw[1]:
        submission = bip.load_submission(folder)
        for name in submission.sent:
            trace = submission.provenance[name]
            assert trace.index.equals(submission.tables[name].index)
            assert (trace["row"] >= 2).all()
            assert not trace.duplicated(["file", "sheet", "row"]).any() or name in {"missing_answers"}


def test_the_pool_gives_back_the_study(simulated, pool):
    study = bip.load_study(pool)
    assert study.release == 1
    assert study.hash == simulated.hash
    for name, table in simulated.tables.items():
        pd.testing.assert_frame_equal(study.tables[name], table, obj=name)


@pytest.mark.certify
def test_two_replications_of_one_release_are_the_same_bytes(pool, tmp_path):
    for name in ("one", "two"):
        run("replicate", pool, "--out", tmp_path / name)
    for file in ("estimates.csv", "estimates.json", "agreement.csv", "report.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.certify
def test_the_report_comes_in_both_languages(pool, tmp_path):
    told = json.loads(run("replicate", pool, "--out", tmp_path / "en", "--language", "en", "--json"))
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert "Not computable" in page or "not computable" in page
    assert told["release"] == 1
    assert "://" not in page.replace("http://www.w3.org", "")


def organisation_with(raw, suffix):
    """Return a folder whose files have an ending."""
    return next(folder for folder in raw[1] if any(folder.rglob(f"*{suffix}")))


def break_workbook(path, change):
    """Open a workbook, change it, and save it."""
    import openpyxl

    workbook = openpyxl.load_workbook(path)
    change(workbook)
    workbook.save(path)


def drop_sheet(workbook):
    del workbook[schema.table("participants").label["sv"]]


def drop_column(workbook):
    sheet = workbook[schema.table("participants").label["sv"]]
    headings = [cell.value for cell in sheet[1]]
    sheet.delete_cols(headings.index(schema.table("participants").column("entered_on").label["sv"]) + 1)


def wrong_label(workbook):
    sheet = workbook[schema.table("participants").label["sv"]]
    headings = [cell.value for cell in sheet[1]]
    sheet.cell(
        row=4, column=headings.index(schema.table("participants").column("sex").label["sv"]) + 1
    ).value = "Qvinna"


@pytest.mark.parametrize(("change", "column"), [(drop_sheet, None), (drop_column, "entered_on"), (wrong_label, "sex")])
@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")  # it does not keep what it does not know; nor do we need it
def test_a_wrong_workbook_is_refused_with_a_cure_and_the_pool_is_untouched(raw, pool, tmp_path, change, column):
    broken = tmp_path / "broken"
    shutil.copytree(organisation_with(raw, ".xlsx"), broken)
    break_workbook(next(broken.rglob("*.xlsx")), change)
    before = tree(pool)
    findings = json.loads(run("pool", "add", pool, broken, "--json", code=1))["findings"]
    assert tree(pool) == before
    errors = [finding for finding in findings if finding["severity"] == "error"]
    assert errors
    assert all(finding["message"] and finding["cure"] for finding in findings)
    if column:
        heading = schema.table("participants").column(column).label["sv"]
        assert any(heading in (finding["column"] or "") + finding["message"] for finding in errors)
    if change is wrong_label:
        assert {(finding["row"], finding["file"]) for finding in errors} == {(4, errors[0]["file"])}
        assert "Qvinna" not in json.dumps(findings, ensure_ascii=False)


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".zip"])
def test_half_of_a_file_is_refused_with_a_cure_and_the_pool_is_untouched(raw, pool, tmp_path, suffix):
    broken = tmp_path / "broken"
    shutil.copytree(organisation_with(raw, suffix), broken)
    largest = max(broken.rglob(f"*{suffix}"), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    largest.write_bytes(content[: len(content) // 2 + 3])
    before = tree(pool)
    told = json.loads(run("pool", "add", pool, broken, "--json", code=1))
    assert tree(pool) == before
    assert any(finding["severity"] == "error" and finding["cure"] for finding in told["findings"])


def test_a_wrong_command_is_exit_code_two(tmp_path):
    result = CliRunner().invoke(app, ["validate", str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert CliRunner().invoke(app, ["replicate", str(tmp_path), "--out", str(tmp_path / "x")]).exit_code == 2
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2
