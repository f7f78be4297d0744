"""Who is erased is nowhere any more and all others stay; it is done wholly or not at all; it is said ever after."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pool_data import Verdict, submission, tables
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.pool import Pool
from bipstudy.texts import BipstudyError, DataError, text

GONE = "q7sentinel"


def named(organisation="A", people=3):
    """Return tables of an organisation in which participant 001 has an id that stands out."""
    return {
        name: schema.conform(name, frame.assign(participant_id=frame["participant_id"].replace("001", GONE)))
        if "participant_id" in frame
        else frame
        for name, frame in tables(organisation, people).items()
    }


def less(frames):
    """Return tables without that participant."""
    return {
        name: frame[frame["participant_id"] != GONE] if "participant_id" in frame else frame
        for name, frame in frames.items()
    }


def both(one, two):
    return {name: schema.conform(name, pd.concat([one[name], two[name]])) for name in one}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return a pool in which the participant is in two submissions, in receipts, in the log and in three releases."""
    folder = tmp_path_factory.mktemp("original")
    pool = Pool(folder / "pool")
    pool.add(submission(folder / "ab", both(named("A"), named("B"))), Verdict())
    pool.release("first")
    pool.add(submission(folder / f"a {GONE} 2", named("A", 5)), Verdict())
    pool.release()
    pool.withdraw("A", GONE, f"{GONE} asked to")
    pool.release(f"without {GONE}")
    pool.add(submission(folder / "a3", less(named("A", 6))), Verdict())
    pool.release()
    return pool


@pytest.fixture
def history(original, tmp_path):
    """Return a copy of that pool."""
    return Pool(shutil.copytree(original.path, tmp_path / "pool"))


@pytest.fixture(scope="module")
def erased(original, tmp_path_factory):
    """Return a copy of that pool after the erasure, and what it did."""
    pool = Pool(shutil.copytree(original.path, tmp_path_factory.mktemp("erased") / "pool"))
    return pool, pool.erase("A", GONE, reason=f"{GONE} has the right to")


@pytest.fixture
def without(erased, tmp_path):
    """Return a copy of the pool after the erasure."""
    return Pool(shutil.copytree(erased[0].path, tmp_path / "pool"))


def mentions(pool, organisation="A"):
    """Return the files of a pool that name the participant of an organisation."""
    found = set()
    for path in pool.path.rglob("*"):
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            if "participant_id" in frame:
                held = frame["participant_id"].eq(GONE) & frame["organisation_id"].eq(organisation)
                found |= {path} if held.any() else set()
        elif path.is_file():
            words = " ".join(path.read_text("utf-8").split())
            told = f'"{organisation}", "{GONE}"' in words or (organisation == "A" and GONE in words)
            found |= {path} if told else set()
    return found


def seen(pool):
    """Return what a reader sees: each release, checked against the log, and the submissions, which must be there."""
    releases = tuple(json.dumps(pool._contents.release(number)) for number in (1, 2, 3, 4))
    listed = pool.list()
    assert all((pool.path / "submissions" / content / "participants.parquet").is_file() for content in listed["hash"])
    return releases, tuple(listed["hash"]), tuple(listed["current"]), tuple(pool.releases()["erased"])


def test_the_person_is_nowhere_and_all_others_stay(original, erased):
    assert mentions(original)
    before = {number: original.study(number) for number in (1, 2, 3, 4)}
    history, erasure = erased
    assert (erasure.submissions, erasure.releases) == (2, (1, 2))
    assert mentions(history) == set()
    # The same id of another organisation is somebody else.
    assert mentions(history, "B")
    for number, former in before.items():
        study = bip.load_study(history.path, release=number)
        for name, frame in former.tables.items():
            kept = frame
            if "participant_id" in frame:
                kept = frame[~(frame["organisation_id"].eq("A") & frame["participant_id"].eq(GONE))]
            pd.testing.assert_frame_equal(study.tables[name], kept.reset_index(drop=True))
        # Who was withdrawn before is in neither release 3 nor 4, so that nobody is erased from them.
        assert (study.hash == former.hash) == (number >= 3)
        assert dict(study.erased) == ({} if number >= 3 else {"A": 1})
    assert {path.name for path in history.path.glob("submissions/*")} == set(history.list()["hash"])
    assert not (history.path / "pending.json").exists()


