"""Which of the indicators go with reaching work or study, and with later job search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.common import (
    CLUSTER,
    FlowBook,
    binary,
    formula,
    outcome_name,
    ready,
    single_threaded,
    standardise,
    standardised,
    whole_months,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import build_panel
from bipstudy.panel.checks import check_definition
from bipstudy.study import Study

NAME = "indicators"
LEVEL = 0.05
JOB_SEARCH = "p_job_search"
# Everybody's answer half a standard deviation below and above the mean: one standard deviation apart.
HALF = {"low": -0.5, "high": 0.5}


@dataclass(frozen=True)
class Indicator:
    """One answer at the first measurement: item, who gave it, and the column that holds it."""

    item: str
    respondent: str
    column: str


@single_threaded
def indicators(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer which indicators go with reaching work or study, and with later job search.

    Estimand: difference in the standardised risk of a transition within the horizon, per standard deviation of the
    first answer (the participant's; the caseworker's for the items that only caseworkers answer), adjusted for
    background; which hold is judged by Holm's correction over the items. Population: first measurements that are
    followed from the wash-out on, for each item those who answered it. Danish finding: R1, met by the number of items
    that hold for work. Models: a logit per item with censoring weights, standardised over everybody who answered;
    errors clustered by caseworker (one row per participant). Beside it: unadjusted, all items together, the
    caseworker's answers, and the participant's own job search at the next measurement (least squares). Cannot show:
    whether an indicator brings about anything; and the number of items that hold grows with the study.

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
        Tables ``items`` (with Holm's p-values) and ``counts``; figure ``risk_differences``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.indicators(bip.load_example())
    >>> len(result.primary())
    11
    """
    check_definition(study, outcome)
    panel = build_panel(study, outcome=outcome, horizon_months=horizon_months, washout_days=washout_days)
    book = FlowBook(NAME, panel.attrs["flow"], ready(panel))
    first = book.keep("first_only", panel["first_measurement"])
    frame, background = with_background(_next_job_search(first, panel))
    asked = _asked()
    frame = _standardised(frame, [*asked, *_caseworkers(asked)])
    months, named = whole_months(horizon_months), outcome_name(outcome)
    rows: list[tuple[Label, Number]] = []
    for indicator in asked:
        for response, called, role in (("y", named, "primary"), ("y_work", _work(outcome), "secondary")):
            label = _label(indicator, called, months, "background", role)
            rows.append((label, _one(frame, indicator, response, background)))
        rows.append((_label(indicator, named, months, "raw", "secondary"), _one(frame, indicator, "y", [])))
    rows += _together(frame, asked, background, named, months)
    for indicator in _caseworkers(asked):
        label = _label(indicator, named, months, "background", "secondary")
        rows.append((label, _one(frame, indicator, "y", background)))
    rows += _job_search(frame, asked, background)
    rows += [_count(rows, asked, called, months, benchmark) for called, benchmark in _counted(outcome, named)]
    found = estimates(rows)
    items = _items(found, asked, named)
    return Result(
        name=NAME,
        estimates=found,
        tables={"items": items, "counts": _counts(found)},
        figures={"risk_differences": _figure(items)} if items["estimate"].notna().any() else {},
        flow=book.finish("first_rows"),
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.indicators.note_association"),
            Sentence("analyses.indicators.note_count", {"n": len(frame)}),
            Sentence("analyses.indicators.note_placeholders"),
            Sentence("analyses.indicators.note_missing"),
        ),
    )


def _asked() -> list[Indicator]:
    """Return each item with the respondent whose answer the primary estimand takes."""
    found = []
    for item in schema.items().values():
        who = "participant" if "participant" in item.respondents else "caseworker"
        found.append(Indicator(item.id, who, f"{who[0]}_{item.id}"))
    return found


def _caseworkers(asked: list[Indicator]) -> list[Indicator]:
    """Return the caseworker's answers to the items that both were asked."""
    both = {item.id for item in schema.items().values() if len(item.respondents) > 1}
    return [Indicator(each.item, "caseworker", f"c_{each.item}") for each in asked if each.item in both]


