"""Estimates on simulated studies against the truth they were drawn from: slow evidence, with the certification."""

from __future__ import annotations

import numpy as np
import pytest

import bipstudy as bip
from bipstudy.analyses import Result
from bipstudy.simulation import Truth
from bipstudy.study import Study

pytestmark = pytest.mark.certify

# Four standard errors: over the hundred comparisons of this file one in some hundred runs would fail by chance, and the
# seeds are fixed.
FOUR = 4.0


@pytest.fixture(scope="module")
def twin() -> tuple[Study, Truth]:
    return bip.simulate_study(participants=9_000, seed=31, scenario="danish_twin")


@pytest.fixture(scope="module")
def nothing() -> tuple[Study, Truth]:
    return bip.simulate_study(participants=5_000, seed=32, scenario="null")


def _run(name: str, drawn: tuple[Study, Truth]) -> Result:
    """Each analysis of each study is made once."""
    key = name, id(drawn[0])
    if key not in _DONE:
        _DONE[key] = getattr(bip.analyses, name)(drawn[0])
    return _DONE[key]


_DONE: dict[tuple[str, int], Result] = {}


def _one(result: Result, **conditions: object) -> dict[str, float]:
    rows = result.estimates
    for column, value in conditions.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0].to_dict()


def test_the_incidence_is_the_expected_risk(twin: tuple[Study, Truth]) -> None:
    truth = twin[1]
    result = _run("transitions", twin)
    for conditions, expected in (
        ({"role": "primary"}, truth.risk_any),
        ({"term": "work", "benchmark": "R7"}, truth.risk_work),
    ):
        row = _one(result, **conditions)
        assert abs(row["estimate"] - expected) < FOUR * row["std_error"]
    low, high = (_one(result, contrast=name)["estimate"] for name in ("lost_never", "lost_always"))
    assert low <= result.primary()["estimate"].iloc[0] <= high


def test_the_participants_are_as_drawn(twin: tuple[Study, Truth]) -> None:
    truth = twin[1]
    found = _run("participants", twin).estimates.set_index("benchmark")
    expected = {
        "D1": 1 - truth.parameters["people.vocational"],
        "D2": truth.parameters["people.mental_ill_health"],
        "D7": 0.14,
        "D10": truth.parameters["people.musculoskeletal"],
    }
    for benchmark, share in expected.items():
        row = found.loc[benchmark]
        assert abs(row["estimate"] - share) < FOUR * row["std_error"], benchmark


def test_shares_by_answer_are_the_expected_risks_less_the_wash_out(twin: tuple[Study, Truth]) -> None:
    truth = twin[1]
    result = _run("belief", twin)
    top = _one(result, benchmark="R5a", contrast="belief_highest_answer")
    # Follow-up begins 30 of 365 days later: between the whole risk and, with hazards that fall, four fifths of it.
    assert 0.8 * truth.risk_work_by_belief[4] - FOUR * top["std_error"] < top["estimate"]
    assert top["estimate"] < truth.risk_work_by_belief[4] + FOUR * top["std_error"]
    weights = truth.belief_shares[:2] / truth.belief_shares[:2].sum()
    low = float(weights @ truth.risk_work_by_belief[:2])
    bottom = _one(result, benchmark="R5a", contrast="belief_bottom_two")
    assert 0.8 * low - FOUR * bottom["std_error"] < bottom["estimate"] < low + FOUR * bottom["std_error"]
    names = ("highest_answer", "second_answer", "bottom_two")
    shares = [_one(result, benchmark="R6", contrast=f"belief_{name}")["estimate"] for name in names]
    expected = [truth.belief_shares[4], truth.belief_shares[3], truth.belief_shares[:2].sum()]
    # The truth counts everybody measured, the analysis those followed from the wash-out on: one in fifty fewer.
    np.testing.assert_allclose(shares, expected, atol=0.01)


def test_adjusting_for_what_the_participant_says_takes_away_part_of_the_gradient(twin: tuple[Study, Truth]) -> None:
    rows = _run("belief", twin).estimates
    rows = rows[(rows["scale"] == "risk_ratio") & (rows["outcome"] == "work")].set_index("adjustment")["estimate"]
    assert rows["raw"] > rows["background"] > rows["background_answers"]
    # Of the whole gradient, what belief itself does is far less than what even the adjusted answer shows.
    assert rows["background_answers"] > twin[1].optimism_ratio_work


def test_the_items_that_are_associated_are_found_and_no_others(twin: tuple[Study, Truth]) -> None:
    truth = twin[1]
    result = _run("indicators", twin)
    items = result.tables["items"].set_index(result.tables["items"]["item_key"].str.removeprefix("item:"))
    assert (items.loc[list(truth.associated_items), "p_holm"] < 0.001).all()
    assert (items.loc[list(truth.unassociated_items), "p_holm"] > 0.05).all()
    assert _one(result, benchmark="R1")["estimate"] == len(truth.associated_items)
    # A standard deviation of the belief says more than one of any answer of the participant.
    assert items["estimate"].idxmax() == "caseworker_belief"


def test_the_hazard_ratio_of_a_change_is_that_of_the_model(twin: tuple[Study, Truth]) -> None:
    truth = twin[1]
    result = _run("continuity", twin)
    for outcome, expected in (
        ("work", truth.change_hazard_ratio_lagged_work),
        ("work_or_study", truth.change_hazard_ratio_lagged),
    ):
        # Without background: that is the truth among those still there. Background takes a little of the frailty away.
        for rung, more in (("raw", 0.0), ("background", 0.02)):
            row = _one(result, outcome=outcome, adjustment=rung, contrast="quarters_after_first_change")
            assert abs(np.log(row["estimate"] / expected)) < FOUR * row["std_error"] + more


def test_never_against_ever_would_have_been_wrong(twin: tuple[Study, Truth]) -> None:
    """What the analysis refuses to show: the raw comparison is far from the truth even though the effect is there."""
    from bipstudy.analyses.history import history

    study, truth = twin
    changed = history(study).with_change == 1
    reached = truth.transition_cause > 0
    raw = reached[changed].mean() / reached[~changed].mean()
    row = _run("continuity", twin).primary().iloc[0]
    assert abs(np.log(raw / truth.change_hazard_ratio)) > abs(np.log(row["estimate"] / truth.change_hazard_ratio))


def test_where_nothing_acts_nothing_is_found(nothing: tuple[Study, Truth]) -> None:
    for name, null in (("indicators", 0.0), ("belief", 0.0), ("continuity", 0.0), ("activities", 0.0)):
        found = _run(name, nothing).estimates
        found = found[found["scale"].isin(["risk_difference", "risk_ratio", "hazard_ratio", "sd"])]
        found = found[~found["outcome"].str.startswith("job_search") & found["std_error"].gt(0)]
        ratio = found["scale"].isin(["risk_ratio", "hazard_ratio"])
        value = np.where(ratio, np.log(found["estimate"].where(ratio, 1.0)), found["estimate"])
        z = (value - null) / found["std_error"]
        assert np.abs(z).max() < FOUR, name


def test_under_no_association_indicators_do_not_hold(nothing: tuple[Study, Truth]) -> None:
    result = _run("indicators", nothing)
    assert _one(result, benchmark="R1")["estimate"] == 0
