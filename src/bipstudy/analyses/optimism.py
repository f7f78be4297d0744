r"""The caseworker's optimism about others, and what follows for a new participant: the numbers, in pure functions.

Participants come to caseworkers within a unit and a quarter. Optimism is what the caseworker's answers about *other*
participants had in common before the new one was measured, so that it holds nothing about the new one. The design and
its sources are described in the chapter "The optimism of the caseworker" of the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.analyses.within_cells import cell_means, unit_columns
from bipstudy.models.covariance import group_sums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Optimism is the mean over at least so many others.
OTHERS = 5
# Room for every day of one group in a composite key, and what makes days before 1970 positive in it.
_SPAN, _SHIFT = 4_000_000, 1_500_000


@dataclass(frozen=True)
class Optimism:
    """Optimism of the caseworker of each participant.

    Attributes
    ----------
    mean : array of shape (n,)
        Mean over the others; NaN where there are too few.
    others : array of int, shape (n,)
        How many others there are.
    """

    mean: FloatArray
    others: IntArray


def optimism_about_others(
    *,
    residual: FloatArray,
    caseworker: IntArray,
    cell: IntArray,
    first_day: IntArray,
    last_day: IntArray,
    earlier: bool = True,
    least: int = OTHERS,
) -> Optimism:
    r"""Mean of what a caseworker answered about others, net of the mean of their cells.

    For participant i with caseworker c, and :math:`J_i` the others whom c answered about (and who were measured before
    i, if `earlier`),

    .. math:: z_i = \frac{1}{|J_i|} \sum_{j \in J_i} (e_j - \bar e_{k(j)}^{\,i}),

    where :math:`\bar e_{k}^{\,i}` is the mean over everybody but i in cell k (measured before i, if `earlier`). Because
    i is neither among the others nor in the mean of a cell, :math:`z_i` has the same expectation whatever i is like if
    caseworkers were drawn at random within cells; a mean of the cell with i in it would make the two correlated.

    Parameters
    ----------
    residual : array of shape (n,)
        Answer about each participant, net of what is known of the participant; NaN where there is none.
    caseworker : array of int, shape (n,)
        Code of who answered (or would have); -1 where nobody is known.
    cell : array of int, shape (n,)
        Code from zero of unit and quarter of entry.
    first_day, last_day : array of int, shape (n,)
        First and last day that the measurement may be of: another is earlier if its last day is before the first.
    earlier : bool, default True
        Whether only others measured earlier count, or all others.
    least : int, default 5

    Returns
    -------
    Optimism

    References
    ----------
    Guryan, J., Kroft, K., Notowidigdo, M. J. (2009). Peer effects in the workplace: evidence from random groupings in
    professional golf tournaments. American Economic Journal: Applied Economics 1(4), 34-68 (why leaving a person out
    of the mean of the others, but not of that of the cell, makes a correlation from nothing).

    Examples
    --------
    >>> import numpy as np
    >>> days = np.arange(4)
    >>> found = optimism_about_others(
    ...     residual=np.array([1.0, 3.0, 8.0, 0.0]), caseworker=np.array([0, 1, 0, 0]), cell=np.zeros(4, dtype=int),
    ...     first_day=days, last_day=days, least=1)
    >>> found.mean.tolist(), found.others.tolist()
    ([nan, nan, -1.0, 0.5], [0, 0, 1, 2])
    """
    given = np.flatnonzero(~np.isnan(residual) & (caseworker >= 0))
    group_of, group_caseworker, group_cell = _groups(caseworker[given], cell[given])
    person, group = _pairs(caseworker, group_caseworker)
    day = first_day[person] if earlier else np.full(len(person), _SHIFT, dtype=np.int64)
    values = residual[given]
    count, total = _sums_before(group_of, last_day[given], values, group, day)
    cells, cell_total = _sums_before(cell[given], last_day[given], values, group_cell[group], day)
    if not earlier:
        own = np.where(np.isnan(residual) | (caseworker < 0), 0.0, residual)[person]
        counted = ~np.isnan(residual[person])
        in_cell = counted & (cell[person] == group_cell[group])
        # Only the caseworker's own groups are paired with a person: the group of the person's cell is the person's.
        count, total = count - in_cell, total - np.where(in_cell, own, 0.0)
        cells, cell_total = cells - in_cell, cell_total - np.where(in_cell, own, 0.0)
    centre = np.divide(cell_total, cells, out=np.zeros(len(person)), where=cells > 0)
    size = len(residual)
    others = np.bincount(person, weights=count, minlength=size).astype(np.int64)
    sums = np.bincount(person, weights=total - count * centre, minlength=size)
    mean = np.divide(sums, others, out=np.full(size, np.nan), where=others >= max(least, 1))
    return Optimism(mean=mean, others=others)


def _groups(caseworker: IntArray, cell: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the number of each row's pair of caseworker and cell, and what each number stands for."""
    width = int(cell.max(initial=0)) + 1
    keys, place = np.unique(caseworker * width + cell, return_inverse=True)
    return place.astype(np.int64), keys // width, keys % width


