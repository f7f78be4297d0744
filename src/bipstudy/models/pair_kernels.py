"""Compiled loops that count comparable pairs with a binary indexed tree (Fenwick 1994); see `kernels` for slots."""

import numpy as np

from bipstudy.models.kernels import compiled


@compiled("f8(f8[::1], i8)")
def _tree_sum(tree, places):  # type: ignore[no-untyped-def]
    """Sum over the first `places` places of a binary indexed tree."""
    total = 0.0
    while places > 0:
        total += tree[places]
        places -= places & -places
    return total


@compiled("f8(f8[::1], i8[::1], f8[::1], b1[::1], i8[::1], i8, i8, i8, f8)")
def _tree_move(tree, rank, weight, event, rows, begin, end, wanted, sign):  # type: ignore[no-untyped-def]
    """Add `sign` times the weights of some rows to the tree; return their sum. `wanted`: 1 events, 0 others, -1 all."""
    total = 0.0
    for k in range(begin, end):
        i = rows[k]
        if wanted >= 0 and event[i] != wanted:
            continue
        total += sign * weight[i]
        place = rank[i] + 1
        while place < tree.shape[0]:
            tree[place] += sign * weight[i]
            place += place & -place
    return total


@compiled("void(f8[::1], i8[::1], b1[::1], i8[::1], i8, i8, i8, f8, f8, f8[:,::1])")
def _tree_split(tree, rank, event, rows, begin, end, wanted, total, sign, out):  # type: ignore[no-untyped-def]
    """Add to the rows of `out` `sign` times the weights of lower, equal and higher rank in the tree."""
    for k in range(begin, end):
        i = rows[k]
        if wanted >= 0 and event[i] != wanted:
            continue
        below = _tree_sum(tree, rank[i])
        upto = _tree_sum(tree, rank[i] + 1)
        out[i, 0] += sign * below
        out[i, 1] += sign * (upto - below)
        out[i, 2] += sign * (total - upto)


@compiled(
    "void(i8[::1], f8[::1], b1[::1], b1[::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[:,::1], f8[:,::1])",
)
def pair_weights(rank, weight, event, last, ends, first_end, begins, first_begin, as_event, as_other):  # type: ignore[no-untyped-def]
    """Weight of the partners of lower, equal and higher rank that each row can be compared with.

    `as_event` counts those at risk when the row has its event, `as_other` the events of others while the row is at
    risk; events tied in time are not compared. `ends` and `begins` are the rows in the order of their last slot and of
    the slot before their first, with the place where each slot starts.
    """
    tree = np.zeros(rank.max() + 2)
    total = 0.0
    for g in range(last.shape[0] - 1, -1, -1):
        if last[g]:
            tree[:] = 0.0
            total = 0.0
        a, b = first_end[g], first_end[g + 1]
        total += _tree_move(tree, rank, weight, event, begins, first_begin[g], first_begin[g + 1], -1, -1.0)
        total += _tree_move(tree, rank, weight, event, ends, a, b, 0, 1.0)
        _tree_split(tree, rank, event, ends, a, b, 1, total, 1.0, as_event)
        total += _tree_move(tree, rank, weight, event, ends, a, b, 1, 1.0)
    tree[:] = 0.0
    total = 0.0
    for g in range(last.shape[0]):
        a, b = first_end[g], first_end[g + 1]
        _tree_split(tree, rank, event, ends, a, b, 1, total, 1.0, as_other)
        total += _tree_move(tree, rank, weight, event, ends, a, b, 1, 1.0)
        _tree_split(tree, rank, event, ends, a, b, 0, total, 1.0, as_other)
        _tree_split(tree, rank, event, begins, first_begin[g], first_begin[g + 1], -1, total, -1.0, as_other)
        if last[g]:
            tree[:] = 0.0
            total = 0.0
