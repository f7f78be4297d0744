"""Tables and figures of the indicators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.indicators_models import Indicator, Linearity
from bipstudy.analyses.result import FigureSpec


def _holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return p-values adjusted by Holm's method; what was not tested does not count."""
    from bipstudy import models

    adjusted: npt.NDArray[np.float64] = models.adjust_p_values(p_values, "holm")
    return adjusted


def items_table(found: pd.DataFrame, asked: list[Indicator], outcome: str) -> pd.DataFrame:
    """Return the table of items: alone, adjusted and all together, with Holm's p-value."""
    main = found[found["role"] == "primary"].set_index("term")
    own = found[found["contrast"].str.startswith("per_sd_") & (found["outcome"] == outcome)]
    raw = own[own["adjustment"] == "raw"].set_index("term")
    joint = own[own["adjustment"] == "background_indicators"].set_index("term")
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


def more_table(
    found: pd.DataFrame, asked: list[Indicator], departures: Mapping[str, Linearity], outcome: str
) -> pd.DataFrame:
    """Return change, disagreement, and risks at the two ends with the test of a straight line."""
    own = found[found["outcome"] == outcome]
    change = own[own["contrast"].str.startswith("change_per_sd_")].set_index("term")
    gap = own[own["contrast"] == "disagreement_per_sd"].set_index("term")
    adjusted = _holm(np.array([departures[each.item].p_value for each in asked]))
    rows = []
    for each, p_value in zip(asked, adjusted, strict=True):
        cells: dict[str, Any] = {"item_key": f"item:{each.item}"}
        for name, table in (("change", change), ("disagreement", gap)):
            row = table.loc[each.item] if each.item in table.index else None
            for end, column in (("", "estimate"), ("_low", "conf_low"), ("_high", "conf_high")):
                cells[f"{name}{end}"] = np.nan if row is None else float(row[column])
        line = departures[each.item]
        rows.append({**cells, "lowest": line.bottom, "highest": line.top, "p_linear": float(p_value)})
    return pd.DataFrame(rows)


def counts_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the number of items that hold, by outcome."""
    rows = found[found["contrast"] == "holding_after_correction"]
    return pd.DataFrame(
        {
            "outcome_key": [f"analyses.outcome.{name}" for name in rows["outcome"]],
            "holding": rows["estimate"].to_numpy(),
            "low": rows["conf_low"].to_numpy(),
            "high": rows["conf_high"].to_numpy(),
            "items": rows["n"].to_numpy(),
        }
    )


def expected_table(sizes: pd.DataFrame, found: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Return the expected counts beside the one found and the published one."""
    own = found[(found["contrast"] == "holding_after_correction") & (found["outcome"] == outcome)]["estimate"]
    return sizes.assign(found=own.iloc[0] if len(own) else np.nan)


def figures_of(items: pd.DataFrame, sizes: pd.DataFrame) -> dict[str, FigureSpec]:
    """Return the forest plot of the items, the strongest first, and the expected counts by size."""
    figures = {}
    shown = items.dropna(subset=["estimate"]).sort_values("estimate", ascending=False, kind="stable")
    if len(shown):
        frame = pd.DataFrame({"label_key": shown["item_key"]})
        for column in ("estimate", "conf_low", "conf_high"):
            frame[column] = 100 * shown[column]
        options: dict[str, Any] = {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.points_per_sd"}
        figures["risk_differences"] = FigureSpec(
            "forest", frame.reset_index(drop=True), "analyses.indicators.figure", options
        )
    if len(sizes):
        parts = [
            pd.DataFrame({"label_key": f"analyses.indicators.if_{name}", "x": 100 * sizes["size"], "y": sizes[name]})
            for name in ("all", "seven", "found")
        ]
        frame = pd.concat(parts, ignore_index=True).dropna()
        options = {
            "x_label_key": "analyses.axis.points_per_sd",
            "y_label_key": "analyses.axis.expected_count",
            "shares": False,
        }
        figures["expected"] = FigureSpec("lines", frame, "analyses.indicators.figure_expected", options)
    return figures
