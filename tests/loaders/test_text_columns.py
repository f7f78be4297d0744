"""A text file read by column is what it is read row by row: the same tables, places and findings."""

import pandas as pd
import pytest

from bipstudy.loaders import columns, load_submission

HEADER = "Organisation;Deltagare;Tillfälle;Respondent;Formulär;Handläggare;Besvarad;Status;job_search;self_belief"


def body(rows=150):
    """Return rows of forms with dates, ids with zeros, reasons and empty cells."""
    said = ("1", "2", "3", "", "Vet ej", "Vill ej svara")
    return [
        f"A;{row // 4:04d};{row % 4 // 2 + 1};{'deltagare' if row % 2 else 'handläggare'};bip-default;h{row % 7};"
        f"2024-{row % 12 + 1:02d}-05;Besvarad;{said[row % 6]};{said[row % 4]}"
        for row in range(rows)
    ]


def changed(at, old, new):
    """Return the file with something replaced on one line."""
    lines = [HEADER, *body()]
    lines[at] = lines[at].replace(old, new, 1)
    return lines


FILES = {
    "plain": [HEADER, *body()],
    "title above": ["Uttag 2024", "", HEADER, *body()],
    "separator": ["sep=;", HEADER, *body()],
    "too long": changed(120, "bip-default", "bip-default;"),
    "too short": changed(120, ";bip-default", ""),
    "blank line": [HEADER, *body()[:100], "", *body()[100:]],
    "blank cells": [HEADER, *body()[:100], ";" * 9, *body()[100:]],
    "quoted": changed(120, "bip-default", '"bip-default"'),
    "broken quotes": changed(120, "bip-default", '"bip-default'),
    "header again": [HEADER, *body()[:100], HEADER, *body()[100:]],
    "total": [HEADER, *body(), "Summa" + ";" * 9],
    "lost zeros": changed(121, "A;0030", "A;30"),
    "return inside": changed(120, "bip-default", "bip\rdefault"),
    "feed inside": changed(120, "bip-default", "bip\x0cdefault"),
    "line separator inside": changed(120, "bip-default", "bip\u2028default"),
    "two spellings": changed(120, "bip-default", "\u00a0bip-default "),
    "one delimiter more": [HEADER, *(f"{line};" for line in body())],
    "a cell more": [HEADER, *(f"{line};x" for line in body())],
    "unnamed column": [HEADER + ";", *(f"{line};x" for line in body())],
    "header far below": [*["x;y"] * 38, HEADER, *body()],
    "two headers": [HEADER, HEADER, *body()],
    "forbidden": [HEADER + ";Namn", *(f"{line};Kim Ek" for line in body())],
    "mixed marks": changed(120, ";2024", ";5/3 2024;2024"),
}


def everything(path):
    """Return all that loading gives, as it can be compared."""
    got = load_submission(path)
    unread = [(each.table, each.column, each.rows.tolist(), each.values.fillna("").tolist()) for each in got.unread]
    return got.tables, got.provenance, got.source_columns, [(str(each), each.values) for each in got.findings], unread


@pytest.mark.parametrize(
    ("name", "ending"), [*((name, "\n") for name in FILES), ("plain", "\r\n"), ("plain", "\r"), ("total", "\r\n")]
)
def test_read_by_column_as_row_by_row(tmp_path, monkeypatch, name, ending):
    path = tmp_path / "measurements.csv"
    path.write_bytes(ending.join(FILES[name]).encode() + (b"" if name == "total" else ending.encode()))
    monkeypatch.setattr(columns, "_FEW", 10**9)
    by_row = everything(path)
    monkeypatch.setattr(columns, "_FEW", 0)
    by_column = everything(path)
    for kind in range(2):
        for table, frame in by_row[kind].items():
            pd.testing.assert_frame_equal(by_column[kind][table], frame)
    assert by_column[2:] == by_row[2:]


def test_plain_files_are_read_by_column(tmp_path):
    text = "\n".join([HEADER, *body(2_500)])
    lines = columns.read_lines(columns.Text(text), ";", 0, list)
    assert len(lines) == 2_501
    assert lines.width == 10
    assert lines[0] == HEADER.split(";")
    below = lines.below(1, 10)
    assert [cells.distinct[cells.position[2_000]] for cells in below] == body(2_500)[2_000].split(";")
    assert HEADER.split(";")[0] not in below[0].distinct
    assert columns.read_lines(columns.Text(text.replace("h3", '"h3"', 1)), ";", 0, list) is None
