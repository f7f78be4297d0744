"""Extreme scales, many levels, dtypes, and what must be left alone."""

import numpy as np
import pandas as pd
import pytest
from survival_reference import data

from bipstudy import models
from bipstudy.models import kernels


def test_forty_thousand_pairs_are_a_conditional_logit():
    # In a stratum of one case and one control at risk at its event, the likelihood is logistic in the difference.
    from statsmodels.discrete.discrete_model import Logit

    rng = np.random.default_rng(3)
    pairs = 40_000
    x = rng.normal(size=(pairs, 2, 2))
    chance = 1 / (1 + np.exp(-(x[:, 0] - x[:, 1]) @ [0.5, -0.3]))
    case = np.where(rng.random(pairs) < chance, 0, 1)
    difference = x[np.arange(pairs), case] - x[np.arange(pairs), 1 - case]
    frame = pd.DataFrame(x.reshape(-1, 2), columns=["a", "b"])
    frame["pair"] = np.repeat(np.arange(pairs), 2)
    frame["event"] = (np.tile([0, 1], pairs) == np.repeat(case, 2)).astype(int)
    frame["time"] = 1
    fit = models.cox(frame, "a + b", stop="time", event="event", strata="pair", cluster="pair", small_sample="none")
    other = Logit(np.ones(pairs), difference).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(fit.estimates, other.params, rtol=1e-8)
    np.testing.assert_allclose(fit.with_errors(None).std_errors, other.bse, rtol=1e-7)
    # The residuals of the logit are the score residuals of the pairs.
    score = difference * (1 - other.predict(difference))[:, None]
    robust = np.linalg.inv(-other.model.hessian(other.params)) @ score.T
    np.testing.assert_allclose(fit.std_errors, np.sqrt((robust**2).sum(axis=1)), rtol=1e-7)
    assert len(fit.data.strata) == pairs


def test_many_groups_give_the_curves_of_each():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"time": rng.integers(1, 50, 30_000), "cause": rng.integers(0, 3, 30_000)})
    frame["group"] = np.arange(30_000) % 3000
    curves = models.cumulative_incidence(frame, duration="time", cause="cause", group="group").estimates
    begin, end = np.searchsorted(curves.sets.stratum, [1234, 1235])
    alone = models.cumulative_incidence(frame[frame["group"] == 1234], duration="time", cause="cause").estimates
    np.testing.assert_allclose(curves.incidence[begin:end], alone.incidence, rtol=1e-12)
    np.testing.assert_allclose(curves.incidence_variance[begin:end], alone.incidence_variance, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_time_does_not_matter(scale, shift):
    frame = data("heart")
    one = models.cox(frame, "age + surgery", start="start", stop="stop", event="event", cluster="id")
    moved = frame.assign(start=scale * (frame["start"] + shift), stop=scale * (frame["stop"] + shift))
    two = models.cox(moved, "age + surgery", start="start", stop="stop", event="event", cluster="id")
    np.testing.assert_array_equal(one.estimates, two.estimates)
    np.testing.assert_array_equal(one.std_errors, two.std_errors)


def test_a_wide_spread_of_risk_agrees_with_the_definition():
    from test_cox import brute_log_likelihood, random_rows

    from bipstudy.models.partial_likelihood import evaluate
    from bipstudy.models.risk_sets import risk_sets

    rows = random_rows(np.random.default_rng(9), n=60)
    rows["x"] *= 4
    sets = risk_sets(start=rows["start"], stop=rows["stop"], event=rows["event"], stratum=rows["stratum"])
    beta = np.array([0.9, -0.6])
    at = evaluate(x=rows["x"], beta=beta, weight=rows["weight"], sets=sets)
    # Linear predictors span about 20. What has left the risk set leaves rounding of exp(20) * 1e-16 behind.
    assert at.log_likelihood == pytest.approx(brute_log_likelihood(beta, efron=True, **rows), rel=1e-7)


@pytest.mark.parametrize("formula", ["age", "0 + age", "0 + I(age)", "np.log(prio + 1)", "age + fin"])
def test_the_frame_is_left_as_it_was(formula):
    frame = data("rossi").astype(float)
    before = frame.copy()
    models.cox(frame, formula, stop="week", event="arrest", strata="race", cluster="mar")
    models.fine_gray(frame, formula, duration="week", cause="arrest")
    models.cumulative_incidence(frame, duration="week", cause="arrest", group="race").curve  # noqa: B018
    pd.testing.assert_frame_equal(frame, before)


def test_dtypes_of_canonical_tables_are_understood():
    plain = data("mgus2")
    text = pd.StringDtype("pyarrow", na_value=np.nan)
    frame = plain.astype({"time": "Int64", "death": "boolean", "age": "Float64", "sex": text})
    frame["why"] = plain["cause"].map({0: "none", 1: "pcm", 2: "death"}).astype(text)
    one = models.cox(plain, "age + sex", stop="futime", event="death", strata="block")
    two = models.cox(frame, "age + sex", stop="futime", event="death", strata="block")
    np.testing.assert_array_equal(one.estimates, two.estimates)
    assert two.terms == ("age", "sex[T.M]")
    one = models.cumulative_incidence(plain, duration="time", cause="cause", group="sex").at(60)
    two = models.cumulative_incidence(frame, duration="time", cause="why", group="sex", causes=["pcm", "death"]).at(60)
    np.testing.assert_array_equal(one["estimate"], two["estimate"])
    assert two["group"].tolist() == ["F", "F", "M", "M"]
    three = models.cumulative_incidence(
        plain.astype({"cause": "category"}), duration="time", cause="cause", group="sex"
    )
    assert three.causes == (1, 2)
    assert models.kaplan_meier(frame, duration="time", event="death").at(60)["estimate"].between(0, 1).all()
    assert models.fine_gray(frame, "age + sex", duration="time", cause="why", of="pcm").events == 115


def test_the_index_of_the_frame_plays_no_part():
    frame = data("heart")
    odd = frame.set_index(pd.Index([7] * len(frame)))
    one = models.cox(frame, "age", start="start", stop="stop", event="event", strata="surgery", cluster="id")
    two = models.cox(odd, "age", start="start", stop="stop", event="event", strata="surgery", cluster="id")
    np.testing.assert_array_equal(one.std_errors, two.std_errors)
    frame = data("mgus2")
    one = models.cumulative_incidence(frame, duration="time", cause="cause", group="sex", weights="w").at(60)
    two = models.cumulative_incidence(frame.set_index("sex", drop=False), duration="time", cause="cause", group="sex",
                                      weights="w").at(60)  # fmt: skip
    pd.testing.assert_frame_equal(one, two)


def test_without_a_place_for_the_cache_kernels_are_compiled_anyway(monkeypatch):
    asked = []

    def njit(signature, **options):
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("no locator available")
        return lambda function: function

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels.compiled("f8(f8)")(abs) is abs
    assert asked == [True, False]


def test_left_out_terms_and_monotone_ones_do_not_break_what_follows():
    frame = data("rossi").assign(one=1, never=lambda d: ((d["arrest"] == 0) & (d["age"] > 30)).astype(float))
    fit = models.cox(frame, "one + fin + never", stop="week", event="arrest", cluster="age")
    assert fit.terms == ("fin", "never")
    assert fit.tidy(exponentiate=True).set_index("term").loc["never", "estimate"] == 0.0
    table = fit.predict_survival(frame.head(4), [10, 52])
    assert table["estimate"].between(0, 1).all()
    assert fit.concordance()["estimate"][0] > 0.5
    assert np.isfinite(fit.residuals("martingale").to_numpy()).all()
