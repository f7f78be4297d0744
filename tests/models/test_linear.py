"""Least squares with absorbed effects: R's answers, NIST, second implementations, invariances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, linear_probability
from bipstudy.models import absorb as absorb_module
from bipstudy.models.absorb import absorb, singletons
from bipstudy.models.linear import least_squares

REFERENCE = Path(__file__).parents[1] / "reference"
WAGES = "lwage ~ wks + union + married + south + smsa"
EFFECTS = {"one": "id", "two": "id + year", "three": "id + year + cell"}


@pytest.fixture(scope="module")
def reference() -> dict:
    return json.loads((REFERENCE / "binary_and_linear.json").read_text())


@pytest.fixture(scope="module")
def wages() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "wages.csv")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("effects", EFFECTS)
def test_absorbing_is_dummies_in_r(wages, reference, effects, weighted):
    expected = reference[f"wages_{effects}" + ("_weighted" if weighted else "")]
    fit = linear_probability(wages, f"{WAGES} | {EFFECTS[effects]}", weights="weight" if weighted else None)
    # R's orthogonal factor of some 600 dummies and the projections agree to about ten digits.
    np.testing.assert_allclose(fit.estimates, expected["coef"], rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors, expected["naive"], rtol=1e-8)
    assert fit.glance().degrees.item() == expected["df_residual"]
    assert fit.glance().rows_alone.item() == reference["wages_alone"] > 0
    assert fit.glance().rows_dropped.item() == reference["wages_alone"]
    for key, cluster, convention in [("id", "id", "sandwich"), ("cell", "cell", "sandwich"), ("none", "id", "none")]:
        robust = fit.with_errors(cluster=cluster, small_sample=convention)
        np.testing.assert_allclose(robust.std_errors, expected[key], rtol=1e-7)


def test_petersen(reference):
    expected = reference["petersen"]
    frame = pd.read_csv(REFERENCE / "petersen.csv").assign(row=np.arange(5000))
    fit = linear_probability(frame, "y ~ x")
    np.testing.assert_allclose(fit.estimates, expected["coef"], rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors, expected["naive"], rtol=1e-8)
    for key, cluster, convention in [
        ("firm", "firm", "sandwich"),
        ("firm", "firm", "stata"),
        ("firm", "firm", "fixest"),
        ("year", "year", "stata"),
        ("both", ["firm", "year"], "sandwich"),
        ("both", ["firm", "year"], "stata"),
        ("both_none", ["firm", "year"], "none"),
        ("row_none", "row", "none"),
    ]:
        robust = fit.with_errors(cluster=cluster, small_sample=convention)
        np.testing.assert_allclose(robust.std_errors, expected[key], rtol=1e-7, err_msg=f"{key} {convention}")


def test_longley_has_the_certified_digits():
    from statsmodels.datasets import longley

    frame = longley.load_pandas().data.rename(columns=str.lower)
    fit = linear_probability(frame, "totemp ~ gnpdefl + gnp + unemp + armed + pop + year")
    certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.0358191792925910,
        -2.02022980381683,
        -1.03322686717359,
        -0.0511041056535807,
        1829.15146461355,
    ]
    errors = [
        890420.383607373,
        84.9149257747669,
        0.0334910077722432,
        0.488399681651699,
        0.214274163161675,
        0.226073200069370,
        455.478499142212,
    ]
    # NIST gives 15 digits; the condition of the data (5e9) costs some of them.
    np.testing.assert_allclose(fit.estimates, certified, rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors, errors, rtol=1e-8)


def panel(rows: int = 2500, seed: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
    frame["person"], frame["quarter"] = rng.integers(0, 500, rows), rng.integers(0, 16, rows)
    frame["unit"] = rng.integers(0, 30, rows)
    frame["office"] = frame.person // 12
    frame["w"] = rng.uniform(0.5, 2.0, rows)
    frame["y"] = frame.a - 0.5 * frame.b + (frame.person % 5) + 0.1 * frame.quarter + rng.normal(size=rows)
    return frame


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cluster", ["person", "office", ["office", "unit"]])
@pytest.mark.parametrize("effects", ["", "| person", "| person + quarter", "| person + quarter + unit"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_fixest_convention_is_that_of_pyfixest(cluster, effects, weights):
    import pyfixest

    frame = panel()
    fit = linear_probability(frame, f"y ~ a + b + c {effects}", cluster=cluster, weights=weights, small_sample="fixest")
    by = cluster if isinstance(cluster, str) else "+".join(cluster)
    other = pyfixest.feols(
        f"y ~ a + b + c {effects}", frame, vcov={"CRV1": by}, weights=weights, fixef_rm="singleton", fixef_tol=1e-12
    ).tidy()
    ours = fit.tidy().set_index("term")
    np.testing.assert_allclose(ours.estimate, other["Estimate"], rtol=1e-8)
    np.testing.assert_allclose(ours.std_error, other["Std. Error"], rtol=1e-7)
    np.testing.assert_allclose(ours.p_value, other["Pr(>|t|)"], rtol=1e-5, atol=1e-12)


def test_stata_two_way_gives_each_part_its_own_factor():
    frame = panel()
    fit = linear_probability(frame, "y ~ a + b + c")
    pairs = frame.assign(pair=frame.office * 100 + frame.unit)
    total = sum(
        sign * linear_probability(pairs, "y ~ a + b + c", cluster=name).covariance
        for name, sign in [("office", 1), ("unit", 1), ("pair", -1)]
    )
    np.testing.assert_allclose(fit.with_errors(cluster=["office", "unit"]).covariance, total, rtol=1e-10)


def test_alternating_projections_give_the_exact_answer(monkeypatch):
    frame = panel()
    effects = [pd.factorize(frame[name])[0].astype(np.int64) for name in ("person", "quarter", "unit")]
    columns, weights = frame[["a", "b", "c"]].to_numpy(), frame.w.to_numpy()
    exact = absorb(columns, effects, weights)
    monkeypatch.setattr(absorb_module, "EXACT_LEVELS", 0)
    swept = absorb(columns, effects, weights)
    assert exact.exact
    assert not swept.exact
    assert exact.parameters == swept.parameters
    # The iterations stop at a residual of 1e-12 of the column.
    np.testing.assert_allclose(swept.columns, exact.columns, atol=1e-9)


def test_disconnected_groups_are_counted():
    # Two islands: persons 0-2 only in quarters 0-1, persons 3-5 only in quarters 2-3.
    person = np.repeat(np.arange(6), 4)
    quarter = np.tile([0, 1, 0, 1], 6) + 2 * (person >= 3)
    dummies = np.column_stack([person[:, None] == np.arange(6), quarter[:, None] == np.arange(4)]).astype(float)
    assert absorb(np.ones((24, 1)), [person, quarter]).parameters == np.linalg.matrix_rank(dummies)


def test_singletons_are_found_until_none_is_left():
    first = np.array([0, 0, 1, 1, 2, 2, 3])
    second = np.array([0, 1, 1, 2, 3, 3, 3])
    # Row 0 is alone in second 0, row 3 in second 2 and row 6 in first 3; then row 1 is alone in first 0, row 2 in 1.
    assert singletons([first, second]).tolist() == [True, True, True, True, False, False, True]


def test_row_order_index_and_labels_do_not_matter():
    frame = panel()
    formula = "y ~ a + b + c | person + quarter"
    one = linear_probability(frame, formula, cluster=["office", "quarter"]).tidy()
    mixed = frame.sample(frac=1.0, random_state=2)
    mixed["person"] = "p" + mixed.person.astype(str)
    two = linear_probability(mixed, formula, cluster=["office", "quarter"]).tidy()
    pd.testing.assert_frame_equal(one, two, rtol=1e-10, atol=1e-10)


def test_pairs_can_be_absorbed():
    frame = panel()
    frame["pair"] = frame.unit.astype(str) + "/" + frame.quarter.astype(str)
    one = linear_probability(frame, "y ~ a | unit:quarter", cluster="office").tidy()
    two = linear_probability(frame, "y ~ a | pair", cluster="office").tidy()
    pd.testing.assert_frame_equal(one, two, rtol=1e-12)


def test_terms_without_variation_left_are_said():
    frame = panel()
    frame["fixed"] = frame.person * 2.0
    fit = linear_probability(frame, "y ~ a + fixed | person")
    assert fit.terms == ("a",)
    assert "fixed" in fit.notes[0]
    with pytest.raises(ModelError, match="explain every term"):
        linear_probability(frame, "y ~ fixed | person")


def test_a_year_as_a_number_keeps_its_digits():
    frame = panel()
    frame["year"] = 1e7 + frame.quarter
    one, two = linear_probability(frame, "y ~ a + quarter"), linear_probability(frame, "y ~ a + year")
    np.testing.assert_allclose(one.estimates[1:], two.estimates[1:], rtol=1e-6)
    np.testing.assert_allclose(one.std_errors[1:], two.std_errors[1:], rtol=1e-6)


def test_too_many_parameters_is_an_error():
    with pytest.raises(ModelError, match="cannot carry"):
        linear_probability(panel(rows=4), "y ~ a + b + c")


@pytest.mark.certify
def test_intervals_with_few_clusters_are_somewhat_short():
    """With 12 clusters and t(11) the theory of Bell and McCaffrey expects slightly less than 95 %."""
    covered = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(12), 20)
        x = rng.normal(size=12)[group] + rng.normal(size=240)
        y = 0.5 * x + rng.normal(size=12)[group] + rng.normal(size=240)
        row = linear_probability(pd.DataFrame({"y": y, "x": x, "g": group}), "y ~ x", cluster="g").tidy().iloc[1]
        covered.append(row.conf_low <= 0.5 <= row.conf_high)
    assert 0.86 <= np.mean(covered) <= 0.975


def test_several_responses_are_those_of_each():
    rng = np.random.default_rng(4)
    matrix, response, weights = rng.normal(size=(80, 3)), rng.normal(size=(80, 2)), rng.uniform(1, 2, 80)
    matrix = np.column_stack([matrix, matrix[:, 0] - matrix[:, 1]])
    for given in (matrix[:, :3], matrix):
        both = least_squares(matrix=given, response=response, weights=weights)
        for place in range(2):
            one = least_squares(matrix=given, response=response[:, place], weights=weights)
            assert both.kept == one.kept
            np.testing.assert_allclose(both.beta[:, place], one.beta, rtol=1e-12)
            np.testing.assert_allclose(both.residuals[:, place], one.residuals, rtol=1e-10, atol=1e-12)
