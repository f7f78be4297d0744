"""Standardised risks: by hand, by numerical derivative, by duplication, by the bootstrap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, discrete_hazard, linear_probability, standardised_risk


def study(seed: int = 1, persons: int = 400, periods: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Baseline rows and person-periods of a discrete hazard with persons in groups."""
    rng = np.random.default_rng(seed)
    base = pd.DataFrame({"person": np.arange(persons), "group": rng.integers(0, 50, persons)})
    base["z"] = rng.normal(size=persons) + 0.4 * rng.normal(size=50)[base.group]
    base["a"] = (rng.random(persons) < 0.4 + 0.1 * (base.z > 0)).astype(int)
    rows = []
    for record in base.itertuples():
        for period in range(1, periods + 1):
            eta = -2.0 + 0.6 * record.a + 0.5 * record.z + 0.1 * period
            event = int(rng.random() < -np.expm1(-np.exp(eta)))
            rows.append((record.person, record.group, record.z, record.a, period, event))
            if event:
                break
    return base, pd.DataFrame(rows, columns=["person", "group", "z", "a", "period", "event"])


FORMULA = "event ~ a*z + C(period)"


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_risk_is_one_minus_the_product_of_survivals(link):
    base, long = study()
    fit = discrete_hazard(long, FORMULA, link=link, cluster="group")
    result = standardised_risk(fit, base, "a", [0, 1], horizon=3)
    risks = []
    for value in (0, 1):
        survival = np.ones(len(base))
        for period in (1, 2, 3):
            survival *= 1 - fit.predict(base.assign(a=value, period=period))
        risks.append(1 - survival.mean())
    expected = [*risks, risks[1] - risks[0], risks[1] / risks[0]]
    np.testing.assert_allclose(result.tidy().estimate, expected, rtol=1e-12)
    assert list(result.tidy().term) == ["risk[0]", "risk[1]", "difference[1 - 0]", "ratio[1 / 0]"]


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_fixed_covariates_give_the_numerical_delta_method(link):
    from dataclasses import replace

    base, long = study()
    fit = discrete_hazard(long, FORMULA, link=link, cluster="group")

    def at(beta):
        moved = replace(fit, estimates=beta)
        return standardised_risk(moved, base, "a", [0, 1], horizon=3, sampling="fixed").estimates

    jacobian = np.array(
        [(at(fit.estimates + d) - at(fit.estimates - d)) / 2e-6 for d in 1e-6 * np.eye(len(fit.terms))]
    ).T
    result = standardised_risk(fit, base, "a", [0, 1], horizon=3, sampling="fixed")
    # Central differences: about ten digits of the derivative.
    np.testing.assert_allclose(result.covariance, jacobian @ fit.covariance @ jacobian.T, rtol=1e-6, atol=1e-14)


def test_difference_of_a_linear_model_is_its_coefficient():
    _, long = study()
    first = long.drop_duplicates("person")
    fit = linear_probability(first, "event ~ a + z", cluster="group")
    result = standardised_risk(fit, first, "a", [0, 1])
    row = result.differences().iloc[0]
    coefficient = fit.tidy().set_index("term").loc["a"]
    np.testing.assert_allclose([row.estimate, row.std_error], [coefficient.estimate, coefficient.std_error], rtol=1e-9)
    np.testing.assert_allclose([row.p_value, row.conf_low], [coefficient.p_value, coefficient.conf_low], rtol=1e-9)


def test_saturated_model_gives_the_errors_of_proportions():
    """With one binary exposure the standardised risk is the proportion, with variance p(1-p)/n."""
    _, long = study()
    first = long.drop_duplicates("person").assign(row=lambda frame: np.arange(len(frame)))
    share = first.groupby("a").event.agg(["mean", "size"])
    expected = np.sqrt(share["mean"] * (1 - share["mean"]) / share["size"])
    naive = discrete_hazard(first, "event ~ a", link="logit")
    robust = naive.with_errors(cluster="row", small_sample="none")
    for fit in (naive, robust):
        result = standardised_risk(fit, first, "a", [0, 1], sampling="sampled")
        np.testing.assert_allclose(result.risks().estimate, share["mean"], rtol=1e-9)
        np.testing.assert_allclose(result.risks().std_error, expected, rtol=1e-8)


