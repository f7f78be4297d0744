"""Figures of the belief analysis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bipstudy.analyses.belief_answers import groups_of_answers, risk
from bipstudy.analyses.result import FigureSpec

ENDS = ["estimate", "conf_low", "conf_high"]


def figures(
    found: pd.DataFrame, tables: Mapping[str, pd.DataFrame], outcome: str, answered: pd.DataFrame, months: float
) -> dict[str, FigureSpec]:
    """Return the share in work by answer, the ladder, the contrasts, the reduced form of optimism and its balance.

    Parameters
    ----------
    found : DataFrame
        Estimates.
    tables : mapping of str to DataFrame
    outcome : str
        What the outcome is called.
    answered : DataFrame
        First measurements with a belief answer.
    months : float
        Horizon.
    """
    specs = {
        "by_answer": _by_answer(answered, months),
        "ladder": _ladder(found, outcome),
        "contrasts": _ratios(tables["contrasts"], outcome, "contrasts"),
        "optimism": _ratios(tables["optimism"], None, "optimism"),
        "balance": _balance(tables["balance"]),
    }
    return {name: spec for name, spec in specs.items() if spec is not None}


def _by_answer(answered: pd.DataFrame, months: float) -> FigureSpec | None:
    """Return the share in work by answer, beside the published shares."""
    rows = [
        {"label_key": f"analyses.contrast.{contrast}", "contrast": contrast, **vars(risk(answered[chosen], "y_work"))}
        for contrast, chosen in groups_of_answers(answered).items()
    ]
    frame = pd.DataFrame(rows).dropna(subset=["estimate"])[["label_key", "contrast", *ENDS, "n"]]
    if frame.empty:
        return None
    published = frame["contrast"].isin(["belief_highest_answer", "belief_bottom_two"])
    return FigureSpec(
        "shares",
        frame.assign(benchmark_id=np.where(published, "R5a", "")).reset_index(drop=True),
        "analyses.belief.figure_by_answer",
        {"axis_label_key": f"analyses.axis.work_within?months={months:g}", "decimals": 1},
    )


def _ladder(found: pd.DataFrame, outcome: str) -> FigureSpec | None:
    """Return the ratio of the primary contrast, rung by rung."""
    chosen = (found["contrast"] == "belief_top_vs_bottom") & (found["scale"] == "risk_ratio")
    rungs = found[chosen & (found["outcome"] == outcome)].dropna(subset=["estimate"])
    if rungs.empty:
        return None
    frame = rungs[ENDS].copy()
    frame.insert(0, "label_key", "analyses.rung." + rungs["adjustment"])
    return FigureSpec(
        "forest",
        frame.reset_index(drop=True),
        "analyses.belief.figure_ladder",
        {"axis_label_key": "analyses.axis.risk_ratio"},
    )


def _ratios(table: pd.DataFrame, outcome: str | None, name: str) -> FigureSpec | None:
    """Return the ratios of a table of contrasts, of one outcome or grouped by outcome."""
    kept = table.dropna(subset=["ratio", "ratio_low"])
    if outcome is not None:
        kept = kept[kept["outcome_key"] == f"analyses.outcome.{outcome}"]
    if "adjustment_key" in kept:
        kept = kept[kept["adjustment_key"] == "analyses.adjustment.unit_quarter_answers"]
        # The words of each row must tell which others optimism is about.
        labels = kept["contrast_key"] + np.where(kept["others_key"].str.endswith("_all_others"), "_all", "")
    else:
        labels = kept["contrast_key"]
    if kept.empty:
        return None
    columns = {"label_key": labels, "estimate": kept["ratio"], "conf_low": kept["ratio_low"]}
    frame = pd.DataFrame({**columns, "conf_high": kept["ratio_high"]})
    if outcome is None:
        frame.insert(0, "group_key", kept["outcome_key"])
        # Rows of one outcome stand together, the outcomes in the order in which they first come.
        order = {key: place for place, key in enumerate(dict.fromkeys(frame["group_key"]))}
        frame = frame.sort_values("group_key", key=lambda keys: keys.map(order), kind="stable")
    return FigureSpec(
        "forest",
        frame.reset_index(drop=True),
        f"analyses.belief.figure_{name}",
        {"axis_label_key": "analyses.axis.risk_ratio"},
    )


def _balance(table: pd.DataFrame) -> FigureSpec | None:
    """Return what a standard deviation of optimism goes with in each of the participant's own first answers."""
    kept = table.dropna(subset=["estimate", "conf_low"])
    if kept.empty:
        return None
    frame = kept[["item_key", *ENDS]].rename(columns={"item_key": "label_key"})
    return FigureSpec(
        "forest",
        frame.reset_index(drop=True),
        "analyses.belief.figure_balance",
        {"axis_label_key": "analyses.axis.balance", "reference": 0.0, "log": False},
    )
