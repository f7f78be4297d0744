"""What was found in one output: which rows are hidden and why, and what the output looks like when it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.disclosure.outputs import Output
from bipstudy.disclosure.rounding import rounded_counts, rounded_shares, significant
from bipstudy.disclosure.rules import Rules

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

__all__ = ["SHARE_SCALES", "Found", "Named", "counted", "end_of", "given_out", "numbers", "spread"]

# A count as it is known again elsewhere: by its categories, whatever their columns are called, and its number.
Named = tuple[frozenset[str], float]
# Words in the column `share_by` for rows whose numbers are shares of the people.
SHARE_SCALES = ("share", "risk")
_NUMBER, _ERROR, _QUANTILE = 3, 2, 2


@dataclass(frozen=True)
class Found:
    """What the rules say of one table.

    Attributes
    ----------
    frame : DataFrame
        One row per cell, group, estimate or point; cells that were left out since nobody is in them are added.
    cells : DataFrame of bool
        Same rows, a column for each that comes from people: whether it is hidden.
    why : mapping of str to array of bool of shape (rows,)
        Rows by reason.
    refused : str
        Why nothing of it leaves; empty if something does.
    hidden : frozenset
        Counts that are hidden, totals among them: the categories of each, and the count.
    """

    frame: pd.DataFrame
    cells: pd.DataFrame
    why: Mapping[str, BoolArray] = field(default_factory=dict)
    refused: str = ""
    hidden: frozenset[Named] = frozenset()

    @property
    def rows(self) -> BoolArray:
        """Rows of which everything that comes from people is hidden; shape (rows,)."""
        return np.asarray(self.cells.to_numpy(dtype=bool).all(axis=1), dtype=bool)


def numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    """Return a column as numbers, NaN where there is none; shape (rows,)."""
    values = pd.to_numeric(frame[column], errors="coerce")
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def end_of(column: str, output: Output) -> str:
    """Return which end of an interval a column is, empty if none: a share of low incomes may be called income_low."""
    of, _, end = column.rpartition("_")
    if end not in ("low", "high"):
        return ""
    middle = {
        name for name in (*output.shares, *output.numbers, output.estimate) if not name.endswith(("_low", "_high"))
    }
    return end if of in middle or (of in ("conf", "ci") and middle - {""}) else ""


def spread(frame: pd.DataFrame, output: Output, rows: BoolArray) -> pd.DataFrame:
    """Return which cells are hidden if whole rows are."""
    return pd.DataFrame({column: rows for column in output.given}, index=frame.index)


def counted(frame: pd.DataFrame, output: Output, column: str) -> FloatArray:
    """Return the people that a share is a share of; shape (rows,)."""
    of = output.shares[column]
    if of != "*":
        return numbers(frame, of)
    values = pd.Series(numbers(frame, output.counts[0]))
    if not output.within:
        return np.full(len(frame), values.sum())
    keys = [frame[name].astype(str).to_numpy() for name in output.within]
    return np.asarray(values.groupby(keys).transform("sum").to_numpy(), dtype=np.float64)


def given_out(found: Found, output: Output, rules: Rules, copied: Mapping[float, float]) -> pd.DataFrame:
    """Return a table as it leaves: rounded, hidden cells missing, columns that stay inside gone.

    Parameters
    ----------
    found : Found
    output : Output
    rules : Rules
    copied : mapping of float to float
        What each number of the outputs that this one repeats left as.

    Returns
    -------
    DataFrame
    """
    frame, columns = found.frame, {}
    for column in frame.columns:
        if column not in output.described or column in (*output.drop, *output.extremes):
            continue
        if column not in output.given:
            columns[column] = frame[column].to_numpy()
            continue
        gone = found.cells[column].to_numpy(dtype=bool)
        if column in output.words:
            columns[column] = frame[column].astype(object).where(~gone, None).to_numpy()
            continue
        values = _rounded(frame, output, str(column), rules, copied)
        values = np.where(gone, np.nan, values)
        whole = bool(np.all(np.isnan(values) | (values == np.floor(values)))) and _is_count(output, str(column))
        columns[column] = pd.array(values, dtype="Float64").astype("Int64") if whole else values
    return pd.DataFrame(columns)


def _is_count(output: Output, column: str) -> bool:
    """Say whether a column holds numbers of people."""
    return column in (*output.counts, *output.parts, *output.caseworkers, output.at_risk, output.events)


def _rounded(
    frame: pd.DataFrame, output: Output, column: str, rules: Rules, copied: Mapping[float, float]
) -> FloatArray:
    """Return one column rounded by its role; shape (rows,)."""
    values = numbers(frame, column)
    if _is_count(output, column):
        return rounded_counts(values, rules.base)
    if column in output.shares:
        return rounded_shares(values, counted(frame, output, column), rules.base, end_of(column, output))
    if column in output.copied:
        return np.array([copied.get(float(value), np.nan) for value in values])
    if column in output.errors or column in output.quantiles:
        return significant(values, _ERROR if column in output.errors else _QUANTILE)
    if output.kind == "curve" and (column == output.estimate or end_of(column, output)):
        return rounded_shares(values, numbers(frame, output.at_risk), rules.base, end_of(column, output))
    near = significant(values, _NUMBER)
    if output.kind == "facts":
        return np.where(_whole(values), rounded_counts(values, rules.base), near)
    if output.share_by and (column == output.estimate or end_of(column, output)):
        of_people = frame[output.share_by].astype(str).isin(SHARE_SCALES).to_numpy(dtype=bool)
        shares = rounded_shares(values, numbers(frame, output.counts[0]), rules.base, end_of(column, output))
        return np.where(of_people, shares, near)
    return near


def _whole(values: FloatArray) -> BoolArray:
    """Say where a number is whole, as counts are; shape (rows,)."""
    return np.asarray(values == np.floor(values), dtype=bool)
