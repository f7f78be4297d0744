"""Validation of a submission or a study: every rule is asked, and the answers become a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.recognition import forbidden
from bipstudy.loaders.submission import NOT_READ
from bipstudy.texts import default_language

# Each of these registers its checks when it is imported.
from bipstudy.validation import (  # noqa: F401
    after_transition,
    chain,
    contacts,
    coverage,
    forms,
    identifiers,
    order,
    people,
    plausible,
    references,
    sources,
    structure,
    telling,
)
from bipstudy.validation.accepted import Accepted, mark, read_exceptions, thresholds_of
from bipstudy.validation.data import Data, distinct_values, plain
from bipstudy.validation.findings import Report, collect, ordered
from bipstudy.validation.outside import outside_cells
from bipstudy.validation.risk import risk
from bipstudy.validation.rules import CHECKS, Hits, NotApplicable, Outcome, RuleStatus, rule_needs

# Rules whose finding says that a cell cannot be used, which the loader may have said of the same cell already.
_ABOUT_A_CELL = (
    "missing-value",
    "unknown-code",
    "out-of-bounds",
    "missing-column",
    "missing-table",
    "wrong-type",
    "answered-without-date",
    "left-reason-without-date",
)
# Rules on what an id repeats or refers to, and the table it refers to: nothing is known where the id is spoilt.
_ABOUT_AN_ID = {
    "duplicate-key": "",
    "two-answers-for-one-form": "",
    "unknown-participant": "participants",
    "unknown-caseworker": "caseworkers",
    "participant-without-form": "measurements",
}
# Rules that miss something, which may stand in a file that nobody could read.
_MISSES_SOMETHING = (
    "unknown-participant",
    "unknown-caseworker",
    "unknown-form",
    "participant-without-form",
    "participant-without-caseworker",
    "form-without-partner",
    "few-pairs",
    "occasion-skipped",
    "no-recent-occasion",
    "seasonal-hole",
    "late-register-months",
    "caseworker-with-one-client",
    "left-to-work-without-outcome",
)
_PLACE = ("file", "sheet", "row")


def validate(
    submission: Any,
    language: str | None = None,
    *,
    thresholds: str | Path | Mapping[str, Any] | None = None,
    exceptions: str | Path | Sequence[Accepted] | None = None,
) -> Report:
    """Check a submission, or a study, against every rule.

    Parameters
    ----------
    submission : Submission or Study
        From `bipstudy.load_submission`, or a study in memory.
    language : {"sv", "en"}, optional
        Language of the report; Swedish unless the variable ``BIPSTUDY_LANGUAGE`` says otherwise.
    thresholds : str, Path or mapping, optional
        YAML file of a study or an organisation, or its content, with thresholds in place of ours.
    exceptions : str, Path or sequence of Accepted, optional
        YAML file of findings that are accepted, each with a reason and a date: they stay in the report as excepted,
        with the reason, and count no more as errors.

    Returns
    -------
    Report
        Complete, however many findings there are.

    Raises
    ------
    BipstudyError
        A file of thresholds or exceptions cannot be used; the line is named.

    Examples
    --------
    >>> import bipstudy as bip
    >>> report = bip.validate(bip.load_example(), language="en")
    >>> report.ok
    True
    """
    data = Data.of(submission)
    unread = (
        *identifiers.in_names(submission),
        *identifiers.in_unread(submission),
        *contacts.in_unread(submission),
        *outside_cells(submission),
    )
    data = replace(data, loaded=(*_without_cells_of(unread, data.loaded), *unread))
    told = {finding.code for finding in data.loaded if finding.code in identifiers.CODES + contacts.CODES}
    accepted = read_exceptions(exceptions) if isinstance(exceptions, (str, Path)) else tuple(exceptions or ())
    organisations = _organisations(data)
    limits, unused = thresholds_of(thresholds or {}, organisations)
    statuses, found, not_applicable = [], [], []
    for code, function in CHECKS.items():
        rule = schema.rules()[code]
        absent = rule_needs(rule, data)
        outcome = Outcome(0) if absent else function(data, limits[code])
        if outcome.checked == 0 and not outcome.hits and code not in told:
            not_applicable.append(_why_not(code, absent, outcome, data))
            continue
        hits = list(_not_yet_said(code, outcome, data))
        found += [(code, hit) for hit in hits]
        statuses.append(RuleStatus(code, outcome.checked))
    data = replace(data, loaded=_without_numbers_of_persons(found, data))
    places, no_use = mark(collect(data, found), accepted, data, organisations)
    return Report(
        language=language or default_language(),
        places=ordered(places),
        statuses=tuple(statuses),
        not_applicable=tuple(not_applicable),
        submitted=_submitted(data),
        extracted_on=data.extracted_on,
        risk=risk(data.tables),
        remarks=unused + no_use,
    )


def _without_cells_of(personal: Sequence[schema.Finding], loaded: Sequence[schema.Finding]) -> list[schema.Finding]:
    """Return what the loader said, but of cells with personal data, of which it matters less that they are no date.

    A column that was refused since it is called one of identity numbers is told cell by cell where it holds such.
    """
    cells = {(one.file, one.sheet, one.row, one.column) for one in personal if one.row is not None}
    columns = {(one.file, one.sheet, one.column) for one in personal if one.code == "personal-identity-number"}
    numbers = forbidden("personnummer")
    return [
        one
        for one in loaded
        if (one.file, one.sheet, one.row, one.column) not in cells
        and not (
            one.code == "forbidden-column"
            and numbers is not None
            and one.values["kind"] == numbers.kind
            and (one.file, one.sheet, one.column) in columns
        )
    ]


def _without_numbers_of_persons(found: Sequence[tuple[str, Hits]], data: Data) -> list[schema.Finding]:
    """Return what the loader said, but that an id is spoilt where it is told as the identity number of a person."""
    if not any(one.code == "spoilt-id" for one in data.loaded):
        return list(data.loaded)
    personal = {
        (hit.table, column, place)
        for code, hit in found
        if code == "personal-identity-number" and hit.rows is not None
        for column, place in zip(_columns(data, hit, hit.rows), _places(data, hit), strict=True)
    }
    return [
        one
        for one in data.loaded
        if one.code != "spoilt-id" or (one.table, one.column, (one.file, one.sheet, one.row)) not in personal
    ]


def _organisations(data: Data) -> list[str]:
    """Return the organisations whose participants are looked at."""
    frame = data.tables.get("participants")
    return [] if frame is None else sorted(map(str, frame["organisation_id"].dropna().unique()))


def _why_not(code: str, absent: list[str], outcome: Outcome, data: Data) -> NotApplicable:
    """Say why a rule does not apply."""
    unsent = tuple(name for name in absent if name not in data.sent)
    if unsent:
        return NotApplicable(code, "reason_table", tables=unsent)
    if outcome.columns:
        return NotApplicable(code, "reason_column", columns=outcome.columns)
    return NotApplicable(code, outcome.reason or "reason_nothing")


def _not_yet_said(code: str, outcome: Outcome, data: Data) -> Iterator[Hits]:
    """Yield the hits at places of which the loader has said nothing."""
    if code in _MISSES_SOMETHING and any(one.code in NOT_READ for one in data.loaded):
        outcome = replace(outcome, hits=tuple(replace(hit, status="unchecked") for hit in outcome.hits))
    if code in _ABOUT_AN_ID:
        yield from _with_sound_ids(code, outcome, data)
        return
    if code not in _ABOUT_A_CELL or not data.loaded:
        yield from outcome.hits
        return
    said = _said(data)
    for hit in outcome.hits:
        if hit.rows is None:
            column = None if hit.column is None else data.source_column(hit.table, hit.column)
            if not any((None, None, None) in said.get((hit.table, one), ()) for one in (column, hit.column)):
                yield hit
            continue
        columns = _columns(data, hit, hit.rows)
        there = {column: said.get((hit.table, column), set()) for column in set(columns)}
        if not any(there.values()):
            yield hit
            continue
        yield from _only(
            hit, [place not in there[column] for column, place in zip(columns, _places(data, hit), strict=True)]
        )


def _with_sound_ids(code: str, outcome: Outcome, data: Data) -> Iterator[Hits]:
    """Yield the hits at rows whose own ids are sound; what they refer to may stand where an id is spoilt."""
    spoilt = {one.table for one in data.loaded if one.code == "spoilt-id"}
    for hit in outcome.hits:
        told = replace(hit, status="unchecked") if _ABOUT_AN_ID[code] in spoilt else hit
        kept = ~data.told(hit.table, "spoilt-id")[hit.rows] if hit.table in spoilt else None
        yield from _only(told, None if kept is None else kept.tolist())


def _columns(data: Data, hit: Hits, rows: npt.NDArray[np.integer[Any]]) -> Sequence[str | None]:
    """Return what the file of each row of a hit calls its column."""
    return [None] * len(rows) if hit.column is None else data.headings_of(hit.table, hit.column, rows)


def _places(data: Data, hit: Hits) -> Iterator[tuple[object, ...]]:
    """Yield file, sheet and row of each row of a hit."""
    rows = data.provenance[hit.table].iloc[hit.rows]
    yield from zip(*(plain(rows[part]) for part in _PLACE), strict=True)


def _only(hit: Hits, kept: list[bool] | None) -> Iterator[Hits]:
    """Yield the rows of a hit that are kept, if any; None keeps all."""
    if kept is None or hit.rows is None or all(kept):
        yield hit
    elif any(kept):
        each = {
            name: [one for one, is_kept in zip(values, kept, strict=True) if is_kept]
            for name, values in hit.each.items()
        }
        yield Hits(hit.table, hit.rows[kept], hit.column, hit.status, hit.values, each)


def _said(data: Data) -> dict[tuple[object, object], set[tuple[object, ...]]]:
    """Return the places of which the loader has said something, by table and column; of a whole column without them."""
    if "said" not in data.memory:
        said: dict[tuple[object, object], set[tuple[object, ...]]] = {}
        for finding in data.loaded:
            whole = finding.row is None
            place = (None, None, None) if whole else (finding.file, finding.sheet, finding.row)
            said.setdefault((finding.table, finding.column), set()).add(place)
        data.memory["said"] = said
    found: dict[tuple[object, object], set[tuple[object, ...]]] = data.memory["said"]
    return found


def _blotted(name: object) -> object:
    """Return the name of a file or sheet as it may be shown."""
    return None if name is None or pd.isna(name) else identifiers.redact(str(name))


def _submitted(data: Data) -> pd.DataFrame:
    """Return how many rows of each table came from which file and sheet."""
    counted: dict[tuple[object, ...], int] = {}
    for name, frame in data.provenance.items():
        (file_codes, files), (sheet_codes, sheets) = (distinct_values(frame[part]) for part in ("file", "sheet"))
        both = (file_codes + 1) * (len(sheets) + 1) + sheet_codes + 1
        rows = np.bincount(both)
        for number in pd.unique(both):
            file, sheet = divmod(int(number), len(sheets) + 1)
            place = (name, _blotted([None, *files][file]), _blotted([None, *sheets][sheet]))
            counted[place] = counted.get(place, 0) + int(rows[number])
    return pd.DataFrame([(*place, rows) for place, rows in counted.items()], columns=["table", "file", "sheet", "rows"])
