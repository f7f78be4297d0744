"""Checks what is to leave: one table, or many that are read beside each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.disclosure.curves import curve
from bipstudy.disclosure.flows import flow
from bipstudy.disclosure.found import BoolArray, Found, Named, given_out, numbers, spread
from bipstudy.disclosure.frequencies import frequency, long_form, wide_form
from bipstudy.disclosure.linked import changed_little, differing, hidden_counts, repeated, same_counts, telling
from bipstudy.disclosure.outputs import Output, output
from bipstudy.disclosure.rows import estimates, facts, groups
from bipstudy.disclosure.rules import Rules
from bipstudy.texts import BipstudyError, default_language, text

__all__ = ["CHANGED", "FAIL", "INTERNAL", "PASS", "REVIEW", "Checked", "check", "check_all", "has_identity"]

PASS, CHANGED, REVIEW, FAIL, INTERNAL = "pass", "changed", "review", "fail", "internal"
_FINDERS: Mapping[str, Callable[[pd.DataFrame, Output, Rules, BoolArray], Found]] = {
    "groups": groups, "estimates": estimates, "curve": curve, "flow": flow, "facts": facts, "copy": estimates,
}  # fmt: skip
# Ten or twelve digits as in a Swedish identity number, wherever they stand in words.
_IDENTITY = re.compile(r"(?<![0-9a-z])(?:\d{2})?\d{6}[-+ \u00a0\u2010-\u2015\u2212]?\d{4}(?![0-9a-z])", re.IGNORECASE)

_NUMBER = re.compile(r"[-+]?\d*\.\d+(?:e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Checked:
    """An output with what the rules say of it.

    Attributes
    ----------
    name : str
    output : Output
    status : {"pass", "changed", "review", "fail", "internal"}
        Leaves whole, every count rounded; leaves without some cells or columns; must be read by a person first; stays;
        was never meant to leave.
    frame : DataFrame or None
        The table as it leaves; None where it stays. Hidden cells are missing.
    suppressed : int
        Cells that held a number and leave without it.
    left_out : tuple of str
        Columns that stay inside.
    reasons : mapping of str to int
        Rows by reason.
    refused : str
        Why nothing leaves; empty if something does.
    hidden : DataFrame of bool or None
        Which cells of `frame` were hidden.
    """

    name: str
    output: Output
    status: str
    frame: pd.DataFrame | None = None
    suppressed: int = 0
    left_out: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    refused: str = ""
    hidden: pd.DataFrame | None = None

    @property
    def leaves(self) -> bool:
        """Whether something of the output leaves without a person's word."""
        return self.status in (PASS, CHANGED)

    def explain(self, language: str | None = None) -> str:
        """Return in words what happened to the output.

        Parameters
        ----------
        language : {"sv", "en"}, optional

        Returns
        -------
        str
        """
        chosen = language or default_language()
        parts = [text(f"disclosure.status_{self.status}", chosen)]
        if self.suppressed and not self.refused:
            parts.append(text("disclosure.cells_hidden", chosen, count=self.suppressed))
        return " ".join([*parts, self.why(chosen)]).strip()

    def why(self, language: str) -> str:
        """Return in words by which rules; empty where none took anything away.

        Parameters
        ----------
        language : {"sv", "en"}

        Returns
        -------
        str
        """
        parts = [text(f"disclosure.refused_{self.refused}", language)] if self.refused else []
        parts += [
            text(f"disclosure.reason_{reason}", language, rows=rows) for reason, rows in sorted(self.reasons.items())
        ]
        if self.left_out:
            parts.append(text("disclosure.columns_left_out", language, columns=", ".join(self.left_out)))
        return " ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return what the rules say as plain values; nothing that is hidden is among them."""
        return {
            "id": self.name,
            "kind": self.output.kind,
            "status": self.status,
            "suppressed": self.suppressed,
            "columns_left_out": list(self.left_out),
            "rows_by_reason": dict(sorted(self.reasons.items())),
            "held_back_because": self.refused or None,
        }


