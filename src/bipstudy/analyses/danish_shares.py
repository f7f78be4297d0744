"""Weights under which the participants have the published Danish shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.estimating import attempt
from bipstudy.analyses.published import published_numbers

# Published share -> column of the participants, and whether the share is of those without it.
COLUMNS = {
    "D1": ("vocational_qualification", True),
    "D2": ("mental_ill_health", False),
    "D10": ("musculoskeletal_disorder", False),
}


def danish_weights(frame: pd.DataFrame) -> npt.NDArray[np.float64] | None:
    """Return weights under which the shares of the participants are the published Danish ones.

    Without a vocational qualification, with mental ill-health, with a musculoskeletal disorder: what is published and
    in the tables. A column in which everybody is alike, or nobody is known, is left out.

    Parameters
    ----------
    frame : DataFrame
        One row per participant, with those columns as 1, 0 or missing.

    Returns
    -------
    array of shape (rows,) or None
        With mean 1; None where none of the columns can be used.
    """
    from bipstudy import models

    margins = _margins(frame)
    if not margins:
        return None
    flags = np.column_stack([flag for _, flag, _ in margins])
    return attempt(lambda: models.rake(flags=flags, targets=np.array([target for *_, target in margins])))


def weighted_shares(frame: pd.DataFrame, weights: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Return each published share that is met: of the participants as they are, as published, and as weighted.

    Parameters
    ----------
    frame : DataFrame
        As for `danish_weights`.
    weights : array of shape (rows,)

    Returns
    -------
    DataFrame
        ``benchmark_id, contrast_key, own, danish, weighted``.
    """
    rows = []
    for name, flag, target in _margins(frame):
        known = ~np.isnan(flag)
        mean = float(np.average(flag[known], weights=weights[known]))
        contrast = f"analyses.contrast.{'no_' if COLUMNS[name][1] else ''}{COLUMNS[name][0]}"
        rows.append((name, contrast, float(flag[known].mean()), target, mean))
    return pd.DataFrame(rows, columns=["benchmark_id", "contrast_key", "own", "danish", "weighted"])


def effective_size(weights: npt.NDArray[np.float64]) -> float:
    """Return how many participants of equal weight would say as much (Kish 1965).

    Examples
    --------
    >>> import numpy as np
    >>> effective_size(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    return float(weights.sum() ** 2 / (weights @ weights))


def _margins(frame: pd.DataFrame) -> list[tuple[str, npt.NDArray[np.float64], float]]:
    """Return each published share that can be met: its finding, who counts (1, 0 or missing), and the share."""
    published = published_numbers()
    found = []
    for name, (column, without) in COLUMNS.items():
        values = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        known = values[~np.isnan(values)]
        if (name, "") in published and len(set(known)) == 2:
            found.append((name, 1.0 - values if without else values, published[name, ""]))
    return found
