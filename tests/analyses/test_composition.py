"""Estimates with the composition of another population: weights reach every model, and change nothing when alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses.common import population_weights
from bipstudy.analyses.composition import WEIGHTED, standardised_to_danish
from bipstudy.analyses.danish_shares import danish_weights, effective_size
from bipstudy.analyses.headlines import headlines
from bipstudy.analyses.subgroups import part
from bipstudy.study import Study
from bipstudy.texts import BipstudyError


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.simulate_study(900, seed=21, scenario="danish_twin")[0]


def labels(study: Study) -> pd.Series:
    return (study.participants["organisation_id"] + "/" + study.participants["participant_id"]).astype(object)


def main(study: Study, name: str) -> pd.DataFrame:
    found = headlines(study, [name])
    return found[found["role"] == "primary"].reset_index(drop=True)


@pytest.mark.parametrize("name", [name for name in WEIGHTED if name != "readiness"])
def test_equal_weights_change_nothing_and_weights_nearly_nought_leave_out(study: Study, name: str) -> None:
    own = main(study, name)
    with population_weights(dict.fromkeys(labels(study), 1.0)):
        alike = main(study, name)
    for column in ("estimate", "std_error", "conf_low"):
        np.testing.assert_allclose(alike[column], own[column], rtol=1e-6, atol=1e-9)
    if name == "progression":
        # Fewer than twenty transitions in the quarter after a change would be left.
        return
    healthy = ~(study.participants["mental_ill_health"].fillna(False).to_numpy(dtype=bool))
    with population_weights(dict(zip(labels(study), np.where(healthy, 1.0, 1e-3), strict=True))):
        weighted = main(study, name)
    alone = main(part(study, healthy), name)
    # Where few are left, an estimate of them alone says nothing.
    told = alone["std_error"].lt(0.7).to_numpy()
    ratio = bool(own["scale"].iloc[-1] in ("risk_ratio", "hazard_ratio"))
    given, wanted = (each.loc[told, "estimate"].to_numpy() for each in (weighted, alone))
    apart = np.log(given / wanted) if ratio else given - wanted
    # Answers are standardised, and rare levels of background joined, before anybody is weighted.
    assert (np.abs(apart) < 0.6 * alone.loc[told, "std_error"].to_numpy()).all()


def test_a_weight_of_two_is_two_participants(study: Study) -> None:
    twice = study.participants["mental_ill_health"].fillna(False).to_numpy(dtype=bool)
    copied = part(study, twice)
    tables = {
        name: pd.concat([frame, copied.tables[name].assign(participant_id=lambda f: "copy" + f["participant_id"])])
        if "participant_id" in frame
        else frame
        for name, frame in study.tables.items()
    }
    doubled = replace(study, tables={name: frame.reset_index(drop=True) for name, frame in tables.items()})
    with population_weights(dict(zip(labels(study), np.where(twice, 2.0, 1.0), strict=True))):
        weighted = main(study, "transitions")
    assert weighted["estimate"].iloc[0] == pytest.approx(main(doubled, "transitions")["estimate"].iloc[0], rel=1e-9)
    assert weighted["estimate"].iloc[0] != pytest.approx(main(study, "transitions")["estimate"].iloc[0], rel=1e-4)


def test_both_populations_stand_side_by_side_with_what_was_weighted(study: Study) -> None:
    tilted = part(study, ~study.participants["vocational_qualification"].fillna(False).to_numpy(dtype=bool)
                  | (np.arange(len(study.participants)) % 4 == 0))  # fmt: skip
    result = standardised_to_danish(tilted, "belief")
    assert result.estimates["term"].str.partition("population=")[2].tolist() == ["own", "danish_shares"]
    assert result.estimates["estimate"].iloc[0] == main(tilted, "belief")["estimate"].iloc[0]
    shares = result.tables["shares"]
    assert shares["benchmark_id"].tolist() == ["D1", "D2", "D10"]
    np.testing.assert_allclose(shares["weighted"], shares["danish"], atol=1e-7)
    assert abs(shares["own"] - shares["danish"]).max() > 0.1
    weights = danish_weights(tilted.participants)
    assert weights is not None
    assert effective_size(weights) < 0.95 * len(weights)
    for language in ("sv", "en"):
        words = [result.question(language), result.estimand(language), result.answer(language)]
        words += [*result.notes_in(language), *result.table("populations", language)["group"]]
        assert all(each and "{" not in each and "analyses." not in each for each in words)


def test_what_takes_no_weights_is_refused(study: Study) -> None:
    with pytest.raises(BipstudyError, match="caseworkers"):
        standardised_to_danish(study, "caseworkers")
    table = study.participants.assign(
        vocational_qualification=pd.NA, mental_ill_health=pd.NA, musculoskeletal_disorder=pd.NA
    )
    with pytest.raises(BipstudyError):
        standardised_to_danish(replace(study, tables={**study.tables, "participants": table}), "transitions")
