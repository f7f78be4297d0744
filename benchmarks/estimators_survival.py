"""Cox, its bootstrap, Aalen-Johansen and Fine-Gray beside R and lifelines: same data, same answers, one run.

Run: ``python benchmarks/estimators_survival.py [--people 4000 40000 400000] [--jobs cox bootstrap curves fine-gray]``
(and ``memory``). Prints one JSON line per job and size. A panel of Danish shape: about 3.5 rows a person, 12
covariates, 10 strata, times in days. Ours is timed from the design matrix on (`seconds`) and as the public call
(`public`); R and lifelines from a data frame in memory. Medians of warm runs; R runs where it is installed, and what
takes minutes only with ``--slow``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import models
from bipstudy.models.bootstrap import bootstrap
from bipstudy.models.covariance import clustered_covariance
from bipstudy.models.cox_fit import CoxScores
from bipstudy.models.fine_gray import censoring_scores, fine_gray_rows
from bipstudy.models.partial_likelihood import inverse_information, maximise, scores
from bipstudy.models.risk_sets import risk_sets

NAMES = [f"x{k}" for k in range(12)]
FORMULA = " + ".join(NAMES)

R_HEAD = """
suppressPackageStartupMessages({library(survival); library(cmprsk)})
options(digits = 15)
a <- commandArgs(trailingOnly = TRUE); runs <- as.integer(a[2]); names <- strsplit(a[3], ",")[[1]]
n <- file.size(a[1]) / 8 / length(names)
d <- as.data.frame(matrix(readBin(a[1], "double", n * length(names)), n, dimnames = list(NULL, names)))
x <- paste(grep("^x", names, value = TRUE), collapse = "+")
clock <- function(job) { t <- numeric(runs); for (i in seq_len(runs)) t[i] <- system.time(v <- job())[["elapsed"]]
  cat(median(t), v, "\\n") }
"""
R_JOBS = {
    "cox": """f <- as.formula(paste("Surv(start, stop, event) ~", x, "+ strata(stratum)"))
clock(function() { m <- coxph(f, d, cluster = participant); c(coef(m), sqrt(diag(m$var))) })""",
    "bootstrap": """f <- as.formula(paste("Surv(start, stop, event) ~", x, "+ strata(stratum)"))
b <- coef(coxph(f, d)); set.seed(1); ids <- unique(d$participant)
clock(function() { k <- tabulate(match(sample(ids, replace = TRUE), ids), length(ids))
  d$w <- k[match(d$participant, ids)]
  coef(coxph(f, d[d$w > 0, ], weights = w, init = b)) })""",
    "curves": """s <- factor(d$cause, 0:2)
clock(function() { m <- survfit(Surv(time, s) ~ 1, d); i <- findInterval(365, m$time)
  c(m$pstate[i, ], m$std.err[i, ]) })""",
    "fine-gray": """m0 <- as.matrix(d[grep("^x", names)])
clock(function() { m <- crr(d$time, d$cause, m0); c(m$coef, sqrt(diag(m$var))) })""",
    "expanded": """d$s <- factor(d$cause, 0:2); d$id <- seq_len(nrow(d))
clock(function() { g <- finegray(Surv(time, s) ~ ., d, etype = "1")
  f <- as.formula(paste("Surv(fgstart, fgstop, fgstatus) ~", x))
  m <- coxph(f, g, weights = fgwt, ties = "breslow", cluster = id)
  c(coef(m), sqrt(diag(m$var))) })""",
}


def panel(people: int) -> pd.DataFrame:
    """Intervals between measurements about every quarter, until an event or the last measurement."""
    rng = np.random.default_rng(people)
    rows = rng.integers(1, 7, people)
    person = np.repeat(np.arange(people), rows)
    x = rng.normal(size=(person.size, 12)) + 0.5 * rng.normal(size=(people, 12))[person]
    gap = rng.integers(60, 121, person.size).astype(float)
    first = np.flatnonzero(np.diff(person, prepend=-1))
    total = np.cumsum(gap)
    stop = total - np.repeat(total[first] - gap[first], rows)
    wait = np.ceil(rng.exponential(1500 / np.exp(x @ np.linspace(-0.3, 0.3, 12))))
    event = wait <= gap
    earlier = np.cumsum(event) - event
    alive = earlier == np.repeat(earlier[first], rows)
    frame = pd.DataFrame(dict(zip(NAMES, x.T, strict=True)))
    frame["start"], frame["stop"] = stop - gap, np.where(event, stop - gap + wait, stop)
    frame["event"], frame["participant"] = event.astype(float), person.astype(float)
    frame["stratum"] = rng.integers(0, 10, people)[person].astype(float)
    return frame[alive].reset_index(drop=True)


def persons(people: int) -> pd.DataFrame:
    """One row per person: days to work (1), to study (2) or to the end of follow-up (0)."""
    rng = np.random.default_rng(people + 1)
    x = rng.normal(size=(people, 12))
    rate = np.column_stack([np.exp(x @ np.linspace(-0.3, 0.3, 12)) / 900, np.full(people, 1 / 1500)])
    wait = np.ceil(rng.exponential(1 / rate))
    end = rng.integers(200, 731, people)
    first = wait.argmin(axis=1)
    time_, cause = wait.min(axis=1), first + 1
    frame = pd.DataFrame(dict(zip(NAMES, x.T, strict=True)))
    frame["time"], frame["cause"] = np.minimum(time_, end), np.where(time_ <= end, cause, 0).astype(float)
    return frame


def clock(job: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Median seconds of warm runs, and the last result."""
    job()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        result = job()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), result