def check(
    frame: pd.DataFrame,
    kind: str,
    *,
    rules: Rules | None = None,
    threshold: int | None = None,
    owner: str = "",
    name: str = "table",
    **roles: Any,
) -> Checked:
    """Check one table, and return it as it may leave.

    Parameters
    ----------
    frame : DataFrame
        One row per cell, group, estimate or point.
    kind : str
        See `Output`.
    rules : Rules, optional
        The usual rules if left out.
    threshold : int, optional
        In place of that of the rules: 10, less only by decision of the owner of the data, never under 3.
    owner : str
        Who decided on a threshold under 10, and when.
    name : str
        What the table is called in the record.
    **roles
        What each column holds, see `Output`; a column that none names does not leave.

    Returns
    -------
    Checked
        ``.status``, ``.frame`` as it leaves, ``.explain()``.

    Raises
    ------
    BipstudyError
        The description is wrong, or names a column that the table does not have.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"answer": ["no", "maybe", "yes"], "n": [212, 63, 4]})
    >>> checked = check(table, "frequency", labels=["answer"], counts=["n"])
    >>> checked.status, checked.frame["n"].tolist()
    ('changed', [210, <NA>, <NA>])
    """
    chosen = rules or Rules()
    if threshold is not None:
        chosen = replace(chosen, threshold=threshold, owner=owner or chosen.owner)
    one = output({"kind": kind, **roles}, name)
    if one.kind == "copy":
        raise BipstudyError("disclosure.copy_alone", name=name)
    return check_all({name: (frame, one)}, chosen)[name]


def check_all(
    tables: Mapping[str, tuple[pd.DataFrame, Output]],
    rules: Rules | None = None,
    *,
    earlier: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, Checked]:
    """Check tables that leave together: a number that is hidden in one is hidden in each, and small differences too.

    Parameters
    ----------
    tables : mapping of str to (DataFrame, Output)
        By name.
    rules : Rules, optional
    earlier : mapping of str to DataFrame, optional
        The same tables as they were when results left before, exact: rows that have changed by fewer people than the
        threshold are hidden, since the difference would be those people.

    Returns
    -------
    dict of str to Checked
        In the same order.

    Raises
    ------
    BipstudyError
        A description names a column that its table does not have.

    Examples
    --------
    >>> import pandas as pd
    >>> units = pd.DataFrame({"unit": ["A", "B"], "n": [60, 40]})
    >>> later = pd.DataFrame({"unit": ["A", "B"], "n": [60, 38]})
    >>> described = Output("frequency", labels=("unit",), counts=("n",))
    >>> found = check_all({"first": (units, described), "later": (later, described)})
    >>> found["first"].status, found["later"].status
    ('pass', 'fail')
    """
    chosen = rules or Rules()
    for name, (frame, one) in tables.items():
        _needs(frame, one, name)
    outputs = {name: one for name, (_, one) in tables.items()}
    plain, long = {}, {}
    for name, (frame, one) in tables.items():
        plain[name] = frame.reset_index(drop=True)
        long[name] = long_form(plain[name], one) if one.kind == "crosstab" else (plain[name], one)
    before = {
        name: long_form(frame, outputs[name])[0] if outputs[name].kind == "crosstab" else frame
        for name, frame in (earlier or {}).items()
        if name in outputs
    }
    found = _linked(long, chosen, before)
    ready: dict[str, Checked] = {}
    copied: dict[str, dict[float, float]] = {}
    # What others copy from comes first.
    for name in sorted(tables, key=lambda each: outputs[each].kind == "copy"):
        map_ = _leaving(outputs[name].of, copied)
        if outputs[name].kind == "copy":
            found[name] = _without_source(found[name], outputs[name], map_)
        ready[name] = _checked(name, plain[name], outputs[name], long[name][1], found[name], chosen, map_)
        copied[name] = _left_as(found[name], long[name][1], chosen)
    return {name: ready[name] for name in tables}


def _needs(frame: pd.DataFrame, one: Output, name: str) -> None:
    """Refuse a table that lacks a column of its description."""
    if not one.is_table:
        raise BipstudyError("disclosure.no_table", name=name, kind=one.kind)
    of = {*one.parts.values(), *one.shares.values()} - {"*"}
    missing = sorted(column for column in {*one.described, *of} if column not in frame.columns)
    if missing:
        known = ", ".join(map(str, frame.columns))
        raise BipstudyError("disclosure.no_column", name=name, columns=", ".join(missing), known=known)


