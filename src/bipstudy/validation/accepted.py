"""What a study or an organisation may decide itself: other thresholds, and findings that are accepted with a reason."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders import clock
from bipstudy.validation.bounds import Mask
from bipstudy.validation.data import Data
from bipstudy.validation.identifiers import redact
from bipstudy.validation.own_files import Own, Remark, Way, read_own

_PLACE = ("table", "file", "sheet", "column", "row")
_PARTS = {"rules", "organisations", "schema_version"}
_KNOWN = {"rule", "organisation", "key", "reason", "date", "until", *_PLACE}
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


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
    file : str
        Name of the file that says so.
    line : int or None
        Where it stands there; None where it came from no file.
    """

    rule: str
    reason: str
    date: dt.date
    until: dt.date | None = None
    organisation: str | None = None
    place: dict[str, object] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)
    file: str = field(default="exceptions", compare=False)
    line: int | None = field(default=None, compare=False)

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
    OwnFileError
        It is no YAML, or an exception lacks its reason or date, names what is not known or a day to come, or concerns a
        rule of which none is allowed. The line is named.
    BipstudyError
        There is no such file.
    """
    own = read_own(Path(path))
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
        It names a rule or threshold that is not known or may not be changed, or a threshold is no number. The line is
        named.
    BipstudyError
        There is no such file.
    """
    return thresholds_of(source, organisations)[0]


def thresholds_of(
    source: str | Path | Mapping[str, Any], organisations: Sequence[str]
) -> tuple[dict[str, dict[str, float]], tuple[Remark, ...]]:
    """Return the thresholds of every rule, as `read_thresholds` does, and what of the source was not used."""
    own = Own("thresholds", source) if isinstance(source, Mapping) else read_own(Path(source))
    unknown = [each for each in own.entries(wanted="rules, organisations") if each not in _PARTS]
    if unknown or own.content is None:
        raise own.wrong("own_file_shape", *unknown[:1], wanted="rules, organisations")
    found = {code: dict(rule.threshold) for code, rule in schema.rules().items()}
    theirs = {str(code): ("organisations", code) for code in own.entries("organisations", wanted="organisations")}
    numbers = {way: _thresholds(own, way) for way in (("rules",), *theirs.values())}
    alone = organisations[0] if len(organisations) == 1 else None
    for way in (("rules",), *([theirs[alone]] if alone in theirs else [])):
        for code, changed in numbers[way].items():
            found[code] |= changed
    told = {"organisations": ", ".join(organisations) or "-"}
    unused = [
        own.remark("threshold_several" if code in organisations else "threshold_unused", *way, name=code, **told)
        for code, way in theirs.items()
        if code != alone
    ]
    return found, tuple(unused)


def mark(
    places: pd.DataFrame, accepted: Sequence[Accepted], data: Data, organisations: Sequence[str]
) -> tuple[pd.DataFrame, tuple[Remark, ...]]:
    """Return the places with the status of those that an exception covers, and the exceptions that cover none.

    Parameters
    ----------
    places : DataFrame
        As they were collected.
    accepted : sequence of Accepted
    data : Data
    organisations : sequence of str
        The organisations whose rows are looked at.

    Returns
    -------
    places : DataFrame
        As in a report; the reason of the exception stands among the values.
    unused : tuple of Remark
    """
    unused = []
    for each in accepted:
        if not each.holds(data.extracted_on):
            unused.append(_remark("exception_ended", each, until=each.until))
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
        elif each.organisation is not None and each.organisation not in organisations:
            told = {"name": each.organisation, "organisations": ", ".join(organisations) or "-"}
            unused.append(_remark("exception_elsewhere", each, **told))
        else:
            unused.append(_remark("exception_unused", each))
    return places.drop(columns="at"), tuple(unused)


def _remark(sentence: str, each: Accepted, **values: object) -> Remark:
    """Return what is to be known of an exception."""
    where = {"path": each.file, "line": each.line, "rule": each.rule}
    return Remark(f"validation.{sentence}", where | values)


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
    """Say which places stand at a row with some values; one that may stand at several rows, if all have them."""
    found = np.zeros(len(places), dtype=bool)
    for table in places["table"][covered].dropna().unique():
        frame = data.tables.get(str(table))
        if frame is None or not set(named) <= set(frame):
            continue
        rows = [(_as_written(frame[column]) == value).to_numpy(dtype=bool) for column, value in named.items()]
        holds = np.logical_and.reduce(rows)
        here = np.flatnonzero(covered & (places["table"] == table).to_numpy(dtype=bool))
        for position, meant in zip(here, _rows_of(str(table), places.iloc[here], data), strict=True):
            found[position] = len(meant) > 0 and bool(holds[meant].all())
    return found


def _as_written(column: pd.Series) -> pd.Series:
    """Return the cells of a column as a file of exceptions names them; what is missing is empty."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.dt.strftime("%Y-%m-%d")
    return column.astype(schema.STRING).fillna("")


def _rows_of(table: str, places: pd.DataFrame, data: Data) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the rows of a table that each place stands for: its own, all that it may be, or every row without one."""
    standing: dict[tuple[object, ...], list[int]] = {}
    # Only what the loader found must be looked for: the rules say the row themselves.
    if (places["at"].isna() & places["row"].notna()).any():
        for row, place in enumerate(_written(data.provenance[table])):
            standing.setdefault(place, []).append(row)
    headings = data.headings.get(table)
    shown = [] if headings is None else [set(map(redact, names.values())) for names in headings.names]
    every = np.arange(len(data.tables[table]))
    for at, column, place in zip(places["at"], places["column"], _written(places), strict=True):
        if at is not None:
            yield np.array([at])
        elif place[-1] is None:
            yield every
        else:
            rows = standing.get(place, [])
            # Of forms side by side the name of the column tells which is meant, if only theirs has it.
            own = [] if headings is None else [row for row in rows if column in shown[headings.part[row]]]
            yield np.array(own or rows, dtype=np.intp)


