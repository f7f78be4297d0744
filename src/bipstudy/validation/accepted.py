"""What a study or an organisation may decide itself: other thresholds, and findings that are accepted with a reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.texts import BipstudyError
from bipstudy.validation.bounds import Mask
from bipstudy.validation.data import Data
from bipstudy.validation.identifiers import redact

_PLACE = ("table", "file", "sheet", "column", "row")
_KNOWN = {"rule", "organisation", "key", "reason", "date", "until", *_PLACE}


@dataclass(frozen=True)
class Accepted:
    """A finding, or all findings of a rule at a place, that an organisation accepts.

    Attributes
    ----------
    rule : str
        Code of the rule.
    reason : str
    date : date
        Day of the decision.
    until : date or None
        Last extraction date for which it holds.
    organisation : str or None
    place : dict of str to object
        Those of table, file, sheet, column and row that were named.
    key : dict of str to str
        Columns and values of the table by which rows are named, such as ``{"participant_id": "17"}``.
    """

    rule: str
    reason: str
    date: dt.date
    until: dt.date | None = None
    organisation: str | None = None
    place: dict[str, object] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)

    def holds(self, extracted_on: dt.date | None) -> bool:
        """Say whether it holds for what was extracted on a day; one with a last day needs a day to compare with."""
        return self.until is None or (extracted_on is not None and extracted_on <= self.until)


def read_exceptions(path: str | Path) -> tuple[Accepted, ...]:
    """Read a file of exceptions.

    Parameters
    ----------
    path : str or Path
        YAML with the list ``exceptions``; each has a rule, a reason and a date, and says where it holds.

    Returns
    -------
    tuple of Accepted

    Raises
    ------
    BipstudyError
        There is no such file, it is no YAML, or an exception lacks its reason or date, names what is not known, or
        concerns a rule of which none is allowed. The line is named.
    """
    path = Path(path)
    content, lines = _read(path, "exceptions")
    if not isinstance(content, list):
        raise BipstudyError("validation.own_file_shape", path=path.name, line=1, wanted="exceptions")
    return tuple(_accepted(entry, path.name, line) for entry, line in zip(content, lines, strict=True))


def read_thresholds(
    source: str | Path | Mapping[str, Any], organisations: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the thresholds of every rule, with those of a study and of an organisation in place of ours.

    Parameters
    ----------
    source : str, Path or mapping
        YAML, or its content: ``rules`` for everybody, and ``organisations`` with the rules of each.
    organisations : sequence of str
        The organisations whose rows are looked at; own thresholds of one hold where there is no other.

    Returns
    -------
    dict
        Code of the rule to its thresholds.

    Raises
    ------
    BipstudyError
        There is no such file, or it names a rule or threshold that is not known or may not be changed.
    """
    name = Path(source).name if isinstance(source, (str, Path)) else "thresholds"
    content = _read(Path(source), None)[0] if isinstance(source, (str, Path)) else dict(source)
    if not isinstance(content, dict) or not set(content) <= {"rules", "organisations", "schema_version"}:
        raise BipstudyError("validation.own_file_shape", path=name, line=1, wanted="rules, organisations")
    found = {code: dict(rule.threshold) for code, rule in schema.rules().items()}
    everybody, own = content.get("rules") or {}, content.get("organisations") or {}
    if not isinstance(own, dict):
        raise BipstudyError("validation.own_file_shape", path=name, line=1, wanted="rules, organisations")
    for part in (everybody, *own.values()):
        _check_thresholds(part, name)
    for part in (everybody, own.get(organisations[0], {}) if len(organisations) == 1 else {}):
        for code, changed in part.items():
            found[code] |= {threshold: float(number) for threshold, number in changed.items()}
    return found


def mark(places: pd.DataFrame, accepted: Sequence[Accepted], data: Data) -> pd.DataFrame:
    """Return the places with the status of those that an exception covers, and its reason among their values.

    Parameters
    ----------
    places : DataFrame
        As in a report.
    accepted : sequence of Accepted
    data : Data

    Returns
    -------
    DataFrame
    """
    for each in accepted:
        if not each.holds(data.extracted_on):
            continue
        rows = np.flatnonzero(_covered(places, each, data))
        if len(rows):
            places = places.copy()
            said = {"date": each.date.isoformat(), "reason": each.reason}
            places.loc[places.index[rows], "status"] = "excepted"
            places["values"] = [
                {**values, "exception": said} if position in set(rows.tolist()) else values
                for position, values in enumerate(places["values"])
            ]
    return places


def _covered(places: pd.DataFrame, each: Accepted, data: Data) -> Mask:
    """Say which places an exception covers."""
    covered: Mask = ((places["code"] == each.rule) & (places["status"] == "invalid")).to_numpy(dtype=bool)
    for part, wanted in each.place.items():
        if part == "column":
            covered &= places["column"].isin(_spelt(str(wanted), places, data)).to_numpy(dtype=bool)
        else:
            covered &= (places[part] == wanted).fillna(False).to_numpy(dtype=bool)
    named = dict(each.key)
    if each.organisation is not None:
        named["organisation_id"] = each.organisation
    if named and covered.any():
        covered &= _has_key(places, named, covered, data)
    return covered


