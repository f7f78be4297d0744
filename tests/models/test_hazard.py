"""Discrete hazard: R's answers, a second implementation, invariances, derivatives, degenerate data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bipstudy.models import ModelError, discrete_hazard
from bipstudy.models.binary import fit_binary
from bipstudy.models.links import hazard, row_derivatives

REFERENCE = Path(__file__).parents[1] / "reference"
FORMULA = "event ~ fin + age + race + mar + prio + C(period)"
LINKS = ("cloglog", "logit")


@pytest.fixture(scope="module")
def rossi() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "rossi_periods.csv")


@pytest.fixture(scope="module")
def reference() -> dict:
    return json.loads((REFERENCE / "binary_and_linear.json").read_text())


def simulated(seed: int = 3, rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x1": rng.normal(size=rows), "x2": rng.normal(size=rows), "period": rng.integers(1, 6, rows)})
    frame["g"], frame["h"] = rng.integers(0, 150, rows), rng.integers(0, 40, rows)
    eta = -2.0 + 0.5 * frame.x1 - 0.3 * frame.x2 + 0.1 * frame.period + 0.5 * rng.normal(size=150)[frame.g]
    frame["event"] = (rng.random(rows) < -np.expm1(-np.exp(eta))).astype(int)
    return frame


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("weighted", [False, True])
def test_matches_r_glm_and_vcovcl(rossi, reference, link, weighted):
    expected = reference[f"glm_{link}" + ("_weighted" if weighted else "")]
    fit = discrete_hazard(rossi, FORMULA, link=link, weights="weight" if weighted else None)
    # Both sides iterate to the last digits; the reference is written with 15.
    np.testing.assert_allclose(fit.estimates, expected["coef"], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.std_errors, expected["naive"], rtol=1e-8)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    for key, cluster, convention in [
        ("id_none", "id", "none"),
        ("id_sandwich", "id", "sandwich"),
        ("id_sandwich", "id", "stata"),
        ("both_sandwich", ["id", "area"], "sandwich"),
        ("both_sandwich", ["id", "area"], "stata"),
        ("both_none", ["id", "area"], "none"),
    ]:
        robust = fit.with_errors(cluster=cluster, small_sample=convention)
        np.testing.assert_allclose(robust.std_errors, expected[key], rtol=1e-7, err_msg=f"{key} {convention}")


@pytest.mark.parametrize("link", LINKS)
def test_one_cluster_per_row_is_hc0(rossi, reference, link):
    frame = rossi.assign(row=np.arange(len(rossi)))
    fit = discrete_hazard(frame, FORMULA, link=link, cluster="row", small_sample="none")
    np.testing.assert_allclose(fit.std_errors, reference[f"glm_{link}"]["row_none"], rtol=1e-7)


@pytest.mark.parametrize("link", LINKS)
def test_matches_statsmodels_with_its_own_factor(link):
    import statsmodels.api as sm

    frame = simulated()
    fit = discrete_hazard(frame, "event ~ x1 + x2 + C(period)", link=link, cluster="g", small_sample="fixest")
    chosen = sm.families.links.CLogLog() if link == "cloglog" else sm.families.links.Logit()
    other = sm.GLM(frame.event, fit.design.matrix(frame), family=sm.families.Binomial(chosen)).fit(
        tol=1e-14, cov_type="cluster", cov_kwds={"groups": frame.g}
    )
    np.testing.assert_allclose(fit.estimates, other.params, rtol=1e-8)
    # statsmodels multiplies by G/(G-1) (N-1)/(N-K), which is `fixest` here. Its bread uses the observed information.
    if link == "cloglog":
        fit = discrete_hazard(
            frame, "event ~ x1 + x2 + C(period)", cluster="g", small_sample="fixest", information="observed"
        )
    np.testing.assert_allclose(fit.std_errors, other.bse, rtol=1e-6)


@pytest.mark.parametrize("link", LINKS)
def test_derivatives_are_those_of_the_likelihood(link):
    eta = np.linspace(-6.0, 2.5, 18)
    step = 1e-5
    for response in (0.0, 1.0):
        y = np.full_like(eta, response)
        at = row_derivatives(eta, y, link)
        up, down = row_derivatives(eta + step, y, link), row_derivatives(eta - step, y, link)
        # Central differences with this step are good to about 1e-9 of the value and the rounding divided by the step.
        np.testing.assert_allclose(at.slope, (up.value - down.value) / (2 * step), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(at.observed, -(up.slope - down.slope) / (2 * step), rtol=1e-6, atol=1e-9)
    probability = hazard(eta, link)
    one, zero = row_derivatives(eta, np.ones_like(eta), link), row_derivatives(eta, np.zeros_like(eta), link)
    mean = probability * one.observed + (1 - probability) * zero.observed
    np.testing.assert_allclose(one.expected, mean, rtol=1e-9)


def test_observed_information_is_the_hessian():
    frame = simulated(rows=400)
    fit = discrete_hazard(frame, "event ~ x1 + x2", information="observed")
    matrix, y = fit.design.matrix(frame), frame.event.to_numpy(float)

    def slope(beta):
        return row_derivatives(matrix @ beta, y, "cloglog").slope @ matrix

    hessian = np.array([(slope(fit.estimates + d) - slope(fit.estimates - d)) / 2e-5 for d in 1e-5 * np.eye(3)])
    np.testing.assert_allclose(np.linalg.inv(fit.naive), -hessian, rtol=1e-6)
    # At the maximum the score is zero, relative to the size of what is summed.
    assert np.abs(slope(fit.estimates)).max() < 1e-9 * len(frame)


def test_row_order_labels_and_index_do_not_matter():
    frame = simulated()
    formula = "event ~ x1 + x2 + C(period)"
    first = discrete_hazard(frame, formula, cluster=["g", "h"]).tidy()
    mixed = frame.sample(frac=1.0, random_state=1)
    mixed["g"] = "person " + mixed.g.astype(str)
    second = discrete_hazard(mixed, formula, cluster=["g", "h"]).tidy()
    # Sums in another order differ by rounding only.
    pd.testing.assert_frame_equal(first, second, rtol=1e-10, atol=1e-10)


def test_weight_two_is_two_rows():
    frame = simulated(rows=800)
    weight = 1 + frame.h % 2
    doubled = frame.loc[frame.index.repeat(weight)]
    for cluster in (None, "g"):
        one = discrete_hazard(frame, "event ~ x1 + x2", weights=weight, cluster=cluster)
        two = discrete_hazard(doubled, "event ~ x1 + x2", cluster=cluster)
        np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-10)
        np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-10)


def test_weight_zero_is_no_row_and_missing_rows_are_counted():
    frame = simulated(rows=600)
    weight = (frame.h % 3 > 0).astype(float)
    one = discrete_hazard(frame, "event ~ x1", weights=weight)
    two = discrete_hazard(frame[weight > 0], "event ~ x1")
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-12)
    assert one.glance().rows_dropped.item() == int((weight == 0).sum())
    frame.loc[:9, "x1"] = np.nan
    frame.loc[10:14, "g"] = np.nan
    assert discrete_hazard(frame, "event ~ x1", cluster="g").glance().rows_dropped.item() == 15


@pytest.mark.parametrize("link", LINKS)
def test_change_of_unit_changes_the_coefficient_only(link):
    frame = simulated()
    frame["scaled"] = frame.x1 * 1e-7
    frame["far"] = frame.x1 + 2e6
    plain = discrete_hazard(frame, "event ~ x1 + x2", link=link, cluster="g")
    scaled = discrete_hazard(frame, "event ~ scaled + x2", link=link, cluster="g")
    far = discrete_hazard(frame, "event ~ far + x2", link=link, cluster="g")
    np.testing.assert_allclose(scaled.estimates[1] * 1e-7, plain.estimates[1], rtol=1e-9)
    np.testing.assert_allclose(scaled.std_errors[1] * 1e-7, plain.std_errors[1], rtol=1e-9)
    # Adding two million leaves ten digits of x1 itself.
    np.testing.assert_allclose(far.estimates[1:], plain.estimates[1:], rtol=1e-8)
    np.testing.assert_allclose(far.std_errors[1:], plain.std_errors[1:], rtol=1e-6)


def test_level_without_events_is_said_and_the_rest_is_as_if_it_were_not_there():
    frame = simulated()
    frame.loc[frame.period == 4, "event"] = 0
    fit = discrete_hazard(frame, "event ~ x1 + C(period)", cluster="g", small_sample="none")
    table = fit.tidy().set_index("term")
    assert table.estimate["C(period)[T.4]"] == -np.inf
    assert np.isnan(table.std_error["C(period)[T.4]"])
    assert any("separation" in note for note in fit.notes)
    assert fit.glance().rows_uninformative.item() == int((frame.period == 4).sum())
    rest = discrete_hazard(frame[frame.period != 4], "event ~ x1 + C(period)", cluster="g", small_sample="none").tidy()
    shared = table.drop("C(period)[T.4]")
    # The other level's rows add nothing to score or information, so the two are the same up to rounding.
    np.testing.assert_allclose(shared.estimate, rest.set_index("term").estimate, rtol=1e-9)
    np.testing.assert_allclose(shared.std_error, rest.set_index("term").std_error, rtol=1e-9)
    assert np.all(fit.predict(frame)[frame.period == 4] == 0.0)


def test_reference_level_without_events_still_predicts():
    frame = simulated()
    frame.loc[frame.period == 1, "event"] = 0
    fit = discrete_hazard(frame, "event ~ x1 + C(period)")
    rest = discrete_hazard(frame[frame.period > 1], "event ~ x1 + C(period)")
    assert np.all(fit.predict(frame)[frame.period == 1] == 0.0)
    np.testing.assert_allclose(fit.predict(frame)[frame.period > 1], rest.predict(frame[frame.period > 1]), rtol=1e-9)
    assert fit.coef["x1"] == pytest.approx(rest.coef["x1"], rel=1e-9)
    assert np.isinf(fit.coef["Intercept"])


def test_level_where_everybody_has_the_event():
    frame = simulated()
    frame.loc[frame.period == 3, "event"] = 1
    fit = discrete_hazard(frame, "event ~ x1 + C(period)")
    assert fit.coef["C(period)[T.3]"] == np.inf
    assert np.all(fit.predict(frame)[frame.period == 3] == 1.0)


def test_continuous_separation_is_found():
    frame = simulated()
    inside = frame.x2 > 0
    frame["apart"] = np.where(inside, np.where(frame.event == 1, 1.0 + frame.x1.abs(), -0.2 - frame.x1.abs()), 0.0)
    fit = discrete_hazard(frame, "event ~ x1 + apart")
    assert fit.coef["apart"] == np.inf
    rest = discrete_hazard(frame[~inside], "event ~ x1")
    np.testing.assert_allclose(fit.coef[["Intercept", "x1"]], rest.estimates, rtol=1e-8)
    frame["perfect"] = np.where(frame.event == 1, 1.0 + frame.x1.abs(), -0.2 - frame.x1.abs())
    with pytest.raises(ModelError, match="separate"):
        discrete_hazard(frame, "event ~ perfect")


def test_collinear_and_constant_columns_are_left_out_and_said():
    frame = simulated().assign(constant=3.0)
    frame["copy"] = 2.0 * frame.x1 - 1.0
    fit = discrete_hazard(frame, "event ~ x1 + copy + constant + x2")
    plain = discrete_hazard(frame, "event ~ x1 + x2")
    assert fit.terms == plain.terms
    assert "copy, constant" in fit.notes[0]
    np.testing.assert_allclose(fit.estimates, plain.estimates, rtol=1e-10)
    frame.loc[frame.period == 4, "event"] = 0
    both = discrete_hazard(frame, "event ~ x1 + copy + C(period)")
    assert len(both.notes) == 2


@pytest.mark.parametrize("response", [0, 1])
def test_no_events_and_all_events_are_errors(response):
    with pytest.raises(ModelError, match="event"):
        discrete_hazard(simulated(rows=50).assign(event=response), "event ~ x1")


def test_wrong_requests_are_errors():
    frame = simulated(rows=200)
    for kwargs, message in [
        ({"link": "probit"}, "link"),
        ({"small_sample": "hc3"}, "small_sample"),
        ({"cluster": "nobody"}, "nobody"),
        ({"cluster": ["g", "h", "period"]}, "one or two ways"),
        ({"weights": np.full(200, -1.0)}, "negative"),
    ]:
        with pytest.raises(ModelError, match=message):
            discrete_hazard(frame, "event ~ x1", **({"cluster": "g"} | kwargs))
    with pytest.raises(ModelError, match="0 or 1"):
        discrete_hazard(frame, "period ~ x1")
    with pytest.raises(ModelError, match="two clusters"):
        discrete_hazard(frame.assign(one=1), "event ~ x1", cluster="one")


def test_warm_start_reaches_the_same_maximum(monkeypatch):
    from bipstudy.models import binary

    frame = simulated(rows=4000)
    plain = discrete_hazard(frame, "event ~ x1 + x2 + C(period)")
    monkeypatch.setattr(binary, "WARM_START_ROWS", 1000)
    warm = discrete_hazard(frame, "event ~ x1 + x2 + C(period)")
    # Both stop within 1e-10 standard errors of the maximum.
    np.testing.assert_allclose(plain.estimates, warm.estimates, rtol=1e-10, atol=1e-11)


def test_a_level_without_events_among_the_thinned_rows_does_not_mislead(monkeypatch):
    from bipstudy.models import binary

    rng = np.random.default_rng(5)
    n = 8000
    rare = np.zeros(n)
    rare[np.arange(1, 800, 10)] = 1.0
    rare[np.arange(0, 320, 16)] = 1.0
    event = (rng.random(n) < 0.02).astype(float)
    event[rare == 1.0] = 0.0
    # Events of the level only in rows that the warm start does not read.
    event[[11, 21, 31, 51, 61]] = 1.0
    frame = pd.DataFrame({"event": event, "rare": rare, "x": rng.normal(size=n)})
    for link in ("cloglog", "logit"):
        monkeypatch.setattr(binary, "WARM_START_ROWS", 10**9)
        cold = discrete_hazard(frame, "event ~ x + rare", link=link).tidy()
        monkeypatch.setattr(binary, "WARM_START_ROWS", 1000)
        warm = discrete_hazard(frame, "event ~ x + rare", link=link).tidy()
        pd.testing.assert_frame_equal(warm, cold, rtol=1e-7)  # two starts, one maximum


def test_many_levels():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"g": rng.integers(0, 40_000, 60_000), "x": rng.normal(size=60_000)})
    frame["event"] = (rng.random(60_000) < 0.1 + 0.05 * (frame.x > 0)).astype(int)
    fit = discrete_hazard(frame, "event ~ x", cluster="g")
    row = discrete_hazard(frame.assign(row=np.arange(60_000)), "event ~ x", cluster="row")
    assert fit.glance().clusters.item() == frame.g.nunique()
    # Clusters without dependence: the two errors estimate the same thing; 5 % is ten times their spread.
    np.testing.assert_allclose(fit.std_errors, row.std_errors, rtol=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(LINKS), st.floats(0.05, 3.0))
def test_maximum_is_no_lower_than_its_neighbours(seed, link, spread):
    rng = np.random.default_rng(seed)
    matrix = np.column_stack([np.ones(120), rng.normal(scale=spread, size=(120, 2))])
    response = (rng.random(120) < 0.4).astype(float)
    fit = fit_binary(matrix=matrix, response=response, link=link)
    if fit.direction is not None:
        return
    for move in rng.normal(scale=1e-3, size=(5, 3)):
        there = row_derivatives(matrix @ (fit.beta + move), response, link).value.sum()
        assert there <= fit.log_likelihood + 1e-10


@pytest.mark.certify
def test_clustered_intervals_cover():
    covered, estimates, errors = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(80), 12)
        shared = rng.normal(size=80)[group]
        x = 0.6 * rng.normal(size=80)[group] + rng.normal(size=960)
        # The random effect is weak, so that the marginal coefficient is the conditional one to a tenth of an error.
        eta = -1.5 + 0.4 * x + 0.15 * shared
        frame = pd.DataFrame({"event": (rng.random(960) < -np.expm1(-np.exp(eta))).astype(int), "x": x, "g": group})
        row = discrete_hazard(frame, "event ~ x", cluster="g").tidy().iloc[1]
        covered.append(row.conf_low <= 0.4 <= row.conf_high)
        estimates.append(row.estimate)
        errors.append(row.std_error)
    # 200 data sets: 95 % coverage has a Monte Carlo error of 1.5 points; three of them.
    assert 0.905 <= np.mean(covered) <= 0.995
    assert abs(np.mean(estimates) - 0.4) < max(3 * np.std(estimates) / np.sqrt(200), 0.1 * np.mean(errors))
