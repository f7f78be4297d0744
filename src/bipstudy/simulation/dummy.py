"""Dummy data from the schemas alone: tables that satisfy every rule and say nothing of any model.

Columns are drawn by what the schema says of them, so that a column, code or item that is added there is drawn too. Only
keys and dates follow a plan, since the rules ask for an order of events.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

_OPENED = dt.date(2024, 1, 8)
_EXTRACTED = dt.date(2025, 6, 30)
_STEP = 91
_CLIENTS = 8
Row = dict[str, Any]


@dataclass
class _Organisation:
    """The rows of one organisation as they are drawn."""

    code: str
    rng: np.random.Generator
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in schema.TABLE_NAMES})

    def add(self, table: str, **planned: Any) -> Row:
        """Add a row whose other columns are drawn from the schema."""
        row = {"organisation_id": self.code, **planned}
        for column in schema.table(table).columns:
            if column.name not in row:
                row[column.name] = _drawn(column, self.rng)
        self.rows[table].append(row)
        return row

    def days(self, low: int, high: int) -> dt.timedelta:
        """Return a number of days between two, both included."""
        return dt.timedelta(days=int(self.rng.integers(low, high + 1)))

    def chance(self, share: float) -> bool:
        """Return true in a share of the calls."""
        return bool(self.rng.random() < share)


def dummy_data(participants: int = 40, organisations: int = 1, seed: int = 1) -> Study:
    """Draw tables that satisfy the schema and every rule, without any model behind them.

    For trying out loaders, templates and pipelines, and as the valid study that tests of the rules spoil. Nothing in
    them goes with anything else: there is no effect to find.

    Parameters
    ----------
    participants : int
        How many in all; spread over the organisations.
    organisations : int
    seed : int
        The same seed gives the same tables.

    Returns
    -------
    Study

    Raises
    ------
    BipstudyError
        Fewer than four participants for an organisation, or no organisation.

    Examples
    --------
    >>> study = dummy_data(participants=8)
    >>> len(study.participants), study.organisations["organisation_id"].tolist()
    (8, ['ORG01'])
    """
    if organisations < 1 or participants < 4 * organisations:
        raise BipstudyError("simulation.too_few_dummies", least=4 * max(organisations, 1))
    streams = np.random.SeedSequence(seed).spawn(organisations)
    rows: dict[str, list[Row]] = {name: [] for name in schema.TABLE_NAMES}
    for number, stream in enumerate(streams):
        count = participants // organisations + (number < participants % organisations)
        drawn = _organisation(f"ORG{number + 1:02d}", count, np.random.default_rng(stream))
        for name, own in drawn.rows.items():
            rows[name] += own
    tables = {name: _table(name, own) for name, own in rows.items()}
    return Study(tables=tables, sent=frozenset(name for name, frame in tables.items() if len(frame)))


def _table(name: str, rows: list[Row]) -> pd.DataFrame:
    """Return the rows of a table in canonical form."""
    if not rows:
        return schema.empty(name)
    frame = pd.DataFrame(rows)
    for column in schema.table(name).columns:
        if column.kind == "date":
            frame[column.name] = pd.to_datetime(frame[column.name])
    return schema.conform(name, frame)


def _drawn(column: schema.Column, rng: np.random.Generator) -> Any:
    """Return a value by what the schema says of a column; keys and dates are planned and stay empty here."""
    if column.kind == "code":
        return str(rng.choice(schema.code_list(str(column.codes)).values))
    if column.kind == "boolean":
        return bool(rng.random() < 0.5)
    if column.kind in ("integer", "number"):
        low = 0.0 if column.minimum is None else column.minimum
        high = low + 1 if column.maximum is None else column.maximum
        value = rng.uniform(low, high)
        return int(value) if column.kind == "integer" else round(float(value), 2)
    if column.kind == "year":
        return int(rng.integers(2000, 2023))
    return "E1" if column.name == "unit_id" else None


def _organisation(code: str, count: int, rng: np.random.Generator) -> _Organisation:
    """Draw the rows of one organisation."""
    drawn = _Organisation(code, rng)
    drawn.add("organisations", name=f"Exempelorganisation {code[-2:]}", joined_on=_OPENED)
    workers = [f"H{number:02d}" for number in range(1, max(2, count // _CLIENTS) + 1)]
    for worker in workers:
        drawn.add("caseworkers", caseworker_id=worker, unit_id=f"E{drawn.rng.integers(1, 4)}")
        drawn.add("trainings", caseworker_id=worker, kind="basic", held_on=_OPENED - drawn.days(10, 60))
    for number in range(count):
        _participant(drawn, f"D{number + 1:03d}", workers[number % len(workers)], workers[(number + 1) % len(workers)])
    return drawn


def _participant(drawn: _Organisation, person: str, worker: str, successor: str) -> None:
    """Draw a participant and everything that happens."""
    entered = _OPENED + drawn.days(0, 170)
    first = entered + drawn.days(7, 20)
    leaves = drawn.chance(0.5)
    last_number = (_EXTRACTED - first - dt.timedelta(days=20)).days // _STEP + 1
    number = int(drawn.rng.integers(2, last_number)) if leaves else last_number
    due = [first + dt.timedelta(days=_STEP * step) for step in range(number)]
    left = due[-1] + drawn.days(20, 60) if leaves else None
    reason = _outcome(drawn, person, left) if left else None
    key = {"participant_id": person}
    drawn.add(
        "participants",
        **key,
        unit_id=f"E{drawn.rng.integers(1, 4)}",
        entered_on=entered,
        left_on=left,
        left_reason=reason,
        observed_until=_EXTRACTED,
        observed_until_reason="extract_end",
    )
    changed = due[0] + drawn.days(10, 50) if drawn.chance(0.3) else None
    _assignments(drawn, key, (worker, successor), entered, changed, left)
    for step, day in enumerate(due):
        theirs = successor if changed is not None and day > changed else worker
        for respondent in schema.code_list("respondent").values:
            _form(drawn, {**key, "occasion": step + 1, "respondent": respondent}, day, theirs, sure=step == 0)
    _activities(drawn, key, entered, left or _EXTRACTED)


def _assignments(
    drawn: _Organisation,
    key: Row,
    workers: tuple[str, str],
    entered: dt.date,
    changed: dt.date | None,
    left: dt.date | None,
) -> None:
    """Draw the main caseworkers, one after the other."""
    common = {**key, "responsibility": "main"}
    if changed is None:
        drawn.add(
            "assignments",
            **common,
            caseworker_id=workers[0],
            start=entered,
            end=left,
            ongoing=left is None,
            change_reason=None,
        )
        return
    drawn.add("assignments", **common, caseworker_id=workers[0], start=entered, end=changed, ongoing=False)
    drawn.add(
        "assignments",
        **common,
        caseworker_id=workers[1],
        start=changed + dt.timedelta(days=1),
        end=left,
        ongoing=left is None,
        change_reason=None,
    )


def _form(drawn: _Organisation, key: Row, due: dt.date, worker: str, *, sure: bool) -> None:
    """Draw a form: most are answered, with a reason where an answer is missing."""
    statuses = schema.code_list("form_status").values
    status = "answered" if sure or drawn.chance(0.85) else str(drawn.rng.choice(statuses))
    by_caseworker = key["respondent"] == "caseworker"
    row = drawn.add(
        "measurements",
        **key,
        instrument=schema.DEFAULT_INSTRUMENT,
        caseworker_id=worker if by_caseworker else None,
        answered_on=due + drawn.days(0, 6) if status in ("answered", "declined") else None,
        due_on=due,
        form_status=status,
    )
    instrument = schema.instrument()
    asked = instrument.asked_of(key["respondent"]) if status == "answered" else []
    for position, item_id in enumerate(asked):
        item = instrument.item(item_id)
        if position == 0 or not drawn.chance(0.04):
            # Every other item from either half of the scale: whole forms neither stand still nor jump.
            middle = (item.minimum + item.maximum) // 2
            low, high = (item.minimum, middle) if position % 2 else (middle, item.maximum)
            row[item_id] = int(drawn.rng.integers(low, high + 1))
        else:
            drawn.add("missing_answers", **key, instrument=schema.DEFAULT_INSTRUMENT, item=item_id)


def _activities(drawn: _Organisation, key: Row, entered: dt.date, until: dt.date) -> None:
    """Draw up to three activities, one after the other."""
    start = entered + drawn.days(0, 30)
    for number in range(int(drawn.rng.integers(0, 4))):
        planned = start + drawn.days(20, 120)
        ends = planned <= until
        if start > until - dt.timedelta(days=10):
            return
        focus, second = drawn.rng.choice(schema.code_list("focus").values, 2, replace=False).tolist()
        drawn.add(
            "activities",
            **key,
            activity_id=f"A{number + 1}",
            focus=focus,
            second_focus=second if drawn.chance(0.3) else None,
            start=start,
            planned_end=planned,
            end=planned if ends else None,
            ongoing=not ends,
            end_reason="completed" if ends else None,
        )
        start = planned + drawn.days(1, 40)


def _outcome(drawn: _Organisation, person: str, left: dt.date) -> str:
    """Draw an outcome for most of those who left, and return the reason for leaving that fits it."""
    codes = schema.code_list("outcome_status").codes
    code = codes[int(drawn.rng.integers(len(codes)))]
    start = left + drawn.days(1, 8)
    if drawn.chance(0.3) or start >= _EXTRACTED:
        return "completed"
    length = int(drawn.rng.integers(5, 200))
    ended = start + dt.timedelta(days=length - 1) <= _EXTRACTED
    drawn.add(
        "outcomes",
        participant_id=person,
        outcome_id="U1",
        status=code.value,
        start=start,
        end=start + dt.timedelta(days=length - 1) if ended else None,
        ongoing=not ended,
        lasted_a_month=None if not ended else "yes" if length >= schema.transition("primary").minimum_days else "no",
    )
    return "completed" if code.cause is None else f"to_{code.cause}"
