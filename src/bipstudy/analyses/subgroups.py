"""The primary estimates of an analysis in groups of participants, and whether the groups differ."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses.composition import WEIGHTED, standardised_to_danish
from bipstudy.analyses.estimating import Label, Number, attempt, estimates
from bipstudy.analyses.result import FLOW_COLUMNS, RATIOS, FigureSpec, Result, Sentence
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

NAME = "by_group"
# Column of the participants -> its list of codes; None for yes or no.
GROUPINGS: Mapping[str, str | None] = {
    "sex": "sex",
    "age_group": "age_group",
    "birth_region": "birth_region",
    "mental_ill_health": None,
}
# Smaller groups have too few transitions for any model, and would show single participants.
FEWEST = 100
_KEYS = ["term", "contrast", "scale", "outcome", "horizon_months", "adjustment"]


def by_group(name: str, study: Study, *, by: str = "sex", fewest: int = FEWEST, **options: Any) -> Result:
    """Make the primary estimates of an analysis for each group of participants, and test whether they differ.

    Each group is analysed as a study of its own: with its own model, its own adjustment and its own weights. The test
    is Cochran's Q of the estimates (ratios as logarithms). Groups share caseworkers, which the test does not know; it
    is exploratory, and Holm's correction is for the primary estimates of one analysis.

    Parameters
    ----------
    name : str
        Name of the analysis, see `bipstudy.analyses.list`.
    study : Study
    by : {"sex", "age_group", "birth_region", "mental_ill_health"}
    fewest : int
        Groups with fewer participants are left out, and counted in the flow. Of the others an estimate is not given
        if it rests on fewer rows (those that the model used, after all that is left out); a remark counts those.
    **options
        Handed on to the analysis.

    Returns
    -------
    Result
        Estimates with ``term`` ``<grouping>=<value>`` (after the term of the analysis, if it has one) and, with the
        grouping alone, the test: scale ``other``, Q as the estimate. Table ``groups``; figure ``groups``.

    Raises
    ------
    BipstudyError
        There is no such grouping, or the analysis cannot be made from the study.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.by_group("transitions", bip.load_example(), by="sex")
    >>> result.estimates["term"].tolist()
    ['any;sex=woman', 'any;sex=man', 'any;sex']
    """
    if by not in GROUPINGS:
        raise BipstudyError("analyses.unknown_grouping", name=by, known=", ".join(GROUPINGS))
    values = _values(study, by)
    counts = values.value_counts()
    codes = GROUPINGS[by]
    levels = ("no", "yes") if codes is None else tuple(schema.code_list(codes).values)
    kept = [level for level in levels if counts.get(level, 0) >= fewest]
    made = {level: _primary(name, part(study, (values == level).to_numpy(dtype=bool)), options) for level in kept}
    frames = {level: _with_enough(frame, fewest) for level, frame in made.items()}
    few = sum(
        int((made[level]["estimate"].notna() & frame["estimate"].isna()).sum()) for level, frame in frames.items()
    )
    rows = [row for level, frame in frames.items() for row in _of_group(frame, by, level)]
    rows += _tests(frames, name, by)
    table = _table(frames, by)
    return Result(
        name=NAME,
        estimates=estimates(rows),
        tables={"groups": table},
        figures=_figures(table, frames),
        flow=_flow(values, kept),
        remarks=(
            Sentence("analyses.by_group.note_exploratory"),
            Sentence("analyses.by_group.note_smallest", {"fewest": fewest}),
            *((Sentence("analyses.by_group.note_few_rows", {"few": few, "fewest": fewest}),) if few else ()),
        ),
    )


def _with_enough(frame: pd.DataFrame, fewest: int) -> pd.DataFrame:
    """Return estimates without the numbers of those that rest on fewer rows; how many rows there are still stands."""
    numbers = ["estimate", "std_error", "conf_low", "conf_high", "p_value"]
    found = frame.copy()
    found.loc[found["n"] < fewest, numbers] = np.nan
    found.loc[found["n"] < fewest, ["events"]] = pd.NA
    return found


def every_grouping(name: str, study: Study, **options: Any) -> Result:
    """Make the primary estimates by sex, age, birth region and mental ill-health, and with the Danish composition.

    Parameters
    ----------
    name : str
        Name of the analysis.
    study : Study
    **options
        Handed on to the analysis.

    Returns
    -------
    Result
        The estimates of `by_group` for every grouping, and with the usual definitions those of
        `standardised_to_danish`; a table for each, by its name.

    Examples
    --------
    >>> import bipstudy as bip
    >>> from bipstudy.analyses.subgroups import every_grouping
    >>> [*every_grouping("transitions", bip.load_example()).tables]
    ['sex', 'age_group', 'birth_region', 'mental_ill_health', 'danish_shares']
    """
    found = {by: by_group(name, study, by=by, **options) for by in GROUPINGS}
    tables = {by: result.tables["groups"] for by, result in found.items()}
    danish = _as_danish(study, name) if _usual(name, options) and name in WEIGHTED else None
    if danish is not None:
        found["danish_shares"], tables["danish_shares"] = danish, danish.tables["populations"]
    remarks = (*found["sex"].remarks, *(danish.remarks if danish is not None else ()))
    return replace(
        found["sex"],
        estimates=pd.concat([result.estimates for result in found.values()], ignore_index=True),
        tables=tables,
        figures={},
        flow=pd.concat([result.flow.assign(flow=f"{NAME}_{by}") for by, result in found.items()], ignore_index=True),
        remarks=remarks,
    )


def _as_danish(study: Study, name: str) -> Result | None:
    """Return the primary estimates with the Danish composition, None where the shares cannot be met."""
    try:
        return standardised_to_danish(study, name)
    except BipstudyError:
        return None


def _primary(name: str, study: Study, options: Mapping[str, Any]) -> pd.DataFrame:
    """Return the primary estimates of an analysis; with the usual definitions, without all that stands beside them."""
    from bipstudy.analyses.headlines import headlines

    if not _usual(name, options):
        primary: pd.DataFrame = getattr(importlib.import_module("bipstudy.analyses"), name)(study, **options).primary()
        return primary
    found = headlines(study, [name])
    return found[found["role"] == "primary"].reset_index(drop=True)


def _usual(name: str, options: Mapping[str, Any]) -> bool:
    """Return whether an analysis is asked for with its usual definitions, be they named or not."""
    usual = inspect.signature(getattr(importlib.import_module("bipstudy.analyses"), name)).parameters
    return all(usual[option].default == value for option, value in options.items())


def part(study: Study, chosen: Any) -> Study:
    """Return a study of some of the participants, with everything that is theirs.

    Parameters
    ----------
    study : Study
    chosen : array of bool, shape (participants,)

    Returns
    -------
    Study
        Organisations, caseworkers and trainings stay whole.
    """
    keys = ["organisation_id", "participant_id"]
    people = study.participants[chosen].reset_index(drop=True)
    wanted = pd.MultiIndex.from_frame(people[keys].astype(object))
    tables = {}
    for name, frame in study.tables.items():
        if name == "participants":
            tables[name] = people
        elif "participant_id" in frame:
            own = pd.MultiIndex.from_frame(frame[keys].astype(object)).isin(wanted)
            tables[name] = frame[own].reset_index(drop=True)
        else:
            tables[name] = frame
    return replace(study, tables=tables)


def _values(study: Study, by: str) -> pd.Series:
    """Return each participant's group as text, missing where it is unknown."""
    values = study.participants[by]
    if GROUPINGS[by] is None:
        return values.map({True: "yes", False: "no"}).astype(object)
    return values.astype(object).where(values.notna() & (values != "unknown"))


