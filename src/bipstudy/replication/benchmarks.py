"""The published Danish findings, read from ``data_schemas/benchmarks``."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bipstudy import schema
from bipstudy.texts import BipstudyError, text

UNITS = ("relative", "percentage_points", "share", "count", "sign")
USES = ("compare", "sign_only", "context", "not_computable")
ADJUSTED = ("adjusted", "raw", "unknown")
CONFIDENCES = ("SEEN", "INFER", "SEED", "RECALL")
# No source has been read for these, so their numbers are never compared.
UNSOURCED = ("SEED", "RECALL")


@dataclass(frozen=True)
class Part:
    """One number of a finding that consists of several.

    Attributes
    ----------
    contrast : str
        Which of the numbers it is.
    value : float
        The number, in the unit of the finding.
    label : dict of str to str
        ``{"sv": ..., "en": ...}``.
    """

    contrast: str
    value: float
    label: dict[str, str]


@dataclass(frozen=True)
class Benchmark:
    """One published Danish finding.

    Attributes
    ----------
    id : str
        ``R1`` to ``R17`` for results, ``D1`` to ``D11`` for shares of the participants.
    analysis : str
        The analysis that answers to it.
    label : dict of str to str
        What it is, ``{"sv": ..., "en": ...}``.
    value : float or None
        As published, in `unit`; None where no number was published.
    unit : {"relative", "percentage_points", "share", "count", "sign"}
        A relative value is a ratio (1.33 is 33 per cent higher), a share a proportion, a sign 1, 0 or -1.
    outcome, contrast : str
        What it is about.
    horizon_months : int or None
        None where unpublished.
    adjusted : {"adjusted", "raw", "unknown"}
    std_error : float or None
        In `unit`, of the logarithm for a relative value. None where unpublished.
    use : {"compare", "sign_only", "context", "not_computable"}
    reading : dict of str to str
        What is unknown about it, and how it is read.
    differences : dict of str to str
        Why a Swedish number may differ although nothing is wrong.
    source : str
        Address of the source.
    confidence : {"SEEN", "INFER", "SEED", "RECALL"}
    also : tuple of str
        Further addresses.
    check : str
        Contrast of an estimate that tests what the comparison rests on: a small p-value is shown as a warning beside
        the verdict. Empty where there is none.
    parts : tuple of Part
        The numbers of a finding that consists of several; the first is `value`.
    words : dict of str to str
        The number as the source puts it, ``{"sv": ..., "en": ...}``, where a bare number would say more than the source
        does: "about half" is no 50 per cent. Empty where the number stands for itself.
    """

    id: str
    analysis: str
    label: dict[str, str]
    value: float | None
    unit: str
    outcome: str
    contrast: str
    horizon_months: int | None
    adjusted: str
    std_error: float | None
    use: str
    reading: dict[str, str]
    differences: dict[str, str]
    source: str
    confidence: str
    also: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    check: str = ""
    words: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> float:
        """The value on the scale of our estimates: points as a difference of proportions; NaN where unpublished."""
        if self.value is None:
            return math.nan
        return self.value / 100.0 if self.unit == "percentage_points" else float(self.value)

    @property
    def reference_error(self) -> float:
        """The standard error on the scale of our estimates (of the logarithm for a ratio); NaN where unpublished."""
        if self.std_error is None:
            return math.nan
        return self.std_error / 100.0 if self.unit == "percentage_points" else float(self.std_error)

    @property
    def is_sourced(self) -> bool:
        """Whether a source has been read, so that the number may be compared."""
        return self.confidence not in UNSOURCED

    def direction_in(self, language: str) -> str:
        """Return the published direction in words; empty where a number was published.

        Parameters
        ----------
        language : {"sv", "en"}

        Returns
        -------
        str

        Examples
        --------
        >>> known = {benchmark.id: benchmark for benchmark in read_benchmarks()}
        >>> [known[name].direction_in("sv") for name in ("R10", "R12", "R3")]
        ['negativ', 'positiv', '']
        """
        if self.unit != "sign" or self.value is None:
            return ""
        word = {1.0: "up", -1.0: "down", 0.0: "none"}[self.value]
        return text(f"replication.sign.{word}", language)


def read_benchmarks(path: str | Path | None = None) -> tuple[Benchmark, ...]:
    """Return the published findings, in the order of their file.

    Parameters
    ----------
    path : str or Path, optional
        A file like ``data_schemas/benchmarks/danish.yaml``. Left out: the file that the variable
        ``BIPSTUDY_BENCHMARKS`` names, else the file of the package.

    Returns
    -------
    tuple of Benchmark

    Raises
    ------
    BipstudyError
        The file is absent, or an entry is incomplete, holds an unknown word or comes twice.

    Examples
    --------
    >>> found = {benchmark.id: benchmark for benchmark in read_benchmarks()}
    >>> found["R3"].value, found["R3"].unit, found["R3"].std_error
    (0.78, 'relative', None)
    """
    chosen = Path(path or os.environ.get("BIPSTUDY_BENCHMARKS") or schema.folder() / "benchmarks" / "danish.yaml")
    if not chosen.is_file():
        raise BipstudyError("replication.no_benchmark_file", path=chosen)
    entries = schema.read_yaml(chosen).get("benchmarks") or []
    found = tuple(_benchmark(entry, number) for number, entry in enumerate(entries, start=1))
    seen: set[str] = set()
    for benchmark in found:
        if benchmark.id in seen:
            raise BipstudyError("replication.benchmark_twice", id=benchmark.id)
        seen.add(benchmark.id)
    return found


def are_own(benchmarks: tuple[Benchmark, ...]) -> bool:
    """Say whether findings are other than those of the package."""
    return benchmarks != read_benchmarks(schema.folder() / "benchmarks" / "danish.yaml")


def as_yaml(benchmarks: tuple[Benchmark, ...]) -> str:
    """Return findings as a file that `read_benchmarks` reads.

    Parameters
    ----------
    benchmarks : tuple of Benchmark

    Returns
    -------
    str
        YAML.
    """
    import yaml

    entries = [{**asdict(each), "also": list(each.also), "parts": list(map(asdict, each.parts))} for each in benchmarks]
    words: str = yaml.safe_dump({"benchmarks": entries}, sort_keys=False, allow_unicode=True, width=110)
    return words


def _benchmark(entry: Mapping[str, Any], number: int) -> Benchmark:
    """Build one finding from its YAML entry."""
    name = str(entry.get("id", f"#{number}"))
    required = [field for field in Benchmark.__dataclass_fields__ if field not in ("also", "parts", "check", "words")]
    missing = [field for field in required if field not in entry]
    words = dict(entry.get("words") or {})
    missing += [f"words.{language}" for language in ("sv", "en") if words and language not in words]
    if missing:
        raise BipstudyError("replication.benchmark_incomplete", id=name, fields=", ".join(missing))
    for name_of, known in (("unit", UNITS), ("use", USES), ("adjusted", ADJUSTED), ("confidence", CONFIDENCES)):
        if entry[name_of] not in known:
            raise BipstudyError("replication.benchmark_word", id=name, field=name_of, known=", ".join(known))
    numbers = {field: None if entry[field] is None else float(entry[field]) for field in ("value", "std_error")}
    if numbers["std_error"] is not None and not numbers["std_error"] > 0:
        raise BipstudyError("replication.benchmark_error", id=name)
    return Benchmark(
        **{field: entry[field] for field in required if field not in numbers},
        value=numbers["value"],
        std_error=numbers["std_error"],
        also=tuple(entry.get("also", ())),
        parts=tuple(Part(part["contrast"], float(part["value"]), part["label"]) for part in entry.get("parts", ())),
        check=str(entry.get("check", "")),
        words=words,
    )
