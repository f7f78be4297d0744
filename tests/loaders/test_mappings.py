"""Mappings: one file of many tables, one row of many forms, two files of one occasion, and errors by their line."""

import openpyxl
import pandas as pd
import pytest
from deliveries import Style, csv_bytes, everything, tables, texts, write

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders import read_mapping
from bipstudy.loaders.mapping import DateFormat, Pattern
from bipstudy.loaders.mapping_file import MappingError
from bipstudy.loaders.names import column_names, key
from bipstudy.loaders.recognition import forbidden, is_total, other_questionnaire
from bipstudy.validation.marked import write_marked

ITEMS = list(schema.items())


def mapping_of(folder, content):
    path = folder / "mapping.yaml"
    path.write_text(content, "utf-8")
    return path


def answered():
    """Return the forms without what a wide file cannot hold: no reason, no way of answering."""
    frames = tables()
    frames["measurements"] = frames["measurements"].assign(mode=None)
    del frames["missing_answers"]
    return {name: schema.conform(name, frame) for name, frame in frames.items()}


def wide_rows(frames):
    """Return one row per participant with F<item>_M<occasion>, H… for the caseworker, and background."""
    forms = frames["measurements"].set_index(["participant_id", "occasion", "respondent"]).sort_index()
    header = ["Klientnr", "Datum_M1", "Datum_M2", "HL"]
    header += [f"{who}{at}_M{occasion}" for occasion in (1, 2) for who in "FH" for at in range(1, len(ITEMS) + 1)]
    background = texts("participants", frames["participants"], Style())
    keep = [at for at, name in enumerate(background[0]) if name not in {"Organisation", "Deltagare"}]
    rows = [header + [background[0][at] for at in keep]]
    for line, person in zip(background[1:], frames["participants"]["participant_id"], strict=True):
        row = [person, *(f"{forms.loc[(person, at, 'participant'), 'answered_on']:%Y-%m-%d}" for at in (1, 2)), "H1"]
        for occasion in (1, 2):
            for who in ("participant", "caseworker"):
                answers = forms.loc[(person, occasion, who), ITEMS]
                row += ["" if pd.isna(answer) else str(answer) for answer in answers]
        rows.append(row + [line[at] for at in keep])
    return rows


def wide_mapping(folder):
    items = "{" + ", ".join(f'"{at}": {item}' for at, item in enumerate(ITEMS, 1)) + "}"
    content = f"""
organisation: förbund-Å
tables:
  participants:
    file: register.csv
    columns: {{"Klientnr": participant_id}}
  measurements:
    - file: register.csv
      columns: {{"Klientnr": participant_id, "HL": caseworker_id}}
      set: {{instrument: bip-default, form_status: answered}}
      wide:
        - pattern: "{{respondent}}{{item}}_M{{occasion}}"
          respondents: {{F: participant, H: caseworker}}
          items: {items}
"""
    return mapping_of(folder, content)


def test_one_wide_file_of_participants_and_forms(tmp_path):
    frames = answered()
    rows = wide_rows(frames)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "register.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(tmp_path / "in", mapping=wide_mapping(tmp_path))
    expected = frames["measurements"].assign(caseworker_id="H1", answered_on=None)
    assert {each.code for each in submission.findings} == {"missing-column", "unknown-column"}
    assert {each.column for each in submission.findings if each.code == "missing-column"} == {"answered_on"}
    loaded = schema.conform("measurements", submission.tables["measurements"])
    pd.testing.assert_frame_equal(loaded, schema.conform("measurements", expected))
    participants = schema.conform("participants", submission.tables["participants"])
    pd.testing.assert_frame_equal(participants, frames["participants"])
    assert submission.source_columns["measurements"]["cooperation"] == "H4_M1 – F4_M2"


def test_a_date_without_respondent_is_that_of_both(tmp_path):
    rows = wide_rows(answered())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "register.csv").write_bytes(csv_bytes(rows, Style()))
    path = wide_mapping(tmp_path)
    written = path.read_text("utf-8").replace(
        "          respondents:", '          columns: {"Datum_M{occasion}": answered_on}\n          respondents:'
    )
    path.write_text(written, "utf-8")
    submission = bip.load_submission(tmp_path / "in", mapping=path)
    assert submission.findings == []
    expected = answered()["measurements"].assign(caseworker_id="H1")
    loaded = schema.conform("measurements", submission.tables["measurements"])
    pd.testing.assert_frame_equal(loaded, schema.conform("measurements", expected))


