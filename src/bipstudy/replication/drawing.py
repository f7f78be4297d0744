"""The figures of a report: those of the analyses with the Danish values in them, and the forest of all findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses import FigureSpec
from bipstudy.analyses.published import with_numbers
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
    numbers: dict[tuple[str, str], float] = {}
    for benchmark in benchmarks:
        if benchmark.is_sourced and benchmark.unit != "sign":
            numbers[benchmark.id, ""] = benchmark.reference
            numbers |= {(benchmark.id, part.contrast): part.value for part in benchmark.parts}
    return replace(spec, frame=with_numbers(spec.frame, numbers))


def _agreement_figures(run: Run) -> dict[str, Any]:
    """Return the forest plots of all benchmarks: numbers divided by the Danish ones, and directions."""
    from bipstudy.report import figures

    say = Words(run.language)
    known = {benchmark.id: benchmark.reference for benchmark in run.benchmarks}
    rows, signs = [], []
    for row in records(run.agreement.dropna(subset=["ours", "conf_low"])):
        label = f"{row['benchmark']}  {row['label']}"
        ends = {"conf_low": row["conf_low"], "conf_high": row["conf_high"]}
        if row["unit"] == "sign" and row["scale"] == "sd":
            signs.append({"label": label, "estimate": row["ours"], **ends, "direction": known[row["benchmark"]]})
        elif row["unit"] != "sign" and row["ours"] > 0 and row["conf_low"] > 0:
            divided = {name: value / row["danish"] for name, value in {"estimate": row["ours"], **ends}.items()}
            rows.append({"label": label, "group": say(f"group.{row['unit']}"), **divided})
    order = [say(f"group.{unit}") for unit in ("relative", "percentage_points", "share", "count")]
    rows.sort(key=lambda row: order.index(row["group"]))
    return {
        "all": figures.forest(pd.DataFrame(rows), language=run.language, axis_label=say("axis_all")) if rows else None,
        "signs": figures.forest(
            pd.DataFrame(signs),
            language=run.language,
            reference=0.0,
            log=False,
            axis_label=say("axis_signs"),
            benchmark_label=say("direction_label"),
        )
        if signs
        else None,
    }
