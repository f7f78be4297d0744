"""Multiple testing, E-value, Oster's delta, sign flips and permutations."""

from __future__ import annotations

from itertools import permutations, product
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bipstudy.models import ModelError, discrete_hazard, linear_probability
from bipstudy.models.inference import adjust_p_values, e_value, freedman_lane, oster_delta, sign_flip_test


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_values_are_those_of_statsmodels(values):
    from statsmodels.stats import multitest

    for method, name in [("holm", "holm"), ("bh", "fdr_bh")]:
        # It collects garbage twice a call, which takes nearly all of its time.
        with mock.patch("gc.collect"):
            expected = multitest.multipletests(values, method=name)[1]
        np.testing.assert_allclose(adjust_p_values(values, method), expected, rtol=1e-12)


def test_missing_p_values_stay_missing_and_are_not_counted():
    np.testing.assert_allclose(adjust_p_values([0.02, np.nan, 0.5]), [0.04, np.nan, 0.5])
    with pytest.raises(ModelError):
        adjust_p_values([1.2])


def test_e_values_of_the_paper():
    # VanderWeele and Ding (2017): 3.9 (1.8, 8.7) gives 7.26 and 3.0; 0.80 (0.71, 0.91) gives 1.81 and 1.43.
    assert e_value(3.9, 1.8, 8.7).round(2).to_numpy().tolist() == [[7.26, 3.0]]
    np.testing.assert_allclose(e_value(0.8, 0.71, 0.91).to_numpy(), [[1.81, 1.43]], atol=0.005)
    assert e_value(1.2, 0.9, 1.5).limit.item() == 1.0
    assert e_value(1.0).estimate.item() == 1.0
    assert e_value(4.0, measure="odds_ratio").estimate.item() == pytest.approx(e_value(2.0).estimate.item())
    assert e_value(2.0, measure="hazard_ratio", rare=True).estimate.item() == pytest.approx(
        e_value(2.0).estimate.item()
    )
    inverse = e_value(0.5, measure="hazard_ratio").estimate.item()
    assert inverse == pytest.approx(e_value(2.0, measure="hazard_ratio").estimate.item())


@pytest.mark.parametrize(("beta", "delta"), [(0.0, 1.0), (0.3, 0.5), (-0.2, 2.0)])
def test_oster_delta_finds_the_selection_that_was_built_in(beta, delta):
    rng = np.random.default_rng(3)
    # Exactly orthogonal parts, so that population formulas hold in the sample.
    parts = np.linalg.qr(np.column_stack([np.ones(400), rng.normal(size=(400, 4))]))[0][:, 1:] * 20
    observed, unobserved, noise = parts[:, 0] * 0.9, parts[:, 1] * 0.6, parts[:, 2]
    # Selection: cov(unobserved, x) / var(unobserved) is delta times cov(observed, x) / var(observed).
    x = 0.5 * observed + 0.5 * delta * unobserved + noise
    y = beta * x + observed + unobserved
    short = linear_probability(pd.DataFrame({"y": y, "x": x}), "y ~ x")
    long = linear_probability(pd.DataFrame({"y": y, "x": x, "w": observed}), "y ~ x + w")
    left = x - observed * (observed @ x) / (observed @ observed)
    found = oster_delta(
        short=short.coef["x"],
        short_r_squared=short.statistics["r_squared"],
        long=long.coef["x"],
        long_r_squared=long.statistics["r_squared"],
        max_r_squared=1.0,
        outcome_variance=y.var(),
        exposure_variance=x.var(),
        exposure_residual_variance=left.var(),
        target=beta,
    )
    assert found == pytest.approx(delta, rel=1e-8)


def clustered(seed: int = 0, groups: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"g": np.repeat(np.arange(groups), 15), "z": rng.normal(size=15 * groups)})
    frame["x"] = rng.normal(size=len(frame)) + 0.5 * frame.z
    frame["y"] = (rng.random(len(frame)) < 1 / (1 + np.exp(1 - 0.5 * frame.z - 0.4 * frame.x))).astype(int)
    return frame