def test_what_a_block_sets_is_meant_before_what_the_entry_sets(tmp_path):
    (tmp_path / "in").mkdir()
    rows = [["Klientnr", "D_1", "F1_1", "P_1", "H1_1"], ["p1", "2024-03-04", "3", "2024-03-01", ""]]
    (tmp_path / "in" / "svar.csv").write_bytes(csv_bytes(rows, Style()))
    content = """
tables:
  measurements:
    file: svar.csv
    columns: {"Klientnr": participant_id}
    set: {form_status: answered, respondent: participant}
    wide:
      - pattern: "F{item}_{occasion}"
        items: {"1": cooperation}
        columns: {"D_{occasion}": answered_on}
      - pattern: "H{item}_{occasion}"
        items: {"1": job_search}
        columns: {"P_{occasion}": due_on}
        set: {form_status: not_done, respondent: caseworker}
"""
    found = bip.load_submission(tmp_path / "in", mapping=mapping_of(tmp_path, content)).tables["measurements"]
    assert found[["respondent", "form_status"]].to_numpy().tolist() == [
        ["participant", "answered"],
        ["caseworker", "not_done"],
    ]


def test_what_a_rule_finds_in_a_wide_file_is_told_at_its_column(tmp_path):
    rows = wide_rows(answered())
    for row, column in ((1, "H3_M2"), (2, "F1_M1")):
        rows[row][rows[0].index(column)] = "6"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "register.csv").write_bytes(csv_bytes(rows, Style()))
    report = bip.validate(bip.load_submission(tmp_path / "in", mapping=wide_mapping(tmp_path)))
    told = report.findings[report.findings["code"] == "answer-outside-scale"]
    assert sorted(zip(told["row"], told["column"], strict=True)) == [(2, "H3_M2"), (3, "F1_M1")]
    # The marked copy knows the cell by that name.
    book = openpyxl.load_workbook(write_marked(report, tmp_path / "in", tmp_path / "out.xlsx"))
    sheet = next(sheet for sheet in book if sheet["A1"].value == "Klientnr")
    marked = {(rows[0][cell.column - 1], cell.row) for row in sheet.iter_rows() for cell in row if cell.comment}
    assert {("H3_M2", 2), ("F1_M1", 3)} <= marked


def test_what_a_rule_finds_is_told_by_the_column_of_the_file_that_has_it(tmp_path):
    """The two who answer have the same headings for different questions."""
    (tmp_path / "in").mkdir()
    heads = ["Organisation", "Vem", "Mättillfälle", "Ifylld", "Fråga 1", "Fråga 2"]
    for name, answers in (("klient.csv", ["3", "4"]), ("coach.csv", ["7", "4"])):
        row = ["A", "p1", "1", "2024-03-04", *answers]
        (tmp_path / "in" / name).write_bytes(csv_bytes([heads, row], Style()))
    entries = "".join(
        f"""
    - file: {who}.csv
      columns: {{"Vem": participant_id, "Ifylld": answered_on, "Fråga {one}": cooperation, "Fråga {two}": job_search}}
      set: {{respondent: {respondent}, form_status: answered}}"""
        for who, respondent, one, two in (("klient", "participant", 1, 2), ("coach", "caseworker", 2, 1))
    )
    mapping = mapping_of(tmp_path, f"tables:\n  measurements:{entries}\n")
    report = bip.validate(bip.load_submission(tmp_path / "in", mapping=mapping))
    told = report.findings[report.findings["code"] == "answer-outside-scale"]
    assert told[["file", "row", "column"]].to_numpy().tolist() == [["coach.csv", 2, "Fråga 1"]]


