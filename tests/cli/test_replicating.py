"""Plan, replicate, verify and compare from the command line: exit codes, words in both languages, JSON."""

import json

import pytest
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy.cli import app

PLAN = "version: 1\nquestions: [participants]\nreplications: 0\n"


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of canonical tables: what `replicate` takes beside a pool."""
    folder = tmp_path_factory.mktemp("study")
    example = bip.load_example()
    for name in sorted(example.sent):
        example.tables[name].to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.yml"
    path.write_text(PLAN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(study, plan, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    invoke("replicate", study, "--plan", plan, "--out", out, "-l", "sv")
    return out


def test_a_plan_is_written_checked_and_registered(tmp_path):
    path = tmp_path / "plan åäö.yml"
    invoke("plan", "init", "--out", path)
    assert "[runs.plan_exists]" in invoke("plan", "init", "--out", path, code=2).stderr
    told = json.loads(invoke("plan", "check", path, "--json").stdout)
    assert told["plan"]["questions"] == bip.analyses.list()
    assert told["registered"] is None
    fixed = json.loads(invoke("plan", "register", path, "--json").stdout)
    assert fixed["hash"] == told["hash"]
    assert json.loads(invoke("plan", "check", path, "--json").stdout)["registered"] is True
    path.write_text(PLAN, encoding="utf-8")
    assert "ändrats" in invoke("plan", "check", path, "-l", "sv").stdout
    assert "[runs.registered_otherwise]" in invoke("plan", "register", path, code=2).stderr


@pytest.mark.parametrize(("language", "says"), [("sv", "rad 3"), ("en", "line 3")])
@pytest.mark.parametrize("command", [("plan", "check"), ("plan", "register")])
def test_a_wrong_plan_is_a_wrong_command(tmp_path, command, language, says):
    path = tmp_path / "plan.yml"
    path.write_text(PLAN + "seed: x\n", encoding="utf-8")
    path.write_text("version: 1\nquestions: [participants]\nseed: x\n", encoding="utf-8")
    assert says in invoke(*command, path, "-l", language, code=2).stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.yml"]


def test_replicate_refuses_a_wrong_plan_before_it_reads_data(tmp_path):
    path = tmp_path / "plan.yml"
    path.write_text("version: 1", encoding="utf-8")
    result = invoke("replicate", tmp_path / "nowhere", "--plan", path, "--out", tmp_path / "run", code=2)
    assert "[runs.plan_missing_key]" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_is_verified(run, study):
    result = invoke("verify", run, "--pool", study, "-l", "en")
    assert "The numbers are the same." in result.stdout
    assert "1/2" in result.stderr


def test_a_difference_ends_with_one(run, study, tmp_path):
    words = (run / "estimates.csv").read_text(encoding="utf-8")
    try:
        (run / "estimates.csv").write_text(words.replace("0.", "0.9", 1), encoding="utf-8")
        told = json.loads(invoke("verify", run, "--pool", study, "--json", code=1).stdout)
        assert told["same"] is False
        assert told["altered"] == ["estimates.csv"]
        assert told["cells"][0]["file"] == "estimates.csv"
    finally:
        (run / "estimates.csv").write_text(words, encoding="utf-8")


def test_compare_tells_two_runs_apart_and_no_run_is_refused(run, tmp_path):
    told = json.loads(invoke("compare", run, run, "--json").stdout)
    assert told["same"] is True
    assert told["changed"] == {"data": [], "plan": [], "code": []}
    assert "oförändrat" in invoke("compare", run, run, "-l", "sv").stdout
    assert "[runs.no_run]" in invoke("compare", run, tmp_path, code=1).stderr
    assert "[runs.no_run]" in invoke("verify", tmp_path, "--pool", tmp_path, code=1).stderr


@pytest.mark.parametrize("command", [("verify",), ("compare",), ("plan",), ("plan", "init"), ("plan", "register")])
def test_every_command_has_help(command):
    assert invoke(*command, "--help").stdout.strip()
