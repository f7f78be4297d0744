"""Commands on the pool: add, list, diff, release, withdraw, erase, upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    say_error,
    say_json,
    sure,
    writing,
)
from bipstudy.cli.files import (
    Exceptions,
    ExtractedOn,
    Html,
    MappingPath,
    Organisation,
    SubmissionPath,
    Thresholds,
    Xlsx,
    checked_ending,
    show_report,
    write_report,
)
from bipstudy.texts import BipstudyError, DataError, text

PoolPath = Annotated[Path, typer.Argument(help=helped("pool_argument"))]


@command
def add(
    pool: PoolPath,
    path: SubmissionPath,
    mapping: MappingPath = None,
    organisation: Organisation = None,
    extracted_on: ExtractedOn = None,
    older: Annotated[bool, typer.Option("--older", help=helped("older_option"))] = False,
    html: Html = None,
    xlsx: Xlsx = None,
    thresholds: Thresholds = None,
    exceptions: Exceptions = None,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Validate a submission and store it."""
    from bipstudy.loaders import load_submission
    from bipstudy.pool import Pool
    from bipstudy.validation import validate

    checked_language(language)
    checked_ending(html, ".html", ".htm")
    checked_ending(xlsx, ".xlsx")
    submission = load_submission(path, mapping=mapping, organisation=organisation, extracted_on=extracted_on)
    report = validate(submission, language=language, thresholds=thresholds, exceptions=exceptions)
    write_report(report, html, xlsx)
    if not report.ok:
        show_report(report, language, as_json=as_json)
        if not as_json:
            _say_written(html, xlsx, language)
            say(text("cli.nothing_stored", language))
        raise typer.Exit(DATA_FALL_SHORT)
    try:
        receipt = Pool(pool).add(submission, report, older=older)
    except DataError as error:
        if as_json:
            say_json({"ok": False, "code": error.code, "message": error.message(language), **error.values})
        raise
    if as_json:
        say_json(receipt.as_dict())
    else:
        show_report(report, language)
        _say_written(html, xlsx, language)
        say(receipt.text(language))
        say(text("cli.stored", language, pool=pool))


def _say_written(html: Path | None, xlsx: Path | None, language: str) -> None:
    """Write where the report is, if it was asked for."""
    for path in (html, xlsx):
        if path:
            say(text("cli.written", language, path=path))


@command
def listing(pool: PoolPath, language: Language = DEFAULT_LANGUAGE, as_json: Json = False) -> None:
    """List submissions and releases."""
    from bipstudy.pool import Pool

    checked_language(language)
    submissions, releases = Pool(pool).list(), Pool(pool).releases()
    if as_json:
        say_json({"submissions": submissions.to_dict("records"), "releases": releases.to_dict("records")})
        return
    if submissions.empty:
        say(text("cli.no_submissions", language, pool=pool))
    for row in submissions.itertuples():
        key = (
            "cli.current_submission" if row.current else "cli.last_submission" if row.left else "cli.former_submission"
        )
        say(text(key, language, organisation=row.organisation_id, extracted_on=row.extracted_on, hash=row.hash[:12]))
        _say_erased(row.erased, language)
    for row in releases.itertuples():
        say(text("cli.listed_release", language, number=row.release, organisations=row.organisations, note=row.note))
        _say_erased(row.erased, language)
    if Pool(pool).unfinished:
        say(text("cli.unfinished_erasure", language))


def _say_erased(count: int, language: str) -> None:
    """Write how many were erased, if any."""
    if count:
        say(text("cli.listed_erased", language, count=count))


@command
def diff(
    pool: PoolPath,
    first: Annotated[int, typer.Argument(help=helped("first_release_argument"), show_default=False)],
    second: Annotated[int, typer.Argument(help=helped("second_release_argument"), show_default=False)],
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Show what differs between two releases."""
    from bipstudy.pool import Pool

    change = Pool(pool).diff(first, second)
    say_json(change.as_dict()) if as_json else say(change.text(checked_language(language)))


@command
def release(
    pool: PoolPath,
    note: Annotated[str, typer.Option("--note", help=helped("note_option"))] = "",
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Freeze a numbered release."""
    from bipstudy.pool import Pool

    checked_language(language)
    number = Pool(pool).release(note=note)
    say_json({"release": number}) if as_json else say(text("cli.released", language, number=number))


@command
def withdraw(
    pool: PoolPath,
    organisation: Annotated[str, typer.Option("--organisation", help=helped("which_organisation_option"))],
    reason: Annotated[str, typer.Option("--reason", help=helped("reason_option"))],
    participant: Annotated[str | None, typer.Option("--participant", help=helped("participant_option"))] = None,
    whole: Annotated[bool, typer.Option("--whole-organisation", help=helped("leaving_option"))] = False,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Take a participant, or an organisation, out of future releases."""
    from bipstudy.pool import Pool

    checked_language(language)
    if whole == (participant is not None):
        raise BipstudyError("cli.one_of_two")
    if participant is None:
        Pool(pool).leave(organisation, reason=reason)
        told = text("cli.left", language, organisation=organisation)
    else:
        Pool(pool).withdraw(organisation, participant, reason=reason)
        told = text("cli.withdrawn", language)
    say_json({"organisation": organisation, "whole_organisation": whole}) if as_json else say(told)


@command
def erase(
    pool: PoolPath,
    organisation: Annotated[str, typer.Option("--organisation", help=helped("which_organisation_option"))],
    participant: Annotated[str, typer.Option("--participant", help=helped("participant_option"))],
    reason: Annotated[str, typer.Option("--reason", help=helped("reason_option"))],
    yes: Annotated[bool, typer.Option("--yes", "-y", help=helped("yes_option"))] = False,
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Erase a participant from everything that is stored."""
    from bipstudy.pool import Pool

    checked_language(language)
    Pool(pool).check(reason)
    if not yes and not sure(text("cli.sure_to_erase", language, pool=pool), language):
        say_error(text("cli.nothing_erased", language))
        raise typer.Exit(DATA_FALL_SHORT)
    erasure = Pool(pool).erase(organisation, participant, reason=reason)
    say_json(erasure.as_dict()) if as_json else say(erasure.text(language))


@command
def quality(
    pool: PoolPath,
    organisation: Annotated[str, typer.Option("--organisation", help=helped("which_organisation_option"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))] = Path("kvalitet.html"),
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Write a page on the quality of an organisation's submissions over time."""
    from bipstudy.pool import quality as measure

    checked_language(language)
    if out.suffix.lower() not in (".html", ".htm"):
        raise BipstudyError("cli.bad_suffix", path=out, known=".html")
    measures = measure(pool, organisation)
    with writing(out):
        measures.to_html(out, language)
    say_json(measures.as_dict()) if as_json else say(text("cli.written", language, path=out))


@command
def upgrade(
    pool: PoolPath,
    out: Annotated[Path, typer.Option("--out", "-o", help=helped("out_option"))],
    language: Language = DEFAULT_LANGUAGE,
    as_json: Json = False,
) -> None:
    """Rewrite a pool of an older version of the tables to a new folder."""
    from bipstudy.pool import upgrade_pool

    checked_language(language)
    done = upgrade_pool(pool, out)
    say_json(done.as_dict()) if as_json else say(done.text(language))
