"""Numbers of occasions where a file has none, from the dates of the forms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

# The two forms of one occasion are answered within this many days of each other.
PAIRED_WITHIN_DAYS = 45


def assign_occasions(measurements: pd.DataFrame, window_days: int = PAIRED_WITHIN_DAYS) -> pd.Series:
    """Return the number of each form's occasion, by date, with the forms of different respondents paired.

    A form begins a new occasion if its respondent already has a form in the current one, or if it is dated more than
    `window_days` after the occasion's first form.

    Parameters
    ----------
    measurements : DataFrame
        Forms with ``organisation_id, participant_id, respondent, answered_on`` and perhaps ``due_on``.
    window_days : int, default 45

    Returns
    -------
    Series of Int64
        With the index of `measurements`; missing where a form has no date.

    Examples
    --------
    >>> forms = pd.DataFrame({"organisation_id": "A", "participant_id": "1",
    ...     "respondent": ["participant", "caseworker", "participant"],
    ...     "answered_on": pd.to_datetime(["2024-01-10", "2024-01-15", "2024-02-01"])})
    >>> assign_occasions(forms).tolist()
    [1, 1, 2]
    """
    forms = _dated(measurements).dropna(subset="date")
    forms = forms.sort_values(["organisation", "participant", "date", "respondent"], kind="stable")
    numbers, person, number, first, seen = [], None, 0, pd.Timestamp(0), set[str]()
    for organisation, participant, date, respondent in forms.itertuples(index=False):
        if (organisation, participant) != person:
            person, number, seen = (organisation, participant), 0, set()
        if not seen or respondent in seen or (date - first).days > window_days:
            number, first, seen = number + 1, date, set()
        seen.add(respondent)
        numbers.append(number)
    return pd.Series(numbers, index=forms.index, dtype="Int64").reindex(measurements.index)


def join_occasions(
    measurements: pd.DataFrame, unnumbered: npt.NDArray[np.bool_], window_days: int = PAIRED_WITHIN_DAYS
) -> pd.Series:
    """Return the number of each form's occasion, where one file has numbers and another only dates.

    A form without a number joins the nearest occasion of the participant whose form of another respondent is dated
    within `window_days`; the closest pairs are joined first, the earlier occasion where two are as close, and no
    occasion gets two forms of one respondent.

    Parameters
    ----------
    measurements : DataFrame
        Forms with ``organisation_id, participant_id, respondent, occasion, answered_on`` and perhaps ``due_on``.
    unnumbered : (n,) bool array
        Forms of the files that have no numbers.
    window_days : int, default 45

    Returns
    -------
    Series of Int64
        With the index of `measurements`; missing where no occasion is near.

    Examples
    --------
    >>> forms = pd.DataFrame({"organisation_id": "A", "participant_id": "1", "occasion": [1, 2, None],
    ...     "respondent": ["participant", "participant", "caseworker"],
    ...     "answered_on": pd.to_datetime(["2024-01-10", "2024-04-10", "2024-04-02"])})
    >>> join_occasions(forms, np.array([False, False, True])).tolist()
    [1, 2, 2]
    """
    forms = _dated(measurements).reset_index(drop=True)
    forms["occasion"] = measurements["occasion"].astype("Int64").array
    forms["row"] = np.arange(len(forms))
    person = ["organisation", "participant"]
    known = forms[~unnumbered & forms["occasion"].notna().to_numpy() & forms["date"].notna().to_numpy()]
    pairs = forms[unnumbered].drop(columns="occasion").merge(known, on=person, suffixes=("", "_known"))
    pairs["days"] = (pairs["date"] - pairs["date_known"]).abs().dt.days
    pairs = pairs[(pairs["respondent"] != pairs["respondent_known"]) & (pairs["days"] <= window_days)]
    pairs = pairs.sort_values(["days", *person, "occasion", "date", "row"], kind="stable")
    taken = set(known[[*person, "occasion", "respondent"]].itertuples(index=False, name=None))
    numbers: dict[int, int] = {}
    for pair in pairs.itertuples(index=False):
        place = (pair.organisation, pair.participant, pair.occasion, pair.respondent)
        if pair.row not in numbers and place not in taken:
            taken.add(place)
            numbers[pair.row] = pair.occasion
    joined = forms["occasion"].where(~unnumbered, forms["row"].map(numbers).astype("Int64"))
    return joined.set_axis(measurements.index)


def _dated(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return organisation, participant, date and respondent of each form."""
    dated = measurements["answered_on"]
    if "due_on" in measurements:
        dated = dated.fillna(measurements["due_on"])
    return pd.DataFrame(
        {
            "organisation": measurements["organisation_id"].astype(object).fillna(""),
            "participant": measurements["participant_id"].astype(object).fillna(""),
            "date": dated,
            "respondent": measurements["respondent"].astype(object).fillna(""),
        }
    )
