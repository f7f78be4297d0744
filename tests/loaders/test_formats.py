"""Every format gives the same tables: old and open spreadsheets, SPSS and Stata, with what each alone can say."""

import datetime as dt

import pandas as pd
import pyreadstat
import pytest
from deliveries import Style, csv_bytes, everything, tables, texts, write
from spreadsheets import ods, xls

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders import biff, sheet_xml


def typed(name, frame):
    """Return header and cells of a table as a spreadsheet holds them: numbers and dates where the text is one."""
    rows = texts(name, frame, Style(decimal="."))
    described = {column.name: column.kind for column in schema.table(name).columns}
    labels = {column.label["sv"]: described[column.name] for column in schema.table(name).columns}
    for row in rows[1:]:
        for at, label in enumerate(rows[0]):
            kind = labels.get(label, "integer")
            if row[at] and kind in {"integer", "number", "year"}:
                row[at] = float(row[at])
            elif row[at] and kind == "date" and len(row[at]) == 10:
                row[at] = dt.date.fromisoformat(row[at])
    return rows


def workbook(path, sheets):
    if path.suffix == ".xls":
        path.write_bytes(xls(sheets))
    elif path.suffix == ".ods":
        ods(path, sheets)
    else:
        import xlsxwriter

        with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
            for name, rows in sheets.items():
                sheet = book.add_worksheet(name)
                for at, row in enumerate(rows):
                    for column, value in enumerate(row):
                        if value in ("#DIV/0!", "#REF!", "#N/A"):
                            sheet.write_formula(at, column, "=1/0", None, value)
                        else:
                            sheet.write(at, column, value)
    return path


@pytest.mark.parametrize("ending", [".xls", ".ods", ".xlsx"])
def test_a_workbook_with_a_sheet_per_table(tmp_path, ending):
    sheets = {schema.table(name).label["sv"]: typed(name, frame) for name, frame in tables().items()}
    submission = bip.load_submission(workbook(tmp_path / f"leverans{ending}", sheets))
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())
    assert submission.provenance["participants"]["row"].tolist() == [2, 3, 4]