def test_a_wide_file_with_dates_and_two_blocks_gives_the_same_tables(tmp_path):
    frames = answered()
    rows = wide_rows(frames)
    rows[1][rows[0].index("F3_M2")] = "tre"
    items = "{" + ", ".join(f'"{at}": {item}' for at, item in enumerate(ITEMS, 1)) + "}"
    blocks = "".join(
        f"""
        - pattern: "{short}{{item}}_M{{occasion}}"
          items: {items}
          columns: {{"Datum_M{{occasion}}": answered_on}}
          set: {{respondent: {who}{more}}}"""
        for short, who, more in (("F", "participant", ""), ("H", "caseworker", ", caseworker_id: H1"))
    )
    content = wide_mapping(tmp_path).read_text("utf-8").split("      wide:")[0].replace(', "HL": caseworker_id', "")
    mapping = mapping_of(tmp_path, content + "      wide:" + blocks + "\n    - file: nothing.csv\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "register.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(tmp_path / "in", mapping=mapping)
    loaded = schema.conform("measurements", submission.tables["measurements"])
    first = frames["measurements"]["participant_id"] == frames["measurements"]["participant_id"][0]
    wrong = first & (frames["measurements"]["occasion"] == 2) & (frames["measurements"]["respondent"] == "participant")
    expected = frames["measurements"].assign(
        **{ITEMS[2]: frames["measurements"][ITEMS[2]].mask(wrong)},
    )
    assert [(each.code, each.column, each.row) for each in submission.findings if each.row] == [
        ("not-a-whole-number", "F3_M2", 2)
    ]
    pd.testing.assert_frame_equal(
        loaded.drop(columns=["answered_on", "answered_on_precision"]),
        expected.drop(columns=["answered_on", "answered_on_precision"]),
    )


def test_one_long_file_of_participants_caseworkers_and_forms(tmp_path):
    frames = answered()
    forms = texts("measurements", frames["measurements"], Style())
    people = {row[1]: row for row in texts("participants", frames["participants"], Style())}
    names = texts("participants", frames["participants"], Style())[0]
    rows = [forms[0] + names[2:]] + [row + people[row[1]][2:] for row in forms[1:]]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "allt.csv").write_bytes(csv_bytes(rows, Style()))
    mapping = mapping_of(
        tmp_path,
        """
tables:
  participants: {file: allt.csv, distinct: true}
  caseworkers: {file: allt.csv, distinct: true, ignore: [Enhet]}
  measurements: {file: allt.csv}
""",
    )
    submission = bip.load_submission(tmp_path / "in", mapping=mapping)
    assert submission.findings == []
    for name in ("participants", "measurements"):
        pd.testing.assert_frame_equal(schema.conform(name, submission.tables[name]), frames[name])
    assert submission.tables["caseworkers"]["caseworker_id"].tolist() == ["H1"]
    assert submission.provenance["participants"]["row"].tolist() == [2, 6, 10]


def test_a_file_of_each_respondent_joined_by_dates(tmp_path):
    frames = answered()
    forms = frames["measurements"]
    for number, (file, who) in enumerate((("klienter.csv", "participant"), ("personal.csv", "caseworker"))):
        part = forms[forms["respondent"] == who].assign(
            answered_on=forms["answered_on"] + pd.Timedelta(10 * number, "D")
        )
        rows = texts("measurements", part, Style())
        drop = {"Vem som svarar", "Status", "Frågeformulär"} | ({"Mättillfälle"} if number else set())
        keep = [at for at, name in enumerate(rows[0]) if name not in drop]
        rows = [[row[at] for at in keep] for row in rows]
        if number:
            date = rows[0].index("Besvarat den")
            for row in rows[1:]:
                year, month, day = row[date].split("-")
                row[date] = f"{int(day)}.{int(month)}.{year}"
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / file).write_bytes(csv_bytes(rows, Style()))
    content = """
occasions: {{window_days: {days}}}
tables:
  measurements:
    - file: klienter.csv
      set: {{respondent: participant, form_status: answered, instrument: bip-default}}
    - file: personal.csv
      date_format: D.M.ÅÅÅÅ
      set: {{respondent: caseworker, form_status: answered, instrument: bip-default}}
"""
    submission = bip.load_submission(tmp_path / "in", mapping=mapping_of(tmp_path, content.format(days=10)))
    codes = [each.code for each in submission.findings if each.table == "measurements"]
    assert codes == ["occasion-joined"]
    late = forms["answered_on"].where(forms["respondent"] != "caseworker", forms["answered_on"] + pd.Timedelta(10, "D"))
    pd.testing.assert_frame_equal(
        schema.conform("measurements", submission.tables["measurements"]),
        schema.conform("measurements", forms.assign(answered_on=late)),
    )
    narrow = bip.load_submission(tmp_path / "in", mapping=mapping_of(tmp_path, content.format(days=9)))
    unknown = [each for each in narrow.findings if each.code == "occasion-unknown"]
    assert [(each.file, each.row) for each in unknown] == [("personal.csv", row) for row in (2, 4, 6)]
    assert "missing-value" not in set(bip.validate(narrow).findings["code"])


