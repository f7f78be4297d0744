"""Whether the interval of the ratio by optimism covers, on the samples that simulated studies leave to be compared.

``python -m bipstudy.certification.optimism_errors 8 16 32`` simulates Swedish pilots with so many participants for each
of 300 caseworkers, keeps whom the design compares, and draws their outcomes anew without any effect of optimism, with
the risks that the sample's background and cells predict and with lasting differences between caseworkers. Drawing
outcomes takes a hundredth of the time of drawing studies, so that coverage can be told to a percentage point.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.belief import primary_samples
from bipstudy.analyses.within_cells import relative_risk, unit_columns
from bipstudy.models import ModelError
from bipstudy.models.tidy import critical_value
from bipstudy.panel import build_panel
from bipstudy.simulation import simulate_study
from bipstudy.simulation.scenario import scenario

SCENARIO, CASEWORKERS, SEED = "swedish_pilot", 300, 11
# Events that a cell is thought to have had at the risk of all, before its own are counted.
_PRIOR = 5.0


def sample_of(per_caseworker: int, number: int) -> dict[str, npt.NDArray[Any]]:
    """Return what `relative_risk` takes, of one simulated study.

    Parameters
    ----------
    per_caseworker : int
        Participants for each caseworker.
    number : int
        Of the study: its seed.

    Returns
    -------
    dict of str to array
    """
    given = scenario(SCENARIO).replace(design__clients_per_caseworker=float(per_caseworker))
    seed = np.random.SeedSequence(SEED, spawn_key=(per_caseworker, number))
    study, _ = simulate_study(CASEWORKERS * per_caseworker, seed, given)
    _, compared = primary_samples(study, build_panel(study))
    known = compared.frame[compared.frame["y_known"].to_numpy(dtype=bool)]
    return {
        "outcome": known["y"].to_numpy(dtype=np.float64),
        "exposure": known["above"].to_numpy(dtype=np.float64),
        "covariates": known[compared.covariates].to_numpy(dtype=np.float64),
        "cell": np.unique(known["cell"].to_numpy(), return_inverse=True)[1].astype(np.int64),
        "weights": known["ipcw"].to_numpy(dtype=np.float64),
        "cluster": np.unique(known["answering_caseworker"].astype(str), return_inverse=True)[1].astype(np.int64),
    }


def risks(sample: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return everybody's risk as cells and background predict it, and nothing by optimism."""
    from sklearn.linear_model import LogisticRegression

    outcome, cell = sample["outcome"], sample["cell"]
    score = LogisticRegression(C=0.1).fit(unit_columns(sample["covariates"]), outcome)
    cells = (np.bincount(cell, weights=outcome) + _PRIOR * outcome.mean()) / (np.bincount(cell) + _PRIOR)
    relative = np.exp(score.decision_function(unit_columns(sample["covariates"]))) * cells[cell]
    return np.asarray(relative * outcome.mean() / relative.mean(), dtype=np.float64)


def coverage(per_caseworker: int, studies: int, draws: int) -> pd.DataFrame:
    """Return how often intervals hold one, and how errors compare with the spread of the estimates.

    Parameters
    ----------
    per_caseworker, studies, draws : int
        Participants for each caseworker, studies simulated, and outcomes drawn for each.

    Returns
    -------
    DataFrame
        One row for each way to adjust: ``default``, ``diffuse`` (a penalty worth one event) and ``none``.
    """
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(per_caseworker,)))
    ways: dict[str, dict[str, Any]] = {"default": {}, "diffuse": {"penalty": 1.0}, "none": {"covariates": None}}
    found: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in ways}
    spread = scenario(SCENARIO).caseworkers.skill_sd
    for number in range(studies):
        sample = sample_of(per_caseworker, number)
        expected, rows = risks(sample), len(sample["outcome"])
        for _ in range(draws):
            skill = rng.normal(-(spread**2) / 2, spread, int(sample["cluster"].max()) + 1)
            chance = np.minimum(expected * np.exp(skill)[sample["cluster"]], 1.0)
            drawn = {**sample, "outcome": (rng.random(rows) < chance).astype(np.float64)}
            for name, changes in ways.items():
                given = {**drawn, **changes}
                given["covariates"] = np.zeros((rows, 0)) if given["covariates"] is None else given["covariates"]
                try:
                    one = relative_risk(**given)
                except ModelError:
                    continue
                half = float(critical_value(0.95, one.degrees)) * one.std_error
                found[name].append((one.log_ratio, one.std_error, half, one.events))
    return pd.DataFrame([_row(name, np.array(values)) for name, values in found.items()])


def _row(name: str, values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return one line of the table."""
    logs, errors, half, events = values.T
    return {
        "adjusted": name,
        "draws": len(logs),
        "events": events.mean(),
        "mean_log": logs.mean(),
        "spread": logs.std(ddof=1),
        "error_to_spread": math.sqrt((errors**2).mean()) / logs.std(ddof=1),
        "covers": 100 * (np.abs(logs) <= half).mean(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of each size."""
    parser = argparse.ArgumentParser(prog="python -m bipstudy.certification.optimism_errors")
    parser.add_argument("per_caseworker", type=int, nargs="+")
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--draws", type=int, default=15)
    given = parser.parse_args(arguments)
    for size in given.per_caseworker:
        print(size, coverage(size, given.studies, given.draws).round(3).to_string(index=False), sep="\n", flush=True)


if __name__ == "__main__":
    main()
