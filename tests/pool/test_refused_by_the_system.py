"""What may not be read or written is told as such; no command but add makes a pool; a reason says something."""

import os
from pathlib import Path

import pandas as pd
import pytest
from pool_data import Verdict, submission, tables, write
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy.cli import app
from bipstudy.pool import Pool, quality
from bipstudy.texts import BipstudyError, DataError

WHO = ("--organisation", "A", "--participant", "001")
WHY = ("--reason", "asked to")
WRITERS = {
    "release": (),
    "withdraw": (*WHO, *WHY),
    "leave": ("--organisation", "A", "--whole-organisation", *WHY),
    "erase": (*WHO, *WHY, "--yes"),
}
READERS = {"list": (), "diff": ("1", "2"), "quality": ("--organisation", "A")}


def refused(name, pool, *options):
    """Run a command on a pool that must be refused as wrong, and return what it says."""
    name = "withdraw" if name == "leave" else name
    out = ("--out", str(pool.parent / "page.html")) if name == "quality" else ()
    arguments = ["pool", name, str(pool), *map(str, options), *out, "--language", "en"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    return done.stderr


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def denied(*_, **__):
    raise PermissionError(13, "Permission denied")


@pytest.fixture
def pool(tmp_path):
    pool = Pool(tmp_path / "pool")
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    pool.release()
    pool.add(submission(tmp_path / "a2", tables(people=4)), Verdict())
    pool.release()
    return pool


@pytest.mark.parametrize("step", [(Path, "mkdir"), (os, "replace")], ids=["folder", "file"])
@pytest.mark.parametrize("command", [*WRITERS, "add"])
def test_a_pool_that_may_not_be_written(pool, tmp_path, monkeypatch, command, step):
    options = WRITERS.get(command, (write(tmp_path / "a3", tables(people=5)),))
    before = snapshot(pool.path)
    monkeypatch.setattr(*step, denied)
    said = refused(command, pool.path, *options)
    monkeypatch.undo()
    assert said.startswith(f"[pool.cannot_write] It is not possible to write in {pool.path}.")
    assert {path: content for path, content in snapshot(pool.path).items() if path in before} == before


@pytest.mark.parametrize("command", [*READERS, *WRITERS])
def test_a_log_that_may_not_be_read(pool, monkeypatch, command):
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: denied() if path.name == "log.jsonl" else read(path))
    said = refused(command, pool.path, *(READERS | WRITERS)[command])
    assert said.startswith(f"[pool.cannot_read] It is not possible to read {pool.path / 'log.jsonl'}.")


def test_tables_that_may_not_be_read_are_not_called_damaged(pool, monkeypatch):
    monkeypatch.setattr(pd, "read_parquet", denied)
    for read in (lambda: pool.diff(1, 2), lambda: quality(pool, "A"), lambda: bip.load_study(pool.path)):
        with pytest.raises(BipstudyError) as caught:
            read()
        assert (caught.value.code, isinstance(caught.value, DataError)) == ("pool.cannot_read", False)


@pytest.mark.parametrize("command", [*READERS, *WRITERS])
def test_a_path_without_a_pool_is_told_and_nothing_is_made(tmp_path, command):
    said = refused(command, tmp_path / "nowhere", *(READERS | WRITERS)[command])
    assert said.startswith(f"[pool.no_pool] There is no pool at {tmp_path / 'nowhere'}.")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", WRITERS)
def test_an_empty_folder_stays_empty(tmp_path, command):
    assert "[pool.empty]" in refused(command, tmp_path, *WRITERS[command])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reason", ["", " \t"])
@pytest.mark.parametrize("command", ["withdraw", "leave", "erase"])
def test_a_blank_reason_is_refused_before_anybody_is_asked(pool, command, reason):
    before = snapshot(pool.path)
    options = [option for option in WRITERS[command] if option not in (*WHY, "--yes")]
    assert refused(command, pool.path, *options, "--reason", reason).startswith("[pool.no_reason]")
    with pytest.raises(BipstudyError):
        pool.erase("A", "001", reason)
    assert snapshot(pool.path) == before
