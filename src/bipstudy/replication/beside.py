"""The words of a report: our numbers and the Danish ones, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses.wording import written
from bipstudy.replication.agreement import RATIOS
from bipstudy.replication.benchmarks import Benchmark
from bipstudy.replication.layouts import unbroken
from bipstudy.report.numbers import interval, number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.replication.run import Run


class Words:
    """Sentences of this part of the catalogue in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence."""
        return text(f"replication.{key}", self.language, **values)

    def heads(self, *names: str) -> list[str]:
        """Return headings of columns."""
        return [self(f"column.{name}") for name in names]


def ours(row: Any, language: str) -> str:
    """Return our estimate with its interval, in the words of its scale.

    Parameters
    ----------
    row : mapping
        Row of the agreement.
    language : {"sv", "en"}

    Returns
    -------
    str
    """
    if pd.isna(row["ours"]):
        return "–"
    return written(row["scale"], row["ours"], row["conf_low"], row["conf_high"], language)


def ours_words(run: Run, benchmark: Benchmark, row: Any) -> str:
    """Return our estimate, unbroken; of a finding of several numbers all of them."""
    own = run.agreement_parts[run.agreement_parts["benchmark"] == benchmark.id].dropna(subset=["ours"])
    if len(own) < 2:
        return unbroken(ours(row, run.language))
    return " · ".join(
        unbroken(written("share", part["ours"], part["conf_low"], part["conf_high"], run.language))
        for part in records(own)
    )


def danish_words(benchmark: Benchmark, language: str) -> str:
    """Return the published value: as the source words it where a bare number would say more, else by its unit."""
    if benchmark.words and benchmark.is_sourced and benchmark.std_error is None:
        return benchmark.words[language].replace(" %", "\u00a0%")
    if benchmark.parts:
        return " · ".join(percent(part.value, language, 0) for part in benchmark.parts)
    if benchmark.value is None or not benchmark.is_sourced:
        return "–"
    if benchmark.unit == "share":
        return percent(benchmark.value, language, 0)
    if benchmark.unit == "percentage_points":
        return text("analyses.number.points", language, value=number(benchmark.value, language, 0))
    if benchmark.unit == "count":
        return number(benchmark.value, language, 0)
    if benchmark.unit == "sign":
        return benchmark.direction_in(language)
    return number(benchmark.value, language, 2)


def difference(row: Any, language: str) -> str:
    """Return the difference between the studies, for ratios the quotient."""
    if pd.isna(row["difference"]):
        return "–"
    low, high = row["difference_low"], row["difference_high"]
    if row["scale"] in RATIOS:
        value = text("replication.times", language, value=number(row["difference"], language, 2))
        return f"{value} ({interval(low, high, language, 2)})"
    if row["unit"] == "count":
        return number(row["difference"], language, 0)
    return written("risk_difference", row["difference"], low, high, language)


def shown_id(name: str) -> str:
    """Return the number of a finding as people read it; findings of one number are told apart by their label.

    Examples
    --------
    >>> shown_id("R16_wages")
    'R16'
    """
    return name.partition("_")[0]


def benchmark_of(run: Run, name: str) -> Benchmark:
    """Return a benchmark by its id."""
    return {benchmark.id: benchmark for benchmark in run.benchmarks}[name]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame."""
    records: list[dict[str, Any]] = frame.to_dict("records")
    return records
