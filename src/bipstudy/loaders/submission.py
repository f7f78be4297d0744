"""A submission: the tables of one delivery, each cell traceable to its file, sheet and row."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from bipstudy import schema
from bipstudy.loaders import clock
from bipstudy.loaders.assembly import Headings, assemble
from bipstudy.loaders.beside import Beside, of_archive
from bipstudy.loaders.formats import read_path
from bipstudy.loaders.grids import Grid, SourceFile, Unread
from bipstudy.loaders.mapping import Mapping
from bipstudy.loaders.mapping_file import MappingError, read_mapping
from bipstudy.loaders.overlaps import read_twice
from bipstudy.loaders.sheets import recognise
from bipstudy.loaders.source import Sheet
from bipstudy.schema import Finding
from bipstudy.texts import BipstudyError

# Findings on files and sheets of which nothing was read.
NOT_READ = {
    "locked-file", "not-text", "too-large", "unknown-encoding", "unreadable-file", "unsafe-archive", "unsupported-file",
    "wrong-encoding", "several-tables", "no-header", "unclear-table", "answers-on-rows", "turned-table",
}  # fmt: skip


@dataclass(frozen=True)
class Submission:
    """The tables of one delivery, in the order of the files.

    Attributes
    ----------
    path : Path
        Where it was read from.
    organisation_ids : tuple of str
        The organisations whose participants it holds, sorted.
    extracted_on : date or None
        Day of the extract: as said, else the latest `observed_until` that ends with the extract, else the latest date;
        of dates still to come none is meant, and where each such `observed_until` is, the extract is of today.
    tables : mapping of str to DataFrame
        Every table by name in canonical types; one that was not sent has no rows.
    sent : frozenset of str
        Names of the tables that came with rows.
    provenance : mapping of str to DataFrame
        For each table, with its index: ``file, sheet, row``.
    source_columns : mapping of str to dict
        For each table that was sent: canonical column to the name in the file.
    headings : mapping of str to Headings
        For each table whose columns are not called the same on all rows: what they are called on which.
    findings : list of Finding
        What could not be read, or was assumed, while loading.
    files : tuple of SourceFile
        Name, SHA-256 and size of each file.
    unread : tuple of Unread
        Columns that the files have and no table has.
    beside : tuple of Beside
        What the files hold beside their cells, such as comments and properties.
    """

    path: Path
    organisation_ids: tuple[str, ...]
    extracted_on: dt.date | None
    tables: MappingType[str, pd.DataFrame]
    sent: frozenset[str]
    provenance: MappingType[str, pd.DataFrame]
    source_columns: MappingType[str, dict[str, str]]
    findings: list[Finding] = field(default_factory=list)
    files: tuple[SourceFile, ...] = ()
    unread: tuple[Unread, ...] = ()
    beside: tuple[Beside, ...] = ()
    headings: MappingType[str, Headings] = field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content, independent of the order of rows and the format of the files."""
        return schema.content_hash(self.tables)


