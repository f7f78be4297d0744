"""Numbers of occasions where a file has none, from the dates of the forms."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd

# The two forms of one occasion are answered within this many days of each other.
PAIRED_WITHIN_DAYS = 45


def assign_occasions(measurements: pd.DataFrame, window_days: int = PAIRED_WITHIN_DAYS) -> pd.Series:
    """Return the number of each form's occasion, by date, with the forms of the two respondents paired.

    Forms stay in the order of their dates for each respondent. Of all ways to pair them the one is taken in which the
    days between the two forms of a pair, and half of `window_days` for each form that is left alone, are fewest: so
    none is paired over more than `window_days`, and of two that are near, the nearer. What one respondent answers
    twice on the same day is one occasion, so that it is found as a form sent twice.

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
    ...     "respondent": ["participant", "caseworker", "caseworker", "participant"],
    ...     "answered_on": pd.to_datetime(["2024-01-10", "2024-03-15", "2024-04-12", "2024-04-10"])})
    >>> assign_occasions(forms).tolist()
    [1, 2, 3, 3]
    """
    forms = _dated(measurements).dropna(subset="date")
    forms["day"] = _days(forms["date"])
    forms["side"] = forms["respondent"] != "participant"
    key = ["organisation", "participant", "day", "side", "respondent", "copy"]
    once = forms[key].drop_duplicates().sort_values(key, kind="stable", ignore_index=True)
    once["number"] = _numbered(once, window_days)
    numbers = forms[key].merge(once, on=key, how="left")["number"].astype("Int64").set_axis(forms.index)
    return numbers.reindex(measurements.index)


def _numbered(forms: pd.DataFrame, window: int) -> npt.NDArray[np.int64]:
    """Return the number of the occasion of each form; rows ordered by participant and day.

    Days more than `window` apart part a participant's forms into groups, nearly all of one form or two.
    """
    day, side = forms["day"].to_numpy(), forms["side"].to_numpy()
    person = forms.groupby(["organisation", "participant"], sort=False).ngroup().to_numpy()
    new_person = np.diff(person, prepend=-1) != 0
    begins = np.flatnonzero(new_person | (np.diff(day, prepend=0) > window))
    sizes = np.diff(np.append(begins, len(forms)))
    # Within each group from 0; of two forms the second has a number of its own where one respondent gave both.
    within = np.zeros(len(forms), dtype=np.int64)
    two = begins[sizes == 2]
    within[two + 1] = side[two] == side[two + 1]
    for begin, size in zip(begins[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
        group = slice(begin, begin + size)
        within[group] = _paired(day[group], side[group], window)
    before = np.cumsum([0, *(np.maximum.reduceat(within, begins) + 1)])[:-1] if len(begins) else begins
    total = np.repeat(before, sizes) + within
    first = np.maximum.accumulate(np.where(new_person, np.arange(len(forms)), 0))
    return np.asarray(total - total[first] + 1, dtype=np.int64)


def _paired(day: npt.NDArray[np.int64], side: npt.NDArray[np.bool_], window: int) -> npt.NDArray[np.int64]:
    """Return the occasion of each form of a group, from 0, by alignment of the two sequences of dates.

    Costs are in half days, to stay whole (Needleman and Wunsch 1970, Journal of Molecular Biology 48:443).
    """
    mine, other = np.flatnonzero(~side), np.flatnonzero(side)
    cost = np.zeros((len(mine) + 1, len(other) + 1), dtype=np.int64)
    cost[-1] = window * np.arange(len(other), -1, -1)
    cost[:, -1] = window * np.arange(len(mine), -1, -1)
    for at in range(len(mine) - 1, -1, -1):
        for to in range(len(other) - 1, -1, -1):
            pair = cost[at + 1, to + 1] + 2 * abs(day[mine[at]] - day[other[to]])
            cost[at, to] = min(pair, window + cost[at + 1, to], window + cost[at, to + 1])
    found = np.zeros(len(day), dtype=np.int64)
    at = to = number = 0
    while at < len(mine) or to < len(other):
        left, right = at < len(mine), to < len(other)
        apart = 2 * abs(day[mine[at]] - day[other[to]]) if left and right else 0
        if left and right and cost[at, to] == cost[at + 1, to + 1] + apart:
            found[mine[at]] = found[other[to]] = number
            at, to = at + 1, to + 1
        else:
            alone = left and cost[at, to] == cost[at + 1, to] + window
            besides = right and cost[at, to] == cost[at, to + 1] + window
            # Either may be left alone here: the earlier one comes first.
            if alone and not (besides and day[other[to]] < day[mine[at]]):
                found[mine[at]] = number
                at += 1
            else:
                found[other[to]] = number
                to += 1
        number += 1
    return found


def join_occasions(
    measurements: pd.DataFrame, unnumbered: npt.NDArray[np.bool_], window_days: int = PAIRED_WITHIN_DAYS
) -> pd.Series:
    """Return the number of each form's occasion, where one file has numbers and another only dates.

    The forms of a respondent without numbers are paired with those of the other as by `assign_occasions`, and take the
    number of what they are paired with. Where nothing with a number is within `window_days`, they take numbers that are
    left free between the occasions before and after, if as many are; from 1 on where nothing has a number.

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
        With the index of `measurements`; missing where a form has no date, or no occasion fits.

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
    person = ["organisation", "participant"]
    known = forms[~unnumbered & forms["occasion"].notna().to_numpy() & forms["date"].notna().to_numpy()]
    key = [*person, "date", "respondent", "copy"]
    whole = forms["date"].notna() & (forms["participant"] != "") & (forms["respondent"] != "")
    once = forms.loc[unnumbered & whole.to_numpy(), key].drop_duplicates(ignore_index=True)
    once["row"] = once.index
    numbers: dict[int, int] = {}
    for respondent, mine in once.groupby("respondent", sort=True):
        own = known["respondent"] == respondent
        free = known[~own].merge(known.loc[own, [*person, "occasion"]].drop_duplicates(), how="left", indicator=True)
        numbers |= _joined(mine, free[free["_merge"] == "left_only"], window_days)
    near = once.merge(known, on=person, suffixes=("", "_known"))
    near = near[(near["date"] - near["date_known"]).abs().dt.days <= window_days]
    numbers |= _fitted(once[~once["row"].isin(near["row"])], known, window_days)
    once["number"] = once["row"].map(numbers).astype("Int64")
    found = forms[key].merge(once, on=key, how="left")["number"]
    return forms["occasion"].where(~unnumbered, found).set_axis(measurements.index)


