"""Nothing of a delivery is read twice, and of two columns that mean the same none is dropped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_what_stewards_send import FORMS, PARTICIPANTS, PERSONS, QUESTIONS, delivery, forms, people, told, write

import bipstudy as bip
from bipstudy.loaders.draft import draft_mapping
from bipstudy.loaders.mapping_file import MappingError

HEAD = [*FORMS, *QUESTIONS]
KEY = ["participant_id", "occasion", "respondent"]


def settled(drafted: str) -> str:
    """Return a draft with its only question, which table a file is, answered."""
    return "\n".join(line for line in drafted.splitlines() if "Är detta tabellen" not in line) + "\n"


def folders(folder: Path, inner: str = "syd/svar.csv", outer: str = "nord/svar.csv") -> Path:
    """Write a delivery in which two offices call their file of forms the same."""
    write(folder / "deltagare.csv", PARTICIPANTS, *people())
    write(folder / outer, HEAD, *(form for form in forms() if form[1] == PERSONS[0]))
    write(folder / inner, HEAD, *(form for form in forms() if form[1] != PERSONS[0]))
    return folder


@pytest.mark.parametrize(
    ("inner", "outer"),
    [("syd/svar.csv", "nord/svar.csv"), ("syd/svar.csv", "svar.csv"), ("SVAR.csv", "nord/enhet 1/svar.csv")],
)
def test_files_of_one_name_are_drafted_by_their_paths_and_read_once(tmp_path: Path, inner: str, outer: str) -> None:
    folder = folders(tmp_path / "lev", inner, outer)
    mapping = tmp_path / "mappning.yaml"
    drafted = draft_mapping(folder)
    assert f'file: "{inner}"' in drafted
    assert f'file: "{outer}"' in drafted
    assert 'file: "deltagare.csv"' in drafted
    mapping.write_text(settled(drafted), "utf-8")
    assert told(folder, mapping=mapping) == []
    right = bip.load_submission(delivery(tmp_path / "right"))
    assert bip.load_submission(folder, mapping=mapping).hash == right.hash


def test_sheets_of_one_name_in_workbooks_of_one_name_are_drafted_by_path(tmp_path: Path) -> None:
    import openpyxl

    for place in ("nord", "syd"):
        book = openpyxl.Workbook()
        book.active.title = "Blad1"
        wave = [f"F{item}_M{at}" for at in (1, 2) for item in range(1, 10)]
        book.active.append(["Klientnr", "Inskriven", "Kön", "Ålder", *wave])
        book.active.append([place, "2024-01-01", "K", "25-34", *[3] * len(wave)])
        (tmp_path / "in" / place).mkdir(parents=True)
        book.save(tmp_path / "in" / place / "klienter.xlsx")
    drafted = draft_mapping(tmp_path / "in")
    # Participants and their forms side by side, in either workbook.
    assert drafted.count('file: "nord/klienter.xlsx"') == drafted.count('file: "syd/klienter.xlsx"') == 2
    mapping = tmp_path / "mappning.yaml"
    lines = [line for line in drafted.splitlines() if "?" not in line]
    mapping.write_text("\n".join(line.replace("# OSÄKERT ", "") for line in lines) + "\n", "utf-8")
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping, organisation="A").tables
    assert loaded["participants"]["participant_id"].tolist() == ["nord", "syd"]
    assert not loaded["measurements"].duplicated(KEY).any()
    assert len(loaded["measurements"]) == 4


def test_a_sheet_that_two_entries_would_read_is_told_by_line(tmp_path: Path) -> None:
    folder = folders(tmp_path / "in")
    mapping = tmp_path / "mappning.yaml"
    entries = ['    - file: "svar.csv"', '    - file: "svar.csv"\n      columns: {"Svarsdatum": answered_on}']
    mapping.write_text("\n".join(["tables:", "  measurements:", *entries]) + "\n", "utf-8")
    with pytest.raises(MappingError) as caught:
        bip.load_submission(folder, mapping=mapping)
    assert [line for line, _, _ in caught.value.problems] == [4]
    for language in ("sv", "en"):
        assert 'file: "nord/svar.csv"' in caught.value.message(language)
    # What it says to do.
    mapping.write_text(mapping.read_text("utf-8").replace('"svar.csv"', '"nord/svar.csv"', 1), "utf-8")
    mapping.write_text(mapping.read_text("utf-8").replace('"svar.csv"', '"syd/svar.csv"', 1), "utf-8")
    assert len(bip.load_submission(folder, mapping=mapping).tables["measurements"]) == len(forms())


def test_the_same_answers_are_not_read_as_those_of_both(tmp_path: Path) -> None:
    head = ["Klientnr", "F1_M1", "F2_M1"]
    write(tmp_path / "in" / "nord" / "svar.csv", head, ["1", "3", "4"])
    write(tmp_path / "in" / "syd" / "svar.csv", head, ["1", "2", "5"])
    entries = "".join(
        f"""
    - file: "{place}"
      columns: {{"Klientnr": participant_id}}
      set: {{respondent: {who}, form_status: answered}}
      wide: {{pattern: "F{{item}}_M{{occasion}}", items: {{"1": job_search, "2": cooperation}}}}"""
        for place, who in (("svar.csv", "participant"), ("svar.csv", "caseworker"))
    )
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(f"organisation: A\ntables:\n  measurements:{entries}\n", "utf-8")
    with pytest.raises(MappingError, match="line 8"):
        bip.load_submission(tmp_path / "in", mapping=mapping)
    by_path = mapping.read_text("utf-8").replace('"svar', '"nord/svar', 1)
    mapping.write_text(by_path.replace('"svar', '"syd/svar'), "utf-8")
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping).tables["measurements"]
    assert loaded[["respondent", "job_search"]].to_numpy().tolist() == [["participant", 3], ["caseworker", 2]]


def test_entries_that_divide_the_columns_of_a_sheet_are_both_read(tmp_path: Path) -> None:
    head = ["Klientnr", "HL", "Datum_M1", "K1_M1", "H1_M1", "Insats", "Från", "Insats 2", "Från 2", "Grund"]
    write(
        tmp_path / "in" / "allt.csv",
        head,
        ["1", "H1", "2024-01-10", "3", "4", "job", "2024-02-01", "study", *["2024-03-01"] * 2],
    )
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(
        """organisation: A
