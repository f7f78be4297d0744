"""Tables and figures on changes of caseworker."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.departures import OUTCOMES, QUARTERS, REFERENCE, quarter_name
from bipstudy.analyses.result import FigureSpec

NUMBERS = ("one_change", "two_changes", "three_changes")
SCORE = "background_score"
# Models beside the primary one: exposures against quarters without any, adjusted for a score of the background.
BESIDE = {
    "gaps": ("first_change", "without_caseworker", "per_30_days_without", "left_programme"),
    "departures": ("after_departure", "after_other_change"),
    "reasons": ("change_for_staff_reason", "change_for_other_reason", "change_without_reason"),
}


def exposure_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return quarters, participants and events before and after changes."""
    number = frame["changes_so_far"]
    rows: list[dict[str, Any]] = []
    for key, chosen in (
        ("no_change", number == 0),
        *((name, frame[name] > 0) for name in NUMBERS),
        *((name, frame[name] > 0) for name in (*BESIDE["departures"], *BESIDE["reasons"], "without_caseworker")),
    ):
        part = frame[chosen]
        days = float((part["stop"] - part["start"]).sum())
        rows.append(
            {
                "exposure_key": f"analyses.contrast.{key}",
                "participants": int(part["participant"].nunique()),
                "quarters": len(part),
                "any": int(part["event"].sum()),
                "work": int(part["event_work"].sum()),
                "per_year": 365.25 * float(part["event"].sum()) / days if days else np.nan,
            }
        )
    return pd.DataFrame(rows)


def models_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return every hazard ratio in one table."""
    rows = found[found["scale"] == "hazard_ratio"]
    return pd.DataFrame(
        {
            "contrast_key": "analyses.contrast." + rows["contrast"],
            "outcome_key": "analyses.outcome." + rows["outcome"],
            "adjustment_key": "analyses.adjustment." + rows["adjustment"],
            **{name: rows[name].to_numpy() for name in ("estimate", "conf_low", "conf_high", "n", "events")},
        }
    ).reset_index(drop=True)


def departures_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return what goes before and after departures and other changes, outcome by outcome."""
    rows = found[found["outcome"].isin(list(OUTCOMES))]
    return pd.DataFrame(
        {
            "outcome_key": "analyses.outcome." + rows["outcome"],
            "contrast_key": "analyses.contrast." + rows["contrast"],
            **{name: rows[name].to_numpy() for name in ("estimate", "conf_low", "conf_high", "p_value", "n")},
        }
    ).reset_index(drop=True)


def figures_of(found: pd.DataFrame) -> dict[str, FigureSpec]:
    """Return the primary hazard ratios by outcome, those beside them, and the quarters around a departure."""
    ratios = found[found["scale"] == "hazard_ratio"]
    axis: dict[str, Any] = {"axis_label_key": "analyses.axis.hazard_ratio"}
    figures = {}
    for name, adjustment in (("hazard_ratios", "background"), ("beside", SCORE)):
        shown = ratios[ratios["adjustment"] == adjustment].dropna(subset=["estimate", "conf_low"])
        if len(shown):
            figures[name] = FigureSpec("forest", _forest(shown), f"analyses.continuity.figure_{name}", axis)
    names = [quarter_name(quarter) for quarter in QUARTERS if quarter != REFERENCE]
    shown = found[found["contrast"].isin(names)].dropna(subset=["estimate", "conf_low"])
    if len(shown):
        axis = {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.deviations"}
        figures["departures"] = FigureSpec("forest", _forest(shown), "analyses.continuity.figure_departures", axis)
    return figures


def _forest(shown: pd.DataFrame) -> pd.DataFrame:
    """Return estimates as rows of a forest plot, outcome by outcome."""
    frame = shown[["estimate", "conf_low", "conf_high"]].copy()
    frame.insert(0, "label_key", "analyses.contrast." + shown["contrast"])
    frame.insert(1, "group_key", "analyses.outcome." + shown["outcome"])
    frame.insert(2, "benchmark_id", shown["benchmark"])
    return frame.reset_index(drop=True)
