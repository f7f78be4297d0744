"""Turns a run into the files of its folder, with instructions for whoever reruns it."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses import ESTIMATE_COLUMNS
from bipstudy.replication import worlds
from bipstudy.replication.folder import MANIFEST, hashes, write_folder
from bipstudy.replication.instructions import codecheck, readme
from bipstudy.replication.outputs import disclosure, results
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
        Processes that turn figures into pictures meanwhile.

    Returns
    -------
    Path
        The report.
    """
    pictures = _pictures(list(run.figures.values()), n_jobs)
    contents = tables(run)
    document = run.document()
    contents["report.html"] = document.to_html().encode()
    contents |= {f"figures/{name}.png": picture for name, picture in zip(run.figures, pictures, strict=True)}
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
        "disclosure.csv": _csv(disclosure(run)),
        "plan.yaml": plain(run.plan),
    }
    contents = {path: words.encode() for path, words in files.items()}
    if run.registration is not None:
        contents["registration.json"] = run.registration.to_json()
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


def _pictures(drawn: Sequence[Any], n_jobs: int) -> Iterator[bytes]:
    """Return figures as PNG, made in other processes while this one goes on."""
    if n_jobs == 1:
        return map(_png, drawn)
    import cloudpickle
    from joblib import Parallel, delayed

    # Sent as they are now: saving a figure elsewhere changes it for a while.
    sent = [cloudpickle.dumps(figure) for figure in drawn]
    pictures: Iterator[bytes] = Parallel(n_jobs=n_jobs, return_as="generator", pre_dispatch="all")(
        delayed(_png_of)(each) for each in sent
    )
    return pictures


def _png_of(sent: bytes) -> bytes:
    """Return a figure that came from another process as PNG."""
    return _png(pickle.loads(sent))


def _png(figure: Any) -> bytes:
    """Return a figure as PNG."""
    from bipstudy.report import figures

    return figures.to_png(figure)


__all__ = ["MANIFEST", "pack", "tables"]
