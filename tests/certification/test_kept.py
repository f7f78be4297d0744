"""Replicates that are kept: nothing is made twice, and nothing is taken from other code, another seed or design."""

import json
from pathlib import Path

import numpy as np
import pytest
from wrong_estimators import design, failing_at_times, right

from bipstudy.certification import certificate as certificate_module
from bipstudy.certification import certify, estimand_designs, run_designs, run_studies
from bipstudy.certification import studies as room
from bipstudy.certification.kept import Kept

TWO = [each for each in estimand_designs() if each.name.startswith("danish_twin.t")]


class Stopped(Exception):
    """The machine was switched off."""


class Counted:
    """An estimator that counts its calls, and stops the machine at one of them."""

    def __init__(self, estimate=right, stops_at=None):
        self.estimate, self.stops_at, self.calls = estimate, stops_at, 0

    def __call__(self, data):
        self.calls += 1
        if self.calls == self.stops_at:
            raise Stopped
        return self.estimate(data)


def intervals(estimate, replicates, kept=None, **more):
    return run_designs([design(estimate)], replicates=replicates, kept=kept, **more)[0].intervals


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    stopping = Counted(stops_at=61)
    with pytest.raises(Stopped):
        intervals(stopping, 100, Kept(tmp_path, "code"))
    going_on = Counted()
    found = intervals(going_on, 100, Kept(tmp_path, "code"))
    # Two files of 25 were whole; what had been begun of the third is made again.
    assert going_on.calls == 50
    assert found.tobytes() == intervals(right, 100).tobytes()


@pytest.mark.parametrize(
    ("first", "then", "made"), [(50, 100, 50), (30, 100, 70), (2, 3, 1), (100, 30, 0), (60, 60, 0)]
)
def test_more_replicates_repeat_none_of_the_former(tmp_path, first, then, made):
    intervals(right, first, Kept(tmp_path, "code"))
    counted = Counted()
    found = intervals(counted, then, Kept(tmp_path, "code"))
    assert counted.calls == made
    assert found.tobytes() == intervals(right, then).tobytes()


def test_failures_are_kept_as_failures(tmp_path):
    run_designs([design(failing_at_times)], replicates=40, kept=Kept(tmp_path, "code"))
    again = run_designs([design(failing_at_times)], replicates=90, kept=Kept(tmp_path, "code"))[0]
    once = run_designs([design(failing_at_times)], replicates=90)[0]
    assert once.failures
    assert again.failures == once.failures
    assert np.array_equal(again.intervals, once.intervals, equal_nan=True)


@pytest.mark.parametrize("other", [{"code": "changed"}, {"seed": 2}, {"name": "other"}])
def test_replicates_of_other_code_seed_or_design_are_not_taken(tmp_path, other):
    intervals(right, 25, Kept(tmp_path, "code"))
    given = {"code": "code", "seed": 1, "name": "x", **other}
    # As if one design had taken the name of another's files: the key inside decides.
    counted = Counted()
    chosen = design(counted, name=given["name"])
    for file in tmp_path.glob("*.json"):
        file.rename(tmp_path / f"{chosen.name}-000000.json")
    run = run_designs([chosen], replicates=25, seed=given["seed"], kept=Kept(tmp_path, given["code"]))[0]
    assert counted.calls == 25
    expected = run_designs([design(right, name=given["name"])], replicates=25, seed=given["seed"])[0]
    assert run.intervals.tobytes() == expected.intervals.tobytes()
    # The new ones have taken the place of the old.
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"key": 1}', b"\xff"])
def test_a_file_that_is_no_good_is_made_anew(tmp_path, left):
    intervals(right, 25, Kept(tmp_path, "code"))
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(left)
    counted = Counted()
    assert intervals(counted, 25, Kept(tmp_path, "code")).tobytes() == intervals(right, 25).tobytes()
    assert counted.calls == 25


def test_studies_are_gone_on_with_too(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "draw", lambda scenario, rng: int(rng.integers(1_000_000)))
    monkeypatch.setattr(room, "_table", lambda study, analyses: study)
    asked = []

    def answer(wanted, study):
        asked.append(study)
        return (float(study), 1.0, study - 2.0, study + 2.0)

    monkeypatch.setattr(room, "answer", answer)
    few = run_studies(TWO, replicates=12, kept=Kept(tmp_path, "code"))
    assert len(asked) == 12 * len(TWO)
    asked.clear()
    many = run_studies(TWO, replicates=31, kept=Kept(tmp_path, "code"))
    assert len(asked) == 19 * len(TWO)
    for less, more, once in zip(few, many, run_studies(TWO, replicates=31), strict=True):
        assert more.intervals[:12].tobytes() == less.intervals.tobytes()
        assert more.intervals.tobytes() == once.intervals.tobytes()
    # Of other rows the kept answers say nothing.
    asked.clear()
    run_studies(TWO[:1], replicates=12, kept=Kept(tmp_path, "code"))
    assert len(asked) == 12


def test_the_certificate_keeps_replicates_and_takes_none_of_other_code(monkeypatch, tmp_path):
    counted = Counted()
    monkeypatch.setattr(certificate_module, "designs", lambda: (design(counted),))
    monkeypatch.setattr(certificate_module, "estimand_designs", tuple)

    def certificate(replicates):
        counted.calls = 0
        return certify(replicates=replicates, tests=False, out=tmp_path).as_dict()

    certificate(60)
    assert counted.calls == 60
    longer = certificate(100)
    assert counted.calls == 40
    whole = certify(replicates=100, tests=False).as_dict()
    longer.pop("created"), whole.pop("created")
    assert json.dumps(longer) == json.dumps(whole)
    monkeypatch.setattr(certificate_module, "source_hash", lambda: "changed")
    certificate(100)
    assert counted.calls == 100
    assert {path.name for path in Path(tmp_path).iterdir()} == {"certificate.html", "certificate.json", "replicates"}
