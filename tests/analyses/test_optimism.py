"""Optimism about others: by definition in loops, and against other implementations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses.belief_context import past_success
from bipstudy.analyses.common import ready
from bipstudy.analyses.leave_out import leave_out_groups
from bipstudy.analyses.optimism import balance, optimism_about_others
from bipstudy.analyses.within_cells import relative_risk
from bipstudy.models import ModelError
from bipstudy.panel import answer_columns, build_panel, first_measurements
from bipstudy.study import Study

Floats = npt.NDArray[np.float64]
OWN = [column for column, who, _ in answer_columns() if who == "participant"]


@pytest.fixture(scope="module")
def study() -> Study:
    drawn, _ = bip.simulate_study(participants=900, seed=21, scenario="demo")
    return drawn


@pytest.fixture(scope="module")
def first(study: Study) -> pd.DataFrame:
    return design.with_optimism(first_measurements(study))


@pytest.fixture(scope="module")
def sample(study: Study, first: pd.DataFrame) -> design.Sample:
    panel = build_panel(study)
    return design.compared(ready(panel), panel.attrs["flow"], first, OWN)


def _drawn(seed: int, n: int = 170) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    residual = rng.normal(size=n)
    residual[rng.random(n) < 0.15] = np.nan
    day = rng.integers(-40, 200, n)
    unit = rng.integers(2, size=n)
    caseworker = unit * 5 + rng.integers(5, size=n)
    # Some are answered about by a caseworker of another unit, and of some nobody is known.
    caseworker[:9], caseworker[9:15] = rng.integers(10, size=9), -1
    return {
        "residual": residual,
        "caseworker": caseworker,
        "cell": unit * 4 + rng.integers(4, size=n),
        "first_day": day,
        "last_day": day + rng.choice([0, 30], n, p=[0.9, 0.1]),
    }


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_optimism_is_what_its_definition_says(earlier: bool, seed: int) -> None:
    drawn = _drawn(seed)
    found = optimism_about_others(**drawn, earlier=earlier)
    given, who, cell = drawn["residual"], drawn["caseworker"], drawn["cell"]

    def counts(j: int, i: int) -> bool:
        before = drawn["last_day"][j] < drawn["first_day"][i] or not earlier
        return j != i and who[j] >= 0 and not math.isnan(given[j]) and bool(before)

    computed = 0
    for i in range(len(given)):
        others = [j for j in range(len(given)) if who[j] == who[i] and counts(j, i)]
        assert found.others[i] == len(others)
        if len(others) < 5:
            assert math.isnan(found.mean[i])
            continue
        net = [
            given[j] - np.mean([given[k] for k in range(len(given)) if cell[k] == cell[j] and counts(k, i)])
            for j in others
        ]
        # Both sum the same numbers in another order.
        assert math.isclose(found.mean[i], float(np.mean(net)), abs_tol=1e-9)
        computed += 1
    assert computed > 20


def test_a_participants_own_answer_never_enters_the_own_optimism() -> None:
    drawn = _drawn(3)
    for earlier in (True, False):
        before = optimism_about_others(**drawn, earlier=earlier).mean
        # Participants measured before many others, so that the answers of others do change.
        for i in [i for i in np.argsort(drawn["last_day"])[:40] if drawn["residual"][i] == drawn["residual"][i]][:3]:
            changed = drawn["residual"].copy()
            changed[i] += 50.0
            after = optimism_about_others(**{**drawn, "residual": changed}, earlier=earlier).mean
            assert np.isclose(after[i], before[i], equal_nan=True)
            assert not np.allclose(np.nan_to_num(after), np.nan_to_num(before))


def test_what_comes_later_never_enters() -> None:
    drawn = _drawn(4)
    moment = 120
    changed = np.where(drawn["last_day"] >= moment, drawn["residual"] + 9.0, drawn["residual"])
    one = optimism_about_others(**drawn).mean
    other = optimism_about_others(**{**drawn, "residual": changed}).mean
    early = drawn["first_day"] <= moment
    np.testing.assert_allclose(other[early], one[early])


def _effects(seed: int, n: int = 1500) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    cell = rng.integers(8, size=n)
    x = rng.normal(size=(n, 2))
    z = rng.normal(size=n)
    risk = np.minimum(np.exp(-2.2 + 0.3 * z + 0.2 * x[:, 0] + 0.1 * (cell % 4)), 0.95)
    return {
        "outcome": (rng.random(n) < risk).astype(float),
        "exposure": z,
        "covariates": x,
        "cell": cell,
        "weights": rng.uniform(0.8, 1.5, n),
        "cluster": rng.integers(60, size=n),
    }


def test_the_relative_risk_is_that_of_a_poisson_model_with_dummies_of_cells() -> None:
    import statsmodels.api as sm

    drawn = _effects(1)
    dummies = (drawn["cell"][:, None] == np.arange(8)).astype(float)
    matrix = np.column_stack([drawn["exposure"], drawn["covariates"], dummies])
    other = sm.GLM(drawn["outcome"], matrix, family=sm.families.Poisson(), freq_weights=drawn["weights"]).fit(tol=1e-12)
    found = relative_risk(**drawn, penalty=0.0)
    # Two optimisers with their own tolerances.
    assert math.isclose(found.log_ratio, other.params[0], abs_tol=1e-7)
    assert math.isclose(found.risk, np.average(drawn["outcome"], weights=drawn["weights"]))
    # A penalty worth two events moves the estimate by far less than its error.
    assert abs(relative_risk(**drawn).log_ratio - found.log_ratio) < 0.05 * found.std_error


def test_covariates_that_say_nothing_cost_little_where_events_are_few() -> None:
    logs = {"none": [], "default": [], "diffuse": []}
    for seed in range(40):
        drawn = _small_cells(200 + seed, shocks=0.0, covariates=40)
        few = {name: values[drawn["cell"] < 32] for name, values in drawn.items()}
        logs["none"].append(relative_risk(**{**few, "covariates": few["covariates"][:, :1]}).log_ratio)
        logs["default"].append(relative_risk(**few).log_ratio)
        logs["diffuse"].append(relative_risk(**few, penalty=1.0).log_ratio)
    spread = {name: float(np.std(values)) for name, values in logs.items()}
    # Some forty events and forty covariates.
    assert spread["default"] < 1.15 * spread["none"]
    assert spread["diffuse"] > 1.25 * spread["none"]


def _small_cells(seed: int, *, effect: float = 0.0, shocks: float = 0.4, covariates: int = 2) -> dict[str, Any]:
    """Cells of some seven caseworkers with two participants each, and caseworkers who differ in what follows."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(84), 2 * 4)
    cell = (cluster // 7) * 4 + np.tile(np.arange(4), 168)
    z = (rng.standard_normal(84) > 0)[cluster].astype(float)
    x = rng.normal(size=(len(cell), covariates))
    risk = np.exp(-2.2 + effect * z + 0.3 * x[:, 0] + (shocks * rng.standard_normal(84))[cluster])
    return {
        "outcome": (rng.random(len(cell)) < np.minimum(risk, 0.95)).astype(float),
        "exposure": z, "covariates": x, "cell": cell, "weights": rng.uniform(0.8, 1.5, len(cell)), "cluster": cluster,
    }  # fmt: skip


def test_the_error_is_that_of_bell_and_mccaffrey_with_a_dummy_for_every_cell() -> None:
    """Dense matrices with the definition of CR2 and of Satterthwaite's degrees, nothing taken out."""
    import statsmodels.api as sm

    drawn = _small_cells(3)
    found = relative_risk(**drawn, penalty=0.0)
    events = np.bincount(drawn["cell"], weights=drawn["outcome"])[drawn["cell"]] > 0
    y, z, x, cell, w, cluster = (value[events] for value in drawn.values())
    dummies = (cell[:, None] == np.unique(cell)).astype(float)
    matrix = np.column_stack([z, x, dummies])
    fit = sm.GLM(y, matrix, family=sm.families.Poisson(), freq_weights=w).fit(tol=1e-13, maxiter=200)
    root = np.sqrt(w * fit.mu)
    scaled = matrix * root[:, None]
    bread = np.linalg.inv(scaled.T @ scaled)
    leverage = scaled @ bread @ scaled.T
    parts, resid = [], w * (y - fit.mu) / root
    for one in np.unique(cluster):
        own = np.flatnonzero(cluster == one)
        values, vectors = np.linalg.eigh(np.eye(len(own)) - leverage[np.ix_(own, own)])
        power = np.where(values > 1e-6, 1 / np.sqrt(np.maximum(values, 1e-6)), 0.0)
        whole = np.zeros(len(y))
        whole[own] = (vectors * power) @ vectors.T @ scaled[own] @ bread[0]
        parts.append(whole)
    weight = np.array(parts)
    spread = weight @ (np.eye(len(y)) - leverage) @ weight.T
    # Two optimisers with their own tolerances.
    assert math.isclose(found.std_error, math.sqrt(float(np.sum((weight @ resid) ** 2))), rel_tol=1e-6)
    assert math.isclose(found.degrees, np.trace(spread) ** 2 / np.sum(spread**2), rel_tol=1e-6)
    assert 10 < found.degrees < 84


def test_the_error_lies_between_the_plain_sandwich_and_leaving_out_each_cluster() -> None:
    # Where cells hold few caseworkers the three are far apart, and near where each is a sixtieth of a cell.
    for drawn, near in ((_small_cells(4), 0.3), (_effects(2), 0.05)):
        found = relative_risk(**drawn)
        labels = np.unique(drawn["cluster"])
        without = []
        for cluster in labels:
            kept = drawn["cluster"] != cluster
            left = relative_risk(**{name: values[kept] for name, values in drawn.items()})
            without.append(left.log_ratio - found.log_ratio)
        whole = math.sqrt((len(labels) - 1) / len(labels) * float(np.sum(np.square(without))))
        assert found.std_error < whole < found.std_error * (1 + near)
        # Each resampled caseworker moves the estimate about as leaving it out does.
        assert np.corrcoef(found.influence, without)[0, 1] < -0.95


def test_few_caseworkers_say_less_than_their_number() -> None:
    drawn = _small_cells(5)
    few = {name: values[drawn["cell"] < 12] for name, values in drawn.items()}
    assert relative_risk(**few).degrees < len(np.unique(few["cluster"])) < relative_risk(**drawn).degrees


@pytest.mark.certify
def test_the_interval_covers_where_cells_hold_few_caseworkers() -> None:
    from scipy.special import stdtrit

    studies, held = 500, 0
    for seed in range(studies):
        found = relative_risk(**_small_cells(1000 + seed, effect=0.3))
        held += abs(found.log_ratio - 0.3) <= stdtrit(found.degrees, 0.975) * found.std_error
    # Three Monte Carlo errors around 95 per cent.
    assert abs(held / studies - 0.95) < 3 * math.sqrt(0.95 * 0.05 / studies)


def test_a_resample_by_influence_is_near_a_refit_with_the_drawn_caseworkers() -> None:
    drawn = _effects(2)
    found = relative_risk(**drawn)
    draws = np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=40)
    steps = (draws - 1.0) @ found.influence
    refits = []
    for counts in draws:
        weights = drawn["weights"] * counts[drawn["cluster"]]
        own = {name: values[weights > 0] for name, values in {**drawn, "weights": weights}.items()}
        refits.append(relative_risk(**own).log_ratio - found.log_ratio)
    # One step with the information of the whole: near in each resample, and of the same spread.
    assert np.corrcoef(steps, refits)[0, 1] > 0.97
    assert math.isclose(np.std(steps), np.std(refits), rel_tol=0.1)
    # The penalty on covariates keeps the sum of the influences from being 0 by little.
    assert abs(found.influence.sum()) < 0.05 * found.std_error


