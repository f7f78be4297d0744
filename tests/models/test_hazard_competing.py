"""Competing hazards, conditional logit, within-between, marginal effects and adjusted curves."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import (
    ModelError,
    average_marginal_effects,
    competing_hazards,
    conditional_logit,
    discrete_hazard,
    linear_probability,
    standardised_curves,
    standardised_risk,
    within_between,
)

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def reference() -> dict:
    return json.loads((REFERENCE / "competing_and_conditional.json").read_text())


def long_data(seed: int = 6, rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "a": rng.integers(0, 2, rows), "g": rng.integers(0, 80, rows)})
    frame["period"] = rng.integers(1, 5, rows)
    odds = np.column_stack(
        [np.ones(rows), np.exp(-2 + 0.5 * frame.x + 0.3 * frame.a), np.exp(-2.5 - 0.4 * frame.x + 0.1 * frame.period)]
    )
    edges = (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)
    frame["cause"] = (rng.random(rows)[:, None] > edges).sum(axis=1)
    return frame


def test_competing_matches_r_multinom(reference):
    expected = reference["multinom"]
    long = pd.read_csv(REFERENCE / "rossi_periods.csv")
    long["cause"] = long.event * (1 + long.age % 2)
    fit = competing_hazards(long, "cause ~ fin + age + mar + prio + period")
    # nnet::multinom is a quasi-Newton method: its estimates stop about 1e-6 from the maximum.
    np.testing.assert_allclose(fit.estimates, np.array(expected["coef"]).T.ravel(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fit.std_errors, expected["naive"], rtol=1e-4)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-8)
    assert fit.log_likelihood >= expected["log_likelihood"] - 1e-9


def test_competing_matches_statsmodels_with_clusters():
    import statsmodels.api as sm

    frame = long_data()
    fit = competing_hazards(frame, "cause ~ x + a + C(period)", cluster="g", small_sample="fixest")
    other = sm.MNLogit(frame.cause, fit.design.matrix(frame)).fit(
        method="newton", tol=1e-14, disp=0, cov_type="cluster", cov_kwds={"groups": frame.g}
    )
    np.testing.assert_allclose(fit.estimates, np.asarray(other.params).T.ravel(), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.std_errors, np.asarray(other.bse).T.ravel(), rtol=1e-7)


def test_one_cause_is_the_plain_hazard():
    frame = long_data().assign(event=lambda f: (f.cause > 0).astype(int))
    one = competing_hazards(frame, "event ~ x + C(period)", cluster=["g", "period"], small_sample="sandwich").tidy()
    two = discrete_hazard(
        frame, "event ~ x + C(period)", link="logit", cluster=["g", "period"], small_sample="sandwich"
    ).tidy()
    np.testing.assert_allclose(one.iloc[:, 1:], two.iloc[:, 1:], rtol=1e-8, atol=1e-12)
    assert list(one.term) == [f"1: {term}" for term in two.term]


def test_competing_invariances():
    frame = long_data()
    formula = "cause ~ x + a + C(period)"
    first = competing_hazards(frame, formula, cluster="g").tidy()
    mixed = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(first, competing_hazards(mixed, formula, cluster="g").tidy(), rtol=1e-9)
    weight = 1 + frame.g % 2
    weighted = competing_hazards(frame, formula, weights=weight, cluster="g").tidy()
    doubled = competing_hazards(frame.loc[frame.index.repeat(weight)], formula, cluster="g").tidy()
    pd.testing.assert_frame_equal(weighted, doubled, rtol=1e-9)
    named = frame.assign(cause=frame.cause.map({0: "none", 1: "study", 2: "work"}))
    text = competing_hazards(named, formula, reference="none", cluster="g").tidy()
    np.testing.assert_allclose(text.estimate, first.estimate, rtol=1e-9)
    # Changing the reference changes contrasts, not the fit.
    other = competing_hazards(frame, formula, reference=1)
    assert other.log_likelihood == pytest.approx(competing_hazards(frame, formula).log_likelihood, rel=1e-12)


def test_level_in_which_a_cause_never_came():
    frame = long_data()
    frame.loc[(frame.period == 3) & (frame.cause == 2), "cause"] = 0
    fit = competing_hazards(frame, "cause ~ x + C(period)", cluster="g", small_sample="none")
    assert fit.coef["2: C(period)[T.3]"] == -np.inf
    assert "separation" in fit.notes[0]
    assert (fit.predict(frame)[2][(frame.period == 3).to_numpy()] == 0).all()
    assert np.isnan(fit.vcov.loc["2: C(period)[T.3]"]).all()
    frame.loc[(frame.period == 1) & (frame.cause == 2), "cause"] = 0
    with pytest.raises(ModelError, match="reference level"):
        competing_hazards(frame, "cause ~ x + C(period)")


def test_no_reference_or_no_event_is_an_error():
    frame = long_data(rows=100)
    with pytest.raises(ModelError, match="reference"):
        competing_hazards(frame, "cause ~ x", reference=9)
    with pytest.raises(ModelError, match="no row has an event"):
        competing_hazards(frame.assign(cause=0), "cause ~ x")


def test_cumulative_incidence_by_hand_and_its_numerical_gradient():
    frame = long_data()
    base = frame.iloc[:50]
    fit = competing_hazards(frame, "cause ~ x * a + C(period)", cluster="g")
    result = standardised_risk(fit, base, "a", [0, 1], horizon=3, cause=2, sampling="fixed")
    for place, value in enumerate((0, 1)):
        survival, incidence = np.ones(50), np.zeros(50)
        for period in (1, 2, 3):
            hazards = fit.predict(base.assign(a=value, period=period)).to_numpy()
            incidence += survival * hazards[:, 1]
            survival *= 1 - hazards.sum(axis=1)
        assert result.estimates[place] == pytest.approx(incidence.mean(), rel=1e-12)

    def at(beta):
        moved = replace(fit, estimates=beta)
        return standardised_risk(moved, base, "a", [0, 1], horizon=3, cause=2, sampling="fixed").estimates

    jacobian = np.array([(at(fit.estimates + d) - at(fit.estimates - d)) / 2e-6 for d in 1e-6 * np.eye(len(fit.terms))])
    np.testing.assert_allclose(result.covariance, jacobian.T @ fit.covariance @ jacobian, rtol=1e-6, atol=1e-14)
    sampled = standardised_risk(fit, base, "a", [0, 1], horizon=3, cause=2)
    assert np.isfinite(sampled.std_errors).all()
    with pytest.raises(ModelError, match="causes"):
        standardised_risk(fit, base, "a", [0, 1], horizon=3)


@pytest.mark.parametrize(
    ("key", "formula", "group"),
    [
        ("clogit", "case ~ spontaneous + induced", "stratum"),
        ("clogit_many", "case ~ spontaneous + induced + parity", "age"),
    ],
)
def test_conditional_logit_matches_r(reference, key, formula, group):
    frame = pd.read_csv(REFERENCE / "infert.csv")
    fit = conditional_logit(frame, formula, group)
    expected = reference[key]
    np.testing.assert_allclose(fit.estimates, expected["coef"], rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors, expected["naive"], rtol=1e-8)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)


def test_conditional_likelihood_by_definition():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(np.arange(12), 6), "x": rng.normal(size=72), "z": rng.normal(size=72)})
    frame["y"] = (rng.random(72) < 0.5).astype(int)
    fit = conditional_logit(frame, "y ~ x + z", "g")
    value = 0.0
    for _, part in frame.groupby("g"):
        eta = part[["x", "z"]].to_numpy() @ fit.estimates
        chosen = part.y.to_numpy().astype(bool)
        choices = [eta[list(which)].sum() for which in combinations(range(6), int(chosen.sum()))]
        value += eta[chosen].sum() - np.logaddexp.reduce(choices)
    assert fit.log_likelihood == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(fit.influence().sum(axis=0), 0.0, atol=1e-8)


def test_conditional_logit_counts_groups_without_information_and_clusters():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(np.arange(200), 4), "x": rng.normal(size=800)})
    frame["y"] = (rng.random(800) < 0.25).astype(int)
    frame["office"], frame["fixed"] = frame.g // 10, frame.g * 1.0
    fit = conditional_logit(frame, "y ~ x + fixed", "g", cluster="office", small_sample="none")
    total = frame.groupby("g").y.sum()
    silent = int(((total == 0) | (total == 4)).sum())
    assert fit.glance().groups_uninformative.item() == silent > 0
    assert fit.terms == ("x",)
    assert "fixed" in fit.notes[0]
    informative = frame[frame.g.map((total > 0) & (total < 4))]
    same = conditional_logit(informative, "y ~ x", "g", cluster="office", small_sample="none")
    np.testing.assert_allclose(fit.std_errors, same.std_errors, rtol=1e-10)
    from statsmodels.discrete.conditional_models import ConditionalLogit

    other = ConditionalLogit(informative.y, informative[["x"]], groups=informative.g).fit(disp=0)
    # statsmodels stops its quasi-Newton method early.
    np.testing.assert_allclose(fit.estimates, other.params, atol=1e-5)
    with pytest.raises(ModelError, match="cuts a group"):
        conditional_logit(frame.assign(cut=np.arange(800) % 3), "y ~ x", "g", cluster="cut")


def test_within_coefficient_is_that_with_absorbed_groups():
    frame = long_data()
    wide = within_between(frame, ["x"], "g")
    one = linear_probability(wide.assign(y=frame.cause), "y ~ x_within + x_between", cluster="g", small_sample="none")
    two = linear_probability(frame, "cause ~ x | g", cluster="g", small_sample="none")
    assert one.coef["x_within"] == pytest.approx(two.coef["x"], rel=1e-10)
    assert one.tidy().std_error[1] == pytest.approx(two.tidy().std_error[0], rel=1e-8)


def test_marginal_effects_match_statsmodels():
    import statsmodels.api as sm

    frame = long_data().assign(event=lambda f: (f.cause > 0).astype(int))
    fit = discrete_hazard(frame, "event ~ x + period", link="logit")
    other = sm.Logit(frame.event, fit.design.matrix(frame)).fit(disp=0, tol=1e-13).get_margeff()
    ours = average_marginal_effects(fit, frame, ["x", "period"])
    np.testing.assert_allclose(ours.estimates, other.margeff, rtol=1e-7)
    np.testing.assert_allclose(ours.std_errors, other.margeff_se, rtol=1e-6)


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_marginal_effects_through_interactions_by_differences(link):
    frame = long_data().assign(event=lambda f: (f.cause > 0).astype(int))
    fit = discrete_hazard(frame, "event ~ x * a + I(x**2)", link=link, cluster="g")
    effect = average_marginal_effects(fit, frame, ["x"])
    step = 1e-5
    up, down = fit.predict(frame.assign(x=frame.x + step)), fit.predict(frame.assign(x=frame.x - step))
    assert effect.estimates[0] == pytest.approx(((up - down) / (2 * step)).mean(), rel=1e-6)

    def at(beta):
        return average_marginal_effects(replace(fit, estimates=beta), frame, ["x"]).estimates[0]

    gradient = np.array([(at(fit.estimates + d) - at(fit.estimates - d)) / 2e-5 for d in 1e-5 * np.eye(len(fit.terms))])
    assert effect.covariance[0, 0] == pytest.approx(gradient @ fit.covariance @ gradient, rel=1e-5)


def test_curves_end_in_the_standardised_risk():
    frame = long_data().assign(event=lambda f: (f.cause > 0).astype(int))
    base = frame.iloc[:300]
    fit = discrete_hazard(frame, "event ~ x + a + C(period)", cluster="g")
    curves = standardised_curves(fit, base, "a", [0, 1], horizon=4)
    risk = curves.tidy(kind="risk")
    last = standardised_risk(fit, base, "a", [0, 1], horizon=4).risks()
    at_end = risk[risk.time == 4]
    np.testing.assert_allclose(at_end.estimate, last.estimate, rtol=1e-12)
    np.testing.assert_allclose(at_end.std_error, last.std_error, rtol=1e-10)
    survival = curves.tidy()
    assert (survival[survival.time == 0].estimate == 1).all()
    assert survival.conf_low.between(0, 1).all()
    assert (survival.conf_low <= survival.estimate).all()
    assert (survival.estimate <= survival.conf_high).all()
    np.testing.assert_allclose(survival.estimate + risk.estimate, 1.0)


@pytest.mark.certify
def test_intervals_of_competing_and_conditional_models_cover():
    competing, conditional = [], []
    for seed in range(80):
        frame = long_data(seed=seed, rows=900)
        row = competing_hazards(frame, "cause ~ x + a + C(period)", cluster="g").tidy().set_index("term").loc["1: x"]
        competing.append(row.conf_low <= 0.5 <= row.conf_high)
        rng = np.random.default_rng(seed)
        pairs = pd.DataFrame({"g": np.repeat(np.arange(150), 4), "x": rng.normal(size=600)})
        chance = 1 / (1 + np.exp(0.5 - 0.6 * pairs.x - rng.normal(scale=2.0, size=150)[pairs.g]))
        pairs["y"] = (rng.random(600) < chance).astype(int)
        row = conditional_logit(pairs, "y ~ x", "g").tidy().iloc[0]
        conditional.append(row.conf_low <= 0.6 <= row.conf_high)
    # 80 data sets: three Monte Carlo errors are 7.3 points.
    assert 0.875 <= np.mean(competing) <= 1.0
    assert 0.875 <= np.mean(conditional) <= 1.0
