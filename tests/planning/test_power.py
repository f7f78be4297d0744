"""Power by simulation: counted right, the same however it is spread, and gone on with after an interruption."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bipstudy.planning import power
from bipstudy.planning import power as public_power
from bipstudy.planning.power import _precise, _shares, monte_carlo_error
from bipstudy.planning.questions import question
from bipstudy.planning.replicates import Point, Store, Task, replicate_points, run
from bipstudy.planning.sizes import Size
from bipstudy.simulation import scenario
from bipstudy.texts import BipstudyError

SMALL: dict[str, Any] = {"caseworkers": 20, "participants_per_caseworker": 10, "replicates": 12, "effects": "danish"}


@pytest.fixture(scope="module")
def alone() -> pd.DataFrame:
    return power("continuity", **SMALL).table


def test_shares_are_counted_on_the_danish_side() -> None:
    asked = question("continuity")
    danish = math.log(0.78)
    found = pd.DataFrame(
        {
            "estimate": [-0.3, 0.3, 0.0, np.nan, -0.1],
            "low": [-0.5, 0.1, -0.1, np.nan, -0.2],
            "high": [-0.1, 0.5, 0.1, np.nan, -0.01],
            "truth": danish,
        }
    )
    shares = _shares(found, asked)
    assert shares["power"] == pytest.approx(2 / 5)
    assert shares["conclusive"] == pytest.approx(3 / 5)
    # log 0.78 = -0.248 lies in the first interval only; a study without an estimate excludes nothing.
    assert shares["excludes_danish"] == pytest.approx(3 / 5)


def test_the_danish_values_are_the_published_ones() -> None:
    assert question("belief").danish == pytest.approx(1.33)
    assert question("continuity").danish == pytest.approx(0.78)


def test_the_table_counts_what_the_replicates_say(alone: pd.DataFrame) -> None:
    row = alone.iloc[0]
    size = Size(6, 20, 10.0)
    point = Point(
        "continuity", "danish", 0.78, size, question("continuity").apply(size.scenario(scenario("swedish_pilot")), 0.78)
    )
    replies = np.array(run(Task(point, 0, 12, 1)))
    low, high = replies[:, 1], replies[:, 2]
    assert row["replicates"] == 12
    assert row["power"] == pytest.approx(np.mean(high < 0))
    assert row["width"] == pytest.approx(np.exp(np.nanmedian(high - low)))
    assert row["mean"] == pytest.approx(np.exp(np.nanmean(replies[:, 0])))
    middle = np.nanmean(replies[:, 0])
    assert row["coverage_mean"] == pytest.approx(((low <= middle) & (middle <= high))[~np.isnan(low)].mean())
    assert row["true"] == pytest.approx(np.exp(replies[:, 3].mean()))


@pytest.mark.certify
def test_processes_and_further_points_do_not_change_a_number(alone: pd.DataFrame) -> None:
    both = power("continuity", **SMALL | {"effects": ("none", "danish")}, n_jobs=2).table
    pd.testing.assert_frame_equal(both[both["effect"] == "danish"].reset_index(drop=True), alone)


def test_an_interrupted_plan_goes_on_where_it_was(tmp_path: Path, alone: pd.DataFrame) -> None:
    class Stop(Exception):
        pass

    def interrupt(done: int, planned: int) -> None:
        if done >= 10:
            raise Stop

    folder = tmp_path / "plan"
    with pytest.raises(Stop):
        power("continuity", **SMALL, out=folder, progress=interrupt)
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / "replicates").iterdir()}
    assert len(kept) == 2
    result = power("continuity", **SMALL, out=folder)
    pd.testing.assert_frame_equal(result.table, alone)
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in (folder / "replicates").iterdir()}.items()
    assert {path.name for path in folder.iterdir()} == {
        "plan.json",
        "power.csv",
        "power.html",
        "power.json",
        "replicates",
    }
    assert json.loads((folder / "power.json").read_text())["rows"][0]["replicates"] == 12


def test_another_plan_does_not_write_into_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    facts = {"question": "belief", "scenario_hash": "a", "seed": 1}
    Store(folder, facts)
    Store(folder, facts)
    for other in ({"question": "continuity"}, {"scenario_hash": "b"}, {"seed": 2}):
        with pytest.raises(BipstudyError) as caught:
            Store(folder, facts | other)
        assert caught.value.code == "planning.other_plan"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(BipstudyError) as caught:
        Store(tmp_path / "mine", facts)
    assert caught.value.code == "planning.folder_not_empty"


def test_it_stops_after_a_whole_batch_in_replicate_order() -> None:
    size = Size(6, 20, 10.0)
    point = Point("continuity", "danish", 0.78, size, size.scenario(scenario("swedish_pilot")))
    asked: list[int] = []

    def enough(found: pd.DataFrame) -> bool:
        asked.append(len(found))
        return len(found) >= 4

    (found,) = replicate_points(
        [point], Store(None, {}), most=7, batch=2, seed=1, n_jobs=1, scheduler=None, enough=enough
    )
    assert asked == [2, 4]
    assert len(found) == 4


def test_the_monte_carlo_error_is_never_zero() -> None:
    assert 0 < monte_carlo_error(1.0, 100) < 0.02
    assert monte_carlo_error(0.5, 100) == pytest.approx(0.05)
    sure = pd.DataFrame({"estimate": -0.3, "low": -0.4, "high": -0.2, "truth": -0.3}, index=range(100))
    assert _precise(sure, question("continuity"), 0.02)
    assert not _precise(sure, question("continuity"), 0.005)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("wages",), "planning.unknown_question"),
        (("belief",), "planning.unknown_effect"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments: tuple[str], code: str) -> None:
    with pytest.raises(BipstudyError) as caught:
        public_power(*arguments, effects="large")
    assert caught.value.code == code


def test_no_scheduler_is_said_so() -> None:
    with pytest.raises(BipstudyError) as caught:
        power("continuity", **SMALL, scheduler="nonsense")
    assert caught.value.code == "planning.no_scheduler"


@pytest.mark.certify
def test_a_worker_killed_in_mid_run_changes_no_number(tmp_path: Path, alone: pd.DataFrame) -> None:
    address = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    begin = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    scheduler = subprocess.Popen([*begin, "--scheduler-file", str(address)], **quiet)
    work = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address), "--no-dashboard",
            "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]  # fmt: skip
    workers = [subprocess.Popen(work, **quiet) for _ in range(2)]
    killed: list[int] = []

    def kill(done: int, planned: int) -> None:
        if not killed:
            workers[0].send_signal(signal.SIGKILL)
            killed.append(done)

    try:
        deadline = time.monotonic() + 60
        while not address.is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        there = json.loads(address.read_text())["address"]
        found = power("continuity", **SMALL, scheduler=there, progress=kill).table
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
    assert killed
    pd.testing.assert_frame_equal(found, alone)
