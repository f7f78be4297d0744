"""Groups, estimates, curves, flows and facts: what a reader could work out from what leaves is nothing small."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bipstudy.disclosure import Output, Rules, check, check_all
from bipstudy.texts import BipstudyError

GROUPS = {"kind": "groups", "labels": ["group"], "counts": ["n"], "parts": {"events": "n"}}


def groups(n, events):
    return pd.DataFrame({"group": [f"g{place}" for place in range(len(n))], "n": n, "events": events})


# Thresholds and who decides -----------------------------------------------------------------------


def test_less_than_ten_only_by_decision_of_the_owner_and_never_less_than_three():
    frame = groups([50, 60], [7, 30])
    with pytest.raises(BipstudyError, match="no_owner"):
        check(frame, **GROUPS, threshold=5)
    with pytest.raises(BipstudyError, match="low_threshold"):
        check(frame, **GROUPS, threshold=2, owner="the owner")
    assert check(frame, **GROUPS).status == "fail"
    assert check(frame, **GROUPS, threshold=5, owner="the owner, 2026-01-01").status == "pass"


def test_rules_out_of_bounds_are_refused():
    for wrong in ({"base": 1}, {"degrees": 0}, {"caseworkers": 1}, {"dominance": 1.0}):
        with pytest.raises(BipstudyError, match="bad_rules"):
            Rules(**wrong)


# Groups -------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), min_size=2, max_size=7))
def test_what_leaves_of_groups_rests_on_enough_and_so_does_what_is_hidden(pairs):
    frame = groups([max(pair) for pair in pairs], [min(pair) for pair in pairs])
    checked = check(frame, **GROUPS)
    hidden = np.ones(len(frame), dtype=bool) if checked.frame is None else checked.frame["n"].isna().to_numpy()
    shown = frame[~hidden]
    for count in (shown["n"], shown["events"], shown["n"] - shown["events"]):
        assert (count >= 10).all()
    if checked.frame is not None and hidden.any():
        # Whoever knows the totals knows the sums of the hidden rows: they hold a small group and a large one.
        gone = frame[hidden]
        assert len(gone) >= 2
        assert ((gone["n"] - gone["events"]).max() >= 10) & (gone["events"].max() >= 10)
        assert checked.frame["events"].isna().equals(checked.frame["n"].isna())


@pytest.mark.parametrize(
    ("n", "events"),
    [(50, 50), (50, 0), (50, 45), (50, 4), (4, 2)],
    ids=["everybody", "nobody", "all but a few", "a few", "a small group"],
)
def test_a_group_of_which_all_nobody_or_few_have_it_is_hidden_beside_another(n, events):
    checked = check(groups([n, 80, 90, 100], [events, 30, 40, 50]), **GROUPS)
    assert checked.frame["n"].isna().tolist() == [True, True, False, False]


def test_a_share_is_hidden_like_the_count_that_it_is():
    frame = pd.DataFrame({"group": ["a", "b", "c"], "n": [200, 200, 200], "share": [0.03, 0.40, 0.50]})
    checked = check(frame, "groups", labels=["group"], counts=["n"], shares={"share": "n"})
    assert checked.frame["share"].isna().tolist() == [True, True, False]
    frame["share"] = [0.30, 0.40, 0.50]
    assert check(frame, "groups", labels=["group"], counts=["n"], shares={"share": "n"}).status == "pass"


@settings(max_examples=40)
@given(st.integers(20, 600))
def test_a_share_that_leaves_fits_several_counts(n):
    counts = np.arange(n + 1)
    frame = pd.DataFrame({"group": counts.astype(str), "n": n, "share": counts / n, "share_low": counts / n})
    options = {"labels": ["group"], "counts": ["n"], "shares": {"share": "n", "share_low": "n"}, "divides": False}
    out = check(frame, "groups", **options)
    leaves = counts[10 : n - 9]
    if out.frame is None:
        assert len(leaves) == 0
        return
    assert out.frame["share"].notna().tolist() == [10 <= count <= n - 10 for count in counts]
    assert (out.frame["share_low"].dropna() <= leaves / n + 1e-6).all()
    # Nobody can be counted in or out: each share but the outermost is that of at least four numbers of people.
    fits = out.frame["share"].dropna().value_counts().sort_index().to_numpy()
    assert (fits[1:-1] >= 4).all()


def test_several_caseworkers_stand_behind_a_cell_and_no_organisation_is_nearly_all_of_it():
    frame = pd.DataFrame(
        {"unit": list("abcd"), "n": [60, 70, 80, 90], "staff": [1, 3, 4, 5], "most": [0.5, 0.95, 0.5, 0.5]}
    )
    options = {"kind": "groups", "labels": ["unit"], "counts": ["n"], "caseworkers": ["staff"]}
    assert check(frame, **options).frame["n"].isna().tolist() == [True, True, False, False]
    assert check(frame.assign(staff=[3, np.nan, 4, 5]), **options).reasons == {"complement": 1, "unknown": 1}
    by_most = check(frame.assign(staff=5), **options, largest=["most"])
    assert by_most.reasons == {"complement": 1, "dominance": 1}


def test_smallest_and_largest_values_never_leave_and_a_median_needs_enough_on_each_side():
    frame = pd.DataFrame({"group": ["a", "b"], "n": [20, 19], "median": [47.25, 51.5], "min": [1, 2], "max": [99, 100]})
    options = {"labels": ["group"], "counts": ["n"], "extremes": ["min", "max"], "quantiles": {"median": 0.5}}
    checked = check(frame, "groups", **options)
    assert list(checked.frame.columns) == ["group", "n", "median"]
    assert checked.left_out == ("min", "max")
    assert checked.frame["median"].iloc[0] == 47.0
    assert np.isnan(checked.frame["median"].iloc[1])
    assert checked.frame["n"].tolist() == [20, 20]
    # Above an upper quartile is a fourth of the group.
    upper = {"labels": ["group"], "counts": ["n"], "quantiles": {"median": 0.75}, "drop": ["min", "max"]}
    quarter = check(frame.assign(n=[39, 40]), "groups", **upper)
    assert quarter.frame["median"].isna().tolist() == [True, False]


def test_a_column_that_nobody_describes_does_not_leave_nor_one_that_is_described_as_what_it_is_not():
    frame = groups([50, 60], [20, 30]).assign(name=["x", "y"], note=[0.123456789, 0.5])
    checked = check(frame, **GROUPS, constants=["note"])
    assert list(checked.frame.columns) == ["group", "n", "events"]
    assert set(checked.left_out) == {"name", "note"}


# Estimates ----------------------------------------------------------------------------------------

MODEL = {"kind": "estimates", "labels": ["term"], "counts": ["n"], "parts": {"events": "n"}, "numbers": ["estimate"]}


@pytest.mark.parametrize(
    ("n", "events", "left", "leaves"),
    [(200, 40, 150, True), (200, 9, 150, False), (200, 195, 150, False), (200, 40, 9, False), (200, 40, 10, True),
     (9, 5, 150, False), (200, 40, np.nan, False)],
)  # fmt: skip
def test_an_estimate_needs_people_events_and_degrees_of_freedom(n, events, left, leaves):
    frame = pd.DataFrame({"term": ["a", "b"], "n": [500, n], "events": [100, events], "left": [400, left]})
    checked = check(frame.assign(estimate=[1.23456, 0.98765]), **MODEL, degrees="left")
    assert checked.frame["estimate"].notna().tolist() == [True, leaves]
    assert checked.frame["estimate"].iloc[0] == 1.23


def test_an_estimate_that_is_a_share_is_hidden_like_a_share():
    frame = pd.DataFrame({"term": ["a", "b"], "n": [500, 500], "scale": ["share", "sd"], "estimate": [0.01, 0.01]})
    options = {"labels": ["term"], "counts": ["n"], "numbers": ["estimate"], "parameters": 5}
    checked = check(frame, "estimates", **options, share_by="scale", estimate="estimate")
    assert checked.frame["estimate"].notna().tolist() == [False, True]


# Curves -------------------------------------------------------------------------------------------

CURVE = {"kind": "curve", "labels": ["cause"], "time": "t", "at_risk": "y", "estimate": "f", "events": "d"}


@st.composite
def followed(draw):
    """Return how many have each of two events and are censored, month by month, of some people."""
    steps = draw(st.lists(st.tuples(*(st.integers(0, 14) for _ in range(3))), min_size=3, max_size=12))
    return draw(st.integers(60, 300)), steps


@settings(max_examples=30)
@given(followed())
def test_between_two_points_of_a_curve_lie_as_many_events_as_the_threshold(course):
    people, steps = course
    rows, at_risk, surviving, reached = [], people, 1.0, [0.0, 0.0]
    for month, (first, second, censored) in enumerate(steps, 1):
        if at_risk <= first + second:
            break
        for cause, count in enumerate((first, second)):
            reached[cause] += surviving * count / at_risk
        had = {"work": (reached[0], first), "study": (reached[1], second), "any": (sum(reached), first + second)}
        rows += [(month, name, at_risk, *both) for name, both in had.items()]
        surviving *= 1 - (first + second) / at_risk
        at_risk -= first + second + censored
        if at_risk <= 0:
            break
    frame = pd.DataFrame(rows, columns=["t", "cause", "y", "f", "d"])
    for given_events in (True, False):
        # `at_risk` of the end of a step is that of the next month where no events are given.
        table = frame if given_events else frame.drop(columns="d")
        options = CURVE if given_events else {name: what for name, what in CURVE.items() if name != "events"}
        checked = check(table, **options)
        if checked.frame is None:
            continue
        kept = checked.frame["f"].notna().to_numpy()
        times = {cause: set(frame["t"][kept & (frame["cause"] == cause)]) for cause in ("work", "study", "any")}
        # Work and study make up any: none is shown at a time at which another is not, or any alone.
        assert times["work"] == times["study"]
        assert times["any"] == times["work"] or not times["work"]
        mine = ["work", "study", "any"] if times["work"] else ["any"]
        before = 0
        for month in sorted(times["any"]):
            between = frame[(frame["t"] > before) & (frame["t"] <= month)]
            assert (between.groupby("cause")["d"].sum()[mine] >= 10).all()
            assert (frame.loc[frame["t"] == month, "y"] >= 10).all()
            before = month


def test_a_survival_curve_starts_at_one():
    frame = pd.DataFrame({"t": [1, 2, 3], "y": [200, 150, 100], "f": [0.94, 0.80, 0.79]})
    checked = check(frame, "curve", time="t", at_risk="y", estimate="f")
    assert checked.frame["f"].notna().tolist() == [True, True, False]
    begun = pd.concat([pd.DataFrame({"t": [0], "y": [212], "f": [1.0]}), frame])
    assert check(begun, "curve", time="t", at_risk="y", estimate="f").frame["y"].tolist()[:2] == [210, 200]


def test_who_comes_in_late_does_not_make_a_step_larger():
    # Forty at risk when the share rose to a tenth: four people, whatever the number at risk at the next point.
    frame = pd.DataFrame({"t": [1, 2, 3], "y": [40, 40, 400], "f": [0.0, 0.05, 0.1]})
    checked = check(frame, "curve", time="t", at_risk="y", estimate="f")
    assert checked.status == "fail"


def test_a_sum_is_shown_alone_where_its_parts_are_too_small():
    rows = [
        (1, "work", 0.02),
        (1, "study", 0.03),
        (1, "any", 0.05),
        (2, "work", 0.04),
        (2, "study", 0.06),
        (2, "any", 0.1),
    ]
    frame = pd.DataFrame(rows, columns=["t", "cause", "f"]).assign(y=300)
    options = {"kind": "curve", "labels": ["cause"], "time": "t", "at_risk": "y", "estimate": "f"}
    # Six and nine people, fifteen together: a point of any beside one of work would give study away.
    assert check(frame, **options).frame["f"].notna().tolist() == [False, False, False, True, True, True]
    small = frame.assign(f=[0.01, 0.02, 0.03, 0.02, 0.04, 0.06], y=200)
    assert check(small, **options).frame["f"].notna().tolist() == [False, False, False, False, False, True]


def test_curves_that_do_not_add_up_are_thinned_each_by_itself():
    frame = pd.DataFrame({"t": [1, 2] * 2, "cause": ["a", "a", "b", "b"], "y": [400] * 4, "f": [0.1, 0.2, 0.001, 0.3]})
    checked = check(frame, "curve", labels=["cause"], time="t", at_risk="y", estimate="f")
    assert checked.frame["f"].notna().tolist() == [True, True, False, True]


# Flows and facts ----------------------------------------------------------------------------------


def test_a_small_step_of_a_flow_is_hidden_beside_a_larger_one_and_nobody_left_out_may_be_said():
    frame = pd.DataFrame({
        "flow": "a",
        "step": ["all", "first", "second", "third", "fourth", "rest"],
        "kind": ["start", *["left_out"] * 4, "kept"],
        "people": [500, -3, -30, 0, -60, 407],
    })  # fmt: skip
    checked = check(frame, "flow", labels=["flow", "step"], step="kind", counts=["people"])
    assert checked.frame["people"].tolist() == [500, pd.NA, pd.NA, 0, -60, 405]


def test_a_fact_that_may_be_a_count_is_treated_as_one():
    frame = pd.DataFrame({"what": list("abcd"), "value": [412.0, 7.0, 2.3456, 0.0]})
    checked = check(frame, "facts", labels=["what"], numbers=["value"])
    np.testing.assert_array_equal(checked.frame["value"], [410.0, np.nan, 2.35, np.nan])


# Outputs beside each other ------------------------------------------------------------------------


def test_tables_that_differ_by_a_few_people_are_not_both_shown():
    first = pd.DataFrame({"unit": list("abc"), "n": [100, 200, 300]})
    later = pd.DataFrame({"unit": list("abc"), "n": [100, 189, 297]})
    described = Output("frequency", labels=("unit",), counts=("n",))
    found = check_all({"first": (first, described), "later": (later, described)})
    hidden = found["later"].frame["n"].isna().to_numpy()
    # Three fewer in c are told apart, eleven fewer in b are not. Beside c another is hidden, and where that stands in
    # the first table too, with the same number, it is hidden there.
    assert hidden[2]
    assert hidden.sum() == 2
    shown = set(first["n"][found["first"].frame["n"].notna().to_numpy()])
    assert not shown & set(later["n"][hidden])


def test_what_has_changed_by_a_few_people_since_results_left_last_is_hidden():
    units = pd.DataFrame({"unit": list("abcd"), "n": [100, 200, 300, 400]})
    described = Output("groups", labels=("unit",), counts=("n",))
    # One fewer in a; b has changed by as many as the threshold; d was not there.
    before = pd.DataFrame({"unit": ["c", "b", "a"], "n": [300, 190, 101]})
    found = check_all({"units": (units, described)}, earlier={"units": before})["units"]
    assert found.reasons["linked"] == 1
    assert found.frame["n"].isna().tolist() == [True, True, False, False]
    assert check_all({"units": (units, described)}, earlier={"units": units})["units"].status == "pass"


def test_a_number_that_is_hidden_in_one_output_is_hidden_in_each():
    table = groups([30, 290, 900], [3, 71, 400]).assign(share=[3 / 30, 0.247089380917, 400 / 900])
    described = Output("groups", labels=("group",), counts=("n",), parts={"events": "n"}, shares={"share": "n"})
    single = pd.DataFrame({"term": ["top", "other"], "n": [290, 4000], "estimate": [0.247089380917, 0.123456789]})
    model = Output("estimates", labels=("term",), counts=("n",), numbers=("estimate",))
    copy = pd.DataFrame({"finding": ["R5", "R6"], "ours": [0.247089380917, 0.123456789], "verdict": ["yes", "no"]})
    copied = Output("copy", of="single", labels=("finding",), copied=("ours",), words=("verdict",))
    found = check_all({"copy": (copy, copied), "table": (table, described), "single": (single, model)})
    assert found["table"].frame["share"].isna().tolist() == [True, True, False]
    assert found["single"].frame["estimate"].isna().tolist() == [True, False]
    assert found["copy"].frame["ours"].tolist()[1] == 0.123
    assert found["copy"].frame["ours"].isna().tolist() == [True, False]
    # A verdict on a number that is hidden says something of it.
    assert found["copy"].frame["verdict"].tolist() == [None, "no"]


def test_a_copy_of_what_stands_nowhere_stays():
    copy = pd.DataFrame({"finding": ["R5"], "ours": [0.5432109]})
    single = pd.DataFrame({"term": ["top"], "n": [290], "estimate": [0.123456789]})
    outputs = {
        "single": (single, Output("estimates", labels=("term",), counts=("n",), numbers=("estimate",))),
        "copy": (copy, Output("copy", of="single", labels=("finding",), copied=("ours",))),
    }
    assert check_all(outputs)["copy"].status == "fail"
    with pytest.raises(BipstudyError, match="copy_alone"):
        check(copy, "copy", of="single", labels=["finding"], copied=["ours"])


# Descriptions that are wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        ({"kind": "table"}, "unknown_kind"),
        ({"kind": "groups", "labels": ["group"]}, "missing_role"),
        ({"kind": "groups", "labels": ["group"], "counts": ["antal"]}, "no_column"),
        # Nobody says how many parameters the model has.
        ({"kind": "estimates", "labels": ["group"], "counts": ["n"]}, "missing_role"),
        ({"kind": "groups", "labels": ["group"], "counts": ["n"], "shares": {"events": "N"}}, "no_column"),
        ({"kind": "groups", "labels": ["group"], "count": ["n"]}, "unknown_role"),
        ({"kind": "groups", "labels": ["group"], "counts": 4}, "bad_role"),
        ({"kind": "groups", "labels": ["group"], "counts": ["n"], "quantiles": {"n": 2}}, "bad_role"),
        ({"kind": "text"}, "no_table"),
        ({"kind": "ranking"}, "no_table"),
    ],
)
def test_a_wrong_description_is_refused_with_a_cure(roles, code):
    with pytest.raises(BipstudyError) as error:
        check(groups([50], [20]), **roles)
    assert error.value.code == f"disclosure.{code}"
    assert all(error.value.message(language) for language in ("sv", "en"))
