"""Indicators, caseworkers and participants again, from the tables alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from recount import Person, background, first_measurements, independent, people, simple_study, two_way

import bipstudy as bip
from bipstudy import schema
from bipstudy.simulation.scenario import scenario
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    # Caseworkers differ a good deal, so that the spread of their true effects is not estimated at nought.
    return simple_study(8, scenario=scenario("danish_twin").replace(caseworkers__skill_sd=1.2))


@pytest.fixture(scope="module")
def everybody(study: Study) -> list[Person]:
    return people(study)


@pytest.fixture(scope="module")
def first(everybody: list[Person]) -> pd.DataFrame:
    return first_measurements(everybody, 365)


def risk_difference(frame: pd.DataFrame, values: pd.Series, response: str, adjusted: bool) -> tuple[float, float]:
    """Half a standard deviation above against below the mean, and its clustered error, by statsmodels' logit."""
    import statsmodels.api as sm

    given = values.notna().to_numpy()
    z = (values - values.mean()) / values.std(ddof=1)
    columns = [np.ones(len(frame)), z.fillna(0.0)] + ([background(frame)] if adjusted else [])
    matrix = np.column_stack(columns)[given]
    matrix = matrix[:, independent(matrix)]
    y = frame.loc[given, response].to_numpy(dtype=float)
    fit = sm.GLM(y, matrix, family=sm.families.Binomial()).fit(tol=1e-11, maxiter=40)
    settings = []
    for value in (-0.5, 0.5):
        rows = matrix.copy()
        rows[:, 1] = value
        risk = fit.predict(rows)
        settings.append((risk, ((risk * (1 - risk))[:, None] * rows).mean(axis=0)))
    (low, low_slope), (high, high_slope) = settings
    fitted = fit.fittedvalues
    information = (matrix * (fitted * (1 - fitted))[:, None]).T @ matrix
    moved = high - low
    influence = (matrix * (y - fitted)[:, None]) @ np.linalg.solve(information, high_slope - low_slope)
    influence += (moved - moved.mean()) / len(moved)
    return float(moved.mean()), two_way(influence, [frame.loc[given, "cluster"].to_numpy()])


@pytest.fixture(scope="module")
def caseworkers(study: Study) -> pd.DataFrame:
    return bip.analyses.caseworkers(study).estimates


@pytest.mark.parametrize(
    "items", [("caseworker_belief",), pytest.param(tuple(schema.items()), marks=pytest.mark.certify)]
)
def test_indicators_have_their_risk_differences_and_errors(
    study: Study, first: pd.DataFrame, items: tuple[str, ...]
) -> None:
    found = bip.analyses.indicators(study).estimates
    rows = found[found["contrast"].str.startswith("per_sd") & (found["outcome"].isin(["work_or_study", "work"]))]
    for item, outcome, adjustment in product(items, ("work_or_study", "work"), ("background", "raw")):
        who = "participant" if "participant" in schema.items()[item].respondents else "caseworker"
        own = rows[(rows["term"] == item) & (rows["contrast"] == f"per_sd_{who}")]
        own = own[(own["outcome"] == outcome) & (own["adjustment"] == adjustment)]
        if outcome == "work" and adjustment == "raw":
            assert own.empty
            continue
        row = own.iloc[0]
        response = {"work_or_study": "y", "work": "y_work"}[outcome]
        values = first[f"{who[0]}_{item}"]
        estimate, error = risk_difference(first, values, response, adjustment == "background")
        assert row["estimate"] == pytest.approx(estimate, abs=1e-8), item
        assert row["std_error"] == pytest.approx(error, rel=1e-6), item
        # The limits are normal.
        assert row["conf_low"] == pytest.approx(estimate - 1.959964 * error, abs=1e-6)
        assert row["n"] == values.notna().sum()
        assert row["events"] == first.loc[values.notna(), response].sum()
        assert row["clusters"] == first.loc[values.notna(), "cluster"].nunique()


def restricted(y: np.ndarray, matrix: np.ndarray, groups: np.ndarray) -> float:
    """Standard deviation of a random intercept by restricted maximum likelihood, group by group."""
    from scipy.optimize import minimize_scalar

    matrix = matrix[:, independent(matrix)]
    n, k = matrix.shape
    # The covariance has a block for each group and nothing between them.
    blocks = [np.flatnonzero(groups == group) for group in np.unique(groups)]

    def parts(ratio: float) -> tuple[float, float]:
        whole, determinant = np.zeros((k + 1, k + 1)), 0.0
        for rows in blocks:
            covariance = np.eye(len(rows)) + ratio
            own = np.column_stack([matrix[rows], y[rows]])
            whole += own.T @ np.linalg.solve(covariance, own)
            determinant += np.linalg.slogdet(covariance)[1]
        information, along = whole[:-1, :-1], whole[:-1, -1]
        square = float(whole[-1, -1] - along @ np.linalg.solve(information, along))
        determinant += np.linalg.slogdet(information)[1]
        return (n - k) * np.log(square) + determinant, square / (n - k)

    best = minimize_scalar(lambda ratio: parts(ratio)[0], bounds=(0.0, 0.3), method="bounded", options={"xatol": 1e-7})
    return float((best.x * parts(best.x)[1]) ** 0.5)


