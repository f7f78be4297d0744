"""Prediction of a binary outcome for groups that took no part in the fit."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError

__all__ = ["CrossValidation", "cross_validate", "deal_groups"]

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
    weights: str | None = None,
) -> CrossValidation:
    """Predict a binary outcome for groups that were left out.

    Groups are dealt to folds whole, largest first to the fold with fewest rows, ties in an order drawn from the seed,
    so that a caseworker or an organisation is never on both sides. All tuning happens inside the rows that are fitted,
    by the loss on whole groups again.

    Parameters
    ----------
    frame : DataFrame
    formula : str
        ``"y ~ x1 + C(x2)"``; the intercept is left to the model.
    group : str
        Column that must not be on both sides.
    model : {"ridge", "lasso", "boosted"} or a scikit-learn classifier
        Logistic regression, columns scaled to unit variance, with a quadratic penalty chosen by the log loss on groups
        left out (`bipstudy.models.penalised`) or an absolute one chosen over five inner folds; or histogram-boosted
        trees (100 trees of at most 8 leaves, rate 0.05).
    folds : int, default 10
        No more than there are groups.
    seed : int, default 0
    weights : str, optional
        Column of case weights for the fits, such as censoring weights; rows of weight zero are predicted too.

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
    >>> from bipstudy.models import prediction_performance
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"x": rng.normal(size=200), "g": np.arange(200) % 20})
    >>> frame["y"] = (frame.x + rng.normal(size=200) > 0).astype(int)
    >>> result = cross_validate(frame, "y ~ x", "g", folds=5)
    >>> bool(prediction_performance(frame.y, result.predictions).coef["auc"] > 0.7)
    True
    """
    from bipstudy.models.design import build_design

    design = build_design(frame, formula, needs=[group, *([weights] if weights else [])], intercept=False)
    response = design.response
    if response is None or not np.all((response == 0.0) | (response == 1.0)):
        raise ModelError("the outcome must be 0 or 1")
    groups = int(design.frame[group].nunique())
    codes = np.asarray(pd.factorize(design.frame[group], sort=True)[0], dtype=np.int64)
    if groups < folds or folds < 2:
        raise ModelError(f"{groups} groups cannot be dealt to {folds} folds")
    weight = None if weights is None else design.frame[weights].to_numpy(dtype=np.float64)
    fold = deal_groups(codes, folds, seed)
    predictions = np.full(len(response), np.nan)
    with _one_thread(model):
        for number in range(folds):
            train = fold != number
            if response[train].min() == response[train].max():
                raise ModelError("a fold leaves rows with one outcome only; use fewer folds")
            part = None if weight is None else weight[train]
            fitted = _fitted(model, design.matrix[train], response[train], codes[train], seed, part)
            predictions[~train] = fitted.predict_proba(design.matrix[~train])[:, 1]
        everyone = _fitted(model, design.matrix, response, codes, seed, weight)
    positions = np.arange(len(frame)) if design.source.positions is None else design.source.positions
    whole, dealt = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    whole[positions], dealt[positions] = predictions, fold
    return CrossValidation(
        predictions=pd.Series(whole, index=frame.index, name="prediction"),
        folds=pd.Series(dealt, index=frame.index, name="fold").astype("Int64"),
        fit=everyone,
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


def _one_thread(model: Any) -> AbstractContextManager[Any]:
    """Fit and predict with one thread: many small fits, and sums that are made the same way everywhere.

    Threads that wait for each other between the trees of a forest take far longer than the trees.
    """
    if model != "ridge":
        import sklearn.ensemble

        assert sklearn.ensemble
    # scikit-learn brings threads of its own, which are found only once it is there.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _fitted(
    model: Any, matrix: FloatArray, response: FloatArray, codes: IntArray, seed: int, weight: FloatArray | None
) -> Any:
    """Model fitted to some rows."""
    if model == "ridge":
        from bipstudy.models.penalised import fit_ridge_logit

        return fit_ridge_logit(matrix=matrix, response=response, codes=codes, weights=weight)
    if model == "lasso":
        return _lasso(matrix, response, codes, seed, weight)
    given = {} if weight is None else {"sample_weight": weight}
    if not isinstance(model, str):
        from sklearn.base import clone

        return clone(model).fit(matrix, response, **given)
    if model == "boosted":
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=8, learning_rate=0.05, early_stopping=False, random_state=seed
        )
        return trees.fit(matrix, response, **given)
    raise ModelError(f"model must be 'ridge', 'lasso', 'boosted' or a classifier, got {model!r}")


def _lasso(matrix: FloatArray, response: FloatArray, codes: IntArray, seed: int, weight: FloatArray | None) -> Any:
    """Logistic regression with an absolute penalty, chosen by log loss in inner folds of whole groups."""
    inner = min(INNER_FOLDS, len(np.unique(codes)))
    strengths = np.logspace(-4, 2, 7)
    weight = np.ones(len(response)) if weight is None else weight
    if inner >= 2:
        fold = deal_groups(np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64), inner, seed)
        loss = np.zeros(len(strengths))
        for number in range(inner):
            train = fold != number
            if response[train].min() == response[train].max():
                continue
            for place, strength in enumerate(strengths):
                fit = _absolute(matrix[train], response[train], weight[train], strength)
                guess = np.clip(fit.predict_proba(matrix[~train])[:, 1], 1e-12, 1.0 - 1e-12)
                outcome = response[~train]
                loss[place] -= float(weight[~train] @ (outcome * np.log(guess) + (1.0 - outcome) * np.log1p(-guess)))
        strengths = strengths[[int(np.argmin(loss))]]
    return _absolute(matrix, response, weight, float(strengths[0]))


def _absolute(matrix: FloatArray, response: FloatArray, weight: FloatArray, strength: float) -> Any:
    """Logistic regression with an absolute penalty of inverse size `strength`, columns scaled."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logit = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", tol=1e-8, max_iter=1000, random_state=0)
    return make_pipeline(StandardScaler(), logit).fit(matrix, response, logisticregression__sample_weight=weight)
