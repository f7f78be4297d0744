"""Change in the indicators, and the transition that follows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import (
    CLUSTER,
    FlowBook,
    formula,
    imputed,
    outcome_name,
    ready,
    single_threaded,
    standardised,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, mean
from bipstudy.analyses.intermediate import (
    EFFECTS,
    ITEM_CONTRASTS,
    by_indicator,
    differences,
    hazard,
    items_table,
    numbers,
    ratios,
    score,
)
from bipstudy.analyses.levels import mean_of
from bipstudy.analyses.quarters import at_rows, earlier, every_occasion, item_columns, observed_again, scores, units
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import build_panel
from bipstudy.panel.assembly import Parts, read_parts
from bipstudy.panel.checks import check_definition
from bipstudy.panel.days import DAYS_PER_MONTH, days_of_months, first_days
from bipstudy.study import Study

NAME = "progression"
MONTHS = 3
WASHOUT_DAYS = 30
# A change of less than half a standard deviation is none.
STEP = 0.5
CHANGE = "z_progression_before"
LEVEL_AT_START = ("z_start_p", "start_p_missing")
# Who is followed so long after an occasion, half a quarter beyond the next one's due day, could have answered again.
COULD_ANSWER_DAYS = days_of_months(4.5)


@single_threaded
def progression(study: Study, *, outcome: str = "primary", washout_days: int = 30) -> Result:
    """Answer whether a change in the indicators goes with the transition, and which are valid intermediate outcomes.

    Estimand: hazard ratio of the transition in the quarter that follows (from the wash-out after the occasion, three
    months) per standard deviation of quarterly change in the participant's answers, over an interval that has ended;
    adjusted for the level at the beginning of that interval, background and time in the programme. Population:
    occasions with an answered one before them, followed from the wash-out on. Danish finding: R17, as context: met by
    the number of indicators that both predict work (hazard ratio of change above one) and rise more after an interval
    with an activity, both after Holm's correction over the indicators, with a bootstrap interval over caseworkers (one
    step, the correction made anew in each resample). Models: discrete hazard (complementary log-log)
    with censoring weights, errors clustered by caseworker and participant.

    Beside it: without adjustment and without the level; change in categories; the caseworker's answers and how far they
    lie from the participant's; weighted for who answers again; each indicator, with the background as one number, its
    part of the model's prediction. Participant, caseworker and quarter
    effects are absorbed for outcomes that can recur only: progression, and the months in work or study after an
    occasion, those after the first transition too; on rows that end at the transition they would be biased.

    Regression to the mean: who answers low by chance rises. The level at the beginning takes that away, but since
    answers are fallible, the later answer also tells of the stable level, so a ratio above one may arise without real
    change; without the level such change goes with nothing. Both are shown. Cannot show: what raising an answer would
    bring about.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    washout_days : int

    Returns
    -------
    Result
        Tables ``indicators``, ``change`` and ``models``; figures ``models`` and ``indicators``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.progression(bip.load_example())
    >>> result.primary()[["contrast", "scale"]].values.tolist()
    [['change_per_sd', 'hazard_ratio']]
    """
    definition = check_definition(study, outcome)
    horizon = MONTHS + washout_days / DAYS_PER_MONTH
    panel = build_panel(study, outcome=outcome, horizon_months=horizon, washout_days=washout_days)
    parts = read_parts(study, definition, "first_measurement")
    values = scores(parts)
    everybody, background = with_background(_exposures(ready(panel), parts, values))
    everybody = _with_weights(everybody, parts, background)
    book = FlowBook(NAME, panel.attrs["flow"], everybody)
    frame = book.keep("no_ended_interval", everybody["progression_before"].notna())
    frame = _standardise(frame)
    named = outcome_name(outcome)
    work = "work" if outcome == "primary" else f"{named}:work"
    answered = everybody[everybody["progression"].notna()].reset_index(drop=True)
    occasions = every_occasion(study, parts, outcome, values)
    frame, fits = _with_scores(frame, background)
    rows = _hazards(frame, background, named, work, fits)
    rows += _change_itself(answered, background)
    rows += _within(answered, occasions)
    benchmark = "R17" if outcome == "primary" else ""
    rows += by_indicator(frame, answered, occasions, background, NAME, (named, work), benchmark)
    found = estimates(rows)
    further = FlowBook("answered_again", (), everybody)
    further.begin("occasions_at_risk")
    further.keep("no_next_answer", everybody["progression"].notna())
    items = items_table(found, work)
    return Result(
        name=NAME,
        estimates=found,
        tables={"indicators": items, "change": _by_change(frame), "models": _models(found)},
        figures=_figures(found, work),
        flow=pd.concat(
            [book.finish("ended_intervals"), further.finish("occasions_with_next")],
            ignore_index=True,
        ),
        settings={"days": washout_days},
        remarks=(
            Sentence("analyses.progression.note_mean"),
            Sentence("analyses.progression.note_dropout", {"share": len(answered) / max(len(everybody), 1)}),
            Sentence("analyses.progression.note_effects"),
            Sentence("analyses.progression.note_valid", {"n": len(frame)}),
            Sentence("analyses.indicators.note_resamples"),
            Sentence("analyses.progression.note_association"),
        ),
    )


def primaries(study: Study) -> list[tuple[Label, Number]]:
    """Return the primary estimate and nothing else, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of (Label, Number)
    """
    frame, terms = primary_sample(study)
    fit, nothing = hazard(frame, "y", [CHANGE], terms, frame["ipcw"])
    label = _label("change_per_sd", outcome_name("primary"), "background_level", "primary", CHANGE)
    return [(label, numbers(fit, [CHANGE], nothing, ratio=True)[0])]


def primary_sample(study: Study) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the primary estimand, and what is adjusted for."""
    panel = build_panel(study, horizon_months=MONTHS + WASHOUT_DAYS / DAYS_PER_MONTH, washout_days=WASHOUT_DAYS)
    parts = read_parts(study, check_definition(study, "primary"), "first_measurement")
    everybody, background = with_background(_exposures(ready(panel), parts, scores(parts)))
    frame = _standardise(everybody[everybody["progression_before"].notna()].reset_index(drop=True))
    return frame, ["months_since_entry", *background, *LEVEL_AT_START]