def _work(outcome: str) -> str:
    """Return what the transition into work is called."""
    return "work" if outcome == "primary" else f"{outcome_name(outcome)}:work"


def _label(indicator: Indicator, outcome: str, months: int | None, adjustment: str, role: str) -> Label:
    """Return the label of the risk difference of one answer."""
    contrast = f"per_sd_{indicator.respondent}"
    return Label(NAME, contrast, "risk_difference", outcome, indicator.item, months, adjustment, role)


def _standardised(frame: pd.DataFrame, answers: list[Indicator]) -> pd.DataFrame:
    """Add each answer in standard deviations, turned so that more is readier."""
    items = schema.items()
    added = {}
    for each in answers:
        z = standardised(frame[each.column].to_numpy(dtype=np.float64))
        sign = 1.0 if items[each.item].direction == "higher_is_readier" else -1.0
        added[f"z_{each.column}"] = np.full(len(frame), np.nan) if z is None else sign * z
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)


def _one(frame: pd.DataFrame, indicator: Indicator, response: str, background: list[str]) -> Number:
    """Return the standardised risk difference per standard deviation of one answer."""
    column = f"z_{indicator.column}"
    answered = frame[frame[column].notna()]
    found = _risk_differences(answered, response, [column], background)
    return found.get(column, Number(n=len(answered)))


def _risk_differences(
    frame: pd.DataFrame, response: str, columns: list[str], background: list[str]
) -> dict[str, Number]:
    """Fit one model and return the standardised risk difference per standard deviation of each answer in it."""
    fit = attempt(lambda: binary(frame, response, columns, background))
    if fit is None:
        return {}
    found = {}
    for column in columns:
        risks = attempt(lambda column=column: standardise(fit, frame, column, HALF))  # type: ignore[misc]
        if risks is not None and column in fit.terms:
            found[column] = from_tidy(risks.tidy(), "difference[high - low]", fit)
    return found


def _together(
    frame: pd.DataFrame, asked: list[Indicator], background: list[str], outcome: str, months: int | None
) -> list[tuple[Label, Number]]:
    """Return the risk differences with all items in one model, among those who answered every one of them."""
    columns = [f"z_{each.column}" for each in asked if frame[f"z_{each.column}"].notna().any()]
    complete = frame[frame[columns].notna().all(axis=1)]
    found = _risk_differences(complete, "y", columns, background)
    return [
        (
            _label(each, outcome, months, "background_indicators", "secondary"),
            found.get(f"z_{each.column}", Number(n=len(complete))),
        )
        for each in asked
    ]


