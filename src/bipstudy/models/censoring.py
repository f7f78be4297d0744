r"""Inverse probability of censoring weights from a discrete hazard of censoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.hazard import HazardFit, discrete_hazard

__all__ = ["CensoringWeights", "censoring_weights"]


@dataclass(frozen=True)
class CensoringWeights:
    """Weights and the models they come from.

    Attributes
    ----------
    weights : Series
        One per row of the frame, with its index; missing where a predictor is.
    fit : HazardFit
        Hazard of censoring.
    numerator : HazardFit or None
        Hazard of censoring that stabilises the weights.
    truncated : int
        Weights cut off at the largest allowed.
    """

    weights: pd.Series
    fit: HazardFit
    numerator: HazardFit | None
    truncated: int


def censoring_weights(
    frame: pd.DataFrame,
    formula: str,
    person: str,
    period: str = "period",
    *,
    numerator: str | None = None,
    at: str = "end",
    largest: float | None = None,
) -> CensoringWeights:
    r"""Weights that make up for persons lost to follow-up, if censoring depends on what is in the model only.

    With :math:`c_{is}` the hazard of being censored in period s, given by a logit on the person-periods at risk, the
    weight of period t is :math:`\prod_s (1 - c^*_{is}) / \prod_s (1 - c_{is})`, :math:`c^*` from the model
    `numerator` (one if there is none).

    Parameters
    ----------
    frame : DataFrame
        One row per person and period under observation; the response of `formula` is 1 in the last period of a person
        who was then lost, and 0 otherwise. A person whose follow-up ended in the event or at the end of the study as
        planned is never 1.
    formula : str
        ``"lost ~ x + C(period)"``.
    person, period : str
    numerator : str, optional
        ``"lost ~ C(period)"`` or with what the analysis adjusts for anyway; gives stabilised weights.
    at : {"end", "start"}
        Whether a lost person's last row still tells whether the event came in that period (``end``: loss happens after
        it, the product runs over earlier periods) or not (``start``: the product includes the period itself, and rows
        with loss are to be left out of the analysis).
    largest : float, optional
        Weights are cut off here, and counted.

    Returns
    -------
    CensoringWeights

    Raises
    ------
    ModelError
        If a person has two rows for a period, or a hazard of censoring is one.

    Examples
    --------
    >>> import pandas as pd
    >>> from bipstudy import models
    >>> frame = pd.DataFrame({"person": [1, 1, 2, 3, 3, 4], "period": [1, 2, 1, 1, 2, 1], "lost": [0, 0, 1, 0, 0, 0]})
    >>> models.censoring_weights(frame, "lost ~ 1", person="person").weights.round(2).tolist()
    [1.0, 1.2, 1.0, 1.0, 1.2, 1.0]

    References
    ----------
    Robins, J. M., Finkelstein, D. M. (2000). Correcting for noncompliance and dependent censoring in an AIDS clinical
    trial with inverse probability of censoring weighted (IPCW) log-rank tests. Biometrics 56, 779-788.
    """
    if at not in ("end", "start"):
        raise ModelError(f"at must be 'end' or 'start', got {at!r}")
    if frame.duplicated([person, period]).any():
        raise ModelError("a person has two rows for the same period")
    fit = discrete_hazard(frame, formula, link="logit", person=person)
    above = None if numerator is None else discrete_hazard(frame, numerator, link="logit", person=person)
    bottom = _staying(fit, frame, person, period, at)
    top = np.ones(len(frame)) if above is None else _staying(above, frame, person, period, at)
    if np.any(bottom <= 0.0):
        raise ModelError("somebody was certain to be censored; no weight can make up for that")
    weights = top / bottom
    truncated = 0
    if largest is not None:
        truncated = int((weights > largest).sum())
        weights = np.minimum(weights, largest)
    return CensoringWeights(pd.Series(weights, index=frame.index, name="ipcw"), fit, above, truncated)


def _staying(fit: HazardFit, frame: pd.DataFrame, person: str, period: str, at: str) -> npt.NDArray[np.float64]:
    """Probability of not being censored up to each row; missing from a person's first gap on."""
    known = frame[list(fit.design.variables)].notna().all(axis=1).to_numpy()
    stay = np.full(len(frame), np.nan)
    stay[known] = 1.0 - fit.predict(frame[known])
    table = pd.DataFrame({"person": frame[person].to_numpy(), "period": frame[period].to_numpy(), "stay": stay})
    ordered = table.sort_values(["person", "period"], kind="stable")
    if at == "end":
        ordered["stay"] = ordered.groupby("person")["stay"].shift(1)
        ordered.loc[~ordered["person"].duplicated(), "stay"] = 1.0
    # A gap makes every later product unknown: it is carried as a missing logarithm.
    logs = np.log(ordered["stay"].to_numpy())
    logs[np.isneginf(logs)] = -1e6
    ordered["sum"] = logs
    gap = ordered["sum"].isna().groupby(ordered["person"]).cumsum() > 0
    total = ordered["sum"].fillna(0.0).groupby(ordered["person"]).cumsum().where(~gap)
    return np.asarray(np.exp(total.sort_index().to_numpy(dtype=np.float64)))
