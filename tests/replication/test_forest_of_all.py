"""The forest of all findings has every number that can stand on an axis of quotients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from bipstudy.replication.agreement import agreement
from bipstudy.replication.benchmarks import read_benchmarks
from bipstudy.replication.drawing import _agreement_figures

ROWS = (
    ("R8", "risk_difference", "work", 12, "background", 0.02, -0.03, 0.07),
    ("R3", "hazard_ratio", "work", None, "background", 0.7, 0.5, 0.98),
    ("R9", "share", "activity", None, "raw", 0.4, 0.35, 0.45),
    ("R5b", "risk_difference", "work", 12, "raw", -0.01, -0.05, 0.03),
)


def test_an_interval_that_reaches_nought_is_drawn_and_cut() -> None:
    columns = ("benchmark", "scale", "outcome", "horizon_months", "adjustment", "estimate", "conf_low", "conf_high")
    estimates = pd.DataFrame(ROWS, columns=list(columns)).assign(contrast="", std_error=0.02)
    run: Any = SimpleNamespace(
        language="en", benchmarks=read_benchmarks(), agreement=agreement(estimates, language="en")
    )
    draw = _agreement_figures(run)["all"]
    assert draw is not None
    frame = draw.args[0].set_index(draw.args[0]["label"].str.split().str[0])
    # R5b is below nought and has no place on the axis.
    assert set(frame.index) == {"R8", "R3", "R9"}
    assert frame.loc["R8", "conf_low"] == -0.03 / 0.02
    assert 0 < frame.loc["R8", "drawn_low"] < frame[["estimate", "conf_low"]].where(lambda x: x > 0).min().min()
    assert frame.loc[["R3", "R9"], "drawn_low"].isna().all()
    figure = draw()
    axes = figure.axes[0]
    heads = [line for line in axes.lines if line.get_marker() == "<"]
    assert sum(pd.notna(value) for line in heads for value in line.get_xdata()) == 1
    assert axes.get_xlim()[0] < frame.loc["R8", "drawn_low"]
    # What is written is the whole interval.
    assert any("−1.50" in text.get_text() for text in axes.texts)
