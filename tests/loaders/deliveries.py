"""A small delivery with every kind of cell, and writers that put it into files in many ways."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bipstudy import schema
from bipstudy.schema import Finding

ORGANISATION = "förbund-Å"


def tables() -> dict[str, pd.DataFrame]:
    """Return canonical tables, sorted by key; some dates are known to the month or quarter only."""
    day = pd.Timestamp
    persons = ["007", "17", "å3"]
    organisation = {"organisation_id": ORGANISATION}
    participants = pd.DataFrame(
        {
            **organisation,
            "participant_id": persons,
            "unit_id": ["Norr; öst", 'Syd "gamla"', None],
            "entered_on": [day("2024-01-10"), day("2024-02-01"), day("2024-01-01")],
            "entered_on_precision": ["day", "month", "quarter"],
            "sex": ["woman", "man", "unknown"],
            "age_group": ["16-24", "55+", "unknown"],
            "birth_region": ["sweden", "outside_europe", None],
            "vocational_qualification": [True, False, None],
            "months_since_work": [0, 720, None],
            "work_or_study_share_5y": [0.5, 0.125, None],
            "left_on": [None, day("2024-09-30"), None],
            "left_reason": [None, "to_work", None],
            "outcome_follow_up": ["register", "programme_only", "register"],
            "observed_until": [day("2024-12-31"), day("2024-11-30"), day("2024-12-31")],
            "observed_until_reason": ["extract_end", "moved", "extract_end"],
        }
    )
    caseworkers = pd.DataFrame(
        {**organisation, "caseworker_id": ["H1", "H2"], "role": ["municipal", None], "in_role_since": [2015, None]}
    )
    forms = [
        (person, occasion, who) for person in persons for occasion in (1, 2) for who in ("caseworker", "participant")
    ]
    measurements = pd.DataFrame(forms, columns=["participant_id", "occasion", "respondent"])
    measurements = measurements.assign(
        **organisation,
        instrument="bip-default",
        caseworker_id=[("H1" if who == "caseworker" else None) for _, _, who in forms],
        answered_on=[day("2024-02-15") + pd.Timedelta(91 * (occasion - 1), "D") for _, occasion, _ in forms],
        form_status="answered",
        mode="with_caseworker",
    )
    for place, item in enumerate(schema.items().values()):
        answers = [1 + (row + place) % 5 if who in item.respondents else None for row, (_, _, who) in enumerate(forms)]
        measurements[item.id] = pd.array(answers, dtype="Int64")
    measurements.loc[1, "job_search"] = None
    missing = measurements.loc[[1], ["organisation_id", "participant_id", "occasion", "respondent", "instrument"]]
    missing = missing.assign(item="job_search", reason="dont_know")
    activities = pd.DataFrame(
        {
            **organisation,
            "participant_id": ["007", "17"],
            "activity_id": ["1", "1"],
            "focus": ["job", "study"],
            "start": [day("2024-03-01"), day("2024-04-01")],
            "start_precision": ["day", "quarter"],
            "end": [day("2024-05-01"), None],
            "ongoing": [False, True],
            "hours_per_week": [37.5, 20.0],
        }
    )
    outcomes = pd.DataFrame(
        {
            **organisation,
            "participant_id": ["17"],
            "outcome_id": ["1"],
            "status": ["work_subsidised"],
            "start": [day("2024-10-01")],
            "lasted_a_month": ["yes"],
            "extent_percent": [62.5],
            "source": ["caseworker"],
        }
    )
    built = {
        "participants": participants,
        "caseworkers": caseworkers,
        "measurements": measurements,
        "missing_answers": missing,
        "activities": activities,
        "outcomes": outcomes,
    }
    return {name: schema.conform(name, frame) for name, frame in built.items()}


@dataclass(frozen=True)
class Style:
    """A way of writing text files."""

    encoding: str = "utf-8"
    delimiter: str = ";"
    decimal: str = ","
    language: str | None = "sv"
    labels: bool = False
    line_end: str = "\r\n"
    top: tuple[str, ...] = ()
    blank_after: int | None = None


def texts(name: str, frame: pd.DataFrame, style: Style) -> list[list[str]]:
    """Return header and cells of a table as they are written by hand, columns without content left out."""
    table = schema.table(name)
    header, columns = [], []
    described = {column.name: (column.kind, column.label, column.codes) for column in table.columns}
    if table.has_items:
        described |= {item.id: ("integer", item.label, None) for item in schema.items().values()}
    for column, (kind, label, codes) in described.items():
        if frame[column].isna().all() and not table_needs(name, column):
            continue
        header.append(label[style.language] if style.language else column)
        precision = frame.get(f"{column}_precision", frame[column])
        labels = schema.code_list(codes).labels(style.language or "en") if codes and style.labels else {}
        columns.append(
            [_cell(kind, value, how, labels, style) for value, how in zip(frame[column], precision, strict=True)]
        )
    return [header, *map(list, zip(*columns, strict=True))]


def table_needs(name: str, column: str) -> bool:
    return any(each.name == column and not each.optional for each in schema.table(name).columns)


def _cell(kind: str, value: object, precision: object, labels: dict[str, str], style: Style) -> str:
    if pd.isna(value):
        return ""
    if kind == "date":
        quarter = f"{value.year}-Q{value.quarter}"
        return {"day": f"{value:%Y-%m-%d}", "month": f"{value:%Y-%m}", "quarter": quarter}[precision]
    if kind == "boolean":
        return ("Ja" if value else "Nej") if style.language == "sv" else ("1" if value else "0")
    if kind == "number":
        return repr(float(value)).replace(".", style.decimal)
    return labels.get(str(value), str(value))


def csv_bytes(rows: list[list[str]], style: Style) -> bytes:
    """Return rows as a text file."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=style.delimiter, lineterminator=style.line_end)
    for line in style.top:
        buffer.write(line + style.line_end)
    for place, row in enumerate(rows):
        writer.writerow(row)
        if place == style.blank_after:
            buffer.write(style.delimiter * (len(row) - 1) + style.line_end + style.line_end)
    return buffer.getvalue().encode(style.encoding)


def write(folder: Path, style: Style | None = None, frames: dict[str, pd.DataFrame] | None = None) -> Path:
    """Write every table as a file named by its label or name."""
    style = style or Style()
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (frames or tables()).items():
        stem = schema.table(name).label[style.language] if style.language else name
        (folder / f"{stem}.csv").write_bytes(csv_bytes(texts(name, frame, style), style))
    return folder


def rewrite(path: Path, old: str, new: str, encoding: str = "utf-8") -> None:
    """Replace text in a file, which must hold it."""
    content = path.read_bytes().decode(encoding)
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode(encoding))


def sentences(finding: Finding, language: str) -> str:
    """Return what a person reads about a finding; KeyError if its texts name a value that it does not have."""
    rule = schema.rules()[finding.code]
    values = {name: value[language] if isinstance(value, dict) else value for name, value in finding.values.items()}
    return " ".join(
        text.format(**values) for text in (rule.title[language], rule.message[language], rule.cure[language])
    )


def everything(findings: list[Finding]) -> str:
    """Return all that findings say, in every language."""
    return "\n".join(f"{finding} {sentences(finding, 'sv')} {sentences(finding, 'en')}" for finding in findings)