def _spelt(wanted: str, places: pd.DataFrame, data: Data) -> set[str]:
    """Return what the files call a column that is named by our name, theirs or the template's heading."""
    found = {wanted}
    for table in places["table"].dropna().unique():
        ours = [each.name for each in schema.table(str(table)).columns if wanted in each.label.values()]
        found |= {data.source_column(str(table), name) for name in (wanted, *ours)} | set(ours)
    return found


def _has_key(places: pd.DataFrame, named: Mapping[str, str], covered: Mask, data: Data) -> Mask:
    """Say which places stand at a row with some values; a whole column or table, if every row of it has them."""
    found = np.zeros(len(places), dtype=bool)
    for table in places["table"][covered].dropna().unique():
        frame = data.tables.get(str(table))
        if frame is None or not set(named) <= set(frame):
            continue
        rows = [(frame[column] == value).to_numpy(dtype=bool) for column, value in named.items()]
        holds = np.logical_and.reduce(rows)
        named_rows = set(_written(data.provenance[str(table)].loc[holds]))
        here = np.flatnonzero(covered & (places["table"] == table).to_numpy(dtype=bool))
        for position, place in zip(here, _written(places.iloc[here]), strict=True):
            found[position] = holds.all() if place[-1] is None else place in named_rows
    return found


def _written(places: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return file, sheet and row of some places as a report writes them."""
    parts = [places["file"], places["sheet"]]
    shown = [[None if pd.isna(name) else redact(str(name)) for name in part] for part in parts]
    rows = [None if pd.isna(row) else int(row) for row in places["row"]]
    return list(zip(*shown, rows, strict=True))


def _read(path: Path, part: str | None) -> tuple[Any, list[int]]:
    """Return the content of a YAML file, or of one part of it, and the line of each entry of that part."""
    import yaml

    if not path.is_file():
        raise BipstudyError("validation.own_file_missing", path=path.name)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        at = getattr(error, "problem_mark", None)
        raise BipstudyError(
            "validation.own_file_yaml", path=path.name, line=1 if at is None else at.line + 1
        ) from error
    if part is None:
        return content, []
    if node is None or not isinstance(content, dict) or set(content) - {part, "schema_version"}:
        raise BipstudyError("validation.own_file_shape", path=path.name, line=1, wanted=part)
    inner = next((value for key, value in node.value if key.value == part), None)
    lines = [each.start_mark.line + 1 for each in inner.value] if isinstance(inner, yaml.SequenceNode) else []
    return content.get(part) if lines else content.get(part) or [], lines


def _accepted(entry: Any, path: str, line: int) -> Accepted:
    """Check one exception and return it."""
    if not isinstance(entry, dict):
        raise BipstudyError("validation.own_file_shape", path=path, line=line, wanted="rule, reason, date")
    unknown = sorted(set(map(str, entry)) - _KNOWN)
    if unknown:
        raise BipstudyError(
            "validation.exception_key", path=path, line=line, name=", ".join(unknown), known=", ".join(sorted(_KNOWN))
        )
    rule = _rule(entry.get("rule"), path, line)
    if not isinstance(entry.get("reason"), str) or not entry["reason"].strip():
        raise BipstudyError("validation.exception_reason", path=path, line=line)
    row, key = entry.get("row"), entry.get("key") or {}
    if not isinstance(key, dict) or (row is not None and not isinstance(row, int)):
        raise BipstudyError("validation.exception_place", path=path, line=line)
    if entry.get("table") is not None and entry["table"] not in schema.TABLE_NAMES:
        raise BipstudyError("validation.exception_place", path=path, line=line)
    organisation = entry.get("organisation")
    return Accepted(
        rule=rule,
        reason=entry["reason"].strip(),
        date=_date(entry.get("date"), path, line),
        until=None if entry.get("until") is None else _date(entry["until"], path, line),
        organisation=None if organisation is None else str(organisation),
        place={part: entry[part] for part in _PLACE if entry.get(part) is not None},
        key={str(column): str(value) for column, value in key.items()},
    )


def _rule(code: Any, path: str, line: int) -> str:
    """Return the code of a rule of which an exception may be made."""
    if code not in schema.rules():
        raise BipstudyError("validation.own_file_rule", path=path, line=line, name=code)
    rule = schema.rules()[code]
    # What makes tables readable must be checked, and personal data must not be sent, whatever the reason.
    if rule.structural or rule.personal:
        raise BipstudyError("validation.exception_forbidden", path=path, line=line, name=code)
    return str(code)


def _date(value: Any, path: str, line: int) -> dt.date:
    """Return a date of a file, written as YYYY-MM-DD."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError as error:
        raise BipstudyError("validation.exception_date", path=path, line=line) from error


def _check_thresholds(part: Any, path: str) -> None:
    """Refuse thresholds that are not known, are no numbers, or may not be changed."""
    for code, changed in part.items() if isinstance(part, dict) else [(None, None)]:
        if code not in schema.rules():
            raise BipstudyError("validation.threshold_rule", path=path, name=code)
        rule = schema.rules()[code]
        known = {} if rule.personal else rule.threshold
        numbers = isinstance(changed, dict) and all(
            isinstance(number, (int, float)) and not isinstance(number, bool) for number in changed.values()
        )
        if not numbers or not set(changed or {}) <= set(known):
            raise BipstudyError("validation.threshold_unknown", path=path, name=code, known=", ".join(known) or "-")