def in_r(job: str, frame: pd.DataFrame, runs: int) -> tuple[float, np.ndarray]:
    """Median seconds and numbers of a job in R; NaN where R is not installed."""
    if shutil.which("Rscript") is None:
        return np.nan, np.array([])
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "data.bin", Path(folder) / "run.R"
        np.asfortranarray(frame.to_numpy(float)).T.tofile(data)
        script.write_text(R_HEAD + R_JOBS[job])
        command = ["Rscript", str(script), str(data), str(runs), ",".join(frame.columns)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), np.array(out[1:], dtype=float)


def apart(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """Largest difference in units of 1 or of the number itself."""
    return float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)))) if theirs.size else None


def cox(people: int, runs: int, slow: bool) -> dict[str, Any]:
    """Efron, strata, clustered by participant."""
    frame = panel(people)
    options: dict[str, Any] = {"start": "start", "stop": "stop", "event": "event", "strata": "stratum"}
    fit = models.cox(frame, FORMULA, **options, cluster="participant", small_sample="none")
    data, cluster = fit.data, frame["participant"].to_numpy(np.int64)

    def ours() -> np.ndarray:
        sets = risk_sets(start=data.start, stop=data.stop, event=data.event, stratum=data.stratum)
        found = maximise(x=data.x, weight=data.weight, sets=sets, scale=data.scale)
        bread = inverse_information(found)
        robust = clustered_covariance(
            bread=bread, scores=CoxScores(data, found.at), codes=[cluster], small_sample="none"
        )
        return np.concatenate([found.at.beta, np.sqrt(np.diag(robust.covariance))])

    seconds, answer = clock(ours, runs)
    public, _ = clock(lambda: models.cox(frame, FORMULA, **options, cluster="participant"), runs)
    r, other = in_r("cox", frame, 3 if people < 400_000 else 1)
    row = {"rows": len(frame), "seconds": seconds, "public": public, "r": r, "times_r": r / seconds,
           "times_r_public": r / public, "apart_from_r": apart(answer, other)}  # fmt: skip
    if people <= 4000 or slow:
        from lifelines import CoxTimeVaryingFitter

        def lifelines() -> np.ndarray:
            return CoxTimeVaryingFitter().fit(frame, "event", id_col="participant", strata=["stratum"]).params_

        begin = time.perf_counter()
        other = lifelines()
        row["lifelines"] = time.perf_counter() - begin
        row["times_lifelines"] = row["lifelines"] / seconds
        row["apart_from_lifelines"] = apart(answer[:12], other[NAMES].to_numpy())
    return row


def resamples(people: int, runs: int, slow: bool) -> dict[str, Any]:
    """999 full refits of whole participants, ours on two cores, the others on one from a few refits."""
    frame = panel(people)
    fit = models.cox(frame, FORMULA, start="start", stop="stop", event="event", strata="stratum")
    bootstrap(fit, frame, "participant", replications=50, n_jobs=2)
    begin = time.perf_counter()
    found = bootstrap(fit, frame, "participant", replications=999, n_jobs=2)
    seconds = time.perf_counter() - begin
    r = in_r("bootstrap", frame, 15)[0] * 999
    from lifelines import CoxTimeVaryingFitter

    begin = time.perf_counter()
    CoxTimeVaryingFitter().fit(frame, "event", id_col="participant", strata=["stratum"])
    lifelines = (time.perf_counter() - begin) * 999
    spread = np.sqrt(np.diag(found.covariance)) / fit.with_errors("participant").std_errors
    return {"seconds": seconds, "r": r, "times_r": r / seconds, "lifelines": lifelines,
            "times_lifelines": lifelines / seconds, "spread_to_robust": float(spread.mean())}  # fmt: skip


