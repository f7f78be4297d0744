"""A draft of a mapping: what is known is written, what is a guess is marked, and nothing marked is ever used."""

import re

import pytest
from deliveries import Style, csv_bytes, tables, texts, write
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.loaders import read_mapping
from bipstudy.loaders.draft import draft_mapping
from bipstudy.loaders.mapping_file import MappingError
from bipstudy.texts import BipstudyError

HEADER = "Klientnr;Man/kvinna;START DATUM;Aldersgrup;E-post;F1_M1;F2_M1;F1_M2;F2_M2;Avdeling"
ROWS = "1;2;2024-01-01;55+;a@b.se;1;2;3;4;N\r\n2;1;2024-02-01;16-24;;1;2;3;4;N"


@pytest.mark.parametrize(("language", "mark"), [("sv", "OSÄKERT"), ("en", "UNSURE")])
def test_a_draft_says_what_it_is_unsure_of_and_is_refused_until_that_is_settled(tmp_path, language, mark):
    (tmp_path / "klienter.csv").write_bytes(f"{HEADER}\r\n{ROWS}\r\n".encode())
    drafted = draft_mapping(tmp_path / "klienter.csv", language)
    assert '        "Klientnr": participant_id' in drafted
    assert f'        # {mark} "Aldersgrup": age_group' in drafted
    assert f'          # {mark} "1": man' in drafted
    assert '"E-post": ' not in drafted
    assert "a@b.se" not in drafted
    assert f'# {mark}   - pattern: "F{{item}}_M{{occasion}}"' in drafted
    path = tmp_path / "mapping.yaml"
    path.write_text(drafted, "utf-8")
    with pytest.raises(MappingError):
        read_mapping(path)
    # As a person would: the questions are answered, the marks taken away.
    settled = [line for line in drafted.splitlines() if "?" not in line]
    path.write_text("\n".join(re.sub(rf"# {mark} ", "", line) for line in settled), "utf-8")
    mapping = read_mapping(path)
    assert mapping.tables["participants"][0].columns["aldersgrup"] == "age_group"
    submission = bip.load_submission(tmp_path / "klienter.csv", mapping=path)
    assert submission.tables["participants"]["sex"].tolist() == ["woman", "man"]
    assert (
        submission.tables["measurements"][["occasion", "job_search"]].to_numpy().tolist() == [[1, 1]] * 2 + [[2, 3]] * 2
    )


def test_a_draft_of_files_with_our_own_names_changes_nothing(tmp_path):
    folder = write(tmp_path / "in")
    path = tmp_path / "mapping.yaml"
    drafted = draft_mapping(folder)
    assert "OSÄKERT " not in drafted
    path.write_text(drafted, "utf-8")
    submission = bip.load_submission(folder, mapping=path)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())


def test_a_draft_of_names_spelt_otherwise(tmp_path):
    rows = texts("participants", tables()["participants"], Style())
    rows[0] = [name.upper().replace("Ö", "O").replace("Å", "A").replace(" ", "_") for name in rows[0]]
    (tmp_path / "uttag.csv").write_bytes(csv_bytes(rows, Style()))
    drafted = draft_mapping(tmp_path)
    assert '"KON": sex' in drafted
    assert '# OSÄKERT "KON"' not in drafted


def test_the_command_writes_a_draft_once(tmp_path):
    (tmp_path / "klienter.csv").write_bytes(f"{HEADER}\r\n{ROWS}\r\n".encode())
    out = tmp_path / "mapping.yaml"
    run = CliRunner().invoke(app, ["map", str(tmp_path / "klienter.csv"), "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert out.read_text("utf-8") == draft_mapping(tmp_path / "klienter.csv")
    again = CliRunner().invoke(app, ["map", str(tmp_path / "klienter.csv"), "--out", str(out)])
    assert again.exit_code == 2
    assert "loaders.mapping_exists" in again.output
    shown = CliRunner().invoke(app, ["map", str(tmp_path / "klienter.csv")])
    assert shown.output == out.read_text("utf-8")


def test_what_cannot_be_drafted_is_told(tmp_path):
    with pytest.raises(BipstudyError, match="no file or folder"):
        draft_mapping(tmp_path / "nowhere.csv")
    (tmp_path / "tom.csv").write_bytes(b"")
    with pytest.raises(BipstudyError, match="read as a table"):
        draft_mapping(tmp_path / "tom.csv")
