"""The canonical tables of a simulated study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.simulation import occasions
from bipstudy.simulation.answers import ITEMS, Answers
from bipstudy.simulation.cohort import QUARTER_DAYS, Bools, Cohort, Ints, day_number, to_weekday
from bipstudy.simulation.course import Activities, Changes
from bipstudy.simulation.frames import boolean, date, frame, integer, number, text
from bipstudy.simulation.occasions import FollowUp, Forms
from bipstudy.simulation.scenario import Scenario
from bipstudy.simulation.spells import STATUSES, Spells, programme_only

EXTRACT_REASONS = ("extract_end", "moved", "died", "retired", "permanent_sickness_benefit", "lost")
LEFT_REASONS = ("completed", "dropped_out", "to_work", "to_study", "moved", "illness", "other")
_FOCUS = ("job", "study", "skills", "health", "social")
_RESPONDENTS = ("participant", "caseworker")
_STATUS = ("answered", "declined", "not_reached", "not_done")
_MISSING = ("dont_know", "declined", "not_asked", "unreadable")
_PRECISIONS = ("day", "month", "quarter")
_SOURCES = ("register", "follow_up_system", "caseworker", "self_report")
_ROLES = ("municipal", "employment_service", "social_insurance", "health_care")
_MODES = ("with_caseworker", "alone", "phone", "digital")
_SUPPORT = (
    "social_assistance", "sickness_benefit", "activity_compensation", "unemployment_benefit", "activity_support",
    "introduction_benefit", "parental_benefit", "student_aid", "none", "other",
)  # fmt: skip


class Keys:
    """Words for organisations, units, participants and caseworkers; local numbers begin anew in each organisation."""

    def __init__(self, cohort: Cohort, organisations: int, units: int) -> None:
        self.cohort = cohort
        self.organisations = [f"ORG{number:02d}" for number in range(1, organisations + 1)]
        self.units = [f"E{number}" for number in range(1, units + 1)]
        self.person_number = _local(cohort.organisation)
        self.caseworker_number = _local(cohort.caseworker_organisation)
        self.people = _numbered("D", int(self.person_number.max()) + 1, 4)
        self.caseworkers = _numbered("H", int(self.caseworker_number.max()) + 1, 3)

    def of_person(self, person: Ints) -> dict[str, object]:
        """Return the key columns of rows that belong to participants."""
        return {
            "organisation_id": text(self.organisations, self.cohort.organisation[person]),
            "participant_id": text(self.people, self.person_number[person]),
        }

    def of_caseworker(self, caseworker: Ints, present: Bools | None = None) -> object:
        """Return the column of caseworkers' local numbers."""
        return text(self.caseworkers, self.caseworker_number[caseworker], present)


def _local(organisation: Ints) -> Ints:
    """Return the number of each row within its organisation, from 0; rows are ordered by organisation."""
    begins = np.diff(organisation, prepend=-1) != 0
    places = np.arange(len(organisation))
    return places - np.maximum.accumulate(np.where(begins, places, 0))


def _numbered(letter: str, count: int, width: int) -> list[str]:
    """Return words that sort as their numbers do."""
    digits = max(width, len(str(count)))
    return [f"{letter}{number:0{digits}d}" for number in range(1, count + 1)]


def running(person: Ints) -> Ints:
    """Return the number of each row of a person, from 0; rows of a person stand together."""
    return _local(person)


def organisations_table(scenario: Scenario, keys: Keys) -> pd.DataFrame:
    """Build the table of organisations."""
    count = len(keys.organisations)
    every = np.arange(count)
    return frame(
        "organisations",
        {
            "organisation_id": text(keys.organisations, every),
            "name": text([f"Exempelorganisation {number}" for number in range(1, count + 1)], every),
            "kind": text([scenario.design.organisation_kind], every * 0),
            "joined_on": date(np.full(count, day_number(scenario.design.starts_on))),
        },
        count,
    )


