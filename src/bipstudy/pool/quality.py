"""How good an organisation's data are over time: pairing, response, missing answers and lateness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.pool.files import read_tables
from bipstudy.pool.store import Pool
from bipstudy.texts import BipstudyError, text

# Forms of one occasion belong together within so many days; a form is late so many days after it was due.
PAIR_DAYS, LATE_DAYS = 45, 30
MEASURES = ("response", "pairing", "missing", "late")
_OCCASION = ["organisation_id", "participant_id", "occasion"]
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Quality:
    """The quality of an organisation's submissions.

    Attributes
    ----------
    organisation : str
    submissions : DataFrame
        One row per submission, the first first: `sequence`, `extracted_on`, then for each measure the number that has
        it and the number out of which: `response`, `response_of`, `pairing`, `pairing_of`, `missing`, `missing_of`,
        `late`, `late_of`; and `participants`.
    quarters : DataFrame
        The same of the latest submission by `quarter`; forms without a date stand in none.
    undated : int
        Forms of the latest submission that have neither a day of answer nor a day on which they were due.
    """

    organisation: str
    submissions: pd.DataFrame
    quarters: pd.DataFrame
    undated: int

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        return {
            "organisation": self.organisation,
            "submissions": self.submissions.to_dict("records"),
            "quarters": self.quarters.to_dict("records"),
            "undated": self.undated,
        }

    def to_html(self, path: str | Path | None = None, language: str = "sv") -> str:
        """Return the page, and write it if a path is given.

        Parameters
        ----------
        path : str or Path, optional
        language : {"sv", "en"}

        Returns
        -------
        str
            Self-contained.
        """
        from bipstudy.report.courses import course
        from bipstudy.report.document import Document

        page = Document(
            text("quality.title", language), language, subtitle=self.organisation, stamp=text("quality.stamp", language)
        )
        page.lead(text("quality.lead", language))
        page.section(text("quality.per_quarter", language))
        shown = _shares(self.quarters, "quarter", language)
        if len(shown):
            figure = course(_long(self.quarters, "quarter", language), language=language, y_label="")
            page.figure(figure, text("quality.quarter_caption", language))
            page.table(shown, text("quality.quarter_caption", language))
        if self.undated:
            page.paragraph(text("quality.undated", language, count=self.undated), quiet=True)
        page.section(text("quality.per_submission", language))
        if len(self.submissions) > 1:
            figure = course(_long(self.submissions, "extracted_on", language), language=language, y_label="")
            page.figure(figure, text("quality.submission_caption", language))
        page.table(_shares(self.submissions, "extracted_on", language), text("quality.submission_caption", language))
        page.section(text("quality.how", language))
        page.bullets([text(f"quality.{name}_how", language, pair=PAIR_DAYS, late=LATE_DAYS) for name in MEASURES])
        html = page.to_html()
        if path is not None:
            Path(path).write_text(html, encoding="utf-8", newline="\n")
        return html


def quality(pool: Pool | str | Path, organisation: str) -> Quality:
    """Measure the quality of an organisation's submissions, each and by quarter.

    Parameters
    ----------
    pool : Pool, str or Path
    organisation : str
        Code of the organisation.

    Returns
    -------
    Quality

    Raises
    ------
    BipstudyError
        The pool has no submission of the organisation, or one was changed.
    """
    pool = pool if isinstance(pool, Pool) else Pool(pool)
    listed = pool.list()
    listed = listed[listed["organisation_id"] == organisation]
    if listed.empty:
        raise BipstudyError("pool.no_organisation", organisation=organisation)
    rows = []
    tables: Tables = {}
    for entry in listed.itertuples():
        stored = read_tables(pool.path / "submissions" / entry.hash)
        tables = {name: frame[frame["organisation_id"] == organisation] for name, frame in stored.items()}
        people = len(tables.get("participants", ()))
        row = _sums(measured(tables)).iloc[0].to_dict()
        rows.append({"sequence": entry.sequence, "extracted_on": entry.extracted_on, "participants": people, **row})
    last = measured(tables)
    dated = last.dropna(subset="quarter")
    quarters = _sums(dated, dated["quarter"]).rename_axis("quarter").reset_index()
    return Quality(
        organisation, pd.DataFrame(rows), quarters, int((last["response_of"] * last["quarter"].isna()).sum())
    )


def measured(tables: Tables) -> pd.DataFrame:
    """Return for each form what it adds to the measures.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Canonical tables.

    Returns
    -------
    DataFrame
        Columns `quarter` (text such as 2024-Q1, missing without a date), and each measure and what it is out of.
    """
    forms = tables.get("measurements", schema.empty("measurements")).reset_index(drop=True)
    answered = (forms["form_status"] == "answered").to_numpy(dtype=bool)
    day = forms["answered_on"].fillna(forms["due_on"])
    missing, asked = _missing(forms, answered)
    exact = answered & _exact(forms, "answered_on") & _exact(forms, "due_on")
    late = exact & ((forms["answered_on"] - forms["due_on"]).dt.days > LATE_DAYS).to_numpy(dtype=bool)
    paired, occasions = _pairs(forms, answered)
    quarter = (
        day.dt.year.astype("Int64").astype(schema.STRING) + "-Q" + day.dt.quarter.astype("Int64").astype(schema.STRING)
    )
    columns = {
        "response": answered,
        "response_of": np.ones(len(forms)),
        "pairing": paired,
        "pairing_of": occasions,
        "missing": missing,
        "missing_of": asked,
        "late": late,
        "late_of": exact,
    }
    counts = pd.DataFrame({name: np.asarray(values, dtype=np.int64) for name, values in columns.items()})
    return counts.assign(quarter=quarter)


def _exact(forms: pd.DataFrame, column: str) -> npt.NDArray[np.bool_]:
    """Say where a date is known to the day."""
    known: npt.NDArray[np.bool_] = (forms[column].notna() & (forms[f"{column}_precision"] == "day")).to_numpy(
        dtype=bool
    )
    return known


def _missing(
    forms: pd.DataFrame, answered: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each form the answers that are missing and the questions that were asked."""
    missing, asked = np.zeros(len(forms), dtype=np.int64), np.zeros(len(forms), dtype=np.int64)
    known = schema.instruments()
    for name in sorted(set(forms["instrument"].dropna()) & set(known)):
        for item in known[name].items:
            here = answered & ((forms["instrument"] == name) & forms["respondent"].isin(item.respondents)).to_numpy(
                bool
            )
            asked += here
            missing += here & forms[item.id].isna().to_numpy(dtype=bool)
    return missing, asked


