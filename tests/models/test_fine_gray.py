"""Fine and Gray's model against R, against the expanded data set, and under changes that must not matter."""

import numpy as np
import pandas as pd
import pytest
from survival_reference import data, reference

from bipstudy import models
from bipstudy.models.fine_gray import censoring_scores, fine_gray_rows
from bipstudy.models.partial_likelihood import evaluate, scores

FORMULA = "age + sex + hgb + mspike"
# cmprsk was run to a gradient of 1e-12; beyond that only the order of sums differs.
EXACT = {"rtol": 1e-8, "atol": 1e-11}


def complete():
    frame = data("mgus2")
    return frame[frame["hgb"].notna() & frame["mspike"].notna()].reset_index(drop=True)


def fit(frame=None, formula=FORMULA, **options):
    options = {"duration": "time", "cause": "cause"} | options
    return models.fine_gray(complete() if frame is None else frame, formula, **options)


@pytest.mark.parametrize("of", [1, 2])
def test_estimates_errors_and_predictions_are_those_of_cmprsk(of):
    ours, model = fit(of=of), f"crr_{of}"
    np.testing.assert_allclose(ours.estimates, reference("incidence", model, "estimate"), **EXACT)
    np.testing.assert_allclose(ours.std_errors, reference("incidence", model, "std_error"), rtol=1e-7)
    log_likelihood = [ours.glance()["log_likelihood_null"][0], ours.log_likelihood]
    np.testing.assert_allclose(log_likelihood, reference("incidence", model, "log_likelihood"), **EXACT)
    new = pd.DataFrame({"age": [60, 80], "sex": ["F", "M"], "hgb": [13, 11], "mspike": [1, 2]})
    expected = reference("incidence", model, "incidence").to_numpy().reshape(2, 3)
    np.testing.assert_allclose(ours.incidence(new, [12, 60, 120]), expected, **EXACT)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_events_first_is_the_expanded_data_set_of_survival(ties):
    ours = fit(ties=ties, tied_censoring="events_first")
    np.testing.assert_allclose(ours.estimates, reference("incidence", f"finegray_{ties}", "estimate"), **EXACT)
    naive = np.sqrt(np.diag(ours.bread))
    np.testing.assert_allclose(naive, reference("incidence", f"finegray_{ties}", "naive"), **EXACT)
    # survival's robust errors take the censoring weights as known: our scores without the censoring part.
    rows, at = ours.rows, ours.maximum.at
    score = scores(x=ours.x, weight=ours.weight, sets=rows.sets, at=at, tail=rows.tail)
    robust = np.sqrt(np.diag(ours.bread @ score.T @ score @ ours.bread))
    np.testing.assert_allclose(robust, reference("incidence", f"finegray_{ties}", "robust"), rtol=1e-7)


def untied(n=300, seed=3, censored=1 / 3):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.integers(0, 2, n), "w": rng.uniform(0.5, 2, n)})
    frame["time"] = rng.exponential(np.exp(-0.3 * frame["x"]))
    frame["cause"] = rng.choice([0, 1, 2], n, p=[censored, (1 - censored) / 2, (1 - censored) / 2])
    return frame


def expanded_log_likelihood(frame, beta, weight):
    """The weighted partial likelihood by its definition."""
    time, cause = frame["time"].to_numpy(), frame["cause"].to_numpy()
    risk = np.exp(frame[["x", "z"]].to_numpy() @ beta) * weight

    def free(t):
        value = 1.0
        for u in np.sort(time[(cause == 0) & (time < t)]):
            value *= 1 - weight[(time == u) & (cause == 0)].sum() / weight[time >= u].sum()
        return value

    frees = np.array([free(t) for t in time])
    total = 0.0
    for i in np.flatnonzero(cause == 1):
        share = np.where(time >= time[i], 1.0, np.where(cause == 2, frees[i] / frees, 0.0))
        total += weight[i] * (np.log(risk[i] / weight[i]) - np.log((risk * share).sum()))
    return total


def test_the_likelihood_is_that_of_the_definition():
    frame = untied(80)
    rows = fine_gray_rows(
        stop=frame["time"].to_numpy(), cause=frame["cause"].to_numpy(), of=1, weight=frame["w"].to_numpy()
    )
    beta = np.array([0.3, -0.4])
    x, weight = np.ascontiguousarray(frame[["x", "z"]].to_numpy(float)), frame["w"].to_numpy()
    at = evaluate(x=x, beta=beta, weight=weight, sets=rows.sets, efron=False, tail=rows.tail)
    assert at.log_likelihood == pytest.approx(expanded_log_likelihood(frame, beta, weight), rel=1e-12)
    h, unit = 1e-5, np.eye(2)

    def value(b):
        return evaluate(x=x, beta=b, weight=weight, sets=rows.sets, efron=False, tail=rows.tail)

    gradient = [(value(beta + h * e).log_likelihood - value(beta - h * e).log_likelihood) / (2 * h) for e in unit]
    np.testing.assert_allclose(at.gradient, gradient, rtol=1e-6, atol=1e-6)
    information = [-(value(beta + h * e).gradient - value(beta - h * e).gradient) / (2 * h) for e in unit]
    np.testing.assert_allclose(at.information, information, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        scores(x=x, weight=weight, sets=rows.sets, at=at, tail=rows.tail).sum(axis=0), at.gradient, atol=1e-10
    )


