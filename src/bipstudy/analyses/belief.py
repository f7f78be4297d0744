"""The caseworker's belief and the transition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import (
    BOTTOM,
    CLUSTER,
    TOP,
    FlowBook,
    binary,
    formula,
    outcome_name,
    ready,
    single_threaded,
    standardise,
    standardised,
    whole_months,
    with_answers,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy, share
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import answer_columns, build_panel
from bipstudy.panel.checks import check_definition
from bipstudy.study import Study

NAME = "belief"
HIGHEST = 100.0
GROUPS = ("belief_middle", "belief_top")
# Everybody with one of the two lowest answers, and with one of the two highest.
CONTRAST = {"bottom": {"belief_middle": 0.0, "belief_top": 0.0}, "top": {"belief_middle": 0.0, "belief_top": 1.0}}
RUNGS = ("raw", "background", "background_answers")


@single_threaded
def belief(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer whether the caseworker's belief that the person gets a job goes with reaching work or study.

    Estimand: ratio of the standardised risks of a transition within the horizon, the two highest against the two lowest
    answers of the caseworker at the first measurement, adjusted for background and the participant's own answers.
    Population: first measurements with a belief answer and at least one answer of the participant, followed from the
    wash-out on; the same people on every rung (unadjusted, background, own answers). Danish findings: R5a (unadjusted
    shares in work by answer), R5b and R6 as published; R2a, R2b, R8 and R16 concern the caseworker's optimism about
    others and not this contrast, and are not met here. Models: logit with censoring weights, standardised; errors
    clustered by caseworker (one row per participant). Cannot show: whether belief brings about work: the caseworker
    sees more than any answer holds, and the answer is a forecast.

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
        Tables ``by_answer`` and ``ladder``; figures ``by_answer`` and ``ladder``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.belief(bip.load_example()).primary()["scale"].tolist()
    ['risk_ratio']
    """
    check_definition(study, outcome)
    panel = build_panel(study, outcome=outcome, horizon_months=horizon_months, washout_days=washout_days)
    book = FlowBook(NAME, panel.attrs["flow"], _grouped(ready(panel)))
    book.keep("first_only", panel["first_measurement"])
    answered = book.keep_missing("no_belief", "belief")
    own = [column for column, respondent, _ in answer_columns() if respondent == "participant" and column in answered]
    sample, background, answers = _sample(book.keep("no_own_answers", answered[own].notna().any(axis=1)), own)
    months, named = whole_months(horizon_months), outcome_name(outcome)
    work = "work" if outcome == "primary" else f"{named}:work"
    published = outcome == "primary" and months == 12
    rows = _by_published_answer(answered, work, months, published)
    rows += _answer_shares(answered)
    adjusted: dict[str, list[str]] = {"raw": [], "background": background, "background_answers": background + answers}
    for response, called in (("y", named), ("y_work", work)):
        for rung in RUNGS:
            main = "primary" if (response, rung) == ("y", "background_answers") else "secondary"
            rows += _contrast(sample, response, adjusted[rung], (called, months, rung), main)
    rows.append(_per_deviation(sample, adjusted["background_answers"], named, months))
    found = estimates(rows)
    by_answer = _by_answer(answered)
    return Result(
        name=NAME,
        estimates=found,
        tables={"by_answer": by_answer, "ladder": _ladder(found)},
        figures=_figures(found, named, answered, horizon_months),
        flow=book.finish("sample_rows"),
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.belief.note_forecast"),
            Sentence("analyses.belief.note_optimism"),
            Sentence("analyses.note_missing_answers"),
        ),
    )


