"""Raking: margins are met, by definition and against the closed form, and what cannot be met is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from bipstudy.models import ModelError, rake


def drawn(n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(1)
    flags = (rng.random((n, 3)) < [0.5, 0.3, 0.2]).astype(float)
    flags[:, 1] = np.where(rng.random(n) < 0.5, flags[:, 0], flags[:, 1])
    return flags


def test_every_margin_is_met_among_those_known() -> None:
    flags = drawn()
    flags[np.random.default_rng(2).random(flags.shape) < 0.1] = np.nan
    targets = np.array([0.7, 0.46, 0.2])
    weights = rake(flags=flags, targets=targets)
    for place, target in enumerate(targets):
        known = ~np.isnan(flags[:, place])
        assert np.average(flags[known, place], weights=weights[known]) == pytest.approx(target)
    assert weights.mean() == pytest.approx(1.0)
    assert weights.min() > 0


def test_one_margin_has_the_closed_form_and_shares_that_hold_already_change_nothing() -> None:
    flags = drawn()[:, :1]
    share = flags.mean()
    weights = rake(flags=flags, targets=[0.7])
    np.testing.assert_allclose(weights, np.where(flags[:, 0] == 1, 0.7 / share, 0.3 / (1 - share)))
    np.testing.assert_allclose(rake(flags=drawn(), targets=drawn().mean(axis=0)), 1.0, atol=1e-8)


def test_they_are_the_closest_to_equal_weights() -> None:
    """The dual: weights exp(flags b) whose logarithm of the mean is least, found by a general optimiser."""
    flags, targets = drawn(), np.array([0.7, 0.46, 0.2])
    centred = flags - targets
    best = minimize(lambda slope: np.log(np.exp(centred @ slope).mean()), np.zeros(3), tol=1e-12).x
    expected = np.exp(centred @ best)
    # The optimiser stops at a gradient of 1e-5 or so.
    np.testing.assert_allclose(rake(flags=flags, targets=targets), expected / expected.mean(), rtol=1e-3)


def test_what_cannot_be_met_is_refused() -> None:
    with pytest.raises(ModelError, match="nobody"):
        rake(flags=[[1.0], [1.0]], targets=[0.5])
    with pytest.raises(ModelError, match="between 0 and 1"):
        rake(flags=[[1.0], [0.0]], targets=[1.0])
    with pytest.raises(ModelError, match="cannot all be met"):
        rake(flags=[[1.0, 1.0], [0.0, 0.0]], targets=[0.5, 0.3])
