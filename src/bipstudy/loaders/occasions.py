"""Numbers of occasions where a file has none, from the dates of the forms."""

from __future__ import annotations

import pandas as pd

# The two forms of one occasion are answered within this many days of each other.
PAIRED_WITHIN_DAYS = 45


def assign_occasions(measurements: pd.DataFrame) -> pd.Series:
    """Return the number of each form's occasion, by date, with the forms of different respondents paired.

    A form begins a new occasion if its respondent already has a form in the current one, or if it is dated more than
    45 days after the occasion's first form.

    Parameters
    ----------
    measurements : DataFrame
        Forms with ``organisation_id, participant_id, respondent, answered_on`` and perhaps ``due_on``.

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
    dated = measurements["answered_on"]
    if "due_on" in measurements:
        dated = dated.fillna(measurements["due_on"])
    forms = pd.DataFrame(
        {
            "organisation": measurements["organisation_id"].astype(object).fillna(""),
            "participant": measurements["participant_id"].astype(object).fillna(""),
            "date": dated,
            "respondent": measurements["respondent"].astype(object).fillna(""),
        }
    ).dropna(subset="date")
    forms = forms.sort_values(["organisation", "participant", "date", "respondent"], kind="stable")
    numbers, person, number, first, seen = [], None, 0, pd.Timestamp(0), set[str]()
    for organisation, participant, date, respondent in forms.itertuples(index=False):
        if (organisation, participant) != person:
            person, number, seen = (organisation, participant), 0, set()
        if not seen or respondent in seen or (date - first).days > PAIRED_WITHIN_DAYS:
            number, first, seen = number + 1, date, set()
        seen.add(respondent)
        numbers.append(number)
    return pd.Series(numbers, index=forms.index, dtype="Int64").reindex(measurements.index)
