"""States: in work or study month by month, past the first transition."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bipstudy.panel.checks import check_definition
from bipstudy.panel.coding import Coded, code_study
from bipstudy.panel.days import FAR, Bools, Floats, Ints, cover, dates_of, first_days
from bipstudy.panel.outcomes import Records, read_records
from bipstudy.schema import Transition
from bipstudy.study import Study


def build_states(study: Study, outcome: str = "primary") -> pd.DataFrame:
    """Build one row per participant and calendar month, from the month of entry to the last that is observed.

    Unlike the panel this goes on past the first transition: work and study can recur.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition whose statuses count as work or study, whatever the length of the spell.

    Returns
    -------
    DataFrame
        `participant`, `organisation_id`, `month` (its first day), `month_number` (0 for the month of entry),
        `in_work` and `in_study` (1 if so on at least half of the month's days, NaN where not followed) and `followed`
        (whether it is known for the whole month: not after observation or, where outcomes are known only in the
        programme, participation has ended, nor after a spell whose end nobody knows). The days of the month of entry
        before entry count as followed.

    Raises
    ------
    BipstudyError
        There is no such definition, or no outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> states = bip.build_states(bip.load_example())
    >>> bool(states.loc[~states["followed"], "in_work"].isna().all())
    True
    """
    definition = check_definition(study, outcome)
    coded = code_study(study)
    records = read_records(study, coded, 0)
    person, month, number = _months(coded)
    first, stop = _day(month), _day(month + 1)
    followed = stop - 1 <= _known_until(coded, records, definition)[person]
    frame = pd.DataFrame(
        {
            "participant": coded.labels.take(person),
            "organisation_id": coded.participants["organisation_id"].array.take(person),
            "month": dates_of(first),
            "month_number": number,
            "in_work": _share(records, definition, "work", person, first, stop, followed),
            "in_study": _share(records, definition, "study", person, first, stop, followed),
            "followed": followed,
        },
        copy=False,
    )
    frame.attrs["settings"] = {"outcome": outcome}
    return frame


def _months(coded: Coded) -> tuple[Ints, Ints, Ints]:
    """Return participant, calendar month and number of the month of each row."""
    entered = _month(first_days(coded.participants, "entered_on"))
    observed = _month(first_days(coded.participants, "observed_until"))
    count = np.maximum(observed - entered + 1, 0)
    person = np.repeat(np.arange(coded.count), count)
    number = np.arange(len(person)) - np.repeat(np.cumsum(count) - count, count)
    return person, entered[person] + number, number


def _month(day: Ints) -> Ints:
    """Return the number of the calendar month of a day."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _day(month: Ints) -> Ints:
    """Return the first day of a calendar month."""
    return month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _known_until(coded: Coded, records: Records, definition: Transition) -> Ints:
    """Return the last day on which each participant's state is known."""
    participants = coded.participants
    known = first_days(participants, "observed_until")
    programme = (participants["outcome_follow_up"] == "programme_only").to_numpy(dtype=bool)
    known = np.where(programme, np.minimum(known, first_days(participants, "left_on")), known)
    endless = ~records.end_known & np.isin(records.status.astype(str), list(definition.causes))
    np.minimum.at(known, records.person[endless], records.end_first[endless])
    return known


def _share(
    records: Records, definition: Transition, cause: str, person: Ints, first: Ints, stop: Ints, followed: Bools
) -> Floats:
    """Return 1 where at least half of the days are in statuses of a cause, 0 where fewer, NaN where not followed."""
    statuses = [status for status, of in definition.causes.items() if of == cause]
    chosen = records.where(np.isin(records.status.astype(str), statuses))
    # What is ongoing runs on as far as anything is known.
    end = np.where(chosen.end_known, chosen.end_last, chosen.end_first)
    days = cover(chosen.person, chosen.start_first, np.minimum(end + 1, FAR)).days(person, first, stop)
    return np.where(followed, (2 * days >= stop - first).astype(np.float64), np.nan)
