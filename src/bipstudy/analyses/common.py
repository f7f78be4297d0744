"""What the analyses share: the sample at the first measurement, background, clusters, weights and flows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import resampling
from bipstudy.analyses.estimating import reasons
from bipstudy.analyses.result import FLOW_COLUMNS, Result, Sentence

P = ParamSpec("P")

# Definition of a transition -> what the outcome is called in the estimates.
OUTCOMES = {"primary": "work_or_study", "narrow": "work_narrow", "broad": "work_or_study_broad"}
WORK, STUDY = 1, 2
CLUSTER = "cluster_caseworker"
CATEGORIES = (
    "sex", "age_group", "birth_region", "education", "vocational_qualification", "main_support_at_entry",
    "mental_ill_health", "musculoskeletal_disorder", "outcome_follow_up", "organisation_id",
)  # fmt: skip
# Everything that an adjustment for background takes in.
BACKGROUND = (*CATEGORIES, "year", "months_since_work", "work_or_study_share_5y")
# Set by a plan while an analysis runs, and only then.
_LEFT_OUT: ContextVar[frozenset[str]] = ContextVar("left_out", default=frozenset())
# Weights of participants by their label, while an analysis is made for another population; and their column.
_WEIGHTS: ContextVar[Mapping[str, float] | None] = ContextVar("population", default=None)
POPULATION = "population_weight"
# A level of a background variable with fewer rows stands with the most common one: it could not be told apart.
RARE = 20
# With fewer, limits that are normal on some scale, and clustered by caseworkers, are too narrow. In `indicators` a
# sentence of its own says so; those of `caseworkers` are no normal limits.
ENOUGH_CASEWORKERS = 40
NORMAL = (
    "participants", "transitions", "readiness", "belief", "continuity", "activities", "progression", "insights",
    "measurement", "training",
)  # fmt: skip
TOP, BOTTOM = 75.0, 25.0


def ready(panel: pd.DataFrame) -> pd.DataFrame:
    """Return the panel with what every model needs.

    Parameters
    ----------
    panel : DataFrame
        Rows of `bipstudy.build_panel` or `bipstudy.build_episodes`.

    Returns
    -------
    DataFrame
        With ``cluster_caseworker`` (who has no caseworker is a cluster alone), ``year`` and, where there is `y`,
        ``y_work`` and ``y_study`` (first transition into work or study; the other one competes). While an analysis is
        made for another population, with its weights, also in ``ipcw``.
    """
    cluster = panel["caseworker"].to_numpy(dtype=object, copy=True)
    alone = panel["caseworker"].isna().to_numpy()
    cluster[alone] = "none/" + panel["participant"].array[alone].astype(object)
    place, quarters = pd.factorize(panel["quarter"])
    years = np.array([*(quarter[:4] for quarter in quarters), pd.NA], dtype=object)
    added: dict[str, Any] = {CLUSTER: cluster, "year": years[place]}
    if "y" in panel:
        known = panel["y"].notna()
        for name, cause in (("y_work", WORK), ("y_study", STUDY)):
            added[name] = (panel["cause"] == cause).astype(float).where(known)
    weights = _WEIGHTS.get()
    if weights is not None:
        added[POPULATION] = panel["participant"].astype(object).map(weights).fillna(1.0).astype(float)
        if "ipcw" in panel:
            added["ipcw"] = panel["ipcw"] * added[POPULATION]
    return _assigned(panel.drop(columns=[name for name in added if name in panel]), added)


def with_background(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add the background in the form that the models take.

    Codes stay categories, with their own level for what is unknown; a level with fewer than `RARE` rows stands with
    the most common one. Months since work enter as ``log(1 + months)`` and, like the share of five years in work or
    study, at their mean where unknown, with an indicator of that. Organisation and calendar year belong to it.

    Parameters
    ----------
    frame : DataFrame
        From `ready`.

    Returns
    -------
    frame : DataFrame
        With columns ``bg_...``.
    terms : list of str
        The added columns; a variable that does not vary has none. The first level of a code is the reference.
    """
    added: dict[str, Any] = {}
    left_out = _LEFT_OUT.get()
    for name in (each for each in (*CATEGORIES, "year") if each not in left_out):
        codes = _merged(frame[name])
        # Columns of numbers instead of categories: they are made once and not for each of many models.
        for number in range(1, int(codes.max(initial=0)) + 1):
            added[f"bg_{name}_{number}"] = (codes == number).astype(np.float64)
    numbers = {"months_since_work": np.log1p(frame["months_since_work"].clip(lower=0))}
    numbers["work_or_study_share_5y"] = frame["work_or_study_share_5y"]
    for name, values in ((each, numbers[each]) for each in numbers if each not in left_out):
        filled, missing = imputed(values.to_numpy(dtype=np.float64))
        if len(filled) and np.ptp(filled) > 0:
            added[f"bg_{name}"] = filled
        if RARE <= missing.sum() <= len(frame) - RARE:
            added[f"bg_{name}_missing"] = missing.astype(float)
    return _assigned(frame, added), [*added]