def test_the_ratio_is_that_of_the_shares_where_nothing_else_differs() -> None:
    y = np.repeat([1.0, 0.0, 1.0, 0.0], [6, 54, 9, 31])
    z = np.repeat([0.0, 1.0], [60, 40])
    found = relative_risk(
        outcome=y, exposure=z, covariates=np.zeros((100, 0)), cell=np.zeros(100, dtype=int), weights=np.ones(100),
        cluster=np.arange(100),
    )  # fmt: skip
    assert math.isclose(math.exp(found.log_ratio), (9 / 40) / (6 / 60), rel_tol=1e-9)


def test_too_few_events_are_an_error_in_words() -> None:
    drawn = _effects(3, n=60)
    with pytest.raises(ModelError, match="too few"):
        relative_risk(**{**drawn, "outcome": np.zeros(60)})
    with pytest.raises(ModelError, match="too few"):
        relative_risk(**{**drawn, "exposure": drawn["outcome"] * 1.0, "outcome": drawn["outcome"]})


def test_balance_is_the_quadratic_form_of_the_clusters_scores() -> None:
    rng = np.random.default_rng(5)
    n = 300
    x, z, cell, cluster = rng.normal(size=(n, 3)), rng.normal(size=n), rng.integers(4, size=n), rng.integers(40, size=n)
    found = balance(exposure=z, characteristics=np.column_stack([x, x[:, 0] + x[:, 1]]), cell=cell, cluster=cluster)
    means = {c: (z[cell == c].mean(), x[cell == c].mean(axis=0)) for c in range(4)}
    scores = [np.zeros(3) for _ in range(40)]
    for i in range(n):
        scores[cluster[i]] = scores[cluster[i]] + (z[i] - means[cell[i]][0]) * (x[i] - means[cell[i]][1])
    total, spread = sum(scores), sum(np.outer(s, s) for s in scores)
    assert found.degrees == 3
    assert math.isclose(found.statistic, float(total @ np.linalg.solve(spread, total)), rel_tol=1e-8)


