"""Activities counted again from the tables: what ran day by day in an interval, and which focuses lay side by side.

As in `recount`, by loops over people and days, from the definitions in words alone.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from recount import NEVER, Person, at_risk, outcome, row_of

from bipstudy import schema

SIDE_BY_SIDE = 14
Span = tuple[int, int]


def runs(activity: dict[str, Any], span: Span) -> set[int]:
    """Days of a span on which an activity runs; the span ends before its last day."""
    return set(range(max(activity["start"], span[0]), min(activity["last"] + 1, span[1])))


def active(person: Person, span: Span, focuses: set[str] | None = None) -> float:
    """Share of the days of a span with an activity, of some focus or of any."""
    found: set[int] = set()
    for activity in person.activities:
        if focuses is None or activity["focuses"] & focuses:
            found |= runs(activity, span)
    return len(found) / (span[1] - span[0])


def side_by_side(person: Person, span: Span, one: set[str] | None = None, other: set[str] | None = None) -> bool:
    """Whether two activities, with these focuses, ran on the same days of a span, at least fourteen together."""
    found: set[int] = set()
    for each, next_one in combinations(person.activities, 2):
        for first, second in ((each, next_one), (next_one, each)):
            if (one is None or first["focuses"] & one) and (other is None or second["focuses"] & other):
                found |= runs(first, span) & runs(second, span)
    return len(found) >= SIDE_BY_SIDE


def kind(person: Person, span: Span) -> str:
    """What an interval held: none, one focus, or several, a job among them side by side with another or not."""
    held: set[str] = set()
    for activity in person.activities:
        if runs(activity, span):
            held |= activity["focuses"]
    others = held - {"job"}
    if not held:
        return "none"
    if "job" in held and not others:
        return "job"
    if "job" in held:
        # The other activity may have a job focus too, as long as it has another beside it.
        return "job_parallel" if any(side_by_side(person, span, {"job"}, {each}) for each in others) else "job_in_turn"
    if held == {"study"}:
        return "study"
    return "other" if len(held) == 1 else "mixed"


def asked() -> list[str]:
    """The participant's items, all turned so that more is readier."""
    items = schema.items()
    assert all(item.direction == "higher_is_readier" for item in items.values())
    return [f"p_{item.id}" for item in items.values() if "participant" in item.respondents]


def intervals(everybody: list[Person], horizon: int, washout: int = 30) -> pd.DataFrame:
    """Intervals of at least four weeks that end with an occasion at risk, and what followed each."""
    items = asked()
    firsts = pd.DataFrame([person.occasions[0] for person in everybody if person.zero < NEVER]).reindex(columns=items)
    unit = firsts.std(ddof=1).to_numpy()
    sent = {person.row["organisation_id"] for person in everybody if person.activities}
    rows = []
    for person in everybody:
        ends = [person.entered, *(occasion["day"] for occasion in person.occasions)]
        for number, occasion in enumerate(person.occasions):
            day = occasion["day"]
            span = (ends[number], day)
            if not at_risk(person, day, washout) or day - span[0] < 28 or person.row["organisation_id"] not in sent:
                continue
            after = np.nan
            later = person.occasions[number + 1 : number + 2]
            if later and later[0]["day"] < person.transition:
                moved = np.array([later[0].get(name, np.nan) - occasion.get(name, np.nan) for name in items]) / unit
                if not np.isnan(moved).all():
                    after = np.nanmean(moved) / ((later[0]["day"] - day) / (365.25 / 4))
            rows.append(
                {
                    **row_of(person, day),
                    "y": outcome(person, day, horizon)[0],
                    "months": (day - person.entered) / (365.25 / 12),
                    "cluster": person.cluster(day, occasion["form"]),
                    "kind": kind(person, span),
                    **{name: occasion.get(name, np.nan) for name in items},
                    "progression": after,
                }
            )
    frame = pd.DataFrame(rows)
    answers = frame[items].astype(float)
    # The level is the mean of the answers given, each in standard deviations over these occasions.
    frame["level"] = ((answers - answers.mean()) / answers.std(ddof=1)).mean(axis=1)
    return frame


def without_events(matrix: np.ndarray, response: np.ndarray, own: int) -> tuple[list[int], np.ndarray]:
    """Columns left when levels without an event go, and the rows in such a level of anything but the first `own`.

    Their coefficient is at infinity: those rows have no risk and tell nothing of the others.
    """
    columns, gone = list(range(matrix.shape[1])), np.zeros(len(response), dtype=bool)
    for place in columns[1:]:
        level = matrix[:, place] == 1.0
        if np.isin(matrix[:, place], (0.0, 1.0)).all() and level.any() and not response[level].any():
            # What the exposures have without an event is set to something else where risks are standardised.
            assert place >= own or place > 1
            columns.remove(place)
            gone |= level & (place >= own)
    return columns, gone


def mended(covariance: np.ndarray) -> np.ndarray:
    """A two-way covariance without negative eigenvalues, which are sought in units of the errors."""
    unit = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    found: np.ndarray = (vectors * np.clip(values, 0.0, None)) @ vectors.T * np.outer(unit, unit)
    return found