def _words(by: str, level: str) -> str:
    """Return the key of the words of a group."""
    codes = GROUPINGS[by]
    return f"analyses.{level}" if codes is None else f"code:{codes}:{level}"


def _labels(row: Any, term: str, scale: str) -> Label:
    """Return the label of a row of a group, or of the test."""
    months = None if pd.isna(row["horizon_months"]) else int(row["horizon_months"])
    own = f"{row['term']};{term}" if row["term"] else term
    return Label(row["analysis"], row["contrast"], scale, row["outcome"], own, months, row["adjustment"])


def _of_group(frame: pd.DataFrame, by: str, level: str) -> list[tuple[Label, Number]]:
    """Return the primary estimates of one group."""
    rows = []
    for row in frame.to_dict("records"):
        numbers: dict[str, Any] = {
            name: float(row[name]) for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value")
        }
        whole: dict[str, Any] = {
            name: None if pd.isna(row[name]) else int(row[name]) for name in ("events", "clusters")
        }
        label = _labels(row, f"{by}={level}", row["scale"])
        rows.append((label, Number(**numbers, n=int(row["n"]), **whole)))
    return rows


def _tests(frames: Mapping[str, pd.DataFrame], name: str, by: str) -> list[tuple[Label, Number]]:
    """Return the test of no difference between groups for each primary estimate."""
    from bipstudy import models

    if not frames:
        return []
    every = pd.concat(frames.values(), ignore_index=True)
    rows = []
    for _, own in every.groupby(_KEYS, sort=False, dropna=False):
        made = own[own["std_error"].gt(0) & own["estimate"].notna()]
        value = made["estimate"].to_numpy(dtype=np.float64)
        if own["scale"].iloc[0] in RATIOS:
            value = np.log(value)
        error = made["std_error"].to_numpy(dtype=np.float64)
        pooled = None
        if len(made) > 1:
            pooled = attempt(lambda value=value, error=error: models.random_effects(estimates=value, errors=error))  # type: ignore[misc]
        label = _labels(own.iloc[0], by, "other")
        count = int(own["n"].sum())
        number = Number(n=count) if pooled is None else Number(estimate=pooled.q, p_value=pooled.q_p_value, n=count)
        rows.append((label, number))
    return rows


