"""Sizes of a planned study become scenarios of just that size."""

from __future__ import annotations

import datetime as dt

import pytest

from bipstudy.planning import sizes
from bipstudy.planning.sizes import _after
from bipstudy.simulation import scenario, simulate_study
from bipstudy.texts import BipstudyError


def test_a_study_of_a_size_has_that_size() -> None:
    (size,) = sizes(organisations=4, caseworkers=50, participants_per_caseworker=10, follow_up_months=12, response=0.6)
    given = size.scenario(scenario("swedish_pilot"))
    study, _ = simulate_study(size.participants, 1, given)
    assert len(study.organisations) == 4
    assert len(study.participants) == 500
    # Caseworkers are shared out over organisations of unequal size.
    assert abs(len(study.caseworkers) - 50) <= 6
    assert given.occasions.response == 0.6
    # A year of entry and a year after it.
    assert given.design.ends_on == dt.date(2025, 12, 31)
    assert study.participants["observed_until"].max() <= dt.datetime(2025, 12, 31)


def test_what_is_left_out_is_as_in_the_scenario() -> None:
    base = scenario("swedish_pilot")
    (size,) = sizes(participants_per_caseworker=8)
    assert size.scenario(base).hash == base.hash


@pytest.mark.parametrize("wanted", [2.0, 3.0])
def test_a_wanted_mean_of_occasions_is_met(wanted: float) -> None:
    (size,) = sizes(caseworkers=100, occasions=wanted)
    study, _ = simulate_study(3000, 5, size.scenario(scenario("swedish_pilot")))
    forms = study.measurements
    answered = forms[forms["form_status"] == "answered"]
    keys = answered[["organisation_id", "participant_id", "occasion"]].drop_duplicates()
    # A study of 3,000 has a standard error of about 0.03.
    assert len(keys) / len(study.participants) == pytest.approx(wanted, abs=0.12)


def test_months_after_a_day_end_on_the_day_before() -> None:
    assert _after(dt.date(2024, 1, 1), 12) == dt.date(2024, 12, 31)
    assert _after(dt.date(2024, 1, 1), 14) == dt.date(2025, 2, 28)
    assert _after(dt.date(2023, 11, 1), 4) == dt.date(2024, 2, 29)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"occasions": 3, "dropout": 0.2}, "planning.occasions_and_dropout"),
        ({"response": 1.2}, "planning.bad_number"),
        ({"caseworkers": 10.5}, "planning.bad_number"),
        ({"organisations": 0}, "planning.bad_number"),
        ({"caseworkers": 5, "participants_per_caseworker": 2}, "planning.too_small"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(asked: dict[str, float], code: str) -> None:
    with pytest.raises(BipstudyError) as caught:
        sizes(**asked)
    assert caught.value.code == code


def test_occasions_out_of_reach_are_refused_with_what_can_be_reached() -> None:
    (size,) = sizes(occasions=30)
    with pytest.raises(BipstudyError) as caught:
        size.scenario(scenario("swedish_pilot"))
    assert caught.value.code == "planning.occasions_out_of_reach"
