"""Put the parts of the certificate together."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.certification.assumptions import worlds
from bipstudy.certification.coverage import judge, run_designs
from bipstudy.certification.designs import designs
from bipstudy.certification.estimands import PARTICIPANTS, estimand_designs, varied_designs
from bipstudy.certification.evidence import Evidence, checkout, gather, not_run, requirements
from bipstudy.certification.kept import Kept
from bipstudy.certification.page import scenario_words
from bipstudy.certification.studies import run_studies
from bipstudy.replication.birth import source_hash
from bipstudy.texts import LANGUAGES, BipstudyError, text

__all__ = ["Certificate", "certify", "steps"]

SHORT, FULL = 200, 1000
STUDIES_SHORT, STUDIES_FULL = 20, 300
# Of each world in which an assumption is another one; none in the short form.
VARIED_FULL = 60
# Packages whose version may decide a digit.
PACKAGES = ("numpy", "scipy", "pandas", "numba", "formulaic", "joblib")


@dataclass(frozen=True)
class Certificate:
    """Evidence on the estimators, with its provenance.

    Attributes
    ----------
    rows : DataFrame
        One row per design, see `bipstudy.certification.judge`; first the estimators, then the primary estimands, then
        some of these where an assumption of the simulation is another one.
    evidence : Evidence
        What the tests of the checkout said, or why they were not run.
    facts : dict
        ``created`` (UTC), ``seed, replicates, studies`` (of each scenario), ``varied`` (studies of each world in which
        an assumption is another one), ``participants`` (of each study), ``full, code`` (hash of the package's source)
        and ``versions``.
    language : str
        Of the page.
    """

    rows: pd.DataFrame
    evidence: Evidence
    facts: dict[str, Any]
    language: str

    @property
    def ok(self) -> bool:
        """Whether every design holds and every test that was run passes."""
        return bool(self.rows["ok"].all()) and bool(self.evidence.rows["ok"].all())

    def failing(self) -> tuple[str, ...]:
        """Names of the designs that fail, then the test modules that do."""
        tests = self.evidence.rows
        return (*self.rows.loc[~self.rows["ok"], "name"], *tests.loc[~tests["ok"].astype(bool), "module"])

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the certificate as one page that needs nothing else, and write it if a path is given."""
        from bipstudy.certification.page import compose

        page = compose(self).to_html()
        if path is not None:
            Path(path).write_text(page, encoding="utf-8", newline="\n")
        return page

    def as_dict(self) -> dict[str, Any]:
        """Return the certificate for programs: facts, rows, evidence, verdict."""
        return {
            **self.facts,
            "ok": self.ok,
            "failing": list(self.failing()),
            "rows": _records(self.rows),
            "evidence": {"state": self.evidence.state, "rows": _records(self.evidence.rows)},
        }


def certify(
    full: bool = False,
    seed: int = 1,
    n_jobs: int = 1,
    out: str | Path | None = None,
    language: str = "en",
    progress: Callable[[str], None] | None = None,
    *,
    replicates: int | None = None,
    studies: int | None = None,
    varied: int | None = None,
    tests: bool = True,
) -> Certificate:
    """Try every estimator and primary estimand on known truth, and run the tests that hold reference values.

    Parameters
    ----------
    full : bool, default False
        1,000 replicates per design, 300 simulated studies of each scenario, 60 of each world in which an assumption is
        another one, and all tests; else 200, 20, none and the tests of the estimators. With fewer replicates the bands
        of coverage are wider, by the same rule.
    seed : int, default 1
    n_jobs : int, default 1
        Processes; the numbers are the same for any.
    out : str or Path, optional
        Folder for ``certificate.html`` and ``certificate.json``. Replicates are kept there, in ``replicates``, as they
        are made: a run that was stopped goes on where it was, and one with more of them goes on from those there, as
        long as seed, code and versions are the same. Tests are run anew.
    language : {"en", "sv"}
    progress : callable of str, optional
        Called with a line for a person when a part begins, `steps` times in all.
    replicates : int, optional
        Another number of replicates of the estimators.
    studies : int, optional
        Another number of simulated studies, 0 for none; none by default where `replicates` is given.
    varied : int, optional
        Another number of studies of each world in which an assumption is another one, 0 for none; none by default where
        `replicates` or `studies` is given.
    tests : bool, default True
        Whether to run the tests of the checkout.

    Returns
    -------
    Certificate
        ``.ok``, ``.rows``, ``.evidence``, ``.to_html()``.

    Raises
    ------
    BipstudyError
        If the language is unknown, the seed negative or there are fewer than two replicates or one study.

    Examples
    --------
    >>> import bipstudy as bip
    >>> certificate = bip.certify(replicates=2, tests=False)
    >>> sorted(certificate.facts)
    ['code', 'created', 'full', 'participants', 'replicates', 'seed', 'studies', 'varied', 'versions']
    """
    if language not in LANGUAGES:
        raise BipstudyError("certification.bad_language", given=language)
    count = replicates if replicates is not None else FULL if full else SHORT
    if count < 2:
        raise BipstudyError("certification.too_few", given=count)
    many = studies if studies is not None else 0 if replicates is not None else STUDIES_FULL if full else STUDIES_SHORT
    others = varied if varied is not None else VARIED_FULL if full and replicates is None and studies is None else 0
    for each in (many, others):
        if each != 0 and each < 2:
            raise BipstudyError("certification.too_few", given=each)

    def tell(key: str, name: str) -> None:
        if progress is not None:
            progress(text(key, language, name=name))

    if seed < 0:
        raise BipstudyError("certification.bad_seed", given=seed)
    created = datetime.now(UTC).replace(microsecond=0)
    # Before the first replicate is made: whoever edits the source meanwhile does not change what is running.
    code, versions = _hash_of_source(), _versions()
    kept = Kept(None if out is None else Path(out) / "replicates", json.dumps([source_hash(), versions]))
    runs = run_designs(
        designs(),
        replicates=count,
        seed=seed,
        n_jobs=n_jobs,
        progress=lambda name: tell("certification.simulating", text(f"certification.design.{name}", language)),
        kept=kept,
    )
    asked, elsewhere = (
        run_studies(
            chosen() if number else (),
            replicates=number,
            seed=seed,
            n_jobs=n_jobs,
            progress=lambda name: tell("certification.simulating", scenario_words(name, language)),
            kept=kept,
        )
        for chosen, number in ((estimand_designs, many), (varied_designs, others))
    )
    evidence = not_run("not_asked")
    if tests:
        evidence = gather(
            full=full,
            progress=lambda name: tell("certification.testing", text(f"certification.requirement.{name}", language)),
        )
    facts = {
        "created": created.isoformat(),
        "seed": seed,
        "replicates": count,
        "studies": many,
        "varied": others,
        "participants": PARTICIPANTS,
        "full": full,
        "code": code,
        "versions": versions,
    }
    # Estimators, whole analyses and other assumptions are three families, each with its own bands.
    rows = pd.concat([judge(family) for family in (runs, asked, elsewhere) if family], ignore_index=True)
    certificate = Certificate(rows, evidence, facts, language)
    if out is not None:
        _write(certificate, Path(out))
    return certificate


def steps(*, full: bool = False) -> int:
    """Return how many times `certify` tells of its progress.

    Parameters
    ----------
    full : bool, default False

    Returns
    -------
    int

    Examples
    --------
    >>> steps() <= steps(full=True)
    True
    """
    scenarios = len({design.scenario for design in estimand_designs()}) + (len(worlds()) if full else 0)
    return len(designs()) + scenarios + (len(requirements(full=full)) if checkout() is not None else 0)


def _write(certificate: Certificate, folder: Path) -> None:
    """Write page and numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate.to_html(folder / "certificate.html")
    content = json.dumps(certificate.as_dict(), ensure_ascii=False, indent=2, allow_nan=False)
    (folder / "certificate.json").write_text(content + "\n", encoding="utf-8", newline="\n")


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows for JSON, missing numbers as null."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records


def _hash_of_source() -> str:
    """SHA-256 of the package's Python files, so that a certificate says which code it is about."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    """Versions of what may decide a digit."""
    from bipstudy import __version__

    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"bipstudy": __version__, "python": platform.python_version(), "platform": platform.platform(), **packages}
