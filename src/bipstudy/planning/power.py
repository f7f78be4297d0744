"""Power and precision of a planned study, by simulating it many times."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.planning.questions import Question, question
from bipstudy.planning.replicates import Point, Store, replicate_points
from bipstudy.planning.sizes import Numbers, Size, sizes
from bipstudy.simulation.scenario import Scenario, scenario
from bipstudy.texts import BipstudyError, default_language

# Whether to go on is decided after so many replicates of a point, in their order.
BATCH = 100
COLUMNS = (
    "question", "effect", "assumed", "true", "organisations", "caseworkers", "participants_per_caseworker",
    "participants", "occasions", "response", "dropout", "follow_up_months", "replicates", "failed", "mean", "bias",
    "coverage", "coverage_mean", "width", "power", "power_error", "conclusive", "conclusive_error", "excludes_danish",
    "excludes_danish_error",
)  # fmt: skip


@dataclass(frozen=True)
class PowerResult:
    """Power and precision, one row per size and effect.

    Attributes
    ----------
    table : DataFrame
        ``question, effect`` (danish, none or a ratio), ``assumed`` (ratio given to the simulator), ``true`` (mean of
        the ratio in the simulated studies: for belief by the caseworkers' true optimism, which the estimate knows from
        few answers, so that it is drawn towards 1), the size, ``replicates`` made, ``failed`` (no estimate), ``mean``
        (geometric mean of the estimates), ``bias`` (log scale), ``coverage`` of the true ratio, ``coverage_mean`` (of
        the mean of the estimates: near 95 per cent if the errors are right, also where the estimate is drawn towards
        1), ``width`` (median of upper divided by lower limit), ``power`` (share of intervals wholly on the Danish side
        of no effect), ``conclusive`` (share wholly on either side) and ``excludes_danish`` (share that does not hold
        the Danish value), the last three with Monte Carlo errors. A failed replicate is not conclusive.
    facts : dict
        What it takes to rerun it: question, scenario and its hash, seed, largest number of replicates, wanted Monte
        Carlo error.
    """

    table: pd.DataFrame
    facts: dict[str, Any]

    def figure(self, language: str | None = None) -> Any:
        """Return the curves of power and conclusiveness over the number of participants.

        Parameters
        ----------
        language : {"sv", "en"}, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        from bipstudy.planning.page import draw

        return draw(self, language or default_language())

    def to_html(self, path: str | Path | None = None, language: str | None = None) -> str:
        """Return answer, figure, table and assumptions as one page, and write it if a path is given."""
        from bipstudy.planning.page import compose

        page = compose(self, language or default_language()).to_html()
        if path is not None:
            Path(path).write_text(page, encoding="utf-8", newline="\n")
        return page

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        return str(self.table.to_html(index=False))


