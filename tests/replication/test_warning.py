"""A verdict carries what speaks against the estimate behind it."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from bipstudy.replication import agreement, read_benchmarks

KNOWN = {benchmark.id: benchmark for benchmark in read_benchmarks()}
WARNED = ("R2a", "R2b", "R8", "R16")


def estimates(p_value: float | None) -> pd.DataFrame:
    columns = {"conf_low": 1.1, "conf_high": 1.6, "std_error": 0.1, "adjustment": "unit_quarter_answers"}
    rows = []
    for name in ("R2a", "R2b", "R3"):
        scale = "hazard_ratio" if name == "R3" else "risk_ratio"
        given = {"benchmark": name, "outcome": KNOWN[name].outcome, "contrast": KNOWN[name].contrast, "scale": scale}
        rows.append({**columns, **given, "horizon_months": None, "estimate": 1.3, "p_value": 0.01})
    if p_value is not None:
        test = {**columns, "benchmark": "", "outcome": "own_answers", "contrast": "optimism_balance", "scale": "other"}
        rows.append({**test, "horizon_months": None, "estimate": 20.0, "p_value": p_value})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize(("p_value", "said"), [(0.0499, True), (0.0501, False)])
def test_a_failed_balance_test_stands_beside_the_verdicts_that_rest_on_it(
    p_value: float, said: bool, language: str
) -> None:
    found = agreement(estimates(p_value), language=language).set_index("benchmark")
    without = agreement(estimates(0.5), language=language).set_index("benchmark")
    assert (found["verdict"] == without["verdict"]).all()
    assert (found.loc[["R2a", "R2b"], "warning"] != "").tolist() == [said, said]
    assert found.loc["R3", "warning"] == ""
    # Nothing is warned of where there is no estimate.
    assert found.loc["R16", "warning"] == ""


@pytest.mark.parametrize("p_value", [None, math.nan])
def test_a_test_that_was_not_made_is_never_a_pass(p_value: float | None) -> None:
    found = agreement(estimates(p_value), language="en").set_index("benchmark")
    assert found.loc["R2a", "warning"] == "Warning: what the comparison rests on could not be tested."


def test_the_findings_on_optimism_name_their_test_and_no_others() -> None:
    assert [name for name, benchmark in KNOWN.items() if benchmark.check] == list(WARNED)
    assert {KNOWN[name].check for name in WARNED} == {"optimism_balance"}
