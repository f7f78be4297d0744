"""Tables of the analyses as people read them: an estimate and its interval in one cell, headings in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bipstudy.analyses.result import worded
from bipstudy.report.numbers import count, interval, number, percent
from bipstudy.texts import text


@dataclass(frozen=True)
class Cell:
    """One column of a printed table.

    Attributes
    ----------
    heading : str
        Key under ``analyses.column``.
    kind : str
        text, count, number, fine (a number with three decimals), percent, points (of a difference in proportions), p,
        size, range (an interval of shares alone) or measure (a count, or a number with two decimals).
    column : str
        Column of the estimate.
    ends : tuple of str
        Columns of its interval; empty where there is none.
    """

    heading: str
    kind: str
    column: str
    ends: tuple[str, str] | tuple[()] = ()


def _cell(heading: str, kind: str, column: str = "", ends: str = "") -> Cell:
    """Return a column; `ends` is what the names of its interval begin with."""
    return Cell(heading, kind, column or heading, (f"{ends}_low", f"{ends}_high") if ends else ())


ORGANISATIONS = (
    _cell("what", "text"),
    _cell("organisations", "count"),
    _cell("share", "percent", "estimate", "conf"),
    Cell("new", "range", "new_low", ("new_low", "new_high")),
    _cell("i2", "percent"),
    _cell("p_value", "p"),
)
LAYOUTS: Mapping[str, tuple[Cell, ...]] = {
    "participants.characteristics": (
        _cell("variable", "text"),
        _cell("value", "text"),
        _cell("n", "count"),
        _cell("share", "percent", "estimate", "conf"),
    ),
    "participants.size": (_cell("what", "text"), _cell("value", "size")),
    "transitions.bounds": (_cell("contrast", "text"), _cell("share", "percent", "estimate", "conf")),
    "transitions.by_month": (
        _cell("months", "text"),
        _cell("cause", "text"),
        _cell("share", "percent", "estimate", "conf"),
        _cell("at_risk", "count"),
    ),
    "transitions.by_path": (_cell("path", "text"), _cell("n", "count"), _cell("share", "percent")),
    "indicators.items": (
        _cell("item", "text"),
        _cell("respondent", "text"),
        _cell("raw", "points"),
        _cell("adjustment", "points", "estimate", "conf"),
        _cell("p_holm", "p"),
        _cell("together", "points", "together", "together"),
        _cell("n", "count"),
    ),
    "indicators.counts": (
        _cell("outcome", "text"),
        Cell("holding", "one", "holding", ("low", "high")),
        _cell("items", "count"),
    ),
    "indicators.expected": (
        _cell("size", "size_points"),
        _cell("if_all", "one", "all", "all"),
        _cell("if_seven", "one", "seven", "seven"),
        _cell("found_here", "count", "found"),
    ),
    "indicators.more": (
        _cell("item", "text"),
        _cell("change_before", "points", "change", "change"),
        _cell("disagreement", "points", "disagreement", "disagreement"),
        _cell("lowest", "percent"),
        _cell("highest", "percent"),
        _cell("p_linear", "p"),
    ),
    "readiness.performance": (
        _cell("folds", "text"),
        _cell("predictors", "text"),
        _cell("auc", "number", "auc", "auc"),
        _cell("gain", "fine", "gain", "gain"),
        _cell("slope", "number", "slope", "slope"),
        _cell("n", "count"),
    ),
    "readiness.calibration": (
        _cell("tenth", "text"),
        _cell("n", "count"),
        _cell("predicted", "percent"),
        _cell("observed_share", "percent", "observed", "conf"),
    ),
    "readiness.decision": (
        _cell("threshold", "percent"),
        _cell("benefit_everybody", "points", "everybody"),
        _cell("benefit_background", "points", "background"),
        _cell("benefit_all", "points", "all"),
        _cell("benefit_gain", "points", "gain", "gain"),
    ),
    "readiness.score_weights": (
        _cell("respondent", "text"),
        _cell("item", "text"),
        _cell("per_sd", "number"),
        _cell("per_step", "number"),
    ),
    "readiness.score_risk": (
        _cell("score", "text"),
        _cell("n", "count"),
        _cell("predicted", "percent"),
        _cell("observed_share", "percent", "observed", "conf"),
    ),
    "readiness.transport": (
        _cell("organisation", "text"),
        _cell("n", "count"),
        _cell("events", "count"),
        _cell("predicted", "percent"),
        _cell("observed_share", "percent", "observed"),
        _cell("auc", "number", "auc", "auc"),
    ),
    "measurement.respondents": (
        _cell("scale_of", "text", "scale"),
        _cell("omega", "number", "omega", "omega"),
        _cell("alpha", "number", "alpha", "alpha"),
        _cell("factors", "count"),
        _cell("n", "count"),
    ),
    "measurement.items": (
        _cell("respondent", "text"),
        _cell("item", "text"),
        _cell("n", "count"),
        _cell("missing", "percent"),
        _cell("floor", "percent"),
        _cell("ceiling", "percent"),
        _cell("item_rest", "number"),
        _cell("alpha_without", "number"),
        _cell("loading", "number"),
    ),
    "measurement.agreement": (
        _cell("item", "text"),
        _cell("kappa", "number", "kappa", "kappa"),
        _cell("icc", "number", "icc", "icc"),
        _cell("n", "count"),
    ),
    "measurement.factors": (
        _cell("respondent", "text"),
        _cell("item", "text"),
        _cell("factor1", "number"),
        _cell("factor2", "number"),
        _cell("factor3", "number"),
        _cell("communality", "number"),
    ),
    "measurement.correlations": (
        _cell("item", "text"),
        _cell("other", "text"),
        _cell("of_participant", "number", "participant", "participant"),
        _cell("of_caseworker", "number", "caseworker", "caseworker"),
    ),
    "measurement.invariance": (
        _cell("respondent", "text"),
        _cell("step", "text"),
        _cell("cfi", "fine"),
        _cell("rmsea", "fine"),
        _cell("cfi_change", "fine"),
        _cell("p_value", "p"),
        _cell("holds", "text"),
        _cell("organisations", "count"),
        _cell("n", "count"),
    ),
    "measurement.response": (
        _cell("respondent", "text"),
        _cell("status", "text"),
        _cell("n", "count"),
        _cell("share", "percent"),
    ),
    "measurement.modes": (
        _cell("mode", "text"),
        _cell("n", "count"),
        _cell("missing", "percent"),
        _cell("difference", "number", "difference", "difference"),
    ),
    "measurement.reasons": (
        _cell("respondent", "text"),
        _cell("reason", "text"),
        _cell("n", "count"),
        _cell("share", "percent"),
    ),
    "belief.by_answer": (
        _cell("answer", "text"),
        _cell("n", "count"),
        _cell("share", "percent"),
        _cell("work", "percent", "work", "work"),
        _cell("any", "percent", "any", "any"),
    ),
    "belief.contrasts": (
        _cell("outcome", "text"),
        _cell("contrast", "text"),
        _cell("from", "percent"),
        _cell("difference", "points", "difference", "difference"),
        _cell("ratio", "number", "ratio", "ratio"),
        _cell("n", "count"),
    ),
    "belief.sensitivity": (_cell("what", "text"), _cell("value", "number"), _cell("n", "count")),
    "belief.optimism": (
        _cell("outcome", "text"),
        _cell("contrast", "text"),
        _cell("contrast_others", "text", "others"),
        _cell("adjustment", "text"),
        _cell("from", "percent"),
        _cell("difference", "points", "difference", "difference"),
        _cell("ratio", "number", "ratio", "ratio"),
        _cell("n", "count"),
    ),
    "belief.instrument": (_cell("what", "text"), _cell("value", "measure")),
    "belief.balance": (
        _cell("item", "text"),
        _cell("estimate", "fine", "estimate", "conf"),
        _cell("p_value", "p"),
        _cell("n", "count"),
    ),
    "belief.goes_with": (
        _cell("factor", "text"),
        _cell("estimate", "fine", "estimate", "conf"),
        _cell("p_value", "p"),
        _cell("n", "count"),
    ),
    "belief.variance": (
        _cell("contrast", "text"),
        _cell("adjustment", "text"),
        _cell("share", "percent", "estimate", "conf"),
        _cell("n", "count"),
    ),
    "belief.ladder": (
        _cell("outcome", "text"),
        _cell("adjustment", "text"),
        _cell("bottom", "percent"),
        _cell("top", "percent"),
        _cell("difference", "points", "difference", "difference"),
        _cell("ratio", "number", "ratio", "ratio"),
        _cell("n", "count"),
    ),
    "continuity.exposure": (
        _cell("exposure", "text"),
        _cell("participants", "count"),
        _cell("quarters", "count"),
        _cell("any", "count"),
        _cell("work", "count"),
        _cell("per_year", "number"),
    ),
    "continuity.models": (
        _cell("outcome", "text"),
        _cell("contrast", "text"),
        _cell("adjustment", "text"),
        _cell("ratio", "number", "estimate", "conf"),
        _cell("n", "count"),
        _cell("events", "count"),
    ),
    "continuity.departures": (
        _cell("outcome", "text"),
        _cell("contrast", "text"),
        _cell("difference", "number", "estimate", "conf"),
        _cell("p_value", "p"),
        _cell("n", "count"),
    ),
    "caseworkers.halves": (
        _cell("months", "text"),
        _cell("adjustment", "text"),
        _cell("half", "text"),
        _cell("observed", "percent"),
        _cell("chance", "percent", "chance", "chance"),
        _cell("caseworkers", "count"),
    ),
    "caseworkers.by_caseload": (_cell("clients", "count"), _cell("upper", "percent"), _cell("lower", "percent")),
    "caseworkers.reliability": (_cell("measure", "text"), _cell("value", "number"), _cell("caseworkers", "count")),
    "caseworkers.ranking": (_cell("what", "text"), _cell("value", "measure")),
    "training.by_training": (
        _cell("training", "text"),
        _cell("caseworkers", "count"),
        _cell("forms", "count"),
        _cell("answered", "percent", "share", "share"),
        _cell("missing", "percent"),
    ),
    "training.by_quarter": (
        _cell("since", "text"),
        _cell("difference", "points", "estimate", "conf"),
        _cell("groups", "count"),
    ),
    "transitions.by_organisation": (
        _cell("organisation", "text"),
        _cell("n", "count"),
        _cell("share", "percent", "estimate", "conf"),
        Cell("limits", "range", "limit_low", ("limit_low", "limit_high")),
        _cell("outside", "text"),
    ),
    "transitions.organisations": ORGANISATIONS,
    "participants.organisations": ORGANISATIONS,
    "insights.insights": (
        _cell("insight", "text"),
        _cell("present", "percent"),
        _cell("ratio", "number", "ratio", "ratio"),
        _cell("difference", "points", "difference", "difference"),
        _cell("share_of_fit", "percent", "share", "share"),
    ),
    "progression.indicators": (
        _cell("item", "text"),
        _cell("respondent", "text"),
        _cell("predicts", "number", "predicts", "predicts"),
        _cell("predicts_p", "p"),
        _cell("rises", "number", "rises", "rises"),
        _cell("rises_p", "p"),
        _cell("valid", "text"),
    ),
    "progression.change": (
        _cell("change", "text"),
        _cell("intervals", "count"),
        _cell("participants", "count"),
        _cell("any", "count"),
        _cell("share", "percent"),
    ),
    "progression.models": (
        _cell("contrast", "text"),
        _cell("outcome", "text"),
        _cell("adjustment", "text"),
        _cell("ratio", "number", "estimate", "conf"),
        _cell("n", "count"),
        _cell("events", "count"),
    ),
    "activities.by_activity": (
        _cell("kind", "text"),
        _cell("intervals", "count"),
        _cell("participants", "count"),
        _cell("progression", "number"),
        _cell("difference", "number", "difference", "difference"),
        _cell("ratio", "number", "ratio", "ratio"),
    ),
    "activities.focuses": (
        _cell("contrast", "text"),
        _cell("difference", "number", "difference", "difference"),
        _cell("ratio", "number", "ratio", "ratio"),
    ),
    "activities.sensitivity": (
        _cell("outcome", "text"),
        _cell("contrast", "text"),
        _cell("as_ratio", "number", "estimate", "conf"),
        _cell("e_value", "number"),
        _cell("e_limit", "number"),
    ),
}
# Column whose value heads the rows that share it.
GROUPS = {
    "participants.characteristics": "variable",
    "transitions.by_month": "cause",
    "belief.ladder": "outcome",
    "belief.contrasts": "outcome",
    "belief.optimism": "outcome",
    "continuity.models": "outcome",
    "continuity.departures": "outcome",
    "readiness.performance": "folds",
    "readiness.score_weights": "respondent",
    "measurement.items": "respondent",
    "measurement.factors": "respondent",
    "measurement.correlations": "item",
    "measurement.invariance": "respondent",
    "measurement.response": "respondent",
    "measurement.reasons": "respondent",
    "activities.sensitivity": "outcome",
}
# Headings that mean something else in one table.
HEADINGS = {("indicators.items", "adjustment"): "analyses.adjustment.background"}


def printed(name: str, frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Return a table of an analysis as it is printed.

    Parameters
    ----------
    name : str
        ``analysis.table``.
    frame : DataFrame
        As in `Result.tables`.
    language : {"sv", "en"}

    Returns
    -------
    DataFrame
        Columns headed in words, cells as text or whole numbers.
    """
    if name in GROUPS:
        # Rows of one group stand together, the groups in the order in which they first come.
        column = f"{GROUPS[name]}_key"
        order = {key: place for place, key in enumerate(dict.fromkeys(frame[column]))}
        frame = frame.sort_values(column, key=lambda keys: keys.map(order), kind="stable", ignore_index=True)
    words = worded(frame, language)
    columns = {heading(name, cell, language): _values(words, cell, language) for cell in LAYOUTS[name]}
    return pd.DataFrame(columns)