def _next_job_search(first: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """Add the participant's own job search at the next measurement, where there is one, in standard deviations."""
    if JOB_SEARCH not in panel:
        return first.assign(job_search_later=np.nan)
    # The change per quarter is known only where there is a next answer; the answer itself stands on the next row.
    following = panel.groupby("participant", sort=False)[JOB_SEARCH].shift(-1)
    later = following[panel["first_measurement"]].to_numpy(dtype=np.float64)
    z = standardised(later)
    return first.assign(job_search_later=np.full(len(first), np.nan) if z is None else z)


def _job_search(frame: pd.DataFrame, asked: list[Indicator], background: list[str]) -> list[tuple[Label, Number]]:
    """Return the association of each answer with the next job-search answer, adjusted for the first one."""
    from bipstudy import models

    rows = []
    own = f"z_{JOB_SEARCH}"
    for each in asked:
        column = f"z_{each.column}"
        label = Label(NAME, f"per_sd_{each.respondent}", "sd", "job_search_later", each.item, None, "background_first")
        used = [column] if column == own or own not in frame else [column, own]
        rows_used = frame[["job_search_later", *used, *background, CLUSTER]].dropna()
        fit = attempt(
            lambda rows_used=rows_used, used=used: models.linear_probability(  # type: ignore[misc]
                rows_used, formula("job_search_later", used, background), cluster=CLUSTER
            )
        )
        number = Number(n=len(rows_used)) if fit is None else from_tidy(fit.tidy(), column, fit)
        rows.append((label, number))
    return rows


def _counted(outcome: str, named: str) -> list[tuple[str, str]]:
    """Return the outcomes for which the items that hold are counted, with their benchmark."""
    return [(_work(outcome), "R1" if outcome == "primary" else ""), (named, "")]


def _count(
    rows: list[tuple[Label, Number]], asked: list[Indicator], outcome: str, months: int | None, benchmark: str
) -> tuple[Label, Number]:
    """Return how many items hold after Holm's correction, with a positive association."""
    own = [
        number
        for label, number in rows
        if (label.outcome == outcome and label.adjustment == "background" and label.contrast != "per_sd_caseworker")
        or (label.outcome == outcome and label.adjustment == "background" and label.term in _only_caseworker(asked))
    ]
    p_values = _holm(np.array([number.p_value for number in own]))
    holds = (p_values < LEVEL) & np.array([number.estimate > 0 for number in own], dtype=bool)
    label = Label(
        NAME, "holding_after_correction", "other", outcome, "count", months, "background", "secondary", benchmark
    )
    tested = int((~np.isnan(p_values)).sum())
    return label, Number(estimate=float(holds.sum()) if tested else np.nan, n=tested)


def _holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return p-values adjusted by Holm's method; what was not tested does not count."""
    from bipstudy import models

    adjusted: npt.NDArray[np.float64] = models.adjust_p_values(p_values, "holm")
    return adjusted


def _only_caseworker(asked: list[Indicator]) -> set[str]:
    """Return the items that only caseworkers answer."""
    return {each.item for each in asked if each.respondent == "caseworker"}


def _items(found: pd.DataFrame, asked: list[Indicator], outcome: str) -> pd.DataFrame:
    """Return the table of items: alone, adjusted and all together, with Holm's p-value."""
    main = found[(found["role"] == "primary")].set_index("term")
    raw = found[(found["adjustment"] == "raw") & (found["outcome"] == outcome)].set_index("term")
    joint = found[found["adjustment"] == "background_indicators"].set_index("term")
    names = [each.item for each in asked]
    return pd.DataFrame(
        {
            "item_key": [f"item:{name}" for name in names],
            "respondent_key": [f"code:respondent:{each.respondent}" for each in asked],
            "raw": raw["estimate"].reindex(names).to_numpy(),
            "estimate": main["estimate"].reindex(names).to_numpy(),
            "conf_low": main["conf_low"].reindex(names).to_numpy(),
            "conf_high": main["conf_high"].reindex(names).to_numpy(),
            "p_value": main["p_value"].reindex(names).to_numpy(),
            "p_holm": _holm(main["p_value"].reindex(names).to_numpy(dtype=np.float64)),
            "together": joint["estimate"].reindex(names).to_numpy(),
            "together_low": joint["conf_low"].reindex(names).to_numpy(),
            "together_high": joint["conf_high"].reindex(names).to_numpy(),
            "n": main["n"].reindex(names).to_numpy(),
        }
    )


def _counts(found: pd.DataFrame) -> pd.DataFrame:
    """Return the number of items that hold, by outcome."""
    rows = found[found["contrast"] == "holding_after_correction"]
    return pd.DataFrame(
        {
            "outcome_key": [f"analyses.outcome.{name}" for name in rows["outcome"]],
            "holding": rows["estimate"].to_numpy(),
            "items": rows["n"].to_numpy(),
        }
    )


def _figure(items: pd.DataFrame) -> FigureSpec:
    """Return the forest plot of the items, the strongest first."""
    shown = items.dropna(subset=["estimate"]).sort_values("estimate", ascending=False, kind="stable")
    frame = pd.DataFrame({"label_key": shown["item_key"]})
    for column in ("estimate", "conf_low", "conf_high"):
        frame[column] = 100 * shown[column]
    options: dict[str, Any] = {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.points_per_sd"}
    return FigureSpec("forest", frame.reset_index(drop=True), "analyses.indicators.figure", options)
