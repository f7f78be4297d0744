"""General dominance: by definition, against refits of every subset, and its symmetries."""

from __future__ import annotations

import itertools
from math import factorial

import numpy as np
import pandas as pd
import pytest

from bipstudy import models
from bipstudy.models import ModelError, dominance
from bipstudy.models.dominance import general_dominance


def drawn(n: int = 6000, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    x[:, 1] += 0.7 * x[:, 0]
    frame = pd.DataFrame(x, columns=["a", "b", "c", "z"]).assign(g=rng.integers(80, size=n))
    frame["d"] = (rng.random(n) < 0.4).astype(float)
    eta = -3 + 0.35 * frame["a"] + 0.2 * frame["b"] + 0.4 * frame["d"] + 0.5 * frame["z"]
    frame["y"] = (rng.random(n) < 1 - np.exp(-np.exp(eta))).astype(float)
    return frame


BLOCKS = {"a": ["a"], "b": ["b"], "pair": ["c", "d"]}


def test_it_is_the_mean_gain_over_all_orders_of_entering() -> None:
    rng = np.random.default_rng(0)
    subsets = [subset for size in range(4) for subset in itertools.combinations(range(3), size)]
    gains = {subset: rng.normal(size=2) for subset in subsets}
    expected = np.zeros((2, 3))
    for order in itertools.permutations(range(3)):
        for place, own in enumerate(order):
            before = tuple(sorted(order[:place]))
            expected[:, own] += (gains[tuple(sorted((*before, own)))] - gains[before]) / factorial(3)
    found = general_dominance(gains=gains, count=3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), gains[(0, 1, 2)] - gains[()], rtol=1e-12)


def test_one_fit_gives_nearly_what_refits_of_every_subset_give() -> None:
    frame = drawn()
    fit = models.discrete_hazard(frame, "y ~ a + b + c + d + z", cluster="g")
    gains = {}
    for size in range(4):
        for subset in itertools.combinations(range(3), size):
            terms = [term for block in subset for term in list(BLOCKS.values())[block]]
            refit = models.discrete_hazard(frame, f"y ~ {' + '.join([*terms, 'z'])}")
            gains[subset] = np.array([refit.log_likelihood])
    exact = general_dominance(gains=gains, count=3)[0]
    # The log-likelihood is quadratic only near its maximum: shares differ by a point or two at this size.
    np.testing.assert_allclose(dominance(fit, BLOCKS, draws=9).share, exact / exact.sum(), atol=0.02)


def test_in_a_linear_model_the_gains_are_those_of_the_squared_residuals() -> None:
    """There the log-likelihood is quadratic, so that one fit gives every refit exactly."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "z"])
    frame["b"] += 0.5 * frame["a"]
    frame["y"] = 0.4 * frame["a"] + 0.2 * frame["b"] + frame["z"] + rng.normal(size=300)
    fit = models.linear_probability(frame, "y ~ a + b + z").with_errors(None, "none")

    def residual(names: list[str]) -> float:
        matrix = np.column_stack([np.ones(300), frame[[*names, "z"]]])
        return float(np.linalg.lstsq(matrix, frame["y"], rcond=None)[1][0])

    none, a, b, both = residual([]), residual(["a"]), residual(["b"]), residual(["a", "b"])
    own = np.array([(none - a + b - both) / 2, (none - b + a - both) / 2])
    np.testing.assert_allclose(dominance(fit, {"a": ["a"], "b": ["b"]}, draws=9).share, own / own.sum(), rtol=1e-9)


def test_shares_do_not_hang_on_order_units_or_the_reference_of_a_pair() -> None:
    frame = drawn()
    first = dominance(models.discrete_hazard(frame, "y ~ a + b + c + d + z"), BLOCKS, draws=9)
    changed = frame.assign(a=3 * frame["a"] + 1, c=frame["c"] + frame["d"])
    turned = dominance(
        models.discrete_hazard(changed, "y ~ z + d + c + b + a"), {"pair": ["d", "c"], "b": ["b"], "a": ["a"]}, draws=9
    )
    np.testing.assert_allclose(turned.share[::-1], first.share, rtol=1e-6)
    assert first.share.sum() == pytest.approx(1.0)


def test_draws_hold_the_spread_and_the_difference() -> None:
    found = dominance(models.discrete_hazard(drawn(), "y ~ a + b + c + d + z", cluster="g"), BLOCKS)
    table = found.tidy().set_index("term")
    assert ((table["conf_low"] <= table["estimate"]) & (table["estimate"] <= table["conf_high"])).all()
    assert table["first"].sum() == pytest.approx(1.0)
    estimate, low, high = found.difference("a", "pair")
    assert estimate == pytest.approx(table.loc["a", "estimate"] - table.loc["pair", "estimate"])
    assert low <= estimate <= high
    again = dominance(models.discrete_hazard(drawn(), "y ~ a + b + c + d + z", cluster="g"), BLOCKS)
    np.testing.assert_array_equal(found.drawn, again.drawn)


def test_what_cannot_be_compared_is_refused() -> None:
    fit = models.discrete_hazard(drawn(), "y ~ a + b")
    with pytest.raises(ModelError, match="no finite estimate of c"):
        dominance(fit, {"a": ["a"], "c": ["c"]})
    with pytest.raises(ModelError, match="2 to 12"):
        dominance(fit, {"a": ["a"]})