def test_sampled_covariates_widen_the_risk_by_their_spread():
    """Without exposure in the model the clustered error of the mean prediction is that of the mean response."""
    _, long = study()
    first = long.drop_duplicates("person").reset_index(drop=True)
    fit = discrete_hazard(first, "event ~ z + a", link="logit", cluster="group", small_sample="none")
    settings = {"as it is": {"a": None}, "all": {"a": 1}}
    sampled = standardised_risk(fit, first, values=settings)
    # The mean prediction of a logit is the mean response, so its sampling error is that of a clustered mean.
    centred = (first.event - first.event.mean()).groupby(first.group).sum()
    expected = np.sqrt((centred**2).sum()) / len(first)
    assert sampled.tidy().estimate[0] == pytest.approx(first.event.mean(), rel=1e-9)
    assert sampled.tidy().std_error[0] == pytest.approx(expected, rel=1e-8)
    fixed = standardised_risk(fit, first, values=settings, sampling="fixed")
    assert fixed.tidy().std_error[0] != pytest.approx(expected, rel=1e-3)


def test_weights_are_duplicates():
    base, long = study()
    fit = discrete_hazard(long, FORMULA, cluster="group")
    weight = 1 + base.person % 3
    one = standardised_risk(fit, base, "a", [0, 1], horizon=2, weights=weight, sampling="fixed").tidy()
    doubled = base.loc[base.index.repeat(weight)]
    two = standardised_risk(fit, doubled, "a", [0, 1], horizon=2, sampling="fixed").tidy()
    pd.testing.assert_frame_equal(one, two, rtol=1e-11)


def test_errors_follow_the_fit_and_order_does_not_matter():
    base, long = study()
    fit = discrete_hazard(long, FORMULA, cluster="group")
    one = standardised_risk(fit, base, "a", [0, 1], horizon=3).tidy()
    two = standardised_risk(fit, base.sample(frac=1, random_state=3), "a", [0, 1], horizon=3).tidy()
    pd.testing.assert_frame_equal(one, two, rtol=1e-10)
    other = standardised_risk(fit.with_errors(cluster="person"), base, "a", [0, 1], horizon=3).tidy()
    assert (other.std_error != one.std_error).all()


def test_a_value_without_events_leaves_the_others_as_they_are():
    _, long = study()
    first = long.drop_duplicates("person").assign(kind=lambda rows: rows.person % 3)
    first.loc[first.kind == 2, "event"] = 0
    dummies = {f"k{value}": (first.kind == value).astype(float) for value in (1, 2)}
    whole = first.assign(**dummies)
    values = {"none": {"k1": 0.0, "k2": 0.0}, "one": {"k1": 1.0, "k2": 0.0}, "two": {"k1": 0.0, "k2": 1.0}}
    fit = discrete_hazard(whole, "event ~ k1 + k2 + z", link="logit", cluster="group")
    table = standardised_risk(fit, whole, None, values).tidy().set_index("term")
    # A fit without the rows that nothing happens to: the maximum at infinity takes nothing from the others.
    rest = whole[whole.k2 == 0]
    alone = discrete_hazard(rest, "event ~ k1 + z", link="logit", cluster="group")
    both = {"none": {"k1": 0.0}, "one": {"k1": 1.0}}
    other = standardised_risk(alone, whole, None, both).tidy().set_index("term")
    for term in ("risk[one]", "difference[one - none]", "ratio[one / none]"):
        assert table.loc[term, "estimate"] == pytest.approx(other.loc[term, "estimate"], rel=1e-6)
        assert table.loc[term, "std_error"] > 0
    assert table.loc["risk[two]", "estimate"] == 0.0
    # Nothing in 133 persons is not nothing for sure.
    for term in ("risk[two]", "difference[two - none]", "ratio[two / none]"):
        assert np.isnan(table.loc[term, ["std_error", "conf_low", "conf_high"]].to_numpy(dtype=float)).all()
    assert np.isnan(table.loc["ratio[two / none]", "estimate"])
    assert table.loc["difference[two - none]", "estimate"] == pytest.approx(-table.loc["risk[none]", "estimate"])


