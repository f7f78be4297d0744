"""How Excel shows the cells of a workbook where that says more than their values: shares, months, hidden rows."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from bipstudy.loaders.cells import Cells, cell_text

# What stands in a cell of which nobody knows the value, as the error of a formula.
NOT_COUNTED = "#BERÄKNA!"
# Ways of showing a number that every workbook of Excel has: whole percent, percent with decimals, month and year.
KNOWN_FORMATS = {9: "0%", 10: "0.00%", 17: "mmm-yy"}
_COUNTED = re.compile(rb"<(?:\w+:)?c\b([^>/]*)>(\s*<(?:\w+:)?f\b.*?)</(?:\w+:)?c>", re.DOTALL)
_FORMULA = re.compile(rb"<(?:\w+:)?f\b[^>]*?(?:/>|>.*?</(?:\w+:)?f>)", re.DOTALL)
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]+)</")
_PLACE = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"')
_TEXT = re.compile(rb'\st="str"')
_ROW = re.compile(rb"<(?:\w+:)?row\b([^>]*)>")
_ROW_NUMBER = re.compile(rb'\sr="(\d{1,7})"')
_HIDDEN = re.compile(rb'\shidden="(?:1|true)"')
# A number with zeros before it, in a colour or not, and nothing else.
_ZEROS = re.compile(r"(?:\[\w+\])?(0{2,})")
# What is no part of a date in the way it is shown: quoted words, colours and languages, escaped and filling signs.
_WORDS = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
# A number or percentage written as text, and its decimal mark.
_DECIMAL = re.compile(r"\s*[-+−]?\d+([.,])\d+\s*%?\s*")


@dataclass(frozen=True)
class Styles:
    """Which styles of a workbook show a share as percent, and which a day as its month.

    Attributes
    ----------
    percent, month : frozenset of int
        Numbers of the styles, as cells name them.
    zeros : mapping of int to int
        Style to the digits that it shows, with zeros before a shorter number.
    recount : bool
        Whether the workbook is to be calculated when it is opened: no zero of a formula is a result then.
    """

    percent: frozenset[int] = frozenset()
    month: frozenset[int] = frozenset()
    zeros: Mapping[int, int] = field(default_factory=dict)
    recount: bool = False


@dataclass
class Looks:
    """What stands in a sheet beside its values; rows and columns from 0.

    Attributes
    ----------
    percent, month : set of (int, int)
        Cells that are shown as percent and as a month.
    zeros : dict of (int, int) to int
        Cells that are shown with so many digits at least.
    uncounted : list of (int, int)
        Formulas that no program has calculated.
    hidden : set of int
        Rows that are hidden or filtered away.
    """

    percent: set[tuple[int, int]] = field(default_factory=set)
    month: set[tuple[int, int]] = field(default_factory=set)
    zeros: dict[tuple[int, int], int] = field(default_factory=dict)
    uncounted: list[tuple[int, int]] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)

    @property
    def styled(self) -> int:
        """How many cells are shown as percent, as a month or with zeros."""
        return len(self.percent) + len(self.month) + len(self.zeros)

    def note(self, place: tuple[int, int], style: int, styles: Styles) -> None:
        """Add a cell of a style."""
        if style in styles.percent:
            self.percent.add(place)
        if style in styles.month:
            self.month.add(place)
        if style in styles.zeros:
            self.zeros[place] = styles.zeros[style]

    def add(self, piece: bytes, styles: Styles) -> None:
        """Add what a piece of the XML of a sheet says, whole cells and rows of it."""
        if b"hidden=" in piece:
            for row in _ROW.finditer(piece):
                number = _ROW_NUMBER.search(row[1])
                if number and _HIDDEN.search(row[1]):
                    self.hidden.add(int(number[1]) - 1)
        self.percent |= set(_styled(piece, styles.percent))
        self.month |= set(_styled(piece, styles.month))
        for style, digits in styles.zeros.items():
            self.zeros |= dict.fromkeys(_styled(piece, {style}), digits)
        if b"<f" in piece or b":f>" in piece or b":f " in piece:
            found = [cell for cell in _COUNTED.finditer(piece) if _is_uncounted(cell[1], cell[2], styles.recount)]
            self.uncounted += [at for cell in found if (at := _place(cell[1]))]


def _styled(piece: bytes, styles: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the row and column of the cells of some styles."""
    if styles:
        numbers = b"|".join(b"%d" % one for one in sorted(styles))
        for cell in re.finditer(rb'<(?:\w+:)?c\b([^>]*?\ss="(?:%s)"[^>]*)>' % numbers, piece):
            if at := _place(cell[1]):
                yield at


def _place(about: bytes) -> tuple[int, int] | None:
    """Return the row and column of a cell, from 0."""
    place = _PLACE.search(b" " + about)
    return (int(place[2]) - 1, _position(place[1].decode())) if place else None


