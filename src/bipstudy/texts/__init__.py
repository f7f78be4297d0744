"""Every sentence a person reads, in Swedish and English.

The sentences stand in one YAML file per part of the package beside this module; labels, questionnaire wording and the
texts of validation rules stand in ``data_schemas``. A key is ``part.name``, as in ``text("texts.yes", "sv")``.

Examples
--------
>>> from bipstudy.texts import text
>>> text("texts.yes", "sv")
'Ja'
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

LANGUAGES = ("sv", "en")


@cache
def catalogue(part: str) -> dict[str, dict[str, str]]:
    """Return the sentences of one part of the package.

    Parameters
    ----------
    part : str
        Name of the YAML file without its ending.

    Returns
    -------
    dict of str to dict
        Key to ``{"sv": ..., "en": ...}``.

    Raises
    ------
    KeyError
        No such part.
    """
    import yaml

    path = Path(__file__).with_name(f"{part}.yaml")
    if not path.is_file():
        raise KeyError(f"no texts for the part {part!r}")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sentences: dict[str, dict[str, str]] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return sentences


def text_forms(key: str) -> dict[str, str]:
    """Return one sentence in every language, its placeholders not filled in; `key` is ``part.name``."""
    part, _, name = key.partition(".")
    return catalogue(part)[name]


def text(key: str, language: str, **values: object) -> str:
    """Return one sentence with its values filled in.

    Parameters
    ----------
    key : str
        ``part.name``.
    language : {"sv", "en"}
        Language of the sentence.
    **values
        What the sentence's ``{placeholders}`` stand for.

    Returns
    -------
    str

    Raises
    ------
    KeyError
        No such sentence or language.
    """
    return text_forms(key)[language].format(**values)


def default_language() -> str:
    """Return the language chosen by the variable ``BIPSTUDY_LANGUAGE``, else Swedish."""
    chosen = os.environ.get("BIPSTUDY_LANGUAGE", "sv").lower()
    return chosen if chosen in LANGUAGES else "sv"


class BipstudyError(Exception):
    """What went wrong, what was expected and what to do, in both languages.

    Parameters
    ----------
    key : str
        Key of the sentence in the catalogue.
    **values
        What its placeholders stand for: names of files, tables and columns, never the value of a person.

    Attributes
    ----------
    code : str
        The key, which is also the name of the error's place in the documentation.
    """

    def __init__(self, key: str, **values: object) -> None:
        self.code = key
        self.values = values
        super().__init__(key)

    def message(self, language: str) -> str:
        """Return the sentence in one language."""
        return text(self.code, language, **self.values)

    def __str__(self) -> str:
        return f"[{self.code}] {self.message('en')}\n{self.message('sv')}"


class DataError(BipstudyError):
    """The data fall short, as against a command that was wrong.

    Attributes
    ----------
    report : object or None
        The report of the validation that refused the data.
    """

    def __init__(self, key: str, *, report: object | None = None, **values: object) -> None:
        super().__init__(key, **values)
        self.report = report
