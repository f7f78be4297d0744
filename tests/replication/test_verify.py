"""Verifying a run finds every number that moved, whoever moved it, and says why it may have."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.replication import Plan, compare_runs, replicate, verify
from bipstudy.replication.comparing import COLUMNS, DIFFERENT, IDENTICAL, WITHIN, _judged
from bipstudy.study import Study
from bipstudy.texts import DataError

PLAN = Plan(questions=("participants",), replications=99)


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.load_example()


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    replicate(study, PLAN, out, language="en")
    return out


def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def changed(path: Path, row: int, column: str, value: object) -> None:
    table = pd.read_csv(path, dtype=object, keep_default_na=False)
    table.loc[row, column] = str(value)
    table.to_csv(path, index=False, lineterminator="\n")


def test_a_run_that_is_made_again_is_identical(study: Study, folder: Path) -> None:
    found = verify(folder, study)
    assert found.same
    assert found.counts[DIFFERENT] == found.counts[WITHIN] == 0
    assert found.counts[IDENTICAL] > 500
    assert found.documents == found.altered == ()
    assert not any(found.changed.values())
    assert found.cells.columns.tolist() == list(COLUMNS)


def test_a_number_that_somebody_changed_is_found(study: Study, folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path)
    before = pd.read_csv(copy / "estimates.csv").loc[2, "estimate"]
    changed(copy / "estimates.csv", 2, "estimate", before * 1.001)
    found = compare_runs(folder, copy)
    assert not found.same
    assert found.altered == ("estimates.csv",)
    assert found.counts[DIFFERENT] == 1
    cell = found.cells.iloc[0]
    assert (cell["file"], cell["column"], cell["verdict"]) == ("estimates.csv", "estimate", DIFFERENT)
    assert cell["relative"] == pytest.approx(0.001 / 1.001)
    assert json.loads(json.dumps(found.as_dict()))["cells"][0]["column"] == "estimate"


def test_a_row_or_a_file_that_is_gone_is_found(folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path)
    pd.read_csv(copy / "agreement.csv", dtype=object).iloc[1:].to_csv(copy / "agreement.csv", index=False)
    (copy / "tables" / "participants_size.csv").unlink()
    found = compare_runs(folder, copy)
    assert (
        {"agreement.csv", "tables/participants_size.csv"}
        == set(found.cells.loc[found.cells["verdict"] == DIFFERENT, "file"])
        == set(found.altered)
    )
    gone = found.cells[found.cells["file"] == "agreement.csv"]
    assert gone["after"].isna().all()


def test_rows_in_another_order_are_the_same_rows(folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path)
    table = pd.read_csv(copy / "agreement.csv", dtype=object, keep_default_na=False)
    table.iloc[::-1].to_csv(copy / "agreement.csv", index=False, lineterminator="\n")
    assert compare_runs(folder, copy).counts[DIFFERENT] == 0


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("1", "1", IDENTICAL),
        ("", "", IDENTICAL),
        ("1.0", "1", WITHIN),
        ("1", "1.000000005", WITHIN),
        ("1", "1.00000002", DIFFERENT),
        ("-2e-9", "2e-9", DIFFERENT),
        ("3e-17", "-1e-16", WITHIN),
        ("0", "0.001", DIFFERENT),
        ("1", "", DIFFERENT),
        ("1", None, DIFFERENT),
        ("inf", "1", DIFFERENT),
        ("yes", "no", DIFFERENT),
        ("1", "one", DIFFERENT),
    ],
)
def test_cells_are_judged(before: str, after: str | None, verdict: str) -> None:
    assert _judged(before, after)[1] == verdict


def test_other_data_and_another_plan_are_told_apart(study: Study, folder: Path, tmp_path: Path) -> None:
    people = study.participants.index[:-5]
    fewer = Study.from_tables(
        {**{n: study.tables[n] for n in study.sent}, "participants": study.participants.loc[people]}
    )
    erased = dataclasses.replace(fewer, erased={"O1": 5})
    found = verify(folder, erased)
    assert found.erased == 5
    assert set(found.changed["data"]) == {"study_hash", "tables", "erased"}
    assert found.changed["plan"] == found.changed["code"] == ()
    assert not found.same
    replicate(study, dataclasses.replace(PLAN, seed=2), tmp_path, language="en")
    moved = compare_runs(folder, tmp_path)
    assert set(moved.changed["plan"]) == {"plan", "seed"}
    assert moved.changed["data"] == ()
    assert set(moved.cells["file"]) == {"bootstrap.csv", "agreement.csv"}
    assert set(moved.cells.loc[moved.cells["file"] == "agreement.csv", "column"]) == {"bootstrap_share"}


def with_its_hash(folder: Path, name: str) -> None:
    """Let the manifest say that a file that was changed is as it was written."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["report.html", "estimates.json", "README.md", "codecheck.yml", "disclosure.csv", "figures"]
)
def test_a_file_that_was_changed_together_with_its_hash_is_found(folder: Path, tmp_path: Path, name: str) -> None:
    copy = copied(folder, tmp_path)
    file = next((copy / name).iterdir()) if name == "figures" else copy / name
    file.write_bytes(file.read_bytes() + b"\n1,2,3,4\n")
    with_its_hash(copy, file.relative_to(copy).as_posix())
    found = compare_runs(copy, folder)
    assert found.altered == ()
    assert not found.same
    assert found.as_dict()["same"] is False


