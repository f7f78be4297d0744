"""The rules across rows again, with loops over pairs and every possible day, on small random studies."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_study import ORGANISATION, WHOLE, tables

import bipstudy as bip
from bipstudy import schema
from bipstudy.validation.data import Data
from bipstudy.validation.rules import CHECKS
from bipstudy.validation.validate import validate  # noqa: F401 - registers every check

BASE = dt.date(2024, 1, 1)
Date = tuple[dt.date, str] | None
QUIET = settings(max_examples=100 if WHOLE else 30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def dates(draw: st.DrawFn, last: int = 420, nothing: bool = False) -> Date:
    """Draw a date with its precision, stored as the first day of what is known."""
    if nothing and draw(st.integers(0, 4)) == 0:
        return None
    day = BASE + dt.timedelta(days=draw(st.integers(0, last)))
    precision = draw(st.sampled_from(["day"] * 6 + ["month", "quarter"]))
    if precision == "month":
        day = day.replace(day=1)
    if precision == "quarter":
        day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day, precision


def ends(date: Date) -> tuple[int, int]:
    """Return the first and last day that a date can be, by walking through the calendar."""
    assert date is not None
    day, precision = date
    last = day
    months = {"day": 0, "month": 1, "quarter": 3}[precision]
    passed = 0
    while months:
        following = last + dt.timedelta(days=1)
        passed += following.month != last.month
        if passed == months:
            break
        last = following
    return day.toordinal(), last.toordinal()


def verdict(outcomes: Iterator[bool]) -> str:
    """Return what all readings of the dates together say."""
    said = set(outcomes)
    return "unchecked" if len(said) == 2 else "invalid" if said == {True} else "valid"


def places(tables_: dict[str, pd.DataFrame], code: str) -> list[tuple[int, str]]:
    """Return row (from 0) and status of what one rule finds."""
    data = Data.of(bip.Study(tables=tables_, sent=frozenset(tables_)))
    hits = CHECKS[code](data, schema.rules()[code].threshold).hits
    return [(int(row), hit.status) for hit in hits for row in hit.rows]


def found(tables_: dict[str, pd.DataFrame], code: str) -> dict[int, str]:
    """Return row (from 0) to status of what one rule finds, each row once."""
    told = places(tables_, code)
    assert len(told) == len(dict(told))
    return dict(told)


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a canonical table of rows whose dates are drawn ones."""
    plain = []
    for row in rows:
        cells: dict[str, Any] = {"organisation_id": ORGANISATION}
        for column, value in row.items():
            if column in ("start", "end", "answered_on", "entered_on"):
                cells[column] = None if value is None else pd.Timestamp(value[0])
                cells[f"{column}_precision"] = None if value is None else value[1]
            else:
                cells[column] = value
        plain.append(cells)
    return schema.conform(name, pd.DataFrame(plain), sort=False)


spells = st.fixed_dictionaries(
    {
        "participant_id": st.sampled_from(["101", "102"]),
        "caseworker_id": st.sampled_from(["7", "8"]),
        "start": dates(last=200),
        "end": dates(nothing=True),
        "ongoing": st.sampled_from([None, False, True]),
        "responsibility": st.sampled_from(["main", "main", "other"]),
    }
)


@QUIET
@given(st.lists(spells, min_size=1, max_size=6))
def test_overlaps_of_main_caseworkers(drawn: list[dict[str, Any]]) -> None:
    frames = tables() | {"assignments": frame("assignments", drawn)}
    ours = found(frames, "two-main-assignments")
    pairs = [pair for pair in itertools.combinations(range(len(drawn)), 2) if _both_main(drawn, pair)]
    if all(row["end"] is None for row in drawn):
        assert ours == {}  # the column was not sent
        return
    told = {pair: _overlap(drawn[pair[0]], drawn[pair[1]]) for pair in pairs}
    certain = {drawn[pair[0]]["participant_id"] for pair, said in told.items() if said == "invalid"}
    unsure = {drawn[pair[0]]["participant_id"] for pair, said in told.items() if said == "unchecked"} - certain
    assert {drawn[row]["participant_id"] for row, status in ours.items() if status == "invalid"} == certain
    assert {drawn[row]["participant_id"] for row, status in ours.items() if status == "unchecked"} == unsure
    # A row is named only if it is one of a pair, and the row that is left in place of each pair is not named.
    named = {row for row, status in ours.items() if status == "invalid"}
    bad = [pair for pair, said in told.items() if said == "invalid"]
    assert named <= set(itertools.chain(*bad))
    assert all(named & set(pair) for pair in bad)
    assert all(said != "invalid" for pair, said in told.items() if not named & set(pair))


