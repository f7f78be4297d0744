"""Cox regression against R, against definitions, and under changes that must not matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_reference import data, reference

from bipstudy import models
from bipstudy.models.covariance import ModelError
from bipstudy.models.partial_likelihood import evaluate, maximise, scores
from bipstudy.models.risk_sets import risk_sets

HEART = "age + year + surgery + transplant"
ROSSI = "fin + age + race + wexp + mar + paro + prio"
PBC = "np.log(bili) + age + edema + albumin + np.log(protime)"

# Both sides stop where a further Newton step changes nothing at double precision; what is left is summation order.
EXACT = {"rtol": 1e-8, "atol": 1e-10}
# Robust errors multiply two inverses and cancel sums of scores, which costs another digit.
ROBUST = {"rtol": 1e-7, "atol": 0}


def heart(ties="efron", **options):
    return models.cox(data("heart"), HEART, start="start", stop="stop", event="event", ties=ties, **options)


def rossi(ties="efron", frame=None, **options):
    return models.cox(
        data("rossi") if frame is None else frame, ROSSI, stop="week", event="arrest", ties=ties, **options
    )


def pbcseq(ties="efron", frame=None, **options):
    frame = data("pbcseq") if frame is None else frame
    options = {"strata": "sex", "weights": "w"} | options
    return models.cox(frame, PBC, start="day", stop="stop", event="death", ties=ties, **options)


def rossi_weighted(ties="efron", **options):
    return models.cox(
        data("rossi"), "fin + age + prio", stop="week", event="arrest", strata=["race", "wexp"], weights="w", ties=ties,
        **options,
    )  # fmt: skip


CASES = {"heart": (heart, "id"), "rossi_strata_weights": (rossi_weighted, "age"), "pbcseq": (pbcseq, "id")}


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", CASES)
def test_coefficients_and_errors_are_those_of_r(name, ties):
    run, cluster = CASES[name]
    fit = run(ties=ties, cluster=cluster, small_sample="none")
    model = f"{name}_{ties}"
    np.testing.assert_allclose(fit.estimates, reference("cox", model, "estimate"), **EXACT)
    np.testing.assert_allclose(fit.with_errors(None).std_errors, reference("cox", model, "naive"), **EXACT)
    np.testing.assert_allclose(fit.std_errors, reference("cox", model, "robust"), **ROBUST)
    log_likelihood = [fit.glance()["log_likelihood_null"][0], fit.log_likelihood]
    np.testing.assert_allclose(log_likelihood, reference("cox", model, "log_likelihood"), **EXACT)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_right_censored_rossi_is_that_of_r(ties):
    fit = rossi(ties)
    np.testing.assert_allclose(fit.estimates, reference("cox", f"rossi_{ties}", "estimate"), **EXACT)
    np.testing.assert_allclose(fit.std_errors, reference("cox", f"rossi_{ties}", "naive"), **EXACT)


def test_two_way_errors_are_those_of_sandwich():
    frame = data("heart")
    frame["cohort"] = np.floor(frame["year"])
    fit = models.cox(frame, HEART, start="start", stop="stop", event="event", ties="breslow",
                     cluster=["id", "cohort"], small_sample="none")  # fmt: skip
    np.testing.assert_allclose(fit.std_errors, reference("cox", "heart_two_way", "robust"), **ROBUST)


def test_sandwich_convention_is_the_default_of_vcovcl():
    fit = heart("breslow", cluster="id", small_sample="sandwich")
    np.testing.assert_allclose(fit.std_errors, reference("cox", "heart_vcovCL", "robust"), **ROBUST)


def test_toy_data_of_therneau_and_grambsch_by_hand():
    # First data set: with r = exp(beta) the Breslow log likelihood is 2 beta - log(3r + 3) - 2 log(r + 3), which is
    # at its largest at r = (3 + sqrt(33)) / 2.
    frame = pd.DataFrame({"time": [1, 1, 6, 6, 8, 9], "status": [1, 0, 1, 1, 0, 1], "x": [1, 1, 1, 0, 0, 0]})
    fit = models.cox(frame, "x", stop="time", event="status", ties="breslow")
    r = (3 + np.sqrt(33)) / 2
    assert fit.estimates[0] == pytest.approx(np.log(r), rel=1e-9)
    assert fit.log_likelihood == pytest.approx(2 * np.log(r) - np.log(3 * r + 3) - 2 * np.log(r + 3), rel=1e-12)
    information = r / (r + 1) ** 2 + 6 * r / (r + 3) ** 2
    assert fit.std_errors[0] == pytest.approx(information**-0.5, rel=1e-9)
    # Efron: 2 beta - log(3r + 3) - log(r + 3) - log(r/2 + 5/2), largest where the derivative is zero.
    efron = models.cox(frame, "x", stop="time", event="status")
    r = np.exp(efron.estimates[0])
    assert 2 - r / (r + 1) - r / (r + 3) - r / (r + 5) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("toy", ["toy1", "toy2", "toy3"])
def test_toy_data_against_r(toy, ties):
    frames = {
        "toy1": {"stop": [1, 1, 6, 6, 8, 9], "event": [1, 0, 1, 1, 0, 1], "x": [1, 1, 1, 0, 0, 0]},
        "toy2": {"start": [1, 2, 5, 2, 1, 7, 3, 4, 8, 8], "stop": [2, 3, 6, 7, 8, 9, 9, 9, 14, 17],
                 "event": [1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "x": [1, 0, 0, 1, 0, 1, 1, 1, 0, 0]},
        "toy3": {"stop": [1, 1, 2, 2, 2, 2, 3, 4, 5], "event": [1, 0, 1, 1, 1, 0, 0, 1, 0],
                 "x": [2, 0, 1, 1, 0, 1, 0, 1, 0], "w": [1, 2, 3, 4, 3, 2, 1, 2, 1]},
    }  # fmt: skip
    frame = pd.DataFrame(frames[toy])
    fit = models.cox(frame, "x", start="start" if toy == "toy2" else None, stop="stop", event="event", ties=ties,
                     weights="w" if toy == "toy3" else None)  # fmt: skip
    model = f"{toy}_{ties}"
    np.testing.assert_allclose(fit.estimates, reference("cox", model, "estimate"), **EXACT)
    np.testing.assert_allclose(fit.std_errors, reference("cox", model, "naive"), **EXACT)
    # R gives score residuals without the case weight.
    score = fit.scores.dense()[:, 0] / frame.get("w", pd.Series(1.0, index=frame.index))
    np.testing.assert_allclose(score, reference("cox", model, "residual_score"), rtol=1e-7, atol=1e-9)


def brute_log_likelihood(beta, x, start, stop, event, weight, stratum, efron):
    """Partial log likelihood by its definition, one event time at a time."""
    total = 0.0
    for s in np.unique(stratum):
        for t in np.unique(stop[event & (stratum == s)]):
            at_risk = (stratum == s) & (start < t) & (stop >= t)
            dying = (stratum == s) & event & (stop == t)
            risk = weight * np.exp(x @ beta)
            d = dying.sum()
            total += (weight * (x @ beta))[dying].sum()
            for m in range(d):
                part = m / d if efron else 0.0
                total -= weight[dying].mean() * np.log(risk[at_risk].sum() - part * risk[dying].sum())
    return total


def random_rows(rng, n=40, k=2, times=8):
    start = rng.integers(0, times, n).astype(float)
    stop = start + rng.integers(1, times, n)
    event = rng.random(n) < 0.5
    event[0] = True
    return {
        "x": rng.normal(size=(n, k)),
        "start": start,
        "stop": stop,
        "event": event,
        "weight": rng.uniform(0.2, 3.0, n),
        "stratum": rng.integers(0, 3, n),
    }


@pytest.mark.parametrize("efron", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_likelihood_gradient_and_information_against_the_definition(seed, efron):
    rows = random_rows(np.random.default_rng(seed))
    sets = risk_sets(start=rows["start"], stop=rows["stop"], event=rows["event"], stratum=rows["stratum"])
    beta = np.array([0.4, -0.7])

    def value(b):
        return brute_log_likelihood(b, efron=efron, **rows)

    at = evaluate(x=rows["x"], beta=beta, weight=rows["weight"], sets=sets, efron=efron)
    assert at.log_likelihood == pytest.approx(value(beta), rel=1e-12)
    # Central differences of step h err by h^2, and by 1e-16 / h (gradient) or 1e-16 / h^2 (second derivative).
    h, unit = 1e-5, np.eye(2)
    gradient = [(value(beta + h * e) - value(beta - h * e)) / (2 * h) for e in unit]
    np.testing.assert_allclose(at.gradient, gradient, rtol=1e-6, atol=1e-7)

    def slope(b):
        return evaluate(x=rows["x"], beta=b, weight=rows["weight"], sets=sets, efron=efron).gradient

    information = [-(slope(beta + h * e) - slope(beta - h * e)) / (2 * h) for e in unit]
    np.testing.assert_allclose(at.information, information, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        scores(x=rows["x"], weight=rows["weight"], sets=sets, at=at).sum(axis=0), at.gradient, atol=1e-10
    )


@pytest.mark.parametrize("seed", range(3))
def test_breslow_score_residuals_are_derivatives_by_weight(seed):
    # The gradient at fixed coefficients changes with the weight of row i by its score residual over its weight.
    rows = random_rows(np.random.default_rng(seed), n=25)
    sets = risk_sets(start=rows["start"], stop=rows["stop"], event=rows["event"], stratum=rows["stratum"])
    beta, h = np.array([0.3, 0.2]), 1e-6

    def gradient(weight):
        return evaluate(x=rows["x"], beta=beta, weight=weight, sets=sets, efron=False).gradient

    at = evaluate(x=rows["x"], beta=beta, weight=rows["weight"], sets=sets, efron=False)
    score = scores(x=rows["x"], weight=rows["weight"], sets=sets, at=at)
    for i in range(25):
        change = np.zeros(25)
        change[i] = h
        numeric = (gradient(rows["weight"] + change) - gradient(rows["weight"] - change)) / (2 * h)
        np.testing.assert_allclose(score[i] / rows["weight"][i], numeric, atol=1e-6)


def test_lifelines_agrees_on_intervals():
    from lifelines import CoxTimeVaryingFitter

    frame = data("heart").drop(columns=["transplant"]).assign(transplant=data("heart")["transplant"])
    other = CoxTimeVaryingFitter().fit(frame, id_col="id", event_col="event", start_col="start", stop_col="stop")
    fit = heart("efron")
    # lifelines stops when the step is below 1e-7 or so.
    np.testing.assert_allclose(fit.estimates, other.params_[list(fit.terms)], rtol=1e-6)
    np.testing.assert_allclose(fit.std_errors, other.standard_errors_[list(fit.terms)], rtol=1e-6)


def test_coxdev_agrees_on_strata_and_weights():
    from coxdev import CoxDeviance

    frame = data("pbcseq").dropna(subset=["bili", "albumin", "protime"])
    x = np.column_stack([np.log(frame["bili"]), frame["age"], frame["albumin"]])
    fit = models.cox(frame, "np.log(bili) + age + albumin", start="day", stop="stop", event="death", strata="sex",
                     weights="w")  # fmt: skip
    other = CoxDeviance(
        event=frame["stop"].to_numpy(float), status=frame["death"].to_numpy(), start=frame["day"].to_numpy(float),
        strata=(frame["sex"] == "m").to_numpy().astype(int),
    )  # fmt: skip
    result = other(x @ fit.estimates, frame["w"].to_numpy())
    # Its gradient by the linear predictor must vanish along the covariates where ours is at its maximum.
    np.testing.assert_allclose(x.T @ result.gradient / np.abs(x.T @ np.abs(result.gradient)), 0, atol=1e-8)


def test_statsmodels_agrees_when_entries_are_moved_off_the_event_times():
    from statsmodels.duration.hazard_regression import PHReg

    frame = data("heart")
    # PHReg takes intervals as closed, so its entries must lie just after the time at which the row begins.
    other = PHReg(frame["stop"], frame[["age", "year", "surgery", "transplant"]], status=frame["event"],
                  entry=frame["start"] + 1e-6, ties="efron").fit(disp=0)  # fmt: skip
    np.testing.assert_allclose(heart().estimates, other.params, rtol=1e-6)


def test_row_order_does_not_matter():
    frame = data("pbcseq")
    shuffled = frame.sample(frac=1, random_state=3)
    one, two = pbcseq(frame=frame, cluster="id"), pbcseq(frame=shuffled, cluster="id")
    # Sums are taken in another order.
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-10)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)


def test_the_same_frame_gives_the_same_bytes():
    one, two = pbcseq(cluster="id"), pbcseq(cluster="id")
    assert one.estimates.tobytes() == two.estimates.tobytes()
    assert one.covariance.tobytes() == two.covariance.tobytes()


def test_relabelled_ids_and_strata_do_not_matter():
    frame = data("pbcseq")
    frame["id"] = "p" + (1000 - frame["id"]).astype(str)
    frame["sex"] = frame["sex"].map({"f": "z", "m": "a"})
    one, two = pbcseq(cluster="id"), pbcseq(frame=frame, cluster="id")
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-10)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)


def split(frame, at, start, stop, event):
    """Cut every row that covers `at` in two."""
    inside = (frame[start] < at) & (frame[stop] > at)
    first = frame[inside].assign(**{stop: at, event: 0})
    second = frame[inside].assign(**{start: at})
    return pd.concat([frame[~inside], first, second])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("at", [17, 20, 33.5])
def test_cutting_an_episode_anywhere_changes_nothing(ties, at):
    # Week 17 and 20 are event times: a row that ends there and one that begins there must not both be at risk.
    frame = data("rossi").assign(start=0.0, person=range(432))
    options = {"start": "start", "stop": "week", "event": "arrest", "ties": ties, "cluster": "person"}
    one = models.cox(frame, ROSSI, **options)
    cut = split(frame.astype({"week": float}), at, "start", "week", "arrest")
    two = models.cox(cut, ROSSI, **options, person="person")
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)
    assert two.glance()["persons"][0] == 432


def test_breslow_weight_two_is_two_rows():
    frame = data("rossi").assign(count=lambda d: 1 + d["prio"] % 3)
    rows = frame.loc[frame.index.repeat(frame["count"])]
    one, two = rossi("breslow", frame=frame, weights="count"), rossi("breslow", frame=rows)
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-9)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)


def test_efron_frequency_weight_two_is_two_rows():
    # With case weights Efron's rule is not the same as doubling rows (as in R); with frequencies it is.
    rng = np.random.default_rng(5)
    rows = random_rows(rng, n=60)
    count = rng.integers(0, 4, 60)
    scale = np.ones(2)
    columns = {key: rows[key] for key in ("start", "stop", "event", "stratum")}
    double = {key: np.repeat(value, count, axis=0) for key, value in columns.items()}
    one = maximise(x=rows["x"], weight=count.astype(float), sets=risk_sets(**columns), scale=scale, frequency=True)
    many = np.repeat(rows["x"], count, axis=0)
    two = maximise(x=many, weight=np.ones(count.sum()), sets=risk_sets(**double), scale=scale)
    np.testing.assert_allclose(one.at.beta, two.at.beta, rtol=1e-9)
    np.testing.assert_allclose(one.at.information, two.at.information, rtol=1e-9)


def test_rows_of_weight_zero_are_as_if_absent():
    frame = data("rossi").assign(w=lambda d: (d["age"] > 20).astype(float))
    one, two = rossi(frame=frame, weights="w"), rossi(frame=frame[frame["w"] > 0])
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-12)
    assert one.glance()["rows_dropped"][0] == (frame["w"] == 0).sum()


def test_one_cluster_per_row_is_the_sum_of_squared_influences():
    fit = models.cox(data("rossi").assign(row=range(432)), ROSSI, stop="week", event="arrest", cluster="row",
                     small_sample="none")  # fmt: skip
    influence = fit.influence()
    np.testing.assert_allclose(fit.covariance, influence.T @ influence, rtol=1e-10)


def test_units_of_a_covariate_only_scale_its_coefficient():
    frame = data("rossi")
    fit = rossi(frame=frame)
    frame["age"] = frame["age"] * 1e6 + 1e9
    frame["prio"] = frame["prio"] * 1e-7
    scaled = rossi(frame=frame)
    factor = np.array([1, 1e6, 1, 1, 1, 1, 1e-7])
    # The offset of 1e9 costs the mean of age ten of its sixteen digits.
    np.testing.assert_allclose(fit.estimates, scaled.estimates * factor, rtol=1e-6)
    np.testing.assert_allclose(fit.std_errors, scaled.std_errors * factor, rtol=1e-6)


def test_strata_without_events_change_nothing():
    frame = data("rossi").assign(block=lambda d: d["race"])
    extra = frame.head(30).assign(block=9, arrest=0)
    one = models.cox(frame, "fin + age", stop="week", event="arrest", strata="block")
    two = models.cox(pd.concat([frame, extra]), "fin + age", stop="week", event="arrest", strata="block")
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-10)


def test_no_events_is_an_error():
    with pytest.raises(models.ModelError, match="no row has an event"):
        rossi(frame=data("rossi").assign(arrest=0))


def test_all_events_work():
    fit = rossi(frame=data("rossi").assign(arrest=1))
    assert np.isfinite(fit.std_errors).all()
    assert fit.events == 432


def test_a_constant_and_a_collinear_column_are_left_out_and_named():
    frame = data("rossi").assign(one=1.0, twice=lambda d: 2 * d["age"] - 7)
    fit = models.cox(frame, "one + age + twice + fin", stop="week", event="arrest")
    assert fit.terms == ("age", "fin")
    assert any("one was left out" in note for note in fit.notes)
    assert any("twice was left out: it is a combination of age" in note for note in fit.notes)
    np.testing.assert_allclose(
        fit.estimates, models.cox(frame, "age + fin", stop="week", event="arrest").estimates, rtol=1e-12
    )


def test_a_covariate_that_is_constant_within_strata_is_found():
    fit = models.cox(data("rossi"), "fin + race", stop="week", event="arrest", strata="race")
    assert fit.terms == ("fin",)
    with pytest.raises(models.ModelError, match="no term carries information"):
        models.cox(data("rossi"), "race", stop="week", event="arrest", strata="race")


def test_monotone_likelihood_is_found_and_the_rest_is_the_limit():
    frame = data("rossi").assign(never=lambda d: ((d["arrest"] == 0) & (d["age"] > 30)).astype(float))
    fit = models.cox(frame, "fin + prio + never", stop="week", event="arrest", cluster="age")
    table = fit.tidy().set_index("term")
    assert table.loc["never", "estimate"] == -np.inf
    assert np.isnan(table.loc["never", "std_error"])
    assert any("monotone likelihood: never" in note for note in fit.notes)
    # In the limit those marked are not at risk.
    limit = models.cox(frame[frame["never"] == 0], "fin + prio", stop="week", event="arrest")
    np.testing.assert_allclose(table.loc[["fin", "prio"], "estimate"], limit.estimates, rtol=1e-8)
    np.testing.assert_allclose(fit.with_errors(None).std_errors[:2], limit.std_errors, rtol=1e-6)


def test_a_large_but_finite_hazard_ratio_is_not_called_infinite():
    frame = data("rossi").assign(mostly=lambda d: ((d["arrest"] == 0) | (d["prio"] == 4)).astype(float))
    fit = models.cox(frame, "fin + mostly", stop="week", event="arrest")
    assert fit.notes == ()
    assert np.isfinite(fit.estimates).all()


def test_wide_linear_predictors_do_not_overflow():
    rng = np.random.default_rng(2)
    n = 400
    x = rng.normal(size=n) * 300
    frame = pd.DataFrame({"x": x, "stop": rng.exponential(np.exp(-x / 100)), "event": 1})
    fit = models.cox(frame, "x", stop="stop", event="event")
    # Truth is 0.01; the linear predictor spans about 18.
    assert fit.estimates[0] == pytest.approx(0.01, abs=4 * fit.std_errors[0])


def test_intervals_that_end_before_they_start_are_refused():
    frame = data("heart")
    frame.loc[3, "stop"] = frame.loc[3, "start"]
    with pytest.raises(models.ModelError, match="1 rows end at or before their start"):
        models.cox(frame, HEART, start="start", stop="stop", event="event")


def test_overlapping_intervals_of_a_person_are_refused():
    frame = data("heart")
    frame.loc[frame["id"] == 4, "start"] = 0.0
    with pytest.raises(models.ModelError, match="overlap in 1 places"):
        models.cox(frame, HEART, start="start", stop="stop", event="event", person="id")


def test_an_event_that_is_not_yes_or_no_is_refused():
    with pytest.raises(models.ModelError, match="1/0"):
        models.cox(data("mgus2").assign(d=2), "age", stop="futime", event="d")


def test_one_cluster_is_refused():
    with pytest.raises(models.ModelError, match="two clusters"):
        rossi(frame=data("rossi").assign(g=1), cluster="g")


def test_missing_rows_are_dropped_and_counted():
    frame = data("mgus2")
    fit = models.cox(frame, "hgb + age", stop="futime", event="death")
    assert fit.glance()["rows_dropped"][0] == frame["hgb"].isna().sum()


def test_hazard_ratios_are_the_exponential():
    fit = heart()
    np.testing.assert_allclose(fit.hazard_ratios()["estimate"], np.exp(fit.estimates), rtol=1e-14)
    np.testing.assert_allclose(fit.hazard_ratios()["conf_low"], np.exp(fit.tidy()["conf_low"]), rtol=1e-14)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_any_data_agree_with_the_definition(seed, efron):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, n=int(rng.integers(2, 20)), times=int(rng.integers(2, 6)))
    sets = risk_sets(start=rows["start"], stop=rows["stop"], event=rows["event"], stratum=rows["stratum"])
    beta = rng.normal(size=2)
    at = evaluate(x=rows["x"], beta=beta, weight=rows["weight"], sets=sets, efron=efron)
    assert at.log_likelihood == pytest.approx(brute_log_likelihood(beta, efron=efron, **rows), rel=1e-10, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_cutting_any_row_at_any_time_changes_nothing(seed, efron):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, n=int(rng.integers(4, 25)), times=6)
    # At event times, between them, and outside the row: a cut outside leaves it whole.
    at = rng.choice(np.arange(0, 12, 0.5), len(rows["stop"]))
    inside = (rows["start"] < at) & (at < rows["stop"])
    cut = {key: np.concatenate([value, value[inside]]) for key, value in rows.items()}
    n = len(at)
    cut["stop"][:n][inside], cut["event"][:n][inside] = at[inside], False
    cut["start"][n:] = at[inside]
    beta = rng.normal(size=2)
    found = []
    for part in (rows, cut):
        sets = risk_sets(start=part["start"], stop=part["stop"], event=part["event"], stratum=part["stratum"])
        found.append(evaluate(x=part["x"], beta=beta, weight=part["weight"], sets=sets, efron=efron))
    assert found[0].log_likelihood == pytest.approx(found[1].log_likelihood, rel=1e-11, abs=1e-11)
    np.testing.assert_allclose(found[0].gradient, found[1].gradient, atol=1e-9)
    np.testing.assert_allclose(found[0].information, found[1].information, atol=1e-9)


def test_a_likelihood_that_runs_away_ends_in_an_estimate_without_end_or_a_refusal():
    ended = set()
    for seed in range(120):
        draw = np.random.default_rng(seed)
        rows, columns = int(draw.integers(8, 60)), int(draw.integers(2, 20))
        x = draw.normal(size=(rows, columns)) * draw.choice([1, 10])
        x[:, ::2] = x[:, ::2] > 0
        event = draw.random(rows) < draw.choice([0.1, 0.3, 0.6])
        event[0] = True
        sets = risk_sets(start=None, stop=draw.integers(1, 12, rows).astype(float), event=event)
        try:
            found = maximise(
                x=x - x.mean(axis=0), weight=np.ones(rows), sets=sets, scale=np.maximum(x.std(axis=0), 1e-9)
            )
        except ModelError:
            ended.add("refused")
        else:
            assert np.isfinite(found.at.information).all()
            ended.add("endless" if found.monotone.any() else "found")
    assert ended == {"refused", "endless", "found"}
