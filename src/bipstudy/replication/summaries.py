"""Tables on a run as a whole: what was planned and what came of it, and the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.replication.agreement import RATIOS, replicate_key
from bipstudy.replication.plan import Plan

_WHAT = ("analysis", "contrast", "scale", "outcome", "adjustment", "term")
PLANNED_COLUMNS = (*_WHAT, "status", "estimate", "conf_low", "conf_high", "p_value", "n")
BOOTSTRAP_COLUMNS = (*_WHAT, "benchmark", "estimate", "std_error", "low", "high", "replications", "failed")
DELIVERED, NOT_ESTIMATED, NOT_DELIVERED, NOT_ANSWERED = "estimated", "not_estimated", "not_delivered", "not_answered"


def in_the_roles_of(plan: Plan, estimates: pd.DataFrame) -> pd.DataFrame:
    """Return estimates whose role is primary where the plan says so, for questions whose primary ones it names."""
    if not plan.primary:
        return estimates
    roles = [
        row["role"]
        if row["analysis"] not in plan.primary
        else ("primary" if any(each.meets(row) for each in plan.primary[row["analysis"]]) else "secondary")
        for row in estimates.to_dict("records")
    ]
    return estimates.assign(role=roles)


def planned_table(plan: Plan, estimates: pd.DataFrame, skipped: Sequence[str]) -> pd.DataFrame:
    """Return the primary estimates of a plan with what came of them.

    Parameters
    ----------
    plan : Plan
    estimates : DataFrame
        Of the run, in the roles of the plan.
    skipped : sequence of str
        Questions that could not be answered.

    Returns
    -------
    DataFrame
        Columns `PLANNED_COLUMNS`; ``status`` is estimated, not_estimated (the model gave nothing), not_delivered (the
        analysis knows no such estimate) or not_answered (the question could not be answered at all).
    """
    rows: list[dict[str, Any]] = []
    for name in plan.questions:
        empty = dict.fromkeys(PLANNED_COLUMNS, "") | {"analysis": name} | _no_numbers()
        if name in skipped:
            rows.append(empty | {"status": NOT_ANSWERED})
            continue
        own = estimates[(estimates["analysis"] == name) & (estimates["role"] == "primary")].to_dict("records")
        rows += [
            {key: row.get(key) for key in PLANNED_COLUMNS}
            | {"status": NOT_ESTIMATED if pd.isna(row["estimate"]) else DELIVERED}
            for row in own
        ]
        absent = [each for each in plan.primary.get(name, ()) if not any(each.meets(row) for row in own)]
        rows += [empty | vars(each) | {"status": NOT_DELIVERED} for each in absent]
    table = pd.DataFrame(rows, columns=list(PLANNED_COLUMNS))
    return table.astype({"n": "Int64", **dict.fromkeys(("estimate", "conf_low", "conf_high", "p_value"), float)})


def _no_numbers() -> dict[str, Any]:
    """Return missing numbers."""
    return {"estimate": math.nan, "conf_low": math.nan, "conf_high": math.nan, "p_value": math.nan, "n": pd.NA}


def bootstrap_table(estimates: pd.DataFrame, replicates: Mapping[str, npt.NDArray[np.float64]]) -> pd.DataFrame:
    """Return bootstrap errors and percentile intervals.

    Parameters
    ----------
    estimates : DataFrame
    replicates : mapping of str to array of shape (replications,)
        By `bipstudy.replication.agreement.replicate_key`.

    Returns
    -------
    DataFrame
        Columns `BOOTSTRAP_COLUMNS`. The error of a ratio is that of its logarithm; ``low`` and ``high`` are the 2.5th
        and 97.5th percentile; ``failed`` counts resamples without an estimate, which are left out.
    """
    rows = []
    for row in estimates.to_dict("records"):
        drawn = replicates.get(replicate_key(row))
        if drawn is None:
            continue
        given = drawn[~np.isnan(drawn)]
        if row["scale"] in RATIOS:
            given = given[given > 0]
        spread = np.log(given) if row["scale"] in RATIOS else given
        enough = len(given) > 1
        low, high = np.quantile(given, [0.025, 0.975]) if enough else (math.nan, math.nan)
        rows.append(
            {name: row[name] for name in (*_WHAT, "benchmark", "estimate")}
            | {"std_error": float(np.std(spread, ddof=1)) if enough else math.nan, "low": low, "high": high}
            | {"replications": len(drawn), "failed": len(drawn) - len(given)}
        )
    return pd.DataFrame(rows, columns=list(BOOTSTRAP_COLUMNS))
