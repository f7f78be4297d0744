"""However it ends, nothing is left: a closed page, a stopped check, a program ended by a key, a signal or by force."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from steward_client import Page, ended, left_behind, multipart, started
from typer.testing import CliRunner

from bipstudy.cli import app
from bipstudy.steward import visits
from bipstudy.texts import LANGUAGES, text

# A worker that takes its time over a file named so.
SLOW = """
import time, bipstudy.steward.worker as w
def check(job, say, check=w.check):
    say("reading")
    if "slow" in job["target"]: time.sleep(60)
    return check(job, say)
w._JOBS["check"] = check
"""


@pytest.fixture
def slow_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return code that makes the page start a worker that sleeps over files named slow."""
    script = tmp_path / "slow_worker.py"
    script.write_text(SLOW + "\nw.main()\n", encoding="utf-8")
    return (
        "import subprocess, bipstudy.steward.engine as e; p = subprocess.Popen; "
        f"e.subprocess.Popen = lambda a, **k: p([a[0], {str(script)!r}, a[-1]], **k)"
    )


@pytest.fixture
def slow(tmp_path: Path, slow_worker: str):
    """A page whose checks of files named slow do not end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    # Long enough for a busy machine to come back in time.
    shorter = "import bipstudy.steward.visits as v; v.AWAY_SECONDS = 2.0; v.WAITING_SECONDS = 3.0"
    page = started(folder, code=f"{slow_worker}; {shorter}")
    page.headers["folder"] = str(folder)
    yield page
    if page.process.poll() is None:
        page.process.kill()
        page.process.communicate()


def until(true, seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def visits_in(page: Page) -> list[str]:
    """Return the folders of the visits that are open."""
    root = next(Path(page.headers["folder"]).glob("bipstudy-steward-*"))
    return [path.name for path in root.iterdir() if path.is_dir() and path.name != "shared"]


def begun(page: Page, name: str = "slow.csv") -> Page:
    """Return a visit whose check is under way."""
    visit = page.visit()
    assert visit.post("check", [("files", name, b"a;b\n1;2\n")]).status == 303
    return visit


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signals to another process")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_key_or_a_signal_ends_it_in_the_middle_of_a_check_and_nothing_is_left(slow: Page, sign: int) -> None:
    visit = begun(slow)
    until(lambda: "Läser filerna" in visit.get().text)
    slow.process.send_signal(sign)
    code, written = ended(slow)
    assert left_behind(Path(slow.headers["folder"])) == []
    assert code == {signal.SIGINT: 0, signal.SIGTERM: -signal.SIGTERM}[sign]
    assert "Traceback" not in written
    assert "slow.csv" not in written
    if sign == signal.SIGINT:
        assert text("steward.ended", "sv") in written


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal on Windows")
def test_also_when_it_is_ended_by_force(slow: Page) -> None:
    begun(slow)
    slow.process.kill()
    slow.process.communicate()
    until(lambda: left_behind(Path(slow.headers["folder"])) == [])


def test_the_page_can_end_it(own: Page, tmp_path: Path, good) -> None:
    visit = own.visit()
    visit.check(good)
    answer = visit.post("end")
    assert text("steward.ended_title", "sv") in answer.text
    code, written = ended(own)
    assert code == 0
    assert left_behind(tmp_path) == []
    assert "deltagare" not in written


def test_a_tab_that_is_closed_takes_its_files_and_its_check_along(slow: Page, good) -> None:
    closing, waiting = begun(slow), slow.visit()
    stream, other = closing.stream(), waiting.stream()
    assert waiting.post("check", [("files", name, content) for name, content in good.items()]).status == 303
    assert text("steward.step_queued", "sv") in waiting.get().text
    stream.close()
    # The one that waited is served now, which shows that the check of the closed tab was ended.
    assert "Leveransen är godkänd" in waiting.wait()
    assert text("steward.gone_long", "sv") in closing.get().text
    assert len(visits_in(slow)) == 1
    other.close()
    until(lambda: visits_in(slow) == [])


def test_a_page_that_is_read_again_is_not_closed(slow: Page, good) -> None:
    visit = slow.visit()
    for _ in range(3):
        stream = visit.stream()
        time.sleep(0.3)
        stream.close()
    stream = visit.stream()
    time.sleep(3)
    assert visit.get().status == 200
    stream.close()


def test_without_script_a_page_that_waits_no_more_is_closed(slow: Page) -> None:
    begun(slow)
    assert len(visits_in(slow)) == 1
    until(lambda: visits_in(slow) == [])


def test_a_check_can_be_stopped_and_the_next_one_goes_on(slow: Page, good) -> None:
    visit = begun(slow)
    until(lambda: "Läser filerna" in visit.get().text)
    assert visit.post("stop").status == 303
    assert text("steward.stopped", "sv") in visit.get().text
    root = next(Path(slow.headers["folder"]).glob("bipstudy-steward-*"))
    assert not list(root.rglob("slow.csv"))
    assert "Leveransen är godkänd" in visit.check(good)


def test_a_second_check_on_the_same_page_is_told_to_wait(slow: Page, good) -> None:
    visit = begun(slow)
    answer = visit.post("check", [("files", "a.csv", good["deltagare.csv"])])
    assert answer.status == 400
    assert text("steward.busy", "sv") in answer.text
    visit.post("stop")


def test_an_upload_that_breaks_off_leaves_nothing(slow: Page) -> None:
    visit = slow.visit()
    root = next(Path(slow.headers["folder"]).glob("bipstudy-steward-*"))
    before = left_behind(root)
    content, kind = multipart([("files", "a.csv", b"1;2\n" * 2**20)], {})
    with socket.create_connection(("127.0.0.1", slow.port)) as line:
        head = f"POST {visit.place}check HTTP/1.1\r\nHost: {slow.host}\r\nOrigin: {slow.origin}\r\n"
        line.sendall(
            f"{head}Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content[: 2**21]
        )
    time.sleep(0.5)
    until(lambda: left_behind(root) == before)
    assert 'data-run="0"' in visit.get().text


def test_a_worker_that_dies_is_told_and_replaced(tmp_path: Path, good) -> None:
    script = tmp_path / "dying_worker.py"
    body = SLOW.replace("time.sleep(60)", "import os; os._exit(9)")
    script.write_text(body + "\nw.main()\n", encoding="utf-8")
    folder = tmp_path / "temporary"
    folder.mkdir()
    code = (
        "import subprocess, bipstudy.steward.engine as e; p = subprocess.Popen; "
        f"e.subprocess.Popen = lambda a, **k: p([a[0], {str(script)!r}, a[-1]], **k)"
    )
    page = started(folder, code=code)
    try:
        visit = page.visit()
        shown = visit.check({"slow.csv": b"a;b\n"})
        assert text("steward.worker_ended", "sv") in shown
        assert "Leveransen är godkänd" in visit.check(good)
    finally:
        page.process.terminate()
        ended(page)
    assert left_behind(folder) == []


def test_what_nobody_thought_of_is_named_by_its_kind_alone(tmp_path: Path) -> None:
    script = tmp_path / "wrong_worker.py"
    body = SLOW.replace("time.sleep(60)", "raise ZeroDivisionError('19121212-1212')")
    script.write_text(body + "\nw.main()\n", encoding="utf-8")
    folder = tmp_path / "temporary"
    folder.mkdir()
    code = (
        "import subprocess, bipstudy.steward.engine as e; p = subprocess.Popen; "
        f"e.subprocess.Popen = lambda a, **k: p([a[0], {str(script)!r}, a[-1]], **k)"
    )
    page = started(folder, code=code)
    try:
        shown = page.visit().check({"slow.csv": b"a;b\n"})
        assert "ZeroDivisionError" in shown
        assert "1212" not in shown
    finally:
        page.process.terminate()
        assert "1212" not in ended(page)[1]


def test_earlier_results_are_deleted_but_for_what_the_next_is_held_against(
    own: Page, tmp_path: Path, spoilt, good
) -> None:
    visit = own.visit()
    visit.check(spoilt)
    visit.check(good)
    root = next(tmp_path.glob("bipstudy-steward-*"))
    assert len(list(root.rglob("deltagare.csv"))) == 1
    assert len(list(root.rglob("report.sv.html"))) == 1
    kept = next(root.rglob("base-kept.bin")).read_bytes()
    assert b"SENTINEL88" not in kept
    assert b"D0003" not in kept


def test_what_was_left_by_a_power_cut_is_deleted_and_what_is_in_use_is_not(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(visits.tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{visits.PREFIX}left"
    (left / "visit").mkdir(parents=True)
    (left / "visit" / "file.csv").write_text("x", encoding="utf-8")
    foreign = tmp_path / "other-folder"
    foreign.mkdir()
    root = visits.Root()
    for path in (left, root.path, foreign):
        os.utime(path, (0, 0))
    visits.sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([root.path.name, "other-folder"])
    root.remove()
    assert left_behind(tmp_path) == ["other-folder"]


def test_nothing_is_written_beside_the_files_or_into_the_working_folder(tmp_path: Path, good) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    page = started(temporary)
    visit = page.visit()
    visit.check(good)
    visit.get("get/marked")
    inside = [name for name in left_behind(tmp_path) if not name.startswith("temporary/bipstudy-steward-")]
    assert inside == ["temporary"]
    page.process.terminate()
    ended(page)


def test_the_folder_is_closed_to_others(own: Page, tmp_path: Path) -> None:
    own.visit()
    root = next(tmp_path.glob("bipstudy-steward-*"))
    if os.name == "posix":
        assert root.stat().st_mode & 0o077 == 0


def test_many_pages_are_refused_in_words_and_empty_ones_make_room(own: Page, good) -> None:
    busy = own.visit()
    busy.check(good)
    answers = [own.ask("GET", f"/{own.token}/") for _ in range(visits.MAX_VISITS + 5)]
    assert {answer.status for answer in answers} == {303}
    assert "Leveransen är godkänd" in busy.get().text


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_the_extra_it_is_refused_with_a_cure(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(app, ["steward", "-l", language])
    assert result.exit_code == 2
    assert text("steward.no_extra", language) in result.output
    assert "Traceback" not in result.output


def test_a_port_that_is_taken_and_a_mapping_that_is_wrong_are_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["steward", "--no-browser", "--port", str(port)])
        assert result.exit_code == 2
        assert text("steward.port_taken", "sv", port=port) in result.output
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text("tables: [", encoding="utf-8")
    for path in (mapping, tmp_path / "none.yaml"):
        result = CliRunner().invoke(app, ["steward", "--no-browser", "--mapping", str(path)])
        assert result.exit_code == 2
        assert "[loaders." in result.output


def test_the_page_begins_with_the_mapping_of_the_command(tmp_path: Path) -> None:
    mapping = tmp_path / "mappning.yaml"
    mapping.write_text("schema_version: 1\ntables: {}\n", encoding="utf-8")
    page = started(tmp_path, "--mapping", str(mapping), "-l", "en")
    try:
        shown = page.visit("en").get().text
        assert text("steward.mapping_now", "en", name="mappning.yaml") in shown
        assert page.ask("GET", f"/{page.token}/").headers["location"].endswith("/en/")
    finally:
        page.process.terminate()
        ended(page)
    assert mapping.exists()


def test_nothing_of_the_web_is_loaded_by_the_package_or_its_help() -> None:
    import subprocess

    code = (
        "import sys, bipstudy, bipstudy.cli; "
        "print([n for n in ('starlette', 'uvicorn', 'python_multipart', 'bipstudy.steward') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
