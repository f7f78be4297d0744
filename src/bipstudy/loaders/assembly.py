"""Sheets put together to tables: what the files leave out is filled in where it can be known, and said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import schema
from bipstudy.loaders.cells import repeated
from bipstudy.loaders.ids import lost_zeros
from bipstudy.loaders.mapping import Mapping
from bipstudy.loaders.occasions import assign_occasions, join_occasions
from bipstudy.loaders.source import Sheet
from bipstudy.loaders.tables import Part, best_instrument, lacking, read_sheet
from bipstudy.loaders.unasked import lacking_items
from bipstudy.schema import Finding

_FORM_KEY = ["organisation_id", "participant_id", "occasion", "respondent", "instrument"]
_PLACE = ["file", "sheet", "row"]


@dataclass(frozen=True)
class Headings:
    """What the columns of a table are called where its rows are from several files, or side by side in one.

    Attributes
    ----------
    names : tuple of dict
        Canonical column to its name, one dict for each part of the table.
    part : array of int, shape (rows,)
        The part that each row is from.
    told_at : tuple of str or None
        For each part the column that stands for those that its file does not have, where several forms are on a row.
    """

    names: tuple[dict[str, str], ...]
    part: npt.NDArray[np.intp]
    told_at: tuple[str | None, ...]

    def of(self, column: str, rows: npt.NDArray[np.intp]) -> list[str]:
        """Return the name of a column at some rows; the canonical one where nothing stands for it in their file."""
        names = self.each(column)
        return [names[part] for part in self.part[rows].tolist()]

    def each(self, column: str) -> list[str]:
        """Return where a finding at a column is told, for each part."""
        return [own.get(column, at or column) for own, at in zip(self.names, self.told_at, strict=True)]


@dataclass
class Assembled:
    """The tables of a submission, the place of each row, and the names of the columns in the files."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, pd.DataFrame] = field(default_factory=dict)
    source_columns: dict[str, dict[str, str]] = field(default_factory=dict)
    headings: dict[str, Headings] = field(default_factory=dict)


def assemble(sheets: Sequence[Sheet], mapping: Mapping, organisation: str | None, findings: list[Finding]) -> Assembled:
    """Put the sheets of a submission together.

    Parameters
    ----------
    sheets : sequence of Sheet
    mapping : Mapping
    organisation : str or None
        Code of the organisation, where it was said.
    findings : list of Finding
        What is wrong, missing or assumed is added here.

    Returns
    -------
    Assembled
    """
    parts: dict[str, list[Part]] = defaultdict(list)
    for sheet in sheets:
        parts[sheet.table].append(read_sheet(sheet, mapping, findings))
    known = _fill_organisation([part for group in parts.values() for part in group], organisation, findings)
    done = Assembled()
    reasons = pd.DataFrame()
    for name, table in schema.tables().items():
        group = parts[name]
        if not any(len(part.frame) for part in group):
            _note_empty(name, [part.sheet for part in group], table.required, findings)
        if group:
            # Where the organisation is known, its column is not missed.
            spared, not_asked = _without_caseworkers(group), _not_asked(group)
            findings += [
                one
                for one in lacking([part.sheet for part in group])
                if not (known and one.column == "organisation_id")
                and not (one.column == "caseworker_id" and (one.file, one.sheet) in spared)
                and not (one.code == "missing-item-column" and one.column in not_asked)
            ]
            findings += lacking_items(group) if table.has_items else []
        filled = [part for part in group if len(part.frame)]
        if not filled:
            done.tables[name], done.provenance[name] = schema.empty(name), _no_place()
            continue
        done.source_columns[name] = _source_columns(group)
        if any(part.sheet.told_at or part.sheet.names != filled[0].sheet.names for part in filled):
            at = np.repeat(np.arange(len(filled)), [len(part.frame) for part in filled])
            names, told_at = zip(*((part.sheet.names, part.sheet.told_at) for part in filled), strict=True)
            done.headings[name] = Headings(names, at, told_at)
        frame = _stacked(name, filled)
        if name == "measurements":
            reasons = _stack([part.reasons for part in group], frame.index)
            _complete_forms(frame, group, mapping.window_days, findings)
        done.tables[name] = schema.conform(name, frame, sort=False)
        places = [_place(part.sheet) for part in filled]
        done.provenance[name] = places[0] if len(places) == 1 else pd.concat(places, ignore_index=True)
    _add_missing_answers(done, reasons)
    ids = {name: [part.sheet.columns for part in group] for name, group in parts.items()}
    findings += lost_zeros(done.tables, done.provenance, done.source_columns, ids)
    return done


