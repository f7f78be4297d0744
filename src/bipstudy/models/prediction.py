r"""Cross-validated prediction of a binary outcome, and how good it is, with cluster-aware intervals.

Every measure is a smooth function of means, so each row has an influence: what it adds to the measure. Sums of
influences within clusters give standard errors that allow for dependence, also for the difference of two predictions
of the same rows (DeLong, DeLong and Clarke-Pearson 1988; Obuchowski 1997 for clusters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, RowScores, clustered_covariance, encode_groups
from bipstudy.models.estimates import Errors, Estimates, tidy_frame

__all__ = [
    "CrossValidation",
    "Performance",
    "calibration_curve",
    "cross_validate",
    "decision_curve",
    "prediction_performance",
]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

INNER_FOLDS = 5


@dataclass(frozen=True)
class CrossValidation:
    """Predictions for rows whose group took no part in the fit that made them.

    Attributes
    ----------
    predictions : Series
        Probability of the outcome, with the index of the frame; missing where a feature or the outcome is.
    folds : Series
        Fold of each row, from 0; missing alike.
    fit : Any
        The model fitted to all complete rows.
    features : tuple of str
        Columns of the design matrix, for `fit`.
    """

    predictions: pd.Series
    folds: pd.Series
    fit: Any
    features: tuple[str, ...]


def cross_validate(
    frame: pd.DataFrame,
    formula: str,
    group: str,
    model: Any = "ridge",
    folds: int = 10,
    seed: int = 0,
) -> CrossValidation:
    """Predict a binary outcome for groups that were left out.

    Groups are dealt to folds whole, largest first to the fold with fewest rows, ties in an order drawn from the seed,
    so that a caseworker or an organisation is never on both sides. All tuning happens inside the rows that are fitted,
    in folds of whole groups again.

    Parameters
    ----------
    frame : DataFrame
    formula : str
        ``"y ~ x1 + C(x2)"``; the intercept is left to the model.
    group : str
        Column that must not be on both sides.
    model : {"ridge", "lasso", "boosted"} or a scikit-learn classifier
        Logistic regression with a quadratic or absolute penalty chosen by log loss over five inner folds, columns
        scaled to unit variance; or histogram-boosted trees (100 trees of at most 8 leaves, rate 0.05).
    folds : int, default 10
        No more than there are groups.
    seed : int, default 0

    Returns
    -------
    CrossValidation

    Raises
    ------
    ModelError
        If the outcome is not 0 or 1, or there are fewer groups than folds, or a fold leaves one outcome only.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"x": rng.normal(size=200), "g": np.arange(200) % 20})
    >>> frame["y"] = (frame.x + rng.normal(size=200) > 0).astype(int)
    >>> result = cross_validate(frame, "y ~ x", "g", folds=5)
    >>> bool(prediction_performance(frame.y, result.predictions).coef["auc"] > 0.7)
    True
    """
    from bipstudy.models.formula import build_design

    design = build_design(frame, formula, needs=[group], intercept=False)
    response = design.response
    if response is None or not np.all((response == 0.0) | (response == 1.0)):
        raise ModelError("the outcome must be 0 or 1")
    groups = int(design.frame[group].nunique())
    codes = np.asarray(pd.factorize(design.frame[group], sort=True)[0], dtype=np.int64)
    if groups < folds or folds < 2:
        raise ModelError(f"{groups} groups cannot be dealt to {folds} folds")
    fold = deal_groups(codes, folds, seed)
    predictions = np.full(len(response), np.nan)
    for number in range(folds):
        train = fold != number
        if response[train].min() == response[train].max():
            raise ModelError("a fold leaves rows with one outcome only; use fewer folds")
        fitted = _fitted(model, design.matrix[train], response[train], codes[train], seed)
        predictions[~train] = fitted.predict_proba(design.matrix[~train])[:, 1]
    positions = np.arange(len(frame)) if design.source.positions is None else design.source.positions
    whole, dealt = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    whole[positions], dealt[positions] = predictions, fold
    return CrossValidation(
        predictions=pd.Series(whole, index=frame.index, name="prediction"),
        folds=pd.Series(dealt, index=frame.index, name="fold").astype("Int64"),
        fit=_fitted(model, design.matrix, response, codes, seed),
        features=design.terms,
    )


def deal_groups(codes: IntArray, folds: int, seed: int) -> IntArray:
    """Fold of each row: whole groups, largest first, each to the fold with fewest rows.

    Parameters
    ----------
    codes : integer array of shape (n,)
    folds, seed : int

    Returns
    -------
    integer array of shape (n,)
    """
    sizes = np.bincount(codes)
    shuffle = np.random.default_rng(seed).permutation(len(sizes))
    order = shuffle[np.argsort(-sizes[shuffle], kind="stable")]
    load, fold = np.zeros(folds), np.zeros(len(sizes), dtype=np.int64)
    for group in order:
        fold[group] = int(np.argmin(load))
        load[fold[group]] += sizes[group]
    return np.asarray(fold[codes])


def _fitted(model: Any, matrix: FloatArray, response: FloatArray, codes: IntArray, seed: int) -> Any:
    """Model fitted to some rows, with one thread: many small fits, and sums that are made the same way everywhere."""
    import sklearn.ensemble

    assert sklearn.ensemble
    # scikit-learn brings threads of its own, which are found only once it is there.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        return _fitted_here(model, matrix, response, codes, seed)


def _fitted_here(model: Any, matrix: FloatArray, response: FloatArray, codes: IntArray, seed: int) -> Any:
    """Model fitted to some rows."""
    from sklearn.base import clone

    if not isinstance(model, str):
        return clone(model).fit(matrix, response)
    if model == "boosted":
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=8, learning_rate=0.05, early_stopping=False, random_state=seed
        )
        return trees.fit(matrix, response)
    if model not in ("ridge", "lasso"):
        raise ModelError(f"model must be 'ridge', 'lasso', 'boosted' or a classifier, got {model!r}")
    return _penalised(model, matrix, response, codes, seed)


def _penalised(kind: str, matrix: FloatArray, response: FloatArray, codes: IntArray, seed: int) -> Any:
    """Penalised logistic regression, penalty chosen by log loss in inner folds of whole groups."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inner = min(INNER_FOLDS, len(np.unique(codes)))
    strengths = np.logspace(-4, 2, 7)
    if inner >= 2:
        fold = deal_groups(np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64), inner, seed)
        loss = np.zeros(len(strengths))
        for number in range(inner):
            train = fold != number
            if response[train].min() == response[train].max():
                continue
            for place, strength in enumerate(strengths):
                fit = make_pipeline(StandardScaler(), _logistic(kind, strength)).fit(matrix[train], response[train])
                guess = np.clip(fit.predict_proba(matrix[~train])[:, 1], 1e-12, 1.0 - 1e-12)
                outcome = response[~train]
                loss[place] -= float((outcome * np.log(guess) + (1.0 - outcome) * np.log1p(-guess)).sum())
        strengths = strengths[[int(np.argmin(loss))]]
    return make_pipeline(StandardScaler(), _logistic(kind, float(strengths[0]))).fit(matrix, response)


