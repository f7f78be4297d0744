"""Compares two runs, number by number."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.replication.folder import MANIFEST, hashes, ours
from bipstudy.texts import DataError

# Sums in another order, as other processors and libraries make them, differ by less.
TOLERANCE = 1e-8
# What stands for zero: below it a relative difference compares rounding errors.
_ZERO = 1e-12
IDENTICAL, WITHIN, DIFFERENT = "identical", "within_tolerance", "different"
COLUMNS = ("file", "row", "column", "before", "after", "relative", "verdict")
PARTS = ("data", "plan", "code")
_KEYS: Mapping[str, tuple[str, ...]] = {
    # Without the horizon: a plan that changes it moves these numbers and makes no others.
    "estimates.csv": ("analysis", "contrast", "scale", "outcome", "adjustment", "term", "benchmark"),
    "bootstrap.csv": ("analysis", "contrast", "scale", "outcome", "adjustment", "term", "benchmark"),
    "planned.csv": ("analysis", "contrast", "scale", "outcome", "adjustment", "term"),
    "agreement.csv": ("benchmark",),
    "agreement_parts.csv": ("benchmark", "contrast"),
    "deviations.csv": ("item",),
}
_IN_MANIFEST: Mapping[str, tuple[str, ...]] = {
    "data": ("release", "study_hash", "tables", "schema_version", "erased", "benchmarks", "instruments"),
    "plan": ("plan", "plan_registered", "settings", "seed", "replications", "language"),
    "code": ("code", "versions"),
}


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes
    ----------
    cells : DataFrame
        Columns `COLUMNS`, a row for each cell that is not identical: its file, what row it is in, both values as text
        (empty where one run lacks it) and the relative difference of numbers.
    counts : mapping of str to int
        Cells that are identical, within tolerance and different.
    changed : mapping of str to tuple of str
        What of data, plan and code differs, by the entries of the manifest.
    documents : tuple of str
        Reports, figures and other files without numbers of their own whose bytes differ.
    altered : tuple of str
        Files that are not what their own manifest says.
    erased : int
        Participants erased from the release between the runs.
    """

    cells: pd.DataFrame
    counts: Mapping[str, int]
    changed: Mapping[str, tuple[str, ...]]
    documents: tuple[str, ...]
    altered: tuple[str, ...]
    erased: int

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Documents that differ although data, plan, code and every single number are the same.

        Another machine moves the last digits, and with them a picture; where not even those differ, nothing but
        somebody's hand does.
        """
        moved = self.counts[WITHIN] or self.counts[DIFFERENT] or any(self.changed.values())
        return () if moved else self.documents

    @property
    def same(self) -> bool:
        """Whether data, plan and every number are the same, and no file is other than what the run wrote.

        Numbers within tolerance are the same, and other code that gives them is none the worse.
        """
        other = self.changed["data"] or self.changed["plan"] or self.altered or self.unexplained
        return self.counts[DIFFERENT] == 0 and not other

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON holds it."""
        cells = self.cells.astype(object).where(self.cells.notna(), None)
        return {
            "same": self.same,
            "counts": dict(self.counts),
            "changed": {name: list(what) for name, what in self.changed.items()},
            "erased": self.erased,
            "altered": list(self.altered),
            "documents": list(self.documents),
            "unexplained": list(self.unexplained),
            "cells": cells.to_dict("records"),
        }