def test_nine_is_missing_only_where_the_mapping_says_so(tmp_path):
    frames = answered()
    rows = texts("measurements", frames["measurements"], Style())
    at = rows[0].index(schema.items()["cooperation"].label["sv"])
    rows[1][at] = "9"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Formulär.csv").write_bytes(csv_bytes(rows, Style()))
    assert bip.load_submission(tmp_path / "in").tables["measurements"]["cooperation"][0] == 9
    mapping = mapping_of(tmp_path, 'tables: {measurements: {missing: {"9": declined}}}')
    submission = bip.load_submission(tmp_path / "in", mapping=mapping)
    assert submission.tables["measurements"]["cooperation"].isna().sum() == 1
    assert submission.tables["missing_answers"][["item", "reason"]].to_numpy().tolist() == [["cooperation", "declined"]]


WRONG = """schema_version: 1
missing:
  "9": dunno
date_format: YYYY.MM
tables:
  participant: {}
  participants:
    columns:
      "Klientnr": participant_nr
      "Kön": sex
      "Kön": age_group
    values:
      sex: {"1": mann}
    set: {left_reason: försvann}
    distinct: perhaps
  measurements:
    wide:
      pattern: "F{fraga}_M{occasion}"
      items: {"1": job_serch}
    # OSÄKERT "Datum": answered_on
occasions: {window_days: många}
"""


def test_every_wrong_line_of_a_mapping_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(MappingError) as caught:
        read_mapping(mapping_of(tmp_path, WRONG))
    swedish = caught.value.message("sv").splitlines()[1:]
    assert [int(line.split(":")[0].split()[-1]) for line in swedish] == [3, 4, 6, 9, 11, 13, 14, 15, 18, 19, 20, 21]
    for words in ("dont_know", "DD.MM.ÅÅÅÅ", "participants", "participant_id", "man", "to_work", "job_search"):
        assert any(words in line for line in swedish), words
    english = caught.value.message("en").splitlines()[1:]
    assert len(english) == len(swedish)
    assert "participant_id, " in english[3]


@pytest.mark.parametrize(
    "content", ["tables: {participants: {columns: {'a: b}}}", "a: b: c", "tables:\n\tx: 1", "x: *y"]
)
def test_a_line_that_is_no_yaml_is_named(tmp_path, content):
    with pytest.raises(MappingError, match=r"line [12]:"):
        read_mapping(mapping_of(tmp_path, content))


def test_references_in_a_mapping_are_refused_and_not_unfolded(tmp_path):
    lines = ['a0: &a0 ["x"]'] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(MappingError, match="References"):
        read_mapping(mapping_of(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("marked", ["OSÄKERT", "UNSURE", "OSA\u0308KERT"])
def test_a_mapping_with_an_unsure_line_is_refused(tmp_path, marked):
    path = mapping_of(tmp_path, f'tables:\n  participants:\n    columns:\n      # {marked} "Nr": participant_id\n')
    with pytest.raises(MappingError, match="line 4"):
        bip.load_submission(write(tmp_path / "in"), mapping=path)


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("F{item}_M{occasion}", "f3_m12", {"item": "3", "occasion": "12"}),
        ("{item} (mätning {occasion})", "Samarbete (Mätning 2)", {"item": "samarbete", "occasion": "2"}),
        ("{respondent}_{item}_{occasion}", "HL_Fråga 3_2", {"respondent": "hl", "item": "fraga 3", "occasion": "2"}),
        ("F{item}_M{occasion}", "G3_M1", None),
        ("F{item}_M{occasion}", "F3_M1_kommentar", None),
        ("Datum_M{occasion}", "datum m3", {"occasion": "3"}),
    ],
)
def test_patterns(pattern, name, found):
    assert Pattern.of(pattern).match(name) == found


