"""Personal data that stand in no cell and are sent with the file: comments, properties, lists, caches, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bipstudy import schema
from bipstudy.loaders.beside import Beside
from bipstudy.texts import LANGUAGES, text
from bipstudy.validation.contacts import kinds_in, says_born
from bipstudy.validation.identifiers import CERTAIN, find

# Where an organisation writes who it is; contact details are those of whoever made the file.
_OWN_DETAILS = frozenset({"properties", "print", "archive", "metadata", "workbook"})
# Where only the numbers of versions look like IP addresses.
_NO_IP = frozenset({"label", "chart", "pivot", "list", "name", "drawing"})


def outside_cells(submission: Any) -> list[schema.Finding]:
    """Return a finding for each text beside the cells that holds personal data, and one for a sheet's other comments.

    Parameters
    ----------
    submission : Submission or Study
        A study has nothing of the kind.

    Returns
    -------
    list of Finding
    """
    findings = []
    comments: Counter[tuple[str, str | None]] = Counter()
    latest = int(schema.rules()["date-of-birth"].threshold["latest_year"])
    beside: Sequence[Beside] = getattr(submission, "beside", ())
    for each in beside:
        kind = _kind(each, latest)
        if kind is not None:
            values = {"kind": _words(kind), "where": _words(f"outside_{each.kind}")}
            place = (None, each.file, each.sheet, each.row, each.column)
            findings.append(schema.Finding("personal-data-outside-cells", *place, values=dict(values)))
        elif each.kind == "comment" and each.row != 1:
            # Those on the headings are as a rule the template's own, and speak of columns.
            comments[each.file, each.sheet] += 1
    findings += [
        schema.Finding("comments-not-read", file=file, sheet=sheet, count=count)
        for (file, sheet), count in comments.items()
    ]
    return findings


def _kind(each: Beside, latest: int) -> str | None:
    """Return the key of what a text holds that must not be sent, or None."""
    if any(match.kind in CERTAIN or match.inside for match in find(each.text)):
        return "outside_identity"
    if each.maker or each.kind in _OWN_DETAILS:
        return None
    if says_born(each.text, latest):
        return "outside_birth"
    kinds = [kind for kind in kinds_in(each.text) if kind != "ip" or each.kind not in _NO_IP]
    return f"contact_{kinds[0]}" if kinds else None


def _words(key: str) -> dict[str, str]:
    """Return words of the catalogue in both languages."""
    return {language: text(f"validation.{key}", language) for language in LANGUAGES}
