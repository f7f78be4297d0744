"""From a path to raw sheets: files, folders and archives, each file told by its content and not by its name."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from codecs import BOM_UTF8
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from bipstudy.loaders import columns
from bipstudy.loaders.delimited import read_delimited
from bipstudy.loaders.grids import Reading, SourceFile
from bipstudy.loaders.statistics import read_statistics
from bipstudy.loaders.workbooks import read_ods, read_parquet, read_workbook, read_xls
from bipstudy.schema import Finding

MAX_FILES = 1_000
MAX_BYTES = 2 * 2**30
# Bytes that are read at once of a large file, and those that tell what a file is.
_PART, _START = 4 * 2**20, 4096
_TEXT_ENDINGS = {".csv", ".tsv", ".txt", ".tab", ".asc", ".dat", ""}
# Files of data that are not read: the cure is to save them as csv or xlsx.
_OTHER_DATA = {
    ".xlsb",
    ".por",
    ".sas7bdat",
    ".rds",
    ".rdata",
    ".7z",
    ".rar",
    ".gz",
}
# Files that must be what their ending says.
_TYPED = {".xlsx", ".xlsm", ".xls", ".ods", ".sav", ".zsav", ".dta", ".zip", ".parquet"}
# The first bytes of a Stata file before version 13: its version, the order of bytes, and the kind of file.
_OLD_STATA = {bytes([version, order, 1, 0]) for version in (104, 105, 108, 110, 111, 113, 114, 115) for order in (1, 2)}
# The bit of a member of an archive by which it says that its name is UTF-8.
_SAYS_UTF8 = 0x800
_NOT_OURS = ("~$", ".", "thumbs.db", "desktop.ini")


def read_path(path: Path, encoding: str | None = None) -> Reading:
    """Read a file, every file of a folder, or every file of a zip archive. Nothing is unpacked to disk.

    Parameters
    ----------
    path : Path
        An existing file or folder.
    encoding : str, optional
        Encoding of text files; without it the ladder of `decode`.

    Returns
    -------
    Reading
        Sheets in the order of the names of the files; what cannot be read is a finding.
    """
    reading = Reading()
    named = _files_of(path, reading) if path.is_dir() else [(path.name, path)]
    named = [(name, entry) for name, entry in named if not _is_foreign(name)]
    if len(named) > MAX_FILES:
        reading.findings.append(Finding("too-large", file=path.name))
        return reading
    # The hash of a large file takes a while, in which the file can be read.
    with ThreadPoolExecutor(1) as beside:
        for name, entry in named:
            try:
                if entry.stat().st_size > MAX_BYTES:
                    reading.findings.append(Finding("too-large", file=name))
                    continue
                content, digest = _content(name, entry, beside)
            except OSError:
                reading.findings.append(Finding("unreadable-file", file=name))
                continue
            _read(name, content, encoding, reading, inside=False)
            reading.files.append(SourceFile(name, digest.result(), len(content)))
    return reading


def _files_of(folder: Path, reading: Reading) -> list[tuple[str, Path]]:
    """Return the name and path of every file below a folder; a folder that cannot be read is a finding."""
    refused: list[Path] = []
    found = sorted(
        Path(where, name)
        for where, _, names in os.walk(folder, onerror=lambda error: refused.append(Path(error.filename)))
        for name in names
    )
    for closed in sorted(refused):
        name = closed.relative_to(folder).as_posix() if closed != folder else folder.name
        if not _is_system(name):
            reading.findings.append(Finding("unreadable-file", file=name))
    return [(entry.relative_to(folder).as_posix(), entry) for entry in found if _may_be_read(entry)]


def _may_be_read(path: Path) -> bool:
    """Say whether something in a folder is a file, or nobody can say, which is told when it is read."""
    try:
        return path.is_file()
    except OSError:
        return True


def _content(name: str, path: Path, beside: Executor) -> tuple[bytes | memoryview, Future[str]]:
    """Return the bytes of a file and, once it is taken, their hash.

    What numpy sets aside for much text lies in large pages where the system has them, which are filled and read
    in half the time.
    """
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_START)
        file.seek(0)
        if size < columns.SMALL or _kind(name, start) != "text":
            content: bytes | memoryview = file.read()
            beside.submit(digest.update, content)
        else:
            room = np.empty(size, dtype=np.uint8).data
            at = 0
            while count := file.readinto(room[at : at + _PART]):
                beside.submit(digest.update, room[at : at + count])
                at += count
            if at < size or file.read(1):
                raise OSError(f"{path.name} changed while it was read")
            content = room.toreadonly()
    return content, beside.submit(digest.hexdigest)


def _is_foreign(name: str) -> bool:
    """Say whether a file is one that Windows, macOS or Excel leaves beside the data."""
    return _is_system(name) or PurePosixPath(name).name.lower().startswith(_NOT_OURS)


def _is_system(name: str) -> bool:
    """Say whether a file or folder is in what macOS leaves in an archive."""
    return "__MACOSX" in PurePosixPath(name).parts


def _read(name: str, content: bytes | memoryview, encoding: str | None, reading: Reading, inside: bool) -> None:
    """Read one file by what it is."""
    findings = reading.findings
    kind = _kind(name, bytes(content[:_START]))
    if kind == "text":
        grid = read_delimited(name, content, encoding if _may_be_in(encoding, content) else None, findings)
        reading.grids += [grid] if grid is not None else []
        return
    content = bytes(content)
    if kind == "zip":
        _read_zip(name, content, encoding, reading, inside)
    elif kind == "parquet":
        reading.grids += read_parquet(name, content, findings)
    elif kind == "xls":
        reading.grids += read_xls(name, content, findings)
    elif kind in {"sav", "dta"}:
        reading.grids += read_statistics(name, content, kind, findings)
    else:
        findings.append(Finding(kind, file=name))


def _may_be_in(encoding: str | None, content: bytes | memoryview) -> bool:
    """Say whether a text may be in the encoding that the mapping asks for all files: what is UTF-8 is not."""
    if encoding is None or content[: len(BOM_UTF8)] == BOM_UTF8:
        return False
    try:
        return str(content, "utf-8").isascii()
    except UnicodeDecodeError:
        return True


def _kind(name: str, content: bytes) -> str:
    """Return the kind of a file from its first bytes, or the code of the finding if it is not read."""
    ending = PurePosixPath(name).suffix.lower()
    if not content:
        return "empty-file"
    if content.startswith(b"PK"):
        return "zip"
    if content.startswith(b"PAR1"):
        return "parquet"
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        return "locked-file" if ending in {".xlsx", ".xlsm"} else "xls"
    if content.startswith((b"$FL2", b"$FL3")):
        return "sav"
    if content.startswith(b"<stata_dta>") or (ending == ".dta" and content[:4] in _OLD_STATA):
        return "dta"
    if ending in _OTHER_DATA:
        return "unsupported-file"
    if content[:500].lstrip().lower().startswith((b"<!doctype html", b"<html", b"<table", b"<?xml")):
        return "unsupported-file"
    if ending in _TEXT_ENDINGS:
        return "text"
    return "unreadable-file" if ending in _TYPED else "ignored-file"


def _read_zip(name: str, content: bytes, encoding: str | None, reading: Reading, inside: bool) -> None:
    """Read what begins as a zip archive: a workbook, or an archive of files."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            members = {info.filename.replace("\\", "/").lower() for info in entries}
            if "xl/workbook.xml" in members:
                reading.grids += read_workbook(name, content, reading.findings)
            elif "content.xml" in members and "mimetype" in members and _is_spreadsheet(archive):
                reading.grids += read_ods(name, archive, reading.findings)
            elif "xl/workbook.bin" in members or "mimetype" in members:
                reading.findings.append(Finding("unsupported-file", file=name))
            elif "word/document.xml" in members or "ppt/presentation.xml" in members:
                reading.findings.append(Finding("ignored-file", file=name))
            elif inside:
                reading.findings.append(Finding("unsafe-archive", file=name))
            else:
                _read_members(name, archive, encoding, reading)
    except Exception:
        # zipfile answers for a damaged directory with errors of many kinds, from struct.error to IndexError.
        reading.findings.append(Finding("unreadable-file", file=name))


