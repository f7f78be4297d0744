"""The file of a mapping: read with the line of every entry, and checked as a whole before anything is loaded."""

from __future__ import annotations

import codecs
import difflib
import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bipstudy import schema
from bipstudy.loaders.cells import MISSING, Cells, parse
from bipstudy.loaders.mapping import DEFAULT_WINDOW_DAYS, DateFormat, Mapping, Pattern, TableMapping, Wide
from bipstudy.loaders.names import key
from bipstudy.schema import fold
from bipstudy.texts import BipstudyError, text

# A line that still bears one of these words has not been looked at by a person.
UNSURE = {"sv": "OSÄKERT", "en": "UNSURE"}
_UNSURE_LINE = re.compile(rf"#\s*(?:{'|'.join(UNSURE.values())})\b")
_MAX_BYTES = 2**20
_KEYS = {"schema_version", "organisation", "encoding", "missing", "date_format", "ignore", "occasions", "tables"}
_TABLE_KEYS = {"file", "sheet", "columns", "values", "ignore", "set", "missing", "date_format", "distinct", "wide"}
_WIDE_KEYS = {"pattern", "items", "columns", "respondents", "set"}
_MAX_WINDOW = 400
_READ_AS = {"date": "date", "integer": "number", "year": "number", "number": "number", "boolean": "boolean"}


class MappingError(BipstudyError):
    """What is wrong in a mapping, line by line.

    Attributes
    ----------
    problems : list of (int, str, dict)
        Line, key of the sentence, and its values.
    """

    def __init__(self, path: str, problems: list[tuple[int, str, dict[str, object]]]) -> None:
        super().__init__("loaders.mapping_wrong", path=path, count=len(problems))
        self.problems = sorted(problems, key=lambda problem: problem[0])

    def message(self, language: str) -> str:
        """Return one line per problem, in one language."""
        lines = [
            text("loaders.mapping_line", language, line=line, problem=text(sentence, language, **values))
            for line, sentence, values in self.problems
        ]
        return "\n".join([super().message(language), *lines])


@dataclass(frozen=True)
class _Node:
    """A value of the file and the line on which it stands; a mapping holds nodes by key, with the line of each key."""

    value: Any
    line: int


@dataclass
class _Checker:
    """What is wrong with a file, gathered while it is read."""

    problems: list[tuple[int, str, dict[str, object]]] = field(default_factory=list)
    # How the files that are spoken of write dates.
    dates: DateFormat | None = None

    def add(self, node: _Node, sentence: str, **values: object) -> None:
        """Note a problem."""
        self.problems.append((node.line, sentence, values))

    def mapping(self, node: _Node | None, place: str, known: set[str] | None = None) -> dict[str, _Node]:
        """Return the entries of a node that must be a mapping, and of these the known ones."""
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.add(node, "loaders.mapping_kind_entries", place=place)
            return {}
        found = {}
        for name, entry in node.value.items():
            if known is not None and name.value not in known:
                self.unknown(name, place, known)
            else:
                found[name.value] = entry
        return found

    def alike(self, entries: dict[str, _Node], folded: Callable[[str], str]) -> None:
        """Note names that are one name to the loader and mean different things, of which it would take one unasked."""
        first: dict[str, tuple[str, str]] = {}
        for said, meant in entries.items():
            meaning = fold(str(meant.value or ""))
            other = first.setdefault(folded(said), (said, meaning))
            if other[1] != meaning:
                self.add(meant, "loaders.mapping_alike", found=said, other=other[0])

    def items(self, node: _Node | None, place: str) -> list[_Node]:
        """Return the entries of a node that must be a list; one entry alone is a list of one."""
        if node is None or node.value is None:
            return []
        return node.value if isinstance(node.value, list) else [node]

    def word(self, node: _Node | None, place: str) -> str | None:
        """Return the text of a node that must be text or a number."""
        if node is None or node.value is None:
            return None
        if isinstance(node.value, (dict, list)):
            self.add(node, "loaders.mapping_kind_word", place=place)
            return None
        return str(node.value)

    def unknown(self, node: _Node, place: str, known: set[str]) -> None:
        """Note a name that means nothing, with the nearest that does."""
        near = difflib.get_close_matches(str(node.value), sorted(known), 1)
        shown = ", ".join([*near, *sorted(known - set(near))])
        self.add(node, "loaders.mapping_unknown", found=node.value, place=place, known=shown)

    def one_of(self, node: _Node, place: str, known: set[str]) -> str | None:
        """Return the text of a node that must be one of some names."""
        said = self.word(node, place)
        if said is not None and said not in known:
            self.unknown(node, place, known)
            return None
        return said


