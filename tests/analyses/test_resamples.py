"""Replicates of estimates that are no single coefficient, against leaving out and against fitting anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy import models
from bipstudy.analyses import belief_optimism as design
from bipstudy.analyses import resampling
from bipstudy.analyses.belief import primary_samples
from bipstudy.analyses.caseworkers_draws import of_halves, of_spread
from bipstudy.analyses.common import CLUSTER
from bipstudy.analyses.estimating import Label, Number, estimates
from bipstudy.analyses.headlines import headlines
from bipstudy.analyses.insights import _fit, primary_sample
from bipstudy.analyses.insights_risks import INSIGHTS, standardised_risks
from bipstudy.models.halves import sorted_halves
from bipstudy.models.steps import draw_counts
from bipstudy.panel import build_episodes

Floats = np.ndarray[Any, np.dtype[np.float64]]


def answers(people: int = 600, groups: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    place = rng.integers(0, groups, people)
    common = rng.normal(size=people) + 0.5 * rng.normal(size=groups)[place]
    frame = pd.DataFrame({f"i{item}": common + rng.normal(size=people) for item in range(5)})
    risk = 1 / (1 + np.exp(1.5 - common))
    y = (rng.random(people) < risk).astype(float)
    weak, strong = (1 / (1 + np.exp(-x)) for x in (rng.normal(size=people), common - 1 + rng.normal(size=people)))
    return frame.assign(**{CLUSTER: [f"c{each:02d}" for each in place]}, y=y, weak=weak, strong=strong)


def omega(frame: pd.DataFrame) -> tuple[float, Floats]:
    fit = models.reliability(frame, [f"i{item}" for item in range(5)], cluster=CLUSTER)
    return float(fit.estimates[fit.terms.index("omega")]), fit.influence["omega"]


def icc(frame: pd.DataFrame) -> tuple[float, Floats]:
    fit = models.intraclass_correlation(frame, ["i0", "i1"], cluster=CLUSTER)
    return float(fit.tidy().set_index("term").loc["icc2", "estimate"]), fit.influence["icc2"]


def gain(frame: pd.DataFrame) -> tuple[float, Floats]:
    fit = models.prediction_performance(frame["y"], frame["strong"], frame["weak"], cluster=frame[CLUSTER])
    return float(fit.coef["auc"]), fit.influence[:, fit.terms.index("auc")]


@pytest.mark.parametrize("statistic", [omega, icc, gain], ids=["omega", "icc", "gain"])
def test_influences_are_what_leaving_out_a_caseworker_takes_away(statistic: Any) -> None:
    frame = answers()
    whole, influence = statistic(frame)
    sums = pd.Series(influence).groupby(frame[CLUSTER]).sum()
    taken = pd.Series({name: whole - statistic(frame[frame[CLUSTER] != name])[0] for name in sums.index})
    assert abs(float(influence.sum())) < 1e-6
    assert np.corrcoef(sums, taken)[0, 1] > 0.99
    # Leaving out a cluster takes a little more than its influence: the others weigh more.
    assert np.polyfit(sums, taken, 1)[0] == pytest.approx(1.0, abs=0.1)


def test_replicates_of_rows_spread_as_a_bootstrap_that_fits_anew() -> None:
    frame = answers()
    whole, influence = omega(frame)
    with resampling.resampling(200, 3) as drawn:
        of = resampling.of_rows(whole, influence, frame[CLUSTER].to_numpy(dtype=object))
        estimates([(Label("measurement", "a", "other", "y", role="primary"), Number(whole, resample=of))])
    (own,) = drawn.found.values()
    again = np.array([omega(repeated(frame, counts))[0] for counts in draw_counts(40, 25, 3)])
    # The first resamples of both are the same: seeds are spawned one by one.
    assert np.corrcoef(own[:25], again)[0, 1] > 0.97
    assert np.std(own[:25]) == pytest.approx(np.std(again), rel=0.15)


def repeated(frame: pd.DataFrame, counts: Floats, own_names: bool = False) -> pd.DataFrame:
    """Write each caseworker as often as it is drawn; under other names if each is to be one of its own."""
    parts = []
    for (name, part), count in zip(frame.groupby(CLUSTER, sort=True), counts.astype(int), strict=True):
        for number in range(count):
            changed = {CLUSTER: f"{name}/{number}"} if own_names else {}
            if "participant" in part:
                changed["participant"] = part["participant"].astype(str) + f"/{number}"
            parts.append(part.assign(**changed))
    return pd.concat(parts, ignore_index=True)


def workers(groups: int = 60, cases: int = 12, spread: float = 0.12) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    place = np.repeat(np.arange(groups), rng.integers(5, 2 * cases, groups))
    x = rng.normal(size=len(place))
    y = (rng.random(len(place)) < np.clip(0.25 + 0.05 * x + rng.normal(0, spread, groups)[place], 0, 1)).astype(float)
    names = [f"c{each:02d}" for each in place]
    return pd.DataFrame({CLUSTER: names, "x": x, "y": y, "weighted": y, "worker": place, "ipcw": 1.0})


def effects(frame: pd.DataFrame) -> Any:
    return models.caseworker_effects(frame, outcome="weighted", caseworker="worker", formula="x", draws=2)


def true_spread(fit: Any) -> float:
    return float(fit.tidy().set_index("term").loc["sd_true", "estimate"])


@pytest.mark.parametrize("spread", [0.12, 0.0])
def test_the_spread_of_a_resample_is_that_of_fitting_it_anew(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = workers(spread=spread)
    fit = effects(frame)
    counts = draw_counts(60, 12, 1)
    with resampling.resampling(12, 1):
        own = of_spread(fit, frame)
        assert own is not None
        drawn = own()
    again = []
    for each in counts:
        part = repeated(frame, each, own_names=True)
        again.append(true_spread(effects(part.assign(worker=pd.factorize(part[CLUSTER])[0]))))
    assert drawn is not None
    # On the boundary they are nought together; elsewhere they differ by what a resample moves the slope of x.
    np.testing.assert_allclose(drawn, again, atol=0.012 if spread else 0.045)
    assert np.corrcoef(drawn, again)[0, 1] > 0.9
    from bipstudy.models import steps

    monkeypatch.setattr(steps, "draw_counts", lambda groups, replications, seed: np.ones((replications, groups)))
    with resampling.resampling(1, 1):
        once = of_spread(fit, frame)
        assert once is not None
        value = once()
    assert value is not None
    assert value[0] == pytest.approx(true_spread(fit), rel=1e-3, abs=1e-6)


def test_halves_are_sorted_anew_in_each_resample() -> None:
    frame = workers()
    with resampling.resampling(20, 5):
        upper, lower = (each() for each in of_halves(frame, 5) if each is not None)
    assert upper is not None
    assert lower is not None
    for place, counts in enumerate(draw_counts(60, 20, 5)):
        part = repeated(frame, counts, own_names=True).groupby(CLUSTER)["y"]
        halves = sorted_halves(total=part.sum().to_numpy(float), size=part.size().to_numpy(float))
        assert (upper[place], lower[place]) == pytest.approx((halves.upper, halves.lower))


@pytest.mark.certify
def test_risks_of_the_insights_in_a_resample_are_those_of_fitting_it_anew() -> None:
    study, _ = bip.simulate_study(participants=700, seed=12, scenario="danish_twin")
    frame, adjustment = primary_sample(study, build_episodes(study))
    few = [name for name in adjustment if not name.startswith(("bg_organisation", "bg_year"))][:4]
    with resampling.resampling(30, 2):
        risks = standardised_risks(_fit(frame, "event", few, 4), frame, 4)
        belief = risks.contrast("belief_present", "belief_absent", "risk_ratio", {}).resample
        focus = risks.contrast("focus_present", "focus_absent", "risk_difference", {}).resample
        assert belief is not None
        assert focus is not None
        own = {"belief": np.log(belief()), "focus": focus()}
    again: dict[str, list[float]] = {"belief": [], "focus": []}
    for counts in draw_counts(frame[CLUSTER].nunique(), 30, 2):
        part = repeated(frame, counts)
        made = standardised_risks(_fit(part, "event", few, 4), part, 4)
        again["belief"].append(np.log(made.contrast("belief_present", "belief_absent", "risk_ratio", {}).estimate))
        again["focus"].append(made.contrast("focus_present", "focus_absent", "risk_difference", {}).estimate)
    for name, values in own.items():
        assert np.corrcoef(values, again[name])[0, 1] > 0.95, name
        assert np.std(values) == pytest.approx(np.std(again[name]), rel=0.25), name


def test_one_draw_of_each_caseworker_gives_the_ratios_of_the_insights(monkeypatch: pytest.MonkeyPatch) -> None:
    from bipstudy.models import steps

    monkeypatch.setattr(steps, "draw_counts", lambda groups, replications, seed: np.ones((replications, groups)))
    study, _ = bip.simulate_study(participants=500, seed=12, scenario="danish_twin")
    frame, adjustment = primary_sample(study, build_episodes(study))
    with resampling.resampling(2, 2):
        risks = standardised_risks(_fit(frame, "event", adjustment[:2], 4), frame, 4)
        for name in INSIGHTS:
            number = risks.contrast(f"{name}_present", f"{name}_absent", "risk_ratio", {})
            assert number.resample is not None
            # The fit has converged to about this.
            np.testing.assert_allclose(number.resample(), number.estimate, rtol=1e-6)


def test_insights_have_replicates_where_separation_decides_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from bipstudy.models import steps

    monkeypatch.setattr(steps, "draw_counts", lambda groups, replications, seed: np.ones((replications, groups)))
    study, _ = bip.simulate_study(participants=500, seed=12, scenario="danish_twin")
    frame, adjustment = primary_sample(study, build_episodes(study))
    # Nobody with this has a transition, and neither has anybody whose activities run side by side.
    never = frame["participant"].isin(frame["participant"].unique()[::9]) & ~frame["participant"].isin(
        frame.loc[frame["event"] > 0, "participant"]
    )
    frame = frame.assign(never=never.astype(float), event=np.where(frame["ins_parallel"] > 0, 0.0, frame["event"]))
    with resampling.resampling(2, 2):
        fit = _fit(frame, "event", ["never", adjustment[0]], 4)
        assert len(fit.directions) >= 1
        risks = standardised_risks(fit, frame, 4)
        for name in INSIGHTS:
            number = risks.contrast(f"{name}_present", f"{name}_absent", "risk_ratio", {})
            if name == "parallel":
                assert np.isnan(number.estimate)
                continue
            assert number.resample is not None
            np.testing.assert_allclose(number.resample(), number.estimate, rtol=1e-5)


@pytest.mark.parametrize("column", ["above", "z_optimism"])
def test_optimism_in_points_is_resampled_with_its_ratio(column: str) -> None:
    study, _ = bip.simulate_study(participants=1500, seed=12, scenario="danish_twin")
    panel = bip.build_panel(study)
    _, compared = primary_samples(study, panel)
    contrast = {"above": design.MEDIAN, "z_optimism": design.PER_SD}[column]
    label = Label("belief", contrast, "risk_ratio", "work", design.EARLIER, 12, design.ADJUSTED)
    with resampling.resampling(400, 3):
        (_, ratio), (_, points), (_, base) = design._reduced_form(compared.frame, "y_work", column, [], label, "R8")
        assert ratio.resample is not None
        assert points.resample is not None
        ratios, differences = ratio.resample(), points.resample()
    assert ratios is not None
    assert differences is not None
    assert (np.sign(differences) == np.sign(ratios - 1)).all()
    assert np.corrcoef(np.log(ratios), differences)[0, 1] > 0.9
    # The estimate itself, from its own ratio.
    known = compared.frame[compared.frame["y_known"]]
    whole = np.average(known["y_work"], weights=known["ipcw"])
    share = np.average(known["above"], weights=known["ipcw"]) if column == "above" else None
    drawn = design._drawn_in_points(lambda: np.array([ratio.estimate]), whole, share)
    assert drawn is not None
    assert drawn() == pytest.approx(points.estimate, rel=1e-6)
    if column == "above":
        # Both halves, at the risk each starts from, make the whole.
        assert (1 - share) * base.estimate + share * (base.estimate + points.estimate) == pytest.approx(whole, rel=1e-6)


def test_every_primary_estimate_has_replicates() -> None:
    study, _ = bip.simulate_study(participants=400, seed=12, scenario="danish_twin")
    with resampling.resampling(5, 1) as drawn:
        found = headlines(study, ["activities", "caseworkers", "progression", "training", "measurement"])
    wanted = found[found["role"] == "primary"].dropna(subset=["estimate"])
    assert {resampling.key_of(row) for row in wanted.to_dict("records")} <= set(drawn.found)
    assert len(wanted) >= 7
