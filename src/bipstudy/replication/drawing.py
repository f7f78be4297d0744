"""The figures of a report: those of the analyses with the Danish values in them, and the forest of all findings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses import FigureSpec
from bipstudy.replication import worlds
from bipstudy.replication.benchmarks import Benchmark
from bipstudy.replication.beside import Words, records

if TYPE_CHECKING:
    from bipstudy.replication.run import Run


def draw_figures(run: Run) -> dict[str, Any]:
    """Return every figure of a run, drawn, by ``<analysis>_<name>``.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict of str to matplotlib.figure.Figure
    """
    found = {
        f"{name}_{figure}": with_benchmarks(spec, run.benchmarks).draw(run.language)
        for name, result in run.results.items()
        for figure, spec in result.figures.items()
    }
    found |= worlds.figures(run)
    found |= {f"agreement_{name}": figure for name, figure in _agreement_figures(run).items() if figure is not None}
    return found


def with_benchmarks(spec: FigureSpec, benchmarks: tuple[Benchmark, ...]) -> FigureSpec:
    """Return a figure with the published values beside its rows, where a row names a benchmark.

    Parameters
    ----------
    spec : FigureSpec
        Its frame may have the columns ``benchmark_id`` and, for findings of several numbers, ``contrast``.
    benchmarks : tuple of Benchmark

    Returns
    -------
    FigureSpec
    """
    if "benchmark_id" not in spec.frame:
        return spec
    known = {benchmark.id: benchmark for benchmark in benchmarks if benchmark.is_sourced}
    values = []
    for row in records(spec.frame):
        benchmark = known.get(row["benchmark_id"])
        parts = {} if benchmark is None else {part.contrast: part.value for part in benchmark.parts}
        values.append(math.nan if benchmark is None else parts.get(str(row.get("contrast")), benchmark.reference))
    options = {**spec.options, "benchmark_label_key": "replication.benchmark_label"}
    return replace(spec, frame=spec.frame.assign(benchmark=values), options=options)


def _agreement_figures(run: Run) -> dict[str, Any]:
    """Return the forest plots of all benchmarks: numbers divided by the Danish ones, and signs."""
    from bipstudy.report import figures

    say = Words(run.language)
    rows, signs = [], []
    for row in records(run.agreement.dropna(subset=["ours", "conf_low"])):
        label = f"{row['benchmark']}  {row['label']}"
        ends = {"conf_low": row["conf_low"], "conf_high": row["conf_high"]}
        if row["unit"] == "sign" and row["scale"] == "sd":
            signs.append({"label": label, "estimate": row["ours"], **ends})
        elif row["unit"] != "sign" and row["ours"] > 0 and row["conf_low"] > 0:
            divided = {name: value / row["danish"] for name, value in {"estimate": row["ours"], **ends}.items()}
            rows.append({"label": label, "group": say(f"group.{row['unit']}"), **divided})
    order = [say(f"group.{unit}") for unit in ("relative", "percentage_points", "share", "count")]
    rows.sort(key=lambda row: order.index(row["group"]))
    return {
        "all": figures.forest(pd.DataFrame(rows), language=run.language, axis_label=say("axis_all")) if rows else None,
        "signs": figures.forest(
            pd.DataFrame(signs), language=run.language, reference=0.0, log=False, axis_label=say("axis_signs")
        )
        if signs
        else None,
    }
