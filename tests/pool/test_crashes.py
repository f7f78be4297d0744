"""Killed at any moment, the pool holds the former state or the new; of two writers one waits or is told."""

import subprocess
import sys
from pathlib import Path

import kills
import pytest
from pool_data import Verdict, submission, tables, write

import bipstudy as bip
from bipstudy.pool import Pool
from bipstudy.texts import BipstudyError

PROGRAM = Path(__file__).with_name("add_in_loop.py")
KILLS = 5


def start(pool, *folders):
    """Start a program that adds folders to a pool, and wait until it is about to."""
    program = subprocess.Popen([sys.executable, PROGRAM, pool, *folders], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    return program


@pytest.mark.certify
@pytest.mark.parametrize("kill", [kills.kill_adds, kills.kill_erasures])
def test_a_writer_killed_at_random_moments(tmp_path, kill):
    # The whole check runs the same with many more.
    assert sum(kill(KILLS, 1, tmp_path).values()) == KILLS


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("rename", 0),
        ("fsync", 4),
        *(
            pytest.param(*each, marks=pytest.mark.certify)
            for each in (("replace", 0), ("replace", 1), ("fsync", 0), ("fsync", 7))
        ),
    ],
)
def test_stopped_at_each_step_of_writing(tmp_path, monkeypatch, step, after):
    import os

    pool = Pool(tmp_path / "pool")
    first = pool.add(submission(tmp_path / "a", tables()), Verdict())
    second = submission(tmp_path / "b", tables(people=5))
    calls = iter(range(1000))

    def stopping(original):
        def call(*arguments, **named):
            if next(calls) == after:
                raise KeyboardInterrupt
            return original(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        owner = Path if step == "rename" else os
        patched.setattr(owner, step, stopping(getattr(owner, step)))
        try:
            pool.add(second, Verdict())
            stopped = False
        except KeyboardInterrupt:
            stopped = True
    current = pool.list().query("current")["hash"].item()
    assert current == second.hash or (stopped and current == first.hash)
    pool.add(second, Verdict())
    pool.release()
    assert bip.load_study(pool.path).hash == second.hash
    assert not list(pool.path.rglob(".writing-*"))


def test_two_writers_both_come_through(tmp_path):
    groups = {
        code: [write(tmp_path / f"{code}{count}", tables(code, count)) for count in (1, 2, 3)] for code in ("A", "B")
    }
    programs = [start(tmp_path / "pool", *folders) for folders in groups.values()]
    for program in programs:
        assert program.communicate()[0] == "done\n"
        assert program.returncode == 0
    pool = Pool(tmp_path / "pool")
    listed = pool.list()
    assert listed["sequence"].tolist() == [1, 2, 3, 4, 5, 6]
    pool.release()
    expected = {name: [tables(code, 3)[name] for code in ("A", "B")] for name in tables()}
    study = bip.load_study(pool.path)
    assert len(study.participants) == sum(map(len, expected["participants"]))


def test_a_writer_that_waits_too_long_is_told(tmp_path):
    pool, other = Pool(tmp_path / "pool"), Pool(tmp_path / "pool", timeout=0.05)
    loaded = submission(tmp_path / "a", tables())
    with pool._journal.writing(1), pytest.raises(BipstudyError, match="Somebody else writes"):
        other.add(loaded, Verdict())
    assert other.add(loaded, Verdict()).hash == loaded.hash
