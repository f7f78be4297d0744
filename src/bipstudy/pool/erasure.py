"""Erasure: a participant's rows go from every stored submission and release; that somebody was erased stays.

What stays is a mark, a keyed hash (HMAC-SHA-256) of organisation and participant. Its key is drawn at random and stands
in the pool's folder alone, so that a mark in a release tells nothing to who does not hold the pool.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bipstudy import schema
from bipstudy.loaders import Submission
from bipstudy.pool.blotting import without_id
from bipstudy.pool.contents import Contents, Tables, release_file, without
from bipstudy.pool.files import as_json, blotted, read_tables, sha256, write_tables, write_whole
from bipstudy.pool.journal import Journal, State, new_event
from bipstudy.texts import BipstudyError, DataError, text

Person = tuple[str, str]
Events = list[dict[str, Any]]
# File, sheet and row.
_Place = tuple[str, str, int]
KEY_FILE = "erasure.key"


@dataclass(frozen=True)
class Erasure:
    """What erasing a participant did.

    Attributes
    ----------
    organisation : str
    submissions : int
        Submissions that held the person and are stored anew without them.
    releases : tuple of int
        Releases that held the person and say now that somebody was erased.
    """

    organisation: str
    submissions: int
    releases: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the erasure as plain values."""
        return {"organisation": self.organisation, "submissions": self.submissions, "releases": list(self.releases)}

    def text(self, language: str = "sv") -> str:
        """Return the erasure as a person reads it."""
        releases = ", ".join(map(str, self.releases)) or "-"
        return text("pool.erased", language, submissions=self.submissions, releases=releases)


def erase(contents: Contents, organisation: str, participant: str, reason: str) -> Erasure:
    """Delete a participant from a pool whose lock is held.

    Parameters
    ----------
    contents : Contents
    organisation, participant : str
    reason : str
        Why, for the log.

    Returns
    -------
    Erasure

    Raises
    ------
    BipstudyError
        The pool holds no such participant, or a file was changed.
    """
    journal, person = contents.journal, (organisation, participant)
    state, events = journal.state(), journal.events()
    key = _key(journal.folder, state)
    mark = mark_of(key, person)
    done = [event for event in events if event["event"] == "erase" and event["mark"] == mark]
    _remove_unlogged(journal.folder, state, events)
    renamed = _stored_without(contents, state, person)
    if not renamed:
        if done:
            return Erasure(organisation, done[-1]["submissions"], tuple(done[-1]["releases"]))
        raise BipstudyError("pool.no_participant", organisation=organisation)
    events, receipts = _receipts_without(journal, events, renamed, person)
    releases, concerned = _releases_without(contents, state, renamed, person, mark)
    events = [_event_without(event, renamed, releases, person) for event in events]
    what = {"submissions": len(renamed), "releases": list(concerned), "reason": without_id(reason, *person)}
    told = new_event(len(events) + 1, "erase", organisation=organisation, mark=mark, key=_fingerprint(key), **what)
    files = receipts | {release_file(number): file for number, file in releases.items()}
    journal.change([*events, told], files, [f"submissions/{content}" for content in sorted(renamed)])
    return Erasure(organisation, len(renamed), concerned)


def erased_by_organisation(release: Mapping[str, Any]) -> dict[str, int]:
    """Return how many participants of each organisation were erased from a release."""
    return dict(sorted(Counter(each["organisation"] for each in release.get("erased", ())).items()))


def check_erased(folder: Path, state: State, submission: Submission) -> None:
    """Refuse a submission that holds somebody who was erased.

    Raises
    ------
    DataError
        It does; names files, sheets and rows, and nobody.
    """
    if not set(state.erased) & set(submission.organisation_ids):
        return
    key = _key(folder, state)
    places: set[_Place] = set()
    count = 0
    for name, frame in submission.tables.items():
        if "participant_id" not in frame or not len(frame):
            continue
        people = list(zip(frame["organisation_id"], frame["participant_id"], strict=True))
        marked = {
            person: mark_of(key, person) in state.erased.get(person[0], ())
            for person in set(people)
            if isinstance(person[0], str) and isinstance(person[1], str)
        }
        hits = [number for number, person in enumerate(people) if marked.get(person)]
        count += len(hits)
        places |= _places(submission.provenance.get(name), hits)
    if count:
        rows = [{"file": file, "sheet": sheet or None, "row": row} for file, sheet, row in sorted(places)]
        raise DataError("pool.holds_erased", count=count, places=_told(places), rows=rows)