def _is_spreadsheet(archive: zipfile.ZipFile) -> bool:
    """Say whether an OpenDocument file is a spreadsheet."""
    with archive.open("mimetype") as kind:
        return b"opendocument.spreadsheet" in kind.read(200)


def _read_members(name: str, archive: zipfile.ZipFile, encoding: str | None, reading: Reading) -> None:
    """Read the files of an archive, within bounds of number and size that do not trust what the archive says."""
    # A damaged directory may hold a member without a name, which ZipInfo.is_dir cannot answer for.
    named = [(_member_name(info), info) for info in archive.infolist()]
    entries = [(called, info) for called, info in named if called[-1:] != "/" and not _is_foreign(called)]
    if not entries:
        reading.findings.append(Finding("empty-file", file=name))
    if len(entries) > MAX_FILES:
        reading.findings.append(Finding("too-large", file=name))
        return
    left = MAX_BYTES
    for called, info in sorted(entries, key=lambda entry: entry[0]):
        inner = f"{name}/{called}"
        if _is_unsafe(called):
            # The name itself may be the attack, so it is not repeated.
            reading.findings.append(Finding("unsafe-archive", file=name))
            continue
        if info.flag_bits & 0x1:
            reading.findings.append(Finding("locked-file", file=inner))
            continue
        try:
            with archive.open(info) as member:
                content = member.read(left + 1)
        except Exception:
            # zlib, lzma and zipfile each have their own errors for damaged content.
            reading.findings.append(Finding("unreadable-file", file=inner))
            continue
        left -= len(content)
        if left < 0:
            reading.findings.append(Finding("too-large", file=name))
            return
        _read(inner, content, encoding, reading, inside=True)


def _member_name(info: zipfile.ZipInfo) -> str:
    """Return what a member of an archive is called: some programs write backslashes, or UTF-8 without saying so."""
    name = info.filename
    if not (info.flag_bits & _SAYS_UTF8 or name.isascii()):
        # Python has read the bytes as code page 437, which has the letters of Swedish where 850 has them.
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


def _is_unsafe(name: str) -> bool:
    """Say whether a name inside an archive leads out of it, or nowhere."""
    path = PurePosixPath(name)
    return not name or path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name
