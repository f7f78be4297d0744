"""Holds each estimate against its Danish finding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.resampling import key_of
from bipstudy.replication.agreement_pairs import RATIOS, additive, compared, direction, pair_of, verdict
from bipstudy.replication.benchmarks import Benchmark, read_benchmarks
from bipstudy.texts import BipstudyError, default_language, text

__all__ = ["COLUMNS", "RATIOS", "SMALLEST_EFFECT", "agreement", "agreement_parts", "direction", "replicate_key"]

FloatArray = npt.NDArray[np.float64]
NOT_COMPUTABLE = "not computable"
# Which scales of our estimates answer to which unit of a published number.
SCALES: Mapping[str, tuple[str, ...]] = {
    "relative": RATIOS,
    "percentage_points": ("risk_difference",),
    "share": ("share", "risk"),
    "count": ("other",),
    "sign": ("risk_difference", "risk_ratio", "hazard_ratio", "sd", "auc", "other"),
}
# Smallest effect of interest on each scale: a convention of this package, no published number.
SMALLEST_EFFECT: Mapping[str, float] = {
    "risk_difference": 0.02,
    "risk_ratio": 1.10,
    "hazard_ratio": 1.10,
    "sd": 0.10,
    "auc": 0.02,
    "other": 0.10,
}
# Below this p-value of the test that a comparison rests on, the verdict carries a warning.
WARNS = 0.05
NEEDED = ("benchmark", "scale", "outcome", "horizon_months", "adjustment", "contrast", "estimate", "std_error",
          "conf_low", "conf_high")  # fmt: skip
NEEDS_DANISH_ERROR = (
    "difference_p", "prediction_low", "prediction_high", "prediction_apart_low", "prediction_apart_high",
    "pooled_fixed", "pooled_fixed_low", "pooled_fixed_high", "pooled_random", "pooled_random_low",
    "pooled_random_high", "sceptical_p", "equivalence_p",
)  # fmt: skip
COLUMNS = (
    "benchmark", "danish", "ours", "conf_low", "conf_high", "verdict", "reason", "warning",
    "label", "unit", "danish_direction", "scale", "outcome", "horizon_months", "adjustment", "danish_inside",
    "difference", "difference_low", "difference_high", "smallest_danish_error", "bootstrap_share",
    *NEEDS_DANISH_ERROR, "reading", "differences",
)  # fmt: skip


def agreement(
    estimates: pd.DataFrame,
    benchmarks: Sequence[Benchmark] | None = None,
    *,
    smallest_effect: Mapping[str, float] | None = None,
    replicates: Mapping[str, FloatArray] | None = None,
    language: str | None = None,
) -> pd.DataFrame:
    """Hold each estimate against the Danish finding it answers to.

    Without a Danish standard error an estimate is *consistent in direction* if its whole interval lies on the Danish
    side of no effect, *inconsistent in direction* if it lies wholly on the other side, otherwise *inconclusive*. A
    published zero has no direction: *consistent* if the interval lies within plus and minus the smallest effect of
    interest, *inconsistent* if it lies wholly outside. With a Danish standard error it is
    *inconsistent* if the 95 per cent interval of the difference excludes zero, else judged in the same way without
    "in direction". Shares, counts and context have *no verdict*. *Not comparable*: outcome, horizon or scale is known
    to differ, an adjusted estimate would meet a raw contrast or the reverse, or nobody has read a source.

    Parameters
    ----------
    estimates : DataFrame
        Rows as in `bipstudy.analyses.Result.estimates`; those without a benchmark are ignored.
    benchmarks : sequence of Benchmark, optional
        The published findings of the package if left out.
    smallest_effect : mapping of scale to number, optional
        Overrides `SMALLEST_EFFECT`; for ratios the ratio.
    replicates : mapping of str to array, optional
        Bootstrap replicates of estimates, by `replicate_key`.
    language : {"sv", "en"}, optional
        Language of label, reason, reading and differences.

    Returns
    -------
    DataFrame
        One row per benchmark, in their order, with the columns `COLUMNS`. ``danish`` is missing where only a
        direction was published; ``danish_direction`` then says in words which, and is empty elsewhere. ``difference``
        and its interval are ours minus Danish, or for ratios ours divided by Danish; the interval takes the Danish
        number as exact where its error is unpublished. ``smallest_danish_error`` is the smallest Danish standard
        error (of the logarithm for ratios) at which the two would agree; ``warning`` says what speaks against our
        estimate (a balance test that fails), and is empty where nothing does; ``bootstrap_share`` the share of
        replicates at least as large as the Danish value (for one that lies below no effect, at least as small), a
        description and no test. Measures that need a Danish standard error say "not computable"; what they are:
        `bipstudy.replication.measures`. ``prediction_apart_low`` and its other end let the true values of the two
        studies differ, by less than the smallest effect of interest in 95 of 100 such pairs.

    Raises
    ------
    BipstudyError
        Columns are missing, or several estimates claim one benchmark.

    Examples
    --------
    >>> import pandas as pd
    >>> ours = pd.DataFrame([dict(benchmark="R3", scale="hazard_ratio", outcome="work", horizon_months=None,
    ...     adjustment="background", contrast="", estimate=0.7, std_error=0.1, conf_low=0.575, conf_high=0.85)])
    >>> table = agreement(ours, language="en").set_index("benchmark")
    >>> table.loc["R3", "verdict"], bool(table.loc["R3", "danish_inside"])
    ('consistent in direction', True)
    """
    _check(estimates)
    found = read_benchmarks() if benchmarks is None else tuple(benchmarks)
    smallest = {**SMALLEST_EFFECT, **(smallest_effect or {})}
    chosen = language or default_language()
    drawn = replicates or {}
    rows = []
    for benchmark in found:
        ours = _match(benchmark, estimates)
        row = _row(benchmark, ours, smallest, chosen)
        row["warning"] = "" if pd.isna(row["ours"]) else _warning(benchmark, estimates, chosen)
        if ours is not None and not pd.isna(row["ours"]) and benchmark.unit != "sign":
            row["bootstrap_share"] = _share_beyond(drawn.get(replicate_key(ours)), row["danish"], row["scale"])
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["danish_inside"] = table["danish_inside"].astype("boolean")
    return table


def agreement_parts(
    estimates: pd.DataFrame, benchmarks: Sequence[Benchmark] | None = None, *, language: str | None = None
) -> pd.DataFrame:
    """Hold the single numbers of findings that consist of several against ours.

    Parameters
    ----------
    estimates, benchmarks, language
        As for `agreement`.

    Returns
    -------
    DataFrame
        ``benchmark, contrast, label, danish, ours, conf_low, conf_high, difference, difference_low,
        difference_high``, one row per part; ours is missing where no estimate has the part's contrast.
    """
    _check(estimates)
    found = read_benchmarks() if benchmarks is None else tuple(benchmarks)
    chosen = language or default_language()
    rows = []
    for benchmark in found:
        own = estimates[estimates["benchmark"] == benchmark.id]
        for part in benchmark.parts:
            match = own[own["contrast"] == part.contrast]
            ours, low, high = (
                (float(match.iloc[0][name]) if len(match) else math.nan)
                for name in ("estimate", "conf_low", "conf_high")
            )
            rows.append(
                {
                    "benchmark": benchmark.id,
                    "contrast": part.contrast,
                    "label": part.label[chosen],
                    "danish": part.value,
                    "ours": ours,
                    "conf_low": low,
                    "conf_high": high,
                    "difference": ours - part.value,
                    "difference_low": low - part.value,
                    "difference_high": high - part.value,
                }
            )
    columns = ["benchmark", "contrast", "label", "danish", "ours", "conf_low", "conf_high", "difference",
               "difference_low", "difference_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _warning(benchmark: Benchmark, estimates: pd.DataFrame, language: str) -> str:
    """Say what speaks against the estimate that meets a benchmark: the test it rests on fails or was not made."""
    if not benchmark.check:
        return ""
    made = estimates.loc[estimates["contrast"] == benchmark.check]
    value = float(made["p_value"].iloc[0]) if len(made) and "p_value" in made else math.nan
    if math.isnan(value):
        return text("replication.warning.not_checked", language)
    return text(f"replication.warning.{benchmark.check}", language) if value < WARNS else ""


def replicate_key(row: Any) -> str:
    """Return what an estimate is called among the replicates of a run: its analysis, then its key there."""
    return f"{row.get('analysis', '')}/{key_of(row)}" if "term" in row else ""


def _share_beyond(drawn: FloatArray | None, danish: float, scale: str) -> float:
    """Return the share of replicates at least as far in the Danish direction as the Danish value."""
    if drawn is None or np.isnan(drawn).all() or math.isnan(danish):
        return math.nan
    given = drawn[~np.isnan(drawn)]
    below = danish < (1.0 if scale in RATIOS else 0.0)
    return float(np.mean(given <= danish if below else given >= danish))


def _check(estimates: pd.DataFrame) -> None:
    """Refuse a frame that is no table of estimates."""
    missing = [column for column in NEEDED if column not in estimates]
    if missing:
        raise BipstudyError("replication.missing_columns", columns=", ".join(missing))


def _match(benchmark: Benchmark, estimates: pd.DataFrame) -> pd.Series | None:
    """Return the estimate that answers to a benchmark: the only one, or the one with its contrast."""
    own = estimates[estimates["benchmark"] == benchmark.id]
    if len(own) > 1:
        own = own[own["contrast"] == benchmark.contrast]
        if len(own) != 1:
            raise BipstudyError("replication.ambiguous", id=benchmark.id, contrast=benchmark.contrast)
    return own.iloc[0] if len(own) else None


def _row(benchmark: Benchmark, ours: pd.Series | None, smallest: Mapping[str, float], language: str) -> dict[str, Any]:
    """Return one row of the table."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
    row |= dict.fromkeys(NEEDS_DANISH_ERROR, NOT_COMPUTABLE)
    row |= {
        "benchmark": benchmark.id,
        "danish": math.nan if benchmark.unit == "sign" else benchmark.reference,
        "danish_direction": benchmark.direction_in(language),
        "label": benchmark.label[language],
        "unit": benchmark.unit,
        "scale": "",
        "outcome": benchmark.outcome,
        "horizon_months": math.nan if benchmark.horizon_months is None else float(benchmark.horizon_months),
        "adjustment": benchmark.adjusted,
        "danish_inside": pd.NA,
        "reading": benchmark.reading[language],
        "differences": benchmark.differences[language],
    }
    obstacle = _obstacle(benchmark, ours)
    if obstacle:
        row["verdict"], reason = obstacle
        if row["verdict"] == "not comparable" and not benchmark.is_sourced:
            row |= {"danish": math.nan, "danish_direction": ""}
    else:
        assert ours is not None
        row |= {"ours": float(ours["estimate"]), "conf_low": float(ours["conf_low"])}
        row |= {"conf_high": float(ours["conf_high"]), "scale": str(ours["scale"])}
        pair = pair_of(benchmark, ours)
        limit = _smallest(benchmark, str(ours["scale"]), smallest)
        row["verdict"], reason = verdict(benchmark, pair, limit)
        row |= compared(benchmark, pair, limit, str(ours["scale"]))
    row["reason"] = text(f"replication.reason.{reason}", language)
    return row