def _pairs(forms: pd.DataFrame, answered: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Say whether both answered near each other, of the form that stands for its occasion: the last answered one.

    No form stands for an occasion of which the dates, known to the month or not at all, cannot tell.
    """
    from bipstudy.validation.bounds import date_bounds

    paired, stands = np.zeros(len(forms), dtype=bool), np.zeros(len(forms), dtype=bool)
    days = date_bounds(forms["answered_on"], forms["answered_on_precision"])
    own = forms[[*_OCCASION, "respondent", "answered_on"]].assign(low=days.low, high=days.high)[answered]
    last = own.sort_values("answered_on", kind="stable").drop_duplicates(_OCCASION, keep="last")
    stands[last.index] = True
    first = own.groupby([*_OCCASION, "respondent"])[["low", "high"]].min().unstack("respondent")
    if {"participant", "caseworker"} <= set(own["respondent"]):
        least = first["low", "participant"] - first["high", "caseworker"]
        most = first["high", "participant"] - first["low", "caseworker"]
        keys = pd.MultiIndex.from_frame(last[_OCCASION])
        near = (least >= -PAIR_DAYS) & (most <= PAIR_DAYS)
        unknown = ~near & (least <= PAIR_DAYS) & (most >= -PAIR_DAYS)
        paired[last.index] = near.reindex(keys).to_numpy(dtype=bool)
        stands[last.index] = ~unknown.reindex(keys).to_numpy(dtype=bool)
    return paired, stands


def _sums(counts: pd.DataFrame, by: pd.Series | None = None) -> pd.DataFrame:
    """Return the sums of the measures, in all or by quarter."""
    numbers = counts.drop(columns="quarter")
    return numbers.sum().to_frame().T if by is None else numbers.groupby(by.astype(object)).sum().sort_index()


def _shares(frame: pd.DataFrame, period: str, language: str) -> pd.DataFrame:
    """Return the measures as a table that a person reads: share, and number out of which."""
    found: dict[str, object] = {text(f"quality.{period}", language): _named(frame[period])}
    for name in MEASURES:
        parts = zip(frame[name], frame[f"{name}_of"], strict=True)
        found[text(f"quality.{name}", language)] = [
            f"{round(100 * part / whole)} % ({part}/{whole})" if whole else "–" for part, whole in parts
        ]
    return pd.DataFrame(found)


def _long(frame: pd.DataFrame, period: str, language: str) -> pd.DataFrame:
    """Return the measures as shares, one row per measure and period."""
    parts = [
        pd.DataFrame(
            {
                "label": text(f"quality.{name}", language),
                "period": _named(frame[period]),
                "y": frame[name] / frame[f"{name}_of"].where(frame[f"{name}_of"] > 0),
            }
        )
        for name in MEASURES
    ]
    return pd.concat(parts, ignore_index=True)


def _named(periods: pd.Series) -> list[str]:
    """Return periods as text; of those that occur again the number beside it."""
    again = periods.fillna("-").astype(str)
    number = again.groupby(again).cumcount() + 1
    return [name if place == 1 else f"{name} ({place})" for name, place in zip(again, number, strict=True)]
