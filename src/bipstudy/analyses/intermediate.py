"""Which indicator is a valid intermediate outcome: it predicts the transition, and it rises after activities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import CLUSTER, formula, standardised
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy
from bipstudy.analyses.intermediate_count import Move, move, with_interval
from bipstudy.analyses.quarters import Indicator, indicators_asked

CLUSTERS = [CLUSTER, "participant"]
LEVEL = 0.05
MONTHS = 3
# Adjustment in the estimates where the background enters as one number, and the level as it is.
SCORED = "score_level"
# Adjustment in the estimates where participant, caseworker and quarter are absorbed.
EFFECTS = "participant_caseworker_quarter"
ITEM_CONTRASTS = ("item_change_per_sd", "item_start_per_sd")


def hazard(
    frame: pd.DataFrame, response: str, exposures: Sequence[str], terms: Sequence[str], weights: pd.Series
) -> tuple[Any, Number]:
    """Fit a hazard among rows with a known outcome and all exposures.

    Parameters
    ----------
    frame : DataFrame
        With `y_known`, the response and both clusters.
    response : str
    exposures, terms : sequence of str
    weights : Series
        Of the rows of the frame.

    Returns
    -------
    fit : HazardFit or None
    nothing : Number
        Stands for what could not be estimated.
    """
    from bipstudy import models

    known = (frame["y_known"] & frame[[*exposures]].notna().all(axis=1)).to_numpy(dtype=bool)
    used = frame.loc[known, [response, *exposures, *terms, *CLUSTERS]].assign(weight=weights[known])
    fit = attempt(
        lambda: models.discrete_hazard(
            used, formula(response, exposures, terms), weights="weight", cluster=CLUSTERS, person="participant"
        )
    )
    return fit, Number(n=len(used), events=int(used[response].sum()))


def ratios(
    frame: pd.DataFrame, response: str, exposures: Sequence[str], terms: Sequence[str], weights: pd.Series
) -> list[Number]:
    """Return the hazard ratio of each exposure; parameters as for `hazard`."""
    fit, nothing = hazard(frame, response, exposures, terms, weights)
    return numbers(fit, exposures, nothing, ratio=True)


def score(fit: Any, frame: pd.DataFrame, background: Sequence[str]) -> Any:
    """Return the background's part of a linear predictor; what has no finite coefficient adds nothing."""
    if fit is None:
        return np.zeros(len(frame))
    weights = fit.coef.reindex([*background]).to_numpy(dtype=np.float64)
    return frame[[*background]].to_numpy(dtype=np.float64) @ np.where(np.isfinite(weights), weights, 0.0)


def differences(
    frame: pd.DataFrame, response: str, exposures: Sequence[str], terms: Sequence[str], *, effects: bool = False
) -> list[Number]:
    """Return the coefficient of each exposure by least squares, among rows with response and exposures.

    Parameters
    ----------
    frame : DataFrame
    response : str
    exposures, terms : sequence of str
    effects : bool
        Whether participant, caseworker and quarter are absorbed. Only for outcomes that can recur.

    Returns
    -------
    list of Number
    """
    fit, nothing = difference_fit(frame, response, exposures, terms, effects=effects)
    return numbers(fit, exposures, nothing, ratio=False)


def difference_fit(
    frame: pd.DataFrame, response: str, exposures: Sequence[str], terms: Sequence[str], *, effects: bool = False
) -> tuple[Any, Number]:
    """Fit by least squares, and return what stands for what could not be estimated; parameters as above."""
    from bipstudy import models

    wanted = [response, *exposures, *terms, *CLUSTERS, *(["quarter"] if effects else [])]
    used = frame[wanted].dropna(subset=[response, *exposures])
    words = formula(response, exposures, terms)
    words += f" | participant + {CLUSTER} + quarter" if effects else ""
    return attempt(lambda: models.linear_probability(used, words, cluster=CLUSTERS)), Number(n=len(used))


