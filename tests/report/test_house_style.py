"""Pages of one house: the same colours by daylight, in the dark and on paper, and text that can be read in each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bipstudy
from bipstudy.house import house_css

PACKAGE = Path(bipstudy.__file__).parent
OWN = {
    "report": PACKAGE / "report" / "templates" / "page.css",
    "validation": PACKAGE / "validation" / "report.css",
    "codebook": PACKAGE / "schema" / "codebook.html.j2",
    "steward": PACKAGE / "steward" / "page.css",
}
COLOUR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b(?![\w-])")
# What is written on what.
PAIRS = [("ink", "paper"), ("quiet", "paper"), ("primary", "paper"), ("ink", "panel"), ("quiet", "panel")]
PAIRS += [("error", "error-panel"), ("warn", "warn-panel"), ("primary", "primary-panel"), ("error", "paper")]


def palettes() -> dict[str, dict[str, str]]:
    """Return the colours of each way of seeing a page."""
    light, dark, paper = re.findall(r":root \{(.*?)\}", house_css(), flags=re.DOTALL)
    found = {}
    for name, block in (("light", light), ("dark", dark), ("paper", paper)):
        found[name] = dict(re.findall(r"--([\w-]+): (#[0-9a-fA-F]+)", block))
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("view", ["light", "dark", "paper"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(view: str, text: str, ground: str) -> None:
    first, second = sorted((luminance(palettes()[view][name]) for name in (text, ground)), reverse=True)
    assert (first + 0.05) / (second + 0.05) >= 4.5


def test_each_view_has_every_colour() -> None:
    assert palettes()["light"].keys() == palettes()["dark"].keys() == palettes()["paper"].keys()


@pytest.mark.parametrize("page", OWN)
def test_a_page_has_no_colour_of_its_own_and_names_none_that_is_not_there(page: str) -> None:
    content = OWN[page].read_text("utf-8")
    assert not COLOUR.findall(content)
    defined = set(palettes()["light"]) | set(re.findall(r"--([\w-]+):", content))
    # One of the validation page is made of a severity and is set by a class.
    used = set(re.findall(r"var\(--([\w-]+)\)", content))
    assert used <= defined


def test_what_holds_on_paper_comes_last() -> None:
    # Of two rules alike the later one holds: links on paper would be blue again.
    assert house_css().index("@media print") > house_css().index("a { color: var(--primary)")
