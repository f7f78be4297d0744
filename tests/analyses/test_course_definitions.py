"""Changes, departures, gaps and kinds of activity again by definition: loops over people and days of one study."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.analyses.activities import kinds_of_intervals
from bipstudy.analyses.activity_kinds import pair_names, with_kinds
from bipstudy.analyses.changes import departures, read_changes
from bipstudy.analyses.common import ready, with_background
from bipstudy.panel import answer_columns
from bipstudy.panel.assembly import Parts, read_parts
from bipstudy.simulation.scenario import scenario
from bipstudy.study import Study

FOCUS = ["job", "study", "skills", "health", "social"]
ZERO = dt.date(1970, 1, 1)
OPEN = 10**6


def day_of(value: Any) -> int | None:
    return None if pd.isna(value) else (pd.Timestamp(value).date() - ZERO).days


@pytest.fixture(scope="module")
def study() -> Study:
    # More caseworkers leave, so that there are departures of many kinds among few people.
    chosen = scenario("demo").replace(caseworkers__departure_rate=0.08, design__participants=300)
    drawn, _ = bip.simulate_study(seed=17, scenario=chosen)
    for name, column in (("assignments", "start"), ("assignments", "end"), ("activities", "start")):
        assert (drawn.tables[name][f"{column}_precision"].dropna() == "day").all()
    return drawn


@pytest.fixture(scope="module")
def parts(study: Study) -> Parts:
    return read_parts(study, schema.transition("primary"), "first_measurement")


@pytest.fixture(scope="module")
def people(study: Study) -> dict[str, dict[str, Any]]:
    return {f"{row['organisation_id']}/{row['participant_id']}": row for row in study.participants.to_dict("records")}


@pytest.fixture(scope="module")
def periods(study: Study, people: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Main periods of everybody, in order; `last` is the last day, `told` whether an end is recorded."""
    found = defaultdict(list)
    for row in study.assignments[study.assignments["responsibility"] == "main"].to_dict("records"):
        who = f"{row['organisation_id']}/{row['participant_id']}"
        start, end, left = day_of(row["start"]), day_of(row["end"]), day_of(people[who]["left_on"])
        assert start is not None
        last = end if end is not None else left if left is not None and left >= start else OPEN
        found[who].append(
            {
                "caseworker": f"{row['organisation_id']}/{row['caseworker_id']}",
                "start": start,
                "last": last,
                "reason": row["change_reason"],
            }
        )
    for each in found.values():
        each.sort(key=lambda period: period["start"])
        assert all(one["last"] < other["start"] for one, other in pairwise(each))
    return found


@pytest.fixture(scope="module")
def gone(periods: dict[str, list[dict[str, Any]]], people: dict[str, dict[str, Any]]) -> set[tuple[str, int]]:
    """Caseworker and day on which the whole caseload is gone, day by day."""
    loads: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    cut: set[tuple[str, str, int]] = set()
    for who, own in periods.items():
        observed = day_of(people[who]["observed_until"])
        assert observed is not None
        for period in own:
            for day in range(period["start"], min(period["last"], observed) + 1):
                loads[period["caseworker"]][day].add(who)
            if period["last"] > observed:
                cut.add((period["caseworker"], who, observed))
    found = set()
    for caseworker, load in loads.items():
        for day in load:
            if load.get(day + 1):
                continue
            if any((caseworker, who, day) in cut for who in load[day]):
                continue
            earlier = load.get(day + 1 - 30, set())
            ended = [who for who in earlier if not any((caseworker, who, late) in cut for late in range(day - 30, day))]
            if len(ended) >= 5:
                found.add((caseworker, day + 1))
    return found


