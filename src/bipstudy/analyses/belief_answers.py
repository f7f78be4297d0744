"""The caseworkers' answers about their belief, and the unadjusted risks that followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import BOTTOM, CLUSTER, TOP, formula
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy, share

NAME = "belief"
HIGHEST = 100.0


def by_published_answer(
    frame: pd.DataFrame, outcome: str, months: int | None, published: bool
) -> list[tuple[Label, Number]]:
    """Return the unadjusted share that starts work after the highest and after the two lowest answers."""
    groups = groups_of_answers(frame)
    highest, lowest = groups["belief_highest_answer"], groups["belief_bottom_two"]
    rows = []
    for contrast in ("belief_highest_answer", "belief_bottom_two"):
        part = frame[groups[contrast]]
        label = Label(NAME, contrast, "share", outcome, "belief", months, benchmark="R5a" if published else "")
        rows.append((label, risk(part, "y_work")))
    label = Label(
        NAME, "belief_highest_vs_bottom_two", "risk_difference", outcome, "belief", months,
        benchmark="R5b" if published else "",
    )  # fmt: skip
    ends = frame.assign(highest=highest.astype(float))[highest | lowest]
    return [*rows, (label, _raw_difference(ends))]


def risk(frame: pd.DataFrame, response: str) -> Number:
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


def answer_shares(frame: pd.DataFrame) -> list[tuple[Label, Number]]:
    """Return how the caseworkers answered at the first measurement."""
    clusters = frame[CLUSTER].to_numpy(dtype=object)
    return [
        (
            Label(NAME, contrast, "share", "belief_answer", "belief", benchmark="R6"),
            share(values=chosen.astype(np.float64), clusters=clusters),
        )
        for contrast, chosen in groups_of_answers(frame).items()
        if contrast != "belief_middle_answer"
    ]


def by_answer(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many gave each answer, and the unadjusted risks that followed, the highest first."""
    raw, value = frame["c_caseworker_belief_raw"], frame["belief"]
    # Answers of different scales are told apart only by their place on the scale.
    same = pd.DataFrame({"raw": raw, "value": value}).drop_duplicates().groupby("raw")["value"].nunique().max() == 1
    rows: list[dict[str, Any]] = []
    for place in sorted(set(value), reverse=True):
        part = frame[value == place]
        shown = f"{part['c_caseworker_belief_raw'].iloc[0]:g}" if same else f"{place:g}/100"
        work, anything = risk(part, "y_work"), risk(part, "y")
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


def groups_of_answers(frame: pd.DataFrame) -> dict[str, Any]:
    """Return which rows gave the highest, the second, a middle or one of the two lowest answers."""
    value = frame["belief"].to_numpy(dtype=np.float64)
    return {
        "belief_highest_answer": value >= HIGHEST,
        "belief_second_answer": (value >= TOP) & (value < HIGHEST),
        "belief_middle_answer": (value > BOTTOM) & (value < TOP),
        "belief_bottom_two": value <= BOTTOM,
    }