def participants_table(
    scenario: Scenario, cohort: Cohort, follow_up: FollowUp, keys: Keys, rng: np.random.Generator
) -> pd.DataFrame:
    """Build the table of participants."""
    count = cohort.size
    known = rng.random((6, count)) >= scenario.people.unknown_share
    design = scenario.design
    lists = {
        name: schema.code_list(name).values for name in ("sex", "age_group", "birth_region", "education", "follow_up")
    }
    columns = {
        **keys.of_person(np.arange(count)),
        "unit_id": text(keys.units, cohort.unit % design.units_per_organisation),
        "entered_on": date(cohort.entered),
        "sex": text(lists["sex"], cohort.sex),
        "age_group": text(lists["age_group"], cohort.age),
        "birth_region": text(lists["birth_region"], np.where(known[0], cohort.birth, 4)),
        "education": text(lists["education"], np.where(known[1], cohort.education, 4)),
        "vocational_qualification": boolean(cohort.vocational, known[2]),
        "main_support_at_entry": text(_SUPPORT, cohort.support),
        "months_since_work": integer(cohort.months_since_work, known[3]),
        "work_or_study_share_5y": number(cohort.history, known[4]),
        "mental_ill_health": boolean(cohort.mental, known[5]),
        "musculoskeletal_disorder": boolean(cohort.musculoskeletal, known[5]),
        "left_on": date(follow_up.left, ~follow_up.still_there),
        "left_reason": text(LEFT_REASONS, follow_up.left_reason, ~follow_up.still_there),
        "outcome_follow_up": text(lists["follow_up"], programme_only(scenario, cohort.organisation).astype(np.int64)),
        "observed_until": date(follow_up.observed_until),
        "observed_until_reason": text(EXTRACT_REASONS, follow_up.reason),
    }
    return frame("participants", columns, count)


def caseworkers_table(scenario: Scenario, cohort: Cohort, keys: Keys, rng: np.random.Generator) -> pd.DataFrame:
    """Build the table of caseworkers."""
    count = len(cohort.optimism)
    role = np.searchsorted([0.75, 0.88, 0.95], rng.random(count), side="right")
    years = np.floor(rng.exponential(6, count)).astype(np.int64)
    known = rng.random(count) < 0.9
    columns = {
        "organisation_id": text(keys.organisations, cohort.caseworker_organisation),
        "caseworker_id": keys.of_caseworker(np.arange(count)),
        "unit_id": text(keys.units, cohort.caseworker_unit % scenario.design.units_per_organisation),
        "role": text(_ROLES, role),
        "in_role_since": integer(scenario.design.starts_on.year - np.minimum(years, 35), known),
    }
    return frame("caseworkers", columns, count)


def trainings_table(scenario: Scenario, cohort: Cohort, keys: Keys, rng: np.random.Generator) -> pd.DataFrame:
    """Build the table of trainings: basic training around the start, and the refresher for some."""
    count = len(cohort.optimism)
    has_basic, when = rng.random((2, count))
    start = day_number(scenario.design.starts_on)
    basic = to_weekday(start - 60 + np.floor(when * 150).astype(np.int64))
    basic_for = np.flatnonzero((has_basic < scenario.caseworkers.basic_training_share) & (basic < cohort.departure))
    boost_for = np.flatnonzero(np.isfinite(cohort.boost))
    caseworker = np.concatenate([basic_for, boost_for])
    kind = np.repeat([0, 1], [len(basic_for), len(boost_for)])
    day = np.concatenate([basic[basic_for], cohort.boost[boost_for].astype(np.int64)])
    order = np.lexsort((kind, caseworker))
    caseworker, kind, day = caseworker[order], kind[order], day[order]
    columns = {
        "organisation_id": text(keys.organisations, cohort.caseworker_organisation[caseworker]),
        "caseworker_id": keys.of_caseworker(caseworker),
        "kind": text(("basic", "boost"), kind),
        "held_on": date(day),
    }
    return frame("trainings", columns, len(order))


