"""The runs behind the numbers on the design of optimism: counted right, and gone on with after an interruption."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from bipstudy.certification.optimism import main, rates, verdicts
from bipstudy.certification.optimism_errors import coverage, risks, sample_of


def _line(verdict: str, ratio: float, error: float) -> dict[str, object]:
    return {
        "R2a": verdict, "R2b": "inconclusive", "warns": verdict != "inconclusive", "ratio": ratio, "error": error,
        "low": ratio * math.exp(-1.96 * error), "high": ratio * math.exp(1.96 * error), "balance": 0.5, "raw": 4.0,
        "adjusted": 2.0, "adjusted_low": 1.5,
    }  # fmt: skip


def test_shares_and_means_are_those_of_the_studies() -> None:
    found = rates(
        pd.DataFrame(
            [
                _line("inconclusive", 1.1, 0.1),
                _line("inconclusive", 0.9, 0.1),
                _line("consistent in direction", 1.5, 0.1),
                _line("inconsistent in direction", 0.5, 0.1),
            ]
        )
    )
    assert found["R2a inconclusive"] == pytest.approx(50)
    assert found["R2a consistent in direction"] == found["R2a inconsistent in direction"] == pytest.approx(25)
    assert found["interval of R2a holds 1"] == pytest.approx(50)
    assert found["balance test warns"] == pytest.approx(50)
    assert found["mean ratio"] == pytest.approx((1.1 * 0.9 * 1.5 * 0.5) ** 0.25)
    assert found["mean raw"] == pytest.approx(4.0)


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    first = _line("inconclusive", 1.0, 0.2)
    (tmp_path / "demo_400.jsonl").write_text(json.dumps(first) + "\n", encoding="utf-8")
    main([str(tmp_path), "--studies", "2", "--participants", "400", "--scenarios", "demo"])
    lines = [json.loads(line) for line in (tmp_path / "demo_400.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == first
    assert len(lines) == 2
    assert lines[1].keys() == first.keys()


def test_a_study_gives_the_estimate_and_verdict_of_its_replication() -> None:
    import bipstudy as bip
    from bipstudy.replication import agreement

    study, _ = bip.simulate_study(participants=900, seed=21, scenario="demo")
    found = verdicts(study)
    whole = bip.analyses.belief(study).estimates
    own = whole[whole["benchmark"] == "R2a"].iloc[0]
    assert found["ratio"] == pytest.approx(own["estimate"], rel=1e-9)
    assert (found["low"], found["high"]) == pytest.approx((own["conf_low"], own["conf_high"]), rel=1e-9)
    held = agreement(whole, language="en").set_index("benchmark").loc["R2a"]
    assert found["R2a"] == held["verdict"]
    assert found["warns"] == bool(held["warning"])


@pytest.mark.certify
def test_outcomes_drawn_without_an_effect_are_covered() -> None:
    sample = sample_of(8, 0)
    assert risks(sample).mean() == pytest.approx(sample["outcome"].mean())
    table = coverage(8, 4, 40).set_index("adjusted")
    # Three Monte Carlo errors of 160 draws.
    assert abs(table.loc["default", "covers"] - 95) < 300 * math.sqrt(0.95 * 0.05 / 160)
    assert table.loc["default", "spread"] < 1.2 * table.loc["none", "spread"]
    assert table.loc["diffuse", "spread"] > table.loc["default", "spread"]
