"""Simulated data with known truth: bias and coverage of the survival estimators.

The number of data sets is 200, or what the environment variable ``CERTIFY_DATA_SETS`` says.
"""

import os

import numpy as np
import pandas as pd
import pytest

from bipstudy import models

pytestmark = pytest.mark.certify
DATA_SETS = int(os.environ.get("CERTIFY_DATA_SETS", "200"))


def frailty(rng, size, index):
    """Positive stable variables (Chambers, Mallows and Stuck 1976): E exp(-s U) = exp(-s ** index)."""
    angle, wait = rng.uniform(0, np.pi, size), rng.exponential(size=size)
    head = np.sin(index * angle) / np.sin(angle) ** (1 / index)
    return head * (np.sin((1 - index) * angle) / wait) ** ((1 - index) / index)


def finished(time, cause, rng, low=0.5, high=3.0):
    """Censor uniformly."""
    end = rng.uniform(low, high, len(time))
    return np.minimum(time, end), np.where(time <= end, cause, 0)


def cox_intervals(rng):
    # A covariate that changes once; times in the two intervals by inversion of the piecewise hazard.
    n, change = 300, rng.uniform(0.1, 1.0, 300)
    before, after, z = rng.normal(size=n), rng.normal(size=n), rng.integers(0, 2, n)
    rate = [np.exp(0.5 * x - 0.3 * z) for x in (before, after)]
    total = rng.exponential(size=n)
    time = np.where(total < rate[0] * change, total / rate[0], change + (total - rate[0] * change) / rate[1])
    stop, event = finished(time, 1, rng)
    first = pd.DataFrame(
        {"start": 0.0, "stop": np.minimum(stop, change), "event": event * (stop <= change), "x": before, "z": z}
    )
    second = pd.DataFrame({"start": change, "stop": stop, "event": event, "x": after, "z": z})
    frame = pd.concat([first, second[stop > change]])
    row = models.cox(frame, "x + z", start="start", stop="stop", event="event").tidy().iloc[0]
    return 0.5, row


def cox_clustered(rng):
    # Positive stable frailty keeps the marginal hazards proportional, with the coefficient times the index.
    cluster = np.repeat(np.arange(80), 8)
    shared = frailty(rng, 80, 0.8)[cluster]
    x = 0.7 * rng.normal(size=80)[cluster] + rng.normal(size=640)
    time, event = finished(rng.exponential(size=640) / shared / np.exp(0.6 * x), 1, rng)
    frame = pd.DataFrame({"time": time, "event": event, "x": x, "cluster": cluster})
    return 0.8 * 0.6, models.cox(frame, "x", stop="time", event="event", cluster="cluster").tidy().iloc[0]


def cox_weighted(rng):
    # A third of those with x = 1 are in the sample, with weight three.
    n = 900
    x = rng.integers(0, 2, n)
    kept = (x == 0) | (rng.random(n) < 1 / 3)
    time, event = finished(rng.exponential(size=n) / np.exp(0.5 * x), 1, rng)
    frame = pd.DataFrame({"time": time, "event": event, "x": x, "w": 1.0 + 2.0 * x, "id": range(n)})[kept]
    return 0.5, models.cox(frame, "x", stop="time", event="event", weights="w", cluster="id").tidy().iloc[0]


def kaplan_meier(rng):
    time, event = finished(rng.exponential(size=150), 1, rng, 0.2, 2.0)
    frame = pd.DataFrame({"time": time, "event": event})
    return np.exp(-0.8), models.kaplan_meier(frame, duration="time", event="event").at(0.8).iloc[0]


def two_causes(rng, n=200):
    time, cause = finished(rng.exponential(size=n) / 1.5, rng.choice([1, 2], n, p=[2 / 3, 1 / 3]), rng)
    return pd.DataFrame({"time": time, "cause": cause})


def aalen_johansen(rng):
    row = models.cumulative_incidence(two_causes(rng), duration="time", cause="cause").at(0.6).iloc[0]
    return 2 / 3 * (1 - np.exp(-0.9)), row


def aalen_johansen_entry_and_weights(rng):
    frame = two_causes(rng, 500)
    # Half enter at the origin: were the first risk sets empty but for one or two, the curve could not recover.
    frame["entry"], frame["w"] = np.maximum(rng.uniform(-0.3, 0.3, 500), 0), rng.choice([1.0, 3.0], 500)
    frame = frame[frame["entry"] < frame["time"]]
    curves = models.cumulative_incidence(frame, duration="time", cause="cause", start="entry", weights="w")
    return 2 / 3 * (1 - np.exp(-0.9)), curves.at(0.6).iloc[0]


