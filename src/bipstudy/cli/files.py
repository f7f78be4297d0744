"""Commands for data stewards: the template, the codebook, and the validation of a submission."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from bipstudy.cli.console import (
    DATA_FALL_SHORT,
    DEFAULT_LANGUAGE,
    Json,
    Language,
    checked_language,
    command,
    helped,
    say,
    writing,
)
from bipstudy.texts import BipstudyError, text

SubmissionPath = Annotated[Path, typer.Argument(help=helped("path_argument"))]
MappingPath = Annotated[Path | None, typer.Option("--mapping", help=helped("mapping_option"))]
Organisation = Annotated[str | None, typer.Option("--organisation", help=helped("organisation_option"))]
ExtractedOn = Annotated[str | None, typer.Option("--extracted-on", help=helped("extracted_option"))]
Thresholds = Annotated[Path | None, typer.Option("--thresholds", help=helped("thresholds_option"))]
Html = Annotated[Path | None, typer.Option("--html", help=helped("html_option"))]
Xlsx = Annotated[Path | None, typer.Option("--xlsx", help=helped("xlsx_option"))]
Exceptions = Annotated[Path | None, typer.Option("--exceptions", help=helped("exceptions_option"))]


@command
def template(
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))] = Path("bip-mall.xlsx"),
    organisation: Organisation = None,
    language: Language = DEFAULT_LANGUAGE,
) -> None:
    """Write the Excel template."""
    from bipstudy.schema.template import write_template

    checked_language(language)
    checked_ending(out, ".xlsx")
    with writing(out):
        write_template(out, language=language, organisation=organisation)
    say(text("cli.written", language, path=out))


@command
def codebook(
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))] = Path("kodbok.xlsx"),
    language: Language = DEFAULT_LANGUAGE,
) -> None:
    """Write the codebook."""
    from bipstudy.schema.codebook import write_html, write_xlsx
    from bipstudy.schema.data_package import write_data_package
    from bipstudy.schema.ddi import write_ddi

    writers = {".xlsx": write_xlsx, ".html": write_html, ".xml": write_ddi, ".json": write_data_package}
    if out.suffix.lower() not in writers:
        raise BipstudyError("cli.bad_suffix", path=out, known=", ".join(writers))
    checked_language(language)
    with writing(out):
        writers[out.suffix.lower()](out, language)
    say(text("cli.written", language, path=out))


@command
def draft(
    path: SubmissionPath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=helped("out_option"))] = None,
    language: Language = DEFAULT_LANGUAGE,
) -> None:
    """Draft a mapping."""
    from bipstudy.loaders.draft import draft_mapping

    checked_language(language)
    checked_ending(out, ".yaml", ".yml")
    if out is not None and out.exists():
        raise BipstudyError("loaders.mapping_exists", path=out)
    drafted = draft_mapping(path, language)
    if out is None:
        say(drafted.rstrip())
        return
    with writing(out):
        out.write_text(drafted, encoding="utf-8")
    say(text("cli.written", language, path=out))


@command
def validate(
    path: SubmissionPath,
    mapping: MappingPath = None,
    organisation: Organisation = None,
    extracted_on: ExtractedOn = None,
    html: Html = None,
    xlsx: Xlsx = None,
    marked: Annotated[bool, typer.Option("--marked", help=helped("marked_option"))] = False,
    thresholds: Thresholds = None,
    exceptions: Exceptions = None,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Validate a submission."""
    from bipstudy.loaders import load_submission
    from bipstudy.validation import validate as run_rules

    checked_language(language)
    checked_ending(html, ".html", ".htm")
    checked_ending(xlsx, ".xlsx")
    submission = load_submission(path, mapping=mapping, organisation=organisation, extracted_on=extracted_on)
    report = run_rules(submission, language=language, thresholds=thresholds, exceptions=exceptions)
    write_report(report, html, xlsx)
    show_report(report, language, as_json=as_json)
    copy = _write_marked(report, path, mapping) if marked else None
    for written in (html, xlsx, copy):
        if written and not as_json:
            say(text("cli.written", language, path=written))
    if not report.ok:
        raise typer.Exit(DATA_FALL_SHORT)


def write_report(report: Any, html: Path | None, xlsx: Path | None) -> None:
    """Write a report to the files that were asked for."""
    for path, write in ((html, report.to_html), (xlsx, report.to_excel)):
        if path:
            with writing(path):
                write(path)


def _write_marked(report: Any, path: Path, mapping: Path | None) -> Path:
    """Write the marked copy beside what was submitted, and return where."""
    from bipstudy.loaders import read_mapping
    from bipstudy.validation.marked import marked_path, write_marked

    out = marked_path(path, report.language)
    with writing(out):
        return write_marked(report, path, out, read_mapping(mapping).encoding if mapping else None)


def checked_ending(path: Path | None, *known: str) -> None:
    """Refuse a file whose ending says something else than what is written to it."""
    if path is not None and path.suffix.lower() not in known:
        raise BipstudyError("cli.bad_suffix", path=path, known=", ".join(known))


def show_report(report: Any, language: str, *, as_json: bool = False) -> None:
    """Write the findings of a report: as JSON, or one row per rule for a person."""
    if as_json:
        say(report.to_json())
        return
    findings = report.findings
    if len(findings):
        _show_rules(findings, language)
        say(text("cli.more_in_report", language))
    for remark in report.remarks:
        say(remark.message(language))
    if report.risk:
        for line in report.risk.lines(language, identifiers=report.identifiers_found):
            say(line)
    say(text("cli.counts", language, **report.counts()))
    say(text("cli.accepted" if report.ok else "cli.refused", language))


def _show_rules(findings: Any, language: str) -> None:
    """Write a block per rule: how serious, the first place, what is wrong and what to do."""
    kinds = findings["severity"].where(findings["status"] == "invalid", findings["status"])
    order = {"error": 0, "warning": 1, "unchecked": 2, "note": 3, "excepted": 4}
    # Findings stand in the order in which they are best mended: the shape of a file before what follows from it.
    groups = sorted(findings.groupby([kinds, "code"], sort=False), key=lambda group: order[group[0][0]])
    for (kind, code), group in groups:
        first = group.iloc[0]
        say(f"{text(f'cli.{kind}', language).upper()}  {code}")
        key = "cli.one_place" if len(group) == 1 else "cli.many_places"
        say(_wrapped(text(key, language, number=len(group), place=_place(first, language))))
        say(_wrapped(first["message"]))
        say(_wrapped(f"→ {first['cure']}"))
        say("")


def _wrapped(words: str) -> str:
    """Return words as indented lines that fit the terminal."""
    width = max(40, min(100, shutil.get_terminal_size().columns))
    return textwrap.fill(words, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


def _place(finding: Any, language: str) -> str:
    """Return where a finding is, as a person would look for it."""
    import pandas as pd

    from bipstudy import schema

    parts = [str(finding[name]) for name in ("file", "sheet") if isinstance(finding[name], str)]
    if pd.notna(finding["row"]):
        parts.append(f"{text('cli.row', language)} {int(finding['row'])}")
    if isinstance(finding["column"], str):
        parts.append(str(finding["column"]))
    if not parts and isinstance(finding["table"], str):
        parts.append(schema.table(finding["table"]).label[language])
    return ", ".join(parts)
