"""Labels in a funnel can be read also where organisations are alike."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation, Text

from bipstudy.report.funnels import funnel


def _drawn(frame: pd.DataFrame) -> tuple[list[Annotation], object]:
    x = np.linspace(20, 1.15 * frame["x"].max(), 30)
    half = 1.0 / np.sqrt(x)
    limits = pd.DataFrame({"x": x})
    for name, factor in (("inner", 0.6), ("outer", 0.9)):
        limits[f"{name}_low"], limits[f"{name}_high"] = np.maximum(0.1 - factor * half, 0), 0.1 + factor * half
    figure = funnel(
        frame, language="sv", limits=limits, centre=0.1, x_label="x", y_label="y", inner_label="i", outer_label="o",
        centre_label="c",
    )  # fmt: skip
    figure.draw_without_rendering()
    axes = figure.axes[0]
    return [text for text in axes.texts if isinstance(text, Annotation)], axes


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("count", [2, 6, 10])
def test_no_label_covers_another(count: int, spread: float) -> None:
    rng = np.random.default_rng(count)
    frame = pd.DataFrame({
        "label": [f"ORG{place:02d}" for place in range(count)],
        "x": 300 + spread * rng.normal(size=count) * 10,
        "y": 0.1 + spread * rng.normal(size=count) / 300,
    })  # fmt: skip
    labels, axes = _drawn(frame)
    assert [label.get_text() for label in labels] == frame["label"].tolist()
    boxes = [Text.get_window_extent(label) for label in labels]
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        up = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across <= 0 or up <= 0
    for label, box in zip(labels, boxes, strict=True):
        text = Text.get_window_extent(label)
        assert axes.bbox.x0 - 1 <= text.x0
        assert text.x1 <= axes.bbox.x1 + 1
        assert box.height > 0


def test_a_label_with_room_stands_beside_its_mark() -> None:
    frame = pd.DataFrame({"label": ["A", "B"], "x": [100.0, 400.0], "y": [0.05, 0.15]})
    labels, _ = _drawn(frame)
    assert [label.get_position() for label in labels] == [(6.0, 4.0)] * 2
    assert all(label.arrow_patch is None for label in labels)
