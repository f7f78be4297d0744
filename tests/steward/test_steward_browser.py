"""The page in a browser: the walk with mouse, keys and files that are dropped, quiet on the console and the net."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from steward_client import Page, ended, left_behind, started

from bipstudy.texts import text

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium (apt-get install chromium)"),
]
SENTINELS = ("SENTINEL77", "SENTINEL88")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser that reaches nothing but this computer."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return a page that soon notices that a tab is closed, but not before a busy machine has opened the next page."""
    folder = tmp_path_factory.mktemp("site")
    code = "import bipstudy.steward.visits as v, bipstudy.steward.uploads as u; v.AWAY_SECONDS = 4.0"
    page = started(folder, code=f"{code}; u.MAX_BYTES = 3 * 2**20")
    page.headers["folder"] = str(folder)
    yield page
    page.process.terminate()
    ended(page)


@pytest.fixture
def tab(browser: Any, site: Page) -> Iterator[Callable[..., Any]]:
    """Return what opens a tab; at the end nothing may have been complained of or asked of another host."""
    heard: list[str] = []
    opened = []

    def open_tab(**options: Any) -> Any:
        context = browser.new_context(**{"accept_downloads": True, "locale": "sv-SE", **options})
        opened.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        shown.on("pageerror", lambda error: heard.append(str(error)))
        shown.on("request", lambda request: heard.append(request.url) if not _ours(request.url, site) else None)
        shown.on("requestfailed", lambda request: heard.append(f"failed: {request.url}") if _matters(request) else None)
        shown.goto(f"http://{site.host}/{site.token}/")
        return shown

    yield open_tab
    for context in opened:
        context.close()
    assert heard == []


def _ours(url: str, site: Page) -> bool:
    """Say whether an address is one of the page."""
    return url.startswith(f"http://{site.host}/{site.token}/")


def _matters(request: Any) -> bool:
    """Say whether it matters that a request failed.

    Downloads are no pages, the stream of events ends with the page, and so does the answer to what was sent where the
    stream has told the page before it that the check has begun.
    """
    stream = request.url.endswith("/events") or "/get/" in request.url
    return not stream and request.failure != "net::ERR_ABORTED"


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[str, dict[str, bytes]], list[str]]:
    """Return what writes a delivery into a folder and returns the paths."""

    def write(name: str, files: dict[str, bytes]) -> list[str]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return [str(folder / file) for file in files]

    return write


def checked(shown: Any) -> None:
    """Press the button and wait for the report."""
    shown.click("button[type=submit]")
    shown.wait_for_selector("ul.tiles", timeout=30_000)


def test_the_whole_walk(tab, on_disk, spoilt, half_mended, good) -> None:
    shown = tab()
    assert shown.title() == "Kontrollera en leverans – bipstudy"
    shown.set_input_files("#files", on_disk("a", spoilt))
    assert shown.inner_text(".sum").startswith("Valda filer: 2")
    checked(shown)
    assert shown.inner_text("h1") == "Leveransen behöver rättas"
    assert shown.title() == "Leveransen behöver rättas – bipstudy"
    # Who cannot see the page is led to the verdict.
    assert shown.evaluate("document.activeElement.tagName") == "H1"
    assert shown.locator("#changes").count() == 0
    shown.click("text=Kontrollera en rättad fil")
    shown.set_input_files("#files", on_disk("b", half_mended))
    checked_again(shown)
    for kind, number in (("gone", 1), ("left", 2), ("new", 1)):
        table = shown.locator(f"details.{kind}")
        table.locator("summary").click()
        assert table.locator("td.edge-error").count() == number
    shown.click("text=In English")
    # Without its style the page has other spaces.
    shown.wait_for_load_state()
    assert shown.get_attribute("html", "lang") == "en"
    assert shown.inner_text("h1") == "The submission needs mending"
    assert shown.inner_text("details.gone summary").endswith("gone")
    with shown.expect_download() as download:
        shown.click("a[href='get/marked']")
    assert download.value.suggested_filename == "leverans-marked.xlsx"
    with shown.expect_download() as download:
        shown.click("a[href='get/json']")
    told = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert told["counts"]["error"] == 3
    assert not any(word in shown.content() for word in SENTINELS)
    shown.set_input_files("#files", on_disk("c", good))
    checked_again(shown)
    assert shown.inner_text("h1") == "The submission is accepted"


