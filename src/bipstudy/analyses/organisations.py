"""Organisations side by side: each one's share, where chance would put it, and a random-effects mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses.estimating import Number, Z, attempt
from bipstudy.analyses.result import FigureSpec

# Smaller ones are counted in the whole but not shown: their shares would tell of single participants.
FEWEST_PARTICIPANTS = 20
FEWEST_EVENTS = 5
COLUMNS = ["organisation", "n", "estimate", "conf_low", "conf_high", "limit_low", "limit_high", "outside_key"]
POOLED = ["what", "organisations", "estimate", "conf_low", "conf_high", "new_low", "new_high", "i2", "p_value"]


def shown(numbers: Mapping[str, Number]) -> dict[str, Number]:
    """Return the shares of the organisations that are large enough to show, by organisation.

    Parameters
    ----------
    numbers : mapping of str to Number
        Share, error, participants and events of each organisation.

    Returns
    -------
    dict of str to Number
        Sorted by organisation.
    """
    found = {}
    for name in sorted(numbers):
        number = numbers[name]
        events = number.events or 0
        enough = number.n >= FEWEST_PARTICIPANTS and FEWEST_EVENTS <= events <= number.n - FEWEST_EVENTS
        if enough and number.std_error > 0:
            found[name] = number
    return found


def pooled(numbers: Mapping[str, Number]) -> Any:
    """Return the random-effects mean of shares on the logit scale, None with fewer than two."""
    from bipstudy import models

    chosen = list(shown(numbers).values())
    if len(chosen) < 2:
        return None
    logits = [_logit(number.estimate) for number in chosen]
    errors = [number.std_error / (number.estimate * (1 - number.estimate)) for number in chosen]
    return attempt(lambda: models.random_effects(estimates=logits, errors=errors))


def mean_number(numbers: Mapping[str, Number]) -> Number:
    """Return the random-effects mean as a share, with its interval.

    Parameters
    ----------
    numbers : mapping of str to Number

    Returns
    -------
    Number
        NaN with fewer than two organisations that are shown.
    """
    n, events = sum(number.n for number in numbers.values()), sum(number.events or 0 for number in numbers.values())
    fit = pooled(numbers)
    counts: dict[str, Any] = {"n": max(n, 1), "events": events, "clusters": len(numbers)}
    if fit is None:
        return Number(**counts)
    centre = _share(fit.estimate)
    error = fit.std_error * centre * (1 - centre)
    return Number(centre, error, _share(fit.conf_low), _share(fit.conf_high), math.nan, **counts)


def side_by_side(numbers: Mapping[str, Number]) -> pd.DataFrame:
    """Return each organisation's share beside the limits of a funnel around the common share.

    Parameters
    ----------
    numbers : mapping of str to Number

    Returns
    -------
    DataFrame
        ``organisation, n, estimate, conf_low, conf_high, limit_low, limit_high, outside_key``. Between the limits lie
        95 of 100 organisations of that size, were all alike (Spiegelhalter 2005).
    """
    chosen = shown(numbers)
    total = sum(number.n for number in chosen.values())
    common = _logit(sum(number.n * number.estimate for number in chosen.values()) / total) if total else math.nan
    rows = []
    for name, number in chosen.items():
        # The error at the common share: who lies far out by chance has an error of its own that misleads.
        spread = number.estimate * (1 - number.estimate)
        error = number.std_error / math.sqrt(spread) / math.sqrt(_share(common) * (1 - _share(common)))
        low, high = _share(common - Z * error), _share(common + Z * error)
        inside = low <= number.estimate <= high
        ends = (number.estimate, number.conf_low, number.conf_high, low, high)
        rows.append((name, number.n, *ends, "analyses.no" if inside else "analyses.yes"))
    return pd.DataFrame(rows, columns=COLUMNS)


def summary(numbers: Mapping[str, Mapping[str, Number]]) -> pd.DataFrame:
    """Return means, intervals for a new organisation and heterogeneity, one row per quantity.

    Parameters
    ----------
    numbers : mapping of str to mapping of str to Number
        Key of the words of each quantity, to the share of each organisation.

    Returns
    -------
    DataFrame
        ``what_key, organisations, estimate, conf_low, conf_high, new_low, new_high, i2, p_value``.
    """
    rows = []
    for key, each in numbers.items():
        fit = pooled(each)
        if fit is not None:
            ends = (fit.estimate, fit.conf_low, fit.conf_high, fit.new_low, fit.new_high)
            rows.append((key, fit.count, *map(_share, ends), fit.i2, fit.q_p_value))
    return pd.DataFrame(rows, columns=POOLED).rename(columns={"what": "what_key"})


def figure(numbers: Mapping[str, Number], caption: str, axis: str) -> dict[str, FigureSpec]:
    """Return the shares of the organisations with their random-effects mean, if there are two or more."""
    table, mean = side_by_side(numbers), mean_number(numbers)
    if len(table) < 2 or math.isnan(mean.estimate):
        return {}
    frame = table[["organisation", "estimate", "conf_low", "conf_high", "n"]].rename(
        columns={"organisation": "label_key"}
    )
    last = {"label_key": "analyses.contrast.organisations_mean", "n": int(table["n"].sum())}
    ends = {"estimate": mean.estimate, "conf_low": mean.conf_low, "conf_high": mean.conf_high}
    frame = pd.concat([frame, pd.DataFrame([{**last, **ends}])], ignore_index=True)
    return {"organisations": FigureSpec("shares", frame, caption, {"axis_label_key": axis, "decimals": 1})}


def _logit(share: float) -> float:
    """Return the logit of a share."""
    return math.log(share / (1 - share))


def _share(logit: float) -> float:
    """Return the share of a logit, NaN of NaN."""
    return float(1 / (1 + np.exp(-logit)))
