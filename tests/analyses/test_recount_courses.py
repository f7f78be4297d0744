"""Continuity and progression again, from the tables alone: quarters, changes and transitions by loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from recount import (
    NEVER,
    Person,
    at_risk,
    background,
    cloglog,
    episodes,
    independent,
    outcome,
    people,
    period_columns,
    row_of,
    simple_study,
    two_way,
)

import bipstudy as bip
from bipstudy import schema
from bipstudy.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return simple_study(8)


@pytest.fixture(scope="module")
def everybody(study: Study) -> list[Person]:
    return people(study)


@pytest.fixture(scope="module")
def quarters(everybody: list[Person]) -> pd.DataFrame:
    return episodes(everybody)


@pytest.fixture(scope="module")
def continuity(study: Study) -> pd.DataFrame:
    return bip.analyses.continuity(study).estimates


@pytest.mark.parametrize(
    ("response", "called"),
    [("event", "work_or_study"), pytest.param("work", "work", marks=pytest.mark.certify)],
)
def test_the_hazard_after_a_first_change(
    continuity: pd.DataFrame, quarters: pd.DataFrame, response: str, called: str
) -> None:
    matrix = np.column_stack(
        [
            np.ones(len(quarters)), quarters["changed"], period_columns(quarters, response), quarters["months"],
            background(quarters),
        ]
    )  # fmt: skip
    matrix = matrix[:, independent(matrix)]
    beta, influence = cloglog(matrix, quarters[response].to_numpy())
    error = two_way(influence[:, 1], [quarters["cluster"].to_numpy(), quarters["participant"].to_numpy()])
    found = continuity
    found = found[(found["contrast"] == "quarters_after_first_change") & (found["adjustment"] == "background")]
    row = found.set_index("outcome").loc[called]
    assert np.log(row["estimate"]) == pytest.approx(beta[1], abs=1e-6)
    assert row["std_error"] == pytest.approx(error, rel=1e-4)
    assert row[["n", "events", "clusters"]].tolist() == [
        len(quarters), quarters[response].sum(), quarters["cluster"].nunique(),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def occasions(everybody: list[Person]) -> pd.DataFrame:
    """Occasions followed for the quarter after the wash-out, with change and level since the one before."""
    items = [f"p_{item.id}" for item in schema.items().values() if "participant" in item.respondents]
    assert all(item.direction == "higher_is_readier" for item in schema.items().values())
    firsts = pd.DataFrame([person.occasions[0] for person in everybody if person.zero < NEVER]).reindex(columns=items)
    unit = firsts.std(ddof=1)
    centre = firsts.mean()
    rows = []
    for person in everybody:
        previous = None
        for occasion in person.occasions:
            now = pd.Series(occasion).reindex(items).astype(float)
            if at_risk(person, occasion["day"]):
                y, _ = outcome(person, occasion["day"], round(3 * 365.25 / 12 + 30))
                row = {
                    **row_of(person, occasion["day"]),
                    "y": y,
                    "months": (occasion["day"] - person.entered) / (365.25 / 12),
                    "cluster": person.cluster(occasion["day"], occasion["form"]),
                    "change": np.nan,
                    "start": np.nan,
                }
                if previous is not None:
                    length = (occasion["day"] - previous["day"]) / (365.25 / 4)
                    before = pd.Series(previous).reindex(items).astype(float)
                    row["change"] = ((now - before) / unit).mean() / length if length > 0 else np.nan
                    row["start"] = ((before - centre) / unit).mean()
                rows.append(row)
            previous = occasion
    return pd.DataFrame(rows)


def test_the_hazard_per_standard_deviation_of_change(study: Study, occasions: pd.DataFrame) -> None:
    assert occasions["y"].notna().all()
    columns = background(occasions)
    ended = occasions["change"].notna().to_numpy()
    frame = occasions[ended]
    z = {name: (frame[name] - frame[name].mean()) / frame[name].std(ddof=1) for name in ("change", "start")}
    assert z["start"].notna().all()
    matrix = np.column_stack([np.ones(len(frame)), z["change"], z["start"], frame["months"], columns[ended]])
    # What does not vary among these rows has a column of noughts.
    matrix = matrix[:, np.abs(matrix).sum(axis=0) > 0]
    matrix = matrix[:, independent(matrix)]
    beta, influence = cloglog(matrix, frame["y"].to_numpy())
    error = two_way(influence[:, 1], [frame["cluster"].to_numpy(), frame["participant"].to_numpy()])
    row = bip.analyses.progression(study).primary().iloc[0]
    assert row[["n", "events", "clusters"]].tolist() == [len(frame), frame["y"].sum(), frame["cluster"].nunique()]
    assert np.log(row["estimate"]) == pytest.approx(beta[1], abs=1e-6)
    assert row["std_error"] == pytest.approx(error, rel=1e-3)