def _pairs(caseworker: IntArray, group_caseworker: IntArray) -> tuple[IntArray, IntArray]:
    """Pair each person with every group of the caseworker."""
    low = np.searchsorted(group_caseworker, caseworker, side="left")
    high = np.searchsorted(group_caseworker, caseworker, side="right")
    length = np.where(caseworker >= 0, high - low, 0)
    person = np.repeat(np.arange(len(caseworker)), length)
    within = np.arange(len(person)) - np.repeat(np.cumsum(length) - length, length)
    return person, np.repeat(low, length) + within


def _sums_before(
    group_of: IntArray, day_of: IntArray, values: FloatArray, group: IntArray, day: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return number and sum of the values of a group on days before a day."""
    keys = group_of * _SPAN + day_of + _SHIFT
    order = np.argsort(keys, kind="stable")
    keys, running = keys[order], np.concatenate([[0.0], np.cumsum(values[order])])
    low = np.searchsorted(keys, group * _SPAN, side="left")
    high = np.searchsorted(keys, group * _SPAN + day + _SHIFT, side="left")
    return (high - low).astype(np.int64), running[high] - running[low]


@dataclass(frozen=True)
class Balance:
    """Whether an exposure goes with characteristics within cells.

    Attributes
    ----------
    statistic : float
        Chi-square of the test that the exposure goes with none of them.
    degrees : int
        Characteristics that vary and do not follow from others.
    p_value : float
        NaN if there are not more clusters than characteristics.
    rows, clusters : int
    """

    statistic: float
    degrees: int
    p_value: float
    rows: int
    clusters: int


def balance(*, exposure: FloatArray, characteristics: FloatArray, cell: IntArray, cluster: IntArray) -> Balance:
    r"""Test whether an exposure goes with any of several characteristics within cells.

    With :math:`s_g` the sum over cluster g of exposure times characteristics, both less their means within cells, and
    :math:`s = \sum_g s_g`, the statistic is :math:`s' (\sum_g s_g s_g')^{-1} s`: the score test of no association,
    with the variance under that hypothesis, which with few or unequal clusters keeps its size better than Wald's test.

    Parameters
    ----------
    exposure : array of shape (n,)
    characteristics : array of shape (n, q)
        Without missing values; those that do not vary, or follow from others, are left out.
    cell, cluster : array of int, shape (n,)

    Returns
    -------
    Balance

    References
    ----------
    Cameron, A. C., Miller, D. L. (2015). A practitioner's guide to cluster-robust inference. Journal of Human
    Resources 50, 317-372.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(400, 2))
    >>> found = balance(exposure=x[:, 0] + rng.normal(size=400), characteristics=x, cell=np.arange(400) % 4,
    ...                 cluster=np.arange(400) // 5)
    >>> found.degrees, found.p_value < 0.001
    (2, True)
    """
    from scipy.special import chdtrc

    from bipstudy.models.instruments import independent_columns

    _, cells = np.unique(cell, return_inverse=True)
    _, groups = np.unique(cluster, return_inverse=True)
    clusters, count = int(groups.max(initial=-1)) + 1, int(cells.max(initial=-1)) + 1
    nothing = Balance(float("nan"), 0, float("nan"), len(exposure), clusters)
    if not len(exposure):
        return nothing
    both = np.column_stack([exposure, unit_columns(characteristics)])
    centred = both - cell_means(both, cells, np.ones(len(both)), count)
    kept, _ = independent_columns(centred[:, 1:], np.zeros((len(both), 0)))
    q = len(kept)
    if q == 0 or clusters <= q or not np.abs(centred[:, 0]).max() > 0.0:
        return nothing
    sums = group_sums(centred[:, 1:][:, kept] * centred[:, [0]], groups, clusters)
    spread, total = sums.T @ sums, sums.sum(axis=0)
    if np.linalg.matrix_rank(spread, hermitian=True) < q:
        return nothing
    statistic = float(total @ np.linalg.solve(spread, total))
    return Balance(statistic, q, float(chdtrc(q, statistic)), len(exposure), clusters)
