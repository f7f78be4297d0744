"""Formulas: cut into their parts, read once, and searched for the columns that they name.

Formulas are read by formulaic. Parts after ``|`` (absorbed effects, instruments) are split off first, because
formulaic gives ``|`` another meaning.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from bipstudy.models.covariance import ModelError

__all__ = ["FormulaParts", "names_in", "parsed", "split_formula"]


@dataclass(frozen=True)
class FormulaParts:
    """A formula cut at ``~`` and ``|``.

    Attributes
    ----------
    response : str
        Empty if the formula has no left side.
    terms : str
        Right side, for formulaic.
    absorbed : tuple of str
        Columns (or ``a:b`` for their pairs) whose effects are absorbed.
    endogenous, instruments : str
        Left and right side of a last part with its own ``~``; empty if there is none.
    """

    response: str
    terms: str
    absorbed: tuple[str, ...] = ()
    endogenous: str = ""
    instruments: str = ""


def split_formula(formula: str) -> FormulaParts:
    """Cut ``"y ~ x | a + b | d ~ z"`` into its parts.

    Parameters
    ----------
    formula : str
        ``[response ~] terms [| absorbed] [| endogenous ~ instruments]``. A ``|`` inside brackets does not cut.

    Returns
    -------
    FormulaParts

    Raises
    ------
    ModelError
        If the formula is empty or has parts too many.

    Examples
    --------
    >>> split_formula("y ~ x1 | person + quarter").absorbed
    ('person', 'quarter')
    >>> parts = split_formula("y ~ x1 | belief ~ optimism")
    >>> parts.absorbed, parts.endogenous, parts.instruments
    ((), 'belief', 'optimism')
    """
    parts = [part.strip() for part in _cut(formula, "|")]
    sides = [side.strip() for side in _cut(parts[0], "~")]
    if len(sides) > 2 or not sides[-1]:
        raise ModelError(f"a formula reads 'response ~ terms', got {formula!r}")
    response, terms = ("", sides[0]) if len(sides) == 1 else (sides[0], sides[1])
    absorbed: tuple[str, ...] = ()
    endogenous = instruments = ""
    for position, part in enumerate(parts[1:]):
        inner = [side.strip() for side in _cut(part, "~")]
        if len(inner) == 2 and position == len(parts) - 2:
            endogenous, instruments = inner
        elif len(inner) == 1 and position == 0 and part:
            absorbed = tuple(name.strip() for name in part.split("+") if name.strip() not in ("", "0", "1"))
        else:
            raise ModelError(f"after | come absorbed columns, then 'endogenous ~ instruments'; got {formula!r}")
    return FormulaParts(response, terms, absorbed, endogenous, instruments)


def _cut(text: str, mark: str) -> list[str]:
    """Split `text` at `mark` outside brackets and backticks."""
    pieces, depth, quoted, start = [], 0, False, 0
    for place, sign in enumerate(text):
        if sign == "`":
            quoted = not quoted
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == mark and depth == 0 and not quoted:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]


@lru_cache(maxsize=256)
def parsed(text: str) -> Any:
    """Read a formula once: that takes longer than a small fit, and replicates read the same one."""
    from formulaic import Formula

    return Formula(text)


def names_in(side: Any, frame: pd.DataFrame) -> list[str]:
    """Columns that one side of a formula reads, sorted."""
    if side == "":
        return []
    formula = parsed(side) if isinstance(side, str) else side
    found = {str(name) for name in formula.required_variables}
    # formulaic does not look into its own transforms, such as splines.
    for term in formula:
        for factor in term.factors:
            if "(" in factor.expr:
                tree = ast.walk(ast.parse(factor.expr.replace("`", ""), mode="eval"))
                found |= {node.id for node in tree if isinstance(node, ast.Name)} & set(frame.columns)
    return sorted(found)
