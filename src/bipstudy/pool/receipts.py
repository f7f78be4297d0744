"""The receipt of a submission, and the difference between two releases: for people and for files."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from bipstudy import schema
from bipstudy.loaders import SourceFile
from bipstudy.pool.changes import Changes
from bipstudy.pool.files import as_json, blotted
from bipstudy.texts import text


@dataclass(frozen=True)
class Receipt:
    """What was accepted, and what it changes.

    Attributes
    ----------
    hash : str
        SHA-256 of the content, the name of its folder in the pool.
    organisations : tuple of str
    extracted_on : date or None
    files : tuple of SourceFile
        The files that were sent.
    rows : dict of str to int
        Rows of each table that was sent.
    findings : dict of str to int
        Warnings and notes of the validation.
    supersedes : dict of str to str
        Organisation to the hash of its former submission, if it had one.
    withdrawn : int
        Participants of the submission who are withdrawn from the study and left out of its releases.
    changes : Changes
        Against the organisations' former submissions.
    exceptions : tuple of dict
        Those by which findings were accepted: rule, date, reason, and the count of findings each covers.
    """

    hash: str
    organisations: tuple[str, ...]
    extracted_on: dt.date | None
    files: tuple[SourceFile, ...]
    rows: dict[str, int]
    findings: dict[str, int]
    supersedes: dict[str, str]
    withdrawn: int
    changes: Changes
    exceptions: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the receipt as plain values, complete."""
        content = {
            "schema_version": schema.SCHEMA_VERSION,
            "hash": self.hash,
            "organisations": list(self.organisations),
            "extracted_on": None if self.extracted_on is None else self.extracted_on.isoformat(),
            "files": [{"name": blotted(file.name), "sha256": file.sha256, "size": file.size} for file in self.files],
            "rows": self.rows,
            "findings": self.findings,
            "supersedes": self.supersedes,
            "withdrawn": self.withdrawn,
            "changes": self.changes.as_dict(),
        }
        return content | ({"exceptions": [dict(each) for each in self.exceptions]} if self.exceptions else {})

    def to_json(self) -> bytes:
        """Return the receipt as JSON; the same receipt gives the same bytes."""
        return as_json(self.as_dict())

    def text(self, language: str = "sv") -> str:
        """Return the receipt as a person reads it.

        Parameters
        ----------
        language : {"sv", "en"}

        Returns
        -------
        str
        """
        day = text("pool.unknown_day", language) if self.extracted_on is None else self.extracted_on.isoformat()
        lines = [
            text("pool.accepted", language, organisations=", ".join(self.organisations), extracted_on=day),
            text("pool.receipt_number", language, hash=self.hash),
            *(
                text("pool.rows", language, table=schema.table(name).label[language], rows=rows)
                for name, rows in self.rows.items()
            ),
            text(
                f"pool.findings{'_excepted' if self.exceptions else ''}",
                language,
                warnings=self.findings["warning"],
                notes=self.findings["note"],
            ),
            *(text("pool.exception", language, **each) for each in self.exceptions),
        ]
        if self.withdrawn:
            lines.append(text("pool.withdrawn", language, count=self.withdrawn))
        if self.supersedes:
            lines += [text("pool.supersedes", language), *self.changes.lines(language)]
        else:
            lines.append(text("pool.first_submission", language))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class ReleaseDiff:
    """What differs between two releases.

    Attributes
    ----------
    former, new : int
        Numbers of the releases.
    joined, left, resubmitted : tuple of str
        Organisations that are only in the new one, only in the former, or in both with another submission.
    withdrawn : tuple of (str, str)
        Organisation and participant of those withdrawn in the new release and not yet in the former.
    changes : Changes
        Of the tables.
    erased : tuple of (int, int)
        Participants erased from the former and from the new release after it was frozen.
    """

    former: int
    new: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    resubmitted: tuple[str, ...]
    withdrawn: tuple[tuple[str, str], ...]
    changes: Changes
    erased: tuple[int, int] = (0, 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as plain values, complete."""
        return {
            "former": self.former,
            "new": self.new,
            "joined": list(self.joined),
            "left": list(self.left),
            "resubmitted": list(self.resubmitted),
            "withdrawn": [list(key) for key in self.withdrawn],
            "erased": {"former": self.erased[0], "new": self.erased[1]},
            "changes": self.changes.as_dict(),
        }

    def text(self, language: str = "sv") -> str:
        """Return the difference as a person reads it."""
        lines = [text("pool.diff_title", language, former=self.former, new=self.new)]
        for name, organisations in (("joined", self.joined), ("left", self.left), ("resubmitted", self.resubmitted)):
            if organisations:
                lines.append(text(f"pool.organisations_{name}", language, organisations=", ".join(organisations)))
        if self.withdrawn:
            lines.append(text("pool.newly_withdrawn", language, count=len(self.withdrawn)))
        for release, count in zip((self.former, self.new), self.erased, strict=True):
            if count:
                lines.append(text("pool.release_erased", language, release=release, count=count))
        return "\n".join([*lines, *self.changes.lines(language)]) + "\n"