def test_leaving_out_by_parts_gives_what_the_model_of_all_gives() -> None:
    rng = np.random.default_rng(6)
    n = 700
    unit = rng.integers(4, size=n)
    group, cell = unit * 8 + rng.integers(8, size=n), unit * 3 + rng.integers(3, size=n)
    group[:10] = rng.integers(32, size=10)
    t = rng.normal(size=32)[group] + rng.normal(size=n)
    y, w = 0.5 * t + 0.3 * cell + rng.normal(size=n), rng.uniform(1, 2, n)
    frame = pd.DataFrame({"y": y, "t": t, "g": group, "c": cell, "w": w})
    fit = bip.models.instrumental(frame, "y ~ 1 | c | t ~ C(g)", "ujive", weights="w", cluster="g", small_sample="none")
    found = leave_out_groups(outcome=y, treatment=t, group=group, cell=cell, weights=w)
    assert math.isclose(found.estimate, fit.tidy()["estimate"].iloc[0], rel_tol=1e-9)
    count = len(np.unique(group))
    assert math.isclose(found.std_error, fit.tidy()["std_error"].iloc[0] * math.sqrt(count / (count - 1)), rel_tol=1e-6)


def test_past_success_counts_earlier_participants_and_their_transitions_by_then() -> None:
    rng = np.random.default_rng(7)
    n = 200
    day, who = rng.integers(0, 300, n), rng.integers(-1, 12, n)
    ends = np.where(rng.random(n) < 0.3, day + rng.integers(1, 200, n), 1_400_000)
    found = past_success(caseworker=who, first_day=day, last_day=day, transition=ends)
    for i in range(n):
        others = [j for j in range(n) if who[i] >= 0 and who[j] == who[i] and day[j] < day[i]]
        assert found.others[i] == len(others)
        if len(others) < 5:
            assert math.isnan(found.share[i])
        else:
            assert math.isclose(found.share[i], np.mean([ends[j] < day[i] for j in others]))
            assert math.isclose(found.months[i], (day[i] - np.mean(day[others])) / (365.25 / 12), rel_tol=1e-9)