def numbers(fit: Any, exposures: Sequence[str], nothing: Number, *, ratio: bool) -> list[Number]:
    """Return the numbers of terms, nothing where they do not vary."""
    if fit is None:
        return [nothing] * len(exposures)
    tidy = fit.tidy()
    return [from_tidy(tidy, each, fit, ratio=ratio) if each in fit.terms else nothing for each in exposures]


def by_indicator(
    frame: pd.DataFrame,
    answered: pd.DataFrame,
    occasions: pd.DataFrame,
    background: list[str],
    analysis: str,
    outcomes: tuple[str, str],
    benchmark: str,
) -> list[tuple[Label, Number]]:
    """Return each indicator's level and change with the transition, its rise after activities, and how many do both.

    Parameters
    ----------
    frame : DataFrame
        Intervals that have ended, with ``start_<item>``, ``moved_<item>`` and, of each response, ``score_<response>``.
    answered : DataFrame
        Occasions with a next one, with ``now_<item>``, ``next_<item>`` and ``active``.
    occasions : DataFrame
        From `quarters.every_occasion`.
    background : list of str
    analysis : str
        Name of the analysis in the estimates.
    outcomes : (str, str)
        What the transition, and that into work, are called.
    benchmark : str
        Of the count.

    Returns
    -------
    list of (Label, Number)
    """
    rows: list[tuple[Label, Number]] = []
    moves: list[tuple[Move | None, Move | None]] = []
    moves_within: list[tuple[Move | None, Move | None]] = []
    for each in indicators_asked():
        found, predicts_move = _transition(frame, each, analysis, outcomes)
        rows += found
        found, rises_move, within = _rise(answered, occasions, each, background, analysis)
        rows += found
        moves.append((predicts_move, rises_move))
        moves_within.append(within)
    for adjustment, predicts, risk, pairs in (
        ("background_level", "item_change_per_sd", outcomes[1], moves),
        (EFFECTS, "item_level_per_sd", "months_in_work_or_study", moves_within),
    ):
        both = _judged(rows, adjustment, predicts, risk)
        tested = [each for each in both.values() if each is not None]
        number = Number(estimate=float(sum(tested)) if tested else np.nan, n=len(tested) or len(frame))
        marked = benchmark if adjustment == "background_level" else ""
        label = Label(
            analysis, "valid_intermediate_outcomes", "other", risk, "count", None, adjustment, "secondary", marked
        )
        rows.append((label, with_interval(number, pairs)))
    return rows


def _transition(
    frame: pd.DataFrame, each: Indicator, analysis: str, outcomes: tuple[str, str]
) -> tuple[list[tuple[Label, Number]], Move | None]:
    """Return the hazard ratios of change and of the level at its beginning, and how that of change for work moves."""
    z = {}
    for name in ("moved", "start"):
        values = standardised(frame[f"{name}_{each.item}"].to_numpy(dtype=np.float64))
        z[f"z_{name}"] = np.full(len(frame), np.nan) if values is None else values
    used = frame.assign(**z)
    rows, fit = [], None
    for response, called in zip(("y", "y_work"), outcomes, strict=True):
        terms = ["months_since_entry", f"score_{response}"]
        fit, nothing = hazard(used, response, ["z_moved", "z_start"], terms, frame["ipcw"])
        found = numbers(fit, ["z_moved", "z_start"], nothing, ratio=True)
        rows += [
            (Label(analysis, contrast, "hazard_ratio", called, each.item, MONTHS, SCORED), number)
            for contrast, number in zip(ITEM_CONTRASTS, found, strict=True)
        ]
    return rows, move(fit, "z_moved")


