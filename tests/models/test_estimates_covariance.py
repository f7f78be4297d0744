"""What every fit shares: the covariance by definition, the table, changing errors, formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bipstudy import models
from bipstudy.models import ModelError, discrete_hazard, linear_probability
from bipstudy.models.covariance import ProductScores, RowScores, clustered_covariance, group_sums
from bipstudy.models.design import build_design
from bipstudy.models.formula import split_formula


def by_definition(bread, scores, codes, factor):
    """Double loop over pairs of rows in the same cluster."""
    total = np.zeros_like(bread)
    for i, one in enumerate(scores):
        for j, other in enumerate(scores):
            if codes[i] == codes[j]:
                total += np.outer(one, other)
    return factor * bread @ total @ bread


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 5))
def test_clustered_covariance_is_the_double_sum(seed, first, second):
    rng = np.random.default_rng(seed)
    scores, root = rng.normal(size=(24, 2)), rng.normal(size=(2, 2))
    bread = root @ root.T + np.eye(2)
    a, b = rng.permutation(np.arange(24) % first), rng.permutation(np.arange(24) % second)
    one = clustered_covariance(bread=bread, scores=RowScores(scores), codes=[a], small_sample="stata")
    expected = by_definition(bread, scores, a, first / (first - 1))
    np.testing.assert_allclose(one.covariance, expected, rtol=1e-10, atol=1e-10)
    two = clustered_covariance(bread=bread, scores=RowScores(scores), codes=[a, b], small_sample="none")
    pairs = a * 10 + b
    parts = [by_definition(bread, scores, codes, 1.0) for codes in (a, b, pairs)]
    raw = parts[0] + parts[1] - parts[2]
    if two.repaired:
        assert np.linalg.eigvalsh(raw).min() < 0
        assert np.linalg.eigvalsh(two.covariance).min() > -1e-10
    else:
        np.testing.assert_allclose(two.covariance, raw, rtol=1e-9, atol=1e-9)


def test_small_sample_factors_of_each_convention():
    rng = np.random.default_rng(0)
    scores, codes, other = RowScores(rng.normal(size=(30, 2))), np.arange(30) % 10, np.arange(30) % 7

    def trace(small_sample, family, groupings):
        return clustered_covariance(
            bread=np.eye(2), scores=scores, codes=groupings, small_sample=small_sample, family=family, parameters=4
        ).covariance.trace()

    plain = trace("none", "ml", [codes])
    assert trace("none", "linear", [codes]) == pytest.approx(plain)
    for convention, family, factor in [
        ("stata", "ml", 10 / 9),
        ("sandwich", "ml", 10 / 9),
        ("fixest", "ml", 10 / 9 * 29 / 26),
        ("stata", "linear", 10 / 9 * 29 / 26),
        ("fixest", "linear", 10 / 9 * 29 / 26),
        ("sandwich", "linear", 10 / 9 * 29 / 26),
    ]:
        assert trace(convention, family, [codes]) == pytest.approx(factor * plain, rel=1e-12)
    assert trace("fixest", "ml", [codes, other]) == pytest.approx(
        7 / 6 * 29 / 26 * trace("none", "ml", [codes, other]), rel=1e-12
    )


def test_nested_second_dimension_adds_nothing():
    rng = np.random.default_rng(1)
    scores, person = RowScores(rng.normal(size=(60, 3))), np.arange(60) // 3
    one = clustered_covariance(bread=np.eye(3), scores=scores, codes=[person // 4], small_sample="none")
    two = clustered_covariance(bread=np.eye(3), scores=scores, codes=[person // 4, person], small_sample="none")
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-12)


def test_negative_eigenvalues_are_mended_whatever_the_units():
    # Two crossed clusters and scores that cancel within both: the raw matrix is negative.
    scores = np.array([[1.0, 0.2], [-1.0, 0.1], [-1.0, -0.2], [1.0, -0.1]])
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    plain = clustered_covariance(bread=np.eye(2), scores=RowScores(scores), codes=[a, b])
    assert plain.repaired
    assert "negative eigenvalues" in plain.describe(["a", "b"])
    units = np.array([1e6, 1e-3])
    scaled = clustered_covariance(bread=np.eye(2), scores=RowScores(scores * units), codes=[a, b])
    np.testing.assert_allclose(scaled.covariance, plain.covariance * np.outer(units, units), rtol=1e-9, atol=1e-12)


def test_group_sums_of_products_is_the_loop():
    rng = np.random.default_rng(2)
    matrix, factor, codes = rng.normal(size=(50, 3)), rng.normal(size=50), rng.integers(0, 7, 50)
    expected = np.array([(matrix[codes == g] * factor[codes == g, None]).sum(axis=0) for g in range(7)])
    np.testing.assert_allclose(ProductScores(matrix, factor).by_group(codes, 7), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        group_sums(np.asfortranarray(matrix), codes, 7, factor), expected, rtol=1e-12, atol=1e-14
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=300), "z": rng.normal(size=300), "g": rng.integers(0, 40, 300)})
    frame["k"] = rng.choice(list("abc"), 300)
    frame["y"] = (rng.random(300) < 0.3).astype(int)
    return frame


def test_tidy_and_glance_have_the_promised_columns(frame):
    for fit in (discrete_hazard(frame, "y ~ x + k"), linear_probability(frame, "y ~ x + k")):
        table = fit.tidy()
        assert list(table) == ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
        assert list(table.term) == ["Intercept", "x", "k[T.b]", "k[T.c]"]
        row = fit.glance()
        assert {"rows", "persons", "clusters", "events", "rows_dropped", "log_likelihood", "convention"} <= set(row)
        assert "independent rows" in row.convention.item()
        clustered = fit.with_errors(cluster="g")
        assert type(clustered) is type(fit)
        assert clustered.glance().clusters.item() == frame.g.nunique()
        assert "clustered by g" in clustered.glance().convention.item()
        again = clustered.with_errors(cluster=None)
        pd.testing.assert_frame_equal(again.tidy(), table)
        assert clustered.with_errors(small_sample="none").errors.cluster == ("g",)


def test_reference_distributions(frame):
    from scipy import stats

    linear = linear_probability(frame, "y ~ x", cluster="g")
    table, groups = linear.tidy(level=0.9), frame.g.nunique()
    np.testing.assert_allclose(table.p_value, 2 * stats.t.sf(table.statistic.abs(), groups - 1), rtol=1e-10)
    half = stats.t.ppf(0.95, groups - 1) * table.std_error
    np.testing.assert_allclose(table.conf_high, table.estimate + half, rtol=1e-10)
    assert linear.with_errors(cluster=None).glance().degrees.item() == 298
    assert linear.with_errors(small_sample="sandwich").glance().degrees.item() == 298
    hazard = discrete_hazard(frame, "y ~ x", cluster="g").tidy(exponentiate=True)
    plain = discrete_hazard(frame, "y ~ x", cluster="g").tidy()
    np.testing.assert_allclose(plain.p_value, 2 * stats.norm.sf(plain.statistic.abs()), rtol=1e-10)
    np.testing.assert_allclose(hazard.conf_low, np.exp(plain.conf_low), rtol=1e-12)
    np.testing.assert_allclose(hazard.std_error, plain.std_error, rtol=1e-12)


def test_contrast_and_wald_test_agree_with_refitting(frame):
    fit = linear_probability(frame, "y ~ x + k", cluster="g")
    other = linear_probability(frame.assign(k=frame.k.map({"b": "0b", "a": "1a", "c": "2c"})), "y ~ x + k", cluster="g")
    row = fit.contrast({"k[T.c]": 1, "k[T.b]": -1}).tidy().iloc[0]
    same = other.tidy().set_index("term").loc["k[T.2c]"]
    np.testing.assert_allclose([row.estimate, row.std_error], [same.estimate, same.std_error], rtol=1e-9)
    joint, joint_other = fit.wald_test(["k[T.b]", "k[T.c]"]), other.wald_test(["k[T.1a]", "k[T.2c]"])
    np.testing.assert_allclose(joint.statistic, joint_other.statistic, rtol=1e-8)
    single = fit.wald_test(["x"])
    assert single.p_value.item() == pytest.approx(fit.tidy().p_value[1], rel=1e-9)
    with pytest.raises(ModelError, match="no term 'q'"):
        fit.contrast({"q": 1})


def test_influence_sums_to_zero_and_makes_the_covariance(frame):
    fit = discrete_hazard(frame, "y ~ x + z", cluster="g", small_sample="none")
    influence = fit.influence()
    np.testing.assert_allclose(influence.sum(axis=0), 0.0, atol=1e-10)
    sums = pd.DataFrame(influence).groupby(frame.g.to_numpy()).sum().to_numpy()
    np.testing.assert_allclose(fit.covariance, sums.T @ sums, rtol=1e-10)


def test_cluster_column_with_gaps_is_refused_later(frame):
    fit = discrete_hazard(frame, "y ~ x")
    frame.loc[0, "g"] = np.nan
    with pytest.raises(ModelError, match="missing values"):
        fit.with_errors(cluster="g")


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + k",
        "y ~ x + C(k)",
        "y ~ 0 + C(k) + x",
        "y ~ C(g) + k",
        "y ~ x + flag + number",
        "y ~ text + nullable",
        "y ~ 1",
        "y ~ ordered + x",
    ],
)
def test_short_way_is_formulaic(frame, formula):
    from formulaic import model_matrix

    frame = frame.assign(
        flag=frame.x > 0,
        number=pd.array(frame.g, dtype="Int64"),
        text=pd.array(frame.k, dtype=pd.StringDtype("pyarrow", na_value=np.nan)),
        nullable=pd.array(frame.x > 1, dtype="boolean"),
        ordered=pd.Categorical(frame.k, categories=["c", "a", "b"]),
    )
    design = build_design(frame, formula)
    assert design.spec.factors is not None
    expected = model_matrix(formula, frame).rhs
    assert list(design.terms) == list(expected.columns)
    np.testing.assert_array_equal(design.matrix, expected.to_numpy(dtype=float))
    np.testing.assert_array_equal(design.spec.matrix(frame.iloc[:7]), design.matrix[:7])


@pytest.mark.parametrize(
    "formula", ["y ~ x*z + np.log(1 + x**2)", "y ~ k:x", "y ~ k*g", "y ~ bs(x, df=4)", "y ~ C(k, Treatment('b'))"]
)
def test_long_way_is_formulaic_too(frame, formula):
    from formulaic import model_matrix

    formula = formula.replace("Treatment", "contr.treatment")
    design = build_design(frame, formula)
    assert design.spec.factors is None
    expected = model_matrix(formula, frame).rhs
    assert list(design.terms) == list(expected.columns)
    np.testing.assert_allclose(design.matrix, expected.to_numpy(dtype=float), rtol=1e-12)
    # Splines and polynomials must use the knots of the fit.
    np.testing.assert_allclose(design.spec.matrix(frame.iloc[5:9]), design.matrix[5:9], rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "å", "a", None], ["b", "å"]),
        ([3, 1, 2.5, None], ["2.5", "3.0"]),
        ([True, False, True, False], ["True"]),
    ],
)
@pytest.mark.parametrize("formula", ["y ~ x + g", "y ~ x * g"])
def test_columns_of_anything_are_groups_with_their_values_for_names(values, levels, formula):
    frame = pd.DataFrame({"g": pd.Series(values * 5, dtype=object), "x": np.arange(20.0) ** 2, "y": np.arange(20.0)})
    named = [f"g[T.{level}]" for level in levels]
    design = build_design(frame, formula)
    assert [term for term in design.terms if term.startswith("g[")] == named
    if values[0] == "b":
        as_text = frame.assign(g=frame["g"].astype("string[pyarrow]"))
        again = build_design(as_text, formula)
        assert again.terms == design.terms
        np.testing.assert_array_equal(again.matrix, design.matrix)


def test_splitting_formulas():
    parts = split_formula("y ~ x + I(a | b) | p + q:r | d ~ z1 + z2")
    assert (parts.response, parts.terms, parts.absorbed) == ("y", "x + I(a | b)", ("p", "q:r"))
    assert (parts.endogenous, parts.instruments) == ("d", "z1 + z2")
    for wrong in ("", "y ~", "y ~ x | a | b", "y ~ x | d ~ z | a", "y ~ x ~ z"):
        with pytest.raises(ModelError):
            split_formula(wrong)


def test_designs_refuse_what_they_cannot_use(frame):
    with pytest.raises(ModelError, match="no column 'nothing'"):
        build_design(frame, "y ~ nothing")
    with pytest.raises(ModelError, match="not finite"):
        build_design(frame.assign(x=0.0), "y ~ np.log(x)")
    with pytest.raises(ModelError, match="no row"):
        build_design(frame.assign(x=np.nan), "y ~ x")
    with pytest.raises(ModelError, match="not seen"):
        build_design(frame, "y ~ k").spec.matrix(frame.assign(k="new"))
    with pytest.raises(ModelError, match="not seen"):
        build_design(frame, "y ~ k:x").spec.matrix(frame.assign(k="new"))


def test_rows_with_gaps_are_dropped_whatever_the_index(frame):
    frame.index = frame.index[::-1]
    frame.iloc[:4, frame.columns.get_loc("k")] = None
    design = build_design(frame, "y ~ x + k")
    assert design.source.used == 296
    np.testing.assert_array_equal(design.matrix[:, 1], frame.x.to_numpy()[4:])


def test_public_names_are_functions_after_their_modules_were_imported():
    import importlib

    for name, module in models._PUBLIC.items():
        try:
            owner = importlib.import_module(f"bipstudy.models.{module}")
        except ModuleNotFoundError:
            continue
        if not hasattr(owner, name):
            continue
        assert callable(getattr(models, name)), name
    with pytest.raises(AttributeError):
        _ = models.nothing