def load_submission(
    path: str | Path,
    mapping: str | Path | None = None,
    organisation: str | None = None,
    extracted_on: str | dt.date | None = None,
) -> Submission:
    r"""Read what an organisation sends: text, xlsx, xls, ods, sav, dta or Parquet, or a folder or zip archive of them.

    Whatever is wrong with the content becomes a finding with file, sheet, row and column; the value of a cell is never
    repeated.

    Parameters
    ----------
    path : str or Path
        File or folder.
    mapping : str or Path, optional
        YAML file that says what the organisation calls columns and values.
    organisation : str, optional
        Code of the organisation, for files that do not have the column.
    extracted_on : str or date, optional
        Day of the extract, as ``YYYY-MM-DD`` if text.

    Returns
    -------
    Submission

    Raises
    ------
    BipstudyError
        The path or the mapping does not exist, the mapping is wrong, or the date is none or still to come.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "handläggare.csv").write_text("Organisation;Handläggare;Roll\nA;1;Kommun\n", "utf-8")
    ...     submission = load_submission(folder)
    >>> submission.tables["caseworkers"]["role"].tolist()
    ['municipal']
    >>> [finding.code for finding in submission.findings]
    ['missing-table', 'missing-table']
    """
    path = Path(path)
    if not path.exists():
        raise BipstudyError("loaders.no_path", path=path)
    day = _day(extracted_on)
    names = read_mapping(mapping) if mapping is not None else Mapping()
    reading = read_path(path, names.encoding)
    findings = list(reading.findings)
    unread: list[Unread] = []
    grids = [grid for grid in reading.grids if not grid.beside]
    sheets = _recognised(grids, names, findings, unread)
    if mapping is not None and (problems := read_twice(sheets)):
        raise MappingError(Path(mapping).name, problems)
    findings += _unused(names, grids)
    loaded = assemble(sheets, names, organisation or names.organisation, findings)
    if any(each.code in NOT_READ for each in findings):
        # What is missing may stand in the file that nobody could read.
        findings = [replace(each, status="unchecked") if each.code == "missing-table" else each for each in findings]
    ids = loaded.tables["participants"]["organisation_id"].dropna().unique()
    return Submission(
        path=path,
        organisation_ids=tuple(sorted(map(str, ids))),
        extracted_on=day or _last_day(loaded.tables),
        tables=loaded.tables,
        sent=frozenset(name for name, frame in loaded.tables.items() if len(frame)),
        provenance=loaded.provenance,
        source_columns=loaded.source_columns,
        findings=findings,
        files=tuple(reading.files),
        unread=tuple(unread),
        beside=(*(each for grid in reading.grids for each in grid.beside), *_archive_comments(path, reading.files)),
        headings=loaded.headings,
    )


def _archive_comments(path: Path, files: list[SourceFile]) -> list[Beside]:
    """Return the comments of the archives that were sent."""
    found: list[Beside] = []
    for file in files:
        archive = path / file.name if path.is_dir() else path
        if archive.suffix.lower() == ".zip":
            try:
                with zipfile.ZipFile(archive) as content:
                    found += of_archive(file.name, content)
            except Exception:
                # A damaged directory gives errors of many kinds; that it is damaged is told already.
                continue
    return found


def _day(said: str | dt.date | None) -> dt.date | None:
    """Return the day of the extract as it was said."""
    if said is None:
        return None
    try:
        day = dt.date.fromisoformat(said) if isinstance(said, str) else said
    except ValueError as error:
        raise BipstudyError("loaders.no_date") from error
    day = day.date() if isinstance(day, dt.datetime) else day
    if day > clock.latest_day():
        raise BipstudyError("loaders.date_to_come", day=day.isoformat())
    return day


def _recognised(grids: list[Grid], names: Mapping, findings: list[Finding], unread: list[Unread]) -> list[Sheet]:
    """Return the sheets whose table is known."""
    with_data = [grid.file for grid in grids if not grid.helper]
    return [
        sheet for grid in grids for sheet in recognise(grid, names, with_data.count(grid.file) == 1, findings, unread)
    ]


def _unused(names: Mapping, grids: list[Grid]) -> list[Finding]:
    """Return a finding for each entry of the mapping whose file or sheet is not there."""
    return [
        Finding(
            "mapping-file-unused",
            table=table,
            values={
                "table_label": schema.table(table).label,
                "name": ", ".join(filter(None, (entry.file, entry.sheet))),
            },
        )
        for table, entries in names.tables.items()
        for entry in entries
        if (entry.file or entry.sheet) and not any(entry.holds(grid.file, grid.sheet) for grid in grids)
    ]


def _last_day(tables: MappingType[str, pd.DataFrame]) -> dt.date | None:
    """Return the last day to which the data go, of the days that have been: one still to come is a slip or a plan."""
    participants = tables["participants"]
    latest = pd.Timestamp(clock.latest_day())
    ends = participants["observed_until"][participants["observed_until_reason"] == "extract_end"].dropna()
    if len(ends) and (ends > latest).all():
        # The end of a period that has begun, as registers write it.
        return clock.today()
    dates = [frame[name] for frame in tables.values() for name in frame if f"{name}_precision" in frame]
    for columns in ([ends], dates):
        known = pd.Series([column[column <= latest].max() for column in columns], dtype="datetime64[s]").dropna()
        if len(known):
            last: dt.date = known.max().date()
            return last
    # Where every date is still to come, none of them is the day of the extract.
    return clock.today() if any(column.notna().any() for column in dates) else None
