"""Months in work and study, past the first transition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from panel_studies import big_study, make_study

from bipstudy import build_states
from bipstudy.panel import describe_flow


def months(outcomes: list[dict[str, Any]], **participant: Any) -> pd.DataFrame:
    study = make_study(
        participants=[{"participant_id": "1", "observed_until": "2020-12-31", **participant}], outcomes=outcomes
    )
    states = build_states(study)
    return states.set_index(states["month"].dt.month)


def test_a_month_is_in_work_with_half_of_its_days() -> None:
    # April has 30 days: 15 are half, 14 are not; work goes on past the first spell.
    states = months(
        [
            {"start": "2020-04-16", "end": "2020-05-15"},
            {"start": "2020-06-17", "end": "2020-07-31", "status": "study_qualifying"},
            {"start": "2020-09-01", "ongoing": True, "status": "work_subsidised"},
        ]
    )
    assert states.index[states["in_work"] == 1].tolist() == [4, 9, 10, 11, 12]
    assert states.index[states["in_study"] == 1].tolist() == [7]
    assert states["followed"].all()
    assert states["month_number"].tolist() == list(range(12))


def test_overlapping_spells_count_once_and_short_ones_count() -> None:
    states = months([{"start": "2020-04-01", "end": "2020-04-12"}, {"start": "2020-04-05", "end": "2020-04-14"}])
    assert states.loc[4, "in_work"] == 0
    states = months([{"start": "2020-04-01", "end": "2020-04-12"}, {"start": "2020-04-05", "end": "2020-04-15"}])
    assert states.loc[4, "in_work"] == 1


def test_nothing_is_known_after_the_programme_where_only_it_knows() -> None:
    states = months([], outcome_follow_up="programme_only", left_on="2020-06-30")
    assert states.index[states["followed"]].tolist() == [1, 2, 3, 4, 5, 6]
    assert states.loc[7:, ["in_work", "in_study"]].isna().all(axis=None)
    assert (states.loc[:6, ["in_work", "in_study"]] == 0).all(axis=None)


def test_the_last_month_is_followed_only_if_whole() -> None:
    assert months([], observed_until="2020-12-30")["followed"].tolist() == [True] * 11 + [False]


def test_nothing_is_known_after_a_spell_whose_end_nobody_knows() -> None:
    states = months([{"start": "2020-04-20"}])
    assert states.index[states["followed"]].tolist() == [1, 2, 3]


def test_months_against_days_walked_one_by_one() -> None:
    study = big_study(60, seed=9)
    states = build_states(study).set_index(["participant", "month"])
    outcomes = study.outcomes[study.outcomes["status"] == "work_unsubsidised"]
    register = study.outcomes[study.outcomes["source"] == "register"]
    checked = 0
    for person in study.participants.itertuples():
        mine = outcomes[outcomes["participant_id"] == person.participant_id]
        work = register[
            (register["participant_id"] == person.participant_id) & (register["status"] != "study_qualifying")
        ]
        days: set[pd.Timestamp] = set()
        for spell in mine.itertuples():
            overlaps = ((work["start"] <= spell.end) & (work["end"] >= spell.start)).any()
            if spell.source == "register" or not overlaps:
                days |= set(pd.date_range(spell.start, spell.end))
        label = f"{person.organisation_id}/{person.participant_id}"
        for month, row in states.loc[label].iterrows():
            whole = pd.date_range(month, month + pd.offsets.MonthEnd(0))
            followed = whole[-1] <= person.observed_until
            assert row["followed"] == followed
            expected = float(2 * len(days & set(whole)) >= len(whole)) if followed else np.nan
            assert np.array_equal([row["in_work"]], [expected], equal_nan=True)
            checked += int(expected == 1)
    assert checked > 5


def test_the_flow_in_words_adds_up() -> None:
    from bipstudy import build_panel

    flow = build_panel(big_study(200)).attrs["flow"]
    for language in ("sv", "en"):
        table = describe_flow(flow, language)
        assert table["rows"].iloc[:-1].sum() == table["rows"].iloc[-1]
        assert table["participants"].iloc[:-1].sum() == table["participants"].iloc[-1]
        assert table["step"].is_unique
