"""Files of SPSS and Stata: values with their labels, and the codes that mean that an answer is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bipstudy.loaders import beside, statistics_reader
from bipstudy.loaders.cells import cell_text
from bipstudy.loaders.grids import Grid, grid_beside
from bipstudy.schema import Finding

_SECONDS, _SECONDS_PER_MEGABYTE = 120, 20


def read_statistics(name: str, content: bytes, kind: str, findings: list[Finding]) -> list[Grid]:
    """Read a file of SPSS or Stata; the names of its variables stand as row 0, so that the first case is row 1.

    Parameters
    ----------
    name : str
        Name of the file, for findings.
    content : bytes
    kind : {"sav", "dta"}
    findings : list of Finding
        What is wrong with the file is added here.

    Returns
    -------
    list of Grid
        One, with labels of variables and values and the codes declared as missing; none where it cannot be read.
    """
    if content.startswith(b"<stata_dta>") and not content.rstrip(b"\0\r\n ").endswith(b"</stata_dta>"):
        findings.append(Finding("truncated-file", file=name))
        return []
    found = _described(content, kind)
    if isinstance(found, int):
        code = "too-large" if found == statistics_reader.TOO_LARGE else "unreadable-file"
        findings.append(Finding(code, file=name))
        return []
    columns: list[list[object]] = found["columns"]
    if not columns or not columns[0]:
        findings.append(Finding("empty-file", file=name))
        if not columns:
            return []
    labelled = {
        at: {cell_text(code): label for code, label in labels}
        for at, labels in enumerate(found["value_labels"])
        if labels
    }
    rows: list[list[object]] = [list(found["names"]), *map(list, zip(*columns, strict=True))]
    missing = _user_missing(found)
    labels = found["labels"]
    grid = Grid(name, None, rows, range(len(rows)), labels=labels, value_labels=labelled, user_missing=missing)
    unused = [
        label
        for at, each in labelled.items()
        for code, label in each.items()
        if code not in set(map(cell_text, columns[at]))
    ]
    others = beside.of_texts(name, "label", [*labels, *found["notes"], *unused])
    return [grid, *grid_beside(name, others)]


def _described(content: bytes, kind: str) -> dict[str, Any] | int:
    """Read a file in a process of its own, since the reader's C code may be brought down by a damaged one."""
    if not sys.executable:
        return statistics_reader.described(content, kind)
    try:
        done = subprocess.run(
            [sys.executable, "-I", statistics_reader.__file__, kind],
            input=content,
            capture_output=True,
            timeout=_SECONDS + _SECONDS_PER_MEGABYTE * len(content) / 2**20,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
        if done.returncode:
            return done.returncode
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return statistics_reader.UNREADABLE
    return found


def _user_missing(found: dict[str, Any]) -> dict[int, frozenset[str]]:
    """Return for each column the codes that the file itself declares as missing."""
    declared: dict[int, frozenset[str]] = {}
    for at, (values, ranges, single) in enumerate(
        zip(found["columns"], found["ranges"], found["missing"], strict=True)
    ):
        codes = {cell_text(code) for code in single}
        if ranges:
            present = {value for value in values if value is not None}
            codes |= {cell_text(value) for value in present if any(_within(value, *each) for each in ranges)}
        if codes:
            declared[at] = frozenset(codes)
    return declared


def _within(value: Any, low: Any, high: Any) -> bool:
    """Say whether a value lies within limits."""
    try:
        return bool(low <= value <= high)
    except TypeError:
        return False
