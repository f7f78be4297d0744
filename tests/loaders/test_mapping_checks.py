"""What a mapping is checked for before anything is loaded, each with its line, and a mapping that fits no file."""

from __future__ import annotations

from pathlib import Path

import pytest

import bipstudy as bip
from bipstudy.loaders import read_mapping
from bipstudy.loaders.mapping_file import MappingError

RIGHT = """schema_version: 1
date_format: D/M/ÅÅÅÅ
tables:
  participants:
    file: klienter.csv
    set:
      observed_until: 2024-12-31
      entered_on: 31/1/2024
      months_since_work: 3
      mental_ill_health: nej
    values:
      months_since_work: {"999": "", "ett år": 12}
"""


def wrong_lines(folder: Path, content: str) -> list[int]:
    path = folder / "mapping.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(MappingError) as caught:
        read_mapping(path)
    assert all(str(line) in caught.value.message("sv") for line, _, _ in caught.value.problems)
    return [line for line, _, _ in caught.value.problems]


def test_values_that_the_columns_can_hold_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(RIGHT, "utf-8")
    assert read_mapping(path).tables["participants"][0].constants["months_since_work"] == "3"


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("schema_version: 1", "schema_version: 9", 1),
        ("2024-12-31", "31/12", 7),
        ("31/1/2024", "31.1.2024", 8),
        ("months_since_work: 3", "months_since_work: tre", 9),
        ("mental_ill_health: nej", "mental_ill_health: ibland", 10),
        ('"ett år": 12', '"ett år": "ett"', 12),
    ],
)
def test_what_a_column_cannot_hold_is_told_by_its_line(tmp_path: Path, right: str, wrong: str, line: int) -> None:
    assert right in RIGHT
    assert wrong_lines(tmp_path, RIGHT.replace(right, wrong)) == [line]


def test_an_entry_for_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "klienter.csv").write_text("Organisation;Handläggare\nA;1\n", "utf-8")
    content = 'tables:\n  caseworkers:\n    - file: "klienter.csv"\n    - file: "kleinter.csv"\n'
    path = tmp_path / "mapping.yaml"
    path.write_text(content, "utf-8")
    findings = bip.load_submission(folder, mapping=path).findings
    assert [(each.table, each.values["name"]) for each in findings if each.code == "mapping-file-unused"] == [
        ("caseworkers", "kleinter.csv")
    ]


def test_an_entry_for_one_file_says_nothing_of_another(tmp_path: Path) -> None:
    """North writes codes, the month first, and 9 where nobody knows; south uses the template."""
    folder = tmp_path / "in"
    folder.mkdir()
    heads = "Organisation;Deltagare;Mättillfälle;Vem som svarar;Status;Besvarat den;Samarbetsförmåga\n"
    (folder / "nord.csv").write_text(heads + "A;n1;1;K;answered;3/4/2024;9\n", "utf-8")
    (folder / "syd 2024.csv").write_text(heads + "A;s1;1;Deltagare;answered;2024-03-04;9\n", "utf-8")
    path = tmp_path / "mapping.yaml"
    entry = 'date_format: M/D/ÅÅÅÅ, missing: {"9": dont_know}, values: {respondent: {"K": participant}}'
    path.write_text(f"tables: {{measurements: [{{file: nord.csv, {entry}}}]}}", "utf-8")
    found = bip.load_submission(folder, mapping=path).tables["measurements"].set_index("participant_id")
    assert found["cooperation"].isna().to_dict() == {"n1": True, "s1": False}
    assert found["answered_on"].astype(str).tolist() == ["2024-03-04"] * 2
    # With a star an entry holds for every file of such a name.
    path.write_text(f'tables: {{measurements: [{{file: "s*d *.csv", {entry}}}]}}', "utf-8")
    found = bip.load_submission(folder, mapping=path).tables["measurements"].set_index("participant_id")
    assert found["cooperation"].isna().to_dict() == {"n1": False, "s1": True}


ALIKE = """tables:
  participants:
    columns: {"Klient-nr": participant_id, "Kön": sex}
    values:
      sex: {"Man": man, "Kvinna": woman}
  measurements:
    missing: {"9": dont_know}
    values:
      cooperation:
        "Bra": 4
        "Mycket bra": 5
    wide:
      - pattern: "{respondent}{item}_M{occasion}"
        respondents: {"K": participant, "H": caseworker}
        items:
          "1": cooperation
          "12": goal_orientation
        columns:
          "Datum_M{occasion}": answered_on
"""


@pytest.mark.parametrize(
    ("line", "more", "at"),
    [
        ("    columns: {", '"klient nr": unit_id, ', 3),
        ("      sex: {", '"MAN": woman, ', 5),
        ("    missing: {", '" 9": declined, ', 7),
        ('        "Mycket bra": 5', '\n        "bra": 2', 12),
        ("        respondents: {", '"h": participant, ', 14),
        ('          "Datum_M{occasion}": answered_on', '\n          "DATUM_M{occasion}": due_on', 20),
        ("{respondent}{item}_M", "", 13),
    ],
)
def test_names_that_are_one_name_and_mean_two_things_are_told(tmp_path: Path, line: str, more: str, at: int) -> None:
    path = tmp_path / "right.yaml"
    path.write_text(ALIKE, "utf-8")
    assert read_mapping(path).tables["measurements"][0].values["cooperation"] == {"bra": "4", "mycket bra": "5"}
    content = ALIKE.replace(line, line + more) if more else ALIKE.replace(line, "{respondent}{item}")
    assert wrong_lines(tmp_path, content) == [at]


def test_spellings_of_one_name_that_mean_the_same_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text('tables: {participants: {values: {sex: {"Man": man, "MAN": man, "man ": "Man"}}}}', "utf-8")
    assert read_mapping(path).tables["participants"][0].values["sex"]["man"]