@contextmanager
def background_without(names: Iterable[str]) -> Iterator[None]:
    """Leave variables out of every adjustment for background that is made while it is open.

    Parameters
    ----------
    names : iterable of str
        Of `BACKGROUND`.
    """
    token = _LEFT_OUT.set(frozenset(names))
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


@contextmanager
def population_weights(weights: Mapping[str, float]) -> Iterator[None]:
    """Weight participants as in another population in every model that is fitted while it is open.

    Parameters
    ----------
    weights : mapping of str to float
        By participant, ``organisation/local id``; with mean 1.
    """
    token = _WEIGHTS.set(weights)
    try:
        yield
    finally:
        _WEIGHTS.reset(token)


def weight_column(frame: pd.DataFrame) -> list[str]:
    """Return the column with the weights of another population, in a list; an empty one if there are none."""
    return [POPULATION] if POPULATION in frame else []


def with_answers(frame: pd.DataFrame, columns: Sequence[str], name: str) -> tuple[pd.DataFrame, list[str]]:
    """Add answers in the form that the models take: standard deviations, the mean where one is missing.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str
        Answers, 0-100.
    name : str
        What the added columns begin with.

    Returns
    -------
    frame : DataFrame
        With ``<name>_<column>`` and, if answers are missing, ``<name>_missing`` (their share in the row).
    terms : list of str
    """
    added: dict[str, Any] = {}
    for column in columns:
        z = standardised(frame[column].to_numpy(dtype=np.float64))
        if z is not None:
            added[f"{name}_{column}"] = np.nan_to_num(z)
    missing = frame[list(columns)].isna().mean(axis=1).to_numpy() if len(columns) else np.zeros(len(frame))
    if len(frame) and np.ptp(missing) > 0:
        added[f"{name}_missing"] = missing
    return _assigned(frame, added), [*added]


def standardised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Return values in standard deviations from their mean, None where they do not vary; missing stays missing."""
    given = values[~np.isnan(values)]
    if len(given) < 2:
        return None
    deviation = float(np.std(given, ddof=1))
    return (values - given.mean()) / deviation if deviation > 0 else None


def imputed(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return values with their mean where they are missing, and where that is."""
    missing = np.isnan(values)
    centre = float(values[~missing].mean()) if not missing.all() else 0.0
    return np.where(missing, centre, values), missing


def formula(response: str, *terms: str | Iterable[str]) -> str:
    """Return a formula from terms and lists of terms.

    Examples
    --------
    >>> formula("y", "x", ["C(a)", "b"])
    'y ~ x + C(a) + b'
    """
    names = flat(terms)
    return f"{response} ~ {' + '.join(names) if names else '1'}"


def flat(terms: Iterable[str | Iterable[str]]) -> list[str]:
    """Return terms and lists of terms as one list."""
    return [term for part in terms for term in ([part] if isinstance(part, str) else part)]