def test_every_first_measurement_is_read_and_once(study: Study, first: pd.DataFrame) -> None:
    panel = build_panel(study)
    shared = panel[panel["first_measurement"]].merge(first, on="participant", suffixes=("", "_first"))
    assert len(shared) == panel["first_measurement"].sum()
    # Those who made the transition in the wash-out have no row in the panel but count among the others.
    assert len(first) > len(shared)
    for column in ("belief", "answered_on", "answering_caseworker", "caseload"):
        pd.testing.assert_series_equal(shared[column], shared[f"{column}_first"], check_names=False)
    forms = study.measurements.set_index(["organisation_id", "participant_id"])["instrument"]
    assert set(first["instrument"].dropna()) == set(forms)
    assert (first["instrument"].isna() <= first["belief"].isna()).all()


def test_the_reduced_form_is_what_its_definition_says(sample: design.Sample) -> None:
    """A Newton search of its own on the likelihood with a dummy for every cell."""
    frame = sample.frame[sample.frame["y_known"]]
    label = "optimism_above_vs_below_median"
    rows = design.reduced_forms(sample, (("y", "work_or_study"),), 12, True)
    (found,) = (n for lab, n in rows if lab.benchmark == "R2a")
    (plain,) = (
        n for lab, n in rows if (lab.contrast, lab.scale, lab.term, lab.adjustment)
        == (label, "risk_ratio", "optimism", "unit_quarter")
    )  # fmt: skip
    optimism = frame["optimism"]
    above = (optimism > sample.frame["optimism"].median()).to_numpy(dtype=float)
    cells = frame["organisation_id"] + frame["unit_id"] + frame["entered_on"].dt.to_period("Q").astype(str)
    y, w = frame["y"].to_numpy(), frame["ipcw"].to_numpy()
    beta = 0.0
    for _ in range(60):
        score = information = 0.0
        for cell in cells.unique():
            own = (cells == cell).to_numpy()
            weight = w[own] * np.exp(beta * above[own])
            events, share = float(w[own] @ y[own]), float(weight @ above[own] / weight.sum())
            score += float((w[own] * y[own]) @ above[own]) - events * share
            information += events * share * (1 - share)
        beta += score / information
    assert math.isclose(plain.estimate, math.exp(beta), rel_tol=1e-7)
    assert plain.n == found.n == len(frame)
    assert plain.events == int(y.sum())