def heading(name: str, cell: Cell, language: str) -> str:
    """Return the heading of a column."""
    return text(HEADINGS.get((name, cell.heading), f"analyses.column.{cell.heading}"), language)


def group_heading(name: str, language: str) -> str | None:
    """Return the heading of the column that groups the rows of a table, None without one."""
    grouped = GROUPS.get(name)
    return None if grouped is None else text(f"analyses.column.{grouped}", language)


def _values(words: pd.DataFrame, cell: Cell, language: str) -> list[object] | pd.Series:
    """Return the printed cells of a column."""
    if cell.kind == "text":
        return [str(value) for value in words[cell.column]]
    if cell.kind == "count":
        return words[cell.column].astype("Int64")
    found: list[object] = []
    for row in words.to_dict("records"):
        if cell.kind == "range":
            low, high = (float(row[end]) for end in cell.ends)
            found.append(unbroken(interval(low, high, language, 1, as_percent=True)))
            continue
        value = float(row[cell.column])
        shown = _shown(value, cell.kind, language)
        if cell.ends and not math.isnan(value):
            low, high = (float(row[end]) for end in cell.ends)
            shown += f" ({_ends(low, high, cell.kind, language)})"
        found.append(unbroken(shown))
    return found


def unbroken(words: str) -> str:
    """Return words that stay on one line: an estimate is read together with its interval."""
    return words.replace(" ", "\u00a0")


