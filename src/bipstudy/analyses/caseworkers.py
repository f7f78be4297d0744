"""How much caseworkers differ, beyond chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.caseworkers_draws import of_halves, of_spread
from bipstudy.analyses.common import (
    CLUSTER,
    FlowBook,
    formula,
    outcome_name,
    ready,
    single_threaded,
    whole_months,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, Z, attempt, estimates
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import build_panel
from bipstudy.panel.checks import check_definition
from bipstudy.study import Study

NAME = "caseworkers"
# The halves are read over two years: in one year the published shares cannot be those of groups of the Danish study.
HALVES_MONTHS = 24
FEWEST_CLIENTS = 5
FEWEST_SHOWN = 10
DRAWS = 499
CASELOADS = (5, 10, 14, 20, 30, 50, 100)
RANK_DRAWS = 500
Floats = npt.NDArray[np.float64]


@single_threaded
def caseworkers(
    study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30
) -> Result:
    """Answer how much caseworkers differ in how many of their participants reach work or study, beyond chance.

    Estimand: standard deviation of the true effects of caseworkers on the probability of a transition within the
    horizon, in percentage points, adjusted for background (organisation and calendar year belong to it). Population:
    first measurements followed from the wash-out on, with the main caseworker of that day. Danish finding: R15, the
    unadjusted shares in work or study of the most and least effective caseworkers, read as halves of caseworkers with
    at least five participants by their own result, over 24 months. Models: linear random intercept by restricted
    maximum likelihood of the outcome times its censoring weight; earlier and later participants of the same caseworker;
    participants dealt out anew by chance. Cannot show: that a caseworker brings a difference about: participants are
    not assigned by lot. No caseworker is named or ranked.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float
    washout_days : int

    Returns
    -------
    Result
        Tables ``halves``, ``by_caseload``, ``reliability`` and ``ranking``; figure ``curve``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.caseworkers(bip.load_example()).primary()["contrast"].tolist()
    ['sd_true_effects']
    """
    check_definition(study, outcome)
    frame, book = _sample(study, outcome, horizon_months, washout_days)
    book_flow = book.finish("first_rows_with_caseworker")
    frame, background = with_background(frame)
    background = _independent(frame, background)
    named, months = outcome_name(outcome), whole_months(horizon_months)
    effects = {"background": _effects(frame, background), "raw": _effects(frame, [], draws=9)}
    rows = _spread(effects, named, months, frame)
    long, _ = _sample(study, outcome, HALVES_MONTHS, washout_days)
    known = {months: frame[frame["y_known"]], HALVES_MONTHS: long[long["y_known"]]}
    parted = {month: _by_chance(each, each["y"].to_numpy(dtype=np.float64)) for month, each in known.items()}
    adjusted = _adjusted_halves(effects["background"], frame)
    rows += _halves(parted[HALVES_MONTHS], known[HALVES_MONTHS], named, published=outcome == "primary")
    found = estimates(rows)
    return Result(
        name=NAME,
        estimates=found,
        tables={
            "halves": _halves_table([(HALVES_MONTHS, "raw", parted[HALVES_MONTHS]), (months, "raw", parted[months]),
                                     (months, "background", adjusted)]),
            "by_caseload": _by_caseload(known[HALVES_MONTHS]),
            "reliability": _reliability(effects["background"]),
            "ranking": _ranking(effects["background"]),
        },
        figures=_figures(parted[HALVES_MONTHS]),
        flow=book_flow,
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.caseworkers.note_assignment"),
            Sentence("analyses.caseworkers.note_halves"),
            Sentence("analyses.caseworkers.note_nobody"),
            Sentence("analyses.caseworkers.note_weights"),
        ),
    )  # fmt: skip


def primaries(study: Study) -> list[tuple[Label, Number]]:
    """Return the primary estimate and nothing else, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of (Label, Number)
    """
    frame, background = with_background(_sample(study, "primary", 12, 30)[0])
    # What chance makes is not looked at, and drawn few times.
    effects = {"background": _effects(frame, _independent(frame, background), draws=9), "raw": None}
    rows = _spread(effects, outcome_name("primary"), 12, frame)
    return [(label, number) for label, number in rows if label.role == "primary"]


def _sample(study: Study, outcome: str, months: float, washout: int) -> tuple[pd.DataFrame, FlowBook]:
    """Return the first measurements with a caseworker, with the outcome weighted for those not followed."""
    panel = build_panel(study, outcome=outcome, horizon_months=months, washout_days=washout)
    book = FlowBook(NAME, panel.attrs["flow"], ready(panel))
    book.keep("first_only", panel["first_measurement"])
    frame = book.keep_missing("no_caseworker", "caseworker")
    weighted = (frame["y"].fillna(0.0) * frame["ipcw"]).where(frame["y_known"], 0.0)
    days = (frame["answered_on"] - pd.Timestamp("2000-01-01")).dt.days.astype(float)
    return frame.assign(weighted=weighted.astype(float), day=days), book


def _independent(frame: pd.DataFrame, terms: list[str]) -> list[str]:
    """Return the terms that those before them do not explain: what is unknown is often unknown together."""
    matrix = np.column_stack([np.ones(len(frame)), frame[terms].to_numpy(dtype=np.float64)])
    size = np.sqrt((matrix**2).sum(axis=0))
    corner = np.abs(np.diag(np.linalg.qr(matrix / np.where(size > 0, size, 1.0), mode="r")))
    # A column that the others explain leaves a trace of rounding in the corner and no more.
    return [term for term, left in zip(terms, corner[1:], strict=False) if left > 1e-7]


def _effects(frame: pd.DataFrame, terms: list[str], draws: int = DRAWS) -> Any:
    """Return the spread of caseworkers' effects, None where it cannot be estimated."""
    from bipstudy import models

    used = frame[["weighted", "day", *terms]].assign(worker=_unnamed(frame))
    return attempt(
        lambda: models.caseworker_effects(
            used,
            outcome="weighted",
            caseworker="worker",
            formula=formula("", terms).removeprefix(" ~ "),
            time="day",
            minimum_rows=FEWEST_CLIENTS,
            draws=draws,
        )
    )


