"""Fixes a plan before the data are analysed, and lists what a run did otherwise."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.pool.files import as_json, write_whole
from bipstudy.replication.plan import Plan
from bipstudy.replication.plan_reading import read_plan
from bipstudy.texts import BipstudyError

COLUMNS = ("item", "planned", "done")
_ENDING = ".registered.json"


@dataclass(frozen=True)
class Registration:
    """A plan as it was fixed.

    Attributes
    ----------
    plan_hash : str
        SHA-256 of what the plan says.
    registered_at : str
        Moment in UTC, ISO 8601, by the clock of the computer.
    version : str
        Version of bipstudy.
    plan : mapping of str to object
        What the plan said, as in `Plan.as_dict`.
    """

    plan_hash: str
    registered_at: str
    version: str
    plan: Mapping[str, Any]

    def to_json(self) -> bytes:
        """Return the content of the sidecar."""
        return as_json(dict(vars(self)))


def sidecar(path: str | Path) -> Path:
    """Return where the registration of a plan is kept: beside it."""
    path = Path(path)
    return path.with_name(path.stem + _ENDING)


def register_plan(path: str | Path, *, now: dt.datetime | None = None) -> Registration:
    """Fix the content and the date of a plan in a file beside it.

    Parameters
    ----------
    path : str or Path
        The plan.
    now : datetime, optional
        With a time zone; the computer's clock if left out.

    Returns
    -------
    Registration
        The former one if the plan was registered before and says the same.

    Raises
    ------
    BipstudyError
        The plan is wrong, or another content was registered under this name.
    """
    from bipstudy import __version__

    plan = read_plan(path)
    former = read_registration(path)
    if former is not None:
        if former.plan_hash != plan.hash:
            raise BipstudyError("runs.registered_otherwise", path=Path(path).name, date=former.registered_at[:10])
        return former
    moment = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)
    fixed = Registration(plan.hash, moment.isoformat(), __version__, plan.as_dict())
    write_whole(sidecar(path), fixed.to_json())
    return fixed


def read_registration(path: str | Path) -> Registration | None:
    """Return the registration of a plan, None if there is none.

    Raises
    ------
    BipstudyError
        The sidecar was changed or damaged.
    """
    file = sidecar(path)
    if not file.is_file():
        return None
    try:
        found = Registration(**json.loads(file.read_text(encoding="utf-8")))
        intact = _hash(found.plan) == found.plan_hash
    except (ValueError, TypeError):
        intact = False
    if not intact:
        raise BipstudyError("runs.registration_changed", path=file.name)
    return found


def deviations(registration: Registration | None, plan: Plan, release: int | None) -> pd.DataFrame:
    """List what a run did otherwise than the registered plan says.

    Parameters
    ----------
    registration : Registration or None
        Nothing was promised if there is none.
    plan : Plan
        What was run.
    release : int or None
        What it was run on.

    Returns
    -------
    DataFrame
        Columns ``item, planned, done``, all text: an item for each setting that differs, each question that was added
        or removed, and the release.
    """
    rows = [] if registration is None else list(_differing(registration.plan, plan.as_dict(), release))
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _differing(planned: Mapping[str, Any], done: Mapping[str, Any], release: int | None) -> Iterator[tuple[str, ...]]:
    """Yield item, planned and done for all that differs."""
    wanted = planned.get("release")
    if wanted is not None and wanted != release:
        yield "release", str(wanted), "–" if release is None else str(release)
    asked, answered = planned.get("questions", []), done["questions"]
    yield from ((f"questions.{name}", "–", name) for name in answered if name not in asked)
    yield from ((f"questions.{name}", name, "–") for name in asked if name not in answered)
    before, after = (dict(_flat(each)) for each in (planned, done))
    for item in sorted(before.keys() | after.keys()):
        if before.get(item) != after.get(item):
            yield item, before.get(item, "–"), after.get(item, "–")


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of a plan one by one, but for questions and release."""
    for name, value in content.items():
        if prefix == "" and name in ("questions", "release"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def _hash(content: Mapping[str, Any]) -> str:
    """Return the hash of what a plan says, as `Plan.hash` makes it."""
    words = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(words.encode("utf-8")).hexdigest()