def test_it_is_said_ever_after(without):
    history = without
    history.release()
    assert history.releases()["erased"].tolist() == [1, 1, 0, 0, 0]
    # How many had been withdrawn when a release was frozen stays as it was.
    assert history.releases()["withdrawn"].tolist() == [0, 0, 1, 1, 0]
    assert history.list()["erased"].tolist() == [1, 1, 1, 0]
    summary = history.study(1).summary()
    assert summary["erased"].tolist() == [1, 0, 1]
    diff = history.diff(1, 4)
    assert diff.erased == (1, 0)
    assert "Ur utgåva 1 har 1 deltagare raderats" in diff.text()
    assert diff.as_dict()["erased"] == {"former": 1, "new": 0}
    events = [json.loads(line) for line in (history.path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    told = next(event for event in events if event["event"] == "erase")
    assert (told["organisation"], told["submissions"], told["releases"]) == ("A", 2, [1, 2])
    assert told["reason"] == f"{'█' * len(GONE)} has the right to"
    mark = json.loads((history.path / "releases" / "1.json").read_bytes())["erased"]
    assert mark == [{"organisation": "A", "mark": told["mark"]}]
    # The key of the marks stands in no release and no line of the log.
    key = (history.path / "erasure.key").read_text()
    assert not any(key in path.read_text("utf-8") for path in history.path.rglob("*.json*"))


def test_receipts_say_the_new_hash_and_rows(erased):
    history, _ = erased
    for row in history.list().itertuples():
        folder = history.path / "submissions" / row.hash
        receipt = json.loads((folder / "receipt.json").read_bytes())
        stored = {path.stem: len(pd.read_parquet(path)) for path in folder.glob("*.parquet")}
        assert receipt["hash"] == row.hash
        assert receipt["rows"] == stored
        assert set(receipt["supersedes"].values()) <= set(history.list()["hash"])


def test_a_later_submission_that_holds_the_person_is_refused(without, tmp_path):
    history = without
    before = {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()}
    again = submission(tmp_path / "a4", named("A", 4))
    with pytest.raises(DataError) as caught:
        history.add(again, Verdict())
    assert caught.value.code == "pool.holds_erased"
    message = str(caught.value)
    assert "participants.csv:" in message
    assert "measurements.csv:" in message
    assert GONE not in message
    assert caught.value.values["count"] == 4
    assert {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()} == before
    # The same id at another organisation is welcome, and so is everybody else.
    history.add(submission(tmp_path / "b2", named("B", 4)), Verdict())
    history.add(submission(tmp_path / "a5", less(named("A", 7))), Verdict())


@pytest.mark.certify
def test_erasing_twice_is_erasing_once_and_two_may_be_erased(erased, without):
    history, first = without, erased[1]
    after = {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()}
    assert history.erase("A", GONE, reason="asked to") == first
    assert {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()} == after
    history.erase("A", "000", reason="asked to")
    history.erase("B", GONE, reason="asked to")
    assert dict(history.study(1).erased) == {"A": 2, "B": 1}
    assert history.releases()["erased"].tolist() == [3, 3, 2, 2]
    for caught in ("nobody", "0"):
        with pytest.raises(BipstudyError, match="has such"):
            history.erase("A", caught, reason="typo")


def test_submissions_that_become_the_same_keep_a_receipt_each(tmp_path):
    pool = Pool(tmp_path / "pool")
    pool.add(submission(tmp_path / "a", less(named("A"))), Verdict())
    pool.add(submission(tmp_path / "a2", named("A")), Verdict())
    pool.add(submission(tmp_path / "a2", named("A")), Verdict())
    pool.release()
    pool.erase("A", GONE, reason="asked to")
    assert pool.list()["hash"].unique().size == 1
    events = [json.loads(line) for line in (pool.path / "log.jsonl").read_text("utf-8").splitlines()]
    names = [event["receipt"] for event in events if event["event"] == "add"]
    assert len(set(names)) == 3
    folder = pool.path / "submissions" / pool.list()["hash"].iloc[0]
    assert {path.name for path in folder.glob("receipt*")} == set(names)
    assert bip.load_study(pool.path).hash == schema.content_hash(less(named("A")))
    assert mentions(pool) == set()


def test_the_last_participant_of_an_organisation_can_be_erased(tmp_path):
    pool = Pool(tmp_path / "pool")
    alone = {
        name: frame[frame["participant_id"] == GONE] for name, frame in named().items() if "participant_id" in frame
    }
    pool.add(submission(tmp_path / "a", alone), Verdict())
    pool.add(submission(tmp_path / "b", tables("B")), Verdict())
    pool.release()
    pool.erase("A", GONE, reason="asked to")
    assert set(pool.study().participants["organisation_id"]) == {"B"}
    assert pool.study().summary()["erased"].tolist() == [1, 0, 1]
    with pytest.raises(BipstudyError):
        pool.withdraw("A", GONE, reason="asked to")


STOPS = [(os, "replace", after) for after in (0, 2, 4, 6, 9)] + [(Path, "rename", 1), (shutil, "rmtree", 1)]


@pytest.mark.certify
@pytest.mark.parametrize(("owner", "step", "after"), STOPS, ids=[f"{name}-{after}" for _, name, after in STOPS])
def test_stopped_at_each_step(history, erased, monkeypatch, owner, step, after):
    former = seen(history)
    calls = iter(range(10_000))
    original = getattr(owner, step)

    def stopping(*arguments, **named_ones):
        if next(calls) == after:
            raise KeyboardInterrupt
        return original(*arguments, **named_ones)

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, stopping)
        with pytest.raises(KeyboardInterrupt):
            history.erase("A", GONE, reason="asked to")
    reopened = Pool(history.path)
    now = seen(reopened)
    done = bool(reopened.releases()["erased"].any())
    assert done or now == former
    assert not done or now[1:] == seen(erased[0])[1:]
    # Whoever writes next finishes it.
    with reopened._journal.writing(1):
        assert not reopened.unfinished
    assert seen(reopened) == now
    assert bool(mentions(reopened)) is not done
    assert not list(reopened.path.rglob(".writing-*"))


def test_any_writer_finishes_what_was_left(history, monkeypatch, tmp_path):
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(OSError))
        with pytest.raises(BipstudyError) as caught:
            history.erase("A", GONE, reason="asked to")
    assert caught.value.code == "pool.unfinished"
    assert history.unfinished
    assert mentions(history)
    said = CliRunner().invoke(app, ["pool", "list", str(history.path), "--language", "en"]).stdout
    assert "An erasure was stopped" in said
    assert history.releases()["erased"].tolist() == [1, 1, 0, 0]
    history.add(submission(tmp_path / "b2", named("B", 4)), Verdict())
    assert not history.unfinished
    assert mentions(history) == set()


