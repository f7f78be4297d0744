"""Competing causes together, and incidences averaged over covariates."""

import numpy as np
import pandas as pd
import pytest
from survival_reference import data, reference

from bipstudy import models

FORMULA = "age + sex + hgb"
EXACT = {"rtol": 1e-8, "atol": 1e-11}


def complete():
    frame = data("mgus2")
    return frame[frame["hgb"].notna() & frame["mspike"].notna()].reset_index(drop=True)


def fit(frame=None, formula=FORMULA, **options):
    options = {"stop": "time", "cause": "cause", "ties": "breslow"} | options
    return models.cause_specific_cox(complete() if frame is None else frame, formula, **options)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_estimates_and_incidences_are_those_of_r(ties):
    ours, model = fit(ties=ties), f"cause_specific_{ties}"
    np.testing.assert_allclose(ours.tidy()["estimate"], reference("incidence", model, "estimate"), **EXACT)
    np.testing.assert_allclose(ours.tidy()["std_error"], reference("incidence", model, "naive"), **EXACT)
    if ties == "efron":
        # survfit 3.5-3 mistakes the hazards of tied events when there are several causes: its incidence moves by a
        # quarter where the coefficients move in the fifth digit.
        return
    new = pd.DataFrame({"age": [60, 80], "sex": ["F", "M"], "hgb": [13, 11]})
    expected = reference("incidence", model, "incidence").to_numpy().reshape(2, 2, 3).transpose(0, 2, 1)
    np.testing.assert_allclose(ours.incidence(new, [12, 60, 120]), expected, **EXACT)


def test_each_cause_is_a_cox_regression_that_censors_the_others():
    frame = complete().assign(mine=lambda d: (d["cause"] == 2).astype(int))
    alone = models.cox(frame, FORMULA, stop="time", event="mine", ties="breslow", cluster="block")
    both = fit(cluster="block").tidy()
    pd.testing.assert_frame_equal(both[both["cause"] == 2].drop(columns="cause").reset_index(drop=True), alone.tidy())
    assert fit(cluster="block").glance()["clusters"].tolist() == [40, 40]
    pd.testing.assert_frame_equal(fit().with_errors("block").tidy(), both)


def test_incidences_and_survival_add_up_to_one():
    ours, frame = fit(strata="sex", formula="age + hgb"), complete().head(50)
    total = ours.incidence(frame, [1, 30, 120]).sum(axis=2)
    hazard = sum(part.predict_hazard(frame, np.array([1.0, 30, 120])).cumulative_hazard for part in ours.fits)
    np.testing.assert_allclose(total, 1 - np.exp(-hazard), rtol=1e-12)


def test_without_covariates_that_matter_it_is_aalen_johansen():
    # One is the exponential of the hazards, the other their product; they differ by the squares of the jumps.
    rng = np.random.default_rng(6)
    frame = complete().assign(noise=lambda d: rng.permutation(len(d)) % 2)
    mean = fit(frame, "noise").incidence(frame, [12, 60, 120]).mean(axis=0)
    curve = models.cumulative_incidence(frame, duration="time", cause="cause").at([12, 60, 120])
    np.testing.assert_allclose(mean.T.ravel(), curve["estimate"], atol=2e-3)


def test_rows_in_pieces_are_the_same_as_together(monkeypatch):
    from bipstudy.models import cause_specific

    ours, frame = fit(), complete()
    whole = ours.incidence(frame, [60])
    monkeypatch.setattr(cause_specific, "_CELLS", 5000)
    np.testing.assert_array_equal(whole, ours.incidence(frame, [60]))


def test_adjusted_incidence_is_the_mean_of_predictions():
    frame = complete()
    for ours in (fit(), models.fine_gray(frame, FORMULA, duration="time", cause="cause", of=2),
                 models.cox(frame, FORMULA, stop="futime", event="death")):  # fmt: skip
        table = models.adjusted_incidence(ours, frame, exposure="sex", values=["F", "M"], times=[60, 120], weights="w")
        cause = table["cause"].iloc[-1]
        mine = table[(table["cause"] == cause) & (table["time"] == 120)].set_index(["value", "contrast"])["estimate"]
        means = {}
        for sex in ("F", "M"):
            new = frame.assign(sex=sex)
            if isinstance(ours, models.CoxFit):
                each = 1 - ours.predict_survival(new, 120)["estimate"]
            else:
                each = ours.incidence(new, 120).reshape(len(frame), -1)[:, -1]
            means[sex] = np.average(each, weights=frame["w"])
            assert mine[sex, "risk"] == pytest.approx(means[sex], rel=1e-12)
        assert mine["M", "difference"] == pytest.approx(means["M"] - means["F"], rel=1e-10)
        assert mine["M", "ratio"] == pytest.approx(means["M"] / means["F"], rel=1e-10)
        assert table["std_error"].isna().all()


