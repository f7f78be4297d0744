"""The answer in a sentence: what was estimated is said even where something else could not be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses import Result
from bipstudy.analyses.wording import written
from bipstudy.study import Study
from bipstudy.texts import text

SAID_IN_FULL = ("participants", "continuity", "activities", "measurement", "training", "insights")
NO_ANSWER = "The question cannot be answered"
REST = text("analyses.answer_rest", "en")


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    study, _ = bip.simulate_study(900, seed=3)
    return {name: getattr(bip.analyses, name)(study) for name in (*SAID_IN_FULL, "belief")}


def _without(result: Result, blank: pd.Series) -> Result:
    """Return a result some of whose estimates could not be made."""
    found = result.estimates.copy()
    found.loc[blank, ["estimate", "std_error", "conf_low", "conf_high"]] = np.nan
    return replace(result, estimates=found)


def _number(row: pd.Series) -> str:
    return written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], "en")


@pytest.mark.parametrize("name", SAID_IN_FULL)
def test_a_whole_answer_says_nothing_of_a_rest(results: dict[str, Result], name: str) -> None:
    assert REST not in results[name].answer("en")
    assert NO_ANSWER not in results[name].answer("en")


@pytest.mark.parametrize(("lost", "kept"), [("risk_ratio", "sd"), ("sd", "risk_ratio")])
def test_progression_is_answered_where_the_transition_is_not(results: dict[str, Result], lost: str, kept: str) -> None:
    found = results["activities"].estimates
    main = found["role"].eq("primary")
    # In this study nobody has the transition after a study-focused activity alone: that takes nothing from the others.
    assert (
        found.loc[found["contrast"].eq("study_alone_vs_none") & found["scale"].eq("risk_ratio"), "estimate"]
        .isna()
        .all()
    )
    assert found.loc[main, "estimate"].notna().all()
    said = _without(results["activities"], main & found["scale"].eq(lost)).answer("en")
    assert _number(found[main & found["scale"].eq(kept)].iloc[0]) in said
    assert _number(found[main & found["scale"].eq(lost)].iloc[0]) not in said
    assert said.endswith(REST)


def test_shares_of_participants_are_said_without_activities(results: dict[str, Result]) -> None:
    found = results["participants"].estimates
    said = _without(results["participants"], found["benchmark"].eq("D3")).answer("en")
    assert _number(found[found["benchmark"] == "D1"].iloc[0]) in said
    assert NO_ANSWER not in said


@pytest.mark.parametrize("name", ["continuity", "training", "activities", "belief", "insights"])
@pytest.mark.parametrize("language", ["sv", "en"])
def test_without_its_primary_estimate_a_question_is_not_answered(
    results: dict[str, Result], name: str, language: str
) -> None:
    result = results[name]
    said = _without(result, result.estimates["role"].eq("primary")).answer(language)
    assert said.startswith(text("analyses.no_answer", language))
    assert "{" not in said
    if name == "belief":
        wanted = {"contrast": "optimism_above_vs_below_median", "term": "optimism", "scale": "risk_ratio"}
        wanted |= {"outcome": "work_or_study", "adjustment": "unit_quarter_answers"}
        row = result.estimates[(result.estimates[list(wanted)] == pd.Series(wanted)).all(axis=1)].iloc[0]
        assert written("risk_ratio", row["estimate"], row["conf_low"], row["conf_high"], language) in said


def test_with_one_kind_of_form_its_reliability_is_still_said(results: dict[str, Result]) -> None:
    found = results["measurement"].estimates
    said = _without(results["measurement"], found["contrast"].isin(["omega_caseworker", "icc_between"])).answer("en")
    assert _number(found[found["contrast"] == "omega_participant"].iloc[0]) in said
    assert said.endswith(REST)


def test_which_insight_weighs_most_is_said_with_how_sure_that_is(results: dict[str, Result]) -> None:
    found = results["insights"].estimates
    apart = found[found["contrast"] == "insight_first_less_second"].iloc[0]
    first, second = apart["term"].split(":")
    said = results["insights"].answer("en")
    places = [said.index(text(f"analyses.contrast.insight_{name}", "en")) for name in (first, second)]
    assert places == sorted(places)
    assert written("risk_difference", apart["estimate"], apart["conf_low"], apart["conf_high"], "en") in said


def test_one_caseworker_gives_no_interval_and_no_traceback() -> None:
    """Errors allow for caseworkers: with one there are none, and what has no error holds no test."""
    study = bip.load_example()
    first = study.organisations["organisation_id"].iloc[0]
    tables = {name: study.tables[name] for name in study.sent}
    own = {name: table[table["organisation_id"] == first] for name, table in tables.items()}
    for name in ("assignments", "measurements", "trainings"):
        own[name] = own[name].assign(caseworker_id="å1")
    own["caseworkers"] = own["caseworkers"].head(1).assign(caseworker_id="å1")
    own["trainings"] = own["trainings"].drop_duplicates("kind")
    alone = Study.from_tables({**own, "assignments": own["assignments"].drop_duplicates("participant_id")})
    for name in bip.analyses.list():
        result = getattr(bip.analyses, name)(alone)
        assert result.answer("sv"), name
        # The sum over one cluster is nought but for rounding: an error of that size is a certainty nobody has.
        errors = result.estimates["std_error"].dropna()
        assert not errors.between(0, 1e-9).any(), name
        held = result.estimates["std_error"].isna() & result.estimates["scale"].isin(["risk_ratio", "hazard_ratio"])
        assert result.estimates.loc[held, "p_value"].isna().all(), name
        if name == "indicators":
            assert np.isnan(result.estimates.set_index("benchmark").loc["R1", "estimate"])
