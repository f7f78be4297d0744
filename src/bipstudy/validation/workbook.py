"""The report as a workbook, for those who mend the file in Excel with the list beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy import schema
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.validation.findings import Report

_HEADS = {
    "severity": ("severity_column", 18),
    "status": ("status_column", 14),
    "file": ("file_column", 28),
    "sheet": ("sheet_column", 18),
    "row": ("row_column", 8),
    "column": ("column_column", 26),
    "count": ("count_column", 8),
    "message": ("what_column", 70),
    "cure": ("cure_column", 70),
    "table": ("table_column", 18),
    "code": ("code_column", 30),
}


def write_workbook(report: Report, path: Path) -> Path:
    """Write a report as a workbook.

    Parameters
    ----------
    report : Report
    path : Path

    Returns
    -------
    Path
    """
    import xlsxwriter

    # No cell may become a formula or a link: names of files and columns come from outside.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": text("validation.title", report.language), "created": _fixed_date()})
        styles = {
            "head": book.add_format({"bold": True, "bg_color": "#1F4E5F", "font_color": "#FFFFFF"}),
            "title": book.add_format({"bold": True, "font_size": 16, "font_color": "#1F4E5F"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        _summary(book.add_worksheet(text("validation.summary_sheet", report.language)), report, styles)
        _findings(book.add_worksheet(text("validation.findings_sheet", report.language)), report, styles)
    return path


def _fixed_date() -> Any:
    """Return a date that does not depend on the day, so that the same report gives the same bytes."""
    import datetime as dt

    return dt.datetime(2026, 1, 1)


def _summary(sheet: Any, report: Report, styles: dict[str, Any]) -> None:
    """Write the verdict and the number of findings by rule."""
    from bipstudy.validation.grouping import grouped

    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 60)
    sheet.write_string(
        0, 0, text(f"validation.verdict_{'ok' if report.ok else 'bad'}", report.language), styles["title"]
    )
    for position, key in enumerate(("severity_column", "rule_column", "count_column")):
        sheet.write_string(2, position, text(f"validation.{key}", report.language), styles["head"])
    row = 3
    for section in grouped(report):
        for group in section.groups:
            sheet.write_string(row, 0, section.title)
            sheet.write_string(row, 1, group.title)
            sheet.write_number(row, 2, group.count)
            row += 1
    sheet.write_string(row, 0, text("validation.total", report.language), styles["head"])
    sheet.write_string(row, 1, "", styles["head"])
    sheet.write_number(row, 2, len(report.places), styles["head"])
    for position, remark in enumerate(report.remarks, start=row + 2):
        sheet.write_string(position, 0, remark.message(report.language))


def _findings(sheet: Any, report: Report, styles: dict[str, Any]) -> None:
    """Write every finding on a row of its own."""
    findings = report.findings.assign(
        severity=[text(f"validation.{severity}_one", report.language) for severity in report.findings["severity"]],
        status=[text(f"validation.status_{status}", report.language) for status in report.findings["status"]],
        table=[
            schema.table(name).label[report.language] if isinstance(name, str) else None
            for name in report.findings["table"]
        ],
    )
    for position, (key, width) in enumerate(_HEADS.values()):
        sheet.set_column(position, position, width)
        sheet.write_string(0, position, text(f"validation.{key}", report.language), styles["head"])
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(findings)), len(_HEADS) - 1)
    for row, values in enumerate(findings[list(_HEADS)].astype(object).itertuples(index=False), start=1):
        for position, value in enumerate(values):
            if pd.isna(value):
                continue
            if isinstance(value, str):
                sheet.write_string(row, position, value, styles["wrap"])
            else:
                sheet.write_number(row, position, int(value), styles["wrap"])
