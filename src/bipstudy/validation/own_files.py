"""The files of a study or an organisation, as they are written: every word as text, and the line on which it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bipstudy.texts import BipstudyError, text

# So deep go the entries of our files; one that refers to itself would go on for ever.
_DEPTH = 5
Way = tuple[Any, ...]


class OwnFileError(BipstudyError):
    """What is wrong in a file of thresholds or exceptions, with the line on which it stands.

    Parameters
    ----------
    key : str
        Key of the sentence in the catalogue.
    path : str
        Name of the file.
    line : int or None
        None where the content came from no file.
    **values
        What else the sentence says.
    """

    def __init__(self, key: str, *, path: str, line: int | None, **values: object) -> None:
        super().__init__(key, path=path, line=line, **values)

    def message(self, language: str) -> str:
        """Return what is wrong and where, in one language."""
        return Remark(self.code, self.values).message(language)


@dataclass(frozen=True)
class Remark:
    """What is to be known of such a file and stops nothing: an entry that was not used.

    Attributes
    ----------
    key : str
        Key of the sentence in the catalogue.
    values : mapping of str to object
        What the sentence says; `path` and `line` say where.
    """

    key: str
    values: Mapping[str, object]

    def message(self, language: str) -> str:
        """Return what is to be known and where, in one language."""
        place = self.values["path"]
        if self.values["line"] is not None:
            place = text("validation.own_file_line", language, **self.values)
        return text(self.key, language, **{**self.values, "place": place})


@dataclass(frozen=True)
class Own:
    """The content of a file, and the line of each key and entry by the way that leads to it."""

    name: str
    content: Any
    lines: Mapping[Way, int] = field(default_factory=dict)

    def line(self, *way: Any) -> int | None:
        """Return the line of what stands at the end of a way, or of what holds it if there is none."""
        there = [way[:length] for length in range(len(way), -1, -1) if way[:length] in self.lines]
        return self.lines[there[0]] if there else None

    def wrong(self, sentence: str, *way: Any, **values: object) -> OwnFileError:
        """Return the error about what stands at the end of a way."""
        return OwnFileError(f"validation.{sentence}", path=self.name, line=self.line(*way), **values)

    def remark(self, sentence: str, *way: Any, **values: object) -> Remark:
        """Return what is to be known about what stands at the end of a way."""
        return Remark(f"validation.{sentence}", {"path": self.name, "line": self.line(*way), **values})

    def at(self, *way: Any) -> Any:
        """Return what stands at the end of a way; None where nothing does."""
        found = self.content
        for step in way:
            found = found[step] if isinstance(found, list) else found.get(step)
        return found

    def entries(self, *way: Any, wanted: str) -> dict[Any, Any]:
        """Return the mapping at the end of a way, empty where there is none."""
        found = self.at(*way)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise self.wrong("own_file_shape", *way, wanted=wanted)
        return dict(found)

    def word(self, *way: Any) -> str | None:
        """Return the text at the end of a way; None where there is none."""
        found = self.at(*way)
        if isinstance(found, list | Mapping):
            raise self.wrong("own_file_word", *way, name=way[-1])
        return None if found is None else str(found)


def read_own(path: Path) -> Own:
    """Read a YAML file.

    YAML takes 0114 for the number 76 and refuses a file for a day that is none. Here what stands there is text, and
    what it means is for whoever asks.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Own
        Mappings, lists, text, and None where nothing is written.

    Raises
    ------
    OwnFileError
        It is no YAML, or a key is there twice.
    BipstudyError
        There is no such file, or it may not be read.
    """
    import yaml

    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BipstudyError("validation.own_file_missing", path=path.name) from error
    except OSError as error:
        raise BipstudyError("validation.own_file_closed", path=path.name) from error
    try:
        node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        at = getattr(error, "problem_mark", None)
        raise OwnFileError("validation.own_file_yaml", path=path.name, line=1 if at is None else at.line + 1) from error
    lines: dict[Way, int] = {(): 1}
    return Own(path.name, None if node is None else _content(node, (), lines, path.name), lines)


def _content(node: Any, way: Way, lines: dict[Way, int], name: str) -> Any:
    """Return a part of the file, and note the line of each key and entry in it."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return None if node.tag.endswith(":null") else node.value
    if len(way) == _DEPTH:
        return {}
    if isinstance(node, yaml.SequenceNode):
        lines |= {(*way, number): entry.start_mark.line + 1 for number, entry in enumerate(node.value)}
        return [_content(entry, (*way, number), lines, name) for number, entry in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise OwnFileError("validation.own_file_yaml", path=name, line=line)
        if key.value in found:
            raise OwnFileError("validation.own_file_twice", path=name, line=line, name=key.value)
        lines[*way, key.value] = line
        found[key.value] = _content(value, (*way, key.value), lines, name)
    return found
