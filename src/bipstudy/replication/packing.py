"""Turns a run into the files of its folder, with instructions for whoever reruns it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses import ESTIMATE_COLUMNS
from bipstudy.replication import worlds
from bipstudy.replication.benchmarks import as_yaml
from bipstudy.replication.birth import BENCHMARKS
from bipstudy.replication.document import compose
from bipstudy.replication.drawing import Pictures
from bipstudy.replication.folder import MANIFEST, REGISTRATION, hashes, write_folder
from bipstudy.replication.instructions import codecheck, readme
from bipstudy.replication.outputs import results
from bipstudy.replication.plan_writing import plain

if TYPE_CHECKING:
    from bipstudy.replication.run import Run


def pack(run: Run, out: Path, *, pdf: bool = False, n_jobs: int = 1) -> Path:
    """Write the folder of a run.

    Parameters
    ----------
    run : Run
    out : Path
    pdf : bool
        Write the report as PDF too.
    n_jobs : int
        Processes that draw the figures meanwhile.

    Returns
    -------
    Path
        The report.
    """
    pictures = Pictures(run, n_jobs)
    contents = tables(run)
    document = compose(run, pictures)
    contents["report.html"] = document.to_html().encode()
    contents |= {f"figures/{name}.png": picture.png for name, picture in pictures.items()}
    if pdf:
        from bipstudy.report.pdf import to_pdf

        contents["report.pdf"] = to_pdf(document)
    contents["README.md"] = readme(run, sorted(contents)).encode()
    contents["codecheck.yml"] = codecheck(run, sorted(contents)).encode()
    skipped = {name: error.code for name, error in sorted(run.skipped.items())}
    manifest = {**run.birth, "skipped": skipped, "files": hashes(contents)}
    write_folder(out, contents, _json(manifest).encode())
    return out / "report.html"


def tables(run: Run) -> dict[str, bytes]:
    """Return every file of numbers of a run, by path inside its folder.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict of str to bytes
    """
    files = {path: _csv(frame) for path, frame in {**results(run), **worlds.frames(run)}.items()}
    files |= {
        "estimates.json": _estimates_json(run.estimates, run.birth),
        "agreement.csv": _csv(run.agreement),
        "agreement_parts.csv": _csv(run.agreement_parts),
        "bootstrap.csv": _csv(run.bootstrap),
        "planned.csv": _csv(run.planned),
        "deviations.csv": _csv(run.deviations),
        "disclosure.csv": _csv(run.disclosure),
        "plan.yaml": plain(run.plan),
    }
    contents = {path: words.encode() for path, words in files.items()}
    if run.registration is not None:
        contents[REGISTRATION] = run.registration.to_json()
    if BENCHMARKS in run.birth["variables"]:
        contents["benchmarks.yaml"] = as_yaml(run.benchmarks).encode()
    return contents


def _csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV; numbers with all their digits, nothing where a value is missing."""
    words: str = frame.to_csv(index=False, lineterminator="\n")
    return words


def _estimates_json(frame: pd.DataFrame, birth: Mapping[str, Any]) -> str:
    """Return the estimates as JSON with where they come from."""
    rows = [
        {column: _plain(value) for column, value in zip(ESTIMATE_COLUMNS, row, strict=True)}
        for row in frame[list(ESTIMATE_COLUMNS)].itertuples(index=False)
    ]
    return _json({**birth, "estimates": rows})


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it, null where missing or infinite."""
    if value is None or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(content: Mapping[str, Any]) -> str:
    """Return JSON as people can read it."""
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False, default=str) + "\n"


__all__ = ["MANIFEST", "pack", "tables"]
