"""The codebook holds every variable, code and item of the files, in both languages, and invents nothing."""

from __future__ import annotations

import re
from pathlib import Path

import openpyxl
import pytest

from bipstudy import schema
from bipstudy.schema.codebook import codebook, write_html, write_xlsx
from bipstudy.texts import LANGUAGES, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_there_once(language: str) -> None:
    frames = codebook(language)
    listed = list(zip(frames["variables"]["table"], frames["variables"]["variable"], strict=True))
    assert listed == [(name, column.name) for name in schema.TABLE_NAMES for column in schema.table(name).columns]
    codes = set(zip(frames["values"]["codes"], frames["values"]["code"], strict=True))
    assert codes == {(name, code) for name in schema.code_list_names() for code in schema.code_list(name).values}
    assert frames["items"]["item"].tolist() == [i.id for each in schema.instruments().values() for i in each.items]
    assert frames["transitions"]["definition"].tolist() == list(schema.transition_names())
    for frame in frames.values():
        assert not frame.isna().any().any()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_confirmed_is_said(language: str) -> None:
    items = codebook(language)["items"].set_index("item")
    scale, wording = (text(f"codebook.confirmed_{part}", language) for part in ("scale", "wording"))
    for item in schema.instrument().items:
        assert (scale in items.loc[item.id, "assumed"]) == (not item.confirmed["scale"])
        assert (wording in items.loc[item.id, "confirmed"]) == item.confirmed["wording"]
        if item.wording[language] is None:
            assert items.loc[item.id, "wording"] == text("codebook.not_public", language)
    placeholders = items.index[items["placeholder"] == text("texts.yes", language)]
    assert list(placeholders) == ["unpublished_1", "unpublished_2", "unpublished_3"]


def test_every_optional_variable_of_the_background_says_what_it_costs_to_leave_it_out() -> None:
    variables = codebook("sv")["variables"].set_index(["table", "variable"])
    for name in schema.TABLE_NAMES:
        for column in schema.table(name).columns:
            assert variables.loc[(name, column.name), "without"] == (column.without["sv"] if column.without else "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_workbook_holds_the_frames(tmp_path: Path, language: str) -> None:
    book = openpyxl.load_workbook(write_xlsx(tmp_path / "kodbok.xlsx", language))
    for (name, frame), sheet in zip(codebook(language).items(), book, strict=True):
        assert sheet.title == text(f"codebook.sheet_{name}", language)
        assert [cell.value for cell in sheet[1]] == [text(f"codebook.head_{column}", language) for column in frame]
        cells = [[cell.value or "" for cell in row] for row in sheet.iter_rows(min_row=2)]
        assert cells == frame.astype(str).to_numpy().tolist()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_one_file_in_one_language(tmp_path: Path, language: str) -> None:
    page = write_html(tmp_path / "kodbok.html", language).read_text(encoding="utf-8")
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert f'<html lang="{language}">' in page
    assert re.findall(r"(?:src|href)=\"(?!#)", page) == []
    for name in schema.TABLE_NAMES:
        assert f'id="{name}"' in page
        for column in schema.table(name).columns:
            assert f'<td class="name">{column.name}</td>' in page
