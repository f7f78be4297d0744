"""A text file read by column is what it is read row by row: the same tables, places and findings."""

import random

import pandas as pd
import pytest

from bipstudy.loaders import cells, columns, load_submission

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
    "zero before a number": changed(120, ";1;", ";01;"),
    "space before a number": changed(120, ";1;", "; 1;"),
    "plus before a number": changed(120, ";1;", ";+1;"),
    "point after a number": changed(120, ";1;", ";1.0;"),
    "large number": changed(120, ";1;", ";70000;"),
    "space after a day": changed(120, "-05;", "-05 ;"),
    "day with a time": changed(120, "-05;", "-05 00:00;"),
    "day of a year below 1000": changed(120, ";2024", ";0024"),
    "no such day": changed(122, "-05;", "-31;"),
    "row below the names": [HEADER, *body()[:1], "O;D;T;R;F;H;B;S;j;s", *body()[1:]],
    "second row of names": [HEADER, "O;D;T;R;F;H;B;S;j;s", *body()],
    "cut between return and feed": [HEADER, *body()],
    "only numbers": ["Deltagare;Tillfälle;job_search", *(f"{1000 + at};{at % 4};{at % 6}" for at in range(150))],
}


def everything(path):
    """Return all that loading gives, as it can be compared."""
    got = load_submission(path)
    unread = [(each.table, each.column, each.rows.tolist(), each.values.fillna("").tolist()) for each in got.unread]
    return got.tables, got.provenance, got.source_columns, [(str(each), each.values) for each in got.findings], unread


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, "\r\n" if name.startswith("cut") else "\n") for name in FILES),
        ("plain", "\r\n"), ("plain", "\r"), ("total", "\r\n"),
    ],
)  # fmt: skip
def test_read_by_column_as_row_by_row(tmp_path, monkeypatch, name, ending):
    path = tmp_path / "measurements.csv"
    last = {"total": "", "cut between return and feed": "\r"}.get(name, ending)
    path.write_bytes((ending.join(FILES[name]) + last).encode())
    monkeypatch.setattr(columns, "SMALL", 10**9)
    by_row = everything(path)
    monkeypatch.setattr(columns, "SMALL", 0)
    by_column = everything(path)
    for kind in range(2):
        for table, frame in by_row[kind].items():
            pd.testing.assert_frame_equal(by_column[kind][table], frame)
    assert by_column[2:] == by_row[2:]


def test_plain_files_are_read_by_column(monkeypatch):
    monkeypatch.setattr(columns, "SMALL", 0)
    text = "\n".join([HEADER, *body(2_500)])
    lines = columns.read_lines(columns.Text(text), ";", 0, list)
    assert len(lines) == 2_501
    assert lines.width == 10
    assert lines[0] == HEADER.split(";")
    below = lines.below(1, 10)
    assert [cells.distinct[cells.position[2_000]] for cells in below] == body(2_500)[2_000].split(";")
    assert HEADER.split(";")[0] not in below[0].distinct
    assert columns.read_lines(columns.Text(text.replace("h3", '"h3"', 1)), ";", 0, list) is None


def cells_of(content, encoding="utf-8"):
    """Return every cell below the header, row by row, as the columns tell them, and the columns."""
    lines = columns.read_lines(columns.Text(content, encoding), ";", 0, list)
    told = lines.below(1, lines.width)
    return [
        list(row) for row in zip(*([cells.distinct[at] for at in cells.position] for cells in told), strict=True)
    ], told


@pytest.mark.parametrize("seed", range(6))
def test_each_cell_is_told_whatever_its_length(monkeypatch, seed):
    monkeypatch.setattr(columns, "SMALL", 0)
    draw = random.Random(seed)
    encoding, ending = draw.choice(["utf-8", "cp1252"]), draw.choice(["\n", "\r\n"])
    letters = draw.choice(["ab", "0123456789", "aåé€ ,.\u00a0"])
    long = "så långt att ingen tabell når dit " * 3

    def cell(column):
        if column == 0:
            return f"{draw.randrange(40_000):0{draw.choice([1, 7, 8, 9, 15, 16, 17, 24, 25])}d}"
        length = draw.choice([0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 23, 24, 25, 32, 33])
        return draw.choice([long[:length], "".join(draw.choice(letters) for _ in range(length))])

    rows = [[cell(column).strip() for column in range(4)] for _ in range(4_000)]
    for row in rows:
        # A row of one cell is no row of a table.
        row[3] = row[3] or "x"
    text = ending.join(map(";".join, [["a", "b", "c", "d"], *rows])) + draw.choice(["", ending])
    told, found = cells_of(text.encode(encoding), encoding)
    assert told == [[cells.tidied(each) for each in row] for row in rows]
    for column, each in enumerate(found):
        assert sorted(each.distinct) == sorted({row[column] for row in told})


