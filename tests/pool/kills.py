"""Kill a writer at random moments, many times, and open the pool after each.

Run as ``python tests/pool/kills.py --count 200``: prints what was held after the kills, and ends with code 1 as soon as
the pool holds neither the former state nor the new. Where processes can be forked, each writer starts within
milliseconds, so that the kills fall into the writing and not into the start of the interpreter.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# What a writer would import only when it writes; the kills shall fall into the writing.
import filelock  # noqa: F401
import pyarrow.parquet  # noqa: F401
from pool_data import Verdict, submission, tables

import bipstudy.validation  # noqa: F401
from bipstudy import schema
from bipstudy.loaders import Submission
from bipstudy.pool import Pool

FRESH = 400


def add(pool: Path, loaded: Submission, ready: multiprocessing.synchronize.Event) -> None:
    """Add a submission, and say first that it begins."""
    ready.set()
    Pool(pool).add(loaded, Verdict())


def erase(pool: Path, participant: str, ready: multiprocessing.synchronize.Event) -> None:
    """Erase a participant, and say first that it begins."""
    ready.set()
    Pool(pool).erase("A", participant, reason="asked to")


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
    context = started()
    pool = Pool(folder / "pool")
    people = [f"{number:03d}" for number in range(FRESH)]
    pool.add(submission(folder / "a", tables(people=FRESH)), Verdict())
    pool.release()
    whole = span([killed(context, erase, (pool.path, people.pop()), 60) for _ in range(2)])
    chance, found = random.Random(seed), Counter()
    for number in range(count):
        gone = people[-1]
        before = pool.study()
        killed(context, erase, (pool.path, gone), moment(chance, number, whole))
        after = pool.study()
        left = set(after.participants["participant_id"])
        former = set(before.participants["participant_id"])
        assert left in (former, former - {gone}), "neither the former state nor the new"
        assert after.erased["A"] == FRESH - len(left), "an erased release that does not say so"
        found["new" if gone not in left else "former"] += 1
        if gone not in left:
            people.pop()
    pool.erase("A", people[0], reason="asked to")
    assert not pool.unfinished
    assert len(list(pool.path.glob("submissions/*"))) == 1, "a former submission was left behind"
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
