"""Tables and figures of the prediction of work or study: discrimination, calibration, net benefit and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.common import CLUSTER
from bipstudy.analyses.estimating import attempt, share
from bipstudy.analyses.result import FigureSpec

FloatArray = npt.NDArray[np.float64]
# Risks from which one might act on a prediction.
THRESHOLDS = (0.02, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.30)
# The score has mean 50 and standard deviation 10 among those it is made from.
CENTRE, SPREAD = 50.0, 10.0
BANDS = (-np.inf, 40.0, 50.0, 60.0, 70.0, np.inf)
# Half of a five-point scale's range is two steps; one step is a quarter of 0-100.
STEP = 25.0
# With fewer transitions an area under the curve says nothing.
LEAST_EVENTS = 5


def performance_table(found: pd.DataFrame, sets: Sequence[str]) -> pd.DataFrame:
    """Return discrimination, gain over background and calibration by set of predictors and way of leaving out.

    Parameters
    ----------
    found : DataFrame
        Estimates of the analysis.
    sets : sequence of str

    Returns
    -------
    DataFrame
    """
    rows = []
    main = found[found["benchmark"] == ""]
    for folds in dict.fromkeys(main["adjustment"]):
        own = main[(main["adjustment"] == folds) & (main["outcome"] == main["outcome"].iloc[0])].set_index("contrast")
        for name in [*sets, "boosted"]:
            if f"auc_{name}" not in own.index:
                continue
            contrast = "prediction_over_background" if name == "all" else f"{name}_over_background"
            cells: dict[str, Any] = {
                "predictors_key": f"analyses.contrast.auc_{name}",
                "folds_key": f"analyses.adjustment.{folds}",
            }
            for column, key in (("auc", f"auc_{name}"), ("gain", contrast), ("slope", f"calibration_slope_{name}")):
                row = own.loc[key] if key in own.index else None
                for place, end in (("estimate", ""), ("conf_low", "_low"), ("conf_high", "_high")):
                    cells[f"{column}{end}"] = np.nan if row is None else float(row[place])
            rows.append({**cells, "n": int(own.loc[f"auc_{name}", "n"])})
    return pd.DataFrame(rows)


def calibration_table(frame: pd.DataFrame, prediction: FloatArray | None) -> pd.DataFrame:
    """Return predicted and observed shares by tenths of the predicted risk."""
    from bipstudy import models

    columns = ["tenth", "n", "predicted", "observed", "conf_low", "conf_high"]
    curve = None
    if prediction is not None:
        curve = attempt(
            lambda: models.calibration_curve(
                frame["y"], prediction, cluster=frame[CLUSTER].to_numpy(dtype=object), weights=frame["ipcw"]
            )
        )
    if curve is None:
        return pd.DataFrame(columns=columns)
    return curve.assign(tenth=(curve["bin"] + 1).astype(str), n=curve["rows"])[columns]


def decision_table(frame: pd.DataFrame, predictions: Mapping[str, FloatArray | None]) -> pd.DataFrame:
    """Return the net benefit of acting on background and on all predictors, beside acting on everybody."""
    from bipstudy import models

    columns = ["threshold", "everybody", "background", "all", "gain", "gain_low", "gain_high"]
    if any(prediction is None for prediction in predictions.values()):
        return pd.DataFrame(columns=columns)
    cluster = frame[CLUSTER].to_numpy(dtype=object)
    curves = {
        name: models.decision_curve(frame["y"], prediction, THRESHOLDS, cluster=cluster, weights=frame["ipcw"])
        for name, prediction in predictions.items()
    }
    full = curves["all"]
    half = 1.959963984540054 * full["gain_std_error"]
    return pd.DataFrame(
        {
            "threshold": full["threshold"],
            "everybody": full["all"],
            "background": curves["background"]["net_benefit"],
            "all": full["net_benefit"],
            "gain": full["gain"],
            "gain_low": full["gain"] - half,
            "gain_high": full["gain"] + half,
        }
    )


def score_tables(
    frame: pd.DataFrame, blocks: Mapping[str, Sequence[str]], tried: FloatArray | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the weights of the score, and the risk by score where others' answers made the weights.

    Parameters
    ----------
    frame : DataFrame
    blocks : mapping of block to columns
        Answers in standard deviations, and the share that is missing.
    tried : array of shape (n,) or None
        Risks predicted by the answers from others' data.

    Returns
    -------
    weights, risks : DataFrame
        Points per standard deviation of the answer and per quarter of its scale; by band of the score the number of
        people, the mean predicted risk and the observed share.
    """
    from bipstudy.models.penalised import fit_ridge_logit

    columns = [column for block in blocks.values() for column in block]
    empty = (
        pd.DataFrame(columns=["item_key", "respondent_key", "per_sd", "per_step"]),
        pd.DataFrame(columns=["score", "n", "predicted", "observed", "conf_low", "conf_high"]),
    )
    if tried is None or not columns or not np.isfinite(tried).all():
        return empty
    matrix = frame[columns].to_numpy(dtype=np.float64)
    fit = attempt(
        lambda: fit_ridge_logit(
            matrix=matrix,
            response=frame["y"].to_numpy(dtype=np.float64),
            codes=frame["fold_caseworker"].to_numpy(dtype=np.int64),
            weights=frame["ipcw"].to_numpy(dtype=np.float64),
        )
    )
    line = None if fit is None else fit.linear_predictor(matrix)
    if fit is None or line is None or not line.std() > 0:
        return empty
    per_deviation = SPREAD * fit.coefficients / line.std()
    rows = []
    for column, points in zip(columns, per_deviation / fit.scale, strict=True):
        answer = _answer_of(column)
        if answer is not None:
            given = frame[answer].to_numpy(dtype=np.float64)
            deviation = float(np.nanstd(given, ddof=1))
            who = "participant" if answer.startswith("p_") else "caseworker"
            item, respondent = f"item:{answer[2:]}", f"code:respondent:{who}"
            rows.append((item, respondent, float(points), float(points) * STEP / deviation))
    weights = pd.DataFrame(rows, columns=empty[0].columns)
    score = CENTRE + SPREAD * (_logit(tried) - line.mean()) / line.std()
    return weights, _risks(frame, score, tried)


