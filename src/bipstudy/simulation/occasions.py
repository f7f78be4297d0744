"""When participants are measured, until when they are followed, and which forms are filled in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.simulation.cohort import QUARTER_DAYS, Bools, Cohort, Floats, Ints, day_number, to_weekday
from bipstudy.simulation.course import Changes, logit
from bipstudy.simulation.events import OLDEST, Transitions
from bipstudy.simulation.scenario import Scenario

PARTICIPANT, CASEWORKER = 0, 1
ANSWERED, DECLINED, NOT_REACHED, NOT_DONE = range(4)
EXTRACT_END, MOVED, DIED, RETIRED, SICKNESS_BENEFIT, LOST = range(6)
COMPLETED, DROPPED_OUT, TO_WORK, TO_STUDY, LEFT_MOVED, ILLNESS, OTHER = range(7)
_LAG_LIMIT = 14
_NEVER = 10**7


@dataclass(frozen=True)
class FollowUp:
    """How long N participants are followed.

    Attributes
    ----------
    observed_until : (N,) int
        Last day on which outcomes are known.
    reason : (N,) int
        Code of the reason, in the order of `EXTRACT_END` ... `LOST`.
    transition : (N,) int
        First day of the transition; far in the future if none is observed.
    left : (N,) int
        Last day in the programme; far in the future while it goes on.
    left_reason : (N,) int
        In the order of `COMPLETED` ... `OTHER`.
    """

    observed_until: Ints
    reason: Ints
    transition: Ints
    left: Ints
    left_reason: Ints

    @property
    def programme_end(self) -> Ints:
        """Last day on which anything in the programme is known."""
        return np.minimum(self.left, self.observed_until)

    @property
    def still_there(self) -> Bools:
        """Whether the programme goes on at the end of follow-up."""
        return self.left >= self.observed_until


@dataclass(frozen=True)
class Forms:
    """F forms, ordered by participant, occasion and respondent (the participant's first).

    Attributes
    ----------
    person, quarter, occasion : (F,) int
        `quarter` is the round of the plan, from 0; `occasion` numbers what is recorded, from 1.
    respondent, status : (F,) int
    day : (F,) int
        Day of the form, where answered or declined.
    due : (F,) int
    caseworker : (F,) int
        The caseworker who answered or would have.
    """

    person: Ints
    quarter: Ints
    occasion: Ints
    respondent: Ints
    status: Ints
    day: Ints
    due: Ints
    caseworker: Ints


def draw_follow_up(scenario: Scenario, cohort: Cohort, transitions: Transitions, rng: np.random.Generator) -> FollowUp:
    """Draw ends of follow-up and of the programme.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    transitions : Transitions
    rng : Generator

    Returns
    -------
    FollowUp
    """
    given = scenario.exits
    count = cohort.size
    old = cohort.age == OLDEST
    waits = rng.standard_exponential((6, count))
    rates = (given.moved_rate, given.died_rate, given.retired_rate, given.sickness_benefit_rate, given.lost_rate)
    end = np.full(count, day_number(scenario.design.ends_on))
    reason = np.full(count, EXTRACT_END)
    for code, rate, wait in zip((MOVED, DIED, RETIRED, SICKNESS_BENEFIT, LOST), rates, waits, strict=False):
        day = _later(cohort.first, wait / max(rate, 1e-12))
        sooner = (day < end) & (old if code == RETIRED else True)
        end, reason = np.where(sooner, day, end), np.where(sooner, code, reason)
    start = _later(cohort.first, transitions.time)
    observed = (start <= end) & (transitions.cause > 0)
    lag, which = rng.random((2, count))
    stays = lag < scenario.occasions.after_transition
    # Most leave the programme when they begin; a few stay on for a while.
    extra = np.where(stays, 110, np.floor(lag * 30)).astype(np.int64)
    leaves = _later(cohort.first, waits[5] / max(given.left_rate, 1e-12))
    gives_up = leaves < np.where(observed, start, _NEVER)
    left = np.where(gives_up, leaves, np.where(observed, start + extra, _NEVER))
    other = np.array([COMPLETED, DROPPED_OUT, DROPPED_OUT, ILLNESS, OTHER])[np.floor(which * 5).astype(np.int64)]
    cause = np.where(gives_up, other, np.where(transitions.cause == 1, TO_WORK, TO_STUDY))
    moves = (reason == MOVED) & (left > end)
    return FollowUp(
        observed_until=end,
        reason=reason,
        transition=np.where(observed, start, _NEVER),
        left=np.where(moves, end, left),
        left_reason=np.where(moves, LEFT_MOVED, cause),
    )


def _later(day: Ints, quarters: Floats) -> Ints:
    """Return the day some quarters after a day: at least the next one."""
    return day + np.minimum(np.ceil(quarters * QUARTER_DAYS), _NEVER).astype(np.int64)


def draw_forms(
    scenario: Scenario,
    cohort: Cohort,
    changes: Changes,
    follow_up: FollowUp,
    rng: dict[str, np.random.Generator],
) -> Forms:
    """Draw which occasions take place and which forms are filled in.

    Parameters
    ----------
    scenario : Scenario
    cohort : Cohort
    changes : Changes
    follow_up : FollowUp
    rng : dict of str to Generator

    Returns
    -------
    Forms
    """
    due, day, takes_place, planned = _schedule(scenario, cohort, changes, follow_up, rng["occasions"])
    draw = rng["forms"]
    shape = planned.shape
    pairing, which, early = draw.random(shape), draw.random(shape), draw.random(shape)
    given = scenario.occasions
    answered = np.empty((*shape, 2), dtype=bool)
    paired = pairing < given.paired
    by_caseworker = which < given.caseworker_only
    answered[..., PARTICIPANT] = takes_place & (paired | ~by_caseworker)
    answered[..., CASEWORKER] = takes_place & (paired | by_caseworker)
    recorded = draw.random((*shape, 2)) < given.recorded
    kept = answered | (planned[..., None] & recorded)
    person, quarter, respondent = np.nonzero(kept)
    count = len(person)
    done = answered[person, quarter, respondent]
    reason, lag = draw.random((2, count))
    declined = ~done & (reason < given.declined_share)
    status = np.select(
        [done, declined, reason < (1 + given.declined_share) / 2], [ANSWERED, DECLINED, NOT_REACHED], NOT_DONE
    )
    both = (answered[..., PARTICIPANT] & answered[..., CASEWORKER])[person, quarter]
    earlier = _lag(
        lag,
        both & ((early[person, quarter] < 0.5) == (respondent == PARTICIPANT)),
        day[person, quarter],
        cohort,
        person,
        quarter,
    )
    form_day = day[person, quarter] - earlier
    return Forms(
        person=person,
        quarter=quarter,
        occasion=_number(person, quarter),
        respondent=respondent,
        status=status,
        day=form_day,
        due=due[person, quarter],
        caseworker=_who_answers(scenario, cohort, changes, person, quarter, form_day, draw),
    )


def _schedule(
    scenario: Scenario, cohort: Cohort, changes: Changes, follow_up: FollowUp, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Bools, Bools]:
    """Return, participant by round: the day it is due, the day it takes place, whether it does, whether it was to."""
    given = scenario.occasions
    quarters = changes.moment.shape[1]
    count = cohort.size
    rounds = np.arange(quarters)
    due = to_weekday(cohort.first[:, None] + np.round(rounds * QUARTER_DAYS).astype(np.int64))
    jitter = np.rint(given.jitter_days * rng.standard_normal((count, quarters))).clip(-28, 28).astype(np.int64)
    jitter[:, 0] = 0
    day = to_weekday(due + jitter)
    uniform = rng.random((3, count, quarters))
    stop = logit(given.stop_rate) + given.stop_readiness * cohort.readiness
    stays = uniform[0] >= (1 / (1 + np.exp(-stop)))[:, None]
    stays[:, 0] = True
    boosted = cohort.boost[changes.caseworker[:, :quarters]] <= day
    odds = logit(given.response) + scenario.caseworkers.boost_log_odds * boosted
    responds = uniform[1] < 1 / (1 + np.exp(-odds))
    responds[:, 0] = True
    last = follow_up.programme_end[:, None]
    before = (day < follow_up.transition[:, None]) & (day <= last)
    # One more measurement after the transition, of those who stay on in the programme.
    after = ~before & (day <= last) & (day < follow_up.transition[:, None] + 100)
    after &= np.cumsum(after, axis=1) == 1
    before[:, 0] = True
    planned = (before | after) & np.logical_and.accumulate(stays, axis=1)
    return due, day, planned & responds, planned


def _lag(uniform: Floats, early: Bools, day: Ints, cohort: Cohort, person: Ints, quarter: Ints) -> Ints:
    """Return how many days before the occasion's other form a form is filled in: mostly none, never before entry."""
    days = np.floor((uniform * 3 - 2).clip(0) * (_LAG_LIMIT + 1)).astype(np.int64)
    room = np.where(quarter == 0, day - cohort.entered[person], _LAG_LIMIT)
    lag = np.where(early, np.minimum(days, room), 0)
    # A form on a weekend would be odd: it is moved to the day of the other one.
    return np.where((day - lag + 3) % 7 >= 5, 0, lag)


def _number(person: Ints, quarter: Ints) -> Ints:
    """Return the number of each recorded round of a participant, from 1."""
    new_person = np.diff(person, prepend=-1) != 0
    new_round = new_person | (np.diff(quarter, prepend=-1) != 0)
    running = np.cumsum(new_round)
    before = running[np.maximum.accumulate(np.where(new_person, np.arange(len(person)), 0))]
    number: Ints = running - before + 1
    return number


def _who_answers(
    scenario: Scenario,
    cohort: Cohort,
    changes: Changes,
    person: Ints,
    quarter: Ints,
    day: Ints,
    rng: np.random.Generator,
) -> Ints:
    """Return the caseworker of each form: the main one of the day, seldom a colleague of the same unit."""
    since = (day - cohort.first[person]) / QUARTER_DAYS
    place = np.clip(np.floor(since).astype(np.int64), 0, changes.moment.shape[1] - 1)
    later = since - place >= changes.moment[person, place]
    main = changes.caseworker[person, place + later].astype(np.int64)
    stands_in, pick = rng.random((2, len(person)))
    unit = cohort.caseworker_unit[main]
    there = cohort.active(unit, day.astype(np.float64))
    colleague = cohort.unit_start[unit] + np.floor(pick * there).astype(np.int64)
    return np.where(stands_in < scenario.occasions.colleague_share, colleague, main)