def _exposures(frame: pd.DataFrame, parts: Parts, values: dict[str, Any]) -> pd.DataFrame:
    """Add levels now and at the occasion before, changes and disagreement, all in standard deviations, readier up."""
    place, unit = at_rows(frame, parts), units(parts)
    added: dict[str, Any] = {**item_columns(frame, parts, values)}
    for name in ("p", "c"):
        added[f"level_{name}"] = values[f"level_{name}"][place]
        added[f"start_{name}"] = earlier(values[f"level_{name}"], parts)[place]
    moved = [unit[name] * frame[f"{name}_change_before"].to_numpy(np.float64) for name in unit if name.startswith("c_")]
    added["moved_c"] = mean_of(moved, len(frame))
    pairs = [(f"c_{name[2:]}", name) for name in unit if name.startswith("p_") and f"c_{name[2:]}" in unit]
    gaps = [values[theirs][place] - values[own][place] for theirs, own in pairs]
    added["caseworker_above"] = mean_of(gaps, len(frame))
    added["apart"] = mean_of([np.abs(gap) for gap in gaps], len(frame))
    added["active"] = (frame["activity"] != "none").astype(float).where(frame["activity"].notna()).to_numpy(np.float64)
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)


def _with_weights(frame: pd.DataFrame, parts: Parts, background: list[str]) -> pd.DataFrame:
    """Add weights for answering again: `again_own` for the interval that begins, `again` for the one that has ended.

    Asked are those who, half a quarter after the next measurement is due, are still followed, in the programme and
    without a transition, and those who answered again.
    """
    from bipstudy import models

    person = pd.Index(parts.coded.labels).get_indexer(frame["participant"]).astype(np.int64)
    late = frame["answered_on"].to_numpy(dtype="datetime64[D]").astype(np.int64) + COULD_ANSWER_DAYS
    left = first_days(parts.coded.participants, "left_on")[person]
    observed = frame["progression"].notna().to_numpy(dtype=bool)
    there = (parts.follow_up.transition[person] > late) & (parts.follow_up.end[person] >= late) & (left > late)
    asked = (observed | there) & frame["level_p"].notna().to_numpy(dtype=bool)
    terms = ["level_p", "months_since_entry", *background]
    used = frame.loc[asked, terms].assign(observed=observed[asked].astype(float))
    fit = attempt(lambda: models.discrete_hazard(used, formula("observed", terms), link="logit"))
    probability = np.full(len(frame), np.nan)
    if fit is not None:
        probability[asked] = fit.predict(used)
    own = observed_again(observed=observed, probability=probability)
    before = pd.DataFrame({"own": own, "change": frame["progression"].to_numpy()}).groupby(person).shift()
    # The row before is the occasion before only if its change is the one that ended here.
    same = before["change"].to_numpy(np.float64) == frame["progression_before"].to_numpy(np.float64)
    return frame.assign(again_own=own, again=np.where(same, before["own"], 1.0))


