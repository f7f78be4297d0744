"""Verdicts against the definition, by enumerating where an interval may lie."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pandas as pd
import pytest

from bipstudy.analyses import FigureSpec
from bipstudy.analyses.published import published_numbers, with_numbers
from bipstudy.replication import Benchmark, agreement, agreement_parts, read_benchmarks
from bipstudy.replication.agreement import NEEDS_DANISH_ERROR
from bipstudy.replication.drawing import with_benchmarks
from bipstudy.texts import BipstudyError

KNOWN = {benchmark.id: benchmark for benchmark in read_benchmarks()}
Z = 1.959963984540054


def benchmark(**changes: Any) -> Benchmark:
    return dataclasses.replace(KNOWN["R3"], **changes)


def estimate(low: float, high: float, **changes: Any) -> pd.DataFrame:
    """An estimate of R3 whose interval is given on the ratio scale."""
    middle = math.sqrt(low * high)
    row = {
        "benchmark": "R3",
        "scale": "hazard_ratio",
        "outcome": "work",
        "horizon_months": math.nan,
        "adjustment": "background",
        "contrast": "quarters_after_first_change",
        "estimate": middle,
        "std_error": math.log(high / low) / (2 * Z),
        "conf_low": low,
        "conf_high": high,
    }
    return pd.DataFrame([row | changes])


def one(ours: pd.DataFrame, theirs: Benchmark) -> pd.Series:
    table = agreement(ours, [theirs], language="en")
    assert len(table) == 1
    return table.iloc[0]


# The ends of an interval on the log scale, below, at and above the places that matter.
PLACES = [-0.5, -0.2, -0.05, 0.05, 0.2, 0.5]


@pytest.mark.parametrize("danish", [0.7, 1.4])
@pytest.mark.parametrize(("low", "high"), [pair for pair in itertools.product(PLACES, PLACES) if pair[0] < pair[1]])
def test_a_ratio_without_danish_error_is_judged_by_the_side_of_no_effect(
    low: float, high: float, danish: float
) -> None:
    row = one(estimate(math.exp(low), math.exp(high)), benchmark(value=danish))
    below, above = high < 0, low > 0
    if not below and not above:
        expected = "inconclusive"
    else:
        expected = "consistent in direction" if below == (danish < 1) else "inconsistent in direction"
    assert row["verdict"] == expected
    assert bool(row["danish_inside"]) == (low <= math.log(danish) <= high)
    assert all(row[name] == "not computable" for name in NEEDS_DANISH_ERROR)


@pytest.mark.parametrize(("low", "high"), [pair for pair in itertools.product(PLACES, PLACES) if pair[0] < pair[1]])
@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_a_published_sign_is_judged_by_the_interval_and_a_zero_by_the_smallest_effect(
    low: float, high: float, sign: int
) -> None:
    theirs = dataclasses.replace(KNOWN["R13"], value=float(sign))
    ours = estimate(1.0, 1.1, benchmark="R13", scale="sd", outcome="progression", estimate=(low + high) / 2)
    row = one(ours.assign(conf_low=low, conf_high=high), theirs)
    smallest = 0.1
    if sign == 0:
        if -smallest < low and high < smallest:
            expected = "consistent"
        elif low >= smallest or high <= -smallest:
            expected = "inconsistent"
        else:
            expected = "inconclusive"
    elif low * sign > 0 and high * sign > 0:
        expected = "consistent in direction"
    elif low * sign < 0 and high * sign < 0:
        expected = "inconsistent in direction"
    else:
        expected = "inconclusive"
    assert row["verdict"] == expected
    assert pd.isna(row["danish_inside"])


@pytest.mark.parametrize(
    ("name", "language", "words"),
    [("R10", "sv", "negativ"), ("R12", "en", "positive"), ("R13", "en", "no difference"), ("R3", "en", "")],
)
def test_a_direction_is_said_in_words_and_never_as_a_number(name: str, language: str, words: str) -> None:
    ours = estimate(1.0, 1.1, benchmark=name)
    row = agreement(ours, [KNOWN[name]], language=language).iloc[0]
    assert row["danish_direction"] == words
    assert bool(math.isnan(row["danish"])) == bool(words)


def test_a_figure_beside_a_direction_has_no_mark_that_could_be_read_as_a_number() -> None:
    frame = pd.DataFrame({"benchmark_id": ["R12", "R3", "R5a", ""], "contrast": ["", "", "belief_bottom_two", ""]})
    drawn = with_benchmarks(FigureSpec("forest", frame, ""), read_benchmarks()).frame["benchmark"]
    alone = with_numbers(frame, published_numbers())["benchmark"]
    for marks in (drawn, alone):
        assert marks.isna().tolist() == [True, False, False, True]
        assert marks[1:3].tolist() == [0.78, 0.01]


def test_touching_no_effect_or_the_smallest_effect_decides_nothing_in_favour() -> None:
    assert one(estimate(0.5, 1.0), benchmark())["verdict"] == "inconclusive"
    ours = estimate(1.0, 1.1, benchmark="R13", scale="sd", outcome="progression", estimate=0.0)
    row = one(ours.assign(conf_low=-0.1, conf_high=0.05), KNOWN["R13"])
    assert row["verdict"] == "inconclusive"


@pytest.mark.parametrize("danish_error", [0.05, 0.3])
@pytest.mark.parametrize(("low", "high"), [pair for pair in itertools.product(PLACES, PLACES) if pair[0] < pair[1]])
def test_with_a_danish_error_the_difference_comes_first(low: float, high: float, danish_error: float) -> None:
    row = one(estimate(math.exp(low), math.exp(high)), benchmark(value=0.78, std_error=danish_error))
    middle, error = (low + high) / 2, (high - low) / (2 * Z)
    half = Z * math.sqrt(error**2 + danish_error**2)
    difference = middle - math.log(0.78)
    if not difference - half <= 0 <= difference + half:
        expected = "inconsistent"
    elif high < 0:
        expected = "consistent"
    else:
        expected = "inconsistent" if low > 0 else "inconclusive"
    assert row["verdict"] == expected
    assert row["difference"] == pytest.approx(math.exp(difference))
    assert row["difference_low"] == pytest.approx(math.exp(difference - half))
    assert row["difference_high"] == pytest.approx(math.exp(difference + half))
    # A p-value below 5 per cent and an interval that excludes zero are the same statement.
    assert (row["difference_p"] < 0.05) == (abs(difference) > half)
    assert all(row[name] != "not computable" for name in NEEDS_DANISH_ERROR)


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.0), (0.75, 0.8), (1.2, 3.0)])
def test_the_smallest_danish_error_is_where_the_two_just_agree(low: float, high: float) -> None:
    smallest = one(estimate(low, high), benchmark())["smallest_danish_error"]
    if smallest == 0:
        assert low <= 0.78 <= high
        return
    inside = one(estimate(low, high), benchmark(std_error=smallest * 1.0001))
    outside = one(estimate(low, high), benchmark(std_error=smallest * 0.9999))
    assert inside["difference_p"] > 0.05 > outside["difference_p"]


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        ({"outcome": "work_or_study"}, {}, "another outcome"),
        ({"scale": "risk_difference"}, {}, "another scale"),
        ({"horizon_months": 24}, {"horizon_months": 12}, "another horizon"),
        ({"adjustment": "background"}, {"adjusted": "raw"}, "adjusted, the Danish finding is not"),
        ({"adjustment": "raw"}, {"adjusted": "adjusted"}, "raw, the Danish finding is adjusted"),
        ({}, {"confidence": "SEED"}, "No source"),
        ({}, {"confidence": "RECALL"}, "No source"),
    ],
)
def test_what_is_known_to_differ_is_not_compared(ours: dict[str, Any], theirs: dict[str, Any], reason: str) -> None:
    row = one(estimate(0.6, 0.7, **ours), benchmark(**theirs))
    assert row["verdict"] == "not comparable"
    assert reason in row["reason"]
    for name in ("ours", "difference", "danish_inside", "smallest_danish_error"):
        assert pd.isna(row[name])


@pytest.mark.parametrize(
    ("name", "scale"), [("R9", "share"), ("R7", "share"), ("R1", "other"), ("R5b", "risk_difference")]
)
def test_shares_counts_and_context_get_a_difference_and_no_verdict(name: str, scale: str) -> None:
    theirs = KNOWN[name]
    ours = estimate(1.0, 1.1, benchmark=name, scale=scale, outcome=theirs.outcome, adjustment="raw", estimate=0.5)
    row = one(ours.assign(conf_low=0.4, conf_high=0.7), theirs)
    assert row["verdict"] == "no verdict"
    assert row["difference"] == pytest.approx(0.5 - theirs.reference)
    assert row["difference_low"] == pytest.approx(0.4 - theirs.reference)
    assert row["difference_high"] == pytest.approx(0.7 - theirs.reference)


def test_a_count_has_no_effect_to_doubt_and_a_share_differs_in_points() -> None:
    """Nought indicators is not "no association", and the smallest effect of another scale is not one of a count."""
    found = {}
    for name, value, error in (("R1", 5.0, 1.5), ("R9", 0.26, 0.01), ("R3", 0.8, 0.1)):
        theirs = dataclasses.replace(KNOWN[name], std_error=error)
        scale = {"R1": "other", "R9": "share", "R3": "hazard_ratio"}[name]
        adjustment = "raw" if theirs.adjusted == "raw" else "background"
        ours = estimate(1.0, 1.1, benchmark=name, scale=scale, outcome=theirs.outcome, adjustment=adjustment)
        half = 0.05 if name == "R3" else 0.004
        found[name] = one(
            ours.assign(std_error=math.nan, estimate=value, conf_low=value - half, conf_high=value + half), theirs
        )
    assert all(isinstance(found[name]["difference_p"], float) for name in found)
    assert [found[name]["sceptical_p"] == "not computable" for name in ("R1", "R9", "R3")] == [True, True, False]
    assert found["R1"]["equivalence_p"] == "not computable"
    # Ours is 1 point above 25 per cent, within the 2 points that matter: two one-sided tests by hand.
    spread = math.hypot(0.004 / Z, 0.01)
    assert found["R9"]["equivalence_p"] == pytest.approx(0.5 * math.erfc((0.02 - 0.01) / spread / math.sqrt(2)))


def test_what_the_tables_do_not_hold_is_not_computable_even_if_someone_sends_a_number() -> None:
    ours = estimate(1.0, 1.1, benchmark="R16_wages", outcome="wages", scale="sd")
    assert one(ours, KNOWN["R16_wages"])["verdict"] == "not computable"


def test_an_estimate_that_could_not_be_made_says_so() -> None:
    row = one(estimate(0.6, 0.7, estimate=math.nan, conf_low=math.nan, conf_high=math.nan), benchmark())
    assert (row["verdict"], row["reason"]) == ("not computed", "Could not be estimated from these data.")


def test_every_benchmark_stands_exactly_once_whatever_is_sent() -> None:
    table = agreement(estimate(0.6, 0.7), language="sv")
    assert list(table["benchmark"]) == list(KNOWN)
    assert list(table.columns[:6]) == ["benchmark", "danish", "ours", "conf_low", "conf_high", "verdict"]
    assert table.columns[-1] == "differences"
    others = table[table["benchmark"] != "R3"]
    assert set(others["verdict"]) == {"not computed", "not computable"}
    assert (
        table[["reason", "label", "reading", "differences"]].map(lambda words: bool(str(words).strip())).all(axis=None)
    )


def test_of_several_estimates_the_one_with_the_contrast_is_taken() -> None:
    both = pd.concat([estimate(0.5, 0.6, contrast="another"), estimate(0.6, 0.7)], ignore_index=True)
    assert one(both, benchmark())["conf_low"] == 0.6
    for wrong in (both.assign(contrast="another"), both.assign(contrast="quarters_after_first_change")):
        with pytest.raises(BipstudyError, match="R3"):
            agreement(wrong, [benchmark()])


def test_a_frame_without_the_columns_is_refused() -> None:
    with pytest.raises(BipstudyError, match="conf_low"):
        agreement(estimate(0.6, 0.7).drop(columns="conf_low"))


def test_findings_of_several_numbers_are_held_against_each_of_them() -> None:
    rows = [
        estimate(
            0.04, 0.07, benchmark="R6", scale="share", outcome="belief_answer", adjustment="raw", contrast=contrast
        )
        for contrast in ("belief_highest_answer", "belief_bottom_two")
    ]
    parts = agreement_parts(pd.concat(rows, ignore_index=True), language="sv")
    assert list(parts["benchmark"]) == ["R5a"] * 2 + ["R6"] * 3 + ["R15"] * 2
    own = parts[parts["benchmark"] == "R6"].set_index("contrast")
    assert own.loc["belief_bottom_two", "difference_low"] == pytest.approx(0.04 - 0.50)
    assert math.isnan(own.loc["belief_second_answer", "ours"])


def test_the_interval_gives_the_error_where_none_is_said() -> None:
    said, unsaid = (one(estimate(0.9, 1.0, **change), benchmark()) for change in ({}, {"std_error": math.nan}))
    assert said["smallest_danish_error"] == pytest.approx(unsaid["smallest_danish_error"], rel=1e-12)


def by_hand(ours: float, error: float, danish: float, other: float, smallest: float) -> dict[str, float]:
    """Every measure from its published formula, on an additive scale, with scipy."""
    from scipy import optimize, stats

    spread = math.hypot(error, other)
    found = {
        "difference_p": 2 * stats.norm.sf(abs(ours - danish) / spread),
        "prediction_low": danish - Z * spread,
        "prediction_high": danish + Z * spread,
        "prediction_apart_low": danish - math.sqrt((Z * spread) ** 2 + smallest**2),
        "prediction_apart_high": danish + math.sqrt((Z * spread) ** 2 + smallest**2),
        "equivalence_p": max(stats.norm.sf((smallest + (ours - danish) * side) / spread) for side in (1, -1)),
    }
    weights = [error**-2, other**-2]
    mean = (weights[0] * ours + weights[1] * danish) / sum(weights)
    chance = sum(weight * (value - mean) ** 2 for weight, value in zip(weights, (ours, danish), strict=True))
    between = max(0.0, (chance - 1) / (sum(weights) - sum(weight**2 for weight in weights) / sum(weights)))
    for name, added in (("fixed", 0.0), ("random", between)):
        own = [1 / (error**2 + added), 1 / (other**2 + added)]
        pooled = (own[0] * ours + own[1] * danish) / sum(own)
        half = Z / math.sqrt(sum(own))
        found |= {f"pooled_{name}": pooled, f"pooled_{name}_low": pooled - half, f"pooled_{name}_high": pooled + half}
    first, second, ratio = (danish / other) ** 2, (ours / error) ** 2, (other / error) ** 2
    root = optimize.brentq(
        lambda x: (first / x - 1) * (second / x - 1) - ratio, 1e-12, min(first, second) * (1 - 1e-12)
    )
    tail = stats.norm.sf(math.sqrt(root))
    return found | {"sceptical_p": tail if ours * danish > 0 else 1 - tail}


@pytest.mark.parametrize(("low", "high", "danish_error"), [(0.60, 0.90, 0.05), (0.95, 1.40, 0.08), (0.5, 0.55, 0.2)])
def test_what_waits_for_a_danish_error_is_as_its_formula_says(low: float, high: float, danish_error: float) -> None:
    row = one(estimate(low, high), benchmark(value=0.78, std_error=danish_error))
    ours, error = math.log(low * high) / 2, math.log(high / low) / (2 * Z)
    expected = by_hand(ours, error, math.log(0.78), danish_error, math.log(1.10))
    assert set(expected) == set(NEEDS_DANISH_ERROR)
    for name, value in expected.items():
        shown = value if name.endswith("_p") else math.exp(value)
        assert row[name] == pytest.approx(shown, rel=1e-6, abs=1e-12), name


def test_a_share_with_a_danish_error_has_no_sceptical_p_value_and_the_rest_by_its_formula() -> None:
    theirs = dataclasses.replace(KNOWN["R4"], std_error=0.012)
    ours = {"benchmark": "R4", "scale": "share", "outcome": theirs.outcome, "adjustment": "raw", "std_error": 0.01}
    ends = {"estimate": 0.383, "conf_low": 0.364, "conf_high": 0.403, "contrast": theirs.contrast}
    row = one(pd.DataFrame([{**ours, **ends, "horizon_months": math.nan}]), theirs)
    expected = by_hand(0.383, 0.01, 0.40, 0.012, 0.02)
    assert row["sceptical_p"] == "not computable"
    for name in set(NEEDS_DANISH_ERROR) - {"sceptical_p"}:
        assert row[name] == pytest.approx(expected[name], rel=1e-6), name
