"""Every written form of an identity number is found, and other numbers are not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bipstudy import schema
from bipstudy.validation.identifiers import find, find_in, luhn, redact, too_many

# The Swedish Tax Agency's published example of a coordination number; the others are made from it or by `numbered`.
COORDINATION = "701063-2391"
LIMITS = schema.rules()["personal-identity-number"].threshold


def check_digit(nine: str) -> str:
    """Return the check digit by the printed rule: double every other digit, add the digits of the products."""
    products = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(nine)]
    total = sum(int(digit) for product in products for digit in str(product))
    return str((10 - total % 10) % 10)


def numbered(date: dt.date, serial: int, coordination: bool = False) -> tuple[str, str]:
    """Return century and ten digits of a number."""
    written = date.strftime("%Y%m%d")
    if coordination:
        written = f"{written[:6]}{date.day + 60}"
    nine = f"{written[2:]}{serial:03d}"
    return written[:2], nine + check_digit(nine)


FORMS = {
    "701063-2391": "separated",
    "7010632391": "ten",
    "19701063-2391": "twelve",
    "197010632391": "twelve",
    "701063+2391": "separated",
    "18701063+2391": "twelve",
    "701063 2391": "separated",
    "19701063 2391": "twelve",
    "1970 10 63 2391": "twelve",
    "1970-10-63-2391": "twelve",
    "1970.10.63-2391": "twelve",
    "701063\u20132391": "separated",
    "701063\u22122391": "separated",
    "701063\u00a02391": "separated",
    "701063 - 2391": "separated",
    "197010632391.0": "twelve",
    "7010632391,0": "ten",
    "  197010632391  ": "twelve",
    "1,97010632391E+11": "mangled",
    "1.98507E+11": "mangled",
    "1,98507E+11": "mangled",
    "2,00507e+11": "mangled",
    "19850709TF29": "letters",
    "19850709Tf29": "letters",
    "19850709-TF29": "letters",
    "850709-T123": "letters",
    "850709-XXXX": "letters",
    "19850709-xxxx": "letters",
}


@pytest.mark.parametrize("cell", FORMS)
def test_written_forms_are_found(cell: str) -> None:
    assert [(match.kind, match.inside) for match in find(cell)] == [(FORMS[cell], False)]


@pytest.mark.parametrize(
    "cell", [form for form, kind in FORMS.items() if kind in ("twelve", "separated", "letters", "ten")]
)
def test_written_forms_are_found_inside_a_text(cell: str) -> None:
    matches = find(f"Ringde {cell.strip()}, återkommer.")
    assert [match.inside for match in matches] == [True]
    assert matches[0].kind == FORMS[cell]


def test_two_numbers_in_one_cell_are_two() -> None:
    assert len(find("701063-2391 och 197010632391")) == 2


def test_a_number_that_lost_its_leading_zero_is_found() -> None:
    century, ten = numbered(dt.date(2005, 7, 9), 980)
    assert (century, ten[0]) == ("20", "0")
    assert [match.kind for match in find(ten[1:])] == ["shortened"]
    assert [match.kind for match in find(ten[1:] + ".0")] == ["shortened"]


@pytest.mark.parametrize(
    "cell",
    [
        "212000-0175",  # the organisation number of a municipality: the third digit is at least 2
        "2120000175",
        "162120000175",
        "802002-4280",
        "202100-5489",
        "1",
        "17",
        "000017",
        "1000000017",
        "2024-03-05",
        "20240305",
        "2024-03-05 12:30",
        "2024-03-05T12:30:00",
        "20240305T1230",
        "070-123 45 67",
        "+46 70 123 45 67",
        "08-123 456 00",
        "123 45",
        "A-1024",
        "701063-2392",  # wrong check digit
        "701363-2391",  # no such month
        "701099-2391",  # no such day
        "000000-0000",
        "1970106323911",  # thirteen digits
        "BIP20240305AB12",
        "E20240305",
        "",
        "7010.6323",
        "12345678901234567890",
    ],
)
def test_other_numbers_are_not_found(cell: str) -> None:
    assert find(cell) == []


def test_the_leap_day_of_2000_is_a_date_and_that_of_1900_is_none() -> None:
    assert find("".join(numbered(dt.date(2000, 2, 29), 123)))
    nine = "000229123"
    assert find("19" + nine + check_digit(nine)) == []


def test_a_time_in_twelve_digits_is_judged_by_its_column() -> None:
    # Minute by minute of one day: one in ten passes for a number by its check digit.
    times = [f"20240305{hour:02d}{minute:02d}" for hour in range(24) for minute in range(60)]
    kinds = {match.kind for time in times for match in find(time)}
    assert kinds == {"timestamp"}


@given(
    date=st.dates(dt.date(1890, 1, 1), dt.date(2012, 12, 31)),
    serial=st.integers(1, 999),
    coordination=st.booleans(),
    form=st.sampled_from(
        ["{century}{ten}", "{ten}", "{century}{date}-{last}", "{date}-{last}", "{date}+{last}", "{date} {last}"]
    ),
)
def test_any_valid_number_is_found(date: dt.date, serial: int, coordination: bool, form: str) -> None:
    century, ten = numbered(date, serial, coordination)
    cell = form.format(century=century, ten=ten, date=ten[:6], last=ten[6:])
    assert len(find(cell)) == 1
    assert not any(digit.isdigit() for digit in redact(cell))
    # One digit changed anywhere in the last four spoils the check digit.
    changed = cell[:-1] + str((int(cell[-1]) + 1) % 10)
    assert find(changed) == []


@given(st.text(max_size=40))
def test_no_text_is_too_strange(cell: str) -> None:
    for match in find(cell):
        assert 0 <= match.start < match.end <= len(cell)


def test_the_check_digit_by_two_ways() -> None:
    for serial in range(1, 1000, 7):
        ten = numbered(dt.date(1985, 7, 9), serial)[1]
        assert [luhn(ten[:9] + digit) for digit in "0123456789"].count(True) == 1
        assert luhn(ten)


def test_chance_hits_among_random_digits() -> None:
    rng = np.random.default_rng(20240305)
    cells = pd.Series([f"{number:010d}" for number in rng.integers(0, 10**10, 200_000)], dtype=schema.STRING)
    found = find_in(cells)
    # By counting: 365.25 days of 10,000 four-digit endings of a year, twice for coordination numbers, one check digit
    # of ten, 999 of 1,000 serials: 0.73 per cent. Four standard errors of the share are 0.08.
    assert len(found) / len(cells) == pytest.approx(0.0073, abs=0.0008)
    assert set(found["kind"]) == {"ten"}
    assert not too_many(len(found), len(cells), LIMITS)


def test_the_fast_way_finds_what_the_plain_one_does() -> None:
    rng = np.random.default_rng(1)
    numbers = [str(number) for size in (9, 10, 12) for number in rng.integers(10 ** (size - 1), 10**size, 20_000)]
    numbers += [form for form in FORMS] + ["", "701063-2391x", "x"]
    cells = pd.Series(numbers, dtype=schema.STRING)
    plain = [row for row, cell in enumerate(numbers) if find(cell)]
    assert find_in(cells)["row"].tolist() == plain


def test_a_column_is_judged_by_its_share() -> None:
    assert too_many(1, 1, LIMITS)
    assert not too_many(1, 10, LIMITS)
    assert too_many(2, 20, LIMITS)
    assert not too_many(40, 5000, LIMITS)
    assert too_many(250, 5000, LIMITS)


def test_names_of_files_are_blotted_out() -> None:
    assert redact("701063-2391.xlsx") == "█" * 11 + ".xlsx"
    assert redact("deltagare 2024.xlsx") == "deltagare 2024.xlsx"