@pytest.mark.parametrize("kind", ["logit", "linear"])
def test_sign_flips_by_brute_force(kind):
    frame = clustered()
    if kind == "linear":
        fit = linear_probability(frame, "y ~ x + z")
        null = linear_probability(frame, "y ~ z")
        slope, weight = null.residuals, np.ones(len(frame))
    else:
        fit = discrete_hazard(frame, "y ~ x + z", link="logit")
        predicted = discrete_hazard(frame, "y ~ z", link="logit").predict(frame)
        slope, weight = frame.y - predicted, predicted * (1 - predicted)
    rest = np.column_stack([np.ones(len(frame)), frame.z])
    left = frame.x - rest @ np.linalg.solve((rest * weight[:, None]).T @ rest, rest.T @ (weight * frame.x))
    sums = (left * slope).groupby(frame.g).sum().to_numpy()
    beyond = [abs(np.dot(signs, sums)) >= abs(sums.sum()) * (1 - 1e-9) for signs in product((1, -1), repeat=8)]
    result = sign_flip_test(fit, "x", "g")
    assert result.p_value.item() == pytest.approx(np.mean(beyond), abs=1e-12)
    assert result.patterns.item() == 256


def test_sign_flips_with_many_clusters_agree_with_the_robust_test():
    frame = clustered(groups=120)
    fit = discrete_hazard(frame, "y ~ x + z", link="logit", cluster="g")
    weak = discrete_hazard(frame.assign(x=np.random.default_rng(1).permutation(frame.x)), "y ~ x + z", link="logit")
    assert sign_flip_test(fit, "x", "g").p_value.item() <= 2e-4
    robust = weak.with_errors(cluster="g").tidy().p_value[1]
    # 9,999 draws give the p-value to about half a point; the two tests are equal in the limit only.
    assert sign_flip_test(weak, "x", "g").p_value.item() == pytest.approx(robust, abs=0.06)


def test_freedman_lane_is_the_full_enumeration():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=7), "z": rng.normal(size=7), "y": rng.normal(size=7)})
    frame["y"] += 0.8 * frame.x
    fit = linear_probability(frame, "y ~ x + z")
    null = linear_probability(frame, "y ~ z")
    fitted = frame.y - null.residuals
    sample = abs(fit.tidy().statistic[1])
    matrix = fit.scores.matrix
    bread = np.linalg.inv(matrix.T @ matrix)
    beyond = []
    for order in permutations(range(7)):
        response = (fitted + null.residuals[list(order)]).to_numpy()
        beta = bread @ matrix.T @ response
        residual = response - matrix @ beta
        beyond.append(abs(beta[1]) / np.sqrt(bread[1, 1] * (residual @ residual) / 4) >= sample * (1 - 1e-9))
    result = freedman_lane(fit, "x", replications=9999, seed=2)
    assert abs(result.statistic.item()) == pytest.approx(sample, rel=1e-10)
    # 9,999 draws: three Monte Carlo errors are at most 1.5 points.
    assert result.p_value.item() == pytest.approx(np.mean(beyond), abs=0.015)


@pytest.mark.certify
def test_tests_keep_their_level():
    flips, lane = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"g": np.repeat(np.arange(10), 12), "z": rng.normal(size=120)})
        frame["x"] = 0.5 * frame.z + rng.normal(size=10)[frame.g] + rng.normal(size=120)
        frame["y"] = frame.z + rng.normal(size=10)[frame.g] + rng.standard_t(4, size=120)
        flips.append(sign_flip_test(linear_probability(frame, "y ~ x + z"), "x", "g").p_value.item() <= 0.05)
        one = frame.groupby("g").mean().reset_index()
        lane.append(freedman_lane(linear_probability(one, "y ~ x + z"), "x", 199, seed).p_value.item() <= 0.05)
    # 300 data sets: a level of 5 % shows as at most 8.8 % (three Monte Carlo errors). With ten clusters the sign
    # flips are somewhat conservative, since the effective scores share the estimated nuisance.
    assert np.mean(flips) <= 0.088
    assert 0.012 <= np.mean(lane) <= 0.088
