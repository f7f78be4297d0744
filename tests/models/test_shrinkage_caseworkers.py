"""Caseworker effects: definitions, permutation theory, known truth, edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, caseworker_effects, random_intercept
from bipstudy.models.unit_spread import chance_spread, split_halves


def cases(seed: int = 1, workers: int = 60, tau: float = 0.5, drift: float = 0.0, mean: float = 25.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    worker = np.repeat(np.arange(workers), rng.poisson(mean, workers) + 2)
    rank = np.concatenate([np.arange(n) for n in np.bincount(worker)])
    late = rank >= np.bincount(worker)[worker] / 2
    x = rng.normal(size=worker.size) + 0.3 * rng.normal(size=workers)[worker]
    effect = rng.normal(0, tau, workers)[worker] + drift * np.where(late, 1.0, -1.0) * rng.normal(size=workers)[worker]
    frame = pd.DataFrame({"y": 0.4 * x + effect + rng.normal(size=worker.size), "x": x})
    return frame.assign(
        worker=[f"w{code:03d}" for code in worker],
        day=pd.Timestamp("2024-01-01") + pd.to_timedelta(3 * rank, unit="D"),
        office=[f"o{code % 4}" for code in worker],
    )


def run(frame: pd.DataFrame, **options: Any) -> Any:
    return caseworker_effects(frame, **{"outcome": "y", "caseworker": "worker", "formula": "x", "draws": 99, **options})


def test_model_part_is_the_random_intercept() -> None:
    frame = cases()
    result = run(frame, time="day")
    fit = random_intercept(frame, "y ~ x", group="worker")
    table = result.tidy().set_index("term")
    np.testing.assert_allclose(table.loc["sd_true", "estimate"], fit.statistics["sd_group"], rtol=1e-12)
    np.testing.assert_allclose(table.loc["sd_residual", "estimate"], fit.statistics["sd_residual"], rtol=1e-12)
    effects = result.effects()
    np.testing.assert_allclose(effects["estimate"], fit.group_effects()["estimate"], rtol=1e-12)
    np.testing.assert_allclose(effects["estimate"], effects["mean"] * effects["reliability"], rtol=1e-9)
    assert list(table.columns) == ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]


def test_gap_between_tenths_is_that_of_the_normal() -> None:
    from scipy.stats import norm

    table = run(cases()).tidy().set_index("term")
    expected = table.loc["sd_true", ["estimate", "conf_low", "conf_high"]] * (norm.ppf(0.9) - norm.ppf(0.1))
    np.testing.assert_allclose(
        table.loc["p90_minus_p10", ["estimate", "conf_low", "conf_high"]].astype(float),
        expected.astype(float),
        rtol=1e-12,
    )


def test_halves_by_definition() -> None:
    residual = np.array([1.0, 3.0, 5.0, 0.0, 2.0, -1.0, -3.0, -2.0, 4.0, 9.0])
    group = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 4])
    time = np.array([3.0, 1.0, 2.0, 5.0, 5.0, 1.0, 9.0, 9.0, 1.0, 2.0])
    # Group 0: early 3 and 5 (the median is early), late 1. Group 1: one day only. Group 2: early -1, late -3 and -2.
    assert split_halves(residual=residual, group=group, groups=5, time=time) is None
    more = {
        "residual": np.append(residual, [6.0, 8.0]),
        "group": np.append(group, [3, 4]),
        "time": np.append(time, [7.0, 0.0]),
    }
    halves = split_halves(groups=5, ratio=0.0, **more)
    assert halves is not None
    early, late = np.array([4.0, -1.0, 4.0, 8.0]), np.array([1.0, -2.5, 6.0, 9.0])
    weight = np.array([2.0, 2.0, 1.0, 1.0])
    expected = np.cov(early, late, aweights=weight)
    np.testing.assert_allclose(halves.covariance, expected[0, 1], rtol=1e-12)
    np.testing.assert_allclose(
        halves.correlation, expected[0, 1] / np.sqrt(expected[0, 0] * expected[1, 1]), rtol=1e-12
    )
    np.testing.assert_allclose(halves.reliability, 2 * halves.correlation / (1 + halves.correlation), rtol=1e-12)
    assert halves.groups == 4
    left_out = np.array(
        [np.cov(np.delete(early, k), np.delete(late, k), aweights=np.delete(weight, k))[0, 1] for k in range(4)]
    )
    jackknife = np.sqrt(3 / 4 * ((left_out - left_out.mean()) ** 2).sum())
    np.testing.assert_allclose(halves.covariance_error, jackknife, rtol=1e-10)


def test_halves_count_only_what_lasts() -> None:
    steady = run(cases(seed=4, workers=300, drift=0.0), time="day").reliability().set_index("measure")["estimate"]
    drifting = run(cases(seed=4, workers=300, drift=0.5), time="day").reliability().set_index("measure")["estimate"]
    # The model takes the mean over time: 0.25 of what lasts in both. Jackknife error of the share is about 0.1 here.
    assert abs(steady["lasting_share"] - 1.0) < 0.3
    assert drifting["lasting_share"] < 0.5
    assert drifting["split_half"] < steady["split_half"]


def test_split_sample_agrees_with_the_model_when_effects_last() -> None:
    table = run(cases(seed=2, workers=400, tau=0.5), time="day").tidy().set_index("term")
    assert abs(table.loc["sd_true_split", "estimate"] - 0.5) < 4 * table.loc["sd_true_split", "std_error"]
    assert abs(table.loc["sd_true", "estimate"] - 0.5) < 4 * table.loc["sd_true", "std_error"]


def test_chance_spread_of_equal_caseloads_is_the_formula() -> None:
    rng = np.random.default_rng(6)
    workers, load = 50, 20
    group = np.repeat(np.arange(workers), load)
    outcome = rng.normal(size=group.size)
    spread = chance_spread(
        design=np.ones((group.size, 1)), outcome=outcome, group=group, groups=workers, draws=4000, seed=1
    )
    # Dealing n cards without return: the variance of means has expectation s^2 / load exactly when loads are equal.
    expected = outcome.var(ddof=1) / load
    error = expected * np.sqrt(2 / (workers - 1) / 4000)
    assert abs((spread.drawn[:, 0] ** 2).mean() - expected) < 4 * error
    np.testing.assert_allclose(spread.observed[0], outcome.reshape(workers, load).mean(axis=1).std(ddof=1), rtol=1e-10)
    np.testing.assert_allclose(np.ptp(outcome.reshape(workers, load).mean(axis=1)), spread.observed[2], rtol=1e-10)


def test_dealing_stays_within_strata() -> None:
    group = np.repeat(np.arange(6), 10)
    stratum = group // 3
    outcome = np.where(stratum == 0, 0.0, 100.0) + np.random.default_rng(2).normal(size=60)
    design = np.ones((60, 1))  # strata not adjusted for, so that leaving them would show
    spread = chance_spread(design=design, outcome=outcome, group=group, groups=6, stratum=stratum, draws=200, seed=1)
    assert spread.drawn[:, 0].min() > 50.0


def test_p_values_of_pure_chance_are_uniform() -> None:
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(12), rng.integers(5, 15, 12))
    design = np.column_stack([np.ones(group.size), rng.normal(size=group.size)])
    values = []
    for seed in range(300):
        outcome = (rng.random(group.size) < 0.2) * 1.0
        spread = chance_spread(design=design, outcome=outcome, group=group, groups=12, draws=99, seed=seed)
        values.append((1 + (spread.drawn[:, 0] >= spread.observed[0]).sum()) / 100)
    # Kolmogorov-Smirnov at one in a thousand for 300 draws is 0.112; the grid of hundredths adds 0.01.
    sorted_values = np.sort(values)
    assert np.abs(sorted_values - np.arange(1, 301) / 300).max() < 0.13


def test_observed_spread_of_alike_caseworkers_is_within_chance_and_of_different_ones_is_not() -> None:
    alike = run(cases(seed=9, tau=0.0), draws=199).chance().set_index("statistic")
    different = run(cases(seed=9, tau=0.6), draws=199).chance().set_index("statistic")
    assert alike.loc["sd", "chance_low"] < alike.loc["sd", "observed"] < alike.loc["sd", "chance_high"]
    assert (different["p_value"] == 1 / 200).all()
    # The gap between best and worst is wide even when nobody differs: that is why it is shown beside the observed one.
    assert alike.loc["range", "chance_mean"] > 0.5


def test_order_labels_and_units_change_nothing() -> None:
    frame = cases()
    plain = run(frame, time="day", within="office")
    moved = frame.sample(frac=1.0, random_state=3).assign(y=lambda f: 100.0 * f["y"])
    other = run(moved, time="day", within="office")
    np.testing.assert_allclose(
        other.tidy()[["estimate", "conf_low", "conf_high"]],
        100.0 * plain.tidy()[["estimate", "conf_low", "conf_high"]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(other.chance()["observed"], 100.0 * plain.chance()["observed"], rtol=1e-9)
    np.testing.assert_allclose(other.chance()["chance_mean"], 100.0 * plain.chance()["chance_mean"], rtol=1e-6)
    renamed = run(frame.assign(worker="z" + frame["worker"]), time="day", within="office")
    pd.testing.assert_frame_equal(renamed.tidy(), plain.tidy())
    pd.testing.assert_frame_equal(renamed.chance(), plain.chance())


def test_small_caseloads_stay_in_the_model_but_not_in_the_spread() -> None:
    frame = pd.concat(
        [cases(workers=10), pd.DataFrame({"y": [50.0], "x": [0.0], "worker": ["lone"], "office": ["o1"]})]
    )
    result = run(frame)
    assert "lone" in set(result.effects()["caseworker"])
    assert result.glance()["caseworkers"].item() == 11
    assert result.glance()["caseworkers_in_spread"].item() == 10
    assert result.chance().set_index("statistic").loc["range", "observed"] < 10.0


def test_missing_rows_are_left_out_and_a_seed_is_a_result() -> None:
    frame = cases()
    frame.loc[5, "x"] = np.nan
    frame.loc[6, "worker"] = None
    frame.loc[7, "day"] = pd.NaT
    first, second = run(frame, time="day", seed=5), run(frame, time="day", seed=5)
    assert first.glance()["rows"].item() == len(frame) - 3
    assert first.glance()["rows_dropped"].item() == 3
    pd.testing.assert_frame_equal(first.chance(), second.chance())
    assert not run(frame, time="day", seed=6).chance().equals(first.chance())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum_rows": 10_000}, "fewer than two"),
        ({"caseworker": "nobody"}, "no column 'nobody'"),
        ({"formula": "x + I(2 * x)"}, "combination"),
    ],
)
def test_what_cannot_be_estimated_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        run(cases(), **options)


def test_too_few_halves_are_said_in_a_note() -> None:
    frame = cases(workers=5).assign(day=pd.Timestamp("2024-01-01"))
    result = run(frame, time="day")
    assert result.halves is None
    assert "halves" in result.notes[-1]
    assert "sd_true_split" not in set(result.tidy()["term"])


@pytest.mark.certify
def test_coverage_of_the_spread_and_of_the_effects() -> None:
    # The profile interval of the spread and the prediction interval of the effects are nominal in theory at this size
    # (normal effects, 60 caseworkers with 25 cases each). Shrunken effects: over all caseworkers, not for each.
    covered, inside, estimates, truth = [], [], [], 0.4
    for seed in range(60):
        frame = cases(seed=1000 + seed, tau=truth)
        fit = random_intercept(frame, "y ~ x", group="worker")
        interval = fit.variance_components().iloc[0]
        covered.append(interval["conf_low"] <= truth <= interval["conf_high"])
        estimates.append(fit.statistics["sd_group"])
        inside.append(_share_of_true_effects_inside(frame, fit, 1000 + seed, truth))
    error = np.std(estimates, ddof=1) / np.sqrt(60)
    assert abs(np.mean(estimates) - truth) < max(3 * error, 0.1 * np.std(estimates))
    # 99.5 % of binomial(60, 0.95) lies within 0.86 and 1.
    assert 0.86 <= np.mean(covered) <= 1.0
    # Expected a little below 0.95, because the spread is estimated: by about 1 % with 60 caseworkers.
    assert 0.93 <= np.mean(inside) <= 0.96


def _share_of_true_effects_inside(frame: pd.DataFrame, fit: Any, seed: int, tau: float) -> float:
    """Share of prediction intervals that hold the truth, which is drawn again in the order of `cases`."""
    rng = np.random.default_rng(seed)
    size = int((rng.poisson(25.0, 60) + 2).sum())
    rng.normal(size=size)
    rng.normal(size=60)
    effects = rng.normal(0, tau, 60)
    table = fit.group_effects()
    assert size == len(frame)
    return float(((table["conf_low"] <= effects) & (effects <= table["conf_high"])).mean())