def assignments_table(
    scenario: Scenario, cohort: Cohort, changes: Changes, follow_up: FollowUp, keys: Keys, rng: np.random.Generator
) -> pd.DataFrame:
    """Build the table of assignments: main caseworkers one after the other, other ones beside them."""
    person, start, end, caseworker, reason = _main_periods(scenario, cohort, changes, follow_up, rng)
    beside = _second_periods(scenario, cohort, follow_up, rng)
    count = len(person)
    main = np.arange(count + len(beside[0])) < count
    person, start, end, caseworker = (
        np.concatenate(pair) for pair in zip((person, start, end, caseworker), beside, strict=True)
    )
    reason = np.concatenate([reason, np.full(len(beside[0]), -1)])
    order = np.lexsort((~main, start, caseworker, person))
    # The same caseworker cannot begin as main and as other one on one day.
    twin = (np.diff(person[order], prepend=-1) == 0) & (np.diff(caseworker[order], prepend=-1) == 0)
    order = order[~(twin & (np.diff(start[order], prepend=-1) == 0))]
    person, start, end, caseworker, reason = person[order], start[order], end[order], caseworker[order], reason[order]
    ongoing = (end >= follow_up.observed_until[person]) & follow_up.still_there[person]
    reasons = (
        "caseworker_left",
        "caseworker_absent",
        "reorganisation",
        "programme_step",
        "participant_asked",
        "other",
        "unknown",
    )
    columns = {
        **keys.of_person(person),
        "caseworker_id": keys.of_caseworker(caseworker),
        "start": date(start),
        "end": date(end, ~ongoing),
        "ongoing": boolean(ongoing),
        "responsibility": text(("other", "main"), main[order].astype(np.int64)),
        "change_reason": text(reasons, reason, reason >= 0),
    }
    return frame("assignments", columns, len(person))


Periods = tuple[Ints, Ints, Ints, Ints]


def change_days(cohort: Cohort, changes: Changes, follow_up: FollowUp) -> tuple[Ints, Ints, Ints]:
    """Return person, quarter and day of every change of main caseworker that happens in the programme."""
    person, quarter = np.nonzero(changes.moment < 1)
    when = quarter + changes.moment[person, quarter].astype(np.float64)
    day = cohort.first[person] + np.ceil(when * QUARTER_DAYS).astype(np.int64)
    # Nobody changes caseworker on the way out.
    until = np.minimum(follow_up.programme_end, follow_up.transition - 1)
    happens = day <= until[person]
    return person[happens], quarter[happens], day[happens]


