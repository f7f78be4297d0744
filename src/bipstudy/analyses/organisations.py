"""Organisations side by side: each one's share, where chance would put it, and a random-effects mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.estimating import Number, attempt
from bipstudy.analyses.result import FigureSpec

# Smaller ones are not shown: their shares would tell of single participants. Few events do not keep an organisation out
# of the mean: who has few because the share is low would be left out for it, and the mean would be too high.
FEWEST_PARTICIPANTS = 20
FEWEST_EVENTS = 5
COLUMNS = ["organisation", "n", "estimate", "conf_low", "conf_high", "limit_low", "limit_high", "outside_key"]
# Sizes at which the limits of a funnel are drawn.
GRID = 120
FloatArray = npt.NDArray[np.float64]
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


def counted(numbers: Mapping[str, Number]) -> list[Number]:
    """Return the shares of the organisations that count in the mean: all with enough participants, in order."""
    known = (numbers[name] for name in sorted(numbers))
    return [number for number in known if number.n >= FEWEST_PARTICIPANTS and not math.isnan(number.estimate)]


def pooled(numbers: Mapping[str, Number]) -> Any:
    r"""Return the random-effects mean of shares on the logit scale, None with fewer than two.

    With :math:`m_i` what the participants are `worth`, the logits are
    :math:`\log((m_i p_i + 1/2) / (m_i (1 - p_i) + 1/2))`, which is nearly unbiased and there without events too
    (Haldane 1956), and their variances :math:`1 / (m_i \bar p (1 - \bar p))` at the common share: with its own share
    in its variance an organisation would weigh more the higher its share happens to be. Errors have a floor, see
    `bipstudy.models.random_effects`.
    """
    from bipstudy import models

    chosen, common = counted(numbers), common_share(numbers)
    if len(chosen) < 2 or not 0 < common < 1:
        return None
    sizes = [worth(number) for number in chosen]
    shares = [number.estimate for number in chosen]
    logits = [
        math.log((size * share + 0.5) / (size * (1 - share) + 0.5)) for size, share in zip(sizes, shares, strict=True)
    ]
    errors = [1 / math.sqrt(size * common * (1 - common)) for size in sizes]
    return attempt(lambda: models.random_effects(estimates=logits, errors=errors, floor=True))


def mean_number(numbers: Mapping[str, Number]) -> Number:
    """Return the random-effects mean as a share, with its interval.

    Parameters
    ----------
    numbers : mapping of str to Number

    Returns
    -------
    Number
        NaN with fewer than two organisations of enough participants.
    """
    n, events = sum(number.n for number in numbers.values()), sum(number.events or 0 for number in numbers.values())
    fit = pooled(numbers)
    counts: dict[str, Any] = {"n": max(n, 1), "events": events, "clusters": len(numbers)}
    if fit is None:
        return Number(**counts)
    centre = _share(fit.estimate)
    error = fit.std_error * centre * (1 - centre)
    return Number(centre, error, _share(fit.conf_low), _share(fit.conf_high), math.nan, **counts)


def funnel_limits(*, size: FloatArray, share: float, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the shares between which chance keeps units of given sizes, were all alike.

    Exact binomial limits, interpolated between whole numbers of events so that the tails are what they are said to be.

    Parameters
    ----------
    size : array of shape (n,)
        Participants, at least one; rounded.
    share : float
        The common share, between 0 and 1.
    level : float

    Returns
    -------
    low, high : arrays of shape (n,)

    References
    ----------
    Spiegelhalter, D. J. (2005). Funnel plots for comparing institutional performance. Statistics in Medicine 24,
    1185-1202, appendix A.1.1.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = funnel_limits(size=np.array([100.0]), share=0.2)
    >>> [round(float(end[0]), 3) for end in (low, high)]
    [0.12, 0.276]
    """
    from scipy.stats import binom

    cases = np.maximum(np.round(np.asarray(size, dtype=np.float64)), 1.0)
    ends = []
    for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0):
        reached = binom.ppf(tail, cases, share)
        at, below = binom.cdf(reached, cases, share), binom.cdf(reached - 1, cases, share)
        ends.append(np.clip((reached - (at - tail) / (at - below)) / cases, 0.0, 1.0))
    return ends[0], ends[1]


