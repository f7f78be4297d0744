"""What an output is: its kind, and what each of its columns holds. What is not described does not leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from bipstudy.texts import BipstudyError

__all__ = ["KINDS", "Output", "output"]

KINDS = (
    "frequency",
    "crosstab",
    "groups",
    "estimates",
    "curve",
    "flow",
    "facts",
    "copy",
    "text",
    "ranking",
    "internal",
)
# Kinds whose content is read as a table, and the roles that each cannot do without.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "frequency": ("labels", "counts"),
    "crosstab": ("labels", "counts"),
    "groups": ("labels", "counts"),
    "estimates": ("counts",),
    "curve": ("time", "at_risk", "estimate"),
    "flow": ("labels", "counts", "step"),
    "facts": ("labels", "numbers"),
    "copy": ("of", "copied"),
}
# Roles that the rules of a kind do not look at: a column in one of them would leave unchecked.
_PEOPLE = ("parts", "shares", "quantiles")
_COURSE = ("at_risk", "events", "time")
UNCHECKED: Mapping[str, tuple[str, ...]] = {
    "frequency": (*_PEOPLE, *_COURSE, "step", "estimate", "degrees"),
    "crosstab": (*_PEOPLE, *_COURSE, "step", "estimate", "degrees"),
    "groups": (*_COURSE, "step", "margin"),
    "estimates": (*_COURSE, "step", "margin"),
    "curve": (*_PEOPLE, "counts", "caseworkers", "largest", "step", "margin", "degrees"),
    "flow": (*_PEOPLE, *_COURSE, "caseworkers", "largest", "margin", "estimate", "degrees"),
    "facts": (*_COURSE, "step", "margin"),
    "copy": (*_COURSE, "step", "margin"),
}
_LISTS = (
    "labels", "words", "counts", "caseworkers", "largest", "numbers", "errors", "extremes", "constants", "copied",
    "optional", "within", "drop",
)  # fmt: skip
_PAIRS = ("parts", "shares", "quantiles")


@dataclass(frozen=True)
class Output:
    """What a table holds, column by column. A column without a role does not leave.

    Parameters
    ----------
    kind : str
        - ``frequency``, one row per cell of a table of counts; its totals are taken as known.
        - ``crosstab``, the same with the categories of the second variable as columns.
        - ``groups``, one row per group: people, those of them who, shares, means.
        - ``estimates``, one row per estimate of a model.
        - ``curve``, one row per point of a Kaplan-Meier or Aalen-Johansen curve.
        - ``flow``, who was left out at each step.
        - ``facts``, a name and a number on each row.
        - ``copy``, numbers that stand in another output and leave as they do there.
        - ``text``, words that a person must read; ``ranking`` of people, and what is ``internal``, never leave.
    labels : sequence of str
        Columns of words: groups, variables, names of estimates. Of a frequency table they are its dimensions.
    words : sequence of str
        Columns of words that say something of the people, such as a verdict: gone where the row is hidden.
    counts : sequence of str
        Numbers of people (or of forms, periods: each is of a person), the first the one that the row rests on.
    parts : mapping of str to str
        Numbers of people of which a count is made up, to the column of that count: events of ``n``.
    shares : mapping of str to str
        Shares of people, to the column of the count that each is a share of; ``x_low`` and ``x_high`` are ends of the
        interval of ``x``, as ``conf_low`` and ``conf_high`` are of the first share. The count ``*`` is the sum of the
        first count, where the shares say how it is made up.
    numbers : sequence of str
        Means and estimates: three significant digits.
    errors : sequence of str
        Standard errors: two significant digits.
    quantiles : mapping of str to float
        Medians and other quantiles, to their level: there must be as many as the threshold on each side. Two
        significant digits.
    extremes : sequence of str
        Minima and maxima. They are the value of one person and never leave.
    caseworkers : sequence of str
        Numbers of caseworkers behind the row.
    largest : sequence of str
        Share of the row that comes from the largest organisation.
    constants : sequence of str
        Numbers that do not come from the data: published ones, limits, horizons.
    copied : sequence of str
        Of a copy: columns whose numbers stand in the other output.
    drop : sequence of str
        Columns that stay inside, because others give more or they can be worked out.
    optional : sequence of str
        Numbers of caseworkers that may be missing without the row being hidden.
    within : sequence of str
        Of groups: labels within which the rows divide the same people. Without it all rows do.
    margin : str
        What the totals are called in the label columns of a frequency table.
    time, at_risk, estimate, events : str
        Columns of a curve; without `events` as few are assumed as the curve allows.
    step : str
        Column of a flow that says ``start``, ``left_out``, ``kept`` or another step.
    of : str
        Of a copy: the output, or several separated by spaces.
    degrees : str
        Column of residual degrees of freedom of each model.
    parameters : int, optional
        Most parameters that a model behind the estimates has, where there is no column of `degrees`; 0 without a model.
    share_by : str
        Of estimates: column that says ``share`` or ``risk`` where the row's numbers are shares of the first count.
    people : int, optional
        People that every number of the table rests on, where no column says so.
    divides : bool
        Whether the rows of groups are different people; False where they overlap.
    title : mapping of str to str
        What the output is called in each language.

    Examples
    --------
    >>> Output("groups", labels=("answer",), counts=("n",), shares={"work": "n"}).kind
    'groups'
    """

    kind: str
    labels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    quantiles: Mapping[str, float] = field(default_factory=dict)
    extremes: tuple[str, ...] = ()
    caseworkers: tuple[str, ...] = ()
    largest: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    margin: str = ""
    time: str = ""
    at_risk: str = ""
    estimate: str = ""
    events: str = ""
    step: str = ""
    of: str = ""
    degrees: str = ""
    parameters: int | None = None
    share_by: str = ""
    people: int | None = None
    divides: bool = True
    title: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        """Whether the output is read as a table."""
        return self.kind in NEEDED

    @property
    def given(self) -> tuple[str, ...]:
        """Every column that comes from people: none of them stays in a hidden row."""
        named = (self.at_risk, self.estimate, self.events, self.degrees)
        return tuple(dict.fromkeys([
            *self.counts, *self.parts, *self.shares, *self.numbers, *self.errors, *self.quantiles, *self.caseworkers,
            *self.largest, *self.copied, *self.words, *(name for name in named if name),
        ]))  # fmt: skip

    @property
    def described(self) -> tuple[str, ...]:
        """Every column that has a role."""
        plain = (*self.labels, *self.constants, *self.extremes, *self.drop, *self.within)
        named = (self.time, self.step, self.share_by)
        return tuple(dict.fromkeys([*plain, *self.given, *(name for name in named if name)]))


def output(content: Mapping[str, Any], name: str) -> Output:
    """Read the description of an output.

    Parameters
    ----------
    content : mapping
        ``kind`` and the roles, as in `Output`; a list may be a single name.
    name : str
        What the output is called in messages.

    Returns
    -------
    Output

    Raises
    ------
    BipstudyError
        A word is unknown, a role is missing or not checked for the kind, or a value is of another kind.

    Examples
    --------
    >>> output({"kind": "groups", "labels": "unit", "counts": ["n"]}, "units.csv").labels
    ('unit',)
    """
    if not isinstance(content, Mapping):
        raise BipstudyError("disclosure.no_description", name=name)
    known = {each.name for each in fields(Output)}
    unknown = sorted(str(key) for key in content if key not in known)
    if unknown:
        raise BipstudyError(
            "disclosure.unknown_role", name=name, given=", ".join(unknown), known=", ".join(sorted(known))
        )
    if content.get("kind") not in KINDS:
        raise BipstudyError("disclosure.unknown_kind", name=name, known=", ".join(KINDS))
    found = Output(**{key: value for key, value in _read(content, name)})
    missing = _missing(found)
    if missing:
        raise BipstudyError("disclosure.missing_role", name=name, kind=found.kind, roles=", ".join(missing))
    unchecked = _unchecked(found)
    if unchecked:
        raise BipstudyError("disclosure.unchecked_role", name=name, kind=found.kind, roles=", ".join(unchecked))
    return found


def _missing(found: Output) -> list[str]:
    """Return the roles that an output cannot do without and lacks."""
    missing = [role for role in NEEDED.get(found.kind, ()) if not getattr(found, role)]
    if found.kind == "estimates" and found.people is not None:
        missing = []
    elif found.kind == "estimates" and not found.degrees and found.parameters is None:
        missing.append("degrees")
    if found.share_by and not (found.estimate and found.counts):
        missing += ["estimate", "counts"]
    if (found.quantiles or "*" in found.shares.values()) and not found.counts:
        missing.append("counts")
    return missing


def _unchecked(found: Output) -> list[str]:
    """Return the roles that the rules of its kind would not look at."""
    unchecked = [role for role in UNCHECKED.get(found.kind, ()) if getattr(found, role)]
    return [*unchecked, "counts (2)"] if found.kind == "frequency" and len(found.counts) > 1 else unchecked


def _read(content: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Yield each role with its value in the form in which `Output` holds it."""
    for key, value in content.items():
        if key in _LISTS:
            value = (value,) if isinstance(value, str) else value
            right = isinstance(value, Sequence) and all(isinstance(each, str) for each in value)
            value = tuple(value) if right else value
        elif key == "title":
            value = {"sv": value, "en": value} if isinstance(value, str) else value
            right = isinstance(value, Mapping) and all(isinstance(value.get(each), str) for each in ("sv", "en"))
        elif key == "quantiles":
            right = isinstance(value, Mapping) and all(_level(each) for each in value.values())
        elif key in _PAIRS:
            right = isinstance(value, Mapping) and all(isinstance(each, str) for each in (*value, *value.values()))
        elif key in ("people", "parameters"):
            right = value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
        elif key == "divides":
            right = isinstance(value, bool)
        else:
            right = isinstance(value, str)
        if not right:
            raise BipstudyError("disclosure.bad_role", name=name, role=key)
        yield key, value


def _level(value: Any) -> bool:
    """Say whether a value is the level of a quantile."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1
