"""Compiled cross-products of a design in which some columns are the indicators of one factor.

Import this module where it is used, not at the top: the import costs about a second.
"""

import numpy as np

from bipstudy.models.kernels import compiled

# Rows multiplied at a time: both factors stay in the first caches, and the product is small enough for the BLAS to take
# its way without packing.
ROWS = 320


def padded(columns: int) -> int:
    """Width that is a multiple of eight numbers, which the processor handles at once."""
    return max(8 * -(-columns // 8), 8)


# A design may be read-only, as in processes that share it.
@compiled("i8(Array(f8, 2, 'C', readonly=True), u8[::1], u4[::1])")
def code_rows(x, columns, code):  # type: ignore[no-untyped-def]
    """Fill `code` with the place of the one among `columns`, or their number where all are zero.

    Returns how many rows were filled: the first that is neither ends it.
    """
    for i in range(x.shape[0]):
        row = x[i]
        found = columns.shape[0]
        for j in range(columns.shape[0]):
            value = row[columns[j]]
            if value != 0.0:
                if value != 1.0 or found != columns.shape[0]:
                    return i
                found = j
        code[i] = found
    return x.shape[0]


@compiled("void(Array(f8, 2, 'C', readonly=True), f8[::1], u4[::1], u8[::1], f8[:,::1], f8[:,::1], f8[::1])")
def add_information(x, curvature, code, others, plain, cross, alone):  # type: ignore[no-untyped-def]
    """Add rows to the parts of X'WX.

    `plain` (p, p) gets the product of the columns `others`, padded with zeros; row c of `cross` (levels + 1, p) their
    weighted sums over the rows with code c, and `alone` the sums of the weights.
    """
    rows = x.shape[0]
    width = plain.shape[0]
    left = np.zeros((ROWS, width))
    right = np.zeros((ROWS, width))
    product = np.empty((width, width))
    for start in range(0, rows, ROWS):
        count = min(ROWS, rows - start)
        for i in range(count):
            row = x[start + i]
            weight = curvature[start + i]
            given = left[i]
            weighted = right[i]
            for j in range(others.shape[0]):
                given[j] = row[others[j]]
            for j in range(width):
                weighted[j] = weight * given[j]
            level = cross[code[start + i]]
            for j in range(width):
                level[j] += weighted[j]
            alone[code[start + i]] += weight
        np.dot(left[:count].T, right[:count], product)
        for i in range(width):
            for j in range(width):
                plain[i, j] += product[i, j]
