"""The mapping of an organisation: what its files call tables, columns and values, where the names are not ours."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from bipstudy.loaders.names import key, loose

_ARCHIVE = re.compile(r"^(?:.*?/)??[^/]*\.zip/", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
PLACEHOLDERS = ("item", "occasion", "respondent")
_DATE_PARTS = {"YYYY": r"(?P<y>\d{4})", "YY": r"(?P<y>\d{2})", "MM": r"(?P<m>\d{1,2})", "DD": r"(?P<d>\d{1,2})"}
_DATE_PARTS |= {"M": _DATE_PARTS["MM"], "D": _DATE_PARTS["DD"]}
# What may stand behind a day: the time at which a form was sent.
TIME = r"(?:,? \d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?: ?[AaPp]\.?[Mm]\.?)?)?"
# Years of two digits: the last hundred years up to here.
_LAST_SHORT_YEAR = 50
DEFAULT_WINDOW_DAYS = 45


@dataclass(frozen=True)
class Pattern:
    """The names of several columns at once, such as ``F{item}_M{occasion}``.

    Attributes
    ----------
    text : str
        As it stands in the mapping.
    """

    text: str
    regex: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read a pattern; ValueError if a placeholder is not known or stands twice."""
        parts = _PLACEHOLDER.split(text)
        placeholders = parts[1::2]
        literal = [loose(part) for part in parts[0::2]]
        literal[0] = literal[0].lstrip()
        literal[-1] = literal[-1].rstrip()
        if len(set(placeholders)) < len(placeholders) or set(placeholders) - set(PLACEHOLDERS):
            raise ValueError(text)
        regex = "".join(
            re.escape(literal[at // 2])
            if at % 2 == 0
            else rf"(?P<{part}>[0-9]+)"
            if part == "occasion"
            else rf"(?P<{part}>.+?)"
            for at, part in enumerate(parts)
        )
        return cls(text, re.compile(regex))

    def match(self, name: str) -> dict[str, str] | None:
        """Return what the placeholders stand for in the name of a column, or None.

        Examples
        --------
        >>> Pattern.of("F{item}_M{occasion}").match("f3_m2")
        {'item': '3', 'occasion': '2'}
        """
        found = self.regex.fullmatch(key(name))
        return None if found is None else {part: said.strip() for part, said in found.groupdict().items()}

    def with_occasion(self, name: str, occasion: str) -> str | None:
        """Return what a column is called at another occasion, or None where that cannot be said.

        Examples
        --------
        >>> Pattern.of("F{item}_M{occasion}").with_occasion("F3_M2", "10")
        'F3_M10'
        """
        found = self.regex.fullmatch(key(name))
        # Where accents or spaces are written out, places in the name are not those in its key.
        if found is None or "occasion" not in found.groupdict() or len(found.string) != len(name):
            return None
        return name[: found.start("occasion")] + occasion + name[found.end("occasion") :]

    def runs_together(self, names: dict[str, Collection[str]]) -> bool:
        """Say whether two numbers stand beside each other, so that nobody can say where the one ends.

        Parameters
        ----------
        names : dict of str to collection of str
            By placeholder what it may stand for, by `key`; an occasion is a number anyway.

        Examples
        --------
        >>> Pattern.of("F{item}{occasion}").runs_together({"item": ["1", "11"]})
        True
        >>> Pattern.of("F{item}{occasion}").runs_together({"item": ["1", "2"]})
        False
        >>> Pattern.of("{item}{occasion}").runs_together({"item": ["samarbete"]})
        False
        """
        beside = self._numbers_beside(names) - {"occasion"}
        return any(len({len(name) for name in names[part]}) > 1 for part in beside)

    def told_apart(self, names: dict[str, Collection[str]]) -> Pattern:
        """Return the pattern in which what stands beside a number is as long as its names are.

        Parameters
        ----------
        names : dict of str to collection of str
            As for `runs_together`, which says that those of each placeholder are of one length.

        Examples
        --------
        >>> Pattern.of("F{item}{occasion}").told_apart({"item": ["01", "02"]}).match("F0112")
        {'item': '01', 'occasion': '12'}
        """
        regex = self.regex.pattern
        for part in self._numbers_beside(names) - {"occasion"}:
            length = len(next(iter(names[part])))
            regex = regex.replace(f"(?P<{part}>.+?)", f"(?P<{part}>.{{{length}}})")
        return Pattern(self.text, re.compile(regex))

    def _numbers_beside(self, names: dict[str, Collection[str]]) -> set[str]:
        """Return the placeholders of numbers that have another number beside them."""
        said = {**names, "occasion": ["0"]}
        parts = _PLACEHOLDER.split(self.text)
        return {
            part
            for left, between, right in zip(parts[1::2], map(loose, parts[2::2]), parts[3::2], strict=False)
            if (not between or between.isdecimal())
            and any(name[-1:].isdecimal() for name in said.get(left, ()))
            and any(name[:1].isdecimal() for name in said.get(right, ()))
            for part in (left, right)
        }


@dataclass(frozen=True)
class DateFormat:
    """How an organisation writes dates, such as ``DD.MM.YYYY``."""

    text: str
    regex: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def of(cls, text: str) -> DateFormat:
        """Read a format of YYYY or YY, MM or M, DD or D, or ÅÅÅÅ and ÅÅ; ValueError if a part lacks or stands twice."""
        parts = re.split(r"(Y{4}|Y{2}|M{1,2}|D{1,2})", text.strip().upper().replace("Å", "Y"))
        if sorted(part[0] for part in parts[1::2]) != ["D", "M", "Y"] or any(map(str.isalnum, "".join(parts[0::2]))):
            raise ValueError(text)
        regex = "".join(_DATE_PARTS[part] if at % 2 else re.escape(part) for at, part in enumerate(parts))
        return cls(text, re.compile(regex + TIME, re.ASCII))

    def iso(self, text: str) -> str:
        """Return a date as YYYY-MM-DD, and what is none as it is.

        Examples
        --------
        >>> DateFormat.of("D.M.ÅÅÅÅ").iso("5.3.2024"), DateFormat.of("D.M.ÅÅÅÅ").iso("okänt")
        ('2024-03-05', 'okänt')
        >>> DateFormat.of("D/M/ÅÅÅÅ").iso("5/3/2024 14:30:11")
        '2024-03-05'
        """
        found = self.regex.fullmatch(text)
        if found is None:
            return text
        year = int(found["y"])
        if len(found["y"]) == 2:
            year += 2000 if year <= _LAST_SHORT_YEAR else 1900
        return f"{year}-{int(found['m']):02}-{int(found['d']):02}"


@dataclass(frozen=True)
class Wide:
    """How the columns of one row become several forms.

    Attributes
    ----------
    pattern : Pattern
        Names of the columns of answers.
    items : dict of str to str
        What the pattern's item is called, by `key`, and the item that is meant.
    columns : dict of Pattern to str
        Names of further columns that stand once per form, and the canonical column.
    respondents : dict of str to str
        What the pattern's respondent is called, by `key`, and the code that is meant.
    constants : dict of str to str
        Canonical columns that are the same on every form.
    """

    pattern: Pattern
    items: dict[str, str] = field(default_factory=dict)
    columns: dict[Pattern, str] = field(default_factory=dict)
    respondents: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableMapping:
    """How one table is written in one file of an organisation.

    Attributes
    ----------
    file, sheet : str or None
        Name of the file or sheet that holds the table; ``*`` stands for anything.
    columns : dict of str to str
        Name in the file, by `key`, to canonical column.
    values : dict of str to dict
        Canonical column to what its cells say, folded, and the code or number that is meant.
    ignore : frozenset of str
        Columns of the file, by `key`, that are left out on purpose.
    constants : dict of str to str
        Canonical columns that are the same on every row.
    missing : dict of str to str
        What a cell says, folded, where the answer is missing, to the reason or ``""``; beside those of the mapping.
    date_format : DateFormat or None
    distinct : bool
        Whether rows that say the same are one, as participants in a file of one row per form.
    wide : tuple of Wide
    line : int
        On which it begins in the file of the mapping.
    """

    file: str | None = None
    sheet: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    constants: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    date_format: DateFormat | None = None
    distinct: bool = False
    wide: tuple[Wide, ...] = ()
    line: int = field(default=0, compare=False)

    def holds(self, file: str, sheet: str | None) -> bool:
        """Say whether a file or sheet is the one named."""
        if self.file is None and self.sheet is None:
            return False
        name = Path(file).name
        called = (name, Path(name).stem, file, within(file))
        names_file = self.file is None or any(_names(self.file, each) for each in called)
        names_sheet = self.sheet is None or (sheet is not None and _names(self.sheet, sheet))
        return names_file and names_sheet

    def names_path(self, file: str) -> bool:
        """Say whether a file is named by its whole path, which tells it from others of the same name."""
        paths = [path for path in (file, within(file)) if "/" in path]
        return self.file is not None and key(self.file) in map(key, paths)


def within(file: str) -> str:
    """Return the path that a file has within an archive, or its whole path where it is in none.

    Examples
    --------
    >>> within("leverans.zip/nord/svar.csv"), within("nord/svar.csv")
    ('nord/svar.csv', 'nord/svar.csv')
    """
    return _ARCHIVE.sub("", file, count=1)


def _names(said: str, name: str) -> bool:
    """Say whether a name in the mapping is that of a file or sheet.

    Examples
    --------
    >>> _names("Svar *.csv", "svar 2024-06.csv"), _names("svar.csv", "svar 2024-06.csv")
    (True, False)
    >>> _names("Klienter (2)", "klienter (2)"), _names("Klienter (*)", "Klienter (2)")
    (True, True)
    """
    if "*" not in said:
        return key(said) == key(name)
    parts = [re.escape(loose(part)) for part in said.split("*")]
    return re.fullmatch(".*".join(parts), loose(name)) is not None


@dataclass(frozen=True)
class Mapping:
    """One organisation's names and values, and ours.

    Attributes
    ----------
    organisation : str or None
        Code of the organisation, for files that do not say it.
    encoding : str or None
        Encoding of its text files, where the usual ladder is wrong.
    missing : dict of str to str
        What a cell says, folded, where the answer is missing, to the reason or ``""``.
    date_format : DateFormat or None
    ignore : frozenset of str
        Sheets and files, by `key`, that are left out on purpose.
    window_days : int
        Within how many days the forms of two respondents belong to one occasion.
    tables : dict of str to tuple of TableMapping
        For each table one entry per file or sheet that holds it.
    """

    organisation: str | None = None
    encoding: str | None = None
    missing: dict[str, str] = field(default_factory=dict)
    date_format: DateFormat | None = None
    ignore: frozenset[str] = frozenset()
    window_days: int = DEFAULT_WINDOW_DAYS
    tables: dict[str, tuple[TableMapping, ...]] = field(default_factory=dict)

    def entries(self, file: str, sheet: str | None) -> list[tuple[str, TableMapping]]:
        """Return the tables that the mapping says a file or sheet holds."""
        found = []
        for name, group in self.tables.items():
            held = [entry for entry in group if entry.holds(file, sheet)]
            # What names svar.csv means the one outside the folders, where another entry names nord/svar.csv.
            found += [(name, entry) for entry in [each for each in held if each.names_path(file)] or held]
        return found

    def entry(self, table: str) -> TableMapping:
        """Return the entry of a table that names no file or sheet, else an empty one."""
        free = (entry for entry in self.tables.get(table, ()) if entry.file is None and entry.sheet is None)
        return next(free, TableMapping())

    def columns(self, table: str) -> dict[str, str]:
        """Return every name that the mapping knows for the columns of a table."""
        return {theirs: ours for entry in self.tables.get(table, ()) for theirs, ours in entry.columns.items()}

    def leaves_out(self, file: str, sheet: str | None) -> bool:
        """Say whether a file or sheet is left out on purpose."""
        return bool({key(file), key(Path(file).name), key(sheet or "")} & self.ignore)
