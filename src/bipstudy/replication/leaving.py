"""Takes results out: reads a finished run or a folder of tables, and writes a folder with only what may leave."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from bipstudy.disclosure import CHANGED, FAIL, INTERNAL, PASS, REVIEW, Checked, Output, Rules, check_all, has_identity
from bipstudy.replication.leaving_files import Source, prepared, read_source, read_table
from bipstudy.texts import BipstudyError, default_language

__all__ = ["Leaving", "Reason", "check_outputs", "reason"]

LEAVES, RECORD = "leaves", "record"
# What stands in place of a number that is not shown, as in Swedish official statistics.
NOT_SHOWN = ".."
_FORMAT = "bipstudy-check-outputs"
_STATUSES = (PASS, CHANGED, REVIEW, FAIL, INTERNAL)


@dataclass(frozen=True)
class Reason:
    """What a reviewer says of an output.

    Attributes
    ----------
    name : str
        The output.
    words : str
    reviewer : str
    day : str
        As 2026-11-22.
    """

    name: str
    words: str
    reviewer: str
    day: str


@dataclass(frozen=True)
class Leaving:
    """What leaves of a folder of outputs, and why the rest does not.

    Attributes
    ----------
    outputs : mapping of str to Checked
        By name of the file.
    rules : Rules
    reasons : tuple of Reason
    files : mapping of str to bytes
        What may leave, by path.
    birth : mapping of str to object
        Where a run comes from; empty for other folders.
    pictures : mapping of str to object
        Figures that were drawn anew.
    language : {"sv", "en"}
    compared : tuple of str
        Outputs that were held against what left before.
    """

    outputs: Mapping[str, Checked]
    rules: Rules
    reasons: tuple[Reason, ...]
    files: Mapping[str, bytes]
    birth: Mapping[str, Any]
    pictures: Mapping[str, Any] = field(repr=False)
    language: str = "sv"
    compared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every output that was meant to leave does, and none waits for a person."""
        return not self.named(FAIL) and not self.waiting

    @property
    def waiting(self) -> list[str]:
        """Outputs that a person must read, and nobody has."""
        return [name for name in self.named(REVIEW) if name not in self.files]

    def named(self, status: str) -> list[str]:
        """Return the outputs of a status."""
        return [name for name, one in self.outputs.items() if one.status == status]

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values; nothing that is hidden is among them."""
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())}
        outputs = [
            {
                **one.as_dict(),
                "title": dict(one.output.title) or None,
                "leaves": name in self.files,
                "reviews": [
                    {"date": each.day, "reviewer": each.reviewer, "reason": each.words}
                    for each in self.reasons
                    if each.name == name
                ],
            }
            for name, one in self.outputs.items()
        ]
        counts = {status: len(self.named(status)) for status in _STATUSES}
        return {
            "format": _FORMAT,
            "ok": self.ok,
            "rules": dict(self.rules.as_dict()),
            "source": dict(self.birth),
            "compared_with_earlier": list(self.compared),
            "counts": counts,
            "outputs": outputs,
            "files": digests,
        }

    def to_html(self) -> str:
        """Return the record as a page; it stays inside."""
        from bipstudy.replication.leaving_page import record_page

        return record_page(self).to_html()

    def write(self, out: str | Path) -> Path:
        """Write what may leave and the record, whole or not at all.

        Parameters
        ----------
        out : str or Path
            A folder that is not there, or that was written so before.

        Returns
        -------
        Path
            The folder of what may leave.

        Raises
        ------
        BipstudyError
            Something else stands there, or it cannot be written.
        """
        from bipstudy.replication.leaving_page import leaves_page, outer_record

        out = Path(out)
        earlier = _earlier(out)
        contents = {f"{LEAVES}/{name}": content for name, content in self.files.items()}
        contents[f"{LEAVES}/index.html"] = leaves_page(self).to_html().encode()
        contents[f"{LEAVES}/record.json"] = _json(outer_record(self))
        contents[f"{RECORD}/record.html"] = self.to_html().encode()
        contents[f"{RECORD}/record.json"] = _json(self.as_dict())
        aside, former = (out.with_name(f"{_aside(out)}{secrets.token_hex(8)}") for _ in range(2))
        try:
            _clear(out)
            for name, content in sorted(contents.items()):
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_bytes(content)
            if earlier:
                os.replace(out, former)
                os.replace(aside, out)
                shutil.rmtree(former, ignore_errors=True)
            else:
                os.replace(aside, out)
        except OSError:
            raise BipstudyError("disclosure.cannot_write", path=out) from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return out / LEAVES


def check_outputs(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    rules: Rules | None = None,
    reasons: Sequence[Reason] = (),
    earlier: str | Path | None = None,
    language: str | None = None,
) -> Leaving:
    r"""Check a finished run, or a folder of tables with ``outputs.yaml``, and write what may leave.

    Nothing in the folder is changed. Figures are drawn anew from the numbers that leave, or stay.

    Parameters
    ----------
    folder : str or Path
    out : str or Path, optional
        New folder: ``leaves`` is what may leave, ``record`` the account, which stays. Nothing is written if left out.
    rules : Rules, optional
    reasons : sequence of Reason
        What reviewers say. A file of words leaves with one; what the rules hold back stays whatever the reason.
    earlier : str or Path, optional
        The folder, as it is inside, of which results left before: what has changed by fewer people than the threshold
        since then is hidden.
    language : {"sv", "en"}, optional
        Language of the pages.

    Returns
    -------
    Leaving

    Raises
    ------
    BipstudyError
        The folder, its description or a reason is wrong, or `out` cannot be written.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from pathlib import Path
    >>> place = Path(tempfile.mkdtemp())
    >>> units = pd.DataFrame({"unit": ["A", "B", "C"], "n": [120, 60, 4]})
    >>> units.to_csv(place / "units.csv", index=False)
    >>> described = "outputs:\n  units.csv: {kind: groups, labels: [unit], counts: [n]}\n"
    >>> _ = (place / "outputs.yaml").write_text(described)
    >>> found = check_outputs(place)
    >>> found.outputs["units.csv"].frame["n"].tolist()
    [120, <NA>, <NA>]
    """
    chosen, rules = language or default_language(), rules or Rules()
    if out is not None:
        _apart(Path(folder), Path(out))
        _earlier(Path(out))
    source = read_source(folder)
    for each in reasons:
        if each.name not in source.files:
            raise BipstudyError("disclosure.reason_of_nothing", name=each.name)
    tables = {
        name: (prepared(name, read_table(name, source.files[name])), one)
        for name, one in source.outputs.items()
        if one.is_table and name not in source.refused
    }
    before = _before(earlier, tables)
    checked = check_all(tables, rules, earlier=before)
    outputs = {name: checked.get(name) or _untabled(name, source) for name in sorted(source.files)}
    files = {name: _csv(one) for name, one in checked.items() if one.leaves}
    read = {each.name for each in reasons}
    files |= {name: source.files[name] for name, one in outputs.items() if one.status == REVIEW and name in read}
    pictures = _pictures(source, checked, chosen)
    for name in source.figures:
        drawn, title = name in pictures, checked[str(source.figures[name]["from"])].output.title
        one = Output("internal", title=title)
        outputs[name] = Checked(name, one, PASS if drawn else FAIL, refused="" if drawn else "not_drawn")
    files |= {name: picture.png for name, picture in pictures.items()}
    found = Leaving(
        dict(sorted(outputs.items())),
        rules,
        tuple(reasons),
        files,
        source.birth,
        pictures,
        chosen,
        tuple(sorted(before)),
    )
    if out is not None:
        found.write(out)
    return found


def reason(words: str, reviewer: str, day: str | None = None, *, number: int = 1) -> Reason:
    """Read a reason that is written as ``FILE=REASON``.

    Parameters
    ----------
    words : str
    reviewer : str
    day : str, optional
        As 2026-11-22; today if left out.
    number : int
        Which of several reasons it is, for the message.

    Returns
    -------
    Reason

    Raises
    ------
    BipstudyError
        It is written otherwise, nobody stands for it, or the day is none.

    Examples
    --------
    >>> reason("plan.yaml=Read", "Reviewer", "2026-11-22").name
    'plan.yaml'
    """
    name, mark, said = words.partition("=")
    if not (mark and name.strip() and said.strip()):
        raise BipstudyError("disclosure.bad_reason", number=number)
    if not reviewer.strip():
        raise BipstudyError("disclosure.no_reviewer")
    try:
        when = date.fromisoformat(day) if day else date.today()
    except ValueError:
        raise BipstudyError("disclosure.bad_date") from None
    return Reason(name.strip(), said.strip(), reviewer.strip(), when.isoformat())


def _before(earlier: str | Path | None, tables: Mapping[str, tuple[pd.DataFrame, Output]]) -> dict[str, pd.DataFrame]:
    """Return the tables of an earlier folder that stand in this one too."""
    if earlier is None:
        return {}
    source = read_source(earlier)
    there = [name for name in tables if name in source.outputs and source.outputs[name].is_table]
    return {name: prepared(name, read_table(name, source.files[name])) for name in there}


def _untabled(name: str, source: Source) -> Checked:
    """Return what the rules say of a file that is no table, or that they refuse to read."""
    one = source.outputs.get(name, Output("text"))
    if name in source.refused:
        return Checked(name, one, FAIL, refused=source.refused[name])
    if one.kind == "ranking":
        return Checked(name, one, FAIL, refused="ranking")
    if one.kind == "text":
        # Words under headings and nothing else: there is nothing to read.
        if has_identity(source.files[name].decode("utf-8", errors="replace")):
            return Checked(name, one, FAIL, refused="identity")
        empty = name.endswith(".csv") and source.files[name].count(b"\n") <= 1
        return Checked(name, one, INTERNAL) if empty else Checked(name, one, REVIEW, refused="words")
    return Checked(name, one, INTERNAL)


def _pictures(source: Source, checked: Mapping[str, Checked], language: str) -> dict[str, Any]:
    """Return the figures that can be drawn from what leaves."""
    from bipstudy.replication.leaving_figures import drawn
    from bipstudy.report.pictures import picture

    figures = {name: drawn(own, checked[str(own["from"])], language) for name, own in source.figures.items()}
    return {name: picture(figure) for name, figure in sorted(figures.items()) if figure is not None}


def shown(one: Checked) -> pd.DataFrame:
    """Return a table as it is written: the mark of what is not shown in place of hidden numbers."""
    assert one.frame is not None
    assert one.hidden is not None
    frame = one.frame.astype(object)
    if one.output.kind == "facts":
        # Numbers of people stand among means: each is written as what it is.
        for column in one.output.numbers:
            frame[column] = [int(value) if value == value and value == int(value) else value for value in frame[column]]
    for column in one.hidden:
        frame[column] = frame[column].where(~one.hidden[column].to_numpy(dtype=bool), NOT_SHOWN)
    return frame


def _csv(one: Checked) -> bytes:
    """Return a table as it leaves."""
    words: str = shown(one).to_csv(index=False, lineterminator="\n")
    return words.encode()


def _aside(out: Path) -> str:
    """Return how the names of folders begin that are being written for a folder."""
    return f".writing-{out.name}-"


def _clear(out: Path) -> None:
    """Remove what a command that was stopped left beside the folder."""
    for left in out.parent.iterdir() if out.parent.is_dir() else ():
        if left.name.startswith(_aside(out)):
            shutil.rmtree(left, ignore_errors=True)


def _apart(folder: Path, out: Path) -> None:
    """Refuse to write into the folder that is read, or over one that holds it."""
    inner, outer = out.resolve(), folder.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise BipstudyError("disclosure.inside", path=out)


def _earlier(out: Path) -> bool:
    """Say whether a folder was written so before; refuse any other."""
    if not out.exists() and not out.is_symlink():
        return False
    try:
        ours = json.loads((out / RECORD / "record.json").read_bytes())["format"] == _FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours and not (out.is_dir() and not any(out.iterdir())):
        raise BipstudyError("disclosure.other_folder", path=out)
    return True


def _json(content: Mapping[str, Any]) -> bytes:
    """Return JSON that is the same bytes for the same content."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
