"""Training: forms and their caseworkers by definition, a refresher that acts, and one that does not."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.replication.layouts import printed
from bipstudy.simulation import scenario
from bipstudy.study import Study

training = importlib.import_module("bipstudy.analyses.training")


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(1200, seed=12, scenario="demo")[0]


def test_a_form_belongs_to_the_main_caseworker_of_the_day_it_was_due(study: Study) -> None:
    staff = training._staff(study, "primary")
    forms, _ = training._due_forms(study, staff)
    labels = staff.parts.coded.caseworker_labels
    periods = study.assignments[study.assignments["responsibility"] == "main"]
    periods = periods.assign(whom=periods["organisation_id"] + "/" + periods["participant_id"])
    trained = study.trainings[study.trainings["kind"] == "boost"]
    held = (
        trained.assign(who=trained["organisation_id"] + "/" + trained["caseworker_id"]).groupby("who")["held_on"].min()
    )
    exact = periods[(periods["start_precision"] == "day") & (periods["end_precision"].fillna("day") == "day")]
    checked = 0
    for row in forms.iloc[::53].itertuples():
        day = pd.Timestamp("1970-01-01") + pd.Timedelta(days=row.day)
        own = exact[(exact["whom"] == row.participant) & (exact["start"] <= day)]
        own = own[own["end"].isna() | (own["end"] >= day)]
        if len(own) != 1:
            continue
        who = own["organisation_id"].iloc[0] + "/" + own["caseworker_id"].iloc[0]
        assert labels[row.who] == who
        assert row.boost_by_then == (who in held.index and held[who] <= day)
        assert row.quarter == (day.year - 1970) * 4 + day.quarter - 1
        checked += 1
    assert checked > 20


def test_who_is_named_on_a_form_does_not_decide_whether_it_counts(study: Study) -> None:
    # Forms that nobody answered often name nobody: those that do would be counted for having been answered.
    table = study.assignments
    whose = table["organisation_id"] + "/" + table["participant_id"]
    chosen = sorted(set(whose))[::3]
    fewer = replace(study, tables={**study.tables, "assignments": table[~whose.isin(chosen)].reset_index(drop=True)})
    forms, flow = training._due_forms(fewer, training._staff(fewer, "primary"))
    assert not forms["participant"].isin(chosen).any()
    assert flow["rows"].iloc[-1] == len(forms)


def test_questions_left_open_are_those_without_an_answer(study: Study) -> None:
    table = study.measurements.iloc[:400]
    found = training._missing(table)
    for place, row in enumerate(table.itertuples()):
        asked = [item.id for item in schema.instrument(row.instrument).items if row.respondent in item.respondents]
        assert found[place] == pytest.approx(np.mean([pd.isna(getattr(row, item)) for item in asked]))


def test_an_occasion_is_paired_if_both_answered(study: Study) -> None:
    forms, _ = training._due_forms(study, training._staff(study, "primary"))
    found = training._occasions(forms).set_index(["participant", "occasion"])["value"]
    answered = forms[forms["answered"] == 1].groupby(["participant", "occasion"]).size()
    pd.testing.assert_series_equal(found.sort_index(), (answered > 1).astype(float), check_names=False)


def test_a_refresher_that_raises_the_odds_of_measuring_is_found() -> None:
    given = scenario("danish_twin").replace(caseworkers__boost_log_odds=3.0, caseworkers__boost_share=0.6)
    result = bip.analyses.training(bip.simulate_study(7_000, seed=41, scenario=given)[0])

    def answered(response: float) -> float:
        """Share of forms answered: both or one of them, those not answered being recorded with a given chance."""
        own = given.occasions
        full = response * (1 + own.paired)
        return full / (full + own.recorded * (response * (1 - own.paired) + 2 * (1 - response)))

    before = given.occasions.response
    after = 1 / (1 + np.exp(-np.log(before / (1 - before)) - 3.0))
    row = result.primary().iloc[0]
    # A change of caseworker within the quarter draws it a little towards nought: four standard errors, seed fixed.
    assert abs(row["estimate"] - (answered(after) - answered(before))) < 4 * row["std_error"]
    assert row["conf_low"] > 0
    earlier = result.estimates.set_index("contrast").loc["change_before_refresher"]
    assert abs(earlier["estimate"]) < 4 * earlier["std_error"]


@pytest.mark.parametrize(("language", "word"), [("sv", "referens"), ("en", "reference")])
def test_the_quarter_before_the_refresher_is_called_the_reference(study: Study, language: str, word: str) -> None:
    result = bip.analyses.training(study)
    frame = result.tables["by_quarter"]
    shown = printed("training.by_quarter", frame, language)
    (own,) = np.flatnonzero(frame["estimate"] == 0.0)
    assert shown.iloc[own, 0].endswith("−1")
    assert shown.iloc[own, 1] == word
    assert not shown.iloc[:, 1].drop(own).str.contains(word).any()
    (axes,) = result.figures["by_quarter"].draw(language).axes
    written = [each.get_text() for each in axes.texts]
    assert written.count(word) == 1
    assert not any("0" + mark + "00  (0" in words for words in written for mark in ".,")


def test_a_refresher_that_does_nothing_is_not_found() -> None:
    found = bip.analyses.training(bip.simulate_study(4_000, seed=42, scenario="null")[0]).estimates
    made = found[found["std_error"].gt(0) & found["scale"].eq("risk_difference")]
    assert len(made) >= 5
    assert (np.abs(made["estimate"] / made["std_error"]) < 4).all()


def test_without_trainings_or_due_days_nothing_is_estimated_and_it_is_said(study: Study) -> None:
    tables = {name: study.tables[name] for name in study.sent}
    silent = Study.from_tables({name: frame for name, frame in tables.items() if name != "trainings"})
    undated = Study.from_tables(
        {**tables, "measurements": tables["measurements"].drop(columns=["due_on", "due_on_precision"])}
    )
    for without in (silent, undated):
        result = bip.analyses.training(without)
        assert result.primary()["estimate"].isna().all()
        assert result.answer("en").startswith("The question cannot be answered")
        assert any("could not be made" in note for note in result.notes_in("en"))
