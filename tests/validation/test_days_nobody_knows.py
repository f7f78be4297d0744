"""Rules on days that are known to the month, the quarter or not at all: wrong, in order, or nobody can say."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import ORGANISATION, study, tables

import bipstudy as bip
from bipstudy import schema
from bipstudy.validation.data import Data
from bipstudy.validation.rules import CHECKS

Tables = dict[str, pd.DataFrame]
LEFT = "left-to-work-without-outcome"
MARGIN = int(schema.rules()[LEFT].threshold["longest_days"])


def said(text: str | None) -> tuple[pd.Timestamp | None, str | None]:
    """Return the first day of a date as it is written, and how exactly it is known."""
    if text is None:
        return None, None
    if "Q" in text:
        return pd.Timestamp(f"{text[:4]}-{3 * int(text[-1]) - 2:02}-01"), "quarter"
    return (pd.Timestamp(text), "day") if len(text) == 10 else (pd.Timestamp(f"{text}-01"), "month")


def readings(text: str) -> range:
    """Return every day that a date may mean, as a number."""
    first, precision = said(text)
    assert first is not None
    months = {"day": 0, "month": 1, "quarter": 3}[str(precision)]
    last = first + pd.DateOffset(months=months) if months else first + pd.Timedelta(days=1)
    return range(first.toordinal(), last.toordinal())


def put(frames: Tables, table: str, row: int, **texts: str | None) -> None:
    for column, text in texts.items():
        frames[table].loc[row, [column, f"{column}_precision"]] = said(text)


def found(code: str, frames: Tables) -> dict[int, str]:
    """Return row (as in a file) and status of what one rule finds."""
    hits = CHECKS[code](Data.of(study(frames)), schema.rules()[code].threshold).hits
    return {int(row) + 2: hit.status for hit in hits for row in hit.rows}


def leaving(left: str, spells: list[dict[str, Any]]) -> Tables:
    """Return the small study in which 102 left to work on a day and has some spells of work."""
    frames = tables()
    put(frames, "participants", 1, left_on=left)
    rows = []
    for number, spell in enumerate(spells):
        row = {"outcome_id": str(number), "source": "register", "ongoing": spell.get("ongoing")}
        row |= {"organisation_id": ORGANISATION, "participant_id": "102", "status": spell.get("status", "work_unknown")}
        for column in ("start", "end"):
            row[column], row[f"{column}_precision"] = said(spell.get(column))
        rows.append(row)
    frames["outcomes"] = schema.conform("outcomes", pd.DataFrame(rows), sort=False)
    return frames


@pytest.mark.parametrize(
    ("left", "spells", "status"),
    [
        # A spell of unknown end may run still, unless it began too late.
        ("2024-08-01", [{"start": "2024-02-10"}], "unchecked"),
        ("2024-08-01", [{"start": "2024-02-10", "ongoing": False}], "unchecked"),
        ("2024-08-01", [{"start": "2024-02-10", "ongoing": True}], None),
        ("2024-08-01", [{"start": "2024-02-10", "end": "2024-04-10"}], "invalid"),
        ("2024-08-01", [{"start": "2024-02-10", "end": "2024-05-01"}], None),
        ("2024-08-01", [{"start": "2024-06-10"}], None),
        ("2024-08-01", [{"start": "2024-11-02"}], "invalid"),
        ("2024-08-01", [{"start": "2024-02-10", "status": "study_other"}], "invalid"),
        # 32 to 122 days; 31 to 92 days; 123 days at least.
        ("2024-Q2", [{"start": "2024-08-01", "ongoing": True}], "unchecked"),
        ("2024-Q2", [{"start": "2024-07-01", "ongoing": True}], None),
        ("2024-Q1", [{"start": "2024-08-01", "ongoing": True}], "invalid"),
        ("2024-08-01", [{"start": "2024-Q4", "ongoing": True}], "unchecked"),
        ("2024-08-01", [{"start": "2024-01-10", "end": "2024-Q2"}], "unchecked"),
        # Each spell tells of a part of the quarter, both together of all of it.
        ("2024-Q3", [{"start": "2024-03-01", "end": "2024-05-15"}], "unchecked"),
        (
            "2024-Q3",
            [{"start": "2024-03-01", "end": "2024-05-15"}, {"start": "2024-11-10", "ongoing": True}],
            None,
        ),
    ],
)
def test_who_left_to_work_and_an_outcome_that_may_be_near(
    left: str, spells: list[dict[str, Any]], status: str | None
) -> None:
    frames = leaving(left, spells)
    assert found(LEFT, frames) == ({} if status is None else {3: status})
    told = bip.validate(study(frames)).findings.query("code == @LEFT")
    assert told["status"].tolist() == [each for each in [status] if each]


dates = st.sampled_from(["2024-01", "2024-Q1", "2024-02-10", "2024-05", "2024-05-30", "2024-Q3", "2024-09-01"])


@settings(max_examples=40, deadline=None)
@given(dates, st.lists(st.tuples(dates, st.one_of(st.none(), dates), st.booleans()), min_size=1, max_size=2))
def test_who_left_to_work_against_every_reading_of_the_dates(
    left: str, drawn: list[tuple[str, str | None, bool]]
) -> None:
    spells = [{"start": start, "end": end, "ongoing": ongoing and end is None} for start, end, ongoing in drawn]
    near: list[tuple[bool, bool]] = []
    for day in readings(left):
        each = [set(_near(day, **spell)) for spell in spells]
        if not all(each):
            return  # an end before its start in every reading, which another rule tells
        # Some reading in which a spell is near, and every one in which one is.
        near.append((any(True in one for one in each), any(one == {True} for one in each)))
    status = "invalid" if not any(one for one, _ in near) else None if all(every for _, every in near) else "unchecked"
    reversed_ = max(readings(left)) < pd.Timestamp("2024-01-15").toordinal()
    assert found(LEFT, leaving(left, spells)) == ({} if status is None or reversed_ else {3: status})


def _near(day: int, start: str, end: str | None, *, ongoing: bool) -> list[bool]:
    """Say for each reading of a spell whether it is near a day."""
    ahead = readings("2100-01-01")
    verdicts = []
    for first in readings(start):
        last = readings(end) if end else ahead if ongoing else [first, *ahead]
        verdicts += [first <= day + MARGIN and each >= day - MARGIN for each in last if each >= first]
    return verdicts


@pytest.mark.parametrize(
    ("first", "second", "order", "interval"),
    [
        # Both in one month have no order, and only if the second came after the first were they too close.
        ("2024-02-20", "2024-02", "unchecked", "unchecked"),
        ("2024-02", "2024-02", "unchecked", "unchecked"),
        ("2024-Q1", "2024-03-20", "unchecked", "unchecked"),
        ("2024-02-20", "2024-02-19", "invalid", None),
        ("2024-02-20", "2024-02-20", None, "invalid"),
        ("2024-02-20", "2024-01", "invalid", None),
        ("2024-02-20", "2024-03", None, "invalid"),
        ("2024-02-20", "2024-04", None, "unchecked"),
        ("2024-02-20", "2024-05", None, None),
    ],
)
def test_two_occasions_known_to_the_month(first: str, second: str, order: str | None, interval: str | None) -> None:
    frames = tables()
    # The forms of 102 in the order of the file; the third occasion is left out.
    for row, text in zip(range(6, 10), (first, first, second, second), strict=True):
        put(frames, "measurements", row, answered_on=text)
    frames["measurements"] = frames["measurements"].drop(index=[10, 11]).reset_index(drop=True)
    for code, status in (("occasions-out-of-order", order), ("interval-far-from-three-months", interval)):
        assert [each for row, each in found(code, frames).items() if row in (10, 11)] == ([status] if status else [])
