"""The study weighted to the published Danish shares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses.danish_shares import danish_weights


def people(n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "vocational_qualification": (rng.random(n) < 0.5).astype(float),
            "mental_ill_health": np.where(rng.random(n) < 0.1, np.nan, rng.random(n) < 0.3),
            "musculoskeletal_disorder": (rng.random(n) < 0.4).astype(float),
        }
    )


def test_the_weighted_shares_are_the_published_ones() -> None:
    frame = people()
    weights = danish_weights(frame)
    for column, share in (("vocational_qualification", 0.30), ("mental_ill_health", 0.46),
                          ("musculoskeletal_disorder", 0.20)):  # fmt: skip
        known = frame[column].notna()
        assert np.average(frame.loc[known, column], weights=weights[known]) == pytest.approx(share)


def test_what_is_unknown_or_the_same_for_all_is_left_out() -> None:
    frame = people().assign(mental_ill_health=np.nan, musculoskeletal_disorder=1.0)
    weights = danish_weights(frame)
    assert np.average(frame["vocational_qualification"], weights=weights) == pytest.approx(0.30)
    assert danish_weights(frame.assign(vocational_qualification=np.nan)) is None


def test_the_twin_has_the_danish_shares_already_so_that_little_changes() -> None:
    study, _ = bip.simulate_study(3000, seed=6, scenario="danish_twin")
    rows = bip.analyses.transitions(study).estimates.set_index("contrast")
    weighted, own = rows.loc["everyone_danish_shares"], bip.analyses.transitions(study).primary().iloc[0]
    assert weighted["estimate"] == pytest.approx(own["estimate"], abs=0.005)
    assert weighted["std_error"] == pytest.approx(own["std_error"], rel=0.2)