def mark_of(key: bytes, person: Person) -> str:
    """Return the keyed hash of a participant.

    Examples
    --------
    >>> mark_of(b"key", ("A", "1")) == mark_of(b"key", ("A", "1")) != mark_of(b"other key", ("A", "1"))
    True
    """
    return hmac.new(key, json.dumps(person).encode("utf-8"), hashlib.sha256).hexdigest()


def _key(folder: Path, state: State) -> bytes:
    """Return the key of the marks, drawn if nobody was erased yet."""
    path = folder / KEY_FILE
    if not path.is_file() and not state.erased:
        write_whole(path, secrets.token_hex(32).encode("ascii"))
        path.chmod(0o600)
    key = path.read_bytes() if path.is_file() else b""
    if state.erased and _fingerprint(key) != state.erasure_key:
        raise DataError("pool.tampered", name=KEY_FILE)
    return key


def _fingerprint(key: bytes) -> str:
    """Return by what a key can be known again."""
    return sha256(key)[:16]


def _places(provenance: Any, rows: Sequence[int]) -> set[_Place]:
    """Return where rows stand in the files that were sent; a sheet without a name is empty."""
    if provenance is None:
        return set()
    shown = provenance.iloc[list(rows)][["file", "sheet", "row"]].astype(object)
    shown = shown[shown["row"].notna() & shown["file"].notna()].fillna({"sheet": ""})
    return {
        (blotted(str(file)), blotted(str(sheet)), int(row))
        for file, sheet, row in shown.itertuples(index=False, name=None)
    }


def _told(places: set[_Place]) -> str:
    """Return every place as a person looks for it: the rows of each file and sheet, neighbours drawn together."""
    from bipstudy.validation.grouping import ranges

    sheets: dict[tuple[str, str], list[int]] = {}
    for file, sheet, row in sorted(places):
        sheets.setdefault((file, sheet), []).append(row)
    return "; ".join(f"{', '.join(filter(None, sheet))}: {ranges(rows)}" for sheet, rows in sheets.items())


def _remove_unlogged(folder: Path, state: State, events: Events) -> None:
    """Remove what a writer who was stopped stored and never logged: it belongs to no pool and may name anybody."""
    logged = {(event["hash"], event["receipt"]) for event in events if event["event"] == "add"}
    for stored in (folder / "submissions").iterdir():
        if stored.is_dir() and stored.name not in state.known:
            shutil.rmtree(stored)
        for receipt in stored.glob("receipt*.json"):
            if (stored.name, receipt.name) not in logged:
                receipt.unlink()


def _stored_without(contents: Contents, state: State, person: Person) -> dict[str, str]:
    """Store anew each submission that holds a person, without them; return former hash to new."""
    renamed = {}
    for content in sorted(state.known):
        tables = read_tables(contents.submission(content))
        less = _tables_without(tables, person)
        if sum(map(len, less.values())) == sum(map(len, tables.values())):
            continue
        renamed[content] = schema.content_hash(less)
        folder = contents.submission(renamed[content])
        if not folder.exists():
            # Its receipts follow with the log; until then it is none that the pool knows.
            write_tables(folder, less, b"{}\n")
    return renamed


def _tables_without(tables: Tables, person: Person) -> Tables:
    """Return tables without a person, and without tables that are then empty."""
    less = {name: without(frame, [person]).reset_index(drop=True) for name, frame in tables.items()}
    return {name: frame for name, frame in less.items() if len(frame)}


def _receipts_without(
    journal: Journal, events: Events, renamed: Mapping[str, str], person: Person
) -> tuple[Events, dict[str, bytes]]:
    """Return the events with the names their receipts get, and the content of every receipt that changes."""
    files: dict[str, bytes] = {}
    moved = []
    known = {event["hash"] for event in events if event["event"] == "add"}
    for event in events:
        if event["event"] == "add":
            former = f"submissions/{event['hash']}/{event['receipt']}"
            stored = journal.read(former)
            if event["hash"] in renamed:
                folder = f"submissions/{renamed[event['hash']]}"
                name = event["receipt"]
                if f"{folder}/{name}" in files or renamed[event["hash"]] in known:
                    # Another submission is the same without the person; each keeps its receipt.
                    name = f"receipt-{event['sequence']}.json"
                event, former = {**event, "receipt": name}, f"{folder}/{name}"
            cleaned = _receipt_without(journal, stored, renamed, person)
            if cleaned != stored:
                files[former] = cleaned
        moved.append(event)
    return moved, files


