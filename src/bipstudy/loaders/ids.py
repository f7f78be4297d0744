"""Ids that have lost their leading zeros on the way through a spreadsheet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import pandas as pd

from bipstudy.loaders.cells import Cells
from bipstudy.schema import Finding

_COLUMNS = ("participant_id", "caseworker_id")
# So many ids of one length that begin with a zero say that ids have that length.
_PADDED = 3


def lost_zeros(
    tables: Mapping[str, pd.DataFrame],
    provenance: Mapping[str, pd.DataFrame],
    names: Mapping[str, Mapping[str, str]],
    columns: Mapping[str, Sequence[Mapping[str, Cells]]],
) -> list[Finding]:
    """Return a finding for each row whose id is likely to have lost its leading zeros.

    An id of digits that is shorter is suspect where the same id with zeros before it stands in another table but not in
    its own, or where at least three ids of its own column begin with a zero and all have one length.

    Parameters
    ----------
    tables, provenance : mapping of str to DataFrame
        Tables and the place of each row.
    names : mapping of str to mapping
        Canonical column to its name in the file.
    columns : mapping of str to sequence of mapping
        For each table the columns of its sheets as text, which tell the different ids without going through all rows.

    Returns
    -------
    list of Finding
    """
    findings = []
    for column in _COLUMNS:
        present = {name: frame[column] for name, frame in tables.items() if column in frame and len(frame)}
        everywhere = {
            name: frozenset[str]().union(*(sheet[column].present for sheet in columns[name] if column in sheet))
            for name in present
        }
        for name, ids in present.items():
            elsewhere = frozenset[str]().union(*(each for other, each in everywhere.items() if other != name))
            suspect = _suspect(everywhere[name], elsewhere)
            if not suspect:
                continue
            shown = names.get(name, {}).get(column, column)
            rows = ids.isin(suspect).to_numpy(dtype=bool)
            for file, sheet, row in provenance[name][rows][["file", "sheet", "row"]].itertuples(index=False, name=None):
                place = None if pd.isna(sheet) else sheet
                findings.append(Finding("lost-leading-zeros", name, file, place, int(row), shown))
    return findings


def _suspect(own: frozenset[str], elsewhere: frozenset[str]) -> set[str]:
    """Return the ids of a column that have lost zeros."""
    short = {each for each in own if each[:1] != "0" and each.isdecimal()}
    if not short:
        return set()
    stripped: dict[str, set[str]] = defaultdict(set)
    for each in elsewhere - own:
        if each.isdecimal() and each.startswith("0"):
            stripped[each.lstrip("0")].add(each)
    suspect = {each for each in short if each in stripped and each not in elsewhere}
    padded = [len(each) for each in own if each[:1] == "0" and each.isdecimal()]
    lengths = set(padded)
    if len(padded) >= _PADDED and len(lengths) == 1:
        suspect |= {each for each in short if len(each) < min(lengths)}
    return suspect