def test_changes_departures_and_reasons(
    study: Study, parts: Parts, periods: dict[str, list[dict[str, Any]]], gone: set[tuple[str, int]]
) -> None:
    expected = set()
    for who, own in periods.items():
        for former, new in pairwise(own):
            if former["caseworker"] == new["caseworker"]:
                continue
            left = any((former["caseworker"], former["last"] + 1 + wait) in gone for wait in range(30))
            staff = former["reason"] in ("caseworker_left", "caseworker_absent", "reorganisation")
            other = former["reason"] in ("programme_step", "participant_asked", "other")
            expected.add((who, new["start"], left, staff, other))
    found = read_changes(study, parts)
    labels = [str(label) for label in parts.coded.labels]
    ours = set(
        zip(
            [labels[person] for person in found.person],
            found.day.tolist(),
            found.departure.tolist(),
            found.staff.tolist(),
            found.other.tolist(),
            strict=True,
        )
    )
    assert ours == expected
    assert sum(each[2] for each in expected) > 20
    assert sum(not each[2] for each in expected) > 20
    by_reason = [sum(each[place] for each in expected) for place in (3, 4)]
    assert min(by_reason) > 5


def test_the_number_of_changes_so_far(
    study: Study, parts: Parts, periods: dict[str, list[dict[str, Any]]], gone: set[tuple[str, int]]
) -> None:
    from bipstudy.analyses.continuity import _prepared
    from bipstudy.analyses.continuity_tables import NUMBERS

    episodes = ready(bip.build_episodes(study))
    frame = _prepared(episodes, parts, read_changes(study, parts), 30).assign(label=episodes["participant"])
    for row in frame.iloc[::7].to_dict("records"):
        own = periods.get(row["label"], [])
        begins = int(parts.origin[row["participant"]]) + row["start"]
        known = [each for each in own if each["start"] <= begins - 30]
        pairs = [(one, two) for one, two in pairwise(known) if one["caseworker"] != two["caseworker"]]
        assert [row[name] for name in NUMBERS] == [len(pairs) == 1, len(pairs) == 2, len(pairs) > 2]
        left = [any((one["caseworker"], one["last"] + 1 + wait) in gone for wait in range(30)) for one, _ in pairs]
        assert row["after_departure"] == any(left)
        assert row["after_other_change"] == (len(left) > sum(left))
        for washout in (60, 90):
            late = max(begins, int(parts.origin[row["participant"]]) + washout) - washout
            known = [each for each in own if each["start"] <= late]
            assert row[f"first_change_{washout}"] == (len({each["caseworker"] for each in known}) > 1)


def test_a_caseload_that_goes_slowly_or_is_only_cut_off_is_no_departure() -> None:
    never = np.full(6, 1000)
    zeros = np.zeros(6, dtype=np.int64)
    # Four remain thirty days before the end.
    slowly = np.array([50, 60, 97, 98, 99, 100])
    assert departures(caseworker=zeros, start=zeros, stop=slowly, observed=never)[1].tolist() == []
    at_once = np.array([71, 96, 97, 98, 99, 100])
    assert departures(caseworker=zeros, start=zeros, stop=at_once, observed=never)[1].tolist() == [100]
    # Observation ends for all on day 99: nobody knows that the caseworker left.
    assert departures(caseworker=zeros, start=zeros, stop=never + 5, observed=zeros + 99)[1].tolist() == []
    # The caseworker came back with two, long after all had gone.
    back = np.array([0, 0, 0, 0, 0, 300])
    stop = np.array([100, 100, 100, 100, 100, 400])
    assert departures(caseworker=zeros, start=back, stop=stop, observed=never)[1].tolist() == [100]


def test_the_share_with_a_change(study: Study, periods: dict[str, list[dict[str, Any]]]) -> None:
    entry = read_parts(study, schema.transition("primary"), "entry")
    changed = []
    for number, label in enumerate(entry.coded.labels):
        until = min(int(entry.follow_up.transition[number]), int(entry.follow_up.end[number]))
        own = [each for each in periods.get(str(label), []) if each["start"] <= max(until, int(entry.entered[number]))]
        changed.append(any(one["caseworker"] != two["caseworker"] for one, two in pairwise(own)))
    found = bip.analyses.continuity(study).estimates.set_index("benchmark").loc["R4"]
    assert found["estimate"] == pytest.approx(np.mean(changed), rel=1e-12)
    assert found["n"] == len(changed)