def _shown(value: float, kind: str, language: str) -> str:
    """Return a number as printed."""
    if kind == "percent":
        return percent(value, language, 1)
    if kind == "points":
        return number(100 * value, language, 1)
    if kind == "fine":
        return number(value, language, 3)
    if kind == "one":
        return number(value, language, 0 if float(value).is_integer() else 1)
    if kind == "size_points":
        return number(100 * value, language, 2)
    if kind == "p":
        return small(value, language)
    if kind == "measure":
        return count(value, language) if float(value).is_integer() else number(value, language, 2)
    if kind == "size":
        if value < 1:
            return percent(value, language, 0)
        return count(value, language) if float(value).is_integer() else number(value, language, 2)
    return number(value, language, 2)


def _ends(low: float, high: float, kind: str, language: str) -> str:
    """Return an interval as printed."""
    if kind == "percent":
        return interval(low, high, language, 1, as_percent=True)
    scale, decimals = (100.0, 1) if kind == "points" else (1.0, {"fine": 3, "one": 0}.get(kind, 2))
    return interval(scale * low, scale * high, language, decimals)


def small(value: float, language: str) -> str:
    """Return a p-value as printed.

    Examples
    --------
    >>> small(0.00001, "sv")
    '< 0,001'
    """
    return f"< {number(0.001, language, 3)}" if value < 0.001 else number(value, language, 3)
