"""The published Danish numbers that figures and weights stand beside, read from the file of findings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema

# Nobody has read a source of these.
UNSOURCED = ("SEED", "RECALL")
# A finding of which only the direction is published has no number, although its direction is written as one.
DIRECTION = "sign"


def path_of_findings() -> Path:
    """Return the file that the variable ``BIPSTUDY_BENCHMARKS`` names, else the file of the package."""
    return Path(os.environ.get("BIPSTUDY_BENCHMARKS") or schema.folder() / "benchmarks" / "danish.yaml")


def published_numbers() -> dict[tuple[str, str], float]:
    """Return the published numbers by finding and contrast; by ``""`` the number of the finding itself.

    Returns
    -------
    dict of (str, str) to float
        Points as a difference of proportions. Findings without a source, and those of which only the direction is
        published, are not among them.

    Examples
    --------
    >>> published_numbers()["D1", ""]
    0.7
    >>> ("R12", "") in published_numbers()
    False
    """
    found: dict[tuple[str, str], float] = {}
    entries: list[dict[str, Any]] = schema.read_yaml(path_of_findings())["benchmarks"]
    for entry in entries:
        if entry["unit"] == DIRECTION or entry["confidence"] in UNSOURCED or entry["value"] is None:
            continue
        found[str(entry["id"]), ""] = float(entry["value"]) / (100.0 if entry["unit"] == "percentage_points" else 1.0)
        for part in entry.get("parts", ()):
            found[str(entry["id"]), str(part["contrast"])] = float(part["value"])
    return found


def with_numbers(frame: pd.DataFrame, numbers: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """Add what a figure draws beside each row that names a finding.

    Parameters
    ----------
    frame : DataFrame
        With ``benchmark_id`` and, for findings of several numbers, ``contrast``.
    numbers : mapping
        As from `published_numbers`.

    Returns
    -------
    DataFrame
        With ``benchmark``, NaN where there is no number.
    """
    contrasts = frame["contrast"] if "contrast" in frame else pd.Series("", index=frame.index)
    values = [
        numbers.get((str(name), str(contrast)), numbers.get((str(name), ""), np.nan))
        for name, contrast in zip(frame["benchmark_id"], contrasts, strict=True)
    ]
    return frame.assign(benchmark=np.array(values, dtype=np.float64))
