"""Penalised prediction against scikit-learn and refits without each group; weights as repeated rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, calibration_curve, cross_validate, decision_curve, prediction_performance
from bipstudy.models.penalised import fit_ridge_logit


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 6)) * [1, 2, 5, 1, 1, 1] + [0, 1, 9, 0, 0, 0]
    eta = 0.6 * x[:, 0] + 0.2 * x[:, 1] - 1.5
    y = (rng.random(600) < 1 / (1 + np.exp(-eta))).astype(float)
    return {"matrix": x, "response": y, "codes": rng.integers(0, 60, 600), "weights": rng.integers(1, 4, 600) * 1.0}


@pytest.mark.parametrize("strength", [1.0, 100.0])
def test_the_penalised_fit_is_that_of_scikit_learn(drawn, strength):
    from sklearn.linear_model import LogisticRegression

    fit = fit_ridge_logit(**drawn, strengths=[strength])
    z = (drawn["matrix"] - drawn["matrix"].mean(axis=0)) / drawn["matrix"].std(axis=0)
    other = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-12, max_iter=500)
    other.fit(z, drawn["response"], sample_weight=drawn["weights"])
    # Both stop when the gradient is gone to ten digits.
    np.testing.assert_allclose(fit.coefficients, other.coef_[0], rtol=1e-6, atol=1e-8)
    assert fit.intercept == pytest.approx(other.intercept_[0], rel=1e-6)
    np.testing.assert_allclose(fit.predict_proba(drawn["matrix"]), other.predict_proba(z), rtol=1e-6)


def test_the_loss_without_a_group_is_close_to_that_of_refits(drawn):
    strengths = [1000.0, 100.0, 10.0, 1.0]
    fit = fit_ridge_logit(**drawn, strengths=strengths)
    y, w, codes = drawn["response"], drawn["weights"], drawn["codes"]
    exact = []
    for strength in strengths:
        left_out = np.empty(600)
        for group in np.unique(codes):
            out = codes == group
            part = {name: values[~out] for name, values in drawn.items()}
            part["codes"] = np.unique(part["codes"], return_inverse=True)[1]
            left_out[out] = fit_ridge_logit(**part, strengths=[strength]).linear_predictor(drawn["matrix"][out])
        exact.append(float(w @ (np.logaddexp(0, left_out) - y * left_out) / w.sum()))
    # To first order in a group of a sixtieth of the rows: the error is of the order of its square.
    np.testing.assert_allclose(fit.losses, exact, atol=2e-3 * np.mean(exact))
    assert fit.strength == strengths[int(np.argmin(exact))]


def test_one_outcome_only_is_refused(drawn):
    with pytest.raises(ModelError, match="both outcomes"):
        fit_ridge_logit(matrix=drawn["matrix"], response=np.zeros(600), codes=drawn["codes"])


def test_weights_are_repeated_rows(drawn):
    rng = np.random.default_rng(1)
    guess = np.clip(0.3 + 0.1 * rng.normal(size=600) + 0.2 * drawn["response"], 0.01, 0.99).round(2)
    other = rng.random(600).round(2)
    y, w = drawn["response"], drawn["weights"].copy()
    w[:50] = 0.0
    again = np.repeat(np.arange(600), w.astype(int))
    one = prediction_performance(y, guess, other, cluster=np.arange(600), weights=w)
    two = prediction_performance(y[again], guess[again], other[again], cluster=again)
    np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-7)
    curve = decision_curve(y, guess, [0.2, 0.4], cluster=np.arange(600), weights=w)
    pd.testing.assert_frame_equal(curve, decision_curve(y[again], guess[again], [0.2, 0.4], cluster=again))
    tied = calibration_curve(y, guess, weights=w, bins=1)
    assert tied["observed"].item() == pytest.approx(y[again].mean())
    assert tied["predicted"].item() == pytest.approx(guess[again].mean())


def test_the_weighted_area_is_that_of_scikit_learn(drawn):
    from sklearn.metrics import roc_auc_score

    guess = np.round(1 / (1 + np.exp(-drawn["matrix"][:, 0])), 1)
    ours = prediction_performance(drawn["response"], guess, weights=drawn["weights"]).coef["auc"]
    assert ours == pytest.approx(roc_auc_score(drawn["response"], guess, sample_weight=drawn["weights"]), rel=1e-12)


@pytest.mark.parametrize("model", ["ridge", "lasso", "boosted"])
def test_rows_of_weight_zero_do_not_teach(drawn, model):
    frame = pd.DataFrame(drawn["matrix"], columns=list("abcdef")).assign(y=drawn["response"], g=drawn["codes"])
    wrong = frame.assign(w=(np.arange(600) >= 200) * 1.0)
    wrong.loc[wrong["w"] == 0, "y"] = 1 - wrong["y"]
    found = cross_validate(wrong, "y ~ a + b + c", "g", model=model, folds=3, weights="w")
    right = cross_validate(wrong.assign(y=frame["y"]), "y ~ a + b + c", "g", model=model, folds=3, weights="w")
    # liblinear ends its sweeps by chance; the others forget what has no weight.
    np.testing.assert_allclose(found.predictions, right.predictions, atol=1e-4 if model == "lasso" else 1e-9)
    with pytest.raises(ModelError, match="weights"):
        prediction_performance(frame["y"], found.predictions, weights=-np.ones(600))