@pytest.mark.parametrize(
    ("pattern", "text", "iso"),
    [
        ("DD.MM.YYYY", "05.03.2024", "2024-03-05"),
        ("M/D/YYYY", "3/5/2024", "2024-03-05"),
        ("D/M/ÅÅ", "5/3/24", "2024-03-05"),
        ("DD/MM/YY", "05/03/98", "1998-03-05"),
        ("YYYYDDMM", "20240503", "2024-03-05"),
        ("DD.MM.YYYY", "2024-03-05", "2024-03-05"),
        ("DD.MM.YYYY", "31.02.2024", "2024-02-31"),
    ],
)
def test_date_formats(pattern, text, iso):
    assert DateFormat.of(pattern).iso(text) == iso


@pytest.mark.parametrize("said", ["", "YYYY", "DD.MM", "DD.DD.YYYY", "DD MM YYYY hh"])
def test_what_is_no_date_format(said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        DateFormat.of(said)


@pytest.mark.parametrize("said", ["{occasion}{occasion}", "F{fraga}"])
def test_what_is_no_pattern(said):
    with pytest.raises(ValueError, match=r"^[F{]"):
        Pattern.of(said)


def test_no_name_of_ours_is_refused_or_counts_as_a_total():
    for table in schema.TABLE_NAMES:
        for spelling, column in column_names(table).items():
            refused = forbidden(spelling) is not None
            assert refused == (table == "organisations" and column == "name"), (table, spelling)
            assert other_questionnaire([spelling], [spelling]) is None
    assert not is_total(key("Startade"))


FORBIDDEN = [
    "Namn",
    "Förnamn",
    "Deltagarens namn",
    "RecipientLastName",
    "E-post",
    "E-postadress",
    "Mejl",
    "Mobilnr",
    "Telefon",
    "IPAddress",
    "IP-adress",
    "LocationLatitude",
    "Gatuadress",
    "Postnr",
    "Personnummer",
    "Pnr",
    "Född",
    "Födelsedatum",
    "Handläggare namn",
    "Date of birth",
    "Phone number",
]


def test_columns_that_must_not_be_sent_are_known_by_name():
    assert [name for name in FORBIDDEN if forbidden(name) is None] == []
    for name in ("Insatsens namn", "Enhetens namn", "Sysselsättning", "Mobilitetsstöd", "Datum", "Telefonintervju"):
        assert forbidden(name) is None, name


@pytest.mark.parametrize("name", ["E-postadress"])
@pytest.mark.parametrize("how", ["table", "ignored", "mapped", "unknown"])
def test_a_column_that_must_not_be_sent_is_refused_by_name(tmp_path, name, how):
    rows = texts("participants", tables()["participants"], Style())
    rows = [[*row, name if at == 0 else "hemligt"] for at, row in enumerate(rows)]
    if how == "unknown":
        rows = [[name, "Egen kolumn"], ["hemligt", "1"]]
    file = "Eget.csv" if how == "unknown" else "Deltagare.csv"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / file).write_bytes(csv_bytes(rows, Style()))
    content = {
        "ignored": f'tables: {{participants: {{ignore: ["{name}"]}}}}',
        "mapped": f'tables: {{participants: {{columns: {{"{name}": education}}}}}}',
    }.get(how, "organisation: A")
    submission = bip.load_submission(tmp_path / "in", mapping=mapping_of(tmp_path, content))
    found = [each for each in submission.findings if each.code == "forbidden-column"]
    assert [(each.file, each.column, each.count) for each in found] == [(file, name, len(rows) - 1)]
    assert "hemligt" not in everything(submission.findings)
    assert not any((frame == "hemligt").any().any() for frame in submission.tables.values())
    assert any((part.values == "hemligt").any() for part in submission.unread)


def test_free_text_is_refused_and_an_empty_column_is_not(tmp_path):
    rows = texts("participants", tables()["participants"], Style())
    more = [["Kommentar", "E-post"], ["Bor hos sin mor", ""], ["", ""], ["", ""]]
    rows = [[*row, *extra] for row, extra in zip(rows, more, strict=True)]
    (tmp_path / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    found = {(each.code, each.column) for each in bip.load_submission(tmp_path).findings}
    assert ("forbidden-column", "Kommentar") in found
    assert ("unknown-column", "E-post") in found
    rows[1][-2] = "3"
    (tmp_path / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    assert ("unknown-column", "Kommentar") in {
        (each.code, each.column) for each in bip.load_submission(tmp_path).findings
    }
