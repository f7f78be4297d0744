"""A study counted again from its tables alone: people, days, spells and occasions by loops.

Nothing here uses the panel, the episodes or the analyses; the definitions are those of docs/method/time.md. Tables are
first cut to what needs no reading: outcomes of the register with known days, and people who are followed long enough
that nobody is censored within a horizon, so that no weights are needed.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

import bipstudy as bip
from bipstudy import schema
from bipstudy.study import Study

WORK = ("work_unsubsidised", "self_employment", "work_subsidised", "work_unknown")
STUDYING = ("study_qualifying",)
COMPETING = ("died", "retired", "permanent_sickness_benefit")
# Twenty-four months and the 28 days that everybody's follow-up is shortened by.
LONG = 731 + 28
NEVER = 10**7
CATEGORIES = (
    "sex", "age_group", "birth_region", "education", "vocational_qualification", "main_support_at_entry",
    "mental_ill_health", "musculoskeletal_disorder", "organisation_id", "year",
)  # fmt: skip


def days(dates: pd.Series) -> pd.Series:
    """Days since 1970; `NEVER` where there is no date."""
    since = (pd.to_datetime(dates) - pd.Timestamp("1970-01-01")).dt.days
    return since.fillna(NEVER).astype(np.int64)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, dates as days."""
    dates = {name: days(frame[name]) for name in frame if f"{name}_precision" in frame}
    return frame.assign(**dates).astype(object).to_dict("records")


def keys(frame: pd.DataFrame) -> pd.Series:
    return frame["organisation_id"].astype(object) + "/" + frame["participant_id"].astype(object)


def simple_study(seed: int, participants: int = 1200, scenario: Any = "danish_twin") -> Study:
    """A drawn study in which every date is known, one source tells of work, and nobody is censored early."""
    study, _ = bip.simulate_study(participants=participants, seed=seed, scenario=scenario)
    tables = dict(study.tables)
    known = tables["outcomes"]
    known = known[(known["source"] == "register") & (known["start_precision"] == "day")]
    known = known[(known["ongoing"] & known["end"].isna()) | (known["end_precision"] == "day")]
    people = tables["participants"].assign(key=keys(tables["participants"]))
    last = people.set_index("key")["observed_until"].pipe(days)
    # What goes on and began so late that nobody saw it last a month censors: it is left out.
    seen = keys(known).map(last) - days(known["start"]) + 1
    tables["outcomes"] = known[~(known["ongoing"].astype(bool) & (seen < 28))]
    reason = people.set_index("key")["observed_until_reason"]
    forms = tables["measurements"]
    answered = days(forms["answered_on"])
    first = answered[forms["form_status"] == "answered"].groupby(keys(forms)).min()
    # Who dies or retires is followed to the end; the others must be followed for the longest horizon and more.
    enough = (last - first.reindex(last.index) > LONG) | reason.isin(COMPETING)
    stay = set(last.index[enough & first.reindex(last.index).notna()])
    for name, frame in tables.items():
        if "participant_id" in frame:
            tables[name] = frame[keys(frame).isin(stay)].reset_index(drop=True)
    # Later occasions must be followed that long too: the weights are fitted to all.
    forms = tables["measurements"]
    dated = days(forms["answered_on"].where(forms["answered_on"].notna(), forms["due_on"]))
    ends = keys(forms).map(last) - LONG
    free = keys(forms).map(reason).isin(COMPETING)
    late = (dated > ends) & ~free
    whole = late.groupby([keys(forms), forms["occasion"]]).transform("any")
    tables["measurements"] = forms[~whole].reset_index(drop=True)
    return dataclasses.replace(study, tables=tables)


