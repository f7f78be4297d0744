"""What planning and the certificate take of an analysis is the estimate of the whole analysis."""

from __future__ import annotations

import importlib

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses.headlines import ANALYSES, headlines
from bipstudy.study import Study

NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "events", "clusters"]
WHAT = ["analysis", "contrast", "term", "scale", "outcome", "horizon_months", "adjustment", "role", "benchmark"]


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


# Whole analyses that take longest are left to the certificate.
SLOW = {"belief", "caseworkers", "measurement", "readiness"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.certify] * (name in SLOW)) for name in sorted(ANALYSES)]
)
def test_the_primary_estimates_alone_are_those_of_the_whole_analysis(name: str) -> None:
    given = bip.load_example()
    whole = getattr(bip.analyses, name)(given).estimates.set_index(WHAT)
    alone = headlines(given, [name])
    primary = whole.index.get_level_values("role") == "primary"
    assert (alone["role"] == "primary").sum() == primary.sum()
    for row, numbers in zip(alone.to_dict("records"), _numbers(alone), strict=True):
        same = whole.loc[[tuple(row[column] for column in WHAT)]]
        assert len(same) == 1
        assert numbers == pytest.approx(_numbers(same)[0], rel=1e-10, nan_ok=True), row["contrast"]


def _numbers(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return np.column_stack([table[name].astype("Float64").to_numpy(np.float64, na_value=np.nan) for name in NUMBERS])


def test_every_analysis_has_its_primary_estimates_alone() -> None:
    assert set(ANALYSES) == set(bip.analyses.list())