@pytest.mark.parametrize("tied", ["together", "events_first"])
def test_scores_are_derivatives_by_weight_through_the_censoring_too(tied):
    frame = untied(400)
    stop, cause, weight = (frame[name].to_numpy() for name in ("time", "cause", "w"))
    x, beta = np.ascontiguousarray(frame[["x", "z"]].to_numpy(float)), np.array([0.2, 0.1])

    def gradient(weight):
        rows = fine_gray_rows(stop=stop, cause=cause, of=1, weight=weight, tied=tied)
        return evaluate(x=x, beta=beta, weight=weight, sets=rows.sets, efron=False, tail=rows.tail).gradient

    rows = fine_gray_rows(stop=stop, cause=cause, of=1, weight=weight, tied=tied)
    at = evaluate(x=x, beta=beta, weight=weight, sets=rows.sets, efron=False, tail=rows.tail)
    own = scores(x=x, weight=weight, sets=rows.sets, at=at, tail=rows.tail)
    censoring = censoring_scores(x=x, stop=stop, weight=weight, rows=rows, at=at)
    assert np.abs(censoring).max() > 0.01
    np.testing.assert_allclose(censoring.sum(axis=0), 0, atol=1e-10)
    total, h = (own + censoring) / weight[:, None], 1e-6
    numeric = np.empty_like(total)
    for i in range(len(frame)):
        change = np.zeros(len(frame))
        change[i] = h
        numeric[i] = (gradient(weight + change) - gradient(weight - change)) / (2 * h)
    # The formula takes the censored share of each risk set as small. That is right to one over the number at risk, so
    # among the first 80 per cent to finish it must be far closer than scores that take the weights as known.
    early = stop < np.quantile(stop, 0.8)
    missed = np.abs(total - numeric)[early].max()
    assert missed < 0.1 * np.abs(own / weight[:, None] - numeric)[early].max()


def test_without_competing_events_it_is_cox():
    frame = complete().assign(cause=lambda d: d["death"], time=lambda d: d["futime"])
    ours = fit(frame)
    other = models.cox(frame, FORMULA, stop="futime", event="death", ties="breslow")
    np.testing.assert_allclose(ours.estimates, other.estimates, rtol=1e-9)
    np.testing.assert_allclose(ours.bread, other.naive, rtol=1e-9)
    robust = models.cox(frame, FORMULA, stop="futime", event="death", ties="breslow", cluster="id", small_sample="none")
    np.testing.assert_allclose(ours.std_errors, robust.std_errors, rtol=1e-8)


def test_without_censoring_competing_events_stay_at_risk_for_ever():
    frame = untied(censored=0.0)
    ours = fit(frame, "x + z")
    forever = frame.assign(time=frame["time"].where(frame["cause"] == 1, 1e6), event=(frame["cause"] == 1).astype(int))
    other = models.cox(forever, "x + z", stop="time", event="event", ties="breslow")
    np.testing.assert_allclose(ours.estimates, other.estimates, rtol=1e-10)
    np.testing.assert_allclose(ours.bread, other.naive, rtol=1e-10)


def test_the_model_without_effect_gives_the_aalen_johansen_curve():
    # With a covariate that has no association the fitted incidence is, but for chance, that of everybody.
    rng = np.random.default_rng(1)
    frame = untied(3000).assign(noise=lambda d: rng.permutation(np.repeat([-1.0, 1.0], 1500)))
    ours = fit(frame, "noise")
    curve = models.cumulative_incidence(frame, duration="time", cause="cause").at([0.3, 1.0]).query("cause == 1")
    mean = ours.incidence(frame, [0.3, 1.0]).mean(axis=0)
    np.testing.assert_allclose(mean, curve["estimate"], atol=2e-3)


def test_row_order_and_labels_do_not_matter():
    frame = complete()
    words = frame["cause"].map({0: "censored", 1: "pcm", 2: "other"})
    one, two = fit(), fit(frame.assign(cause=words).sample(frac=1, random_state=2), of="pcm")
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-9)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)


def test_splitting_the_competing_causes_changes_nothing():
    frame = complete()
    one, two = fit(), fit(frame.assign(cause=frame["cause"].where(frame["cause"] != 2, 2 + frame["id"] % 3)))
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-12)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-12)


def test_weight_two_is_two_rows_in_one_cluster():
    frame = complete().assign(count=lambda d: 1 + d["id"] % 2)
    rows = frame.loc[frame.index.repeat(frame["count"])]
    one = fit(frame, weights="count", cluster="id", small_sample="none")
    two = fit(rows, cluster="id", small_sample="none")
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-9)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)


def test_one_cluster_per_row_is_the_default_variance():
    one, two = fit(), fit(cluster="id", small_sample="none")
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-12)
    assert "estimated censoring" in one.glance()["convention"][0]


def test_a_constant_column_is_left_out_and_absent_causes_are_refused():
    frame = complete().assign(one=1)
    assert fit(frame, "age + one").terms == ("age",)
    with pytest.raises(models.ModelError, match="no term carries information"):
        fit(frame, "one")
    with pytest.raises(models.ModelError, match="no row has an event"):
        fit(of=9)


def test_separation_is_said():
    frame = complete().assign(never=lambda d: ((d["cause"] == 0) & (d["age"] > 70)).astype(int))
    ours = fit(frame, "hgb + never")
    assert ours.tidy().set_index("term").loc["never", "estimate"] == -np.inf
    assert any("monotone" in note for note in ours.notes)


def test_incidence_is_not_said_after_the_last_follow_up():
    assert np.isnan(fit().incidence(complete().head(2), [1e4])).all()
