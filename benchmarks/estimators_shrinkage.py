"""Random intercepts beside lme4 and statsmodels: same data, same answers, one run.

Run: ``python benchmarks/estimators_shrinkage.py [--people 4000 40000] [--statsmodels]``. Prints one JSON line per
size. Ours is timed from the design matrix on (group sums, profile, effects) and as the public call; lme4 and
statsmodels from the data frame and the design matrix, which is what they accept. Medians of warm runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bipstudy.models import random_intercept
from bipstudy.models.mixed_linear import fit_linear_intercept, group_moments

COVARIATES = 12
R_SCRIPT = """
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1]); formula <- as.formula(arguments[2]); runs <- as.integer(arguments[3])
times <- numeric(runs)
for (run in seq_len(runs)) times[run] <- system.time(fit <- lmer(formula, data))[["elapsed"]]
vc <- as.data.frame(VarCorr(fit))
cat(median(times), vc$sdcor, fixef(fit)[2], as.character(packageVersion("lme4")))
"""


def panel(people: int) -> pd.DataFrame:
    """Rows of people measured every quarter, 3.5 times on average, with covariates that vary between and within."""
    rng = np.random.default_rng(people)
    person = np.repeat(np.arange(people), 1 + rng.poisson(2.54, people))
    columns = {f"x{k}": rng.normal(size=person.size) + rng.normal(size=people)[person] for k in range(COVARIATES)}
    y = 0.1 * sum(columns.values()) + rng.normal(0, 0.8, people)[person] + rng.normal(size=person.size)
    return pd.DataFrame({"y": y, "person": person, **columns})


def median_time(job: Callable[[], object], runs: int) -> float:
    """Median seconds of `runs` warm runs."""
    job()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def lme4(frame: pd.DataFrame, formula: str, runs: int) -> dict[str, float | str]:
    """Median seconds and the answers of lme4."""
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "data.csv", Path(folder) / "run.R"
        frame.to_csv(data, index=False)
        script.write_text(R_SCRIPT)
        command = ["Rscript", str(script), str(data), f"{formula} + (1 | person)", str(runs)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return {"seconds": float(out[0]), "sd_group": float(out[1]), "sd_residual": float(out[2]), "version": out[4]}


def measure(people: int, runs: int, with_statsmodels: bool) -> dict[str, object]:
    """One size: seconds, ratios and how far the answers are apart."""
    frame = panel(people)
    names = [f"x{k}" for k in range(COVARIATES)]
    formula = "y ~ " + " + ".join(names)
    design = np.column_stack([np.ones(len(frame)), frame[names].to_numpy()])
    outcome, group = frame["y"].to_numpy(), frame["person"].to_numpy()

    def ours() -> object:
        return fit_linear_intercept(group_moments(design=design, outcome=outcome, group=group, groups=people))

    fit = fit_linear_intercept(group_moments(design=design, outcome=outcome, group=group, groups=people))
    seconds = median_time(ours, 5 * runs)
    result: dict[str, object] = {
        "job": "random intercept, REML",
        "people": people,
        "rows": len(frame),
        "ours": seconds,
        "ours_public": median_time(lambda: random_intercept(frame, formula, group="person"), 3 * runs),
    }
    if shutil.which("Rscript"):
        other = lme4(frame, formula, runs)
        result |= {"lme4": other, "times_faster_than_lme4": float(other["seconds"]) / seconds}
        result["apart_from_lme4"] = abs(float(other["sd_group"]) / fit.tau - 1.0)
    if with_statsmodels:
        from statsmodels.regression.mixed_linear_model import MixedLM

        slow = median_time(lambda: MixedLM(outcome, design, groups=group).fit(), 1)
        result |= {"statsmodels": slow, "times_faster_than_statsmodels": slow / seconds}
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[4000, 40_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--statsmodels", action="store_true", help="also statsmodels (25 seconds a run at 40,000)")
    options = parser.parse_args()
    for size in options.people:
        print(json.dumps(measure(size, options.runs, options.statsmodels)), flush=True)
