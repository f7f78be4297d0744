"""Raw files of a study as its organisations would send them: one folder each, in the formats that offices use."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.schema.template import imprecise, sheet_fields, write_template
from bipstudy.study import Study
from bipstudy.texts import text

# A fixed date, so that the same study gives the same bytes.
_ARCHIVED = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Dialect:
    """How an office writes text files.

    Attributes
    ----------
    encoding : str
    delimiter, decimal, line_end : str
    language : {"sv", None}
        Language of the headers; None for the canonical names.
    labels : bool
        Whether codes are written as their labels.
    """

    encoding: str
    delimiter: str
    decimal: str
    line_end: str
    language: str | None
    labels: bool


WINDOWS = Dialect("cp1252", ";", ",", "\r\n", "sv", False)
LABELLED = Dialect("utf-8-sig", ";", ",", "\r\n", "sv", True)
CANONICAL = Dialect("utf-8", ",", ".", "\n", None, False)

Tables = Mapping[str, pd.DataFrame]


def write_raw(study: Study, folder: str | Path, seed: int = 1, first_style: int = 0) -> list[Path]:
    """Write a study as the files that its organisations would send.

    Each organisation gets a folder with its code, and one of six ways of writing, in turn: the Excel template in
    Swedish; semicolon CSV in Windows-1252 with decimal comma; semicolon CSV in UTF-8 with byte order mark and labels
    in place of codes; comma CSV in UTF-8 with canonical names; a zip archive of these; the Excel template in English.
    Rows come in random order, as they do from real systems. Nothing is lost: reading a folder gives back the
    organisation's tables.

    Parameters
    ----------
    study : Study
    folder : str or Path
        Where to write; made if it is not there.
    seed : int
        Of the order of rows.
    first_style : int
        Which of the six ways of writing, from 0, the first organisation has.

    Returns
    -------
    list of Path
        The folder of each organisation, in the order of their codes.

    Examples
    --------
    >>> import tempfile
    >>> from bipstudy.simulation import load_example
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_raw(load_example(), folder)]
    ['ORG01', 'ORG02']
    """
    organisations = study.organisations["organisation_id"].tolist()
    streams = np.random.SeedSequence(seed).spawn(len(organisations))
    folders = []
    for place, (organisation, stream) in enumerate(zip(organisations, streams, strict=True)):
        rng = np.random.default_rng(stream)
        target = Path(folder) / organisation
        target.mkdir(parents=True, exist_ok=True)
        tables = {name: _shuffled(frame, organisation, rng) for name, frame in study.tables.items()}
        style = STYLES[(first_style + place) % len(STYLES)]
        style(target, organisation, {name: frame for name, frame in tables.items() if len(frame)})
        folders.append(target)
    return folders


def _shuffled(frame: pd.DataFrame, organisation: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows of one organisation in random order."""
    own = np.flatnonzero((frame["organisation_id"] == organisation).to_numpy(dtype=bool))
    return frame.take(rng.permutation(own)).reset_index(drop=True)


def _write_swedish_template(target: Path, organisation: str, tables: Tables) -> None:
    """Write the Excel template in Swedish."""
    write_template(target / f"BIP_{organisation}.xlsx", "sv", tables=tables, organisation=organisation)


def _write_english_template(target: Path, organisation: str, tables: Tables) -> None:
    """Write the Excel template in English."""
    write_template(target / f"{organisation}.xlsx", "en", tables=tables, organisation=organisation)


def _write_windows(target: Path, organisation: str, tables: Tables) -> None:
    """Write CSV as Excel on a Swedish Windows saves it."""
    for name, frame in tables.items():
        (target / f"{schema.table(name).label['sv']}_{organisation}.csv").write_bytes(csv_bytes(name, frame, WINDOWS))


def _write_labelled(target: Path, organisation: str, tables: Tables) -> None:
    """Write CSV in UTF-8 with byte order mark and Swedish labels for codes."""
    for name, frame in tables.items():
        path = target / f"{schema.table(name).label['sv'].lower()}.csv"
        path.write_bytes(csv_bytes(name, frame, LABELLED))


def _write_canonical(target: Path, organisation: str, tables: Tables) -> None:
    """Write CSV with canonical names."""
    for name, frame in tables.items():
        (target / f"{name}.csv").write_bytes(csv_bytes(name, frame, CANONICAL))


def _write_archive(target: Path, organisation: str, tables: Tables) -> None:
    """Write a zip archive of CSV with canonical names."""
    with zipfile.ZipFile(target / f"{organisation}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, frame in tables.items():
            entry = zipfile.ZipInfo(f"{name}.csv", date_time=_ARCHIVED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, csv_bytes(name, frame, CANONICAL))


STYLES: tuple[Callable[[Path, str, Tables], None], ...] = (
    _write_swedish_template,
    _write_windows,
    _write_labelled,
    _write_canonical,
    _write_archive,
    _write_english_template,
)


def csv_bytes(name: str, frame: pd.DataFrame, dialect: Dialect) -> bytes:
    """Return a table as the content of a CSV file; columns without any value that may be left out are left out.

    Parameters
    ----------
    name : str
        Name of the table.
    frame : DataFrame
        Canonical rows.
    dialect : Dialect

    Returns
    -------
    bytes
    """
    fields = sheet_fields(schema.table(name), dialect.language or "en")
    kept = [field for field in fields if field.required or frame[field.name].notna().any()]
    columns = [_cells(frame, field.name, field.kind, field.codes, dialect) for field in kept]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=dialect.delimiter, lineterminator=dialect.line_end)
    writer.writerow([field.label if dialect.language else field.name for field in kept])
    writer.writerows(zip(*columns, strict=True))
    return buffer.getvalue().encode(dialect.encoding)


def _cells(frame: pd.DataFrame, column: str, kind: str, codes: str | None, dialect: Dialect) -> list[str]:
    """Return the cells of one column as text, empty where missing."""
    values = frame[column]
    if kind == "date":
        return _dates(values, frame[f"{column}_precision"])
    missing = values.isna().to_numpy(dtype=bool)
    if kind == "boolean":
        yes, no = (text("texts.yes", "sv"), text("texts.no", "sv")) if dialect.language else ("true", "false")
        words = np.where(values.fillna(False).to_numpy(dtype=bool), yes, no).astype(object)
    elif kind == "number":
        words = np.array([_number(value, dialect.decimal) for value in values.tolist()], dtype=object)
    else:
        labels = schema.code_list(codes).labels(dialect.language or "en") if codes and dialect.labels else {}
        words = np.array([labels.get(str(value), str(value)) for value in values.tolist()], dtype=object)
    words[missing] = ""
    cells: list[str] = words.tolist()
    return cells


def _number(value: float, decimal: str) -> str:
    """Return a number without a superfluous decimal, exactly."""
    return str(int(value)) if value == value and value == int(value) else repr(value).replace(".", decimal)


def _dates(values: pd.Series, precision: pd.Series) -> list[str]:
    """Return dates to the day, month or quarter that is known."""
    cells = values.to_numpy().astype("datetime64[D]").astype(str).astype(object)
    cells[values.isna().to_numpy(dtype=bool)] = ""
    for place in np.flatnonzero(precision.isin(["month", "quarter"]).to_numpy(dtype=bool)):
        cells[place] = imprecise(values.iloc[place], precision.iloc[place])
    written: list[str] = cells.tolist()
    return written