@pytest.mark.parametrize("ending", [".xls", ".ods", ".xlsx"])
def test_the_error_of_a_formula_is_found_at_its_cell(tmp_path, ending):
    rows = typed("participants", tables()["participants"])
    places = {("Kön", 1): "#DIV/0!", ("Startade", 2): "#REF!", ("Deltagare", 3): "#N/A", ("Enhet", 1): "#N/A"}
    for (label, row), error in places.items():
        rows[row][rows[0].index(label)] = error
    path = workbook(tmp_path / f"leverans{ending}", {"Deltagare": rows})
    found = [(each.column, each.row) for each in bip.load_submission(path).findings if each.code == "spreadsheet-error"]
    assert sorted(found) == sorted((label, row + 1) for label, row in places)
    loaded = bip.load_submission(path).tables["participants"]
    assert loaded["sex"].isna().tolist() == [True, False, False]
    assert loaded["participant_id"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("error", ["#SAKNAS!", "#DIVISION/0!", "#VÄRDEFEL!", "##########", "#REF!"])
def test_the_error_of_a_formula_in_a_text_file(tmp_path, error):
    rows = texts("participants", tables()["participants"], Style())
    rows[2][rows[0].index("Enhet")] = error
    (tmp_path / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    found = [(each.code, each.column, each.row) for each in bip.load_submission(tmp_path).findings]
    assert found == [("missing-table", None, None), ("spreadsheet-error", "Enhet", 3)] or found == [
        ("spreadsheet-error", "Enhet", 3),
        ("missing-table", None, None),
    ]


@pytest.mark.parametrize("ending", [".xls", ".ods", ".xlsx"])
def test_merged_cells_hold_on_every_row_they_cover(tmp_path, ending):
    rows = typed("participants", tables()["participants"])
    at = rows[0].index("Organisation")
    rows[2][at] = rows[3][at] = ""
    path = tmp_path / f"leverans{ending}"
    if ending == ".xls":
        path.write_bytes(xls({"Deltagare": rows}, merged=[(1, at, 3, at)]))
    elif ending == ".ods":
        ods(path, {"Deltagare": rows}, {(1, at): 3})
    else:
        import xlsxwriter

        with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
            sheet = book.add_worksheet("Deltagare")
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            sheet.merge_range(1, at, 3, at, rows[1][at])
    submission = bip.load_submission(path)
    assert submission.tables["participants"]["organisation_id"].tolist() == ["förbund-Å"] * 3
    found = [(each.column, each.count) for each in submission.findings if each.code == "merged-cells"]
    assert found == [("Organisation", 2)]


def statistics(folder, ending, frames, **kept):
    """Write each table as SPSS or Stata keeps it: codes as numbers with labels, dates as dates."""
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        columns, labels, meanings, missing = {}, {}, {}, {}
        for column in frame.columns:
            if column.endswith("_precision") or frame[column].isna().all():
                continue
            described = schema.items().get(column) or schema.table(name).column(column)
            labels[column] = described.label["sv"]
            values = frame[column]
            if getattr(described, "codes", None):
                codes = schema.code_list(described.codes)
                meanings[column] = {at + 1: codes.labels("sv")[code] for at, code in enumerate(codes.values)}
                number = {code: float(at + 1) for at, code in enumerate(codes.values)}
                columns[column] = values.astype(object).map(number).astype(float)
            elif getattr(described, "kind", "item") == "date":
                shown = [None if pd.isna(day) else f"{day:%Y-%m-%d}" for day in values]
                columns[column] = pd.to_datetime(pd.Series(shown)).dt.date if ending == "sav" else pd.to_datetime(shown)
            elif getattr(described, "kind", "item") in {"id", "text"}:
                columns[column] = values.astype(object).where(values.notna(), "")
            else:
                columns[column] = values.astype("float64")
        content = pd.DataFrame(columns)
        writer = pyreadstat.write_sav if ending == "sav" else pyreadstat.write_dta
        if ending == "sav":
            missing = {"missing_ranges": kept.get("missing", {}) if name == "measurements" else {}}
            if name == "measurements":
                meanings |= kept.get("labels", {})
                for column, row, value in kept.get("cells", ()):
                    content.loc[row, column] = value
        writer(content, folder / f"{name}.{ending}", column_labels=labels, variable_value_labels=meanings, **missing)
    return folder


def known_to_the_day():
    frames = tables()
    for name, frame in frames.items():
        for column in frame.columns:
            if column.endswith("_precision"):
                frames[name] = frames[name].assign(**{column: frame[column].where(frame[column].isna(), "day")})
    return {name: schema.conform(name, frame) for name, frame in frames.items()}


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_labels_of_values_are_understood_as_values(tmp_path, ending):
    frames = {name: frame for name, frame in known_to_the_day().items() if name in {"participants", "measurements"}}
    submission = bip.load_submission(statistics(tmp_path / "in", ending, frames))
    assert submission.findings == []
    assert submission.hash == schema.content_hash(frames)
    assert submission.provenance["participants"]["row"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_numbers_that_a_program_gave_to_text_are_read_by_their_labels(tmp_path, ending):
    """AUTORECODE of SPSS and encode of Stata number each text in the order of the alphabet, ids and answers too."""
    frames = {name: frame for name, frame in known_to_the_day().items() if name in {"participants", "measurements"}}
    for name, frame in frames.items():
        rows = texts(name, frame, Style(decimal="."))
        content, labels, meanings = {}, {}, {}
        for at, column in enumerate(rows[0]):
            said = sorted({row[at] for row in rows[1:]} - {""})
            number = {text: float(place + 1) for place, text in enumerate(said)}
            if column == "Organisation":
                # A name beside the code of an organisation is no code.
                content[f"v{at}"], labels[f"v{at}"] = [row[at] for row in rows[1:]], column
            elif said:
                content[f"v{at}"] = [number.get(row[at]) for row in rows[1:]]
                labels[f"v{at}"], meanings[f"v{at}"] = column, {int(each): text for text, each in number.items()}
        writer = pyreadstat.write_sav if ending == "sav" else pyreadstat.write_dta
        path = tmp_path / f"{name}.{ending}"
        writer(pd.DataFrame(content), path, column_labels=labels, variable_value_labels=meanings)
    submission = bip.load_submission(tmp_path)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(frames)


def test_labels_that_are_no_names_of_ids_and_occasions_leave_them_as_they_are(tmp_path):
    """Two caseworkers of one unit are two, and an occasion with a name keeps its number."""
    frames = {name: frame for name, frame in known_to_the_day().items() if name in {"participants", "measurements"}}
    forms = frames["measurements"].assign(caseworker_id=["1", "2"] * 6)
    frames["measurements"] = schema.conform("measurements", forms)
    folder = statistics(tmp_path / "in", "sav", {"participants": frames["participants"]})
    rows = texts("measurements", frames["measurements"], Style(decimal="."))
    content = {f"v{at}": [row[at] or None for row in rows[1:]] for at in range(len(rows[0]))}
    place = {head: f"v{at}" for at, head in enumerate(rows[0])}
    meanings = {
        place["Handläggare"]: {1: "Enhet Norr", 2: "Enhet Norr"},
        place["Mättillfälle"]: {1: "Start", 2: "3 månader"},
    }
    for column in meanings:
        content[column] = [float(each) for each in content[column]]
    labels = dict(zip(content, rows[0], strict=True))
    path = folder / "Formulär.sav"
    pyreadstat.write_sav(pd.DataFrame(content), path, column_labels=labels, variable_value_labels=meanings)
    submission = bip.load_submission(folder)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(frames)


def test_numbers_with_words_for_labels_are_the_numbers(tmp_path):
    """Extents, months and answers that are labelled in words, whatever numbers the words hold."""
    frames = {name: frame for name, frame in known_to_the_day().items() if name in {"participants", "measurements"}}
    months = frames["participants"].assign(months_since_work=[0, 12, 24])
    frames["participants"] = schema.conform("participants", months)
    folder = statistics(tmp_path / "in", "sav", frames, labels={"cooperation": {1: "0 gånger", 5: "10 eller fler"}})
    path = folder / "participants.sav"
    content, about = pyreadstat.read_sav(path)
    meanings = {**about.variable_value_labels, "months_since_work": {0: "Arbetar nu", 12: "1 år", 24: "2 år"}}
    meanings["participant_id"] = {"007": "Anna Ek"}
    pyreadstat.write_sav(content, path, column_labels=about.column_labels, variable_value_labels=meanings)
    submission = bip.load_submission(folder)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(frames)


def test_a_label_that_contradicts_the_code_of_an_answer_is_told(tmp_path):
    frames = {name: frame for name, frame in known_to_the_day().items() if name in {"participants", "measurements"}}
    folder = statistics(tmp_path / "in", "sav", frames, labels={"cooperation": {1: "5 Stämmer helt", 3: "3 Varken"}})
    answers = frames["measurements"]["cooperation"].tolist()
    found = [(each.code, each.column, each.row) for each in bip.load_submission(folder).findings]
    assert found == [("not-a-whole-number", "cooperation", row) for row, answer in enumerate(answers, 1) if answer == 1]
    assert found


def test_codes_that_spss_declares_as_missing_keep_their_reason(tmp_path):
    frames = {name: frame for name, frame in known_to_the_day().items() if name in {"participants", "measurements"}}
    frames["measurements"].loc[3, "cooperation"] = None
    folder = statistics(
        tmp_path / "in",
        "sav",
        frames,
        missing={"job_search": [8, 9], "cooperation": [9]},
        labels={"job_search": {8: "Vill ej svara", 9: "Vet ej"}, "cooperation": {9: "Bortfall"}},
        cells=[("job_search", 1, 9.0), ("cooperation", 3, 9.0)],
    )
    submission = bip.load_submission(folder)
    assert submission.findings == []
    answers = submission.tables["missing_answers"][["item", "reason"]].to_numpy().tolist()
    assert answers == [["job_search", "dont_know"]]
    assert submission.tables["measurements"][["job_search", "cooperation"]].isna().sum().tolist() == [1, 1]


def test_names_that_say_nothing_are_known_by_their_labels(tmp_path):
    frame = tables()["caseworkers"]
    content = pd.DataFrame({"v1": frame["organisation_id"].astype(object), "v2": frame["caseworker_id"].astype(object)})
    pyreadstat.write_sav(content, tmp_path / "handläggare.sav", column_labels=["Organisation", "Handläggare"])
    submission = bip.load_submission(tmp_path)
    assert submission.tables["caseworkers"]["caseworker_id"].tolist() == ["H1", "H2"]
    assert submission.source_columns["caseworkers"]["caseworker_id"] == "v2"


def test_a_sheet_that_reaches_to_the_end_of_excel_with_nothing_in_it_is_refused(tmp_path):
    import zipfile

    path = workbook(tmp_path / "liten.xlsx", {"Deltagare": [["Organisation", "Deltagare"], ["A", "1"]]})
    bomb = tmp_path / "stor.xlsx"
    with zipfile.ZipFile(path) as small, zipfile.ZipFile(bomb, "w") as large:
        for name in small.namelist():
            large.writestr(name, small.read(name).replace(b'r="B2"', b'r="XFD1048576"'))
    found = [(each.code, each.sheet) for each in bip.load_submission(bomb).findings]
    assert ("too-large", "Deltagare") in found


@pytest.mark.parametrize("repeated", ["columns", "rows"])
def test_repeated_cells_of_opendocument_are_not_unfolded_without_bound(tmp_path, repeated):
    path = ods(tmp_path / "a.ods", {"Deltagare": [["Organisation", "Deltagare"], ["A", "1"]]})
    import zipfile

    with zipfile.ZipFile(path) as small:
        content = {name: small.read(name) for name in small.namelist()}
    times = f' table:number-{repeated}-repeated="900000000"'.encode()
    cell = b"<table:table-cell" if repeated == "columns" else b"<table:table-row"
    with zipfile.ZipFile(path, "w") as large:
        for name, body in content.items():
            large.writestr(name, body.replace(cell, cell + times, 1))
    assert [each.code for each in bip.load_submission(path).findings if each.file] == ["too-large"]


def test_how_far_a_sheet_reaches_is_an_upper_bound(tmp_path):
    import zipfile

    rows = [[""] * 30 for _ in range(12)]
    rows[11][29], rows[3][27] = "x", "#DIV/0!"
    with zipfile.ZipFile(workbook(tmp_path / "a.xlsx", {"A": rows})) as archive:
        extent = sheet_xml.extents(archive)["A"]
    assert extent.rows >= 12
    assert extent.columns == 30
    assert extent.errors == [(3, 27, "#DIV/0!")]
    extents, locked = biff.extents(biff.stream(xls({"A": rows})))
    assert (extents["A"].rows, extents["A"].columns, extents["A"].errors) == (12, 30, [(3, 27, "#DIV/0!")])
    assert not locked


@pytest.mark.parametrize("share", [0.4, 0.99])
@pytest.mark.parametrize("ending", ["xls", "ods", "sav", "dta"])
def test_half_of_a_file_is_refused(tmp_path, ending, share):
    if ending in {"xls", "ods"}:
        path = workbook(tmp_path / f"a.{ending}", {"Deltagare": typed("participants", tables()["participants"])})
    else:
        frames = {"participants": known_to_the_day()["participants"]}
        path = statistics(tmp_path / "in", ending, frames) / f"participants.{ending}"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    submission = bip.load_submission(path)
    everything(submission.findings)
    assert {each.code for each in submission.findings} & {"unreadable-file", "truncated-file"}
    assert len(submission.tables["participants"]) < 3


def test_a_file_that_brings_the_reader_down_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("bipstudy.loaders.statistics_reader.__file__", str(tmp_path / "reader.py"))
    (tmp_path / "reader.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)\n", "utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Deltagare.sav").write_bytes(b"$FL2@(#) SPSS DATA FILE")
    found = [(each.code, each.file) for each in bip.load_submission(tmp_path / "in").findings if each.file]
    assert found == [("unreadable-file", "Deltagare.sav")]


def test_a_zip_of_formats(tmp_path):
    import zipfile

    frames = known_to_the_day()
    first = statistics(tmp_path / "in", "sav", {"participants": frames.pop("participants")})
    second = write(tmp_path / "in", frames=frames)
    assert first == second
    with zipfile.ZipFile(tmp_path / "leverans.zip", "w") as archive:
        for path in sorted(second.iterdir()):
            archive.write(path, path.name)
    submission = bip.load_submission(tmp_path / "leverans.zip")
    assert submission.findings == []
    assert submission.hash == schema.content_hash(known_to_the_day())
