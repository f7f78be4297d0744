"""A finished run is taken out: nothing exact or small leaves, the run is untouched, the same again gives the same."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.disclosure import CHANGED, FAIL, PASS, Rules
from bipstudy.replication import Plan, check_outputs, reason, replicate
from bipstudy.texts import BipstudyError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three questions, among them one with curves and one that repeats estimates."""
    folder = tmp_path_factory.mktemp("run")
    plan = Plan(questions=("participants", "transitions", "belief"), replications=0)
    replicate(bip.load_example(), plan, folder, language="en", seed=3)
    return folder


@pytest.fixture(scope="module")
def out(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "leaving"
    check_outputs(run, out, language="en")
    return out


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _cells(content: bytes) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(content.decode())) for cell in row]


def _exact(cell: str) -> bool:
    """Say whether a cell is a number with more digits than anybody chose."""
    return (
        bool(re.fullmatch(r"-?\d*\.\d+(e-?\d+)?", cell)) and len(cell.split("e")[0].strip("-0.").replace(".", "")) > 6
    )


def assert_nothing_exact_leaves(run: Path, out: Path) -> None:
    """Hold what leaves against the run: no exact number, no count that is small or unrounded."""
    inside = {cell for path, content in _files(run).items() if path.endswith(".csv") for cell in _cells(content)}
    exact = {cell for cell in inside if _exact(cell)}
    assert len(exact) > 300
    leaves = _files(out / "leaves")
    assert not any(
        _exact(cell) for path, content in leaves.items() if path.endswith(".csv") for cell in _cells(content)
    )
    for path in (path for path in leaves if path.endswith((".html", ".json"))):
        words = re.sub(r"<svg.*?</svg>|<style.*?</style>", "", leaves[path].decode(), flags=re.DOTALL)
        assert not exact & set(re.findall(r"\d+\.\d+", words))
    for path in (path for path in leaves if path.endswith(".csv")):
        table = pd.read_csv(io.BytesIO(leaves[path]), na_values=[".."])
        for column in {"n", "events", "participants", "intervals", "at_risk", "clusters", "quarters"} & set(table):
            counts = pd.to_numeric(table[column]).dropna().abs()
            assert (counts % 5 == 0).all()
            # Nobody left out at a step of a flow says nothing of anybody; three caseworkers are enough behind a cell.
            least = 5 if column == "clusters" else 10
            assert (counts[counts > 0] >= least).all()
            assert path.startswith("flow/") or (counts > 0).all()


def test_nothing_exact_or_small_leaves(run: Path, out: Path) -> None:
    assert_nothing_exact_leaves(run, out)


def test_estimates_leave_by_the_people_behind_them(run: Path, out: Path) -> None:
    before = pd.read_csv(run / "estimates.csv")
    after = pd.read_csv(out / "leaves" / "estimates.csv", na_values=[".."])
    assert before["term"].tolist() == after["term"].tolist()
    left = after["estimate"].notna()
    assert 0 < left.sum() < before["estimate"].notna().sum()
    people = before[left & (before["term"] != "count")]
    assert (people["n"] >= 10).all()
    assert ((people["events"] >= 10) | people["events"].isna()).all()
    assert ((people["n"] - people["events"] >= 10) | people["events"].isna()).all()
    model = people[~people["scale"].isin(["share", "risk"])]
    # Rounded to three digits, a number is within half of the third.
    assert ((after.loc[model.index, "estimate"] - model["estimate"]).abs() <= 0.0051 * model["estimate"].abs()).all()


def test_the_run_is_not_changed_and_the_same_again_is_the_same_bytes(run: Path, out: Path, tmp_path: Path) -> None:
    before = _files(run)
    check_outputs(run, tmp_path / "again", language="en")
    assert _files(run) == before
    assert _files(tmp_path / "again") == _files(out)
    # Written over an earlier one, nothing of that is left.
    (tmp_path / "again" / "leaves" / "old.csv").write_text("1")
    # A command that was killed left this beside it.
    (tmp_path / ".writing-again-1").mkdir()
    check_outputs(run, tmp_path / "again", language="en")
    assert _files(tmp_path / "again") == _files(out)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_every_file_of_the_run_has_its_place_in_the_record(run: Path, out: Path) -> None:
    record = json.loads((out / "record" / "record.json").read_text(encoding="utf-8"))
    assert {each["id"] for each in record["outputs"]} == set(_files(run))
    leaves = {each["id"] for each in record["outputs"] if each["leaves"]}
    assert leaves | {"index.html", "record.json"} == set(_files(out / "leaves"))
    assert set(record["files"]) == leaves
    for each in record["outputs"]:
        assert each["leaves"] == (each["status"] in (PASS, CHANGED))
        assert (each["status"] == FAIL) == (each["held_back_because"] not in (None, "words"))
    outer = json.loads((out / "leaves" / "record.json").read_text(encoding="utf-8"))
    # Why a single cell is hidden would say which of two is the small one: that stays inside.
    assert "rows_by_reason" not in json.dumps(outer)
    assert len(outer["outputs"]) == len(leaves)


