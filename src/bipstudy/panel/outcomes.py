"""Transitions into work or study by definition, and how long each participant is followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.panel.coding import Coded
from bipstudy.panel.days import FAR, Bools, Ints, cover, first_days, key, last_days
from bipstudy.schema import Transition
from bipstudy.study import Study

# The events of a participant, as numbers for the models: the value of `cause`.
CAUSES = {"none": 0, "work": 1, "study": 2, "competing": 3}

# Why follow-up ends, beyond the reasons of the table: the participant left a programme that alone knows of outcomes,
# or began a spell of which nobody knows whether it was long enough.
LEFT_PROGRAMME = "left_programme"
UNKNOWN_LENGTH = "unknown_length"

_NO, _UNKNOWN, _YES = 0, 1, 2


@dataclass(frozen=True)
class Records:
    """Spells of work, study or work training as recorded, after the sources were ranked; one entry each.

    Attributes
    ----------
    person : ndarray of int64, shape (n,)
    status : ndarray of object, shape (n,)
    start_first, start_last : ndarray of int64, shape (n,)
        Earliest and latest reading of the first day.
    end_first, end_last : ndarray of int64, shape (n,)
        Earliest and latest reading of the last day; `FAR` where it may be any day.
    length : ndarray of int64, shape (n,)
        0 surely shorter than the minimum, 2 surely as long, 1 unknown; 2 without a minimum.
    end_known : ndarray of bool, shape (n,)
        Whether the end is dated, or the spell ongoing at the end of observation.
    """

    person: Ints
    status: np.ndarray[tuple[int], np.dtype[np.object_]]
    start_first: Ints
    start_last: Ints
    end_first: Ints
    end_last: Ints
    length: Ints
    end_known: Bools

    def where(self, chosen: Bools | Ints) -> Records:
        """Return some of the entries."""
        return Records(**{name: values[chosen] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Spells:
    """Spells of a definition, those that touch or overlap joined, sorted by participant and start.

    Attributes
    ----------
    person, start, end : ndarray of int64, shape (n,)
        `start` is the earliest reading of the first day, `end` the latest of the last, `FAR` if it may be any.
    cause : ndarray of int64, shape (n,)
        Of the record that begins first; see `CAUSES`.
    counts, unknown : ndarray of bool, shape (n,)
        Whether the spell is a transition; whether its length is unknown and censors.
    """

    person: Ints
    start: Ints
    end: Ints
    cause: Ints
    counts: Bools
    unknown: Bools


@dataclass(frozen=True)
class FollowUp:
    """What is known of each participant's transition from an origin on; one entry per participant.

    Attributes
    ----------
    end : ndarray of int64, shape (participants,)
        Last day on which a transition would be known.
    reason : ndarray of object, shape (participants,)
        Why it ends.
    competing : ndarray of bool, shape (participants,)
        Whether it ends with a competing event on that day.
    transition : ndarray of int64, shape (participants,)
        Day of the first transition after the origin, `FAR` if none is known by `end`.
    cause : ndarray of int64, shape (participants,)
        Cause of the transition, 0 without one.
    in_status_until : ndarray of int64, shape (participants,)
        Last day of the spell that already ran at the origin, ``-FAR`` without one.
    """

    end: Ints
    reason: np.ndarray[tuple[int], np.dtype[np.object_]]
    competing: Bools
    transition: Ints
    cause: Ints
    in_status_until: Ints


def read_records(study: Study, coded: Coded, minimum_days: int) -> Records:
    """Read the spells of a study and rank their sources.

    A record is left out if a higher source (register, follow-up system, caseworker, self-report) knows a spell of the
    same kind, work or study, on any of the same days: what the higher source says of it holds. Work training counts as
    work here, since a lower source may take it for a job.

    Parameters
    ----------
    study : Study
    coded : Coded
    minimum_days : int
        Shortest spell that counts, for `Records.length`.

    Returns
    -------
    Records
    """
    table = study.outcomes
    person = coded.person["outcomes"]
    start_first, start_last = first_days(table, "start"), last_days(table, "start")
    end_first, end_last = first_days(table, "end"), last_days(table, "end")
    observed = first_days(coded.participants, "observed_until")[np.maximum(person, 0)] if coded.count else person
    dated = end_first < FAR
    ongoing = ~dated & table["ongoing"].fillna(False).to_numpy(dtype=bool)
    # An ongoing spell has lasted to the end of observation at least, one without an end a day.
    end_first = np.where(dated, end_first, np.where(ongoing, observed, start_first))
    lasted = table["lasted_a_month"]
    length = _length(start_first, start_last, end_first, end_last, lasted, minimum_days)
    # Less than a month was reported, and the open spell had not lasted longer when last seen.
    month = schema.transition("primary").minimum_days
    short = (lasted == "no").to_numpy(dtype=bool) & ~dated & (end_first - start_last + 1 < month)
    end_last = np.where(short, np.minimum(end_last, start_last + month - 2), end_last)
    records = Records(
        person=person,
        status=table["status"].to_numpy(dtype=object),
        start_first=start_first,
        start_last=start_last,
        end_first=end_first,
        end_last=end_last,
        length=length,
        end_known=dated | ongoing,
    )
    valid = (person >= 0) & (start_first < FAR) & (end_last >= start_first)
    ranks = {value: rank for rank, value in enumerate(schema.code_list("outcome_source").values)}
    rank = table["source"].map(ranks).fillna(len(ranks)).to_numpy(dtype=np.int64)
    return _rank_sources(records.where(valid), rank[valid])


def _length(
    start_first: Ints, start_last: Ints, end_first: Ints, end_last: Ints, lasted: pd.Series, minimum_days: int
) -> Ints:
    """Say of each spell whether it is long enough: by its dates if every reading agrees, else by what was reported."""
    if not minimum_days:
        return np.full(len(start_first), _YES, dtype=np.int64)
    shortest, longest = end_first - start_last + 1, end_last - start_first + 1
    reported = np.where(lasted == "yes", _YES, np.where(lasted == "no", _NO, _UNKNOWN))
    by_dates = np.where(shortest >= minimum_days, _YES, np.where(longest < minimum_days, _NO, reported))
    return by_dates.astype(np.int64)


def _rank_sources(records: Records, rank: Ints) -> Records:
    """Leave out what a higher source knows, from the highest source down."""
    kinds = _kinds(records.status)
    kept = np.zeros(len(rank), dtype=bool)
    group = records.person * 2 + kinds
    for level in np.unique(rank):
        here = np.flatnonzero(rank == level)
        above = cover(group[kept], records.start_first[kept], np.minimum(records.end_last[kept] + 1, FAR))
        known = above.days(group[here], records.start_first[here], np.minimum(records.end_last[here] + 1, FAR))
        kept[here[known == 0]] = True
    return records.where(kept)


def _kinds(status: np.ndarray[tuple[int], np.dtype[np.object_]]) -> Ints:
    """Return 1 for study and 0 for work, work training included."""
    study = [code.value for code in schema.code_list("outcome_status").codes if code.cause == "study"]
    return np.isin(status.astype(str), study).astype(np.int64)


def join_spells(records: Records, definition: Transition) -> Spells:
    """Join the records of a definition that touch or overlap, and judge the length of what results.

    With imprecise dates records are joined where some reading makes them touch; a record of unknown length that has no
    end reaches no further than is known, or the next spell, years later, would tell how long it was. The joined spell
    is long enough if one of its records is, or those that touch by every reading are together; too short if no reading
    makes it long enough.

    Parameters
    ----------
    records : Records
    definition : Transition

    Returns
    -------
    Spells
    """
    of_definition = np.isin(records.status.astype(str), list(definition.causes))
    chosen = records.where(of_definition)
    causes = {status: CAUSES[cause] for status, cause in definition.causes.items()}
    cause = np.array([causes[status] for status in chosen.status], dtype=np.int64)
    # Work before study where both begin on one day.
    order = np.lexsort((cause, chosen.start_first, chosen.person))
    chosen, cause = chosen.where(order), cause[order]
    person, start = chosen.person, chosen.start_first
    reach = np.where(~chosen.end_known & (chosen.length == _UNKNOWN), chosen.end_first, chosen.end_last)
    first = _heads(key(person, start), key(person, np.minimum(reach + 1, FAR)))
    if not len(first):
        nothing, never = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
        return Spells(nothing, nothing, nothing, nothing, never, never)
    group = np.cumsum(first) - 1
    head = np.flatnonzero(first)
    end = np.maximum.reduceat(chosen.end_last, head)
    surely = _surely_long(chosen, definition.minimum_days, group, len(head))
    alone = np.bincount(group) == 1
    never = (end - start[head] + 1 < definition.minimum_days) | (alone & (chosen.length[head] == _NO))
    counts = surely | (definition.counts_unknown_length & ~never)
    return Spells(
        person=person[head],
        start=start[head],
        end=end,
        cause=cause[head],
        counts=counts,
        unknown=~counts & ~never,
    )


def _surely_long(records: Records, minimum_days: int, group: Ints, groups: int) -> Bools:
    """Say of each joined spell whether every reading of its dates makes it long enough."""
    long = np.bincount(group, weights=records.length == _YES, minlength=groups) > 0
    # Touching by every reading: the days that all readings of a record share reach those of the next.
    sure = np.flatnonzero(records.end_first >= records.start_last)
    if not len(sure):
        return long
    order = sure[np.lexsort((records.start_last[sure], group[sure]))]
    start, end, of = records.start_last[order], records.end_first[order], group[order]
    head = np.flatnonzero(_heads(key(of, start), key(of, np.minimum(end + 1, FAR))))
    lasts = np.maximum.reduceat(end, head) - start[head] + 1
    long[of[head[lasts >= minimum_days]]] = True
    return long


def _heads(start: Ints, stop: Ints) -> Bools:
    """Mark, in stretches sorted by start, each that neither touches nor overlaps any before it."""
    reach = np.maximum.accumulate(stop) if len(stop) else stop
    return np.concatenate([[True], start[1:] > reach[:-1]])[: len(start)]


def follow(coded: Coded, spells: Spells, definition: Transition, origin: Ints) -> FollowUp:
    """Say until when each participant is followed and what happens first after an origin.

    Parameters
    ----------
    coded : Coded
    spells : Spells
        Of the same definition.
    definition : Transition
    origin : ndarray of int64, shape (participants,)
        Day from which on a spell that begins is a transition; `FAR` for participants without one.

    Returns
    -------
    FollowUp
    """
    end, reason, competing = _ends(coded.participants, definition.minimum_days)
    zero = origin[spells.person]
    runs = (spells.start <= zero) & (spells.end >= zero)
    in_status_until = np.full(coded.count, -FAR, dtype=np.int64)
    prevalent = runs & spells.counts
    np.maximum.at(in_status_until, spells.person[prevalent], spells.end[prevalent])
    # Follow-up stops the day before a spell of unknown length, for that day may be the day of the transition.
    censors = spells.unknown & (spells.end >= zero)
    known = np.full(coded.count, FAR, dtype=np.int64)
    np.minimum.at(known, spells.person[censors], spells.start[censors] - 1)
    earlier = known < end
    end = np.where(earlier, known, end)
    reason = np.where(earlier, UNKNOWN_LENGTH, reason)
    competing = competing & ~earlier

    transition = np.full(coded.count, FAR, dtype=np.int64)
    cause = np.zeros(coded.count, dtype=np.int64)
    new = spells.counts & (spells.start > zero) & (spells.start <= end[spells.person])
    who, place = np.unique(spells.person[new], return_index=True)
    transition[who] = spells.start[new][place]
    cause[who] = spells.cause[new][place]
    return FollowUp(end, reason, competing, transition, cause, in_status_until)


def _ends(
    participants: pd.DataFrame, minimum_days: int
) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.object_]], Bools]:
    """Return the last day of each participant's follow-up, the reason, and whether it is a competing event."""
    reasons = participants["observed_until_reason"]
    competing = reasons.isin(schema.code_list("observed_until_reason").with_role("competes")).to_numpy(dtype=bool)
    # A spell recorded in the month of a competing event known only to the month began before it.
    end = np.where(
        competing,
        last_days(participants, "observed_until"),
        first_days(participants, "observed_until") - minimum_days,
    )
    left = first_days(participants, "left_on")
    leaves = (participants["outcome_follow_up"] == "programme_only").to_numpy(dtype=bool) & (left < end)
    reason = np.where(leaves, LEFT_PROGRAMME, reasons.to_numpy(dtype=object))
    return np.where(leaves, left, end), reason, competing & ~leaves
