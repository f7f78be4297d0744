"""Sizes of a planned study, and the scenario that each makes."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from bipstudy.simulation.scenario import Scenario
from bipstudy.texts import BipstudyError

Numbers = Sequence[float] | float | None
# Quarterly shares of those measured who stop for good, between which a wanted number of occasions is sought.
_DROPOUTS = (0.0, 0.9)


@dataclass(frozen=True)
class Size:
    """Size of a planned study; None leaves what the scenario says.

    Attributes
    ----------
    organisations, caseworkers : int
    participants_per_caseworker : float
    occasions : float or None
        Mean number of measurements a participant; found by how many stop being measured each quarter.
    response : float or None
        Share of due measurements that are taken.
    dropout : float or None
        Share of participants whose measurements stop, a quarter.
    follow_up_months : float or None
        From the last day of entry to the end of follow-up.
    """

    organisations: int
    caseworkers: int
    participants_per_caseworker: float
    occasions: float | None = None
    response: float | None = None
    dropout: float | None = None
    follow_up_months: float | None = None

    @property
    def participants(self) -> int:
        """Participants in the whole study."""
        return round(self.caseworkers * self.participants_per_caseworker)

    def scenario(self, base: Scenario) -> Scenario:
        """Return the scenario of a study of this size.

        Parameters
        ----------
        base : Scenario

        Returns
        -------
        Scenario

        Raises
        ------
        BipstudyError
            Something is out of range.
        """
        changes: dict[str, object] = {
            "design__organisations": self.organisations,
            "design__clients_per_caseworker": float(self.participants_per_caseworker),
            "design__participants": self.participants,
        }
        if self.follow_up_months is not None:
            months = round(3 * base.design.entry_quarters + self.follow_up_months)
            changes["design__ends_on"] = _after(base.design.starts_on, months)
        if self.response is not None:
            changes["occasions__response"] = float(self.response)
        if self.dropout is not None:
            changes["occasions__stop_rate"] = float(self.dropout)
        given = base.replace(**changes)
        if self.occasions is not None:
            given = given.replace(occasions__stop_rate=_dropout_for(given, float(self.occasions)))
        return given


def sizes(
    *,
    organisations: Numbers = 6,
    caseworkers: Numbers = 300,
    participants_per_caseworker: Numbers = 8,
    occasions: Numbers = None,
    response: Numbers = None,
    dropout: Numbers = None,
    follow_up_months: Numbers = None,
) -> list[Size]:
    """Return every combination of the given ranges.

    Parameters
    ----------
    organisations, caseworkers, participants_per_caseworker, occasions, response, dropout, follow_up_months
        A number or several; see `Size`.

    Returns
    -------
    list of Size

    Raises
    ------
    BipstudyError
        Both `occasions` and `dropout` are given (one follows from the other), or a number makes no sense.

    Examples
    --------
    >>> [size.participants for size in sizes(participants_per_caseworker=(8, 16))]
    [2400, 4800]
    """
    if occasions is not None and dropout is not None:
        raise BipstudyError("planning.occasions_and_dropout")
    ranges: dict[str, list[float | None]] = {
        "organisations": _several(organisations),
        "caseworkers": _several(caseworkers),
        "participants_per_caseworker": _several(participants_per_caseworker),
        "occasions": _several(occasions),
        "response": _several(response),
        "dropout": _several(dropout),
        "follow_up_months": _several(follow_up_months),
    }
    for name, values in ranges.items():
        for value in values:
            _check(name, value)
    made = [dict(zip(ranges, values, strict=True)) for values in itertools.product(*ranges.values())]
    return [_size(values) for values in made]


def _size(values: dict[str, float | None]) -> Size:
    """Return a size with whole organisations and caseworkers."""
    whole = {name: int(values[name] or 0) for name in ("organisations", "caseworkers")}
    size = Size(**{field.name: values[field.name] for field in fields(Size)} | whole)  # type: ignore[arg-type]
    if size.participants < 10 * size.organisations:
        raise BipstudyError("planning.too_small", participants=size.participants, organisations=size.organisations)
    return size


def _several(given: Numbers) -> list[float | None]:
    """Return a number or several as a list."""
    if given is None:
        return [None]
    return list(given) if isinstance(given, Iterable) else [given]


def _check(name: str, value: float | None) -> None:
    """Refuse numbers that no study can have."""
    if value is None:
        return
    share = name in ("response", "dropout")
    whole = name in ("organisations", "caseworkers") and value != int(value)
    if whole or not (0 < value <= 1 if share else value > 0):
        raise BipstudyError("planning.bad_number", name=name, value=f"{value:g}")


def _after(day: dt.date, months: int) -> dt.date:
    """Return the day before the same day some months later."""
    year, month = divmod(day.month - 1 + months, 12)
    return dt.date(day.year + year, month + 1, min(day.day, 28)) - dt.timedelta(days=1)


def _dropout_for(given: Scenario, occasions: float) -> float:
    """Return the quarterly share who stop at which the mean number of occasions is the one wanted.

    Found by bisection on the mean of a study of 4,000 drawn with one seed, so that it is the same every time.
    """
    low, high = _DROPOUTS
    if not _mean_occasions(given, high) <= occasions <= _mean_occasions(given, low):
        least, most = (_mean_occasions(given, dropout) for dropout in reversed(_DROPOUTS))
        values = {"wanted": f"{occasions:g}", "least": f"{least:.1f}", "most": f"{most:.1f}"}
        raise BipstudyError("planning.occasions_out_of_reach", **values)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean_occasions(given, middle) > occasions else (low, middle)
    return (low + high) / 2


def _mean_occasions(given: Scenario, dropout: float) -> float:
    """Return the mean number of occasions with an answered form."""
    from bipstudy.simulation import simulate_study

    study, _ = simulate_study(4000, np.random.SeedSequence(1), given.replace(occasions__stop_rate=dropout))
    forms = study.measurements
    answered = forms.loc[forms["form_status"] == "answered", ["organisation_id", "participant_id", "occasion"]]
    return len(answered.drop_duplicates()) / len(study.participants)
