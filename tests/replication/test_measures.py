"""Measures of agreement against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats

from bipstudy.replication import measures

ESTIMATES = st.floats(-2, 2)
ERRORS = st.floats(0.05, 1.5)


@given(ESTIMATES, ERRORS, ESTIMATES, ERRORS)
def test_difference_test_and_equivalence_are_those_of_scipy(
    ours: float, error: float, danish: float, other: float
) -> None:
    both = {"ours": ours, "error": error, "danish": danish, "danish_error": other}
    spread = stats.norm(scale=np.hypot(error, other))
    assert measures.difference_p(**both) == pytest.approx(2 * spread.sf(abs(ours - danish)), abs=1e-14)
    lower, upper = spread.sf(ours - danish + 0.2), spread.cdf(ours - danish - 0.2)
    assert measures.equivalence_p(**both, smallest=0.2) == pytest.approx(max(lower, upper), abs=1e-14)


@given(ESTIMATES, ERRORS, ESTIMATES, ERRORS)
def test_the_sceptical_z_solves_its_equation(ours: float, error: float, danish: float, other: float) -> None:
    assume(abs(ours / error) > 0.05 and abs(danish / other) > 0.05)
    p = measures.sceptical_p(ours=ours, error=error, danish=danish, danish_error=other)
    original, replication = (danish / other) ** 2, (ours / error) ** 2
    ratio = (other / error) ** 2
    # The root lies below both z values; the equation of Held (2020) is solved there numerically.
    squared = optimize.brentq(
        lambda s: (original - s) * (replication - s) - ratio * s**2,
        0,
        min(original, replication),
        xtol=1e-15,
        rtol=1e-14,
    )
    tail = stats.norm.sf(math.sqrt(squared))
    # The root finder and the closed form each lose digits near zero.
    assert p == pytest.approx(tail if ours * danish > 0 else 1 - tail, abs=1e-7)


def test_the_sceptical_p_is_symmetric_between_equal_designs_and_needs_a_larger_replication_for_a_weak_original() -> (
    None
):
    assert measures.sceptical_p(ours=0.3, error=0.1, danish=0.2, danish_error=0.1) == pytest.approx(
        measures.sceptical_p(ours=0.2, error=0.1, danish=0.3, danish_error=0.1)
    )


@given(ESTIMATES, ERRORS, ESTIMATES, ERRORS)
def test_pooling_is_that_of_statsmodels(ours: float, error: float, danish: float, other: float) -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    # Without heterogeneity beyond chance the moment estimate is zero; statsmodels lets it go negative there.
    assume((ours - danish) ** 2 > 1.01 * (error**2 + other**2))
    reference = combine_effects(np.array([ours, danish]), np.array([error**2, other**2]), method_re="chi2")
    frame = reference.summary_frame()
    both = {"ours": ours, "error": error, "danish": danish, "danish_error": other}
    for name, row in (("pooled_fixed", "fixed effect"), ("pooled_random", "random effect")):
        pooled = getattr(measures, name)(**both)
        expected = frame.loc[row, ["eff", "ci_low", "ci_upp"]].to_numpy(dtype=float)
        np.testing.assert_allclose([pooled.estimate, pooled.low, pooled.high], expected, rtol=1e-9, atol=1e-9)


def test_replications_fall_into_the_prediction_interval_at_the_stated_rate() -> None:
    rng = np.random.default_rng(1)
    draws = 40_000
    truth, error, other = 0.3, 0.2, 0.4
    danish = truth + other * rng.standard_normal(draws)
    ours = truth + error * rng.standard_normal(draws)
    inside = [
        low <= value <= high
        for value, (low, high) in zip(
            ours,
            (measures.prediction_interval(error=error, danish=each, danish_error=other) for each in danish),
            strict=True,
        )
    ]
    # Four Monte Carlo standard errors of a share of 0.95 among the draws.
    assert abs(np.mean(inside) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / draws)


def test_replications_in_other_places_fall_into_the_interval_that_lets_true_values_differ() -> None:
    rng = np.random.default_rng(2)
    draws, apart = 40_000, 0.25
    error, other = 0.1, 0.15
    # True values of two studies whose difference is within `apart` in 95 of 100 pairs.
    tau = apart / 1.959963984540054 / math.sqrt(2)
    ours = tau * rng.standard_normal(draws) + error * rng.standard_normal(draws)
    danish = tau * rng.standard_normal(draws) + other * rng.standard_normal(draws)
    low, high = measures.prediction_interval(error=error, danish=0.0, danish_error=other, apart=apart)
    held = np.mean((ours - danish >= low) & (ours - danish <= high))
    assert abs(held - 0.95) < 4 * math.sqrt(0.95 * 0.05 / draws)
    narrow = measures.prediction_interval(error=error, danish=0.0, danish_error=other)[1]
    assert narrow < 0.9 * high


@given(ESTIMATES, ERRORS, ERRORS)
def test_without_heterogeneity_both_poolings_are_the_same(ours: float, error: float, other: float) -> None:
    both = {"ours": ours, "error": error, "danish": ours + 0.9 * math.hypot(error, other), "danish_error": other}
    fixed, random = measures.pooled_fixed(**both), measures.pooled_random(**both)
    np.testing.assert_allclose([fixed.estimate, fixed.low], [random.estimate, random.low], rtol=1e-12, atol=1e-12)
