"""Workbooks, mappings, and what the loader fills in where the files leave it out."""

import datetime as dt
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from deliveries import ORGANISATION, Style, csv_bytes, everything, rewrite, tables, texts, write
from hypothesis import given, settings
from hypothesis import strategies as st

import bipstudy as bip
from bipstudy import schema
from bipstudy.loaders import read_mapping
from bipstudy.loaders.names import column_names, key, table_by_name
from bipstudy.loaders.occasions import assign_occasions, join_occasions
from bipstudy.schema.template import write_template
from bipstudy.texts import BipstudyError


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("filled", [True, False])
def test_the_template_is_read_as_it_was_filled_in(tmp_path, language, filled):
    path = write_template(tmp_path / "mall.xlsx", language, tables() if filled else None)
    submission = bip.load_submission(path)
    codes = [finding.code for finding in submission.findings]
    if filled:
        assert codes == []
        assert submission.hash == schema.content_hash(tables())
        assert submission.provenance["participants"]["row"].tolist() == [2, 3, 4]
        assert set(submission.provenance["participants"]["sheet"]) == {schema.table("participants").label[language]}
    else:
        assert sorted(set(codes)) == ["empty-table", "header-only"]
        assert submission.sent == set()


def test_a_workbook_of_real_dates_numbers_title_rows_and_helpers(tmp_path):
    import xlsxwriter

    path = tmp_path / "uttag.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet("Blad1")
        sheet.write(0, 0, "Uttag ur systemet")
        sheet.write_row(3, 1, ["Organisation", "Handläggare", "I rollen sedan (år)", "Roll"])
        sheet.write_row(4, 1, ["A", 17, 2015, "Kommun"])
        sheet.write_row(6, 1, ["A", 18, 2016, ""])
        hidden = book.add_worksheet("Underlag")
        hidden.write(0, 0, "x")
        hidden.hide()
        book.add_worksheet("Instruktion").write(0, 0, "Läs detta")
        book.add_worksheet("Anteckningar").write(0, 0, "Ring Eva")
        dated = book.add_worksheet("Utbildningar")
        dated.write_row(0, 0, ["Organisation", "Handläggare", "Typ av utbildning", "Datum"])
        dated.write_row(1, 0, ["A", "17", "Grundutbildning"])
        dated.write_datetime(1, 3, dt.datetime(2024, 3, 5))
    submission = bip.load_submission(path)
    caseworkers = submission.tables["caseworkers"]
    assert caseworkers["caseworker_id"].tolist() == ["17", "18"]
    assert caseworkers["in_role_since"].tolist() == [2015, 2016]
    assert submission.provenance["caseworkers"]["row"].tolist() == [5, 7]
    assert submission.tables["trainings"]["held_on"].tolist() == [pd.Timestamp("2024-03-05")]
    places = [(finding.code, finding.sheet) for finding in submission.findings]
    assert places == [
        ("hidden-sheet", "Underlag"),
        ("unknown-sheet", "Anteckningar"),
        ("missing-table", None),
        ("missing-table", None),
    ]
    assert "Ring Eva" not in everything(submission.findings)
    assert submission.extracted_on == dt.date(2024, 3, 5)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Formulär", "measurements"),
        ("FORMULAR_2024-03", "measurements"),
        ("forbund7 participants v2", "participants"),
        ("Svar_som_saknas", "missing_answers"),
        ("Handläggarperioder", "assignments"),
        ("Formulär deltagare", None),
        ("Blad1", None),
        ("", None),
    ],
)
def test_which_table_a_name_means(name, table):
    assert table_by_name(name) == table


def test_no_two_columns_of_a_table_share_a_name():
    for name, table in schema.tables().items():
        spellings = [
            (key(one), column.name) for column in table.columns for one in {column.name, *column.label.values()}
        ]
        if table.has_items:
            spellings += [
                (key(one), item.id) for item in schema.items().values() for one in (item.id, *item.label.values())
            ]
        assert all(column_names(name)[spelling] == column for spelling, column in spellings)


@pytest.mark.parametrize("name", schema.TABLE_NAMES)
def test_a_table_is_known_by_its_columns(tmp_path, name):
    header = [column.label["sv"] for column in schema.table(name).columns]
    header += [item.label["sv"] for item in schema.items().values()] if schema.table(name).has_items else []
    (tmp_path / "export.csv").write_bytes(csv_bytes([header, ["1"] * len(header)], Style()))
    assert set(bip.load_submission(tmp_path).sent) == {name}


