"""An item that one file lacks, or one occasion of a file with many, is missed where those who answer are asked it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_what_stewards_send import ASKED_OF_PARTICIPANTS, FORMS, QUESTIONS, delivery, forms, write

import bipstudy as bip
from bipstudy import schema

ITEMS = schema.items()
WHO = ("participant", "caseworker")
ASKED = {who: [schema.items()[one].label["sv"] for one in schema.instrument().asked_of(who)] for who in WHO}
WIDE = """organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {{Klientnr: participant_id, Handläggare: caseworker_id}}
    set: {{form_status: answered, instrument: bip-default}}
    wide:
      pattern: "{{respondent}} {{item}} M{{occasion}}"
      respondents: {{Klient: participant, Handl: caseworker}}
      items: {items}
      columns: {{"{{respondent}} datum M{{occasion}}": answered_on}}
"""


def without(header: list[str], rows: list[list[str]], *names: str) -> list[list[str]]:
    """Return header and rows without some columns."""
    kept = [at for at, name in enumerate(header) if name not in names]
    return [[row[at] for at in kept] for row in [header, *rows]]


def missed(folder: Path, code: str = "item-not-in-file", **options: object) -> list[tuple[str, str, int]]:
    """Return file, column and count of each item that is missed."""
    found = bip.load_submission(folder, **options).findings
    return [(one.file, str(one.column), one.count) for one in found if one.code == code]


@pytest.fixture
def two(tmp_path: Path):
    """Return what writes a file of each respondent, each without some columns, and says what is missed."""

    def check(of_participants: list[str], of_caseworkers: list[str], **options: str) -> list[tuple[str, str, int]]:
        folder = delivery(tmp_path)
        (folder / "formulär.csv").unlink(missing_ok=True)
        left = {"Deltagaren": of_participants, "Handläggaren": of_caseworkers}
        for who, names in left.items():
            write(folder / f"formulär {who}.csv", *without([*FORMS, *QUESTIONS], forms((who,)), *names))
        return missed(folder, **options)

    return check


def test_an_item_that_one_of_two_files_lacks(two) -> None:
    assert two([], ["Samarbetsförmåga"]) == [("formulär Handläggaren.csv", "cooperation", 9)]
    assert two(["Samarbetsförmåga"], []) == [("formulär Deltagaren.csv", "cooperation", 9)]


def test_an_item_that_no_file_has_is_missed_once(two) -> None:
    gone = ["Samarbetsförmåga"]
    assert two(gone, gone, code="missing-item-column") == [("formulär Deltagaren.csv", "cooperation", 18)]
    assert two(gone, gone) == []


def test_an_item_of_which_the_other_is_asked_is_not_missed(two) -> None:
    assert two([each for each in QUESTIONS if each not in ASKED_OF_PARTICIPANTS], []) == []


def test_forms_that_nobody_answered_need_no_columns(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    not_reached = [[*form[:2], "4", *form[3:6], "", "Ej nådd"] for form in forms()[::6]]
    write(folder / "formulär ej nådda.csv", FORMS, *not_reached)
    assert missed(folder) == []


def test_a_file_beside_without_items_lacks_none_of_them(tmp_path: Path) -> None:
    folder = delivery(tmp_path)
    write(folder / "formulär tillägg.csv", FORMS, *([*form[:2], "4", *form[3:8]] for form in forms()[::6]))
    assert missed(folder) == missed(folder, "missing-item-column") == []


def test_an_item_that_was_dropped_later_stops_no_delivery_and_may_be_excepted(tmp_path: Path) -> None:
    folder = delivery(tmp_path / "in")
    (folder / "formulär.csv").unlink()
    for year, names in (("2023", []), ("2024", ["Samarbetsförmåga"])):
        of_it = [form for form in forms() if (form[1] == "D01") == (year == "2023")]
        write(folder / f"formulär {year}.csv", *without([*FORMS, *QUESTIONS], of_it, *names))
    submission = bip.load_submission(folder)
    report = bip.validate(submission, language="sv")
    told = report.findings[report.findings["severity"] != "note"]
    assert told[["code", "severity", "file"]].to_numpy().tolist() == [
        ["item-not-in-file", "warning", "formulär 2024.csv"]
    ]
    path = tmp_path / "undantag.yaml"
    path.write_text(
        "exceptions:\n  - {rule: item-not-in-file, reason: Frågan togs bort 2024., date: 2024-06-01}\n", "utf-8"
    )
    report = bip.validate(submission, language="sv", exceptions=path)
    assert set(report.findings.query("code == 'item-not-in-file'")["status"]) == {"excepted"}


@pytest.fixture
def wide(tmp_path: Path):
    """Return what writes three participants with two occasions of both respondents, without some columns."""

    def check(*names: str) -> list[tuple[str, str, int]]:
        folder = tmp_path / "in"
        blocks = [(f"Klient {{}} M{at}", f"Handl {{}} M{at}") for at in (1, 2)]
        asked = zip([ASKED[who] for who in WHO] * 2, sum(blocks, ()), strict=True)
        header = ["Klientnr", "Handläggare"]
        header += [name.format(each) for items, name in asked for each in ["datum", *items]]
        row = ["H1", *("2024-02-01" if "datum" in name else "3" for name in header[2:])]
        write(folder / "svar.csv", *without(header, [[person, *row] for person in ("D1", "D2", "D3")], *names))
        mapping = tmp_path / "mapping.yaml"
        items = "{" + ", ".join(f'"{item.label["sv"]}": {item.id}' for item in ITEMS.values()) + "}"
        mapping.write_text(WIDE.format(items=items), "utf-8")
        return missed(folder, mapping=mapping)

    return check


def test_a_wide_file_with_all_items_misses_none(wide) -> None:
    assert wide() == []


def test_an_item_of_one_respondent_at_one_occasion_is_named_as_its_column_would_be(wide) -> None:
    assert wide("Klient Samarbetsförmåga M2") == [("svar.csv", "Klient Samarbetsförmåga M2", 3)]


def test_an_item_of_one_respondent_at_no_occasion_is_told_once(wide) -> None:
    gone = [f"Handl Samarbetsförmåga M{at}" for at in (1, 2)]
    assert wide(*gone) == [("svar.csv", "cooperation", 6)]
