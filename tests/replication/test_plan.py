"""A plan takes effect as written, is refused by the line where it is wrong, and a registered one is held to."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

import bipstudy as bip
from bipstudy.analyses import Result, participants
from bipstudy.analyses.common import BACKGROUND, background_without, ready, with_background
from bipstudy.replication import (
    Estimand,
    Plan,
    deviations,
    init_plan,
    read_plan,
    read_registration,
    register_plan,
    replicate,
)
from bipstudy.replication.plan import parameters
from bipstudy.replication.plan_writing import commented, plain
from bipstudy.replication.registration import sidecar
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

HEAD = "version: 1\nquestions: [belief, participants]\n"
NOW = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.load_example()


def written(folder: Path, words: str) -> Path:
    path = folder / "plan.yml"
    path.write_text(words, encoding="utf-8")
    return path


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_plan_that_is_written_reads_as_the_default(tmp_path: Path, language: str) -> None:
    path = init_plan(tmp_path / "plan.yml", language)
    words = path.read_text(encoding="utf-8")
    assert read_plan(path) == Plan()
    assert read_plan(path).hash == Plan().hash
    assert "{" not in "".join(line for line in words.splitlines() if line.startswith("  #"))
    assert all(f"- {name}" in words for name in bip.analyses.list())


def test_a_plan_is_not_written_over(tmp_path: Path) -> None:
    path = written(tmp_path, "mine")
    with pytest.raises(BipstudyError, match=r"runs\.plan_exists"):
        init_plan(path)
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ("", "plan_missing_key", 1),
        ("- a", "plan_wrong_value", 1),
        ("version: 1", "plan_missing_key", 1),
        ("version: 2\nquestions: [belief]", "plan_wrong_value", 1),
        ("version: 1\nquestions: [belief", "plan_not_yaml", 2),
        ("version: 1\nquestions: [nobody]", "plan_wrong_value", 2),
        ("version: 1\nquestions: []", "plan_wrong_value", 2),
        ("version: 1\nquestions: [belief, belief]", "plan_wrong_value", 2),
        (HEAD + "sedd: 1", "plan_unknown_key", 3),
        (HEAD + "seed: 1\nseed: 2", "plan_twice", 4),
        (HEAD + "seed: -1", "plan_wrong_value", 3),
        (HEAD + "seed: yes", "plan_wrong_value", 3),
        (HEAD + "replications: 12", "plan_wrong_value", 3),
        (HEAD + "release: 0", "plan_wrong_value", 3),
        (HEAD + "missing_data: complete_cases", "plan_wrong_value", 3),
        (HEAD + "definitions:\n  outcome: everything", "plan_wrong_value", 4),
        (HEAD + "definitions:\n  horizon_months: 0", "plan_wrong_value", 4),
        (HEAD + "definitions:\n  horizon_months: .inf", "plan_wrong_value", 4),
        (HEAD + "definitions:\n  washout_days: 1.5", "plan_wrong_value", 4),
        (HEAD + "definitions:\n  horizon: 12", "plan_unknown_key", 4),
        ("version: 1\nquestions: [participants]\ndefinitions:\n  outcome: broad", "plan_nowhere_used", 4),
        (HEAD + "settings:\n  belief:\n    step_months: 3", "plan_not_taken", 5),
        (HEAD + "settings:\n  continuity:\n    step_months: 3", "plan_not_asked", 5),
        (HEAD + "settings:\n  nobody: {a: 1}", "plan_unknown_key", 4),
        (HEAD + "primary: mine", "plan_wrong_value", 3),
        (HEAD + "primary:\n  belief: []", "plan_wrong_value", 4),
        (HEAD + "primary:\n  belief:\n    - scale: risk_ratio", "plan_missing_key", 5),
        (HEAD + "primary:\n  belief:\n    - {contrast: a, scale: inches}", "plan_wrong_value", 5),
        (HEAD + "leave_out: [shoe_size]", "plan_wrong_value", 3),
        (HEAD + "smallest_effect:\n  risk_ratio: 0.9", "plan_wrong_value", 4),
        (HEAD + "multiverse: maybe", "plan_wrong_value", 3),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, words: str, code: str, line: int) -> None:
    with pytest.raises(BipstudyError) as caught:
        read_plan(written(tmp_path, words))
    assert caught.value.code == f"runs.{code}"
    assert f"plan.yml, line {line}:" in caught.value.message("en")
    assert f"plan.yml, rad {line}:" in caught.value.message("sv")


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BipstudyError, match=r"runs\.plan_not_text"):
        read_plan(tmp_path / "plan.yml")
    with pytest.raises(BipstudyError, match=r"runs\.no_plan"):
        read_plan(tmp_path / "nowhere.yml")


def test_the_hash_is_of_what_the_plan_says(tmp_path: Path) -> None:
    first = read_plan(written(tmp_path, HEAD + "# a remark\ndefinitions: {horizon_months: 12.0, washout_days: 30}"))
    second = read_plan(written(tmp_path, "questions:\n- participants\n- belief\nseed: 1\nversion: 1\n"))
    assert first.hash == second.hash == read_plan(written(tmp_path, plain(first))).hash
    assert read_plan(written(tmp_path, HEAD + "seed: 2")).hash != first.hash


def test_what_no_question_uses_is_no_part_of_the_plan(tmp_path: Path) -> None:
    plan = Plan(questions=("participants",))
    for words in (plain(plan), commented(plan, "en")):
        assert read_plan(written(tmp_path, words)).hash == plan.hash


def test_every_question_gets_the_definitions_it_takes_and_no_other() -> None:
    plan = Plan(definitions={"outcome": "broad", "horizon_months": 6, "washout_days": 60})
    for name in bip.analyses.list():
        given = plan.arguments(name)
        assert set(given) == set(plan.definitions) & set(parameters(name))
        assert all(given[each] == plan.definitions[each] for each in given)
    own = Plan(settings={"belief": {"horizon_months": 24}})
    assert own.arguments("belief")["horizon_months"] == 24
    assert own.arguments("indicators")["horizon_months"] == 12


def test_definitions_reach_the_analysis(study: Study) -> None:
    plan = Plan(questions=("transitions",), definitions={"outcome": "narrow", "horizon_months": 6}, replications=0)
    found = replicate(study, plan, language="en").estimates
    assert set(found["horizon_months"]) == {6}
    assert found.loc[found["role"] == "primary", "outcome"].tolist() == ["work_narrow"]


def test_what_is_left_out_is_not_adjusted_for(study: Study) -> None:
    frame = ready(bip.build_panel(study))
    _, everything = with_background(frame)
    with background_without(["sex", "months_since_work"]):
        _, fewer = with_background(frame)
    gone = {term for term in everything if term.startswith(("bg_sex_", "bg_months_since_work"))}
    assert gone
    assert fewer == [term for term in everything if term not in gone]
    with background_without(BACKGROUND):
        assert with_background(frame)[1] == []
    assert with_background(frame)[1] == everything


def test_a_run_passes_on_what_is_left_out(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def answer(given: Study, **_: object) -> Result:
        seen.append(with_background(ready(bip.build_panel(given)))[1])
        return participants(given)

    monkeypatch.setattr(bip.analyses, "participants", answer)
    replicate(study, Plan(questions=("participants",), leave_out=BACKGROUND), language="en")
    assert seen == [[]]


def test_what_the_plan_calls_primary_is_primary(study: Study) -> None:
    wanted = {"participants": (Estimand("mental_ill_health", scale="share"), Estimand("nothing_known"))}
    run = replicate(study, Plan(questions=("participants",), primary=wanted, replications=0), language="en")
    main = run.estimates[run.estimates["role"] == "primary"]
    assert set(main["contrast"]) == {"mental_ill_health"}
    assert dict(zip(run.planned["contrast"], run.planned["status"], strict=True)) == {
        "mental_ill_health": "estimated",
        "nothing_known": "not_delivered",
    }


def test_a_registered_plan_is_fixed(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD)
    first = register_plan(path, now=NOW)
    assert first.registered_at == "2026-03-01T12:30:00+00:00"
    assert register_plan(path, now=NOW + dt.timedelta(days=3)) == first == read_registration(path)
    written(tmp_path, HEAD + "seed: 9")
    with pytest.raises(BipstudyError, match=r"runs\.registered_otherwise"):
        register_plan(path, now=NOW)


@pytest.mark.parametrize("change", [lambda plan: plan["plan"].update(seed=5), lambda plan: plan.pop("plan_hash")])
def test_a_changed_registration_is_found_out(tmp_path: Path, change: object) -> None:
    path = written(tmp_path, HEAD)
    register_plan(path, now=NOW)
    content = json.loads(sidecar(path).read_text(encoding="utf-8"))
    change(content)  # type: ignore[operator]
    sidecar(path).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BipstudyError, match=r"runs\.registration_changed"):
        read_registration(path)


def test_every_deviation_is_listed(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "release: 1")
    fixed = register_plan(path, now=NOW)
    assert deviations(fixed, read_plan(path), 1).empty
    done = read_plan(
        written(tmp_path, "version: 1\nquestions: [belief, continuity]\ndefinitions: {washout_days: 60}\nseed: 2")
    )
    table = deviations(fixed, done, 2).set_index("item")
    assert set(table.index) == {
        "release", "questions.continuity", "questions.participants", "definitions.washout_days", "seed",
    }  # fmt: skip
    assert tuple(table.loc["definitions.washout_days"]) == ("30", "60")
    assert tuple(table.loc["questions.participants"]) == ("participants", "–")
    assert deviations(None, done, 2).empty


def test_a_run_says_what_was_registered(tmp_path: Path, study: Study) -> None:
    path = written(tmp_path, "version: 1\nquestions: [participants]\nreplications: 0")
    register_plan(path, now=NOW)
    written(tmp_path, "version: 1\nquestions: [participants]\nreplications: 0\nseed: 4")
    run = replicate(study, path, language="en")
    page = run.to_html()
    assert run.deviations["item"].tolist() == ["seed"]
    assert "registered on 2026-03-01" in page
    assert run.birth["plan_registered"]["registered_at"].startswith("2026-03-01")
    assert run.birth["plan"] == run.plan.hash != run.registration.plan_hash  # type: ignore[union-attr]
    assert "No registered plan" in replicate(study, Plan(questions=("participants",)), language="en").to_html()
