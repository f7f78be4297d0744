"""Weights under which shares of a sample are those of another population: raking to margins."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError

__all__ = ["rake"]

Floats = npt.NDArray[np.float64]
_ROUNDS = 500
_TOLERANCE = 1e-10
_MET = 1e-8


def rake(*, flags: npt.ArrayLike, targets: npt.ArrayLike) -> Floats:
    """Weights under which each yes-or-no margin has its target share.

    Margins are met one after the other until all hold (Deming and Stephan 1940): of all weights that meet them these
    are the closest to equal ones in the sense of Kullback and Leibler.

    Parameters
    ----------
    flags : array of shape (n, k)
        0 or 1, NaN where unknown: those unknown keep their weight, and the share is that of the known.
    targets : array of shape (k,)
        Shares of ones, between 0 and 1.

    Returns
    -------
    array of shape (n,)
        Above 0, with mean 1.

    Raises
    ------
    ModelError
        A margin has nobody in one of its groups, a target does not lie between 0 and 1, or the margins cannot all be
        met.

    References
    ----------
    Deming, W. E. and Stephan, F. F. (1940). On a least squares adjustment of a sampled frequency table when the
    expected marginal totals are known. Annals of Mathematical Statistics 11, 427-444.

    Examples
    --------
    >>> rake(flags=[[1], [0], [0], [0]], targets=[0.5]).round(3)
    array([2.   , 0.667, 0.667, 0.667])
    """
    given, wanted = np.asarray(flags, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if given.ndim != 2 or given.shape[1:] != wanted.shape or not ((wanted > 0) & (wanted < 1)).all():
        raise ModelError("raking takes a column of flags for each target, and targets between 0 and 1")
    ones, noughts = given == 1.0, given == 0.0
    if not (ones.any(axis=0) & noughts.any(axis=0)).all():
        raise ModelError("a margin has nobody in one of its groups")
    weights = np.ones(len(given))
    for _ in range(_ROUNDS):
        before = weights.copy()
        for place, share in enumerate(wanted):
            yes, no = ones[:, place], noughts[:, place]
            known = weights[yes].sum() + weights[no].sum()
            weights[yes] *= share * known / weights[yes].sum()
            weights[no] *= (1 - share) * known / weights[no].sum()
        sums = ones.T @ weights, noughts.T @ weights
        # Margins that contradict each other end every round alike and are never met together.
        met = np.abs(sums[0] / (sums[0] + sums[1]) - wanted).max() < _MET
        if met and np.abs(weights - before).max() < _TOLERANCE:
            return np.asarray(weights / weights.mean(), dtype=np.float64)
    raise ModelError("the margins cannot all be met")
