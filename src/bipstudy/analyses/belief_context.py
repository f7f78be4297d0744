"""What goes with the belief answer: working conditions, the caseworker, the unit, time, and own past success."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import models
from bipstudy.analyses.common import flat, formula, imputed, standardised, with_answers, with_background
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy
from bipstudy.analyses.optimism import OTHERS
from bipstudy.study import Study

NAME = "belief"
OUTCOME = "belief_answer"
# What may go with belief -> what one unit of it is counted as.
FACTORS = {
    "caseload": 10.0,
    "basic_training": 1.0,
    "boost_training": 1.0,
    "years_in_role": 10.0,
    "missed_occasions": 1.0,
}
UNANSWERED = ("declined", "not_reached", "not_done")
# A level of a role with fewer rows stands with the most common one.
RARE = 20
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rows = list[tuple[Label, Number]]


@dataclass(frozen=True)
class Context:
    """What goes with the belief answer.

    Attributes
    ----------
    rows : list of (Label, Number)
    table : DataFrame
        ``factor_key, estimate, conf_low, conf_high, p_value, n``.
    """

    rows: Rows
    table: pd.DataFrame


def goes_with(study: Study, panel: pd.DataFrame, own: Sequence[str]) -> Context:
    """Return what goes with belief at all occasions, in standard deviations of the answer.

    One linear model with caseload, training, years in the role, role, missed occasions and unit together, adjusted for
    background, the participant's own answers and months since entry; errors clustered by caseworker and participant.

    Parameters
    ----------
    study : Study
    panel : DataFrame
        All occasions, from `ready`.
    own : sequence of str
        Columns of the participant's answers.
    """
    frame = panel[panel["belief"].notna() & panel["answering_caseworker"].notna()].reset_index(drop=True)
    frame, background = with_background(frame)
    frame, answers = with_answers(frame, own, "own")
    z = standardised(frame["belief"].to_numpy(dtype=np.float64))
    frame = frame.assign(z_belief=np.full(len(frame), np.nan) if z is None else z, **_factors(study, frame))
    frame, factors = _usable(frame)
    groups = {"role": _levels(frame, _role(study, frame), "role"), "unit": _levels(frame, _unit(frame), "unit")}
    frame = pd.concat([frame, *(pd.DataFrame(columns, index=frame.index) for columns in groups.values())], axis=1)
    terms = flat([factors, *(list(columns) for columns in groups.values()), background, answers, "months_since_entry"])
    clusters = ["answering_caseworker", "participant"]
    used = list(dict.fromkeys(["z_belief", *terms, *clusters]))
    fit = attempt(lambda: models.linear_probability(frame[used], formula("z_belief", terms), cluster=clusters))
    rows: Rows = []
    for factor in FACTORS:
        label = Label(NAME, f"belief_with_{factor}", "sd", OUTCOME, factor, None, "background_together")
        number = Number(n=max(len(frame), 1))
        if fit is not None and factor in fit.terms:
            number = replace(from_tidy(fit.tidy(), factor, fit), events=None)
        rows.append((label, number))
    table = [{"factor_key": f"analyses.contrast.{label.contrast}", **_shown(number)} for label, number in rows]
    for name, columns in groups.items():
        joint = Number(n=len(frame)) if fit is None else _joint(fit, list(columns))
        table.append({"factor_key": f"analyses.contrast.belief_with_{name}", **_shown(joint)})
    return Context(rows, pd.DataFrame(table))


def _shown(number: Number) -> dict[str, float | int]:
    """Return what the table shows of an estimate."""
    names = ("estimate", "conf_low", "conf_high", "p_value", "n")
    return {name: getattr(number, name) for name in names}


def _factors(study: Study, frame: pd.DataFrame) -> dict[str, FloatArray]:
    """Return the factors as of the day of each answer, in their units, NaN where unknown."""
    day = frame["answered_on"].to_numpy(dtype="datetime64[D]")
    year = day.astype("datetime64[Y]").astype(np.float64) + 1970
    since = _of_caseworker(study, frame, "in_role_since").astype(float).to_numpy()
    values = {
        "caseload": frame["caseload"].to_numpy(dtype=np.float64),
        "basic_training": _trained(study, frame, day, "basic"),
        "boost_training": _trained(study, frame, day, "boost"),
        "years_in_role": np.where(since <= year, year - since, np.nan),
        "missed_occasions": _missed(study, frame),
    }
    return {name: values[name] / unit for name, unit in FACTORS.items()}


def _of_caseworker(study: Study, frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of the table of caseworkers for who gave each answer."""
    table = study.caseworkers
    key = (table["organisation_id"] + "/" + table["caseworker_id"]).astype(object)
    return frame["answering_caseworker"].astype(object).map(pd.Series(table[column].to_numpy(), index=key))


