"""What survey tools, case systems and people leave in a sheet: several headers, totals, day numbers, lost zeros."""

import pytest
from deliveries import Style, csv_bytes, everything, tables, texts, write

import bipstudy as bip
from bipstudy import schema

IMPORT_ID = '{{"ImportId":"QID{}"}}'


def codes(submission):
    return [each.code for each in submission.findings if each.code != "missing-table"]


@pytest.mark.parametrize("layout", ["names, labels and ids", "names and labels", "names and ids", "ids after labels"])
def test_a_header_of_several_rows_as_survey_tools_write_it(tmp_path, layout):
    folder = write(tmp_path)
    rows = texts("measurements", tables()["measurements"], Style())
    labels = rows[0]
    columns = {column.label["sv"]: column.name for column in schema.table("measurements").columns}
    columns |= {item.label["sv"]: item.id for item in schema.items().values()}
    names = [columns[label] for label in labels]
    ids = [IMPORT_ID.format(at) for at in range(len(labels))]
    above = {
        "names, labels and ids": [names, labels, ids],
        "names and labels": [names, labels],
        "names and ids": [names, ids],
        "ids after labels": [[f"Q{at}" for at in range(len(labels))], labels, ids],
    }[layout]
    (folder / "Formulär.csv").write_bytes(csv_bytes([*above, *rows[1:]], Style()))
    submission = bip.load_submission(folder)
    assert [(each.code, each.row, each.values["rows"]) for each in submission.findings] == [
        ("several-header-rows", 1, len(above))
    ]
    assert submission.hash == schema.content_hash(tables())
    assert submission.provenance["measurements"]["row"].tolist()[0] == len(above) + 1


