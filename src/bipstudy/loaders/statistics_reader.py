"""The reader of SPSS and Stata files, run as a process of its own: a damaged file may end it, and nothing else.

It takes the bytes of a file on standard input and gives values and descriptions as JSON on standard output. It imports
nothing of ours, so that it starts quickly.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
import warnings
from typing import Any

MAX_CELLS = 400_000_000
TOO_LARGE, UNREADABLE = 3, 4
_SPSS_EPOCH = dt.datetime(1582, 10, 14)
_ENCODINGS = (None, "WINDOWS-1252")


def described(content: bytes, kind: str) -> dict[str, Any] | int:
    """Return what a file holds, or the exit code that says why not.

    Parameters
    ----------
    content : bytes
    kind : {"sav", "dta"}

    Returns
    -------
    dict or int
        Names, columns, labels, value_labels, ranges, missing and notes.
    """
    import pyreadstat

    reader = pyreadstat.read_sav if kind == "sav" else pyreadstat.read_dta
    for encoding in _ENCODINGS:
        try:
            _, meta = reader(io.BytesIO(content), metadataonly=True, encoding=encoding)
            if (meta.number_rows or 0) * (meta.number_columns or 0) > MAX_CELLS:
                return TOO_LARGE
            values, meta = reader(io.BytesIO(content), user_missing=True, output_format="dict", encoding=encoding)
        except Exception as error:
            # The reader wraps damage in many errors of its own; only letters are worth a second try.
            if "encod" not in str(error).lower() and "codec" not in str(error).lower():
                return UNREADABLE
            continue
        names = list(meta.column_names)
        return {
            "names": names,
            "columns": [
                [_plain(_period(value, str(_of(meta.original_variable_types, name, "")))) for value in values[name]]
                for name in names
            ],
            "labels": [str(label or "") for label in meta.column_labels],
            "value_labels": [
                [[_plain(code), str(label)] for code, label in _of(meta.variable_value_labels, name, {}).items()]
                for name in names
            ],
            "ranges": [
                [[_plain(each["lo"]), _plain(each["hi"])] for each in _of(meta.missing_ranges, name, [])]
                for name in names
            ],
            "notes": [str(meta.file_label or ""), *map(str, meta.notes or ())],
            "missing": [[_plain(code) for code in _of(meta.missing_user_values, name, [])] for name in names],
        }
    return UNREADABLE


def _of(found: Any, name: str, otherwise: Any) -> Any:
    """Return what is said of a variable."""
    return (found or {}).get(name, otherwise)


def _period(value: Any, shown: str) -> Any:
    """Return a month or quarter as text, and what is shown as something else as it is.

    SPSS keeps seconds since October 1582 for MOYR and QYR, Stata months or quarters since 1960 for %tm and %tq.

    Examples
    --------
    >>> _period(13923446400.0, "MOYR8"), _period(257.0, "%tq"), _period(3.0, "F8.0")
    ('2024-01', '2024-Q2', 3.0)
    """
    if not isinstance(value, float) or value != value:
        return value
    try:
        if shown.startswith(("MOYR", "QYR")):
            day = _SPSS_EPOCH + dt.timedelta(seconds=value)
            return f"{day:%Y-%m}" if shown.startswith("M") else f"{day.year}-Q{(day.month + 2) // 3}"
        if shown.startswith(("%tm", "%tq")) and value.is_integer():
            each = 12 if shown.startswith("%tm") else 4
            year, part = divmod(int(value) + 1960 * each, each)
            return f"{year}-{part + 1:02}" if each == 12 else f"{year}-Q{part + 1}"
    except OverflowError:
        return value
    return value


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; dates as text."""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) or hasattr(value, "__float__"):
        number = float(value)
        return None if number != number else number
    return str(value)


def main() -> int:
    """Read standard input; the kind of file is the first argument."""
    warnings.simplefilter("ignore")
    found = described(sys.stdin.buffer.read(), sys.argv[1])
    if isinstance(found, int):
        return found
    sys.stdout.buffer.write(json.dumps(found).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
