"""Findings grouped for reading: by severity, rule, message and place, with sums that add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bipstudy import schema
from bipstudy.texts import text
from bipstudy.validation.findings import Report


@dataclass(frozen=True)
class Place:
    """The rows of one file, sheet and column where the same message holds.

    Attributes
    ----------
    file, sheet, column : str
        Empty where not known.
    table : str
        Label of the table.
    rows : str
        Rows as ranges, or what is concerned as a whole.
    count : int
        Findings.
    message, cure : str
    """

    file: str
    sheet: str
    column: str
    table: str
    rows: str
    count: int
    message: str
    cure: str


@dataclass(frozen=True)
class Group:
    """The findings of one rule.

    Attributes
    ----------
    code, title : str
    messages : tuple of str
        The different messages; where they are many, they stand with the places.
    cures : tuple of str
    places : tuple of Place
    count : int
        Findings, the sum over the places.
    """

    code: str
    title: str
    messages: tuple[str, ...]
    cures: tuple[str, ...]
    places: tuple[Place, ...]
    count: int


@dataclass(frozen=True)
class Section:
    """The findings of one severity, or those that could not be checked."""

    kind: str
    title: str
    lead: str
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        """Findings, the sum over the groups."""
        return sum(group.count for group in self.groups)


def grouped(report: Report) -> list[Section]:
    """Return the findings of a report by severity and rule; sections without findings are left out.

    Parameters
    ----------
    report : Report

    Returns
    -------
    list of Section
    """
    findings = report.findings
    kinds = findings["severity"].where(findings["status"] == "invalid", findings["status"])
    sections = []
    for kind in [*schema.SEVERITIES, "unchecked", "excepted"]:
        here = findings[(kinds == kind).to_numpy(dtype=bool)]
        if len(here):
            groups = tuple(_group(str(code), rows, report.language) for code, rows in here.groupby("code", sort=False))
            title, lead = (text(f"validation.group_{kind}{part}", report.language) for part in ("", "_long"))
            sections.append(Section(kind, title, lead, groups))
    return sections


def _group(code: str, findings: pd.DataFrame, language: str) -> Group:
    """Return the findings of one rule, by message and place."""
    columns = ["message", "cure", "table", "file", "sheet", "column"]
    parts = findings.groupby(columns, sort=False, dropna=False)
    places = []
    for (message, cure, table, file, sheet, column), rows in parts:
        label = schema.table(table).label[language] if isinstance(table, str) else ""
        written = _rows(rows, isinstance(column, str), language)
        file, sheet, column = (name if isinstance(name, str) else "" for name in (file, sheet, column))
        places.append(Place(file, sheet, column, label, written, len(rows), str(message), str(cure)))
    return Group(
        code=code,
        title=schema.rules()[code].title[language],
        messages=tuple(findings["message"].unique()),
        cures=tuple(findings["cure"].unique()),
        places=tuple(places),
        count=len(findings),
    )


def _rows(findings: pd.DataFrame, has_column: bool, language: str) -> str:
    """Return the rows of some findings as ranges."""
    if findings["row"].isna().any():
        whole = text("validation.whole_column" if has_column else "validation.whole_table", language)
        rows = int(findings["count"].max())
        return whole if rows <= 1 else f"{whole} ({rows} {text('validation.rows_word', language)})"
    return ranges(findings["row"].tolist())


def ranges(rows: Sequence[int]) -> str:
    """Return row numbers as a list in which neighbours are drawn together.

    Examples
    --------
    >>> ranges([2, 3, 4, 9, 11, 12])
    '2–4, 9, 11–12'
    """
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in runs)
