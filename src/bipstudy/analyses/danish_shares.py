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

    published = published_numbers()
    flags, targets = [], []
    for name, (column, without) in COLUMNS.items():
        values = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        known = values[~np.isnan(values)]
        if (name, "") in published and len(set(known)) == 2:
            flags.append(1.0 - values if without else values)
            targets.append(published[name, ""])
    if not flags:
        return None
    return attempt(lambda: models.rake(flags=np.column_stack(flags), targets=np.array(targets)))
