"""Kaplan-Meier and Aalen-Johansen against R, against definitions, and under changes that must not matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_reference import data, reference

from bipstudy import models
from bipstudy.models.state_curves import row_influence, state_curves

TIMES = [1, 12, 60, 120, 240, 360]
# Closed formulas on both sides: only the order of summation differs.
EXACT = {"rtol": 1e-9, "atol": 1e-12}
# Variances are sums of squares of differences.
ERROR = {"rtol": 1e-8, "atol": 1e-12}


def incidence(frame=None, **options):
    return models.cumulative_incidence(
        data("mgus2") if frame is None else frame, duration="time", cause="cause", **options
    )


def survival(frame=None, **options):
    return models.kaplan_meier(data("mgus2") if frame is None else frame, duration="futime", event="death", **options)


def compare(table, model, *, estimate, number=None):
    by = ["group", "time"] + (["cause"] if estimate == "pstate" else [])
    labels = table[by].astype({"time": int}).astype(str).agg("@".join, axis=1)
    table = table.set_index(labels)
    for column, quantity in [
        ("estimate", estimate),
        ("std_error", "std.err"),
        ("conf_low", "lower"),
        ("conf_high", "upper"),
    ]:
        expected = reference("incidence", model, quantity).reindex(labels)
        tolerance = EXACT if column == "estimate" else ERROR
        np.testing.assert_allclose(table[column], expected, **tolerance, err_msg=f"{model} {column}")
    if number:
        np.testing.assert_allclose(table["at_risk"], reference("incidence", model, "n.risk").reindex(labels))


def test_kaplan_meier_with_greenwood_and_log_log_intervals_is_that_of_r():
    compare(survival(group="sex").at(TIMES), "km", estimate="surv", number=True)


def test_weighted_kaplan_meier_is_that_of_r():
    compare(survival(weights="w").at(TIMES), "km_weights", estimate="surv")


def test_kaplan_meier_with_delayed_entry_is_that_of_r():
    curves = models.kaplan_meier(data("mgus2"), duration="time", event="death", start="entry")
    compare(curves.at(TIMES), "km_entry", estimate="surv", number=True)


def test_clustered_kaplan_meier_is_that_of_r():
    compare(survival(cluster="block").at(TIMES), "km_cluster", estimate="surv", number=True)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("aj", {"group": "sex"}),
        ("aj_weights", {"weights": "w"}),
        ("aj_entry", {"weights": "w", "start": "entry"}),
    ],
)
def test_aalen_johansen_is_that_of_r(model, options):
    compare(incidence(**options).at(TIMES), model, estimate="pstate")


def test_clustered_aalen_johansen_sums_the_influences_of_r():
    table = incidence(cluster="block").at(TIMES)
    labels = "all@" + table["time"].astype(int).astype(str) + "@" + table["cause"].astype(str)
    np.testing.assert_allclose(table["std_error"], reference("incidence", "aj_cluster", "std.err")[labels], **ERROR)


def test_lifelines_agrees_without_ties():
    from lifelines import AalenJohansenFitter

    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"time": rng.exponential(size=200), "cause": rng.integers(0, 3, 200)})
    other = AalenJohansenFitter().fit(frame["time"], frame["cause"], event_of_interest=1)
    table = incidence(frame).at(other.cumulative_density_.index[1:])
    ours = table[table["cause"] == 1]
    np.testing.assert_allclose(ours["estimate"], other.cumulative_density_.iloc[1:, 0], rtol=1e-10)
    # Without ties its variance (Aalen's, binomial increments) is the jackknife.
    # Its last value is missing, because nobody is left.
    np.testing.assert_allclose(ours["std_error"][:-1] ** 2, other.variance_.iloc[1:-1], rtol=1e-8, atol=1e-14)


def test_lifelines_agrees_on_kaplan_meier():
    from lifelines import KaplanMeierFitter

    frame = data("mgus2")
    other = KaplanMeierFitter().fit(frame["futime"], frame["death"])
    ours = survival().at([12, 60, 120])
    np.testing.assert_allclose(ours["estimate"], other.survival_function_at_times([12, 60, 120]), rtol=1e-12)


def brute(start, stop, cause, weight, causes):
    """Estimates and influences by stepping every row through every event time."""
    n = len(stop)
    alive, states = 1.0, np.zeros(causes)
    on_alive, on_states = np.zeros(n), np.zeros((n, causes))
    out = []
    for t in np.unique(stop[cause > 0]):
        inside = ((start < t) & (stop >= t)).astype(float)
        own = np.column_stack([(stop == t) & (cause == h + 1) for h in range(causes)]).astype(float)
        total = (weight * inside).sum()
        hazard = weight @ own / total
        on_hazard = (own - inside[:, None] * hazard) / total
        on_states = on_states + on_alive[:, None] * hazard + alive * on_hazard
        on_alive = on_alive * (1 - hazard.sum()) - alive * on_hazard.sum(axis=1)
        states = states + alive * hazard
        alive *= 1 - hazard.sum()
        out.append((t, alive, states, weight * on_alive, weight[:, None] * on_states))
    return out


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_any_data_agree_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    n, causes = int(rng.integers(2, 30)), int(rng.integers(1, 4))
    start = rng.integers(0, 4, n).astype(float) * rng.integers(0, 2)
    stop = start + rng.integers(1, 6, n)
    cause, weight = rng.integers(0, causes + 1, n), rng.uniform(0.2, 3, n)
    curves = state_curves(start=start, stop=stop, cause=cause, causes=causes, weight=weight)
    for slot, (t, alive, states, on_alive, on_states) in enumerate(brute(start, stop, cause, weight, causes)):
        assert curves.sets.time[slot] == t
        assert curves.survival[slot] == pytest.approx(alive, abs=1e-12)
        np.testing.assert_allclose(curves.incidence[slot], states, atol=1e-12)
        influence = row_influence(curves, np.full(n, slot))
        np.testing.assert_allclose(influence[0], on_alive, atol=1e-11)
        np.testing.assert_allclose(influence[1], on_states, atol=1e-11)
        assert curves.survival_variance[slot] == pytest.approx((on_alive**2).sum(), abs=1e-11)
        np.testing.assert_allclose(curves.incidence_variance[slot], (on_states**2).sum(axis=0), atol=1e-11)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_probabilities_add_up_to_one_and_never_fall(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 60))
    frame = pd.DataFrame({"time": rng.integers(1, 9, n), "cause": rng.integers(0, 4, n), "death": 0})
    frame["death"] = (frame["cause"] > 0).astype(int)
    states = incidence(frame).curve
    alive = models.kaplan_meier(frame, duration="time", event="death").curve
    if states.empty:
        return
    total = states.groupby("time")["estimate"].sum()
    np.testing.assert_allclose(total.to_numpy() + alive["estimate"].to_numpy(), 1, atol=1e-12)
    assert (states.groupby("cause")["estimate"].diff().dropna() >= -1e-15).all()


def test_one_cause_is_one_minus_kaplan_meier():
    frame = data("mgus2").assign(cause=lambda d: d["death"], time=lambda d: d["futime"])
    states, alive = incidence(frame).at(TIMES), survival(frame).at(TIMES)
    np.testing.assert_allclose(states["estimate"], 1 - alive["estimate"], rtol=1e-12)
    # Without weights and delayed entry the jackknife is Greenwood.
    np.testing.assert_allclose(states["std_error"], alive["std_error"], rtol=1e-9)


def test_row_order_does_not_matter():
    one, two = (
        incidence(weights="w").at(TIMES),
        incidence(data("mgus2").sample(frac=1, random_state=1), weights="w").at(TIMES),
    )
    pd.testing.assert_frame_equal(one, two, rtol=1e-11)


def test_labels_of_causes_and_groups_only_label():
    frame = data("mgus2").assign(cause=lambda d: d["cause"].map({0: "censored", 1: "pcm", 2: "zdeath"}))
    one, two = incidence(group="sex").at(TIMES), incidence(frame, group="sex").at(TIMES)
    pd.testing.assert_frame_equal(one.drop(columns="cause"), two.drop(columns="cause"))
    assert sorted(two["cause"].unique()) == ["pcm", "zdeath"]


def test_group_by_group_is_the_same_as_together():
    frame = data("mgus2")
    together = incidence(group="sex", weights="w", cluster="block").at(TIMES)
    for sex in ("F", "M"):
        alone = incidence(frame[frame["sex"] == sex], weights="w", cluster="block").at(TIMES)
        mine = together[together["group"] == sex].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine.drop(columns="group"), alone.drop(columns="group"), rtol=1e-12)


@pytest.mark.parametrize("at", [18, 60, 61.5])
def test_cutting_an_episode_changes_nothing(at):
    frame = data("mgus2").assign(entry=-1.0)
    inside = frame["time"] > at
    cut = pd.concat(
        [
            frame[~inside],
            frame[inside].assign(time=float(at), cause=0),
            frame[inside].assign(entry=float(at)),
        ]
    )
    one = incidence(frame, start="entry", weights="w").at(TIMES)
    two = incidence(cut, start="entry", weights="w", cluster="id").at(TIMES)
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


def test_a_shared_weight_drops_out():
    one, two = incidence().at(TIMES), incidence(data("mgus2").assign(w=7.5), weights="w").at(TIMES)
    pd.testing.assert_frame_equal(one, two, rtol=1e-10)


def test_weight_two_gives_the_estimate_of_two_rows():
    frame = data("mgus2").assign(count=lambda d: 1 + d["id"] % 2)
    rows = frame.loc[frame.index.repeat(frame["count"])]
    one, two = incidence(frame, weights="count"), incidence(rows, cluster="id")
    # With the copies in one cluster also the errors agree.
    pd.testing.assert_frame_equal(
        one.at(TIMES).drop(columns="at_risk"), two.at(TIMES).drop(columns="at_risk"), rtol=1e-9
    )


def test_no_event_gives_flat_curves():
    frame = data("mgus2").assign(death=0, cause=0)
    table = survival(frame).at([0, 60])
    assert table["estimate"].tolist() == [1.0, 1.0]
    assert table["conf_low"].isna().all()
    assert incidence(frame).at(60).empty
    named = incidence(frame, causes=["work", "study"]).at(60)
    assert named["estimate"].tolist() == [0.0, 0.0]
    assert named["cause"].tolist() == ["work", "study"]


def test_after_the_end_of_follow_up_nothing_is_said():
    frame = pd.DataFrame({"time": [1, 2, 3], "cause": [1, 0, 0], "group": ["a", "a", "b"]})
    table = incidence(frame, group="group").at([2, 2.5])
    mine = table[table["group"] == "a"]
    assert mine["estimate"].iloc[0] == pytest.approx(0.5)
    assert np.isnan(mine["estimate"].iloc[1])


def test_when_all_have_had_an_event_the_curve_stays():
    frame = pd.DataFrame({"time": [1, 2, 2], "cause": [1, 2, 1]})
    table = incidence(frame).at(9).set_index("cause")
    assert table["estimate"].tolist() == pytest.approx([2 / 3, 1 / 3])
    # The shares of a multinomial sample of three.
    assert table["std_error"].tolist() == pytest.approx([np.sqrt(2 / 9 / 3)] * 2)


def test_numbers_at_risk_follow_the_half_open_interval():
    frame = pd.DataFrame({"entry": [0, 0, 2], "time": [2, 4, 4], "cause": [0, 1, 0]})
    table = incidence(frame, start="entry").at([0, 2, 2.5, 4, 5])
    assert table["at_risk"].tolist() == [2, 2, 2, 2, 0]


def test_the_curve_runs_from_the_origin_to_the_last_follow_up():
    curve = survival(group="sex").curve
    spans = curve.groupby("group")["time"].agg(["min", "max"])
    assert spans["min"].tolist() == [0, 0]
    assert spans["max"].tolist() == data("mgus2").groupby("sex")["futime"].max().tolist()
    assert curve["estimate"].is_monotonic_decreasing is False
    assert (curve.groupby("group")["estimate"].diff().dropna() <= 0).all()


def test_missing_causes_are_refused_and_missing_times_dropped():
    frame = data("mgus2").astype({"cause": float})
    frame.loc[3, "cause"] = np.nan
    with pytest.raises(models.ModelError, match="1 rows have no value in 'cause'"):
        incidence(frame)
    frame = data("mgus2").astype({"time": float})
    frame.loc[[3, 9], "time"] = np.nan
    curves = incidence(frame)
    assert curves.glance()["rows_dropped"][0] == 2
    assert "2 rows" in curves.notes[0]


def test_wrong_calls_say_what_is_wrong():
    frame = data("mgus2")
    with pytest.raises(models.ModelError, match="no column 'nowhere'"):
        models.kaplan_meier(frame, duration="nowhere", event="death")
    with pytest.raises(models.ModelError, match="at or before their start"):
        incidence(frame.assign(entry=frame["time"]), start="entry")
    with pytest.raises(models.ModelError, match="not among"):
        incidence(causes=[1])
    with pytest.raises(models.ModelError, match="1/0"):
        models.kaplan_meier(frame, duration="time", event="cause")
    with pytest.raises(models.ModelError, match="no clusters"):
        survival(cluster="block", errors="greenwood")


def test_restricted_means_are_those_of_r():
    table = survival(group="sex").restricted_mean(120).set_index("group")
    expected = reference("incidence", "rmst", "estimate")
    np.testing.assert_allclose(table["estimate"], expected, **EXACT)
    np.testing.assert_allclose(table["std_error"], reference("incidence", "rmst", "std_error"), **ERROR)
    lost = incidence(group="sex").restricted_mean(120)
    expected = reference("incidence", "time_lost", "estimate")
    labels = "sex=" + lost["group"] + ", " + lost["cause"].map({1: "pcm", 2: "death"})
    np.testing.assert_allclose(lost["estimate"], expected[labels], **EXACT)


@pytest.mark.parametrize("horizon", [2.5, 4.0, 30.0, 100.0])
def test_restricted_means_follow_the_definition(horizon):
    # The area under the steps, and the jackknife from derivatives by weight taken numerically.
    rng = np.random.default_rng(11)
    n = 60
    frame = pd.DataFrame({"entry": rng.integers(0, 4, n).astype(float), "w": rng.uniform(0.5, 2, n)})
    frame["time"] = frame["entry"] + rng.integers(1, 130, n)
    frame["cause"], frame["group"] = rng.integers(0, 3, n), rng.choice(["a", "b"], n)
    frame["death"] = (frame["cause"] > 0).astype(int)

    def run(frame, kind):
        options = {"duration": "time", "start": "entry", "group": "group", "weights": "w"}
        if kind == "survival":
            return models.kaplan_meier(frame, event="death", **options)
        return models.cumulative_incidence(frame, cause="cause", **options)

    for kind in ("survival", "incidence"):
        curves = run(frame, kind)
        table = curves.restricted_mean(horizon)
        for row in table.itertuples():
            own = curves.curve[(curves.curve["group"] == row.group) & (curves.curve["cause"] == row.cause)]
            steps = np.append(own["time"], horizon).clip(max=horizon)
            assert row.estimate == pytest.approx((np.diff(steps) * own["estimate"]).sum(), rel=1e-12)
        total, h = np.zeros(len(table)), 1e-5
        for i in range(n):
            up, down = frame.copy(), frame.copy()
            up.loc[i, "w"] += h
            down.loc[i, "w"] -= h
            slope = run(up, kind).restricted_mean(horizon)["estimate"]
            slope = slope - run(down, kind).restricted_mean(horizon)["estimate"]
            total += (frame.loc[i, "w"] * slope / (2 * h)) ** 2
        np.testing.assert_allclose(table["std_error"], np.sqrt(total), rtol=1e-5, atol=1e-7)


def test_mean_times_add_up_to_the_horizon():
    alive = models.kaplan_meier(
        data("mgus2").assign(any=lambda d: (d["cause"] > 0).astype(int)), duration="time", event="any"
    )
    total = alive.restricted_mean(200)["estimate"].sum() + incidence().restricted_mean(200)["estimate"].sum()
    assert total == pytest.approx(200, rel=1e-12)


def test_a_horizon_beyond_follow_up_is_refused():
    frame = pd.DataFrame({"time": [1, 2, 3], "death": [1, 0, 0]})
    with pytest.raises(models.ModelError, match="followed to 3"):
        models.kaplan_meier(frame, duration="time", event="death").restricted_mean(4)


def test_the_table_of_numbers_at_risk_accounts_for_everybody():
    table = survival(group="sex").at_risk_table([0, 60, 424])
    sizes = data("mgus2").groupby("sex").size()
    after = table["at_risk"] + table["events"] + table["censored"]
    # Those who leave at the very time are both at risk just before it and counted as having left.
    frame = data("mgus2")
    leaving = [
        ((frame["sex"] == g) & (frame["futime"] == t)).sum() for g, t in zip(table["group"], table["time"], strict=True)
    ]
    assert (after - leaving).tolist() == sizes[table["group"]].tolist()


def test_bounds_hold_the_estimate_and_close_when_nobody_is_lost():
    frame = data("mgus2").assign(lost=lambda d: (d["cause"] == 0) & (d["id"] % 3 == 0))
    options = {"duration": "time", "cause": "cause", "lost": "lost", "group": "sex", "times": [12, 60, 240]}
    bounds = models.incidence_bounds(frame, **options)
    assert (bounds["lower"] <= bounds["estimate"] + 1e-12).all()
    assert (bounds["estimate"] <= bounds["upper"] + 1e-12).all()
    assert (bounds["conf_low"] <= bounds["lower"]).all()
    assert bounds["lost"].max() <= frame["lost"].sum()
    closed = models.incidence_bounds(frame.assign(lost=0), **options)
    np.testing.assert_allclose(closed["lower"], closed["upper"], rtol=1e-12)
    np.testing.assert_allclose(closed["estimate"], incidence(group="sex").at([12, 60, 240])["estimate"], rtol=1e-12)


def test_bounds_are_shares_when_nobody_is_otherwise_censored_before():
    frame = pd.DataFrame({"time": [1, 2, 3, 4, 5, 6], "cause": ["work", "0", "study", "0", "work", "0"]})
    frame["lost"] = [0, 1, 0, 1, 0, 0]
    bounds = models.incidence_bounds(frame, duration="time", cause="cause", lost="lost", times=5).set_index("cause")
    assert bounds.loc["work", ["lower", "upper"]].tolist() == pytest.approx([2 / 6, 4 / 6])
    assert bounds.loc["study", ["lower", "upper"]].tolist() == pytest.approx([1 / 6, 3 / 6])
    assert bounds["lost"].tolist() == [2, 2]
    with pytest.raises(models.ModelError, match="1 rows are lost"):
        models.incidence_bounds(
            frame.assign(lost=[1, 0, 0, 0, 0, 0]), duration="time", cause="cause", lost="lost", times=5
        )
