"""A study: the validated tables of one release, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.schema import Item
from bipstudy.texts import BipstudyError, default_language, text

_FORM = ["organisation_id", "participant_id", "occasion", "respondent", "instrument"]


def as_percentage(values: npt.NDArray[np.float64], item: Item) -> npt.NDArray[np.float64]:
    """Return answers as 0-100 of their item's scale.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Raw answers.
    item : Item
        The item as the form's questionnaire has it.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where there is no answer, where it means "don't know" and where it lies outside the scale.

    Examples
    --------
    >>> as_percentage(np.array([1.0, 4.0, 5.0]), schema.instrument().item("job_search"))
    array([  0.,  75., 100.])
    """
    inside = (values >= item.minimum) & (values <= item.maximum)
    if item.dont_know is not None:
        inside &= values != item.dont_know
    return np.where(inside, (values - item.minimum) / (item.maximum - item.minimum) * 100, np.nan)


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
    erased : mapping of str to int
        Organisation to the number of its participants who were erased from the release after it was frozen; empty where
        the release is what it was.
    """

    tables: Mapping[str, pd.DataFrame]
    release: int | None = None
    sent: frozenset[str] = field(default_factory=frozenset)
    erased: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_tables(
        cls,
        tables: Mapping[str, pd.DataFrame],
        release: int | None = None,
        erased: Mapping[str, int] | None = None,
    ) -> Study:
        """Build a study from frames that hold at least the required columns.

        Parameters
        ----------
        tables : mapping of str to DataFrame
            Tables by name; those that were not sent are left out.
        release : int, optional
            Number of the release.
        erased : mapping of str to int, optional
            Organisation to the number of participants erased from the release after it was frozen.

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
        return cls(
            tables=MappingProxyType(canonical),
            release=release,
            sent=frozenset(tables),
            erased=MappingProxyType(dict(erased or {})),
        )

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

    @cached_property
    def answers(self) -> pd.DataFrame:
        """One row per answered form and item asked of its respondent, whether there is an answer or not.

        Columns: the key of the form, `caseworker_id`, `answered_on`, `answered_on_precision`, `item`, `answer` (as
        given), `score` (0-100 of the scale of the form's questionnaire) and `missing_reason`. Sorted by form, items in
        the order of the questionnaire.
        """
        forms = self.measurements[(self.measurements["form_status"] == "answered").to_numpy(dtype=bool)]
        kept = [*_FORM, "caseworker_id", "answered_on", "answered_on_precision"]
        parts = []
        for name in sorted(forms["instrument"].dropna().unique()):
            for place, item in enumerate(schema.instrument(name).items):
                asked = forms[(forms["instrument"] == name) & forms["respondent"].isin(item.respondents)]
                raw = asked[item.id].to_numpy(dtype=np.float64, na_value=np.nan)
                added = {"item": item.id, "answer": asked[item.id], "score": as_percentage(raw, item), "_place": place}
                parts.append(asked[kept].assign(**added))
        if not parts:
            parts = [forms[kept].assign(item="", answer=pd.array([], "Int64"), score=np.array([], float), _place=0)]
        long = pd.concat(parts, ignore_index=True).astype({"item": schema.STRING})
        reasons = self.missing_answers[[*_FORM, "item", "reason"]].rename(columns={"reason": "missing_reason"})
        long = long.merge(reasons, on=[*_FORM, "item"], how="left")
        return long.sort_values([*_FORM, "_place"], kind="stable", ignore_index=True).drop(columns="_place")

    def summary(self) -> pd.DataFrame:
        """Return counts per organisation, and in all in a last row whose organisation is missing.

        Returns
        -------
        DataFrame
            `organisation_id`, `participants`, `caseworkers` (that appear in any table), `forms`, `answered`,
            `occasions` (with an answered form), `activities`, `outcomes`, `first_entry`, `last_answer`, `erased`
            (participants erased from the release after it was frozen).
        """
        ids = sorted({*self.participants["organisation_id"].dropna(), *self.erased})
        counts = [
            self._counts({name: part[part["organisation_id"] == one] for name, part in self.tables.items()})
            for one in ids
        ]
        frame = pd.DataFrame([*counts, self._counts(self.tables)])
        frame.insert(0, "organisation_id", pd.array([*ids, None], dtype=schema.STRING))
        return frame.assign(erased=[*(self.erased.get(one, 0) for one in ids), sum(self.erased.values())])

    @staticmethod
    def _counts(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        """Return the counts of one row of the summary."""
        forms = tables["measurements"]
        answered = forms[(forms["form_status"] == "answered").to_numpy(dtype=bool)]
        named = [
            tables[name][["organisation_id", "caseworker_id"]]
            for name in ("caseworkers", "assignments", "measurements")
        ]
        return {
            "participants": len(tables["participants"]),
            "caseworkers": len(pd.concat(named).dropna().drop_duplicates()),
            "forms": len(forms),
            "answered": len(answered),
            "occasions": len(answered[_FORM[:3]].drop_duplicates()),
            "activities": len(tables["activities"]),
            "outcomes": len(tables["outcomes"]),
            "first_entry": tables["participants"]["entered_on"].min(),
            "last_answer": answered["answered_on"].max(),
        }

    def where(self, query: str) -> Study:
        """Return the study with only some participants.

        Organisations, caseworkers and trainings of the remaining participants' organisations stay. What describes a
        caseworker from all participants, such as the caseload, is then of the remaining ones: choose rows of a panel
        instead where that matters.

        Parameters
        ----------
        query : str
            Condition on the columns of `participants`, as in `pandas.DataFrame.query`.

        Returns
        -------
        Study
            Without the number of a release, since it is only part of one.

        Raises
        ------
        BipstudyError
            The condition cannot be read, names an unknown column or is no condition.

        Examples
        --------
        >>> import bipstudy as bip
        >>> young = bip.load_example().where("age_group == '16-24'")
        >>> young.participants["age_group"].unique().tolist()
        ['16-24']
        """
        people = self.participants[self._chosen(query)]
        keys = people[["organisation_id", "participant_id"]]
        tables = {}
        for name, frame in self.tables.items():
            if "participant_id" in frame:
                tables[name] = frame.merge(keys, on=list(keys.columns), how="inner")
            else:
                tables[name] = frame[frame["organisation_id"].isin(people["organisation_id"])]
        canonical = {name: schema.conform(name, frame) for name, frame in tables.items()}
        return Study(tables=MappingProxyType(canonical), sent=self.sent)

    def _chosen(self, query: str) -> npt.NDArray[np.bool_]:
        """Say of each participant whether a condition holds; where it is not known, it does not."""
        known = ", ".join(schema.table("participants").column_names)
        try:
            answer = pd.Series(
                self.participants.eval(query, engine="python"), index=self.participants.index
            ).convert_dtypes()
        except Exception:
            # Whatever pandas says may quote a value; the columns are all that is needed to mend the condition.
            raise BipstudyError("study.bad_query", columns=known) from None
        if len(answer) and answer.dtype != "boolean":
            raise BipstudyError("study.bad_query", columns=known)
        chosen: npt.NDArray[np.bool_] = answer.astype("boolean").fillna(False).to_numpy(dtype=bool)
        return chosen

    def to_dta(self, folder: str | Path, language: str | None = None) -> list[Path]:
        """Write every table that was sent as a Stata file with labels.

        Codes become whole numbers in the order of their list, with the codes' labels as value labels, and yes or no
        becomes 1 or 0; dates are Stata dates.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there; files of the same names are replaced.
        language : {"sv", "en"}, optional
            Language of the labels; by default that of the messages.

        Returns
        -------
        list of Path
            The files.

        Raises
        ------
        BipstudyError
            There is no such language.
        """
        return self._write_labelled(folder, language, ".dta")

    def to_sav(self, folder: str | Path, language: str | None = None) -> list[Path]:
        """Write every table that was sent as an SPSS file with labels; otherwise as `to_dta`."""
        return self._write_labelled(folder, language, ".sav")

    def _write_labelled(self, folder: str | Path, language: str | None, ending: str) -> list[Path]:
        """Write the tables with pyreadstat."""
        import pyreadstat

        language = language or default_language()
        if language not in ("sv", "en"):
            raise BipstudyError("study.unknown_language", known="sv, en")
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        write = pyreadstat.write_dta if ending == ".dta" else pyreadstat.write_sav
        paths = []
        for name in schema.TABLE_NAMES:
            frame = self.tables[name]
            if frame.empty:
                continue
            numbers, labels = _numbered(name, frame, language)
            path = target / f"{name}{ending}"
            write(
                numbers,
                str(path),
                file_label=schema.table(name).label[language],
                column_labels=_column_labels(name, list(numbers.columns), language),
                variable_value_labels=labels,
            )
            paths.append(path)
        return paths


def _numbered(name: str, frame: pd.DataFrame, language: str) -> tuple[pd.DataFrame, dict[str, dict[int, str]]]:
    """Return a table with codes as numbers, and the label of each number by column."""
    columns, labels = {}, {}
    kinds = {column.name: column for column in schema.table(name).columns}
    for column, values in frame.items():
        described = kinds.get(str(column))
        if described is not None and described.codes is not None:
            codes = schema.code_list(described.codes)
            columns[column] = values.map({code: place for place, code in enumerate(codes.values, 1)}).astype("float64")
            labels[str(column)] = dict(enumerate(codes.labels(language).values(), 1))
        elif described is not None and described.kind == "boolean":
            columns[column] = values.astype("float64")
            labels[str(column)] = {0: text("texts.no", language), 1: text("texts.yes", language)}
        elif described is not None and described.kind == "date":
            columns[column] = values.dt.date.where(values.notna(), None)
        elif values.dtype == schema.STRING:
            columns[column] = values.astype(object).where(values.notna(), "")
        else:
            columns[column] = values.astype("float64")
    return pd.DataFrame(columns, index=frame.index), labels


def _column_labels(name: str, columns: list[str], language: str) -> list[str]:
    """Return the label of each column of a table."""
    labels = {column.name: column.label[language] for column in schema.table(name).columns}
    labels |= {item.id: item.label[language] for item in schema.items().values()}
    for column in schema.table(name).columns:
        if column.precision_column:
            labels[column.precision_column] = text("study.precision_of", language, column=column.label[language])
    return [labels[column] for column in columns]
