"""The published numbers in the readings that can hold together: population values of the Danish twin, row by row.

Draws use another seed than the calibration. Expected risks carry no event noise; what is left is which participants
and caseworkers were drawn. Over draws of 120,000 participants the standard deviations were: risk of work 0.03 points,
of the top answer 0.1, of the bottom two 0.01, ratios under optimism 0.002, answer shares 0.2, ever changed 0.2 (clients
of a caseworker who leaves change together), no activity 0.06, occasions 0.005; of 60,000, as here, 1.4
times that. All lie well inside the tolerances, which are those of the question, not of the draw.
"""

from __future__ import annotations

import numpy as np
import pytest

import bipstudy as bip
from bipstudy.simulation import scenario
from bipstudy.simulation.readings import SEED, mean_halves, read_scenario

PERSON = ["organisation_id", "participant_id"]


@pytest.fixture(scope="module")
def twin():
    return read_scenario(scenario("danish_twin"), participants=60_000, seed=SEED + 7)


@pytest.mark.parametrize(
    ("reading", "value", "tolerance"),
    [
        ("risk_work", 0.060, 0.003),
        ("optimism_work", 1.32, 0.02),
        ("optimism_any", 1.33, 0.02),
        ("ever_changed", 0.40, 0.01),
        ("no_activity", 0.25, 0.01),
        ("occasions", 2.90, 0.05),
        ("paired", 0.71, 0.005),
        # Assumed, not published: where the scenario puts it.
        ("risk_any", 0.090, 0.004),
    ],
)
def test_the_twin_meets_the_published_number(twin, reading, value, tolerance):
    assert getattr(twin, reading) == pytest.approx(value, abs=tolerance)


def test_the_twin_meets_the_risks_by_belief_answer(twin):
    assert twin.by_answer[4] == pytest.approx(0.27, abs=0.01)
    assert 0.010 <= twin.bottom_two <= 0.015
    assert (np.diff(twin.by_answer) > 0).all()


def test_the_answers_have_the_published_shares(twin):
    assert twin.answer_shares[4] == pytest.approx(0.06, abs=0.005)
    assert twin.answer_shares[3] == pytest.approx(0.20, abs=0.01)
    assert twin.answer_shares[:2].sum() == pytest.approx(0.50, abs=0.01)


def test_the_hazard_ratio_of_a_change_is_set_and_its_risk_ratio_follows(twin):
    assert scenario("danish_twin").events.change_hazard_ratio == 0.78
    assert 0.78 < twin.change_any < 0.83


def test_halves_of_caseworkers_lie_apart_as_published_mostly_by_chance():
    """The published distance is met by the mean over studies.

    One study's halves have standard deviations of about half a point and three quarters of a point, so that the mean
    of 30 is known to 0.15 points.
    """
    halves = mean_halves(scenario("danish_twin"), studies=30, seed=SEED + 7)
    assert halves.upper == pytest.approx(0.23, abs=0.02)
    assert halves.lower == pytest.approx(0.07, abs=0.02)
    by_chance = halves.chance_upper - halves.chance_lower
    assert 0.7 < by_chance / (halves.upper - halves.lower) < 1.0


def test_the_twin_has_the_size_and_the_background_of_the_published_study():
    study, _ = bip.simulate_study(seed=21)
    assert len(study.organisations) == 10
    assert len(study.participants) == 5512
    assert 300 <= len(study.caseworkers) <= 400
    entered = study.participants["entered_on"]
    assert entered.dt.year.eq(2013).all()
    assert entered.dt.quarter.nunique() == 4
    answered = study.measurements[study.measurements["form_status"] == "answered"]
    # Standard deviation over studies: 0.03 occasions, hence 165 occasions and 280 forms.
    assert len(answered.drop_duplicates([*PERSON, "occasion"])) == pytest.approx(15_818, abs=4 * 165 + 0.05 * 5512)
    assert len(answered) == pytest.approx(27_000, abs=4 * 280 + 0.05 * 5512 * 1.71)


def test_the_background_has_the_published_shares():
    people = bip.simulate_study(participants=12_000, seed=21)[0].participants
    # Four standard errors of a share of 12,000 are at most 1.8 points.
    assert people["vocational_qualification"].mean() == pytest.approx(0.30, abs=0.018)
    assert people["mental_ill_health"].mean() == pytest.approx(0.46, abs=0.018)
    assert people["musculoskeletal_disorder"].mean() == pytest.approx(0.20, abs=0.018)
    assert people["work_or_study_share_5y"].mean() == pytest.approx(0.14, abs=0.009)


@pytest.mark.parametrize(
    ("name", "readings"),
    [
        ("null", {"risk_work": (0.060, 0.003), "optimism_work": (1.0, 1e-12), "change_any": (1.0, 1e-12)}),
        ("selection_only", {"risk_work": (0.060, 0.003), "optimism_work": (1.0, 1e-12), "change_any": (1.0, 1e-12)}),
        ("sorted", {"risk_work": (0.060, 0.005), "optimism_work": (1.0, 1e-12)}),
        ("danish_twin_wide", {"risk_work": (0.088, 0.003), "top_two": (0.27, 0.01), "optimism_work": (1.32, 0.02)}),
    ],
)
def test_other_scenarios_give_what_they_promise(name, readings):
    found = read_scenario(scenario(name), participants=30_000, seed=SEED + 7)
    for reading, (value, tolerance) in readings.items():
        assert getattr(found, reading) == pytest.approx(value, abs=tolerance), reading


def test_the_raw_gradient_is_as_steep_where_belief_does_not_act():
    twin, only = (read_scenario(scenario(name), participants=20_000) for name in ("danish_twin", "selection_only"))
    assert only.by_answer[4] / only.bottom_two > 0.8 * twin.by_answer[4] / twin.bottom_two
