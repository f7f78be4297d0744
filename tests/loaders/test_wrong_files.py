"""A wrong file gives findings at the right place: never an exception, and never the value of a cell."""

import io
import os
import zipfile
from types import SimpleNamespace

import pytest
from deliveries import Style, csv_bytes, everything, rewrite, tables, texts, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bipstudy as bip
from bipstudy import schema
from bipstudy.schema.template import write_template

SECRET = "19850709-9805 Karlsson"


def found(submission):
    """Return the findings, each of which must have its texts in both languages."""
    everything(submission.findings)
    return {(each.code, each.table, each.file, each.sheet, each.row, each.column) for each in submission.findings}


def test_a_deleted_file(tmp_path):
    folder = write(tmp_path)
    (folder / "Formulär.csv").unlink()
    submission = bip.load_submission(folder)
    assert found(submission) == {("missing-table", "measurements", None, None, None, None)}
    assert "measurements" not in submission.sent
    assert len(submission.tables["measurements"]) == 0


@pytest.mark.parametrize("language", ["sv", "en"])
def test_a_deleted_sheet(tmp_path, language):
    kept = {name: frame for name, frame in tables().items() if name != "participants"}
    path = write_template(tmp_path / "mall.xlsx", language, kept)
    assert ("missing-table", "participants", None, None, None, None) in found(bip.load_submission(path))


@pytest.mark.parametrize("column", ["Kön", "Startade", "Följd till och med", "Deltagare"])
def test_a_deleted_column(tmp_path, column):
    folder = write(tmp_path)
    rows = texts("participants", tables()["participants"], Style())
    at = rows[0].index(column)
    (folder / "Deltagare.csv").write_bytes(csv_bytes([row[:at] + row[at + 1 :] for row in rows], Style()))
    canonical = {"Kön": "sex", "Startade": "entered_on", "Deltagare": "participant_id"}.get(column, "observed_until")
    submission = bip.load_submission(folder)
    assert found(submission) == {("missing-column", "participants", "Deltagare.csv", None, None, canonical)}
    assert submission.findings[0].count == 3
    assert submission.tables["participants"][canonical].isna().all()


def test_a_deleted_column_that_may_be_left_out_is_nothing(tmp_path):
    folder = write(tmp_path)
    rows = texts("participants", tables()["participants"], Style())
    at = rows[0].index("Enhet")
    (folder / "Deltagare.csv").write_bytes(csv_bytes([row[:at] + row[at + 1 :] for row in rows], Style()))
    assert bip.load_submission(folder).findings == []


def test_a_deleted_question(tmp_path):
    folder = write(tmp_path)
    rewrite(folder / "Formulär.csv", "Samarbetsförmåga", "Egen kolumn")
    assert found(bip.load_submission(folder)) == {
        ("missing-item-column", "measurements", "Formulär.csv", None, None, "cooperation"),
        ("unknown-column", "measurements", "Formulär.csv", None, None, "Egen kolumn"),
    }