def _main_periods(
    scenario: Scenario, cohort: Cohort, changes: Changes, follow_up: FollowUp, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return person, start, end, caseworker and reason for the change of main assignments."""
    changer, quarter, day = change_days(cohort, changes, follow_up)
    every = np.arange(cohort.size)
    person = np.concatenate([every, changer])
    start = np.concatenate([cohort.entered, day])
    caseworker = np.concatenate([cohort.first_caseworker, changes.caseworker[changer, quarter + 1]]).astype(np.int64)
    left = np.concatenate([np.zeros(cohort.size, dtype=bool), changes.departed[changer, quarter]])
    order = np.lexsort((start, person))
    person, start, caseworker, left = person[order], start[order], caseworker[order], left[order]
    followed = np.append(person[1:] == person[:-1], False)
    end = np.where(followed, np.append(start[1:], 0) - 1, follow_up.programme_end[person])
    is_change = np.diff(person, prepend=-1) == 0
    gap, length, why = rng.random((3, len(person)))
    days = np.minimum(np.ceil(-np.log1p(-length) * scenario.caseworkers.gap_days), 60).astype(np.int64)
    gaps = is_change & (gap < scenario.caseworkers.gap_share)
    # The next one takes over after the gap, if that is before this period ends.
    start = np.where(gaps & (start + days <= end), start + days, start)
    drawn = 1 + np.searchsorted([0.25, 0.5, 0.75, 0.82, 0.9], why, side="right")
    reason = np.where(followed, np.where(np.append(left[1:], False), 0, drawn), -1)
    return person, start, end, caseworker, reason


def _second_periods(scenario: Scenario, cohort: Cohort, follow_up: FollowUp, rng: np.random.Generator) -> Periods:
    """Return person, start, end and caseworker of other assignments."""
    has, when, length, pick = rng.random((4, cohort.size))
    start = to_weekday(cohort.entered + np.floor(when * 300).astype(np.int64))
    last = follow_up.programme_end
    chosen = np.flatnonzero((has < scenario.caseworkers.second_share) & (start <= last))
    start = start[chosen]
    unit = cohort.unit[chosen]
    place = np.floor(pick[chosen] * cohort.active(unit, start.astype(np.float64))).astype(np.int64)
    caseworker = cohort.unit_start[unit] + place
    end = np.minimum(start + 30 + np.floor(length[chosen] * 400).astype(np.int64), last[chosen])
    # Nobody is the other caseworker of one's own main client.
    apart = caseworker != cohort.first_caseworker[chosen]
    return chosen[apart], start[apart], end[apart], caseworker[apart]


def measurements_table(
    cohort: Cohort, forms: Forms, answers: Answers, keys: Keys, rng: np.random.Generator
) -> pd.DataFrame:
    """Build the table of forms."""
    order = np.lexsort((1 - forms.respondent, forms.occasion, forms.person))
    person = forms.person[order]
    count = len(person)
    respondent, status = forms.respondent[order], forms.status[order]
    named, how = rng.random((2, count))
    dated = status <= occasions.DECLINED
    by_caseworker = respondent == occasions.CASEWORKER
    mode = np.searchsorted([0.55, 0.8, 0.9], how, side="right")
    columns = {
        **keys.of_person(person),
        "occasion": integer(forms.occasion[order]),
        "respondent": text(_RESPONDENTS, respondent),
        "instrument": text((schema.DEFAULT_INSTRUMENT,), np.zeros(count, dtype=np.int64)),
        "caseworker_id": keys.of_caseworker(forms.caseworker[order], by_caseworker | (named < 0.5)),
        "answered_on": date(forms.day[order], dated),
        "due_on": date(forms.due[order]),
        "form_status": text(_STATUS, status),
        "mode": text(_MODES, mode, ~by_caseworker & (status == occasions.ANSWERED)),
    }
    for item in ITEMS:
        value = answers.values[item][order]
        columns[item] = integer(value, value > 0)
    return frame("measurements", columns, count)


def missing_answers_table(forms: Forms, answers: Answers, keys: Keys) -> pd.DataFrame:
    """Build the table of reasons for missing answers."""
    items = sorted(ITEMS)
    rows, which = np.nonzero(np.column_stack([answers.missing[item] >= 2 for item in items]))
    reason = np.column_stack([answers.missing[item] for item in items])[rows, which].astype(np.int64) - 2
    order = np.lexsort((which, 1 - forms.respondent[rows], forms.occasion[rows], forms.person[rows]))
    rows, which, reason = rows[order], which[order], reason[order]
    columns = {
        **keys.of_person(forms.person[rows]),
        "occasion": integer(forms.occasion[rows]),
        "respondent": text(_RESPONDENTS, forms.respondent[rows]),
        "instrument": text((schema.DEFAULT_INSTRUMENT,), np.zeros(len(rows), dtype=np.int64)),
        "item": text(items, which),
        "reason": text(_MISSING, reason),
    }
    return frame("missing_answers", columns, len(rows))


def activities_taken(cohort: Cohort, activities: Activities, follow_up: FollowUp) -> tuple[Ints, Ints]:
    """Return the first day of each activity, and which of them begin in the programme and before a transition."""
    day = to_weekday(cohort.first[activities.person] + np.floor(activities.start * QUARTER_DAYS).astype(np.int64))
    until = np.minimum(follow_up.programme_end, follow_up.transition - 1)
    return day, np.flatnonzero(day <= until[activities.person])


def activities_table(
    scenario: Scenario,
    cohort: Cohort,
    activities: Activities,
    follow_up: FollowUp,
    keys: Keys,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Build the table of activities that begin in the programme and before a transition."""
    last = follow_up.programme_end
    day, taken = activities_taken(cohort, activities, follow_up)
    uniform = rng.random((5, len(activities.person)))[:, taken]
    person, start, focus = activities.person[taken], day[taken], activities.focus[taken]
    planned = start + np.maximum(np.round(activities.length[taken] * QUARTER_DAYS).astype(np.int64), 14)
    drops_out = uniform[0] < 0.12
    actual = np.where(drops_out, start + 7 + np.floor(uniform[1] * (planned - start - 7)).astype(np.int64), planned)
    stopped = np.minimum(last, follow_up.transition)[person]
    ongoing = (actual > last[person]) & follow_up.still_there[person] & (follow_up.transition[person] > last[person])
    to_transition = (actual >= follow_up.transition[person]) & ~ongoing
    end = np.minimum(actual, np.maximum(stopped, start))
    reason = np.select(
        [
            to_transition & (follow_up.left_reason[person] == occasions.TO_STUDY),
            to_transition,
            drops_out,
            end < planned,
        ],
        [3, 2, 1, 4],
        0,
    )
    second = (focus + 1 + np.floor(uniform[2] * 4).astype(np.int64)) % 5
    hours = np.round(4 + 26 * uniform[3] ** 1.5, 0) + np.where(uniform[4] < 0.2, 0.5, 0.0)
    identity = running(person)
    columns = {
        **keys.of_person(person),
        "activity_id": text(_numbered("A", int(identity.max(initial=0)) + 1, 2), identity),
        "focus": text(_FOCUS, focus),
        "second_focus": text(_FOCUS, second, uniform[2] < 0.1),
        "start": date(start),
        "planned_end": date(planned, uniform[4] < 0.8),
        "end": date(end, ~ongoing),
        "ongoing": boolean(ongoing),
        "hours_per_week": number(hours, uniform[1] < 0.85),
        "end_reason": text(("completed", "dropped_out", "to_work", "to_study", "other"), reason, ~ongoing),
    }
    return frame("activities", columns, len(person))


def outcomes_table(spells: Spells, keys: Keys, rng: np.random.Generator) -> pd.DataFrame:
    """Build the table of spells of work and study."""
    count = len(spells.person)
    extent = np.array([25.0, 50.0, 75.0, 80.0, 100.0])[np.floor(rng.random(count) * 5).astype(np.int64)]
    said = rng.random(count) < 0.5
    coarse = spells.precision > 0
    unknown = ~spells.known_end & ~spells.ongoing
    lasted = np.select([unknown, spells.long], [2, 0], 1)
    identity = running(spells.person)
    columns = {
        **keys.of_person(spells.person),
        "outcome_id": text(_numbered("U", int(identity.max(initial=0)) + 1, 2), identity),
        "status": text(STATUSES, spells.status),
        "start": date(spells.start),
        "start_precision": text(_PRECISIONS, spells.precision),
        "end": date(spells.end, spells.known_end),
        "end_precision": text(_PRECISIONS, spells.precision, spells.known_end),
        "ongoing": boolean(spells.ongoing),
        "lasted_a_month": text(("yes", "no", "unknown"), lasted, coarse | said | unknown),
        "extent_percent": number(extent, rng.random(count) < 0.7),
        "source": text(_SOURCES, spells.source),
    }
    return frame("outcomes", columns, count)


def first_positions(person: Ints) -> Ints:
    """Return the place of the first row of each person; rows of a person stand together."""
    return np.flatnonzero(np.diff(person, prepend=-1) != 0)