def _grouped(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the groups of answers; the two lowest are the reference."""
    value = frame["belief"]
    return frame.assign(
        belief_top=(value >= TOP).astype(float), belief_middle=((value > BOTTOM) & (value < TOP)).astype(float)
    )


def _sample(frame: pd.DataFrame, own: Sequence[str]) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return the common sample with background and the participant's answers as the models take them."""
    frame, background = with_background(frame)
    frame, answers = with_answers(frame, own, "own")
    z = standardised(frame["belief"].to_numpy(dtype=np.float64))
    return frame.assign(z_belief=np.full(len(frame), np.nan) if z is None else z), background, answers


def _by_published_answer(
    frame: pd.DataFrame, outcome: str, months: int | None, published: bool
) -> list[tuple[Label, Number]]:
    """Return the unadjusted share that starts work after the highest and after the two lowest answers."""
    groups = _groups_of_answers(frame)
    highest, lowest = groups["belief_highest_answer"], groups["belief_bottom_two"]
    rows = []
    for contrast in ("belief_highest_answer", "belief_bottom_two"):
        part = frame[groups[contrast]]
        label = Label(NAME, contrast, "share", outcome, "belief", months, benchmark="R5a" if published else "")
        rows.append((label, _risk(part, "y_work")))
    label = Label(
        NAME, "belief_highest_vs_bottom_two", "risk_difference", outcome, "belief", months,
        benchmark="R5b" if published else "",
    )  # fmt: skip
    ends = frame.assign(highest=highest.astype(float))[highest | lowest]
    return [*rows, (label, _raw_difference(ends))]


def _risk(frame: pd.DataFrame, response: str) -> Number:
    """Return an unadjusted weighted risk."""
    return share(
        values=frame[response].to_numpy(dtype=np.float64),
        weights=frame["ipcw"].to_numpy(dtype=np.float64),
        clusters=frame[CLUSTER].to_numpy(dtype=object),
    )


def _raw_difference(frame: pd.DataFrame) -> Number:
    """Return the unadjusted difference in the risk of work between the highest and the two lowest answers."""
    from bipstudy import models

    known = frame.loc[frame["y_known"], ["y_work", "highest", "ipcw", CLUSTER]]
    fit = attempt(
        lambda: models.linear_probability(known, formula("y_work", "highest"), weights="ipcw", cluster=CLUSTER)
    )
    if fit is None or "highest" not in fit.terms:
        return Number(n=len(known))
    return from_tidy(fit.tidy(), "highest", fit)


def _answer_shares(frame: pd.DataFrame) -> list[tuple[Label, Number]]:
    """Return how the caseworkers answered at the first measurement."""
    clusters = frame[CLUSTER].to_numpy(dtype=object)
    return [
        (
            Label(NAME, contrast, "share", "belief_answer", "belief", benchmark="R6"),
            share(values=chosen.astype(np.float64), clusters=clusters),
        )
        for contrast, chosen in _groups_of_answers(frame).items()
        if contrast != "belief_middle_answer"
    ]


def _contrast(
    frame: pd.DataFrame, response: str, adjustment: list[str], named: tuple[str, int | None, str], role: str
) -> list[tuple[Label, Number]]:
    """Return ratio, difference and the two risks of one rung."""
    outcome, months, rung = named
    fit = attempt(lambda: binary(frame, response, GROUPS, adjustment))
    risks = None if fit is None else attempt(lambda: standardise(fit, frame, None, CONTRAST))
    wanted = (
        ("belief_top_vs_bottom", "risk_ratio", "ratio[top / bottom]", role),
        ("belief_top_vs_bottom", "risk_difference", "difference[top - bottom]", "secondary"),
        ("belief_top_two", "risk", "risk[top]", "secondary"),
        ("belief_bottom_two", "risk", "risk[bottom]", "secondary"),
    )
    rows = []
    for contrast, scale, term, own_role in wanted:
        label = Label(NAME, contrast, scale, outcome, "belief", months, rung, own_role)
        rows.append((label, Number(n=len(frame)) if risks is None else from_tidy(risks.tidy(), term, fit)))
    return rows


def _per_deviation(
    frame: pd.DataFrame, adjustment: list[str], outcome: str, months: int | None
) -> tuple[Label, Number]:
    """Return the standardised risk difference per standard deviation of the belief."""
    label = Label(NAME, "per_sd_caseworker", "risk_difference", outcome, "belief", months, "background_answers")
    fit = attempt(lambda: binary(frame, "y", "z_belief", adjustment))
    values = {"low": -0.5, "high": 0.5}
    risks = None if fit is None else attempt(lambda: standardise(fit, frame, "z_belief", values))
    return label, Number(n=len(frame)) if risks is None else from_tidy(risks.tidy(), "difference[high - low]", fit)


def _by_answer(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many gave each answer, and the unadjusted risks that followed, the highest first."""
    raw, value = frame["c_caseworker_belief_raw"], frame["belief"]
    # Answers of different scales are told apart only by their place on the scale.
    same = pd.DataFrame({"raw": raw, "value": value}).drop_duplicates().groupby("raw")["value"].nunique().max() == 1
    rows: list[dict[str, Any]] = []
    for place in sorted(set(value), reverse=True):
        part = frame[value == place]
        shown = f"{part['c_caseworker_belief_raw'].iloc[0]:g}" if same else f"{place:g}/100"
        work, anything = _risk(part, "y_work"), _risk(part, "y")
        rows.append(
            {
                "answer": shown,
                "n": len(part),
                "share": len(part) / len(frame),
                "work": work.estimate,
                "work_low": work.conf_low,
                "work_high": work.conf_high,
                "any": anything.estimate,
                "any_low": anything.conf_low,
                "any_high": anything.conf_high,
            }
        )
    columns = ["answer", "n", "share", "work", "work_low", "work_high", "any", "any_low", "any_high"]
    return pd.DataFrame(rows, columns=columns)


def _ladder(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rungs: risks, ratio and difference of the two highest against the two lowest answers."""
    rows = []
    for outcome in dict.fromkeys(found.loc[found["contrast"] == "belief_top_vs_bottom", "outcome"]):
        for rung in RUNGS:
            own = found[(found["outcome"] == outcome) & (found["adjustment"] == rung)]
            cells = {"outcome_key": f"analyses.outcome.{outcome}", "adjustment_key": f"analyses.adjustment.{rung}"}
            numbers: dict[str, float] = {}
            for name, contrast, scale in (
                ("bottom", "belief_bottom_two", "risk"),
                ("top", "belief_top_two", "risk"),
                ("difference", "belief_top_vs_bottom", "risk_difference"),
                ("ratio", "belief_top_vs_bottom", "risk_ratio"),
            ):
                row = own[(own["contrast"] == contrast) & (own["scale"] == scale)].iloc[0]
                numbers[name] = row["estimate"]
                if name in ("difference", "ratio"):
                    numbers |= {f"{name}_low": row["conf_low"], f"{name}_high": row["conf_high"]}
            rows.append({**cells, **numbers, "n": int(own["n"].max())})
    return pd.DataFrame(rows)


def _groups_of_answers(frame: pd.DataFrame) -> dict[str, Any]:
    """Return which rows gave the highest, the second, a middle or one of the two lowest answers."""
    value = frame["belief"].to_numpy(dtype=np.float64)
    return {
        "belief_highest_answer": value >= HIGHEST,
        "belief_second_answer": (value >= TOP) & (value < HIGHEST),
        "belief_middle_answer": (value > BOTTOM) & (value < TOP),
        "belief_bottom_two": value <= BOTTOM,
    }


def _figures(found: pd.DataFrame, outcome: str, answered: pd.DataFrame, months: float) -> dict[str, FigureSpec]:
    """Return the share in work by answer, and the ratio rung by rung."""
    figures = {}
    rows = [
        {"label_key": f"analyses.contrast.{contrast}", "contrast": contrast, **vars(_risk(answered[chosen], "y_work"))}
        for contrast, chosen in _groups_of_answers(answered).items()
    ]
    frame = pd.DataFrame(rows).dropna(subset=["estimate"])[
        ["label_key", "contrast", "estimate", "conf_low", "conf_high", "n"]
    ]
    if len(frame):
        published = frame["contrast"].isin(["belief_highest_answer", "belief_bottom_two"])
        frame = frame.assign(benchmark_id=np.where(published, "R5a", ""))
        figures["by_answer"] = FigureSpec(
            "shares",
            frame.reset_index(drop=True),
            "analyses.belief.figure_by_answer",
            {"axis_label_key": f"analyses.axis.work_within?months={months:g}", "decimals": 1},
        )
    rungs = found[(found["scale"] == "risk_ratio") & (found["outcome"] == outcome)].dropna(subset=["estimate"])
    if len(rungs):
        frame = rungs[["estimate", "conf_low", "conf_high"]].copy()
        frame.insert(0, "label_key", "analyses.adjustment." + rungs["adjustment"])
        figures["ladder"] = FigureSpec(
            "forest",
            frame.reset_index(drop=True),
            "analyses.belief.figure_ladder",
            {"axis_label_key": "analyses.axis.risk_ratio"},
        )
    return figures
