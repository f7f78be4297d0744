"""Tables and figures about the scale: respondents, items, factors, correlations and organisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import CLUSTER
from bipstudy.analyses.estimating import attempt
from bipstudy.analyses.result import FigureSpec

# Organisations with fewer complete forms do not enter the comparison of organisations.
SMALLEST_GROUP = 100
# A factor of fewer items is not determined by itself.
LEAST_ITEMS = 3
STEPS = ("configural", "metric", "scalar")


def respondent_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return omega, alpha and the number of factors by respondent."""
    rows = []
    own = found[found["term"] == ""].set_index("contrast")
    for who in ("participant", "caseworker", "caseworker_all"):
        cells: dict[str, Any] = {"scale_key": f"analyses.measurement.scale_{who}"}
        for name in ("omega", "alpha"):
            row = own.loc[f"{name}_{who}"]
            cells |= {name: row["estimate"], f"{name}_low": row["conf_low"], f"{name}_high": row["conf_high"]}
        factors = own["estimate"].get(f"factors_{who}", np.nan)
        rows.append({**cells, "factors": factors, "n": int(own.loc[f"omega_{who}", "n"])})
    return pd.DataFrame(rows).astype({"factors": "Int64"})


def item_table(first: pd.DataFrame, names: Mapping[str, list[str]], scales: Mapping[str, Any]) -> pd.DataFrame:
    """Return what each item adds, and how many answers are missing, lowest or highest at the first measurement."""
    rows = []
    for who, columns in names.items():
        given = first[first[columns].notna().any(axis=1)]
        fit = scales[who]
        about = None if fit is None else fit.item_table.set_index("item")
        for column in columns:
            answers = given[column]
            known = max(int(answers.notna().sum()), 1)
            rows.append(
                {
                    "item_key": f"item:{column[2:]}",
                    "respondent_key": f"code:respondent:{who}",
                    "n": int(answers.notna().sum()),
                    "missing": float(answers.isna().mean()) if len(given) else np.nan,
                    "floor": float((answers == 0).sum() / known),
                    "ceiling": float((answers == 100).sum() / known),
                    "item_rest": np.nan if about is None else about.loc[column, "item_rest"],
                    "alpha_without": np.nan if about is None else about.loc[column, "alpha_without"],
                    "loading": np.nan if about is None else about.loc[column, "loading"],
                }
            )
    return pd.DataFrame(rows)


def factor_table(solutions: Mapping[str, Any], most: int) -> pd.DataFrame:
    """Return the loadings of each item by respondent; missing beyond the factors there are."""
    rows = []
    for who, solution in solutions.items():
        if solution is None:
            continue
        for place, column in enumerate(solution.items):
            loadings = np.full(most, np.nan)
            loadings[: solution.loadings.shape[1]] = solution.loadings[place]
            rows.append(
                {
                    "item_key": f"item:{column[2:]}",
                    "respondent_key": f"code:respondent:{who}",
                    **{f"factor{number + 1}": loadings[number] for number in range(most)},
                    "communality": 1.0 - solution.uniqueness[place],
                }
            )
    columns = ["item_key", "respondent_key", *(f"factor{number + 1}" for number in range(most)), "communality"]
    return pd.DataFrame(rows, columns=columns)


def correlation_table(found: Mapping[str, Any], names: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return the polychoric correlation of every pair of items, by respondent."""
    tables = {who: None if fit is None else fit.tidy() for who, fit in found.items()}
    items = [column[2:] for column in names["participant"]]
    rows = []
    place = 0
    for position, first in enumerate(items):
        for second in items[position + 1 :]:
            cells: dict[str, Any] = {"item_key": f"item:{first}", "other_key": f"item:{second}"}
            for who, table in tables.items():
                for end, column in (("", "estimate"), ("_low", "conf_low"), ("_high", "conf_high")):
                    cells[f"{who}{end}"] = np.nan if table is None else float(table[column].iloc[place])
            rows.append(cells)
            place += 1
    return pd.DataFrame(rows)


def invariance_table(first: pd.DataFrame, scales: Mapping[str, tuple[list[str], Any]]) -> pd.DataFrame:
    """Return whether the items measure the same in all organisations that are large enough, step by step."""
    from bipstudy import models

    rows = []
    for who, (columns, solution) in scales.items():
        complete = first.dropna(subset=columns)
        sizes = complete["organisation"].value_counts()
        large = complete[complete["organisation"].isin(sizes.index[sizes >= SMALLEST_GROUP])]
        if solution is None or large["organisation"].nunique() < 2:
            continue
        structure = _structure(columns, solution)
        used = large[[*columns, "organisation", CLUSTER]]
        fit = attempt(
            lambda used=used, structure=structure: models.measurement_invariance(  # type: ignore[misc]
                used, structure, group="organisation", steps=STEPS, robust=False
            )
        )
        if fit is None:
            continue
        for row in fit.tidy().to_dict("records"):
            first_step = row["step"] == STEPS[0]
            rows.append(
                {
                    "respondent_key": f"code:respondent:{who}",
                    "step_key": f"analyses.measurement.step_{row['step']}",
                    "chisq": row["chisq"],
                    "df": int(row["df"]),
                    "cfi": row["cfi"],
                    "rmsea": row["rmsea"],
                    "cfi_change": np.nan if first_step else row["cfi_change"],
                    "p_value": np.nan if first_step else row["p_difference_scaled"],
                    "holds_key": "–" if first_step else "analyses.yes" if row["holds"] else "analyses.no",
                    "organisations": large["organisation"].nunique(),
                    "n": len(large),
                }
            )
    columns = ["respondent_key", "step_key", "chisq", "df", "cfi", "rmsea", "cfi_change", "p_value", "holds_key",
               "organisations", "n"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _structure(columns: list[str], solution: Any) -> dict[str, list[str]]:
    """Return the items of each factor by their largest loading; one factor if some would have too few."""
    largest = np.abs(solution.loadings).argmax(axis=1)
    parts = {
        f"factor{number + 1}": [column for column, place in zip(columns, largest, strict=True) if place == number]
        for number in range(solution.loadings.shape[1])
    }
    enough = all(len(items) >= LEAST_ITEMS for items in parts.values())
    return parts if enough else {"common": columns}


def figures_of(found: pd.DataFrame, parallel: Mapping[str, Any]) -> dict[str, FigureSpec]:
    """Return eigenvalues beside chance, and agreement by item."""
    figures = {}
    parts = []
    for who, analysis in parallel.items():
        if analysis is None:
            continue
        table = analysis.tidy()
        for column, key in (("factor", "found"), ("factor_chance", "chance")):
            parts.append(
                pd.DataFrame({"label_key": f"analyses.measurement.{key}_{who}", "x": table["rank"], "y": table[column]})
            )
    if parts:
        options = {"x_label_key": "analyses.axis.factor", "y_label_key": "analyses.axis.eigenvalue", "shares": False}
        figures["eigenvalues"] = FigureSpec(
            "lines", pd.concat(parts, ignore_index=True), "analyses.measurement.figure_eigenvalues", options
        )
    kappa = found[found["contrast"] == "kappa"].dropna(subset=["estimate", "conf_low"])
    if len(kappa):
        frame = kappa[["estimate", "conf_low", "conf_high"]].copy()
        frame.insert(0, "label_key", "item:" + kappa["term"])
        options = {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.kappa"}
        figures["agreement"] = FigureSpec(
            "forest", frame.reset_index(drop=True), "analyses.measurement.figure_agreement", options
        )
    return figures
