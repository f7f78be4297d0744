"""Group-time effects by their definition, as the classical difference, with known truth, and their symmetries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bipstudy import models
from bipstudy.models import ModelError, group_time_effects

NAMES = {"outcome": "y", "unit": "who", "period": "t", "first": "begins"}


def drawn(seed: int, units: int = 90, effect: float = 0.0, slope: float = 0.0) -> pd.DataFrame:
    """Units with their own level, common periods, beginnings in periods 3 to 6 or never, and uneven rows."""
    rng = np.random.default_rng(seed)
    begins = rng.choice([3.0, 4.0, 6.0, np.nan], size=units)
    level, common = rng.normal(size=units), rng.normal(size=9)
    unit = np.repeat(np.arange(units), rng.integers(5, 30, units))
    t = rng.integers(0, 9, len(unit))
    since = t - begins[unit]
    y = level[unit] + common[t] + np.where(since >= 0, effect + slope * since, 0.0) + rng.normal(size=len(unit))
    return pd.DataFrame({"y": y, "who": unit, "t": t, "begins": begins[unit], "w": rng.uniform(0.5, 2, len(unit))})


def test_each_effect_is_the_difference_of_differences_of_means() -> None:
    frame = drawn(1)
    found = group_time_effects(frame, **NAMES)

    def mean(rows: pd.Series, period: int) -> float:
        return float(frame.loc[rows & (frame["t"] == period), "y"].mean())

    assert len(found.estimate) == 3 * 8
    for group, period, estimate in zip(found.group, found.period, found.estimate, strict=True):
        treated = frame["begins"] == group
        later = (frame["begins"].fillna(np.inf) > max(period, group - 1)) & ~treated
        expected = mean(treated, period) - mean(treated, group - 1) - mean(later, period) + mean(later, group - 1)
        assert estimate == pytest.approx(expected)


def test_with_one_beginning_it_is_the_classical_difference_with_the_error_of_leaving_units_out() -> None:
    frame = drawn(2).query("t in (2, 3)").assign(post=lambda rows: (rows["t"] == 3).astype(float))
    frame["begins"] = frame["begins"].where(frame["begins"] == 3)
    frame = frame.assign(ever=frame["begins"].notna().astype(float))
    frame = frame.assign(both=frame["ever"] * frame["post"])

    def regressed(rows: pd.DataFrame) -> float:
        return float(models.linear_probability(rows, "y ~ ever + post + both").coef["both"])

    found = group_time_effects(frame, **NAMES).average(0, 0)
    assert found.estimate == pytest.approx(regressed(frame))
    without = np.array([regressed(frame[frame["who"] != unit]) for unit in frame["who"].unique()])
    expected = np.sqrt((len(without) - 1) / len(without) * np.sum((without - without.mean()) ** 2))
    assert found.std_error == pytest.approx(expected)


def test_the_error_of_an_average_is_that_of_leaving_units_out_groups_of_one_too() -> None:
    frame = drawn(6, units=25)
    one = frame.loc[frame["begins"] == 4, "who"].iloc[0]
    frame = frame[(frame["who"] == one) | (frame["begins"] != 4)]
    found = group_time_effects(frame, **NAMES).average(0, 3)
    units = frame["who"].unique()
    without = np.array(
        [group_time_effects(frame[frame["who"] != unit], **NAMES).average(0, 3).estimate for unit in units]
    )
    expected = np.sqrt((len(units) - 1) / len(units) * np.sum((without - without.mean()) ** 2))
    assert found.std_error == pytest.approx(expected)
    assert np.sum(found.influence**2) == pytest.approx(found.std_error**2)
    # Where one unit alone begins nothing is known of how it might have differed.
    only = group_time_effects(frame[(frame["who"] == one) | frame["begins"].isna()], **NAMES).average(0, 3)
    assert np.isfinite(only.estimate)
    assert np.isnan(only.std_error)


def test_averages_weigh_by_rows_and_weights_are_duplicates() -> None:
    frame = drawn(3)
    found = group_time_effects(frame, **NAMES)
    since = found.period - found.group
    chosen = (since >= 1) & (since <= 4)
    expected = np.average(found.estimate[chosen], weights=found.weight[chosen])
    assert found.average(1, 4).estimate == pytest.approx(expected)
    twice = frame.assign(w=np.where(frame.index % 3 == 0, 2.0, 1.0))
    doubled = pd.concat([frame, frame[frame.index % 3 == 0]])
    one = group_time_effects(twice, weights="w", **NAMES).average(0, 3)
    other = group_time_effects(doubled, **NAMES).average(0, 3)
    assert (one.estimate, one.std_error) == pytest.approx((other.estimate, other.std_error))


def test_levels_common_periods_order_and_names_do_not_matter() -> None:
    frame = drawn(4)
    first = group_time_effects(frame, **NAMES).event_study()
    changed = frame.assign(y=frame["y"] + 3 * frame["t"] ** 2, who="u" + (1000 - frame["who"]).astype(str))
    again = group_time_effects(changed.sample(frac=1, random_state=1), **NAMES).event_study()
    pd.testing.assert_frame_equal(again, first, rtol=1e-9)
    assert first.loc[first["since"] == -1, "estimate"].eq(0).all()


def test_an_effect_that_grows_is_found_where_a_regression_on_two_effects_is_not() -> None:
    found = [group_time_effects(drawn(seed, effect=1.0, slope=0.5), **NAMES).event_study() for seed in range(30)]
    means = pd.concat(found).groupby("since")["estimate"].agg(["mean", "sem"])
    for since in range(-3, 3):
        expected = 0.0 if since < 0 else 1.0 + 0.5 * since
        # Four standard errors of thirty draws; the period before is nought by construction.
        assert abs(means.loc[since, "mean"] - expected) <= 4 * means.loc[since, "sem"] + 1e-12


@pytest.mark.parametrize(("units", "draws"), [(90, 300), (30, 300)])
def test_errors_are_those_of_repetition(units: int, draws: int) -> None:
    """Thirty units in four groups are few: errors by influences are an eighth too small, these a sixth too large."""
    found = [group_time_effects(drawn(seed, units), **NAMES).average(1, 3) for seed in range(draws)]
    spread = np.std([change.estimate for change in found], ddof=1)
    # The standard deviation of 300 draws is known to a twenty-fifth.
    assert 0.92 < np.mean([change.std_error for change in found]) / spread < 1.2
    covered = [low < 0 < high for low, high in (change.interval for change in found)]
    # Three Monte Carlo errors below 95 per cent.
    assert np.mean(covered) > 0.912


def test_where_nothing_can_be_compared_it_is_said() -> None:
    frame = drawn(5)
    with pytest.raises(ModelError, match="not begun"):
        group_time_effects(frame.assign(begins=np.nan), **NAMES)
    with pytest.raises(ModelError, match="not begun"):
        group_time_effects(frame.assign(begins=0.0), **NAMES)
    with pytest.raises(ModelError, match="no row"):
        group_time_effects(frame.iloc[:0], **NAMES)
    assert np.isnan(group_time_effects(frame, **NAMES).average(20, 30).estimate)