def _standardise(frame: pd.DataFrame) -> pd.DataFrame:
    """Add change and levels in standard deviations of the rows analysed; a missing level at the start is the mean."""
    added: dict[str, Any] = {}
    for name in ("progression_before", "moved_c", "level_p", "start_p", "start_c", "caseworker_above", "apart"):
        z = standardised(frame[name].to_numpy(dtype=np.float64))
        added[f"z_{name}"] = np.full(len(frame), np.nan) if z is None else z
    for name in ("start_p", "start_c"):
        added[f"z_{name}"], missing = imputed(added[f"z_{name}"])
        added[f"{name}_missing"] = missing.astype(float)
    change = frame["progression_before"].to_numpy(dtype=np.float64)
    spread = float(np.std(change, ddof=1)) if len(change) > 1 else np.nan
    added["fell"] = (change <= -STEP * spread).astype(float)
    added["rose"] = (change >= STEP * spread).astype(float)
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)


def _with_scores(frame: pd.DataFrame, background: list[str]) -> tuple[pd.DataFrame, dict[str, tuple[Any, Number]]]:
    """Add the background's part of the prediction of each response, and return the models it is of."""
    terms = ["months_since_entry", *background, *LEVEL_AT_START]
    fits = {response: hazard(frame, response, [CHANGE], terms, frame["ipcw"]) for response in ("y", "y_work")}
    added = {f"score_{response}": score(fit, frame, background) for response, (fit, _) in fits.items()}
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1), fits


def _hazards(
    frame: pd.DataFrame, background: list[str], named: str, work: str, fits: dict[str, tuple[Any, Number]]
) -> list[tuple[Label, Number]]:
    """Return every hazard ratio of change and level, all indicators together."""
    alone = ["months_since_entry", *background]
    full = [*alone, *LEVEL_AT_START]
    theirs = [*alone, "z_start_c", "start_c_missing"]
    # Contrast, exposure, adjusted for, in words, weights.
    further: list[tuple[str, str, list[str], str, str]] = [
        ("change_per_sd", CHANGE, [], "raw", "ipcw"),
        ("change_per_sd", CHANGE, alone, "background", "ipcw"),
        ("change_per_sd", CHANGE, full, "answers_again", "again"),
        ("level_per_sd", "z_level_p", alone, "background", "ipcw"),
        ("caseworker_change_per_sd", "z_moved_c", theirs, "background_level", "ipcw"),
        ("caseworker_above_per_sd", "z_caseworker_above", [*alone, "z_level_p"], "background_level", "ipcw"),
        ("apart_per_sd", "z_apart", [*alone, "z_level_p"], "background_level", "ipcw"),
    ]
    rows = []
    for response, called, role in (("y", named, "primary"), ("y_work", work, "secondary")):
        fit, nothing = fits[response]
        number = numbers(fit, [CHANGE], nothing, ratio=True)[0]
        rows.append((_label("change_per_sd", called, "background_level", role, CHANGE), number))
    for contrast, exposure, terms, adjustment, weight in further:
        weights = frame["ipcw"] * frame["again"] if weight == "again" else frame["ipcw"]
        number = ratios(frame, "y", [exposure], terms, weights)[0]
        rows.append((_label(contrast, named, adjustment, "secondary", exposure), number))
    categories = ("fell", "rose")
    found = ratios(frame, "y", [*categories], full, frame["ipcw"])
    labels = [_label(f"{name}_against_same", named, "background_level", "secondary", name) for name in categories]
    return [*rows, *zip(labels, found, strict=True)]


def _label(contrast: str, called: str, adjustment: str, role: str, term: str) -> Label:
    """Return the label of a hazard ratio in the quarter that follows."""
    return Label(NAME, contrast, "hazard_ratio", called, term, MONTHS, adjustment, role)


def _change_itself(answered: pd.DataFrame, background: list[str]) -> list[tuple[Label, Number]]:
    """Return mean change per quarter, weighted for who answers again, and how it falls with the level it begins at."""
    change = answered["progression"].to_numpy(dtype=np.float64)
    clusters = answered[CLUSTER].to_numpy(dtype=object)
    weights = answered["again_own"].to_numpy(dtype=np.float64)
    z = standardised(answered["level_p"].to_numpy(dtype=np.float64))
    used = answered.assign(z=np.nan if z is None else z)
    slope = differences(used, "progression", ["z"], ["months_since_entry", *background])[0]
    return [
        (_of_change("mean_change", "raw"), mean(values=change, clusters=clusters)),
        (_of_change("mean_change", "answers_again"), mean(values=change, weights=weights, clusters=clusters)),
        (_of_change("level_per_sd", "background"), slope),
    ]


