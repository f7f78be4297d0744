"""Swedish and English are complete at all times, and say the same placeholders."""

import re
import string
from pathlib import Path

import pytest
import yaml

import bipstudy
from bipstudy.texts import LANGUAGES, BipstudyError, DataError, catalogue, default_language, text

SOURCE = Path(bipstudy.__file__).parent
PARTS = sorted(path.stem for path in (SOURCE / "texts").glob("*.yaml"))


def placeholders(sentence):
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("part", PARTS)
def test_every_sentence_has_both_languages_and_the_same_placeholders(part):
    for key, forms in catalogue(part).items():
        assert set(forms) == set(LANGUAGES), key
        assert all(isinstance(form, str) and form.strip() for form in forms.values()), key
        assert placeholders(forms["sv"]) == placeholders(forms["en"]), key


@pytest.mark.parametrize("part", PARTS)
def test_sentences_are_the_same_where_yaml_has_no_compiled_reader(part):
    assert yaml.load((SOURCE / "texts" / f"{part}.yaml").read_text(encoding="utf-8"), yaml.SafeLoader) == catalogue(
        part
    )


def test_every_sentence_that_the_code_names_exists():
    named = {
        match
        for path in SOURCE.rglob("*.py")
        for match in re.findall(rf'"((?:{"|".join(PARTS)})\.[a-z]\w*)"', path.read_text(encoding="utf-8"))
    }
    known = {f"{part}.{key}" for part in PARTS for key in catalogue(part)}
    modules = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py")}
    files = {name for name in named if name.endswith((".html", ".json", ".csv", ".xlsx", ".xml", ".css"))}
    assert named - modules - files <= known
    assert len(named) > 50


def test_an_error_speaks_both_languages_and_keeps_its_values():
    error = DataError("schema.unknown_table", report="the report", name="people", known="participants")
    assert error.message("sv").startswith("Tabellen people finns inte")
    assert "There is no table people" in str(error)
    assert "Tabellen people" in str(error)
    assert error.report == "the report"
    assert isinstance(error, BipstudyError)


def test_an_unknown_part_is_refused():
    with pytest.raises(KeyError):
        text("nowhere.nothing", "sv")


def test_the_language_comes_from_the_environment_and_is_swedish_otherwise(monkeypatch):
    monkeypatch.delenv("BIPSTUDY_LANGUAGE", raising=False)
    assert default_language() == "sv"
    monkeypatch.setenv("BIPSTUDY_LANGUAGE", "EN")
    assert default_language() == "en"
    monkeypatch.setenv("BIPSTUDY_LANGUAGE", "tlh")
    assert default_language() == "sv"
