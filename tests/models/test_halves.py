"""Halves of units formed by their own result: definition, ties, and the part of chance."""

from __future__ import annotations

import numpy as np
import pytest

from bipstudy.models import ModelError, chance_halves, halves_by_chance, sorted_halves


def test_halves_are_the_means_of_the_cases_of_each_half() -> None:
    total, size = np.array([1.0, 9.0, 4.0, 2.0]), np.array([10.0, 30.0, 10.0, 10.0])
    # Means .1, .3, .4, .2: the lower half is the first and the last.
    found = sorted_halves(total=total, size=size)
    assert found.upper == pytest.approx(13 / 40)
    assert found.lower == pytest.approx(3 / 20)


def test_an_odd_one_and_ties_at_the_cut_count_in_both_halves() -> None:
    odd = sorted_halves(total=np.array([0.0, 2.0, 6.0]), size=np.full(3, 10.0))
    assert (odd.lower, odd.upper) == pytest.approx((1 / 15, 7 / 15))
    # Lowest, three that tie, highest two: two of the three ties belong to the lower half.
    size = np.array([10.0, 5.0, 10.0, 20.0, 10.0, 10.0])
    total = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    tied = sorted_halves(total=total, size=size)
    assert tied.lower == pytest.approx((2 / 3 * 7) / (10 + 2 / 3 * 35))
    order = np.array([3, 5, 1, 0, 4, 2])
    again = sorted_halves(total=total[order], size=size[order])
    assert (again.lower, again.upper) == pytest.approx((tied.lower, tied.upper))
    alike = sorted_halves(total=size / 5, size=size)
    assert alike.lower == pytest.approx(alike.upper)


def test_fourteen_cases_and_fourteen_per_cent_give_21_and_7() -> None:
    found = chance_halves(14, 0.14)
    assert (round(100 * found.upper), round(100 * found.lower)) == (21, 7)
    assert (found.upper + found.lower) / 2 == pytest.approx(0.14)


@pytest.mark.parametrize(("cases", "share"), [(5, 0.3), (14, 0.14), (40, 0.07)])
def test_the_binomial_gives_what_drawing_gives(cases: int, share: float) -> None:
    reached = np.sort(np.random.default_rng(2).binomial(cases, share, size=400_000)) / cases
    found = chance_halves(cases, share)
    # 400,000 units: the standard error of either mean is below 0.0002.
    np.testing.assert_allclose([found.lower, found.upper], [reached[:200_000].mean(), reached[200_000:].mean()],
                               atol=0.001)  # fmt: skip


def cases(units: int = 400, each: int = 14, spread: float = 0.0, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), each)
    chance = np.clip(0.14 + spread * rng.standard_normal(units), 0, 1)[unit]
    return {"value": (rng.random(len(unit)) < chance).astype(float), "weight": np.ones(len(unit)), "unit": unit}


def test_dealing_out_equal_caseloads_gives_the_binomial_halves() -> None:
    found = halves_by_chance(**cases(), draws=99)
    share = float(cases()["value"].mean())
    expected = chance_halves(14, share)
    # Finite numbers of units: a tenth of a point.
    np.testing.assert_allclose(found.drawn.mean(axis=0), [expected.upper, expected.lower], atol=0.003)
    assert found.p_value > 0.05


def test_a_true_spread_is_seen_beyond_chance() -> None:
    found = halves_by_chance(**cases(spread=0.08), draws=99)
    assert found.p_value == pytest.approx(0.01)
    assert found.observed.upper > np.quantile(found.drawn[:, 0], 0.975)
    assert (np.diff(found.curve) >= 0).all()


def test_under_no_difference_the_test_holds_its_level() -> None:
    below = [halves_by_chance(**cases(60, 8, seed=seed), draws=39).p_value <= 0.1 for seed in range(100)]
    # Binomial(100, 0.1): above 19 in one of five hundred.
    assert sum(below) <= 19


def test_neither_order_nor_names_matter_and_few_cases_are_left_out() -> None:
    given = cases(60, 9)
    given["weight"] = np.random.default_rng(4).uniform(0.5, 2, len(given["value"]))
    given["unit"][:4] = 60
    first = halves_by_chance(**given, draws=19)
    assert first.units == 60
    order = np.random.default_rng(5).permutation(len(given["value"]))
    names = np.random.default_rng(6).permutation(61)
    again = halves_by_chance(
        value=given["value"][order], weight=given["weight"][order], unit=names[given["unit"][order]], draws=19
    )
    np.testing.assert_allclose(again.drawn, first.drawn, rtol=1e-9)
    np.testing.assert_allclose(again.resampled, first.resampled, rtol=1e-9)
    np.testing.assert_allclose(again.curve, first.curve, rtol=1e-9)


def test_too_few_are_refused() -> None:
    with pytest.raises(ModelError, match="two units"):
        sorted_halves(total=np.ones(1), size=np.ones(1))
    with pytest.raises(ModelError, match="5 cases or more"):
        halves_by_chance(**cases(10, 4))
    with pytest.raises(ModelError, match="between 0 and 1"):
        chance_halves(10, 0.0)