def test_texts_that_begin_alike_are_told_apart_and_in_time(monkeypatch):
    monkeypatch.setattr(columns, "SMALL", 0)
    rows = [[f"organisation-2024-deltagare-{at:06d}", "å" * 8 + f"{at:06d}" + "slut"] for at in range(60_000)]
    told, found = cells_of("\n".join(map(";".join, [["a", "b"], *rows])).encode())
    assert told == rows
    assert [len(each.distinct) for each in found] == [60_000, 60_000]


@pytest.mark.parametrize("at", [63, 64, 65, 2_000, 2_999])
@pytest.mark.parametrize(
    "row",
    [
        "1;2",
        "1;2;3;4",
        "",
        '1;2;"3"',
        "1;2;\x00",
        "1;2;\x1f",
        "1;2;\t",
        "1;\x0c;3",
        "1;2;\rx",
        "1;2\r;3",
        "1;2;3\r\r",
        "\r",
    ],
)
def test_a_row_that_is_not_plain_is_left_to_the_csv_reader(monkeypatch, row, at):
    monkeypatch.setattr(columns, "SMALL", 0)
    lines = ["a;b;c", *(f"{row};h{row % 7};{'x' * (row % 20)}" for row in range(3_000))]
    assert columns.read_lines(columns.Text("\n".join(lines)), ";", 0, list) is not None
    lines[at] = row
    assert columns.read_lines(columns.Text("\n".join(lines)), ";", 0, list) is None


@pytest.mark.parametrize("name", ["sep=\x01", 'sep="', "sep=å"])
def test_a_delimiter_that_is_none_is_left_to_the_csv_reader(tmp_path, monkeypatch, name):
    path = tmp_path / "measurements.csv"
    path.write_text("\n".join([name, HEADER, *body()]), encoding="utf-8")
    by_row = everything(path)
    monkeypatch.setattr(columns, "SMALL", 0)
    assert everything(path)[2:] == by_row[2:]


@pytest.mark.parametrize("ending", [b"", b"\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_large_file_is_read_by_the_same_ladder(tmp_path, monkeypatch, encoding, ending):
    monkeypatch.setattr(columns, "SMALL", 2**20)
    text = "\n".join([HEADER, *body(16_000)])
    path = tmp_path / "measurements.csv"
    path.write_bytes(text.encode(encoding) + ending)
    got = everything(path)
    small = tmp_path / "small"
    small.mkdir()
    (small / "measurements.csv").write_bytes("\n".join([HEADER, *body(1_000)]).encode(encoding) + ending)
    few = everything(small)
    assert len(got[0]["measurements"]) == 16_000
    pd.testing.assert_frame_equal(got[0]["measurements"][:1_000], few[0]["measurements"])


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        (lambda text: text[:-3] + b"\x01" + text[-2:], "not-text"),
        (lambda text: text[:-3] + b"\x1f" + text[-2:], "not-text"),
        (lambda text: text.replace(b"\n", b"\r\n") + b"\x0e", "not-text"),
        (lambda text: text.replace("handläggare".encode(), "handlÃ¤ggare".encode()), "wrong-encoding"),
        (lambda text: text + "å".encode()[:1], "truncated-file"),
        (lambda text: b"\xff" * len(text), "empty-file"),
        (lambda text: b" \n" * len(text), "empty-file"),
        (lambda text: text[:-2_000] + b"\xff" * 2_000, "wrong-encoding"),
    ],
)
def test_what_is_wrong_with_a_large_file_is_seen(tmp_path, monkeypatch, spoilt, code):
    monkeypatch.setattr(columns, "SMALL", 2**20)
    path = tmp_path / "measurements.csv"
    path.write_bytes(spoilt("\n".join([HEADER, *body(16_000)]).encode()))
    assert code in [finding.code for finding in load_submission(path).findings]
