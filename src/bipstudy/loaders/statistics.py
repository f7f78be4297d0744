"""Files of SPSS and Stata: values with their labels, and the codes that mean that an answer is missing."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

from bipstudy.loaders.cells import cell_text
from bipstudy.loaders.grids import Grid
from bipstudy.schema import Finding

MAX_CELLS = 400_000_000
_ENCODINGS = (None, "WINDOWS-1252")


def read_statistics(name: str, content: bytes, kind: str, findings: list[Finding]) -> list[Grid]:
    """Read a file of SPSS or Stata; the names of its variables stand as row 0, so that the first case is row 1.

    Parameters
    ----------
    name : str
        Name of the file, for findings.
    content : bytes
    kind : {"sav", "dta"}
    findings : list of Finding
        What is wrong with the file is added here.

    Returns
    -------
    list of Grid
        One, with labels of variables and values and the codes declared as missing; none where it cannot be read.
    """
    if content.startswith(b"<stata_dta>") and not content.rstrip(b"\0\r\n ").endswith(b"</stata_dta>"):
        findings.append(Finding("truncated-file", file=name))
        return []
    read = _read(content, kind)
    if read is None:
        findings.append(Finding("unreadable-file", file=name))
        return []
    values, meta = read
    if values is None:
        findings.append(Finding("too-large", file=name))
        return []
    names = list(meta.column_names)
    columns = [list(values[each]) for each in names]
    if not columns or not len(columns[0]):
        findings.append(Finding("empty-file", file=name))
        if not columns:
            return []
    labelled = {
        at: {cell_text(code): str(label) for code, label in meta.variable_value_labels.get(each, {}).items()}
        for at, each in enumerate(names)
    }
    rows: list[list[object]] = [list(names), *map(list, zip(*columns, strict=True))]
    return [
        Grid(
            name,
            None,
            rows,
            range(len(rows)),
            labels=[str(label or "") for label in meta.column_labels],
            value_labels={at: labels for at, labels in labelled.items() if labels},
            user_missing=_user_missing(names, columns, meta),
        )
    ]


def _read(content: bytes, kind: str) -> tuple[Any, Any] | None:
    """Return values and description, None where the file cannot be read; values are None where there are too many."""
    import pyreadstat

    reader = pyreadstat.read_sav if kind == "sav" else pyreadstat.read_dta
    for encoding in _ENCODINGS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _, meta = reader(io.BytesIO(content), metadataonly=True, encoding=encoding)
                if (meta.number_rows or 0) * (meta.number_columns or 0) > MAX_CELLS:
                    return None, meta
                return reader(io.BytesIO(content), user_missing=True, output_format="dict", encoding=encoding)  # type: ignore[no-any-return]
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # The reader wraps damage in many errors of its own; only letters are worth a second try.
            if "encod" not in str(error).lower() and "codec" not in str(error).lower():
                return None
    return None


def _user_missing(names: Sequence[str], columns: Sequence[list[object]], meta: Any) -> dict[int, frozenset[str]]:
    """Return for each column the codes that the file itself declares as missing."""
    found: dict[int, frozenset[str]] = {}
    for at, (name, values) in enumerate(zip(names, columns, strict=True)):
        ranges = (meta.missing_ranges or {}).get(name, [])
        codes = {cell_text(code) for code in (meta.missing_user_values or {}).get(name, [])}
        if ranges:
            # Labels may name codes that no case has.
            known = {value for value in values if value is not None}
            codes |= {cell_text(value) for value in known if any(_within(value, each) for each in ranges)}
        if codes:
            found[at] = frozenset(codes)
    return found


def _within(value: Any, limits: dict[str, Any]) -> bool:
    """Say whether a value lies within limits."""
    try:
        return bool(limits["lo"] <= value <= limits["hi"])
    except (KeyError, TypeError):
        return False