def test_the_spread_of_true_effects_is_that_of_the_whole_likelihood(
    caseworkers: pd.DataFrame, first: pd.DataFrame
) -> None:
    frame = first[first["main"].notna()].reset_index(drop=True)
    rows = caseworkers[caseworkers["contrast"] == "sd_true_effects"].set_index("adjustment")
    y, groups = frame["y"].to_numpy(), frame["main"].to_numpy()
    constant = np.ones((len(frame), 1))
    for adjustment, matrix in (("raw", constant), ("background", np.column_stack([constant, background(frame)]))):
        spread = restricted(y, matrix, groups)
        assert spread > 0.02
        assert rows.loc[adjustment, "estimate"] == pytest.approx(spread, abs=1e-5)
        assert rows.loc[adjustment, ["n", "events", "clusters"]].tolist() == [len(frame), y.sum(), len(set(groups))]


def test_the_spread_of_observed_means_beside_that_of_chance(caseworkers: pd.DataFrame, first: pd.DataFrame) -> None:
    frame = first[first["main"].notna()].reset_index(drop=True)
    matrix = np.column_stack([np.ones(len(frame)), background(frame)])
    fitted, _ = np.linalg.qr(matrix[:, independent(matrix)])
    left = frame["y"].to_numpy()
    left = left - fitted @ (fitted.T @ left)
    counts = frame["main"].value_counts()
    own = pd.get_dummies(frame["main"], dtype=float)[counts.index[counts >= 5]].to_numpy()
    own /= own.sum(axis=0)
    rows = caseworkers.set_index("contrast")
    observed = rows.loc["sd_observed_means"]
    assert observed["estimate"] == pytest.approx(np.std(own.T @ left, ddof=1), abs=1e-12)
    assert observed[["n", "events"]].tolist() == [len(frame), frame["y"].sum()]
    # What is left is dealt out anew with every caseload as it is, and adjusted again.
    rng = np.random.default_rng(11)
    dealt = np.column_stack([rng.permutation(left) for _ in range(2000)])
    dealt -= fitted @ (fitted.T @ dealt)
    drawn = np.std(own.T @ dealt, axis=0, ddof=1)
    chance = rows.loc["sd_chance_means"]
    # Four errors of the two means of draws, and of their ends.
    assert chance["estimate"] == pytest.approx(drawn.mean(), abs=4 * drawn.std() * (1 / 999 + 1 / 2000) ** 0.5)
    assert chance[["conf_low", "conf_high"]].tolist() == pytest.approx(
        np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.4 * drawn.std()
    )


def test_the_halves_of_caseworkers_are_those_of_a_sorted_list(
    caseworkers: pd.DataFrame, everybody: list[Person]
) -> None:
    frame = first_measurements(everybody, round(24 * 365.25 / 12))
    assert frame["y"].notna().all()
    known = frame[frame["main"].notna()].groupby("main")["y"].agg(["sum", "count"])
    known = known[known["count"] >= 5].assign(share=lambda each: each["sum"] / each["count"]).sort_values("share")
    places = len(known) / 2
    middle = known["share"].iloc[int(np.ceil(places)) - 1]
    # Who ties at the cut counts in both halves, with the part that fills the lower one.
    below, tied = known["share"] < middle - 1e-9, (known["share"] - middle).abs() <= 1e-9
    part = (places - below.sum()) / tied.sum()
    lower = below + tied * part
    found = caseworkers.set_index("contrast")["estimate"]
    for name, weight in (("least_effective", lower), ("most_effective", 1 - lower)):
        assert found[name] == pytest.approx((weight * known["sum"]).sum() / (weight * known["count"]).sum(), abs=1e-12)


def test_the_participants_are_described_as_they_stand_in_the_table(study: Study, everybody: list[Person]) -> None:
    rows = pd.DataFrame([person.row for person in everybody])
    cluster = np.array([person.periods[0]["caseworker"] if person.periods else person.key for person in everybody])
    without = rows["vocational_qualification"].map({True: 0.0, False: 1.0})
    flags = {name: rows[name].astype(float) for name in ("mental_ill_health", "musculoskeletal_disorder")}
    shares = {"no_vocational_qualification": without, **flags}
    shares["work_or_study_share_5y"] = rows["work_or_study_share_5y"].astype(float)
    found = bip.analyses.participants(study).estimates.drop_duplicates("contrast").set_index("contrast")
    for name, values in shares.items():
        known = values.notna().to_numpy()
        own = values[known].to_numpy()
        row = found.loc[name]
        assert row["estimate"] == pytest.approx(own.mean(), rel=1e-12)
        error = two_way((own - own.mean()) / len(own), [cluster[known]])
        assert row["std_error"] == pytest.approx(error, rel=1e-9), name
        assert row["n"] == known.sum()
