"""What a submission must be before it is stored."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bipstudy.loaders import Submission
from bipstudy.pool.files import blotted
from bipstudy.pool.journal import State
from bipstudy.texts import BipstudyError, DataError, default_language


def validated(submission: Submission, thresholds: Any = None, exceptions: Any = None) -> Any:
    """Validate a submission, with the thresholds and exceptions that hold for it."""
    from bipstudy.validation import validate

    return validate(submission, language=default_language(), thresholds=thresholds, exceptions=exceptions)


def count_of(report: Any, severity: str) -> int:
    """Return the number of findings of one severity."""
    return int((report.findings["severity"] == severity).sum())


def exceptions_of(report: Any) -> tuple[dict[str, Any], ...]:
    """Return the exceptions by which findings were accepted: rule, date, reason, and how many each covers."""
    places = getattr(report, "places", None)
    if places is None:
        return ()
    excepted = places[places["status"] == "excepted"]
    counted: dict[tuple[str, str, str], int] = {}
    for code, values in zip(excepted["code"], excepted["values"], strict=True):
        said = values["exception"]
        key = (str(code), str(said["date"]), blotted(str(said["reason"])))
        counted[key] = counted.get(key, 0) + 1
    return tuple(
        {"rule": code, "date": date, "reason": reason, "count": count}
        for (code, date, reason), count in sorted(counted.items())
    )


def check_reason(reason: str) -> None:
    """Refuse a reason that says nothing: the log must say why."""
    if not reason.strip():
        raise BipstudyError("pool.no_reason")


def check_not_older(submission: Submission, state: State) -> None:
    """Refuse a submission that was extracted before the one that it would supersede."""
    for code in submission.organisation_ids:
        held, given = state.extracted_on.get(code), submission.extracted_on
        if held and given and given < dt.date.fromisoformat(held):
            raise DataError("pool.older_extract", organisation=code, held=held, given=given.isoformat())