def binary(frame: pd.DataFrame, response: str, *terms: str | Iterable[str], cluster: Sequence[str] = (CLUSTER,)) -> Any:
    """Fit a logit of a fixed-horizon outcome with censoring weights.

    Parameters
    ----------
    frame : DataFrame
        Rows with an unknown outcome weigh nothing and are left out.
    response : str
    *terms : str or list of str
    cluster : sequence of str

    Returns
    -------
    HazardFit
    """
    from bipstudy import models

    names = flat(terms)
    known = frame["y_known"].to_numpy(dtype=bool)
    used = list(dict.fromkeys([response, *names, "ipcw", "participant", *cluster]))
    return models.discrete_hazard(
        frame.loc[known, used],
        formula(response, names),
        link="logit",
        weights="ipcw",
        cluster=list(cluster),
        person="participant",
    )


def standardise(
    fit: Any, frame: pd.DataFrame, exposure: str | None, values: Any, cluster: Sequence[str] = (CLUSTER,)
) -> Any:
    """Return the risks of a logit standardised over everybody in the frame, whether the outcome is known or not."""
    from bipstudy import models

    own = [column for column in frame.columns if column in {*fit.design.variables, *cluster}]
    if POPULATION in frame:
        return models.standardised_risk(
            fit, frame[own], exposure, values, weights=frame[POPULATION].to_numpy(dtype=np.float64)
        )
    risks = models.standardised_risk(fit, frame[own], exposure, values)
    of = resampling.of_risks(fit, frame[own], exposure, values)
    return risks if of is None else resampling.Risks(risks, of)


def single_threaded(analysis: Callable[P, Result]) -> Callable[P, Result]:
    """Let an analysis use one thread for linear algebra, and say what it could not estimate or made of few caseworkers.

    The matrices are small: more threads are slower, and their number must not decide the last digit of a result.
    """

    @wraps(analysis)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Result:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        with threadpool_limits(limits=1), reasons() as said:
            result = analysis(*args, **kwargs)
        few = few_caseworkers(result.estimates) if result.name in NORMAL else []
        return replace(result, remarks=(*result.remarks, *few, *_not_estimated(result.estimates, said)))

    return inner


def few_caseworkers(found: pd.DataFrame, sentence: str = "analyses.note_few_caseworkers") -> list[Sentence]:
    """Return what is said where normal limits of the primary estimates are too narrow, for want of caseworkers.

    Parameters
    ----------
    found : DataFrame
        Estimates; those that could not be made count for nothing, nor do those of least squares, whose limits are t.
    sentence : str
        With a place for the number, ``n``.

    Returns
    -------
    list of Sentence
        None with `ENOUGH_CASEWORKERS` or more.
    """
    normal = (found["role"] == "primary") & (found["scale"] != "sd") & found["conf_low"].notna()
    counts = found.loc[normal, "clusters"].dropna()
    fewest = ENOUGH_CASEWORKERS if counts.empty else int(counts.min())
    return [Sentence(sentence, {"n": fewest})] if fewest < ENOUGH_CASEWORKERS else []


def _not_estimated(found: pd.DataFrame, said: Sequence[str]) -> list[Sentence]:
    """Return how many estimates could not be made, and what the models said of it."""
    main = found.loc[found["estimate"].isna(), "role"] == "primary"
    if main.empty:
        return []
    counts = {"primary": int(main.sum()), "secondary": int((~main).sum())}
    kind = "note_not_estimated" if counts["primary"] else "note_not_estimated_secondary"
    return [
        Sentence(f"analyses.{kind}", counts),
        *(Sentence("analyses.note_reason", {"reason": message}) for message in said),
    ]


