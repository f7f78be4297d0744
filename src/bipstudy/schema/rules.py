"""The rules of loading and validation as data: code, severity, what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bipstudy.schema.sources import folder, read_yaml

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Rule:
    """One rule, as the files in ``data_schemas/rules`` state it.

    Attributes
    ----------
    code : str
        Its name in findings and in the documentation.
    severity : {"error", "warning", "note"}
    title, message, cure : dict of str to str
        ``{"sv": ..., "en": ...}``; message and cure may hold placeholders that a finding's `values` fill.
    tables : tuple of str
        Tables the rule needs; a rule whose tables were not sent does not apply.
    structural : bool
        Whether it concerns files, columns, types, codes, keys or references, which must be checked for a pass.
    personal : bool
        Whether it concerns personal data that must never be sent: no exception of it and no other thresholds.
    threshold : dict of str to float
        Numbers that the rule compares with.
    example : dict of str to str
        What a file that breaks it looks like, for the documentation.
    unchecked : dict of str to dict
        Message and cure where it could not be checked for another reason than that a date is not known to the day.
    """

    code: str
    severity: str
    title: dict[str, str]
    message: dict[str, str]
    cure: dict[str, str]
    tables: tuple[str, ...]
    structural: bool
    threshold: dict[str, float]
    example: dict[str, str]
    personal: bool = False
    unchecked: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken or could not be checked.

    Attributes
    ----------
    code : str
        Code of the rule.
    table, file, sheet, column : str or None
        Where, as far as it is known. `column` is the name in the submitted file.
    row : int or None
        Row as seen in Excel or an editor (the first line of a file is 1); None for a whole column, table or file.
    count : int
        1, or the rows concerned where `row` is None.
    status : {"invalid", "unchecked"}
    values : dict of str to object
        What the placeholders of the rule's texts stand for: names and numbers of the file, never the value of a person.
    """

    code: str
    table: str | None = None
    file: str | None = None
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    count: int = 1
    status: str = "invalid"
    values: dict[str, object] = field(default_factory=dict)


@cache
def rules() -> dict[str, Rule]:
    """Return every rule by its code, in the order of the files."""
    entries = [entry for path in sorted((folder() / "rules").glob("*.yaml")) for entry in read_yaml(path)["rules"]]
    return {entry["code"]: _rule(entry) for entry in entries}


def _rule(entry: dict[str, Any]) -> Rule:
    """Build a rule from its YAML entry."""
    if entry["severity"] not in SEVERITIES:
        raise ValueError(f"rule {entry['code']}: severity is {entry['severity']}, expected one of {SEVERITIES}")
    return Rule(
        code=entry["code"],
        severity=entry["severity"],
        title=entry["title"],
        message=entry["message"],
        cure=entry["cure"],
        tables=tuple(entry.get("tables", ())),
        structural=bool(entry.get("structural", False)),
        threshold=entry.get("threshold", {}),
        example=entry["example"],
        personal=bool(entry.get("personal", False)),
        unchecked=entry.get("unchecked", {}),
    )
