"""How often the design of optimism says what is true: verdicts on R2a and R2b over many simulated studies.

``python -m bipstudy.certification.optimism FOLDER`` draws studies of the scenarios in which belief does not act,
answers each as a replication does, keeps one line for every study in the folder and goes on there if interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses.belief import primary_samples
from bipstudy.analyses.belief_contrasts import MAIN, rung
from bipstudy.analyses.estimating import estimates
from bipstudy.panel import build_panel
from bipstudy.replication import agreement
from bipstudy.simulation import simulate_study
from bipstudy.study import Study

SCENARIOS = ("null", "selection_only", "sorted")
SEED = 7


def verdicts(study: Study) -> dict[str, Any]:
    """Return what a study says of R2a and R2b, and of the answer about the participant itself.

    Parameters
    ----------
    study : Study

    Returns
    -------
    dict
        ``R2a, R2b`` (verdicts), ``warns`` (the verdict on R2a carries the warning of the balance test), ``ratio``, its
        ``error`` (log scale), ``low`` and ``high`` (R2a), ``balance`` (p-value), ``raw`` and ``adjusted`` (risk ratio
        of the two highest against the two lowest answers), ``adjusted_low``.
    """
    sample, compared = primary_samples(study, build_panel(study))
    outcomes = (("y", "work_or_study"), ("y_work", "work"))
    steps = [rung(sample, "y", "work_or_study", 12, name, "secondary")[0] for name in ("raw", MAIN)]
    reduced = [(design.main_label(name, 12), design.above_against_below(compared, column)) for column, name in outcomes]
    label, balance, _ = design.balance_of_answers(compared)
    held = agreement(estimates([*reduced, (label, balance)]), language="en").set_index("benchmark")
    (_, raw), (_, adjusted), (_, main) = *steps, reduced[0]
    return {
        "R2a": held.loc["R2a", "verdict"],
        "R2b": held.loc["R2b", "verdict"],
        "warns": bool(held.loc["R2a", "warning"]),
        "ratio": main.estimate,
        "error": main.std_error,
        "low": main.conf_low,
        "high": main.conf_high,
        "balance": balance.p_value,
        "raw": raw.estimate,
        "adjusted": adjusted.estimate,
        "adjusted_low": adjusted.conf_low,
    }


def rates(found: pd.DataFrame) -> pd.Series:
    """Return shares of verdicts and means of estimates over the studies of one scenario.

    Parameters
    ----------
    found : DataFrame
        Rows from `verdicts`.

    Returns
    -------
    Series
        Shares as per cent, ratios as geometric means.
    """
    logs = np.log(found[["ratio", "raw", "adjusted"]].astype(float))
    shares = {
        **{
            f"{name} {verdict}": (found[name] == verdict).mean()
            for name in ("R2a", "R2b")
            for verdict in ("inconclusive", "consistent in direction", "inconsistent in direction")
        },
        "interval of R2a holds 1": ((found["low"] <= 1) & (found["high"] >= 1)).mean(),
        "balance test warns": found["warns"].mean(),
        "adjusted contrast of answers above 1": (found["adjusted_low"] > 1).mean(),
    }
    return pd.Series(
        {
            "studies": len(found),
            **{name: 100 * share for name, share in shares.items()},
            **{f"mean {name}": math.exp(logs[name].mean()) for name in logs},
            "error to spread of R2a": math.sqrt((found["error"] ** 2).mean()) / logs["ratio"].std(),
        }
    )


def main(arguments: Sequence[str] | None = None) -> pd.DataFrame:
    """Draw studies, keep what each says, and print the rates."""
    parser = argparse.ArgumentParser(prog="python -m bipstudy.certification.optimism")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--participants", type=int, default=3000)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, list[dict[str, Any]]] = {}
    for name in given.scenarios:
        path = given.folder / f"{name}_{given.participants}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept[name] = [json.loads(line) for line in lines[: given.studies]]
    # One of each scenario at a time, so that an interrupted run says something about all.
    for number in range(given.studies):
        for name in given.scenarios:
            if len(kept[name]) > number:
                continue
            seed = np.random.SeedSequence(SEED, spawn_key=(number,))
            study, _ = simulate_study(given.participants, seed, name)
            kept[name].append(verdicts(study))
            with (given.folder / f"{name}_{given.participants}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept[name][-1]) + "\n")
    table = pd.DataFrame({name: rates(pd.DataFrame(rows)) for name, rows in kept.items()})
    print(table.round(2).to_string())
    return table


if __name__ == "__main__":
    main()