def _without_caseworkers(group: list[Part]) -> set[tuple[str | None, str | None]]:
    """Return the files and sheets that hold forms of participants alone, on which the caseworker may be left out."""
    alone: dict[tuple[str | None, str | None], bool] = {}
    for part in group:
        place = part.sheet.file, part.sheet.sheet
        named = "caseworker_id" in part.sheet.columns
        theirs = "respondent" in part.frame and bool((part.frame["respondent"] == "participant").all())
        alone[place] = alone.get(place, True) and (named or theirs)
    return {place for place, spared in alone.items() if spared}


def _not_asked(group: list[Part]) -> set[str]:
    """Return the items of which nobody who answers is asked, as where there are forms of participants alone."""
    respondents: set[object] = set()
    for part in group:
        if "respondent" not in part.frame or part.frame["respondent"].isna().any():
            return set()
        respondents.update(part.frame["respondent"].unique())
    return {name for name, item in schema.items().items() if respondents and not respondents & set(item.respondents)}


def _source_columns(group: list[Part]) -> dict[str, str]:
    """Return canonical column to its name in the files; first and last of the columns of a file with many forms."""
    names: dict[str, list[str]] = defaultdict(list)
    for part in group:
        for ours, theirs in part.sheet.names.items():
            names[ours].append(theirs)
    wide = {ours for part in group for ours in part.sheet.shown}
    return {
        ours: f"{theirs[0]} – {theirs[-1]}" if ours in wide and theirs[0] != theirs[-1] else theirs[-1]
        for ours, theirs in names.items()
    }


def _note_empty(name: str, sheets: list[Sheet], required: bool, findings: list[Finding]) -> None:
    """Say that a table has no rows."""
    values: dict[str, object] = {"table_label": schema.table(name).label}
    if not sheets and required:
        findings.append(Finding("missing-table", table=name, values=values))
    elif sheets:
        findings.append(sheets[0].finding("empty-table" if required else "header-only", values=values))


def _fill_organisation(parts: list[Part], said: str | None, findings: list[Finding]) -> str | None:
    """Fill in the organisation where a sheet does not have it; return the one that was used."""
    present = {
        str(code) for part in parts if "organisation_id" in part.frame for code in _different(part, "organisation_id")
    }
    known = said or (present.pop() if len(present) == 1 else None)
    if known is None:
        return None
    for part in parts:
        if "organisation_id" not in part.frame:
            part.frame.insert(0, "organisation_id", pd.Series(known, index=part.frame.index, dtype=schema.STRING))
            if len(part.frame) and said is None:
                findings.append(part.sheet.finding("organisation-assumed", count=len(part.frame)))
        elif said is not None:
            codes = part.frame["organisation_id"]
            part.frame["organisation_id"] = codes.fillna(said)
            other = int((codes.notna() & (codes != said)).sum())
            if other and part.sheet.table != "organisations":
                findings.append(part.sheet.finding("other-organisation", "organisation_id", count=other))
    return known


def _different(part: Part, name: str) -> list[str]:
    """Return the different values of a column; where its text is one, without going through all rows."""
    cells = part.sheet.columns.get(name)
    values = part.frame[name].array
    found: list[str] = (
        (values[:1] if cells is not None and len(cells.distinct) == 1 else values.unique()).dropna().tolist()
    )
    return found


def _stacked(name: str, filled: list[Part]) -> pd.DataFrame:
    """Return the rows of all sheets of a table, with the columns it must have."""
    types = schema.dtypes(name)
    if len(filled) == 1:
        frame = filled[0].frame.copy(deep=False)
    else:
        frame = pd.concat([part.frame for part in filled], ignore_index=True)
    for column in schema.table(name).columns:
        if column.name not in frame and not column.optional:
            frame[column.name] = pd.Series(pd.NA, index=frame.index, dtype="object").astype(types[column.name])
    return frame


def _stack(frames: list[pd.DataFrame], index: pd.Index) -> pd.DataFrame:
    """Return the reasons of all sheets under each other."""
    filled = [frame for frame in frames if len(frame.index)]
    if not any(len(frame.columns) for frame in filled):
        return pd.DataFrame(index=index)
    return pd.concat(filled, ignore_index=True).reindex(index).fillna("")


