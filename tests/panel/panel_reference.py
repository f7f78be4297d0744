"""The definitions again, slowly: person by person, day by day, with sets of days and loops."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bipstudy import Study, schema

ZERO = dt.date(2019, 9, 1)
# No day of the tests comes near.
HORIZON = 1300
# The definition says five; few random studies have so many others, so the tests lower it on both sides.
OTHERS = 5
RANKS = ["register", "follow_up_system", "caseworker", "self_report"]
STUDY = {"study_qualifying", "study_other"}


def rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for record in frame.to_dict("records"):
        yield {
            name: None if value is pd.NaT or value is pd.NA or value != value else value
            for name, value in record.items()
        }


def readings(row: dict[str, Any], name: str) -> range | None:
    """Every day that a date may be."""
    if row[name] is None:
        return None
    first = row[name].date()
    if row[f"{name}_precision"] == "day":
        last = first
    else:
        months = 1 if row[f"{name}_precision"] == "month" else 3
        month = first.month - 1 + months
        last = dt.date(first.year + month // 12, month % 12 + 1, 1) - dt.timedelta(1)
    return range((first - ZERO).days, (last - ZERO).days + 1)


def runs(days: set[int]) -> list[range]:
    """Maximal runs of consecutive days."""
    found = []
    for day in sorted(days):
        if day - 1 not in days:
            end = day
            while end + 1 in days:
                end += 1
            found.append(range(day, end + 1))
    return found


@dataclass
class Record:
    status: str
    possible: set[int]
    reach: set[int]
    sure: set[int]
    start: int
    verdict: str
    rank: int


@dataclass
class Person:
    row: dict[str, Any]
    key: tuple[str, str]
    entered: int = 0
    occasions: list[dict[str, Any]] = field(default_factory=list)
    origin: int | None = None
    end: int = 0
    reason: str = ""
    competing: bool = False
    transition: int | None = None
    cause: int = 0
    status_until: int | None = None


def records(study: Study, key: tuple[str, str], observed: int, minimum: int) -> list[Record]:
    """Spells of a person, ranked by source."""
    found = []
    for row in rows(study.outcomes):
        if (row["organisation_id"], row["participant_id"]) != key:
            continue
        starts, ends = readings(row, "start"), readings(row, "end")
        assert starts is not None
        lengths = None
        if ends is not None:
            lengths = {e - s + 1 for s in (starts[0], starts[-1]) for e in (ends[0], ends[-1])}
            possible, sure = set(range(starts[0], ends[-1] + 1)), set(range(starts[-1], ends[0] + 1))
        elif row["ongoing"]:
            lengths = {observed - s + 1 for s in starts} | {HORIZON}
            possible, sure = set(range(starts[0], HORIZON)), set(range(starts[-1], observed + 1))
        else:
            lengths = {1, HORIZON}
            possible, sure = set(range(starts[0], HORIZON)), set(starts) if len(starts) == 1 else set()
        if row["lasted_a_month"] == "no" and ends is None and not min(lengths) >= 28:
            possible = {day for day in possible if day <= starts[-1] + 26}
        if minimum == 0 or all(length >= minimum for length in lengths):
            verdict = "yes"
        elif all(length < minimum for length in lengths):
            verdict = "no"
        else:
            verdict = row["lasted_a_month"] or "unknown"
        # What has no end and may have been short does not reach the next spell by what is not known of it.
        open_end = ends is None and not row["ongoing"] and verdict == "unknown"
        reach = {starts[0]} if open_end else possible
        found.append(Record(row["status"], possible, reach, sure, starts[0], verdict, RANKS.index(row["source"])))
    kept: list[Record] = []
    for rank in range(4):
        same = [record for record in found if record.rank == rank]
        kept += [
            record
            for record in same
            if not any(
                other.rank < rank
                and (other.status in STUDY) == (record.status in STUDY)
                and other.possible & record.possible
                for other in kept
            )
        ]
    return kept


def spells(found: list[Record], definition: Any) -> list[dict[str, Any]]:
    """Spells of the definition, those that touch or overlap as one."""
    inside = [record for record in found if record.status in definition.causes]
    days = set().union(*(record.reach for record in inside)) if inside else set()
    result = []
    for joined in runs(days):
        members = [record for record in inside if record.start in joined]
        run = range(joined[0], max(max(record.possible) for record in members) + 1)
        first = min(members, key=lambda record: (record.start, definition.causes[record.status] == "study"))
        sure = runs(set().union(*(record.sure for record in members)))
        yes = any(member.verdict == "yes" for member in members) or any(
            len(each) >= definition.minimum_days for each in sure
        )
        no = not yes and (len(run) < definition.minimum_days or (len(members) == 1 and members[0].verdict == "no"))
        verdict = "yes" if yes else "no" if no else "unknown"
        if verdict == "unknown" and definition.counts_unknown_length:
            verdict = "yes"
        result.append(
            {"run": run, "verdict": verdict, "cause": {"work": 1, "study": 2}[definition.causes[first.status]]}
        )
    return result


def occasions(study: Study, key: tuple[str, str]) -> list[dict[str, Any]]:
    """Occasions of a person with an answered form, by day."""
    forms: dict[int, list[dict[str, Any]]] = {}
    for row in rows(study.measurements):
        if (row["organisation_id"], row["participant_id"]) == key and row["form_status"] == "answered":
            dates = readings(row, "answered_on")
            if dates is not None:
                forms.setdefault(row["occasion"], []).append({**row, "dates": dates})
    found = [_occasion(number, each) for number, each in forms.items()]
    return sorted(found, key=lambda occasion: (occasion["answered"], occasion["occasion"]))


def _occasion(number: int, forms: list[dict[str, Any]]) -> dict[str, Any]:
    """One occasion from its forms, the participant's read first so that the caseworker's stands."""
    earliest = min(form["dates"][-1] for form in forms)
    pair = [form for form in forms if form["dates"][0] - earliest <= 45]
    occasion: dict[str, Any] = {
        "occasion": number,
        "answered": max(form["dates"][-1] for form in pair),
        "answered_first": max(form["dates"][0] for form in pair),
        "on_form": None,
        "answering": None,
    }
    for form in sorted(pair, key=lambda form: form["respondent"] == "caseworker"):
        for item in schema.instrument().asked_of(form["respondent"]):
            if form[item] is not None:
                occasion[f"{form['respondent'][0]}_{item}"] = (form[item] - 1) * 25.0
        if form["caseworker_id"] is not None:
            occasion["on_form"] = form["caseworker_id"]
            if form["respondent"] == "caseworker":
                occasion["answering"] = form["caseworker_id"]
    return occasion


def people(study: Study, outcome: str, origin: str) -> list[Person]:
    """Everybody, with origin, follow-up and transition."""
    definition = schema.transition(outcome)
    found = []
    for row in rows(study.participants):
        person = Person(row, (row["organisation_id"], row["participant_id"]))
        entered, observed, left = (readings(row, name) for name in ("entered_on", "observed_until", "left_on"))
        assert entered is not None
        assert observed is not None
        person.entered = entered[0]
        person.occasions = occasions(study, person.key)
        if origin == "entry":
            person.origin = entered[0]
        elif person.occasions:
            person.origin = person.occasions[0]["answered"]
        person.reason = row["observed_until_reason"]
        person.competing = person.reason in {"died", "retired", "permanent_sickness_benefit"}
        person.end = observed[-1] if person.competing else observed[0] - definition.minimum_days
        if row["outcome_follow_up"] == "programme_only" and left is not None and left[0] < person.end:
            person.end, person.reason, person.competing = left[0], "left_programme", False
        if person.origin is not None:
            known = spells(records(study, person.key, observed[0], definition.minimum_days), definition)
            _follow(person, known)
        found.append(person)
    return found


def _follow(person: Person, known: list[dict[str, Any]]) -> None:
    """Walk through the spells from the origin on, day by day."""
    assert person.origin is not None
    for spell in known:
        if person.origin in spell["run"] and spell["verdict"] == "yes":
            person.status_until = spell["run"][-1]
        over = spell["run"][-1] < person.origin
        if spell["verdict"] == "unknown" and not over and spell["run"][0] - 1 < person.end:
            person.end, person.reason, person.competing = spell["run"][0] - 1, "unknown_length", False
    for day in range(person.origin + 1, person.end + 1):
        begun = [spell for spell in known if spell["run"][0] == day and spell["verdict"] == "yes"]
        if begun:
            person.transition, person.cause = day, begun[0]["cause"]
            return


@dataclass
class Caseworkers:
    """Main caseworker of each day, and what follows from it."""

    main: dict[tuple[str, str], dict[int, str]]
    sent: set[str]


def caseworkers(study: Study, everybody: list[Person]) -> Caseworkers:
    sent = {row["organisation_id"] for row in rows(study.assignments)}
    main: dict[tuple[str, str], dict[int, str]] = {}
    for person in everybody:
        periods = []
        left = readings(person.row, "left_on")
        if person.key[0] in sent:
            for row in rows(study.assignments):
                if (row["organisation_id"], row["participant_id"]) == person.key and row["responsibility"] == "main":
                    starts, ends = readings(row, "start"), readings(row, "end")
                    assert starts is not None
                    periods.append((starts[-1], ends[-1] if ends else None, row["caseworker_id"]))
        else:
            periods = [(each["answered"], None, each["on_form"]) for each in person.occasions if each["on_form"]]
        by_day: dict[int, str] = {}
        for start, end, who in sorted(periods, key=lambda period: (period[0], period[1] or HORIZON, period[2])):
            last = end if end is not None else left[0] if left and left[0] >= start else HORIZON
            for day in [day for day in by_day if day >= start]:
                del by_day[day]
            by_day |= dict.fromkeys(range(start, last + 1), who)
        main[person.key] = by_day
    return Caseworkers(main, sent)


def continuity(known: Caseworkers, person: Person, day: int) -> dict[str, Any]:
    """What had happened with caseworkers by a day."""
    by_day = known.main[person.key]
    sent = person.key[0] in known.sent
    sequence: list[tuple[str, int]] = []
    for each in sorted(by_day):
        if each <= day and (not sequence or sequence[-1][0] != by_day[each]):
            sequence.append((by_day[each], each))
    here = by_day.get(day)
    changes = float(max(len(sequence) - 1, 0)) if sent or sequence else math.nan
    same = [key for key, days in known.main.items() if key[0] == person.key[0] and days.get(day) == here]
    return {
        "main": here,
        "changes_so_far": changes,
        "first_change": float(changes > 0) if changes == changes else math.nan,
        "months_with_caseworker": (day - sequence[-1][1]) / (365.25 / 12) if here else math.nan,
        "caseworker_gap_days": (
            float(len([each for each in range(person.entered, day) if each not in by_day])) if sent else math.nan
        ),
        "caseload": float(len(same)) if here and sent else math.nan,
    }


def activity(study: Study, person: Person, start: int, stop: int) -> dict[str, Any]:
    """Activity in an interval."""
    start = max(start, person.entered)
    nothing = {"activity": None, "gap_days": math.nan} | {f"focus_{f}": math.nan for f in FOCUS}
    if stop <= start or person.key[0] not in {row["organisation_id"] for row in rows(study.activities)}:
        return nothing
    running: dict[int, list[dict[str, Any]]] = {day: [] for day in range(start, stop)}
    left = readings(person.row, "left_on")
    for row in rows(study.activities):
        if (row["organisation_id"], row["participant_id"]) != person.key or row["end_reason"] == "misregistered":
            continue
        starts, ends, planned = (readings(row, name) for name in ("start", "end", "planned_end"))
        assert starts is not None
        first = starts[-1]
        if ends is None and not row["ongoing"]:
            ends = planned
        last = ends[-1] if ends is not None else left[0] if left is not None and left[0] >= first else HORIZON
        for day in running:
            if first <= day <= last:
                running[day].append(row)
    two = sum(len(each) > 1 for each in running.values())
    some = sum(len(each) > 0 for each in running.values())
    result: dict[str, Any] = {
        "activity": "parallel" if two >= 14 else "single" if some else "none",
        "gap_days": float(len(running) - some),
    }
    for focus in FOCUS:
        days = sum(any(focus in (row["focus"], row["second_focus"]) for row in each) for each in running.values())
        result[f"focus_{focus}"] = days / len(running)
    return result


FOCUS = ["job", "study", "skills", "health", "social"]


def optimism(everybody: list[Person], person: Person, occasion: dict[str, Any]) -> float:
    """Mean belief of the answering caseworker in others whose first measurement was earlier."""
    beliefs = []
    for other in everybody:
        if other is person or other.key[0] != person.key[0] or not other.occasions:
            continue
        first = other.occasions[0]
        if occasion["answering"] is None or first["answering"] != occasion["answering"]:
            continue
        if first["answered"] < occasion["answered_first"] and "c_caseworker_belief" in first:
            beliefs.append(first["c_caseworker_belief"])
    return sum(beliefs) / len(beliefs) if len(beliefs) >= OTHERS else math.nan


def panel(study: Study, outcome: str, horizon: int, washout: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The panel, and the rows left out by step."""
    everybody = people(study, outcome, "first_measurement")
    known = caseworkers(study, everybody)
    result: list[dict[str, Any]] = []
    flow: dict[str, int] = {}
    for person in everybody:
        previous = person.entered
        for occasion in person.occasions:
            day, window = occasion["answered"], previous
            previous = day
            out = _left_out(person, day, washout)
            if out:
                flow[out] = flow.get(out, 0) + 1
                continue
            here = continuity(known, person, day)
            result.append(
                {
                    "key": person.key,
                    **occasion,
                    **here,
                    "who": here["main"] or occasion["on_form"],
                    **activity(study, person, window, day),
                    "optimism": optimism(everybody, person, occasion),
                    **_outcome(person, day, horizon),
                }
            )
    return result, flow


