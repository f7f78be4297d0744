"""Prediction: DeLong's errors by pROC, measures by definition and by scikit-learn, grouped folds, clusters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bipstudy.models import ModelError
from bipstudy.models.performance import calibration_curve, decision_curve, prediction_performance
from bipstudy.models.prediction import cross_validate, deal_groups

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "predictions.csv")


def test_auc_and_its_difference_match_proc(people):
    expected = json.loads((REFERENCE / "prediction.json").read_text())
    one = prediction_performance(people.event, people.one)
    both = prediction_performance(people.event, people.one, people.two)
    assert one.coef["auc"] == pytest.approx(expected["auc_one"], rel=1e-12)
    assert both.coef["auc"] == pytest.approx(expected["auc_one"] - expected["auc_two"], rel=1e-10)
    # DeLong divides the two classes by n - 1 each, this by one factor n / (n - 1): 0.4 % in the variance here.
    m, n = expected["events"], expected["rows"] - expected["events"]
    placement = one.influence[:, 0]
    event = people.event.to_numpy() == 1
    delong = (placement[event] ** 2).sum() * m / (m - 1) + (placement[~event] ** 2).sum() * n / (n - 1)
    assert delong == pytest.approx(expected["var_one"], rel=1e-9)
    difference = both.influence[:, 0]
    delong = (difference[event] ** 2).sum() * m / (m - 1) + (difference[~event] ** 2).sum() * n / (n - 1)
    assert delong == pytest.approx(expected["var_one"] + expected["var_two"] - 2 * expected["cov"], rel=1e-8)
    assert one.std_errors[0] ** 2 == pytest.approx(expected["var_one"], rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_auc_is_the_share_of_ordered_pairs(seed, levels):
    rng = np.random.default_rng(seed)
    y, guess = np.r_[0, 1, rng.integers(0, 2, 20)], rng.integers(0, levels, 22) / levels
    above = guess[y == 1][:, None] - guess[y == 0][None, :]
    auc = ((above > 0) + 0.5 * (above == 0)).mean()
    result = prediction_performance(y, guess)
    assert result.estimates[0] == pytest.approx(auc, rel=1e-12)
    np.testing.assert_allclose(np.nansum(result.influence[:, :4], axis=0), 0.0, atol=1e-12)


def test_influences_are_the_derivatives_of_the_measures(people):
    """Give one row a little more weight: the measure moves by its influence."""
    y, guess = people.event.to_numpy(float), people.one.to_numpy(float)
    copies, row = 400, 17
    plain = prediction_performance(y, guess)
    repeated = np.r_[np.tile(np.arange(len(y)), copies), row]
    moved = prediction_performance(y[repeated], guess[repeated])
    # One row in 400 copies of the data: what is left out is of the order of 1/400 of the movement.
    np.testing.assert_allclose((moved.estimates - plain.estimates) * copies, plain.influence[row], rtol=0.05, atol=2e-5)


def test_measures_agree_with_scikit_learn_and_the_logit(people):
    from sklearn.metrics import brier_score_loss, roc_auc_score

    from bipstudy.models import discrete_hazard

    result = prediction_performance(people.event, people.one)
    assert result.coef["auc"] == pytest.approx(roc_auc_score(people.event, people.one), rel=1e-12)
    assert result.coef["brier"] == pytest.approx(brier_score_loss(people.event, people.one), rel=1e-12)
    score = np.log(people.one / (1 - people.one))
    row = people.assign(score=score, row=np.arange(len(people)))
    fit = discrete_hazard(row, "event ~ score", link="logit", cluster="row", small_sample="stata")
    np.testing.assert_allclose(result.estimates[4:], fit.estimates, rtol=1e-8)
    np.testing.assert_allclose(result.std_errors[4:], fit.std_errors, rtol=1e-7)


def test_clustered_errors_of_duplicated_rows_are_those_of_the_rows(people):
    once = prediction_performance(people.event, people.one, people.two, cluster=people.id)
    twice = pd.concat([people, people])
    double = prediction_performance(twice.event, twice.one, twice.two, cluster=twice.id)
    np.testing.assert_allclose(once.estimates, double.estimates, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(once.std_errors, double.std_errors, rtol=1e-8)
    assert once.glance().clusters.item() == len(people)
    naive = prediction_performance(twice.event, twice.one)
    assert naive.std_errors[0] < 0.75 * prediction_performance(twice.event, twice.one, cluster=twice.id).std_errors[0]


def test_what_measures_are_tested_against(people):
    rng = np.random.default_rng(0)
    useless = prediction_performance(people.event, rng.random(len(people)).clip(0.01, 0.99)).tidy().set_index("term")
    assert useless.p_value["auc"] > 0.01
    assert np.isnan(useless.p_value["brier"])
    # The expected outcome given this prediction is flat: a slope of zero is far from one.
    assert useless.p_value["calibration_slope"] < 1e-6
    one = useless.loc["auc"]
    assert one.statistic == pytest.approx((one.estimate - 0.5) / one.std_error)


def test_missing_and_wrong_input():
    y, guess = np.array([0, 1, np.nan, 1, 0]), np.array([0.2, 0.6, 0.5, np.nan, 0.4])
    assert prediction_performance(y, guess).rows == 3
    with pytest.raises(ModelError, match="between 0 and 1"):
        prediction_performance([0, 1], [0.5, 1.2])
    with pytest.raises(ModelError, match="both must occur"):
        prediction_performance([1, 1], [0.5, 0.2])


def grouped(seed: int = 0, rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows), "g": rng.integers(0, 25, rows)})
    frame["k"] = rng.choice(list("abc"), rows)
    frame["y"] = (rng.random(rows) < 1 / (1 + np.exp(0.5 - frame.x))).astype(int)
    return frame


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 8))
def test_groups_are_dealt_whole_and_evenly(seed, folds):
    codes = np.random.default_rng(seed).integers(0, 20, 300)
    codes = np.unique(codes, return_inverse=True)[1]
    fold = deal_groups(codes, folds, seed)
    assert all(len(np.unique(fold[codes == group])) == 1 for group in np.unique(codes))
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= np.bincount(codes).max()


def test_no_row_is_predicted_by_its_own_group():
    """An outcome that is a property of the group cannot be learnt from a code of the group."""
    frame = grouped()
    rng = np.random.default_rng(1)
    frame["code"] = rng.normal(size=25)[frame.g]
    frame["y"] = rng.integers(0, 2, 25)[frame.g]
    within = cross_validate(frame.assign(row=np.arange(len(frame))), "y ~ code", "row", model="boosted", folds=5)
    between = cross_validate(frame, "y ~ code", "g", model="boosted", folds=5)
    assert prediction_performance(frame.y, within.predictions).coef["auc"] > 0.9
    assert prediction_performance(frame.y, between.predictions).coef["auc"] < 0.75
    spread = between.folds.groupby(frame.g).agg(["min", "max"])
    assert (spread["min"] == spread["max"]).all()


def test_prediction_finds_what_is_there_and_counts_gaps():
    frame = grouped(rows=600)
    frame.loc[[3, 8], "x"] = np.nan
    for model in ("ridge", "lasso"):
        result = cross_validate(frame, "y ~ x + z + k", "g", model=model, folds=3)
        assert result.predictions.isna().sum() == 2
        performance = prediction_performance(frame.y, result.predictions, cluster=frame.g)
        assert performance.coef["auc"] > 0.65
        # Out of sample the slope of a fitted prediction is near one; its error is some 0.15 here.
        assert abs(performance.coef["calibration_slope"] - 1) < 0.5


def test_folds_do_not_depend_on_labels_or_index():
    frame = grouped()
    one = cross_validate(frame, "y ~ x", "g", folds=2, seed=2)
    other = frame.set_index(np.arange(len(frame))[::-1])
    two = cross_validate(other, "y ~ x", "g", folds=2, seed=2)
    np.testing.assert_allclose(one.predictions.to_numpy(), two.predictions.to_numpy(), rtol=1e-8)
    mixed = frame.sample(frac=1, random_state=1)
    three = cross_validate(mixed, "y ~ x", "g", folds=2, seed=2)
    np.testing.assert_allclose(three.predictions.sort_index(), one.predictions, rtol=1e-5)
    with pytest.raises(ModelError, match="folds"):
        cross_validate(frame, "y ~ x", "g", folds=26)


def test_own_classifier():
    from sklearn.linear_model import LogisticRegression

    frame = grouped()
    result = cross_validate(frame, "y ~ x", "g", model=LogisticRegression(), folds=3)
    assert result.features == ("x",)
    assert prediction_performance(frame.y, result.predictions).coef["auc"] > 0.6


def test_calibration_curve_counts_rows():
    rng = np.random.default_rng(0)
    guess = rng.random(1000).round(2)
    y = (rng.random(1000) < guess).astype(float)
    y[:5] = np.nan
    curve = calibration_curve(y, guess, bins=8)
    assert curve.rows.sum() == 995
    assert curve.events.sum() == np.nansum(y)
    inside = curve.observed.between(curve.conf_low, curve.conf_high)
    assert inside.all()
    np.testing.assert_allclose(
        curve.std_error, np.sqrt(curve.observed * (1 - curve.observed) / curve.rows * 995 / 994), rtol=1e-9
    )


def test_a_tenth_without_events_has_an_exact_interval():
    rng = np.random.default_rng(3)
    guess, weights = rng.random(90), rng.uniform(0.5, 2.0, 90)
    y = (rng.random(90) < 0.5).astype(float)
    y[guess < np.quantile(guess, 1 / 3)] = 0.0
    y[guess > np.quantile(guess, 2 / 3)] = 1.0
    curve = calibration_curve(y, guess, cluster=np.arange(90) // 5, bins=3, weights=weights)
    assert curve["events"].tolist()[::2] == [0, 30]
    none, everyone = (binomtest(events, 30).proportion_ci(0.95, "exact") for events in (0, 30))
    np.testing.assert_allclose(curve.loc[0, ["conf_low", "conf_high"]].astype(float), none, rtol=1e-12)
    np.testing.assert_allclose(curve.loc[2, ["conf_low", "conf_high"]].astype(float), everyone, rtol=1e-12)


def test_net_benefit_by_definition():
    rng = np.random.default_rng(0)
    guess = rng.random(500)
    y = (rng.random(500) < guess).astype(float)
    curve = decision_curve(y, guess, [0.2, 0.5, 0.8])
    for row in curve.itertuples():
        acted = guess >= row.threshold
        odds = row.threshold / (1 - row.threshold)
        benefit = ((y == 1) & acted).mean() - odds * ((y == 0) & acted).mean()
        assert row.net_benefit == pytest.approx(benefit, rel=1e-12)
        assert row.all == pytest.approx(y.mean() - odds * (1 - y.mean()), rel=1e-12)
        assert row.gain == pytest.approx(benefit - max(row.all, 0.0), rel=1e-9)
    with pytest.raises(ModelError):
        decision_curve(y, guess, [1.0])


@pytest.mark.certify
def test_clustered_intervals_of_the_auc_cover():
    def draw(rng, groups):
        shared = rng.normal(size=groups)
        group = np.repeat(np.arange(groups), 10)
        score = shared[group] + rng.normal(size=10 * groups)
        y = (score + 0.8 * shared[group] + rng.normal(size=10 * groups) > 0.5).astype(int)
        return y, 1 / (1 + np.exp(-score)), group

    truth = prediction_performance(*draw(np.random.default_rng(999), 40_000)[:2]).estimates[0]
    covered = []
    for seed in range(200):
        y, guess, group = draw(np.random.default_rng(seed), 60)
        row = prediction_performance(y, guess, cluster=group).tidy().iloc[0]
        covered.append(row.conf_low <= truth <= row.conf_high)
    # 200 data sets: three Monte Carlo errors are 4.6 points; sixty clusters cost about one point.
    assert 0.89 <= np.mean(covered) <= 0.99


def test_a_useless_prediction_of_rows_left_out_has_an_area_of_one_half_within_folds() -> None:
    within, across = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(400, 5)), columns=list("abcde")).assign(g=np.arange(400) // 10)
        frame["y"] = (rng.random(400) < 0.1).astype(float)
        found = cross_validate(frame, "y ~ a + b + c + d + e", "g", folds=10)
        for areas, strata in ((across, None), (within, found.folds)):
            fit = prediction_performance(frame["y"], found.predictions, cluster=frame["g"], strata=strata)
            areas.append(fit.coef["auc"])
    # One area has a standard error of about 0.05, the mean of twelve one of 0.015. Across folds a fold with many events
    # leaves few to those that predict it.
    assert abs(np.mean(within) - 0.5) < 3 * 0.015
    assert np.mean(across) < 0.5 - 3 * 0.015


def test_the_influences_of_the_area_within_strata_are_its_derivatives_by_the_weights() -> None:
    rng = np.random.default_rng(7)
    y, guess = (rng.random(60) < 0.3).astype(float), rng.random(60).round(1)
    weights, strata = rng.uniform(0.5, 2.0, 60), rng.integers(4, size=60)
    fit = prediction_performance(y, guess, weights=weights, strata=strata)
    # Pair by pair, ties counting half.
    pairs = np.outer(weights * y, weights * (1 - y)) * (strata[:, None] == strata)
    right = (guess[:, None] > guess) + 0.5 * (guess[:, None] == guess)
    assert fit.coef["auc"] == pytest.approx((pairs * right).sum() / pairs.sum(), rel=1e-12)
    for row in (0, 17, 59):
        ends = []
        for step in (1e-5, -1e-5):
            moved = weights.copy()
            moved[row] *= 1 + step
            ends.append(prediction_performance(y, guess, weights=moved, strata=strata).coef["auc"])
        # Central differences of a smooth function: an error of the order of the squared step.
        assert fit.influence[row, 0] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


def test_the_interval_of_an_area_stays_between_nought_and_one() -> None:
    outcome = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    guess = np.array([0.1, 0.2, 0.15, 0.3, 0.6, 0.05, 0.55, 0.7, 0.9, 0.8])
    found = prediction_performance(outcome, guess)
    row = found.tidy().set_index("term").loc["auc"]
    assert row["estimate"] + 1.96 * row["std_error"] > 1
    assert 0 < row["conf_low"] < row["estimate"] < row["conf_high"] < 1
    logits = np.log(np.array([row["conf_low"], row["estimate"], row["conf_high"]], dtype=float))
    logits -= np.log1p(-np.array([row["conf_low"], row["estimate"], row["conf_high"]], dtype=float))
    half = 1.959963984540054 * row["std_error"] / (row["estimate"] * (1 - row["estimate"]))
    np.testing.assert_allclose(np.diff(logits), half, rtol=1e-9)
    apart = prediction_performance(outcome, guess, 1 - guess).tidy().set_index("term").loc["auc"]
    assert apart["conf_high"] - apart["estimate"] == pytest.approx(1.959963984540054 * apart["std_error"])
