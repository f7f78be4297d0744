"""What a rule gives back, and the register of all rules by their code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bipstudy import schema
from bipstudy.texts import LANGUAGES, text
from bipstudy.validation.data import Data


@dataclass(frozen=True)
class Hits:
    """Places in one table where a rule is broken or could not be checked.

    Attributes
    ----------
    table : str
    rows : (n,) int array or None
        Positions of the rows; None for a whole column, table or submission.
    column : str or None
        Canonical name of the column.
    status : {"invalid", "unchecked"}
    values : mapping of str to object
        What the placeholders of the rule's texts stand for. A mapping with the keys ``sv`` and ``en`` is a text in two
        languages.
    each : mapping of str to sequence
        Placeholders that differ from row to row.
    count : int
        The rows concerned where `rows` is None.
    """

    table: str
    rows: npt.NDArray[np.integer] | None
    column: str | None = None
    status: str = "invalid"
    values: Mapping[str, object] = field(default_factory=dict)
    each: Mapping[str, Sequence[object]] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a rule found.

    Attributes
    ----------
    checked : int
        Rows that the rule looked at; with none the rule does not apply, which is not a pass.
    hits : tuple of Hits
    columns : tuple of (str, str)
        Tables and columns that may be left out, were not sent, and are the reason that nothing was checked.
    reason : str or None
        Key of another reason that nothing was checked.
    """

    checked: int
    hits: tuple[Hits, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    reason: str | None = None

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.checked + other.checked,
            self.hits + other.hits,
            self.columns + other.columns,
            self.reason or other.reason,
        )


@dataclass(frozen=True)
class RuleStatus:
    """A rule that applied, and how many rows it looked at."""

    code: str
    checked: int


@dataclass(frozen=True)
class NotApplicable:
    """A rule that did not apply, and why; it does not count as passed.

    Attributes
    ----------
    code : str
        Code of the rule.
    reason : str
        Key of the reason in the text catalogue.
    tables : tuple of str
        Tables that may be left out and were not sent.
    columns : tuple of (str, str)
        Tables and columns that may be left out and were not sent.
    """

    code: str
    reason: str
    tables: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    def message(self, language: str) -> str:
        """Return why the rule did not apply."""
        tables = ", ".join(schema.table(name).label[language] for name in self.tables)
        columns = ", ".join(
            f"{schema.table(name).column(column).label[language]} ({schema.table(name).label[language]})"
            for name, column in self.columns
        )
        return text(f"validation.{self.reason}", language, tables=tables, columns=columns)


Check = Callable[[Data, Mapping[str, float]], Outcome]
NOTHING = Outcome(0)
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a function as the check of the rule with its name, dashes for underscores."""
    code = function.__name__.replace("_", "-")
    if code in CHECKS:
        raise ValueError(f"two checks for the rule {code}")
    CHECKS[code] = function
    return function


def at(
    table: str,
    column: str | None,
    invalid: npt.NDArray[np.bool_],
    unchecked: npt.NDArray[np.bool_] | None = None,
    values: Mapping[str, object] | None = None,
) -> tuple[Hits, ...]:
    """Return the hits of two masks over the rows of a table.

    Parameters
    ----------
    table : str
    column : str or None
    invalid, unchecked : (n,) bool arrays
    values : mapping, optional
        Placeholders, the same on every row.

    Returns
    -------
    tuple of Hits
        Without empty ones.
    """
    masks = [("invalid", invalid)] + ([] if unchecked is None else [("unchecked", unchecked)])
    return tuple(
        Hits(table, np.flatnonzero(mask), column, status, values or {}) for status, mask in masks if mask.any()
    )


def in_both(key: str, **values: object) -> dict[str, str]:
    """Return a sentence of the catalogue in both languages."""
    return {language: text(key, language, **values) for language in LANGUAGES}


def rule_needs(rule: schema.Rule, data: Data) -> list[str]:
    """Return the tables that a rule needs and that have no rows here."""
    return [name for name in rule.tables if name not in data.tables]
