"""The methods of a study: long answers, summary, choice of participants, labelled files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from bipstudy import Study, schema
from bipstudy.texts import BipstudyError

_spec = importlib.util.spec_from_file_location("panel_tables", Path(__file__).parent / "panel" / "panel_studies.py")
assert _spec is not None
assert _spec.loader is not None
_tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tables)
make_study, big_study = _tables.make_study, _tables.big_study


@pytest.fixture
def study() -> Study:
    return make_study(
        organisations=[{"organisation_id": "a"}, {"organisation_id": "b"}],
        participants=[
            {"participant_id": "1", "age_group": "16-24", "mental_ill_health": True},
            {"participant_id": "1", "organisation_id": "b", "mental_ill_health": None, "left_on": "2021-03"},
        ],
        measurements=[
            {"answered_on": "2020-01-05", "job_search": 4, "cooperation": 2, "caseworker_id": None},
            {"respondent": "caseworker", "answered_on": "2020-01-06", "caseworker_id": "c", "caseworker_belief": 5},
            {"organisation_id": "b", "form_status": "not_reached"},
        ],
        missing_answers=[{"occasion": 1, "respondent": "participant", "item": "self_belief", "reason": "dont_know"}],
        outcomes=[{"start": "2020-05-01"}, {"organisation_id": "b", "start": "2020-06-01"}],
    )


def test_answers_hold_every_question_asked_on_an_answered_form(study: Study) -> None:
    answers = study.answers
    asked = schema.instrument()
    assert len(answers) == len(asked.asked_of("participant")) + len(asked.asked_of("caseworker"))
    mine = answers[answers["respondent"] == "participant"].set_index("item")
    assert mine.index.tolist() == asked.asked_of("participant")
    assert mine.loc["job_search", ["answer", "score"]].tolist() == [4, 75.0]
    assert pd.isna(mine.loc["self_belief", "answer"])
    assert mine.loc["self_belief", "missing_reason"] == "dont_know"
    assert mine["missing_reason"].notna().sum() == 1
    theirs = answers[answers["respondent"] == "caseworker"].set_index("item")
    assert theirs.loc["caseworker_belief", "score"] == 100
    assert set(theirs["caseworker_id"]) == {"c"}


def test_answers_of_a_study_without_forms_are_empty_with_the_same_columns(study: Study) -> None:
    empty = make_study().answers
    assert empty.empty
    assert list(empty.columns) == list(study.answers.columns)


def test_summary_adds_up(study: Study) -> None:
    summary = study.summary()
    assert summary["organisation_id"].tolist()[:2] == ["a", "b"]
    assert pd.isna(summary["organisation_id"].iloc[2])
    for column in ("participants", "caseworkers", "forms", "answered", "occasions", "activities", "outcomes"):
        assert summary[column].iloc[:2].sum() == summary[column].iloc[2]
    assert summary["answered"].tolist() == [2, 0, 2]
    assert summary["occasions"].tolist() == [1, 0, 1]


def test_where_keeps_what_belongs_to_the_participants(study: Study) -> None:
    young = study.where("age_group == '16-24'")
    assert young.participants["organisation_id"].tolist() == ["a"]
    assert len(young.measurements) == 2
    assert len(young.outcomes) == 1
    assert young.organisations["organisation_id"].tolist() == ["a"]
    assert young.release is None
    assert young.sent == study.sent
    for name in schema.TABLE_NAMES:
        assert dict(young.tables[name].dtypes) == dict(study.tables[name].dtypes)


def test_where_with_everybody_changes_nothing() -> None:
    study = big_study(50)
    assert study.where("sex == sex").hash == study.hash


def test_where_takes_an_unknown_answer_as_no(study: Study) -> None:
    assert study.where("mental_ill_health").participants["organisation_id"].tolist() == ["a"]


@pytest.mark.parametrize("query", ["age_group ==", "secret_name == 'Anna'", "months_since_work + 1", "1", ""])
def test_a_condition_that_is_none_is_refused_without_echoing_it(study: Study, query: str) -> None:
    with pytest.raises(BipstudyError) as raised:
        study.where(query)
    assert raised.value.code == "study.bad_query"
    assert "Anna" not in str(raised.value)


@pytest.mark.parametrize(("ending", "read"), [("dta", pyreadstat.read_dta), ("sav", pyreadstat.read_sav)])
@pytest.mark.parametrize("language", ["sv", "en"])
def test_labelled_files_come_back(study: Study, tmp_path: Path, ending: str, read: object, language: str) -> None:
    paths = getattr(study, f"to_{ending}")(tmp_path / "new", language=language)
    names = {path.stem for path in paths}
    assert names == {name for name in schema.TABLE_NAMES if len(study.tables[name])}
    for path in paths:
        frame, meta = read(str(path))  # type: ignore[operator]
        original = study.tables[path.stem]
        assert list(frame.columns) == list(original.columns)
        for column in schema.table(path.stem).columns:
            label = meta.column_names_to_labels[column.name]
            assert label == column.label[language]
            if column.codes is not None:
                labels = schema.code_list(column.codes).labels(language)
                back = frame[column.name].map(meta.variable_value_labels[column.name])
                assert back.dropna().tolist() == original[column.name].dropna().map(labels).tolist()
            if column.kind == "date":
                back = pd.to_datetime(frame[column.name]).astype("datetime64[s]")
                pd.testing.assert_series_equal(back, original[column.name], check_names=False)
    frame, _ = read(str(tmp_path / "new" / f"measurements.{ending}"))  # type: ignore[operator]
    assert np.nansum(frame["job_search"]) == 4


def test_labelled_files_know_two_languages(study: Study, tmp_path: Path) -> None:
    with pytest.raises(BipstudyError) as raised:
        study.to_dta(tmp_path, language="da")
    assert raised.value.code == "study.unknown_language"