@dataclasses.dataclass
class Person:
    """One participant: days as numbers, transition `NEVER` where there is none."""

    key: str
    row: dict[str, Any]
    entered: int
    left: int
    occasions: list[dict[str, Any]]
    periods: list[dict[str, Any]]
    activities: list[dict[str, Any]]
    zero: int = NEVER
    end: int = 0
    competing: bool = False
    busy_until: int = -NEVER
    transition: int = NEVER
    cause: int = 0

    def main(self, on: int) -> str | None:
        """The main caseworker of a day."""
        for period in self.periods:
            if period["start"] <= on <= period["last"]:
                return str(period["caseworker"])
        return None

    def changes(self, on: int) -> int:
        """Changes of main caseworker that have begun by a day; the same one after a gap is none."""
        known = [period["caseworker"] for period in self.periods if period["start"] <= on]
        return sum(one != other for one, other in pairwise(known))

    def cluster(self, on: int, form: str | None) -> str:
        return self.main(on) or form or f"none/{self.key}"


def by_person(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for key, row in zip(keys(frame), records(frame), strict=True):
        found[key].append(row)
    return found


def people(study: Study) -> list[Person]:
    """Everybody, in the order of the table of participants."""
    forms, periods, activities, spells = (
        by_person(study.tables[name]) for name in ("measurements", "assignments", "activities", "outcomes")
    )
    found = []
    for row in records(study.participants):
        key = f"{row['organisation_id']}/{row['participant_id']}"
        left = row["left_on"]
        person = Person(
            key, row, row["entered_on"], left, _occasions(forms.get(key, [])),
            _periods(periods.get(key, []), left), _activities(activities.get(key, []), left),
        )  # fmt: skip
        if person.occasions:
            person.zero = person.occasions[0]["day"]
        _follow(person, spells.get(key, []))
        found.append(person)
    return found


def _occasions(forms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Occasions with an answered form, on the later day of its forms; one more than 45 days later is left out."""
    grouped = defaultdict(list)
    for form in forms:
        if form["form_status"] == "answered" and form["answered_on"] < NEVER:
            grouped[form["occasion"]].append(form)
    found = []
    for number, own in sorted(grouped.items()):
        own.sort(key=lambda form: form["answered_on"])
        first = own[0]["answered_on"]
        own = [form for form in own if form["answered_on"] - first <= 45]
        occasion: dict[str, Any] = {"number": number, "day": own[-1]["answered_on"], "form": None}
        for form in own:
            who = form["respondent"][0]
            for item in schema.items():
                value = form[item]
                occasion[f"{who}_{item}"] = np.nan if pd.isna(value) else (float(value) - 1) * 25
            if not pd.isna(form["caseworker_id"]) and (who == "c" or occasion["form"] is None):
                occasion["form"] = f"{form['organisation_id']}/{form['caseworker_id']}"
        found.append(occasion)
    found.sort(key=lambda occasion: occasion["day"])
    return found


def _periods(rows: list[dict[str, Any]], left: int) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        if row["responsibility"] != "main":
            continue
        start, end = row["start"], row["end"]
        last = end if end < NEVER else left if left >= start else NEVER
        found.append({"caseworker": f"{row['organisation_id']}/{row['caseworker_id']}", "start": start, "last": last})
    return sorted(found, key=lambda period: period["start"])


def _activities(rows: list[dict[str, Any]], left: int) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        if row["end_reason"] == "misregistered":
            continue
        start, end = row["start"], row["end"]
        if end == NEVER and row["ongoing"] is not True:
            end = row["planned_end"]
        last = end if end < NEVER else left if left >= start else NEVER
        focuses = {row["focus"]} | ({row["second_focus"]} if isinstance(row["second_focus"], str) else set())
        found.append({"start": start, "last": last, "focuses": focuses})
    return found


def _follow(person: Person, rows: list[dict[str, Any]]) -> None:
    """The end of follow-up, what runs at the first measurement, and the first transition after it."""
    last, reason = person.row["observed_until"], person.row["observed_until_reason"]
    person.competing = reason in COMPETING
    person.end = last if person.competing else last - 28
    spells: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: row["start"]):
        if row["status"] not in WORK + STUDYING:
            continue
        own = {"start": row["start"], "end": row["end"], "said": {row["lasted_a_month"]}}
        if spells and own["start"] <= spells[-1]["end"] + 1:
            spells[-1]["end"] = max(spells[-1]["end"], own["end"])
            spells[-1]["said"] |= own["said"]
        else:
            spells.append({**own, "cause": 1 if row["status"] in WORK else 2})
    for spell in spells:
        start, end = spell["start"], spell["end"]
        if min(end, last) - start + 1 < 28 and end < NEVER:
            continue
        if min(end, last) - start + 1 < 28 and "yes" not in spell["said"]:
            # It goes on, and nobody has seen for how long: follow-up stops the day before.
            if start - 1 < person.end and end >= person.zero:
                person.end, person.competing = start - 1, False
            continue
        if start <= person.zero <= end:
            person.busy_until = end
        elif person.zero < start <= person.end and person.transition == NEVER:
            person.transition, person.cause = start, int(spell["cause"])


def at_risk(person: Person, on: int, washout: int = 30) -> bool:
    """Whether a measurement on a day is followed by time at risk from the wash-out on."""
    start = on + washout
    return person.transition > start and person.end > start and person.busy_until < start and person.transition > on


def outcome(person: Person, on: int, horizon: int) -> tuple[float, int]:
    """Whether there is a transition within a horizon, and into what; NaN where nobody knows."""
    if person.transition <= on + horizon:
        return 1.0, person.cause
    if person.end >= on + horizon or person.competing:
        return 0.0, 0
    return np.nan, 0


def background(frame: pd.DataFrame) -> pd.DataFrame:
    """Indicators of every level but the first, and the two numbers; what is rare stands with what is common."""
    columns: dict[str, Any] = {}
    for name in CATEGORIES:
        level = frame[name].map(lambda value: "unknown" if pd.isna(value) else str(value))
        counts = level.value_counts()
        common = sorted(counts.index, key=lambda each: (-counts[each], each))[0]
        level = level.where(level.map(counts) >= 20, common)
        for each in sorted(level.unique())[1:]:
            columns[f"{name}={each}"] = (level == each).astype(float)
    numbers = {
        "months": np.log1p(frame["months_since_work"].astype(float).clip(lower=0)),
        "share": frame["work_or_study_share_5y"].astype(float),
    }
    for name, values in numbers.items():
        columns[name] = values.fillna(values.mean())
        if 20 <= values.isna().sum() <= len(values) - 20:
            columns[f"{name} unknown"] = values.isna().astype(float)
    return pd.DataFrame(columns, index=frame.index)


def row_of(person: Person, on: int) -> dict[str, Any]:
    """What the background is made of, as of a day."""
    names = (*CATEGORIES[:-1], "months_since_work", "work_or_study_share_5y")
    year = (pd.Timestamp("1970-01-01") + pd.Timedelta(days=on)).year
    return {**{name: person.row[name] for name in names}, "year": year, "participant": person.key}


def independent(matrix: np.ndarray) -> np.ndarray:
    """The columns that are no combination of those before them."""
    scaled = matrix / np.linalg.norm(matrix, axis=0)
    return np.flatnonzero(np.abs(np.diag(np.linalg.qr(scaled, mode="r"))) > 1e-9)


def two_way(influence: np.ndarray, clusters: list[np.ndarray]) -> float:
    """Standard error from what each row adds: clusters of one or two kinds, G / (G - 1) in each."""

    def part(labels: np.ndarray) -> float:
        sums = pd.Series(influence).groupby(labels).sum()
        return float((sums**2).sum() * len(sums) / (len(sums) - 1))

    if len(clusters) == 1:
        return part(clusters[0]) ** 0.5
    both = np.array([f"{one}|{other}" for one, other in zip(*clusters, strict=True)], dtype=object)
    return (part(clusters[0]) + part(clusters[1]) - part(both)) ** 0.5


def first_measurements(everybody: list[Person], horizon: int, washout: int = 30) -> pd.DataFrame:
    """First measurements that are followed by time at risk, with outcome, caseworker that day and answers."""
    rows = []
    for person in everybody:
        if person.zero == NEVER or not at_risk(person, person.zero, washout):
            continue
        y, cause = outcome(person, person.zero, horizon)
        first = person.occasions[0]
        answers = {name: value for name, value in first.items() if name[1] == "_"}
        facts = {"y": y, "y_work": float(cause == 1), "main": person.main(person.zero) or first["form"]}
        rows.append({**row_of(person, person.zero), **facts, **answers})
    frame = pd.DataFrame(rows)
    frame["cluster"] = frame["main"].fillna("none/" + frame["participant"])
    return frame


def episodes(everybody: list[Person], washout: int = 30) -> pd.DataFrame:
    """Quarters at risk from the wash-out after the first measurement, with what was known a wash-out before each."""
    cuts = [round(number * 3 * 365.25 / 12) for number in range(60)]
    rows = []
    for person in everybody:
        if person.zero == NEVER or person.end <= person.zero:
            continue
        begin = max(washout, person.busy_until - person.zero)
        reached = person.transition - person.zero
        stop = min(reached, person.end - person.zero)
        if reached <= begin or stop <= begin:
            continue
        for number, (low, high) in enumerate(pairwise(cuts), start=1):
            start, end = max(low, begin), min(high, stop)
            if start >= end:
                continue
            on = person.zero + start - washout
            latest: dict[str, Any] = {}
            for occasion in person.occasions:
                latest = occasion if occasion["day"] <= on else latest
            event = end == stop == reached
            rows.append(
                {
                    **row_of(person, person.zero + start),
                    "person": person,
                    "on": on,
                    "period": number,
                    "months": (person.zero + start - person.entered) / (365.25 / 12),
                    "event": float(event),
                    "work": float(event and person.cause == 1),
                    "changed": float(person.changes(on) > 0),
                    "cluster": person.cluster(on, latest.get("form")),
                    **{name: value for name, value in latest.items() if name[1] == "_"},
                }
            )
    return pd.DataFrame(rows)


def cloglog(matrix: np.ndarray, response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the first two columns by statsmodels, and what each row adds to them by the expected information.

    A level of which nobody has the event has a coefficient at infinity and tells nothing of the others: it is left out.
    """
    import statsmodels.api as sm

    used = np.ones(len(response), dtype=bool)
    columns = list(range(matrix.shape[1]))
    for place in columns[2:]:
        level = matrix[:, place] == 1.0
        if np.isin(matrix[:, place], (0.0, 1.0)).all() and not response[level].any():
            used &= ~level
            columns.remove(place)
    own = matrix[used][:, columns]
    kept = independent(own)
    assert kept[:2].tolist() == [0, 1]
    own = own[:, kept]
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    fit = sm.GLM(response[used], own, family=family).fit(tol=1e-11, maxiter=40, wls_method="qr")
    hazard = np.exp(own @ fit.params)
    mean = -np.expm1(-hazard)
    ratio = hazard / mean
    score = own * ((response[used] - mean) * ratio)[:, None]
    information = (own * (ratio * hazard * np.exp(-hazard))[:, None]).T @ own
    influence = np.zeros((len(response), 2))
    influence[used] = (score @ np.linalg.inv(information))[:, :2]
    return fit.params[:2], influence


def period_columns(frame: pd.DataFrame, response: str) -> np.ndarray:
    """Indicators of all periods but the first; late ones with fewer than five events left stand together."""
    left = frame.groupby("period")[response].sum()[::-1].cumsum()[::-1]
    last = left.index[left >= 5].max()
    return pd.get_dummies(frame["period"].clip(upper=last), drop_first=True, dtype=float).to_numpy()
