r"""How much of a model's fit is each predictor's own: general dominance, from one fit.

The fit of every subset of the predictors is needed, the other terms of the model always present. Instead of refitting
them all, the log-likelihood is taken as quadratic around its maximum: with the estimates :math:`\hat\theta` of the
predictors, their information :math:`J` (other terms profiled out) and :math:`g = J\hat\theta`, a subset S gains
:math:`\tfrac12 g_S' J_{SS}^{-1} g_S` over the model without any of them. That is half the Wald statistic for all of
them together, and what one Newton step gives for the others.

References
----------
Budescu, D. V. (1993). Dominance analysis: a new approach to the problem of relative importance of predictors in
multiple regression. Psychological Bulletin 114, 542-551. Azen, R. and Traxel, N. (2009). Using dominance analysis to
determine predictor importance in logistic regression. Journal of Educational and Behavioral Statistics 34, 319-347.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.estimates import Fit

__all__ = ["Dominance", "dominance", "general_dominance"]

Floats = npt.NDArray[np.float64]
MOST = 12


@dataclass(frozen=True)
class Dominance:
    """Shares of the fit that several predictors have together.

    Attributes
    ----------
    names : tuple of str, length m
    gain : array of shape (m,)
        Gain in log-likelihood that is each one's own; they sum to `total`.
    share : array of shape (m,)
        The same as shares.
    total : float
        Gain of all of them together.
    drawn : array of shape (draws, m)
        Shares at estimates drawn from their normal approximation.
    """

    names: tuple[str, ...]
    gain: Floats
    share: Floats
    total: float
    drawn: Floats

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Shares with the quantiles of their draws, widened to hold the share itself.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``term, gain, estimate, conf_low, conf_high, first`` (`first`: in how many draws it has the largest share).
        """
        low, high = self._ends(self.drawn, self.share, level)
        largest = np.bincount(self.drawn.argmax(axis=1), minlength=len(self.names)) / len(self.drawn)
        return pd.DataFrame(
            {
                "term": list(self.names),
                "gain": self.gain,
                "estimate": self.share,
                "conf_low": low,
                "conf_high": high,
                "first": largest,
            }
        )

    def difference(self, one: str, other: str, level: float = 0.95) -> tuple[float, float, float]:
        """Share of one less that of another, with its interval.

        Parameters
        ----------
        one, other : str
        level : float, default 0.95

        Returns
        -------
        estimate, low, high : float
        """
        first, second = self.names.index(one), self.names.index(other)
        estimate = np.array([self.share[first] - self.share[second]])
        low, high = self._ends((self.drawn[:, first] - self.drawn[:, second])[:, None], estimate, level)
        return float(estimate[0]), float(low[0]), float(high[0])

    @staticmethod
    def _ends(drawn: Floats, estimate: Floats, level: float) -> tuple[Floats, Floats]:
        """Quantiles of draws, widened to hold the estimate."""
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
        return np.minimum(low, estimate), np.maximum(high, estimate)


def general_dominance(*, gains: Mapping[tuple[int, ...], Floats], count: int) -> Floats:
    r"""General dominance (the Shapley value) of each of `count` predictors.

    The mean over all orders of entering of what a predictor adds when it enters:
    :math:`\sum_S |S|! (m - 1 - |S|)! / m! \, (G(S \cup j) - G(S))`.

    Parameters
    ----------
    gains : mapping of tuple of int to array of shape (d,)
        Fit of each subset (sorted positions, the empty one included).
    count : int

    Returns
    -------
    array of shape (d, count)
        Rows sum to the gain of all together.

    Examples
    --------
    >>> import numpy as np
    >>> gains = {(): 0.0, (0,): 4.0, (1,): 2.0, (0, 1): 5.0}
    >>> general_dominance(gains={key: np.array([value]) for key, value in gains.items()}, count=2)
    array([[3.5, 1.5]])
    """
    columns = []
    for own in range(count):
        others = [place for place in range(count) if place != own]
        total = np.zeros_like(np.asarray(gains[()], dtype=np.float64))
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - 1 - size) / math.factorial(count)
            for subset in itertools.combinations(others, size):
                total = total + weight * (gains[tuple(sorted((*subset, own)))] - gains[subset])
        columns.append(total)
    return np.stack(columns, axis=-1)


