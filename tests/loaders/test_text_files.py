"""However an office writes its text files, the same tables come out; and each row says where it stood."""

import itertools
import os
from pathlib import Path

import pandas as pd
import pytest
from deliveries import Style, csv_bytes, tables, texts, write

import bipstudy as bip
from bipstudy import schema

ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16")
DELIMITERS = (";", ",", "\t")
WAYS = [
    (encoding, delimiter, decimal, language, labels)
    for encoding, delimiter, decimal in itertools.product(ENCODINGS, DELIMITERS, ",.")
    for language, labels in ((None, False), ("sv", True), ("en", True))
]
# By seven every encoding, delimiter, decimal sign and language has its turn; all ways if BIPSTUDY_WHOLE is 1.
FEW = WAYS if os.environ.get("BIPSTUDY_WHOLE") == "1" else WAYS[::7]


def assert_same_tables(submission, expected):
    for name in schema.TABLE_NAMES:
        frame = expected.get(name, schema.empty(name))
        loaded = submission.tables[name]
        assert loaded.dtypes.to_dict() == schema.dtypes(name)
        pd.testing.assert_frame_equal(schema.conform(name, loaded), frame)


@pytest.mark.parametrize(
    ("encoding", "delimiter", "decimal", "language", "labels"),
    FEW,
)
def test_every_way_of_writing_gives_the_same_tables(tmp_path, encoding, delimiter, decimal, language, labels):
    line_end = "\n" if language is None else "\r\n"
    style = Style(encoding, delimiter, decimal, language, labels, line_end)
    submission = bip.load_submission(write(tmp_path / "in", style))
    assert submission.findings == []
    assert_same_tables(submission, tables())
    assert submission.hash == schema.content_hash(tables())
    assert submission.sent == set(tables())
    assert submission.organisation_ids == ("förbund-Å",)


def test_the_order_of_rows_and_columns_stays_out_of_the_hash_but_rows_keep_the_order_of_the_file(tmp_path):
    shuffled = {name: frame.sample(frac=1, random_state=3).reset_index(drop=True) for name, frame in tables().items()}
    folder = write(tmp_path, Style(language=None), shuffled)
    for path in folder.iterdir():
        frame = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False)
        frame[frame.columns[::-1]].to_csv(path, sep=";", index=False)
    submission = bip.load_submission(folder)
    assert submission.hash == schema.content_hash(tables())
    loaded = submission.tables["participants"]["participant_id"].tolist()
    assert loaded == shuffled["participants"]["participant_id"].tolist()


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("top", [(), ("Uttag ur systemet 2024", "", "Sekretess")])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("blank_after", [None, 0, 2])
def test_rows_are_those_that_a_person_sees(tmp_path, separator, top, named, blank_after):
    lines = ((f"sep={separator}",) if named else ()) + top
    style = Style(delimiter=separator, top=lines, blank_after=blank_after)
    frame = tables()["participants"]
    path = tmp_path / "Deltagare.csv"
    path.write_bytes(csv_bytes(texts("participants", frame, style), style))
    submission = bip.load_submission(path)
    loaded, place = submission.tables["participants"], submission.provenance["participants"]
    written = path.read_text("utf-8").splitlines()
    assert len(loaded) == 3
    assert place.index.equals(loaded.index)
    for person, row in zip(loaded["participant_id"], place["row"], strict=True):
        assert written[row - 1].split(separator)[1] == person
    assert set(place["file"]) == {"Deltagare.csv"}
    assert place["sheet"].isna().all()


def test_a_cell_of_several_lines_counts_as_the_line_on_which_its_row_begins(tmp_path):
    rows = texts("participants", tables()["participants"], Style())
    rows[1][rows[0].index("Enhet")] = "Norr\nöst"
    path = tmp_path / "Deltagare.csv"
    path.write_bytes(csv_bytes(rows, Style(line_end="\n")))
    assert bip.load_submission(path).provenance["participants"]["row"].tolist() == [2, 4, 5]


def test_decomposed_letters_and_odd_spaces_are_the_same_names(tmp_path):
    folder = write(tmp_path, Style(labels=True))
    for path in folder.iterdir():
        text = (
            path.read_text("utf-8").replace("å", "a\u030a").replace("Förs", "Fo\u0308rs").replace(";1;", ";\u00a01 ;")
        )
        path.write_bytes(text.encode("utf-8"))
    assert bip.load_submission(folder).hash == schema.content_hash(tables())


def test_empty_rows_and_columns_at_the_end_are_nothing(tmp_path):
    rows = texts("participants", tables()["participants"], Style())
    rows = [[*row, "", " "] for row in rows] + [[""] * len(rows[0])] * 3
    (tmp_path / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(tmp_path)
    assert [finding.code for finding in submission.findings] == ["missing-table"]
    assert len(submission.tables["participants"]) == 3


def test_a_column_of_precisions_says_more_than_the_way_a_date_is_written(tmp_path):
    for name, frame in tables().items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    submission = bip.load_submission(tmp_path)
    assert submission.findings == []
    assert_same_tables(submission, tables())


@pytest.mark.parametrize("encoding", ["cp850", "mac_roman"])
def test_old_encodings_are_told_and_read_on_request(tmp_path, encoding):
    folder = write(tmp_path / "in", Style(encoding=encoding))
    # A capital å is no letter at all in Windows-1252, the small ones are the wrong signs.
    assert {finding.code for finding in bip.load_submission(folder).findings} >= {"unknown-encoding"}
    other = write(tmp_path / "other", Style(encoding=encoding))
    for path in other.iterdir():
        path.write_bytes(path.read_bytes().replace("Å".encode(encoding), b"A"))
    assert "wrong-encoding" in {finding.code for finding in bip.load_submission(other).findings}
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(f"encoding: {encoding}\n", "utf-8")
    submission = bip.load_submission(folder, mapping=mapping)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())


def test_parquet_gives_the_same_tables(tmp_path):
    for name, frame in tables().items():
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
    submission = bip.load_submission(tmp_path)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())
    assert submission.provenance["participants"]["row"].tolist() == [1, 2, 3]


def test_files_are_named_with_the_hash_of_their_bytes(tmp_path):
    import hashlib

    folder = write(tmp_path)
    files = {file.name: file.sha256 for file in bip.load_submission(folder).files}
    assert files == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_relative_and_text_paths_are_paths(tmp_path, monkeypatch):
    write(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    assert bip.load_submission("in").path == Path("in")


@pytest.mark.parametrize("unit", ["Škoda", "Saša", "Œuvre", "d„g"])
def test_letters_of_other_languages_are_no_wrong_encoding_where_the_file_is_utf8(tmp_path, unit):
    path = tmp_path / "caseworkers.csv"
    path.write_text(f"Organisation;Handläggare;Enhet\nA;1;{unit}\n", "utf-8")
    submission = bip.load_submission(path)
    assert {finding.code for finding in submission.findings} == {"missing-table"}
    assert submission.tables["caseworkers"]["unit_id"].tolist() == [unit]
    path.write_text("Organisation;Handl„ggare;Enhet\nA;1;x\n", "utf-8")
    assert "wrong-encoding" in {finding.code for finding in bip.load_submission(path).findings}
