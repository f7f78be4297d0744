"""Cluster bootstrap, one-step bootstrap and wild bootstrap: against each other and by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, discrete_hazard, linear_probability
from bipstudy.models.bootstrap import bootstrap, score_bootstrap
from bipstudy.models.wild import wild_cluster_bootstrap


def data(seed: int = 2, rows: int = 1200, groups: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"x": rng.normal(size=rows), "g": rng.integers(0, groups, rows), "t": rng.integers(1, 4, rows)}
    )
    eta = -1.2 + 0.4 * frame.x + 0.4 * rng.normal(size=groups)[frame.g]
    frame["y"] = (rng.random(rows) < -np.expm1(-np.exp(eta))).astype(int)
    frame["w"] = rng.uniform(0.5, 1.5, rows)
    return frame


def by_function(frame: pd.DataFrame, weights: np.ndarray):
    return discrete_hazard(frame, "y ~ x + C(t)", weights=weights)


def by_weighted_function(frame: pd.DataFrame, weights: np.ndarray):
    return discrete_hazard(frame, "y ~ x + C(t)", weights=weights * frame.w.to_numpy())


def by_duplication(frame: pd.DataFrame, weights: np.ndarray):
    return discrete_hazard(frame.loc[frame.index.repeat(weights.astype(int))], "y ~ x + C(t)")


def test_three_ways_to_refit_are_one():
    frame = data()
    fit = by_function(frame, np.ones(len(frame)))
    fast = bootstrap(fit, frame, "g", replications=12, seed=5)
    for estimator in (by_function, by_duplication):
        slow = bootstrap(estimator, frame, "g", replications=12, seed=5)
        # Both stop within 1e-8 standard errors of the maximum.
        np.testing.assert_allclose(fast.replicates, slow.replicates, rtol=1e-7, atol=1e-8)
    weighted = discrete_hazard(frame, "y ~ x + C(t)", weights="w")
    np.testing.assert_allclose(
        bootstrap(weighted, frame, "g", replications=6, seed=5).replicates,
        bootstrap(by_weighted_function, frame, "g", replications=6, seed=5).replicates,
        rtol=1e-7,
        atol=1e-8,
    )


def test_numbers_do_not_depend_on_processes_or_row_order():
    frame = data()
    fit = by_function(frame, np.ones(len(frame)))
    one = bootstrap(fit, frame, "g", replications=60, seed=7)
    two = bootstrap(fit, frame, "g", replications=60, seed=7, n_jobs=2)
    np.testing.assert_array_equal(one.replicates, two.replicates)
    mixed = frame.sample(frac=1.0, random_state=1)
    other = bootstrap(by_function(mixed, np.ones(len(frame))), mixed, "g", replications=60, seed=7)
    np.testing.assert_allclose(one.replicates, other.replicates, rtol=1e-8, atol=1e-8)
    # The first replicates do not depend on how many follow.
    np.testing.assert_array_equal(bootstrap(fit, frame, "g", replications=10, seed=7).replicates, one.replicates[:10])


def test_rows_that_the_fit_dropped_are_not_drawn():
    frame = data()
    frame.loc[frame.index[:30], ["x", "g"]] = np.nan
    kept = frame.iloc[30:]
    fit, other = discrete_hazard(frame, "y ~ x"), discrete_hazard(kept, "y ~ x")
    one, two = bootstrap(fit, frame, "g", replications=5), bootstrap(other, kept, "g", replications=5)
    np.testing.assert_array_equal(one.replicates, two.replicates)


def test_one_step_is_the_full_refit_for_least_squares():
    frame = data()
    fit = linear_probability(frame, "y ~ x + C(t)")
    one_step = score_bootstrap(fit, "g", replications=15, seed=3)

    def refit(part, weights):
        return linear_probability(part, "y ~ x + C(t)", weights=weights)

    full = bootstrap(refit, frame, "g", replications=15, seed=3)
    np.testing.assert_allclose(one_step.replicates, full.replicates, rtol=1e-9)


def test_one_step_is_one_newton_step():
    from bipstudy.models.links import row_derivatives

    frame = data()
    fit = discrete_hazard(frame, "y ~ x", link="cloglog")
    result = score_bootstrap(fit, "g", replications=3, seed=1)
    matrix, y = fit.design.matrix(frame), frame.y.to_numpy(float)
    row = row_derivatives(matrix @ fit.estimates, y, "cloglog")
    for place, seed in enumerate(np.random.SeedSequence(1).spawn(3)):
        draws = np.random.default_rng(seed).multinomial(60, np.full(60, 1 / 60))[frame.g]
        step = np.linalg.solve((matrix * (draws * row.observed)[:, None]).T @ matrix, matrix.T @ (draws * row.slope))
        np.testing.assert_allclose(result.replicates[place], fit.estimates + step, rtol=1e-9)


def test_one_step_with_centred_columns():
    frame = data().assign(far=lambda f: f.x + 1e6)
    near = score_bootstrap(discrete_hazard(frame, "y ~ x"), "g", replications=5)
    far = score_bootstrap(discrete_hazard(frame, "y ~ far"), "g", replications=5)
    np.testing.assert_allclose(far.replicates[:, 1], near.replicates[:, 1], rtol=1e-6)
    fixed = score_bootstrap(discrete_hazard(frame, "y ~ far"), "g", replications=5, hessian="fixed")
    plain = score_bootstrap(discrete_hazard(frame, "y ~ x"), "g", replications=5, hessian="fixed")
    np.testing.assert_allclose(fixed.replicates[:, 1], plain.replicates[:, 1], rtol=1e-6)


def test_errors_agree_with_the_sandwich():
    frame = data()
    fit = discrete_hazard(frame, "y ~ x", cluster="g", small_sample="none")
    full = bootstrap(fit, frame, "g", replications=400, seed=1)
    one_step = score_bootstrap(fit, "g", replications=400, seed=1)
    # 400 draws give a standard deviation to 3.5 %; the sandwich itself differs by the order of 1/G.
    np.testing.assert_allclose(full.tidy().std_error, fit.std_errors, rtol=0.13)
    np.testing.assert_allclose(one_step.tidy().std_error, full.tidy().std_error, rtol=0.03)


def test_intervals_by_definition():
    frame = data()
    result = score_bootstrap(discrete_hazard(frame, "y ~ x"), "g", replications=199)
    draws, estimate = result.replicates[:, 1], result.estimates[1]
    low, high = np.quantile(draws, [0.05, 0.95], method="median_unbiased")
    percentile = result.tidy(0.9).iloc[1]
    np.testing.assert_allclose([percentile.conf_low, percentile.conf_high], [low, high])
    basic = result.tidy(0.9, interval="basic").iloc[1]
    np.testing.assert_allclose([basic.conf_low, basic.conf_high], [2 * estimate - high, 2 * estimate - low])
    normal = result.tidy(0.9, interval="normal").iloc[1]
    assert normal.std_error == pytest.approx(draws.std(ddof=1))
    assert normal.conf_high == pytest.approx(estimate + 1.6448536269514722 * normal.std_error)


def test_separation_in_a_replicate_is_infinite_and_said():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(np.arange(20), 10), "rare": 0, "x": rng.normal(size=200)})
    frame.loc[frame.g == 3, "rare"] = 1
    frame["y"] = (rng.random(200) < 0.4).astype(int)
    fit = discrete_hazard(frame, "y ~ x + rare")
    result = bootstrap(fit, frame, "g", replications=30)
    # In about a third of the resamples cluster 3 is not drawn and `rare` does not vary.
    absent = np.isnan(result.replicates[:, 2])
    assert 2 <= absent.sum() <= 22
    assert np.isfinite(result.replicates[:, :2]).all()
    assert result.glance().failed.item() == absent.sum()


def test_what_cannot_be_drawn_is_an_error():
    frame = data()
    with pytest.raises(ModelError, match="two clusters"):
        bootstrap(by_function, frame.assign(g=1), "g", replications=2)
    with pytest.raises(ModelError, match="missing"):
        bootstrap(by_function, frame.assign(g=frame.g.where(frame.g > 2)), "g", replications=2)
    with pytest.raises(ModelError, match="no column"):
        bootstrap(by_function, frame, "nothing", replications=2)


def wild_by_brute_force(frame: pd.DataFrame, null: float) -> float:
    """Refit every sign pattern by least squares, with clustered errors made from rows."""
    matrix = np.column_stack([np.ones(len(frame)), frame.x, frame.z])
    rest, groups = matrix[:, [0, 2]], frame.g.to_numpy()

    def t_of(response, null):
        beta, *_ = np.linalg.lstsq(matrix, response, rcond=None)
        bread = np.linalg.inv(matrix.T @ matrix)
        residual = response - matrix @ beta
        sums = np.array([matrix[groups == g].T @ residual[groups == g] for g in np.unique(groups)])
        return (beta[1] - null) / np.sqrt((bread @ (sums.T @ sums) @ bread)[1, 1])

    shifted = frame.y - null * frame.x
    kept, *_ = np.linalg.lstsq(rest, shifted, rcond=None)
    fitted, residual = null * frame.x + rest @ kept, shifted - rest @ kept
    sample = abs(t_of(frame.y.to_numpy(), null))
    beyond = [
        abs(t_of((fitted + np.array(signs)[groups] * residual).to_numpy(), null)) >= sample * (1 - 1e-9)
        for signs in product((1.0, -1.0), repeat=6)
    ]
    return float(np.mean(beyond))


def test_wild_bootstrap_is_the_brute_force_one():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"g": np.repeat(np.arange(6), 9), "z": rng.normal(size=54)})
    frame["x"] = rng.normal(size=54) + frame.g % 2
    frame["y"] = 0.4 * frame.x + 0.3 * frame.z + rng.normal(size=6)[frame.g] + rng.normal(size=54)
    fit = linear_probability(frame, "y ~ x + z", cluster="g")
    result = wild_cluster_bootstrap(fit, "x")
    assert result.p_value == pytest.approx(wild_by_brute_force(frame, 0.0), abs=1e-12)
    for end, inside in [(result.conf_low, 1), (result.conf_high, -1)]:
        if np.isfinite(end):
            assert wild_by_brute_force(frame, end + inside * 1e-6) > 0.05
            assert wild_by_brute_force(frame, end - inside * 1e-6) <= 0.05 + 2 / 64
    assert result.std_error == pytest.approx(fit.std_errors[1])


def test_wild_bootstrap_with_absorbed_effects_and_weights_is_that_with_dummies():
    frame = data(rows=300, groups=10)
    frame["person"] = frame.g * 10 + frame.index % 7
    absorbed = linear_probability(frame, "y ~ x | person", weights="w", cluster="g")
    rows = np.flatnonzero(~frame.person.duplicated(keep=False))
    dummies = linear_probability(frame.drop(index=rows), "y ~ x + C(person)", weights="w", cluster="g")
    one, two = wild_cluster_bootstrap(absorbed, "x"), wild_cluster_bootstrap(dummies, "x")
    assert one.p_value == pytest.approx(two.p_value, abs=1e-12)
    assert one.conf_low == pytest.approx(two.conf_low, abs=1e-6)
    with pytest.raises(ModelError, match="crosses"):
        wild_cluster_bootstrap(linear_probability(frame, "y ~ x | t"), "x", cluster="g")


def test_wild_bootstrap_matches_the_usual_test_with_many_clusters():
    frame = data(groups=60)
    fit = linear_probability(frame, "y ~ x", cluster="g")
    for signs in ("rademacher", "webb"):
        result = wild_cluster_bootstrap(fit, "x", replications=1999, signs=signs)
        row = fit.tidy().iloc[1]
        # With sixty clusters the bootstrap distribution is near t(59); ends within a tenth of a standard error.
        assert result.conf_low == pytest.approx(row.conf_low, abs=0.15 * row.std_error)
        assert result.conf_high == pytest.approx(row.conf_high, abs=0.15 * row.std_error)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_numbers():
    import distributed

    frame = data()
    fit = by_function(frame, np.ones(len(frame)))
    here = bootstrap(fit, frame, "g", replications=60, seed=7)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as there:
        far = bootstrap(fit, frame, "g", replications=60, seed=7, n_jobs=2, scheduler=there.scheduler_address)
    np.testing.assert_array_equal(here.replicates, far.replicates)


@pytest.mark.certify
def test_bootstrap_intervals_cover():
    wild, drawn = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(9), 15)
        x = rng.normal(size=9)[group] + rng.normal(size=135)
        y = 0.5 * x + rng.normal(size=9)[group] + rng.normal(size=135)
        fit = linear_probability(pd.DataFrame({"y": y, "x": x, "g": group}), "y ~ x", cluster="g")
        row = wild_cluster_bootstrap(fit, "x")
        wild.append(row.conf_low <= 0.5 <= row.conf_high)
        row = score_bootstrap(fit, "g", 199).tidy().iloc[1]
        drawn.append(row.conf_low <= 0.5 <= row.conf_high)
    # 100 data sets: three Monte Carlo errors are 6.5 points. Percentile intervals with nine clusters are too short,
    # by the spread of a standard error from nine numbers: some 87 %, no less than 76 %.
    assert 0.885 <= np.mean(wild) <= 1.0
    assert 0.76 <= np.mean(drawn) <= 0.97
