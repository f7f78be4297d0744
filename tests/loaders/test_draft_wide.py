"""Answers side by side under names of many shapes: a draft says what a person sees, and then reads the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from test_draft_hints import settled
from test_what_stewards_send import (
    ASKED_OF_PARTICIPANTS,
    FORMS,
    PARTICIPANTS,
    QUESTIONS,
    delivery,
    forms,
    people,
    write,
)

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders.draft import draft_mapping

Name = Callable[[int, int], str]
ASKED = [at for at, question in enumerate(QUESTIONS) if question in ASKED_OF_PARTICIPANTS]
ANSWERS = {"outcome_follow_up": "register", "observed_until_reason": "extract_end"}


def side_by_side(folder: Path, item: Name, date: Callable[[int], str]) -> Path:
    """Write participants with all their own forms on one row."""
    head = ["Klientnr", "Inskriven", "Kön", "Ålder", "Följd till"]
    head += [name for wave in (1, 2, 3) for name in (date(wave), *(item(at, wave) for at in ASKED))]
    rows = []
    for person in people():
        own = [form for form in forms(("Deltagaren",)) if form[1] == person[1]]
        answers = [cell for form in own for cell in (form[6], *(form[len(FORMS) + at] for at in ASKED))]
        rows.append([*(person[place] for place in (1, 2, 3, 4, 6)), *answers])
    return write(folder / "klienter.csv", head, *rows)


@pytest.mark.parametrize(
    ("item", "date", "pattern"),
    [
        (lambda at, wave: f"F{at + 1}_M{wave}", lambda wave: f"Datum_M{wave}", "F{item}_M{occasion}"),
        (lambda at, wave: f"M{wave}_F{at + 1}", lambda wave: f"M{wave}_datum", "M{occasion}_F{item}"),
        (
            lambda at, wave: f"Mättillfälle {wave} fråga {at + 1}",
            lambda wave: f"Datum för mättillfälle {wave}",
            "Mättillfälle {occasion} fråga {item}",
        ),
        (
            lambda at, wave: f"{QUESTIONS[at]} (mätning {wave})",
            lambda wave: f"Mätdatum {wave}",
            "{item} (mätning {occasion})",
        ),
        (lambda at, wave: f"{QUESTIONS[at]}.{wave}", lambda wave: f"Datum.{wave}", "{item}.{occasion}"),
        (lambda at, wave: f"T{wave} {QUESTIONS[at].upper()}", lambda wave: f"T{wave} datum", "T{occasion} {item}"),
        (lambda at, wave: f"{list(schema.items())[at]}_t{wave}", lambda wave: f"date_t{wave}", "{item}_t{occasion}"),
    ],
)
def test_a_draft_tells_items_from_occasions(
    tmp_path: Path, item: Name, date: Callable[[int], str], pattern: str
) -> None:
    path = side_by_side(tmp_path, item, date)
    drafted = draft_mapping(path)
    assert f'# OSÄKERT   - pattern: "{pattern}"' in drafted
    assert "Känns inte igen" not in drafted
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(settled(drafted, ANSWERS), "utf-8")
    loaded = bip.load_submission(path, mapping=mapping, organisation="A")
    write(tmp_path / "right" / "deltagare.csv", PARTICIPANTS, *people())
    write(tmp_path / "right" / "formulär.csv", [*FORMS, *QUESTIONS], *forms(("Deltagaren",)))
    right = bip.load_submission(tmp_path / "right")
    one, other = (
        each.tables["measurements"].sort_values(["participant_id", "occasion"], ignore_index=True)
        for each in (loaded, right)
    )
    pd.testing.assert_frame_equal(one, other)
    assert loaded.tables["participants"]["entered_on"].equals(right.tables["participants"]["entered_on"])


def test_two_respondents_of_one_day_stand_side_by_side(tmp_path: Path) -> None:
    head, rows = ["Klientnr"], []
    for wave in (1, 2, 3):
        head += [f"Datum_M{wave}", *(f"K{at + 1}_M{wave}" for at in ASKED)]
        head += [f"H{at + 1}_M{wave}" for at in range(len(QUESTIONS))]
    for person in people():
        row = [person[1]]
        for wave in ("1", "2", "3"):
            said = {form[3]: form for form in forms() if form[1:3] == [person[1], wave]}
            own, theirs = (said[who][len(FORMS) :] for who in ("Deltagaren", "Handläggaren"))
            row += [said["Deltagaren"][6], *(own[at] for at in ASKED), *theirs]
        rows.append(row)
    path = write(tmp_path / "svar.csv", head, *rows)
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(settled(draft_mapping(path), {}), "utf-8")
    loaded = bip.load_submission(path, mapping=mapping, organisation="A").tables["measurements"]
    right = bip.load_submission(delivery(tmp_path / "right")).tables["measurements"]
    key = ["participant_id", "occasion", "respondent"]
    for column in ("answered_on", *schema.items()):
        assert loaded.sort_values(key)[column].tolist() == right.sort_values(key)[column].tolist()


@pytest.mark.parametrize("vague", ["ID", "Respondent-ID", "Kod"])
def test_the_number_of_an_answer_is_not_taken_for_the_participant(tmp_path: Path, vague: str) -> None:
    head = [vague, "Slutförandetid", "Ange deltagarens löpnummer", "Vem svarar?", *QUESTIONS]
    rows = [
        [str(at), f"{form[6]} 10:05:11", form[1], form[3], *form[len(FORMS) :]] for at, form in enumerate(forms(), 1)
    ]
    drafted = draft_mapping(write(tmp_path / "BIP.csv", head, *rows))
    assert '# OSÄKERT "Ange deltagarens löpnummer": participant_id' in drafted
    assert f'# Känns inte igen: "{vague}"' in drafted
    # Where nothing else may be the participant, it is asked about.
    drafted = draft_mapping(
        write(tmp_path / "BIP.csv", [*head[:2], *head[3:]], *([*row[:2], *row[3:]] for row in rows))
    )
    assert f'# OSÄKERT "{vague}": participant_id' in drafted


@pytest.mark.parametrize("said", ["M{}", "Mätning {}", "Mättillfälle: {}", "T{}"])
def test_occasions_in_words_are_drafted_and_read(tmp_path: Path, said: str) -> None:
    folder = delivery(tmp_path / "words")
    right = bip.load_submission(folder)
    rows = [[*form[:2], said.format(form[2]), *form[3:]] for form in forms()]
    write(folder / "formulär.csv", [*FORMS, *QUESTIONS], *rows)
    drafted = draft_mapping(folder)
    assert f'# OSÄKERT "{said.format(2)}": 2' in drafted
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(settled(drafted, {}), "utf-8")
    loaded = bip.load_submission(folder, mapping=mapping)
    assert loaded.hash == right.hash
