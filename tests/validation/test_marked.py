"""The marked copy: every finding at its cell, personal data gone, nothing live, and never a submission."""

import openpyxl
import pandas as pd
import pytest
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.schema import Finding
from bipstudy.texts import BipstudyError
from bipstudy.validation.marked import _Findings, marked_path, write_marked

NUMBER = "19701063-2391"
FORMULA = '=HYPERLINK("http://example.org";"x")'
ENTERED = schema.table("participants").column("entered_on").label["sv"]
HEADER = ["Organisation", "Deltagare", ENTERED, "Kön", "Åldersgrupp", "E-post"]


def rows():
    """Return a table of participants with mistakes, among them an identity number and a formula."""
    return [
        ["A", "1", "2024-01-10", "Kvinna", "25-34", "anna@example.org"],
        ["A", NUMBER, "2024-01-10", "Kvinna", "25-34", ""],
        ["A", "3", "2024-13-45", "Kvinna", "25-34", ""],
        ["A", "4", "2024-01-10", FORMULA, "25-34", ""],
    ]


def write(path, kind):
    """Write the table as a file with a title row above the header in Excel."""
    if kind == "csv":
        path = path / "deltagare.csv"
        lines = [";".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in [HEADER, *rows()]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path
    path = path / "export.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Deltagare"
    sheet.append([f"Uttag av {NUMBER}"])
    for row in [HEADER, *rows()]:
        sheet.append(row)
    for row in sheet.iter_rows():
        for cell in row:
            if cell.data_type == "f":
                cell.data_type = "s"
    book.save(path)
    return path


def everything(book):
    """Return every text of a workbook, in cells and in comments."""
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                yield str(cell.value or "")
                yield cell.comment.text if cell.comment else ""


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")
def test_every_finding_has_a_comment_at_its_cell(tmp_path, kind):
    path = write(tmp_path, kind)
    before = path.read_bytes()
    report = bip.validate(bip.load_submission(path), language="sv")
    out = write_marked(report, path, tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(out)
    sheet = book.worksheets[1]
    first = 2 if kind == "csv" else 3
    header = [cell.value for cell in sheet[first - 1]]
    assert header == HEADER
    findings = report.findings
    assert {"personal-identity-number", "unknown-code", "not-a-date", "forbidden-column"} <= set(findings["code"])
    for finding in findings.itertuples():
        if isinstance(finding.column, str) and finding.column in header:
            row = first - 1 if pd.isna(finding.row) else int(finding.row)
            assert f"[{finding.code}]" in sheet.cell(row, header.index(finding.column) + 1).comment.text
        else:
            assert any(f"[{finding.code}]" in words for words in everything(book))
    # What is not personal is there as it was sent, a formula as text.
    column = header.index("Kön") + 1
    assert sheet.cell(first + 3, column).value == FORMULA
    assert sheet.cell(first + 3, column).data_type == "s"
    assert [sheet.cell(first + place, 1).value for place in range(4)] == ["A"] * 4
    # What may name a person is gone, the number in the title row and the whole column of e-mail too.
    words = " ".join(everything(book))
    assert NUMBER not in words
    assert "anna@" not in words
    assert sheet.cell(first + 1, 2).value is None
    assert path.read_bytes() == before


def test_a_marked_copy_is_no_submission(tmp_path):
    path = write(tmp_path, "xlsx")
    report = bip.validate(bip.load_submission(path), language="en")
    write_marked(report, path, tmp_path / "renamed.xlsx")
    again = bip.load_submission(tmp_path / "renamed.xlsx")
    assert again.findings[0] == Finding("marked-copy", file="renamed.xlsx")
    assert not again.sent
    assert not bip.validate(again).ok
    with pytest.raises(BipstudyError) as caught:
        write_marked(report, path, tmp_path / "renamed.xlsx")
    assert caught.value.code == "marked.exists"


def test_the_command_writes_it_beside_the_file_only_when_asked(tmp_path):
    path = write(tmp_path, "csv")
    CliRunner().invoke(app, ["validate", str(path)])
    assert [entry.name for entry in tmp_path.iterdir()] == ["deltagare.csv"]
    told = CliRunner().invoke(app, ["validate", str(path), "--marked"])
    assert told.exit_code == 1
    assert (tmp_path / "deltagare-markerad.xlsx").is_file()
    assert "deltagare-markerad.xlsx" in told.stdout.replace("\n", "")
    assert "Skrev" in told.stdout
    # For a folder it stands beside the folder, not in it.
    assert marked_path(tmp_path, "en") == tmp_path.parent / f"{tmp_path.name}-marked.xlsx"
    again = CliRunner().invoke(app, ["validate", str(path), "--marked"])
    assert (again.exit_code, "[marked.exists]" in again.stderr) == (2, True)


def test_sheets_of_the_same_name_and_with_odd_names(tmp_path):
    folder = tmp_path / "leverans"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for name in ("a/deltagare.csv", "b/Deltagare.csv", "a/[x]history" + "y" * 40 + ".csv"):
        (folder / name).write_text("Organisation;Deltagare\nA;1\n", encoding="utf-8")
    report = bip.validate(bip.load_submission(folder), language="en")
    book = openpyxl.load_workbook(write_marked(report, folder, tmp_path / "out.xlsx"))
    assert len(book.sheetnames) == 4
    assert all(len(name) <= 31 for name in book.sheetnames)


def test_nothing_of_the_findings_is_lost(tmp_path):
    path = write(tmp_path, "xlsx")
    report = bip.validate(bip.load_submission(path), language="sv")
    book = openpyxl.load_workbook(write_marked(report, path, tmp_path / "out.xlsx"))
    said = " ".join(everything(book))
    counts = report.findings["code"].value_counts()
    assert {code: said.count(f"[{code}]") for code in counts.index} == counts.to_dict()
    assert len(_Findings(report).rows) == counts.sum()
