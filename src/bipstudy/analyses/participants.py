"""Who takes part, against the Danish participants."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import organisations
from bipstudy.analyses.common import single_threaded
from bipstudy.analyses.estimating import Label, Number, estimates, mean, share
from bipstudy.analyses.history import History, history
from bipstudy.analyses.result import FLOW_COLUMNS, FigureSpec, Result, Sentence
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

NAME = "participants"
# Contrast, outcome and benchmark of each share that has a Danish counterpart.
COMPARED = (
    ("no_vocational_qualification", "background", "D1"),
    ("mental_ill_health", "background", "D2"),
    ("share_without_activity", "activity", "D3"),
    ("share_with_change", "caseworker_change", "D4"),
    ("work_or_study_share_5y", "background", "D7"),
    ("no_vocational_qualification", "background", "D8"),
    ("mental_ill_health", "background", "D9"),
    ("musculoskeletal_disorder", "background", "D10"),
)
CODES = {
    "sex": "sex",
    "age_group": "age_group",
    "birth_region": "birth_region",
    "education": "education",
    "main_support_at_entry": "support",
}
YES_NO = ("vocational_qualification", "mental_ill_health", "musculoskeletal_disorder")
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]


@single_threaded
def participants(study: Study) -> Result:
    """Answer who takes part, and how they compare with the Danish participants.

    Estimand: shares of the participants with 95 per cent intervals, clustered by the first main caseworker. Population:
    every participant of the release; who has no value of a variable is left out of its share and counted. Danish
    findings: D1 to D4 and D7 to D10 (D5 is met by `transitions`; D6 and D11 need registers that the study does not
    hold). Models: none, shares and means with clustered errors. Cannot show: whether differences from Denmark are
    differences between people or between registers.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Result
        Tables ``characteristics`` (table 1), ``size`` and ``organisations``; figure ``against_danish``.

    Examples
    --------
    >>> import bipstudy as bip
    >>> result = bip.analyses.participants(bip.load_example())
    >>> set(result.estimates["role"])
    {'primary'}
    """
    table = study.participants
    followed = _history(study)
    clusters = _clusters(table, followed)
    shares = _shares(table, followed)
    found = estimates(_compared(shares, clusters))
    remarks = [Sentence("analyses.participants.note_registers")]
    if followed is None:
        remarks.append(Sentence("analyses.participants.note_no_outcomes"))
    return Result(
        name=NAME,
        estimates=found,
        tables={
            "characteristics": _characteristics(table, clusters),
            "size": _size(study),
            "organisations": organisations.summary(_by_organisation(table, shares, clusters)),
        },
        figures={"against_danish": _figure(found)},
        flow=_flow(table),
        remarks=tuple(remarks),
    )


def primaries(study: Study) -> list[tuple[Label, Number]]:
    """Return the primary estimates and nothing else, for whoever needs them of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of (Label, Number)
    """
    followed = _history(study)
    return _compared(_shares(study.participants, followed), _clusters(study.participants, followed))


def _compared(shares: dict[str, Floats], clusters: Labels) -> list[tuple[Label, Number]]:
    """Return the shares that have a Danish counterpart."""
    return [
        (
            Label(NAME, contrast, "share", outcome, term=contrast, role="primary", benchmark=benchmark),
            _number(contrast, shares[contrast], clusters),
        )
        for contrast, outcome, benchmark in COMPARED
    ]


def _history(study: Study) -> History | None:
    """Return changes and activities until transition or end of follow-up, None without outcomes."""
    try:
        return history(study)
    except BipstudyError:
        return None


def _clusters(table: pd.DataFrame, followed: History | None) -> Labels:
    """Return the first main caseworker of each participant, or the participant alone."""
    own: Labels = (table["organisation_id"] + "/" + table["participant_id"]).to_numpy(dtype=object)
    if followed is None:
        return own
    first = followed.first_caseworker
    return np.where(pd.isna(first), own, first)


def _shares(table: pd.DataFrame, followed: History | None) -> dict[str, Floats]:
    """Return the values behind each share, NaN where unknown."""
    flags = {name: table[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in YES_NO}
    nothing = np.full(len(table), np.nan)
    return {
        "no_vocational_qualification": 1.0 - flags["vocational_qualification"],
        "mental_ill_health": flags["mental_ill_health"],
        "musculoskeletal_disorder": flags["musculoskeletal_disorder"],
        "work_or_study_share_5y": table["work_or_study_share_5y"].to_numpy(dtype=np.float64),
        "share_without_activity": nothing if followed is None else followed.without_activity,
        "share_with_change": nothing if followed is None else followed.with_change,
    }


def _number(contrast: str, values: Floats, clusters: Labels) -> Number:
    """Return a share, or for the share of time its mean."""
    if contrast == "work_or_study_share_5y":
        number = mean(values=values, clusters=clusters)
        # A mean share is not tested against zero.
        return Number(**{**vars(number), "p_value": np.nan})
    return share(values=values, clusters=clusters)


def _by_organisation(table: pd.DataFrame, shares: dict[str, Floats], clusters: Labels) -> dict[str, dict[str, Number]]:
    """Return the share of each organisation, for the shares of participants (a share of time is none)."""
    names = table["organisation_id"].to_numpy(dtype=object)
    return {
        f"analyses.contrast.{contrast}": {
            str(name): share(values=values[names == name], clusters=clusters[names == name])
            for name in sorted(set(names))
        }
        for contrast, values in shares.items()
        if contrast != "work_or_study_share_5y"
    }


def _characteristics(table: pd.DataFrame, clusters: Labels) -> pd.DataFrame:
    """Return table 1: each value of each characteristic with count, share and interval."""
    rows: list[dict[str, Any]] = []
    for column, codes in CODES.items():
        values = table[column]
        if values.isna().all():
            continue
        known = values.notna() & (values != "unknown")
        for code in schema.code_list(codes).values:
            if code == "unknown":
                continue
            flags = np.where(known, (values == code).astype(float), np.nan)
            rows.append(_line(column, f"code:{codes}:{code}", share(values=flags, clusters=clusters)))
        rows.append(_unknown(column, int((~known).sum())))
    for column in YES_NO:
        values = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isnan(values).all():
            continue
        rows.append(_line(column, "analyses.yes", share(values=values, clusters=clusters)))
        rows.append(_unknown(column, int(np.isnan(values).sum())))
    columns = ["variable_key", "value_key", "n", "estimate", "conf_low", "conf_high"]
    found = pd.DataFrame(rows, columns=columns)
    return found[~(found["value_key"].eq("analyses.unknown") & found["n"].eq(0))].reset_index(drop=True)


def _line(column: str, value_key: str, number: Number) -> dict[str, Any]:
    """Return one line of table 1."""
    return {
        "variable_key": f"analyses.variable.{column}",
        "value_key": value_key,
        "n": number.events or 0,
        "estimate": number.estimate,
        "conf_low": number.conf_low,
        "conf_high": number.conf_high,
    }


def _unknown(column: str, count: int) -> dict[str, Any]:
    """Return the line of table 1 that counts those of whom it is not known."""
    return _line(column, "analyses.unknown", Number(events=count))


def _size(study: Study) -> pd.DataFrame:
    """Return how large the study is."""
    forms = study.measurements[study.measurements["form_status"] == "answered"]
    occasions = forms[["organisation_id", "participant_id", "occasion"]].drop_duplicates()
    both = forms.groupby(["organisation_id", "participant_id", "occasion"])["respondent"].nunique()
    count = max(len(study.participants), 1)
    answering = forms[["organisation_id", "caseworker_id"]].dropna().drop_duplicates()
    values: dict[str, float] = {
        "organisations": float(study.participants["organisation_id"].nunique()),
        "participants": float(len(study.participants)),
        "caseworkers": float(len(answering)),
        "occasions": float(len(occasions)),
        "forms": float(len(forms)),
        "occasions_per_participant": len(occasions) / count,
        "occasions_with_both": float((both == 2).mean()) if len(both) else np.nan,
    }
    return pd.DataFrame({"what_key": [f"analyses.size.{name}" for name in values], "value": list(values.values())})


def _figure(found: pd.DataFrame) -> FigureSpec:
    """Return the shares that have a Danish counterpart, each once."""
    once = found.drop_duplicates("contrast").dropna(subset=["estimate"])
    frame = once[["estimate", "conf_low", "conf_high", "n", "benchmark"]].rename(columns={"benchmark": "benchmark_id"})
    frame.insert(0, "label_key", "analyses.contrast." + once["contrast"])
    return FigureSpec(
        kind="shares",
        frame=frame.reset_index(drop=True),
        caption="analyses.participants.figure",
        options={"axis_label_key": "analyses.axis.share"},
    )


def _flow(table: pd.DataFrame) -> pd.DataFrame:
    """Return the flow: nobody is left out."""
    count = len(table)
    rows = [
        ("participants", "analyses.flow.in_release", "start", count, count),
        ("participants", "analyses.flow.described", "kept", count, count),
    ]
    return pd.DataFrame(rows, columns=list(FLOW_COLUMNS))
