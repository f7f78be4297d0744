"""Reliability and agreement against pingouin, semopy and scikit-learn, and against the model they were drawn from."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses import Result
from bipstudy.simulation import Truth
from bipstudy.simulation.answers import OTHER_ITEMS, READY_ITEMS
from bipstudy.study import Study

SHARED = [*READY_ITEMS, *OTHER_ITEMS[:3]]


@pytest.fixture(scope="module")
def drawn() -> tuple[Study, Truth]:
    return bip.simulate_study(participants=2000, seed=51, scenario="danish_twin")


@pytest.fixture(scope="module")
def result(drawn: tuple[Study, Truth]) -> Result:
    return bip.analyses.measurement(drawn[0])


@pytest.fixture(scope="module")
def first(drawn: tuple[Study, Truth]) -> pd.DataFrame:
    """The first measurement of each participant, from the table of forms."""
    forms = drawn[0].measurements
    answered = forms[forms["form_status"] == "answered"].sort_values("occasion", kind="stable")
    person = ["organisation_id", "participant_id"]
    answered = answered[answered["occasion"] == answered.groupby(person)["occasion"].transform("min")]
    parts = []
    for who, letter in (("participant", "p_"), ("caseworker", "c_")):
        own = answered[answered["respondent"] == who].set_index(person)[SHARED].astype("float64")
        parts.append(own.add_prefix(letter))
    return pd.concat(parts, axis=1)


def _one(result: Result, contrast: str, term: str = "") -> pd.Series:
    rows = result.estimates[(result.estimates["contrast"] == contrast) & (result.estimates["term"] == term)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_alpha_is_that_of_pingouin(result: Result, first: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pingouin
    for who in ("participant", "caseworker"):
        items = first[[f"{who[0]}_{item}" for item in SHARED]].dropna()
        row = _one(result, f"alpha_{who}")
        assert row["estimate"] == pytest.approx(pingouin.cronbach_alpha(items)[0], rel=1e-10)
        assert row["n"] == len(items)


def test_omega_is_that_of_semopy(result: Result, first: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import semopy

        items = first[[f"p_{item}" for item in SHARED]].dropna()
        # semopy divides by n; the common factor of items in their own units has loadings that do not depend on it.
        model = semopy.Model("f =~ " + " + ".join(items.columns))
        model.fit(items)
        table = model.inspect(std_est=False)
    table = table.rename(columns=str.lower)
    loadings = table[(table["op"] == "~") & (table["rval"] == "f")]["estimate"].astype(float)
    variances = table[table["op"] == "~~"].set_index("lval")["estimate"].astype(float)
    common = loadings.sum() ** 2 * variances["f"]
    omega = common / (common + variances.drop("f").sum())
    # Two optimisers of one likelihood; semopy stops at six digits.
    assert _one(result, "omega_participant")["estimate"] == pytest.approx(omega, rel=1e-4)


def test_kappa_is_that_of_scikit_learn_and_icc_that_of_pingouin(result: Result, first: pd.DataFrame) -> None:
    from sklearn.metrics import cohen_kappa_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pingouin
    both = first[["p_cooperation", "c_cooperation"]].dropna()
    row = _one(result, "kappa", "cooperation")
    kappa = cohen_kappa_score(both.iloc[:, 0].astype(int), both.iloc[:, 1].astype(int), weights="quadratic")
    assert row["estimate"] == pytest.approx(kappa, rel=1e-10)
    assert row["n"] == len(both)
    long = both.reset_index(drop=True).rename_axis("person").reset_index().melt("person")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pingouin.intraclass_corr(long, targets="person", raters="variable", ratings="value")
    icc = {str(name).replace(" ", ""): float(value) for name, value in zip(theirs["Type"], theirs["ICC"], strict=True)}
    wanted = next(value for name, value in icc.items() if name in ("ICC2", "ICC(A,1)"))
    assert _one(result, "icc_item", "cooperation")["estimate"] == pytest.approx(wanted, rel=1e-8)


def _moments(correlation: float, cuts: tuple[list[float], list[float]]) -> tuple[float, np.ndarray]:
    """Covariance of two ordinal answers 1-5 with latent correlation, and their joint distribution."""
    from scipy.stats import multivariate_normal, norm

    edges = [np.concatenate([[-9.0], norm.ppf(each), [9.0]]) for each in cuts]
    law = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    corner = np.array([[law.cdf([a, b]) for b in edges[1]] for a in edges[0]])
    cells = np.diff(np.diff(corner, axis=0), axis=1)
    values = np.arange(1, 6)
    means = cells.sum(axis=1) @ values, cells.sum(axis=0) @ values
    return float(values @ cells @ values - means[0] * means[1]), cells


def test_alpha_is_that_of_the_model(result: Result, drawn: tuple[Study, Truth]) -> None:
    given = drawn[1].parameters
    cuts, loading = list(given["answers.item_cuts"]), given["answers.item_loading"]
    shares, values, k = np.diff([0, *cuts, 1]), np.arange(1, 6), len(SHARED)
    variance = float(values**2 @ shares - (values @ shares) ** 2)
    total = k * variance + 2 * _covariances(loading, cuts, given)
    alpha = k / (k - 1) * (1 - k * variance / total)
    row = _one(result, "alpha_participant")
    assert abs(row["estimate"] - alpha) < 4 * row["std_error"]


def _covariances(loading: float, cuts: list[float], given: dict[str, float]) -> float:
    """Sum of the covariances of all pairs of items: two groups of items, unrelated to each other."""
    plain, _ = _moments(loading**2, (cuts, cuts))
    # Part of what moves the health item is health, correlated with readiness.
    split, rest = np.sqrt(given["answers.health_item"]), np.sqrt(1 - given["answers.health_item"])
    link = given["people.health_correlation"]
    share = (rest + split * link) / np.sqrt(1 + 2 * split * rest * link)
    health, _ = _moments(loading**2 * share, (cuts, cuts))
    return 10 * plain + 5 * health + 3 * plain


def test_kappa_is_that_of_the_model(result: Result, drawn: tuple[Study, Truth]) -> None:
    given = drawn[1].parameters
    seen = np.sqrt(1 - given["people.private_share"])
    correlation = given["answers.item_loading"] * given["answers.caseworker_loading"] * seen
    _, cells = _moments(correlation, (list(given["answers.item_cuts"]), list(given["answers.caseworker_cuts"])))
    apart = (np.arange(5)[:, None] - np.arange(5)[None, :]) ** 2
    kappa = 1 - (cells * apart).sum() / (np.outer(cells.sum(axis=1), cells.sum(axis=0)) * apart).sum()
    for item in ("job_search", "cooperation", "goal_orientation"):
        row = _one(result, "kappa", item)
        assert abs(row["estimate"] - kappa) < 4 * row["std_error"], item


def test_factors_and_correlations_are_those_of_the_model(result: Result, drawn: tuple[Study, Truth]) -> None:
    assert _one(result, "factors_participant")["estimate"] == 2
    loading = drawn[1].parameters["answers.item_loading"]
    table = result.tables["correlations"]
    first, second = (table[f"{name}_key"].str.removeprefix("item:") for name in ("item", "other"))
    plain = [item for item in READY_ITEMS if item != "health_coping"]
    within = table[first.isin(plain) & second.isin(plain)]
    apart = table[first.isin(READY_ITEMS) & second.isin(OTHER_ITEMS)]
    for rows, truth in ((within, loading**2), (apart, 0.0)):
        half = (rows["participant_high"] - rows["participant_low"]) / 2
        # Twice the half-width of a 95 per cent interval is four standard errors.
        assert (np.abs(rows["participant"] - truth) < 2.05 * half).all()
    loadings = result.tables["factors"].query("respondent_key == 'code:respondent:participant'")
    own = loadings[["factor1", "factor2"]].to_numpy()
    assert np.abs(np.sort(np.abs(own), axis=1)[:, 0]).max() < 0.15


def test_organisations_measure_alike_where_they_were_drawn_alike(result: Result) -> None:
    table = result.tables["invariance"]
    assert len(table) == 6
    assert (table["cfi"] > 0.97).all()
    assert not (table["holds_key"] == "analyses.no").any()


def test_response_pairing_and_missing_answers_are_counted(result: Result, drawn: tuple[Study, Truth]) -> None:
    forms = drawn[0].measurements
    own = forms[forms["respondent"] == "participant"]
    answered = own[own["form_status"] == "answered"]
    assert _one(result, "answered_participant")["estimate"] == pytest.approx(len(answered) / len(own), rel=1e-12)
    missing = answered[SHARED].isna().to_numpy().mean()
    assert _one(result, "missing_participant")["estimate"] == pytest.approx(missing, rel=1e-12)
    both = forms[forms["form_status"] == "answered"].groupby(["organisation_id", "participant_id", "occasion"]).size()
    assert _one(result, "paired")["estimate"] == pytest.approx((both == 2).mean(), rel=1e-12)
    reasons = result.tables["reasons"].groupby("respondent_key")["n"].sum()
    assert reasons["code:respondent:participant"] == answered[SHARED].isna().to_numpy().sum()


def test_modes_are_compared_with_answering_alone(result: Result) -> None:
    rows = result.estimates[result.estimates["contrast"].str.startswith("mode_")]
    # The simulator draws how a form is answered without regard to the answers.
    assert (np.abs(rows["estimate"]) < 4 * rows["std_error"]).all()
    modes = result.tables["modes"].set_index("mode_key")
    assert np.isnan(modes.loc["code:mode:alone", "difference"])


def test_without_modes_the_rest_is_still_answered(drawn: tuple[Study, Truth]) -> None:
    study = drawn[0].where("organisation_id == 'ORG01'")
    tables = {name: study.tables[name] for name in study.sent}
    tables["measurements"] = tables["measurements"].drop(columns="mode")
    found = bip.analyses.measurement(Study.from_tables(tables)).estimates
    assert found[found["contrast"].str.startswith("mode_")]["estimate"].isna().all()
    assert found[found["role"] == "primary"]["estimate"].notna().all()
