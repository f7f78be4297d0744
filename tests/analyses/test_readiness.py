"""Readiness by brute force, by scikit-learn, and where answers carry something or nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses import Result
from bipstudy.analyses.common import ready
from bipstudy.analyses.readiness import BELIEF
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(participants=1500, seed=41, scenario="danish_twin")[0]


@pytest.fixture(scope="module")
def result(study: Study) -> Result:
    return bip.analyses.readiness(study)


@pytest.fixture(scope="module")
def nothing() -> Result:
    return bip.analyses.readiness(bip.simulate_study(participants=1200, seed=42, scenario="null")[0])


def _one(result: Result, **conditions: str) -> pd.Series:
    rows = result.estimates
    for column, value in conditions.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_answers_predict_where_they_carry_something(result: Result) -> None:
    for conditions in ({"role": "primary"}, {"benchmark": "R14"}):
        assert _one(result, **conditions)["conf_low"] > 0.05
    abroad = _one(result, contrast="prediction_over_background", adjustment="folds_organisation")
    assert abroad["conf_low"] > 0.05
    # The caseworker sees more than the participant tells, in the simulator.
    gains = result.estimates.query("adjustment == 'folds_caseworker'").set_index("contrast")["estimate"]
    assert gains["caseworker_over_background"] > gains["participant_over_background"] > 0.05


def test_where_answers_carry_nothing_nothing_is_gained(nothing: Result) -> None:
    gains = nothing.estimates[nothing.estimates["contrast"].str.endswith(("_background", "_participant"))]
    gains = gains[gains["contrast"].str.contains("_over_")].dropna(subset=["estimate"])
    assert len(gains) >= 10
    # Useless predictors can only add noise: about zero, within four standard errors.
    assert (np.abs(gains["estimate"]) < 4 * gains["std_error"] + 0.02).all()


def test_the_area_is_that_of_scikit_learn_on_the_same_predictions(study: Study) -> None:
    import importlib

    from sklearn.metrics import roc_auc_score

    from bipstudy.analyses import readiness as module_function
    from bipstudy.analyses.common import FlowBook

    module = importlib.import_module("bipstudy.analyses.readiness")
    assert callable(module_function)
    panel = bip.build_panel(study)
    book = FlowBook("readiness", panel.attrs["flow"], ready(panel))
    sample = module._sample(book, book.keep("first_only", panel["first_measurement"]))
    guess = module._predict(sample, "belief", "y", "caseworker")
    ours = module._performance(sample, "y", guess).coef["auc"]
    # Pairs of one fold each: areas of the folds, weighted by how many pairs they hold.
    areas, pairs = [], []
    for fold in np.unique(guess.fold):
        part, risk = sample.frame[guess.fold == fold], guess.risk[guess.fold == fold]
        areas.append(roc_auc_score(part["y"], risk, sample_weight=part["ipcw"]))
        sums = part.groupby("y")["ipcw"].sum()
        pairs.append(sums[0.0] * sums[1.0])
    assert ours == pytest.approx(np.average(areas, weights=pairs), rel=1e-9)
    # Nobody is predicted by a fit in which their caseworker took part: folds hold whole caseworkers.
    assert sample.frame.groupby("fold_caseworker")["cluster_caseworker"].nunique().max() == 1


def test_the_population_is_those_whom_both_answered_about(study: Study, result: Result) -> None:
    panel = ready(bip.build_panel(study))
    first = panel[panel["first_measurement"] & panel["y_known"]]
    own = first[[name for name in first if name in PARTICIPANT]].notna().any(axis=1)
    theirs = first[[name for name in first if name in CASEWORKER]].notna().any(axis=1)
    assert result.primary()["n"].item() == int((own & theirs).sum())
    assert result.flow["rows"].iloc[-1] == int((own & theirs).sum())


PARTICIPANT = [column for column, who, _ in bip.panel.answer_columns() if who == "participant"]
CASEWORKER = [column for column, who, _ in bip.panel.answer_columns() if who == "caseworker"]


def test_the_score_is_centred_and_its_bands_rise(result: Result) -> None:
    weights, risks = result.tables["score_weights"], result.tables["score_risk"]
    assert len(weights) == len(PARTICIPANT) + len(CASEWORKER)
    assert BELIEF in CASEWORKER
    assert risks["n"].sum() == result.primary()["n"].item()
    assert risks["predicted"].is_monotonic_increasing
    assert risks["observed"].iloc[-1] > 3 * risks["observed"].iloc[0]
    # A step of a quarter of the scale is less than a standard deviation of a five-point answer.
    assert (weights["per_step"].abs() < weights["per_sd"].abs()).all()


def test_predictions_are_calibrated(result: Result) -> None:
    slope = _one(result, contrast="calibration_slope_all", adjustment="folds_caseworker")
    assert abs(slope["estimate"] - 1) < 4 * slope["std_error"]
    difference = _one(result, contrast="calibration_difference_all", adjustment="folds_caseworker")
    assert abs(difference["estimate"]) < 4 * difference["std_error"]
    curve = result.tables["calibration"]
    assert curve["n"].sum() == slope["n"]
    transport = result.tables["transport"]
    assert transport["n"].sum() == slope["n"]
    assert transport["events"].sum() == slope["events"]


def test_net_benefit_by_definition(result: Result) -> None:
    table = result.tables["decision"]
    odds = table["threshold"] / (1 - table["threshold"])
    share = table["everybody"].iloc[0] * (1 - table["threshold"].iloc[0]) + table["threshold"].iloc[0]
    np.testing.assert_allclose(table["everybody"], share - odds * (1 - share), atol=1e-12)
    np.testing.assert_allclose(table["gain"], table["all"] - table["everybody"].clip(lower=0), atol=1e-12)
