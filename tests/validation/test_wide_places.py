"""Findings on forms that stand side by side name the one column of the file that the cell came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest

import bipstudy as bip
from bipstudy.schema import Finding
from bipstudy.validation.marked import write_marked

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
SHARED = """    wide:
      - pattern: "F{item}_M{occasion}"
        items: {"1": job_search}
        columns: {"Datum_M{occasion}": answered_on}
        set: {respondent: participant}
      - pattern: "H{item}_M{occasion}"
        items: {"1": job_search}
        columns: {"Datum_M{occasion}": answered_on}
        set: {respondent: caseworker}
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


SIDE_BY_SIDE = """organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {"Klientnr": participant_id}
    set: {instrument: bip-default}
    wide:
      - pattern: "K{item}_{occasion}"
        items: {"1": job_search}
        columns: {"Datum_{occasion}": answered_on, "Via_{occasion}": mode}
        set: {respondent: participant, form_status: answered}
      - pattern: "H{item}_{occasion}"
        items: {"1": job_search}
        columns: {"HDatum_{occasion}": answered_on, "Via_{occasion}": mode}
        set: {respondent: caseworker, form_status: answered}
"""
FORMS = """Klientnr;Datum_1;K1_1;HDatum_1;H1_1;Via_1
D1;2024-01-10;9;2024-01-12;8;telefon
D2;2024-01-10;4;2024-01-12;5;telefon
"""


def of_forms(folder: Path) -> bip.loaders.Submission:
    """Return two rows with two forms each, of which the loader has found something at three columns of the second."""
    (folder / "svar.csv").write_text(FORMS, "utf-8")
    (folder / "mappning.yaml").write_text(SIDE_BY_SIDE, "utf-8")
    submission = bip.load_submission(folder / "svar.csv", mapping=folder / "mappning.yaml")
    told = [
        Finding("lost-leading-zeros", "measurements", "svar.csv", row=3, column=each)
        for each in ("K1_1", "Via_1", "caseworker_id")
    ]
    return replace(submission, findings=[*submission.findings, *told])


@pytest.mark.parametrize(
    ("rule", "key", "excepted"),
    [
        # What a rule finds stands at a row of the table.
        ("answer-outside-scale", "participant_id: D1, respondent: participant", {"K1_1"}),
        ("answer-outside-scale", "participant_id: D1, respondent: caseworker", {"H1_1"}),
        ("answer-outside-scale", "participant_id: D1", {"K1_1", "H1_1"}),
        ("answer-outside-scale", "participant_id: D2", set()),
        # What the loader finds stands at a row of the file: a column of one form tells which, any other does not.
        ("lost-leading-zeros", "participant_id: D2, respondent: participant", {"K1_1"}),
        ("lost-leading-zeros", "participant_id: D2, respondent: caseworker", set()),
        ("lost-leading-zeros", "participant_id: D2, occasion: 1", {"K1_1", "Via_1", "caseworker_id"}),
        ("lost-leading-zeros", "participant_id: D1", set()),
    ],
)
def test_an_exception_of_one_form_leaves_the_other_forms_of_the_row(
    tmp_path: Path, rule: str, key: str, excepted: set[str]
) -> None:
    exceptions = tmp_path / "undantag.yaml"
    exceptions.write_text(f"exceptions: [{{rule: {rule}, key: {{{key}}}, reason: Som i källan, date: 2024-02-01}}]\n")
    report = bip.validate(of_forms(tmp_path), exceptions=exceptions)
    found = report.findings[report.findings["code"] == rule]
    assert len(found) == (2 if rule == "answer-outside-scale" else 3)
    assert set(found["column"][found["status"] == "excepted"]) == excepted
    assert len(report.remarks) == (0 if excepted else 1)
    # Which row of the table it was is nothing that a report shows.
    assert "at" not in report.places


def found(folder: Path, head: list[str], row: list[object], words: str = MAPPING) -> list[tuple[str, int, str]]:
    """Return code, row and column of what is found on a row of forms, but that nobody else answered."""
    book = openpyxl.Workbook()
    book.active.append(head)
    book.active.append(row)
    book.save(folder / "svar.xlsx")
    (folder / "mappning.yaml").write_text(words, "utf-8")
    report = bip.validate(bip.load_submission(folder / "svar.xlsx", mapping=folder / "mappning.yaml"))
    told = report.findings[report.findings["row"].notna() & (report.findings["code"] != "form-without-partner")]
    write_marked(report, folder / "svar.xlsx", folder / "markerad.xlsx")
    return sorted(zip(told["code"], told["row"], told["column"], strict=True))


