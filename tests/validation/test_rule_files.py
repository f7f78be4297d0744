"""Rules in files and checks in code are the same set, and their texts are complete."""

from __future__ import annotations

import string

import pytest

from bipstudy import schema
from bipstudy.schema import folder, read_yaml
from bipstudy.texts import LANGUAGES, catalogue
from bipstudy.validation.rules import CHECKS
from bipstudy.validation.validate import validate  # noqa: F401 - registers every check

OURS = {
    rule["code"]
    for path in sorted((folder() / "rules").glob("*.yaml"))
    if path.stem != "loading"
    for rule in read_yaml(path)["rules"]
}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_rule_has_a_check_and_every_check_a_rule() -> None:
    assert set(CHECKS) == OURS


def test_every_rule_is_on_file_once() -> None:
    codes = [rule["code"] for path in (folder() / "rules").glob("*.yaml") for rule in read_yaml(path)["rules"]]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("code", sorted(OURS))
def test_texts_are_complete_in_both_languages(code: str) -> None:
    rule = schema.rules()[code]
    for part in (rule.title, rule.message, rule.cure, rule.example):
        assert set(part) == set(LANGUAGES)
        assert all(sentence.strip() for sentence in part.values())
        assert part["sv"] != part["en"]
    assert placeholders(rule.message["sv"]) == placeholders(rule.message["en"])
    assert placeholders(rule.cure["sv"]) == placeholders(rule.cure["en"])
    assert placeholders(rule.cure["sv"]) <= placeholders(rule.message["sv"]) | {"table_label", "column_label", "kind"}
    for sentence in (*rule.message.values(), *rule.cure.values()):
        assert sentence.endswith(".")
    for title in rule.title.values():
        assert not title.endswith(".")


@pytest.mark.parametrize("code", sorted(OURS))
def test_tables_and_severity_are_known(code: str) -> None:
    rule = schema.rules()[code]
    assert set(rule.tables) <= set(schema.TABLE_NAMES)
    assert rule.severity in schema.SEVERITIES


@pytest.mark.parametrize("part", ["validation", "template", "codebook"])
def test_sentences_are_complete_in_both_languages(part: str) -> None:
    for key, sentence in catalogue(part).items():
        assert set(sentence) == set(LANGUAGES), key
        assert placeholders(sentence["sv"]) == placeholders(sentence["en"]), key