def _rise(
    answered: pd.DataFrame, occasions: pd.DataFrame, each: Indicator, background: list[str], analysis: str
) -> tuple[list[tuple[Label, Number]], Move | None, tuple[Move | None, Move | None]]:
    """Return the rise after an activity, and how it moves; and within participants what goes with months, and rises."""
    # The same names for every item: a formula is read once.
    own = answered.assign(own_change=answered[f"next_{each.item}"], own_level=answered[f"now_{each.item}"])
    fit, nothing = difference_fit(own, "own_change", ["active"], ["months_since_entry", "own_level", *background])
    adjusted = numbers(fit, ["active"], nothing, ratio=False)[0]
    fit_within, nothing = difference_fit(own, "own_change", ["active"], [], effects=True)
    within = numbers(fit_within, ["active"], nothing, ratio=False)[0]
    z = standardised(occasions[each.column].to_numpy(dtype=np.float64))
    later = occasions.assign(z=np.nan if z is None else z)
    fit_months, nothing = difference_fit(later, "months_in_work_or_study", ["z"], [], effects=True)
    months = numbers(fit_months, ["z"], nothing, ratio=False)[0]
    label = Label(analysis, "item_after_activity", "sd", "indicator_change", each.item)
    rows = [
        (Label(**{**vars(label), "adjustment": "background_level"}), adjusted),
        (Label(**{**vars(label), "adjustment": EFFECTS}), within),
        (
            Label(
                analysis, "item_level_per_sd", "risk_difference", "months_in_work_or_study", each.item, None, EFFECTS
            ),
            months,
        ),
    ]
    return rows, move(fit, "active"), (move(fit_months, "z"), move(fit_within, "active"))


def _judged(rows: list[tuple[Label, Number]], adjustment: str, predicts: str, outcome: str) -> dict[str, bool | None]:
    """Say of each indicator whether it predicts and rises after Holm's correction, None where one was not tested."""
    from bipstudy import models

    found: dict[str, list[bool | None]] = {}
    adjustments = {adjustment, SCORED}
    for contrast, called in ((predicts, outcome), ("item_after_activity", "indicator_change")):
        own = {
            label.term: number
            for label, number in rows
            if (label.contrast, label.outcome) == (contrast, called) and label.adjustment in adjustments
        }
        adjusted = models.adjust_p_values(np.array([number.p_value for number in own.values()]), "holm")
        null = 1.0 if contrast == "item_change_per_sd" else 0.0
        for (item, number), p_value in zip(own.items(), adjusted, strict=True):
            holds = None if np.isnan(p_value) else bool(p_value < LEVEL and number.estimate > null)
            found.setdefault(item, []).append(holds)
    return {item: None if None in each else all(each) for item, each in found.items()}


def items_table(found: pd.DataFrame, work: str) -> pd.DataFrame:
    """Return each indicator's change with work, its rise after activities, and whether it does both.

    Parameters
    ----------
    found : DataFrame
        Estimates.
    work : str
        What the transition into work is called.

    Returns
    -------
    DataFrame
    """
    from bipstudy import models

    asked = indicators_asked()
    names = [each.item for each in asked]
    table: dict[str, Any] = {
        "item_key": [f"item:{name}" for name in names],
        "respondent_key": [f"code:respondent:{each.respondent}" for each in asked],
    }
    judged = []
    for name, contrast, called in (
        ("predicts", "item_change_per_sd", work),
        ("rises", "item_after_activity", "indicator_change"),
    ):
        chosen = (found["contrast"] == contrast) & (found["outcome"] == called)
        chosen &= found["adjustment"].isin([SCORED, "background_level"])
        own = found[chosen].set_index("term").reindex(names)
        holm = models.adjust_p_values(own["p_value"].to_numpy(dtype=np.float64), "holm")
        for suffix, column in (("", "estimate"), ("_low", "conf_low"), ("_high", "conf_high")):
            table[name + suffix] = own[column].to_numpy(dtype=np.float64)
        table[f"{name}_p"] = holm
        null = 1.0 if name == "predicts" else 0.0
        judged.append((holm < LEVEL) & (table[name] > null))
    tested = ~np.isnan(table["predicts_p"]) & ~np.isnan(table["rises_p"])
    words = np.where(judged[0] & judged[1], "analyses.yes", np.where(tested, "analyses.no", "analyses.unknown"))
    table["valid_key"] = words
    return pd.DataFrame(table)
