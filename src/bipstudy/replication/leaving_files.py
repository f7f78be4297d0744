"""Reads a folder of outputs and says what each file is: a run by the package's own list, others by outputs.yaml."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.disclosure import Output, output
from bipstudy.replication.folder import MANIFEST, hashes, ours
from bipstudy.texts import BipstudyError, DataError, catalogue, text

DESCRIPTION = "outputs.yaml"
# Numbers that outputs of a run rest on where no column says so: who is left at the end of the question's flow.
_FLOW = "flow"
# The term of estimates that count indicators.
_COUNT = "count"
_MULTIVERSE = ("activities", "belief", "continuity", "indicators")


@dataclass(frozen=True)
class Source:
    """A folder of outputs as it was read.

    Attributes
    ----------
    files : mapping of str to bytes
        By path inside the folder.
    outputs : mapping of str to Output
        What each described file holds.
    refused : mapping of str to str
        Why a file stays whatever it holds.
    figures : mapping of str to mapping
        Figures that are drawn from what leaves: ``from``, ``draw`` and ``title``.
    birth : mapping of str to object
        Where a run comes from; empty for others.
    """

    files: Mapping[str, bytes]
    outputs: Mapping[str, Output]
    refused: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    birth: Mapping[str, Any] = field(default_factory=dict)


def read_source(folder: str | Path) -> Source:
    """Read a finished run, or a folder of tables with a description.

    Raises
    ------
    BipstudyError
        The folder is neither, or its description is wrong.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BipstudyError("disclosure.no_folder", path=folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    if MANIFEST in files:
        return _run(folder, files)
    if DESCRIPTION in files:
        return _own(files)
    raise BipstudyError("disclosure.not_described", path=folder)


def read_table(name: str, content: bytes) -> pd.DataFrame:
    """Read a table; numbers with all their digits.

    Raises
    ------
    BipstudyError
        The file is no table.
    """
    try:
        words = content.decode("utf-8-sig")
        head = words.split("\n", 1)[0]
        comma = head.count(";") <= head.count(",")
        options: dict[str, Any] = {} if comma else {"sep": ";", "decimal": ","}
        if comma:
            options["float_precision"] = "round_trip"
        frame = pd.read_csv(io.StringIO(words), keep_default_na=False, na_values=[""], **options)
    except (UnicodeError, ValueError, pd.errors.ParserError):
        raise BipstudyError("disclosure.bad_table", file=name) from None
    if not isinstance(frame.index, pd.RangeIndex):
        # Rows with more cells than the head has columns: each number would stand under the wrong name.
        raise BipstudyError("disclosure.bad_table", file=name)
    return frame.rename(columns=str)


def _run(folder: Path, files: Mapping[str, bytes]) -> Source:
    """Return a run as its own list describes it."""
    try:
        manifest = json.loads(files[MANIFEST])
        known = {str(name): str(digest) for name, digest in manifest["files"].items() if ours(str(name))}
        birth = {name: manifest[name] for name in ("release", "study_hash", "plan", "seed", "language", "versions")}
        settings = {str(name): dict(own) for name, own in manifest["settings"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError("runs.no_run", path=folder) from None
    digests = hashes(files)
    refused = {name: "altered" for name, digest in digests.items() if name in known and known[name] != digest}
    outputs: dict[str, Output] = {}
    for name, content in files.items():
        described = _described(name)
        if described is None or (name != MANIFEST and name not in known):
            refused.setdefault(name, "unknown")
            continue
        title = {language: _title(name, language, settings) for language in ("sv", "en")}
        one = replace(_as_output(described, name, files), title=title)
        if one.is_table and name not in refused:
            fitted = _fitted(one, list(read_table(name, content).columns))
            if fitted is None:
                refused[name] = "unlike"
                continue
            one = fitted
        outputs[name] = one
    figures = {name: own for name, own in _figures().items() if name in files and own["from"] in outputs}
    return Source(files, outputs, refused, figures, birth)


def prepared(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of a run with what its description needs.

    Estimates by group say which division they are of. A number of indicators rests on the people of the other estimates
    of its question, not on the indicators that `n` counts.
    """
    if name.startswith("groups/") and "term" in frame:
        division = frame["term"].astype(str).str.extract(r";([^=;]+)=?[^;]*$", expand=False).fillna("")
        return frame.assign(division=division)
    if name == "tables/belief_by_answer.csv" and {"answer", "n"} <= set(frame):
        lowest = frame["answer"].astype(str).isin(["1", "2"])
        return frame.assign(division=np.where(lowest, "lowest", "others"), answered=frame["n"].sum())
    if name == "estimates.csv" and {"term", "analysis", "n"} <= set(frame):
        counts = frame["term"] == _COUNT
        fewest = frame["n"].where(~counts & frame["estimate"].notna()).groupby(frame["analysis"]).transform("min")
        return frame.assign(n=frame["n"].where(~counts, fewest))
    return frame


def _as_output(described: Mapping[str, Any], name: str, files: Mapping[str, bytes]) -> Output:
    """Return the description of a file of a run, with the people that it rests on."""
    people = _people(name, files) if described.get("people") == _FLOW else None
    return output({**described, "people": people}, name)


def _people(name: str, files: Mapping[str, bytes]) -> int:
    """Return the fewest participants with whom a flow of the question ends; 0 where none says so."""
    question = name.rsplit("/", 1)[-1].split("_", 1)[0]
    questions = _MULTIVERSE if name.startswith("multiverse/") else (question,)
    left = []
    for each in questions:
        path = f"flow/{each}.csv"
        if path in files:
            frame = read_table(path, files[path])
            kept = frame[frame["kind"] == "kept"] if {"kind", "participants"} <= set(frame) else frame.iloc[:0]
            left.append(int(kept["participants"].min()) if len(kept) else 0)
    return min(left, default=0)


def _fitted(one: Output, columns: list[str]) -> Output | None:
    """Return a description without roles whose columns a table does not have; None if it lacks what it rests on."""
    has = {*columns, "*", "division"}
    needed = (*one.counts, one.time, one.at_risk, one.estimate, one.step, one.share_by)
    if any(name and name not in has for name in needed):
        return None
    lists = ("labels", "words", "caseworkers", "numbers", "errors", "constants", "copied", "optional", "within", "drop")
    kept: dict[str, Any] = {role: tuple(name for name in getattr(one, role) if name in has) for role in lists}
    for role in ("parts", "shares"):
        kept[role] = {name: of for name, of in getattr(one, role).items() if name in has}
    return replace(one, **kept)


def _own(files: Mapping[str, bytes]) -> Source:
    """Return a folder of tables as its description says."""
    import yaml

    try:
        words = files[DESCRIPTION].decode("utf-8-sig")
        _once(yaml.compose(words, Loader=yaml.SafeLoader))
        content = yaml.safe_load(words)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise BipstudyError("disclosure.bad_file", file=DESCRIPTION, line=line) from None
    named = content.get("outputs") if isinstance(content, Mapping) else None
    if not isinstance(named, Mapping) or not all(isinstance(name, str) for name in named):
        raise BipstudyError("disclosure.bad_file", file=DESCRIPTION, line=1)
    missing = sorted(name for name in named if name not in files)
    if missing:
        raise BipstudyError("disclosure.no_file", files=", ".join(missing))
    outputs = {str(name): output(described, str(name)) for name, described in named.items()}
    refused = {name: "unknown" for name in files if name not in outputs and name != DESCRIPTION}
    outputs[DESCRIPTION] = Output("internal")
    return Source(files, outputs, refused, _own_figures(content.get("figures") or {}, outputs))


def _once(root: Any) -> None:
    """Refuse a word that stands twice: of two descriptions of a file only the last would hold."""
    import yaml

    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            words = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(words) > len(set(words)):
                raise yaml.MarkedYAMLError(problem="twice", problem_mark=node.start_mark)
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _own_figures(named: Any, outputs: Mapping[str, Output]) -> dict[str, Mapping[str, Any]]:
    """Return the figures that a description asks for."""
    from bipstudy.replication.leaving_figures import DRAWN

    right = isinstance(named, Mapping) and all(
        isinstance(name, str)
        and _inside(name)
        and name not in outputs
        and isinstance(own, Mapping)
        and own.get("from") in outputs
        and own.get("draw") in DRAWN
        for name, own in named.items()
    )
    if not right:
        raise BipstudyError("disclosure.bad_role", name=DESCRIPTION, role="figures")
    return {str(name): dict(own) for name, own in named.items()}


def _inside(name: str) -> bool:
    """Say whether a figure is written under its own name in the folder of what leaves."""
    parts = name.split("/")
    return name.endswith(".png") and not set(name) & set("\\:\0") and all(part.strip(". ") for part in parts)


@cache
def _listed() -> dict[str, dict[str, Any]]:
    """Return the package's own list of what a run holds."""
    import yaml

    path = Path(__file__).with_name("leaving.yaml")
    content: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _described(name: str) -> Mapping[str, Any] | None:
    """Return what the list says of a file, None if nothing."""
    listed = _listed()["files"]
    exact = listed.get(name)
    if exact is not None:
        return dict(exact)
    return next((dict(own) for pattern, own in listed.items() if "*" in pattern and fnmatchcase(name, pattern)), None)


def _figures() -> dict[str, Mapping[str, Any]]:
    """Return the figures of a run that are drawn anew from what leaves."""
    return dict(_listed()["figures"])


def _title(name: str, language: str, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what a file of a run is called in words."""
    known, runs = catalogue("analyses"), catalogue("runs")
    folder, _, rest = name.rpartition("/")
    analysis, _, part = rest.rsplit(".", 1)[0].partition("_")
    if f"file.{name}" in runs:
        return text(f"runs.file.{name}", language)
    if f"{analysis}.title" not in known:
        return text("replication.section_multiverse", language) + f": {rest}" if folder == "multiverse" else name
    title = text(f"analyses.{analysis}.title", language)
    if folder == "flow":
        return text("runs.file_flow", language, title=title)
    if folder == "groups":
        return text("replication.groups_table", language, title=title)
    own = settings.get(analysis, {})
    values = {"months": own.get("horizon_months", ""), "days": own.get("washout_days", "")}
    goal = text("analyses.outcome.work_or_study", language)
    try:
        caption = text(f"analyses.{analysis}.table_{part}", language, goal=goal[:1].lower() + goal[1:], **values)
    except KeyError:
        caption = part
    return f"{title}: {caption}" if caption else title
