"""Bands, verdicts and determinism, and that a wrong estimator is found out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from typer.testing import CliRunner
from wrong_estimators import (
    design,
    doubled,
    failing_at_times,
    halved,
    right,
    shifted,
    shifted_without_interval,
    without_interval,
)

import bipstudy as bip
from bipstudy.certification import bands, certify, designs, gather, judge, run_designs, steps
from bipstudy.certification import certificate as certificate_module
from bipstudy.certification import evidence as evidence_module
from bipstudy.cli import app
from bipstudy.texts import BipstudyError, catalogue


def verdict(estimate, replicates=200, **more):
    return judge(run_designs([design(estimate, **more)], replicates=replicates)).iloc[0]


def test_bands_are_those_stated():
    assert bands(1000, 30) == (0.924, 0.973)


@pytest.mark.parametrize(
    ("replicates", "rows", "coverage"), [(60, 35, 0.95), (200, 34, 0.93), (1000, 30, 0.95), (7, 1, 0.5)]
)
def test_bands_leave_at_most_one_per_cent_outside_and_could_not_be_narrower(replicates, rows, coverage):
    low, high = (round(share * replicates) for share in bands(replicates, rows, coverage))
    tail = 0.01 / rows / 2
    below, above = binom.cdf(low - 1, replicates, coverage), binom.sf(high, replicates, coverage)
    assert below <= tail
    assert above <= tail
    # One count less on either side would be too much.
    assert binom.cdf(low, replicates, coverage) > tail
    assert binom.sf(high - 1, replicates, coverage) > tail


def test_a_right_estimator_holds():
    row = verdict(right)
    assert row["ok"]
    assert row["error_ratio"] == pytest.approx(1, abs=0.15)
    assert row["failed"] == 0


def test_an_error_that_is_halved_fails_by_coverage():
    row = verdict(halved)
    assert not row["ok"]
    assert not row["coverage_ok"]
    # 67 per cent of a t statistic lies within one error.
    assert row["coverage"] == pytest.approx(0.68, abs=0.1)
    assert row["error_ratio"] == pytest.approx(0.5, abs=0.08)


def test_an_error_that_is_doubled_fails_by_coverage_with_enough_replicates():
    assert not verdict(doubled, 1000)["coverage_ok"]


def test_a_bias_of_half_an_error_fails():
    row = verdict(shifted)
    assert not row["bias_ok"]
    assert not row["ok"]


def test_an_expected_bias_is_no_failure_and_its_absence_is():
    assert verdict(shifted, bias=0.5 / np.sqrt(50), coverage=0.92)["bias_ok"]
    assert not verdict(right, bias=0.5 / np.sqrt(50))["bias_ok"]


def test_coverage_is_held_against_what_theory_says():
    # Half the error covers in two thirds: told beforehand, that is right; told otherwise, 95 per cent is wrong.
    assert verdict(halved, coverage=0.68)["coverage_ok"]
    assert not verdict(right, coverage=0.68)["coverage_ok"]


def test_one_replicate_without_an_answer_fails_the_row():
    row = verdict(failing_at_times)
    assert row["failed"] > 0
    assert not row["ok"]


def test_without_an_interval_only_bias_is_judged():
    row = verdict(without_interval)
    assert row["ok"]
    assert np.isnan(row["coverage"])
    assert not verdict(shifted_without_interval)["ok"]


def test_numbers_do_not_depend_on_processes_order_or_length():
    chosen = [design(right), design(halved, name="other")]
    one = run_designs(chosen, replicates=60, n_jobs=1)
    two = run_designs(chosen[::-1], replicates=60, n_jobs=2)[::-1]
    for first, second in zip(one, two, strict=True):
        assert first.intervals.tobytes() == second.intervals.tobytes()
    assert run_designs(chosen[:1], replicates=30)[0].intervals.tobytes() == one[0].intervals[:30].tobytes()
    assert not np.array_equal(one[0].intervals, run_designs(chosen[:1], replicates=60, seed=2)[0].intervals)
    # Two designs do not share random numbers.
    assert not np.array_equal(one[0].intervals[:, 0], one[1].intervals[:, 0])


@pytest.mark.certify
def test_real_estimators_give_the_same_bytes_on_two_processes():
    chosen = [design for design in designs() if design.name in ("cox", "linear_two_absorbed", "imputation")]
    one, two = (run_designs(chosen, replicates=30, n_jobs=jobs) for jobs in (1, 2))
    assert [run.intervals.tobytes() for run in one] == [run.intervals.tobytes() for run in two]


def test_every_design_has_its_words_and_those_that_differ_their_reason():
    words = catalogue("certification")
    for each in designs():
        assert f"design.{each.name}" in words
        assert getattr(bip.models, each.estimator.removeprefix("models."))
        assert each.kind == "estimator"
        assert bool(each.reason) == (each.coverage != 0.95 or each.bias != 0)
        assert not each.reason or f"reason.{each.reason}" in words


def test_every_requirement_has_its_words_and_its_tests():
    root = evidence_module.checkout()
    for name, patterns in evidence_module.requirements(full=True).items():
        assert f"requirement.{name}" in catalogue("certification")
        assert all(list(root.glob(pattern)) for pattern in patterns), name


@pytest.fixture
def small_checkout(tmp_path, monkeypatch):
    few = {"linear": ("tests/models/test_*.py",), "cox": ("tests/models/test_cox*.py",)}
    monkeypatch.setattr(evidence_module, "_ESTIMATORS", few)
    tests = tmp_path / "tests" / "models"
    tests.mkdir(parents=True)
    (tests / "test_linear.py").write_text("def test_a():\n    pass\ndef test_b():\n    assert False\n")
    (tests / "test_imputation.py").write_text(
        "import pytest\n@pytest.mark.skip\ndef test_a():\n    pass\ndef test_b():\n    pass\n"
    )
    # A module whose name begins like another's.
    (tests / "test_linear_more.py").write_text("class TestIt:\n    def test_a(self):\n        pass\n")
    (tests / "test_prediction.py").write_text("import nothing_of_that_name\n")
    (tests / "test_fine_gray.py").write_text("import pytest\n@pytest.mark.skip\ndef test_a():\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    certify\n    browser\n")
    return tmp_path


@pytest.mark.certify
def test_tests_are_counted_and_an_empty_denominator_is_no_proof(small_checkout):
    found = gather(root=small_checkout)
    assert found.state == "run"
    rows = found.rows.set_index("module")
    columns = ["passed", "failed", "skipped", "ok"]
    assert rows.loc["tests/models/test_linear.py", columns].tolist() == [1, 1, 0, False]
    assert rows.loc["tests/models/test_linear_more.py", columns].tolist() == [1, 0, 0, True]
    assert rows.loc["tests/models/test_imputation.py", columns].tolist() == [1, 0, 1, True]
    # A module that cannot be read, one whose tests are all skipped, and a requirement without a module.
    assert not rows.loc["tests/models/test_prediction.py", "ok"]
    assert rows.loc["tests/models/test_fine_gray.py", columns].tolist() == [0, 0, 1, False]
    assert not rows.loc["tests/models/test_cox*.py", "ok"]


@pytest.mark.certify
def test_slow_evidence_is_part_of_the_whole_certificate(small_checkout, monkeypatch):
    """A module of slow tests alone would else be one in which nothing passed."""
    monkeypatch.setattr(evidence_module, "_WHOLE", {})
    slow = "import pytest\npytestmark = pytest.mark.certify\ndef test_a():\n    pass\n"
    (small_checkout / "tests" / "models" / "test_slow.py").write_text(slow)
    for full in (False, True):
        rows = gather(full=full, root=small_checkout).rows.set_index("module")
        assert rows.loc["tests/models/test_slow.py", ["passed", "ok"]].tolist() == [int(full), full]


@pytest.fixture
def few(monkeypatch):
    """Two designs instead of all."""
    chosen = [design(right), design(halved, name="cox")]
    monkeypatch.setattr(certificate_module, "designs", lambda: tuple(chosen))
    monkeypatch.setattr(certificate_module, "estimand_designs", tuple)
    return chosen


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_certificate_says_plainly_what_fails(few, tmp_path, language):
    given = certify(replicates=100, tests=False, out=tmp_path, language=language)
    assert not given.ok
    assert given.failing() == ("cox",)
    page = (tmp_path / "certificate.html").read_text(encoding="utf-8")
    assert {"sv": "Allt håller inte", "en": "Not everything holds"}[language] in page
    assert {"sv": "HÅLLER INTE", "en": "FAILS"}[language] in page
    assert {"sv": "begärdes inte", "en": "was not asked for"}[language] in page
    written = json.loads((tmp_path / "certificate.json").read_text(encoding="utf-8"))
    assert written["failing"] == ["cox"]
    assert [row["ok"] for row in written["rows"]] == [True, False]
    assert written["evidence"] == {"state": "not_asked", "rows": []}


def test_two_certificates_differ_in_nothing_but_the_date(few):
    first, second = (certify(replicates=20, tests=False, seed=3).as_dict() for _ in range(2))
    first.pop("created"), second.pop("created")
    assert first == second


@pytest.mark.certify
def test_failing_tests_fail_the_certificate(few, small_checkout, monkeypatch):
    few.pop()
    monkeypatch.setattr(evidence_module, "checkout", lambda: small_checkout)
    given = certify(replicates=100)
    assert given.rows["ok"].all()
    assert not given.ok
    assert "tests/models/test_linear.py" in given.failing()
    assert "tests/models/test_linear.py: tests passed 1, failed 1, skipped 0." in given.to_html()


def test_outside_a_checkout_the_tests_are_said_not_to_have_run(few, monkeypatch):
    few.pop()
    monkeypatch.setattr(evidence_module, "checkout", lambda: None)
    given = certify(replicates=100)
    assert given.ok
    assert given.evidence.state == "no_checkout"
    assert "This part was not run" in given.to_html()


def test_progress_is_told_as_often_as_announced(monkeypatch):
    calls = []
    monkeypatch.setattr(certificate_module, "run_designs", lambda chosen, progress, **_: [
        (progress(each.name), run_designs([design(right, name=each.name)], replicates=2)[0])[1] for each in chosen
    ])  # fmt: skip
    monkeypatch.setattr(certificate_module, "run_studies", lambda chosen, progress, **_: (
        [progress(scenario) for scenario in dict.fromkeys(each.scenario for each in chosen)] and ()
    ))  # fmt: skip
    monkeypatch.setattr(
        evidence_module, "run_modules", lambda root, modules, slow: {key: {"ok": True} for key in modules}
    )
    certify(replicates=2, studies=2, progress=calls.append)
    assert len(calls) == steps()


@pytest.mark.parametrize("wrong", [{"language": "da"}, {"replicates": 1}, {"studies": 1}, {"seed": -1}])
def test_a_wrong_call_is_refused(few, wrong):
    with pytest.raises(BipstudyError):
        certify(tests=False, **{"replicates": 2, **wrong})


def test_the_command_writes_the_certificate_and_exits_with_one_if_something_fails(few, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_module, "checkout", lambda: None)
    monkeypatch.setattr(certificate_module, "checkout", lambda: None)
    result = CliRunner().invoke(app, ["certify", "--out", str(tmp_path), "--language", "sv"])
    assert result.exit_code == 1
    assert "Det här håller inte: cox." in result.stdout
    assert (tmp_path / "certificate.html").is_file()
    few.pop()
    result = CliRunner().invoke(app, ["certify", "--json", "--jobs", "2"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True
    assert CliRunner().invoke(app, ["certify", "--seed", "-1"]).exit_code == 2


def test_the_page_in_the_docs_shows_every_design():
    page = (Path(bip.__file__).parents[2] / "docs" / "certificate.md").read_text(encoding="utf-8")
    words = catalogue("certification")
    assert [each.name for each in designs() if words[f"design.{each.name}"]["en"] not in page] == []


def test_rows_have_the_columns_documented():
    table = judge(run_designs([design(right)], replicates=5))
    assert all(column in judge.__doc__ for column in table.columns)
    assert isinstance(table, pd.DataFrame)
