"""Every sensible way to answer a question at once: nobody outside knows the one that the Danish study took."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.panel.assembly import parts_kept
from bipstudy.replication.curve_fits import Fitted, fit, wald
from bipstudy.replication.joint_tests import flipped, joint_p
from bipstudy.replication.multiverse_data import data_of, neighbours_first
from bipstudy.replication.multiverse_frames import Shared, from_episodes, from_panel, share
from bipstudy.replication.processes import tidy
from bipstudy.replication.specifications import FACTORS, Specification, incompatible, specifications
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, text

FLIPS = 999
Z = 1.959963984540054
_NUMBERS = (
    "coefficient", "std_error", "p_value", "low_risk", "high_risk", "difference", "difference_low", "difference_high",
    "ratio", "ratio_low", "ratio_high", "n", "events", "clusters",
)  # fmt: skip


@dataclass(frozen=True)
class Multiverse:
    """The answers of all specifications.

    Attributes
    ----------
    table : DataFrame
        One row per specification: what it is (``question, contrast, estimator, outcome, horizon_months, adjustment,
        occasions, absorbed, washout_days, missing``), the coefficient on the estimator's scale with its error and
        p-value, and on one scale for all: ``difference`` and ``ratio`` of standardised risks with intervals, with
        ``low_risk`` and ``high_risk`` behind them; ``n, events, clusters``. Numbers are missing where the data could
        not give an answer. Risks are those within the horizon; for continuity those of a quarter.
    excluded : DataFrame
        Combinations that do not go together, with ``reason_key``.
    summary : DataFrame
        By question: specifications, those without an answer, shares by direction and significance (5 per cent), median
        ratio and difference with the ends of their middle half, and p-values of "no association in any of them", by
        the largest and by the mean statistic, from signs of caseworkers flipped in all of them alike.
    variance : DataFrame
        By question and choice: share of the variance of the log ratios that the choice goes with by itself.
    facts : mapping of str to object
        Flips and seed.
    """

    table: pd.DataFrame
    excluded: pd.DataFrame
    summary: pd.DataFrame
    variance: pd.DataFrame
    facts: Mapping[str, Any]

    def figure(self, question: str, language: str | None = None) -> Any:
        """Return the specification curve of a question.

        Parameters
        ----------
        question : str
        language : {"sv", "en"}, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        from bipstudy.replication.multiverse_page import draw
        from bipstudy.texts import default_language

        return draw(self, question, language or default_language())