def _linked(
    tables: Mapping[str, tuple[pd.DataFrame, Output]], rules: Rules, before: Mapping[str, pd.DataFrame]
) -> dict[str, Found]:
    """Return what was found in each table, beside the others: until no more needs to be hidden."""
    outputs = {name: one for name, (_, one) in tables.items()}
    extra = {name: np.zeros(len(frame), dtype=bool) for name, (frame, _) in tables.items()}
    for name, frame in before.items():
        extra[name] = changed_little(tables[name][0], frame, tables[name][1], rules)
    secret: frozenset[Named] = frozenset()
    found = {name: _find(frame, one, rules, extra[name], secret) for name, (frame, one) in tables.items()}
    while True:
        more = hidden_counts(found, outputs)
        rows = [repeated(found, outputs), differing(found, outputs, rules), same_counts(found, outputs, more)]
        fresh = {name for name, one in outputs.items() if one.kind == "frequency" and not more <= secret}
        secret |= more
        for name, (frame, _) in tables.items():
            wanted = np.logical_or.reduce([each[name][: len(frame)] for each in rows])
            if (wanted & ~extra[name]).any():
                extra[name] = extra[name] | wanted
                fresh.add(name)
        if not fresh:
            return found
        for name in fresh:
            found[name] = _find(*tables[name], rules, extra[name], secret)


def _find(frame: pd.DataFrame, one: Output, rules: Rules, extra: BoolArray, secret: frozenset[Named]) -> Found:
    """Return what was found in one table."""
    if not frame.columns.is_unique:
        return Found(frame, spread(frame.iloc[:, :0], one, np.ones(len(frame), dtype=bool)), {}, "repeated_columns")
    if not len(frame):
        return Found(frame, spread(frame, one, np.ones(0, dtype=bool)), {}, "no_rows")
    if _names_people(frame, one):
        return Found(frame, spread(frame, one, np.ones(len(frame), dtype=bool)), {}, "identity")
    if one.kind == "frequency":
        return frequency(frame, one, rules, extra, secret)
    return _FINDERS[one.kind](frame, one, rules, extra)


def has_identity(words: str) -> bool:
    """Say whether words hold what looks like a Swedish identity number.

    Parameters
    ----------
    words : str

    Returns
    -------
    bool

    Examples
    --------
    >>> has_identity("Unit 701063-2391"), has_identity("2026-11-22, 5512 people")
    (True, False)
    """
    return _IDENTITY.search(words) is not None


def _words(one: Output) -> list[str]:
    """Return the columns that leave as they are, or not at all."""
    named = (*one.labels, *one.within, *one.constants, *one.words, one.step, one.share_by)
    return [column for column in dict.fromkeys(named) if column]


def _names_people(frame: pd.DataFrame, one: Output) -> bool:
    """Say whether words of a table hold what looks like an identity number."""
    columns = [column for column in _words(one) if column in frame]
    return any(has_identity(str(value)) for column in columns for value in frame[column].unique())


def _leaving(of: str, copied: Mapping[str, Mapping[float, float]]) -> dict[float, float]:
    """Return what each number of some outputs left as."""
    joined: dict[float, float] = {}
    for name in reversed(of.split()):
        joined |= copied.get(name, {})
    return joined