def _logistic(kind: str, strength: float) -> Any:
    """Logistic regression with a penalty of inverse size `strength`."""
    from sklearn.linear_model import LogisticRegression

    if kind == "ridge":
        return LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8, max_iter=200)
    return LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", tol=1e-8, max_iter=1000, random_state=0)


@dataclass(frozen=True, kw_only=True)
class Performance(Estimates):
    """Measures of a prediction, or of the difference of two.

    Attributes
    ----------
    influence : array of shape (n, k)
        What each complete row adds to each measure; the sum of each column is zero.
    null : array of shape (k,)
        What each measure is tested against; NaN for nothing.
    rows, events : int
    """

    influence: FloatArray
    null: FloatArray
    rows: int
    events: int

    def tidy(self, level: float = 0.95, *, exponentiate: bool = False) -> pd.DataFrame:
        """Measures with intervals, tested against what a useless or a perfect prediction gives.

        An area of 0.5 and a slope of 1 are the nulls, zero for the rest and for every difference; the Brier score of
        one prediction is tested against nothing.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default False
            Of no use here.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        return tidy_frame(
            self.terms, self.estimates, self.std_errors, np.inf, level, exponentiate=exponentiate, null=self.null
        )

    def glance(self) -> pd.DataFrame:
        """One row: rows, events, clusters, convention."""
        return pd.DataFrame(
            {
                "model": ["prediction performance"],
                "rows": [self.rows],
                "events": [self.events],
                "clusters": [self.errors.clusters[0] if self.errors.clusters else pd.NA],
                "convention": [self.errors.text],
            }
        )


def prediction_performance(
    outcome: npt.ArrayLike,
    prediction: npt.ArrayLike,
    compared_with: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
) -> Performance:
    r"""Discrimination and calibration of predicted probabilities.

    ``auc``: chance that a row with the event has the higher prediction, ties counting half. ``brier``: mean squared
    error. ``brier_skill``: one minus its ratio to that of the mean outcome. ``calibration_difference``: mean outcome
    minus mean prediction. ``calibration_intercept`` and ``calibration_slope``: of the logit of the prediction in a
    logit of the outcome; 0 and 1 if calibrated.

    Parameters
    ----------
    outcome : array of shape (n,)
        0 or 1; rows with a missing outcome or prediction are left out.
    prediction : array of shape (n,)
        Probabilities.
    compared_with : array of shape (n,), optional
        Another prediction of the same rows: the measures are then of `prediction` minus those of this one.
    cluster : array of shape (n,), optional
        Errors add influences within clusters, with factor G/(G-1); without, rows are independent.

    Returns
    -------
    Performance

    Raises
    ------
    ModelError
        If only one outcome occurs or a prediction is no probability.

    References
    ----------
    DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988). Comparing the areas under two or more correlated
    receiver operating characteristic curves. Biometrics 44, 837-845. Obuchowski, N. A. (1997). Nonparametric analysis
    of clustered ROC curve data. Biometrics 53, 567-578. Van Calster, B. et al. (2019). Calibration: the Achilles heel
    of predictive analytics. BMC Medicine 17, 230.

    Examples
    --------
    >>> result = prediction_performance([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7])
    >>> round(float(result.coef["auc"]), 4)
    0.8889
    """
    parts = [np.asarray(outcome, dtype=np.float64), np.asarray(prediction, dtype=np.float64)]
    if compared_with is not None:
        parts.append(np.asarray(compared_with, dtype=np.float64))
    known = ~np.any([np.isnan(part) for part in parts], axis=0)
    y, predictions = parts[0][known], [part[known] for part in parts[1:]]
    if not np.all((y == 0.0) | (y == 1.0)) or y.size == 0 or y.min() == y.max():
        raise ModelError("the outcome must be 0 or 1, and both must occur")
    if any(np.any((guess < 0.0) | (guess > 1.0)) for guess in predictions):
        raise ModelError("predictions must lie between 0 and 1")
    measures = [_measures(y, guess) for guess in predictions]
    estimates, influence = measures[0]
    if len(measures) == 2:
        estimates, influence = estimates - measures[1][0], influence - measures[1][1]
    covariance, errors = _influence_covariance(influence, None if cluster is None else np.asarray(cluster)[known])
    return Performance(
        terms=("auc", "brier", "brier_skill", "calibration_difference", "calibration_intercept", "calibration_slope"),
        estimates=estimates,
        covariance=covariance,
        errors=errors,
        influence=influence,
        null=np.zeros(6) if len(measures) == 2 else np.array([0.5, np.nan, 0.0, 0.0, 0.0, 1.0]),
        rows=len(y),
        events=int(y.sum()),
    )


def _influence_covariance(influence: FloatArray, cluster: Any) -> tuple[FloatArray, Errors]:
    """Covariance from influences, within clusters or by row."""
    k = influence.shape[1]
    if cluster is None:
        rows = len(influence)
        return influence.T @ influence * rows / (rows - 1.0), Errors(text="independent rows assumed")
    codes, groups = encode_groups(cluster, "cluster")
    result = clustered_covariance(bread=np.eye(k), scores=RowScores(influence), codes=[codes])
    return result.covariance, Errors(("cluster",), "stata", (groups,), text=result.describe(["cluster"]))


def _measures(y: FloatArray, guess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Measures and their influences, shapes (6,) and (n, 6)."""
    rows = len(y)
    auc, auc_influence = _auc(y, guess)
    error = (y - guess) ** 2
    brier, share = error.mean(), y.mean()
    spread = share * (1.0 - share)
    brier_influence = (error - brier) / rows
    # Derivative of 1 - brier / (share (1 - share)).
    skill_influence = -brier_influence / spread + brier * (1.0 - 2.0 * share) / spread**2 * (y - share) / rows
    difference = y - guess
    intercept, slope, logit_influence = _calibration(y, guess)
    estimates = np.array([auc, brier, 1.0 - brier / spread, difference.mean(), intercept, slope])
    influence = np.column_stack(
        [auc_influence, brier_influence, skill_influence, (difference - difference.mean()) / rows, logit_influence]
    )
    return estimates, influence