def _left_out(person: Person, day: int, washout: int) -> str | None:
    if person.transition is not None and person.transition <= day:
        return "after_transition"
    if person.status_until is not None and person.status_until >= day + washout:
        return "in_status"
    if person.end <= day:
        return "after_follow_up"
    if person.transition is not None and person.transition <= day + washout:
        return "transition_in_washout"
    if person.end <= day + washout:
        return "competing_in_washout" if person.competing else "censored_in_washout"
    return None


def _outcome(person: Person, day: int, horizon: int) -> dict[str, Any]:
    """Walk from the answer to the horizon until something happens."""
    for each in range(day + 1, day + horizon + 1):
        if person.transition == each:
            return {"y": 1.0, "cause": person.cause, "stop": each - day, "end_reason": None}
        if each == person.end and person.competing:
            return {"y": 0.0, "cause": 3, "stop": each - day, "end_reason": None}
        if each > person.end:
            return {"y": math.nan, "cause": 0, "stop": each - 1 - day, "end_reason": person.reason}
    return {"y": 0.0, "cause": 0, "stop": horizon, "end_reason": None}


def episodes(study: Study, outcome: str, origin: str, step: float, washout: int) -> list[dict[str, Any]]:
    """Episodes: every day at risk, then gathered into rows."""
    everybody = people(study, outcome, origin)
    known = caseworkers(study, everybody)
    result = []
    for person in everybody:
        if person.origin is None:
            continue
        days: dict[int, list[int]] = {}
        ends = [round(k * step) for k in range(HORIZON)]
        last = person.transition if person.transition is not None else person.end
        begin = washout if origin == "first_measurement" else 0
        for day in range(person.origin + begin + 1, last + 1):
            if person.status_until is not None and day <= person.status_until:
                continue
            # The day lies in the first step whose rounded end it does not pass.
            period = next(k for k, end in enumerate(ends) if day - person.origin <= end)
            days.setdefault(period, []).append(day - person.origin)
        for period, here in days.items():
            start = here[0] - 1
            day = person.origin + start - washout
            earlier = [each for each in person.occasions if each["answered"] <= day]
            occasion = earlier[-1] if earlier else {"answering": None, "on_form": None, "answered_first": 0}
            main = continuity(known, person, day)
            final = here[-1] == last - person.origin
            event = final and person.transition is not None
            result.append(
                {
                    "key": person.key,
                    "period": period,
                    "start": start,
                    "stop": here[-1],
                    "cause": person.cause if event else 3 if final and person.competing else 0,
                    "occasion": occasion.get("occasion", math.nan),
                    "belief": occasion.get("c_caseworker_belief", math.nan),
                    "p_job_search": occasion.get("p_job_search", math.nan),
                    "optimism": optimism(everybody, person, occasion),
                    **main,
                    "who": main["main"] or occasion["on_form"],
                    **activity(study, person, day - round(step), day),
                }
            )
    return result
