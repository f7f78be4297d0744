"""What the page refuses: other names, other sites, other addresses, names that lead elsewhere, and what is too much."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from pathlib import Path

import pytest
from steward_client import Page, left_behind, multipart, started

from bipstudy.steward import uploads
from bipstudy.texts import LANGUAGES, text

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def told_in_both(body: str, key: str) -> bool:
    return all(text(key, language) in body for language in LANGUAGES)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:PORT", ""]
)
def test_another_host_is_refused_before_anything_is_told(page: Page, host: str) -> None:
    answer = page.get(Host=host.replace("PORT", str(page.port)))
    assert answer.status == 421
    assert told_in_both(answer.text, "steward.wrong_host")
    assert page.token not in answer.text


def test_two_hosts_are_none(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as line:
        hosts = f"Host: {page.host}\r\nHost: evil.example\r\n"
        line.sendall(f"GET {page.place} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
        status = line.makefile("rb").readline()
    assert b" 200 " not in status


def test_this_computer_by_its_name_is_answered(page: Page) -> None:
    assert page.get(Host=f"localhost:{page.port}").status == 200
    assert page.get(Host=f"LOCALHOST:{page.port}").status == 200


@pytest.mark.parametrize(
    "path", ["/", "/style.css", "/favicon.ico", "/TOKEN", "/TOKENx/", "/tOKEN/", "/TOKE/", "//TOKEN/../x", "/å/"]
)
def test_another_address_is_refused(served: Page, path: str) -> None:
    swapped = served.token.swapcase()
    path = path.replace("tOKEN", swapped).replace("TOKEN", served.token).replace("TOKE", served.token[:-1])
    answer = served.ask("GET", path.replace("å", "%C3%A5"))
    assert answer.status in {307, 404}
    assert "style.css" not in answer.text


@pytest.mark.parametrize("visit", ["x", "../..", "%2e%2e", "0" * 32])
def test_a_visit_that_is_not_open_is_told_as_closed(served: Page, visit: str) -> None:
    answer = served.ask("GET", f"/{served.token}/{visit}/sv/")
    assert answer.status == 404
    assert "data-run" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://HOST"},
        {"Origin": "http://localhost:PORT"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_can_change_nothing(page: Page, headers: dict[str, str | None], good) -> None:
    filled = {
        name: value and value.replace("HOST", page.host).replace("PORT", str(page.port))
        for name, value in headers.items()
    }
    for path in ("check", "stop", "end"):
        answer = page.post(path, [("files", "a.csv", good["deltagare.csv"])], headers=filled)
        assert answer.status == 403
        assert told_in_both(answer.text, "steward.cross_site")
    assert 'data-run="0"' in page.get().text


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}]
)
def test_another_site_can_read_nothing(page: Page, headers: dict[str, str]) -> None:
    for path in ("", "get/template", "../../style.css"):
        assert page.ask("GET", f"{page.place}{path}", None, dict(headers)).status in {403}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(page: Page, method: str) -> None:
    answer = page.ask(method, page.place, b"", {"Origin": page.origin})
    assert answer.status == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_every_answer_shuts_out_everything_else(page: Page) -> None:
    base = f"/{page.token}"
    answers = [page.get(), page.get("get/template"), page.get("get/report"), page.get("get/nothing"), page.get("x")]
    answers += [
        page.ask("GET", path)
        for path in (f"{base}/style.css", f"{base}/script.js", f"{base}/icon.svg", "/", f"{base}/")
    ]
    answers += [page.get(Host="evil.example"), page.post("check")]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_the_page_needs_nothing_that_its_policy_forbids_and_nothing_from_elsewhere(page: Page, spoilt) -> None:
    shown = page.check(spoilt)
    for part in (shown, page.visit().get().text):
        assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?! src=\"\.\./\.\./script\.js\")", part)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", part)
    for name in ("style.css", "script.js"):
        content = page.ask("GET", f"/{page.token}/{name}").text
        assert not re.search(r"url\(|@import|https?://|innerHTML|eval\(", content)


def test_only_this_computer_reaches_it(served: Page) -> None:
    # A server on all addresses would answer on every one of the loop as well.
    addresses = ["127.0.0.2"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # Nothing is sent: this only asks which address of this computer would be used.
        probe.connect(("192.0.2.1", 9))
        addresses.append(probe.getsockname()[0])
    for address in addresses:
        with socket.socket() as other:
            other.settimeout(5)
            assert address == "127.0.0.1" or other.connect_ex((address, served.port)) != 0


LEADING_OUT = (
    "../../../escape.csv",
    "..\\..\\escape.csv",
    "/tmp/escape.csv",
    "C:\\Windows\\escape.csv",
    "a/../../../../escape.csv",
    "./././escape.csv",
    "%2e%2e/escape.csv",
    "escape.csv/",
    "a\tb/escape.csv",
    "CON",
    "nul.csv",
    "x" * 400 + ".csv",
    "å" * 300 + ".csv",
    "  .  /escape.csv. .",
    "..",
)


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, own: Page, good) -> None:
    before = {path for path in tmp_path.parent.rglob("*escape*")}
    visit = own.visit()
    root = next(tmp_path.glob("bipstudy-steward-*")).resolve()
    for name in LEADING_OUT:
        answer = visit.post("check", [("files", name, good["deltagare.csv"])])
        assert answer.status == 303, answer.text
        visit.wait()
        assert all(path.resolve().is_relative_to(root) for path in tmp_path.rglob("*"))
        assert {path for path in tmp_path.parent.rglob("*escape*") if not path.is_relative_to(root)} == before
        assert not list(Path("/tmp").glob("escape*"))


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/b/c.csv",
        "\\\\server\\share\\f.csv",
        "con.csv",
        "COM1",
        "é" * 200,
        "a" * 500,
        "...",
        "",
        " ",
        "a:b",
        "x\x00y",
    ],
)
def test_parts_of_a_name_are_plain(name: str) -> None:
    parts = uploads.safe_parts(name)
    assert parts
    for part in parts:
        assert part not in {"", ".", ".."}
        assert not re.search(r'[<>:"|?*\\/\x00-\x1f]', part)
        assert len(part.encode()) <= 255
        assert not part.endswith((".", " "))
        assert part.split(".")[0].lower() not in {"con", "nul", "com1"}


def test_two_files_of_one_name_are_both_kept(page: Page, good) -> None:
    sent = [("files", "deltagare.csv", good["deltagare.csv"]), ("files", "Deltagare.csv", good["deltagare.csv"])]
    assert page.post("check", sent).status == 303
    shown = page.wait()
    assert "Deltagare (2).csv" in shown


def test_nothing_chosen_is_told_and_keeps_what_was_there(page: Page, spoilt) -> None:
    page.check(spoilt)
    for files in ([], [("files", "", b""), ("folder", "", b"")]):
        answer = page.post("check", files, {"organisation": "ORG01"})
        assert answer.status == 400
        assert text("steward.no_files", "sv") in answer.text
        assert "Leveransen behöver rättas" in answer.text
    asked = page.post("check", [], headers={"Accept": "application/json"})
    assert json.loads(asked.text) == {"problem": text("steward.no_files", "sv")}
    assert "Leveransen behöver rättas" in page.get().text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"no form at all", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
    ],
)
def test_a_broken_form_is_told_and_no_traceback_shown(page: Page, body: bytes, kind: str) -> None:
    answer = page.ask("POST", f"{page.place}check", body, {"Content-Type": kind})
    assert answer.status == 400
    assert "Traceback" not in answer.text
    assert text("steward.no_files", "sv") in answer.text or text("steward.broken_upload", "sv") in answer.text


def test_too_much_is_refused_with_what_to_do_and_nothing_is_kept(tmp_path: Path) -> None:
    page = started(
        tmp_path, code="from bipstudy.steward import uploads; uploads.MAX_BYTES = 3 * 2**20; uploads.MAX_FILES = 20"
    )
    try:
        for language in LANGUAGES:
            visit = page.visit(language)
            before = left_behind(tmp_path)
            answer = visit.post("check", [("files", "a.csv", b"1;2\n" * 2**20)])
            assert answer.status == 413
            assert text("steward.too_large", language, limit="3 MB") in answer.text
            many = visit.post("check", [("files", f"{number}.csv", b"1") for number in range(21)])
            assert many.status == 400
            assert text("steward.too_many", language, limit=20) in many.text
            assert left_behind(tmp_path) == before
            mapping = visit.post("check", [("files", "a.csv", b"1"), ("mapping", "m.yaml", b"#" * (2**20 + 1))])
            assert text("steward.mapping_too_large", language) in mapping.text
    finally:
        page.process.kill()
        page.process.communicate()


def test_a_body_that_never_says_how_long_it_is_is_bounded_too(tmp_path: Path) -> None:
    page = started(tmp_path, code="from bipstudy.steward import uploads; uploads.MAX_BYTES = 2**20")
    try:
        visit = page.visit()
        content, kind = multipart([("files", "a.csv", b"1;2\n" * 2**19)], {})
        with socket.create_connection(("127.0.0.1", page.port)) as line:
            head = f"POST {visit.place}check HTTP/1.1\r\nHost: {page.host}\r\nOrigin: {page.origin}\r\n"
            line.sendall(f"{head}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            for at in range(0, len(content), 2**16):
                part = content[at : at + 2**16]
                line.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            line.sendall(b"0\r\n\r\n")
            assert b" 413 " in line.makefile("rb").readline()
    finally:
        page.process.kill()
        page.process.communicate()


def test_names_are_escaped_and_identity_numbers_blotted_out(page: Page, good) -> None:
    shown = page.check(
        {
            "<img src=x onerror=alert(1)> 19701063-2391 & d.csv": good["deltagare.csv"],
            "formulär.csv": good["formulär.csv"],
        }
    )
    assert "<img" not in shown
    assert "2391" not in shown
    assert "2391" not in page.get("get/json").text
    page.check({"19701063-2391.csv": good["deltagare.csv"]})
    marked = page.get("get/marked")
    assert marked.status == 200
    assert "2391" not in marked.headers["content-disposition"]
