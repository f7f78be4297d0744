"""Public data and R's answers for the tests of survival analysis."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent.parent / "reference"


@cache
def _data(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv")


def data(name: str) -> pd.DataFrame:
    """A fresh copy of a data set, with the columns that the R scripts add."""
    frame = _data(name).copy()
    if name == "rossi":
        frame["w"] = 0.5 + frame["prio"] % 4 / 2
    if name == "pbcseq":
        frame["w"] = 0.5 + frame["id"] % 4 / 2
    if name == "mgus2":
        frame["time"] = np.where(frame["pstat"] == 1, frame["ptime"], frame["futime"])
        frame["cause"] = np.where(frame["pstat"] == 1, 1, 2 * frame["death"])
        frame["w"] = 0.5 + frame["id"] % 5 / 4
        frame["entry"] = np.minimum(frame["id"] % 7 * 3, frame["time"] - 0.5)
        frame["block"] = frame["id"] % 40
    return frame


def reference(script: str, model: str, quantity: str) -> pd.Series:
    """R's values by term."""
    table = _data(script)
    rows = table[(table["model"] == model) & (table["quantity"] == quantity)]
    assert len(rows), f"no reference for {model} {quantity}"
    return rows.set_index("term")["value"]
