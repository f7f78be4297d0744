"""Run the rows that are about whole analyses: each simulated study answers every estimand of its scenario."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from bipstudy.certification.coverage import Run
from bipstudy.certification.design import Design, Floats
from bipstudy.certification.estimands import PARTICIPANTS, answer, draw, estimands
from bipstudy.certification.kept import Kept, Row, replicated
from bipstudy.study import Study
from bipstudy.texts import BipstudyError

__all__ = ["run_studies"]

CHUNK = 5
FAILURES = (ValueError, ArithmeticError, np.linalg.LinAlgError, BipstudyError)


def run_studies(
    chosen: Sequence[Design],
    *,
    replicates: int,
    seed: int = 1,
    n_jobs: int = 1,
    progress: Callable[[str], None] | None = None,
    kept: Kept | None = None,
) -> tuple[Run, ...]:
    """Simulate studies and ask every estimand of each.

    The random numbers of a study hang on the seed, its scenario and its number only.

    Parameters
    ----------
    chosen : sequence of Design
        Of `bipstudy.certification.estimands.estimand_designs`.
    replicates : int
        Studies of each scenario.
    seed : int, default 1
    n_jobs : int, default 1
        Processes.
    progress : callable of str, optional
        Called with the name of each scenario when it begins.
    kept : Kept, optional
        Where answers are kept; studies that are there already are not simulated again.

    Returns
    -------
    tuple of Run
        In the order of the designs. An estimand without an answer has failed in that study.

    Examples
    --------
    >>> run_studies((), replicates=3)
    ()
    """
    from joblib import Parallel

    found: dict[str, Floats] = {}
    kept = Kept() if kept is None else kept
    with Parallel(n_jobs=n_jobs, return_as="generator_unordered") as pool:
        for scenario in dict.fromkeys(design.scenario for design in chosen):
            if progress is not None:
                progress(scenario)
            names = [design.name for design in chosen if design.scenario == scenario]
            seeds = np.random.SeedSequence([seed, zlib.crc32(scenario.encode())]).spawn(replicates)
            of, make = (seed, scenario, PARTICIPANTS, names), partial(_answers, scenario, names)
            rows = replicated(kept, f"studies-{scenario}", of, seeds, make, chunk=CHUNK, pool=pool)
            intervals = np.array(rows, dtype=np.float64)
            found |= {name: intervals[:, place] for place, name in enumerate(names)}
    return tuple(_run(design, found[design.name]) for design in chosen)


def _run(design: Design, intervals: Floats) -> Run:
    """Return a run; who gave no estimate has failed."""
    missing = int(np.isnan(intervals[:, 0]).sum())
    return Run(design, intervals, ("no answer",) * missing)


def _answers(scenario: str, names: list[str], seeds: Sequence[np.random.SeedSequence]) -> list[Row]:
    """Return the answers of some studies: for each of the names estimate, standard error and ends."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    wanted = {f"{scenario}.{each.name}": each for each in estimands()}
    analyses = list(dict.fromkeys(wanted[name].analysis for name in names))
    answers = []
    with threadpool_limits(1):
        for seed in seeds:
            table = _table(draw(scenario, np.random.default_rng(seed)), analyses)
            answers.append([[float(number) for number in answer(wanted[name], table)] for name in names])
    return answers


def _table(study: Study, analyses: list[str]) -> pd.DataFrame:
    """Return the primary estimates; those of an analysis that fails are left out."""
    from bipstudy.analyses.headlines import headlines

    try:
        return headlines(study, analyses)
    except FAILURES:
        tables = []
        for name in analyses:
            try:
                tables.append(headlines(study, [name]))
            except FAILURES:
                continue
        return pd.concat(tables, ignore_index=True) if tables else headlines(study, [])
