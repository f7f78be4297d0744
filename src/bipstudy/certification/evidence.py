"""Run the tests that hold references, second implementations and invariances, and count what they say."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

__all__ = ["Evidence", "checkout", "gather", "not_run", "requirements"]

_COLUMNS = ["requirement", "module", "passed", "failed", "skipped", "ok"]

# Requirement -> patterns of test modules. Those of the short certificate come first.
_ESTIMATORS = {
    "cox": ("tests/models/test_cox*.py", "tests/models/test_cause_specific.py", "tests/models/test_survival_edges.py"),
    "curves": ("tests/models/test_incidence.py", "tests/models/test_fine_gray.py"),
    "hazards": (
        "tests/models/test_hazard*.py",
        "tests/models/test_standardised.py",
        "tests/models/test_screening.py",
        "tests/models/test_dominance.py",
    ),
    "linear": (
        "tests/models/test_linear.py",
        "tests/models/test_instrumental.py",
        "tests/models/test_staggered.py",
    ),
    "inference": (
        "tests/models/test_inference.py",
        "tests/models/test_estimates_covariance.py",
        "tests/models/test_bootstrap.py",
    ),
    "groups": ("tests/models/test_shrinkage*.py", "tests/models/test_halves.py", "tests/models/test_pooling.py"),
    "missing": ("tests/models/test_imputation.py", "tests/models/test_raking.py"),
    "prediction": ("tests/models/test_prediction*.py",),
    "psychometrics": ("tests/models/test_psychometrics*.py",),
    "mutations": ("tests/validation/test_mutations.py",),
    "determinism": ("tests/simulation/test_determinism.py",),
}
_WHOLE = {
    "mutations": ("tests/validation/test_*.py", "tests/simulation/test_defects.py"),
    "determinism": (
        "tests/simulation/test_determinism.py",
        "tests/replication/test_run.py",
        "tests/replication/test_resume.py",
        "tests/replication/test_verify.py",
        "tests/planning/test_power.py",
        "tests/pool/test_order_of_submissions.py",
        "tests/certification/test_kept.py",
    ),
    "truths": (
        "tests/certification/test_design_truths.py",
        "tests/certification/test_estimand_truths.py",
        "tests/certification/test_assumptions.py",
        "tests/simulation/test_model.py",
        "tests/simulation/test_readings.py",
    ),
    "panel": ("tests/panel/test_*.py",),
    "analyses": ("tests/analyses/test_*.py",),
    "agreement": (
        "tests/replication/test_agreement.py",
        "tests/replication/test_measures.py",
        "tests/replication/test_benchmarks.py",
        "tests/replication/test_multiverse.py",
        "tests/replication/test_resampling.py",
        "tests/replication/test_warning.py",
    ),
}


@dataclass(frozen=True)
class Evidence:
    """What the tests said.

    Attributes
    ----------
    state : {"run", "no_checkout", "no_pytest", "not_asked"}
        Whether they were run, and if not why.
    rows : DataFrame
        ``requirement, module, passed, failed, skipped, ok``; one row per test module. A module in which nothing
        passed is not ok: an empty denominator proves nothing.
    """

    state: str
    rows: pd.DataFrame


def not_run(state: str) -> Evidence:
    """Return the evidence of tests that were not run.

    Parameters
    ----------
    state : {"no_checkout", "no_pytest", "not_asked"}

    Returns
    -------
    Evidence

    Examples
    --------
    >>> len(not_run("not_asked").rows)
    0
    """
    return Evidence(state, pd.DataFrame(columns=_COLUMNS))


def checkout() -> Path | None:
    """Return the folder of the source that this package runs from, None if it is installed elsewhere.

    Returns
    -------
    Path or None

    Examples
    --------
    >>> root = checkout()
    >>> root is None or (root / "tests" / "models").is_dir()
    True
    """
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "tests" / "models").is_dir() else None


def requirements(*, full: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the requirements that tests answer for, with the patterns of their modules.

    Parameters
    ----------
    full : bool, default False
        All of them, or those on estimators.

    Returns
    -------
    dict of str to tuple of str

    Examples
    --------
    >>> "cox" in requirements() and "panel" in requirements(full=True)
    True
    """
    return {**_ESTIMATORS, **_WHOLE} if full else dict(_ESTIMATORS)


def gather(*, full: bool = False, root: Path | None = None, progress: Callable[[str], None] | None = None) -> Evidence:
    """Run the tests behind the requirements, one process each.

    Parameters
    ----------
    full : bool, default False
        See `requirements`.
    root : Path, optional
        Checkout; by default the one that the package runs from.
    progress : callable of str, optional
        Called with each requirement when it begins.

    Returns
    -------
    Evidence

    Examples
    --------
    >>> from pathlib import Path
    >>> gather(root=Path("nowhere")).state
    'no_checkout'
    """
    root = checkout() if root is None else root
    if root is None or not (root / "tests").is_dir():
        return not_run("no_checkout")
    if importlib.util.find_spec("pytest") is None:
        return not_run("no_pytest")
    rows: list[dict[str, object]] = []
    for requirement, patterns in requirements(full=full).items():
        if progress is not None:
            progress(requirement)
        modules = sorted({path.relative_to(root).as_posix() for glob in patterns for path in root.glob(glob)})
        counts = run_modules(root, modules, slow=full)
        rows.extend({"requirement": requirement, "module": module, **counts[module]} for module in modules)
        if not modules:
            rows.append({"requirement": requirement, "module": patterns[0], **_verdict({})})
    return Evidence("run", pd.DataFrame(rows, columns=_COLUMNS))


def run_modules(root: Path, modules: list[str], slow: bool = False) -> dict[str, dict[str, object]]:
    """Run test modules in a process of their own.

    Parameters
    ----------
    root : Path
    modules : list of str
        Relative to `root`.
    slow : bool, default False
        Whether to run the tests that are marked as slow evidence too.

    Returns
    -------
    dict of str to dict
        Module to ``passed, failed, skipped, ok``.
    """
    counts: dict[str, dict[str, int]] = {module: {} for module in modules}
    if modules:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--junitxml={report}"]
            options += ["-m", "not browser" if slow else "not certify and not browser"]
            command = [sys.executable, "-m", "pytest", *options, *modules]
            # The tests must try the source beside them, whichever copy of the package is installed.
            paths = [str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
            subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
            if report.is_file():
                _count(report, counts)
    return {module: _verdict(found) for module, found in counts.items()}


def _count(report: Path, counts: dict[str, dict[str, int]]) -> None:
    """Add up the cases of a JUnit report by module."""
    # The report is written by the process started here.
    for case in ElementTree.parse(report).iter("testcase"):
        # A module that cannot be collected has its path as the name of its only case.
        place = case.get("classname") or case.get("name") or ""
        module = next((name for name in counts if f"{place}.".startswith(f"{name[:-3].replace('/', '.')}.")), None)
        if module is None:
            continue
        kinds = {child.tag for child in case}
        result = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[module][result] = counts[module].get(result, 0) + 1


def _verdict(found: dict[str, int]) -> dict[str, object]:
    """Return counts with a verdict."""
    passed, failed, skipped = (found.get(name, 0) for name in ("passed", "failed", "skipped"))
    return {"passed": passed, "failed": failed, "skipped": skipped, "ok": failed == 0 and passed > 0}
