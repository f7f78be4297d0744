"""The template opens, catches what a spreadsheet can catch, and carries every cell of a canonical table."""

from __future__ import annotations

import re
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from openpyxl.utils import get_column_letter

from bipstudy import schema
from bipstudy.schema.template import ordered_dates, sheet_fields, write_template
from bipstudy.texts import LANGUAGES, text

ORGANISATION = "forbund-a"


@pytest.fixture(scope="module", params=LANGUAGES)
def empty_template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, openpyxl.Workbook]:
    path = write_template(tmp_path_factory.mktemp("mall") / "mall.xlsx", request.param)
    return request.param, openpyxl.load_workbook(path)


def test_a_sheet_per_table_after_the_instructions(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    labels = [schema.table(name).label[language] for name in schema.TABLE_NAMES]
    first, *sheets, lists = book.sheetnames
    assert sheets == labels
    assert {schema.fold(first), schema.fold(lists)} <= schema.helper_sheets()
    assert book[lists].sheet_state == "hidden"
    assert schema.helper_sheets().isdisjoint({schema.fold(label) for label in labels})


def test_headers_are_the_labels_with_a_comment_each(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    for name in schema.TABLE_NAMES:
        sheet = book[schema.table(name).label[language]]
        labels = [cell.value for cell in sheet[1]]
        expected = [column.label[language] for column in schema.table(name).columns]
        expected += [item.label[language] for item in schema.items().values()] if schema.table(name).has_items else []
        assert labels == expected
        assert len({schema.fold(label) for label in labels}) == len(labels)
        assert all(cell.comment is not None and len(cell.comment.text) > 10 for cell in sheet[1])
        assert sheet.freeze_panes == "A2"


def test_a_label_means_one_column_in_both_languages() -> None:
    for name in schema.TABLE_NAMES:
        meanings: dict[str, set[str]] = {}
        for language in LANGUAGES:
            for field in sheet_fields(schema.table(name), language):
                meanings.setdefault(schema.fold(field.label), set()).add(field.name)
        assert all(len(names) == 1 for names in meanings.values())


def test_required_columns_are_marked(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    for name in schema.TABLE_NAMES:
        sheet = book[schema.table(name).label[language]]
        bold = {cell.value for cell in sheet[1] if cell.font.b}
        required = {c.label[language] for c in schema.table(name).columns if not (c.nullable or c.assigned)}
        assert bold == required


def test_every_code_list_is_a_drop_down_with_its_labels(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    for name in schema.TABLE_NAMES:
        sheet = book[schema.table(name).label[language]]
        lists = {
            str(area): rule.formula1
            for rule in sheet.data_validations.dataValidation
            if rule.type == "list"
            for area in rule.sqref.ranges
        }
        for position, column in enumerate(schema.table(name).columns, start=1):
            here = [formula for area, formula in lists.items() if area.startswith(f"{get_column_letter(position)}2:")]
            if column.codes is not None:
                assert _choices(book, here[0]) == list(schema.code_list(column.codes).labels(language).values())
            elif column.kind == "boolean":
                assert _choices(book, here[0]) == [text("texts.yes", language), text("texts.no", language)]
            else:
                assert here == [] or column.name == "item"


def _choices(book: openpyxl.Workbook, formula: str) -> list[object]:
    """Return the values of the named range of a drop-down."""
    (sheet, area), *_ = book.defined_names[formula.removeprefix("=")].destinations
    return [row[0].value for row in book[sheet][area]]


def test_answers_are_whole_numbers_of_the_scale(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    sheet = book[schema.table("measurements").label[language]]
    header = {cell.value: get_column_letter(cell.column) for cell in sheet[1]}
    for item in schema.items().values():
        letter = header[item.label[language]]
        rules = [
            rule
            for rule in sheet.data_validations.dataValidation
            if any(str(area).startswith(f"{letter}2:") for area in rule.sqref.ranges)
        ]
        assert [(rule.type, rule.formula1, rule.formula2) for rule in rules] == [
            ("whole", str(item.minimum), str(item.maximum))
        ]


def test_every_date_is_validated_and_ids_are_text(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    for name in schema.TABLE_NAMES:
        sheet = book[schema.table(name).label[language]]
        custom = [str(a) for r in sheet.data_validations.dataValidation if r.type == "custom" for a in r.sqref.ranges]
        for position, column in enumerate(schema.table(name).columns, start=1):
            letter = get_column_letter(position)
            if column.kind == "date":
                assert any(area.startswith(f"{letter}2:") for area in custom)
            if column.kind == "id":
                assert sheet.column_dimensions[letter].number_format == "@" or _style(sheet, letter) == "@"


def _style(sheet: openpyxl.worksheet.worksheet.Worksheet, letter: str) -> str:
    """Return the number format of a column, also where neighbours share one entry."""
    for dimension in sheet.column_dimensions.values():
        low, high = dimension.min, dimension.max
        if low and high and low <= openpyxl.utils.column_index_from_string(letter) <= high:
            return str(dimension.number_format)
    return ""


def test_colours_for_empty_required_cells_and_dates_out_of_order(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    language, book = empty_template
    for name in schema.TABLE_NAMES:
        sheet = book[schema.table(name).label[language]]
        coloured: dict[str, list[str]] = {}
        for area, rules in sheet.conditional_formatting._cf_rules.items():
            letter = re.match(r"[A-Z]+", str(area.sqref))
            assert letter
            coloured.setdefault(letter[0], []).extend(rule.formula[0] for rule in rules)
        letters = {
            column.name: get_column_letter(number) for number, column in enumerate(schema.table(name).columns, 1)
        }
        for column in schema.table(name).columns:
            empty = [formula for formula in coloured.get(letters[column.name], []) if "COUNTA" in formula]
            assert len(empty) == (not (column.nullable or column.assigned))
        for earlier, later in ordered_dates(name):
            formulas = [formula for formula in coloured[letters[later]] if f"${letters[earlier]}2" in formula]
            assert len(formulas) == 1
    answered = book[schema.table("measurements").label[language]]
    formulas = [
        f for rules in answered.conditional_formatting._cf_rules.values() for rule in rules for f in rule.formula
    ]
    assert any("deltagare_entered_on" in formula for formula in formulas)


def test_names_stand_for_ranges_that_exist(empty_template: tuple[str, openpyxl.Workbook]) -> None:
    _, book = empty_template
    for name in book.defined_names.values():
        ((sheet, area),) = name.destinations
        assert sheet in book.sheetnames
        assert re.fullmatch(r"\$[A-Z]+\$2:\$[A-Z]+\$\d+", area)


def test_the_organisation_is_the_only_choice(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(write_template(tmp_path / "m.xlsx", "sv", organisation=ORGANISATION))
    sheet = book["Deltagare"]
    formulas = [
        r.formula1
        for r in sheet.data_validations.dataValidation
        if any(str(a).startswith("A2:") for a in r.sqref.ranges)
    ]
    assert [_choices(book, formula) for formula in formulas] == [[ORGANISATION]]
    words = " ".join(str(cell.value) for row in book["Läs först"].iter_rows() for cell in row if cell.value)
    assert ORGANISATION in words
    assert "Personnummer" in words


@pytest.mark.parametrize("language", LANGUAGES)
def test_rows_are_filled_in_as_a_person_would(tmp_path: Path, language: str) -> None:
    frame = schema.conform(
        "outcomes",
        pd.DataFrame(
            {
                "organisation_id": ORGANISATION,
                "participant_id": ["007", "=1+1", "3"],
                "outcome_id": "1",
                "status": ["work_subsidised", "study_other", "work_training"],
                "start": pd.to_datetime(["2024-03-05", "2024-04-01", "2024-07-01"]),
                "start_precision": ["day", "month", "quarter"],
                "ongoing": [True, False, None],
                "extent_percent": [75.0, 12.5, None],
                "source": "register",
            }
        ),
        sort=False,
    )
    book = openpyxl.load_workbook(write_template(tmp_path / "m.xlsx", language, {"outcomes": frame}))
    sheet = book[schema.table("outcomes").label[language]]
    assert book.sheetnames[1:-1] == [schema.table("outcomes").label[language]]
    names = [column.name for column in schema.table("outcomes").columns]
    cells = pd.DataFrame([[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)], columns=names)
    assert cells["participant_id"].tolist() == ["007", "=1+1", "3"]
    assert [cell.data_type for cell in sheet["B"][1:]] == ["s"] * 3
    labels = schema.code_list("outcome_status").labels(language)
    assert cells["status"].tolist() == [labels[value] for value in frame["status"]]
    assert cells["start"].tolist() == [pd.Timestamp("2024-03-05").to_pydatetime(), "2024-04", "2024-Q3"]
    assert sheet["E2"].number_format == "yyyy-mm-dd"
    yes, no = text("texts.yes", language), text("texts.no", language)
    assert cells["ongoing"].tolist() == [yes, no, None]
    assert cells["extent_percent"].tolist()[:2] == [75, 12.5]


def test_same_input_gives_same_bytes(tmp_path: Path) -> None:
    one, other = (write_template(tmp_path / name, "sv") for name in ("a.xlsx", "b.xlsx"))
    assert one.read_bytes() == other.read_bytes()


def test_texts_fit_what_excel_allows() -> None:
    """Error titles hold 32 characters, messages 255, names of sheets 31."""
    for language in LANGUAGES:
        assert len(text("template.invalid_title", language)) <= 32
        assert len(text("template.invalid_date", language)) <= 255
        for name in schema.TABLE_NAMES:
            assert len(schema.table(name).label[language]) <= 31
