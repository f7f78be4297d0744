"""Times a whole replication: every analysis, the multiverse, the bootstrap and the report, as one line of JSON.

Seconds of processor count this process and those it starts. Peak memory is that of this process, of the largest it
started, and of all together: the largest sum of their proportional sizes, in which a page that several processes share
is counted once, looked at twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from pathlib import Path


def main() -> None:
    """Simulate a study, replicate it once and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5512)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replications", type=int, default=999)
    parser.add_argument("--no-multiverse", action="store_true")
    parser.add_argument("--pdf", action="store_true")
    given = parser.parse_args()

    from bipstudy.replication import Plan, replicate
    from bipstudy.simulation import simulate_study

    study, _ = simulate_study(participants=given.people, seed=given.seed)
    plan = Plan(multiverse=not given.no_multiverse, replications=given.replications)
    begun: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as out, _Together() as together:
        wall, before = time.perf_counter(), _cpu()
        run = replicate(
            study,
            plan,
            out,
            pdf=given.pdf,
            n_jobs=given.jobs,
            progress=lambda name: begun.setdefault(name, round(time.perf_counter() - wall, 1)),
        )
        wall = time.perf_counter() - wall
    _end_of_processes(given.jobs)
    own, others = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    measured = {
        **vars(given),
        "wall_s": round(wall, 1),
        "cpu_s": round(_cpu() - before, 1),
        "peak_own_mb": round(own),
        "peak_largest_other_mb": round(others),
        "peak_together_mb": round(together.peak),
        "load": round(os.getloadavg()[0], 1),
        "skipped": sorted(run.skipped),
        "begun_s": begun,
    }
    print(json.dumps(measured, ensure_ascii=False))


class _Together:
    """The largest sum of the memory of this process and all it started, in MB; a page that is shared counts once."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Together:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self.peak = max(self.peak, sum(map(_proportional, _family(os.getpid()))))


def _family(parent: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [parent]
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            found += [each for child in path.read_text().split() for each in _family(int(child))]
        except OSError:
            continue
    return found


def _proportional(process: int) -> float:
    """Return the proportional size of a process in MB, nothing where it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def _cpu() -> float:
    """Return seconds of processor so far, of this process and those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _end_of_processes(jobs: int) -> None:
    """Let the processes end, so that what they used is counted."""
    if jobs > 1:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


if __name__ == "__main__":
    main()