@pytest.mark.parametrize("words", ["Summa", "Totalt:", "Antal deltagare", "TOTAL"])
def test_totals_below_the_data_are_left_out_and_said(tmp_path, words):
    folder = write(tmp_path, Style(blank_after=3))
    rows = texts("participants", tables()["participants"], Style())
    width = len(rows[0])
    rows += [[""] * width, ["", words, "3", *[""] * (width - 3)], ["Medelvärde", "2", *[""] * (width - 2)]]
    (folder / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(folder)
    assert [(each.code, each.row) for each in submission.findings] == [("total-row", 6), ("total-row", 7)]
    assert submission.hash == schema.content_hash(tables())


def test_dates_as_the_day_numbers_of_excel_are_read_and_said(tmp_path):
    folder = write(tmp_path)
    rows = texts("participants", tables()["participants"], Style())
    at = rows[0].index("Följd till och med")
    assert [row[at] for row in rows[1:]] == ["2024-12-31", "2024-11-30", "2024-12-31"]
    rows[1][at], rows[2][at] = "45657", "45626,75"
    (folder / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(folder)
    assert [(each.code, each.column, each.count) for each in submission.findings] == [
        ("excel-day-number", "Följd till och med", 2)
    ]
    assert submission.hash == schema.content_hash(tables())


def test_ids_that_lost_their_zeros_in_one_of_the_files(tmp_path):
    folder = write(tmp_path)
    path = folder / "Formulär.csv"
    path.write_bytes(path.read_bytes().replace(b";007;", b";7;"))
    found = [each for each in bip.load_submission(folder).findings if each.code == "lost-leading-zeros"]
    assert [(each.file, each.column, each.row) for each in found] == [
        ("Formulär.csv", "Deltagare", row) for row in range(2, 6)
    ]


@pytest.mark.parametrize(
    ("ids", "rows"),
    [
        (["0012", "0013", "0017", "18", "1019"], [5]),
        (["0012", "0013", "18", "1019"], []),
        (["1", "2", "10", "11", "100"], []),
        (["007", "0008", "00009", "12"], []),
        (["0012", "0013", "0017", "x8", "A-1"], []),
    ],
)
def test_ids_that_lost_their_zeros_among_others_of_one_length(tmp_path, ids, rows):
    written = [["Organisation", "Handläggare", "Roll"], *[["A", each, "Kommun"] for each in ids]]
    (tmp_path / "Handläggare.csv").write_bytes(csv_bytes(written, Style()))
    found = [each.row for each in bip.load_submission(tmp_path).findings if each.code == "lost-leading-zeros"]
    assert found == rows


def test_a_file_named_after_the_wrong_table_gives_one_finding(tmp_path):
    folder = write(tmp_path)
    (folder / "Deltagare.csv").rename(folder / "Svar.csv")
    (folder / "Utfall.csv").rename(folder / "Deltagare.csv")
    (folder / "Svar.csv").rename(folder / "Utfall.csv")
    submission = bip.load_submission(folder)
    assert sorted((each.code, each.file, each.table) for each in submission.findings) == [
        ("wrong-table-name", "Deltagare.csv", "outcomes"),
        ("wrong-table-name", "Utfall.csv", "participants"),
    ]
    assert submission.hash == schema.content_hash(tables())
    assert "Utfall" in everything(submission.findings)


def test_forms_in_a_file_named_after_who_answered_are_forms(tmp_path):
    folder = write(tmp_path)
    (folder / "Formulär.csv").rename(folder / "Svar handläggare.csv")
    submission = bip.load_submission(folder)
    assert [(each.code, each.table) for each in submission.findings] == [("wrong-table-name", "measurements")]
    assert submission.hash == schema.content_hash(tables())


OTHERS = [
    ("Indikatorenkät 2024.csv", [["Fråga 1", "Fråga 2"], ["1", "2"]], "NNS"),
    ("svar.csv", [["Indikatorer för finansiell samordning"], ["", ""], ["Fråga 1", "Fråga 2"], ["1", "2"]], "NNS"),
    ("svar.csv", [[f"Indikator {at}" for at in range(1, 16)], ["3"] * 15], "NNS"),
    ("Brukarundersökning.csv", [["A", "B"], ["1", "2"]], "nöjdhetsenkät"),
    ("export.csv", [["Hur nöjd är du med stödet?", "Hur nöjd är du med bemötandet?"], ["1", "2"]], "nöjdhetsenkät"),
    ("BRP+ vår 2024.csv", [["A", "B"], ["1", "2"]], "BRP+"),
]


@pytest.mark.parametrize(("file", "rows", "named"), OTHERS)
def test_another_questionnaire_is_recognised_as_such(tmp_path, file, rows, named):
    (tmp_path / file).write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(tmp_path)
    assert codes(submission) == ["other-questionnaire"]
    assert named in everything(submission.findings)
    assert submission.sent == set()


@pytest.mark.parametrize("file", ["Anteckningar.csv", "Indikationer.csv", "Kunskap.csv"])
def test_an_unknown_file_is_not_called_another_questionnaire(tmp_path, file):
    (tmp_path / file).write_bytes(csv_bytes([["A", "B"], ["1", "2"]], Style()))
    assert codes(bip.load_submission(tmp_path)) == ["unknown-sheet"]


def test_a_sheet_of_too_many_columns_is_refused_at_once(tmp_path):
    (tmp_path / "Deltagare.csv").write_bytes(b"Organisation;" * 16_385 + b"\r\n" + b"1;" * 16_385 + b"\r\n")
    assert codes(bip.load_submission(tmp_path)) == ["too-large"]


def test_a_header_that_stands_once_more_is_left_out_and_said(tmp_path):
    folder = write(tmp_path)
    rows = texts("participants", tables()["participants"], Style())
    (folder / "Deltagare.csv").write_bytes(csv_bytes([*rows[:2], rows[0], *rows[2:]], Style()))
    submission = bip.load_submission(folder)
    assert [(each.code, each.row) for each in submission.findings] == [("repeated-header", 3)]
    assert submission.hash == schema.content_hash(tables())
    # A row that only begins like the header is data.
    (folder / "Deltagare.csv").write_bytes(csv_bytes([*rows, [rows[0][0], *rows[1][1:]]], Style()))
    assert "repeated-header" not in [each.code for each in bip.load_submission(folder).findings]