@pytest.fixture(scope="module")
def courses(study: Study, people: dict[str, dict[str, Any]]) -> dict[str, list[tuple[int, int, set[str]]]]:
    """First day, last day and focuses of every activity."""
    found = defaultdict(list)
    for row in study.activities.to_dict("records"):
        if row["end_reason"] == "misregistered":
            continue
        who = f"{row['organisation_id']}/{row['participant_id']}"
        start, end, planned = (day_of(row[name]) for name in ("start", "end", "planned_end"))
        left = day_of(people[who]["left_on"])
        assert start is not None
        if end is None and row["ongoing"] is not True:
            end = planned
        last = end if end is not None else left if left is not None and left >= start else OPEN
        focuses = {row["focus"]} | ({row["second_focus"]} if isinstance(row["second_focus"], str) else set())
        found[who].append((start, last, focuses))
    return found


def test_the_share_without_activity(study: Study, courses: dict[str, list[tuple[int, int, set[str]]]]) -> None:
    entry = read_parts(study, schema.transition("primary"), "entry")
    idle = []
    for number, label in enumerate(entry.coded.labels):
        entered = int(entry.entered[number])
        until = max(min(int(entry.follow_up.transition[number]), int(entry.follow_up.end[number])), entered)
        idle.append(not any(start <= until and last >= entered for start, last, _ in courses.get(str(label), [])))
    found = bip.analyses.activities(study).estimates.set_index("benchmark").loc["R9"]
    assert found["estimate"] == pytest.approx(np.mean(idle), rel=1e-12)


@pytest.fixture(scope="module")
def intervals(study: Study, parts: Parts, courses: dict[str, list[tuple[int, int, set[str]]]]) -> pd.DataFrame:
    """What each interval of the panel held, day by day."""
    panel = ready(bip.build_panel(study))
    occasions = parts.occasions
    before = {}
    for place in range(len(occasions.person)):
        follows = place > 0 and occasions.person[place - 1] == occasions.person[place]
        own = int(occasions.person[place]), int(occasions.number[place])
        before[own] = int(occasions.answered[place - 1]) if follows else None
    codes = {str(label): number for number, label in enumerate(parts.coded.labels)}
    rows = [_interval(row, codes, before, parts, courses) for row in panel.to_dict("records")]
    return pd.concat([panel, pd.DataFrame(rows, index=panel.index)], axis=1)


def _interval(row: dict[str, Any], codes: Any, before: Any, parts: Parts, courses: Any) -> dict[str, Any]:
    person = codes[row["participant"]]
    stop = day_of(row["answered_on"])
    assert stop is not None
    previous = before[person, row["occasion"]]
    start = max(int(parts.entered[person]), previous if previous is not None else -OPEN)
    own = courses.get(row["participant"], [])
    running = {day: [each for each in own if each[0] <= day <= each[1]] for day in range(start, stop)}
    seen = {focus for each in running.values() for _, _, focuses in each for focus in focuses}
    pairs = {}
    for one, other in combinations(FOCUS, 2):
        days = 0
        for each in running.values():
            couples = [(a, b) for a in each for b in each if a is not b]
            days += any(one in a[2] and other in b[2] for a, b in couples)
        pairs[f"pair_{one}_{other}"] = days >= 14
    two = sum(len(each) > 1 for each in running.values()) >= 14
    either = sum(any({"job", "study"} & focuses for _, _, focuses in each) for each in running.values())
    return {
        "b_days": len(running),
        "b_seen": seen,
        "b_two": two,
        "b_activities": sum(each[0] < stop and each[1] >= start for each in own),
        "b_gap": sum(not each for each in running.values()),
        "b_either": either / max(len(running), 1),
        **{f"b_{name}": value for name, value in pairs.items()},
    }


