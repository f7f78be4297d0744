"""The rules by which results leave: how few people, rounded how, and who decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bipstudy.disclosure.small import FLOOR, THRESHOLD
from bipstudy.texts import BipstudyError

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """The rules by which results leave.

    Parameters
    ----------
    threshold : int, default 10
        Least number of people that a cell, a step of a curve or an estimate rests on.
    owner : str
        Who owns the data and decided on a threshold under 10, and when; without it there is no such threshold.
    base : int, default 5
        Every count that leaves is rounded to the nearest multiple of it, upwards from the middle.
    degrees : int, default 10
        Least residual degrees of freedom of a model.
    caseworkers : int, default 3
        Least number of caseworkers behind a cell: with one the cell says how one person works, with two each knows the
        other.
    dominance : float, default 0.9
        Largest share of a cell that may come from one organisation.

    Raises
    ------
    BipstudyError
        The threshold is under 3, or under 10 without a decision of the owner; another number is out of bounds.

    Examples
    --------
    >>> Rules().threshold
    10
    >>> Rules(threshold=5, owner="Samordningsförbundet, 2026-11-02").threshold
    5
    """

    threshold: int = THRESHOLD
    owner: str = ""
    base: int = 5
    degrees: int = 10
    caseworkers: int = 3
    dominance: float = 0.9

    def __post_init__(self) -> None:
        if self.threshold < FLOOR:
            raise BipstudyError("report.low_threshold", given=self.threshold, least=FLOOR)
        if self.threshold < THRESHOLD and not self.owner.strip():
            raise BipstudyError("disclosure.no_owner", given=self.threshold, usual=THRESHOLD)
        if self.base < FLOOR or self.degrees < 1 or self.caseworkers < FLOOR or not 0.5 <= self.dominance <= 0.99:
            raise BipstudyError("disclosure.bad_rules", least=FLOOR)

    def as_dict(self) -> Mapping[str, Any]:
        """Return the rules as plain values."""
        return {
            "threshold": self.threshold,
            "owner": self.owner,
            "base": self.base,
            "degrees": self.degrees,
            "caseworkers": self.caseworkers,
            "dominance": self.dominance,
        }