def _without_source(found: Found, one: Output, known: Mapping[float, float]) -> Found:
    """Hide the cells of a copy that stand in no output that leaves, and what stands beside nothing else."""
    cells = found.cells.copy()
    alone = np.zeros(len(found.frame), dtype=bool)
    for column in one.copied:
        values = numbers(found.frame, column)
        lost = ~np.isnan(values) & np.array([value not in known for value in values.tolist()], dtype=bool)
        cells[column] = cells[column].to_numpy(dtype=bool) | lost
        alone |= lost & ~found.rows
    known_rows = ~cells[[*one.copied]].to_numpy(dtype=bool) & found.frame[[*one.copied]].notna().to_numpy(dtype=bool)
    # What stands beside a copied number rests on the same people, and leaves with it or not at all.
    for column in (*one.numbers, *one.errors):
        lost = ~known_rows.any(axis=1) & ~cells[column].to_numpy(dtype=bool)
        cells[column] = cells[column].to_numpy(dtype=bool) | lost
        alone |= lost & found.frame[column].notna().to_numpy(dtype=bool)
    for column in one.words:
        cells[column] = cells[column].to_numpy(dtype=bool) | alone
    why = {**found.why, "source": alone} if alone.any() else found.why
    empty = len(cells) > 0 and bool(cells.to_numpy(dtype=bool).all())
    return replace(found, cells=cells, why=why, refused=found.refused or ("nothing_left" if empty else ""))


def _left_as(found: Found, one: Output, rules: Rules) -> dict[float, float]:
    """Return what each estimate of a table left as."""
    if found.refused:
        return {}
    out = given_out(found, one, rules, {})
    left: dict[float, float] = {}
    for column in (*one.numbers, *one.errors, *one.shares, one.estimate):
        if column and column in out:
            for exact, shown in zip(numbers(found.frame, column).tolist(), out[column].tolist(), strict=True):
                if shown == shown:
                    left.setdefault(exact, float(shown))
    return left


def _checked(
    name: str, plain: pd.DataFrame, one: Output, long: Output, found: Found, rules: Rules, copied: Mapping[float, float]
) -> Checked:
    """Return an output as it leaves, with the account of it."""
    reasons = {reason: int(rows.sum()) for reason, rows in found.why.items() if rows.any()}
    if found.refused:
        return Checked(name, one, FAIL, reasons=reasons, refused=found.refused)
    unknown = _exact_words(found, long)
    frame = given_out(found, long, rules, copied).drop(columns=unknown)
    there = {column: found.frame[column].notna().to_numpy(dtype=bool) for column in long.given}
    new = np.arange(len(found.frame)) >= (len(plain) if one.kind != "crosstab" else len(found.frame))
    hidden = pd.DataFrame({
        column: found.cells[column].to_numpy(dtype=bool) & (filled | new) for column, filled in there.items()
    })  # fmt: skip
    held = int(hidden[[column for column in hidden if column in frame]].to_numpy(dtype=bool).sum())
    # In a hidden row a number that was not there is hidden too: that it was not estimated says that nobody had it.
    hidden[found.rows] = True
    left_out = tuple(str(column) for column in plain.columns if column not in one.described or column in unknown
                     or column in (*one.drop, *one.extremes))  # fmt: skip
    if one.kind == "crosstab":
        flags = pd.concat([found.frame[[*long.labels]], hidden.rename(columns=str)], axis=1)
        frame, hidden = wide_form(frame, one), wide_form(flags, one)[[*one.counts]].astype(bool)
    if one.kind == "curve" and not _even(found, one):
        # A point at which somebody had the event says when, although its number is hidden.
        kept = ~found.rows
        frame, hidden = frame[kept].reset_index(drop=True), hidden[kept].reset_index(drop=True)
    status = CHANGED if held or left_out else PASS
    hidden = hidden[[each for each in hidden if each in frame]]
    return Checked(name, one, status, frame, held, left_out, reasons, "", hidden)


def _even(found: Found, one: Output) -> bool:
    """Say whether the points of curves lie at even steps, chosen beforehand and not by when somebody had the event."""
    steps = np.diff(np.unique(numbers(found.frame, one.time)))
    return bool(np.allclose(steps, steps[:1], rtol=0, atol=1e-9)) if len(steps) else True


def _exact_words(found: Found, one: Output) -> list[str]:
    """Return the columns said to hold words or fixed numbers that hold numbers with as many digits as computed ones."""
    columns = [column for column in _words(one) if column in found.frame]
    return [column for column in columns if any(_computed(value) for value in found.frame[column])]


def _computed(value: object) -> bool:
    """Say whether a value is a number that somebody has computed, not chosen."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value.strip()) else None
    return isinstance(value, (float, np.floating)) and telling(float(value))
