"""An erased id is nowhere as an id; dates and counts that have its digits are as they were."""

import json

import pytest
from pool_data import Verdict, submission, tables

from bipstudy import schema
from bipstudy.pool import Pool
from bipstudy.pool.blotting import without_id

KEPT = [
    "den 1 april",
    "den 1:a april 2024",
    "1–3 april",
    "1/4",
    "1/4 2024",
    "1.4.2024",
    "2024-01-01",
    "uttag_2024-01-01.csv",
    "1 May",
    "May 1, 2024",
    "1 formulär",
    "1 person",
    "1,5 procent",
    "1 %",
    "1 av 3",
    "3 of 1",
    "utgåva 1",
    "week 1",
    "11 och 21",
]
BLOTTED = [
    ("person 1", "person █"),
    ("deltagare 1 april", "deltagare █ april"),
    ("deltagarna 4, 1 och 7", "deltagarna 4, █ och 7"),
    ("participants 4 and 1 May", "participants 4 and █ May"),
    ("A/1", "A/█"),
    ("A 1", "A █"),
    ("”1”", "”█”"),
    ("1:s begäran", "█:s begäran"),
    ("id:1", "id:█"),
    ("nr 1", "nr █"),
    ("1 may return", "█ may return"),
    ("i mars 1 slutade", "i mars █ slutade"),
    ("1 den 1 april", "█ den 1 april"),
    ("del_1.csv", "del_█.csv"),
    ("1", "█"),
]


@pytest.mark.parametrize("words", KEPT)
def test_dates_and_counts_stay(words):
    assert without_id(words, "A", "1") == words


@pytest.mark.parametrize(("words", "left"), BLOTTED)
def test_the_id_goes(words, left):
    assert without_id(words, "A", "1") == left


@pytest.mark.parametrize(
    ("participant", "words", "left"),
    [
        ("101", "101 rader och h101", "███ rader och h101"),
        ("2024", "2024 slutade i mars 2024, den 2024-03-05", "████ slutade i mars 2024, den 2024-03-05"),
        ("H17", "h17 och H17", "███ och ███"),
        ("AB", "AB har slutat, inte ab", "██ har slutat, inte ab"),
        ("1/4", "den 1/4", "den ███"),
    ],
)
def test_longer_ids_and_letters(participant, words, left):
    assert without_id(words, "A", participant) == left


def test_what_others_wrote_keeps_its_dates(tmp_path):
    pool = Pool(tmp_path / "pool")
    frames = {
        name: schema.conform(name, frame.assign(participant_id=frame["participant_id"].replace({"001": "1"})))
        if "participant_id" in frame
        else frame
        for name, frame in tables(people=3).items()
    }
    pool.add(submission(tmp_path / "a", frames), Verdict())
    pool.withdraw("A", "002", "flyttade den 1 april, som 1")
    pool.release("version 1, utan 1 person")
    pool.erase("A", "1", "begäran den 1 maj från deltagare 1")
    events = [json.loads(line) for line in (pool.path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [event.get("reason", event.get("note")) for event in events[1:]] == [
        "flyttade den 1 april, som █",
        "version 1, utan 1 person",
        "begäran den 1 maj från deltagare █",
    ]
