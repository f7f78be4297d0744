"""Every estimator beside R and the Python libraries, as one table of ratios: same data, same answers, one run.

Run: ``python benchmarks/estimators.py [--people 4000 40000 400000] [--slow]``. Calls the three scripts beside this one,
one after the other, and prints their numbers as a table with the ratio that was asked for, then peak memory and how
the cost grows. R runs where it is installed; what takes minutes runs only with ``--slow``. The floor is one reading of
the design matrix of the job that forms X'WX.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
# Job -> columns of its design matrix, for the floor.
COLUMNS = {"cox": 12, "hazard": 51, "fine-gray": 12}
# (job, other) -> field with seconds, field with the ratio, ratio asked for at 4,000 and at 400,000 people.
WANTED: dict[tuple[str, str], tuple[str, str, float | None, float | None]] = {
    ("cox", "R"): ("r", "times_r", 10, 12),
    ("cox", "lifelines"): ("lifelines", "times_lifelines", 50, None),
    ("hazard", "R"): ("r", "times_r", 8, 20),
    ("hazard", "statsmodels"): ("statsmodels", "times_statsmodels", 7, 28),
    ("hazard bootstrap", "R, glm"): ("r_glm", "times_r", 20, None),
    ("hazard bootstrap", "R, glm.fit"): ("r_glm_fit", "times_r_glm_fit", None, None),
    ("hazard bootstrap", "statsmodels"): ("statsmodels", "times_statsmodels", 20, None),
    ("one-step", "R, glm"): ("r_999", "times_r", 1000, None),
    ("cox bootstrap", "R"): ("r", "times_r", 15, None),
    ("cox bootstrap", "lifelines"): ("lifelines", "times_lifelines", 80, None),
    ("curves", "R"): ("r", "times_r", 10, None),
    ("curves", "lifelines"): ("lifelines", "times_lifelines", 10, None),
    ("fine-gray", "cmprsk"): ("cmprsk", "times_cmprsk", 50, 500),
    ("fine-gray", "finegray"): ("finegray", "times_finegray", 50, 500),
    ("random intercept", "lme4"): ("lme4", "times_faster_than_lme4", 20, None),
    ("random intercept", "statsmodels"): ("statsmodels", "times_faster_than_statsmodels", 300, None),
    ("absorbed", "pyfixest"): ("pyfixest", "times_pyfixest", 2, None),
}


def rows(script: str, people: list[int], *options: str) -> list[dict[str, Any]]:
    """Return the JSON lines of one script, in a process of its own."""
    command = [sys.executable, str(HERE / script), "--people", *map(str, people), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parent)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def gather(people: list[int], slow: bool) -> list[dict[str, Any]]:
    """Return one row per job and size."""
    extra = ["--slow"] if slow else []
    found = []
    for part, jobs in (
        ("survival", ["cox", "bootstrap", "curves", "fine-gray"]),
        ("hazard", ["hazard", "bootstrap", "one-step", "absorbed"]),
    ):
        called = {"bootstrap": f"{'cox' if part == 'survival' else 'hazard'} bootstrap"}
        lines = rows(f"estimators_{part}.py", people, "--jobs", *jobs, *extra)
        found += [{**row, "job": called.get(row["job"], row["job"])} for row in lines]
    small = [size for size in people if size <= 40_000]
    for row in rows("estimators_shrinkage.py", small, "--statsmodels") if small else []:
        lme4 = row.get("lme4", {}).get("seconds")
        found.append(
            {**row, "job": "random intercept", "seconds": row["ours"], "public": row["ours_public"], "lme4": lme4}
        )
    return found


def floor(rows_: int, columns: int) -> float:
    """Seconds to read a matrix once and form X'WX, the least of five."""
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(rows_, columns)), rng.random(rows_)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        x.T @ (w[:, None] * x)
        times.append(time.perf_counter() - begin)
    return min(times)


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits that count."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}g}" if value < 1000 else f"{value:,.0f}"


def comparison(found: list[dict[str, Any]]) -> list[str]:
    """Return the table of ratios."""
    lines = [
        "| job | people | ours, s | public call, s | beside | its s | times | wanted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        for (job, other), (seconds, ratio, small, large) in WANTED.items():
            if job != row["job"] or row.get(ratio) is None:
                continue
            wanted = small if row["people"] <= 4000 else large if row["people"] >= 40_000 else None
            cells = [job, f"{row['people']:,}", figure(row["seconds"]), figure(row.get("public")), other,
                     figure(row.get(seconds)), figure(row[ratio]), figure(wanted)]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def growth(found: list[dict[str, Any]]) -> list[str]:
    """Return how many times longer a job takes than at the smallest size, beside n log n, and than its floor."""
    lines = ["| job | people | times the smallest | n log n | times the floor |", "|---|---|---|---|---|"]
    for job in dict.fromkeys(row["job"] for row in found):
        own = sorted((row for row in found if row["job"] == job), key=lambda row: row["people"])
        first = own[0]
        for row in own:
            expected = row["people"] * math.log(row["people"]) / (first["people"] * math.log(first["people"]))
            distance = None
            if job in COLUMNS:
                distance = row["seconds"] / floor(int(row.get("rows", row["people"])), COLUMNS[job])
            times = row["seconds"] / first["seconds"]
            lines.append(f"| {job} | {row['people']:,} | {figure(times)} | {figure(expected)} | {figure(distance)} |")
    return lines


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[4000])
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the raw numbers here")
    options = parser.parse_args()
    # More than two threads, or two libraries with two each, only get in each other's way.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, "2")
    found = gather(options.people, options.slow)
    found += [
        {**row, "job": f"cox {row['job']}"}
        for row in rows("estimators_survival.py", options.people, "--jobs", "memory")
    ]
    found += [
        {**row, "job": f"hazard {row['job']}"}
        for row in rows(
            "estimators_hazard.py", options.people, "--jobs", "memory", *(["--slow"] if options.slow else [])
        )
    ]
    if options.json:
        options.json.write_text("".join(json.dumps(row) + "\n" for row in found))
    timed = [row for row in found if "seconds" in row]
    print("\n".join(comparison(timed)), end="\n\n")
    print("\n".join(growth(timed)), end="\n\n")
    print("| memory of the public call | people | before, GB | peak, GB | statsmodels, GB |\n|---|---|---|---|---|")
    for row in found:
        if row["job"].endswith("memory"):
            before, peak = row.get("gb_before", row.get("frame_gb")), row.get("gb_peak", row.get("peak_gb"))
            cells = [row["job"].split()[0], f"{row['people']:,}", figure(before), figure(peak),
                     figure(row.get("statsmodels_gb"))]  # fmt: skip
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