def _auc(y: FloatArray, guess: FloatArray) -> tuple[float, FloatArray]:
    """Area under the curve and influences, by ranks."""
    from scipy.stats import rankdata

    event = y > 0.0
    ones, zeros = int(event.sum()), int((~event).sum())
    ranks = rankdata(guess)
    # Share of the other class that a row beats: its rank among all less its rank in its own class.
    beaten = np.empty(len(y))
    beaten[event] = (ranks[event] - rankdata(guess[event])) / zeros
    beaten[~event] = 1.0 - (ranks[~event] - rankdata(guess[~event])) / ones
    auc = float(beaten[event].mean())
    influence = np.where(event, (beaten - auc) / ones, (beaten - auc) / zeros)
    return auc, influence


def _calibration(y: FloatArray, guess: FloatArray) -> tuple[float, float, FloatArray]:
    """Intercept and slope of the outcome on the logit of the prediction, and influences."""
    from bipstudy.models.binary import fit_binary
    from bipstudy.models.solving import inverse

    inside = np.clip(guess, 1e-12, 1.0 - 1e-12)
    score = np.log(inside) - np.log1p(-inside)
    if score.min() == score.max():
        return np.nan, np.nan, np.full((len(y), 2), np.nan)
    matrix = np.column_stack([np.ones(len(y)), score])
    fit = fit_binary(matrix=matrix, response=y, link="logit")
    if fit.direction is not None:
        return np.nan, np.inf, np.full((len(y), 2), np.nan)
    influence = (matrix * fit.slope[:, None]) @ inverse(fit.information)
    return float(fit.beta[0]), float(fit.beta[1]), influence


