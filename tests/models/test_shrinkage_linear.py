"""Linear model with a random intercept: lme4, statsmodels, brute force, invariances, edges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bipstudy.models import ModelError, random_intercept
from bipstudy.models.mixed_intervals import deviation_errors, profile_intervals
from bipstudy.models.mixed_linear import GroupMoments, fit_linear_intercept, group_moments, profile

REFERENCE = Path(__file__).parents[1] / "reference"
LME4 = json.loads((REFERENCE / "random_intercept.json").read_text())

# lme4 minimises over theta without derivatives to rhoend 1e-12, which leaves about 1e-7 relative in the deviations;
# 1e-6 leaves room for that and is ten times stricter than what is promised.
RELATIVE = 1e-6


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"{name}.csv")


def panel(seed: int = 3, groups: int = 40, tau: float = 0.7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, groups)
    group = np.repeat(np.arange(groups), sizes)
    x = rng.normal(size=group.size) + 0.5 * rng.normal(size=groups)[group]
    z = rng.integers(0, 3, group.size)
    y = 1.0 + 0.5 * x - 0.3 * (z == 2) + rng.normal(0, tau, groups)[group] + rng.normal(size=group.size)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{code:03d}" for code in group]})


def moments_of(frame: pd.DataFrame, weights: np.ndarray | None = None) -> GroupMoments:
    codes, labels = pd.factorize(frame["g"], sort=True)
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    return group_moments(design=design, outcome=frame["y"].to_numpy(), group=codes, groups=len(labels), weights=weights)


def dense_criterion(frame: pd.DataFrame, ratio: float, reml: bool, weights: np.ndarray | None = None) -> float:
    """Minus twice the log-likelihood from the definition: the full covariance matrix, no algebra saved."""
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    y = frame["y"].to_numpy()
    noise = np.ones(len(frame)) if weights is None else 1.0 / weights
    same = frame["g"].to_numpy()[:, None] == frame["g"].to_numpy()[None, :]
    v = np.diag(noise) + ratio * same
    inverse = np.linalg.inv(v)
    cross = design.T @ inverse @ design
    beta = np.linalg.solve(cross, design.T @ inverse @ y)
    residual = y - design @ beta
    free = len(y) - (2 if reml else 0)
    rss = residual @ inverse @ residual
    value = np.linalg.slogdet(v)[1] + free * (1 + np.log(2 * np.pi * rss / free))
    return float(value + (np.linalg.slogdet(cross)[1] if reml else 0.0))


@pytest.mark.parametrize(
    ("data", "reference", "options"),
    [
        ("sleepstudy", "sleep_reml", {}),
        ("sleepstudy", "sleep_ml", {"reml": False}),
        ("sleep_weighted", "sleep_weighted", {"weights": "weight"}),
    ],
)
def test_sleepstudy_is_that_of_lme4(data: str, reference: str, options: dict[str, object]) -> None:
    expected = LME4[reference]
    fit = random_intercept(read(data), "Reaction ~ Days", group="Subject", **options)
    np.testing.assert_allclose(fit.estimates, expected["estimate"], rtol=RELATIVE)
    np.testing.assert_allclose(fit.std_errors, expected["std_error"], rtol=RELATIVE)
    np.testing.assert_allclose(fit.variance_components()["estimate"][:2], expected["sd"], rtol=RELATIVE)
    np.testing.assert_allclose(-2 * fit.log_likelihood, expected["criterion"], rtol=1e-10)
    effects = fit.group_effects()
    assert [str(group) for group in effects["group"]] == [str(group) for group in expected["effects"]["group"]]
    np.testing.assert_allclose(effects["estimate"], expected["effects"]["estimate"], rtol=RELATIVE, atol=1e-5)
    np.testing.assert_allclose(effects["conditional_error"], expected["effects"]["error"], rtol=RELATIVE)


def test_dyestuff_is_that_of_lme4() -> None:
    fit = random_intercept(read("dyestuff"), "Yield ~ 1", group="Batch")
    expected = LME4["dyestuff"]
    np.testing.assert_allclose(fit.estimates, expected["estimate"], rtol=RELATIVE)
    np.testing.assert_allclose(fit.variance_components()["estimate"][:2], expected["sd"], rtol=RELATIVE)


def test_no_spread_is_found_on_the_boundary() -> None:
    fit = random_intercept(read("dyestuff2"), "Yield ~ 1", group="Batch")
    assert fit.variance_components()["estimate"][0] == 0.0
    assert LME4["dyestuff2"]["sd"][0] == 0.0
    np.testing.assert_allclose(fit.variance_components()["estimate"][1], LME4["dyestuff2"]["sd"][1], rtol=RELATIVE)
    np.testing.assert_allclose(-2 * fit.log_likelihood, LME4["dyestuff2"]["criterion"], rtol=1e-10)
    assert fit.glance()["lr_p_value"].item() == 1.0
    assert "no spread" in fit.notes[0]
    assert (fit.group_effects()["estimate"] == 0.0).all()
    assert fit.variance_components()["conf_low"][0] == 0.0
    assert fit.variance_components()["conf_high"][0] > 0.5


def test_profile_intervals_are_those_of_lme4() -> None:
    fit = random_intercept(read("sleepstudy"), "Reaction ~ Days", group="Subject", reml=False)
    ours = fit.variance_components()[["conf_low", "conf_high"]].to_numpy()[:2]
    # lme4 reads its limits off a spline through a few dozen profiled points.
    np.testing.assert_allclose(ours, LME4["sleep_ml"]["profile"], rtol=2e-4)


@pytest.mark.parametrize(("data", "key"), [("sleepstudy", "sleep"), ("sleep_weighted", "unbalanced")])
def test_satterthwaite_degrees_are_those_of_lmertest(data: str, key: str) -> None:
    from scipy.stats import t

    fit = random_intercept(read(data), "Reaction ~ Days", group="Subject")
    table = fit.tidy(degrees="satterthwaite")
    expected = np.array(LME4["satterthwaite"][key])
    # lmerTest takes the Hessian of the variance parameters by differences; so do we, on another scale.
    np.testing.assert_allclose(table["p_value"], 2 * t.sf(table["statistic"].abs(), expected), rtol=2e-3)
    ends = fit.estimates + np.outer([-1, 1], fit.std_errors * t.ppf(0.975, expected))
    np.testing.assert_allclose(table[["conf_low", "conf_high"]].to_numpy().T, ends, rtol=1e-5)


def test_satterthwaite_degrees_of_a_balanced_mean_are_groups_less_one() -> None:
    from scipy.stats import t

    frame = read("dyestuff")
    table = random_intercept(frame, "Yield ~ 1", group="Batch").tidy(degrees="satterthwaite")
    half = (table["conf_high"] - table["conf_low"]) / 2
    np.testing.assert_allclose(half / table["std_error"], t.ppf(0.975, 5), rtol=1e-5)


def test_satterthwaite_degrees_belong_to_model_based_errors() -> None:
    with pytest.raises(ModelError, match="model-based"):
        random_intercept(panel(), "y ~ x", group="g", cluster="g").tidy(degrees="satterthwaite")


def test_same_as_statsmodels() -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    frame = panel()
    fit = random_intercept(frame, "y ~ x + C(z)", group="g")
    design = pd.get_dummies(frame["z"], drop_first=True).to_numpy(dtype=float)
    matrix = np.column_stack([np.ones(len(frame)), design, frame["x"]])
    other = MixedLM(frame["y"].to_numpy(), matrix, groups=frame["g"].to_numpy()).fit(method=["bfgs"], gtol=1e-10)
    by_term = dict(zip(fit.terms, fit.estimates, strict=True))
    ours = [by_term[name] for name in ("Intercept", "C(z)[T.1]", "C(z)[T.2]", "x")]
    np.testing.assert_allclose(ours, other.fe_params, rtol=1e-5)  # its optimiser stops at a gradient, not at a digit
    np.testing.assert_allclose(fit.statistics["sd_group"] ** 2, other.cov_re.item(), rtol=1e-4)
    np.testing.assert_allclose(fit.log_likelihood, other.llf, rtol=1e-9)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("ratio", [0.0, 0.02, 1.3, 50.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_profile_is_the_likelihood_by_definition(reml: bool, ratio: float, weighted: bool) -> None:
    frame = panel(groups=12)
    weights = np.random.default_rng(1).uniform(0.3, 3.0, len(frame)) if weighted else None
    point = profile(moments_of(frame, weights), ratio, reml=reml)
    np.testing.assert_allclose(point.criterion, dense_criterion(frame, ratio, reml, weights), rtol=1e-11)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("ratio", [0.01, 0.4, 7.0])
def test_slope_is_the_derivative_of_the_profile(reml: bool, ratio: float) -> None:
    sums = moments_of(panel())
    step = 1e-4 * ratio
    values = [profile(sums, ratio + k * step, reml=reml).criterion for k in (-2, -1, 1, 2)]
    numeric = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    np.testing.assert_allclose(profile(sums, ratio, reml=reml).slope, numeric, rtol=1e-6, atol=1e-7)


def test_optimum_is_global() -> None:
    sums = moments_of(panel(seed=8, tau=0.2))
    best = fit_linear_intercept(sums)
    ratios = np.concatenate([[0.0], np.logspace(-5, 4, 2000)])
    assert best.criterion <= min(profile(sums, ratio).criterion for ratio in ratios) + 1e-9


def test_balanced_groups_are_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(size=(30, 6)) + rng.normal(0, 2, (30, 1))
    frame = pd.DataFrame({"y": y.ravel(), "g": np.repeat(np.arange(30), 6)})
    fit = random_intercept(frame, "y ~ 1", group="g")
    within = y.var(axis=1, ddof=1).mean()
    between = y.mean(axis=1).var(ddof=1)
    np.testing.assert_allclose(fit.statistics["sd_residual"], np.sqrt(within), rtol=1e-12)
    np.testing.assert_allclose(fit.statistics["sd_group"], np.sqrt(between - within / 6), rtol=1e-12)
    np.testing.assert_allclose(fit.std_errors, np.sqrt(between / 30), rtol=1e-12)


def test_prediction_error_is_that_of_hendersons_equations() -> None:
    frame = panel(groups=9)
    fit = fit_linear_intercept(moments_of(frame))
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    dummies = pd.get_dummies(frame["g"]).to_numpy(dtype=float)
    both = np.hstack([design, dummies])
    left = both.T @ both
    left[2:, 2:] += np.eye(dummies.shape[1]) / fit.ratio
    solution = np.linalg.solve(left, both.T @ frame["y"].to_numpy())
    errors = np.sqrt(np.diag(np.linalg.inv(left))) * fit.sigma
    np.testing.assert_allclose(fit.effects, solution[2:], rtol=1e-9)
    np.testing.assert_allclose(fit.prediction_error, errors[2:], rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), errors[:2], rtol=1e-9)


def test_clustered_errors_are_the_sandwich_by_definition() -> None:
    frame = panel(groups=20)
    fit = random_intercept(frame, "y ~ x", group="g", cluster="g", small_sample="none")
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    same = frame["g"].to_numpy()[:, None] == frame["g"].to_numpy()[None, :]
    numbers = fit.numbers
    inverse = np.linalg.inv(numbers.sigma**2 * np.eye(len(frame)) + numbers.tau**2 * same)
    bread = np.linalg.inv(design.T @ inverse @ design)
    weighted = inverse @ (frame["y"].to_numpy() - design @ fit.estimates)
    meat = sum(
        np.outer(design[rows].T @ weighted[rows], design[rows].T @ weighted[rows])
        for rows in (frame["g"] == group for group in frame["g"].unique())
    )
    np.testing.assert_allclose(fit.covariance, bread @ meat @ bread, rtol=1e-9)
    back = fit.with_errors(None)
    np.testing.assert_allclose(back.covariance, bread, rtol=1e-9)


def test_deviation_errors_are_the_inverse_hessian_by_definition() -> None:
    frame = panel(groups=15)
    sums = moments_of(frame)
    fit = fit_linear_intercept(sums)
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    y = frame["y"].to_numpy()
    same = (frame["g"].to_numpy()[:, None] == frame["g"].to_numpy()[None, :]).astype(float)

    def half_criterion(tau: float, sigma: float) -> float:
        v = sigma**2 * np.eye(len(y)) + tau**2 * same
        inverse = np.linalg.inv(v)
        cross = design.T @ inverse @ design
        residual = y - design @ np.linalg.solve(cross, design.T @ inverse @ y)
        return 0.5 * float(np.linalg.slogdet(v)[1] + np.linalg.slogdet(cross)[1] + residual @ inverse @ residual)

    h = 1e-3
    at = np.array([fit.tau, fit.sigma])
    hessian = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            steps = [(a * np.eye(2)[i] + b * np.eye(2)[j]) * h for a in (1, -1) for b in (1, -1)]
            values = [half_criterion(*(at + step)) for step in steps]
            hessian[i, j] = (values[0] - values[1] - values[2] + values[3]) / (4 * h * h)
    expected = np.sqrt(np.diag(np.linalg.inv(hessian)))
    np.testing.assert_allclose(deviation_errors(sums, fit)[:2], expected, rtol=1e-4)  # differences of second order


def test_profile_interval_ends_lie_where_the_criterion_has_risen() -> None:
    sums = moments_of(panel())
    fit = fit_linear_intercept(sums)
    share = profile_intervals(sums, fit)[2]
    rises = [profile(sums, end / (1 - end)).criterion - fit.criterion for end in share]
    np.testing.assert_allclose(rises, 3.841458820694124, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e3, 1e3), scale=st.sampled_from([1e-6, 0.01, 100.0, 1e6]))
def test_order_labels_and_units_change_nothing(seed: int, shift: float, scale: float) -> None:
    frame = panel(seed=seed % 50)
    plain = random_intercept(frame, "y ~ x", group="g")
    rng = np.random.default_rng(seed)
    moved = frame.sample(frac=1.0, random_state=seed % 1000)
    names = dict(zip(moved["g"].unique(), rng.permutation(moved["g"].nunique()), strict=True))
    moved = moved.assign(g=moved["g"].map(names), y=moved["y"] * scale, x=moved["x"] / scale + shift)
    other = random_intercept(moved, "y ~ x", group="g")
    np.testing.assert_allclose(other.statistics["sd_group"], plain.statistics["sd_group"] * scale, rtol=1e-5)
    np.testing.assert_allclose(other.estimates[1], plain.estimates[1] * scale**2, rtol=1e-5)
    ours = plain.group_effects().set_index("group")["estimate"]
    theirs = other.group_effects().set_index("group")["estimate"]
    np.testing.assert_allclose(theirs[[names[g] for g in ours.index]], ours * scale, rtol=1e-4, atol=1e-5 * scale)


def test_frequency_weight_two_is_two_rows() -> None:
    frame = panel().assign(w=lambda f: np.arange(len(f)) % 3 + 1.0)
    doubled = frame.loc[frame.index.repeat(frame["w"].astype(int))]
    weighted = random_intercept(frame, "y ~ x", group="g", weights="w", frequencies=True)
    repeated = random_intercept(doubled, "y ~ x", group="g")
    np.testing.assert_allclose(weighted.estimates, repeated.estimates, rtol=1e-9)
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-8)
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-11)
    np.testing.assert_allclose(weighted.statistics["sd_group"], repeated.statistics["sd_group"], rtol=1e-8)


def test_constant_precision_weights_only_rescale_the_residual() -> None:
    frame = panel().assign(w=4.0)
    weighted = random_intercept(frame, "y ~ x", group="g", weights="w")
    plain = random_intercept(frame, "y ~ x", group="g")
    np.testing.assert_allclose(weighted.estimates, plain.estimates, rtol=1e-9)
    np.testing.assert_allclose(weighted.statistics["sd_residual"], 2 * plain.statistics["sd_residual"], rtol=1e-9)
    np.testing.assert_allclose(weighted.statistics["sd_group"], plain.statistics["sd_group"], rtol=1e-9)


def test_blocks_of_equal_groups_are_the_groups_one_by_one() -> None:
    frame = panel(groups=200)
    sums = moments_of(frame)
    assert sums.blocks.size > 0
    one_by_one = replace(sums, blocks=np.empty((0, 0)), block_mass=sums.mass, block_count=np.ones(sums.mass.size))
    np.testing.assert_allclose(fit_linear_intercept(one_by_one).ratio, fit_linear_intercept(sums).ratio, rtol=1e-9)


def test_huge_offset_does_not_cost_digits() -> None:
    frame = panel()
    plain = random_intercept(frame, "y ~ x", group="g")
    moved = random_intercept(frame.assign(y=frame["y"] + 1e7), "y ~ x", group="g")
    # y is known to 1e-9 after the shift, and the deviations with it.
    np.testing.assert_allclose(moved.statistics["sd_group"], plain.statistics["sd_group"], rtol=1e-6)


def test_rows_dropped_are_counted() -> None:
    frame = panel()
    frame.loc[3, "x"] = np.nan
    frame.loc[7, "g"] = None
    fit = random_intercept(frame, "y ~ x", group="g")
    assert fit.glance()["rows_dropped"].item() == 2
    assert fit.glance()["rows"].item() == len(frame) - 2


def test_forty_thousand_groups() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(40_000), 3)
    y = rng.normal(0, 0.5, 40_000)[group] + rng.normal(size=group.size)
    frame = pd.DataFrame({"y": y, "g": group})
    fit = random_intercept(frame, "y ~ 1", group="g")
    # Four standard errors of the variance of intercepts at this size, (2 / 40000)^0.5 (tau^2 + sigma^2 / 3).
    assert abs(fit.statistics["sd_group"] ** 2 - 0.25) < 4 * np.sqrt(2 / 40_000) * (0.25 + 1 / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(g=np.arange(len(f))), "one row"),
        (lambda f: f.assign(g="same"), "two groups"),
        (lambda f: f.assign(x=1.0), "combination"),
        (lambda f: f.assign(x=0.0), "zero in every row"),
        (lambda f: f.assign(y=f.groupby("g")["x"].transform("mean") * 2, x=f["z"] * 1.0), "vary within|residual"),
        (lambda f: f.assign(y=2.0 * f["x"]), "residual|vary"),
    ],
)
def test_what_cannot_be_estimated_is_said(change: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        random_intercept(change(panel()), "y ~ x", group="g")  # type: ignore[operator]


def test_unknown_family_is_named() -> None:
    with pytest.raises(ModelError, match="poisson"):
        random_intercept(panel(), "y ~ x", group="g", family="poisson")  # type: ignore[arg-type]


@pytest.mark.certify
def test_bias_and_coverage_of_the_linear_model() -> None:
    # 40 groups: coefficients by the normal instead of t with about 38 degrees of freedom, half a point below nominal.
    rounds, truth = 150, np.array([1.0, 0.5])
    estimates, inside, variances = [], np.zeros(2), []
    for seed in range(rounds):
        # The third regressor of the panel belongs to the model, or its effect would be bias here.
        frame = panel(seed=seed).assign(high=lambda f: (f["z"] == 2) * 1.0)
        fit = random_intercept(frame, "y ~ x + high", group="g")
        table = fit.tidy().iloc[:2]
        estimates.append(fit.estimates[:2])
        inside += ((table["conf_low"] <= truth) & (truth <= table["conf_high"])).to_numpy()
        variances.append(fit.statistics["sd_group"] ** 2)
    values = np.array(estimates)
    error = values.std(axis=0, ddof=1) / np.sqrt(rounds)
    assert (np.abs(values.mean(axis=0) - truth) < np.maximum(3.5 * error, 0.1 * values.std(axis=0))).all()
    # 99.5 % of binomial(150, 0.945) lies within 0.89 and 0.99.
    assert (inside / rounds >= 0.88).all()
    # REML estimates the variance without bias but for the boundary, which is out of reach here.
    assert abs(np.mean(variances) - 0.49) < 3.5 * np.std(variances) / np.sqrt(rounds)


def test_an_outcome_that_does_not_vary_is_refused_in_words() -> None:
    frame = pd.DataFrame({"y": 0.0, "x": np.tile([0.0, 1.0, 3.0], 4), "g": np.repeat(list("abcd"), 3)})
    with pytest.raises(ModelError, match="does not vary"):
        random_intercept(frame, "y ~ x", group="g")