def _table(frames: Mapping[str, pd.DataFrame], by: str) -> pd.DataFrame:
    """Return the primary estimates by group, those of one contrast together."""
    pieces = []
    for level, frame in frames.items():
        shown = frame[["term", "contrast", "scale", "outcome", "n", "events", "estimate", "conf_low", "conf_high"]]
        pieces.append(shown.assign(group_key=_words(by, level), place=np.arange(len(frame))))
    columns = ["contrast_key", "outcome_key", "group_key", "scale", "n", "events", "estimate", "conf_low", "conf_high"]
    if not pieces:
        return pd.DataFrame(columns=columns)
    table = pd.concat(pieces).sort_values("place", kind="stable", ignore_index=True)
    items = schema.items()
    # An item has a name of its own; the contrast is the same for all.
    table["contrast_key"] = [
        f"item:{term}" if term in items else f"analyses.contrast.{contrast}"
        for term, contrast in zip(table["term"], table["contrast"], strict=True)
    ]
    table["outcome_key"] = "analyses.outcome." + table["outcome"]
    return table[columns]


def _figures(table: pd.DataFrame, frames: Mapping[str, pd.DataFrame]) -> dict[str, FigureSpec]:
    """Return the estimates by group, of the scale of the first primary estimate."""
    made = table.dropna(subset=["estimate", "conf_low"])
    if len(made) < 2:
        return {}
    scale = str(made["scale"].iloc[0])
    made = made[made["scale"] == scale]
    frame = made[["estimate", "conf_low", "conf_high"]].copy()
    frame.insert(0, "label_key", made["group_key"])
    if len(set(made["contrast_key"])) > 1:
        frame.insert(1, "group_key", made["contrast_key"])
    options: dict[str, Any] = {"axis_label_key": f"analyses.axis.{scale}"}
    if scale not in RATIOS:
        options |= {"reference": 0.0, "log": False}
    return {"groups": FigureSpec("forest", frame.reset_index(drop=True), "analyses.by_group.figure_groups", options)}


def _flow(values: pd.Series, kept: list[str]) -> pd.DataFrame:
    """Return who is in a group that is analysed."""
    unknown, small = int(values.isna().sum()), int((values.notna() & ~values.isin(kept)).sum())
    rows = [
        ("analyses.flow.in_release", "start", len(values)),
        ("analyses.flow.group_unknown", "left_out", -unknown),
        ("analyses.flow.group_small", "left_out", -small),
        ("analyses.flow.in_groups", "kept", len(values) - unknown - small),
    ]
    return pd.DataFrame([(NAME, key, kind, n, n) for key, kind, n in rows], columns=list(FLOW_COLUMNS))
