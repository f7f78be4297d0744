"""What is sent with a file and stands in no cell is looked through; told once, with its place, and never shown."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pyreadstat
import pytest
import spreadsheets
import xlsxwriter
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.packaging.custom import StringProperty
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from test_what_stewards_send import FORMS, PARTICIPANTS, QUESTIONS, forms, people

import bipstudy as bip
from bipstudy.loaders import beside

# The example of the Swedish Tax Agency.
SECRET, DIGITS = "701063-2391", "2391"
CODE = "personal-data-outside-cells"
SHEETS = {"Deltagare": [PARTICIPANTS, *people()], "Formulär": [[*FORMS, *QUESTIONS], *forms()]}


def workbook() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in SHEETS.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def found(path: Path) -> list[tuple[object, ...]]:
    """Return code, sheet, row and column of all errors and warnings; what is secret must stand nowhere."""
    report = bip.validate(bip.load_submission(path), language="sv")
    said = report.to_json() + report.to_html()
    assert DIGITS not in said
    assert "namn@example" not in said
    kept = report.findings[report.findings["severity"] != "note"]
    kept = kept[["code", "sheet", "row", "column"]].astype(object)
    return [tuple(row) for row in kept.where(kept.notna(), None).itertuples(index=False)]


def comment(book: openpyxl.Workbook, words: str = f"ringde {SECRET}") -> None:
    book["Deltagare"]["C3"].comment = Comment(words, "A. Andersson")


def prompt(book: openpyxl.Workbook) -> None:
    allowed = DataValidation(type="list", formula1=f'"{SECRET},ja"', allow_blank=True)
    allowed.add("D2:D9")
    book["Deltagare"].add_data_validation(allowed)


def defined(book: openpyxl.Workbook) -> None:
    book.defined_names["nyckel"] = DefinedName("nyckel", attr_text=f'"{SECRET}"')


def printed(book: openpyxl.Workbook) -> None:
    book["Formulär"].oddHeader.left.text = f"Avser {SECRET}"


def titled(book: openpyxl.Workbook) -> None:
    book.properties.title = f"Akt {SECRET}"


def keyed(book: openpyxl.Workbook) -> None:
    book.custom_doc_props.append(StringProperty(name="Ärende", value=SECRET))


def charted(book: openpyxl.Workbook) -> None:
    chart = BarChart()
    chart.title = f"Svar av {SECRET}"
    chart.add_data(Reference(book["Formulär"], min_col=9, min_row=2, max_row=5))
    book["Formulär"].add_chart(chart, "A40")


def linked(book: openpyxl.Workbook) -> None:
    book["Deltagare"]["B2"].hyperlink = "mailto:namn@example.se"


def filtered(book: openpyxl.Workbook) -> None:
    book["Formulär"].auto_filter.ref = "A1:H9"
    book["Formulär"].auto_filter.add_filter_column(1, [SECRET])


@pytest.mark.parametrize(
    ("plant", "place"),
    [
        (comment, ("Deltagare", 3, "C")),
        (prompt, ("Deltagare", None, None)),
        (defined, (None, None, None)),
        (printed, ("Formulär", None, None)),
        (titled, (None, None, None)),
        (keyed, (None, None, None)),
        (charted, ("Formulär", None, None)),
        (linked, ("Deltagare", None, None)),
        (filtered, ("Formulär", None, None)),
    ],
)
def test_a_workbook(tmp_path: Path, plant: Callable[[openpyxl.Workbook], None], place: tuple[object, ...]) -> None:
    book = workbook()
    plant(book)
    book.save(tmp_path / "uttag.xlsx")
    told = found(tmp_path / "uttag.xlsx")
    # A chart lies in a drawing, of which the sheet is known; of what lies in the drawing it is not.
    assert [each[0] for each in told] == [CODE]
    assert told[0][1:] == place or plant is charted


def test_a_workbook_as_it_should_be_has_nothing_to_tell(tmp_path: Path) -> None:
    book = workbook()
    book.properties.creator = "namn@example.se"
    book.properties.lastModifiedBy = "A. Andersson"
    book["Formulär"].oddFooter.center.text = "Frågor: namn@example.se, 070-174 06 05"
    book["Deltagare"]["A1"].comment = Comment("Organisationens kod.", "Mallen")
    book.defined_names["lista"] = DefinedName("lista", attr_text="Deltagare!$A$1:$H$4")
    book.save(tmp_path / "uttag.xlsx")
    assert found(tmp_path / "uttag.xlsx") == []


def test_the_template_has_nothing_to_tell(tmp_path: Path) -> None:
    from bipstudy.schema.template import write_template

    write_template(tmp_path / "mall.xlsx")
    report = bip.validate(bip.load_submission(tmp_path / "mall.xlsx"))
    assert not {CODE, "comments-not-read"} & set(report.findings["code"])


def test_other_comments_are_told_once_a_sheet(tmp_path: Path) -> None:
    book = workbook()
    for row in (2, 3):
        book["Formulär"].cell(row, 4).comment = Comment("Ringde, svarade inte", "A")
    comment(book)
    book.save(tmp_path / "uttag.xlsx")
    report = bip.validate(bip.load_submission(tmp_path / "uttag.xlsx"))
    warned = report.findings[report.findings["code"] == "comments-not-read"]
    assert warned[["sheet", "count"]].to_numpy().tolist() == [["Formulär", 2]]
    assert (report.findings["code"] == CODE).sum() == 1


@pytest.mark.parametrize(("words", "is_told"), [("f. 850709", True), ("Storgatan 12", True), ("kl. 10.15", False)])
def test_other_personal_data_in_a_comment(tmp_path: Path, words: str, is_told: bool) -> None:
    book = workbook()
    comment(book, words)
    book.save(tmp_path / "uttag.xlsx")
    assert [each[0] for each in found(tmp_path / "uttag.xlsx")] == [CODE if is_told else "comments-not-read"]


@pytest.mark.parametrize("limit", [beside.MAX_PART, 300])
def test_what_a_pivot_table_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(beside, "MAX_PART", limit)
    workbook().save(tmp_path / "a.xlsx")
    cache = '<pivotCacheDefinition xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cacheFields>'
    cache += f'<cacheField name="nyckel"><sharedItems><s v="{SECRET}"/><s v="x"/>{" " * 300}</sharedItems></cacheField>'
    with zipfile.ZipFile(tmp_path / "a.xlsx", "a") as archive:
        archive.writestr("xl/pivotCache/pivotCacheDefinition1.xml", cache + "</cacheFields></pivotCacheDefinition>")
    assert [each[0] for each in found(tmp_path / "a.xlsx")] == [CODE]


def test_a_text_box_and_a_large_sheet_below_which_a_link_stands(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        for name, rows in SHEETS.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
        sheet.insert_textbox("A60", f"Se akt {SECRET}")
        book.get_worksheet_by_name("Deltagare").write_url("A2", "mailto:namn@example.se", string="A")
    assert sorted(found(tmp_path / "a.xlsx"), key=str) == [
        (CODE, "Deltagare", None, None),
        (CODE, "Formulär", None, None),
    ]


def ods_with(path: Path, part: str, old: str, new: str) -> Path:
    """Write an OpenDocument spreadsheet and replace a piece of a part of it, or add the part."""
    spreadsheets.ods(path, SHEETS)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts[part] = parts.get(part, old).replace(old, new, 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_open_documents(tmp_path: Path) -> None:
    cell = "<text:p>D01</text:p>"
    noted = f"<office:annotation><text:p>akt {SECRET}</text:p></office:annotation>{cell}"
    path = ods_with(tmp_path / "a.ods", "content.xml", cell, noted)
    assert found(path) == [(CODE, "Deltagare", 2, None)]
    assert bip.load_submission(path).tables["participants"]["participant_id"].tolist() == ["D01", "D02", "D03"]
    spaces = (
        'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    )
    meta = f"<office:document-meta {spaces}><office:meta><dc:title>{SECRET} akt</dc:title></office:meta>"
    meta += "</office:document-meta>"
    assert found(ods_with(tmp_path / "b.ods", "meta.xml", "", meta)) == [(CODE, None, None, None)]
    named = '<table:named-expressions><table:named-expression table:name="a" table:expression="&quot;SECRET&quot;"/>'
    named = named.replace("SECRET", SECRET) + "</table:named-expressions></office:spreadsheet>"
    path = ods_with(tmp_path / "c.ods", "content.xml", "</office:spreadsheet>", named)
    assert found(path) == [(CODE, None, None, None)]


def test_old_workbooks(tmp_path: Path) -> None:
    plain = spreadsheets.xls(SHEETS)
    (tmp_path / "a.xls").write_bytes(plain)
    assert found(tmp_path / "a.xls") == []
    spreadsheets_record = spreadsheets._record
    header = spreadsheets_record(0x0014, spreadsheets._text(f"&LAvser {SECRET}", 2))
    # In place of a record that says which code page the text has, and is not needed to read it.
    unneeded = spreadsheets_record(0x0042, b"\xb0\x04")
    assert plain.count(unneeded) == 1
    stream = plain[plain.index(unneeded) - 20 :]
    longer = stream.replace(unneeded, header, 1)
    shift = len(header) - len(unneeded)
    for name in SHEETS:
        told = spreadsheets._text(name, 1)
        at = longer.index(told) - 6
        start = int.from_bytes(longer[at : at + 4], "little") + shift
        longer = longer[:at] + start.to_bytes(4, "little") + longer[at + 4 :]
    (tmp_path / "b.xls").write_bytes(spreadsheets._compound(longer.rstrip(b"\0")))
    assert found(tmp_path / "b.xls") == [(CODE, None, None, None)]


def frame() -> pd.DataFrame:
    names = ["organisation_id", "participant_id", "entered_on", "sex", "age_group", "outcome_follow_up"]
    rows = [["A", f"D{at}", f"2024-01-1{at}", "woman", "25-34", "register"] for at in range(3)]
    return pd.DataFrame(rows, columns=names).assign(observed_until="2024-12-31", observed_until_reason="extract_end")


@pytest.mark.parametrize(
    "said",
    [
        {"note": f"Rad om {SECRET}"},
        {"file_label": f"Akt {SECRET}"},
        {"column_labels": [f"Kön på {SECRET}", *[None] * 7]},
        {"variable_value_labels": {"sex": {"man": SECRET, "woman": "Kvinna"}}},
    ],
)
def test_labels_and_notes_of_spss(tmp_path: Path, said: dict[str, object]) -> None:
    pyreadstat.write_sav(frame(), tmp_path / "deltagare.sav", **said)
    told = [each for each in found(tmp_path / "deltagare.sav") if each[0] != "missing-table"]
    assert told == [(CODE, None, None, None)]


def test_labels_of_stata(tmp_path: Path) -> None:
    pyreadstat.write_dta(frame(), tmp_path / "deltagare.dta", file_label=f"Akt {SECRET}")
    told = [each for each in found(tmp_path / "deltagare.dta") if each[0] != "missing-table"]
    assert told == [(CODE, None, None, None)]


def test_metadata_of_parquet(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frame())
    for number, marked in enumerate((table, table.replace_schema_metadata({"källa": SECRET}))):
        pa.parquet.write_table(marked, tmp_path / "deltagare.parquet")
        told = [each for each in found(tmp_path / "deltagare.parquet") if each[0] != "missing-table"]
        assert told == [(CODE, None, None, None)] * number


def test_a_column_that_is_refused_is_told_once_where_the_sheet_is_no_table(tmp_path: Path) -> None:
    book = workbook()
    sheet = book.create_sheet("Kontakter")
    sheet.append(["Kontaktlista, ring namn@example.se"])
    for row in (
        ["Klient", "E-post", "Telefon"],
        ["D01", "namn@example.se", "070-174 06 05"],
        ["D02", "namn@example.se", ""],
    ):
        sheet.append(row)
    book.save(tmp_path / "uttag.xlsx")
    told = [each for each in found(tmp_path / "uttag.xlsx") if each[1] == "Kontakter" and each[0] != "unknown-sheet"]
    assert sorted(told, key=str) == [
        ("contact-details", "Kontakter", 1, "A"),
        ("forbidden-column", "Kontakter", None, "E-post"),
        ("forbidden-column", "Kontakter", None, "Telefon"),
    ]


def test_files_of_an_archive_that_are_not_read_are_named_too(tmp_path: Path) -> None:
    workbook().save(tmp_path / "uttag.xlsx")
    with zipfile.ZipFile(tmp_path / "leverans.zip", "w") as archive:
        archive.write(tmp_path / "uttag.xlsx", "uttag.xlsx")
        archive.writestr(f"brev {SECRET}.pdf", b"%PDF-1.4")
    assert [each[0] for each in found(tmp_path / "leverans.zip")][:1] == ["identity-number-in-name"]


@pytest.mark.parametrize("of_member", [True, False])
def test_the_comment_of_an_archive(tmp_path: Path, of_member: bool) -> None:
    workbook().save(tmp_path / "uttag.xlsx")
    with zipfile.ZipFile(tmp_path / "leverans.zip", "w") as archive:
        archive.write(tmp_path / "uttag.xlsx", "uttag.xlsx")
        if of_member:
            archive.getinfo("uttag.xlsx").comment = SECRET.encode()
        else:
            archive.comment = SECRET.encode()
    (tmp_path / "uttag.xlsx").unlink()
    for path in (tmp_path / "leverans.zip", tmp_path):
        assert found(path) == [(CODE, None, None, None)]