def test_several_sheets_of_one_table_stand_under_each_other(tmp_path):
    folder = write(tmp_path)
    rows = texts("measurements", tables()["measurements"], Style())
    (folder / "Formulär.csv").unlink()
    (folder / "Formulär_1.csv").write_bytes(csv_bytes(rows[:5], Style()))
    (folder / "Formulär_2.csv").write_bytes(csv_bytes([rows[0], *rows[5:]], Style()))
    submission = bip.load_submission(folder)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())
    place = submission.provenance["measurements"]
    assert place["row"].tolist() == [2, 3, 4, 5, *range(2, 10)]
    assert place["file"].tolist() == ["Formulär_1.csv"] * 4 + ["Formulär_2.csv"] * 8


def _without(folder, name, label):
    rows = texts(name, tables()[name], Style())
    at = rows[0].index(label)
    path = folder / f"{schema.table(name).label['sv']}.csv"
    path.write_bytes(csv_bytes([row[:at] + row[at + 1 :] for row in rows], Style()))


def test_the_organisation_is_filled_in_where_it_can_be_known(tmp_path):
    folder = write(tmp_path)
    _without(folder, "activities", "Organisation")
    submission = bip.load_submission(folder)
    assert [(each.code, each.table, each.count) for each in submission.findings] == [
        ("organisation-assumed", "activities", 2)
    ]
    assert submission.hash == schema.content_hash(tables())
    for name in tables():
        _without(folder, name, "Organisation")
    codes = [each.code for each in bip.load_submission(folder).findings]
    assert codes == ["missing-column"] * 6
    submission = bip.load_submission(folder, organisation=ORGANISATION)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())
    found = bip.load_submission(write(tmp_path), organisation="B").findings
    assert {each.code for each in found} == {"other-organisation"}
    assert ORGANISATION not in everything(found)


def test_occasion_and_instrument_are_filled_in_and_said(tmp_path):
    folder = write(tmp_path)
    _without(folder, "measurements", "Mättillfälle")
    submission = bip.load_submission(folder)
    assert [each.code for each in submission.findings] == ["occasion-assigned"]
    assert submission.hash == schema.content_hash(tables())
    rows = texts("measurements", tables()["measurements"], Style())
    drop = {rows[0].index("Mättillfälle"), rows[0].index("Frågeformulär")}
    rows = [[cell for at, cell in enumerate(row) if at not in drop] for row in rows]
    rows[3][rows[0].index("Besvarat den")] = ""
    (folder / "Formulär.csv").write_bytes(csv_bytes(rows, Style()))
    found = [(each.code, each.row) for each in bip.load_submission(folder).findings]
    assert found == [("instrument-assumed", None), ("occasion-assigned", None), ("occasion-unknown", 4)]


def test_occasions_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(1)
    forms = pd.DataFrame(
        {
            "organisation_id": "A",
            "participant_id": rng.integers(0, 20, 300).astype(str),
            "respondent": rng.choice(["participant", "caseworker"], 300),
            "answered_on": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(3000)[:300] // 3, unit="D"),
        }
    )
    numbers = assign_occasions(forms)
    shuffled = forms.sample(frac=1, random_state=2)
    pd.testing.assert_series_equal(assign_occasions(shuffled).sort_index(), numbers)
    for _, group in forms.assign(number=numbers).groupby("participant_id"):
        # From 1 without a gap, in the order of dates, each respondent on one day, at most 45 days apart.
        assert sorted(group["number"].unique()) == list(range(1, group["number"].max() + 1))
        assert group.groupby("number")["answered_on"].max().is_monotonic_increasing
        assert not group.drop_duplicates(["respondent", "answered_on"]).duplicated(["number", "respondent"]).any()
        spread = group.groupby("number")["answered_on"].agg(lambda dates: (dates.max() - dates.min()).days)
        assert spread.max() <= 45


def _fewest_days(mine, other, window):
    """Return the fewest half days, every way to pair two sequences in their order tried."""
    return min(
        2 * sum(abs(mine[at] - other[to]) for at, to in zip(left, right, strict=True))
        + window * (len(mine) + len(other) - 2 * pairs)
        for pairs in range(min(len(mine), len(other)) + 1)
        for left in combinations(range(len(mine)), pairs)
        for right in combinations(range(len(other)), pairs)
    )