class FlowBook:
    """Who is left at each step, from everybody to the rows of an estimate.

    Begins where the flow of the panel ends. Entries add up: the start less all that was left out is what was kept.

    Parameters
    ----------
    name : str
        Name of the flow.
    entries : iterable of mapping
        ``attrs["flow"]`` of panel or episodes.
    frame : DataFrame
        The rows that flow ends with.
    """

    def __init__(self, name: str, entries: Iterable[Mapping[str, Any]], frame: pd.DataFrame) -> None:
        self.name = name
        self._rows: list[tuple[str, str, int, int]] = []
        for entry in entries:
            sign = -1 if entry["kind"] == "left_out" else 1
            counts = sign * int(entry["participants"]), sign * int(entry["rows"])
            if entry["kind"] != "kept":
                self._rows.append((f"panel.flow_{entry['step']}", str(entry["kind"]), *counts))
            elif counts[1] != len(frame):
                # Episodes count each participant's time at risk once, before it is cut into periods.
                self._rows.append(("analyses.flow.cut", "cut", 0, len(frame) - counts[1]))
        self._frame = frame

    def keep(self, step: str, kept: pd.Series | npt.NDArray[np.bool_]) -> pd.DataFrame:
        """Leave out the rows that are not kept, note why, and return the others."""
        remaining = self._frame[np.asarray(kept, dtype=bool)].reset_index(drop=True)
        remaining.attrs = {}
        gone = self._frame["participant"].nunique() - remaining["participant"].nunique()
        self._rows.append((f"analyses.flow.{step}", "left_out", -gone, len(remaining) - len(self._frame)))
        self._frame = remaining
        return remaining

    def keep_missing(self, step: str, column: str) -> pd.DataFrame:
        """Leave out the rows without a value, note why, and return the others."""
        return self.keep(step, self._frame[column].notna())

    def keep_at_least(self, step: str, column: str, least: float) -> pd.DataFrame:
        """Leave out the rows with a smaller value or none, note why, and return the others."""
        return self.keep(step, self._frame[column] >= least)

    def begin(self, step: str) -> None:
        """Begin a flow of its own with the rows there are."""
        count = int(self._frame["participant"].nunique())
        self._rows.append((f"analyses.flow.{step}", "start", count, len(self._frame)))

    def finish(self, step: str) -> pd.DataFrame:
        """Note what was kept and return the flow."""
        count = int(self._frame["participant"].nunique())
        rows = [*self._rows, (f"analyses.flow.{step}", "kept", count, len(self._frame))]
        return pd.DataFrame([(self.name, *row) for row in rows], columns=list(FLOW_COLUMNS))


def outcome_name(outcome: str) -> str:
    """Return what a definition of a transition is called in the estimates."""
    return OUTCOMES.get(outcome, outcome)


def whole_months(months: float) -> int | None:
    """Return a horizon in whole months, None where it is not whole."""
    return int(months) if float(months).is_integer() and math.isfinite(months) else None


def _merged(values: pd.Series) -> npt.NDArray[np.int64]:
    """Return the levels of a code as numbers: unknown is one, rare ones stand with the most common."""
    place, found = pd.factorize(values)
    yes_no = pd.api.types.is_float_dtype(values.dtype)
    words = [{1.0: "yes", 0.0: "no"}.get(word, "unknown") if yes_no else str(word) for word in found]
    # What is missing has place -1: the last of the words.
    numbers: npt.NDArray[np.int64] = np.unique(np.array([*words, "unknown"], dtype=object), return_inverse=True)[1]
    level: npt.NDArray[np.int64] = numbers[place]
    if not len(level):
        return level
    counts = np.bincount(level)
    # The first in order among equals: it must not depend on the order of rows.
    merged = np.where(counts >= RARE, np.arange(len(counts)), int(counts.argmax()))
    numbered: npt.NDArray[np.int64] = np.unique(merged[counts > 0], return_inverse=True)[1]
    renumbered = np.zeros(len(counts), dtype=np.int64)
    renumbered[counts > 0] = numbered
    return renumbered[level]


def _assigned(frame: pd.DataFrame, added: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame with further columns."""
    joined = pd.concat([frame, pd.DataFrame(dict(added), index=frame.index)], axis=1)
    # pandas copies attributes, the whole flow among them, at every step.
    joined.attrs = {}
    return joined
