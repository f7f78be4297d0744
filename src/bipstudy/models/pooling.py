r"""Random-effects pooling of a few estimates: mean, heterogeneity, and where a new one would lie.

Estimates :math:`y_i` with variances :math:`v_i` vary around a mean with variance :math:`\tau^2`; weights are
:math:`w_i = 1/(v_i + \tau^2)`.

* :math:`\tau^2` by the moment estimator of DerSimonian and Laird, or that of Paule and Mandel, at which the weighted
  sum of squares :math:`Q(\tau^2) = \sum w_i (y_i - \mu)^2` is its expectation :math:`k - 1`.
* Errors of Hartung and Knapp, and of Sidik and Jonkman: :math:`Q(\tau^2) / (k - 1) / \sum w_i` with :math:`t_{k-1}`,
  which hold their level with few estimates where normal ones do not. Estimates that happen to lie closer together than
  their own errors say make them too small; with a floor the first factor is at least one, so that the error is never
  below that of the weights.

References
----------
DerSimonian, R. and Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical Trials 7, 177-188.
Paule, R. C. and Mandel, J. (1982). Consensus values and weighting factors. Journal of Research of the National Bureau
of Standards 87, 377-385. IntHout, J., Ioannidis, J. P. A. and Borm, G. F. (2014). The Hartung-Knapp-Sidik-Jonkman
method for random effects meta-analysis is straightforward and considerably outperforms the standard
DerSimonian-Laird method. BMC Medical Research Methodology 14, 25. Viechtbauer, W. (2007). Confidence intervals for
the amount of heterogeneity in meta-analysis. Statistics in Medicine 26, 37-52. Higgins, J. P. T. and Thompson, S. G.
(2002). Quantifying heterogeneity in a meta-analysis. Statistics in Medicine 21, 1539-1558. Roever, C., Knapp, G. and
Friede, T. (2015). Hartung-Knapp-Sidik-Jonkman approach and its modification for random-effects meta-analysis with few
studies. BMC Medical Research Methodology 15, 99 (the floor).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError

__all__ = ["RandomEffects", "random_effects"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RandomEffects:
    """Pooled estimates.

    Attributes
    ----------
    estimate, std_error, conf_low, conf_high, p_value : float
        Mean of the distribution that the estimates come from.
    tau2, tau2_low, tau2_high : float
        Variance between, with an interval by inverting Q.
    q, q_p_value : float
        Cochran's Q and its p-value: are they all the same?
    i2 : float
        Share of the variance that lies between, 0 to 1.
    new_low, new_high : float
        Where a new true value lies with 95 per cent probability; NaN with fewer than three estimates.
    weights : array of shape (k,)
        Sum to one.
    count : int
    """

    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    p_value: float
    tau2: float
    tau2_low: float
    tau2_high: float
    q: float
    q_p_value: float
    i2: float
    new_low: float
    new_high: float
    weights: Floats
    count: int


def random_effects(
    *,
    estimates: npt.ArrayLike,
    errors: npt.ArrayLike,
    method: Literal["PM", "DL"] = "PM",
    adjusted: bool = True,
    floor: bool = False,
    level: float = 0.95,
) -> RandomEffects:
    """Pool estimates by random effects.

    Parameters
    ----------
    estimates, errors : array of shape (k,)
        On an additive scale (ratios as logarithms), errors above 0.
    method : {"PM", "DL"}
        Paule and Mandel, or DerSimonian and Laird.
    adjusted : bool, default True
        Errors of Hartung, Knapp, Sidik and Jonkman, with t; else the usual normal ones.
    floor : bool, default False
        Never let the adjustment make an error smaller than the weights say.
    level : float, default 0.95

    Returns
    -------
    RandomEffects

    Raises
    ------
    ModelError
        Fewer than two estimates, one that is missing, or an error that is not above 0.

    Examples
    --------
    >>> pooled = random_effects(estimates=[0.1, 0.4, 0.7, 0.2], errors=[0.1, 0.1, 0.1, 0.1])
    >>> round(pooled.estimate, 3), round(pooled.i2, 2), round(pooled.tau2, 3)
    (0.35, 0.86, 0.06)
    """
    y, v = np.asarray(estimates, dtype=np.float64), np.asarray(errors, dtype=np.float64) ** 2
    if y.ndim != 1 or y.shape != v.shape or len(y) < 2:
        raise ModelError("pooling takes two or more estimates, each with its error")
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise ModelError("pooling takes finite estimates with errors above 0")
    from scipy.stats import chi2, norm, t

    k = len(y)
    tau2 = _moment(y, v) if method == "DL" else _root(y, v, k - 1.0)
    weight = 1.0 / (v + tau2)
    mean = float(weight @ y / weight.sum())
    factor = _q(y, v, tau2) / (k - 1) if adjusted else 1.0
    factor = max(factor, 1.0) if floor else factor
    error = float(np.sqrt(factor / weight.sum()))
    law = t(k - 1) if adjusted else norm
    half = float(law.ppf(0.5 + level / 2))
    tail = (1.0 - level) / 2
    fixed = 1.0 / v
    typical = (k - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    new = half * float(np.sqrt(tau2 + error**2)) if k > 2 else np.nan
    return RandomEffects(
        estimate=mean,
        std_error=error,
        conf_low=mean - half * error,
        conf_high=mean + half * error,
        p_value=float(2 * law.sf(abs(mean) / error)) if error > 0 else np.nan,
        tau2=tau2,
        tau2_low=_root(y, v, float(chi2.ppf(1 - tail, k - 1))),
        tau2_high=_root(y, v, float(chi2.ppf(tail, k - 1))),
        q=_q(y, v, 0.0),
        q_p_value=float(chi2.sf(_q(y, v, 0.0), k - 1)),
        i2=float(tau2 / (tau2 + typical)),
        new_low=mean - new,
        new_high=mean + new,
        weights=weight / weight.sum(),
        count=k,
    )


def _q(y: Floats, v: Floats, tau2: float) -> float:
    """Weighted sum of squares around the weighted mean."""
    weight = 1.0 / (v + tau2)
    return float(weight @ (y - weight @ y / weight.sum()) ** 2)


def _moment(y: Floats, v: Floats) -> float:
    """Variance between by DerSimonian and Laird."""
    weight = 1.0 / v
    spare = weight.sum() - (weight**2).sum() / weight.sum()
    return max(0.0, (_q(y, v, 0.0) - (len(y) - 1)) / float(spare))


def _root(y: Floats, v: Floats, target: float) -> float:
    """Variance between at which Q is `target`, 0 if it lies below that already."""
    if _q(y, v, 0.0) <= target:
        return 0.0
    from scipy.optimize import brentq

    high = float(np.var(y) + v.max())
    while _q(y, v, high) > target:
        high *= 4.0
    return float(brentq(lambda tau2: _q(y, v, tau2) - target, 0.0, high, xtol=1e-14, rtol=1e-13))