@pytest.mark.parametrize(
    "entry", ["release", "study_hash", "tables", "erased", "plan", "plan_registered", "settings", "seed", "language"]
)
def test_a_manifest_that_claims_other_data_or_another_plan_is_found(folder: Path, tmp_path: Path, entry: str) -> None:
    copy = copied(folder, tmp_path)
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    manifest[entry] = {"O1": 2} if isinstance(manifest[entry], dict) else 7
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = compare_runs(copy, folder)
    assert [entry] == [*found.changed["data"], *found.changed["plan"]]
    assert not found.same


def test_a_picture_from_another_machine_is_no_difference(folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path)
    (copy / "report.html").write_bytes((copy / "report.html").read_bytes() + b" ")
    with_its_hash(copy, "report.html")
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    manifest["versions"]["matplotlib"] = "0"
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = compare_runs(copy, folder)
    assert found.documents == ("report.html",)
    assert found.same


@pytest.mark.parametrize("content", [None, "{", "[]", '{"files": 3}', '{"files": {}}'])
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"runs\.no_run"):
        compare_runs(tmp_path, tmp_path)


def test_the_instructions_name_every_file(folder: Path) -> None:
    import yaml

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    listed = yaml.safe_load((folder / "codecheck.yml").read_text(encoding="utf-8"))
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert {entry["file"] for entry in listed["manifest"]} == set(manifest["files"]) - {"README.md", "codecheck.yml"}
    assert all(f"`{entry['file']}`" in readme for entry in listed["manifest"])
    for heading in (
        "Data availability and provenance statements", "Computational requirements", "Controlled randomness",
        "Description of programs and code", "Instructions to replicators", "List of tables and programs",
    ):  # fmt: skip
        assert f"# {heading}\n" in readme
    assert manifest["code"]["lock"] in readme
    assert manifest["study_hash"] in readme


def test_the_instructions_make_the_run_again_from_its_own_folder(study: Study, tmp_path: Path) -> None:
    """What the README says is done: the plan that lies in the folder is run, under the registration beside it."""
    from bipstudy.replication import register_plan

    plan = tmp_path / "mine.yaml"
    plan.write_text("version: 1\nquestions: [participants]\nreplications: 99\nseed: 1\n", encoding="utf-8")
    register_plan(plan)
    plan.write_text(plan.read_text(encoding="utf-8").replace("seed: 1", "seed: 4"), encoding="utf-8")
    replicate(study, plan, tmp_path / "run", language="en")
    readme = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert (
        "$ bipstudy replicate POOL --plan plan.yaml --out ../again --language en\n$ bipstudy compare . ../again"
        in readme
    )
    replicate(study, tmp_path / "run" / "plan.yaml", tmp_path / "again", language="en")
    found = compare_runs(tmp_path / "run", tmp_path / "again")
    assert found.same
    assert found.documents == ()
    done = pd.read_csv(tmp_path / "again" / "deviations.csv")
    assert done[["item", "planned", "done"]].to_numpy().tolist() == [["seed", 1, 4]]
    assert verify(tmp_path / "run", study).same
