"""Scenario files: inheritance, refusals, hash."""

from __future__ import annotations

import datetime as dt

import pytest

from bipstudy.simulation import scenario, scenario_names
from bipstudy.texts import BipstudyError

PUBLISHED = {
    "danish_twin", "danish_twin_wide", "demo", "drifting_registers", "no_pairing", "null", "selection_only", "sorted",
    "swedish_pilot", "tiny",
}  # fmt: skip


def test_every_scenario_of_the_package_can_be_read():
    assert set(scenario_names()) == PUBLISHED
    for name in scenario_names():
        read = scenario(name)
        assert read.name == name
        assert set(read.label) == {"sv", "en"}


def test_a_scenario_inherits_what_it_does_not_say():
    base, sorted_ = scenario("danish_twin"), scenario("sorted")
    assert sorted_.events.optimism_work == 0.0
    assert sorted_.caseworkers.sorting > 0
    assert sorted_.answers == base.answers
    assert scenario("demo").design.participants == base.design.participants == 5512


def test_a_users_file_builds_on_a_scenario_of_the_package_or_on_a_file_beside_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: tiny\ndesign: {participants: 77}\n", "utf-8")
    (tmp_path / "other.yaml").write_text("base: mine\nevents: {optimism_work: 0.5}\n", "utf-8")
    read = scenario(tmp_path / "other.yaml")
    assert (read.design.participants, read.events.optimism_work) == (77, 0.5)
    assert read.design.organisations == scenario("tiny").design.organisations


@pytest.mark.parametrize(
    ("content", "code", "parameter"),
    [
        ("base: tiny\nevents: {optimsm_work: 1}\n", "simulation.unknown_parameter", "events.optimsm_work"),
        ("base: tiny\nevent: {optimism_work: 1}\n", "simulation.unknown_parameter", "event"),
        ("name: bare\n", "simulation.missing_parameter", "design.participants"),
        ("base: tiny\noccasions: {paired: 1.2}\n", "simulation.bad_parameter", "occasions.paired"),
        ("base: tiny\noccasions: {paired: often}\n", "simulation.bad_parameter", "occasions.paired"),
        ("base: tiny\ndesign: {participants: 2.5}\n", "simulation.bad_parameter", "design.participants"),
        ("base: tiny\ndesign: {participants: 0}\n", "simulation.bad_parameter", "design.participants"),
        ("base: tiny\nanswers: {item_cuts: [0.5, 0.4, 0.6, 0.8]}\n", "simulation.bad_parameter", "answers.item_cuts"),
        ("base: tiny\nanswers: {item_cuts: [0.1, 0.2, 0.3]}\n", "simulation.bad_parameter", "answers.item_cuts"),
        ("base: tiny\npeople: {age_shares: [1, 1, 1, 1, 1]}\n", "simulation.bad_parameter", "people.age_shares"),
        ("base: tiny\npeople: {age_shares: [0.5, 0.5]}\n", "simulation.bad_parameter", "people.age_shares"),
        ("base: tiny\ndesign: {ends_on: 2012-01-01}\n", "simulation.bad_parameter", "design.ends_on"),
        ("base: tiny\nevents: {readiness_work: .nan}\n", "simulation.bad_parameter", "events.readiness_work"),
        ("base: tiny\nanswers: {optimism_icc: 0.5}\n", "simulation.bad_parameter", "answers.belief_readiness"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(tmp_path, content, code, parameter):
    (tmp_path / "wrong.yaml").write_text(content, "utf-8")
    with pytest.raises(BipstudyError) as error:
        scenario(tmp_path / "wrong.yaml")
    assert error.value.code == code
    assert error.value.values["parameter"] == parameter
    assert all(parameter in error.value.message(language) for language in ("sv", "en"))


def test_an_unknown_scenario_and_a_circle_are_refused(tmp_path):
    with pytest.raises(BipstudyError, match="unknown_scenario"):
        scenario("danish_twn")
    (tmp_path / "a.yaml").write_text("base: b\n", "utf-8")
    (tmp_path / "b.yaml").write_text("base: a\n", "utf-8")
    with pytest.raises(BipstudyError, match="circular_base"):
        scenario(tmp_path / "a.yaml")


def test_the_hash_is_that_of_the_parameters_alone(tmp_path):
    (tmp_path / "same.yaml").write_text("# another comment\nlabel: {sv: x, en: y}\nname: z\nbase: tiny\n", "utf-8")
    assert scenario(tmp_path / "same.yaml").hash == scenario("tiny").hash
    assert scenario("tiny").hash != scenario("demo").hash
    assert scenario("tiny").replace(events__optimism_work=0.1).hash != scenario("tiny").hash


def test_parameters_and_replace_are_inverse():
    given = scenario("danish_twin")
    changed = given.replace(events__optimism_work=0.7, design__starts_on=dt.date(2014, 1, 1))
    differing = {key for key, value in changed.parameters().items() if given.parameters()[key] != value}
    assert differing == {"events.optimism_work", "design.starts_on"}
    back = changed.replace(
        **{key.replace(".", "__"): value for key, value in given.parameters().items() if key in differing}
    )
    assert back == given


def test_sixteen_quarters_fill_four_years():
    assert scenario("danish_twin").quarters == 16
