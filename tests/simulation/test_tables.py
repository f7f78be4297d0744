"""The tables of a simulated study are canonical and break no rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.simulation import scenario, scenario_names

PERSON = ["organisation_id", "participant_id"]
FORM = [*PERSON, "occasion", "respondent", "instrument"]


@pytest.fixture(scope="module", params=scenario_names())
def drawn(request):
    return bip.simulate_study(participants=700, seed=3, scenario=request.param)


@pytest.fixture(scope="module")
def study(drawn):
    return drawn[0]


def test_tables_are_canonical_and_sorted_and_keys_are_unique(study):
    for name in schema.TABLE_NAMES:
        table = study.tables[name]
        pd.testing.assert_frame_equal(schema.conform(name, table), table)
        assert not table.duplicated(list(schema.table(name).key)).any(), name
        assert len(table) > 0, name


def test_required_cells_are_filled_and_codes_are_known(study):
    for name in schema.TABLE_NAMES:
        for column in schema.table(name).columns:
            values = study.tables[name][column.name]
            if not column.nullable:
                assert values.notna().all(), (name, column.name)
            if column.codes:
                assert set(values.dropna()) <= set(schema.code_list(column.codes).values), (name, column.name)
            if column.minimum is not None:
                assert (values.dropna() >= column.minimum).all(), (name, column.name)
            if column.maximum is not None:
                assert (values.dropna() <= column.maximum).all(), (name, column.name)


def test_references_lead_somewhere(study):
    for name, table in schema.tables().items():
        for reference in table.references:
            columns = list(reference.columns)
            rows = study.tables[name][columns].dropna().drop_duplicates()
            target = study.tables[reference.table][columns].drop_duplicates()
            assert len(rows.merge(target, on=columns)) == len(rows), (name, columns)


def test_dates_are_in_order(study):
    for name in ("assignments", "activities", "outcomes"):
        table = study.tables[name]
        assert not (table["end"] < table["start"]).any(), name
        assert not (table["ongoing"].fillna(False) & table["end"].notna()).any(), name
    activities = study.activities
    assert not (activities["planned_end"] < activities["start"]).any()
    participants = study.participants
    assert not (participants["left_on"] < participants["entered_on"]).any()
    assert not (participants["observed_until"] < participants["entered_on"]).any()


def test_nothing_lies_outside_the_time_that_is_known(study):
    known = study.participants[[*PERSON, "entered_on", "observed_until", "left_on"]]
    last = known["left_on"].fillna(known["observed_until"]).clip(upper=known["observed_until"])
    known = known.assign(last=last)
    for name, first, end in (
        ("measurements", "answered_on", "answered_on"),
        ("assignments", "start", "end"),
        ("activities", "start", "end"),
    ):
        table = study.tables[name].merge(known, on=PERSON)
        assert not (table[first] < table["entered_on"]).any(), name
        assert not (table[end].fillna(table[first]) > table["last"]).any(), name
    outcomes = study.outcomes.merge(known, on=PERSON)
    assert not (outcomes["start"] > outcomes["observed_until"]).any()
    assert not (outcomes["end"] > outcomes["observed_until"]).any()


def test_main_caseworkers_follow_each_other(study):
    main = study.assignments[study.assignments["responsibility"] == "main"].sort_values([*PERSON, "start"])
    same = main[PERSON].eq(main[PERSON].shift()).all(axis=1)
    assert (main["start"][same] > main["end"].shift()[same]).all()
    assert len(main.drop_duplicates(PERSON)) == len(study.participants)


def test_forms_hold_only_what_their_respondent_is_asked(study):
    forms = study.measurements
    answered = forms["form_status"] == "answered"
    assert (forms["answered_on"].notna() == forms["form_status"].isin(["answered", "declined"])).all()
    for item in schema.instrument().items:
        values = forms[item.id]
        assert values[~answered].isna().all()
        assert values[~forms["respondent"].isin(item.respondents)].isna().all()
        asked = values[answered & forms["respondent"].isin(item.respondents)]
        assert asked.dropna().between(item.minimum, item.maximum).all()
        assert asked.notna().mean() > 0.9
    items = list(schema.items())
    assert forms.loc[answered, items].notna().any(axis=1).all()
    assert forms.loc[forms["respondent"] == "caseworker", "caseworker_id"].notna().all()


def test_occasions_rise_with_time_and_forms_of_one_are_near_each_other(study):
    forms = study.measurements.dropna(subset="answered_on")
    days = forms.groupby([*PERSON, "occasion"])["answered_on"].agg(["min", "max"]).reset_index()
    assert ((days["max"] - days["min"]).dt.days <= 45).all()
    later = days[PERSON].eq(days[PERSON].shift()).all(axis=1)
    assert (days["min"][later] > days["max"].shift()[later]).all()
    recorded = study.measurements.groupby(PERSON)["occasion"]
    assert (recorded.min() == 1).all()
    assert (recorded.max() == recorded.nunique()).all()


def test_a_missing_answer_with_a_reason_is_missing_on_an_answered_form(study):
    long = study.measurements.melt([*FORM, "form_status"], list(schema.items()), "item", "value")
    joined = study.missing_answers.merge(long, on=[*FORM, "item"], how="left")
    assert (joined["form_status"] == "answered").all()
    assert joined["value"].isna().all()


def test_answers_lie_near_the_plan_but_not_on_one_day(study):
    forms = study.measurements.dropna(subset="answered_on")
    off = (forms["answered_on"] - forms["due_on"]).dt.days
    assert off.abs().max() <= 45
    assert forms["answered_on"].dt.day.nunique() >= 28
    assert (forms["answered_on"].dt.dayofweek < 5).all()


def test_spells_of_unknown_length_say_so(study):
    outcomes = study.outcomes
    unknown = outcomes["end"].isna() & ~outcomes["ongoing"].fillna(False)
    assert (outcomes.loc[unknown, "lasted_a_month"] == "unknown").all()
    coarse = outcomes["start_precision"] != "day"
    assert (outcomes.loc[coarse, "start"] < outcomes.loc[coarse, "end"].fillna(pd.Timestamp.max)).all()
    assert outcomes.loc[coarse, "lasted_a_month"].notna().all()


def test_scenarios_say_what_their_names_promise():
    no_pairs, _ = bip.simulate_study(participants=300, seed=1, scenario="no_pairing")
    answered = no_pairs.measurements[no_pairs.measurements["form_status"] == "answered"]
    assert answered.groupby([*PERSON, "occasion"])["respondent"].nunique().max() == 1
    drifting, _ = bip.simulate_study(participants=6000, seed=1, scenario="drifting_registers")
    outcomes = drifting.outcomes
    coarse = (outcomes["start_precision"] != "day").groupby(outcomes["start"].dt.year).mean()
    # Standard error of a yearly share is at most 0.02 with 600 spells a year.
    assert coarse.loc[2016] - coarse.loc[2013] > 0.15
    last_quarter = outcomes["start"].dt.to_period("Q").value_counts().sort_index()
    assert last_quarter.iloc[-1] < 0.75 * last_quarter.iloc[-3:-1].mean()
    pilot, _ = bip.simulate_study(seed=1, scenario="swedish_pilot")
    follow_up = pilot.participants.groupby("organisation_id")["outcome_follow_up"].nunique()
    assert (follow_up == 1).all()
    assert pilot.participants["outcome_follow_up"].nunique() == 2
    assert 270 <= len(pilot.caseworkers) <= 330
    outcomes = pilot.outcomes.merge(pilot.participants[[*PERSON, "outcome_follow_up", "left_on"]], on=PERSON)
    after = outcomes["start"] > outcomes["left_on"]
    assert not (after & (outcomes["outcome_follow_up"] == "programme_only")).any()
    assert (after & (outcomes["outcome_follow_up"] == "register")).any()


def test_too_few_participants_are_refused():
    with pytest.raises(bip.texts.BipstudyError, match="too_few"):
        bip.simulate_study(participants=3)


def test_smallest_studies_can_be_drawn():
    given = scenario("danish_twin")
    study, truth = bip.simulate_study(participants=given.design.organisations, seed=1)
    assert len(study.participants) == given.design.organisations
    assert np.isfinite(truth.risk_work)
