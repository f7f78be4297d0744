"""Finished analyses on disk, so that a run that was stopped goes on where it was.

Results are kept as JSON and not as pickles: a folder that somebody else made must not be able to run code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.analyses import FigureSpec, Result, Sentence
from bipstudy.pool.files import write_whole
from bipstudy.texts import BipstudyError, DataError

Outcome = Result | BipstudyError
_PLAIN_DTYPES = ("float64", "int64", "int32", "bool", "Int64", "boolean", "Float64", "object")


class NotStorable(TypeError):
    """A result holds what this form of storage does not know."""


def store(folder: Path, question: str, key: str, outcome: Outcome) -> Outcome:
    """Write a finished analysis and return it as it will be read.

    Whoever goes on with a run reads what was written. So that both get the same bytes, an uninterrupted run takes the
    same road.

    Parameters
    ----------
    folder : Path
    question : str
    key : str
        What the analysis depends on.
    outcome : Result or BipstudyError
        The result, or why there is none.

    Returns
    -------
    Result or BipstudyError
    """
    try:
        content = {"key": key, **_packed(outcome)}
    except NotStorable:
        return outcome
    folder.mkdir(parents=True, exist_ok=True)
    written = json.dumps(content, ensure_ascii=False).encode("utf-8")
    write_whole(folder / f"{question}.json", written)
    return _unpacked(json.loads(written))


def fetch(folder: Path, question: str, key: str) -> Outcome | None:
    """Return a finished analysis, None if there is none that depends on the same things."""
    file = folder / f"{question}.json"
    try:
        content = json.loads(file.read_bytes())
        return _unpacked(content) if content["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _packed(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON holds it."""
    if isinstance(outcome, BipstudyError):
        values = {name: value if isinstance(value, int) else str(value) for name, value in outcome.values.items()}
        return {"error": outcome.code, "values": values, "data": isinstance(outcome, DataError)}
    return {
        "name": outcome.name,
        "estimates": _pack(outcome.estimates),
        "tables": _pack(dict(outcome.tables)),
        "figures": {
            name: [spec.kind, _pack(spec.frame), spec.caption, _pack(dict(spec.options))]
            for name, spec in outcome.figures.items()
        },
        "flow": _pack(outcome.flow),
        "remarks": [[remark.key, _pack(dict(remark.values))] for remark in outcome.remarks],
        "settings": _pack(dict(outcome.settings)),
        "replicates": _pack(dict(outcome.replicates)),
    }


def _unpacked(content: Mapping[str, Any]) -> Outcome:
    """Return an outcome from JSON."""
    if "error" in content:
        return (DataError if content["data"] else BipstudyError)(content["error"], **content["values"])
    return Result(
        name=content["name"],
        estimates=_unpack(content["estimates"]),
        tables=_unpack(content["tables"]),
        figures={
            name: FigureSpec(kind, _unpack(frame), caption, _unpack(options))
            for name, (kind, frame, caption, options) in content["figures"].items()
        },
        flow=_unpack(content["flow"]),
        remarks=tuple(Sentence(key, _unpack(values)) for key, values in content["remarks"]),
        settings=_unpack(content["settings"]),
        replicates=_unpack(content["replicates"]),
    )


def _pack(value: Any) -> Any:
    """Return a value as JSON holds it; what JSON does not know is a list that begins with its kind."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT:
        return ["na" if value is pd.NA else "nat"]
    if value is None or isinstance(value, (str, bool, int, float)):
        return ["float", str(value)] if isinstance(value, float) and not math.isfinite(value) else value
    if isinstance(value, (list, tuple)):
        return ["tuple" if isinstance(value, tuple) else "list", [_pack(each) for each in value]]
    if isinstance(value, Mapping):
        return ["dict", [[_pack(name), _pack(each)] for name, each in value.items()]]
    return _packed_pandas(value)


def _packed_pandas(value: Any) -> list[Any]:
    """Return a day, an array or a frame as JSON holds it."""
    if isinstance(value, pd.Timestamp):
        return ["day", value.isoformat()]
    if isinstance(value, np.ndarray) and str(value.dtype) in _PLAIN_DTYPES:
        return ["array", str(value.dtype), [_pack(each) for each in value.ravel()], list(value.shape)]
    if isinstance(value, pd.DataFrame):
        return ["frame", *_packed_frame(value)]
    raise NotStorable(type(value).__name__)


def _packed_frame(frame: pd.DataFrame) -> list[Any]:
    """Return columns, kinds, cells and index of a frame."""
    columns = []
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        columns.append([_pack(name), _kind(column.dtype), [_pack(each) for each in column]])
    plain = isinstance(frame.index, pd.RangeIndex) and (frame.index.start, frame.index.step) == (0, 1)
    return [columns, len(frame), None if plain else [_pack(each) for each in frame.index]]


def _kind(dtype: Any) -> str:
    """Return the name of a kind of column."""
    if dtype == schema.STRING:
        return "text"
    if str(dtype) in _PLAIN_DTYPES or str(dtype).startswith("datetime64["):
        return str(dtype)
    raise NotStorable(str(dtype))


def _unpack(value: Any) -> Any:
    """Return a value from JSON."""
    if not isinstance(value, list):
        return value
    kind, *rest = value
    if kind == "frame":
        return _unpacked_frame(*rest)
    if kind == "array":
        dtype, cells, shape = rest
        return np.array([_unpack(each) for each in cells], dtype=dtype).reshape(shape)
    found: dict[str, Any] = {
        "na": lambda: pd.NA,
        "nat": lambda: pd.NaT,
        "float": lambda: float(rest[0]),
        "list": lambda: [_unpack(each) for each in rest[0]],
        "tuple": lambda: tuple(_unpack(each) for each in rest[0]),
        "dict": lambda: {_unpack(name): _unpack(each) for name, each in rest[0]},
        "day": lambda: pd.Timestamp(rest[0]),
    }
    return found[kind]()


def _unpacked_frame(columns: list[Any], rows: int, index: list[Any] | None) -> pd.DataFrame:
    """Return a frame from its parts."""
    labels = pd.RangeIndex(rows) if index is None else pd.Index([_unpack(each) for each in index])
    parts = []
    for _, kind, cells in columns:
        values = [_unpack(each) for each in cells]
        parts.append(pd.Series(values, index=labels, dtype=schema.STRING if kind == "text" else kind))
    if not parts:
        return pd.DataFrame(index=labels)
    frame = pd.concat(parts, axis=1)
    frame.columns = pd.Index([_unpack(name) for name, _, _ in columns])
    return frame
