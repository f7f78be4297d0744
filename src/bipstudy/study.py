"""A study: the validated tables of one release, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import pandas as pd

from bipstudy import schema


@dataclass(frozen=True)
class Study:
    """The tables of one release of a study.

    Made by `bipstudy.load_study`, `bipstudy.load_example` or `bipstudy.simulate_study`. The tables are canonical: text
    ids and codes, dates as the first day of what is known with their precision beside them, rows sorted by key.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        Every table by name; one that was not sent has no rows.
    release : int or None
        Number of the release; None for data that come from no pool.
    sent : frozenset of str
        Names of the tables that were sent.
    """

    tables: Mapping[str, pd.DataFrame]
    release: int | None = None
    sent: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def from_tables(cls, tables: Mapping[str, pd.DataFrame], release: int | None = None) -> Study:
        """Build a study from frames that hold at least the required columns.

        Parameters
        ----------
        tables : mapping of str to DataFrame
            Tables by name; those that were not sent are left out.
        release : int, optional
            Number of the release.

        Returns
        -------
        Study

        Raises
        ------
        BipstudyError
            A table or column does not belong, or a required column is missing.
        """
        for name in tables:
            schema.table(name)
        canonical = {
            name: schema.conform(name, tables[name]) if name in tables else schema.empty(name)
            for name in schema.TABLE_NAMES
        }
        return cls(tables=MappingProxyType(canonical), release=release, sent=frozenset(tables))

    @property
    def organisations(self) -> pd.DataFrame:
        """One row per organisation."""
        return self.tables["organisations"]

    @property
    def participants(self) -> pd.DataFrame:
        """One row per participant."""
        return self.tables["participants"]

    @property
    def caseworkers(self) -> pd.DataFrame:
        """One row per caseworker."""
        return self.tables["caseworkers"]

    @property
    def trainings(self) -> pd.DataFrame:
        """One row per training session of a caseworker."""
        return self.tables["trainings"]

    @property
    def assignments(self) -> pd.DataFrame:
        """One row per period of a caseworker with a participant."""
        return self.tables["assignments"]

    @property
    def measurements(self) -> pd.DataFrame:
        """One row per form: participant, occasion and respondent, one column per item."""
        return self.tables["measurements"]

    @property
    def missing_answers(self) -> pd.DataFrame:
        """One row per answer that is missing on an answered form, with the reason."""
        return self.tables["missing_answers"]

    @property
    def activities(self) -> pd.DataFrame:
        """One row per activity."""
        return self.tables["activities"]

    @property
    def outcomes(self) -> pd.DataFrame:
        """One row per spell of work or study."""
        return self.tables["outcomes"]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits."""
        return schema.content_hash(self.tables)