def _unnamed(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return a number for each caseworker, by caseload and outcome: draws of chance must not hang on names."""
    by_one = frame.groupby(frame[CLUSTER].astype(object))
    table = pd.DataFrame({"n": by_one.size(), "y": by_one["weighted"].sum().round(9), "day": by_one["day"].sum()})
    order = table.sort_values(["n", "y", "day"], kind="stable").index
    return np.asarray(pd.Index(order).get_indexer(frame[CLUSTER].astype(object)), dtype=np.int64)


def _spread(
    effects: dict[str, Any], outcome: str, months: int | None, frame: pd.DataFrame
) -> list[tuple[Label, Number]]:
    """Return standard deviations of true effects, of observed means and of what chance makes."""
    counts: dict[str, Any] = {
        "n": len(frame),
        "events": int((frame["weighted"] > 0).sum()),
        "clusters": int(frame[CLUSTER].nunique()),
    }
    wanted = (
        ("sd_true_effects", "background", "sd_true", "primary"),
        ("sd_true_effects", "raw", "sd_true", "secondary"),
        ("sd_lasting_effects", "background", "sd_true_split", "secondary"),
        ("p90_less_p10", "background", "p90_minus_p10", "secondary"),
    )
    rows = []
    for contrast, rung, term, role in wanted:
        label = Label(NAME, contrast, "risk_difference", outcome, "caseworker", months, rung, role)
        table = None if effects[rung] is None else effects[rung].tidy().set_index("term")
        made = table is not None and term in table.index
        row = table.loc[term] if table is not None and made else None
        number = Number(**counts) if row is None else _as_number(row, counts)
        if role == "primary" and row is not None:
            number = replace(number, resample=of_spread(effects[rung], frame))
        rows.append((label, number))
    for contrast, columns in (
        ("sd_observed_means", ("observed", "observed", "observed")),
        ("sd_chance_means", ("chance_mean", "chance_low", "chance_high")),
    ):
        label = Label(NAME, contrast, "risk_difference", outcome, "caseworker", months, "background")
        number = Number(**counts)
        if effects["background"] is not None:
            row = effects["background"].chance().iloc[0]
            estimate, low, high = (float(row[column]) for column in columns)
            if contrast == "sd_observed_means":
                low = high = np.nan
            number = Number(estimate, np.nan, low, high, np.nan, **counts)
        rows.append((label, number))
    return rows


def _as_number(row: pd.Series, counts: dict[str, Any]) -> Number:
    """Return a row of the spread as a number."""
    estimate, error, low, high, p_value = (
        float(row[column]) for column in ("estimate", "std_error", "conf_low", "conf_high", "p_value")
    )
    return Number(estimate, error, low, high, p_value, **counts)


def _by_chance(frame: pd.DataFrame, value: Floats) -> Any:
    """Return the halves of caseworkers, observed and by chance, None where there are too few."""
    from bipstudy import models

    codes = np.unique(frame[CLUSTER].to_numpy(dtype=object), return_inverse=True)[1] if len(frame) else np.zeros(0, int)
    return attempt(
        lambda: models.halves_by_chance(
            value=value,
            weight=frame["ipcw"].to_numpy(dtype=np.float64),
            unit=codes,
            minimum_cases=FEWEST_CLIENTS,
            draws=DRAWS,
        )
    )


def _adjusted_halves(effects: Any, frame: pd.DataFrame) -> Any:
    """Return the halves by what is left after adjustment, around the mean of all."""
    if effects is None:
        return None
    fit = effects.fit
    fitted = np.asarray(fit.design.matrix(frame), dtype=np.float64) @ fit.estimates
    level = float(frame["weighted"].mean())
    return _by_chance(frame.assign(ipcw=1.0), frame["weighted"].to_numpy(dtype=np.float64) - fitted + level)


def _halves(parted: Any, frame: pd.DataFrame, outcome: str, *, published: bool) -> list[tuple[Label, Number]]:
    """Return the shares of the halves, what chance alone makes of them, and the gap beyond that."""
    counts: dict[str, Any] = {"n": max(len(frame), 1), "events": int((frame["y"] > 0).sum())}
    counts["clusters"] = int(frame[CLUSTER].nunique())
    rows = []
    resamples = of_halves(frame, FEWEST_CLIENTS)
    for place, contrast in enumerate(("most_effective", "least_effective")):
        benchmark = "R15" if published else ""
        observed = by_chance = Number(**counts)
        if parted is not None:
            value = (parted.observed.upper, parted.observed.lower)[place]
            # Sorted anew in every resample: the interval is that of what was sorted, not of true shares.
            low, high = np.quantile(parted.resampled[:, place], [0.025, 0.975])
            ends = min(float(low), value), max(float(high), value)
            observed = Number(value, np.nan, *ends, np.nan, **counts, resample=resamples[place])
            low, high = np.quantile(parted.drawn[:, place], [0.025, 0.975])
            by_chance = Number(float(parted.drawn[:, place].mean()), np.nan, float(low), float(high), np.nan, **counts)
        label = Label(NAME, contrast, "share", outcome, "caseworker", HALVES_MONTHS, benchmark=benchmark)
        rows.append((label, observed))
        label = Label(NAME, f"{contrast}_by_chance", "share", outcome, "caseworker", HALVES_MONTHS)
        rows.append((label, by_chance))
    number = Number(**counts)
    if parted is not None:
        beyond, error = parted.beyond_chance
        # The p-value is that of cases dealt out anew; the interval must hold where caseworkers differ, too.
        number = Number(beyond, error, beyond - Z * error, beyond + Z * error, parted.p_value, **counts)
    rows.append((Label(NAME, "gap_beyond_chance", "risk_difference", outcome, "caseworker", HALVES_MONTHS), number))
    return rows


def _halves_table(entries: list[tuple[int | None, str, Any]]) -> pd.DataFrame:
    """Return the shares of the halves, observed and by chance, by horizon and adjustment."""
    rows = []
    for months, adjustment, parted in entries:
        if parted is None:
            continue
        for place, (half, value) in enumerate((("upper", parted.observed.upper), ("lower", parted.observed.lower))):
            low, high = np.quantile(parted.drawn[:, place], [0.025, 0.975])
            rows.append(
                {
                    "months": "–" if months is None else str(months),
                    "adjustment_key": f"analyses.adjustment.{adjustment}",
                    "half_key": f"analyses.half.{half}",
                    "observed": value,
                    "chance": float(parted.drawn[:, place].mean()),
                    "chance_low": float(low),
                    "chance_high": float(high),
                    "caseworkers": parted.units,
                }
            )
    columns = ["months", "adjustment_key", "half_key", "observed", "chance", "chance_low", "chance_high", "caseworkers"]
    return pd.DataFrame(rows, columns=columns)


def _by_caseload(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the halves that chance makes of caseworkers alike, by caseload, at the share of the study."""
    from bipstudy import models

    columns = ["clients", "upper", "lower"]
    total = float(frame["ipcw"].sum())
    share = float(frame["weighted"].sum()) / total if total > 0 else 0.0
    if not 0 < share < 1:
        return pd.DataFrame(columns=columns)
    halves = [models.chance_halves(cases, share) for cases in CASELOADS]
    rows = [(cases, half.upper, half.lower) for cases, half in zip(CASELOADS, halves, strict=True)]
    return pd.DataFrame(rows, columns=columns)


def _reliability(effects: Any) -> pd.DataFrame:
    """Return how well the observed mean of a caseworker tells the true one."""
    if effects is None:
        return pd.DataFrame(columns=["measure_key", "value", "caseworkers"])
    table = effects.reliability()
    return pd.DataFrame(
        {
            "measure_key": "analyses.reliability." + table["measure"],
            "value": table["estimate"],
            "caseworkers": table["caseworkers"],
        }
    )


def _ranking(effects: Any) -> pd.DataFrame:
    """Return how little a ranking would mean: how many can be told apart, and how wide an interval of rank is."""
    columns = ["what_key", "value"]
    if effects is None:
        return pd.DataFrame(columns=columns)
    table = effects.effects()
    table = table[table["rows"] >= FEWEST_CLIENTS]
    if len(table) < FEWEST_SHOWN:
        return pd.DataFrame(columns=columns)
    # By size and estimate, so that the draws do not hang on names.
    table = table.sort_values(["estimate", "std_error"], kind="stable")
    centre, error = table["estimate"].to_numpy(), table["std_error"].to_numpy()
    generator = np.random.default_rng(np.random.SeedSequence(0))
    drawn = centre + error * generator.standard_normal((RANK_DRAWS, len(table)))
    ranks = drawn.argsort(axis=1).argsort(axis=1) / max(len(table) - 1, 1)
    width = np.quantile(ranks, 0.975, axis=0) - np.quantile(ranks, 0.025, axis=0)
    top = np.argsort(table["mean"].to_numpy(), kind="stable")[-max(1, round(len(table) / 10)) :]
    values = {
        "counted": float(len(table)),
        "clearly_above": float((table["conf_low"] > 0).sum()),
        "clearly_below": float((table["conf_high"] < 0).sum()),
        "rank_width": float(width.mean()),
        "top_above_median": float((ranks[:, top] > 0.5).mean()),
    }
    return pd.DataFrame([(f"analyses.ranking.{name}", value) for name, value in values.items()], columns=columns)


def _figures(parted: Any) -> dict[str, FigureSpec]:
    """Return the sorted shares of the caseworkers beside those that chance alone makes."""
    if parted is None or parted.units < FEWEST_SHOWN:
        return {}
    low, high = np.quantile(parted.drawn_curve, [0.025, 0.975], axis=0)
    lines = (
        ("analyses.line.observed", parted.curve, parted.curve, parted.curve),
        ("analyses.line.chance", parted.drawn_curve.mean(axis=0), low, high),
    )
    pieces = [
        pd.DataFrame({"label_key": key, "x": parted.grid, "y": middle, "conf_low": lower, "conf_high": upper})
        for key, middle, lower, upper in lines
    ]
    spec = FigureSpec(
        "lines",
        pd.concat(pieces, ignore_index=True),
        "analyses.caseworkers.figure_curve",
        {"x_label_key": "analyses.axis.caseworkers_sorted", "y_label_key": "analyses.axis.share_reached_24"},
    )
    return {"curve": spec}