def test_replications_give_the_errors_of_adjusted_incidence():
    frame = complete()
    ours = models.cox(frame, FORMULA, stop="futime", event="death")
    options = {"exposure": "sex", "values": ["F", "M"], "times": 120, "replications": 60, "seed": 2}
    table = models.adjusted_incidence(ours, frame, **options)
    risk = table[table["contrast"] == "risk"]
    # The population averaged over stays as it is, so the spread is that of the fitted curve: near Greenwood's error of
    # the group, but 60 replicates and another estimator cannot be closer than this.
    plain = models.kaplan_meier(frame, duration="futime", event="death", group="sex").at(120)
    ratio = risk["std_error"].to_numpy() / plain["std_error"].to_numpy()
    assert ((ratio > 0.6) & (ratio < 1.6)).all()
    difference = table[table["contrast"] == "difference"].iloc[0]
    assert difference["conf_low"] < difference["estimate"] < difference["conf_high"]
    pd.testing.assert_frame_equal(table, models.adjusted_incidence(ours, frame, **options, n_jobs=2))


def test_replications_follow_clusters_and_not_the_order_of_rows():
    frame = complete()
    options = {"exposure": "sex", "values": ["F", "M"], "times": [60], "replications": 12, "cluster": "block"}
    one = models.adjusted_incidence(fit(frame), frame, **options)
    shuffled = frame.sample(frac=1, random_state=5)
    two = models.adjusted_incidence(fit(shuffled), shuffled, **options)
    pd.testing.assert_frame_equal(one, two, rtol=1e-8)
    assert (one["std_error"] > 0).all()


def test_a_reweighted_fine_gray_fit_is_the_fit_to_the_drawn_rows():
    frame = complete()
    weight = np.random.default_rng(0).multinomial(len(frame), np.full(len(frame), 1 / len(frame)))
    options = {"duration": "time", "cause": "cause", "of": 2}
    for ties in ("breslow", "efron"):
        ours = models.fine_gray(frame, FORMULA, **options, ties=ties).reweighted(weight)
        other = models.fine_gray(frame.loc[frame.index.repeat(weight)], FORMULA, **options, ties=ties)
        np.testing.assert_allclose(ours.estimates, other.estimates, rtol=1e-8)
        one, two = ours.incidence(frame.head(4), [12, 120]), other.incidence(frame.head(4), [12, 120])
        np.testing.assert_allclose(one, two, rtol=1e-8)


def test_a_reweighted_fit_is_the_fit_with_those_weights():
    frame = complete()
    weight = np.random.default_rng(0).integers(0, 3, len(frame))
    ours = models.cox(frame, FORMULA, stop="futime", event="death").reweighted(weight)
    other = models.cox(frame.loc[frame.index.repeat(weight)], FORMULA, stop="futime", event="death")
    new = frame.head(3)
    one, two = ours.predict_survival(new, [12, 120]), other.predict_survival(new, [12, 120])
    np.testing.assert_allclose(one["estimate"], two["estimate"], rtol=1e-8)
    np.testing.assert_allclose(one["std_error"], two["std_error"], rtol=1e-7)


def test_wrong_calls_say_what_is_wrong():
    frame = complete()
    with pytest.raises(models.ModelError, match="no row has an event"):
        fit(frame.assign(cause=0))
    with pytest.raises(models.ModelError, match="no column 'dose'"):
        models.adjusted_incidence(fit(), frame, exposure="dose", values=[0, 1], times=12)
    with pytest.raises(models.ModelError, match="at least one value"):
        models.adjusted_incidence(fit(), frame, exposure="sex", values=[], times=12)


def test_rows_without_a_known_cause_are_left_out():
    frame = complete().astype({"cause": float})
    frame.loc[[1, 5], "cause"] = np.nan
    np.testing.assert_allclose(
        fit(frame).tidy()["estimate"], fit(frame.drop(index=[1, 5])).tidy()["estimate"], rtol=1e-10
    )
    assert fit(frame).glance()["rows_dropped"].tolist() == [2, 2]
