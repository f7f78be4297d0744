"""Small files as stewards write them, with the headings of the template, and what is said of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import openpyxl
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders import SourceFile
from bipstudy.validation.identifiers import in_names

PARTICIPANTS = ["Organisation", "Deltagare", "Startade", "Kön", "Åldersgrupp", "Uppföljning av utfall"]
PARTICIPANTS += ["Följd till och med", "Varför uppföljningen slutar"]
QUESTIONS = [item.label["sv"] for item in schema.items().values()]
ASKED_OF_PARTICIPANTS = [item.label["sv"] for item in schema.items().values() if "participant" in item.respondents]
FORMS = ["Organisation", "Deltagare", "Mättillfälle", "Vem som svarar", "Frågeformulär", "Handläggare"]
FORMS += ["Besvarat den", "Status"]
PERSONS = ["D01", "D02", "D03"]


def people() -> list[list[str]]:
    background = ["Kvinna", "25–34 år", "I register", "2024-12-31", "Uttagets sista dag"]
    return [["A", person, f"2024-01-1{at}", *background] for at, person in enumerate(PERSONS)]


def days(at: int) -> list[str]:
    """Return the days of a participant's three occasions."""
    return [str(dt.date(2024, 1, 12 + at) + dt.timedelta(91 * wave)) for wave in range(3)]


def answers(count: int, start: int) -> list[str]:
    return [str(1 + (start + place * place) % 5) for place in range(count)]


def forms(respondents: tuple[str, ...] = ("Deltagaren", "Handläggaren")) -> list[list[str]]:
    rows = []
    for at, person in enumerate(PERSONS):
        for wave, day in enumerate(days(at)):
            for who in respondents:
                theirs = who == "Handläggaren"
                given = answers(len(QUESTIONS), at + 2 * wave + theirs)
                if not theirs:
                    given = [
                        answer if question in ASKED_OF_PARTICIPANTS else ""
                        for question, answer in zip(QUESTIONS, given, strict=True)
                    ]
                worker = "H1" if theirs else ""
                rows.append(["A", person, str(wave + 1), who, "bip-default", worker, day, "Besvarat", *given])
    return rows


def write(path: Path, *rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(";".join(row) for row in rows) + "\r\n", "utf-8-sig")
    return path


def delivery(folder: Path) -> Path:
    write(folder / "deltagare.csv", PARTICIPANTS, *people())
    write(folder / "formulär.csv", [*FORMS, *QUESTIONS], *forms())
    return folder


def told(path: Path, **options: object) -> list[tuple[str, object]]:
    """Return code and column of each error and warning."""
    report = bip.validate(bip.load_submission(path, **options), language="sv")
    kept = report.findings[report.findings["severity"] != "note"]
    return list(zip(kept["code"], kept["column"].astype(object).where(kept["column"].notna(), None), strict=True))


def test_the_small_delivery_is_accepted(tmp_path: Path) -> None:
    assert told(delivery(tmp_path)) == []


def test_forms_of_participants_in_a_file_of_their_own_need_no_caseworker(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "deltagare.csv", PARTICIPANTS, *people())
    keep = [at for at, name in enumerate([*FORMS, *QUESTIONS]) if name not in {"Handläggare", "Mättillfälle"}]
    for file, who in (("svar klienter.csv", "Deltagaren"), ("svar personal.csv", "Handläggaren")):
        rows = [[*FORMS, *QUESTIONS], *forms((who,))]
        write(folder / file, *([[row[at] for at in keep] for row in rows] if who == "Deltagaren" else rows))
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        'tables:\n  measurements:\n    - file: "svar klienter.csv"\n    - file: "svar personal.csv"\n', "utf-8"
    )
    assert told(folder, mapping=mapping) == []
    # The caseworker's own forms without the column are another matter.
    rows = [[*FORMS, *QUESTIONS], *forms(("Handläggaren",))]
    write(folder / "svar personal.csv", *[row[:5] + row[6:] for row in rows])
    assert ("missing-column", "Handläggare") in told(folder, mapping=mapping)


