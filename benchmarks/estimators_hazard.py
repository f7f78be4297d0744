"""Discrete hazard, its bootstraps and absorbed effects beside R, statsmodels and pyfixest: same data, same answers.

Run: ``python benchmarks/estimators_hazard.py [--people 4000 40000 400000] [--jobs hazard bootstrap one-step absorbed]``
(and ``memory``). Prints one JSON line per job and size. A panel of Danish shape: about 3.5 quarters a person, 30
covariates and period dummies for the hazard, clusters by caseworker and organisation. Ours is timed from the design
matrix on (`seconds`) and as the public call (`public`); the others from arrays or a frame in memory. Medians of warm
runs; R runs where it is installed, statsmodels at 400,000 only with ``--slow``.
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
from bipstudy.models.absorb import absorb
from bipstudy.models.bootstrap import bootstrap, score_bootstrap
from bipstudy.models.covariance import ProductScores, clustered_covariance
from bipstudy.models.linear import least_squares
from bipstudy.models.separation import solve_binary

COVARIATES = [f"x{k}" for k in range(30)]
HAZARD = f"event ~ {' + '.join(COVARIATES)} + C(period)"
ABSORBED = [f"x{k}" for k in range(24)]
R_HEAD = """
suppressPackageStartupMessages(library(sandwich))
options(digits = 15)
a <- commandArgs(trailingOnly = TRUE); runs <- as.integer(a[2]); names <- strsplit(a[3], ",")[[1]]
n <- file.size(a[1]) / 8 / length(names)
d <- as.data.frame(matrix(readBin(a[1], "double", n * length(names)), n, dimnames = list(NULL, names)))
f <- as.formula(paste("event ~", paste(grep("^x", names, value = TRUE), collapse = "+"), "+ factor(period)"))
clock <- function(job) { t <- numeric(runs); for (i in seq_len(runs)) t[i] <- system.time(v <- job())[["elapsed"]]
  cat(median(t), v, "\\n") }
"""
R_JOBS = {
    "hazard": """clock(function() { m <- glm(f, binomial("cloglog"), d)
  v <- vcovCL(m, d[c("caseworker", "organisation")]); c(coef(m), sqrt(diag(v))) })""",
    "bootstrap": """x <- model.matrix(f, d); y <- d$event; b <- coef(glm.fit(x, y, family = binomial("cloglog")))
set.seed(1); g <- match(d$participant, unique(d$participant)); k <- max(g)
suppressWarnings(clock(function() { w <- tabulate(sample(k, replace = TRUE), k)[g]
  coef(glm.fit(x, y, weights = w, start = b, family = binomial("cloglog"))) }))""",
    "glm": """set.seed(1); g <- match(d$participant, unique(d$participant)); k <- max(g)
