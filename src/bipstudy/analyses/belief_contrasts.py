"""The contrasts of the belief answer: rung by rung, on several scales, within and between caseworkers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.common import (
    BOTTOM,
    CLUSTER,
    TOP,
    binary,
    standardise,
    standardised,
    with_answers,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy
from bipstudy.panel import answer_columns
from bipstudy.panel.occasions import BELIEF

NAME = "belief"
GROUPS = ("belief_middle", "belief_top")
# Everybody with one of the two lowest answers, and with one of the two highest.
ENDS = {"bottom": {"belief_middle": 0.0, "belief_top": 0.0}, "top": {"belief_middle": 0.0, "belief_top": 1.0}}
RUNGS = ("raw", "background", "background_answers", "background_caseworker", "background_unit")
MAIN = "background_answers"

Rows = list[tuple[Label, Number]]


@dataclass(frozen=True)
class Common:
    """The common sample of every rung.

    Attributes
    ----------
    frame : DataFrame
        First measurements with a belief answer and at least one answer of the participant, with all covariates.
    rungs : mapping of str to list of str or None
        What each rung adjusts for; None where the study lacks it.
    """

    frame: pd.DataFrame
    rungs: Mapping[str, list[str] | None]


def common_sample(frame: pd.DataFrame, own: Sequence[str]) -> Common:
    """Return the common sample with everything that a rung adjusts for.

    Parameters
    ----------
    frame : DataFrame
        First measurements of the panel, from `ready`, with a belief answer and at least one of the participant's own.
    own : sequence of str
        Columns of the participant's answers.
    """
    frame, background = with_background(frame)
    frame, answers = with_answers(frame, own, "own")
    others = [column for column, who, item in answer_columns() if who == "caseworker" and item != BELIEF]
    frame, caseworker = with_answers(frame, [column for column in others if column in frame], "seen")
    frame, units = _with_units(frame)
    value = frame["belief"].to_numpy(dtype=np.float64)
    z = standardised(value)
    frame = frame.assign(
        belief_top=(value >= TOP).astype(float),
        belief_middle=((value > BOTTOM) & (value < TOP)).astype(float),
        z_belief=np.full(len(frame), np.nan) if z is None else z,
    )
    adjusted: dict[str, list[str] | None] = {"raw": [], "background": background}
    adjusted[MAIN] = [*background, *answers]
    adjusted["background_caseworker"] = [*background, *answers, *caseworker]
    adjusted["background_unit"] = None if units is None else [*background, *answers, *caseworker, *units]
    return Common(_split(frame), adjusted)


def _with_units(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str] | None]:
    """Add an indicator of each unit but the first of its organisation, which the background holds; None without."""
    if frame["unit_id"].isna().all():
        return frame, None
    unit = frame["unit_id"].astype(object).fillna("")
    labels = frame["organisation_id"].astype(object) + "/" + unit
    first = unit.groupby(frame["organisation_id"].astype(object)).transform("min")
    levels = sorted(set(labels[unit != first]))
    added = {f"unit_{place}": (labels == level).to_numpy(dtype=np.float64) for place, level in enumerate(levels)}
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1), [*added]


def _split(frame: pd.DataFrame) -> pd.DataFrame:
    """Add belief's mean in the caseworker's participants, and its deviation from it."""
    from bipstudy import models

    split = models.within_between(frame[["z_belief", CLUSTER]], ["z_belief"], CLUSTER)
    return frame.assign(
        belief_between=split["z_belief_between"].to_numpy(), belief_within=split["z_belief_within"].to_numpy()
    )


def rung(sample: Common, response: str, outcome: str, months: int | None, name: str, role: str) -> Rows:
    """Return ratio, difference and the two risks of the two highest against the two lowest answers, on one rung."""
    wanted = (
        ("belief_top_vs_bottom", "risk_ratio", "ratio[top / bottom]", role),
        ("belief_top_vs_bottom", "risk_difference", "difference[top - bottom]", "secondary"),
        ("belief_top_two", "risk", "risk[top]", "secondary"),
        ("belief_bottom_two", "risk", "risk[bottom]", "secondary"),
    )
    adjustment = sample.rungs[name]
    fit, risks = None, None
    if adjustment is not None:
        fit = attempt(lambda: binary(sample.frame, response, GROUPS, adjustment))
        risks = None if fit is None else attempt(lambda: standardise(fit, sample.frame, None, ENDS))
    tidy = None if risks is None else risks.tidy()
    rows: Rows = []
    for contrast, scale, term, own_role in wanted:
        label = Label(NAME, contrast, scale, outcome, "belief", months, name, own_role)
        made = Number(n=len(sample.frame)) if tidy is None else from_tidy(tidy, term, fit)
        rows.append((label, made))
    return rows


def contrasts(sample: Common, response: str, outcome: str, months: int | None) -> Rows:
    """Return the other contrasts of the answer, adjusted as the primary estimand, each with the risk it starts from.

    The two highest against all other answers, one step (of each questionnaire), one standard deviation, and one
    standard deviation within and between caseworkers.
    """
    frame, adjustment = sample.frame, sample.rungs[MAIN] or []
    given = (outcome, months)
    halves = {"low": 0.0, "high": 1.0}
    rows = _two(frame, response, ["belief_top"], {"belief_top": halves}, adjustment, given, "optimistic_vs_pessimistic")
    rows += _steps(frame, response, adjustment, given)
    around = {"low": -0.5, "high": 0.5}
    rows += _two(frame, response, ["z_belief"], {"z_belief": around}, adjustment, given, "per_sd")
    parts = ["belief_within", "belief_between"]
    for column, called in zip(parts, ("within_caseworkers", "between_caseworkers"), strict=True):
        rest = next(other for other in parts if other != column)
        values: dict[str, Mapping[str, float | None]] = {column: around, rest: {"low": None, "high": None}}
        rows += _two(frame, response, parts, values, adjustment, given, called)
    return rows


def _steps(frame: pd.DataFrame, response: str, adjustment: list[str], given: tuple[str, int | None]) -> Rows:
    """Return the contrast of one step of the answer, for each questionnaire that was used."""
    rows: Rows = []
    for name in sorted(set(frame["instrument"].dropna())) or [""]:
        part = frame[frame["instrument"] == name] if name else frame
        step = _step(name)
        steps = part.assign(belief_steps=part["belief"] / step - (part["belief"] / step).mean())
        values = {"belief_steps": {"low": -0.5, "high": 0.5}}
        rows += _two(steps, response, ["belief_steps"], values, adjustment, given, "one_step", name or "belief")
    return rows


def _step(name: str) -> float:
    """Return one step of the belief answer on the scale 0 to 100."""
    items = {item.id: item for item in (schema.instrument(name) if name else schema.instrument()).items}
    item = items.get(BELIEF)
    return math.nan if item is None else 100.0 / (item.maximum - item.minimum)


def _two(
    frame: pd.DataFrame,
    response: str,
    exposure: list[str],
    values: Mapping[str, Mapping[str, float | None]],
    adjustment: list[str],
    given: tuple[str, int | None],
    called: str,
    term: str = "belief",
) -> Rows:
    """Return ratio and difference of two settings, and the risk at the lower one."""
    fit = attempt(lambda: binary(frame, response, exposure, adjustment))
    settings: dict[str, Any] = {
        end: {column: value[end] for column, value in values.items()} for end in ("low", "high")
    }
    risks = None if fit is None else attempt(lambda: standardise(fit, frame, None, settings))
    tidy = None if risks is None else risks.tidy()
    rows: Rows = []
    for contrast, scale, name in (
        (f"belief_{called}", "risk_ratio", "ratio[high / low]"),
        (f"belief_{called}", "risk_difference", "difference[high - low]"),
        (f"belief_{called}_from", "risk", "risk[low]"),
    ):
        label = Label(NAME, contrast, scale, given[0], term, given[1], MAIN)
        rows.append((label, Number(n=len(frame)) if tidy is None else from_tidy(tidy, name, fit)))
    return rows


def sensitivity(sample: Common, found: Rows, response: str, outcome: str, months: int | None) -> Rows:
    """Return how strong an unmeasured confounder of the primary contrast would have to be.

    The E-value of the primary ratio and of the limit nearer to one, and Oster's delta for one standard deviation of
    the answer in linear models without and with the covariates of the primary estimand.
    """
    from bipstudy import models

    main = next(number for label, number in found if label.role == "primary")
    value, limit = math.nan, math.nan
    if math.isfinite(main.estimate) and main.estimate > 0:
        table = models.e_value(main.estimate, main.conf_low, main.conf_high)
        value, limit = float(table["estimate"].iloc[0]), float(table["limit"].iloc[0])
    numbers = {"e_value": value, "e_value_limit": limit, "oster_delta": _delta(sample, response)}
    size = max(main.n, 1)
    return [
        (Label(NAME, f"belief_{name}", "other", outcome, "belief", months, MAIN), Number(number, n=size))
        for name, number in numbers.items()
    ]


def _delta(sample: Common, response: str) -> float:
    """Return Oster's delta: selection on what is not measured, relative to what is, that would leave nothing."""
    from bipstudy import models

    known = sample.frame[sample.frame["y_known"].to_numpy(dtype=bool) & sample.frame["z_belief"].notna().to_numpy()]
    if len(known) < 3:
        return math.nan
    y, z, w = (known[name].to_numpy(dtype=np.float64) for name in (response, "z_belief", "ipcw"))
    controls = known[sample.rungs[MAIN] or []].to_numpy(dtype=np.float64)
    if np.ptp(y) == 0.0 or np.ptp(z) == 0.0 or len(known) <= controls.shape[1] + 2:
        return math.nan
    ones = np.ones((len(y), 1))
    short, short_fit = _weighted_fit(np.column_stack([z, ones]), y, w)
    long, long_fit = _weighted_fit(np.column_stack([z, ones, controls]), y, w)
    _, treatment_fit = _weighted_fit(np.column_stack([ones, controls]), z, w)
    whole = float(np.average((z - np.average(z, weights=w)) ** 2, weights=w))
    delta = attempt(
        lambda: models.oster_delta(
            short=short,
            short_r_squared=short_fit,
            long=long,
            long_r_squared=long_fit,
            max_r_squared=min(1.3 * long_fit, 1.0),
            outcome_variance=float(np.average((y - np.average(y, weights=w)) ** 2, weights=w)),
            exposure_variance=whole,
            exposure_residual_variance=whole * (1.0 - treatment_fit),
        )
    )
    return math.nan if delta is None else delta


