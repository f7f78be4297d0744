"""Everybody's first measurement, followed or not: what a caseworker's answers about others are read from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.panel.assembly import Parts, background, calendar, exposures, identity, read_parts
from bipstudy.panel.coding import take
from bipstudy.panel.days import Ints, dates_of
from bipstudy.study import Study


def first_measurements(study: Study, outcome: str = "primary") -> pd.DataFrame:
    """Return one row per participant with an answered form: the first measurement, as of its day.

    `build_panel` leaves out those who are not followed from the wash-out on. Who they are depends on what happened to
    them, so that a caseworker's earlier answers must be read from all first measurements and not from the panel.

    Parameters
    ----------
    study : Study
    outcome : {"primary", "narrow", "broad"}
        Definition of a transition.

    Returns
    -------
    DataFrame
        Sorted by participant. Identity, answers, exposures and background as in the panel; `answered_on` is the last
        day that the measurement may be of and `answered_from` the first; `instrument` is that of the caseworker's form
        (missing without one); `transition_on` is the first day of the transition, NaT if none is known.

    Examples
    --------
    >>> import bipstudy as bip
    >>> from bipstudy.panel import first_measurements
    >>> first = first_measurements(bip.load_example())
    >>> bool(first["participant"].is_unique), bool((first["answered_from"] <= first["answered_on"]).all())
    (True, True)
    """
    parts = read_parts(study, schema.transition(outcome), "first_measurement")
    occasions = parts.occasions
    rows = np.flatnonzero(occasions.first)
    person, answered = occasions.person[rows], occasions.answered[rows]
    columns = {
        **identity(parts, person),
        "occasion": occasions.number[rows],
        "answered_on": dates_of(answered),
        "answered_from": dates_of(occasions.answered_first[rows]),
        **calendar(parts, person, answered),
        **{column: values[rows] for column, values in occasions.scores.items()},
        **{f"{column}_raw": values[rows] for column, values in occasions.raw.items()},
        **exposures(parts, person, answered, parts.entered[person], rows),
        "transition_on": dates_of(parts.follow_up.transition[person]),
        **background(parts, person),
        "instrument": _instrument(study, parts, person, occasions.number[rows]),
    }
    return pd.DataFrame(columns, copy=False)


def _instrument(study: Study, parts: Parts, person: Ints, number: Ints) -> pd.api.extensions.ExtensionArray:
    """Return the questionnaire of the caseworker's form at some occasions, the last in order of several."""
    forms, of = study.measurements, parts.coded.person["measurements"]
    answered = (forms["respondent"] == "caseworker") & (forms["form_status"] == "answered")
    chosen = np.flatnonzero(answered.to_numpy(dtype=bool) & (of >= 0))
    occasion = forms["occasion"].to_numpy(dtype=np.int64, na_value=0)[chosen]
    codes, names = pd.factorize(forms["instrument"].array[chosen], sort=True)
    keys, wanted = of[chosen] * 1000 + occasion, person * 1000 + number
    order = np.lexsort((codes, keys))
    keys, codes = keys[order], codes[order]
    place = np.searchsorted(keys, wanted, side="right") - 1
    found = place >= 0
    found[found] = keys[place[found]] == wanted[found]
    last = np.full(len(wanted), -1, dtype=np.int64)
    last[found] = codes[place[found]]
    return take(pd.array(names, dtype=schema.STRING), last)
