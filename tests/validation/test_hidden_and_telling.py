"""Names and numbers of persons where a running number, a date or a code is asked for, and in sheets nobody sees."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from small_study import ORGANISATION, study, tables

import bipstudy as bip
from bipstudy.loaders import load_submission
from bipstudy.validation.identifiers import find
from bipstudy.validation.telling import name_kind

SECRET = "701063-2391"


def sent(folder: Path, table: str, column: str, row: int, cell: str) -> pd.DataFrame:
    """Return the findings but notes on a study of which one cell of a file is another; the cell must stand nowhere."""
    for name, frame in tables().items():
        written = frame.astype(object)
        if name == table:
            written.loc[row, column] = cell
        written.to_csv(folder / f"{name}.csv", index=False)
    report = bip.validate(load_submission(folder, organisation=ORGANISATION), language="sv")
    assert cell not in report.to_json() + report.to_html()
    return report.findings[report.findings["severity"] != "note"]


@pytest.mark.parametrize(
    ("table", "column", "cell", "code"),
    [
        ("participants", "sex", SECRET, "personal-identity-number"),
        ("participants", "entered_on", "19701063-2391", "personal-identity-number"),
        ("participants", "months_since_work", "197010632391", "personal-identity-number"),
        ("measurements", "job_search", SECRET, "personal-identity-number"),
        ("measurements", "answered_on", f"2024-05-01 {SECRET}", "personal-identity-number"),
        ("measurements", "form_status", "namn@example.se", "contact-details"),
        ("participants", "age_group", "f. 850709", "date-of-birth"),
    ],
)
def test_personal_data_in_a_column_of_another_kind_are_told_as_such_and_once(
    tmp_path: Path, table: str, column: str, cell: str, code: str
) -> None:
    found = sent(tmp_path, table, column, 1, cell)
    there = found[(found["file"] == f"{table}.csv") & (found["row"] == 3) & (found["column"] == column)]
    assert there["code"].tolist() == [code]


@pytest.mark.parametrize("cell", ["vet inte riktigt", "2024-13-45", "31 februari", "1234567890123"])
def test_what_is_no_personal_data_is_told_as_before(tmp_path: Path, cell: str) -> None:
    assert sent(tmp_path, "participants", "entered_on", 1, cell)["code"].tolist() == ["not-a-date"]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("Anna Andersson", "full"),
        ("ANNA ANDERSSON", "full"),
        ("Andersson, Anna", "full"),
        ("Anna-Karin Öst-Berg", "full"),
        ("Anna B Andersson", "full"),
        ("Anna A.", "possible"),
        ("anna andersson", "possible"),
        ("Anna", "possible"),
        ("H1", None),
        ("AB", None),
        ("ABC", None),
        ("abc", None),
        ("Team Nord", None),
        ("Handläggare Ett", None),
        ("17", None),
        ("å3", None),
        ("a-b", None),
        ("", None),
    ],
)
def test_what_is_a_name(cell: str, kind: str | None) -> None:
    assert name_kind(cell) == kind


@pytest.mark.parametrize(("name", "code"), [("Anna Andersson", "name-in-id"), ("Anna", "possible-name-in-id")])
def test_names_in_place_of_running_numbers(name: str, code: str) -> None:
    frames = tables()
    worker = frames["caseworkers"]["caseworker_id"].iloc[0]
    for frame in frames.values():
        if "caseworker_id" in frame:
            frame["caseworker_id"] = frame["caseworker_id"].replace({worker: name})
    report = bip.validate(study(frames), language="sv")
    found = report.findings[report.findings["severity"] != "note"]
    assert set(found["code"]) == {code}
    holding = {table for table, frame in frames.items() if name in set(frame.get("caseworker_id", ()))}
    assert set(found["table"]) == holding
    assert len(found) == sum((frames[table]["caseworker_id"] == name).sum() for table in holding)
    assert report.ok == (code == "possible-name-in-id")
    assert name not in report.to_json() + report.to_html()


@pytest.mark.parametrize(
    ("ids", "is_told"),
    [
        (lambda at: f"{'KEANBLSTUV'[2 * (at % 5) :][:2]}{50 + 7 * at}", True),
        (lambda at: f"AM{70 + at}", False),
        (lambda at: f"{at:03d}", False),
        (lambda at: f"{at * 7919 + 10**31:032x}", True),
        (lambda at: f"{at:06x}", False),
    ],
)
def test_ids_that_can_be_led_back_to_persons(ids, is_told: bool) -> None:
    frames = tables()
    people = frames["participants"]["participant_id"].tolist()
    new = {person: ids(at) for at, person in enumerate(people)}
    for frame in frames.values():
        if "participant_id" in frame:
            frame["participant_id"] = frame["participant_id"].map(new).astype(frame["participant_id"].dtype)
    found = bip.validate(study(frames)).findings
    told = found[found["code"] == "telling-id"]
    assert told["count"].tolist() == ([len(people)] if is_told and len(people) >= 3 else [])


def test_a_hidden_sheet_is_told_and_what_it_must_not_hold_once(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Handläggare"
    for row in (["Organisation", "Handläggare"], ["A", "1"]):
        book.active.append(row)
    for name, rows in {
        "nyckel": [["Klient", "Personnummer"], ["D01", SECRET], ["D02", SECRET]],
        "Bakgrund": [["Klient", "Namn"], ["D01", "Kim Ek"]],
        "Diverse": [["ett", "två"], ["1", "2"]],
    }.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "veryHidden"
    book.save(tmp_path / "a.xlsx")
    found = bip.validate(load_submission(tmp_path / "a.xlsx")).findings
    by_sheet = {
        sheet: sorted(found.loc[found["sheet"] == sheet, "code"]) for sheet in ("nyckel", "Bakgrund", "Diverse")
    }
    assert by_sheet == {
        "nyckel": ["hidden-sheet", "personal-identity-number", "personal-identity-number"],
        "Bakgrund": ["forbidden-column", "hidden-sheet"],
        "Diverse": ["hidden-sheet"],
    }


def test_ten_digits_beside_twelve_are_no_chance(tmp_path: Path) -> None:
    frames = tables()
    people = frames["participants"]["participant_id"].tolist()
    frames["participants"].loc[[0, 1], "participant_id"] = ["7010632391", "197010632391"]
    found = bip.validate(study(frames)).findings
    assert (found["code"] == "personal-identity-number").sum() == 2
    assert "possible-identity-number" not in set(found["code"])
    assert len(people) > 2


def test_answers_in_words_are_told_as_what_they_are(tmp_path: Path) -> None:
    for name, frame in tables().items():
        written = frame.astype(object)
        if name == "measurements":
            items = [column for column in written if column in bip.schema.items()]
            written[items] = written[items].map(lambda answer: answer if pd.isna(answer) else "Stämmer bra")
        written.to_csv(tmp_path / f"{name}.csv", index=False)
    found = bip.validate(load_submission(tmp_path, organisation=ORGANISATION)).findings
    assert set(found.loc[found["severity"] == "error", "code"]) == {"not-a-whole-number"}


@pytest.mark.parametrize(
    "before", ["2024-05-01 ", "2024-05-01: ", "24-05-01, ", "070-1740605 ", "20240501 ", "212000-0175 "]
)
def test_a_number_behind_a_date_or_another_number_is_found(before: str) -> None:
    assert [match.kind for match in find(f"{before}{SECRET}")] == ["separated"]
    assert [match.kind for match in find(f"{before}19{SECRET}")] == ["twelve"]
