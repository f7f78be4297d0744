"""The five insights: exposures by definition, risks by the general estimator, and no signal where nothing acts."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import models
from bipstudy.analyses.common import ready
from bipstudy.analyses.insights_risks import COLUMNS, settings, standardised_risks
from bipstudy.panel import build_episodes
from bipstudy.study import Study

insights = sys.modules["bipstudy.analyses.insights"]
WASHOUT = 30


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(900, seed=21, scenario="demo")[0]


@pytest.fixture(scope="module")
def rows(study: Study) -> pd.DataFrame:
    episodes = build_episodes(study)
    so_far = insights._so_far(study, "primary", episodes, WASHOUT)
    return insights._with_insights(ready(episodes), so_far, WASHOUT)


def test_exposures_are_what_had_happened_by_the_wash_out_before_the_quarter(study: Study, rows: pd.DataFrame) -> None:
    """Day by day, from the tables, for rows spread over the study."""
    people = study.participants.assign(who=lambda table: table["organisation_id"] + "/" + table["participant_id"])
    people = people.set_index("who")
    spells = study.activities[study.activities["end_reason"].fillna("") != "misregistered"]
    spells = spells.assign(who=spells["organisation_id"] + "/" + spells["participant_id"])
    spells = spells[(spells["start_precision"] == "day") & spells["end"].notna()]
    dated = set(study.activities["organisation_id"] + "/" + study.activities["participant_id"]) - set(
        (study.activities["organisation_id"] + "/" + study.activities["participant_id"])[
            (study.activities["start_precision"] != "day") | study.activities["end"].isna()
            | (study.activities["end_precision"] != "day")
        ]
    )  # fmt: skip
    known = rows[rows["ins_focus"].notna() & rows["participant"].isin(dated)]
    checked = 0
    for row in known.iloc[::37].itertuples():
        begins = row.entered_on + pd.Timedelta(days=round(row.months_since_entry * 365.25 / 12))
        days = pd.date_range(row.entered_on, begins - pd.Timedelta(days=WASHOUT + 1))
        own = spells[spells["who"] == row.participant]
        covered = np.zeros((3, len(days)), dtype=int)
        for spell in own.itertuples():
            inside = (days >= spell.start) & (days <= spell.end)
            covered[0] += inside
            covered[1] += inside * int({spell.focus, spell.second_focus} & {"job", "study"} != set())
        quarter = slice(-91, None)
        assert row.ins_focus == pytest.approx((covered[1] > 0).mean())
        assert row.ins_no_gaps == pytest.approx((covered[0][quarter] > 0).mean())
        assert row.ins_parallel == float((covered[0][quarter] > 1).sum() >= 14)
        checked += covered[0].any()
    assert checked > 15


def test_a_belief_stands_until_there_is_another(rows: pd.DataFrame) -> None:
    given = rows.groupby("participant")["belief"].transform(lambda answers: answers.ffill())
    assert (rows["ins_belief_top"].isna() == given.isna()).all()
    assert (rows.loc[given >= 75, "ins_belief_top"] == 1).all()
    assert (rows.loc[given <= 25, ["ins_belief_top", "ins_belief_middle"]] == 0).all(axis=None)


def test_the_risks_are_those_of_the_general_estimator(rows: pd.DataFrame) -> None:
    frame = rows.dropna(subset=["ins_focus", "ins_no_gaps", "ins_belief_top", "caseworker_gap_days"])
    frame, adjustment = insights._prepared(frame.reset_index(drop=True))
    adjustment = adjustment[:6]
    found = standardised_risks(insights._fit(frame, "event", adjustment, 4), frame, 4)
    period = np.minimum(frame["period"], 4 + max(0, _last(frame) - 4))
    terms = [*COLUMNS, *adjustment, "C(period)"]
    fit = models.discrete_hazard(frame.assign(period=period), f"event ~ {' + '.join(terms)}", cluster=insights.CLUSTERS)
    first = frame.drop_duplicates("participant")
    general = models.standardised_risk(fit, first, None, settings(), horizon=4)
    count = len(found.labels)
    np.testing.assert_allclose(found.risks, general.estimates[:count], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), general.std_errors[:count], rtol=1e-5)
    number = found.contrast("belief_present", "belief_absent", "risk_ratio", {"n": 1})
    one, other = found.labels.index("belief_present"), found.labels.index("belief_absent")
    assert number.estimate == pytest.approx(found.risks[one] / found.risks[other])


def _last(frame: pd.DataFrame) -> int:
    """The last quarter with enough events in it and later."""
    late = frame.groupby("period")["event"].sum().sort_index()[::-1].cumsum()
    return int(late[late >= insights.ENOUGH_EVENTS].index.max())


def test_where_nothing_acts_all_five_are_one_and_it_is_said() -> None:
    study, _ = bip.simulate_study(2500, seed=8, scenario="null")
    result = bip.analyses.insights(study)
    main = result.primary()
    # Four standard errors: the seed is fixed.
    assert (np.abs(np.log(main["estimate"]) / main["std_error"]) < 4).all()
    assert any("no more about the transition than chance" in note for note in result.notes_in("en"))


def test_the_belief_comes_first_where_it_acts_and_the_difference_is_clear() -> None:
    study, _ = bip.simulate_study(2500, seed=9, scenario="danish_twin")
    found = bip.analyses.insights(study).estimates
    shares = found[found["outcome"].eq("fit") & found["scale"].eq("share")].set_index("term")["estimate"]
    assert shares.sum() == pytest.approx(1.0)
    assert shares.idxmax() == "belief"
    first = found[found["contrast"] == "insight_first_less_second"].iloc[0]
    assert first["term"].startswith("belief:")
    assert first["estimate"] == pytest.approx(shares.nlargest(2).iloc[0] - shares.nlargest(2).iloc[1])
    assert first["conf_low"] > 0
