"""Every published form of an identity number is found, and false alarms are counted and stated in the documentation."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import study, tables

import bipstudy as bip
from bipstudy import schema
from bipstudy.validation.contacts import is_birth_date, kinds_in, says_born
from bipstudy.validation.identifiers import CERTAIN, _by_chance, find, find_in

FORMS = list(csv.DictReader(Path(__file__).with_name("identity_forms.csv").read_text(encoding="utf-8").splitlines()))
PAGE = Path(__file__).parents[2] / "docs" / "method" / "identifiers.md"
LIMITS = schema.rules()["personal-identity-number"].threshold
MANY = 20_000
Draw = Callable[[np.random.Generator], list[str]]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["form"])
def test_every_published_form_is_found(form: dict[str, str]) -> None:
    assert [match.kind for match in find(form["form"])] == [form["kind"]]
    if form["kind"] in ("twelve", "separated", "letters", "ten"):
        assert [match.inside for match in find(f"Samtal med {form['form'].strip()} i dag.")] == [True]


def organisation_numbers(rng: np.random.Generator) -> list[str]:
    """Return organisation numbers with a valid check digit: the third digit is at least 2."""
    first, second, third = rng.choice([2, 5, 7, 8, 9], MANY), rng.integers(0, 10, MANY), rng.integers(2, 10, MANY)
    rest = rng.integers(0, 10**6, MANY)
    nine = [f"{a}{b}{c}{r:06d}" for a, b, c, r in zip(first, second, third, rest, strict=True)]
    return [digits + check_digit(digits) for digits in nine]


def check_digit(nine: str) -> str:
    products = [int(digit) * (2 - place % 2) for place, digit in enumerate(nine)]
    return str(-sum(product - 9 * (product > 9) for product in products) % 10)


def digits(size: int) -> Draw:
    return lambda rng: [str(number) for number in rng.integers(10 ** (size - 1), 10**size, MANY)]


def phones(form: str) -> Draw:
    return lambda rng: [
        form.format(*(f"{number:02d}" for number in row)) for row in rng.integers(0, 100, (MANY, 4)).tolist()
    ]


def days(form: str) -> Draw:
    def draw(rng: np.random.Generator) -> list[str]:
        drawn = pd.to_datetime("2015-01-01") + pd.to_timedelta(rng.integers(0, 4000, MANY), "D")
        return [day.strftime(form) for day in drawn]

    return draw


COLUMNS: dict[str, Draw] = {
    "organisation numbers, ten digits": organisation_numbers,
    "organisation numbers with a hyphen": lambda rng: [f"{n[:6]}-{n[6:]}" for n in organisation_numbers(rng)],
    "organisation numbers with 16 before": lambda rng: ["16" + number for number in organisation_numbers(rng)],
    "running numbers from 1": lambda rng: [str(number) for number in range(1, MANY + 1)],
    "running numbers from 1000000001": lambda rng: [str(10**9 + number) for number in range(1, MANY + 1)],
    "random numbers of 8 digits": digits(8),
    "random numbers of 9 digits": digits(9),
    "random numbers of 10 digits": digits(10),
    "random numbers of 12 digits": digits(12),
    "dates, 2024-03-05": days("%Y-%m-%d"),
    "dates, 20240305": days("%Y%m%d"),
    "phone numbers, 07x-xxx xx xx": phones("07{3:.1}-{0}7 {1} {2}"),
    "phone numbers, ten bare digits": phones("07{0}{1}{2}{3}"),
    "phone numbers, +46": phones("+46 70 {0}1 {1} {2}"),
    "area numbers, 08-xxx xxx": phones("08-{0}5 {1}{2}"),
    "times of a day, 202403051230": lambda rng: [f"20240305{h:02d}{m:02d}" for h in range(24) for m in range(60)],
}


def counted() -> list[str]:
    """Return the lines of the table: hits that are certain, hits by chance, and whether the column blocks."""
    lines = ["| column | certain | by chance | blocks as identity numbers | contact details |", "|---|---|---|---|---|"]
    for number, (name, draw) in enumerate(COLUMNS.items()):
        cells = pd.Series(draw(np.random.default_rng(number)), dtype=schema.STRING)
        found = find_in(cells)
        certain = int(found["kind"].isin(CERTAIN).sum())
        blocks = "yes" if certain or (len(found) and not _by_chance(cells, found, LIMITS).any()) else "no"
        contacts = sum(bool(kinds_in(cell)) for cell in cells)
        lines.append(f"| {name} | {certain} | {len(found) - certain} | {blocks} | {contacts} |")
    return lines


@pytest.mark.certify
def test_false_alarms_are_those_the_page_states() -> None:
    before, rest = PAGE.read_text(encoding="utf-8").split("<!-- begin -->")
    after = rest.split("<!-- end -->")[1]
    table = "\n".join(counted())
    if os.environ.get("BIPSTUDY_REWRITE"):
        PAGE.write_text(f"{before}<!-- begin -->\n{table}\n<!-- end -->{after}", encoding="utf-8", newline="\n")
    assert rest.split("<!-- end -->")[0].strip() == table or os.environ.get("BIPSTUDY_REWRITE")


@pytest.mark.parametrize(
    ("cell", "kinds"),
    [
        ("namn.efternamn@kommun.se", ["email"]),
        ("skriv till a@b.nu snarast", ["email"]),
        ("070-174 06 05", ["phone"]),
        ("0701740605", ["phone"]),
        ("+46 70 174 06 05", ["phone"]),
        ("0046701740605", ["phone"]),
        ("ring 08-123 456 00", ["phone"]),
        ("031-12 34 56", ["phone"]),
        ("Storgatan 12", ["address"]),
        ("Björkvägen 3 B", ["address"]),
        ("123 45 Umeå", ["address"]),
        ("192.168.0.1", ["ip"]),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", ["ip"]),
        ("212000-0175", []),
        ("701063-2391", []),
        ("2024-03-05", []),
        ("2024-03-05 12:30", []),
        ("Enhet norr 12", []),
        ("12.5", []),
        ("1.2.3", []),
        ("0180", []),
        ("16-24", []),
        ("H007", []),
        ("", []),
    ],
)
def test_contact_details(cell: str, kinds: list[str]) -> None:
    assert kinds_in(cell) == kinds


@pytest.mark.parametrize(
    ("cell", "birth"),
    [
        ("1985-07-09", True),
        ("19850709", True),
        ("1985/07/09", True),
        ("1985-07-09 00:00:00", True),
        ("2012-12-31", True),
        ("2013-01-01", False),
        ("1985-02-30", False),
        ("1985-07", False),
        ("1985", False),
        ("850709", False),
    ],
)
def test_dates_of_birth(cell: str, birth: bool) -> None:
    assert is_birth_date(cell, 2012) == birth


def test_contact_details_in_a_table_block_and_are_not_shown() -> None:
    frames = tables()
    frames["participants"].loc[1, "unit_id"] = "070-174 06 05"
    report = bip.validate(study(frames), language="sv")
    found = list(report.findings[["code", "column", "row"]].itertuples(index=False, name=None))
    assert found == [("contact-details", "unit_id", 3)]
    assert not report.ok
    assert "174" not in report.to_html()


@pytest.mark.parametrize(
    ("cell", "born"),
    [
        ("Född 1985-07-09 i Skövde", True),
        ("Kim är född den 9 juli 1985", True),
        ("f. 850709", True),
        ("född: 9/7 1985", True),
        ("born 9.7.1985", True),
        ("date of birth 1985 07 09", True),
        ("född utomlands, inskriven 2024-03-05", False),
        ("inskriven 1999-03-05", False),
        ("född 1985", False),
        ("utförd 1999-03-05", False),
        ("kl. 1985-07-09", False),
        ("född 2024-03-05", False),
    ],
)
def test_a_text_that_says_when_somebody_was_born(cell: str, born: bool) -> None:
    assert says_born(cell, 2012) == born


def test_a_cell_that_says_a_date_of_birth_blocks_alone() -> None:
    frames = tables()
    frames["participants"]["unit_id"] = ["grupp 2", "född 9 juli 1985", "född 701063-2391"]
    findings = bip.validate(study(frames)).findings
    found = findings[findings["code"].isin(["date-of-birth", "personal-identity-number"])]
    assert found["code"].tolist() == ["personal-identity-number", "date-of-birth"]
    assert "1985" not in findings.to_csv()


def test_a_column_of_dates_of_birth_blocks() -> None:
    frames = tables()
    frames["participants"]["unit_id"] = pd.Series(["1985-07-09", "1990-01-31", "2001-12-24"], dtype=schema.STRING)
    report = bip.validate(study(frames))
    assert report.findings["code"].tolist() == ["date-of-birth"] * 3
    frames["participants"]["unit_id"] = pd.Series(["norr", "1990-01-31", "syd"], dtype=schema.STRING)
    assert bip.validate(study(frames)).findings.empty