def common_share(numbers: Mapping[str, Number]) -> float:
    """Return the share of all participants of the organisations that count, NaN without any."""
    chosen = counted(numbers)
    total = sum(number.n for number in chosen)
    return sum(number.n * number.estimate for number in chosen) / total if total else math.nan


def worth(number: Number) -> float:
    """Return how many participants, each by themselves and all followed, would give a share the error it has.

    Never more than there are, which few events may pretend; without events, as many.
    """
    if not (number.std_error > 0 and 0 < number.estimate < 1):
        return float(number.n)
    return min(number.estimate * (1 - number.estimate) / number.std_error**2, float(number.n))


def side_by_side(numbers: Mapping[str, Number]) -> pd.DataFrame:
    """Return each organisation's share beside the limits of a funnel around the common share.

    Parameters
    ----------
    numbers : mapping of str to Number

    Returns
    -------
    DataFrame
        ``organisation, n, estimate, conf_low, conf_high, limit_low, limit_high, outside_key``. Between the limits lie
        95 of 100 organisations of that size, were all alike: exact binomial limits for what the participants are
        `worth`, who share caseworkers and are not all followed.
    """
    chosen, common = shown(numbers), common_share(numbers)
    rows = []
    for name, number in chosen.items():
        low, high = (float(end[0]) for end in funnel_limits(size=np.array([worth(number)]), share=common))
        inside = low <= number.estimate <= high
        ends = (number.estimate, number.conf_low, number.conf_high, low, high)
        rows.append((name, number.n, *ends, "analyses.no" if inside else "analyses.yes"))
    return pd.DataFrame(rows, columns=COLUMNS)


def funnel(numbers: Mapping[str, Number], caption: str, axis: str) -> dict[str, FigureSpec]:
    """Return the shares of the organisations in a funnel around the common share, if there are two or more."""
    chosen, common = shown(numbers), common_share(numbers)
    if len(chosen) < 2:
        return {}
    sizes = {name: worth(number) for name, number in chosen.items()}
    frame = pd.DataFrame(
        {"label": list(chosen), "x": list(sizes.values()), "y": [number.estimate for number in chosen.values()]}
    )
    grid = np.unique(np.round(np.linspace(0.15, 1.15, GRID) * frame["x"].max()))
    limits = {"x": grid}
    for name, level in (("inner", 0.95), ("outer", 0.998)):
        limits[f"{name}_low"], limits[f"{name}_high"] = funnel_limits(size=grid, share=common, level=level)
    options = {
        "limits": pd.DataFrame(limits),
        "centre": common,
        "x_label_key": "analyses.axis.worth",
        "y_label_key": axis,
        "inner_label_key": "analyses.funnel.inner",
        "outer_label_key": "analyses.funnel.outer",
        "centre_label_key": "analyses.funnel.centre",
    }
    return {"funnel": FigureSpec("funnel", frame, caption, options)}


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
    whole = sum(number.n for number in counted(numbers))
    last = {"label_key": "analyses.contrast.organisations_mean", "n": whole}
    ends = {"estimate": mean.estimate, "conf_low": mean.conf_low, "conf_high": mean.conf_high}
    frame = pd.concat([frame, pd.DataFrame([{**last, **ends}])], ignore_index=True)
    return {"organisations": FigureSpec("shares", frame, caption, {"axis_label_key": axis, "decimals": 1})}


def _share(logit: float) -> float:
    """Return the share of a logit, NaN of NaN."""
    return float(1 / (1 + np.exp(-logit)))
