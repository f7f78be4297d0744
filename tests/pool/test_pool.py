"""The pool holds what was accepted, whole; a release is the same for ever; what was changed behind its back is told."""

import json
import re

import pandas as pd
import pytest
from pool_data import Verdict, submission, tables, write

import bipstudy as bip
from bipstudy import schema
from bipstudy.pool import Pool
from bipstudy.texts import BipstudyError, DataError


@pytest.fixture
def pool(tmp_path):
    return Pool(tmp_path / "pool")


def changed(frames):
    """Return the tables with a person gone, one new, one answer changed, and one of a name that stays."""
    people = frames["participants"].iloc[1:]
    new = people.iloc[[-1]].assign(participant_id="999")
    forms = frames["measurements"].query("participant_id != '000'").reset_index(drop=True)
    forms.loc[0, "job_search"] = 5
    return {
        "participants": pd.concat([people, new], ignore_index=True),
        "measurements": forms,
        "caseworkers": frames["caseworkers"],
        "assignments": frames["assignments"].query("participant_id != '000'"),
    }


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_release_gives_back_what_was_added(pool, tmp_path):
    one, two = tables("A"), tables("B", 4)
    pool.add(submission(tmp_path / "a", one), Verdict())
    pool.add(submission(tmp_path / "b", two), Verdict())
    assert pool.release("first") == 1
    study = bip.load_study(pool.path)
    expected = {name: schema.conform(name, pd.concat([one[name], two[name]])) for name in one}
    for name in schema.TABLE_NAMES:
        pd.testing.assert_frame_equal(study.tables[name], expected.get(name, schema.empty(name)))
    assert (study.release, study.sent) == (1, frozenset(one))
    assert study.hash == schema.content_hash(expected)


def test_a_release_never_changes(pool, tmp_path):
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    pool.release()
    first, files = bip.load_study(pool.path, release=1), snapshot(pool.path)
    pool.add(submission(tmp_path / "a2", changed(tables())), Verdict())
    pool.add(submission(tmp_path / "b", tables("B")), Verdict())
    pool.withdraw("A", "001", "asked to")
    assert pool.release() == 2
    again = bip.load_study(pool.path, release=1)
    assert again.hash == first.hash
    for name in schema.TABLE_NAMES:
        pd.testing.assert_frame_equal(again.tables[name], first.tables[name])
    after = snapshot(pool.path)
    assert {name: after[name] for name in files if name != "log.jsonl"} == {
        name: content for name, content in files.items() if name != "log.jsonl"
    }
    assert after["log.jsonl"].startswith(files["log.jsonl"])
    assert bip.load_study(pool.path).release == 2


def test_the_hash_depends_on_the_content_alone(tmp_path):
    frames = tables()
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in frames.items()}
    receipts = [
        Pool(tmp_path / "p1").add(submission(tmp_path / "a", frames), Verdict()),
        Pool(tmp_path / "p2").add(submission(tmp_path / "b", shuffled), Verdict()),
    ]
    (tmp_path / "c").mkdir()
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / "c" / f"{name}.parquet")
    receipts.append(Pool(tmp_path / "p3").add(bip.load_submission(tmp_path / "c"), Verdict()))
    assert {receipt.hash for receipt in receipts} == {schema.content_hash(frames)}
    assert len({Pool(tmp_path / name).release() for name in ("p1", "p2", "p3")}) == 1
    assert len({(tmp_path / name / "releases" / "1.json").read_bytes() for name in ("p1", "p2", "p3")}) == 1
    # Nor does a time stand in anything but the log.
    for path in (tmp_path / "p1").rglob("*.json"):
        assert not re.search(r"\d\d:\d\d", path.read_text("utf-8"))


