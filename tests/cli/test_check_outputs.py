"""`check-outputs` on tables of one's own: exit codes, words in both languages, JSON, and refusals with a cure."""

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from bipstudy.cli import app

DESCRIPTION = """\
outputs:
  units.csv: {kind: groups, labels: [unit], counts: [n], parts: {events: n}, shares: {share: n}, title: Enheter}
  curve.csv: {kind: curve, time: month, at_risk: at_risk, estimate: share}
figures:
  curve.png: {from: curve.csv, draw: curve}
  units.png: {from: units.csv, draw: shares}
"""
UNITS = "unit,n,events,share\nA,120,40,0.33\nB,60,20,0.33\nC,90,31,0.34\n"
CURVE = "month,at_risk,share\n3,400,0.05\n6,350,0.06\n9,300,0.12\n"


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, ["check-outputs", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tabeller åäö"
    folder.mkdir()
    (folder / "outputs.yaml").write_text(DESCRIPTION, encoding="utf-8")
    (folder / "units.csv").write_text(UNITS, encoding="utf-8")
    (folder / "curve.csv").write_text(CURVE, encoding="utf-8")
    return folder


def test_a_folder_of_ones_own_leaves_with_figures_drawn_anew(folder, tmp_path):
    out = tmp_path / "ut"
    said = invoke(folder, "--out", out, "--language", "sv").stdout
    assert "4 av 5 filer får lämnas ut" in said
    leaves = {path.name for path in (out / "leaves").iterdir()}
    assert leaves == {"units.csv", "curve.csv", "curve.png", "units.png", "index.html", "record.json"}
    assert (out / "leaves" / "units.csv").read_text() == (
        "unit,n,events,share\nA,120,40,0.333333\nB,60,20,0.333333\nC,90,30,0.333333\n"
    )
    # Between the third and the sixth month too few had the event.
    assert (out / "leaves" / "curve.csv").read_text().splitlines()[2] == "6,..,.."
    assert (out / "leaves" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_held_back_ends_with_one_and_is_named(folder, tmp_path):
    (folder / "units.csv").write_text("unit,n,events,share\nA,12,4,0.33\nB,6,2,0.33\n", encoding="utf-8")
    (folder / "person.txt").write_text("x")
    told = invoke(folder, "--out", tmp_path / "ut", "-l", "en", code=1).stdout
    assert re.findall(r"Held back: (\S+)\. \w", told) == ["person.txt", "units.csv", "units.png"]
    told = json.loads(invoke(folder, "--out", tmp_path / "ut", "--json", code=1).stdout)
    assert told["ok"] is False
    held = {each["id"]: each["held_back_because"] for each in told["outputs"] if each["status"] == "fail"}
    assert held == {"person.txt": "unknown", "units.csv": "nothing_left", "units.png": "not_drawn"}
    assert not (tmp_path / "ut" / "leaves" / "units.csv").exists()


def test_words_wait_for_a_reviewer_whose_reason_is_kept_with_its_day(folder, tmp_path):
    described = DESCRIPTION.replace("figures:", "  note.md: {kind: text}\n  best.csv: {kind: ranking}\nfigures:")
    (folder / "outputs.yaml").write_text(described, encoding="utf-8")
    (folder / "note.md").write_text("Om metoden.", encoding="utf-8")
    (folder / "best.csv").write_text("caseworker,place\nH1,1\n", encoding="utf-8")
    told = invoke(folder, "--out", tmp_path / "a", "-l", "sv", code=1).stdout
    assert "Behöver läsas av en person" in told
    given = ["--reason", "note.md=Läst, inga uppgifter", "--reason", "best.csv=Vill ha", "--reviewer", "Granskaren"]
    code = invoke(folder, "--out", tmp_path / "b", *given, "--date", "2026-11-22", "--json", code=1).stdout
    outputs = {each["id"]: each for each in json.loads(code)["outputs"]}
    assert outputs["note.md"]["leaves"]
    assert outputs["note.md"]["reviews"] == [
        {"date": "2026-11-22", "reviewer": "Granskaren", "reason": "Läst, inga uppgifter"}
    ]
    # A ranking stays whatever is said of it.
    assert not outputs["best.csv"]["leaves"]
    assert (tmp_path / "b" / "leaves" / "note.md").read_text(encoding="utf-8") == "Om metoden."


def test_words_with_an_identity_number_stay_whatever_is_said_of_them(folder, tmp_path):
    described = DESCRIPTION.replace("figures:", "  note.md: {kind: text}\nfigures:")
    (folder / "outputs.yaml").write_text(described, encoding="utf-8")
    (folder / "note.md").write_text("Om 19121212-1212.", encoding="utf-8")
    given = ["--reason", "note.md=Läst", "--reviewer", "Granskaren"]
    told = invoke(folder, "--out", tmp_path / "b", *given, code=1)
    assert "note.md" in told.stdout
    assert not any(b"1212-1212" in path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())


def test_a_lower_threshold_needs_the_owner(folder, tmp_path):
    out = tmp_path / "ut"
    assert "[disclosure.no_owner]" in invoke(folder, "--out", out, "--threshold", 5, code=2).stderr
    assert "[report.low_threshold]" in invoke(folder, "--out", out, "--threshold", 2, "--owner", "x", code=2).stderr
    assert not out.exists()
    invoke(folder, "--out", out, "--threshold", 5, "--owner", "Förbundet, 2026-11-02")
    assert json.loads((out / "record" / "record.json").read_text(encoding="utf-8"))["rules"]["threshold"] == 5


def test_what_left_before_is_compared(folder, tmp_path):
    earlier = tmp_path / "förra"
    earlier.mkdir()
    for path in folder.iterdir():
        (earlier / path.name).write_bytes(path.read_bytes())
    told = invoke(folder, "--out", tmp_path / "ut", "--earlier", earlier, "--json").stdout
    assert json.loads(told)["compared_with_earlier"] == ["curve.csv", "units.csv"]
    (earlier / "units.csv").write_text(UNITS.replace("A,120", "A,121"), encoding="utf-8")
    invoke(folder, "--out", tmp_path / "ut", "--earlier", earlier)
    assert "A,..,..,.." in (tmp_path / "ut" / "leaves" / "units.csv").read_text()
    assert (
        "[disclosure.no_folder]"
        in invoke(folder, "--out", tmp_path / "x", "--earlier", tmp_path / "gone", code=2).stderr
    )


def test_swedish_excel_is_read(folder, tmp_path):
    swedish = CURVE.replace(",", ";").replace("0.", "0,")
    (folder / "curve.csv").write_bytes(b"\xef\xbb\xbf" + swedish.replace("\n", "\r\n").encode())
    invoke(folder, "--out", tmp_path / "ut")
    rows = pd.read_csv(tmp_path / "ut" / "leaves" / "curve.csv", na_values="..")
    assert rows["at_risk"].tolist()[0] == 400


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("outputs.yaml", "outputs: [", "bad_file", "outputs.yaml"),
        ("outputs.yaml", "- a\n", "bad_file", "outputs.yaml"),
        ("outputs.yaml", "outputs:\n  units.csv: groups\n  curve.csv: {kind: text}\n", "no_description", "units.csv"),
        ("outputs.yaml", "outputs:\n  gone.csv: {kind: text}\n", "no_file", "gone.csv"),
        ("outputs.yaml", DESCRIPTION.replace("groups", "group"), "unknown_kind", "frequency"),
        ("outputs.yaml", DESCRIPTION.replace("draw: curve", "draw: pie"), "bad_role", "figures"),
        ("units.csv", UNITS.replace("events", "händelser"), "no_column", "events"),
        ("units.csv", "", "bad_table", "units.csv"),
        ("units.csv", "\xff\xfe".encode("latin-1"), "bad_table", "units.csv"),
        ("units.csv", "unit,n,events\nA,1\nB,1,2,3,4,5\n", "bad_table", "units.csv"),
    ],
)
def test_what_is_wrong_is_said_with_a_cure_and_nothing_is_written(folder, tmp_path, name, content, code, says):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for language in ("sv", "en"):
        told = invoke(folder, "--out", tmp_path / "ut", "-l", language, code=2).stderr
        assert f"[disclosure.{code}]" in told
        assert says in told
    assert not (tmp_path / "ut").exists()


def test_other_folders_are_left_alone(folder, tmp_path):
    assert "[disclosure.no_folder]" in invoke(tmp_path / "gone", "--out", tmp_path / "ut", code=2).stderr
    (tmp_path / "empty").mkdir()
    assert "[disclosure.not_described]" in invoke(tmp_path / "empty", "--out", tmp_path / "ut", code=2).stderr
    assert "[disclosure.inside]" in invoke(folder, "--out", folder / "ut", code=2).stderr
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    assert "[disclosure.other_folder]" in invoke(folder, "--out", taken, code=2).stderr
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]
    for wrong, code in (("note.md", "bad_reason"), ("units.csv=Read", "no_reviewer")):
        assert f"[disclosure.{code}]" in invoke(folder, "--out", tmp_path / "ut", "--reason", wrong, code=2).stderr
    said = ["--reason", "units.csv=Read", "--reviewer", "x", "--date", "22/11"]
    assert "[disclosure.bad_date]" in invoke(folder, "--out", tmp_path / "ut", *said, code=2).stderr
    assert not (tmp_path / "ut").exists()
