"""Risk of re-identification: how many participants stand alone in what others may know about them.

Measures, never a verdict: data on persons stay personal data also when no measure is high. k-anonymity after Sweeney
(2002, Int. J. Uncertainty Fuzziness Knowl.-Based Syst. 10:557), l-diversity after Machanavajjhala et al. (2007, ACM
TKDD 1:3), both with how an unknown value counts stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.texts import text
from bipstudy.validation.data import distinct_values, in_order

Codes = npt.NDArray[np.int64]

# What a neighbour, a colleague or a register may know; of the day of entry the month.
QUASI = (
    "organisation_id",
    "unit_id",
    "sex",
    "age_group",
    "birth_region",
    "education",
    "vocational_qualification",
    "main_support_at_entry",
    "entered_on",
)
# What would be learnt about who is recognised; `outcome` is the first status in `outcomes`, or that there is none.
SENSITIVE = ("mental_ill_health", "musculoskeletal_disorder", "left_reason", "outcome")
THRESHOLDS = (2, 3, 5, 10)
_PERSON = ["organisation_id", "participant_id"]
_PRECISIONS = {"day": "D", "month": "M"}
_SALTS = (np.uint64(0x5851F42D4C957F2D), np.uint64(0x14057B7EF767814F))


@dataclass(frozen=True)
class Risk:
    """Measures of how easily participants could be recognised.

    Attributes
    ----------
    participants : int
    columns : tuple of str
        Quasi-identifiers with values.
    unknown : dict of str to int
        Participants whose value is missing or ``unknown``, by quasi-identifier.
    classes : DataFrame
        Rows `reading` own (an unknown value is a value of its own) and any (it could be any value): `smallest`, the
        size of the smallest group of participants alike; `below_2`, `below_3`, `below_5`, `below_10`, participants in
        groups smaller than that; `expected`, the mean of one through the size of each participant's group.
    diversity : DataFrame
        Per `column`: `smallest`, the fewest different values in a group (unknown is a value of its own); `revealed`,
        participants in a group in which all have the same known value; `revealed_in_groups`, those of them who are not
        alone in their group.
    sequences : DataFrame
        Per `precision` of the dates, day or month: `participants` with at least one dated form, answered or declined
        (a form's date tells a person either way), and how many have a sequence of dates that nobody else in the
        organisation has, `unique`.
    """

    participants: int
    columns: tuple[str, ...]
    unknown: dict[str, int]
    classes: pd.DataFrame
    diversity: pd.DataFrame
    sequences: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return the measures as plain values."""
        return {
            "participants": self.participants,
            "columns": list(self.columns),
            "unknown": self.unknown,
            "classes": self.classes.to_dict("records"),
            "diversity": self.diversity.to_dict("records"),
            "sequences": self.sequences.to_dict("records"),
        }

    def labels(self, language: str) -> list[str]:
        """Return what the quasi-identifiers are called."""
        return [_label(column, language) for column in self.columns]

    def rows(self, language: str) -> list[tuple[str, str]]:
        """Return the measures as pairs of what is measured and the number, for a table or a list.

        Parameters
        ----------
        language : {"sv", "en"}

        Returns
        -------
        list of (str, str)
        """
        found = []
        for row in self.classes.itertuples():
            reading = text(f"risk.{row.reading}", language)
            found.append((text("risk.smallest", language, reading=reading), str(row.smallest)))
            for size in THRESHOLDS:
                about = text("risk.alone" if size == 2 else "risk.below", language, reading=reading, size=size)
                found.append((about, self._of_all(getattr(row, f"below_{size}"), self.participants)))
        for row in self.diversity.itertuples():
            column = _label(row.column, language)
            found.append((text("risk.diversity", language, column=column), str(row.smallest)))
            found.append(
                (text("risk.revealed", language, column=column), self._of_all(row.revealed, self.participants))
            )
        for row in self.sequences.itertuples():
            about = text(f"risk.sequence_{row.precision}", language)
            found.append((about, self._of_all(row.unique, row.participants)))
        return found

    def lines(self, language: str, *, identifiers: bool) -> list[str]:
        """Return the few measures that say most, as a person reads them in a terminal.

        Parameters
        ----------
        language : {"sv", "en"}
        identifiers : bool
            Whether anything was found that is, or may be, a direct identifier.

        Returns
        -------
        list of str
        """
        own = next(row for row in self.classes.itertuples() if row.reading == "own")
        return [
            text("risk.some_found" if identifiers else "risk.none_found", language),
            text("risk.short", language, alone=own.below_2, few=own.below_5, participants=self.participants),
            *(
                text("risk.short_dates", language, unique=row.unique, participants=row.participants)
                for row in self.sequences.itertuples()
                if row.precision == "day" and row.participants
            ),
            text("risk.never_anonymous", language),
        ]

    @staticmethod
    def _of_all(count: int, total: int) -> str:
        """Return a count with its share."""
        return f"{count} / {total}" + (f" ({round(100 * count / total)} %)" if total else "")


def risk(tables: Mapping[str, pd.DataFrame]) -> Risk | None:
    """Measure how easily participants could be recognised in canonical tables.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Canonical tables by name.

    Returns
    -------
    Risk or None
        None without participants.

    Examples
    --------
    >>> import bipstudy as bip
    >>> measures = risk(bip.load_example().tables)
    >>> bool((measures.classes["smallest"] >= 1).all())
    True
    """
    people = tables.get("participants")
    if people is None or people.empty:
        return None
    known = {column: _codes(people, column) for column in QUASI if column in people}
    quasi = {column: codes for column, codes in known.items() if (codes >= 0).any()}
    # Of people of whom nothing is known, each could be any other.
    columns = list(quasi.values()) or [np.zeros(len(people), dtype=np.int64)]
    own = _class_of(columns)
    sizes = {"own": np.bincount(own)[own], "any": compatible(np.column_stack(columns))}
    return Risk(
        participants=len(people),
        columns=tuple(quasi),
        unknown={column: int((codes < 0).sum()) for column, codes in quasi.items()},
        classes=pd.DataFrame([{"reading": reading, **_sizes(size)} for reading, size in sizes.items()]),
        diversity=pd.DataFrame(_diversities(tables, people, own), columns=list(_diversity_columns())),
        sequences=pd.DataFrame(_sequences(tables)),
    )


def compatible(codes: Codes) -> Codes:
    """Count for each row the rows, itself among them, that could be the same if unknown values were known.

    Parameters
    ----------
    codes : (n, m) int array
        One row per person, one column per attribute; below 0 where unknown.

    Returns
    -------
    (n,) int array

    Examples
    --------
    >>> compatible(np.array([[0, 1], [0, -1], [1, 1]])).tolist()
    [2, 2, 1]
    """
    rows = _class_of(list(codes.T))
    first = np.unique(rows, return_index=True)[1]
    different, weights = codes[first], np.bincount(rows)
    pattern = _class_of(list((different >= 0).astype(np.int64).T))
    found = np.zeros(len(different), dtype=np.int64)
    patterns = [np.flatnonzero(pattern == number) for number in range(pattern.max() + 1)]
    for mine in patterns:
        for theirs in patterns:
            common = (different[mine[0]] >= 0) & (different[theirs[0]] >= 0)
            both = np.concatenate([mine, theirs])
            alike = _class_of(list(different[both][:, common].T)) if common.any() else np.zeros(len(both), np.int64)
            total = np.bincount(alike[len(mine) :], weights[theirs], minlength=alike.max() + 1)
            found[mine] += total[alike[: len(mine)]].astype(np.int64)
    return found[rows]


def _label(column: str, language: str) -> str:
    """Return what a column is called."""
    if column == "outcome":
        return schema.table("outcomes").column("status").label[language]
    label = schema.table("participants").column(column).label[language]
    return text("risk.month_of", language, column=label) if column == "entered_on" else label


def _codes(people: pd.DataFrame, column: str) -> Codes:
    """Return the values of a column as numbers from 0, below 0 where unknown."""
    values = people[column]
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = values.dt.year * 12 + values.dt.month
    elif values.dtype == schema.STRING:
        values = values.where(values != "unknown")
    codes: Codes = pd.factorize(values)[0].astype(np.int64)
    return codes


def _class_of(columns: Sequence[Codes]) -> Codes:
    """Give each combination of values a number from 0."""
    total = np.zeros(len(columns[0]), dtype=np.int64)
    for codes in columns:
        # Numbered anew at each step, so that the product never overflows.
        total = np.unique(total * (codes.max() + 2) + codes + 1, return_inverse=True)[1].astype(np.int64)
    return total


def _sizes(size: Codes) -> dict[str, float]:
    """Return what the sizes of the groups come to."""
    below = {f"below_{threshold}": int((size < threshold).sum()) for threshold in THRESHOLDS}
    return {"smallest": int(size.min()), **below, "expected": float((1 / size).mean())}


def _diversity_columns() -> tuple[str, ...]:
    """Return the names of the measures of diversity."""
    return ("column", "smallest", "revealed", "revealed_in_groups")


def _diversities(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame, group: Codes) -> list[tuple[object, ...]]:
    """Return the diversity of each sensitive column in groups of participants alike."""
    size = np.bincount(group)
    found: list[tuple[object, ...]] = []
    for column in SENSITIVE:
        if column == "outcome":
            codes = _first_outcome(tables, people)
        else:
            codes = _codes(people, column) if column in people else np.full(len(people), -1)
        if (codes < 0).all():
            continue
        pairs = np.unique(np.column_stack([group, codes]), axis=0)
        different = np.bincount(pairs[:, 0], minlength=len(size))
        some_unknown = np.zeros(len(size), dtype=bool)
        some_unknown[group[codes < 0]] = True
        revealed = ((different == 1) & ~some_unknown)[group]
        found.append((column, int(different.min()), int(revealed.sum()), int((revealed & (size[group] > 1)).sum())))
    return found


def _first_outcome(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame) -> Codes:
    """Return the first status of each participant as a number, 0 where there is none; all unknown without outcomes."""
    outcomes = tables.get("outcomes")
    if outcomes is None or outcomes.empty:
        return np.full(len(people), -1)
    first = outcomes.sort_values([*_PERSON, "start", "status"], kind="stable").drop_duplicates(_PERSON)
    status = people[_PERSON].merge(first[[*_PERSON, "status"]], on=_PERSON, how="left")["status"]
    codes: Codes = (pd.factorize(status)[0] + 1).astype(np.int64)
    return codes


def _sequences(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, object]]:
    """Count the participants whose sequence of dates of forms nobody else in the organisation has."""
    forms = tables.get("measurements")
    if forms is None or forms.empty:
        return [{"precision": precision, "participants": 0, "unique": 0} for precision in _PRECISIONS]
    dated = forms.loc[forms["answered_on"].notna(), [*_PERSON, "answered_on"]]
    days = dated["answered_on"].to_numpy(dtype="datetime64[D]")
    office = distinct_values(dated["organisation_id"])[0]
    number, names = distinct_values(dated["participant_id"])
    person = office * (len(names) + 1) + number
    order = in_order(person, days.astype(np.int64))
    person, days, office = person[order], days[order], office[order]
    found: list[dict[str, object]] = []
    for precision, unit in _PRECISIONS.items():
        counts = _alike(office, person, days.astype(f"datetime64[{unit}]").astype(np.int64))
        found.append({"precision": precision, "participants": int(counts.sum()), "unique": int((counts == 1).sum())})
    return found


def _alike(office: Codes, person: Codes, days: Codes) -> Codes:
    """Return how many persons have each sequence of days; rows are sorted by person and day."""
    if not len(person):
        return np.zeros(0, dtype=np.int64)
    new = np.diff(person, prepend=person[0] - 1) != 0
    kept = new | (np.diff(days, prepend=days[0]) != 0)
    days, new, office = days[kept], new[kept], office[kept]
    starts = np.flatnonzero(new)
    length = np.diff(starts, append=len(days))
    place = np.arange(len(days)) - np.repeat(starts, length)
    # A sequence is told from another by two sums of 64 well-mixed bits, not by its days one by one.
    numbers, places = days.view(np.uint64), place.view(np.uint64)
    sums = [np.add.reduceat(_mixed(_mixed(numbers + salt) + places), starts) for salt in _SALTS]
    each = np.column_stack([office[starts].view(np.uint64), length.view(np.uint64), *sums])
    order = np.lexsort(each.T)
    first = np.r_[True, (each[order][1:] != each[order][:-1]).any(axis=1)]
    return np.diff(np.flatnonzero(first), append=len(order)).astype(np.int64)


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix the bits of numbers, as in SplitMix64 (Steele, Lea and Flood 2014)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