def _receipt_without(journal: Journal, stored: bytes, renamed: Mapping[str, str], person: Person) -> bytes:
    """Return a receipt without a person."""
    receipt = json.loads(stored or b"{}")
    if receipt.get("hash") in renamed:
        receipt["hash"] = renamed[receipt["hash"]]
        tables = read_tables(journal.folder / "submissions" / receipt["hash"])
        receipt["rows"] = {name: len(tables.get(name, ())) for name in receipt["rows"]}
        receipt["erased"] = receipt.get("erased", 0) + 1
        # A hash of what held the person would confirm a guess about them.
        receipt.pop("upgraded_from", None)
    if "supersedes" in receipt:
        receipt["supersedes"] = {code: renamed.get(each, each) for code, each in receipt["supersedes"].items()}
    for file in receipt.get("files", ()):
        file["name"] = without_id(file["name"], *person)
    for exception in receipt.get("exceptions", ()):
        exception["reason"] = without_id(exception["reason"], *person)
    changes = receipt.get("changes", {})
    for part in ("participants_gone", "participants_new"):
        if part in changes:
            changes[part] = _keys_without("participants", changes[part], person)
    for name, change in changes.get("tables", {}).items():
        for part in ("removed", "changed"):
            change[part] = _keys_without(name, change[part], person)
    return as_json(receipt)


def _keys_without(name: str, keys: Iterable[Sequence[str]], person: Person) -> list[Sequence[str]]:
    """Return the keys of rows of a table that are not a person's."""
    columns = list(schema.table(name).key)
    if "participant_id" not in columns:
        return list(keys)
    organisation, participant = columns.index("organisation_id"), columns.index("participant_id")
    return [key for key in keys if (key[organisation], key[participant]) != person]


def _releases_without(
    contents: Contents, state: State, renamed: Mapping[str, str], person: Person, mark: str
) -> tuple[dict[int, bytes], tuple[int, ...]]:
    """Return the releases that change, and the numbers of those that held the person."""
    files, concerned = {}, []
    for number in sorted(state.releases):
        content = contents.release(number)
        # Who was withdrawn before is in the submission and not in the release, from which nobody is erased then.
        held = content["submissions"].get(person[0]) in renamed and list(person) not in content["withdrawn"]
        if not renamed.keys() & set(content["submissions"].values()) and list(person) not in content["withdrawn"]:
            continue
        content["submissions"] = {code: renamed.get(each, each) for code, each in content["submissions"].items()}
        content["withdrawn"] = [each for each in content["withdrawn"] if each != list(person)]
        if held:
            erased = [*content.get("erased", ()), {"organisation": person[0], "mark": mark}]
            content["erased"] = sorted(erased, key=lambda each: (each["organisation"], each["mark"]))
            content["hash"] = schema.content_hash(contents.released(content))
            content.pop("upgraded_from", None)
            concerned.append(number)
        files[number] = as_json(content)
    return files, tuple(concerned)


def _event_without(
    event: dict[str, Any], renamed: Mapping[str, str], releases: Mapping[int, bytes], person: Person
) -> dict[str, Any]:
    """Return a line of the log without a person."""
    event = dict(event)
    for free in ("note", "reason"):
        if free in event:
            event[free] = without_id(event[free], *person)
    if event["event"] == "add":
        event["files"] = [{**file, "name": without_id(file["name"], *person)} for file in event["files"]]
        event["supersedes"] = {code: renamed.get(each, each) for code, each in event["supersedes"].items()}
        if event["hash"] in renamed:
            event["hash"] = renamed[event["hash"]]
            event["erased"] = event.get("erased", 0) + 1
            event.pop("upgraded_from", None)
    elif event["event"] == "withdraw" and (event["organisation"], event["participant"]) == person:
        # Why somebody left may say who it was.
        event["participant"] = event["reason"] = ""
    elif event["event"] == "release" and event["release"] in releases:
        # How many were withdrawn by then stays true; it names nobody.
        file = releases[event["release"]]
        event |= {"sha256": sha256(file), "erased": len(json.loads(file).get("erased", ()))}
    return event
