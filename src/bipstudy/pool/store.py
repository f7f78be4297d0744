"""The pool: accepted submissions and numbered releases in a folder. Nothing is lost but by erasure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from bipstudy import schema
from bipstudy.loaders import Submission, load_submission
from bipstudy.pool.changes import compare
from bipstudy.pool.checks import check_not_older, check_reason, count_of, exceptions_of, validated
from bipstudy.pool.contents import Contents, Tables, release_file
from bipstudy.pool.erasure import Erasure, check_erased, erase, erased_by_organisation
from bipstudy.pool.files import as_json, blotted, read_tables, refused, sha256, write_tables, write_whole
from bipstudy.pool.journal import Journal, State
from bipstudy.pool.receipts import Receipt, ReleaseDiff
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, DataError

T = TypeVar("T")


class Pool:
    """The submissions and releases of a study, in a folder that an auditor can read.

    ``submissions/<hash>/`` holds the tables of a submission as Parquet files beside its receipt, ``releases/N.json``
    the hashes of a release and the participants withdrawn by then, ``log.jsonl`` who did what and when.

    Parameters
    ----------
    path : str or Path
        Folder of the pool; made when the first submission is added.
    timeout : float
        Seconds to wait while somebody else writes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(Pool(folder).list())
    0
    """

    def __init__(self, path: str | Path, timeout: float = 60.0) -> None:
        self.path = Path(path)
        self.timeout = timeout
        with refused("pool.cannot_read", self.path):
            is_file = self.path.exists() and not self.path.is_dir()
        if is_file:
            raise BipstudyError("pool.not_a_pool", path=self.path)
        self._journal = Journal(self.path)
        self._contents = Contents(self._journal)

    def add(self, submission: Submission, report: Any = None, *, older: bool = False) -> Receipt:
        """Store a submission that passes validation, all of it or nothing.

        It supersedes the former submission of its organisations whole; the former stays in the pool.

        Parameters
        ----------
        submission : Submission
        report : Report, optional
            What validation found in this very submission; without it the submission is validated here.
        older : bool
            Take it even if it was extracted before the one that it supersedes.

        Returns
        -------
        Receipt

        Raises
        ------
        DataError
            The submission does not pass validation, holds somebody who was erased, or is older than the one that the
            pool holds; the pool is untouched.
        BipstudyError
            Somebody else writes, or the folder is no pool.
        """
        report = validated(submission) if report is None else report
        if not report.ok or not submission.organisation_ids:
            raise DataError("pool.rejected", report=report, errors=count_of(report, "error"))
        tables = {name: schema.conform(name, submission.tables[name]) for name in _with_rows(submission.tables)}
        content = schema.content_hash(tables)
        with self._journal.writing(self.timeout):
            state = self._journal.state()
            check_erased(self.path, state, submission)
            if not older:
                check_not_older(submission, state)
            receipt = self._receipt(submission, report, tables, content, state)
            self._log_added(receipt, self._stored(receipt, tables))
        return receipt

    def add_path(
        self,
        path: str | Path,
        mapping: str | Path | None = None,
        organisation: str | None = None,
        extracted_on: str | dt.date | None = None,
        *,
        older: bool = False,
        thresholds: Any = None,
        exceptions: Any = None,
    ) -> Receipt:
        """Load, validate and store what an organisation sends.

        The parameters are those of `load_submission`, `validate` and `add`.

        Returns
        -------
        Receipt

        Raises
        ------
        DataError
            The submission is refused; the pool is untouched.
        BipstudyError
            There is no such file, somebody else writes, or the folder is no pool.
        """
        submission = load_submission(path, mapping, organisation, extracted_on)
        return self.add(submission, validated(submission, thresholds, exceptions), older=older)

    def list(self) -> pd.DataFrame:
        """Return the submissions, in the order in which they were added.

        Returns
        -------
        DataFrame
            Columns ``sequence, organisation_id, extracted_on, hash, current, left, erased, time, user``; one row per
            submission and organisation. `current` says whether the next release holds it, `left` whether it is the last
            one of an organisation that has left, `erased` how many participants were erased from it afterwards.
        """
        self._journal.check_there()
        added = [event for event in self._journal.events() if event["event"] in ("add", "leave")]
        last: dict[str, int] = {}
        gone: set[str] = set()
        for event in added:
            if event["event"] == "leave":
                gone.add(event["organisation"])
            else:
                last.update(dict.fromkeys(event["organisations"], event["sequence"]))
                gone -= set(event["organisations"])
        columns = ["sequence", "organisation_id", "extracted_on", "hash", "current", "left", "erased", "time", "user"]
        rows = [
            {
                "erased": 0,
                **event,
                "organisation_id": code,
                "current": last[code] == event["sequence"] and code not in gone,
                "left": last[code] == event["sequence"] and code in gone,
            }
            for event in added
            if event["event"] == "add"
            for code in event["organisations"]
        ]
        return pd.DataFrame([[row[column] for column in columns] for row in rows], columns=columns)

    def releases(self) -> pd.DataFrame:
        """Return the releases: number, organisations, participants withdrawn and erased, note, time and user."""
        self._journal.check_there()
        columns = ["release", "organisations", "withdrawn", "erased", "note", "time", "user"]
        events = [{"erased": 0, **event} for event in self._journal.events() if event["event"] == "release"]
        return pd.DataFrame([[event[column] for column in columns] for event in events], columns=columns)

    @property
    def unfinished(self) -> bool:
        """Whether an erasure was stopped before the last file was removed; the next writer finishes it."""
        return self._journal.pending() is not None

    def release(self, note: str = "") -> int:
        """Freeze what the pool holds now as a numbered release.

        Parameters
        ----------
        note : str
            Why, for the log.

        Returns
        -------
        int
            Number of the release.

        Raises
        ------
        BipstudyError
            The pool has no submission, one was changed, or somebody else writes.
        """
        self._journal.check_held()
        with self._journal.writing(self.timeout):
            state = self._journal.state()
            if not state.current:
                raise BipstudyError("pool.all_left" if state.known else "pool.empty", path=self.path)
            number = max(state.releases, default=0) + 1
            content = {
                "release": number,
                "schema_version": schema.SCHEMA_VERSION,
                "submissions": state.current,
                "withdrawn": sorted(map(list, state.withdrawn)),
                "hash": schema.content_hash(self._contents.tables(state.current, state.withdrawn)),
            }
            file = as_json(content)
            write_whole(self.path / release_file(number), file)
            self._journal.write(
                "release",
                release=number,
                sha256=sha256(file),
                organisations=len(state.current),
                withdrawn=len(state.withdrawn),
                note=blotted(note),
            )
        return number

    def check(self, reason: str) -> None:
        """Refuse what nobody need be asked about: to take somebody out where there is no pool, or without a reason.

        Parameters
        ----------
        reason : str

        Raises
        ------
        BipstudyError
            There is no pool at the path, nothing was ever added to it, or the reason is blank.
        """
        self._journal.check_held()
        check_reason(reason)

    def withdraw(self, organisation: str, participant: str, reason: str) -> None:
        """Leave a participant out of all future releases, also if a later submission still holds the person.

        Parameters
        ----------
        organisation, participant : str
            Code of the organisation and the participant's id there.
        reason : str
            Why, for the log.

        Raises
        ------
        BipstudyError
            No submission of the organisation holds such a participant, `check` refuses, or somebody else writes.
        """
        self.check(reason)
        with self._journal.writing(self.timeout):
            hashes = {
                event["hash"]
                for event in self._journal.events()
                if event["event"] == "add" and organisation in event["organisations"]
            }
            held = (self._contents.slice(content, organisation) for content in sorted(hashes))
            if not any((tables["participants"]["participant_id"] == participant).any() for tables in held if tables):
                raise BipstudyError("pool.no_participant", organisation=organisation)
            self._journal.write("withdraw", organisation=organisation, participant=participant, reason=blotted(reason))

    def leave(self, organisation: str, reason: str) -> None:
        """Leave an organisation out of future releases until it sends a submission again; what it sent stays stored.

        Parameters
        ----------
        organisation : str
            Code of the organisation.
        reason : str
            Why, for the log.

        Raises
        ------
        BipstudyError
            The pool holds nothing of such an organisation, `check` refuses, or somebody else writes.
        """
        self.check(reason)
        with self._journal.writing(self.timeout):
            if organisation not in self._journal.state().current:
                raise BipstudyError("pool.no_organisation", organisation=organisation)
            self._journal.write("leave", organisation=organisation, reason=blotted(reason))

    def erase(self, organisation: str, participant: str, reason: str) -> Erasure:
        """Delete every row about a participant from all stored submissions and all releases, for ever.

        Submissions that held the person are stored anew without them, the releases point to those and say that
        somebody was erased, the former files are deleted, and the person's id goes from the log and the receipts. A
        keyed hash of it stays, so that a later submission that still holds the person is refused. Killed at any moment,
        the pool is as before or as after; what was left is finished by the next writer.

        Parameters
        ----------
        organisation, participant : str
            Code of the organisation and the participant's id there.
        reason : str
            Why, for the log.

        Returns
        -------
        Erasure

        Raises
        ------
        BipstudyError
            No submission of the organisation holds such a participant, `check` refuses, a file was changed or cannot be
            removed, or somebody else writes.
        """
        self.check(reason)
        with self._journal.writing(self.timeout):
            return erase(self._contents, organisation, participant, reason)

    def diff(self, a: int, b: int) -> ReleaseDiff:
        """Return what differs between two releases.

        Parameters
        ----------
        a, b : int
            Numbers of the former and the new release.

        Returns
        -------
        ReleaseDiff

        Raises
        ------
        BipstudyError
            There is no such pool or release, or what it names was changed.
        """
        self._journal.check_there()
        return self._steady(lambda: self._diff(a, b))

    def _diff(self, a: int, b: int) -> ReleaseDiff:
        """Return what differs between two releases."""
        old, new = self._contents.release(a), self._contents.release(b)
        before, after = old["submissions"], new["submissions"]
        gone = {tuple(key) for key in old["withdrawn"]}
        return ReleaseDiff(
            former=a,
            new=b,
            joined=tuple(sorted(after.keys() - before.keys())),
            left=tuple(sorted(before.keys() - after.keys())),
            resubmitted=tuple(sorted(code for code in before.keys() & after.keys() if before[code] != after[code])),
            withdrawn=tuple(sorted({tuple(key) for key in new["withdrawn"]} - gone)),
            changes=compare(self._contents.released(old), self._contents.released(new)),
            erased=(len(old.get("erased", ())), len(new.get("erased", ()))),
        )

    def study(self, release: int | None = None) -> Study:
        """Return the tables of a release, the newest unless named; the same for ever.

        Parameters
        ----------
        release : int, optional

        Returns
        -------
        Study

        Raises
        ------
        BipstudyError
            There is no such pool or release, or what it names was changed.
        """
        self._journal.check_there()
        return self._steady(lambda: self._study(release))

    def _study(self, release: int | None) -> Study:
        """Return the tables of a release."""
        releases = self._journal.state().releases
        if not releases:
            raise BipstudyError("pool.no_release", path=self.path)
        number = max(releases) if release is None else release
        content = self._contents.release(number)
        tables = self._contents.released(content)
        study = Study.from_tables(tables, release=number, erased=erased_by_organisation(content))
        if study.hash != content["hash"]:
            raise DataError("pool.tampered", name=release_file(number))
        return study

    def _steady(self, read: Callable[[], T]) -> T:
        """Read once more if somebody erased a participant while we read."""
        before = self._journal.stamp()
        try:
            return read()
        except DataError:
            if self._journal.stamp() == before:
                raise
            return read()

    def _receipt(self, submission: Submission, report: Any, tables: Tables, content: str, state: State) -> Receipt:
        """Return the receipt of a submission that is about to be stored."""
        former = {code: state.current[code] for code in submission.organisation_ids if code in state.current}
        mine = {
            code: {name: frame[frame["organisation_id"] == code] for name, frame in tables.items()} for code in former
        }
        new = {name: pd.concat([part[name] for part in mine.values()]) for name in tables} if mine else {}
        people = tables["participants"][["organisation_id", "participant_id"]].itertuples(index=False, name=None)
        return Receipt(
            hash=content,
            organisations=submission.organisation_ids,
            extracted_on=submission.extracted_on,
            files=submission.files,
            rows={name: len(frame) for name, frame in tables.items()},
            findings={severity: count_of(report, severity) for severity in ("warning", "note")},
            supersedes=former,
            withdrawn=len(state.withdrawn & set(people)),
            changes=compare(self._contents.tables(former, ()), new),
            exceptions=exceptions_of(report),
        )

    def _stored(self, receipt: Receipt, tables: Tables) -> str:
        """Store the tables of a submission and its receipt; return the name of the receipt's file."""
        folder = self.path / "submissions" / receipt.hash
        if not folder.exists():
            write_tables(folder, tables, receipt.to_json())
            return "receipt.json"
        # Sent before, or stored by a writer that was stopped before it could log it.
        read_tables(folder)
        if receipt.hash not in self._journal.state().known:
            write_whole(folder / "receipt.json", receipt.to_json())
            return "receipt.json"
        name = f"receipt-{len(self._journal.events()) + 1}.json"
        write_whole(folder / name, receipt.to_json())
        return name

    def _log_added(self, receipt: Receipt, receipt_file: str) -> None:
        """Log a submission; with that it belongs to the pool."""
        content = receipt.as_dict()
        kept = ("hash", "organisations", "extracted_on", "files", "supersedes", "schema_version")
        self._journal.write("add", **{name: content[name] for name in kept}, receipt=receipt_file)


def _with_rows(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the names of the tables that have rows, in the order of the schema."""
    return [name for name in schema.TABLE_NAMES if name in tables and len(tables[name])]
