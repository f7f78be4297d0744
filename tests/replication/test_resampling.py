"""Bootstrap replicates: at one draw of each cluster the estimate itself, and spread as a full refit spreads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bipstudy import models
from bipstudy.analyses import resampling
from bipstudy.analyses.common import binary, standardise
from bipstudy.analyses.estimating import Label, Number, estimates, from_tidy, mean, share
from bipstudy.models import steps
from bipstudy.replication.agreement import _share_beyond


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n, groups = 1500, 60
    place = rng.integers(0, groups, n)
    x = rng.normal(size=n) + rng.normal(size=groups)[place]
    risk = 1 / (1 + np.exp(1.2 - 0.5 * x - 0.4 * rng.normal(size=groups)[place]))
    y = (rng.random(n) < risk).astype(float)
    days = rng.integers(1, 500, n).astype(float)
    return pd.DataFrame(
        {
            "y": np.where(rng.random(n) < 0.1, np.nan, y),
            "x": x,
            "z": rng.normal(size=n),
            "ipcw": rng.uniform(0.8, 1.5, n),
            "participant": [f"p{i}" for i in range(n)],
            "cluster_caseworker": [f"c{i:02d}" for i in place],
            "start": np.minimum(rng.integers(0, 60, n), days - 1),
            "stop": days,
            "cause": np.where(y == 1, "work", np.where(rng.random(n) < 0.1, "competing", "0")),
        }
    ).assign(y_known=lambda f: f["y"].notna())


def risk_ratio(frame: pd.DataFrame) -> tuple[Label, Number]:
    fit = binary(frame, "y", "x", ["z"])
    risks = standardise(fit, frame, "x", {"low": 0.0, "high": 1.0})
    label = Label("belief", "a", "risk_ratio", "y", role="primary")
    return label, from_tidy(risks.tidy(), "ratio[high / low]", fit)


def numbers(frame: pd.DataFrame) -> list[tuple[Label, Number]]:
    known = frame[frame["y_known"]]
    clusters = known["cluster_caseworker"].to_numpy(dtype=object)
    values, weights = known["y"].to_numpy(), known["ipcw"].to_numpy()
    fit = models.linear_probability(known, "y ~ x + z", weights="ipcw", cluster="cluster_caseworker")
    curve = models.cumulative_incidence(
        frame, duration="stop", cause="cause", start="start", causes=("work", "competing")
    ).at(365)
    incidence = resampling.of_incidence(
        start=frame["start"].to_numpy(), stop=frame["stop"].to_numpy(), cause=frame["cause"].to_numpy(dtype=object),
        causes=("work", "competing"), of="work", at=365, clusters=frame["cluster_caseworker"].to_numpy(dtype=object),
    )  # fmt: skip
    of_work = float(curve.loc[curve["cause"] == "work", "estimate"].iloc[0])
    return [
        risk_ratio(frame),
        (Label("belief", "b", "share", "y", role="primary"), share(values=values, weights=weights, clusters=clusters)),
        (Label("belief", "c", "other", "y", role="primary"), mean(values=values, weights=weights, clusters=clusters)),
        (Label("belief", "d", "other", "y", role="primary"), from_tidy(fit.tidy(), "x", fit)),
        (Label("belief", "e", "risk", "y", role="primary"), Number(of_work, resample=incidence)),
    ]


def test_one_draw_of_each_cluster_gives_the_estimate(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "draw_counts", lambda groups, replications, seed: np.ones((replications, groups)))
    with resampling.resampling(3, 1) as drawn:
        table = estimates(numbers(frame))
    assert len(drawn.found) == len(table) == 5
    for row in table.to_dict("records"):
        # The fit has converged to about this.
        np.testing.assert_allclose(drawn.found[resampling.key_of(row)], row["estimate"], rtol=1e-6)


def test_replicates_spread_as_full_refits_with_the_same_draws(frame: pd.DataFrame) -> None:
    with resampling.resampling(99, 4) as drawn:
        estimates([risk_ratio(frame)])
    (one_step,) = drawn.found.values()

    def refit(part: pd.DataFrame, weights: np.ndarray) -> dict[str, float]:
        weighted = part.assign(w=weights * part["ipcw"], own=weights)
        fit = models.discrete_hazard(weighted[weighted["y_known"]], "y ~ x + z", link="logit", weights="w")
        risks = models.standardised_risk(fit, weighted, "x", {"low": 0.0, "high": 1.0}, weights="own", sampling="fixed")
        table = risks.tidy().set_index("term")["estimate"]
        return {"ratio": table["ratio[high / low]"]}

    full = models.bootstrap(refit, frame, "cluster_caseworker", replications=99, seed=4).replicates[:, 0]
    # One step with a fixed Hessian: the refit of the same draws but for terms of second order, replicate by replicate.
    assert np.corrcoef(np.log(one_step), np.log(full))[0, 1] > 0.97
    assert np.std(np.log(one_step)) == pytest.approx(np.std(np.log(full)), rel=0.1)


def test_the_bootstrap_error_is_the_clustered_error(frame: pd.DataFrame) -> None:
    with resampling.resampling(999, 2) as drawn:
        table = estimates(numbers(frame))
    for row in table.dropna(subset=["std_error"]).to_dict("records"):
        values = drawn.found[resampling.key_of(row)]
        spread = np.std(np.log(values) if row["scale"] == "risk_ratio" else values)
        # 60 clusters: the two differ by order 1/60, and 999 draws leave 2 per cent of noise.
        assert spread == pytest.approx(row["std_error"], rel=0.1)


def test_replicates_are_the_same_for_other_orders_of_rows(frame: pd.DataFrame) -> None:
    with resampling.resampling(50, 2) as first:
        estimates(numbers(frame))
    with resampling.resampling(50, 2) as second:
        estimates(numbers(frame.sample(frac=1, random_state=1).reset_index(drop=True)))
    for key, values in first.found.items():
        np.testing.assert_allclose(values, second.found[key], rtol=1e-7)


def test_nothing_is_drawn_unless_asked_for_and_only_what_is_wanted(frame: pd.DataFrame) -> None:
    values = frame["x"].to_numpy()
    clusters = frame["cluster_caseworker"].to_numpy(dtype=object)
    assert mean(values=values, clusters=clusters).resample is None
    with resampling.resampling(0, 1) as none:
        assert mean(values=values, clusters=clusters).resample is None
        estimates(numbers(frame)[:1])
    with resampling.resampling(20, 1) as some:
        number = mean(values=values, clusters=clusters)
        estimates(
            [(Label("belief", "a", "other", "y"), number), (Label("belief", "b", "other", "y", benchmark="R1"), number)]
        )
    assert none.found == {}
    assert set(some.found) == {"b/other/y/raw/"}


@pytest.mark.parametrize(
    ("danish", "scale", "share_"),
    [(2.5, "share", 0.4), (1.0, "risk_ratio", 1.0), (0.5, "hazard_ratio", 0.2), (-1, "risk_difference", 0.0)],
)  # fmt: skip
def test_the_share_beyond_the_danish_value_follows_its_direction(danish: float, scale: str, share_: float) -> None:
    drawn = np.array([0.5, 1.0, 2.0, 3.0, 4.0, np.nan])
    if danish == 1.0:
        drawn = drawn + 1.0
    assert _share_beyond(drawn, danish, scale) == pytest.approx(share_)
    assert np.isnan(_share_beyond(None, danish, scale))


def test_separation_leaves_those_concerned_where_they_are(frame: pd.DataFrame) -> None:
    never = frame.assign(never=(np.arange(len(frame)) < 40).astype(float))
    never.loc[:39, "y"] = 0.0
    never["y_known"] = never["y"].notna()
    with resampling.resampling(99, 1) as drawn:
        fit = binary(never, "y", "x", ["never"])
        assert "never" in fit.unbounded
        risks = standardise(fit, never, "x", {"low": 0.0, "high": 1.0})
        table = estimates(
            [
                (
                    Label("belief", "a", "risk_ratio", "y", role="primary"),
                    from_tidy(risks.tidy(), "ratio[high / low]", fit),
                )
            ]
        )
    (values,) = drawn.found.values()
    assert np.isfinite(values).all()
    assert np.std(np.log(values)) == pytest.approx(table.loc[0, "std_error"], rel=0.2)
