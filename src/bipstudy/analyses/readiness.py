"""How well the indicators predict reaching work or study beyond background, and a score made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import resampling
from bipstudy.analyses.common import (
    CLUSTER,
    FlowBook,
    formula,
    outcome_name,
    ready,
    single_threaded,
    whole_months,
    with_answers,
    with_background,
)
from bipstudy.analyses.estimating import Label, Number, attempt, estimates
from bipstudy.analyses.readiness_tables import (
    calibration_table,
    decision_table,
    figures_of,
    performance_table,
    score_tables,
    transport_table,
)
from bipstudy.analyses.result import Result, Sentence
from bipstudy.panel import answer_columns, build_panel
from bipstudy.panel.checks import check_definition
from bipstudy.study import Study

NAME = "readiness"
BELIEF = "c_caseworker_belief"
FOLDS = 10
BOOSTED_FOLDS = 5
# More organisations than this are dealt to as many folds: each is still predicted by others only.
MOST_FOLDS = 20
# What a set of predictors is called -> the blocks that it holds.
SETS: Mapping[str, tuple[str, ...]] = {
    "background": ("background",),
    "participant": ("background", "participant"),
    "caseworker": ("background", "caseworker"),
    "belief": ("background", "belief"),
    "all": ("background", "participant", "caseworker", "belief"),
    "indicators": ("participant", "caseworker", "belief"),
}
# What a gain is called -> the set, and the set that it is held against.
GAINS: Mapping[str, tuple[str, str]] = {
    "prediction_over_background": ("all", "background"),
    "participant_over_background": ("participant", "background"),
    "caseworker_over_background": ("caseworker", "background"),
    "belief_over_background": ("belief", "background"),
    "caseworker_and_belief_over_participant": ("all", "participant"),
}
GROUPINGS: Mapping[str, str] = {"caseworker": "fold_caseworker", "organisation": "fold_organisation"}
# Not a property of the person: it cannot be taken to another organisation.
OF_THE_PLACE = ("bg_organisation_id", "bg_outcome_follow_up")


@dataclass(frozen=True)
class Sample:
    """What the predictions are made from.

    Attributes
    ----------
    frame : DataFrame
        Rows whose outcome is known, in an order that labels of people and places do not decide.
    blocks : dict of str to list of str
        Columns of each block of predictors.
    """

    frame: pd.DataFrame
    blocks: dict[str, list[str]]

    def columns(self, name: str) -> list[str]:
        """Return the columns of a set of predictors."""
        return [column for block in SETS[name] for column in self.blocks[block]]


@dataclass(frozen=True)
class Predicted:
    """Risks of rows that took no part in the fit, and the fold in which each was left out; arrays of shape (n,)."""

    risk: npt.NDArray[np.float64]
    fold: npt.NDArray[np.int64]


@single_threaded
def readiness(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer how well the indicators predict reaching work or study, beyond register background.

    Estimand: gain in the cross-validated area under the curve (the chance that of two left out together, who makes the
    transition has the higher predicted risk) when both respondents' answers and the belief are added to background.
    Pairs are compared within folds only: across them, a useless prediction falls short of one half. Population: first
    measurements with answers of both respondents, followed to the horizon (weighted for those who are not). Danish
    finding: R14, met by the gain for work. Models: ridge logits whose penalty is chosen inside the rows that are
    fitted, and boosted trees; folds of whole caseworkers, and then of whole organisations; errors by influence
    functions clustered by caseworker. Beside it: each respondent alone, calibration, Brier skill, decision curve, a
    score and its transport. Cannot show: what brings work about, or how the score would do once people know of it;
    the intervals take the fitted predictions as they are.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.
    horizon_months : float
    washout_days : int

    Returns
    -------
    Result
        Tables ``performance, calibration, decision, score_weights, score_risk, transport``; figures ``auc,
        calibration, decision``.

    Raises
    ------
    BipstudyError
        No outcomes were sent.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.readiness(bip.load_example())
    >>> result.primary()["contrast"].tolist()
    ['prediction_over_background']
    """
    check_definition(study, outcome)
    panel = build_panel(study, outcome=outcome, horizon_months=horizon_months, washout_days=washout_days)
    book = FlowBook(NAME, panel.attrs["flow"], ready(panel))
    sample = _sample(book, book.keep("first_only", panel["first_measurement"]))
    months, named = whole_months(horizon_months), outcome_name(outcome)
    predictions = {(grouping, name): _predict(sample, name, "y", grouping) for grouping in GROUPINGS for name in SETS}
    boosted = _predict(sample, "all", "y", "caseworker", "boosted")
    rows: list[tuple[Label, Number]] = []
    for grouping in GROUPINGS:
        own = {name: predictions[grouping, name] for name in SETS}
        rows += _of_grouping(sample, own, (named, months, f"folds_{grouping}"))
    rows += _of_boosted(sample, boosted, predictions["caseworker", "all"], (named, months, "folds_caseworker"))
    rows.append(_work(sample, outcome, named, months))
    found = estimates(rows)
    tables = _tables(sample, found, predictions)
    return Result(
        name=NAME,
        estimates=found,
        tables=tables,
        figures=figures_of(found, tables),
        flow=book.finish("first_rows"),
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.readiness.note_prediction"),
            Sentence("analyses.readiness.note_register"),
            Sentence("analyses.readiness.note_both", {"n": len(sample.frame)}),
            Sentence("analyses.readiness.note_fixed"),
            Sentence("analyses.readiness.note_score"),
            Sentence("analyses.note_missing_answers"),
        ),
    )


