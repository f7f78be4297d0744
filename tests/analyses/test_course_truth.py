"""Progression, departures and kinds of activity on studies whose truth is known, and where nothing is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.analyses.common import ready
from bipstudy.analyses.quarters import (
    every_occasion,
    indicators_asked,
    item_columns,
    months_after,
    observed_again,
    scores,
    units,
)
from bipstudy.panel.assembly import read_parts
from bipstudy.simulation.scenario import scenario
from bipstudy.study import Study

# Standard errors between an estimate and the truth; seeds are fixed, and some forty comparisons are made.
FOUR = 4.0
LOG_HAZARD = 2.0
A_QUARTER = 0.03


def _one(found: pd.DataFrame, **conditions: object) -> Any:
    for column, value in conditions.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def _work_after(study: Study, log_hazard: pd.Series, seed: int) -> Study:
    """Add work that begins in the quarter after an occasion, by a hazard for each row of the panel."""
    rng = np.random.default_rng(seed)
    panel = bip.build_panel(study)
    wait = rng.exponential(1.0, len(panel)) / (A_QUARTER * np.exp(log_hazard.to_numpy()))
    days = 31 + np.floor(np.minimum(wait, 1.0) * 91)
    works = panel.assign(start=panel["answered_on"] + pd.to_timedelta(days, unit="D"))[wait < 1]
    works = works.sort_values(["participant", "start"]).drop_duplicates("participant")
    parts = works["participant"].str.split("/", expand=True)
    outcomes = pd.DataFrame(
        {
            "organisation_id": parts[0],
            "participant_id": parts[1],
            "outcome_id": [f"U{number}" for number in range(len(works))],
            "status": "work_unsubsidised",
            "start": works["start"],
            "end": works["start"] + pd.Timedelta(days=60),
            "source": "register",
        }
    )
    tables = {name: study.tables[name] for name in study.sent}
    return Study.from_tables({**tables, "outcomes": outcomes})


def _nobody_works(study: Study, **tables: pd.DataFrame) -> Study:
    return Study(tables={**study.tables, **tables, "outcomes": study.outcomes.iloc[:0]}, sent=study.sent)


@pytest.fixture(scope="module")
def by_change() -> tuple[pd.DataFrame, float]:
    """Estimates of a study in which work depends on the change before it and on nothing else; and the deviation."""
    chosen = scenario("null").replace(design__participants=650, occasions__stop_rate=0.05, answers__missing=0.0)
    drawn, _ = bip.simulate_study(seed=41, scenario=chosen)
    study = _nobody_works(drawn)
    change = bip.build_panel(study)["progression_before"]
    # Only after a change can work begin: without one the hazard is next to nothing.
    study = _work_after(study, (LOG_HAZARD * (change - change.mean())).fillna(-30.0), seed=5)
    spread = float(bip.build_panel(study)["progression_before"].std())
    return bip.analyses.progression(study).estimates, spread


def test_the_hazard_ratio_of_change_is_the_one_that_was_put_in(by_change: tuple[pd.DataFrame, float]) -> None:
    found, spread = by_change
    # The hazard depends on change alone, so that no adjustment moves the ratio.
    for adjustment in ("raw", "background", "background_level", "answers_again"):
        row = _one(found, contrast="change_per_sd", adjustment=adjustment, outcome="work_or_study")
        assert row["events"] > 80
        assert abs(np.log(row["estimate"]) - LOG_HAZARD * spread) < FOUR * row["std_error"], adjustment
    assert _one(found, contrast="change_per_sd", adjustment="raw")["p_value"] < 1e-4
    fell, rose = (_one(found, contrast=f"{name}_against_same")["estimate"] for name in ("fell", "rose"))
    assert fell < rose


def test_regression_to_the_mean_is_there_without_any_change(by_change: tuple[pd.DataFrame, float]) -> None:
    found, _ = by_change
    slope = _one(found, contrast="level_per_sd", outcome="progression")
    # Nothing moves readiness here: all of the fall from a high level is chance.
    assert slope["estimate"] < -10 * slope["std_error"]
    for adjustment in ("raw", "answers_again"):
        row = _one(found, contrast="mean_change", adjustment=adjustment)
        assert abs(row["estimate"]) < FOUR * row["std_error"]


def test_an_indicator_that_predicts_and_rises_is_found_and_no_other() -> None:
    """Only job search moves with activities, and only job search makes the hazard."""
    chosen = scenario("null").replace(design__participants=650, occasions__stop_rate=0.05, activities__start_rate=0.4)
    drawn, _ = bip.simulate_study(seed=43, scenario=chosen)
    panel = bip.build_panel(_nobody_works(drawn))
    busy = (panel["activity"].notna() & (panel["activity"] != "none")).astype(int)
    earlier = (busy.groupby(panel["participant"]).cumsum() - busy).clip(upper=3)
    steps = dict(zip(panel["participant"] + "|" + panel["occasion"].astype(str), earlier, strict=True))
    forms = drawn.measurements.copy()
    own = forms["organisation_id"] + "/" + forms["participant_id"] + "|" + forms["occasion"].astype(str)
    theirs = forms["respondent"].eq("participant") & forms["job_search"].notna()
    # One step more for every interval with an activity before the last, from low answers so that there is room.
    risen = forms["job_search"].clip(upper=2) + own.map(steps).fillna(0).astype("Int64")
    forms["job_search"] = forms["job_search"].mask(theirs, risen)
    study = _nobody_works(drawn, measurements=forms)
    change = bip.build_panel(study)["p_job_search_change_before"]
    study = _work_after(study, (0.9 * change / change.std()).fillna(0.0), seed=7)
    result = bip.analyses.progression(study)
    table = result.tables["indicators"]
    assert table.loc[table["valid_key"] == "analyses.yes", "item_key"].tolist() == ["item:job_search"]
    assert _one(result.estimates, benchmark="R17")["estimate"] == 1
    for adjustment in ("background_level", "participant_caseworker_quarter"):
        row = _one(result.estimates, contrast="item_after_activity", term="job_search", adjustment=adjustment)
        assert row["estimate"] > FOUR * row["std_error"]


@pytest.mark.certify
def test_after_a_departure_the_hazard_is_that_of_any_change() -> None:
    chosen = scenario("danish_twin").replace(
        design__participants=4000, events__change_hazard_ratio=0.5, caseworkers__departure_rate=0.04
    )
    study, truth = bip.simulate_study(seed=44, scenario=chosen)
    found = bip.analyses.continuity(study).estimates
    for contrast in ("after_departure", "after_other_change"):
        row = _one(found, contrast=contrast, outcome="work_or_study")
        assert row["p_value"] < 0.01
        # A second change does nothing more, but the two exposures multiply: a little nearer to 1.
        assert abs(np.log(row["estimate"] / truth.change_hazard_ratio_lagged)) < FOUR * row["std_error"] + 0.05
    # Who comes next and when is drawn from nothing that the participant is.
    placebo = found[found["contrast"].isin(["departure_placebo", "upcoming_departure", "upcoming_other_change"])]
    assert len(placebo) == 9
    assert (placebo["estimate"].abs() < FOUR * placebo["std_error"]).all()


@pytest.mark.certify
def test_side_by_side_is_more_than_one_after_the_other() -> None:
    chosen = scenario("danish_twin").replace(
        design__participants=2000, occasions__stop_rate=0.1, activities__start_rate=0.4, activities__mean_days=200.0,
        progression__job=0.4, progression__job_parallel=0.9, progression__noise_sd=0.0,
    )  # fmt: skip
    study, _ = bip.simulate_study(seed=45, scenario=chosen)
    found = bip.analyses.activities(study).estimates
    found = found[found["outcome"] == "progression"]
    for contrast in ("alone_job", "pair_job_health", "pair_job_social", "job_or_study_constant", "parallel"):
        assert _one(found, contrast=contrast)["p_value"] < 0.01, contrast
        assert _one(found, contrast=contrast)["estimate"] > 0, contrast
    for contrast in ("alone_skills", "alone_social", "pair_skills_social"):
        row = _one(found, contrast=contrast)
        # These hold the drift back by two hundredths of a standard deviation, and nothing else.
        assert abs(row["estimate"]) < FOUR * row["std_error"] + 0.02, contrast
    assert _one(found, contrast="per_30_gap_days")["estimate"] < 0
    constant, intermittent = (_one(found, contrast=f"job_or_study_{name}") for name in ("constant", "intermittent"))
    assert constant["estimate"] > intermittent["estimate"]


def test_months_after_an_occasion_are_those_of_the_states() -> None:
    study, _ = bip.simulate_study(participants=300, seed=46, scenario="demo")
    parts = read_parts(study, schema.transition("primary"), "first_measurement")
    found = months_after(study, parts, "primary")
    states = bip.build_states(study)
    own = {(row["participant"], row["month"].year * 12 + row["month"].month): row for row in states.to_dict("records")}
    compared = 0
    for place, person in enumerate(parts.occasions.person):
        day = pd.Timestamp("1970-01-01") + pd.Timedelta(days=int(parts.occasions.answered[place]))
        months = [own.get((str(parts.coded.labels[person]), day.year * 12 + day.month + ahead)) for ahead in (1, 2, 3)]
        known = all(month is not None and month["followed"] for month in months)
        assert known == (not np.isnan(found[place]))
        if known:
            active = [max(month["in_work"], month["in_study"]) for month in months if month is not None]
            assert found[place] == pytest.approx(sum(active) / 3)
            compared += sum(active) > 0
    # Occasions after a transition are among them.
    assert compared > 5


def test_levels_and_changes_are_in_the_same_unit() -> None:
    study, _ = bip.simulate_study(participants=300, seed=46, scenario="demo")
    parts = read_parts(study, schema.transition("primary"), "first_measurement")
    values = scores(parts)
    for column, unit in units(parts).items():
        first = values[column][parts.occasions.first]
        assert np.nanstd(first, ddof=1) == pytest.approx(1.0)
        assert np.nanmean(first) == pytest.approx(0.0, abs=1e-12)
        assert unit > 0
    panel = ready(bip.build_panel(study))
    found = item_columns(panel, parts, values)
    days = panel.groupby("participant")["answered_on"].diff().dt.days
    for each in indicators_asked():
        moved = (found[f"now_{each.item}"] - found[f"start_{each.item}"]) / (days / (3 * 365.25 / 12))
        given = moved.notna() & ~np.isnan(found[f"moved_{each.item}"])
        assert given.sum() > 50
        np.testing.assert_allclose(found[f"moved_{each.item}"][given], moved[given], atol=1e-12)
    occasions = every_occasion(study, parts, "primary", values)
    assert len(occasions) == len(parts.occasions.person) > len(panel)


def test_weights_for_answering_again_restore_everybody() -> None:
    rng = np.random.default_rng(3)
    group = rng.integers(2, size=4000)
    probability = np.where(group == 1, 0.8, 0.3)
    observed = rng.random(4000) < probability
    weight = observed_again(observed=observed, probability=probability)
    # Half of everybody is of either group; among those observed by chance far more of one, and the weights undo it.
    assert group[observed].mean() > 0.7
    assert np.average(group[observed], weights=weight[observed]) == pytest.approx(group.mean(), abs=0.03)


@pytest.mark.certify
def test_where_nothing_acts_one_in_twenty_is_significant() -> None:
    """Two small studies without any association: the share of p-values below 0.05 is nominal."""
    p_values = []
    for seed in range(2):
        study, _ = bip.simulate_study(participants=1000, seed=900 + seed, scenario="null")
        for name in ("progression", "continuity", "activities"):
            found = getattr(bip.analyses, name)(study).estimates
            # Regression to the mean is no association, and shares are not tested.
            found = found[~((found["contrast"] == "level_per_sd") & (found["outcome"] == "progression"))]
            enough = found["events"].isna() | (found["events"] >= 60)
            p_values.append(found.loc[enough & found["std_error"].gt(0), "p_value"].dropna())
    together = pd.concat(p_values)
    assert len(together) > 250
    # With some three hundred correlated tests, worth about eighty, three standard errors are 0.073.
    assert 0.0 < (together < 0.05).mean() < 0.123
