"""Reruns a run and compares every number."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from bipstudy.pool import load_study
from bipstudy.replication.comparing import Comparison, comparison, read_run
from bipstudy.replication.folder import REGISTRATION
from bipstudy.replication.plan_reading import read_plan
from bipstudy.replication.registration import Registration
from bipstudy.replication.run import replicate
from bipstudy.study import Study
from bipstudy.texts import DataError


def verify(
    run: str | Path,
    study: Study | str | Path,
    *,
    progress: Callable[[str], None] | None = None,
    n_jobs: int = 1,
) -> Comparison:
    """Make a run again from its plan and its release, and compare every number.

    Parameters
    ----------
    run : str or Path
        Folder of the run.
    study : Study, str or Path
        The study, or the pool it is a release of; the release is the one in the manifest.
    progress : callable, optional
        Called with what is done next.
    n_jobs : int, default 1
        Processes; what is found is the same for any number.

    Returns
    -------
    Comparison
        Of the run and the new one. Where participants were erased from the release, its numbers change for that
        reason, and `erased` says so.

    Raises
    ------
    DataError
        The folder holds no finished run, or lacks its plan.
    BipstudyError
        The pool has no such release.
    """
    folder = Path(run)
    manifest, files = read_run(folder)
    if "plan.yaml" not in files:
        raise DataError("runs.no_run", path=folder)
    plan = read_plan(folder / "plan.yaml")
    registered = _registration(files)
    tables = study if isinstance(study, Study) else load_study(study, release=manifest["release"])
    with tempfile.TemporaryDirectory() as aside:
        replicate(
            tables,
            plan,
            aside,
            language=manifest["language"],
            progress=progress,
            pdf="report.pdf" in files,
            registration=registered,
            n_jobs=n_jobs,
        )
        new, again = read_run(aside)
    return comparison(manifest, files, new, again)


def _registration(files: dict[str, bytes]) -> Registration | None:
    """Return the registration that a run was made under."""
    import json

    if REGISTRATION not in files:
        return None
    try:
        return Registration(**json.loads(files[REGISTRATION]))
    except (ValueError, TypeError):
        raise DataError("runs.no_run", path=REGISTRATION) from None