def test_both_respondents_on_the_same_row(tmp_path: Path) -> None:
    folder = delivery(tmp_path / "in")
    expected = bip.load_submission(folder).tables["measurements"]
    (folder / "formulär.csv").unlink()
    header = ["Klientnr", "Mätdatum", "Personal"]
    header += [f"{who} {question}" for who in ("Klient", "Handläggare") for question in QUESTIONS]
    sent = forms()
    both = [[row[1], row[6], "H1", *row[8:], *other[8:]] for row, other in zip(sent[::2], sent[1::2], strict=True)]
    write(folder / "samtal.csv", header, *both)
    items = "".join(
        f'            "{question}": {item}\n' for question, item in zip(QUESTIONS, schema.items(), strict=True)
    )
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        """organisation: A
tables:
  measurements:
    - file: samtal.csv
      columns: {"Klientnr": participant_id, "Mätdatum": answered_on, "Personal": caseworker_id}
      set: {form_status: answered, instrument: bip-default}
      wide:
        - pattern: "{respondent} {item}"
          respondents: {"Klient": participant, "Handläggare": caseworker}
          items:
"""
        + items,
        "utf-8",
    )
    loaded = bip.load_submission(folder, mapping=mapping)
    key = ["participant_id", "occasion", "respondent"]
    compared = [*key, "answered_on", *schema.items()]
    first, second = (
        frame[compared].sort_values(key, ignore_index=True) for frame in (expected, loaded.tables["measurements"])
    )
    pd.testing.assert_frame_equal(first, second)
    assert [each.code for each in loaded.findings] == ["occasion-assigned"]
    # Nor is it taken for another survey before there is a mapping.
    assert "other-questionnaire" not in {each.code for each in bip.load_submission(folder).findings}


def test_a_study_of_participants_forms_alone_is_not_asked_for_caseworkers(tmp_path: Path) -> None:
    write(tmp_path / "deltagare.csv", PARTICIPANTS, *people())
    rows = [[*FORMS, *QUESTIONS], *forms(("Deltagaren",))]
    write(tmp_path / "formulär.csv", *[row[:5] + row[6:] for row in rows])
    assert "missing-column" not in {code for code, _ in told(tmp_path)}


