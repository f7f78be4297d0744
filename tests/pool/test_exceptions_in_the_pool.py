"""A submission that is accepted with an exception: what the pool takes, and what its receipt says ever after."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pool_data import tables, write

from bipstudy.pool import Pool
from bipstudy.texts import DataError

EXCEPTIONS = (
    "exceptions:\n- rule: date-after-extraction\n  reason: uttaget om {who} drog ut på tiden\n  date: 2024-01-01\n"
)


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    return write(tmp_path / "in", tables())


def exceptions_of(folder: Path, who: str = "ingen") -> Path:
    path = folder / "exceptions.yaml"
    path.write_text(EXCEPTIONS.format(who=who), "utf-8")
    return path


def receipts(pool: Path) -> list[dict]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(pool.glob("submissions/*/receipt*.json"))]


def test_an_exception_is_needed_and_stays_in_the_receipt(tmp_path: Path, sent: Path) -> None:
    pool = Pool(tmp_path / "pool")
    with pytest.raises(DataError):
        pool.add_path(sent, extracted_on="2024-03-01")
    receipt = pool.add_path(sent, extracted_on="2024-03-01", exceptions=exceptions_of(tmp_path))
    (exception,) = receipt.exceptions
    assert exception["rule"] == "date-after-extraction"
    assert exception["date"] == "2024-01-01"
    assert exception["count"] > 0
    assert receipts(pool.path)[0]["exceptions"] == [exception]
    for language in ("sv", "en"):
        assert exception["reason"] in receipt.text(language)
    # One without exceptions says nothing of them.
    assert "exceptions" not in Pool(tmp_path / "other").add_path(sent, extracted_on="2025-01-01").as_dict()


def test_an_erased_participant_goes_from_the_reasons_too(tmp_path: Path, sent: Path) -> None:
    pool = Pool(tmp_path / "pool")
    person = str(tables()["participants"]["participant_id"].iloc[0])
    pool.add_path(sent, extracted_on="2024-03-01", exceptions=exceptions_of(tmp_path, f"person {person} inte"))
    assert re.search(rf"person {person}\b", receipts(pool.path)[0]["exceptions"][0]["reason"])
    pool.erase("A", person, reason="begäran")
    (receipt,) = receipts(pool.path)
    assert not re.search(rf"person {person}\b", receipt["exceptions"][0]["reason"])
    assert "█" in receipt["exceptions"][0]["reason"]


def test_thresholds_hold_where_the_pool_validates(tmp_path: Path, sent: Path) -> None:
    thresholds = {"rules": {"caseworker-with-many-clients": {"clients": 2}}}
    plain = Pool(tmp_path / "plain").add_path(sent)
    strict = Pool(tmp_path / "strict").add_path(sent, thresholds=thresholds)
    assert strict.findings["warning"] > plain.findings["warning"]


def test_the_command_takes_the_same_files_as_validate(tmp_path: Path, sent: Path) -> None:
    command = [sys.executable, "-c", "from bipstudy.cli import main; main()", "pool", "add"]
    command += [str(tmp_path / "pool"), str(sent), "--extracted-on", "2024-03-01"]
    assert subprocess.run(command, capture_output=True).returncode == 1
    exceptions = ["--exceptions", str(exceptions_of(tmp_path))]
    done = subprocess.run([*command, *exceptions], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "date-after-extraction sedan 2024-01-01" in done.stdout