def dominance(fit: Fit, blocks: Mapping[str, Sequence[str]], *, draws: int = 999, seed: int = 0) -> Dominance:
    """Share of the fit that is each predictor's own, the other terms of the model present throughout.

    Parameters
    ----------
    fit : Fit
        A maximum-likelihood fit; its errors (clustered or not) are those of the intervals.
    blocks : mapping of str to sequence of str
        Name of each predictor to its terms: several, where one predictor has several.
    draws, seed : int
        Draws of the estimates from their normal approximation.

    Returns
    -------
    Dominance

    Raises
    ------
    ModelError
        A term is not in the fit or has no finite estimate, or there are more than 12 predictors.

    Notes
    -----
    A predictor without any association has a share above zero by chance: about half a unit of log-likelihood for each
    of its terms, divided by `Dominance.total`. Where the total is small the shares say nothing.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame(rng.normal(size=(2000, 2)), columns=["a", "b"])
    >>> frame["y"] = (rng.random(2000) < 1 / (1 + np.exp(1 - frame["a"] - 0.3 * frame["b"]))).astype(float)
    >>> fit = models.discrete_hazard(frame, "y ~ a + b", link="logit")
    >>> dominance(fit, {"a": ["a"], "b": ["b"]}, draws=99).share.round(2)
    array([0.9, 0.1])
    """
    if not 2 <= len(blocks) <= MOST:
        raise ModelError(f"dominance takes 2 to {MOST} predictors, got {len(blocks)}")
    wanted = [term for terms in blocks.values() for term in terms]
    absent = [term for term in wanted if term not in fit.terms or term in fit.unbounded]
    if absent:
        raise ModelError(f"no finite estimate of {', '.join(absent)}; leave it out of the comparison")
    place = [fit.terms.index(term) for term in wanted]
    estimates = np.asarray(fit.estimates[place], dtype=np.float64)
    information = np.asarray(np.linalg.inv(fit.naive[np.ix_(place, place)]), dtype=np.float64)
    ends = np.cumsum([len(terms) for terms in blocks.values()])
    positions = [list(range(end - len(terms), end)) for end, terms in zip(ends, blocks.values(), strict=True)]
    spread = np.linalg.cholesky(_positive(np.asarray(fit.covariance[np.ix_(place, place)], dtype=np.float64)))
    normal = np.random.default_rng(np.random.SeedSequence(seed)).standard_normal((draws, len(place)))
    values = np.vstack([estimates, estimates + normal @ spread.T])
    gain = general_dominance(gains=_gains(values, information, positions), count=len(blocks))
    total = gain.sum(axis=1, keepdims=True)
    share = np.divide(gain, total, out=np.full_like(gain, np.nan), where=total > 0)
    return Dominance(tuple(blocks), gain[0], share[0], float(total[0, 0]), share[1:])


def _positive(covariance: Floats) -> Floats:
    """Covariance with a trace on the diagonal, so that one of too few clusters still has a root."""
    return covariance + 1e-12 * np.diag(np.diag(covariance))


def _gains(values: Floats, information: Floats, positions: list[list[int]]) -> dict[tuple[int, ...], Floats]:
    """Gain of each subset of blocks at each row of estimates."""
    gradient = values @ information
    found: dict[tuple[int, ...], Floats] = {(): np.zeros(len(values))}
    for size in range(1, len(positions) + 1):
        for subset in itertools.combinations(range(len(positions)), size):
            chosen = [place for block in subset for place in positions[block]]
            own = gradient[:, chosen]
            solved = np.linalg.solve(information[np.ix_(chosen, chosen)], own.T).T
            found[subset] = 0.5 * np.einsum("ij,ij->i", own, solved)
    return found
