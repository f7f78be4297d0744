"""An older extract does not supersede a newer one unawares; organisations come and go; names of files tell nobody."""

import json

import pandas as pd
import pytest
from pool_data import Verdict, submission, tables, write
from typer.testing import CliRunner

from bipstudy.cli import app
from bipstudy.loaders import load_submission
from bipstudy.pool import Pool
from bipstudy.texts import BipstudyError, DataError

NUMBER = "701063-2391"


def ending(frames, day):
    """Return tables of an extract that ends on a day."""
    return frames | {"participants": frames["participants"].assign(observed_until=pd.Timestamp(day))}


@pytest.fixture
def pool(tmp_path):
    return Pool(tmp_path / "pool")


def test_an_older_extract_is_refused_unless_told(pool, tmp_path):
    newer = pool.add(submission(tmp_path / "a", tables()), Verdict())
    older = submission(tmp_path / "a2", ending(tables(people=2), "2024-06-30"))
    with pytest.raises(DataError, match="--older") as caught:
        pool.add(older, Verdict())
    assert caught.value.code == "pool.older_extract"
    assert pool.list()["hash"].tolist() == [newer.hash]
    # Of another organisation it says nothing, and of the same day neither.
    pool.add(submission(tmp_path / "b", ending(tables("B"), "2024-06-30")), Verdict())
    pool.add(submission(tmp_path / "a3", tables(people=4)), Verdict())
    added = pool.add(older, Verdict(), older=True)
    assert pool.list().query("current and organisation_id == 'A'")["hash"].item() == added.hash
    # From then on the older one is what is held.
    pool.add(submission(tmp_path / "a4", ending(tables(people=4), "2024-07-31")), Verdict())


def test_the_command_says_how(tmp_path):
    pool = tmp_path / "pool"
    Pool(pool).add(submission(tmp_path / "a", tables()), Verdict())
    folder = write(tmp_path / "a2", ending(tables(people=4), "2024-12-30"))
    arguments = ["pool", "add", str(pool), str(folder), "--language", "en"]
    refused = CliRunner().invoke(app, arguments)
    assert (refused.exit_code, "--older" in refused.stderr) == (1, True)
    assert len(Pool(pool).list()) == 1
    assert CliRunner().invoke(app, [*arguments, "--older"]).exit_code == 0
    assert len(Pool(pool).list()) == 2


def test_organisations_join_and_leave_between_releases(pool, tmp_path):
    pool.add(submission(tmp_path / "a", tables("A")), Verdict())
    pool.add(submission(tmp_path / "b", tables("B")), Verdict())
    pool.release()
    pool.leave("B", reason="ended its part")
    pool.add(submission(tmp_path / "c", tables("C")), Verdict())
    pool.release()
    diff = pool.diff(1, 2)
    assert (diff.joined, diff.left, diff.resubmitted) == (("C",), ("B",), ())
    assert len(diff.changes.participants_gone) == len(diff.changes.participants_new) == 3
    assert "Organisationer som inte längre är med: B" in diff.text()
    assert pool.list()["current"].tolist() == [True, False, True]
    assert set(pool.study(1).participants["organisation_id"]) == {"A", "B"}
    assert set(pool.study(2).participants["organisation_id"]) == {"A", "C"}
    with pytest.raises(BipstudyError) as caught:
        pool.leave("B", reason="twice")
    assert caught.value.code == "pool.no_organisation"
    # With a new submission it is in again.
    pool.add(submission(tmp_path / "b2", tables("B", 2)), Verdict())
    pool.release()
    assert pool.diff(2, 3).joined == ("B",)


def test_the_command_wants_a_participant_or_a_whole_organisation(pool, tmp_path):
    pool.add(submission(tmp_path / "a", tables("A")), Verdict())
    arguments = ["pool", "withdraw", str(pool.path), "--organisation", "A", "--reason", "x"]
    for more in ([], ["--participant", "001", "--whole-organisation"]):
        refused = CliRunner().invoke(app, [*arguments, *more])
        assert (refused.exit_code, "[cli.one_of_two]" in refused.stderr) == (2, True)
    assert CliRunner().invoke(app, [*arguments, "--whole-organisation"]).exit_code == 0
    assert pool.list()["current"].tolist() == [False]
    # Nothing has superseded it, and the pool is not empty.
    assert pool.list()["left"].tolist() == [True]
    listed = CliRunner().invoke(app, ["pool", "list", str(pool.path)]).stdout
    assert ("organisationen har lämnat studien" in listed, "ersatt" in listed) == (True, False)
    with pytest.raises(BipstudyError) as caught:
        pool.release()
    assert caught.value.code == "pool.all_left"


def test_no_identity_number_is_stored_with_a_file_name_or_a_reason(pool, tmp_path):
    frames = tables()
    folder = write(tmp_path / "a", frames)
    (folder / "participants.csv").rename(folder / f"deltagare {NUMBER}.csv")
    receipt = pool.add(load_submission(folder), Verdict())
    pool.withdraw("A", "001", reason=f"samtal med {NUMBER}")
    pool.release(note=f"utan {NUMBER}")
    pool.erase("A", "002", reason=f"begäran av {NUMBER}")
    assert NUMBER not in receipt.text()
    stored = [path for path in pool.path.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    assert not [path for path in stored if NUMBER in path.read_text("utf-8")]
    kept = json.loads((pool.path / "submissions" / pool.list()["hash"].item() / "receipt.json").read_bytes())
    assert {file["name"] for file in kept["files"]} >= {"deltagare ███████████.csv", "measurements.csv"}