def test_a_resubmission_supersedes_whole_and_the_receipt_says_what_changed(pool, tmp_path):
    first = pool.add(submission(tmp_path / "a", tables()), Verdict())
    assert (first.supersedes, bool(first.changes)) == ({}, False)
    pool.add(submission(tmp_path / "b", tables("B")), Verdict())
    second = pool.add(submission(tmp_path / "a2", changed(tables())), Verdict())
    assert second.supersedes == {"A": first.hash}
    changes = second.changes
    assert changes.participants_gone == (("A", "000"),)
    assert changes.participants_new == (("A", "999"),)
    found = {change.table: change for change in changes.tables}
    assert set(found) == {"participants", "measurements", "assignments"}
    assert (found["participants"].added, found["participants"].removed) == (1, (("A", "000"),))
    assert found["measurements"].changed == (("A", "001", "1", "caseworker", "bip-default"),)
    assert len(found["measurements"].removed) == 2
    assert found["assignments"].removed == (("A", "000", "7", "2024-01-10"),)
    assert first.findings == {"warning": 1, "note": 2}
    stored = json.loads((pool.path / "submissions" / second.hash / "receipt.json").read_text("utf-8"))
    assert stored == json.loads(second.to_json()) == second.as_dict()
    assert "Finns inte längre med: A/000" in second.text("sv")
    assert "No longer there: A/000" in second.text("en")
    pool.release()
    study = bip.load_study(pool.path)
    assert study.participants.query("organisation_id == 'A'")["participant_id"].tolist() == ["001", "002", "999"]
    assert len(study.participants.query("organisation_id == 'B'")) == 3
    assert (pool.path / "submissions" / first.hash).is_dir()
    assert pool.list()["current"].tolist() == [False, True, True]


def test_going_back_to_a_former_submission(pool, tmp_path):
    one, two = submission(tmp_path / "a", tables()), submission(tmp_path / "a2", changed(tables()))
    first = pool.add(one, Verdict())
    pool.add(two, Verdict())
    back = pool.add(one, Verdict())
    assert back.hash == first.hash
    assert back.changes.participants_gone == (("A", "999"),)
    same = pool.add(one, Verdict())
    assert not same.changes
    assert "Inget skiljer" in same.text()
    pool.release()
    assert bip.load_study(pool.path).hash == schema.content_hash(tables())
    assert pool.list()["current"].tolist() == [False, False, False, True]
    receipts = sorted(path.name for path in (pool.path / "submissions" / first.hash).glob("receipt*"))
    assert receipts == ["receipt-3.json", "receipt-4.json", "receipt.json"]


def test_one_of_two_organisations_that_came_together_can_send_alone(pool, tmp_path):
    both = {name: pd.concat([tables("A")[name], tables("B")[name]]) for name in tables()}
    pool.add(submission(tmp_path / "ab", both), Verdict())
    receipt = pool.add(submission(tmp_path / "b", tables("B", 1)), Verdict())
    assert receipt.changes.participants_gone == (("B", "001"), ("B", "002"))
    pool.release()
    study = bip.load_study(pool.path)
    assert study.participants["organisation_id"].tolist() == ["A"] * 3 + ["B"]


def test_a_submission_that_falls_short_leaves_the_pool_untouched(pool, tmp_path):
    loaded = submission(tmp_path / "a", tables())
    pool.add(loaded, Verdict())
    before = snapshot(pool.path)
    report = Verdict(ok=False, findings=pd.DataFrame({"severity": ["error", "error", "note"]}))
    with pytest.raises(DataError, match="Errors: 2") as caught:
        pool.add(submission(tmp_path / "b", tables("B")), report)
    assert caught.value.report is report
    assert snapshot(pool.path) == before


def test_the_pool_validates_what_it_is_given(pool, tmp_path):
    frames = tables()
    receipt = pool.add_path(write(tmp_path / "a", frames))
    assert receipt.rows["participants"] == 3
    before = snapshot(pool.path)
    frames["measurements"] = frames["measurements"].assign(job_search=77)
    with pytest.raises(DataError) as caught:
        pool.add_path(write(tmp_path / "b", frames))
    assert not caught.value.report.ok
    assert "77" not in str(caught.value)
    assert snapshot(pool.path) == before


def test_who_is_withdrawn_stays_out_of_later_releases_and_submissions(pool, tmp_path):
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    pool.add(submission(tmp_path / "b", tables("B")), Verdict())
    pool.release()
    pool.withdraw("A", "001", "asked to")
    pool.release()
    receipt = pool.add(submission(tmp_path / "a2", tables(people=5)), Verdict())
    assert receipt.withdrawn == 1
    pool.release()
    for release, expected in ((1, 6), (2, 5), (3, 7)):
        study = bip.load_study(pool.path, release=release)
        held = study.participants.query("organisation_id == 'A' and participant_id == '001'")
        assert len(held) == (release == 1)
        assert len(study.participants) == expected
        assert len(study.measurements) == 2 * expected
        assert len(study.assignments) == expected
    # A bare id means nothing: the same number of another organisation stays.
    assert len(study.participants.query("organisation_id == 'B' and participant_id == '001'")) == 1
    diff = pool.diff(1, 2)
    assert diff.withdrawn == (("A", "001"),)
    assert diff.changes.participants_gone == (("A", "001"),)
    assert (diff.joined, diff.left, diff.resubmitted) == ((), (), ())
    diff = pool.diff(2, 3)
    assert (diff.resubmitted, diff.withdrawn) == (("A",), ())
    assert "Organisationer med ny leverans: A" in diff.text()
    with pytest.raises(BipstudyError) as caught:
        pool.withdraw("A", "secret-7", "typo")
    assert "secret-7" not in str(caught.value)


