"""Factor analysis and invariance: psych, GPArotation, lavaan, semopy, definitions, known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, factor_analysis, factor_model, measurement_invariance, parallel_analysis
from bipstudy.models.confirmatory import derivatives, discrepancy, group_data, scores_of
from bipstudy.models.factor_models import _start, _structure
from bipstudy.models.factors import fit_minres
from bipstudy.models.rotation import rotate

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "psychometrics.json").read_text())
MODEL = {"visual": ["x1", "x2", "x3"], "textual": ["x4", "x5", "x6"], "speed": ["x7", "x8", "x9"]}
ITEMS = [item for members in MODEL.values() for item in members]
# lavaan's optimiser stops at a relative change of 1e-12 of the discrepancy, which leaves up to 2e-6 in the parameters.
LAVAAN = 1e-5


def bfi() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "bfi.csv")
    return frame[frame.columns[:25]].dropna().reset_index(drop=True)


def holzinger() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "holzinger.csv")
    return frame.assign(classroom=pd.read_csv(REFERENCE / "holzinger_class.csv")["class"])


def two_factors(seed: int = 1, n: int = 600, loading: float = 0.8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    f = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], size=n)
    return pd.DataFrame({f"x{k}": loading * f[:, k // 4] + 0.6 * rng.normal(size=n) for k in range(8)})


def test_minres_is_that_of_psych() -> None:
    solution = factor_analysis(bfi(), list(bfi().columns), factors=5, rotation="none")
    # psych minimises with L-BFGS-B to its default tolerance, worth about four digits in the communalities.
    np.testing.assert_allclose(1 - solution.uniqueness, R["minres"]["communality"], atol=5e-4)
    np.testing.assert_allclose(solution.residual, R["minres"]["rms"], rtol=1e-4)
    assert solution.rows == R["minres"]["n"]


def test_minres_is_no_worse_than_psych() -> None:
    correlation = bfi().corr().to_numpy()
    ours = fit_minres(correlation, 5)
    gap = correlation - np.diag(R["minres"]["uniqueness"])
    theirs = 0.5 * float((np.sort(np.linalg.eigvalsh(gap))[:-5] ** 2).sum())
    assert ours.objective <= theirs + 1e-12


def test_minres_gradient_and_optimum() -> None:
    correlation = two_factors().corr().to_numpy()
    fit = fit_minres(correlation, 2)

    def objective(uniqueness: np.ndarray) -> float:
        return 0.5 * float((np.sort(np.linalg.eigvalsh(correlation - np.diag(uniqueness)))[:-2] ** 2).sum())

    step = 1e-5
    numeric = [
        (objective(fit.uniqueness + step * axis) - objective(fit.uniqueness - step * axis)) / (2 * step)
        for axis in np.eye(8)
    ]
    np.testing.assert_allclose(fit.gradient, numeric, atol=1e-9)
    np.testing.assert_allclose(fit.gradient, 0.0, atol=1e-7)
    residual = correlation - fit.loadings @ fit.loadings.T - np.diag(fit.uniqueness)
    np.testing.assert_allclose(0.5 * (residual**2).sum(), fit.objective, rtol=1e-9)
    np.testing.assert_allclose(np.diag(residual), 0.0, atol=1e-7)


def test_exact_structure_is_recovered() -> None:
    loadings = np.array([[0.9, 0], [0.8, 0], [0.7, 0], [0, 0.6], [0, 0.85], [0, 0.75]])
    between = np.array([[1, 0.4], [0.4, 1]])
    matrix = loadings @ between @ loadings.T
    np.fill_diagonal(matrix, 1.0)
    pattern, correlation = rotate(fit_minres(matrix, 2).loadings, "oblimin")
    np.testing.assert_allclose(np.abs(pattern).max(axis=1), loadings.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(correlation[0, 1], 0.4, atol=1e-5)


@pytest.mark.parametrize(("rotation", "key"), [("varimax", "varimax"), ("oblimin", "oblimin")])
def test_rotations_are_those_of_gparotation(rotation: Any, key: str) -> None:
    solution = factor_analysis(bfi(), list(bfi().columns), factors=5, rotation=rotation)
    theirs = np.array(R[key]["loadings"])
    # Factors come in any order and sign there; psych's unrotated solution is exact to about 5e-4.
    matched = [np.argmax(np.abs(theirs.T @ solution.loadings[:, k])) for k in range(5)]
    assert sorted(matched) == list(range(5))
    signs = np.sign((theirs[:, matched] * solution.loadings).sum(axis=0))
    np.testing.assert_allclose(theirs[:, matched] * signs, solution.loadings, atol=2e-3)
    if rotation == "oblimin":
        phi = np.array(R["oblimin"]["phi"])[np.ix_(matched, matched)] * np.outer(signs, signs)
        np.testing.assert_allclose(phi, solution.factor_correlation, atol=2e-3)


@pytest.mark.parametrize("rotation", ["varimax", "oblimin"])
def test_rotation_keeps_what_is_common(rotation: Any) -> None:
    loadings = fit_minres(two_factors().corr().to_numpy(), 2).loadings
    pattern, correlation = rotate(loadings, rotation)
    np.testing.assert_allclose(pattern @ correlation @ pattern.T, loadings @ loadings.T, atol=1e-10)
    np.testing.assert_allclose(np.diag(correlation), 1.0, rtol=1e-12)
    spin = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    again, _ = rotate(loadings @ spin, rotation)
    np.testing.assert_allclose(again, pattern, atol=1e-7)


def test_parallel_analysis_suggests_what_psych_suggests() -> None:
    result = parallel_analysis(bfi(), list(bfi().columns), draws=40)
    np.testing.assert_allclose(result.components, R["parallel"]["pc"], rtol=1e-10)
    assert result.number_of_components == R["parallel"]["ncomp"]
    assert result.number_of_factors == R["parallel"]["nfact"]


def test_parallel_analysis_does_not_depend_on_the_order_of_rows() -> None:
    frame = two_factors()
    one = parallel_analysis(frame, list(frame.columns), draws=20).tidy()
    other = parallel_analysis(frame.sample(frac=1.0, random_state=1), list(frame.columns), draws=20).tidy()
    np.testing.assert_allclose(other, one, rtol=1e-12)


def test_unrelated_items_have_no_factors() -> None:
    rng, found = np.random.default_rng(5), 0
    for _ in range(20):
        frame = pd.DataFrame(rng.normal(size=(100, 5)), columns=list("abcde"))
        found += parallel_analysis(frame, list("abcde"), draws=25).number_of_components > 0
    # One in twenty by construction; more than 4 of 20 happens once in 400 times.
    assert found <= 4


def test_polychoric_factors_undo_coarse_answers() -> None:
    frame = two_factors(n=4000)
    coarse = frame.apply(lambda column: np.digitize(column, [-0.3, 1.4]))
    names = list(frame.columns)
    fine = factor_analysis(frame, names, factors=2).loadings
    by_pearson = factor_analysis(coarse, names, factors=2).loadings
    by_polychoric = factor_analysis(coarse, names, factors=2, correlation="polychoric").loadings
    assert np.abs(by_polychoric - fine).max() < 0.06
    assert np.abs(by_polychoric - fine).max() < np.abs(by_pearson - fine).max()


@pytest.mark.parametrize("step", ["configural", "metric", "scalar", "strict"])
def test_invariance_is_that_of_lavaan(step: str) -> None:
    ours = measurement_invariance(holzinger(), MODEL, group="school", steps=(step,)).fits[step]
    expected = R["invariance"][step]
    for ours_name, name in [("chisq", "chisq"), ("cfi", "cfi"), ("tli", "tli"), ("rmsea", "rmsea"), ("bic", "bic")]:
        np.testing.assert_allclose(ours.measures[ours_name], expected[name], rtol=1e-8)
    np.testing.assert_allclose(ours.measures["log_likelihood"], expected["logl"], rtol=1e-10)
    np.testing.assert_allclose(ours.measures["srmr"], expected["srmr"], rtol=1e-5)  # not at its own minimum there
    assert ours.measures["df"] == expected["df"]
    assert len(ours.terms) == expected["npar"]


@pytest.mark.parametrize("step", ["configural", "metric", "scalar"])
def test_scaled_statistics_are_those_of_lavaan(step: str) -> None:
    ours = measurement_invariance(holzinger(), MODEL, group="school", steps=(step,)).fits[step]
    np.testing.assert_allclose(ours.measures["scaling_factor"], R["mlm"][step]["chisq.scaling.factor"], rtol=LAVAAN)
    np.testing.assert_allclose(ours.measures["chisq_scaled"], R["mlm"][step]["chisq.scaled"], rtol=LAVAAN)


def test_scaled_difference_is_that_of_lavaan() -> None:
    table = measurement_invariance(holzinger(), MODEL, group="school").tidy().set_index("step")
    expected = R["mlm_difference"]
    np.testing.assert_allclose(table.loc["scalar", "chisq_difference_scaled"], expected["Chisq diff"], rtol=LAVAAN)
    np.testing.assert_allclose(table.loc["scalar", "p_difference_scaled"], expected["Pr(>Chisq)"], rtol=1e-3)
    assert table.loc["metric", "holds"]
    assert not table.loc["scalar", "holds"]


def test_reached_step_is_the_last_that_holds_with_all_before() -> None:
    result = measurement_invariance(holzinger(), MODEL, group="school")
    assert result.tidy()["holds"].tolist()[1:] == [True, False, True]
    assert result.glance()["reached"].item() == "metric"


def expected_parameters(key: str) -> pd.DataFrame:
    table = pd.DataFrame(R[key])
    return table.set_index(table["lhs"] + table["op"] + table["rhs"].fillna(""))


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("single", {"robust": False}),
        ("single_robust", {}),
        ("single_clustered", {"cluster": "classroom"}),
    ],
)
def test_parameters_and_errors_are_those_of_lavaan(key: str, options: dict[str, Any]) -> None:
    ours = factor_model(holzinger(), MODEL, **options).tidy().set_index("term")
    table = pd.DataFrame(R["single"]["parameters"]) if key == "single" else pd.DataFrame(R[key])
    names = table["lhs"] + table["op"] + table["rhs"].fillna("")
    np.testing.assert_allclose(ours.loc[names, "estimate"], table["est"], atol=LAVAAN)
    np.testing.assert_allclose(ours.loc[names, "std_error"], table["se"], rtol=LAVAAN)


def test_same_as_semopy() -> None:
    import semopy

    text = "\n".join(f"{factor} =~ {' + '.join(items)}" for factor, items in MODEL.items())
    other = semopy.Model(text)
    other.fit(holzinger()[ITEMS])
    statistics = semopy.calc_stats(other)
    ours = factor_model(holzinger(), MODEL).measures
    np.testing.assert_allclose(ours["chisq"], statistics["chi2"].item(), rtol=1e-4)
    np.testing.assert_allclose(ours["cfi"], statistics["CFI"].item(), rtol=1e-4)


def case(equal: tuple[str, ...] = ("loadings", "intercepts")) -> tuple[Any, Any, np.ndarray]:
    frame = holzinger()
    data = group_data([rows[ITEMS].to_numpy(dtype=float) for _, rows in frame.groupby("school")])
    structure, _ = _structure(MODEL, ITEMS, ["a", "b"], equal)  # type: ignore[arg-type]
    start = _start(structure, data)
    return structure, data, start + np.random.default_rng(1).normal(0, 0.05, start.size)


@pytest.mark.parametrize("equal", [(), ("loadings",), ("loadings", "intercepts", "residuals")])
def test_gradient_is_the_derivative_of_the_discrepancy(equal: tuple[str, ...]) -> None:
    structure, data, at = case(equal)
    step = 1e-5
    numeric = [
        (discrepancy(structure, data, at + step * axis) - discrepancy(structure, data, at - step * axis)) / (2 * step)
        for axis in np.eye(at.size)
    ]
    np.testing.assert_allclose(derivatives(structure, data, at)[0], numeric, rtol=1e-6, atol=1e-8)


def test_case_scores_add_up_to_the_gradient() -> None:
    structure, data, at = case()
    scores, _ = scores_of(structure, data, at)
    np.testing.assert_allclose(
        scores.sum(axis=0), -0.5 * data.sizes.sum() * derivatives(structure, data, at)[0], rtol=1e-9, atol=1e-8
    )


def test_saturated_one_factor_model_fits_exactly() -> None:
    ours = factor_model(holzinger(), {"visual": ["x1", "x2", "x3"]})
    assert ours.measures["df"] == 0
    np.testing.assert_allclose(ours.measures["chisq"], 0.0, atol=1e-9)


def test_order_labels_and_units_change_nothing() -> None:
    frame = holzinger()
    plain = measurement_invariance(frame, MODEL, group="school").tidy()
    moved = frame.sample(frac=1.0, random_state=1)
    moved = moved.assign(school=moved["school"].map({"Pasteur": "a", "Grant-White": "z"}), x1=100 * moved["x1"] - 7)
    other = measurement_invariance(moved, MODEL, group="school").tidy()
    for name in ("chisq", "chisq_scaled", "cfi", "rmsea"):
        np.testing.assert_allclose(other[name], plain[name], rtol=1e-7)


def test_a_shifted_intercept_is_found() -> None:
    rng = np.random.default_rng(7)
    f = rng.normal(size=1200)
    frame = pd.DataFrame({name: 0.8 * f + 0.6 * rng.normal(size=1200) for name in "abcde"})
    frame = frame.assign(g=np.arange(1200) % 2)
    even = measurement_invariance(frame, {"f": list("abcde")}, group="g")
    shifted = measurement_invariance(frame.assign(a=frame["a"] + 0.5 * frame["g"]), {"f": list("abcde")}, group="g")
    assert even.glance()["reached"].item() == "strict"
    assert shifted.glance()["reached"].item() == "metric"


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (lambda: factor_model(holzinger(), {"a": ["x1", "x2"], "b": ["x2", "x3"]}), "one factor only"),
        (lambda: factor_model(holzinger(), {"a": ["x1", "x2"]}), "identified"),
        (lambda: factor_model(holzinger().head(8), MODEL), "complete cases"),
        (lambda: factor_model(holzinger().assign(x1=1.0), MODEL), "without variation"),
        (lambda: factor_model(holzinger().assign(x1=lambda f: f["x2"] + f["x3"]), MODEL), "combination"),
        (lambda: measurement_invariance(holzinger().assign(g=1), MODEL, group="g"), "one group"),
        (lambda: measurement_invariance(holzinger(), MODEL, group="school", steps=("loose",)), "loose"),
        (lambda: factor_analysis(holzinger(), ITEMS, factors=6), "do not determine"),
        (lambda: factor_analysis(holzinger().assign(x1=1.0), ITEMS, factors=2), "does not vary"),
    ],
)
def test_what_cannot_be_estimated_is_said(job: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        job()


@pytest.mark.certify
def test_scaled_statistic_keeps_its_size_on_skewed_clustered_answers() -> None:
    # Under the model the scaled statistic has the mean of its degrees of freedom; the plain one does not.
    rng = np.random.default_rng(21)
    plain, scaled = [], []
    group = np.repeat(np.arange(100), 5)
    for _ in range(80):
        f = rng.normal(size=500) + rng.normal(size=100)[group]
        noise = (rng.chisquare(2, size=(500, 4)) - 2) / 2 + 0.7 * rng.normal(size=(100, 4))[group]
        frame = pd.DataFrame(f[:, None] + noise, columns=list("abcd")).assign(g=group)
        measures = factor_model(frame, {"f": list("abcd")}, cluster="g").measures
        plain.append(measures["chisq"])
        scaled.append(measures["chisq_scaled"])
    # Two degrees of freedom: the mean of 80 has an error of 2 / sqrt(80) = 0.22.
    assert abs(np.mean(scaled) - 2.0) < 4 * 0.25
    assert np.mean(plain) > np.mean(scaled) * 1.15