def curves(people: int, runs: int, slow: bool) -> dict[str, Any]:
    """Aalen-Johansen with its variance, the whole curve."""
    frame = persons(people)

    def ours() -> np.ndarray:
        found = models.cumulative_incidence(frame, duration="time", cause="cause").estimates
        at = np.searchsorted(found.sets.time, 365, side="right") - 1
        states = [1 - found.incidence[at].sum(), *found.incidence[at]]
        return np.array([*states, *np.sqrt([found.survival_variance[at], *found.incidence_variance[at]])])

    seconds, answer = clock(ours, runs)
    r, other = in_r("curves", frame[["time", "cause"]], 3)
    from lifelines import AalenJohansenFitter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = AalenJohansenFitter(seed=1)
        lifelines, _ = clock(lambda: fitter.fit(frame["time"], frame["cause"], 1), 1)
    return {"seconds": seconds, "r": r, "times_r": r / seconds, "lifelines": lifelines,
            "times_lifelines": lifelines / seconds, "apart_from_r": apart(answer, other)}  # fmt: skip


def fine_gray(people: int, runs: int, slow: bool) -> dict[str, Any]:
    """Fine-Gray with the variance that allows for the estimated censoring."""
    frame = persons(people)
    x = np.ascontiguousarray(frame[NAMES].to_numpy() - frame[NAMES].to_numpy().mean(axis=0))
    stop, cause, weight = frame["time"].to_numpy(), frame["cause"].to_numpy(np.int64), np.ones(len(frame))

    def ours() -> np.ndarray:
        rows = fine_gray_rows(stop=stop, cause=cause, of=1, weight=weight)
        found = maximise(x=x, weight=weight, sets=rows.sets, scale=x.std(axis=0), efron=False, tail=rows.tail)
        bread = inverse_information(found)
        score = scores(x=x, weight=weight, sets=rows.sets, at=found.at, tail=rows.tail)
        score += censoring_scores(x=x, stop=stop, weight=weight, rows=rows, at=found.at)
        return np.concatenate([found.at.beta, np.sqrt(np.diag(bread @ score.T @ score @ bread))])

    seconds, answer = clock(ours, runs)
    public, _ = clock(lambda: models.fine_gray(frame, FORMULA, duration="time", cause="cause"), runs)
    row: dict[str, Any] = {"seconds": seconds, "public": public}
    if people <= 4000 or (slow and people <= 40_000):
        # Its time grows with the square of the number of people: ten minutes and more at 40,000.
        r, other = in_r("fine-gray", frame, 1)
        row |= {"cmprsk": r, "times_cmprsk": r / seconds, "apart_from_cmprsk": apart(answer, other)}
    if people <= 4000 or slow:
        row["finegray"] = in_r("expanded", frame, 1)[0]
        row["times_finegray"] = row["finegray"] / seconds
    return row


def peak(people: int) -> dict[str, Any]:
    """Peak memory of a process that reads the panel and fits the public Cox model, in GB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.npy"
        frame = panel(people)
        np.save(path, np.asfortranarray(frame.to_numpy(float)))
        command = [sys.executable, __file__, "--fit", str(path)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out))


def fit_file(path: str) -> dict[str, float]:
    """Fit to a stored panel; memory after reading it and at the peak."""
    # One array behind the frame, so that what is measured is the fit and not how a file is read.
    columns = [*NAMES, "start", "stop", "event", "participant", "stratum"]
    frame = pd.DataFrame(np.load(path), columns=columns, copy=False)
    before = peak_memory()
    models.cox(frame, FORMULA, start="start", stop="stop", event="event", strata="stratum", cluster="participant")
    return {"rows": len(frame), "gb_before": before, "gb_peak": peak_memory()}


def peak_memory() -> float:
    """Peak memory of this process so far in GB (Linux; getrusage would count the parent's too)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6


JOBS = {"cox": cox, "bootstrap": resamples, "curves": curves, "fine-gray": fine_gray}


def main() -> None:
    """Run the jobs asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[4000, 40_000])
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=[*JOBS, "memory"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(fit_file(options.fit)))
        return
    for people in options.people:
        for job in options.jobs:
            if job == "bootstrap" and people > 4000 and not options.slow:
                continue
            row = peak(people) if job == "memory" else JOBS[job](people, options.runs, options.slow)
            print(json.dumps({"job": job, "people": people, **row}), flush=True)


if __name__ == "__main__":
    main()
