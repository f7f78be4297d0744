"""The truths of the primary estimands: stored for the scenario as it is, computed anew, and by definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bipstudy.certification import estimand_designs, estimands
from bipstudy.certification.expected import expected_between, fractional_fit
from bipstudy.certification.truths import PARTS, compute, read, write
from bipstudy.simulation import scenario, simulate_study
from bipstudy.simulation.events import WORK, Intervention, draw_transitions, expected_risks
from bipstudy.simulation.streams import streams
from bipstudy.simulation.study import draw

STORED = read("danish_twin")
TWIN = scenario("danish_twin")


def test_the_stored_truths_are_those_of_the_scenario_as_it_is() -> None:
    assert STORED["scenario_hash"] == TWIN.hash
    assert STORED["draws"] * STORED["participants"] >= 100_000


def test_every_estimand_of_the_twin_has_a_stored_truth_or_a_reason_for_none() -> None:
    without = {
        # No truth can be stated; and nothing acts, so that it is nought.
        "readiness.gain",
        "training.change_after_refresher",
    }
    in_twin = {each.name for each in estimands() if "danish_twin" in each.scenarios}
    assert in_twin - without == set(STORED["truths"])
    assert TWIN.caseworkers.boost_log_odds == 0


def test_in_null_and_selection_only_nothing_acts_that_is_tried_there() -> None:
    null, selection = scenario("null"), scenario("selection_only")
    for name in ("optimism_work", "optimism_study", "readiness_work", "readiness_study", "organisation_sd"):
        assert getattr(null.events, name) == 0
    assert null.events.change_hazard_ratio == 1
    assert null.caseworkers.skill_sd == null.caseworkers.boost_log_odds == 0
    assert all(value == 0 for name, value in dataclasses.asdict(null.progression).items() if name != "noise_sd")
    assert selection.events.optimism_work == selection.events.optimism_study == selection.caseworkers.sorting == 0
    assert all(design.truth == 0 for design in estimand_designs() if design.scenario != "danish_twin")


@pytest.mark.parametrize("part", ["participants", "transitions", "caseworkers"])
def test_a_smaller_computation_agrees_within_its_error(part: str) -> None:
    assert part in PARTS
    found = compute(TWIN, parts=[part], draws=4, participants=2000, seed=7)
    for name, truth in found.items():
        stored = STORED["truths"][name]
        # Four draws tell their spread badly: not less than what the stored draws, forty-fold as many people, say.
        error = max(truth.error, stored.error * np.sqrt(20))
        assert abs(truth.value - stored.value) < 4 * np.hypot(error, stored.error), name


@pytest.mark.certify
@pytest.mark.parametrize(
    "part", ["indicators", "belief", "measurement", "continuity", "activities", "progression", "insights"]
)
def test_a_smaller_computation_of_associations_agrees_within_its_error(part: str) -> None:
    found = compute(TWIN, parts=[part], draws=4, participants=2000, seed=7)
    for name, truth in found.items():
        stored = STORED["truths"][name]
        error = max(truth.error, stored.error * np.sqrt(20))
        assert abs(truth.value - stored.value) < 4 * np.hypot(error, stored.error), name


def test_the_truths_that_are_published_are_met() -> None:
    truths = STORED["truths"]
    # Published shares, and one year's risk as the twin reads it; errors of the draw are below half a point.
    for name, share in (
        ("participants.no_vocational_qualification", 0.70),
        ("participants.mental_ill_health", 0.46),
        ("participants.share_with_change", 0.40),
        ("participants.share_without_activity", 0.25),
        ("transitions.everyone", 0.09),
    ):
        assert truths[name].value == pytest.approx(share, abs=0.01), name


def test_the_hazard_ratio_of_a_change_is_the_marginal_one_and_not_the_conditional() -> None:
    truth = STORED["truths"]["continuity.first_change"]
    study = simulate_study(20_000, 3, "danish_twin")[1]
    conditional, marginal = np.log(study.change_hazard_ratio), np.log(study.change_hazard_ratio_lagged)
    # Adjusted for background it lies between that of each participant and that with nothing adjusted for.
    assert conditional < truth.value < marginal + 0.03
    assert truth.value - conditional > 3 * truth.error


def test_probabilities_between_two_moments_are_those_of_drawn_events() -> None:
    paths = draw(TWIN, 40_000, streams(11)).paths
    count = paths.cohort.size
    begin, end = np.full(count, 0.33), np.full(count, 4.0)
    expected = expected_between(paths, begin, end, competing=False)
    time = draw_transitions(paths, 6, np.random.default_rng(5)).time
    there = time > 0.33
    drawn = (time[there] <= 4.0).mean()
    # A share near 0.09 of 40,000 has a standard error of 0.0014.
    assert expected[there].mean() == pytest.approx(drawn, abs=0.0045)


def test_two_intervals_make_the_whole_and_an_intervention_is_one() -> None:
    paths = draw(TWIN, 300, streams(2)).paths
    zero, middle, end = np.zeros(300), np.full(300, 1.7), np.full(300, 4.0)
    early, late = (expected_between(paths, *moments, competing=False) for moments in ((zero, middle), (middle, end)))
    whole = expected_between(paths, zero, end, competing=False)
    assert early + (1 - early) * late == pytest.approx(whole, rel=1e-12)
    do = Intervention(first_optimism=np.ones(300))
    assert expected_between(paths, zero, end, do) == pytest.approx(expected_risks(paths, 12, do).any, rel=1e-12)
    assert WORK == 1


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_a_model_of_probabilities_is_that_of_statsmodels(link: str) -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    matrix = np.column_stack([np.ones(500), rng.normal(size=(500, 2))])
    response = rng.uniform(0.0, 0.4, 500)
    links = {"logit": sm.families.links.Logit(), "cloglog": sm.families.links.CLogLog()}
    other = sm.GLM(response, matrix, family=sm.families.Binomial(links[link])).fit(tol=1e-12, maxiter=100)
    assert fractional_fit(matrix, response, link) == pytest.approx(other.params, abs=1e-7)


def test_what_is_written_is_read(tmp_path) -> None:
    path = tmp_path / "truths.yaml"
    write("danish_twin", STORED["truths"], path, draws=8, participants=20_000, seed=1)
    write("null", {}, path, draws=2, participants=10, seed=1)
    assert read("danish_twin", path)["truths"] == STORED["truths"]
    assert read("null", path)["scenario_hash"] == scenario("null").hash