def _place(sheet: Sheet) -> pd.DataFrame:
    """Return file, sheet and row of each row of a sheet."""
    count = len(sheet.rows)
    return pd.DataFrame(
        {
            "file": repeated(sheet.file, count),
            "sheet": repeated(sheet.sheet, count),
            "row": pd.arrays.IntegerArray(sheet.rows.astype(np.int64, copy=False), np.zeros(count, dtype=bool)),
        },
        copy=False,
    )


def _no_place() -> pd.DataFrame:
    """Return the places of no rows."""
    return _nowhere().copy()


@cache
def _nowhere() -> pd.DataFrame:
    """Return the places of no rows, made once."""
    return pd.DataFrame({"file": [], "sheet": [], "row": []}).astype(
        {"file": schema.STRING, "sheet": schema.STRING, "row": "Int64"}
    )


def _complete_forms(frame: pd.DataFrame, group: list[Part], window: int, findings: list[Finding]) -> None:
    """Fill in the questionnaire and the occasion where the files do not say them."""
    filled = [part for part in group if len(part.frame)]
    names = {name for part in group for name in part.sheet.columns}
    unsaid = frame["instrument"].isna()
    if unsaid.any():
        instrument = best_instrument(names)
        frame["instrument"] = frame["instrument"].fillna(instrument)
        assumed: dict[str, object] = {"instrument": instrument}
        count = int(unsaid.sum())
        findings.append(filled[0].sheet.finding("instrument-assumed", "instrument", count=count, values=assumed))
    without = [part for part in filled if "occasion" not in part.sheet.columns]
    if not without:
        return
    lengths = [len(part.frame) for part in filled]
    open_rows = np.repeat(["occasion" not in part.sheet.columns for part in filled], lengths)
    if len(without) == len(filled):
        frame["occasion"] = assign_occasions(frame, window)
    else:
        frame["occasion"] = join_occasions(frame, open_rows, window)
    values: dict[str, object] = {"days": window}
    numbered = int(frame["occasion"].notna().to_numpy()[open_rows].sum())
    code = "occasion-assigned" if len(without) == len(filled) else "occasion-joined"
    findings.append(without[0].sheet.finding(code, "occasion", count=numbered, values=values))
    undated = frame["occasion"].isna().to_numpy() & open_rows
    for part, start in zip(filled, np.cumsum([0, *lengths[:-1]]), strict=True):
        rows = part.sheet.rows[undated[start : start + len(part.frame)]]
        findings += [part.sheet.finding("occasion-unknown", "occasion", row=int(row)) for row in rows]


def _add_missing_answers(done: Assembled, reasons: pd.DataFrame) -> None:
    """Add what the cells of answers say about why an answer is missing; a row that was sent is kept before it."""
    if reasons.empty:
        return
    forms, place = done.tables["measurements"], done.provenance["measurements"]
    answered = (forms["form_status"].isna() | (forms["form_status"] == "answered")).to_numpy(dtype=bool)
    # A form whose occasion is not known is told as such; nothing can refer to it.
    answered &= forms["occasion"].notna().to_numpy()
    said = {item: np.flatnonzero((reasons[item] != "").to_numpy(dtype=bool) & answered) for item in reasons}
    parts = [
        pd.DataFrame({"form": rows, "item": item, "reason": reasons[item].to_numpy()[rows]})
        for item, rows in said.items()
    ]
    long = pd.concat(parts, ignore_index=True).sort_values(["form", "item"], kind="stable")
    derived = forms.loc[long["form"], _FORM_KEY].reset_index(drop=True)
    derived["item"], derived["reason"] = long["item"].to_numpy(), long["reason"].to_numpy()
    where = place.loc[long["form"]].reset_index(drop=True)
    sent = done.tables["missing_answers"]
    key = list(schema.table("missing_answers").key)
    if len(sent) and len(derived):
        marked = derived[key].merge(sent[key].drop_duplicates(), on=key, how="left", indicator=True)
        new = (marked["_merge"] == "left_only").to_numpy()
        derived, where = derived[new].reset_index(drop=True), where[new].reset_index(drop=True)
    if derived.empty:
        return
    derived = schema.conform("missing_answers", derived, sort=False)
    kept = done.provenance["missing_answers"]
    done.tables["missing_answers"] = pd.concat([sent, derived], ignore_index=True) if len(sent) else derived
    done.provenance["missing_answers"] = pd.concat([kept, where], ignore_index=True) if len(kept) else where
    # Rows that stand nowhere have no headings.
    done.headings.pop("missing_answers", None)
