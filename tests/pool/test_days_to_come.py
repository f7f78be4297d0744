"""No extract is of a day still to come: one such date among the rows, or on the command line, moves nothing."""

import datetime as dt

import pandas as pd
import pytest
from pool_data import submission, tables, write
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy.cli import app
from bipstudy.loaders import clock
from bipstudy.pool import Pool
from bipstudy.texts import BipstudyError, DataError

TODAY = dt.date(2026, 11, 23)


@pytest.fixture(autouse=True)
def _on_a_known_day(monkeypatch):
    monkeypatch.setattr(clock, "today", lambda: TODAY)


def ending(*days):
    """Return tables whose participants are followed until some days, one each."""
    frames = tables(people=len(days))
    return frames | {"participants": frames["participants"].assign(observed_until=pd.to_datetime(list(days)))}


def late(report):
    """Return the rows that are told as after the extract; no other error is."""
    errors = report.findings.query("severity == 'error'")
    assert set(errors["code"]) <= {"date-after-extraction"}
    return errors[["column", "row"]].to_numpy().tolist()


def test_one_day_to_come_does_not_move_the_extract(tmp_path):
    loaded = submission(tmp_path / "a", ending("2024-12-31", "2027-12-31", "2024-11-30"))
    assert loaded.extracted_on == dt.date(2024, 12, 31)
    report = bip.validate(loaded)
    assert not report.ok
    assert late(report) == [["observed_until", 3]]
    with pytest.raises(DataError):
        Pool(tmp_path / "pool").add(loaded)


def test_where_every_follow_up_ends_ahead_the_extract_is_of_today(tmp_path):
    loaded = submission(tmp_path / "a", ending("2027-12-31", "2027-12-31"))
    assert loaded.extracted_on == clock.today()
    assert late(bip.validate(loaded)) == [["observed_until", 2], ["observed_until", 3]]


def test_where_every_date_is_ahead_all_are_told(tmp_path):
    frames = tables(people=1)
    for name, columns in (
        ("participants", ["entered_on", "observed_until"]),
        ("measurements", ["answered_on"]),
        ("assignments", ["start"]),
    ):
        frames[name] = frames[name].assign(**dict.fromkeys(columns, pd.Timestamp("2031-01-10")))
    loaded = submission(tmp_path / "a", frames)
    assert loaded.extracted_on == TODAY
    assert len(late(bip.validate(loaded))) == 5


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-24"])
def test_today_has_been_and_elsewhere_so_has_tomorrow(tmp_path, day):
    loaded = submission(tmp_path / "a", ending("2024-12-31", day))
    assert loaded.extracted_on == dt.date.fromisoformat(day)
    assert bip.validate(loaded).ok
    assert bip.load_submission(tmp_path / "a", extracted_on=day).extracted_on == dt.date.fromisoformat(day)


@pytest.mark.parametrize("day", ["2099-12-31", "2026-11-25", dt.date(2026, 11, 25), pd.Timestamp("2026-11-25")])
def test_a_day_to_come_is_refused_where_it_is_said(tmp_path, day):
    folder = write(tmp_path / "a", tables())
    with pytest.raises(BipstudyError) as caught:
        bip.load_submission(folder, extracted_on=day)
    assert (caught.value.code, isinstance(caught.value, DataError)) == ("loaders.date_to_come", False)


@pytest.mark.parametrize("command", ["validate", "pool add"])
def test_the_commands_refuse_it_too_and_store_nothing(tmp_path, command):
    folder = write(tmp_path / "a", tables())
    pool = [str(tmp_path / "pool")] if command == "pool add" else []
    done = CliRunner().invoke(app, [*command.split(), *pool, str(folder), "--extracted-on", "2099-12-31", "-l", "en"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "[loaders.date_to_come] The extraction date 2099-12-31 is still to come." in done.stderr
    assert not (tmp_path / "pool").exists()