def primaries(study: Study, panel: pd.DataFrame | None = None) -> list[tuple[Label, Number]]:
    """Return the primary estimate and nothing else, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study
    panel : DataFrame, optional
        The study's panel, if there is one already.

    Returns
    -------
    list of (Label, Number)
    """
    panel = build_panel(study) if panel is None else panel
    book = FlowBook(NAME, panel.attrs["flow"], ready(panel))
    sample = _sample(book, book.keep("first_only", panel["first_measurement"]))
    contrast = "prediction_over_background"
    full, short = (_predict(sample, name, "y", "caseworker") for name in GAINS[contrast])
    gain = None if full is None or short is None else _performance(sample, "y", full, short)
    label = Label(NAME, contrast, "auc", outcome_name("primary"), "", 12, "folds_caseworker", "primary")
    return [(label, _gain(sample, gain, full, short))]


def _gain(sample: Sample, gain: Any, full: Predicted | None, short: Predicted | None) -> Number:
    """Return a gain in the area under the curve."""
    return _number(sample, gain, "auc", *(each for each in (full, short) if each is not None))


def _sample(book: FlowBook, frame: pd.DataFrame) -> Sample:
    """Return the first measurements that both answered and that were followed, with every predictor."""
    answers = [(column, who) for column, who, _ in answer_columns() if column in frame]
    own = [column for column, who in answers if who == "participant"]
    theirs = [column for column, who in answers if who == "caseworker" and column != BELIEF]
    given = [frame[columns].notna().any(axis=1) for columns in (own, [*theirs, BELIEF])]
    frame = book.keep("not_both", given[0] & given[1])
    frame = book.keep("not_followed", frame["y_known"])
    frame, background = with_background(frame)
    blocks = {"background": [name for name in background if not name.startswith(OF_THE_PLACE)]}
    for name, columns in (("participant", own), ("caseworker", theirs), ("belief", [BELIEF])):
        frame, blocks[name] = with_answers(frame, columns, f"x_{name}")
    return Sample(_ordered(frame, [column for block in blocks.values() for column in block]), blocks)


