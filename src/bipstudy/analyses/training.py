"""Training of the staff, quality of data, and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import resampling
from bipstudy.analyses.common import FlowBook, outcome_name, ready, single_threaded, whole_months
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, share
from bipstudy.analyses.result import FigureSpec, Result, Sentence
from bipstudy.panel import build_panel
from bipstudy.panel.assembly import Parts, read_parts
from bipstudy.panel.coding import take
from bipstudy.panel.days import FAR, Ints, first_days
from bipstudy.panel.exposures import caseworker_exposures
from bipstudy.study import Study

NAME = "training"
KINDS = {"boost": "refresher", "basic": "basic"}
BEFORE = AFTER = 4
NEVER = np.nan
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Staff:
    """When each caseworker was trained: day of the first training of each kind, `FAR` without; and who sent any."""

    parts: Parts
    days: Mapping[str, Ints]
    sent: frozenset[str]


@single_threaded
def training(study: Study, *, outcome: str = "primary", horizon_months: float = 12, washout_days: int = 30) -> Result:
    """Answer whether trained and refreshed staff give better data, and whether their participants fare better.

    Estimand: change, around the refresher, in the share of due forms that are answered: the four quarters after the one
    of the refresher, against the quarter before it, less the change of staff not yet refreshed. Population: forms due
    after the participant's first occasion, by the main caseworker of the day they were due, in organisations that sent
    trainings. Danish finding: none; it is the Swedish project's aim. Models: group-time differences in differences
    against those not yet refreshed (Callaway and Sant'Anna 2021), errors by jackknife over caseworkers. Beside it:
    quarter by quarter, forms in pairs, questions left open, transitions, and the basic training. Cannot show: an effect
    where staff would have developed differently without the refresher; the quarters before it say whether they did
    before.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition, for the secondary estimate of transitions.
    horizon_months : float
    washout_days : int

    Returns
    -------
    Result
        Tables ``by_training`` and ``by_quarter``; figure ``by_quarter``.

    Examples
    --------
    >>> import bipstudy as bip
    >>> bip.analyses.training(bip.load_example()).primary()["contrast"].tolist()
    ['change_after_refresher']
    """
    staff = _staff(study, outcome)
    forms, flow = _due_forms(study, staff)
    sets = {
        "form_answered": (forms, None),
        "occasion_paired": (_occasions(forms), None),
        "answers_missing": (forms[forms["answered"] == 1.0].assign(value=lambda rows: rows["missing"]), None),
        outcome_name(outcome): (_transitions(study, staff, outcome, horizon_months, washout_days), "ipcw"),
    }
    rows: list[tuple[Label, Number]] = []
    fits = {name: _effects(frame, "boost", weights) for name, (frame, weights) in sets.items()}
    for name, (frame, _) in sets.items():
        months = (
            whole_months(horizon_months)
            if name not in ("form_answered", "occasion_paired", "answers_missing")
            else None
        )
        role = "primary" if name == "form_answered" else "secondary"
        rows.append((_label(name, months, role), _change(fits[name], frame, 1, AFTER)))
    label = Label(NAME, "change_before_refresher", "risk_difference", "form_answered", "refresher", None, "not_yet")
    rows.append((label, _change(fits["form_answered"], forms, -BEFORE, -2)))
    label = Label(NAME, "change_after_basic", "risk_difference", "form_answered", "basic", None, "not_yet")
    rows.append((label, _change(_effects(forms, "basic", None), forms, 1, AFTER)))
    answered = (
        Number(n=max(len(forms), 1))
        if forms.empty
        else share(values=forms["value"].to_numpy(dtype=np.float64), clusters=forms["who"].to_numpy())
    )
    rows.append((Label(NAME, "share_answered", "share", "form_answered"), answered))
    study_of_quarters = _by_quarter(fits["form_answered"])
    return Result(
        name=NAME,
        estimates=estimates(rows),
        tables={"by_training": _by_training(forms), "by_quarter": study_of_quarters},
        figures=_figures(study_of_quarters),
        flow=flow,
        settings={"months": horizon_months, "days": washout_days},
        remarks=(
            Sentence("analyses.training.note_parallel"),
            Sentence("analyses.training.note_chosen"),
            Sentence("analyses.training.note_recorded"),
        ),
    )  # fmt: skip


def primaries(study: Study) -> list[tuple[Label, Number]]:
    """Return the primary estimate and nothing else, for whoever needs it of many studies.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of (Label, Number)
    """
    forms, _ = _due_forms(study, _staff(study, "primary"))
    label = _label("form_answered", None, "primary")
    return [(label, _change(_effects(forms, "boost", None), forms, 1, AFTER))]


def _label(named: str, months: int | None, role: str) -> Label:
    """Return the label of the change after the refresher."""
    return Label(NAME, "change_after_refresher", "risk_difference", named, "refresher", months, "not_yet", role)


def _staff(study: Study, outcome: str) -> _Staff:
    """Return when each caseworker was first trained, by the code of the caseworker."""
    parts = read_parts(study, schema.transition(outcome), "first_measurement")
    labels = pd.Index(parts.coded.caseworker_labels)
    table = study.trainings
    whom = labels.get_indexer(table["organisation_id"] + "/" + table["caseworker_id"])
    held = first_days(table, "held_on")
    days = {}
    for kind in KINDS:
        day = np.full(len(labels), FAR, dtype=np.int64)
        chosen = (table["kind"] == kind).to_numpy(dtype=bool) & (whom >= 0)
        np.minimum.at(day, whom[chosen], held[chosen])
        days[kind] = day
    return _Staff(parts, days, frozenset(table["organisation_id"].dropna()))


def _with_training(frame: pd.DataFrame, staff: _Staff, who: Ints, day: Ints) -> pd.DataFrame:
    """Add caseworker, quarter, and per kind of training the quarter in which it came and whether it had by then."""
    added: dict[str, Any] = {"who": np.where(who >= 0, who, -1), "quarter": _quarter(day)}
    for kind, days in staff.days.items():
        trained = np.where(who >= 0, days[np.maximum(who, 0)] if len(days) else FAR, FAR)
        added[kind] = np.where(trained < FAR, _quarter(np.minimum(trained, FAR)), NEVER)
        added[f"{kind}_by_then"] = trained <= day
    return frame.assign(**added)


def _quarter(day: Ints) -> Ints:
    """Return the calendar quarter of days, counted from 1970."""
    months = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return np.asarray(months // 3, dtype=np.int64)


def _due_forms(study: Study, staff: _Staff) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the forms due after the first occasion, with their caseworker, and who was left out."""
    parts, table = staff.parts, study.measurements
    person, day = parts.coded.person["measurements"], first_days(table, "due_on")
    main = caseworker_exposures(parts.periods, np.maximum(person, 0), day, parts.entered[np.maximum(person, 0)])["main"]
    answered = (table["form_status"] == "answered").to_numpy(dtype=np.float64)
    frame = pd.DataFrame(
        {
            "participant": take(parts.coded.labels, person),
            "occasion": table["occasion"].to_numpy(dtype=np.int64),
            "organisation": table["organisation_id"].to_numpy(dtype=object),
            "answered": answered,
            "value": answered,
            "missing": _missing(table),
            "day": day,
        }
    )
    # Who is named on the form does not count: a form that nobody answered often names nobody.
    frame = _with_training(frame, staff, main.astype(np.int64), day)
    frame = frame[(person >= 0)].reset_index(drop=True)
    book = FlowBook(NAME, (), frame)
    book.begin("forms_sent")
    first = frame["occasion"] == frame.groupby("participant")["occasion"].transform("min")
    later = book.keep("first_occasion", ~first)
    dated = book.keep("no_due_day", later["day"] < FAR)
    known = book.keep("no_caseworker_then", dated["who"] >= 0)
    forms = book.keep("no_trainings_sent", known["organisation"].isin(staff.sent))
    flow = book.finish("forms_due")
    # Everybody in the release stands first, so that the flow begins where those of the other analyses do.
    total, sent = len(study.participants), int(frame["participant"].nunique())
    head = pd.DataFrame(
        [
            (NAME, "analyses.flow.in_release", "start", total, len(frame)),
            (NAME, "analyses.flow.no_form_sent", "left_out", sent - total, 0),
        ],
        columns=flow.columns,
    )
    return forms, pd.concat([head, flow.iloc[1:]], ignore_index=True)


def _missing(table: pd.DataFrame) -> Floats:
    """Return the share of the questions of each form that are left open, NaN for an unknown questionnaire."""
    found = np.full(len(table), np.nan)
    for name in sorted(table["instrument"].dropna().unique()):
        items = schema.instrument(name).items
        for respondent in ("participant", "caseworker"):
            asked = [item.id for item in items if respondent in item.respondents and item.id in table]
            rows = ((table["instrument"] == name) & (table["respondent"] == respondent)).to_numpy(dtype=bool)
            if asked and rows.any():
                found[rows] = table.loc[rows, asked].isna().mean(axis=1)
    return found


def _occasions(forms: pd.DataFrame) -> pd.DataFrame:
    """Return the occasions with an answered form, and whether both answered."""
    answered = forms[forms["answered"] == 1.0]
    keys = ["participant", "occasion"]
    both = answered.groupby(keys)["answered"].transform("size") > 1
    return answered.assign(value=both.astype(float)).drop_duplicates(keys)


def _transitions(study: Study, staff: _Staff, outcome: str, months: float, washout: int) -> pd.DataFrame:
    """Return first measurements with a known outcome, by the main caseworker and the quarter of the measurement."""
    panel = build_panel(study, outcome=outcome, horizon_months=months, washout_days=washout)
    first = ready(panel)[panel["first_measurement"] & panel["y_known"] & panel["caseworker"].notna()]
    first = first[first["organisation_id"].isin(staff.sent)].reset_index(drop=True)
    who = pd.Index(staff.parts.coded.caseworker_labels).get_indexer(first["caseworker"].array)
    day = first["answered_on"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    return _with_training(first[["participant", "ipcw"]].assign(value=first["y"]), staff, who.astype(np.int64), day)


def _effects(frame: pd.DataFrame, kind: str, weights: str | None) -> Any:
    """Return group-time effects of a kind of training, None where none can be estimated."""
    from bipstudy import models

    return attempt(
        lambda: models.group_time_effects(
            frame, outcome="value", unit="who", period="quarter", first=kind, weights=weights
        )
    )


def _change(fit: Any, frame: pd.DataFrame, first: int, last: int) -> Number:
    """Return an average of group-time effects."""
    if fit is None:
        return Number(n=max(len(frame), 1))
    change = fit.average(first, last)
    counts: dict[str, Any] = {"n": fit.rows, "clusters": fit.units}
    if not change.std_error > 0:
        return Number(**counts)
    low, high = change.interval
    influence = change.influence[fit.involved]
    labels = [f"{place:06d}" for place in range(len(influence))]
    resample = resampling.of_influence(change.estimate, influence, labels)
    return Number(change.estimate, change.std_error, low, high, change.p_value, **counts, resample=resample)


def _by_training(forms: pd.DataFrame) -> pd.DataFrame:
    """Return forms, share answered and questions left open by what training the caseworker had by then."""
    rows = []
    basic, refreshed = forms["basic_by_then"].to_numpy(dtype=bool), forms["boost_by_then"].to_numpy(dtype=bool)
    for name, chosen in (("none", ~basic & ~refreshed), ("basic", basic & ~refreshed), ("refreshed", refreshed)):
        part = forms[chosen]
        number = share(values=part["value"].to_numpy(dtype=np.float64), clusters=part["who"].to_numpy())
        rows.append(
            {
                "training_key": f"analyses.trained.{name}",
                "caseworkers": int(part["who"].nunique()),
                "forms": len(part),
                "share": number.estimate,
                "share_low": number.conf_low,
                "share_high": number.conf_high,
                "missing": float(part.loc[part["answered"] == 1.0, "missing"].mean()) if len(part) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _by_quarter(fit: Any) -> pd.DataFrame:
    """Return the change by quarter since the refresher."""
    columns = ["since_key", "estimate", "conf_low", "conf_high", "note_key", "groups"]
    if fit is None:
        return pd.DataFrame(columns=columns)
    table = fit.event_study(BEFORE, AFTER).dropna(subset=["estimate"])
    table["since_key"] = [f"analyses.training.quarter?n={_signed(since)}" for since in table["since"]]
    # All others are set against this one: its nought was not estimated.
    against = table["since"] == -1
    table["note_key"] = np.where(against, "analyses.training.reference", "")
    table[["conf_low", "conf_high"]] = table[["conf_low", "conf_high"]].mask(against)
    table["groups"] = table["groups"].astype("Int64").mask(against)
    return table[columns].reset_index(drop=True)


def _signed(number: int) -> str:
    """Return a whole number with its sign."""
    return f"{number:+d}".replace("-", "\u2212") if number else "0"


def _figures(table: pd.DataFrame) -> dict[str, FigureSpec]:
    """Return the change by quarter since the refresher, in percentage points."""
    if table.empty:
        return {}
    frame = table.rename(columns={"since_key": "label_key"})
    frame[["estimate", "conf_low", "conf_high"]] *= 100.0
    options = {"reference": 0.0, "log": False, "axis_label_key": "analyses.axis.points_answered"}
    return {"by_quarter": FigureSpec("forest", frame, "analyses.training.figure_by_quarter", options)}