def test_the_interval_is_that_of_t(sample: design.Sample) -> None:
    from scipy.stats import t

    found = design.above_against_below(sample, "y")
    known = sample.frame[sample.frame["y_known"]]
    whole = relative_risk(
        outcome=known["y"].to_numpy(),
        exposure=known["above"].to_numpy(),
        covariates=known[sample.covariates].to_numpy(),
        cell=known["cell"].to_numpy(),
        weights=known["ipcw"].to_numpy(),
        cluster=pd.factorize(known["answering_caseworker"])[0],
    )
    half = t.ppf(0.975, whole.degrees) * whole.std_error
    assert math.isclose(math.log(found.conf_high), whole.log_ratio + half, rel_tol=1e-9)
    assert (found.p_value < 0.05) == (abs(whole.log_ratio) > half)


def test_points_and_ratio_say_the_same(sample: design.Sample) -> None:
    rows = design.reduced_forms(sample, (("y", "work_or_study"),), 12, True)
    (ratio,) = (n for lab, n in rows if lab.benchmark == "R2a")
    chosen = {
        (lab.contrast, lab.scale): n for lab, n in rows if (lab.term, lab.adjustment) == ("optimism", design.ADJUSTED)
    }
    low = chosen[("optimism_below_median", "risk")].estimate
    difference = chosen[(design.MEDIAN, "risk_difference")].estimate
    assert math.isclose(low * ratio.estimate - low, difference, rel_tol=1e-9)


def test_unpublished_outcomes_meet_no_published_number(sample: design.Sample) -> None:
    rows = design.reduced_forms(sample, (("y", "work_or_study"), ("y_work", "work")), 6, False)
    assert {label.benchmark for label, _ in rows} == {""}


def test_the_answer_names_the_outcome_that_was_asked_for(study: Study) -> None:
    result = bip.analyses.belief(study, outcome="narrow")
    words = "arbete (snäv definition)"
    assert f"nådde {words} " in result.answer("sv")
    assert words in result.estimand("sv")
    assert words in result.words(result.figures["ladder"].caption, "sv")
    assert not set(result.estimates["benchmark"]) & {"R2a", "R2b", "R8", "R16", "R5a"}


def test_a_rare_level_among_the_covariates_does_no_harm() -> None:
    # A level that only one has lies forty standard deviations away: whole Newton steps go astray there.
    from scipy.optimize import minimize

    rng = np.random.default_rng(12)
    rows = 1600
    cell = rng.integers(0, 20, rows)
    rare = (np.arange(rows) < 1).astype(float)
    z = (rng.random(rows) < 0.5).astype(float)
    y = (rng.random(rows) < 0.08 * np.exp(0.4 * z)).astype(float)
    y[0] = 1.0
    given = {
        "outcome": y, "exposure": z, "covariates": rare[:, None], "cell": cell, "weights": np.ones(rows),
        "cluster": rng.integers(0, 90, rows),
    }  # fmt: skip
    found = relative_risk(**given)
    column = (rare - rare.mean()) / rare.std()
    observed = np.bincount(cell, weights=y)

    def loss(beta: np.ndarray) -> float:
        predictor = z * beta[0] + column * beta[1]
        total = np.bincount(cell, weights=np.exp(predictor))
        return -(y @ predictor - observed @ np.log(total) - 0.5 * beta[1] ** 2)

    best = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    # BFGS with numerical gradients finds the place to about six digits.
    assert found.log_ratio == pytest.approx(best.x[0], abs=1e-5)
