"""What a draft says beside names, and that a draft whose questions are answered reads the file."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders import read_mapping
from bipstudy.loaders.cells import Cells
from bipstudy.loaders.draft import draft_mapping
from bipstudy.loaders.draft_hints import (
    both_on_a_row,
    date_format,
    dates_of_occasions,
    off_scale,
    whose,
    worded_answers,
)


def settled(drafted: str, answers: dict[str, str]) -> str:
    """Return a draft as a person leaves it: questions answered, or their lines removed, and the marks taken away."""
    lines = []
    for line in drafted.splitlines():
        found = re.match(r'\s*# OSÄKERT\s+"?([\w]+)"?: \?', line)
        if found:
            if found[1] not in answers:
                continue
            line = line.replace(": ?", f": {answers[found[1]]}", 1)
        elif "# OSÄKERT Är detta" in line:
            continue
        lines.append(line.replace("# OSÄKERT ", ""))
    return "\n".join(lines) + "\n"


def wide_file(path: Path) -> None:
    header = ["Klientnr", "Inskriven", "Kön", "Ålder", "Datum_M1", "Datum_M2"]
    header += [f"F{item}_M{wave}" for wave in (1, 2) for item in range(1, 10)]
    rows = [header]
    for at in range(1, 7):
        start = dt.date(2024, 1, 10 + at)
        days = [f"{day:%d.%m.%Y}" for day in (start, start, start + dt.timedelta(91))]
        answers = [str(1 + (at + place) % 5) for place in range(18)]
        answers[at] = "9" if at < 3 else "Vet ej" if at == 4 else answers[at]
        rows.append([f"K{at}", days[0], "KM"[at % 2], "25-34", *days[1:], *answers])
    path.write_text("\n".join(";".join(row) for row in rows) + "\n", "utf-8")


def test_a_wide_file_is_read_by_its_draft_once_the_questions_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "klienter.csv"
    wide_file(path)
    drafted = draft_mapping(path)
    assert drafted.count("date_format: D.M.ÅÅÅÅ") == 2
    answers = {
        "outcome_follow_up": "register",
        "observed_until": "2024-12-31",
        "observed_until_reason": "extract_end",
        "9": "dont_know",
    }
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(settled(drafted, answers), "utf-8")
    submission = bip.load_submission(path, mapping=mapping, organisation="A")
    forms, people = submission.tables["measurements"], submission.tables["participants"]
    assert len(people) == 6
    assert people["entered_on"].notna().all()
    assert len(forms) == 12
    assert forms["answered_on"].min() == people["entered_on"].min()
    assert submission.tables["missing_answers"]["reason"].tolist() == ["dont_know"] * 3
    # What the file does not have at all is all that is left to say.
    left = {each.code for each in submission.findings if each.code != "instrument-assumed"}
    assert left <= {"missing-item-column", "missing-table"}


def test_nothing_is_used_before_the_questions_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "klienter.csv"
    wide_file(path)
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(draft_mapping(path), "utf-8")
    with pytest.raises(bip.texts.BipstudyError):
        read_mapping(mapping)


def test_whose_answers_a_file_holds_is_guessed_from_its_name(tmp_path: Path) -> None:
    assert whose("svar deltagare.csv") == "participant"
    assert whose("Svar_handläggare_2025.xlsx", "Blad1") == "caseworker"
    assert whose("deltagare och handläggare.csv") is None
    (tmp_path / "svar klienter.csv").write_text("Klientnr;Mätdatum;Samarbetsförmåga\n1;2024-01-01;3\n", "utf-8")
    drafted = draft_mapping(tmp_path / "svar klienter.csv")
    assert "# OSÄKERT   respondent: participant" in drafted
    assert "# OSÄKERT   form_status: answered" in drafted
    # A participant's own form needs no caseworker.
    assert "caseworker_id" not in drafted


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["13.1.2024", "5.2.2024"], ("D.M.ÅÅÅÅ", True)),
        (["1/13/2024", "2/5/2024"], ("M/D/ÅÅÅÅ", True)),
        (["5/3/2024", ""], ("D/M/ÅÅÅÅ", False)),
        (["13/1/2024", "1/13/2024"], None),
        (["13/1/2024", "13.1.2024"], None),
        (["2024-01-13"], None),
        (["41.1.2024"], None),
        ([], None),
    ],
)
def test_how_dates_are_written(written: list[str], expected: object) -> None:
    assert date_format([Cells.of(written)]) == expected


def test_dates_that_come_once_for_each_occasion() -> None:
    names = ["Datum_M1", "Datum_M2", "Start", "Antal_M1", "Datum_M9"]
    assert dates_of_occasions(names, [True, True, True, False, True], {1, 2}) == {
        "Datum_M{occasion}": ["Datum_M1", "Datum_M2"]
    }


def test_numbers_outside_the_scale() -> None:
    assert off_scale([Cells.of(["1", "5", "", "Vet ej", "."])]) == []
    assert off_scale([Cells.of(["1", "99"]), Cells.of(["9", "2.5"])]) == ["9", "99"]
    # So many are a scale of their own.
    assert off_scale([Cells.of([str(number) for number in range(100)])]) == []


def test_answers_in_words_are_drafted_and_read(tmp_path: Path) -> None:
    path = tmp_path / "svar klienter.csv"
    rows = ["1;2024-01-01;3 - Stämmer delvis;2", "2;2024-01-02;Instämmer helt;4", "3;2024-01-03;5;Vet ej"]
    path.write_text("\n".join(["Klientnr;Mätdatum;Samarbetsförmåga;Målmedvetenhet", *rows]) + "\n", "utf-8")
    drafted = draft_mapping(path)
    assert '# OSÄKERT "3 - Stämmer delvis": 3' in drafted
    assert "goal_orientation:\n" not in drafted
    mapping = tmp_path / "mapping.yaml"
    answered = drafted.replace('"Instämmer helt": ?', '"Instämmer helt": 5')
    mapping.write_text(settled(answered, {}), "utf-8")
    forms = bip.load_submission(path, mapping=mapping, organisation="A").tables["measurements"]
    assert forms["cooperation"].tolist() == [3, 5, 5]


def test_a_number_that_is_no_answer_is_not_taken_for_one() -> None:
    assert worded_answers(Cells.of(["2.5", "3", "", "3 av 5"])) == [("3 av 5", "?")]


def test_both_respondents_on_a_row_are_drafted_and_read(tmp_path: Path) -> None:
    items = [item.label["sv"] for item in schema.items().values()]
    header = [
        "Klientnr",
        "Mätdatum",
        "Handläggarkod",
        *(f"{who} {item}" for who in ("Klient", "Coach") for item in items),
    ]
    row = ["1", "2024-01-01", "H1", *(str(1 + at % 5) for at in range(2 * len(items)))]
    path = tmp_path / "samtal.csv"
    path.write_text(";".join(header) + "\n" + ";".join(row) + "\n", "utf-8")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(settled(draft_mapping(path), {}), "utf-8")
    forms = bip.load_submission(path, mapping=mapping, organisation="A").tables["measurements"]
    assert forms["respondent"].tolist() == ["caseworker", "participant"]
    assert forms["occasion"].tolist() == [1, 1]
    answers = dict(zip(forms["respondent"], forms[list(schema.items())].to_numpy().tolist(), strict=True))
    assert answers["participant"] + answers["caseworker"] == [1 + at % 5 for at in range(2 * len(items))]
    assert both_on_a_row(items) == ({}, set())
    assert both_on_a_row([f"Klient {item}" for item in items]) == ({}, set())
