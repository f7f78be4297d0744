"""What a study or an organisation may decide itself: other thresholds, and findings that are accepted with a reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.texts import BipstudyError, text
from bipstudy.validation.bounds import Mask
from bipstudy.validation.data import Data
from bipstudy.validation.identifiers import redact

_PLACE = ("table", "file", "sheet", "column", "row")
# So deep go the entries of our files; one that refers to itself would go on for ever.
_DEPTH = 5
_PARTS = {"rules", "organisations", "schema_version"}
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


class OwnFileError(BipstudyError):
    """What is wrong in a file of thresholds or exceptions, with the line on which it stands.

    Parameters
    ----------
    key : str
        Key of the sentence in the catalogue.
    path : str
        Name of the file.
    line : int or None
        None where the content came from no file.
    **values
        What else the sentence says.
    """

    def __init__(self, key: str, *, path: str, line: int | None, **values: object) -> None:
        super().__init__(key, path=path, line=line, **values)

    def message(self, language: str) -> str:
        """Return what is wrong and where, in one language."""
        place = self.values["path"]
        if self.values["line"] is not None:
            place = text("validation.own_file_line", language, **self.values)
        return text(self.code, language, **{**self.values, "place": place})


@dataclass(frozen=True)
class _Own:
    """The content of a file, and the line of each key and entry by the way that leads to it."""

    name: str
    content: Any
    lines: Mapping[tuple[Any, ...], int] = field(default_factory=dict)

    def wrong(self, sentence: str, *way: Any, **values: object) -> OwnFileError:
        """Return the error about what stands at the end of a way, or about what holds it if there is none."""
        there = [way[:length] for length in range(len(way), -1, -1) if way[:length] in self.lines]
        line = self.lines[there[0]] if there else None
        return OwnFileError(f"validation.{sentence}", path=self.name, line=line, **values)

    def entries(self, *way: Any, wanted: str) -> dict[Any, Any]:
        """Return the mapping at the end of a way, empty where there is none."""
        found = self.content
        for step in way:
            found = found.get(step)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise self.wrong("own_file_shape", *way, wanted=wanted)
        return dict(found)


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
    OwnFileError
        There is no such file, it is no YAML, or an exception lacks its reason or date, names what is not known, or
        concerns a rule of which none is allowed. The line is named.
    """
    own = _read(Path(path))
    unknown = [each for each in own.entries(wanted="exceptions") if each not in {"exceptions", "schema_version"}]
    if unknown or not isinstance(own.content, dict):
        raise own.wrong("own_file_shape", *unknown[:1], wanted="exceptions")
    listed = own.content.get("exceptions")
    if not isinstance(listed, list | None):
        raise own.wrong("own_file_shape", "exceptions", wanted="exceptions")
    return tuple(_accepted(entry, own, number) for number, entry in enumerate(listed or []))


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
    OwnFileError
        There is no such file, or it names a rule or threshold that is not known or may not be changed. The line is
        named.
    """
    own = _Own("thresholds", source) if isinstance(source, Mapping) else _read(Path(source))
    unknown = [each for each in own.entries(wanted="rules, organisations") if each not in _PARTS]
    if unknown or own.content is None:
        raise own.wrong("own_file_shape", *unknown[:1], wanted="rules, organisations")
    found = {code: dict(rule.threshold) for code, rule in schema.rules().items()}
    ways: list[tuple[Any, ...]] = [("rules",)]
    ways += [("organisations", code) for code in own.entries("organisations", wanted="organisations")]
    for way in ways:
        _check_thresholds(own, way)
    theirs = {str(way[1]): way for way in ways[1:]}
    held = [ways[0], *([theirs[organisations[0]]] if len(organisations) == 1 and organisations[0] in theirs else [])]
    for way in held:
        for code, changed in own.entries(*way, wanted="rules").items():
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
        for name in (wanted, *ours):
            found |= {data.source_column(str(table), name), *data.every_heading(str(table), name)}
        found |= set(ours)
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


def _read(path: Path) -> _Own:
    """Return the content of a YAML file and its lines."""
    import yaml

    if not path.is_file():
        raise BipstudyError("validation.own_file_missing", path=path.name)
    try:
        written = path.read_text(encoding="utf-8-sig")
        node, content = yaml.compose(written, Loader=yaml.SafeLoader), yaml.safe_load(written)
        lines = dict(_lines_of(node, ()))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        at = getattr(error, "problem_mark", None)
        line = 1 if at is None else at.line + 1
        raise OwnFileError("validation.own_file_yaml", path=path.name, line=line) from error
    return _Own(path.name, content, {(): 1, **lines})


def _lines_of(node: Any, way: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield the way to each key and entry of a file, and its line."""
    import yaml

    if len(way) == _DEPTH:
        return
    if isinstance(node, yaml.MappingNode):
        inner = [(yaml.safe_load(yaml.serialize(key)), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        inner = [(number, value, value) for number, value in enumerate(node.value)]
    else:
        return
    for name, place, value in inner:
        yield (*way, name), place.start_mark.line + 1
        yield from _lines_of(value, (*way, name))


def _accepted(entry: Any, own: _Own, number: int) -> Accepted:
    """Check one exception and return it."""
    way = ("exceptions", number)
    if not isinstance(entry, dict):
        raise own.wrong("own_file_shape", *way, wanted="rule, reason, date")
    unknown = [name for name in entry if name not in _KNOWN]
    if unknown:
        named = {"name": ", ".join(sorted(map(str, unknown))), "known": ", ".join(sorted(_KNOWN))}
        raise own.wrong("exception_key", *way, unknown[0], **named)
    rule = _rule(entry.get("rule"), own, way)
    if not isinstance(entry.get("reason"), str) or not entry["reason"].strip():
        raise own.wrong("exception_reason", *way, "reason")
    row, key = entry.get("row"), entry.get("key") or {}
    wrong = [("key", not isinstance(key, dict)), ("row", row is not None and not isinstance(row, int))]
    wrong += [("table", entry.get("table") is not None and entry["table"] not in schema.TABLE_NAMES)]
    for part, is_wrong in wrong:
        if is_wrong:
            raise own.wrong("exception_place", *way, part)
    organisation = entry.get("organisation")
    return Accepted(
        rule=rule,
        reason=entry["reason"].strip(),
        date=_date(entry.get("date"), own, (*way, "date")),
        until=None if entry.get("until") is None else _date(entry["until"], own, (*way, "until")),
        organisation=None if organisation is None else str(organisation),
        place={part: entry[part] for part in _PLACE if entry.get(part) is not None},
        key={str(column): str(value) for column, value in key.items()},
    )


def _rule(code: Any, own: _Own, way: tuple[Any, ...]) -> str:
    """Return the code of a rule of which an exception may be made."""
    if code not in schema.rules():
        raise own.wrong("own_file_rule", *way, "rule", name=code)
    rule = schema.rules()[code]
    # What makes tables readable must be checked, and personal data must not be sent, whatever the reason.
    if rule.structural or rule.personal:
        raise own.wrong("exception_forbidden", *way, "rule", name=code)
    return str(code)


def _date(value: Any, own: _Own, way: tuple[Any, ...]) -> dt.date:
    """Return a date of a file, written as YYYY-MM-DD."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError as error:
        raise own.wrong("exception_date", *way) from error


def _check_thresholds(own: _Own, way: tuple[Any, ...]) -> None:
    """Refuse thresholds that are not known, are no numbers, or may not be changed."""
    for code in own.entries(*way, wanted="rules"):
        if code not in schema.rules():
            raise own.wrong("own_file_rule", *way, code, name=code)
        rule = schema.rules()[code]
        known = {} if rule.personal else rule.threshold
        told = {"name": code, "known": ", ".join(known) or "-"}
        changed = own.entries(*way, code, wanted=told["known"])
        for name, number in changed.items():
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if name not in known or not is_number:
                raise own.wrong("threshold_unknown", *way, code, name, **told)
