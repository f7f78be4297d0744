"""What stands in a file beside its cells: comments, properties, headers of print, lists, caches, labels, notes.

None of it becomes a table. It is looked through for what must not be sent, since it is sent with the file.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from xml.etree import ElementTree

# A part larger than this is not looked through to its end; only what Excel keeps of other tables grows so large.
MAX_PART = 16 * 2**20
# Attributes in which people write; others hold measures and ids of the program, some of them like numbers of persons.
_WRITTEN = frozenset(
    {
        *("name", "v", "val", "title", "descr", "prompt", "promptTitle", "error", "errorTitle", "display", "tooltip"),
        *("displayName", "userId", "caption", "help-message-title", "condition", "expression"),
    }
)
_KINDS = (
    ("docProps/", "properties"),
    ("customXml/", "properties"),
    ("xl/charts/", "chart"),
    ("xl/pivotCache/", "pivot"),
    ("xl/pivotTables/", "pivot"),
    ("xl/slicerCaches/", "pivot"),
    ("xl/externalLinks/", "link"),
    ("xl/drawings/", "drawing"),
    ("xl/diagrams/", "drawing"),
    ("xl/tables/", "list"),
    ("xl/queryTables/", "link"),
)
# Who made or changed the file is no participant; an identity number is looked for there too.
_MAKERS = frozenset({"creator", "lastModifiedBy", "initial-creator", "Company", "Manager", "author", "person"})
_SKIPPED_PARTS = (
    "xl/theme/",
    "xl/media/",
    "xl/worksheets/",
    "xl/printerSettings/",
    "xl/activeX/",
    "docProps/thumbnail",
)
_SKIPPED = frozenset(
    {"xl/sharedstrings.xml", "xl/styles.xml", "xl/calcchain.xml", "xl/metadata.xml", "xl/workbook.xml"}
)
_LOOSE_TEXT = re.compile(rf'>([^<>]{{5,1000}})<|\s(?:{"|".join(sorted(_WRITTEN))})="([^"<>]{{5,1000}})"')
_CELL = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")
_TAIL_KINDS = {"headerFooter": "print", "dataValidations": "list", "dataValidation": "list", "autoFilter": "list"}


@dataclass(frozen=True)
class Beside:
    """A text that stands in no cell.

    Attributes
    ----------
    kind : str
        comment, properties, print, list, name, chart, pivot, link, drawing, label, metadata or archive.
    file : str
    text : str
    sheet, column : str or None
    row : int or None
        Of the cell to which it belongs, if it belongs to one.
    maker : bool
        Whether it says who made the file, so that an e-mail address in it is none of a participant.
    """

    kind: str
    file: str
    text: str
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    maker: bool = False


def of_workbook(name: str, archive: zipfile.ZipFile, tails: dict[str, bytes], parts: dict[str, str]) -> list[Beside]:
    """Return what an xlsx workbook holds beside its cells.

    Parameters
    ----------
    name : str
        Name of the file.
    archive : ZipFile
    tails : dict of str to bytes
        Name of each sheet to what stands below its rows.
    parts : dict of str to str
        Part of each sheet to its name.

    Returns
    -------
    list of Beside
    """
    sheets_of = _belonging(archive, parts)
    found = [each for sheet, tail in tails.items() for each in _of_tail(name, sheet, tail)]
    for info in archive.infolist():
        part = info.filename
        if part.startswith("xl/worksheets/_rels/"):
            sheet = parts.get(posixpath.normpath(f"xl/worksheets/{posixpath.basename(part)[:-5]}"))
            found += [
                Beside("link", name, target, sheet) for _, target, outside in _relations(archive, part) if outside
            ]
        elif _is_comments(part):
            found += _comments(name, sheets_of.get(part), _small(archive, info))
        elif part.lower().endswith((".xml", ".vml")) and part.lower() not in _SKIPPED and _is_looked_at(part):
            kind = next((kind for start, kind in _KINDS if part.startswith(start)), "properties")
            found += [replace(each, sheet=sheets_of.get(part)) for each in _texts(kind, name, _small(archive, info))]
    if "xl/workbook.xml" in archive.namelist():
        found += _names(name, _small(archive, archive.getinfo("xl/workbook.xml")))
    return _once([*found, *of_archive(name, archive)])


def of_opendocument(
    name: str, archive: zipfile.ZipFile, written: list[tuple[str, str | None, int | None, str]]
) -> list[Beside]:
    """Return what an OpenDocument spreadsheet holds beside its cells.

    Parameters
    ----------
    name : str
        Name of the file.
    archive : ZipFile
    written : list of (str, str or None, int or None, str)
        Kind, sheet, row and text of what stands in the part of the cells.

    Returns
    -------
    list of Beside
    """
    found = [Beside(kind, name, text, sheet, row) for kind, sheet, row, text in written]
    for part, kind in (("meta.xml", "properties"), ("styles.xml", "print")):
        if part in archive.namelist():
            found += _texts(kind, name, _small(archive, archive.getinfo(part)))
    return _once(found)


def of_archive(name: str, archive: zipfile.ZipFile) -> list[Beside]:
    """Return the comments of a zip archive and of its files."""
    comments = [archive.comment, *(info.comment for info in archive.infolist())]
    return [Beside("archive", name, each.decode("utf-8", "replace")) for each in comments if each]


def of_texts(name: str, kind: str, texts: Iterable[str]) -> list[Beside]:
    """Return texts of one kind that belong to no cell."""
    return _once([Beside(kind, name, each) for each in texts if each and not each.isspace()])


def _once(found: list[Beside]) -> list[Beside]:
    """Return each text of a place once; Excel keeps a comment in two parts."""
    kept: dict[tuple[object, ...], Beside] = {}
    placed = {(each.kind, each.sheet, each.text.strip()) for each in found if each.row is not None}
    for each in found:
        if each.text.strip() and not (each.row is None and (each.kind, each.sheet, each.text.strip()) in placed):
            kept.setdefault((each.kind, each.sheet, each.row, each.column, each.text.strip()), each)
    return list(kept.values())


def _is_looked_at(part: str) -> bool:
    """Say whether a part may hold what people wrote."""
    return (
        not part.startswith(_SKIPPED_PARTS)
        and "/_rels/" not in part
        and part.startswith(("xl/", "docProps/", "customXml/"))
    )


def _is_comments(part: str) -> bool:
    """Say whether a part holds comments on cells."""
    return part.startswith("xl/") and bool(
        re.search(r"(?:^|/)(?:threaded)?comments?\d*(?:/[^/]+)?\.xml$", part, re.IGNORECASE)
    )


def _belonging(archive: zipfile.ZipFile, parts: dict[str, str]) -> dict[str, str]:
    """Return the sheet to which a part belongs, by the part."""
    found = {}
    for part, sheet in parts.items():
        relations = f"{posixpath.dirname(part)}/_rels/{posixpath.basename(part)}.rels"
        for kind, target, outside in _relations(archive, relations):
            if not outside and not kind.endswith("/pivotTable"):
                path = target.lstrip("/") if target.startswith("/") else posixpath.join(posixpath.dirname(part), target)
                found[posixpath.normpath(path)] = sheet
    return found


def _relations(archive: zipfile.ZipFile, part: str) -> list[tuple[str, str, bool]]:
    """Return kind, target and whether it lies outside of what a part points to."""
    if part not in archive.namelist():
        return []
    root = _parsed(_small(archive, archive.getinfo(part)))
    return [(each.get("Type", ""), each.get("Target", ""), each.get("TargetMode") == "External") for each in root or ()]


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the content of a part, as far as it is looked through."""
    with archive.open(info) as part:
        return part.read(MAX_PART)


