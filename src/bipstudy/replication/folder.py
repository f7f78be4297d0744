"""The folder of a run: every file there whole or not at all, nothing left of an earlier run, resumable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from bipstudy.pool.files import clear_aside, write_whole
from bipstudy.texts import BipstudyError

MANIFEST = "manifest.json"
# Named as beside the plan that was run, so that a plan.yaml run from here is the registered one.
REGISTRATION = "plan.registered.json"
# Holds finished analyses while a run is under way; gone when it has ended.
UNFINISHED = ".unfinished"
_WRITTEN = "files.json"
_TOP = (
    "README.md", "agreement.csv", "agreement_parts.csv", "benchmarks.yaml", "bootstrap.csv", "codecheck.yml",
    "deviations.csv", "disclosure.csv", "estimates.csv", "estimates.json", "planned.csv", "plan.yaml",
    REGISTRATION, "report.html", "report.pdf",
)  # fmt: skip
_FOLDERS = ("figures", "flow", "groups", "multiverse", "tables")


@contextmanager
def working(out: Path) -> Iterator[Path]:
    """Hold a folder for one run and give the place of its finished analyses.

    Raises
    ------
    BipstudyError
        Another run writes there, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    place = out / UNFINISHED
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise BipstudyError("runs.folder_busy", path=out) from None
    except OSError:
        raise BipstudyError("runs.folder_not_writable", path=out) from None
    try:
        yield place
    finally:
        lock.release()


def write_folder(out: Path, contents: Mapping[str, bytes], manifest: bytes) -> None:
    """Write the files of a run, the manifest last, and remove what an earlier run left.

    Parameters
    ----------
    out : Path
    contents : mapping of str to bytes
        By path inside the folder, with ``/``.
    manifest : bytes
        Names every file; a folder with a manifest is a run that has ended.
    """
    place = out / UNFINISHED
    place.mkdir(parents=True, exist_ok=True)
    clear_aside(out, place, *(out / name for name in _FOLDERS))
    earlier = _earlier(out)
    # Told before the first file is written, so that a run after a kill knows what to clear away.
    write_whole(place / _WRITTEN, json.dumps(sorted({*earlier, *contents})).encode("utf-8"))
    (out / MANIFEST).unlink(missing_ok=True)
    for path, content in contents.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(out / path, content)
    for path in earlier - contents.keys():
        (out / path).unlink(missing_ok=True)
    for name in _FOLDERS:
        if (out / name).is_dir() and not any((out / name).iterdir()):
            (out / name).rmdir()
    write_whole(out / MANIFEST, manifest)


def finish(out: Path) -> None:
    """Remove what only a run under way needs."""
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in sorted(contents.items())}


def ours(path: str) -> bool:
    """Say whether a path is one that a run writes: a manifest from elsewhere may name anything."""
    parts = PurePosixPath(path).parts
    if len(parts) == 1:
        return parts[0] in _TOP
    return len(parts) == 2 and parts[0] in _FOLDERS and ".." not in parts and "\\" not in path and ":" not in path


def _earlier(out: Path) -> set[str]:
    """Return the files that an earlier run wrote here, finished or not."""
    found: set[str] = set()
    for file, read in ((out / MANIFEST, lambda content: content["files"]), (out / UNFINISHED / _WRITTEN, list)):
        try:
            found |= {str(path) for path in read(json.loads(file.read_bytes()))}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {path for path in found if ours(path)}
