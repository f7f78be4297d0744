"""What is said of the rows and columns of a sheet that was read: headers, totals, hidden rows and merged cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bipstudy.loaders.mapping import TableMapping
from bipstudy.loaders.names import key
from bipstudy.schema import Finding

if TYPE_CHECKING:
    from bipstudy.loaders.source import Sheet, Source


def note_rows(source: Source, table: str, findings: list[Finding]) -> None:
    """Say which rows were read as part of the header, as the header once more or as totals."""
    grid, header = source.grid, source.header
    if header.last > header.first:
        row, count = source.header_row, header.last - header.first + 1
        values: dict[str, object] = {"rows": count}
        findings.append(Finding("several-header-rows", table, grid.file, grid.sheet, row, values=values))
    body = source.body
    unseen = len(grid.unseen.intersection(body.at.tolist())) if grid.unseen else 0
    if unseen:
        findings.append(Finding("hidden-rows", table, grid.file, grid.sheet, count=unseen))
    left_out = {"total-row": body.totals, "footer-row": body.footers, "lone-words": body.words}
    for code, rows in (left_out | {"repeated-header": body.again}).items():
        findings += [Finding(code, table, grid.file, grid.sheet, row) for row in rows]


def note_merged(source: Source, sheets: list[Sheet], findings: list[Finding]) -> None:
    """Say which columns have merged cells: their content counts in every row, but in the first column only."""
    kept = set(source.body.at.tolist()) if source.grid.merged else set()
    for sheet in sheets[:1]:
        down: dict[int, int] = {}
        for top, left, bottom, right in source.grid.merged:
            if top <= source.header.last or left >= len(source.header.names):
                continue
            if right > left:
                row = source.grid.numbers[top]
                findings.append(replace(sheet.finding("merged-across", row=row), column=source.shown(left)))
            elif bottom > top:
                down[left] = down.get(left, 0) + sum(row in kept for row in range(top + 1, bottom + 1))
        for left, count in sorted(down.items()):
            findings.append(replace(sheet.finding("merged-cells", count=count), column=source.shown(left)))


def note_unused(sheet: Sheet, entry: TableMapping, findings: list[Finding]) -> None:
    """Say which columns the mapping names and the sheet has not."""
    present = {key(name) for name in sheet.names.values()}
    for theirs, ours in entry.columns.items():
        if theirs not in present and ours not in sheet.columns:
            findings.append(sheet.finding("mapping-unused", ours))