def test_our_own_questions_are_no_other_questionnaire(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sheet1"
    sheet.append(["ID", "Starttid", "Deltagare", *ASKED_OF_PARTICIPANTS])
    sheet.append([1, dt.datetime(2024, 1, 13, 10, 0), "D01", *[3] * len(ASKED_OF_PARTICIPANTS)])
    book.save(tmp_path / "svar.xlsx")
    found = told(tmp_path / "svar.xlsx")
    assert "other-questionnaire" not in {code for code, _ in found}
    assert ("missing-column", "Besvarat den") in found


@pytest.mark.parametrize(("language", "heading"), [("sv", "Åldersgrupp"), ("en", "Age group")])
def test_a_missing_column_is_told_by_the_heading_of_the_template(tmp_path: Path, language: str, heading: str) -> None:
    folder = delivery(tmp_path)
    at = PARTICIPANTS.index("Åldersgrupp")
    write(folder / "deltagare.csv", *[row[:at] + row[at + 1 :] for row in [PARTICIPANTS, *people()]])
    report = bip.validate(bip.load_submission(folder), language=language)
    assert report.findings[["code", "column"]].to_numpy().tolist() == [["missing-column", heading]]
    assert heading in report.to_html()
    assert "age_group" not in report.to_html() + report.to_json() + report.summary()


def notes(path: Path) -> list[tuple[str, int]]:
    """Return code and row of what the loader noted."""
    return [(each.code, each.row) for each in bip.load_submission(path).findings]


def test_what_stands_below_a_table_after_a_blank_row_is_no_data(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    plain = bip.load_submission(folder).hash
    below = [["Antal", "3"], [""], ["Källa: Treserva, uttag 2025-01-02"], ["Gjort av systemet"]]
    write(folder / "deltagare.csv", PARTICIPANTS, *people(), [""] * 8, *below)
    assert notes(folder) == [("total-row", 6), ("footer-row", 8), ("footer-row", 9)]
    assert bip.load_submission(folder).hash == plain
    # The same words right below the data may be a row that was cut off.
    write(folder / "deltagare.csv", PARTICIPANTS, *people(), ["Källa: Treserva, uttag 2025-01-02"])
    assert ("truncated-file", 5) in notes(folder)
    # An id alone is a row of data wherever it stands.
    write(folder / "deltagare.csv", PARTICIPANTS, *people(), [""] * 8, ["", "D04", *[""] * 6])
    assert "footer-row" not in dict(notes(folder))
    assert ("missing-value", "Startade") in told(folder)


@pytest.mark.parametrize("words", ["Summa 701063-2391", "Källa: Kim, 701063-2391"])
def test_a_row_that_is_left_out_is_searched_for_personal_data(tmp_path: Path, words: str) -> None:
    folder = delivery(tmp_path)
    write(folder / "deltagare.csv", PARTICIPANTS, *people(), [""] * 8, [words, *[""] * 7])
    assert told(folder) == [("personal-identity-number", "A")]


@pytest.mark.parametrize("first", ["Deltagare", "Utfall"])
def test_two_tables_on_one_sheet_are_refused_and_none_is_lost_in_silence(tmp_path: Path, first: str) -> None:
    headings = ["Organisation", "Deltagare", "Utfall", "Typ av utfall", "Från och med", "Pågår", "Källa"]
    outcomes = [headings, ["A", "D01", "U1", "Arbete utan subvention", "2024-09-01", "Ja", "Register"]]
    tables = {"Deltagare": [PARTICIPANTS, *people()], "Utfall": outcomes}
    order = [first, *(name for name in tables if name != first)]
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Allt"
    for name in order:
        for row in tables[name]:
            sheet.append(row)
        sheet.append([])
    forms_sheet = book.create_sheet("Formulär")
    for row in [[*FORMS, *QUESTIONS], *forms()]:
        forms_sheet.append(row)
    book.save(tmp_path / "allt.xlsx")
    submission = bip.load_submission(tmp_path / "allt.xlsx")
    assert "several-tables" in [each.code for each in submission.findings]
    assert len(submission.tables["outcomes"]) == 0
    assert not bip.validate(submission).ok


def test_an_identity_number_in_the_name_of_a_file_or_sheet(tmp_path: Path) -> None:
    folder = delivery(tmp_path / "in")
    (folder / "deltagare.csv").rename(folder / "deltagare 701063-2391.csv")
    submission = bip.load_submission(folder)
    report = bip.validate(submission, language="sv")
    assert [(one.code, one.file) for one in report.findings.itertuples()] == [
        ("identity-number-in-name", "deltagare ███████████.csv")
    ]
    assert not report.ok
    assert report.identifiers_found
    book = openpyxl.Workbook()
    book.active.title = "19701063-2391"
    book.active.append(["anteckning"])
    book.save(tmp_path / "in" / "bok.xlsx")
    found = bip.validate(bip.load_submission(folder)).findings
    assert found["code"].tolist().count("identity-number-in-name") == 2
    assert "2391" not in bip.validate(bip.load_submission(folder)).to_json()


@pytest.mark.parametrize("name", ["uttag 20241115-1345", "uttag_241115_1401", "202411151345", "212000-0175"])
def test_when_a_file_was_made_is_no_identity_number(name: str) -> None:
    # One of the ten has the check digit.
    files = [SourceFile(f"deltagare {name[:-1]}{last}.csv", "", 0) for last in range(10)]
    assert in_names(SimpleNamespace(files=files)) == []
