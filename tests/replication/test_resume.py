"""A run that is killed at any moment and started again gives the bytes of one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bipstudy as bip
from bipstudy.analyses import FigureSpec, Result, Sentence
from bipstudy.replication import Plan, answering, checkpoints, replicate, worlds
from bipstudy.replication.birth import key_of
from bipstudy.replication.folder import MANIFEST, UNFINISHED, ours, working
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, DataError

sys.path.insert(0, str(Path(__file__).parent))
from go_on import PLAN

HERE = Path(__file__).parent


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def study() -> Study:
    return bip.load_example()


@pytest.fixture(scope="module")
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    replicate(study, PLAN, out, language="sv")
    return files(out)


def killed(out: Path, kind: str, number: int) -> None:
    command = [sys.executable, str(HERE / "go_on.py"), str(out), kind, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(("kind", "number"), [("question", 2), ("file", 9)])
def test_a_killed_run_goes_on(study: Study, whole: dict[str, bytes], tmp_path: Path, kind: str, number: int,
                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    killed(tmp_path, kind, number)
    assert not (tmp_path / MANIFEST).exists()
    made = []
    answer = answering._answer
    monkeypatch.setattr(answering, "_answer", lambda *given: made.append(given[-1].name) or answer(*given))
    replicate(study, PLAN, tmp_path, language="sv")
    assert made == (["transitions"] if kind == "question" else [])
    assert files(tmp_path) == whole


@pytest.mark.certify
@pytest.mark.parametrize(("kind", "number"), [("question", 1), ("question", 3), ("file", 1), ("file", 17)])
def test_a_run_killed_twice_goes_on(
    study: Study, whole: dict[str, bytes], tmp_path: Path, kind: str, number: int
) -> None:
    killed(tmp_path, kind, number)
    killed(tmp_path, "file", 4)
    replicate(study, PLAN, tmp_path, language="sv")
    assert files(tmp_path) == whole


def test_processes_give_the_same_bytes(study: Study, whole: dict[str, bytes], tmp_path: Path) -> None:
    replicate(study, PLAN, tmp_path, language="sv", n_jobs=2)
    assert files(tmp_path) == whole


def test_nothing_of_an_earlier_run_is_left_and_nothing_else_is_touched(study: Study, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    replicate(study, PLAN, tmp_path, language="sv")
    (tmp_path / "tables" / "mine.csv").write_text("kept", encoding="utf-8")
    only = Plan(questions=("participants",), replications=0)
    replicate(study, only, tmp_path, language="sv")
    names = set(files(tmp_path))
    assert {"mine.txt", "tables/mine.csv"} <= names
    assert names - {"mine.txt", "tables/mine.csv"} == {
        *json.loads((tmp_path / MANIFEST).read_text())["files"],
        MANIFEST,
    }
    assert not any("transitions" in name for name in names)


@pytest.mark.parametrize(
    "path", ["../x.csv", "/etc/passwd", "tables/../../x.csv", "tables/a/b.csv", "other/x.csv", "x.csv", "tables/..",
             "tables\\..\\x.csv", "c:/x.csv"]
)  # fmt: skip
def test_a_manifest_from_elsewhere_names_nothing_outside(path: str) -> None:
    assert not ours(path)
    assert ours("tables/a.csv")
    assert ours("report.html")


def test_what_another_input_made_is_made_again(study: Study) -> None:
    plan, versions = Plan(), {"source": "a"}
    base = key_of(study.hash, plan, "belief", versions)
    assert base == key_of(study.hash, Plan(questions=("belief",)), "belief", versions)
    others = [
        key_of("other", plan, "belief", versions),
        key_of(study.hash, plan, "belief", {"source": "b"}),
        key_of(study.hash, plan, "continuity", versions),
        key_of(study.hash, Plan(seed=2), "belief", versions),
        key_of(study.hash, Plan(replications=0), "belief", versions),
        key_of(study.hash, Plan(leave_out=("sex",)), "belief", versions),
        key_of(study.hash, Plan(settings={"belief": {"washout_days": 60}}), "belief", versions),
    ]
    assert len({base, *others}) == len(others) + 1


def example() -> Result:
    frame = pd.DataFrame(
        {
            "text": pd.array(["å", None], dtype="object"),
            "number": [0.1 + 0.2, np.nan],
            "count": pd.array([1, None], dtype="Int64"),
            "yes": pd.array([True, None], dtype="boolean"),
            "mixed": pd.array([pd.NA, 1.5], dtype="object"),
            "day": pd.to_datetime(["2024-01-31", None]),
        },
        index=[3, 5],
    )
    return Result(
        name="participants",
        estimates=frame,
        tables={"empty": pd.DataFrame({"a": pd.Series(dtype=float)}), "none": pd.DataFrame()},
        figures={
            "one": FigureSpec("forest", frame, "a.b", {"log": False, "at": frame, "ends": (1.0, np.inf), "x": None})
        },
        flow=frame,
        remarks=(Sentence("a.b", {"n": 3, "share": 0.25, "word": "x"}),),
        settings={"months": 12.0},
        replicates={"a/b": np.array([1.0, np.nan])},
    )


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    before = example()
    after = checkpoints.store(tmp_path, "participants", "k", before)
    assert isinstance(after, Result)
    again = checkpoints.fetch(tmp_path, "participants", "k")
    assert isinstance(again, Result)
    for found in (after, again):
        pd.testing.assert_frame_equal(found.estimates, before.estimates)
        pd.testing.assert_frame_equal(found.figures["one"].options["at"], before.flow)
        pd.testing.assert_frame_equal(found.tables["empty"], before.tables["empty"])
        assert found.tables["none"].shape == (0, 0)
        assert found.figures["one"].options["ends"] == (1.0, np.inf)
        assert (found.remarks, dict(found.settings)) == (before.remarks, dict(before.settings))
        np.testing.assert_array_equal(found.replicates["a/b"], before.replicates["a/b"])
    assert checkpoints.fetch(tmp_path, "participants", "other") is None


def test_a_refusal_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoints.store(tmp_path, "belief", "k", DataError("panel.no_outcomes"))
    found = checkpoints.fetch(tmp_path, "belief", "k")
    assert isinstance(found, DataError)
    assert found.message("sv") == BipstudyError("panel.no_outcomes").message("sv")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"key": "k"}', b'{"key": "k", "estimates": ["frame"]}', b"\x80\x04."]
)
def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "belief.json").write_bytes(content)
    assert checkpoints.fetch(tmp_path, "belief", "k") is None


def test_what_cannot_be_stored_is_handed_on(tmp_path: Path) -> None:
    odd = Result("participants", pd.DataFrame(), settings={"a": object()})  # type: ignore[dict-item]
    assert checkpoints.store(tmp_path, "participants", "k", odd) is odd
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_write_in_one_folder(study: Study, tmp_path: Path) -> None:
    with working(tmp_path), pytest.raises(BipstudyError, match=r"runs\.folder_busy"), working(tmp_path):
        pass
    assert (tmp_path / UNFINISHED).is_dir()


def test_a_multiverse_is_kept_like_a_question(tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"question": ["belief"], "ratio": [1.5]})
    calls = []

    def made(_: Study, asked: list[str], seed: int, n_jobs: int) -> Result:
        calls.append((asked, seed))
        return Result("multiverse", frame, dict.fromkeys(worlds.TABLES, frame), settings={"flips": 9})

    monkeypatch.setattr(worlds, "_run", made)
    plan = Plan(questions=("participants", "belief"), seed=3)
    first, second = (worlds.made(study, plan, tmp_path, "k") for _ in range(2))
    assert calls == [(["belief"], 3)]
    pd.testing.assert_frame_equal(first.table, second.table)
    assert worlds.made(study, Plan(questions=("participants",)), tmp_path, "k") is None
