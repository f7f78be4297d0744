"""Numbers are written as each language writes them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bipstudy.report.numbers import count, interval, number, percent

THIN, NBSP, MINUS = "\u202f", "\u00a0", "\u2212"


@pytest.mark.parametrize(
    ("value", "language", "decimals", "written"),
    [
        (0.785, "sv", 2, "0,79"),  # 0.785 is stored as slightly above
        (1234567.891, "sv", 1, f"1{THIN}234{THIN}567,9"),
        (1234567.891, "en", 1, f"1{THIN}234{THIN}567.9"),
        (-0.5, "sv", 1, f"{MINUS}0,5"),
        (-0.001, "en", 2, "0.00"),  # what rounds to zero has no sign
        (math.nan, "sv", 2, "–"),
        (None, "en", 2, "–"),
        (-math.inf, "en", 2, f"{MINUS}∞"),
    ],
)
def test_number(value, language, decimals, written):
    assert number(value, language, decimals) == written


def test_percent_and_interval():
    assert percent(0.0612, "sv") == f"6,1{NBSP}%"
    assert percent(0.0612, "en") == "6.1%"
    assert count(5512, "sv") == f"5{THIN}512"
    assert interval(0.66, 1.01, "sv") == "0,66 till 1,01"
    assert interval(0.2, 0.314, "en", 1, as_percent=True) == "20.0 to 31.4%"
    assert interval(math.nan, 1, "en") == "–"


@given(st.floats(-1e9, 1e9), st.integers(0, 6))
def test_what_is_written_reads_back_as_the_rounded_number(value, decimals):
    for language, point in (("sv", ","), ("en", ".")):
        written = number(value, language, decimals)
        read = float(written.replace(THIN, "").replace(point, ".").replace(MINUS, "-"))
        assert read == pytest.approx(round(value, decimals), abs=10**-decimals * 1.0001 if decimals else 1.0)