def test_kinds_of_intervals(study: Study, parts: Parts, intervals: pd.DataFrame) -> None:
    known = intervals[intervals["activity"].notna()].reset_index(drop=True)
    found = with_kinds(known, study, parts)
    pairs = [name for name, _, _ in pair_names()]
    assert [name.removeprefix("b_") for name in known if str(name).startswith("b_pair")] == pairs
    for row in found.to_dict("records"):
        assert row["length"] == row["b_days"]
        assert row["per_30_gap_days"] == pytest.approx(row["b_gap"] / 30)
        together = any(row[f"b_{name}"] for name in pairs)
        for name in pairs:
            assert row[name] == row[f"b_{name}"], name
        for focus in FOCUS:
            assert row[f"alone_{focus}"] == (row["b_seen"] == {focus})
        assert row["one_focus"] == (len(row["b_seen"]) == 1)
        assert row["parallel"] == together
        several = len(row["b_seen"]) > 1 and not together
        assert row["in_turn"] == (several and row["b_activities"] > 1)
        assert row["two_in_one"] == (several and row["b_activities"] == 1)
        assert row["job_or_study_constant"] == (row["b_either"] >= 0.9)
        assert row["job_or_study_intermittent"] == (0 < row["b_either"] < 0.9)
    assert found[["parallel", "in_turn", "two_in_one", "job_or_study_constant"]].sum().min() > 5


def test_job_alone_and_in_parallel(study: Study, intervals: pd.DataFrame) -> None:
    """R11 and R12 from the loops and plain least squares."""
    since = intervals.groupby("participant")["answered_on"].diff().dt.days
    since = since.where(since.notna(), (intervals["answered_on"] - intervals["entered_on"]).dt.days)
    used = intervals[intervals["activity"].notna() & (since >= 28)].reset_index(drop=True)
    used, background = with_background(used)
    items = {column: item for column, who, item in answer_columns() if who == "participant"}
    z = pd.DataFrame({name: (used[name] - used[name].mean()) / used[name].std() for name in items})
    for column, item in items.items():
        if schema.items()[item].direction != "higher_is_readier":
            z[column] *= -1
    design = {"level": z.mean(axis=1).fillna(0.0), "missing": z.isna().all(axis=1).astype(float)}
    for answer in sorted(used["p_health_coping"].fillna(-1).unique())[1:]:
        design[f"health_{answer}"] = (used["p_health_coping"].fillna(-1) == answer).astype(float)
    several, job = used["b_seen"].map(len) > 1, used["b_seen"].map(lambda seen: "job" in seen)
    # Days on which a job-focused activity ran beside another one of another focus: the pairs of the loops.
    beside = used[[name for name in used if str(name).startswith("b_pair_job_")]].any(axis=1)
    kinds = {
        "job": job & ~several,
        "job_parallel": beside,
        "job_in_turn": job & several & ~beside,
        "study": used["b_seen"].map(lambda seen: seen == {"study"}),
        "other": used["b_seen"].map(lambda seen: len(seen) == 1 and not seen & {"job", "study"}),
        "mixed": ~job & several,
    }
    matrix = pd.DataFrame({**{name: each.astype(float) for name, each in kinds.items()}, "one": 1.0})
    matrix = pd.concat([matrix, used[[*background, "months_since_entry"]], pd.DataFrame(design)], axis=1)
    rows = used["progression"].notna()
    beta = np.linalg.lstsq(matrix[rows].to_numpy(float), used.loc[rows, "progression"].to_numpy(float), rcond=1e-10)[0]
    found = bip.analyses.activities(study).estimates.set_index("benchmark")["estimate"]
    # Terms that depend on others are left out there and shared out here; neither touches the kinds.
    assert found["R11"] == pytest.approx(beta[0], abs=1e-8)
    assert found["R12"] == pytest.approx(beta[1] - beta[0], abs=1e-8)


def test_a_job_is_parallel_only_where_it_is_one_of_the_two() -> None:
    """Two others side by side in an interval that also held a job focus are another kind of interval."""
    focuses = {f"focus_{focus}": [0.0, 0.0] for focus in FOCUS}
    focuses |= {"focus_job": [0.4, 0.4], "focus_skills": [0.5, 0.5], "focus_health": [0.5, 0.0]}
    pairs = {name: [0.0, 0.0] for name, _, _ in pair_names()}
    pairs |= {"pair_skills_health": [1.0, 0.0], "pair_job_skills": [0.0, 1.0]}
    kinds = kinds_of_intervals(pd.DataFrame({**focuses, **pairs, "activity": "parallel"}))
    assert kinds["act_job_parallel"].tolist() == [0.0, 1.0]
    assert kinds["act_job_in_turn"].tolist() == [1.0, 0.0]
    assert kinds[["act_job", "act_mixed", "act_other"]].to_numpy().sum() == 0
