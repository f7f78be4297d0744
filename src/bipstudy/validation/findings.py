"""The report of a validation: every finding with its place, in either language."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.texts import text
from bipstudy.validation.data import Data, plain
from bipstudy.validation.identifiers import redact
from bipstudy.validation.own_files import Remark
from bipstudy.validation.risk import Risk
from bipstudy.validation.rules import Hits, NotApplicable, RuleStatus

COLUMNS = ["code", "severity", "status", "table", "file", "sheet", "row", "column", "count", "message", "cure"]
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
Cells = npt.NDArray[np.object_]
_PLACE = ["code", "status", "table", "file", "sheet", "row", "column", "count", "values", "at"]
_ABOUT_WHAT_IS_NOT_THERE = (
    "missing-column",
    "missing-item-column",
    "item-not-in-file",
    "instrument-assumed",
    "occasion-assigned",
    "occasion-joined",
    "occasion-unknown",
    "mapping-unused",
)


@dataclass(frozen=True)
class Report:
    """What validation found.

    Attributes
    ----------
    language : {"sv", "en"}
    places : DataFrame
        One row per place, with the values of its message; `findings` is what a person reads.
    statuses : tuple of RuleStatus
        Rules that applied.
    not_applicable : tuple of NotApplicable
        Rules that did not.
    submitted : DataFrame
        Rows by table, file and sheet.
    extracted_on : date or None
    risk : Risk or None
        Measures of how easily participants could be recognised; None without participants.
    remarks : tuple of Remark
        What of the files of thresholds and exceptions was not used.
    """

    language: str
    places: pd.DataFrame
    statuses: tuple[RuleStatus, ...]
    not_applicable: tuple[NotApplicable, ...]
    submitted: pd.DataFrame
    extracted_on: dt.date | None = None
    risk: Risk | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def identifiers_found(self) -> bool:
        """Whether anything was found that is, or may be, a direct identifier."""
        return any(map(is_personal, self.places["code"].unique()))

    @property
    def ok(self) -> bool:
        """Whether no error is invalid and no structural rule is unchecked."""
        known = schema.rules()
        return not any(
            (status == "invalid" and known[code].severity == "error")
            or (status == "unchecked" and known[code].structural)
            for code, status in set(zip(self.places["code"], self.places["status"], strict=True))
        )

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row per place: code, severity, status, table, file, sheet, row, column, count, message and cure."""
        known = schema.rules()
        frame = self.places.drop(columns="values")
        frame.insert(1, "severity", [known[code].severity for code in frame["code"]])
        written = _Sentences(self.language)
        said: dict[tuple[str, str, int], tuple[str, str]] = {}
        for key in zip(self.places["code"], self.places["status"], self.places["values"], strict=True):
            # Rows of one rule mostly share their values, which are told apart as objects before they are as texts.
            short = (*key[:2], id(key[2]))
            if short not in said:
                said[short] = written.message(*key), written.cure(*key)
        shorts = zip(self.places["code"], self.places["status"], map(id, self.places["values"]), strict=True)
        texts_of = [said[short] for short in shorts]
        frame["message"], frame["cure"] = [one for one, _ in texts_of], [one for _, one in texts_of]
        absent = np.flatnonzero(frame["code"].isin(_ABOUT_WHAT_IS_NOT_THERE))
        if len(absent):
            # No file has a heading for these, so the template's is shown.
            shown = frame["column"].to_numpy(dtype=object, copy=True)
            shown[absent] = [
                _heading(*each, self.language)
                for each in zip(frame["table"].iloc[absent], shown[absent].tolist(), strict=True)
            ]
            frame["column"] = shown
        texts = ["code", "severity", "status", "table", "file", "sheet", "column", "message", "cure"]
        types = dict.fromkeys(texts, schema.STRING) | {"row": "Int64", "count": "int64"}
        return frame[COLUMNS].astype(types)

    def in_language(self, language: str) -> Report:
        """Return the same report in another language.

        Parameters
        ----------
        language : {"sv", "en"}

        Returns
        -------
        Report
        """
        return replace(self, language=language)

    def counts(self) -> dict[str, int]:
        """Return the number of errors, warnings and notes, and of places that could not be checked.

        Returns
        -------
        dict
            Keys error, warning, note and unchecked, and excepted where there are any. Each finding is counted once; a
            finding on a whole column, table or file is one.
        """
        known = schema.rules()
        counted = dict.fromkeys([*schema.SEVERITIES, "unchecked"], 0)
        for (code, status), count in Counter(zip(self.places["code"], self.places["status"], strict=True)).items():
            kind = known[code].severity if status == "invalid" else status
            counted[kind] = counted.get(kind, 0) + count
        return counted

    def summary(self) -> str:
        """Return the report in a few lines of text, for a terminal."""
        from bipstudy.validation.grouping import grouped

        words = _Sentences(self.language)
        lines = [text(f"validation.verdict_{'ok' if self.ok else 'bad'}", self.language) + "."]
        lines.append(", ".join(words.counted(kind, number) for kind, number in self.counts().items() if number) + ".")
        if self.places.empty:
            lines[1] = text("validation.no_findings", self.language)
        lines += [remark.message(self.language) for remark in self.remarks]
        for section in grouped(self):
            lines += ["", section.title]
            lines += [f"  {group.count:>7}  {group.title} [{group.code}]" for group in section.groups]
        if self.risk:
            lines += ["", *self.risk.lines(self.language, identifiers=self.identifiers_found)]
        return "\n".join(lines)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the report as one self-contained page, and write it if a path is given.

        Parameters
        ----------
        path : str or Path, optional

        Returns
        -------
        str
        """
        from bipstudy.validation.page import page

        return _written(page(self), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON, and write it if a path is given.

        Parameters
        ----------
        path : str or Path, optional

        Returns
        -------
        str
        """
        content = {
            "schema_version": schema.SCHEMA_VERSION,
            "ok": self.ok,
            "language": self.language,
            "extracted_on": None if self.extracted_on is None else self.extracted_on.isoformat(),
            "counts": self.counts(),
            "submitted": _records(self.submitted),
            "checked": [{"code": status.code, "rows": status.checked} for status in self.statuses],
            "not_applicable": [
                {"code": rule.code, "reason": rule.message(self.language)} for rule in self.not_applicable
            ],
            "remarks": [remark.message(self.language) for remark in self.remarks],
            "direct_identifiers_found": self.identifiers_found,
            "risk": None if self.risk is None else self.risk.as_dict(),
        }
        # One finding a line: half a million of them are written, and read by eye, faster than a value a line.
        lines = ",\n".join(_lines(self.findings))
        head = json.dumps(content, ensure_ascii=False, indent=1).removesuffix("\n}")
        return _written(f'{head},\n "findings": [\n{lines}\n ]\n}}\n', path)

    def to_excel(self, path: str | Path) -> Path:
        """Write the report as a workbook: a sheet with the sums and one with every finding.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Path
        """
        from bipstudy.validation.workbook import write_workbook

        return write_workbook(self, Path(path))


