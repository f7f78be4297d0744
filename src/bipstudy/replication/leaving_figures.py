"""Figures drawn anew from the numbers that leave, never from those that stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pandas as pd

from bipstudy.disclosure import Checked
from bipstudy.texts import text

__all__ = ["DRAWN", "drawn"]

_ENDS = ["estimate", "conf_low", "conf_high"]
_SIDES = ("low", "high")


def drawn(own: Mapping[str, Any], source: Checked, language: str) -> Any:
    """Return a figure, None where too little leaves for one.

    Parameters
    ----------
    own : mapping
        ``draw``, one of `DRAWN`, and its options.
    source : Checked
        The table that it shows, as it leaves.
    language : {"sv", "en"}

    Returns
    -------
    matplotlib.figure.Figure or None
    """
    if not source.leaves or source.frame is None:
        return None
    return DRAWN[own["draw"]](source, own, language)


def _curve(source: Checked, own: Mapping[str, Any], language: str) -> Any:
    """Draw a curve through the points that leave, from its beginning; between them nothing is known."""
    from bipstudy.report import figures

    one, frame = source.output, source.frame
    assert frame is not None
    ends = {f"conf_{end}": next((name for name in one.numbers if name.endswith(f"_{end}")), "") for end in _SIDES}
    points = pd.DataFrame({
        "label": _labels(frame, one.labels),
        "x": frame[one.time].astype(float),
        "y": 100 * frame[one.estimate].astype(float),
        **{name: 100 * frame[column or one.estimate].astype(float) for name, column in ends.items()},
    }).dropna(subset=["y"])  # fmt: skip
    if points.empty:
        return None
    labels = list(dict.fromkeys(points["label"]))
    first = points.loc[points["label"] == labels[0], "y"]
    begin = 100.0 if first.iloc[-1] < first.iloc[0] else 0.0
    start = pd.DataFrame({"label": labels, "x": 0.0, "y": begin, "conf_low": begin, "conf_high": begin})
    drawn = pd.concat([start, points], ignore_index=True)
    drawn = pd.concat([drawn[drawn["label"] == label].sort_values("x") for label in labels], ignore_index=True)
    # A single curve needs no name.
    drawn = drawn if one.labels else drawn.drop(columns="label")
    months = own.get("unit") == "months"
    x_label = text("report.months_since_first_measurement", language) if months else one.time
    y_label = text("disclosure.figure_percent", language)
    return figures.lines(drawn, language=language, x_label=x_label, y_label=y_label, shares=False)


def _rows(source: Checked) -> pd.DataFrame:
    """Return the rows that leave with label, estimate and interval."""
    one, frame = source.output, source.frame
    assert frame is not None
    given = [name for name in (*one.shares, *one.numbers) if name in frame]
    estimate = one.estimate or next((name for name in given if not name.endswith(("_low", "_high"))), "")
    if estimate not in frame:
        # There is no number to draw, or it does not leave.
        return pd.DataFrame(columns=["label", *_ENDS])
    low, high = (next((name for name in given if name.endswith(f"_{end}")), estimate) for end in _SIDES)
    rows = pd.DataFrame({
        "label": _labels(frame, one.labels),
        **{name: frame[column].astype(float) for name, column in zip(_ENDS, (estimate, low, high), strict=True)},
    })  # fmt: skip
    return rows.dropna(subset=["estimate"]).reset_index(drop=True)


def _labels(frame: pd.DataFrame, labels: tuple[str, ...]) -> list[str]:
    """Return the words of each row."""
    return (
        [", ".join(map(str, row)) for row in frame[[*labels]].itertuples(index=False)] if labels else [""] * len(frame)
    )


def _shares(source: Checked, own: Mapping[str, Any], language: str) -> Any:
    """Draw shares as bars."""
    from bipstudy.report import figures

    rows = _rows(source)
    label = text("disclosure.figure_estimate", language)
    return figures.shares(rows, language=language, axis_label=label) if len(rows) else None


def _forest(source: Checked, own: Mapping[str, Any], language: str) -> Any:
    """Draw estimates with their intervals; as ratios where the description says so."""
    from bipstudy.report import figures

    rows, ratio = _rows(source), bool(own.get("ratio"))
    rows = rows[rows[_ENDS].gt(0).all(axis=1)] if ratio else rows
    if rows.empty:
        return None
    return figures.forest(rows, language=language, reference=1.0 if ratio else 0.0, log=ratio)


def _agreement(name: str) -> Callable[[Checked, Mapping[str, Any], str], Any]:
    """Return what draws a forest of all Danish findings beside ours, as they leave."""

    def draw(source: Checked, own: Mapping[str, Any], language: str) -> Any:
        from bipstudy.replication.benchmarks import read_benchmarks
        from bipstudy.replication.drawing import _agreement_figures

        assert source.frame is not None
        benchmarks = read_benchmarks()
        known = source.frame["benchmark"].isin([each.id for each in benchmarks])
        as_run: Any = SimpleNamespace(language=language, benchmarks=benchmarks, agreement=source.frame[known])
        figure = _agreement_figures(as_run)[name]
        return None if figure is None else figure()

    return draw


DRAWN: Mapping[str, Callable[[Checked, Mapping[str, Any], str], Any]] = {
    "curve": _curve,
    "shares": _shares,
    "forest": _forest,
    "agreement_all": _agreement("all"),
    "agreement_signs": _agreement("signs"),
}