def aalen_johansen_clustered(rng):
    cluster = np.repeat(np.arange(60), 5)
    time = rng.exponential(size=300) / frailty(rng, 60, 0.7)[cluster]
    time, cause = finished(time, rng.choice([1, 2], 300, p=[2 / 3, 1 / 3]), rng)
    frame = pd.DataFrame({"time": time, "cause": cause, "cluster": cluster})
    curves = models.cumulative_incidence(frame, duration="time", cause="cause", cluster="cluster")
    return 2 / 3 * (1 - np.exp(-(0.6**0.7))), curves.at(0.6).iloc[0]


def restricted_mean(rng):
    time, event = finished(rng.exponential(size=150), 1, rng, 1.2, 3.0)
    frame = pd.DataFrame({"time": time, "event": event})
    return 1 - np.exp(-1.0), models.kaplan_meier(frame, duration="time", event="event").restricted_mean(1.0).iloc[0]


def time_lost(rng):
    row = models.cumulative_incidence(two_causes(rng), duration="time", cause="cause").restricted_mean(0.5).iloc[0]
    return 2 / 3 * (0.5 - (1 - np.exp(-0.75)) / 1.5), row


def fine_gray(rng):
    # Fine and Gray (1999, section 4): the incidence of cause 1 is 1 - (1 - p (1 - exp(-t))) ** exp(x beta).
    n, p, beta = 300, 0.5, 0.5
    x = rng.normal(size=n)
    ever = 1 - (1 - p) ** np.exp(beta * x)
    first = rng.random(n) < ever
    u = rng.random(n) * ever
    time = np.where(
        first, -np.log(1 - (1 - (1 - u) ** np.exp(-beta * x)) / p), rng.exponential(size=n) / np.exp(-beta * x)
    )
    time, cause = finished(time, np.where(first, 1, 2), rng)
    frame = pd.DataFrame({"time": time, "cause": cause, "x": x})
    return beta, models.fine_gray(frame, "x", duration="time", cause="cause").tidy().iloc[0]


def predicted_survival(rng):
    n = 250
    x = rng.normal(size=n)
    time, event = finished(rng.exponential(size=n) / np.exp(0.5 * x), 1, rng)
    fit = models.cox(pd.DataFrame({"time": time, "event": event, "x": x}), "x", stop="time", event="event")
    return np.exp(-0.7 * np.exp(0.5)), fit.predict_survival(pd.DataFrame({"x": [1.0]}), 0.7).iloc[0]


def concordance(rng):
    # With a hazard ratio r, the one with the higher risk is first with probability r / (1 + r); here x is 0 or 1,
    # so of the pairs that differ the share is r / (1 + r), and pairs that do not count half.
    n, r = 300, np.exp(0.8)
    x = rng.integers(0, 2, n)
    frame = pd.DataFrame({"time": rng.exponential(size=n) / r**x, "event": 1, "x": x})
    row = models.cox(frame, "x", stop="time", event="event").concordance().iloc[0]
    row["conf_low"], row["conf_high"] = (row["estimate"] + sign * 1.959964 * row["std_error"] for sign in (-1, 1))
    return 0.5 * r / (1 + r) + 0.25, row


CASES = [
    cox_intervals, cox_clustered, cox_weighted, kaplan_meier, aalen_johansen, aalen_johansen_entry_and_weights,
    aalen_johansen_clustered, restricted_mean, time_lost, fine_gray, predicted_survival, concordance,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bias_is_small_and_intervals_cover(case, record_property):
    results = [case(np.random.default_rng(seed)) for seed in np.random.SeedSequence(7).spawn(DATA_SETS)]
    truth = results[0][0]
    table = pd.DataFrame([row for _, row in results])
    bias = table["estimate"].mean() - truth
    error = table["estimate"].std() / np.sqrt(DATA_SETS)
    covered = ((table["conf_low"] <= truth) & (truth <= table["conf_high"])).mean()
    record_property("bias_in_errors", float(bias / table["std_error"].mean()))
    record_property("coverage", float(covered))
    print(f"{case.__name__}: bias {bias:.5f} ({bias / error:.1f} MC errors), coverage {covered:.3f}, "
          f"error ratio {table['std_error'].mean() / table['estimate'].std():.3f}")  # fmt: skip
    assert abs(bias) < max(3 * error, 0.1 * table["std_error"].mean())
    # Three Monte Carlo errors of a coverage of 95 per cent; with 1,000 data sets about 92.9 to 97.1.
    slack = 3 * np.sqrt(0.95 * 0.05 / DATA_SETS)
    assert 0.95 - slack - 0.005 <= covered <= 0.95 + slack + 0.002
