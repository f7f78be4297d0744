"""The primary estimates of an analysis, were the participants as the Danish ones in what is published of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.common import population_weights
from bipstudy.analyses.danish_shares import danish_weights, effective_size, weighted_shares
from bipstudy.analyses.estimating import Label, Number, estimates
from bipstudy.analyses.result import FLOW_COLUMNS, Result, Sentence
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

NAME = "composition"
# Models that take a weight for each participant. The others compare caseworkers or forms with each other, or describe
# the participants themselves.
WEIGHTED = ("transitions", "indicators", "readiness", "belief", "continuity", "activities", "progression", "insights")
# How the estimates say whose composition it is.
OWN, DANISH = "population=own", "population=danish_shares"


def standardised_to_danish(study: Study, name: str) -> Result:
    """Make the primary estimates of an analysis with the participants weighted to the published Danish shares.

    Each participant gets a weight under which the shares without a vocational qualification, with mental ill-health and
    with a musculoskeletal disorder are those published of the Danish participants (raking). The weights enter every
    model, beside those for lost follow-up, and the averages of standardised risks. Nothing else of the composition is
    published by number, so that the populations may differ in all else. The intervals take the weights as known.

    Parameters
    ----------
    study : Study
    name : str
        One of `WEIGHTED`.

    Returns
    -------
    Result
        Each primary estimate twice, by the end of its ``term``: ``population=own`` and ``population=danish_shares``.
        Tables ``populations`` (both side by side) and ``shares`` (own, Danish and weighted); the size that the weighted
        sample is worth is among the remarks and is ``n`` of its table rows.

    Raises
    ------
    BipstudyError
        The analysis takes no weights, or none of the shares can be met.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.standardised_to_danish(bip.load_example(), "transitions")
    >>> result.estimates["term"].tolist()
    ['any;population=own', 'any;population=danish_shares']
    """
    from bipstudy.analyses.headlines import headlines

    if name not in WEIGHTED:
        raise BipstudyError("analyses.takes_no_weights", name=name, known=", ".join(WEIGHTED))
    people = study.participants
    weights = danish_weights(people)
    if weights is None:
        raise BipstudyError("analyses.no_danish_shares")
    labels = (people["organisation_id"] + "/" + people["participant_id"]).astype(object)
    own = headlines(study, [name])
    with population_weights(dict(zip(labels, weights, strict=True))):
        danish = headlines(study, [name])
    frames = {OWN: own[own["role"] == "primary"], DANISH: danish[danish["role"] == "primary"]}
    size = effective_size(weights)
    return Result(
        name=NAME,
        estimates=estimates([row for label, frame in frames.items() for row in _labelled(frame, label)]),
        tables={"populations": _table(frames, size / len(people)), "shares": weighted_shares(people, weights)},
        flow=_flow(len(people)),
        remarks=(
            Sentence("analyses.composition.note_shares"),
            Sentence("analyses.composition.note_size", {"n": len(people), "size": round(size)}),
            Sentence("analyses.composition.note_known"),
        ),
    )


def _labelled(frame: pd.DataFrame, population: str) -> list[tuple[Label, Number]]:
    """Return the estimates of one population, which their terms name."""
    rows = []
    for row in frame.to_dict("records"):
        own = f"{row['term']};{population}" if row["term"] else population
        months = None if pd.isna(row["horizon_months"]) else int(row["horizon_months"])
        label = Label(row["analysis"], row["contrast"], row["scale"], row["outcome"], own, months, row["adjustment"])
        whole: dict[str, Any] = {key: None if pd.isna(row[key]) else int(row[key]) for key in ("events", "clusters")}
        numbers: dict[str, Any] = {
            key: float(row[key]) for key in ("estimate", "std_error", "conf_low", "conf_high", "p_value")
        }
        rows.append((label, Number(**numbers, n=int(row["n"]), **whole)))
    return rows


def _table(frames: dict[str, pd.DataFrame], worth: float) -> pd.DataFrame:
    """Return the estimates of both populations, those of one contrast together; `worth` is a weighted row's part."""
    from bipstudy import schema

    items = schema.items()
    pieces = []
    for population, frame in frames.items():
        part = 1.0 if population == OWN else worth
        pieces.append(
            pd.DataFrame(
                {
                    "contrast_key": [
                        f"item:{term}" if term in items else f"analyses.contrast.{contrast}"
                        for term, contrast in zip(frame["term"], frame["contrast"], strict=True)
                    ],
                    "outcome_key": ("analyses.outcome." + frame["outcome"]).to_numpy(),
                    "group_key": f"analyses.population.{population.partition('=')[2]}",
                    "scale": frame["scale"].to_numpy(),
                    "n": _rounded(part * frame["n"].to_numpy(dtype=np.float64)),
                    **{key: frame[key].to_numpy() for key in ("events", "estimate", "conf_low", "conf_high")},
                    "place": np.arange(len(frame)),
                }
            )
        )
    joined = pd.concat(pieces, ignore_index=True).sort_values("place", kind="stable", ignore_index=True)
    return joined.drop(columns="place")


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return whole numbers."""
    return np.round(values).astype(np.int64)


def _flow(count: int) -> pd.DataFrame:
    """Return the flow: nobody is left out by being weighted."""
    rows = [
        (NAME, "analyses.flow.in_release", "start", count, count),
        (NAME, "analyses.flow.described", "kept", count, count),
    ]
    return pd.DataFrame(rows, columns=list(FLOW_COLUMNS))