def is_personal(code: str) -> bool:
    """Say whether a rule is about what may name a person: the cells, or a whole column that must not be sent."""
    return schema.rules()[code].personal or code == "forbidden-column"


def collect(data: Data, found: Sequence[tuple[str, Hits]]) -> pd.DataFrame:
    """Return one row per place from what the loader and the rules found.

    Parameters
    ----------
    data : Data
    found : sequence of (str, Hits)
        Code of the rule and its hits.

    Returns
    -------
    DataFrame
        Columns code, status, table, file, sheet, row, column, count and values; and `at`, the row of the table, which
        one row of a file may fill several of: None where it is not known, as of what the loader found.
    """
    loaded = [
        (one.code, one.status, one.table, one.file, one.sheet, one.row, one.column, one.count, one.values, None)
        for one in data.loaded
    ]
    parts = [dict(zip(_PLACE, map(_objects, zip(*loaded, strict=True)), strict=True))] if loaded else []
    parts += [_places(data, code, hits) for code, hits in found]
    if not parts:
        return pd.DataFrame(columns=_PLACE)
    places = pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in _PLACE}, dtype=object)
    for column in ("file", "sheet", "column"):
        blotted = {name: None if name is None else redact(str(name)) for name in places[column].unique()}
        places[column] = _objects([blotted[name] for name in places[column]])
    return places


def _places(data: Data, code: str, hits: Hits) -> dict[str, Cells]:
    """Return the columns of one row per place of some hits."""
    if hits.rows is None:
        column = None if hits.column is None else data.source_column(hits.table, hits.column)
        known = data.provenance.get(hits.table)
        sources = known[["file", "sheet"]].drop_duplicates() if known is not None else None
        # A table that came from several files is one place; the file is said only where it is one.
        file, sheet = sources.iloc[0] if sources is not None and len(sources) == 1 else (None, None)
        where = [None if pd.isna(each) else each for each in (file, sheet)]
        row = (code, hits.status, hits.table, *where, None, column, hits.count, dict(hits.values), None)
        return {name: _objects([cell]) for name, cell in zip(_PLACE, row, strict=True)}
    count = len(hits.rows)
    there = data.provenance[hits.table].iloc[hits.rows]
    values: list[Mapping[str, object]] = [hits.values] * count
    if hits.each:
        values = [
            {**hits.values, **dict(zip(hits.each, each, strict=True))} for each in zip(*hits.each.values(), strict=True)
        ]
    columns = [None] * count if hits.column is None else data.headings_of(hits.table, hits.column, hits.rows)
    same = {"code": code, "status": hits.status, "table": hits.table, "count": 1}
    return {
        "column": _objects(columns),
        **{name: _objects([cell] * count) for name, cell in same.items()},
        **{name: _objects(plain(there[name])) for name in ("file", "sheet", "row")},
        "values": _objects(values),
        "at": _objects(hits.rows.tolist()),
    }


