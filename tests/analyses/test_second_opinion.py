"""The primary estimates made again with other libraries, from the panel alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses.common import ready, with_answers, with_background
from bipstudy.panel import answer_columns
from bipstudy.study import Study

OWN = [column for column, respondent, _ in answer_columns() if respondent == "participant"]


@pytest.fixture(scope="module")
def study() -> Study:
    drawn, _ = bip.simulate_study(participants=1500, seed=21, scenario="danish_twin")
    return drawn


@pytest.fixture(scope="module")
def panel(study: Study) -> pd.DataFrame:
    return ready(bip.build_panel(study))


def _independent(frame: pd.DataFrame, terms: list[str]) -> list[str]:
    """Columns that are no combination of those before: statsmodels' inverse would share out what is collinear."""
    kept: list[str] = []
    for term in terms:
        matrix = np.column_stack([np.ones(len(frame)), frame[[*kept, term]].to_numpy(dtype=float)])
        if np.linalg.matrix_rank(matrix.T @ matrix) == matrix.shape[1]:
            kept.append(term)
    return kept


def _logit_risks(frame: pd.DataFrame, response: str, terms: list[str], settings: list[dict[str, float]]) -> np.ndarray:
    """Standardised risks by statsmodels and a loop over settings."""
    import statsmodels.api as sm

    known = frame[frame["y_known"]]
    kept = _independent(known, terms)
    fit = sm.GLM(
        known[response].to_numpy(dtype=float),
        sm.add_constant(known[kept].to_numpy(dtype=float)),
        family=sm.families.Binomial(),
        freq_weights=known["ipcw"].to_numpy(dtype=float),
    ).fit(tol=1e-12, maxiter=200)
    risks = []
    for setting in settings:
        changed = frame[kept].assign(**{name: value for name, value in setting.items() if name in kept})
        risks.append(fit.predict(sm.add_constant(changed.to_numpy(dtype=float), has_constant="add")).mean())
    return np.array(risks)


def test_the_incidence_is_that_of_lifelines(study: Study) -> None:
    from lifelines import AalenJohansenFitter

    episodes = bip.build_episodes(study, step_months=1200, washout_days=0)
    # lifelines moves tied days apart at random; whole days are made distinct here by parts of a day instead.
    rng = np.random.default_rng(1)
    time = episodes["stop"].to_numpy(dtype=float) - rng.permutation(len(episodes)) / len(episodes) * 1e-3
    cause = episodes["cause"].map({0: 0, 1: 1, 2: 1, 3: 2}).to_numpy()
    late = episodes["start"] == 0
    fitter = AalenJohansenFitter(calculate_variance=False).fit(time[late], cause[late], event_of_interest=1)
    theirs = float(fitter.cumulative_density_.loc[:365].iloc[-1, 0])
    ours = bip.analyses.transitions(study).primary()["estimate"].iloc[0]
    # Ties broken at random move an estimate of this size by less than the smallest step of the curve, 1 / 1500.
    assert ours == pytest.approx(theirs, abs=7e-4)


@pytest.mark.parametrize("item", ["job_search", "everyday_coping"])
def test_an_indicator_is_standardised_as_statsmodels_does(study: Study, panel: pd.DataFrame, item: str) -> None:
    first = panel[panel["first_measurement"]].reset_index(drop=True)
    frame, background = with_background(first)
    column = f"p_{item}"
    z = (frame[column] - frame[column].mean()) / frame[column].std(ddof=1)
    answered = frame.assign(z=z)[z.notna()]
    low, high = _logit_risks(answered, "y", ["z", *background], [{"z": -0.5}, {"z": 0.5}])
    found = bip.analyses.indicators(study).primary().set_index("term")
    # Both stop when the likelihood stands still to twelve digits.
    assert found.loc[item, "estimate"] == pytest.approx(high - low, abs=1e-8)


def test_the_belief_ladder_is_that_of_statsmodels(study: Study, panel: pd.DataFrame) -> None:
    first = panel[panel["first_measurement"]]
    sample = first[first["belief"].notna() & first[OWN].notna().any(axis=1)].reset_index(drop=True)
    frame, background = with_background(sample)
    frame, answers = with_answers(frame, OWN, "own")
    frame = frame.assign(top=(frame["belief"] >= 75).astype(float), middle=(frame["belief"] == 50).astype(float))
    settings = [{"top": 0.0, "middle": 0.0}, {"top": 1.0, "middle": 0.0}]
    found = bip.analyses.belief(study).estimates
    found = found[(found["scale"] == "risk_ratio") & (found["contrast"] == "belief_top_vs_bottom")]
    found = found[found["outcome"] == "work_or_study"].set_index("adjustment")
    for rung, terms in (("raw", []), ("background", background), ("background_answers", [*background, *answers])):
        bottom, top = _logit_risks(frame, "y", ["top", "middle", *terms], settings)
        assert found.loc[rung, "estimate"] == pytest.approx(top / bottom, rel=1e-7)
    assert found.loc["raw", "n"] == int(frame["y_known"].sum())


def test_the_raw_risk_ratio_is_that_of_weighted_shares(study: Study, panel: pd.DataFrame) -> None:
    first = panel[panel["first_measurement"] & panel["y_known"]]
    sample = first[first["belief"].notna() & first[OWN].notna().any(axis=1)]
    shares = [
        np.average(part["y"], weights=part["ipcw"])
        for part in (sample[sample["belief"] >= 75], sample[sample["belief"] <= 25])
    ]
    found = bip.analyses.belief(study).estimates
    raw = found[(found["scale"] == "risk_ratio") & (found["adjustment"] == "raw")].iloc[0]
    # A saturated model: the standardised risks are the weighted shares of the groups themselves.
    assert raw["estimate"] == pytest.approx(shares[0] / shares[1], rel=1e-8)


def test_the_hazard_ratio_is_that_of_statsmodels(study: Study) -> None:
    import statsmodels.api as sm

    episodes = ready(bip.build_episodes(study))
    frame, background = with_background(episodes)
    late = episodes.groupby("period")["event"].sum()[::-1].cumsum()[::-1]
    last = int(late[late >= 5].index.max())
    periods = pd.get_dummies(episodes["period"].clip(upper=last), prefix="t", drop_first=True, dtype=float)
    used = pd.concat([frame[["first_change", "months_since_entry", *background]], periods], axis=1)
    fit = sm.GLM(
        episodes["event"].to_numpy(dtype=float),
        sm.add_constant(used[_independent(used, [*used])].to_numpy(dtype=float)),
        family=sm.families.Binomial(link=sm.families.links.CLogLog()),
    ).fit(tol=1e-12, maxiter=200)
    ours = bip.analyses.continuity(study).primary()["estimate"].iloc[0]
    assert np.log(ours) == pytest.approx(fit.params[1], abs=1e-6)


def test_progression_is_that_of_statsmodels(study: Study, panel: pd.DataFrame) -> None:
    import statsmodels.formula.api as smf

    found = bip.analyses.activities(study).estimates
    single = found[found["contrast"] == "none_level"].iloc[0]
    focus = [name for name in panel if name.startswith("focus_")]
    since = panel.groupby("participant")["answered_on"].diff().dt.days
    since = since.where(since.notna(), (panel["answered_on"] - panel["entered_on"]).dt.days)
    idle = panel[(panel[focus] == 0).all(axis=1) & (since >= 28) & panel["progression"].notna()]
    fit = smf.ols("progression ~ 1", idle).fit()
    assert single["estimate"] == pytest.approx(fit.params["Intercept"], rel=1e-10)
    assert single["n"] == len(idle)