def _of_change(contrast: str, adjustment: str) -> Label:
    """Return the label of an estimate of progression itself."""
    return Label(NAME, contrast, "sd", "progression", "progression", None, adjustment)


def _within(answered: pd.DataFrame, occasions: pd.DataFrame) -> list[tuple[Label, Number]]:
    """Return what holds within participants, caseworkers and quarters, for outcomes that recur."""
    z = standardised(occasions["level_p"].to_numpy(dtype=np.float64))
    later = occasions.assign(z=np.nan if z is None else z)
    risen = differences(answered, "progression", ["active"], [], effects=True)[0]
    months = differences(later, "months_in_work_or_study", ["z"], [], effects=True)[0]
    return [
        (Label(NAME, "after_activity", "sd", "progression", "active", None, EFFECTS), risen),
        (Label(NAME, "level_per_sd", "risk_difference", "months_in_work_or_study", "level", None, EFFECTS), months),
    ]


def _by_change(frame: pd.DataFrame) -> pd.DataFrame:
    """Return intervals and transitions in the quarter that follows, unadjusted, by what the answers did."""
    rows = []
    same = 1.0 - frame["fell"] - frame["rose"]
    for name, chosen in (("fell", frame["fell"]), ("same", same), ("rose", frame["rose"])):
        part = frame[chosen.to_numpy() > 0]
        known = part[part["y_known"]]
        weighted = float((known["ipcw"] * known["y"]).sum() / known["ipcw"].sum()) if len(known) else np.nan
        rows.append(
            {
                "change_key": f"analyses.change.{name}",
                "intervals": len(part),
                "participants": int(part["participant"].nunique()),
                "any": int(known["y"].sum()),
                "share": weighted,
            }
        )
    return pd.DataFrame(rows)


def _models(found: pd.DataFrame) -> pd.DataFrame:
    """Return every hazard ratio of all indicators together."""
    overall = (found["scale"] == "hazard_ratio") & ~found["contrast"].isin(ITEM_CONTRASTS)
    rows = found[overall]
    return pd.DataFrame(
        {
            "outcome_key": "analyses.outcome." + rows["outcome"],
            "contrast_key": "analyses.contrast." + rows["contrast"],
            "adjustment_key": "analyses.adjustment." + rows["adjustment"],
            **{name: rows[name].to_numpy() for name in ("estimate", "conf_low", "conf_high", "n", "events")},
        }
    ).reset_index(drop=True)


def _figures(found: pd.DataFrame, work: str) -> dict[str, FigureSpec]:
    """Return the hazard ratios of change and level together, and of change in each indicator."""
    ratio = found[found["scale"] == "hazard_ratio"].dropna(subset=["estimate", "conf_low"])
    items = ratio["contrast"].isin(ITEM_CONTRASTS)
    together = ratio[~items]
    single = ratio[(ratio["contrast"] == "item_change_per_sd") & (ratio["outcome"] == work)]
    figures = {}
    options = {"axis_label_key": "analyses.axis.hazard_ratio"}
    if len(together):
        frame = together[["estimate", "conf_low", "conf_high"]].reset_index(drop=True)
        frame.insert(0, "label_key", ("analyses.contrast." + together["contrast"]).to_numpy())
        frame.insert(1, "group_key", ("analyses.adjustment." + together["adjustment"]).to_numpy())
        # Rows of one adjustment stand together, and work has a figure of its own.
        order = {key: place for place, key in enumerate(dict.fromkeys(frame["group_key"]))}
        frame = frame[(together["outcome"] != work).to_numpy()]
        frame = frame.sort_values("group_key", key=lambda keys: keys.map(order), kind="stable")
        figures["models"] = FigureSpec(
            "forest", frame.reset_index(drop=True), "analyses.progression.figure_models", options
        )
    if len(single):
        frame = single[["estimate", "conf_low", "conf_high"]].copy()
        frame.insert(0, "label_key", "item:" + single["term"])
        frame = frame.sort_values("estimate", ascending=False, kind="stable").reset_index(drop=True)
        figures["indicators"] = FigureSpec("forest", frame, "analyses.progression.figure_indicators", options)
    return figures