suppressWarnings(clock(function() { d$w <- tabulate(sample(k, replace = TRUE), k)[g]
  coef(glm(f, binomial("cloglog"), d, weights = w)) }))""",
}


def panel(people: int) -> pd.DataFrame:
    """Rows of people at risk every quarter, 3.5 on average, 21 periods, caseworkers of ten, organisations of 150."""
    rng = np.random.default_rng(people)
    length = 1 + rng.poisson(2.54, people)
    person = np.repeat(np.arange(people), length)
    first = rng.integers(1, 19, people)
    period = np.minimum(first[person] + np.concatenate([np.arange(n) for n in length]), 21)
    frame = pd.DataFrame(rng.normal(size=(person.size, 30)), columns=COVARIATES)
    frame["period"], frame["participant"] = period.astype(float), person.astype(float)
    frame["caseworker"], frame["organisation"] = (person // 10).astype(float), (person // 150).astype(float)
    eta = -2.8 + 0.2 * frame.x0 - 0.1 * frame.x1 + 0.01 * period + 0.2 * rng.normal(size=people)[person]
    frame["event"] = (rng.random(person.size) < -np.expm1(-np.exp(eta))).astype(float)
    frame["y"] = frame.x0 + rng.normal(size=people)[person] + 0.05 * period + rng.normal(size=person.size)
    return frame


def median_time(job: Callable[[], Any], runs: int) -> float:
    """Median seconds of `runs` warm runs."""
    job()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_r(job: str, frame: pd.DataFrame, runs: int) -> tuple[float, np.ndarray] | None:
    """Seconds and answers of R, or None where it is not installed."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        names = [*COVARIATES, "period", "participant", "caseworker", "organisation", "event"]
        np.asfortranarray(frame[names].to_numpy()).T.tofile(Path(folder) / "data")
        script = Path(folder) / "job.R"
        script.write_text(R_HEAD + R_JOBS[job])
        done = subprocess.run(
            ["Rscript", str(script), str(Path(folder) / "data"), str(runs), ",".join(names)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    numbers = np.array(done.stdout.split(), dtype=float)
    return float(numbers[0]), numbers[1:]


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference in units of 1 or of the number itself."""
    return float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))))


def ratio(ours: float, other: float | None) -> float | None:
    """How many times as long the other takes."""
    return None if other is None else round(other / ours, 1)


def hazard(frame: pd.DataFrame, runs: int, slow: bool) -> dict[str, Any]:
    """Cloglog with 51 columns, errors clustered by caseworker and organisation."""
    fit = models.discrete_hazard(frame, HAZARD)
    matrix, response = fit.design.matrix(frame), frame.event.to_numpy()
    codes = [frame[name].to_numpy().astype(np.int64) for name in ("caseworker", "organisation")]

    def from_matrix() -> np.ndarray:
        found = solve_binary(matrix=matrix, response=response, intercept=0)
        scores = ProductScores(found.matrix, found.slope)
        return clustered_covariance(bread=found.bread, scores=scores, codes=codes).covariance

    ours = median_time(from_matrix, runs)
    public = median_time(
        lambda: models.discrete_hazard(frame, HAZARD, cluster=["caseworker", "organisation"]), max(runs // 2, 1)
    )
    errors = np.sqrt(np.diag(from_matrix()))
    result = {"rows": len(frame), "seconds": ours, "public": public}
    r = in_r("hazard", frame, 1 if len(frame) > 100_000 else runs)
    if r is not None:
        result |= {"r": r[0], "times_r": ratio(ours, r[0])}
        result["apart_r"] = apart(np.r_[fit.estimates, errors], r[1])
    if slow or len(frame) < 1_000_000:
        import statsmodels.api as sm

        family = sm.families.Binomial(sm.families.links.CLogLog())
        model = sm.GLM(response, matrix, family=family)
        other = median_time(
            lambda: model.fit(cov_type="cluster", cov_kwds={"groups": np.column_stack(codes)}),
            1 if len(frame) > 50_000 else runs,
        )
        result |= {"statsmodels": other, "times_statsmodels": ratio(ours, other)}
        result["apart_statsmodels"] = apart(fit.estimates, model.fit(tol=1e-14).params)
    return result


def refits(frame: pd.DataFrame, runs: int, slow: bool) -> dict[str, Any]:
    """Full refits by weights: seconds for each resample, ours in two processes, the others in one.

    R twice: `glm` as a user calls it, and `glm.fit` on a ready matrix from the estimates of the whole sample.
    """
    fit = models.discrete_hazard(frame, HAZARD)
    count = 300 if len(frame) < 50_000 else 20
    bootstrap(fit, frame, "participant", replications=60, n_jobs=2)
    start = time.perf_counter()
    bootstrap(fit, frame, "participant", replications=count, n_jobs=2)
    ours = (time.perf_counter() - start) / count
    start = time.perf_counter()
    bootstrap(fit, frame, "participant", replications=count // 4, n_jobs=1)
    result = {"rows": len(frame), "seconds": ours, "one_core": (time.perf_counter() - start) / (count // 4)}
    r = in_r("bootstrap", frame, 10 if len(frame) < 50_000 else 2)
    call = in_r("glm", frame, 5 if len(frame) < 50_000 else 1)
    if r is not None and call is not None:
        result |= {"r_glm": call[0], "times_r": ratio(ours, call[0])}
        result |= {"r_glm_fit": r[0], "times_r_glm_fit": ratio(ours, r[0])}
    if slow or len(frame) < 50_000:
        import statsmodels.api as sm

        matrix, response = fit.design.matrix(frame), frame.event.to_numpy()
        family = sm.families.Binomial(sm.families.links.CLogLog())
        groups = int(frame.participant.max()) + 1
        drawn = np.random.default_rng(1).multinomial(groups, np.full(groups, 1.0 / groups))
        draws = drawn[frame.participant.astype(int)]
        other = median_time(
            lambda: sm.GLM(response, matrix, family=family, freq_weights=draws).fit(start_params=fit.estimates), 3
        )
        result |= {"statsmodels": other, "times_statsmodels": ratio(ours, other)}
    return result


def one_step(frame: pd.DataFrame, runs: int, slow: bool) -> dict[str, Any]:
    """999 one-step replicates by caseworker, beside 999 calls of glm in R (from a few of them)."""
    fit = models.discrete_hazard(frame, HAZARD)
    ours = median_time(lambda: score_bootstrap(fit, "caseworker", 999), runs)
    fixed = median_time(lambda: score_bootstrap(fit, "caseworker", 999, hessian="fixed"), runs)
    result = {"rows": len(frame), "seconds": ours, "fixed_hessian": fixed}
    r = in_r("glm", frame, 5 if len(frame) < 50_000 else 1)
    if r is not None:
        result |= {"r_999": 999 * r[0], "times_r": ratio(ours, 999 * r[0])}
    return result


def absorbed(frame: pd.DataFrame, runs: int, slow: bool) -> dict[str, Any]:
    """Person, period and organisation absorbed, 24 covariates, errors by caseworker, beside pyfixest."""
    import pyfixest

    formula = f"y ~ {' + '.join(ABSORBED)} | participant + period + organisation"
    fit = models.linear_probability(frame, formula, cluster="caseworker")
    rows = np.arange(len(frame)) if fit.source.positions is None else fit.source.positions
    columns = frame[["y", *ABSORBED]].to_numpy()[rows]
    codes = frame.caseworker.to_numpy()[rows].astype(np.int64)

    def from_matrix() -> np.ndarray:
        taken = absorb(columns, fit.effects).columns
        found = least_squares(matrix=np.ascontiguousarray(taken[:, 1:]), response=taken[:, 0])
        scores = ProductScores(np.ascontiguousarray(taken[:, 1:]), found.residuals)
        return clustered_covariance(
            bread=found.bread, scores=scores, codes=[codes], family="linear", parameters=fit.parameters
        ).covariance

    ours = median_time(from_matrix, runs)
    public = median_time(lambda: models.linear_probability(frame, formula, cluster="caseworker"), max(runs // 2, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = lambda: pyfixest.feols(formula, frame, vcov={"CRV1": "caseworker"}, fixef_rm="singleton")  # noqa: E731
        other = median_time(run, max(runs // 2, 1))
        distance = apart(fit.estimates, run().tidy()["Estimate"].to_numpy())
    return {
        "rows": len(frame), "seconds": ours, "public": public, "pyfixest": other,
        "times_pyfixest": ratio(ours, other), "public_times_pyfixest": ratio(public, other), "apart": distance,
    }  # fmt: skip


MEMORY = """
import sys; sys.path.insert(0, "benchmarks")
import estimators_hazard as b
from estimators_survival import peak_memory
from bipstudy import models
from bipstudy.models.design import build_design
f = b.panel({people}); clusters = ["caseworker", "organisation"]; before = peak_memory()
{call}
print(before, peak_memory())
"""
CALLS = {
    "ours": "models.discrete_hazard(f, b.HAZARD, cluster=clusters)",
    "statsmodels": """
matrix, response, codes = build_design(f, b.HAZARD).matrix, f.event.to_numpy(), f[clusters].to_numpy().astype(int)
import statsmodels.api as sm
family = sm.families.Binomial(sm.families.links.CLogLog())
sm.GLM(response, matrix, family=family).fit(cov_type="cluster", cov_kwds={"groups": codes})""",
}


def memory(people: int, slow: bool) -> dict[str, Any]:
    """Peak memory of one call in its own process, and that of the frame before it, in GB.

    Ours from the frame; statsmodels from a finished matrix, at 400,000 only with ``--slow``.
    """
    result = {}
    for name, call in CALLS.items():
        if name == "statsmodels" and people > 100_000 and not slow:
            continue
        code = MEMORY.replace("{people}", str(people)).replace("{call}", call)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        before, peak = (float(number) for number in done.stdout.split())
        if name == "ours":
            result |= {"frame_gb": round(before, 2), "peak_gb": round(peak, 2)}
        else:
            result |= {"statsmodels_gb": round(peak, 2), "share_of_statsmodels": round(result["peak_gb"] / peak, 2)}
    return result


JOBS = {"hazard": hazard, "bootstrap": refits, "one-step": one_step, "absorbed": absorbed}


def main() -> None:
    """Run the jobs that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[4_000, 40_000])
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=[*JOBS, "memory"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--slow", action="store_true")
    arguments = parser.parse_args()
    for people in arguments.people:
        frame = panel(people)
        for job in arguments.jobs:
            runs = arguments.runs if people < 100_000 else min(arguments.runs, 3)
            numbers = memory(people, arguments.slow) if job == "memory" else JOBS[job](frame, runs, arguments.slow)
            print(json.dumps({"job": job, "people": people, **numbers}), flush=True)


if __name__ == "__main__":
    main()
