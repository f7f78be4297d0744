"""Screens against the models they stand for, and their one-step resamples against refits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bipstudy import models
from bipstudy.models.screening import fit_screen


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 900
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "g": rng.integers(0, 60, n)})
    frame["k"] = (rng.random(n) < 0.3).astype(float)
    # A level without events has no finite coefficient, and a copy of a column none of its own.
    frame["rare"] = (np.arange(n) < 15).astype(float)
    frame["copy"] = 2 * frame["z"] - 1
    eta = 0.5 * frame.x + 0.3 * frame.z - 2 + 0.4 * np.random.default_rng(3).normal(size=60)[frame.g]
    frame["y"] = ((rng.random(n) < 1 / (1 + np.exp(-eta))) & (frame.rare == 0)).astype(float)
    frame["w"] = rng.uniform(0.5, 2.0, n)
    frame["known"] = rng.random(n) < 0.9
    return frame


def screened(people: pd.DataFrame):
    names = ["x", "z", "k", "rare", "copy"]
    matrix = np.column_stack([np.ones(len(people)), people[names]])
    known = people["known"].to_numpy()
    fit = fit_screen(
        matrix=np.ascontiguousarray(matrix[known]),
        response=people["y"].to_numpy()[known],
        weights=people["w"].to_numpy()[known],
        codes=people["g"].to_numpy()[known],
        groups=60,
    )
    return fit, matrix


def test_a_step_is_that_of_the_public_models(people):
    fit, matrix = screened(people)
    step = fit.step(matrix, people["g"].to_numpy(), [1], np.array([[-0.5], [0.5]]))
    known = people[people["known"]]
    other = models.discrete_hazard(known, "y ~ x + z + k + rare + copy", link="logit", weights="w", cluster="g")
    risks = models.standardised_risk(other, people, "x", {"low": -0.5, "high": 0.5}).tidy().set_index("term")
    row = risks.loc["difference[high - low]"]
    # Both are Newton's method to the last digit.
    assert step.estimate == pytest.approx(row["estimate"], rel=1e-9)
    assert step.std_error == pytest.approx(row["std_error"], rel=1e-7)
    np.testing.assert_allclose(step.risks, risks["estimate"].iloc[:2], rtol=1e-9)
    assert (step.rows, step.events, step.clusters) == (len(known), int(known["y"].sum()), 60)
    assert fit.has(1)
    assert not fit.has(4)
    assert not fit.has(5)


def test_the_wald_statistic_is_that_of_the_coefficients(people):
    fit, _ = screened(people)
    known = people[people["known"]]
    other = models.discrete_hazard(known, "y ~ x + z + k + rare + copy", link="logit", weights="w", cluster="g")
    places = [other.terms.index(name) for name in ("x", "k")]
    beta, covariance = other.estimates[places], other.covariance[np.ix_(places, places)]
    statistic, degrees = fit.wald([1, 3])
    assert degrees == 2
    assert statistic == pytest.approx(beta @ np.linalg.solve(covariance, beta), rel=1e-7)


def test_influences_are_what_leaving_out_a_cluster_changes(people):
    fit, matrix = screened(people)
    codes = people["g"].to_numpy()
    step = fit.step(matrix, codes, [1], np.array([[-0.5], [0.5]]))
    assert step.influence.sum() == pytest.approx(0.0, abs=1e-8)
    moved = []
    for group in range(60):
        part = people[people["g"] != group].reset_index(drop=True)
        again, rows = screened(part)
        moved.append(step.estimate - again.step(rows, part["g"].to_numpy(), [1], np.array([[-0.5], [0.5]])).estimate)
    # To first order: the rest is of the order of a sixtieth of the movement.
    assert np.corrcoef(moved, step.influence)[0, 1] > 0.995
    assert np.std(moved) == pytest.approx(np.std(step.influence), rel=0.05)


def test_one_outcome_only_is_refused():
    with pytest.raises(models.ModelError, match="both outcomes"):
        fit_screen(matrix=np.ones((4, 1)), response=np.zeros(4), weights=np.ones(4), codes=np.arange(4), groups=4)
