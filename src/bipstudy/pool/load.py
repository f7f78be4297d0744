"""A study from a pool or from a folder of canonical tables."""

from __future__ import annotations

from pathlib import Path

from bipstudy import schema
from bipstudy.loaders import load_submission
from bipstudy.pool.checks import count_of, validated
from bipstudy.pool.files import refused
from bipstudy.pool.journal import LOG
from bipstudy.pool.store import Pool
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, DataError

_ENDINGS = (".csv", ".parquet")


def load_study(path: str | Path, release: int | None = None) -> Study:
    """Read the validated tables of a study.

    Parameters
    ----------
    path : str or Path
        A pool, or a canonical folder: one CSV (UTF-8, comma) or Parquet file per table, named after it.
    release : int, optional
        Release of the pool, the newest unless named.

    Returns
    -------
    Study
        The same for ever for one release of a pool.

    Raises
    ------
    DataError
        The canonical folder does not pass validation; the attribute `report` says why.
    BipstudyError
        The path holds neither a pool nor canonical tables, the pool has no such release, or it was changed.

    Examples
    --------
    >>> import bipstudy as bip
    >>> study = bip.load_study("pool", release=1)  # doctest: +SKIP
    """
    path = Path(path)
    with refused("pool.cannot_read", path):
        is_pool = (path / LOG).is_file() or (path / "submissions").is_dir()
        tables = {entry.stem for entry in path.iterdir() if entry.suffix in _ENDINGS} if path.is_dir() else set()
    if is_pool:
        return Pool(path).study(release)
    if not tables & set(schema.TABLE_NAMES):
        raise BipstudyError("pool.no_study", path=path)
    if release is not None:
        raise BipstudyError("pool.not_a_pool", path=path)
    submission = load_submission(path)
    report = validated(submission)
    if not report.ok:
        raise DataError("pool.invalid_study", report=report, path=path, errors=count_of(report, "error"))
    return Study.from_tables({name: submission.tables[name] for name in submission.sent})
