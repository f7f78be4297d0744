"""The report is complete, adds up, speaks both languages and shows no value of a person."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openpyxl
import pandas as pd
import pytest
from small_study import ORGANISATION, study, tables

import bipstudy as bip
from bipstudy import schema
from bipstudy.schema import Finding
from bipstudy.validation.findings import COLUMNS, Report
from bipstudy.validation.grouping import grouped, ranges

SENTINELS = ("SENTINEL77", "SENTINEL88", "701063-2391", "197010632391")


def many_bad_rows(forms: int) -> Report:
    """Return the report of a study in which every form has a wrong answer."""
    frames = tables()
    first = frames["measurements"].iloc[[0]]
    grown = first.take([0] * forms).reset_index(drop=True)
    grown["participant_id"] = pd.Series([f"p{number}" for number in range(forms)], dtype=schema.STRING)
    grown["job_search"] = pd.Series(9, index=grown.index, dtype="Int64")
    persons = frames["participants"].take([0] * forms).reset_index(drop=True)
    persons["participant_id"] = grown["participant_id"]
    kept = {"participants": persons, "measurements": grown}
    return bip.validate(bip.Study(tables=kept, sent=frozenset(kept)), language="sv")


def with_sentinels() -> Report:
    """Return the report of a study with strange values in every column of text, and findings of many kinds."""
    frames = tables()
    frames["participants"].loc[0, "participant_id"] = SENTINELS[0]
    frames["participants"].loc[1, "sex"] = SENTINELS[0]
    frames["participants"].loc[2, "unit_id"] = SENTINELS[2]
    frames["participants"].loc[2, "left_on"] = pd.Timestamp("1987-06-05")
    frames["measurements"].loc[3, "caseworker_id"] = SENTINELS[1]
    frames["measurements"].loc[4, "instrument"] = SENTINELS[1]
    frames["measurements"].loc[5, "participant_id"] = SENTINELS[3]
    frames["measurements"].loc[6, "answered_on"] = pd.Timestamp("1987-06-05")
    frames["missing_answers"].loc[0, "item"] = SENTINELS[0]
    frames["activities"].loc[0, "activity_id"] = frames["activities"].loc[1, "activity_id"]
    frames["organisations"].loc[0, "name"] = f"ring {SENTINELS[2]}"
    frames["measurements"].loc[8, "job_search"] = 77_777

    said = Finding(
        "unknown-column", table="participants", file=f"{SENTINELS[2]}.xlsx", sheet="Blad1", column=SENTINELS[3]
    )
    return bip.validate(submission(frames, [said]), language="sv")


def submission(frames: dict[str, pd.DataFrame], findings: list[Finding], **more: object) -> SimpleNamespace:
    """Return what validation needs of a submission."""
    return SimpleNamespace(tables=frames, sent=frozenset(frames), findings=findings, **more)


def test_every_bad_row_is_a_finding() -> None:
    report = many_bad_rows(5_000)
    found = report.findings
    # The participants are copies of one and have one form each, which other rules tell.
    ours = found[found["code"] == "answer-outside-scale"]
    assert ours["row"].tolist() == list(range(2, 5_002))
    assert report.counts()["error"] == 5_000
    assert sum(report.counts().values()) == len(found)
    page = report.to_html()
    assert "2–5001" in page
    assert "5\u00a0000" in page
    assert len(json.loads(report.to_json())["findings"]) == len(found)


def test_columns_and_types_of_the_findings() -> None:
    for report in (many_bad_rows(3), bip.validate(study())):
        assert list(report.findings.columns) == COLUMNS
        assert report.findings["row"].dtype == "Int64"
        assert report.findings["count"].dtype == "int64"


def test_sums_add_up() -> None:
    report = with_sentinels()
    sections = grouped(report)
    assert sum(section.count for section in sections) == len(report.findings)
    for section in sections:
        for group in section.groups:
            assert group.count == sum(place.count for place in group.places)
    assert sum(report.counts().values()) == len(report.findings)
    listed = [place.rows for section in sections for group in section.groups for place in group.places]
    rows = sum(_numbers_in(text) for text in listed)
    assert rows == report.findings["row"].notna().sum()


def _numbers_in(ranges_of_rows: str) -> int:
    """Count the rows that a list of ranges names."""
    total = 0
    for part in ranges_of_rows.split(", "):
        ends = [int(number) for number in part.split("–") if number.isdigit()]
        total += ends[-1] - ends[0] + 1 if ends else 0
    return total


def test_no_value_of_a_person_is_shown(tmp_path: Path) -> None:
    report = with_sentinels()
    assert len(report.findings) >= 12
    written = [report.summary(), str(report.findings.to_dict())]
    for language in ("sv", "en"):
        spoken = report.in_language(language)
        written += [spoken.to_html(), spoken.to_json()]
    book = openpyxl.load_workbook(report.to_excel(tmp_path / "report.xlsx"))
    written.append(str([[cell.value for cell in row] for sheet in book for row in sheet.iter_rows()]))
    for text in written:
        for sentinel in (*SENTINELS, "1987", "77777", "77 777", ORGANISATION):
            assert sentinel not in text


def test_both_languages_have_the_same_findings() -> None:
    report = with_sentinels()
    swedish, english = report.findings, report.in_language("en").findings
    pd.testing.assert_frame_equal(swedish.drop(columns=["message", "cure"]), english.drop(columns=["message", "cure"]))
    assert (swedish["message"] != english["message"]).all()
    assert report.in_language("en").in_language("sv").findings.equals(swedish)


def test_the_language_of_the_variable_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIPSTUDY_LANGUAGE", "en")
    assert bip.validate(study()).language == "en"
    monkeypatch.delenv("BIPSTUDY_LANGUAGE")
    assert bip.validate(study()).language == "sv"


def test_the_page_is_one_file_without_external_assets(tmp_path: Path) -> None:
    page = with_sentinels().to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert re.findall(r"(?:src|href)=\"(?!#)", page) == []
    assert "@import" not in page
    assert "url(" not in page
    assert page.startswith("<!DOCTYPE html>")
    assert '<html lang="sv">' in page
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets
    assert len(re.findall(r'id="([^"]+)"', page)) == len(targets)


def test_markup_in_a_name_stays_text() -> None:
    said = Finding("unknown-column", table="participants", file="<script>x</script>.csv", column="=1+1")
    page = bip.validate(submission(tables(), [said])).to_html()
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_a_formula_in_a_name_stays_text_in_the_workbook(tmp_path: Path) -> None:
    said = Finding("unknown-column", table="participants", file="a.csv", column="=1+1")
    book = openpyxl.load_workbook(bip.validate(submission(tables(), [said])).to_excel(tmp_path / "r.xlsx"))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value == "=1+1"]
    assert [cell.data_type for cell in cells] == ["s"]


def test_what_the_loader_said_of_a_cell_is_not_said_again() -> None:
    frames = tables()
    frames["participants"].loc[1, "entered_on"] = pd.NaT

    provenance = {
        name: pd.DataFrame({"file": "a.xlsx", "sheet": name, "row": np.arange(2, len(frame) + 2)})
        for name, frame in frames.items()
    }
    names = {name: {column: column.upper() for column in frame} for name, frame in frames.items()}
    said = Finding("not-a-date", table="participants", file="a.xlsx", sheet="participants", row=3, column="ENTERED_ON")
    sources = {"provenance": provenance, "source_columns": names}
    assert bip.validate(submission(frames, [said], **sources)).findings["code"].tolist() == ["not-a-date"]
    again = bip.validate(submission(frames, [], **sources)).findings
    assert again["code"].tolist() == ["missing-value"]
    assert again[["file", "sheet", "row", "column"]].iloc[0].tolist() == ["a.xlsx", "participants", 3, "ENTERED_ON"]


def test_the_order_of_rows_changes_nothing_but_the_rows() -> None:
    frames = tables()
    frames["measurements"].loc[5, "cooperation"] = 9
    frames["assignments"].loc[3, "responsibility"] = "main"
    frames["outcomes"].loc[0, "start"] = pd.Timestamp("2024-06-01")
    turned = {name: frame.iloc[::-1].reset_index(drop=True) for name, frame in frames.items()}
    one, other = (bip.validate(study(each)).findings for each in (frames, turned))
    assert sorted(one["code"]) == sorted(other["code"])
    back = {name: len(frame) + 3 for name, frame in frames.items()}
    mirrored = {
        (code, table, back[table] - row)
        for code, table, row in zip(other["code"], other["table"], other["row"], strict=True)
    }
    assert mirrored == set(zip(one["code"], one["table"], one["row"], strict=True))


def test_same_input_gives_same_bytes(tmp_path: Path) -> None:
    report = with_sentinels()
    again = with_sentinels()
    assert report.to_html() == again.to_html()
    assert report.to_json() == again.to_json()
    one, other = report.to_excel(tmp_path / "a.xlsx"), again.to_excel(tmp_path / "b.xlsx")
    assert one.read_bytes() == other.read_bytes()


def test_rules_that_do_not_apply_are_listed_on_the_page() -> None:
    kept = {name: frame for name, frame in tables().items() if schema.table(name).required}
    page = bip.validate(bip.Study(tables=kept, sent=frozenset(kept)), language="sv").to_html()
    assert "Två ansvariga handläggare samtidigt" in page
    assert "Handläggarperioder skickades inte." in page


def test_row_numbers_as_ranges() -> None:
    assert ranges([5]) == "5"
    assert ranges([3, 2, 4, 9, 11, 12]) == "2–4, 9, 11–12"


def test_the_page_has_the_style_of_the_house() -> None:
    from bipstudy.house import house_css

    assert house_css() in bip.validate(study(tables())).to_html()
