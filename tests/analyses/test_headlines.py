"""What planning takes of an analysis is the estimate of the whole analysis."""

from __future__ import annotations

import importlib

import pytest

import bipstudy as bip
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(participants=1500, seed=5, scenario="danish_twin")[0]


@pytest.mark.parametrize(("name", "finding"), [("belief", "R2a"), ("continuity", "R3")])
def test_the_headline_is_the_estimate_that_meets_the_benchmark(study: Study, name: str, finding: str) -> None:
    found = getattr(bip.analyses, name)(study).estimates
    row = found[found["benchmark"] == finding].iloc[0]
    alone = importlib.import_module(f"bipstudy.analyses.{name}").headline(study)
    for field in ("estimate", "std_error", "conf_low", "conf_high", "n", "events"):
        assert getattr(alone, field) == pytest.approx(row[field], rel=1e-10)
