"""What a cell means: dates, numbers, codes, yes and no, and the many ways of saying nothing."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bipstudy import schema
from bipstudy.loaders.cells import Cells, parse
from bipstudy.loaders.dates import read_date


@pytest.mark.parametrize(
    ("text", "first_day", "precision"),
    [
        ("2024-03-05", (2024, 3, 5), "day"),
        ("20240305", (2024, 3, 5), "day"),
        ("2024/3/5", (2024, 3, 5), "day"),
        ("5/3 2024", (2024, 3, 5), "day"),
        ("2024-03-05 00:00:00", (2024, 3, 5), "day"),
        ("2024-03-05T14:30", (2024, 3, 5), "day"),
        ("2024–03–05", (2024, 3, 5), "day"),
        ("2024-02-29", (2024, 2, 29), "day"),
        ("2024-03", (2024, 3, 1), "month"),
        ("2024-Q3", (2024, 7, 1), "quarter"),
        ("2024 q3", (2024, 7, 1), "quarter"),
        ("2024K4", (2024, 10, 1), "quarter"),
        ("Kvartal 1 2024", (2024, 1, 1), "quarter"),
        ("2024 kvartal 2", (2024, 4, 1), "quarter"),
        ("2024-kv1", (2024, 1, 1), "quarter"),
    ],
)
def test_dates_that_are_certain(text, first_day, precision):
    assert read_date(text) == (dt.date(*first_day), precision)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29",
        "2024-13",
        "2024-Q5",
        "2024-Q0",
        "03/05/24",
        "5/3/2024",
        "05.03.2024",
        "2024",
        "202403",
        "2024-3-5-1",
        "0024-03-05",
        "20240230",
        "2024/03-05",
        "45356",
        "mar-24",
        "2024-03-05 x",
        "²024-03-05",
    ],
)
def test_dates_that_are_not(text):
    assert read_date(text) is None


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31)))
def test_every_day_is_read_in_both_forms(day):
    assert read_date(day.isoformat()) == read_date(day.strftime("%Y%m%d")) == (day, "day")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.decimals(-9999, 9999, places=3), min_size=1, max_size=20),
    st.sampled_from([".", ","]),
)
def test_numbers_with_one_mark_throughout(numbers, mark):
    parsed = parse("number", Cells.of([str(number).replace(".", mark) for number in numbers]))
    assert parsed.problems == {}
    np.testing.assert_array_equal(parsed.values, [float(number) for number in numbers])


def test_marks_that_mix_lose_the_column_and_nothing_else():
    parsed = parse("number", Cells.of(["1,5", "2", "3.5", "", "x"]))
    assert {code: rows.tolist() for code, rows in parsed.problems.items()} == {
        "mixed-decimal-marks": [0, 2],
        "not-a-number": [4],
    }
    np.testing.assert_array_equal(parsed.values, [np.nan, 2, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    "text", ["1.234,5", "1,234.5", "12 kr", "80 %", "1,2,3", "1e400", "nan1", "٣", "9" * 30, "--1"]
)
def test_numbers_that_are_not(text):
    parsed = parse("number", Cells.of([text]))
    assert parsed.values.isna().all()
    assert list(parsed.problems) == ["not-a-number"]


def test_whole_numbers():
    parsed = parse("integer", Cells.of(["3", "3,0", 4.0, "1 234", "-2", "−2", "3,5", "tre"]))
    assert parsed.values[:6].tolist() == [3, 3, 4, 1234, -2, -2]
    assert parsed.problems["not-a-whole-number"].tolist() == [6, 7]
    assert parsed.values.dtype == "Int64"


def test_yes_and_no():
    parsed = parse("boolean", Cells.of(["Ja", "nej", "J", "N", 1, 0, True, False, "X", "yes", "NO", "", "-", "kanske"]))
    expected = [True, False, True, False, True, False, True, False, True, True, False]
    assert parsed.values[:11].tolist() == expected
    assert parsed.values[11:].isna().all()
    assert {code: rows.tolist() for code, rows in parsed.problems.items()} == {"not-yes-or-no": [13]}


@pytest.mark.parametrize("name", schema.code_list_names())
@pytest.mark.parametrize("language", ["sv", "en"])
def test_every_code_is_known_by_code_and_label(name, language):
    codes = schema.code_list(name)
    written = [
        *codes.values,
        *codes.labels(language).values(),
        *(label.upper() for label in codes.labels("sv").values()),
    ]
    parsed = parse("code", Cells.of(written), codes.spellings)
    assert parsed.values.tolist() == codes.values * 3
    assert parsed.problems == {}


def test_not_known_is_a_code_where_there_is_one_and_missing_where_there_is_none():
    said = Cells.of(["Vet ej", "Uppgift saknas", "Okänd", "", "-"])
    parsed = parse("code", said, schema.code_list("education").spellings)
    assert parsed.values[:3].tolist() == ["unknown"] * 3
    assert parsed.values[3:].isna().all()
    parsed = parse("code", said, schema.code_list("focus").spellings)
    assert parsed.values.isna().all()
    assert parsed.problems["unknown-code"].tolist() == [2]


def test_ids_stay_the_text_they_are():
    parsed = parse("id", Cells.of(["007", 17.0, " 8 ", "na", "Ja", "", "-", "1e5", "17.0"]))
    assert parsed.values[:5].tolist() == ["007", "17", "8", "na", "Ja"]
    assert parsed.values[5:7].isna().all()
    assert parsed.problems["spoilt-id"].tolist() == [7, 8]


def test_an_answer_that_is_missing_gives_its_reason():
    parsed = parse("item", Cells.of(["3", "Vet ej", "vill ej svara", "Ej aktuellt", "oläsligt", "-", "", "?"]))
    assert parsed.reasons.tolist() == ["", "dont_know", "declined", "not_asked", "unreadable", "", "", ""]
    assert parsed.values.notna().tolist() == [True] + [False] * 7
    assert parsed.problems["not-a-whole-number"].tolist() == [7]


@given(
    st.lists(
        st.one_of(st.text(max_size=6), st.integers(), st.floats(), st.booleans(), st.none(), st.dates()), max_size=20
    )
)
def test_anything_may_stand_in_any_column(values):
    for kind in ("id", "text", "code", "date", "integer", "number", "boolean", "year", "item"):
        parsed = parse(kind, Cells.of(values), schema.code_list("sex").spellings)
        assert len(parsed.values) == len(values)
        assert isinstance(parsed.values.index, pd.RangeIndex)
        for rows in parsed.problems.values():
            if kind != "id":
                assert parsed.values.iloc[rows].isna().all()