def read_run(folder: str | Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of a run and its files.

    Raises
    ------
    DataError
        The folder holds no finished run.
    """
    folder = Path(folder)
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        names = [str(name) for name in manifest["files"] if ours(str(name))]
        manifest["study_hash"], manifest["plan"], manifest["code"]["source"], manifest["language"]
        manifest["release"], sum(manifest.get("erased", {}).values()), len(manifest["settings"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError("runs.no_run", path=folder) from None
    return manifest, {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def compare_runs(before: str | Path, after: str | Path) -> Comparison:
    """Say whether data, plan or code changed between two runs, and by how much each number moved.

    Parameters
    ----------
    before, after : str or Path
        Folders of runs.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        A folder holds no finished run.
    """
    (former, first), (new, second) = read_run(before), read_run(after)
    return comparison(former, first, new, second)


def comparison(
    former: Mapping[str, Any], first: Mapping[str, bytes], new: Mapping[str, Any], second: Mapping[str, bytes]
) -> Comparison:
    """Compare two runs by their manifests and files."""
    found: list[tuple[Any, ...]] = []
    counts: Counter[str] = Counter({IDENTICAL: 0, WITHIN: 0, DIFFERENT: 0})
    names = sorted({*former["files"], *new["files"], *first, *second})
    for name in (each for each in names if each.endswith(".csv") and ours(each)):
        for cell in _cells(name, first.get(name), second.get(name)):
            counts[cell[-1]] += 1
            if cell[-1] != IDENTICAL:
                found.append(cell)
    documents = [name for name in names if not name.endswith(".csv") and first.get(name) != second.get(name)]
    altered = [
        name
        for manifest, files in ((former, first), (new, second))
        for name, digest in manifest["files"].items()
        if ours(str(name)) and hashes({name: files.get(name, b"")})[name] != digest
    ]
    return Comparison(
        cells=pd.DataFrame(found, columns=list(COLUMNS)),
        counts=dict(counts),
        changed={
            part: tuple(key for key in keys if former.get(key) != new.get(key)) for part, keys in _IN_MANIFEST.items()
        },
        documents=tuple(documents),
        altered=tuple(dict.fromkeys(altered)),
        erased=sum(new.get("erased", {}).values()) - sum(former.get("erased", {}).values()),
    )


def _cells(name: str, first: bytes | None, second: bytes | None) -> Iterator[tuple[Any, ...]]:
    """Yield every cell of a table of two runs with its verdict."""
    before, after = _rows(name, first), _rows(name, second)
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key, {}), after.get(key, {})
        for column in dict.fromkeys([*one, *other]):
            was, is_ = one.get(column), other.get(column)
            relative, verdict = _judged(was, is_)
            yield name, key, column, was, is_, relative, verdict


def _rows(name: str, content: bytes | None) -> dict[str, dict[str, str]]:
    """Return the rows of a table by what they are of; rows that are of the same thing are numbered."""
    if content is None:
        return {}
    table = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    taken: Counter[str] = Counter()
    found: dict[str, dict[str, str]] = {}
    for row in table:
        key = _key(row, _KEYS.get(name, _words(table)))
        taken[key] += 1
        found[key if taken[key] == 1 else f"{key} ({taken[key]})"] = row
    return found


def _words(table: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the columns that hold no number in any row: they say what a row is of."""
    return tuple(column for column in (table[0] if table else ()) if all(_number(row[column]) is None for row in table))


def _key(row: Mapping[str, str], columns: Sequence[str]) -> str:
    """Return what a row is of."""
    return " / ".join(row[column] for column in columns if row.get(column))


def _judged(before: str | None, after: str | None) -> tuple[float, str]:
    """Return the relative difference of two cells, missing for words, and the verdict."""
    if before == after:
        return (math.nan, IDENTICAL)
    one, other = _number(before), _number(after)
    if one is None or other is None:
        return (math.nan, DIFFERENT)
    largest = max(abs(one), abs(other))
    if largest < _ZERO:
        return (0.0, WITHIN)
    relative = abs(one - other) / largest if largest and math.isfinite(largest) else 0.0
    if one != other and not math.isfinite(largest):
        relative = math.inf
    return (relative, WITHIN if relative <= TOLERANCE else DIFFERENT)


def _number(cell: str | None) -> float | None:
    """Return a cell as a number, None if it is none."""
    try:
        return float(cell) if cell else None
    except ValueError:
        return None
