"""The gain in cross-validated discrimination again: other fits on the same folds, and pairs counted one by one."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recount import Person, background, first_measurements, people, simple_study, two_way

from bipstudy import schema
from bipstudy.models.penalised import STRENGTHS

BELIEF = "c_caseworker_belief"


@pytest.fixture(scope="module")
def everybody() -> tuple[Any, list[Person]]:
    study = simple_study(8)
    return study, people(study)


def answers(frame: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Answers in standard deviations, the mean where one is missing, and the share that is missing."""
    given = frame[names].astype(float)
    z = ((given - given.mean()) / given.std(ddof=1)).fillna(0.0).to_numpy()
    missing = given.isna().mean(axis=1).to_numpy()
    return np.column_stack([z, missing]) if missing.any() else z


def ridge(matrix: np.ndarray, y: np.ndarray, groups: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """Risks of rows tried, by scikit-learn's logit with the penalty that predicts groups left out best.

    Without a group the coefficients move by the inverse penalised information times its score.
    """
    from sklearn.linear_model import LogisticRegression

    unit = matrix.std(axis=0)
    unit[unit < 1e-10] = 1.0
    x, other = (matrix - matrix.mean(axis=0)) / unit, (tried - matrix.mean(axis=0)) / unit
    constant = np.column_stack([np.ones(len(x)), x])
    losses, beta = [], np.zeros(constant.shape[1])
    for strength in STRENGTHS:
        penalty = strength * np.diag([0.0] + [1.0] * x.shape[1])
        for _ in range(6):
            p = 1 / (1 + np.exp(-constant @ beta))
            information = (constant.T * (p * (1 - p))) @ constant + penalty
            beta = beta + np.linalg.solve(information, constant.T @ (y - p) - penalty @ beta)
        p = 1 / (1 + np.exp(-constant @ beta))
        information = (constant.T * (p * (1 - p))) @ constant + penalty
        scores = pd.DataFrame(constant * (y - p)[:, None]).groupby(groups).sum()
        moved = np.linalg.solve(information, scores.to_numpy().T).T[scores.index.get_indexer(groups)]
        eta = constant @ beta - (constant * moved).sum(axis=1)
        losses.append(np.sum(np.log1p(np.exp(eta)) - y * eta))
    best = STRENGTHS[int(np.argmin(losses))]
    fit = LogisticRegression(C=1.0 / best, solver="newton-cholesky", tol=1e-10, max_iter=200).fit(x, y)
    found: np.ndarray = fit.predict_proba(other)[:, 1]
    return found


def area(y: np.ndarray, risk: np.ndarray, fold: np.ndarray) -> tuple[float, np.ndarray]:
    """Share of the pairs within folds that are in the right order, ties counting half; what each row adds to it."""
    event, none = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    right = (risk[event][:, None] > risk[none]) + 0.5 * (risk[event][:, None] == risk[none])
    pairs = fold[event][:, None] == fold[none]
    found = float(right[pairs].mean())
    each = np.zeros(len(y))
    beyond = np.where(pairs, right - found, 0.0)
    each[event], each[none] = beyond.sum(axis=1), beyond.sum(axis=0)
    return found, each / pairs.sum()


def test_the_gain_in_discrimination_over_background(
    everybody: tuple[Any, list[Person]], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, persons = everybody
    items = schema.items().values()
    own = [f"p_{item.id}" for item in items if "participant" in item.respondents]
    theirs = [f"c_{item.id}" for item in items if "caseworker" in item.respondents and f"c_{item.id}" != BELIEF]
    frame = first_measurements(persons, 365)
    assert frame["y"].notna().all()
    both = frame[own].notna().any(axis=1) & frame[[*theirs, BELIEF]].notna().any(axis=1)
    frame = frame[both].reset_index(drop=True)

    # Only who is left out with whom is taken from the analysis.
    module = importlib.import_module("bipstudy.analyses.readiness")
    samples, predicted = [], {}
    sampled, predict = module._sample, module._predict

    def keep_sample(*given: Any) -> Any:
        samples.append(sampled(*given))
        return samples[-1]

    def keep_folds(sample: Any, name: str, *given: Any) -> Any:
        found = predict(sample, name, *given)
        predicted[name] = pd.Series(found.fold, index=sample.frame["participant"].astype(str))
        return found

    monkeypatch.setattr(module, "_sample", keep_sample)
    monkeypatch.setattr(module, "_predict", keep_folds)
    ((label, number),) = module.primaries(study)
    assert (label.contrast, label.scale, label.role) == ("prediction_over_background", "auc", "primary")
    folds = [dealt.reindex(frame["participant"]).to_numpy() for dealt in predicted.values()]
    assert len(folds) == 2
    fold, y, cluster = folds[0], frame["y"].to_numpy(), frame["cluster"].to_numpy()
    assert (fold == folds[1]).all()
    # Ten folds of whole caseworkers, as even as whole caseworkers can be.
    assert sorted(set(fold)) == [*range(10)]
    assert len({*zip(fold, cluster, strict=True)}) == len(set(cluster))
    assert np.ptp(np.bincount(fold)) <= pd.Series(cluster).value_counts().max()

    # The organisation cannot be taken to another one.
    known = background(frame)
    known = known[[name for name in known if not name.startswith("organisation_id")]].to_numpy()
    more = np.column_stack([known, answers(frame, own), answers(frame, theirs), answers(frame, [BELIEF])])
    found = []
    for matrix in (more, known):
        risk = np.zeros(len(y))
        for left_out in range(10):
            rest = fold != left_out
            risk[~rest] = ridge(matrix[rest], y[rest], cluster[rest], matrix[~rest])
        found.append(area(y, risk, fold))
    (high, of_high), (low, of_low) = found
    error = two_way(of_high - of_low, [cluster])
    assert (number.n, number.events, number.clusters) == (len(y), y.sum(), len(set(cluster)))
    assert number.estimate == pytest.approx(high - low, abs=1e-9)
    assert number.std_error == pytest.approx(error, rel=1e-9)
    assert number.conf_low == pytest.approx(high - low - 1.959964 * error, abs=1e-6)
