"""Weights for those who were censored, against what is known without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from panel_studies import big_study

from bipstudy import build_episodes, build_panel
from bipstudy.panel.weights import SMALLEST_PROBABILITY, fit_censoring, inverse


def drawn(people: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days to event or censoring, whether censored, and a group on which both depend."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 2, people)
    event = random.exponential(np.where(group == 1, 300, 900))
    censoring = random.exponential(np.where(group == 1, 400, 2000))
    days = np.ceil(np.minimum(np.minimum(event, censoring), 360)).astype(np.int64)
    return days, (censoring < event) & (censoring < 360), group


def test_weights_recover_the_share_that_nobody_censored_would_show() -> None:
    days, censored, group = drawn(40_000, 1)
    model = fit_censoring(
        days=days, censored=censored, group=group, covariates=np.array([[0.0], [1.0]]), step=30.0, intervals=12
    )
    weight = np.where(censored, 0, inverse(model.observed(group, days)))
    happened = (days < 360) & ~censored
    truth = np.mean(1 - np.exp(-360 / np.where(group == 1, 300, 900)))
    # Three standard errors of a weighted share of forty thousand; the naive share is far beyond.
    assert np.average(happened, weights=weight) == pytest.approx(truth, abs=0.009)
    assert abs(happened[~censored].mean() - truth) > 0.02
    assert weight.mean() == pytest.approx(1, abs=0.02)


def test_hazards_are_those_of_a_logit_by_statsmodels() -> None:
    days, censored, group = drawn(3_000, 2)
    model = fit_censoring(
        days=days, censored=censored, group=group, covariates=np.array([[0.0], [1.0]]), step=30.0, intervals=12
    )
    interval = np.minimum((days - 1) // 30, 11)
    rows = []
    for last, lost, one, length in zip(interval, censored, group, days, strict=True):
        for each in range(last + 1):
            event_here = each == last and not lost and length < 360
            rows.append((each, one, float(lost and each == last), 0.5 if event_here else 1.0))
    frame = pd.DataFrame(rows, columns=["interval", "group", "lost", "weight"])
    design = pd.get_dummies(frame["interval"], dtype=float).assign(group=frame["group"])
    fit = sm.GLM(frame["lost"], design, family=sm.families.Binomial(), freq_weights=frame["weight"]).fit()
    for one in (0, 1):
        expected = fit.predict(pd.get_dummies(pd.Series(range(12)), dtype=float).assign(group=one))
        # The trace of shrinkage moves a coefficient by about one in ten thousand.
        np.testing.assert_allclose(model.hazard[one], expected, rtol=2e-3)


def test_observed_is_a_life_table_without_covariates() -> None:
    days, censored, _ = drawn(500, 3)
    model = fit_censoring(
        days=days,
        censored=censored,
        group=np.zeros(500, dtype=np.int64),
        covariates=np.zeros((1, 0)),
        step=1.0,
        intervals=360,
    )
    survival = 1.0
    for day in range(1, 360):
        at_risk = (days >= day).sum() - 0.5 * ((days == day) & ~censored).sum()
        survival *= 1 - ((days == day) & censored).sum() / at_risk
        got = model.observed(np.zeros(1, dtype=np.int64), np.array([day]))[0]
        assert got == pytest.approx(survival, rel=1e-7)


def test_nobody_stands_for_more_than_fifty() -> None:
    assert inverse(np.array([0.0, 0.5]))[0] == pytest.approx(1 / SMALLEST_PROBABILITY)


def test_an_interval_that_censors_everybody_is_no_trouble() -> None:
    model = fit_censoring(
        days=np.array([10, 40, 40, 10]),
        censored=np.array([False, True, True, True]),
        group=np.array([0, 0, 1, 1]),
        covariates=np.array([[0.0], [1.0]]),
        step=30.0,
        intervals=2,
    )
    assert np.isfinite(model.hazard).all()
    assert model.observed(np.array([0]), np.array([60]))[0] < 1e-6


def test_without_censoring_every_weight_is_one() -> None:
    study = big_study(100)
    people = study.participants.assign(observed_until=pd.Timestamp("2030-01-01"), observed_until_reason="extract_end")
    study = type(study).from_tables({name: study.tables[name] for name in study.sent} | {"participants": people})
    assert (build_panel(study)["ipcw"] == 1).all()
    episodes = build_episodes(study)
    assert (episodes.loc[episodes["start"] < 365, "ipcw"] == 1).all()


def test_weights_of_the_panel_are_for_known_rows_and_stand_for_all() -> None:
    panel = build_panel(big_study(1500))
    assert ((panel["ipcw"] > 0) == panel["y_known"]).all()
    assert (panel.loc[panel["y_known"], "ipcw"] >= 1).all()
    # Those seen stand for everybody at risk, up to the spread of a sample of this size.
    assert panel["ipcw"].sum() == pytest.approx(len(panel), rel=0.03)


def test_weights_of_episodes_begin_at_one_and_grow() -> None:
    episodes = build_episodes(big_study(400))
    own = episodes.groupby("participant")["ipcw"]
    assert (own.first() == 1).all()
    assert (own.diff().dropna() >= 0).all()
    assert episodes["ipcw"].max() > 1.05
