"""A run with Danish findings of the user's own can be made again from its folder alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.replication import Plan, read_benchmarks, replicate, verify
from bipstudy.replication.benchmarks import are_own, as_yaml
from bipstudy.study import Study

PLAN = Plan(questions=("participants", "transitions"), replications=0)
VARIABLE = "BIPSTUDY_BENCHMARKS"


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.load_example()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The published file with other shares of participants, a standard error and a second address."""
    words = (schema.folder() / "benchmarks" / "danish.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(words.replace("value: 0.46", "value: 0.2").replace("std_error: null", "std_error: 0.5", 1), "utf-8")
    return path


def test_findings_come_back_from_their_yaml_as_they_were(tmp_path: Path) -> None:
    published = read_benchmarks()
    path = tmp_path / "again.yaml"
    path.write_text(as_yaml(published), encoding="utf-8")
    assert read_benchmarks(path) == published
    assert not are_own(published)
    assert are_own(tuple(dataclasses.replace(each, std_error=0.1) for each in published))


def test_a_run_with_findings_of_its_own_says_how_it_is_made_again(
    study: Study, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(own))
    out = tmp_path / "run"
    replicate(study, PLAN, out, language="en")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["variables"] == [VARIABLE]
    assert "benchmarks.yaml" in manifest["files"]
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert f"$ export {VARIABLE}=benchmarks.yaml\n$ bipstudy replicate" in readme
    assert "`benchmarks.yaml`" in readme
    own.unlink()
    monkeypatch.setenv(VARIABLE, str(out / "benchmarks.yaml"))
    found = verify(out, study)
    assert found.same
    assert found.documents == found.changed["data"] == ()
    monkeypatch.delenv(VARIABLE)
    other = verify(out, study)
    assert not other.same
    assert "benchmarks" in other.changed["data"]


def test_a_run_with_the_findings_of_the_package_names_no_variable(study: Study, tmp_path: Path) -> None:
    replicate(study, PLAN, tmp_path, language="sv")
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["variables"] == []
    assert VARIABLE not in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert not (tmp_path / "benchmarks.yaml").exists()


def test_questionnaires_of_the_users_own_are_named(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "instruments"
    empty.mkdir()
    monkeypatch.setenv("BIPSTUDY_INSTRUMENTS", str(empty))
    replicate(study, dataclasses.replace(PLAN, questions=("participants",)), tmp_path / "run", language="sv")
    readme = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "$ export BIPSTUDY_INSTRUMENTS=INSTRUMENTS\n" in readme
    assert str(tmp_path) not in readme


def test_an_analysis_that_was_finished_with_other_findings_is_made_again(
    study: Study, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published shares are what participants are weighted to: another file moves numbers of analyses."""
    plan = dataclasses.replace(PLAN, questions=("transitions",))
    monkeypatch.setattr("bipstudy.replication.run.finish", lambda out: None)
    replicate(study, plan, tmp_path / "run", language="en")
    before = pd.read_csv(tmp_path / "run" / "estimates.csv")
    monkeypatch.setenv(VARIABLE, str(own))
    replicate(study, plan, tmp_path / "run", language="en")
    replicate(study, plan, tmp_path / "fresh", language="en")
    one, other = (pd.read_csv(tmp_path / name / "estimates.csv") for name in ("run", "fresh"))
    pd.testing.assert_frame_equal(one, other)
    assert not one.equals(before)


def test_a_danish_error_that_is_entered_fills_a_table_of_the_report(study: Study) -> None:
    from bipstudy.texts import text

    only = Plan(questions=("participants",), replications=0)
    known = tuple(dataclasses.replace(each, std_error=0.013) if each.id == "D2" else each for each in read_benchmarks())
    run = replicate(study, only, language="sv", benchmarks=known)
    caption = text("replication.table_measures", "sv")
    page = run.to_html()
    assert caption in page
    row = run.agreement.set_index("benchmark").loc["D2"]
    shown = page[page.index(caption) :].partition("</table>")[0]
    for column in ("pooled_fixed", "prediction_low", "prediction_apart_high"):
        assert f"{100 * row[column]:.1f}".replace(".", ",") in shown
    assert caption not in replicate(study, only, language="sv").to_html()
