"""What must not matter: the order of rows, the names of people, where time is cut, how a spell is written down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from panel_studies import big_study

from bipstudy import Study, build_episodes, build_panel, build_states
from bipstudy.texts import BipstudyError

BUILDS = (build_panel, build_episodes, build_states)


@pytest.fixture(scope="module")
def study() -> Study:
    return big_study(150, seed=5)


def _with(study: Study, **tables: pd.DataFrame) -> Study:
    return Study.from_tables({name: tables.get(name, study.tables[name]) for name in study.sent})


def test_the_order_of_rows_does_not_matter(study: Study) -> None:
    shuffled = Study.from_tables({name: study.tables[name].sample(frac=1, random_state=1) for name in study.sent})
    for build in BUILDS:
        pd.testing.assert_frame_equal(build(study), build(shuffled))


def test_the_order_of_rows_does_not_matter_even_in_tables_that_are_not_sorted(study: Study) -> None:
    tables = {name: frame.sample(frac=1, random_state=2) for name, frame in study.tables.items()}
    keys = [["participant", "occasion"], ["participant", "start"], ["participant", "month"]]
    for build, key in zip(BUILDS, keys, strict=True):
        one, other = build(study), build(Study(tables=tables, sent=study.sent))
        # Sums over people run in another order.
        pd.testing.assert_frame_equal(
            one.sort_values(key, ignore_index=True), other.sort_values(key, ignore_index=True), rtol=1e-9
        )


def test_the_names_of_people_do_not_matter(study: Study) -> None:
    random = np.random.default_rng(7)
    names = {}
    for column in ("participant_id", "caseworker_id"):
        old = pd.concat([frame[column] for frame in study.tables.values() if column in frame]).dropna().unique()
        names[column] = dict(zip(old, (f"x{each}" for each in random.permutation(len(old))), strict=True))
    tables = {}
    for name in study.sent:
        frame = study.tables[name].copy()
        for column in names.keys() & set(frame.columns):
            frame[column] = frame[column].map(names[column]).astype(frame[column].dtype)
        tables[name] = frame
    renamed = Study.from_tables(tables)
    keys = [["participant", "occasion"], ["participant", "start"], ["participant", "month"]]
    for build, key in zip(BUILDS, keys, strict=True):
        one, other = build(study), build(renamed)
        for column, kind in (
            ("participant", "participant_id"),
            ("caseworker", "caseworker_id"),
            ("answering_caseworker", "caseworker_id"),
        ):
            if column in one:
                parts = one[column].str.split("/", expand=True)
                one[column] = (parts[0] + "/" + parts[1].map(names[kind])).astype(one[column].dtype)
        pd.testing.assert_frame_equal(
            one.sort_values(key, ignore_index=True), other.sort_values(key, ignore_index=True), rtol=1e-9
        )


def test_organisations_may_use_the_same_names(study: Study) -> None:
    tables = {}
    for name in study.sent:
        frame = study.tables[name].copy()
        for column in {"participant_id", "caseworker_id"} & set(frame.columns):
            frame[column] = (frame["organisation_id"] + "-" + frame[column]).astype(frame[column].dtype)
        tables[name] = frame
    assert study.assignments["caseworker_id"].nunique() < tables["assignments"]["caseworker_id"].nunique()
    apart = Study.from_tables(tables)
    for build in BUILDS:
        one, other = build(study), build(apart)
        for column in {"participant", "caseworker", "answering_caseworker"} & set(one.columns):
            parts = one[column].str.split("/", expand=True)
            one[column] = (parts[0] + "/" + parts[0] + "-" + parts[1]).astype(one[column].dtype)
        pd.testing.assert_frame_equal(one, other)


def test_a_slash_that_makes_two_people_one_is_refused() -> None:
    study = big_study(2)
    people = study.participants.assign(organisation_id=["a/b", "a"], participant_id=["c", "b/c"])
    with pytest.raises(BipstudyError) as raised:
        build_panel(_with(study, participants=people))
    assert raised.value.code == "panel.ambiguous_ids"


@pytest.mark.parametrize("origin", ["first_measurement", "entry"])
@pytest.mark.parametrize("outcome", ["narrow", "primary", "broad"])
def test_cutting_time_at_any_step_gives_the_same_totals(study: Study, origin: str, outcome: str) -> None:
    totals = []
    for step in (0.7, 3, 7.5, 200):
        episodes = build_episodes(study, outcome=outcome, origin=origin, step_months=step)
        days = (episodes["stop"] - episodes["start"]).groupby(episodes["participant"]).sum()
        causes = episodes.groupby("participant")["cause"].sum()
        assert episodes.groupby("participant")["cause"].apply(lambda cause: (cause > 0).sum() <= 1).all()
        before = episodes.groupby("participant")["stop"].shift()
        assert (before.isna() | (before == episodes["start"])).all()
        assert (episodes["stop"] > episodes["start"]).all()
        totals.append((days, causes))
    for days, causes in totals[1:]:
        pd.testing.assert_series_equal(days, totals[0][0])
        pd.testing.assert_series_equal(causes, totals[0][1])


def test_a_spell_written_as_two_that_touch_is_the_same_spell(study: Study) -> None:
    outcomes = study.outcomes
    middle = outcomes["start"] + (outcomes["end"] - outcomes["start"]) // pd.Timedelta(days=2) * pd.Timedelta(days=1)
    long = outcomes["end"] > outcomes["start"]
    first = outcomes.assign(end=middle.where(long, outcomes["end"]))
    second = outcomes[long].assign(
        start=middle[long] + pd.Timedelta(days=1), outcome_id=outcomes.loc[long, "outcome_id"] + "b"
    )
    # The halves of a lower source's spell that meets a higher one's may be ranked apart, so one source only.
    whole = _with(study, outcomes=outcomes.assign(source="register"))
    halves = _with(study, outcomes=pd.concat([first, second]).assign(source="register"))
    for build in BUILDS:
        pd.testing.assert_frame_equal(build(whole), build(halves))


def test_one_more_participant_changes_no_one_elses_time(study: Study) -> None:
    everyone, some = build_episodes(study), build_episodes(study.where("organisation_id != 'o0'"))
    columns = ["participant", "start", "stop", "event", "cause", "changes_so_far", "gap_days", "caseload", "optimism"]
    rest = everyone.loc[everyone["organisation_id"] != "o0", columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, some[columns])


def test_panel_and_episodes_agree_on_the_first_year(study: Study) -> None:
    panel = build_panel(study)
    first = panel[panel["first_measurement"]].set_index("participant")
    episodes = build_episodes(study, step_months=12)
    year = episodes[episodes["start"] == 30].set_index("participant")
    assert set(first.index) == set(year.index)
    year = year.loc[first.index]
    pd.testing.assert_series_equal(year["stop"], first["stop"])
    pd.testing.assert_series_equal(year["event"], first["event"])
    pd.testing.assert_series_equal(year["cause"], first["cause"])
    for column in ("belief", "p_job_search", "changes_so_far", "caseload", "optimism", "caseworker"):
        pd.testing.assert_series_equal(year[column], first[column])
