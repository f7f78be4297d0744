"""The walk without script: files are taken, checked as everywhere else, mended, compared, and taken along."""

from __future__ import annotations

import io
import json
import re
import zipfile

import openpyxl
import pytest
from steward_client import Page

import bipstudy as bip
from bipstudy import schema
from bipstudy.steward.pages import STEPS
from bipstudy.texts import LANGUAGES, catalogue, text

SENTINELS = ("SENTINEL77", "SENTINEL88")


def english(page: Page) -> Page:
    """Return the same visit in English."""
    return Page(page.port, page.token, place=page.place.replace("/sv/", "/en/"))


def changes(shown: str) -> dict[str, int]:
    """Return how many findings are gone, left and new, as the page says."""
    section = shown.split('<section class="changes"')[1].split("</section>")[0]
    found = re.findall(r"<b>([\d\xa0]+)</b> ([^<]+?)\s*<", section)
    return {words: int(number.replace("\xa0", "")) for number, words in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_page_says_what_becomes_of_the_files_in_one_language(served: Page, language: str) -> None:
    shown = served.visit(language).get().text
    assert f'<html lang="{language}"' in shown
    other = next(one for one in LANGUAGES if one != language)
    for key in ("start_title", "start_lead", "stays_title", "stays_long", "drop_here", "choose_files", "end"):
        assert text(f"steward.{key}", language) in shown
        assert text(f"steward.{key}", other) not in shown
    assert f'lang="{other}" hreflang="{other}">{text("steward.other_language", language)}' in shown


def test_a_good_delivery_is_accepted_and_the_report_is_that_of_validate(page: Page, good, tmp_path) -> None:
    shown = page.check(good)
    assert "Leveransen är godkänd" in shown
    folder = tmp_path / "leverans"
    folder.mkdir()
    for name, content in good.items():
        (folder / name).write_bytes(content)
    report = bip.validate(bip.load_submission(folder), language="sv")
    answer = page.get("get/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="kontrollrapport.html"'
    assert answer.text == report.to_html()
    assert page.get("get/json").text == report.to_json()
    # What stands on the page is the report itself.
    for piece in re.findall(r"<h2.*?</table>", report.to_html(), flags=re.DOTALL):
        assert piece in shown


def test_a_spoilt_delivery_is_told_by_file_row_and_column_and_never_by_value(page: Page, spoilt) -> None:
    shown = page.check(spoilt)
    assert "Leveransen behöver rättas" in shown
    assert re.search(r"deltagare\.csv</td><td>Deltagare</td><td>sex</td><td class=\"rows\">4, 9<", shown)
    assert re.search(r"deltagare\.csv</td><td>Deltagare</td><td>observed_until</td><td class=\"rows\">6<", shown)
    for what in ("report", "json"):
        assert not any(word in page.get(f"get/{what}").text for word in SENTINELS)
    assert not any(word in shown for word in SENTINELS)
    assert english(page).get().text.count("The submission needs mending") == 2


def test_a_mended_delivery_is_held_against_the_one_before_although_rows_have_moved(
    page: Page, spoilt, half_mended, good
) -> None:
    first = page.check(spoilt)
    assert 'id="changes"' not in first
    errors = json.loads(page.get("get/json").text)["counts"]["error"]
    second = page.check(half_mended)
    told = changes(second)
    # Gone: the code of row 4. Left: the code and the date, one row higher. New: the age.
    now = json.loads(page.get("get/json").text)
    assert errors == 3
    assert now["counts"]["error"] == 3
    section = second.split('<section class="changes"')[1].split("</section>")[0]
    by_kind = dict(re.findall(r'class="change (\w+)">(.*?)</details>', section, flags=re.DOTALL))
    rows = {
        kind: re.findall(r'edge-error">.*?<td>(\w+)</td><td class="rows">([\d, –]+)<', table)
        for kind, table in by_kind.items()
    }
    assert rows["gone"] == [("sex", "4")]
    assert sorted(rows["left"]) == [("observed_until", "5"), ("sex", "8")]
    assert rows["new"] == [("age_group", "12")]
    assert told["kvar"] + told.get("nya", 0) + told.get("ny", 0) == len(now["findings"])
    third = page.check(good)
    assert "Leveransen är godkänd" in third
    assert not any(word in second + third for word in SENTINELS)


def test_a_finding_that_was_not_looked_for_again_does_not_count_as_mended(page: Page, spoilt, good) -> None:
    page.check(spoilt)
    shown = page.check({"formulär.csv": good["formulär.csv"]})
    told = changes(shown)
    assert told["inte prövade igen"] >= 3
    section = shown.split('<section class="changes"')[1].split("</section>")[0]
    gone = dict(re.findall(r'class="change (\w+)">(.*?)</details>', section, flags=re.DOTALL)).get("gone", "")
    assert "<td>sex</td>" not in gone


def test_what_can_be_taken_along_is_what_it_says(page: Page, spoilt) -> None:
    page.check(spoilt)
    marked = page.get("get/marked")
    assert marked.headers["content-disposition"] == 'attachment; filename="leverans-markerad.xlsx"'
    book = openpyxl.load_workbook(io.BytesIO(marked.body))
    comments = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.comment]
    assert {"D4", "F4"} & {cell.coordinate for cell in comments} or comments
    assert openpyxl.load_workbook(io.BytesIO(page.get("get/findings").body)).sheetnames[1] == "Anmärkningar"
    assert "leverans-marked.xlsx" in english(page).get("get/marked").headers["content-disposition"]
    assert json.loads(english(page).get("get/json").text)["language"] == "en"


@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")
@pytest.mark.parametrize("language", LANGUAGES)
def test_template_and_codebook_are_there_before_anything_is_sent(served: Page, language: str) -> None:
    page = served.visit(language)
    sheets = openpyxl.load_workbook(io.BytesIO(page.get("get/template").body)).sheetnames
    assert schema.table("participants").label[language] in sheets
    assert page.get("get/codebook").body.startswith(b"PK")
    answer = page.get("get/report")
    assert answer.status == 404
    assert text("steward.not_yet", language) in answer.text


def test_one_file_is_checked_under_its_own_name_and_a_zip_as_what_it_holds(page: Page, spoilt) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in spoilt.items():
            archive.writestr(name, content)
    shown = page.check({"uttag mars.zip": held.getvalue()})
    assert "uttag mars.zip/deltagare.csv" in shown
    assert "uttag%20mars-markerad.xlsx" in page.get("get/marked").headers["content-disposition"]


def test_a_folder_keeps_its_names(page: Page, spoilt) -> None:
    shown = page.check({f"uttag/{name}": content for name, content in spoilt.items()})
    assert "<td>deltagare.csv</td>" in shown
    assert "uttag-markerad.xlsx" in page.get("get/marked").headers["content-disposition"]


def test_a_file_that_is_not_recognised_gives_a_draft_that_is_refused_until_it_is_gone_through(page: Page) -> None:
    clients = "Klientnr;Kön;Startdatum;Funderingar\n1;K;2024-01-01;3\n2;Tjej;2024-02-01;4\n".encode("cp1252")
    shown = page.check({"klienter.csv": clients})
    assert text("steward.get_draft", "sv") in shown
    draft = page.get("get/draft")
    assert draft.headers["content-disposition"] == 'attachment; filename="mappning-utkast.yaml"'
    assert "OSÄKERT" in draft.text
    assert draft.body.count(b"\r\n") == draft.body.count(b"\n")
    files = [("files", "klienter.csv", clients), ("mapping", "mappning-utkast.yaml", draft.body)]
    assert page.post("check", files).status == 303
    refused = page.wait()
    assert text("steward.failed_title", "sv") in refused
    assert "rad " in refused
    assert "/tmp" not in refused
    # Nothing of the draft is in use before somebody has gone through it.
    gone_through = "\r\n".join(line for line in draft.text.splitlines() if "OSÄKERT" not in line).encode()
    files = [("files", "klienter.csv", clients), ("mapping", "mappning.yaml", gone_through)]
    assert page.post("check", files).status == 303
    assert "mappning.yaml" in page.wait()
    # It stays until another is chosen or none is wanted.
    assert page.post("check", [("files", "klienter.csv", clients)], {"no_mapping": "1"}).status == 303
    assert "mappning.yaml" not in page.wait()


def test_organisation_and_date_are_handed_on_and_kept(page: Page, tables) -> None:
    without = tables["deltagare"].drop(columns="organisation_id").to_csv(index=False, sep=";").encode()
    shown = page.check({"deltagare.csv": without}, organisation="ORG<07>", extracted_on="2017-01-31")
    assert "Uttagets dag 2017-01-31" in shown
    assert 'value="ORG&lt;07&gt;"' in shown
    assert "ORG<07>" not in shown
    codes = {finding["code"] for finding in json.loads(page.get("get/json").text)["findings"]}
    assert "missing-column" not in codes
    wrong = page.check({"deltagare.csv": without}, organisation="ORG07", extracted_on="31/1")
    assert text("loaders.no_date", "sv") in wrong


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no archive",
        b"\xd0\xcf\x11\xe0 no workbook",
        bytes(range(256)) * 40,
        b"<html><table>",
        b"$FL2 no SPSS",
    ],
)
def test_a_wrong_file_gets_a_report_and_no_traceback(page: Page, content: bytes) -> None:
    for name in ("uttag.xlsx", "uttag.sav"):
        shown = page.check({name: content})
        assert "Leveransen behöver rättas" in shown
        assert "Traceback" not in shown
        assert page.get("get/marked").status in {200, 409}


def test_every_step_that_the_worker_names_has_words() -> None:
    assert all(f"step_{step}" in catalogue("steward") for step in (*STEPS, "queued"))
