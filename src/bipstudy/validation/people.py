"""Rules on who the rows are about: participants entered twice, and caseworkers with too few or too many of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.validation.bounds import Days
from bipstudy.validation.data import Data, in_order
from bipstudy.validation.forms import form_answers, form_status
from bipstudy.validation.rules import Hits, Outcome, at, check
from bipstudy.validation.structure import row_and_file

_PERSON = ("organisation_id", "participant_id")
_WORKER = ("organisation_id", "caseworker_id")
_NOT_BACKGROUND = {"organisation_id", "participant_id", "left_on", "left_reason"}
_FAR_AHEAD = 10**8


@check
def possible_duplicate_participant(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for participants with the same background, day of entry and first answers as another of the organisation."""
    person = data.groups("participants", _PERSON)
    first = _first_answers(data, int(threshold["items"])).reindex(person)
    known = np.flatnonzero(first.notna().to_numpy(dtype=bool) & (person >= 0) & ~pd.Series(person).duplicated())
    # Few share entry and answers; the whole background is compared for those alone.
    entered = data.bounds("participants", "entered_on").low[known]
    shared = pd.DataFrame({"entered": entered, "answers": first.iloc[known].to_numpy()}).duplicated(keep=False)
    if not shared.any():
        return Outcome(len(known))
    background = [column.name for column in schema.table("participants").columns if column.name not in _NOT_BACKGROUND]
    few = data.tables["participants"].iloc[known[shared]][["organisation_id", *background]]
    few = few.assign(answers=first.iloc[known[shared]].to_numpy())
    number = few.groupby(list(few.columns), dropna=False, sort=False).ngroup()
    rows = few.index.to_numpy(dtype=np.int64)
    first_row = pd.Series(rows, index=few.index).groupby(number).transform("first").to_numpy(dtype=np.int64)
    again = rows != first_row
    if not again.any():
        return Outcome(len(known))
    each = {"first_row": row_and_file(data.provenance["participants"], rows[again], first_row[again])}
    return Outcome(len(known), (Hits("participants", rows[again], "participant_id", each=each),))


@check
def caseworker_with_one_client(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Look for caseworkers with a single participant where the others of the organisation have several."""
    worker = data.groups("caseworkers", _WORKER)
    clients = _clients(data).reindex(worker).to_numpy(dtype=np.float64)
    organisation = data.groups("caseworkers", ("organisation_id",))
    usual = pd.Series(clients).groupby(organisation).transform("median").to_numpy()
    judged = (worker >= 0) & ~np.isnan(clients) & (usual >= threshold["others_have"])
    return Outcome(int(judged.sum()), at("caseworkers", "caseworker_id", judged & (clients == 1)))


@check
def caseworker_with_many_clients(data: Data, threshold: Mapping[str, float]) -> Outcome:
    """Compare the most participants that a caseworker is responsible for on one day with what one person can have."""
    worker, person = data.groups("assignments", _WORKER), data.groups("assignments", _PERSON)
    start, end = data.bounds("assignments", "start"), data.bounds("assignments", "end")
    main = (data.tables["assignments"]["responsibility"] == "main").to_numpy(dtype=bool)
    taken = main & start.known & (worker >= 0) & (person >= 0)
    until = data.bounds("participants", "observed_until").take(data.lookup("assignments", "participants", _PERSON))
    last = np.where(until.known, until.high, _FAR_AHEAD)
    # A period that is said to have ended, nobody knows when, surely lasted no longer than its first day.
    stopped = (data.tables["assignments"]["ongoing"] == False).fillna(False).to_numpy(dtype=bool)  # noqa: E712 - missing is not False here
    surely = np.where(end.known, end.low, np.where(stopped, start.high, last))
    certain = _most_at_once(worker[taken], start.high[taken], surely[taken])
    possible = _most_at_once(worker[taken], start.low[taken], np.where(end.known, end.high, last)[taken])
    mine = data.groups("caseworkers", _WORKER)
    most, perhaps = (found.reindex(mine).fillna(0).to_numpy() for found in (certain, possible))
    limit = threshold["clients"]
    values: dict[str, object] = {"clients": int(limit)}
    invalid, unsure = most > limit, (perhaps > limit) & (most <= limit)
    return Outcome(int((perhaps > 0).sum()), at("caseworkers", "caseworker_id", invalid, unsure, values))


def _first_answers(data: Data, least: int) -> pd.Series:
    """Return a number for day and answers of the first answered form of each participant, by participant."""
    frame, day = data.tables["measurements"], data.bounds("measurements", "answered_on")
    person = data.groups("measurements", _PERSON)
    theirs = data.holds("measurements", "respondent", "participant") & form_status(data, "answered")
    occasion = frame["occasion"].to_numpy(dtype=np.int64, na_value=_FAR_AHEAD)
    taken = np.flatnonzero(theirs & (person >= 0) & day.known)
    order = taken[in_order(person[taken], occasion[taken])]
    first = order[np.diff(person[order], prepend=-2) != 0]
    number = day.low[first].astype(np.uint64)
    given = np.zeros(len(first), dtype=np.int64)
    for item in schema.items():
        values, there = form_answers(data, item)
        number = number * np.uint64(1_000_003) + np.where(there[first], values[first].astype(np.int64) + 1, 0).astype(
            np.uint64
        )
        given += there[first]
    enough = given >= least
    return pd.Series(number[enough], index=person[first][enough])


def _clients(data: Data) -> pd.Series:
    """Return the number of participants of each caseworker, by assignment or by form."""
    pairs = [
        pd.DataFrame({"worker": data.groups(name, _WORKER), "person": data.groups(name, _PERSON)})
        for name in ("assignments", "measurements")
        if name in data.tables
    ]
    if not pairs:
        return pd.Series(index=pd.Index([], dtype="int64"), dtype="float64")
    every = pd.concat(pairs, ignore_index=True)
    every = every[(every["worker"] >= 0) & (every["person"] >= 0)].drop_duplicates()
    return every.groupby("worker").size().astype("float64")


def _most_at_once(worker: Days, start: Days, end: Days) -> pd.Series:
    """Return the most spells that each caseworker has on one day."""
    kept = end >= start
    worker, start, end = worker[kept], start[kept], end[kept]
    who = np.concatenate([worker, worker])
    day = np.concatenate([start, end + 1])
    change: npt.NDArray[np.int64] = np.repeat([1, -1], len(worker))
    # On one day those that end leave before those that start arrive.
    order = np.lexsort((change, day, who))
    running = pd.Series(change[order]).groupby(who[order]).cumsum()
    return running.groupby(who[order]).max()
