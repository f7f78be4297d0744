"""Headings that name respondent, question and occasion at once, numbered questions, and what a draft is for."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import openpyxl
import pytest
from test_draft_hints import settled
from test_draft_wide import ASKED
from test_what_stewards_send import FORMS, PARTICIPANTS, QUESTIONS, delivery, forms, people, write

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders.draft import draft_mapping
from bipstudy.schema.template import write_template

WHO = {"Klient": "Deltagaren", "Handläggare": "Handläggaren"}
COMPARED = ["participant_id", "occasion", "respondent", "form_status", "answered_on", *schema.items()]


def confirmed(path: Path, drafted: str, **answers: str) -> Path:
    """Write a draft as a person leaves it who finds that all of it is right."""
    mapping = path.parent / "mappning.yaml"
    mapping.write_text(settled(drafted, answers), "utf-8")
    return mapping


def answers_of(loaded: bip.loaders.Submission) -> list[list[object]]:
    """Return forms in the order of their key, without what is missing."""
    rows = loaded.tables["measurements"].sort_values(COMPARED[:3])[COMPARED].astype(object)
    return rows.where(rows.notna(), None).to_numpy().tolist()


def asked(who: str) -> list[int]:
    return ASKED if who == "Klient" else list(range(len(QUESTIONS)))


def beside(path: Path, item: str, date: str, numbers: tuple[str, ...], whose: tuple[str, ...] = tuple(WHO)) -> Path:
    """Write the forms of all occasions of a participant on one row."""
    head, rows = ["Klientnr", "Handläggarkod"], []
    for number in numbers:
        head += [name for name in dict.fromkeys(date.format(w=who, o=number) for who in whose) if name not in head]
        head += [item.format(w=who, i=QUESTIONS[at], o=number) for who in whose for at in asked(who)]
    for person in people():
        row = {"Klientnr": person[1], "Handläggarkod": "H1"}
        for form in forms(tuple(WHO[who] for who in whose)):
            if form[1] == person[1]:
                who, number = {said: who for who, said in WHO.items()}[form[3]], numbers[int(form[2]) - 1]
                row[date.format(w=who, o=number)] = form[6]
                row |= {item.format(w=who, i=QUESTIONS[at], o=number): form[len(FORMS) + at] for at in asked(who)}
        rows.append([row[name] for name in head])
    return write(path, head, *rows)


@pytest.mark.parametrize("numbers", [("1", "2", "3"), ("2401", "2404", "2407"), ("202401", "202404", "202407")])
@pytest.mark.parametrize(
    ("item", "date", "patterns"),
    [
        ("{w} {i} {o}", "Datum {w} {o}", ["{respondent} {item} {occasion}"]),
        ("{w}: {i} (mätning {o})", "{w}: Datum (mätning {o})", ["{respondent}: {item} (mätning {occasion})"]),
        ("T{o} {w} {i}", "T{o} {w} datum", ["T{occasion} {respondent} {item}"]),
        # One date for both needs a block for each.
        ("{w} {i} {o}", "Datum {o}", ["Klient {item} {occasion}", "Handläggare {item} {occasion}"]),
        ("{i}, {w} {o}", "Datum {w} {o}", ["{item}, Klient {occasion}", "{item}, Handläggare {occasion}"]),
    ],
)
def test_both_respondents_at_all_occasions_on_a_row(
    tmp_path: Path, item: str, date: str, patterns: list[str], numbers: tuple[str, ...]
) -> None:
    path = beside(tmp_path / "uttag.csv", item, date, numbers)
    drafted = draft_mapping(path)
    assert re.findall(r'pattern: "(.*)"', drafted) == patterns
    assert not re.search("Känns inte igen|Flera kolumner", drafted)
    assert ('OSÄKERT "202404": 2' in drafted) == (numbers[0] == "202401")
    loaded = bip.load_submission(path, mapping=confirmed(path, drafted), organisation="A")
    assert answers_of(loaded) == answers_of(bip.load_submission(delivery(tmp_path / "right")))


@pytest.mark.parametrize("numbers", [("0", "1", "2"), ("202401", "202404", "202407")])
@pytest.mark.parametrize("shape", ["{} (mätning {})", "{} {}", "{} M{}", "{}_{}"])
def test_numbers_that_no_occasion_has_are_numbered_anew(tmp_path: Path, shape: str, numbers: tuple[str, ...]) -> None:
    item, date = shape.format("{i}", "{o}"), shape.format("Datum", "{o}")
    path = beside(tmp_path / "svar klient.csv", item, date, numbers, ("Klient",))
    drafted = draft_mapping(path)
    assert ": occasion" not in drafted
    loaded = bip.load_submission(path, mapping=confirmed(path, drafted), organisation="A")
    write(tmp_path / "right" / "deltagare.csv", PARTICIPANTS, *people())
    write(tmp_path / "right" / "formulär.csv", [*FORMS, *QUESTIONS], *forms(("Deltagaren",)))
    assert answers_of(loaded) == answers_of(bip.load_submission(tmp_path / "right"))


@pytest.mark.parametrize("shape", ["F{}_{}", "F{}_M{}", "H{}_M{}", "M{1}_F{0}"])
def test_numbered_items_at_months(tmp_path: Path, shape: str) -> None:
    months = ("202401", "202404", "202407")
    sent = forms(("Deltagaren",))
    head = ["Klientnr", *(shape.format(at + 1, month) for month in months for at in ASKED)]
    rows = [
        [person[1], *(form[len(FORMS) + at] for form in sent if form[1] == person[1] for at in ASKED)]
        for person in people()
    ]
    path = write(tmp_path / "svar.csv", head, *rows)
    drafted = draft_mapping(path)
    assert "Saknas i filen: Besvarat den (answered_on)" in drafted
    loaded = bip.load_submission(path, mapping=confirmed(path, drafted), organisation="A").tables["measurements"]
    assert loaded.sort_values(["participant_id", "occasion"])[list(schema.items())].astype(object).where(
        lambda said: said.notna(), ""
    ).astype(str).to_numpy().tolist() == [form[len(FORMS) :] for form in sent]


def test_an_item_whose_name_begins_with_that_of_another(tmp_path: Path) -> None:
    items = {item.id: item.label["en"] for item in schema.items().values()}
    names = [
        f"{who} {name} {wave}" for wave in (1, 2) for who in ("Participant", "Caseworker") for name in items.values()
    ]
    path = write(tmp_path / "x.csv", ["Klientnr", *names], ["1", *(str(1 + at % 5) for at in range(len(names)))])
    drafted = draft_mapping(path)
    assert re.findall(r'pattern: "(.*)"', drafted) == ["{respondent} {item} {occasion}"]
    loaded = bip.load_submission(path, mapping=confirmed(path, drafted), organisation="A").tables["measurements"]
    said = (
        loaded.sort_values(["occasion", "respondent"], ascending=[True, False])[list(items)].to_numpy().ravel().tolist()
    )
    assert said == [1 + at % 5 for at in range(len(names))]


def test_both_respondents_on_a_row_as_in_the_guide(tmp_path: Path) -> None:
    head = ["Klientnr", "Mätning", "Mätdatum", "Handläggarkod"]
    head += [f"{who} {QUESTIONS[at]}" for who in WHO for at in asked(who)]
    sent = {(form[1], form[2], form[3]): form for form in forms()}
    rows = []
    for (person, wave, _), form in list(sent.items())[::2]:
        row = [person, wave, form[6], "H1"]
        rows.append(row + [sent[person, wave, said][len(FORMS) + at] for who, said in WHO.items() for at in asked(who)])
    path = write(tmp_path / "samtal.csv", head, *rows)
    drafted = draft_mapping(path)
    assert not re.search("Känns inte igen|Flera kolumner", drafted)
    loaded = bip.load_submission(path, mapping=confirmed(path, drafted), organisation="A")
    assert answers_of(loaded) == answers_of(bip.load_submission(delivery(tmp_path / "right")))


def test_a_heading_that_may_be_somebody_is_no_line_of_the_mapping(tmp_path: Path) -> None:
    path = tmp_path / "klienter.csv"
    write(path, ["Klientnr", "Startdatum Kim Ek", "Kön", "Ålder"], ["1", "2024-01-01", "Kvinna", "25-34"])
    drafted = draft_mapping(path)
    assert "Kim" not in drafted
    assert '"B": ' not in drafted
    assert '# Känns inte igen: "B"' in drafted


@pytest.mark.parametrize("number", ["{}. ", "Fråga {}: ", "{}) "])
@pytest.mark.parametrize("occasion", [True, False])
def test_numbers_before_questions_are_no_occasions(tmp_path: Path, number: str, occasion: bool) -> None:
    sent = [form for form in forms(("Deltagaren",)) if occasion or form[2] == "1"]
    head = ["Klientnr", "Datum", *(["Mätning"] if occasion else [])]
    head += [number.format(at + 1) + QUESTIONS[at] for at in ASKED]
    rows = [
        [form[1], form[6], *([form[2]] if occasion else []), *(form[len(FORMS) + at] for at in ASKED)] for form in sent
    ]
    path = write(tmp_path / "enkät start.csv", head, *rows)
    drafted = draft_mapping(path)
    assert "wide" not in drafted
    assert "# OSÄKERT   respondent: ?" in drafted
    assert "# OSÄKERT   form_status: answered" in drafted
    loaded = bip.load_submission(path, mapping=confirmed(path, drafted, respondent="participant"), organisation="A")
    write(tmp_path / "right" / "deltagare.csv", PARTICIPANTS, *people())
    write(tmp_path / "right" / "formulär.csv", [*FORMS, *QUESTIONS], *sent)
    assert answers_of(loaded) == answers_of(bip.load_submission(tmp_path / "right"))


def test_one_number_for_all_items_is_that_of_an_occasion(tmp_path: Path) -> None:
    path = beside(tmp_path / "svar klient.csv", "{o}. {i}", "Datum {o}", ("1", "2", "3"), ("Klient",))
    assert 'pattern: "{occasion}. {item}"' in draft_mapping(path)
    head, *rows = (line.split(";")[:11] for line in path.read_text("utf-8-sig").splitlines())
    first = write(tmp_path / "start klient.csv", head, *rows)
    assert 'pattern: "{occasion}. {item}"' in draft_mapping(first)


def test_the_name_of_an_organisation_may_be_sent(tmp_path: Path) -> None:
    folder = delivery(tmp_path / "in")
    path = write(folder / "organisationer.csv", ["Organisation", "Namn", "Typ"], ["A", "Förbundet Mitt", "Kommun"])
    drafted = draft_mapping(path)
    assert '        "Namn": name' in drafted
    assert not re.search("Saknas i filen: Namn|Får inte skickas", drafted)
    loaded = bip.load_submission(folder, mapping=confirmed(folder, drafted), organisation="A")
    assert loaded.tables["organisations"]["name"].tolist() == ["Förbundet Mitt"]
    assert "forbidden-column" not in {each.code for each in loaded.findings}
    # Of a person it may not.
    path = write(tmp_path / "personal.csv", ["Organisation", "Namn", "Roll"], ["A", "x", "Kommun"])
    drafted = draft_mapping(path)
    assert ": name" not in drafted
    assert 'Får inte skickas, ta bort kolumnen ur filen: "Namn"' in drafted


@pytest.mark.parametrize("filled", [True, False])
def test_a_draft_of_our_template_refuses_none_of_its_columns(tmp_path: Path, filled: bool) -> None:
    loaded = bip.load_submission(delivery(tmp_path / "in"))
    write_template(tmp_path / "mall.xlsx", "sv", loaded.tables if filled else None)
    drafted = draft_mapping(tmp_path / "mall.xlsx")
    assert not re.search("Får inte skickas|Känns inte igen|Saknas i filen", drafted)
    assert '"Namn": name' in drafted


def workbook(path: Path, *rows: list[str]) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "Blad1"
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_a_draft_of_one_workbook_is_not_used_for_another(tmp_path: Path) -> None:
    sent = forms(("Deltagaren",))
    kept = [at for at, name in enumerate(FORMS) if name not in {"Organisation", "Vem som svarar", "Handläggare"}]
    kept += range(len(FORMS), len(FORMS) + len(QUESTIONS))
    rows = [["Klientnr" if each == "Deltagare" else each for each in row] for row in [[*FORMS, *QUESTIONS], *sent]]
    path = workbook(tmp_path / "enkät klient.xlsx", *([row[at] for at in kept] for row in rows))
    drafted = draft_mapping(path)
    assert '- sheet: "Blad1"\n      file: "enkät klient.xlsx"' in drafted
    workbook(tmp_path / "klienter.xlsx", PARTICIPANTS, *people())
    mapping = confirmed(path, drafted, respondent="participant")
    loaded = bip.load_submission(tmp_path, mapping=mapping, organisation="A")
    assert loaded.tables["participants"]["participant_id"].tolist() == [person[1] for person in people()]
    assert len(loaded.tables["measurements"]) == len(sent)
    assert {each.code for each in loaded.findings} <= {"ignored-file", "missing-table"}


@pytest.mark.parametrize("at_top", [True, False])
def test_a_draft_of_an_archive_is_used_for_the_next_one(tmp_path: Path, at_top: bool) -> None:
    head = ["Klientnr", "Mätning", "Datum", "Handläggare", *QUESTIONS]
    places = {"Deltagaren": "svar.csv" if at_top else "klienter/svar.csv", "Handläggaren": "personal/svar.csv"}
    for who, place in places.items():
        rows = [[form[1], form[2], form[6], form[5], *form[len(FORMS) :]] for form in forms((who,))]
        write(tmp_path / "in" / place, head, *rows)
    for name in ("leverans 1.zip", "Leverans 2.ZIP"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for place in places.values():
                archive.write(tmp_path / "in" / place, place)
    drafted = draft_mapping(tmp_path / "leverans 1.zip")
    assert set(re.findall('file: "(.*)"', drafted)) == set(places.values())
    for said, place in places.items():
        who, start = (
            {"Deltagaren": "participant", "Handläggaren": "caseworker"}[said],
            drafted.index(f'file: "{place}"'),
        )
        drafted = drafted[:start] + re.sub(r"respondent: [\w?]+", f"respondent: {who}", drafted[start:], count=1)
    mapping = confirmed(tmp_path / "x", drafted)
    right = answers_of(bip.load_submission(delivery(tmp_path / "right")))
    for sent in ("leverans 1.zip", "Leverans 2.ZIP", "in"):
        assert answers_of(bip.load_submission(tmp_path / sent, mapping=mapping, organisation="A")) == right