def _ordered(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows in an order, and groups with numbers, that come from the answers and not from labels.

    Folds are dealt by these numbers, and trees break ties by the order of rows: new labels must change neither.
    """
    # Means were taken in another order of rows: the last digits must not decide either.
    frame = frame.assign(**{column: frame[column].round(9) for column in columns})
    added = {}
    for name, group in (("fold_caseworker", CLUSTER), ("fold_organisation", "organisation_id")):
        sums = frame.groupby(group, sort=True)[[*columns, "y"]].sum().round(6)
        sizes = frame.groupby(group, sort=True).size().to_numpy()
        order = np.lexsort([*sums.to_numpy().T[::-1], sizes])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        added[name] = frame[group].map(dict(zip(sums.index, rank, strict=True))).astype("int64")
    frame = frame.assign(**added)
    keys = [frame[column].to_numpy(dtype=np.float64) for column in ("y_work", "y", *columns[::-1], "fold_caseworker")]
    return frame.iloc[np.lexsort(keys)].reset_index(drop=True)


def _predict(sample: Sample, name: str, response: str, grouping: str, model: str = "ridge") -> Predicted | None:
    """Return the risk of each row as predicted from other caseworkers or organisations; None if it cannot be."""
    from bipstudy import models

    group, frame = GROUPINGS[grouping], sample.frame
    groups = frame[group].nunique()
    folds = min((BOOSTED_FOLDS if model == "boosted" else FOLDS) if grouping == "caseworker" else MOST_FOLDS, groups)
    columns = sample.columns(name)
    found = attempt(
        lambda: models.cross_validate(
            frame[[response, *columns, group, "ipcw"]],
            formula(response, columns),
            group,
            model=model,
            folds=folds,
            weights="ipcw",
        )
    )
    if found is None:
        return None
    return Predicted(found.predictions.to_numpy(dtype=np.float64), found.folds.to_numpy(dtype=np.int64, na_value=-1))


def _performance(sample: Sample, response: str, prediction: Predicted, other: Predicted | None = None) -> Any:
    """Return the measures of a prediction, or of the difference of two; None if they cannot be made."""
    from bipstudy import models

    frame = sample.frame
    # Two ways of leaving out are compared on rows that lie together in both.
    strata = prediction.fold if other is None else prediction.fold * (1 + other.fold.max()) + other.fold
    return attempt(
        lambda: models.prediction_performance(
            frame[response],
            prediction.risk,
            None if other is None else other.risk,
            cluster=frame[CLUSTER].to_numpy(dtype=object),
            weights=frame["ipcw"],
            strata=strata,
        )
    )


def _number(sample: Sample, performance: Any, measure: str, *predictions: Predicted) -> Number:
    """Return one measure as a number, with what resamples it where the predictions that it compares are given."""
    if performance is None:
        return Number(n=len(sample.frame))
    row = performance.tidy().set_index("term").loc[measure]
    resample = None
    if predictions:
        # The rows that the influences are of: those with every prediction, in order.
        known = ~np.any([np.isnan(each.risk) for each in predictions], axis=0) & (sample.frame["ipcw"] > 0).to_numpy()
        known &= sample.frame["y"].notna().to_numpy()
        influence = performance.influence[:, performance.terms.index(measure)]
        resample = resampling.of_rows(
            float(row["estimate"]), influence, sample.frame.loc[known, CLUSTER].to_numpy(dtype=object)
        )
    return Number(
        float(row["estimate"]),
        float(row["std_error"]),
        float(row["conf_low"]),
        float(row["conf_high"]),
        float(row["p_value"]),
        n=performance.rows,
        events=performance.events,
        clusters=performance.errors.clusters[0],
        resample=resample,
    )


def _of_grouping(
    sample: Sample, predictions: Mapping[str, Any], named: tuple[str, int | None, str]
) -> list[tuple[Label, Number]]:
    """Return discrimination of every set, gains, and calibration of the full set, in one way of leaving out."""
    outcome, months, folds = named
    rows = []
    for name, prediction in predictions.items():
        made = None if prediction is None else _performance(sample, "y", prediction)
        label = Label(NAME, f"auc_{name}", "auc", outcome, "", months, folds)
        rows.append((label, _number(sample, made, "auc")))
        if name in ("background", "all"):
            for measure, scale in (
                ("calibration_slope", "other"),
                ("calibration_difference", "risk_difference"),
                ("brier_skill", "other"),
            ):
                label = Label(NAME, f"{measure}_{name}", scale, outcome, "", months, folds)
                rows.append((label, _number(sample, made, measure)))
    for contrast, (more, less) in GAINS.items():
        full, short = predictions[more], predictions[less]
        gain = None if full is None or short is None else _performance(sample, "y", full, short)
        main = (contrast, folds) == ("prediction_over_background", "folds_caseworker")
        role = "primary" if main else "secondary"
        label = Label(NAME, contrast, "auc", outcome, "", months, folds, role)
        rows.append((label, _gain(sample, gain, full, short)))
    return rows


def _of_boosted(
    sample: Sample, boosted: Any, linear: Any, named: tuple[str, int | None, str]
) -> list[tuple[Label, Number]]:
    """Return discrimination of the boosted trees, and their gain over the ridge logit."""
    outcome, months, folds = named
    made = None if boosted is None else _performance(sample, "y", boosted)
    gain = None if boosted is None or linear is None else _performance(sample, "y", boosted, linear)
    return [
        (Label(NAME, "auc_boosted", "auc", outcome, "", months, folds), _number(sample, made, "auc")),
        (Label(NAME, "boosted_over_linear", "auc", outcome, "", months, folds), _number(sample, gain, "auc")),
    ]


def _work(sample: Sample, outcome: str, named: str, months: int | None) -> tuple[Label, Number]:
    """Return the gain for work, which the Danish finding is about."""
    full, short = (_predict(sample, name, "y_work", "caseworker") for name in ("all", "background"))
    gain = None if full is None or short is None else _performance(sample, "y_work", full, short)
    label = Label(
        NAME, "prediction_over_background", "auc", "work" if outcome == "primary" else f"{named}:work", "", months,
        "folds_caseworker", benchmark="R14" if outcome == "primary" else "",
    )  # fmt: skip
    return label, _gain(sample, gain, full, short)


def _tables(sample: Sample, found: pd.DataFrame, predictions: Mapping[tuple[str, str], Any]) -> dict[str, pd.DataFrame]:
    """Return every table."""
    risks = {key: None if each is None else each.risk for key, each in predictions.items()}
    both = {name: risks["caseworker", name] for name in ("background", "all")}
    # With one organisation only, the score is tried on other caseworkers.
    abroad = risks["organisation", "indicators"]
    tried = risks["caseworker", "indicators"] if abroad is None else abroad
    blocks = {name: sample.blocks[name] for name in SETS["indicators"]}
    weights, by_score = score_tables(sample.frame, blocks, tried)
    return {
        "performance": performance_table(found, [*SETS]),
        "calibration": calibration_table(sample.frame, both["all"]),
        "decision": decision_table(sample.frame, both),
        "score_weights": weights,
        "score_risk": by_score,
        "transport": transport_table(sample.frame, risks["organisation", "all"]),
    }