def _answer_of(column: str) -> str | None:
    """Return the answer that a predictor holds, None for the share that is missing."""
    answer = column.removeprefix("x_").split("_", 1)[1]
    return answer if answer.startswith(("p_", "c_")) else None


def _logit(risk: FloatArray) -> FloatArray:
    """Return log odds."""
    inside = np.clip(risk, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _risks(frame: pd.DataFrame, score: FloatArray, predicted: FloatArray) -> pd.DataFrame:
    """Return predicted and observed shares by band of the score."""
    weights, clusters = frame["ipcw"].to_numpy(dtype=np.float64), frame[CLUSTER].to_numpy(dtype=object)
    observed = frame["y"].to_numpy(dtype=np.float64)
    rows = []
    for low, high in pairwise(BANDS):
        inside = (score >= low) & (score < high)
        if not weights[inside].sum() > 0:
            continue
        found = share(values=observed[inside], weights=weights[inside], clusters=clusters[inside])
        band = f"< {high:g}" if np.isinf(low) else f"≥ {low:g}" if np.isinf(high) else f"{low:g}–{high:g}"
        mean = float(np.average(predicted[inside], weights=weights[inside]))
        rows.append((band, int(inside.sum()), mean, found.estimate, found.conf_low, found.conf_high))
    return pd.DataFrame(rows, columns=["score", "n", "predicted", "observed", "conf_low", "conf_high"])


def transport_table(frame: pd.DataFrame, prediction: FloatArray | None) -> pd.DataFrame:
    """Return how well each organisation is predicted from the others."""
    from bipstudy import models

    columns = ["organisation", "n", "events", "predicted", "observed", "auc", "auc_low", "auc_high"]
    if prediction is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for organisation, places in frame.groupby("organisation_id", sort=True).indices.items():
        part, guess = frame.iloc[places], prediction[places]
        events = int(part["y"].sum())
        auc = (np.nan, np.nan, np.nan)
        if min(events, len(part) - events) >= LEAST_EVENTS:
            # An organisation with one caseworker has no error that allows for caseworkers, and so no interval.
            alone = part[CLUSTER].nunique() < 2
            cluster = None if alone else part[CLUSTER].to_numpy(dtype=object)
            made = models.prediction_performance(part["y"], guess, cluster=cluster, weights=part["ipcw"])
            row = made.tidy().set_index("term").loc["auc"]
            auc = float(row["estimate"]), *((np.nan, np.nan) if alone else (row["conf_low"], row["conf_high"]))
        means = np.average(np.column_stack([guess, part["y"]]), weights=part["ipcw"], axis=0)
        rows.append((str(organisation), len(part), events, *means, *auc))
    return pd.DataFrame(rows, columns=columns)


def figures_of(found: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, FigureSpec]:
    """Return the areas under the curve, the calibration and the net benefit."""
    figures = {}
    areas = found[found["contrast"].str.startswith("auc_")].dropna(subset=["estimate", "conf_low"])
    areas = areas.sort_values("adjustment", kind="stable")
    if len(areas):
        frame = areas[["estimate", "conf_low", "conf_high"]].copy()
        frame.insert(0, "label_key", "analyses.contrast." + areas["contrast"])
        frame.insert(1, "group_key", "analyses.adjustment." + areas["adjustment"])
        options = {"reference": 0.5, "log": False, "axis_label_key": "analyses.axis.auc"}
        figures["auc"] = FigureSpec("forest", frame.reset_index(drop=True), "analyses.readiness.figure_auc", options)
    curve = tables["calibration"]
    if len(curve) > 1:
        frame = curve[["predicted", "observed", "conf_low", "conf_high"]].rename(
            columns={"predicted": "x", "observed": "y"}
        )
        options = {"x_label_key": "analyses.axis.predicted", "y_label_key": "analyses.axis.observed", "diagonal": True}
        figures["calibration"] = FigureSpec("lines", frame, "analyses.readiness.figure_calibration", options)
    benefit = tables["decision"]
    if len(benefit):
        parts = [
            pd.DataFrame(
                {"label_key": f"analyses.column.benefit_{name}", "x": benefit["threshold"], "y": benefit[name]}
            )
            for name in ("all", "background", "everybody")
        ]
        options = {"x_label_key": "analyses.axis.threshold", "y_label_key": "analyses.axis.net_benefit"}
        options["floor"] = -0.02
        figures["decision"] = FigureSpec(
            "lines", pd.concat(parts, ignore_index=True), "analyses.readiness.figure_decision", options
        )
    return figures
