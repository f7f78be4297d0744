"""What a submission must be before it is stored."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bipstudy.loaders import Submission
from bipstudy.pool.journal import State
from bipstudy.texts import DataError, default_language


def validated(submission: Submission) -> Any:
    """Validate a submission."""
    from bipstudy.validation import validate

    return validate(submission, language=default_language())


def count_of(report: Any, severity: str) -> int:
    """Return the number of findings of one severity."""
    return int((report.findings["severity"] == severity).sum())


def check_not_older(submission: Submission, state: State) -> None:
    """Refuse a submission that was extracted before the one that it would supersede."""
    for code in submission.organisation_ids:
        held, given = state.extracted_on.get(code), submission.extracted_on
        if held and given and given < dt.date.fromisoformat(held):
            raise DataError("pool.older_extract", organisation=code, held=held, given=given.isoformat())
