"""A pool of an older version of the tables is written anew, all of it; the original stays; history comes along."""

import hashlib
import json
import shutil

import pandas as pd
import pytest
from pool_data import Verdict, submission, tables
from typer.testing import CliRunner

import bipstudy as bip
from bipstudy import schema
from bipstudy.cli import app
from bipstudy.pool import Migration, Pool, upgrade, upgrade_pool
from bipstudy.texts import BipstudyError


def old_tables(new):
    """Return tables as an imagined version 0 had them: the organisation was called by another name."""
    return {name: frame.rename(columns={"organisation_id": "office"}) for name, frame in new.items()}


def old_hash(frames):
    """Return the hash of that version."""
    digest = hashlib.sha256(b"version 0")
    for name in sorted(frames):
        digest.update(name.encode() + frames[name].to_csv(index=False).encode())
    return digest.hexdigest()


def to_version_1(frames):
    return {name: frame.rename(columns={"office": "organisation_id"}) for name, frame in frames.items()}


FROM_0 = Migration(0, to_version_1, old_hash)


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    """Return a pool of today with two submissions, a withdrawal, an erasure and two releases."""
    folder = tmp_path_factory.mktemp("today")
    pool = Pool(folder / "new")
    pool.add(submission(folder / "a", tables(people=4)), Verdict())
    pool.add(submission(folder / "a2", tables(people=5)), Verdict())
    pool.release("first")
    pool.withdraw("A", "001", reason="asked to")
    pool.erase("A", "002", reason="asked to")
    pool.release()
    return pool


@pytest.fixture
def new_pool(today, tmp_path):
    """Return a copy of that pool."""
    return Pool(shutil.copytree(today.path, tmp_path / "new"))


@pytest.fixture
def old_pool(new_pool, tmp_path):
    """Return the same pool as version 0 would have written it."""
    old = tmp_path / "old"
    (old / "submissions").mkdir(parents=True)
    (old / "releases").mkdir()
    renamed = {}
    for folder in new_pool.path.glob("submissions/*"):
        frames = old_tables({path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")})
        renamed[folder.name] = old_hash(frames)
        target = old / "submissions" / renamed[folder.name]
        target.mkdir()
        for name, frame in frames.items():
            frame.to_parquet(target / f"{name}.parquet", index=False)
        for receipt in folder.glob("receipt*.json"):
            content = json.loads(receipt.read_bytes()) | {"hash": renamed[folder.name], "schema_version": 0}
            (target / receipt.name).write_text(json.dumps(content))
    events = [json.loads(line) for line in (new_pool.path / "log.jsonl").read_bytes().splitlines()]
    for event in events:
        if event["event"] == "add":
            supersedes = {code: renamed[each] for code, each in event["supersedes"].items()}
            event |= {"hash": renamed[event["hash"]], "supersedes": supersedes, "schema_version": 0}
        if event["event"] == "release":
            content = json.loads((new_pool.path / f"releases/{event['release']}.json").read_bytes())
            content["submissions"] = {code: renamed[each] for code, each in content["submissions"].items()}
            content |= {"schema_version": 0, "hash": "of version 0"}
            file = json.dumps(content).encode()
            (old / f"releases/{event['release']}.json").write_bytes(file)
            event["sha256"] = hashlib.sha256(file).hexdigest()
    (old / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (old / "erasure.key").write_bytes((new_pool.path / "erasure.key").read_bytes())
    return old


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_older_pool_says_so_and_becomes_the_same_pool(old_pool, new_pool, tmp_path):
    with pytest.raises(BipstudyError, match="bipstudy pool upgrade") as caught:
        bip.load_study(old_pool)
    assert caught.value.code == "pool.older_version"
    before = files(old_pool)
    done = upgrade_pool(old_pool, tmp_path / "upgraded", migrations=(FROM_0,))
    assert (done.former, done.current, done.submissions, done.releases) == (0, 1, 2, 2)
    upgraded = Pool(done.path)
    for release in (1, 2):
        assert upgraded.study(release).hash == new_pool.study(release).hash
        assert dict(upgraded.study(release).erased) == ({"A": 1} if release == 1 else {})
    told = ["sequence", "organisation_id", "extracted_on", "hash", "current", "erased", "time"]
    pd.testing.assert_frame_equal(upgraded.list()[told], new_pool.list()[told])
    pd.testing.assert_frame_equal(upgraded.releases(), new_pool.releases())
    # Who was erased stays out, who was withdrawn too, and work goes on.
    with pytest.raises(BipstudyError, match="erased"):
        upgraded.add(submission(tmp_path / "a3", tables(people=6)), Verdict())
    upgraded.release()
    last = json.loads((done.path / "log.jsonl").read_bytes().splitlines()[-2])
    assert last["event"] == "upgrade"
    assert (
        last["log_sha256"] == hashlib.sha256(before[old_pool.joinpath("log.jsonl").relative_to(old_pool)]).hexdigest()
    )
    after = files(old_pool)
    assert {name: after[name] for name in before} == before
    assert {str(name) for name in after.keys() - before.keys()} <= {"lock"}


def test_killed_half_way_there_is_no_new_pool(old_pool, tmp_path, monkeypatch):
    for owner, name in ((upgrade, "write_tables"), (upgrade, "flush_folder")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                upgrade_pool(old_pool, tmp_path / "upgraded", migrations=(FROM_0,))
        assert not (tmp_path / "upgraded").exists()


def test_what_cannot_be_upgraded_is_refused(old_pool, new_pool, tmp_path):
    cases = {
        "pool.no_migration": (old_pool, "x", ()),
        "pool.is_current": (new_pool.path, "x", (FROM_0,)),
        "pool.target_exists": (old_pool, "new", (FROM_0,)),
        "pool.tampered": (old_pool, "x", (Migration(0, to_version_1, lambda _: "other"),)),
    }
    for code, (pool, out, migrations) in cases.items():
        with pytest.raises(BipstudyError) as caught:
            upgrade_pool(pool, tmp_path / out, migrations=migrations)
        assert caught.value.code == code
    with pytest.raises(BipstudyError) as caught:
        upgrade_pool(tmp_path / "nowhere", tmp_path / "x")
    assert caught.value.code == "pool.no_pool"
    assert not (tmp_path / "x").exists()


def test_a_newer_pool_asks_for_a_newer_package(new_pool, monkeypatch, tmp_path):
    log = new_pool.path / "log.jsonl"
    log.write_text(log.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    for call in (new_pool.release, lambda: upgrade_pool(new_pool.path, tmp_path / "x")):
        with pytest.raises(BipstudyError) as caught:
            call()
        assert caught.value.code == "pool.newer_version"


def test_the_command(old_pool, new_pool, tmp_path, monkeypatch):
    monkeypatch.setattr(upgrade, "MIGRATIONS", (FROM_0,))
    out = tmp_path / "upgraded"
    done = CliRunner().invoke(app, ["pool", "upgrade", str(old_pool), "--out", str(out), "--language", "en"])
    assert done.exit_code == 0, done.output
    assert "from version 0" in done.stdout
    assert schema.content_hash(Pool(out).study().tables) == new_pool.study().hash
    current = CliRunner().invoke(app, ["pool", "upgrade", str(out), "--out", str(tmp_path / "again")])
    assert (current.exit_code, "[pool.is_current]" in current.stderr) == (2, True)