def calibration_curve(
    outcome: npt.ArrayLike, prediction: npt.ArrayLike, cluster: npt.ArrayLike | None = None, bins: int = 10
) -> pd.DataFrame:
    """Observed share of events by groups of equal numbers of predictions.

    Parameters
    ----------
    outcome, prediction : arrays of shape (n,)
    cluster : array of shape (n,), optional
    bins : int, default 10
        Ties stay together, so there may be fewer.

    Returns
    -------
    DataFrame
        Columns ``bin, rows, events, predicted, observed, std_error, conf_low, conf_high``; intervals on the logit
        scale of the share, missing where it is 0 or 1.
    """
    y, guess = np.asarray(outcome, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    known = ~(np.isnan(y) | np.isnan(guess))
    y, guess = y[known], guess[known]
    codes, _ = pd.factorize(pd.qcut(pd.Series(guess), bins, duplicates="drop"), sort=True)
    counts = np.bincount(codes)
    member = codes[:, None] == np.arange(len(counts))
    share = (member * y[:, None]).sum(axis=0) / counts
    influence = member * (y[:, None] - share) / counts
    covariance, _ = _influence_covariance(influence, None if cluster is None else np.asarray(cluster)[known])
    error = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.log(share / (1.0 - share))
        half = 1.959963984540054 * error / (share * (1.0 - share))
        low, high = (1.0 / (1.0 + np.exp(-(score + side * half))) for side in (-1.0, 1.0))
    inside = (share > 0.0) & (share < 1.0)
    return pd.DataFrame(
        {
            "bin": np.arange(len(counts)),
            "rows": counts,
            "events": (member * y[:, None]).sum(axis=0).astype(int),
            "predicted": (member * guess[:, None]).sum(axis=0) / counts,
            "observed": share,
            "std_error": error,
            "conf_low": np.where(inside, low, np.nan),
            "conf_high": np.where(inside, high, np.nan),
        }
    )


def decision_curve(
    outcome: npt.ArrayLike,
    predictions: npt.ArrayLike,
    thresholds: Sequence[float],
    cluster: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    r"""Net benefit of acting on a prediction, beside acting on all and on none.

    At threshold t the net benefit is :math:`P(\hat p \ge t, y=1) - \frac{t}{1-t} P(\hat p \ge t, y=0)` (Vickers and
    Elkin 2006).

    Parameters
    ----------
    outcome, predictions : arrays of shape (n,)
    thresholds : sequence of float between 0 and 1
    cluster : array of shape (n,), optional

    Returns
    -------
    DataFrame
        Columns ``threshold, net_benefit, std_error, conf_low, conf_high, all, gain, gain_std_error``: ``all`` is the
        net benefit of acting on everybody, ``gain`` that of the prediction beyond the better of all and none.

    References
    ----------
    Vickers, A. J., Elkin, E. B. (2006). Decision curve analysis. Medical Decision Making 26, 565-574.
    """
    y, guess = np.asarray(outcome, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    known = ~(np.isnan(y) | np.isnan(guess))
    y, guess = y[known], guess[known]
    groups = None if cluster is None else np.asarray(cluster)[known]
    rows = []
    for threshold in thresholds:
        if not 0.0 < threshold < 1.0:
            raise ModelError("thresholds must lie between 0 and 1")
        odds = threshold / (1.0 - threshold)
        worth = y - odds * (1.0 - y)
        acted = np.where(guess >= threshold, worth, 0.0)
        everybody = worth if worth.mean() > 0.0 else np.zeros(len(y))
        values = np.column_stack([acted, acted - everybody])
        covariance, _ = _influence_covariance((values - values.mean(axis=0)) / len(y), groups)
        error = np.sqrt(np.diag(covariance))
        benefit = float(acted.mean())
        rows.append(
            {
                "threshold": threshold,
                "net_benefit": benefit,
                "std_error": error[0],
                "conf_low": benefit - 1.959963984540054 * error[0],
                "conf_high": benefit + 1.959963984540054 * error[0],
                "all": float(worth.mean()),
                "gain": float(values[:, 1].mean()),
                "gain_std_error": error[1],
            }
        )
    return pd.DataFrame(rows)
