"""No hidden cell can be worked out: linear programming, which the code never uses, says what a reader can know."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from bipstudy.disclosure import Output, Rules, check, check_all

TOTAL = "all"


def long(cells, margins=True):
    """Return a table of counts as a frame, one row per cell, with or without its totals."""
    cells = np.asarray(cells)
    names = [f"v{axis}" for axis in range(cells.ndim)]
    rows = []
    choices = [[*range(size), None] if margins else [*range(size)] for size in cells.shape]
    for at in itertools.product(*choices):
        chosen = tuple(slice(None) if place is None else place for place in at)
        rows.append([TOTAL if place is None else f"c{place}" for place in at] + [int(cells[chosen].sum())])
    return pd.DataFrame(rows, columns=[*names, "n"])


def bounds(cells, shown):
    """Return the least and the most that each cell and each total may be, for a reader of exact numbers.

    `shown` maps a cell, or a total with None in the places it sums over, to its count. The unknowns are the inner
    cells, none of them negative.
    """
    cells = np.asarray(cells)
    inner = list(np.ndindex(cells.shape))

    def sums(at):
        return np.array(
            [all(mine is None or mine == own for mine, own in zip(at, cell, strict=True)) for cell in inner]
        )

    known = [(sums(at).astype(float), count) for at, count in shown.items()]
    left = np.array([row for row, _ in known])
    right = np.array([count for _, count in known], dtype=float)

    def ends(at):
        aim = sums(at).astype(float)
        found = [linprog(sign * aim, A_eq=left, b_eq=right, bounds=(0, None), method="highs") for sign in (1.0, -1.0)]
        assert all(one.status == 0 for one in found)
        return found[0].fun, -found[1].fun

    return ends


def read(checked, cells, frame):
    """Return which places of a table are hidden in what leaves, and what the others were before rounding."""
    truth = frame.set_index([name for name in frame if name != "n"])["n"]
    hidden, shown = [], {}
    for *labels, count in checked.frame.itertuples(index=False):
        at = tuple(None if label == TOTAL else int(label[1:]) for label in labels)
        if pd.isna(count):
            hidden.append(at)
        else:
            shown[at] = int(truth[tuple(labels) if len(labels) > 1 else labels[0]])
    assert len(hidden) + len(shown) == len(frame)
    return hidden, shown


def tables(*most):
    """Return tables whose cells are often small or empty."""
    count = st.one_of(st.integers(0, 12), st.integers(0, 12), st.integers(10, 200))
    shapes = st.tuples(*(st.integers(2, size) for size in most))
    return shapes.flatmap(
        lambda shape: st.lists(count, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(
            lambda values: np.array(values).reshape(shape)
        )
    )


@st.composite
def small_totals(draw):
    """Return tables of large counts in which one row, and perhaps one column, has few people in all."""
    rows, columns = draw(st.integers(3, 5)), draw(st.integers(3, 5))
    cells = np.array(draw(st.lists(st.integers(15, 99), min_size=rows * columns, max_size=rows * columns)))
    cells = cells.reshape(rows, columns)
    cells[draw(st.integers(0, rows - 1))] = draw(st.lists(st.integers(0, 2), min_size=columns, max_size=columns))
    if draw(st.booleans()):
        cells[:, draw(st.integers(0, columns - 1))] = draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows))
    return cells


@settings(max_examples=35)
@given(st.one_of(tables(7), tables(5, 5), tables(3, 3, 3), small_totals()), st.sampled_from([3, 5, 10]))
def test_for_all_a_reader_can_tell_a_small_cell_is_larger_by_the_threshold(cells, threshold):
    frame = long(cells)
    rules = Rules(threshold=threshold, owner="the owner, 2026-01-01")
    checked = check(frame, "frequency", rules=rules, labels=list(frame.columns[:-1]), counts=["n"], margin=TOTAL)
    assume(checked.frame is not None)
    hidden, shown = read(checked, cells, frame)
    assert all(count >= threshold for count in shown.values())
    ends = bounds(cells, shown)
    for at in hidden:
        true = int(cells[tuple(slice(None) if place is None else place for place in at)].sum())
        least, most = ends(at)
        assert least - 1e-6 <= true <= most + 1e-6
        assert most - least >= threshold - 1e-6
        if true < threshold:
            assert most >= true + threshold - 1e-6


@settings(max_examples=25)
@given(tables(5, 5))
# One large cell beside the small one in each line is not enough: ten more in one must be ten less in the other.
@example(np.array([[4, 60, 11], [70, 12, 80], [11, 90, 3]]))
def test_groups_by_two_labels_hide_as_the_cells_of_a_table_do(cells):
    assume(min(cells.sum(axis=0).min(), cells.sum(axis=1).min()) >= 10)
    checked = check(long(cells, margins=False), "groups", labels=["v0", "v1"], counts=["n"])
    assume(checked.frame is not None)
    hidden = checked.frame["n"].isna().to_numpy().reshape(cells.shape)
    shown = {at: int(cells[at]) for at in np.ndindex(cells.shape) if not hidden[at]}
    shown |= {(row, None): int(total) for row, total in enumerate(cells.sum(axis=1))}
    shown |= {(None, column): int(total) for column, total in enumerate(cells.sum(axis=0))}
    ends = bounds(cells, shown)
    for at in zip(*np.nonzero(cells < 10), strict=True):
        assert hidden[at]
        assert ends(at)[1] >= cells[at] + 10 - 1e-6


def at_total(axis, place):
    """Return the place of a total of a table of two dimensions."""
    return (place, None) if axis == 0 else (None, place)


@settings(max_examples=20)
@given(small_totals())
# By itself the table would hide the first row beside the third, and the totals the first beside the second.
@example(np.array([[1, 1, 1], [34, 33, 33], [85, 10, 10], [90, 90, 90]]))
def test_a_total_that_another_table_shows_gives_no_cell_away(cells):
    frame = long(cells, margins=False)
    frame = frame.assign(v0="row " + frame["v0"], v1="column " + frame["v1"])
    named = {"inner": (frame, Output("frequency", labels=("v0", "v1"), counts=("n",)))}
    totals = {axis: cells.sum(axis=1 - axis) for axis in (0, 1)}
    for axis, word in enumerate(("row", "column")):
        table = pd.DataFrame({"v": [f"{word} c{place}" for place in range(len(totals[axis]))], "n": totals[axis]})
        named[word] = (table, Output("frequency", labels=("v",), counts=("n",)))
    found = check_all(named)
    assume(all(one.frame is not None for one in found.values()))
    inner = dict(zip(np.ndindex(cells.shape), found["inner"].frame["n"].isna(), strict=True))
    shown = {at: int(cells[at]) for at, hidden in inner.items() if not hidden}
    shown[None, None] = int(cells.sum())
    for axis, word in enumerate(("row", "column")):
        for place, hidden in enumerate(found[word].frame["n"].isna()):
            shown |= {} if hidden else {at_total(axis, place): int(totals[axis][place])}
    ends = bounds(cells, shown)
    few = {at: cells[at] for at in inner if cells[at] < 10}
    few |= {at_total(axis, place): total for axis in (0, 1) for place, total in enumerate(totals[axis]) if total < 10}
    assert few
    assert all(ends(at)[1] >= count + 10 - 1e-6 for at, count in few.items())


def test_a_total_that_is_hidden_elsewhere_is_no_sum_of_cells_that_are_shown():
    cells = np.array([[40, 60], [50, 70], [80, 90]])
    frame = long(cells, margins=False)
    totals = pd.DataFrame({"v0": ["c0", "c1", "c2"], "n": cells.sum(axis=1)})
    tables_ = {
        "cells": (frame, Output("frequency", labels=("v0", "v1"), counts=("n",))),
        "totals": (totals, Output("frequency", labels=("v0",), counts=("n",))),
    }
    # One person has come to the first row since the totals left last.
    found = check_all(tables_, earlier={"totals": totals.assign(n=totals["n"] - [1, 0, 0])})
    hidden = found["totals"].frame["n"].isna().to_numpy()
    assert hidden[0]
    shown = found["cells"].frame["n"].notna().to_numpy().reshape(cells.shape)
    assert not shown.all(axis=1)[hidden].any()


def test_a_known_table_hides_the_cheapest_cells():
    cells = [[3, 40, 90], [30, 50, 80], [60, 70, 20]]
    frame = long(cells)
    checked = check(frame, "frequency", labels=["v0", "v1"], counts=["n"], margin=TOTAL)
    hidden, _ = read(checked, cells, frame)
    # One further cell in the row, one in the column, one at the crossing; of the four choices that with fewest people.
    assert sorted(hidden) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert checked.status == "changed"
    assert checked.suppressed == 4


def test_a_table_without_small_cells_leaves_rounded():
    checked = check(long([[12, 43], [30, 51]]), "frequency", labels=["v0", "v1"], counts=["n"], margin=TOTAL)
    assert checked.status == "pass"
    assert checked.frame["n"].tolist() == [10, 45, 55, 30, 50, 80, 40, 95, 135]


def test_an_absent_cell_is_as_hidden_as_one_that_says_nobody():
    full = long([[0, 40, 60], [30, 50, 70], [60, 70, 80]], margins=False)
    absent = full[full["n"] > 0]
    leaves = [check(frame, "frequency", labels=["v0", "v1"], counts=["n"]).frame for frame in (full, absent)]
    ordered = [frame.sort_values(["v0", "v1"], ignore_index=True) for frame in leaves]
    pd.testing.assert_frame_equal(*ordered, check_dtype=False)
    assert ordered[0]["n"].isna().sum() == 4


@pytest.mark.parametrize("smallest", [9, 10])
def test_the_threshold_itself_may_leave(smallest):
    frame = pd.DataFrame({"v": ["a", "b", "c"], "n": [smallest, 40, 60]})
    checked = check(frame, "frequency", labels=["v"], counts=["n"])
    assert checked.status == ("pass" if smallest == 10 else "changed")
    assert checked.frame["n"].isna().tolist() == [smallest < 10, smallest < 10, False]


@settings(max_examples=25)
@given(tables(4, 4), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_changes_nothing(cells, chance):
    frame = long(cells)
    order = list(range(len(frame)))
    chance.shuffle(order)
    options = {"kind": "frequency", "labels": ["v0", "v1"], "counts": ["n"], "margin": TOTAL}
    straight, turned = check(frame, **options), check(frame.iloc[order][["n", "v1", "v0"]], **options)
    assert straight.status == turned.status
    if straight.frame is not None:
        back = turned.frame.sort_values(["v0", "v1"], ignore_index=True)[list(frame.columns)]
        pd.testing.assert_frame_equal(straight.frame.sort_values(["v0", "v1"], ignore_index=True), back)


@settings(max_examples=25)
@given(tables(4, 4))
def test_other_names_in_the_same_order_hide_the_same_cells(cells):
    frame = long(cells)
    named = frame.replace({f"c{place}": f"group {place} of the study" for place in range(5)})
    options = {"kind": "frequency", "labels": ["v0", "v1"], "counts": ["n"], "margin": TOTAL}
    first, second = check(frame, **options), check(named, **options)
    assert first.status == second.status
    if first.frame is not None:
        assert first.frame["n"].isna().tolist() == second.frame["n"].isna().tolist()


@settings(max_examples=25)
@given(tables(4, 4))
def test_a_crosstab_hides_what_the_same_table_in_rows_hides(cells):
    frame = long(cells)
    wide = frame.pivot(index="v0", columns="v1", values="n").reset_index().rename_axis(columns=None)
    columns = [name for name in wide.columns if name != "v0"]
    rows = check(frame, "frequency", labels=["v0", "v1"], counts=["n"], margin=TOTAL)
    crossed = check(wide, "crosstab", labels=["v0"], counts=columns, margin=TOTAL)
    assert rows.status == crossed.status
    if rows.frame is not None:
        back = rows.frame.pivot(index="v0", columns="v1", values="n").reset_index()
        np.testing.assert_array_equal(
            back[columns].isna().to_numpy(dtype=bool), crossed.frame[columns].isna().to_numpy(dtype=bool)
        )


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda frame: frame.assign(n=frame["n"] + 0.5), "not_counts"),
        (lambda frame: frame.assign(n=[-20, *frame["n"][1:]]), "not_counts"),
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), "repeated"),
        (lambda frame: frame.assign(n=[*frame["n"][:-1], 999]), "totals_differ"),
        (lambda frame: frame.iloc[:0], "no_rows"),
        (lambda frame: frame.assign(v0=frame["v0"].replace({"c0": "19121212-1212"})), "identity"),
    ],
)
def test_a_table_that_is_not_understood_stays(change, refused):
    frame = change(long([[20, 40], [30, 50]]))
    checked = check(frame, "frequency", labels=["v0", "v1"], counts=["n"], margin=TOTAL)
    assert (checked.status, checked.frame) == ("fail", None)
    assert checked.refused == refused
    for language in ("sv", "en"):
        assert checked.explain(language)
        assert "1212" not in checked.explain(language)


def test_a_total_that_is_small_hides_the_whole_table():
    checked = check(pd.DataFrame({"v": ["a", "b"], "n": [4, 5]}), "frequency", labels=["v"], counts=["n"])
    assert checked.status == "fail"
