"""Thresholds of a study or an organisation, and findings that are accepted with a dated reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from small_study import ORGANISATION, study, tables

import bipstudy as bip
from bipstudy.texts import BipstudyError
from bipstudy.validation import Accepted, read_exceptions, read_thresholds


def broken() -> bip.Study:
    """Return the small study with two activities that end before they start."""
    frames = tables()
    frames["activities"].loc[1, "end"] = pd.Timestamp("2024-02-01")
    frames["activities"].loc[2, "end"] = pd.Timestamp("2024-01-15")
    return study(frames)


def written(folder: Path, *entries: str) -> Path:
    path = folder / "undantag.yaml"
    path.write_text("# våra undantag\nexceptions:\n" + "".join(entries), encoding="utf-8")
    return path


ENTRY = "  - rule: end-before-start\n    reason: Så står det i källan.\n    date: 2024-12-01\n"


def statuses(report: bip.validation.Report) -> list[tuple[int, str]]:
    return sorted(zip(report.findings["row"].tolist(), report.findings["status"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("", {3, 4}),
        ("    row: 3\n", {3}),
        ("    table: outcomes\n", set()),
        ("    table: activities\n    column: end\n", {3, 4}),
        ('    key: {participant_id: "102", activity_id: "1"}\n', {4}),
        # Any column of the table will do.
        ("    key: {participant_id: 102, end: 2024-01-15}\n", {4}),
        (f"    organisation: {ORGANISATION}\n", {3, 4}),
        ("    organisation: another\n", set()),
    ],
)
def test_an_exception_covers_what_it_names(tmp_path: Path, where: str, rows: set[int]) -> None:
    report = bip.validate(broken(), language="sv", exceptions=written(tmp_path, ENTRY + where))
    assert statuses(report) == [(row, "excepted" if row in rows else "invalid") for row in (3, 4)]
    assert report.ok == (len(rows) == 2)
    counts = report.counts()
    assert counts["error"] == 2 - len(rows)
    assert counts.get("excepted", 0) == len(rows)
    for message in report.findings["message"][report.findings["status"] == "excepted"]:
        assert message.endswith("Undantag sedan 2024-12-01: Så står det i källan.")
    # They stay in every form of the report, and its sums add up.
    assert ("Så står det i källan." in report.to_html()) == bool(rows)
    assert ('"excepted"' in report.to_json()) == bool(rows)
    assert ("Undantag" in report.summary()) == bool(rows)


def test_an_exception_that_has_run_out_covers_nothing() -> None:
    class Submission:
        tables = broken().tables
        sent = broken().sent
        extracted_on = "2024-12-31"

    for until, status in ((dt.date(2024, 12, 30), "invalid"), (dt.date(2024, 12, 31), "excepted")):
        accepted = Accepted("end-before-start", "Som i källan.", dt.date(2024, 12, 1), until)
        assert {each for _, each in statuses(bip.validate(Submission(), exceptions=[accepted]))} == {status}
    # Without an extraction date nobody can say that it still holds.
    assert {each for _, each in statuses(bip.validate(broken(), exceptions=[accepted]))} == {"invalid"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("  - rule: end-before-start\n    date: 2024-12-01\n", "rad 6: undantaget saknar skäl"),
        ("  - rule: end-before-start\n    reason: x\n", "rad 6: undantaget saknar datum"),
        ("  - rule: end-before-start\n    reason: x\n    date: i går\n", "rad 8: i går är ingen dag"),
        ("  - rule: end-befor-start\n    reason: x\n    date: 2024-12-01\n", "rad 6: regeln end-befor-start"),
        (ENTRY + "    rows: 3\n", "rad 9: rows är inte känt"),
        (ENTRY + "    row: tre\n", "rad 9: platsen kan inte läsas"),
        (
            ENTRY + "    key: {participant: 102}\n",
            "rad 9: kolumnen participant finns inte. Rader pekas ut med organisation",
        ),
        (ENTRY + "    key:\n      participant_id: 102\n      activity: 1\n", "rad 11: kolumnen activity finns inte"),
        (
            ENTRY + "    table: outcomes\n    key: {activity_id: 1}\n",
            "rad 10: kolumnen activity_id finns inte. Rader pekas ut med organisation_id, participant_id, outcome_id, "
            "eller",
        ),
        ("  - bara en mening\n", "rad 6: här ska stå rule, reason, date"),
        ("  - rule: duplicate-key\n    reason: x\n    date: 2024-12-01\n", "rad 6: från regeln duplicate-key"),
        ("  - rule: personal-identity-number\n    reason: x\n    date: 2024-12-01\n", "görs inga undantag"),
        ("  - rule: [\n", "rad 7: filen kan inte läsas"),
    ],
)
def test_a_wrong_exception_is_refused_with_its_line(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(BipstudyError) as refused:
        bip.validate(broken(), exceptions=written(tmp_path, ENTRY, entry))
    assert said in refused.value.message("sv")


def test_a_file_that_is_not_there_or_holds_something_else(tmp_path: Path) -> None:
    with pytest.raises(BipstudyError):
        read_exceptions(tmp_path / "nothing.yaml")
    other = tmp_path / "other.yaml"
    other.write_text("undantag: []\n", encoding="utf-8")
    with pytest.raises(BipstudyError):
        read_exceptions(other)
    other.write_text("exceptions: []\n", encoding="utf-8")
    assert read_exceptions(other) == ()


def test_thresholds_of_the_study_and_of_the_organisation(tmp_path: Path) -> None:
    frames = tables()
    frames["measurements"].loc[3, "answered_on"] = pd.Timestamp("2024-06-30")
    assert bip.validate(study(frames)).findings["code"].tolist() == ["forms-far-apart"]
    path = tmp_path / "limits.yaml"
    for content, found in (
        ("rules: {forms-far-apart: {longest_days: 46}}", 0),
        (f"organisations: {{{ORGANISATION}: {{forms-far-apart: {{longest_days: 46}}}}}}", 0),
        ("organisations: {another: {forms-far-apart: {longest_days: 46}}}", 1),
        (
            "rules: {forms-far-apart: {longest_days: 46}}\n"
            f"organisations: {{{ORGANISATION}: {{forms-far-apart: {{longest_days: 30}}}}}}",
            1,
        ),
    ):
        path.write_text(content, encoding="utf-8")
        report = bip.validate(study(frames), thresholds=path, language="sv")
        assert len(report.findings) == found
    assert "mer än 30 dagars" in report.findings["message"].iloc[0]


@pytest.mark.parametrize(
    "content",
    [
        {"rules": {"forms-far-appart": {"longest_days": 46}}},
        {"rules": {"forms-far-apart": {"shortest_days": 46}}},
        {"rules": {"forms-far-apart": {"longest_days": "long"}}},
        {"rules": {"personal-identity-number": {"column_share": 1.0}}},
        {"organisations": {"x": {"nothing": {}}}},
        {"forms-far-apart": {"longest_days": 46}},
    ],
)
def test_wrong_thresholds_are_refused(content: dict[str, object]) -> None:
    with pytest.raises(BipstudyError):
        read_thresholds(content, ["x"])


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (
            "rules:\n  forms-far-apart: {longest_days: 46}\n  forms-far-appart: {longest_days: 46}\n",
            3,
            "forms-far-appart",
        ),
        ("rules:\n  forms-far-apart:\n    shortest_days: 46\n", 3, "longest_days"),
        ("rules:\n  forms-far-apart:\n    longest_days: lång\n", 3, "longest_days"),
        ("rules:\n  forms-far-apart: 46\n", 2, "longest_days"),
        ("rules:\n  - forms-far-apart\n", 1, "rules"),
        ("# våra\nregler: {}\n", 2, "rules, organisations"),
        ("organisations:\n  O1:\n    forms-far-apart: {longest_days: 46}\n    nothing: {}\n", 4, "nothing"),
        ("organisations:\n  O1: 3\n", 2, "rules"),
        ("organisations:\n  O1:\n    personal-identity-number: {column_share: 1.0}\n", 3, "-"),
        ("rules: &a\n  b: *a\n", 2, "b"),
        ("rules: [\n", 2, "YAML"),
        ("", 1, "rules, organisations"),
    ],
)
def test_wrong_thresholds_are_refused_with_their_line(tmp_path: Path, content: str, line: int, said: str) -> None:
    path = tmp_path / "gränser.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BipstudyError) as refused:
        read_thresholds(path, ["O1"])
    for language, word in (("sv", "rad"), ("en", "line")):
        told = refused.value.message(language)
        assert told.startswith(f"gränser.yaml, {word} {line}: ")
        assert said in told


def test_what_came_from_no_file_has_no_line() -> None:
    with pytest.raises(BipstudyError) as refused:
        read_thresholds({"rules": {"nothing": {}}}, ["x"])
    assert refused.value.message("sv").startswith("thresholds: regeln nothing finns inte")
