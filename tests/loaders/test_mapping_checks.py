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