def _joined(mine: pd.DataFrame, known: pd.DataFrame, window: int) -> dict[int, int]:
    """Return, by row, the number of the occasion that each form of one respondent is paired with."""
    person = ["organisation", "participant"]
    theirs = known.sort_values([*person, "occasion", "date"]).drop_duplicates([*person, "occasion"])
    both = pd.concat([mine.assign(side=True), theirs.assign(side=False)], ignore_index=True)
    both["day"] = _days(both["date"])
    both = both.sort_values([*person, "day", "side", "occasion"], kind="stable", ignore_index=True)
    both["pair"] = _numbered(both, window)
    key = [*person, "pair"]
    pairs = both.loc[both["side"], [*key, "row"]].merge(both.loc[~both["side"], [*key, "occasion"]], on=key)
    return dict(zip(pairs["row"].astype(int).tolist(), pairs["occasion"].astype(int).tolist(), strict=True))


def _fitted(forms: pd.DataFrame, known: pd.DataFrame, window: int) -> dict[int, int]:
    """Return, by row, the number of forms that are far from all numbered ones, where the order leaves enough free."""
    person = ["organisation", "participant"]
    named = {"organisation": "organisation_id", "participant": "participant_id", "date": "answered_on"}
    forms = forms.assign(own=assign_occasions(forms.rename(columns=named), window))
    dated = known.groupby([*person, "occasion"])["date"].max().reset_index()
    occasions = {key: list(zip(own["date"], own["occasion"], strict=True)) for key, own in dated.groupby(person)}
    gaps: dict[tuple[str, str, int | None, int | None], list[list[int]]] = defaultdict(list)
    for (organisation, participant, _), together in forms.groupby([*person, "own"], sort=True):
        others, last = occasions.get((organisation, participant), []), together["date"].max()
        before = max((number for date, number in others if date < last), default=None)
        after = min((number for date, number in others if date >= last), default=None)
        gaps[organisation, participant, before, after].append(together["row"].tolist())
    found: dict[int, int] = {}
    for (_, _, before, after), groups in gaps.items():
        first = before + 1 if before is not None else after - len(groups) if after is not None else 1
        if first >= 1 and (after is None or first + len(groups) <= after):
            found |= {row: first + at for at, rows in enumerate(groups) for row in rows}
    return found


def _days(dates: pd.Series) -> npt.NDArray[np.int64]:
    """Return dates as numbers of days."""
    return np.asarray(dates.to_numpy().astype("datetime64[D]"), dtype=np.int64)


def _dated(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return organisation, participant, date and respondent of each form, and which copy it is.

    Forms that are answered on one day are one, sent twice. Others are told apart: one may be declined in March and
    another answered in March.
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
    )
    answered, to_the_day = (
        (measurements[name].fillna(wanted) == wanted).astype(bool) if name in measurements else True
        for name, wanted in (("form_status", "answered"), ("answered_on_precision", "day"))
    )
    same = measurements["answered_on"].notna() & answered & to_the_day
    # What nobody answered comes first.
    others = forms.assign(late=answered)[~same].sort_values("late", kind="stable")
    copies = others.groupby(["organisation", "participant", "date", "respondent"], dropna=False).cumcount()
    return forms.assign(copy=copies.reindex(forms.index).fillna(len(forms)).astype(np.int64))
