"""Rows about whole analyses: each estimand is found, wrong ones are found out, and the page says what fails."""

from __future__ import annotations

import dataclasses
import json
import zlib

import numpy as np
import pandas as pd
import pytest
from wrong_estimators import design, right, shifted

import bipstudy as bip
from bipstudy.analyses.headlines import headlines
from bipstudy.certification import certificate as certificate_module
from bipstudy.certification import certify, estimand_designs, estimands, judge, run_designs, run_studies
from bipstudy.certification import studies as room
from bipstudy.certification.estimands import answer
from bipstudy.certification.page import estimand_words
from bipstudy.study import Study
from bipstudy.texts import LANGUAGES, catalogue

BY_NAME = {each.name: each for each in estimands()}
DESIGNS = {each.name: each for each in estimand_designs()}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    names = ["participants", "transitions", "indicators", "continuity", "activities", "training"]
    return headlines(bip.load_example(), names)


def test_every_primary_estimand_of_every_analysis_has_a_row() -> None:
    assert {each.analysis for each in estimands()} == set(bip.analyses.list())
    assert len(BY_NAME) == len(estimands())
    # What has an association to be missing is tried where there is none.
    untested = {each.analysis for each in estimands()} - {
        each.analysis for each in estimands() if "null" in each.scenarios
    }
    assert untested == {"participants", "transitions", "measurement"}


def test_each_is_found_once_among_the_primary_estimates(table: pd.DataFrame) -> None:
    primary = table[table["role"] == "primary"]
    chosen = [each for each in estimands() if each.analysis in set(table["analysis"]) and each.test == "interval"]
    for each in chosen:
        rows = primary[primary["analysis"] == each.analysis]
        for column, value in each.where.items():
            rows = rows[rows[column] == value]
        # A share that meets two Danish findings stands there twice.
        assert len(rows.drop(columns="benchmark").drop_duplicates()) == 1, each.name
        assert each.log == rows["scale"].isin(["risk_ratio", "hazard_ratio"]).all(), each.name
    shares = primary[primary["analysis"] != "participants"]
    assert len(shares) == sum(each.analysis != "participants" for each in chosen)


def test_a_ratio_is_given_as_a_logarithm(table: pd.DataFrame) -> None:
    row = table[table["analysis"] == "continuity"].iloc[0]
    found = answer(BY_NAME["continuity.first_change"], table)
    assert found == pytest.approx(
        (np.log(row["estimate"]), row["std_error"], np.log(row["conf_low"]), np.log(row["conf_high"]))
    )


def test_holm_rejects_when_the_smallest_p_value_does_after_correction() -> None:
    rows = pd.DataFrame({"analysis": "indicators", "role": "primary", "p_value": [0.004, 0.5, 0.9] + [0.7] * 8})
    holm = BY_NAME["indicators.any_by_holm"]
    assert answer(holm, rows)[2] == np.inf
    # 11 times 0.005 is more than 0.05.
    assert answer(holm, rows.replace(0.004, 0.005))[2] == -np.inf


def test_a_p_value_decides_whether_nothing_is_held(table: pd.DataFrame) -> None:
    rows = pd.DataFrame({"analysis": "belief", "contrast": "belief_iv_anderson_rubin", "p_value": [0.049]})
    weak = BY_NAME["belief.anderson_rubin"]
    assert answer(weak, rows) == pytest.approx((0.0, np.nan, np.inf, np.inf), nan_ok=True)
    assert answer(weak, rows.assign(p_value=0.05))[2:] == (-np.inf, np.inf)
    assert np.isnan(answer(weak, table)).all()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_row_has_its_words(language: str) -> None:
    words = catalogue("certification")
    for name, each in DESIGNS.items():
        assert estimand_words(name, language)
        analysis = each.estimator.removeprefix("analyses.")
        keys = (f"analysis.{analysis}", f"truth.{analysis}", f"scenario.{each.scenario}")
        assert all(words[key][language] for key in (*keys, f"estimands_caption.{each.scenario}"))


CHOSEN = [
    DESIGNS[name]
    for name in (
        "null.activities.transition",
        "null.readiness.gain",
        "null.caseworkers.none",
        "null.belief.anderson_rubin",
    )
]


