"""The participant's own job search at later measurements, and the answers that go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.common import CLUSTER, formula, with_background
from bipstudy.analyses.estimating import Label, Number, attempt, from_tidy
from bipstudy.analyses.indicators_models import Indicator, deviations, turned

JOB_SEARCH = "p_job_search"
Rows = list[tuple[Label, Number]]


def job_search_rows(
    whole: pd.DataFrame, first: pd.DataFrame, background: list[str], items: list[Indicator], name: str
) -> Rows:
    """Return what goes with job search at the next measurement: after the first, after every one, and within people.

    Parameters
    ----------
    whole : DataFrame
        All occasions at risk, by participant and day.
    first : DataFrame
        The first measurements, with background.
    background : list of str
    items : list of Indicator
    name : str
        Of the analysis.

    Returns
    -------
    list of (Label, Number)
    """
    following = _following(whole)
    start = whole["first_measurement"].to_numpy(dtype=bool)
    rows = _each(first, following[start], background, items, (name, "job_search_later", [CLUSTER]))
    # Every occasion with a next one, not only the first; later rows of a person are no news of a person's own.
    every, terms = with_background(whole.reset_index(drop=True))
    own = [each for each in items if each.respondent == "participant"]
    rows += _each(every, following, terms, own, (name, "job_search_recurring", [CLUSTER, "participant"]))
    return rows + _within(every, following, own, name)


def _following(whole: pd.DataFrame) -> Any:
    """Return the participant's own job search at the next measurement, where there is one, turned to readiness."""
    if JOB_SEARCH not in whole:
        return np.full(len(whole), np.nan)
    # The change per quarter is known only where there is a next answer; the answer itself stands on the next row.
    later = whole.groupby("participant", sort=False)[JOB_SEARCH].shift(-1)
    return turned(later.to_numpy(dtype=np.float64), "job_search")


def _each(
    frame: pd.DataFrame,
    following: Any,
    background: list[str],
    items: list[Indicator],
    about: tuple[str, str, list[str]],
) -> Rows:
    """Return the association of each answer with the next job search, adjusted for the present one."""
    from bipstudy import models

    name, outcome, cluster = about
    added = {f"z_{each.column}": turned(frame[each.column].to_numpy(dtype=np.float64), each.item) for each in items}
    kept = list(dict.fromkeys([*background, *cluster]))
    whole = pd.concat([frame[kept], pd.DataFrame({**added, "later": deviations(following)}, index=frame.index)], axis=1)
    own = f"z_{JOB_SEARCH}"
    rows: Rows = []
    for each in items:
        column = f"z_{each.column}"
        label = Label(name, f"per_sd_{each.respondent}", "sd", outcome, each.item, None, "background_first")
        used = [column] if column == own or own not in whole else [column, own]
        some = whole[["later", *used, *kept]].dropna()
        fit = attempt(
            lambda some=some, used=used: models.linear_probability(  # type: ignore[misc]
                some, formula("later", used, background), cluster=cluster
            )
        )
        made = fit is not None and column in fit.terms
        rows.append((label, from_tidy(fit.tidy(), column, fit) if made else Number(n=max(len(some), 1))))  # type: ignore[union-attr]
    return rows


def _within(frame: pd.DataFrame, following: Any, items: list[Indicator], name: str) -> Rows:
    """Return the same within participants and quarters, all other answers in one model.

    The participant's job search itself is not among them: with a few occasions each, its own past within a person is
    negative by construction (Nickell 1981).
    """
    from bipstudy import models

    others = [each for each in items if each.column != JOB_SEARCH]
    columns = {f"z_{each.column}": turned(frame[each.column].to_numpy(dtype=np.float64), each.item) for each in others}
    used = pd.DataFrame({**columns, "later": deviations(following)}, index=frame.index)
    used = used.loc[:, used.notna().any()]
    used = pd.concat([used, frame[["participant", "quarter", CLUSTER]]], axis=1).dropna()
    terms = [column for column in columns if column in used]
    fit = None
    if terms and "later" in used and len(used):
        fit = attempt(
            lambda: models.linear_probability(
                used, formula("later", terms) + " | participant + quarter", cluster=CLUSTER
            )
        )
    rows: Rows = []
    for each in others:
        column = f"z_{each.column}"
        label = Label(name, "per_sd_participant", "sd", "job_search_recurring", each.item, None, "participant_quarter")
        number = Number(n=max(len(used), 1))
        if fit is not None and column in fit.terms:
            number = from_tidy(fit.tidy(), column, fit)
        rows.append((label, number))
    return rows
