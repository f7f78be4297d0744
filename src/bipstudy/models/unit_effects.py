r"""How much caseworkers (teachers, surgeons, judges) differ, beyond chance.

With outcomes adjusted for what the cases bring, :math:`r_{ij} = \mu_j + e_{ij}` for case i of caseworker j, three
things are told apart: the spread of the observed means :math:`\bar r_j`, the spread of the true :math:`\mu_j`, and
the spread that chance alone would make with these caseloads.

* The standard deviation of :math:`\mu_j` by restricted maximum likelihood, with a profile interval, and the empirical
  Bayes prediction :math:`\hat\mu_j = \lambda_j \bar r_j`, :math:`\lambda_j = \tau^2 / (\tau^2 + \sigma^2 / n_j)`.
* Split-sample: each caseworker's cases are cut in an earlier and a later half. Chance differs between the halves, so
  :math:`E[\bar r_{j1} \bar r_{j2}] = \tau^2` without any assumption on the noise, and only what lasts is counted.
* Chance: residuals of the model without caseworkers are dealt out anew with every caseload as it is (Freedman and
  Lane 1983), and the same spread, range and gaps between best and worst are computed.

References
----------
Kane, T. J. and Staiger, D. O. (2008). Estimating teacher impacts on student achievement. NBER working paper 14607.
Chetty, R., Friedman, J. N. and Rockoff, J. E. (2014). Measuring the impacts of teachers I. American Economic Review
104, 2593-2632. Freedman, D. and Lane, D. (1983). A nonstochastic interpretation of reported significance levels.
Journal of Business & Economic Statistics 1, 292-298. Efron, B. and Morris, C. (1973). Stein's estimation rule and its
competitors. JASA 68, 117-130.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.shrinkage import RandomIntercept, random_intercept
from bipstudy.models.tidy import tidy_frame
from bipstudy.models.unit_spread import STATISTICS, ChanceSpread, SplitHalves, chance_spread, split_halves

__all__ = ["CaseworkerEffects", "caseworker_effects"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TENTHS = 2.0 * 1.2815515655446004  # 90th minus 10th percentile of the standard normal


@dataclass(frozen=True, kw_only=True)
class CaseworkerEffects:
    """Effects of caseworkers: spread, reliability and the part of chance.

    Attributes
    ----------
    fit : RandomIntercept
        Linear model with a random intercept by caseworker.
    halves : SplitHalves or None
        None if no time was given, or fewer than three caseworkers have rows in both halves.
    spread : ChanceSpread
    means : array, shape (groups,)
        Observed means of the adjusted outcome, as deviations.
    minimum_rows : int
        Rows a caseworker must have to be counted in `spread`.
    rows_given : int
        Rows of the frame, complete or not.
    notes : tuple of str
    """

    fit: RandomIntercept
    halves: SplitHalves | None
    spread: ChanceSpread
    means: Floats
    minimum_rows: int
    rows_given: int
    notes: tuple[str, ...] = ()

    def effects(self, level: float = 0.95) -> pd.DataFrame:
        """Shrunken effects with errors.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``caseworker, rows, mean, estimate, std_error, conf_low, conf_high, reliability``, sorted by caseworker.
            `mean` is the observed deviation, `estimate` what is left after shrinking.
        """
        table = self.fit.group_effects(level).rename(columns={"group": "caseworker"})
        table.insert(2, "mean", self.means)
        return table.drop(columns="conditional_error")

    def chance(self, level: float = 0.95) -> pd.DataFrame:
        """Observed spread beside the spread that chance alone would make.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``statistic, observed, chance_mean, chance_low, chance_high, p_value``; the limits are quantiles of the
            draws, the p-value is one-sided and counts the observed arrangement as one of the draws.
        """
        drawn, observed = self.spread.drawn, self.spread.observed
        tail = (1.0 - level) / 2.0
        # A draw that repeats the observed arrangement must count as equal whatever the rounding.
        reached = (drawn >= observed - 1e-12 * np.abs(observed)).sum(axis=0)
        return pd.DataFrame(
            {
                "statistic": list(STATISTICS),
                "observed": observed,
                "chance_mean": drawn.mean(axis=0),
                "chance_low": np.quantile(drawn, tail, axis=0),
                "chance_high": np.quantile(drawn, 1.0 - tail, axis=0),
                "p_value": (1.0 + reached) / (1.0 + drawn.shape[0]),
            }
        )

    def reliability(self) -> pd.DataFrame:
        """Reliability of the observed means.

        Returns
        -------
        DataFrame
            ``measure, estimate, caseworkers``: ``model_mean`` (mean of tau^2 / (tau^2 + sigma^2 / n) over
            caseworkers), ``split_half`` (correlation of the earlier and the later half), ``split_full``
            (Spearman-Brown) and ``lasting_share`` (covariance of the halves over the model's variance; below one,
            effects drift).
        """
        table = self.fit.group_effects()
        rows: list[tuple[str, float, int]] = [("model_mean", float(table["reliability"].mean()), len(table))]
        if self.halves is not None:
            tau = self._tau
            lasting = self.halves.covariance / tau**2 if tau > 0 else np.nan
            rows += [
                ("split_half", self.halves.correlation, self.halves.groups),
                ("split_full", self.halves.reliability, self.halves.groups),
                ("lasting_share", lasting, self.halves.groups),
            ]
        return pd.DataFrame(rows, columns=["measure", "estimate", "caseworkers"])

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Give standard deviations of true caseworker effects, in units of the outcome.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            The columns of every fit; terms ``sd_true`` (model; profile interval, p-value of the likelihood-ratio
            test), ``p90_minus_p10`` (the same as a gap between a good and a poor caseworker), ``sd_true_split`` (from
            the halves; interval by jackknife of the variance, an end below zero is shown as 0) and ``sd_residual``.
            Errors on the boundary are missing.
        """
        parts = self.fit.variance_components(level).set_index("component")
        tau, residual = parts.iloc[0], parts.loc["sd_residual"]
        p_value = float(self.fit.statistics["lr_p_value"])
        rows = [
            ("sd_true", tau["estimate"], tau["std_error"], p_value, tau["conf_low"], tau["conf_high"]),
            (
                "p90_minus_p10",
                *(_TENTHS * tau[["estimate", "std_error"]]),
                p_value,
                *(_TENTHS * tau[["conf_low", "conf_high"]]),
            ),
        ]
        if self.halves is not None:
            rows.append(("sd_true_split", *_root_of_variance(self.halves, level)))
        ends = (residual["conf_low"], residual["conf_high"])
        rows.append(("sd_residual", residual["estimate"], residual["std_error"], np.nan, *ends))
        table = tidy_frame(
            [row[0] for row in rows], np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
        )
        table["p_value"] = [row[3] for row in rows]
        table["conf_low"] = [row[4] for row in rows]
        table["conf_high"] = [row[5] for row in rows]
        return table

    def glance(self) -> pd.DataFrame:
        """One row about the fit: that of the model, with caseworkers and draws.

        Returns
        -------
        DataFrame
        """
        return self.fit.glance().assign(
            rows_dropped=self.rows_given - self.fit.source.used,
            caseworkers=len(self.fit.labels),
            caseworkers_in_spread=self.spread.groups,
            caseworkers_in_halves=0 if self.halves is None else self.halves.groups,
            draws=self.spread.drawn.shape[0],
        )

    @property
    def _tau(self) -> float:
        """Standard deviation of the true effects."""
        return float(self.fit.statistics["sd_group"])


