"""The same seed gives the same study; a component that changes does not shift the others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.simulation import scenario

TABLES = schema.TABLE_NAMES


def differing(first, second):
    return {name for name in TABLES if not first.tables[name].equals(second.tables[name])}


@pytest.fixture(scope="module")
def base():
    return bip.simulate_study(participants=400, seed=5)


def test_same_seed_same_hash_and_other_seed_other_study(base):
    study, truth = base
    again, truth_again = bip.simulate_study(participants=400, seed=5)
    assert study.hash == again.hash
    np.testing.assert_array_equal(truth.risk_any_each, truth_again.risk_any_each)
    assert bip.simulate_study(participants=400, seed=6)[0].hash != study.hash


def test_a_seed_sequence_is_not_used_up():
    sequence = np.random.SeedSequence(11)
    first = bip.simulate_study(participants=60, seed=sequence)[0].hash
    assert bip.simulate_study(participants=60, seed=sequence)[0].hash == first
    assert bip.simulate_study(participants=60, seed=11)[0].hash == first


def test_the_example_is_always_the_same():
    assert bip.load_example().hash == bip.load_example().hash


@pytest.mark.parametrize(
    ("change", "tables"),
    [
        ({"answers__item_loading": 0.3}, {"measurements"}),
        ({"answers__missing": 0.2}, {"measurements", "missing_answers"}),
        ({"outcomes__mean_days": 100.0}, {"outcomes"}),
        ({"outcomes__month_share": 0.5}, {"outcomes"}),
        ({"people__vocational": 0.6}, {"participants"}),
        ({"caseworkers__second_share": 0.6}, {"assignments"}),
        ({"caseworkers__basic_training_share": 0.2}, {"trainings"}),
        ({"occasions__paired": 0.2}, {"measurements", "missing_answers"}),
        ({"occasions__response": 0.5}, {"measurements", "missing_answers"}),
    ],
)  # fmt: skip
def test_changing_one_component_leaves_the_other_tables(base, change, tables):
    study, _ = base
    other, _ = bip.simulate_study(participants=400, seed=5, scenario=scenario("danish_twin").replace(**change))
    assert differing(study, other) == tables


def test_answers_on_the_same_form_stay_when_missing_ones_are_drawn_differently(base):
    study, _ = base
    other, _ = bip.simulate_study(
        participants=400, seed=5, scenario=scenario("danish_twin").replace(answers__missing=0.3)
    )
    for item in schema.items():
        both = study.measurements[item].notna() & other.measurements[item].notna()
        assert both.sum() > 100
        pd.testing.assert_series_equal(study.measurements[item][both], other.measurements[item][both])


def test_effects_on_the_hazard_leave_assignments_answers_and_people_before_the_transition(base):
    study, truth = base
    other, truth_other = bip.simulate_study(
        participants=400, seed=5, scenario=scenario("danish_twin").replace(events__optimism_work=1.0)
    )
    np.testing.assert_array_equal(truth.first_optimism, truth_other.first_optimism)
    np.testing.assert_array_equal(truth.readiness, truth_other.readiness)
    columns = ["entered_on", "sex", "age_group", "education", "unit_id", "work_or_study_share_5y"]
    pd.testing.assert_frame_equal(study.participants[columns], other.participants[columns])
    assert differing(study, other) >= {"outcomes"}