def checked_again(shown: Any) -> None:
    """Press the button and wait for the next report."""
    before = shown.get_attribute("html", "data-run")
    shown.click("button[type=submit]")
    shown.wait_for_selector(f'html:not([data-run="{before}"])[data-state="done"]', timeout=30_000)


def test_with_keys_alone(tab, on_disk, spoilt) -> None:
    shown = tab()
    files = on_disk("a", spoilt)

    def go_to(selector: str) -> None:
        for _ in range(40):
            if shown.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            shown.keyboard.press("Tab")
        raise AssertionError(f"no key leads to {selector}")

    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    go_to("#files")
    # The field itself cannot be seen; what stands for it shows where one is.
    outline = "getComputedStyle(document.querySelector('label[for=files]')).outlineStyle"
    assert shown.evaluate(outline) == "solid"
    # A key may come to the page before the order to report choosers does: it is given here, and an answer waited for.
    shown.on("filechooser", lambda chooser: None)
    shown.evaluate("null")
    # Space opens every such field; that this key does too is our own doing.
    with shown.expect_file_chooser() as chooser:
        shown.keyboard.press("Enter")
    chooser.value.set_files(files)
    go_to(".chosen li button")
    assert shown.evaluate("document.activeElement.getAttribute('aria-label')") == "Ta bort deltagare.csv"
    shown.keyboard.press("Enter")
    assert shown.locator(".chosen li").count() == 1
    shown.set_input_files("#files", files[:1])
    go_to("summary")
    shown.keyboard.press("Enter")
    go_to("#organisation")
    shown.keyboard.type("ORG01")
    go_to("button[type=submit]")
    shown.keyboard.press("Enter")
    shown.wait_for_selector("ul.tiles", timeout=30_000)
    assert shown.inner_text("h1") == "Leveransen behöver rättas"
    assert shown.input_value("#organisation") == "ORG01"


def test_files_and_folders_that_are_dropped(tab, on_disk, spoilt, tmp_path) -> None:
    shown = tab()
    paths = on_disk("uttag", spoilt)
    drop = shown.locator(".drop").bounding_box()
    place = {"x": drop["x"] + 40, "y": drop["y"] + 40}
    wire = shown.context.new_cdp_session(shown)

    def dropped(files: list[str]) -> None:
        data = {"items": [], "files": files, "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver"):
            wire.send("Input.dispatchDragEvent", {"type": step, **place, "data": data})
        assert shown.evaluate("document.documentElement.classList.contains('over')")
        wire.send("Input.dispatchDragEvent", {"type": "drop", **place, "data": data})

    dropped(paths[:1])
    shown.wait_for_selector(".chosen li")
    assert shown.inner_text(".chosen li span:first-child") == "deltagare.csv"
    shown.click("#none")
    assert shown.locator(".chosen li").count() == 0
    dropped([str(tmp_path / "uttag")])
    shown.wait_for_selector(".chosen li:nth-child(2)")
    assert sorted(shown.locator(".chosen li span:first-child").all_inner_texts()) == [
        "uttag/deltagare.csv",
        "uttag/formulär.csv",
    ]
    checked(shown)
    with shown.expect_download() as download:
        shown.click("a[href='get/marked']")
    assert download.value.suggested_filename == "uttag-markerad.xlsx"


def test_what_is_refused_is_told_aloud_and_the_page_goes_on(tab, on_disk, good) -> None:
    shown = tab()
    shown.click("button[type=submit]")
    assert shown.inner_text("[role=alert]:not([hidden])") == text("steward.no_files", "sv")
    assert shown.evaluate("document.activeElement.id") == "files"
    shown.set_input_files("#files", on_disk("a", {"stor.csv": b"1;2\n" * 2**20}))
    shown.click("button[type=submit]")
    assert shown.inner_text("[role=alert]:not([hidden])") == text("steward.too_large", "sv", limit="3 MB")
    shown.click("#none")
    shown.set_input_files("#files", on_disk("b", good))
    assert shown.locator("[role=alert]:not([hidden])").count() == 0
    checked(shown)
    assert shown.inner_text("h1") == "Leveransen är godkänd"


