"""Where the numbers of a run come from: data, plan, code, lock and seed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bipstudy import schema
from bipstudy.replication.benchmarks import Benchmark, are_own
from bipstudy.replication.plan import Plan
from bipstudy.replication.registration import Registration
from bipstudy.study import Study

# Packages whose version may decide a digit.
PACKAGES = ("numpy", "pandas", "scipy", "numba", "pyarrow", "matplotlib")
BENCHMARKS, INSTRUMENTS = "BIPSTUDY_BENCHMARKS", "BIPSTUDY_INSTRUMENTS"
_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = ("*.py", "*.yaml", "*.css", "*.j2", "*.typ")


def birth(
    study: Study, plan: Plan, registration: Registration | None, benchmarks: tuple[Benchmark, ...], language: str
) -> dict[str, Any]:
    """Return the birth certificate of a run, as JSON holds it.

    Parameters
    ----------
    study : Study
    plan : Plan
    registration : Registration or None
    benchmarks : tuple of Benchmark
    language : {"sv", "en"}

    Returns
    -------
    dict
    """
    return {
        "release": study.release,
        "study_hash": study.hash,
        "erased": dict(sorted(study.erased.items())),
        "schema_version": schema.SCHEMA_VERSION,
        "tables": {
            name: schema.content_hash({name: frame}) for name, frame in sorted(study.tables.items()) if len(frame)
        },
        "instruments": instruments_hash(),
        "benchmarks": hashlib.sha256(repr(benchmarks).encode()).hexdigest(),
        "variables": variables(benchmarks),
        "plan": plan.hash,
        "plan_registered": None if registration is None else vars(registration) | {"plan": None},
        "settings": {name: plan.arguments(name) for name in plan.questions},
        "seed": plan.seed,
        "replications": plan.replications,
        "language": language,
        "code": code(),
        "versions": versions(),
    }


def variables(benchmarks: tuple[Benchmark, ...]) -> list[str]:
    """Return the variables of the environment that must name files of the user's own for the run to be made again."""
    found = {BENCHMARKS: are_own(benchmarks), INSTRUMENTS: bool(os.environ.get(INSTRUMENTS))}
    return [name for name, own in found.items() if own]


@cache
def code() -> dict[str, str | None]:
    """Return what the code is: version, hash of the sources, commit of a checkout, hash of the lock file."""
    from bipstudy import __version__

    lock = _PACKAGE.parents[1] / "requirements" / "core.lock"
    return {
        "version": __version__,
        "source": source_hash(),
        "commit": commit(_PACKAGE.parents[1]),
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    }


@cache
def source_hash() -> str:
    """Return a hash of every source file of the package, the same wherever it is installed."""
    schemas = schema.folder()
    files = {f"bipstudy/{path.relative_to(_PACKAGE).as_posix()}": path for path in _files(_PACKAGE, schemas)}
    files |= {f"data_schemas/{path.relative_to(schemas).as_posix()}": path for path in _files(schemas)}
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def _files(folder: Path, apart: Path | None = None) -> list[Path]:
    """Return the source files of a folder, those of another folder inside it apart."""
    found = [path for pattern in _SOURCES for path in folder.rglob(pattern)]
    return [path for path in found if apart is None or not path.is_relative_to(apart)]


def commit(checkout: Path) -> str | None:
    """Return the commit that a checkout stands on, None where there is no checkout.

    Read from the files of git, so that git need not be installed. What was changed since shows in the hash of the
    sources.
    """
    folder = checkout / ".git"
    try:
        if folder.is_file():
            folder = checkout / folder.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (folder / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        common = folder / "commondir"
        home = (folder / common.read_text(encoding="utf-8").strip()) if common.is_file() else folder
        for place in (folder, home):
            if (place / name).is_file():
                return (place / name).read_text(encoding="utf-8").strip()
        packed = (home / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except OSError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that may decide a digit."""
    from bipstudy import __version__

    return {
        "bipstudy": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def instruments_hash() -> str:
    """Return a hash of the questionnaires in use, a user's own among them."""
    return hashlib.sha256(repr(sorted(schema.items().items())).encode()).hexdigest()


def key_of(study_hash: str, plan: Plan, question: str, made_by: Mapping[str, Any]) -> str:
    """Return what a finished analysis depends on, as one hash.

    Parameters
    ----------
    study_hash : str
    plan : Plan
    question : str
    made_by : mapping
        Versions, code and questionnaires.
    """
    parts = (
        study_hash, question, sorted(plan.arguments(question).items()), plan.leave_out, plan.missing_data,
        plan.replications, plan.seed, sorted((name, str(value)) for name, value in made_by.items()),
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def key_of_multiverse(study_hash: str, plan: Plan, made_by: Mapping[str, Any]) -> str:
    """Return what a finished multiverse depends on, as one hash; parameters as for `key_of`."""
    parts = ("multiverse", study_hash, plan.seed, sorted((name, str(value)) for name, value in made_by.items()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
