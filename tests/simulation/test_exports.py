"""Raw files: every style reads back to the same tables."""

from __future__ import annotations

import zipfile

import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders import load_submission
from bipstudy.simulation import scenario, write_raw


@pytest.fixture(scope="module")
def study():
    given = scenario("demo").replace(
        outcomes__month_share=0.2, outcomes__quarter_share=0.1, outcomes__unknown_length_rate=0.02
    )
    return bip.simulate_study(participants=240, seed=9, scenario=given)[0]


@pytest.fixture(scope="module")
def raw(study, tmp_path_factory):
    return write_raw(study, tmp_path_factory.mktemp("raw"), seed=2)


def test_each_organisation_has_a_folder(study, raw):
    assert [folder.name for folder in raw] == study.organisations["organisation_id"].tolist()
    assert len(raw) == 6


@pytest.mark.parametrize("place", range(6))
def test_every_style_is_read_back_without_loss(study, raw, place):
    folder = raw[place]
    submission = load_submission(folder)
    assert submission.findings == []
    for name, table in study.tables.items():
        wanted = table[table["organisation_id"] == folder.name].reset_index(drop=True)
        pd.testing.assert_frame_equal(schema.conform(name, submission.tables[name]), wanted, obj=name)


def test_the_styles_are_what_offices_send(raw):
    names = [sorted(path.suffix for path in folder.iterdir())[0] for folder in raw]
    assert names == [".xlsx", ".csv", ".csv", ".csv", ".zip", ".xlsx"]
    windows = (raw[1] / f"Formulär_{raw[1].name}.csv").read_bytes()
    assert b"\r\n" in windows
    assert "Mättillfälle;Vem som svarar".encode("cp1252") in windows
    with pytest.raises(UnicodeDecodeError):
        windows.decode("utf-8")
    shares = (raw[1] / f"Deltagare_{raw[1].name}.csv").read_bytes().decode("cp1252")
    assert ";0," in shares
    labelled = (raw[2] / "deltagare.csv").read_bytes()
    assert labelled.startswith(b"\xef\xbb\xbf")
    assert "Ekonomiskt bistånd" in labelled.decode("utf-8-sig")
    assert (raw[3] / "participants.csv").read_text("utf-8").startswith("organisation_id,participant_id,")
    with zipfile.ZipFile(next(raw[4].iterdir())) as archive:
        assert set(archive.namelist()) <= {f"{name}.csv" for name in schema.TABLE_NAMES}


def test_rows_are_not_in_order(raw):
    read = pd.read_csv(raw[3] / "participants.csv", dtype=str)["participant_id"]
    assert not read.is_monotonic_increasing


def test_writing_again_gives_the_same_bytes(study, raw, tmp_path):
    for first, second in zip(raw, write_raw(study, tmp_path, seed=2), strict=True):
        for path in sorted(first.iterdir()):
            assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    other = write_raw(study, tmp_path / "other", seed=3)
    assert (other[3] / "participants.csv").read_bytes() != (raw[3] / "participants.csv").read_bytes()


def test_a_table_without_rows_is_not_written(study, tmp_path):
    without = bip.Study.from_tables(
        {name: table for name, table in study.tables.items() if name not in ("trainings", "missing_answers")}
    )
    folders = write_raw(without, tmp_path)
    assert not (folders[3] / "trainings.csv").exists()
    assert load_submission(folders[3]).tables["trainings"].empty
