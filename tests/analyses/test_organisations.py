"""Organisations side by side: what is shown, the funnel, and the pooled mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, logit

import bipstudy as bip
from bipstudy.analyses import organisations
from bipstudy.analyses.estimating import Number, share
from bipstudy.models import random_effects


def drawn(shares: list[float], size: int = 400, seed: int = 1) -> dict[str, Number]:
    rng = np.random.default_rng(seed)
    return {f"o{place}": share(values=(rng.random(size) < p).astype(float)) for place, p in enumerate(shares)}


def test_the_mean_is_the_pooled_logit() -> None:
    numbers = drawn([0.1, 0.2, 0.3, 0.15], size=40_000)
    p = np.array([number.estimate for number in numbers.values()])
    expected = random_effects(estimates=logit(p), errors=np.full(4, (p.mean() * (1 - p.mean()) * 40_000) ** -0.5))
    found = organisations.mean_number(numbers)
    # With so many participants the half that is added to each side is nothing.
    assert found.estimate == pytest.approx(expit(expected.estimate), rel=1e-3)
    ends = expit([expected.conf_low, expected.conf_high])
    assert (found.conf_low, found.conf_high) == pytest.approx(ends, rel=1e-2)
    row = organisations.summary({"a": numbers}).iloc[0]
    assert row["p_value"] == pytest.approx(expected.q_p_value, abs=1e-6)
    assert row["new_low"] < row["conf_low"] < row["estimate"] < row["conf_high"] < row["new_high"]


def test_who_has_few_events_counts_in_the_mean() -> None:
    """Organisations alike, of 70 participants: six events each, so that many have fewer than the five shown."""
    shares, within, pooled_ends = [], [], []
    for seed in range(150):
        numbers = drawn([0.08] * 6, size=70, seed=seed)
        found = organisations.mean_number(numbers)
        assert found.n == 420
        shares.append(found.estimate)
        within.append(found.conf_low <= 0.08 <= found.conf_high)
        whole = share(values=np.repeat([1.0, 0.0], [int(found.events or 0), 420 - int(found.events or 0)]))
        pooled_ends.append((found.conf_high - found.conf_low) / (whole.conf_high - whole.conf_low))
        assert organisations.common_share(numbers) == pytest.approx(whole.estimate)
    # The mean of 150 has an error of a tenth of a point; leaving out those with few events gives 9.6 per cent.
    assert np.mean(shares) == pytest.approx(0.08, abs=0.004)
    assert np.mean(within) > 0.9
    # Organisations that happen to lie close together make it no surer than all their participants would be.
    assert min(pooled_ends) > 0.9


def test_an_organisation_without_events_counts_too() -> None:
    numbers = {**drawn([0.1, 0.1], size=300), "none": share(values=np.zeros(60))}
    found = organisations.mean_number(numbers)
    assert found.estimate < organisations.mean_number({name: numbers[name] for name in ("o0", "o1")}).estimate
    assert found.conf_low > 0


def test_small_organisations_and_rare_events_are_not_shown() -> None:
    numbers = {
        **drawn([0.2, 0.2]),
        "few": Number(0.5, 0.1, 0.3, 0.7, n=19, events=9),
        "rare": Number(0.01, 0.005, 0.0, 0.02, n=400, events=4),
        "nearly all": Number(0.99, 0.005, 0.98, 1.0, n=400, events=396),
    }
    assert list(organisations.shown(numbers)) == ["o0", "o1"]
    assert organisations.side_by_side(numbers)["organisation"].tolist() == ["o0", "o1"]
    assert np.isnan(organisations.mean_number({"o0": numbers["o0"]}).estimate)
    assert organisations.figure({"o0": numbers["o0"]}, "caption", "axis") == {}


def test_of_organisations_alike_one_in_twenty_lies_outside() -> None:
    outside = [
        (organisations.side_by_side(drawn([0.15] * 20, seed=seed))["outside_key"] == "analyses.yes").mean()
        for seed in range(40)
    ]
    # 800 organisations: a standard error below a point.
    assert 0.025 < np.mean(outside) < 0.08
    apart = organisations.side_by_side(drawn([0.15] * 10 + [0.4]))
    assert apart.set_index("organisation").loc["o10", "outside_key"] == "analyses.yes"


@pytest.mark.parametrize("share_", [0.05, 0.3])
@pytest.mark.parametrize("size", [8, 40, 400])
def test_the_limits_of_the_funnel_keep_their_tails(size: int, share_: float) -> None:
    """The tail of the interpolated distribution, summed by hand, is a fortieth on either side."""
    low, high = (
        float(end[0]) * size for end in organisations.funnel_limits(size=np.array([float(size)]), share=share_)
    )
    events = np.arange(size + 1)
    mass = np.array([math.comb(size, k) * share_**k * (1 - share_) ** (size - k) for k in events])
    for end, tail in ((low, 0.025), (high, 0.975)):
        if end > 0:
            # Each whole number is spread evenly over the step that ends with it.
            below = mass[events <= np.floor(end)].sum()
            part = (end - np.floor(end)) * mass[int(np.floor(end)) + 1]
            assert below + part == pytest.approx(tail, abs=1e-9)
    assert low < size * share_ < high


def test_every_organisation_of_a_study_is_compared() -> None:
    study, _ = bip.simulate_study(1500, seed=3, scenario="demo")
    result = bip.analyses.transitions(study)
    table = result.tables["by_organisation"]
    assert set(table["organisation"]) <= set(study.participants["organisation_id"])
    assert len(table) >= 4
    mean = result.estimates.set_index("contrast").loc["organisations_mean"]
    assert table["estimate"].min() < mean["estimate"] < table["estimate"].max()
    assert len(result.figures["organisations"].frame) == len(table) + 1
    funnel = result.figures["funnel"]
    assert funnel.frame["y"].tolist() == table["estimate"].tolist()
    # Smaller organisations may lie further out.
    width = (funnel.options["limits"]["inner_high"] - funnel.options["limits"]["inner_low"]).to_numpy()
    assert width[0] > 2 * width[-1] > 0
    assert (funnel.options["limits"]["outer_high"] >= funnel.options["limits"]["inner_high"]).all()
    assert len(bip.analyses.participants(study).tables["organisations"]) == 5
