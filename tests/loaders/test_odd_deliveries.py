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
import pytest
from test_what_stewards_send import FORMS, PARTICIPANTS, PERSONS, QUESTIONS, delivery, forms, people, write

import bipstudy as bip
from bipstudy.loaders.cells import read_date
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
