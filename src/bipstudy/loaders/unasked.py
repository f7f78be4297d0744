"""Items that some files, or some occasions of a file, lack though those who answer there are asked them."""

from __future__ import annotations

from collections import defaultdict

from bipstudy import schema
from bipstudy.loaders.tables import Part, best_instrument
from bipstudy.schema import Finding

# File, sheet and the name of the column, ours or that of the file.
_Place = tuple[str, str | None, str]


def lacking_items(group: list[Part]) -> list[Finding]:
    """Return the findings on items of which a file, or an occasion in a file with many, lacks the column.

    An item that no file has is none of them: `tables.lacking` says so once.

    Parameters
    ----------
    group : list of Part
        All parts of the table of forms.

    Returns
    -------
    list of Finding
        One for each item and sheet, with how many answered forms it concerns; where the sheet has the item for other
        occasions, one for each occasion, by the name that its column would have.
    """
    present = {name for part in group for name in part.sheet.columns}
    default = best_instrument(present)
    first: dict[_Place, tuple[Part, str]] = {}
    counts: dict[_Place, int] = defaultdict(int)
    # What a part without any item lacks is told otherwise.
    for part in (each for each in group if set(each.sheet.columns) & set(schema.items())):
        for item, count in _asked(part, default).items():
            if item not in present or item in part.sheet.columns:
                continue
            place = part.sheet.file, part.sheet.sheet, part.sheet.lacks.get(item, item)
            first.setdefault(place, (part, item))
            counts[place] += count
    table = schema.table("measurements")
    return [
        part.sheet.finding(
            "item-not-in-file",
            place[-1],
            count=counts[place],
            values={"table_label": table.label, "column_label": schema.items()[item].label},
        )
        for place, (part, item) in first.items()
    ]


def _asked(part: Part, default: str) -> dict[str, int]:
    """Return the items that those who answered in a part are asked, and of how many forms each is missed."""
    frame = part.frame
    if "respondent" not in frame or frame.empty:
        return {}
    # A form that nobody answered needs no columns for answers.
    answered = frame["form_status"].fillna("answered") == "answered" if "form_status" in frame else frame.index >= 0
    used = frame["instrument"].fillna(default) if "instrument" in frame else frame["respondent"].map(lambda _: default)
    counts: dict[str, int] = defaultdict(int)
    for (name, who), forms in frame[answered].groupby([used, "respondent"], observed=True):
        if name in schema.instruments():
            for item in schema.instrument(name).asked_of(who):
                counts[item] += len(forms)
    return counts