@settings(max_examples=200, deadline=None)
@given(
    st.sets(st.integers(0, 200), max_size=4),
    st.sets(st.integers(0, 200), max_size=4),
    st.sampled_from([9, 45]),
    st.randoms(use_true_random=False),
)
def test_forms_are_paired_over_the_fewest_days(mine, other, window, order):
    said = [("participant", day) for day in mine] + [("caseworker", day) for day in other]
    order.shuffle(said)
    forms = pd.DataFrame(said, columns=["respondent", "day"]).astype({"day": "int64"})
    forms["answered_on"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(forms["day"], unit="D")
    forms = forms.assign(organisation_id="A", participant_id="1")
    forms["number"] = assign_occasions(forms, window)
    days = forms.groupby("number")["day"].agg(["min", "max", "size"])
    cost = int((2 * (days["max"] - days["min"])).where(days["size"] == 2, window).sum())
    assert cost == _fewest_days(sorted(mine), sorted(other), window)
    assert not forms.duplicated(["number", "respondent"]).any()
    for _, group in forms.groupby("respondent"):
        assert group.sort_values("day")["number"].is_monotonic_increasing


def test_forms_far_from_all_numbered_ones_take_the_number_that_is_free():
    """The participant did not answer at 2, and left after 3; the caseworker went on, and sent the last one twice."""
    numbered = [("participant", 1, "2024-01-10"), ("participant", 3, "2024-07-10"), ("participant", 4, "2024-10-10")]
    dated = ["2024-01-12", "2024-04-11", "2024-07-09", "2025-01-08", "2025-01-08", "2024-08-25", None]
    forms = pd.DataFrame(numbered, columns=["respondent", "occasion", "answered_on"])
    forms = pd.concat([forms, pd.DataFrame({"respondent": "caseworker", "answered_on": dated})], ignore_index=True)
    forms = forms.assign(organisation_id="A", participant_id="1", answered_on=pd.to_datetime(forms["answered_on"]))
    joined = join_occasions(forms, forms["respondent"].eq("caseworker").to_numpy())
    # Between 3 and 4 no number is free.
    expected = pd.Series([1, 3, 4, 1, 2, 3, 5, 5, None, None], dtype="Int64")
    pd.testing.assert_series_equal(joined, expected, check_names=False)
    order = np.random.default_rng(1).permutation(len(forms))
    shuffled = join_occasions(forms.iloc[order], forms["respondent"].eq("caseworker").to_numpy()[order])
    pd.testing.assert_series_equal(shuffled.sort_index(), expected, check_names=False)


@pytest.mark.parametrize(
    ("numbered", "dated", "expected"),
    [
        # Paired in the order of dates, not the closest first.
        ({1: "2024-01-15", 2: "2024-02-24"}, ["2024-02-22", "2024-02-26"], [1, 2]),
        ({1: "2024-01-15", 2: "2024-02-28"}, ["2024-02-14", "2024-03-25"], [1, 2]),
        # Counted back where only what comes after has a number.
        ({3: "2024-07-15"}, ["2024-01-15", "2024-04-15", "2024-07-15"], [1, 2, 3]),
        ({2: "2024-07-15"}, ["2024-01-15", "2024-04-15", "2024-07-15"], [None, None, 2]),
        # Two for one number that is free: nobody knows which.
        ({1: "2024-01-15", 3: "2024-12-15"}, ["2024-04-15", "2024-07-15"], [None, None]),
        ({1: "2024-01-15", 4: "2024-12-15"}, ["2024-04-15", "2024-07-15"], [2, 3]),
    ],
)
def test_forms_with_dates_join_those_with_numbers(numbered, dated, expected):
    forms = [{"respondent": "participant", "occasion": each, "answered_on": day} for each, day in numbered.items()]
    forms += [{"respondent": "caseworker", "occasion": None, "answered_on": day} for day in dated]
    frame = pd.DataFrame(forms).assign(organisation_id="A", participant_id="1")
    frame["answered_on"] = pd.to_datetime(frame["answered_on"])
    joined = join_occasions(frame, frame["respondent"].eq("caseworker").to_numpy())
    found = joined[len(numbered) :].astype(object)
    assert found.where(found.notna(), None).tolist() == expected


def test_a_declined_and_an_answered_form_of_one_month_are_two_occasions():
    forms = pd.DataFrame({"organisation_id": "A", "participant_id": "1", "respondent": "participant"}, index=range(4))
    forms["answered_on"] = pd.to_datetime(["2024-04-01", "2024-04-01", "2024-09-03", "2024-09-03"])
    forms["answered_on_precision"] = ["month", "month", "day", "day"]
    forms["form_status"] = ["answered", "declined", "answered", "answered"]
    assert assign_occasions(forms).tolist() == [2, 1, 3, 3]
    assert assign_occasions(forms[::-1]).tolist() == [3, 3, 1, 2]


def test_a_form_in_two_exports_without_numbers_is_told_and_not_a_new_occasion(tmp_path):
    folder = write(tmp_path)
    _without(folder, "measurements", "Mättillfälle")
    (folder / "Formulär igen.csv").write_bytes((folder / "Formulär.csv").read_bytes())
    report = bip.validate(bip.load_submission(folder))
    told = report.findings[report.findings["code"] == "two-answers-for-one-form"]
    assert told["row"].tolist() == list(range(2, 2 + len(tables()["measurements"])))
    assert len(set(told["file"])) == 1


def test_what_a_cell_says_of_a_missing_answer_becomes_a_row(tmp_path):
    frames = tables()
    del frames["missing_answers"]
    folder = write(tmp_path, frames=frames)
    rows = texts("measurements", frames["measurements"], Style())
    at = rows[0].index(schema.items()["job_search"].label["sv"])
    assert rows[2][at] == ""
    rows[2][at] = "Vet ej"
    (folder / "Formulär.csv").write_bytes(csv_bytes(rows, Style()))
    submission = bip.load_submission(folder)
    assert submission.findings == []
    assert submission.hash == schema.content_hash(tables())
    assert submission.provenance["missing_answers"]["row"].tolist() == [3]
    # A row that was sent holds before what the cell says.
    sent = texts("missing_answers", tables()["missing_answers"].assign(reason="declined"), Style())
    (folder / "Svar som saknas.csv").write_bytes(csv_bytes(sent, Style()))
    assert bip.load_submission(folder).tables["missing_answers"]["reason"].tolist() == ["declined"]


def test_the_day_of_the_extract(tmp_path):
    folder = write(tmp_path)
    assert bip.load_submission(folder).extracted_on == dt.date(2024, 12, 31)
    assert bip.load_submission(folder, extracted_on="2025-01-15").extracted_on == dt.date(2025, 1, 15)
    assert bip.load_submission(folder, extracted_on=dt.date(2025, 1, 16)).extracted_on == dt.date(2025, 1, 16)
    rows = texts("participants", tables()["participants"].assign(observed_until_reason="moved"), Style())
    (folder / "Deltagare.csv").write_bytes(csv_bytes(rows, Style()))
    assert bip.load_submission(folder).extracted_on == dt.date(2024, 12, 31)


def test_an_organisation_with_names_and_values_of_its_own(tmp_path):
    folder = write(tmp_path / "in")
    path = folder / "Deltagare.csv"
    for old, new in (
        ("Deltagare", "Klientnr"),
        ("Kön", "Man/kvinna"),
        ("woman", "2"),
        (";man;", ";1;"),
        ("720", "999"),
    ):
        rewrite(path, old, new)
    path.rename(folder / "Klienter.csv")
    rewrite(folder / "Formulär.csv", ";1;2;3;", ";9;2;3;")
    (folder / "Eget.csv").write_bytes(b"Egna;Anteckningar\r\n1;2\r\n")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        """
missing: {"9": dont_know}
ignore: [Eget.csv]
tables:
  participants:
    file: Klienter.csv
    columns: {"KLIENTNR": participant_id, "Man/Kvinna": sex}
    values:
      sex: {"1": man, "2": woman}
      months_since_work: {"999": ""}
""",
        "utf-8",
    )
    submission = bip.load_submission(folder, mapping=mapping)
    assert submission.findings == []
    expected = tables()["participants"].assign(months_since_work=pd.array([0, None, None], dtype="Int64"))
    pd.testing.assert_frame_equal(schema.conform("participants", submission.tables["participants"]), expected)
    assert submission.source_columns["participants"]["sex"] == "Man/kvinna"
    assert len(submission.tables["missing_answers"]) == 2


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("tabels: {}", "tabels"),
        ("tables: {persons: {}}", "persons"),
        ("tables: {participants: {columns: {Nr: person}}}", "person"),
        ("tables: {participants: {values: {gender: {}}}}", "gender"),
        ("missing: {'9': perhaps}", "perhaps"),
        ("encoding: klingon", "klingon"),
        ("[1, 2", "YAML"),
        ("- a\n- b", "YAML"),
        ("tables: 3", "tables takes entries"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(tmp_path, content, named):
    path = tmp_path / "mapping.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(BipstudyError, match=named):
        read_mapping(path)


def test_the_example_of_a_mapping_can_be_read():
    assert read_mapping(schema.folder() / "mappings" / "example.yaml").organisation == "forbund-1"


def test_wrong_arguments_are_told(tmp_path):
    with pytest.raises(BipstudyError, match="no file or folder"):
        bip.load_submission(tmp_path / "nowhere.csv")
    with pytest.raises(BipstudyError, match="no mapping"):
        bip.load_submission(tmp_path, mapping=tmp_path / "nowhere.yaml")
    with pytest.raises(BipstudyError, match="YYYY-MM-DD"):
        bip.load_submission(tmp_path, extracted_on="igår")


def test_every_rule_of_loading_is_complete():
    for entry in schema.read_yaml(schema.folder() / "rules" / "loading.yaml")["rules"]:
        rule = schema.rules()[entry["code"]]
        for part in (rule.title, rule.message, rule.cure, rule.example):
            assert set(part) == {"sv", "en"}
            assert all(part.values())
        assert rule.structural == (rule.severity == "error")
