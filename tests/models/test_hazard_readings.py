"""One reading of a binary regression against its definition, and the levels that make it cheap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import discrete_hazard, readings
from bipstudy.models.binary import climb, fit_binary
from bipstudy.models.links import row_derivatives
from bipstudy.models.readings import find_levels, read


def design(rows: int = 9000, levels: int = 12, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intercept, numbers, an indicator of its own and a factor, in mixed order; response and weights."""
    rng = np.random.default_rng(seed)
    factor = rng.integers(0, levels + 1, rows)[:, None] == np.arange(levels)
    columns = np.column_stack([np.ones(rows), rng.normal(size=(rows, 4)), rng.random(rows) < 0.5, factor])
    order = np.r_[0, rng.permutation(np.arange(1, columns.shape[1]))]
    eta = -2.0 + 0.3 * columns[:, 1]
    return (
        np.ascontiguousarray(columns[:, order]),
        (rng.random(rows) < -np.expm1(-np.exp(eta))).astype(float),
        rng.integers(0, 4, rows).astype(float),
    )


@pytest.mark.parametrize("link", ["cloglog", "logit"])
@pytest.mark.parametrize("information", ["expected", "observed"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_reading_is_what_its_definition_says(link, information, weighted):
    matrix, response, weights = design()
    beta = 0.1 * np.random.default_rng(2).normal(size=matrix.shape[1])
    levels = find_levels(matrix)
    assert levels is not None
    assert len(levels.columns) == 12
    row = row_derivatives(matrix @ beta, response, link)
    weight = weights if weighted else np.ones(len(matrix))
    curvature = weight * (row.expected if information == "expected" else row.observed)
    matrix.setflags(write=False)
    for used in (None, levels):
        got = read(matrix, response, weights if weighted else None, beta, link, information, levels=used, keep=True)
        # Sums of nine thousand products in another order.
        np.testing.assert_allclose(got.information, (matrix * curvature[:, None]).T @ matrix, rtol=1e-11, atol=1e-9)
        np.testing.assert_allclose(got.gradient, matrix.T @ (weight * row.slope), rtol=1e-9, atol=1e-9)
        assert got.value == pytest.approx(float(weight @ row.value), rel=1e-12)
        np.testing.assert_allclose(got.slope, weight * row.slope, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got.eta, matrix @ beta, rtol=1e-12, atol=1e-12)
        light = read(matrix, response, weights if weighted else None, beta, link, None, levels=used)
        assert light.information is None
        np.testing.assert_array_equal(light.gradient, got.gradient)


def test_the_largest_factor_is_found_and_every_row_has_its_level():
    matrix, _, _ = design()
    levels = find_levels(matrix)
    assert levels is not None
    columns, others = levels.columns.astype(int), levels.others.astype(int)
    assert sorted([*columns, *others]) == list(range(matrix.shape[1]))
    again = (levels.codes[:, None] == np.arange(len(columns))).astype(float)
    np.testing.assert_array_equal(again, matrix[:, columns])
    some = np.arange(5, 900, 7)
    np.testing.assert_array_equal(levels.take(some).codes, levels.codes[some])


@pytest.mark.parametrize("wrong", [2.0, 1.0, -1.0])
def test_a_row_that_the_first_look_misses_takes_a_column_out(wrong):
    matrix, _, _ = design(rows=50_000)
    found = find_levels(matrix)
    assert found is not None
    column = int(found.columns[3])
    # A row that belongs to another level already, between the rows that are looked at first.
    place = next(row for row in range(10_001, 50_000, 24) if found.codes[row] not in (3, 12))
    matrix[place, column] = wrong
    levels = find_levels(matrix)
    assert levels is not None
    assert len(levels.columns) == 11
    np.testing.assert_array_equal(
        (levels.codes[:, None] == np.arange(11)).astype(float), matrix[:, levels.columns.astype(int)]
    )


def test_few_levels_are_left_as_they_are():
    matrix, _, _ = design(levels=5)
    assert find_levels(matrix) is None
    assert find_levels(np.random.default_rng(1).normal(size=(100, 12))) is None


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    matrix, response, _ = design(rows=80_000)
    found = []
    for processors in (1, 2, 5):
        monkeypatch.setattr(readings.os, "cpu_count", lambda processors=processors: processors)
        found.append(read(matrix, response, None, np.zeros(matrix.shape[1]), "cloglog", "expected"))
    for other in found[1:]:
        assert other.value == found[0].value
        np.testing.assert_array_equal(other.gradient, found[0].gradient)
        np.testing.assert_array_equal(other.information, found[0].information)


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_a_fit_by_levels_reaches_the_same_maximum(link, monkeypatch):
    from bipstudy.models import binary

    matrix, response, weights = design(seed=3)
    plain = fit_binary(matrix=matrix, response=response, weights=weights, link=link)
    start = plain.beta + 0.5 * np.sqrt(np.diag(np.linalg.inv(plain.information)))
    found = climb(matrix=matrix, response=response, weights=weights, link=link, start=start, levels=find_levels(matrix))
    errors = np.sqrt(np.diag(np.linalg.inv(plain.information)))
    assert found is not None
    # What `climb` promises.
    assert np.max(np.abs(found - plain.beta) / errors) < 1e-8
    monkeypatch.setattr(binary, "WARM_START_ROWS", 1000)
    large = fit_binary(matrix=matrix, response=response, weights=weights, link=link)
    # Both stop within 1e-9 standard errors of the maximum.
    assert np.max(np.abs(large.beta - plain.beta) / errors) < 2e-9
    np.testing.assert_allclose(large.information, plain.information, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(large.slope, plain.slope, rtol=1e-8, atol=1e-10)


def test_a_start_at_the_maximum_is_polished():
    matrix, response, _ = design(seed=4)
    whole = fit_binary(matrix=matrix, response=response)
    errors = np.sqrt(np.diag(np.linalg.inv(whole.information)))
    near = fit_binary(matrix=matrix, response=response, start=whole.beta + 1e-3 * errors)
    assert np.max(np.abs(near.beta - whole.beta) / errors) < 2e-9


def test_gradient_is_zero_at_the_maximum_of_a_large_design(monkeypatch):
    from bipstudy.models import binary

    monkeypatch.setattr(binary, "WARM_START_ROWS", 1000)
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.normal(size=20_000), "period": rng.integers(1, 15, 20_000)})
    frame["event"] = (rng.random(20_000) < -np.expm1(-np.exp(-3 + 0.2 * frame.x + 0.05 * frame.period))).astype(int)
    fit = discrete_hazard(frame, "event ~ x + C(period)")
    score = fit.scores.dense().sum(axis=0)
    # In units of the score's own standard deviation.
    assert np.max(np.abs(fit.bread @ score) / fit.std_errors) < 1e-8


def test_the_information_of_a_row_is_never_negative():
    eta = np.linspace(-60.0, 5.0, 20_001)
    for response in (0.0, 1.0):
        found = row_derivatives(eta, np.full(len(eta), response), "cloglog")
        assert (found.observed >= 0.0).all()
        assert (found.expected >= 0.0).all()