def test_a_misspelt_column_a_column_without_a_name_and_one_that_is_there_twice(tmp_path):
    rows = texts("participants", tables()["participants"], Style())
    rows[0][rows[0].index("Enhet")] = ""
    rows[0][rows[0].index("Födelseregion")] = "sex"
    (tmp_path / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    places = {(code, column) for code, _, _, _, _, column in found(bip.load_submission(tmp_path))}
    assert places == {("missing-table", None), ("unnamed-column", "C"), ("duplicate-column", "sex")}


WRONG_CELLS = [
    ("participants", "Kön", "unknown-code"),
    ("participants", "Åldersgrupp", "unknown-code"),
    ("participants", "Startade", "not-a-date"),
    ("participants", "Följd till och med", "not-a-date"),
    ("participants", "Yrkesutbildning", "not-yes-or-no"),
    ("participants", "Månader sedan arbete", "not-a-whole-number"),
    ("participants", "Andel i arbete eller studier 5 år", "not-a-number"),
    ("measurements", "Mättillfälle", "not-a-whole-number"),
    ("measurements", "Vem som svarar", "unknown-code"),
    ("measurements", "Besvarat den", "not-a-date"),
    ("measurements", "Samarbetsförmåga", "not-a-whole-number"),
    ("missing_answers", "Orsak", "unknown-code"),
    ("activities", "Inriktning", "unknown-code"),
    ("activities", "Timmar per vecka", "not-a-number"),
    ("outcomes", "Typ av utfall", "unknown-code"),
    ("outcomes", "Varade minst en månad", "unknown-code"),
    ("caseworkers", "I rollen sedan (år)", "not-a-whole-number"),
]


@pytest.mark.parametrize(("name", "column", "code"), WRONG_CELLS)
@pytest.mark.parametrize("language", ["csv", "xlsx"])
def test_a_cell_that_cannot_be_read(tmp_path, name, column, code, language):
    frames = tables()
    rows = texts(name, frames[name], Style())
    rows[1][rows[0].index(column)] = SECRET
    if language == "csv":
        folder = write(tmp_path)
        file, sheet = f"{schema.table(name).label['sv']}.csv", None
        (folder / file).write_bytes(csv_bytes(rows, Style()))
        submission = bip.load_submission(folder)
    else:
        file, sheet = "leverans.xlsx", schema.table(name).label["sv"]
        submission = bip.load_submission(_workbook(tmp_path / file, {**_written(frames), name: rows}))
    assert found(submission) == {(code, name, file, sheet, 2, column)}
    # What could be read stays; the cell itself is missing.
    assert len(submission.tables[name]) == len(frames[name])
    said = everything(submission.findings)
    assert not any(part in said for part in (*SECRET.split(), "19850709", "9805"))


def _written(frames):
    return {name: texts(name, frame, Style()) for name, frame in frames.items()}


def _workbook(path, sheets):
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(schema.table(name).label["sv"])
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
    return path


def test_no_cell_of_any_column_is_repeated(tmp_path):
    for name, frame in tables().items():
        rows = texts(name, frame, Style())
        rows[1:] = [[SECRET] * len(row) for row in rows[1:]]
        (tmp_path / f"{schema.table(name).label['sv']}.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(tmp_path)
    said = everything(submission.findings)
    assert len(submission.findings) > 30
    assert "1985" not in said
    assert "Karlsson" not in said


@pytest.mark.parametrize("rows", [0, 1])
def test_a_file_without_header_repeats_no_cell_as_the_name_of_a_column(tmp_path, rows):
    folder = write(tmp_path)
    written = texts("participants", tables()["participants"], Style())[1 + rows :]
    written = [[SECRET, *row[1:]] for row in written]
    (folder / "Deltagare.csv").write_bytes(csv_bytes(written, Style()))
    submission = bip.load_submission(folder)
    assert {("no-header", "participants", "Deltagare.csv", None, None, None)} <= found(submission)
    assert "Karlsson" not in everything(submission.findings)


def test_mixed_decimal_marks_are_refused_for_the_column(tmp_path):
    folder = write(tmp_path)
    rewrite(folder / "Deltagare.csv", "0,125", "0.125")
    submission = bip.load_submission(folder)
    column = "Andel i arbete eller studier 5 år"
    assert found(submission) == {("mixed-decimal-marks", "participants", "Deltagare.csv", None, None, column)}
    assert submission.findings[0].count == 2
    assert submission.tables["participants"]["work_or_study_share_5y"].isna().all()


@pytest.mark.parametrize("spoilt", ["1,98E+11", "17.0", "1.98001e+11"])
def test_an_id_that_a_spreadsheet_has_spoilt(tmp_path, spoilt):
    folder = write(tmp_path)
    rewrite(folder / "Deltagare.csv", ";17;", f";{spoilt};")
    assert found(bip.load_submission(folder)) == {
        ("spoilt-id", "participants", "Deltagare.csv", None, 3, "Deltagare"),
    }


@pytest.mark.parametrize("cut", [1, 5, 30, 100])
def test_a_text_file_that_was_cut_off(tmp_path, cut):
    folder = write(tmp_path)
    path = folder / "Deltagare.csv"
    path.write_bytes(path.read_bytes().rstrip(b"\r\n")[:-cut])
    submission = bip.load_submission(folder)
    codes = {code for code, *_ in found(submission)}
    assert codes & {"truncated-file", "unfinished-last-line"}
    assert all(each.file == "Deltagare.csv" for each in submission.findings)


def test_half_of_a_text_file(tmp_path):
    folder = write(tmp_path)
    path = folder / "Formulär.csv"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    rows = content[: len(content) // 2].decode("utf-8").splitlines()
    assert ("truncated-file", "measurements", "Formulär.csv", None, len(rows), None) in found(
        bip.load_submission(folder)
    )


def test_a_file_cut_in_the_middle_of_a_letter(tmp_path):
    folder = write(tmp_path)
    path = folder / "Deltagare.csv"
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex("Å".encode()) + 1])
    codes = {code for code, *_ in found(bip.load_submission(folder))}
    assert "truncated-file" in codes
    assert "wrong-encoding" not in codes


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["xlsx", "zip"])
def test_half_of_a_workbook_or_archive(tmp_path, kind, share):
    if kind == "xlsx":
        path = write_template(tmp_path / "leverans.xlsx", "sv", tables())
    else:
        path = _zip(tmp_path / "leverans.zip", {p.name: p.read_bytes() for p in write(tmp_path / "in").iterdir()})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    submission = bip.load_submission(path)
    assert ("unreadable-file", None, path.name, None, None, None) in found(submission)
    assert submission.sent == set()


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


