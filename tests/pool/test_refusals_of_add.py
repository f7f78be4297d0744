"""What is refused is told whole: every row of who was erased, as a sentence and as JSON, and the report where asked."""

import json
import re

import pandas as pd
import pytest
from pool_data import submission, tables, write
from typer.testing import CliRunner

from bipstudy.cli import app
from bipstudy.pool import Pool
from bipstudy.texts import DataError

OCCASIONS = 6


def many():
    """Return tables in which everybody has 14 rows."""
    frames = tables(people=4)
    forms = [
        frames["measurements"].assign(occasion=number, answered_on=pd.Timestamp(2024, number + 1, 1))
        for number in range(1, OCCASIONS + 1)
    ]
    return frames | {"measurements": pd.concat(forms, ignore_index=True)}


@pytest.fixture
def pool(tmp_path):
    """Return a pool from which participant 001 was erased."""
    pool = Pool(tmp_path / "pool")
    pool.add(submission(tmp_path / "a", many()))
    pool.erase("A", "001", reason="asked to")
    return pool


def of_person(frames):
    """Return file and row of everything about participant 001."""
    return [
        {"file": f"{name}.csv", "sheet": None, "row": row + 2}
        for name, frame in sorted(frames.items())
        if "participant_id" in frame
        for row in frame.index[frame["participant_id"] == "001"]
    ]


def test_every_row_is_told(pool, tmp_path):
    again = submission(tmp_path / "a2", many())
    with pytest.raises(DataError) as caught:
        pool.add(again)
    message = caught.value.message("sv")
    assert "Antal rader: 14" in message
    told = re.search(r"\(fil, blad och rader: (.*?)\)", message)[1]
    assert told == "assignments.csv: 3; measurements.csv: 4–5, 12–13, 20–21, 28–29, 36–37, 44–45; participants.csv: 3"
    assert "..." not in message


def test_a_refusal_is_json_where_json_is_asked_for(pool, tmp_path):
    folder = write(tmp_path / "a2", many())
    given = ["pool", "add", str(pool.path), str(folder), "--language", "en", "--json"]
    done = CliRunner().invoke(app, given)
    assert (done.exit_code, done.stderr.startswith("[pool.holds_erased]")) == (1, True)
    told = json.loads(done.stdout)
    assert (told["ok"], told["code"], told["count"]) == (False, "pool.holds_erased", 14)
    assert told["rows"] == of_person(many())
    assert told["message"] in done.stderr
    # So is the refusal of an older extract.
    frames = many()
    frames = {n: f[f["participant_id"] != "001"] if "participant_id" in f else f for n, f in frames.items()}
    pool.add(submission(tmp_path / "a3", frames))
    older = frames | {"participants": frames["participants"].assign(observed_until=pd.Timestamp("2024-12-30"))}
    folder = write(tmp_path / "a4", older)
    told = json.loads(CliRunner().invoke(app, [*given[:3], str(folder), *given[4:]]).stdout)
    assert (told["ok"], told["code"]) == (False, "pool.older_extract")
    assert (told["organisation"], told["given"], told["held"]) == ("A", "2024-12-30", "2024-12-31")


@pytest.mark.parametrize("fine", [True, False])
def test_the_report_is_written_where_add_is_asked_for_it(tmp_path, fine):
    frames = tables()
    if not fine:
        frames["measurements"] = frames["measurements"].assign(job_search=77)
    folder = write(tmp_path / "a", frames)
    page, book = tmp_path / "r.html", tmp_path / "r.xlsx"
    given = ["pool", "add", str(tmp_path / "pool"), str(folder), "-l", "en"]
    done = CliRunner().invoke(app, [*given, "--html", str(page), "--xlsx", str(book)])
    assert done.exit_code == (0 if fine else 1), done.output
    assert str(page) in done.stdout
    assert ("needs mending" in page.read_text("utf-8")) is not fine
    assert book.stat().st_size
    assert (tmp_path / "pool").exists() is fine
    wrong = CliRunner().invoke(app, [*given, "--html", str(tmp_path / "r.pdf")])
    assert (wrong.exit_code, "[cli.bad_suffix]" in wrong.stderr) == (2, True)
