"""Replicates kept in a folder, so that a certificate that was stopped goes on where it was, and a longer one further.

Kept are estimates and intervals, not verdicts: those are passed anew over all replicates, whatever run made them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bipstudy.pool.files import clear_aside, write_whole

if TYPE_CHECKING:
    from joblib import Parallel

__all__ = ["Kept", "Row", "replicated"]

Row = list[Any]


class Kept:
    """The replicates in a folder that were made by the same code, with the same seed, of the same design.

    Parameters
    ----------
    folder : Path or None
        Nothing is kept if None.
    code : str
        What made them: replicates of other code are not read, and make way for the new ones.
    """

    def __init__(self, folder: Path | None = None, code: str = "") -> None:
        self._folder = folder
        self._code = code
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            clear_aside(folder)

    def read(self, name: str, of: Sequence[object]) -> list[Row]:
        """Return the rows that are kept under a name, none if they are of something else.

        Parameters
        ----------
        name : str
        of : sequence
            What the rows hang on beside the code.

        Returns
        -------
        list of list
        """
        if self._folder is None:
            return []
        try:
            content = json.loads((self._folder / f"{name}.json").read_bytes())
            rows = content["rows"] if content["key"] == self._key(of) else []
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return rows if isinstance(rows, list) else []

    def write(self, name: str, of: Sequence[object], rows: list[Row]) -> None:
        """Keep rows under a name, all of them or, should the machine stop, those that were there; as for `read`."""
        if self._folder is not None:
            # A number is written so that it is read back to the last bit.
            write_whole(self._folder / f"{name}.json", json.dumps({"key": self._key(of), "rows": rows}).encode())

    def _key(self, of: Sequence[object]) -> str:
        """Return a hash of what rows hang on."""
        return hashlib.sha256(json.dumps([self._code, *of]).encode()).hexdigest()


def replicated(
    kept: Kept,
    name: str,
    of: Sequence[object],
    seeds: Sequence[np.random.SeedSequence],
    make: Callable[[Sequence[np.random.SeedSequence]], list[Row]],
    *,
    chunk: int,
    pool: Parallel | None = None,
) -> list[Row]:
    """Return one row per seed: those kept from before, the others made now and kept as soon as they are.

    Parameters
    ----------
    kept : Kept
    name : str
        What the rows are kept under, with their number.
    of : sequence
        What they hang on beside code and number.
    seeds : sequence of SeedSequence
    make : callable
        Gives one row per seed.
    chunk : int
        Rows of one file; a run that is stopped loses no more in each of its processes.
    pool : Parallel, optional
        Gives what is made as it is made, in any order; all in this process without.

    Returns
    -------
    list of list

    Examples
    --------
    >>> seeds = np.random.SeedSequence(1).spawn(3)
    >>> replicated(Kept(), "x", (), seeds, lambda own: [[len(own)] for _ in own], chunk=2)
    [[2], [2], [1]]
    """
    from joblib import delayed

    starts = range(0, len(seeds), chunk)
    parts = {start: kept.read(f"{name}-{start:06d}", of) for start in starts}
    # A last file that was not full is gone on with.
    missing = {start: seeds[start + len(parts[start]) : start + chunk] for start in starts}
    tasks = [(start, own) for start, own in missing.items() if len(own)]
    made = (_numbered(make, *task) for task in tasks) if pool is None else pool(
        delayed(_numbered)(make, *task) for task in tasks
    )  # fmt: skip
    for start, rows in made:
        parts[start] = [*parts[start], *rows]
        kept.write(f"{name}-{start:06d}", of, parts[start])
    return [row for start in starts for row in parts[start]][: len(seeds)]


def _numbered(
    make: Callable[[Sequence[np.random.SeedSequence]], list[Row]], start: int, seeds: Sequence[np.random.SeedSequence]
) -> tuple[int, list[Row]]:
    """Return rows with the number of their file."""
    return start, make(seeds)
