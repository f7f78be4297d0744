"""What a browser sends: bounded in size and number, and put under names that stay inside the folder meant for it."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

MAX_BYTES = 500 * 2**20
MAX_FILES = 1_000
MAX_MAPPING = 2**20
_MAX_FIELD = 2_000
# A body that is too large is read to its end and forgotten, or the browser would show its own error in place of ours.
_MAX_FORGOTTEN = 8 * 2**30
_LONGEST = 120
_WRONG = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
# Names that Windows keeps for devices, whatever their ending.
_DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


class Refused(Exception):
    """An upload that is not taken, with the key of the sentence that says why and what to do."""

    def __init__(self, key: str, **values: object) -> None:
        self.key = key
        self.values = values
        super().__init__(key)


class _Bounded(Request):
    """A request whose body ends with an error where it grows too large."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, self._next)
        self._given = request.receive
        self._more = True

    async def _next(self) -> Message:
        """Return the next piece, and note whether it is the last: who asks for more would wait for ever."""
        message = await self._given()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body."""
        total = 0
        async for chunk in super().stream():
            total += len(chunk)
            if total > MAX_BYTES:
                raise _too_large()
            yield chunk

    async def forget(self) -> None:
        """Read what is left of the body, and keep nothing of it."""
        left = _MAX_FORGOTTEN
        while self._more and left > 0:
            left -= len((await self._next()).get("body", b""))


def _too_large() -> Refused:
    """Return the refusal of what is too large."""
    return Refused("steward.too_large", limit=f"{MAX_BYTES // 2**20} MB")


async def read_form(request: Request) -> FormData:
    """Return the form of a request; it is to be closed when it is no longer needed.

    Raises
    ------
    Refused
        It is too large, or no form.
    """
    bounded = _Bounded(request)
    try:
        form = await bounded.form(max_files=10 * MAX_FILES, max_fields=100, max_part_size=_MAX_FIELD)
    except Refused:
        await bounded.forget()
        raise
    except HTTPException:
        await bounded.forget()
        raise Refused("steward.broken_upload") from None
    except OSError:
        await bounded.forget()
        raise Refused("steward.no_room") from None
    if not isinstance(form, FormData):
        raise Refused("steward.broken_upload")
    return form


def uploads(form: FormData, field: str) -> list[UploadFile]:
    """Return the files of a field of a form; a field in which nothing was chosen has none."""
    sent = [each for each in form.getlist(field) if isinstance(each, UploadFile)]
    return [each for each in sent if each.filename]


def word(form: FormData, field: str) -> str:
    """Return a field of a form as text without control characters."""
    value = form.get(field, "")
    return " ".join(value.split()) if isinstance(value, str) else ""


def save(files: Sequence[Any], folder: Path, together: str) -> Path:
    """Write files into a new folder and return what is to be checked: the one file, or the folder that holds all.

    Parameters
    ----------
    files : sequence of UploadFile
    folder : Path
        Is made; must not exist.
    together : str
        Name for several files that did not come in a folder of their own.

    Returns
    -------
    Path

    Raises
    ------
    Refused
        There is none, or there are too many.
    """
    if not files:
        raise Refused("steward.no_files")
    if len(files) > MAX_FILES:
        raise Refused("steward.too_many", limit=MAX_FILES)
    names = [safe_parts(str(each.filename)) for each in files]
    tops = {parts[0] for parts in names if len(parts) > 1}
    if len(files) > 1 and not (len(tops) == 1 and all(len(parts) > 1 for parts in names)):
        names = [[together, *parts] for parts in names]
    taken: set[str] = set()
    target = folder
    for file, parts in zip(files, names, strict=True):
        target = _free(folder.joinpath(*parts), taken)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise Refused("steward.broken_upload")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            shutil.copyfileobj(file.file, out, 2**20)
    return target if len(files) == 1 else folder / names[0][0]


def save_mapping(file: Any, folder: Path) -> Path:
    """Write a mapping into a folder, in place of the one that was there, and return where.

    Raises
    ------
    Refused
        It is too large to be one.
    """
    content = file.file.read(MAX_MAPPING + 1)
    if len(content) > MAX_MAPPING:
        raise Refused("steward.mapping_too_large")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / safe_parts(str(file.filename))[-1]
    path.write_bytes(content)
    return path


def safe_parts(name: str) -> list[str]:
    r"""Return the parts of a name as folders and a file that every system can hold and that lead nowhere else.

    Examples
    --------
    >>> safe_parts("leverans/deltagare åäö.csv"), safe_parts("../../etc/passwd"), safe_parts(r"C:\data\nul.csv")
    (['leverans', 'deltagare åäö.csv'], ['etc', 'passwd'], ['C_', 'data', '_nul.csv'])
    """
    parts = []
    for part in name.replace("\\", "/").split("/"):
        plain = _WRONG.sub("_", part).strip().rstrip(". ")
        if not plain or set(plain) <= {".", " "}:
            continue
        if _DEVICES.match(plain):
            plain = f"_{plain}"
        parts.append(_shortened(plain))
    # Windows has no place for paths as long as some archives make them.
    return parts[-6:] or ["_"]


def _shortened(name: str) -> str:
    """Return a name that is not too long, with its ending."""
    if len(name.encode("utf-8", "replace")) <= _LONGEST:
        return name.encode("utf-8", "replace").decode("utf-8")
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = name, ""
    kept = stem.encode("utf-8", "replace")[: _LONGEST - 12].decode("utf-8", "ignore")
    return kept + dot * bool(ending) + ending


def _free(path: Path, taken: set[str]) -> Path:
    """Return a path that no other file of the upload has, by the rules of Windows too."""
    free, number = path, 1
    while str(free).casefold() in taken:
        number += 1
        free = path.with_name(f"{path.stem} ({number}){path.suffix}")
    taken.add(str(free).casefold())
    return free
