"""All designs, shortened: bias and coverage of every estimator on data with known truth."""

import os

import pytest

from bipstudy.certification import designs, judge, run_designs

REPLICATES = int(os.environ.get("CERTIFY_DATA_SETS", "60"))


@pytest.mark.certify
def test_every_estimator_holds():
    rows = judge(run_designs(designs(), replicates=REPLICATES, seed=1, n_jobs=2))
    failing = rows.loc[~rows["ok"], ["name", "bias", "bias_limit", "coverage", "band_low", "band_high", "failed"]]
    assert failing.empty, failing.to_string()