def test_the_pages_say_it_in_both_languages_and_need_nothing_from_elsewhere(run: Path, out: Path) -> None:
    found = check_outputs(run, language="sv")
    pages = [found.to_html(), *(path.read_text(encoding="utf-8") for path in out.rglob("*.html"))]
    assert "stannar i den säkra miljön" in pages[0]
    for page in pages:
        assert not re.search(r'(src|href)="(https?:)?//', page)
        words = re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
        assert not re.search(r"disclosure\.(?!csv)\w|\bnan\b|&lt;NA&gt;|\{", words)


def test_a_file_that_the_run_did_not_write_or_that_was_changed_stays(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    for name, content in _files(run).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
    (copy / "tables" / "by_person.csv").write_text("person,answer\n1,5\n")
    (copy / "notes.txt").write_text("x")
    path = copy / "tables" / "transitions_by_path.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",", ",1", 3), encoding="utf-8")
    found = check_outputs(copy)
    refused = {name: one.refused for name, one in found.outputs.items() if one.status == FAIL}
    assert refused["tables/by_person.csv"] == refused["notes.txt"] == "unknown"
    assert refused["tables/transitions_by_path.csv"] == "altered"
    assert not set(refused) & set(found.files)
    assert not found.ok


def test_a_lower_threshold_shows_more_and_a_reason_opens_only_words(run: Path) -> None:
    usual = check_outputs(run)
    lower = check_outputs(run, rules=Rules(threshold=3, owner="the owner, 2026-01-01"))
    hidden = [
        sum(one.suppressed for one in found.outputs.values() if one.frame is not None) for found in (usual, lower)
    ]
    held = [len(found.named(FAIL)) for found in (usual, lower)]
    assert (held[1], hidden[1]) < (held[0], hidden[0])
    assert usual.waiting == ["plan.yaml"]
    said = [reason(f"{name}=Read", "Reviewer", "2026-11-22") for name in ("plan.yaml", usual.named(FAIL)[0])]
    read = check_outputs(run, reasons=said)
    assert read.waiting == []
    assert set(read.files) - set(usual.files) == {"plan.yaml"}
    with pytest.raises(BipstudyError, match="reason_of_nothing"):
        check_outputs(run, reasons=[reason("other.csv=Read", "Reviewer", "2026-11-22")])


def test_each_column_that_a_question_writes_is_described(run: Path) -> None:
    """A column without a role stays inside in silence: a new one is to be described, or dropped by name."""
    found = check_outputs(run)
    undescribed = {
        name: set(one.left_out) - set(one.output.drop) - set(one.output.extremes)
        for name, one in found.outputs.items()
        if one.output.is_table
    }
    assert not any(undescribed.values()), undescribed
    # No number of a table was mistaken for words because of its name.
    assert not [name for name, one in found.outputs.items() if one.refused in ("unknown", "unlike", "altered")]


@pytest.mark.certify
# Groups of a study of three hundred are so small that fits run away, which is told as not estimated.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nothing_exact_or_small_leaves_a_run_of_every_question(tmp_path: Path) -> None:
    plan = Plan(replications=99, multiverse=True, by_group=True)
    replicate(bip.load_example(), plan, tmp_path / "run", language="sv", seed=3)
    found = check_outputs(tmp_path / "run", tmp_path / "out")
    assert_nothing_exact_leaves(tmp_path / "run", tmp_path / "out")
    assert not [name for name, one in found.outputs.items() if one.refused in ("unknown", "unlike", "altered")]
    undescribed = {name: set(one.left_out) - set(one.output.drop) for name, one in found.outputs.items()}
    assert not any(undescribed.values()), undescribed
