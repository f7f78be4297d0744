"""What every result promises: columns, flows, words, figures, and the same numbers however the study is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses import ESTIMATE_COLUMNS, Result
from bipstudy.analyses.result import RATIOS, SCALES, worded
from bipstudy.replication import read_benchmarks
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, catalogue

NAMES = bip.analyses.list()
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "p_value"]
EXPECTED_PRIMARY = {
    "participants": 8,
    "transitions": 1,
    "indicators": 11,
    "readiness": 1,
    "belief": 1,
    "continuity": 1,
    "activities": 2,
    "progression": 1,
    "insights": 5,
    "caseworkers": 1,
    "measurement": 3,
    "training": 1,
}
ANSWERED = {
    "participants": {"D1", "D2", "D3", "D4", "D7", "D8", "D9", "D10"},
    "transitions": {"R7", "D5"},
    "indicators": {"R1"},
    "readiness": {"R14"},
    "belief": {"R2a", "R2b", "R5a", "R5b", "R6", "R8", "R16"},
    "continuity": {"R3", "R4"},
    "activities": {"R9", "R10", "R11", "R12", "R13"},
    "progression": {"R17"},
    "insights": set(),
    "caseworkers": {"R15"},
    "measurement": set(),
    "training": set(),
}


@pytest.fixture(scope="module")
def study() -> Study:
    drawn, _ = bip.simulate_study(participants=1200, seed=11, scenario="demo")
    return drawn


@pytest.fixture(scope="module")
def small() -> Study:
    drawn, _ = bip.simulate_study(participants=400, seed=11, scenario="demo")
    return drawn


@pytest.fixture(scope="module")
def results(study: Study) -> dict[str, Result]:
    return {name: getattr(bip.analyses, name)(study) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_estimates_have_the_fixed_columns_and_hold_together(results: dict[str, Result], name: str) -> None:
    found = results[name].estimates
    assert list(found.columns) == list(ESTIMATE_COLUMNS)
    assert set(found["analysis"]) == {name}
    assert set(found["scale"]) <= set(SCALES)
    assert set(found["role"]) <= {"primary", "secondary"}
    assert len(results[name].primary()) == EXPECTED_PRIMARY[name]
    assert set(found["benchmark"]) - {""} == ANSWERED[name]
    assert not found.duplicated(["term", "contrast", "scale", "outcome", "adjustment", "benchmark"]).any()
    made = found.dropna(subset=["conf_low"])
    assert ((made["conf_low"] <= made["estimate"]) & (made["estimate"] <= made["conf_high"])).all()
    assert (found["n"] > 0).all()
    counted = found.dropna(subset=["events"])
    assert (counted["events"] <= counted["n"]).all()
    bounded = made[made["scale"] == "share"]
    assert bounded["conf_low"].ge(0).all()
    assert bounded["conf_high"].le(1).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_ratio_is_a_ratio_and_its_error_is_that_of_the_logarithm(results: dict[str, Result], name: str) -> None:
    ratios = results[name].estimates
    ratios = ratios[ratios["scale"].isin(RATIOS)].dropna(subset=["std_error"])
    half = 1.959963984540054 * ratios["std_error"]
    for end, sign in (("conf_low", -1), ("conf_high", 1)):
        np.testing.assert_allclose(np.log(ratios[end]), np.log(ratios["estimate"]) + sign * half, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_meets_its_own_outcome_and_scale_unadjusted_if_it_is(
    results: dict[str, Result], name: str
) -> None:
    known = {benchmark.id: benchmark for benchmark in read_benchmarks()}
    scales = {
        "relative": set(RATIOS),
        "share": {"share", "risk"},
        "count": {"other"},
        "sign": {"sd", "auc", "risk_ratio"},
    }
    scales["percentage_points"] = {"risk_difference"}
    found = results[name].estimates
    for row in found[found["benchmark"] != ""].itertuples():
        benchmark = known[row.benchmark]
        assert benchmark.analysis == name
        assert row.outcome == benchmark.outcome
        assert row.scale in scales[benchmark.unit]
        if benchmark.adjusted == "raw":
            assert row.adjustment == "raw"
        if benchmark.horizon_months is not None:
            assert row.horizon_months == benchmark.horizon_months


@pytest.mark.parametrize("name", NAMES)
def test_flows_add_up(results: dict[str, Result], study: Study, name: str) -> None:
    flow = results[name].flow
    for _, steps in flow.groupby("flow", sort=False):
        assert steps["kind"].iloc[0] == "start"
        assert steps["kind"].iloc[-1] == "kept"
        for count in ("participants", "rows"):
            assert steps[count].iloc[:-1].sum() == steps[count].iloc[-1]
            assert (steps.loc[steps["kind"] == "left_out", count] <= 0).all()
    assert flow["participants"].iloc[0] == len(study.participants)


@pytest.mark.parametrize(
    ("name", "scale", "flow"),
    [
        ("belief", "risk_ratio", "belief"),
        ("indicators", "risk_difference", "indicators"),
        ("activities", "risk_ratio", "transition"),
    ],
)
def test_a_flow_ends_with_those_whose_outcome_the_model_knows(
    results: dict[str, Result], study: Study, name: str, scale: str, flow: str
) -> None:
    result = results[name]
    steps = result.flow[result.flow["flow"] == flow]
    models = result.primary()[result.primary()["scale"] == scale]
    panel = bip.build_panel(study)
    assert "analyses.flow.outcome_unknown" in set(steps["step_key"])
    if name == "indicators":
        # Each item has those who answered it, of all whose outcome is known.
        assert models["n"].max() < steps["rows"].iloc[-1] == int(panel.loc[panel["first_measurement"], "y_known"].sum())
    else:
        assert set(models["n"]) == {steps["rows"].iloc[-1]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["sv", "en"])
def test_everything_can_be_said_in_both_languages(results: dict[str, Result], name: str, language: str) -> None:
    result = results[name]
    sentences = [result.question(language), result.estimand(language), result.answer(language)]
    sentences += result.notes_in(language)
    assert all(sentence and "{" not in sentence for sentence in sentences)
    for table, frame in result.tables.items():
        assert f"{name}.table_{table}" in catalogue("analyses")
        words = result.table(table, language)
        assert not any(str(column).endswith("_key") for column in words.columns)
        assert len(words) == len(frame)
        keys = [str(value) for value in words.to_numpy(dtype=object).ravel()]
        assert not any(value.startswith(("analyses.", "code:", "item:")) for value in keys)
    assert worded(result.flow, language)["step"].str.len().min() > 0
    for column, part in (("contrast", "contrast"), ("outcome", "outcome"), ("adjustment", "adjustment")):
        for value in set(result.estimates[column]):
            assert f"{part}.{value}" in catalogue("analyses"), value


def test_numbers_in_sentences_follow_the_language(results: dict[str, Result]) -> None:
    risk = results["transitions"].primary()["estimate"].iloc[0]
    assert f"{100 * risk:.1f}%" in results["transitions"].answer("en")
    assert f"{100 * risk:.1f}".replace(".", ",") in results["transitions"].answer("sv")


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_drawn(results: dict[str, Result], name: str) -> None:
    for spec in results[name].figures.values():
        figure = spec.draw("sv")
        assert figure.axes
        assert spec._repr_png_().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def rewritten(study: Study) -> Study:
    """Return the study with its rows in another order, and ids of which the order is another too."""
    rng = np.random.default_rng(4)
    columns = ("organisation_id", "participant_id", "caseworker_id", "unit_id", "activity_id", "outcome_id")
    tables = {}
    for name in study.sent:
        frame = study.tables[name].iloc[rng.permutation(len(study.tables[name]))].copy()
        for column in columns:
            if column in frame:
                frame[column] = frame[column].map(lambda label: f"x{label[::-1]}", na_action="ignore")
        tables[name] = frame
    return Study.from_tables(tables)


@pytest.mark.parametrize("name", NAMES)
def test_neither_the_order_of_rows_nor_the_names_of_people_matter(
    rewritten: Study, results: dict[str, Result], name: str
) -> None:
    again = getattr(bip.analyses, name)(rewritten).estimates
    first = results[name].estimates
    pd.testing.assert_frame_equal(again.drop(columns=NUMBERS), first.drop(columns=NUMBERS))
    # Sums are taken in another order; Newton steps stop at their own tolerance.
    for column in NUMBERS:
        np.testing.assert_allclose(again[column], first[column], rtol=1e-7, atol=1e-10, err_msg=column)


def _without(study: Study, tables: tuple[str, ...] = (), columns: tuple[str, ...] = ()) -> Study:
    return Study.from_tables(
        {
            name: study.tables[name].drop(columns=[column for column in columns if column in study.tables[name]])
            for name in study.sent
            if name not in tables
        }
    )


OPTIONAL = (
    "unit_id", "birth_region", "education", "vocational_qualification", "main_support_at_entry", "months_since_work",
    "work_or_study_share_5y", "mental_ill_health", "musculoskeletal_disorder", "left_on", "left_reason",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_may_be_left_out_may_be_left_out(study: Study, results: dict[str, Result], name: str) -> None:
    precisions = tuple(f"{column}_precision" for column in OPTIONAL)
    least = _without(
        study, ("assignments", "activities", "caseworkers", "trainings", "missing_answers"), OPTIONAL + precisions
    )
    found = getattr(bip.analyses, name)(least).estimates
    assert list(found["contrast"]) == list(results[name].estimates["contrast"])
    gone = {"activities": ["R9", "R11"], "continuity": ["R4"], "participants": ["D1", "D2", "D3", "D4", "D7"]}
    for benchmark in gone.get(name, []):
        assert found.loc[found["benchmark"] == benchmark, "estimate"].isna().all(), benchmark


@pytest.mark.parametrize(
    "name",
    ["transitions", "indicators", "readiness", "belief", "continuity", "progression", "insights", "caseworkers"],
)
def test_without_outcomes_an_analysis_says_so(study: Study, name: str) -> None:
    with pytest.raises(BipstudyError):
        getattr(bip.analyses, name)(_without(study, ("outcomes",)))


def test_without_outcomes_progression_is_still_answered(study: Study) -> None:
    found = bip.analyses.activities(_without(study, ("outcomes",))).estimates
    assert found.loc[found["scale"] == "sd", "estimate"].notna().any()
    assert found.loc[found["scale"] == "risk_ratio", "estimate"].isna().all()
    assert found.loc[found["benchmark"] == "R9", "estimate"].isna().all()


def test_without_outcomes_the_participants_are_still_described(study: Study) -> None:
    found = bip.analyses.participants(_without(study, ("outcomes",))).estimates.set_index("benchmark")
    assert found.loc["D1", "estimate"] > 0
    assert np.isnan(found.loc["D4", "estimate"])


@pytest.mark.parametrize("name", NAMES)
def test_a_handful_of_people_gives_missing_estimates_and_no_traceback(name: str) -> None:
    few, _ = bip.simulate_study(participants=12, seed=2, scenario="tiny")
    result = getattr(bip.analyses, name)(few)
    assert list(result.estimates.columns) == list(ESTIMATE_COLUMNS)
    assert result.answer("sv")
    for spec in result.figures.values():
        spec.draw("en")


@pytest.mark.parametrize("outcome", ["narrow", "broad"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("participants", "measurement")])
def test_another_definition_is_named_and_meets_no_danish_transition(small: Study, name: str, outcome: str) -> None:
    found: Any = getattr(bip.analyses, name)(small, outcome=outcome).estimates
    assert not set(found["outcome"]) & {"work", "work_or_study"}
    assert not set(found["benchmark"]) & {"R1", "R2a", "R2b", "R3", "R5a", "R5b", "R7", "R8", "R16", "D5"}
    for value in set(found["outcome"]):
        assert f"outcome.{value}" in catalogue("analyses")


def test_a_primary_estimate_that_could_not_be_made_is_never_silent() -> None:
    study, _ = bip.simulate_study(300, seed=5)
    outcomes = study.outcomes.iloc[:0]
    nothing = Study(tables={**study.tables, "outcomes": outcomes}, sent=study.sent)
    for name in ("belief", "continuity", "indicators", "activities"):
        result = getattr(bip.analyses, name)(nothing)
        missing = result.primary()["estimate"].isna()
        assert missing.any(), name
        notes = result.notes_in("en")
        said = f"Estimates that could not be made from these data: primary {missing.sum()}, secondary "
        assert any(note.startswith(said) for note in notes), name
        # The model's own words, and that they are its own.
        assert any("In its own words: " in note and len(note) > 60 for note in notes), name


@pytest.mark.parametrize("name", NAMES)
def test_few_caseworkers_are_told_where_limits_are_normal(name: str) -> None:
    # Among the twenty of the example a note is due in every analysis but the one whose limits are of the likelihood.
    result = getattr(bip.analyses, name)(bip.load_example())
    made = result.primary()
    made = made[made["conf_low"].notna() & (made["scale"] != "sd")]
    told = [remark for remark in result.remarks if remark.key.endswith(("note_few", "note_few_caseworkers"))]
    assert (name != "caseworkers" and not made.empty) == bool(told)
    for remark in told:
        assert remark.values["n"] == made["clusters"].min() < 40
        assert str(made["clusters"].min()) in remark.say("sv")
        assert remark.say("sv") != remark.say("en")


def test_forty_caseworkers_are_enough(results: dict[str, Result]) -> None:
    for name, result in results.items():
        told = any(remark.key.endswith(("note_few", "note_few_caseworkers")) for remark in result.remarks)
        made = result.primary()
        made = made[made["conf_low"].notna() & (made["scale"] != "sd")]
        assert told == (name != "caseworkers" and made["clusters"].min() < 40), name
    assert not any(remark.key.endswith("note_few_caseworkers") for remark in results["continuity"].remarks)


def test_nothing_is_said_of_estimates_that_were_made() -> None:
    result = bip.analyses.transitions(bip.load_example())
    assert result.estimates["estimate"].notna().all()
    assert not any("could not be made" in note for note in result.notes_in("en"))


@pytest.mark.parametrize("language", ["sv", "en"])
def test_sentences_say_the_horizon_and_the_wash_out_that_were_asked_for(language: str) -> None:
    study = bip.load_example()
    month, days = {"sv": ("6 månader", "60 dagar"), "en": ("6 months", "60 days")}[language]
    for name in ("transitions", "indicators", "belief", "activities"):
        result = getattr(bip.analyses, name)(study, horizon_months=6)
        captions = [f"analyses.{name}.table_{table}" for table in result.tables]
        captions += [figure.caption for figure in result.figures.values()]
        said = " ".join([result.estimand(language), *(result.words(key, language) for key in captions)])
        assert month in said
        assert "12" not in said
        assert "{" not in said + result.answer(language)
    assert days in bip.analyses.continuity(study, washout_days=60).estimand(language)


def test_the_answer_about_continuity_does_not_hang_on_the_definition() -> None:
    study, _ = bip.simulate_study(1500, seed=6)
    for outcome in ("primary", "narrow"):
        result = bip.analyses.continuity(study, outcome=outcome)
        row = result.estimates.query("adjustment == 'background' and contrast == 'quarters_after_first_change'").iloc[1]
        assert f"{row['estimate']:.2f} (" in result.answer("en")


def test_changes_are_followed_only_where_periods_with_caseworkers_were_sent() -> None:
    study, _ = bip.simulate_study(600, seed=8)
    silent = study.organisations["organisation_id"].iloc[0]
    told = study.assignments[study.assignments["organisation_id"] != silent]
    partly = Study(tables={**study.tables, "assignments": told}, sent=study.sent)
    without = int((study.participants["organisation_id"] == silent).sum())
    flows = [bip.analyses.continuity(each).flow.query("flow == 'continuity'") for each in (partly, study)]
    gone = [int(flow.set_index("step_key")["participants"]["analyses.flow.changes_unknown"]) for flow in flows]
    # Almost everybody is at risk; those of the silent organisation are left out, forms or not.
    assert -without <= gone[0] < -0.8 * without
    assert gone[1] == 0
