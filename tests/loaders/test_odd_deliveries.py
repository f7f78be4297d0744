"""What stewards send that is right in the program it comes from: it is read as that program shows it, or told once."""

from __future__ import annotations

import datetime as dt
import unicodedata
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
import xlsxwriter
from libreoffice.shown import write as write_shown
from test_what_stewards_send import (
    ASKED_OF_PARTICIPANTS,
    FORMS,
    PARTICIPANTS,
    PERSONS,
    QUESTIONS,
    delivery,
    forms,
    people,
    write,
)

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders.dates import read_date
from bipstudy.loaders.draft import draft_mapping


def everything(path: Path, **options: object) -> list[tuple[str, str, object]]:
    """Return code, status and column of every finding."""
    found = bip.validate(bip.load_submission(path, **options), language="sv").findings
    return list(zip(found["code"], found["status"], found["column"].astype(object).fillna(""), strict=True))


def same(one: bip.loaders.Submission, other: bip.loaders.Submission) -> None:
    """See that two submissions hold the same."""
    assert one.hash == other.hash


@pytest.fixture
def right(tmp_path: Path) -> bip.loaders.Submission:
    return bip.load_submission(delivery(tmp_path / "right"))


def archived(path: Path, names: dict[str, bytes]) -> Path:
    """Write an archive of which the names are bytes, and nothing says in which encoding."""
    stand_ins = {f"{at:03}".ljust(len(name), "x"): name for at, name in enumerate(names.values())}
    contents = dict(zip(stand_ins, names, strict=True))
    with zipfile.ZipFile(path, "w") as archive:
        for stand_in, file in contents.items():
            archive.writestr(stand_in, Path(file).read_bytes() if file.endswith(".csv") else b"\x05abc" * bool(file))
    content = path.read_bytes()
    for stand_in, name in stand_ins.items():
        content = content.replace(stand_in.encode(), name)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["cp850", "utf-8"])
def test_an_archive_of_windows_with_backslashes_and_letters(tmp_path: Path, encoding: str) -> None:
    folder = delivery(tmp_path / "right")
    names = {
        "": "Leverans\\".encode(encoding),
        str(folder / "deltagare.csv"): "Leverans\\deltagare.csv".encode(encoding),
        str(folder / "formulär.csv"): "Leverans\\formulär.csv".encode(encoding),
        "~$": "Leverans\\~$formulär.xlsx".encode(encoding),
    }
    path = archived(tmp_path / "leverans.zip", names)
    assert everything(path) == []
    loaded = bip.load_submission(path)
    same(loaded, bip.load_submission(folder))
    assert loaded.provenance["measurements"]["file"].unique().tolist() == ["leverans.zip/Leverans/formulär.csv"]


def test_a_mapping_finds_its_file_behind_a_backslash(tmp_path: Path) -> None:
    folder = delivery(tmp_path / "right")
    names = {
        str(folder / name): f"2024\\{unicodedata.normalize('NFC', name)}".encode()
        for name in ("deltagare.csv", "formulär.csv")
    }
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text('tables: {participants: {file: "deltagare.csv", values: {sex: {Kvinna: man}}}}', "utf-8")
    loaded = bip.load_submission(archived(tmp_path / "leverans.zip", names), mapping=mapping)
    assert set(loaded.tables["participants"]["sex"]) == {"man"}
    assert loaded.findings == []


