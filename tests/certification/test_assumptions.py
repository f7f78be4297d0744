"""Worlds in which an assumption is another one: nothing else differs, what is published is met, the page shows them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from wrong_estimators import design, right

from bipstudy.certification import certificate as certificate_module
from bipstudy.certification import certify, varied_designs
from bipstudy.certification import studies as room
from bipstudy.certification.assumptions import world, worlds
from bipstudy.certification.estimands import VARIED, built_on
from bipstudy.certification.page import estimand_words, scenario_words
from bipstudy.certification.truths import read
from bipstudy.simulation import scenario
from bipstudy.simulation.readings import read_scenario
from bipstudy.texts import LANGUAGES, catalogue

TWINS = [name for name in worlds() if built_on(name) == "danish_twin"]
SOLVED = {
    f"events.{name}"
    for name in ("work_rate", "study_rate", "readiness_work", "concavity", "optimism_work", "optimism_study")
}


@pytest.mark.parametrize("name", worlds())
def test_one_assumption_differs_and_what_was_solved_for_anew(name: str) -> None:
    base, given = (each.parameters() for each in (scenario(built_on(name)), world(name)))
    other = {key for key in base if base[key] != given[key]}
    if built_on(name) == "selection_only":
        assert len(other) == 1
        assert given["events.optimism_work"] == given["events.optimism_study"] == given["caseworkers.sorting"] == 0
        assert given["events.change_hazard_ratio"] == 1
    elif name == "twin_less_concave":
        assert other == SOLVED
        assert given["events.concavity"] < base["events.concavity"]
    else:
        assert len(other - SOLVED) == 1
        assert other > SOLVED - {"events.concavity"}


def test_everything_that_is_assumed_of_belief_is_another_one_somewhere() -> None:
    base = scenario("danish_twin").parameters()
    varied = {key for name in TWINS for key, value in world(name).parameters().items() if value != base[key]}
    # Private information, noise, optimism, skill, concavity and the middle answer; sorting is a scenario of its own.
    assert varied - SOLVED == {
        "people.private_share",
        "answers.belief_readiness",
        "answers.optimism_icc",
        "answers.belief_cuts",
        "caseworkers.skill_sd",
    }
    assert scenario("sorted").caseworkers.sorting > 0


@pytest.mark.certify
@pytest.mark.parametrize("name", TWINS)
def test_the_published_outcomes_are_met_again(name: str) -> None:
    found = read_scenario(world(name), 60_000, 5)
    assert found.risk_work == pytest.approx(0.06, abs=0.004)
    assert found.risk_any == pytest.approx(0.09, abs=0.005)
    assert found.by_answer[4] == pytest.approx(0.27, abs=0.02)
    assert found.optimism_work == pytest.approx(1.32, abs=0.03)
    assert found.optimism_any == pytest.approx(1.33, abs=0.03)
    # Without its concavity a world cannot also meet the bottom two.
    assert name == "twin_less_concave" or 0.010 <= found.bottom_two <= 0.016


@pytest.mark.parametrize("name", TWINS)
def test_the_stored_truths_are_those_of_the_world_as_it_is(name: str) -> None:
    stored = read(name)
    assert stored["scenario_hash"] == world(name).hash
    assert stored["draws"] * stored["participants"] >= 100_000
    assert set(VARIED["danish_twin"]) <= set(stored["truths"])
    for design_ in varied_designs():
        if design_.scenario == name:
            assert design_.truth == stored["truths"][design_.name.partition(".")[2]].value


def test_where_nothing_acts_the_truth_is_nought() -> None:
    rows = [each for each in varied_designs() if built_on(each.scenario) == "selection_only"]
    assert len(rows) == 3 * (len(worlds()) - len(TWINS))
    assert {each.truth for each in rows} == {0.0}


def _table(seed: int, analyses: list[str]) -> pd.DataFrame:
    """Return what stands for the analyses: nothing but the two contrasts of optimism, of nothing."""
    z = np.random.default_rng(seed).normal(size=2)
    above = "optimism_above_vs_below_median"
    rows = [
        ("belief", above, outcome, np.exp(at), 1.0, np.exp(at - 1.96), np.exp(at + 1.96), 0.5)
        for at, outcome in zip(z, ("work_or_study", "work"), strict=True)
    ]
    columns = ["analysis", "contrast", "outcome", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    return pd.DataFrame(rows, columns=columns).assign(role="secondary")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_the_worlds_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path, language: str) -> None:
    chosen = [each for each in varied_designs() if each.name.startswith("selection_") and "optimism_" in each.name]
    monkeypatch.setattr(certificate_module, "designs", lambda: (design(right),))
    monkeypatch.setattr(certificate_module, "varied_designs", lambda: tuple(chosen))
    monkeypatch.setattr(room, "draw", lambda scenario, rng: int(rng.integers(1_000_000)))
    monkeypatch.setattr(room, "_table", _table)
    given = certify(replicates=60, varied=40, tests=False, out=tmp_path, language=language)
    assert given.ok
    assert given.facts["varied"] == 40
    assert set(given.rows["kind"]) == {"estimator", "assumption"}
    page = (tmp_path / "certificate.html").read_text(encoding="utf-8")
    words = catalogue("certification")
    assert words["assumptions_title"][language] in page
    assert words["assumptions_caption.selection_only"][language] in page
    for each in chosen:
        assert scenario_words(each.scenario, language) in page
        assert estimand_words(each.name, language) in page


def test_the_short_form_leaves_the_worlds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_module, "designs", lambda: (design(right),))
    monkeypatch.setattr(certificate_module, "varied_designs", lambda: pytest.fail("asked for"))
    assert certify(replicates=2, tests=False).facts["varied"] == 0


def test_the_full_form_counts_them_among_its_steps() -> None:
    short, full = certificate_module.steps(), certificate_module.steps(full=True)
    assert full - short >= len(worlds())
