"""Reliability, agreement, polychoric correlation: psych, lavaan, polycor, pingouin, definitions, known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bipstudy.models import ModelError, intraclass_correlation, polychoric, reliability, weighted_kappa
from bipstudy.models.polychorics import bivariate_normal, fit_polychoric, influence_error

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "psychometrics.json").read_text())
NEUROTICISM = ["N1", "N2", "N3", "N4", "N5"]


def bfi() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "bfi.csv")
    return frame[frame.columns[:25]].dropna().reset_index(drop=True)


def raters() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "two_raters.csv")


def shrout_fleiss() -> pd.DataFrame:
    rows = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    return pd.DataFrame(rows, columns=list("abcd"))


def test_alpha_and_items_are_those_of_psych() -> None:
    result = reliability(bfi(), NEUROTICISM)
    table = result.tidy().set_index("term")["estimate"]
    np.testing.assert_allclose(table["alpha"], R["alpha"]["raw"], rtol=1e-12)
    np.testing.assert_allclose(table["alpha_standardised"], R["alpha"]["std"], rtol=1e-12)
    np.testing.assert_allclose(result.item_table["alpha_without"], R["alpha"]["drop"], rtol=1e-12)
    np.testing.assert_allclose(result.item_table["item_rest"], R["alpha"]["item_rest"], rtol=1e-12)


def test_omega_is_that_of_lavaan() -> None:
    result = reliability(bfi(), NEUROTICISM)
    table = result.tidy().set_index("term")
    # lavaan stops at a relative change of 1e-12 of the discrepancy, about 1e-7 in the parameters.
    np.testing.assert_allclose(table.loc["omega", "estimate"], R["omega"]["total"], rtol=1e-6)
    np.testing.assert_allclose(table.loc["omega", "std_error"], R["omega"]["robust_error"], rtol=1e-5)
    deviations = bfi()[NEUROTICISM].std(ddof=0)
    np.testing.assert_allclose(result.item_table["loading"] * deviations.to_numpy(), R["omega"]["loadings"], rtol=1e-5)


def test_alpha_is_that_of_pingouin() -> None:
    import pingouin

    value, _ = pingouin.cronbach_alpha(bfi()[NEUROTICISM])
    np.testing.assert_allclose(reliability(bfi(), NEUROTICISM).estimates[0], value, rtol=1e-12)


@pytest.mark.parametrize("position", [0, 1])
def test_error_of_alpha_is_that_of_the_jackknife(position: int) -> None:
    frame = bfi()[NEUROTICISM].head(400)
    result = reliability(frame, NEUROTICISM)
    values = frame.to_numpy(dtype=float)

    def alpha(x: np.ndarray) -> float:
        matrix = np.corrcoef(x, rowvar=False) if position else np.cov(x, rowvar=False)
        p = x.shape[1]
        return float(p / (p - 1) * (1 - np.trace(matrix) / matrix.sum()))

    left_out = np.array([alpha(np.delete(values, k, axis=0)) for k in range(len(values))])
    jackknife = np.sqrt((len(values) - 1) / len(values) * ((left_out - left_out.mean()) ** 2).sum())
    # Jackknife and influence agree but for terms of order 1 / n.
    np.testing.assert_allclose(result.std_errors[position], jackknife, rtol=0.01)


def test_item_rest_error_is_that_of_the_jackknife() -> None:
    frame = bfi()[NEUROTICISM].head(300)
    values = frame.to_numpy(dtype=float)
    left_out = np.array(
        [
            np.corrcoef(np.delete(values[:, 0], k), np.delete(values[:, 1:].sum(axis=1), k))[0, 1]
            for k in range(len(values))
        ]
    )
    jackknife = np.sqrt((len(values) - 1) / len(values) * ((left_out - left_out.mean()) ** 2).sum())
    np.testing.assert_allclose(reliability(frame, NEUROTICISM).item_table["item_rest_error"][0], jackknife, rtol=0.01)


def test_one_cluster_per_row_is_no_clusters_but_for_the_factor() -> None:
    frame = bfi().head(500).assign(own=np.arange(500))
    plain, clustered = reliability(frame, NEUROTICISM), reliability(frame, NEUROTICISM, cluster="own")
    np.testing.assert_allclose(clustered.std_errors, plain.std_errors * np.sqrt(500 / 499), rtol=1e-9)


def test_doubled_rows_in_clusters_keep_the_error() -> None:
    frame = bfi().head(300).assign(own=np.arange(300))
    doubled = pd.concat([frame, frame])
    once, twice = reliability(frame, NEUROTICISM, cluster="own"), reliability(doubled, NEUROTICISM, cluster="own")
    np.testing.assert_allclose(twice.estimates, once.estimates, rtol=1e-7)
    np.testing.assert_allclose(twice.std_errors, once.std_errors, rtol=1e-6)


def test_reliability_does_not_depend_on_order_units_or_names() -> None:
    frame = bfi().head(400)
    plain = reliability(frame, NEUROTICISM)
    moved = frame.sample(frac=1.0, random_state=1)[NEUROTICISM] * 25.0 - 3.0
    other = reliability(moved.rename(columns=str.lower), [name.lower() for name in NEUROTICISM])
    np.testing.assert_allclose(other.estimates, plain.estimates, rtol=1e-8)
    np.testing.assert_allclose(other.std_errors, plain.std_errors, rtol=1e-6)


def test_parallel_items_have_the_reliability_of_the_formula() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(size=40_000)
    frame = pd.DataFrame({f"x{k}": common + rng.normal(size=40_000) for k in range(4)})
    # Reliability of a sum of four items with correlation one half: 4 * 0.5 / (1 + 3 * 0.5).
    result = reliability(frame, list(frame.columns))
    assert (np.abs(result.estimates - 0.8) < 4 * result.std_errors).all()


def test_an_item_that_runs_against_the_others_is_said() -> None:
    frame = bfi().assign(N1=lambda f: 7 - f["N1"])
    assert any("N1" in note for note in reliability(frame, NEUROTICISM).notes)


def test_missing_answers_are_counted() -> None:
    frame = pd.read_csv(REFERENCE / "bfi.csv")
    result = reliability(frame, NEUROTICISM)
    assert result.glance()["rows"].item() == len(frame[NEUROTICISM].dropna())
    assert result.glance()["rows_dropped"].item() == len(frame) - len(frame[NEUROTICISM].dropna())
    np.testing.assert_allclose(result.item_table["missing"], frame[NEUROTICISM].isna().mean())


def test_intraclass_correlations_are_those_of_psych() -> None:
    expected = pd.DataFrame(R["icc"])
    table = intraclass_correlation(shrout_fleiss(), list("abcd")).tidy()
    np.testing.assert_allclose(table["estimate"], expected["ICC"], rtol=1e-10)
    np.testing.assert_allclose(table["conf_low"], expected["lower bound"], rtol=1e-8)
    np.testing.assert_allclose(table["conf_high"], expected["upper bound"], rtol=1e-8)
    np.testing.assert_allclose(table["p_value"], expected["p"], rtol=1e-8)


def test_intraclass_correlations_are_those_of_pingouin() -> None:
    import pingouin

    frame = raters().reset_index().melt("index", var_name="rater", value_name="score")
    other = pingouin.intraclass_corr(frame, targets="index", raters="rater", ratings="score")
    ours = intraclass_correlation(raters(), ["r1", "r2"]).tidy()
    np.testing.assert_allclose(np.sort(ours["estimate"]), np.sort(other["ICC"]), atol=1e-6)  # pingouin rounds


def test_errors_of_intraclass_correlations_are_those_of_the_jackknife() -> None:
    frame = raters().head(200)
    n = len(frame)
    ours = intraclass_correlation(frame, ["r1", "r2"]).tidy()
    left_out = np.array(
        [intraclass_correlation(frame.drop(index=k), ["r1", "r2"]).tidy()["estimate"].to_numpy() for k in range(n)]
    )
    jackknife = np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(ours["std_error"], jackknife, rtol=0.02)


def test_a_constant_difference_lowers_agreement_but_not_consistency() -> None:
    frame = raters()
    moved = frame.assign(r2=frame["r2"] + 2)
    before = intraclass_correlation(frame, ["r1", "r2"]).tidy().set_index("term")["estimate"]
    after = intraclass_correlation(moved, ["r1", "r2"]).tidy().set_index("term")["estimate"]
    np.testing.assert_allclose(after["icc3"], before["icc3"], rtol=1e-12)
    assert after["icc2"] < before["icc2"] - 0.2


@pytest.mark.parametrize(("weights", "key"), [("none", "unweighted"), ("quadratic", "quadratic"), ("linear", "linear")])
def test_kappa_is_that_of_psych(weights: Any, key: str) -> None:
    ours = weighted_kappa(raters(), "r1", "r2", weights=weights).tidy()
    np.testing.assert_allclose(ours["estimate"], R["kappa"][key], rtol=1e-12)
    if key == "unweighted":  # its variance of the weighted kappa is printed as zero on these data
        np.testing.assert_allclose(ours["std_error"] ** 2, R["kappa"][f"var_{key}"], rtol=1e-9)


@pytest.mark.parametrize("weights", ["quadratic", "linear"])
def test_error_of_kappa_is_that_of_the_jackknife(weights: Any) -> None:
    frame = raters()
    n = len(frame)
    ours = weighted_kappa(frame, "r1", "r2", weights=weights).tidy()
    left_out = np.array(
        [
            weighted_kappa(frame.drop(index=k), "r1", "r2", weights=weights).tidy()["estimate"].item()
            for k in frame.drop_duplicates().index
        ]
    )
    counts = frame.value_counts().reindex(pd.MultiIndex.from_frame(frame.drop_duplicates())).to_numpy()
    center = (counts * left_out).sum() / n
    jackknife = np.sqrt((n - 1) / n * (counts * (left_out - center) ** 2).sum())
    np.testing.assert_allclose(ours["std_error"], jackknife, rtol=0.02)


def test_kappa_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import cohen_kappa_score

    for weights in ("linear", "quadratic"):
        ours = weighted_kappa(raters(), "r1", "r2", weights=weights).tidy()["estimate"].item()  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, cohen_kappa_score(raters()["r1"], raters()["r2"], weights=weights), rtol=1e-12)


def test_perfect_agreement_is_one_and_independence_is_zero() -> None:
    frame = raters().assign(r2=lambda f: f["r1"])
    np.testing.assert_allclose(weighted_kappa(frame, "r1", "r2").tidy()["estimate"], 1.0)
    grid = pd.DataFrame([(a, b) for a in range(4) for b in range(4)], columns=["a", "b"])
    np.testing.assert_allclose(weighted_kappa(grid, "a", "b").tidy()["estimate"], 0.0, atol=1e-12)


def test_normal_probabilities_are_those_of_mvtnorm() -> None:
    grid = pd.DataFrame(R["bivariate"])
    for correlation, rows in grid.groupby("r"):
        ours = bivariate_normal(rows["h"].to_numpy(), rows["k"].to_numpy(), float(correlation))
        np.testing.assert_allclose(ours, rows["p"], atol=1e-14)


def test_polychoric_correlations_are_those_of_polycor() -> None:
    # polycor finds the maximum with optimise(), whose default tolerance is 1e-4 of the interval: 3e-5 apart in places.
    pair = polychoric(bfi(), ["N1", "N3"])
    np.testing.assert_allclose(pair.estimates[0], R["polychor"]["two_step"], atol=5e-5)
    items = [f"A{k}" for k in range(1, 6)]
    np.testing.assert_allclose(polychoric(bfi(), items).matrix, np.array(R["polychoric_matrix"]), atol=5e-5)
    # Joint maximum likelihood differs from two steps in the third decimal on these data.
    np.testing.assert_allclose(pair.estimates[0], R["polychor"]["ml"], atol=5e-3)


def test_two_by_two_is_the_tetrachoric_formula_at_the_median() -> None:
    share = 0.37
    table = np.array([[share, 0.5 - share], [0.5 - share, share]]) * 1000
    np.testing.assert_allclose(fit_polychoric(table).correlation, np.sin(2 * np.pi * (share - 0.25)), rtol=1e-10)


def test_polychoric_score_is_zero_at_the_estimate_and_influence_sums_to_zero() -> None:
    table = pd.crosstab(bfi()["N1"], bfi()["N3"]).to_numpy(dtype=float)
    fit = fit_polychoric(table)
    assert abs((table * fit.influence).sum() / table.sum()) < 1e-8


def test_polychoric_error_is_that_of_the_jackknife() -> None:
    frame = bfi()[["N1", "N3"]].head(600)
    table = pd.crosstab(frame["N1"], frame["N3"]).to_numpy(dtype=float)
    n = table.sum()
    left_out, counts = [], []
    for i, j in np.argwhere(table > 0):
        fewer = table.copy()
        fewer[i, j] -= 1
        left_out.append(fit_polychoric(fewer).correlation)
        counts.append(table[i, j])
    left, count = np.array(left_out), np.array(counts)
    center = (count * left).sum() / n
    jackknife = np.sqrt((n - 1) / n * (count * (left - center) ** 2).sum())
    np.testing.assert_allclose(polychoric(frame, ["N1", "N3"]).std_errors[0], jackknife, rtol=0.02)


def test_polychoric_finds_the_correlation_behind_any_thresholds() -> None:
    rng = np.random.default_rng(4)
    z = rng.multivariate_normal([0, 0], [[1, -0.55], [-0.55, 1]], size=30_000)
    frame = pd.DataFrame({"a": np.digitize(z[:, 0], [-1.5, 0.2, 0.4, 2.0]), "b": np.digitize(z[:, 1], [1.0])})
    table = polychoric(frame, ["a", "b"]).tidy()
    assert abs(table["estimate"].item() + 0.55) < 4 * table["std_error"].item()
    turned = polychoric(frame.assign(b=1 - frame["b"], a=10.0 * frame["a"] ** 3), ["a", "b"]).tidy()
    np.testing.assert_allclose(turned["estimate"], -table["estimate"], rtol=1e-9)


def test_polychoric_boundary_is_said() -> None:
    frame = pd.DataFrame({"a": [0, 0, 1, 1] * 20, "b": [0, 0, 1, 1] * 20})
    result = polychoric(frame, ["a", "b"])
    assert result.estimates[0] == 1.0
    assert np.isnan(result.std_errors[0])
    assert "rises" in result.notes[0]


def test_influence_error_of_a_mean_is_the_textbook_one() -> None:
    x = np.random.default_rng(1).normal(size=60)
    np.testing.assert_allclose(influence_error(x - x.mean(), None), x.std() / np.sqrt(60), rtol=1e-12)
    groups = np.repeat(np.arange(20), 3)
    sums = (x - x.mean()).reshape(20, 3).sum(axis=1)
    np.testing.assert_allclose(
        influence_error(x - x.mean(), groups), np.sqrt(20 / 19 * (sums**2).sum()) / 60, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (lambda: reliability(bfi(), ["N1", "N2"]), "three items"),
        (lambda: reliability(bfi().assign(N1=3), NEUROTICISM), "N1 does not vary"),
        (lambda: reliability(bfi(), ["N1", "N2", "nothing"]), "nothing"),
        (lambda: intraclass_correlation(raters(), ["r1"]), "two respondents"),
        (lambda: weighted_kappa(raters().assign(r1=1, r2=1), "r1", "r2"), "same answer"),
        (lambda: polychoric(bfi(), ["N1"]), "two items"),
        (lambda: polychoric(bfi().assign(N1=1), ["N1", "N2"]), "two categories"),
        (lambda: weighted_kappa(raters().head(2), "r1", "r2"), "three rows"),
    ],
)
def test_what_cannot_be_estimated_is_said(job: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        job()


@pytest.mark.certify
def test_coverage_of_alpha_kappa_and_polychoric_with_clusters() -> None:
    # 80 clusters of 6: nominal but for about half a point, the normal instead of t with 79 degrees of freedom.
    rng = np.random.default_rng(12)
    truth = {"alpha": 0.75, "polychoric": 0.5}  # three items with correlation 0.5: 3 * 0.5 / (1 + 2 * 0.5)
    inside = {"alpha": 0, "polychoric": 0}
    for _ in range(100):
        common = rng.normal(size=80)[np.repeat(np.arange(80), 6)]
        shared = np.sqrt(0.5) * (np.sqrt(0.4) * common + np.sqrt(0.6) * rng.normal(size=480))
        z = shared[:, None] + np.sqrt(0.5) * rng.normal(size=(480, 3))
        frame = pd.DataFrame(z, columns=list("abc")).assign(g=np.repeat(np.arange(80), 6))
        row = reliability(frame, list("abc"), cluster="g").tidy().iloc[0]
        inside["alpha"] += row["conf_low"] <= truth["alpha"] <= row["conf_high"]
        cut = frame.assign(a=np.digitize(frame["a"], [-0.5, 0.5]), b=np.digitize(frame["b"], [-1, 0, 1]))
        row = polychoric(cut, ["a", "b"], cluster="g").tidy().iloc[0]
        inside["polychoric"] += row["conf_low"] <= truth["polychoric"] <= row["conf_high"]
    # 99.5 % of binomial(100, 0.95) lies within 0.88 and 1.
    assert all(0.88 <= count / 100 <= 1.0 for count in inside.values()), inside