def _written(places: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return file, sheet and row of some places as a report writes them."""
    parts = [places["file"], places["sheet"]]
    shown = [[None if pd.isna(name) else redact(str(name)) for name in part] for part in parts]
    rows = [None if pd.isna(row) else int(row) for row in places["row"]]
    return list(zip(*shown, rows, strict=True))


def _accepted(entry: Any, own: Own, number: int) -> Accepted:
    """Check one exception and return it."""
    way = ("exceptions", number)
    if not isinstance(entry, dict):
        raise own.wrong("own_file_shape", *way, wanted="rule, reason, date")
    unknown = [name for name in entry if name not in _KNOWN]
    if unknown:
        named = {"name": ", ".join(sorted(unknown)), "known": ", ".join(sorted(_KNOWN))}
        raise own.wrong("exception_key", *way, unknown[0], **named)
    words = {name: own.word(*way, name) for name in entry if name != "key"}
    rule = _rule(words.get("rule"), own, way)
    reason = (words.get("reason") or "").strip()
    if not reason:
        raise own.wrong("exception_reason", *way, "reason")
    key, row = entry.get("key") or {}, words.get("row")
    wrong = [("key", not isinstance(key, dict)), ("row", row is not None and not row.isdecimal())]
    wrong += [("table", words.get("table") is not None and words["table"] not in schema.TABLE_NAMES)]
    for part, is_wrong in wrong:
        if is_wrong:
            raise own.wrong("exception_place", *way, part)
    _check_key(key, words.get("table"), own, way)
    date = _date(words.get("date"), own, (*way, "date"))
    if date > clock.latest_day():
        raise own.wrong("exception_date_to_come", *way, "date", found=date.isoformat())
    return Accepted(
        rule=rule,
        reason=reason,
        date=date,
        until=None if words.get("until") is None else _date(words["until"], own, (*way, "until")),
        organisation=words.get("organisation"),
        place={part: words[part] for part in _PLACE if words.get(part) is not None}
        | ({"row": int(row)} if row else {}),
        key={column: own.word(*way, "key", column) or "" for column in key},
        file=own.name,
        line=own.line(*way),
    )


def _check_key(key: Mapping[str, object], table: str | None, own: Own, way: Way) -> None:
    """Refuse a key with a column that no table has, or not the table that the exception names."""
    tables = schema.TABLE_NAMES if table is None else (table,)
    known = {column for name in tables for column in schema.dtypes(name)}
    for column in key:
        if column not in known:
            # Any column will do, but these are the ones by which rows are known.
            usual = ", ".join(dict.fromkeys(each for name in tables for each in schema.table(name).key))
            raise own.wrong("exception_column", *way, "key", column, name=column, known=usual)


def _rule(code: str | None, own: Own, way: Way) -> str:
    """Return the code of a rule of which an exception may be made."""
    if code is None or code not in schema.rules():
        raise own.wrong("own_file_rule", *way, "rule", name=code or "-")
    rule = schema.rules()[code]
    # What makes tables readable must be checked, and personal data must not be sent, whatever the reason.
    if rule.structural or rule.personal:
        raise own.wrong("exception_forbidden", *way, "rule", name=code)
    return code


def _date(said: str | None, own: Own, way: Way) -> dt.date:
    """Return a date of a file, written as YYYY-MM-DD."""
    if said is None:
        raise own.wrong("exception_date", *way)
    found = _DAY.fullmatch(said)
    try:
        return dt.date(*map(int, found.groups())) if found else dt.date.fromisoformat(said)
    except ValueError as error:
        raise own.wrong("exception_no_day", *way, name=way[-1], found=redact(said)) from error


def _thresholds(own: Own, way: Way) -> dict[str, dict[str, float]]:
    """Return the thresholds of some rules; refuse what is not known, is no number, or may not be changed."""
    found: dict[str, dict[str, float]] = {}
    for code in own.entries(*way, wanted="rules"):
        if code not in schema.rules():
            raise own.wrong("own_file_rule", *way, code, name=code)
        rule = schema.rules()[code]
        known = {} if rule.personal else rule.threshold
        told = {"name": code, "known": ", ".join(known) or "-"}
        found[code] = {}
        for name, said in own.entries(*way, code, wanted=told["known"]).items():
            number = _number(said)
            if name not in known or number is None:
                raise own.wrong("threshold_unknown", *way, code, name, **told)
            found[code][name] = number
    return found


def _number(said: object) -> float | None:
    """Return a finite number, as one or as it is written; None for what is none."""
    if isinstance(said, str):
        number = float(said) if _NUMBER.fullmatch(said) else math.nan
    else:
        number = float(said) if isinstance(said, int | float) and not isinstance(said, bool) else math.nan
    return number if math.isfinite(number) else None
