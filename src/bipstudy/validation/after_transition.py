"""The rule on answers after the transition into work or study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Bounds, Days, Mask
from bipstudy.validation.data import Data
from bipstudy.validation.rules import Outcome, at, check

_PERSON = ("organisation_id", "participant_id")


@check
def answer_after_transition(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for answers after the participant's first spell that began after the first answer.

    Spells of the primary definition that touch count as one. A spell that began before the first answer is no
    transition, and one whose length is not known to reach the minimum is left aside.
    """
    person, owner = data.groups("measurements", _PERSON), data.groups("outcomes", _PERSON)
    answered = data.bounds("measurements", "answered_on")
    taken = answered.known & data.holds("measurements", "form_status", "answered") & (person >= 0)
    moved = _transitions(data, owner, _earliest(person[taken], answered.low[taken], answered.high[taken]))
    day = moved.reindex(person)
    known = taken & day["low"].notna().to_numpy(dtype=bool)
    low, high = (day[side].fillna(0).to_numpy(dtype=np.int64) for side in ("low", "high"))
    transition = Bounds(low, high, known)
    _, certain, unsure = transition.before(Bounds(answered.low, answered.high, taken))
    return Outcome(int(taken.sum()), at("measurements", "answered_on", certain, unsure))


def _earliest(person: Days, low: Days, high: Days) -> pd.DataFrame:
    """Return the first and last day that the earliest event of each person can be."""
    return pd.DataFrame({"low": low, "high": high}).groupby(person).min()


def _transitions(data: Data, owner: Days, first: pd.DataFrame) -> pd.DataFrame:
    """Return the day, as bounds, of the transition of each person who has one."""
    definition = schema.transition("primary")
    frame = data.tables["outcomes"]
    start = data.bounds("outcomes", "start")
    counts = start.known & frame["status"].isin(list(definition.causes)).to_numpy(dtype=bool) & (owner >= 0)
    end_low, end_high = _ends(data, start)
    spells = pd.DataFrame(
        {
            "person": owner,
            "low": start.low,
            "high": start.high,
            "end_low": end_low,
            "end_high": end_high,
            "lasted": (frame["lasted_a_month"] == "yes").to_numpy(dtype=bool),
        }
    )[counts].sort_values(["person", "low", "end_high"], kind="stable")
    reached = spells.groupby("person")["end_high"].cummax().groupby(spells["person"]).shift()
    begins = reached.isna() | (spells["low"] > reached + 1)
    blocks = spells.groupby([spells["person"], begins.cumsum()]).agg(
        {"low": "min", "high": "min", "end_low": "max", "lasted": "any"}
    )
    long_enough = (blocks["end_low"] - blocks["high"] + 1 >= definition.minimum_days) | blocks["lasted"]
    persons = blocks.index.get_level_values("person")
    after = blocks["low"].to_numpy() > first["high"].reindex(persons).fillna(np.inf).to_numpy()
    kept = blocks[long_enough.to_numpy() & after]
    return kept.groupby(level="person")[["low", "high"]].min()


def _ends(data: Data, start: Bounds) -> tuple[Days, Days]:
    """Return the first and last day that each spell can end; an ongoing one lasts as long as it is followed."""
    frame = data.tables["outcomes"]
    end = data.bounds("outcomes", "end")
    low = np.where(end.known, end.low, start.high)
    high = np.where(end.known, end.high, start.high)
    ongoing: Mask = frame["ongoing"].fillna(False).to_numpy(dtype=bool) & ~end.known
    if "participants" in data.tables:
        until = data.bounds("participants", "observed_until").take(data.lookup("outcomes", "participants", _PERSON))
        followed = ongoing & until.known
        low = np.where(followed, np.maximum(low, until.low), low)
        high = np.where(followed, np.maximum(high, until.high), high)
    return low, high