def _position(letters: str) -> int:
    """Return the number of a column, from 0, from its letters."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _is_uncounted(about: bytes, content: bytes, recount: bool) -> bool:
    """Say whether a cell has a formula and no result; a formula may give an empty text, which is one."""
    value = _VALUE.search(_FORMULA.sub(b"", content))
    if value is None:
        return not _TEXT.search(about)
    return recount and value[1] == b"0"


def by_column(places: Iterable[tuple[int, int]]) -> dict[int, frozenset[int]]:
    """Return the rows of some places by their column.

    Examples
    --------
    >>> sorted(by_column([(2, 0), (3, 0)])[0])
    [2, 3]
    """
    found: dict[int, set[int]] = defaultdict(set)
    for row, column in places:
        found[column].add(row)
    return {column: frozenset(rows) for column, rows in found.items()}


def read_styles(styles: ElementTree.Element | None, workbook: ElementTree.Element | None) -> Styles:
    """Return which styles of a workbook are told apart, from its parts ``styles.xml`` and ``workbook.xml``."""
    recount = workbook is not None and any(
        _name(each) == "calcPr" and each.get("fullCalcOnLoad") in {"1", "true"} for each in workbook.iter()
    )
    if styles is None:
        return Styles(recount=recount)
    shown = dict(KNOWN_FORMATS)
    used: list[int] = []
    for part in styles:
        if _name(part) == "numFmts":
            shown |= {int(each.get("numFmtId", "-1")): each.get("formatCode", "") for each in part}
        elif _name(part) == "cellXfs":
            used = [int(each.get("numFmtId", "0")) for each in part]
    return styles_of([shown.get(each, "") for each in used], recount)


def styles_of(formats: Sequence[str], recount: bool = False) -> Styles:
    r"""Return which styles are told apart.

    Parameters
    ----------
    formats : sequence of str
        How each style shows a number, in the code of Excel.
    recount : bool
        Whether the workbook is to be calculated when it is opened.

    Returns
    -------
    Styles

    Examples
    --------
    >>> found = styles_of(["General", "0.0%", r"yyyy\-mm", "00000", r"000\-000"])
    >>> sorted(found.percent), sorted(found.month), found.zeros
    ([1], [2], {3: 5})
    """
    plain = [_WORDS.sub("", code.split(";")[0]).lower() for code in formats]
    return Styles(
        percent=frozenset(at for at, code in enumerate(plain) if "%" in code),
        month=frozenset(at for at, code in enumerate(plain) if _is_month(code)),
        zeros={at: len(found[1]) for at, code in enumerate(formats) if (found := _ZEROS.fullmatch(code.split(";")[0]))},
        recount=recount,
    )


def _is_month(code: str) -> bool:
    """Say whether a way of showing a date has year and month, and neither day nor time.

    Swedish Excel writes the year as å in some places.
    """
    return "m" in code and bool(set(code) & set("yåe")) and not set(code) & set("dhst0#")


def _name(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rsplit("}", 1)[-1]


def as_numbers(values: Sequence[object], percent: Sequence[bool]) -> Cells:
    """Return a column of numbers as a person sees it.

    A share that is shown in percent is written so. A number with decimals has the decimal mark of those that stand as
    text in the same column, since that is how the program shows it to who wrote them; else a point.

    Parameters
    ----------
    values : sequence of object
        Cells as the format gives them.
    percent : sequence of bool
        Which of them are shown in percent.

    Examples
    --------
    >>> as_numbers([0.575, 0.5], [True, False]).distinct
    ['57.5 %', '0.5']
    >>> as_numbers([0.575, 37.5, "20,5"], [True, False, False]).distinct
    ['57,5 %', '37,5', '20,5']
    >>> as_numbers([37.5, "20,5", "1.500"], [False] * 3).distinct
    ['37.5', '20,5', '1.500']
    """
    marks = {found[1] for text in values if isinstance(text, str) and (found := _DECIMAL.fullmatch(text))}
    return Cells.of(
        [
            text.replace(".", ",") if marks == {","} and not isinstance(value, str) else text
            for value, text in zip(values, map(_number, values, percent), strict=True)
        ]
    )


def _number(value: object, is_percent: bool) -> str:
    """Return a raw cell as text, a number in percent where it is shown so."""
    if is_percent and isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return f"{round(value * 100, 10):.12g} %"
    return cell_text(value)


def with_zeros(cells: Cells, digits: Sequence[int]) -> Cells:
    """Return a column of ids with the zeros that are shown before the numbers of some rows.

    Examples
    --------
    >>> with_zeros(Cells.of(["7", "7", "A7"]), [3, 0, 3]).distinct
    ['007', '7', 'A7']
    """
    texts = [cells.distinct[place] for place in cells.position]
    return Cells.of(
        [text.zfill(least) if text.isdecimal() else text for text, least in zip(texts, digits, strict=True)]
    )


def as_months(cells: Cells, rows: Sequence[bool]) -> Cells:
    """Return a column of dates of which some are shown as months, as months where each of these is a first day.

    Examples
    --------
    >>> as_months(Cells.of(["2024-03-01", "2024-04-01"]), [True, True]).distinct
    ['2024-03', '2024-04']
    >>> as_months(Cells.of(["2024-03-01", "2024-04-17", "Vet ej"]), [True, True, True]).distinct
    ['2024-03-01', '2024-04-17', 'Vet ej']
    """
    shown = {cells.distinct[place] for place, is_shown in zip(cells.position, rows, strict=True) if is_shown}
    if any(day != day.replace(day=1, hour=0, minute=0, second=0) for day in map(_moment, shown) if day is not None):
        return cells
    return _with(cells, rows, lambda text: f"{day:%Y-%m}" if (day := _moment(text)) else text)


def _with(cells: Cells, rows: Sequence[bool], written: Callable[[str], str]) -> Cells:
    """Return a column with the text of some rows written in another way."""
    texts = [cells.distinct[place] for place in cells.position]
    return Cells.of([written(text) if chosen else text for text, chosen in zip(texts, rows, strict=True)])


def _moment(text: str) -> dt.datetime | None:
    """Return the date that a text is, or None."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None
