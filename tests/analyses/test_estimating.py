"""Shares, means and corrections against other implementations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bipstudy.analyses.common import FlowBook, with_answers, with_background
from bipstudy.analyses.estimating import Label, Number, attempt, estimates, from_tidy, mean, reasons, share
from bipstudy.analyses.result import ESTIMATE_COLUMNS
from bipstudy.models import ModelError


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    values = (rng.random(len(cluster)) < 0.1 + 0.3 * rng.random(30)[cluster]).astype(float)
    return values, rng.uniform(0.5, 3, len(cluster)), cluster


@pytest.mark.parametrize("seed", range(3))
def test_a_clustered_share_has_the_error_of_a_weighted_regression_on_a_constant(seed: int) -> None:
    import statsmodels.api as sm

    values, weights, cluster = _sample(seed)
    number = share(values=values, weights=weights, clusters=cluster.astype(str))
    reference = sm.WLS(values, np.ones(len(values)), weights=weights).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    groups = len(set(cluster))
    assert number.estimate == pytest.approx(reference.params[0], rel=1e-12)
    assert number.std_error == pytest.approx(reference.bse[0] * math.sqrt(groups / (groups - 1)), rel=1e-12)
    assert (number.n, number.events, number.clusters) == (len(values), int(values.sum()), groups)
    # The interval is symmetric on the logit scale and holds the estimate.
    low, middle, high = (math.log(p / (1 - p)) for p in (number.conf_low, number.estimate, number.conf_high))
    assert middle - low == pytest.approx(high - middle)
    assert mean(values=values, weights=weights, clusters=cluster).std_error == pytest.approx(number.std_error)


def test_weights_are_rows_repeated() -> None:
    values, _, cluster = _sample(1)
    twice = np.tile(values, 2), np.tile(cluster, 2)
    weighted = share(values=values, weights=np.full(len(values), 2.0), clusters=cluster)
    repeated = share(values=twice[0], clusters=twice[1])
    assert weighted.conf_low == pytest.approx(repeated.conf_low, rel=1e-12)


@pytest.mark.parametrize("everyone", [0.0, 1.0])
def test_with_no_one_or_everyone_the_interval_is_exact(everyone: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    number = share(values=np.full(17, everyone))
    low, high = proportion_confint(int(17 * everyone), 17, method="beta")
    assert (number.conf_low, number.conf_high) == pytest.approx((low, high), abs=1e-12)
    assert math.isnan(number.std_error)


def test_the_interval_of_a_share_covers_at_its_rate() -> None:
    rng = np.random.default_rng(3)
    draws, covered = 2_000, 0
    for _ in range(draws):
        number = share(values=(rng.random(300) < 0.08).astype(float))
        covered += number.conf_low <= 0.08 <= number.conf_high
    # The interval is approximate at 24 expected events: nominal coverage within 1.5 points and Monte Carlo error.
    assert abs(covered / draws - 0.95) < 0.015 + 3 * math.sqrt(0.95 * 0.05 / draws)


def test_missing_values_and_weights_of_zero_are_left_out() -> None:
    number = share(values=np.array([1.0, 0.0, np.nan, 1.0, 0.0]), weights=np.array([1.0, 1.0, 1.0, 0.0, 1.0]))
    assert (number.n, number.events) == (3, 1)
    assert number.estimate == pytest.approx(1 / 3)
    assert math.isnan(share(values=np.array([np.nan, 1.0])).estimate)


def test_a_table_of_estimates_has_the_fixed_columns_and_types_even_without_rows() -> None:
    for rows in ([], [(Label("belief", "a", "risk", "work"), Number(0.5, n=3))]):
        table = estimates(rows)
        assert list(table.columns) == list(ESTIMATE_COLUMNS)
        assert str(table["events"].dtype) == "Int64"
        assert str(table["estimate"].dtype) == "float64"


def test_only_what_the_data_cannot_give_is_forgiven() -> None:
    def refuse() -> None:
        raise ModelError("no events")

    def mistake() -> None:
        raise KeyError("a bug")

    assert attempt(refuse) is None
    with pytest.raises(KeyError):
        attempt(mistake)


def test_what_a_model_says_reaches_the_one_who_asked_and_nobody_else() -> None:
    def refuse(why: str) -> None:
        raise ModelError(why)

    with reasons() as outer:
        attempt(lambda: refuse("first"))
        with reasons() as inner:
            attempt(lambda: refuse("second"))
            attempt(lambda: refuse("second"))
        attempt(lambda: refuse("third"))
    attempt(lambda: refuse("fourth"))
    assert (outer, inner) == (["first", "third"], ["second"])


def _frame() -> pd.DataFrame:
    import pandas as pd

    rng = np.random.default_rng(5)
    n = 200
    frame = pd.DataFrame(
        {
            "participant": [f"O/{i}" for i in range(n)],
            "sex": np.where(np.arange(n) < 5, "other", np.where(np.arange(n) % 2, "man", "woman")),
            "age_group": "25-34",
            "birth_region": [None if i % 4 == 0 else "sweden" for i in range(n)],
            "education": "compulsory",
            "vocational_qualification": np.where(np.arange(n) % 3 == 0, np.nan, (np.arange(n) % 3 == 1).astype(float)),
            "main_support_at_entry": None,
            "months_since_work": np.where(np.arange(n) % 5 == 0, np.nan, rng.integers(0, 100, n)),
            "work_or_study_share_5y": rng.random(n),
            "mental_ill_health": 1.0,
            "musculoskeletal_disorder": np.nan,
            "outcome_follow_up": "register",
            "organisation_id": "O",
            "year": "2024",
            "p_a": np.where(np.arange(n) % 10 == 0, np.nan, 25.0 * rng.integers(0, 5, n)),
            "p_b": 50.0,
        }
    )
    return frame


def test_background_keeps_the_unknown_apart_and_joins_the_rare_with_the_common() -> None:
    frame, terms = with_background(_frame())
    # Five of an other sex are too few; women and men are as many, and the first in order takes them.
    assert [term for term in terms if term.startswith("bg_sex")] == ["bg_sex_1"]
    assert frame["bg_sex_1"].sum() == (_frame()["sex"] == "woman").sum()
    assert frame["bg_birth_region_1"].sum() == 50
    assert {"bg_vocational_qualification_1", "bg_vocational_qualification_2"} <= set(terms)
    assert "bg_months_since_work_missing" in terms
    assert not any("mental" in term or "organisation" in term or "support" in term for term in terms)
    assert frame[terms].notna().all(axis=None)


def test_answers_are_standardised_and_the_missing_stand_at_the_mean_with_a_mark() -> None:
    frame, terms = with_answers(_frame(), ["p_a", "p_b"], "own")
    assert terms == ["own_p_a", "own_missing"]
    given = frame.loc[_frame()["p_a"].notna(), "own_p_a"]
    assert given.mean() == pytest.approx(0, abs=1e-12)
    assert given.std() == pytest.approx(1)
    assert (frame.loc[_frame()["p_a"].isna(), "own_p_a"] == 0).all()


def test_a_flow_adds_up_in_participants_and_rows() -> None:
    frame = pd.DataFrame({"participant": list("aabbc"), "x": [1.0, np.nan, np.nan, 2, 3]})
    book = FlowBook("f", [{"step": "in_study", "kind": "start", "participants": 3, "rows": 5}], frame)
    book.keep_missing("no_belief", "x")
    book.keep_at_least("short_interval", "x", 2)
    flow = book.finish("at_risk")
    assert flow["participants"].tolist() == [3, 0, -1, 2]
    assert flow["rows"].tolist() == [5, -2, -1, 2]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_clustered_mean_is_a_linear_model_with_a_constant(weighted: bool) -> None:
    from bipstudy import models
    from bipstudy.analyses.estimating import mean

    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(7), 9)
    values = rng.normal(0.3, 1.0, len(clusters)) + rng.normal(size=7)[clusters]
    weights = rng.uniform(0.5, 2.0, len(clusters)) if weighted else np.ones(len(clusters))
    frame = pd.DataFrame({"y": values, "g": clusters, "w": weights})
    row = models.linear_probability(frame, "y ~ 1", weights="w", cluster="g").tidy().iloc[0]
    number = mean(values=values, weights=weights, clusters=clusters)
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert getattr(number, name) == pytest.approx(row[name], rel=1e-10), name


@pytest.mark.parametrize(("log_ratio", "error"), [(42.3, 50.0), (-508.0, 4.6), (0.3, 800.0), (900.0, 1.0)])
def test_a_ratio_that_ran_away_was_not_estimated(log_ratio: float, error: float) -> None:
    """Ten to the power of eighteen is no hazard ratio, and the exponential of an end beyond 709 is no number at all."""
    ends = {"conf_low": log_ratio - 1.96 * error, "conf_high": log_ratio + 1.96 * error}
    tidy = pd.DataFrame([{"term": "x", "estimate": log_ratio, "std_error": error, "p_value": 0.5, **ends}])

    class Fit:
        terms = ("x",)

        def glance(self) -> pd.DataFrame:
            return pd.DataFrame([{"rows": 40, "events": 3, "clusters": 5}])

    found = from_tidy(tidy, "x", Fit(), ratio=True)
    assert np.isnan([found.estimate, found.std_error, found.conf_low, found.conf_high, found.p_value]).all()
    assert (found.n, found.events, found.clusters, found.resample) == (40, 3, 5, None)
    kept = from_tidy(tidy.assign(estimate=1.0, std_error=0.5, conf_low=0.0, conf_high=2.0), "x", Fit(), ratio=True)
    assert kept.estimate == pytest.approx(np.exp(1.0))
