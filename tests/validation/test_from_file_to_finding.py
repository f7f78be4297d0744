"""From the filled template through the loader to the findings: each defect is said once, at its place in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet
from small_study import tables

import bipstudy as bip
from bipstudy.schema.template import write_template

Book = openpyxl.Workbook


def validated(path: Path, change: Callable[[Book], None] | None = None) -> bip.validation.Report:
    """Return the report on the small study as a filled template, changed by hand."""
    write_template(path, "sv", tables())
    if change is not None:
        book = openpyxl.load_workbook(path)
        change(book)
        book.save(path)
    # Everything is followed to the end of 2024; a plan may lie later.
    return bip.validate(bip.load_submission(path, extracted_on="2024-12-31"), language="sv")


def column(sheet: Worksheet, label: str) -> int:
    return next(cell.column for cell in sheet[1] if cell.value == label)


def write(sheet: str, label: str, row: int, value: object) -> Callable[[Book], None]:
    def change(book: Book) -> None:
        book[sheet].cell(row, column(book[sheet], label)).value = value

    return change


def without_column(sheet: str, label: str) -> Callable[[Book], None]:
    return lambda book: book[sheet].delete_cols(column(book[sheet], label))


def without_sheet(sheet: str) -> Callable[[Book], None]:
    return lambda book: book.remove(book[sheet])


def test_a_filled_template_is_accepted_in_both_languages(tmp_path: Path) -> None:
    for language in ("sv", "en"):
        path = write_template(tmp_path / f"{language}.xlsx", language, tables())
        report = bip.validate(bip.load_submission(path, extracted_on="2024-12-31"))
        assert report.findings.empty
        assert report.ok
        assert len(report.submitted) == 9


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without_sheet("Formulär"), [("missing-table", None, None, None)]),
        (without_column("Deltagare", "Startade"), [("missing-column", "Deltagare", "Startade", None)]),
        (write("Deltagare", "Kön", 3, "Flicka"), [("unknown-code", "Deltagare", "Kön", 3)]),
        (write("Deltagare", "Startade", 2, "i våras"), [("not-a-date", "Deltagare", "Startade", 2)]),
        (write("Deltagare", "Startade", 2, None), [("missing-value", "Deltagare", "Startade", 2)]),
        (write("Formulär", "Samarbetsförmåga", 7, 6), [("answer-outside-scale", "Formulär", "Samarbetsförmåga", 7)]),
        (write("Formulär", "Deltagare", 19, "0103"), [("unknown-participant", "Formulär", "Deltagare", 19)]),
        (
            write("Aktiviteter", "Till och med", 3, "2024-02-29"),
            [("end-before-start", "Aktiviteter", "Till och med", 3)],
        ),
        (write("Handläggare", "Enhet", 2, "701063-2391"), [("personal-identity-number", "Handläggare", "Enhet", 2)]),
    ],
    ids=lambda value: value[0][0] if isinstance(value, list) else "",
)
def test_each_defect_is_said_once(
    tmp_path: Path, change: Callable[[Book], None], expected: list[tuple[str, str, str, int]]
) -> None:
    findings = validated(tmp_path / "leverans.xlsx", change).findings
    places = findings[["code", "sheet", "column", "row"]].astype(object).where(findings.notna(), None)
    assert list(places.itertuples(index=False, name=None)) == expected
    assert findings["cure"].str.len().gt(10).all()