def test_nobody_erases_while_another_writes(history):
    other = Pool(history.path, timeout=0.05)
    with history._journal.writing(1), pytest.raises(BipstudyError, match="Somebody else writes"):
        other.erase("A", GONE, reason="asked to")
    assert mentions(history)


def test_without_the_right_key_nobody_slips_back_in(without, tmp_path):
    history = without
    for content in (b"0" * 64, None):
        key = history.path / "erasure.key"
        key.unlink() if content is None else key.write_bytes(content)
        with pytest.raises(DataError) as caught:
            history.add(submission(tmp_path / "a4", named("A", 4)), Verdict())
        assert caught.value.code == "pool.tampered"
        assert "erasure.key" in str(caught.value)


def test_a_file_of_a_stopped_writer_goes_too(tmp_path):
    pool = Pool(tmp_path / "pool")
    pool.add(submission(tmp_path / "a", named()), Verdict())
    # Stored and never logged, or half of a receipt: it belongs to no pool and still names the person.
    stray = pool.path / "submissions" / ("0" * 64)
    stray.mkdir()
    named()["participants"].to_parquet(stray / "participants.parquet")
    kept = next(pool.path.glob("submissions/*/receipt.json"))
    (kept.parent / "receipt-9.json").write_text(f'["A", "{GONE}"]')
    (kept.parent / ".writing-1").write_text(GONE)
    pool.erase("A", GONE, reason="asked to")
    assert mentions(pool) == set()


def test_the_command_asks_first_and_says_what_was_done(history):
    arguments = ["pool", "erase", str(history.path), "--organisation", "A", "--participant", GONE, "--reason", "x"]
    refused = CliRunner().invoke(app, arguments, input="n\n")
    assert refused.exit_code == 1
    assert mentions(history)
    done = CliRunner().invoke(app, [*arguments, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"organisation": "A", "submissions": 2, "releases": [1, 2]}
    assert GONE not in done.output
    listed = CliRunner().invoke(app, ["pool", "list", str(history.path)]).stdout
    assert listed.count("1 deltagare har raderats i efterhand") == 5
    unknown = CliRunner().invoke(app, [*arguments[:6], "nobody", *arguments[7:], "--yes"])
    assert (unknown.exit_code, "[pool.no_participant]" in unknown.stderr) == (2, True)


def test_a_pool_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(BipstudyError) as caught:
        Pool(tmp_path / "pool").erase("A", "1", reason="x")
    assert caught.value.code == "pool.no_pool"
    assert not (tmp_path / "pool").exists()


@pytest.mark.parametrize(
    ("given", "language", "is_erased"),
    [
        ("j\n", "sv", True),
        ("JA\n", "sv", True),
        ("y\n", "en", True),
        ("n\n", "sv", False),
        ("\n", "en", False),
        ("", "sv", False),
    ],
)
def test_who_erases_is_asked_in_their_language(tmp_path, given, language, is_erased):
    pool = Pool(tmp_path / "pool")
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    arguments = ["pool", "erase", str(pool.path), "--organisation", "A", "--participant", "001", "--reason", "asked to"]
    done = CliRunner().invoke(app, [*arguments, "-l", language], input=given)
    assert done.exit_code == (0 if is_erased else 1)
    assert ("[j/N]" if language == "sv" else "[y/N]") in done.output
    assert (text("cli.nothing_erased", language) in done.output) is not is_erased
    current = pool.list().query("current")["erased"].item()
    assert current == is_erased
