"""The multiverse: each fit is that of the public estimator, and the joint test has its size and its power."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import models
from bipstudy.replication import multiverse
from bipstudy.replication.curve_fits import Data, estimable, fit
from bipstudy.replication.joint_tests import flipped, joint_p
from bipstudy.replication.multiverse import Multiverse, sentence
from bipstudy.replication.specifications import FACTORS, incompatible, specifications
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, text

GROUPS = 60


def data(seed: int = 1, rows: int = 900, effect: float = 0.0, binary: bool = True, **given: Any) -> Data:
    """Rows of sixty caseworkers, whose clients hang together, with two covariates."""
    rng = np.random.default_rng(seed)
    caseworker = rng.integers(0, GROUPS, rows)
    z = np.column_stack([rng.normal(size=rows), (rng.random(rows) < 0.4).astype(float)])
    x = z @ [0.4, 0.3] + rng.normal(size=rows) + 0.5 * rng.normal(size=GROUPS)[caseworker]
    x = (x > 0.2).astype(float) if binary else x
    eta = -1.2 + z @ [0.5, -0.4] + effect * x + 0.3 * rng.normal(size=GROUPS)[caseworker]
    y = (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(float)
    fields: dict[str, Any] = {
        "exposure": x, "nuisance": z, "response": y, "weights": rng.uniform(0.5, 2.0, rows),
        "caseworker": caseworker.astype(np.int64), "participant": None, "group": None, "start": None, "stop": None,
        "binary": binary,
    }  # fmt: skip
    return Data(**fields | given)


def frame_of(given: Data) -> pd.DataFrame:
    columns = {"y": given.response, "x": given.exposure, "w": given.weights, "g": given.caseworker}
    return pd.DataFrame(columns | {f"z{k}": given.nuisance[:, k] for k in range(given.nuisance.shape[1])})


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_a_binary_fit_is_that_of_the_public_estimator_and_its_risks_those_of_g_computation(
    link: str, binary: bool
) -> None:
    given = data(effect=0.6, binary=binary)
    found = fit(link, given, GROUPS)
    assert found is not None
    frame = frame_of(given)
    public = models.discrete_hazard(frame, "y ~ z0 + z1 + x", link=link, weights="w", cluster="g")
    row = public.tidy().set_index("term").loc["x"]
    assert found.coefficient == pytest.approx(row["estimate"], rel=1e-8)
    assert found.std_error == pytest.approx(row["std_error"], rel=1e-7)
    moved = [
        frame.assign(x=frame["x"] + move if not binary else float(move)) for move in ((0, 1) if binary else (-0.5, 0.5))
    ]
    for risk, other in zip((found.low_risk, found.high_risk), moved, strict=True):
        eta = public.coef["Intercept"] + other[["z0", "z1", "x"]].to_numpy() @ public.coef[["z0", "z1", "x"]].to_numpy()
        expected = 1 / (1 + np.exp(-eta)) if link == "logit" else -np.expm1(-np.exp(eta))
        assert risk == pytest.approx(np.average(expected, weights=given.weights), rel=1e-8)


def test_slopes_of_risks_are_their_finite_differences() -> None:
    from bipstudy.replication.curve_fits import _moved, _survived

    rng = np.random.default_rng(3)
    eta, move, w = rng.normal(size=50), rng.normal(size=50), rng.uniform(1, 2, 50)
    step = 1e-6
    for link in ("logit", "cloglog"):
        high, low = (_moved(eta + sign * step * move, move, link, w)[0] for sign in (1, -1))
        assert _moved(eta, move, link, w)[1] == pytest.approx((high - low) / (2 * step), rel=1e-6)
    expected = rng.uniform(0.01, 0.5, 50)
    for by_row in (True, False):
        high, low = (_survived(expected, 0.4 + sign * step, move, by_row)[0] for sign in (1, -1))
        assert _survived(expected, 0.4, move, by_row)[1] == pytest.approx((high - low) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("absorbed", [False, True])
def test_a_linear_fit_is_that_of_the_public_estimator(absorbed: bool) -> None:
    group = np.random.default_rng(8).integers(0, 7, 900)
    given = data(effect=0.5, group=group if absorbed else None)
    found = fit("linear", given, GROUPS)
    assert found is not None
    formula = "y ~ x + z0 + z1" + (" | h" if absorbed else "")
    public = models.linear_probability(frame_of(given).assign(h=group), formula, weights="w", cluster="g")
    row = public.tidy().set_index("term").loc["x"]
    assert found.coefficient == pytest.approx(row["estimate"], rel=1e-9)
    assert found.std_error == pytest.approx(row["std_error"], rel=1e-7)
    assert found.high_risk - found.low_risk == pytest.approx(found.coefficient, rel=1e-9)


@pytest.mark.parametrize("estimator", ["linear", "logit", "cloglog", "cox"])
def test_a_saturated_contrast_is_the_same_for_every_estimator(estimator: str) -> None:
    # Three groups and nothing else: whatever the model, the risks of two of them are their own shares.
    rng = np.random.default_rng(9)
    rows = 3000
    group = rng.integers(0, 3, rows)
    y = (rng.random(rows) < np.array([0.03, 0.08, 0.2])[group]).astype(float)
    given = data(
        rows=rows, exposure=(group == 2).astype(float), nuisance=(group == 1).astype(float)[:, None], response=y,
        weights=np.ones(rows), caseworker=rng.integers(0, GROUPS, rows), start=np.zeros(rows),
        stop=np.where(y > 0, rng.integers(1, 364, rows), 365.0), kinds=1,
    )  # fmt: skip
    found = fit(estimator, given, GROUPS)
    assert found is not None
    lowest, highest = y[group == 0].mean(), y[group == 2].mean()
    # A Cox model gives the survival curve of the baseline a shape of its own: near, not equal.
    tolerance = 0.03 if estimator == "cox" else 1e-8
    assert found.low_risk == pytest.approx(lowest, rel=tolerance)
    assert found.high_risk == pytest.approx(highest, rel=tolerance)


@pytest.mark.parametrize("strata", [False, True])
def test_a_cox_fit_is_that_of_the_public_estimator(strata: bool) -> None:
    rng = np.random.default_rng(5)
    group = rng.integers(0, 4, 900) if strata else None
    given = data(effect=0.5, start=np.full(900, 30.0), stop=30.0 + np.ceil(rng.exponential(300, 900)), group=group)
    found = fit("cox", given, GROUPS)
    assert found is not None
    frame = frame_of(given).assign(start=given.start, stop=given.stop, h=0 if group is None else group)
    public = models.cox(frame, "z0 + z1 + x", start="start", stop="stop", event="y", strata="h", cluster="g")
    row = public.tidy().set_index("term").loc["x"]
    assert found.coefficient == pytest.approx(row["estimate"], rel=1e-7)
    assert found.std_error == pytest.approx(row["std_error"], rel=1e-6)
    assert 0 < found.low_risk < found.high_risk < 1


@pytest.mark.parametrize("estimator", ["linear", "logit", "cloglog", "cox"])
def test_effective_scores_sum_to_the_slope_of_the_profile_likelihood(estimator: str) -> None:
    # One Newton step from no association, by effective score and effective information, is near the estimate when the
    # association is weak; and the sum of scores has its sign.
    rng = np.random.default_rng(6)
    given = data(effect=0.25, rows=4000, start=np.zeros(4000), stop=np.ceil(rng.exponential(300, 4000)))
    found = fit(estimator, given, GROUPS)
    assert found is not None
    total, spread = found.scores.sum(), np.sqrt((found.scores**2).sum())
    assert total / spread == pytest.approx(found.coefficient / found.std_error, rel=0.15)


def test_covariates_that_cannot_be_estimated_are_left_out() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(200) < 0.3).astype(float)
    good = rng.normal(size=200)
    never_with_event = ((np.arange(200) < 20) & (y == 0)).astype(float)
    columns = np.column_stack([good, np.ones(200), never_with_event, 2 * good + 1, rng.random(200) < 0.5])
    kept = estimable(columns, y)
    assert kept.shape[1] == 2
    np.testing.assert_array_equal(kept[:, 0], good)


def test_signs_are_flipped_alike_and_the_joint_test_has_its_size() -> None:
    rng = np.random.default_rng(2)
    below = []
    for _ in range(200):
        # Twenty specifications that share most of what they see, no association in any.
        shared = rng.standard_t(5, size=80)
        scores = shared + 0.4 * rng.normal(size=(20, 80))
        observed, drawn = flipped(scores, flips=199, seed=int(rng.integers(1_000_000)))
        below.append([p <= 0.05 for p in joint_p(observed, drawn, range(20))])
    # Three binomial standard errors of 200 draws at 5 per cent are 4.6 points.
    assert np.mean(below, axis=0) == pytest.approx([0.05, 0.05], abs=0.046)
    observed, drawn = flipped(scores + 0.6, flips=199, seed=1)
    assert joint_p(observed, drawn, range(20)) == (0.005, 0.005)


def test_the_statistic_is_that_of_the_definition() -> None:
    scores = np.array([[1.0, -2.0, 3.0], [0.5, 0.5, -4.0]])
    observed, drawn = flipped(scores, flips=50, seed=4)
    np.testing.assert_allclose(observed, scores.sum(axis=1) / np.sqrt((scores**2).sum(axis=1)))
    signs = np.array([[a, b, c] for a in (1, -1) for b in (1, -1) for c in (1, -1)])
    possible = signs @ (scores / np.sqrt((scores**2).sum(axis=1))[:, None]).T
    assert all(np.isclose(possible, row).all(axis=1).any() for row in drawn)


def test_every_declared_combination_is_run_or_left_out_with_a_reason() -> None:
    declared = specifications()
    assert len(set(declared)) == len(declared)
    reasons = {incompatible(each) for each in declared} - {""}
    assert len([each for each in declared if not incompatible(each)]) >= 1000
    for reason in reasons:
        assert text(f"replication.excluded.{reason}", "sv")
    # An effect for each small group is never estimated by maximum likelihood.
    assert not any(
        not incompatible(each) and each.absorbed != "none" and each.estimator in ("logit", "cloglog")
        for each in declared
    )


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(participants=900, seed=3, scenario="danish_twin")[0]


@pytest.fixture(scope="module")
def found(study: Study) -> Multiverse:
    return multiverse(study, ["continuity"], flips=99)


def test_the_main_specification_is_the_estimate_of_the_analysis(study: Study, found: Multiverse) -> None:
    result = bip.analyses.continuity(study).primary().iloc[0]
    table = found.table
    row = table[
        (table["estimator"] == "cloglog") & (table["contrast"] == "quarters_after_first_change")
        & (table["outcome"] == "primary") & (table["horizon_months"] == 0) & (table["adjustment"] == "background")
        & (table["absorbed"] == "none") & (table["washout_days"] == 30)
    ].iloc[0]  # fmt: skip
    # Here the background is one score, there each variable by itself: the same to the first order.
    assert np.exp(row["coefficient"]) == pytest.approx(result["estimate"], rel=0.03)
    assert row["n"] == result["n"]
    assert row["events"] == result["events"]


def test_the_summary_counts_the_table(found: Multiverse) -> None:
    made = found.table.dropna(subset=["ratio"])
    row = found.summary.iloc[0]
    assert row["specifications"] == len(found.table)
    assert row["above"] == pytest.approx((made["ratio"] > 1).mean())
    assert row["above_significant"] == pytest.approx(((made["ratio"] > 1) & (made["p_value"] < 0.05)).mean())
    assert row["ratio_median"] == pytest.approx(made["ratio"].median())
    assert set(found.excluded["reason_key"]) == {"replication.excluded.many_groups"}
    assert found.variance["share"].between(0, 1).all()
    inside = (made["ratio_low"] <= made["ratio"]) & (made["ratio"] <= made["ratio_high"])
    assert inside.all()
    assert ((made["p_value"] < 0.05) == ((made["ratio_low"] > 1) | (made["ratio_high"] < 1))).mean() > 0.97
    for language in ("sv", "en"):
        assert str(len(made)) in sentence(found, "continuity", language)


@pytest.mark.certify
def test_processes_and_the_order_of_rows_change_no_number(study: Study, found: Multiverse) -> None:
    shuffled = Study.from_tables(
        {name: frame.sample(frac=1, random_state=1) for name, frame in study.tables.items() if len(frame)}
    )
    again = multiverse(shuffled, ["continuity"], flips=99, n_jobs=2)
    pd.testing.assert_frame_equal(again.table, found.table, rtol=1e-9)
    pd.testing.assert_frame_equal(again.summary, found.summary, rtol=1e-9)


def test_what_neighbours_found_changes_no_answer(study: Study) -> None:
    from dataclasses import replace

    from bipstudy.replication.multiverse_data import data_of, neighbours_first
    from bipstudy.replication.multiverse_frames import from_episodes, from_panel, share

    shared, compared = share(study), 0
    frames = {"continuity": from_episodes(shared, "primary", 12, 30)}
    frames |= dict.fromkeys(("belief", "activities"), from_panel(shared, "primary", 12, 30))
    wanted = [
        each
        for each in specifications([*frames])
        if not incompatible(each)
        and (each.outcome, each.horizon_months, each.washout_days) == ("primary", 12, 30)
        and (each.missing, each.occasions == "all") == ("indicator", each.question == "activities")
        and each.adjustment in ("raw", "background")
    ]
    for each in sorted(wanted, key=neighbours_first):
        (data,) = data_of(each, frames[each.question], shared)
        found = fit(each.estimator, data, len(shared.clusters))
        alone = fit(each.estimator, replace(data, known={}, near={}), len(shared.clusters))
        assert (found is None) == (alone is None)
        if found is not None and alone is not None:
            compared += 1
            assert abs(found.coefficient - alone.coefficient) < 1e-7 * alone.std_error
            np.testing.assert_allclose(found.std_error, alone.std_error, rtol=1e-6)
            np.testing.assert_allclose(found.high_risk, alone.high_risk, rtol=1e-7)
            np.testing.assert_allclose(found.scores, alone.scores, rtol=1e-5, atol=1e-7)
    assert compared > 30


def test_a_study_read_once_gives_the_same_panel_and_episodes(study: Study) -> None:
    from bipstudy.panel.assembly import parts_kept

    with parts_kept():
        for outcome in ("primary", "broad", "primary"):
            inside = bip.build_panel(study, outcome=outcome), bip.build_episodes(study, outcome=outcome)
            entry = bip.build_episodes(study, outcome=outcome, origin="entry")
    pd.testing.assert_frame_equal(inside[0], bip.build_panel(study))
    pd.testing.assert_frame_equal(inside[1], bip.build_episodes(study))
    pd.testing.assert_frame_equal(entry, bip.build_episodes(study, origin="entry"))


def test_a_figure_is_drawn(found: Multiverse) -> None:
    assert len(found.figure("continuity", "sv").axes) == 2


def test_a_question_without_a_multiverse_is_refused(study: Study) -> None:
    with pytest.raises(BipstudyError) as caught:
        multiverse(study, ["training"])
    assert caught.value.code == "replication.unknown_universe"


@pytest.mark.certify
def test_every_question_answers_on_a_whole_study() -> None:
    whole = multiverse(bip.simulate_study(participants=2000, seed=3, scenario="danish_twin")[0], n_jobs=2, flips=199)
    assert list(whole.summary["question"]) == ["activities", "belief", "continuity", "indicators"]
    assert len(whole.table) >= 1000
    # A study of 2,000 has too few events for some of the narrow ones.
    assert whole.table["ratio"].notna().mean() > 0.9
    assert set(FACTORS) <= set(whole.table.columns)
    belief = whole.table[whole.table["question"] == "belief"]
    steep = belief[belief["contrast"] == "belief_top_vs_bottom"]
    raw, adjusted = (
        steep.loc[steep["adjustment"] == name, "ratio"].median() for name in ("raw", "background_all_answers")
    )
    assert raw > adjusted > 1.5


def test_tidy_work_gives_what_the_work_gives() -> None:
    from bipstudy.replication.processes import tidy

    assert tidy(divmod, 17, 5) == (3, 2)
    with pytest.raises(ZeroDivisionError):
        tidy(divmod, 1, 0)
