"""Joint tests of many specifications by random signs of caseworkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]


def flipped(scores: FloatArray, *, flips: int, seed: int) -> tuple[FloatArray, FloatArray]:
    r"""Statistics of all specifications under the same random signs of caseworkers.

    With :math:`s_{mg}` the effective score of specification m summed over caseworker g, and signs :math:`\epsilon_g`,
    :math:`t_m = \sum_g \epsilon_g s_{mg} / \sqrt{\sum_g s_{mg}^2}`.

    Parameters
    ----------
    scores : array of shape (M, G)
    flips : int
    seed : int

    Returns
    -------
    observed : array of shape (M,)
        All signs plus.
    drawn : array of shape (flips, M)

    References
    ----------
    Hemerik, J., Goeman, J. J., Finos, L. (2020). Robust testing in generalized linear models by sign flipping score
    contributions. Journal of the Royal Statistical Society B 82, 841-864. Girardi, P., Vesely, A., Lakens, D., Altoe,
    G., Pastore, M., Calcagni, A., Finos, L. (2024). Post-selection inference in multiverse analysis. Psychometrika 89,
    542-568.
    """
    length = np.sqrt((scores**2).sum(axis=1))
    unit = scores / np.where(length > 0, length, 1.0)[:, None]
    signs = np.random.default_rng(seed).integers(0, 2, (flips, scores.shape[1])) * 2.0 - 1.0
    return unit.sum(axis=1), signs @ unit.T


def joint_p(observed: FloatArray, drawn: FloatArray, places: Sequence[int]) -> tuple[float, float]:
    """Return p-values of "no association in any specification", by the largest and by the mean statistic.

    Parameters
    ----------
    observed : array of shape (M,)
    drawn : array of shape (flips, M)
    places : sequence of int
        The specifications that are tested together.

    Returns
    -------
    largest, mean : float
        NaN without specifications. The largest is of absolute values; the mean keeps signs and is then two-sided.
    """
    own, others = observed[list(places)], drawn[:, list(places)]
    if not own.size:
        return float("nan"), float("nan")
    largest = (1 + int((np.abs(others).max(axis=1) >= np.abs(own).max() - 1e-12).sum())) / (1 + len(others))
    mean = (1 + int((np.abs(others.mean(axis=1)) >= abs(own.mean()) - 1e-12).sum())) / (1 + len(others))
    return largest, mean
