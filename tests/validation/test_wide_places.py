"""Findings on forms that stand side by side name the one column of the file that the cell came from."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

import bipstudy as bip

HEAD = ["Klientnr", "Datum_M1", "F1_M1", "F2_M1", "Datum_M2", "F1_M2", "F2_M2"]
ROWS = [
    ["1", "2024-01-10", 3, 4, "2024-04-10", 2, 9],
    ["2", "2024-01-11", "tre", 4, "", 2, 5],
]
MAPPING = """organisation: A
tables:
  measurements:
    file: svar.xlsx
    columns: {"Klientnr": participant_id}
    set: {respondent: participant, form_status: answered, instrument: bip-default}
    wide:
      pattern: "F{item}_M{occasion}"
      items: {"1": job_search, "2": cooperation}
      columns: {"Datum_M{occasion}": answered_on}
"""


@pytest.fixture
def sent(tmp_path: Path) -> tuple[Path, Path]:
    book = openpyxl.Workbook()
    for row in [HEAD, *ROWS]:
        book.active.append(row)
    path = tmp_path / "svar.xlsx"
    book.save(path)
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(MAPPING, "utf-8")
    return path, mapping


def test_each_finding_names_the_column_of_its_cell(sent: tuple[Path, Path]) -> None:
    findings = bip.validate(bip.load_submission(sent[0], mapping=sent[1])).findings
    on_rows = findings[findings["row"].notna()]
    places = {(code, row, column) for code, row, column in on_rows[["code", "row", "column"]].itertuples(index=False)}
    # What the loader has said of a cell is said once.
    assert {place for place in places if place[2] == "F1_M1"} == {("not-a-whole-number", 3, "F1_M1")}
    assert ("answer-outside-scale", 2, "F2_M2") in places
    assert ("answered-without-date", 3, "Datum_M2") in places
    assert not any(" – " in str(column) for _, _, column in places)


@pytest.mark.parametrize(
    ("column", "status"), [("cooperation", "excepted"), ("F2_M2", "excepted"), ("F2_M1", "invalid")]
)
def test_an_exception_names_a_column_by_our_name_or_by_its_own(
    sent: tuple[Path, Path], tmp_path: Path, column: str, status: str
) -> None:
    exceptions = tmp_path / "undantag.yaml"
    words = f"{{rule: answer-outside-scale, column: {column}, reason: Skalan gick till 10, date: 2024-01-01}}"
    exceptions.write_text(f"exceptions: [{words}]\n", "utf-8")
    report = bip.validate(bip.load_submission(sent[0], mapping=sent[1]), exceptions=exceptions)
    scale = report.findings[report.findings["code"] == "answer-outside-scale"]
    assert scale["status"].tolist() == [status]
