"""The flow in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from bipstudy.texts import text


def describe_flow(flow: Iterable[Mapping[str, str | int]], language: str) -> pd.DataFrame:
    """Return a flow as a table a person reads.

    Parameters
    ----------
    flow : iterable of mapping
        ``frame.attrs["flow"]`` of panel or episodes.
    language : {"sv", "en"}

    Returns
    -------
    DataFrame
        `step` in words, `kind`, `participants`, `rows`; what was left out is negative, so that the columns add up.
    """
    lines = []
    for entry in flow:
        sign = -1 if entry["kind"] == "left_out" else 1
        lines.append(
            {
                "step": text(f"panel.flow_{entry['step']}", language),
                "kind": entry["kind"],
                "participants": sign * int(entry["participants"]),
                "rows": sign * int(entry["rows"]),
            }
        )
    return pd.DataFrame(lines, columns=["step", "kind", "participants", "rows"])
