"""The figures of a report: those of the analyses with the Danish values in them, and the forest of all findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bipstudy.analyses import FigureSpec
from bipstudy.analyses.published import with_numbers
from bipstudy.replication import worlds
from bipstudy.replication.benchmarks import Benchmark
from bipstudy.replication.beside import Words, records

if TYPE_CHECKING:
    from bipstudy.replication.run import Run
    from bipstudy.report.pictures import Picture

# Draws a figure when it is called, here or in another process.
Drawing = Callable[[], Any]


def draw_figures(run: Run) -> dict[str, Any]:
    """Return every figure of a run, drawn, by ``<analysis>_<name>``.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict of str to matplotlib.figure.Figure
    """
    return {name: draw() for name, draw in drawings(run).items()}


def drawings(run: Run) -> dict[str, Drawing]:
    """Return what draws each figure of a run, by name, in the order in which the report shows them."""
    agreement = {f"agreement_{name}": draw for name, draw in _agreement_figures(run).items() if draw is not None}
    analyses = {
        f"{name}_{figure}": partial(with_benchmarks(spec, run.benchmarks).draw, run.language)
        for name, result in run.results.items()
        for figure, spec in result.figures.items()
    }
    first = {name: draw for name, draw in agreement.items() if name == "agreement_all"}
    return {**first, **analyses, **agreement, **worlds.drawings(run)}


class Pictures(Mapping[str, "Picture"]):
    """The figures of a run as they are saved, each drawn once; other processes draw while this one goes on.

    Parameters
    ----------
    run : Run
    n_jobs : int
        Processes.
    """

    def __init__(self, run: Run, n_jobs: int) -> None:
        waiting = drawings(run)
        self._names = list(waiting)
        self._coming = zip(waiting, _drawn(list(waiting.values()), n_jobs), strict=True)
        self._made: dict[str, Picture] = {}

    def __getitem__(self, name: str) -> Picture:
        """Return a picture, as soon as those before it are drawn."""
        if name not in self._names:
            raise KeyError(name)
        while name not in self._made:
            drawn, picture = next(self._coming)
            self._made[drawn] = picture
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names in the order of the report."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of figures."""
        return len(self._names)


def _drawn(waiting: list[Drawing], n_jobs: int) -> Iterator[Picture]:
    """Draw figures one after the other, here or in processes."""
    if n_jobs == 1:
        return map(_draw, waiting)
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=n_jobs, return_as="generator", pre_dispatch="all", batch_size=1, max_nbytes=None)
    pictures: Iterator[Picture] = pool(delayed(_draw)(each) for each in waiting)
    return pictures


def _draw(drawing: Drawing) -> Picture:
    """Draw a figure and save it."""
    from bipstudy.report.pictures import picture

    return picture(drawing())


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
    """Return what draws the forests of all benchmarks: numbers divided by the Danish ones, and directions."""
    from bipstudy.report import figures

    say = Words(run.language)
    known = {benchmark.id: benchmark.reference for benchmark in run.benchmarks}
    rows, signs = [], []
    for row in records(run.agreement.dropna(subset=["ours", "conf_low"])):
        label = f"{row['benchmark']}  {row['label']}"
        ends = {"conf_low": row["conf_low"], "conf_high": row["conf_high"]}
        if row["unit"] == "sign" and row["scale"] == "sd":
            signs.append({"label": label, "estimate": row["ours"], **ends, "direction": known[row["benchmark"]]})
        elif row["unit"] != "sign" and row["ours"] > 0:
            divided = {name: value / row["danish"] for name, value in {"estimate": row["ours"], **ends}.items()}
            rows.append({"label": label, "group": say(f"group.{row['unit']}"), **divided})
    # On an axis of quotients an interval that reaches nought or below it has no end: it is cut left of all others.
    ends_at = (
        min((value for row in rows for value in (row["estimate"], row["conf_low"]) if value > 0), default=1.0) / 1.5
    )
    for one in rows:
        one["drawn_low"] = ends_at if one["conf_low"] <= 0 else np.nan
    order = [say(f"group.{unit}") for unit in ("relative", "percentage_points", "share", "count")]
    rows.sort(key=lambda row: order.index(row["group"]))
    return {
        "all": partial(figures.forest, pd.DataFrame(rows), language=run.language, axis_label=say("axis_all"))
        if rows
        else None,
        "signs": partial(
            figures.forest,
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
