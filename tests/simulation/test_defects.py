"""The mutation matrix: each defect planted alone in raw files gives exactly its findings at their places."""

from __future__ import annotations

import csv
import itertools
import os
from pathlib import Path

import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.simulation import write_raw
from bipstudy.simulation.defects import LIST, Planted, defects, plant, sprinkle
from bipstudy.simulation.dummy import dummy_data
from bipstudy.simulation.raw import read_delivery
from bipstudy.texts import BipstudyError

WINDOWS_CSV, WORKBOOK, ARCHIVE = 1, 0, 4
NAMES = sorted(defects())
# What the normal suite plants, what certification does, and all of them if BIPSTUDY_WHOLE is 1.
FEW = NAMES[::18]
MORE = [name for name in (NAMES if os.environ.get("BIPSTUDY_WHOLE") == "1" else NAMES[1::6]) if name not in FEW]
Place = tuple[str, str, str | None, str | None, int | None, str | None]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    return write_raw(dummy_data(), folder, first_style=WINDOWS_CSV)[0]


def found(folder: Path) -> list[Place]:
    """Return what validation says of a folder."""
    findings = bip.validate(bip.load_submission(folder)).findings
    plain = findings.astype(object).where(findings.notna(), None)
    columns = ["code", "status", "file", "sheet", "row", "column"]
    return sorted((tuple(row) for row in plain[columns].itertuples(index=False)), key=str)


def expected(planted: tuple[Planted, ...] | list[Planted]) -> list[Place]:
    return sorted(((one.code, one.status, one.file, one.sheet, one.row, one.column) for one in planted), key=str)


def planted_alone(name: str, folder: Path) -> tuple[list[Place], list[Place]]:
    """Return what validation says of a folder with one defect, and what was planted; the folder is left as it was."""
    base = read_delivery(folder)
    tries = (plant(name, base, seed) for seed in itertools.count(1))
    result = next((each for each in itertools.islice(tries, 40) if each is not None), None)
    assert result is not None, f"{name} fits nowhere"
    delivery, planted = result
    try:
        for file, content in delivery.content(base).items():
            (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
        return found(folder), expected(planted)
    finally:
        for file, content in base.files.items():
            (folder / file).write_bytes(content)


def test_the_catalogue_is_large_and_the_base_is_clean(raw: Path) -> None:
    assert len(NAMES) >= 120
    assert found(raw) == []


@pytest.mark.parametrize("name", FEW)
def test_a_defect_gives_its_findings_and_no_other(name: str, raw: Path) -> None:
    told, wanted = planted_alone(name, raw)
    assert told == wanted


@pytest.mark.certify
@pytest.mark.parametrize("name", MORE)
def test_every_defect_gives_its_findings_and_no_other(name: str, raw: Path) -> None:
    told, wanted = planted_alone(name, raw)
    assert told == wanted


@pytest.mark.parametrize("style", [WORKBOOK, ARCHIVE])
@pytest.mark.parametrize("name", ["participants.sex: unknown value", "activity of nobody"])
def test_a_defect_in_a_workbook_or_an_archive(name: str, style: int, tmp_path: Path) -> None:
    folder = write_raw(dummy_data(16), tmp_path, first_style=style)[0]
    told, wanted = planted_alone(name, folder)
    assert told == wanted
    assert bool(wanted[0][3]) == (style == WORKBOOK)


def test_planting_changes_nothing_that_is_given(raw: Path) -> None:
    base = read_delivery(raw)
    before = {name: (grid.header, grid.rows) for name, grid in base.grids.items()}
    one, two = (plant("participants.sex: unknown value", base, seed=3) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one[1] == two[1]
    assert one[0].content(base) == two[0].content(base)
    assert {name: (grid.header, grid.rows) for name, grid in base.grids.items()} == before
    assert base.content(base) == {}
    with pytest.raises(BipstudyError):
        plant("no such thing", base)


def test_what_is_sprinkled_is_listed_and_found(tmp_path: Path) -> None:
    for copy in ("one", "two"):
        write_raw(dummy_data(24, organisations=2), tmp_path / copy)
        sprinkle(tmp_path / copy, 0.04, seed=5)
    listed = list(csv.DictReader((tmp_path / "one" / LIST).read_text(encoding="utf-8").splitlines()))
    assert len(listed) > 5
    assert (tmp_path / "one" / LIST).read_bytes() == (tmp_path / "two" / LIST).read_bytes()
    told = {
        (code, f"{folder.name}/{file}", row, column or "")
        for folder in sorted((tmp_path / "one").iterdir())
        if folder.is_dir()
        for code, _, file, _, row, column in found(folder)
    }
    for each in listed:
        row = int(each["row"]) if each["row"] else None
        assert (each["code"], each["file"], row, each["column"]) in told, each["defect"]
    with pytest.raises(BipstudyError):
        sprinkle(tmp_path / "one", 2)


def test_nothing_is_sprinkled_at_no_rate(tmp_path: Path) -> None:
    folder = write_raw(dummy_data(8), tmp_path)[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sprinkle(tmp_path, 0) == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(("participants", "organisations", "seed"), [(40, 1, 1), (30, 3, 2), (200, 2, 3)])
def test_dummy_data_satisfy_every_rule(participants: int, organisations: int, seed: int) -> None:
    study = dummy_data(participants, organisations, seed)
    assert len(study.participants) == participants
    assert set(study.organisations["organisation_id"]) == {f"ORG{number:02d}" for number in range(1, organisations + 1)}
    assert bip.validate(study).findings.empty
    again = dummy_data(participants, organisations, seed)
    for name in schema.TABLE_NAMES:
        pd.testing.assert_frame_equal(study.tables[name], again.tables[name])
    other = dummy_data(participants, organisations, seed + 1)
    assert not study.participants.equals(other.participants)


def test_dummies_use_every_code_of_the_background() -> None:
    participants = dummy_data(200).participants
    for column in schema.table("participants").columns:
        if column.codes in ("sex", "age_group", "education", "birth_region", "support"):
            assert set(participants[column.name]) == set(schema.code_list(column.codes).values)
    with pytest.raises(BipstudyError):
        dummy_data(3)