def _fake(error: float = 1.0, shift: float = 0.0, missing: bool = False):
    """Return what stands for the analyses: normal estimates with this error claimed, of nothing."""

    def table(seed: int, analyses: list[str]) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        z = rng.normal(size=4) + shift
        p_value = 2 * (1 - 0.5 * (1 + np.vectorize(_erf)(np.abs(z[3]) / error / np.sqrt(2))))
        low, high = z - 1.959964 * error, z + 1.959964 * error
        rows = [
            ("activities", "", "risk_ratio", np.exp(z[0]), error, np.exp(low[0]), np.exp(high[0]), np.nan),
            ("readiness", "prediction_over_background", "auc", z[1], error, low[1], high[1], np.nan),
            ("caseworkers", "sd_true_effects", "", max(z[2], 0), error, max(low[2], 0), max(high[2], 0), np.nan),
            ("belief", "belief_iv_anderson_rubin", "", z[3], np.nan, np.nan, np.nan, p_value),
        ]
        columns = ["analysis", "contrast", "scale", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
        found = pd.DataFrame(rows, columns=columns).assign(role="primary")
        return found[found["analysis"] != "readiness"] if missing and seed % 7 == 0 else found

    return table


def _erf(x: float) -> float:
    from math import erf

    return erf(x)


def _judged(monkeypatch: pytest.MonkeyPatch, **wrong: float | bool) -> pd.DataFrame:
    monkeypatch.setattr(room, "draw", lambda scenario, rng: int(rng.integers(1_000_000)))
    monkeypatch.setattr(room, "_table", _fake(**wrong))
    return judge(run_studies(CHOSEN, replicates=250)).set_index("name")


def test_right_analyses_hold_and_find_something_as_often_as_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _judged(monkeypatch)
    assert rows["ok"].all()
    for name, size in (("activities.transition", 0.05), ("readiness.gain", 0.025), ("belief.anderson_rubin", 0.05)):
        # Of 250 studies a share of 0.05 has a standard error of 0.014.
        assert rows.loc[f"null.{name}", "rejects"] == pytest.approx(size, abs=0.042)
    # At the edge, or one-sided, covering more often is no fault.
    assert rows.loc["null.caseworkers.none", "coverage"] > 0.95
    assert rows.loc["null.caseworkers.none", "band_high"] == 1


def test_errors_that_are_halved_are_found_out_in_every_kind_of_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _judged(monkeypatch, error=0.5)
    assert not rows["ok"].any()
    assert not rows["coverage_ok"].any()


def test_a_gain_that_is_not_there_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _judged(monkeypatch, shift=0.7)
    assert not rows.loc["null.activities.transition", "bias_ok"]
    assert not rows.loc["null.readiness.gain", "ok"]


def test_a_study_without_an_answer_fails_its_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _judged(monkeypatch, missing=True)
    assert rows.loc["null.readiness.gain", "failed"] > 0
    assert not rows.loc["null.readiness.gain", "ok"]
    assert rows.drop("null.readiness.gain")["ok"].all()


def test_an_analysis_that_breaks_is_left_out_and_the_others_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(study: Study, names: list[str]) -> pd.DataFrame:
        if "belief" in names:
            raise ValueError("no answer")
        return pd.DataFrame({"analysis": names})

    monkeypatch.setattr("bipstudy.analyses.headlines.headlines", broken)
    assert room._table(bip.load_example(), ["transitions", "belief", "training"])["analysis"].tolist() == [
        "transitions",
        "training",
    ]


def test_the_error_of_a_truth_counts() -> None:
    wrong = design(shifted)
    assert not judge(run_designs([wrong], replicates=200)).iloc[0]["bias_ok"]
    # Half a standard error of a mean of 50 is 0.07.
    unsure = dataclasses.replace(wrong, truth_error=0.05)
    assert judge(run_designs([unsure], replicates=200)).iloc[0]["bias_ok"]


def test_without_a_truth_only_power_is_shown() -> None:
    row = judge(run_designs([design(shifted, judged="nothing", no_effect=0.0)], replicates=50)).iloc[0]
    assert row["ok"]
    assert row["rejects"] == 1
    assert np.isnan(row["coverage"])
    assert np.isnan(row["truth"])


def test_numbers_do_not_depend_on_what_else_is_run() -> None:
    chosen = [DESIGNS["danish_twin.training.change_after_refresher"], DESIGNS["danish_twin.transitions.everyone"]]
    together = run_studies(chosen, replicates=2)
    # Fewer studies, and fewer rows, give the same numbers; and so does the row alone.
    assert run_studies(chosen[1:], replicates=1)[0].intervals.tobytes() == together[1].intervals[:1].tobytes()
    seed = np.random.SeedSequence([1, zlib.crc32(b"danish_twin")]).spawn(2)[1]
    alone = chosen[1].estimate(chosen[1].draw(np.random.default_rng(seed)))
    assert alone == pytest.approx(together[1].intervals[1], rel=1e-12)


@pytest.mark.certify
def test_studies_give_the_same_bytes_on_two_processes() -> None:
    chosen = [DESIGNS["danish_twin.transitions.everyone"]]
    one, two = (run_studies(chosen, replicates=6, n_jobs=jobs)[0] for jobs in (1, 2))
    assert one.intervals.tobytes() == two.intervals.tobytes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_groups_the_rows_and_says_plainly_what_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path, language: str
) -> None:
    monkeypatch.setattr(certificate_module, "designs", lambda: (design(right),))
    monkeypatch.setattr(certificate_module, "estimand_designs", lambda: tuple(CHOSEN))
    monkeypatch.setattr(room, "draw", lambda scenario, rng: int(rng.integers(1_000_000)))
    monkeypatch.setattr(room, "_table", _fake(error=0.4))
    given = certify(replicates=60, studies=100, tests=False, out=tmp_path, language=language)
    assert set(given.failing()) == {each.name for each in CHOSEN}
    page = (tmp_path / "certificate.html").read_text(encoding="utf-8")
    words = catalogue("certification")
    for key in ("estimands_title", "estimands_caption.null", "truth.activities", "head_rejects"):
        assert words[key][language] in page
    failure = words["in_scenario"][language].format(
        what=estimand_words(CHOSEN[0].name, language), scenario=words["scenario.null"][language]
    )
    assert failure in page
    written = json.loads((tmp_path / "certificate.json").read_text(encoding="utf-8"))
    assert written["studies"] == 100
    assert {row["kind"] for row in written["rows"]} == {"estimator", "analysis"}


@pytest.mark.certify
def test_whole_analyses_hold_on_a_few_studies() -> None:
    quick = ("transitions", "training", "indicators", "activities", "participants")
    chosen = [each for each in estimand_designs() if each.estimator.removeprefix("analyses.") in quick]
    rows = judge(run_studies(chosen, replicates=6, n_jobs=2))
    failing = rows.loc[~rows["ok"], ["name", "bias", "bias_limit", "coverage", "band_low", "failed"]]
    assert failing.empty, failing.to_string()