def marked(folder: Path) -> set[str]:
    """Return the cells below the header that the marked copy has a comment in."""
    sheet = openpyxl.load_workbook(folder / "markerad.xlsx").worksheets[-1]
    return {cell.coordinate for row in sheet.iter_rows(min_row=2) for cell in row if cell.comment}


def test_what_the_mapping_sets_is_told_at_the_date_of_the_form(tmp_path: Path) -> None:
    told = found(tmp_path, HEAD, ["1", "2024-01-10", "", "", "2024-04-10", "", ""])
    assert told == [("answered-without-answer", 2, "Datum_M1"), ("answered-without-answer", 2, "Datum_M2")]
    assert marked(tmp_path) == {"B2", "E2"}


def test_a_date_that_no_form_has_is_told_at_its_first_answer(tmp_path: Path) -> None:
    head = ["Klientnr", "F1_M1", "F2_M1", "F1_M2", "F2_M2"]
    told = found(tmp_path, head, ["1", 3, 4, 2, 5])
    assert told == [("answered-without-date", 2, "F1_M1"), ("answered-without-date", 2, "F1_M2")]


def test_a_date_that_both_share_does_not_tell_whose_form_is_meant(tmp_path: Path) -> None:
    head = ["Klientnr", "Datum_M1", "F1_M1", "H1_M1"]
    words = MAPPING.replace("respondent: participant, ", "").split("    wide:")[0] + SHARED
    told = found(tmp_path, head, ["1", "2024-01-10", "", ""], words)
    assert told == [("answered-without-answer", 2, "F1_M1"), ("answered-without-answer", 2, "H1_M1")]


def test_a_number_of_an_occasion_out_of_bounds_is_told_once_for_each_form(tmp_path: Path) -> None:
    head = [name.replace("M1", "202401").replace("M2", "202404") for name in HEAD]
    words = MAPPING.replace("_M{", "_{")
    told = found(tmp_path, head, ["1", "2024-01-10", 3, 4, "2024-12-10", 2, 5], words)
    assert told == [("out-of-bounds", 2, "Datum_202401"), ("out-of-bounds", 2, "Datum_202404")]
    assert marked(tmp_path) == {"B2", "E2"}


def test_a_step_between_occasions_within_bounds_is_told(tmp_path: Path) -> None:
    head = [name.replace("M2", "M3") for name in HEAD]
    told = found(tmp_path, head, ["1", "2024-01-10", 3, 4, "2025-12-10", 2, 5])
    assert {code for code, *_ in told} == {"interval-far-from-three-months", "occasion-skipped"}
    assert {column for code, _, column in told} == {"Datum_M3"}


def test_an_exception_names_what_the_mapping_sets(sent: tuple[Path, Path], tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [HEAD, ["1", "2024-01-10", "", "", "2024-04-10", 2, 5]]:
        book.active.append(row)
    book.save(sent[0])
    words = "{rule: answered-without-answer, column: form_status, reason: Svaren brann, date: 2024-01-01}"
    exceptions = tmp_path / "undantag.yaml"
    exceptions.write_text(f"exceptions: [{words}]\n", "utf-8")
    report = bip.validate(bip.load_submission(sent[0], mapping=sent[1]), exceptions=exceptions)
    told = report.findings[report.findings["code"] == "answered-without-answer"]
    assert told[["row", "column", "status"]].to_numpy().tolist() == [[2, "Datum_M1", "excepted"]]


@pytest.mark.parametrize(("said", "told"), [("nio", ["K1_1"]), ("4", [])])
def test_an_answer_that_cannot_be_read_excuses_its_own_form_only(tmp_path: Path, said: str, told: list[str]) -> None:
    (tmp_path / "mappning.yaml").write_text(SIDE_BY_SIDE, "utf-8")
    rows = f"Klientnr;Datum_1;K1_1;HDatum_1;H1_1;Via_1\nD1;2024-01-10;{said};2024-01-12;;telefon\n"
    (tmp_path / "svar.csv").write_text(rows, "utf-8")
    report = bip.validate(bip.load_submission(tmp_path / "svar.csv", mapping=tmp_path / "mappning.yaml"))
    found = report.findings.groupby("code")["column"].apply(list)
    assert found.get("not-a-whole-number", []) == told
    assert found["answered-without-answer"] == ["HDatum_1"]