def power(
    asked: str,
    *,
    effects: Sequence[str | float] | str | float = ("danish", "none"),
    organisations: Numbers = 6,
    caseworkers: Numbers = 300,
    participants_per_caseworker: Numbers = 8,
    occasions: Numbers = None,
    response: Numbers = None,
    dropout: Numbers = None,
    follow_up_months: Numbers = None,
    base: str | Path | Scenario = "swedish_pilot",
    replicates: int = 1000,
    monte_carlo_error: float = 0.02,
    seed: int = 1,
    n_jobs: int = 1,
    scheduler: str | None = None,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PowerResult:
    """Simulate planned studies and say how often each would settle the question.

    Parameters
    ----------
    asked : {"belief", "continuity"}
        Question: the caseworker's optimism above against below the median and work or study (held against the Danish
        +33 per cent), or a first change of caseworker and work (against the Danish -22 per cent).
    effects : "danish", "none" or ratio, or several
        What is true in the simulated world.
    organisations, caseworkers, participants_per_caseworker : number or several
        Every combination is planned.
    occasions, response, dropout, follow_up_months : number or several, optional
        As in `Size`; what is left out is as in the scenario.
    base : str, Path or Scenario
        Everything else about the world: a scenario of the package or a YAML file.
    replicates : int, default 1000
        At most so many studies of each size and effect.
    monte_carlo_error : float, default 0.02
        A point is done when the Monte Carlo errors of all three shares are this small; looked at after every 100
        replicates in their order.
    seed : int, default 1
    n_jobs : int, default 1
        Processes on this machine; the numbers are the same for any.
    scheduler : str, optional
        Address of a Dask scheduler, as in ``tcp://host:8786``; needs the extra ``distributed``.
    out : str or Path, optional
        Folder that keeps finished replicates: the same call goes on where it was interrupted. ``power.csv``,
        ``power.json`` and ``power.html`` are written there at the end.
    progress : callable of (done, planned), optional
        Called when replicates have come in.

    Returns
    -------
    PowerResult

    Raises
    ------
    BipstudyError
        An unknown question, effect or size, or the folder was made by another plan.

    Notes
    -----
    The Monte Carlo error of a share p of n replicates is sqrt(q (1 - q) / n) with q = (n p + 1) / (n + 2), so that it
    is not zero where all replicates agree.

    Examples
    --------
    >>> import bipstudy as bip
    >>> found = bip.planning.power("continuity", effects="danish", caseworkers=20, replicates=2)
    >>> found.table[["participants", "replicates"]].values.tolist()
    [[160, 2]]
    """
    chosen = question(asked)
    given = scenario(base)
    if replicates < 1 or not 0 < monte_carlo_error < 1:
        raise BipstudyError("planning.bad_precision")
    wanted = sizes(
        organisations=organisations, caseworkers=caseworkers, participants_per_caseworker=participants_per_caseworker,
        occasions=occasions, response=response, dropout=dropout, follow_up_months=follow_up_months,
    )  # fmt: skip
    labels = [effects] if isinstance(effects, str | float | int) else list(effects)
    points = [_point(chosen, size, label, given) for size in wanted for label in labels]
    facts = {
        "question": asked, "scenario": given.name, "scenario_hash": given.hash, "seed": seed,
        "replicates": replicates, "monte_carlo_error": monte_carlo_error, "danish": chosen.danish,
    }  # fmt: skip
    store = Store(None if out is None else Path(out), facts)
    replies = replicate_points(
        points, store, most=replicates, batch=BATCH, seed=seed, n_jobs=n_jobs, scheduler=scheduler,
        enough=lambda found: _precise(found, chosen, monte_carlo_error), progress=progress,
    )  # fmt: skip
    rows = [_row(point, found, chosen) for point, found in zip(points, replies, strict=True)]
    result = PowerResult(pd.DataFrame(rows, columns=list(COLUMNS)), facts)
    if out is not None:
        _write(result, Path(out))
    return result


def _point(chosen: Question, size: Size, label: str | float, base: Scenario) -> Point:
    """Return one size under one effect."""
    known = {"danish": chosen.danish, "none": 1.0}
    try:
        assumed = known[label] if isinstance(label, str) and label in known else float(label)
    except ValueError:
        raise BipstudyError("planning.unknown_effect", effect=str(label)) from None
    if not (math.isfinite(assumed) and assumed > 0):
        raise BipstudyError("planning.unknown_effect", effect=str(label))
    name = label if label in known else f"{assumed:g}"
    return Point(chosen.name, str(name), assumed, size, chosen.apply(size.scenario(base), assumed))


def _shares(found: pd.DataFrame, chosen: Question) -> dict[str, float]:
    """Return power, conclusiveness and how often the Danish value is excluded."""
    danish = math.log(chosen.danish)
    sign = 1.0 if danish > 0 else -1.0
    low = np.where(sign > 0, found["low"], -found["high"])
    high = np.where(sign > 0, found["high"], -found["low"])
    beside = ~((found["low"] <= danish) & (danish <= found["high"])) & found["low"].notna()
    return {
        "power": float((low > 0).mean()),
        "conclusive": float(((low > 0) | (high < 0)).mean()),
        "excludes_danish": float(beside.mean()),
    }


def monte_carlo_error(share: float, count: int) -> float:
    """Return the Monte Carlo error of a share, not zero where all replicates agree."""
    drawn = (share * count + 1) / (count + 2)
    return math.sqrt(drawn * (1 - drawn) / count)


def _precise(found: pd.DataFrame, chosen: Question, wanted: float) -> bool:
    """Say whether every share is known well enough."""
    return all(monte_carlo_error(share, len(found)) <= wanted for share in _shares(found, chosen).values())


def _row(point: Point, found: pd.DataFrame, chosen: Question) -> dict[str, Any]:
    """Return one row of the table."""
    made = found.dropna(subset=["low", "high"])
    true = float(found["truth"].mean())
    mean = float(made["estimate"].mean()) if len(made) else math.nan
    shares = _shares(found, chosen)
    return {
        "question": point.question,
        "effect": point.effect,
        "assumed": point.assumed,
        "true": math.exp(true),
        **asdict(point.size),
        "participants": point.size.participants,
        "replicates": len(found),
        "failed": len(found) - len(made),
        "mean": math.exp(mean),
        "bias": mean - true,
        "coverage": float(((made["low"] <= made["truth"]) & (made["truth"] <= made["high"])).mean()),
        "coverage_mean": float(((made["low"] <= mean) & (mean <= made["high"])).mean()),
        "width": math.exp(float((made["high"] - made["low"]).median())) if len(made) else math.nan,
        **shares,
        **{f"{name}_error": monte_carlo_error(share, len(found)) for name, share in shares.items()},
    }


def _write(result: PowerResult, folder: Path) -> None:
    """Write table, facts and page."""
    result.table.to_csv(folder / "power.csv", index=False, lineterminator="\n")
    rows = json.loads(result.table.to_json(orient="records", double_precision=15))
    content = {**result.facts, "rows": rows}
    (folder / "power.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    result.to_html(folder / "power.html")
