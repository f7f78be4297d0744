"""Estimates by group: each group as a study of its own, the test between them, and what is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import bipstudy as bip
from bipstudy.analyses.subgroups import part
from bipstudy.study import Study
from bipstudy.texts import BipstudyError


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(1500, seed=17, scenario="demo")[0]


def test_each_group_is_what_the_analysis_gives_for_a_study_of_that_group(study: Study) -> None:
    found = bip.analyses.by_group("transitions", study, by="mental_ill_health", horizon_months=9)
    rows = found.estimates.set_index("term")
    ill = study.participants[study.participants["mental_ill_health"].fillna(False).astype(bool)]
    keys = set(zip(ill["organisation_id"], ill["participant_id"], strict=True))
    tables = {}
    for name in study.sent:
        frame = study.tables[name]
        if "participant_id" in frame:
            own = [key in keys for key in zip(frame["organisation_id"], frame["participant_id"], strict=True)]
            frame = frame[own]
        tables[name] = frame
    alone = bip.analyses.transitions(Study.from_tables(tables), horizon_months=9).primary().iloc[0]
    for column in ("estimate", "std_error", "conf_low", "n", "events", "horizon_months"):
        assert rows.loc["any;mental_ill_health=yes", column] == pytest.approx(alone[column])
    value, error = rows["estimate"].to_numpy()[:2], rows["std_error"].to_numpy()[:2]
    q = (value[0] - value[1]) ** 2 / (error**2).sum()
    assert rows.loc["any;mental_ill_health", "estimate"] == pytest.approx(q)
    assert rows.loc["any;mental_ill_health", "p_value"] == pytest.approx(chi2.sf(q, 1))


def test_the_short_way_gives_what_the_whole_analysis_gives(study: Study) -> None:
    found = bip.analyses.by_group("transitions", study, by="sex").estimates.set_index("term")
    women = part(study, (study.participants["sex"] == "woman").to_numpy(dtype=bool))
    whole = bip.analyses.transitions(women).primary().iloc[0]
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n", "events"):
        assert found.loc["any;sex=woman", column] == whole[column]


def test_the_parts_of_a_study_are_the_study(study: Study) -> None:
    women = (study.participants["sex"] == "woman").to_numpy(dtype=bool)
    pieces = part(study, women), part(study, ~women)
    for name, frame in study.tables.items():
        if "participant_id" in frame:
            assert sum(len(piece.tables[name]) for piece in pieces) == len(frame)
        else:
            assert all(len(piece.tables[name]) == len(frame) for piece in pieces)


def test_ratios_are_compared_as_logarithms(study: Study) -> None:
    rows = bip.analyses.by_group("continuity", study, by="sex").estimates
    groups = rows[rows["scale"] == "hazard_ratio"]
    value, error = np.log(groups["estimate"].to_numpy()), groups["std_error"].to_numpy()
    expected = (value[0] - value[1]) ** 2 / (error**2).sum()
    assert rows.loc[rows["scale"] == "other", "estimate"].iloc[0] == pytest.approx(expected)


def test_small_and_unknown_groups_are_left_out_and_counted(study: Study) -> None:
    ages = study.participants["age_group"]
    counts = ages[ages != "unknown"].value_counts()
    fewest = int(counts.sort_values().iloc[1])
    result = bip.analyses.by_group("transitions", study, by="age_group", fewest=fewest)
    shown = {term.split("=")[1] for term in result.estimates["term"] if "=" in term}
    assert shown == set(counts[counts >= fewest].index)
    flow = result.flow
    assert flow["participants"].iloc[:-1].sum() == flow["participants"].iloc[-1]
    assert flow["participants"].iloc[-1] == counts[counts >= fewest].sum()


def test_an_estimate_that_rests_on_too_few_rows_is_not_given_and_said_to_be(study: Study) -> None:
    """Enough participants in a group may leave too few rows: those with an answer, a caseworker and follow-up."""
    every = bip.analyses.by_group("belief", study, by="sex", fewest=10)
    used = every.estimates[every.estimates["scale"] == "risk_ratio"].set_index("term")["n"]
    limit = int(used.max())
    assert used.min() < limit < study.participants["sex"].value_counts().min()
    some = bip.analyses.by_group("belief", study, by="sex", fewest=limit)
    given = some.estimates[some.estimates["scale"] == "risk_ratio"].set_index("term")
    assert given["estimate"].notna().tolist() == (used >= limit).tolist()
    assert given["n"].tolist() == used.tolist()
    assert some.flow["participants"].iloc[-1] == every.flow["participants"].iloc[-1]
    assert len(some.remarks) == len(every.remarks) + 1
    assert str(limit) in some.remarks[-1].say("sv").replace("\u202f", "").replace("\u00a0", "")


def test_where_groups_are_alike_they_do_not_differ() -> None:
    alike, _ = bip.simulate_study(2500, seed=18, scenario="null")
    rows = bip.analyses.by_group("transitions", alike, by="sex").estimates
    assert rows.loc[rows["scale"] == "other", "p_value"].iloc[0] > 0.01


@pytest.mark.parametrize("language", ["sv", "en"])
def test_it_is_said_in_words_and_drawn(study: Study, language: str) -> None:
    result = bip.analyses.by_group("transitions", study, by="birth_region")
    for words in (result.question(language), result.estimand(language), result.answer(language)):
        assert words
        assert "{" not in words
    table = result.table("groups", language)
    assert not table.astype(str).apply(lambda column: column.str.startswith(("analyses.", "code:"))).any(axis=None)
    assert result.figures["groups"].draw(language).axes
    assert isinstance(table, pd.DataFrame)


def test_groups_stand_in_the_order_of_their_codes_as_in_the_table_of_participants(study: Study) -> None:
    for by, first, last in (("birth_region", "sweden", "outside_europe"), ("mental_ill_health", "no", "yes")):
        terms = bip.analyses.by_group("transitions", study, by=by).estimates["term"].tolist()
        assert terms[0] == f"any;{by}={first}"
        assert terms[-2:] == [f"any;{by}={last}", f"any;{by}"]


def test_an_unknown_grouping_is_refused(study: Study) -> None:
    with pytest.raises(BipstudyError, match="shoe_size"):
        bip.analyses.by_group("transitions", study, by="shoe_size")
