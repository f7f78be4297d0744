"""Files of thresholds and exceptions: what is written is what is meant, and what is not used is told."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from small_study import ORGANISATION, study, tables
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.loaders import clock
from bipstudy.texts import BipstudyError
from bipstudy.validation import read_exceptions, read_thresholds

MUNICIPALITY = "0114"
ENTRY = "  - rule: {rule}\n    reason: Så står det i källan.\n    date: 2024-12-01\n{rest}"
LIMITS = "organisations:\n  {name}:\n    forms-far-apart: {{longest_days: 46}}\n"


def of(organisation: str) -> dict[str, pd.DataFrame]:
    """Return the small tables, of an organisation, with one activity that ends too early and two forms far apart."""
    frames = tables()
    frames["activities"].loc[1, "end"] = pd.Timestamp("2024-02-01")
    frames["measurements"].loc[3, "answered_on"] = pd.Timestamp("2024-06-30")
    return {
        name: schema.conform(name, frame.assign(organisation_id=organisation), sort=False)
        for name, frame in frames.items()
    }


def own(folder: Path, content: str, name: str = "egen.yaml") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def excepting(folder: Path, rest: str = "", rule: str = "end-before-start") -> Path:
    return own(folder, "exceptions:\n" + ENTRY.format(rule=rule, rest=rest))


def statuses(report: bip.validation.Report) -> dict[str, str]:
    return dict(report.findings[["code", "status"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("written", [MUNICIPALITY, f'"{MUNICIPALITY}"'])
def test_the_code_of_a_municipality_is_what_is_written(tmp_path: Path, written: str) -> None:
    found = bip.validate(study(of(MUNICIPALITY)), exceptions=excepting(tmp_path, f"    organisation: {written}\n"))
    assert statuses(found) == {"end-before-start": "excepted", "forms-far-apart": "invalid"}
    assert found.remarks == ()
    found = bip.validate(study(of(MUNICIPALITY)), thresholds=own(tmp_path, LIMITS.format(name=written)))
    assert statuses(found) == {"end-before-start": "invalid"}
    assert found.remarks == ()
    mapping = own(tmp_path, f"organisation: {written}\n")
    assert bip.loaders.read_mapping(mapping).organisation == MUNICIPALITY


@pytest.mark.parametrize(
    ("rest", "covers"),
    [
        ("    key: {participant_id: 102, activity_id: 1}\n", False),
        ("    key: {participant_id: 101, activity_id: 2}\n", True),
        ("    key: {start: 2024-02-10, participant_id: 101}\n", True),
        ("    row: 3\n", True),
    ],
)
def test_a_key_is_compared_as_it_is_written(tmp_path: Path, rest: str, covers: bool) -> None:
    frames = of(ORGANISATION)
    frames["activities"].loc[1, ["participant_id", "activity_id", "start"]] = ["101", "2", pd.Timestamp("2024-02-10")]
    found = bip.validate(study(frames), exceptions=excepting(tmp_path, rest))
    assert (statuses(found)["end-before-start"] == "excepted") is covers
    assert len(found.remarks) == (0 if covers else 1)


UNUSED = [
    ("    organisation: annan\n", "Det gäller annan, och leveransen är från forbund-a."),
    ("    table: outcomes\n", "ingen anmärkning finns på den platsen"),
    ('    key: {participant_id: "999"}\n', "ingen anmärkning finns på den platsen"),
    ("    key: {outcome_id: 102}\n", "ingen anmärkning finns på den platsen"),
    ("    column: slut\n", "ingen anmärkning finns på den platsen"),
    ("    until: 2024-12-30\n", "Det gäller uttag till och med 2024-12-30."),
]


@pytest.mark.parametrize(("rest", "said"), UNUSED)
def test_an_exception_that_is_not_used_is_told_everywhere(tmp_path: Path, rest: str, said: str) -> None:
    report = bip.validate(study(of(ORGANISATION)), language="sv", exceptions=excepting(tmp_path, rest))
    (remark,) = [each.message("sv") for each in report.remarks]
    assert remark.startswith("egen.yaml, rad 2: undantaget från end-before-start används inte")
    assert said in remark
    assert json.loads(report.to_json())["remarks"] == [remark]
    assert remark in report.summary()
    assert remark in report.to_html()
    sheet = openpyxl.load_workbook(report.to_excel(tmp_path / "r.xlsx")).worksheets[0]
    assert remark in {cell.value for row in sheet.iter_rows() for cell in row}
    assert report.in_language("en").remarks[0].message("en").startswith("egen.yaml, line 2: the exception from")


def test_thresholds_that_are_not_used_are_told(tmp_path: Path) -> None:
    path = own(tmp_path, LIMITS.format(name="annan"))
    (remark,) = bip.validate(study(of(ORGANISATION)), thresholds=path).remarks
    assert remark.message("sv") == (
        "egen.yaml, rad 2: gränsvärdena för annan används inte. Leveransen är från forbund-a."
    )
    both = {name: pd.concat([of("A")[name], of("B")[name]], ignore_index=True) for name in tables()}
    (remark,) = bip.validate(study(both), thresholds=own(tmp_path, LIMITS.format(name="B"))).remarks
    assert "från flera organisationer: A, B." in remark.message("sv")


def test_the_command_says_so_and_the_verdict_is_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, frame in tables().items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    given = ["validate", str(folder), "--thresholds", str(own(tmp_path, LIMITS.format(name="annan"))), "-l", "en"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "egen.yaml, line 2: the thresholds of annan are not used." in done.stdout


WRONG = [
    ("    until: 2016-13-01\n", 5, "2016-13-01 är ingen dag. Skriv until"),
    ("    until: [2024-01-01]\n", 5, "until ska ha ett enda värde"),
    ("    table: [activities]\n", 5, "table ska ha ett enda värde"),
    ("    key: {participant_id: [1]}\n", 5, "participant_id ska ha ett enda värde"),
    ("    organisation: {a: b}\n", 5, "organisation ska ha ett enda värde"),
    ("    reason: igen\n", 5, "reason står två gånger"),
    ("    row: -1\n", 5, "platsen kan inte läsas"),
]


@pytest.mark.parametrize(("rest", "line", "said"), WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, rest: str, line: int, said: str) -> None:
    with pytest.raises(BipstudyError) as refused:
        read_exceptions(excepting(tmp_path, rest))
    assert refused.value.message("sv").startswith(f"egen.yaml, rad {line}: ")
    assert said in refused.value.message("sv")


def test_a_rule_is_one_word(tmp_path: Path) -> None:
    with pytest.raises(BipstudyError) as refused:
        read_exceptions(excepting(tmp_path, rule="[end-before-start]"))
    assert refused.value.message("sv") == "egen.yaml, rad 2: rule ska ha ett enda värde, inte flera."


def test_a_decision_is_not_of_a_day_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "today", lambda: dt.date(2024, 11, 30))
    assert read_exceptions(excepting(tmp_path))[0].date == dt.date(2024, 12, 1)
    assert read_exceptions(excepting(tmp_path, "    until: 2031-01-01\n"))[0].until == dt.date(2031, 1, 1)
    monkeypatch.setattr(clock, "today", lambda: dt.date(2024, 11, 29))
    with pytest.raises(BipstudyError) as refused:
        read_exceptions(excepting(tmp_path))
    assert refused.value.message("sv").startswith("egen.yaml, rad 4: beslutets dag 2024-12-01 har inte varit än.")


@pytest.mark.parametrize(
    "number", [".nan", ".inf", "-.inf", "nan", "inf", "1e999", "[46]", "true", "46 dagar", "4_6", "~"]
)
def test_a_threshold_is_a_finite_number(tmp_path: Path, number: str) -> None:
    path = own(tmp_path, f"rules:\n  forms-far-apart:\n    longest_days: {number}\n")
    with pytest.raises(BipstudyError) as refused:
        read_thresholds(path, ["A"])
    assert refused.value.message("en").startswith("egen.yaml, line 3: the rule forms-far-apart does not have")


@pytest.mark.parametrize("number", ["46", "46.0", "+46", "4.6e1", '"46"'])
def test_a_number_may_be_written_in_several_ways(tmp_path: Path, number: str) -> None:
    path = own(tmp_path, f"rules:\n  forms-far-apart:\n    longest_days: {number}\n")
    assert read_thresholds(path, ["A"])["forms-far-apart"]["longest_days"] == 46
    for given in (float("nan"), float("inf"), True, None):
        with pytest.raises(BipstudyError):
            read_thresholds({"rules": {"forms-far-apart": {"longest_days": given}}}, ["A"])


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = excepting(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(BipstudyError) as refused:
        read_exceptions(path)
    assert refused.value.code == "validation.own_file_closed"
