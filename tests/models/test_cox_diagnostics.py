"""What follows a Cox regression, against R and against definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_reference import data, reference
from test_cox import HEART, heart, pbcseq, random_rows, rossi, rossi_weighted, split

from bipstudy import models
from bipstudy.models.cox_diagnostics import concordance
from bipstudy.models.risk_sets import risk_sets

# As for the coefficients, these are closed formulas at a maximum known to 1e-10.
EXACT = {"rtol": 1e-7, "atol": 1e-9}
CASES = {"heart": heart, "rossi": rossi, "rossi_strata_weights": rossi_weighted, "pbcseq": pbcseq}


# The rows of pbcseq begin at day zero, so the reference has neither their ranks nor their logarithm.
TRANSFORMS = [(name, transform) for name in CASES for transform in ("km", "identity", "rank", "log")]
TRANSFORMS = [pair for pair in TRANSFORMS if pair not in {("pbcseq", "rank"), ("pbcseq", "log")}]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(("name", "transform"), TRANSFORMS)
def test_proportionality_is_the_score_test_of_r(name, transform, ties):
    table = CASES[name](ties=ties).proportionality(transform)
    np.testing.assert_allclose(table["statistic"], reference("cox", f"{name}_{ties}", f"zph_{transform}"), **EXACT)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("heart", ["martingale", "deviance", "score", "dfbeta"]),
        ("rossi_strata_weights", ["martingale", "score", "dfbeta"]),
        ("pbcseq", ["martingale", "dfbeta"]),
    ],
)
def test_residuals_are_those_of_r(name, kinds, ties):
    fit = CASES[name](ties=ties)
    for kind in kinds:
        expected = reference("cox", f"{name}_{ties}", f"residual_{kind}").to_numpy()
        ours = fit.residuals(kind).to_numpy()
        ours = ours[: expected.size // ours.shape[1]].T.ravel()
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9, err_msg=kind)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_schoenfeld_residuals_are_those_of_r(ties):
    fit = heart(ties)
    expected = reference("cox", f"heart_{ties}", "residual_schoenfeld").to_numpy().reshape(4, 12).T
    ours = fit.schoenfeld().sort_values("time", kind="stable").head(12)[list(fit.terms)]
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


def test_schoenfeld_and_score_residuals_add_up_to_zero():
    fit = rossi_weighted()
    weight = fit.data.weight[fit.data.sets.event_rows]
    np.testing.assert_allclose(weight @ fit.schoenfeld()[list(fit.terms)].to_numpy(), 0, atol=1e-7)
    np.testing.assert_allclose(fit.data.weight @ fit.residuals("score").to_numpy(), 0, atol=1e-7)
    np.testing.assert_allclose(fit.data.weight @ fit.residuals("martingale").to_numpy(), 0, atol=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_predicted_survival_is_that_of_r(ties):
    new = pd.DataFrame({"age": [-5, 8], "year": [1, 4], "surgery": [0, 1], "transplant": [0, 1]})
    table = heart(ties).predict_survival(new, [10, 100, 500])
    model = f"heart_{ties}"
    np.testing.assert_allclose(table["estimate"], reference("cox", model, "survival"), **EXACT)
    np.testing.assert_allclose(table["std_error"], reference("cox", model, "survival_error"), **EXACT)
    np.testing.assert_allclose(table["cumulative_hazard"], reference("cox", model, "cumulative_hazard"), **EXACT)


def test_baseline_hazard_agrees_with_prediction_at_the_mean_and_at_zero():
    fit = rossi_weighted()
    frame = data("rossi")
    mean = np.average(frame[["fin", "age", "prio"]], axis=0, weights=frame["w"])
    for centred, row in [(True, mean), (False, np.zeros(3))]:
        base = fit.baseline_hazard(centred=centred)
        base = base[base["stratum"] == (1, 0)]
        new = pd.DataFrame([[*row, 1, 0]], columns=["fin", "age", "prio", "race", "wexp"])
        table = fit.predict_survival(new, base["time"])
        np.testing.assert_allclose(table["cumulative_hazard"], base["cumulative_hazard"], rtol=1e-10)


def test_prediction_refuses_unknown_strata_and_says_nothing_after_follow_up():
    fit = rossi_weighted()
    new = pd.DataFrame({"fin": [1], "age": [25], "prio": [2], "race": [7], "wexp": [0]})
    with pytest.raises(models.ModelError, match="stratum that was not seen"):
        fit.predict_survival(new, 10)
    assert fit.predict_survival(new.assign(race=1), [52, 53])["estimate"].isna().tolist() == [False, True]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", ["heart", "rossi", "rossi_strata_weights"])
def test_concordance_is_that_of_r(name, ties):
    table = CASES[name](ties=ties).concordance()
    model = f"{name}_{ties}"
    expected = reference("cox", model, "concordance")
    assert table["estimate"][0] == pytest.approx(expected["estimate"], rel=1e-9)
    assert table["std_error"][0] == pytest.approx(expected["std_error"], rel=1e-7)
    counts = reference("cox", model, "concordance_count")
    expected = counts[["concordant", "discordant", "tied.x"]]
    np.testing.assert_allclose(table[["concordant", "discordant", "tied"]].to_numpy()[0], expected, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_concordance_counts_pairs_as_defined(seed):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, n=int(rng.integers(3, 25)), times=6)
    risk = rng.integers(0, 4, len(rows["stop"])).astype(float)
    start, stop, event, weight, stratum = (rows[key] for key in ("start", "stop", "event", "weight", "stratum"))

    def pairs(weight):
        found = np.zeros(3)
        for i in np.flatnonzero(event):
            for j in range(len(stop)):
                at_risk = start[j] < stop[i] <= stop[j] and not (event[j] and stop[j] == stop[i])
                if stratum[i] == stratum[j] and at_risk and i != j:
                    found[int(1 - np.sign(risk[i] - risk[j]))] += weight[i] * weight[j]
        return found

    expected = pairs(weight)
    if expected.sum() == 0:
        return
    sets = risk_sets(start=start, stop=stop, event=event, stratum=stratum)
    found = concordance(predictor=risk, weight=weight, sets=sets, event=event)
    np.testing.assert_allclose([found.concordant, found.tied, found.discordant], expected, atol=1e-10)

    def estimate(weight):
        value = pairs(weight)
        return (value[0] + value[1] / 2) / value.sum()

    # The influence is weight times the derivative by it; the step is a thousandth of the weights.
    for i in range(3):
        change = np.zeros(len(weight))
        change[i] = 1e-5
        slope = (estimate(weight + change) - estimate(weight - change)) / 2e-5
        assert found.influence[i] == pytest.approx(weight[i] * slope, abs=1e-8)


def test_cutting_an_episode_changes_no_diagnostic():
    frame = data("rossi").assign(start=0.0, person=range(432)).astype({"week": float})
    options = {"start": "start", "stop": "week", "event": "arrest", "cluster": "person"}
    one = models.cox(frame, "fin + age + prio", **options)
    two = models.cox(split(frame, 20, "start", "week", "arrest"), "fin + age + prio", **options)
    for transform in ("km", "rank"):
        pd.testing.assert_frame_equal(one.proportionality(transform), two.proportionality(transform), rtol=1e-7)
    pd.testing.assert_frame_equal(one.baseline_hazard(centred=False), two.baseline_hazard(centred=False), rtol=1e-8)
    pd.testing.assert_frame_equal(one.concordance(), two.concordance(), rtol=1e-9)


def test_dfbeta_predicts_what_leaving_a_row_out_does():
    fit = rossi()
    change = fit.residuals("dfbeta").to_numpy()
    for row in (0, 11, 57):
        without = models.cox(data("rossi").drop(index=row), "fin + age + race + wexp + mar + paro + prio",
                             stop="week", event="arrest")  # fmt: skip
        # First order in 1/n: right to a few per cent of a standard error.
        moved = (fit.estimates - without.estimates) / fit.std_errors
        np.testing.assert_allclose(moved, change[row] / fit.std_errors, atol=0.02)


def test_a_coefficient_that_changes_is_found():
    rng = np.random.default_rng(8)
    x = rng.integers(0, 2, 2000)
    early, late = rng.exponential(1, 2000) / np.exp(1.2 * x), rng.exponential(1, 2000)
    frame = pd.DataFrame({"x": x, "z": rng.normal(size=2000), "time": np.where(early < 0.5, early, 0.5 + late)})
    frame["event"] = 1
    table = models.cox(frame, "x + z", stop="time", event="event").proportionality().set_index("term")
    assert table.loc["x", "p_value"] < 1e-6
    assert table.loc["z", "p_value"] > 0.01


def test_unknown_kinds_are_refused():
    with pytest.raises(models.ModelError, match="residuals are"):
        heart().residuals("pearson")
    with pytest.raises(models.ModelError, match="transform must be"):
        heart().proportionality("square")
    frame = data("heart").assign(start=lambda d: d["start"] - 1, stop=lambda d: d["stop"] - 1)
    with pytest.raises(models.ModelError, match="times above zero"):
        models.cox(frame, HEART, start="start", stop="stop", event="event").proportionality("log")