def test_functions_and_several_columns_as_values():
    base, long = study()
    fit = discrete_hazard(long, "event ~ a + z", cluster="group")
    shifted = standardised_risk(fit, base, "z", {"as it is": None, "one more": lambda z: z + 1}, horizon=2)
    by_hand = standardised_risk(fit, base.assign(z=base.z + 1), values={"x": {}, "y": {"a": None}}, horizon=2)
    assert shifted.tidy().estimate[1] == pytest.approx(by_hand.tidy().estimate[0], rel=1e-12)


def test_what_cannot_be_predicted_is_an_error():
    base, long = study()
    fit = discrete_hazard(long, FORMULA)
    with pytest.raises(ModelError, match="not seen"):
        standardised_risk(fit, base, "a", [0, 1], horizon=9)
    with pytest.raises(ModelError, match="two different values"):
        standardised_risk(fit, base, "a", [1], horizon=2)
    with pytest.raises(ModelError, match="missing values"):
        standardised_risk(fit, base.assign(z=np.nan), "a", [0, 1], horizon=2)
    absorbed = linear_probability(long, "event ~ z + period | a")
    with pytest.raises(ModelError, match="levels"):
        standardised_risk(absorbed, base, "a", [0, 1])


@pytest.mark.certify
def test_intervals_cover_the_risk_of_the_population():
    truth_base, _ = study(seed=99, persons=60_000, periods=1)
    hazards = {
        value: -np.expm1(
            -sum(np.exp(-2.0 + 0.6 * value + 0.5 * truth_base.z + 0.1 * period) for period in (1, 2, 3))
        ).mean()
        for value in (0, 1)
    }
    covered = []
    for seed in range(150):
        base, long = study(seed=seed, persons=250)
        fit = discrete_hazard(long, "event ~ a + z + C(period)", cluster="group")
        row = standardised_risk(fit, base, "a", [0, 1], horizon=3).differences().iloc[0]
        covered.append(row.conf_low <= hazards[1] - hazards[0] <= row.conf_high)
    # 150 data sets: three Monte Carlo errors are 5.3 points.
    assert 0.895 <= np.mean(covered) <= 1.0


@pytest.mark.certify
def test_bootstrap_of_the_whole_procedure_agrees_with_the_delta_method():
    """Refit and standardise again in every resample of clusters; the baseline rows are resampled with them."""
    from bipstudy.models import bootstrap

    _, long = study(persons=300)

    def difference(frame, weights):
        fit = discrete_hazard(frame, "event ~ a + z", weights=weights)
        first = frame["period"].to_numpy() == 1
        result = standardised_risk(
            fit, frame[first], "a", [0, 1], horizon=3, weights=np.asarray(weights)[first], sampling="fixed"
        )
        return result.differences()

    class Table:
        def __init__(self, table):
            self.table = table

        def tidy(self):
            return self.table

    drawn = bootstrap(lambda frame, weights: Table(difference(frame, weights)), long, "group", replications=150, seed=2)
    fit = discrete_hazard(long, "event ~ a + z", cluster="group")
    delta = standardised_risk(fit, long[long.period == 1], "a", [0, 1], horizon=3).differences().iloc[0]
    row = drawn.tidy().iloc[0]
    assert row.estimate == pytest.approx(delta.estimate, rel=1e-9)
    # 150 resamples give a standard deviation to 6 %.
    assert row.std_error == pytest.approx(delta.std_error, rel=0.2)