def _heading(table: str | None, column: str | None, language: str) -> str | None:
    """Return what the template calls a column; what has no heading there keeps its name."""
    if table is None or column is None:
        return column
    labels = {each.name: each.label for each in schema.table(table).columns}
    labels |= {item.id: item.label for item in schema.items().values()}
    return labels[column][language] if column in labels else column


def _objects(cells: Sequence[Any]) -> Cells:
    """Return cells as an array of objects, each as it is."""
    found = np.empty(len(cells), dtype=object)
    found[:] = cells
    return found


def ordered(places: pd.DataFrame) -> pd.DataFrame:
    """Return the places by status, severity, rule, table, file, sheet, row and column."""
    severities = {code: schema.SEVERITIES.index(rule.severity) for code, rule in schema.rules().items()}
    # Personal data first, then what makes the tables readable at all, then the rest.
    codes = {
        code: (code != "personal-identity-number", not rule.structural, number)
        for number, (code, rule) in enumerate(schema.rules().items())
    }
    ranks = {code: number for number, code in enumerate(sorted(codes, key=codes.__getitem__))}
    tables = {name: number for number, name in enumerate(schema.TABLE_NAMES)}
    order = pd.DataFrame(
        {
            "status": places["status"].map({"invalid": 0, "unchecked": 1, "excepted": 2}),
            "severity": places["code"].map(severities),
            "code": places["code"].map(ranks),
            "table": places["table"].map(tables).fillna(-1),
            # Missing before the others.
            **{name: pd.factorize(places[name], sort=True)[0] for name in ("file", "sheet", "column")},
            "row": pd.to_numeric(places["row"]).fillna(0),
        }
    )[["status", "severity", "code", "table", "file", "sheet", "row", "column"]]
    return places.iloc[np.lexsort([order[name].to_numpy() for name in reversed(order.columns)])].reset_index(drop=True)


class _Sentences:
    """The messages of a report in one language, each written once."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._written: dict[tuple[str, str, str, str], str] = {}

    def message(self, code: str, status: str, values: Mapping[str, object]) -> str:
        """Return what is wrong."""
        return self._sentence("message", code, status, values)

    def cure(self, code: str, status: str, values: Mapping[str, object]) -> str:
        """Return what to do."""
        return self._sentence("cure", code, status, values)

    def counted(self, kind: str, number: int) -> str:
        """Return a number of findings of a kind in words."""
        return f"{number} " + text(f"validation.{kind}_{'one' if number == 1 else 'many'}", self.language)

    def _sentence(self, part: str, code: str, status: str, values: Mapping[str, object]) -> str:
        """Return a sentence with its placeholders filled in."""
        key = (part, code, status, repr(values) if values else "")
        if key not in self._written:
            rule = schema.rules()[code]
            said = {name: self._localised(value) for name, value in values.items() if name != "exception"}
            if status == "unchecked":
                title = _lowered(rule.title[self.language])
                own = rule.unchecked.get(part)
                sentence = (
                    text(f"validation.unchecked_{part}", self.language, title=title)
                    if own is None
                    else own[self.language].format(**said)
                )
            else:
                sentence = getattr(rule, part)[self.language].format(**said)
            if status == "excepted":
                sentence = self._excepted(part, sentence, values["exception"])
            self._written[key] = sentence
        return self._written[key]

    def _excepted(self, part: str, sentence: str, exception: Any) -> str:
        """Return what is said of a finding that is accepted."""
        if part == "cure":
            return text("validation.excepted_cure", self.language)
        reason = redact(str(exception["reason"]))
        return text("validation.excepted_message", self.language, said=sentence, date=exception["date"], reason=reason)

    def _localised(self, value: object) -> object:
        """Return the text of one language where a value has two, with identity numbers blotted out."""
        if isinstance(value, Mapping):
            value = value[self.language]
        return redact(value) if isinstance(value, str) else value


def _lowered(title: str) -> str:
    """Return a title as it stands inside a sentence."""
    return title[0].lower() + title[1:]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain Python values."""
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame]
    return [dict(zip(frame, values, strict=True)) for values in zip(*columns, strict=True)]


def _lines(frame: pd.DataFrame) -> Iterator[str]:
    """Yield the rows of a frame as JSON, each text that comes again written once."""
    columns = []
    for name in frame:
        values, about = plain(frame[name]), json.dumps(name)
        written = {value: f"{about}: {_ENCODE(value)}" for value in set(values)}
        columns.append([written[value] for value in values])
    for cells in zip(*columns, strict=True):
        yield f"{{{', '.join(cells)}}}"


def _written(content: str, path: str | Path | None) -> str:
    """Write a text to a file if there is one, and return it."""
    if path is not None:
        Path(path).write_text(content, encoding="utf-8", newline="\n")
    return content
