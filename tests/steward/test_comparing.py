"""Findings are known again by whose row they are on: in any order, under any name of the file, each once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from steward_client import written

import bipstudy as bip
from bipstudy.steward.comparing import CHANGES, Kept, compare, keep, told
from bipstudy.texts import LANGUAGES

SECRET = b"of this page alone"
WIDE = """organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {Nr: participant_id}
    set: {respondent: participant, form_status: answered, instrument: bip-default}
    wide:
      pattern: "F{item}_M{occasion}"
      items: {"1": job_search, "2": cooperation}
"""


@pytest.fixture
def kept(tmp_path: Path):
    """Return what is kept of a check of some tables, under names of files of one's own."""

    def check(tables: dict[str, pd.DataFrame], folder: str = "a", ending: str = "") -> Kept:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for name, content in written(tables).items():
            place.joinpath(name.replace(".csv", f"{ending}.csv")).write_bytes(content)
        submission = bip.load_submission(place)
        return keep(submission, bip.validate(submission, language="sv"), SECRET)

    return check


def counts(changes) -> dict[str, int]:
    """Return the number of findings of each kind."""
    return {name: len(changes[name].places) for name in CHANGES}


def spoil(tables: dict[str, pd.DataFrame], **cells: object) -> dict[str, pd.DataFrame]:
    """Return the tables with some cells changed, each as column_row."""
    people = tables["deltagare"].copy()
    for place, value in cells.items():
        column, _, row = place.rpartition("_")
        people.iloc[int(row), people.columns.get_loc(column)] = value
    return tables | {"deltagare": people}


def test_the_same_twice_is_all_left(kept, tables) -> None:
    wrong = spoil(tables, sex_1="x", sex_2="x", age_group_5="x")
    one, two = kept(wrong), kept(wrong, "b")
    assert counts(compare(one, two)) == {"new": 0, "left": len(two.report.places), "gone": 0, "untried": 0}


def test_neither_the_order_of_rows_nor_the_name_of_the_file_matters(kept, tables) -> None:
    wrong = spoil(tables, sex_1="x", sex_2="x", age_group_5="x", observed_until_7="2016-13-45")
    moved = {name: frame.sample(frac=1, random_state=4) for name, frame in wrong.items()}
    found = counts(compare(kept(wrong), kept(moved, "b", " v2")))
    assert found["new"] == found["gone"] == found["untried"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_finding_is_counted_once(kept, tables, seed: int) -> None:
    before = kept(spoil(tables, sex_1="x", sex_2="x", age_group_5="x", participant_id_9=None))
    mended = spoil(tables, sex_2="x", sex_11="x", age_group_5="y", participant_id_3=None)
    now = kept({name: frame.sample(frac=0.9, random_state=seed) for name, frame in mended.items()}, "b")
    found = counts(compare(before, now))
    assert found["left"] + found["gone"] + found["untried"] == len(before.report.places)
    assert found["left"] + found["new"] == len(now.report.places)
    back = counts(compare(now, before))
    assert back["left"] == found["left"]


def test_a_column_a_table_or_a_file_that_is_not_there_was_not_tried(kept, tables) -> None:
    wrong = spoil(tables, sex_1="x", sex_2="x")
    before = kept(wrong)
    without = kept(tables | {"deltagare": tables["deltagare"].drop(columns="sex")}, "b")
    untried = compare(before, without)["untried"].places
    assert (untried["column"] == "sex").sum() == 2
    alone = kept({"formulär": tables["formulär"]}, "c")
    changes = compare(before, alone)
    assert "participants" not in set(changes["gone"].places["table"])
    assert (changes["untried"].places["column"] == "sex").sum() == 2


@pytest.mark.parametrize(("gone", "counted"), [(None, "gone"), ("F2_M2", "untried"), ("F2_M1", "gone")])
def test_a_column_of_one_occasion_that_is_not_there_was_not_tried(tmp_path: Path, gone, counted: str) -> None:
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(WIDE, "utf-8")

    def check(forms: pd.DataFrame) -> Kept:
        forms.to_csv(tmp_path / "svar.csv", index=False)
        submission = bip.load_submission(tmp_path / "svar.csv", mapping=mapping)
        return keep(submission, bip.validate(submission, language="sv"), SECRET)

    forms = pd.DataFrame({"Nr": ["1", "2"], "F1_M1": 3, "F2_M1": 4, "F1_M2": 2, "F2_M2": [9, 5]})
    before = check(forms)
    after = check(forms.assign(F2_M2=[4, 5]) if gone is None else forms.assign(F2_M2=[4, 5]).drop(columns=gone))
    changes = compare(before, after)
    places = {(name, column) for name in CHANGES for column in changes[name].places["column"]}
    wrong = before.report.places.query("code == 'answer-outside-scale'")
    assert wrong["column"].tolist() == ["F2_M2"]
    assert [name for name, column in places if column == "F2_M2" and name != "new"] == [counted]


def test_a_column_that_one_of_two_files_lost_was_not_tried(kept, tables) -> None:
    forms = tables["formulär"].assign(mode="with_caseworker")
    theirs = forms["respondent"] == "caseworker"
    wrong = forms[theirs].assign(mode="x")
    one = {"formulär": forms[~theirs], "formulär 2": wrong}
    before = kept(tables | one)
    assert len(compare(before, kept(tables | one | {"formulär 2": forms[theirs]}, "b"))["gone"].places)
    changes = compare(before, kept(tables | one | {"formulär 2": forms[theirs].drop(columns="mode")}, "c"))
    assert "mode" not in set(changes["gone"].places["column"])
    assert (changes["untried"].places["column"] == "mode").sum() == len(wrong)


def test_what_is_kept_names_nobody_and_another_secret_gives_other_hashes(kept, tables, tmp_path) -> None:
    one = kept(spoil(tables, sex_1="SENTINEL88"))
    one.write(tmp_path / "kept.bin")
    content = (tmp_path / "kept.bin").read_bytes()
    assert b"SENTINEL88" not in content
    assert not any(str(person).encode() in content for person in tables["deltagare"]["participant_id"])
    assert Kept.read(tmp_path / "kept.bin").whose == one.whose
    submission = bip.load_submission(tmp_path / "a")
    other = keep(submission, one.report, b"another")
    named = [(mine, theirs) for mine, theirs in zip(one.whose, other.whose, strict=True) if mine]
    assert named
    assert all(mine != theirs for mine, theirs in named)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_told_adds_up(kept, tables, language: str) -> None:
    changes = compare(kept(spoil(tables, sex_1="x", sex_2="x")), kept(spoil(tables, sex_2="x", age_group_4="x"), "b"))
    for name, said in told(changes, language).items():
        assert said["count"] == len(changes[name].places)
        assert said["count"] == sum(group["count"] for group in said["groups"])
        assert all(group["count"] == sum(one["count"] for one in group["places"]) for group in said["groups"])