def _root_of_variance(halves: SplitHalves, level: float) -> tuple[float, float, float, float, float]:
    """Estimate, error, one-sided p-value and interval of a standard deviation from an unbiased variance."""
    from scipy.special import ndtr, ndtri

    half = float(ndtri(0.5 + level / 2.0)) * halves.covariance_error
    low, centre, high = (float(np.sqrt(max(halves.covariance + shift, 0.0))) for shift in (-half, 0.0, half))
    error = halves.covariance_error / (2.0 * centre) if centre > 0 else np.nan
    return centre, error, float(ndtr(-halves.covariance / halves.covariance_error)), low, high


def caseworker_effects(
    frame: pd.DataFrame,
    *,
    outcome: str,
    caseworker: str,
    formula: str = "1",
    time: str | None = None,
    within: str | None = None,
    minimum_rows: int = 5,
    draws: int = 999,
    seed: int = 0,
) -> CaseworkerEffects:
    """Estimate how much caseworkers differ, beyond chance.

    Parameters
    ----------
    frame : DataFrame
        One row per case.
    outcome : str
        Column, numeric; a 0/1 outcome gives percentage points of probability (times 100).
    caseworker : str
        Column of the caseworkers; an id must mean one person.
    formula : str, default "1"
        Right side: what the cases bring, and calendar time.
    time : str, optional
        Column that orders a caseworker's cases, for the split-sample reliability. Dates or numbers.
    within : str, optional
        Column of strata: caseworkers are compared within them only (dummies are added, residuals dealt out within).
    minimum_rows : int, default 5
        Caseworkers with fewer cases do not count in the observed and chance spread of means. They do in the model.
    draws, seed : int
        Of the chance spread.

    Returns
    -------
    CaseworkerEffects

    Raises
    ------
    ModelError
        If fewer than two caseworkers have `minimum_rows` cases, regressors are collinear, or every caseworker has one
        case.

    Notes
    -----
    Differences are associations: cases are not dealt out at random, and `formula` adjusts only for what it names.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> worker = np.repeat(np.arange(60), 30)
    >>> y = rng.normal(0, 0.5, 60)[worker] + rng.normal(size=1800)
    >>> frame = pd.DataFrame({"y": y, "worker": worker, "week": np.tile(np.arange(30), 60)})
    >>> result = caseworker_effects(frame, outcome="y", caseworker="worker", time="week", draws=99)
    >>> result.tidy()[["term", "estimate"]].round(2).values.tolist()[0]
    ['sd_true', 0.44]
    >>> bool(result.chance()["p_value"].iloc[0] <= 0.01)
    True
    """
    right = formula if within is None else f"{formula} + C({within})"
    needed = [name for name in (outcome, caseworker, time, within) if name is not None]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(repr(name) for name in absent)}")
    complete = frame[frame[needed].notna().all(axis=1)].reset_index(drop=True)
    fit = random_intercept(complete, f"{outcome} ~ {right}", group=caseworker)
    matrix, response, rows = _arrays(fit, complete, outcome)
    codes = np.asarray(fit.labels.get_indexer(pd.Index(rows[caseworker])), dtype=np.int64)
    groups = len(fit.labels)
    stratum = None if within is None else np.asarray(pd.factorize(rows[within], sort=True)[0], dtype=np.int64)
    residual = response - matrix @ fit.estimates
    halves, notes = None, fit.notes
    if time is not None:
        order = np.asarray(pd.factorize(rows[time], sort=True)[0], dtype=np.float64)
        ratio = (float(fit.statistics["sd_group"]) / float(fit.statistics["sd_residual"])) ** 2
        halves = split_halves(residual=residual, group=codes, groups=groups, time=order, ratio=ratio)
        if halves is None:
            notes += (
                "fewer than three caseworkers have cases in both halves of their time: no split-sample reliability",
            )
    spread = chance_spread(
        design=matrix,
        outcome=response,
        group=codes,
        groups=groups,
        stratum=stratum,
        minimum_rows=minimum_rows,
        draws=draws,
        seed=seed,
    )
    means = np.bincount(codes, weights=residual, minlength=groups) / fit.sizes
    return CaseworkerEffects(
        fit=fit,
        halves=halves,
        spread=spread,
        means=means,
        minimum_rows=minimum_rows,
        rows_given=len(frame),
        notes=notes,
    )


def _arrays(fit: RandomIntercept, frame: pd.DataFrame, outcome: str) -> tuple[Floats, Floats, pd.DataFrame]:
    """Design, outcome and rows that the fit used."""
    rows = frame if fit.source.positions is None else frame.iloc[fit.source.positions]
    matrix = np.asarray(fit.design.matrix(rows), dtype=np.float64)
    return matrix, rows[outcome].to_numpy(dtype=np.float64), rows
