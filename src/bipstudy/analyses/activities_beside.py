"""What stands beside the primary estimates of activities: focuses, pairs, order, gaps, indicators, health, E-values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.activity_kinds import pair_names
from bipstudy.analyses.common import CLUSTER, formula
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy
from bipstudy.analyses.quarters import indicators_asked

CLUSTERS = [CLUSTER, "participant"]
# A pair that fewer intervals hold is counted, not estimated.
FEWEST = 20
ORDER = ("one_focus", "in_turn", "parallel")
SHARES = ("job_or_study_constant", "job_or_study_intermittent")
GAPS = ("per_30_gap_days",)
# Level of the health answer -> answers from and to, 0-100.
HEALTH_LEVELS = {"low": (0.0, 25.0), "middle": (25.1, 74.9), "high": (75.0, 100.0)}
HEALTH = "p_health_coping"
# What a standardised difference corresponds to as a logarithm of a risk ratio (VanderWeele and Ding 2017).
PER_DEVIATION = 0.91


def beside(frame: pd.DataFrame, adjustment: Sequence[str], analysis: str, outcome: str) -> list[tuple[Label, Number]]:
    """Return each focus alone, pairs, order, gaps and shares of days, for progression and the next quarter.

    Parameters
    ----------
    frame : DataFrame
        Intervals with kinds, `progression`, and `y_next`, `known_next`, `weight_next` for the quarter that follows.
    adjustment : sequence of str
    analysis : str
        Name of the analysis in the estimates.
    outcome : str
        What the transition is called.

    Returns
    -------
    list of (Label, Number)
    """
    focuses = [f"alone_{focus}" for focus in schema.code_list("focus").values]
    pairs = [name for name, _, _ in pair_names()]
    common = [name for name in pairs if float(frame[name].sum()) >= FEWEST]
    rare = frame[[name for name in pairs if name not in common]].max(axis=1) if len(common) < len(pairs) else 0.0
    frame = frame.assign(rare_pair=rare)
    families: list[tuple[list[str], list[str], list[str]]] = [
        ([*focuses, *pairs], [*focuses, *common], ["in_turn", "two_in_one", "rare_pair", *adjustment]),
        ([*ORDER], [*ORDER], ["two_in_one", *adjustment]),
        ([*GAPS], [*GAPS], ["length", *adjustment]),
        ([*SHARES], [*SHARES], [*adjustment]),
    ]
    rows = []
    for shown, exposures, terms in families:
        for fit, scale, called in (
            (_progression(frame, exposures, terms), "sd", "progression"),
            (_next(frame, exposures, terms), "hazard_ratio", f"{outcome}:next"),
        ):
            for name in shown:
                label = Label(analysis, name, scale, called, name, None, "background_level")
                rows.append((label, _term(fit, name, frame, ratio=scale != "sd")))
            if shown == [*ORDER]:
                name = "parallel_against_in_turn"
                label = Label(analysis, name, scale, called, name, None, "background_level")
                rows.append((label, _against(fit, name, frame, ratio=scale != "sd")))
    return rows


def _progression(
    frame: pd.DataFrame, exposures: Sequence[str], terms: Sequence[str], column: str = "progression"
) -> Any:
    """Fit progression in the next interval by least squares."""
    from bipstudy import models

    used = frame[[column, *exposures, *terms, *CLUSTERS]].dropna(subset=[column])
    return attempt(lambda: models.linear_probability(used, formula(column, exposures, terms), cluster=CLUSTERS))


def _next(frame: pd.DataFrame, exposures: Sequence[str], terms: Sequence[str]) -> Any:
    """Fit the hazard of the transition in the quarter that follows."""
    from bipstudy import models

    known = frame["known_next"].to_numpy(dtype=bool)
    used = frame.loc[known, ["y_next", "weight_next", *exposures, *terms, *CLUSTERS]]
    return attempt(
        lambda: models.discrete_hazard(
            used, formula("y_next", exposures, terms), weights="weight_next", cluster=CLUSTERS, person="participant"
        )
    )


def _term(fit: Any, name: str, frame: pd.DataFrame, *, ratio: bool) -> Number:
    """Return a coefficient; where it could not be estimated, how many intervals there are."""
    if fit is None or name not in fit.terms:
        return Number(n=len(frame))
    return from_tidy(fit.tidy(), name, fit, ratio=ratio)


def _against(fit: Any, name: str, frame: pd.DataFrame, *, ratio: bool) -> Number:
    """Return side by side against one after the other."""
    if fit is None or not {"parallel", "in_turn"} <= set(fit.terms):
        return Number(n=len(frame))
    contrast = fit.contrast({"parallel": 1.0, "in_turn": -1.0}, name=name)
    return from_tidy(contrast.tidy(), name, fit, ratio=ratio)


def next_quarter(
    frame: pd.DataFrame, contrasts: dict[str, str], adjustment: Sequence[str], analysis: str, outcome: str
) -> list[tuple[Label, Number]]:
    """Return the hazard ratio of the next quarter for each kind of interval against none.

    Parameters
    ----------
    frame, adjustment, analysis, outcome
        As for `beside`.
    contrasts : dict of str to str
        Kind -> contrast; the columns are ``act_<kind>``.

    Returns
    -------
    list of (Label, Number)
    """
    fit = _next(frame, [f"act_{kind}" for kind in contrasts], adjustment)
    return [
        (
            Label(analysis, contrast, "hazard_ratio", f"{outcome}:next", kind, None, "background_level"),
            _term(fit, f"act_{kind}", frame, ratio=True),
        )
        for kind, contrast in contrasts.items()
    ]


def by_indicator(
    frame: pd.DataFrame, contrasts: dict[str, str], adjustment: Sequence[str], analysis: str
) -> list[tuple[Label, Number]]:
    """Return the change of each indicator in the next interval by kind of interval, adjusted for its own level too.

    Parameters
    ----------
    frame : DataFrame
        With ``now_<item>`` and ``next_<item>`` in standard deviations.
    contrasts, adjustment, analysis
        As for `next_quarter`.

    Returns
    -------
    list of (Label, Number)
    """
    rows = []
    for each in indicators_asked():
        level, change = f"now_{each.item}", f"next_{each.item}"
        known = frame[frame[change].notna()]
        fit = _progression(known, [f"act_{kind}" for kind in contrasts], [level, *adjustment], change)
        for kind, contrast in contrasts.items():
            label = Label(analysis, contrast, "sd", "indicator_change", each.item, None, "background_level")
            rows.append((label, _term(fit, f"act_{kind}", known, ratio=False)))
    return rows


def within_health(
    frame: pd.DataFrame, kinds: Sequence[str], adjustment: Sequence[str], analysis: str
) -> list[tuple[Label, Number]]:
    """Return progression by kind of interval among those with a low, middle and high health answer.

    Parameters
    ----------
    frame, adjustment, analysis
        As for `beside`.
    kinds : sequence of str
        The kinds that are shown; all ``act_...`` stand in the model.

    Returns
    -------
    list of (Label, Number)
    """
    answer = frame[HEALTH] if HEALTH in frame else pd.Series(np.nan, index=frame.index)
    exposures = [name for name in frame if str(name).startswith("act_") and name != "act_none"]
    rows = []
    for level, (low, high) in HEALTH_LEVELS.items():
        part = frame[answer.between(low, high)]
        fit = _progression(part, exposures, adjustment)
        for kind in kinds:
            name = f"{kind}_health_{level}"
            label = Label(analysis, name, "sd", "progression", name, None, "background_level")
            rows.append((label, _term(fit, f"act_{kind}", part if len(part) else frame, ratio=False)))
    return rows


def sensitivity(found: pd.DataFrame, contrasts: dict[str, str], deviation: float) -> pd.DataFrame:
    """Return how strong unmeasured confounding must be to explain each contrast away.

    Parameters
    ----------
    found : DataFrame
        Estimates.
    contrasts : dict of str to str
        Kind -> contrast.
    deviation : float
        Standard deviation of progression, which makes its differences standardised ones.

    Returns
    -------
    DataFrame
        ``contrast_key, outcome_key, estimate, conf_low, conf_high`` as risk ratios, ``e_value, e_limit``.
    """
    from bipstudy import models

    rows = []
    chosen = found["contrast"].isin(list(contrasts.values())) & found["scale"].isin(["sd", "risk_ratio"])
    for row in found[chosen & (found["outcome"] != "indicator_change")].to_dict("records"):
        values = [float(row[name]) for name in ("estimate", "conf_low", "conf_high")]
        if row["scale"] == "sd":
            values = [math.exp(PER_DEVIATION * value / deviation) if deviation > 0 else math.nan for value in values]
        finite = all(math.isfinite(value) and value > 0 for value in values)
        both = models.e_value(*values).iloc[0] if finite else {"estimate": math.nan, "limit": math.nan}
        rows.append(
            {
                "contrast_key": f"analyses.contrast.{row['contrast']}",
                "outcome_key": f"analyses.outcome.{row['outcome']}",
                **dict(zip(("estimate", "conf_low", "conf_high"), values, strict=True)),
                "e_value": float(both["estimate"]),
                "e_limit": float(both["limit"]),
            }
        )
    return pd.DataFrame(rows)
