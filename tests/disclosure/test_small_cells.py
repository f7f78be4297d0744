"""Cells that rest on too few people are found by each road that leads to a small count, and no others."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bipstudy.disclosure import REASONS, small_cells
from bipstudy.texts import BipstudyError


def found(frame, **options):
    """Return the findings as tuples."""
    return [tuple(row) for row in small_cells(pd.DataFrame(frame), **options).itertuples(index=False)]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"n": [9, 10]}, [(1, "n", "count")]),
        ({"participants": [0, 12]}, [(1, "participants", "nobody")]),
        ({"n": [30, 30], "events": [21, 20]}, [(1, "events", "rest")]),
        ({"n": [30], "events": [30]}, [(1, "events", "everybody")]),
        ({"n": [100, 100, 100], "share": [0.09, 0.10, 0.91]}, [(1, "share", "share"), (3, "share", "share")]),
        ({"n": [100], "share": [np.nan]}, []),
        # A share without the number of people beside it gives nothing away, nor does a difference.
        ({"share": [0.01]}, []),
        (
            {"n": [100, 100], "estimate": [0.05, 0.05], "scale": ["share", "risk_difference"]},
            [(1, "estimate", "share")],
        ),
        ({"n": [200], "answer": [3], "p_value": [0.01]}, []),
        ({"n": ["200", None], "value": ["a", "b"]}, []),
    ],
)
def test_what_is_small(frame, expected):
    assert found(frame) == expected


def test_each_curve_is_looked_at_by_itself():
    frame = {"cause": ["work"] * 3 + ["study"] * 3, "at_risk": [100, 95, 80, 100, 85, 85]}
    assert found(frame, curve=["cause"]) == [(2, "at_risk", "step")]
    assert found(frame) == []


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=20), st.integers(3, 20))
def test_what_is_not_listed_can_be_worked_out_to_nothing_small(pairs, threshold):
    n = [max(pair) for pair in pairs]
    events = [min(pair) for pair in pairs]
    share = [part / total if total else np.nan for part, total in zip(events, n, strict=True)]
    listed = {row for row, *_ in found({"n": n, "events": events, "share": share}, threshold=threshold)}
    for row, (total, part) in enumerate(zip(n, events, strict=True), 1):
        # Whoever holds the row can work out these three and no other count; zero says something of everybody.
        safe = all(count >= threshold for count in (total, part, total - part))
        assert (row not in listed) == safe


def test_the_order_of_rows_changes_only_their_numbers():
    frame = pd.DataFrame({"n": [5, 50, 12], "events": [1, 45, 12]})
    straight, turned = small_cells(frame), small_cells(frame[::-1])
    assert sorted(zip(straight["row"], straight["column"], straight["reason"], strict=True)) == sorted(
        zip(4 - turned["row"], turned["column"], turned["reason"], strict=True)
    )
    assert set(straight["reason"]) <= set(REASONS)


def test_no_threshold_under_three():
    with pytest.raises(BipstudyError, match="3"):
        small_cells(pd.DataFrame({"n": [1]}), threshold=2)