tables:
  measurements:
    - file: allt.csv
      columns: {"Klientnr": participant_id}
      set: {respondent: participant, form_status: answered}
      wide: {pattern: "K{item}_M{occasion}", items: {"1": cooperation}, columns: {"Datum_M{occasion}": answered_on}}
    - file: allt.csv
      columns: {"Klientnr": participant_id, "HL": caseworker_id}
      set: {respondent: caseworker, form_status: answered}
      wide: {pattern: "H{item}_M{occasion}", items: {"1": cooperation}, columns: {"Datum_M{occasion}": answered_on}}
  activities:
    - {file: allt.csv, columns: {"Klientnr": participant_id, "Insats": focus, "Från": start}}
    - {file: allt.csv, columns: {"Klientnr": participant_id, "Insats 2": focus, "Från 2": start}}
  trainings:
    - {file: allt.csv, columns: {"HL": caseworker_id, "Grund": held_on}, set: {kind: basic}}
    - {file: allt.csv, columns: {"HL": caseworker_id, "Grund": held_on}, set: {kind: boost}}
""",
        "utf-8",
    )
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping).tables
    assert loaded["measurements"]["cooperation"].tolist() == [3, 4]
    assert loaded["measurements"]["answered_on"].dt.strftime("%m-%d").tolist() == ["01-10", "01-10"]
    assert loaded["activities"]["focus"].tolist() == ["job", "study"]
    assert loaded["trainings"]["kind"].tolist() == ["basic", "boost"]


def test_a_training_of_which_a_row_says_nothing_is_none(tmp_path: Path) -> None:
    """So it is for activities, and a training that has something to say but no day is told as before."""
    head = ["Organisation", "Handläggare", "Enhet", "Grund", "Boost", "Utbildare"]
    write(
        tmp_path / "in" / "personal.csv",
        head,
        ["A", "H1", "Norr", "2023-05-05", "2024-01-02", "Syd"],
        ["A", "H2", "Norr", "2023-05-06", "", ""],
        ["A", "H3", "Norr", "", "", "Syd"],
    )
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(
        """tables:
  caseworkers: {file: personal.csv}
  trainings:
    - {file: personal.csv, columns: {Grund: held_on, Utbildare: kind}, values: {kind: {Syd: basic}}}
    - {file: personal.csv, columns: {Boost: held_on}, set: {kind: boost}}