def _smallest(benchmark: Benchmark, scale: str, smallest: Mapping[str, float]) -> float:
    """Return the smallest effect of interest on the additive scale; NaN for a count, which is no effect."""
    if benchmark.unit == "count":
        return math.nan
    # Two shares differ by a difference in risk.
    own = "risk_difference" if benchmark.unit == "share" else scale
    return additive(smallest[own], own) if own in smallest else math.nan


def _obstacle(benchmark: Benchmark, ours: pd.Series | None) -> tuple[str, str] | None:
    """Say why the two cannot be set against each other, as verdict and reason."""
    if benchmark.use == "not_computable":
        return "not computable", "not_in_tables"
    if not benchmark.is_sourced:
        return "not comparable", "unsourced"
    if ours is None:
        return "not computed", "not_delivered"
    horizon = ours["horizon_months"]
    raw = ours["adjustment"] == "raw"
    differing = {
        "outcome": ours["outcome"] != benchmark.outcome,
        "scale": ours["scale"] not in SCALES[benchmark.unit],
        "horizon": benchmark.horizon_months is not None and not pd.isna(horizon)
        and float(horizon) != benchmark.horizon_months,
        "adjusted_against_raw": benchmark.adjusted == "raw" and not raw,
        "raw_against_adjusted": benchmark.adjusted == "adjusted" and raw,
    }  # fmt: skip
    for reason, holds in differing.items():
        if holds:
            return "not comparable", reason
    return ("not computed", "not_estimable") if pd.isna(ours["estimate"]) else None