def test_the_log_says_who_and_when(pool, tmp_path):
    loaded = submission(tmp_path / "a", tables())
    pool.add(loaded, Verdict())
    pool.release("first")
    events = [json.loads(line) for line in (pool.path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [event["event"] for event in events] == ["add", "release"]
    assert [event["sequence"] for event in events] == [1, 2]
    assert all(event["time"].endswith("+00:00") and "user" in event for event in events)
    assert {file["sha256"] for file in events[0]["files"]} == {file.sha256 for file in loaded.files}
    assert pool.releases()["note"].tolist() == ["first"]


TAMPERING = {
    "a value": lambda pool: _edit_parquet(next(pool.path.glob("submissions/*/measurements.parquet"))),
    "a table gone": lambda pool: next(pool.path.glob("submissions/*/assignments.parquet")).unlink(),
    "a folder gone": lambda pool: next(pool.path.glob("submissions/*")).rename(pool.path / "elsewhere"),
    "half a file": lambda pool: _halve(next(pool.path.glob("submissions/*/participants.parquet"))),
    "a release": lambda pool: _halve(pool.path / "releases" / "1.json"),
    "a release gone": lambda pool: (pool.path / "releases" / "1.json").unlink(),
    "half the log": lambda pool: _halve(pool.path / "log.jsonl"),
    "no log": lambda pool: (pool.path / "log.jsonl").unlink(),
}


def _edit_parquet(path):
    frame = pd.read_parquet(path)
    frame.loc[0, "job_search"] = 1
    frame.to_parquet(path, index=False)


def _halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("what", TAMPERING)
def test_what_was_changed_behind_its_back_is_told(pool, tmp_path, what):
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    pool.release()
    TAMPERING[what](pool)
    with pytest.raises(BipstudyError) as caught:
        bip.load_study(pool.path)
    assert caught.value.code == "pool.tampered"


def test_a_table_smuggled_into_a_submission_is_told(pool, tmp_path):
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    pool.release()
    folder = next(pool.path.glob("submissions/*"))
    schema.conform(
        "trainings",
        pd.DataFrame(
            {
                "organisation_id": ["A"],
                "caseworker_id": ["7"],
                "kind": ["basic"],
                "held_on": [pd.Timestamp("2024-01-01")],
            }
        ),
    ).to_parquet(folder / "trainings.parquet")
    with pytest.raises(BipstudyError, match="changed or damaged"):
        bip.load_study(pool.path)


def test_errors_say_what_to_do(pool, tmp_path):
    with pytest.raises(BipstudyError, match="pool add"):
        pool.release()
    pool.add(submission(tmp_path / "a", tables()), Verdict())
    with pytest.raises(BipstudyError, match="bipstudy pool release"):
        bip.load_study(pool.path)
    pool.release()
    with pytest.raises(BipstudyError, match="no release 7"):
        bip.load_study(pool.path, release=7)
    with pytest.raises(BipstudyError, match="neither a pool"):
        bip.load_study(tmp_path)
    with pytest.raises(BipstudyError, match="neither a pool"):
        bip.load_study(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BipstudyError, match="not a pool"):
        Pool(tmp_path / "file")
    with pytest.raises(BipstudyError, match="not a pool"):
        Pool(tmp_path).add(submission(tmp_path / "a", tables()), Verdict())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_canonical_folder_is_a_study(tmp_path, kind):
    folder = tmp_path / kind
    folder.mkdir()
    for name, frame in tables().items():
        getattr(frame, f"to_{kind}")(folder / f"{name}.{kind}", index=False)
    study = bip.load_study(folder)
    assert study.release is None
    assert study.hash == schema.content_hash(tables())
    assert study.sent == frozenset(tables())


def test_a_canonical_folder_that_falls_short_raises_with_its_report(tmp_path):
    frames = tables()
    frames["participants"] = frames["participants"].drop(columns=["sex"])
    with pytest.raises(DataError) as caught:
        bip.load_study(write(tmp_path / "study", frames))
    assert not caught.value.report.ok
    assert "missing-column" in set(caught.value.report.findings["code"])