""",
        "utf-8",
    )
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping).tables
    trainings = loaded["trainings"].sort_values(["caseworker_id", "kind"])
    assert trainings["caseworker_id"].tolist() == ["H1", "H1", "H2", "H3"]
    assert trainings["held_on"].notna().tolist() == [True, True, True, False]
    assert loaded["caseworkers"]["caseworker_id"].tolist() == ["H1", "H2", "H3"]


def wide(
    folder: Path, head: list[str], *rows: list[str], values: str = "", columns: str = ""
) -> bip.loaders.Submission:
    """Read forms side by side under F{item}_M{occasion}."""
    write(folder / "in" / "svar.csv", ["Klientnr", *head], *rows)
    mapping = folder / "mappning.yaml"
    mapping.write_text(
        f"""organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {{"Klientnr": participant_id}}
    set: {{respondent: participant, form_status: answered}}
    values: {{{values}}}
    wide:
      pattern: "F{{item}}_M{{occasion}}"
      items: {{"1": job_search, "2": cooperation}}
      columns: {{{columns}}}
""",
        "utf-8",
    )
    return bip.load_submission(folder / "in", mapping=mapping)


def test_two_columns_for_one_answer_of_a_form_are_told(tmp_path: Path) -> None:
    loaded = wide(tmp_path, ["F1_M1", "F2_M1", "F1_M01"], ["1", "3", "4", "5"])
    twice = [each for each in loaded.findings if each.code == "duplicate-column"]
    assert [(each.column, each.values["column"], each.count) for each in twice] == [("F1_M01", "F1_M1", 1)]
    assert loaded.tables["measurements"]["job_search"].tolist() == [3]
    assert "unknown-column" not in {each.code for each in loaded.findings}


def test_two_dates_for_one_form_are_told(tmp_path: Path) -> None:
    loaded = wide(
        tmp_path,
        ["Datum_M1", "HDatum_M1", "F1_M1", "F2_M1", "Datum_M2", "HDatum_M2", "F1_M2"],
        ["1", "2024-01-01", "2024-02-01", "3", "4", "2024-04-01", "2024-05-01", "5"],
        columns='"Datum_M{occasion}": answered_on, "HDatum_M{occasion}": answered_on',
    )
    twice = [(each.column, each.values["column"]) for each in loaded.findings if each.code == "duplicate-column"]
    assert twice == [("HDatum_M1", "Datum_M1"), ("HDatum_M2", "Datum_M2")]


def test_months_as_numbers_of_occasions_are_never_one_occasion(tmp_path: Path) -> None:
    head, row = ["F1_M202404", "F2_M202404", "F1_M202401", "F2_M202401"], ["1", "3", "4", "5", "2"]
    loaded = wide(tmp_path, head, row, values='occasion: {"202401": 1, "202404": 2}')
    forms = loaded.tables["measurements"]
    assert forms[["occasion", "job_search", "cooperation"]].to_numpy().tolist() == [[1, 5, 2], [2, 3, 4]]
    # Without that, each is an occasion of its own, and what to do about its number is told.
    loaded = wide(tmp_path, head, row)
    assert loaded.tables["measurements"]["occasion"].tolist() == [202401, 202404]
    report = bip.validate(loaded, language="en")
    cures = report.findings.loc[report.findings["code"] == "out-of-bounds", "cure"]
    assert len(cures) == 2
    assert "values in the mapping file" in cures.iloc[0]


@pytest.mark.parametrize("turned", [False, True])
def test_a_pattern_that_runs_two_numbers_together_is_refused_and_its_cure_works(tmp_path: Path, turned: bool) -> None:
    names = [f"F{at}{item}" if turned else f"F{item}{at}" for at in (1, 2) for item in (1, 11)]
    write(tmp_path / "in" / "svar.csv", ["Klientnr", *names], ["1", "2", "3", "4", "5"])
    head = """organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {"Klientnr": participant_id}
    set: {respondent: caseworker, form_status: answered}
    wide:
"""
    items = 'items: {"1": job_search, "11": caseworker_belief}'
    mapping = tmp_path / "mappning.yaml"
    both = "F{occasion}{item}" if turned else "F{item}{occasion}"
    mapping.write_text(f'{head}      - pattern: "{both}"\n        {items}\n', "utf-8")
    with pytest.raises(MappingError, match=r"line 8: .*F\{item\}1"):
        bip.load_submission(tmp_path / "in", mapping=mapping)
    blocks = "".join(
        f'      - pattern: "{"F" + at + "{item}" if turned else "F{item}" + at}"\n'
        f"        {items}\n        set: {{occasion: {at}}}\n"
        for at in "12"
    )
    mapping.write_text(head + blocks, "utf-8")
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping).tables["measurements"]
    answers = loaded[["occasion", "job_search", "caseworker_belief"]].to_numpy().tolist()
    assert answers == [[1, 2, 3], [2, 4, 5]]


@pytest.mark.parametrize(("who", "refused"), [("caseworker", False), ("participant", True)])
def test_a_form_that_the_other_declined_is_read_beside_the_answers(tmp_path: Path, who: str, refused: bool) -> None:
    write(tmp_path / "in" / "svar.csv", ["Klientnr", "Datum", "F1"], ["1", "2024-01-10", "3"], ["2", "2024-01-11", "4"])
    entries = "".join(
        f"""
    - file: svar.csv
      columns: {{Klientnr: participant_id, Datum: answered_on{answers}}}
      set: {{respondent: {whose}, form_status: {status}, occasion: 1}}"""
        for answers, whose, status in ((", F1: job_search", "participant", "answered"), ("", who, "declined"))
    )
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(f"organisation: A\ntables:\n  measurements:{entries}\n", "utf-8")
    if refused:
        with pytest.raises(MappingError, match="line 7"):
            bip.load_submission(tmp_path / "in", mapping=mapping)
        return
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping).tables["measurements"]
    assert sorted(loaded[["respondent", "form_status"]].astype(str).agg(" ".join, axis=1)) == [
        *["caseworker declined"] * 2,
        *["participant answered"] * 2,
    ]


def test_an_item_that_was_renamed_between_occasions_is_read_and_two_answers_of_one_form_are_told(
    tmp_path: Path,
) -> None:
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text(
        """organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {Klientnr: participant_id}
    set: {respondent: participant, form_status: answered}
    wide: {pattern: "{item}_M{occasion}", items: {F1: job_search, Q1: job_search}}
""",
        "utf-8",
    )
    for head, twice in ((["F1_M1", "Q1_M2"], []), (["F1_M1", "Q1_M1", "Q1_M2"], ["Q1_M1"])):
        write(tmp_path / "in" / "svar.csv", ["Klientnr", *head], ["1", "3", *["4"] * (len(head) - 1)])
        loaded = bip.load_submission(tmp_path / "in", mapping=mapping)
        assert loaded.tables["measurements"][["occasion", "job_search"]].to_numpy().tolist() == [[1, 3], [2, 4]]
        assert [each.column for each in loaded.findings if each.code == "duplicate-column"] == twice


@pytest.mark.parametrize("pattern", ["F{item}{occasion}", "F{occasion}{item}", "F{item}1{occasion}"])
@pytest.mark.parametrize("long", [False, True])
def test_numbers_beside_each_other_are_told_apart_by_items_of_one_length(
    tmp_path: Path, pattern: str, long: bool
) -> None:
    items = {f"0{at}" if long else str(at): name for at, name in ((1, "job_search"), (2, "cooperation"))}
    places = [(item, at) for item in items for at in ("1", "2", "12")]
    names = [pattern.replace("{item}", item).replace("{occasion}", at) for item, at in places]
    write(tmp_path / "in" / "svar.csv", ["Klientnr", *names], ["1", "1", "2", "3", "3", "4", "5"])
    mapping = tmp_path / "mappning.yaml"
    said = ", ".join(f'"{item}": {name}' for item, name in items.items())
    mapping.write_text(
        f"""organisation: A
tables:
  measurements:
    file: svar.csv
    columns: {{Klientnr: participant_id}}
    set: {{respondent: participant, form_status: answered}}
    wide: {{pattern: "{pattern}", items: {{{said}}}}}
""",
        "utf-8",
    )
    loaded = bip.load_submission(tmp_path / "in", mapping=mapping).tables["measurements"]
    answers = loaded[["occasion", "job_search", "cooperation"]].to_numpy().tolist()
    assert answers == [[1, 1, 3], [2, 2, 4], [12, 3, 5]]
