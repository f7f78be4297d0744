"""Differences between caseworkers against the truth they were drawn from, and nobody named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import models
from bipstudy.analyses import Result
from bipstudy.analyses.common import ready
from bipstudy.simulation import Truth
from bipstudy.study import Study


@pytest.fixture(scope="module")
def twin() -> tuple[Study, Truth]:
    return bip.simulate_study(participants=9_000, seed=31, scenario="danish_twin")


@pytest.fixture(scope="module")
def result(twin: tuple[Study, Truth]) -> Result:
    return bip.analyses.caseworkers(twin[0])


@pytest.mark.certify
def test_the_spread_of_true_effects_is_that_of_the_model(twin: tuple[Study, Truth], result: Result) -> None:
    row = result.primary().iloc[0]
    assert row["conf_low"] < twin[1].caseworker_risk_sd < row["conf_high"]
    # Four standard errors, the seed being fixed.
    assert abs(row["estimate"] - twin[1].caseworker_risk_sd) < 4 * row["std_error"]


def test_where_caseworkers_are_alike_the_halves_are_those_of_chance() -> None:
    study, _ = bip.simulate_study(participants=4_000, seed=33, scenario="null")
    found = bip.analyses.caseworkers(study)
    rows = found.estimates.set_index("contrast")
    assert found.primary()["conf_low"].iloc[0] < 0.01
    assert rows.loc["gap_beyond_chance", "p_value"] > 0.01
    for half in ("most_effective", "least_effective"):
        chance = rows.loc[f"{half}_by_chance"]
        width = chance["conf_high"] - chance["conf_low"]
        assert abs(rows.loc[half, "estimate"] - chance["estimate"]) < width
    assert rows.loc["most_effective", "estimate"] > 1.5 * rows.loc["least_effective", "estimate"]


def test_the_published_halves_are_read_raw_over_two_years(twin: tuple[Study, Truth], result: Result) -> None:
    rows = result.estimates[result.estimates["benchmark"] == "R15"].set_index("contrast")
    assert list(rows.index) == ["most_effective", "least_effective"]
    assert (rows["horizon_months"] == 24).all()
    assert (rows["adjustment"] == "raw").all()
    panel = ready(bip.build_panel(twin[0], horizon_months=24))
    first = panel[panel["first_measurement"] & panel["caseworker"].notna() & panel["y_known"]]
    by_one = first.groupby(first["caseworker"].astype(object))
    table = pd.DataFrame(
        {
            "n": by_one.size(),
            "w": by_one["ipcw"].sum(),
            "wy": by_one.apply(lambda each: (each["ipcw"] * each["y"]).sum()),
        }
    )
    table = table[table["n"] >= 5]
    ranked = table.assign(share=table["wy"] / table["w"]).sort_values("share")
    middle = len(ranked) // 2
    halves = ranked.iloc[-middle:], ranked.iloc[:middle]
    expected = [half["wy"].sum() / half["w"].sum() for half in halves]
    # Ties and an odd one at the cut are shared between the halves.
    np.testing.assert_allclose(rows["estimate"], expected, atol=0.003)


def test_what_chance_makes_by_caseload_narrows(result: Result) -> None:
    table = result.tables["by_caseload"]
    assert (np.diff(table["upper"] - table["lower"]) < 0).all()


def test_no_caseworker_is_named(twin: tuple[Study, Truth], result: Result) -> None:
    names = set(twin[0].caseworkers["caseworker_id"])
    frames = [result.estimates, *result.tables.values(), *(spec.frame for spec in result.figures.values())]
    for frame in frames:
        values = {str(value) for value in frame.to_numpy(dtype=object).ravel()}
        assert not values & names
        assert not any(value.split("/")[-1] in names for value in values)
    assert len(result.figures["curve"].frame) == 38


def _halves(rng: np.random.Generator, spread: float) -> models.HalvesByChance:
    """Cases of 120 caseworkers with 5 to 24 each, whose shares differ by a standard deviation of `spread`."""
    unit = np.repeat(np.arange(120), rng.integers(5, 25, 120))
    share = np.clip(0.14 + rng.normal(0, spread, 120), 0, 1)[unit]
    value = (rng.random(len(unit)) < share).astype(float)
    seed = int(rng.integers(1_000_000))
    return models.halves_by_chance(value=value, weight=np.ones(len(unit)), unit=unit, draws=199, seed=seed)


@pytest.mark.certify
@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_the_gap_beyond_chance_is_covered_whether_caseworkers_differ_or_not(spread: float) -> None:
    rng = np.random.default_rng(5)
    estimate, error = np.array([_halves(rng, spread).beyond_chance for _ in range(200)]).T
    covered = np.abs(estimate - estimate.mean()) < 1.959963984540054 * error
    # 200 studies: the share covered has a standard error of a point and a half.
    assert covered.mean() > 0.905
    assert error.mean() == pytest.approx(estimate.std(), rel=0.15)
    if not spread:
        assert abs(estimate.mean()) < 4 * estimate.std() / np.sqrt(200)


def test_the_interval_of_the_gap_is_that_of_other_caseworkers_and_not_of_other_cases() -> None:
    found = _halves(np.random.default_rng(2), 0.15)
    beyond, error = found.beyond_chance
    dealt_out = (found.drawn[:, 0] - found.drawn[:, 1]).std()
    assert beyond == pytest.approx(
        found.observed.upper - found.observed.lower - (found.drawn[:, 0] - found.drawn[:, 1]).mean()
    )
    assert error > 1.1 * dealt_out
