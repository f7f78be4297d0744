"""What panel and episodes share: the parts of a study read once, background columns, and the flow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.panel.coding import Coded, code_study, take
from bipstudy.panel.days import DAYS_PER_MONTH, Bools, Floats, Ints, dates_of, first_days
from bipstudy.panel.exposures import (
    Activities,
    MainPeriods,
    activity_exposures,
    caseworker_exposures,
    main_periods,
    optimism,
    read_activities,
)
from bipstudy.panel.occasions import BELIEF, PREFIX, Occasions, pair_forms
from bipstudy.panel.outcomes import FollowUp, follow, join_spells, read_records
from bipstudy.panel.weights import Censoring, fit_censoring
from bipstudy.schema import Transition
from bipstudy.study import Study

BACKGROUND = (
    "sex",
    "age_group",
    "birth_region",
    "education",
    "vocational_qualification",
    "main_support_at_entry",
    "months_since_work",
    "work_or_study_share_5y",
    "mental_ill_health",
    "musculoskeletal_disorder",
    "outcome_follow_up",
)
# What the model of censoring looks at; all known at entry, and few enough groups to count people by.
_CENSORING = ("organisation_id", "outcome_follow_up", "sex", "age_group")


@dataclass(frozen=True)
class Parts:
    """A study read for the panel: codes, occasions, caseworkers, activities and follow-up."""

    coded: Coded
    study: Study
    occasions: Occasions
    periods: MainPeriods
    follow_up: FollowUp
    entered: Ints
    origin: Ints

    @cached_property
    def activities(self) -> Activities:
        """Days with activities, read when they are asked for."""
        return read_activities(self.study, self.coded)


# What was read of the studies of a block of `parts_kept`, each beside the study, which so keeps its identity.
_KEPT: ContextVar[dict[tuple[int, str, str], tuple[Study, Parts]] | None] = ContextVar("parts", default=None)


@contextmanager
def parts_kept() -> Iterator[None]:
    """Read a study once for all panels and episodes of a block that ask for the same transition and day 0.

    Nothing in the block may write to the tables of the study.
    """
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def read_parts(study: Study, definition: Transition, origin: str) -> Parts:
    """Read a study for the panel.

    Parameters
    ----------
    study : Study
    definition : Transition
    origin : {"first_measurement", "entry"}
        Day from which on a spell that begins is a transition.

    Returns
    -------
    Parts
    """
    kept = _KEPT.get()
    if kept is None:
        return _read(study, definition, origin)
    key = (id(study), repr(definition), origin)
    if key not in kept:
        kept[key] = (study, _read(study, definition, origin))
    return kept[key][1]


def _read(study: Study, definition: Transition, origin: str) -> Parts:
    """Read a study for the panel."""
    coded = code_study(study)
    occasions = pair_forms(study, coded)
    entered = first_days(coded.participants, "entered_on")
    zero = occasions.first_day(coded.count) if origin == "first_measurement" else entered
    spells = join_spells(read_records(study, coded, definition.minimum_days), definition)
    return Parts(
        coded=coded,
        study=study,
        occasions=occasions,
        periods=main_periods(study, coded, occasions),
        follow_up=follow(coded, spells, definition, zero),
        entered=entered,
        origin=zero,
    )


def exposures(
    parts: Parts, person: Ints, day: Ints, window: Ints, occasion: Ints
) -> dict[str, pd.api.extensions.ExtensionArray | Floats]:
    """Return the exposures of rows as of a day.

    Parameters
    ----------
    parts : Parts
    person, day : ndarray of int64, shape (n,)
        Whose, and as of when.
    window : ndarray of int64, shape (n,)
        First day of the interval that ends on `day`, for what concerns an interval.
    occasion : ndarray of int64, shape (n,)
        Position of the latest occasion by then, -1 if there is none.

    Returns
    -------
    dict
        Columns of the panel, `caseworker` first.
    """
    occasions = parts.occasions
    caseworker, main = main_caseworker(parts, person, day, occasion)
    answering = at(occasions.answering_caseworker, occasion, -1)
    return {
        "caseworker": caseworker,
        "answering_caseworker": take(parts.coded.caseworker_labels, answering),
        "belief": at(occasions.scores.get(PREFIX["caseworker"] + BELIEF, np.zeros(0)), occasion, np.nan),
        "optimism": optimism(occasions, person, answering, at(occasions.answered_first, occasion, 0)),
        **main,
        **activity_exposures(parts.activities, person, np.maximum(window, parts.entered[person]), day),
    }


def main_caseworker(
    parts: Parts, person: Ints, day: Ints, occasion: Ints
) -> tuple[pd.api.extensions.ExtensionArray, dict[str, Floats | Ints]]:
    """Return the main caseworker of rows as of a day, else who is named on the form, and what is known of the main."""
    main = caseworker_exposures(parts.periods, person, day, parts.entered[person])
    on_form = at(parts.occasions.form_caseworker, occasion, -1)
    code = np.where(main["main"] >= 0, main.pop("main"), on_form).astype(np.int64)
    return take(parts.coded.caseworker_labels, code), main


Number = TypeVar("Number", np.int64, np.float64)


def at(values: npt.NDArray[Number], position: Ints, missing: float) -> npt.NDArray[Number]:
    """Return values at positions, `missing` where the position is -1."""
    result = np.full(len(position), missing, dtype=values.dtype)
    found = position >= 0
    result[found] = values[position[found]]
    return result


def identity(parts: Parts, person: Ints) -> dict[str, pd.api.extensions.ExtensionArray | Floats]:
    """Return the columns that say whose row it is."""
    table = parts.coded.participants
    return {
        "participant": parts.coded.labels.take(person),
        "organisation_id": table["organisation_id"].array.take(person),
        "unit_id": table["unit_id"].array.take(person),
    }


def reasons(parts: Parts, person: Ints, censored: Bools) -> pd.api.extensions.ExtensionArray:
    """Return why follow-up ends, missing where the row is not censored."""
    names, codes = np.unique(parts.follow_up.reason.astype(str), return_inverse=True)
    return take(pd.array(names, dtype=schema.STRING), np.where(censored, codes[person], -1))


def background(parts: Parts, person: Ints) -> dict[str, pd.api.extensions.ExtensionArray | Floats]:
    """Return the background columns: codes as text, numbers and yes or no as float64."""
    table, columns = parts.coded.participants, {}
    for name in BACKGROUND:
        values = table[name]
        if values.dtype != schema.STRING:
            columns[name] = values.to_numpy(dtype=np.float64, na_value=np.nan)[person]
        else:
            columns[name] = values.array.take(person)
    columns["entered_on"] = dates_of(parts.entered[person])
    return columns


def calendar(parts: Parts, person: Ints, day: Ints) -> dict[str, pd.api.extensions.ExtensionArray | Floats]:
    """Return quarter (as 2024Q1) and months since entry of a day."""
    months = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    quarters, place = np.unique(months // 3, return_inverse=True)
    names = pd.array([f"{1970 + quarter // 4}Q{quarter % 4 + 1}" for quarter in quarters], dtype=schema.STRING)
    return {
        "quarter": names.take(place) if len(day) else names,
        "months_since_entry": (day - parts.entered[person]) / DAYS_PER_MONTH,
    }


def censoring(
    parts: Parts, person: Ints, days: Ints, censored: Bools, step: float, intervals: int
) -> tuple[Censoring, Ints]:
    """Fit the model of censoring on rows, and return it with the group of each row."""
    table = parts.coded.participants
    codes = np.stack([pd.factorize(table[name].fillna(""), sort=True)[0] for name in _CENSORING], axis=1)
    patterns, own = np.unique(codes, axis=0, return_inverse=True)
    dummies = [
        (patterns[:, [column]] == np.arange(1, patterns[:, column].max(initial=0) + 1)).astype(np.float64)
        for column in range(patterns.shape[1])
    ]
    group = own.ravel()[person]
    model = fit_censoring(
        days=days,
        censored=censored,
        group=group,
        covariates=np.concatenate(dummies, axis=1),
        step=step,
        intervals=intervals,
    )
    return model, group


class Flow:
    """Who is left at each step: participants and rows, and what each step leaves out.

    The entries are dicts with `step`, `kind` (start, left_out, late or kept), `participants` and `rows`. They add up:
    the start less all that was left out, and with those who come in late, is what was kept, in participants and in
    rows. A participant is left out at the step that takes the last row.
    """

    def __init__(self, step: str, participants: int, rows: int) -> None:
        self.entries: list[dict[str, str | int]] = [
            {"step": step, "kind": "start", "participants": participants, "rows": rows}
        ]
        self._participants = participants

    def leave_out(self, step: str, rows: int, remaining: int) -> None:
        """Note a step that leaves out rows and lets `remaining` participants go on."""
        gone = self._participants - remaining
        self._participants = remaining
        self.entries.append({"step": step, "kind": "left_out", "participants": gone, "rows": rows})

    def leave_out_rows(self, reasons: list[tuple[str, Bools]], person: Ints) -> Bools:
        """Note reasons to leave out rows, the first that holds for a row; return the rows that are kept."""
        kept = np.ones(len(person), dtype=bool)
        for step, applies in reasons:
            gone = kept & applies
            kept = kept & ~applies
            self.leave_out(step, int(gone.sum()), len(np.unique(person[kept])))
        return kept

    def take_in(self, step: str, participants: int) -> None:
        """Note participants, a row each, who were left out at first and come in late."""
        self._participants += participants
        self.entries.append({"step": step, "kind": "late", "participants": participants, "rows": participants})

    def finish(self, step: str, rows: int) -> list[dict[str, str | int]]:
        """Note what was kept and return all entries."""
        self.entries.append({"step": step, "kind": "kept", "participants": self._participants, "rows": rows})
        return self.entries
