"""Where several columns are as good for one of ours, a draft leaves the choice to a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_draft_hints import settled
from test_draft_wide import ASKED
from test_what_stewards_send import FORMS, QUESTIONS, forms, write

import bipstudy as bip
from bipstudy.loaders.draft import draft_mapping
from bipstudy.loaders.mapping_file import MappingError

LATER = "2024-12-24"


@pytest.mark.parametrize(
    ("canonical", "names", "rest"),
    [
        ("answered_on", ("Datum", "Svarsdatum"), ["Samarbetsförmåga", "Målmedvetenhet"]),
        ("entered_on", ("Startdatum", "Inskriven"), ["Kön", "Åldersgrupp"]),
    ],
)
def test_of_columns_that_are_as_good_none_is_taken_unasked(
    tmp_path: Path, canonical: str, names: tuple[str, str], rest: list[str]
) -> None:
    table = "measurements" if canonical == "answered_on" else "participants"
    cells = ["3", "4"] if canonical == "answered_on" else ["Kvinna", "25-34"]
    path = write(tmp_path / "klienter.csv", ["Klientnr", *names, *rest], ["1", "2024-01-01", LATER, *cells])
    drafted = draft_mapping(path)
    lines = drafted.splitlines()
    at = lines.index(f'        # OSÄKERT "{names[0]}": {canonical}')
    assert canonical in lines[at - 1]
    assert lines[at + 1] == f'        # OSÄKERT "{names[1]}": {canonical}'
    assert "Känns inte igen" not in drafted
    mapping = tmp_path / "mappning.yaml"
    # Both confirmed is told, one chosen is read.
    for kept, expected, twice in ((names, "2024-01-01", [names[1]]), (names[1:], LATER, [])):
        chosen = [line for line in lines if not any(f'"{name}"' in line for name in set(names) - set(kept))]
        mapping.write_text(settled("\n".join(chosen), {}), "utf-8")
        loaded = bip.load_submission(path, mapping=mapping, organisation="A")
        assert [each.column for each in loaded.findings if each.code == "duplicate-column"] == twice
        assert [str(day.date()) for day in loaded.tables[table][canonical]] == [expected]


def test_a_column_that_fits_better_is_taken(tmp_path: Path) -> None:
    head = ["Klientnr", "Datum", "Svarsdatum", "Samarbetsförmåga"]
    drafted = draft_mapping(write(tmp_path / "svar.csv", head, ["1", "2024-01-01", "i våras", "3"]))
    assert '        "Datum": answered_on' in drafted


def test_values_of_columns_to_choose_from_stand_once(tmp_path: Path) -> None:
    rows = [["1", "2024-01-01", "Tjej", "Tjej"], ["2", "2024-01-02", "Kille", "Pojke"]]
    path = write(tmp_path / "klienter.csv", ["Klientnr", "Startdatum", "Man/kvinna", "Gender"], *rows)
    drafted = draft_mapping(path)
    assert drafted.count(": sex\n") == 2
    assert drafted.count('"Tjej": ?') == drafted.count('"Pojke": ?') == drafted.count("        sex:\n") == 1


def both(folder: Path, own: str, theirs: str) -> Path:
    """Write the forms of both respondents on one row per participant, each with a date of its own."""
    head, rows = ["Klientnr", "HL"], []
    for wave in (1, 2, 3):
        head += [f"{own}_M{wave}", f"{theirs}_M{wave}", *(f"F{at + 1}_M{wave}" for at in ASKED)]
        head += [f"H{at + 1}_M{wave}" for at in range(len(QUESTIONS))]
    for person in sorted({form[1] for form in forms()}):
        row = [person, "H1"]
        for wave in ("1", "2", "3"):
            said = {form[3]: form for form in forms() if form[1:3] == [person, wave]}
            answers = said["Deltagaren"][len(FORMS) :]
            row += [said["Deltagaren"][6], LATER, *(answers[at] for at in ASKED), *said["Handläggaren"][len(FORMS) :]]
        rows.append(row)
    return write(folder / "svar.csv", head, *rows)


def days(path: Path, mapping: Path) -> dict[str, set[str]]:
    loaded = bip.load_submission(path, mapping=mapping, organisation="A").tables["measurements"]
    return {str(who): set(group["answered_on"].dt.strftime("%Y-%m-%d")) for who, group in loaded.groupby("respondent")}


@pytest.mark.parametrize("own", ["Datum", "FDatum", "F Datum"])
def test_each_respondent_gets_the_dates_that_bear_their_letter(tmp_path: Path, own: str) -> None:
    path = both(tmp_path, own, "HDatum")
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(settled(draft_mapping(path), {}), "utf-8")
    found = days(path, mapping)
    assert found["caseworker"] == {LATER}
    assert LATER not in found["participant"]
    assert len(found["participant"]) == 9


def test_dates_that_may_be_those_of_either_are_chosen_by_a_person(tmp_path: Path) -> None:
    path = both(tmp_path, "Datum", "Svarsdatum")
    drafted = settled(draft_mapping(path), {})
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(drafted, "utf-8")
    with pytest.raises(MappingError):
        bip.load_submission(path, mapping=mapping, organisation="A")
    before, own, theirs = drafted.split('            "Datum_M{occasion}": ?\n            "Svarsdatum_M{occasion}": ?\n')
    lines = [f'            "{name}_M{{occasion}}": answered_on\n' for name in ("Datum", "Svarsdatum")]
    mapping.write_text(before + lines[0] + own + lines[1] + theirs, "utf-8")
    found = days(path, mapping)
    assert found["caseworker"] == {LATER}
    assert LATER not in found["participant"]


def test_one_heading_that_is_a_number_takes_the_others_with_it_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "klienter.csv"
    path.write_text("Deltagare;Kön;Startade;1\n17;Man;2024-01-10;3\n18;Kvinna;2024-02-10;4\n", "utf-8")
    drafted = draft_mapping(path, "en")
    assert '"Deltagare": participant_id' in drafted
    assert '"Startade": entered_on' in drafted
