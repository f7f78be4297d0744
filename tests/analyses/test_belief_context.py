"""What goes with belief: the factors by loops over people, and what an organisation did not send."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses.belief_context import UNANSWERED, _missed, _trained
from bipstudy.analyses.common import ready
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.load_example()


@pytest.fixture(scope="module")
def rows(study: Study) -> pd.DataFrame:
    panel = ready(bip.build_panel(study))
    return panel[panel["belief"].notna() & panel["answering_caseworker"].notna()].reset_index(drop=True)


def test_staff_of_an_organisation_that_sent_no_trainings_are_not_untrained(study: Study, rows: pd.DataFrame) -> None:
    table = study.trainings
    silent = sorted(table["organisation_id"].unique())[0]
    fewer = replace(study, tables={**study.tables, "trainings": table[table["organisation_id"] != silent]})
    day = rows["answered_on"].to_numpy(dtype="datetime64[D]")
    whole, found = (_trained(each, rows, day, "basic") for each in (study, fewer))
    theirs = (rows["organisation_id"] == silent).to_numpy(dtype=bool)
    assert np.isnan(found[theirs]).all()
    np.testing.assert_array_equal(found[~theirs], whole[~theirs])
    assert set(whole) == {0.0, 1.0}


def test_missed_occasions_are_those_before(study: Study, rows: pd.DataFrame) -> None:
    forms = study.measurements
    own = forms[(forms["respondent"] == "participant") & forms["form_status"].isin(UNANSWERED)]
    whose = own["organisation_id"] + "/" + own["participant_id"]
    found = _missed(study, rows)
    for place in range(0, len(rows), 7):
        row = rows.iloc[place]
        earlier = (whose == row["participant"]) & (own["occasion"] < row["occasion"])
        assert found[place] == earlier.sum()
    assert found.max() > 0
