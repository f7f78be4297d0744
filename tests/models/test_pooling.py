"""Random-effects pooling against metafor, by definition, and its level with few estimates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, random_effects

HERE = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((HERE / "pooling.json").read_text())
BCG = pd.read_csv(HERE / "bcg.csv")


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("test", ["z", "knha"])
@pytest.mark.parametrize("method", ["DL", "PM"])
def test_it_is_what_metafor_gives(method: str, test: str, few: bool) -> None:
    """The trials of BCG vaccine (Colditz and others 1994), all thirteen and the first six."""
    data = BCG.iloc[:6] if few else BCG
    found = random_effects(estimates=data["yi"], errors=np.sqrt(data["vi"]), method=method, adjusted=test == "knha")  # type: ignore[arg-type]
    expected = REFERENCE[f"{method}_{test}{'_few' if few else ''}"]
    pairs = {
        "estimate": found.estimate, "error": found.std_error, "low": found.conf_low, "high": found.conf_high,
        "p": found.p_value, "tau2": found.tau2, "q": found.q, "q_p": found.q_p_value, "i2": 100 * found.i2,
        "pi_low": found.new_low, "pi_high": found.new_high,
    }  # fmt: skip
    for name, value in pairs.items():
        assert value == pytest.approx(expected[name], rel=1e-6), name
    # metafor stops its search for the ends at a tolerance of its own.
    assert found.tau2_low == pytest.approx(expected["tau2_low"], rel=2e-3)
    assert found.tau2_high == pytest.approx(expected["tau2_high"], rel=2e-3)


def test_estimates_that_agree_have_no_variance_between() -> None:
    found = random_effects(estimates=[0.2, 0.21, 0.19], errors=[0.1, 0.2, 0.1])
    assert (found.tau2, found.i2) == (0.0, 0.0)
    weight = np.array([100.0, 25.0, 100.0])
    assert found.estimate == pytest.approx(weight @ [0.2, 0.21, 0.19] / weight.sum())


def test_order_shift_and_scale() -> None:
    y, s = BCG["yi"].to_numpy(), np.sqrt(BCG["vi"].to_numpy())
    first = random_effects(estimates=y, errors=s)
    turned = random_effects(estimates=10 - 2 * y[::-1], errors=2 * s[::-1])
    assert turned.estimate == pytest.approx(10 - 2 * first.estimate)
    assert turned.tau2 == pytest.approx(4 * first.tau2)
    assert turned.q_p_value == pytest.approx(first.q_p_value)
    np.testing.assert_allclose(turned.weights[::-1], first.weights)


def test_with_six_the_adjusted_interval_holds_and_the_usual_one_does_not() -> None:
    rng = np.random.default_rng(3)
    held = {True: 0, False: 0}
    for _ in range(400):
        errors = rng.uniform(0.05, 0.3, 6)
        y = 0.3 * rng.standard_normal(6) + errors * rng.standard_normal(6)
        for adjusted in held:
            found = random_effects(estimates=y, errors=errors, adjusted=adjusted)
            held[adjusted] += found.conf_low < 0 < found.conf_high
    # Of 400, the standard error of 95 per cent is a point.
    assert held[True] / 400 > 0.92
    assert held[False] < held[True]


def test_the_floor_matters_only_where_estimates_lie_closer_than_their_errors() -> None:
    close, apart, errors = [0.2, 0.21, 0.19], [0.2, 0.9, -0.4], [0.1, 0.2, 0.1]
    plain, floored = (random_effects(estimates=close, errors=errors, floor=floor) for floor in (False, True))
    assert floored.std_error == pytest.approx((1 / 225) ** 0.5)
    assert floored.std_error > 5 * plain.std_error
    assert floored.estimate == plain.estimate
    plain, floored = (random_effects(estimates=apart, errors=errors, floor=floor) for floor in (False, True))
    # Paule and Mandel's variance makes the factor one where there is any.
    assert floored.std_error == pytest.approx(plain.std_error)


def test_what_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(ModelError, match="two or more"):
        random_effects(estimates=[1.0], errors=[1.0])
    with pytest.raises(ModelError, match="above 0"):
        random_effects(estimates=[1.0, 2.0], errors=[1.0, 0.0])
    assert np.isnan(random_effects(estimates=[1.0, 2.0], errors=[1.0, 1.0]).new_low)
