"""An identity number is found where the files have it, also in what no table takes up, and is never shown."""

import json

import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import schema

# The example of the Swedish Tax Agency, in a sentence.
SECRET = "701063-2391"


def write(folder, frames):
    """Write canonical tables as csv files with names of their own where the table is none of ours."""
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def tables():
    """Return the tables of the small example."""
    study = bip.load_example()
    frames = {name: getattr(study, name) for name in schema.TABLE_NAMES}
    one = frames["organisations"]["organisation_id"].iloc[0]
    return {name: frame[frame["organisation_id"] == one].reset_index(drop=True) for name, frame in frames.items()}


def with_column(frames, heading, cells):
    """Return the tables with a column added to participants, filled from the top."""
    added = [*cells, *[""] * (len(frames["participants"]) - len(cells))]
    return {**frames, "participants": frames["participants"].assign(**{heading: added})}


@pytest.mark.parametrize(
    ("heading", "cells", "row", "shown"),
    [
        ("Anteckning", ["", f"ringde, {SECRET}, svarade ej"], 3, "Anteckning"),
        ("Personnummer", ["", "", SECRET], 4, "Personnummer"),
        (SECRET, [], 1, None),
    ],
)
def test_a_column_that_is_not_read_is_looked_through(tmp_path, heading, cells, row, shown):
    report = bip.validate(bip.load_submission(write(tmp_path, with_column(tables(), heading, cells))))
    found = report.findings[report.findings["code"] == "personal-identity-number"]
    assert not report.ok
    assert found[["table", "file", "row"]].values.tolist() == [["participants", "participants.csv", row]]
    assert shown is None or found["column"].tolist() == [shown]
    assert SECRET not in report.to_json() + report.to_html()


def test_a_file_that_is_no_table_is_looked_through(tmp_path):
    folder = write(tmp_path, {**tables(), "nyckel": pd.DataFrame({"a": ["x", "y"], "b": ["", SECRET]})})
    report = bip.validate(bip.load_submission(folder))
    found = report.findings[report.findings["code"] == "personal-identity-number"]
    assert not report.ok
    assert found[["file", "row", "column"]].values.tolist() == [["nyckel.csv", 3, "B"]]
    assert found["table"].isna().all()


def test_the_rule_applies_where_nothing_else_was_read(tmp_path):
    (tmp_path / "brev.txt").write_text(f"Hej, det saknas ett formulär för {SECRET}.\n", encoding="utf-8")
    report = bip.validate(bip.load_submission(tmp_path))
    assert "personal-identity-number" in set(report.findings["code"])
    assert "personal-identity-number" not in {rule.code for rule in report.not_applicable}


def test_names_of_files_that_were_read_are_blotted_out_too(tmp_path):
    folder = write(tmp_path, tables())
    (folder / "participants.csv").rename(folder / f"participants {SECRET}.csv")
    report = bip.validate(bip.load_submission(folder))
    wrong = report.findings[report.findings["severity"] == "error"]
    assert wrong["code"].tolist() == ["identity-number-in-name"]
    assert any("█" in (table["file"] or "") for table in json.loads(report.to_json())["submitted"])
    assert SECRET not in report.to_json() + report.to_html()


def test_a_copy_of_a_file_is_named_as_the_place_of_the_first_row(tmp_path):
    folder = write(tmp_path, tables())
    (folder / "Kopia av participants.csv").write_bytes((folder / "participants.csv").read_bytes())
    findings = bip.validate(bip.load_submission(folder), language="sv").findings
    found = findings[findings["code"] == "duplicate-key"]
    assert set(found["file"]) == {"participants.csv"}
    assert found["message"].str.contains(r"\(rad \d+, Kopia av participants\.csv\)").all()