def _both_main(drawn: list[dict[str, Any]], pair: tuple[int, int]) -> bool:
    first, second = (drawn[number] for number in pair)
    same = first["participant_id"] == second["participant_id"]
    return same and first["responsibility"] == second["responsibility"] == "main"


def _readings(spell: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the extreme readings of start and end, which decide whether all readings agree."""
    start_low, start_high = ends(spell["start"])
    if spell["end"] is not None:
        end_low, end_high = ends(spell["end"])
    elif spell["ongoing"] is False:
        end_low, end_high = start_high, 10**7
    else:
        end_low = end_high = 10**7
    return list(itertools.product((start_low, start_high), (end_low, end_high)))


def _overlap(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Say whether two spells share more than the day of a handover."""
    return verdict(
        min(end, other_end) - max(start, other_start) + 1 > 1
        for (start, end), (other_start, other_end) in itertools.product(_readings(first), _readings(second))
    )


@QUIET
@given(st.lists(spells, min_size=1, max_size=6))
def test_ends_before_starts(drawn: list[dict[str, Any]]) -> None:
    frames = tables() | {"assignments": frame("assignments", drawn)}
    ours = set(places(frames, "end-before-start"))
    expected = set()
    for row, spell in enumerate(drawn):
        if spell["end"] is not None:
            said = verdict(end < start for start, end in itertools.product(ends(spell["start"]), ends(spell["end"])))
            expected |= {(row, said)} - {(row, "valid")}
    assert ours == expected


forms = st.lists(
    st.fixed_dictionaries(
        {
            "participant_id": st.sampled_from(["101", "102"]),
            "occasion": st.integers(1, 3),
            "respondent": st.sampled_from(["participant", "caseworker"]),
            "answered_on": dates(nothing=True),
            "form_status": st.sampled_from(["answered"] * 4 + ["declined"]),
        }
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda form: (form["participant_id"], form["occasion"], form["respondent"]),
)


def form_tables(drawn: list[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Return the small study with other forms."""
    rows = [{**form, "instrument": schema.DEFAULT_INSTRUMENT, "caseworker_id": "7"} for form in drawn]
    kept = {name: each for name, each in tables().items() if name != "missing_answers"}
    return kept | {"measurements": frame("measurements", rows)}


def by_occasion(drawn: list[dict[str, Any]]) -> dict[tuple[str, int], list[int]]:
    """Return the rows of the answered and dated forms of each occasion."""
    rows: dict[tuple[str, int], list[int]] = {}
    for row, form in enumerate(drawn):
        if form["form_status"] == "answered" and form["answered_on"] is not None:
            rows.setdefault((form["participant_id"], form["occasion"]), []).append(row)
    return rows


@QUIET
@given(forms)
def test_forms_of_an_occasion_and_intervals_between_occasions(drawn: list[dict[str, Any]]) -> None:
    every = form_tables(drawn)
    rows = by_occasion(drawn)
    apart, between, order = set(), set(), set()
    for (person, occasion), here in rows.items():
        bounds = [ends(drawn[row]["answered_on"]) for row in here]
        if len(here) == 2:
            said = verdict(abs(one - other) > 45 for one, other in itertools.product(*map(_each_day, bounds)))
            apart |= {(person, occasion, said)} - {(person, occasion, "valid")}
        earlier = [number for who, number in rows if who == person and number < occasion]
        if earlier:
            before = [ends(drawn[row]["answered_on"]) for row in rows[person, max(earlier)]]
            steps = occasion - max(earlier)
            least = max(low for low, _ in bounds) - max(high for _, high in before)
            most = max(high for _, high in bounds) - max(low for low, _ in before)
            said = verdict(days < 0 for days in range(least, most + 1))
            order |= {(person, occasion, said)} - {(person, occasion, "valid")}
            # Of those out of order the rule on intervals says nothing.
            said = verdict(days >= 0 and not 45 * steps <= days <= 150 * steps for days in range(least, most + 1))
            between |= {(person, occasion, said)} - {(person, occasion, "valid")}
    assert _told(every, drawn, "forms-far-apart") == apart
    assert _told(every, drawn, "interval-far-from-three-months") == between
    assert _told(every, drawn, "occasions-out-of-order") == order


def _each_day(bounds: tuple[int, int]) -> range:
    return range(bounds[0], bounds[1] + 1)


def _told(every: dict[str, pd.DataFrame], drawn: list[dict[str, Any]], code: str) -> set[tuple[str, int, str]]:
    """Return person, occasion and status of the findings of one rule."""
    return {(drawn[row]["participant_id"], drawn[row]["occasion"], status) for row, status in places(every, code)}


@QUIET
@given(forms, dates(last=300))
def test_answers_before_entry(drawn: list[dict[str, Any]], entered: Date) -> None:
    every = form_tables(drawn)
    assert entered is not None
    for row in (0, 1):
        every["participants"].loc[row, "entered_on"] = pd.Timestamp(entered[0])
        every["participants"].loc[row, "entered_on_precision"] = entered[1]
    expected = {}
    for row, form in enumerate(drawn):
        if form["answered_on"] is not None:
            days = itertools.product(_each_day(ends(form["answered_on"])), _each_day(ends(entered)))
            said = verdict(answered < entry for answered, entry in days)
            if said != "valid":
                expected[row] = said
    assert found(every, "answer-before-entry") == expected


outcome_spells = st.lists(
    st.fixed_dictionaries(
        {
            "participant_id": st.sampled_from(["101", "102"]),
            "status": st.sampled_from(["work_unsubsidised", "study_qualifying", "study_other", "work_training"]),
            "first": st.integers(0, 300),
            "length": st.integers(1, 60),
            "lasted_a_month": st.sampled_from([None, "yes", "no"]),
        }
    ),
    min_size=1,
    max_size=5,
)


@QUIET
@given(forms, outcome_spells)
def test_answers_after_the_transition(drawn: list[dict[str, Any]], work: list[dict[str, Any]]) -> None:
    drawn = [form | {"answered_on": form["answered_on"] and (form["answered_on"][0], "day")} for form in drawn]
    rows = []
    for number, spell in enumerate(work):
        start = BASE + dt.timedelta(days=spell["first"])
        end = start + dt.timedelta(days=spell["length"] - 1)
        cells = {key: spell[key] for key in ("participant_id", "status", "lasted_a_month")}
        rows.append(
            cells | {"outcome_id": str(number), "start": (start, "day"), "end": (end, "day"), "source": "register"}
        )
    every = form_tables(drawn) | {"outcomes": frame("outcomes", rows)}
    expected = set()
    for person in ("101", "102"):
        answered = {
            row: form["answered_on"][0].toordinal() for row, form in enumerate(drawn) if _answered(form, person)
        }
        if answered:
            moved = _transition(person, work, min(answered.values()))
            expected |= {row for row, day in answered.items() if moved is not None and day > moved}
    assert set(found(every, "answer-after-transition")) == expected


def _answered(form: dict[str, Any], person: str) -> bool:
    return form["participant_id"] == person and form["form_status"] == "answered" and form["answered_on"] is not None


def _transition(person: str, work: list[dict[str, Any]], first: int) -> int | None:
    """Return the first day of the transition, by colouring the days of a calendar."""
    counted = [
        spell
        for spell in work
        if spell["participant_id"] == person and spell["status"] in schema.transition("primary").causes
    ]
    days: set[int] = set()
    for spell in counted:
        start = BASE.toordinal() + spell["first"]
        days |= set(range(start, start + spell["length"]))
    for day in sorted(days):
        if day - 1 in days:
            continue
        length = next(number for number in itertools.count(1) if day + number not in days)
        said = any(
            spell["lasted_a_month"] == "yes" and day <= BASE.toordinal() + spell["first"] < day + length
            for spell in counted
        )
        if (length >= 28 or said) and day > first:
            return day
    return None