def _trained(study: Study, frame: pd.DataFrame, day: npt.NDArray[Any], kind: str) -> FloatArray:
    """Return whether who gave the answer had been trained by that day; NaN where the organisation sent no trainings."""
    known = frame["organisation_id"].isin(set(study.trainings["organisation_id"].dropna())).to_numpy(dtype=bool)
    table = study.trainings[(study.trainings["kind"] == kind).to_numpy(dtype=bool)]
    key = (table["organisation_id"] + "/" + table["caseworker_id"]).astype(object)
    first = table.assign(key=key.to_numpy()).groupby("key")["held_on"].min()
    held = frame["answering_caseworker"].astype(object).map(first).to_numpy(dtype="datetime64[D]")
    return np.asarray(np.where(known, ~np.isnat(held) & (held <= day), np.nan), dtype=np.float64)


def _missed(study: Study, frame: pd.DataFrame) -> FloatArray:
    """Return how many of the participant's earlier forms are recorded as not answered."""
    forms = study.measurements
    chosen = (forms["respondent"] == "participant") & forms["form_status"].isin(UNANSWERED)
    missed = forms.loc[chosen.to_numpy(dtype=bool), ["organisation_id", "participant_id", "occasion"]]
    key = (missed["organisation_id"] + "/" + missed["participant_id"]).astype(object)
    people = pd.Index(sorted(set(frame["participant"].astype(object)) | set(key)))
    span = 1_000_000
    places = np.sort(people.get_indexer(key) * span + missed["occasion"].to_numpy(dtype=np.int64, na_value=0))
    person = people.get_indexer(frame["participant"].astype(object)) * span
    number = frame["occasion"].to_numpy(dtype=np.int64)
    before = np.searchsorted(places, person + number) - np.searchsorted(places, person)
    return np.asarray(before, dtype=np.float64)


