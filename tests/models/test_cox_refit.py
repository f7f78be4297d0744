"""Refits with other weights are fits to the drawn rows."""

import numpy as np
import pandas as pd
import pytest
from survival_reference import data
from test_cox import PBC, ROSSI, heart, pbcseq, rossi

from bipstudy import models
from bipstudy.models.cox_refit import refit


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("seed", range(4))
def test_a_draw_of_persons_is_a_fit_to_the_rows_drawn(ties, seed):
    frame = data("heart")
    fit = heart(ties)
    persons = frame["id"].unique()
    rng = np.random.default_rng(seed)
    count = pd.Series(rng.multinomial(len(persons), np.full(len(persons), 1 / len(persons))), index=persons)
    times = count[frame["id"]].to_numpy()
    drawn = frame.loc[frame.index.repeat(times)]
    other = models.cox(drawn, "age + year + surgery + transplant", start="start", stop="stop", event="event", ties=ties)
    # Both converge to 1e-10 standard errors.
    np.testing.assert_allclose(fit.refit(times.astype(float)), other.estimates, rtol=1e-8, atol=1e-9)


def test_weights_of_one_give_the_estimates_back():
    for fit in (heart(), rossi("breslow"), pbcseq()):
        again = fit.refit(np.ones(len(fit.data.weight)))
        np.testing.assert_allclose(again, fit.estimates, rtol=1e-9, atol=1e-11)


def test_other_case_weights_multiply():
    frame = data("pbcseq")
    fit = pbcseq()
    factor = 0.5 + np.arange(len(frame)) % 3
    other = models.cox(frame.assign(w=frame["w"] * factor), PBC, start="day", stop="stop", event="death", strata="sex",
                       weights="w")  # fmt: skip
    np.testing.assert_allclose(fit.refit(factor), other.estimates, rtol=1e-9)


def test_a_start_far_away_still_arrives():
    fit = rossi()
    far = fit.estimates + np.array([3, -0.4, 2, 2, -3, 2, 0.5])
    found = refit(x=fit.data.x, sets=fit.data.sets, weight=fit.data.weight, beta=far, scale=fit.data.scale)
    np.testing.assert_allclose(found, fit.estimates, rtol=1e-7, atol=1e-9)


def test_the_order_of_rows_does_not_matter():
    frame = data("rossi")
    order = np.random.default_rng(0).permutation(len(frame))
    weight = np.random.default_rng(1).integers(0, 4, len(frame)).astype(float)
    other = models.cox(frame.iloc[order], ROSSI, stop="week", event="arrest").refit(weight[order])
    np.testing.assert_allclose(rossi().refit(weight), other, rtol=1e-9)


def test_the_bootstrap_takes_a_cox_fit_and_does_what_a_function_does():
    from bipstudy.models.bootstrap import bootstrap

    frame = data("heart").assign(extra=lambda d: d["age"].where(d["id"] != 7))
    fit = models.cox(frame, "extra + surgery", start="start", stop="stop", event="event")
    direct = bootstrap(fit, frame, cluster="id", replications=30, seed=4)
    assert np.isfinite(direct.replicates).all()
    np.testing.assert_array_equal(direct.estimates, fit.estimates)
    # The draws are over the persons used, so the slow way must be given those rows.
    used = frame[frame["id"] != 7].reset_index(drop=True)

    def slow(frame, weights):
        rows = frame.loc[frame.index.repeat(weights.astype(int))]
        return models.cox(rows, "extra + surgery", start="start", stop="stop", event="event")

    other = bootstrap(slow, used, cluster="id", replications=30, seed=4)
    np.testing.assert_allclose(direct.replicates, other.replicates, rtol=1e-8, atol=1e-9)
    two = bootstrap(fit, frame, cluster="id", replications=30, seed=4, n_jobs=2)
    np.testing.assert_array_equal(direct.replicates, two.replicates)


def test_a_draw_without_events_is_an_error_and_a_monotone_one_infinite():
    frame = data("rossi").assign(rare=lambda d: (d.index == 3).astype(int))
    fit = models.cox(frame, "fin + rare", stop="week", event="arrest")
    weight = np.ones(len(frame))
    with pytest.raises(models.ModelError, match="no event was drawn"):
        fit.refit(weight * (frame["arrest"] == 0))
    fit = models.cox(frame.assign(rare=lambda d: d["rare"] + (d.index == 0)), "fin + rare", stop="week", event="arrest")
    weight[0] = 0
    assert fit.refit(weight)[1] == -np.inf
    with pytest.raises(models.ModelError, match="finite numbers"):
        fit.refit(-weight)