def _weighted_fit(matrix: Any, response: Any, weights: Any) -> tuple[float, float]:
    """Return the first coefficient of weighted least squares, and R squared."""
    root = np.sqrt(weights)
    slopes = np.linalg.lstsq(matrix * root[:, None], response * root, rcond=1e-10)[0]
    centred = response - np.average(response, weights=weights)
    left = response - matrix @ slopes
    return float(slopes[0]), 1.0 - float(weights @ left**2) / float(weights @ centred**2)


def ladder_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rungs: risks, ratio and difference of the two highest against the two lowest answers."""
    rows = []
    for outcome in dict.fromkeys(found.loc[found["contrast"] == "belief_top_vs_bottom", "outcome"]):
        for name in RUNGS:
            own = found[(found["outcome"] == outcome) & (found["adjustment"] == name)]
            cells = {"outcome_key": f"analyses.outcome.{outcome}", "adjustment_key": f"analyses.rung.{name}"}
            numbers: dict[str, float] = {}
            for part, contrast, scale in (
                ("bottom", "belief_bottom_two", "risk"),
                ("top", "belief_top_two", "risk"),
                ("difference", "belief_top_vs_bottom", "risk_difference"),
                ("ratio", "belief_top_vs_bottom", "risk_ratio"),
            ):
                row = own[(own["contrast"] == contrast) & (own["scale"] == scale)].iloc[0]
                numbers[part] = row["estimate"]
                if part in ("difference", "ratio"):
                    numbers |= {f"{part}_low": row["conf_low"], f"{part}_high": row["conf_high"]}
            rows.append({**cells, **numbers, "n": int(own["n"].max())})
    return pd.DataFrame(rows)


def contrast_table(found: pd.DataFrame, wanted: Sequence[tuple[str, str]], adjustment: str) -> pd.DataFrame:
    """Return contrasts with the risk each starts from.

    Parameters
    ----------
    found : DataFrame
        Estimates.
    wanted : sequence of (str, str)
        Contrast, and the one that holds its risk.
    adjustment : str
    """
    rows = []
    own = found[found["adjustment"] == adjustment]
    for contrast, base in wanted:
        ratios = own[(own["contrast"] == contrast) & (own["scale"] == "risk_ratio")]
        for row in ratios.to_dict("records"):
            same = own[(own["term"] == row["term"]) & (own["outcome"] == row["outcome"])]
            difference = same[(same["contrast"] == contrast) & (same["scale"] == "risk_difference")].iloc[0]
            rows.append(
                {
                    "contrast_key": f"analyses.contrast.{contrast}",
                    "outcome_key": f"analyses.outcome.{row['outcome']}",
                    "from": same.loc[(same["contrast"] == base) & (same["scale"] == "risk"), "estimate"].iloc[0],
                    "difference": difference["estimate"],
                    "difference_low": difference["conf_low"],
                    "difference_high": difference["conf_high"],
                    "ratio": row["estimate"],
                    "ratio_low": row["conf_low"],
                    "ratio_high": row["conf_high"],
                    "n": int(row["n"]),
                }
            )
    names = ["contrast_key", "outcome_key", "from", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=[*names, "ratio", "ratio_low", "ratio_high", "n"])