def test_parquet_as_other_programs_write_it(tmp_path: Path, right: bip.loaders.Submission) -> None:
    people_, forms_ = (
        pd.DataFrame(rows, columns=head) for rows, head in ((people(), PARTICIPANTS), (forms(), [*FORMS, *QUESTIONS]))
    )
    columns = {name: pa.array(values) for name, values in people_.items()}
    late = [dt.datetime.fromisoformat(f"{day} 23:30") for day in people_["Startade"]]
    columns["Startade"] = pa.compute.assume_timezone(pa.array(late), "Europe/Stockholm")
    columns["Kön"] = columns["Kön"].dictionary_encode()
    columns["Deltagare"] = pa.array([one.encode() for one in PERSONS], pa.binary())
    folder = tmp_path / "parquet"
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "deltagare.parquet")
    columns = {name: pa.array(values.where(values != "", None)) for name, values in forms_.items()}
    for question in QUESTIONS:
        answers = [Decimal(one) if one else None for one in forms_[question]]
        columns[question] = pa.array(answers, pa.decimal128(10, 2))
    midnight = pa.compute.assume_timezone(pa.array(pd.to_datetime(forms_["Besvarat den"])), "Europe/Stockholm")
    columns["Besvarat den"] = midnight.cast(pa.timestamp("ns", "UTC"))
    columns["Mättillfälle"] = pa.array(forms_["Mättillfälle"].astype(float))
    pq.write_table(pa.table(columns), folder / "formulär.parquet")
    loaded = bip.load_submission(folder)
    same(loaded, right)
    assert [(each.code, each.column) for each in loaded.findings] == [("time-of-greenwich", "Besvarat den")]


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2024-03-04T23:00:00.000Z", "2024-03-05"),
        ("2024-07-04T22:00:00Z", "2024-07-05"),
        ("2024-01-04T22:59:59Z", "2024-01-04"),
        ("2024-03-05T00:00:00Z", "2024-03-05"),
        ("2024-03-31T00:59Z", "2024-03-31"),
        ("2024-10-27 22:30:00+00:00", "2024-10-27"),
        ("2024-10-26 22:30:00+00", "2024-10-27"),
        ("2024-03-05T00:30:00+01:00", "2024-03-05"),
        ("2024-12-31 23:30:00+0100", "2024-12-31"),
        ("2024-12-31T23:30:00Z", "2025-01-01"),
        ("2024-03-05T29:30:00Z", None),
        ("2024-02-30T12:30:00Z", None),
    ],
)
def test_moments_are_days_of_the_swedish_calendar(written: str, day: str | None) -> None:
    read = read_date(written)
    assert (None if read is None else str(read[0])) == day
    if day is not None:
        zone = pd.Timestamp(written).tz
        theirs = pd.Timestamp(written).tz_convert("Europe/Stockholm") if str(zone) == "UTC" else pd.Timestamp(written)
        assert str(theirs.date()) == day


@pytest.mark.parametrize("spoil", ["cp850", "twice"])
def test_a_wrong_encoding_is_told_once(tmp_path: Path, spoil: str) -> None:
    folder = delivery(tmp_path)
    path = folder / "formulär.csv"
    text = path.read_bytes().decode("utf-8-sig")
    path.write_bytes(text.encode("cp850") if spoil == "cp850" else text.encode().decode("cp1252", "replace").encode())
    assert everything(folder) == [("wrong-encoding", "invalid", ""), ("missing-table", "unchecked", "")]
    assert "Å, ä och ö har förvanskats" in draft_mapping(path)