def _parsed(content: bytes) -> ElementTree.Element | None:
    """Return XML, None where it is damaged or may unfold without end."""
    if b"<!DOCTYPE" in content[:4096]:
        return None
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return None


def _local(tag: str) -> str:
    """Return the name of an element or attribute without its namespace."""
    return tag.rsplit("}", 1)[-1]


def _texts(kind: str, name: str, content: bytes) -> list[Beside]:
    """Return the texts of a part, paragraph by paragraph, and those of its attributes."""
    root = _parsed(content)
    if root is None:
        # Drawings of the old kind need not be XML, and a large part is cut off: what looks like a text is one.
        words = _LOOSE_TEXT.findall(content.decode("utf-8", "replace"))
        return [Beside(kind, name, text or value) for text, value in words]
    return list(_walked(kind, name, root))


def _walked(kind: str, name: str, element: ElementTree.Element) -> Iterator[Beside]:
    """Yield the texts of an element and those in it; runs of one paragraph are one text."""
    tag = _local(element.tag) if isinstance(element.tag, str) else ""
    if tag in {"TitlesOfParts", "HeadingPairs"}:
        # The names of sheets stand here once more.
        return
    for attribute, value in element.attrib.items():
        if _local(attribute) in _WRITTEN:
            yield Beside(kind, name, value, maker=tag in _MAKERS)
    if tag in {"p", "si", "text", "is", "h"}:
        yield Beside(kind, name, "".join(element.itertext()))
        return
    if element.text:
        yield Beside(kind, name, element.text, maker=tag in _MAKERS)
    for inner in element:
        yield from _walked(kind, name, inner)
        if inner.tail:
            yield Beside(kind, name, inner.tail)


def _comments(name: str, sheet: str | None, content: bytes) -> Iterator[Beside]:
    """Yield the comments of a sheet with the cells to which they belong."""
    root = _parsed(content)
    for element in root.iter() if root is not None else ():
        if _local(element.tag) in {"comment", "threadedComment"}:
            cell = _CELL.fullmatch(element.get("ref", ""))
            column, row = (cell[1], int(cell[2])) if cell else (None, None)
            yield Beside("comment", name, "".join(element.itertext()), sheet, row, column)


def _of_tail(name: str, sheet: str, tail: bytes) -> Iterator[Beside]:
    """Yield the texts of what stands below the rows of a sheet: lists, headers of print, links, filters."""
    end = re.search(rb"</(?:\w+:)?worksheet>\s*$", tail)
    # Cut off from its root, the tail lacks the meaning of its prefixes, which is of no interest here.
    prefixes = set(re.findall(rb"[<\s/]([A-Za-z][\w.-]*):[A-Za-z]", tail)) - {b"xml", b"xmlns"}
    declared = b"".join(b' xmlns:%b="%b"' % (each, each) for each in sorted(prefixes))
    root = _parsed(b"<root%b>%b</root>" % (declared, tail[: end.start()])) if end else None
    for element in root if root is not None else ():
        kind = _TAIL_KINDS.get(_local(element.tag), "list")
        yield from (replace(each, sheet=sheet) for each in _walked(kind, name, element))


def _names(name: str, content: bytes) -> Iterator[Beside]:
    """Yield the names that a workbook defines and what they stand for."""
    root = _parsed(content)
    for element in root.iter() if root is not None else ():
        if _local(element.tag) == "definedName" and "!_FilterDatabase" not in element.get("name", ""):
            yield Beside("name", name, element.get("name", ""))
            yield Beside("name", name, element.text or "")
            yield Beside("name", name, element.get("comment", ""))
