"""Runs every analysis, holds the estimates against the Danish findings and writes it all down."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy import analyses, schema
from bipstudy.analyses import ESTIMATE_COLUMNS, Result
from bipstudy.analyses.estimating import estimates as empty_estimates
from bipstudy.replication.agreement import agreement, agreement_parts
from bipstudy.replication.benchmarks import Benchmark, read_benchmarks
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, default_language, text

if TYPE_CHECKING:
    from bipstudy.report import Document

# Packages whose version may decide a digit.
PACKAGES = ("numpy", "pandas", "scipy", "numba", "pyarrow", "matplotlib")


@dataclass(frozen=True)
class Run:
    """One replication: the results of all analyses and how they agree with the Danish study.

    Attributes
    ----------
    results : mapping of str to Result
        By name of the analysis; those that could not be made are in `skipped`.
    skipped : mapping of str to BipstudyError
        Why an analysis could not be made.
    benchmarks : tuple of Benchmark
    language : {"sv", "en"}
        Language of agreement and report.
    birth : mapping of str to object
        Release, hash of the study and of each table, seed and versions.
    size : mapping of str to int
        Participants and organisations.
    """

    results: Mapping[str, Result]
    skipped: Mapping[str, BipstudyError]
    benchmarks: tuple[Benchmark, ...]
    language: str
    birth: Mapping[str, Any]
    size: Mapping[str, int]

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Every estimate of every analysis, columns as in `bipstudy.analyses.Result`."""
        parts = [result.estimates for result in self.results.values() if len(result.estimates)]
        return pd.concat(parts, ignore_index=True) if parts else empty_estimates([])

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """One row per published Danish finding, see `bipstudy.replication.agreement`."""
        return agreement(self.estimates, self.benchmarks, language=self.language)

    @cached_property
    def agreement_parts(self) -> pd.DataFrame:
        """The single numbers of findings that consist of several."""
        return agreement_parts(self.estimates, self.benchmarks, language=self.language)

    @cached_property
    def figures(self) -> dict[str, Any]:
        """Every figure, drawn, by ``<analysis>_<name>``."""
        from bipstudy.replication.document import draw_figures

        return draw_figures(self)

    def document(self) -> Document:
        """Return the report."""
        from bipstudy.replication.document import compose

        return compose(self)

    def to_html(self) -> str:
        """Return the report as one self-contained page."""
        return self.document().to_html()

    def write(self, out: str | Path) -> Path:
        """Write estimates, agreement, tables, figures, report and manifest.

        Parameters
        ----------
        out : str or Path
            Folder; made if it does not exist, files of an earlier run are replaced.

        Returns
        -------
        Path
            The report.
        """
        out = Path(out)
        files = {
            "estimates.csv": _csv(self.estimates),
            "estimates.json": _estimates_json(self.estimates, self.birth),
            "agreement.csv": _csv(self.agreement),
            "agreement_parts.csv": _csv(self.agreement_parts),
        }
        for name, result in self.results.items():
            files[f"tables/{name}_flow.csv"] = _csv(result.flow)
            for table in result.tables:
                files[f"tables/{name}_{table}.csv"] = _csv(result.table(table, self.language))
        contents = {path: words.encode() for path, words in files.items()}
        contents |= {f"figures/{name}.png": _png(figure) for name, figure in self.figures.items()}
        contents["report.html"] = self.to_html().encode()
        hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(contents.items())}
        skipped = {name: error.code for name, error in sorted(self.skipped.items())}
        contents["manifest.json"] = _json({**self.birth, "skipped": skipped, "files": hashes}).encode()
        for path, content in contents.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
        return out / "report.html"


def replicate(
    study: Study,
    plan: None = None,
    out: str | Path | None = None,
    *,
    language: str | None = None,
    seed: int = 1,
    progress: Callable[[str], None] | None = None,
    benchmarks: tuple[Benchmark, ...] | None = None,
) -> Run:
    """Rerun the Danish analyses on a study and hold the estimates against the Danish findings.

    Parameters
    ----------
    study : Study
    plan : None
        No plan is read yet: definitions are the defaults of the analyses.
    out : str or Path, optional
        Folder to write to; nothing is written if left out.
    language : {"sv", "en"}, optional
        Language of the report.
    seed : int
        Written to the manifest, for whatever draws random numbers. The present analyses draw none.
    progress : callable, optional
        Called with what is done next: once for each analysis and once for the report.
    benchmarks : tuple of Benchmark, optional
        The published findings of the package if left out.

    Returns
    -------
    Run

    Raises
    ------
    BipstudyError
        A plan was given.

    Examples
    --------
    >>> import bipstudy as bip
    >>> run = bip.replicate(bip.load_example(), language="en")
    >>> run.agreement.columns[:3].tolist()
    ['benchmark', 'danish', 'ours']
    """
    if plan is not None:
        raise BipstudyError("replication.plan_not_supported")
    chosen = language or default_language()
    say = progress or (lambda _: None)
    found = read_benchmarks() if benchmarks is None else benchmarks
    results: dict[str, Result] = {}
    skipped: dict[str, BipstudyError] = {}
    for name in analyses.list():
        say(text(f"analyses.{name}.title", chosen))
        try:
            results[name] = getattr(analyses, name)(study)
        except BipstudyError as error:
            # One question that the data cannot answer does not stop the others; the report says why.
            skipped[name] = error
    run = Run(results, skipped, found, chosen, _birth(study, seed, found), _size(study))
    say(text("replication.step_report", chosen))
    if out is not None:
        run.write(out)
    return run


def _size(study: Study) -> dict[str, int]:
    """Return how large the study is."""
    participants = study.participants
    return {"participants": len(participants), "organisations": int(participants["organisation_id"].nunique())}


def _birth(study: Study, seed: int, found: tuple[Benchmark, ...]) -> dict[str, Any]:
    """Return where the numbers come from."""
    from bipstudy import __version__

    return {
        "release": study.release,
        "study_hash": study.hash,
        "schema_version": schema.SCHEMA_VERSION,
        "seed": seed,
        "tables": {
            name: schema.content_hash({name: frame}) for name, frame in sorted(study.tables.items()) if len(frame)
        },
        "benchmarks": hashlib.sha256(repr(found).encode()).hexdigest(),
        "versions": {
            "bipstudy": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
    }


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
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _png(figure: Any) -> bytes:
    """Return a figure as PNG."""
    from bipstudy.report import figures

    return figures.to_png(figure)
