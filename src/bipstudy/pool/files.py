"""Files that are there whole or not at all: written aside, flushed to disk, renamed into place."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy import schema
from bipstudy.texts import BipstudyError, DataError

# What is being written; after a crash the next writer clears it away.
ASIDE = ".writing-"


@contextmanager
def refused(sentence: str, path: Path) -> Iterator[None]:
    """Tell what the system refuses, such as a file that may not be read, as an error that a person can act on.

    Parameters
    ----------
    sentence : {"pool.cannot_read", "pool.cannot_write"}
    path : Path
        The pool, or the file if it is known.
    """
    try:
        yield
    except OSError as error:
        raise BipstudyError(sentence, path=path) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the former content or the new."""
    aside = path.with_name(f"{ASIDE}{secrets.token_hex(8)}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make a rename in a folder last through a power failure, where the system can do that."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_aside(*folders: Path) -> None:
    """Remove what writers that were stopped left behind."""
    for folder in folders:
        for left in folder.glob(f"{ASIDE}*") if folder.is_dir() else ():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def as_json(content: Any) -> bytes:
    """Return content as JSON that is the same bytes for the same content."""
    return (json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode("utf-8")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def blotted(words: str) -> str:
    """Return words as they may be stored: every identity number in them blotted out."""
    from bipstudy.validation.identifiers import redact

    return redact(words)


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], receipt: bytes) -> None:
    """Write the tables of a submission and its receipt as a folder that is there whole or not at all."""
    aside = folder.with_name(f"{ASIDE}{secrets.token_hex(8)}")
    aside.mkdir(parents=True)
    for name in sorted(tables):
        path = aside / f"{name}.parquet"
        tables[name].to_parquet(path, index=False)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    write_whole(aside / "receipt.json", receipt)
    aside.rename(folder)
    flush_folder(folder.parent)


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of a submission and check them against the hash that is their folder's name.

    Parameters
    ----------
    folder : Path
        ``submissions/<hash>`` of a pool.

    Returns
    -------
    dict of str to DataFrame
        Canonical tables that have rows, by name.

    Raises
    ------
    BipstudyError
        The folder is not there, may not be read, or its content is not what the hash says.
    """
    try:
        tables = {
            name: schema.conform(name, pd.read_parquet(folder / f"{name}.parquet"), sort=False)
            for name in schema.TABLE_NAMES
            if (folder / f"{name}.parquet").is_file()
        }
        intact = schema.content_hash(tables) == folder.name
    except PermissionError as error:
        # Nothing says that it was changed.
        raise BipstudyError("pool.cannot_read", path=folder) from error
    except Exception as error:
        # Damaged Parquet raises whatever the damage hits; to the reader it is all one.
        raise DataError("pool.tampered", name=f"submissions/{folder.name}") from error
    if not intact:
        raise DataError("pool.tampered", name=f"submissions/{folder.name}")
    return tables