def test_a_wrong_encoding_in_a_workbook_is_told_once(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name, rows in (("Deltagare", [PARTICIPANTS, *people()]), ("Blad2", [[*FORMS, *QUESTIONS], *forms()])):
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([cell.encode().decode("cp1252", "replace") if name == "Blad2" else cell for cell in row])
    del book["Sheet"]
    book.save(tmp_path / "bok.xlsx")
    assert everything(tmp_path) == [("wrong-encoding", "invalid", ""), ("missing-table", "unchecked", "")]


def test_an_identity_number_in_a_spoilt_file_is_still_found(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    rows = people()
    rows[1][1] = "19121212-1212"
    write(folder / "deltagare.csv", PARTICIPANTS, *rows)
    path = folder / "deltagare.csv"
    path.write_bytes(
        path.read_bytes().decode("utf-8-sig").replace("–", "-").encode("utf-8").decode("cp1252", "replace").encode()
    )
    codes = [code for code, _, _ in everything(folder)]
    assert codes.count("personal-identity-number") == 1
    assert "unknown-column" not in codes


@pytest.mark.parametrize("spoilt", ["1,98001E+11", "1.98001011E+11"])
def test_a_rounded_identity_number_is_told_once_as_the_graver(tmp_path: Path, spoilt: str) -> None:
    folder = delivery(tmp_path)
    for name, head, rows in (("deltagare", PARTICIPANTS, people()), ("formulär", [*FORMS, *QUESTIONS], forms())):
        write(folder / f"{name}.csv", head, *([one[0], spoilt, *one[2:]] for one in rows))
    found = everything(folder)
    assert found == [("personal-identity-number", "invalid", "Deltagare")] * (len(people()) + len(forms()))


def test_an_id_that_is_spoilt_is_not_told_as_double_or_unknown_as_well(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    write(folder / "deltagare.csv", PARTICIPANTS, *([one[0], "1,5E+07", *one[2:]] for one in people()))
    # The forms have ids that nobody has spoilt; whether theirs stand among the participants is not known.
    unknown = [("unknown-participant", "unchecked", "Deltagare")] * len(forms())
    assert everything(folder) == [*[("spoilt-id", "invalid", "Deltagare")] * 3, *unknown]


def book(path: Path, **changes: object) -> openpyxl.Workbook:
    """Return a right workbook."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in (("Deltagare", [PARTICIPANTS, *people()]), ("Formulär", [[*FORMS, *QUESTIONS], *forms()])):
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
    return made


@pytest.mark.parametrize("shown", ["mmm\\-yy", "yyyy\\-mm", "mmm-yy", '[$-41D]mmmm "år" yyyy;@'])
def test_dates_that_excel_shows_as_months_are_months(tmp_path: Path, shown: str) -> None:
    made = book(tmp_path)
    for row in (2, 3, 4):
        made["Deltagare"].cell(row, 3, dt.datetime(2024, 1, 1))
    for row in range(1, 9):
        made["Deltagare"].cell(row, 3).number_format = shown
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert loaded.tables["participants"]["entered_on_precision"].tolist() == ["month"] * 3
    assert [(each.code, each.column, each.count) for each in loaded.findings] == [("shown-as-month", "Startade", 3)]


@pytest.mark.parametrize(("shown", "last"), [("yyyy-mm", 17), ("yyyy-mm-dd", 1), ("d/m yyyy", 1), ('mm"/"dd yyyy', 1)])
def test_days_that_are_known_stay_days(tmp_path: Path, shown: str, last: int) -> None:
    made = book(tmp_path)
    for row, day in ((2, 1), (3, 1), (4, last)):
        made["Deltagare"].cell(row, 3, dt.datetime(2024, 1, day)).number_format = shown
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert loaded.tables["participants"]["entered_on_precision"].tolist() == ["day"] * 3
    assert loaded.findings == []


def outcomes(made: openpyxl.Workbook, extents: list[object], shown: str) -> None:
    sheet = made.create_sheet("Utfall")
    columns = [
        "organisation_id",
        "participant_id",
        "outcome_id",
        "status",
        "start",
        "lasted_a_month",
        "extent_percent",
        "source",
    ]
    labels = {column.name: column.label["sv"] for column in schema.table("outcomes").columns}
    sheet.append([labels[name] for name in columns])
    for at, (person, extent) in enumerate(zip(PERSONS, extents, strict=True)):
        sheet.append(["A", person, str(at), "work_subsidised", "2024-10-01", "yes", extent, "register"])
        sheet.cell(at + 2, 7).number_format = shown


@pytest.mark.parametrize("shown", ["0%", "0.00%", '0.0 "%";[Red]-0.0\\ %', "0\\ %"])
def test_shares_that_excel_shows_as_percent(tmp_path: Path, shown: str) -> None:
    made = book(tmp_path)
    outcomes(made, [0.575, 1, 0.25], shown)
    made["Deltagare"].cell(1, 9, "Andel i arbete eller studier 5 år")
    for row, share in ((2, 0.35), (3, 1), (4, "12.5 %")):
        made["Deltagare"].cell(row, 9, share).number_format = "0%"
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    seen = [57.5, 100.0, 25.0] if shown.replace("\\", "").split(";")[0].endswith("%") else [0.575, 1.0, 0.25]
    assert loaded.tables["outcomes"]["extent_percent"].tolist() == seen
    assert loaded.tables["participants"]["work_or_study_share_5y"].tolist() == [0.35, 1.0, 0.125]
    assert loaded.findings == []


def test_typed_numbers_and_text_in_decimal_comma_are_one_column_to_who_sees_it(tmp_path: Path) -> None:
    made = book(tmp_path)
    made["Deltagare"].cell(1, 9, "Andel i arbete eller studier 5 år")
    for row, share in ((2, 0.35), (3, "0,625"), (4, "12,5 %")):
        made["Deltagare"].cell(row, 9, share)
    outcomes(made, [0.575, "62,5", "37,5 %"], "0.0%")
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert loaded.tables["participants"]["work_or_study_share_5y"].tolist() == [0.35, 0.625, 0.125]
    assert loaded.tables["outcomes"]["extent_percent"].tolist() == [57.5, 62.5, 37.5]
    assert loaded.findings == []


def test_percentages_without_decimals_stand_beside_those_with(tmp_path: Path) -> None:
    made = book(tmp_path)
    made["Deltagare"].cell(1, 9, "Andel i arbete eller studier 5 år")
    for row, share in ((2, "57,5 %"), (3, "25 %"), (4, "100 %")):
        made["Deltagare"].cell(row, 9, share)
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert loaded.tables["participants"]["work_or_study_share_5y"].tolist() == [0.575, 0.25, 1.0]
    assert loaded.findings == []


def test_text_in_both_decimal_marks_is_refused_beside_typed_numbers(tmp_path: Path) -> None:
    made = book(tmp_path)
    outcomes(made, [57.5, "62,5", "37.5"], "General")
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert [(each.code, each.column, each.count) for each in loaded.findings] == [
        ("mixed-decimal-marks", "Omfattning i procent", 3)
    ]


def test_answers_that_are_shown_as_percent_by_mistake_are_answers(tmp_path: Path) -> None:
    made = book(tmp_path)
    before = bip.load_submission(delivery(tmp_path / "right"))
    for row in range(2, 20):
        made["Formulär"].cell(row, 9).number_format = "0%"
    made.save(tmp_path / "bok.xlsx")
    same(bip.load_submission(tmp_path / "bok.xlsx"), before)


def test_formulas_that_nobody_has_calculated_are_no_empty_answers(tmp_path: Path) -> None:
    made = book(tmp_path)
    sheet, heading = made["Formulär"], QUESTIONS[-1]
    last = len(FORMS) + len(QUESTIONS)
    for row in (3, 5):
        sheet.cell(row, last, f"=I{row}")
    made.save(tmp_path / "bok.xlsx")
    found = bip.load_submission(tmp_path / "bok.xlsx").findings
    assert [(each.code, each.row, each.column) for each in found] == [
        ("spreadsheet-error", row, heading) for row in (3, 5)
    ]


def test_formulas_with_a_result_are_read(tmp_path: Path, right: bip.loaders.Submission) -> None:
    made = xlsxwriter.Workbook(tmp_path / "bok.xlsx")
    for name, rows in (("Deltagare", [PARTICIPANTS, *people()]), ("Formulär", [[*FORMS, *QUESTIONS], *forms()])):
        sheet = made.add_worksheet(name)
        for at, row in enumerate(rows):
            for place, cell in enumerate(row):
                if cell.isdigit():
                    sheet.write_formula(at, place, "=1+1", None, int(cell))
                elif place == len(FORMS) and at:
                    sheet.write_formula(at, place, '=""', None, "")
                else:
                    sheet.write(at, place, cell)
    made.close()
    same(bip.load_submission(tmp_path / "bok.xlsx"), right)


def test_a_zero_that_a_program_wrote_for_a_formula_is_no_result(tmp_path: Path) -> None:
    made = xlsxwriter.Workbook(tmp_path / "bok.xlsx")
    sheet = made.add_worksheet("Deltagare")
    for at, row in enumerate([[*PARTICIPANTS, "Månader sedan arbete"], *([*one, "7"] for one in people())]):
        sheet.write_row(at, 0, row[:-1])
        sheet.write(at, 8, row[-1]) if not at else sheet.write_formula(at, 8, "=3+4")
    made.close()
    delivery(tmp_path / "right")
    (tmp_path / "formulär.csv").write_bytes((tmp_path / "right" / "formulär.csv").read_bytes())
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert loaded.tables["participants"]["months_since_work"].isna().all()
    assert [each.row for each in loaded.findings if each.code == "spreadsheet-error"] == [2, 3, 4]


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_what_cells_show_is_read_alike_from_every_format(tmp_path: Path, ending: str) -> None:
    folder = Path(__file__).parent / "libreoffice"
    path = write_shown(tmp_path / "shown.xlsx") if ending == "xlsx" else folder / f"shown.{ending}"
    loaded = bip.load_submission(path, organisation="A")
    people = loaded.tables["participants"]
    assert people["participant_id"].tolist() == ["00007", "00012", "00123", "00045"]
    assert people["entered_on_precision"].tolist() == ["month"] * 4
    assert people["entered_on"].dt.month.tolist() == [3, 4, 5, 6]
    assert people["work_or_study_share_5y"].tolist() == [0.575, 1.0, 0.25, 0.3]
    assert set(people["observed_until"]) == {pd.Timestamp("2024-12-31")}
    told = {each.code: each.count for each in loaded.findings if each.column is None or each.code == "shown-as-month"}
    assert (told["hidden-rows"], told["shown-as-month"]) == (1, 4)


@pytest.mark.parametrize(
    ("shown", "is_month"),
    [
        ("<number:year/><number:text>-</number:text><number:month/>", True),
        ('<number:month number:textual="true"/><number:text> </number:text><number:year/>', True),
        ("<number:year/><number:month/>", True),
        ("<number:text>år </number:text><number:year/>", False),
        ("<number:day/><number:text> </number:text><number:month/>", False),
        ("<number:year/><number:month/><number:day/>", False),
        ("<number:year/><number:month/><number:hours/>", False),
    ],
)
@pytest.mark.parametrize("where", ["cell", "column"])
def test_months_of_ods_are_told_by_their_style(tmp_path: Path, shown: str, is_month: bool, where: str) -> None:
    spaces = "".join(
        f' xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (*((one, one) for one in ("office", "style", "table", "text")), ("number", "datastyle"))
    )
    styles = f'<number:date-style style:name="N1">{shown}</number:date-style>'
    styles += '<style:style style:name="ce1" style:family="table-cell" style:data-style-name="N1"/>'
    styled = {"cell": ' table:style-name="ce1"', "column": ""}[where]
    column = {"cell": "", "column": ' table:default-cell-style-name="ce1"'}[where]
    date = f'<table:table-cell{styled} office:value-type="date" office:date-value="2024-03-01"/>'
    words = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{word}</text:p></table:table-cell>'
        for word in ("Deltagare", "Startade")
    )
    person = '<table:table-cell office:value-type="string"><text:p>P1</text:p></table:table-cell>'
    path = tmp_path / "deltagare.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        # A program may keep formats and styles in one part or the other.
        archive.writestr("styles.xml", f"<office:document-styles{spaces}>{styles}</office:document-styles>")
        archive.writestr(
            "content.xml",
            f"<office:document-content{spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="Deltagare"><table:table-column/><table:table-column{column}/>'
            f"<table:table-row>{words}</table:table-row><table:table-row>{person}{date}</table:table-row></table:table>"
            "</office:spreadsheet></office:body></office:document-content>",
        )
    loaded = bip.load_submission(path, organisation="A").tables["participants"]
    assert loaded["entered_on"].tolist() == [pd.Timestamp("2024-03-01")]
    assert loaded["entered_on_precision"].tolist() == ["month" if is_month else "day"]


def test_hidden_and_filtered_rows_are_told(tmp_path: Path, right: bip.loaders.Submission) -> None:
    made = book(tmp_path)
    for row in (2, 5, 40):
        made["Formulär"].row_dimensions[row].hidden = True
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    same(loaded, right)
    assert [(each.code, each.sheet, each.count) for each in loaded.findings] == [("hidden-rows", "Formulär", 2)]


@pytest.mark.parametrize(
    ("kind", "shown", "stored", "read"),
    [
        (
            "sav",
            "MOYR8",
            [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2023, 12, 1)],
            ["2024-01", "2024-02", "2023-12"],
        ),
        (
            "sav",
            "QYR6",
            [dt.date(2024, 1, 1), dt.date(2024, 4, 1), dt.date(2023, 12, 1)],
            ["2024-Q1", "2024-Q2", "2023-Q4"],
        ),
        ("dta", "%tm", [768.0, 769.0, 767.0], ["2024-01", "2024-02", "2023-12"]),
        ("dta", "%tmCCYY-NN", [768.0, 769.0, 767.0], ["2024-01", "2024-02", "2023-12"]),
        ("dta", "%tq", [256.0, 257.0, 255.0], ["2024-Q1", "2024-Q2", "2023-Q4"]),
    ],
)
def test_months_and_quarters_of_spss_and_stata(
    tmp_path: Path, kind: str, shown: str, stored: list[object], read: list[str]
) -> None:
    frame = pd.DataFrame(people(), columns=PARTICIPANTS)
    frame["Startade"] = pd.Series(stored)
    frame.columns = [f"v{at}" for at in range(len(PARTICIPANTS))]
    writer = {"sav": pyreadstat.write_sav, "dta": pyreadstat.write_dta}[kind]
    writer(frame, tmp_path / f"deltagare.{kind}", column_labels=PARTICIPANTS, variable_format={"v2": shown})
    loaded = bip.load_submission(tmp_path).tables["participants"]
    days = [read_date(each) for each in read]
    assert list(zip(loaded["entered_on"].dt.date, loaded["entered_on_precision"], strict=True)) == days


def test_two_tables_beside_each_other_are_told_once(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    rows, others = [PARTICIPANTS, *people()], [[*FORMS, *QUESTIONS], *forms()]
    for at, other in enumerate(others):
        made.active.append([*(rows[at] if at < len(rows) else [None] * len(PARTICIPANTS)), None, *other])
    made.save(tmp_path / "bok.xlsx")
    codes = [(code, status) for code, status, _ in everything(tmp_path)]
    assert codes == [("several-tables", "invalid"), ("missing-table", "unchecked"), ("missing-table", "unchecked")]


@pytest.mark.parametrize("before", ["{at}. ", "Fråga {at}: ", "Q{at}) ", "{at} – "])
def test_questions_with_numbers_before_them(tmp_path: Path, right: bip.loaders.Submission, before: str) -> None:
    folder = delivery(tmp_path / "numbered")
    numbered = [before.format(at=at) + question for at, question in enumerate(QUESTIONS, 1)]
    write(folder / "formulär.csv", [*FORMS, *numbered], *forms())
    loaded = bip.load_submission(folder)
    same(loaded, right)
    assert loaded.findings == []


def test_numbers_that_are_occasions_are_not_taken_for_numbers_of_questions(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    twice = [f"{wave}. {question}" for wave in (1, 2) for question in QUESTIONS[:2]]
    write(folder / "formulär.csv", [*FORMS, *twice], *([*form[:8], "1", "2", "3", "4"] for form in forms()))
    loaded = bip.load_submission(folder)
    assert loaded.tables["measurements"]["job_search"].isna().all()
    assert sum(each.code == "unknown-column" for each in loaded.findings) == 4


def test_three_rows_of_a_survey_tool_with_the_questions_in_the_second(
    tmp_path: Path, right: bip.loaders.Submission
) -> None:
    delivery(tmp_path / "tool")
    names = [*FORMS, *(f"Q{at}" for at in range(1, len(QUESTIONS) + 1))]
    asked = [""] * len(FORMS) + [f"{at}. {question}" for at, question in enumerate(QUESTIONS, 1)]
    told = [""] * len(FORMS) + ["Svar"] * len(QUESTIONS)
    write(tmp_path / "tool" / "formulär.csv", names, asked, told, *forms())
    loaded = bip.load_submission(tmp_path / "tool")
    same(loaded, right)
    assert [(each.code, each.row) for each in loaded.findings] == [("several-header-rows", 1)]
    assert loaded.provenance["measurements"]["row"].tolist() == list(range(4, 22))


def test_ids_that_excel_shows_with_zeros(tmp_path: Path) -> None:
    made = book(tmp_path)
    for row in (2, 3, 4):
        made["Deltagare"].cell(row, 2, row + 5).number_format = "000"
    for row in range(2, 20):
        made["Formulär"].cell(row, 2, f"{PERSONS.index(made['Formulär'].cell(row, 2).value) + 7:03}")
    made.save(tmp_path / "bok.xlsx")
    loaded = bip.load_submission(tmp_path / "bok.xlsx")
    assert loaded.tables["participants"]["participant_id"].tolist() == ["007", "008", "009"]
    assert everything(tmp_path / "bok.xlsx") == []


@pytest.mark.parametrize(
    ("written", "day", "precision"),
    [
        ("5 mars 2024", "2024-03-05", "day"),
        ("den 5 Okt. 2024", "2024-10-05", "day"),
        ("31 May 2024", "2024-05-31", "day"),
        ("September 2024", "2024-09-01", "month"),
        ("2024-03-05 kl. 14.30", "2024-03-05", "day"),
        ("2024-03-05 14.30", "2024-03-05", "day"),
        ("31 juni 2024", None, None),
        ("mar-24", None, None),
        ("5 mars", None, None),
        ("24 mars 24", None, None),
    ],
)
def test_dates_in_words(written: str, day: str | None, precision: str | None) -> None:
    read = read_date(written)
    assert (None, None) if read is None else (str(read[0]), read[1]) == (day, precision)
    assert (read is None) == (day is None)


def test_a_row_for_each_answer_is_told_once(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    asked = [(at, question) for at, question in enumerate(QUESTIONS, len(FORMS))]
    rows = [[*form[: len(FORMS)], question, form[at]] for form in forms() for at, question in asked if form[at]]
    write(folder / "formulär.csv", [*FORMS, "Fråga", "Svar"], *rows)
    assert everything(folder) == [("answers-on-rows", "invalid", ""), ("missing-table", "unchecked", "")]
    assert "Varje svar har en egen rad" in draft_mapping(folder / "formulär.csv").replace("\n# ", " ")


def test_columns_that_stand_as_rows_are_told_once(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    turned = [list(row) for row in zip(PARTICIPANTS, *people(), strict=True)]
    write(folder / "deltagare.csv", *turned)
    found = everything(folder)
    assert [each for each in found if each[1] == "invalid"] == [("turned-table", "invalid", "")]
    # Whatever else is said is that what is not there could not be checked.
    assert {code for code, status, _ in found if status != "invalid"} <= {"missing-table"}
    assert "Kolumnerna står som rader" in draft_mapping(folder / "deltagare.csv").replace("\n# ", " ")
    # With a title above and in a workbook it is no other.
    made = openpyxl.Workbook()
    for row in [["Uttag 2025"], [], *turned]:
        made.active.append(row)
    made.save(tmp_path / "deltagare.xlsx")
    (folder / "deltagare.csv").unlink()
    found = bip.load_submission(tmp_path / "deltagare.xlsx").findings
    assert [each.code for each in found if each.code != "missing-table"] == ["turned-table"]


def test_forms_that_stand_as_columns_are_told_once_although_one_of_the_rows_is_like_a_header(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    write(folder / "formulär.csv", *map(list, zip([*FORMS, *QUESTIONS], *forms(), strict=True)))
    assert [each for each in everything(folder) if each[1] == "invalid"] == [("turned-table", "invalid", "")]


@pytest.mark.parametrize(
    "lines",
    [
        ["Variabel;Betydelse;Typ", "participant_id;x;text", "sex;x;text", "entered_on;x;text"],
        ["participant_id;x;text", "sex;x;text", "entered_on;x;text"],
        ["Fråga;Medel;Antal", "Samarbetsförmåga;3,2;15", "Målmedvetenhet;3;15", "Hantering av vardagen;2;15"],
        ["Organisation;Förbundet X", "Enhet;Team 1", "Datum;2024-05-01", "Källa;Accorda"],
        ["Aktivitet;Antal", "Utbildning;3", "Yrkesutbildning;4", "Jobbsökningsbeteende;4", "Annat;2"],
        ["Organisation;Förbundet X", "Enhet;Team 1", "Datum;2024-05-01", "", "Klientnr;Juridiskt;Ursprung", "P1;M;SE"],
    ],
)
def test_a_column_of_names_is_no_turned_table_by_itself(tmp_path: Path, lines: list[str]) -> None:
    folder = delivery(tmp_path)
    (folder / "annat.csv").write_text("\n".join(lines) + "\n", "utf-8")
    assert "turned-table" not in {each.code for each in bip.load_submission(folder).findings}


def test_a_turned_table_that_the_mapping_leaves_out_is_left_out(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    write(folder / "kopia.csv", *map(list, zip(PARTICIPANTS, *people(), strict=True)))
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text("organisation: A\nignore: [kopia.csv]\n", "utf-8")
    assert "turned-table" in {each.code for each in bip.load_submission(folder).findings}
    assert "turned-table" not in {each.code for each in bip.load_submission(folder, mapping=mapping).findings}


def test_totals_among_the_rows_are_told_and_left_out(tmp_path: Path, right: bip.loaders.Submission) -> None:
    folder = delivery(tmp_path / "totals")
    rows: list[list[str]] = []
    blank = [""] * (len(FORMS) + len(QUESTIONS) - 3)
    for form in forms():
        if rows and rows[-1][1] not in {form[1], ""}:
            rows += [["", f"{rows[-1][1]} Summa", "55", *blank], ["Delsumma", "", "55", *blank]]
        rows.append(form)
    write(folder / "formulär.csv", [*FORMS, *QUESTIONS], *rows, ["", "Totalsumma", "99", *blank])
    loaded = bip.load_submission(folder)
    same(loaded, right)
    assert [(each.code, each.row) for each in loaded.findings] == [("total-row", row) for row in (8, 9, 16, 17, 24)]


def test_a_full_row_is_data_whatever_its_unit_is_called(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    rows = people()
    for row in rows:
        row[0] = "Total"
    write(folder / "deltagare.csv", PARTICIPANTS, *rows)
    write(folder / "formulär.csv", [*FORMS, *QUESTIONS], *(["Total", *form[1:]] for form in forms()))
    assert everything(folder) == []
    assert len(bip.load_submission(folder).tables["participants"]) == 3


def test_questions_of_whom_nobody_answers_are_not_missed(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    asked = [at for at, question in enumerate(QUESTIONS) if question in ASKED_OF_PARTICIPANTS]
    own = [[*form[: len(FORMS)], *(form[len(FORMS) + at] for at in asked)] for form in forms(("Deltagaren",))]
    write(folder / "formulär.csv", [*FORMS, *ASKED_OF_PARTICIPANTS], *own)
    assert "missing-item-column" not in [code for code, _, _ in everything(folder)]
    # One of them is asked of both and is missed in either case.
    write(
        folder / "formulär.csv",
        [*FORMS, *ASKED_OF_PARTICIPANTS[1:]],
        *(form[: len(FORMS)] + form[len(FORMS) + 1 :] for form in own),
    )
    lacks = [column for code, _, column in everything(folder) if code == "missing-item-column"]
    assert lacks == ASKED_OF_PARTICIPANTS[:1]
    own[0][3] = "Handläggaren"
    write(folder / "formulär.csv", [*FORMS, *ASKED_OF_PARTICIPANTS], *own)
    lacks = [column for code, _, column in everything(folder) if code == "missing-item-column"]
    assert sorted(lacks) == sorted(set(QUESTIONS) - set(ASKED_OF_PARTICIPANTS))


def test_what_may_stand_in_a_file_that_nobody_could_read_is_not_checked(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    write(folder / "formulär.csv", [*FORMS, *QUESTIONS], *(form for form in forms() if form[1] == "D01"))
    later = [form for form in forms() if form[1] != "D01"]
    path = write(folder / "formulär 2.csv", [*FORMS, *QUESTIONS], *later)
    assert everything(folder) == []
    path.write_bytes(path.read_bytes().decode("utf-8-sig").encode("cp850"))
    assert everything(folder) == [
        ("wrong-encoding", "invalid", ""),
        *[("participant-without-form", "unchecked", "Deltagare")] * 2,
    ]


@pytest.mark.parametrize("said", ["Sida {} av 3", "Enhet: {}"])
def test_turns_of_pages_and_headings_of_groups_are_told_and_left_out(
    tmp_path: Path, right: bip.loaders.Submission, said: str
) -> None:
    folder = delivery(tmp_path / "pages")
    head, blank = [*FORMS, *QUESTIONS], [""] * (len(FORMS) + len(QUESTIONS) - 1)
    rows = forms()
    turns = [[said.format(1), *blank], head, *rows[6:12], [*blank[:3], said.format(2), *blank[3:]], *rows[12:]]
    turns.append([said.format(3), *blank])
    write(folder / "formulär.csv", head, *rows[:6], *turns)
    loaded = bip.load_submission(folder)
    same(loaded, right)
    found = sorted((each.row, each.code) for each in loaded.findings)
    assert found == [(8, "lone-words"), (9, "repeated-header"), (16, "lone-words"), (23, "lone-words")]


def test_a_personal_number_in_a_heading_of_a_group_is_found(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    head, blank = [*FORMS, *QUESTIONS], [""] * (len(FORMS) + len(QUESTIONS) - 1)
    write(folder / "formulär.csv", head, *forms()[:6], ["Deltagare: 19121212-1212", *blank], *forms()[6:])
    codes = [code for code, _, _ in everything(folder)]
    assert codes == ["personal-identity-number", "lone-words"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_an_old_encoding_is_not_forced_upon_a_file_in_utf8(
    tmp_path: Path, right: bip.loaders.Submission, encoding: str
) -> None:
    folder = delivery(tmp_path / "mixed")
    one, other = folder / "deltagare.csv", folder / "formulär.csv"
    one.write_bytes(one.read_bytes().decode("utf-8-sig").replace("–", "-").encode("cp850"))
    other.write_bytes(other.read_bytes().decode("utf-8-sig").encode(encoding))
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text("encoding: cp850", "utf-8")
    same(bip.load_submission(folder, mapping=mapping), right)


@pytest.mark.parametrize("said", ["Inget svar", "Ej svar", "ej besvarad", "No answer", "(tomt)"])
def test_words_for_no_answer_are_no_answer_without_a_reason(tmp_path: Path, said: str) -> None:
    folder = delivery(tmp_path)
    rows = forms()
    rows[0][len(FORMS)] = said
    write(folder / "formulär.csv", [*FORMS, *QUESTIONS], *rows)
    assert everything(folder) == []
    loaded = bip.load_submission(folder).tables
    assert loaded["measurements"]["job_search"].isna().tolist() == [True] + [False] * 17
    assert loaded["missing_answers"].empty
