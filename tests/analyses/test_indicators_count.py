"""The indicators' count by brute force and by refits; change and disagreement with the public models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import models
from bipstudy.analyses.common import CLUSTER, ready, with_background
from bipstudy.analyses.estimating import Number
from bipstudy.analyses.indicators_count import expected, holm_holds, replicates
from bipstudy.analyses.indicators_models import Difference, asked, one, sample_of, turned
from bipstudy.analyses.resampling import resampling
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(participants=1500, seed=21, scenario="danish_twin")[0]


@pytest.fixture(scope="module")
def found(study: Study) -> pd.DataFrame:
    return bip.analyses.indicators(study).estimates


@pytest.fixture(scope="module")
def panel(study: Study) -> pd.DataFrame:
    return ready(bip.build_panel(study))


def test_holm_is_that_of_the_models() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(1.5, 1.5, size=(200, 11))
    z[:, 3] = np.nan
    from scipy.stats import norm

    for row, holds in zip(z, holm_holds(z), strict=True):
        adjusted = models.adjust_p_values(2 * norm.sf(np.abs(row)), "holm")
        np.testing.assert_array_equal(holds, (adjusted < 0.05) & (row > 0))


def test_one_step_resamples_are_close_to_refits(panel: pd.DataFrame) -> None:
    """Draw caseworkers, fit every item anew, count; and do it by one step with the same draws."""
    frame, background = with_background(panel[panel["first_measurement"]].reset_index(drop=True))
    background = background[:6]
    sample = sample_of(frame, background)
    items = [each for each in asked() if each.item in ("job_search", "cooperation", "everyday_coping")]
    once = [one(sample, turned(sample.column(each.column), each.item), "y") for each in items]
    influence = np.column_stack([each.influence for each in once])
    estimates = np.array([each.number.estimate for each in once])
    rng = np.random.default_rng(1)
    draws = rng.multinomial(len(sample.labels), np.full(len(sample.labels), 1 / len(sample.labels)), size=40).astype(
        float
    )
    exact = np.empty((len(draws), len(items)))
    rows_of = [np.flatnonzero(sample.codes == code) for code in range(len(sample.labels))]
    for number, draw in enumerate(draws):
        rows = np.concatenate([np.repeat(rows_of[code], int(times)) for code, times in enumerate(draw)])
        again = sample_of(frame.iloc[rows].reset_index(drop=True), background)
        exact[number] = [
            # The scale of the answer stays that of the study.
            one(again, turned(sample.column(each.column), each.item)[rows], "y").number.estimate
            for each in items
        ]
    step = estimates + (draws - 1.0) @ influence
    errors = np.array([each.number.std_error for each in once])
    # The one step leaves a remainder of second order: a tenth of a standard error in most resamples.
    assert np.abs((step - exact) / errors).mean() < 0.15
    assert np.corrcoef(step.ravel(), exact.ravel())[0, 1] > 0.98
    spread = exact.std(axis=0, ddof=1)
    np.testing.assert_allclose(spread, errors, rtol=0.4)
    counts = replicates(estimates, influence, draws)
    exact_counts = holm_holds(exact / errors).sum(axis=1)
    assert np.abs(counts - exact_counts).mean() < 0.3


def test_the_expected_count_is_the_power_of_holm() -> None:
    rng = np.random.default_rng(2)
    errors = np.full(4, 0.01)
    noise = rng.normal(size=(400, 4))
    noise = np.linalg.qr(noise - noise.mean(axis=0))[0] * 0.01
    each = [Difference(Number(estimate=0.0, std_error=e), noise[:, k]) for k, e in enumerate(errors)]
    table = expected(each).set_index("size")
    z = rng.normal(size=(40_000, 4))
    for size in (0.0, 0.02, 0.03):
        brute = holm_holds(z + size / 0.01).sum(axis=1).mean()
        # 4,000 draws: four standard errors of the mean count.
        assert table.loc[size, "all"] == pytest.approx(brute, abs=0.09)
    assert table["all"].is_monotonic_increasing
    assert (table["seven"] <= table["all"] + 0.05).all()


def test_the_count_comes_with_an_interval_and_replicates(study: Study, found: pd.DataFrame) -> None:
    row = found[found["benchmark"] == "R1"].iloc[0]
    assert row["conf_low"] <= row["estimate"] <= row["conf_high"]
    assert row["std_error"] > 0
    with resampling(50, 1) as drawn:
        bip.analyses.indicators(study)
    counts = [values for key, values in drawn.found.items() if key.startswith("holding_after_correction")]
    assert len(counts) == 1
    assert set(counts[0]) <= set(range(12))
    primary = [key for key in drawn.found if key.startswith("per_sd") and "/background/" in key]
    assert len(primary) == 11


def test_disagreement_holds_the_mean_of_both(panel: pd.DataFrame, found: pd.DataFrame) -> None:
    frame, background = with_background(panel[panel["first_measurement"]].reset_index(drop=True))
    gap = frame["p_cooperation"] - frame["c_cooperation"]
    middle = frame["p_cooperation"] + frame["c_cooperation"]
    frame = frame.assign(gap=(gap - gap.mean()) / gap.std(), middle=(middle - middle.mean()) / middle.std())
    used = frame[gap.notna()]
    fit = models.discrete_hazard(
        used[used["y_known"]], "y ~ gap + middle + " + " + ".join(background), link="logit", weights="ipcw",
        cluster=CLUSTER,
    )  # fmt: skip
    risks = models.standardised_risk(fit, used, "gap", {"low": -0.5, "high": 0.5}).tidy().set_index("term")
    row = found[(found["contrast"] == "disagreement_per_sd") & (found["term"] == "cooperation")].iloc[0]
    assert row["estimate"] == pytest.approx(risks.loc["difference[high - low]", "estimate"], rel=1e-7)
    assert row["std_error"] == pytest.approx(risks.loc["difference[high - low]", "std_error"], rel=1e-6)


def test_a_change_is_followed_from_the_second_occasion(panel: pd.DataFrame, found: pd.DataFrame) -> None:
    rows = found[found["contrast"].str.startswith("change_per_sd")]
    assert len(rows) == 11
    second = panel[panel.groupby("participant").cumcount() == 1]
    counted = second[second["y_known"] & second["p_job_search_change_before"].notna()]
    number = rows.set_index("term").loc["job_search", "n"]
    # Who has no first row at risk has a later second one; hardly anybody.
    assert abs(number - len(counted)) <= 0.01 * len(counted) + 5


def test_an_item_that_goes_up_and_down_is_found_out(panel: pd.DataFrame) -> None:
    from bipstudy.analyses.indicators_models import linearity

    frame, background = with_background(panel[panel["first_measurement"]].reset_index(drop=True))
    rng = np.random.default_rng(0)
    answers = rng.choice([0.0, 25.0, 50.0, 75.0, 100.0], len(frame))
    bent = 0.02 + 0.25 * (answers == 50)
    straight = 0.02 + 0.002 * answers
    for chance, low, high in ((bent, 0.0, 1e-6), (straight, 0.01, 1.0)):
        y = (rng.random(len(frame)) < chance).astype(float)
        sample = sample_of(frame.assign(y=y, y_known=True, ipcw=1.0), background[:3])
        assert low <= linearity(sample, answers, "y").p_value <= high