def test_without_script(tab, on_disk, spoilt) -> None:
    shown = tab(java_script_enabled=False)
    shown.set_input_files("#files", on_disk("a", spoilt))
    shown.click("button[type=submit]")
    shown.wait_for_selector("ul.tiles", timeout=30_000)
    assert "Leveransen behöver rättas" in shown.inner_text("h1")
    shown.click("text=In English")
    assert "The submission needs mending" in shown.inner_text("h1")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_screens_need_no_scrolling_sideways(tab, on_disk, spoilt, width: int) -> None:
    shown = tab(viewport={"width": width, "height": 700})
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert shown.evaluate(wider) == 0
    shown.set_input_files("#files", on_disk("a", spoilt))
    shown.click("summary")
    assert shown.evaluate(wider) == 0
    checked(shown)
    assert shown.evaluate(wider) == 0


def test_every_field_has_a_name_and_every_state_one_heading(tab, on_disk, spoilt) -> None:
    shown = tab()
    shown.click("summary")
    nameless = """() => [...document.querySelectorAll("input, button, progress, a")].filter(each => {
        const label = each.labels && each.labels.length ? each.labels[0].textContent : "";
        return !(label || each.textContent || each.getAttribute("aria-label") || "").trim();
    }).map(each => each.outerHTML)"""
    doubled = """() => { const ids = [...document.querySelectorAll("[id]")].map(each => each.id);
        return ids.filter((each, at) => ids.indexOf(each) !== at); }"""
    for step in (lambda: shown.set_input_files("#files", on_disk("a", spoilt)), lambda: checked(shown)):
        step()
        assert shown.evaluate(nameless) == []
        assert shown.evaluate(doubled) == []
        assert shown.locator("h1").count() == 1
        referred = shown.evaluate(
            """() => [...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].flatMap(each =>
            (each.getAttribute("aria-describedby") || each.getAttribute("aria-labelledby")).split(" "))
            .filter(id => !document.getElementById(id))"""
        )
        assert referred == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_on_buttons_can_be_read(tab, scheme: str) -> None:
    shown = tab(color_scheme=scheme, reduced_motion="reduce")
    contrast = """() => [...document.querySelectorAll(".button, .pick label, .plain, .quiet, .lead")].map(each => {
        const light = colour => { const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]; };
        let ground = each;
        while (/, 0\\)$|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
        const two = [getComputedStyle(each).color, getComputedStyle(ground).backgroundColor].map(light);
        two.sort((a, b) => b - a);
        return [each.textContent.trim(), (two[0] + 0.05) / (two[1] + 0.05)];
    })"""
    found = shown.evaluate(contrast)
    assert len(found) > 8
    assert [each for each in found if each[1] < 4.5] == []
    assert shown.evaluate("document.getAnimations().length") == 0


def test_a_closed_tab_leaves_nothing(tab, site: Page, on_disk, spoilt) -> None:
    folder = Path(site.headers["folder"])
    before = set(left_behind(folder))
    shown = tab()
    shown.set_input_files("#files", on_disk("a", spoilt))
    checked(shown)
    assert any("deltagare.csv" in name for name in set(left_behind(folder)) - before)
    shown.close()
    end = time.monotonic() + 30
    while set(left_behind(folder)) - before:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_page_says_that_the_program_has_ended(browser: Any, tmp_path: Path) -> None:
    page = started(tmp_path)
    context = browser.new_context(locale="en-GB")
    shown = context.new_page()
    shown.goto(f"http://{page.host}/{page.token}/")
    other = context.new_page()
    other.goto(f"http://{page.host}/{page.token}/")
    other.click("text=Avsluta och radera")
    assert re.search(text("steward.ended_title", "sv"), other.title())
    # The other tab learns of it by itself.
    shown.wait_for_selector("#lost:not([hidden])", timeout=30_000)
    assert shown.inner_text("#lost") == text("steward.lost", "sv")
    assert ended(page)[0] == 0
    context.close()
