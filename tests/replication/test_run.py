"""The files of a replication: the same bytes again, everything in them, nothing that leaves the machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.replication import Plan, Run, read_benchmarks, replicate
from bipstudy.replication.layouts import LAYOUTS, printed
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, catalogue


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.load_example()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(study: Study, folder: Path) -> Run:
    """The one run of every question; what is written of it is in `folder`."""
    return replicate(study, out=folder, language="sv", seed=3)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _shuffled(study: Study) -> Study:
    return Study.from_tables(
        {name: study.tables[name].sample(frac=1, random_state=1) for name in reversed(sorted(study.sent))}
    )


@pytest.mark.certify
def test_rows_in_another_order_give_the_same_bytes(study: Study, tmp_path: Path) -> None:
    plan = Plan(questions=("participants", "continuity"), replications=99)
    for name, each in (("a", study), ("b", _shuffled(study))):
        replicate(each, plan, out=tmp_path / name, language="sv")
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


@pytest.mark.certify
@pytest.mark.usefixtures("run")
def test_two_runs_of_every_question_give_the_same_bytes(study: Study, folder: Path, tmp_path: Path) -> None:
    replicate(_shuffled(study), out=tmp_path, language="sv", seed=3)
    assert _files(tmp_path) == _files(folder)


@pytest.mark.usefixtures("run")
def test_the_manifest_says_where_the_numbers_come_from(study: Study, folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["study_hash"] == study.hash
    assert manifest["release"] is None
    assert manifest["seed"] == 3
    assert manifest["versions"]["bipstudy"] == bip.__version__
    assert set(manifest["tables"]) == {name for name, frame in study.tables.items() if len(frame)}
    files = _files(folder)
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256(files[name]).hexdigest() == digest


def test_the_files_hold_the_numbers_of_the_run_with_all_their_digits(run: Run, folder: Path) -> None:
    written = pd.read_csv(folder / "estimates.csv", float_precision="round_trip")
    assert list(written.columns) == list(run.estimates.columns)
    np.testing.assert_array_equal(written["estimate"], run.estimates["estimate"])
    rows = json.loads((folder / "estimates.json").read_text(encoding="utf-8"))["estimates"]
    assert [row["estimate"] for row in rows] == [None if np.isnan(x) else x for x in run.estimates["estimate"]]
    agreed = pd.read_csv(folder / "agreement.csv")
    assert agreed["benchmark"].tolist() == [benchmark.id for benchmark in read_benchmarks()]


def test_cells_that_rest_on_too_few_are_listed_by_file_row_and_column(run: Run, folder: Path) -> None:
    listed = pd.read_csv(folder / "disclosure.csv")
    counts = listed[listed["reason"] == "count"]
    assert len(counts)
    for file, row, column, _ in counts.itertuples(index=False):
        value = pd.read_csv(folder / file)[column].iloc[row - 1]
        assert 0 < value < run.plan.disclosure_threshold
    estimates = run.estimates
    small = ((estimates["n"] > 0) & (estimates["n"] < run.plan.disclosure_threshold)).sum()
    of_estimates = counts[(counts["file"] == "estimates.csv") & (counts["column"] == "n")]
    assert len(of_estimates) == small
    assert "disclosure.csv" in (folder / "report.html").read_text(encoding="utf-8")


def test_each_finding_that_is_not_met_yet_says_so(run: Run) -> None:
    verdicts = run.agreement.set_index("benchmark")["verdict"]
    assert not set(verdicts.index[verdicts == "not computed"])
    assert {"R16_wages", "R16_medicines", "D6", "D11"} == set(verdicts.index[verdicts == "not computable"])
    assert "not comparable" not in set(verdicts)


@pytest.mark.usefixtures("run")
def test_the_page_holds_all_it_needs(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<script" not in page
    for name in bip.analyses.list():
        assert catalogue("analyses")[f"{name}.question"]["sv"] in page
    words = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", page, flags=re.DOTALL)
    left = re.findall(r"analyses\.\w|replication\.\w|code:|item:|\bNone\b|\bnan\b|\bNaN\b|&lt;NA&gt;|\{", words)
    assert not left


def test_the_page_is_written_in_english_too(study: Study, run: Run) -> None:
    page = dataclasses.replace(run, language="en").to_html()
    assert "Beside the Danish study" in page
    assert 'lang="en"' in page
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(och|eller|deltagare|inte)\b", text)


def test_every_table_of_every_analysis_has_a_layout(run: Run) -> None:
    tables = {
        f"{name}.{table}": frame for name, result in run.results.items() for table, frame in result.tables.items()
    }
    assert set(tables) == set(LAYOUTS)
    for name, frame in tables.items():
        shown = printed(name, frame, "en")
        assert len(shown) == len(frame)
        assert shown.columns.is_unique


def test_progress_is_told_once_for_each_analysis_and_once_for_the_report(study: Study) -> None:
    told: list[str] = []
    plan = Plan(questions=("participants", "measurement"), replications=0)
    replicate(study, plan, language="en", progress=told.append)
    assert len(told) == len(plan.questions) + 1
    assert told[-1] == "Report"


def test_a_plan_may_ask_for_the_estimates_by_group(study: Study, tmp_path: Path) -> None:
    plan = Plan(questions=("transitions", "measurement"), replications=0, by_group=True)
    run = replicate(study, plan, out=tmp_path, language="en")
    assert [*run.groups] == ["transitions"]
    own = run.groups["transitions"].estimates
    by_sex = own[own["term"].str.contains("sex")].reset_index(drop=True)
    pd.testing.assert_frame_equal(by_sex, bip.analyses.by_group("transitions", study, by="sex").estimates)
    kept = pd.read_csv(tmp_path / "groups" / "transitions.csv", float_precision="round_trip")
    np.testing.assert_array_equal(kept["estimate"], own["estimate"])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "primary estimates by group" in page
    # The usual definitions are named in a plan: it is the weighted estimates' question all the same.
    assert own["term"].str.endswith(("population=own", "population=danish_shares")).sum() == 2
    assert "Composition" in page.split("primary estimates by group")[1]
    # What is made by group belongs to no question's own estimates.
    assert not run.estimates["term"].str.contains("sex").any()


def test_a_question_that_cannot_be_answered_does_not_stop_the_others(study: Study, tmp_path: Path) -> None:
    without = Study.from_tables({name: study.tables[name] for name in study.sent - {"outcomes"}})
    run = replicate(without, out=tmp_path, language="sv")
    answered = {"participants", "activities", "measurement", "training"}
    assert set(run.skipped) == set(bip.analyses.list()) - answered
    assert set(run.results) == answered
    assert "outcomes (utfall)" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert run.agreement.set_index("benchmark").loc["R7", "verdict"] == "not computed"


def test_a_danish_error_that_a_user_adds_fills_in_what_waited(study: Study, run: Run) -> None:
    mine = tuple(dataclasses.replace(each, std_error=0.1) if each.id == "R3" else each for each in read_benchmarks())
    row = dataclasses.replace(run, benchmarks=mine).agreement.set_index("benchmark").loc["R3"]
    assert row["verdict"] in ("consistent", "inconsistent", "inconclusive")
    assert 0 <= row["difference_p"] <= 1
    assert run.agreement.set_index("benchmark").loc["R3", "difference_p"] == "not computable"


def test_what_is_no_plan_is_refused(study: Study) -> None:
    with pytest.raises(BipstudyError) as caught:
        replicate(study, plan={"seed": 1})  # type: ignore[arg-type]
    assert caught.value.code == "runs.plan_of_other_kind"


def test_replicate_is_a_public_name() -> None:
    assert bip.replicate is replicate