def _usable(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Fill in what is unknown by the mean, with an indicator of that; return the factors that vary, and indicators."""
    added: dict[str, FloatArray] = {}
    terms = []
    for name in FACTORS:
        values, missing = imputed(frame[name].to_numpy(dtype=np.float64))
        if not len(values) or missing.all() or np.ptp(values) == 0:
            continue
        added[name] = values
        terms.append(name)
        if RARE <= missing.sum() <= len(frame) - RARE:
            added[f"{name}_missing"] = missing.astype(np.float64)
            terms.append(f"{name}_missing")
    return frame.assign(**added), terms


def _role(study: Study, frame: pd.DataFrame) -> pd.Series:
    """Return the role of who gave each answer."""
    return _of_caseworker(study, frame, "role").fillna("unknown")


def _unit(frame: pd.DataFrame) -> pd.Series:
    """Return the unit within its organisation; the first of each is the reference, as the background holds those."""
    unit = frame["unit_id"].astype(object).fillna("")
    first = unit.groupby(frame["organisation_id"].astype(object)).transform("min")
    return (frame["organisation_id"].astype(object) + "/" + unit).where(unit != first, "")


def _levels(frame: pd.DataFrame, values: pd.Series, name: str) -> dict[str, FloatArray]:
    """Return an indicator of each level but the most common one; rare levels stand with it."""
    counts = values.value_counts()
    if len(counts) < 2:
        return {}
    common = "" if name == "unit" else min(counts.index[counts == counts.max()])
    kept = sorted(level for level in counts.index if level != common and counts[level] >= RARE)
    return {f"{name}_{place}": (values == level).to_numpy(dtype=np.float64) for place, level in enumerate(kept)}


def _joint(fit: Any, terms: Sequence[str]) -> Number:
    """Return the p-value of the test that all of several coefficients are zero."""
    from scipy.special import fdtrc

    places = [fit.terms.index(term) for term in terms if term in fit.terms]
    number = Number(n=int(fit.glance()["rows"].iloc[0]))
    covariance = fit.covariance[np.ix_(places, places)]
    if not places or np.linalg.matrix_rank(covariance, hermitian=True) < len(places):
        return number
    values = fit.estimates[places]
    statistic = float(values @ np.linalg.solve(covariance, values)) / len(places)
    degrees = float(min(fit.errors.degrees, 1e9))
    if degrees <= len(places):
        return number
    return replace(number, p_value=float(fdtrc(len(places), degrees, max(statistic, 0.0))))


def spread(panel: pd.DataFrame, first: pd.DataFrame) -> Rows:
    """Return how much of the variance of belief lies between caseworkers, and how much over time.

    Random intercepts of caseworkers at the first measurement, with and without what the participant's own answers,
    background and unit say; and random intercepts of participants over all occasions, the rest being change over time.

    Parameters
    ----------
    panel : DataFrame
        All occasions.
    first : DataFrame
        From `bipstudy.analyses.belief_optimism.with_optimism`.
    """
    whole = panel[panel["belief"].notna()]
    asked = (
        ("belief_between_caseworkers_share", first, "belief", "answering_caseworker", "raw", False),
        (
            "belief_between_caseworkers_share",
            first,
            "belief_net",
            "answering_caseworker",
            "unit_quarter_answers",
            False,
        ),
        ("belief_over_time_share", whole, "belief", "participant", "raw", True),
    )
    rows: Rows = []
    for contrast, frame, response, group, adjustment, rest in asked:
        label = Label(NAME, contrast, "share", OUTCOME, "belief", None, adjustment)
        rows.append((label, _intraclass(frame, response, group, adjustment != "raw", rest)))
    return rows


def _intraclass(frame: pd.DataFrame, response: str, group: str, within: bool, rest: bool) -> Number:
    """Return the share of the variance between groups, or the rest of it; `within` takes out the means of cells."""
    known = frame[frame[[response, group]].notna().all(axis=1)]
    values = known[response].to_numpy(dtype=np.float64)
    if within and len(known):
        values = values - known.groupby("cell")[response].transform("mean").to_numpy()
    short = pd.DataFrame({"value": values, "group": known[group].astype(object).to_numpy()})
    fit = attempt(lambda: models.random_intercept(short, "value ~ 1", group="group"))
    if fit is None:
        return Number(n=max(len(frame), 1))
    parts = fit.variance_components().set_index("component").loc["intraclass_correlation"]
    numbers = [float(parts[name]) for name in ("estimate", "conf_low", "conf_high")]
    if rest:
        numbers = [1 - numbers[0], 1 - numbers[2], 1 - numbers[1]]
    return Number(numbers[0], float(parts["std_error"]), numbers[1], numbers[2], math.nan, len(short), None,
                  short["group"].nunique())  # fmt: skip


@dataclass(frozen=True)
class PastSuccess:
    """What had become of a caseworker's earlier participants.

    Attributes
    ----------
    share : array of shape (n,)
        Share that had made a transition before the day; NaN with too few.
    months : array of shape (n,)
        Mean months since their first measurement.
    others : array of int, shape (n,)
    """

    share: FloatArray
    months: FloatArray
    others: IntArray


def past_success(
    *, caseworker: IntArray, first_day: IntArray, last_day: IntArray, transition: IntArray, least: int = OTHERS
) -> PastSuccess:
    """Share of the caseworker's earlier participants with a transition before the day of each measurement.

    Parameters
    ----------
    caseworker : array of int, shape (n,)
        Code; -1 where nobody is known.
    first_day, last_day : array of int, shape (n,)
        First and last day that the measurement may be of.
    transition : array of int, shape (n,)
        Day of the transition; later than any other where there is none.
    least : int, default 5

    Returns
    -------
    PastSuccess

    Examples
    --------
    >>> import numpy as np
    >>> days = np.array([0, 10, 400])
    >>> found = past_success(caseworker=np.zeros(3, dtype=int), first_day=days, last_day=days,
    ...                      transition=np.array([50, 9999, 9999]), least=2)
    >>> found.share.tolist(), found.others.tolist()
    ([nan, nan, 0.5], [0, 1, 2])
    """
    span, shift = 4_000_000, 1_500_000
    given = caseworker >= 0
    wanted = caseworker * span + first_day + shift
    floor = caseworker * span

    def before(day: IntArray) -> tuple[IntArray, FloatArray]:
        keys = caseworker[given] * span + np.minimum(day[given], shift) + shift
        order = np.argsort(keys, kind="stable")
        running = np.concatenate([[0.0], np.cumsum(day[given][order].astype(np.float64))])
        low, high = np.searchsorted(keys[order], floor), np.searchsorted(keys[order], wanted)
        return np.where(given, high - low, 0).astype(np.int64), running[high] - running[low]

    others, days = before(last_day)
    successes, _ = before(transition)
    enough = others >= max(least, 1)
    share = np.divide(successes, others, out=np.full(len(others), np.nan), where=enough)
    mean_day = np.divide(days, others, out=np.full(len(others), np.nan), where=enough)
    return PastSuccess(share, (first_day - mean_day) / (365.25 / 12), others)


def by_past_success(first: pd.DataFrame, own: Sequence[str]) -> tuple[Label, Number]:
    """Return what ten points more of own past success go with, in standard deviations of belief.

    Within unit and quarter of entry, adjusted for the mean time since those participants were measured, background and
    the participant's own answers; errors clustered by caseworker.

    Parameters
    ----------
    first : DataFrame
        From `bipstudy.analyses.belief_optimism.with_optimism`.
    own : sequence of str
    """
    days = {
        name: first[column].to_numpy(dtype="datetime64[D]").astype(np.int64)
        for name, column in (("first_day", "answered_from"), ("last_day", "answered_on"))
    }
    ends = first["transition_on"].to_numpy(dtype="datetime64[D]")
    transition = np.where(np.isnat(ends), 1_400_000, ends.astype(np.int64))
    codes = pd.factorize(first["answering_caseworker"], sort=True)[0].astype(np.int64)
    past = past_success(caseworker=codes, transition=transition, **days)
    frame = first.assign(past_success=10 * past.share, past_months=past.months, year=first["quarter"].str[:4])
    frame = frame[frame["past_success"].notna() & frame["belief"].notna()].reset_index(drop=True)
    label = Label(NAME, "belief_with_past_success", "sd", OUTCOME, "past_success", None, "unit_quarter_answers")
    z = standardised(frame["belief"].to_numpy(dtype=np.float64))
    if z is None:
        return label, Number(n=max(len(first), 1))
    frame, background = with_background(frame.assign(z_belief=z))
    frame, answers = with_answers(frame, own, "own")
    terms = ["past_success", "past_months", *background, *answers]
    used = list(dict.fromkeys(["z_belief", *terms, "cell", "answering_caseworker"]))
    fit = attempt(
        lambda: models.linear_probability(
            frame[used], f"{formula('z_belief', terms)} | cell", cluster="answering_caseworker"
        )
    )
    if fit is None or "past_success" not in fit.terms:
        return label, Number(n=len(frame))
    return label, replace(from_tidy(fit.tidy(), "past_success", fit), events=None)
