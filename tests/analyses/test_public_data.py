"""On public data in our tables, transitions and hazards are those of R."""

from __future__ import annotations

import pandas as pd
import pytest
from public_study import REFERENCE, read_public_study

import bipstudy as bip
from bipstudy import models
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return read_public_study()


@pytest.fixture(scope="module")
def reference() -> pd.Series:
    table = pd.read_csv(REFERENCE / "public_study.csv", dtype={"term": str})
    return table.set_index(["quantity", "term"])["value"]


@pytest.mark.parametrize("months", [60, 120, 240])
def test_cumulative_incidence_is_that_of_survfit(study: Study, reference: pd.Series, months: int) -> None:
    found = bip.analyses.transitions(study, horizon_months=months).primary().iloc[0]
    # Both are sums of the same fractions: only rounding differs.
    assert found["estimate"] == pytest.approx(reference["incidence", str(months)], rel=1e-10)
    # Nobody has a caseworker, so that everybody is a cluster: the jackknife of survfit, up to G / (G - 1).
    size = reference["participants", "all"]
    expected = reference["incidence_error", str(months)]
    assert found["std_error"] == pytest.approx(expected, rel=1.0 / size)
    assert found["n"] == size


def test_everybody_and_every_event_is_there(study: Study, reference: pd.Series) -> None:
    episodes = bip.build_episodes(study, step_months=1200, washout_days=0)
    assert len(episodes) == reference["participants", "all"]
    assert episodes["event"].sum() == reference["events", "all"]


def test_cox_regression_on_our_episodes_is_that_of_coxph(study: Study, reference: pd.Series) -> None:
    # However finely the time at risk is cut, the partial likelihood is the same.
    for step in (1200, 6):
        fit = models.cox(covariates(bip.build_episodes(study, step_months=step, washout_days=0)), "woman + old",
                         start="start", stop="stop", event="event")  # fmt: skip
        table = fit.tidy().set_index("term")
        for term in ("woman", "old"):
            assert table.loc[term, "estimate"] == pytest.approx(reference["cox", term], rel=1e-8)
            assert table.loc[term, "std_error"] == pytest.approx(reference["cox_error", term], rel=1e-8)


def test_the_discrete_hazard_on_our_episodes_is_that_of_glm(study: Study, reference: pd.Series) -> None:
    frame = covariates(bip.build_episodes(study, step_months=12, washout_days=0))
    assert len(frame) == reference["rows", "years"]
    fit = models.discrete_hazard(
        frame, "event ~ woman + old + C(year)", link="cloglog", cluster="participant", small_sample="none"
    )
    table = fit.tidy().set_index("term")
    for term in ("woman", "old"):
        assert table.loc[term, "estimate"] == pytest.approx(reference["hazard", term], rel=1e-8)
        # R's bread is the expected information too; iteration stops at 1e-14 of the deviance.
        assert table.loc[term, "std_error"] == pytest.approx(reference["hazard_error", term], rel=1e-7)


def covariates(episodes: pd.DataFrame) -> pd.DataFrame:
    return episodes.assign(
        woman=(episodes["sex"] == "woman").astype(float),
        old=(episodes["age_group"] == "55+").astype(float),
        event=episodes["event"].astype(float),
        year=episodes["period"].clip(upper=10),
    )
