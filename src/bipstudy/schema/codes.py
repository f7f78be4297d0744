"""Code lists: the values that a column may hold, with labels and the dates between which they are used."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Any

from bipstudy.schema.sources import folder, read_yaml
from bipstudy.texts import BipstudyError


@dataclass(frozen=True)
class Code:
    """One value of a code list.

    Attributes
    ----------
    value : str
        The code as stored.
    label : dict of str to str
        ``{"sv": ..., "en": ...}``.
    valid_from, valid_to : date or None
        First and last day on which the code is used; None where unlimited.
    also : tuple of str
        Other ways in which files write the code.
    role : str or None
        What the analysis does with the code, where that depends on it (``censors``, ``competes``, ``dropped`` ...).
    cause : str or None
        ``work`` or ``study`` for outcomes that may be a transition.
    """

    value: str
    label: dict[str, str]
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    also: tuple[str, ...] = ()
    role: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class CodeList:
    """The values that a column may hold, in their natural order."""

    name: str
    label: dict[str, str]
    codes: tuple[Code, ...]

    @property
    def values(self) -> list[str]:
        """The codes, in the order of the file."""
        return [code.value for code in self.codes]

    def labels(self, language: str) -> dict[str, str]:
        """Return code to label in one language."""
        return {code.value: code.label[language] for code in self.codes}

    @property
    def spellings(self) -> dict[str, str]:
        """Every accepted spelling, folded by `fold`, to its code: codes, labels of both languages and synonyms."""
        found: dict[str, str] = {}
        for code in self.codes:
            for spelling in (code.value, *code.label.values(), *code.also):
                found.setdefault(fold(spelling), code.value)
        return found

    def with_role(self, role: str) -> list[str]:
        """Return the codes that have a role in the analysis."""
        return [code.value for code in self.codes if code.role == role]


def fold(spelling: str) -> str:
    """Return a spelling without case, outer or doubled spaces, and with every dash written as a hyphen.

    Examples
    --------
    >>> fold("  16–24  år ")
    '16-24 år'
    """
    for dash in "‐‑‒–—−":
        spelling = spelling.replace(dash, "-")
    return " ".join(spelling.replace("\u00a0", " ").casefold().split())


@cache
def code_list(name: str) -> CodeList:
    """Return a code list by its name.

    Parameters
    ----------
    name : str
        Name of a file in ``data_schemas/codes``, such as ``sex``.

    Returns
    -------
    CodeList

    Raises
    ------
    BipstudyError
        No such list.

    Examples
    --------
    >>> code_list("respondent").values
    ['participant', 'caseworker']
    """
    path = folder() / "codes" / f"{name}.yaml"
    if name == "transitions" or not path.is_file():
        raise BipstudyError("schema.unknown_code_list", name=name, known=", ".join(code_list_names()))
    content = read_yaml(path)
    return CodeList(name=content["name"], label=content["label"], codes=tuple(map(_code, content["codes"])))


@cache
def code_list_names() -> tuple[str, ...]:
    """Return the names of all code lists, sorted."""
    return tuple(sorted(path.stem for path in (folder() / "codes").glob("*.yaml") if path.stem != "transitions"))


def _code(entry: dict[str, Any]) -> Code:
    """Build one code from its YAML entry."""
    return Code(
        value=str(entry["value"]),
        label=entry["label"],
        valid_from=entry.get("valid_from"),
        valid_to=entry.get("valid_to"),
        also=tuple(str(spelling) for spelling in entry.get("also", ())),
        role=entry.get("role"),
        cause=entry.get("cause"),
    )
