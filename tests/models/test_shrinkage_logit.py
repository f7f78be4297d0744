"""Logit with a random intercept: lme4's glmer, brute-force integration, exact gradients, invariances, edges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, random_intercept
from bipstudy.models.mixed_logit import fit_logit_intercept
from bipstudy.models.quadrature import BinomialGroups, binomial_groups, log_likelihood

REFERENCE = Path(__file__).parents[1] / "reference"
LME4 = json.loads((REFERENCE / "random_intercept.json").read_text())

# glmer minimises without derivatives to rhoend 1e-11, about 1e-6 in the coefficients.
ABSOLUTE = 1e-5


def cbpp() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "cbpp.csv")
    return frame.assign(share=frame["incidence"] / frame["size"])


def bacteria() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "bacteria.csv")
    return frame.assign(trt=pd.Categorical(frame["trt"], ["placebo", "drug", "drug+"]))


def panel(seed: int = 5, groups: int = 30, tau: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(2, 12, groups))
    x = rng.normal(size=group.size)
    chance = 1 / (1 + np.exp(-(-0.5 + 0.8 * x + rng.normal(0, tau, groups)[group])))
    return pd.DataFrame({"y": (rng.random(group.size) < chance) * 1, "x": x, "g": group})


def groups_of(frame: pd.DataFrame, nodes: int, weights: np.ndarray | None = None) -> BinomialGroups:
    codes, _ = pd.factorize(frame["g"], sort=True)
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    outcome = frame["y"].to_numpy(dtype=float)
    return binomial_groups(design=design, outcome=outcome, group=codes, trials=weights, nodes=nodes)


@pytest.mark.parametrize(("data", "nodes"), [("cbpp", 1), ("cbpp", 5), ("cbpp", 25), ("bacteria", 1), ("bacteria", 15)])
def test_glmer_gives_the_same(data: str, nodes: int) -> None:
    expected = LME4[f"{data}_{nodes}"]
    options: dict[str, Any] = {"family": "binomial", "quadrature": nodes}
    if data == "cbpp":
        fit = random_intercept(cbpp(), "share ~ C(period)", group="herd", weights="size", **options)
    else:
        fit = random_intercept(bacteria(), "yes ~ trt + week", group="ID", **options)
    np.testing.assert_allclose(fit.estimates, expected["estimate"], atol=ABSOLUTE)
    np.testing.assert_allclose(fit.statistics["sd_group"], expected["sd"], atol=ABSOLUTE)
    # The reference Hessian is of glmer's own deviance, at its own optimum, by Richardson differences.
    np.testing.assert_allclose(fit.std_errors, expected["std_error"], atol=ABSOLUTE)
    np.testing.assert_allclose(fit.variance_components()["std_error"][0], expected["sd_error"], atol=ABSOLUTE)
    if nodes == 1:  # with more nodes glmer leaves the saturated likelihood out
        np.testing.assert_allclose(-2 * fit.log_likelihood, expected["criterion"], rtol=1e-9)
    effects = fit.group_effects()
    ours = pd.Series(effects["estimate"].to_numpy(), index=effects["group"].astype(str))
    errors = pd.Series(effects["conditional_error"].to_numpy(), index=effects["group"].astype(str))
    names = [str(group) for group in expected["effects"]["group"]]
    np.testing.assert_allclose(ours[names], expected["effects"]["estimate"], atol=ABSOLUTE)
    np.testing.assert_allclose(errors[names], expected["effects"]["error"], atol=ABSOLUTE)


def test_glmer_with_few_or_many_nodes_differs_by_what_we_differ() -> None:
    fits = {
        nodes: random_intercept(
            cbpp(), "share ~ C(period)", group="herd", family="binomial", weights="size", quadrature=nodes
        )
        for nodes in (5, 25)
    }
    ours = -2 * (fits[5].log_likelihood - fits[25].log_likelihood)
    np.testing.assert_allclose(ours, LME4["cbpp_5"]["criterion"] - LME4["cbpp_25"]["criterion"], atol=1e-8)


def test_many_nodes_are_the_integral() -> None:
    from scipy.integrate import quad

    frame = panel(groups=6)
    beta, tau = np.array([-0.3, 0.6]), 1.4

    def part(rows: pd.DataFrame) -> float:
        eta = beta[0] + beta[1] * rows["x"].to_numpy()

        def integrand(u: float) -> float:
            predictor = eta + tau * u
            value = (rows["y"].to_numpy() * predictor - np.logaddexp(0, predictor)).sum()
            return float(np.exp(value - 0.5 * u * u) / np.sqrt(2 * np.pi))

        return float(np.log(quad(integrand, -12, 12, epsabs=0, epsrel=1e-12, limit=300)[0]))

    by_definition = sum(part(rows) for _, rows in frame.groupby("g"))
    np.testing.assert_allclose(log_likelihood(groups_of(frame, 41), beta, tau).value, by_definition, rtol=1e-9)


@pytest.mark.parametrize("nodes", [1, 2, 7, 15])
def test_gradient_is_that_of_the_approximation(nodes: int) -> None:
    frame = panel()
    weights = np.random.default_rng(1).uniform(0.5, 3.0, len(frame))
    data = groups_of(frame, nodes, weights)
    at = np.array([-0.4, 0.5, 0.8])
    step = 1e-4

    def value(parameters: np.ndarray) -> float:
        return log_likelihood(data, parameters[:2], float(parameters[2])).value

    numeric = [
        sum(weight * value(at + k * step * axis) for k, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1))) / (12 * step)
        for axis in np.eye(3)
    ]
    point = log_likelihood(data, at[:2], 0.8)
    np.testing.assert_allclose(point.gradient, numeric, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(point.gradient[:2], data.design.T @ point.row_scores, rtol=1e-12)
    np.testing.assert_allclose(point.gradient[2], point.tau_scores.sum(), rtol=1e-12)


def test_solution_is_a_maximum_of_the_criterion() -> None:
    from scipy.optimize import minimize

    data = groups_of(panel(), 15)
    fit = fit_logit_intercept(data)
    other = minimize(
        lambda p: -log_likelihood(data, p[:2], float(abs(p[2]))).value,
        [0.0, 0.0, 1.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000},
    )
    np.testing.assert_allclose([*fit.coefficients, fit.tau], other.x, atol=1e-6)
    assert np.abs(fit.gradient).max() < 1e-6


def test_clustered_errors_use_the_group_scores_of_all_parameters() -> None:
    frame = panel()
    fit = random_intercept(frame, "y ~ x", group="g", family="binomial", cluster="g", small_sample="none")
    data = groups_of(frame, 15)
    numbers = fit.numbers
    step = 1e-5

    def group_value(rows: pd.DataFrame, parameters: np.ndarray) -> float:
        alone = groups_of(rows.reset_index(drop=True), 15)
        return log_likelihood(alone, parameters[:2], float(parameters[2])).value

    at = np.array([*numbers.coefficients, numbers.tau])
    meat = np.zeros((3, 3))
    for _, rows in frame.groupby("g"):
        score = np.array(
            [
                (group_value(rows, at + step * axis) - group_value(rows, at - step * axis)) / (2 * step)
                for axis in np.eye(3)
            ]
        )
        meat += np.outer(score, score)
    expected = (numbers.covariance @ meat @ numbers.covariance)[:2, :2]
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-6)
    assert data.outcome.size == len(frame)


def test_trials_are_rows() -> None:
    frame = cbpp()
    long = pd.concat(
        [
            frame.loc[frame.index.repeat(frame["incidence"])].assign(hit=1),
            frame.loc[frame.index.repeat(frame["size"] - frame["incidence"])].assign(hit=0),
        ]
    )
    grouped = random_intercept(frame, "share ~ C(period)", group="herd", family="binomial", weights="size")
    single = random_intercept(long, "hit ~ C(period)", group="herd", family="binomial")
    np.testing.assert_allclose(grouped.estimates, single.estimates, atol=1e-8)
    np.testing.assert_allclose(grouped.std_errors, single.std_errors, rtol=1e-6)
    assert grouped.events == single.events == frame["incidence"].sum()


def test_order_labels_and_units_change_nothing() -> None:
    frame = panel()
    plain = random_intercept(frame, "y ~ x", group="g", family="binomial")
    moved = frame.sample(frac=1.0, random_state=2)
    moved = moved.assign(g="unit " + (99 - moved["g"]).astype(str), x=1000.0 * moved["x"])
    other = random_intercept(moved, "y ~ x", group="g", family="binomial")
    np.testing.assert_allclose(other.estimates * [1, 1000], plain.estimates, rtol=1e-7)
    np.testing.assert_allclose(other.std_errors * [1, 1000], plain.std_errors, rtol=1e-6)
    flipped = random_intercept(frame.assign(y=1 - frame["y"]), "y ~ x", group="g", family="binomial")
    np.testing.assert_allclose(flipped.estimates, -plain.estimates, rtol=1e-7)
    np.testing.assert_allclose(flipped.group_effects()["estimate"], -plain.group_effects()["estimate"], atol=1e-7)


def test_no_spread_is_the_plain_logit() -> None:
    from statsmodels.discrete.discrete_model import Logit

    rng = np.random.default_rng(3)
    # Every group has the same mixture of outcomes: less spread than chance would make.
    frame = pd.DataFrame({"y": np.tile([0, 1, 1, 0, 1], 40), "x": rng.normal(size=200), "g": np.repeat(range(40), 5)})
    fit = random_intercept(frame, "y ~ x", group="g", family="binomial", cluster="g")
    other = Logit(frame["y"], np.column_stack([np.ones(200), frame["x"]])).fit(disp=0)
    assert fit.statistics["sd_group"] == 0.0
    np.testing.assert_allclose(fit.estimates, other.params, rtol=1e-8)
    np.testing.assert_allclose(fit.with_errors(None).std_errors, other.bse, rtol=1e-6)
    np.testing.assert_allclose(fit.log_likelihood, other.llf, rtol=1e-10)
    assert fit.glance()["lr_p_value"].item() == 1.0
    assert "no spread" in fit.notes[0]
    assert np.isfinite(fit.std_errors).all()


def test_groups_that_are_all_alike_are_counted_and_harmless() -> None:
    frame = panel()
    extra = pd.DataFrame({"y": [1] * 6 + [0] * 6, "x": np.linspace(-1, 1, 12), "g": [900] * 6 + [901] * 6})
    whole = pd.concat([frame, extra])
    fit = random_intercept(whole, "y ~ x", group="g", family="binomial")
    alike = sum(len(set(rows["y"])) == 1 for _, rows in whole.groupby("g"))
    assert fit.glance()["groups_all_alike"].item() == alike
    assert np.isfinite(fit.group_effects()["estimate"]).all()


def test_one_row_per_group_is_not_refused_but_has_a_flat_likelihood() -> None:
    frame = panel().assign(g=lambda f: np.arange(len(f)))
    fit = random_intercept(frame.head(60), "y ~ x", group="g", family="binomial", quadrature=7)
    assert np.isfinite(fit.estimates).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(y=(f["x"] > 0) * 1), "separat"),
        (lambda f: f.assign(y=2), "between 0 and 1"),
        (lambda f: f.assign(g=1), "two groups"),
        (lambda f: f.assign(x=3.0), "combination"),
        (lambda f: f.assign(y=1), "separat|alike|all"),
    ],
)
def test_what_cannot_be_estimated_is_said(change: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        random_intercept(change(panel()), "y ~ x", group="g", family="binomial")


def test_number_of_nodes_is_checked() -> None:
    with pytest.raises(ModelError, match="quadrature"):
        random_intercept(panel(), "y ~ x", group="g", family="binomial", quadrature=0)


@pytest.mark.certify
def test_bias_and_coverage_of_the_logit() -> None:
    # 60 groups of about 7 rows: maximum likelihood is about 1 % low in the spread; coefficients are nominal.
    rounds, truth = 100, np.array([-0.5, 0.8])
    estimates, inside, spread = [], np.zeros(2), []
    for seed in range(rounds):
        fit = random_intercept(panel(seed=seed, groups=60), "y ~ x", group="g", family="binomial", quadrature=9)
        table = fit.tidy()
        estimates.append(fit.estimates)
        inside += (table["conf_low"] <= truth) & (truth <= table["conf_high"])
        spread.append(fit.statistics["sd_group"])
    values = np.array(estimates)
    error = values.std(axis=0, ddof=1) / np.sqrt(rounds)
    assert (np.abs(values.mean(axis=0) - truth) < np.maximum(3.5 * error, 0.1 * values.std(axis=0))).all()
    # 99.5 % of binomial(100, 0.95) lies within 0.88 and 1.
    assert (inside / rounds >= 0.88).all()
    assert 0.93 < np.mean(spread) < 1.03
