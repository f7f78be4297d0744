"""Activities and the five insights again, from the tables alone: days, intervals and quarters by loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from recount import Person, background, episodes, independent, people, period_columns, simple_study, two_way
from recount_intervals import active, asked, intervals, mended, side_by_side, without_events

import bipstudy as bip
from bipstudy.study import Study

# No activity is what the others are set against.
KINDS = ("job_parallel", "job", "job_in_turn", "study", "other", "mixed")


@pytest.fixture(scope="module")
def study() -> Study:
    return simple_study(8)


@pytest.fixture(scope="module")
def everybody(study: Study) -> list[Person]:
    return people(study)


@pytest.fixture(scope="module")
def spans(everybody: list[Person]) -> pd.DataFrame:
    return intervals(everybody, 365)


@pytest.fixture(scope="module")
def primary(study: Study) -> pd.DataFrame:
    return bip.analyses.activities(study).primary().set_index("scale")


def design(frame: pd.DataFrame) -> np.ndarray:
    """Constant, kinds of interval, months in the programme, level of answers, health answer and background."""
    columns = [np.ones(len(frame)), *((frame["kind"] == name).astype(float) for name in KINDS)]
    columns += [frame["months"], frame["level"].fillna(0.0), frame["level"].isna().astype(float)]
    # Who did not answer is the reference: what is mended in the errors depends, in the fifth digit, on which it is.
    columns.append(pd.get_dummies(frame["p_health_coping"].fillna(-1.0), drop_first=True, dtype=float))
    return np.column_stack([*columns, background(frame)])


def test_progression_after_a_job_in_parallel_with_another(primary: pd.DataFrame, spans: pd.DataFrame) -> None:
    import statsmodels.api as sm

    kept = spans["progression"].notna().to_numpy()
    frame, matrix = spans[kept], design(spans)[kept]
    # What does not vary among these rows has a column of noughts.
    matrix = matrix[:, np.abs(matrix).sum(axis=0) > 0]
    matrix = matrix[:, independent(matrix)]
    fit = sm.OLS(frame["progression"].to_numpy(), matrix).fit()
    influence = (matrix * fit.resid[:, None]) @ np.linalg.inv(matrix.T @ matrix)
    covariance = np.zeros((matrix.shape[1], matrix.shape[1]))
    pairs = frame["cluster"] + "|" + frame["participant"]
    for sign, labels in ((1, frame["cluster"]), (1, frame["participant"]), (-1, pairs)):
        sums = pd.DataFrame(influence).groupby(labels.to_numpy()).sum().to_numpy()
        covariance += sign * sums.T @ sums * len(sums) / (len(sums) - 1)
    error = (mended(covariance)[1, 1] * (len(frame) - 1) / fit.df_resid) ** 0.5
    row = primary.loc["sd"]
    assert row[["n", "clusters"]].tolist() == [len(frame), frame["cluster"].nunique()]
    assert row["estimate"] == pytest.approx(fit.params[1], abs=1e-9)
    assert row["std_error"] == pytest.approx(error, rel=1e-6)


def test_the_risk_ratio_of_a_job_in_parallel_with_another(primary: pd.DataFrame, spans: pd.DataFrame) -> None:
    import statsmodels.api as sm

    matrix, y = design(spans), spans["y"].to_numpy()
    assert not np.isnan(y).any()
    columns, without_risk = without_events(matrix, y, own=1 + len(KINDS))
    kinds = sum(place <= len(KINDS) for place in columns)
    # Who had an exposure without any transition tells nothing, but counts where risks are standardised.
    used = ~without_risk & (matrix[:, [0, *sorted(set(range(1, 1 + len(KINDS))) - set(columns))]].sum(axis=1) == 1)
    own = matrix[:, columns]
    own = own[:, independent(own[used])]
    fit = sm.GLM(y[used], own[used], family=sm.families.Binomial()).fit(tol=1e-11, maxiter=60, wls_method="qr")
    fitted = fit.fittedvalues
    influence = np.zeros((len(y), own.shape[1]))
    information = (own[used] * (fitted * (1 - fitted))[:, None]).T @ own[used]
    influence[used] = (own[used] * (y[used] - fitted)[:, None]) @ np.linalg.inv(information)
    logarithm, each = 0.0, np.zeros(len(y))
    for sign, present in ((1, 1.0), (-1, 0.0)):
        rows = own.copy()
        rows[:, 1:kinds] = 0.0
        rows[:, 1] = present
        risk = np.where(without_risk, 0.0, fit.predict(rows))
        mean = risk.mean()
        slope = ((risk * (1 - risk))[:, None] * rows).mean(axis=0)
        logarithm += sign * np.log(mean)
        each += sign * (influence @ slope + (risk - mean) / len(y)) / mean
    row = primary.loc["risk_ratio"]
    error = two_way(each, [spans["cluster"].to_numpy(), spans["participant"].to_numpy()])
    assert row[["n", "events", "clusters"]].tolist() == [len(y), y.sum(), spans["cluster"].nunique()]
    assert np.log(row["estimate"]) == pytest.approx(logarithm, abs=1e-6)
    assert row["std_error"] == pytest.approx(error, rel=1e-4)


FOCUS = {"job", "study"}
INSIGHTS = ("focus", "no_gaps", "parallel", "same_caseworker", "belief")


@pytest.fixture(scope="module")
def quarters(everybody: list[Person]) -> pd.DataFrame:
    return counted(everybody)


def counted(everybody: list[Person]) -> pd.DataFrame:
    """Quarters at risk in which all five insights are known, as of a wash-out before each."""
    sent = {person.row["organisation_id"] for person in everybody if person.activities}
    frame = episodes(everybody)
    rows = []
    for person, on in zip(frame["person"], frame["on"], strict=True):
        # Belief stays known when a later form is without it.
        given = [each.get("c_caseworker_belief", np.nan) for each in person.occasions if each["day"] <= on]
        given = [value for value in given if not np.isnan(value)]
        before = (max(on - 91, person.entered), on)
        if person.row["organisation_id"] not in sent or before[0] >= on or not given:
            rows.append({"focus": np.nan})
            continue
        held = {
            "focus": active(person, (person.entered, on), FOCUS),
            "no_gaps": active(person, before),
            "parallel": float(side_by_side(person, before)),
            "same_caseworker": float(person.changes(on) == 0),
            "belief": float(given[-1] >= 75),
            "between": float(25 < given[-1] < 75),
        }
        rows.append(held)
    frame = pd.concat([frame.reset_index(drop=True), pd.DataFrame(rows)], axis=1)
    return frame[frame["focus"].notna()].reset_index(drop=True)


def test_the_risk_ratios_of_the_five_insights(study: Study, quarters: pd.DataFrame) -> None:
    import statsmodels.api as sm

    found = bip.analyses.insights(study)
    held = [*INSIGHTS, "between"]
    answers = quarters[asked()].astype(float)
    z = ((answers - answers.mean()) / answers.std(ddof=1)).fillna(0.0)
    periods = period_columns(quarters, "event")
    matrix = np.column_stack(
        [np.ones(len(quarters)), quarters[held], periods, z, answers.isna().mean(axis=1), background(quarters)]
    )
    y = quarters["event"].to_numpy()
    columns, without_risk = without_events(matrix, y, own=1 + len(held))
    assert columns[: len(held) + 4] == [*range(len(held) + 4)]
    shown = sum(len(held) < place <= len(held) + periods.shape[1] for place in columns)
    matrix = matrix[:, columns]
    matrix = matrix[:, independent(matrix[~without_risk])]
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    fit = sm.GLM(y[~without_risk], matrix[~without_risk], family=family).fit(tol=1e-11, maxiter=40, wls_method="qr")
    hazard = np.where(without_risk, 0.0, np.exp(matrix @ fit.params))
    risk = -np.expm1(-hazard)
    # Of a row without risk nothing is expected, and nothing came.
    ratio = np.divide(hazard, risk, out=np.zeros(len(y)), where=~without_risk)
    information = (matrix * (ratio * hazard * np.exp(-hazard))[:, None]).T @ matrix
    influence = (matrix * ((y - risk) * ratio)[:, None]) @ np.linalg.inv(information)
    first = (~quarters["participant"].duplicated()).to_numpy()
    clusters = [quarters["cluster"].to_numpy(), quarters["participant"].to_numpy()]

    def at_a_year(place: int, present: float) -> tuple[float, np.ndarray]:
        """Logarithm of the standardised risk over four quarters, and what each row adds to it."""
        rows = matrix[first]
        rows[:, place] = present
        if place == len(INSIGHTS):
            rows[:, place + 1] = 0.0
        cumulated, slope = np.zeros(len(rows)), np.zeros(rows.shape)
        for number in range(4):
            rows[:, 1 + len(held) : 1 + len(held) + shown] = 0.0
            if number:
                rows[:, len(held) + number] = 1.0
            own = np.where(without_risk[first], 0.0, np.exp(rows @ fit.params))
            cumulated += own
            slope += own[:, None] * rows
        own = -np.expm1(-cumulated)
        each = influence @ (np.exp(-cumulated)[:, None] * slope).mean(axis=0)
        each[first] += (own - own.mean()) / len(own)
        return float(np.log(own.mean())), each / own.mean()

    rows = found.primary().set_index("term")
    for place, name in enumerate(INSIGHTS, start=1):
        (high, of_high), (low, of_low) = at_a_year(place, 1.0), at_a_year(place, 0.0)
        row = rows.loc[name]
        assert np.log(row["estimate"]) == pytest.approx(high - low, abs=1e-6), name
        assert row["std_error"] == pytest.approx(two_way(of_high - of_low, clusters), rel=1e-6), name
        assert row[["n", "events", "clusters"]].tolist() == [len(y), y.sum(), quarters["cluster"].nunique()]
    present = quarters[list(INSIGHTS)].mean().to_numpy()
    assert found.tables["insights"]["present"].to_numpy() == pytest.approx(present, abs=1e-12)


def test_a_belief_stands_when_the_next_form_of_the_same_quarter_is_without_it(study: Study) -> None:
    forms = study.measurements
    person = forms["organisation_id"] + "/" + forms["participant_id"]
    order = forms["occasion"].groupby(person).rank(method="dense")
    # The second occasion comes a month after the first and the third two months after, without a belief.
    first = forms["answered_on"].where(order == 1).groupby(person).transform("max")
    near = {2: pd.Timedelta(days=25), 3: pd.Timedelta(days=75)}
    moved = forms.copy()
    for number, later in near.items():
        own = (order == number) & forms["answered_on"].notna() & first.notna()
        moved.loc[own, "answered_on"] = (first + later)[own]
    moved.loc[order == 3, "caseworker_belief"] = pd.NA
    changed = dataclasses.replace(study, tables={**study.tables, "measurements": moved})
    frame = counted(people(changed))
    found = bip.analyses.insights(changed)
    assert found.primary()["n"].unique().tolist() == [len(frame)]
    assert found.tables["insights"]["present"].to_numpy() == pytest.approx(
        frame[list(INSIGHTS)].mean().to_numpy(), abs=1e-12
    )