def read_mapping(path: str | Path) -> Mapping:
    """Read the mapping of an organisation from its YAML file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Mapping

    Raises
    ------
    BipstudyError
        There is no such file, or it is no YAML.
    MappingError
        It names a table, column or value that does not exist, or a line is still marked as unsure; every line that is
        wrong is named.
    """
    path = Path(path)
    if not path.is_file():
        raise BipstudyError("loaders.no_mapping", path=path.name)
    try:
        content = path.read_bytes()[: _MAX_BYTES + 1]
        written = unicodedata.normalize("NFC", content.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BipstudyError("loaders.mapping_not_yaml", path=path.name) from error
    if len(content) > _MAX_BYTES:
        raise BipstudyError("loaders.mapping_not_yaml", path=path.name)
    checker = _Checker()
    for number, line in enumerate(written.splitlines(), 1):
        if _UNSURE_LINE.search(line):
            checker.problems.append((number, "loaders.mapping_unsure", {}))
    root = _parse(written, path.name, checker)
    mapping = _mapping(checker.mapping(root, "YAML", _KEYS), checker)
    if checker.problems:
        raise MappingError(path.name, checker.problems)
    return mapping


def _parse(written: str, name: str, checker: _Checker) -> _Node:
    """Return the content of a file with the line of every entry."""
    import yaml

    try:
        tree = yaml.compose(written, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        if mark is not None:
            raise MappingError(name, [*checker.problems, (mark.line + 1, "loaders.mapping_syntax", {})]) from error
        raise BipstudyError("loaders.mapping_not_yaml", path=name) from error
    if tree is None:
        return _Node({}, 1)
    return _node(tree, checker, set())


def _node(tree: Any, checker: _Checker, seen: set[int]) -> _Node:
    """Return a part of the file as values."""
    import yaml

    line = tree.start_mark.line + 1
    if id(tree) in seen:
        checker.problems.append((line, "loaders.mapping_alias", {}))
        return _Node(None, line)
    seen.add(id(tree))
    if isinstance(tree, yaml.ScalarNode):
        return _Node(None if tree.tag.endswith(":null") else tree.value, line)
    if isinstance(tree, yaml.SequenceNode):
        return _Node([_node(each, checker, seen) for each in tree.value], line)
    entries: dict[_Node, _Node] = {}
    names: set[str] = set()
    for name, entry in tree.value:
        said = _node(name, checker, seen)
        said = _Node("" if said.value is None else str(said.value), said.line)
        if said.value in names:
            checker.add(said, "loaders.mapping_twice", found=said.value)
        names.add(said.value)
        entries[said] = _node(entry, checker, seen)
    return _Node(entries, line)


def _mapping(entries: dict[str, _Node], checker: _Checker) -> Mapping:
    """Build a mapping from the entries of its file."""
    encoding = checker.word(entries.get("encoding"), "encoding")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except (LookupError, ValueError):
            checker.add(entries["encoding"], "loaders.mapping_encoding", found=encoding)
    version = checker.word(entries.get("schema_version"), "schema_version")
    if version is not None and version != str(schema.SCHEMA_VERSION):
        known_version = {"found": version, "version": schema.SCHEMA_VERSION}
        checker.add(entries["schema_version"], "loaders.mapping_version", **known_version)
    occasions = checker.mapping(entries.get("occasions"), "occasions", {"window_days"})
    tables = checker.mapping(entries.get("tables"), "tables", set(schema.TABLE_NAMES))
    dates = _date_format(entries.get("date_format"), checker)
    return Mapping(
        organisation=checker.word(entries.get("organisation"), "organisation"),
        encoding=encoding,
        missing=_missing(entries.get("missing"), "missing", checker),
        date_format=dates,
        ignore=_names(entries.get("ignore"), "ignore", checker),
        window_days=_days(occasions.get("window_days"), checker),
        tables={
            name: tuple(_table(name, entry, checker, dates) for entry in checker.items(node, name))
            for name, node in tables.items()
        },
    )


def _table(name: str, node: _Node, checker: _Checker, dates: DateFormat | None) -> TableMapping:
    """Build one entry of a table; `dates` is how the files write dates unless the entry says otherwise."""
    entry = checker.mapping(node, name, _TABLE_KEYS)
    own = _date_format(entry.get("date_format"), checker)
    checker.dates = own or dates
    known = set(schema.dtypes(name))
    values = checker.mapping(entry.get("values"), f"{name}: values", known)
    wide = entry.get("wide")
    if wide is not None and name != "measurements":
        checker.add(wide, "loaders.mapping_wide_table")
    distinct = checker.word(entry.get("distinct"), f"{name}: distinct")
    if distinct is not None and distinct.lower() not in {"true", "false"}:
        checker.unknown(entry["distinct"], f"{name}: distinct", {"true", "false"})
    return TableMapping(
        file=checker.word(entry.get("file"), f"{name}: file"),
        sheet=checker.word(entry.get("sheet"), f"{name}: sheet"),
        columns=_columns(entry.get("columns"), f"{name}: columns", known, checker),
        values={column: _values(name, column, meanings, checker) for column, meanings in values.items()},
        ignore=_names(entry.get("ignore"), f"{name}: ignore", checker),
        constants=_constants(name, entry.get("set"), f"{name}: set", checker),
        missing=_missing(entry.get("missing"), f"{name}: missing", checker),
        date_format=own,
        distinct=(distinct or "").lower() == "true",
        wide=tuple(_wide(name, each, known, checker) for each in checker.items(wide, f"{name}: wide")),
        line=node.line,
    )


def _wide(name: str, node: _Node, known: set[str], checker: _Checker) -> Wide:
    """Build how columns of one row become several forms."""
    place = f"{name}: wide"
    entry = checker.mapping(node, place, _WIDE_KEYS)
    pattern = _pattern(entry.get("pattern"), node, place, checker)
    if pattern.text and "item" not in pattern.regex.groupindex:
        checker.add(entry["pattern"], "loaders.mapping_pattern_item")
    columns = {}
    named = checker.mapping(entry.get("columns"), f"{place}: columns")
    checker.alike(named, key)
    for theirs, ours in named.items():
        if checker.one_of(ours, f"{place}: columns", known) is not None:
            columns[_pattern(_Node(theirs, ours.line), ours, place, checker)] = str(ours.value)
    respondents = checker.mapping(entry.get("respondents"), f"{place}: respondents")
    checker.alike(respondents, key)
    items = _columns(entry.get("items"), f"{place}: items", set(schema.items()), checker)
    beside: dict[str, Collection[str]] = {"item": set(items), "respondent": {key(said) for said in respondents}}
    if pattern.runs_together(beside):
        checker.add(entry["pattern"], "loaders.mapping_pattern_runs_together", found=pattern.text)
    who = set(schema.code_list("respondent").values)
    return Wide(
        pattern=pattern.told_apart(beside),
        items=items,
        columns=columns,
        respondents={
            key(said): str(meant.value)
            for said, meant in respondents.items()
            if checker.one_of(meant, f"{place}: respondents", who) is not None
        },
        constants=_constants(name, entry.get("set"), f"{place}: set", checker),
    )


def _pattern(node: _Node | None, parent: _Node, place: str, checker: _Checker) -> Pattern:
    """Read a pattern."""
    said = checker.word(node, f"{place}: pattern")
    try:
        if said:
            return Pattern.of(said)
    except ValueError:
        pass
    checker.add(node or parent, "loaders.mapping_pattern", found=said or "")
    return Pattern.of("")


def _columns(node: _Node | None, place: str, known: set[str], checker: _Checker) -> dict[str, str]:
    """Read names in the files and ours."""
    found = {}
    entries = checker.mapping(node, place)
    checker.alike(entries, key)
    for theirs, ours in entries.items():
        if checker.one_of(ours, f"{place}: {theirs}", known) is not None:
            found[key(theirs)] = str(ours.value)
    return found


def _values(table: str, column: str, node: _Node, checker: _Checker) -> dict[str, str]:
    """Read what the cells of a column say and mean."""
    found = {}
    entries = checker.mapping(node, f"{table}: values: {column}")
    checker.alike(entries, fold)
    for said, meant in entries.items():
        word = checker.word(meant, f"{table}: values: {column}") or ""
        _check_value(table, column, _Node(word, meant.line), f"{table}: values: {column}", checker)
        found[fold(said)] = word
    return found


def _constants(table: str, node: _Node | None, place: str, checker: _Checker) -> dict[str, str]:
    """Read columns that are the same on every row."""
    found = {}
    for column, meant in checker.mapping(node, place, set(schema.dtypes(table))).items():
        word = checker.word(meant, place) or ""
        _check_value(table, column, _Node(word, meant.line), f"{place}: {column}", checker)
        found[column] = word
    return found


def _check_value(table: str, column: str, node: _Node, place: str, checker: _Checker) -> None:
    """Refuse what the column cannot hold: what is no code of it, no date, no number."""
    if column.endswith("_precision") or fold(node.value) in MISSING:
        return
    if column in schema.items():
        _check_kind("integer", node, place, checker)
        return
    described = schema.table(table).column(column)
    if not described.codes:
        _check_kind(described.kind, node, place, checker)
    else:
        codes = schema.code_list(described.codes)
        if fold(node.value) not in codes.spellings:
            checker.unknown(node, place, set(codes.values))


def _check_kind(kind: str, node: _Node, place: str, checker: _Checker) -> None:
    """Refuse what cannot be read as a value of a kind."""
    said = checker.dates.iso(node.value) if kind == "date" and checker.dates else node.value
    if kind in _READ_AS and parse(kind, Cells.of([said]), None, MISSING).problems:
        checker.add(node, f"loaders.mapping_value_{_READ_AS[kind]}", found=node.value, place=place)


def _missing(node: _Node | None, place: str, checker: _Checker) -> dict[str, str]:
    """Read what a cell says where an answer is missing."""
    reasons = set(schema.code_list("missing_reason").values)
    found = {}
    entries = checker.mapping(node, place)
    checker.alike(entries, fold)
    for said, reason in entries.items():
        word = checker.word(reason, place) or ""
        if word and word not in reasons:
            checker.unknown(_Node(word, reason.line), place, reasons | {'""'})
        found[fold(said)] = word
    return found


def _names(node: _Node | None, place: str, checker: _Checker) -> frozenset[str]:
    """Read a list of names."""
    return frozenset(key(checker.word(each, place) or "") for each in checker.items(node, place)) - {""}


def _date_format(node: _Node | None, checker: _Checker) -> DateFormat | None:
    """Read how dates are written."""
    said = checker.word(node, "date_format")
    if node is None or said is None:
        return None
    try:
        return DateFormat.of(said)
    except ValueError:
        checker.add(node, "loaders.mapping_date_format", found=said)
        return None


def _days(node: _Node | None, checker: _Checker) -> int:
    """Read the window of an occasion in days."""
    said = checker.word(node, "occasions: window_days")
    if node is None or said is None:
        return DEFAULT_WINDOW_DAYS
    if not (said.isdecimal() and int(said) <= _MAX_WINDOW):
        checker.add(node, "loaders.mapping_days", found=said, maximum=_MAX_WINDOW)
        return DEFAULT_WINDOW_DAYS
    return int(said)