def multiverse(
    study: Study,
    questions: Sequence[str] | None = None,
    *,
    flips: int = FLIPS,
    seed: int = 1,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Multiverse:
    """Answer belief, continuity, indicators and activities in every declared way.

    Parameters
    ----------
    study : Study
    questions : sequence of str, optional
        Some of ``belief, continuity, indicators, activities``; all by default.
    flips : int, default 999
        Random signs of the joint tests.
    seed : int, default 1
        Of the signs.
    n_jobs : int, default 1
        Processes; the numbers are the same for any.
    progress : callable of (done, planned), optional
        Called when specifications are done.

    Returns
    -------
    Multiverse

    Raises
    ------
    BipstudyError
        An unknown question, or the study holds no outcomes.

    Notes
    -----
    Steegen, S., Tuerlinckx, F., Gelman, A., Vanpaemel, W. (2016). Increasing transparency through a multiverse
    analysis. Perspectives on Psychological Science 11, 702-712. Simonsohn, U., Simmons, J. P., Nelson, L. D. (2020).
    Specification curve analysis. Nature Human Behaviour 4, 1208-1214. The joint tests are those of Girardi and others
    (2024), see `bipstudy.replication.joint_tests.flipped`.

    Examples
    --------
    >>> import bipstudy as bip
    >>> found = bip.replication.multiverse(bip.load_example(), ["continuity"], flips=19)
    >>> found.summary["question"].tolist()
    ['continuity']
    """
    known = ("belief", "continuity", "indicators", "activities")
    chosen = [*(questions if questions is not None else known)]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise BipstudyError("replication.unknown_universe", name=unknown[0], known=", ".join(known))
    declared = specifications(chosen)
    reasons = {each: incompatible(each) for each in declared}
    wanted = [each for each in declared if not reasons[each]]
    shared = share(study)
    tasks = _tasks(wanted)
    found: dict[Specification, tuple[Fitted | None, tuple[int, int, int]]] = {}
    done = 0
    for answers in _spread(shared, tasks, n_jobs):
        found.update(answers)
        done += len(answers)
        if progress is not None:
            progress(done, len(wanted))
    table = pd.DataFrame([_row(each, *found[each]) for each in wanted])
    scores = np.array([_scores(found[each][0], len(shared.clusters)) for each in wanted])
    summary = _summary(table, scores, flips, seed)
    left_out = [
        {**asdict(each), "reason_key": f"replication.excluded.{reasons[each]}"} for each in declared if reasons[each]
    ]
    return Multiverse(
        table=table,
        excluded=pd.DataFrame(left_out, columns=["question", *FACTORS, "reason_key"]),
        summary=summary,
        variance=_variance(table),
        facts={"flips": flips, "seed": seed},
    )


def _tasks(wanted: Sequence[Specification]) -> list[list[Specification]]:
    """Return specifications whose panels or episodes have most in common, those of one horizon after each other.

    The longest come first, so that no process waits at the end.
    """

    def shared(each: Specification) -> tuple[Any, ...]:
        return each.question == "continuity", each.outcome, each.washout_days

    ordered = sorted(wanted, key=lambda each: (*shared(each), each.horizon_months, *neighbours_first(each)))
    groups = [list(group) for _, group in itertools.groupby(ordered, key=shared)]
    return sorted(groups, key=lambda group: (-len(group), shared(group[0])))


# Of the logarithm of a ratio: its interval then spans more powers of ten than there are people.
_WIDEST = 20.0
Answers = list[tuple[Specification, tuple[Fitted | None, tuple[int, int, int]]]]


def _spread(shared: Shared, tasks: Sequence[Sequence[Specification]], n_jobs: int) -> Any:
    """Run the tasks here or in processes."""
    if n_jobs == 1:
        return (_run(shared, task) for task in tasks)
    from joblib import Parallel, delayed

    return Parallel(n_jobs=n_jobs, return_as="generator")(delayed(tidy)(_run, shared, task) for task in tasks)


def _run(shared: Shared, task: Sequence[Specification]) -> Answers:
    """Return the answers of specifications that share an outcome and a wash-out."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    own = replace(shared, kept={})
    found: Answers = []
    # One thread: matrices are small, and sums must be made the same way everywhere.
    with threadpool_limits(limits=1), parts_kept():
        for horizon, group in itertools.groupby(task, key=lambda each: each.horizon_months):
            some = list(group)
            one = some[0]
            build = from_episodes if one.question == "continuity" else from_panel
            frame = build(own, one.outcome, horizon, one.washout_days)
            found += [(each, _answer(each, frame, own)) for each in some]
    return found


def _answer(each: Specification, frame: Any, shared: Shared) -> tuple[Fitted | None, tuple[int, int, int]]:
    """Return the fit of a specification, and rows, events and caseworkers."""
    fits, counts = [], (0, 0, 0)
    for data in data_of(each, frame, shared):
        counts = (len(data.response), int(data.response.sum()), len(np.unique(data.caseworker)))
        fits.append(fit(each.estimator, data, len(shared.clusters)))
    made = [one for one in fits if one is not None]
    if len(made) < len(fits) or not made:
        return None, counts
    found = made[0] if len(made) == 1 else _pooled(made)
    return (found if _bounded(found) else None), counts


def _bounded(found: Fitted) -> bool:
    """Say whether the data bound a ratio at all; where they do not, its interval has no finite ends."""
    spread = abs(found.slope_ratio) * found.std_error
    return bool(min(found.low_risk, found.high_risk) > 0 and spread < _WIDEST)


def _pooled(fits: Sequence[Fitted]) -> Fitted:
    """Return fits to imputed data as one, by Rubin's rules; scores and risks are means."""
    values = {name: np.array([getattr(each, name) for each in fits]) for name in vars(fits[0])}
    between = float(np.var(values["coefficient"], ddof=1))
    error = math.sqrt(float((values["std_error"] ** 2).mean()) + (1 + 1 / len(fits)) * between)
    means = {name: each.mean(axis=0) for name, each in values.items() if name != "std_error"}
    plain = {name: each if name == "scores" else float(each) for name, each in means.items()}
    return Fitted(std_error=error, **plain)  # type: ignore[arg-type]


def _scores(found: Fitted | None, size: int) -> npt.NDArray[np.float64]:
    """Return effective scores by caseworker, zero without an answer."""
    return np.zeros(size) if found is None else found.scores


def _row(each: Specification, found: Fitted | None, counts: tuple[int, int, int]) -> dict[str, Any]:
    """Return one row of the table."""
    row = {**asdict(each), **dict.fromkeys(_NUMBERS, math.nan)}
    row |= dict(zip(("n", "events", "clusters"), counts, strict=True))
    if found is None:
        return row
    difference, ratio = found.high_risk - found.low_risk, math.log(found.high_risk / found.low_risk)
    spread, spread_ratio = abs(found.slope_difference) * found.std_error, abs(found.slope_ratio) * found.std_error
    return row | {
        "coefficient": found.coefficient,
        "std_error": found.std_error,
        "p_value": wald(found),
        "low_risk": found.low_risk,
        "high_risk": found.high_risk,
        "difference": difference,
        "difference_low": difference - Z * spread,
        "difference_high": difference + Z * spread,
        "ratio": math.exp(ratio),
        "ratio_low": math.exp(ratio - Z * spread_ratio),
        "ratio_high": math.exp(ratio + Z * spread_ratio),
    }


def _summary(table: pd.DataFrame, scores: npt.NDArray[np.float64], flips: int, seed: int) -> pd.DataFrame:
    """Return shares by direction and significance, and the joint tests."""
    used = np.flatnonzero((scores != 0).any(axis=0))
    observed, drawn = flipped(scores[:, used], flips=flips, seed=seed)
    rows = []
    for question in dict.fromkeys(table["question"]):
        # Each indicator asks something of its own, so that no test is made of all of them together but the largest.
        own = table[table["question"] == question]
        made = own.dropna(subset=["ratio"])
        up, sure = made["ratio"] > 1, made["p_value"] < 0.05
        largest, mean = joint_p(observed, drawn, [int(place) for place in made.index])
        quartiles = {name: made[name].quantile([0.25, 0.5, 0.75]).tolist() for name in ("ratio", "difference")}
        rows.append(
            {
                "question": question,
                "specifications": len(own),
                "without_answer": len(own) - len(made),
                "above": float(up.mean()),
                "above_significant": float((up & sure).mean()),
                "below_significant": float((~up & sure).mean()),
                **{
                    f"{name}_{part}": value
                    for name, values in quartiles.items()
                    for part, value in zip(("lower", "median", "upper"), values, strict=True)
                },
                "p_largest": largest,
                "p_mean": mean,
            }
        )
    return pd.DataFrame(rows)


def _variance(table: pd.DataFrame) -> pd.DataFrame:
    """Return the share of the variance of log ratios between the levels of each choice."""
    rows = []
    for question in dict.fromkeys(table["question"]):
        made = table[(table["question"] == question) & table["ratio"].notna()]
        values = np.log(made["ratio"].to_numpy(dtype=np.float64))
        total = float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
        for factor in FACTORS:
            levels = made[factor].to_numpy(dtype=object)
            codes, names = pd.factorize(levels)
            if len(names) < 2 or total == 0.0:
                continue
            means = np.bincount(codes, weights=values) / np.bincount(codes)
            share_ = float(((means[codes] - values.mean()) ** 2).sum()) / total
            rows.append({"question": question, "choice": factor, "levels": len(names), "share": share_})
    return pd.DataFrame(rows, columns=["question", "choice", "levels", "share"])


def sentence(found: Multiverse, question: str, language: str) -> str:
    """Return what all specifications of a question say, in a sentence.

    Parameters
    ----------
    found : Multiverse
    question : str
    language : {"sv", "en"}

    Returns
    -------
    str
    """
    from bipstudy.report.numbers import count, number, percent

    row = found.summary.set_index("question").loc[question]
    if row["specifications"] == row["without_answer"]:
        return text("replication.multiverse.none", language)
    return text(
        "replication.multiverse.sentence",
        language,
        specifications=count(int(row["specifications"] - row["without_answer"]), language),
        above=percent(row["above"], language, 0),
        above_significant=percent(row["above_significant"], language, 0),
        below_significant=percent(row["below_significant"], language, 0),
        median=number(row["ratio_median"], language, 2),
        lower=number(row["ratio_lower"], language, 2),
        upper=number(row["ratio_upper"], language, 2),
        p=number(row["p_largest"], language, 3),
    )