NOTHING_TO_READ = [
    ("Deltagare.csv", b"", "empty-file"),
    ("Deltagare.csv", b"\r\n \r\n", "empty-file"),
    ("Deltagare.csv", b"\xef\xbb\xbf", "empty-file"),
    ("Deltagare.csv", bytes(range(256)) * 40, "not-text"),
    ("Deltagare.csv", b"Organisation;Delta\0gare\r\nA;1\r\n", "not-text"),
    ("Deltagare.csv", "Organisation;Kön\r\nA;Ö\r\n".encode("utf-16-le"), "not-text"),
    ("Deltagare.csv", b"Organisation;K\x81n\r\nA;1\r\n", "unknown-encoding"),
    ("Deltagare.csv", b"PK\x03\x04 not an archive", "unreadable-file"),
    ("Deltagare.xlsx", b"Organisation;Deltagare\r\nA;1\r\n", "unreadable-file"),
    ("Deltagare.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "unreadable-file"),
    ("Deltagare.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "locked-file"),
    ("Deltagare.sav", b"$FL2@(#) SPSS DATA FILE", "unreadable-file"),
    ("Deltagare.xls", b"<html><table><tr><td>1</td></tr></table></html>", "unsupported-file"),
    ("Deltagare.parquet", b"PAR1 broken PAR1", "unreadable-file"),
    ("Deltagare.pdf", b"%PDF-1.4", "ignored-file"),
    ("Anteckningar.txt", b"Kom ihag att ringa\r\n", "unknown-sheet"),
]


@pytest.mark.parametrize(("name", "content", "code"), NOTHING_TO_READ)
def test_a_file_with_nothing_to_read(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    submission = bip.load_submission(tmp_path)
    places = {(each[0], each[2]) for each in found(submission) if each[0] != "missing-table"}
    assert places == {(code, name)}
    assert submission.sent == set()
    # A table may stand in a file that could not be read, and in no other.
    seen = {"empty-file", "ignored-file", "unknown-sheet"}
    missing = {each.status for each in submission.findings if each.code == "missing-table"}
    assert missing == {"invalid" if code in seen else "unchecked"}
    report = bip.validate(submission)
    told = report.findings[report.findings["code"] == "missing-table"]
    assert told["table"].tolist() == ["participants", "measurements"]
    assert set(told["status"]) == missing
    assert not report.ok


def test_letters_spoilt_by_a_second_encoding(tmp_path):
    folder = write(tmp_path, Style(labels=True))
    path = folder / "Formulär.csv"
    path.write_bytes(path.read_bytes().decode("cp1252", "replace").encode("utf-8"))
    assert ("wrong-encoding", None, "Formulär.csv", None, None, None) in found(bip.load_submission(folder))


def test_rows_of_the_wrong_length_and_broken_quotes(tmp_path):
    folder = write(tmp_path)
    rewrite(folder / "Formulär.csv", ";007;1;", ";007;1;extra;")
    rewrite(folder / "Handläggare.csv", ";H1;", ';"H1" x;')
    places = {(code, file, row) for code, _, file, _, row, _ in found(bip.load_submission(folder))}
    assert ("row-length", "Formulär.csv", 2) in places
    assert ("broken-quotes", "Handläggare.csv", 2) in places


def test_archives_are_read_in_memory_and_may_not_lead_out(tmp_path):
    members = {p.name: p.read_bytes() for p in write(tmp_path / "in").iterdir()}
    good = bip.load_submission(_zip(tmp_path / "a.zip", members))
    assert good.findings == []
    assert good.hash == schema.content_hash(tables())
    assert set(good.provenance["participants"]["file"]) == {"a.zip/Deltagare.csv"}
    before = sorted(tmp_path.rglob("*"))
    bad = {**members, "../ut.csv": b"x;y\n1;2\n", "C:/ut.csv": b"x;y\n", "/etc/ut.csv": b"x;y\n"}
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("Deltagare.csv", b"x")
    bad["inre.zip"] = inner.getvalue()
    (tmp_path / "b").mkdir()
    submission = bip.load_submission(_zip(tmp_path / "b" / "b.zip", bad))
    assert sorted(each.file for each in submission.findings) == ["b.zip"] * 3 + ["b.zip/inre.zip"]
    assert {each.code for each in submission.findings} == {"unsafe-archive"}
    assert submission.hash == good.hash
    assert sorted(path for path in tmp_path.rglob("*") if path.parent.name != "b" and path.name != "b") == before


def test_a_member_without_a_name_is_refused_and_the_others_are_read(tmp_path):
    members = {p.name: p.read_bytes() for p in write(tmp_path / "in").iterdir()}
    path = _zip(tmp_path / "a.zip", {**members, "?namn": b"x;y\n1;2\n"})
    # zipfile ends a name at its first NUL, so this one becomes empty.
    path.write_bytes(path.read_bytes().replace(b"?namn", b"\0namn"))
    submission = bip.load_submission(path)
    assert [(each.code, each.file) for each in submission.findings] == [("unsafe-archive", "a.zip")]
    assert submission.hash == schema.content_hash(tables())


def test_a_reader_that_breaks_off_with_its_stack_is_not_heard(tmp_path, monkeypatch, capfd):
    import python_calamine

    class Panic(BaseException):
        pass

    def broken(content):
        os.write(2, b"thread panicked at xls.rs, stack backtrace:")
        raise Panic

    path = tmp_path / "leverans.xlsx"
    write_template(path, "sv", tables())
    monkeypatch.setattr(python_calamine, "CalamineWorkbook", SimpleNamespace(from_filelike=broken))
    assert "unreadable-file" in {each.code for each in bip.load_submission(path).findings}
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_what_an_archive_says_of_its_size_is_not_trusted(tmp_path, monkeypatch):
    from bipstudy.loaders import formats

    monkeypatch.setattr(formats, "MAX_BYTES", 10_000)
    path = _zip(tmp_path / "bomb.zip", {"Deltagare.csv": b"0" * 10_000_000})
    assert path.stat().st_size < 12_000
    if path.stat().st_size <= 10_000:
        assert found(bip.load_submission(path)) >= {("too-large", None, "bomb.zip", None, None, None)}
    monkeypatch.setattr(formats, "MAX_FILES", 1)
    assert ("too-large", None, tmp_path.name, None, None, None) in found(
        bip.load_submission(_zip(tmp_path / "two.zip", {"a": b"1", "b": b"2"}).parent)
    )


def test_only_what_belongs_is_read(tmp_path):
    folder = write(tmp_path)
    for name in ("~$Deltagare.xlsx", ".DS_Store", "Thumbs.db", "Desktop.ini"):
        (folder / name).write_bytes(b"rubbish \0")
    (folder / "sub").mkdir()
    (folder / "sub" / "thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    assert bip.load_submission(folder).findings == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_never_raises(tmp_path, data):
    kinds = {
        "Formulär.csv": csv_bytes(texts("measurements", tables()["measurements"], Style()), Style()),
        "leverans.xlsx": _once("xlsx", tmp_path),
        "leverans.zip": _once("zip", tmp_path),
        "participants.parquet": _once("parquet", tmp_path),
    }
    name = data.draw(st.sampled_from(sorted(kinds)))
    content = bytearray(kinds[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        damage = data.draw(st.sampled_from(["flip", "cut", "drop", "insert"]))
        if damage == "flip" and content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif damage == "cut":
            content = content[:at]
        elif damage == "drop":
            del content[at : at + data.draw(st.integers(1, 50))]
        else:
            content[at:at] = data.draw(st.binary(max_size=20))
    path = tmp_path / "damaged" / name
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.iterdir():
        old.unlink()
    path.write_bytes(bytes(content))
    submission = bip.load_submission(path)
    everything(submission.findings)
    for table, frame in submission.tables.items():
        assert frame.dtypes.to_dict() == schema.dtypes(table)
        assert submission.provenance[table].index.equals(frame.index)


def _once(kind, folder):
    """Return an undamaged file, made once."""
    path = folder / f"whole.{kind}"
    if not path.exists():
        if kind == "xlsx":
            write_template(path, "sv", tables())
        elif kind == "parquet":
            tables()["participants"].to_parquet(path)
        else:
            _zip(path, {p.name: p.read_bytes() for p in write(folder / "zipped").iterdir()})
    return path.read_bytes()


@pytest.mark.parametrize("name", ["Kim Ek", "Ek, Kim", "AvslutadKim Ek", "Anteckning Kim Ek"])
def test_a_column_that_may_be_called_after_somebody_is_called_by_its_letter(tmp_path, name):
    path = tmp_path / "handläggare.csv"
    path.write_text(f"Organisation;Handläggare;Roll;{name};Övrigt belopp\nA;h1;Kommun;x;1\n", "utf-8")
    told = {each.column for each in bip.load_submission(path).findings if each.code == "unknown-column"}
    assert told == {"D", "Övrigt belopp"}
