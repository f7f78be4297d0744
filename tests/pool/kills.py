"""Kill a writer at random moments, many times, and open the pool after each.

Run as ``python tests/pool/kills.py --count 200``: prints what was held after the kills, and ends with code 1 as soon as
the pool holds neither the former state nor the new. Where processes can be forked, each writer starts within
milliseconds, so that the kills fall into the writing and not into the start of the interpreter. The new state of an
erasure takes the place of the former in a small part of the time it takes: every other of these writers kills itself
before a step that was drawn, of those by which files are put in place and removed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What a writer would import only when it writes; the kills shall fall into the writing.
import filelock  # noqa: F401
import pandas as pd
import pyarrow.parquet
from pool_data import Verdict, submission, tables

import bipstudy.validation  # noqa: F401
from bipstudy import schema
from bipstudy.loaders import Submission
from bipstudy.pool import Pool

FRESH = 400
# By what files are put in place and removed.
STEPS = ("fsync", "replace", "rename", "unlink", "rmdir")


def add(pool: Path, loaded: Submission, ready: multiprocessing.synchronize.Event) -> None:
    """Add a submission, and say first that it begins."""
    ready.set()
    Pool(pool).add(loaded, Verdict())


def erase(pool: Path, participant: str, last: int, taken: Any, ready: multiprocessing.synchronize.Event) -> None:
    """Erase a participant, and say first that it begins; count the steps, and end like a killed process before one."""

    def counting(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if taken.value == last:
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
            taken.value += 1
            return step(*arguments, **named)

        return call

    for name in STEPS:
        setattr(os, name, counting(getattr(os, name)))
    ready.set()
    Pool(pool).erase("A", participant, reason=f"{participant} asked to")


def started() -> multiprocessing.context.BaseContext:
    """Return how writers are started: forked from a process that has imported everything and has no threads."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    # The server looks for this module where the interpreter does.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kills"])
    return context


def killed(context: multiprocessing.context.BaseContext, target: object, arguments: tuple, wait: float) -> float:
    """Start a writer, kill it so long after it began, and return how long it lived."""
    ready = context.Event()
    process = context.Process(target=target, args=(*arguments, ready))
    process.start()
    ready.wait()
    began = time.perf_counter()
    process.join(wait)
    process.kill()
    process.join()
    return time.perf_counter() - began


def span(lives: list[float]) -> float:
    """Return within what time to kill: a little more than a writer lives that is not killed."""
    return 1.2 * sorted(lives)[(len(lives) - 1) // 2]


def moment(chance: random.Random, number: int, whole: float) -> float:
    """Draw after how long to kill: every other time near the end, where the new state takes the place of the former."""
    return chance.uniform(0.7 * whole if number % 2 else 0.0, whole)


def state(pool: Pool) -> tuple[list[str], str]:
    """Return the submissions in order, each whole, and the content that the next release would hold."""
    listed = pool.list()
    for content in set(listed["hash"]):
        assert (pool.path / "submissions" / content / "receipt.json").is_file(), "a submission without its receipt"
    current = listed.loc[listed["current"], "hash"].item()
    held = schema.content_hash(pool._contents.tables({"A": current}, ()))
    assert held == current, "a submission that is not what its name says"
    return listed["hash"].tolist(), held


def kill_adds(count: int, seed: int, folder: Path) -> Counter[str]:
    """Kill writers that add; each must have added wholly or not at all."""
    context = started()
    contents = [submission(folder / f"a{people}", tables(people=people)) for people in (2, 3, 4, 5)]
    pool = Pool(folder / "pool")
    pool.add(contents[0], Verdict())
    whole = span([killed(context, add, (pool.path, each), 60) for each in contents[1:]])
    chance, found = random.Random(seed), Counter()
    for number in range(count):
        before, _ = state(pool)
        new = contents[number % len(contents)]
        killed(context, add, (pool.path, new), moment(chance, number, whole))
        after, held = state(pool)
        assert after in (before, [*before, new.hash]), "neither the former state nor the new"
        assert held == after[-1]
        found["new" if len(after) > len(before) else "former"] += 1
    pool.add(contents[0], Verdict())
    assert not list(pool.path.rglob(".writing-*")), "the next writer left something behind"
    return found


def kill_erasures(count: int, seed: int, folder: Path) -> Counter[str]:
    """Kill writers that erase; a release must say each time what it said before, or that somebody was erased."""
    context, taken = started(), multiprocessing.get_context("forkserver").Value("i", 0)
    pool = Pool(folder / "pool")
    frames = {name: named(frame) for name, frame in tables(people=FRESH).items()}
    people = frames["participants"]["participant_id"].tolist()
    # The same person stands in a former submission and in the name of its file as well.
    pool.add(submission(folder / "former" / people[-1], frames), Verdict())
    pool.add(submission(folder / "a", tables_with_more(frames)), Verdict())
    pool.release()
    whole = span([killed(context, erase, (pool.path, people.pop(), -1, taken), 60) for _ in range(2)])
    steps, chance, found = taken.value // 2, random.Random(seed), Counter()
    for number in range(count):
        gone = people[-1]
        if number % 3 == 0:
            pool.withdraw("A", gone, reason=f"{gone} moved")
        before, taken.value = pool.study(), 0
        by_step = number % 2 == 1
        # What a writer that was killed early has left is first removed, which takes steps too.
        last = chance.randrange(steps // 4, 5 * steps // 4) if by_step else -1
        killed(context, erase, (pool.path, gone, last, taken), 60 if by_step else chance.uniform(0.5 * whole, whole))
        after = pool.study()
        left = set(after.participants["participant_id"])
        former = set(before.participants["participant_id"])
        assert left in (former, former - {gone}), "neither the former state nor the new"
        assert after.erased["A"] == FRESH - len(left), "an erased release that does not say so"
        if gone in left:
            found["former"] += 1
            continue
        # What is left to be done is done by whoever writes next.
        found["new, the rest left to the next" if pool.unfinished else "new"] += 1
        with pool._journal.writing(60):
            pass
        assert not traces(pool.path, gone), "something of an erased participant was left behind"
        people.pop()
    pool.erase("A", people[0], reason="asked to")
    assert not pool.unfinished
    assert not traces(pool.path, people[0])
    assert len(list(pool.path.glob("submissions/*"))) == 2, "a former submission was left behind"
    return found


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with ids that can be looked for in bytes."""
    return frame.assign(participant_id="who-" + frame["participant_id"]) if "participant_id" in frame else frame


def tables_with_more(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables of the same participants a while later."""
    later = frames["measurements"].assign(occasion=2, answered_on=pd.Timestamp("2024-05-01"))
    return frames | {"measurements": pd.concat([frames["measurements"], later], ignore_index=True)}


def traces(folder: Path, participant: str) -> list[str]:
    """Return the files of a folder, by their names, bytes and decoded tables, in which a participant stands."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        told = participant.encode() in content or participant in path.name
        if path.suffix == ".parquet" and not told:
            decoded = pd.read_parquet(path).astype(str)
            told = bool((decoded == participant).to_numpy().any()) or participant in str(decoded.to_dict("list"))
            told = told or participant in str(pyarrow.parquet.read_metadata(path).to_dict())
        found += [str(path.relative_to(folder))] if told else []
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--during", choices=["add", "erase"], default="add")
    options = parser.parse_args()
    kill = kill_adds if options.during == "add" else kill_erasures
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = kill(options.count, options.seed, Path(folder))
    seconds = round(time.perf_counter() - began, 1)
    result = {"kills": options.count, "during": options.during, **found, "seed": options.seed, "seconds": seconds}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
